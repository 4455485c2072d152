/** Clients cannot fill the log: lines of one kind are bounded, and what was left out is counted. */

import { expect, it } from 'vitest'
import { LogLimit } from '../../../src/server/report/loglimit.ts'

it('lets some lines of a kind through, then says how many it left out', () => {
  const limit = new LogLimit()
  const answers = Array.from({ length: 100 }, () => limit.admit('a', 0))
  expect(answers.filter((leftOut) => leftOut === 0)).toHaveLength(20)
  expect(answers.slice(20).every((leftOut) => leftOut === -1)).toBe(true)
  expect(limit.admit('b', 0)).toBe(0)
  expect(limit.admit('a', 9_999)).toBe(-1)
  expect(limit.admit('a', 10_000)).toBe(81)
  expect(limit.admit('a', 10_000)).toBe(0)
})
