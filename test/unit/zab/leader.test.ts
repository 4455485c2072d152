import { describe, expect, it } from 'vitest'
import type { Sid } from '../../../src/zab/types.ts'
import { configText, parse, proposalBytes } from './cluster.ts'
import { ack, ackEpoch, elected, info, int, join, leading, linkOf, long, propose, sync, to } from './leaderkit.ts'
import { EPOCH, entries, Lone, type LoneOptions, packet, TICK } from './lone.ts'

describe('discovery, at a leader', () => {
  it('says in a first start what a leader of Java says', () => {
    const lone = new Lone({ sid: 3 })
    expect(lone.elect(3)).toEqual(['role leading 3'])
    expect(join(lone, 1, 0)).toEqual(['save accepted 1'])
    expect(lone.saved('accepted', 1)).toEqual(to(1, 'LEADERINFO 100000000 00010000'))
    expect(lone.receive(linkOf(1), ackEpoch(0, 0))).toEqual(['save current 1'])
    expect(lone.saved('current', 1)).toEqual(to(1, 'DIFF 0', 'NEWLEADER 100000000 version=0'))
    expect(lone.receive(linkOf(1), ack(1, 0))).toEqual(['established leading 3 1', ...to(1, 'UPTODATE -1')])
    expect(lone.receive(linkOf(1), ack(1, 0))).toEqual([])
    expect(lone.looks.at(-1)).toBe('leading 3 1')
  })

  it('C7: tells nobody of an epoch before it is on disk, and asks for no history before currentEpoch is', () => {
    const lone = elected()
    expect(join(lone, 1, 0)).toEqual(['save accepted 1'])
    expect(join(lone, 2, 0)).toEqual([])
    expect(lone.saved('accepted', 1)).toEqual([
      ...to(1, 'LEADERINFO 100000000 00010000'),
      ...to(2, 'LEADERINFO 100000000 00010000'),
    ])
    expect(lone.receive(linkOf(1), ackEpoch(0, 0))).toEqual(['save current 1'])
    expect(lone.receive(linkOf(2), ackEpoch(0, 0))).toEqual([])
    expect(lone.saved('current', 1)).toHaveLength(4)
  })

  it('takes an epoch above all that it hears of, observers and itself included', () => {
    const lone = elected({ observers: [4], start: { acceptedEpoch: 5 } })
    expect(join(lone, 4, 8, 'OBSERVERINFO')).toEqual([])
    expect(join(lone, 1, 3)).toEqual(['save accepted 9'])
  })

  it('E6: does not lead those whose history is newer, by epoch and then by zxid', () => {
    const lone = elected({ voters: [1, 2, 3, 4, 5], proposals: entries(4, 1, 3) })
    join(lone, 1, 4)
    expect(join(lone, 2, 4)).toEqual(['save accepted 5'])
    lone.saved('accepted', 5)
    expect(lone.receive(linkOf(1), ackEpoch(4 * EPOCH + 4, 4))).toEqual([`close ${linkOf(1)}`])
    expect(lone.receive(linkOf(2), ackEpoch(1, 5))).toEqual([`close ${linkOf(2)}`])
    for (const sid of [4, 5]) join(lone, sid, 4)
    expect(lone.receive(linkOf(4), ackEpoch(3 * EPOCH + 9, 3))).toEqual([])
    expect(lone.receive(linkOf(5), ackEpoch(4 * EPOCH + 3, 4))).toEqual(['save current 5'])
  })

  it('counts no promise of those that have none to give: accepted before, without data, or without a vote', () => {
    const lone = elected({ voters: [1, 2, 3], observers: [4] })
    join(lone, 1, 0)
    lone.saved('accepted', 1)
    for (const sid of [4, 9]) join(lone, sid, 0, sid === 4 ? 'OBSERVERINFO' : 'FOLLOWERINFO')
    expect(lone.receive(linkOf(4), ackEpoch(0, 0))).toEqual([])
    expect(lone.receive(linkOf(9), ackEpoch(0, 0))).toEqual([])
    expect(lone.receive(linkOf(1), ackEpoch(0, -1))).toEqual([])
    join(lone, 2, 0)
    expect(lone.receive(linkOf(2), ackEpoch(-1, 0))).toEqual([])
  })

  it('gives up after initLimit in each of its phases', () => {
    const lone = elected()
    expect(lone.pass(10 * TICK - 1)).toEqual([])
    expect(lone.pass(1)).toEqual(['role looking', 'look 0 0'])
    lone.elect(3)
    lone.pass(9 * TICK)
    join(lone, 1, 0)
    lone.saved('accepted', 1)
    expect(lone.pass(10 * TICK)).toContain('role looking')
    lone.elect(3)
    join(lone, 2, 1)
    lone.saved('accepted', 2)
    lone.receive(linkOf(2), ackEpoch(0, 1))
    lone.saved('current', 2)
    expect(lone.pass(10 * TICK)).toContain('role looking')
  })

  it('gives up early, if so configured, when a voter looks again', () => {
    const lone = elected({ zab: { epochWaitMs: 1000 } })
    lone.pass(1000)
    const vote = { leader: 1, zxid: 0, electionEpoch: 1, peerEpoch: 0 }
    lone.events!.onLooking!(1, vote)
    expect(lone.sleep(0)).toEqual([])
    lone.pass(1)
    lone.events!.onLooking!(1, vote)
    expect(lone.sleep(0)).toEqual(['role looking', 'look 0 0'])
  })

  it('resigns for a voter that has promised a later epoch, and could not follow it for ever; not for one without a vote', () => {
    const lone = leading(1)
    join(lone, 7, 2)
    expect(lone.peer.role).toBe('leading')
    expect(join(lone, 2, 2).slice(-2)).toEqual(['role looking', 'look 0 1'])
  })

  it('goes on where that is to be as in Java: the voter is told our epoch, and goes away', () => {
    const lone = leading(1, { zab: { ignoreLaterEpochs: true } })
    expect(join(lone, 2, 2)).toEqual(to(2, `LEADERINFO 100000000 00010000`))
    expect(lone.peer.role).toBe('leading')
  })

  it('gives way to a better candidate that turns up before a quorum has come, and not later', () => {
    const better = { leader: 3, zxid: 1, electionEpoch: 1, peerEpoch: 0 }
    const lone = elected()
    lone.events!.onLooking!(3, { ...better, zxid: -1 })
    expect(lone.sleep(0)).toEqual([])
    lone.events!.onLooking!(3, better)
    expect(lone.sleep(0)).toEqual(['role looking', 'look 0 0'])
  })

  it('X: drops what is no learner of this ensemble: nonsense, its own id, a later configuration, an impossible epoch', () => {
    const strange = [
      packet('ACK', 0),
      info(3, 0),
      info(1, 0, 'FOLLOWERINFO', 1),
      info(1, 2 ** 21 - 1),
      packet('FOLLOWERINFO', 0, `${long(1)} 00000001`),
    ]
    for (const first of strange) {
      const lone = elected()
      lone.peer.onAccept(20, 'learner')
      expect(lone.receive(20, first)).toEqual(['close 20'])
    }
    const lone = elected()
    lone.peer.onAccept(20, 'learner')
    expect(() => lone.receive(20, packet('FOLLOWERINFO', 0, new Uint8Array(2000)))).not.toThrow()
    expect(lone.peer.learners()).toEqual([])
  })

  it('drops a link on which nothing is said, and an older one of a learner that comes anew', () => {
    const lone = leading(1)
    lone.peer.onAccept(20, 'learner')
    for (let i = 0; i < 10; i++) {
      expect(lone.take()).toEqual([])
      lone.pass(TICK - 1)
      lone.receive(linkOf(1), packet('PING', 0, ''))
    }
    lone.receive(linkOf(1), packet('PING', 0, ''))
    expect(lone.pass(10)).toContain('close 20')
    lone.peer.onAccept(21, 'learner')
    expect(lone.receive(21, info(1, 1))).toEqual([
      `close ${linkOf(1)}`,
      `gone ${linkOf(1)} of 1`,
      'send 21: LEADERINFO 100000000 00010000',
    ])
  })

  it('limits links that do not say who they are', () => {
    const lone = elected()
    for (let link = 100; link < 356; link++) lone.peer.onAccept(link, 'learner')
    expect(lone.take()).toEqual([])
    lone.peer.onAccept(356, 'learner')
    expect(lone.take()).toEqual(['close 356'])
  })
})

describe('broadcast, at a leader', () => {
  it('proposes to the links first, then to its own log, and commits what a quorum has on disk', () => {
    const lone = leading(1)
    expect(propose(lone, 1, 1)).toEqual([...to(1, 'PROPOSAL 100000001 100000001'), 'append 100000001'])
    expect(lone.receive(linkOf(1), ack(1, 1))).toEqual([])
    expect(lone.durable(EPOCH + 1)).toEqual([...to(1, 'COMMIT 100000001'), 'deliver 100000001'])
  })

  it('does not need its own disk, if a quorum of others has it', () => {
    const lone = leading(1)
    sync(lone, 0)
    lone.receive(linkOf(2), ack(1, 0))
    propose(lone, 1, 1)
    expect(lone.receive(linkOf(1), ack(1, 1))).toEqual([])
    expect(lone.receive(linkOf(2), ack(1, 1)).at(-1)).toBe('deliver 100000001')
  })

  it('commits in order, several at a time where one acknowledgement completes them', () => {
    const lone = leading(1)
    for (const counter of [1, 2, 3]) propose(lone, 1, counter)
    lone.durable(EPOCH + 3)
    expect(lone.receive(linkOf(1), ack(1, 1), ack(1, 2))).toEqual([
      ...to(1, 'COMMIT 100000001'),
      'deliver 100000001',
      ...to(1, 'COMMIT 100000002'),
      'deliver 100000002',
    ])
    expect(lone.peer.countOutstanding()).toBe(1)
  })

  it('ignores acknowledgements of what it has not proposed, of older epochs, and of observers', () => {
    const lone = leading(2, { observers: [4], proposals: entries(1, 1, 1) })
    sync(lone, EPOCH + 1, 4, 'OBSERVERINFO')
    lone.receive(linkOf(4), ack(2, 0))
    propose(lone, 2, 1)
    lone.durable(2 * EPOCH + 1)
    expect(lone.receive(linkOf(1), ack(2, 2), ack(1, 1), ack(3, 1))).toEqual([])
    expect(lone.receive(linkOf(4), ack(2, 1))).toEqual([])
    expect(lone.receive(linkOf(1), ack(2, 1))).toContain('deliver 200000001')
  })

  it('tells observers of what is committed, and of nothing else', () => {
    const lone = leading(1, { observers: [4] })
    expect(sync(lone, 0, 4, 'OBSERVERINFO')).toEqual(to(4, 'DIFF 0', 'NEWLEADER 100000000 version=0'))
    lone.receive(linkOf(4), ack(1, 0))
    expect(propose(lone, 1, 1)).toEqual([...to(1, 'PROPOSAL 100000001 100000001'), 'append 100000001'])
    lone.durable(EPOCH + 1)
    expect(lone.receive(linkOf(1), ack(1, 1))).toEqual([
      ...to(1, 'COMMIT 100000001'),
      ...to(4, 'INFORM 100000001 100000001'),
      'deliver 100000001',
    ])
    expect(lone.peer.learners()).toMatchObject([
      { link: linkOf(1), sid: 1, observer: false, synced: true },
      { link: linkOf(4), sid: 4, observer: true, synced: true },
    ])
  })

  it('answers a sync at once, or behind the commit of all that was proposed ahead of it', () => {
    const lone = leading(1)
    const request = packet('REQUEST', -1, `${long(5)} ${int(1)} ${int(9)}`)
    expect(lone.receive(linkOf(1), request)).toEqual(to(1, 'SYNC 0'))
    propose(lone, 1, 1)
    propose(lone, 1, 2)
    expect(lone.receive(linkOf(1), request)).toEqual([])
    propose(lone, 1, 3)
    lone.durable(EPOCH + 3)
    expect(lone.receive(linkOf(1), ack(1, 1))).not.toContain('send 11: SYNC 0')
    expect(lone.receive(linkOf(1), ack(1, 2))).toEqual([
      ...to(1, 'COMMIT 100000002'),
      'deliver 100000002',
      ...to(1, 'SYNC 0'),
    ])
  })

  it('takes requests of learners in their order, and may propose for them at once', () => {
    const lone = leading(1)
    let counter = 0
    lone.onRequest = () => {
      const zxid = EPOCH + ++counter
      lone.peer.propose(zxid, proposalBytes(zxid, `r${counter}`))
    }
    const request = packet('REQUEST', -1, `${long(5)} ${int(1)} ${int(1)} 6162`)
    expect(lone.receive(linkOf(1), request, request)).toEqual([
      'request 11 of 1: ab',
      ...to(1, 'PROPOSAL 100000001 r1'),
      'append 100000001',
      'request 11 of 1: ab',
      ...to(1, 'PROPOSAL 100000002 r2'),
      'append 100000002',
    ])
  })

  it('passes on what learners hear of sessions, and the answers', () => {
    const lone = leading(1)
    expect(lone.receive(linkOf(1), packet('PING', 0, `${long(5)} ${int(3000)} ${long(6)} ${int(4000)}`))).toEqual([
      'touched 0.5 3000',
      'touched 0.6 4000',
    ])
    expect(lone.receive(linkOf(1), packet('REVALIDATE', -1, `${long(5)} ${int(3000)}`))).toEqual([
      'revalidate 11 of 1: 0.5 3000',
    ])
    lone.peer.answerRevalidate(linkOf(1), 0, 5, true)
    expect(lone.take()).toEqual(to(1, `REVALIDATE -1 ${long(5)}01`))
  })

  it('E10: ends with the last counter of its epoch, and is in the next one then', () => {
    const lone = leading(1)
    lone.peer.resign('the zxids of this epoch are used up')
    expect(lone.take()).toEqual([])
    expect(lone.sleep(0)).toEqual([`close ${linkOf(1)}`, 'role looking', 'look 0 1'])
    lone.elect(3)
    expect(join(lone, 1, 1)).toEqual(['save accepted 2'])
  })

  it('E10: a proposal with the counter that must not be used ends the leader, and is not sent', () => {
    const lone = leading(1)
    lone.peer.propose(EPOCH + 0xffff_ffff, proposalBytes(EPOCH + 0xffff_ffff, 'no'))
    expect(lone.sleep(0)).toEqual([`close ${linkOf(1)}`, 'role looking', 'look 0 1'])
  })
})

describe('liveness, at a leader', () => {
  it('pings twice a tick with what it last proposed', () => {
    const lone = leading(1)
    propose(lone, 1, 1)
    expect(lone.pass(TICK)).toEqual([...to(1, 'PING 100000001'), ...to(1, 'PING 100000001')])
  })

  it('N1: ends when it has heard of no quorum for syncLimit', () => {
    const lone = leading(1)
    expect(lone.pass(5 * TICK - 1)).not.toContain('role looking')
    expect(lone.pass(TICK / 2 + 1)).toContain('role looking')
  })

  it('goes on while a quorum is heard of, and drops the one that is not', () => {
    const lone = leading(1)
    sync(lone, 0)
    lone.receive(linkOf(2), ack(1, 0))
    const lines: string[] = []
    for (let i = 0; i < 8; i++) {
      lines.push(...lone.pass(TICK))
      lines.push(...lone.receive(linkOf(1), packet('PING', 0, '')))
    }
    expect(lines).not.toContain('role looking')
    expect(lines.filter((line) => !line.includes('PING'))).toEqual([`close ${linkOf(2)}`, `gone ${linkOf(2)} of 2`])
  })

  it('T1: finds out, before anything else, that it slept through the end of its time, and answers no sync then', () => {
    const lone = leading(1)
    expect(lone.sleep(60 * TICK)[0]).toBe(`close ${linkOf(1)}`)
    const other = leading(1)
    other.now += 5 * TICK + 1
    expect(other.receive(linkOf(1), packet('PING', 0, ''))).toEqual([])
    const third = leading(1, { voters: [1, 2, 3] })
    third.now += 4 * TICK
    expect(third.receive(linkOf(1), packet('REQUEST', -1, `${long(5)} ${int(1)} ${int(9)}`))).toEqual(to(1, 'SYNC 0'))
  })

  it('N3: drops a follower that answers, but has not acknowledged a proposal for syncLimit', () => {
    const lone = leading(1)
    sync(lone, 0)
    lone.receive(linkOf(2), ack(1, 0))
    propose(lone, 1, 1)
    lone.durable(EPOCH + 1)
    lone.receive(linkOf(1), ack(1, 1))
    const lines: string[] = []
    for (let i = 0; i < 6; i++) {
      lines.push(...lone.pass(TICK))
      lines.push(...lone.receive(linkOf(1), packet('PING', 0, '')), ...lone.receive(linkOf(2), packet('PING', 0, '')))
    }
    expect(lines.filter((line) => !line.includes('PING'))).toEqual([`close ${linkOf(2)}`, `gone ${linkOf(2)} of 2`])
  })

  /** Ticks pass, and followers 1 and 2 are heard of, until the leader ends or `ticks` are over. */
  function hear(lone: Lone, ticks: number): boolean {
    for (let i = 0; i < ticks; i++) {
      const lines = lone.pass(TICK)
      if (lines.includes('role looking')) return true
      for (const sid of [1, 2]) lone.receive(linkOf(sid), packet('PING', 0, ''))
    }
    return false
  }

  function withBoth(): Lone {
    const lone = leading(1)
    sync(lone, 0)
    lone.receive(linkOf(2), ack(1, 0))
    return lone
  }

  it('D3: gives way when its disk keeps still for syncLimit while the others commit without it', () => {
    const lone = withBoth()
    hear(lone, 20)
    propose(lone, 1, 1)
    for (const sid of [1, 2]) lone.receive(linkOf(sid), ack(1, 1))
    expect(lone.peer.countOutstanding()).toBe(0)
    expect(hear(lone, 5)).toBe(false)
    expect(hear(lone, 1)).toBe(true)
  })

  it('D3: goes on while its disk does, however far behind, and while nobody is faster', () => {
    const slow = withBoth()
    for (let counter = 1; counter <= 8; counter++) {
      propose(slow, 1, counter)
      for (const sid of [1, 2]) slow.receive(linkOf(sid), ack(1, counter))
      if (counter > 1) slow.durable(EPOCH + counter - 1)
      expect(hear(slow, 4)).toBe(false)
    }
    const waiting = withBoth()
    propose(waiting, 1, 1)
    waiting.receive(linkOf(1), ack(1, 1))
    expect(waiting.peer.countOutstanding()).toBe(1)
    expect(hear(waiting, 4)).toBe(false)
  })

  it('does not count observers', () => {
    const lone = leading(1, { observers: [4] })
    sync(lone, 0, 4, 'OBSERVERINFO')
    lone.receive(linkOf(4), ack(1, 0))
    const lines: string[] = []
    for (let i = 0; i < 7; i++) lines.push(...lone.pass(TICK), ...lone.receive(linkOf(4), packet('PING', 0, '')))
    expect(lines).toContain('role looking')
  })
})

describe('reconfiguration, at a leader', () => {
  const zab = { reconfigEnabled: true }
  const change = (lone: Lone, counter: number, voters: Sid[], observers: Sid[] = []): string[] => {
    const zxid = EPOCH + counter
    lone.peer.propose(zxid, proposalBytes(zxid, '', configText(voters, observers, zxid)))
    const lines = lone.take().filter((line) => !line.includes('PROPOSAL'))
    return [...lines, ...lone.configured()]
  }
  /** A leader whose configuration has a version already. */
  const versioned = (options: LoneOptions = {}): Lone => {
    const { voters = [1, 2, 3], observers = [] } = options
    const committedConfig = parse(configText(voters, observers, 1))
    const lone = leading(1, { ...options, zab, start: { committed: committedConfig } })
    lone.configured()
    return lone
  }

  it('gives the first configuration the version of its epoch, and makes it known with NEWLEADER (ZOOKEEPER-1783)', () => {
    const lone = elected({ zab })
    join(lone, 1, 0)
    lone.saved('accepted', 1)
    expect(lone.receive(linkOf(1), ackEpoch(0, 0))).toEqual(['config 100000000 seen', 'save current 1'])
    expect(lone.saved('current', 1).at(-1)).toBe(`send ${linkOf(1)}: NEWLEADER 100000000 version=100000000`)
    expect(lone.receive(linkOf(1), ack(1, 0))).toEqual([
      'config 100000000 committed',
      'established leading 3 1',
      ...to(1, 'UPTODATE -1'),
    ])
  })

  it('C15: needs a quorum of the old and one of the new configuration, for all that is proposed meanwhile', () => {
    const lone = versioned()
    sync(lone, 0, 4)
    lone.receive(linkOf(4), ack(1, 0))
    sync(lone, 0, 5)
    lone.receive(linkOf(5), ack(1, 0))
    expect(change(lone, 1, [3, 4, 5])).toEqual(['config 100000001 seen', 'append 100000001'])
    propose(lone, 1, 2)
    lone.durable(EPOCH + 2)
    expect(lone.receive(linkOf(1), ack(1, 1), ack(1, 2))).toEqual([]) // 1 and 3: of the old one only
    expect(lone.receive(linkOf(4), ack(1, 1))).toEqual([
      'config 100000001 committed',
      ...[1, 4, 5].flatMap((sid) => to(sid, `COMMITANDACTIVATE 100000001 ${long(3)}`)),
      'deliver 100000001',
    ])
    lone.configured()
    // 2 was proposed while both counted, and 4 has not logged it. A third needs the new one only.
    propose(lone, 1, 3)
    lone.durable(EPOCH + 3)
    expect(lone.receive(linkOf(4), ack(1, 2), ack(1, 3)).filter((line) => line.startsWith('deliver'))).toEqual([
      'deliver 100000002',
      'deliver 100000003',
    ])
  })

  it('C15: what was proposed while both counted goes on needing the old one, when the new one has it', () => {
    const lone = versioned()
    for (const sid of [4, 5]) {
      sync(lone, 0, sid)
      lone.receive(linkOf(sid), ack(1, 0))
    }
    change(lone, 1, [3, 4, 5])
    propose(lone, 1, 2)
    lone.durable(EPOCH + 2)
    lone.receive(linkOf(4), ack(1, 1), ack(1, 2))
    expect(lone.receive(linkOf(1), ack(1, 1)).filter((line) => line.startsWith('deliver'))).toEqual([
      'deliver 100000001',
    ])
    lone.configured()
    expect(lone.receive(linkOf(5), ack(1, 1), ack(1, 2))).toEqual([])
    expect(lone.receive(linkOf(1), ack(1, 2))).toContain('deliver 100000002')
  })

  it('C15: takes a quorum of the new one alone, once all of it have the new one in force', () => {
    const lone = versioned()
    for (const sid of [4, 5]) {
      sync(lone, 0, sid)
      lone.receive(linkOf(sid), ack(1, 0))
    }
    change(lone, 1, [3, 4, 5])
    propose(lone, 1, 2)
    lone.durable(EPOCH + 2)
    lone.receive(linkOf(1), ack(1, 1))
    lone.pass(TICK / 2) // a PING from before, which says nothing
    expect(lone.receive(linkOf(4), ack(1, 1), ack(1, 2))).toContain('deliver 100000001')
    lone.configured()
    expect(lone.receive(linkOf(4), packet('PING', 0, ''))).toEqual([])
    lone.pass(TICK / 2)
    expect(lone.receive(linkOf(4), packet('PING', 0, ''))).toContain('deliver 100000002')
  })

  it('counts its own word only when its configuration is saved', () => {
    const lone = versioned()
    change(lone, 1, [1, 3])
    lone.durable(EPOCH + 1)
    expect(lone.receive(linkOf(1), ack(1, 1))).toContain('deliver 100000001')
    propose(lone, 1, 2)
    lone.durable(EPOCH + 2)
    expect(lone.receive(linkOf(1), ack(1, 2))).toEqual([])
    expect(lone.configured()).toContain('deliver 100000002')
  })

  it('names the new voter that has logged most, if it is to go itself, commits nothing more, and follows', () => {
    const lone = versioned()
    sync(lone, 0, 2)
    lone.receive(linkOf(2), ack(1, 0))
    change(lone, 1, [1, 2])
    propose(lone, 1, 2)
    expect(lone.receive(linkOf(2), ack(1, 1), ack(1, 2))).toEqual([])
    expect(lone.receive(linkOf(1), ack(1, 1))).toEqual([
      'config 100000001 committed',
      ...[1, 2].flatMap((sid) => to(sid, `COMMITANDACTIVATE 100000001 ${long(2)}`)),
      'deliver 100000001',
    ])
    expect(lone.receive(linkOf(1), ack(1, 2))).toEqual([])
    lone.durable(EPOCH + 2)
    expect(lone.take()).toEqual([])
    lone.peer.onClose(linkOf(2))
    expect(lone.take()).toEqual([
      `gone ${linkOf(2)} of 2`,
      `close ${linkOf(1)}`,
      'role looking',
      'role following 2',
      'dial 2 learner',
    ])
  })

  it('tells observers with the transaction', () => {
    const lone = versioned({ observers: [4] })
    sync(lone, 0, 4, 'OBSERVERINFO')
    lone.receive(linkOf(4), ack(1, 0))
    change(lone, 1, [1, 2, 3], [])
    lone.durable(EPOCH + 1)
    const lines = lone.receive(linkOf(1), ack(1, 1))
    expect(lines.find((line) => line.includes('INFORMANDACTIVATE'))).toMatch(
      `send ${linkOf(4)}: INFORMANDACTIVATE 100000001 ${long(3)}${'00'.repeat(12)}${long(EPOCH + 1)}${'00'.repeat(8)}00000010`,
    )
  })

  it('says whether a configuration has a quorum among the participants that are in sync', () => {
    const lone = versioned({ observers: [4] })
    sync(lone, 0, 4, 'OBSERVERINFO')
    lone.receive(linkOf(4), ack(1, 0))
    expect(lone.peer.hasSyncedQuorum(parse(configText([1, 3, 5], [], 2)))).toBe(true)
    expect(lone.peer.hasSyncedQuorum(parse(configText([2, 3, 4], [], 2)))).toBe(false)
  })
})
