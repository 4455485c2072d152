/**
 * The figures of a server, under Java's metric names (Java: ServerMetrics, ServerStats, BufferStats).
 *
 * One flat record per kind, so that a hot path does no more than `metrics.counters.commit_count++` or
 * `metrics.advanced.readlatency.add(ms)`. Gauges are asked for when someone looks, and exist only while the server
 * serves. Printers (`mntr` here, others elsewhere) walk everything through `dump`. Names that only an ensemble moves
 * are here too: a standalone Java server prints them as well, and dashboards expect them.
 */

import { KeyedSummaries, type MetricSink, NamespaceSummaries, PercentileSummary, Summary } from './summaries.ts'

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

  private gauges: Gauges | null
  private gaugeSets: GaugeSets | null
  private moreGauges: MoreGauges

  /** `random` is uniform in [0, 1): it chooses which samples a reservoir keeps. */
  constructor(random: () => number) {
    this.counters = makeCounters()
    this.basic = makeBasicSummaries()
    this.advanced = makeAdvancedSummaries(random)
    this.readPerNamespace = new NamespaceSummaries()
    this.writePerNamespace = new NamespaceSummaries()
    this.learnerHandlerQpSize = new KeyedSummaries(() => new Summary())
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

  addQuotaExceeded(namespace: string): void {
    this.quotaExceededErrors.set(namespace, (this.quotaExceededErrors.get(namespace) ?? 0) + 1)
  }

  /** `srst`: everything that counts starts at zero again; gauges and the four counts of connections do not. */
  reset(): void {
    const counters: Record<string, number> = this.counters
    for (const name of Object.keys(counters)) counters[name] = 0
    for (const summary of Object.values(this.basic)) summary.reset()
    for (const summary of Object.values(this.advanced)) summary.reset()
    this.readPerNamespace.reset()
    this.writePerNamespace.reset()
    this.learnerHandlerQpSize.reset()
    this.learnerHandlerQpTimeMs.reset()
    this.ackLatency.reset()
    for (const namespace of this.quotaExceededErrors.keys()) this.quotaExceededErrors.set(namespace, 0)
    this.latencyMs.reset()
    this.responseSizes.reset()
    this.packetsReceived = 0
    this.packetsSent = 0
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

function makeBasicSummaries() {
  return {
    fsynctime: new Summary(),
    snapshottime: new Summary(),
    restore_time: new Summary(),
    dbinittime: new Summary(),
    follower_sync_time: new Summary(),
    observer_sync_time: new Summary(),
    election_time: new Summary(),
    connection_token_deficit: new Summary(),
    inflight_snap_count: new Summary(),
    inflight_diff_count: new Summary(),
    node_created_watch_count: new Summary(),
    node_deleted_watch_count: new Summary(),
    node_changed_watch_count: new Summary(),
    node_children_watch_count: new Summary(),
    prep_processor_queue_size: new Summary(),
    prep_process_time: new Summary(),
    proposal_process_time: new Summary(),
    unavailable_time: new Summary(),
    leader_unavailable_time: new Summary(),
    requests_in_session_queue: new Summary(),
    pending_session_queue_size: new Summary(),
    reads_after_write_in_session_queue: new Summary(),
    reads_issued_from_session_queue: new Summary(),
    session_queues_drained: new Summary(),
    time_waiting_empty_pool_in_commit_processor_read_ms: new Summary(),
    write_batch_time_in_commit_processor: new Summary(),
    concurrent_request_processing_in_commit_processor: new Summary(),
    read_commit_proc_req_queued: new Summary(),
    write_commit_proc_req_queued: new Summary(),
    commit_commit_proc_req_queued: new Summary(),
    read_commit_proc_issued: new Summary(),
    write_commit_proc_issued: new Summary(),
    commit_process_time: new Summary(),
    startup_txns_loaded: new Summary(),
    startup_txns_load_time: new Summary(),
    startup_snap_load_time: new Summary(),
    sync_processor_queue_size: new Summary(),
    sync_process_time: new Summary(),
    sync_processor_batch_size: new Summary(),
    netty_queued_buffer_capacity: new Summary(),
    learner_request_processor_queue_size: new Summary(),
    socket_closing_time: new Summary(),
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
