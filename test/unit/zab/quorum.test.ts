/** Which sets of servers may decide: the arithmetic, and the law it is there for. */

import { describe, expect, it } from 'vitest'
import { makeQuorum, type QuorumMember, quorumsInForce, Tracker } from '../../../src/zab/quorum.ts'
import type { Quorum, Sid } from '../../../src/zab/types.ts'
import { makeRandom } from './votenet.ts'

interface Shape {
  voters: readonly Sid[]
  observers?: readonly Sid[]
  groups?: readonly (readonly Sid[])[]
  weights?: Record<number, number>
  version?: number
}

function quorumOf({ voters, observers = [], groups = [], weights = {}, version = 0 }: Shape): Quorum {
  const member = (sid: Sid, voter: boolean): QuorumMember => ({
    sid,
    voter,
    quorumAddresses: [`host${sid}:2888`],
    electionAddresses: [`host${sid}:3888`, `other${sid}:3888`],
  })
  return makeQuorum({
    members: [...voters.map((sid) => member(sid, true)), ...observers.map((sid) => member(sid, false))],
    groups: new Map(groups.map((sids, i) => [i + 1, sids])),
    weights: new Map(Object.entries(weights).map(([sid, weight]) => [Number(sid), weight])),
    version,
    text: `server.1=host1:2888:3888:participant\nversion=${version.toString(16)}`,
  })
}

function subsets(sids: readonly Sid[]): Set<Sid>[] {
  const all: Set<Sid>[] = []
  for (let bits = 0; bits < 1 << sids.length; bits++) all.push(new Set(sids.filter((_, i) => bits & (1 << i))))
  return all
}

/** Every pair of quorums shares a server; says a pair that does not. */
function disjointQuorums(quorum: Quorum, sids: readonly Sid[]): [Sid[], Sid[]] | null {
  const quorums = subsets(sids).filter((set) => quorum.containsQuorum(set))
  for (const a of quorums) for (const b of quorums) if (![...a].some((sid) => b.has(sid))) return [[...a], [...b]]
  return null
}

describe('a majority', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [6, 4],
    [7, 4],
  ])('of %i voters is %i', (voters, needed) => {
    const sids = Array.from({ length: voters }, (_, i) => i + 1)
    const quorum = quorumOf({ voters: sids })
    for (const set of subsets(sids)) expect(quorum.containsQuorum(set)).toBe(set.size >= needed)
    expect(disjointQuorums(quorum, sids)).toBeNull()
  })

  it('is not reached with observers or strangers', () => {
    const quorum = quorumOf({ voters: [1, 2, 3], observers: [4, 5] })
    expect(quorum.containsQuorum(new Set([1, 4, 5, 99]))).toBe(false)
    expect(quorum.containsQuorum(new Set([1, 4, 2]))).toBe(true)
  })

  it('of no voters is never reached', () => {
    expect(quorumOf({ voters: [] }).containsQuorum(new Set([1, 2]))).toBe(false)
  })
})

describe('a majority of weight in a majority of groups', () => {
  it('is reached as in the documentation: three groups of three, two of two groups', () => {
    const voters = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    const groups = [
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
    ]
    const quorum = quorumOf({ voters, groups })
    expect(quorum.containsQuorum(new Set([1, 2, 4, 5]))).toBe(true)
    expect(quorum.containsQuorum(new Set([1, 2, 3, 4, 7]))).toBe(false)
    expect(quorum.containsQuorum(new Set([1, 4, 7]))).toBe(false)
    expect(quorum.containsQuorum(new Set())).toBe(false)
  })

  it('counts weights, and neither servers nor groups that weigh nothing', () => {
    const groups = [[1, 2, 3], [4]]
    const quorum = quorumOf({ voters: [1, 2, 3, 4], groups, weights: { 1: 3, 2: 1, 3: 1, 4: 0 } })
    expect(quorum.weight(1)).toBe(3)
    expect(quorum.weight(4)).toBe(0)
    expect(quorum.containsQuorum(new Set([1]))).toBe(true)
    expect(quorum.containsQuorum(new Set([2, 3, 4]))).toBe(false)
  })

  it('needs more than the half of an even weight', () => {
    const quorum = quorumOf({ voters: [1, 2], groups: [[1, 2]], weights: { 1: 2, 2: 2 } })
    expect(quorum.containsQuorum(new Set([1]))).toBe(false)
    expect(quorum.containsQuorum(new Set([1, 2]))).toBe(true)
  })

  it('always has a server in common with any other, whatever the groups and weights', () => {
    const random = makeRandom(20)
    for (let round = 0; round < 60; round++) {
      const voters = Array.from({ length: 3 + Math.floor(random() * 4) }, (_, i) => i + 1)
      const groups: Sid[][] = Array.from({ length: 1 + Math.floor(random() * 3) }, () => [])
      for (const sid of voters) groups[Math.floor(random() * groups.length)]!.push(sid)
      const weights = Object.fromEntries(voters.map((sid) => [sid, Math.floor(random() * 4)]))
      const shape = { voters, groups: groups.filter((sids) => sids.length > 0), weights }
      expect(disjointQuorums(quorumOf(shape), voters), JSON.stringify(shape)).toBeNull()
    }
  })
})

describe('a configuration', () => {
  it('knows its members in order, and their addresses', () => {
    const quorum = quorumOf({ voters: [10, 2], observers: [3] })
    expect(quorum.members).toEqual([2, 3, 10])
    expect(quorum.voters).toEqual([2, 10])
    expect([2, 3, 4].map((sid) => [quorum.isMember(sid), quorum.isVoter(sid)])).toEqual([
      [true, true],
      [true, false],
      [false, false],
    ])
    expect(quorum.electionAddresses(3)).toEqual(['host3:3888', 'other3:3888'])
    expect(quorum.quorumAddresses(4)).toEqual([])
  })

  it('has the same members as another if the text is the same but for the version', () => {
    expect(quorumOf({ voters: [1], version: 1 }).membersText).toBe(quorumOf({ voters: [1], version: 2 }).membersText)
    expect(quorumOf({ voters: [1] }).membersText).toBe('server.1=host1:2888:3888:participant')
  })
})

describe('counting while a new configuration is proposed', () => {
  const old = quorumOf({ voters: [1, 2, 3], version: 1 })
  const next = quorumOf({ voters: [3, 4, 5], observers: [1], version: 2 })

  it('takes a quorum of each, and a voice counts only where it is a vote', () => {
    const tracker = new Tracker(quorumsInForce(old, next))
    tracker.add(1)
    tracker.add(2)
    expect(tracker.hasAll()).toBe(false)
    tracker.add(4)
    tracker.add(99)
    expect(tracker.hasAll()).toBe(false)
    tracker.add(3)
    expect(tracker.hasAll()).toBe(true)
    expect([1, 4, 5, 99].map((sid) => tracker.has(sid))).toEqual([true, true, false, false])
  })

  it('is over when the new one is in force', () => {
    expect(quorumsInForce(next, next)).toEqual([next])
    expect(quorumsInForce(old, next)).toEqual([old, next])
  })
})
