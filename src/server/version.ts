/**
 * What this server says it is. Clients and tools read the leading 3.9.5, the protocol and file formats it speaks; the
 * rest of the line has Java's shape.
 */

import { readFileSync } from 'node:fs'

export const ZOOKEEPER_VERSION = '3.9.5'

/** Of this package's release. */
export const BUILT_ON = '2026-11-23 09:00 UTC'

/** As in package.json, which lies two folders above both src/server and dist/server. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const parsed: unknown = JSON.parse(text)
  if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) return String(parsed.version)
  throw new Error('package.json without a version')
}

/** The text of `zk_version`, `srvr` and `envi`. */
export function fullVersion(packaged: string): string {
  return `${ZOOKEEPER_VERSION}-zoowarden-${packaged}, built on ${BUILT_ON}`
}
