/**
 * One client connection as the request pipeline sees it: who it is, what it waits for, what goes back to it.
 *
 * Holds no socket: the shell behind `ConnectionHost` has that. Replies are gathered in `output()` and leave at the end
 * of the turn, in the order they were written. Java: ServerCnxn, NIOServerCnxn.
 */

import type { Output } from '../../jute/output.ts'
import type { Zxid } from '../../jute/zxid.ts'
import type { AuthId } from '../access/auth.ts'
import type { Audited } from '../report/audit.ts'
import type { Metrics } from '../report/metrics.ts'
import type { SaslServer, SaslServerLogin } from '../sasl/mechanism.ts'
import type { Session, SessionClient } from './sessions.ts'

/** What a connection asks of the shell that has its socket. None of these may call back before returning. */
export interface ConnectionHost {
  /** A writer for this turn's replies; the shell sends and recycles it when the turn ends. */
  borrowOutput(conn: Connection): Output
  /** Closes the socket once everything written so far is sent. */
  closeAfterFlush(conn: Connection, reason: string): void
  /** Closes the socket now; what was not sent is lost. */
  closeNow(conn: Connection, reason: string): void
  /** Requests may be taken again; the shell offers those it held back. */
  resume(conn: Connection): void
}

/** Unsent bytes (watch events can pile up unasked) above which a client is given up, unless `unsentMaxInKb` says otherwise. */
export const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024

/** `Pending.zxid` of what waits for its turn, and of what waits for the leader's answer (its zxid is not known). */
export const WAITS = -1
export const FORWARDED = -2

/**
 * A request of a client as it came in. One object serves for all that are dealt with at once: whoever keeps one makes a
 * copy.
 */
export class Arrival {
  conn: Connection
  session: Session
  xid: number
  type: number
  /** The client's as of its arrival. */
  ids: readonly AuthId[]
  receivedMs: number
  /** Its body is [off, end): borrowed, but for a copy's. */
  buf: Uint8Array
  off: number
  end: number
  /** What it counts against the bytes of large requests; 0 for ordinary ones. */
  largeBytes: number

  constructor(conn: Connection, session: Session) {
    this.conn = conn
    this.session = session
    this.xid = 0
    this.type = 0
    this.ids = conn.ids
    this.receivedMs = 0
    this.buf = NO_BYTES
    this.off = 0
    this.end = 0
    this.largeBytes = 0
  }

  copyBody(): Uint8Array {
    return this.buf.slice(this.off, this.end)
  }

  copy(): Arrival {
    const copy = new Arrival(this.conn, this.session)
    copy.xid = this.xid
    copy.type = this.type
    copy.ids = this.ids
    copy.receivedMs = this.receivedMs
    copy.buf = this.copyBody()
    copy.end = copy.buf.length
    copy.largeBytes = this.largeBytes
    return copy
  }
}

const NO_BYTES = new Uint8Array(0)

/** A request in its session's order: a write in flight, or something that waits behind one. */
export class Pending {
  readonly conn: Connection
  readonly xid: number
  readonly type: number
  readonly ids: readonly AuthId[]
  readonly receivedMs: number
  /** Zxid of the write in flight; or WAITS, or FORWARDED. */
  zxid: Zxid
  /** Owned body of a waiting read or a forwarded sync; null otherwise. */
  readonly body: Uint8Array | null
  /** Answer that is settled already (a write that could not be decoded). */
  readonly err: number
  /** What it counts against the bytes of large requests; 0 for ordinary ones. */
  readonly largeBytes: number
  next: Pending | null
  /** What the audit log will say of it; null where it says nothing. */
  audited: Audited | null
  /** The session's next write on its way to the leader. */
  nextForwarded: Pending | null

  constructor(arrival: Arrival, zxid: Zxid, body: Uint8Array | null, err: number) {
    this.conn = arrival.conn
    this.xid = arrival.xid
    this.type = arrival.type
    this.ids = arrival.ids
    this.receivedMs = arrival.receivedMs
    this.zxid = zxid
    this.body = body
    this.err = err
    this.largeBytes = arrival.largeBytes
    this.next = null
    this.audited = null
    this.nextForwarded = null
  }
}

/** What `cons` and `stat` show of a connection. Java: ServerCnxn's statistics. */
export class ConnectionStats {
  /** Since 1970. */
  readonly establishedMs: number
  received: number
  sent: number
  lastType: number | null
  lastCxid: number
  lastZxid: number
  lastResponseMs: number
  lastLatencyMs: number
  latencyMinMs: number
  latencyMaxMs: number
  latencyTotalMs: number
  latencyCount: number

  constructor(establishedMs: number) {
    this.establishedMs = establishedMs
    this.received = 0
    this.sent = 0
    this.lastType = null
    this.lastCxid = -1
    this.lastZxid = -1
    this.lastResponseMs = 0
    this.lastLatencyMs = 0
    this.latencyMinMs = Number.MAX_SAFE_INTEGER
    this.latencyMaxMs = 0
    this.latencyTotalMs = 0
    this.latencyCount = 0
  }

  replied(type: number, xid: number, zxid: Zxid, receivedMs: number, nowMs: number): void {
    const latencyMs = nowMs - receivedMs
    this.lastType = type
    if (xid >= 0) this.lastCxid = xid // pings and auth packets are not the client's count
    this.lastZxid = zxid
    this.lastResponseMs = nowMs
    this.lastLatencyMs = latencyMs
    if (latencyMs < this.latencyMinMs) this.latencyMinMs = latencyMs
    if (latencyMs > this.latencyMaxMs) this.latencyMaxMs = latencyMs
    this.latencyTotalMs += latencyMs
    this.latencyCount++
  }
}

export class Connection implements SessionClient {
  /** Small and dense; watches are kept under it. Recycled after close. */
  readonly connId: number
  /** The client's address as Java writes it, and its port. */
  readonly remoteHost: string
  readonly remotePort: number
  stats: ConnectionStats
  private readonly host: ConnectionHost
  private out: Output | null
  session: Session | null
  /** What the client has proved to be; replaced, never changed. */
  ids: readonly AuthId[]
  /** What its certificate says it is; empty without one. */
  certificateIds: readonly AuthId[]
  /** What it may log in by; null: there is no login by SASL. */
  login: SaslServerLogin | null
  /** How far its login is; null: not begun. */
  sasl: SaslServer | null
  timeoutMs: number
  /** The connect request has been taken. */
  initialised: boolean
  /** The client sent the read-only byte, so the answer has one too. */
  knowsReadOnly: boolean
  /** A session is being created, or asked for, on its behalf: nothing more is taken until it is there. */
  connecting: boolean
  /** A password of its is being checked: nothing more is taken until that is done. */
  authenticating: boolean
  /** Nothing more is taken from it. */
  closing: boolean
  closed: boolean
  /** A request of it was dropped unanswered: none behind that may be done. */
  invalid: boolean
  /** Requests with an xid above 0 that are not answered yet. */
  outstanding: number
  /** Stopped for the sake of the global limit. */
  throttled: boolean
  head: Pending | null
  private tail: Pending | null
  lastHeardMs: number

  /** `wallMs`: when it was accepted, for the listings. */
  constructor(
    connId: number,
    remoteHost: string,
    remotePort: number,
    host: ConnectionHost,
    nowMs: number,
    wallMs: number,
  ) {
    this.connId = connId
    this.remoteHost = remoteHost
    this.remotePort = remotePort
    this.host = host
    this.stats = new ConnectionStats(wallMs)
    this.out = null
    this.session = null
    this.ids = [{ scheme: 'ip', id: remoteHost }]
    this.certificateIds = []
    this.login = null
    this.sasl = null
    this.timeoutMs = 0
    this.initialised = false
    this.knowsReadOnly = true
    this.connecting = false
    this.authenticating = false
    this.closing = false
    this.closed = false
    this.invalid = false
    this.outstanding = 0
    this.throttled = false
    this.head = null
    this.tail = null
    this.lastHeardMs = nowMs
  }

  /** Where replies go; null once closed, when nobody is there to read them. */
  output(): Output {
    if (this.out === null) this.out = this.host.borrowOutput(this)
    return this.out
  }

  /** The shell has taken this turn's replies. */
  outputTaken(): void {
    this.out = null
  }

  /** `crst`. */
  resetStats(): void {
    this.stats = new ConnectionStats(this.stats.establishedMs)
  }

  enqueue(pending: Pending): void {
    if (this.tail === null) this.head = pending
    else this.tail.next = pending
    this.tail = pending
  }

  dequeue(): void {
    this.head = this.head!.next
    if (this.head === null) this.tail = null
  }

  /** Says goodbye after what is written: requests still to come are not answered. */
  closeAfterFlush(reason: string): void {
    this.closing = true
    this.host.closeAfterFlush(this, reason)
  }

  closeNow(reason: string): void {
    this.closing = true
    this.closed = true
    this.host.closeNow(this, reason)
  }

  resume(): void {
    this.host.resume(this)
  }
}

/** Accounts for a frame of so many bytes just written to a client. */
export function countSent(metrics: Metrics, conn: Connection, bytes: number): void {
  metrics.packetsSent++
  conn.stats.sent++
  metrics.responseSizes.add(bytes - 4)
}
