/**
 * Settings as they were written, and their reading as numbers, booleans and words.
 *
 * A `Settings` holds the entries of one file and the system properties, applies Java's precedence (the file over -D),
 * and remembers for every value where it stands, so that each refusal can say `zoo.cfg:7: ...`. Numbers follow
 * Integer.parseInt for `file` keys and Integer.decode (0x, # and leading 0) for the others, as Java's two ways of
 * reading them do; where Java would quietly take the default for a malformed number, this refuses to start.
 */

import { isForeignProperty, type KeyKind, knownKey, looksLikeJvmKey, nearestKey } from './configkeys.ts'
import { type PropertyEntry, PropertySyntaxError, parseProperties } from './properties.ts'
import { isSecretKey, MASK } from './secrets.ts'

/** A configuration that cannot be used. The message begins with file and line where these are known. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** Text that never shows itself: in logs, JSON, errors and inspection it prints as `***`. */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself; ask only where it is compared or handed to a cryptographic function. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return '***'
  }

  toJSON(): string {
    return '***'
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '***'
  }
}

export interface Setting {
  readonly value: string
  /** `zoo.cfg:7` or `-Dzookeeper.snapCount`. */
  readonly where: string
}

export interface IntRange {
  readonly min?: number
  readonly max?: number
}

const INT_MAX = 2 ** 31 - 1
const LONG_MAX = 2n ** 63n - 1n

export class Settings {
  readonly fileName: string
  readonly warnings: string[]
  private readonly file: Map<string, Setting>
  private readonly system: ReadonlyMap<string, string>

  constructor(text: string, fileName: string, system: ReadonlyMap<string, string>) {
    this.fileName = fileName
    this.warnings = []
    this.file = new Map()
    this.system = system
    for (const entry of readEntries(text, fileName)) {
      const before = this.file.get(entry.key.trim())
      const where = `${fileName}:${entry.line}`
      if (before !== undefined)
        this.warn(before.where, `${entry.key.trim()} is set again at ${where}; the later one counts`)
      this.file.set(entry.key.trim(), { value: entry.value.trim(), where })
    }
  }

  /** The setting of a key of this kind, or null. */
  find(key: string, kind: KeyKind = kindOf(key)): Setting | null {
    if (kind !== 'jvm') {
      const inFile = this.file.get(key)
      if (inFile !== undefined) return inFile
    }
    if (kind === 'file') return null
    const name = kind === 'jvm' ? key : `zookeeper.${key}`
    const value = this.system.get(name)
    return value === undefined ? null : { value: value.trim(), where: `-D${name}` }
  }

  text(key: string): string | null {
    return this.find(key)?.value ?? null
  }

  int(key: string, fallback: number, range: IntRange = {}): number {
    return this.number(key, fallback, { min: range.min ?? -INT_MAX - 1, max: range.max ?? INT_MAX })
  }

  /** A Java long. Beyond 2^53 it is the nearest number, which is as good as infinite for every limit there is. */
  long(key: string, fallback: number, range: IntRange = {}): number {
    return this.number(key, fallback, { min: range.min ?? -(2 ** 63), max: range.max ?? 2 ** 63 })
  }

  private number(key: string, fallback: number, range: Required<IntRange>): number {
    const setting = this.find(key)
    if (setting === null) return fallback
    const value = parseJavaInteger(setting.value, kindOf(key) !== 'file')
    if (value === null) throw this.refuse(setting, `${key}=${setting.value} is not a number${hintOf(setting.value)}`)
    if (value < range.min || value > range.max) {
      const limits = range.max >= INT_MAX ? `at least ${range.min}` : `between ${range.min} and ${range.max}`
      throw this.refuse(setting, `${key}=${setting.value} is out of range: it must be ${limits}`)
    }
    return value
  }

  decimal(key: string, fallback: number): number {
    const setting = this.find(key)
    if (setting === null) return fallback
    const value = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(setting.value) ? Number(setting.value) : Number.NaN
    if (Number.isNaN(value))
      throw this.refuse(setting, `${key}=${setting.value} is not a number${hintOf(setting.value)}`)
    return value
  }

  /**
   * A boolean. `file` keys take true and false only, in any case; properties are false unless `true`, as in Java, but
   * anything else than the two words is worth a warning.
   */
  boolean(key: string, fallback: boolean): boolean {
    const setting = this.find(key)
    if (setting === null) return fallback
    const lower = setting.value.toLowerCase()
    if (lower === 'true') return true
    if (lower === 'false') return false
    if (kindOf(key) === 'file') {
      throw this.refuse(setting, `${key}=${setting.value} must be true or false${hintOf(setting.value)}`)
    }
    this.warn(setting.where, `${key}=${setting.value} counts as false: only true and false mean something here`)
    return false
  }

  /** A switch spelt with words of its own: `word` turns it to `!fallback`, everything else leaves it. */
  word(key: string, word: string, otherWord: string, fallback: boolean): boolean {
    const setting = this.find(key)
    if (setting === null) return fallback
    if (setting.value === word) return !fallback
    if (setting.value !== otherWord) {
      this.warn(
        setting.where,
        `${key}=${setting.value} counts as ${otherWord}: only ${word} and ${otherWord} mean something here`,
      )
    }
    return fallback
  }

  secret(key: string): Secret | null {
    const setting = this.find(key)
    return setting === null ? null : new Secret(setting.value)
  }

  /** Settings whose key begins with `prefix`, from the file, then (for properties) those only given with -D. */
  family(prefix: string, kind: KeyKind): Map<string, Setting> {
    const found = new Map<string, Setting>()
    for (const [key, setting] of this.file) if (key.startsWith(prefix)) found.set(key, setting)
    if (kind === 'property') {
      const full = `zookeeper.${prefix}`
      for (const [name, value] of this.system) {
        const key = name.slice('zookeeper.'.length)
        if (name.startsWith(full) && !found.has(key)) found.set(key, { value, where: `-D${name}` })
      }
    }
    return found
  }

  /** Every system property as Java would have it, sorted: -D, and what the file says besides its own keys. */
  properties(): [name: string, value: string][] {
    const found = new Map(this.system)
    for (const [key, { value }] of this.file) {
      const kind = knownKey(key)?.kind ?? 'property'
      if (kind !== 'file') found.set(`zookeeper.${key}`, value)
    }
    const masked = (name: string, value: string): string => (isSecretKey(name) ? MASK : value)
    return [...found].map(([name, value]): [string, string] => [name, masked(name, value)]).sort(byName)
  }

  refuse(setting: Setting | null, message: string): ConfigError {
    return new ConfigError(`${setting?.where ?? this.fileName}: ${message}`)
  }

  warn(where: string, message: string): void {
    this.warnings.push(`${where}: ${message}`)
  }

  /** One warning for every setting that changes nothing: no effect here, wrong place, or a name nobody knows. */
  warnOfIdleSettings(): void {
    for (const [key, setting] of this.file) {
      const known = knownKey(key)
      if (known === null) this.warn(setting.where, `${key} is not a known setting and is ignored${suggestion(key)}`)
      else if (known.kind === 'jvm') {
        this.warn(
          setting.where,
          `${key} has no effect in the file: give it as -D${key}=${setting.value} in SERVER_JVMFLAGS`,
        )
      } else if (known.noEffect !== null) this.warn(setting.where, `${key} has no effect: ${known.noEffect}`)
    }
    for (const name of this.system.keys()) this.warnOfIdleProperty(name)
  }

  private warnOfIdleProperty(name: string): void {
    const where = `-D${name}`
    if (!name.startsWith('zookeeper.')) {
      const known = knownKey(name)
      if (known?.kind === 'jvm' && known.noEffect !== null) this.warn(where, `has no effect: ${known.noEffect}`)
      else if (known?.kind !== 'jvm' && name !== 'fsync.warningthresholdms' && looksLikeJvmKey(name)) {
        this.warn(where, `is not a known setting and is ignored${suggestion(name)}`)
      }
      return
    }
    const key = name.slice('zookeeper.'.length)
    const known = knownKey(key)
    if (known === null) {
      if (!isForeignProperty(name)) this.warn(where, `is not a known setting and is ignored${suggestion(key)}`)
    } else if (known.kind === 'jvm') this.warn(where, `has no effect: the name is -D${key}, without zookeeper.`)
    else if (known.kind === 'file' && !key.startsWith('multiAddress.')) {
      this.warn(where, `has no effect: ${key} is read from the file only`)
    } else if (this.file.has(key)) {
      this.warn(where, `is overridden by ${this.file.get(key)!.where}`)
    } else if (known.noEffect !== null) this.warn(where, `has no effect: ${known.noEffect}`)
  }
}

/** Integer.parseInt, or Integer.decode with `decode`; null when malformed or beyond a Java long. */
export function parseJavaInteger(text: string, decode: boolean): number | null {
  const match = decode
    ? /^([+-]?)(?:(?:0[xX]|#)([0-9a-fA-F]+)|0([0-7]+)|(0|[1-9]\d*))$/.exec(text)
    : /^([+-]?)(\d+)$/.exec(text)
  if (match === null) return null
  const [, sign, first, octal, plain] = match
  const magnitude = !decode
    ? BigInt(first!)
    : first !== undefined
      ? BigInt(`0x${first}`)
      : octal !== undefined
        ? BigInt(`0o${octal}`)
        : BigInt(plain!)
  if (magnitude > LONG_MAX) return null
  return sign === '-' ? -Number(magnitude) : Number(magnitude)
}

function kindOf(key: string): KeyKind {
  return knownKey(key)?.kind ?? 'property'
}

/** The entries of a properties text; a syntax error becomes a ConfigError with its line. */
export function readEntries(text: string, fileName: string): PropertyEntry[] {
  try {
    return parseProperties(text)
  } catch (err) {
    if (err instanceof PropertySyntaxError) throw new ConfigError(`${fileName}:${err.line}: ${err.message}`)
    throw err
  }
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function suggestion(key: string): string {
  const nearest = nearestKey(key)
  if (nearest === null) return ''
  if (key === `zookeeper.${nearest}`) return `; in the file its name is ${nearest}, without zookeeper.`
  return `; did you mean ${nearest}?`
}

function hintOf(value: string): string {
  return /\s[#!]/.test(value) ? ' (a comment needs a line of its own)' : ''
}
