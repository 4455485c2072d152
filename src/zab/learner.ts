/**
 * A follower or observer: finds its leader, is made equal to it, then logs, acknowledges and delivers. An observer may
 * have a follower for its master instead (observermaster.ts); "leader" below is either.
 *
 *   dialing -> leaderInfo -> accepting -> op -> ( truncating | loading ) -> sync -> entering -> acked -> live
 *
 * The order in which a sync ends is the protocol's heart (ZAB, synchronisation; ZOOKEEPER-3911, 4643, 4646, 4785):
 *
 *   1  all that came ahead of NEWLEADER is durable in our log
 *   2  currentEpoch is durable
 *   3  NEWLEADER is acknowledged
 *   4  UPTODATE: a quorum did 1 to 3, so what we took over is committed, and is delivered now, not earlier
 *
 * Java applies the transactions of a sync to its tree at 1. Then a leader that fails before 4 leaves changes in memory
 * that nobody committed (ZOOKEEPER-5010 and its like); here they are in the log only, where the next leader may cut them.
 *
 * Commits are taken strictly in the order of proposals. Those that come between NEWLEADER and UPTODATE (a leader that
 * is established already goes on committing) move `zxidCommitted` and wait for 4 (ZOOKEEPER-4394). A proposal that came
 * already is ignored up to UPTODATE, because the sync and live traffic may overlap; anything else out of order costs
 * the link, never the process: the next sync sets it right (E9).
 *
 * Java: Learner, Follower, Observer, SendAckRequestProcessor.
 */

import { ProtocolError } from '../jute/input.ts'
import { Output } from '../jute/output.ts'
import { counterOf, EPOCH_LIMIT, epochOf, makeZxid, type Zxid, zxidHex } from '../jute/zxid.ts'
import { follows, hole } from './commitlog.ts'
import { OP_SYNC } from './learnerhandler.ts'
import { MasterSearch } from './mastersearch.ts'
import { ObserverMaster, type Upstream } from './observermaster.ts'
import {
  makePacket,
  Packet,
  type QuorumPacket,
  readActivate,
  readInformProposal,
  readLeaderInfo,
  readPacket,
  readRevalidated,
  writeAckEpoch,
  writeForwarded,
  writeLearnerInfo,
  writePacket,
  writeRevalidate,
  writeTouched,
} from './packets.ts'
import { NO_HISTORY, PACKET_BYTES_MAX, quorumOfProposal, type RoleCore, type RoleHost } from './role.ts'
import type { Epoch, ForwardedRequest, LearnerView, LinkId, LinkKind, Proposal, Quorum, Sid } from './types.ts'
import { TXN_HEADER_BYTES, TXN_RECONFIG, txnType, txnZxid } from './types.ts'

type State =
  | 'dialing'
  | 'leaderInfo'
  | 'accepting'
  | 'op'
  | 'truncating'
  | 'loading'
  | 'sync'
  | 'entering'
  | 'acked'
  | 'live'

const NEVER = Number.POSITIVE_INFINITY

export class Learner implements RoleCore, Upstream {
  /** Whom our link leads to. */
  master: Sid | null
  private readonly host: RoleHost
  private readonly observer: boolean
  private readonly scratch: Output
  private readonly packet: QuorumPacket
  private readonly initMs: number
  private readonly syncMs: number
  private link: LinkId | null
  private state: State
  private ended: boolean
  private readonly search: MasterSearch
  /** Our observers, from UPTODATE on. */
  private observers: ObserverMaster | null
  /** The leader is gone if it says nothing until then. Never while it is our own disk that is awaited. */
  private readDeadlineMs: number
  private epoch: number
  /** Our currentEpoch before this epoch; -1 if we had accepted it before: no promise then. */
  private promise: number
  /** We said that we have nothing: only a snapshot will do. */
  private bare: boolean
  private zxidCut: Zxid
  /** What the leader sent behind TRUNC, while the log is being cut. */
  private waiting: QuorumPacket[]
  private waitingBytes: number
  /** The last proposal seen: the end of the log, but for an observer that does not log. */
  private zxidSeen: Zxid
  /** Committed, as far as we know; delivered from UPTODATE on. */
  private zxidCommitted: Zxid
  /** The end of what came ahead of NEWLEADER. */
  private zxidSynced: Zxid
  private entering: boolean
  private newConfig: Quorum | null
  /** PINGs that wait for a configuration to be saved: a few, or the leader gives us up. */
  private readonly pings: Zxid[]
  /** Acknowledged, or in no need of it. */
  private zxidAcked: Zxid

  constructor(host: RoleHost, observer: boolean) {
    const { options, log } = host
    this.host = host
    this.observer = observer
    this.scratch = new Output()
    this.packet = makePacket()
    this.initMs = options.initLimitTicks * options.tickMs
    this.syncMs = options.syncLimitTicks * options.tickMs
    this.link = null
    this.state = 'dialing'
    this.ended = false
    this.master = null
    this.search = new MasterSearch(host, observer)
    this.observers = null
    this.readDeadlineMs = NEVER
    this.epoch = 0
    this.promise = -1
    this.bare = false
    this.zxidCut = 0
    this.waiting = []
    this.waitingBytes = 0
    this.zxidSeen = log.zxidLogged
    this.zxidCommitted = log.zxidLogged
    this.zxidSynced = log.zxidLogged
    this.entering = false
    this.newConfig = null
    this.pings = []
    this.zxidAcked = 0
  }

  // --- the link ------------------------------------------------------------------------------------------------------

  start(): void {
    this.search.start()
  }

  onDialFailed(sid: Sid, kind: LinkKind): void {
    if (this.search.isTarget(sid, kind) && !this.search.onFailed()) this.leave('the leader cannot be reached')
  }

  onOpen(link: LinkId, sid: Sid, kind: LinkKind): void {
    const { options, acceptedEpoch, committed } = this.host
    if (!this.search.isTarget(sid, kind)) {
      this.host.out.close(link, 'it is not the one that we look for')
      return
    }
    this.search.end()
    this.link = link
    this.master = sid
    this.state = 'leaderInfo'
    const type = this.observer ? Packet.observerInfo : Packet.followerInfo
    this.send(type, makeZxid(acceptedEpoch, 0), writeLearnerInfo(options.sid, committed.version))
    this.listen()
  }

  owns(link: LinkId): boolean {
    return link === this.link || this.observers?.links.has(link) === true
  }

  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number {
    if (link !== this.link) return this.observers?.links.onBytes(link, buf, off, end) ?? end - off
    const start = off
    if (this.readDeadlineMs !== NEVER) this.listen()
    try {
      // Behind SNAP come the bytes of the tree; they are not ours to read.
      while (!this.ended && this.state !== 'loading') {
        const next = readPacket(buf, off, end, this.packet, PACKET_BYTES_MAX)
        if (next === -1) break
        off = next
        this.onPacket(this.packet)
      }
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err
      this.leave(err.message)
    }
    return off - start
  }

  onClose(link: LinkId): void {
    if (link !== this.link) {
      this.observers?.links.onClose(link)
      return
    }
    this.link = null
    this.leave('the leader is gone')
  }

  private listen(): void {
    const limit = this.state === 'acked' || this.state === 'live' ? this.syncMs : this.initMs
    this.readDeadlineMs = this.nowMs() + limit
  }

  onDeadline(): void {
    if (!this.search.onDeadline()) this.leave('the leader cannot be reached in time')
    else if (this.nowMs() >= this.readDeadlineMs) this.leave('the leader was silent for too long')
    else this.observers?.onDeadline()
  }

  nextDeadlineMs(): number {
    return Math.min(this.search.nextDeadlineMs(), this.readDeadlineMs, this.observers?.nextDeadlineMs() ?? NEVER)
  }

  private nowMs(): number {
    return this.host.out.nowMs()
  }

  private leave(why: string): void {
    if (this.ended) return
    this.ended = true
    this.host.leave(why)
  }

  end(): void {
    this.ended = true
    this.observers?.links.end('following no more')
    if (this.link !== null) this.host.out.close(this.link, 'following no more')
    this.link = null
  }

  private send(type: number, zxid: Zxid, data: Uint8Array | null): void {
    if (this.link === null) return
    this.scratch.clear()
    writePacket(this.scratch, type, zxid, data)
    this.host.out.send(this.link, this.scratch.bytes())
  }

  // --- discovery -----------------------------------------------------------------------------------------------------

  private onPacket(packet: QuorumPacket): void {
    switch (this.state) {
      case 'leaderInfo':
        this.onLeaderInfo(packet)
        return
      case 'op':
        this.onOp(packet)
        return
      case 'truncating':
        this.hold(packet)
        return
      case 'sync':
      case 'entering':
      case 'acked':
        this.onSyncPacket(packet)
        return
      case 'live':
        this.onLivePacket(packet)
        return
      default:
        throw new ProtocolError(`packet ${packet.type} while none is due`, 0)
    }
  }

  private onLeaderInfo(packet: QuorumPacket): void {
    const { acceptedEpoch, currentEpoch } = this.host
    if (packet.type !== Packet.leaderInfo) throw new ProtocolError(`packet ${packet.type} instead of LEADERINFO`, 0)
    readLeaderInfo(packet.data)
    this.epoch = epochOf(packet.zxid)
    // Promises count among voters: an observer's would keep it out (Java: until the next election) and protect nobody. It
    // only must not go back behind the epoch of its own history.
    const oldest = this.observer ? currentEpoch : acceptedEpoch
    if (this.epoch < oldest) {
      this.leave(`epoch ${this.epoch} is older than ${oldest}, our promise`)
      return
    }
    if (this.epoch >= EPOCH_LIMIT) throw new ProtocolError(`epoch ${this.epoch}`, 4)
    if (this.epoch <= acceptedEpoch) {
      this.sendAckEpoch()
      return
    }
    this.promise = currentEpoch
    this.state = 'accepting'
    this.readDeadlineMs = NEVER
    this.host.saveEpoch('accepted', this.epoch)
  }

  onEpochSaved(which: Epoch): void {
    if (which === 'accepted' && this.state === 'accepting') this.sendAckEpoch()
    else if (which === 'current' && this.state === 'entering') this.ackNewLeader()
  }

  private sendAckEpoch(): void {
    this.state = 'op'
    const { needTree, log } = this.host
    // Who has nothing proves nothing by its epoch: it would hold up a leader whom it could not help.
    if (log.zxidLogged === NO_HISTORY) this.promise = -1
    this.bare = this.promise === -1 && (needTree || log.zxidLogged === NO_HISTORY)
    this.send(Packet.ackEpoch, this.bare ? NO_HISTORY : log.zxidLogged, writeAckEpoch(this.promise))
    this.listen()
  }

  // --- synchronisation -----------------------------------------------------------------------------------------------

  private onOp({ type, zxid }: QuorumPacket): void {
    const { host } = this
    if (this.bare && type !== Packet.snap) throw new ProtocolError(`packet ${type} instead of SNAP`, 0)
    switch (type) {
      case Packet.diff:
        host.out.trace(`DIFF 0x${zxidHex(zxid)} behind 0x${zxidHex(host.log.zxidLogged)}`)
        this.beginSync(host.log.zxidLogged)
        return
      case Packet.trunc:
        if (zxid < 0 || zxid >= host.log.zxidLogged) throw new ProtocolError(`TRUNC to 0x${zxidHex(zxid)}`, 4)
        host.out.trace(`TRUNC 0x${zxidHex(zxid)} from 0x${zxidHex(host.log.zxidLogged)}`)
        this.state = 'truncating'
        this.readDeadlineMs = NEVER
        this.zxidCut = this.cutFor(zxid)
        host.truncate(this.zxidCut)
        return
      case Packet.snap:
        if (zxid < 0) throw new ProtocolError(`SNAP at 0x${zxidHex(zxid)}`, 4)
        host.out.trace(`SNAP 0x${zxidHex(zxid)}`)
        this.state = 'loading'
        this.readDeadlineMs = NEVER
        host.out.loadSnapshot(this.link!, zxid)
        return
      default:
        throw new ProtocolError(`packet ${type} instead of DIFF, TRUNC or SNAP`, 0)
    }
  }

  /**
   * The latest name for the place behind the entry at `zxid`: where the next entry begins an epoch, the point where that
   * does. A snapshot that bears this name has nothing that is to go, and is needed if it is all that we have.
   */
  private cutFor(zxid: Zxid): Zxid {
    const { log } = this.host
    return zxid < log.zxidReach ? zxid : log.after(zxid)!.zxid - 1
  }

  private beginSync(zxid: Zxid): void {
    this.state = 'sync'
    this.zxidSeen = zxid
    this.zxidCommitted = zxid
    this.listen()
  }

  onTruncated(zxid: Zxid): void {
    if (this.state !== 'truncating') return
    if (zxid > this.zxidCut) {
      // What is to go is in our snapshots, and nothing older is left to begin from. (Java keeps such a tail for ever.)
      this.host.needTree = true
      this.ended = true
      this.host.retry('our history cannot be cut: the tree of the leader is needed')
      return
    }
    // Our log ends even earlier: only the point where an epoch begins is a place without an entry.
    if (zxid < this.zxidCut && counterOf(this.zxidCut) !== 0) {
      this.leave('the log could not be cut where it had to')
      return
    }
    this.beginSync(zxid)
    const packets = this.waiting
    this.waiting = []
    try {
      for (const packet of packets) if (!this.ended) this.onSyncPacket(packet)
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err
      this.leave(err.message)
    }
  }

  /** Nothing can be appended while the log is being cut. */
  private hold({ type, zxid, data }: QuorumPacket): void {
    this.waitingBytes += 64 + (data === null ? 0 : data.length)
    if (this.waitingBytes > this.host.options.heldBytesMax) this.leave('too much came while the log was being cut')
    else this.waiting.push({ type, zxid, data: data === null ? null : data.slice(), authinfo: null })
  }

  onSnapshotLoaded(): void {
    if (this.state !== 'loading') return
    this.host.needTree = false
    this.beginSync(this.host.log.zxidLogged)
  }

  private onSyncPacket(packet: QuorumPacket): void {
    switch (packet.type) {
      case Packet.proposal:
        this.onProposal(packet)
        return
      case Packet.commit:
      case Packet.commitAndActivate:
        this.onCommit(packet)
        return
      case Packet.inform:
      case Packet.informAndActivate:
        this.onInform(packet)
        return
      case Packet.newLeader:
        this.onNewLeader(packet)
        return
      case Packet.upToDate:
        this.onUpToDate()
        return
      default: // a PING is not answered yet
    }
  }

  private onNewLeader({ zxid, data }: QuorumPacket): void {
    if (this.state !== 'sync') throw new ProtocolError('NEWLEADER while none is due', 0)
    if (zxid !== makeZxid(this.epoch, 0)) throw new ProtocolError(`NEWLEADER 0x${zxidHex(zxid)}`, 4)
    if (this.host.options.reconfigEnabled && data !== null && data.length > 1) {
      this.newConfig = this.parsed(() => this.host.parse(new TextDecoder().decode(data)))
      this.host.sawConfig(this.newConfig)
    }
    this.state = 'entering'
    this.readDeadlineMs = NEVER
    this.zxidSynced = this.zxidSeen
    this.enterWhenDurable()
  }

  private enterWhenDurable(): void {
    if (this.entering || this.host.savesConfig || this.host.log.zxidDurable < this.zxidSynced) return
    this.entering = true
    if (this.host.currentEpoch === this.epoch) this.ackNewLeader()
    else this.host.saveEpoch('current', this.epoch)
  }

  private ackNewLeader(): void {
    this.state = 'acked'
    this.send(Packet.ack, makeZxid(this.epoch, 0), null)
    this.listen()
  }

  private onUpToDate(): void {
    const { host } = this
    if (this.state !== 'acked') throw new ProtocolError('UPTODATE ahead of our acknowledgement', 0)
    const { newConfig } = this
    // A leader sends the last it has proposed. Of this epoch, that may still wait for its quorums: its commit will come.
    const pending = newConfig !== null && newConfig.version > Math.max(this.zxidCommitted, makeZxid(this.epoch, 0))
    if (newConfig !== null && !pending && host.activate(newConfig, null, this.zxidSeen)) {
      this.leave('our role or our leader is another in the new configuration')
      return
    }
    this.send(Packet.ack, makeZxid(this.epoch, 0), null)
    host.deliverTo(this.zxidCommitted)
    this.state = 'live'
    this.zxidAcked = Math.max(this.zxidAcked, this.zxidCommitted)
    if (!this.observer && host.options.observerMasters) {
      this.observers = new ObserverMaster(host, this, this.epoch, this.zxidCommitted)
    }
    host.works(this.epoch)
    this.sendAcks()
  }

  // --- broadcast -----------------------------------------------------------------------------------------------------

  private onLivePacket(packet: QuorumPacket): void {
    const { host } = this
    switch (packet.type) {
      case Packet.proposal:
        if (!this.observer) this.onProposal(packet)
        return
      case Packet.commit:
      case Packet.commitAndActivate:
        if (!this.observer) this.onCommit(packet)
        return
      case Packet.inform:
      case Packet.informAndActivate:
        this.onInform(packet)
        return
      case Packet.ping:
        // The answer says that all ahead of it has been done, a change of configuration not least.
        if (host.savesConfig) this.pings.push(packet.zxid)
        else this.answerPing(packet.zxid)
        return
      case Packet.revalidate: {
        const { sessionHi, sessionLo, valid } = readRevalidated(packet.data)
        const theirs = this.observers?.onRevalidated(sessionHi, sessionLo, valid) === true
        if (!theirs) host.out.revalidated(sessionHi, sessionLo, valid)
        return
      }
      case Packet.sync:
        if (this.observers?.onSynced() !== true) host.out.synced()
        return
      default:
        host.out.trace(`the leader sent a packet ${packet.type}`)
        return
    }
  }

  private onProposal({ zxid, data }: QuorumPacket): void {
    const txn = wholeTxn(zxid, data)
    if (!this.isNew(zxid)) return
    const bytes = txn.slice()
    if (txnType(bytes) === TXN_RECONFIG) {
      this.host.sawConfig(this.parsed(() => quorumOfProposal(bytes, this.host.parse)))
    }
    this.append({ zxid, bytes })
  }

  /** False for what came already. Throws if something is missing ahead of it. */
  private isNew(zxid: Zxid): boolean {
    if (zxid <= this.zxidSeen && this.state !== 'live') return false
    if (!follows(this.zxidSeen, zxid)) throw new ProtocolError(hole(this.zxidSeen, zxid), 4)
    return true
  }

  private append(proposal: Proposal): void {
    // The leader numbers what it proposes without holes, so acknowledgements count on from here (see sendAcks).
    if (proposal.zxid !== this.zxidSeen + 1) this.zxidAcked = proposal.zxid - 1
    this.zxidSeen = proposal.zxid
    this.host.append(proposal)
  }

  private onCommit({ type, zxid, data }: QuorumPacket): void {
    if (zxid <= this.zxidCommitted && this.state !== 'live') return
    const proposal = this.host.log.after(this.zxidCommitted)
    if (proposal?.zxid !== zxid) throw new ProtocolError(`COMMIT of 0x${zxidHex(zxid)}, which is not next`, 4)
    const designated = type === Packet.commitAndActivate ? readActivate(data) : null
    this.commit(proposal, designated)
  }

  /** An observer's proposal and commit in one. Leaders may have sent it the proposal before. */
  private onInform({ type, zxid, data }: QuorumPacket): void {
    const activates = type === Packet.informAndActivate
    const designated = activates ? readActivate(data) : null
    const bytes = wholeTxn(zxid, activates ? readInformProposal(data) : data)
    if (zxid <= this.zxidCommitted && this.state !== 'live') return
    const known = this.host.log.after(this.zxidCommitted)
    if (known?.zxid === zxid) {
      this.commit(known, designated)
      return
    }
    if (known !== undefined || !this.isNew(zxid)) throw new ProtocolError(hole(this.zxidCommitted, zxid), 4)
    const proposal = { zxid, bytes: bytes.slice() }
    if (this.state === 'live' && !this.host.options.observerSyncs) this.zxidSeen = zxid
    else this.append(proposal)
    this.commit(proposal, designated)
  }

  private commit(proposal: Proposal, designated: Sid | null): void {
    const { host } = this
    const { zxid, bytes } = proposal
    this.zxidCommitted = zxid
    let changed = false
    const activates = designated !== null && txnType(bytes) === TXN_RECONFIG
    if (activates) {
      changed = host.activate(
        this.parsed(() => quorumOfProposal(bytes, host.parse)),
        designated,
        zxid,
      )
    }
    if (this.state === 'live') {
      this.observers?.onCommitted(proposal, activates ? designated : null)
      if (zxid <= host.log.zxidLogged) host.deliverTo(zxid)
      else host.deliverUnlogged(proposal)
    }
    if (changed) this.leave('our role or our leader is another from this reconfiguration on')
  }

  onDurable(): void {
    if (this.state === 'entering') this.enterWhenDurable()
    else if (this.state === 'live' && !this.host.savesConfig) {
      for (const zxid of this.pings.splice(0)) this.answerPing(zxid)
      this.sendAcks()
    }
  }

  /**
   * One acknowledgement for each proposal, in order, as Java's leader counts them. Live proposals are numbered without
   * holes; `zxidAcked` is set past what needs none: what a sync brought committed, and the jump into an epoch.
   */
  private sendAcks(): void {
    if (this.observer || this.host.savesConfig) return
    const { zxidDurable } = this.host.log
    while (this.zxidAcked < zxidDurable && !this.ended) this.send(Packet.ack, ++this.zxidAcked, null)
  }

  private answerPing(zxid: Zxid): void {
    const touched = new Output(256)
    const add = (hi: number, lo: number, timeoutMs: number): void => writeTouched(touched, hi, lo, timeoutMs)
    this.host.out.takeTouched(add)
    this.observers?.takeTouched(add)
    this.send(Packet.ping, zxid, touched.bytes())
  }

  forward(request: ForwardedRequest): boolean {
    if (this.state !== 'live' || this.link === null) return false
    if (request.type === OP_SYNC) this.observers?.onOwnSync()
    this.sendRequest(request)
    return true
  }

  sendRequest(request: ForwardedRequest): void {
    if (this.link === null) return
    this.scratch.clear()
    writeForwarded(this.scratch, request)
    this.host.out.send(this.link, this.scratch.bytes())
  }

  revalidate(sessionHi: number, sessionLo: number, timeoutMs: number): boolean {
    if (this.state !== 'live') return false
    this.observers?.onOwnRevalidate(sessionHi, sessionLo)
    this.sendRevalidate(sessionHi, sessionLo, timeoutMs)
    return true
  }

  sendRevalidate(sessionHi: number, sessionLo: number, timeoutMs: number): void {
    this.send(Packet.revalidate, -1, writeRevalidate(sessionHi, sessionLo, timeoutMs))
  }

  /** A configuration that cannot be read is the leader's fault. */
  private parsed(read: () => Quorum): Quorum {
    try {
      return read()
    } catch (err) {
      throw new ProtocolError(err instanceof Error ? err.message : String(err), 0)
    }
  }

  // --- observers of ours ---------------------------------------------------------------------------------------------

  onAccept(link: LinkId, kind: LinkKind): void {
    if (kind === 'observer' && this.observers !== null) this.observers.links.accept(link)
    else this.host.out.close(link, 'we do not lead')
  }

  onHistory(link: LinkId, proposals: readonly Proposal[], state: 'more' | 'end' | 'gap'): void {
    this.observers?.links.onHistory(link, proposals, state)
  }

  onSnapshotSent(link: LinkId): void {
    this.observers?.links.onSnapshotSent(link)
  }

  learners(): readonly LearnerView[] {
    return this.observers?.links.views() ?? []
  }

  // --- what only leaders do ------------------------------------------------------------------------------------------

  propose(zxid: Zxid): void {
    this.host.out.trace(`0x${zxidHex(zxid)} is not proposed: we do not lead`)
  }

  onVoterLooking(): void {}
  answerRevalidate(): void {}

  confirmLeading(): boolean {
    return false
  }

  hasSyncedQuorum(): boolean {
    return false
  }

  countOutstanding(): number {
    return 0
  }
}

/** With its header, which says the packet's zxid again: the log goes by that one. */
function wholeTxn(zxid: Zxid, data: Uint8Array | null): Uint8Array {
  if (data === null || data.length < TXN_HEADER_BYTES) throw new ProtocolError('a proposal without its header', 12)
  const said = txnZxid(data)
  if (said !== zxid) throw new ProtocolError(`a proposal 0x${zxidHex(zxid)} that says it is 0x${zxidHex(said)}`, 28)
  return data
}
