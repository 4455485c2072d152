/**
 * The commands of the admin server: names, fields and errors of Java's, as JSON that is written while it is walked.
 *
 * Pure. An answer's fields are read lazily, across turns: they bear changes meanwhile, as those of the four-letter
 * words do. Snapshot and restore, which are more than a look, are in actions.ts. Java: Commands, CommandResponse.
 */

import { id64ToBigInt } from '../../jute/id64.ts'
import { counterOf, epochOf, type Zxid, zxidHex } from '../../jute/zxid.ts'
import type { MemberStatus } from '../member/memberview.ts'
import type { ConnectionView } from '../report/fourletter.ts'
import type { Metrics, ResponseSizes } from '../report/metrics.ts'
import type { AdminView } from './adminview.ts'
import { Double, type Fields, Fieldset, fieldset, type Json, List } from './json.ts'

/** A request's parameters, each with its first value. */
export type Parameters = ReadonlyMap<string, string>

type Run = (view: AdminView, parameters: Parameters) => Fields

export interface Command {
  /** The primary one first. */
  readonly names: readonly string[]
  /** It says no more than an error while nobody is served. */
  readonly serving: boolean
  readonly run: Run
}

export const NOT_SERVING = 'This ZooKeeper instance is not currently serving requests'

/** What 3.9.5 knows, but for snapshot and restore. */
const COMMANDS: readonly Command[] = [
  command(
    'connection_stat_reset crst',
    act((view) => view.resetConnectionStats()),
  ),
  command('configuration conf config', configuration),
  command('connections cons', (view) => connectionFields(view, true)),
  command('hash', digests),
  command('dirs', (view) => [
    ['datadir_size', view.dataDirBytes()],
    ['logdir_size', view.logDirBytes()],
  ]),
  command('dump', dump),
  anytime('environment env envi', (view) => view.environment()),
  anytime('get_trace_mask gtmk', (view) => [['tracemask', view.traceMask()]]),
  command('initial_configuration icfg', (view) => [['initial_configuration', view.configurationText()]]),
  command('is_read_only isro', (view) => [['read_only', view.readOnly()]]),
  command('last_snapshot lsnp', lastSnapshot),
  command('leader lead', leader),
  anytime('monitor mntr', monitor),
  command(
    'observer_connection_stat_reset orst',
    act((view) => view.member()?.resetObservers()),
  ),
  command('ruok', () => []),
  anytime('set_trace_mask stmk', setTraceMask),
  command('server_stats srvr', serverStats),
  command('stats stat', (view) => [...serverStats(view), ...connectionFields(view, false)]),
  command(
    'stat_reset srst',
    act((view) => view.resetServerStats()),
  ),
  command('observers obsr', observers),
  anytime('system_properties sysp', (view) => view.properties()),
  command('voting_view', votingView),
  command('watches wchc', (view) => [['session_id_to_watched_paths', new Fieldset(watchedPaths(view))]]),
  command('watches_by_path wchp', (view) => [['path_to_session_ids', new Fieldset(watchingSessions(view))]]),
  command('watch_summary wchs', watchSummary),
  anytime('zabstate', zabState),
]

/** Those with a page of their own in the list of links. */
export const ACTION_NAMES: readonly string[] = ['snapshot', 'restore']

const BY_NAME: ReadonlyMap<string, Command> = new Map(
  COMMANDS.flatMap((each) => each.names.map((name): [string, Command] => [name, each])),
)

export function commandNamed(name: string): Command | undefined {
  return BY_NAME.get(name)
}

/** Primary names, sorted. */
export function commandNames(): string[] {
  return [...COMMANDS.map(({ names }) => names[0]!), ...ACTION_NAMES].sort()
}

/** A whole answer: the command's fields, its name, and the error, unless that is among the fields. */
export function answerOf(command: Command, view: AdminView, parameters: Parameters): Fieldset {
  const name = command.names[0]!
  if (command.serving && !view.serving()) return failure(name, NOT_SERVING)
  return new Fieldset(withEnd(name, command.run(view, parameters)))
}

/** The answer that something did not work; a null error is one for which the status says all. */
export function failure(name: string, error: string | null): Fieldset {
  return new Fieldset([
    ['command', name],
    ['error', error],
  ])
}

function* withEnd(name: string, fields: Fields): Generator<readonly [string, Json]> {
  let failed = false
  for (const field of fields) {
    if (field[0] === 'error') failed = true
    yield field
  }
  yield ['command', name]
  if (!failed) yield ['error', null]
}

function command(names: string, run: Run): Command {
  return { names: names.split(' '), serving: true, run }
}

function anytime(names: string, run: Run): Command {
  return { names: names.split(' '), serving: false, run }
}

/** A command that only does something. */
function act(run: (view: AdminView) => void): Run {
  return (view) => {
    run(view)
    return []
  }
}

function configuration(view: AdminView): Fields {
  const conf = view.conf()
  return [
    ['client_port', conf.clientPort],
    ['data_dir', conf.dataDir],
    ['data_log_dir', conf.dataLogDir],
    ['tick_time', conf.tickTimeMs],
    ['max_client_cnxns', conf.maxClientCnxns],
    ['min_session_timeout', conf.sessionTimeoutMinMs],
    ['max_session_timeout', conf.sessionTimeoutMaxMs],
    ['server_id', conf.serverId],
    ['client_port_listen_backlog', conf.clientPortListenBacklog],
  ]
}

// ------------------------------------------------------------------ connections and sessions

function connectionFields(view: AdminView, full: boolean): [string, Json][] {
  return [
    ['connections', new List(connections(view, false, full))],
    ['secure_connections', new List(connections(view, true, full))],
  ]
}

function* connections(view: AdminView, secure: boolean, full: boolean): Generator<Json> {
  for (const connection of view.connections()) {
    if ((connection.secure === true) === secure) yield fieldset(connectionRecord(connection, full))
  }
}

function connectionRecord(connection: ConnectionView, full: boolean): Record<string, Json> {
  const { session } = connection
  const brief = {
    remote_socket_address: connection.remote.slice(1),
    interest_ops: connection.interestOps,
    outstanding_requests: connection.queued,
    packets_received: connection.recved,
    packets_sent: connection.sent,
  }
  if (!full) return brief
  return {
    ...brief,
    session_id: session === null ? 0 : id64ToBigInt(session.idHi, session.idLo),
    last_operation: session?.lop ?? 'NA',
    established: session?.establishedMs ?? connection.establishedMs ?? 0,
    session_timeout: session?.timeoutMs ?? 0,
    last_cxid: session?.lcxid ?? -1,
    last_zxid: session?.lzxid ?? -1,
    last_response_time: session?.lrespMs ?? 0,
    last_latency: session?.llatMs ?? 0,
    min_latency: session?.minlatMs ?? 0,
    avg_latency: session?.avglatMs ?? 0,
    max_latency: session?.maxlatMs ?? 0,
  }
}

function dump(view: AdminView): Fields {
  return [
    ['expiry_time_to_session_ids', new Fieldset(expiries(view))],
    ['session_id_to_ephemeral_paths', new Fieldset(ephemerals(view))],
  ]
}

function* expiries(view: AdminView): Generator<readonly [string, Json]> {
  for (const [ms, ids] of view.expiries()) yield [String(ms), new List(bigInts(ids))]
}

function* ephemerals(view: AdminView): Generator<readonly [string, Json]> {
  for (const { hi, lo, paths } of view.ephemerals().entries) yield [String(id64ToBigInt(hi, lo)), new List(paths)]
}

function* bigInts(ids: Iterable<readonly [number, number]>): Generator<bigint> {
  for (const [hi, lo] of ids) yield id64ToBigInt(hi, lo)
}

// ------------------------------------------------------------------ watches

function* watchedPaths(view: AdminView): Generator<readonly [string, Json]> {
  for (const { hi, lo, paths } of view.watchesBySession()) yield [String(id64ToBigInt(hi, lo)), new List(paths)]
}

function* watchingSessions(view: AdminView): Generator<readonly [string, Json]> {
  for (const { path, sessions } of view.watchesByPath()) yield [path, new List(bigInts(sessions))]
}

function watchSummary(view: AdminView): Fields {
  const { connections: count, paths, watches } = view.watchSummary()
  return [
    ['num_connections', count],
    ['num_paths', paths],
    ['num_total_watches', watches],
  ]
}

// ------------------------------------------------------------------ figures

function serverStats(view: AdminView): [string, Json][] {
  const metrics = view.metrics()
  const sizes = bufferStats(metrics.responseSizes)
  const proposals = view.proposalSizes()
  return [
    ['version', view.version],
    ['read_only', view.readOnly()],
    ['server_stats', fieldset(statsRecord(view, metrics, sizes))],
    ['client_response', sizes],
    ...(proposals === null ? [] : [['proposal_stats', bufferStats(proposals)] satisfies [string, Json]]),
    ['node_count', view.nodeCount()],
  ]
}

/** Jackson's reading of the getters of Java's ServerStats, odd names included. */
function statsRecord(view: AdminView, metrics: Metrics, sizes: Json): Record<string, Json> {
  return {
    packets_sent: metrics.packetsSent,
    packets_received: metrics.packetsReceived,
    fsync_threshold_exceed_count: metrics.fsyncThresholdExceedCount,
    client_response_stats: sizes,
    data_dir_size: view.dataDirBytes(),
    log_dir_size: view.logDirBytes(),
    provider_null: false,
    last_processed_zxid: view.lastProcessedZxid(),
    outstanding_requests: view.outstandingRequests(),
    server_state: view.mode(),
    avg_latency: new Double(metrics.latencyMs.average),
    max_latency: metrics.latencyMs.max,
    min_latency: metrics.latencyMs.min,
    num_alive_client_connections: view.connectionCount(),
    uptime: view.uptimeMs(),
    auth_failed_count: metrics.authFailedCount,
    non_mtlsremote_conn_count: metrics.nonMtlsRemoteConnCount,
    non_mtlslocal_conn_count: metrics.nonMtlsLocalConnCount,
  }
}

function bufferStats({ last, min, max }: Pick<ResponseSizes, 'last' | 'min' | 'max'>): Json {
  return fieldset({ last_buffer_size: last, min_buffer_size: min, max_buffer_size: max })
}

/** While nobody is served there is no more to say than why; Java answers 500 then. */
function monitor(view: AdminView): Fields {
  const fields: (readonly [string, Json])[] = [['version', view.version]]
  if (!view.serving()) {
    fields.push(...(view.standing?.()?.values ?? []), ['reason', view.reason()], ['error', NOT_SERVING])
    return fields
  }
  fields.push(['server_state', view.mode()], ...view.monitorValues())
  view.dumpMetrics?.((name, value, double) => fields.push([name, double ? new Double(value) : value]))
  return fields
}

function digests(view: AdminView): Fields {
  const items: Json[] = []
  for (const { zxid, digest } of view.digests()) {
    items.push(fieldset({ zxid, digest: BigInt(digest), digest_version: 2 }))
  }
  return [['digests', new List(items)]]
}

function lastSnapshot(view: AdminView): Fields {
  const last = view.lastSnapshot()
  return [
    ['zxid', last === null ? 'ffffffffffffffff' : zxidHex(last.zxid)],
    ['timestamp', last?.timestampS ?? -1],
  ]
}

function setTraceMask(view: AdminView, parameters: Parameters): Fields {
  const text = parameters.get('traceMask')
  const wanted = 'setTraceMask requires long traceMask argument'
  if (text === undefined) return [['error', wanted]]
  const mask = /^[+-]?\d{1,19}$/.test(text) ? BigInt(text.replace('+', '')) : null
  if (mask === null || BigInt.asIntN(64, mask) !== mask) return [['error', `${wanted}, got ${text}`]]
  view.setTraceMask(mask)
  return [['tracemask', mask]]
}

// ------------------------------------------------------------------ the ensemble

function leader(view: AdminView): Fields {
  const member = view.member()
  if (member === null || view.readOnly()) return [['error', 'server is not initialized']]
  return [
    ['is_leader', member.leads],
    ['leader_id', member.leader],
    ['leader_ip', member.leaderHost],
  ]
}

function observers(view: AdminView): Fields {
  const found = view.member()?.observers ?? []
  const records = found.map((observer) =>
    fieldset({
      remote_socket_address: observer.remote,
      sid: observer.sid,
      established: observer.establishedMs,
      queued_packets: 0,
      queued_packets_size: 0,
      packets_received: observer.packetsReceived,
      packets_sent: observer.packetsSent,
      requests: observer.requests,
      last_zxid: observer.lastZxid,
    }),
  )
  return [
    ['synced_observers', records.length],
    ['observers', new List(records)],
  ]
}

function votingView(view: AdminView): Fields {
  const voters = view.readOnly() ? [] : (view.member()?.voters ?? [])
  const config = voters.map((voter): [string, Json] => [
    String(voter.sid),
    fieldset({
      server_addresses: new List(voter.quorumAddresses),
      election_addresses: new List(voter.electionAddresses),
      client_address: voter.clientAddress,
      learner_type: 'participant',
    }),
  ])
  return [['current_config', new Fieldset(config)]]
}

function zabState(view: AdminView): Fields {
  const member = view.serving() && !view.readOnly() ? view.member() : null
  if (member === null) {
    return [
      ['voting', false],
      ['zabstate', ''],
    ]
  }
  const zxid = view.lastProcessedZxid()
  return [
    ['myid', view.serverId()],
    ['is_leader', member.leads],
    ...addressFields(member),
    ['voting', member.voting],
    ['last_zxid', zxidText(zxid)],
    ['zab_epoch', epochOf(zxid)],
    ['zab_counter', counterOf(zxid)],
    ['zabstate', member.phase],
  ]
}

function addressFields(member: MemberStatus): [string, Json][] {
  return [
    ['quorum_address', multipleAddresses(member.quorumAddresses)],
    ['election_address', multipleAddresses(member.electionAddresses)],
    ['client_address', member.clientAddress],
  ]
}

/** Jackson's reading of the getters of Java's MultipleAddresses; nobody is asked whether it can be reached. */
function multipleAddresses(addresses: readonly string[]): Json {
  const ports = addresses.map((address) => Number(address.slice(address.lastIndexOf(':') + 1)))
  const first = addresses[0] ?? null
  return fieldset({
    empty: addresses.length === 0,
    all_addresses: new List(addresses),
    wildcard_addresses: new List(ports.map((port) => `0.0.0.0:${port}`)),
    all_ports: new List(ports),
    all_host_strings: new List(addresses.map((address) => address.slice(0, address.lastIndexOf(':')))),
    reachable_address: first,
    all_reachable_addresses: new List(addresses),
    all_reachable_addresses_or_all: new List(addresses),
    reachable_or_one: first,
    one: first,
  })
}

function zxidText(zxid: Zxid): string {
  return `0x${zxid < 0 ? 'ffffffffffffffff' : zxidHex(zxid)}`
}
