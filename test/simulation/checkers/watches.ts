/**
 * I6 for one session: a watch fires once (persistent ones for every change), never ahead of the reply that set it,
 * always ahead of any reply that shows a state as new as its change, in the order of the changes and with the zxid of
 * each; none is lost over a reconnection, or told twice.
 *
 * What is due follows from the committed changes: a cursor walks over them as replies come; a change that one of the
 * session's watches stands for must have been told by then. After a reconnection setWatches has rules of its own
 * (Java: DataTree.setWatches), by the state then and the zxid the client had seen.
 */

import { EventType } from '../../../src/jute/codes.ts'
import { zxidHex } from '../../../src/jute/zxid.ts'
import { law } from '../failure.ts'
import type { Change, Model } from '../model.ts'
import type { Operation } from '../wire.ts'

const EVENT_TYPES: Readonly<Record<Change['kind'], number>> = {
  created: EventType.nodeCreated,
  deleted: EventType.nodeDeleted,
  data: EventType.nodeDataChanged,
  children: EventType.nodeChildrenChanged,
}

export class WatchChecker {
  private readonly model: Model
  private readonly who: string
  /** One-shot watches on data: 'data' of a znode that was there, 'exist' of one that was not. */
  private readonly data: Map<string, 'data' | 'exist'>
  private readonly child: Set<string>
  private readonly persistent: Set<string>
  private readonly recursive: Set<string>
  /** Index of the first change that no reply has shown yet. */
  private cursor: number
  /** Changes at or behind the cursor that have been told. */
  private readonly told: Set<number>
  /** Between a reconnection and the reply to setWatches: what has been told meanwhile. */
  private catchingUp: string[] | null
  private relativeZxid: number
  /** Of the event told last on this connection. */
  private eventZxid: number
  /** No watch stands and no reply has come on this connection: the server may be behind others, so the cursor waits. */
  private fresh: boolean

  constructor(model: Model, who: string) {
    this.model = model
    this.who = who
    this.data = new Map()
    this.child = new Set()
    this.persistent = new Set()
    this.recursive = new Set()
    this.cursor = 0
    this.told = new Set()
    this.catchingUp = null
    this.relativeZxid = 0
    this.eventZxid = 0
    this.fresh = true
  }

  get count(): number {
    return this.data.size + this.child.size + this.persistent.size + this.recursive.size
  }

  /** A reply that shows the state at `zxid`, before what it may set. */
  replied(zxid: number): void {
    if (this.catchingUp !== null) return
    const { changes } = this.model
    if (this.fresh) this.showsFrom(zxid)
    for (; this.cursor < changes.length && changes[this.cursor]!.zxid <= zxid; this.cursor++) {
      const change = changes[this.cursor]!
      if (this.told.delete(this.cursor)) continue
      law(
        !this.stands(change),
        'I6',
        () =>
          `${this.who} sees the state at ${zxidHex(zxid)} and was not told of ${change.path} ${change.kind} at ${zxidHex(change.zxid)}`,
      )
    }
  }

  setData(path: string, there: boolean): void {
    if (!this.data.has(path)) this.data.set(path, there ? 'data' : 'exist')
  }

  setChild(path: string): void {
    this.child.add(path)
  }

  setPersistent(path: string, recursive: boolean): void {
    // A path may have one of each (ZOOKEEPER-4466).
    if (recursive) this.recursive.add(path)
    else this.persistent.add(path)
  }

  event(type: number, path: string, zxid: number): void {
    if (this.catchingUp !== null) {
      law(
        zxid === -1,
        'I6',
        () => `${this.who} is told of ${path} as of ${zxidHex(zxid)} before its watches stand again`,
      )
      this.catchingUp.push(`${type} ${path}`)
      return
    }
    const { changes } = this.model
    for (let i = this.cursor; i < changes.length; i++) {
      const change = changes[i]!
      if (change.path !== path || change.zxid !== zxid || EVENT_TYPES[change.kind] !== type) continue
      if (this.told.has(i) || !this.stands(change)) continue
      law(
        zxid >= this.eventZxid,
        'I6',
        () => `${this.who} is told of ${path} at ${zxidHex(zxid)} behind an event of ${zxidHex(this.eventZxid)}`,
      )
      this.eventZxid = zxid
      this.told.add(i)
      this.consume(change)
      return
    }
    law(
      false,
      'I6',
      () => `${this.who} is told of ${path} at ${zxidHex(zxid)} (event ${type}), for which no watch stands`,
    )
  }

  private stands({ kind, path }: Change): boolean {
    if (kind === 'children') return this.child.has(path) || this.persistent.has(path)
    if (this.data.has(path) || this.persistent.has(path)) return true
    if (kind === 'deleted' && this.child.has(path)) return true
    for (const above of this.recursive) if (path === above || path.startsWith(`${above}/`)) return true
    return false
  }

  private consume({ kind, path }: Change): void {
    if (kind !== 'children') this.data.delete(path)
    if (kind === 'children' || kind === 'deleted') this.child.delete(path)
  }

  /** The connection is gone. What to say to the next server; null: there is nothing to be watched. */
  reattach(relativeZxid: number): Operation | null {
    this.eventZxid = 0
    if (this.count === 0) {
      this.catchingUp = null
      this.fresh = true
      return null
    }
    this.catchingUp = []
    this.relativeZxid = relativeZxid
    const of = (kind: 'data' | 'exist'): string[] => [...this.data].filter(([, k]) => k === kind).map(([path]) => path)
    return {
      op: 'setWatches',
      relativeZxid,
      data: of('data'),
      exist: of('exist'),
      child: [...this.child],
      persistent: [...this.persistent],
      recursive: [...this.recursive],
    }
  }

  /** The reply to setWatches. */
  caughtUp(zxid: number): void {
    // One for each watch: a znode that is gone is told for its data and for its children.
    const due: string[] = []
    for (const [path, kind] of this.data) {
      const node = this.model.node(path, zxid)
      if (kind === 'exist' && node !== null) due.push(`${EventType.nodeCreated} ${path}`)
      if (kind === 'data' && node === null) due.push(`${EventType.nodeDeleted} ${path}`)
      if (kind === 'data' && node !== null && node.mzxid > this.relativeZxid) {
        due.push(`${EventType.nodeDataChanged} ${path}`)
      }
    }
    for (const path of this.child) {
      const node = this.model.node(path, zxid)
      if (node === null) due.push(`${EventType.nodeDeleted} ${path}`)
      else if (node.pzxid > this.relativeZxid) due.push(`${EventType.nodeChildrenChanged} ${path}`)
    }
    const told = this.catchingUp ?? []
    law(
      told.length === due.length && [...told].sort().join() === due.sort().join(),
      'I6',
      () => `${this.who} reconnected and was told of events [${told}], due are [${due}]`,
    )
    for (const event of told) {
      const type = Number(event.slice(0, event.indexOf(' ')))
      const path = event.slice(event.indexOf(' ') + 1)
      if (type !== EventType.nodeChildrenChanged) this.data.delete(path)
      if (type === EventType.nodeChildrenChanged || type === EventType.nodeDeleted) this.child.delete(path)
    }
    this.catchingUp = null
    this.showsFrom(zxid)
  }

  /** What lies up to `zxid` is past: the cursor stands behind it. */
  private showsFrom(zxid: number): void {
    this.fresh = false
    this.told.clear()
    const { changes } = this.model
    let low = 0
    let high = changes.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (changes[middle]!.zxid <= zxid) low = middle + 1
      else high = middle
    }
    this.cursor = low
  }
}
