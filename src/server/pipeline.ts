/**
 * The way of every client request: order per session, proposal, application, reply.
 *
 * A read with nothing of its own session ahead runs at once, out of the bytes it came in. A write is prepared on the
 * spot (prep.ts), proposed, and answered when its transaction is delivered; what its session sends behind it waits in
 * the connection's FIFO. Transactions are delivered in zxid order, each applied to the tree, its watch events written
 * to their connections at once, then its reply: so no client sees a change ahead of its event.
 *
 * Pure: requests, deliveries and times come in; proposals go to `propose`, replies to the connections' outputs.
 * Java: ZooKeeperServer.processPacket, CommitProcessor, FinalRequestProcessor.
 */

import type { ApplySink, StateMachine } from '../datatree/apply.ts'
import type { NodeId } from '../datatree/tree.ts'
import { assert } from '../jute/assert.ts'
import { Err, OpCode, Perm, STATE_SYNC_CONNECTED, Xid } from '../jute/codes.ts'
import { id64Hex } from '../jute/id64.ts'
import { Output } from '../jute/output.ts'
import type { Zxid } from '../jute/zxid.ts'
import type { Auth, AuthId } from './auth.ts'
import { type Connection, countSent, Pending } from './connection.ts'
import { Handshake, type HandshakeHost, type HandshakeOptions } from './handshake.ts'
import type { Metrics } from './metrics.ts'
import { hasWriteForm, isClientOp } from './ops.ts'
import { Prep, type PrepOptions, type WriteRequest } from './prep.ts'
import { Reads, writeMultiEnd, writeMultiHeader } from './reads.ts'
import { beginReply, closeFrame, endReply, writeEvent } from './replies.ts'
import type { Session, Sessions } from './sessions.ts'
import type { Throttle } from './throttle.ts'

export interface PipelineOptions extends PrepOptions, HandshakeOptions {
  /** Requests in process above which a connection with some of its own outstanding is not read from. */
  readonly outstandingLimit: number
  /** Requests in process above which nobody is read from; 0 is off (request_throttle_max_requests). */
  readonly requestThrottleMax: number
  /** A request longer than this counts as large; -1 is off. Their sum in process is bounded by the next. */
  readonly largeRequestBytes: number
  readonly largeRequestsBytesMax: number
}

/** Clocks, and where transactions and remarks go. */
export interface PipelineHost extends HandshakeHost {
  /** Milliseconds since 1970, for Stat and transaction times. */
  wallMs(): number
  /** Makes a transaction durable; answered by `deliver`, in order. Bytes are borrowed. */
  propose(zxid: Zxid, buf: Uint8Array, off: number, end: number): void
  sessionEnded(session: Session, expired: boolean): void
}

const NO_IDS: readonly AuthId[] = []

export class Pipeline {
  readonly prep: Prep
  readonly state: StateMachine
  private readonly auth: Auth
  private readonly sessions: Sessions
  private readonly metrics: Metrics
  readonly handshake: Handshake
  private readonly host: PipelineHost
  private readonly options: PipelineOptions
  private readonly reads: Reads
  /** Writes of this server's clients that are not delivered, in zxid order; [head, length) are alive. */
  private inflight: Pending[]
  private inflightHead: number
  private readonly txn: Output
  /** Body of the reply to the transaction being applied. */
  private readonly result: Output
  private applying: Pending | null
  private resultErr: number
  private readonly throttled: Set<Connection>
  /** Requests taken and not answered. */
  inProcess: number
  /** Bytes of large requests in process. */
  private largeBytes: number

  constructor(
    state: StateMachine,
    auth: Auth,
    sessions: Sessions,
    metrics: Metrics,
    throttle: Throttle,
    host: PipelineHost,
    options: PipelineOptions,
  ) {
    this.state = state
    this.auth = auth
    this.sessions = sessions
    this.metrics = metrics
    this.inProcess = 0
    this.largeBytes = 0
    this.host = host
    this.options = options
    this.prep = new Prep(state, auth, metrics.writePerNamespace, host.warn, options)
    this.reads = new Reads(state, auth, metrics.readPerNamespace, host, options.juteLengthMax)
    this.inflight = []
    this.inflightHead = 0
    this.txn = new Output(4096)
    this.result = new Output(4096)
    this.applying = null
    this.resultErr = Err.ok
    this.throttled = new Set()
    this.handshake = new Handshake(state, auth, sessions, metrics, throttle, host, options, (conn, session, body) =>
      this.submit(conn, session, 0, OpCode.createSession, body, 0, body.length, 0),
    )
  }

  // ------------------------------------------------------------------ from connections

  /** A frame behind the handshake. Returns false when nothing more may be taken for now (or ever). */
  onRequest(conn: Connection, buf: Uint8Array, off: number, end: number): boolean {
    if (conn.closing) return false
    this.metrics.packetsReceived++
    conn.stats.received++
    if (end - off < 8) {
      conn.closeNow(`a request of ${end - off} bytes has no header`)
      return false
    }
    const nowMs = this.host.nowMs()
    conn.lastHeardMs = nowMs
    const xid = (buf[off]! << 24) | (buf[off + 1]! << 16) | (buf[off + 2]! << 8) | buf[off + 3]!
    const type = (buf[off + 4]! << 24) | (buf[off + 5]! << 16) | (buf[off + 6]! << 8) | buf[off + 7]!
    off += 8
    if (type === OpCode.auth) return this.handshake.authenticate(conn, xid, buf, off, end)
    if (type === OpCode.sasl) return this.handshake.sasl(conn, xid, buf, off, end)
    if (!this.auth.satisfiesEnforced(conn.ids)) {
      this.host.warn('client has none of the enforced authentication schemes', { client: conn.remoteHost })
      this.handshake.replyOutOfOrder(conn, xid, 0, Err.sessionClosedRequireSaslAuth)
      conn.closeAfterFlush('authentication is enforced')
      return false
    }
    const session = conn.session
    // Gone or going: dropped without a reply, as in Java.
    if (session === null || session.closing || this.sessions.get(session.hi, session.lo) !== session) return true
    this.sessions.touch(session, nowMs)
    if (!isClientOp(type)) {
      this.host.warn('unknown operation', { client: conn.remoteHost, type })
      this.handshake.replyOutOfOrder(conn, xid, -1, Err.unimplemented)
      conn.closeAfterFlush(`unknown operation ${type}`)
      return false
    }
    const bytes = end - off + 8
    const large = this.options.largeRequestBytes !== -1 && bytes > this.options.largeRequestBytes ? bytes : 0
    if (large > 0 && this.largeBytes + large > this.options.largeRequestsBytesMax) {
      this.metrics.counters.large_requests_rejected++
      this.host.warn('too many large requests at once: connection closed', { client: conn.remoteHost, bytes })
      conn.closeNow('too many large requests')
      return false
    }
    if (xid > 0) conn.outstanding++
    if (hasWriteForm(type)) {
      this.submit(conn, session, xid, type, buf, off, end, large)
    } else if (conn.head !== null) {
      this.inProcess++
      this.largeBytes += large
      conn.enqueue(new Pending(conn, xid, type, nowMs, -1, buf.slice(off, end), Err.ok, large))
    } else {
      this.inProcess++
      this.read(conn, xid, type, conn.ids, buf, off, end, nowMs)
    }
    return !conn.closing && !this.shouldStop(conn)
  }

  /** Above the limit a client that has requests outstanding is not read from until they are answered. */
  private shouldStop(conn: Connection): boolean {
    if (!this.overLimit(conn)) return false
    conn.throttled = true
    this.throttled.add(conn)
    return true
  }

  private overLimit(conn: Connection): boolean {
    const { outstandingLimit, requestThrottleMax } = this.options
    if (this.inProcess > outstandingLimit && conn.outstanding > 0) return true
    return requestThrottleMax > 0 && this.inProcess >= requestThrottleMax
  }

  /** Prepares and proposes a write of a client; its reply comes with the delivery, in order. */
  submit(
    conn: Connection,
    session: Session,
    xid: number,
    type: number,
    buf: Uint8Array,
    off: number,
    end: number,
    large: number,
  ): void {
    this.inProcess++
    this.largeBytes += large
    const request: WriteRequest = {
      type,
      sessionHi: session.hi,
      sessionLo: session.lo,
      cxid: xid,
      ids: conn.ids,
      buf,
      off,
      end,
    }
    const nowMs = this.host.nowMs()
    const zxid = this.propose(request)
    if (type === OpCode.closeSession && zxid !== -1) session.closing = true
    const pending = new Pending(conn, xid, type, nowMs, zxid, null, zxid === -1 ? Err.marshallingError : Err.ok, large)
    if (zxid !== -1) {
      this.inflight.push(pending)
      conn.enqueue(pending)
    } else if (conn.head === null) {
      this.largeBytes -= large
      this.replyError(pending)
    } else {
      conn.enqueue(pending)
    }
  }

  private propose(request: WriteRequest): Zxid {
    const { txn } = this
    txn.clear()
    const zxid = this.prep.prepare(request, this.host.wallMs(), txn)
    if (zxid !== -1) this.host.propose(zxid, txn.buf, 0, txn.pos)
    return zxid
  }

  /** A request of the server's own (reaper, expiry): nobody waits for an answer. */
  submitInternal(type: number, sessionHi: number, sessionLo: number, body: Uint8Array): void {
    this.propose({ type, sessionHi, sessionLo, cxid: 0, ids: NO_IDS, buf: body, off: 0, end: body.length })
  }

  /** The tracker gave this session up, or an operator closes it. */
  closeSession(session: Session): void {
    session.closing = true
    this.submitInternal(OpCode.closeSession, session.hi, session.lo, new Uint8Array(0))
  }

  // ------------------------------------------------------------------ replies in order

  private read(
    conn: Connection,
    xid: number,
    type: number,
    ids: readonly AuthId[],
    buf: Uint8Array,
    off: number,
    end: number,
    receivedMs: number,
  ): void {
    const before = conn.output().pos
    this.reads.answer(conn, type, type === OpCode.ping ? Xid.ping : xid, ids, buf, off, end)
    this.finished(conn, xid, type, receivedMs, conn.output().pos - before)
  }

  private replyError(pending: Pending): void {
    const out = pending.conn.output()
    const bytes = closeFrame(out, beginReply(out, pending.xid, this.state.zxidLast, pending.err))
    this.finished(pending.conn, pending.xid, pending.type, pending.receivedMs, bytes)
  }

  /** Accounts for a reply just written. */
  private finished(conn: Connection, xid: number, type: number, receivedMs: number, bytes: number): void {
    const nowMs = this.host.nowMs()
    if (xid > 0) conn.outstanding--
    this.inProcess--
    this.metrics.addLatency(nowMs - receivedMs, hasWriteForm(type))
    conn.stats.replied(type, xid, this.state.zxidLast, receivedMs, nowMs)
    countSent(this.metrics, conn, bytes)
  }

  /** Goes on with what waited behind a write that is answered now. */
  private runWaiting(conn: Connection): void {
    for (let next = conn.head; next !== null && next.zxid === -1; next = conn.head) {
      conn.dequeue()
      this.largeBytes -= next.largeBytes
      if (conn.closed) this.inProcess--
      else if (next.err !== Err.ok) this.replyError(next)
      else this.read(conn, next.xid, next.type, next.ids, next.body!, 0, next.body!.length, next.receivedMs)
    }
  }

  // ------------------------------------------------------------------ committed transactions

  /** A transaction is durable (committed): applies it, fires its watches, answers its client if that is one of ours. */
  deliver(zxid: Zxid, buf: Uint8Array, off: number, end: number): void {
    const first = this.inflightHead < this.inflight.length ? this.inflight[this.inflightHead]! : null
    const pending = first !== null && first.zxid === zxid ? first : null
    assert(first === null || first.zxid >= zxid, 'transactions are delivered in order')
    this.applying = pending
    this.resultErr = Err.ok
    this.result.clear()
    this.state.apply(buf, off, end)
    this.applying = null
    this.prep.applied(zxid)
    if (pending === null) return
    this.largeBytes -= pending.largeBytes
    this.inflightHead++
    this.trimInflight()
    const { conn } = pending
    assert(conn.head === pending, 'replies in order')
    conn.dequeue()
    if (conn.closed) {
      this.inProcess--
    } else if (pending.type === OpCode.createSession) {
      this.sessionReady(conn, pending)
    } else {
      this.replyToWrite(pending)
    }
    this.runWaiting(conn)
    if (this.throttled.size > 0) this.releaseThrottled()
  }

  private trimInflight(): void {
    if (this.inflightHead === this.inflight.length) {
      this.inflight.length = 0
      this.inflightHead = 0
    } else if (this.inflightHead > 4096 && this.inflightHead * 2 > this.inflight.length) {
      this.inflight = this.inflight.slice(this.inflightHead)
      this.inflightHead = 0
    }
  }

  private releaseThrottled(): void {
    for (const conn of this.throttled) if (!this.overLimit(conn)) this.release(conn)
  }

  private release(conn: Connection): void {
    this.throttled.delete(conn)
    conn.throttled = false
    if (!conn.closed) conn.resume()
  }

  private sessionReady(conn: Connection, pending: Pending): void {
    conn.connecting = false
    const session = conn.session!
    this.inProcess--
    this.metrics.addLatency(this.host.nowMs() - pending.receivedMs, true)
    conn.stats.replied(OpCode.createSession, 0, this.state.zxidLast, pending.receivedMs, this.host.nowMs())
    this.handshake.writeConnectResponse(conn, session.hi, session.lo, conn.timeoutMs)
    this.host.sessionOpened(conn)
    conn.resume()
  }

  private replyToWrite(pending: Pending): void {
    const { conn } = pending
    const out = conn.output()
    const start = beginReply(out, pending.xid, this.state.zxidLast, this.resultErr)
    if (this.resultErr === Err.ok) {
      if (pending.type === OpCode.multi) writeMultiEnd(this.result)
      out.raw(this.result.buf, 0, this.result.pos)
    }
    this.finished(conn, pending.xid, pending.type, pending.receivedMs, endReply(out, start))
    if (pending.type === OpCode.closeSession) conn.closeAfterFlush('session closed')
  }

  /** Collects the reply's body while the state machine applies; called right after each (sub-)operation took effect. */
  readonly applySink: Omit<ApplySink, 'onDigestMismatch'> = {
    onResult: (_index: number, type: number, err: number, node: NodeId): void => {
      const pending = this.applying
      if (pending === null) return
      if (pending.type === OpCode.multi) this.subResult(type, err, node)
      else if (err !== Err.ok) this.resultErr = err
      else this.body(pending.type, node)
    },
    onSessionCreated: (hi: number, lo: number, timeoutMs: number): void => {
      this.sessions.track(hi, lo, timeoutMs, this.host.nowMs())
    },
    onSessionClosed: (hi: number, lo: number): void => {
      const session = this.sessions.get(hi, lo)
      if (session === undefined) return
      this.sessions.remove(hi, lo)
      session.closing = true
      const byClient = this.applying !== null && !this.applying.conn.closed
      this.host.sessionEnded(session, !byClient)
      const conn = session.owner === null ? undefined : this.host.connection(session.owner.connId)
      if (conn !== undefined && conn === session.owner && !byClient) conn.closeAfterFlush('session expired')
    },
  }

  /** The body of a successful reply, by the request's type: what was created may have been asked for in two ways. */
  private body(type: number, node: NodeId): void {
    const { result } = this
    const { tree } = this.state
    switch (type) {
      case OpCode.create:
        tree.writePath(node, result)
        return
      case OpCode.create2:
      case OpCode.createContainer:
      case OpCode.createTTL:
        tree.writePath(node, result)
        tree.writeStat(node, result)
        return
      case OpCode.setData:
      case OpCode.setACL:
        tree.writeStat(node, result)
        return
      default:
        return
    }
  }

  private subResult(type: number, err: number, node: NodeId): void {
    const { result } = this
    if (type === OpCode.error) {
      // The multi as a whole failed to be decoded: its header says so. Else each entry says what became of it.
      if (this.applying !== null && err === Err.marshallingError && result.pos === 0) this.resultErr = err
      writeMultiHeader(result, OpCode.error, err)
      result.int(err)
      return
    }
    const shown = type === OpCode.createContainer || type === OpCode.createTTL ? OpCode.create2 : type
    writeMultiHeader(result, shown === OpCode.deleteContainer ? OpCode.delete : shown, Err.ok)
    this.body(type, node)
  }

  /** Watch events of the transaction being applied: the receiver must be allowed to read the znode now. */
  onWatch(
    connId: number,
    eventType: number,
    zxid: Zxid,
    path: Uint8Array,
    off: number,
    end: number,
    aclId: number,
  ): void {
    const conn = this.host.connection(connId)
    if (conn === undefined || conn.closed || !this.auth.allowed(aclId, Perm.read, conn.ids)) return
    const bytes = writeEvent(conn.output(), eventType, STATE_SYNC_CONNECTED, zxid, path, off, end)
    countSent(this.metrics, conn, bytes)
  }

  // ------------------------------------------------------------------ housekeeping

  /** The connection is gone. Its writes go on; its waiting reads are dropped when their turn comes. */
  onClosed(conn: Connection): void {
    conn.closed = true
    this.state.watches.removeConnection(conn.connId)
    this.throttled.delete(conn)
    if (conn.session !== null && conn.session.owner === conn) conn.session.owner = null
    if (conn.head !== null && conn.head.zxid === -1) this.runWaiting(conn)
  }

  /** One tick: sessions whose time is up are closed by transaction. */
  onTick(nowMs: number): void {
    this.sessions.expire(nowMs, (session) => {
      this.host.info('session expired', { session: id64Hex(session.hi, session.lo), timeoutMs: session.timeoutMs })
      this.closeSession(session)
    })
  }
}
