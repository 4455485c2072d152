/**
 * Write requests as offsets into the bytes they arrived in: decoded once, no strings, no copies.
 *
 * Pure. Java: the request records of zookeeper.jute and MultiOperationRecord.deserialize, whose refusals (which kinds
 * may stand in a multi, what a create mode turns into there) are kept.
 */

import { CreateMode, OpCode } from '../../jute/codes.ts'
import type { Input } from '../../jute/input.ts'
import { ProtocolError, readInt } from '../../jute/input.ts'

/** One write operation; a null path or null data has length -1. Reused between requests except inside a multi. */
export class WriteOp {
  type: number
  buf: Uint8Array
  pathOff: number
  pathLength: number
  dataOff: number
  dataLength: number
  aclOff: number
  aclEnd: number
  flags: number
  ttlMs: number
  version: number

  constructor() {
    this.type = 0
    this.buf = NO_BYTES
    this.pathOff = 0
    this.pathLength = -1
    this.dataOff = 0
    this.dataLength = -1
    this.aclOff = 0
    this.aclEnd = 0
    this.flags = 0
    this.ttlMs = -1
    this.version = -1
  }

  get pathEnd(): number {
    return this.pathOff + this.pathLength
  }
}

const NO_BYTES = new Uint8Array(0)

/** Reads the body of a write request of `type` from `input` into `op`. Throws ProtocolError. */
export function decodeWriteOp(type: number, input: Input, op: WriteOp): void {
  op.type = type
  op.buf = input.buf
  op.pathLength = input.length()
  op.pathOff = input.off
  if (op.pathLength > 0) input.off += op.pathLength
  switch (type) {
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
      decodeData(input, op)
      decodeAcl(input, op)
      op.flags = input.int()
      op.ttlMs = type === OpCode.createTTL ? input.long() : -1
      return
    case OpCode.setData:
      decodeData(input, op)
      op.version = input.int()
      return
    case OpCode.setACL:
      decodeAcl(input, op)
      op.version = input.int()
      return
    case OpCode.delete:
    case OpCode.check:
      op.version = input.int()
      return
    case OpCode.deleteContainer:
      return
    default:
      throw new ProtocolError(`no write operation ${type}`, input.off)
  }
}

function decodeData(input: Input, op: WriteOp): void {
  op.dataLength = input.length()
  op.dataOff = input.off
  if (op.dataLength > 0) input.off += op.dataLength
}

/** Steps over a vector<ACL>; each entry takes bytes, so a wild count ends with the buffer. */
function decodeAcl(input: Input, op: WriteOp): void {
  op.aclOff = input.off
  for (let left = input.count(); left > 0; left--) {
    input.int()
    input.skipBuffer()
    input.skipBuffer()
  }
  op.aclEnd = input.off
}

/** A multi that Java stumbles over while it decodes: unlike other refused multis it takes no zxid. */
export class NullAclError extends ProtocolError {}

/** The sub-operations of a multi, in order. Throws ProtocolError for whatever makes Java refuse the whole request. */
export function decodeMulti(input: Input): WriteOp[] {
  const ops: WriteOp[] = []
  for (;;) {
    const at = input.off
    const type = input.int()
    const done = input.bool()
    input.int() // err, -1
    if (done) return ops
    const op = new WriteOp()
    switch (type) {
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
        decodeWriteOp(type, input, op)
        // In Java's order, which decides over a zxid: no mode at all, no ACL, a mode that needs a ttl.
        if (!isCreateMode(op.flags)) throw new ProtocolError(`create mode ${op.flags} in a multi`, at)
        if (op.aclEnd - op.aclOff === 4 && readInt(op.buf, op.aclOff) === -1) throw new NullAclError('null ACL', at)
        if (isTtlMode(op.flags)) throw new ProtocolError(`create mode ${op.flags} without a ttl`, at)
        if (op.flags === CreateMode.container) op.type = OpCode.createContainer
        break
      case OpCode.createTTL:
        decodeWriteOp(type, input, op)
        if (!isTtlMode(op.flags)) {
          op.type = op.flags === CreateMode.container ? OpCode.createContainer : OpCode.create
          op.ttlMs = -1
        }
        break
      case OpCode.delete:
      case OpCode.setData:
      case OpCode.check:
        decodeWriteOp(type, input, op)
        break
      default:
        throw new ProtocolError(`operation ${type} in a multi`, at)
    }
    ops.push(op)
  }
}

/** A request to change the ensemble's membership, as decoded. Java: ReconfigRequest. */
export interface ReconfigRequest {
  /** `server.N=...` texts, comma-separated; null: none. */
  readonly joining: string | null
  /** Ids, comma-separated; null: none. */
  readonly leaving: string | null
  /** The whole new membership, comma- or line-separated; null: the two above say what changes. */
  readonly newMembers: string | null
  /** Version that the configuration must have; -1: any. */
  readonly curConfigId: number
}

/** Throws ProtocolError. */
export function decodeReconfig(input: Input): ReconfigRequest {
  const joining = input.string()
  const leaving = input.string()
  const newMembers = input.string()
  return { joining, leaving, newMembers, curConfigId: input.long() }
}

/** Can this body of a write request be decoded? `op` is the place for it. */
export function isWellFormed(type: number, input: Input, op: WriteOp): boolean {
  try {
    if (type === OpCode.multi) decodeMulti(input)
    else if (type === OpCode.reconfig) decodeReconfig(input)
    else if (type !== OpCode.closeSession) decodeWriteOp(type, input, op)
    return true
  } catch (err) {
    if (err instanceof ProtocolError) return false
    throw err
  }
}

/**
 * Does this request make an ephemeral znode, which a local session cannot own? What cannot be decoded makes none.
 * Java: QuorumZooKeeperServer.checkUpgradeSession.
 */
export function makesEphemeral(type: number, input: Input, op: WriteOp): boolean {
  if (type !== OpCode.create && type !== OpCode.create2 && type !== OpCode.multi) return false
  try {
    if (type !== OpCode.multi) {
      decodeWriteOp(type, input, op)
      return isEphemeralMode(op.flags)
    }
    return decodeMulti(input).some(
      (each) => (each.type === OpCode.create || each.type === OpCode.create2) && isEphemeralMode(each.flags),
    )
  } catch (err) {
    if (err instanceof ProtocolError) return false
    throw err
  }
}

function isCreateMode(flags: number): boolean {
  return flags >= CreateMode.persistent && flags <= CreateMode.persistentSequentialWithTTL
}

export function isTtlMode(flags: number): boolean {
  return flags === CreateMode.persistentWithTTL || flags === CreateMode.persistentSequentialWithTTL
}

export function isSequentialMode(flags: number): boolean {
  return (
    flags === CreateMode.persistentSequential ||
    flags === CreateMode.ephemeralSequential ||
    flags === CreateMode.persistentSequentialWithTTL
  )
}

export function isEphemeralMode(flags: number): boolean {
  return flags === CreateMode.ephemeral || flags === CreateMode.ephemeralSequential
}
