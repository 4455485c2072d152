/**
 * Bytes of a file of some length. What was never written is zero and takes no memory; copies share their bytes until one
 * of them is written to.
 */

export class Content {
  /** Behind `length` it is zero; it may be shorter than `length`. */
  private bytes: Uint8Array
  length: number
  /** Where the last byte ends that was written: what the file takes of the disk's room. */
  used: number
  private shared: boolean

  constructor() {
    this.bytes = new Uint8Array(0)
    this.length = 0
    this.used = 0
    this.shared = false
  }

  write(pos: number, from: Uint8Array): void {
    const end = pos + from.length
    if (this.shared || end > this.bytes.length) this.own(Math.max(end, this.used))
    this.bytes.set(from, pos)
    this.used = Math.max(this.used, end)
    this.length = Math.max(this.length, end)
  }

  resize(length: number): void {
    if (length < this.used) {
      if (this.shared) this.own(this.used)
      this.bytes.fill(0, length, this.used)
      this.used = length
    }
    this.length = length
  }

  /** Returns the number of bytes read, short only at the end. */
  read(pos: number, into: Uint8Array, off: number, count: number): number {
    const end = Math.min(pos + count, this.length)
    if (end <= pos) return 0
    const written = Math.min(end, this.used)
    if (written > pos) into.set(this.bytes.subarray(pos, written), off)
    into.fill(0, off + Math.max(0, written - pos), off + end - pos)
    return end - pos
  }

  /** A copy of [pos, end), as far as the file goes. */
  slice(pos = 0, end = this.length): Uint8Array {
    const copy = new Uint8Array(Math.max(0, Math.min(end, this.length) - pos))
    this.read(pos, copy, 0, copy.length)
    return copy
  }

  copy(): Content {
    const copy = new Content()
    copy.bytes = this.bytes
    copy.shared = true
    this.shared = true
    copy.length = this.length
    copy.used = this.used
    return copy
  }

  /** Bytes that nobody else writes to, with room for so many. */
  private own(bytesMin: number): void {
    const room = Math.max(bytesMin, Math.min(2 * this.used, bytesMin + 65_536))
    const bytes = new Uint8Array(room)
    bytes.set(this.bytes.subarray(0, this.used))
    this.bytes = bytes
    this.shared = false
  }
}
