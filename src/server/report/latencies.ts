/**
 * How long transactions are on their way, under Java's names: from proposal or arrival to disk, quorum and tree. Pure.
 *
 * Times are remembered by the low bits of a zxid, of the last ones only: no memory for each transaction, and whoever
 * comes so late is not measured.
 */

import { readInt } from '../../jute/input.ts'
import type { Zxid } from '../../jute/zxid.ts'
import type { Role, Sid, ZabFigure } from '../../zab/types.ts'
import type { Metrics } from './metrics.ts'

/** A power of two. */
const REMEMBERED = 1024
const WORD = 0x1_0000_0000
/** In a transaction's header, behind session, cxid and zxid. */
const TIME_OFFSET = 20

export class Latencies {
  private readonly metrics: Metrics
  private readonly zxids: Float64Array
  private readonly sinceMs: Float64Array
  private zxidDurable: Zxid

  constructor(metrics: Metrics) {
    this.metrics = metrics
    this.zxids = new Float64Array(REMEMBERED)
    this.sinceMs = new Float64Array(REMEMBERED)
    this.zxidDurable = 0
  }

  /** It is proposed here, or has come from the leader. */
  onProposal(zxid: Zxid, nowMs: number): void {
    this.zxids[zxid % REMEMBERED] = zxid
    this.sinceMs[zxid % REMEMBERED] = nowMs
  }

  /** A learner: how long the leader's proposal was on its way; two clocks are compared. */
  onReceived(wallMs: number, buf: Uint8Array): void {
    const ms = wallMs - txnTimeMs(buf, 0)
    if (ms > 0) this.metrics.advanced.proposal_latency.add(ms)
  }

  /** All up to here is on disk; one sample for what was written together. `role` null: this server runs alone. */
  onDurable(zxid: Zxid, role: Role | null, sid: Sid, nowMs: number): void {
    const { advanced, basic, ackLatency } = this.metrics
    const count = zxid - this.zxidDurable
    this.zxidDurable = zxid
    if (count > 0 && count < REMEMBERED) basic.sync_processor_batch_size.add(count)
    const ms = this.msSince(zxid, nowMs)
    if (ms < 0) return
    advanced.sync_processor_queue_and_flush_time_ms.add(ms)
    if (role === null) return
    advanced.proposal_ack_creation_latency.add(ms)
    if (role === 'leading') ackLatency.of(String(sid)).add(ms)
  }

  /** It is committed, and goes into the tree now. `buf` at `off` is the transaction. */
  onCommitted(zxid: Zxid, role: Role | null, nowMs: number, wallMs: number, buf: Uint8Array, off: number): void {
    const { advanced } = this.metrics
    const onItsWayMs = wallMs - txnTimeMs(buf, off)
    if (onItsWayMs >= 0) advanced.propagation_latency.add(onItsWayMs)
    if (role === null) return
    const ms = this.msSince(zxid, nowMs)
    if (ms < 0) return
    if (role === 'leading') advanced.quorum_ack_latency.add(ms)
    else advanced.commit_propagation_latency.add(ms)
  }

  /** What only the core of agreement knows. */
  onFigure(figure: ZabFigure, sid: Sid, value: number): void {
    const { metrics } = this
    switch (figure) {
      case 'ack':
        metrics.ackLatency.of(String(sid)).add(Math.max(0, Math.round(value)))
        return
      case 'diffSync':
        metrics.counters.diff_count++
        metrics.basic.inflight_diff_count.add(value)
        return
      case 'diffSynced':
        metrics.basic.inflight_diff_count.add(value)
        return
      case 'held':
        metrics.learnerHandlerQpSize.of(String(sid)).add(value)
        return
      case 'disloyal':
        metrics.counters.quit_leading_due_to_disloyal_voter++
    }
  }

  /** Negative where that is not known any more. */
  private msSince(zxid: Zxid, nowMs: number): number {
    return this.zxids[zxid % REMEMBERED] === zxid ? nowMs - this.sinceMs[zxid % REMEMBERED]! : -1
  }
}

/** When its author made it, in ms since 1970. */
function txnTimeMs(buf: Uint8Array, off: number): number {
  return readInt(buf, off + TIME_OFFSET) * WORD + (readInt(buf, off + TIME_OFFSET + 4) >>> 0)
}
