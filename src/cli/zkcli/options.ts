/**
 * A command's options, read and explained as commons-cli 1.5 does for Apache's client, with its words for mistakes.
 *
 * All options are "short" in its sense: one dash, a name of one or more letters (`-v 3`, `-v=3`, `-v3`, `-sw`, `-file x`;
 * `--` ends them). A word that begins with a dash is an option, unless it is a negative number behind an option that
 * takes a value. Java: DefaultParser, Options, OptionGroup, HelpFormatter.
 */

import { CommandFailure } from './failures.ts'

export interface OptionSpec {
  readonly name: string
  readonly takesValue: boolean
  readonly description: string
}

export interface OptionTable {
  readonly options: readonly OptionSpec[]
  /** At most one of them may be given; exactly one with 'one'. */
  readonly exclusive: 'no' | 'atMostOne' | 'one'
}

export interface ParsedOptions {
  /** The command's name is the first. */
  readonly words: readonly string[]
  has(name: string): boolean
  /** The first value given; null without the option. */
  value(name: string): string | null
}

const HELP_INDENT = ' '
const HELP_GAP = '   '

export function options(...specs: (string | readonly [name: string, description: string])[]): OptionTable {
  return { options: specs.map(specOf), exclusive: 'no' }
}

export function exclusiveOptions(
  exclusive: 'atMostOne' | 'one',
  ...specs: (readonly [name: string, description: string])[]
): OptionTable {
  return { options: specs.map(specOf), exclusive }
}

/** `v:` takes a value. */
function specOf(spec: string | readonly [name: string, description: string]): OptionSpec {
  const [text, description] = typeof spec === 'string' ? [spec, ''] : spec
  const takesValue = text.endsWith(':')
  return { name: takesValue ? text.slice(0, -1) : text, takesValue, description }
}

/** Throws CommandFailure. `args` begins with the command's name. */
export function parseOptions(args: readonly string[], table: OptionTable): ParsedOptions {
  const specs = new Map(table.options.map((spec) => [spec.name, spec]))
  const given = new Map<string, string[]>()
  const words: string[] = []
  let selected: string | null = null
  /** The option whose value is to come. */
  let open: string | null = null

  const give = (spec: OptionSpec): void => {
    if (open !== null) throw lacksValue(open)
    if (table.exclusive !== 'no') {
      if (selected !== null && selected !== spec.name) {
        throw mistake(
          'AlreadySelectedException',
          `The option '${spec.name}' was specified but an option from this group has already been selected: '${selected}'`,
        )
      }
      selected = spec.name
    }
    if (!given.has(spec.name)) given.set(spec.name, [])
    open = spec.takesValue ? spec.name : null
  }
  const giveValue = (value: string): void => {
    given.get(open!)!.push(value)
    open = null
  }
  const giveLetters = (word: string): void => {
    for (let i = 1; i < word.length; i++) {
      const spec = specs.get(word[i]!)
      if (spec === undefined) throw unrecognized(word)
      give(spec)
      if (open !== null && i + 1 < word.length) {
        giveValue(word.slice(i + 1))
        return
      }
    }
  }
  const giveWord = (word: string): void => {
    const name = word.slice(1)
    const equals = name.indexOf('=')
    if (equals < 0) {
      const spec = specs.get(name)
      if (spec !== undefined) give(spec)
      else giveLetters(word)
      return
    }
    const spec = specs.get(name.slice(0, equals))
    if (equals !== 1 || spec === undefined || !spec.takesValue) throw unrecognized(word)
    give(spec)
    giveValue(name.slice(equals + 1))
  }

  let onlyWords = false
  for (const word of args) {
    if (onlyWords) words.push(word)
    else if (word === '--') onlyWords = true
    else if (open !== null && (!looksLikeOption(word, specs) || isNumber(word))) giveValue(unquoted(word))
    else if (word.startsWith('--')) throw unrecognized(word)
    else if (word.startsWith('-') && word !== '-') giveWord(word)
    else words.push(word)
  }
  if (open !== null) throw lacksValue(open)
  if (table.exclusive === 'one' && selected === null) {
    const all = table.options.map(({ name, description }) => `-${name} ${description}`)
    throw mistake('MissingOptionException', `Missing required option: [${all.join(', ')}]`)
  }
  return { words, has: (name) => given.has(name), value: (name) => given.get(name)?.[0] ?? null }
}

/** One line for each option, as a help text has them; no line end behind the last. */
export function optionsHelp(table: OptionTable): string {
  const rows = [...table.options]
    .sort((a, b) => compareIgnoringCase(a.name, b.name))
    .map(({ name, takesValue, description }) => ({ option: `-${name}${takesValue ? ' <arg>' : ''}`, description }))
  const width = Math.max(...rows.map(({ option }) => option.length))
  return rows
    .map(({ option, description }) => `${HELP_INDENT}${option.padEnd(width)}${HELP_GAP}${description}`)
    .join('\n')
}

function compareIgnoringCase(a: string, b: string): number {
  const [left, right] = [a.toLowerCase(), b.toLowerCase()]
  return left < right ? -1 : left > right ? 1 : 0
}

function looksLikeOption(word: string, specs: ReadonlyMap<string, OptionSpec>): boolean {
  if (!word.startsWith('-') || word.length === 1) return false
  const equals = word.indexOf('=')
  const name = word.slice(1, equals < 0 ? undefined : equals)
  return specs.has(name) || (name !== '' && specs.has(name[0]!))
}

/** What Double.parseDouble reads, as far as it can begin with a dash. */
function isNumber(word: string): boolean {
  return /^\s*[+-]?(NaN|Infinity|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[fFdD]?)\s*$/.test(word)
}

function unquoted(word: string): string {
  const inner = word.slice(1, -1)
  return word.length > 1 && word.startsWith('"') && word.endsWith('"') && !inner.includes('"') ? inner : word
}

function unrecognized(word: string): CommandFailure {
  return mistake('UnrecognizedOptionException', `Unrecognized option: ${word}`)
}

function lacksValue(name: string): CommandFailure {
  return mistake('MissingArgumentException', `Missing argument for option: ${name}`)
}

/** Scripts find the name of Java's exception in front of the words. */
function mistake(className: string, message: string): CommandFailure {
  return new CommandFailure(`org.apache.commons.cli.${className}: ${message}`)
}
