/**
 * A hash index from 32-bit hashes to ids: buckets of chains, linked through an array by id.
 *
 * The caller keeps what an id stands for and compares; this only narrows the search. It grows by linear hashing
 * (Litwin 1980): each insert splits at most one bucket, so there is no moment at which a million entries are moved.
 * Per id: 4 bytes of hash, 4 of link, 4 to 8 of bucket. Ids are positive; 0 ends a chain.
 *
 *   for (let id = index.first(hash); id !== 0; id = index.next(id)) if (index.hashOf(id) === hash && ...) return id
 */

import { assert } from '../jute/assert.ts'

const BUCKETS_MIN = 16

export class ChainIndex {
  private buckets: Int32Array
  /** Buckets in use: `level + split`; those below `split` have already been divided in this round. */
  private level: number
  private split: number
  private links: Int32Array
  private hashes: Int32Array
  private count: number

  constructor() {
    this.buckets = new Int32Array(BUCKETS_MIN)
    this.level = BUCKETS_MIN
    this.split = 0
    this.links = new Int32Array(BUCKETS_MIN)
    this.hashes = new Int32Array(BUCKETS_MIN)
    this.count = 0
  }

  get bytes(): number {
    return this.buckets.byteLength + this.links.byteLength + this.hashes.byteLength
  }

  first(hash: number): number {
    return this.buckets[this.bucketOf(hash)]!
  }

  next(id: number): number {
    return this.links[id]!
  }

  hashOf(id: number): number {
    return this.hashes[id]!
  }

  insert(id: number, hash: number): void {
    assert(id > 0, 'ids are positive')
    if (id >= this.links.length) {
      this.links = grown(this.links, id + 1)
      this.hashes = grown(this.hashes, id + 1)
    }
    const bucket = this.bucketOf(hash)
    this.hashes[id] = hash
    this.links[id] = this.buckets[bucket]!
    this.buckets[bucket] = id
    this.count++
    if (this.count > this.level + this.split) this.splitNext()
  }

  /** Takes out an id that is in. */
  remove(id: number): void {
    const bucket = this.bucketOf(this.hashes[id]!)
    let at = this.buckets[bucket]!
    if (at === id) {
      this.buckets[bucket] = this.links[id]!
    } else {
      while (this.links[at] !== id) {
        assert(at !== 0, 'removed what is not in the index')
        at = this.links[at]!
      }
      this.links[at] = this.links[id]!
    }
    this.links[id] = 0
    this.count--
  }

  private bucketOf(hash: number): number {
    const bucket = hash & (this.level - 1)
    return bucket < this.split ? hash & (2 * this.level - 1) : bucket
  }

  private splitNext(): void {
    const low = this.split
    const high = this.level + low
    if (high >= this.buckets.length) this.buckets = grown(this.buckets, high + 1)
    let lowChain = 0
    let highChain = 0
    for (let id = this.buckets[low]!; id !== 0; ) {
      const after = this.links[id]!
      if ((this.hashes[id]! & this.level) === 0) {
        this.links[id] = lowChain
        lowChain = id
      } else {
        this.links[id] = highChain
        highChain = id
      }
      id = after
    }
    this.buckets[low] = lowChain
    this.buckets[high] = highChain
    this.split++
    if (this.split === this.level) {
      this.level *= 2
      this.split = 0
    }
  }
}

/** A copy with room for `length` at least: doubled while small, half as much again when large. */
export function grown(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  let capacity = array.length
  while (capacity < length) capacity += capacity < 65536 ? Math.max(capacity, 16) : capacity >>> 1
  const bigger = new Int32Array(capacity)
  bigger.set(array)
  return bigger
}
