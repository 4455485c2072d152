/**
 * Keys and values of a checkpoint in a key-value database. All integers are big-endian. Pure.
 *
 *   "meta"                      version int = 1 | generation int | zxid long | file bytes long
 *   "g" generation int, then
 *     0                         end: zxid long | znodes int | sessions int | flags int | digest 8
 *     1 session id 8            timeout ms int
 *     2 ACL id int              vector<ACL>
 *     3 path                    data buffer | ACL id long | StatPersisted 60     as in a snapshot; the root's path is ""
 *
 * Each value ends with a CRC-32 over its key and itself: the database has checksums of its own, but does not promise
 * to check them on each way to the data.
 *
 * One generation counts, the one that meta names; others are a whole checkpoint that never ended, or what one has
 * replaced. Byte order puts the end first, ACLs before znodes, and parents before their children.
 *
 * `zxid` in meta is where replay begins. The checkpoint under way may have left some of its batches already, so that
 * znodes are newer in places; `end`, part of every batch, says up to which zxid, and what the tree must be once the log
 * has been applied up to there. Flags: 1 the znode and session counts hold, 2 the digest does, 4 nothing is under way.
 */

import { crc32 } from '../datatree/crc32.ts'
import { StorageError } from '../jute/errors.ts'
import { readInt } from '../jute/input.ts'
import { Output } from '../jute/output.ts'
import { textToBytes } from '../jute/text.ts'
import type { Zxid } from '../jute/zxid.ts'

export const CHECKPOINT_VERSION = 1

export const Kind = { end: 0, session: 1, acl: 2, node: 3 } as const

export interface CheckpointMeta {
  generation: number
  /** Replay begins behind it. */
  zxid: Zxid
  /** What the same tree takes as a snapshot file, about. */
  fileBytes: number
}

/** What the tree must be once the log is applied up to `zxid`. */
export interface CheckpointEnd {
  zxid: Zxid
  /** The checkpoint ended: all its batches are there. */
  complete: boolean
  /** Null where nobody knows: the tree was a leader's moving picture. */
  counts: { nodes: number; sessions: number } | null
  /** Null where digests were off. */
  digest: { hi: number; lo: number } | null
}

const CRC_BYTES = 4
const META_BYTES = 24
const END_BYTES = 28
const HAS_COUNTS = 1
const HAS_DIGEST = 2
const COMPLETE = 4
const GENERATION = 0x67 // "g"
/** "g", generation and kind. */
export const KEY_HEAD_BYTES = 6
const WORD = 0x1_0000_0000

export const META_KEY = textToBytes('meta')

/** The range of a generation's keys, and what lies before and behind it. */
export const generationFrom = (generation: number): Uint8Array => head(generation, Kind.end)
export const generationTo = (generation: number): Uint8Array => head(generation, 0xff)
export const GENERATIONS_FROM = Uint8Array.of(GENERATION)
export const GENERATIONS_TO = Uint8Array.of(GENERATION + 1)

function head(generation: number, kind: number): Uint8Array {
  const out = new Output(KEY_HEAD_BYTES)
  writeKeyHead(out, generation, kind)
  return out.copy()
}

export function writeKeyHead(out: Output, generation: number, kind: number): void {
  out.byte(GENERATION)
  out.int(generation)
  out.byte(kind)
}

/** Ends a value: the CRC over the key at [keyOff, keyEnd) and the value from `valueOff` on. */
export function seal(out: Output, keyOff: number, keyEnd: number, valueOff: number): void {
  out.int(crc32(crc32(0, out.buf, keyOff, keyEnd), out.buf, valueOff, out.pos))
}

export function isSealed(key: Uint8Array, value: Uint8Array): boolean {
  const end = value.length - CRC_BYTES
  return end >= 0 && crc32(crc32(0, key, 0, key.length), value, 0, end) === readInt(value, end) >>> 0
}

export function metaValue(meta: CheckpointMeta): Uint8Array {
  const out = new Output(64)
  out.raw(META_KEY)
  const off = out.pos
  out.int(CHECKPOINT_VERSION)
  out.int(meta.generation)
  out.long(meta.zxid)
  out.long(meta.fileBytes)
  seal(out, 0, off, off)
  return out.buf.slice(off, out.pos)
}

/** Throws StorageError for what is none. */
export function readMeta(value: Uint8Array, path: string): CheckpointMeta {
  const version = value.length >= 4 ? readInt(value, 0) : 0
  if (value.length !== META_BYTES + CRC_BYTES || !isSealed(META_KEY, value)) throw damaged('its head', path)
  if (version !== CHECKPOINT_VERSION) throw new StorageError(`checkpoint of version ${version}`, path)
  return { generation: readInt(value, 4), zxid: longAt(value, 8), fileBytes: longAt(value, 16) }
}

/** Key and value. */
export function endEntry(generation: number, end: CheckpointEnd): { key: Uint8Array; value: Uint8Array } {
  const out = new Output(64)
  writeKeyHead(out, generation, Kind.end)
  const off = out.pos
  out.long(end.zxid)
  out.int(end.counts?.nodes ?? 0)
  out.int(end.counts?.sessions ?? 0)
  const known = (end.counts === null ? 0 : HAS_COUNTS) | (end.digest === null ? 0 : HAS_DIGEST)
  out.int(known | (end.complete ? COMPLETE : 0))
  out.words(end.digest?.hi ?? 0, end.digest?.lo ?? 0)
  seal(out, 0, off, off)
  return { key: out.buf.slice(0, off), value: out.buf.slice(off, out.pos) }
}

/** Throws StorageError for what is none. */
export function readEnd(key: Uint8Array, value: Uint8Array, path: string): CheckpointEnd {
  if (value.length !== END_BYTES + CRC_BYTES || !isSealed(key, value)) throw damaged('its end', path)
  const flags = readInt(value, 16)
  return {
    zxid: longAt(value, 0),
    complete: (flags & COMPLETE) !== 0,
    counts: (flags & HAS_COUNTS) === 0 ? null : { nodes: readInt(value, 8), sessions: readInt(value, 12) },
    digest: (flags & HAS_DIGEST) === 0 ? null : { hi: readInt(value, 20), lo: readInt(value, 24) },
  }
}

export function damaged(what: string, path: string): StorageError {
  return new StorageError(`damaged checkpoint: ${what}`, path)
}

export function longAt(buf: Uint8Array, at: number): number {
  return readInt(buf, at) * WORD + (readInt(buf, at + 4) >>> 0)
}
