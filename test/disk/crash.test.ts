import { beforeAll, describe, expect, it } from 'vitest'
import { type Explored, explore, WORKLOAD_NAMES } from './explore.ts'

/** `npm run test:crash` takes every call, every end, and many more second losses. */
const SAMPLE = { seed: 3, turns: 60, every: 60, endsMax: 2, secondEvery: 40, goOnEvery: 20, only: null }

/** Kinds of calls that the workloads make: none may get lost. */
const KINDS_MIN = { alone: 30, member: 60, aloneLevel: 30, memberLevel: 65, aloneBoth: 30, memberBoth: 65 }
const ALONE = 'C1 to C6, C13, C16, D2'
const MEMBER = 'C2 to C8, C10, C11, C13 to C16, D2'
const IDS = {
  alone: ALONE,
  member: MEMBER,
  aloneLevel: ALONE,
  memberLevel: MEMBER,
  aloneBoth: ALONE,
  memberBoth: MEMBER,
}

for (const name of WORKLOAD_NAMES) {
  describe(`a loss of power at any call of the disk (${name})`, () => {
    let explored: Explored

    beforeAll(async () => {
      const every = name === 'alone' || name === 'member' ? SAMPLE.every : 2 * SAMPLE.every
      explored = await explore(name, { ...SAMPLE, every })
      const { points, pointsTried, kinds, losses, secondLosses, continuations } = explored
      console.log(
        `${name}: power lost ${losses} times at ${pointsTried} of ${points} calls, all ${kinds.size} kinds; ` +
          `${secondLosses} times again in the start, ${continuations} times gone on with`,
      )
    }, 120_000)

    it(`${IDS[name]}: costs no acknowledged write and refuses no start`, () => {
      expect(explored.failure).toBeNull()
      expect(explored.points).toBeGreaterThan(2000)
      expect(explored.kinds.size).toBeGreaterThanOrEqual(KINDS_MIN[name])
      expect(explored.continuations).toBeGreaterThan(5)
    })

    it('C3 to C14: costs nothing either when it comes again at each call of the start', () => {
      expect(explored.failure).toBeNull()
      expect(explored.secondLosses).toBeGreaterThan(100)
    })
  })
}
