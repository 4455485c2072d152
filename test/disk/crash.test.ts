import { describe, expect, it } from 'vitest'
import { explore, WORKLOAD_NAMES } from './explore.ts'

/** `npm run test:crash` takes every point, every end, and many more second losses. */
const SAMPLE = { seed: 1, turns: 60, every: 30, endsMax: 2, secondEvery: 40, goOnEvery: 20, only: null }

/** Kinds of calls in both workloads, as this test has found them: none may get lost. */
const KINDS_MIN = { alone: 25, member: 60 }

describe('a loss of power at any call of the disk', () => {
  for (const name of WORKLOAD_NAMES) {
    it(`C1 to C8, C13, C14, C16: costs no acknowledged write and no start (${name})`, async () => {
      const explored = await explore(name, SAMPLE)
      expect(explored.failure).toBeNull()
      expect(explored.points).toBeGreaterThan(2500)
      expect(explored.kinds.size).toBeGreaterThanOrEqual(KINDS_MIN[name])
      expect(Math.min(explored.secondLosses, explored.continuations)).toBeGreaterThan(0)
      const { points, pointsTried, kinds, losses, secondLosses, continuations } = explored
      console.log(
        `${name}: ${pointsTried} of ${points} calls, all ${kinds.size} kinds: power lost ${losses} times, ` +
          `${secondLosses} times again in the start, ${continuations} times gone on with`,
      )
    })
  }
})
