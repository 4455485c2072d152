/**
 * LevelDB's files as far as it takes to tell whether it would survive them: which table files count, whether each block
 * of a table has its checksum, and whether the numbers of batches are such. Pure.
 *
 *   log        records in blocks of 32 KiB: {CRC-32C masked 4, length 2, type 1 (whole, first, middle, last)} and the
 *              bytes. The last one may have been cut by a crash.
 *   MANIFEST   a log of edits: {tag varint, fields}*
 *   n.log      a log of batches: number 8 | count 4 | operations
 *   table      blocks | footer 48: handle of the index of filters, handle of the index of blocks, padding, magic 8
 *   block      bytes | compression 1 (0 none, 1 snappy) | CRC-32C masked 4 of both
 *   index      {shared, not shared, value length as varints | key | value}* | restarts 4 each | their count 4
 *   handle     offset, length as varints: an index block's values
 *
 * All little-endian. The binding opens databases without LevelDB's own verification, and LevelDB then takes the bytes
 * for what they should be: an assertion of its own ends the process, or it asks for memory without bounds. Hence this
 * look before a database is opened.
 */

import { StorageError } from '../jute/errors.ts'
import { crc32c } from './crc32c.ts'
import { snappyDecode, snappyLength } from './snappy.ts'

const LOG_BLOCK_BYTES = 32 * 1024
const LOG_HEAD_BYTES = 7
const WHOLE = 1
const FIRST = 2
const LAST = 4

const FOOTER_BYTES = 48
const TRAILER_BYTES = 5
const MAGIC: readonly number[] = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb]
/** An index holds a key and a handle for each 4 KiB of its table. */
const INDEX_BYTES_MAX = 64 * 1024 * 1024

const Tag = {
  comparator: 1,
  logNumber: 2,
  nextFile: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  prevLogNumber: 9,
} as const

/** Numbers and sizes of the tables that count. Throws StorageError, without a file, for a damaged manifest. */
export function tablesIn(manifest: Uint8Array): Map<number, number> {
  const tables = new Map<number, number>()
  const edits = recordsIn(manifest, (offset) => {
    throw new StorageError('a manifest that does not match its checksum', null, offset)
  })
  for (const edit of edits) applyEdit(new Cursor(edit, 0, edit.length), tables)
  return tables
}

/**
 * Throws StorageError, without a file, for a log of batches with a number that there is none of. All else in a log
 * LevelDB looks at itself.
 */
export function checkBatches(log: Uint8Array): void {
  for (const batch of recordsIn(log, () => {})) {
    // Below 2^56 in LevelDB, which no database of ours comes near.
    if (batch.length >= 8 && (batch[6]! !== 0 || batch[7]! !== 0)) throw new StorageError('a batch without a place')
  }
}

/** Throws StorageError, without a file, where a block does not have its checksum. */
export function checkTable(table: Uint8Array): void {
  const footer = table.length - FOOTER_BYTES
  if (footer < 0) throw new StorageError('a table cut short', null, table.length)
  const magic = table.length - MAGIC.length
  for (let i = 0; i < MAGIC.length; i++) {
    if (table[magic + i] !== MAGIC[i]) throw new StorageError('not a table', null, magic)
  }
  const cursor = new Cursor(table, footer, magic)
  for (const handle of [cursor.handle(), cursor.handle()]) {
    const index = blockAt(table, handle)
    for (const value of valuesIn(index)) blockAt(table, new Cursor(value, 0, value.length).handle())
  }
}

interface Handle {
  off: number
  bytes: number
}

/** The block as stored, its compression byte at the end, checked. */
function blockAt(table: Uint8Array, { off, bytes }: Handle): Uint8Array {
  const end = off + bytes + 1
  if (end + TRAILER_BYTES - 1 > table.length - FOOTER_BYTES)
    throw new StorageError('a block behind its table', null, off)
  if (unmasked(table, end) !== crc32c(table, off, end)) {
    throw new StorageError('a block that does not match its checksum', null, off)
  }
  return table.subarray(off, end)
}

function valuesIn(index: Uint8Array): Uint8Array[] {
  let bytes = index.subarray(0, -1)
  if (index.at(-1) === 1) {
    const length = snappyLength(bytes, 0, bytes.length)
    if (length > INDEX_BYTES_MAX) throw new StorageError(`an index of ${length} bytes`)
    const plain = new Uint8Array(length)
    snappyDecode(bytes, 0, bytes.length, plain)
    bytes = plain
  }
  if (bytes.length < 4) throw new StorageError('an index without an end')
  const restarts = littleInt(bytes, bytes.length - 4) >>> 0
  const cursor = new Cursor(bytes, 0, bytes.length - 4 - 4 * restarts)
  const values: Uint8Array[] = []
  while (!cursor.atEnd) {
    cursor.varint()
    const keyBytes = cursor.varint()
    const valueBytes = cursor.varint()
    cursor.take(keyBytes)
    values.push(cursor.take(valueBytes))
  }
  return values
}

/**
 * The records that are whole. What does not match its checksum is for `mismatch`: it throws, or the rest of that block
 * is passed over, as LevelDB does it.
 */
function recordsIn(log: Uint8Array, mismatch: (offset: number) => void): Uint8Array[] {
  const records: Uint8Array[] = []
  let parts: Uint8Array[] = []
  for (let at = 0; at < log.length; ) {
    const blockLeft = LOG_BLOCK_BYTES - (at % LOG_BLOCK_BYTES)
    if (blockLeft < LOG_HEAD_BYTES) {
      at += blockLeft
      continue
    }
    if (log.length - at < LOG_HEAD_BYTES) break
    const length = log[at + 4]! | (log[at + 5]! << 8)
    const end = at + LOG_HEAD_BYTES + length
    if (end > log.length && LOG_HEAD_BYTES + length <= blockLeft) break
    if (LOG_HEAD_BYTES + length > blockLeft || unmasked(log, at) !== crc32c(log, at + 6, end)) {
      mismatch(at)
      parts = []
      at += blockLeft
      continue
    }
    const type = log[at + 6]!
    if (type === WHOLE || type === FIRST) parts = []
    parts.push(log.subarray(at + LOG_HEAD_BYTES, end))
    if (type === WHOLE || type === LAST) records.push(joined(parts))
    at = end
  }
  return records
}

function applyEdit(cursor: Cursor, tables: Map<number, number>): void {
  while (!cursor.atEnd) {
    const tag = cursor.varint()
    switch (tag) {
      case Tag.comparator:
        cursor.slice()
        break
      case Tag.logNumber:
      case Tag.nextFile:
      case Tag.lastSequence:
      case Tag.prevLogNumber:
        cursor.varint()
        break
      case Tag.compactPointer:
        cursor.varint()
        cursor.key()
        break
      case Tag.deletedFile:
        cursor.varint()
        tables.delete(cursor.varint())
        break
      case Tag.newFile: {
        cursor.varint()
        const number = cursor.varint()
        tables.set(number, cursor.varint())
        cursor.key()
        cursor.key()
        break
      }
      default:
        throw new StorageError(`a manifest with an unknown tag ${tag}`)
    }
  }
}

/** Reads LevelDB's varints; throws StorageError where they leave the bytes. */
class Cursor {
  private readonly buf: Uint8Array
  private readonly end: number
  private at: number

  constructor(buf: Uint8Array, off: number, end: number) {
    if (end < off) throw new StorageError('a block shorter than its end', null, off)
    this.buf = buf
    this.at = off
    this.end = end
  }

  get atEnd(): boolean {
    return this.at >= this.end
  }

  /** Up to 2^49, which is more than any place in a file, or any number that is counted up. */
  varint(): number {
    let value = 0
    for (let factor = 1; factor < 2 ** 49 && !this.atEnd; factor *= 128) {
      const byte = this.buf[this.at++]!
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    throw new StorageError('a number without an end', null, this.at)
  }

  take(bytes: number): Uint8Array {
    const from = this.at
    if (bytes > this.end - from) throw new StorageError('a length behind its block', null, from)
    this.at += bytes
    return this.buf.subarray(from, this.at)
  }

  slice(): Uint8Array {
    return this.take(this.varint())
  }

  /** One of LevelDB's own: a key and eight bytes. */
  key(): void {
    if (this.slice().length < 8) throw new StorageError('a key without its end', null, this.at)
  }

  handle(): Handle {
    return { off: this.varint(), bytes: this.varint() }
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** A stored checksum. LevelDB turns and shifts it: a CRC over bytes that hold CRCs is a weak one. */
function unmasked(buf: Uint8Array, at: number): number {
  const turned = (littleInt(buf, at) - 0xa282_ead8) | 0
  return ((turned >>> 17) | (turned << 15)) >>> 0
}

function littleInt(buf: Uint8Array, at: number): number {
  return buf[at]! | (buf[at + 1]! << 8) | (buf[at + 2]! << 16) | (buf[at + 3]! << 24)
}
