/**
 * The client's settings: system properties of CLIENT_JVMFLAGS and JVMFLAGS, and over them the file of
 * `-client-configuration`, in the syntax of Java's properties. What is rarely used is loaded only when a setting asks
 * for it. Java: ZKClientConfig, ZKConfig, ZooKeeperSaslClient.
 */

import { readFileSync } from 'node:fs'
import type { SessionShell } from '../../client/session.ts'
import { JUTE_MAX_BUFFER } from '../../jute/input.ts'
import { PropertySyntaxError, parseProperties, splitWords, systemPropertiesOf } from '../../server/config/properties.ts'
import { ConfigError, parseJavaInteger, Settings } from '../../server/config/settings.ts'

const JAAS_KEY = 'java.security.auth.login.config'

export interface ClientSettings {
  readonly requestTimeoutMs: number
  readonly resetsWatches: boolean
  readonly answerBytesMax: number
  readonly upgrade: SessionShell['upgrade']
  readonly sasl: SessionShell['sasl']
}

/** Throws ConfigError with the setting and what is wrong with it. `warn` hears of what does not count as it is written. */
export async function readClientSettings(
  file: string | null,
  env: Readonly<Record<string, string | undefined>>,
  warn: (text: string) => void,
): Promise<ClientSettings> {
  const flags = [...splitWords(env['CLIENT_JVMFLAGS'] ?? ''), ...splitWords(env['JVMFLAGS'] ?? '')]
  const properties = systemPropertiesOf(flags)
  if (file !== null) for (const [key, value] of fileProperties(file)) properties.set(key, value)
  const settings = new Settings('', file ?? 'CLIENT_JVMFLAGS', properties)
  const client = {
    requestTimeoutMs: numberOf(properties, 'zookeeper.request.timeout', 0),
    resetsWatches: properties.get('zookeeper.disableAutoWatchReset')?.toLowerCase() !== 'true',
    answerBytesMax: numberOf(properties, 'jute.maxbuffer', JUTE_MAX_BUFFER),
    upgrade:
      properties.get('zookeeper.client.secure')?.toLowerCase() === 'true' ? await tlsUpgrade(settings, warn) : null,
    sasl: await saslLogin(settings, properties, env, warn),
  }
  for (const warning of settings.warnings) warn(warning)
  return client
}

async function tlsUpgrade(settings: Settings, warn: (text: string) => void): Promise<SessionShell['upgrade']> {
  const { openTlsEndpoint } = await import('../../server/tls/endpoint.ts')
  const { readTls } = await import('../../server/tls/tlsconfig.ts')
  const log = { info: () => {}, warn: (message: string) => warn(message) }
  // A session of commands is over before certificates are.
  const endpoint = openTlsEndpoint({ ...readTls(settings, 'ssl'), reload: false }, log, { serves: false })
  return (socket, hosts, done) => endpoint.connect(socket, hosts, done)
}

/**
 * Who has a JAAS file with the client's section logs in by it, unless zookeeper.sasl.client=false. As in Java a file
 * without the section only means that nobody logs in, which is worth a word.
 */
async function saslLogin(
  settings: Settings,
  properties: ReadonlyMap<string, string>,
  env: Readonly<Record<string, string | undefined>>,
  warn: (text: string) => void,
): Promise<SessionShell['sasl']> {
  const wanted = properties.get(JAAS_KEY) ?? properties.get('zookeeper.sasl.clientconfig')
  if (wanted === undefined || properties.get('zookeeper.sasl.client')?.toLowerCase() === 'false') return null
  const { readJaas, readKerberos } = await import('../../server/sasl/saslconfig.ts')
  const { checkModules, isKerberos } = await import('../../server/sasl/jaas.ts')
  const jaas = readJaas(settings, (path) => readTextOrNull(path))
  const section = properties.get('zookeeper.sasl.clientconfig') ?? 'Client'
  const modules = jaas?.get(section)
  if (modules === undefined) {
    const where =
      jaas === null ? `-D${JAAS_KEY} names no file` : `${properties.get(JAAS_KEY)} has no section ${section}`
    warn(`No SASL login: ${where}. Continuing without, if the server allows it.`)
    return null
  }
  checkModules(modules)
  if (isKerberos(modules)) {
    const { kerberosClientLogins } = await import('../../server/sasl/kerberos/kerberosclient.ts')
    const { servicePrincipal } = await import('./serviceprincipal.ts')
    const logins = kerberosClientLogins(modules, readKerberos(settings, readTextOrNull), env)
    return async (server) => logins(await servicePrincipal(server.host, properties)).newClient()
  }
  const { CLIENT_SERVICE, digestClientLogin } = await import('../../server/sasl/login.ts')
  const login = digestClientLogin(modules, CLIENT_SERVICE)
  return () => login.newClient()
}

function readTextOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return null
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
