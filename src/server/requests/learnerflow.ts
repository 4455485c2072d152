/**
 * What a learner's clients have on its way to the leader, and what the leader is to hear of them.
 *
 * Writes wait per session, over all connections that the session has had here, and are matched with committed
 * transactions by session, cxid and type; a learner gets every answer as a transaction, refusals too. Syncs wait in one
 * queue, for the leader answers them in the order it got them. Sessions heard of wait for the leader's next ping.
 *
 * Pure. Java: FollowerRequestProcessor, CommitProcessor, FollowerZooKeeperServer.sync, LearnerSessionTracker.
 */

import { OpCode } from '../../jute/codes.ts'
import { Id64Map } from '../../jute/id64.ts'
import { readInt } from '../../jute/input.ts'
import { type Connection, type Pending, WAITS } from './connection.ts'
import { Fifo } from './fifo.ts'
import type { Session, Sessions } from './sessions.ts'

export class LearnerFlow {
  private readonly sessions: Sessions
  /** Syncs on their way. */
  private readonly syncs: Fifo<Pending>
  /** Sessions heard of, with their timeouts in ms. */
  private readonly touched: Id64Map<number>
  /** Connections that ask for a session, by its id, in the order they asked. */
  private readonly asking: Id64Map<Connection[]>

  constructor(sessions: Sessions) {
    this.sessions = sessions
    this.syncs = new Fifo()
    this.touched = new Id64Map()
    this.asking = new Id64Map()
  }

  // ------------------------------------------------------------------ requests

  /** A write of this session has been forwarded. */
  pushWrite(session: Session, pending: Pending): void {
    if (session.lastForwarded === null) session.firstForwarded = pending
    else session.lastForwarded.nextForwarded = pending
    session.lastForwarded = pending
  }

  pushSync(pending: Pending): void {
    this.syncs.push(pending)
  }

  /**
   * The write that the transaction at `off` answers, taken out of its session's queue (`forgetIdle` when it is applied);
   * null where it answers nobody here. A late transaction of another connection may carry the same cxid: it must not overtake what is ahead.
   */
  match(buf: Uint8Array, off: number): Pending | null {
    const session = this.sessions.get(readInt(buf, off), readInt(buf, off + 4))
    if (session === undefined) return null
    const first = session.firstForwarded
    if (first === null || first.xid !== readInt(buf, off + 8) || first.conn.head !== first) return null
    const type = readInt(buf, off + 28)
    if (type !== first.type && type !== OpCode.error) return null
    session.firstForwarded = first.nextForwarded
    if (session.firstForwarded === null) session.lastForwarded = null
    first.nextForwarded = null
    return first
  }

  /**
   * The oldest sync is answered: returns it if it is its connection's turn, else leaves it to be answered as a read.
   * Null also where none was asked for.
   */
  takeSync(): Pending | null {
    const sync = this.syncs.shift()
    if (sync === null) return null
    sync.zxid = WAITS
    return sync.conn.head === sync ? sync : null
  }

  // ------------------------------------------------------------------ sessions

  touch(session: Session): void {
    if (session.touched) return
    session.touched = true
    this.touched.set(session.hi, session.lo, session.timeoutMs)
  }

  /** A transaction has made this session: its leader hears of it from every learner once, as in Java. */
  onSessionCreated(hi: number, lo: number, timeoutMs: number): void {
    this.touched.set(hi, lo, timeoutMs)
    const session = this.sessions.get(hi, lo)
    if (session === undefined) return
    session.touched = true
    if (session.local) this.sessions.handOver(session)
  }

  onSessionClosed(hi: number, lo: number): void {
    this.touched.delete(hi, lo)
  }

  takeTouched(visit: (hi: number, lo: number, timeoutMs: number) => void): void {
    this.touched.forEach((timeoutMs, hi, lo) => {
      const session = this.sessions.get(hi, lo)
      if (session !== undefined) session.touched = false
      visit(hi, lo, timeoutMs)
    })
    this.touched.clear()
  }

  /** A session stays as long as it has a connection here, or requests on their way; a local one until it ends. */
  forgetIdle(session: Session): void {
    const { hi, lo, closing, client, local } = session
    if (session.firstForwarded !== null || this.sessions.get(hi, lo) !== session) return
    if (closing || (client === null && !local)) this.sessions.remove(hi, lo)
  }

  // ------------------------------------------------------------------ connections that ask for a session

  /** Of connections that ask for the same session the last one is meant. Returns those that are not any more. */
  ask(conn: Connection, hi: number, lo: number): readonly Connection[] {
    const before = this.asking.get(hi, lo)
    if (before === undefined) {
      this.asking.set(hi, lo, [conn])
      return []
    }
    const older = before.filter((other) => !other.closing)
    before.push(conn)
    return older
  }

  /** The leader has answered the oldest question about this session: who asked it, if still there. */
  answered(hi: number, lo: number): Connection | null {
    const asking = this.asking.get(hi, lo)
    if (asking === undefined) return null
    const conn = asking.shift()!
    if (asking.length === 0) this.asking.delete(hi, lo)
    return conn.closing || conn.closed ? null : conn
  }
}
