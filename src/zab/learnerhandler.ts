/**
 * One learner as its master handles it: handshake, synchronisation, then what it sends. The master is a leader, or a
 * follower with observers of its own (observermaster.ts).
 *
 *   hello -> epoch -> ackEpoch -> elected -> syncing -> newLeader -> acked -> ready
 *
 * `epoch`, `elected` and `acked` wait for a quorum of others; the master moves the learner on. Everything it is sent
 * goes one way: from the step in which the sync is decided, live traffic follows it on the same link (held back while a
 * snapshot streams), so nothing falls between the two, and nobody who passed ACKEPOCH misses a proposal.
 *
 * Its acknowledgements are one mark, `zxidAcked`, because a learner logs and acknowledges in order. The mark dies with
 * the link. Java remembers acknowledgements of links that are gone; but a learner that comes back is truncated to what
 * is committed first, and until it has logged the rest again its old word is worth nothing.
 *
 * Java: LearnerHandler.
 */

import { ProtocolError } from '../jute/input.ts'
import { counterOf, EPOCH_LIMIT, epochOf, type Zxid, zxidHex } from '../jute/zxid.ts'
import type { LearnerLinks } from './learnerlinks.ts'
import {
  makePacket,
  Packet,
  PROTOCOL_VERSION,
  type QuorumPacket,
  readAckEpoch,
  readForwarded,
  readLearnerInfo,
  readPacket,
  readRevalidate,
  readTouched,
  writeLeaderInfo,
} from './packets.ts'
import { PACKET_BYTES_MAX, type RoleHost } from './role.ts'
import { HistoryWalk, planSync } from './sync.ts'
import type { ForwardedRequest, LearnerCounts, LinkId, Proposal, Sid, ZabFigure } from './types.ts'

export type HandlerState = 'hello' | 'epoch' | 'ackEpoch' | 'elected' | 'syncing' | 'newLeader' | 'acked' | 'ready'

/** Before it has said who it is, a peer is given no more memory than this. */
const HELLO_BYTES_MAX = 1024
/** The op of a sync request; all others are the server's business. */
export const OP_SYNC = 9

/** Whom learners follow. Java: LearnerMaster. */
export interface Master {
  readonly host: RoleHost
  /** epoch << 32 */
  readonly epochStart: Zxid
  readonly zxidProposed: Zxid
  readonly zxidCommitted: Zxid
  /** Null sid: it does not say who it is. Answered by `sendLeaderInfo`, now or later, unless it is dropped. */
  onHello(handler: LearnerHandler, sid: Sid | null, acceptedEpoch: number, configVersion: Zxid): void
  /** Answered by `startSync`. `currentEpoch` -1: it had accepted this epoch before, and its answer is no promise any more. */
  onAckEpoch(handler: LearnerHandler, currentEpoch: number, zxidLast: Zxid): void
  /** The configuration that NEWLEADER carries. */
  newLeaderText(): Uint8Array
  /** Answered by `onSynced`, then `sendUpToDate`. */
  onNewLeaderAck(handler: LearnerHandler, zxid: Zxid): void
  /** Somebody's mark has moved. */
  onAcks(): void
  /** When this one was proposed; 0 where that is not known any more. */
  proposedMs(zxid: Zxid): number
  /** Bytes are borrowed. */
  onRequest(handler: LearnerHandler, request: ForwardedRequest): void
  onSync(handler: LearnerHandler, request: ForwardedRequest): void
  onRevalidate(handler: LearnerHandler, sessionHi: number, sessionLo: number, timeoutMs: number): void
  onTouched(sessionHi: number, sessionLo: number, timeoutMs: number): void
  /** Nothing more comes from it; its link is closed. */
  onGone(handler: LearnerHandler): void
}

interface Held {
  readonly type: number
  readonly zxid: Zxid
  readonly data: Uint8Array | null
}

export class LearnerHandler {
  readonly link: LinkId
  sid: Sid
  observer: boolean
  state: HandlerState
  closed: boolean
  /** It gets live traffic: its sync is decided. */
  forwarding: boolean
  /** Which throttle its sync counts for. */
  syncKind: 'diff' | 'snap' | null
  /** Everything up to here is on its disk. */
  zxidAcked: Zxid
  /** It has moved, and the master does not know yet. */
  private ackedMore: boolean
  /** The version of the newest configuration that it surely has in force. */
  versionInForce: Zxid
  /** It counts as a supporter until then. */
  leaseUntilMs: number
  /** It is dropped if it says nothing until then. */
  readDeadlineMs: number
  readonly sinceMs: number
  readonly counts: LearnerCounts

  private readonly master: Master
  private readonly links: LearnerLinks
  private readonly packet: QuorumPacket
  private zxidPeer: Zxid
  private walk: HistoryWalk | null
  /** What waits until the snapshot is sent. */
  private held: Held[] | null
  private heldBytes: number
  /** The oldest proposal whose acknowledgement is watched, and since when; 0: none. */
  private zxidUnacked: Zxid
  private unackedSinceMs: number
  private zxidProposed: Zxid
  /** The newest version it was told, and how many PINGs ahead of that, of those that it answers. */
  private versionTold: Zxid
  private pingsAhead: number
  private pings: number
  private pingsAnswered: number

  constructor(master: Master, links: LearnerLinks, link: LinkId) {
    this.master = master
    this.links = links
    this.link = link
    this.sid = 0
    this.observer = false
    this.state = 'hello'
    this.closed = false
    this.forwarding = false
    this.syncKind = null
    this.zxidAcked = 0
    this.ackedMore = false
    this.versionInForce = -1
    this.leaseUntilMs = 0
    this.readDeadlineMs = links.nowMs() + links.initMs
    this.sinceMs = links.nowMs()
    this.counts = { packetsReceived: 0, packetsSent: 0, requests: 0, zxidLast: -1 }
    this.packet = makePacket()
    this.zxidPeer = 0
    this.walk = null
    this.held = null
    this.heldBytes = 0
    this.zxidUnacked = 0
    this.unackedSinceMs = 0
    this.zxidProposed = 0
    this.versionTold = -1
    this.pingsAhead = 0
    this.pings = 0
    this.pingsAnswered = 0
  }

  /** Has it taken over its master's history, as far as that one knows? */
  get synced(): boolean {
    return this.state === 'ready' || (this.state === 'acked' && !this.observer)
  }

  onBytes(buf: Uint8Array, off: number, end: number): number {
    const start = off
    this.heard()
    while (!this.closed) {
      const lengthMax = this.state === 'hello' || this.state === 'epoch' ? HELLO_BYTES_MAX : PACKET_BYTES_MAX
      const next = readPacket(buf, off, end, this.packet, lengthMax)
      if (next === -1) break
      off = next
      this.counts.packetsReceived++
      if (this.ackedMore && this.packet.type !== Packet.ack) this.tellAcks()
      this.onPacket(this.packet)
    }
    this.tellAcks()
    return off - start
  }

  countSent(zxid: Zxid): void {
    this.counts.packetsSent++
    if (zxid > 0) this.counts.zxidLast = zxid
  }

  /** A learner acknowledges one by one; the master counts once for all that came together. */
  private tellAcks(): void {
    if (!this.ackedMore) return
    this.ackedMore = false
    if (!this.closed) this.master.onAcks()
  }

  private heard(): void {
    if (this.state !== 'ready') return
    this.leaseUntilMs = this.links.nowMs() + this.links.syncMs
    this.readDeadlineMs = this.leaseUntilMs
  }

  private onPacket(packet: QuorumPacket): void {
    switch (this.state) {
      case 'hello':
        this.onHello(packet)
        return
      case 'ackEpoch':
        this.onAckEpoch(packet)
        return
      case 'newLeader':
        if (packet.type !== Packet.ack) throw new ProtocolError(`packet ${packet.type} instead of an ACK`, 0)
        this.master.onNewLeaderAck(this, packet.zxid)
        return
      case 'acked': // the learner has nothing to say yet; what Java's might (a ping's answer) is as good later as now
      case 'ready':
        this.onRequest(packet)
        return
      default:
        throw new ProtocolError(`packet ${packet.type} while none is due`, 0)
    }
  }

  private onHello(packet: QuorumPacket): void {
    const { type, zxid } = packet
    if (type !== Packet.followerInfo && type !== Packet.observerInfo) {
      throw new ProtocolError(`the first packet is a ${type}`, 0)
    }
    const info = readLearnerInfo(packet.data)
    const acceptedEpoch = epochOf(zxid)
    // A number that we could not go beyond would end this ensemble; and no server of ours comes near.
    if (acceptedEpoch < 0 || acceptedEpoch >= EPOCH_LIMIT - 1) throw new ProtocolError(`epoch ${acceptedEpoch}`, 4)
    if (info.protocolVersion < PROTOCOL_VERSION) throw new ProtocolError('a learner older than 3.4', 8)
    this.observer = type === Packet.observerInfo
    this.state = 'epoch'
    this.readDeadlineMs = Number.POSITIVE_INFINITY
    this.master.onHello(this, info.sid, acceptedEpoch, info.configVersion)
  }

  sendLeaderInfo(epochStart: Zxid): void {
    this.state = 'ackEpoch'
    this.readDeadlineMs = this.links.nowMs() + this.links.initMs
    this.links.sendPacket(this.link, Packet.leaderInfo, epochStart, writeLeaderInfo())
  }

  private onAckEpoch(packet: QuorumPacket): void {
    if (packet.type !== Packet.ackEpoch) throw new ProtocolError(`packet ${packet.type} instead of ACKEPOCH`, 0)
    this.zxidPeer = packet.zxid
    this.state = 'elected'
    this.readDeadlineMs = Number.POSITIVE_INFINITY
    this.master.onAckEpoch(this, readAckEpoch(packet.data), packet.zxid)
  }

  /** The epoch is ours: its history is made ours too. */
  startSync(): void {
    const { master, links } = this
    this.state = 'syncing'
    this.leaseUntilMs = links.nowMs() + links.initMs + links.syncMs
    const { forceSnapshotSync, txnLogSync } = master.host.options
    const plan = planSync(this.zxidPeer, master.host.log, master.zxidCommitted, {
      forceSnapshotSync,
      txnLogSync: txnLogSync && !links.needTree.has(this.sid),
    })
    master.host.out.trace(
      `sync of ${this.sid} at 0x${zxidHex(this.zxidPeer)}: ${plan.kind}, committed 0x${zxidHex(master.zxidCommitted)}`,
    )
    if (plan.kind === 'snap') {
      this.sendSnapshot()
      return
    }
    if (!this.takeTurn('diff')) return
    if (plan.kind === 'disk') {
      this.walk = new HistoryWalk(this.zxidPeer)
      this.askHistory(this.walk)
      return
    }
    this.sendOp(plan.kind, plan.zxid)
    this.goLive(plan.from)
    this.sendNewLeader()
  }

  private sendOp(kind: 'diff' | 'trunc', zxid: Zxid): void {
    this.links.sendPacket(this.link, kind === 'diff' ? Packet.diff : Packet.trunc, zxid, null)
  }

  /** Participants go first whatever the load; an observer that finds no room has to come again. */
  private takeTurn(kind: 'diff' | 'snap'): boolean {
    const { options } = this.master.host
    const most = kind === 'diff' ? options.diffSyncsMax : options.snapSyncsMax
    this.syncKind = null
    if (this.observer && this.links.countSyncs(kind) >= most) {
      this.links.drop(this, `${most} ${kind} syncs are under way`)
      return false
    }
    this.syncKind = kind
    if (kind === 'diff') this.measure('diffSync', this.links.countSyncs('diff'))
    return true
  }

  private askHistory(walk: HistoryWalk): void {
    const { host } = this.master
    this.readDeadlineMs = this.links.nowMs() + this.links.initMs
    host.out.history(this.link, walk.zxidSeen, host.options.historyBytes)
  }

  onHistory(proposals: readonly Proposal[], state: 'more' | 'end' | 'gap'): void {
    const { walk, master, links } = this
    if (walk === null) return
    this.leaseUntilMs = links.nowMs() + links.initMs + links.syncMs
    let whole = state !== 'gap'
    for (const proposal of proposals) {
      if (!whole || proposal.zxid > master.zxidCommitted) break
      const step = walk.step(proposal.zxid)
      if (step === 'diff') this.sendOp('diff', master.host.log.lastUpTo(master.zxidCommitted))
      if (step === 'trunc') this.sendOp('trunc', walk.zxidCut)
      if (step === 'gap') whole = false
      else if (step !== 'skip' && proposal.zxid > this.zxidPeer) this.sendCommitted(proposal)
    }
    if (whole && walk.decided && walk.zxidQueued >= master.host.log.zxidReach) {
      this.walk = null
      this.goLive(walk.zxidQueued)
      this.sendNewLeader()
      return
    }
    if (whole && state === 'more') {
      this.askHistory(walk)
      return
    }
    // The log on disk does not lead up to what is in memory: the whole tree will do, if not now then when it comes again.
    this.walk = null
    if (!walk.decided) {
      this.sendSnapshot()
      return
    }
    links.needTree.add(this.sid)
    links.drop(this, 'the log on disk has not all that it lacks')
  }

  private sendSnapshot(): void {
    const { master, links } = this
    if (!this.takeTurn('snap')) return
    this.readDeadlineMs = Number.POSITIVE_INFINITY
    // A leader that is not established yet takes what it adopts into its tree first, ahead of its time: the learner may
    // have acknowledged some of that, and give it away for this tree. With the two of us failing then, nobody might have
    // it any more. (If we do not get established and have to take it back, the tree is read from disk anew.)
    master.host.deliverTo(master.zxidCommitted)
    const zxid = master.host.log.zxidDelivered
    links.sendPacket(this.link, Packet.snap, zxid, null)
    this.held = []
    this.goLive(zxid)
    if (!this.closed) master.host.out.sendSnapshot(this.link, zxid)
  }

  onSnapshotSent(): void {
    const { held, links } = this
    if (held === null) return
    this.held = null
    this.heldBytes = 0
    this.leaseUntilMs = links.nowMs() + links.initMs + links.syncMs
    for (const { type, zxid, data } of held) links.sendPacket(this.link, type, zxid, data)
    this.sendNewLeader()
  }

  /**
   * From here on it gets what everybody gets. What is committed is sent as committed; what only may become so, as
   * proposed, and to voters only. A leader that is not established yet sends all it has as committed: the learner must
   * have logged it when it acknowledges NEWLEADER, and UPTODATE will make it true.
   */
  private goLive(from: Zxid): void {
    const bound = this.master.zxidCommitted
    this.forwarding = true
    this.master.host.log.visitAfter(from, (proposal) => {
      if (proposal.zxid <= bound) this.sendCommitted(proposal)
      else if (!this.observer) this.sendOrHold(Packet.proposal, proposal.zxid, proposal.bytes, null)
    })
  }

  private sendCommitted({ zxid, bytes }: Proposal): void {
    this.sendOrHold(Packet.proposal, zxid, bytes, null)
    this.sendOrHold(Packet.commit, zxid, null, null)
  }

  private sendNewLeader(): void {
    if (this.closed) return
    this.state = 'newLeader'
    this.readDeadlineMs = this.links.nowMs() + this.links.initMs
    this.tellsVersion(this.master.host.lastSeen.version)
    this.links.sendPacket(this.link, Packet.newLeader, this.master.epochStart, this.master.newLeaderText())
  }

  /** It has acknowledged NEWLEADER. */
  onSynced(): void {
    if (this.syncKind === 'diff') this.measure('diffSynced', this.links.countSyncs('diff'))
    this.state = 'acked'
    this.syncKind = null
    this.links.needTree.delete(this.sid)
    this.readDeadlineMs = Number.POSITIVE_INFINITY
  }

  sendUpToDate(): void {
    this.state = 'ready'
    this.heard()
    this.links.sendPacket(this.link, Packet.upToDate, -1, null)
  }

  /** A packet for all. `encoded`: the same, ready to be sent, where the caller has it. */
  sendLive(type: number, zxid: Zxid, data: Uint8Array | null, encoded: Uint8Array): void {
    if (type === Packet.proposal) this.watchAck(zxid)
    this.sendOrHold(type, zxid, data, encoded)
  }

  private sendOrHold(type: number, zxid: Zxid, data: Uint8Array | null, encoded: Uint8Array | null): void {
    if (this.closed) return
    if (this.held === null) {
      if (encoded === null) this.links.sendPacket(this.link, type, zxid, data)
      else {
        this.countSent(zxid)
        this.master.host.out.send(this.link, encoded)
      }
      return
    }
    this.held.push({ type, zxid, data })
    this.heldBytes += 64 + (data === null ? 0 : data.length)
    if (this.heldBytes > this.master.host.options.heldBytesMax) {
      this.links.drop(this, 'too much was held back for it while it took its snapshot')
    }
  }

  /** It is being told of a configuration; it has it in force when it answers a PING that is sent later. */
  tellsVersion(version: Zxid): void {
    this.versionTold = version
    this.pingsAhead = this.pings
  }

  private onPing(data: Uint8Array | null): void {
    readTouched(data, (hi, lo, timeoutMs) => this.master.onTouched(hi, lo, timeoutMs))
    if (++this.pingsAnswered <= this.pingsAhead || this.versionInForce === this.versionTold) return
    this.versionInForce = this.versionTold
    this.master.onAcks()
  }

  ping(zxidProposed: Zxid): void {
    if (this.state !== 'newLeader' && this.state !== 'acked' && this.state !== 'ready') return
    const { links } = this
    if (this.zxidUnacked > 0 && links.nowMs() - this.unackedSinceMs >= links.syncMs) {
      links.drop(this, `it has not acknowledged 0x${zxidHex(this.zxidUnacked)} for too long`)
    } else {
      if (this.state === 'ready') this.pings++ // those ahead of UPTODATE are not answered
      links.sendPacket(this.link, Packet.ping, zxidProposed, null)
      this.measure('held', this.held?.length ?? 0)
    }
  }

  private measure(figure: ZabFigure, value: number): void {
    this.master.host.out.measure?.(figure, this.sid, value)
  }

  private watchAck(zxid: Zxid): void {
    this.zxidProposed = zxid
    if (this.zxidUnacked > 0 || !this.synced || this.observer) return
    this.zxidUnacked = zxid
    this.unackedSinceMs = this.links.nowMs()
  }

  private onRequest(packet: QuorumPacket): void {
    const { master } = this
    switch (packet.type) {
      case Packet.ack:
        this.onAck(packet.zxid)
        return
      case Packet.ping:
        this.onPing(packet.data)
        return
      case Packet.request: {
        if (this.state !== 'ready') throw new ProtocolError('a request ahead of UPTODATE', 0)
        this.counts.requests++
        const request = readForwarded(packet.data, packet.authinfo)
        if (request.type === OP_SYNC) master.onSync(this, request)
        else master.onRequest(this, request)
        return
      }
      case Packet.revalidate: {
        if (this.state !== 'ready') throw new ProtocolError('a session ahead of UPTODATE', 0)
        const { sessionHi, sessionLo, timeoutMs } = readRevalidate(packet.data)
        master.onRevalidate(this, sessionHi, sessionLo, timeoutMs)
        return
      }
      default:
        master.host.out.trace(`learner ${this.sid} sent a packet ${packet.type}`)
        return
    }
  }

  private onAck(zxid: Zxid): void {
    // The second acknowledgement of NEWLEADER, which answers UPTODATE, says nothing new.
    if (counterOf(zxid) === 0) return
    if (zxid > this.master.zxidProposed) {
      this.master.host.out.trace(`learner ${this.sid} acknowledges 0x${zxidHex(zxid)}, which was not proposed`)
      return
    }
    if (zxid <= this.zxidAcked) return
    this.zxidAcked = zxid
    const proposedMs = this.master.proposedMs(zxid)
    if (proposedMs > 0) this.measure('ack', this.links.nowMs() - proposedMs)
    if (this.zxidUnacked > 0 && zxid >= this.zxidUnacked) {
      this.zxidUnacked = zxid < this.zxidProposed ? this.zxidProposed : 0
      this.unackedSinceMs = this.links.nowMs()
    }
    this.ackedMore = true
  }
}
