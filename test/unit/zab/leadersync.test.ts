import { describe, expect, it } from 'vitest'
import type { Proposal } from '../../../src/zab/types.ts'
import { ack, ackEpoch, committed, join, leading, leadingFive, linkOf, propose, sync, to } from './leaderkit.ts'
import { EPOCH, entries, TICK } from './lone.ts'

describe('synchronisation, at a leader', () => {
  const history: readonly Proposal[] = entries(1, 1, 0x1b)

  it('E2: DIFF for one that is a little behind, as in the trace from Java', () => {
    const lone = leading(2, { proposals: history })
    expect(sync(lone, EPOCH + 0x19)).toEqual(
      to(2, 'DIFF 10000001b', ...committed('10000001a'), ...committed('10000001b'), 'NEWLEADER 200000000 version=0'),
    )
  })

  it('E2: an empty DIFF for one that has all, under either name of the place', () => {
    for (const zxid of [EPOCH + 0x1b, 2 * EPOCH]) {
      const lone = leading(2, { proposals: history })
      expect(sync(lone, zxid).map((line) => line.split(' ').slice(2, 3)[0])).toEqual(['DIFF', 'NEWLEADER'])
    }
  })

  it('E3: TRUNC for one that has more', () => {
    const lone = leading(2, { proposals: history })
    expect(sync(lone, EPOCH + 0x1e)).toEqual(to(2, 'TRUNC 10000001b', 'NEWLEADER 200000000 version=0'))
  })

  it('E3: TRUNC also back into an earlier epoch, if nothing of the later one is left', () => {
    const lone = leading(3, { proposals: history })
    expect(lone.peer.established).toBe(false) // 1 says that it was in epoch 2, and has a newer history by that
    const other = leading(3, { proposals: history, start: { acceptedEpoch: 2, currentEpoch: 2 } })
    expect(sync(other, 2 * EPOCH + 3)).toEqual(to(2, 'TRUNC 10000001b', 'NEWLEADER 300000000 version=0'))
  })

  it('E2, E3: TRUNC, and then again what is only proposed, for one that had logged it', () => {
    const lone = leading(2, { proposals: history })
    propose(lone, 2, 1)
    lone.receive(linkOf(1), ack(2, 1))
    lone.durable(2 * EPOCH + 1)
    propose(lone, 2, 2)
    expect(sync(lone, 2 * EPOCH + 2)).toEqual(
      to(2, 'TRUNC 200000001', 'PROPOSAL 200000002 200000002', 'NEWLEADER 200000000 version=0'),
    )
  })

  it('E3: the tree for one that has something else where later epochs follow, as Java', () => {
    const lone = leading(3, { proposals: [...entries(1, 1, 4), ...entries(2, 1, 2)] })
    expect(sync(lone, EPOCH + 6)).toEqual([...to(2, 'SNAP 300000000'), 'snapshot 12 at 300000000'])
  })

  it('sends what it has logged and not delivered as committed, ahead of NEWLEADER, and delivers it when a quorum has it', () => {
    const lone = leading(1)
    propose(lone, 1, 1)
    lone.durable(EPOCH + 1)
    lone.peer.onClose(linkOf(1))
    lone.take()
    expect(lone.pass(6 * TICK)).toContain('look 100000001 1')
    lone.elect(3)
    join(lone, 2, 1)
    lone.saved('accepted', 2)
    lone.receive(linkOf(2), ackEpoch(0, 1))
    expect(lone.saved('current', 2)).toEqual(
      to(2, 'DIFF 100000001', ...committed('100000001'), 'NEWLEADER 200000000 version=0'),
    )
    expect(lone.receive(linkOf(2), ack(2, 0))).toEqual([
      'deliver 100000001',
      'established leading 3 2',
      ...to(2, 'UPTODATE -1'),
    ])
  })

  it('sends a learner that comes late what is under way as proposed only, and commits it when it is', () => {
    const lone = leading(1)
    propose(lone, 1, 1)
    expect(sync(lone, 0)).toEqual(to(2, 'DIFF 0', 'PROPOSAL 100000001 100000001', 'NEWLEADER 100000000 version=0'))
    lone.durable(EPOCH + 1)
    lone.take()
    expect(lone.receive(linkOf(1), ack(1, 1))).toEqual([
      ...to(1, 'COMMIT 100000001'),
      ...to(2, 'COMMIT 100000001'),
      'deliver 100000001',
    ])
    expect(lone.receive(linkOf(2), ack(1, 0))).toEqual(to(2, 'UPTODATE -1'))
  })

  it('forgets what a learner has acknowledged when its link is gone: it is truncated when it comes again', () => {
    const lone = leadingFive()
    propose(lone, 1, 1)
    lone.durable(EPOCH + 1)
    expect(lone.receive(linkOf(1), ack(1, 1))).toEqual([])
    lone.peer.onClose(linkOf(1))
    lone.take()
    expect(lone.receive(linkOf(2), ack(1, 1))).toEqual([])
    expect(sync(lone, EPOCH + 1, 1)).toEqual([...to(1, 'SNAP 100000000'), `snapshot ${linkOf(1)} at 100000000`])
  })

  it.each([
    ['forced by the configuration', { forceSnapshotSync: true }, EPOCH + 1],
    ['asked for by the learner', {}, -1],
  ])('I1: a tree that is %s has all that the leader adopts: the learner may have acknowledged it', (_how, zab, p) => {
    const lone = leading(1, { zab })
    propose(lone, 1, 1)
    lone.durable(EPOCH + 1)
    lone.peer.onClose(linkOf(1))
    expect(lone.pass(6 * TICK)).toContain('look 100000001 1')
    lone.elect(3)
    join(lone, 2, 1)
    lone.saved('accepted', 2)
    lone.receive(linkOf(2), ackEpoch(EPOCH + 1, 1))
    lone.saved('current', 2)
    join(lone, 1, 1)
    const sent = lone.receive(linkOf(1), ackEpoch(p, 1)).slice(-2)
    expect(sent).toEqual([...to(1, 'SNAP 100000001'), `snapshot ${linkOf(1)} at 100000001`])
  })

  it('holds back live traffic while a snapshot streams, then sends it ahead of NEWLEADER', () => {
    const lone = leading(2, { proposals: history, zab: { forceSnapshotSync: true } })
    expect(sync(lone, 0)).toEqual([...to(2, 'SNAP 200000000'), 'snapshot 12 at 200000000'])
    expect(propose(lone, 2, 1)).toEqual([...to(1, 'PROPOSAL 200000001 200000001'), 'append 200000001'])
    lone.durable(2 * EPOCH + 1)
    expect(lone.receive(linkOf(1), ack(2, 1))).toEqual([...to(1, 'COMMIT 200000001'), 'deliver 200000001'])
    lone.peer.onSnapshotSent(linkOf(2))
    expect(lone.take()).toEqual(to(2, ...committed('200000001'), 'NEWLEADER 200000000 version=0'))
  })

  it('drops a learner for which too much is held back', () => {
    const lone = leading(1, { zab: { forceSnapshotSync: true, heldBytesMax: 150 } })
    sync(lone, 0)
    propose(lone, 1, 1)
    expect(propose(lone, 1, 2)).toContain(`close ${linkOf(2)}`)
  })

  describe('from the log on disk', () => {
    const recent = [...entries(1, 8, 9), ...entries(2, 1, 2)]

    it('E2: sends pieces of it, then what is in memory, without a hole between', () => {
      const lone = leading(3, { proposals: recent })
      expect(sync(lone, EPOCH + 3)).toEqual(['history 12 from 100000003'])
      lone.peer.onHistory(linkOf(2), entries(1, 3, 5), 'more')
      expect(lone.take()).toEqual([
        ...to(2, 'DIFF 200000002', ...committed('100000004'), ...committed('100000005')),
        'history 12 from 100000005',
      ])
      lone.peer.onHistory(linkOf(2), [...entries(1, 5, 9), ...entries(2, 1, 1)], 'more')
      expect(lone.take()).toEqual(
        to(
          2,
          ...['100000006', '100000007', '100000008', '100000009', '200000001', '200000002'].flatMap(committed),
          'NEWLEADER 300000000 version=0',
        ),
      )
    })

    it('E3: cuts what it does not know, within an epoch', () => {
      const lone = leading(3, { proposals: recent })
      sync(lone, 2 * EPOCH)
      expect(sync(lone, EPOCH + 6)).toContain('history 12 from 100000006')
      lone.peer.onHistory(linkOf(2), [...entries(1, 4, 5), ...entries(1, 7, 8)], 'more')
      // A hole: not the learner has too much, but our disk too little.
      expect(lone.take()).toEqual([...to(2, 'SNAP 300000000'), 'snapshot 12 at 300000000'])
    })

    it('sends the tree where the log does not reach back, or has a hole, or ends early', () => {
      for (const [found, state] of [
        [[], 'gap'],
        [entries(1, 4, 9), 'more'],
        [entries(1, 3, 3), 'gap'],
      ] as const) {
        const lone = leading(3, { proposals: recent })
        sync(lone, EPOCH + 3)
        lone.peer.onHistory(linkOf(2), found, state)
        expect(lone.take().at(-1)).toBe('snapshot 12 at 300000000')
      }
    })

    it('E4: lets a learner come again for the tree, if a hole shows only when it has been sent a part', () => {
      const lone = leading(3, { proposals: recent })
      sync(lone, EPOCH + 3)
      lone.peer.onHistory(linkOf(2), [...entries(1, 3, 4), ...entries(1, 6, 9)], 'more')
      expect(lone.take()).toEqual([...to(2, 'DIFF 200000002', ...committed('100000004')), `close ${linkOf(2)}`])
      expect(sync(lone, EPOCH + 4).at(-1)).toBe('snapshot 12 at 300000000')
    })

    it('never reads it where that is switched off', () => {
      const lone = leading(3, { proposals: recent, zab: { txnLogSync: false } })
      expect(sync(lone, EPOCH + 3).at(-1)).toBe('snapshot 12 at 300000000')
    })
  })

  it('lets participants in whatever the load, and sends observers away when too many are being synchronised', () => {
    const lone = leading(1, { observers: [4, 5], zab: { diffSyncsMax: 1 } })
    expect(sync(lone, 0, 2).at(-1)).toContain('NEWLEADER')
    expect(sync(lone, 0, 4, 'OBSERVERINFO').at(-1)).toBe(`close ${linkOf(4)}`)
    lone.receive(linkOf(2), ack(1, 0))
    expect(sync(lone, 0, 5, 'OBSERVERINFO').at(-1)).toContain('NEWLEADER')
  })
})
