/**
 * Bounds what clients can make the server write into its log: so many lines of one kind in a period, then only how many
 * were left out. Pure.
 */

const LINES_MAX = 20
const PERIOD_MS = 10_000

interface Kind {
  sinceMs: number
  lines: number
  leftOut: number
}

export class LogLimit {
  private readonly kinds: Map<string, Kind>

  constructor() {
    this.kinds = new Map()
  }

  /**
   * How many lines of this kind were left out before the one now due, or -1 when this one is to be left out too. `kind`
   * is the fixed text of a message, never something a client can choose.
   */
  admit(kind: string, nowMs: number): number {
    let entry = this.kinds.get(kind)
    if (entry === undefined) {
      entry = { sinceMs: nowMs, lines: 0, leftOut: 0 }
      this.kinds.set(kind, entry)
    }
    if (nowMs - entry.sinceMs >= PERIOD_MS) {
      entry.sinceMs = nowMs
      entry.lines = 0
    }
    if (entry.lines >= LINES_MAX) {
      entry.leftOut++
      return -1
    }
    entry.lines++
    const { leftOut } = entry
    entry.leftOut = 0
    return leftOut
  }
}
