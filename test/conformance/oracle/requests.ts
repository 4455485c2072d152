/** Requests to bytes: the header and each operation's record, in the order of zookeeper.jute. */
import type { AclList, Operation, Request, Text, ZxidRef } from './steps.ts'
import { frame, Writer } from './wire.ts'

/** What differs between the two servers when the same request is written for each. */
export interface Target {
  prefix: string
  zxid(ref: ZxidRef): number | bigint
}

export function encodeRequest(r: Request, xid: number, to: Target): Buffer {
  const w = new Writer(to.prefix).int(xid).int(r.op)
  const head = w.end().length
  writeBody(w, r, to)
  let body = w.end()
  if (r.cut !== undefined) body = body.subarray(0, Math.max(head, body.length - r.cut))
  if (r.tail !== undefined) body = Buffer.concat([body, Buffer.from(r.tail, 'hex')])
  return frame(body)
}

export interface ConnectFields {
  protocol: number
  zxid: number | bigint
  timeoutMs: number
  sessionId: bigint
  password: Buffer | null
  readOnly: 'absent' | 'yes' | 'no'
}

export function encodeConnect(f: ConnectFields): Buffer {
  const w = new Writer('').int(f.protocol).long(f.zxid).int(f.timeoutMs).long(f.sessionId).bytes(f.password)
  if (f.readOnly !== 'absent') w.byte(f.readOnly === 'yes' ? 1 : 0)
  return frame(w.end())
}

function writeAcl(w: Writer, acl: AclList): void {
  if (acl === null) {
    w.int(-1)
    return
  }
  if (!Array.isArray(acl)) {
    w.int(acl.count)
    return
  }
  w.int(acl.length)
  for (const a of acl) w.int(a.perms).text(a.scheme).text(a.id)
}

function writeTexts(w: Writer, list: Text[] | null): void {
  if (list === null) {
    w.int(-1)
    return
  }
  w.int(list.length)
  for (const t of list) w.text(t)
}

function writeBody(w: Writer, r: Operation, to: Target): void {
  const path = r.path === undefined ? '$' : r.path
  switch (r.op) {
    case 1:
    case 15:
    case 19:
    case 21:
      w.text(path).text(r.data === undefined ? '' : r.data)
      writeAcl(w, r.acl === undefined ? OPEN : r.acl)
      w.int(r.flags ?? 0)
      if (r.op === 21) w.long(r.ttl ?? 0)
      return
    case 2:
    case 13:
      w.text(path).int(r.version ?? -1)
      return
    case 5:
      w.text(path)
        .text(r.data === undefined ? '' : r.data)
        .int(r.version ?? -1)
      return
    case 7:
      w.text(path)
      writeAcl(w, r.acl === undefined ? OPEN : r.acl)
      w.int(r.version ?? -1)
      return
    case 3:
    case 4:
    case 8:
    case 12:
      w.text(path).byte(r.watch ?? 0)
      return
    case 6:
    case 9:
    case 20:
    case 103:
    case 104:
      w.text(path)
      return
    case 14:
    case 22:
      for (const sub of r.subs ?? []) {
        w.int(sub.op).byte(0).int(-1)
        writeBody(w, sub, to)
      }
      if (!r.open) w.int(-1).byte(1).int(-1)
      return
    case 16:
      w.text(r.joining ?? null)
        .text(r.leaving ?? null)
        .text(r.members ?? null)
        .long(r.version ?? -1)
      return
    case 17:
    case 18:
      w.text(path).int(r.type ?? 3)
      return
    case 100:
      w.int(r.type ?? 0)
        .text(r.scheme === undefined ? 'digest' : r.scheme)
        .text(r.token ?? null)
      return
    case 101:
    case 105: {
      w.long(to.zxid(r.zxid ?? 'zero'))
      const lists = r.lists ?? []
      for (let i = 0; i < (r.op === 101 ? 3 : 5); i++) writeTexts(w, lists[i] === undefined ? [] : lists[i]!)
      return
    }
    case 102:
      w.text(r.token ?? null)
      return
    case 106:
      w.text(path).int(r.mode ?? 0)
      return
    default:
      return
  }
}

export const OPEN: AclList = [{ perms: 31, scheme: 'world', id: 'anyone' }]
