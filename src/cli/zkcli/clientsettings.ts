/**
 * The client's settings: system properties of CLIENT_JVMFLAGS and JVMFLAGS, and over them the file of
 * `-client-configuration`, in the syntax of Java's properties. What is rarely used is loaded only when a setting asks
 * for it. Java: ZKClientConfig, ZKConfig, ZooKeeperSaslClient.
 */

import { readFileSync } from 'node:fs'
import type { SessionShell } from '../../client/session.ts'
import { JUTE_MAX_BUFFER } from '../../jute/input.ts'
import { PropertySyntaxError, parseProperties, splitWords, systemPropertiesOf } from '../../server/properties.ts'
import { ConfigError, parseJavaInteger } from '../../server/settings.ts'

export interface ClientSettings {
  readonly requestTimeoutMs: number
  readonly resetsWatches: boolean
  readonly answerBytesMax: number
  readonly upgrade: SessionShell['upgrade']
  readonly sasl: SessionShell['sasl']
}

/** Throws ConfigError with the setting and what is wrong with it. */
export async function readClientSettings(
  file: string | null,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ClientSettings> {
  const flags = [...splitWords(env['CLIENT_JVMFLAGS'] ?? ''), ...splitWords(env['JVMFLAGS'] ?? '')]
  const properties = systemPropertiesOf(flags)
  if (file !== null) for (const [key, value] of fileProperties(file)) properties.set(key, value)
  const isTrue = (key: string): boolean => properties.get(key)?.trim().toLowerCase() === 'true'
  return {
    requestTimeoutMs: numberOf(properties, 'zookeeper.request.timeout', 0),
    resetsWatches: !isTrue('zookeeper.disableAutoWatchReset'),
    answerBytesMax: numberOf(properties, 'jute.maxbuffer', JUTE_MAX_BUFFER),
    upgrade: null,
    sasl: null,
  }
}

function fileProperties(file: string): Map<string, string> {
  let text: string
  try {
    text = readFileSync(file, 'latin1')
  } catch (err) {
    throw new ConfigError(`Error while processing ${file}: ${err instanceof Error ? err.message : err}`)
  }
  try {
    return new Map(parseProperties(text).map(({ key, value }) => [key.trim(), value.trim()]))
  } catch (err) {
    if (err instanceof PropertySyntaxError) throw new ConfigError(`${file}:${err.line}: ${err.message}`)
    throw err
  }
}

function numberOf(properties: ReadonlyMap<string, string>, key: string, fallback: number): number {
  const text = properties.get(key)
  if (text === undefined) return fallback
  const value = parseJavaInteger(text.trim(), true)
  if (value === null || value < 0) throw new ConfigError(`${key}=${text} is not a number of this kind`)
  return value
}
