/**
 * What the tree will look like once the proposals in flight are applied: changed znodes by path, in proposal order.
 *
 * Every check of a write is made against these first and the tree second, so that a write sees all writes ahead of it
 * and nothing depends on what happens to be applied already. Records are trimmed as their transactions are applied, and
 * used again: a steady load allocates none.
 * Pure. Java: PrepRequestProcessor's ChangeRecord, ZooKeeperServer.outstandingChanges(ForPath).
 */

import type { AclTable } from '../../datatree/acl.ts'
import type { DataTree, NodeId } from '../../datatree/tree.ts'
import { copyBytes } from '../../jute/output.ts'
import type { Zxid } from '../../jute/zxid.ts'
import { sameBytes } from './paths.ts'

const ROOT_PATH = new Uint8Array([0x2f])
const BUCKETS_MIN = 1024
/** Records kept for the next proposals, and the longest path one may keep: some 3 MB at the most. */
const FREE_MAX = 8192
const FREE_PATH_BYTES = 256

/**
 * A znode as it will be after transaction `zxid`. Owns its path and one reference of its ACL; once the transaction is
 * applied or taken back it may become another znode's.
 */
export class ChangeRecord {
  zxid: Zxid
  path: Uint8Array
  /** The tree's hash state of the path. */
  hash: number
  exists: boolean
  czxid: Zxid
  mzxid: Zxid
  pzxid: Zxid
  ctimeMs: number
  mtimeMs: number
  version: number
  /** As persisted: creations only. */
  cversion: number
  aversion: number
  ownerHi: number
  ownerLo: number
  children: number
  aclId: number
  /** A container that passes for an ephemeral znode in the transaction that makes it (compat.containersInMulti). */
  ephemeralIn: Zxid
  /** -1 for null. */
  dataLength: number
  /** CRC-32 state behind path and data. */
  dataCrc: number
  /** What the node adds to the tree's digest. */
  digest: number
  /** Next record of the same hash. */
  chain: ChangeRecord | null
  /** The record this one replaced, while that is in flight too; and the one that replaced this. */
  older: ChangeRecord | null
  newer: ChangeRecord | null

  constructor() {
    this.zxid = 0
    this.path = ROOT_PATH
    this.hash = 0
    this.exists = true
    this.czxid = 0
    this.mzxid = 0
    this.pzxid = 0
    this.ctimeMs = 0
    this.mtimeMs = 0
    this.version = 0
    this.cversion = 0
    this.aversion = 0
    this.ownerHi = 0
    this.ownerLo = 0
    this.children = 0
    this.aclId = 0
    this.ephemeralIn = 0
    this.dataLength = -1
    this.dataCrc = 0
    this.digest = 0
    this.chain = null
    this.older = null
    this.newer = null
  }
}

export class OutstandingChanges {
  private readonly tree: DataTree
  private readonly acls: AclTable
  /** Chains by the low bits of the hash; a power of two of them. */
  private buckets: (ChangeRecord | null)[]
  /** In proposal order; [head, length) are alive. */
  private queue: ChangeRecord[]
  private head: number
  private readonly free: ChangeRecord[]

  constructor(tree: DataTree) {
    this.tree = tree
    this.acls = tree.acls
    this.buckets = new Array<ChangeRecord | null>(BUCKETS_MIN).fill(null)
    this.queue = []
    this.head = 0
    this.free = []
  }

  get count(): number {
    return this.queue.length - this.head
  }

  /**
   * The znode as later requests must see it, as a fresh record that the caller may change and `add`; null when it is
   * not (or no longer) there.
   */
  get(buf: Uint8Array, off: number, end: number): ChangeRecord | null {
    if (end === off) return this.get(ROOT_PATH, 0, 1) // "" and "/" are the same znode
    const { tree } = this
    const hash = tree.hashOf(buf, off, end)
    if (this.count > 0) {
      const pending = this.lookup(hash, buf, off, end)
      if (pending !== null) return pending.exists ? this.copyOf(pending) : null
    }
    const node = tree.findHashed(hash, buf, off, end)
    return node === 0 ? null : this.fromTree(node, hash, buf, off, end)
  }

  /** A record of a znode that is not there yet; zxids, times, ACL and data are for the caller to set. */
  fresh(buf: Uint8Array, off: number, end: number): ChangeRecord {
    const record = this.take(this.tree.hashOf(buf, off, end), buf, off, end)
    record.version = record.cversion = record.aversion = 0
    record.ownerHi = record.ownerLo = record.children = record.digest = 0
    return record
  }

  private take(hash: number, buf: Uint8Array, off: number, end: number): ChangeRecord {
    const record = this.free.pop() ?? new ChangeRecord()
    if (end - off === 1) record.path = ROOT_PATH
    else if (record.path.length === end - off) copyBytes(buf, off, end, record.path, 0)
    else record.path = buf.slice(off, end)
    record.hash = hash
    record.exists = true
    record.ephemeralIn = 0
    record.chain = record.older = record.newer = null
    return record
  }

  private fromTree(node: NodeId, hash: number, buf: Uint8Array, off: number, end: number): ChangeRecord {
    const tree = this.tree
    const record = this.take(hash, buf, off, end)
    record.czxid = tree.czxid(node)
    record.mzxid = tree.mzxid(node)
    record.pzxid = tree.pzxid(node)
    record.ctimeMs = tree.ctimeMs(node)
    record.mtimeMs = tree.mtimeMs(node)
    record.version = tree.version(node)
    record.cversion = tree.cversion(node)
    record.aversion = tree.aversion(node)
    record.ownerHi = tree.ownerHi(node)
    record.ownerLo = tree.ownerLo(node)
    record.children = tree.numChildren(node)
    record.aclId = tree.aclId(node)
    record.dataLength = tree.dataLength(node)
    record.dataCrc = tree.dataCrc(node)
    record.digest = tree.digest(node)
    return record
  }

  private copyOf(record: ChangeRecord): ChangeRecord {
    const copy = this.take(record.hash, record.path, 0, record.path.length)
    copy.czxid = record.czxid
    copy.mzxid = record.mzxid
    copy.pzxid = record.pzxid
    copy.ctimeMs = record.ctimeMs
    copy.mtimeMs = record.mtimeMs
    copy.version = record.version
    copy.cversion = record.cversion
    copy.aversion = record.aversion
    copy.ownerHi = record.ownerHi
    copy.ownerLo = record.ownerLo
    copy.children = record.children
    copy.aclId = record.aclId
    copy.ephemeralIn = record.ephemeralIn
    copy.dataLength = record.dataLength
    copy.dataCrc = record.dataCrc
    copy.digest = record.digest
    return copy
  }

  /** The record is in no chain and no queue any more. */
  private release(record: ChangeRecord): void {
    this.acls.release(record.aclId)
    record.chain = record.older = record.newer = null
    if (this.free.length < FREE_MAX && record.path.length <= FREE_PATH_BYTES) this.free.push(record)
  }

  private lookup(hash: number, buf: Uint8Array, off: number, end: number): ChangeRecord | null {
    let record: ChangeRecord | null = this.buckets[hash & (this.buckets.length - 1)] ?? null
    while (record !== null && (record.hash !== hash || !sameBytes(buf, off, end, record.path))) record = record.chain
    return record
  }

  /** Makes `record` the state of its znode as of its zxid; takes a reference of its ACL. */
  add(record: ChangeRecord): void {
    this.acls.acquire(record.aclId)
    const { hash, path } = record
    const older = this.lookup(hash, path, 0, path.length)
    if (older !== null) {
      record.older = older
      older.newer = record
      this.unchain(older)
    }
    this.enchain(record)
    this.queue.push(record)
  }

  private enchain(record: ChangeRecord): void {
    if (this.count > this.buckets.length) this.spreadOut()
    const at = record.hash & (this.buckets.length - 1)
    record.chain = this.buckets[at] ?? null
    this.buckets[at] = record
  }

  private unchain(record: ChangeRecord): void {
    const at = record.hash & (this.buckets.length - 1)
    if (this.buckets[at] === record) {
      this.buckets[at] = record.chain
    } else {
      let before = this.buckets[at]!
      while (before.chain !== record) before = before.chain!
      before.chain = record.chain
    }
    record.chain = null
  }

  private spreadOut(): void {
    const chained: ChangeRecord[] = []
    for (const first of this.buckets) {
      for (let each: ChangeRecord | null = first; each !== null; each = each.chain) chained.push(each)
    }
    this.buckets = new Array<ChangeRecord | null>(this.buckets.length * 4).fill(null)
    for (const record of chained) {
      const at = record.hash & (this.buckets.length - 1)
      record.chain = this.buckets[at] ?? null
      this.buckets[at] = record
    }
  }

  /** Forgets what transaction `zxid` and those before it changed: the tree has it now. */
  applied(zxid: Zxid): void {
    while (this.head < this.queue.length && this.queue[this.head]!.zxid <= zxid) {
      const record = this.queue[this.head++]!
      if (record.newer === null) this.unchain(record)
      else record.newer.older = null
      this.release(record)
    }
    if (this.head === this.queue.length) {
      this.queue.length = 0
      this.head = 0
    } else if (this.head > 4096 && this.head * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.head)
      this.head = 0
    }
  }

  /** Takes back everything transaction `zxid`, the newest, has added (a multi that failed half way). */
  rollback(zxid: Zxid): void {
    while (this.queue.length > this.head && this.queue[this.queue.length - 1]!.zxid === zxid) {
      const record = this.queue.pop()!
      this.unchain(record)
      if (record.older !== null) {
        record.older.newer = null
        this.enchain(record.older)
      }
      this.release(record)
    }
  }

  /** Visits the records in flight, oldest first. */
  forEach(visit: (record: ChangeRecord) => void): void {
    for (let i = this.head; i < this.queue.length; i++) visit(this.queue[i]!)
  }
}
