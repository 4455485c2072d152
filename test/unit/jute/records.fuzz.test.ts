/**
 * Every reader under mutated bytes: the only thing that may come out besides a value is a ProtocolError, and no value
 * may hold more than its bytes can.
 */

import { expect, test } from 'vitest'
import { Input, ProtocolError } from '../../../src/jute/input.ts'
import { Output } from '../../../src/jute/output.ts'
import { codecOf, fixture, schema, unhex } from '../../conformance/jute/fixture.ts'
import { type Random, randomOf } from './random.ts'

const RUNS = 1500
const HUGE = [0x7fff_ffff, 0x7fff_fff0, 0x1000_0000, 0x0020_0000, 0x0010_0000, 0xffff_ffff, 0xffff_fffe, 0x8000_0000, 0]

function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let mutant = bytes.slice()
  for (let rounds = 1 + random.below(4); rounds > 0; rounds--) {
    const at = random.below(mutant.length + 1)
    switch (random.below(5)) {
      case 0:
        if (at < mutant.length) mutant[at]! ^= 1 << random.below(8)
        break
      case 1:
        mutant = mutant.slice(0, at)
        break
      case 2:
        if (at + 4 <= mutant.length) new DataView(mutant.buffer).setUint32(at, random.pick(HUGE))
        break
      case 3:
        mutant = Uint8Array.from([...mutant.subarray(0, at), ...random.bytes(random.below(12)), ...mutant.subarray(at)])
        break
      case 4:
        mutant = Uint8Array.from([
          ...mutant.subarray(0, at),
          ...mutant.subarray(Math.min(mutant.length, at + random.below(6))),
        ])
    }
  }
  return mutant
}

/** The parts of a value: what it costs in memory beside its bytes. */
function countParts(value: unknown): number {
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return 1
  let count = 1
  for (const part of Object.values(value)) count += countParts(part)
  return count
}

/** False for numbers that doubles round, and for code points beyond U+FFFF, which are not written as they are read. */
function isExact(value: unknown): boolean {
  if (typeof value === 'string') return !/[\ud800-\udfff]/.test(value)
  if (typeof value === 'number') return Number.isSafeInteger(value)
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return true
  return Object.values(value).every(isExact)
}

test.each(fixture.records.map((record, seed) => ({ ...record, seed })))('$name', ({ name, cases, seed }) => {
  const random = randomOf(seed)
  const codec = codecOf(name)
  const partsMin = 2 + schema.get(name)!.fields.length * 20
  let values = 0
  for (let run = 0; run < RUNS; run++) {
    const mutant = mutate(unhex(random.pick(cases).hex), random)
    // Well-formed bytes behind the end: a reader that looks there would go on.
    const around = Uint8Array.from([...mutant, ...unhex(random.pick(cases).hex)])
    const inp = new Input(around, 0, mutant.length)
    try {
      const value = codec.read(inp)
      values++
      expect(inp.off).toBeLessThanOrEqual(mutant.length)
      expect(countParts(value)).toBeLessThanOrEqual(partsMin + mutant.length)
      if (!isExact(value)) continue
      const out = new Output(64)
      codec.write(out, value)
      expect(codec.read(new Input(out.bytes()))).toStrictEqual(value)
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw new Error(`seed ${seed} run ${run}`, { cause: err })
      expect(err.offset).toBeLessThanOrEqual(mutant.length)
    }
  }
  expect(values).toBeGreaterThan(0)
})

test('a count that its bytes cannot hold is refused before memory is taken', () => {
  for (const name of ['MultiTxn', 'CloseSessionTxn', 'WhoAmIResponse', 'GetChildrenResponse']) {
    for (const [count, bytes] of [
      [0x7fff_ffff, 0],
      [0x7fff_ffff, 1_000_000],
      [1, 3],
      [1000, 3999],
    ] as const) {
      const buf = new Uint8Array(4 + bytes).fill(0xff)
      new DataView(buf.buffer).setInt32(0, count)
      expect(() => codecOf(name).read(new Input(buf))).toThrow(`${count} items in ${bytes} bytes at offset 0`)
    }
  }
})

test('a count below -1 reads as empty, -1 as null', () => {
  for (const [count, children] of [
    [-1, null],
    [-2, []],
    [-0x8000_0000, []],
    [0, []],
  ] as const) {
    const buf = new Uint8Array(4)
    new DataView(buf.buffer).setInt32(0, count)
    expect(codecOf('GetChildrenResponse').read(new Input(buf))).toStrictEqual({ children })
  }
})
