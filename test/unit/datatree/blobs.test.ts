import { describe, expect, test } from 'vitest'
import { type BlobHandle, Blobs, NO_BLOB } from '../../../src/datatree/blobs.ts'
import { Random } from './random.ts'

const MIB = 1 << 20

function fill(length: number, key: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = i * 7 + key
  return bytes
}

function read(blobs: Blobs, handle: BlobHandle, length: number): Uint8Array {
  const off = blobs.offsetOf(handle)
  return blobs.bytesOf(handle).slice(off, off + length)
}

describe('Blobs', () => {
  test('keep bytes of every length around every boundary of a size class', () => {
    const blobs = new Blobs()
    const kept: [BlobHandle, Uint8Array][] = []
    const lengths = new Set<number>([100_000, MIB, MIB + 1])
    for (let at = 1; at <= 65_536; at = blobs.capacityFor(at) + 1) {
      for (const length of [at - 1, at, at + 1]) if (length > 0) lengths.add(length)
    }
    lengths.add(65_536).add(65_537)
    for (const length of lengths) {
      const bytes = fill(length + 10, length)
      kept.push([blobs.store(bytes, 5, 5 + length), bytes.subarray(5, 5 + length)])
    }
    for (const [handle, bytes] of kept) {
      expect(blobs.capacity(handle)).toBeGreaterThanOrEqual(bytes.length)
      expect(Buffer.compare(read(blobs, handle, bytes.length), bytes)).toBe(0)
    }
    blobs.check(new Set(kept.map(([handle]) => handle)))
  })

  test('waste at most a fifth of a slot beyond 128 bytes, and less than 16 bytes below', () => {
    const blobs = new Blobs()
    for (let length = 1; length <= 65_536; length++) {
      const waste = blobs.capacityFor(length) - length
      const allowed = length <= 128 ? 15 : blobs.capacityFor(length) / 5
      if (waste < 0 || waste > allowed) expect.fail(`${length} bytes waste ${waste}`)
    }
  })

  test('have no blob for no bytes', () => {
    const blobs = new Blobs()
    expect(blobs.store(fill(3, 0), 1, 1)).toBe(NO_BLOB)
    blobs.free(NO_BLOB)
    expect(blobs.capacity(NO_BLOB)).toBe(0)
    blobs.check(new Set())
  })

  test('are replaced in place while the size class stays', () => {
    const blobs = new Blobs()
    const first = blobs.store(fill(100, 1), 0, 100)
    expect(blobs.replace(first, fill(112, 2), 0, 112)).toBe(first)
    expect(blobs.capacity(first)).toBe(112)
    expect(read(blobs, first, 112)).toEqual(fill(112, 2))
    const second = blobs.replace(first, fill(113, 3), 0, 113)
    expect(blobs.capacity(second)).toBe(128)
    expect(read(blobs, second, 113)).toEqual(fill(113, 3))
    expect(blobs.replace(second, fill(1, 0), 0, 0)).toBe(NO_BLOB)
    blobs.check(new Set())
  })

  test('beyond 64 KiB give their memory back at once, and reuse their numbers', () => {
    const blobs = new Blobs()
    const before = blobs.measure().heldBytes
    const a = blobs.store(fill(MIB, 1), 0, MIB)
    const b = blobs.store(fill(MIB, 2), 0, MIB)
    expect(blobs.measure()).toMatchObject({ heldBytes: before + 2 * MIB, largeCount: 2 })
    blobs.free(a)
    expect(blobs.measure()).toMatchObject({ heldBytes: before + MIB, largeCount: 1 })
    expect(blobs.store(fill(MIB, 3), 0, MIB)).toBe(a)
    expect(blobs.replace(a, fill(MIB - 100, 4), 0, MIB - 100)).toBe(a)
    expect(read(blobs, b, 100)).toEqual(fill(100, 2))
    blobs.free(a)
    expect(() => blobs.free(a)).toThrow('freed twice')
    blobs.free(b)
    blobs.check(new Set())
  })

  test.each([1, 2])('agree with a plain Map under random use, seed %i', (seed) => {
    const random = new Random(seed)
    const blobs = new Blobs()
    const model = new Map<BlobHandle, Uint8Array>()
    const handles: BlobHandle[] = []
    const length = (): number => {
      const kind = random.below(100)
      return 1 + (kind < 80 ? random.below(300) : kind < 98 ? random.below(10_000) : random.below(200_000))
    }
    for (let step = 0; step < 30_000; step++) {
      const kind = random.below(100)
      if (handles.length === 0 || kind < (step % 15_000 < 7500 ? 50 : 30)) {
        const bytes = fill(length(), step)
        const handle = blobs.store(bytes, 0, bytes.length)
        if (model.has(handle)) expect.fail(`handle given twice at step ${step}`)
        model.set(handle, bytes)
        handles.push(handle)
        continue
      }
      const at = random.below(handles.length)
      const handle = handles[at]!
      const bytes = model.get(handle)!
      if (Buffer.compare(read(blobs, handle, bytes.length), bytes) !== 0) expect.fail(`blob damaged at step ${step}`)
      model.delete(handle)
      if (kind < 75) {
        const next = fill(length(), step)
        handles[at] = blobs.replace(handle, next, 0, next.length)
        if (model.has(handles[at]!)) expect.fail(`handle given twice at step ${step}`)
        model.set(handles[at]!, next)
      } else {
        blobs.free(handle)
        handles[at] = handles[handles.length - 1]!
        handles.pop()
      }
      if (step % 5000 === 0) blobs.check(new Set(handles))
    }
    for (const [handle, bytes] of model) expect(Buffer.compare(read(blobs, handle, bytes.length), bytes)).toBe(0)
    for (const handle of handles) blobs.free(handle)
    blobs.check(new Set())
    expect(blobs.measure().heldBytes).toBeLessThanOrEqual(2 * MIB)
  })
})
