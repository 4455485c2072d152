/**
 * When to snapshot: behind so many transactions or log bytes, drawn anew each time from the upper half of the limits so
 * that the members of an ensemble do not all do it at once. One that failed is tried again with the next transaction
 * after a while, each time after a longer one. Pure. Java: SyncRequestProcessor.shouldSnapshot.
 */

export interface SnapshotLimits {
  readonly snapCount: number
  /** -1 is off. */
  readonly snapSizeLimitBytes: number
}

const RETRY_MIN_MS = 10_000
const RETRY_MAX_MS = 600_000

export class SnapshotTrigger {
  private readonly limits: SnapshotLimits
  private readonly random: () => number
  private readonly nowMs: () => number
  private retryMs: number
  private retryAtMs: number
  private txns: number
  private txnsWanted: number
  private bytesWanted: number

  constructor(limits: SnapshotLimits, random: () => number, nowMs: () => number) {
    this.limits = limits
    this.random = random
    this.nowMs = nowMs
    this.retryMs = RETRY_MIN_MS
    this.retryAtMs = Number.POSITIVE_INFINITY
    this.txns = 0
    this.txnsWanted = 0
    this.bytesWanted = 0
    this.draw()
  }

  /** So many transactions stand behind the last snapshot already: the next start has no more to replay than this one. */
  replayed(txns: number): void {
    this.txns = txns
  }

  /** Counts a transaction; `logBytes` were written since the log was last rolled. True: snapshot now. */
  due(logBytes: number): boolean {
    this.txns++
    const enough = this.txns > this.txnsWanted || (this.limits.snapSizeLimitBytes > 0 && logBytes > this.bytesWanted)
    if (!enough && (this.retryAtMs === Number.POSITIVE_INFINITY || this.nowMs() < this.retryAtMs)) return false
    this.txns = 0
    this.retryAtMs = Number.POSITIVE_INFINITY
    this.draw()
    return true
  }

  /** The snapshot that was due is there. */
  written(): void {
    this.retryMs = RETRY_MIN_MS
    this.retryAtMs = Number.POSITIVE_INFINITY
  }

  /** It could not be written. The answer is after how long there is another try. */
  failed(): number {
    const ms = this.retryMs
    this.retryAtMs = this.nowMs() + ms
    this.retryMs = Math.min(2 * ms, RETRY_MAX_MS)
    return ms
  }

  private draw(): void {
    const half = Math.floor(this.limits.snapCount / 2)
    this.txnsWanted = half + Math.floor(this.random() * half)
    const halfBytes = Math.floor(this.limits.snapSizeLimitBytes / 2)
    this.bytesWanted = halfBytes + Math.floor(this.random() * halfBytes)
  }
}
