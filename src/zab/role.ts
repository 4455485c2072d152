/**
 * Between a role (leader.ts, learner.ts) and the member that plays it (peer.ts).
 *
 * The member owns what outlives a role: history, epochs, configurations, vote. A role owns its links and what is under
 * way on them. A role that ends says so (`leave`), once, and does nothing afterwards; the member ends it then.
 */

import { Input } from '../jute/input.ts'
import type { Zxid } from '../jute/zxid.ts'
import type { CommitLog } from './commitlog.ts'
import type {
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
  Vote,
  ZabOptions,
  ZabOut,
} from './types.ts'
import { TXN_HEADER_BYTES } from './types.ts'

/** What a role may use of its member. */
export interface RoleHost {
  readonly options: ZabOptions
  readonly out: ZabOut
  readonly log: CommitLog
  readonly parse: ParseQuorum
  readonly acceptedEpoch: number
  readonly currentEpoch: number
  readonly committed: Quorum
  readonly lastSeen: Quorum
  /** A configuration is on its way to disk: no word of ours counts meanwhile. */
  readonly savesConfig: boolean
  readonly vote: Vote

  /** To our own log, in memory and on disk. */
  append(proposal: Proposal): void
  /** To the tree, whatever is logged up to and with `zxid`. */
  deliverTo(zxid: Zxid): void
  /** To the tree only; for an observer that does not log. */
  deliverUnlogged(proposal: Proposal): void
  /** Answered by the role's onEpochSaved. */
  saveEpoch(which: Epoch, epoch: number): void
  /** Answered by the role's onTruncated. */
  truncate(zxid: Zxid): void
  /** Answered by the role's onOpen or onDialFailed; so may be, to this role, what an earlier one had dialled. */
  dial(sid: Sid, kind: LinkKind): void
  /** A configuration was proposed, or is the leader's newest. */
  sawConfig(quorum: Quorum): void
  /**
   * A configuration is in force. `designated`: who leads from now on, if the reconfiguration says so. True: our role or
   * our leader has changed, and the role must be left.
   */
  activate(quorum: Quorum, designated: Sid | null, zxid: Zxid): boolean
  /** Our log could not be cut as the leader wants: only its tree helps. See NO_HISTORY. */
  needTree: boolean
  /** As `leave`, but the same role with the same leader follows, without an election. */
  retry(why: string): void
  /** The role works; the vote is raised to its epoch (ZOOKEEPER-1732). */
  works(epoch: number): void
  /** The role ends, at the latest with the current input. */
  leave(why: string): void
}

export interface RoleCore {
  start(): void
  /** Closes its links. */
  end(): void
  owns(link: LinkId): boolean
  onAccept(link: LinkId, kind: LinkKind): void
  onOpen(link: LinkId, sid: Sid, kind: LinkKind): void
  onDialFailed(sid: Sid, kind: LinkKind): void
  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number
  onClose(link: LinkId): void
  /** More of the log, or a configuration, is durable. */
  onDurable(): void
  /** `zxid` is where the log really ends now. */
  onTruncated(zxid: Zxid): void
  onEpochSaved(which: Epoch, epoch: number): void
  onHistory(link: LinkId, proposals: readonly Proposal[], state: 'more' | 'end' | 'gap'): void
  onSnapshotSent(link: LinkId): void
  onSnapshotLoaded(link: LinkId): void
  readonly master: Sid | null
  /** A voter looks for a leader, though we have one. */
  onVoterLooking(sid: Sid, vote: Vote): void
  onDeadline(): void
  nextDeadlineMs(): number

  propose(zxid: Zxid, bytes: Uint8Array): void
  forward(request: ForwardedRequest): boolean
  revalidate(sessionHi: number, sessionLo: number, timeoutMs: number): boolean
  answerRevalidate(link: LinkId, sessionHi: number, sessionLo: number, valid: boolean): void
  learners(): readonly LearnerView[]
  hasSyncedQuorum(quorum: Quorum): boolean
  confirmLeading(): boolean
  countOutstanding(): number
}

/** What this server is in a configuration: one that it does not name follows without a voice, as in Java. */
export function learnerRole(quorum: Quorum, sid: Sid): Role {
  return quorum.isMember(sid) && !quorum.isVoter(sid) ? 'observing' : 'following'
}

/**
 * What a learner that needs the whole tree says it has, as one without any data does: leaders answer with a snapshot. It
 * says so only where it makes no promise for the epoch (any more), because leaders compare histories by it.
 */
export const NO_HISTORY = -1

/** Bytes of one packet that are accepted; what Java's ensembles can be set to and still work with each other. */
export const PACKET_BYTES_MAX = 64 * 1024 * 1024

/**
 * The configuration that a reconfiguration proposes. Its body is that of a setData: path string, data buffer, version.
 * Throws on what is none.
 */
export function quorumOfProposal(proposal: Uint8Array, parse: ParseQuorum): Quorum {
  const input = new Input(proposal, TXN_HEADER_BYTES, proposal.length, PACKET_BYTES_MAX)
  input.skipBuffer()
  return parse(new TextDecoder().decode(input.buffer() ?? new Uint8Array(0)))
}
