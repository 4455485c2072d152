/**
 * One learner as its leader handles it: handshake, synchronisation, then what it sends.
 *
 *   hello -> epoch -> ackEpoch -> elected -> syncing -> newLeader -> acked -> ready
 *
 * `epoch`, `elected` and `acked` wait for a quorum of others; the leader moves the learner on. Everything it is sent
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
import type { Leader } from './leader.ts'
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
import { PACKET_BYTES_MAX } from './role.ts'
import { HistoryWalk, planSync } from './sync.ts'
import type { LinkId, Proposal, Sid } from './types.ts'

export type HandlerState = 'hello' | 'epoch' | 'ackEpoch' | 'elected' | 'syncing' | 'newLeader' | 'acked' | 'ready'

/** Before it has said who it is, a peer is given no more memory than this. */
const HELLO_BYTES_MAX = 1024
/** The op of a sync request; all others are the server's business. */
const OP_SYNC = 9

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
  /** It counts as a supporter until then. */
  leaseUntilMs: number
  /** It is dropped if it says nothing until then. */
  readDeadlineMs: number

  private readonly leader: Leader
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

  constructor(leader: Leader, link: LinkId) {
    this.leader = leader
    this.link = link
    this.sid = 0
    this.observer = false
    this.state = 'hello'
    this.closed = false
    this.forwarding = false
    this.syncKind = null
    this.zxidAcked = 0
    this.leaseUntilMs = 0
    this.readDeadlineMs = leader.nowMs() + leader.initMs
    this.packet = makePacket()
    this.zxidPeer = 0
    this.walk = null
    this.held = null
    this.heldBytes = 0
    this.zxidUnacked = 0
    this.unackedSinceMs = 0
    this.zxidProposed = 0
  }

  /** Has it taken over the leader's history, as far as the leader knows? */
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
      this.onPacket(this.packet)
    }
    return off - start
  }

  private heard(): void {
    if (this.state !== 'ready') return
    this.leaseUntilMs = this.leader.nowMs() + this.leader.syncMs
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
        this.leader.onNewLeaderAck(this, packet.zxid)
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
    this.leader.onHello(this, info.sid, acceptedEpoch, info.configVersion)
  }

  sendLeaderInfo(epochStart: Zxid): void {
    this.state = 'ackEpoch'
    this.readDeadlineMs = this.leader.nowMs() + this.leader.initMs
    this.leader.sendPacket(this.link, Packet.leaderInfo, epochStart, writeLeaderInfo())
  }

  private onAckEpoch(packet: QuorumPacket): void {
    if (packet.type !== Packet.ackEpoch) throw new ProtocolError(`packet ${packet.type} instead of ACKEPOCH`, 0)
    this.zxidPeer = packet.zxid
    this.state = 'elected'
    this.readDeadlineMs = Number.POSITIVE_INFINITY
    this.leader.onAckEpoch(this, readAckEpoch(packet.data), packet.zxid)
  }

  /** The epoch is the leader's: its history is made ours. */
  startSync(): void {
    const { leader } = this
    this.state = 'syncing'
    this.leaseUntilMs = leader.nowMs() + leader.initMs + leader.syncMs
    const { forceSnapshotSync, txnLogSync } = leader.host.options
    const plan = planSync(this.zxidPeer, leader.host.log, leader.zxidCommitted, {
      forceSnapshotSync,
      txnLogSync: txnLogSync && !leader.needTree.has(this.sid),
    })
    leader.host.out.trace(
      `sync of ${this.sid} at 0x${zxidHex(this.zxidPeer)}: ${plan.kind}, committed 0x${zxidHex(leader.zxidCommitted)}`,
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
    this.leader.sendPacket(this.link, kind === 'diff' ? Packet.diff : Packet.trunc, zxid, null)
  }

  /** Participants go first whatever the load; an observer that finds no room has to come again. */
  private takeTurn(kind: 'diff' | 'snap'): boolean {
    const { options } = this.leader.host
    const most = kind === 'diff' ? options.diffSyncsMax : options.snapSyncsMax
    this.syncKind = null
    if (this.observer && this.leader.countSyncs(kind) >= most) {
      this.leader.drop(this, `${most} ${kind} syncs are under way`)
      return false
    }
    this.syncKind = kind
    return true
  }

  private askHistory(walk: HistoryWalk): void {
    const { host } = this.leader
    this.readDeadlineMs = this.leader.nowMs() + this.leader.initMs
    host.out.history(this.link, walk.zxidSeen, host.options.historyBytes)
  }

  onHistory(proposals: readonly Proposal[], state: 'more' | 'end' | 'gap'): void {
    const { walk, leader } = this
    if (walk === null) return
    this.leaseUntilMs = leader.nowMs() + leader.initMs + leader.syncMs
    let whole = state !== 'gap'
    for (const proposal of proposals) {
      if (!whole || proposal.zxid > leader.zxidCommitted) break
      const step = walk.step(proposal.zxid)
      if (step === 'diff') this.sendOp('diff', leader.host.log.lastUpTo(leader.zxidCommitted))
      if (step === 'trunc') this.sendOp('trunc', walk.zxidCut)
      if (step === 'gap') whole = false
      else if (step !== 'skip' && proposal.zxid > this.zxidPeer) this.sendCommitted(proposal)
    }
    if (whole && walk.decided && walk.zxidQueued >= leader.host.log.zxidReach) {
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
    leader.needTree.add(this.sid)
    leader.drop(this, 'the log on disk has not all that it lacks')
  }

  private sendSnapshot(): void {
    const { leader } = this
    if (!this.takeTurn('snap')) return
    this.readDeadlineMs = Number.POSITIVE_INFINITY
    const zxid = leader.host.log.zxidDelivered
    leader.sendPacket(this.link, Packet.snap, zxid, null)
    this.held = []
    this.goLive(zxid)
    if (!this.closed) leader.host.out.sendSnapshot(this.link, zxid)
  }

  onSnapshotSent(): void {
    const { held, leader } = this
    if (held === null) return
    this.held = null
    this.heldBytes = 0
    this.leaseUntilMs = leader.nowMs() + leader.initMs + leader.syncMs
    for (const { type, zxid, data } of held) leader.sendPacket(this.link, type, zxid, data)
    this.sendNewLeader()
  }

  /**
   * From here on it gets what everybody gets. What is committed is sent as committed; what only may become so, as
   * proposed, and to voters only. A leader that is not established yet sends all it has as committed: the learner must
   * have logged it when it acknowledges NEWLEADER, and UPTODATE will make it true.
   */
  private goLive(from: Zxid): void {
    const bound = this.leader.zxidCommitted
    this.forwarding = true
    this.leader.host.log.visitAfter(from, (proposal) => {
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
    this.readDeadlineMs = this.leader.nowMs() + this.leader.initMs
    this.leader.sendPacket(this.link, Packet.newLeader, this.leader.epochStart, this.leader.newLeaderText())
  }

  /** It has acknowledged NEWLEADER. */
  onSynced(): void {
    this.state = 'acked'
    this.syncKind = null
    this.leader.needTree.delete(this.sid)
    this.readDeadlineMs = Number.POSITIVE_INFINITY
  }

  sendUpToDate(): void {
    this.state = 'ready'
    this.heard()
    this.leader.sendPacket(this.link, Packet.upToDate, -1, null)
  }

  /** A packet for all. `encoded`: the same, ready to be sent, where the caller has it. */
  sendLive(type: number, zxid: Zxid, data: Uint8Array | null, encoded: Uint8Array): void {
    if (type === Packet.proposal) this.watchAck(zxid)
    this.sendOrHold(type, zxid, data, encoded)
  }

  private sendOrHold(type: number, zxid: Zxid, data: Uint8Array | null, encoded: Uint8Array | null): void {
    if (this.closed) return
    if (this.held === null) {
      if (encoded === null) this.leader.sendPacket(this.link, type, zxid, data)
      else this.leader.host.out.send(this.link, encoded)
      return
    }
    this.held.push({ type, zxid, data })
    this.heldBytes += 64 + (data === null ? 0 : data.length)
    if (this.heldBytes > this.leader.host.options.heldBytesMax) {
      this.leader.drop(this, 'too much was held back for it while it took its snapshot')
    }
  }

  ping(zxidProposed: Zxid): void {
    if (this.state !== 'newLeader' && this.state !== 'acked' && this.state !== 'ready') return
    const { leader } = this
    if (this.zxidUnacked > 0 && leader.nowMs() - this.unackedSinceMs >= leader.syncMs) {
      leader.drop(this, `it has not acknowledged 0x${zxidHex(this.zxidUnacked)} for too long`)
    } else {
      leader.sendPacket(this.link, Packet.ping, zxidProposed, null)
    }
  }

  private watchAck(zxid: Zxid): void {
    this.zxidProposed = zxid
    if (this.zxidUnacked > 0 || !this.synced || this.observer) return
    this.zxidUnacked = zxid
    this.unackedSinceMs = this.leader.nowMs()
  }

  private onRequest(packet: QuorumPacket): void {
    const { leader } = this
    const { out } = leader.host
    switch (packet.type) {
      case Packet.ack:
        this.onAck(packet.zxid)
        return
      case Packet.ping:
        readTouched(packet.data, (hi, lo, timeoutMs) => out.sessionTouched(hi, lo, timeoutMs))
        return
      case Packet.request: {
        if (this.state !== 'ready') throw new ProtocolError('a request ahead of UPTODATE', 0)
        const request = readForwarded(packet.data, packet.authinfo)
        if (request.type === OP_SYNC) leader.onSync(this)
        else out.request(this.link, this.sid, request)
        return
      }
      case Packet.revalidate: {
        if (this.state !== 'ready') throw new ProtocolError('a session ahead of UPTODATE', 0)
        const { sessionHi, sessionLo, timeoutMs } = readRevalidate(packet.data)
        out.revalidate(this.link, this.sid, sessionHi, sessionLo, timeoutMs)
        return
      }
      default:
        out.trace(`learner ${this.sid} sent a packet ${packet.type}`)
        return
    }
  }

  private onAck(zxid: Zxid): void {
    // The second acknowledgement of NEWLEADER, which answers UPTODATE, says nothing new.
    if (counterOf(zxid) === 0) return
    if (zxid > this.leader.zxidProposed) {
      this.leader.host.out.trace(`learner ${this.sid} acknowledges 0x${zxidHex(zxid)}, which was not proposed`)
      return
    }
    if (zxid <= this.zxidAcked) return
    this.zxidAcked = zxid
    if (this.zxidUnacked > 0 && zxid >= this.zxidUnacked) {
      this.zxidUnacked = zxid < this.zxidProposed ? this.zxidProposed : 0
      this.unackedSinceMs = this.leader.nowMs()
    }
    this.leader.onAcks()
  }
}
