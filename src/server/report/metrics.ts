/**
 * The figures of a server, under Java's metric names (Java: ServerMetrics, ServerStats, BufferStats).
 *
 * One flat record per kind, so that a hot path does no more than `metrics.counters.commit_count++` or
 * `metrics.advanced.readlatency.add(ms)`. Gauges are asked for when someone looks, and exist only while the server
 * serves. Printers (`mntr` here, others elsewhere) walk everything through `dump`. Names that only an ensemble moves
 * are here too: a standalone Java server prints them as well, and dashboards expect them.
 */

import { EventType } from '../../jute/codes.ts'
import type { Family } from './prometheus.ts'
import {
  KeyedSummaries,
  type MetricSink,
  type MetricSummary,
  NamespaceSummaries,
  PercentileSummary,
  Summary,
} from './summaries.ts'
import { Turns } from './turns.ts'

export type Counters = ReturnType<typeof makeCounters>
export type BasicSummaries = ReturnType<typeof makeBasicSummaries>
export type AdvancedSummaries = ReturnType<typeof makeAdvancedSummaries>

/** Figures that are read from the living server when printed, in Java's units (`uptime` in ms). */
const INTEGER_GAUGES = [
  'max_latency',
  'min_latency',
  'packets_received',
  'packets_sent',
  'num_alive_connections',
  'outstanding_requests',
  'uptime',
  'znode_count',
  'watch_count',
  'ephemerals_count',
  'approximate_data_size',
  'global_sessions',
  'local_sessions',
  'open_file_descriptor_count',
  'max_file_descriptor_count',
  'last_client_response_size',
  'max_client_response_size',
  'min_client_response_size',
  'outstanding_tls_handshake',
  'auth_failed_count',
  'non_mtls_remote_conn_count',
  'non_mtls_local_conn_count',
] as const

const DOUBLE_GAUGES = ['avg_latency', 'connection_drop_probability'] as const

/** By namespace: pairs of key and value. */
const GAUGE_SETS = [
  'quota_count_limit_per_namespace',
  'quota_bytes_limit_per_namespace',
  'quota_count_usage_per_namespace',
  'quota_bytes_usage_per_namespace',
] as const

export type Gauges = Readonly<Record<(typeof INTEGER_GAUGES)[number] | (typeof DOUBLE_GAUGES)[number], () => number>>
export type GaugeSets = Readonly<Record<(typeof GAUGE_SETS)[number], () => Iterable<readonly [string, number]>>>

/** Gauges that only some servers have: a leader, a follower. */
export type MoreGauges = () => Iterable<readonly [string, number]>

/** Receives every metric, family by family, as Prometheus thinks of them. */
export interface FamilySink {
  gauge(name: string, value: number): void
  counter(name: string, value: number): void
  gaugeSet(name: string, values: Iterable<readonly [key: string, value: number]>): void
  counterSet(name: string, values: Iterable<readonly [key: string, value: number]>): void
  summary(name: string, summary: MetricSummary): void
  summarySet(name: string, summaries: Iterable<readonly [key: string, summary: MetricSummary]>): void
}

/** What a start found, and how long reading it took. */
export interface Startup {
  readonly snapshotMs: number
  readonly replayMs: number
  readonly txnsReplayed: number
}

/** Sizes of the last, smallest and largest reply; -1 while there is none. */
export class ResponseSizes {
  last: number
  min: number
  max: number

  constructor() {
    this.last = -1
    this.min = -1
    this.max = -1
  }

  add(bytes: number): void {
    this.last = bytes
    if (this.min === -1 || bytes < this.min) this.min = bytes
    if (bytes > this.max) this.max = bytes
  }

  reset(): void {
    this.last = -1
    this.min = -1
    this.max = -1
  }
}

export class Metrics {
  readonly counters: Counters
  readonly basic: BasicSummaries
  readonly advanced: AdvancedSummaries
  readonly readPerNamespace: NamespaceSummaries
  readonly writePerNamespace: NamespaceSummaries
  readonly learnerHandlerQpSize: KeyedSummaries<Summary>
  readonly learnerHandlerQpTimeMs: KeyedSummaries<PercentileSummary>
  readonly ackLatency: KeyedSummaries<PercentileSummary>
  /** By namespace. */
  readonly quotaExceededErrors: Map<string, number>

  /** What `srvr` and `stat` print, and what `srst` resets (Java: ServerStats). */
  readonly latencyMs: Summary
  readonly responseSizes: ResponseSizes
  packetsReceived: number
  packetsSent: number
  /** Not reset by `srst`. */
  fsyncThresholdExceedCount: number
  /** Starts at which damaged history was set aside (ours, and shown of members only). */
  damageRepairedCount: number
  authFailedCount: number
  nonMtlsRemoteConnCount: number
  nonMtlsLocalConnCount: number

  readonly turns: Turns
  /** What only Prometheus is told, besides. */
  moreFamilies: () => readonly Family[]
  private gauges: Gauges | null
  private gaugeSets: GaugeSets | null
  private moreGauges: MoreGauges

  /** What Java's provider for Prometheus cannot do: set everything that counts back to zero. */
  private readonly resettable: boolean

  /**
   * `random` is uniform in [0, 1): it chooses which samples a reservoir keeps. `forPrometheus`: every summary knows its
   * median, and `srst` leaves all but latency and packets alone.
   */
  constructor(random: () => number, forPrometheus = false) {
    const basic = (): Summary => new Summary(forPrometheus ? random : null)
    this.resettable = !forPrometheus
    this.counters = makeCounters()
    this.basic = makeBasicSummaries(basic)
    this.advanced = makeAdvancedSummaries(random)
    this.readPerNamespace = new NamespaceSummaries(basic)
    this.writePerNamespace = new NamespaceSummaries(basic)
    this.learnerHandlerQpSize = new KeyedSummaries(basic)
    this.learnerHandlerQpTimeMs = new KeyedSummaries(() => new PercentileSummary(random))
    this.ackLatency = new KeyedSummaries(() => new PercentileSummary(random))
    this.quotaExceededErrors = new Map()
    this.latencyMs = new Summary()
    this.responseSizes = new ResponseSizes()
    this.packetsReceived = 0
    this.packetsSent = 0
    this.fsyncThresholdExceedCount = 0
    this.damageRepairedCount = 0
    this.authFailedCount = 0
    this.nonMtlsRemoteConnCount = 0
    this.nonMtlsLocalConnCount = 0
    this.turns = new Turns()
    this.moreFamilies = () => []
    this.gauges = null
    this.gaugeSets = null
    this.moreGauges = () => []
  }

  /** The server begins to serve: its gauges are printed from now on; `more` are those of its role. */
  register(gauges: Gauges, gaugeSets: GaugeSets, more: MoreGauges = () => []): void {
    this.gauges = gauges
    this.gaugeSets = gaugeSets
    this.moreGauges = more
  }

  /** It serves no more. */
  unregister(): void {
    this.gauges = null
    this.gaugeSets = null
  }

  /** A request was answered after `ms`; `update` when it was a write (Java: ServerStats.updateLatency). */
  addLatency(ms: number, update: boolean): void {
    if (ms < 0) return
    this.latencyMs.add(ms)
    if (update) this.advanced.updatelatency.add(ms)
    else this.advanced.readlatency.add(ms)
  }

  /** A start has read what is on disk. */
  addStartup({ snapshotMs, replayMs, txnsReplayed }: Startup): void {
    this.basic.startup_snap_load_time.add(Math.round(snapshotMs))
    this.basic.startup_txns_load_time.add(Math.round(replayMs))
    this.basic.startup_txns_loaded.add(txnsReplayed)
  }

  /** A change has told so many connections that watched for it. */
  addTriggered(eventType: number, count: number): void {
    const { basic } = this
    if (eventType === EventType.nodeCreated) basic.node_created_watch_count.add(count)
    else if (eventType === EventType.nodeDeleted) basic.node_deleted_watch_count.add(count)
    else if (eventType === EventType.nodeDataChanged) basic.node_changed_watch_count.add(count)
    else basic.node_children_watch_count.add(count)
  }

  addQuotaExceeded(namespace: string): void {
    this.quotaExceededErrors.set(namespace, (this.quotaExceededErrors.get(namespace) ?? 0) + 1)
  }

  /** `srst`: everything that counts starts at zero again; gauges and the four counts of connections do not. */
  reset(): void {
    this.latencyMs.reset()
    this.responseSizes.reset()
    this.packetsReceived = 0
    this.packetsSent = 0
    if (!this.resettable) return
    const counters: Record<string, number> = this.counters
    for (const name of Object.keys(counters)) counters[name] = 0
    for (const namespace of this.quotaExceededErrors.keys()) this.quotaExceededErrors.set(namespace, 0)
    for (const summary of this.summaries()) summary.reset()
  }

  /** Another while has passed: quantiles forget what was before the last one. */
  age(): void {
    for (const summary of this.summaries()) summary.age()
  }

  private *summaries(): Generator<{ reset(): void; age(): void }> {
    yield* Object.values(this.basic)
    yield* Object.values(this.advanced)
    yield this.readPerNamespace.keyed
    yield this.writePerNamespace.keyed
    yield this.learnerHandlerQpSize
    yield this.learnerHandlerQpTimeMs
    yield this.ackLatency
  }

  /** Every metric by its family. */
  visit(sink: FamilySink): void {
    if (this.gauges !== null) {
      for (const name of DOUBLE_GAUGES) sink.gauge(name, this.gauges[name]())
      for (const name of INTEGER_GAUGES) sink.gauge(name, this.gauges[name]())
      for (const [name, value] of this.moreGauges()) sink.gauge(name, value)
    }
    if (this.gaugeSets !== null) for (const name of GAUGE_SETS) sink.gaugeSet(name, this.gaugeSets[name]())
    for (const [name, value] of Object.entries(this.counters)) sink.counter(name, value)
    sink.counterSet('quota_exceeded_error_per_namespace', this.quotaExceededErrors)
    for (const [name, summary] of Object.entries(this.basic)) sink.summary(name, summary)
    for (const [name, summary] of Object.entries(this.advanced)) sink.summary(name, summary)
    sink.summarySet('write_per_namespace', this.writePerNamespace.keyed.entries())
    sink.summarySet('read_per_namespace', this.readPerNamespace.keyed.entries())
    sink.summarySet('learner_handler_qp_size', this.learnerHandlerQpSize.entries())
    sink.summarySet('learner_handler_qp_time_ms', this.learnerHandlerQpTimeMs.entries())
    sink.summarySet('ack_latency', this.ackLatency.entries())
  }

  /** Every metric, expanded as Java's default provider does, in its order of kinds. */
  dump(sink: MetricSink): void {
    if (this.gauges !== null) {
      for (const name of DOUBLE_GAUGES) sink(name, this.gauges[name](), true)
      for (const name of INTEGER_GAUGES) sink(name, this.gauges[name](), false)
      for (const [name, value] of this.moreGauges()) sink(name, value, false)
    }
    if (this.gaugeSets !== null) {
      for (const name of GAUGE_SETS) {
        for (const [key, value] of this.gaugeSets[name]()) sink(`${key}_${name}`, value, false)
      }
    }
    for (const [name, value] of Object.entries(this.counters)) sink(name, value, false)
    for (const [key, value] of this.quotaExceededErrors) sink(`${key}_quota_exceeded_error_per_namespace`, value, false)
    for (const [name, summary] of Object.entries(this.basic)) summary.dump(name, sink)
    for (const [name, summary] of Object.entries(this.advanced)) summary.dump(name, sink)
    this.writePerNamespace.dump('write_per_namespace', sink)
    this.readPerNamespace.dump('read_per_namespace', sink)
    this.learnerHandlerQpSize.dump('learner_handler_qp_size', sink)
    this.learnerHandlerQpTimeMs.dump('learner_handler_qp_time_ms', sink)
    this.ackLatency.dump('ack_latency', sink)
  }
}

/** Java's Double.toString for the magnitudes a metric has: always with a decimal point, powers of ten outside 1e-3..1e7. */
export function formatDouble(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity'
  const magnitude = Math.abs(value)
  if (magnitude !== 0 && (magnitude < 1e-3 || magnitude >= 1e7)) {
    const [digits, exponent] = value.toExponential().split('e')
    return `${digits!.includes('.') ? digits : `${digits}.0`}E${Number(exponent)}`
  }
  const text = String(value)
  return text.includes('.') ? text : `${text}.0`
}

function makeCounters() {
  return {
    snapshot_error_count: 0,
    snapshot_rate_limited_count: 0,
    restore_error_count: 0,
    restore_rate_limited_count: 0,
    looking_count: 0,
    diff_count: 0,
    snap_count: 0,
    commit_count: 0,
    connection_request_count: 0,
    connection_rejected: 0,
    bytes_received_count: 0,
    unrecoverable_error_count: 0,
    add_dead_watcher_stall_time: 0,
    dead_watchers_queued: 0,
    dead_watchers_cleared: 0,
    response_packet_cache_hits: 0,
    response_packet_cache_misses: 0,
    response_packet_get_children_cache_hits: 0,
    response_packet_get_children_cache_misses: 0,
    ensemble_auth_success: 0,
    ensemble_auth_fail: 0,
    ensemble_auth_skip: 0,
    prep_processor_request_queued: 0,
    outstanding_changes_queued: 0,
    outstanding_changes_removed: 0,
    revalidate_count: 0,
    connection_drop_count: 0,
    connection_revalidate_count: 0,
    sessionless_connections_expired: 0,
    stale_sessions_expired: 0,
    request_commit_queued: 0,
    throttled_ops: 0,
    learner_proposal_received_count: 0,
    learner_commit_received_count: 0,
    sync_processor_request_queued: 0,
    proposal_count: 0,
    quit_leading_due_to_disloyal_voter: 0,
    stale_requests: 0,
    stale_requests_dropped: 0,
    stale_replies: 0,
    request_throttle_wait_count: 0,
    large_requests_rejected: 0,
    digest_mismatches_count: 0,
    unsuccessful_handshake: 0,
    insecure_admin_count: 0,
    tls_handshake_exceeded: 0,
    cnxn_closed_without_zk_server_running: 0,
    skip_learner_request_to_next_processor_count: 0,
    requests_not_forwarded_to_commit_processor: 0,
    response_bytes: 0,
    watch_bytes: 0,
  }
}

function makeBasicSummaries(make: () => Summary) {
  return {
    fsynctime: make(),
    snapshottime: make(),
    restore_time: make(),
    dbinittime: make(),
    follower_sync_time: make(),
    observer_sync_time: make(),
    election_time: make(),
    connection_token_deficit: make(),
    inflight_snap_count: make(),
    inflight_diff_count: make(),
    node_created_watch_count: make(),
    node_deleted_watch_count: make(),
    node_changed_watch_count: make(),
    node_children_watch_count: make(),
    prep_processor_queue_size: make(),
    prep_process_time: make(),
    proposal_process_time: make(),
    unavailable_time: make(),
    leader_unavailable_time: make(),
    requests_in_session_queue: make(),
    pending_session_queue_size: make(),
    reads_after_write_in_session_queue: make(),
    reads_issued_from_session_queue: make(),
    session_queues_drained: make(),
    time_waiting_empty_pool_in_commit_processor_read_ms: make(),
    write_batch_time_in_commit_processor: make(),
    concurrent_request_processing_in_commit_processor: make(),
    read_commit_proc_req_queued: make(),
    write_commit_proc_req_queued: make(),
    commit_commit_proc_req_queued: make(),
    read_commit_proc_issued: make(),
    write_commit_proc_issued: make(),
    commit_process_time: make(),
    startup_txns_loaded: make(),
    startup_txns_load_time: make(),
    startup_snap_load_time: make(),
    sync_processor_queue_size: make(),
    sync_process_time: make(),
    sync_processor_batch_size: make(),
    netty_queued_buffer_capacity: make(),
    learner_request_processor_queue_size: make(),
    socket_closing_time: make(),
  }
}

function makeAdvancedSummaries(random: () => number) {
  return {
    readlatency: new PercentileSummary(random),
    updatelatency: new PercentileSummary(random),
    propagation_latency: new PercentileSummary(random),
    dead_watchers_cleaner_latency: new PercentileSummary(random),
    prep_processor_queue_time_ms: new PercentileSummary(random),
    close_session_prep_time: new PercentileSummary(random),
    read_commitproc_time_ms: new PercentileSummary(random),
    write_commitproc_time_ms: new PercentileSummary(random),
    local_write_committed_time_ms: new PercentileSummary(random),
    server_write_committed_time_ms: new PercentileSummary(random),
    om_proposal_process_time_ms: new PercentileSummary(random),
    om_commit_process_time_ms: new PercentileSummary(random),
    read_final_proc_time_ms: new PercentileSummary(random),
    write_final_proc_time_ms: new PercentileSummary(random),
    proposal_latency: new PercentileSummary(random),
    proposal_ack_creation_latency: new PercentileSummary(random),
    commit_propagation_latency: new PercentileSummary(random),
    sync_processor_queue_and_flush_time_ms: new PercentileSummary(random),
    sync_processor_queue_time_ms: new PercentileSummary(random),
    sync_processor_queue_flush_time_ms: new PercentileSummary(random),
    quorum_ack_latency: new PercentileSummary(random),
    request_throttle_queue_time_ms: new PercentileSummary(random),
    jvm_pause_time_ms: new PercentileSummary(random),
  }
}
