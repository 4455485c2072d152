/**
 * The settings of the HTTP ports: the admin server (Java: JettyAdminServer) and the endpoint for Prometheus
 * (Java: PrometheusMetricsProvider). Part of config.ts.
 */

import { isValidIpExpression } from '../access/ip.ts'
import { readTls, type TlsConfig } from '../tls/tlsconfig.ts'
import type { ReadFile } from './configquorum.ts'
import { isStrict } from './securityrules.ts'
import { Secret, type Settings } from './settings.ts'

export interface AdminConfig {
  readonly enabled: boolean
  /** `0.0.0.0`: every address of this machine. */
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** Somebody has written down the port: not to have it is an error, not just a warning. */
  readonly portChosen: boolean
  /** A connection on which nothing moves for so long is cut. */
  readonly idleTimeoutMs: number
  /** Begins with a slash, and ends without one. */
  readonly commandUrl: string
  /** TLS and plain on one port; TLS only. The key stores are those of ssl.quorum.*, as in Java. */
  readonly portUnification: boolean
  readonly forceHttps: boolean
  readonly needClientAuth: boolean
  /** Null: plain only. */
  readonly tls: TlsConfig | null
  /** Off unless asked for: whoever may do these has all the data. */
  readonly snapshotEnabled: boolean
  readonly restoreEnabled: boolean
  /** Between two snapshots, and between two restores. */
  readonly rateLimitMs: number
  /** The longest snapshot that a restore takes. Ours. */
  readonly restoreBytesMax: number
  /** What every request but the probes must carry; null: nothing. Ours. */
  readonly token: Secret | null
  /** Names by which this server may be asked, besides its addresses and its own; null: any, from what is no browser. Ours. */
  readonly allowedHosts: readonly string[] | null
  /** Whose X-Forwarded-For is believed: addresses, or ranges as of the scheme `ip`. Ours. */
  readonly trustedProxies: readonly string[]
  /** What `system_properties` shows, sorted by name; secrets are masked. */
  readonly properties: readonly (readonly [name: string, value: string])[]
}

export interface MetricsProviderConfig {
  readonly kind: 'default' | 'prometheus' | 'null'
  readonly httpHost: string
  readonly httpPort: number
  /** The families about the process and Node.js. */
  readonly exportJvmInfo: boolean
}

const HOST = '0.0.0.0'
const PORT = 8080
const IDLE_MS = 30_000
const RATE_LIMIT_MS = 300_000
const RESTORE_MB = 16_384
const TOKEN_CHARS_MIN = 16

export function readAdmin(s: Settings, readFile: ReadFile): AdminConfig {
  const forceHttps = s.boolean('admin.forceHttps', false)
  const portUnification = !forceHttps && s.boolean('admin.portUnification', false)
  const needClientAuth = s.boolean('admin.needClientAuth', false)
  return {
    // Java: anything but `false` is on.
    enabled: s.text('admin.enableServer') !== 'false',
    host: s.text('admin.serverAddress') || (isStrict(s) ? '127.0.0.1' : HOST),
    port: s.int('admin.serverPort', PORT, { min: 0, max: 65_535 }),
    portChosen: s.find('admin.serverPort') !== null,
    idleTimeoutMs: s.int('admin.idleTimeout', IDLE_MS, { min: 1 }),
    commandUrl: readCommandUrl(s),
    portUnification,
    forceHttps,
    needClientAuth,
    tls: forceHttps || portUnification ? readAdminTls(s, needClientAuth) : null,
    snapshotEnabled: s.boolean('admin.snapshot.enabled', false),
    restoreEnabled: s.boolean('admin.restore.enabled', false),
    rateLimitMs: s.int('admin.rateLimiterIntervalInMS', RATE_LIMIT_MS, { min: 0 }),
    restoreBytesMax: s.long('admin.restore.maxMb', RESTORE_MB, { min: 1 }) * 1024 * 1024,
    token: readToken(s, readFile),
    allowedHosts: s.find('admin.allowedHosts') === null ? null : listOf(s.text('admin.allowedHosts')!.toLowerCase()),
    trustedProxies: readProxies(s),
    properties: s.properties(),
  }
}

/** The stores are those between members; who has to show a certificate is a matter of this port. */
function readAdminTls(s: Settings, needClientAuth: boolean): TlsConfig {
  return {
    ...readTls(s, 'ssl.quorum'),
    clientAuth: needClientAuth ? 'need' : 'none',
    clientHostnameVerification: false,
  }
}

/** Not reachable from other machines, or only for who has the token or a certificate. */
export function isAdminProtected(admin: AdminConfig): boolean {
  if (!admin.enabled || isLoopback(admin.host)) return true
  return admin.token !== null || (admin.forceHttps && admin.needClientAuth)
}

/** As a configuration has it, so that a name which only begins like an address is none. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function readCommandUrl(s: Settings): string {
  const setting = s.find('admin.commandURL')
  if (setting === null) return '/commands'
  const url = setting.value.replace(/\/+$/, '')
  if (!/^(\/[A-Za-z0-9._~-]+)+$/.test(url)) throw s.refuse(setting, `admin.commandURL=${setting.value} is not a path`)
  return url
}

function readToken(s: Settings, readFile: ReadFile): Secret | null {
  const file = s.find('admin.tokenPath')
  if (file === null) return checked(s.find('admin.token')?.value ?? null, 'admin.token', s)
  const text = readFile(file.value)
  if (text === null) throw s.refuse(file, `admin.tokenPath=${file.value}: no such file`)
  return checked(text.trim(), 'admin.tokenPath', s)
}

function checked(token: string | null, key: string, s: Settings): Secret | null {
  if (token === null) return null
  if (token.length < TOKEN_CHARS_MIN) {
    throw s.refuse(s.find(key), `${key}: a token needs ${TOKEN_CHARS_MIN} characters, better more`)
  }
  return new Secret(token)
}

function readProxies(s: Settings): readonly string[] {
  const setting = s.find('admin.trustedProxies')
  const proxies = listOf(setting?.value ?? '')
  for (const proxy of proxies) {
    if (!isValidIpExpression(proxy)) throw s.refuse(setting, `admin.trustedProxies: ${proxy} is not an address`)
  }
  const wanted = s.find('IPAuthenticationProvider.usexforwardedfor')
  if (!s.boolean('IPAuthenticationProvider.usexforwardedfor', false)) return []
  if (proxies.length === 0) {
    const reason = 'without admin.trustedProxies: anybody can write X-Forwarded-For'
    s.warn(wanted!.where, `IPAuthenticationProvider.usexforwardedfor has no effect ${reason}`)
  }
  return proxies
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

const METRICS_PROVIDERS: Readonly<Record<string, MetricsProviderConfig['kind']>> = {
  'org.apache.zookeeper.metrics.impl.DefaultMetricsProvider': 'default',
  'org.apache.zookeeper.metrics.impl.NullMetricsProvider': 'null',
  'org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider': 'prometheus',
}

export function readMetricsProvider(s: Settings): MetricsProviderConfig {
  const setting = s.find('metricsProvider.className')
  const kind = setting === null ? 'default' : METRICS_PROVIDERS[setting.value]
  if (kind === undefined) throw s.refuse(setting, `metrics provider class ${setting!.value} was not found`)
  return {
    kind,
    httpHost: s.text('metricsProvider.httpHost') ?? HOST,
    httpPort: s.int('metricsProvider.httpPort', 7000, { min: 0, max: 65_535 }),
    exportJvmInfo: (s.text('metricsProvider.exportJvmInfo') ?? 'true').toLowerCase() === 'true',
  }
}
