/**
 * The packets between leader and learner, as Java's QuorumPacket and what Leader, Learner and LearnerHandler put in it.
 *
 *   type int | zxid long | data: int length, bytes | authinfo: int count, { scheme string, id string } each
 *
 * Big-endian, one behind the other on the link, no length in front: where a packet ends is known when it has been read.
 * Length or count -1 is null. authinfo is null on all but REQUEST. What each type carries:
 *
 *   REQUEST            session long, cxid int, op int, the client's request as it came
 *   PROPOSAL, INFORM   the bytes of the log entry
 *   PING               down: null; up: { session long, timeoutMs int } for each session heard of, perhaps none
 *   REVALIDATE         up: session long, timeoutMs int; down: session long, valid byte
 *   COMMITANDACTIVATE  sid of the next leader, long
 *   INFORMANDACTIVATE  the same, and the bytes of the log entry behind it
 *   NEWLEADER          the configuration's text
 *   FOLLOWERINFO, OBSERVERINFO   sid long, protocol version int, configuration's version long
 *   LEADERINFO         protocol version int
 *   ACKEPOCH           currentEpoch int, -1 if it has nothing to say about this epoch any more
 *
 * Whatever is read here came from another server: a shape that Java would not have written is a ProtocolError, which
 * costs its sender the link.
 */

import { ProtocolError, readInt } from '../jute/input.ts'
import type { Output } from '../jute/output.ts'
import { decodeStoredText } from '../jute/text.ts'
import type { Zxid } from '../jute/zxid.ts'
import type { AuthInfo, ForwardedRequest, Sid } from './types.ts'

export const Packet = {
  request: 1,
  proposal: 2,
  ack: 3,
  commit: 4,
  ping: 5,
  revalidate: 6,
  sync: 7,
  inform: 8,
  commitAndActivate: 9,
  newLeader: 10,
  followerInfo: 11,
  upToDate: 12,
  diff: 13,
  trunc: 14,
  snap: 15,
  observerInfo: 16,
  leaderInfo: 17,
  ackEpoch: 18,
  informAndActivate: 19,
} as const

/** The protocol since ZooKeeper 3.4, and the only one spoken here. */
export const PROTOCOL_VERSION = 0x10000

export interface QuorumPacket {
  type: number
  zxid: Zxid
  /** Borrowed from the bytes it was read from. */
  data: Uint8Array | null
  authinfo: readonly AuthInfo[] | null
}

export function makePacket(): QuorumPacket {
  return { type: 0, zxid: 0, data: null, authinfo: null }
}

export function writePacket(
  out: Output,
  type: number,
  zxid: Zxid,
  data: Uint8Array | null,
  authinfo: readonly AuthInfo[] | null = null,
): void {
  out.int(type)
  out.long(zxid)
  out.buffer(data)
  writeAuthInfo(out, authinfo)
}

/**
 * Decodes one packet at `off` into `into`, which may be used again and again. Returns where it ends, or -1 if it is not
 * all there yet; `into` means nothing then. Throws ProtocolError for data, or an authinfo in all, beyond `lengthMax`
 * bytes: as soon as the length is there, so no more than this is ever kept waiting.
 */
export function readPacket(buf: Uint8Array, off: number, end: number, into: QuorumPacket, lengthMax: number): number {
  if (end - off < DATA_OFFSET) return -1
  const length = readInt(buf, off + LENGTH_OFFSET)
  if (length < -1 || length > lengthMax) throw new ProtocolError(`packet of ${length} bytes`, off + LENGTH_OFFSET)
  const dataOff = off + DATA_OFFSET
  const authOff = dataOff + Math.max(length, 0)
  if (end - authOff < 4) return -1
  const packetEnd = readAuthInfo(buf, authOff, end, into, lengthMax)
  if (packetEnd === -1) return -1
  into.type = readInt(buf, off)
  into.zxid = readLongAt(buf, off + 4)
  into.data = length === -1 ? null : buf.subarray(dataOff, authOff)
  return packetEnd
}

/** Bytes of type and zxid. */
const LENGTH_OFFSET = 12
const DATA_OFFSET = LENGTH_OFFSET + 4
/** Bytes of an AuthInfo that says nothing: two lengths. */
const AUTH_BYTES_MIN = 8

function writeAuthInfo(out: Output, authinfo: readonly AuthInfo[] | null): void {
  if (authinfo === null) {
    out.int(-1)
    return
  }
  out.int(authinfo.length)
  for (const { scheme, id } of authinfo) {
    out.string(scheme)
    out.string(id)
  }
}

/** Where the authinfo at `off` ends, or -1 if it is not all there. Its count is there. */
function readAuthInfo(buf: Uint8Array, off: number, end: number, into: QuorumPacket, lengthMax: number): number {
  const count = readInt(buf, off)
  if (count === -1) {
    into.authinfo = null
    return off + 4
  }
  if (count > lengthMax / AUTH_BYTES_MIN) throw new ProtocolError(`authinfo of ${count} items`, off)
  const authinfo: AuthInfo[] = []
  let at = off + 4
  for (let i = 0; i < count; i++) {
    const idOff = stringEnd(buf, at, end, off, lengthMax)
    if (idOff === -1) return -1
    const next = stringEnd(buf, idOff, end, off, lengthMax)
    if (next === -1) return -1
    authinfo.push({ scheme: stringAt(buf, at, idOff), id: stringAt(buf, idOff, next) })
    at = next
  }
  into.authinfo = authinfo
  return at
}

/** Where the string at `at` ends, in an authinfo that began at `authOff`; -1 if it is not all there. */
function stringEnd(buf: Uint8Array, at: number, end: number, authOff: number, lengthMax: number): number {
  if (end - at < 4) return -1
  const length = readInt(buf, at)
  const stringEnd = at + 4 + Math.max(length, 0)
  if (length < -1 || stringEnd - authOff > lengthMax) throw new ProtocolError(`authinfo text of ${length} bytes`, at)
  return stringEnd > end ? -1 : stringEnd
}

function stringAt(buf: Uint8Array, at: number, end: number): string | null {
  return readInt(buf, at) === -1 ? null : decodeStoredText(buf, at + 4, end)
}

/** The data of FOLLOWERINFO and OBSERVERINFO. */
export function writeLearnerInfo(sid: Sid, configVersion: Zxid): Uint8Array {
  const data = new Uint8Array(20)
  writeLongAt(data, 0, sid)
  writeIntAt(data, 8, PROTOCOL_VERSION)
  writeLongAt(data, 12, configVersion)
  return data
}

export interface LearnerInfo {
  /** Null of a learner that does not say who it is. */
  sid: Sid | null
  /** Below PROTOCOL_VERSION: a learner older than 3.4. */
  protocolVersion: number
  configVersion: Zxid
}

/** Shorter forms are of older learners; what they do not say is the least of its kind. */
export function readLearnerInfo(data: Uint8Array | null): LearnerInfo {
  const length = data === null ? 0 : data.length
  return {
    sid: length >= 8 ? readLongAt(data!, 0) : null,
    protocolVersion: length >= 12 ? readInt(data!, 8) : 1,
    configVersion: length >= 20 ? readLongAt(data!, 12) : 0,
  }
}

/** The data of LEADERINFO. */
export function writeLeaderInfo(): Uint8Array {
  return intBytes(PROTOCOL_VERSION)
}

/** The leader's protocol version. */
export function readLeaderInfo(data: Uint8Array | null): number {
  return readInt(atLeast(data, 4, 'LEADERINFO'), 0)
}

/** The data of ACKEPOCH; -1 for a learner that had accepted this epoch before. */
export function writeAckEpoch(currentEpoch: number): Uint8Array {
  return intBytes(currentEpoch)
}

export function readAckEpoch(data: Uint8Array | null): number {
  return readInt(atLeast(data, 4, 'ACKEPOCH'), 0)
}

const REQUEST_BYTES_MIN = 16

/** A whole REQUEST packet. */
export function writeForwarded(out: Output, request: ForwardedRequest): void {
  out.reserve(DATA_OFFSET + REQUEST_BYTES_MIN + request.body.length)
  out.int(Packet.request)
  out.long(-1)
  out.int(REQUEST_BYTES_MIN + request.body.length)
  out.words(request.sessionHi, request.sessionLo)
  out.int(request.cxid)
  out.int(request.type)
  out.raw(request.body)
  writeAuthInfo(out, request.authinfo)
}

/** Of the data and authinfo of a REQUEST; the body stays borrowed. */
export function readForwarded(data: Uint8Array | null, authinfo: readonly AuthInfo[] | null): ForwardedRequest {
  const bytes = atLeast(data, REQUEST_BYTES_MIN, 'REQUEST')
  return {
    sessionHi: readInt(bytes, 0),
    sessionLo: readInt(bytes, 4),
    cxid: readInt(bytes, 8),
    type: readInt(bytes, 12),
    body: bytes.subarray(REQUEST_BYTES_MIN),
    authinfo,
  }
}

const TOUCHED_BYTES = 12

/** One more session for the data of a PING on its way up. */
export function writeTouched(out: Output, sessionHi: number, sessionLo: number, timeoutMs: number): void {
  out.words(sessionHi, sessionLo)
  out.int(timeoutMs)
}

/** The sessions in the data of a PING from a learner. */
export function readTouched(
  data: Uint8Array | null,
  visit: (sessionHi: number, sessionLo: number, timeoutMs: number) => void,
): void {
  if (data === null) return
  if (data.length % TOUCHED_BYTES !== 0) throw new ProtocolError(`PING of ${data.length} bytes`, 0)
  for (let at = 0; at < data.length; at += TOUCHED_BYTES) {
    visit(readInt(data, at), readInt(data, at + 4), readInt(data, at + 8))
  }
}

/** The data of a learner's REVALIDATE. */
export function writeRevalidate(sessionHi: number, sessionLo: number, timeoutMs: number): Uint8Array {
  const data = new Uint8Array(12)
  writeIntAt(data, 0, sessionHi)
  writeIntAt(data, 4, sessionLo)
  writeIntAt(data, 8, timeoutMs)
  return data
}

export function readRevalidate(data: Uint8Array | null): { sessionHi: number; sessionLo: number; timeoutMs: number } {
  const bytes = atLeast(data, 12, 'REVALIDATE')
  return { sessionHi: readInt(bytes, 0), sessionLo: readInt(bytes, 4), timeoutMs: readInt(bytes, 8) }
}

/** The data of the leader's answer to REVALIDATE. */
export function writeRevalidated(sessionHi: number, sessionLo: number, valid: boolean): Uint8Array {
  const data = new Uint8Array(9)
  writeIntAt(data, 0, sessionHi)
  writeIntAt(data, 4, sessionLo)
  data[8] = valid ? 1 : 0
  return data
}

export function readRevalidated(data: Uint8Array | null): { sessionHi: number; sessionLo: number; valid: boolean } {
  const bytes = atLeast(data, 9, 'REVALIDATE')
  return { sessionHi: readInt(bytes, 0), sessionLo: readInt(bytes, 4), valid: bytes[8] !== 0 }
}

/** The data of COMMITANDACTIVATE. */
export function writeActivate(leader: Sid): Uint8Array {
  const data = new Uint8Array(8)
  writeLongAt(data, 0, leader)
  return data
}

/** Who leads next, of COMMITANDACTIVATE and INFORMANDACTIVATE alike. */
export function readActivate(data: Uint8Array | null): Sid {
  return readLongAt(atLeast(data, 8, 'activation'), 0)
}

/** The data of INFORMANDACTIVATE. */
export function writeInformActivate(leader: Sid, proposal: Uint8Array): Uint8Array {
  const data = new Uint8Array(8 + proposal.length)
  writeLongAt(data, 0, leader)
  data.set(proposal, 8)
  return data
}

/** The log entry of INFORMANDACTIVATE, borrowed. */
export function readInformProposal(data: Uint8Array | null): Uint8Array {
  return atLeast(data, 8, 'INFORMANDACTIVATE').subarray(8)
}

function atLeast(data: Uint8Array | null, bytes: number, what: string): Uint8Array {
  if (data === null || data.length < bytes) throw new ProtocolError(`${what} of ${data?.length ?? 'no'} bytes`, 0)
  return data
}

function intBytes(value: number): Uint8Array {
  const data = new Uint8Array(4)
  writeIntAt(data, 0, value)
  return data
}

const WORD = 0x1_0000_0000

/** As jute's readLong, from plain bytes: exact within +-2^53, and for -2^63. */
export function readLongAt(buf: Uint8Array, off: number): number {
  return readInt(buf, off) * WORD + (readInt(buf, off + 4) >>> 0)
}

/** As jute's writeLong, into plain bytes. */
export function writeLongAt(buf: Uint8Array, off: number, value: number): void {
  writeIntAt(buf, off, Math.floor(value / WORD))
  writeIntAt(buf, off + 4, value % WORD)
}

function writeIntAt(buf: Uint8Array, off: number, value: number): void {
  buf[off] = value >> 24
  buf[off + 1] = value >> 16
  buf[off + 2] = value >> 8
  buf[off + 3] = value
}
