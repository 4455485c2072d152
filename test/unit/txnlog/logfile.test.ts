import { deflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { ADLER_START, adler32 } from '../../../src/txnlog/adler32.ts'
import { frameRecord, LogScanner, type LogTail, writeLogHeader } from '../../../src/txnlog/logfile.ts'
import { seeded } from '../../disk/memdisk.ts'
import { entry, logFileOf } from './entries.ts'

const LENGTH_MAX = 0x1f_fffe

interface Scan {
  zxids: number[]
  tail: LogTail
}

function scan(bytes: Uint8Array, chunkBytes = bytes.length, lengthMax = LENGTH_MAX): Scan {
  const zxids: number[] = []
  const scanner = new LogScanner(lengthMax, (zxid) => {
    zxids.push(zxid)
    return true
  })
  for (let at = 0; at < bytes.length; at += chunkBytes) scanner.push(bytes, at, Math.min(at + chunkBytes, bytes.length))
  return { zxids, tail: scanner.finish() }
}

const three = [entry(101, 60), entry(102, 90), entry(103, 70)]
const file = logFileOf(three, 2000)
const starts = [16, 16 + 13 + 92, 16 + 13 + 92 + 13 + 122]
const usedBytes = starts[2]! + 13 + 102

describe('Adler-32', () => {
  it('is what zlib writes behind a deflated stream, for every length and split', () => {
    const random = seeded(1)
    const bytes = Uint8Array.from({ length: 20_000 }, () => (random() < 0.5 ? 255 : random() * 256))
    for (const length of [0, 1, 2, 3, 4, 5, 31, 3791, 3792, 3793, 7584, 9000, 20_000]) {
      const part = bytes.subarray(0, length)
      const trailer = deflateSync(part).readUInt32BE(deflateSync(part).length - 4)
      expect(adler32(ADLER_START, part, 0, length)).toBe(trailer)
      const split = Math.floor(length / 3)
      expect(adler32(adler32(ADLER_START, part, 0, split), part, split, length)).toBe(trailer)
    }
    const all = new Uint8Array(1_000_000).fill(255)
    const trailer = deflateSync(all)
    expect(adler32(ADLER_START, all, 0, all.length)).toBe(trailer.readUInt32BE(trailer.length - 4))
  })
})

describe('log file', () => {
  it('is framed as Java frames it: seal of the entry only, length, entry, end mark', () => {
    const into = new Uint8Array(usedBytes)
    let at = writeLogHeader(into, 0)
    for (const each of three) at = frameRecord(into, at, each, 0, each.length)
    expect(at).toBe(usedBytes)
    expect(into).toEqual(logFileOf(three))
  })

  it('is read alike however its bytes are split', () => {
    for (let chunk = 1; chunk < 300; chunk++) {
      const seen = scan(file, chunk)
      expect(seen.zxids).toEqual([101, 102, 103])
      expect(seen.tail).toMatchObject({ kind: 'end', offset: usedBytes, zxidLast: 103 })
    }
  })

  it('hands out the entry bytes and their place', () => {
    const seen: [number, Uint8Array][] = []
    const scanner = new LogScanner(LENGTH_MAX, (_zxid, buf, off, end, offset) => {
      seen.push([offset, buf.slice(off, end)])
      return true
    })
    scanner.push(file, 0, 130)
    scanner.push(file, 130, file.length)
    expect(seen).toEqual(three.map((bytes, i) => [starts[i], bytes]))
  })

  it('stops where the consumer says so', () => {
    let count = 0
    const scanner = new LogScanner(LENGTH_MAX, () => ++count < 2)
    expect(scanner.push(file, 0, file.length)).toBe(false)
    expect(count).toBe(2)
    expect(scanner.offset).toBe(starts[2])
  })

  it('C3: cut at any byte, with or without padding behind, it ends torn at its last whole record', () => {
    for (let cut = 1; cut < usedBytes; cut++) {
      const whole = starts.filter((start, i) => (starts[i + 1] ?? usedBytes) <= cut && start < cut).length
      for (const padding of [0, 700]) {
        const bytes = new Uint8Array(cut + padding)
        bytes.set(file.subarray(0, cut))
        const { zxids, tail } = scan(bytes, 64)
        expect(zxids).toEqual([101, 102, 103].slice(0, whole))
        const atBorder = cut === 16 || starts.includes(cut)
        // A cut inside leading zeros of a checksum leaves nothing to see: that is an ordinary end. So does one in the
        // header's trailing zeros, where padding completes it.
        const headerWhole = cut >= 16 || (cut >= 8 && padding > 0)
        const invisible = file.subarray(cut < 16 ? 0 : (starts[whole] ?? 0), cut).every((byte) => byte === 0)
        expect([cut, padding, tail.kind]).toEqual([
          cut,
          padding,
          headerWhole && (cut < 16 || atBorder || invisible) ? 'end' : 'torn',
        ])
        expect(tail.offset).toBe(headerWhole ? (starts[whole] ?? usedBytes) : 0)
      }
    }
  })

  it('C3: length written and body zero is torn', () => {
    const bytes = file.slice()
    bytes.fill(0, starts[2]! + 12)
    expect(scan(bytes).tail).toMatchObject({ kind: 'torn', offset: starts[2], zxidLast: 102 })
  })

  it('C3: body written and end mark missing is torn', () => {
    const bytes = file.slice()
    bytes[usedBytes - 1] = 0
    expect(scan(bytes).tail).toMatchObject({ kind: 'torn', offset: starts[2], zxidLast: 102 })
  })

  it('D4, D5: any bit flipped in any record is damage at that record, never a shorter log', () => {
    for (let at = 16; at < usedBytes; at++) {
      const index = starts.findLastIndex((start) => start <= at)
      for (let bit = 0; bit < 8; bit++) {
        const bytes = file.slice()
        bytes[at]! ^= 1 << bit
        const { zxids, tail } = scan(bytes, 100)
        expect([at, bit, tail.kind]).toEqual([at, bit, 'damage'])
        expect(tail.offset).toBe(starts[index])
        expect(zxids).toEqual([101, 102, 103].slice(0, index))
      }
    }
  })

  it('D5: the same holds for a file without padding', () => {
    const bare = logFileOf(three)
    for (let at = starts[2]!; at < usedBytes; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bytes = bare.slice()
        bytes[at]! ^= 1 << bit
        expect([at, bit, scan(bytes).tail.kind]).toEqual([at, bit, 'damage'])
      }
    }
  })

  it('D5: a length that reaches over a whole later record is damage, whatever else is wrong with that record', () => {
    for (const paddingBytes of [0, 2000]) {
      const bytes = logFileOf(three, paddingBytes)
      bytes[starts[0]! + 9] = 0x10 // about a million
      bytes[starts[0]! + 40]! ^= 1 // so that its checksum fits no shorter entry either
      const { tail } = scan(bytes, 100)
      expect(tail).toMatchObject({ kind: 'damage', offset: 16 })
      expect(tail.reason).toContain('zxid 0x66 is whole')
    }
  })

  it('C3: without a whole record in it, such a rest is torn, however much of it looks like one', () => {
    const bytes = logFileOf(three)
    bytes[starts[2]! + 9] = 0x10
    bytes[starts[2]! + 40]! ^= 1
    expect(scan(bytes).tail).toMatchObject({ kind: 'torn', offset: starts[2] })
    // What a client stored may look like a record: one of an older zxid proves nothing.
    const later = logFileOf([entry(101, 60), ...three.slice(1)].concat(entry(90, 50)))
    later[starts[2]! + 9] = 0x10
    later[starts[2]! + 40]! ^= 1
    expect(scan(later).tail).toMatchObject({ kind: 'torn', offset: starts[2] })
  })

  it('D5: the search for a whole record takes its time only once', () => {
    const lengths = new Uint8Array(LENGTH_MAX)
    for (let at = 0; at + 16 < lengths.length; at += 16)
      lengths.set([0, 0, 0, 0, 1, 2, 3, 4, 0, 15, 0, 0, 0, 0, 0, 0x42], at)
    const bytes = new Uint8Array(16 + lengths.length - 100)
    bytes.set(logFileOf([]))
    bytes.set(lengths.subarray(0, bytes.length - 16), 16)
    bytes.set([0, 0, 0, 0, 1, 1, 1, 1, 0, 0x1f, 0xff, 0xf0], 16)
    bytes.fill(0x42, 28, 16 + 512)
    const startMs = performance.now()
    expect(scan(bytes).tail.kind).toBe('torn')
    expect(performance.now() - startMs).toBeLessThan(5000)
  })

  it('a bit flipped in magic or version is damage; the database id is free', () => {
    for (let at = 0; at < 16; at++) {
      const bytes = file.slice()
      bytes[at]! ^= 0x10
      expect(scan(bytes).tail.kind).toBe(at < 8 ? 'damage' : 'end')
    }
  })

  it('C1: an empty file, one of zeros and one with half a header hold nothing', () => {
    expect(scan(new Uint8Array(0)).tail).toMatchObject({ kind: 'end', offset: 0 })
    expect(scan(new Uint8Array(5000)).tail).toMatchObject({ kind: 'torn', offset: 0 })
    for (let cut = 1; cut < 16; cut++) expect(scan(file.subarray(0, cut)).tail.kind).toMatch(/torn/)
    expect(scan(file.subarray(0, 16)).tail).toMatchObject({ kind: 'end', offset: 16 })
    expect(scan(Uint8Array.of(0x5a, 0x4c)).tail.kind).toBe('damage')
  })

  it('sectors of an unsynced group stored out of order are torn, not damage', () => {
    const entries = Array.from({ length: 30 }, (_, i) => entry(200 + i, 150))
    const whole = logFileOf(entries, 3000)
    for (let sector = 512; sector < 30 * 195; sector += 512) {
      const bytes = whole.slice()
      bytes.fill(0, sector, sector + 512)
      const { zxids, tail } = scan(bytes, 1000)
      const good = entries.filter((_, i) => 16 + 195 * (i + 1) <= sector).length
      expect(zxids).toHaveLength(good)
      expect(tail).toMatchObject({
        kind: 'torn',
        offset: 16 + 195 * good,
        offsetUsed: Math.min(16 + 30 * 195, sector + 512 > 16 + 30 * 195 ? sector : 16 + 30 * 195),
      })
    }
  })

  it('a length beyond the limit or negative is damage that names the limit', () => {
    const bytes = file.slice()
    bytes[starts[1]! + 8] = 0x7f
    expect(scan(bytes).tail.reason).toMatch(/jute.maxbuffer/)
    bytes[starts[1]! + 8] = 0xff
    expect(scan(bytes).tail).toMatchObject({ kind: 'damage', offset: starts[1] })
    expect(scan(file, 999, 91).tail).toMatchObject({ kind: 'damage', offset: 16 })
  })
})
