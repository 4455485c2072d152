/**
 * The words of agreement, and its boundary with the world.
 *
 * Everything here but links.ts, sockets.ts and transport.ts is pure: bytes, times and ids come in through `Zab` (peer.ts), and what is
 * to be done goes out through `ZabOut`. A proposal is opaque: TxnHeader, body and, if the leader wrote one, digest, the
 * bytes of a log entry. Of it only two fields are looked at: the zxid at
 * offset 12, which must be that of its packet, and the type at offset 28, to recognise a reconfiguration.
 *
 * Three positions of a member's history matter, and they never pass each other the wrong way:
 *
 *   delivered <= logged     a transaction is appended to our own log before the tree sees it
 *   durable   <= logged     acknowledgements wait for durable, and for nothing less
 *
 * What is logged and not delivered stays in memory (commitlog.ts) over a change of role, so that the next vote counts
 * it (ZOOKEEPER-2845, 4712) and the tree never has to be wound back for it.
 */

import { readInt } from '../jute/input.ts'
import type { Zxid } from '../jute/zxid.ts'

/** A server's id: any safe integer. Java's special values (-2^63 of non-voters, 2^63-1) exist on the wire only. */
export type Sid = number
/** One TCP connection. Given by the shell, never used twice. */
export type LinkId = number
/** By the port that was dialled: that of elections, a leader's for learners, or a follower's for observers. */
export type LinkKind = 'election' | 'learner' | 'observer'
export type Epoch = 'accepted' | 'current'
export type Role = 'looking' | 'following' | 'leading' | 'observing'

export interface Vote {
  leader: Sid
  zxid: Zxid
  electionEpoch: number
  peerEpoch: number
}

/** One entry of the log; the bytes are owned and never change. */
export interface Proposal {
  readonly zxid: Zxid
  readonly bytes: Uint8Array
}

/** One name and value out of a request's authinfo, as Java's Id. */
export interface AuthInfo {
  scheme: string | null
  id: string | null
}

/** A membership and its rule of majority. Immutable; made by quorum.ts of what the configuration's text says. */
export interface Quorum {
  /** The zxid of the reconfiguration that made it; epoch << 32 for the first; 0 for one that only stands in a file. */
  readonly version: Zxid
  /** The canonical text with its version line, as in /zookeeper/config and NEWLEADER. */
  readonly text: string
  /** Ascending. */
  readonly members: readonly Sid[]
  readonly voters: readonly Sid[]
  isMember(sid: Sid): boolean
  isVoter(sid: Sid): boolean
  /** 0 of a voter means that its vote does not count and that it is never elected; 1 where there are no weights. */
  weight(sid: Sid): number
  /** Those who are not voters do not count. */
  containsQuorum(sids: ReadonlySet<Sid>): boolean
  /** The members as text without the version, addresses included: two configurations with the same are the same. */
  readonly membersText: string
  /** The server's quorum addresses as `host:port` texts, in the order they are written; empty if it is no member. */
  quorumAddresses(sid: Sid): readonly string[]
  electionAddresses(sid: Sid): readonly string[]
}

/** Reads a configuration's text; throws on anything that is not one. */
export type ParseQuorum = (text: string) => Quorum

/** What a server has when it starts: the end of its files, all of it delivered to the tree. */
export interface StartState {
  /** The last logged zxid; -1 where nothing is here and nothing proves that nothing ever was: then it must not vote. */
  readonly zxidLast: Zxid
  readonly acceptedEpoch: number
  readonly currentEpoch: number
  /** The newest log entries, oldest first, without a hole up to `zxidLast`; for learners. May be empty. */
  readonly proposals: readonly Proposal[]
  readonly committed: Quorum
  /** A configuration that was proposed and not seen committed (the .next file); null: none newer. */
  readonly lastSeen: Quorum | null
}

export interface ZabOptions {
  readonly sid: Sid
  readonly tickMs: number
  readonly initLimitTicks: number
  readonly syncLimitTicks: number
  /** Ticks a learner may take to connect; 0 is initLimitTicks (connectToLearnerMasterLimit). */
  readonly connectLimitTicks: number
  /** Committed proposals kept in memory for learners (zookeeper.commitLogCount, at least 500 in Java). */
  readonly commitLogCount: number
  /** Learners may be served from the log on disk (zookeeper.snapshotSizeFactor >= 0). The shell limits its size. */
  readonly txnLogSync: boolean
  /** Every learner gets the whole tree (zookeeper.forceSnapshotSync). */
  readonly forceSnapshotSync: boolean
  /** Bytes held back for one learner while it is being synchronised; beyond it the link is closed and it starts anew. */
  readonly heldBytesMax: number
  /** Bytes of one piece of history from disk. */
  readonly historyBytes: number
  /** Observers that may take the tree, or a difference, at the same time (zookeeper.leader.maxConcurrentSnapSyncs ..). */
  readonly snapSyncsMax: number
  readonly diffSyncsMax: number
  readonly reconfigEnabled: boolean
  /** Pause between two tries to connect (zookeeper.leaderConnectDelayDuringRetryMs). */
  readonly connectDelayMs: number
  /** An observer waits up to this long, at random, before it looks for a leader again (observer.election.DelayMs). */
  readonly observerDelayMs: number
  /** A leader quits after this long if one of its voters is seen looking before the epoch is fixed; -1 is never. */
  readonly epochWaitMs: number
  /** First and longest wait for notifications (zookeeper.fastleader.minNotificationInterval, maxNotificationInterval). */
  readonly notificationMinMs: number
  readonly notificationMaxMs: number
  /** Silence that ends an election once there is a quorum (FastLeaderElection.finalizeWait). */
  readonly finalizeWaitMs: number
  /** That silence is kept even when nobody is left to be heard, as in Java. */
  readonly finalizeAlways: boolean
  /** A leader goes on, as in Java, when a voter turns up that has promised a later epoch. */
  readonly ignoreLaterEpochs: boolean
  /** Hellos of the second version, with several addresses (zookeeper.multiAddress.enabled). */
  readonly multiAddress: boolean
  /** An observer writes what it is told to its log (syncEnabled). */
  readonly observerSyncs: boolean
  /** A follower serves observers, and an observer looks for such a follower (observerMasterPort). */
  readonly observerMasters: boolean
}

export const ZAB_DEFAULTS = {
  connectLimitTicks: 0,
  commitLogCount: 500,
  txnLogSync: true,
  forceSnapshotSync: false,
  heldBytesMax: 256 * 1024 * 1024,
  historyBytes: 1024 * 1024,
  snapSyncsMax: 10,
  diffSyncsMax: 100,
  reconfigEnabled: false,
  connectDelayMs: 100,
  observerDelayMs: 200,
  epochWaitMs: -1,
  notificationMinMs: 200,
  notificationMaxMs: 60_000,
  finalizeWaitMs: 200,
  finalizeAlways: false,
  ignoreLaterEpochs: false,
  multiAddress: false,
  observerSyncs: true,
  observerMasters: false,
} as const

/**
 * What agreement asks of the world. Synchronous, and it must not call back into the core before it returns: answers
 * come later, each as the named call of `Zab`.
 */
export interface ZabOut {
  /** Milliseconds of a clock that never goes back. The same value all through one input. */
  nowMs(): number
  /** Uniform in [0, 1), from the seed. */
  random(): number
  /**
   * Answered by onOpen(link, sid, kind) or onDialFailed(sid, kind); one of them per call. `hint`: where to try instead
   * of where configurations have the server (from its election hello), as `host:port`.
   */
  dial(sid: Sid, kind: LinkKind, hint?: readonly string[]): void
  /** Bytes are borrowed. FIFO per link; leaves at the end of the turn. A link that is closed already: dropped. */
  send(link: LinkId, bytes: Uint8Array): void
  /** Drops what was not sent. Not answered: there is no onClose for a link we closed. */
  close(link: LinkId, why: string): void

  /** To our own log; bytes are owned by the core and stay as they are. Answered by onDurable, in order. */
  append(zxid: Zxid, proposal: Uint8Array): void
  /**
   * Cuts our log behind `zxid` and removes newer snapshots; rebuilds the tree from disk if it has seen anything newer.
   * What was appended before is finished first, and nothing is appended until the answer: onTruncated, or the server
   * ends. Where the cut would go below all that we could begin from, nothing changes, and the answer says so.
   */
  truncate(zxid: Zxid): void
  /** Answered by onEpochSaved when it is durable; in order. */
  saveEpoch(which: Epoch, epoch: number): void
  /**
   * Committed: apply it. Strictly increasing but for truncation and snapshots; bytes as in append. (One exception: a
   * leader that sends its tree before it is established has put into it what it is about to adopt. Nobody is served from
   * it then, and a truncation takes it back.)
   */
  deliver(zxid: Zxid, proposal: Uint8Array): void
  /**
   * Proposals from the log on disk for a learner, up to `bytesMax` of them: the last one at or before `from`, and those
   * behind it. Answered by onHistory when the link has room for more.
   */
  history(link: LinkId, from: Zxid, bytesMax: number): void
  /**
   * Sends the live tree, which stands at `zxid` now, as a raw stream with its signature (SNAP's packet has been sent).
   * The core sends nothing on this link until the answer, onSnapshotSent.
   */
  sendSnapshot(link: LinkId, zxid: Zxid): void
  /**
   * The bytes that follow on this link are a snapshot at `zxid`. The shell reads them up to the signature into a tree
   * of its own, makes disk recover to exactly this (the snapshot durable, nothing newer left in log or snapshots), puts
   * it in the place of the old tree, and answers with onSnapshotLoaded. Meanwhile onBytes is not called for this link.
   * If the link ends before the snapshot was read whole, everything is as before, and onClose says so; if it ends
   * later, onSnapshotLoaded comes first and onClose behind it. The core does not close this link meanwhile, and
   * asks for nothing else of the disk.
   */
  loadSnapshot(link: LinkId, zxid: Zxid): void

  /** The role begins. The learner port listens exactly while we are leading. `looking` ends serving at once. */
  role(role: Role, leader: Sid | null): void
  /**
   * The role works: serve clients. A leader proposes from makeZxid(epoch, 1) on. Everything committed is delivered. With
   * `observerMasters`, the port for observers listens from here to the next `role` exactly while we are following.
   */
  established(role: Role, leader: Sid, epoch: number): void

  /**
   * Leader: a request of a learner's client, in the order it came in; bytes are borrowed. Never a sync, which the core
   * answers itself. The one sink that may call back into the core before it returns: propose.
   */
  request(from: LinkId, sid: Sid, request: ForwardedRequest): void
  /** Leader: a learner's client wants to go on with its session. Answered by answerRevalidate, also before it returns. */
  revalidate(from: LinkId, sid: Sid, sessionHi: number, sessionLo: number, timeoutMs: number): void
  /** Leader: a learner has heard of this session. */
  sessionTouched(sessionHi: number, sessionLo: number, timeoutMs: number): void
  /** Leader: nothing more comes from this learner. */
  learnerGone(link: LinkId, sid: Sid): void
  /** Learner: visits the sessions heard of since the last call, and forgets them. */
  takeTouched(visit: (sessionHi: number, sessionLo: number, timeoutMs: number) => void): void
  /** Learner: the leader's word on a session. */
  revalidated(sessionHi: number, sessionLo: number, valid: boolean): void
  /** Learner: the oldest forwarded sync is answered: all that the leader had committed ahead of it is delivered. */
  synced(): void

  /**
   * A newer configuration was seen (`committed` false: write the .next file), or is in force now. Answered by
   * onConfigSaved, in order, when a restart would know it: until then nothing is acknowledged, because who has it in
   * force must not follow a leader of an older one, not after a crash either.
   */
  config(quorum: Quorum, committed: boolean): void
  /** A figure for who watches; `sid` is the learner that it is about. */
  readonly measure?: (figure: ZabFigure, sid: Sid, value: number) => void
  /** A story line for humans and failed seeds. */
  trace(message: string): void
}

/**
 * `ack`: a proposal was acknowledged so many ms after it was proposed. `diffSync`, `diffSynced`: a sync without the tree
 * begins, or ends; so many are under way. `held`: so many packets wait for the end of a snapshot. `disloyal`: a leader
 * gives way to a voter that looks for another one.
 */
export type ZabFigure = 'ack' | 'diffSync' | 'diffSynced' | 'held' | 'disloyal'

/** A client's request on its way from learner to leader. */
export interface ForwardedRequest {
  sessionHi: number
  sessionLo: number
  cxid: number
  type: number
  /** Borrowed. */
  body: Uint8Array
  authinfo: readonly AuthInfo[] | null
}

/** One learner as its master sees it; for `mntr`, and for the operator. */
export interface LearnerView {
  readonly link: LinkId
  readonly sid: Sid
  readonly observer: boolean
  /** It has acknowledged NEWLEADER (an observer: was sent UPTODATE). */
  readonly synced: boolean
  /** When its link came in, by `nowMs`. */
  readonly sinceMs: number
  readonly counts: LearnerCounts
}

/** What has gone over a learner's link; whoever shows it may set it back. */
export interface LearnerCounts {
  packetsReceived: number
  packetsSent: number
  requests: number
  /** The last one it was sent; -1: none. */
  zxidLast: Zxid
}

/**
 * Agreement as its shell drives it (peer.ts). Each call is one input and runs to its end; none may be made while
 * another one, or a call of ZabOut, is under way, but for those that ZabOut names.
 */
export interface Zab {
  /** Begins to look for a leader. Once. */
  start(state: StartState): void
  /** Leaves the role and closes all links. Nothing is called afterwards. */
  stop(): void

  /** A connection came in on one of our ports. */
  onAccept(link: LinkId, kind: LinkKind): void
  /** A dial has succeeded. */
  onOpen(link: LinkId, sid: Sid, kind: LinkKind): void
  onDialFailed(sid: Sid, kind: LinkKind): void
  /** Bytes consumed; the rest is offered again with more behind it. A link closed meanwhile: any number. */
  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number
  /** The other side, the network, or the shell has ended it. */
  onClose(link: LinkId): void

  onDurable(zxid: Zxid): void
  /**
   * The log ends at `zxid`, as asked for, or where it ended before; `zxidDelivered` is where the tree stands (lower, if
   * it had not to be rebuilt).
   */
  onTruncated(zxid: Zxid, zxidDelivered: Zxid): void
  onEpochSaved(which: Epoch, epoch: number): void
  onConfigSaved(): void
  /** 'gap': what `history` asked for is not there (any more), or too much. */
  onHistory(link: LinkId, proposals: readonly Proposal[], state: 'more' | 'end' | 'gap'): void
  onSnapshotSent(link: LinkId): void
  onSnapshotLoaded(link: LinkId, zxid: Zxid): void

  /** To be called first at every input whose time has reached nextDeadlineMs: a server that slept must know it. */
  onDeadline(): void
  /** Infinity: none. */
  nextDeadlineMs(): number

  /** Leader, once established: the next proposal. Bytes become the core's and stay as they are. */
  propose(zxid: Zxid, proposal: Uint8Array): void
  /** Leader: gives up leading, with the next deadline at the latest (zxids used up). Does not call back before it returns. */
  resign(why: string): void
  /** Learner, once established: to the leader, with `sync` among them. False where there is no leader any more. */
  forward(request: ForwardedRequest): boolean
  /** Learner: answered by ZabOut.revalidated. */
  revalidate(sessionHi: number, sessionLo: number, timeoutMs: number): boolean
  /** Leader: the answer to ZabOut.revalidate. */
  answerRevalidate(link: LinkId, sessionHi: number, sessionLo: number, valid: boolean): void

  readonly role: Role
  readonly leader: Sid | null
  /** Whom we have our link to, as learners: the leader, or an observer master. */
  readonly master: Sid | null
  readonly established: boolean
  /** What election and leader know, for texts and tests. */
  readonly vote: Vote
  readonly acceptedEpoch: number
  readonly currentEpoch: number
  readonly committed: Quorum
  readonly lastSeen: Quorum
  /** Of a leader; of a follower, its observers. */
  learners(): readonly LearnerView[]
  /** Leader: would its learners that are in sync be a quorum of `quorum` (itself included)? */
  hasSyncedQuorum(quorum: Quorum): boolean
  /** Leader, once established: do we hear of a quorum, as of now? If not, the role ends with this. False elsewhere. */
  confirmLeading(): boolean
  /** Leader: proposals that are not committed. */
  countOutstanding(): number
}

/** What the election asks of the world. */
export type ElectionOut = Pick<ZabOut, 'nowMs' | 'random' | 'dial' | 'send' | 'close' | 'trace'>

export interface ElectionEvents {
  /** At most once per `look`: who leads, ourselves perhaps. */
  onElected(vote: Vote): void
  /** Looking, we heard of a newer configuration. Answered, if it is taken, by ElectionPort.onConfig. */
  onNewerConfig(quorum: Quorum): void
  /** Not looking ourselves, we heard of a voter that does (for `epochWaitMs`). */
  onLooking?(sid: Sid, vote: Vote): void
}

/** The election as peer.ts drives it (election.ts). The links of its port are its own. */
export interface ElectionPort {
  /** Starts looking, with our own history as first vote. */
  look(zxidLast: Zxid, currentEpoch: number): void
  /** We have a role now: looking servers are told this vote. Called again when the epoch is raised after sync. */
  settle(role: Role, vote: Vote): void
  /** The members changed, or the versions of their configuration. */
  onConfig(committed: Quorum, lastSeen: Quorum): void
  onOpen(link: LinkId, sid: Sid): void
  onAccept(link: LinkId): void
  onDialFailed(sid: Sid): void
  /** Bytes consumed. */
  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number
  onClose(link: LinkId): void
  onDeadline(): void
  nextDeadlineMs(): number
  stop(): void
}

/** The type of a reconfiguration's transaction. */
export const TXN_RECONFIG = 16
const TXN_ZXID_OFFSET = 12
const TXN_TYPE_OFFSET = 28
/** Bytes of a TxnHeader: clientId 8, cxid 4, zxid 8, time 8, type 4. */
export const TXN_HEADER_BYTES = 32

/** The transaction's type, or 0 where there is no whole header. */
export function txnType(proposal: Uint8Array): number {
  if (proposal.length < TXN_HEADER_BYTES) return 0
  const at = TXN_TYPE_OFFSET
  return (proposal[at]! << 24) | (proposal[at + 1]! << 16) | (proposal[at + 2]! << 8) | proposal[at + 3]!
}

/** The transaction's zxid, as its header has it; it must be whole. */
export function txnZxid(proposal: Uint8Array): Zxid {
  return readInt(proposal, TXN_ZXID_OFFSET) * 0x1_0000_0000 + (readInt(proposal, TXN_ZXID_OFFSET + 4) >>> 0)
}
