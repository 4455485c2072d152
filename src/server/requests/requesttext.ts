/** What a request is about, for a line of the log: its operation and its path, as far as its bytes are here. Pure. */

import { OpCode } from '../../jute/codes.ts'
import { id64Hex } from '../../jute/id64.ts'
import { readInt } from '../../jute/input.ts'
import { decodeText } from '../../jute/text.ts'
import type { Connection } from './connection.ts'
import { opName } from './ops.ts'

export interface RequestText {
  readonly operation: string
  /** Of a multi, that of its first operation. Not there where there is none, or not enough of it. */
  readonly path?: string
}

/** The header {xid, type}, and a sub-operation's {type, done, err}. */
const HEADER_BYTES = 8
const MULTI_HEADER_BYTES = 9
/** Longer paths are cut. */
const PATH_BYTES_MAX = 256

/** Of a frame whose beginning is [off, end); null where even the header is cut. */
export function requestText(buf: Uint8Array, off: number, end: number): RequestText | null {
  if (end - off < HEADER_BYTES) return null
  return bodyText(readInt(buf, off + 4), buf, off + HEADER_BYTES, end)
}

/** Of a body that is, or begins, at [off, end). */
export function bodyText(type: number, buf: Uint8Array, off: number, end: number): RequestText {
  const operation = opName(type)
  if (type === OpCode.setWatches || type === OpCode.setWatches2) return { operation }
  const several = type === OpCode.multi || type === OpCode.multiRead
  const at = several ? off + MULTI_HEADER_BYTES : off
  if (end - at < 4) return { operation }
  const length = readInt(buf, at)
  if (length <= 0 || buf[at + 4] !== 0x2f) return { operation }
  const pathEnd = Math.min(at + 4 + Math.min(length, PATH_BYTES_MAX), end)
  const path = decodeText(buf, at + 4, pathEnd)
  return { operation, path: pathEnd < at + 4 + length ? `${path}...` : path }
}

/**
 * What to say of a reply that is longer than clients take: they drop the connection over it, connect again and ask
 * again, and only here is it seen why (S7).
 */
export function longReply(
  conn: Connection,
  bytes: number,
  juteMaxBufferBytes: number,
  text: RequestText,
): [message: string, fields: Record<string, unknown>] {
  const { session, remoteHost: client } = conn
  return [
    'a reply is longer than jute.maxbuffer: a client that allows no more cannot read it',
    {
      client,
      ...(session === null ? {} : { session: id64Hex(session.hi, session.lo) }),
      ...text,
      bytes,
      juteMaxBufferBytes,
    },
  ]
}
