/**
 * The words of a typed line and of the launching command line, taken apart as Apache's client does: blanks separate,
 * single or double quotes keep a word together if it begins and ends with them, and no character escapes another.
 * Java: ZooKeeperMain.MyCommandOptions.
 */

/** A quote that opens no quoted text is no part of any word. */
const WORD = /[ \t\n\v\f\r]*([^"'][^ \t\n\v\f\r]*|"[^"]*"|'[^']*')[ \t\n\v\f\r]*/g
const QUOTED = /^(['"])(.*)\1$/

export function splitLine(line: string): string[] {
  return [...line.matchAll(WORD)].map(([, word]) => (QUOTED.test(word!) ? word!.slice(1, -1) : word!))
}

export interface Launch {
  readonly server: string
  /** As it was written: what is no number is refused where it is used. */
  readonly timeout: string
  readonly readOnly: boolean
  readonly waitForConnection: boolean
  readonly clientConfiguration: string | null
  readonly json: boolean
  /** Somebody asks what there is. */
  readonly help: boolean
  /** A command to run in place of a session, with its arguments. */
  readonly command: readonly string[] | null
  /** An option that lacks its argument; those behind it were not read. */
  readonly lacking: string | null
}

/** Options that nobody knows are passed over, as in Java. */
export function parseLaunch(words: readonly string[]): Launch {
  const found: Record<string, string> = {}
  let lacking: string | null = null
  let at = 0
  for (; at < words.length && words[at]!.startsWith('-') && lacking === null; at++) {
    const word = words[at]!
    if (word === '-server' || word === '-timeout' || word === '-client-configuration') {
      if (at + 1 === words.length) lacking = word
      else found[word] = words[++at]!
    } else found[word] = ''
  }
  return {
    server: found['-server'] ?? 'localhost:2181',
    timeout: found['-timeout'] ?? '30000',
    readOnly: '-r' in found,
    waitForConnection: '-waitforconnection' in found,
    clientConfiguration: found['-client-configuration'] ?? null,
    json: '--json' in found,
    help: ['-h', '-help', '--help'].some((word) => word in found),
    command: at < words.length ? words.slice(at) : null,
    lacking,
  }
}
