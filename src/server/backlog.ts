/**
 * Bytes of one link that could not be taken yet: they come at the end and go at the front, each copied a bounded number
 * of times however small the pieces are.
 */

export class Backlog {
  private buf: Uint8Array
  private from: number
  private to: number

  constructor() {
    this.buf = new Uint8Array(0)
    this.from = 0
    this.to = 0
  }

  get length(): number {
    return this.to - this.from
  }

  /** Copies [off, end). */
  push(buf: Uint8Array, off: number, end: number): void {
    const bytes = end - off
    if (bytes === 0) return
    if (this.to + bytes > this.buf.length) this.makeRoom(bytes)
    this.buf.set(buf.subarray(off, end), this.to)
    this.to += bytes
  }

  /** Offers all there is, borrowed; what `take` says it has used goes. Returns that number. */
  offer(take: (buf: Uint8Array, off: number, end: number) => number): number {
    const used = Math.min(this.length, take(this.buf, this.from, this.to))
    this.from += used
    if (this.from === this.to) {
      this.from = 0
      this.to = 0
    }
    return used
  }

  /** Moves the bytes to the beginning where that gains as much as it costs, else into twice the room. */
  private makeRoom(bytes: number): void {
    const { length } = this
    const target =
      length <= this.from && length + bytes <= this.buf.length ? this.buf : new Uint8Array(2 * (length + bytes))
    target.set(this.buf.subarray(this.from, this.to))
    this.buf = target
    this.from = 0
    this.to = length
  }
}
