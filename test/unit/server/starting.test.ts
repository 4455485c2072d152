/** How far a start is, in the log and on a terminal, and what the words say meanwhile. */

import { describe, expect, it } from 'vitest'
import { Starting, standingOf } from '../../../src/server/report/starting.ts'
import type { RecoverProgress } from '../../../src/txnlog/recover.ts'

const MB = 1_000_000
const SNAPSHOT: RecoverProgress = {
  kind: 'snapshot',
  file: '/data/version-2/snapshot.7',
  bytes: 0,
  bytesBefore: 0,
  bytesTotal: 400 * MB,
  count: 0,
}

describe('the progress of a start', () => {
  it('is a line every three seconds: file, percent, znodes, and the speed since the line before', () => {
    const starting = new Starting()
    starting.begin(1000)
    expect(starting.onProgress({ ...SNAPSHOT, bytes: 50 * MB, count: 100 }, 2000)).toBe(null)
    expect(starting.onProgress({ ...SNAPSHOT, bytes: 150 * MB, count: 300 }, 4000)).toEqual({
      file: '/data/version-2/snapshot.7',
      percent: 37,
      znodes: 300,
      mbPerSecond: 50,
    })
    const log = { ...SNAPSHOT, kind: 'log', file: '/data/version-2/log.8', bytesBefore: 300 * MB } as const
    expect(starting.onProgress({ ...log, bytes: 60 * MB, count: 9 }, 7000)).toEqual({
      file: '/data/version-2/log.8',
      percent: 90,
      txns: 9,
      mbPerSecond: 70,
    })
    expect(starting.percent).toBe(90)
    starting.end()
    expect(starting.percent).toBe(100)
  })

  it('is never at its end before the end', () => {
    const starting = new Starting()
    starting.begin(0)
    starting.onProgress({ ...SNAPSHOT, bytes: 400 * MB }, 1)
    expect(starting.percent).toBe(99)
    starting.onProgress({ ...SNAPSHOT, bytes: 0, bytesTotal: 0 }, 2)
    expect(starting.percent).toBe(0)
  })

  it('is a bar on a terminal', () => {
    const starting = new Starting()
    starting.begin(0)
    expect(starting.bar(0)).toBe('')
    starting.onProgress({ ...SNAPSHOT, bytes: 200 * MB, count: 1_234_567 }, 2000)
    expect(starting.bar(2000)).toBe('loading [###############...............] 50%  1,234,567 znodes  100 MB/s')
  })
})

describe('what the words say', () => {
  const starting = new Starting()
  starting.begin(0)
  starting.onProgress({ ...SNAPSHOT, bytes: 100 * MB }, 1)

  it('nothing of its own where a server only looks for a leader', () => {
    expect(standingOf(starting, false, null)).toBe(null)
  })

  it('how far a start is', () => {
    expect(standingOf(starting, true, null)).toEqual({
      reason: 'starting, 25% of the data loaded',
      values: [
        ['storage_full', 0],
        ['startup_progress', 25],
      ],
    })
  })

  it('D1: that there is no room, and while coming back both', () => {
    expect(standingOf(starting, false, 'no room')).toEqual({
      reason: 'no room',
      values: [
        ['storage_full', 1],
        ['startup_progress', 25],
      ],
    })
    expect(standingOf(starting, true, 'no room')!.reason).toBe('no room; starting, 25% of the data loaded')
  })
})
