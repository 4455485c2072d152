/**
 * What clients have not read of their replies and events: bounded for each of them, and for all together.
 *
 * The figures are those of the last write; a socket that has drained since is found out before anybody is cut for the
 * sum. The one to go is the one with most. Pure.
 */

/** A client, by the bytes that its socket has not got rid of yet. */
export interface Receiver {
  readonly socket: { readonly writableLength: number }
}

/** Less than this is not worth a look. */
export const UNSENT_NOTED = 64 * 1024

export class Unsent<T extends Receiver> {
  private readonly eachMax: number
  private readonly totalMax: number
  private readonly noted: Map<T, number>
  private total: number

  constructor(eachMax: number, totalMax: number) {
    this.eachMax = eachMax
    this.totalMax = totalMax
    this.noted = new Map()
    this.total = 0
  }

  /** Something was written to this one. Returns the one that has to be cut for it, if any. */
  note(receiver: T): T | null {
    const bytes = receiver.socket.writableLength
    this.total += bytes - (this.noted.get(receiver) ?? 0)
    this.noted.set(receiver, bytes)
    if (bytes > this.eachMax) return receiver
    if (this.total <= this.totalMax) return null
    this.lookAgain()
    return this.total <= this.totalMax ? null : this.largest()
  }

  /** It has drained, or is gone. */
  forget(receiver: T): void {
    const bytes = this.noted.get(receiver)
    if (bytes === undefined) return
    this.noted.delete(receiver)
    this.total -= bytes
  }

  private lookAgain(): void {
    this.total = 0
    for (const receiver of this.noted.keys()) {
      const bytes = receiver.socket.writableLength
      if (bytes < UNSENT_NOTED) this.noted.delete(receiver)
      else {
        this.noted.set(receiver, bytes)
        this.total += bytes
      }
    }
  }

  private largest(): T | null {
    let found: T | null = null
    let bytesMax = -1
    for (const [receiver, bytes] of this.noted) {
      if (bytes <= bytesMax) continue
      found = receiver
      bytesMax = bytes
    }
    return found
  }
}
