/**
 * Frames to clients, written in place: length, ReplyHeader, body. Pure.
 */

import { Xid } from '../../jute/codes.ts'
import type { Output } from '../../jute/output.ts'
import { writeLong, type Zxid } from '../../jute/zxid.ts'

/** Length prefix and ReplyHeader {xid, zxid, err}. */
export const REPLY_START_BYTES = 20

/** Starts a reply; returns where it starts, for `endReply`. The body goes right behind. */
export function beginReply(out: Output, xid: number, zxid: Zxid, err: number): number {
  out.reserve(REPLY_START_BYTES)
  const start = out.pos
  const { view } = out
  view.setInt32(start + 4, xid)
  writeLong(view, start + 8, zxid)
  view.setInt32(start + 16, err)
  out.pos = start + REPLY_START_BYTES
  return start
}

/** Ends the reply at `start`; with an error code its body is dropped. Returns the frame's bytes. */
export function endReply(out: Output, start: number, err = 0): number {
  if (err !== 0) {
    out.pos = start + REPLY_START_BYTES
    out.view.setInt32(start + 16, err)
  }
  return closeFrame(out, start)
}

/** Sets the length prefix of the frame at `start`; what was written since is its content. */
export function closeFrame(out: Output, start: number): number {
  out.view.setInt32(start, out.pos - start - 4)
  return out.pos - start
}

/** A watch notification. Its zxid is the triggering transaction's, or -1 where setWatches made it up. */
export function writeEvent(
  out: Output,
  type: number,
  state: number,
  zxid: Zxid,
  path: Uint8Array,
  off: number,
  end: number,
): number {
  const start = beginReply(out, Xid.notification, zxid, 0)
  out.int(type)
  out.int(state)
  out.bufferOf(path, off, end)
  return closeFrame(out, start)
}
