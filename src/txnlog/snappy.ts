/**
 * Snappy, the block format, in plain JavaScript. Pure.
 *
 *   block     uncompressed length as a varint | elements
 *   literal   tag (length - 1) << 2, lengths above 60 in 1 to 4 following bytes (little-endian) | bytes
 *   copy      01: length 4 to 11, offset of 11 bits; 10: length 1 to 64, offset of 16 bits; 11: offset of 32 bits
 *
 * The encoder finds matches of four bytes and more with one hash table per block, and strides faster the longer it
 * finds none. Blocks come from xerial's framing (codec.ts), 32 KiB each, so 16-bit offsets always do.
 */

import { assert } from '../jute/assert.ts'
import { StorageError } from '../jute/errors.ts'

/** The longest block the encoder takes. */
export const SNAPPY_BLOCK_BYTES_MAX = 1 << 16

const HASH_BITS = 14
const MATCH_BYTES_MIN = 4

/** The most that a block of `bytes` can take when compressed. */
export function snappyBytesMax(bytes: number): number {
  return 32 + bytes + Math.ceil(bytes / 6)
}

/** A hash table for `snappyEncode`, to be used again and again. */
export function snappyTable(): Uint16Array {
  return new Uint16Array(1 << HASH_BITS)
}

/** Compresses `src[off, end)` to `into` at `at`; the caller has made room. Returns the position behind it. */
export function snappyEncode(
  src: Uint8Array,
  off: number,
  end: number,
  into: Uint8Array,
  at: number,
  table: Uint16Array,
): number {
  const bytes = end - off
  assert(bytes <= SNAPPY_BLOCK_BYTES_MAX, 'snappy block too long')
  for (let rest = bytes; ; rest >>>= 7) {
    into[at++] = rest < 0x80 ? rest : (rest & 0x7f) | 0x80
    if (rest < 0x80) break
  }
  table.fill(0)
  let literal = off
  let pos = off + 1
  const last = end - MATCH_BYTES_MIN
  let misses = 32
  while (pos <= last) {
    const word = wordAt(src, pos)
    const slot = Math.imul(word, 0x1e35_a7bd) >>> (32 - HASH_BITS)
    const candidate = off + table[slot]!
    table[slot] = pos - off
    if (candidate >= pos || wordAt(src, candidate) !== word) {
      pos += misses++ >> 5
      continue
    }
    misses = 32
    let length = MATCH_BYTES_MIN
    while (pos + length < end && src[candidate + length] === src[pos + length]) length++
    at = putLiteral(src, literal, pos, into, at)
    at = putCopies(pos - candidate, length, into, at)
    pos += length
    literal = pos
  }
  return putLiteral(src, literal, end, into, at)
}

/** The uncompressed length that a block claims. */
export function snappyLength(src: Uint8Array, off: number, end: number): number {
  return readVarint(src, off, end).value
}

/** Uncompresses a block to `into`, which is exactly as long as it claims. Throws StorageError for malformed input. */
export function snappyDecode(src: Uint8Array, off: number, end: number, into: Uint8Array): void {
  let pos = readVarint(src, off, end).next
  let at = 0
  const room = into.length
  while (pos < end) {
    const tag = src[pos++]!
    let length: number
    let offset: number
    switch (tag & 3) {
      case 0: {
        length = (tag >> 2) + 1
        if (length > 60) {
          const extra = length - 60
          if (pos + extra > end) throw malformed(pos)
          length = 0
          for (let i = extra - 1; i >= 0; i--) length = length * 256 + src[pos + i]!
          length++
          pos += extra
        }
        if (length > end - pos || length > room - at) throw malformed(pos)
        into.set(src.subarray(pos, pos + length), at)
        pos += length
        at += length
        continue
      }
      case 1:
        if (pos + 1 > end) throw malformed(pos)
        length = ((tag >> 2) & 7) + 4
        offset = ((tag >> 5) << 8) | src[pos]!
        pos += 1
        break
      case 2:
        if (pos + 2 > end) throw malformed(pos)
        length = (tag >> 2) + 1
        offset = src[pos]! | (src[pos + 1]! << 8)
        pos += 2
        break
      default:
        if (pos + 4 > end) throw malformed(pos)
        length = (tag >> 2) + 1
        offset = (src[pos]! | (src[pos + 1]! << 8) | (src[pos + 2]! << 16) | (src[pos + 3]! << 24)) >>> 0
        pos += 4
    }
    if (offset === 0 || offset > at || length > room - at) throw malformed(pos)
    // Byte by byte: a copy may overlap what it writes, which is how runs are stored.
    for (let from = at - offset; length > 0; length--) into[at++] = into[from++]!
  }
  if (at !== room) throw malformed(pos)
}

function wordAt(src: Uint8Array, at: number): number {
  return src[at]! | (src[at + 1]! << 8) | (src[at + 2]! << 16) | (src[at + 3]! << 24)
}

function putLiteral(src: Uint8Array, from: number, end: number, into: Uint8Array, at: number): number {
  const length = end - from
  if (length === 0) return at
  const code = length - 1
  if (code < 60) {
    into[at++] = code << 2
  } else if (code < 0x100) {
    into[at++] = 60 << 2
    into[at++] = code
  } else {
    into[at++] = 61 << 2
    into[at++] = code & 0xff
    into[at++] = code >> 8
  }
  into.set(src.subarray(from, end), at)
  return at + length
}

function putCopies(offset: number, length: number, into: Uint8Array, at: number): number {
  while (length >= 68) {
    at = putCopy(offset, 64, into, at)
    length -= 64
  }
  // Leaves at least four for the last one, which then has a short form.
  if (length > 64) {
    at = putCopy(offset, 60, into, at)
    length -= 60
  }
  return putCopy(offset, length, into, at)
}

function putCopy(offset: number, length: number, into: Uint8Array, at: number): number {
  if (length < 12 && offset < 2048) {
    into[at] = 1 | ((length - 4) << 2) | ((offset >> 8) << 5)
    into[at + 1] = offset & 0xff
    return at + 2
  }
  into[at] = 2 | ((length - 1) << 2)
  into[at + 1] = offset & 0xff
  into[at + 2] = offset >> 8
  return at + 3
}

function readVarint(src: Uint8Array, off: number, end: number): { value: number; next: number } {
  let value = 0
  for (let i = 0; i < 5; i++) {
    if (off + i >= end) throw malformed(off)
    const byte = src[off + i]!
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return { value, next: off + i + 1 }
  }
  throw malformed(off)
}

function malformed(offset: number): StorageError {
  return new StorageError('malformed snappy block', null, offset)
}
