/**
 * Every fault that a server of this kind is to survive is met: seeded runs count it when they come into it (COUNTED; `npm run
 * simulate` shows what they did not come into), or a test of another level is named for it here.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { COUNTED } from './counts.ts'

const TESTS = join(import.meta.dirname, '..')

const FAULTS: readonly string[] = Object.entries({ C: 16, D: 11, E: 14, N: 9, S: 9, T: 5 }).flatMap(([letter, count]) =>
  Array.from({ length: count }, (_, i) => `${letter}${i + 1}`),
)

/** What seeded runs do not count, and who plays it. */
const ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  C2: ['simulation/scenarios/crash.txt', 'unit/txnlog/txnlog.test.ts'],
  C6: ['disk/crash.test.ts', 'unit/txnlog/purge.test.ts'],
  C12: ['disk/member.test.ts', 'unit/txnlog/lock.test.ts'],
  D4: ['simulation/scenarios/damage.txt', 'unit/txnlog/logfile.test.ts'],
  D5: ['unit/txnlog/logfile.test.ts'],
  D6: ['simulation/scenarios/damage.txt', 'unit/txnlog/recover.test.ts'],
  D7: ['unit/txnlog/recover.test.ts'],
  D8: ['unit/datatree/model.test.ts', 'unit/txnlog/recover.test.ts'],
  D9: ['unit/txnlog/lock.test.ts', 'unit/cli/commands.test.ts'],
  D10: ['unit/datatree/model.test.ts'],
  D11: ['unit/txnlog/java.test.ts'],
  E5: ['simulation/scenarios/election.txt', 'simulation/scenarios/zookeeper.txt'],
  E6: ['simulation/scenarios/election.txt', 'unit/zab/election.test.ts'],
  E8: ['simulation/scenarios/election.txt', 'unit/zab/peer.test.ts'],
  E11: ['unit/server/member.test.ts'],
  E12: ['simulation/scenarios/damage.txt', 'unit/txnlog/identity.test.ts'],
  E13: ['simulation/scenarios/damage.txt', 'unit/server/healing.test.ts'],
  E14: ['simulation/scenarios/zookeeper.txt', 'unit/server/roles.test.ts'],
  N9: ['conformance/badinput/costly.test.ts', 'unit/zab/links.test.ts'],
  S3: ['simulation/scenarios/sessions.txt', 'unit/server/sessions.test.ts'],
  S7: ['conformance/badinput/costly.test.ts'],
  S8: ['conformance/badinput/costly.test.ts', 'unit/server/pipeline.test.ts'],
  S9: ['conformance/badinput/badinput.test.ts'],
}

/** The titles of tests, or of text scenarios. */
function titles(file: string): string {
  const text = readFileSync(join(TESTS, file), 'utf8')
  return (text.match(file.endsWith('.txt') ? /^#.*/gm : /\b(?:it|test|describe)\(\s*['"`].*/g) ?? []).join('\n')
}

/** "C1 to C6" and "S4-S6" name what lies between, too. */
function names(text: string, id: string): boolean {
  if (new RegExp(`\\b${id}\\b`).test(text)) return true
  const [letter, number] = [id[0], Number(id.slice(1))]
  const ranges = text.matchAll(new RegExp(`\\b${letter}(\\d+)(?: to |-)${letter}(\\d+)\\b`, 'g'))
  return [...ranges].some(([, first, last]) => number >= Number(first) && number <= Number(last))
}

describe('every fault of the list', () => {
  it('is counted by seeded runs, or is named with the tests that play it', () => {
    expect(FAULTS.filter((id) => !COUNTED.includes(id))).toEqual(Object.keys(ELSEWHERE))
  })

  for (const [id, files] of Object.entries(ELSEWHERE)) {
    it(`${id} stands in a title of ${files.join(' and ')}`, () => {
      expect(files.filter((file) => !names(titles(file), id))).toEqual([])
    })
  }
})
