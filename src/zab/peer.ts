/**
 * One member as a whole: looks for a leader, plays the role that comes of it, and looks again.
 *
 *   draining -> (pausing) -> looking -> active -> draining ...
 *
 * A role ends at once for clients, but the next one waits until our disk has answered everything it was asked for: the
 * log is durable to its end, epochs are saved, a truncation is done. What we vote with is then what a restart would
 * find, no acknowledgement of the old role is still to come, and a new leader's TRUNC cuts a log that stands still.
 * (Java drains its sync thread for the same reason; ZOOKEEPER-2845, 4712.)
 *
 * A reconfiguration that changes our role or names the next leader skips the election (`handover`).
 *
 * Roles and election only note what is to happen; `settle`, at the end of each input, makes it happen. So no role ever
 * finds itself replaced in the middle of a call.
 *
 * Java: QuorumPeer.
 */

import { assert } from '../jute/assert.ts'
import { type Zxid, zxidHex } from '../jute/zxid.ts'
import { CommitLog } from './commitlog.ts'
import { Election } from './election.ts'
import { Leader } from './leader.ts'
import { Learner } from './learner.ts'
import { learnerRole, type RoleCore, type RoleHost } from './role.ts'
import type {
  ElectionEvents,
  ElectionOut,
  ElectionPort,
  Epoch,
  ForwardedRequest,
  LearnerView,
  LinkId,
  LinkKind,
  ParseQuorum,
  Proposal,
  Quorum,
  Role,
  Sid,
  StartState,
  Vote,
  Zab,
  ZabOptions,
  ZabOut,
} from './types.ts'

export type MakeElection = (out: ElectionOut, events: ElectionEvents) => ElectionPort

type Stage = 'new' | 'draining' | 'pausing' | 'looking' | 'active' | 'stopped'

const NEVER = Number.POSITIVE_INFINITY
/** A role that lasted no longer did not work; behind a few of these in a row we look again only after a pause. */
const QUICK_END_MS = 200
const PAUSE_MIN_MS = 25
const PAUSE_MAX_MS = 1000

export class Peer implements Zab, RoleHost {
  readonly options: ZabOptions
  readonly out: ZabOut
  readonly parse: ParseQuorum
  log: CommitLog
  role: Role
  established: boolean
  acceptedEpoch: number
  currentEpoch: number
  vote: Vote
  needTree: boolean

  private readonly election: ElectionPort
  private readonly electionLinks: Set<LinkId>
  private stage: Stage
  private core: RoleCore | null
  private configs: { committed: Quorum; lastSeen: Quorum } | null
  /** What our disk owes us. */
  private epochsPending: number
  private configsPending: number
  private truncating: boolean
  /** Noted during an input, for `settle`. */
  private elected: Vote | null
  private leaving: boolean
  private handover: boolean
  private wakeAtMs: number
  /** When the role began, and how many in a row have ended at once. */
  private begunMs: number
  private quickEnds: number
  /** Ports of masters that are being dialled; one dial, one answer. */
  private readonly dials: Set<string>

  constructor(options: ZabOptions, out: ZabOut, parse: ParseQuorum, makeElection?: MakeElection) {
    this.options = options
    this.out = out
    this.parse = parse
    this.log = new CommitLog(-1, [], options.commitLogCount)
    this.role = 'looking'
    this.established = false
    this.acceptedEpoch = 0
    this.currentEpoch = 0
    this.vote = { leader: options.sid, zxid: -1, electionEpoch: 0, peerEpoch: 0 }
    this.needTree = false
    this.electionLinks = new Set()
    this.stage = 'new'
    this.core = null
    this.configs = null
    this.epochsPending = 0
    this.configsPending = 0
    this.truncating = false
    this.elected = null
    this.leaving = false
    this.handover = false
    this.wakeAtMs = NEVER
    this.begunMs = 0
    this.quickEnds = 0
    this.dials = new Set()
    const events: ElectionEvents = {
      onElected: (vote) => {
        this.elected = vote
      },
      onNewerConfig: (quorum) => {
        if (this.stage === 'looking') this.activate(quorum, null, this.log.zxidLogged)
      },
      onLooking: (sid, vote) => this.core?.onVoterLooking(sid, vote),
    }
    const electionOut = this.electionOut()
    this.election =
      makeElection?.(electionOut, events) ?? new Election(options.sid, options, electionOut, events, parse)
  }

  // --- life ----------------------------------------------------------------------------------------------------------

  start(state: StartState): void {
    assert(this.stage === 'new', 'started twice')
    const { acceptedEpoch, currentEpoch, zxidLast, proposals, committed, lastSeen } = state
    this.log = new CommitLog(zxidLast, proposals, this.options.commitLogCount)
    this.acceptedEpoch = acceptedEpoch
    this.currentEpoch = currentEpoch
    // With reconfiguration off, what stands in a .next file is of no more use (ZOOKEEPER-2819, 3829).
    const newer = this.options.reconfigEnabled && lastSeen !== null && lastSeen.version > committed.version
    this.configs = { committed, lastSeen: newer ? lastSeen : committed }
    this.election.onConfig(this.committed, this.lastSeen)
    this.out.role('looking', null)
    this.stage = 'draining'
    this.settle()
  }

  stop(): void {
    if (this.stage === 'stopped') return
    this.stage = 'stopped'
    this.core?.end()
    this.core = null
    this.established = false
    this.election.stop()
  }

  /** Makes happen what the input has led to. */
  private settle(): void {
    for (;;) {
      if (this.leaving) this.leaveNow()
      else if (this.stage === 'draining' && this.isDrained()) this.moveOn()
      else if (this.stage === 'looking' && this.elected !== null) this.begin(this.elected)
      else return
    }
  }

  private leaveNow(): void {
    this.leaving = false
    if (this.core === null) return
    const pauseMs = this.pauseBehind(this.role === 'observing')
    this.core.end()
    this.core = null
    this.established = false
    this.role = 'looking'
    this.stage = 'draining'
    this.wakeAtMs = pauseMs > 0 ? this.out.nowMs() + pauseMs : NEVER
    this.election.settle('looking', this.vote)
    this.out.role('looking', null)
  }

  /** How long to wait before looking again: observers always a little, and everybody whose roles end as they begin. */
  private pauseBehind(observed: boolean): number {
    if (this.handover) return 0
    this.quickEnds = this.out.nowMs() - this.begunMs < QUICK_END_MS ? this.quickEnds + 1 : 0
    const backOffMs = this.quickEnds < 3 ? 0 : Math.min(PAUSE_MIN_MS * 2 ** (this.quickEnds - 3), PAUSE_MAX_MS)
    return Math.floor(this.out.random() * (observed ? this.options.observerDelayMs : 0) + backOffMs)
  }

  private isDrained(): boolean {
    return this.log.drained && this.epochsPending === 0 && !this.truncating
  }

  private moveOn(): void {
    if (this.log.unlogged) {
      // An observer that does not log: the tree is taken back to where its log ends, and the two are one again.
      this.truncate(this.log.zxidLogged)
    } else if (this.wakeAtMs !== NEVER) {
      this.stage = 'pausing'
    } else {
      this.look()
    }
  }

  private look(): void {
    this.wakeAtMs = NEVER
    this.elected = null
    if (this.handover) {
      this.handover = false
      this.begin(this.vote)
      return
    }
    this.stage = 'looking'
    this.out.trace(`looking at 0x${zxidHex(this.log.zxidLogged)} in epoch ${this.currentEpoch}`)
    this.vote = { ...this.vote, leader: this.options.sid, zxid: this.log.zxidLogged, peerEpoch: this.currentEpoch }
    this.election.look(this.log.zxidLogged, this.currentEpoch)
  }

  private begin(vote: Vote): void {
    const { sid } = this.options
    this.elected = null
    this.vote = vote
    this.stage = 'active'
    this.begunMs = this.out.nowMs()
    this.role = vote.leader === sid ? 'leading' : learnerRole(this.committed, sid)
    this.out.trace(`${this.role} ${vote.leader}`)
    this.election.settle(this.role, vote)
    this.out.role(this.role, vote.leader)
    this.core = this.role === 'leading' ? new Leader(this) : new Learner(this, this.role === 'observing')
    this.core.start()
  }

  // --- what roles use (RoleHost) -------------------------------------------------------------------------------------

  append(proposal: Proposal): void {
    this.log.append(proposal)
    this.out.append(proposal.zxid, proposal.bytes)
  }

  deliverTo(zxid: Zxid): void {
    this.log.deliverTo(zxid, (proposal) => this.out.deliver(proposal.zxid, proposal.bytes))
  }

  deliverUnlogged({ zxid, bytes }: Proposal): void {
    this.log.deliverUnlogged(zxid)
    this.out.deliver(zxid, bytes)
  }

  saveEpoch(which: Epoch, epoch: number): void {
    this.epochsPending++
    this.out.saveEpoch(which, epoch)
  }

  truncate(zxid: Zxid): void {
    this.truncating = true
    this.out.truncate(zxid)
  }

  dial(sid: Sid, kind: LinkKind): void {
    // An earlier role may have left a dial under way: its answer will do.
    if (this.dials.has(`${kind} ${sid}`)) return
    this.dials.add(`${kind} ${sid}`)
    this.out.dial(sid, kind)
  }

  /** Java takes the leader's word even over a later one: that was proposed, cut off by a truncation, and never was. */
  sawConfig(quorum: Quorum): void {
    if (!this.options.reconfigEnabled || quorum.version === this.lastSeen.version) return
    this.configs = { committed: this.committed, lastSeen: quorum }
    this.saveConfig(quorum, false)
    this.election.onConfig(this.committed, this.lastSeen)
  }

  activate(quorum: Quorum, designated: Sid | null, zxid: Zxid): boolean {
    const { sid, reconfigEnabled } = this.options
    const before = this.committed
    if (!reconfigEnabled || quorum.version <= before.version) return false
    this.configs = { committed: quorum, lastSeen: quorum.version > this.lastSeen.version ? quorum : this.lastSeen }
    this.out.trace(`configuration 0x${zxidHex(quorum.version)} is in force`)
    this.saveConfig(quorum, true)
    this.election.onConfig(this.committed, this.lastSeen)
    if (before.membersText === quorum.membersText) return false
    const roleChanged = learnerRole(before, sid) !== learnerRole(quorum, sid)
    if (designated === null) {
      // Nobody is named to lead: if we have to leave, it is for an election.
      this.handover = false
      return roleChanged || !this.leadsAsBefore(before, quorum)
    }
    const leaderChanged = designated !== this.vote.leader
    if (leaderChanged) this.vote = { ...this.vote, leader: designated, zxid }
    this.handover = roleChanged || leaderChanged
    return this.handover
  }

  private saveConfig(quorum: Quorum, committed: boolean): void {
    this.configsPending++
    this.out.config(quorum, committed)
  }

  get savesConfig(): boolean {
    return this.configsPending > 0
  }

  private leadsAsBefore(before: Quorum, quorum: Quorum): boolean {
    const { leader } = this.vote
    const sameAddress = before.quorumAddresses(leader).join() === quorum.quorumAddresses(leader).join()
    return before.isVoter(leader) && quorum.isVoter(leader) && sameAddress
  }

  works(epoch: number): void {
    this.established = true
    this.vote = { ...this.vote, peerEpoch: epoch }
    this.out.trace(`${this.role} is established in epoch ${epoch}`)
    this.election.settle(this.role, this.vote)
    this.out.established(this.role, this.role === 'leading' ? this.options.sid : this.vote.leader, epoch)
  }

  leave(why: string): void {
    this.out.trace(`${this.role} ends: ${why}`)
    this.leaving = true
  }

  retry(why: string): void {
    this.handover = true
    this.leave(why)
  }

  // --- links ---------------------------------------------------------------------------------------------------------

  /** The election closes links by itself: we forget them then, for nobody else will say so. */
  private electionOut(): ElectionOut {
    const { out, electionLinks } = this
    return {
      nowMs: () => out.nowMs(),
      random: () => out.random(),
      dial: (sid, kind, hint) => out.dial(sid, kind, hint),
      send: (link, bytes) => out.send(link, bytes),
      trace: (message) => out.trace(message),
      close: (link, why) => {
        electionLinks.delete(link)
        out.close(link, why)
      },
    }
  }

  onAccept(link: LinkId, kind: LinkKind): void {
    if (this.stage === 'stopped') {
      this.out.close(link, 'stopped')
      return
    }
    if (kind === 'election') {
      this.electionLinks.add(link)
      this.election.onAccept(link)
    } else if (this.core !== null) {
      this.core.onAccept(link, kind)
    } else {
      this.out.close(link, 'we do not lead')
    }
    this.settle()
  }

  onOpen(link: LinkId, sid: Sid, kind: LinkKind): void {
    if (this.stage === 'stopped') {
      this.out.close(link, 'stopped')
      return
    }
    if (kind === 'election') {
      this.electionLinks.add(link)
      this.election.onOpen(link, sid)
    } else {
      this.dials.delete(`${kind} ${sid}`)
      if (this.core !== null) this.core.onOpen(link, sid, kind)
      else this.out.close(link, 'we look for a leader')
    }
    this.settle()
  }

  onDialFailed(sid: Sid, kind: LinkKind): void {
    if (this.stage === 'stopped') return
    if (kind === 'election') {
      this.election.onDialFailed(sid)
    } else {
      this.dials.delete(`${kind} ${sid}`)
      this.core?.onDialFailed(sid, kind)
    }
    this.settle()
  }

  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number {
    if (this.stage === 'stopped') return end - off
    let consumed = end - off
    if (this.electionLinks.has(link)) consumed = this.election.onBytes(link, buf, off, end)
    else if (this.core?.owns(link) === true) consumed = this.core.onBytes(link, buf, off, end)
    this.settle()
    return consumed
  }

  onClose(link: LinkId): void {
    if (this.stage === 'stopped') return
    if (this.electionLinks.delete(link)) this.election.onClose(link)
    else if (this.core?.owns(link) === true) this.core.onClose(link)
    this.settle()
  }

  // --- disk ----------------------------------------------------------------------------------------------------------

  onDurable(zxid: Zxid): void {
    if (this.stage === 'stopped') return
    this.log.onDurable(zxid)
    this.core?.onDurable()
    this.settle()
  }

  onTruncated(zxid: Zxid, zxidDelivered: Zxid): void {
    if (this.stage === 'stopped') return
    this.truncating = false
    this.log.truncate(zxid, zxidDelivered)
    this.core?.onTruncated(zxid)
    this.settle()
  }

  onEpochSaved(which: Epoch, epoch: number): void {
    if (this.stage === 'stopped') return
    this.epochsPending--
    if (which === 'accepted') this.acceptedEpoch = epoch
    else this.currentEpoch = epoch
    this.core?.onEpochSaved(which, epoch)
    this.settle()
  }

  onConfigSaved(): void {
    if (this.stage === 'stopped') return
    this.configsPending--
    this.core?.onDurable()
    this.settle()
  }

  onHistory(link: LinkId, proposals: readonly Proposal[], state: 'more' | 'end' | 'gap'): void {
    if (this.stage === 'stopped') return
    this.core?.onHistory(link, proposals, state)
    this.settle()
  }

  onSnapshotSent(link: LinkId): void {
    if (this.stage === 'stopped') return
    this.core?.onSnapshotSent(link)
    this.settle()
  }

  onSnapshotLoaded(link: LinkId, zxid: Zxid): void {
    if (this.stage === 'stopped') return
    this.log.restart(zxid)
    this.core?.onSnapshotLoaded(link)
    this.settle()
  }

  // --- time ----------------------------------------------------------------------------------------------------------

  onDeadline(): void {
    if (this.stage === 'stopped') return
    if (this.stage === 'pausing' && this.out.nowMs() >= this.wakeAtMs) this.look()
    this.election.onDeadline()
    this.core?.onDeadline()
    this.settle()
  }

  nextDeadlineMs(): number {
    if (this.stage === 'stopped' || this.stage === 'new') return NEVER
    if (this.leaving) return this.out.nowMs()
    const pause = this.stage === 'pausing' ? this.wakeAtMs : NEVER
    return Math.min(pause, this.election.nextDeadlineMs(), this.core?.nextDeadlineMs() ?? NEVER)
  }

  // --- the server's side ---------------------------------------------------------------------------------------------

  // Calls of the server may come in the middle of an input of ours, and leave it to that, or to the next, to settle.

  propose(zxid: Zxid, proposal: Uint8Array): void {
    if (this.core !== null && !this.leaving) this.core.propose(zxid, proposal)
  }

  resign(why: string): void {
    if (this.role === 'leading' && !this.leaving) this.leave(why)
  }

  forward(request: ForwardedRequest): boolean {
    return this.core !== null && !this.leaving && this.core.forward(request)
  }

  revalidate(sessionHi: number, sessionLo: number, timeoutMs: number): boolean {
    return this.core !== null && !this.leaving && this.core.revalidate(sessionHi, sessionLo, timeoutMs)
  }

  answerRevalidate(link: LinkId, sessionHi: number, sessionLo: number, valid: boolean): void {
    this.core?.answerRevalidate(link, sessionHi, sessionLo, valid)
  }

  get leader(): Sid | null {
    return this.core === null ? null : this.vote.leader
  }

  get master(): Sid | null {
    return this.core?.master ?? null
  }

  get committed(): Quorum {
    assert(this.configs !== null, 'not started')
    return this.configs.committed
  }

  get lastSeen(): Quorum {
    assert(this.configs !== null, 'not started')
    return this.configs.lastSeen
  }

  learners(): readonly LearnerView[] {
    return this.core?.learners() ?? []
  }

  hasSyncedQuorum(quorum: Quorum): boolean {
    return this.core?.hasSyncedQuorum(quorum) === true
  }

  confirmLeading(): boolean {
    return this.core !== null && !this.leaving && this.core.confirmLeading()
  }

  countOutstanding(): number {
    return this.core?.countOutstanding() ?? 0
  }
}
