/**
 * The files' own checks, by the book and apart from the code under test: what is a whole record, what seals a snapshot,
 * and how to make damage fit its checksums again.
 *
 *   log       16 bytes | {Adler-32 as a long, length 4, entry, 'B'}*
 *   snapshot  content | seal | {zxid 8, version 4, digest 8, seal} | {zxid 8, seal};  seal: Adler-32 as a long, 1, '/'
 *   snappy    82 "SNAPPY" 00, 1, 1 | {length 4, block}*
 */

import { gunzipSync, gzipSync } from 'node:zlib'

export const LOG_HEADER_BYTES = 16
const PREFIX_BYTES = 12
const END_MARK = 0x42
const SEAL_BYTES = 13
const SNAPPY_HEADER = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]

/** A record's place, from its checksum to behind its end mark. */
export interface Place {
  off: number
  end: number
}

export function adler(bytes: Uint8Array): number {
  let a = 1
  let b = 0
  for (const byte of bytes) {
    a = (a + byte) % 65521
    b = (b + a) % 65521
  }
  return (b * 65536 + a) >>> 0
}

/** The records of a log, up to the first that does not hold. */
export function recordsOf(log: Uint8Array): Place[] {
  const places: Place[] = []
  for (let at = LOG_HEADER_BYTES; ; ) {
    const end = recordEnd(log, at)
    if (end === null || !isWhole(log, at, end)) return places
    places.push({ off: at, end })
    at = end
  }
}

export function entryOf(log: Uint8Array, { off, end }: Place): Uint8Array {
  return log.subarray(off + PREFIX_BYTES, end - 1)
}

export function logOf(entries: readonly Uint8Array[], paddingBytes: number): Uint8Array {
  let bytes = LOG_HEADER_BYTES + paddingBytes
  for (const entry of entries) bytes += PREFIX_BYTES + entry.length + 1
  const log = new Uint8Array(bytes)
  const view = viewOf(log)
  view.setInt32(0, 0x5a4b4c47)
  view.setInt32(4, 2)
  let at = LOG_HEADER_BYTES
  for (const entry of entries) {
    view.setUint32(at + 4, adler(entry))
    view.setInt32(at + 8, entry.length)
    log.set(entry, at + PREFIX_BYTES)
    log[at + PREFIX_BYTES + entry.length] = END_MARK
    at += PREFIX_BYTES + entry.length + 1
  }
  return log
}

/** Gives every record, as the lengths say where they are, a checksum and an end mark that fit. */
export function resealLog(log: Uint8Array): void {
  const view = viewOf(log)
  for (let at = LOG_HEADER_BYTES; ; ) {
    const end = recordEnd(log, at)
    if (end === null) return
    view.setInt32(at, 0)
    view.setUint32(at + 4, adler(log.subarray(at + PREFIX_BYTES, end - 1)))
    log[end - 1] = END_MARK
    at = end
  }
}

/** Gives a snapshot that ends in `trailers` (bytes before each later seal) seals that fit. */
export function resealSnapshot(snapshot: Uint8Array, trailers: readonly number[]): void {
  let at = snapshot.length - SEAL_BYTES
  for (const bytes of trailers) at -= bytes + SEAL_BYTES
  if (at < 0) return
  const view = viewOf(snapshot)
  for (const bytes of [0, ...trailers]) {
    at += bytes
    view.setInt32(at, 0)
    view.setUint32(at + 4, adler(snapshot.subarray(0, at)))
    view.setInt32(at + 8, 1)
    snapshot[at + 12] = 0x2f
    at += SEAL_BYTES
  }
}

/** Whether the last seal of an uncompressed snapshot covers what is before it. */
export function isSealed(snapshot: Uint8Array): boolean {
  const at = snapshot.length - SEAL_BYTES
  return at >= 0 && viewOf(snapshot).getUint32(at + 4) === adler(snapshot.subarray(0, at))
}

export function gunzip(bytes: Uint8Array): Uint8Array {
  return gunzipSync(bytes)
}

export function gzip(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: 1 })
}

/** Snappy in blocks of one literal each: valid, if not small. */
export function snappyOf(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.from(SNAPPY_HEADER)]
  for (let at = 0; at < bytes.length; at += 0x8000) {
    const part = bytes.subarray(at, at + 0x8000)
    const block = [...varint(part.length), 61 << 2, (part.length - 1) & 0xff, (part.length - 1) >> 8]
    const head = new Uint8Array(4 + block.length)
    viewOf(head).setInt32(0, block.length + part.length)
    head.set(block, 4)
    parts.push(head, part)
  }
  return Buffer.concat(parts)
}

/** Where the record at `at` ends if its length is to be believed; null where it leaves the file, or is no record's. */
function recordEnd(log: Uint8Array, at: number): number | null {
  if (at + PREFIX_BYTES > log.length) return null
  const length = viewOf(log).getInt32(at + 8)
  const end = at + PREFIX_BYTES + length + 1
  return length < 32 || end > log.length ? null : end
}

function isWhole(log: Uint8Array, off: number, end: number): boolean {
  const view = viewOf(log)
  const sum = adler(log.subarray(off + PREFIX_BYTES, end - 1))
  return log[end - 1] === END_MARK && view.getInt32(off) === 0 && view.getUint32(off + 4) === sum
}

function varint(value: number): number[] {
  const bytes: number[] = []
  for (; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80)
  bytes.push(value)
  return bytes
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
