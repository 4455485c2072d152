/**
 * Paths as bytes, each stored once under a small dense id.
 *
 * For things that are keyed by a path without needing its node (a watch may precede its node). The bytes live in pages
 * of granules of 16; a freed block serves the next path of its size class. No string and no object per path.
 *
 * The path hash rolls over the bytes, so that one pass over a path yields the hash of every ancestor on the way:
 * `finishHash` makes the key of what has been rolled so far.
 */

import { assert } from '../jute/assert.ts'
import { ChainIndex, grown } from './chainindex.ts'

const GRANULE_BITS = 4
const PAGE_BYTES = 1 << 18
const PAGE_GRANULE_BITS = 18 - GRANULE_BITS
const PAGE_GRANULES = 1 << PAGE_GRANULE_BITS
/** Up to this many granules every size is a class of its own. */
const CLASS_EXACT_MAX = 64

/** Rolls one byte into a hash (FNV-1a's step, from a seed of the caller's). */
export function rollHash(rolled: number, byte: number): number {
  return Math.imul(rolled ^ byte, 0x0100_0193)
}

/** Spreads a rolled hash over all 32 bits (murmur3's end). */
export function finishHash(rolled: number): number {
  let hash = rolled ^ (rolled >>> 16)
  hash = Math.imul(hash, 0x85eb_ca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2_ae35)
  return hash ^ (hash >>> 16)
}

export function hashPath(seed: number, buf: Uint8Array, off: number, end: number): number {
  let rolled = seed
  for (let at = off; at < end; at++) rolled = rollHash(rolled, buf[at]!)
  return finishHash(rolled)
}

export class PathTable {
  /** Paths in the table. */
  count: number
  /** One more than the highest id ever given out. */
  idEnd: number
  private readonly index: ChainIndex
  /** By id: granule number of the bytes; for a free id the next free one. */
  private blocks: Int32Array
  /** By id: length in bytes; -1 for a free id. */
  private lengths: Int32Array
  private idFree: number
  private readonly pages: Uint8Array[]
  private granulesUsed: number
  /** Heads of free blocks by their size in granules; a block's first 4 bytes link to the next. */
  private readonly freeBySize: Map<number, number>

  constructor() {
    this.count = 0
    this.idEnd = 1
    this.index = new ChainIndex()
    this.blocks = new Int32Array(16)
    this.lengths = new Int32Array(16).fill(-1)
    this.idFree = 0
    this.pages = []
    this.granulesUsed = 0
    this.freeBySize = new Map()
  }

  get bytes(): number {
    let bytes = this.index.bytes + this.blocks.byteLength + this.lengths.byteLength
    for (const page of this.pages) bytes += page.length
    return bytes
  }

  /** The id of a path, or 0. `hash` must be `finishHash` of the path rolled from the table owner's seed. */
  find(hash: number, buf: Uint8Array, off: number, end: number): number {
    const index = this.index
    for (let id = index.first(hash); id !== 0; id = index.next(id)) {
      if (index.hashOf(id) === hash && this.equals(id, buf, off, end)) return id
    }
    return 0
  }

  /** The id of a path, which is stored if it is new. */
  intern(hash: number, buf: Uint8Array, off: number, end: number): number {
    const known = this.find(hash, buf, off, end)
    if (known !== 0) return known
    let id = this.idFree
    if (id !== 0) {
      this.idFree = this.blocks[id]!
    } else {
      id = this.idEnd++
      if (id >= this.blocks.length) {
        this.blocks = grown(this.blocks, id + 1)
        this.lengths = grown(this.lengths, id + 1)
      }
    }
    const length = end - off
    const block = this.allocate(granulesFor(length))
    this.pages[block >>> PAGE_GRANULE_BITS]!.set(buf.subarray(off, end), offsetOf(block))
    this.blocks[id] = block
    this.lengths[id] = length
    this.index.insert(id, hash)
    this.count++
    return id
  }

  /** Forgets a path; its id may be given to another. */
  release(id: number): void {
    assert(this.has(id), 'path released twice')
    this.index.remove(id)
    this.free(this.blocks[id]!, granulesFor(this.lengths[id]!))
    this.lengths[id] = -1
    this.blocks[id] = this.idFree
    this.idFree = id
    this.count--
  }

  has(id: number): boolean {
    return id > 0 && id < this.idEnd && this.lengths[id]! >= 0
  }

  hashOf(id: number): number {
    return this.index.hashOf(id)
  }

  /** The path's bytes, owned by the caller. */
  copyOf(id: number): Uint8Array {
    const block = this.blocks[id]!
    const at = offsetOf(block)
    return this.pages[block >>> PAGE_GRANULE_BITS]!.slice(at, at + this.lengths[id]!)
  }

  private equals(id: number, buf: Uint8Array, off: number, end: number): boolean {
    if (this.lengths[id] !== end - off) return false
    const block = this.blocks[id]!
    const page = this.pages[block >>> PAGE_GRANULE_BITS]!
    let at = offsetOf(block) + (end - off)
    // Backwards: paths under one parent differ at their ends.
    while (end > off) if (page[--at] !== buf[--end]) return false
    return true
  }

  private allocate(granules: number): number {
    const free = this.freeBySize.get(granules)
    if (free !== undefined) {
      const next = linkAt(this.pages[free >>> PAGE_GRANULE_BITS]!, offsetOf(free))
      if (next === 0) this.freeBySize.delete(granules)
      else this.freeBySize.set(granules, next - 1)
      return free
    }
    let left = this.pages.length * PAGE_GRANULES - this.granulesUsed
    if (granules > left) {
      while (left > 0) {
        const piece = Math.min(left, CLASS_EXACT_MAX)
        this.free(this.granulesUsed, piece)
        this.granulesUsed += piece
        left -= piece
      }
      // A block longer than a page has pages' numbers of its own, all of them one buffer at the first.
      const pagesNeeded = Math.ceil(granules / PAGE_GRANULES)
      for (let i = 0; i < pagesNeeded; i++) {
        this.pages.push(new Uint8Array(i > 0 ? 0 : pagesNeeded * PAGE_BYTES))
      }
      if (pagesNeeded > 1) {
        const block = this.granulesUsed
        this.granulesUsed += pagesNeeded * PAGE_GRANULES
        return block
      }
    }
    const block = this.granulesUsed
    this.granulesUsed += granules
    return block
  }

  private free(block: number, granules: number): void {
    const next = this.freeBySize.get(granules)
    setLinkAt(this.pages[block >>> PAGE_GRANULE_BITS]!, offsetOf(block), next === undefined ? 0 : next + 1)
    this.freeBySize.set(granules, block)
  }
}

/** Size classes: each granule up to 1 KiB, then steps of an eighth, then whole pages. */
function granulesFor(length: number): number {
  const granules = Math.max(1, (length + 15) >>> GRANULE_BITS)
  if (granules <= CLASS_EXACT_MAX) return granules
  if (granules > PAGE_GRANULES) return Math.ceil(granules / PAGE_GRANULES) * PAGE_GRANULES
  const step = 1 << (28 - Math.clz32(granules))
  return Math.ceil(granules / step) * step
}

function offsetOf(block: number): number {
  return (block & (PAGE_GRANULES - 1)) << GRANULE_BITS
}

function linkAt(page: Uint8Array, at: number): number {
  return page[at]! | (page[at + 1]! << 8) | (page[at + 2]! << 16) | (page[at + 3]! << 24)
}

function setLinkAt(page: Uint8Array, at: number, link: number): void {
  page[at] = link
  page[at + 1] = link >>> 8
  page[at + 2] = link >>> 16
  page[at + 3] = link >>> 24
}
