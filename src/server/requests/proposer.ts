/**
 * Where transactions begin: requests of this server, and of a leader's learners, become proposals in arrival order.
 *
 * Watches over the zxids of an epoch: the last counter is never used (a new epoch is made instead), so that no zxid
 * ever comes twice. A standalone server has no epochs to end; there the counter runs on into the next one.
 *
 * Pure. Java: PrepRequestProcessor, Leader.propose (rollover), LearnerHandler (REQUEST), LeaderZooKeeperServer.
 */

import { Err, OpCode } from '../../jute/codes.ts'
import { readInt } from '../../jute/input.ts'
import { Output } from '../../jute/output.ts'
import { epochOf, makeZxid, type Zxid } from '../../jute/zxid.ts'
import type { AuthInfo, ForwardedRequest, LinkId } from '../../zab/types.ts'
import type { AuthId } from '../access/auth.ts'
import type { Compat } from '../config/compat.ts'
import { isForwardable } from './ops.ts'
import type { Prep, WriteRequest } from './prep.ts'
import { Owner, type Sessions } from './sessions.ts'

export interface ProposerHost {
  /** Monotonic milliseconds. */
  nowMs(): number
  /** Milliseconds since 1970, for transaction times. */
  wallMs(): number
  /** Makes a transaction durable; answered by the pipeline's `deliver`, in order. Bytes are borrowed. */
  propose(zxid: Zxid, buf: Uint8Array, off: number, end: number): void
  /** Leader: the epoch has no zxids left. Nothing is proposed any more; another election must make a new one. */
  rollover(): void
  warn(message: string, fields: Record<string, unknown>): void
}

const NO_IDS: readonly AuthId[] = []
/** The last counter that may be used: with the one above it Java's leaders resign. */
const COUNTER_LAST = 0xffff_fffe
/** Where running out of zxids is announced. */
const COUNTER_WARN = Math.floor(0.9 * COUNTER_LAST)

export class Proposer {
  private readonly prep: Prep
  private readonly sessions: Sessions
  private readonly compat: Compat
  private readonly host: ProposerHost
  private readonly txn: Output
  /** Zxids from which to warn, and beyond which none may be used. */
  private zxidWarn: Zxid
  private readonly zxidMax: Zxid
  /** The epoch has no zxids left. */
  exhausted: boolean

  constructor(prep: Prep, sessions: Sessions, leads: boolean, compat: Compat, host: ProposerHost) {
    this.prep = prep
    this.sessions = sessions
    this.compat = compat
    this.host = host
    this.txn = new Output(4096)
    const epoch = epochOf(prep.zxidLast)
    this.zxidWarn = leads ? makeZxid(epoch, COUNTER_WARN) : Number.POSITIVE_INFINITY
    this.zxidMax = leads ? makeZxid(epoch, COUNTER_LAST) : Number.POSITIVE_INFINITY
    this.exhausted = false
  }

  /** Is there no zxid left for one more transaction? To be asked ahead of `propose`. */
  runsOut(): boolean {
    const { zxidLast } = this.prep
    if (zxidLast < this.zxidWarn) return false
    if (zxidLast < this.zxidMax) {
      this.zxidWarn = this.zxidMax
      this.host.warn('nine tenths of the zxids of this epoch are used: a new election will be needed', {})
      return false
    }
    if (!this.exhausted) {
      this.exhausted = true
      this.host.warn('the zxids of this epoch are used up: this leader resigns', {})
      this.host.rollover()
    }
    return true
  }

  /** Returns -1 for what cannot be decoded: nothing is proposed. */
  propose(request: WriteRequest): Zxid {
    const { txn } = this
    txn.clear()
    const zxid = this.prep.prepare(request, this.host.wallMs(), txn)
    if (zxid !== -1) this.host.propose(zxid, txn.buf, 0, txn.pos)
    return zxid
  }

  /** A request of the server's own (reaper, expiry): nobody waits for an answer. */
  proposeInternal(type: number, sessionHi: number, sessionLo: number, body: Uint8Array): void {
    if (this.runsOut()) return
    this.propose({
      type,
      sessionHi,
      sessionLo,
      cxid: 0,
      ids: NO_IDS,
      owner: Owner.self,
      buf: body,
      off: 0,
      end: body.length,
    })
  }

  /**
   * A request of a learner's client. Whatever it says it becomes a transaction, for nothing else answers the client: one
   * that cannot be decoded, or that no client may send, becomes an error.
   */
  onForwarded(from: LinkId, forwarded: ForwardedRequest): void {
    if (this.runsOut()) return
    const { type, sessionHi, sessionLo, cxid, body } = forwarded
    const request: WriteRequest = {
      type,
      sessionHi,
      sessionLo,
      cxid,
      ids: idsOf(forwarded.authinfo),
      owner: from,
      buf: body,
      off: 0,
      end: body.length,
    }
    let err: number = isForwardable(type, this.compat) ? Err.ok : Err.unimplemented
    if (type === OpCode.createSession && body.length >= 4) err = this.openSession(request)
    if (err !== Err.ok || this.propose(request) === -1) {
      this.refuse(request, err === Err.ok ? Err.marshallingError : err)
    } else if (type === OpCode.closeSession) {
      const session = this.sessions.get(sessionHi, sessionLo)
      if (session !== undefined) session.closing = true
    }
  }

  /** The session lives from here on, ahead of its transaction: requests behind this one may use it. */
  private openSession({ sessionHi, sessionLo, buf, off, owner }: WriteRequest): number {
    const session = this.sessions.track(sessionHi, sessionLo, readInt(buf, off), this.host.nowMs())
    if (session.closing) return Err.sessionExpired
    session.owner = owner
    return Err.ok
  }

  private refuse(request: WriteRequest, err: number): void {
    const { txn } = this
    txn.clear()
    const zxid = this.prep.refuse(request, err, this.host.wallMs(), txn)
    this.host.propose(zxid, txn.buf, 0, txn.pos)
  }

  /** A learner's client wants to go on with its session: may it? From then on its requests come from there. */
  onRevalidate(from: LinkId, hi: number, lo: number, timeoutMs: number): boolean {
    const session = this.sessions.get(hi, lo)
    if (session === undefined || session.closing || session.local) return false
    session.timeoutMs = timeoutMs
    this.sessions.touch(session, this.host.nowMs())
    session.owner = from
    return true
  }

  /** A learner has heard of this session. */
  onTouched(hi: number, lo: number, timeoutMs: number): void {
    const session = this.sessions.get(hi, lo)
    if (session === undefined || session.closing) return
    session.timeoutMs = timeoutMs
    this.sessions.touch(session, this.host.nowMs())
  }
}

/** The identities that a learner vouches for. */
function idsOf(authinfo: readonly AuthInfo[] | null): readonly AuthId[] {
  if (authinfo === null) return NO_IDS
  const ids: AuthId[] = []
  for (const { scheme, id } of authinfo) if (scheme !== null) ids.push({ scheme, id: id ?? '' })
  return ids
}
