/**
 * What the tree will look like once the proposals in flight are applied: changed znodes by path, in proposal order.
 *
 * Every check of a write is made against these first and the tree second, so that a write sees all writes ahead of it
 * and nothing depends on what happens to be applied already. Records are trimmed as their transactions are applied.
 * Pure. Java: PrepRequestProcessor's ChangeRecord, ZooKeeperServer.outstandingChanges(ForPath).
 */

import type { AclTable } from '../datatree/acl.ts'
import type { DataTree, NodeId } from '../datatree/tree.ts'
import type { Zxid } from '../jute/zxid.ts'
import { pathHash, sameBytes } from './paths.ts'

const ROOT_PATH = new Uint8Array([0x2f])

/** A znode as it will be after transaction `zxid`. Owns its path and one reference of its ACL. */
export class ChangeRecord {
  zxid: Zxid
  path: Uint8Array
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
  private readonly byHash: Map<number, ChangeRecord>
  /** In proposal order; [head, length) are alive. */
  private queue: ChangeRecord[]
  private head: number

  constructor(tree: DataTree) {
    this.tree = tree
    this.acls = tree.acls
    this.byHash = new Map()
    this.queue = []
    this.head = 0
  }

  get count(): number {
    return this.queue.length - this.head
  }

  /**
   * The znode as later requests must see it, as a fresh record that the caller may change and `add`; null when it is
   * not (or no longer) there.
   */
  get(buf: Uint8Array, off: number, end: number): ChangeRecord | null {
    const path = end === off ? ROOT_PATH : null // "" and "/" are the same znode
    const hash = path === null ? pathHash(buf, off, end) : pathHash(path, 0, 1)
    if (this.count > 0) {
      const pending = path === null ? this.lookup(hash, buf, off, end) : this.lookup(hash, path, 0, 1)
      if (pending !== null) return pending.exists ? copyOf(pending) : null
    }
    const node = this.tree.find(buf, off, end)
    if (node === 0) return null
    return this.fromTree(node, path ?? buf.slice(off, end), hash)
  }

  private fromTree(node: NodeId, path: Uint8Array, hash: number): ChangeRecord {
    const tree = this.tree
    const record = new ChangeRecord()
    record.path = path
    record.hash = hash
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

  private lookup(hash: number, buf: Uint8Array, off: number, end: number): ChangeRecord | null {
    let record = this.byHash.get(hash) ?? null
    while (record !== null && !sameBytes(buf, off, end, record.path)) record = record.chain
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
    record.chain = this.byHash.get(record.hash) ?? null
    this.byHash.set(record.hash, record)
  }

  private unchain(record: ChangeRecord): void {
    const first = this.byHash.get(record.hash)!
    if (first === record) {
      if (record.chain === null) this.byHash.delete(record.hash)
      else this.byHash.set(record.hash, record.chain)
    } else {
      let before = first
      while (before.chain !== record) before = before.chain!
      before.chain = record.chain
    }
    record.chain = null
  }

  /** Forgets what transaction `zxid` and those before it changed: the tree has it now. */
  applied(zxid: Zxid): void {
    while (this.head < this.queue.length && this.queue[this.head]!.zxid <= zxid) {
      const record = this.queue[this.head++]!
      if (record.newer === null) this.unchain(record)
      else record.newer.older = null
      this.acls.release(record.aclId)
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
      this.acls.release(record.aclId)
    }
  }

  /** Visits the records in flight, oldest first. */
  forEach(visit: (record: ChangeRecord) => void): void {
    for (let i = this.head; i < this.queue.length; i++) visit(this.queue[i]!)
  }
}

function copyOf(record: ChangeRecord): ChangeRecord {
  const copy = new ChangeRecord()
  copy.zxid = record.zxid
  copy.path = record.path
  copy.hash = record.hash
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
  copy.dataLength = record.dataLength
  copy.dataCrc = record.dataCrc
  copy.digest = record.digest
  return copy
}
