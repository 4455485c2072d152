import { describe, expect, test } from 'vitest'
import { hashBytes, PathIndex, type PathMatcher, spread } from '../../../src/datatree/pathindex.ts'
import { Random } from './random.ts'
import { decoder, encoder } from './treekit.ts'

/** Names by id, which is all the index needs to know of the tree. */
class Names implements PathMatcher {
  readonly byId = new Map<number, string>()
  asked = 0

  isPathOf(id: number, buf: Uint8Array, off: number, end: number): boolean {
    this.asked++
    return this.byId.get(id) === decoder.decode(buf.subarray(off, end))
  }
}

const hash = (bytes: Uint8Array, seed = 0): number => hashBytes(seed, bytes, 0, bytes.length)

function contents(index: PathIndex): number[] {
  const ids: number[] = []
  index.check((id) => ids.push(id))
  return ids.sort((a, b) => a - b)
}

describe('the hash', () => {
  test('of a path continues that of its parent', () => {
    const path = encoder.encode('/a/bc/déf')
    for (let cut = 0; cut <= path.length; cut++) {
      expect(hashBytes(hashBytes(99, path, 0, cut), path, cut, path.length)).toBe(hash(path, 99))
    }
  })

  test('spreads sequential names evenly over tables and slots, under any seed', () => {
    for (const seed of [0, 1, -1, 0x5555_5555]) {
      const tables = new Int32Array(256)
      const slots = new Int32Array(256)
      for (let i = 0; i < 256 * 256; i++) {
        const h = spread(hash(encoder.encode(`/locks/lock-${String(i).padStart(10, '0')}`), seed))
        tables[h >>> 24]!++
        slots[h & 255]!++
      }
      // 256 expected in each; 6 standard deviations are 96
      for (const counts of [tables, slots]) {
        expect(Math.min(...counts)).toBeGreaterThan(160)
        expect(Math.max(...counts)).toBeLessThan(352)
      }
    }
  })

  test('of two paths that collide differs under another seed', () => {
    const seen = new Map<number, string>()
    let collisions = 0
    for (let i = 0; i < 300_000; i++) {
      const path = `/p${i.toString(36)}`
      const h = hash(encoder.encode(path))
      const other = seen.get(h)
      seen.set(h, path)
      if (other === undefined) continue
      collisions++
      expect(hash(encoder.encode(path), 77)).not.toBe(hash(encoder.encode(other), 77))
    }
    // 300,000 in 2^32: ten or so by the birthday rule
    expect(collisions).toBeLessThan(40)
  })
})

describe('PathIndex', () => {
  test('tells apart paths of one hash by asking the owner of the names', () => {
    const names = new Names()
    const index = new PathIndex(names)
    const ids = [1, 2, 3, 4, 5]
    for (const id of ids) {
      names.byId.set(id, `/n${id}`)
      index.insert(42, id)
    }
    const find = (id: number): number => {
      const path = encoder.encode(`/n${id}`)
      return index.find(42, path, 0, path.length)
    }
    expect(ids.map(find)).toEqual(ids)
    index.remove(42, 3)
    expect(ids.map(find)).toEqual([1, 2, 0, 4, 5])
    index.remove(42, 1)
    expect(ids.map(find)).toEqual([0, 2, 0, 4, 5])
    expect(find(9)).toBe(0)
    expect(contents(index)).toEqual([2, 4, 5])
  })

  test('asks about a candidate only if the whole hash is equal', () => {
    const names = new Names()
    const index = new PathIndex(names)
    for (let id = 1; id <= 10_000; id++) index.insert(id, id)
    const path = encoder.encode('/x')
    for (let state = 10_001; state <= 20_000; state++) expect(index.find(state, path, 0, 2)).toBe(0)
    expect(names.asked).toBe(0)
  })

  test('closes the gap a removal leaves, also across the end of a table', () => {
    const names = new Names()
    // `state` such that all entries lie in one table, with homes from the last slot on
    const states: number[] = []
    for (let state = 0; states.length < 5; state++) {
      const h = spread(state)
      if (h >>> 24 === 7 && (h & 7) >= 6) states.push(state)
    }
    for (let victim = 0; victim < states.length; victim++) {
      const index = new PathIndex(names)
      states.forEach((state, i) => {
        index.insert(state, i + 1)
        names.byId.set(i + 1, `/n${i + 1}`)
      })
      index.remove(states[victim]!, victim + 1)
      const found = states.map((state, i) => index.find(state, encoder.encode(`/n${i + 1}`), 0, 3))
      expect(found).toEqual(states.map((_, i) => (i === victim ? 0 : i + 1)))
      contents(index)
    }
  })

  test('refuses to remove what it does not have', () => {
    const index = new PathIndex(new Names())
    index.insert(1, 1)
    expect(() => index.remove(1, 2)).toThrow('not in the index')
  })

  test.each([1, 2, 3])('agrees with a plain Map under random use, seed %i', (seed) => {
    const random = new Random(seed)
    const names = new Names()
    const index = new PathIndex(names)
    const idByPath = new Map<string, number>()
    const free: number[] = []
    let idNext = 1
    for (let step = 0; step < 60_000; step++) {
      const path = `/${random.below(20_000).toString(36)}`
      const bytes = encoder.encode(path)
      // few bits, so that whole hashes collide often
      const state = hash(bytes) & 0xfff
      const id = idByPath.get(path) ?? 0
      const found = index.find(state, bytes, 0, bytes.length)
      if (found !== id) expect.fail(`${path} is ${found}, not ${id}, at step ${step}`)
      const isGrowing = step % 30_000 < 15_000
      if (id === 0 && (isGrowing || random.below(10) < 3)) {
        const added = free.pop() ?? idNext++
        idByPath.set(path, added)
        names.byId.set(added, path)
        index.insert(state, added)
      } else if (id !== 0 && (!isGrowing || random.below(10) < 3)) {
        index.remove(state, id)
        idByPath.delete(path)
        names.byId.delete(id)
        free.push(id)
      }
      if (step % 10_000 === 0) expect(contents(index)).toEqual([...idByPath.values()].sort((a, b) => a - b))
    }
    expect(index.size).toBe(idByPath.size)
  })

  test('holds no memory when empty, little when small, and gives back what it does not need', () => {
    const index = new PathIndex(new Names())
    expect(index.bytes()).toBe(0)
    index.insert(1, 1)
    expect(index.bytes()).toBe(64)
    for (let id = 2; id <= 100_000; id++) index.insert(Math.imul(id, 0x9e3779b1), id)
    const full = index.bytes()
    expect(full / 100_000).toBeLessThanOrEqual(24)
    for (let id = 2; id <= 99_000; id++) index.remove(Math.imul(id, 0x9e3779b1), id)
    expect(index.bytes()).toBeLessThan(full / 16)
    contents(index)
    for (let id = 99_001; id <= 100_000; id++) index.remove(Math.imul(id, 0x9e3779b1), id)
    index.remove(1, 1)
    expect(index.bytes()).toBe(0)
    expect(contents(index)).toEqual([])
  })
})
