/**
 * The event loop's turn as the unit of batching: the poll phase takes in, the check phase gives out.
 *
 * Whoever has something to give out says `want()`; once, at the end of this loop iteration, everything is flushed in a
 * fixed order: the log first (so that the disk works while the sockets are written), then the clients.
 */

export class Turn {
  private wanted: boolean
  private readonly flush: () => void

  constructor(flush: () => void) {
    this.wanted = false
    this.flush = flush
  }

  want(): void {
    if (this.wanted) return
    this.wanted = true
    setImmediate(this.run)
  }

  private readonly run = (): void => {
    this.wanted = false
    this.flush()
  }
}
