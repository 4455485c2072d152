/** The requests of a benchmark, written straight into a connection's output. */

import { OpCode } from '../../jute/codes.ts'
import type { Output } from '../../jute/output.ts'
import { textToBytes } from '../../jute/text.ts'
import type { LoadConnection } from './connection.ts'

const WORLD = textToBytes('world')
const ANYONE = textToBytes('anyone')
const PERM_ALL = 31

function request(conn: LoadConnection, xid: number, type: number, body: (out: Output) => void): void {
  const at = conn.begin()
  const out = conn.output
  out.int(xid)
  out.int(type)
  body(out)
  conn.finish(at)
}

/** get, exists, getChildren2: a path and a watch. */
export function sendRead(conn: LoadConnection, xid: number, type: number, path: Uint8Array, watch = false): void {
  request(conn, xid, type, (out) => {
    out.buffer(path)
    out.bool(watch)
  })
}

export function sendSet(conn: LoadConnection, xid: number, path: Uint8Array, data: Uint8Array): void {
  request(conn, xid, OpCode.setData, (out) => writeSet(out, path, data))
}

function writeSet(out: Output, path: Uint8Array, data: Uint8Array): void {
  out.buffer(path)
  out.buffer(data)
  out.int(-1)
}

export function sendCreate(conn: LoadConnection, xid: number, path: Uint8Array, data: Uint8Array): void {
  request(conn, xid, OpCode.create, (out) => {
    out.buffer(path)
    out.buffer(data)
    out.int(1)
    out.int(PERM_ALL)
    out.buffer(WORLD)
    out.buffer(ANYONE)
    out.int(0)
  })
}

export function sendDelete(conn: LoadConnection, xid: number, path: Uint8Array): void {
  request(conn, xid, OpCode.delete, (out) => {
    out.buffer(path)
    out.int(-1)
  })
}

export function sendMultiSet(conn: LoadConnection, xid: number, paths: readonly Uint8Array[], data: Uint8Array): void {
  request(conn, xid, OpCode.multi, (out) => {
    for (const path of paths) {
      out.int(OpCode.setData)
      out.bool(false)
      out.int(-1)
      writeSet(out, path, data)
    }
    out.int(-1)
    out.bool(true)
    out.int(-1)
  })
}

export function sendClose(conn: LoadConnection, xid: number): void {
  request(conn, xid, OpCode.closeSession, () => {})
}
