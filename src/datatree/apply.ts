/**
 * The replicated state machine: one committed transaction becomes a change of the tree, watch events, quota counts, the
 * session table, and results for whoever asked.
 *
 * A transaction is taken as it lies in log and proposal, and read in place (big-endian; a path is int length + bytes):
 *
 *   header  clientId 8 | cxid 4 | zxid 8 | time ms 8 | type 4
 *   body    by type, below
 *   digest  version 4 | sum over the tree 8         optional: what the tree must be after it
 *
 * Replay is the rule, not the exception: a fuzzy snapshot holds changes of later transactions in places, and these come
 * again. So nothing here fails because a node is there already or not there any more; such results are reported and
 * otherwise ignored. What makes replay end in the same tree: data, versions and ACLs are taken from the transaction,
 * not counted up; a parent's cversion only grows (and its pzxid with it), its pzxid only grows on deletes; a delete
 * takes with it what later transactions had put below.
 *
 * Java: DataTree.processTxn, SerializeUtils.deserializeTxn, EphemeralType. Pure and synchronous.
 */

import { Err, OpCode } from '../jute/codes.ts'
import { StorageError } from '../jute/errors.ts'
import { Id64Map } from '../jute/id64.ts'
import { ProtocolError, readInt } from '../jute/input.ts'
import { EPOCH_LIMIT, type Zxid } from '../jute/zxid.ts'
import { crc32 } from './crc32.ts'
import { CONTAINER_OWNER_HI, TTL_MAX_MS, ttlOwnerHi } from './owner.ts'
import { Quotas } from './quota.ts'
import { DataTree, NO_NODE, type NodeId, ROOT } from './tree.ts'
import { Watches, type WatchSink } from './watches.ts'

export interface ApplySink {
  /**
   * The result of a transaction, or of each sub-operation of a multi in order, right after it took effect. `type` is
   * the transaction's, -1 for an error; `node` the created or changed node, else 0.
   */
  onResult(index: number, type: number, err: number, node: NodeId): void
  /** A znode was created, changed or deleted; path and data are of so many bytes. The path is borrowed. */
  onWritten?(buf: Uint8Array, off: number, end: number, bytes: number): void
  onSessionCreated(hi: number, lo: number, timeoutMs: number): void
  onSessionClosed(hi: number, lo: number): void
  /** The tree is not what the transaction's author, or the snapshot it was loaded from, had at this zxid. */
  onDigestMismatch(zxid: Zxid): void
}

export interface StateOptions {
  /** Compare digests (zookeeper.digest.enabled). */
  digest: boolean
  /** Seed of the hashes over paths; unpredictable in production. */
  hashSeed?: number
  /** TTL nodes (zookeeper.extendedTypesEnabled), and those of 3.5.3 (zookeeper.emulate353TTLNodes). */
  extendedTypes?: boolean
  emulate353?: boolean
  /** Paths count in UTF-16 units in the size of the tree, as in Java. */
  utf16Sizes?: boolean
}

/** The tree's digest after a transaction. */
export interface ZxidDigest {
  zxid: Zxid
  hi: number
  lo: number
}

const HEADER_BYTES = 32
const DIGEST_BYTES = 12
const DIGEST_VERSION = 2
/** Java keeps the digest of every 128th zxid, the last 1024 of them. */
const HISTORY_INTERVAL = 128
const HISTORY_MAX = 1024
const WORD = 0x1_0000_0000
const SLASH = 0x2f

export class StateMachine {
  readonly tree: DataTree
  readonly quotas: Quotas
  readonly watches: Watches
  /** Global sessions and their timeouts in ms. */
  readonly sessions: Id64Map<number>
  /** The highest transaction applied. */
  zxidLast: Zxid
  /** The tree came as a moving picture: in places it is ahead, and digests say nothing. Whoever loaded it knows the end. */
  fuzzy: boolean
  /** Transactions whose author's tree is known to have been the same as this one behind them. */
  countAgreed: number
  /** Digests at zxids divisible by 128, oldest first. */
  readonly digestHistory: ZxidDigest[]
  private readonly sink: ApplySink
  private readonly digest: boolean
  /** The digest from the tail of a fuzzy snapshot, until its zxid has been applied. */
  private digestAwaited: ZxidDigest | null
  /** The transaction in hand: bytes, cursor, header. */
  private buf: Uint8Array
  private at: number
  private end: number
  private clientHi: number
  private clientLo: number
  private zxid: Zxid
  private timeMs: number
  /** The fields read last: path, data (length -1 is null), ACL list. */
  private pathOff: number
  private pathEnd: number
  private dataOff: number
  private dataLength: number
  private aclOff: number
  private aclEnd: number
  /** What the last operation touched. */
  private node: NodeId
  /** The transaction was not applied although its author did (or would have): its digest says nothing. */
  private skipped: boolean

  constructor(watchSink: WatchSink, sink: ApplySink, options: StateOptions) {
    this.tree = new DataTree(options)
    this.tree.extendedTypes = options.extendedTypes ?? false
    this.tree.emulate353 = options.emulate353 ?? false
    this.quotas = new Quotas(this.tree)
    this.watches = new Watches(watchSink, options.hashSeed)
    this.sessions = new Id64Map()
    this.zxidLast = 0
    this.fuzzy = false
    this.countAgreed = 0
    this.digestHistory = []
    this.sink = sink
    this.digest = options.digest
    this.digestAwaited = null
    this.buf = new Uint8Array(0)
    this.at = 0
    this.end = 0
    this.clientHi = 0
    this.clientLo = 0
    this.zxid = 0
    this.timeMs = 0
    this.pathOff = 0
    this.pathEnd = 0
    this.dataOff = 0
    this.dataLength = 0
    this.aclOff = 0
    this.aclEnd = 0
    this.node = NO_NODE
    this.skipped = false
  }

  /**
   * Applies one transaction (bytes borrowed). Throws StorageError for an unknown type or a malformed body, before
   * anything has changed (in a multi: before the sub-operation concerned). The caller stops the server on that.
   */
  apply(buf: Uint8Array, off: number, end: number): void {
    try {
      this.readHeader(buf, off, end)
      this.skipped = false
      this.applyBody(readInt(buf, off + 28))
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      throw new StorageError(`malformed transaction: ${error.message}`, null, null, error)
    } finally {
      this.buf = EMPTY
    }
    if (this.zxid > this.zxidLast) this.zxidLast = this.zxid
    if (this.digest && !this.fuzzy) this.compareDigest(buf, end)
  }

  /**
   * The digest a loaded snapshot has in its tail. Until the transaction of that zxid has been applied the tree may be
   * ahead of the log in places, so that digests of transactions say nothing; then the tree must match. Digests of an
   * older zxid than the snapshot's own are void (a new leader moves the zxid without a transaction).
   */
  awaitDigest(zxid: Zxid, hi: number, lo: number): void {
    if (!this.digest || zxid === 0 || zxid < this.zxidLast) return
    this.digestAwaited = { zxid, hi: hi | 0, lo: lo | 0 }
    if (zxid === this.zxidLast) this.compareAwaited(this.digestAwaited)
  }

  private readHeader(buf: Uint8Array, off: number, end: number): void {
    if (end - off < HEADER_BYTES) throw new StorageError(`transaction of ${end - off} bytes`)
    this.buf = buf
    this.at = off + HEADER_BYTES
    this.end = end
    this.clientHi = readInt(buf, off)
    this.clientLo = readInt(buf, off + 4)
    const epoch = readInt(buf, off + 12)
    if (epoch < 0 || epoch >= EPOCH_LIMIT)
      throw new StorageError(`epoch ${epoch >>> 0} of a transaction is out of range`)
    this.zxid = epoch * WORD + (readInt(buf, off + 16) >>> 0)
    this.timeMs = readInt(buf, off + 20) * WORD + (readInt(buf, off + 24) >>> 0)
  }

  private applyBody(type: number): void {
    switch (type) {
      case OpCode.multi:
        this.multi()
        return
      case OpCode.createSession: {
        const timeoutMs = this.int()
        this.sessions.set(this.clientHi, this.clientLo, timeoutMs)
        this.tree.changes?.onSession(this.clientHi, this.clientLo)
        this.sink.onSessionCreated(this.clientHi, this.clientLo, timeoutMs)
        this.sink.onResult(0, type, Err.ok, NO_NODE)
        return
      }
      case OpCode.closeSession:
        this.closeSession()
        this.sessions.delete(this.clientHi, this.clientLo)
        this.tree.changes?.onSession(this.clientHi, this.clientLo)
        this.sink.onSessionClosed(this.clientHi, this.clientLo)
        this.sink.onResult(0, type, Err.ok, NO_NODE)
        return
      case OpCode.reconfig:
        this.single(0, type, OpCode.setData)
        return
      case OpCode.setACL:
        this.node = NO_NODE
        this.sink.onResult(0, type, this.setAcl(), this.node)
        return
      case OpCode.check:
        throw new StorageError('a check by itself is no transaction')
      default:
        this.single(0, type, type)
    }
  }

  /** An operation that may also stand in a multi. `type` is what it is called in the result, `as` what it does. */
  private single(index: number, type: number, as: number): void {
    this.node = NO_NODE
    let err: number
    switch (as) {
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
      case OpCode.createTTL:
        err = this.create(as)
        break
      case OpCode.delete:
      case OpCode.deleteContainer:
        this.readPath()
        err = this.delete(this.pathOff, this.pathEnd)
        break
      case OpCode.setData:
        err = this.setData()
        break
      case OpCode.check:
        this.skipBuffer()
        this.int()
        err = Err.ok
        break
      case OpCode.error:
        err = this.int()
        break
      default:
        throw new StorageError(`transaction of unknown type ${type}`)
    }
    this.sink.onResult(index, type, err, err === Err.ok ? this.node : NO_NODE)
  }

  /**
   * vector of {type 4, body as a buffer}. One error among them and nothing is done: those before it report 0, those
   * behind it that they could not be reached. (A member that applied the multi before it wrote it down has made errors
   * of all of them, with these same codes.)
   */
  private multi(): void {
    const count = this.int()
    const first = this.at
    let failed = false
    for (let i = 0; i < count; i++) {
      if (this.int() === OpCode.error) failed = true
      this.skipBuffer()
    }
    const end = this.end
    const next = this.at
    this.at = first
    let reached = true
    for (let i = 0; i < count; i++) {
      const type = this.int()
      const bodyEnd = this.bodyEnd()
      this.end = bodyEnd
      if (!failed) {
        this.single(i, type, type)
      } else if (type === OpCode.error) {
        this.single(i, type, type)
        reached = false
      } else {
        this.sink.onResult(i, OpCode.error, reached ? Err.ok : Err.runtimeInconsistency, NO_NODE)
      }
      this.end = end
      this.at = bodyEnd
    }
    this.at = next
  }

  // --- operations: each reads its body first, then changes; the result is an error code

  /**
   * create, create2: path, data, ACL list, ephemeral 1, parent's cversion 4 (missing in logs of 3.3).
   * createContainer: without `ephemeral`. createTTL: without it, ttl ms 8 at the end.
   */
  private create(type: number): number {
    this.readPath()
    this.readData()
    this.readAcl()
    let ownerHi = 0
    let ownerLo = 0
    let cversion: number
    if (type === OpCode.create || type === OpCode.create2) {
      if (this.byte() !== 0) {
        ownerHi = this.clientHi
        ownerLo = this.clientLo
      }
      if (type === OpCode.create && this.end - this.at < 4) {
        cversion = -1
        this.at = this.end
      } else {
        cversion = this.int()
      }
    } else {
      cversion = this.int()
      if (type === OpCode.createContainer) {
        ownerHi = CONTAINER_OWNER_HI
      } else {
        const ttlHi = this.int()
        const ttlMs = ttlHi * WORD + (this.int() >>> 0)
        if (ttlMs <= 0 || ttlMs > TTL_MAX_MS) {
          // 3.9.5 logs such a thing on a client's word, and then exits on it at every start.
          this.skipped = true
          return Err.badArguments
        }
        ownerHi = ttlOwnerHi(ttlMs)
        ownerLo = ttlMs | 0
      }
    }

    const { tree, buf, pathOff, pathEnd, zxid } = this
    const parent = this.findParent(pathOff, pathEnd)
    if (parent === NO_NODE) return Err.noNode
    const aclId = tree.acls.intern(buf, this.aclOff, this.aclEnd)
    // Also for a child that is there already, in a snapshot with an older entry of its parent. Java does that for type
    // create alone, and so ends with a smaller cversion than it had if the child was made by another (end of processTxn).
    const cversionNow = tree.cversion(parent)
    if (cversion === -1) cversion = (cversionNow + 1) | 0
    if (cversion > cversionNow) tree.childAdded(parent, cversion, zxid)
    const existing = tree.find(buf, pathOff, pathEnd)
    if (existing !== NO_NODE) {
      tree.setAcl(existing, aclId, tree.aversion(existing))
      return Err.nodeExists
    }
    this.node = tree.create(
      buf,
      pathOff,
      pathEnd,
      this.dataOff,
      this.dataLength,
      parent,
      aclId,
      ownerHi,
      ownerLo,
      zxid,
      this.timeMs,
    )
    this.quotas.nodeCreated(buf, pathOff, pathEnd, Math.max(this.dataLength, 0))
    this.written(Math.max(this.dataLength, 0))
    this.watches.created(buf, pathOff, pathEnd, zxid, aclId, tree.aclId(parent))
    return Err.ok
  }

  /** delete, deleteContainer: path. */
  private delete(pathOff: number, pathEnd: number): number {
    const { tree, buf } = this
    const parent = this.findParent(pathOff, pathEnd)
    if (parent === NO_NODE) return Err.noNode
    tree.touchPzxid(parent, this.zxid)
    const node = tree.find(buf, pathOff, pathEnd)
    if (node === NO_NODE || node === ROOT) return Err.noNode
    this.remove(buf, pathOff, pathEnd, node, parent)
    return Err.ok
  }

  private remove(buf: Uint8Array, pathOff: number, pathEnd: number, node: NodeId, parent: NodeId): void {
    const { tree, watches } = this
    if (tree.numChildren(node) > 0) this.removeBelow(node)
    const aclId = tree.aclId(node)
    const dataBytes = Math.max(tree.dataLength(node), 0)
    // The watches' sink checks the ACL after the node is gone.
    tree.acls.acquire(aclId)
    tree.remove(node)
    this.quotas.nodeDeleted(buf, pathOff, pathEnd, dataBytes)
    this.sink.onWritten?.(buf, pathOff, pathEnd, pathEnd - pathOff)
    watches.deleted(buf, pathOff, pathEnd, this.zxid, aclId, tree.aclId(parent))
    tree.acls.release(aclId)
  }

  /**
   * Only on replay: when this delete was first applied its node was empty, so whatever is below was created later and
   * will be again. Java leaves such nodes behind without a parent.
   */
  private removeBelow(top: NodeId): void {
    const { tree } = this
    const below: NodeId[] = []
    tree.forEachDescendant(top, (node) => below.push(node))
    for (let node = below.pop(); node !== undefined; node = below.pop()) {
      const path = tree.pathOf(node)
      const dataBytes = Math.max(tree.dataLength(node), 0)
      tree.remove(node)
      this.quotas.nodeDeleted(path, 0, path.length, dataBytes)
    }
  }

  /** setData, reconfig: path, data, the new version 4. */
  private setData(): number {
    this.readPath()
    this.readData()
    const version = this.int()
    const { tree, buf, pathOff, pathEnd } = this
    const node = tree.find(buf, pathOff, pathEnd)
    if (node === NO_NODE) return Err.noNode
    const bytesBefore = Math.max(tree.dataLength(node), 0)
    const pathCrc = this.digest && node !== ROOT ? crc32(0, buf, pathOff, pathEnd) : 0
    tree.setData(node, buf, this.dataOff, this.dataLength, version, this.zxid, this.timeMs, pathCrc)
    this.node = node
    this.quotas.dataChanged(buf, pathOff, pathEnd, Math.max(this.dataLength, 0) - bytesBefore)
    this.written(Math.max(this.dataLength, 0))
    this.watches.dataChanged(buf, pathOff, pathEnd, this.zxid, tree.aclId(node))
    return Err.ok
  }

  private written(dataBytes: number): void {
    const { buf, pathOff, pathEnd } = this
    this.sink.onWritten?.(buf, pathOff, pathEnd, pathEnd - pathOff + dataBytes)
  }

  /** setACL: path, ACL list, the new aversion 4. */
  private setAcl(): number {
    this.readPath()
    this.readAcl()
    const aversion = this.int()
    const { tree } = this
    const node = tree.find(this.buf, this.pathOff, this.pathEnd)
    if (node === NO_NODE) return Err.noNode
    tree.setAcl(node, tree.acls.intern(this.buf, this.aclOff, this.aclEnd), aversion)
    this.node = node
    return Err.ok
  }

  /**
   * closeSession: vector of the paths to delete, whoever owns them by now, and then what the session still owns here.
   * Without a body, as older servers wrote it, only the latter.
   */
  private closeSession(): void {
    const count = this.countPathsToClose()
    const first = this.at
    for (let i = 0; i < count; i++) this.readPath()
    this.at = first
    for (let i = 0; i < count; i++) {
      this.readPath()
      this.delete(this.pathOff, this.pathEnd)
    }
    this.removeEphemerals(this.clientHi, this.clientLo)
  }

  private removeEphemerals(hi: number, lo: number): void {
    const { tree } = this
    const left: NodeId[] = []
    tree.forEachEphemeral(hi, lo, (node) => left.push(node))
    for (const node of left) {
      const path = tree.pathOf(node)
      const parent = tree.parent(node)
      tree.touchPzxid(parent, this.zxid)
      this.remove(path, 0, path.length, node, parent)
    }
  }

  /**
   * After a load: removes the ephemerals of sessions that the session table does not have, as Java does when it begins
   * to serve (ZooKeeperServer.loadData). No transaction says so, hence the caller snapshots if there were any. Returns
   * how many znodes went.
   */
  removeOrphans(): number {
    const before = this.tree.ephemeralsCount
    const orphans: [hi: number, lo: number][] = []
    this.tree.forEachEphemeralSession((hi, lo) => {
      if (!this.sessions.has(hi, lo)) orphans.push([hi, lo])
    })
    this.zxid = this.zxidLast
    for (const [hi, lo] of orphans) this.removeEphemerals(hi, lo)
    // Replay will not do it again, so no store may have a part of it.
    if (orphans.length > 0) this.tree.changes?.lose()
    return before - this.tree.ephemeralsCount
  }

  /**
   * Steps over the count of a closeSession's paths, or reports 0 where there is no body. Nothing says whether there is
   * one: what follows the header is then a digest (version 2 first) or nothing. As a body those 12 bytes would be two
   * empty paths, which do not occur.
   */
  private countPathsToClose(): number {
    const left = this.end - this.at
    if (left === 0) return 0
    if (left === DIGEST_BYTES && readInt(this.buf, this.at) === DIGEST_VERSION) return 0
    return Math.max(0, this.int())
  }

  /** The node of the path without its last name; ROOT for a path of one name, and for "/" itself. */
  private findParent(pathOff: number, pathEnd: number): NodeId {
    const { buf } = this
    let slash = pathEnd - 1
    while (buf[slash] !== SLASH) slash--
    return slash === pathOff ? ROOT : this.tree.find(buf, pathOff, slash)
  }

  // --- digest

  private compareDigest(buf: Uint8Array, end: number): void {
    const { tree } = this
    const awaited = this.digestAwaited
    if (awaited !== null) {
      if (this.zxid === awaited.zxid) this.compareAwaited(awaited)
      else if (this.zxid > awaited.zxid) this.digestAwaited = null
      return
    }
    if (this.zxid % HISTORY_INTERVAL === 0) {
      this.digestHistory.push({ zxid: this.zxid, hi: tree.digestHi, lo: tree.digestLo })
      if (this.digestHistory.length > HISTORY_MAX) this.digestHistory.shift()
    }
    const { at } = this
    if (this.skipped || end - at < DIGEST_BYTES || readInt(buf, at) !== DIGEST_VERSION) return
    if (readInt(buf, at + 4) !== (tree.digestHi | 0) || readInt(buf, at + 8) !== (tree.digestLo | 0)) {
      this.sink.onDigestMismatch(this.zxid)
    } else {
      this.countAgreed++
    }
  }

  private compareAwaited(awaited: ZxidDigest): void {
    this.digestAwaited = null
    const { tree } = this
    if (awaited.hi !== (tree.digestHi | 0) || awaited.lo !== (tree.digestLo | 0)) {
      this.sink.onDigestMismatch(awaited.zxid)
    }
  }

  // --- reading

  private take(bytes: number): number {
    const { at } = this
    if (this.end - at < bytes)
      throw new StorageError(`transaction cut short: ${bytes} bytes wanted, ${this.end - at} left`)
    this.at = at + bytes
    return at
  }

  private byte(): number {
    return this.buf[this.take(1)]!
  }

  private int(): number {
    return readInt(this.buf, this.take(4))
  }

  /** Takes a buffer's or string's length and returns where it ends; null counts as empty. */
  private bodyEnd(): number {
    const length = this.int()
    if (length < -1 || length > this.end - this.at) throw new StorageError(`length ${length} in a transaction`)
    return this.at + Math.max(length, 0)
  }

  private skipBuffer(): void {
    this.at = this.bodyEnd()
  }

  private readPath(): void {
    const end = this.bodyEnd()
    const off = this.at
    const length = end - off
    if (length === 0 || this.buf[off] !== SLASH || (length > 1 && this.buf[end - 1] === SLASH)) {
      throw new StorageError('bad path in a transaction')
    }
    this.pathOff = off
    this.pathEnd = end
    this.at = end
  }

  private readData(): void {
    const isNull = this.end - this.at >= 4 && readInt(this.buf, this.at) === -1
    const end = this.bodyEnd()
    this.dataOff = this.at
    this.dataLength = isNull ? -1 : end - this.at
    this.at = end
  }

  /** vector of {perms 4, scheme, id}. */
  private readAcl(): void {
    this.aclOff = this.at
    const count = this.int()
    for (let i = 0; i < count; i++) {
      this.take(4)
      this.skipBuffer()
      this.skipBuffer()
    }
    this.aclEnd = this.at
  }
}

const EMPTY = new Uint8Array(0)
