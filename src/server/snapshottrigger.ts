/**
 * When to snapshot: behind so many transactions or log bytes, drawn anew each time from the upper half of the limits so
 * that the members of an ensemble do not all do it at once. Pure. Java: SyncRequestProcessor.shouldSnapshot.
 */

export interface SnapshotLimits {
  readonly snapCount: number
  /** -1 is off. */
  readonly snapSizeLimitBytes: number
}

export class SnapshotTrigger {
  private readonly limits: SnapshotLimits
  private readonly random: () => number
  private txns: number
  private txnsWanted: number
  private bytesWanted: number

  constructor(limits: SnapshotLimits, random: () => number) {
    this.limits = limits
    this.random = random
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
    if (this.txns <= this.txnsWanted && !(this.limits.snapSizeLimitBytes > 0 && logBytes > this.bytesWanted))
      return false
    this.txns = 0
    this.draw()
    return true
  }

  private draw(): void {
    const half = Math.floor(this.limits.snapCount / 2)
    this.txnsWanted = half + Math.floor(this.random() * half)
    const halfBytes = Math.floor(this.limits.snapSizeLimitBytes / 2)
    this.bytesWanted = halfBytes + Math.floor(this.random() * halfBytes)
  }
}
