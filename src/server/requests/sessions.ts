/**
 * Client sessions as one server knows them: ids, deadlines in buckets of one tick.
 *
 * Who tracks a session decides when it expires: the standalone server or the leader all that transactions have made
 * (global ones), any member those that it alone knows (local ones). A learner has a global session here only while it
 * is attached: it has one of its connections, or requests on their way to the leader. Such a session has no deadline.
 *
 * Pure: times are milliseconds of a monotonic clock, handed in. A touch is one store; a session whose bucket comes due
 * with a later deadline just moves on. Java: SessionTrackerImpl, ExpiryQueue, LeaderSessionTracker,
 * LearnerSessionTracker, LocalSessionTracker.
 */

import { Id64Map } from '../../jute/id64.ts'
import type { Pending } from './connection.ts'

/** The connection of this server that serves a session; compared by identity only. */
export interface SessionClient {
  readonly connId: number
}

/**
 * Where a session's requests may come from: this server, or else (for a leader) the link of one of its learners.
 * Requests from anywhere else are late: the session has moved.
 */
export const Owner = { none: -2, self: -1 } as const

export class Session {
  readonly hi: number
  readonly lo: number
  timeoutMs: number
  /** End of the tick in which it expires unless touched; infinite where another server decides that. */
  deadlineMs: number
  /** A close is on its way: requests are dropped from here on. */
  closing: boolean
  /** The server itself ends it: it has expired. */
  expired: boolean
  /** Known to this server alone: no transaction has made it. */
  local: boolean
  /** `Owner`, or a LinkId. */
  owner: number
  client: SessionClient | null
  /** Learner: it has been heard of since the leader was last told. */
  touched: boolean
  /** Learner: its writes on their way to the leader, oldest first, over all connections it has had here. */
  firstForwarded: Pending | null
  lastForwarded: Pending | null

  constructor(hi: number, lo: number, timeoutMs: number, deadlineMs: number) {
    this.hi = hi
    this.lo = lo
    this.timeoutMs = timeoutMs
    this.deadlineMs = deadlineMs
    this.closing = false
    this.expired = false
    this.local = false
    this.owner = Owner.none
    this.client = null
    this.touched = false
    this.firstForwarded = null
    this.lastForwarded = null
  }
}

export class Sessions {
  private readonly tickMs: number
  /** The top byte of the ids given here. */
  private readonly idByte: number
  private readonly byId: Id64Map<Session>
  /** Sessions by the deadline they had when last put here. */
  private readonly buckets: Map<number, Set<Session>>
  private nextHi: number
  private nextLo: number
  private bucketNext: number

  /** `serverId` fills the top byte of ids (1 for a standalone server); `seedMs` is their time base. */
  constructor(tickMs: number, serverId: number, seedMs: number, nowMs: number) {
    this.tickMs = tickMs
    this.idByte = serverId & 0xff
    this.byId = new Id64Map()
    this.buckets = new Map()
    this.nextHi = (serverId << 24) | (Math.floor(seedMs / 0x1_0000) & 0xff_ffff)
    this.nextLo = (seedMs & 0xffff) << 16
    this.bucketNext = this.roundUp(nowMs)
  }

  private roundUp(ms: number): number {
    return (Math.floor(ms / this.tickMs) + 1) * this.tickMs
  }

  get count(): number {
    return this.byId.size
  }

  get(hi: number, lo: number): Session | undefined {
    return this.byId.get(hi, lo)
  }

  forEach(visit: (session: Session) => void): void {
    this.byId.forEach(visit)
  }

  /** Sessions that this server alone knows. */
  countLocal(): number {
    let count = 0
    this.byId.forEach((session) => {
      if (session.local) count++
    })
    return count
  }

  /** Was this id given by this server (or one with the same low byte of its id)? */
  isOwnId(hi: number): boolean {
    return hi >>> 24 === this.idByte
  }

  /** A new session with an id of its own, tracked here. */
  create(timeoutMs: number, nowMs: number): Session {
    this.skipContainerMark()
    const hi = this.nextHi | 0
    const lo = this.nextLo | 0
    this.advanceId()
    return this.track(hi, lo, timeoutMs, nowMs)
  }

  /** A new session with an id of its own, tracked by the leader. */
  createAttached(timeoutMs: number): Session {
    this.skipContainerMark()
    const hi = this.nextHi | 0
    const lo = this.nextLo | 0
    this.advanceId()
    return this.attach(hi, lo, timeoutMs)
  }

  private skipContainerMark(): void {
    if ((this.nextHi | 0) === (0x8000_0000 | 0) && this.nextLo === 0) this.advanceId()
  }

  private advanceId(): void {
    this.nextLo = (this.nextLo + 1) | 0
    if (this.nextLo === 0) this.nextHi = (this.nextHi + 1) | 0
  }

  /** Starts (or goes on) tracking a session whose id is known, with a full timeout. */
  track(hi: number, lo: number, timeoutMs: number, nowMs: number): Session {
    let session = this.byId.get(hi, lo)
    if (session === undefined) {
      session = new Session(hi, lo, timeoutMs, this.roundUp(nowMs + timeoutMs))
      this.byId.set(hi, lo, session)
      this.enqueue(session)
    } else {
      session.timeoutMs = timeoutMs
      this.touch(session, nowMs)
    }
    return session
  }

  /** The session of this id as a learner has it: without a deadline. */
  attach(hi: number, lo: number, timeoutMs: number): Session {
    let session = this.byId.get(hi, lo)
    if (session === undefined) {
      session = new Session(hi, lo, timeoutMs, Number.POSITIVE_INFINITY)
      this.byId.set(hi, lo, session)
    } else {
      session.timeoutMs = timeoutMs
    }
    return session
  }

  /** From here on the leader decides when it expires. */
  handOver(session: Session): void {
    session.local = false
    session.deadlineMs = Number.POSITIVE_INFINITY // its bucket entry goes when the bucket comes due
  }

  /** Renews; false when the session is on its way out. */
  touch(session: Session, nowMs: number): boolean {
    if (session.closing) return false
    const deadlineMs = this.roundUp(nowMs + session.timeoutMs)
    if (deadlineMs < session.deadlineMs) {
      // Reattached with a shorter timeout: the bucket it stands in would come too late.
      this.buckets.get(session.deadlineMs)?.delete(session)
      session.deadlineMs = deadlineMs
      this.enqueue(session)
    } else {
      session.deadlineMs = deadlineMs
    }
    return true
  }

  private enqueue(session: Session): void {
    const bucket = this.buckets.get(session.deadlineMs)
    if (bucket === undefined) this.buckets.set(session.deadlineMs, new Set([session]))
    else bucket.add(session)
    if (session.deadlineMs < this.bucketNext) this.bucketNext = session.deadlineMs
  }

  remove(hi: number, lo: number): void {
    this.byId.delete(hi, lo) // its bucket entry goes when the bucket comes due
  }

  /** When `expire` has to be called next. */
  nextDeadlineMs(): number {
    return this.bucketNext
  }

  /** Marks every session whose time is up as closing and hands it out. */
  expire(nowMs: number, onExpired: (session: Session) => void): void {
    for (; this.bucketNext <= nowMs; this.bucketNext += this.tickMs) {
      const bucket = this.buckets.get(this.bucketNext)
      if (bucket === undefined) continue
      this.buckets.delete(this.bucketNext)
      for (const session of bucket) {
        if (this.byId.get(session.hi, session.lo) !== session || session.closing) continue
        if (session.deadlineMs === Number.POSITIVE_INFINITY) continue
        if (session.deadlineMs > this.bucketNext) {
          this.enqueue(session)
        } else {
          session.closing = true
          session.expired = true
          onExpired(session)
        }
      }
    }
  }

  /** After a pause of our own nobody could have been heard: everyone gets a full timeout from now. */
  grantFullTimeouts(nowMs: number): void {
    this.buckets.clear()
    this.bucketNext = this.roundUp(nowMs)
    this.byId.forEach((session) => {
      if (session.closing || session.deadlineMs === Number.POSITIVE_INFINITY) return
      session.deadlineMs = Math.max(session.deadlineMs, this.roundUp(nowMs + session.timeoutMs))
      this.enqueue(session)
    })
  }

  /** Deadlines with their sessions, soonest first; for `dump`. */
  expiryMap(): Map<number, Session[]> {
    const map = new Map<number, Session[]>()
    this.byId.forEach((session) => {
      if (session.closing || session.deadlineMs === Number.POSITIVE_INFINITY) return
      const list = map.get(session.deadlineMs)
      if (list === undefined) map.set(session.deadlineMs, [session])
      else list.push(session)
    })
    return new Map([...map].sort(([a], [b]) => a - b))
  }
}
