/** Which settings are secrets, and the text of a configuration without them. Pure. */

import { knownKey, nearestKey } from './configkeys.ts'
import { parseProperties } from './properties.ts'

export const MASK = '***'

/** The value of such a key is nobody's business, nor is that of a key that was meant to be one. */
export function isSecretKey(key: string): boolean {
  if (isNamedSecret(key)) return true
  if (knownKey(key.replace(/^zookeeper\./, '')) !== null) return false
  const meant = nearestKey(key)
  return meant !== null && isNamedSecret(meant)
}

/** A path to a file with a secret is no secret. */
function isNamedSecret(key: string): boolean {
  return /passw|secret|superdigest|token|credential/i.test(key) && !/(path|file|location)$/i.test(key)
}

/** A zoo.cfg as it was written, with the values of secrets masked. */
export function maskSecrets(text: string): string {
  let masked = ''
  for (const line of logicalLines(text)) {
    const key = keyOf(line)
    masked += key !== null && isSecretKey(key) ? `${key}=${MASK}${/\r?\n$/.exec(line)?.[0] ?? ''}` : line
  }
  return masked
}

/** Lines with those that go on behind a backslash. */
function logicalLines(text: string): string[] {
  const lines: string[] = []
  let open = false
  for (const line of text.match(/[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$/g) ?? []) {
    const comment: boolean = !open && /^\s*[#!]/.test(line)
    if (open) lines[lines.length - 1] += line
    else lines.push(line)
    open = !comment && /\\*$/.exec(line.replace(/[\r\n]+$/, ''))![0].length % 2 === 1
  }
  return lines
}

function keyOf(line: string): string | null {
  try {
    return parseProperties(line)[0]?.key.trim() ?? null
  } catch {
    return null // the start was refused for it
  }
}
