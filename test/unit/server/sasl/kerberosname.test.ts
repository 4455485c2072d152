/** Names and rules as Java's KerberosName and SaslServerCallbackHandler have them; the ids come from a run of these. */
import { describe, expect, it } from 'vitest'
import {
  idOfPrincipal,
  type NameOptions,
  parseKerberosName,
  parseNameRules,
} from '../../../../src/server/sasl/kerberosname.ts'

function optionsFor(rules: string, over: Partial<NameOptions> = {}): NameOptions {
  return {
    rules: parseNameRules(rules)!,
    defaultRealm: 'EXAMPLE.COM',
    removeHost: false,
    removeRealm: false,
    ...over,
  }
}

function ids(options: NameOptions, names: readonly string[]): Record<string, string | null> {
  return Object.fromEntries(names.map((name) => [name, idOfPrincipal(name, options)]))
}

const SHORT = { removeHost: true, removeRealm: true }

describe('the id of a principal', () => {
  it('is the principal itself by default', () => {
    const same = ['bob', 'bob@EXAMPLE.COM', 'zk/host@EXAMPLE.COM', 'a/b/c', '']
    expect(ids(optionsFor('DEFAULT'), same)).toEqual(Object.fromEntries(same.map((name) => [name, name])))
  })

  it('loses host and realm on demand, where a rule applies', () => {
    expect(ids(optionsFor('DEFAULT', SHORT), ['bob', 'bob@EXAMPLE.COM', 'zk/host@EXAMPLE.COM'])).toEqual({
      bob: 'bob',
      'bob@EXAMPLE.COM': 'bob',
      'zk/host@EXAMPLE.COM': 'zk',
    })
  })

  it('is what the first applying rule makes of it', () => {
    const rules =
      'RULE:[1:$1@$0](.*@OTHER.ORG)s/@.*/_other/ RULE:[2:$1;$2](^zk;.*$)s/;.*$// RULE:[2:$1$2](.*)s/(o)s/<$1\\x>/g  DEFAULT'
    const names = [
      'bob',
      'bob@EXAMPLE.COM',
      'zk/host@EXAMPLE.COM',
      'bob@OTHER.ORG',
      'zk/host@OTHER.ORG',
      'a/@R',
      '/h@R',
    ]
    expect(ids(optionsFor(rules, SHORT), names)).toEqual({
      bob: 'bob',
      'bob@EXAMPLE.COM': 'bob',
      'zk/host@EXAMPLE.COM': 'zk',
      'bob@OTHER.ORG': 'bob_other',
      'zk/host@OTHER.ORG': 'zk',
      'a/@R': 'a',
      '/h@R': 'h',
    })
    expect(idOfPrincipal('boss/x@R', optionsFor('RULE:[2:$1$2](.*)s/(o)s/<$1\\x>/g', SHORT))).toBe('b<ox>sx')
  })

  it('is the principal, and never what the client asks for, where no rule applies', () => {
    for (const name of ['bob@OTHER.ORG', 'zk/host@OTHER.ORG', '@X', 'bob@']) {
      expect(idOfPrincipal(name, optionsFor('DEFAULT', SHORT))).toBe(name)
    }
    // A rule that names a part there is not, and one that leaves a name with a realm.
    expect(idOfPrincipal('bob@EXAMPLE.COM', optionsFor('RULE:[1:$3] DEFAULT', SHORT))).toBe('bob@EXAMPLE.COM')
    expect(idOfPrincipal('bob@EXAMPLE.COM', optionsFor('RULE:[1:$1@$0] DEFAULT', SHORT))).toBe('bob@EXAMPLE.COM')
    expect(idOfPrincipal('zk/host@EXAMPLE.COM', optionsFor('RULE:[1:$3] DEFAULT', SHORT))).toBe('zk')
  })

  it('is none for names of more than two components or realms', () => {
    for (const name of ['a@b@c', 'a/b/c@X']) {
      expect(parseKerberosName(name)).toBe(null)
      expect(idOfPrincipal(name, optionsFor('DEFAULT'))).toBe(null)
    }
  })
})

describe('rules', () => {
  it('are refused when malformed', () => {
    for (const bad of ['x', 'RULE:', 'RULE:[:$1]', 'RULE:[1:$1](', 'RULE:[1:$1](()', 'DEFAULT x', 'RULE:[1:$1]s/a/b']) {
      expect(parseNameRules(bad), bad).toBe(null)
    }
    expect(parseNameRules('DEFAULT')).toEqual([null])
  })
})
