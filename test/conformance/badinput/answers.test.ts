/**
 * Answers to bad input against those of Apache ZooKeeper 3.9.5 (fixtures/answers.txt: `INDEX ANSWER` a line).
 *
 * The fixture is written by this test itself, from a server whose data directory is new, with BADINPUT_SERVER=HOST:PORT
 * and BADINPUT_RECORD=first. With BADINPUT_RECORD=again, on a new server again, whatever is answered differently leaves
 * the fixture: it was chance.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { OpCode } from '../../../src/jute/codes.ts'
import { readInt } from '../../../src/jute/input.ts'
import { type Attack, harmsJava, readCorpus } from './attacks.ts'
import { type Answer, answersOf } from './solo.ts'
import { ownTarget, remoteTarget, type Target } from './target.ts'

const SEED = 1805
const COUNT = 4000
const SERVER = process.env['BADINPUT_SERVER']
const FIXTURE = new URL('fixtures/answers.txt', import.meta.url)

let target: Target
let answers: Map<number, Answer>

beforeAll(async () => {
  target = SERVER === undefined ? await ownTarget() : remoteTarget(SERVER)
  answers = await answersOf(target.address, readCorpus(), SEED, COUNT, harmsJava)
  const record = process.env['BADINPUT_RECORD']
  if (record === undefined) return
  const before = record === 'again' ? new Set(readFileSync(FIXTURE, 'utf8').split('\n')) : null
  const rows = [...answers].map(([index, { line }]) => `${index} ${line}`)
  writeFileSync(FIXTURE, rows.filter((row) => before === null || before.has(row)).join('\n') + '\n')
}, 600_000)

afterAll(() => target?.stop())

/** Where we answer otherwise on purpose. */
const DELIBERATE: readonly { why: string; is(attack: Attack, ours: string, java: string): boolean }[] = [
  {
    why: 'Java lets a part of the body escape behind the error code',
    is: ({ bytes }, ours, java) => readInt(bytes, 8) === OpCode.multiRead && ours === '-5/16' && java.startsWith('-5/'),
  },
]

test('S9: bad input is answered as Java answers it', () => {
  const differences: string[] = []
  for (const row of readFileSync(FIXTURE, 'utf8').trimEnd().split('\n')) {
    const space = row.indexOf(' ')
    const { attack, line } = answers.get(Number(row.slice(0, space)))!
    const expected = row.slice(space + 1)
    if (line === expected || DELIBERATE.some(({ is }) => is(attack, line, expected))) continue
    const hex = Buffer.from(attack.bytes.subarray(0, 400)).toString('hex')
    differences.push(`${row.slice(0, space)} ${attack.name}: '${line}', Java '${expected}'; ${hex}`)
  }
  expect(differences).toEqual([])
})
