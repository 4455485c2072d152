/** Log entries for tests, built without the code under test. */

import { Output } from '../../../src/jute/output.ts'
import { zxidHex } from '../../../src/jute/zxid.ts'

/** An entry with a TxnHeader of type error (a 4-byte body), or with `bodyBytes` of filling behind the header. */
export function entry(zxid: number, bodyBytes = 4): Uint8Array {
  const out = new Output(64 + bodyBytes)
  out.words(0x0100_0000, 7)
  out.int(zxid % 1000)
  out.long(zxid)
  out.long(1_700_000_000_000 + zxid)
  out.int(-1)
  for (let i = 0; i < bodyBytes; i++) out.byte(1 + ((zxid * 31 + i * 7) % 255))
  return out.copy()
}

/** `count` zxids from `first` on. */
export function zxids(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i)
}

/** A log file with these entries, every byte made here. */
export function logFileOf(entries: readonly Uint8Array[], paddingBytes = 0): Uint8Array {
  const out = new Output(4096)
  out.int(0x5a4b4c47)
  out.int(2)
  out.long(0)
  for (const each of entries) {
    out.int(0)
    out.int(adlerByTheBook(each))
    out.buffer(each)
    out.byte(0x42)
  }
  for (let i = 0; i < paddingBytes; i++) out.byte(0)
  return out.copy()
}

/** Adler-32 as RFC 1950 words it. */
export function adlerByTheBook(bytes: Uint8Array): number {
  let a = 1
  let b = 0
  for (const byte of bytes) {
    a = (a + byte) % 65521
    b = (b + a) % 65521
  }
  return (b * 65536 + a) | 0
}

export function hex(zxid: number): string {
  return `0x${zxidHex(zxid)}`
}
