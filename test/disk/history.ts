/**
 * What a server has promised of its files: the history it was given, how much of it is acknowledged, and its epochs.
 *
 * The digest at each zxid is that of a tree of the test's own, which is never written to a disk. While a history is
 * being replaced (a truncation, a snapshot from a leader), the one before and the one after are both as good.
 */

import type { StateMachine } from '../../src/datatree/apply.ts'
import { NO_NODE } from '../../src/datatree/tree.ts'
import type { Zxid } from '../../src/jute/zxid.ts'
import type { Random } from '../simulation/random.ts'
import { createTxn, deleteTxn, digestOf, makeState, sessionTxn, setDataTxn } from '../unit/txnlog/states.ts'

interface Entry {
  readonly zxid: Zxid
  readonly digest: string
  readonly txn: Uint8Array
}

/** A history may end at any of its first `count` entries that is not before `low`. */
interface Line {
  readonly entries: readonly Entry[]
  readonly count: number
  readonly low: Zxid
}

/** An epoch file holds a number between the two: the last one confirmed, and the last one asked for. */
export interface Span {
  readonly low: number
  readonly high: number
}

/** What may be found after a loss. */
export interface Expected {
  readonly lines: readonly Line[]
  readonly accepted: Span
  readonly current: Span
}

export class History {
  /** The tree that has all of the history. */
  state: StateMachine
  accepted: Span
  current: Span
  private entries: Entry[]
  private low: Zxid
  private other: Line | null
  private txnCount: number

  /** Of a new server, or from a tree that nobody else uses. */
  constructor(state = emptyState(), zxid = 0) {
    this.state = state
    this.accepted = { low: 0, high: 0 }
    this.current = { low: 0, high: 0 }
    this.entries = [{ zxid, digest: digestOf(this.state), txn: new Uint8Array(0) }]
    this.low = zxid
    this.other = null
    this.txnCount = zxid % 2 ** 32
  }

  get zxidLast(): Zxid {
    return this.entries.at(-1)!.zxid
  }

  /** All up to here was acknowledged. */
  get acknowledged(): Zxid {
    return this.low
  }

  txnOf(zxid: Zxid): Uint8Array {
    return this.entries.find((entry) => entry.zxid === zxid)!.txn
  }

  /** Entries behind `zxid`; where an epoch begins is one without a transaction. */
  behind(zxid: Zxid): readonly Entry[] {
    return this.entries.filter((entry) => entry.zxid > zxid)
  }

  /** The next transaction of a workload, which is part of the history from now on. */
  next(zxid: Zxid, random: Random): Uint8Array {
    this.txnCount++
    const node = `/n${random.int(12)}`
    const children = this.childCount(node)
    // What a leader would refuse is in no log: a child without its parent, data for nobody, a delete above children.
    let kind = random.next()
    if (kind >= 0.5 && kind < 0.78 && children < 0) kind = 0
    if (kind >= 0.78 && kind < 0.9 && children > 0) kind = 0.7
    let txn: Uint8Array
    // Data of several sectors, so that the middle of a record can be missing.
    if (kind < 0.5) txn = createTxn(zxid, node, 'd'.repeat(random.pick([0, 40, 300, 700, 1800])))
    else if (kind < 0.6) txn = createTxn(zxid, `${node}/e${this.txnCount}`, 'e', 1 + random.int(3))
    else if (kind < 0.78) txn = setDataTxn(zxid, node, `at ${this.txnCount}`, this.txnCount)
    else if (kind < 0.9) txn = deleteTxn(zxid, node)
    else txn = sessionTxn(zxid, 1 + random.int(3), random.chance(0.5) ? -10 : -11)
    // The parent's cversion grows over epochs too.
    if (kind < 0.6) new DataView(txn.buffer, txn.byteOffset).setInt32(txn.length - 4, this.txnCount)
    this.state.apply(txn, 0, txn.length)
    this.entries.push({ zxid, digest: digestOf(this.state), txn })
    return txn
  }

  /** A leader's tree stands where its epoch begins, before it has a transaction. */
  beginEpoch(zxid: Zxid): void {
    this.state.zxidLast = zxid
    this.entries.push({ zxid, digest: digestOf(this.state), txn: new Uint8Array(0) })
  }

  /** -1 where there is no such znode. */
  private childCount(path: string): number {
    const { tree } = this.state
    const bytes = new TextEncoder().encode(path)
    const n = tree.find(bytes, 0, bytes.length)
    return n === NO_NODE ? -1 : tree.numChildren(n)
  }

  /** All up to `zxid` is promised. */
  acknowledge(zxid: Zxid): void {
    this.low = Math.max(this.low, zxid)
  }

  /** A start has found so much, and serves it: nothing else was ever promised, and all of this is. */
  recovered(zxid: Zxid): void {
    this.cut(zxid)
    this.low = zxid
    this.other = null
  }

  /** What is behind `zxid` is going to be cut, or has been: until `replaced`, both are good. */
  replacing(zxid: Zxid): void {
    this.other = { entries: this.entries, count: this.entries.length, low: Math.min(this.low, zxid) }
    this.cut(zxid)
    this.low = Math.min(this.low, zxid)
  }

  /** The history is the new one, up to its end. */
  replaced(): void {
    this.other = null
    this.low = this.zxidLast
  }

  expected(): Expected {
    const { accepted, current, low, entries } = this
    const line = { entries, count: entries.length, low }
    return { lines: this.other === null ? [line] : [line, this.other], accepted, current }
  }

  private cut(zxid: Zxid): void {
    if (this.zxidLast === zxid) return
    this.entries = this.entries.filter((entry) => entry.zxid <= zxid)
    this.state = emptyState()
    for (const { txn } of this.entries) if (txn.length > 0) this.state.apply(txn, 0, txn.length)
    this.state.zxidLast = zxid
  }
}

function emptyState(): StateMachine {
  const state = makeState()
  state.zxidLast = 0
  return state
}

/** Throws where a start has found something that it must not. */
export function checkHistory(expected: Expected, zxidLast: Zxid, digest: string): void {
  const ends: string[] = []
  for (const { entries, count, low } of expected.lines) {
    const entry = entries.slice(0, count).find((each) => each.zxid === zxidLast)
    if (entry !== undefined && zxidLast >= low) {
      if (entry.digest === digest) return
      ends.push(`another tree at ${hex(zxidLast)}: ${digest}, not ${entry.digest}`)
    } else ends.push(`not between ${hex(low)} and ${hex(entries[count - 1]!.zxid)}`)
  }
  throw new Error(`history ends at ${hex(zxidLast)}: ${ends.join('; ')}`)
}

export function checkSpan(what: string, { low, high }: Span, found: number): void {
  if (found < low || found > high) throw new Error(`${what} is ${found}, not between ${low} and ${high}`)
}

function hex(zxid: Zxid): string {
  return `0x${zxid.toString(16)}`
}
