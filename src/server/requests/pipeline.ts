/**
 * The way of every client request: order per session, proposal, application, reply.
 *
 * A read with nothing of its own session ahead runs at once, out of the bytes it came in. A write is prepared on the
 * spot (prep.ts), proposed, and answered when its transaction is delivered; what its session sends behind it waits in
 * the connection's FIFO. Transactions are delivered in zxid order, each applied to the tree, its watch events written
 * to their connections at once, then its reply: so no client sees a change ahead of its event.
 *
 * A pipeline has one role for all its life:
 *
 *   standalone, leader   prepare and propose; a leader also what its learners forward, in the order it comes in
 *   learner              forwards writes and syncs; a write is answered by the transaction that has its session and cxid
 *   readonly             reads; whatever needs the ensemble is refused
 *
 * Pure: requests, deliveries and times come in; proposals go to `propose`, replies to the connections' outputs.
 * Java: ZooKeeperServer.processPacket, LeaderRequestProcessor, FollowerRequestProcessor, ReadOnlyRequestProcessor,
 * CommitProcessor, FinalRequestProcessor.
 */

import type { ApplySink, StateMachine } from '../../datatree/apply.ts'
import type { NodeId } from '../../datatree/tree.ts'
import { assert } from '../../jute/assert.ts'
import { Err, OpCode, Perm, STATE_SYNC_CONNECTED, Xid } from '../../jute/codes.ts'
import { id64Hex } from '../../jute/id64.ts'
import { Input, readInt } from '../../jute/input.ts'
import { Output } from '../../jute/output.ts'
import type { Zxid } from '../../jute/zxid.ts'
import type { AuthInfo, ForwardedRequest, LinkId, Sid } from '../../zab/types.ts'
import type { Auth, AuthId } from '../access/auth.ts'
import type { Audit, Audited } from '../report/audit.ts'
import type { Metrics } from '../report/metrics.ts'
import { Arrival, type Connection, countSent, FORWARDED, Pending, WAITS } from './connection.ts'
import { Fifo } from './fifo.ts'
import { Handshake, type HandshakeHost, type HandshakeOptions } from './handshake.ts'
import { LearnerFlow } from './learnerflow.ts'
import { Load, type LoadOptions, type Take } from './load.ts'
import { hasWriteForm, isClientOp, opName } from './ops.ts'
import { Outcome } from './outcome.ts'
import { Prep, type PrepOptions, WriteRequest } from './prep.ts'
import { Proposer, type ProposerHost } from './proposer.ts'
import { Reads } from './reads.ts'
import type { Reconfigurer } from './reconfig.ts'
import { beginReply, closeFrame, endReply, writeEvent } from './replies.ts'
import { bodyText, longReply } from './requesttext.ts'
import { SessionGate } from './sessiongate.ts'
import { Owner, type Session, type Sessions } from './sessions.ts'
import type { Throttle } from './throttle.ts'
import { isWellFormed, makesEphemeral, WriteOp } from './writeop.ts'

export type { PipelineRole } from './handshake.ts'

export interface PipelineOptions extends PrepOptions, HandshakeOptions, LoadOptions {
  /** What clients allow a reply to have, for all we know (jute.maxbuffer). */
  readonly juteMaxBufferBytes: number
  /** A local session becomes a global one when it makes its first ephemeral znode (localSessionsUpgradingEnabled). */
  readonly localSessionsUpgradingEnabled: boolean
  /** Leader: plans changes of the membership. Null: there is none to change. */
  readonly reconfig: Reconfigurer | null
}

/** Clocks, and where transactions, requests and remarks go. */
export interface PipelineHost extends HandshakeHost, ProposerHost {
  /** Learner: sends a request to the leader, in order; answered by `deliver`, a sync by `onSynced`. Bytes are borrowed. */
  forward(request: ForwardedRequest): void
  /** Leader: is there a quorum that follows us, as far as can be known? */
  confirmLeading(): boolean
  /** Null where audit.enable is off. */
  readonly audit?: Audit | null
  sessionEnded(session: Session, expired: boolean): void
}

const NO_BYTES = new Uint8Array(0)

export class Pipeline {
  readonly prep: Prep
  readonly state: StateMachine
  private readonly auth: Auth
  private readonly sessions: Sessions
  private readonly metrics: Metrics
  private readonly proposer: Proposer
  readonly handshake: Handshake
  private readonly audit: Audit | null
  private readonly host: PipelineHost
  private readonly options: PipelineOptions
  private readonly reads: Reads
  /** Learner only. */
  private readonly flow: LearnerFlow | null
  private readonly readOnly: boolean
  /** For looking into write requests ahead of preparation. */
  private readonly input: Input
  private readonly op: WriteOp
  /** The write being prepared. */
  private readonly request: WriteRequest
  /** Writes of this server's clients that are not delivered, in zxid order. */
  private readonly inflight: Fifo<Pending>
  private applying: Pending | null
  private readonly outcome: Outcome
  private readonly load: Load
  /** The request that is dealt with. */
  private arrival: Arrival | null

  /**
   * `sessions` tracks the state's sessions already where the role is standalone or leader, and is empty otherwise. A
   * leader's first zxid is the one behind the state's last.
   */
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
    this.load = new Load(options, metrics)
    this.arrival = null
    this.audit = host.audit ?? null
    this.host = host
    this.options = options
    const leads = options.role === 'leader'
    const gate = leads ? new SessionGate(sessions, options.localSessionsEnabled) : null
    this.prep = new Prep(state, auth, host.warn, gate, options.reconfig, options)
    this.proposer = new Proposer(this.prep, sessions, leads, options.compat, host)
    this.flow = options.role === 'learner' ? new LearnerFlow(sessions) : null
    this.readOnly = options.role === 'readonly'
    this.input = new Input(NO_BYTES, 0, 0, options.juteLengthMax)
    this.op = new WriteOp()
    this.request = new WriteRequest()
    this.reads = new Reads(state, auth, metrics.readPerNamespace, host, options)
    this.inflight = new Fifo()
    this.applying = null
    this.outcome = new Outcome()
    this.handshake = new Handshake(
      state,
      auth,
      sessions,
      metrics,
      throttle,
      host,
      options,
      this.flow,
      (conn, session, body) => this.submitCreation(conn, session, body),
    )
  }

  /** Requests taken and not answered. */
  get inProcess(): number {
    return this.load.inProcess
  }

  /** The role is over and all connections are cut: gives back what the tree keeps for proposals in flight. */
  stop(): void {
    this.prep.stop()
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
    this.touch(session, nowMs)
    if (!isClientOp(type, this.options.compat)) {
      this.host.warn('unknown operation', { client: conn.remoteHost, type })
      this.handshake.replyOutOfOrder(conn, xid, -1, Err.unimplemented)
      conn.closeAfterFlush(`unknown operation ${type}`)
      return false
    }
    const bytes = end - off + 8
    const large = this.load.addLarge(bytes)
    if (large === -1) {
      this.host.warn('too many large requests at once: connection closed', { client: conn.remoteHost, bytes })
      conn.closeNow('too many large requests')
      return false
    }
    if (xid > 0) conn.outstanding++
    this.arrival ??= new Arrival(conn, session)
    const { arrival } = this
    arrival.conn = conn
    arrival.session = session
    arrival.xid = xid
    arrival.type = type
    arrival.ids = conn.ids
    arrival.receivedMs = nowMs
    arrival.buf = buf
    arrival.off = off
    arrival.end = end
    arrival.largeBytes = large
    if (this.load.mustWait(type)) this.load.wait(arrival)
    else this.take(arrival)
    return !conn.closing && !this.load.shouldStop(conn)
  }

  private take(arrival: Arrival): void {
    const { conn, session, type } = arrival
    const refused = this.refusal(session, type)
    if (refused !== Err.ok) {
      this.answerInTurn(arrival, refused)
    } else if (hasWriteForm(type) && !(type === OpCode.closeSession && session.local)) {
      this.submit(arrival)
    } else if (type === OpCode.sync && this.flow !== null) {
      this.forwardSync(this.flow, arrival)
    } else if (conn.head !== null) {
      this.load.inProcess++
      conn.enqueue(new Pending(arrival, WAITS, arrival.copyBody(), Err.ok))
    } else {
      const { xid, ids, buf, off, end, receivedMs, largeBytes } = arrival
      this.load.inProcess++
      this.read(conn, xid, type, ids, buf, off, end, receivedMs)
      this.load.endLarge(largeBytes)
    }
  }

  /** The turn of a request that had to wait for room. Its client may be gone, or its session. */
  private readonly takeWaiting: Take = (arrival, refused) => {
    const { conn, session, type } = arrival
    const dead = session.closing || this.sessions.get(session.hi, session.lo) !== session
    if (dead || (conn.closing && !conn.closed) || (conn.closed && (!hasWriteForm(type) || session.local))) {
      this.load.endLarge(arrival.largeBytes)
    } else if (refused) this.answerInTurn(arrival, Err.throttledOp)
    else this.take(arrival)
  }

  /** Room was made: for requests that wait, and for connections that are not read from. */
  private goOn(): void {
    this.load.admit(this.host.nowMs(), this.takeWaiting)
    this.load.goOn()
  }

  /** Why a request goes no further than here, whatever it says. A session that has moved may still be closed, as in Java. */
  private refusal(session: Session, type: number): number {
    if (session.owner !== Owner.self && type !== OpCode.closeSession) return Err.sessionMoved
    if (!this.readOnly) return Err.ok
    return type === OpCode.sync || (hasWriteForm(type) && type !== OpCode.closeSession) ? Err.notReadOnly : Err.ok
  }

  /** An error that is settled, behind the replies that come first. */
  private answerInTurn(arrival: Arrival, err: number): void {
    const pending = new Pending(arrival, WAITS, null, err)
    this.load.inProcess++
    pending.conn.enqueue(pending)
    if (pending.conn.head === pending) this.runWaiting(pending.conn)
  }

  private touch(session: Session, nowMs: number): void {
    if (this.flow !== null && !session.local) this.flow.touch(session)
    else this.sessions.touch(session, nowMs)
  }

  /** Prepares and proposes a write of a client, or forwards it; its reply comes with the delivery, in order. */
  private submit(arrival: Arrival): void {
    const { conn, session, type } = arrival
    if (session.local) {
      const err = this.upgrade(arrival)
      if (err !== Err.ok) {
        this.answerInTurn(arrival, err)
        return
      }
    }
    if (this.flow !== null) {
      this.forwardWrite(this.flow, arrival)
      return
    }
    if (this.proposer.runsOut()) {
      this.load.endLarge(arrival.largeBytes)
      conn.closeNow('the epoch has no zxids left')
      return
    }
    const { request } = this
    request.type = type
    request.sessionHi = session.hi
    request.sessionLo = session.lo
    request.cxid = arrival.xid
    request.ids = arrival.ids
    request.buf = arrival.buf
    request.off = arrival.off
    request.end = arrival.end
    const audited = this.beginAudit(arrival)
    const zxid = this.proposer.propose(request)
    if (zxid === -1) {
      this.answerInTurn(arrival, Err.marshallingError)
      return
    }
    if (type === OpCode.closeSession) session.closing = true
    this.load.inProcess++
    const pending = new Pending(arrival, zxid, null, Err.ok)
    pending.audited = audited
    this.inflight.push(pending)
    conn.enqueue(pending)
  }

  private beginAudit(arrival: Arrival): Audited | null {
    return this.audit === null ? null : this.audit.begin(arrival, (id) => this.auth.userName(id))
  }

  private submitCreation(conn: Connection, session: Session, body: Uint8Array): void {
    const arrival = new Arrival(conn, session)
    arrival.type = OpCode.createSession
    arrival.receivedMs = this.host.nowMs()
    arrival.buf = body
    arrival.end = body.length
    this.submit(arrival)
  }

  /** A request of the server's own (reaper, expiry): nobody waits for an answer. Leader and standalone only. */
  submitInternal(type: number, sessionHi: number, sessionLo: number, body: Uint8Array): void {
    if (this.flow === null && !this.readOnly) this.proposer.proposeInternal(type, sessionHi, sessionLo, body)
  }

  /** The tracker gave this session up, or an operator closes it. */
  closeSession(session: Session): void {
    session.closing = true
    session.expired = true
    if (session.local) this.endLocal(session)
    else if (this.flow !== null) this.forward(session, 0, OpCode.closeSession, NO_BYTES, null)
    else this.submitInternal(OpCode.closeSession, session.hi, session.lo, NO_BYTES)
  }

  // ------------------------------------------------------------------ local sessions

  /**
   * Makes a local session known to all when it is about to own something. In order: the leader meets its creation
   * ahead of the request that needs it. An error code where that must not be.
   */
  private upgrade({ session, type, buf, off, end }: Arrival): number {
    this.input.reset(buf, off, end)
    if (!makesEphemeral(type, this.input, this.op)) return Err.ok
    if (!this.options.localSessionsUpgradingEnabled) {
      // In a multi it is the entry that fails: the leader finds it.
      return type === OpCode.multi || this.flow === null ? Err.ok : Err.ephemeralOnLocalSession
    }
    const body = new Output(4)
    body.int(session.timeoutMs)
    const { hi, lo } = session
    if (this.flow === null) {
      session.local = false
      this.submitInternal(OpCode.createSession, hi, lo, body.bytes())
    } else {
      this.sessions.handOver(session)
      this.flow.touch(session)
      this.host.forward({
        sessionHi: hi,
        sessionLo: lo,
        cxid: 0,
        type: OpCode.createSession,
        body: body.bytes(),
        authinfo: null,
      })
    }
    return Err.ok
  }

  /** A local session ends without a transaction. */
  private endLocal(session: Session): void {
    session.closing = true
    if (this.flow !== null) this.flow.forgetIdle(session)
    else this.sessions.remove(session.hi, session.lo)
    this.host.sessionEnded(session, session.expired)
    const conn = session.client === null ? undefined : this.host.connection(session.client.connId)
    if (conn !== undefined && conn === session.client && session.expired) conn.closeAfterFlush('session expired')
  }

  // ------------------------------------------------------------------ learner

  /** A request that the leader could not decode would never be answered: it ends here. */
  private forwardWrite(flow: LearnerFlow, arrival: Arrival): void {
    const { conn, session, xid, type, buf, off, end } = arrival
    const creates = type === OpCode.createSession
    this.input.reset(buf, off, end)
    if (!creates && !isWellFormed(type, this.input, this.op)) {
      this.answerInTurn(arrival, Err.marshallingError)
      return
    }
    this.load.inProcess++
    if (type === OpCode.closeSession) session.closing = true
    const pending = new Pending(arrival, FORWARDED, null, Err.ok)
    pending.audited = this.beginAudit(arrival)
    flow.pushWrite(session, pending)
    conn.enqueue(pending)
    this.forward(session, xid, type, buf.subarray(off, end), creates ? null : arrival.ids)
  }

  private forwardSync(flow: LearnerFlow, arrival: Arrival): void {
    this.load.inProcess++
    const body = arrival.copyBody()
    const pending = new Pending(arrival, FORWARDED, body, Err.ok)
    flow.pushSync(pending)
    pending.conn.enqueue(pending)
    this.forward(arrival.session, arrival.xid, OpCode.sync, body, arrival.ids)
  }

  private forward(
    session: Session,
    cxid: number,
    type: number,
    body: Uint8Array,
    authinfo: readonly AuthInfo[] | null,
  ): void {
    this.host.forward({ sessionHi: session.hi, sessionLo: session.lo, cxid, type, body, authinfo })
  }

  /** All that the leader had committed ahead of the oldest sync is delivered. */
  onSynced(): void {
    const sync = this.flow?.takeSync() ?? null
    if (sync === null) return
    this.runWaiting(sync.conn)
    this.goOn()
  }

  /** Visits the sessions heard of since the last call. */
  takeTouched(visit: (hi: number, lo: number, timeoutMs: number) => void): void {
    this.flow?.takeTouched(visit)
  }

  /** The leader's word on a session that a client wants to go on with. */
  onRevalidated(hi: number, lo: number, valid: boolean): void {
    this.handshake.onRevalidated(hi, lo, valid)
  }

  // ------------------------------------------------------------------ leader

  /** The epoch has no zxids left. */
  get counterExhausted(): boolean {
    return this.proposer.exhausted
  }

  /** A request of a learner's client, in the order these come in; bytes are borrowed. */
  onForwarded(from: LinkId, _sid: Sid, request: ForwardedRequest): void {
    this.proposer.onForwarded(from, request)
  }

  /** May a learner's client go on with its session? */
  onRevalidate(from: LinkId, hi: number, lo: number, timeoutMs: number): boolean {
    return this.proposer.onRevalidate(from, hi, lo, timeoutMs)
  }

  /** A learner has heard of this session. */
  onTouched(hi: number, lo: number, timeoutMs: number): void {
    this.proposer.onTouched(hi, lo, timeoutMs)
  }

  /** Its clients' sessions live on until they are taken up elsewhere, or expire; what it forwarded stands. */
  onLearnerGone(_from: LinkId): void {}

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
    if (type === OpCode.closeSession) {
      this.closeLocal(conn, xid, receivedMs)
      return
    }
    if (type === OpCode.sync && !this.mayAnswerSync()) {
      this.load.inProcess-- // as if it had never come in: somebody else may lead already, and have newer things to show
      conn.closeNow('this leader hears of no quorum')
      return
    }
    const before = conn.output().pos
    this.reads.answer(conn, type, type === OpCode.ping ? Xid.ping : xid, ids, buf, off, end)
    const bytes = conn.output().pos - before
    const { juteMaxBufferBytes } = this.options
    if (bytes > juteMaxBufferBytes) {
      this.host.warn(...longReply(conn, bytes, juteMaxBufferBytes, bodyText(type, buf, off, end)))
    }
    this.finished(conn, xid, type, receivedMs, bytes)
  }

  private mayAnswerSync(): boolean {
    return this.options.role !== 'leader' || this.options.compat.syncs || this.host.confirmLeading()
  }

  /** Only a local session is closed as if that were a read: no transaction says so. */
  private closeLocal(conn: Connection, xid: number, receivedMs: number): void {
    this.endLocal(conn.session!)
    const out = conn.output()
    const bytes = closeFrame(out, beginReply(out, xid, this.state.zxidLast, Err.ok))
    this.finished(conn, xid, OpCode.closeSession, receivedMs, bytes)
    conn.closeAfterFlush('session closed')
  }

  private replyError(pending: Pending): void {
    if (pending.err === Err.sessionMoved) {
      this.closeMoved(pending)
      return
    }
    const out = pending.conn.output()
    const bytes = closeFrame(out, beginReply(out, pending.xid, this.state.zxidLast, pending.err))
    this.finished(pending.conn, pending.xid, pending.type, pending.receivedMs, bytes)
  }

  /** Its session is served elsewhere by now. No reply, as in Java: the client must not take it for the session's. */
  private closeMoved({ conn, xid }: Pending): void {
    if (xid > 0) conn.outstanding--
    this.load.inProcess--
    conn.closeAfterFlush('session moved to another server')
  }

  /** Accounts for a reply just written. */
  private finished(conn: Connection, xid: number, type: number, receivedMs: number, bytes: number): void {
    const nowMs = this.host.nowMs()
    if (xid > 0) conn.outstanding--
    this.load.inProcess--
    this.metrics.addLatency(nowMs - receivedMs, hasWriteForm(type))
    conn.stats.replied(type, xid, this.state.zxidLast, receivedMs, nowMs)
    countSent(this.metrics, conn, bytes)
  }

  /** Goes on with what waited behind a write that is answered now. */
  private runWaiting(conn: Connection): void {
    for (let next = conn.head; next !== null && next.zxid === WAITS; next = conn.head) {
      conn.dequeue()
      this.load.endLarge(next.largeBytes)
      if (conn.closed || conn.closing) this.load.inProcess--
      else if (next.err !== Err.ok) this.replyError(next)
      else this.read(conn, next.xid, next.type, next.ids, next.body!, 0, next.body!.length, next.receivedMs)
    }
  }

  // ------------------------------------------------------------------ committed transactions

  /** A transaction is durable (committed): applies it, fires its watches, answers its client if that is one of ours. */
  deliver(zxid: Zxid, buf: Uint8Array, off: number, end: number): void {
    const pending = this.flow === null ? this.takeInflight(zxid) : this.flow.match(buf, off)
    this.applying = pending
    this.outcome.begin(pending === null ? 0 : pending.type, readInt(buf, off + 28) === OpCode.error)
    this.audit?.beforeApply(this.state.tree, buf, off)
    this.state.apply(buf, off, end)
    this.applying = null
    this.audit?.afterApply(pending === null ? null : pending.audited, this.outcome.err)
    if (this.flow === null) this.prep.applied(zxid)
    if (pending === null) return
    this.flow?.forgetIdle(pending.conn.session!)
    this.load.endLarge(pending.largeBytes)
    const { conn } = pending
    assert(conn.head === pending, 'replies in order')
    conn.dequeue()
    if (pending.type === OpCode.createSession) this.handshake.onCreated()
    if (conn.closed || conn.closing) {
      this.load.inProcess--
      if (conn.closed) this.load.countStaleReply()
    } else if (this.outcome.err === Err.sessionMoved) {
      this.closeMoved(pending)
    } else if (pending.type === OpCode.createSession && (conn.connecting || this.outcome.err === Err.ok)) {
      this.sessionReady(conn, pending)
    } else {
      this.replyToWrite(pending)
    }
    this.runWaiting(conn)
    this.load.answered(conn)
    if (this.load.waiting > 0) this.goOn()
  }

  private takeInflight(zxid: Zxid): Pending | null {
    const { first } = this.inflight
    if (first === null) return null
    assert(first.zxid >= zxid, 'transactions are delivered in order')
    return first.zxid === zxid ? this.inflight.shift() : null
  }

  private sessionReady(conn: Connection, pending: Pending): void {
    conn.connecting = false
    const session = conn.session!
    if (pending.xid > 0) conn.outstanding-- // a session that has been there before (compat.serverOps)
    session.timeoutMs = conn.timeoutMs
    this.load.inProcess--
    this.metrics.addLatency(this.host.nowMs() - pending.receivedMs, true)
    conn.stats.replied(OpCode.createSession, 0, this.state.zxidLast, pending.receivedMs, this.host.nowMs())
    if (this.outcome.err !== Err.ok) {
      this.handshake.refuse(conn)
      return
    }
    this.handshake.writeConnectResponse(conn, session.hi, session.lo, conn.timeoutMs)
    this.host.sessionOpened(conn)
    conn.resume()
  }

  private replyToWrite(pending: Pending): void {
    const { conn } = pending
    const out = conn.output()
    const start = beginReply(out, pending.xid, this.state.zxidLast, this.outcome.err)
    if (this.outcome.err === Err.ok) this.outcome.writeTo(out)
    const bytes = endReply(out, start)
    const { juteMaxBufferBytes } = this.options
    if (bytes > juteMaxBufferBytes) {
      this.host.warn(...longReply(conn, bytes, juteMaxBufferBytes, { operation: opName(pending.type) }))
    }
    this.finished(conn, pending.xid, pending.type, pending.receivedMs, bytes)
    if (pending.type === OpCode.closeSession) conn.closeAfterFlush('session closed')
  }

  /** What the state machine says while it applies. */
  readonly applySink: Omit<ApplySink, 'onDigestMismatch'> = {
    onResult: (index: number, type: number, err: number, node: NodeId): void => {
      if (this.applying === null) return
      const { tree } = this.state
      this.outcome.onResult(tree, type, err, node)
      const { audited } = this.applying
      if (audited !== null) this.audit?.onResult(audited, index, tree, type, err, node)
    },
    onSessionCreated: (hi: number, lo: number, timeoutMs: number): void => {
      if (this.flow !== null) this.flow.onSessionCreated(hi, lo, timeoutMs)
      else this.sessions.track(hi, lo, timeoutMs, this.host.nowMs()).local = false
    },
    onSessionClosed: (hi: number, lo: number): void => {
      this.flow?.onSessionClosed(hi, lo)
      const session = this.sessions.get(hi, lo)
      if (session === undefined) return
      session.closing = true
      if (this.flow !== null) this.flow.forgetIdle(session)
      else this.sessions.remove(hi, lo)
      this.host.sessionEnded(session, session.expired)
      const byClient = this.applying !== null && !this.applying.conn.closed
      const conn = session.client === null ? undefined : this.host.connection(session.client.connId)
      if (conn !== undefined && conn === session.client && !byClient) conn.closeAfterFlush('session expired')
    },
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
    this.metrics.counters.watch_bytes += bytes
  }

  // ------------------------------------------------------------------ housekeeping

  /** The connection is gone. Its writes go on; its waiting reads are dropped when their turn comes. */
  onClosed(conn: Connection): void {
    conn.closed = true
    this.state.watches.removeConnection(conn.connId)
    this.load.forget(conn)
    this.handshake.onClosed(conn)
    const { session } = conn
    if (session !== null && session.client === conn) {
      session.client = null
      this.flow?.forgetIdle(session)
    }
    if (conn.head !== null && conn.head.zxid === WAITS) this.runWaiting(conn)
    this.goOn()
  }

  /** One tick: sessions whose time is up are closed by transaction, local ones without. */
  onTick(nowMs: number): void {
    this.sessions.expire(nowMs, (session) => {
      this.host.info('session expired', { session: id64Hex(session.hi, session.lo), timeoutMs: session.timeoutMs })
      this.closeSession(session)
    })
    this.handshake.onTick(nowMs)
    this.goOn()
  }
}
