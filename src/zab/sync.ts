/**
 * How a learner's history is made equal to its leader's: which of DIFF, TRUNC and SNAP, and from where.
 *
 * p is the learner's last zxid; `log` is ours, of which everything up to `bound` is committed (or adopted by a leader
 * that is not established yet). First match, numbered as in Java's LearnerHandler.syncFollower:
 *
 *   1  every sync is to be a snapshot                      SNAP
 *   2  p is where we are                                   DIFF, nothing behind it
 *   3  p lies beyond all that is committed                 TRUNC to the end of that
 *   4  p lies within what is in memory:  an entry          DIFF
 *        no entry, but later ones of its epoch             TRUNC to the entry before it
 *        no entry, and later ones of later epochs only     SNAP
 *   5  p lies before what is in memory                     the log on disk (HistoryWalk), else SNAP
 *
 * A p with counter 0 is the name of a point where an epoch begins, and no entry: all that was before that epoch is
 * there, so it is DIFF wherever entries of ours follow. Java sends SNAP if none follow and p is not its own newest name
 * for that point; DIFF is right there too: the leader of a later epoch has all that this one began with (its quorums
 * meet), and if it has nothing beyond p then both are the same.
 *
 * Why TRUNC in 3 may cross epochs: a proposal of epoch e exists only once a quorum has taken over what e began with, so
 * whoever leads later has that too, and our last entry is no later than that, hence in the learner's log.
 */

import { counterOf, epochOf, type Zxid } from '../jute/zxid.ts'
import { type CommitLog, followsForSure } from './commitlog.ts'

export type SyncPlan =
  /** `zxid` is that of the packet; entries behind `from` follow. */
  | { readonly kind: 'diff' | 'trunc'; readonly zxid: Zxid; readonly from: Zxid }
  | { readonly kind: 'snap' }
  | { readonly kind: 'disk' }

export interface SyncOptions {
  readonly forceSnapshotSync: boolean
  readonly txnLogSync: boolean
}

const SNAP: SyncPlan = { kind: 'snap' }

export function planSync(p: Zxid, log: CommitLog, bound: Zxid, options: SyncOptions): SyncPlan {
  if (options.forceSnapshotSync || p < 0) return SNAP // 1; -1 is a learner without data
  const max = log.lastUpTo(bound)
  if (p === bound) return { kind: 'diff', zxid: p, from: p } // 2
  if (p > max) {
    // 3
    return isEpochStart(p) ? { kind: 'diff', zxid: max, from: p } : truncTo(max)
  }
  if (p < log.zxidReach) return options.txnLogSync ? { kind: 'disk' } : SNAP // 5
  if (log.has(p) || isEpochStart(p)) return { kind: 'diff', zxid: max, from: p } // 4
  if (epochOf(log.after(p)!.zxid) !== epochOf(p)) return SNAP
  return truncTo(log.lastUpTo(p))
}

/** Java cuts behind the first entry at or beyond the zxid: it must be one that exists, or an entry too much stays. */
function truncTo(zxid: Zxid): SyncPlan {
  return isEpochStart(zxid) ? SNAP : { kind: 'trunc', zxid, from: zxid }
}

export type WalkStep = 'skip' | 'diff' | 'trunc' | 'next' | 'gap'

/**
 * Case 5: the same decision over entries that come from disk, piece by piece and oldest first, beginning with the last
 * one at or before p. 'diff' and 'trunc' are answered once, 'next' for all behind; of these three the learner is to get
 * the entry if it lies beyond p. 'gap': what comes is not whole, or does not help.
 */
export class HistoryWalk {
  /** The last entry that the learner has, or is sent. */
  zxidQueued: Zxid
  /** The last entry seen, from which on the next piece is asked for. */
  zxidSeen: Zxid
  /** Where a 'trunc' cuts. */
  zxidCut: Zxid
  decided: boolean
  private readonly p: Zxid
  private first: boolean

  constructor(p: Zxid) {
    this.p = p
    this.zxidQueued = p
    this.zxidSeen = p
    this.zxidCut = -1
    this.decided = false
    this.first = true
  }

  /** What to do with the entry at `zxid`. */
  step(zxid: Zxid): WalkStep {
    if (this.first) {
      this.first = false
      if (zxid > this.p) return 'gap' // the log begins later than the learner's history ends
    } else {
      if (zxid <= this.zxidSeen) return 'skip' // where this piece meets the one before
      if (!followsForSure(this.zxidSeen, zxid)) return 'gap'
    }
    const before = this.zxidSeen
    this.zxidSeen = zxid
    if (zxid < this.p) return 'skip'
    if (this.decided) return this.queue(zxid, 'next')
    const known = zxid === this.p || isEpochStart(this.p)
    // The learner has something at p that we do not know. Java never cuts across an epoch here: nor do we. Nothing has
    // been sent, so this is not decided yet: the tree can still go instead.
    if (!known && epochOf(zxid) !== epochOf(this.p)) return 'gap'
    this.decided = true
    if (known) return this.queue(zxid, 'diff')
    this.zxidCut = before
    return this.queue(zxid, 'trunc')
  }

  private queue(zxid: Zxid, step: WalkStep): WalkStep {
    this.zxidQueued = zxid
    return step
  }
}

function isEpochStart(zxid: Zxid): boolean {
  return counterOf(zxid) === 0
}
