import { expect, test } from 'vitest'
import { AssertionError } from '../../../src/jute/assert.ts'
import { Id64Map, id64Hex, id64ToBigInt } from '../../../src/jute/id64.ts'
import { Input, ProtocolError, readInt } from '../../../src/jute/input.ts'
import { copyBytes, Output } from '../../../src/jute/output.ts'
import { counterOf, EPOCH_LIMIT, epochOf, makeZxid, readLong, writeLong, zxidHex } from '../../../src/jute/zxid.ts'
import { randomOf } from './random.ts'

test('a zxid is its epoch and its counter, and orders like them', () => {
  const parts = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]
  const epochs = [0, 1, 2, EPOCH_LIMIT - 1]
  let before = -1
  for (const epoch of epochs) {
    for (const counter of parts) {
      const zxid = makeZxid(epoch, counter)
      expect(Number.isSafeInteger(zxid)).toBe(true)
      expect([epochOf(zxid), counterOf(zxid)]).toEqual([epoch, counter])
      expect(zxid).toBeGreaterThan(before)
      expect(zxidHex(zxid)).toBe(((BigInt(epoch) << 32n) | BigInt(counter)).toString(16))
      before = zxid
    }
  }
  expect(zxidHex(-1)).toBe('ffffffffffffffff')
  expect(() => makeZxid(EPOCH_LIMIT, 0)).toThrow(AssertionError)
  expect(() => makeZxid(-1, 0)).toThrow(AssertionError)
  expect(() => makeZxid(0, 2 ** 32)).toThrow(AssertionError)
  expect(() => makeZxid(0, -1)).toThrow(AssertionError)
})

test('a long is exact within 2^53 either side of zero, and the nearest double beyond', () => {
  const random = randomOf(53)
  const view = new DataView(new ArrayBuffer(16))
  const edges = [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52, 2 ** 53 - 1]
  for (let i = 0; i < 2000; i++) edges.push(random.uint32() * 2 ** random.below(21) + random.below(1000))
  for (const edge of edges) {
    for (const value of edge === 0 ? [0] : [edge, -edge]) {
      writeLong(view, 3, value)
      expect(view.getBigInt64(3)).toBe(BigInt(value))
      expect(readLong(view, 3)).toBe(value)
    }
  }
  for (const bits of [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, -(2n ** 60n) + 7n]) {
    view.setBigInt64(0, bits)
    expect(readLong(view, 0)).toBe(Number(bits))
  }
})

test('an opaque value prints as Java prints it', () => {
  expect(id64Hex(0, 0)).toBe('0x0')
  expect(id64Hex(0, -1)).toBe('0xffffffff')
  expect(id64Hex(0x0100_000b, 0x0000_0001)).toBe('0x100000b00000001')
  expect(id64Hex(-1, 0)).toBe('0xffffffff00000000')
  expect(id64ToBigInt(-1, -1)).toBe(-1n)
  expect(id64ToBigInt(0x0100_000b, -2)).toBe(0x0100_000b_ffff_fffen)
  expect(id64ToBigInt(-0x8000_0000, 0)).toBe(-(2n ** 63n))
})

test('the map of opaque values agrees with a plain map under any sequence of changes', () => {
  const random = randomOf(64)
  const model = new Map<bigint, number>()
  const map = new Id64Map<number>()
  for (let i = 0; i < 20_000; i++) {
    const hi = random.pick([0, 1, -1, 0x0100_0000, -0x8000_0000])
    const lo = random.below(50) - 25
    const key = id64ToBigInt(hi, lo)
    const action = random.below(10)
    if (action < 5) {
      map.set(hi >>> 0, lo, i) // either form of a word is the same key
      model.set(key, i)
    } else if (action < 9) {
      expect(map.delete(hi, lo >>> 0)).toBe(model.delete(key))
    } else if (random.oneIn(100)) {
      map.clear()
      model.clear()
    }
    expect(map.size).toBe(model.size)
    expect(map.get(hi, lo)).toBe(model.get(key))
    expect(map.has(hi, lo)).toBe(model.has(key))
  }
  const seen = new Map<bigint, number>()
  map.forEach((value, hi, lo) => {
    seen.set(id64ToBigInt(hi, lo), value)
  })
  expect(seen).toEqual(model)
})

test('a writer grows from any size, keeps what it has, and writes what a DataView reads', () => {
  for (const capacity of [0, 1, 7, 16, 1024]) {
    const out = new Output(capacity)
    out.byte(-2)
    out.bool(true)
    out.int(-123456789)
    out.long(-(2 ** 40) - 5)
    out.words(-1, 7)
    out.string(null)
    out.buffer(null)
    out.buffer(Uint8Array.of(1, 2, 3))
    out.raw(new Uint8Array(3000).fill(9), 10, 2990)
    const bytes = out.copy()
    const head = Buffer.alloc(2 + 4 + 8 + 8 + 4 + 4 + 7)
    head.writeInt8(-2, 0)
    head.writeInt8(1, 1)
    head.writeInt32BE(-123456789, 2)
    head.writeBigInt64BE(-(2n ** 40n) - 5n, 6)
    head.writeInt32BE(-1, 14)
    head.writeInt32BE(7, 18)
    head.write('ffffffffffffffff00000003010203', 22, 'hex')
    expect(Buffer.compare(bytes, Buffer.concat([head, Buffer.alloc(2980, 9)]))).toBe(0)
    out.clear()
    expect(out.bytes().length).toBe(0)
  }
})

test('bytes are copied alike on both sides of the length where copying changes its way', () => {
  const src = randomOf(32).bytes(200)
  for (let length = 0; length < 100; length++) {
    const dst = new Uint8Array(length + 4)
    copyBytes(src, 50, 50 + length, dst, 2)
    expect([...dst]).toEqual([0, 0, ...src.subarray(50, 50 + length), 0, 0])
  }
})

test('a string or buffer longer than the limit is refused before it is looked at, and null is its own length', () => {
  const buf = new Uint8Array(24)
  const view = new DataView(buf.buffer)
  view.setInt32(0, 17)
  expect(() => new Input(buf, 0, 24, 16).buffer()).toThrow('unreasonable length 17 at offset 0')
  expect(() => new Input(buf, 0, 24, 16).string()).toThrow(ProtocolError)
  expect(new Input(buf, 0, 24, 17).buffer()!.length).toBe(17)
  expect(() => new Input(buf, 0, 20).buffer()).toThrow('length 17, 16 left at offset 0')
  view.setInt32(0, -2)
  expect(() => new Input(buf).string()).toThrow('unreasonable length -2 at offset 0')
  view.setInt32(0, -1)
  const inp = new Input(buf)
  expect(inp.string()).toBe(null)
  inp.reset(buf, 0, 24)
  inp.skipBuffer()
  expect(inp.off).toBe(4)
})

test('any byte but zero is true', () => {
  const buf = Uint8Array.from({ length: 256 }, (_, i) => i)
  const inp = new Input(buf)
  for (let i = 0; i < 256; i++) expect(inp.bool()).toBe(i !== 0)
})

test('a plain int is what a DataView reads', () => {
  const buf = randomOf(4).bytes(100)
  const view = new DataView(buf.buffer)
  for (let at = 0; at < 96; at++) expect(readInt(buf, at)).toBe(view.getInt32(at))
})
