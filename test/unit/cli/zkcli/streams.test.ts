/** What is written where, in which order, and when. */

import { expect, test } from 'vitest'
import { GatheredStreams, progressText } from '../../../../src/cli/zkcli/streams.ts'

function kit(errIsTerminal: boolean, outIsTerminal = false) {
  const written: string[] = []
  const tasks: (() => void)[] = []
  const clock = { nowMs: 0 }
  const streams = new GatheredStreams({
    out: (text) => written.push(`out ${text}`),
    err: (text) => written.push(`err ${text}`),
    nowMs: () => clock.nowMs,
    later: (task) => tasks.push(task),
    outIsTerminal,
    errIsTerminal,
  })
  return { streams, written, tasks, clock }
}

test('lines of one turn leave in one write, ahead of what goes to standard error', () => {
  const { streams, written, tasks } = kit(false)
  streams.out('a\n')
  streams.out('b\n')
  expect([written, tasks.length]).toEqual([[], 1])
  tasks[0]!()
  streams.out('c\n')
  streams.err('d\n')
  expect(written).toEqual(['out a\nb\n', 'out c\n', 'err d\n'])
})

test('a great deal of text does not wait', () => {
  const { streams, written } = kit(false)
  streams.out('x'.repeat(70_000))
  expect(written).toHaveLength(1)
})

test('progress is shown ten times a second at most, and gone before anything else is written', () => {
  const { streams, written, clock } = kit(true)
  streams.progress('deleteall /a', 50, 100)
  streams.progress('deleteall /a', 51, 100)
  clock.nowMs = 100
  streams.progress('deleteall /a', 60, 100)
  streams.err('no\n')
  streams.progress(null, 0, null)
  expect(written).toEqual([
    'err \r\u001b[Kdeleteall /a [###############---------------] 50 of 100',
    'err \r\u001b[Kdeleteall /a [##################------------] 60 of 100',
    'err \r\u001b[K',
    'err no\n',
  ])
})

test('progress waits while lines come on the same terminal', () => {
  const { streams, written, clock } = kit(true, true)
  clock.nowMs = 50
  streams.out('/a\n')
  streams.progress('ls /', 1, null)
  streams.flush()
  clock.nowMs = 149
  streams.progress('ls /', 1, null)
  expect(written).toEqual(['out /a\n'])
})

test('a terminal is shown control characters and does not obey them; a pipe gets them', () => {
  for (const [terminal, expected] of [
    [true, 'out a\tb\\x1b[2J\\x9b\\x7f\n'],
    [false, 'out a\tb\u001b[2J\u009b\u007f\n'],
  ] as const) {
    const { streams, written } = kit(false, terminal)
    streams.out('a\tb\u001b[2J\u009b\u007f\n')
    streams.flush()
    expect(written).toEqual([expected])
  }
})

test('nobody sees progress in a file', () => {
  const { streams, written } = kit(false)
  streams.progress('deleteall /a', 50, 100)
  expect(written).toEqual([])
})

test('of a total that nobody knows the count is shown', () => {
  expect(progressText('ls /', 12, null)).toBe('ls /: 12 znodes')
  expect(progressText('x', 0, 0)).toBe('x: 0 znodes')
  expect(progressText('x', 7, 5)).toBe(`x [${'#'.repeat(30)}] 7 of 5`)
})
