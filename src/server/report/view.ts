/**
 * What the text interfaces see of the living server: figures are read when someone asks, never kept.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { cpus, freemem, hostname, release, totalmem, userInfo } from 'node:os'
import { join } from 'node:path'
import type { StateMachine } from '../../datatree/apply.ts'
import { id64Hex, id64ToBigInt } from '../../jute/id64.ts'
import { decodeStoredText } from '../../jute/text.ts'
import type { Zxid } from '../../jute/zxid.ts'
import { snapshotNames } from '../../txnlog/names.ts'
import type { ClientPorts, Clients } from '../clients/clients.ts'
import type { Config } from '../config/config.ts'
import type { EnsembleView } from '../member/memberview.ts'
import type { Connection } from '../requests/connection.ts'
import { opName } from '../requests/ops.ts'
import { isNullPath } from '../requests/paths.ts'
import type { Pipeline } from '../requests/pipeline.ts'
import type { Sessions } from '../requests/sessions.ts'
import { fullVersion, packageVersion } from '../version.ts'
import {
  type ConfView,
  type ConnectionView,
  type EphemeralsView,
  type ExpiryBucket,
  type GlobalSessions,
  type ServerView,
  type Standing,
  TRACE_MASK_DEFAULT,
} from './fourletter.ts'
import type { GaugeSets, Gauges, Metrics } from './metrics.ts'
import { dumpSamples } from './prometheus.ts'

export interface ViewParts {
  readonly config: Config
  readonly metrics: Metrics
  readonly clients: Clients
  readonly startedMs: number
  ports(): ClientPorts
  nowMs(): number
  wallMs(): number
  /** Null for a server that runs alone. */
  readonly ensemble: EnsembleView | null
  /** Why it does not serve, if that is for want of room, or because it is starting. */
  standing(): Standing | null
  /** Of the certificates of ports for TLS; null: none. */
  tlsDaysLeft(): readonly (readonly [port: string, days: number | null])[]
  /** Null until recovery is done, and while there is no role. */
  running(): { readonly state: StateMachine; readonly pipeline: Pipeline; readonly sessions: Sessions } | null
}

export function makeView(parts: ViewParts): ServerView {
  const { config, metrics } = parts
  const version = fullVersion(packageVersion())
  let traceMask = TRACE_MASK_DEFAULT
  const state = (): StateMachine => parts.running()!.state
  const toWall = (monotonicMs: number): number => Math.round(parts.wallMs() - parts.nowMs() + monotonicMs)
  return {
    version,
    serving: () => parts.running() !== null,
    standing: () => parts.standing(),
    readOnly: () => parts.ensemble?.mode() === 'read-only',
    mode: () => parts.ensemble?.mode() ?? 'standalone',
    metrics: () => metrics,
    dumpMetrics(sink) {
      const { kind } = config.metricsProvider
      if (kind === 'default') metrics.dump(sink)
      else if (kind === 'prometheus') dumpSamples(metrics, metrics.moreFamilies(), sink)
    },
    connectionCount: () => parts.clients.count,
    *connections() {
      for (const conn of parts.clients.connections()) yield connectionView(conn, parts.clients)
    },
    outstandingRequests: () => parts.running()?.pipeline.inProcess ?? 0,
    lastProcessedZxid: () => state().zxidLast,
    nodeCount: () => state().tree.nodeCount + 1,
    proposalSizes: () => parts.ensemble?.proposalSizes() ?? null,
    monitorValues: () => parts.ensemble?.monitorValues() ?? [],
    conf: () => confView(config, parts),
    environment: () => environment(version),
    sessionBuckets: () => sessionBuckets(parts.running()!.sessions, 'global', toWall),
    localSessionBuckets: () =>
      parts.ensemble !== null && config.quorum.localSessionsEnabled
        ? sessionBuckets(parts.running()!.sessions, 'local', toWall)
        : null,
    globalSessions: () => (parts.ensemble?.leavesSessions() ? globalSessions(state()) : null),
    ephemerals: () => ephemerals(state()),
    connectionBuckets: () => connectionBuckets(parts.clients, config, toWall),
    watchSummary() {
      const { watches } = state()
      return { connections: watches.countConnections, paths: watches.countPaths, watches: watches.countTotal }
    },
    *watchesByPath() {
      for (const { path, conns } of state().watches.eachPath()) {
        yield { path: text(path), sessions: conns.map((id) => sessionOf(parts.clients, id)) }
      }
    },
    *watchesBySession() {
      for (const { conn, paths } of state().watches.eachConnection()) {
        const [hi, lo] = sessionOf(parts.clients, conn)
        yield { hi, lo, paths: textsOf(paths) }
      }
    },
    dataDirBytes: () => folderBytes(join(config.dataDir, 'version-2')),
    logDirBytes: () => folderBytes(join(config.dataLogDir, 'version-2')),
    *digests() {
      for (const { zxid, hi, lo } of [...state().digestHistory]) yield { zxid, digest: String(id64ToBigInt(hi, lo)) }
    },
    traceMask: () => traceMask,
    setTraceMask(mask) {
      traceMask = mask
    },
    resetServerStats: () => metrics.reset(),
    resetConnectionStats() {
      for (const conn of parts.clients.connections()) conn.resetStats()
    },
  }
}

/** Paths here are znodes' or watches', which are kept as Java would write them; a watch may be on no path at all. */
function text(path: Uint8Array): string {
  return isNullPath(path) ? 'null' : decodeStoredText(path, 0, path.length)
}

/** One by one: a client may watch a hundred thousand paths. */
function* textsOf(paths: readonly Uint8Array[]): Generator<string> {
  for (const path of paths) yield text(path)
}

function sessionOf(clients: Clients, connId: number): readonly [number, number] {
  const session = clients.connection(connId)?.session
  return session == null ? [0, 0] : [session.hi, session.lo]
}

function remoteText(conn: Connection): string {
  return `/${conn.remoteHost.includes(':') ? `[${conn.remoteHost}]` : conn.remoteHost}:${conn.remotePort}`
}

function connectionView(conn: Connection, clients: Clients): ConnectionView {
  const { stats, session } = conn
  return {
    remote: remoteText(conn),
    interestOps: clients.interestOf(conn),
    queued: conn.outstanding,
    recved: stats.received,
    sent: stats.sent,
    establishedMs: stats.establishedMs,
    session:
      session === null
        ? null
        : {
            idHi: session.hi,
            idLo: session.lo,
            lop: opName(stats.lastType),
            establishedMs: stats.establishedMs,
            timeoutMs: conn.timeoutMs,
            lcxid: stats.lastCxid,
            lzxid: stats.lastZxid,
            lrespMs: stats.lastResponseMs,
            llatMs: stats.lastLatencyMs,
            minlatMs: stats.latencyCount === 0 ? 0 : stats.latencyMinMs,
            avglatMs: stats.latencyCount === 0 ? 0 : Math.floor(stats.latencyTotalMs / stats.latencyCount),
            maxlatMs: stats.latencyMaxMs,
          },
  }
}

function confView(config: Config, parts: ViewParts): ConfView {
  return {
    clientPort: parts.ports().plainPort,
    secureClientPort: parts.ports().securePort,
    dataDir: join(config.dataDir, 'version-2'),
    dataLogDir: join(config.dataLogDir, 'version-2'),
    tickTimeMs: config.tickTimeMs,
    maxClientCnxns: config.maxClientCnxns,
    sessionTimeoutMinMs: config.sessionTimeoutMinMs,
    sessionTimeoutMaxMs: config.sessionTimeoutMaxMs,
    clientPortListenBacklog: config.clientPortListenBacklog,
    serverId: parts.ensemble?.serverId ?? 0,
    quorum: parts.ensemble?.conf() ?? null,
  }
}

/** Java's keys where Node has something to say for them. */
function* environment(version: string): Generator<readonly [string, string]> {
  const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)}MB`
  yield ['zookeeper.version', version]
  yield ['host.name', hostname()]
  yield ['java.version', `none (Node.js ${process.version})`]
  yield ['java.vendor', 'Node.js']
  yield ['java.home', process.execPath]
  yield ['java.class.path', '']
  yield ['java.library.path', '']
  yield ['java.io.tmpdir', process.env['TMPDIR'] ?? '/tmp']
  yield ['java.compiler', '<NA>']
  yield ['os.name', process.platform === 'linux' ? 'Linux' : process.platform]
  yield ['os.arch', process.arch === 'x64' ? 'amd64' : process.arch]
  yield ['os.version', release()]
  yield ['user.name', userName()]
  yield ['user.home', process.env['HOME'] ?? '']
  yield ['user.dir', process.cwd()]
  yield ['os.memory.free', mebibytes(freemem())]
  yield ['os.memory.max', mebibytes(totalmem())]
  yield ['os.memory.total', mebibytes(process.memoryUsage.rss())]
  yield ['os.cpus', String(cpus().length)]
}

export function userName(): string {
  try {
    return userInfo().username
  } catch {
    return '?' // no entry for this uid, as in many containers
  }
}

function sessionBuckets(
  sessions: Sessions,
  kind: 'global' | 'local',
  toWall: (ms: number) => number,
): { sessionCount: number; buckets: ExpiryBucket[] } {
  const buckets: ExpiryBucket[] = []
  for (const [deadlineMs, all] of sessions.expiryMap()) {
    const list = all.filter((session) => session.local === (kind === 'local'))
    if (list.length === 0) continue
    buckets.push({
      expiresAtMs: toWall(deadlineMs),
      count: list.length,
      lines: list.map(({ hi, lo }) => id64Hex(hi, lo)),
    })
  }
  const local = sessions.countLocal()
  return { sessionCount: kind === 'local' ? local : sessions.count - local, buckets }
}

/** The ensemble's session table, ids ascending as Java's signed longs. */
function globalSessions(state: StateMachine): GlobalSessions {
  const entries: { hi: number; lo: number; timeoutMs: number }[] = []
  state.sessions.forEach((timeoutMs, hi, lo) => {
    entries.push({ hi, lo, timeoutMs })
  })
  entries.sort((a, b) => a.hi - b.hi || (a.lo >>> 0) - (b.lo >>> 0))
  return { sessionCount: entries.length, entries }
}

function ephemerals(state: StateMachine): { sessionCount: number; entries: Iterable<EphemeralsView> } {
  const owners: [number, number][] = []
  state.tree.forEachEphemeralSession((hi, lo) => {
    owners.push([hi, lo])
  })
  function* entries(): Generator<EphemeralsView> {
    for (const [hi, lo] of owners) {
      const paths: string[] = []
      state.tree.forEachEphemeral(hi, lo, (node) => {
        paths.push(text(state.tree.pathOf(node)))
      })
      yield { hi, lo, paths }
    }
  }
  return { sessionCount: owners.length, entries: entries() }
}

function connectionBuckets(
  clients: Clients,
  config: Config,
  toWall: (ms: number) => number,
): { connectionCount: number; buckets: ExpiryBucket[] } {
  const interval = config.sessionlessCnxnTimeoutMs
  const byDeadline = new Map<number, string[]>()
  for (const conn of clients.connections()) {
    const idleMs = conn.initialised ? conn.timeoutMs : interval
    const deadlineMs = (Math.floor((conn.lastHeardMs + idleMs) / interval) + 1) * interval
    const id = conn.session === null ? '0x0' : id64Hex(conn.session.hi, conn.session.lo)
    const line = `ip: ${remoteText(conn)} sessionId: ${id}`
    const lines = byDeadline.get(deadlineMs)
    if (lines === undefined) byDeadline.set(deadlineMs, [line])
    else lines.push(line)
  }
  const buckets = [...byDeadline]
    .sort(([a], [b]) => a - b)
    .map(([deadlineMs, lines]) => ({ expiresAtMs: toWall(deadlineMs), count: lines.length, lines }))
  return { connectionCount: clients.count, buckets }
}

/** The newest snapshot among the files of `folder`. */
export function newestSnapshot(folder: string): { zxid: Zxid; timestampS: number } | null {
  try {
    const newest = snapshotNames(readdirSync(folder))[0]
    if (newest === undefined) return null
    return { zxid: newest.zxid, timestampS: Math.floor(statSync(join(folder, newest.name)).mtimeMs / 1000) }
  } catch {
    return null // purged under our feet
  }
}

function folderBytes(folder: string): number {
  let bytes = 0
  try {
    for (const name of readdirSync(folder)) {
      bytes += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0
    }
  } catch {
    return bytes // removed under our feet: an ephemeral server going down
  }
  return bytes
}

/** The gauges of `mntr`, under Java's names. */
export function makeGauges(parts: ViewParts): Gauges {
  const { metrics } = parts
  const state = (): StateMachine => parts.running()!.state
  return {
    avg_latency: () => metrics.latencyMs.average,
    max_latency: () => metrics.latencyMs.max,
    min_latency: () => metrics.latencyMs.min,
    packets_received: () => metrics.packetsReceived,
    packets_sent: () => metrics.packetsSent,
    num_alive_connections: () => parts.clients.count,
    outstanding_requests: () => parts.running()!.pipeline.inProcess,
    uptime: () => Math.floor(parts.nowMs() - parts.startedMs),
    znode_count: () => state().tree.nodeCount + 1,
    watch_count: () => state().watches.count,
    ephemerals_count: () => state().tree.ephemeralsCount,
    approximate_data_size: () => state().tree.dataBytes,
    global_sessions: () => state().sessions.size,
    local_sessions: () => parts.running()!.sessions.countLocal(),
    open_file_descriptor_count: () => countFolder('/proc/self/fd'),
    max_file_descriptor_count: maxFileDescriptors,
    connection_drop_probability: () => 0,
    last_client_response_size: () => metrics.responseSizes.last,
    max_client_response_size: () => metrics.responseSizes.max,
    min_client_response_size: () => metrics.responseSizes.min,
    outstanding_tls_handshake: () => parts.clients.outstandingHandshakes,
    auth_failed_count: () => metrics.authFailedCount,
    non_mtls_remote_conn_count: () => metrics.nonMtlsRemoteConnCount,
    non_mtls_local_conn_count: () => metrics.nonMtlsLocalConnCount,
  }
}

/** The keys of `mntr` that tell when certificates end; ours. */
export function tlsValues(parts: ViewParts): [string, number][] {
  return parts.tlsDaysLeft().flatMap(([port, days]) => (days === null ? [] : [[`tls_${port}_days_left`, days]]))
}

/** Quota figures by namespace, the first segment of the path. */
export function makeGaugeSets(parts: ViewParts): GaugeSets {
  const pick = (
    value: (entry: { countLimit: number; bytesLimit: number; countUsed: number; bytesUsed: number }) => number,
  ) => {
    return (): [string, number][] => {
      const sums = new Map<string, number>()
      parts.running()!.state.quotas.forEach((entry) => {
        const namespace = text(entry.path).split('/')[1] ?? ''
        sums.set(namespace, value(entry))
      })
      return [...sums]
    }
  }
  return {
    quota_count_limit_per_namespace: pick((entry) => entry.countLimit),
    quota_bytes_limit_per_namespace: pick((entry) => entry.bytesLimit),
    quota_count_usage_per_namespace: pick((entry) => entry.countUsed),
    quota_bytes_usage_per_namespace: pick((entry) => entry.bytesUsed),
  }
}

function countFolder(folder: string): number {
  try {
    return readdirSync(folder).length
  } catch {
    return -1 // no such thing on this system
  }
}

function maxFileDescriptors(): number {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return line === null ? -1 : Number(line[1])
  } catch {
    return -1
  }
}
