/**
 * The record of a znode: 128 bytes in a page of 32,768 records, all integers big-endian.
 *
 * ```
 *   0  czxid 8 | mzxid 8 | ctime 8 | mtime 8 | version 4 | cversion 4 | aversion 4 | ephemeralOwner 8
 *  52  dataLength 4 | numChildren 4 | pzxid 8                  = Stat as it goes over the wire, 68 bytes
 *  68  owner 8 (with the marks of containers and TTL nodes; Stat shows 0 for those)
 *  76  dataCrc 4 (CRC-32 of path and data) | digest 4 (continued over the Stat)
 *  84  pathHash 4 | parent 4 | firstChild 4 | nextSibling 4 | prevSibling 4
 * 104  name 4 (blob) | nameLength 2 | flags 2 | data 4 (blob) | acl id 4
 * 120  nextOwned 4 | prevOwned 4   (ephemerals of a session, or the list of containers, or that of TTL nodes)
 * ```
 *
 * Stat's cversion counts changes of children; what is persisted, replicated and hashed counts creations. The record
 * has the former, changes = 2 * creations - children (mod 2^32), so that a Stat is one copy. That loses the top bit of
 * the persisted number, which is a flag here.
 *
 * A name of 65,535 bytes or more keeps its length in the first four bytes of its blob. Null data is a flag; empty data
 * is dataLength 0 without it. Neither has a blob.
 *
 * Children form a list in order of creation: `prevSibling` of the first is the last, `nextSibling` of the last is 0, so
 * both ends are at hand from the parent's one link. Owned lists have the same shape.
 *
 * This class keeps records, names, data and links sound; what they mean together is tree.ts's business.
 */

import { assert } from '../jute/assert.ts'
import { readInt } from '../jute/input.ts'
import { copyBytes, type Output } from '../jute/output.ts'
import { readLong, writeLong } from '../jute/zxid.ts'
import { Blobs, NO_BLOB } from './blobs.ts'
import { oneWord, twoWords } from './crc32.ts'
import { SlotPages } from './pages.ts'

/** int32; 0 is none. Recycled: an id is valid until its znode is removed. */
export type NodeId = number
export const NO_NODE: NodeId = 0
export const ROOT: NodeId = 1

export const RECORD_BYTES = 128
export const STAT_BYTES = 68
const STAT_PERSISTED_BYTES = 60
const RECORDS_PER_PAGE = 32_768
/** From an id to its page of records; the rest of the id is the place in it. */
export const PAGE_SHIFT = 15
const PAGE_MASK = RECORDS_PER_PAGE - 1
const RECORD_SHIFT = 7

/** Offsets of fields in a record. */
export const Field = {
  czxid: 0,
  mzxid: 8,
  ctime: 16,
  mtime: 24,
  version: 32,
  cversion: 36,
  aversion: 40,
  ownerShown: 44,
  dataLength: 52,
  numChildren: 56,
  pzxid: 60,
  owner: 68,
  dataCrc: 76,
  digest: 80,
  pathHash: 84,
  parent: 88,
  firstChild: 92,
  nextSibling: 96,
  prevSibling: 100,
  name: 104,
  nameLength: 108,
  flags: 110,
  data: 112,
  acl: 116,
  nextOwned: 120,
  prevOwned: 124,
} as const

/** Bits of `flags`; the two lowest are the OwnerKind. */
export const Flag = {
  ownerKind: 3,
  nullData: 4,
  /** Top bit of the persisted cversion. */
  cversionTop: 8,
  /** /zookeeper itself: what lies below has no digest. */
  zookeeper: 16,
  noDigest: 32,
  /** Some walk may stand here; see walk.ts. */
  walked: 64,
  /** Not a znode: a free record. */
  free: 128,
} as const

const NAME_IS_LONG = 0xffff
const SLASH = 0x2f

export class NodeArena {
  readonly slots: SlotPages
  readonly blobs: Blobs

  constructor() {
    this.slots = new SlotPages(RECORDS_PER_PAGE * RECORD_BYTES, RECORD_BYTES, [RECORD_BYTES])
    this.blobs = new Blobs()
  }

  // --- single fields

  int(n: NodeId, field: number): number {
    return this.slots.views[n >>> PAGE_SHIFT]!.getInt32(((n & PAGE_MASK) << RECORD_SHIFT) + field)
  }

  setInt(n: NodeId, field: number, value: number): void {
    this.slots.views[n >>> PAGE_SHIFT]!.setInt32(((n & PAGE_MASK) << RECORD_SHIFT) + field, value)
  }

  long(n: NodeId, field: number): number {
    return readLong(this.slots.views[n >>> PAGE_SHIFT]!, ((n & PAGE_MASK) << RECORD_SHIFT) + field)
  }

  setLong(n: NodeId, field: number, value: number): void {
    writeLong(this.slots.views[n >>> PAGE_SHIFT]!, ((n & PAGE_MASK) << RECORD_SHIFT) + field, value)
  }

  flags(n: NodeId): number {
    return this.slots.views[n >>> PAGE_SHIFT]!.getUint16(((n & PAGE_MASK) << RECORD_SHIFT) + Field.flags)
  }

  /** Clears the bits of `mask`, then sets those of `bits`. */
  setFlags(n: NodeId, mask: number, bits: number): void {
    const view = this.slots.views[n >>> PAGE_SHIFT]!
    const at = ((n & PAGE_MASK) << RECORD_SHIFT) + Field.flags
    view.setUint16(at, (view.getUint16(at) & ~mask) | bits)
  }

  cversionPersisted(n: NodeId): number {
    const low = (this.int(n, Field.cversion) + this.int(n, Field.numChildren)) >>> 1
    return (this.flags(n) & Flag.cversionTop) === 0 ? low & 0x7fff_ffff : low | 0x8000_0000
  }

  setCversionPersisted(n: NodeId, cversion: number): void {
    this.setInt(n, Field.cversion, cversion * 2 - this.int(n, Field.numChildren))
    this.setFlags(n, Flag.cversionTop, cversion < 0 ? Flag.cversionTop : 0)
  }

  get pageCount(): number {
    return this.slots.views.length
  }

  /** Whether a znode lives in this record: for whoever goes over ids, used or not. */
  isUsed(n: NodeId): boolean {
    const view = this.slots.views[n >>> PAGE_SHIFT]
    if (view === undefined || view.byteLength === 0 || (this.flags(n) & Flag.free) !== 0) return false
    return n === ROOT || this.int(n, Field.parent) !== NO_NODE
  }

  // --- life

  /** A record of zeros under a name: no links, no children, null owner, empty data. */
  allocate(buf: Uint8Array, nameOff: number, nameEnd: number): NodeId {
    const n = this.slots.take(0)
    const view = this.slots.views[n >>> PAGE_SHIFT]!
    const at = (n & PAGE_MASK) << RECORD_SHIFT
    for (let off = 0; off < RECORD_BYTES; off += 4) view.setInt32(at + off, 0)
    const length = nameEnd - nameOff
    if (length < NAME_IS_LONG) {
      view.setUint16(at + Field.nameLength, length)
      view.setInt32(at + Field.name, this.blobs.store(buf, nameOff, nameEnd))
    } else {
      const blob = this.blobs.allocate(4 + length)
      const bytes = this.blobs.bytesOf(blob)
      const start = this.blobs.offsetOf(blob)
      new DataView(bytes.buffer, bytes.byteOffset).setInt32(start, length)
      copyBytes(buf, nameOff, nameEnd, bytes, start + 4)
      view.setUint16(at + Field.nameLength, NAME_IS_LONG)
      view.setInt32(at + Field.name, blob)
    }
    return n
  }

  /** Frees an unlinked record with its name and data. */
  release(n: NodeId): void {
    assert((this.flags(n) & Flag.free) === 0, 'znode released twice')
    this.blobs.free(this.int(n, Field.name))
    this.blobs.free(this.int(n, Field.data))
    this.setFlags(n, 0, Flag.free)
    this.slots.release(n)
  }

  // --- names and paths

  nameLength(n: NodeId): number {
    const view = this.slots.views[n >>> PAGE_SHIFT]!
    const length = view.getUint16(((n & PAGE_MASK) << RECORD_SHIFT) + Field.nameLength)
    return length < NAME_IS_LONG ? length : this.longNameLength(n)
  }

  private longNameLength(n: NodeId): number {
    const blob = this.int(n, Field.name)
    const bytes = this.blobs.bytesOf(blob)
    return new DataView(bytes.buffer, bytes.byteOffset).getInt32(this.blobs.offsetOf(blob))
  }

  /** Copies the name of that length to `at`. */
  private copyName(n: NodeId, length: number, into: Uint8Array, at: number): void {
    const blob = this.int(n, Field.name)
    const start = this.blobs.offsetOf(blob) + (length < NAME_IS_LONG ? 0 : 4)
    copyBytes(this.blobs.bytesOf(blob), start, start + length, into, at)
  }

  /** As a ustring. */
  writeName(n: NodeId, out: Output): void {
    const length = this.nameLength(n)
    out.reserve(4 + length)
    out.view.setInt32(out.pos, length)
    this.copyName(n, length, out.buf, out.pos + 4)
    out.pos += 4 + length
  }

  /** If buf[off, end) ends with the name of `n`, where that begins; else -1. */
  private nameStart(n: NodeId, buf: Uint8Array, off: number, end: number): number {
    const length = this.nameLength(n)
    const start = end - length
    if (start < off) return -1
    const blob = this.int(n, Field.name)
    const bytes = this.blobs.bytesOf(blob)
    let from = this.blobs.offsetOf(blob) + (length < NAME_IS_LONG ? 0 : 4)
    for (let at = start; at < end; at++) if (bytes[from++] !== buf[at]) return -1
    return start
  }

  /** Compares names from the leaf up. Malformed paths equal none, since no name is empty or holds a slash. */
  isPathOf(id: NodeId, buf: Uint8Array, off: number, end: number): boolean {
    let n = id
    let at = end
    while (n !== ROOT) {
      at = this.nameStart(n, buf, off, at) - 1
      if (at < off || buf[at] !== SLASH) return false
      n = this.int(n, Field.parent)
    }
    return at === off
  }

  /** Bytes of the path; the root's is the empty path, of length 0. */
  pathLength(id: NodeId): number {
    let length = 0
    for (let n = id; n !== ROOT; n = this.int(n, Field.parent)) length += 1 + this.nameLength(n)
    return length
  }

  /** Writes the path so that it ends at `end`. */
  copyPath(id: NodeId, into: Uint8Array, end: number): void {
    for (let n = id; n !== ROOT; n = this.int(n, Field.parent)) {
      const length = this.nameLength(n)
      end -= length
      this.copyName(n, length, into, end)
      into[--end] = SLASH
    }
  }

  // --- data

  /** -1 for null. */
  dataLength(n: NodeId): number {
    const length = this.int(n, Field.dataLength)
    return length === 0 && (this.flags(n) & Flag.nullData) !== 0 ? -1 : length
  }

  /** Length -1 is null. */
  setData(n: NodeId, buf: Uint8Array, off: number, length: number): void {
    const bytes = Math.max(0, length)
    this.setInt(n, Field.data, this.blobs.replace(this.int(n, Field.data), buf, off, off + bytes))
    this.setInt(n, Field.dataLength, bytes)
    this.setFlags(n, Flag.nullData, length < 0 ? Flag.nullData : 0)
  }

  /** Copies the data, of that length, to `at`. */
  copyData(n: NodeId, length: number, into: Uint8Array, at: number): void {
    const blob = this.int(n, Field.data)
    if (blob === NO_BLOB) return
    const start = this.blobs.offsetOf(blob)
    copyBytes(this.blobs.bytesOf(blob), start, start + length, into, at)
  }

  // --- replies, snapshots, digest

  /** Stat, 68 bytes. In words: a call into `set` costs more than it copies. */
  writeStat(n: NodeId, out: Output): void {
    out.reserve(STAT_BYTES)
    const from = this.slots.views[n >>> PAGE_SHIFT]!
    const at = (n & PAGE_MASK) << RECORD_SHIFT
    const to = out.view
    const pos = out.pos
    for (let off = 0; off < STAT_BYTES; off += 4) to.setInt32(pos + off, from.getInt32(at + off))
    out.pos = pos + STAT_BYTES
  }

  /** StatPersisted, 60 bytes: czxid, mzxid, ctime, mtime, version, cversion, aversion, owner, pzxid. */
  writeStatPersisted(n: NodeId, out: Output): void {
    out.reserve(STAT_PERSISTED_BYTES)
    const from = this.slots.views[n >>> PAGE_SHIFT]!
    const at = (n & PAGE_MASK) << RECORD_SHIFT
    const to = out.view
    const pos = out.pos
    for (let off = 0; off < Field.cversion; off += 4) to.setInt32(pos + off, from.getInt32(at + off))
    to.setInt32(pos + 36, this.cversionPersisted(n))
    to.setInt32(pos + 40, from.getInt32(at + Field.aversion))
    to.setInt32(pos + 44, from.getInt32(at + Field.owner))
    to.setInt32(pos + 48, from.getInt32(at + Field.owner + 4))
    to.setInt32(pos + 52, from.getInt32(at + Field.pzxid))
    to.setInt32(pos + 56, from.getInt32(at + Field.pzxid + 4))
    out.pos = pos + STAT_PERSISTED_BYTES
  }

  /** The reverse of `writeStatPersisted`, but for the owner, which is not a field alone. */
  readStatPersisted(n: NodeId, buf: Uint8Array, from: number): void {
    const view = this.slots.views[n >>> PAGE_SHIFT]!
    const at = (n & PAGE_MASK) << RECORD_SHIFT
    for (let off = 0; off < Field.cversion; off += 4) view.setInt32(at + off, readInt(buf, from + off))
    this.setCversionPersisted(n, readInt(buf, from + 36))
    view.setInt32(at + Field.aversion, readInt(buf, from + 40))
    view.setInt32(at + Field.pzxid, readInt(buf, from + 52))
    view.setInt32(at + Field.pzxid + 4, readInt(buf, from + 56))
  }

  /** The CRC of Java's digest, continued from dataCrc over the Stat; see crc32.ts for the order. int32. */
  statCrc(n: NodeId): number {
    const v = this.slots.views[n >>> PAGE_SHIFT]!
    const at = (n & PAGE_MASK) << RECORD_SHIFT
    let c = ~v.getInt32(at + Field.dataCrc)
    c = twoWords(c, v.getInt32(at + Field.czxid), v.getInt32(at + Field.czxid + 4))
    c = twoWords(c, v.getInt32(at + Field.mzxid), v.getInt32(at + Field.mzxid + 4))
    c = twoWords(c, v.getInt32(at + Field.pzxid), v.getInt32(at + Field.pzxid + 4))
    c = twoWords(c, v.getInt32(at + Field.ctime), v.getInt32(at + Field.ctime + 4))
    c = twoWords(c, v.getInt32(at + Field.mtime), v.getInt32(at + Field.mtime + 4))
    c = twoWords(c, v.getInt32(at + Field.version), this.cversionPersisted(n))
    c = twoWords(c, v.getInt32(at + Field.aversion), v.getInt32(at + Field.owner))
    return ~oneWord(c, v.getInt32(at + Field.owner + 4))
  }

  // --- links

  /** Adds to the parent's children, as last or first. The persisted cversion stays, so Stat's goes down by one. */
  linkChild(parent: NodeId, n: NodeId, asFirst: boolean): void {
    this.setInt(n, Field.parent, parent)
    const first = this.link(this.int(parent, Field.firstChild), n, Field.nextSibling)
    if (asFirst && first !== n) {
      // as last it stands before the first already, but for the mark that ends the list
      this.setInt(this.int(n, Field.prevSibling), Field.nextSibling, NO_NODE)
      this.setInt(n, Field.nextSibling, first)
    }
    this.setInt(parent, Field.firstChild, asFirst ? n : first)
    this.addChildren(parent, 1)
  }

  unlinkChild(n: NodeId): void {
    const parent = this.int(n, Field.parent)
    this.setInt(parent, Field.firstChild, this.unlink(this.int(parent, Field.firstChild), n, Field.nextSibling))
    this.addChildren(parent, -1)
  }

  private addChildren(parent: NodeId, count: number): void {
    this.setInt(parent, Field.numChildren, this.int(parent, Field.numChildren) + count)
    this.setInt(parent, Field.cversion, this.int(parent, Field.cversion) - count)
  }

  /** Appends `n` to the list that starts at `first`; returns its first from now on. `next` is followed by `prev`. */
  link(first: NodeId, n: NodeId, next: number): NodeId {
    const prev = next + 4
    this.setInt(n, next, NO_NODE)
    if (first === NO_NODE) {
      this.setInt(n, prev, n)
      return n
    }
    const last = this.int(first, prev)
    this.setInt(last, next, n)
    this.setInt(n, prev, last)
    this.setInt(first, prev, n)
    return first
  }

  unlink(first: NodeId, n: NodeId, next: number): NodeId {
    const prev = next + 4
    const after = this.int(n, next)
    const before = this.int(n, prev)
    if (n === first) {
      if (after !== NO_NODE) this.setInt(after, prev, before)
      return after
    }
    this.setInt(before, next, after)
    this.setInt(after === NO_NODE ? first : after, prev, before)
    return first
  }

  forEachLinked(first: NodeId, next: number, visit: (n: NodeId) => void): void {
    for (let n = first; n !== NO_NODE; n = this.int(n, next)) visit(n)
  }

  clear(): void {
    this.slots.clear()
    this.blobs.clear()
  }
}
