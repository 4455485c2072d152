/**
 * The bad-input proof. `npm test` runs a small siege; `npm run test:badinput` one of 100,000 attacks.
 *
 * Environment, all optional: BADINPUT_COUNT attacks under BADINPUT_SEED; BADINPUT_SERVER=HOST:PORT takes a server that
 * already runs, and BADINPUT_SPARE=java leaves out what is known to make a Java server exit or lose its place.
 */

import { afterAll, beforeAll, expect, test } from 'vitest'
import { attackOf, harmsJava, readCorpus } from './attacks.ts'
import { openSession } from './connection.ts'
import { besiege, endOf, type Report } from './siege.ts'
import { ownTarget, remoteTarget, type Target } from './target.ts'

const COUNT = Number(process.env['BADINPUT_COUNT'] ?? 5000)
const SEED = Number(process.env['BADINPUT_SEED'] ?? 395)
const SERVER = process.env['BADINPUT_SERVER']
const SPARE_JAVA = process.env['BADINPUT_SPARE'] === 'java'
const DEADLINE_MS = 15_000
/** Twice the ten seconds a connection without a session may be silent, and the granularity of noticing. */
const IDLE_DEADLINE_MS = 40_000
/** What the heap of a server may differ by between two moments that have nothing to do with leaks. */
const GROWTH_BYTES_MAX = 100 << 20

let target: Target
let report: Report
let warmBytes: number | null = null
let finalBytes: number | null = null

beforeAll(async () => {
  target = SERVER === undefined ? await ownTarget() : remoteTarget(SERVER)
  report = await besiege({
    address: target.address,
    corpus: readCorpus(),
    seed: SEED,
    count: COUNT,
    lanes: 12,
    deadlineMs: DEADLINE_MS,
    idleDeadlineMs: IDLE_DEADLINE_MS,
    spare: SPARE_JAVA ? harmsJava : () => false,
    onWarm: () => {
      warmBytes = target.residentBytes()
    },
  })
  finalBytes = target.residentBytes()
  if (COUNT > 5000) console.log(summary())
}, 1_800_000)

afterAll(() => target?.stop())

function summary(): string {
  const outcomes = [...report.outcomes].sort().map(([outcome, count]) => `  ${String(count).padStart(7)}  ${outcome}`)
  const mib = (bytes: number | null): string => (bytes === null ? '?' : (bytes / 2 ** 20).toFixed(1))
  return [
    `seed ${SEED}: ${report.attacks} attacks on ${report.sessions} sessions`,
    `well-behaved client: ${report.citizenRounds} rounds, ${report.citizenAnswers} answers`,
    `resident MiB: ${mib(warmBytes)} at a fifth, ${mib(finalBytes)} at the end`,
    ...outcomes,
  ].join('\n')
}

test('S9: every bad frame ends in a reply or a closed connection, and a half frame does not hang forever', () => {
  expect(report.problems).toEqual([])
  expect(report.attacks).toBeGreaterThan(COUNT * 0.8)
})

test('S9: a well-behaved client gets every answer it should meanwhile', () => {
  expect(report.citizenRounds).toBeGreaterThan(0)
})

test('S9: the server is still up and takes new sessions', async () => {
  expect(target.ended()).toBe(null)
  const session = await openSession(target.address, 5000, DEADLINE_MS)
  expect(session).not.toBe(null)
  session!.reset()
})

test('S9: memory stays flat', () => {
  // Of a server elsewhere nothing is known.
  if (warmBytes === null || finalBytes === null) return
  expect(finalBytes - warmBytes).toBeLessThan(GROWTH_BYTES_MAX)
})

test('S9: the log holds no error and no stack trace', () => {
  expect(target.complaints()).toEqual([])
})

test('the same seed makes the same attacks, and they are of every kind', () => {
  const corpus = readCorpus()
  const ends = new Map<string, number>()
  const names = new Set<string>()
  for (let index = 0; index < 3000; index++) {
    const attack = attackOf(corpus, 1, index)
    const again = attackOf(corpus, 1, index)
    if (again.name !== attack.name || again.cutAt !== attack.cutAt || Buffer.compare(again.bytes, attack.bytes) !== 0) {
      throw new Error(`attack ${index} differs`)
    }
    const end = `${attack.stage} ${endOf(attack.bytes, attack.stage === 'fresh')}`
    ends.set(end, (ends.get(end) ?? 0) + 1)
    names.add(attack.name)
  }
  for (const end of [
    'fresh edge',
    'fresh inside',
    'fresh refused',
    'fresh word',
    'session edge',
    'session inside',
    'session refused',
  ]) {
    expect(ends.get(end), end).toBeGreaterThan(10)
  }
  expect(names.size).toBeGreaterThan(300)
})
