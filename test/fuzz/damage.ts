/**
 * Damage to bytes, of the kinds that disks, cables, crashes and hands do: bits and bytes changed, ranges lost, doubled,
 * swapped or inserted, sectors empty or full of something else, ends cut off or left empty, numbers out of all reason,
 * and pieces of another file.
 */

import type { Random } from '../simulation/random.ts'

const SECTOR_BYTES = 512
const RANGE_BYTES_MAX = 700
const EXTREMES = [
  0, 1, 2, 31, 32, 33, 0x7f, 0xff, 0x100, 0xffff, 0x10_0000, 0x1f_fffe, 0x1f_ffff, 0x7fff_ffff, -1, -2, -0x8000_0000,
]

const KINDS = {
  flip: 5,
  byte: 5,
  extreme: 5,
  cut: 3,
  emptyEnd: 2,
  remove: 2,
  double: 2,
  swap: 2,
  insert: 2,
  emptySectors: 2,
  garbageSector: 1,
  append: 1,
  splice: 2,
}

export type DamageKind = keyof typeof KINDS

export interface Damaged {
  bytes: Uint8Array
  kinds: DamageKind[]
}

/**
 * Damages a copy once, now and then up to four times. `marks`: offsets where something counts, which are hit more often
 * than chance would; `donor`: another file of the same kind.
 */
export function damage(bytes: Uint8Array, marks: readonly number[], donor: Uint8Array, random: Random): Damaged {
  const kinds: DamageKind[] = []
  const times = random.chance(0.65) ? 1 : random.between(2, 4)
  let damaged: Uint8Array = bytes.slice()
  for (let i = 0; i < times; i++) {
    const kind = random.weighted(KINDS)
    kinds.push(kind)
    damaged = damageOnce(kind, damaged, marks, donor, random)
  }
  return { bytes: damaged, kinds }
}

function damageOnce(
  kind: DamageKind,
  bytes: Uint8Array,
  marks: readonly number[],
  donor: Uint8Array,
  random: Random,
): Uint8Array {
  const place = (): number => placeIn(bytes, marks, random)
  const from = place()
  const count = Math.min(1 + random.int(random.chance(0.5) ? 24 : RANGE_BYTES_MAX), bytes.length - from)
  switch (kind) {
    case 'flip':
      if (bytes.length > 0) bytes[from]! ^= 1 << random.int(8)
      return bytes
    case 'byte':
      if (bytes.length > 0)
        bytes[from] = random.chance(0.5) ? random.pick([0, 1, 0x2f, 0x42, 0x7f, 0x80, 0xff]) : random.int(256)
      return bytes
    case 'extreme':
      return withNumber(bytes, from, random.chance(0.8) ? random.pick(EXTREMES) : (random.next() * 2 ** 32) | 0)
    case 'cut':
      return bytes.slice(0, from)
    case 'emptyEnd':
      return bytes.fill(0, from)
    case 'remove':
      return joined(bytes.subarray(0, from), bytes.subarray(from + count))
    case 'double':
      return joined(bytes.subarray(0, from + count), bytes.subarray(from))
    case 'swap':
      return swapped(bytes, from, place(), count)
    case 'insert':
      return joined(bytes.subarray(0, from), noise(count, random), bytes.subarray(from))
    case 'emptySectors':
      return withSectors(bytes, from, 1 + random.int(3), () => 0)
    case 'garbageSector':
      return withSectors(bytes, from, 1, () => random.int(256))
    case 'append':
      return joined(bytes, random.chance(0.5) ? new Uint8Array(random.int(2000)) : noise(random.int(600), random))
    default:
      return joined(
        bytes.subarray(0, from),
        donor.subarray(Math.min(donor.length, random.chance(0.5) ? from : place())),
      )
  }
}

function placeIn(bytes: Uint8Array, marks: readonly number[], random: Random): number {
  if (bytes.length === 0) return 0
  const wanted =
    marks.length > 0 && random.chance(0.4) ? random.pick(marks) + random.between(-1, 14) : random.int(bytes.length)
  return Math.max(0, Math.min(bytes.length - 1, wanted))
}

function withNumber(bytes: Uint8Array, off: number, value: number): Uint8Array {
  for (let i = 0; i < 4 && off + i < bytes.length; i++) bytes[off + i] = value >>> (24 - 8 * i)
  return bytes
}

function swapped(bytes: Uint8Array, one: number, other: number, count: number): Uint8Array {
  const first = Math.min(one, other)
  const second = Math.max(one, other)
  const length = Math.min(count, second - first, bytes.length - second)
  const held = bytes.slice(first, first + length)
  bytes.copyWithin(first, second, second + length)
  bytes.set(held, second)
  return bytes
}

function withSectors(bytes: Uint8Array, off: number, count: number, fill: () => number): Uint8Array {
  const first = off - (off % SECTOR_BYTES)
  const end = Math.min(first + count * SECTOR_BYTES, bytes.length)
  for (let at = first; at < end; at++) bytes[at] = fill()
  return bytes
}

function noise(bytes: number, random: Random): Uint8Array {
  return Uint8Array.from({ length: bytes }, () => random.int(256))
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}
