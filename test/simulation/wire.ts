/** A client's side of the protocol: requests to frames, frames to replies. */

import { CreateMode, OpCode } from '../../src/jute/codes.ts'
import { Input } from '../../src/jute/input.ts'
import { Output } from '../../src/jute/output.ts'
import * as records from '../../src/jute/records.ts'

const OPEN_ACL: records.ACL[] = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]

/** One change, alone or in a multi. */
export type Write =
  /** `ttlMs` where the flags ask for one. */
  | { op: 'create'; path: string; data: Uint8Array | null; flags: number; ttlMs?: number }
  | { op: 'delete'; path: string; version: number }
  | { op: 'setData'; path: string; data: Uint8Array | null; version: number }
  | { op: 'check'; path: string; version: number }

export type Operation =
  | Write
  | { op: 'multi'; writes: Write[] }
  | { op: 'getData'; path: string; watch: boolean }
  | { op: 'exists'; path: string; watch: boolean }
  | { op: 'getChildren'; path: string; watch: boolean }
  | { op: 'sync'; path: string }
  | { op: 'addWatch'; path: string; recursive: boolean }
  | {
      op: 'setWatches'
      relativeZxid: number
      data: string[]
      exist: string[]
      child: string[]
      persistent: string[]
      recursive: string[]
    }
  | { op: 'reconfig'; joining: string | null; leaving: string | null }
  | { op: 'ping' }
  | { op: 'closeSession' }

export const OP_CODES: Readonly<Record<Operation['op'], number>> = {
  create: OpCode.create2,
  delete: OpCode.delete,
  setData: OpCode.setData,
  check: OpCode.check,
  multi: OpCode.multi,
  getData: OpCode.getData,
  exists: OpCode.exists,
  getChildren: OpCode.getChildren2,
  sync: OpCode.sync,
  addWatch: OpCode.addWatch,
  setWatches: OpCode.setWatches2,
  reconfig: OpCode.reconfig,
  ping: OpCode.ping,
  closeSession: OpCode.closeSession,
}

/** Operations that become a transaction. */
export function isWrite(op: Operation['op']): boolean {
  return op === 'create' || op === 'delete' || op === 'setData' || op === 'multi' || op === 'reconfig'
}

export interface Reply {
  xid: number
  zxid: number
  err: number
  body: Input
  /** Where the body begins: the cursor is wherever the last reader left it. */
  bodyOff: number
}

/** A frame, length and all. */
export function encodeRequest(xid: number, operation: Operation): Uint8Array {
  const out = new Output(128)
  out.int(0)
  out.int(xid)
  out.int(operation.op === 'create' ? createType(operation.flags, OpCode.create2) : OP_CODES[operation.op])
  writeBody(out, operation)
  return closed(out)
}

export function encodeConnect(request: records.ConnectRequest): Uint8Array {
  const out = new Output(64)
  out.int(0)
  records.writeConnectRequest(out, request)
  return closed(out)
}

function closed(out: Output): Uint8Array {
  out.view.setInt32(0, out.pos - 4)
  return out.copy()
}

function writeBody(out: Output, operation: Operation): void {
  switch (operation.op) {
    case 'create':
    case 'delete':
    case 'setData':
    case 'check':
      writeWrite(out, operation)
      return
    case 'multi':
      for (const write of operation.writes) {
        records.writeMultiHeader(out, { type: multiType(write), done: false, err: -1 })
        writeWrite(out, write)
      }
      records.writeMultiHeader(out, { type: -1, done: true, err: -1 })
      return
    case 'getData':
    case 'exists':
    case 'getChildren':
      records.writeGetDataRequest(out, operation)
      return
    case 'sync':
      records.writeSyncRequest(out, operation)
      return
    case 'addWatch':
      records.writeAddWatchRequest(out, { path: operation.path, mode: operation.recursive ? 1 : 0 })
      return
    case 'setWatches':
      records.writeSetWatches2(out, {
        relativeZxid: operation.relativeZxid,
        dataWatches: operation.data,
        existWatches: operation.exist,
        childWatches: operation.child,
        persistentWatches: operation.persistent,
        persistentRecursiveWatches: operation.recursive,
      })
      return
    case 'reconfig':
      records.writeReconfigRequest(out, {
        joiningServers: operation.joining,
        leavingServers: operation.leaving,
        newMembers: null,
        curConfigId: -1,
      })
      return
    case 'ping':
    case 'closeSession':
      return
  }
}

function multiType(write: Write): number {
  return write.op === 'create' ? createType(write.flags, OpCode.create) : OP_CODES[write.op]
}

function createType(flags: number, plain: number): number {
  if (flags === CreateMode.container) return OpCode.createContainer
  return flags === CreateMode.persistentWithTTL ? OpCode.createTTL : plain
}

function writeWrite(out: Output, write: Write): void {
  switch (write.op) {
    case 'create': {
      const { path, data, flags, ttlMs } = write
      if (ttlMs === undefined) records.writeCreateRequest(out, { path, data, acl: OPEN_ACL, flags })
      else records.writeCreateTTLRequest(out, { path, data, acl: OPEN_ACL, flags, ttl: ttlMs })
      return
    }
    case 'delete':
    case 'check':
      records.writeDeleteRequest(out, write)
      return
    case 'setData':
      records.writeSetDataRequest(out, write)
      return
  }
}

export function decodeReply(buf: Uint8Array, off: number, end: number): Reply {
  const input = new Input(buf, off, end)
  const { xid, zxid, err } = records.readReplyHeader(input)
  return { xid, zxid, err, body: input, bodyOff: input.off }
}
