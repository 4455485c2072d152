/**
 * Write requests as offsets into the bytes they arrived in: decoded once, no strings, no copies.
 *
 * Pure. Java: the request records of zookeeper.jute and MultiOperationRecord.deserialize, whose refusals (which kinds
 * may stand in a multi, what a create mode turns into there) are kept.
 */

import { CreateMode, OpCode } from '../jute/codes.ts'
import type { Input } from '../jute/input.ts'
import { ProtocolError, readInt } from '../jute/input.ts'

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
        if (op.aclEnd - op.aclOff === 4 && readInt(op.buf, op.aclOff) === -1) throw new NullAclError('null ACL', at)
        if (op.flags < CreateMode.persistent || op.flags > CreateMode.container) {
          throw new ProtocolError(`create mode ${op.flags} in a multi`, at)
        }
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
