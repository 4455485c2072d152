/**
 * The four-letter words of the client port, in Java's exact text (Java: the classes of server.command, ServerStats,
 * ServerCnxn.dumpConnectionInfo, ExpiryQueue.dump, WatchManager.dumpWatches).
 *
 * Pure, and exact but for one thing: where Java would print a control character that a client has put into a path, there
 * is an escape. Everything comes out of a `ServerView`. An answer is an iterator of text slices of some 16 KiB, so that listing
 * a hundred thousand watches or sessions neither builds one huge string nor holds up other clients: the server takes a
 * slice per turn, as the socket drains. After the last slice the connection is closed; null means to close it at once.
 */

import { id64Hex } from '../../jute/id64.ts'
import { type Zxid, zxidHex } from '../../jute/zxid.ts'
import { gather } from '../slices.ts'
import { escapeControls } from './escape.ts'
import { formatDouble, type Metrics } from './metrics.ts'
import type { MetricSink } from './summaries.ts'

export interface ConnectionView {
  /** As `/127.0.0.1:53648`. */
  readonly remote: string
  /** Bits of interest in the socket: 1 read, 4 write. */
  readonly interestOps: number
  readonly queued: number
  readonly recved: number
  readonly sent: number
  /** It came in on the port for TLS. */
  readonly secure?: boolean
  /** Since 1970, of the connection. */
  readonly establishedMs?: number
  /** Null before the session exists. */
  readonly session: {
    readonly idHi: number
    readonly idLo: number
    /** Of the last operation: PING, GETD, ... or NA. */
    readonly lop: string
    readonly establishedMs: number
    readonly timeoutMs: number
    /** Not printed while negative. */
    readonly lcxid: number
    readonly lzxid: Zxid
    /** Monotonic ms of the last reply. */
    readonly lrespMs: number
    readonly llatMs: number
    readonly minlatMs: number
    readonly avglatMs: number
    readonly maxlatMs: number
  } | null
}

/** What expires together: the time is wall clock, the lines are printed as they are. */
export interface ExpiryBucket {
  readonly expiresAtMs: number
  readonly count: number
  readonly lines: Iterable<string>
}

/** Everything the words show or change. Iterables are walked lazily, across turns: they must bear changes meanwhile. */
export interface ServerView {
  /** `3.9.5-..., built on ...` */
  readonly version: string
  serving(): boolean
  /** Why not, where there is more to say than Java says; null otherwise. */
  standing?(): Standing | null
  readOnly(): boolean
  /** standalone, leader, follower, observer or read-only. */
  mode(): string
  metrics(): Metrics
  /** Every figure as the metrics provider names it; without it, as Java's default one does. */
  dumpMetrics?(sink: MetricSink): void
  connectionCount(): number
  connections(): Iterable<ConnectionView>
  outstandingRequests(): number
  lastProcessedZxid(): Zxid
  /** Java's count, which has the root twice. */
  nodeCount(): number
  /** Last, smallest and largest proposal of a leader; null elsewhere. */
  proposalSizes(): { readonly last: number; readonly min: number; readonly max: number } | null
  /** Everything between the first two lines of `mntr` and the metrics, such as `peer_state` of an ensemble's member. */
  monitorValues(): Iterable<readonly [string, string]>
  conf(): ConfView
  /** `key=value` of `envi`, in order. */
  environment(): Iterable<readonly [string, string]>
  /** Sessions of the expiry queue (standalone and leader), soonest first. Not asked for where `globalSessions` answers. */
  sessionBuckets(): SessionBuckets
  /** Sessions that only this member knows; null, or not there, where localSessionsEnabled is off. */
  localSessionBuckets?(): SessionBuckets | null
  /** All sessions of the ensemble, by id, on a member that leaves their expiry to the leader; null elsewhere. */
  globalSessions?(): GlobalSessions | null
  /** Sessions that hold ephemeral nodes, and their paths. */
  ephemerals(): { readonly sessionCount: number; readonly entries: Iterable<EphemeralsView> }
  /** Connections by the time at which an idle one is closed, soonest first. */
  connectionBuckets(): { readonly connectionCount: number; readonly buckets: readonly ExpiryBucket[] }
  /** Figures of the data watches: connections, paths, watches. */
  watchSummary(): { readonly connections: number; readonly paths: number; readonly watches: number }
  watchesByPath(): Iterable<{ readonly path: string; readonly sessions: Iterable<readonly [hi: number, lo: number]> }>
  watchesBySession(): Iterable<{ readonly hi: number; readonly lo: number; readonly paths: Iterable<string> }>
  dataDirBytes(): number
  logDirBytes(): number
  /** Recorded tree digests, oldest first; the digest is an unsigned or signed 64-bit decimal as Java prints it. */
  digests(): Iterable<{ readonly zxid: Zxid; readonly digest: string }>
  traceMask(): bigint
  setTraceMask(mask: bigint): void
  resetServerStats(): void
  resetConnectionStats(): void
}

/** What this server is about while it serves nobody. */
export interface Standing {
  /** For people. */
  readonly reason: string
  /** Lines of `mntr`. */
  readonly values: readonly (readonly [string, string | number])[]
}

export interface SessionBuckets {
  readonly sessionCount: number
  readonly buckets: readonly ExpiryBucket[]
}

export interface GlobalSessions {
  readonly sessionCount: number
  readonly entries: Iterable<{ readonly hi: number; readonly lo: number; readonly timeoutMs: number }>
}

export interface EphemeralsView {
  readonly hi: number
  readonly lo: number
  readonly paths: Iterable<string>
}

export interface ConfView {
  readonly clientPort: number
  readonly secureClientPort: number
  readonly dataDir: string
  readonly dataLogDir: string
  readonly tickTimeMs: number
  readonly maxClientCnxns: number
  readonly sessionTimeoutMinMs: number
  readonly sessionTimeoutMaxMs: number
  readonly clientPortListenBacklog: number
  readonly serverId: number
  /** Only in an ensemble. */
  readonly quorum: {
    readonly initLimitTicks: number
    readonly syncLimitTicks: number
    readonly electionAlg: number
    readonly electionPort: number
    readonly quorumPort: number
    /** 0 participant, 1 observer. */
    readonly peerType: number
    /** Canonical text, without a final line end; null in read-only mode, which does not show it. */
    readonly membership: string | null
  } | null
}

export const TRACE_MASK_DEFAULT = 306n

/** `stmk` is followed by a mask of so many bytes. */
export const STMK_EXTRA_BYTES = 8

const NOT_SERVING = 'This ZooKeeper instance is not currently serving requests'

/** What a telnet client sends when it goes; a "word" only so that it does not look like a huge frame. */
const TELNET_CLOSE = 'telnet close'

type Answer = (view: ServerView, extra: Uint8Array) => string | Iterable<string> | null

const WORDS: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ['ruok', () => 'imok'],
  ['isro', (view) => (!view.serving() ? 'null' : view.readOnly() ? 'ro' : 'rw')],
  ['srvr', serving((view) => serverLines(view, false))],
  ['stat', serving((view) => serverLines(view, true))],
  ['cons', serving(connectionLines)],
  ['crst', serving(resetConnections)],
  ['srst', serving(resetServer)],
  ['conf', serving(confLines)],
  ['envi', environmentLines],
  ['dump', serving(dumpLines)],
  ['wchs', serving(watchSummaryLines)],
  ['wchc', serving(watchesBySessionLines)],
  ['wchp', serving(watchesByPathLines)],
  ['dirs', serving((view) => `datadir_size: ${view.dataDirBytes()}\nlogdir_size: ${view.logDirBytes()}\n`)],
  ['mntr', (view) => (view.serving() ? monitorLines(view) : idleMonitorLines(view))],
  ['gtmk', (view) => String(view.traceMask())],
  ['stmk', setTraceMask],
  ['hash', (view) => (view.serving() ? digestLines(view) : NOT_SERVING)],
  [TELNET_CLOSE, () => null],
])

/** The word whose four bytes are this big-endian integer, or null when it is the length of a frame (or nonsense). */
export function wordOfCode(code: number): string | null {
  if (code === (0xfff4fffd | 0)) return TELNET_CLOSE
  const word = String.fromCharCode((code >>> 24) & 0xff, (code >>> 16) & 0xff, (code >>> 8) & 0xff, code & 0xff)
  return WORDS.has(word) ? word : null
}

/**
 * The words that may run, out of `4lw.commands.whitelist` (null when not set): comma separated, `*` is all of them.
 * `srvr` always may, and `isro` where read-only mode is possible, because ZooKeeper's own tools need these.
 */
export function enabledWords(whitelist: string | null, readonlyModeEnabled: boolean): ReadonlySet<string> {
  const enabled = new Set<string>()
  for (const part of (whitelist ?? '').split(',')) {
    const word = part.trim()
    if (word === '*') {
      for (const known of WORDS.keys()) enabled.add(known)
      break
    }
    if (word !== '') enabled.add(word)
  }
  if (readonlyModeEnabled) enabled.add('isro')
  enabled.add('srvr')
  return enabled
}

/**
 * The answer to `word`, in slices, or null to close without one. `extra` is what followed the word: only `stmk` looks
 * at it, and gets no answer with less than its eight bytes.
 */
export function answerFourLetter(
  word: string,
  extra: Uint8Array,
  view: ServerView,
  enabled: ReadonlySet<string>,
): Iterator<string> | null {
  const answer = WORDS.get(word)
  if (answer === undefined) return null
  if (!enabled.has(word)) return [`${word} is not executed because it is not in the whitelist.\n`].values()
  const text = answer(view, extra)
  if (text === null) return null
  return typeof text === 'string' ? [text].values() : gather(text)
}

/** The whole answer of an enabled word as one string; for tools and tests. */
export function runFourLetter(word: string, extra: Uint8Array, view: ServerView): string | null {
  const slices = answerFourLetter(word, extra, view, new Set([word]))
  if (slices === null) return null
  let text = ''
  for (let slice = slices.next(); slice.done !== true; slice = slices.next()) text += slice.value
  return text
}

function serving(answer: (view: ServerView) => string | Iterable<string>): Answer {
  return (view) => (view.serving() ? answer(view) : idleLines(view))
}

/** Java's line, and ours where there is a reason that an operator should know. */
function idleLines(view: ServerView): string {
  const standing = view.standing?.() ?? null
  return standing === null ? `${NOT_SERVING}\n` : `${NOT_SERVING}\nReason: ${standing.reason}\n`
}

function* serverLines(view: ServerView, withClients: boolean): Generator<string> {
  yield `Zookeeper version: ${view.version}\n`
  if (view.readOnly()) yield 'READ-ONLY mode; serving only read-only clients\n'
  if (withClients) {
    yield 'Clients:\n'
    for (const connection of view.connections()) yield ` ${connectionText(connection, true)}\n`
    yield '\n'
  }
  const { latencyMs, packetsReceived, packetsSent } = view.metrics()
  yield `Latency min/avg/max: ${latencyMs.min}/${formatDouble(latencyMs.average)}/${latencyMs.max}\n`
  yield `Received: ${packetsReceived}\nSent: ${packetsSent}\nConnections: ${view.connectionCount()}\n`
  yield `Outstanding: ${view.outstandingRequests()}\nZxid: 0x${zxidHex(view.lastProcessedZxid())}\n`
  yield `Mode: ${view.mode()}\nNode count: ${view.nodeCount()}\n`
  const sizes = view.proposalSizes()
  if (sizes !== null) yield `Proposal sizes last/min/max: ${sizes.last}/${sizes.min}/${sizes.max}\n`
}

function connectionText(connection: ConnectionView, brief: boolean): string {
  const { remote, interestOps, queued, recved, sent, session } = connection
  const head = `${remote}[${interestOps.toString(16)}](queued=${queued},recved=${recved},sent=${sent}`
  if (brief || session === null) return `${head})`
  const lcxid = session.lcxid >= 0 ? `,lcxid=0x${session.lcxid.toString(16)}` : ''
  return (
    `${head},sid=${id64Hex(session.idHi, session.idLo)},lop=${session.lop},est=${session.establishedMs}` +
    `,to=${session.timeoutMs}${lcxid},lzxid=0x${zxidHex(session.lzxid)},lresp=${session.lrespMs}` +
    `,llat=${session.llatMs},minlat=${session.minlatMs},avglat=${session.avglatMs},maxlat=${session.maxlatMs})`
  )
}

function* connectionLines(view: ServerView): Generator<string> {
  for (const connection of view.connections()) yield ` ${connectionText(connection, false)}\n`
  yield '\n'
}

function resetConnections(view: ServerView): string {
  view.resetConnectionStats()
  return 'Connection stats reset.\n'
}

function resetServer(view: ServerView): string {
  view.resetServerStats()
  return 'Server stats reset.\n'
}

function* confLines(view: ServerView): Generator<string> {
  const conf = view.conf()
  yield `clientPort=${conf.clientPort}\nsecureClientPort=${conf.secureClientPort}\n`
  yield `dataDir=${conf.dataDir}\ndataDirSize=${view.dataDirBytes()}\n`
  yield `dataLogDir=${conf.dataLogDir}\ndataLogSize=${view.logDirBytes()}\n`
  yield `tickTime=${conf.tickTimeMs}\nmaxClientCnxns=${conf.maxClientCnxns}\n`
  yield `minSessionTimeout=${conf.sessionTimeoutMinMs}\nmaxSessionTimeout=${conf.sessionTimeoutMaxMs}\n`
  yield `clientPortListenBacklog=${conf.clientPortListenBacklog}\nserverId=${conf.serverId}\n`
  const quorum = conf.quorum
  if (quorum === null) return
  yield `initLimit=${quorum.initLimitTicks}\nsyncLimit=${quorum.syncLimitTicks}\nelectionAlg=${quorum.electionAlg}\n`
  yield `electionPort=${quorum.electionPort}\nquorumPort=${quorum.quorumPort}\npeerType=${quorum.peerType}\n`
  if (quorum.membership !== null) yield `membership: \n${quorum.membership}`
}

function* environmentLines(view: ServerView): Generator<string> {
  yield 'Environment:\n'
  for (const [key, value] of view.environment()) yield `${key}=${value}\n`
}

function* dumpLines(view: ServerView): Generator<string> {
  yield 'SessionTracker dump:\n'
  const local = view.localSessionBuckets?.() ?? null
  if (local !== null) yield* bucketLines('Local Session Sets', local.buckets, local.sessionCount)
  const global = view.globalSessions?.() ?? null
  if (global !== null) {
    yield `Global Sessions(${global.sessionCount}):\n`
    for (const { hi, lo, timeoutMs } of global.entries) yield `${id64Hex(hi, lo)}\t${timeoutMs}ms\n`
  } else {
    const { buckets, sessionCount } = view.sessionBuckets()
    yield* bucketLines(local === null ? 'Session Sets' : 'Global Session Sets', buckets, sessionCount)
  }
  const ephemerals = view.ephemerals()
  yield `ephemeral nodes dump:\nSessions with Ephemerals (${ephemerals.sessionCount}):\n`
  for (const { hi, lo, paths } of ephemerals.entries) {
    yield `${id64Hex(hi, lo)}:\n`
    for (const path of paths) yield `\t${escapeControls(path)}\n`
  }
  yield 'Connections dump:\n'
  const connections = view.connectionBuckets()
  yield* bucketLines('Connections Sets', connections.buckets, connections.connectionCount)
}

function* bucketLines(title: string, buckets: readonly ExpiryBucket[], count: number): Generator<string> {
  yield `${title} (${buckets.length})/(${count}):\n`
  for (const bucket of buckets) {
    yield `${bucket.count} expire at ${javaDate(bucket.expiresAtMs)}:\n`
    for (const line of bucket.lines) yield `\t${line}\n`
  }
}

/** Java's Date.toString, in UTC: `Mon Nov 23 06:22:55 UTC 2026`. */
export function javaDate(ms: number): string {
  const [weekday, day, month, year, time] = new Date(ms).toUTCString().replace(',', '').split(' ')
  return `${weekday} ${month} ${day} ${time} UTC ${year}`
}

function watchSummaryLines(view: ServerView): string {
  const { connections, paths, watches } = view.watchSummary()
  return `${connections} connections watching ${paths} paths\nTotal watches:${watches}\n`
}

function* watchesBySessionLines(view: ServerView): Generator<string> {
  for (const { hi, lo, paths } of view.watchesBySession()) {
    yield `${id64Hex(hi, lo)}\n`
    for (const path of paths) yield `\t${escapeControls(path)}\n`
  }
  yield '\n'
}

function* watchesByPathLines(view: ServerView): Generator<string> {
  for (const { path, sessions } of view.watchesByPath()) {
    yield `${escapeControls(path)}\n`
    for (const [hi, lo] of sessions) yield `\t${id64Hex(hi, lo)}\n`
  }
  yield '\n'
}

function* monitorLines(view: ServerView): Generator<string> {
  yield `zk_version\t${view.version}\nzk_server_state\t${view.mode()}\n`
  for (const [key, value] of view.monitorValues()) yield `zk_${key}\t${value}\n`
  let text = ''
  const sink: MetricSink = (name, value, double) => {
    text += `zk_${name}\t${double ? formatDouble(value) : value}\n`
  }
  if (view.dumpMetrics === undefined) view.metrics().dump(sink)
  else view.dumpMetrics(sink)
  yield text
}

function idleMonitorLines(view: ServerView): string {
  const values = view.standing?.()?.values ?? []
  return `${idleLines(view)}${values.map(([key, value]) => `zk_${key}\t${value}\n`).join('')}`
}

function* digestLines(view: ServerView): Generator<string> {
  for (const { zxid, digest } of view.digests()) yield `${zxidHex(zxid)}: ${digest}\n`
}

function setTraceMask(view: ServerView, extra: Uint8Array): string | null {
  if (extra.length < STMK_EXTRA_BYTES) return null
  const mask = new DataView(extra.buffer, extra.byteOffset, STMK_EXTRA_BYTES).getBigInt64(0)
  view.setTraceMask(mask)
  return String(mask)
}
