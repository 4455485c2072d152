/** JAAS files: what Java's parser takes is taken with the same meaning, what it refuses is refused with its line. */
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../../../src/server/config/settings.ts'
import { parseJaas } from '../../../../src/server/sasl/jaas.ts'

const PROPERTIES: Record<string, string> = { 'zk.secret': 'from a property', empty: '' }

function parse(text: string) {
  return parseJaas(text, 'jaas.conf', (name) => PROPERTIES[name] ?? null)
}

/** Sections as plain data, passwords revealed. */
function plain(text: string) {
  return Object.fromEntries(
    [...parse(text)].map(([name, modules]) => [
      name,
      modules.map(({ className, flag, options, where }) => ({
        className,
        flag,
        where,
        options: Object.fromEntries([...options].map(([key, value]) => [key, value.reveal()])),
      })),
    ]),
  )
}

function refusalOf(text: string): string {
  try {
    parse(text)
  } catch (err) {
    expect(err).toBeInstanceOf(ConfigError)
    return (err as Error).message
  }
  return 'accepted'
}

describe('a JAAS file', () => {
  it('has sections of modules with options', () => {
    const text = `
/* users of
   the server */
Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required
  user_super="adminsecret"   // the administrator
  user_bob="bob's \\"secret\\"";
};
Client {
  com.sun.security.auth.module.Krb5LoginModule REQUIRED
  useKeyTab=true keyTab="/etc/zk.keytab"
  storeKey = true
  principal="zookeeper/host.example.com@EXAMPLE.COM";
  other.Module optional;
};
Empty { };
`
    expect(plain(text)).toEqual({
      Server: [
        {
          className: 'org.apache.zookeeper.server.auth.DigestLoginModule',
          flag: 'required',
          where: 'jaas.conf:5',
          options: { user_super: 'adminsecret', user_bob: 'bob\'s "secret"' },
        },
      ],
      Client: [
        {
          className: 'com.sun.security.auth.module.Krb5LoginModule',
          flag: 'required',
          where: 'jaas.conf:10',
          options: {
            useKeyTab: 'true',
            keyTab: '/etc/zk.keytab',
            storeKey: 'true',
            principal: 'zookeeper/host.example.com@EXAMPLE.COM',
          },
        },
        { className: 'other.Module', flag: 'optional', where: 'jaas.conf:14', options: {} },
      ],
      Empty: [],
    })
  })

  it('has escapes, system properties and quoted words as Java reads them', () => {
    const text = `
"My Section" { "a.B" "requisite" // one slash / or two
  a="x\\ty\\\\z\\101\\0" b="\${zk.secret}!" c="\${/}tmp" d="\${{keep}}" e="" f=$word_-*1.2 a=again; / a comment
};`
    expect(plain(text)['My Section']![0]).toMatchObject({
      className: 'a.B',
      flag: 'requisite',
      options: { a: 'again', b: 'from a property!', c: '/tmp', d: '\u0024{{keep}}', e: '', f: '$word_-*1.2' },
    })
    expect(plain('S{ a.B sufficient a="x\\ty\\\\z\\101\\0";};')['S']![0]!.options['a']).toBe('x\ty\\zA\0')
  })

  it('keeps passwords out of everything that prints', () => {
    const file = parse('S { a.B required user_bob="hush";};')
    expect(JSON.stringify([...file.get('S')![0]!.options])).not.toContain('hush')
  })

  it('is refused with line and reason where it makes no sense', () => {
    expect(refusalOf('S {\n a.B required\n a="b"\n}')).toBe(
      'jaas.conf:4: expected the name of an option, or a semicolon, found }',
    )
    expect(refusalOf('S {\n a.B maybe;\n};')).toBe(
      'jaas.conf:2: expected required, requisite, sufficient or optional behind a.B',
    )
    expect(refusalOf('S { };\nS { };')).toBe('jaas.conf:2: a second section S')
    expect(refusalOf('S {')).toBe('jaas.conf:1: expected the class of a login module, found the end of the file')
    expect(refusalOf('S { a.B required; }\n')).toBe('jaas.conf:2: expected ;, found the end of the file')
    expect(refusalOf('S { a.B required\n x="\n";};')).toBe('jaas.conf:2: a string without its end')
    expect(refusalOf('/* \n')).toBe('jaas.conf:1: a comment without its end')
    expect(refusalOf('S { a.B required x="\u0024{nobody}";};')).toBe(
      'jaas.conf:1: x names the system property nobody, which is not set',
    )
    expect(refusalOf('S { a.B required x="\u0024{empty}";};')).toBe('jaas.conf:1: the value of x expands to nothing')
  })

  it('says how to write a password that begins like a number, without showing it', () => {
    expect(refusalOf('S { a.B required\n user_bob=123secret;\n};')).toBe(
      'jaas.conf:2: the value of user_bob begins like a number: put it in quotes',
    )
    expect(refusalOf("S { a.B required user_bob='hush';};")).not.toContain('hush')
  })

  it('ends every damaged file with a refusal or a result, never otherwise', () => {
    const text = 'S { a.B required user_bob="h\\tush" /* c */ k=v; }; // end'
    for (let cut = 0; cut < text.length; cut++) refusalOf(text.slice(0, cut))
    for (let at = 0; at < text.length; at++) {
      for (const char of '{};=",/*\\\0é') refusalOf(text.slice(0, at) + char + text.slice(at + 1))
    }
  })
})
