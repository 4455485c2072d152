/**
 * Fast leader election: who leads, agreed on by exchanging votes; and the answer for those who ask later.
 *
 * A vote names a leader with the epoch and zxid of its history. Every server begins a round with a vote for itself, and
 * takes over any vote that beats its own: by epoch, then zxid, then sid. So all votes of a round end at the server with
 * the newest history among those that can hear each other, and a quorum of equal votes, followed by a silence, elects
 * it. Rounds are numbered; a higher number wins over what was said in a lower one.
 *
 * A server that comes late finds votes of servers that have a role already. Those it believes when a quorum of them
 * names one leader and that leader itself says that it leads, else all might wait for one that is gone.
 *
 * What this does not promise: that there is only one leader. Two may be elected when messages are lost; epochs and
 * quorums of the next phase (leader.ts, learner.ts) see to it that only one can ever commit.
 *
 * Answers to Java's FastLeaderElection. Different on purpose:
 *   - A server that may not vote for lack of history (zxid -1) is not made leader by what others remember of it.
 *   - Servers without a vote are answered once they ask, and again when a leader is found; they answer nobody. Between
 *     two Java servers this can go back and forth for ever.
 *   - Nobody waits for better votes when all voters agree, or have refused a connection.
 *   - The timer for sending again is not put off by messages that come in.
 */

import { Output } from '../jute/output.ts'
import { zxidHex } from '../jute/zxid.ts'
import { Connections } from './connections.ts'
import { NON_VOTER, type Notification, readNotification, writeNotification } from './notification.ts'
import { beats, quorumsInForce, Tracker } from './quorum.ts'
import type {
  ElectionEvents,
  ElectionOut,
  ElectionPort,
  LinkId,
  ParseQuorum,
  Quorum,
  Role,
  Sid,
  Vote,
  ZabOptions,
} from './types.ts'

/** One server's word, as we keep it. */
interface Heard {
  readonly vote: Vote
  readonly state: Role
  readonly version: number
}

/** Servers without a vote whose question is kept until there is an answer. */
const ASKERS_MAX = 64
/** A deadline missed by more than this was not missed by a busy process, but by one that did not run. */
const SLEPT_MS = 2000

/** Where we are: before a round (what is heard is kept for it), in one, or behind it, with a role. */
type Phase = 'idle' | 'looking' | 'settled'

export class Election implements ElectionPort {
  /** Notifications that made no sense; votes of, or for, servers that have none; votes of rounds gone by. */
  countMalformed: number
  countForeign: number
  countStale: number
  private readonly sid: Sid
  private readonly options: ZabOptions
  private readonly out: ElectionOut
  private readonly events: ElectionEvents
  private readonly parse: ParseQuorum
  private readonly connections: Connections
  private readonly message: Output
  private committed: Quorum | null
  private lastSeen: Quorum | null
  /** Of the configuration that is in force, and of the one that comes. */
  private voters: ReadonlySet<Sid>
  private configBytes: Uint8Array
  private addresses: readonly string[]
  private phase: Phase
  /** The number of the round (Java's logicalclock). Never goes back, except to join those who have settled. */
  private round: number
  private zxidLast: number
  private currentEpoch: number
  /** Our vote in this round, whose number it carries. */
  private proposal: Vote
  /** Votes of this round, by sender; and those of servers with a role, from whatever round. */
  private readonly votes: Map<Sid, Heard>
  private readonly settledVotes: Map<Sid, Heard>
  /** The newest notification of each voter that came before the round began. */
  private readonly held: Map<Sid, Notification>
  /** To be told when there is a leader: their questions found none. */
  private readonly askers: Set<Sid>
  private intervalMs: number
  private resendAtMs: number
  /** End of the silence that ends the round; Infinity while there is no quorum. */
  private doneAtMs: number
  private role: Role
  private settled: Vote
  /** We have been in a role since this process began. */
  private hadRole: boolean

  constructor(sid: Sid, options: ZabOptions, out: ElectionOut, events: ElectionEvents, parse: ParseQuorum) {
    this.countMalformed = 0
    this.countForeign = 0
    this.countStale = 0
    this.sid = sid
    this.options = options
    this.out = out
    this.events = events
    this.parse = parse
    const helloTimeoutMs = options.syncLimitTicks * options.tickMs
    this.connections = new Connections(sid, { multiAddress: options.multiAddress, helloTimeoutMs }, out, {
      isMember: (other) => this.isMember(other),
      ownAddresses: () => this.addresses,
      message: (other) => this.messageFor(other),
      onMessage: (from, buf, off, end) => this.onMessage(from, buf, off, end),
    })
    this.message = new Output()
    this.committed = null
    this.lastSeen = null
    this.voters = new Set()
    this.configBytes = new Uint8Array(0)
    this.addresses = []
    this.phase = 'idle'
    this.round = 0
    this.zxidLast = -1
    this.currentEpoch = 0
    this.proposal = nobody(0)
    this.votes = new Map()
    this.settledVotes = new Map()
    this.held = new Map()
    this.askers = new Set()
    this.intervalMs = options.notificationMinMs
    this.resendAtMs = Infinity
    this.doneAtMs = Infinity
    this.role = 'looking'
    this.settled = this.proposal
    this.hadRole = false
  }

  look(zxidLast: number, currentEpoch: number): void {
    this.zxidLast = zxidLast
    this.currentEpoch = currentEpoch
    this.role = 'looking'
    this.phase = 'looking'
    this.connections.eager = true
    this.beginRound()
  }

  /** `looking`: the role has ended, and `look` comes later. From here on nobody is told of a leader we have left. */
  settle(role: Role, vote: Vote): void {
    this.endRound()
    this.role = role
    this.settled = vote
    this.phase = role === 'looking' ? 'idle' : 'settled'
    if (this.phase === 'idle') return
    this.hadRole = true
    this.held.clear()
    const askers = [...this.askers]
    this.askers.clear()
    for (const asker of askers) this.connections.answer(asker)
  }

  onConfig(committed: Quorum, lastSeen: Quorum): void {
    const before = [this.committed?.membersText, this.lastSeen?.membersText]
    this.committed = committed
    this.lastSeen = lastSeen
    this.voters = new Set([...committed.voters, ...lastSeen.voters])
    this.configBytes = new TextEncoder().encode(committed.text)
    for (const quorum of [lastSeen, committed]) {
      const own = quorum.electionAddresses(this.sid)
      if (own.length > 0) this.addresses = own
    }
    this.connections.onMembers()
    for (const sid of lastSeen.members) if (sid !== this.sid && !committed.isMember(sid)) this.connections.reach(sid)
    // Other members count other votes: what was counted so far means nothing.
    if (before[0] === committed.membersText && before[1] === lastSeen.membersText) return
    if (this.phase === 'looking') this.beginRound()
  }

  onOpen(link: LinkId, sid: Sid): void {
    this.connections.onOpen(link, sid)
  }

  onAccept(link: LinkId): void {
    this.connections.onAccept(link)
  }

  onDialFailed(sid: Sid): void {
    this.connections.onDialFailed(sid)
    if (this.doneAtMs !== Infinity && this.nobodyIsLeft()) this.doneAtMs = this.out.nowMs()
  }

  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number {
    return this.connections.onBytes(link, buf, off, end)
  }

  onClose(link: LinkId): void {
    this.connections.onClose(link)
  }

  onDeadline(): void {
    this.connections.onDeadline()
    if (this.phase !== 'looking') return
    if (this.held.size > 0) this.takeHeld()
    const nowMs = this.out.nowMs()
    if (nowMs >= this.doneAtMs) {
      // Far too late: we slept, and have not listened to any silence. Once more, now awake.
      if (nowMs - this.doneAtMs > SLEPT_MS) this.doneAtMs = nowMs + this.options.finalizeWaitMs
      else this.finish(this.proposal)
    } else if (nowMs >= this.resendAtMs && this.doneAtMs === Infinity) {
      this.intervalMs = Math.min(2 * this.intervalMs, this.options.notificationMaxMs)
      this.resendAtMs = nowMs + this.intervalMs
      this.broadcast()
    }
  }

  nextDeadlineMs(): number {
    if (this.phase === 'looking' && this.held.size > 0) return this.out.nowMs()
    const ownMs = this.doneAtMs === Infinity ? this.resendAtMs : this.doneAtMs
    return Math.min(ownMs, this.connections.nextDeadlineMs())
  }

  stop(): void {
    this.endRound()
    this.phase = 'idle'
    this.connections.stop()
  }

  private beginRound(): void {
    this.round++
    this.votes.clear()
    this.settledVotes.clear()
    this.proposal = this.initialVote()
    this.intervalMs = this.options.notificationMinMs
    this.resendAtMs = this.out.nowMs() + this.intervalMs
    this.doneAtMs = Infinity
    this.trace('looks for a leader', this.proposal)
    this.broadcast()
  }

  private endRound(): void {
    this.connections.eager = false
    this.votes.clear()
    this.settledVotes.clear()
    this.resendAtMs = Infinity
    this.doneAtMs = Infinity
  }

  private initialVote(): Vote {
    if (!this.committed!.isVoter(this.sid)) return nobody(this.round)
    return { leader: this.sid, zxid: this.zxidLast, electionEpoch: this.round, peerEpoch: this.currentEpoch }
  }

  /** Tells all voters our vote, and counts it. */
  private broadcast(): void {
    for (const sid of this.voters) if (sid !== this.sid) this.connections.tell(sid)
    if (this.mayVote() && this.isVoter(this.sid) && this.isVoter(this.proposal.leader)) {
      this.votes.set(this.sid, { vote: this.proposal, state: 'looking', version: 0 })
    }
    this.weigh()
  }

  /** With a quorum for our vote begins the silence in which a better one may still turn up. */
  private weigh(): void {
    const ours: Heard = { vote: this.proposal, state: 'looking', version: 0 }
    if (!this.haveQuorum(this.votes, ours)) this.doneAtMs = Infinity
    else this.doneAtMs = this.out.nowMs() + (this.nobodyIsLeft() ? 0 : this.options.finalizeWaitMs)
  }

  /**
   * Is there nobody left whose better vote is worth a wait? Every voter votes as we do, or cannot be reached: behind the
   * death of a leader, who does not answer any more, the silence would be most of the time without one. But not when we
   * have only just been started: who cannot be reached then is probably being started as well.
   */
  private nobodyIsLeft(): boolean {
    if (this.options.finalizeAlways) return false
    const ours: Heard = { vote: this.proposal, state: 'looking', version: 0 }
    for (const sid of this.voters) {
      const heard = this.votes.get(sid)
      const agrees = sid === this.sid || (heard !== undefined && agree(heard, ours))
      if (!agrees && !(this.hadRole && this.connections.isAway(sid))) return false
    }
    return true
  }

  private finish(vote: Vote): void {
    this.endRound()
    this.phase = 'settled'
    this.settled = vote
    // Until the role is told by `settle`. Only a voter is ever elected.
    this.role = vote.leader === this.sid ? 'leading' : this.isVoter(this.sid) ? 'following' : 'observing'
    this.trace('has elected', vote)
    this.events.onElected(vote)
  }

  /** What came before the round, now that it has begun; from a deadline, since nobody is elected within `look`. */
  private takeHeld(): void {
    const held = [...this.held]
    this.held.clear()
    for (const [from, notification] of held) this.onNotification(from, notification)
  }

  private onMessage(from: Sid, buf: Uint8Array, off: number, end: number): void {
    const notification = readNotification(buf, off, end)
    if (notification === null) {
      this.countMalformed++
      this.out.trace(`election: ${end - off} bytes from ${from} are no notification`)
    } else if (this.committed !== null) {
      this.onNotification(from, notification)
    }
  }

  private onNotification(from: Sid, heard: Notification): void {
    if (this.phase === 'looking') this.noteConfig(from, heard)
    if (!this.isVoter(from)) {
      this.onQuestion(from, heard)
    } else if (this.phase === 'idle') {
      this.held.set(from, heard)
    } else if (this.phase === 'settled') {
      if (heard.state !== 'looking') return
      if (!this.isVoter(this.sid)) {
        this.onOutdated(from, heard)
        return
      }
      this.events.onLooking?.(from, heard.vote)
      this.connections.answer(from)
    } else if (heard.state === 'looking') {
      this.onVote(from, heard)
    } else if (heard.state !== 'observing') {
      this.onSettledVote(from, heard)
    }
  }

  /** May change the members, and with them the round, before it returns. */
  private noteConfig(from: Sid, { config }: Notification): void {
    if (config === null || config === this.committed!.text) return
    let quorum: Quorum
    try {
      quorum = this.parse(config)
    } catch (err) {
      // The vote is good all the same.
      this.countMalformed++
      this.out.trace(`election: the configuration of ${from} cannot be read: ${String(err)}`)
      return
    }
    if (quorum.version > this.committed!.version) this.events.onNewerConfig(quorum)
  }

  /**
   * From a server without a vote: it wants to know who leads. While we look ourselves, only one that is not ahead of
   * our round is answered, because a Java server that is would answer the answer, and so on.
   */
  private onQuestion(from: Sid, heard: Notification): void {
    const { state, vote } = heard
    if (state !== 'looking' || !this.isVoter(this.sid)) {
      this.countForeign++
      if (state === 'looking') this.onOutdated(from, heard)
      return
    }
    if (this.phase !== 'settled' && this.askers.size < ASKERS_MAX) this.askers.add(from)
    if (this.phase === 'settled' || vote.electionEpoch <= this.round) this.connections.answer(from)
  }

  /**
   * We have no vote that could help it; but if it knows an older configuration than we, it may be asking none but such as
   * we are, and for ever: those that are voters now are strangers to it.
   */
  private onOutdated(from: Sid, { config }: Notification): void {
    const version = /version=([0-9a-f]{1,14})$/.exec(config ?? '')?.[1]
    if (version !== undefined && Number.parseInt(version, 16) < this.committed!.version) this.connections.answer(from)
  }

  /** A vote of a server that looks, too. */
  private onVote(from: Sid, { state, vote }: Notification): void {
    if (vote.electionEpoch < this.round && this.isVoter(this.sid)) this.connections.answer(from)
    if (!this.isVoter(vote.leader)) {
      this.countForeign++
      return
    }
    // Without a history one neither votes nor is voted for: it may have been lost (E13).
    if (!this.mayVote() || vote.zxid === -1) {
      this.askers.add(from)
      return
    }
    if (vote.electionEpoch < this.round) {
      this.countStale++
      return
    }
    if (vote.electionEpoch > this.round) {
      // A latecomer with nothing better does not undo a round that is as good as done; it is told the result.
      if (this.doneAtMs !== Infinity && !this.beats(vote, this.proposal)) {
        this.askers.add(from)
        return
      }
      this.round = vote.electionEpoch
      this.votes.clear()
      const own = this.initialVote()
      this.propose(this.beats(vote, own) ? vote : own)
    } else if (this.beats(vote, this.proposal)) {
      this.propose(vote)
    } else if (this.beats(this.proposal, vote)) {
      // It was told of ours already, but perhaps before it began to look: then it has forgotten it. Java waits until the
      // next round of notifications, some 200 ms behind the death of a leader.
      this.connections.answer(from)
    }
    this.votes.set(from, { vote, state, version: 0 })
    this.weigh()
  }

  private propose(vote: Vote): void {
    this.proposal = vote
    this.trace('votes for', vote)
    this.broadcast()
  }

  /** Of a server that follows or leads. */
  private onSettledVote(from: Sid, { state, vote, version }: Notification): void {
    // Others may still follow what we were before we lost our history.
    const unfit = vote.leader === this.sid && !this.mayVote()
    if (unfit || !this.isVoter(vote.leader)) {
      this.countForeign++
      return
    }
    if (vote.electionEpoch === this.round) {
      this.votes.set(from, { vote, state, version: 0 })
      const quorum = this.haveQuorum(this.votes, { vote, state, version }, [this.committed!])
      if (quorum && this.leads(this.votes, vote)) {
        this.finish(vote)
        return
      }
    }
    this.settledVotes.set(from, { vote, state, version })
    // Who follows already is asked by the committed configuration alone: a proposed one may need us to be committed, and
    // its own observers say nothing that counts.
    const quorum = this.haveQuorum(this.settledVotes, { vote, state, version }, [this.committed!])
    if (quorum && this.leads(this.settledVotes, vote)) {
      this.round = vote.electionEpoch
      this.finish(vote)
    }
  }

  /** Has the leader of this vote said so itself? We would know it of ourselves: others elected us in this very round. */
  private leads(votes: ReadonlyMap<Sid, Heard>, { leader, electionEpoch }: Vote): boolean {
    if (leader === this.sid) return electionEpoch === this.round
    return votes.get(leader)?.state === 'leading'
  }

  private inForce(): readonly Quorum[] {
    return quorumsInForce(this.committed!, this.lastSeen!)
  }

  private haveQuorum(votes: ReadonlyMap<Sid, Heard>, wanted: Heard, quorums = this.inForce()): boolean {
    const tracker = new Tracker(quorums)
    for (const [sid, heard] of votes) if (agree(heard, wanted)) tracker.add(sid)
    return tracker.hasAll()
  }

  private beats(vote: Vote, other: Vote): boolean {
    return beats(this.committed!, vote, other)
  }

  private messageFor(sid: Sid): Uint8Array | null {
    if (this.phase === 'idle') return null
    this.message.clear()
    if (this.phase === 'looking') {
      writeNotification(this.message, 'looking', this.proposal, this.configBytes)
    } else {
      // Java's own distinction: only a voter can do anything with the round of the election.
      const electionEpoch = this.isVoter(sid) ? this.settled.electionEpoch : this.round
      writeNotification(this.message, this.role, { ...this.settled, electionEpoch }, this.configBytes)
    }
    return this.message.bytes()
  }

  private isVoter(sid: Sid): boolean {
    return this.voters.has(sid)
  }

  private isMember(sid: Sid): boolean {
    return this.committed?.isMember(sid) === true || this.lastSeen?.isMember(sid) === true
  }

  private mayVote(): boolean {
    return this.zxidLast !== -1
  }

  private trace(what: string, { leader, zxid, peerEpoch }: Vote): void {
    const whom = leader === NON_VOTER ? 'nobody' : `${leader} at ${zxidHex(zxid)} of epoch ${peerEpoch}`
    this.out.trace(`election: round ${this.round}: ${this.sid} ${what}: ${whom}`)
  }
}

/** The vote of one that has none. */
function nobody(electionEpoch: number): Vote {
  return { leader: NON_VOTER, zxid: NON_VOTER, electionEpoch, peerEpoch: NON_VOTER }
}

/**
 * Do two servers say the same? In an election, to the letter. Of servers with a role only leader and epoch count: zxid
 * and round may differ after a rejoin (ZOOKEEPER-1732); of those that know no epoch, or of one of each, the leader.
 */
function agree(a: Heard, b: Heard): boolean {
  if (a.vote.leader !== b.vote.leader) return false
  if (a.state === 'looking' || b.state === 'looking') {
    return (
      a.vote.zxid === b.vote.zxid &&
      a.vote.electionEpoch === b.vote.electionEpoch &&
      a.vote.peerEpoch === b.vote.peerEpoch
    )
  }
  if (a.version > 0 !== b.version > 0) return true
  return a.vote.peerEpoch === b.vote.peerEpoch
}
