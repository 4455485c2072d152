import * as zlib from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { crc32, oneWord, statCrc, twoWords } from '../../../src/datatree/crc32.ts'

/** Bit by bit, from the polynomial: shares nothing with the tables. */
function crcByBits(bytes: Uint8Array): number {
  let c = 0xffff_ffff
  for (const byte of bytes) {
    c ^= byte
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb8_8320 : c >>> 1
  }
  return ~c >>> 0
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)
const noise = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * i * 131 + i * 17 + 5) >>> 2)

describe('crc32', () => {
  test('gives the published check values', () => {
    expect(crc32(0, ascii(''), 0, 0)).toBe(0)
    expect(crc32(0, ascii('a'), 0, 1)).toBe(0xe8b7be43)
    expect(crc32(0, ascii('123456789'), 0, 9)).toBe(0xcbf43926)
    expect(crc32(0, ascii('The quick brown fox jumps over the lazy dog'), 0, 43)).toBe(0x414fa339)
    expect(crc32(0, new Uint8Array(32), 0, 32)).toBe(0x190a55ad)
    expect(crc32(0, new Uint8Array(32).fill(255), 0, 32)).toBe(0xff6cab0b)
  })

  test('agrees with the definition at every length and every alignment', () => {
    const bytes = noise(100)
    for (let off = 0; off < 9; off++) {
      for (let end = off; end <= bytes.length; end++) {
        expect(crc32(0, bytes, off, end)).toBe(crcByBits(bytes.subarray(off, end)))
      }
    }
  })

  test('agrees with zlib on long input', () => {
    const bytes = noise(1 << 20)
    // node:zlib has crc32 from Node 20.15 and 22.2 on
    const expected = 'crc32' in zlib && typeof zlib.crc32 === 'function' ? zlib.crc32(bytes) : crcByBits(bytes)
    expect(crc32(0, bytes, 0, bytes.length)).toBe(expected)
  })

  test('continues a state, wherever the input is cut', () => {
    const bytes = noise(64)
    const whole = crc32(0, bytes, 0, 64)
    for (let cut = 0; cut <= 64; cut++) expect(crc32(crc32(0, bytes, 0, cut), bytes, cut, 64)).toBe(whole)
  })

  test('takes words as the big-endian bytes they stand for', () => {
    const bytes = noise(8)
    const view = new DataView(bytes.buffer)
    expect(~oneWord(~crc32(0, ascii('x'), 0, 1), view.getInt32(0)) >>> 0).toBe(
      crc32(crc32(0, ascii('x'), 0, 1), bytes, 0, 4),
    )
    expect(~twoWords(~0, view.getInt32(0), view.getInt32(4)) >>> 0).toBe(crc32(0, bytes, 0, 8))
  })
})

describe('statCrc', () => {
  test('covers the 60 bytes of DigestCalculator in their order', () => {
    const cases = [
      { longs: [0, 0, 0, 0, 0], ints: [0, 0, 0], owner: 0n },
      { longs: [0x1_0000_0001, 0x7_ffff_ffff, 2 ** 52, 1_792_345_678_901, -1], ints: [-1, 5, -1], owner: -(2n ** 63n) },
      { longs: [1, 2, 3, 2 ** 31, 2 ** 32 - 1], ints: [2 ** 31 - 1, -(2 ** 31), 7], owner: 0x0123_4567_89ab_cdefn },
    ]
    for (const { longs, ints, owner } of cases) {
      const bytes = new Uint8Array(60)
      const view = new DataView(bytes.buffer)
      longs.forEach((value, i) => {
        view.setBigInt64(i * 8, BigInt(value))
      })
      ints.forEach((value, i) => {
        view.setInt32(40 + i * 4, value)
      })
      view.setBigInt64(52, owner)
      const [czxid, mzxid, pzxid, ctime, mtime] = longs
      const [version, cversion, aversion] = ints
      const state = crc32(0, ascii('/path'), 0, 5)
      expect(
        statCrc(
          state,
          czxid!,
          mzxid!,
          pzxid!,
          ctime!,
          mtime!,
          version!,
          cversion!,
          aversion!,
          view.getInt32(52),
          view.getInt32(56),
        ),
      ).toBe(crc32(state, bytes, 0, 60))
    }
  })
})
