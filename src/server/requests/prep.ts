/**
 * Turns write requests into transactions: checks them against the tree and everything ahead of them, assigns the zxid,
 * encodes header, body and digest once.
 *
 * A request that fails its checks becomes an error transaction, as in Java, so that it is answered in order and takes
 * a zxid. A request that cannot be decoded takes none (but a multi and a createSession do). Leader and standalone only;
 * pure: time and bytes come in, a transaction goes out. Java: PrepRequestProcessor (order of checks per operation),
 * release 3.9.5.
 */

import type { StateMachine } from '../../datatree/apply.ts'
import { crc32, statCrc } from '../../datatree/crc32.ts'
import { CONTAINER_OWNER_HI, OwnerKind, ownerKind, TTL_MAX_MS, ttlOwnerHi } from '../../datatree/owner.ts'
import { assert } from '../../jute/assert.ts'
import { CreateMode, Err, OpCode, Perm } from '../../jute/codes.ts'
import { Input, ProtocolError } from '../../jute/input.ts'
import { Output } from '../../jute/output.ts'
import { textToBytes } from '../../jute/text.ts'
import { writeLong, type Zxid } from '../../jute/zxid.ts'
import type { Auth, AuthId } from '../access/auth.ts'
import type { Compat } from '../config/compat.ts'
import { type ChangeRecord, OutstandingChanges } from './outstanding.ts'
import { hasNul, isSpecialPath, isValidPath, lastSlash, pathKey, sameBytes } from './paths.ts'
import { QuotaGate } from './quotagate.ts'
import type { Reconfigurer } from './reconfig.ts'
import type { SessionGate } from './sessiongate.ts'
import { Owner } from './sessions.ts'
import {
  decodeMulti,
  decodeReconfig,
  decodeWriteOp,
  isEphemeralMode,
  isSequentialMode,
  isTtlMode,
  NullAclError,
  type ReconfigRequest,
  WriteOp,
} from './writeop.ts'

export interface PrepOptions {
  readonly extendedTypes: boolean
  readonly enforceQuota: boolean
  readonly closeSessionTxn: boolean
  readonly digest: boolean
  readonly reconfigEnabled: boolean
  readonly juteLengthMax: number
  readonly compat: Compat
}

/** A request to change something. Bytes are borrowed for the call. */
export class WriteRequest {
  type = 0
  sessionHi = 0
  sessionLo = 0
  cxid = 0
  ids: readonly AuthId[] = []
  /** Where it comes from: Owner.self, or the link of a learner. */
  owner: number = Owner.self
  buf: Uint8Array = new Uint8Array(0)
  off = 0
  end = 0
}

const CONFIG_PATH = textToBytes('/zookeeper/config')
const LIMITS_OF_NOTHING = textToBytes('/zookeeper/quota/zookeeper_limits')
const TXN_HEADER_BYTES = 32
const DIGEST_VERSION = 2
/** These are given their zxid before Java looks into them. */
const TAKES_ZXID_UNREAD: readonly number[] = [OpCode.multi, OpCode.createSession]
const DIGEST_BYTES = 12

export class Prep {
  /** The last zxid assigned. */
  zxidLast: Zxid
  readonly outstanding: OutstandingChanges
  private readonly state: StateMachine
  private readonly auth: Auth
  private readonly options: PrepOptions
  private readonly quota: QuotaGate
  /** Leader: whose requests are let through. Null: they all come from here, and were looked at before. */
  private readonly gate: SessionGate | null
  private readonly reconfigurer: Reconfigurer | null
  private readonly input: Input
  private readonly op: WriteOp
  private reconfig: ReconfigRequest | null
  private readonly path: Output
  /** The tree's digest once everything in flight is applied. */
  private digestHi: number
  private digestLo: number

  constructor(
    state: StateMachine,
    auth: Auth,
    warn: (message: string, fields: Record<string, unknown>) => void,
    gate: SessionGate | null,
    reconfigurer: Reconfigurer | null,
    options: PrepOptions,
  ) {
    this.state = state
    this.auth = auth
    this.gate = gate
    this.reconfigurer = reconfigurer
    this.options = options
    this.outstanding = new OutstandingChanges(state.tree)
    this.quota = new QuotaGate(state.quotas, options, warn)
    this.zxidLast = state.zxidLast
    this.input = new Input(new Uint8Array(0), 0, 0, options.juteLengthMax)
    this.op = new WriteOp()
    this.reconfig = null
    this.path = new Output(256)
    this.digestHi = state.tree.digestHi
    this.digestLo = state.tree.digestLo
  }

  /**
   * Appends the transaction for `request` to `out` and returns its zxid, or -1 (nothing appended, no zxid used) when
   * the request cannot be decoded and is to be answered with Err.marshallingError.
   */
  prepare(request: WriteRequest, nowMs: number, out: Output): Zxid {
    const { type } = request
    const input = this.input
    input.reset(request.buf, request.off, request.end)
    let ops: WriteOp[] | null = null
    let undecodable = false
    try {
      if (type === OpCode.multi) ops = decodeMulti(input)
      else if (type === OpCode.reconfig) this.reconfig = decodeReconfig(input)
      else if (type === OpCode.createSession) input.take(4)
      else if (type !== OpCode.closeSession) decodeWriteOp(type, input, this.op)
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err
      if (!TAKES_ZXID_UNREAD.includes(type) || err instanceof NullAclError) return -1
      undecodable = true
    }
    if (this.outstanding.count === 0) {
      this.digestHi = this.state.tree.digestHi
      this.digestLo = this.state.tree.digestLo
    }
    const zxid = ++this.zxidLast
    const start = out.pos
    const { digestHi, digestLo } = this
    writeHeader(out, request, zxid, nowMs, type)
    let err = undecodable ? Err.marshallingError : this.body(request, ops, zxid, nowMs, out)
    if (err === Err.ok && out.pos - start > this.options.juteLengthMax - DIGEST_BYTES) {
      // Nobody could read it back from the log, Java neither: a multi whose ACLs grow beyond all bounds, for instance.
      this.takeBack(zxid, digestHi, digestLo)
      err = Err.marshallingError
    }
    if (err !== Err.ok) {
      out.pos = start
      writeHeader(out, request, zxid, nowMs, OpCode.error)
      out.int(err)
    } else if (this.options.digest && out.pos > start + TXN_HEADER_BYTES) {
      out.int(DIGEST_VERSION)
      out.words(this.digestHi, this.digestLo)
    }
    return zxid
  }

  /** Appends an error transaction for a request that is not looked at any further; it is answered in its turn. */
  refuse(request: WriteRequest, err: number, nowMs: number, out: Output): Zxid {
    const zxid = ++this.zxidLast
    writeHeader(out, request, zxid, nowMs, OpCode.error)
    out.int(err)
    return zxid
  }

  /** Nothing more is prepared: what is in flight holds no ACL any more. */
  stop(): void {
    this.outstanding.applied(this.zxidLast)
    this.quota.applied(this.zxidLast)
  }

  /** The transaction with this zxid has changed the tree. */
  applied(zxid: Zxid): void {
    this.outstanding.applied(zxid)
    this.quota.applied(zxid)
  }

  private body(request: WriteRequest, ops: WriteOp[] | null, zxid: Zxid, nowMs: number, out: Output): number {
    switch (request.type) {
      case OpCode.multi:
        return this.multi(request, ops!, zxid, nowMs, out)
      case OpCode.createSession:
        out.raw(request.buf, request.off, request.off + 4) // timeout in ms
        return Err.ok
      case OpCode.closeSession:
        return this.closeSession(request, zxid, out)
      case OpCode.reconfig:
        return this.reconfigure(request, zxid, nowMs, out)
      default:
        return this.one(request, this.op, zxid, nowMs, out)
    }
  }

  /** One operation, alone or in a multi: checks, changes the outstanding state, appends the body of its transaction. */
  private one(request: WriteRequest, op: WriteOp, zxid: Zxid, nowMs: number, out: Output): number {
    switch (op.type) {
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
      case OpCode.createTTL:
        return this.create(request, op, zxid, nowMs, out)
      case OpCode.deleteContainer:
        return this.deleteContainer(op, zxid, out)
    }
    if (this.gate !== null) {
      const err = this.gate.check(request)
      if (err !== Err.ok) return err
    }
    switch (op.type) {
      case OpCode.delete:
        return this.delete(request, op, zxid, out)
      case OpCode.setData:
        return this.setData(request, op, zxid, nowMs, out)
      case OpCode.setACL:
        return this.setAcl(request, op, zxid, out)
      default:
        assert(op.type === OpCode.check, 'a write operation')
        return this.check(request, op, out)
    }
  }

  private create(request: WriteRequest, op: WriteOp, zxid: Zxid, nowMs: number, out: Output): number {
    const { buf, flags } = op
    if (flags < CreateMode.persistent || flags > CreateMode.persistentSequentialWithTTL) return Err.badArguments
    const ttlMode = isTtlMode(flags)
    if (ttlMode && !this.options.extendedTypes) return Err.unimplemented
    if (ttlMode ? op.ttlMs <= 0 || op.ttlMs > TTL_MAX_MS : op.ttlMs >= 0) return Err.badArguments
    // Java takes a TTL request without a TTL mode and dies of its transaction when it applies it.
    if (op.type === OpCode.createTTL && !ttlMode) return Err.badArguments
    if (this.gate !== null) {
      const err = isEphemeralMode(flags) ? this.gate.checkGlobal(request) : this.gate.check(request)
      if (err !== Err.ok) return err
    }
    if (op.pathLength < 0) return Err.marshallingError
    const slash = lastSlash(buf, op.pathOff, op.pathEnd)
    if (slash < 0 || hasNul(buf, op.pathOff, op.pathEnd)) return Err.badArguments
    const aclId = this.auth.fixup(buf, op.aclOff, op.aclEnd, request.ids)
    if (aclId < -1) return aclId
    const { acls } = this.state.tree
    acls.acquire(aclId) // a refused request must leave no list behind
    const err = this.createWithAcl(request, op, slash, aclId, zxid, nowMs, out)
    acls.release(aclId)
    return err
  }

  private createWithAcl(
    request: WriteRequest,
    op: WriteOp,
    slash: number,
    aclId: number,
    zxid: Zxid,
    nowMs: number,
    out: Output,
  ): number {
    const { buf, flags } = op
    const parent = this.outstanding.get(buf, op.pathOff, slash)
    if (parent === null) return Err.noNode
    if (!this.auth.allowed(parent.aclId, Perm.create, request.ids)) return Err.noAuth

    const path = this.path
    path.clear()
    path.raw(buf, op.pathOff, op.pathEnd)
    if (isSequentialMode(flags)) writeSequence(path, parent.cversion)
    if (!isValidPath(path.buf, 0, path.pos)) return Err.badArguments
    if (this.outstanding.get(path.buf, 0, path.pos) !== null) return Err.nodeExists
    if (this.isEphemeral(parent) || parent.ephemeralIn === zxid) return Err.noChildrenForEphemerals
    // A quota on nothing: Java logs it, cannot apply it, and exits at every start from then on.
    if (sameBytes(path.buf, 0, path.pos, LIMITS_OF_NOTHING)) return Err.badArguments
    const overQuota = this.quota.admit(path.buf, 0, path.pos, 1, Math.max(op.dataLength, 0), zxid)
    if (overQuota !== Err.ok) return overQuota

    parent.cversion = (parent.cversion + 1) | 0
    parent.children++
    parent.pzxid = zxid
    this.change(parent, zxid)

    const node = this.outstanding.fresh(path.buf, 0, path.pos)
    node.czxid = node.mzxid = node.pzxid = zxid
    node.ctimeMs = node.mtimeMs = nowMs
    if (op.type === OpCode.createContainer) {
      node.ownerHi = CONTAINER_OWNER_HI
      if (this.options.compat.containersInMulti && isEphemeralMode(flags)) node.ephemeralIn = zxid
    } else if (op.type === OpCode.createTTL) {
      node.ownerHi = ttlOwnerHi(op.ttlMs)
      node.ownerLo = op.ttlMs | 0
    } else if (isEphemeralMode(flags)) {
      node.ownerHi = request.sessionHi
      node.ownerLo = request.sessionLo
    }
    node.aclId = aclId
    node.dataLength = op.dataLength
    node.dataCrc = this.dataCrc(path.buf, path.pos, buf, op)
    this.change(node, zxid)

    out.bufferOf(path.buf, 0, path.pos)
    writeData(out, op)
    out.raw(this.state.tree.acls.bytes(aclId))
    if (op.type === OpCode.create || op.type === OpCode.create2) out.bool(isEphemeralMode(flags))
    out.int(parent.cversion)
    if (op.type === OpCode.createTTL) out.long(op.ttlMs)
    return Err.ok
  }

  private delete(request: WriteRequest, op: WriteOp, zxid: Zxid, out: Output): number {
    const { buf } = op
    if (op.pathLength < 0) return Err.marshallingError
    const slash = deletableSlash(buf, op.pathOff, op.pathEnd)
    if (slash < 0) return Err.badArguments
    const parent = this.outstanding.get(buf, op.pathOff, slash)
    if (parent === null) return Err.noNode
    if (!this.auth.allowed(parent.aclId, Perm.delete, request.ids)) return Err.noAuth
    const node = this.outstanding.get(buf, op.pathOff, op.pathEnd)
    if (node === null) return Err.noNode
    if (op.version !== -1 && op.version !== node.version) return Err.badVersion
    if (node.children > 0) return Err.notEmpty
    this.remove(node, parent, zxid)
    out.bufferOf(buf, op.pathOff, op.pathEnd)
    return Err.ok
  }

  /** The reaper's request: no permission needed, but the znode must still be empty and not somebody's ephemeral. */
  private deleteContainer(op: WriteOp, zxid: Zxid, out: Output): number {
    const { buf } = op
    if (op.pathLength < 0) return Err.marshallingError
    const slash = deletableSlash(buf, op.pathOff, op.pathEnd)
    if (slash < 0) return Err.badArguments
    const node = this.outstanding.get(buf, op.pathOff, op.pathEnd)
    if (node === null) return Err.noNode
    if (node.children > 0) return Err.notEmpty
    if (this.isEphemeral(node)) return Err.badVersion
    const parent = this.outstanding.get(buf, op.pathOff, slash)
    if (parent === null) return Err.noNode
    this.remove(node, parent, zxid)
    out.bufferOf(buf, op.pathOff, op.pathEnd)
    return Err.ok
  }

  private isEphemeral({ ownerHi, ownerLo }: ChangeRecord): boolean {
    const { tree } = this.state
    return ownerKind(ownerHi, ownerLo, tree.extendedTypes, tree.emulate353) === OwnerKind.ephemeral
  }

  private remove(node: ChangeRecord, parent: ChangeRecord, zxid: Zxid): void {
    parent.children--
    parent.pzxid = zxid
    this.change(parent, zxid)
    this.quota.released(node.path, Math.max(node.dataLength, 0), zxid)
    node.exists = false
    this.change(node, zxid)
  }

  private setData(request: WriteRequest, op: WriteOp, zxid: Zxid, nowMs: number, out: Output): number {
    const { buf } = op
    if (op.pathLength < 0 || !isValidPath(buf, op.pathOff, op.pathEnd)) return Err.badArguments
    const node = this.outstanding.get(buf, op.pathOff, op.pathEnd)
    if (node === null) return Err.noNode
    if (!this.auth.allowed(node.aclId, Perm.write, request.ids)) return Err.noAuth
    const bytesDelta = Math.max(op.dataLength, 0) - Math.max(node.dataLength, 0)
    const overQuota = this.quota.check(buf, op.pathOff, op.pathEnd, 0, bytesDelta, zxid)
    if (overQuota !== Err.ok) return overQuota
    if (op.version !== -1 && op.version !== node.version) return Err.badVersion
    this.quota.changed(buf, op.pathOff, op.pathEnd, 0, bytesDelta, zxid)
    node.version = (node.version + 1) | 0
    node.mzxid = zxid
    node.mtimeMs = nowMs
    node.dataLength = op.dataLength
    node.dataCrc = this.dataCrc(node.path, node.path.length, buf, op)
    this.change(node, zxid)
    out.bufferOf(buf, op.pathOff, op.pathEnd)
    writeData(out, op)
    out.int(node.version)
    return Err.ok
  }

  private setAcl(request: WriteRequest, op: WriteOp, zxid: Zxid, out: Output): number {
    const { buf } = op
    if (op.pathLength < 0 || !isValidPath(buf, op.pathOff, op.pathEnd)) return Err.badArguments
    const aclId = this.auth.fixup(buf, op.aclOff, op.aclEnd, request.ids)
    if (aclId < -1) return aclId
    const { acls } = this.state.tree
    acls.acquire(aclId)
    const err = this.setFixedAcl(request, op, aclId, zxid, out)
    acls.release(aclId)
    return err
  }

  private setFixedAcl(request: WriteRequest, op: WriteOp, aclId: number, zxid: Zxid, out: Output): number {
    const { buf } = op
    const node = this.outstanding.get(buf, op.pathOff, op.pathEnd)
    if (node === null) return Err.noNode
    if (!this.auth.allowed(node.aclId, Perm.admin, request.ids)) return Err.noAuth
    if (op.version !== -1 && op.version !== node.aversion) return Err.badVersion
    node.aversion = (node.aversion + 1) | 0
    node.aclId = aclId
    this.change(node, zxid)
    out.bufferOf(buf, op.pathOff, op.pathEnd)
    out.raw(this.state.tree.acls.bytes(aclId))
    out.int(node.aversion)
    return Err.ok
  }

  /** Membership is data of a znode: the transaction is a setData that leaves its version at -1. */
  private reconfigure(request: WriteRequest, zxid: Zxid, nowMs: number, out: Output): number {
    if (!this.options.reconfigEnabled) return Err.reconfigDisabled
    if (this.gate !== null) {
      const err = this.gate.check(request)
      if (err !== Err.ok) return err
    }
    if (this.reconfigurer === null) return Err.unimplemented
    const planned = this.reconfigurer.plan(this.reconfig!, zxid)
    if ('err' in planned) return planned.err
    const node = this.outstanding.get(CONFIG_PATH, 0, CONFIG_PATH.length)
    if (node === null) return Err.noNode
    if (!this.auth.allowed(node.aclId, Perm.write, request.ids)) return Err.noAuth
    node.version = -1
    node.mzxid = zxid
    node.mtimeMs = nowMs
    node.dataLength = planned.text.length
    this.change(node, zxid)
    out.bufferOf(CONFIG_PATH, 0, CONFIG_PATH.length)
    out.bufferOf(planned.text, 0, planned.text.length)
    out.int(node.version)
    return Err.ok
  }

  private check(request: WriteRequest, op: WriteOp, out: Output): number {
    const { buf } = op
    if (op.pathLength < 0 || !isValidPath(buf, op.pathOff, op.pathEnd)) return Err.badArguments
    const node = this.outstanding.get(buf, op.pathOff, op.pathEnd)
    if (node === null) return Err.noNode
    if (!this.auth.allowed(node.aclId, Perm.read, request.ids)) return Err.noAuth
    if (op.version !== -1 && op.version !== node.version) return Err.badVersion
    out.bufferOf(buf, op.pathOff, op.pathEnd)
    out.int((node.version + 1) | 0)
    return Err.ok
  }

  /**
   * All operations under one zxid, each seeing those before it. The first failure takes everything back; the
   * transaction is logged all the same, with -1 for the failing operation and those behind it.
   */
  private multi(request: WriteRequest, ops: WriteOp[], zxid: Zxid, nowMs: number, out: Output): number {
    const { digestHi, digestLo } = this
    let failed: number = Err.ok
    for (const op of ops) if (op.pathLength < 0) return Err.marshallingError
    out.int(ops.length)
    for (const op of ops) {
      const at = out.pos
      out.int(op.type)
      out.int(0) // length, patched
      const err = failed === Err.ok ? this.one(request, op, zxid, nowMs, out) : Err.runtimeInconsistency
      if (err !== Err.ok) {
        if (failed === Err.ok) {
          failed = err
          this.takeBack(zxid, digestHi, digestLo)
          if (err === Err.marshallingError) return err
        }
        out.pos = at
        out.int(OpCode.error)
        out.int(4)
        out.int(err)
      } else {
        out.view.setInt32(at + 4, out.pos - at - 8)
      }
    }
    return Err.ok
  }

  /** Forgets everything that the newest transaction was to change. */
  private takeBack(zxid: Zxid, digestHi: number, digestLo: number): void {
    this.outstanding.rollback(zxid)
    this.quota.rollback(zxid)
    this.digestHi = digestHi
    this.digestLo = digestLo
  }

  /** Removes what the session owns now or will own once the writes ahead are applied. */
  private closeSession(request: WriteRequest, zxid: Zxid, out: Output): number {
    const { sessionHi, sessionLo } = request
    const tree = this.state.tree
    const paths = new Map<string, Uint8Array>()
    tree.forEachEphemeral(sessionHi, sessionLo, (node) => {
      const path = tree.pathOf(node)
      paths.set(pathKey(path), path)
    })
    this.outstanding.forEach((record) => {
      if (!record.exists) paths.delete(pathKey(record.path))
      else if (record.ownerHi === sessionHi && record.ownerLo === sessionLo)
        paths.set(pathKey(record.path), record.path)
    })
    // A list too long for a transaction is left out, as older servers always did: whoever applies it deletes what the
    // session owns. Then there is no digest either, which Java would take for the list.
    let bytes = 4
    for (const path of paths.values()) bytes += 4 + path.length
    const listed = this.options.closeSessionTxn && bytes <= this.options.juteLengthMax - TXN_HEADER_BYTES - DIGEST_BYTES
    if (listed) out.int(paths.size)
    for (const path of paths.values()) {
      const node = this.outstanding.get(path, 0, path.length)
      const parent = this.outstanding.get(path, 0, lastSlash(path, 0, path.length))
      assert(node !== null && parent !== null, 'an ephemeral znode and its parent')
      this.remove(node, parent, zxid)
      if (listed) out.buffer(path)
    }
    return Err.ok
  }

  /** Records the new state of a znode and moves the predicted digest of the tree. */
  private change(record: ChangeRecord, zxid: Zxid): void {
    record.zxid = zxid
    if (this.options.digest) {
      const before = record.digest
      record.digest = record.exists ? nodeDigest(record) : 0
      this.addToDigest(record.digest - before)
    }
    this.outstanding.add(record)
  }

  private addToDigest(delta: number): void {
    let lo = (this.digestLo >>> 0) + delta
    if (lo < 0) {
      lo += 0x1_0000_0000
      this.digestHi = (this.digestHi - 1) | 0
    } else if (lo >= 0x1_0000_0000) {
      lo -= 0x1_0000_0000
      this.digestHi = (this.digestHi + 1) | 0
    }
    this.digestLo = lo | 0
  }

  private dataCrc(path: Uint8Array, pathBytes: number, buf: Uint8Array, op: WriteOp): number {
    if (!this.options.digest) return 0
    const root = pathBytes === 1 // its path counts as empty
    const crc = root ? 0 : crc32(0, path, 0, pathBytes)
    return op.dataLength > 0 ? crc32(crc, buf, op.dataOff, op.dataOff + op.dataLength) : crc
  }
}

/** Znodes below /zookeeper/ are outside the digest. */
function nodeDigest(r: ChangeRecord): number {
  if (isBelowZookeeper(r.path)) return 0
  return statCrc(
    r.dataCrc,
    r.czxid,
    r.mzxid,
    r.pzxid,
    r.ctimeMs,
    r.mtimeMs,
    r.version,
    r.cversion,
    r.aversion,
    r.ownerHi,
    r.ownerLo,
  )
}

const ZOOKEEPER_SLASH = [...'/zookeeper/'].map((c) => c.charCodeAt(0))

function isBelowZookeeper(path: Uint8Array): boolean {
  for (let i = 0; i < ZOOKEEPER_SLASH.length; i++) if (path[i] !== ZOOKEEPER_SLASH[i]) return false
  return true
}

function writeHeader(out: Output, request: WriteRequest, zxid: Zxid, nowMs: number, type: number): void {
  out.reserve(TXN_HEADER_BYTES)
  const { view, pos } = out
  view.setInt32(pos, request.sessionHi)
  view.setInt32(pos + 4, request.sessionLo)
  view.setInt32(pos + 8, request.cxid)
  writeLong(view, pos + 12, zxid)
  writeLong(view, pos + 20, nowMs)
  view.setInt32(pos + 28, type)
  out.pos = pos + TXN_HEADER_BYTES
}

function writeData(out: Output, op: WriteOp): void {
  if (op.dataLength < 0) out.int(-1)
  else out.bufferOf(op.buf, op.dataOff, op.dataOff + op.dataLength)
}

/** Ten digits with a sign inside the width, as Java's %010d: -2147483648 takes eleven. */
function writeSequence(path: Output, counter: number): void {
  const digits = Math.abs(counter)
    .toString()
    .padStart(counter < 0 ? 9 : 10, '0')
  for (const c of counter < 0 ? '-' + digits : digits) path.byte(c.charCodeAt(0))
}

/** The last slash of a path that may be deleted; -1 where it has none, has a NUL, or is the server's own. */
function deletableSlash(buf: Uint8Array, off: number, end: number): number {
  const slash = lastSlash(buf, off, end)
  return slash < 0 || hasNul(buf, off, end) || isSpecialPath(buf, off, end) ? -1 : slash
}
