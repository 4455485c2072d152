/**
 * Which sets of servers may decide: majorities, or majorities of weight in a majority of groups.
 *
 * The one law everything rests on: any two quorums of a configuration have a server in common. Both rules give it,
 * because a strict majority meets every other strict majority, in numbers and in weights alike.
 *
 * Answers to Java's QuorumMaj, QuorumHierarchical and SyncedLearnerTracker. The text is read elsewhere.
 */

import type { Zxid } from '../jute/zxid.ts'
import type { Quorum, Sid, Vote } from './types.ts'

export interface QuorumMember {
  readonly sid: Sid
  readonly voter: boolean
  /** `host:port` texts in the order they are written. */
  readonly quorumAddresses: readonly string[]
  readonly electionAddresses: readonly string[]
}

export interface QuorumData {
  readonly members: readonly QuorumMember[]
  /** Group to the servers in it; empty: plain majorities. */
  readonly groups: ReadonlyMap<number, readonly Sid[]>
  /** Used only with groups; a voter that is not in it weighs 1. */
  readonly weights: ReadonlyMap<Sid, number>
  readonly version: Zxid
  /** The canonical text, whose last line is the version. */
  readonly text: string
}

export function makeQuorum(data: QuorumData): Quorum {
  const bySid = new Map(data.members.map((member) => [member.sid, member]))
  const members = [...bySid.keys()].sort((a, b) => a - b)
  const voters = members.filter((sid) => bySid.get(sid)!.voter)
  const isVoter = (sid: Sid) => bySid.get(sid)?.voter === true
  const rule = data.groups.size === 0 ? majority(voters, isVoter) : hierarchy(data, isVoter)
  return {
    version: data.version,
    text: data.text,
    members,
    voters,
    isMember: (sid) => bySid.has(sid),
    isVoter,
    weight: rule.weight,
    containsQuorum: rule.containsQuorum,
    membersText: data.text.replace(/\n?version=[^\n]*$/, ''),
    quorumAddresses: (sid) => bySid.get(sid)?.quorumAddresses ?? [],
    electionAddresses: (sid) => bySid.get(sid)?.electionAddresses ?? [],
  }
}

type Rule = Pick<Quorum, 'weight' | 'containsQuorum'>

function majority(voters: readonly Sid[], isVoter: (sid: Sid) => boolean): Rule {
  return {
    weight: () => 1,
    containsQuorum(sids) {
      let count = 0
      for (const sid of sids) if (isVoter(sid)) count++
      return count > Math.floor(voters.length / 2)
    },
  }
}

/**
 * A group of no weight neither helps nor counts. Java refuses (by accident) a group with a server that is no voter and
 * has no weight; here such a server weighs nothing.
 */
function hierarchy(data: QuorumData, isVoter: (sid: Sid) => boolean): Rule {
  const weight = (sid: Sid) => data.weights.get(sid) ?? (isVoter(sid) ? 1 : 0)
  const groupOf = new Map<Sid, number>()
  const groupWeight = new Map<number, number>()
  for (const [group, sids] of data.groups) {
    let total = 0
    for (const sid of sids) {
      groupOf.set(sid, group)
      total += weight(sid)
    }
    if (total > 0) groupWeight.set(group, total)
  }
  return {
    weight,
    containsQuorum(sids) {
      const acked = new Map<number, number>()
      for (const sid of sids) {
        const group = groupOf.get(sid)
        if (group !== undefined && isVoter(sid)) acked.set(group, (acked.get(group) ?? 0) + weight(sid))
      }
      let groups = 0
      for (const [group, total] of groupWeight) if ((acked.get(group) ?? 0) > Math.floor(total / 2)) groups++
      return groups > Math.floor(groupWeight.size / 2)
    },
  }
}

/**
 * Counts who has said yes. While a reconfiguration is under way there are two quorums, and it takes one in each; the
 * voice of a server counts only where it is a voter.
 */
export class Tracker {
  private readonly acks: readonly { readonly quorum: Quorum; readonly sids: Set<Sid> }[]

  constructor(quorums: readonly Quorum[]) {
    this.acks = quorums.map((quorum) => ({ quorum, sids: new Set() }))
  }

  add(sid: Sid): void {
    for (const { quorum, sids } of this.acks) if (quorum.isVoter(sid)) sids.add(sid)
  }

  /** Has this server said yes, and a voice to say it with? */
  has(sid: Sid): boolean {
    return this.acks.some(({ sids }) => sids.has(sid))
  }

  hasAll(): boolean {
    return this.acks.every(({ quorum, sids }) => quorum.containsQuorum(sids))
  }
}

/** The quorums that must agree now: the committed one, and a newer one that is proposed. */
export function quorumsInForce(committed: Quorum, lastSeen: Quorum): readonly Quorum[] {
  return lastSeen.version > committed.version ? [committed, lastSeen] : [committed]
}

/** The order of votes: by epoch, then zxid, then sid. One whose weight is 0 is never elected. */
export function beats(quorum: Quorum, vote: Vote, other: Vote): boolean {
  if (quorum.weight(vote.leader) === 0) return false
  if (vote.peerEpoch !== other.peerEpoch) return vote.peerEpoch > other.peerEpoch
  if (vote.zxid !== other.zxid) return vote.zxid > other.zxid
  return vote.leader > other.leader
}
