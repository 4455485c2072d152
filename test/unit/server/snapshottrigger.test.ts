/** When snapshots are due, and due again. */

import { describe, expect, it } from 'vitest'
import { SnapshotTrigger } from '../../../src/server/life/snapshottrigger.ts'

describe('a snapshot', () => {
  function trigger(random = 0) {
    const clock = { nowMs: 0 }
    const limits = { snapCount: 10, snapSizeLimitBytes: 1000 }
    const made = new SnapshotTrigger(
      limits,
      () => random,
      () => clock.nowMs,
    )
    const dueAfter = (): number => {
      for (let txns = 1; ; txns++) if (made.due(0)) return txns
    }
    return { trigger: made, clock, dueAfter }
  }

  it('is due behind half of snapCount and a share of the other half, each time', () => {
    expect([trigger(0).dueAfter(), trigger(0.99).dueAfter()]).toEqual([6, 10])
    const { dueAfter } = trigger(0.5)
    expect([dueAfter(), dueAfter()]).toEqual([8, 8])
  })

  it('is due earlier where a start has replayed so much already, or the log has grown', () => {
    const { trigger: replayed } = trigger()
    replayed.replayed(5)
    expect(replayed.due(0)).toBe(true)
    const { trigger: grown } = trigger()
    expect(grown.due(500)).toBe(false)
    expect(grown.due(501)).toBe(true)
  })

  it('D1: that could not be written is due again with the first transaction after 10 s, 20 s, up to 10 min', () => {
    const { trigger: made, clock } = trigger()
    const waits: number[] = []
    for (let i = 0; i < 8; i++) {
      const ms = made.failed()
      waits.push(ms / 1000)
      clock.nowMs += ms - 1
      expect(made.due(0)).toBe(false)
      clock.nowMs++
      expect(made.due(0)).toBe(true)
    }
    expect(waits).toEqual([10, 20, 40, 80, 160, 320, 600, 600])
    made.written()
    expect(made.failed()).toBe(10_000)
  })
})
