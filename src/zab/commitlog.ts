/**
 * A member's recent history in memory: what is logged and not delivered yet, and the last of what was delivered.
 *
 *        |<- for learners that are a little behind ->|<- may be cut by a new leader ->|
 *   -----+-------------------------------------------+--------------------------------+
 *    zxidReach                                  zxidDelivered                     zxidLogged
 *
 * The part on the right outlives a change of role: the tree never saw it, so a truncation costs the tree nothing, and
 * the next vote counts it, because we may have acknowledged it (ZOOKEEPER-2845, 4712). Within an epoch the entries have
 * no hole: one would go to learners as a DIFF and be lost for good there (ZOOKEEPER-4925).
 *
 * Java: ZKDatabase's committedLog, with Leader.outstandingProposals and FollowerZooKeeperServer.pendingTxns in one.
 */

import { assert } from '../jute/assert.ts'
import { counterOf, epochOf, type Zxid, zxidHex } from '../jute/zxid.ts'
import type { Proposal } from './types.ts'

/** Delivered entries are let go beyond this many bytes, however few they are: a DIFF is sent in one go. */
const DELIVERED_BYTES_MAX = 64 * 1024 * 1024

export class CommitLog {
  /** The end of our log: an entry, or the snapshot behind which there is none. -1: nothing, and no right to vote. */
  zxidLogged: Zxid
  zxidDurable: Zxid
  /** Where the tree stands; of an established leader also the point where its epoch begins, an entry or not. */
  zxidDelivered: Zxid
  /** The tree has what our log has not: on an observer that does not log. */
  unlogged: boolean
  /** A zxid of our history from which on `entries` go on without a hole. */
  zxidReach: Zxid
  private entries: Proposal[]
  /** Entries before this index are gone. */
  private head: number
  /** The first entry that is not delivered, if there is one. */
  private next: number
  private deliveredBytes: number
  private readonly countMax: number

  /** `proposals`: the newest log entries up to `zxidLast`, all delivered; of those before a hole nothing is kept (E4). */
  constructor(zxidLast: Zxid, proposals: readonly Proposal[], countMax: number) {
    this.zxidLogged = zxidLast
    this.zxidDurable = zxidLast
    this.zxidDelivered = zxidLast
    this.unlogged = false
    const whole = withoutHole(proposals, zxidLast)
    this.entries = whole
    this.head = 0
    this.next = whole.length
    this.zxidReach = whole.length > 0 ? whole[0]!.zxid : zxidLast
    this.countMax = countMax
    this.deliveredBytes = 0
    for (const { bytes } of whole) this.deliveredBytes += bytes.length
    this.trim()
  }

  append(proposal: Proposal): void {
    const { zxid } = proposal
    if (!follows(this.zxidLogged, zxid)) assert(false, hole(this.zxidLogged, zxid)) // the text costs more than the append
    this.entries.push(proposal)
    this.zxidLogged = zxid
  }

  onDurable(zxid: Zxid): void {
    assert(zxid <= this.zxidLogged, 'durable before it was logged')
    if (zxid > this.zxidDurable) this.zxidDurable = zxid
  }

  get drained(): boolean {
    return this.zxidDurable === this.zxidLogged
  }

  /** Visits what is not delivered, up to and with `zxid`; it is delivered then. */
  deliverTo(zxid: Zxid, visit: (proposal: Proposal) => void): void {
    while (this.next < this.entries.length && this.entries[this.next]!.zxid <= zxid) {
      const proposal = this.entries[this.next++]!
      this.zxidDelivered = proposal.zxid
      this.deliveredBytes += proposal.bytes.length
      visit(proposal)
    }
    this.trim()
  }

  /** The tree moves on without the log. Only where all that is logged is delivered. */
  deliverUnlogged(zxid: Zxid): void {
    assert(this.next === this.entries.length, 'something logged is not delivered')
    assert(zxid > this.zxidDelivered, 'delivered twice')
    this.zxidDelivered = zxid
    this.unlogged = true
  }

  /** The server gives its tree the name of the epoch that begins here. */
  beginEpoch(epochStart: Zxid): void {
    assert(this.next === this.entries.length, 'something logged is not delivered')
    if (epochStart > this.zxidDelivered) this.zxidDelivered = epochStart
  }

  /** The log was cut behind `zxid`, and the tree stands at `zxidDelivered`: lower, or rebuilt up to the cut. */
  truncate(zxid: Zxid, zxidDelivered: Zxid): void {
    this.entries.length = this.indexAfter(zxid)
    this.zxidLogged = zxid
    this.zxidDurable = zxid
    this.zxidDelivered = zxidDelivered
    this.unlogged = false
    this.zxidReach = Math.min(this.zxidReach, zxid)
    this.next = this.indexAfter(zxidDelivered)
    this.deliveredBytes = 0
    for (let i = this.head; i < this.next; i++) this.deliveredBytes += this.entries[i]!.bytes.length
  }

  /** Log and tree were replaced by a snapshot at `zxid`. */
  restart(zxid: Zxid): void {
    this.entries = []
    this.head = 0
    this.next = 0
    this.deliveredBytes = 0
    this.zxidLogged = zxid
    this.zxidDurable = zxid
    this.zxidDelivered = zxid
    this.unlogged = false
    this.zxidReach = zxid
  }

  /** The entry that follows `zxid`, if it is here. */
  after(zxid: Zxid): Proposal | undefined {
    return this.entries[this.indexAfter(zxid)]
  }

  /** The last entry at or before `zxid`; `zxidReach` if there is none here. */
  lastUpTo(zxid: Zxid): Zxid {
    const index = this.indexAfter(zxid) - 1
    return index < this.head ? this.zxidReach : this.entries[index]!.zxid
  }

  /** Is it known to be part of our history? What lies before `zxidReach` is not known here. */
  has(zxid: Zxid): boolean {
    return zxid === this.zxidReach || (zxid >= this.zxidReach && this.lastUpTo(zxid) === zxid)
  }

  visitAfter(zxid: Zxid, visit: (proposal: Proposal) => void): void {
    for (let i = this.indexAfter(zxid); i < this.entries.length; i++) visit(this.entries[i]!)
  }

  countAfter(zxid: Zxid): number {
    return this.entries.length - this.indexAfter(zxid)
  }

  /** Index of the first entry beyond `zxid`. */
  private indexAfter(zxid: Zxid): number {
    let low = this.head
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.entries[middle]!.zxid <= zxid) low = middle + 1
      else high = middle
    }
    return low
  }

  private trim(): void {
    while (
      this.next - this.head > this.countMax ||
      (this.deliveredBytes > DELIVERED_BYTES_MAX && this.head < this.next)
    ) {
      const gone = this.entries[this.head++]!
      this.deliveredBytes -= gone.bytes.length
      this.zxidReach = gone.zxid
    }
    if (this.head < this.countMax + 64) return
    // Moves what is left only once in many times: the cost per entry stays the same however many are kept.
    this.entries = this.entries.slice(this.head)
    this.next -= this.head
    this.head = 0
  }
}

/** May `zxid` come right behind `last`? A new epoch may begin anywhere: Java can be told to (testingonly.initialZxid). */
export function follows(last: Zxid, zxid: Zxid): boolean {
  return zxid === last + 1 || epochOf(zxid) > epochOf(last)
}

/** As `follows`, and certain that nothing is missing: the first of an epoch has the counter 1. */
export function followsForSure(last: Zxid, zxid: Zxid): boolean {
  return zxid === last + 1 || (epochOf(zxid) > epochOf(last) && counterOf(zxid) === 1)
}

export function hole(last: Zxid, zxid: Zxid): string {
  return `0x${zxidHex(zxid)} does not follow 0x${zxidHex(last)}`
}

/** The entries from behind the last hole on; none if they do not end at `zxidLast`, or at the epoch that begins there. */
function withoutHole(proposals: readonly Proposal[], zxidLast: Zxid): Proposal[] {
  const count = proposals.length
  const end = count === 0 ? -1 : proposals[count - 1]!.zxid
  if (end !== zxidLast && (end === -1 || end > zxidLast || counterOf(zxidLast) !== 0)) return []
  let first = count - 1
  while (first > 0 && follows(proposals[first - 1]!.zxid, proposals[first]!.zxid)) first--
  return proposals.slice(first)
}
