/**
 * Transaction ids as numbers.
 *
 * A zxid is 64 bits on the wire: epoch (high 32) and counter (low 32). Here it is one JavaScript number, exact while
 * the epoch is below 2^21, so that `<`, `+ 1` and map keys just work. Opaque 64-bit values (session ids, digests)
 * never take this form: they stay two int32 words, see id64.ts.
 */

import { assert } from './assert.ts'

/** A zxid as one number: epoch * 2^32 + counter. Ordered like Java's signed long for every epoch we accept. */
export type Zxid = number

/** Exactness limit: 2^21 epochs is an election every minute for four years. Beyond it we stop rather than round. */
export const EPOCH_LIMIT = 2 ** 21

const WORD = 0x1_0000_0000

export function makeZxid(epoch: number, counter: number): Zxid {
  assert(epoch >= 0 && epoch < EPOCH_LIMIT, `epoch ${epoch} out of range`)
  assert(counter >= 0 && counter < WORD, `counter ${counter} out of range`)
  return epoch * WORD + counter
}

export function epochOf(zxid: Zxid): number {
  return Math.floor(zxid / WORD)
}

export function counterOf(zxid: Zxid): number {
  return zxid % WORD
}

/** Are transactions missing between these two of a history? Across epochs nobody can tell: none knows how far one went. */
export function leavesHole(last: Zxid, zxid: Zxid): boolean {
  return zxid !== last + 1 && epochOf(zxid) === epochOf(last)
}

/** The file-name form: lower-case hex, no padding, no 0x (Java `Long.toHexString`). -1 is 16 f's, as there. */
export function zxidHex(zxid: Zxid): string {
  return zxid < 0 ? (BigInt(zxid) & 0xffff_ffff_ffff_ffffn).toString(16) : zxid.toString(16)
}

/**
 * Reads a signed 64-bit integer as a number. Exact within +-2^53; beyond it the nearest double, which is enough where
 * the value only has to compare as "ahead of us" (a client's lastZxidSeen).
 */
export function readLong(view: DataView, off: number): number {
  return view.getInt32(off) * WORD + view.getUint32(off + 4)
}

/** Writes an integer of magnitude below 2^53 as a signed 64-bit big-endian value. */
export function writeLong(view: DataView, off: number, value: number): void {
  view.setInt32(off, Math.floor(value / WORD))
  view.setUint32(off + 4, value % WORD)
}
