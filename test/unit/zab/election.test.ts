/** Laws of the election, on a few of them and a seeded network. Each seed is a run of its own; a failure names it. */

import { describe, expect, it } from 'vitest'
import { Output } from '../../../src/jute/output.ts'
import { makeZxid } from '../../../src/jute/zxid.ts'
import { encodeHello, NON_VOTER, readNotification, writeNotification } from '../../../src/zab/notification.ts'
import { type Role, type Sid, type Vote, ZAB_DEFAULTS } from '../../../src/zab/types.ts'
import { type ByHand, quorumOf, VoteNet } from './votenet.ts'

const SEEDS = Array.from({ length: 25 }, (_, i) => i + 1)
const THREE = quorumOf([1, 2, 3])
const FIVE = quorumOf([1, 2, 3, 4, 5])
/** More than any of these elections should take; dials, silences and lost messages included. */
const LONG_MS = 20_000

/** Starts all of them, one after the other: at once, or each a little later, by up to `withinMs` on the whole. */
function startAll(net: VoteNet, withinMs = 0): void {
  const pauseMs = withinMs / net.servers.size
  for (const server of [...net.servers.values()]) {
    net.run(net.random() * pauseMs)
    server.look()
  }
}

function expectLeader(net: VoteNet, sids: readonly Sid[], leader: Sid): void {
  const done = net.run(LONG_MS, () => net.leaderOf(sids) !== null)
  expect(done, net.story.slice(-30).join('\n')).toBe(true)
  expect(net.leaderOf(sids), net.story.slice(-30).join('\n')).toBe(leader)
}

/** They come to one leader, whichever it is; and that one knows it. */
function expectSomeLeader(net: VoteNet, sids: readonly Sid[]): Sid {
  net.run(60_000, () => net.servers.get(net.leaderOf(sids) ?? -1)?.role === 'leading')
  const leader = net.leaderOf(sids)
  expect(leader, net.story.slice(-40).join('\n')).not.toBeNull()
  expect(net.servers.get(leader!)?.role, net.story.slice(-40).join('\n')).toBe('leading')
  return leader!
}

/** One side of a connection, made by hand, that says it is `sid`. */
function strangerAt(net: VoteNet, to: Sid, sid: Sid, address = `host${sid}:3888`): ByHand {
  const link = net.connectByHand(to)
  link.send(encodeHello(sid, [address], false))
  return link
}

function say(link: ByHand, state: Role, vote: Vote, config = THREE.text): void {
  const out = new Output()
  writeNotification(out, state, vote, Buffer.from(config))
  link.send(out.copy())
}

/** The notifications in what came back; there must be no hello in front. */
function heard({ received }: ByHand): { state: Role; vote: Vote }[] {
  const bytes = Uint8Array.from(received)
  const found = []
  for (let off = 0; off < bytes.length; ) {
    const end = off + 4 + new DataView(bytes.buffer).getInt32(off)
    const { state, vote } = readNotification(bytes, off + 4, end)!
    found.push({ state, vote })
    off = end
  }
  return found
}

describe('an election', () => {
  it.each(SEEDS)('of equals goes to the largest sid, wherever all start together (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    for (const sid of [1, 2, 3]) net.add(sid, THREE)
    startAll(net)
    expectLeader(net, [1, 2, 3], 3)
  })

  it.each(SEEDS)('of five goes to the newest history: epoch, then zxid, then sid (E6) (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    const histories: [number, number][] = []
    for (const sid of FIVE.voters) {
      const epoch = 1 + Math.floor(net.random() * 2)
      const zxid = makeZxid(1, Math.floor(net.random() * 2))
      histories[sid] = [epoch, zxid]
      net.add(sid, FIVE, zxid, epoch)
    }
    startAll(net)
    const best = [...FIVE.voters].sort((a, b) => {
      const [[epochA, zxidA], [epochB, zxidB]] = [histories[a]!, histories[b]!]
      return epochB - epochA || zxidB - zxidA || b - a
    })[0]!
    expectLeader(net, FIVE.voters, best)
  })

  it('prefers the newer epoch to the longer log (E6)', () => {
    const net = new VoteNet(1)
    net.add(1, THREE, makeZxid(1, 3), 3)
    net.add(2, THREE, makeZxid(2, 900), 2)
    net.add(3, THREE, makeZxid(2, 901), 2)
    startAll(net)
    expectLeader(net, [1, 2, 3], 1)
  })

  it('takes a quorum: one of three alone elects nobody, however long it waits', () => {
    const net = new VoteNet(1)
    net.add(1, THREE).look()
    expect(net.run(300_000, () => net.servers.get(1)!.elected !== null)).toBe(false)
  })

  it('is over at once where nobody is left whose vote could be better', () => {
    const net = new VoteNet(1)
    net.add(1, quorumOf([1])).look()
    expectLeader(net, [1], 1)
    expect(net.nowMs).toBe(0)
    // All three agree: as long as it takes to talk.
    const all = new VoteNet(1)
    for (const sid of [1, 2, 3]) all.add(sid, THREE)
    startAll(all)
    expectLeader(all, [1, 2, 3], 3)
    expect(all.nowMs).toBeLessThan(200)
  })

  it('waits all the same where it is to be as in Java', () => {
    const net = new VoteNet(1)
    net.add(1, quorumOf([1]), 0, 0, { finalizeAlways: true }).look()
    expectLeader(net, [1], 1)
    expect(net.nowMs).toBe(200)
  })

  it('waits at its start for one that refuses connections, for that is being started as well; later it does not', () => {
    const net = new VoteNet(1)
    for (const sid of [1, 2]) net.add(sid, THREE)
    startAll(net)
    expectLeader(net, [1, 2], 2)
    expect(net.nowMs).toBeGreaterThanOrEqual(200)
    const againMs = net.nowMs
    for (const sid of [1, 2]) {
      net.servers.get(sid)!.elected = null
      net.servers.get(sid)!.look()
    }
    expectLeader(net, [1, 2], 2)
    expect(net.nowMs - againMs).toBeLessThan(200)
  })

  it('waits for the silence where one is connected that has not said anything', () => {
    const net = new VoteNet(1)
    const server = net.add(1, THREE)
    server.look()
    const [two] = [2, 3].map((sid) => strangerAt(net, 1, sid))
    net.run(100)
    say(two!, 'looking', { leader: 1, zxid: 0, electionEpoch: 1, peerEpoch: 0 })
    expect(net.run(200, () => server.elected !== null)).toBe(false)
    expect(net.run(100, () => server.elected !== null)).toBe(true)
  })

  it.each(SEEDS)('waits a moment for a better one, which then wins (E8) (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    for (const sid of [1, 2]) net.add(sid, THREE, makeZxid(1, 5), 1)
    const newest = net.add(3, THREE, makeZxid(1, 6), 1)
    startAll(net)
    expectLeader(net, [1, 2, 3], newest.sid)
  })

  it.each(SEEDS)('that is over is not undone by one that comes later with more (E8) (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    for (const sid of [1, 2]) net.add(sid, THREE, makeZxid(1, 5), 1).look()
    expectLeader(net, [1, 2], 2)
    net.add(3, THREE, makeZxid(1, 6), 1).look()
    expectLeader(net, [1, 2, 3], 2)
    expect(net.servers.get(2)!.countElected).toBe(1)
    net.run(100)
    expect(new Set(net.servers.get(2)!.seenLooking)).toEqual(new Set([3]))
  })

  it.each(SEEDS)('elects anew without a leader that is gone (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    for (const sid of FIVE.voters) net.add(sid, FIVE)
    net.watchRoles()
    startAll(net)
    expectLeader(net, FIVE.voters, 5)
    net.remove(5)
    net.run(2_500)
    expectSomeLeader(net, [1, 2, 3, 4])
  })

  it.each(SEEDS)(
    'finds the leader after a restart in round one, although the others are far ahead (seed %i)',
    (seed) => {
      const net = new VoteNet(seed)
      for (const sid of [1, 2, 3]) net.add(sid, THREE)
      for (let round = 0; round < 4; round++) {
        startAll(net)
        expectLeader(net, [1, 2, 3], 3)
      }
      net.remove(1)
      net.add(1, THREE).look()
      expectLeader(net, [1, 2, 3], 3)
      expect(net.servers.get(1)!.elected!.electionEpoch).toBe(net.servers.get(3)!.elected!.electionEpoch)
    },
  )

  it.each(SEEDS)(
    'does not wait for the next notifications where one looks a little later than another (seed %i)',
    (seed) => {
      const net = new VoteNet(seed)
      for (const sid of [1, 2, 3]) net.add(sid, THREE)
      startAll(net)
      expectLeader(net, [1, 2, 3], 3)
      net.remove(3)
      net.servers.get(2)!.look()
      net.run(50) // its vote has come, and was answered with the leader that is gone
      const fromMs = net.nowMs
      net.servers.get(1)!.look()
      expectLeader(net, [1, 2], 2)
      expect(net.nowMs - fromMs).toBeLessThan(ZAB_DEFAULTS.notificationMinMs - 50)
    },
  )

  it.each(SEEDS)('tells late ones of the raised epoch, and joins them to it (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    for (const sid of [1, 2]) net.add(sid, THREE).look()
    expectLeader(net, [1, 2], 2)
    for (const server of net.servers.values()) server.election.settle(server.role, { ...server.elected!, peerEpoch: 1 })
    net.add(3, THREE).look()
    expectLeader(net, [1, 2, 3], 2)
    expect(net.servers.get(3)!.elected).toMatchObject({ leader: 2, peerEpoch: 1 })
  })
})

describe('an observer', () => {
  const quorum = quorumOf([1, 2, 3], [9])

  it.each(SEEDS)('learns who leads, and is never elected (E7) (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    for (const sid of [1, 2, 3]) net.add(sid, quorum, makeZxid(1, 1), 1)
    net.add(9, quorum, makeZxid(1, 500), 1)
    net.watchRoles()
    startAll(net, 2_000)
    expect(expectSomeLeader(net, [1, 2, 3, 9])).toBeLessThan(9)
    expect(net.servers.get(9)!.role).toBe('observing')
  })

  it('does not help one voter of three to a quorum (E7)', () => {
    const net = new VoteNet(1)
    net.add(1, quorum).look()
    net.add(9, quorum).look()
    net.run(LONG_MS)
    expect(net.servers.get(1)!.elected).toBeNull()
  })

  it('that asked while there was no leader is told as soon as there is one', () => {
    const net = new VoteNet(1)
    net.add(9, quorum).look()
    net.add(1, quorum).look()
    net.run(60_000)
    net.add(2, quorum).look()
    net.run(LONG_MS, () => net.leaderOf([1, 2]) === 2)
    const electedMs = net.nowMs
    expectLeader(net, [1, 2, 9], 2)
    // The pause between two dials of 2; asking again would have taken a minute by now.
    expect(net.nowMs - electedMs).toBeLessThan(1_200)
  })
})

describe('a server with nothing that must not vote (E13)', () => {
  it('neither leads nor helps others to lead, and follows once there is a leader', () => {
    const net = new VoteNet(1)
    net.add(3, THREE, -1).look()
    net.add(1, THREE).look()
    net.run(60_000)
    expect(net.leaderOf([1])).toBeNull()
    net.add(2, THREE).look()
    expectLeader(net, [1, 2, 3], 2)
  })

  it('does not become leader because others still follow what it was', () => {
    const net = new VoteNet(1)
    const server = net.add(3, THREE, -1)
    server.look()
    const settled = { leader: 3, zxid: 0, electionEpoch: 1, peerEpoch: 1 }
    for (const sid of [4, 5]) expect(sid).toBeGreaterThan(3)
    const voters = quorumOf([3, 4, 5])
    server.election.onConfig(voters, voters)
    for (const sid of [4, 5]) say(strangerAt(net, 3, sid), 'following', { ...settled, electionEpoch: 2 }, voters.text)
    net.run(5_000)
    expect(server.elected).toBeNull()
  })
})

describe('stale and foreign words', () => {
  /** Server 1 of three, in round 1, that hears 2 and 3 by hand. */
  function alone(seed = 1) {
    const net = new VoteNet(seed)
    const server = net.add(1, THREE, makeZxid(1, 5), 1)
    server.look()
    return { net, server, two: strangerAt(net, 1, 2), three: strangerAt(net, 1, 3) }
  }
  const forOne = { leader: 1, zxid: makeZxid(1, 5), electionEpoch: 1, peerEpoch: 1 }

  it('a vote of an older round is answered and not counted (E6, N7)', () => {
    const { net, server, two } = alone()
    net.servers.get(1)!.look()
    net.run(100)
    const before = heard(two).length
    say(two, 'looking', forOne)
    net.run(50)
    expect(server.election.countStale).toBe(1)
    expect(heard(two).slice(before)).toEqual([{ state: 'looking', vote: { ...forOne, electionEpoch: 2 } }])
    net.run(5_000)
    expect(server.elected).toBeNull()
  })

  it('a vote of a newer round is joined, and what was counted before is forgotten (E6)', () => {
    const { net, server, two, three } = alone()
    net.run(20)
    say(three, 'looking', { ...forOne, leader: 3, zxid: makeZxid(1, 4), electionEpoch: 9 })
    net.run(50)
    expect(heard(two).at(-1)).toEqual({ state: 'looking', vote: { ...forOne, electionEpoch: 9 } })
    say(two, 'looking', { ...forOne, electionEpoch: 9 })
    net.run(LONG_MS)
    expect(server.elected).toEqual({ ...forOne, electionEpoch: 9 })
  })

  it('a latecomer of a newer round with nothing better does not undo a round that is as good as done', () => {
    const { net, server, two, three } = alone()
    say(two, 'looking', forOne)
    net.run(50)
    say(three, 'looking', { ...forOne, leader: 3, zxid: makeZxid(1, 4), electionEpoch: 9 })
    expect(net.run(500, () => server.elected !== null)).toBe(true)
    expect(server.elected).toEqual(forOne)
    net.run(100)
    expect(heard(three).at(-1)).toEqual({ state: 'leading', vote: forOne })
  })

  it('the same vote again and again changes nothing, and is no second vote (N7)', () => {
    const { net, server, two } = alone()
    const other = { ...forOne, leader: 2, zxid: makeZxid(1, 4) }
    for (let i = 0; i < 20; i++) say(two, 'looking', other)
    net.run(LONG_MS)
    expect(server.elected).toBeNull()
  })

  it('followers of a leader that says nothing itself are not believed', () => {
    const net = new VoteNet(1)
    const server = net.add(1, FIVE)
    server.look()
    const vote = { leader: 5, zxid: 0, electionEpoch: 7, peerEpoch: 3 }
    const links = [2, 3, 4].map((sid) => strangerAt(net, 1, sid))
    for (const link of links) say(link, 'following', vote, FIVE.text)
    net.run(1_000)
    expect(server.elected).toBeNull()
    say(strangerAt(net, 1, 5), 'leading', { ...vote, zxid: 99, electionEpoch: 6 }, FIVE.text)
    net.run(1_000)
    expect(server.elected).toMatchObject({ leader: 5, peerEpoch: 3 })
  })

  it('a leader of another epoch is not joined by the word of followers of an older one (N7)', () => {
    const { net, server, two, three } = alone()
    say(two, 'following', { ...forOne, leader: 3, electionEpoch: 5, peerEpoch: 1 })
    say(three, 'leading', { ...forOne, leader: 3, electionEpoch: 6, peerEpoch: 2 })
    net.run(1_000)
    expect(server.elected).toBeNull()
    say(two, 'following', { ...forOne, leader: 3, electionEpoch: 5, peerEpoch: 2 })
    net.run(1_000)
    expect(server.elected).toMatchObject({ leader: 3, peerEpoch: 2 })
  })

  it('votes of strangers, and for strangers, are counted as such and decide nothing (E7)', () => {
    const { net, server, two } = alone()
    const stranger = strangerAt(net, 1, 77)
    say(stranger, 'leading', { leader: 77, zxid: makeZxid(9, 9), electionEpoch: 1, peerEpoch: 9 })
    say(stranger, 'looking', { leader: 1, zxid: makeZxid(1, 5), electionEpoch: 1, peerEpoch: 1 })
    say(two, 'looking', { leader: 77, zxid: makeZxid(9, 9), electionEpoch: 1, peerEpoch: 9 })
    say(two, 'following', { leader: NON_VOTER, zxid: NON_VOTER, electionEpoch: 1, peerEpoch: NON_VOTER })
    net.run(5_000)
    expect(server.elected).toBeNull()
    expect(server.election.countForeign).toBe(3)
    expect(heard(stranger).at(-1)!.vote.leader).toBe(1)
  })

  it('malformed ones are counted and dropped, and the election goes on on the same connection (E7)', () => {
    const { net, server, two } = alone()
    const frame = (bytes: readonly number[]) => two.send(Uint8Array.from([0, 0, 0, bytes.length, ...bytes]))
    frame([1])
    frame(Array.from({ length: 27 }, () => 0))
    frame([0, 0, 0, 9, ...Array.from({ length: 40 }, () => 0)])
    frame([...Array.from({ length: 39 }, () => 0), 2, 0x7f, 0xff, 0xff, 0xff])
    say(two, 'looking', forOne, 'neither a configuration nor anything else')
    expect(net.run(1_000, () => server.elected !== null)).toBe(true)
    expect(server.election.countMalformed).toBe(5)
  })

  it('a frame of nonsense length costs its sender the connection, and nobody else (E7)', () => {
    const { net, server, two, three } = alone()
    three.send(Uint8Array.from([0x7f, 0xff, 0xff, 0xff, 1, 2, 3]))
    say(two, 'looking', forOne)
    expect(net.run(1_000, () => server.elected !== null)).toBe(true)
    net.run(100)
    expect([two.open, three.open]).toEqual([true, false])
  })
})

describe('a network with faults', () => {
  it.each(SEEDS)('one dead connection of three does not keep the others from one leader (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    for (const sid of [1, 2, 3]) net.add(sid, THREE)
    net.watchRoles()
    net.cut(1, 3)
    startAll(net)
    // 2 hears both. Under 3, 1 never gets to follow, and does not keep the other two from it; and the same with 3 under 1.
    const agreed = () => net.leaderOf([2, 3]) ?? net.leaderOf([1, 2])
    expect(net.run(LONG_MS, () => agreed() !== null)).toBe(true)
    net.run(30_000)
    expect(agreed()).not.toBeNull()
    net.heal()
    expectSomeLeader(net, [1, 2, 3])
  })

  it.each(SEEDS)('what goes one way only ends, once it works again, in one leader (N2) (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    for (const sid of FIVE.voters) net.add(sid, FIVE, makeZxid(1, sid % 2), 1)
    for (const a of FIVE.voters)
      for (const b of FIVE.voters) if (a !== b && net.random() < 0.4) net.deaf.add(`${a}>${b}`)
    net.watchRoles()
    startAll(net, 500)
    net.run(10_000)
    net.heal()
    expectSomeLeader(net, FIVE.voters)
  })

  it.each(SEEDS)('a majority decides without the rest, and the rest joins it later (N1) (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    for (const sid of FIVE.voters) net.add(sid, FIVE)
    for (const a of [1, 2, 3]) for (const b of [4, 5]) net.cut(a, b)
    startAll(net)
    expectLeader(net, [1, 2, 3], 3)
    net.run(30_000)
    expect([4, 5].map((sid) => net.servers.get(sid)!.elected)).toEqual([null, null])
    net.heal()
    expectLeader(net, FIVE.voters, 3)
    expect(net.servers.get(3)!.countElected).toBe(1)
  })

  it.each(SEEDS)('restarts, cuts and new rounds at random end in one leader once they stop (E6) (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    for (const sid of FIVE.voters) net.add(sid, FIVE)
    net.watchRoles()
    startAll(net, 500)
    for (let i = 0; i < 30; i++) {
      net.run(net.random() * 400)
      const sid = 1 + Math.floor(net.random() * 5)
      const what = net.random()
      if (what < 0.3) {
        net.remove(sid)
        net.add(sid, FIVE).look()
      } else if (what < 0.6) net.servers.get(sid)!.look()
      else if (what < 0.8) net.cut(sid, 1 + (sid % 5))
      else net.heal()
    }
    net.heal()
    expectSomeLeader(net, FIVE.voters)
  })

  it('a server that slept through the silence listens again before it believes in it', () => {
    const net = new VoteNet(1)
    const server = net.add(1, THREE, 0)
    server.look()
    const [two] = [2, 3].map((sid) => strangerAt(net, 1, sid))
    net.run(100)
    say(two!, 'looking', { leader: 1, zxid: 0, electionEpoch: 1, peerEpoch: 0 })
    net.run(100)
    expect(server.elected).toBeNull()
    net.nowMs += 60_000
    server.election.onDeadline()
    expect(server.elected).toBeNull()
    expect(net.run(199, () => server.elected !== null)).toBe(false)
    expectLeader(net, [1], 1)
  })
})

describe('a change of members', () => {
  it('that is proposed takes a quorum of old and new, and new voters have their say', () => {
    const net = new VoteNet(1)
    const next = quorumOf([1, 2, 3, 4, 5], [], 7)
    for (const sid of [1, 2, 3]) {
      const server = net.add(sid, THREE)
      server.election.onConfig(THREE, next)
    }
    for (const sid of [1, 2]) net.servers.get(sid)!.look()
    net.run(LONG_MS)
    expect(net.leaderOf([1, 2])).toBeNull()
    net.servers.get(3)!.look()
    expectLeader(net, [1, 2, 3], 3)
  })

  it('that one missed is learned from a vote, and the election begins anew by its rules', () => {
    const net = new VoteNet(1)
    const next = quorumOf([1, 2, 3, 4, 5], [], 7)
    for (const sid of [3, 4, 5]) net.add(sid, next)
    const late = net.add(2, THREE)
    startAll(net)
    expectLeader(net, [2, 3, 4, 5], 5)
    expect(late.quorum.version).toBe(7)
  })

  it('in the middle of a round throws away what was counted by the old rules', () => {
    const net = new VoteNet(1)
    const server = net.add(1, THREE)
    server.look()
    const [two] = [2, 3].map((sid) => strangerAt(net, 1, sid))
    net.run(100)
    say(two!, 'looking', { leader: 1, zxid: 0, electionEpoch: 1, peerEpoch: 0 })
    net.run(100)
    expect(server.elected).toBeNull()
    server.election.onConfig(FIVE, FIVE)
    net.run(LONG_MS)
    expect(server.elected).toBeNull()
  })
})

describe('between the end of a role and the next look', () => {
  it('nobody is told of a leader that was left, and what comes in is kept', () => {
    const net = new VoteNet(1)
    for (const sid of [1, 2, 3]) net.add(sid, THREE)
    startAll(net)
    expectLeader(net, [1, 2, 3], 3)
    net.remove(3)
    const [one, two] = [net.servers.get(1)!, net.servers.get(2)!]
    two.election.settle('looking', two.elected!)
    one.look()
    net.run(150)
    expect(one.elected).toBeNull()
    two.look()
    expect(two.elected).toBeNull()
    expectLeader(net, [1, 2], 2)
  })
})
