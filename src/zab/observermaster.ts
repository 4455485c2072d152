/**
 * Observers behind a follower, so that the leader has fewer learners (observerMasterPort).
 *
 *   observer <-- INFORM --- follower <-- PROPOSAL, COMMIT --- leader
 *            --- REQUEST -->         --- REQUEST ----------->
 *
 * To its observers the follower is what a leader would be, in the epoch in which it follows: same handshake, same ways
 * to make them equal to itself, but nothing waits for others, because what it passes on is committed already. It passes
 * on nothing else: neither proposals nor configurations that are only proposed.
 *
 * To the leader they are the follower's own clients. Answers find their way back by order: a leader answers syncs in
 * the order in which it got them, and questions about one session likewise, so we keep who asked. An observer that has
 * gone meanwhile keeps its place.
 *
 * It lives as long as its follower is established; whoever leads, or looks for a leader, serves no observers here.
 * Where Java keeps a queue of packets for those that are just behind, limited in bytes, the commit log has them.
 *
 * Java: ObserverMaster, and what Follower does for it.
 */

import { ProtocolError } from '../jute/input.ts'
import { epochOf, makeZxid, type Zxid } from '../jute/zxid.ts'
import type { LearnerHandler, Master } from './learnerhandler.ts'
import { LearnerLinks } from './learnerlinks.ts'
import { Packet, writeInformActivate, writeRevalidated } from './packets.ts'
import type { RoleHost } from './role.ts'
import type { ForwardedRequest, Proposal, Sid } from './types.ts'

/** The follower's way to its leader. */
export interface Upstream {
  /** Bytes are borrowed. */
  sendRequest(request: ForwardedRequest): void
  sendRevalidate(sessionHi: number, sessionLo: number, timeoutMs: number): void
}

/** Who asked: an observer, or null for the follower itself. */
type Asker = LearnerHandler | null

interface Question {
  readonly sessionHi: number
  readonly sessionLo: number
  readonly asker: Asker
}

interface Touched {
  readonly sessionHi: number
  readonly sessionLo: number
  readonly timeoutMs: number
}

export class ObserverMaster implements Master {
  readonly host: RoleHost
  readonly epochStart: Zxid
  /** What the follower has delivered. */
  zxidCommitted: Zxid
  readonly links: LearnerLinks
  private readonly upstream: Upstream
  private readonly syncs: Asker[]
  private readonly questions: Question[]
  /** Sessions that observers have heard of since the leader's last ping. */
  private readonly touched: Map<string, Touched>
  private nextPingMs: number

  constructor(host: RoleHost, upstream: Upstream, epoch: number, zxidCommitted: Zxid) {
    this.host = host
    this.epochStart = makeZxid(epoch, 0)
    this.zxidCommitted = zxidCommitted
    this.links = new LearnerLinks(this, host.out, host.options)
    this.upstream = upstream
    this.syncs = []
    this.questions = []
    this.touched = new Map()
    this.nextPingMs = host.out.nowMs() + host.options.tickMs / 2
  }

  /** Observers know of nothing that is not committed. */
  get zxidProposed(): Zxid {
    return this.zxidCommitted
  }

  // --- handshake -----------------------------------------------------------------------------------------------------

  onHello(handler: LearnerHandler, sid: Sid | null, _acceptedEpoch: number, configVersion: Zxid): void {
    if (!handler.observer) throw new ProtocolError('FOLLOWERINFO on the port for observers', 0)
    if (sid === this.host.options.sid) throw new ProtocolError('it has our own id', 0)
    if (configVersion > this.host.committed.version) throw new ProtocolError('it knows a later configuration', 0)
    this.links.name(handler, sid)
    handler.sendLeaderInfo(this.epochStart)
  }

  /**
   * What an observer has of this epoch is committed: one that has more than we were told of has been behind somebody who
   * hears more of the leader than we do, and is not to go back. (In Java it does.)
   */
  onAckEpoch(handler: LearnerHandler, _currentEpoch: number, zxidLast: Zxid): void {
    const ofThisEpoch = zxidLast > this.epochStart && epochOf(zxidLast) === epochOf(this.epochStart)
    if (ofThisEpoch && zxidLast > this.zxidCommitted) this.links.drop(handler, 'it is ahead of us')
    else handler.startSync()
  }

  /** What is in force. (Java sends what is only proposed, and its observers put that in force.) */
  newLeaderText(): Uint8Array {
    return new TextEncoder().encode(this.host.committed.text)
  }

  onNewLeaderAck(handler: LearnerHandler, zxid: Zxid): void {
    if (zxid !== this.epochStart) throw new ProtocolError('it acknowledged another NEWLEADER', 4)
    handler.onSynced()
    handler.sendUpToDate()
  }

  // --- what is committed, on its way down ----------------------------------------------------------------------------

  /** To be called ahead of its delivery. `designated`: who leads from this reconfiguration on, if it is one. */
  onCommitted({ zxid, bytes }: Proposal, designated: Sid | null): void {
    this.zxidCommitted = zxid
    if (designated === null) this.links.broadcast(true, Packet.inform, zxid, bytes)
    else this.links.broadcast(true, Packet.informAndActivate, zxid, writeInformActivate(designated, bytes))
  }

  // --- what observers ask, on its way up -----------------------------------------------------------------------------

  onRequest(_handler: LearnerHandler, request: ForwardedRequest): void {
    this.upstream.sendRequest(request)
  }

  onSync(handler: LearnerHandler, request: ForwardedRequest): void {
    this.syncs.push(handler)
    this.upstream.sendRequest(request)
  }

  onRevalidate(handler: LearnerHandler, sessionHi: number, sessionLo: number, timeoutMs: number): void {
    this.questions.push({ sessionHi, sessionLo, asker: handler })
    this.upstream.sendRevalidate(sessionHi, sessionLo, timeoutMs)
  }

  onTouched(sessionHi: number, sessionLo: number, timeoutMs: number): void {
    this.touched.set(`${sessionHi} ${sessionLo}`, { sessionHi, sessionLo, timeoutMs })
  }

  takeTouched(visit: (sessionHi: number, sessionLo: number, timeoutMs: number) => void): void {
    for (const { sessionHi, sessionLo, timeoutMs } of this.touched.values()) visit(sessionHi, sessionLo, timeoutMs)
    this.touched.clear()
  }

  // --- the follower's own questions, and the leader's answers --------------------------------------------------------

  onOwnSync(): void {
    this.syncs.push(null)
  }

  onOwnRevalidate(sessionHi: number, sessionLo: number): void {
    this.questions.push({ sessionHi, sessionLo, asker: null })
  }

  /** The leader has answered the oldest sync. True: it was not the follower's own. */
  onSynced(): boolean {
    const asker = this.syncs.shift() ?? null
    if (asker !== null && !asker.closed) this.links.sendPacket(asker.link, Packet.sync, 0, null)
    return asker !== null
  }

  /** The leader has answered the oldest question about this session. True: it was not the follower's own. */
  onRevalidated(sessionHi: number, sessionLo: number, valid: boolean): boolean {
    const at = this.questions.findIndex((one) => one.sessionHi === sessionHi && one.sessionLo === sessionLo)
    if (at === -1) return false
    const { asker } = this.questions.splice(at, 1)[0]!
    if (asker === null) return false
    if (!asker.closed) {
      this.links.sendPacket(asker.link, Packet.revalidate, -1, writeRevalidated(sessionHi, sessionLo, valid))
    }
    return true
  }

  // --- time and links ------------------------------------------------------------------------------------------------

  onDeadline(): void {
    this.links.dropSilent()
    const now = this.host.out.nowMs()
    if (now < this.nextPingMs) return
    this.nextPingMs = now + this.host.options.tickMs / 2
    this.links.ping(this.zxidCommitted)
  }

  nextDeadlineMs(): number {
    return Math.min(this.nextPingMs, this.links.nextDeadlineMs())
  }

  onAcks(): void {}
  onGone(): void {}

  proposedMs(): number {
    return 0
  }
}
