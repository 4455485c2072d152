import { readdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cleanup } from '../../../src/tools/cleanup.ts'
import { UsageError } from '../../../src/tools/terminal.ts'
import { disk, failureOf, fixtureData, LENGTH_MAX, RecordingTerminal, startedFrom } from './helpers.ts'

describe('cleanup', () => {
  it('keeps the newest snapshots and the logs that lead on from the oldest of them, and says what goes', async () => {
    const dir = fixtureData('snappy')
    const before = await startedFrom(dir)
    const terminal = new RecordingTerminal()
    expect(await cleanup(disk, dir, dir, 3, LENGTH_MAX, terminal)).toBe(0)
    expect(readdirSync(join(dir, 'version-2')).sort()).toEqual([
      'log.6a',
      'log.83',
      'log.9d',
      'log.b8',
      'snapshot.82.snappy',
      'snapshot.9b.snappy',
      'snapshot.b6.snappy',
    ])
    const lines = terminal.output.trimEnd().split('\n')
    expect(lines).toHaveLength(9)
    for (const line of lines)
      expect(line).toMatch(/^Removing file: \w{3} \d+, \d{4}, \d+:\d\d:\d\d [AP]M\t\/.*version-2\/\S+$/)
    expect((await startedFrom(dir)).zxidLast).toBe(before.zxidLast)
  })

  it('does not count a snapshot that does not verify, and removes nothing where none does', async () => {
    const dir = fixtureData('plain')
    truncateSync(join(dir, 'version-2', 'snapshot.36'), 900)
    const terminal = new RecordingTerminal()
    await cleanup(disk, dir, dir, 3, LENGTH_MAX, terminal)
    expect(terminal.output).toBe('')
    expect(terminal.errors.join()).toContain('snapshot.36')
  })

  it('takes no count below three, and no folder that is not there', async () => {
    const dir = fixtureData('plain')
    for (const count of [2, 0, -1, 3.5, Number.NaN]) {
      const failure = await failureOf(cleanup(disk, dir, dir, count, LENGTH_MAX, new RecordingTerminal()))
      expect(failure, `${count}`).toBeInstanceOf(UsageError)
    }
    const failure = await failureOf(cleanup(disk, '/nowhere', dir, 3, LENGTH_MAX, new RecordingTerminal()))
    expect(failure.message).toBe("Path '/nowhere' does not exist. ")
  })
})
