/**
 * What the tab key offers: commands for the first word, a command's options behind a dash, paths behind a slash. Pure;
 * children of a path come from whoever asks. Java: JLineZNodeCompleter, which offers commands at every place.
 */

import { childPath } from '../../client/paths.ts'
import { COMMAND_NAMES, COMMANDS } from './table.ts'

export type Wanted =
  | { readonly kind: 'words'; readonly token: string; readonly candidates: readonly string[] }
  | { readonly kind: 'path'; readonly token: string; readonly parent: string; readonly prefix: string }

/** What is wanted at the end of `line`. `token` is the part that candidates replace. */
export function wantedAt(line: string): Wanted {
  const words = line.trimStart().split(/\s+/)
  const token = words.at(-1)!
  if (words.length === 1) {
    // A blank behind it: the next word can follow at once.
    const candidates = COMMAND_NAMES.filter((name) => name.startsWith(token)).map((name) => `${name} `)
    return { kind: 'words', token, candidates }
  }
  if (token.startsWith('-')) {
    const options = COMMANDS.get(words[0]!)?.options?.options ?? []
    const names = options.map(({ name }) => `-${name}`).filter((name) => name !== '-?')
    return { kind: 'words', token, candidates: names.filter((name) => name.startsWith(token)).sort() }
  }
  // A path may stand in quotes.
  const path = token.replace(/^["']/, '')
  if (!path.startsWith('/')) return { kind: 'words', token, candidates: [] }
  const slash = path.lastIndexOf('/')
  return { kind: 'path', token: path, parent: path.slice(0, slash) || '/', prefix: path.slice(slash + 1) }
}

/** Full paths of those children that begin with the prefix. */
export function pathCandidates(parent: string, prefix: string, children: readonly string[]): string[] {
  return children
    .filter((name) => name.startsWith(prefix))
    .sort()
    .map((name) => childPath(parent, name))
}
