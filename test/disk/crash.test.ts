import { describe, expect, it } from 'vitest'
import { explore, WORKLOAD_NAMES } from './explore.ts'

/** `npm run test:crash` takes every call, every end, and many more second losses. */
const SAMPLE = { seed: 1, turns: 60, endsMax: 2, secondEvery: Number.POSITIVE_INFINITY, goOnEvery: 20, only: null }

/** Kinds of calls that the workloads make: none may get lost. */
const KINDS_MIN = { alone: 25, member: 60 }
const IDS = { alone: 'C1 to C6, C13, C16, D2', member: 'C2 to C8, C10, C11, C13 to C16, D2' }

describe('a loss of power at any call of the disk', () => {
  for (const name of WORKLOAD_NAMES) {
    it(`${IDS[name]}: costs no acknowledged write and no start (${name})`, async () => {
      const explored = await explore(name, { ...SAMPLE, every: 30 })
      expect(explored.failure).toBeNull()
      expect(explored.points).toBeGreaterThan(2500)
      expect(explored.kinds.size).toBeGreaterThanOrEqual(KINDS_MIN[name])
      expect(explored.continuations).toBeGreaterThan(0)
      const { points, pointsTried, kinds, losses, continuations } = explored
      console.log(
        `${name}: power lost ${losses} times at ${pointsTried} of ${points} calls, all ${kinds.size} kinds; ` +
          `${continuations} times gone on with`,
      )
    })

    it(`C3 to C14: followed by a second one at each call of the start, it costs nothing either (${name})`, async () => {
      const explored = await explore(name, { ...SAMPLE, every: 400, endsMax: 1, secondEvery: 12 })
      expect(explored.failure).toBeNull()
      expect(explored.secondLosses).toBeGreaterThan(100)
      console.log(`${name}: power lost ${explored.secondLosses} times again while it starts`)
    })
  }
})
