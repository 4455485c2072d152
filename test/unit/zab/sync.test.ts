import { describe, expect, it } from 'vitest'
import { CommitLog } from '../../../src/zab/commitlog.ts'
import { HistoryWalk, planSync, type SyncPlan } from '../../../src/zab/sync.ts'
import { Random } from '../datatree/random.ts'
import { EPOCH, entries } from './lone.ts'

const options = { forceSnapshotSync: false, txnLogSync: true }

/** Epoch 1 from 4 to 9, epoch 2 from 1 to 3, all committed; then 4 and 5, which are not. */
function log(): CommitLog {
  const recent = new CommitLog(2 * EPOCH + 3, [...entries(1, 4, 9), ...entries(2, 1, 3)], 500)
  for (const entry of entries(2, 4, 5)) recent.append(entry)
  return recent
}

const plan = (zxid: number): SyncPlan => planSync(zxid, log(), 2 * EPOCH + 3, options)

describe('the sync decision (LearnerHandler.syncFollower), E2', () => {
  it('1: is a snapshot, if every one is to be', () => {
    expect(planSync(2 * EPOCH + 3, log(), 2 * EPOCH + 3, { ...options, forceSnapshotSync: true }).kind).toBe('snap')
  })

  it('2: is an empty DIFF for one that has all that is committed', () => {
    expect(plan(2 * EPOCH + 3)).toEqual({ kind: 'diff', zxid: 2 * EPOCH + 3, from: 2 * EPOCH + 3 })
  })

  it('3: is TRUNC to what is committed for one that has more, also if we have it too', () => {
    for (const zxid of [2 * EPOCH + 4, 2 * EPOCH + 9, 3 * EPOCH + 1]) {
      expect(plan(zxid)).toEqual({ kind: 'trunc', zxid: 2 * EPOCH + 3, from: 2 * EPOCH + 3 })
    }
  })

  it('4: is DIFF from an entry that we have, TRUNC within an epoch and SNAP across', () => {
    expect(plan(EPOCH + 4)).toEqual({ kind: 'diff', zxid: 2 * EPOCH + 3, from: EPOCH + 4 })
    expect(plan(EPOCH + 9)).toEqual({ kind: 'diff', zxid: 2 * EPOCH + 3, from: EPOCH + 9 })
    expect(plan(EPOCH + 10)).toEqual({ kind: 'snap' })
  })

  it('5: is left to the log on disk for one that is further behind, or SNAP', () => {
    expect(plan(EPOCH + 3)).toEqual({ kind: 'disk' })
    expect(planSync(EPOCH + 3, log(), 2 * EPOCH + 3, { ...options, txnLogSync: false }).kind).toBe('snap')
  })

  it('is DIFF wherever the learner stands at the beginning of an epoch that we know', () => {
    expect(plan(2 * EPOCH)).toEqual({ kind: 'diff', zxid: 2 * EPOCH + 3, from: 2 * EPOCH })
    expect(plan(3 * EPOCH)).toEqual({ kind: 'diff', zxid: 2 * EPOCH + 3, from: 3 * EPOCH })
    expect(plan(EPOCH)).toEqual({ kind: 'disk' })
  })

  it('is SNAP for one that has no data', () => {
    expect(plan(-1)).toEqual({ kind: 'snap' })
    expect(planSync(-1, new CommitLog(0, [], 500), 0, options)).toEqual({ kind: 'snap' })
  })

  it('knows no difference in a first start', () => {
    expect(planSync(0, new CommitLog(0, [], 500), 0, options)).toEqual({ kind: 'diff', zxid: 0, from: 0 })
    expect(planSync(0, new CommitLog(0, [], 500), EPOCH, options)).toEqual({ kind: 'diff', zxid: 0, from: 0 })
  })

  it('never names the beginning of an epoch in TRUNC: Java would leave the first entry behind it', () => {
    expect(planSync(EPOCH + 1, new CommitLog(EPOCH, [], 500), EPOCH, options)).toEqual({ kind: 'snap' })
    expect(planSync(EPOCH + 1, new CommitLog(0, [], 500), 0, options)).toEqual({ kind: 'snap' })
  })
})

describe('the walk through the log on disk', () => {
  const walk = (p: number, found: readonly number[]) => {
    const steps = new HistoryWalk(p)
    return found.map((zxid) => steps.step(zxid)).join(' ')
  }
  const E = EPOCH

  it('is DIFF at the entry where the learner stands, whatever lies before', () => {
    expect(walk(E + 3, [E + 3, E + 4, 2 * E + 1])).toBe('diff next next')
    expect(walk(E + 3, [E + 1, E + 2, E + 3, E + 4])).toBe('skip skip diff next')
  })

  it('is DIFF at the beginning of an epoch', () => {
    expect(walk(2 * E, [E + 3, 2 * E + 1, 2 * E + 2])).toBe('skip diff next')
    expect(walk(2 * E, [E + 3, 3 * E + 1])).toBe('skip diff')
  })

  it('cuts nothing across an epoch', () => {
    expect(walk(E + 5, [E + 3, 2 * E + 1])).toBe('skip gap')
  })

  it('has decided nothing where it would have to cut across an epoch, so that the tree can still be sent', () => {
    const steps = new HistoryWalk(E + 5)
    expect([E + 3, 2 * E + 1].map((zxid) => steps.step(zxid))).toEqual(['skip', 'gap'])
    expect(steps.decided).toBe(false)
  })

  it('ends where it begins too late, and at every hole', () => {
    expect(walk(E + 3, [E + 4])).toBe('gap')
    expect(walk(E + 3, [E + 3, E + 5])).toBe('diff gap')
    expect(walk(E + 3, [E + 3, 2 * E + 2])).toBe('diff gap')
    expect(walk(E + 3, [E + 1, E + 3])).toBe('skip gap')
  })

  it('skips what comes again where two pieces meet', () => {
    expect(walk(E + 3, [E + 3, E + 4, E + 4, E + 5, E + 4])).toBe('diff next skip next skip')
  })
})

describe('E2, E3: any history under a leader becomes the leader’s', () => {
  it('whatever a plan says to cut and to send', () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = new Random(seed)
      // What two servers of one ensemble can have: a common beginning, and a tail of a leader that failed on one side.
      const common = entries(1, 1, random.below(6))
      const ours = [...common, ...entries(random.below(2) + 2, 1, random.below(5))]
      const behind = random.below(common.length + 1)
      const theirs =
        random.below(2) === 0
          ? ours.slice(0, random.below(ours.length + 1))
          : [
              ...common.slice(0, behind),
              ...(behind === common.length ? entries(1, behind + 1, behind + random.below(4)) : []),
            ]
      const log = new CommitLog(0, [], random.below(4) + 1)
      for (const entry of ours) log.append(entry)
      const bound = ours.at(-1)?.zxid ?? 0
      log.deliverTo(bound, () => {})
      const p = theirs.at(-1)?.zxid ?? 0
      const decision = planSync(p, log, bound, options)
      if (decision.kind === 'snap' || decision.kind === 'disk') continue
      const kept = theirs.filter(({ zxid }) => decision.kind === 'diff' || zxid <= decision.zxid)
      log.visitAfter(decision.from, (entry) => kept.push(entry))
      expect(
        kept.map(({ zxid }) => zxid),
        `seed ${seed}`,
      ).toEqual(ours.map(({ zxid }) => zxid))
    }
  })
})
