/**
 * Path rules on bytes: what a znode may be called, where its parent ends, which znodes are the server's own.
 *
 * Paths arrive as UTF-8 and stay bytes. A valid path is well-formed UTF-8 without four-byte sequences (their UTF-16
 * form has surrogates, which ZooKeeper refuses), so bytes and Java's String compare alike for every znode there is.
 * Java: PathUtils.validatePath, PrepRequestProcessor.getParentPathAndValidate, ZKDatabase.isSpecialPath.
 */

import { textToBytes } from '../../jute/text.ts'

const SLASH = 0x2f
const DOT = 0x2e

/** Stands for Java's null path where one may be kept (a watch on it); no client can name these bytes. */
export const NULL_PATH = new Uint8Array([0xff])

export function isNullPath(path: Uint8Array): boolean {
  return path.length === 1 && path[0] === NULL_PATH[0]
}

/** Offset of the last slash, or -1. */
export function lastSlash(buf: Uint8Array, off: number, end: number): number {
  for (let at = end - 1; at >= off; at--) if (buf[at] === SLASH) return at
  return -1
}

export function hasNul(buf: Uint8Array, off: number, end: number): boolean {
  for (let at = off; at < end; at++) if (buf[at] === 0) return true
  return false
}

/** True for `/` itself and for the empty string, which name the same znode. */
export function isRoot(buf: Uint8Array, off: number, end: number): boolean {
  return end === off || (end === off + 1 && buf[off] === SLASH)
}

/**
 * May a znode have this path? No empty, `.` or `..` segment, no trailing slash, and of the code points neither the
 * controls (U+0000-001F, 007F-009F) nor surrogates and private use (D800-F8FF) nor FFF0-FFFF. Malformed UTF-8 reads as
 * U+FFFD in Java and so falls under the last.
 */
export function isValidPath(buf: Uint8Array, off: number, end: number): boolean {
  if (end === off || buf[off] !== SLASH) return false
  if (end === off + 1) return true
  if (buf[end - 1] === SLASH) return false
  let segment = off + 1
  for (let at = off + 1; at <= end; ) {
    const byte = at === end ? SLASH : buf[at]!
    if (byte === SLASH) {
      const length = at - segment
      if (length === 0) return false
      if (buf[segment] === DOT && (length === 1 || (length === 2 && buf[segment + 1] === DOT))) return false
      segment = ++at
    } else if (byte < 0x80) {
      if (byte < 0x20 || byte === 0x7f) return false
      at++
    } else {
      const length = validWide(buf, at, end)
      if (length === 0) return false
      at += length
    }
  }
  return true
}

/** Bytes of the allowed multi-byte character at `at`, or 0. */
function validWide(buf: Uint8Array, at: number, end: number): number {
  const first = buf[at]!
  if (first >= 0xc2 && first <= 0xdf) {
    if (at + 2 > end || (buf[at + 1]! & 0xc0) !== 0x80) return 0
    return first === 0xc2 && buf[at + 1]! < 0xa0 ? 0 : 2
  }
  if (first < 0xe0 || first > 0xef || at + 3 > end) return 0
  const second = buf[at + 1]!
  const third = buf[at + 2]!
  if ((second & 0xc0) !== 0x80 || (third & 0xc0) !== 0x80) return 0
  const point = ((first & 0x0f) << 12) | ((second & 0x3f) << 6) | (third & 0x3f)
  if (point < 0x800 || (point >= 0xd800 && point <= 0xf8ff) || point >= 0xfff0) return 0
  return 3
}

export function sameBytes(a: Uint8Array, off: number, end: number, b: Uint8Array): boolean {
  if (end - off !== b.length) return false
  for (let i = 0; i < b.length; i++) if (a[off + i] !== b[i]) return false
  return true
}

/** The bytes of a path as a string of one unit a byte: a key for maps off the hot path. */
export function pathKey(path: Uint8Array): string {
  let key = ''
  for (let at = 0; at < path.length; at += 4096) key += String.fromCharCode(...path.subarray(at, at + 4096))
  return key
}

const SPECIAL = ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config'].map(textToBytes)

/** The znodes that nobody deletes. */
export function isSpecialPath(buf: Uint8Array, off: number, end: number): boolean {
  return SPECIAL.some((special) => sameBytes(buf, off, end, special))
}

/** 32-bit FNV-1a of a path; for small tables beside the tree, whose own index has a seeded hash. */
export function pathHash(buf: Uint8Array, off: number, end: number): number {
  let hash = 0x811c9dc5 | 0
  for (let at = off; at < end; at++) hash = Math.imul(hash ^ buf[at]!, 0x01000193)
  return hash
}
