/**
 * A growable writer in jute's encoding. Reserve once per record, patch lengths afterwards.
 *
 * `bytes()` is a borrowed view of what was written: the next write may move it. Java: BinaryOutputArchive.
 */

import { encodeText, textBytes } from './text.ts'
import { writeLong } from './zxid.ts'

export class Output {
  buf: Uint8Array
  view: DataView
  /** Bytes written so far; the position of the next write. */
  pos: number

  constructor(capacity = 1024) {
    this.buf = new Uint8Array(capacity)
    this.view = new DataView(this.buf.buffer)
    this.pos = 0
  }

  /** Makes room for `bytes` more. */
  reserve(bytes: number): void {
    if (this.pos + bytes > this.buf.length) this.grow(bytes)
  }

  private grow(bytes: number): void {
    let capacity = Math.max(this.buf.length * 2, 16)
    while (capacity < this.pos + bytes) capacity *= 2
    const bigger = new Uint8Array(capacity)
    bigger.set(this.buf.subarray(0, this.pos))
    this.buf = bigger
    this.view = new DataView(bigger.buffer)
  }

  byte(value: number): void {
    this.reserve(1)
    this.buf[this.pos++] = value
  }

  bool(value: boolean): void {
    this.reserve(1)
    this.buf[this.pos++] = value ? 1 : 0
  }

  int(value: number): void {
    this.reserve(4)
    this.view.setInt32(this.pos, value)
    this.pos += 4
  }

  /** A signed 64-bit integer of magnitude below 2^53. */
  long(value: number): void {
    this.reserve(8)
    writeLong(this.view, this.pos, value)
    this.pos += 8
  }

  /** An opaque 64-bit value from its two words. */
  words(hi: number, lo: number): void {
    this.reserve(8)
    this.view.setInt32(this.pos, hi)
    this.view.setInt32(this.pos + 4, lo)
    this.pos += 8
  }

  /** Raw bytes, without a length. */
  raw(src: Uint8Array, off = 0, end: number = src.length): void {
    const length = end - off
    this.reserve(length)
    copyBytes(src, off, end, this.buf, this.pos)
    this.pos += length
  }

  /** Length and bytes. */
  bufferOf(src: Uint8Array, off: number, end: number): void {
    this.reserve(4 + end - off)
    this.view.setInt32(this.pos, end - off)
    this.pos += 4
    copyBytes(src, off, end, this.buf, this.pos)
    this.pos += end - off
  }

  /** Length and bytes; null is length -1. */
  buffer(value: Uint8Array | null): void {
    if (value === null) this.int(-1)
    else this.bufferOf(value, 0, value.length)
  }

  /** A string as Java writes it (UTF-16 units one by one, so surrogates become three bytes each); null is -1. */
  string(value: string | null): void {
    if (value === null) {
      this.int(-1)
      return
    }
    const length = textBytes(value)
    this.reserve(4 + length)
    this.view.setInt32(this.pos, length)
    encodeText(value, this.buf, this.pos + 4)
    this.pos += 4 + length
  }

  /** What was written, borrowed. */
  bytes(): Uint8Array {
    return this.buf.subarray(0, this.pos)
  }

  /** What was written, as the caller's own copy. */
  copy(): Uint8Array {
    return this.buf.slice(0, this.pos)
  }

  clear(): void {
    this.pos = 0
  }
}

/** Copies a run of bytes; short runs (names, paths) byte by byte, which beats the call into `set` below ~32 bytes. */
export function copyBytes(src: Uint8Array, off: number, end: number, dst: Uint8Array, at: number): void {
  if (end - off <= 32) {
    while (off < end) dst[at++] = src[off++]!
  } else {
    dst.set(src.subarray(off, end), at)
  }
}
