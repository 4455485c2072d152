/** Transactions as bytes, put together field by field. */

export type Acl = readonly { perms: number; scheme: string; id: string }[]

export const OPEN: Acl = [{ perms: 31, scheme: 'world', id: 'anyone' }]
export const READ_ONLY: Acl = [{ perms: 1, scheme: 'world', id: 'anyone' }]
export const CREATOR: Acl = [
  { perms: 31, scheme: 'digest', id: 'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=' },
  { perms: 1, scheme: 'ip', id: '10.0.0.0/8' },
]

export interface Header {
  client: bigint
  zxid: number
  timeMs: number
  cxid?: number
}

export function cat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

export function i8(value: number): Uint8Array {
  return Uint8Array.of(value)
}

export function i32(value: number): Uint8Array {
  const buf = Buffer.alloc(4)
  buf.writeInt32BE(value)
  return buf
}

export function i64(value: bigint | number): Uint8Array {
  const buf = Buffer.alloc(8)
  buf.writeBigInt64BE(BigInt.asIntN(64, BigInt(value)))
  return buf
}

export function str(value: string | Uint8Array | null): Uint8Array {
  if (value === null) return i32(-1)
  const buf = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  return cat(i32(buf.length), buf)
}

export function acl(list: Acl): Uint8Array {
  return cat(i32(list.length), ...list.map(({ perms, scheme, id }) => cat(i32(perms), str(scheme), str(id))))
}

export function header(h: Header, type: number): Uint8Array {
  return cat(i64(h.client), i32(h.cxid ?? 1), i64(h.zxid), i64(h.timeMs), i32(type))
}

export function digest(value: bigint, version = 2): Uint8Array {
  return cat(i32(version), i64(value))
}

/** A body with its type, for a transaction of its own or for a multi. */
export interface Body {
  type: number
  bytes: Uint8Array
}

export function create(
  path: string,
  data: Uint8Array | string | null,
  list: Acl,
  ephemeral: boolean,
  parentCversion: number,
  type = 1,
): Body {
  return { type, bytes: cat(str(path), str(data), acl(list), i8(ephemeral ? 1 : 0), i32(parentCversion)) }
}

/** As servers of 3.3 wrote it. */
export function createV0(path: string, data: string | null, list: Acl, ephemeral: boolean): Body {
  return { type: 1, bytes: cat(str(path), str(data), acl(list), i8(ephemeral ? 1 : 0)) }
}

export function createContainer(
  path: string,
  data: Uint8Array | string | null,
  list: Acl,
  parentCversion: number,
): Body {
  return { type: 19, bytes: cat(str(path), str(data), acl(list), i32(parentCversion)) }
}

export function createTtl(
  path: string,
  data: Uint8Array | string | null,
  list: Acl,
  parentCversion: number,
  ttlMs: number | bigint,
): Body {
  return { type: 21, bytes: cat(str(path), str(data), acl(list), i32(parentCversion), i64(ttlMs)) }
}

export function remove(path: string, type = 2): Body {
  return { type, bytes: str(path) }
}

export function setData(path: string, data: Uint8Array | string | null, version: number, type = 5): Body {
  return { type, bytes: cat(str(path), str(data), i32(version)) }
}

export function setAcl(path: string, list: Acl, aversion: number): Body {
  return { type: 7, bytes: cat(str(path), acl(list), i32(aversion)) }
}

export function check(path: string, version: number): Body {
  return { type: 13, bytes: cat(str(path), i32(version)) }
}

export function error(code: number): Body {
  return { type: -1, bytes: i32(code) }
}

export function multi(subs: readonly Body[]): Body {
  return { type: 14, bytes: cat(i32(subs.length), ...subs.map((sub) => cat(i32(sub.type), str(sub.bytes)))) }
}

export function createSession(timeoutMs: number): Body {
  return { type: -10, bytes: i32(timeoutMs) }
}

/** null: without a body. */
export function closeSession(paths: readonly string[] | null): Body {
  return { type: -11, bytes: paths === null ? new Uint8Array(0) : cat(i32(paths.length), ...paths.map(str)) }
}

export function txn(h: Header, body: Body, tail: Uint8Array = new Uint8Array(0)): Uint8Array {
  return cat(header(h, body.type), body.bytes, tail)
}
