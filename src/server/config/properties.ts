/**
 * Java properties syntax, as `java.util.Properties.load` reads it, keeping the line each key came from.
 *
 * A logical line is one or more natural lines joined by a backslash before the line end; leading blanks of a joined
 * line are dropped. Comments begin with `#` or `!` and are never joined. The key ends at the first unescaped `=`, `:`
 * or blank. `\t \n \r \f \uXXXX` are escapes, a backslash before anything else is dropped. A later entry of the same
 * key wins. The text is what the bytes are in ISO-8859-1, because that is how Java reads the file.
 *
 * Also here: splitting the words of an environment variable such as SERVER_JVMFLAGS into system properties.
 */

export interface PropertyEntry {
  readonly key: string
  readonly value: string
  /** Of the first natural line, from 1. */
  readonly line: number
}

export class PropertySyntaxError extends Error {
  override name = 'PropertySyntaxError'
  readonly line: number

  constructor(message: string, line: number) {
    super(message)
    this.line = line
  }
}

/** All entries in file order, repeated keys included. */
export function parseProperties(text: string): PropertyEntry[] {
  const entries: PropertyEntry[] = []
  const lines = text.split(/\r\n|\r|\n/)
  for (let i = 0; i < lines.length; i++) {
    const line = i + 1
    let logical = trimStart(lines[i]!)
    while (logical !== '' && logical[0] !== '#' && logical[0] !== '!' && endsInOddBackslashes(logical)) {
      logical = logical.slice(0, -1)
      // A backslash at the very end (of bytes, or before one last line end) still makes an entry, if only an empty one.
      const restIsEmpty = i + 2 === lines.length && lines[i + 1] === '' && !text.endsWith('\r\n')
      if (i + 1 === lines.length || restIsEmpty) return [...entries, splitEntry(logical, line)]
      logical += trimStart(lines[++i]!)
    }
    if (logical === '' || logical[0] === '#' || logical[0] === '!') continue
    entries.push(splitEntry(logical, line))
  }
  return entries
}

/** The words of a shell-like string: blanks separate, single and double quotes and backslashes protect. */
export function splitWords(text: string): string[] {
  const words: string[] = []
  let word = ''
  let inWord = false
  let quote = ''
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!
    if (quote !== '') {
      if (c === quote) quote = ''
      else if (c === '\\' && quote === '"' && i + 1 < text.length && '"\\'.includes(text[i + 1]!)) word += text[++i]
      else word += c
    } else if (c === '"' || c === "'") {
      quote = c
      inWord = true
    } else if (c === '\\' && i + 1 < text.length) {
      word += text[++i]
      inWord = true
    } else if (/\s/.test(c)) {
      if (inWord) words.push(word)
      word = ''
      inWord = false
    } else {
      word += c
      inWord = true
    }
  }
  if (inWord) words.push(word)
  return words
}

/** System properties (`-Dname=value`) among the words of JVM flags; the last of a name wins, as in a java command. */
export function systemPropertiesOf(words: readonly string[]): Map<string, string> {
  const properties = new Map<string, string>()
  for (const word of words) {
    if (!word.startsWith('-D') || word.length === 2) continue
    const equals = word.indexOf('=')
    if (equals === -1) properties.set(word.slice(2), '')
    else properties.set(word.slice(2, equals), word.slice(equals + 1))
  }
  return properties
}

function trimStart(line: string): string {
  return line.replace(/^[ \t\f]+/, '')
}

function endsInOddBackslashes(line: string): boolean {
  let count = 0
  while (count < line.length && line[line.length - 1 - count] === '\\') count++
  return count % 2 === 1
}

function splitEntry(logical: string, line: number): PropertyEntry {
  let keyEnd = 0
  while (keyEnd < logical.length && !'=: \t\f'.includes(logical[keyEnd]!)) keyEnd += logical[keyEnd] === '\\' ? 2 : 1
  keyEnd = Math.min(keyEnd, logical.length)
  let valueStart = keyEnd
  while (' \t\f'.includes(logical[valueStart] ?? 'x')) valueStart++
  if ('=:'.includes(logical[valueStart] ?? 'x')) {
    valueStart++
    while (' \t\f'.includes(logical[valueStart] ?? 'x')) valueStart++
  }
  return { key: unescaped(logical.slice(0, keyEnd), line), value: unescaped(logical.slice(valueStart), line), line }
}

function unescaped(text: string, line: number): string {
  if (!text.includes('\\')) return text
  let out = ''
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '\\') {
      out += text[i]
      continue
    }
    const c = text[++i] ?? ''
    if (c === 'u') {
      const hex = text.slice(i + 1, i + 5)
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw new PropertySyntaxError('malformed \\uxxxx escape', line)
      out += String.fromCharCode(Number.parseInt(hex, 16))
      i += 4
    } else if (c === 't') out += '\t'
    else if (c === 'n') out += '\n'
    else if (c === 'r') out += '\r'
    else if (c === 'f') out += '\f'
    else out += c
  }
  return out
}
