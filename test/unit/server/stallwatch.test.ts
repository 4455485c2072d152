import { describe, expect, it } from 'vitest'
import { StallWatch } from '../../../src/server/report/stallwatch.ts'

describe('a write that does not end', () => {
  it('D3: is told of when it has taken long, at each doubling, and the next one anew', () => {
    const watch = new StallWatch(1000)
    const told = [0, 500, 1000, 1500, 2000, 3999, 4000, 0, 999, 1000].filter((ms) => watch.isDue(ms))
    expect(told).toEqual([1000, 2000, 4000, 1000])
  })

  it('D3: is not there while nothing is written, whatever the limit', () => {
    expect(new StallWatch(0).isDue(0)).toBe(false)
  })
})
