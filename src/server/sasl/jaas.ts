/**
 * JAAS login configuration: the file that `java.security.auth.login.config` names.
 *
 *   Server {                                                     // a section
 *     org.apache.zookeeper.server.auth.DigestLoginModule required  // a module and its flag
 *     user_super="adminsecret"                                   // its options, until a semicolon
 *     user_bob="bobsecret";
 *   };
 *
 * Words, quoted strings with Java's escapes, comments with two slashes, one slash, or slash and star; `${name}` in a
 * value is a system property. What Java refuses is refused, with line and reason, but without the value, which may be
 * a password. Module classes are names here, never loaded. Pure.
 * Java: sun.security.provider.ConfigFile, java.io.StreamTokenizer.
 */

import { ConfigError, Secret } from '../config/settings.ts'

export interface JaasModule {
  readonly className: string
  readonly flag: 'required' | 'requisite' | 'sufficient' | 'optional'
  /** Any of these may be a password, so all of them are kept as such. */
  readonly options: ReadonlyMap<string, Secret>
  /** `jaas.conf:3`, where the module stands. */
  readonly where: string
}

/** Modules by section. */
export type JaasFile = ReadonlyMap<string, readonly JaasModule[]>

export const DIGEST_MODULE = 'org.apache.zookeeper.server.auth.DigestLoginModule'
export const KERBEROS_MODULE = 'com.sun.security.auth.module.Krb5LoginModule'

/** `property` has the system properties for `${name}`. Throws ConfigError with `fileName` and line. */
export function parseJaas(text: string, fileName: string, property: (name: string) => string | null): JaasFile {
  return new Parser(tokenize(text, fileName), fileName, property).file()
}

/** As in Java, one Kerberos module makes a section speak GSSAPI. */
export function isKerberos(modules: readonly JaasModule[]): boolean {
  return modules.some(({ className }) => className === KERBEROS_MODULE)
}

/** Refuses login modules that this server does not have. */
export function checkModules(modules: readonly JaasModule[]): void {
  for (const { className, where } of modules) {
    if (className === DIGEST_MODULE || className === KERBEROS_MODULE) continue
    throw new ConfigError(
      `${where}: ${className} is not one of the login modules there are: ${DIGEST_MODULE} and ${KERBEROS_MODULE}`,
    )
  }
}

interface Token {
  /** `word` and `quoted` have a text; a mark is one of `{ } ; = ,`; `other` is what no JAAS file may contain there. */
  readonly kind: 'word' | 'quoted' | 'mark' | 'other' | 'end'
  readonly text: string
  readonly line: number
}

function tokenize(text: string, fileName: string): Token[] {
  const tokens: Token[] = []
  let line = 1
  let at = 0
  while (at < text.length) {
    const char = text[at]!
    const rest = text.slice(at, at + 2)
    if (char === '\n') {
      line++
      at++
    } else if (/[\s\0-\x20]/.test(char)) {
      at++
    } else if (rest === '/*') {
      const end = text.indexOf('*/', at + 2)
      if (end < 0) throw new ConfigError(`${fileName}:${line}: a comment without its end`)
      line += text.slice(at, end).split('\n').length - 1
      at = end + 2
    } else if (char === '/') {
      while (at < text.length && text[at] !== '\n') at++
    } else if (char === '"') {
      const { value, end } = quoted(text, at, `${fileName}:${line}`)
      tokens.push({ kind: 'quoted', text: value, line })
      at = end
    } else {
      const word = /^[A-Za-z$_*\xa0-\uffff][A-Za-z0-9$_*.\-\xa0-\uffff]*/.exec(text.slice(at, at + 4096))?.[0]
      if (word !== undefined) {
        tokens.push({ kind: 'word', text: word, line })
        at += word.length
      } else {
        tokens.push({ kind: '{};=,'.includes(char) ? 'mark' : 'other', text: char, line })
        at++
      }
    }
  }
  tokens.push({ kind: 'end', text: '', line })
  return tokens
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

/** A string from its opening quote at `off`; `end` is behind the closing one. */
function quoted(text: string, off: number, where: string): { value: string; end: number } {
  let value = ''
  let at = off + 1
  for (;;) {
    const char = text[at]
    if (char === undefined || char === '\n' || char === '\r')
      throw new ConfigError(`${where}: a string without its end`)
    if (char === '"') return { value, end: at + 1 }
    if (char !== '\\') {
      value += char
      at++
      continue
    }
    const octal = /^[0-3]?[0-7]{1,2}/.exec(text.slice(at + 1, at + 4))?.[0]
    if (octal !== undefined) {
      value += String.fromCharCode(Number.parseInt(octal, 8))
      at += 1 + octal.length
    } else {
      const escaped = text[at + 1] ?? ''
      value += ESCAPES[escaped] ?? escaped
      at += 2
    }
  }
}

class Parser {
  private readonly tokens: readonly Token[]
  private readonly fileName: string
  private readonly property: (name: string) => string | null
  private at: number

  constructor(tokens: readonly Token[], fileName: string, property: (name: string) => string | null) {
    this.tokens = tokens
    this.fileName = fileName
    this.property = property
    this.at = 0
  }

  file(): JaasFile {
    const sections = new Map<string, JaasModule[]>()
    while (this.next().kind !== 'end') {
      const line = this.next().line
      const name = this.take('a section name')
      this.mark('{')
      const modules: JaasModule[] = []
      while (!this.isMark('}')) modules.push(this.module())
      this.mark('}')
      this.mark(';')
      if (sections.has(name)) throw this.refuse(line, `a second section ${name}`)
      sections.set(name, modules)
    }
    return sections
  }

  private module(): JaasModule {
    const where = `${this.fileName}:${this.next().line}`
    const className = this.take('the class of a login module')
    const { line } = this.next()
    const flag = this.take('required, requisite, sufficient or optional').toLowerCase()
    if (flag !== 'required' && flag !== 'requisite' && flag !== 'sufficient' && flag !== 'optional') {
      throw this.refuse(line, `expected required, requisite, sufficient or optional behind ${className}`)
    }
    const options = new Map<string, Secret>()
    while (!this.isMark(';')) {
      const key = this.take('the name of an option, or a semicolon')
      this.mark('=')
      const { kind, text } = this.next()
      if (kind === 'other' && /[-.0-9]/.test(text)) {
        throw this.refuse(this.next().line, `the value of ${key} begins like a number: put it in quotes`)
      }
      options.set(key, new Secret(this.expanded(this.take(`the value of ${key}`), key)))
    }
    this.mark(';')
    return { className, flag, options, where }
  }

  /** `${name}` becomes a system property, `${/}` the separator of paths; `${{...}}` stays. */
  private expanded(value: string, key: string): string {
    const { line } = this.tokens[this.at - 1]!
    const result = value.replace(/\$\{\{.*?\}\}|\$\{([^}]*)\}/g, (all, name: string | undefined) => {
      if (name === undefined) return all
      const found = name === '/' ? '/' : this.property(name)
      if (found === null) throw this.refuse(line, `${key} names the system property ${name}, which is not set`)
      return found
    })
    if (value !== '' && result === '') throw this.refuse(line, `the value of ${key} expands to nothing`)
    return result
  }

  private next(): Token {
    return this.tokens[this.at]!
  }

  private isMark(mark: string): boolean {
    const { kind, text } = this.next()
    return kind === 'mark' && text === mark
  }

  private take(what: string): string {
    const token = this.next()
    if (token.kind !== 'word' && token.kind !== 'quoted') throw this.unexpected(what)
    this.at++
    return token.text
  }

  private mark(mark: string): void {
    if (!this.isMark(mark)) throw this.unexpected(mark)
    this.at++
  }

  private unexpected(what: string): ConfigError {
    const { kind, text, line } = this.next()
    const found = kind === 'end' ? 'the end of the file' : kind === 'mark' || kind === 'other' ? text : 'a word'
    return this.refuse(line, `expected ${what}, found ${found}`)
  }

  private refuse(line: number, message: string): ConfigError {
    return new ConfigError(`${this.fileName}:${line}: ${message}`)
  }
}
