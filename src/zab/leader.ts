/**
 * The leader: discovery, synchronisation and broadcast of the ZAB paper, as Java's Leader does them on the wire.
 *
 *   epoch       until a quorum has named the epochs it accepted; the new one is larger than all of them
 *   accepting   that epoch is on its way to our disk: nobody hears of it before, so no two leaders ever share one
 *   ackEpoch    until a quorum has promised to follow nobody older, and none of it has a newer history than ours
 *   entering    our currentEpoch is on its way to disk
 *   newLeader   learners are made equal to us, until a quorum has acknowledged NEWLEADER, that is: has our history
 *   broadcast   that history is committed (adopted) then, and proposals follow
 *
 * A proposal is committed when it is on the disks of a quorum, ours being one disk of many, and everything ahead of it
 * is committed. What is acknowledged is read from marks (see LearnerHandler.zxidAcked, and our own log's zxidDurable).
 *
 * Two quorums count while a reconfiguration is pending, for it and for all that is proposed behind it: of the committed
 * configuration and of the proposed one. What was proposed meanwhile goes on needing both after it is committed: whoever
 * does not know yet that it is may follow a leader that the old one's quorum elects, and forget with it what only the
 * new one's has. Those that do know refuse such a leader; so a quorum of the new one is enough, once it is of them.
 * (In Java it never is; and if voters that are none any more had not answered, nothing is ever committed again.)
 */

import { assert } from '../jute/assert.ts'
import { counterOf, makeZxid, type Zxid, zxidHex } from '../jute/zxid.ts'
import type { LearnerHandler, Master } from './learnerhandler.ts'
import { LearnerLinks } from './learnerlinks.ts'
import { Packet, writeActivate, writeInformActivate, writeRevalidated } from './packets.ts'
import { beats, quorumsInForce, Tracker } from './quorum.ts'
import { quorumOfProposal, type RoleCore, type RoleHost } from './role.ts'
import type { Epoch, ForwardedRequest, LearnerView, LinkId, LinkKind, Proposal, Quorum, Sid, Vote } from './types.ts'
import { TXN_RECONFIG, txnType } from './types.ts'

/**
 * The last counter of an epoch that is proposed, as in Java (ZOOKEEPER-1277). To propose the one behind it ends the
 * leader, and the next epoch begins at 1 again.
 */
export const COUNTER_MAX = 0xffff_fffe

type Phase = 'epoch' | 'accepting' | 'ackEpoch' | 'entering' | 'newLeader' | 'broadcast'

/** Which quorums proposals need, from this zxid on. */
interface Rule {
  readonly from: Zxid
  readonly quorums: readonly Quorum[]
  /** Once the reconfiguration that made it is committed: its quorum alone, of servers that are known to have it in force. */
  later: readonly Quorum[] | null
}

/** Proposals whose time is remembered; a power of two. */
const PROPOSED_MAX = 1024

export class Leader implements RoleCore, Master {
  readonly host: RoleHost
  /** epoch << 32; 0 until it is known. */
  epochStart: Zxid
  zxidProposed: Zxid
  /** Committed; until we are established: all that we have logged, and will have adopted then. */
  zxidCommitted: Zxid

  /** We learn from nobody. */
  readonly master: null

  private readonly sid: Sid
  private readonly handlers: LearnerLinks
  private readonly initMs: number
  private phase: Phase
  private ended: boolean
  private phaseDeadlineMs: number
  private epoch: number
  /** Our history as it was elected. */
  private readonly electedEpoch: number
  private readonly electedZxid: Zxid
  /** Voters that have named their epoch, and those that have promised. */
  private readonly connecting: Set<Sid>
  private readonly electing: Set<Sid>
  private newLeaderAcks: Tracker | null
  private rules: Rule[]
  private readonly syncs: { zxid: Zxid; handler: LearnerHandler }[]
  /** False once a reconfiguration has named somebody else to lead. */
  private mayCommit: boolean
  private nextPingMs: number
  /** When our own disk was last known not to hold us up. */
  private diskHeardMs: number
  /** When the last PROPOSED_MAX were proposed, by the low bits of their counters. */
  private readonly proposedAtMs: Float64Array

  constructor(host: RoleHost) {
    this.host = host
    const { options } = host
    this.epochStart = 0
    this.zxidProposed = host.log.zxidLogged
    this.zxidCommitted = host.log.zxidLogged
    this.master = null
    this.sid = options.sid
    this.handlers = new LearnerLinks(this, host.out, options)
    this.initMs = this.handlers.initMs
    this.phase = 'epoch'
    this.ended = false
    this.phaseDeadlineMs = Number.POSITIVE_INFINITY
    this.epoch = host.acceptedEpoch + 1
    this.electedEpoch = host.currentEpoch
    this.electedZxid = host.log.zxidLogged
    this.connecting = new Set()
    this.electing = new Set()
    this.newLeaderAcks = null
    this.rules = []
    this.syncs = []
    this.mayCommit = true
    this.nextPingMs = Number.POSITIVE_INFINITY
    this.diskHeardMs = 0
    this.proposedAtMs = new Float64Array(PROPOSED_MAX)
  }

  // --- discovery -----------------------------------------------------------------------------------------------------

  start(): void {
    this.phaseDeadlineMs = this.nowMs() + this.initMs
    this.connecting.add(this.sid)
    this.tryEpoch()
  }

  onAccept(link: LinkId, kind: LinkKind): void {
    if (kind === 'learner') this.handlers.accept(link)
    else this.host.out.close(link, 'a leader is no observer master')
  }

  onHello(handler: LearnerHandler, sid: Sid | null, acceptedEpoch: number, configVersion: Zxid): void {
    if (sid === this.sid) {
      this.handlers.drop(handler, 'it has our own id')
      return
    }
    if (configVersion > this.host.committed.version) {
      this.handlers.drop(handler, 'it knows a later configuration')
      return
    }
    this.handlers.name(handler, sid)
    if (this.phase !== 'epoch') {
      const { committed, options } = this.host
      if (acceptedEpoch > this.epoch && committed.isVoter(handler.sid) && !options.ignoreLaterEpochs) {
        // It has promised to follow nobody as old as us (a leader of that epoch failed before it had a quorum), and
        // would be kept out until we fail. With a later epoch all of us go on. Java lets it try for ever.
        this.quit(`server ${handler.sid} has promised epoch ${acceptedEpoch}, a later one than ours is needed`)
        return
      }
      if (this.phase !== 'accepting') handler.sendLeaderInfo(this.epochStart)
      return
    }
    this.epoch = Math.max(this.epoch, acceptedEpoch + 1)
    if (this.host.committed.isVoter(handler.sid)) this.connecting.add(handler.sid)
    this.tryEpoch()
  }

  /**
   * Until a quorum has come: a better candidate turns up, whom we would have voted for ourselves had we heard it in time
   * (our election may have ended without a silence). Others may elect it, and we would wait in vain until the time is
   * up. Or, if the operator wants it so, one that elected us has changed its mind for long.
   */
  onVoterLooking(sid: Sid, vote: Vote): void {
    const { epochWaitMs } = this.host.options
    const { committed } = this.host
    if (this.phase !== 'epoch' || !committed.isVoter(sid)) return
    if (committed.isVoter(vote.leader) && vote.zxid !== -1 && beats(committed, vote, this.host.vote)) {
      this.quit(`${vote.leader} is a better candidate`)
      return
    }
    const waitedMs = this.nowMs() - (this.phaseDeadlineMs - this.initMs)
    if (epochWaitMs < 0 || waitedMs <= epochWaitMs) return
    this.host.out.measure?.('disloyal', sid, 1)
    this.quit(`${sid} looks for a leader again`)
  }

  private tryEpoch(): void {
    if (!this.host.committed.containsQuorum(this.connecting)) return
    this.phase = 'accepting'
    this.epochStart = makeZxid(this.epoch, 0)
    this.host.saveEpoch('accepted', this.epoch)
  }

  onEpochSaved(which: Epoch): void {
    if (which === 'accepted' && this.phase === 'accepting') this.onAccepted()
    else if (which === 'current' && this.phase === 'entering') this.onEntered()
  }

  private onAccepted(): void {
    this.phase = 'ackEpoch'
    this.phaseDeadlineMs = this.nowMs() + this.initMs
    for (const handler of this.handlers.values()) {
      if (handler.state === 'epoch') handler.sendLeaderInfo(this.epochStart)
    }
    this.electing.add(this.sid)
    this.tryElected()
  }

  onAckEpoch(handler: LearnerHandler, currentEpoch: number, zxidLast: Zxid): void {
    if (this.phase === 'newLeader' || this.phase === 'broadcast') {
      handler.startSync()
      return
    }
    if (this.phase !== 'ackEpoch' || currentEpoch === -1) return
    const ahead = currentEpoch - this.electedEpoch || zxidLast - this.electedZxid
    if (ahead > 0) {
      this.handlers.drop(handler, `its history (${currentEpoch}, 0x${zxidHex(zxidLast)}) is newer than ours`)
      return
    }
    if (zxidLast === -1 || !this.host.committed.isVoter(handler.sid)) return
    this.electing.add(handler.sid)
    this.tryElected()
  }

  private tryElected(): void {
    if (!this.host.committed.containsQuorum(this.electing)) return
    this.phase = 'entering'
    this.giveFirstVersion()
    this.host.saveEpoch('current', this.epoch)
  }

  /**
   * A configuration that stands in files only has version 0. The first leader gives it one, so that it wins over what
   * a server that wants to join has in its files; NEWLEADER carries it (ZOOKEEPER-1783).
   */
  private giveFirstVersion(): void {
    const { committed, lastSeen, options, parse } = this.host
    if (!options.reconfigEnabled || committed.version !== 0 || lastSeen.version !== 0) return
    this.host.sawConfig(parse(`${committed.membersText}\nversion=${zxidHex(this.epochStart)}`))
  }

  // --- synchronisation -----------------------------------------------------------------------------------------------

  private onEntered(): void {
    this.phase = 'newLeader'
    this.phaseDeadlineMs = this.nowMs() + this.initMs
    this.nextPingMs = this.nowMs() + this.host.options.tickMs / 2
    this.newLeaderAcks = new Tracker(this.quorums())
    this.newLeaderAcks.add(this.sid)
    for (const handler of this.handlers.values()) if (handler.state === 'elected') handler.startSync()
    this.tryEstablish()
  }

  /** The configuration that a learner has to know: also one that is proposed only, so that it gets completed (1324). */
  newLeaderText(): Uint8Array {
    return new TextEncoder().encode(this.host.lastSeen.text)
  }

  onNewLeaderAck(handler: LearnerHandler, zxid: Zxid): void {
    if (zxid !== this.epochStart) {
      this.handlers.drop(handler, `it acknowledged NEWLEADER 0x${zxidHex(zxid)}`)
      return
    }
    handler.onSynced()
    if (this.phase === 'broadcast') {
      handler.sendUpToDate()
      return
    }
    this.newLeaderAcks?.add(handler.sid)
    this.tryEstablish()
  }

  private tryEstablish(): void {
    if (this.phase !== 'newLeader' || this.newLeaderAcks?.hasAll() !== true) return
    const { host, epochStart } = this
    this.phase = 'broadcast'
    this.phaseDeadlineMs = Number.POSITIVE_INFINITY
    this.diskHeardMs = this.nowMs()
    const adopted = this.zxidCommitted
    this.zxidProposed = epochStart
    this.zxidCommitted = epochStart
    if (host.options.reconfigEnabled) {
      const { lastSeen } = host
      const designated = this.designate(lastSeen)
      host.activate(lastSeen, designated, epochStart)
      this.mayCommit = designated === this.sid
    }
    this.rules = [{ from: epochStart, quorums: this.quorums(), later: null }]
    host.deliverTo(adopted)
    host.log.beginEpoch(epochStart)
    host.works(this.epoch)
    for (const handler of this.handlers.values()) if (handler.state === 'acked') handler.sendUpToDate()
  }

  // --- broadcast -----------------------------------------------------------------------------------------------------

  propose(zxid: Zxid, bytes: Uint8Array): void {
    assert(this.phase === 'broadcast', 'proposed before the leader was established')
    if (counterOf(zxid) > COUNTER_MAX) {
      this.quit('the counter of this epoch has come to its end')
      return
    }
    assert(zxid === this.zxidProposed + 1, 'a proposal must follow the one before')
    if (txnType(bytes) === TXN_RECONFIG) {
      this.host.sawConfig(quorumOfProposal(bytes, this.host.parse))
      this.rules.push({ from: zxid, quorums: this.quorums(), later: null })
    }
    this.zxidProposed = zxid
    this.proposedAtMs[zxid % PROPOSED_MAX] = this.nowMs()
    // Links first: the network is busy while our own disk is.
    this.handlers.broadcast(false, Packet.proposal, zxid, bytes)
    this.host.append({ zxid, bytes })
  }

  proposedMs(zxid: Zxid): number {
    const known = zxid > this.epochStart && zxid > this.zxidProposed - PROPOSED_MAX
    return known ? this.proposedAtMs[zxid % PROPOSED_MAX]! : 0
  }

  onDurable(): void {
    this.diskHeardMs = this.nowMs()
    this.onAcks()
  }

  onAcks(): void {
    if (this.phase !== 'broadcast') return
    let rule: Rule | null = null
    let bound: Zxid = 0
    while (this.mayCommit && !this.ended) {
      const next = this.host.log.after(this.zxidCommitted)
      if (next === undefined) return
      while (this.rules.length > 1 && this.rules[1]!.from <= next.zxid) this.rules.shift()
      if (rule !== this.rules[0]) {
        rule = this.rules[0]!
        bound = this.ackedUnder(rule)
      }
      if (next.zxid > bound) return
      this.commit(next)
    }
  }

  private ackedUnder({ quorums, later }: Rule): Zxid {
    const bound = this.ackedBy(quorums, -1)
    return later === null ? bound : Math.max(bound, this.ackedBy(later, later[0]!.version))
  }

  /**
   * The highest zxid that a quorum in each of `quorums` has on its disks; asking only those that are known to have a
   * configuration in force that is no older than `version`.
   */
  private ackedBy(quorums: readonly Quorum[], version: Zxid): Zxid {
    const marks = this.host.savesConfig ? [] : [{ sid: this.sid, zxid: this.host.log.zxidDurable }]
    for (const { forwarding, observer, sid, zxidAcked, versionInForce } of this.handlers.values()) {
      if (forwarding && !observer && versionInForce >= version) marks.push({ sid, zxid: zxidAcked })
    }
    marks.sort((a, b) => b.zxid - a.zxid)
    const sids = new Set<Sid>()
    for (const { sid, zxid } of marks) {
      sids.add(sid)
      if (quorums.every((quorum) => quorum.containsQuorum(sids))) return zxid
    }
    return 0
  }

  private commit({ zxid, bytes }: Proposal): void {
    this.zxidCommitted = zxid
    if (txnType(bytes) === TXN_RECONFIG) {
      this.commitReconfig(zxid, bytes)
    } else {
      this.handlers.broadcast(false, Packet.commit, zxid, null)
      this.handlers.broadcast(true, Packet.inform, zxid, bytes)
    }
    this.host.deliverTo(zxid)
    while (this.syncs.length > 0 && this.syncs[0]!.zxid <= zxid) this.sendSync(this.syncs.shift()!.handler)
  }

  /**
   * If it takes us out, or moves us, we are the last to hear no more of it: the links stay until the learners leave, so
   * that the commit reaches them; nothing is committed behind it, and the designated leader begins where we ended.
   */
  private commitReconfig(zxid: Zxid, bytes: Uint8Array): void {
    const quorum = quorumOfProposal(bytes, this.host.parse)
    const designated = this.designate(quorum)
    this.host.activate(quorum, designated, zxid)
    this.mayCommit = designated === this.sid
    this.rules[0]!.later = [quorum]
    this.rules.push({ from: this.zxidProposed + 1, quorums: this.quorums(), later: null })
    for (const handler of this.handlers.values()) handler.tellsVersion(quorum.version)
    this.handlers.broadcast(false, Packet.commitAndActivate, zxid, writeActivate(designated))
    this.handlers.broadcast(true, Packet.informAndActivate, zxid, writeInformActivate(designated, bytes))
  }

  /** Ourselves, if we stay a voter at the same address; else the new voter that has logged most. */
  private designate(quorum: Quorum): Sid {
    const ours = this.host.committed.quorumAddresses(this.sid).join()
    if (quorum.isVoter(this.sid) && quorum.quorumAddresses(this.sid).join() === ours) return this.sid
    let best: LearnerHandler | null = null
    for (const handler of this.handlers.values()) {
      if (!quorum.isVoter(handler.sid) || handler.observer || !handler.synced) continue
      if (best === null || handler.zxidAcked > best.zxidAcked) best = handler
    }
    return best === null ? this.sid : best.sid
  }

  private quorums(): readonly Quorum[] {
    return quorumsInForce(this.host.committed, this.host.lastSeen)
  }

  // --- what learners ask ---------------------------------------------------------------------------------------------

  onRequest({ link, sid }: LearnerHandler, request: ForwardedRequest): void {
    this.host.out.request(link, sid, request)
  }

  onRevalidate({ link, sid }: LearnerHandler, sessionHi: number, sessionLo: number, timeoutMs: number): void {
    this.host.out.revalidate(link, sid, sessionHi, sessionLo, timeoutMs)
  }

  onTouched(sessionHi: number, sessionLo: number, timeoutMs: number): void {
    this.host.out.sessionTouched(sessionHi, sessionLo, timeoutMs)
  }

  /** All that is committed here goes ahead of the answer. A leader that slept finds out first that it is none. */
  onSync(handler: LearnerHandler): void {
    if (!this.confirmLeading()) return
    if (this.zxidProposed === this.zxidCommitted) this.sendSync(handler)
    else this.syncs.push({ zxid: this.zxidProposed, handler })
  }

  confirmLeading(): boolean {
    if (this.phase !== 'broadcast' || this.ended) return false
    if (!this.hasLease()) this.quit('no quorum of followers is heard of')
    return !this.ended
  }

  private sendSync(handler: LearnerHandler): void {
    if (!handler.closed) this.handlers.sendPacket(handler.link, Packet.sync, 0, null)
  }

  answerRevalidate(link: LinkId, sessionHi: number, sessionLo: number, valid: boolean): void {
    if (!this.handlers.has(link)) return
    this.handlers.sendPacket(link, Packet.revalidate, -1, writeRevalidated(sessionHi, sessionLo, valid))
  }

  // --- links and time ------------------------------------------------------------------------------------------------

  owns(link: LinkId): boolean {
    return this.handlers.has(link)
  }

  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number {
    return this.handlers.onBytes(link, buf, off, end)
  }

  onClose(link: LinkId): void {
    this.handlers.onClose(link)
  }

  onHistory(link: LinkId, proposals: readonly Proposal[], state: 'more' | 'end' | 'gap'): void {
    this.handlers.onHistory(link, proposals, state)
  }

  onSnapshotSent(link: LinkId): void {
    this.handlers.onSnapshotSent(link)
  }

  onGone(handler: LearnerHandler): void {
    if (handler.state === 'ready') this.host.out.learnerGone(handler.link, handler.sid)
    if (!this.mayCommit && !this.hasLease()) this.quit('somebody else is to lead')
  }

  /**
   * Do we hear of a quorum, as of now? Those count too that are being synchronised: they have promised to follow. Not
   * so observers, though a pending configuration may make voters of them: what it needs now, they do not acknowledge.
   */
  private hasLease(): boolean {
    const now = this.nowMs()
    const alive = new Tracker(this.quorums())
    alive.add(this.sid)
    for (const { sid, observer, leaseUntilMs } of this.handlers.values()) {
      if (!observer && now <= leaseUntilMs) alive.add(sid)
    }
    return alive.hasAll()
  }

  onDeadline(): void {
    const now = this.nowMs()
    if (now >= this.phaseDeadlineMs) {
      this.quit(`no quorum in time (${this.phase})`)
      return
    }
    const pingDue = now >= this.nextPingMs
    // Before anything else: whoever slept through the leases of its followers leads no more.
    if (pingDue && this.phase === 'broadcast' && !this.hasLease()) {
      this.quit('no quorum of followers is heard of')
      return
    }
    if (pingDue && this.phase === 'broadcast' && this.isDiskStuck()) {
      this.quit('our disk keeps still, and a quorum of others goes on without it')
      return
    }
    this.handlers.dropSilent()
    if (!pingDue) return
    this.nextPingMs = now + this.host.options.tickMs / 2
    this.handlers.ping(this.zxidProposed)
  }

  /**
   * For syncLimit nothing became durable here, and others have committed what we lack. One of them can lead: where
   * everybody's writes would else pile up in our memory, ours alone wait.
   */
  private isDiskStuck(): boolean {
    const { log, options } = this.host
    const now = this.nowMs()
    const nothingCommitted = this.zxidCommitted === this.epochStart
    if (nothingCommitted || log.zxidDurable >= this.zxidCommitted) this.diskHeardMs = now
    return now - this.diskHeardMs > options.syncLimitTicks * options.tickMs
  }

  nextDeadlineMs(): number {
    return Math.min(this.phaseDeadlineMs, this.nextPingMs, this.handlers.nextDeadlineMs())
  }

  private nowMs(): number {
    return this.host.out.nowMs()
  }

  private quit(why: string): void {
    if (this.ended) return
    this.ended = true
    this.host.leave(why)
  }

  end(): void {
    this.ended = true
    this.handlers.end('leading no more')
  }

  // --- views ---------------------------------------------------------------------------------------------------------

  learners(): readonly LearnerView[] {
    return this.handlers.views()
  }

  hasSyncedQuorum(quorum: Quorum): boolean {
    const now = this.nowMs()
    const sids = new Set([this.sid])
    for (const { sid, forwarding, observer, leaseUntilMs } of this.handlers.values()) {
      if (forwarding && !observer && now <= leaseUntilMs) sids.add(sid)
    }
    return quorum.containsQuorum(sids)
  }

  countOutstanding(): number {
    return this.phase === 'broadcast' ? this.host.log.countAfter(this.zxidCommitted) : 0
  }

  // --- what only learners do -----------------------------------------------------------------------------------------

  onOpen(link: LinkId): void {
    this.host.out.close(link, 'we lead now')
  }

  onDialFailed(): void {}
  onTruncated(): void {}
  onSnapshotLoaded(): void {}

  forward(): boolean {
    return false
  }

  revalidate(): boolean {
    return false
  }
}
