/**
 * The tree of znodes: look-up, creation, removal, data, children, who owns what, and the digest. Java: DataTree.
 *
 * All of it lives off the JavaScript heap (node.ts, blobs.ts, pathindex.ts): a million znodes are no object to the
 * garbage collector. Paths are UTF-8 bytes, absolute; the root is "" as well as "/". Nothing here decides whether a
 * change is allowed, sends an event or counts a quota: that is apply.ts, which is, with the loader, the only writer.
 *
 * *Digest* (Java: DigestCalculator, version 2): the wrapping 64-bit sum of a CRC-32 per znode over path, data and Stat;
 * what lies below /zookeeper/ counts as 0. It is kept up to date with every change. Each record caches the CRC up to
 * the data, so that the frequent change, a parent's Stat, costs 60 bytes whatever the data.
 */

import { assert } from '../jute/assert.ts'
import { StorageError } from '../jute/errors.ts'
import { readInt } from '../jute/input.ts'
import type { Output } from '../jute/output.ts'
import { textToBytes, utf16Length } from '../jute/text.ts'
import { AclTable, OPEN_ACL_ID, READ_ACL } from './acl.ts'
import type { Changes } from './changes.ts'
import { checkTree } from './check.ts'
import { crc32 } from './crc32.ts'
import { Field, Flag, NO_NODE, NodeArena, type NodeId, RECORD_BYTES, ROOT } from './node.ts'
import { OwnerKind, type OwnerKindValue, ownerKind, ttlOf } from './owner.ts'
import { Owners } from './owners.ts'
import { hashBytes, PathIndex } from './pathindex.ts'
import { TreeWalk } from './walk.ts'

export { NO_NODE, type NodeId, ROOT } from './node.ts'
export { OwnerKind } from './owner.ts'

export interface TreeOptions {
  /** Random per process, so that nobody can choose paths that collide in the index. */
  hashSeed?: number
  /** False: digests are 0 and cost nothing (zookeeper.digest.enabled). */
  digest?: boolean
  /** Paths count in UTF-16 units in `dataBytes`. */
  utf16Sizes?: boolean
}

export interface TreeMemory {
  /** Pages of records. */
  pagesBytes: number
  /** The part of them in records of znodes. */
  recordsBytes: number
  /** Memory held for names and data: pages and large buffers. */
  blobsBytes: number
  /** The part of it in use, rounding to size classes included. */
  blobsUsedBytes: number
  indexBytes: number
  /** Held in pages, but in use by nobody. */
  freeBytes: number
  /** freeBytes as a share of what records and blobs hold; 0 to 1. */
  fragmentation: number
}

const SLASH = 0x2f
const SPACE = 0x1_0000_0000
const ZOOKEEPER = textToBytes('/zookeeper')
const QUOTA = textToBytes('/zookeeper/quota')
const CONFIG = textToBytes('/zookeeper/config')
const NOTHING = new Uint8Array(0)

export class DataTree {
  readonly acls: AclTable
  /** zookeeper.extendedTypesEnabled: an owner of 0xff... is a TTL. To be set before any znode comes in. */
  extendedTypes: boolean
  /** zookeeper.emulate353TTLNodes; likewise. */
  emulate353: boolean
  /** Znodes, the root once. */
  nodeCount: number
  /** Size of all paths and data, the root's path as 1: Java's approximateDataSize, which counts UTF-16 units of paths. */
  dataBytes: number
  /** The tree's digest as two int32 words. */
  digestHi: number
  digestLo: number
  /** For walk.ts and check.ts. */
  readonly arena: NodeArena
  readonly index: PathIndex
  readonly walks: TreeWalk[]
  /** For a store that writes differences; null where there is none. */
  changes: Changes | null
  private readonly hashSeed: number
  private readonly digestEnabled: boolean
  private readonly utf16Sizes: boolean
  private readonly owners: Owners
  private scratch: Uint8Array
  /** The last znode that was loaded, and its parent. */
  private loaded: NodeId
  private loadedParent: NodeId

  /** A fresh tree, as Java makes it. */
  constructor(options: TreeOptions = {}) {
    this.acls = new AclTable()
    this.extendedTypes = false
    this.emulate353 = false
    this.nodeCount = 0
    this.dataBytes = 0
    this.digestHi = 0
    this.digestLo = 0
    this.arena = new NodeArena()
    this.index = new PathIndex(this.arena)
    this.walks = []
    this.changes = null
    this.hashSeed = (options.hashSeed ?? 0) | 0
    this.digestEnabled = options.digest ?? true
    this.utf16Sizes = options.utf16Sizes ?? false
    this.owners = new Owners(this.arena)
    this.scratch = new Uint8Array(256)
    this.loaded = this.loadedParent = NO_NODE
    this.createRoot()
    this.createReserved()
  }

  // --- look-up

  /** The znode at that path; NO_NODE if there is none, or if the path is malformed. Allocates nothing. */
  find(buf: Uint8Array, off: number, end: number): NodeId {
    return this.findHashed(hashBytes(this.hashSeed, buf, off, end), buf, off, end)
  }

  /** The hash state of a path, for a look-up of its own and then `findHashed`. */
  hashOf(buf: Uint8Array, off: number, end: number): number {
    return hashBytes(this.hashSeed, buf, off, end)
  }

  /** As `find`, with the path's hash state. */
  findHashed(state: number, buf: Uint8Array, off: number, end: number): NodeId {
    if (isRoot(buf, off, end)) return this.nodeCount === 0 ? NO_NODE : ROOT
    return this.index.find(state, buf, off, end)
  }

  /** NO_NODE for the root. */
  parent(n: NodeId): NodeId {
    return this.arena.int(n, Field.parent)
  }

  // --- fields

  get ephemeralsCount(): number {
    return this.owners.ephemeralsCount
  }

  czxid(n: NodeId): number {
    return this.arena.long(n, Field.czxid)
  }

  mzxid(n: NodeId): number {
    return this.arena.long(n, Field.mzxid)
  }

  pzxid(n: NodeId): number {
    return this.arena.long(n, Field.pzxid)
  }

  ctimeMs(n: NodeId): number {
    return this.arena.long(n, Field.ctime)
  }

  mtimeMs(n: NodeId): number {
    return this.arena.long(n, Field.mtime)
  }

  version(n: NodeId): number {
    return this.arena.int(n, Field.version)
  }

  /** As persisted: children ever created. Stat shows 2 * cversion - numChildren. */
  cversion(n: NodeId): number {
    return this.arena.cversionPersisted(n)
  }

  aversion(n: NodeId): number {
    return this.arena.int(n, Field.aversion)
  }

  /** High word of the owner, with the marks of containers and TTL nodes. */
  ownerHi(n: NodeId): number {
    return this.arena.int(n, Field.owner)
  }

  ownerLo(n: NodeId): number {
    return this.arena.int(n, Field.owner + 4)
  }

  ownerKind(n: NodeId): OwnerKindValue {
    return (this.arena.flags(n) & Flag.ownerKind) as OwnerKindValue // the mask leaves 0 to 3
  }

  /** Of a TTL node. */
  ttlMs(n: NodeId): number {
    return ttlOf(this.ownerHi(n), this.ownerLo(n))
  }

  /** -1 for null data. */
  dataLength(n: NodeId): number {
    return this.arena.dataLength(n)
  }

  numChildren(n: NodeId): number {
    return this.arena.int(n, Field.numChildren)
  }

  aclId(n: NodeId): number {
    return this.arena.int(n, Field.acl)
  }

  /** This znode's share of the tree's digest, uint32. */
  digest(n: NodeId): number {
    return this.arena.int(n, Field.digest) >>> 0
  }

  /** CRC-32 of path and data, uint32; the digest continues it over the Stat. 0 where there is no digest. */
  dataCrc(n: NodeId): number {
    return this.arena.int(n, Field.dataCrc) >>> 0
  }

  /** Whether changes of this znode change the tree's digest: not below /zookeeper/, not with digests disabled. */
  hasDigest(n: NodeId): boolean {
    return (this.arena.flags(n) & Flag.noDigest) === 0
  }

  // --- straight into a reply

  /** Stat, 68 bytes. */
  writeStat(n: NodeId, out: Output): void {
    this.arena.writeStat(n, out)
  }

  /** StatPersisted, 60 bytes. */
  writeStatPersisted(n: NodeId, out: Output): void {
    this.arena.writeStatPersisted(n, out)
  }

  /** The data as a jute buffer; length -1 for null. */
  writeData(n: NodeId, out: Output): void {
    const length = this.arena.dataLength(n)
    if (length <= 0) {
      out.int(length)
      return
    }
    out.reserve(4 + length)
    out.view.setInt32(out.pos, length)
    this.arena.copyData(n, length, out.buf, out.pos + 4)
    out.pos += 4 + length
  }

  /** The children's names, in order of creation, as vector<ustring>. */
  writeChildren(n: NodeId, out: Output): void {
    out.int(this.numChildren(n))
    const arena = this.arena
    for (let child = arena.int(n, Field.firstChild); child !== NO_NODE; child = arena.int(child, Field.nextSibling)) {
      arena.writeName(child, out)
    }
  }

  /** The path as a ustring; the root's is "/". */
  writePath(n: NodeId, out: Output): void {
    if (n === ROOT) {
      out.int(1)
      out.byte(SLASH)
      return
    }
    const length = this.arena.pathLength(n)
    out.reserve(4 + length)
    out.view.setInt32(out.pos, length)
    out.pos += 4 + length
    this.arena.copyPath(n, out.buf, out.pos)
  }

  /** Owned; the root's is "/". */
  pathOf(n: NodeId): Uint8Array {
    if (n === ROOT) return Uint8Array.of(SLASH)
    const length = this.arena.pathLength(n)
    const path = new Uint8Array(length)
    this.arena.copyPath(n, path, length)
    return path
  }

  /** Owned. */
  dataOf(n: NodeId): Uint8Array | null {
    const length = this.arena.dataLength(n)
    if (length < 0) return null
    const data = new Uint8Array(length)
    this.arena.copyData(n, length, data, 0)
    return data
  }

  // --- many at a time; `visit` must not change the tree

  /** Znodes below `n`, itself not counted. */
  countDescendants(n: NodeId): number {
    if (n === ROOT) return this.nodeCount - 1
    let count = 0
    this.forEachDescendant(n, () => count++)
    return count
  }

  /** Parents before their children. */
  forEachDescendant(top: NodeId, visit: (n: NodeId) => void): void {
    const arena = this.arena
    let n = top
    for (;;) {
      let next = arena.int(n, Field.firstChild)
      while (next === NO_NODE && n !== top) {
        next = arena.int(n, Field.nextSibling)
        if (next === NO_NODE) n = arena.int(n, Field.parent)
      }
      if (next === NO_NODE) return
      visit(next)
      n = next
    }
  }

  /** In order of creation. */
  forEachChild(n: NodeId, visit: (child: NodeId) => void): void {
    this.arena.forEachLinked(this.arena.int(n, Field.firstChild), Field.nextSibling, visit)
  }

  /** A session's ephemerals, in order of creation (after a load: in any order). */
  forEachEphemeral(hi: number, lo: number, visit: (n: NodeId) => void): void {
    this.owners.forEachEphemeral(hi, lo, visit)
  }

  /** Sessions with ephemerals, and how many. */
  forEachEphemeralSession(visit: (hi: number, lo: number, count: number) => void): void {
    this.owners.forEachSession(visit)
  }

  forEachContainer(visit: (n: NodeId) => void): void {
    this.owners.forEachContainer(visit)
  }

  forEachTtl(visit: (n: NodeId) => void): void {
    this.owners.forEachTtl(visit)
  }

  memory(): TreeMemory {
    const records = this.arena.slots.measure()
    const blobs = this.arena.blobs.measure()
    const freeBytes = records.pagesBytes - records.usedBytes + blobs.heldBytes - blobs.usedBytes
    return {
      pagesBytes: records.pagesBytes,
      recordsBytes: this.nodeCount * RECORD_BYTES,
      blobsBytes: blobs.heldBytes,
      blobsUsedBytes: blobs.usedBytes,
      indexBytes: this.index.bytes(),
      freeBytes,
      fragmentation: freeBytes / Math.max(1, records.pagesBytes + blobs.heldBytes),
    }
  }

  /** Asserts the whole structure: for tests, since it takes longer than anything else here. */
  check(): void {
    checkTree(this)
  }

  // --- change: apply.ts and the loader only

  /**
   * Adds the znode at buf[pathOff, pathEnd), which must not exist, under its parent. Path and data (length -1: null)
   * lie in the same buffer. Takes a reference of `aclId`. The parent's cversion and pzxid stay as they are.
   */
  create(
    buf: Uint8Array,
    pathOff: number,
    pathEnd: number,
    dataOff: number,
    dataLength: number,
    parent: NodeId,
    aclId: number,
    ownerHi: number,
    ownerLo: number,
    zxid: number,
    timeMs: number,
  ): NodeId {
    const n = this.insert(buf, pathOff, pathEnd, dataOff, dataLength, parent, aclId, false)
    const arena = this.arena
    arena.setLong(n, Field.czxid, zxid)
    arena.setLong(n, Field.mzxid, zxid)
    arena.setLong(n, Field.pzxid, zxid)
    arena.setLong(n, Field.ctime, timeMs)
    arena.setLong(n, Field.mtime, timeMs)
    if ((ownerHi | ownerLo) !== 0) this.own(n, ownerHi, ownerLo)
    this.statChanged(n)
    return n
  }

  /** Removes a znode without children, and frees all it had. */
  remove(n: NodeId): void {
    const arena = this.arena
    const flags = arena.flags(n)
    assert((flags & Flag.free) === 0 && n > ROOT, 'remove: not a znode to remove')
    assert(arena.int(n, Field.numChildren) === 0, 'remove: has children')
    if ((flags & Flag.walked) !== 0) for (const walk of this.walks) walk.onRemove(n)
    if (this.changes !== null) this.changes.onRemove(n, (gone) => this.pathOf(gone))
    this.loaded = this.loadedParent = NO_NODE
    if ((flags & Flag.ownerKind) !== OwnerKind.none) this.owners.remove(n)
    this.addDigest(-this.digest(n))
    this.nodeCount--
    this.dataBytes -= this.pathSizeOf(n) + arena.int(n, Field.dataLength)
    this.index.remove(arena.int(n, Field.pathHash), n)
    arena.unlinkChild(n)
    this.acls.release(arena.int(n, Field.acl))
    arena.release(n)
  }

  /** Length -1: null data. `pathCrc`, where the caller has it: CRC-32 of the path, the root's being the empty one. */
  setData(
    n: NodeId,
    buf: Uint8Array,
    dataOff: number,
    dataLength: number,
    version: number,
    zxid: number,
    timeMs: number,
    pathCrc?: number,
  ): void {
    this.arena.setInt(n, Field.version, version)
    this.arena.setLong(n, Field.mzxid, zxid)
    this.arena.setLong(n, Field.mtime, timeMs)
    this.replaceData(n, buf, dataOff, dataLength, pathCrc)
    this.statChanged(n)
  }

  /** Quota bookkeeping: data changes without zxid, version or mtime. */
  setStatsData(n: NodeId, bytes: Uint8Array): void {
    this.replaceData(n, bytes, 0, bytes.length)
    this.statChanged(n)
  }

  /** Takes a reference of the new id, then releases the old one. */
  setAcl(n: NodeId, aclId: number, aversion: number): void {
    for (const walk of this.walks) walk.onSetAcl(n, aclId)
    this.replaceAcl(n, aclId)
    this.arena.setInt(n, Field.aversion, aversion)
    this.statChanged(n)
  }

  /** Sets a parent's persisted cversion and pzxid, as given. */
  childAdded(parent: NodeId, cversion: number, zxid: number): void {
    this.arena.setCversionPersisted(parent, cversion)
    this.arena.setLong(parent, Field.pzxid, zxid)
    this.statChanged(parent)
  }

  /** Raises a parent's pzxid; never lowers it. */
  touchPzxid(parent: NodeId, zxid: number): void {
    if (zxid <= this.arena.long(parent, Field.pzxid)) return
    this.arena.setLong(parent, Field.pzxid, zxid)
    this.statChanged(parent)
  }

  // --- snapshots

  /** Begins a fuzzy walk over the live tree; see walk.ts. To be closed if it is not walked to its end. */
  walk(): TreeWalk {
    return new TreeWalk(this)
  }

  /** Back to a tree without any znode, not even the root, and without ACLs. Ends all walks, and the record of changes. */
  clear(): void {
    for (const walk of [...this.walks]) walk.close()
    this.changes = null
    this.arena.clear()
    this.index.clear()
    this.acls.clear()
    this.owners.clear()
    this.nodeCount = this.dataBytes = 0
    this.digestHi = this.digestLo = 0
    this.loaded = this.loadedParent = NO_NODE
  }

  /** `bytes`: vector<ACL>. All lists come before the nodes. Throws StorageError for an id out of range. */
  loadAcl(id: number, bytes: Uint8Array): void {
    this.acls.load(id, bytes)
  }

  /**
   * A znode as a snapshot has it; `statOff` is where its StatPersisted lies in `buf`. The root comes first, as "", and
   * parents before children, else this throws StorageError. A path that is there already is replaced, as in Java.
   * `asFirstChild`: before its siblings, because a walk writes the last child first.
   */
  loadNode(
    buf: Uint8Array,
    pathOff: number,
    pathEnd: number,
    dataOff: number,
    dataLength: number,
    aclId: number,
    statOff: number,
    asFirstChild = true,
  ): NodeId {
    if (!this.acls.has(aclId)) this.acls.loadMissing(aclId)
    let n: NodeId
    if (isRoot(buf, pathOff, pathEnd)) {
      n = this.nodeCount === 0 ? this.createRoot() : ROOT
      this.reload(n, buf, dataOff, dataLength, aclId)
    } else {
      const slash = lastSlash(buf, pathOff, pathEnd)
      const parent = this.parentToLoad(buf, pathOff, slash, pathEnd)
      const hash = hashBytes(this.arena.int(parent, Field.pathHash), buf, slash, pathEnd)
      n = this.index.find(hash, buf, pathOff, pathEnd)
      if (n !== NO_NODE) this.reload(n, buf, dataOff, dataLength, aclId)
      else n = this.insert(buf, pathOff, pathEnd, dataOff, dataLength, parent, aclId, asFirstChild, hash)
      this.loadedParent = parent
    }
    this.loaded = n
    this.arena.readStatPersisted(n, buf, statOff)
    this.own(n, readInt(buf, statOff + 44), readInt(buf, statOff + 48))
    this.statChanged(n)
    return n
  }

  private reload(n: NodeId, buf: Uint8Array, dataOff: number, dataLength: number, aclId: number): void {
    this.replaceData(n, buf, dataOff, dataLength)
    this.replaceAcl(n, aclId)
    this.owners.remove(n)
  }

  /** Ends a load: drops ACLs that no znode has, and adds reserved znodes that an old snapshot may lack. */
  finishLoad(): void {
    if (this.nodeCount === 0) throw new StorageError('snapshot without a root')
    this.createReserved()
    this.acls.purgeUnreferenced()
  }

  // --- helpers

  /** Mostly that of the znode before it, or that znode itself; to compare its path costs less than to look it up. */
  private parentToLoad(buf: Uint8Array, pathOff: number, slash: number, pathEnd: number): NodeId {
    const { arena, loaded, loadedParent } = this
    let parent = NO_NODE
    if (slash >= pathOff && slash < pathEnd - 1) {
      if (loadedParent !== NO_NODE && arena.isPathOf(loadedParent, buf, pathOff, slash)) parent = loadedParent
      else if (loaded !== NO_NODE && arena.isPathOf(loaded, buf, pathOff, slash)) parent = loaded
      else parent = this.find(buf, pathOff, slash)
    }
    if (parent === NO_NODE) {
      const path = new TextDecoder().decode(buf.subarray(pathOff, pathEnd))
      throw new StorageError(`snapshot has no parent for ${JSON.stringify(path)}`)
    }
    return parent
  }

  private createRoot(): NodeId {
    const root = this.arena.allocate(NOTHING, 0, 0)
    assert(root === ROOT, 'the root comes first')
    this.arena.setInt(root, Field.pathHash, this.hashSeed)
    this.arena.setInt(root, Field.acl, OPEN_ACL_ID)
    this.arena.setFlags(root, 0, this.digestEnabled ? 0 : Flag.noDigest)
    this.nodeCount++
    this.dataBytes++
    this.statChanged(root)
    return root
  }

  /** Java: the constructor and addConfigNode of DataTree. These were never "created": no cversion, no zxid, no time. */
  private createReserved(): void {
    if (this.find(ZOOKEEPER, 0, ZOOKEEPER.length) === NO_NODE) this.createPlain(ZOOKEEPER, ROOT, OPEN_ACL_ID)
    const zookeeper = this.find(ZOOKEEPER, 0, ZOOKEEPER.length)
    if (this.find(QUOTA, 0, QUOTA.length) === NO_NODE) this.createPlain(QUOTA, zookeeper, OPEN_ACL_ID)
    if (this.find(CONFIG, 0, CONFIG.length) === NO_NODE) {
      const config = this.createPlain(CONFIG, zookeeper, OPEN_ACL_ID)
      this.setAcl(config, this.acls.internEntries(READ_ACL), -1)
    }
  }

  private createPlain(path: Uint8Array, parent: NodeId, aclId: number): NodeId {
    return this.create(path, 0, path.length, 0, 0, parent, aclId, 0, 0, 0, 0)
  }

  /** A znode in its place, with name, data, ACL, index entry and dataCrc, but a Stat of zeros and no digest yet. */
  private insert(
    buf: Uint8Array,
    pathOff: number,
    pathEnd: number,
    dataOff: number,
    dataLength: number,
    parent: NodeId,
    aclId: number,
    asFirstChild: boolean,
    knownHash?: number,
  ): NodeId {
    const arena = this.arena
    const nameOff = lastSlash(buf, pathOff, pathEnd) + 1
    assert(nameOff > pathOff && nameOff < pathEnd, 'create: malformed path')
    const parentFlags = arena.flags(parent)
    assert(parent !== NO_NODE && (parentFlags & Flag.free) === 0, 'create: no parent')
    this.acls.acquire(aclId)
    const n = arena.allocate(buf, nameOff, pathEnd)
    if (this.changes !== null) this.changes.onCreate(n)
    arena.setData(n, buf, dataOff, dataLength)
    arena.setInt(n, Field.acl, aclId)
    const hash = knownHash ?? hashBytes(arena.int(parent, Field.pathHash), buf, nameOff - 1, pathEnd)
    arena.setInt(n, Field.pathHash, hash)
    this.index.insert(hash, n)
    arena.linkChild(parent, n, asFirstChild)
    let flags = 0
    if (parent === ROOT && isZookeeper(buf, pathOff, pathEnd)) flags = Flag.zookeeper
    if (!this.digestEnabled || (parentFlags & (Flag.zookeeper | Flag.noDigest)) !== 0) flags |= Flag.noDigest
    if (flags !== 0) arena.setFlags(n, 0, flags)
    const bytes = Math.max(0, dataLength)
    if ((flags & Flag.noDigest) === 0) {
      arena.setInt(n, Field.dataCrc, crc32(crc32(0, buf, pathOff, pathEnd), buf, dataOff, dataOff + bytes))
    }
    this.nodeCount++
    this.dataBytes += (this.utf16Sizes ? utf16Length(buf, pathOff, pathEnd) : pathEnd - pathOff) + bytes
    return n
  }

  /** What its path adds to `dataBytes`. */
  pathSizeOf(n: NodeId): number {
    if (!this.utf16Sizes) return Math.max(1, this.arena.pathLength(n)) // the root's is empty there
    const path = this.pathOf(n)
    return utf16Length(path, 0, path.length)
  }

  private replaceData(n: NodeId, buf: Uint8Array, dataOff: number, dataLength: number, pathCrc?: number): void {
    const bytes = Math.max(0, dataLength)
    this.dataBytes += bytes - this.arena.int(n, Field.dataLength)
    this.arena.setData(n, buf, dataOff, dataLength)
    if (!this.hasDigest(n)) return
    this.arena.setInt(n, Field.dataCrc, crc32(pathCrc ?? this.pathCrc(n), buf, dataOff, dataOff + bytes))
  }

  private pathCrc(n: NodeId): number {
    const length = this.arena.pathLength(n)
    if (length > this.scratch.length) this.scratch = new Uint8Array(length * 2)
    this.arena.copyPath(n, this.scratch, length)
    return crc32(0, this.scratch, 0, length)
  }

  private replaceAcl(n: NodeId, aclId: number): void {
    this.acls.acquire(aclId)
    this.acls.release(this.arena.int(n, Field.acl))
    this.arena.setInt(n, Field.acl, aclId)
  }

  private own(n: NodeId, hi: number, lo: number): void {
    this.owners.add(n, hi, lo, ownerKind(hi, lo, this.extendedTypes, this.emulate353))
  }

  /** To be called after any change that a snapshot or the digest covers. */
  private statChanged(n: NodeId): void {
    if (this.changes !== null) this.changes.onChange(n)
    if (!this.hasDigest(n)) return
    const before = this.digest(n)
    const after = this.arena.statCrc(n)
    this.arena.setInt(n, Field.digest, after)
    this.addDigest((after >>> 0) - before)
  }

  /** Adds a number of magnitude below 2^32 to the 64-bit sum. */
  private addDigest(change: number): void {
    const sum = (this.digestLo >>> 0) + change
    this.digestLo = sum | 0
    if (sum >= SPACE) this.digestHi = (this.digestHi + 1) | 0
    else if (sum < 0) this.digestHi = (this.digestHi - 1) | 0
  }
}

function isRoot(buf: Uint8Array, off: number, end: number): boolean {
  return end - off <= 1 && (end === off || buf[off] === SLASH)
}

/** Where the last slash is; off - 1 where there is none. */
function lastSlash(buf: Uint8Array, off: number, end: number): number {
  let at = end - 1
  while (at >= off && buf[at] !== SLASH) at--
  return at
}

function isZookeeper(buf: Uint8Array, off: number, end: number): boolean {
  if (end - off !== ZOOKEEPER.length) return false
  for (let i = 0; i < ZOOKEEPER.length; i++) if (buf[off + i] !== ZOOKEEPER[i]) return false
  return true
}
