/**
 * Durability of a server that runs alone: the log that proposals go through, and its snapshots.
 *
 * A proposal is copied once, into the log's open group; when the group is on disk, everything in it is delivered from
 * there, in order. Java: SyncRequestProcessor.
 */

import type { StateMachine } from '../../datatree/apply.ts'
import type { StorageError } from '../../jute/errors.ts'
import type { Zxid } from '../../jute/zxid.ts'
import type { Disk } from '../../txnlog/disk.ts'
import { forEachEntry } from '../../txnlog/logfile.ts'
import type { SnapshotStore, SnapshotWritten } from '../../txnlog/snapshotstore.ts'
import { TxnLog } from '../../txnlog/txnlog.ts'
import type { Config } from '../config/config.ts'
import { Latencies } from '../report/latencies.ts'
import type { Metrics } from '../report/metrics.ts'
import { StallWatch } from '../report/stallwatch.ts'
import { logOptions } from './parts.ts'
import { SnapshotTrigger } from './snapshottrigger.ts'

export interface StorageHost {
  /** A transaction is durable. Bytes are borrowed. */
  deliver(zxid: Zxid, buf: Uint8Array, off: number, end: number): void
  failed(err: StorageError): void
  /** Milliseconds since 1970. */
  wallMs(): number
  /** Uniform in [0, 1). */
  random(): number
  info(message: string, fields: Record<string, unknown>): void
  warn(message: string, fields: Record<string, unknown>): void
}

export class Storage {
  private readonly log: TxnLog
  private readonly store: SnapshotStore
  /** For snapshots that somebody asks for, whatever `store` is. */
  private readonly files: SnapshotStore
  private readonly state: StateMachine
  private readonly host: StorageHost
  private readonly disk: Disk
  private readonly latencies: Latencies
  private readonly metrics: Metrics
  private readonly trigger: SnapshotTrigger
  private readonly stallWatch: StallWatch
  private snapshotRunning: Promise<void> | null

  /** `logDir` is the version-2 folder that recovery has read to its end; `txnsReplayed` of it is behind the snapshot. */
  constructor(
    disk: Disk,
    logDir: string,
    { store, files }: { readonly store: SnapshotStore; readonly files: SnapshotStore },
    state: StateMachine,
    txnsReplayed: number,
    config: Config,
    metrics: Metrics,
    host: StorageHost,
  ) {
    this.store = store
    this.files = files
    this.state = state
    this.host = host
    this.disk = disk
    this.latencies = new Latencies(metrics)
    this.metrics = metrics
    this.trigger = new SnapshotTrigger(
      config,
      () => host.random(),
      () => disk.nowMs(),
    )
    this.trigger.replayed(txnsReplayed)
    this.stallWatch = new StallWatch(config.fsyncWarningThresholdMs)
    this.snapshotRunning = null
    const deliver = (zxid: Zxid, buf: Uint8Array, off: number, end: number): void => {
      this.latencies.onCommitted(zxid, null, 0, host.wallMs(), buf, off)
      host.deliver(zxid, buf, off, end)
    }
    this.log = new TxnLog(
      disk,
      logDir,
      logOptions(config),
      {
        onDurable: (zxid) => this.latencies.onDurable(zxid, null, 0, Math.floor(disk.nowMs())),
        onRecords: (records, off, end) => forEachEntry(records, off, end, deliver),
        onFailed: (err) => host.failed(err),
        onSynced: (ms) => metrics.basic.fsynctime.add(Math.round(ms)),
        onSlowSync: (ms, file) => {
          metrics.fsyncThresholdExceedCount++
          host.warn('a sync of the transaction log was slow', { ms: Math.round(ms), file })
        },
      },
      state.zxidLast,
    )
  }

  propose(zxid: Zxid, buf: Uint8Array, off: number, end: number): void {
    this.latencies.onProposal(zxid, Math.floor(this.disk.nowMs()))
    this.log.append(zxid, buf, off, end)
    if (!this.trigger.due(this.log.bytesWritten)) return
    this.log.roll()
    // Begun once this one is applied, so that the log behind the roll covers all the snapshot may lack.
    this.log.whenDurable(zxid, (err) => {
      if (err !== null) return
      if (this.snapshotRunning === null) void this.snapshot()
      else this.host.warn('too busy to snapshot: the last one is still being written', {})
    })
  }

  /** Now and then: a disk that hangs is told of while it does. */
  onTick(): void {
    const { stalledMs, currentFile } = this.log
    if (!this.stallWatch.isDue(stalledMs)) return
    this.host.warn('a write of the transaction log has not ended yet', { ms: Math.round(stalledMs), file: currentFile })
  }

  /** End of the turn: starts the write of what was proposed, unless one is in flight. */
  flush(): void {
    this.log.flush()
  }

  /** Writes a snapshot of the tree as it is, in slices between which requests go on. A failure keeps the older ones. */
  snapshot(): Promise<void> {
    this.snapshotRunning ??= this.writeSnapshot().finally(() => {
      this.snapshotRunning = null
    })
    return this.snapshotRunning
  }

  /** A snapshot in Java's form, for who wants one; behind the one that is being written. */
  async snapshotFile(): Promise<SnapshotWritten> {
    while (this.snapshotRunning !== null) await this.snapshotRunning
    const written = this.files.takeSnapshot(this.state, (upTo, done) => this.log.whenDurable(upTo, done))
    const end = (): void => {
      this.snapshotRunning = null
    }
    this.snapshotRunning = written.then(end, end)
    return written
  }

  private async writeSnapshot(): Promise<void> {
    const started = performance.now()
    const zxid = this.state.zxidLast
    try {
      await this.store.takeSnapshot(this.state, (upTo, done) => this.log.whenDurable(upTo, done))
      this.trigger.written()
      this.metrics.basic.snapshottime.add(Math.round(performance.now() - started))
      this.host.info('snapshot written', { zxid, ms: Math.round(performance.now() - started) })
    } catch (err) {
      this.metrics.counters.snapshot_error_count++
      const fields = { err, zxid, nextTryMs: this.trigger.failed() }
      this.host.warn('snapshot failed; the older ones and the log stay', fields)
    }
  }

  /** Drains what was proposed and closes the log. */
  async close(): Promise<void> {
    await this.snapshotRunning
    await new Promise<void>((resolve) => this.log.close(() => resolve()))
  }
}
