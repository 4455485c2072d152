import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../src/jute/errors.ts'
import { type Codec, decoderFor, encoderFor } from '../../../src/txnlog/codec.ts'
import { later } from '../../../src/txnlog/disk.ts'
import { COMPRESSIONS, logName, logNames, snapshotName, snapshotNames, zxidOfName } from '../../../src/txnlog/names.ts'
import { snappyBytesMax, snappyDecode, snappyEncode, snappyLength, snappyTable } from '../../../src/txnlog/snappy.ts'
import { seeded } from '../../disk/memdisk.ts'
import { FIXTURES } from './states.ts'

async function run(codec: Codec, bytes: Uint8Array, pieceBytes: number): Promise<Uint8Array> {
  const out: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes)
    // Plain hands back what it was given, which the caller may reuse.
    for (const part of await later<Uint8Array[]>((got) => codec.push(piece, got))) out.push(part.slice())
  }
  out.push(...(await later<Uint8Array[]>((got) => codec.end(got))))
  codec.abort()
  return new Uint8Array(Buffer.concat(out))
}

function sample(kind: number, length: number, random: () => number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) {
    if (kind === 0) bytes[i] = random() * 256
    else if (kind === 1) bytes[i] = 0
    else if (kind === 2) bytes[i] = random() < 0.9 && i > 40 ? bytes[i - 40]! : random() * 256
    else bytes[i] = i > 70 && random() < 0.99 ? bytes[i - 1 - Math.floor(random() * 70)]! : i
  }
  return bytes
}

describe('snappy blocks', () => {
  it('decode what was encoded, for all sorts of content and lengths', () => {
    const random = seeded(3)
    const table = snappyTable()
    for (let i = 0; i < 600; i++) {
      const bytes = sample(i % 4, i < 200 ? i : Math.floor(random() * 65_536), random)
      const into = new Uint8Array(snappyBytesMax(bytes.length))
      const end = snappyEncode(bytes, 0, bytes.length, into, 0, table)
      expect(end).toBeLessThanOrEqual(into.length)
      expect(snappyLength(into, 0, end)).toBe(bytes.length)
      const out = new Uint8Array(bytes.length)
      snappyDecode(into, 0, end, out)
      expect(Buffer.compare(out, bytes)).toBe(0)
    }
  })

  it('refuse malformed input with an error of ours, whatever is changed or cut', () => {
    const random = seeded(4)
    const bytes = sample(3, 3000, random)
    const into = new Uint8Array(snappyBytesMax(bytes.length))
    const end = snappyEncode(bytes, 0, bytes.length, into, 0, snappyTable())
    for (let i = 0; i < 5000; i++) {
      const bad = into.slice(0, end)
      bad[Math.floor(random() * end)] = random() * 256
      const stop = random() < 0.5 ? end : Math.floor(random() * end)
      try {
        const length = snappyLength(bad, 0, stop)
        if (length <= 1_000_000) snappyDecode(bad, 0, stop, new Uint8Array(length))
      } catch (err) {
        expect(err).toBeInstanceOf(StorageError)
      }
    }
  })

  it('read the long forms that our encoder never writes', () => {
    const text = new TextEncoder().encode('abcdefgh')
    // literal of 8 with a 4-byte length; copy of 5 with a 4-byte offset of 8.
    const block = Uint8Array.of(13, 63 << 2, 7, 0, 0, 0, ...text, (4 << 2) | 3, 8, 0, 0, 0)
    const out = new Uint8Array(13)
    snappyDecode(block, 0, block.length, out)
    expect(new TextDecoder().decode(out)).toBe('abcdefghabcde')
  })
})

describe('compression', () => {
  it.each(COMPRESSIONS)('%s gives back what went in, however it is cut', async (compression) => {
    const random = seeded(9)
    for (const length of [0, 1, 100, 32_767, 32_768, 32_769, 200_000]) {
      const bytes = sample(2, length, random)
      for (const pieceBytes of [length + 1, 1000, 33_000]) {
        const packed = await run(encoderFor(compression), bytes, pieceBytes)
        expect(Buffer.compare(await run(decoderFor(compression), packed, 777), bytes)).toBe(0)
      }
    }
  })

  it('gzip is what everybody calls gzip', async () => {
    const bytes = sample(2, 50_000, seeded(1))
    expect(new Uint8Array(gunzipSync(await run(encoderFor('gz'), bytes, 1000)))).toEqual(bytes)
    expect(await run(decoderFor('gz'), new Uint8Array(gzipSync(bytes)), 99)).toEqual(bytes)
  })

  it('D11: real xerial output is read, and ours has the same header and block length', async () => {
    const dir = join(FIXTURES, 'snappy', 'version-2')
    for (const name of readdirSync(dir).filter((each) => each.endsWith('.snappy'))) {
      const theirs = new Uint8Array(readFileSync(join(dir, name)))
      for (const pieceBytes of [1, 7, theirs.length]) {
        const plain = await run(decoderFor('snappy'), theirs, pieceBytes)
        expect(new TextDecoder().decode(plain.subarray(0, 4))).toBe('ZKSN')
        const ours = await run(encoderFor('snappy'), plain, 5000)
        expect(ours.subarray(0, 16)).toEqual(theirs.subarray(0, 16))
        expect(snappyLength(ours, 20, ours.length)).toBe(snappyLength(theirs, 20, theirs.length))
        expect(await run(decoderFor('snappy'), ours, 13)).toEqual(plain)
      }
    }
  })

  it('bytes behind the end, or an end before the end, are errors, not silence', async () => {
    const bytes = sample(2, 5000, seeded(1))
    for (const compression of ['gz', 'snappy'] as const) {
      const packed = await run(encoderFor(compression), bytes, 5000)
      await expect(run(decoderFor(compression), packed.subarray(0, -1), 100)).rejects.toThrow(/cut short/)
      const longer = new Uint8Array(packed.length + 3).fill(9)
      longer.set(packed)
      await expect(run(decoderFor(compression), longer, 100)).rejects.toThrow(StorageError)
    }
  })
})

describe('names', () => {
  it('are lower-case hex without padding, as Java makes and parses them', () => {
    expect(logName(0x10000001b)).toBe('log.10000001b')
    expect(snapshotName(0, '')).toBe('snapshot.0')
    expect(snapshotName(255, 'gz')).toBe('snapshot.ff.gz')
    expect(zxidOfName('snapshot.30.tmp', 'snapshot')).toBe(0x30)
    for (const name of ['snapshot', 'snapshot.', 'snapshot.xyz', 'log.5', 'partial-snapshot.5', 'snapshot.-1']) {
      expect(zxidOfName(name, 'snapshot')).toBe(-1)
    }
  })

  it('are sorted by number; others in the folder are left alone', () => {
    const names = ['log.a', 'log.9', 'log.10', 'log.5.bak', 'torn-log.5.16', 'myid', 'snapshot.10', 'snapshot.9.gz']
    expect(logNames(names).map((log) => log.name)).toEqual(['log.9', 'log.a', 'log.10'])
    expect(snapshotNames([...names, 'snapshot.f.tmp', 'snapshot.b.snappy']).map((each) => each.name)).toEqual([
      'snapshot.10',
      'snapshot.b.snappy',
      'snapshot.9.gz',
    ])
  })
})
