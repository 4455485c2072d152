/** Says when to warn of a write that does not end: behind `warnMs`, and at each doubling. Pure. */

export class StallWatch {
  private readonly warnMs: number
  private nextMs: number

  constructor(warnMs: number) {
    this.warnMs = warnMs
    this.nextMs = warnMs
  }

  /** `stalledMs`: for how long the write under way has not ended; 0 where there is none. */
  isDue(stalledMs: number): boolean {
    if (stalledMs < this.warnMs) this.nextMs = this.warnMs
    if (stalledMs === 0 || stalledMs < this.nextMs) return false
    this.nextMs = 2 * stalledMs
    return true
  }
}
