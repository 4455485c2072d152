/**
 * zoo.cfg, dynamic membership file, myid and `-Dzookeeper.*` flags into one frozen Config.
 *
 * The only place that knows keys, defaults and validations of ZooKeeper 3.9.5 (Java: QuorumPeerConfig, ServerConfig and
 * some sixty calls of System.getProperty). `parseConfig` is pure: the files it needs besides zoo.cfg come through a
 * function. What configkeys.ts calls idle gets one warning per setting; a value that cannot be meant throws ConfigError.
 */

import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { OUTPUT_LIMIT_BYTES } from '../requests/connection.ts'
import { readSasl, type SaslConfig } from '../sasl/saslconfig.ts'
import { type ClientTlsConfig, readClientTls } from '../tls/tlsconfig.ts'
import { type Compat, readCompat } from './compat.ts'
import { type AdminConfig, type MetricsProviderConfig, readAdmin, readMetricsProvider } from './configadmin.ts'
import { type AuditConfig, readAudit } from './configaudit.ts'
import { type QuorumConfig, type ReadFile, readQuorum } from './configquorum.ts'
import { readSecurity, type SecurityConfig } from './configsecurity.ts'
import type { Membership } from './members.ts'
import { judgeDoors } from './opendoors.ts'
import { splitWords, systemPropertiesOf } from './properties.ts'
import { readSecurityRules, type SecurityRules } from './securityrules.ts'
import { ConfigError, parseJavaInteger, Secret, Settings } from './settings.ts'

export interface ListenAddress {
  /** Null is every address of this machine. */
  readonly host: string | null
  /** 0 lets the system choose. */
  readonly port: number
}

export interface ConnectionThrottle {
  /** 0 is off. */
  readonly tokens: number
  readonly fillTimeMs: number
  readonly fillCount: number
  readonly freezeTimeMs: number
  readonly dropIncrease: number
  readonly dropDecrease: number
  readonly decreaseRatio: number
  readonly weightEnabled: boolean
  readonly globalWeight: number
  readonly renewWeight: number
  readonly localWeight: number
}

export interface Config extends SecurityConfig {
  /** Null when started from the legacy command line. */
  readonly file: string | null
  /** The file as read, for those who ask for it later. A secret because it may contain some. */
  readonly text: Secret

  readonly dataDir: string
  readonly dataLogDir: string
  readonly dataDirAutocreate: boolean
  readonly dbAutocreate: boolean

  readonly clientAddress: ListenAddress | null
  readonly secureClientAddress: ListenAddress | null
  /** -1 is the system's own. */
  readonly clientPortListenBacklog: number
  readonly clientTcpKeepAlive: boolean

  readonly tickTimeMs: number
  readonly sessionTimeoutMinMs: number
  readonly sessionTimeoutMaxMs: number
  readonly sessionlessCnxnTimeoutMs: number

  /** Per address and listener; 0 is unlimited. */
  readonly maxClientCnxns: number
  /** Per listener; 0 is unlimited. */
  readonly maxCnxns: number
  /** What a client, and all of them together, may leave unread before they are cut. Ours; null: a share of the memory. */
  readonly unsentMaxBytes: number
  readonly unsentTotalMaxBytes: number | null
  readonly globalOutstandingLimit: number
  readonly juteMaxBufferBytes: number
  readonly juteExtraBytes: number

  readonly snapCount: number
  /** -1 is off. */
  readonly snapSizeLimitBytes: number
  /** -1 is off. */
  readonly txnLogSizeLimitBytes: number
  readonly preAllocBytes: number
  readonly forceSync: boolean
  readonly fsyncWarningThresholdMs: number
  readonly commitLogCount: number
  readonly snapshotCompression: '' | 'gz' | 'snappy'
  /** Java's files, or a checkpoint that takes only what changed. Not known to Java. */
  readonly snapshotStore: 'file' | 'level'
  readonly snapshotTrustEmpty: boolean
  readonly serializeLastProcessedZxid: boolean
  readonly snapRetainCount: number
  /** 0 is off. */
  readonly purgeIntervalHours: number
  /** Room to come back with once there was none; null: what seems right for the file system. Ours. */
  readonly resumeRoomBytes: number | null

  readonly treeDigestEnabled: boolean
  readonly closeSessionTxnEnabled: boolean
  readonly extendedTypesEnabled: boolean
  readonly emulate353TTLNodes: boolean
  readonly containerCheckIntervalMs: number
  readonly containerMaxPerMinute: number
  readonly containerMaxNeverUsedIntervalMs: number
  readonly enforceQuota: boolean

  readonly requestThrottleMaxRequests: number
  readonly requestThrottleDropStale: boolean
  readonly requestStaleConnectionCheck: boolean
  readonly requestStaleLatencyCheck: boolean
  /** 0 is off. */
  readonly throttledOpWaitTimeMs: number
  /** -1 is off. */
  readonly largeRequestThresholdBytes: number
  readonly largeRequestMaxBytes: number
  readonly connectionThrottle: ConnectionThrottle

  readonly readonlyModeEnabled: boolean
  readonly compat: Compat
  readonly security: SecurityRules
  /** Null: off. */
  readonly audit: AuditConfig | null
  /** As written: comma separated words, `*` for all; null when not set. fourletter.ts makes a set of it. */
  readonly fourLetterWhitelist: string | null
  readonly admin: AdminConfig
  readonly metricsProvider: MetricsProviderConfig

  /** From dataDir/myid; null when there is no such file. */
  readonly serverId: number | null
  readonly quorum: QuorumConfig
  readonly sasl: SaslConfig
  readonly clientTls: ClientTlsConfig | null
}

export interface LoadedConfig {
  readonly config: Config
  readonly warnings: string[]
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Reads a configuration file. Relative directories are taken from the current one, as Java does. */
export function loadConfig(file: string, env: Environment): LoadedConfig {
  const bytes = readNamedFile(file)
  // Java parses the file as ISO-8859-1 but keeps its text (for `initial_configuration`) as UTF-8.
  const loaded = parseConfig(bytes.toString('latin1'), file, systemPropertiesFrom(env), readLatin1)
  return {
    config: Object.freeze({ ...absolute(loaded.config), text: new Secret(bytes.toString('utf8')) }),
    warnings: loaded.warnings,
  }
}

/** Java's legacy command line for a standalone server: `port dataDir [tickTime] [maxClientCnxns]`. */
export function configFromArguments(words: readonly string[], env: Environment): LoadedConfig {
  if (words.length < 2 || words.length > 4) {
    throw new ConfigError(`expected port dataDir [tickTime] [maxClientCnxns], got ${words.length} words`)
  }
  const [port, dataDir, tickTime, maxClientCnxns] = words
  const lines = [`clientPort=${port}`, `dataDir=${escapeValue(dataDir!)}`]
  if (tickTime !== undefined) lines.push(`tickTime=${tickTime}`)
  if (maxClientCnxns !== undefined) lines.push(`maxClientCnxns=${maxClientCnxns}`)
  const loaded = parseConfig(lines.join('\n'), 'command line', systemPropertiesFrom(env))
  return {
    config: Object.freeze({ ...absolute(loaded.config), file: null, text: new Secret('') }),
    warnings: loaded.warnings,
  }
}

/** System properties out of SERVER_JVMFLAGS and JVMFLAGS; the latter comes later on Java's command line, so it wins. */
export function systemPropertiesFrom(env: Environment): Map<string, string> {
  return systemPropertiesOf([...splitWords(env['SERVER_JVMFLAGS'] ?? ''), ...splitWords(env['JVMFLAGS'] ?? '')])
}

export function parseConfig(
  text: string,
  fileName: string,
  systemProperties: ReadonlyMap<string, string>,
  readFile: ReadFile = () => null,
): LoadedConfig {
  const settings = new Settings(text, basename(fileName), systemProperties)
  const directories = readDirectories(settings)
  const serverId = readServerId(directories.dataDir, readFile)
  const times = readTimes(settings)
  const security = readSecurity(settings)
  const saslProvided = security.authProviders.some(({ scheme }) => scheme === 'sasl')
  const sasl = readSasl(settings, readFile, saslProvided)
  const quorum = readQuorum(settings, readFile, serverId, sasl.jaas)
  const config: Config = {
    file: fileName,
    text: new Secret(text),
    ...directories,
    ...readListeners(settings, quorum.membership, serverId),
    ...times,
    ...readLimits(settings),
    ...readStorage(settings),
    ...readTree(settings),
    ...security,
    ...readThrottling(settings),
    readonlyModeEnabled: settings.boolean('readonlymode.enabled', false),
    compat: readCompat(settings),
    security: readSecurityRules(settings, readFile),
    audit: readAudit(settings),
    fourLetterWhitelist: settings.text('4lw.commands.whitelist'),
    admin: readAdmin(settings, readFile),
    metricsProvider: readMetricsProvider(settings),
    serverId,
    quorum,
    sasl,
    clientTls: readClientTls(settings),
  }
  settings.warnOfIdleSettings()
  judgeDoors(settings, config)
  return { config: Object.freeze(config), warnings: settings.warnings }
}

function readDirectories(s: Settings) {
  const dataDir = s.text('dataDir')
  if (dataDir === null || dataDir === '') throw s.refuse(s.find('dataDir'), 'dataDir is not set')
  const dataLogDir = s.text('dataLogDir') ?? dataDir
  for (const key of ['dataDir', 'dataLogDir']) {
    const setting = s.find(key)
    if (setting !== null && !/^(\/|\.\/)/.test(setting.value)) {
      s.warn(setting.where, `${key}=${setting.value} is relative: begin it with ./ to say that this is meant`)
    }
  }
  return {
    dataDir,
    dataLogDir,
    dataDirAutocreate: s.boolean('datadir.autocreate', true),
    dbAutocreate: s.boolean('db.autocreate', true),
  }
}

function readServerId(dataDir: string, readFile: ReadFile): number | null {
  const path = `${dataDir}/myid`
  const text = readFile(path)
  if (text === null) return null
  const line = text.split(/\r\n|\r|\n/)[0]!.trim()
  const id = parseJavaInteger(line, false)
  if (id === null) throw new ConfigError(`${path}:1: '${line}' is not a server id`)
  return id
}

function readListeners(s: Settings, membership: Membership, serverId: number | null) {
  const clientPortListenBacklog = s.int('clientPortListenBacklog', -1)
  const stated = readListener(s, 'clientPort', 'clientPortAddress')
  const entry = membership.members.find((member) => member.id === serverId)?.client ?? null
  let clientAddress = stated
  if (entry !== null) {
    const entryAddress = { host: entry.host === '0.0.0.0' ? null : entry.host, port: entry.port }
    if (
      stated !== null &&
      ((stated.host !== null && stated.host !== entryAddress.host) || stated.port !== entry.port)
    ) {
      const other = `${entry.host}:${entry.port} of server.${serverId}`
      throw s.refuse(s.find('clientPort'), `client address ${stated.host ?? '*'}:${stated.port} differs from ${other}`)
    }
    clientAddress = entryAddress
  }
  return {
    clientAddress,
    secureClientAddress: readListener(s, 'secureClientPort', 'secureClientPortAddress'),
    clientPortListenBacklog,
    clientTcpKeepAlive: s.boolean('clientTcpKeepAlive', false),
  }
}

function readListener(s: Settings, portKey: string, addressKey: string): ListenAddress | null {
  const address = s.find(addressKey)
  if (s.find(portKey) === null) {
    if (address !== null) throw s.refuse(address, `${addressKey} is set but ${portKey} is not`)
    return null
  }
  // An empty name is the loopback address to Java's InetAddress.getByName, and must not become every address here.
  const named = address?.value === '' ? '127.0.0.1' : address?.value
  const host = named === undefined || named === '0.0.0.0' ? null : named
  return { host, port: s.int(portKey, 0, { min: 0, max: 65535 }) }
}

function readTimes(s: Settings) {
  const tickTimeMs = s.int('tickTime', 3000, { min: 1 })
  const min = s.int('minSessionTimeout', -1)
  const max = s.int('maxSessionTimeout', -1)
  const sessionTimeoutMinMs = min === -1 ? tickTimeMs * 2 : min
  const sessionTimeoutMaxMs = max === -1 ? tickTimeMs * 20 : max
  if (sessionTimeoutMinMs > sessionTimeoutMaxMs) {
    const setting = s.find('minSessionTimeout') ?? s.find('maxSessionTimeout')
    throw s.refuse(
      setting,
      `minSessionTimeout ${sessionTimeoutMinMs} is larger than maxSessionTimeout ${sessionTimeoutMaxMs}`,
    )
  }
  return {
    tickTimeMs,
    sessionTimeoutMinMs,
    sessionTimeoutMaxMs,
    sessionlessCnxnTimeoutMs: s.int('nio.sessionlessCnxnTimeout', 10_000, { min: 1 }),
  }
}

function readLimits(s: Settings) {
  const juteMaxBufferBytes = s.int('jute.maxbuffer', 0xf_ffff, { min: 1 })
  // Java raises an extra size below 1024 to that.
  const juteExtraBytes = Math.max(1024, s.int('jute.maxbuffer.extrasize', juteMaxBufferBytes))
  return {
    maxClientCnxns: s.int('maxClientCnxns', 60),
    maxCnxns: s.int('maxCnxns', 0),
    unsentMaxBytes: s.long('unsentMaxInKb', OUTPUT_LIMIT_BYTES / 1024, { min: 1024 }) * 1024,
    unsentTotalMaxBytes:
      s.find('unsentTotalMaxInKb') === null ? null : s.long('unsentTotalMaxInKb', 0, { min: 1024 }) * 1024,
    globalOutstandingLimit: s.int('globalOutstandingLimit', 1000),
    juteMaxBufferBytes,
    juteExtraBytes,
  }
}

function readStorage(s: Settings) {
  let snapCount = s.int('snapCount', 100_000)
  if (snapCount < 2) {
    s.warn(s.find('snapCount')!.where, `snapCount=${snapCount} is raised to 2`)
    snapCount = 2
  }
  let snapRetainCount = s.int('autopurge.snapRetainCount', 3)
  if (snapRetainCount < 3) {
    s.warn(s.find('autopurge.snapRetainCount')!.where, `autopurge.snapRetainCount=${snapRetainCount} is raised to 3`)
    snapRetainCount = 3
  }
  return {
    snapCount,
    snapSizeLimitBytes: kilobytesOrOff(s.long('snapSizeLimitInKb', 4_194_304)),
    txnLogSizeLimitBytes: kilobytesOrOff(s.long('txnLogSizeLimitInKb', -1)),
    preAllocBytes: Math.max(0, s.long('preAllocSize', 65_536) * 1024),
    forceSync: s.word('forceSync', 'no', 'yes', true),
    fsyncWarningThresholdMs: readFsyncThreshold(s),
    // Java raises less than 500 to that.
    commitLogCount: Math.max(500, s.int('commitLogCount', 500)),
    snapshotCompression: readCompression(s),
    snapshotStore: readSnapshotStore(s),
    snapshotTrustEmpty: s.boolean('snapshot.trust.empty', false),
    serializeLastProcessedZxid: s.boolean('serializeLastProcessedZxid.enabled', true),
    snapRetainCount,
    purgeIntervalHours: Math.max(0, s.int('autopurge.purgeInterval', 0)),
    resumeRoomBytes: s.find('storageResumeRoomInKb') === null ? null : s.long('storageResumeRoomInKb', 0) * 1024,
  }
}

function kilobytesOrOff(kilobytes: number): number {
  return kilobytes <= 0 ? -1 : kilobytes * 1024
}

/** The one key that also has an old name without the prefix (Java: FileTxnLog). */
function readFsyncThreshold(s: Settings): number {
  if (s.find('fsync.warningthresholdms') !== null) return s.long('fsync.warningthresholdms', 1000)
  const old = s.find('fsync.warningthresholdms', 'jvm')
  if (old === null) return 1000
  const value = parseJavaInteger(old.value, true)
  if (value === null) throw s.refuse(old, `${old.value} is not a number`)
  return value
}

function readCompression(s: Settings): '' | 'gz' | 'snappy' {
  const setting = s.find('snapshot.compression.method')
  const method = setting?.value.toLowerCase() ?? ''
  if (method === '' || method === 'gz' || method === 'snappy') return method
  throw s.refuse(setting, `snapshot.compression.method=${setting!.value} is neither gz nor snappy`)
}

function readSnapshotStore(s: Settings): 'file' | 'level' {
  const setting = s.find('snapshot.store')
  const store = setting?.value ?? 'file'
  if (store === 'file' || store === 'level') return store
  throw s.refuse(setting, `snapshot.store=${store} is neither file nor level`)
}

function readTree(s: Settings) {
  return {
    treeDigestEnabled: s.boolean('digest.enabled', true),
    closeSessionTxnEnabled: s.boolean('closeSessionTxn.enabled', true),
    extendedTypesEnabled: s.boolean('extendedTypesEnabled', false),
    emulate353TTLNodes: s.boolean('emulate353TTLNodes', false),
    containerCheckIntervalMs: s.int('znode.container.checkIntervalMs', 60_000),
    containerMaxPerMinute: s.int('znode.container.maxPerMinute', 10_000, { min: 1 }),
    containerMaxNeverUsedIntervalMs: s.long('znode.container.maxNeverUsedIntervalMs', 0),
    enforceQuota: s.boolean('enforceQuota', false),
  }
}

function readThrottling(s: Settings) {
  return {
    requestThrottleMaxRequests: s.int('request_throttle_max_requests', 0),
    requestThrottleDropStale: s.boolean('request_throttle_drop_stale', true),
    requestStaleConnectionCheck: s.boolean('request_stale_connection_check', true),
    requestStaleLatencyCheck: s.boolean('request_stale_latency_check', false),
    throttledOpWaitTimeMs: s.int('throttled_op_wait_time', 0),
    largeRequestThresholdBytes: s.int('largeRequestThreshold', -1),
    largeRequestMaxBytes: s.int('largeRequestMaxBytes', 100 * 1024 * 1024),
    connectionThrottle: {
      tokens: s.int('connection_throttle_tokens', 0),
      fillTimeMs: s.int('connection_throttle_fill_time', 1),
      fillCount: s.int('connection_throttle_fill_count', 1),
      freezeTimeMs: s.int('connection_throttle_freeze_time', -1),
      dropIncrease: s.decimal('connection_throttle_drop_increase', 0.02),
      dropDecrease: s.decimal('connection_throttle_drop_decrease', 0.002),
      decreaseRatio: s.decimal('connection_throttle_decrease_ratio', 0),
      weightEnabled: s.boolean('connection_throttle_weight_enabled', false),
      globalWeight: s.int('connection_throttle_global_session_weight', 3),
      renewWeight: s.int('connection_throttle_renew_session_weight', 2),
      localWeight: s.int('connection_throttle_local_session_weight', 1),
    },
  }
}

function absolute(config: Config): Config {
  return { ...config, dataDir: resolve(config.dataDir), dataLogDir: resolve(config.dataLogDir) }
}

function escapeValue(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
}

function readNamedFile(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (err) {
    throw new ConfigError(`${file}: ${reasonOf(err)}`)
  }
}

function readLatin1(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch (err) {
    if (err instanceof Error && 'code' in err && err.code === 'ENOENT') return null
    throw new ConfigError(`${path}: ${reasonOf(err)}`)
  }
}

function reasonOf(err: unknown): string {
  if (!(err instanceof Error)) return String(err)
  const code = 'code' in err ? err.code : null
  if (code === 'ENOENT') return 'no such file'
  if (code === 'EISDIR') return 'is a directory'
  if (code === 'EACCES') return 'permission denied'
  return err.message
}
