/**
 * The lines typed at a terminal, kept from one run to the next in a file that only its owner may read. Credentials are
 * not kept. A file that cannot be read or written costs nothing but the lines.
 *
 * The file: `$ZKCLI_HISTORY` if it is set (empty: none), else zoowarden/zkcli_history below $XDG_STATE_HOME, which is
 * ~/.local/state where it is not set. One line each, the newest last.
 */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const LINES_MAX = 1000

/** Null for nowhere. */
export function historyFile(env: Readonly<Record<string, string | undefined>>, home: string): string | null {
  const { ZKCLI_HISTORY: named, XDG_STATE_HOME: state } = env
  if (named !== undefined) return named === '' ? null : named
  if (home === '' && !state) return null
  return join(state || join(home, '.local', 'state'), 'zoowarden', 'zkcli_history')
}

export function isKept(line: string): boolean {
  return line.trim() !== '' && !/^\s*addauth\b/.test(line)
}

/** Oldest first. */
export function readHistory(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
  } catch {
    return []
  }
}

export function writeHistory(file: string, lines: readonly string[]): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    const temp = `${file}.${process.pid}`
    writeFileSync(
      temp,
      lines
        .slice(-LINES_MAX)
        .map((line) => `${line}\n`)
        .join(''),
      { mode: 0o600 },
    )
    renameSync(temp, file)
  } catch {
    // A home that cannot be written is no reason to say anything.
  }
}
