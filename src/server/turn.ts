/**
 * The event loop's turn as the unit of batching: the poll phase takes in, the check phase gives out.
 *
 * Whoever has something to give out says `want()`; once, at the end of this loop iteration, everything is flushed in a
 * fixed order: the log first (so that the disk works while the sockets are written), then the clients.
 */

import type { Turns } from './report/turns.ts'

export class Turn {
  private wanted: boolean
  private readonly flush: () => void
  private readonly turns: Turns
  private sinceMs: number

  constructor(flush: () => void, turns: Turns) {
    this.wanted = false
    this.flush = flush
    this.turns = turns
    this.sinceMs = 0
  }

  want(): void {
    if (this.wanted) return
    this.wanted = true
    this.sinceMs = performance.now()
    setImmediate(this.run)
  }

  private readonly run = (): void => {
    this.wanted = false
    const inputEndMs = performance.now()
    this.flush()
    this.turns.add(inputEndMs - this.sinceMs, performance.now() - inputEndMs)
  }
}
