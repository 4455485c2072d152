/**
 * Who may have a new session now, and who waits: so many creations are under way at a time, in the order they were asked
 * for. Taking up a session that is there needs no transaction and waits for nobody, so that after an election those who
 * have one are back before it expires, however many newcomers there are (S5).
 *
 * Nothing but a creation that ends lets the next one begin, and each does end; and who waits for too long is turned away
 * at the next tick: the gate cannot stay closed (ZOOKEEPER-4933). Pure. No counterpart in Java, which takes all at once.
 */

import type { Connection } from './connection.ts'

/** As many as a disk takes in one sync; an ordinary start sees no gate, because each sync lets so many in. */
export const CREATIONS_MAX = 256

export class NewSessions {
  private readonly countMax: number
  private underWay: number
  /** Since when each of them waits, oldest first. */
  private readonly waiting: Map<Connection, number>

  constructor(countMax = CREATIONS_MAX) {
    this.countMax = countMax
    this.underWay = 0
    this.waiting = new Map()
  }

  get countWaiting(): number {
    return this.waiting.size
  }

  /** May the session of this connection be made now? If not, its turn comes. */
  begin(conn: Connection, nowMs: number): boolean {
    if (this.underWay >= this.countMax) {
      this.waiting.set(conn, nowMs)
      return false
    }
    this.underWay++
    return true
  }

  /** A creation has ended, whatever became of it: returns the connection whose turn it is, if there is one. */
  ended(): Connection | null {
    for (const conn of this.waiting.keys()) {
      this.waiting.delete(conn)
      if (!conn.closed && !conn.closing) return conn
    }
    if (this.underWay > 0) this.underWay--
    return null
  }

  forget(conn: Connection): void {
    this.waiting.delete(conn)
  }

  /** Hands out those whose client has given up by now, as far as can be known: it tries its next server, or this one. */
  onTick(nowMs: number, giveUp: (conn: Connection) => void): void {
    for (const [conn, sinceMs] of this.waiting) {
      if (nowMs - sinceMs < conn.timeoutMs / 3) continue
      this.waiting.delete(conn)
      giveUp(conn)
    }
  }
}
