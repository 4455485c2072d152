/**
 * From the bytes of a path to the id of its znode: a hash table that holds ids, not paths.
 *
 * A path's hash is a running state over its bytes, so the state of "/a/b" continues that of "/a": one scan passes the
 * states of all ancestors, and a child's follows from its parent's. `spread` turns a state into the value that places
 * it. Its top 8 bits choose one of 256 tables of (id, hash) pairs with linear probing; deletion shifts back, so there
 * are no tombstones. Each table grows (above a load of 0.7) and shrinks (below 0.17) alone: the longest pause is 1/256
 * of a full rehash. Whether a candidate is the path asked for is decided by the owner, who knows the names.
 *
 * The seed keeps clients from choosing paths that collide.
 */

import { assert } from '../jute/assert.ts'
import { allocatePage } from './pages.ts'

const TABLES = 256
const CAPACITY_MIN = 8

/** Decides a candidate: are these bytes the path of node `id`? */
export interface PathMatcher {
  isPathOf(id: number, buf: Uint8Array, off: number, end: number): boolean
}

/** Continues a path's hash state over more bytes of it. The root, the empty path, has the seed as its state. */
export function hashBytes(state: number, buf: Uint8Array, off: number, end: number): number {
  let h = state | 0
  while (off < end) {
    h = Math.imul(h ^ buf[off++]!, 0x5bd1e995)
    h ^= h >>> 15
  }
  return h
}

/** Spreads a state over all 32 bits; a bijection. */
export function spread(state: number): number {
  let h = state
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

export class PathIndex {
  size: number
  /** Pairs: id at even positions (0 is empty), hash at odd ones. */
  private readonly tables: Int32Array[]
  private readonly counts: Int32Array
  private readonly matcher: PathMatcher
  private readonly empty: Int32Array
  private heldBytes: number

  constructor(matcher: PathMatcher) {
    this.size = 0
    this.empty = new Int32Array(2)
    this.tables = new Array<Int32Array>(TABLES).fill(this.empty)
    this.counts = new Int32Array(TABLES)
    this.matcher = matcher
    this.heldBytes = 0
  }

  /** The id whose path has this state and these bytes; 0 if none. */
  find(state: number, buf: Uint8Array, off: number, end: number): number {
    const hash = spread(state)
    const table = this.tables[hash >>> 24]!
    const mask = table.length - 2
    for (let at = (hash << 1) & mask; ; at = (at + 2) & mask) {
      const id = table[at]!
      if (id === 0) return 0
      if (table[at + 1] === hash && this.matcher.isPathOf(id, buf, off, end)) return id
    }
  }

  /** Adds an id under a state; that no equal path is there already is the caller's business. */
  insert(state: number, id: number): void {
    const hash = spread(state)
    const number = hash >>> 24
    const count = ++this.counts[number]!
    let table = this.tables[number]!
    if (count * 20 > table.length * 7) table = this.resize(number, Math.max(CAPACITY_MIN * 2, table.length * 2))
    put(table, hash, id)
    this.size++
  }

  remove(state: number, id: number): void {
    const hash = spread(state)
    const number = hash >>> 24
    const table = this.tables[number]!
    const mask = table.length - 2
    let hole = (hash << 1) & mask
    while (table[hole] !== id) {
      assert(table[hole] !== 0, 'remove: not in the index')
      hole = (hole + 2) & mask
    }
    // An entry may move back into the hole unless its home lies behind the hole, on the way to where it stands.
    for (let at = (hole + 2) & mask; table[at] !== 0; at = (at + 2) & mask) {
      const home = (table[at + 1]! << 1) & mask
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      table[hole] = table[at]!
      table[hole + 1] = table[at + 1]!
      hole = at
    }
    table[hole] = 0
    this.size--
    const count = --this.counts[number]!
    if (count === 0) this.replace(number, this.empty)
    else if (count * 12 < table.length && table.length > CAPACITY_MIN * 2) this.resize(number, table.length / 2)
  }

  bytes(): number {
    return this.heldBytes
  }

  clear(): void {
    this.tables.fill(this.empty)
    this.counts.fill(0)
    this.size = 0
    this.heldBytes = 0
  }

  /** Asserts the tables' order and counts, and visits every entry. For tests. */
  check(visit: (id: number, hash: number) => void): void {
    let size = 0
    let bytes = 0
    this.tables.forEach((table, number) => {
      if (table !== this.empty) bytes += table.byteLength
      const mask = table.length - 2
      let count = 0
      for (let at = 0; at < table.length; at += 2) {
        if (table[at] === 0) continue
        count++
        const hash = table[at + 1]!
        assert(hash >>> 24 === number, 'entry in the wrong table')
        for (let on = (hash << 1) & mask; on !== at; on = (on + 2) & mask) {
          assert(table[on] !== 0, 'gap between an entry and its home')
        }
        visit(table[at]!, hash)
      }
      assert(count === this.counts[number] && (count === 0 || count * 2 < table.length), 'table miscounts its entries')
      size += count
    })
    assert(size === this.size && bytes === this.heldBytes, 'index miscounts')
  }

  private resize(number: number, length: number): Int32Array {
    const old = this.tables[number]!
    const table = new Int32Array(allocatePage(length * 4))
    for (let at = 0; at < old.length; at += 2) if (old[at] !== 0) put(table, old[at + 1]!, old[at]!)
    this.replace(number, table)
    return table
  }

  private replace(number: number, table: Int32Array): void {
    this.heldBytes += bytesOf(table) - bytesOf(this.tables[number]!)
    this.tables[number] = table
  }
}

function put(table: Int32Array, hash: number, id: number): void {
  const mask = table.length - 2
  let at = (hash << 1) & mask
  while (table[at] !== 0) at = (at + 2) & mask
  table[at] = id
  table[at + 1] = hash
}

/** The empty table, of one pair, is shared and costs nothing. */
function bytesOf(table: Int32Array): number {
  return table.length > 2 ? table.byteLength : 0
}
