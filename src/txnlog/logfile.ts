/**
 * One log file as bytes: header, records, and what an imperfect end of the file means. Pure.
 *
 *   header   "ZKLG" | version int = 2 | dbid long = 0                                   16 bytes
 *   record   Adler-32 of the entry, as a long 8 | entry length 4 | entry | 'B'          13 bytes + entry
 *   entry    TxnHeader {clientId 8, cxid 4, zxid 8, time 8, type 4} | body | digest
 *   padding  zeros up to the preallocated size, or nothing
 *
 * The first bytes that are no good record are judged once the whole rest of the file has been seen:
 *
 *   end      nothing, or only zeros
 *   torn     a write that a crash cut short. Either it stops inside its first record, before the end mark, with only
 *            zeros behind; or whole sectors of that record (or of the header) are still zero, because the disk had
 *            stored later ones of the same write first (`hole`). None of it was ever synced, so none of it was
 *            acknowledged. A hole with more bytes behind it than one write has is damage.
 *   damage   anything else: bytes changed after they were written. A record with its end mark or later bytes in place
 *            and no empty sector is not a torn write, nor is one whose checksum fits a shorter entry than its length
 *            says, or whose length reaches over a later record that is whole.
 *
 * Java (FileTxnLog.FileTxnIterator.next) tells fewer cases apart: a bad length that points behind the end of file or a
 * missing end mark ends the file silently there, also in the middle of acknowledged records.
 */

import { assert } from '../jute/assert.ts'
import { readInt } from '../jute/input.ts'
import { type Zxid, zxidHex } from '../jute/zxid.ts'
import { ADLER_START, adler32 } from './adler32.ts'

export const LOG_HEADER_BYTES = 16
/** What a record takes besides its entry. */
export const RECORD_OVERHEAD_BYTES = 13
/** clientId, cxid, zxid, time, type. */
export const TXN_HEADER_BYTES = 32
/** The zxid's place in an entry. */
export const ENTRY_ZXID_OFFSET = 12

/** A writer syncs after this many bytes and the entry that exceeded them, so no more can be torn at once. */
export const GROUP_BYTES_MAX = 1024 * 1024

const END_MARK = 0x42
const ADLER_MODULUS = 65521
const PREFIX_BYTES = 12
/** Disks store this much or nothing. */
const SECTOR_BYTES = 512
const HEADER: readonly number[] = [0x5a, 0x4b, 0x4c, 0x47, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]

/** Writes the 16 bytes that open a file; the caller has made room. */
export function writeLogHeader(into: Uint8Array, at: number): number {
  for (let i = 0; i < LOG_HEADER_BYTES; i++) into[at + i] = HEADER[i]!
  return at + LOG_HEADER_BYTES
}

/** Writes one record around the entry `buf[off, end)`; the caller has made room. Returns the position behind it. */
export function frameRecord(into: Uint8Array, at: number, buf: Uint8Array, off: number, end: number): number {
  const length = end - off
  assert(length >= TXN_HEADER_BYTES, 'an entry holds at least its TxnHeader')
  writeWord(into, at, 0)
  writeWord(into, at + 4, adler32(ADLER_START, buf, off, end))
  writeWord(into, at + 8, length)
  into.set(off === 0 && end === buf.length ? buf : buf.subarray(off, end), at + PREFIX_BYTES)
  into[at + PREFIX_BYTES + length] = END_MARK
  return at + RECORD_OVERHEAD_BYTES + length
}

/** Visits the entries of whole records, as `frameRecord` has written them. Bytes are borrowed. */
export function forEachEntry(
  buf: Uint8Array,
  off: number,
  end: number,
  visit: (zxid: Zxid, buf: Uint8Array, off: number, end: number) => void,
): void {
  for (let at = off; at < end; ) {
    const entry = at + PREFIX_BYTES
    const entryEnd = entry + readInt(buf, at + 8)
    visit(zxidOfEntry(buf, entry), buf, entry, entryEnd)
    at = entryEnd + 1
  }
}

/** The zxid of an entry. */
export function zxidOfEntry(buf: Uint8Array, off: number): Zxid {
  return readInt(buf, off + ENTRY_ZXID_OFFSET) * 0x1_0000_0000 + (readInt(buf, off + ENTRY_ZXID_OFFSET + 4) >>> 0)
}

export type LogTailKind = 'end' | 'torn' | 'damage'

/** How a file ends. */
export interface LogTail {
  kind: LogTailKind
  /** Where the good records end: the first byte of padding, of the torn write or of the damaged record. */
  offset: number
  /** Where the last byte that is not zero ends. */
  offsetUsed: number
  /** Zxid of the last good record; -1 where there is none. */
  zxidLast: Zxid
  /** Torn with later bytes in place. */
  hole: boolean
  /** One clause for the operator. */
  reason: string
}

/** Called per good record; `offset` is the record's place in the file. Returns false to stop. Bytes are borrowed. */
export type OnLogEntry = (zxid: Zxid, buf: Uint8Array, off: number, end: number, offset: number) => boolean

/**
 * Walks a file's bytes, given in pieces and in order. After `push` has returned false (stopped, or a record that is
 * not good was met and the rest is of use only for the verdict) `finish` may be called at once; for a verdict on the
 * tail all bytes must have been pushed.
 */
export class LogScanner {
  /** The consumer said stop; `offset` is behind the record it stopped at. */
  stopped: boolean
  /** Behind the last good record. */
  offset: number
  zxidLast: Zxid
  private readonly lengthMax: number
  private readonly onEntry: OnLogEntry
  /** Bytes from `offset` on that are not consumed yet; in tail mode no more than judging needs. */
  private held: Uint8Array
  private heldBytes: number
  private headerSeen: boolean
  /** A record that is not good was met: what follows is only looked at for the verdict. */
  private inTail: boolean
  private offsetUsed: number
  private offsetPushed: number

  /** `lengthMax`: the longest entry believed (jute.maxbuffer plus jute.maxbuffer.extrasize). */
  constructor(lengthMax: number, onEntry: OnLogEntry) {
    this.stopped = false
    this.offset = 0
    this.zxidLast = -1
    this.lengthMax = lengthMax
    this.onEntry = onEntry
    this.held = new Uint8Array(0)
    this.heldBytes = 0
    this.headerSeen = false
    this.inTail = false
    this.offsetUsed = 0
    this.offsetPushed = 0
  }

  /** True once a record that is not good was met. */
  get atTail(): boolean {
    return this.inTail
  }

  /** Takes the next piece, borrowed until return. False once the consumer has stopped. */
  push(buf: Uint8Array, off: number, end: number): boolean {
    assert(!this.stopped, 'push behind a stop')
    const used = lastUsed(buf, off, end)
    if (used > off) this.offsetUsed = this.offsetPushed + (used - off)
    this.offsetPushed += end - off
    if (this.inTail || this.heldBytes > 0) {
      this.hold(buf, off, end)
      if (this.inTail) return true
      const consumed = this.walk(this.held, 0, this.heldBytes)
      this.held.copyWithin(0, consumed, this.heldBytes)
      this.heldBytes -= consumed
    } else {
      const consumed = this.walk(buf, off, end)
      if (!this.stopped) this.hold(buf, consumed, end)
    }
    return !this.stopped
  }

  /** The verdict on what lies behind the last good record. */
  finish(): LogTail {
    const used = this.offsetUsed
    const tail = (kind: LogTailKind, reason: string, hole = false): LogTail => ({
      kind,
      offset: this.offset,
      offsetUsed: Math.max(used, this.offset),
      zxidLast: this.zxidLast,
      hole,
      reason,
    })
    if (!this.headerSeen) return this.judgeHeader(tail)
    if (used <= this.offset) return tail('end', 'end of log')
    return this.judgeRecord(used - this.offset, tail)
  }

  /** Consumes whole good records; returns where it stopped. */
  private walk(buf: Uint8Array, off: number, end: number): number {
    if (!this.headerSeen) {
      if (end - off < LOG_HEADER_BYTES) return off
      if (!isHeader(buf, off)) {
        this.inTail = true
        return off
      }
      this.headerSeen = true
      this.offset = LOG_HEADER_BYTES
      off += LOG_HEADER_BYTES
    }
    while (end - off >= PREFIX_BYTES) {
      const length = readInt(buf, off + 8)
      if (length < TXN_HEADER_BYTES || length > this.lengthMax) {
        this.inTail = true
        return off
      }
      const entry = off + PREFIX_BYTES
      if (end - entry < length + 1) return off
      if (
        buf[entry + length] !== END_MARK ||
        readInt(buf, off) !== 0 ||
        readInt(buf, off + 4) !== (adler32(ADLER_START, buf, entry, entry + length) | 0)
      ) {
        this.inTail = true
        return off
      }
      const offset = this.offset
      const zxid = zxidOfEntry(buf, entry)
      off = entry + length + 1
      this.offset += RECORD_OVERHEAD_BYTES + length
      this.zxidLast = zxid
      if (!this.onEntry(zxid, buf, entry, entry + length, offset)) {
        this.stopped = true
        return off
      }
    }
    return off
  }

  private hold(buf: Uint8Array, off: number, end: number): void {
    const wanted = this.inTail
      ? Math.max(0, Math.min(end - off, this.lengthMax + RECORD_OVERHEAD_BYTES + SECTOR_BYTES - this.heldBytes))
      : end - off
    const bytes = this.heldBytes + wanted
    if (bytes > this.held.length) {
      const bigger = new Uint8Array(Math.max(bytes, 2 * this.held.length))
      bigger.set(this.held.subarray(0, this.heldBytes))
      this.held = bigger
    }
    this.held.set(buf.subarray(off, off + wanted), this.heldBytes)
    this.heldBytes = bytes
  }

  private judgeHeader(tail: (kind: LogTailKind, reason: string, hole?: boolean) => LogTail): LogTail {
    if (this.offsetUsed === 0) return tail(this.offsetPushed === 0 ? 'end' : 'torn', 'the file has no header')
    if (this.offsetUsed < LOG_HEADER_BYTES && isHeaderPrefix(this.held, this.offsetUsed)) {
      return tail('torn', 'the header is cut short')
    }
    const sector = Math.min(SECTOR_BYTES, this.heldBytes)
    if (this.holeFits(this.offsetUsed) && lastUsed(this.held, 0, sector) === 0) {
      return tail('torn', 'the first sector was never written', true)
    }
    return tail('damage', 'not the header of a transaction log')
  }

  /** Whether `used` bytes can be one unsynced write; doubled for writers that group more than we do. */
  private holeFits(used: number): boolean {
    return used <= 2 * GROUP_BYTES_MAX + this.lengthMax
  }

  /** `used`: bytes from the first bad record's start to the last byte in the file that is not zero. */
  private judgeRecord(used: number, tail: (kind: LogTailKind, reason: string, hole?: boolean) => LogTail): LogTail {
    const held = this.held
    if (used <= PREFIX_BYTES) return tail('torn', 'a record is cut short')
    const length = readInt(held, 8)
    if (length > this.lengthMax) {
      return tail('damage', `a record claims ${length} bytes, the limit (jute.maxbuffer) is ${this.lengthMax}`)
    }
    if (length < 0) return tail('damage', `a record claims ${length} bytes`)
    const recordBytes = RECORD_OVERHEAD_BYTES + length
    if (length > 0 && used < recordBytes) {
      if (shorterEntryFits(held, used)) {
        return tail('damage', `a record's length (${length}) is wrong: its checksum fits a shorter entry`)
      }
      const zxid = zxidOfRecordWithin(held, used, this.zxidLast)
      return zxid < 0
        ? tail('torn', 'a record is cut short')
        : tail(
            'damage',
            `a record's length (${length}) is wrong: behind its beginning zxid 0x${zxidHex(zxid)} is whole`,
          )
    }
    if (this.holeFits(used) && hasEmptySector(held, this.heldBytes, this.offset, recordBytes)) {
      return tail('torn', 'sectors of a record were never written', true)
    }
    if (length < TXN_HEADER_BYTES) return tail('damage', `a record claims ${length} bytes`)
    if (held[PREFIX_BYTES + length] !== END_MARK) return tail('damage', 'a record has no end mark')
    const zxid = zxidOfEntry(held, PREFIX_BYTES)
    return tail('damage', `checksum mismatch in a record that names zxid 0x${zxid < 0 ? '?' : zxidHex(zxid)}`)
  }
}

function writeWord(into: Uint8Array, at: number, word: number): void {
  into[at] = word >>> 24
  into[at + 1] = word >>> 16
  into[at + 2] = word >>> 8
  into[at + 3] = word
}

/** Magic and version must fit; the database id is whatever the writer liked. */
function isHeader(buf: Uint8Array, off: number): boolean {
  for (let i = 0; i < 8; i++) if (buf[off + i] !== HEADER[i]) return false
  return true
}

function isHeaderPrefix(buf: Uint8Array, bytes: number): boolean {
  for (let i = 0; i < bytes; i++) if (buf[i] !== HEADER[i]) return false
  return true
}

/** Position behind the last byte in [off, end) that is not zero; `off` where all are. */
function lastUsed(buf: Uint8Array, off: number, end: number): number {
  // Whole words of padding first: a preallocated file is mostly that.
  while (end > off && (buf.byteOffset + end) % 4 !== 0 && buf[end - 1] === 0) end--
  if ((buf.byteOffset + end) % 4 === 0) {
    const lead = (4 - ((buf.byteOffset + off) % 4)) % 4
    const wordCount = (end - off - lead) >> 2
    if (wordCount > 0) {
      const words = new Int32Array(buf.buffer, buf.byteOffset + off + lead, wordCount)
      let count = wordCount
      while (count > 0 && words[count - 1] === 0) count--
      end = off + lead + 4 * count
    }
  }
  while (end > off && buf[end - 1] === 0) end--
  return end
}

/** Whether some entry shorter than its length says matches the checksum and is followed by the end mark. */
function shorterEntryFits(held: Uint8Array, used: number): boolean {
  const wanted = readInt(held, 4)
  let state = ADLER_START
  let from = PREFIX_BYTES
  for (let at = PREFIX_BYTES + TXN_HEADER_BYTES; at < used; at++) {
    if (held[at] !== END_MARK) continue
    state = adler32(state, held, from, at)
    from = at
    if ((state | 0) === wanted) return true
  }
  return false
}

/**
 * The zxid of a whole record, newer than `zxidLast`, that begins behind the start of the first one in held[0, used);
 * -1 where there is none. Checksums come from sums over prefixes, so that the time stays the same whatever stands there.
 */
function zxidOfRecordWithin(held: Uint8Array, used: number, zxidLast: Zxid): Zxid {
  const sums = new Uint32Array(used + 1)
  const weighted = new Uint32Array(used + 1)
  for (let i = 0; i < used; i++) {
    sums[i + 1] = (sums[i]! + held[i]!) % ADLER_MODULUS
    weighted[i + 1] = (weighted[i]! + (i % ADLER_MODULUS) * held[i]!) % ADLER_MODULUS
  }
  for (let at = 1; at + RECORD_OVERHEAD_BYTES + TXN_HEADER_BYTES <= used; at++) {
    if (readInt(held, at) !== 0) continue
    const length = readInt(held, at + 8)
    const off = at + PREFIX_BYTES
    const end = off + length
    if (length < TXN_HEADER_BYTES || end >= used || held[end] !== END_MARK) continue
    const sum = sums[end]! - sums[off]!
    // Each byte counts as often as bytes come from it on: end - i times.
    const twice = (end % ADLER_MODULUS) * sum - (weighted[end]! - weighted[off]!) + length
    const low = modulo(sum + 1, ADLER_MODULUS)
    if (readInt(held, at + 4) !== ((modulo(twice, ADLER_MODULUS) << 16) | low)) continue
    const zxid = zxidOfEntry(held, off)
    if (zxid > zxidLast) return zxid
  }
  return -1
}

function modulo(value: number, by: number): number {
  const rest = value % by
  return rest < 0 ? rest + by : rest
}

/**
 * Whether a sector that the record touches, or the part of its first sector from the record's start, is all zeros.
 * `offset` is the record's place in the file, which fixes the sector borders. A first part of up to four bytes says
 * nothing: a checksum's upper half is zero in every record.
 */
function hasEmptySector(held: Uint8Array, heldBytes: number, offset: number, recordBytes: number): boolean {
  let at = 0
  while (at < recordBytes) {
    const border = at + SECTOR_BYTES - ((offset + at) % SECTOR_BYTES)
    const stop = Math.min(border, heldBytes)
    if (stop - at > 4 && lastUsed(held, at, stop) === at) return true
    at = border
  }
  return false
}
