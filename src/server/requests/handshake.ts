/**
 * Everything a client says about itself: the connect request that opens or takes up a session, auth and sasl packets.
 *
 * These are answered at receipt, ahead of whatever is in process, except that a new session is answered when its
 * creation is committed (which waits its turn when there are many), and that a learner takes up a global session when its leader has agreed. Local sessions need
 * nobody else. Pure. Java: ZooKeeperServer.processConnectRequest, finishSessionInit, processPacket (auth), processSasl,
 * LearnerZooKeeperServer.revalidateSession, Learner.validateSession, ReadOnlyZooKeeperServer.validateSession.
 */

import type { StateMachine } from '../../datatree/apply.ts'
import { Err, OpCode } from '../../jute/codes.ts'
import { Input, ProtocolError } from '../../jute/input.ts'
import { Output } from '../../jute/output.ts'
import type { Zxid } from '../../jute/zxid.ts'
import { AUTH_IDS_MAX, type Auth, type AuthId, addAuthIds, SUPER } from '../access/auth.ts'
import { PASSWORD_BYTES, passwordMatches, type SessionPasswords } from '../access/sessionpasswords.ts'
import type { Compat } from '../config/compat.ts'
import type { Metrics } from '../report/metrics.ts'
import { SaslError, type SaslServerLogin } from '../sasl/mechanism.ts'
import { type Connection, countSent } from './connection.ts'
import type { LearnerFlow } from './learnerflow.ts'
import { NewSessions } from './newsessions.ts'
import { beginReply, closeFrame } from './replies.ts'
import { Owner, type Session, type Sessions } from './sessions.ts'
import type { Throttle } from './throttle.ts'

/** What a server is to its clients. `learner` stands for followers and observers. */
export type PipelineRole = 'standalone' | 'leader' | 'learner' | 'readonly'

export interface HandshakeOptions {
  readonly role: PipelineRole
  /** New sessions are known to their member alone (localSessionsEnabled); a standalone server has none of these. */
  readonly localSessionsEnabled: boolean
  readonly sessionTimeoutMinMs: number
  readonly sessionTimeoutMaxMs: number
  readonly juteLengthMax: number
  readonly compat: Compat
  readonly passwords: SessionPasswords
  /** Who fails to log in by SASL stays, without an id. */
  readonly allowSaslFailedClients: boolean
}

export interface HandshakeHost {
  /** Monotonic milliseconds. */
  nowMs(): number
  connection(connId: number): Connection | undefined
  sessionOpened(conn: Connection): void
  /** Learner: asks the leader for a session; answered by `onRevalidated`, in order. */
  revalidate(hi: number, lo: number, timeoutMs: number): void
  info(message: string, fields: Record<string, unknown>): void
  warn(message: string, fields: Record<string, unknown>): void
}

/** Proposes the creation of a session; `body` is its transaction's. */
type CreateSession = (conn: Connection, session: Session, body: Uint8Array) => void

export class Handshake {
  private readonly state: StateMachine
  private readonly auth: Auth
  private readonly sessions: Sessions
  private readonly metrics: Metrics
  private readonly throttle: Throttle
  private readonly host: HandshakeHost
  private readonly options: HandshakeOptions
  /** Learner only. */
  private readonly flow: LearnerFlow | null
  private readonly createSession: CreateSession
  private readonly readOnly: boolean
  private readonly newSessions: NewSessions

  constructor(
    state: StateMachine,
    auth: Auth,
    sessions: Sessions,
    metrics: Metrics,
    throttle: Throttle,
    host: HandshakeHost,
    options: HandshakeOptions,
    flow: LearnerFlow | null,
    createSession: CreateSession,
  ) {
    this.state = state
    this.auth = auth
    this.sessions = sessions
    this.metrics = metrics
    this.throttle = throttle
    this.host = host
    this.options = options
    this.flow = flow
    this.createSession = createSession
    this.readOnly = options.role === 'readonly'
    this.newSessions = new NewSessions()
  }

  /** New sessions are local. */
  private get local(): boolean {
    return this.options.localSessionsEnabled && this.options.role !== 'standalone'
  }

  /** A connect request, the first frame of a connection. Returns false when nothing more may be taken for now. */
  onConnect(conn: Connection, buf: Uint8Array, off: number, end: number): boolean {
    const input = new Input(buf, off, end, this.options.juteLengthMax)
    let lastZxidSeen: number
    let wantedMs: number
    let hi: number
    let lo: number
    let password: Uint8Array | null
    let readOnly = false
    this.metrics.packetsReceived++
    conn.stats.received++
    try {
      input.int() // protocolVersion
      lastZxidSeen = input.long()
      wantedMs = input.int()
      hi = input.int()
      lo = input.int()
      password = input.buffer()
      conn.knowsReadOnly = input.remaining > 0
      if (conn.knowsReadOnly) readOnly = input.bool()
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err
      conn.closeNow(`malformed connect request: ${err.message}`)
      return false
    }
    const nowMs = this.host.nowMs()
    if (!this.throttle.admit(hi !== 0 || lo !== 0, nowMs, this.local)) {
      this.metrics.counters.connection_rejected++
      conn.closeNow('too many connections at once')
      return false
    }
    this.metrics.counters.connection_request_count++
    this.metrics.basic.connection_token_deficit.add(this.throttle.deficit)
    if (this.readOnly && !readOnly) {
      conn.closeNow('client does not want a read-only server')
      return false
    }
    if (lastZxidSeen > this.state.zxidLast) {
      this.host.info('client is ahead of this server and must try another one', {
        client: conn.remoteHost,
        clientZxid: lastZxidSeen,
        zxid: this.state.zxidLast,
      })
      conn.closeNow('client has seen a later zxid')
      return false
    }
    conn.initialised = true
    conn.timeoutMs = Math.min(Math.max(wantedMs, this.options.sessionTimeoutMinMs), this.options.sessionTimeoutMaxMs)
    return hi === 0 && lo === 0 ? this.openSession(conn) : this.reopenSession(conn, hi, lo, password)
  }

  private openSession(conn: Connection): boolean {
    const nowMs = this.host.nowMs()
    if (this.local) {
      const session = this.sessions.create(conn.timeoutMs, nowMs)
      session.local = true
      this.accept(conn, session)
      conn.stats.replied(OpCode.createSession, 0, this.state.zxidLast, nowMs, nowMs)
      return true
    }
    if (this.readOnly) {
      // Java answers with half a reply that its own client cannot read.
      conn.closeNow('a read-only server makes no sessions unless they are local')
      return false
    }
    conn.connecting = true
    if (this.newSessions.begin(conn, nowMs)) this.create(conn)
    return false
  }

  private create(conn: Connection): void {
    const { sessions, flow } = this
    const nowMs = this.host.nowMs()
    const session = flow === null ? sessions.create(conn.timeoutMs, nowMs) : sessions.createAttached(conn.timeoutMs)
    session.owner = Owner.self
    session.client = conn
    conn.session = session
    const body = new Output(4)
    body.int(conn.timeoutMs)
    this.createSession(conn, session, body.bytes())
  }

  /** The creation of a session has ended, whatever became of it. */
  onCreated(): void {
    const next = this.newSessions.ended()
    if (next !== null) this.create(next)
  }

  onClosed(conn: Connection): void {
    this.newSessions.forget(conn)
  }

  onTick(nowMs: number): void {
    this.newSessions.onTick(nowMs, (conn) => {
      this.metrics.counters.connection_rejected++
      this.host.warn('too many new sessions at once: connection closed', { client: conn.remoteHost })
      conn.closeNow('its new session has waited for too long')
    })
  }

  private reopenSession(conn: Connection, hi: number, lo: number, password: Uint8Array | null): boolean {
    const session = this.sessions.get(hi, lo)
    if (this.readOnly && !session?.local && (this.state.sessions.has(hi, lo) || !this.sessions.isOwnId(hi))) {
      // A session of the ensemble, or one that only the other side of the partition has heard of: not ours to renew,
      // and certainly not to declare expired.
      conn.closeNow('a read-only server does not take up sessions of the ensemble')
      return false
    }
    // Java closes the old connection before it looks at the password; a stranger must not be able to do that.
    if (session !== undefined && this.options.compat.takeover) this.closeOld(conn, session)
    if (!passwordMatches(this.options.passwords, hi, lo, password)) return this.refuse(conn)
    if (this.flow !== null && !session?.local) return this.askLeader(this.flow, conn, hi, lo)
    if (session === undefined || session.closing) return this.refuse(conn)
    session.timeoutMs = conn.timeoutMs
    this.sessions.touch(session, this.host.nowMs())
    this.metrics.counters.connection_revalidate_count++
    this.accept(conn, session)
    return true
  }

  /** The session is served by this connection from now on, and by no older one. */
  private accept(conn: Connection, session: Session): void {
    this.closeOld(conn, session)
    session.owner = Owner.self
    session.client = conn
    conn.session = session
    this.writeConnectResponse(conn, session.hi, session.lo, conn.timeoutMs)
    this.host.sessionOpened(conn)
  }

  private closeOld(conn: Connection, session: Session): void {
    const old = session.client === null ? undefined : this.host.connection(session.client.connId)
    if (old !== undefined && old === session.client && old !== conn) old.closeNow('session moved to a new connection')
  }

  refuse(conn: Connection): boolean {
    this.writeConnectResponse(conn, 0, 0, 0)
    conn.closeAfterFlush('session expired or wrong password')
    return false
  }

  private askLeader(flow: LearnerFlow, conn: Connection, hi: number, lo: number): boolean {
    // What the old connection still says would go to the leader behind the question and pass for the new one's.
    const session = this.sessions.get(hi, lo)
    if (session !== undefined) this.closeOld(conn, session)
    for (const older of flow.ask(conn, hi, lo)) older.closeNow('session moved to a new connection')
    conn.connecting = true
    this.host.revalidate(hi, lo, conn.timeoutMs)
    return false
  }

  /** Learner: the leader's word on the session that was asked for first among those not answered. */
  onRevalidated(hi: number, lo: number, valid: boolean): void {
    const conn = this.flow?.answered(hi, lo) ?? null
    if (conn === null) return
    conn.connecting = false
    const session = valid ? this.sessions.attach(hi, lo, conn.timeoutMs) : null
    if (session === null || session.closing) {
      this.refuse(conn)
      return
    }
    this.accept(conn, session)
    conn.resume()
  }

  /** All zero for a session that is refused. */
  writeConnectResponse(conn: Connection, hi: number, lo: number, timeoutMs: number): void {
    const out = conn.output()
    const start = out.pos
    out.int(0) // length
    out.int(0) // protocolVersion
    out.int(timeoutMs)
    out.words(hi, lo)
    out.int(PASSWORD_BYTES)
    out.reserve(PASSWORD_BYTES)
    out.buf.fill(0, out.pos, out.pos + PASSWORD_BYTES)
    if (hi !== 0 || lo !== 0) this.options.passwords.write(hi, lo, out.buf, out.pos)
    out.pos += PASSWORD_BYTES
    if (conn.knowsReadOnly) out.bool(this.readOnly)
    countSent(this.metrics, conn, closeFrame(out, start))
  }

  /** An auth packet: adds ids to the connection, or ends it. */
  authenticate(conn: Connection, xid: number, buf: Uint8Array, off: number, end: number): boolean {
    const input = new Input(buf, off, end, this.options.juteLengthMax)
    let scheme: string | null
    let token: Uint8Array | null
    try {
      input.int() // type, not used
      scheme = input.string()
      token = input.buffer()
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err
      conn.closeNow(`malformed auth packet: ${err.message}`)
      return false
    }
    const added = this.auth.authenticate(scheme, token, conn.remoteHost, conn.certificateIds)
    if (added === 'wrong ensemble') {
      this.metrics.counters.ensemble_auth_fail++
      conn.closeNow('client expects another ensemble')
      return false
    }
    if (scheme === 'ensemble' && added !== 'failed') {
      const named = token !== null && token.length > 0
      this.metrics.counters[named ? 'ensemble_auth_success' : 'ensemble_auth_skip']++
    }
    const check = this.auth.superCheck(scheme, token)
    if (check === null) return this.addIds(conn, xid, scheme, added)
    conn.authenticating = true
    check((verdict) => {
      if (conn.closed || conn.closing) return
      conn.authenticating = false
      const ids = verdict === 'busy' || added === 'failed' ? 'failed' : verdict === 'right' ? [SUPER, ...added] : added
      if (this.addIds(conn, xid, scheme, ids)) conn.resume()
    })
    return false
  }

  private addIds(conn: Connection, xid: number, scheme: string | null, added: readonly AuthId[] | 'failed'): boolean {
    const idsMax = this.options.compat.identities ? Number.POSITIVE_INFINITY : AUTH_IDS_MAX
    if (added === 'failed' || conn.ids.length + added.length > idsMax) {
      this.metrics.authFailedCount++
      this.host.warn('authentication failed', { client: conn.remoteHost, scheme: scheme ?? 'null' })
      this.replyOutOfOrder(conn, xid, 0, Err.authFailed)
      conn.closeAfterFlush('authentication failed')
      return false
    }
    conn.ids = addAuthIds(conn.ids, added)
    this.replyOutOfOrder(conn, xid, 0, Err.ok)
    return true
  }

  /** A sasl packet: a step of the connection's login. Without a login every token is answered by success and none. */
  sasl(conn: Connection, xid: number, buf: Uint8Array, off: number, end: number): boolean {
    let token: Uint8Array | null
    try {
      token = new Input(buf, off, end, this.options.juteLengthMax).buffer()
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err
      conn.closeNow(`malformed sasl packet: ${err.message}`)
      return false
    }
    if (token === null) {
      conn.closeNow('sasl packet without a token') // as Java, which stumbles over the null
      return false
    }
    let answer: Uint8Array | null = null
    try {
      if (conn.login !== null) answer = this.saslStep(conn, conn.login, token)
    } catch (err) {
      if (!(err instanceof SaslError)) throw err
      this.metrics.authFailedCount++
      this.host.warn('authentication failed', { client: conn.remoteHost, scheme: 'sasl', reason: err.message })
      const required = this.auth.saslRequired
      if (required || !this.options.allowSaslFailedClients) {
        this.replySasl(conn, xid, required ? Err.sessionClosedRequireSaslAuth : Err.authFailed, null)
        conn.closeAfterFlush('authentication by sasl failed')
        return false
      }
    }
    this.replySasl(conn, xid, Err.ok, answer)
    return true
  }

  private saslStep(conn: Connection, login: SaslServerLogin, token: Uint8Array): Uint8Array | null {
    conn.sasl ??= login.newServer()
    const answer = conn.sasl.step(token)
    if (conn.sasl.done) {
      const id = conn.sasl.authorizationId
      conn.ids = addAuthIds(conn.ids, this.auth.saslIds(id))
      this.host.info('authenticated by sasl', { client: conn.remoteHost, mechanism: login.mechanism, id })
    }
    return answer
  }

  private replySasl(conn: Connection, xid: number, err: number, token: Uint8Array | null): void {
    const out = conn.output()
    const start = beginReply(out, xid, 0, err)
    out.buffer(token)
    countSent(this.metrics, conn, closeFrame(out, start))
  }

  /** A reply without a body that does not wait for those before it. */
  replyOutOfOrder(conn: Connection, xid: number, zxid: Zxid, err: number): void {
    const out = conn.output()
    countSent(this.metrics, conn, closeFrame(out, beginReply(out, xid, zxid, err)))
  }
}
