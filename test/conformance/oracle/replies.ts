/**
 * Bytes from a server to a comparable form: one plain object per message, in which what may differ between two correct
 * servers (session ids, clock times, absolute zxids, order of sets) is replaced by what must not.
 */
import type { Operation } from './steps.ts'
import { Reader } from './wire.ts'

/** How one server's own numbers are named; see side.ts. */
export interface Names {
  zxid(z: number): number | string
  session(id: bigint): string
  /** "ok", or why the time cannot be right. `zxid` is the transaction that must have set it. */
  time(zxid: number, ms: number): string
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

export interface Header {
  xid: number
  zxid: number
  err: number
}

export function readHeader(buf: Buffer): Header {
  const r = new Reader(buf)
  return { xid: r.int(), zxid: r.long(), err: r.int() }
}

/** Notifications share xid -1 with the reply to a request of xid -1; only a notification has exactly this shape. */
export function isEvent(buf: Buffer): boolean {
  if (buf.length < 28 || buf.readInt32BE(0) !== -1 || buf.readInt32BE(12) !== 0) return false
  const type = buf.readInt32BE(16)
  return type >= 1 && type <= 4 && buf.readInt32BE(20) === 3 && buf.readInt32BE(24) === buf.length - 28
}

export function decodeEvent(buf: Buffer, names: Names): Json {
  const r = new Reader(buf)
  r.int()
  const zxid = r.long()
  r.int()
  const type = r.int()
  r.int()
  return { event: EVENTS[type]!, path: r.text(), zxid: names.zxid(zxid) }
}

export function decodeConnect(buf: Buffer, names: Names): Json {
  const r = new Reader(buf)
  try {
    const protocol = r.int()
    const timeoutMs = r.int()
    const id = r.big()
    const password = r.bytes()
    const out: { [key: string]: Json } = { connected: names.session(id), protocol, timeoutMs }
    out['password'] =
      password === null
        ? null
        : password.equals(passwordOf(id))
          ? 'right'
          : password.every((b) => b === 0)
            ? 'zeros'
            : 'wrong'
    out['rest'] = r.rest()
    return out
  } catch (e) {
    return { connected: 'malformed', bytes: buf.toString('hex'), why: String(e) }
  }
}

/** Session passwords follow from the id: 16 bytes of java.util.Random seeded with id XOR 0xB3415C00. */
export function passwordOf(id: bigint): Buffer {
  const mask = (1n << 48n) - 1n
  let state = (BigInt.asUintN(64, id) ^ 0xb3415c00n ^ 0x5deece66dn) & mask
  const out = Buffer.alloc(16)
  for (let i = 0; i < 4; i++) {
    state = (state * 0x5deece66dn + 0xbn) & mask
    out.writeUInt32LE(Number((state >> 16n) & 0xffff_ffffn), 4 * i)
  }
  return out
}

/** `tally` learns of every code, of sub-results too. */
export function decodeReply(
  buf: Buffer,
  request: Operation,
  names: Names,
  tally?: (op: string, err: number) => void,
): Json {
  const r = new Reader(buf)
  // The reference answers createSession with a second ConnectResponse, which has no code.
  if (request.op === CREATE_SESSION && buf.length > 16) {
    tally?.(String(CREATE_SESSION), 0)
    return decodeConnect(buf, names)
  }
  if (buf.length < 16) return { reply: 'short', bytes: buf.toString('hex') }
  const xid = r.int()
  const zxid = r.long()
  const err = r.int()
  tally?.(String(request.op), err)
  const out: { [key: string]: Json } = { xid, zxid: names.zxid(zxid), err }
  if (r.at === buf.length) return out
  try {
    out['body'] = decodeBody(r, request, names, tally)
  } catch (e) {
    out['malformed'] = String(e)
  }
  const rest = r.rest()
  if (rest !== '') out['rest'] = rest
  return out
}

function readStat(r: Reader, names: Names): Json {
  const cz = r.long()
  const mz = r.long()
  const created = names.time(cz, r.long())
  const modified = names.time(mz, r.long())
  const stat: { [key: string]: Json } = {
    czxid: names.zxid(cz),
    mzxid: names.zxid(mz),
    v: r.int(),
    cv: r.int(),
    av: r.int(),
    owner: names.session(r.big()),
    length: r.int(),
    children: r.int(),
    pzxid: names.zxid(r.long()),
  }
  if (created !== 'ok') stat['ctime'] = created
  if (modified !== 'ok') stat['mtime'] = modified
  return stat
}

function readAcls(r: Reader): Json {
  const n = r.int()
  if (n === -1) return null
  const out: Json[] = []
  for (let i = 0; i < n; i++) out.push(`${r.int()} ${String(r.text())}:${String(r.text())}`)
  return out
}

function sorted(list: (string | null)[] | null): Json {
  return list === null ? null : [...list].sort()
}

function decodeBody(r: Reader, request: Operation, names: Names, tally?: (op: string, err: number) => void): Json {
  switch (request.op) {
    case 1:
    case 9:
      return { path: r.text() }
    case 15:
    case 19:
    case 21:
      return { path: r.text(), stat: readStat(r, names) }
    case 3:
    case 5:
    case 7:
      return { stat: readStat(r, names) }
    case 4:
    case 16:
      return { data: r.text(), stat: readStat(r, names) }
    case 6:
      return { acl: readAcls(r), stat: readStat(r, names) }
    case 8:
      return { children: sorted(r.texts()) }
    case 12:
      return { children: sorted(r.texts()), stat: readStat(r, names) }
    case 103:
      return { ephemerals: sorted(r.texts()) }
    case 104:
      return { total: r.int() }
    case 106:
      return { err: r.int() }
    case 102:
      return { token: r.text() }
    case 107: {
      const n = r.int()
      const infos: string[] = []
      for (let i = 0; i < n; i++) infos.push(`${String(r.text())}:${String(r.text())}`)
      return { clients: infos.sort() }
    }
    case 14:
    case 22: {
      const results: Json[] = []
      for (;;) {
        const type = r.int()
        const done = r.byte()
        const err = r.int()
        if (done !== 0) {
          results.push(`end ${type} ${err}`)
          return results
        }
        const head: { [key: string]: Json } = { type, err }
        results.push(head)
        const sub = request.subs?.[results.length - 1]
        if (type === -1) {
          head['code'] = r.int()
          if (sub) tally?.(`${request.op}/${sub.op}`, Number(head['code']))
          continue
        }
        if (sub) tally?.(`${request.op}/${sub.op}`, 0)
        if (type !== 2 && type !== 13) head['body'] = decodeBody(r, { op: type }, names)
      }
    }
    default:
      return { bytes: r.rest() }
  }
}

export const CREATE_SESSION = -10
const EVENTS = ['?', 'created', 'deleted', 'data', 'children']
