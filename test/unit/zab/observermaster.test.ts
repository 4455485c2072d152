import { describe, expect, it } from 'vitest'
import type { LinkId } from '../../../src/zab/types.ts'
import { chaos, forward } from './chaos.ts'
import { Cluster, configText, labelOf, proposalBytes } from './cluster.ts'
import { commit, EPOCH, entries, Lone, type LoneOptions, packet, proposal, TICK, unhex } from './lone.ts'

/** Server 1 follows server 2 in epoch 2, over LINK; observer 5 comes over OBSERVER. */
const LINK = 7
const OBSERVER = 9
const SYNC = '00000005 00000001 00000003 00000009 00000000'

class Wire extends Lone {
  /** What was sent, in bytes. */
  readonly sent: { link: LinkId; bytes: Uint8Array }[] = []

  override send(link: LinkId, bytes: Uint8Array): void {
    super.send(link, bytes)
    this.sent?.push({ link, bytes: bytes.slice() })
  }
}

function follower(options: LoneOptions = {}): Wire {
  const lone = new Wire({
    observers: [4, 5],
    proposals: entries(1, 1, 3),
    ...options,
    zab: { observerMasters: true, ...options.zab },
  })
  lone.elect(2)
  lone.peer.onOpen(LINK, 2, 'learner')
  lone.receive(LINK, packet('LEADERINFO', 2 * EPOCH, '00010000'))
  lone.saved('accepted', 2)
  lone.receive(LINK, packet('DIFF', EPOCH + 3), packet('NEWLEADER', 2 * EPOCH, '00'))
  lone.saved('current', 2)
  lone.receive(LINK, packet('UPTODATE', -1))
  return lone
}

function info(sid: number, configVersion = 0): Uint8Array {
  const hex = (value: number) => value.toString(16).padStart(16, '0')
  return unhex(`${hex(sid)} 00010000 ${hex(configVersion)}`)
}

/** An observer whose log ends at `zxid` asks for it, and says what it has. */
function ask(lone: Lone, zxid: number, link: LinkId = OBSERVER, sid = 5): string[] {
  lone.peer.onAccept(link, 'observer')
  lone.receive(link, packet('OBSERVERINFO', EPOCH, info(sid)))
  return lone.receive(link, packet('ACKEPOCH', zxid, '00000001'))
}

/** The same, up to UPTODATE. */
function join(lone: Lone, link: LinkId = OBSERVER, sid = 5): void {
  ask(lone, EPOCH + 3, link, sid)
  lone.receive(link, packet('ACK', 2 * EPOCH))
}

describe('a follower that serves observers', () => {
  it('says to an observer what a Java follower with observerMasterPort says', () => {
    const lone = follower()
    lone.peer.onAccept(OBSERVER, 'observer')
    expect(lone.receive(OBSERVER, packet('OBSERVERINFO', EPOCH, info(5)))).toEqual([
      `send ${OBSERVER}: LEADERINFO 200000000 00010000`,
    ])
    expect(lone.receive(OBSERVER, packet('ACKEPOCH', EPOCH + 2, '00000001'))).toEqual([
      `send ${OBSERVER}: DIFF 100000003`,
      `send ${OBSERVER}: PROPOSAL 100000003 100000003`,
      `send ${OBSERVER}: COMMIT 100000003`,
      `send ${OBSERVER}: NEWLEADER 200000000 version=0`,
    ])
    expect(lone.peer.learners()).toMatchObject([{ link: OBSERVER, sid: 5, observer: true, synced: false }])
    expect(lone.receive(OBSERVER, packet('ACK', 2 * EPOCH))).toEqual([`send ${OBSERVER}: UPTODATE -1`])
    expect(lone.receive(OBSERVER, packet('ACK', 2 * EPOCH))).toEqual([])
    expect(lone.peer.learners()).toMatchObject([{ link: OBSERVER, sid: 5, observer: true, synced: true }])
  })

  it('tells its observers what is committed, when it is, and nothing of what is only proposed', () => {
    const lone = follower()
    join(lone)
    expect(lone.receive(LINK, proposal(2, 1), proposal(2, 2))).toEqual(['append 200000001', 'append 200000002'])
    expect(lone.receive(LINK, commit(2, 1))).toEqual([
      `send ${OBSERVER}: INFORM 200000001 200000001`,
      'deliver 200000001',
    ])
  })

  it('leaves out of a synchronisation what is only proposed, and sends it when it is committed', () => {
    const lone = follower()
    lone.receive(LINK, proposal(2, 1), proposal(2, 2), commit(2, 1))
    expect(ask(lone, EPOCH + 3)).toEqual([
      `send ${OBSERVER}: DIFF 200000001`,
      `send ${OBSERVER}: PROPOSAL 200000001 200000001`,
      `send ${OBSERVER}: COMMIT 200000001`,
      `send ${OBSERVER}: NEWLEADER 200000000 version=0`,
    ])
    expect(lone.receive(LINK, commit(2, 2))).toContain(`send ${OBSERVER}: INFORM 200000002 200000002`)
  })

  it('cuts from an observer what an older epoch has left there', () => {
    const lone = follower()
    expect(ask(lone, EPOCH + 9)).toEqual([
      `send ${OBSERVER}: TRUNC 100000003`,
      `send ${OBSERVER}: NEWLEADER 200000000 version=0`,
    ])
  })

  it('I1: sends away an observer that has more of this epoch than it was told of itself, until it has caught up', () => {
    const lone = follower()
    lone.receive(LINK, proposal(2, 1))
    expect(ask(lone, 2 * EPOCH + 1)).toEqual([`close ${OBSERVER}`])
    lone.receive(LINK, commit(2, 1))
    expect(ask(lone, 2 * EPOCH + 1, OBSERVER + 1)[0]).toBe(`send ${OBSERVER + 1}: DIFF 200000001`)
  })

  it('sends its tree to an observer without history, and behind it what was committed meanwhile', () => {
    const lone = follower()
    expect(ask(lone, -1)).toEqual([`send ${OBSERVER}: SNAP 100000003`, `snapshot ${OBSERVER} at 100000003`])
    expect(lone.receive(LINK, proposal(2, 1), commit(2, 1))).toEqual(['append 200000001', 'deliver 200000001'])
    lone.peer.onSnapshotSent(OBSERVER)
    expect(lone.take()).toEqual([
      `send ${OBSERVER}: INFORM 200000001 200000001`,
      `send ${OBSERVER}: NEWLEADER 200000000 version=0`,
    ])
  })

  it('sends from its log on disk what is no longer in memory, as far as it is committed', () => {
    const lone = follower({ zab: { commitLogCount: 1 } })
    lone.receive(LINK, proposal(2, 1))
    expect(ask(lone, EPOCH + 1)).toEqual([`history ${OBSERVER} from 100000001`])
    lone.peer.onHistory(OBSERVER, [...entries(1, 1, 3), ...entries(2, 1, 1)], 'end')
    expect(lone.take()).toEqual([
      `send ${OBSERVER}: DIFF 100000003`,
      `send ${OBSERVER}: PROPOSAL 100000002 100000002`,
      `send ${OBSERVER}: COMMIT 100000002`,
      `send ${OBSERVER}: PROPOSAL 100000003 100000003`,
      `send ${OBSERVER}: COMMIT 100000003`,
      `send ${OBSERVER}: NEWLEADER 200000000 version=0`,
    ])
  })

  it('X: drops what is no observer of this ensemble: followers, its own id, a later configuration, requests ahead of UPTODATE', () => {
    for (const first of [
      packet('FOLLOWERINFO', EPOCH, info(3)),
      packet('OBSERVERINFO', EPOCH, info(1)),
      packet('OBSERVERINFO', EPOCH, info(5, EPOCH)),
      packet('REQUEST', -1, SYNC),
    ]) {
      const lone = follower()
      lone.peer.onAccept(OBSERVER, 'observer')
      expect(lone.receive(OBSERVER, first)).toEqual([`close ${OBSERVER}`])
      expect(lone.peer.role).toBe('following')
    }
    const lone = follower()
    ask(lone, EPOCH + 3)
    expect(lone.receive(OBSERVER, packet('REQUEST', -1, SYNC))).toEqual([`close ${OBSERVER}`])
  })

  it('serves none before it is established, on another port, or if it is not to', () => {
    const early = new Lone({ zab: { observerMasters: true } })
    early.elect(2)
    early.peer.onAccept(OBSERVER, 'observer')
    expect(early.take()).toContain(`close ${OBSERVER}`)
    const lone = follower()
    lone.peer.onAccept(OBSERVER, 'learner')
    expect(lone.take()).toEqual([`close ${OBSERVER}`])
    const unasked = follower({ zab: { observerMasters: false } })
    unasked.peer.onAccept(OBSERVER, 'observer')
    expect(unasked.take()).toEqual([`close ${OBSERVER}`])
  })

  it('pings its observers twice a tick, and drops one that is silent for syncLimit', () => {
    const lone = follower()
    join(lone)
    const heard = () => lone.receive(LINK, packet('PING', 2 * EPOCH))
    heard()
    expect(lone.pass(TICK)).toEqual(Array(2).fill(`send ${OBSERVER}: PING 100000003`))
    for (let i = 0; i < 3; i++) lone.pass(TICK)
    heard()
    expect(lone.pass(TICK).at(-1)).toBe(`close ${OBSERVER}`)
    expect(lone.peer.learners()).toEqual([])
    expect(lone.peer.role).toBe('following')
  })

  it('lets its observers go when it follows no more', () => {
    const lone = follower()
    join(lone)
    lone.peer.onClose(LINK)
    expect(lone.take().slice(0, 2)).toEqual([`close ${OBSERVER}`, 'role looking'])
  })

  it('goes on following when an observer leaves, or speaks nonsense', () => {
    const lone = follower()
    join(lone)
    lone.peer.onClose(OBSERVER)
    join(lone, 10)
    expect(lone.receive(10, packet('PING', 0, '00'))).toEqual(['close 10'])
    expect(lone.peer.role).toBe('following')
  })
})

describe('what observers ask of the leader, through their follower', () => {
  it('is passed on as it came, with the ids of the client', () => {
    const lone = follower()
    join(lone)
    // Session 0x0400017ee4800000, cxid 1, op 1, three bytes of the client's; one id, ("ip", "127.0.0.1").
    const bytes = unhex(
      '00000001 ffffffffffffffff 00000013 0400017ee4800000 00000001 00000001 616263' +
        '00000001 00000002 6970 00000009 3132372e302e302e31',
    )
    lone.sent.length = 0
    lone.receive(OBSERVER, bytes)
    expect(lone.sent).toEqual([{ link: LINK, bytes }])
  })

  it('S: syncs are answered in the order of asking, the own clients among them, whoever has left meanwhile', () => {
    const lone = follower()
    join(lone)
    join(lone, 10, 4)
    const sync = packet('REQUEST', -1, SYNC)
    expect(lone.receive(OBSERVER, sync)).toHaveLength(1)
    lone.peer.forward({ sessionHi: 1, sessionLo: 1, cxid: 1, type: 9, body: unhex('00'), authinfo: null })
    lone.receive(10, sync)
    lone.receive(OBSERVER, sync)
    lone.peer.onClose(10)
    lone.take()
    const answers = [1, 2, 3, 4, 5].map(() => lone.receive(LINK, packet('SYNC', 0)))
    expect(answers).toEqual([[`send ${OBSERVER}: SYNC 0`], ['synced'], [], [`send ${OBSERVER}: SYNC 0`], ['synced']])
  })

  it('S: questions about sessions are answered to whom asked first about that session', () => {
    const lone = follower()
    join(lone)
    join(lone, 10, 4)
    const question = (lo: number) => packet('REVALIDATE', -1, `00000001 0000000${lo} 00001000`)
    const answer = (lo: number, valid: number) => packet('REVALIDATE', -1, `00000001 0000000${lo} 0${valid}`)
    expect(lone.receive(OBSERVER, question(1))).toEqual([`send ${LINK}: REVALIDATE -1 000000010000000100001000`])
    lone.peer.revalidate(1, 1, 4096)
    lone.receive(10, question(2))
    expect(lone.receive(LINK, answer(2, 0))).toEqual(['send 10: REVALIDATE -1 000000010000000200'])
    expect(lone.receive(LINK, answer(1, 1))).toEqual([`send ${OBSERVER}: REVALIDATE -1 000000010000000101`])
    expect(lone.receive(LINK, answer(1, 1))).toEqual(['revalidated 1.1 true'])
    lone.receive(10, question(2))
    lone.peer.onClose(10)
    lone.take()
    expect(lone.receive(LINK, answer(2, 1))).toEqual([])
  })

  it('S: sessions that observers have heard of are told with the own ones, once', () => {
    const lone = follower()
    join(lone)
    lone.touched = [[1, 2, 4096]]
    lone.receive(OBSERVER, packet('PING', 0, '00000005 00000006 00001000'))
    lone.receive(OBSERVER, packet('PING', 0, '00000005 00000006 00001000'))
    const ping = packet('PING', 2 * EPOCH)
    expect(lone.receive(LINK, ping)).toEqual([
      `send ${LINK}: PING 200000000 000000010000000200001000000000050000000600001000`,
    ])
    expect(lone.receive(LINK, ping)).toEqual([`send ${LINK}: PING 200000000 `])
  })
})

describe('a reconfiguration, through a follower with observers', () => {
  const text = configText([1, 2], [4, 5], 2 * EPOCH + 1)
  const bytes = proposalBytes(2 * EPOCH + 1, '', text)

  function proposed(): Wire {
    const lone = follower({ zab: { reconfigEnabled: true } })
    join(lone)
    lone.receive(LINK, packet('PROPOSAL', 2 * EPOCH + 1, bytes))
    return lone
  }

  it('reaches the observers with the next leader', () => {
    const lone = proposed()
    lone.sent.length = 0
    lone.receive(LINK, packet('COMMITANDACTIVATE', 2 * EPOCH + 1, '0000000000000002'))
    const [first] = lone.sent
    expect(first?.link).toBe(OBSERVER)
    expect(first?.bytes).toEqual(
      packet('INFORMANDACTIVATE', 2 * EPOCH + 1, Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 2, ...bytes])),
    )
  })

  it('is kept from an observer that comes while it is only proposed', () => {
    const lone = proposed()
    expect(ask(lone, EPOCH + 3, 10, 4).at(-1)).toBe('send 10: NEWLEADER 200000000 version=0')
    lone.receive(LINK, packet('COMMITANDACTIVATE', 2 * EPOCH + 1, '0000000000000002'))
    expect(ask(lone, EPOCH + 3, 11, 4).at(-1)).toBe('send 11: NEWLEADER 200000000 version=200000001')
  })
})

describe('an observer that looks for an observer master', () => {
  function observer(): Lone {
    return new Lone({ sid: 4, observers: [4], zab: { observerMasters: true } })
  }

  it('goes round the voters but the leader, at their ports for observers, and to the leader when nobody is there', () => {
    const lone = observer()
    expect(lone.elect(2)).toEqual(['role observing 2', 'dial 1 observer'])
    const pausesMs = [10, 20, 40, 80, 100, 100, 100, 100, 100, 100, 10]
    for (const [round, pauseMs] of pausesMs.entries()) {
      lone.peer.onDialFailed(1, 'observer')
      expect(lone.take()).toEqual(['dial 3 observer'])
      lone.peer.onDialFailed(3, 'observer')
      expect(lone.pass(pauseMs - 1)).toEqual([])
      expect(lone.pass(1)).toEqual([round < pausesMs.length - 1 ? 'dial 1 observer' : 'dial 2 learner'])
    }
    lone.peer.onOpen(LINK, 2, 'learner')
    expect(lone.take()[0]).toContain('OBSERVERINFO')
    expect(lone.peer.master).toBe(2)
  })

  it('goes to the leader earlier if half of the time to connect is over', () => {
    const lone = observer()
    lone.elect(2)
    lone.pass(4 * TICK)
    lone.peer.onDialFailed(1, 'observer')
    expect(lone.pass(TICK)).toEqual(['dial 3 observer'])
    lone.peer.onDialFailed(3, 'observer')
    expect(lone.pass(100)).toEqual(['dial 2 learner'])
  })

  it('takes the epoch of its master, and is established under the leader', () => {
    const lone = observer()
    lone.elect(2)
    lone.peer.onOpen(LINK, 1, 'observer')
    lone.receive(LINK, packet('LEADERINFO', EPOCH, '00010000'))
    lone.saved('accepted', 1)
    lone.receive(LINK, packet('DIFF', 0), packet('NEWLEADER', EPOCH, '00'))
    lone.saved('current', 1)
    expect(lone.receive(LINK, packet('UPTODATE', -1))).toContain('established observing 2 1')
    expect(lone.peer.master).toBe(1)
    expect(lone.receive(LINK, packet('INFORM', EPOCH + 1, entries(1, 1, 1)[0]!.bytes))).toContain('deliver 100000001')
    lone.peer.onClose(LINK)
    expect(lone.take()).toContain('role looking')
    expect(lone.peer.master).toBe(null)
  })

  it('has no use for a link that it did not ask for, and waits on for the one that it did', () => {
    const lone = observer()
    lone.elect(2)
    lone.peer.onDialFailed(3, 'observer')
    lone.peer.onOpen(8, 1, 'learner')
    expect(lone.take()).toEqual(['close 8'])
    lone.peer.onOpen(LINK, 1, 'observer')
    expect(lone.take()).toHaveLength(1)
  })

  it('dials its leader if there is no other voter', () => {
    const lone = new Lone({ sid: 4, voters: [2], observers: [4], zab: { observerMasters: true } })
    expect(lone.elect(2)).toContain('dial 2 learner')
  })
})

describe('three voters and two observers behind followers', () => {
  const OBSERVERS = [4, 5]

  function ensemble(seed: number, closed: readonly number[] = []): Cluster {
    const cluster = new Cluster({ seed, voters: 3, observers: 2, zab: { observerMasters: true } })
    for (const sid of closed) cluster.closedPorts.add(sid)
    cluster.startAll()
    cluster.settle()
    return cluster
  }

  const masterOf = (cluster: Cluster, sid: number) => cluster.node(sid).peer!.master!

  it('deliver the same, wherever it was written, and leave the leader its followers', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = ensemble(seed)
      const leader = cluster.leader!
      for (const sid of OBSERVERS) expect(masterOf(cluster, sid)).not.toBe(leader.sid)
      expect(leader.peer!.learners().filter(({ observer }) => observer)).toEqual([])
      leader.write('a')
      for (const sid of OBSERVERS) forward(cluster, sid, `from ${sid}`)
      cluster.until('all is written', () => cluster.committed.length === 3)
      cluster.settle()
      const masters = OBSERVERS.map((sid) => `${masterOf(cluster, sid)}:from ${sid}`)
      expect(cluster.committed.map(labelOf).sort()).toEqual(['a', ...masters].sort())
    }
  })

  it('S: a sync at an observer is answered when all that was written before is there', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = ensemble(seed)
      const node = cluster.node(4)
      for (let i = 0; i < 5; i++) cluster.leader!.write(`w${i}`)
      const syncing = { sessionHi: 1, sessionLo: 4, cxid: 1, type: 9, body: new Uint8Array(4), authinfo: null }
      cluster.until('the sync is on its way', () => {
        let sent = false
        node.input((peer) => {
          sent = peer.forward(syncing)
        })
        return sent
      })
      cluster.until('the sync is answered', () => node.syncs === 1)
      expect(node.tree.list.length).toBe(5)
    }
  })

  it('S: sessions of observers are asked about at the leader, and told to it', () => {
    const cluster = ensemble(3)
    const node = cluster.node(4)
    node.input((peer) => {
      peer.revalidate(4, 1, 1000)
      peer.revalidate(4, 2, 0)
    })
    node.touched = [[4, 1, 1000]]
    cluster.until('both are answered', () => node.revalidations.length === 2)
    expect(node.revalidations).toEqual(['4.1 true', '4.2 false'])
    cluster.until('the leader has heard of it', () => cluster.leader!.touched.some(([hi, lo]) => hi === 4 && lo === 1))
  })

  it('I10: go on when the leader dies, under the next one', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const cluster = ensemble(seed)
      const old = cluster.leader!
      old.write('a')
      cluster.run(seed)
      old.crash()
      cluster.settle()
      forward(cluster, 5, 'b')
      cluster.until('it is written', () => cluster.committed.some((one) => labelOf(one).endsWith(':b')))
      cluster.settle()
    }
  })

  it('I10: go on when their follower dies, behind the other one or the leader', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const cluster = ensemble(seed)
      const master = cluster.node(masterOf(cluster, 4))
      cluster.leader!.write('a')
      cluster.run(seed % 10)
      master.crash()
      cluster.leader!.write('b')
      cluster.settle()
      expect(masterOf(cluster, 4)).not.toBe(master.sid)
      forward(cluster, 4, 'c')
      cluster.until('it is written', () => cluster.committed.some((one) => labelOf(one).endsWith(':c')))
    }
  })

  it('I10: get on with one follower that has the port, and with none', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const some = ensemble(seed, [2])
      const open = [1, 3].filter((sid) => sid !== some.leader!.sid)
      for (const sid of OBSERVERS) expect(open).toContain(masterOf(some, sid))
      const none = ensemble(seed, [1, 2, 3])
      for (const sid of OBSERVERS) expect(masterOf(none, sid)).toBe(none.leader!.sid)
    }
  })

  it('lets an observer that is behind catch up, by a difference or by the tree', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const cluster = ensemble(seed)
      const node = cluster.node(5)
      node.crash()
      for (let i = 0; i < 20; i++) cluster.leader!.write(`w${i}`)
      cluster.settle()
      if (seed % 2 === 0) {
        for (const other of cluster.nodes.values()) if (other.up) other.snapshot()
        for (const sid of [1, 2, 3]) cluster.node(sid).crash()
        node.disk.base = { zxid: 0, list: [] }
        node.disk.log = []
      }
      cluster.startAll()
      cluster.settle()
      expect(node.tree.list.length).toBe(20)
    }
  })

  it('follow a reconfiguration that makes a voter of one and an observer of its master', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = new Cluster({ seed, voters: 4, observers: 1, reconfig: true, zab: { observerMasters: true } })
      cluster.startAll()
      cluster.settle()
      const leader = cluster.leader!
      const master = masterOf(cluster, 5)
      const voters = [1, 2, 3, 4, 5].filter((sid) => sid !== master)
      leader.write('reconfig', (zxid) => configText(voters, [master], zxid))
      cluster.until('it is in force everywhere', () =>
        [...cluster.nodes.values()].every(({ peer }) => peer!.committed.voters.join() === voters.join()),
      )
      cluster.settle()
      expect(cluster.node(5).announced).not.toBe('observing')
      expect(cluster.node(master).announced).toBe('observing')
      expect(masterOf(cluster, master)).not.toBe(cluster.leader!.sid)
      cluster.leader!.write('after')
      cluster.until('it is written', () => cluster.committed.some((one) => labelOf(one) === 'after'))
      cluster.settle()
    }
  })

  it('keep I1, I3, I4 and I9 in any run of faults, and come together again when they end (I10)', () => {
    for (let seed = 1; seed <= 30; seed++) chaos({ seed, observerMasters: true })
  })
})
