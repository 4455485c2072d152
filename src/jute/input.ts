/**
 * A cursor over bytes in jute's encoding: big-endian integers, length-prefixed strings and buffers.
 *
 * The bytes are borrowed. Every length is checked against what is left and against `lengthMax` before anything is
 * taken, so a hostile length costs nothing. Errors are ProtocolError with the offset at which reading stopped.
 * Java: BinaryInputArchive (checkLength for the length rule; a vector count below zero reads as empty or null).
 */

import { decodeStoredText, decodeText } from './text.ts'
import { readLong } from './zxid.ts'

/** Malformed bytes from a peer. `offset` counts from the start of the buffer that was read. */
export class ProtocolError extends Error {
  override name = 'ProtocolError'
  readonly offset: number
  constructor(message: string, offset: number) {
    super(`${message} at offset ${offset}`)
    this.offset = offset
  }
}

/** jute.maxbuffer's default, 0xfffff: the largest frame, and (with the equal extra size) half the largest string. */
export const JUTE_MAX_BUFFER = 0xf_ffff

export class Input {
  buf: Uint8Array
  view: DataView
  off: number
  end: number
  /** The longest string or buffer accepted: jute.maxbuffer plus jute.maxbuffer.extrasize. */
  lengthMax: number

  constructor(buf: Uint8Array, off = 0, end: number = buf.length, lengthMax: number = 2 * JUTE_MAX_BUFFER) {
    this.buf = buf
    this.view = new DataView(buf.buffer, buf.byteOffset, buf.byteLength)
    this.off = off
    this.end = end
    this.lengthMax = lengthMax
  }

  /** Points the cursor elsewhere; makes a new view only when the memory differs. */
  reset(buf: Uint8Array, off: number, end: number): void {
    if (buf !== this.buf) {
      this.buf = buf
      this.view = new DataView(buf.buffer, buf.byteOffset, buf.byteLength)
    }
    this.off = off
    this.end = end
  }

  get remaining(): number {
    return this.end - this.off
  }

  /** Steps over `bytes`, which are known to be there on return, and says where they start. */
  take(bytes: number): number {
    const at = this.off
    if (this.end - at < bytes) throw new ProtocolError(`${bytes} bytes wanted, ${this.end - at} left`, at)
    this.off = at + bytes
    return at
  }

  byte(): number {
    return this.view.getInt8(this.take(1))
  }

  /** Any non-zero byte is true, as in Java. */
  bool(): boolean {
    return this.view.getInt8(this.take(1)) !== 0
  }

  int(): number {
    return this.view.getInt32(this.take(4))
  }

  /** A signed 64-bit integer as a number; exact within +-2^53. */
  long(): number {
    return readLong(this.view, this.take(8))
  }

  /** The high word of an opaque 64-bit value; the low word is the next int. */
  word(): number {
    return this.int()
  }

  /**
   * Reads a string's or buffer's length and checks it. -1 is null. On return the cursor stands on the first of that
   * many bytes, which are known to be there.
   */
  length(): number {
    const at = this.take(4)
    const length = this.view.getInt32(at)
    if (length === -1) return -1
    if (length < 0 || length > this.lengthMax) throw new ProtocolError(`unreasonable length ${length}`, at)
    if (length > this.end - this.off) throw new ProtocolError(`length ${length}, ${this.end - this.off} left`, at)
    return length
  }

  /** A buffer as a borrowed view; null for length -1. */
  buffer(): Uint8Array | null {
    const length = this.length()
    if (length < 0) return null
    const at = this.off
    this.off = at + length
    return this.buf.subarray(at, at + length)
  }

  /** A string, decoded as Java decodes UTF-8; null for length -1. */
  string(): string | null {
    const length = this.length()
    if (length < 0) return null
    const at = this.off
    this.off = at + length
    return decodeText(this.buf, at, at + length)
  }

  /** A string that comes from a transaction or snapshot; see decodeStoredText. */
  storedText(): string | null {
    const length = this.length()
    if (length < 0) return null
    const at = this.off
    this.off = at + length
    return decodeStoredText(this.buf, at, at + length)
  }

  /** Steps over a string or buffer. */
  skipBuffer(): void {
    const length = this.length()
    if (length > 0) this.off += length
  }

  /**
   * A vector's count: negative ones below -1 read as empty. -1 is null. A count that what is left cannot hold, at
   * `itemBytesMin` an item, is an error here already, so that no memory is ever taken for it.
   */
  count(itemBytesMin = 1): number {
    const at = this.take(4)
    const count = this.view.getInt32(at)
    if (count > (this.end - this.off) / itemBytesMin) {
      throw new ProtocolError(`${count} items in ${this.end - this.off} bytes`, at)
    }
    return count < -1 ? 0 : count
  }
}

/** A big-endian int32 from plain bytes; for places that see too few integers to deserve a DataView. */
export function readInt(buf: Uint8Array, off: number): number {
  return (buf[off]! << 24) | (buf[off + 1]! << 16) | (buf[off + 2]! << 8) | buf[off + 3]!
}
