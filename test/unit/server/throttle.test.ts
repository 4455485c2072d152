/** Admission of connections by tokens: Java's BlueThrottle, but for the ways in which it stays closed. */

import { describe, expect, it } from 'vitest'
import type { ConnectionThrottle } from '../../../src/server/config/config.ts'
import { Throttle } from '../../../src/server/requests/throttle.ts'

const OPTIONS: ConnectionThrottle = {
  tokens: 10,
  fillTimeMs: 100,
  fillCount: 1,
  freezeTimeMs: -1,
  dropIncrease: 0.02,
  dropDecrease: 0.002,
  decreaseRatio: 0,
  weightEnabled: false,
  globalWeight: 3,
  renewWeight: 2,
  localWeight: 1,
}

function admitted(throttle: Throttle, count: number, nowMs: number, renewal = false): number {
  let admitted = 0
  for (let i = 0; i < count; i++) if (throttle.admit(renewal, nowMs)) admitted++
  return admitted
}

describe('the limiter never stays closed (S5, ZOOKEEPER-4933)', () => {
  it('is full again after a silence of any length', () => {
    const throttle = new Throttle({ ...OPTIONS, fillTimeMs: 1, fillCount: 100 }, () => 0.5, 0)
    expect(admitted(throttle, 20, 0)).toBe(10)
    const halfYearMs = 180 * 24 * 3600 * 1000 // so many tokens are no int
    expect(admitted(throttle, 20, halfYearMs)).toBe(10)
  })

  it('takes tokens in at the rate it is told, however often it is asked', () => {
    const throttle = new Throttle(OPTIONS, () => 0.5, 0)
    admitted(throttle, 10, 0)
    let admittedLater = 0
    for (let nowMs = 1; nowMs <= 10_100; nowMs++) admittedLater += admitted(throttle, 3, nowMs)
    expect(admittedLater).toBeGreaterThanOrEqual(95)
    expect(admittedLater).toBeLessThanOrEqual(101)
  })

  it('opens again after it has dropped everybody', () => {
    const options = { ...OPTIONS, freezeTimeMs: 10, dropIncrease: 0.5, dropDecrease: 0.1, decreaseRatio: 0.5 }
    const throttle = new Throttle(options, () => 0.5, 0)
    let nowMs = 0
    for (let i = 0; i < 100; i++, nowMs += 11) admitted(throttle, 20, nowMs)
    expect(throttle.dropChance).toBeGreaterThan(0)
    nowMs += 10_000
    for (let i = 0; i < 20; i++, nowMs += 200) throttle.admit(false, nowMs)
    expect(throttle.dropChance).toBe(0)
    expect(throttle.admit(false, nowMs)).toBe(true)
  })

  it('has room for whatever weighs more than all of its tokens', () => {
    const throttle = new Throttle({ ...OPTIONS, tokens: 1, weightEnabled: true, renewWeight: 5 }, () => 0.5, 0)
    expect(admitted(throttle, 2, 0, true)).toBe(1)
    expect(admitted(throttle, 2, 100_000, true)).toBe(1)
  })
})
