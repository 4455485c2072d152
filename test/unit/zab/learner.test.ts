import { describe, expect, it } from 'vitest'
import { configText, proposalBytes } from './cluster.ts'
import { commit, EPOCH, entries, Lone, type LoneOptions, packet, proposal, TICK, unhex } from './lone.ts'

const LINK = 7
const NEWLEADER_1 = packet('NEWLEADER', EPOCH, new TextEncoder().encode(configText([1, 2, 3], [], 0)))
const newLeader = (epoch: number) => packet('NEWLEADER', epoch * EPOCH, new Uint8Array(1))
const UPTODATE = packet('UPTODATE', -1)

/** Server 1, following server 2, whose LEADERINFO named `epoch`. */
function atSync(epoch: number, options: LoneOptions = {}): Lone {
  const lone = new Lone(options)
  lone.elect(2)
  lone.peer.onOpen(LINK, 2, 'learner')
  const asked = lone.receive(LINK, packet('LEADERINFO', epoch * EPOCH, '00010000'))
  if (asked.includes(`save accepted ${epoch}`)) lone.saved('accepted', epoch)
  return lone
}

/** The same, established in epoch `epoch` with a log that is the leader's. */
function live(epoch: number, options: LoneOptions = {}): Lone {
  const lone = atSync(epoch, options)
  const asked = lone.receive(LINK, packet('DIFF', 0), newLeader(epoch))
  if (asked.includes(`save current ${epoch}`)) lone.saved('current', epoch)
  lone.receive(LINK, UPTODATE)
  return lone
}

/** The line that tells that the role has ended, and what came of the link. */
const ENDED = [`close ${LINK}`, 'role looking']

describe('discovery, at a follower', () => {
  it('says in a first start what a follower of Java says', () => {
    const lone = new Lone()
    expect(lone.elect(2)).toEqual(['role following 2', 'dial 2 learner'])
    lone.peer.onOpen(LINK, 2, 'learner')
    expect(lone.take()).toEqual([`send ${LINK}: FOLLOWERINFO 0 0000000000000001000100000000000000000000`])
    expect(lone.receive(LINK, packet('LEADERINFO', EPOCH, '00010000'))).toEqual(['save accepted 1'])
    expect(lone.saved('accepted', 1)).toEqual([`send ${LINK}: ACKEPOCH 0 00000000`])
    expect(lone.receive(LINK, packet('DIFF', 0), NEWLEADER_1)).toEqual(['save current 1'])
    expect(lone.saved('current', 1)).toEqual([`send ${LINK}: ACK 100000000`])
    expect(lone.receive(LINK, UPTODATE)).toEqual([`send ${LINK}: ACK 100000000`, 'established following 2 1'])
    expect(lone.looks.at(-1)).toBe('following 2 1')
  })

  it('makes no second promise for an epoch that it has accepted', () => {
    const lone = new Lone({ start: { acceptedEpoch: 4, currentEpoch: 3 } })
    lone.elect(2)
    lone.peer.onOpen(LINK, 2, 'learner')
    lone.take()
    expect(lone.receive(LINK, packet('LEADERINFO', 4 * EPOCH, '00010000'))).toEqual([
      `send ${LINK}: ACKEPOCH 0 ffffffff`,
    ])
  })

  it('N7: leaves a leader of an older epoch than it has promised', () => {
    const lone = new Lone({ start: { acceptedEpoch: 4, currentEpoch: 3 } })
    lone.elect(2)
    lone.peer.onOpen(LINK, 2, 'learner')
    lone.take()
    expect(lone.receive(LINK, packet('LEADERINFO', 3 * EPOCH, '00010000'))).toEqual([...ENDED, 'look 0 3'])
  })

  it('N7: as an observer follows a leader of an older epoch than it has promised, but of none older than its history', () => {
    const lone = new Lone({ sid: 4, observers: [4], start: { acceptedEpoch: 4, currentEpoch: 2 } })
    lone.elect(2)
    lone.peer.onOpen(LINK, 2, 'learner')
    lone.take()
    expect(lone.receive(LINK, packet('LEADERINFO', 3 * EPOCH, '00010000'))).toEqual([
      `send ${LINK}: ACKEPOCH 0 ffffffff`,
    ])
    const newer = new Lone({ sid: 4, observers: [4], start: { acceptedEpoch: 4, currentEpoch: 4 } })
    newer.elect(2)
    newer.peer.onOpen(LINK, 2, 'learner')
    newer.take()
    expect(newer.receive(LINK, packet('LEADERINFO', 3 * EPOCH, '00010000'))).toContain('role looking')
  })

  it('tries eleven times to reach its leader, with pauses that grow to the configured one, and then looks again', () => {
    const lone = new Lone()
    expect(lone.elect(2)).toContain('dial 2 learner')
    for (const pauseMs of [10, 20, 40, 80, 100, 100, 100, 100, 100, 100]) {
      lone.peer.onDialFailed(2, 'learner')
      expect(lone.take()).toEqual([])
      expect(lone.pass(pauseMs - 1)).toEqual([])
      expect(lone.pass(1)).toEqual(['dial 2 learner'])
    }
    lone.peer.onDialFailed(2, 'learner')
    expect(lone.take()).toEqual(['role looking', 'look 0 0'])
  })

  it('leaves a leader that does not answer within initLimit', () => {
    const lone = new Lone()
    lone.elect(2)
    lone.peer.onOpen(LINK, 2, 'learner')
    expect(lone.pass(10 * TICK - 1)).toHaveLength(1)
    expect(lone.pass(1)).toEqual([...ENDED, 'look 0 0'])
  })

  it('takes the answer to a dial of an earlier role for its own, if the leader is the same, and drops it otherwise', () => {
    const lone = new Lone({ zab: { connectLimitTicks: 1 } })
    lone.elect(2)
    expect(lone.pass(TICK)).toEqual(['role looking', 'look 0 0'])
    expect(lone.elect(2)).toEqual(['role following 2'])
    expect(lone.pass(TICK)).toEqual(['role looking', 'look 0 0'])
    expect(lone.elect(3)).toEqual(['role following 3', 'dial 3 learner'])
    lone.peer.onOpen(9, 2, 'learner')
    expect(lone.take()).toEqual(['close 9'])
    lone.peer.onOpen(LINK, 3, 'learner')
    expect(lone.take()).toHaveLength(1)
  })

  it('drops a leader whose first packets are no handshake', () => {
    for (const first of [
      packet('DIFF', 0),
      packet('LEADERINFO', EPOCH, '00'),
      packet('LEADERINFO', 2 ** 53, '00010000'),
    ]) {
      const lone = new Lone()
      lone.elect(2)
      lone.peer.onOpen(LINK, 2, 'learner')
      lone.take()
      expect(lone.receive(LINK, first)).toEqual([...ENDED, 'look 0 0'])
    }
  })
})

describe('synchronisation, at a follower', () => {
  it('C8: logs what a DIFF brings, then saves the epoch, then acknowledges; delivers with UPTODATE only (ZOOKEEPER-3911, 4643, 4646, 4785)', () => {
    const lone = atSync(2, { proposals: entries(1, 1, 3) })
    expect(
      lone.receive(
        LINK,
        packet('DIFF', EPOCH + 5),
        proposal(1, 4),
        commit(1, 4),
        proposal(1, 5),
        commit(1, 5),
        newLeader(2),
      ),
    ).toEqual(['append 100000004', 'append 100000005'])
    expect(lone.durable(EPOCH + 4)).toEqual([])
    expect(lone.durable(EPOCH + 5)).toEqual(['save current 2'])
    expect(lone.saved('current', 2)).toEqual([`send ${LINK}: ACK 200000000`])
    expect(lone.receive(LINK, UPTODATE)).toEqual([
      `send ${LINK}: ACK 200000000`,
      'deliver 100000004',
      'deliver 100000005',
      'established following 2 2',
    ])
  })

  it('C9: keeps commits that come between NEWLEADER and UPTODATE, and acknowledges what is only proposed when that is logged and the sync is over (ZOOKEEPER-4394, 4685)', () => {
    const lone = atSync(2, { proposals: entries(1, 1, 3) })
    expect(lone.receive(LINK, packet('DIFF', EPOCH + 3), proposal(2, 1), proposal(2, 2), newLeader(2))).toEqual([
      'append 200000001',
      'append 200000002',
    ])
    expect(lone.durable(2 * EPOCH + 1)).toEqual([])
    expect(lone.durable(2 * EPOCH + 2)).toEqual(['save current 2'])
    expect(lone.saved('current', 2)).toEqual([`send ${LINK}: ACK 200000000`])
    expect(lone.receive(LINK, commit(2, 1), proposal(2, 3))).toEqual(['append 200000003'])
    expect(lone.receive(LINK, UPTODATE)).toEqual([
      `send ${LINK}: ACK 200000000`,
      'deliver 200000001',
      'established following 2 2',
      `send ${LINK}: ACK 200000002`,
    ])
    expect(lone.durable(2 * EPOCH + 3)).toEqual([`send ${LINK}: ACK 200000003`])
    expect(lone.receive(LINK, commit(2, 2), commit(2, 3))).toEqual(['deliver 200000002', 'deliver 200000003'])
  })

  it('delivers what it had logged long ago, once a leader that has it too is established', () => {
    const lone = live(1, { proposals: entries(1, 1, 1) })
    lone.receive(LINK, proposal(1, 2))
    lone.durable(EPOCH + 2)
    lone.peer.onClose(LINK)
    expect(lone.take()).toEqual(['role looking', 'look 100000002 1'])
    lone.elect(2)
    lone.peer.onOpen(8, 2, 'learner')
    expect(lone.receive(8, packet('LEADERINFO', 2 * EPOCH, '00010000'))).toContain('save accepted 2')
    expect(lone.saved('accepted', 2)).toEqual(['send 8: ACKEPOCH 100000002 00000001'])
    expect(lone.receive(8, packet('DIFF', EPOCH + 2), newLeader(2))).toEqual(['save current 2'])
    lone.saved('current', 2)
    expect(lone.receive(8, UPTODATE)).toEqual([
      'send 8: ACK 200000000',
      'deliver 100000002',
      'established following 2 2',
    ])
  })

  it('E3: cuts its log as told, and keeps what comes behind until that is done', () => {
    const lone = atSync(2, { proposals: entries(1, 1, 5) })
    expect(lone.receive(LINK, packet('TRUNC', EPOCH + 3), proposal(2, 1), commit(2, 1), newLeader(2))).toEqual([
      'truncate 100000003',
    ])
    lone.peer.onTruncated(EPOCH + 3, EPOCH + 3)
    expect(lone.take()).toEqual(['append 200000001'])
    expect(lone.durable(2 * EPOCH + 1)).toEqual(['save current 2'])
  })

  it('cuts where an epoch begins, if the next entry is its first: a snapshot of that name stays good', () => {
    const lone = atSync(3, { proposals: [...entries(1, 1, 5), ...entries(2, 1, 2)] })
    expect(lone.receive(LINK, packet('TRUNC', EPOCH + 5))).toEqual(['truncate 200000000'])
    lone.peer.onTruncated(2 * EPOCH, 2 * EPOCH)
    expect(lone.receive(LINK, proposal(3, 1), commit(3, 1))).toEqual(['append 300000001'])
  })

  it('C11: waits for a truncation that was begun before it looks again, when the link is lost meanwhile (ZOOKEEPER-5094)', () => {
    const lone = atSync(2, { proposals: entries(1, 1, 5) })
    lone.receive(LINK, packet('TRUNC', EPOCH + 3))
    lone.peer.onClose(LINK)
    expect(lone.take()).toEqual(['role looking'])
    lone.peer.onTruncated(EPOCH + 3, EPOCH + 3)
    expect(lone.take()).toEqual(['look 100000003 1'])
  })

  it('takes the whole tree, from the same leader, where its log cannot be cut as far as it must', () => {
    const lone = atSync(2, { proposals: entries(1, 1, 5) })
    lone.receive(LINK, packet('TRUNC', EPOCH + 3))
    lone.peer.onTruncated(EPOCH + 5, EPOCH + 5)
    expect(lone.take()).toEqual([`close ${LINK}`, 'role looking', 'role following 2', 'dial 2 learner'])
    lone.peer.onOpen(8, 2, 'learner')
    lone.take()
    expect(lone.receive(8, packet('LEADERINFO', 2 * EPOCH, '00010000'))).toEqual(['send 8: ACKEPOCH -1 ffffffff'])
    expect(lone.receive(8, packet('SNAP', EPOCH + 3))).toEqual(['load 8 at 100000003'])
  })

  it('SNAP: loads, then goes on with what was proposed meanwhile, and skips what the tree has already', () => {
    const lone = atSync(2, { proposals: entries(1, 1, 2) })
    expect(lone.receive(LINK, packet('SNAP', EPOCH + 9), unhex('00'))).toEqual([`load ${LINK} at 100000009`])
    lone.peer.onSnapshotLoaded(LINK, EPOCH + 9)
    expect(lone.receive(LINK, proposal(1, 9), commit(1, 9), proposal(1, 10), commit(1, 10), newLeader(2))).toEqual([
      'append 10000000a',
    ])
    expect(lone.durable(EPOCH + 10)).toEqual(['save current 2'])
  })

  it('C10: has its old history still, when the leader dies in the middle of a snapshot (ZOOKEEPER-3642)', () => {
    const lone = atSync(2, { proposals: entries(1, 1, 2) })
    lone.receive(LINK, packet('SNAP', EPOCH + 9))
    lone.peer.onClose(LINK)
    expect(lone.take()).toEqual(['role looking', 'look 100000002 1'])
  })

  it('has the new history, when the leader dies behind the snapshot', () => {
    const lone = atSync(2, { proposals: entries(1, 1, 2) })
    lone.receive(LINK, packet('SNAP', EPOCH + 9))
    lone.peer.onSnapshotLoaded(LINK, EPOCH + 9)
    lone.peer.onClose(LINK)
    expect(lone.take()).toEqual(['role looking', 'look 100000009 1'])
  })

  it('E4: drops a leader that leaves a hole, in a sync as later (ZOOKEEPER-4925)', () => {
    const lone = atSync(2, { proposals: entries(1, 1, 3) })
    expect(lone.receive(LINK, packet('DIFF', EPOCH + 6), proposal(1, 5))).toEqual([...ENDED, 'look 100000003 1'])
    const other = live(1, { proposals: entries(1, 1, 3) })
    expect(other.receive(LINK, proposal(1, 5))).toEqual([...ENDED, 'look 100000003 1'])
  })

  it('drops a leader whose proposal has no whole header, or another zxid than its packet', () => {
    const other = proposalBytes(EPOCH + 7, 'other')
    for (const bytes of [null, '', other.subarray(0, 31), other]) {
      for (const name of ['PROPOSAL', 'INFORM']) {
        const lone = atSync(2, { proposals: entries(1, 1, 3) })
        const wrong = packet(name, EPOCH + 4, bytes)
        expect(lone.receive(LINK, packet('DIFF', EPOCH + 6), wrong)).toEqual([...ENDED, 'look 100000003 1'])
      }
    }
  })

  it('drops a leader that says UPTODATE or NEWLEADER out of turn', () => {
    for (const wrong of [UPTODATE, newLeader(3)]) {
      const lone = atSync(2)
      expect(lone.receive(LINK, packet('DIFF', 0), wrong)).toEqual([...ENDED, 'look 0 0'])
    }
    const lone = atSync(2)
    expect(lone.receive(LINK, packet('DIFF', 0), newLeader(2), newLeader(2))).toEqual([
      'save current 2',
      ...ENDED, // and looks when the epoch is saved
    ])
    expect(lone.saved('current', 2)).toEqual(['look 0 2'])
  })

  it('is patient with its own disk, however slow, but not with a leader that is silent', () => {
    const lone = atSync(2, { proposals: entries(1, 1, 3) })
    lone.receive(LINK, packet('DIFF', EPOCH + 4), proposal(1, 4), commit(1, 4), newLeader(2))
    expect(lone.pass(100 * TICK)).toEqual([])
    lone.durable(EPOCH + 4)
    expect(lone.pass(100 * TICK)).toEqual([])
    lone.saved('current', 2)
    expect(lone.pass(5 * TICK - 1)).toEqual([])
    expect(lone.pass(1)).toEqual([...ENDED, 'look 100000004 2'])
  })
})

describe('broadcast, at a follower', () => {
  it('C4: acknowledges each proposal when it is durable, in order, and delivers when it is told', () => {
    const lone = live(1)
    expect(lone.receive(LINK, proposal(1, 1), proposal(1, 2), proposal(1, 3))).toEqual([
      'append 100000001',
      'append 100000002',
      'append 100000003',
    ])
    expect(lone.durable(EPOCH + 2)).toEqual([`send ${LINK}: ACK 100000001`, `send ${LINK}: ACK 100000002`])
    expect(lone.receive(LINK, commit(1, 1))).toEqual(['deliver 100000001'])
    expect(lone.durable(EPOCH + 3)).toEqual([`send ${LINK}: ACK 100000003`])
  })

  it('delivers what a quorum has, ahead of its own disk', () => {
    const lone = live(1)
    expect(lone.receive(LINK, proposal(1, 1), commit(1, 1))).toEqual(['append 100000001', 'deliver 100000001'])
    expect(lone.durable(EPOCH + 1)).toEqual([`send ${LINK}: ACK 100000001`])
  })

  it('begins to count at the first proposal of an epoch, wherever that is (zookeeper.testingonly.initialZxid)', () => {
    const lone = live(1)
    lone.receive(LINK, proposal(1, 0xffff_fff0))
    expect(lone.durable(EPOCH + 0xffff_fff0)).toEqual([`send ${LINK}: ACK 1fffffff0`])
  })

  it('E9: drops the link, and nothing else, for a commit that is not next, is not known, or comes twice', () => {
    for (const wrong of [commit(1, 2), commit(1, 3), commit(2, 1)]) {
      const lone = live(1)
      lone.receive(LINK, proposal(1, 1), proposal(1, 2))
      lone.durable(EPOCH + 2)
      expect(lone.receive(LINK, wrong)).toEqual([...ENDED, 'look 100000002 1'])
    }
    const lone = live(1)
    lone.receive(LINK, proposal(1, 1), commit(1, 1))
    lone.durable(EPOCH + 1)
    expect(lone.receive(LINK, commit(1, 1))).toEqual([...ENDED, 'look 100000001 1'])
  })

  it('E9: drops the link for a proposal that comes twice', () => {
    const lone = live(1)
    lone.receive(LINK, proposal(1, 1))
    lone.durable(EPOCH + 1)
    expect(lone.receive(LINK, proposal(1, 1))).toEqual([...ENDED, 'look 100000001 1'])
  })

  it('votes again only when all that it has logged is durable (ZOOKEEPER-2845, 4712)', () => {
    const lone = live(1)
    lone.receive(LINK, proposal(1, 1), proposal(1, 2))
    lone.peer.onClose(LINK)
    expect(lone.take()).toEqual(['role looking'])
    expect(lone.durable(EPOCH + 1)).toEqual([])
    expect(lone.durable(EPOCH + 2)).toEqual(['look 100000002 1'])
  })

  it('answers a PING with the sessions it has heard of, once, and leaves a silent leader after syncLimit', () => {
    const lone = live(1)
    lone.touched = [[1, 2, 3000]]
    expect(lone.receive(LINK, packet('PING', EPOCH + 9))).toEqual([
      `send ${LINK}: PING 100000009 000000010000000200000bb8`,
    ])
    expect(lone.receive(LINK, packet('PING', EPOCH + 9))).toEqual([`send ${LINK}: PING 100000009 `])
    expect(lone.pass(5 * TICK - 1)).toEqual([])
    expect(lone.pass(1)).toContain('role looking')
  })

  it('forwards requests and sessions while it has a leader', () => {
    const lone = live(1)
    const request = { sessionHi: 1, sessionLo: 2, cxid: 3, type: 9, body: unhex('aabb'), authinfo: null }
    expect(lone.peer.forward(request)).toBe(true)
    expect(lone.peer.revalidate(1, 2, 3000)).toBe(true)
    expect(lone.take()).toEqual([
      `send ${LINK}: REQUEST -1 00000001000000020000000300000009aabb`,
      `send ${LINK}: REVALIDATE -1 000000010000000200000bb8`,
    ])
    expect(lone.receive(LINK, packet('SYNC', 0), packet('REVALIDATE', -1, '000000010000000201'))).toEqual([
      'synced',
      'revalidated 1.2 true',
    ])
    lone.peer.onClose(LINK)
    expect(lone.peer.forward(request)).toBe(false)
    expect(lone.peer.revalidate(1, 2, 3000)).toBe(false)
  })

  it('N5: takes packets cut at any byte', () => {
    const stream = Buffer.concat([proposal(1, 1), packet('PING', EPOCH), proposal(1, 2), commit(1, 1)])
    const whole = live(1).receive(LINK, Uint8Array.from(stream))
    for (let cut = 1; cut < stream.length; cut++) {
      const lone = live(1)
      const bytes = Uint8Array.from(stream)
      const used = lone.peer.onBytes(LINK, bytes, 0, cut)
      expect(used).toBeLessThanOrEqual(cut)
      expect(lone.peer.onBytes(LINK, bytes, used, bytes.length)).toBe(bytes.length - used)
      expect(lone.take()).toEqual(whole)
    }
  })
})

describe('an observer', () => {
  const options: LoneOptions = { sid: 4, observers: [4] }

  it('says that it is one, logs and delivers what it is told, and acknowledges no transaction', () => {
    const lone = new Lone(options)
    expect(lone.elect(2)).toEqual(['role observing 2', 'dial 2 learner'])
    lone.peer.onOpen(LINK, 2, 'learner')
    expect(lone.take()[0]).toMatch('OBSERVERINFO 0 0000000000000004')
    const observer = live(1, options)
    const [entry] = entries(1, 1, 1)
    expect(observer.receive(LINK, packet('INFORM', entry!.zxid, entry!.bytes))).toEqual([
      'append 100000001',
      'deliver 100000001',
    ])
    expect(observer.durable(EPOCH + 1)).toEqual([])
    expect(observer.receive(LINK, proposal(1, 2), commit(1, 2))).toEqual([])
  })

  it('waits at random before it looks again', () => {
    const lone = live(1, options)
    lone.peer.onClose(LINK)
    expect(lone.take()).toEqual(['role looking'])
    expect(lone.pass(99)).toEqual([])
    expect(lone.pass(1)).toEqual(['look 0 1'])
  })

  it('that does not log takes its tree back to its log when it loses the leader', () => {
    const lone = live(1, { ...options, zab: { observerSyncs: false } })
    const told = entries(1, 1, 2).map(({ zxid, bytes }) => packet('INFORM', zxid, bytes))
    expect(lone.receive(LINK, ...told)).toEqual(['deliver 100000001', 'deliver 100000002'])
    lone.peer.onClose(LINK)
    expect(lone.take()).toEqual(['role looking', 'truncate 0'])
    lone.peer.onTruncated(0, 0)
    expect(lone.pass(100)).toEqual(['look 0 1'])
  })
})

describe('reconfiguration, at a learner', () => {
  const zab = { reconfigEnabled: true }
  const text = (version: number, voters: number[], observers: number[] = []) => configText(voters, observers, version)
  const reconfig = (counter: number, voters: number[], observers: number[] = []) =>
    packet('PROPOSAL', EPOCH + counter, proposalBytes(EPOCH + counter, '', text(EPOCH + counter, voters, observers)))

  it('notes a configuration when it is proposed, and changes over when it is committed', () => {
    const lone = live(1, { zab })
    expect(lone.receive(LINK, reconfig(1, [1, 2, 3, 4]))).toEqual(['config 100000001 seen', 'append 100000001'])
    expect(lone.receive(LINK, packet('COMMITANDACTIVATE', EPOCH + 1, '0000000000000002'))).toEqual([
      'config 100000001 committed',
      'deliver 100000001',
    ])
  })

  it('acknowledges nothing, and answers no PING, until a configuration is saved that it has in force', () => {
    const lone = live(1, { zab })
    lone.receive(LINK, reconfig(1, [1, 2, 3, 4]))
    expect(lone.durable(EPOCH + 1)).toEqual([])
    expect(lone.configured()).toEqual([`send ${LINK}: ACK 100000001`])
    lone.receive(LINK, packet('COMMITANDACTIVATE', EPOCH + 1, '0000000000000002'), proposal(1, 2))
    expect(lone.receive(LINK, packet('PING', EPOCH + 2))).toEqual([])
    expect(lone.durable(EPOCH + 2)).toEqual([])
    expect(lone.configured()).toEqual([`send ${LINK}: PING 100000002 `, `send ${LINK}: ACK 100000002`])
  })

  it('leads without an election, if it is the one that is named', () => {
    const lone = live(1, { zab })
    lone.receive(LINK, reconfig(1, [1, 3]))
    lone.durable(EPOCH + 1)
    expect(lone.receive(LINK, packet('COMMITANDACTIVATE', EPOCH + 1, '0000000000000001'))).toEqual([
      'config 100000001 committed',
      'deliver 100000001',
      ...ENDED,
      'role leading 1',
    ])
  })

  it('comes back as an observer, or as a voter, without an election', () => {
    const lone = live(1, { zab })
    lone.receive(LINK, reconfig(1, [2, 3], [1]))
    lone.durable(EPOCH + 1)
    expect(lone.receive(LINK, packet('COMMITANDACTIVATE', EPOCH + 1, '0000000000000002'))).toEqual([
      'config 100000001 committed',
      'deliver 100000001',
      ...ENDED,
      'role observing 2',
      'dial 2 learner',
    ])
  })

  it('takes the configuration of NEWLEADER over with UPTODATE (ZOOKEEPER-1324, 1783)', () => {
    const lone = atSync(1, { zab })
    const config = new TextEncoder().encode(text(EPOCH, [1, 2, 3]))
    expect(lone.receive(LINK, packet('DIFF', 0), packet('NEWLEADER', EPOCH, config))).toEqual(['config 100000000 seen'])
    expect(lone.configured()).toEqual(['save current 1'])
    lone.saved('current', 1)
    expect(lone.receive(LINK, UPTODATE)).toEqual([
      'config 100000000 committed',
      `send ${LINK}: ACK 100000000`,
      'established following 2 1',
    ])
  })

  it('leaves a configuration that NEWLEADER brings, and that is only proposed in this epoch, to its commit', () => {
    const lone = atSync(1, { zab })
    const config = new TextEncoder().encode(text(EPOCH + 1, [1, 2, 3, 4]))
    const sync = [packet('DIFF', 0), reconfig(1, [1, 2, 3, 4]), packet('NEWLEADER', EPOCH, config)]
    expect(lone.receive(LINK, ...sync)).toEqual(['config 100000001 seen', 'append 100000001'])
    lone.durable(EPOCH + 1)
    expect(lone.configured()).toEqual(['save current 1'])
    lone.saved('current', 1)
    expect(lone.receive(LINK, UPTODATE).filter((line) => line.startsWith('config'))).toEqual([])
    expect(lone.receive(LINK, packet('COMMITANDACTIVATE', EPOCH + 1, '0000000000000002'))).toEqual([
      'config 100000001 committed',
      'deliver 100000001',
    ])
  })

  it('looks again, if by that its leader is no voter', () => {
    const lone = atSync(1, { zab })
    const config = new TextEncoder().encode(text(EPOCH, [1, 3]))
    lone.receive(LINK, packet('DIFF', 0), packet('NEWLEADER', EPOCH, config))
    lone.configured()
    lone.saved('current', 1)
    expect(lone.receive(LINK, UPTODATE)).toEqual(['config 100000000 committed', ...ENDED, 'look 0 1'])
  })

  it('does not care for configurations where reconfiguration is off (ZOOKEEPER-2819)', () => {
    const lone = live(1)
    expect(lone.receive(LINK, reconfig(1, [1, 3]))).toEqual(['append 100000001'])
    expect(lone.receive(LINK, packet('COMMITANDACTIVATE', EPOCH + 1, '0000000000000001'))).toEqual([
      'deliver 100000001',
    ])
  })

  it('drops a leader whose configuration cannot be read', () => {
    const lone = live(1, { zab })
    const bad = packet('PROPOSAL', EPOCH + 1, proposalBytes(EPOCH + 1, '', 'server.x=nonsense'))
    expect(lone.receive(LINK, bad)).toEqual([...ENDED, 'look 0 1'])
  })
})
