/** The lines kept from one run to the next. */

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { historyFile, isKept, LINES_MAX, readHistory, writeHistory } from '../../../../src/cli/zkcli/linehistory.ts'

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'zkcli-history-'))
})

afterEach(() => rmSync(dir, { recursive: true }))

test('are in the file that ZKCLI_HISTORY names, in none, or in the folder for state', () => {
  expect(historyFile({ ZKCLI_HISTORY: '/x/y' }, '/home/a')).toBe('/x/y')
  expect(historyFile({ ZKCLI_HISTORY: '' }, '/home/a')).toBe(null)
  expect(historyFile({ XDG_STATE_HOME: '/s' }, '/home/a')).toBe('/s/zoowarden/zkcli_history')
  expect(historyFile({}, '/home/a')).toBe('/home/a/.local/state/zoowarden/zkcli_history')
  expect(historyFile({}, '')).toBe(null)
})

test('come back, the last thousand of them, from a file for their owner only', () => {
  const file = join(dir, 'deep', 'history')
  const lines = Array.from({ length: LINES_MAX + 5 }, (_, i) => `ls /${i}`)
  writeHistory(file, lines)
  expect(readHistory(file)).toEqual(lines.slice(5))
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readFileSync(file, 'utf8').endsWith('\n')).toBe(true)
})

test('have no credentials and no empty lines among them', () => {
  expect(['ls /', ' addauth digest a:b', 'addauth', '', '  '].filter(isKept)).toEqual(['ls /'])
})

test('that cannot be read or written cost nothing', () => {
  const file = join(dir, 'file')
  writeFileSync(file, '')
  expect(readHistory(join(dir, 'none'))).toEqual([])
  expect(() => writeHistory(join(file, 'below'), ['x'])).not.toThrow()
})
