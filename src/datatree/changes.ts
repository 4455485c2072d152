/**
 * What has changed since a checkpoint began: which znodes, which paths went, which sessions.
 *
 * There for a store that writes differences (txnlog/levelstore.ts); a tree without one has no such record and pays a
 * null test per change. The promise: what the store holds, with these changes on top, is the tree.
 *
 * Two sets of node ids as bits, in pages that mirror the pages of records, so that neither a change nor a recycled id
 * costs more than a bit, and nothing grows beyond two bits a znode:
 *   dirty   the record differs from what the store has, or the store has none
 *   fresh   nothing was handed to the store since the znode was made: if it goes, the store need not be told
 * A removed znode that is not fresh leaves its path. Such a path may be there again when it is the store's turn; then
 * the new znode stands for it, and is no longer fresh (see `settleRemoved`).
 *
 * Paths and sessions are kept up to a limit. Beyond it the record is `lost`: only a whole checkpoint helps then. The
 * same holds after a change that no transaction made, since replay would not make it again.
 */

import { Id64Map } from '../jute/id64.ts'
import { NO_NODE, type NodeId, PAGE_SHIFT } from './node.ts'

/** Words of 32 ids in a page; a page of ids is a page of records. */
const PAGE_WORDS = 2 ** PAGE_SHIFT / 32
const WORD_SHIFT = 5

/** Bytes of removed paths, each with what it costs to keep it. */
const REMOVED_BYTES_MAX = 64 * 1024 * 1024
const REMOVED_COST = 96
const SESSIONS_MAX = 1_000_000

/** A set of node ids. */
export class NodeSet {
  private readonly pages: (Int32Array | null)[]

  constructor() {
    this.pages = []
  }

  has(n: NodeId): boolean {
    const page = this.pages[n >>> PAGE_SHIFT]
    if (page === undefined || page === null) return false
    return (page[(n >>> WORD_SHIFT) & (PAGE_WORDS - 1)]! & (1 << (n & 31))) !== 0
  }

  add(n: NodeId): void {
    const number = n >>> PAGE_SHIFT
    while (this.pages.length <= number) this.pages.push(null)
    let page = this.pages[number]!
    if (page === null) {
      page = new Int32Array(PAGE_WORDS)
      this.pages[number] = page
    }
    page[(n >>> WORD_SHIFT) & (PAGE_WORDS - 1)]! |= 1 << (n & 31)
  }

  delete(n: NodeId): void {
    const page = this.pages[n >>> PAGE_SHIFT]
    if (page !== undefined && page !== null) page[(n >>> WORD_SHIFT) & (PAGE_WORDS - 1)]! &= ~(1 << (n & 31))
  }

  /** Every id in so many pages of records, used or not. */
  addPages(count: number): void {
    while (this.pages.length < count) this.pages.push(null)
    for (let number = 0; number < count; number++) this.pages[number] = new Int32Array(PAGE_WORDS).fill(-1)
  }

  addAll(other: NodeSet): void {
    other.pages.forEach((from, number) => {
      while (this.pages.length <= number) this.pages.push(null)
      if (from === null) return
      const page = this.pages[number]!
      if (page === null) this.pages[number] = from.slice()
      else for (let i = 0; i < PAGE_WORDS; i++) page[i]! |= from[i]!
    })
  }

  /** The smallest id at or above `from` and below `end`; NO_NODE where there is none. */
  next(from: NodeId, end: NodeId): NodeId {
    const pageCount = Math.min(this.pages.length, (end + (1 << PAGE_SHIFT) - 1) >>> PAGE_SHIFT)
    let at = from
    while (at >>> PAGE_SHIFT < pageCount) {
      const number = at >>> PAGE_SHIFT
      const page = this.pages[number]!
      if (page !== null) {
        let index = (at >>> WORD_SHIFT) & (PAGE_WORDS - 1)
        let word = page[index]! & (-1 << (at & 31))
        while (word === 0 && ++index < PAGE_WORDS) word = page[index]!
        if (word !== 0) {
          const n = (number << PAGE_SHIFT) | (index << WORD_SHIFT) | (31 - Math.clz32(word & -word))
          return n < end ? n : NO_NODE
        }
      }
      at = (number + 1) << PAGE_SHIFT
    }
    return NO_NODE
  }
}

/** What a checkpoint has taken over, to be given back if it fails. */
export interface TakenChanges {
  /** Znodes handed over so far. */
  readonly written: NodeSet
  /** Paths that went, children before their parents. */
  readonly removed: readonly Uint8Array[]
  readonly sessions: readonly { readonly hi: number; readonly lo: number }[]
}

export class Changes {
  /** The record does not say all: only a whole checkpoint helps. */
  lost: boolean
  readonly dirty: NodeSet
  readonly fresh: NodeSet
  private removed: Uint8Array[]
  private removedBytes: number
  private sessions: Id64Map<true>

  constructor() {
    this.lost = false
    this.dirty = new NodeSet()
    this.fresh = new NodeSet()
    this.removed = []
    this.removedBytes = 0
    this.sessions = new Id64Map()
  }

  onCreate(n: NodeId): void {
    this.fresh.add(n)
    this.dirty.add(n)
  }

  onChange(n: NodeId): void {
    this.dirty.add(n)
  }

  /** `pathOf` answers with the znode's path (owned), and is asked only if that is needed. */
  onRemove(n: NodeId, pathOf: (n: NodeId) => Uint8Array): void {
    this.dirty.delete(n)
    if (this.fresh.has(n)) this.fresh.delete(n)
    else if (!this.lost) this.keepRemoved(pathOf(n))
  }

  onSession(hi: number, lo: number): void {
    if (this.lost) return
    this.sessions.set(hi, lo, true)
    if (this.sessions.size > SESSIONS_MAX) this.lose()
  }

  lose(): void {
    this.lost = true
    this.removed = []
    this.sessions = new Id64Map()
  }

  /** Hands over what has gathered; from here on it gathers anew. Bits of znodes go as each is written (`written`). */
  take(): TakenChanges {
    const { removed } = this
    const sessions: { hi: number; lo: number }[] = []
    this.sessions.forEach((_true, hi, lo) => {
      sessions.push({ hi, lo })
    })
    this.removed = []
    this.removedBytes = 0
    this.sessions = new Id64Map()
    return { written: new NodeSet(), removed, sessions }
  }

  /** The checkpoint that took these failed: all of it counts as not written. */
  giveBack(taken: TakenChanges): void {
    this.dirty.addAll(taken.written)
    if (this.lost) return
    const later = this.removed
    this.removed = []
    this.removedBytes = 0
    for (const path of taken.removed) this.keepRemoved(path)
    for (const path of later) this.keepRemoved(path)
    for (const { hi, lo } of taken.sessions) this.onSession(hi, lo)
  }

  /** A path that had gone is there again, as `n`: the store has something under it. */
  settleRemoved(n: NodeId): void {
    this.fresh.delete(n)
    this.dirty.add(n)
  }

  /** What the store is being handed is the znode as it is now; or that record holds none. */
  written(n: NodeId, taken: TakenChanges): void {
    this.dirty.delete(n)
    this.fresh.delete(n)
    taken.written.add(n)
  }

  private keepRemoved(path: Uint8Array): void {
    this.removed.push(path)
    this.removedBytes += path.length + REMOVED_COST
    if (this.removedBytes > REMOVED_BYTES_MAX) this.lose()
  }
}
