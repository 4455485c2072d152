/**
 * Seeded simulation of whole ensembles.
 *
 *   npm run simulate -- [--seed N] [--seeds K] [--story] [--faults KIND,...]
 *
 * Exit code: 0 all held; 2 a crash, 3 no progress (liveness), 4 a broken law (safety). A failure prints its seed and its
 * story; the same seed tells the same story again.
 */

import { parseArgs } from 'node:util'
import { Counts } from './counts.ts'
import { EXIT_CODES } from './failure.ts'
import type { FaultKind } from './faults.ts'
import { type RunResult, runSeed } from './run.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    story: { type: 'boolean', default: false },
    faults: { type: 'string', default: '' },
    'stop-after': { type: 'string', default: '1' },
    lines: { type: 'string', default: '120' },
  },
})

const STORY_LINES = Number(values.lines)
const faults = values.faults === '' ? null : (values.faults.split(',') as FaultKind[])

async function once(seed: number, keepStory: boolean): Promise<RunResult> {
  return runSeed(seed, { keepStory, faults })
}

const totals = new Counts()
const started = performance.now()
const first = Number(values.seed)
let code = 0
let failed = 0
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  const result = await once(seed, values.story)
  totals.add(result.counts)
  if (values.story) for (const line of result.story) console.log(line)
  if (result.failure === null) continue
  failed++
  code = Math.max(code, EXIT_CODES[result.failure.kind])
  const again = values.story ? result : await once(seed, true)
  if (!values.story) for (const line of again.story.slice(-STORY_LINES)) console.log(line)
  console.log(`seed ${seed}: ${result.failure.kind} failure: ${result.failure.message}`)
  if (again.hash !== result.hash) console.log(`seed ${seed} told another story the second time: not deterministic`)
  if (failed >= Number(values['stop-after'])) break
}
for (const line of totals.lines()) console.log(line)
const seconds = (performance.now() - started) / 1000
console.log(`${totals.runs - failed} passed, ${failed} failed, ${(totals.runs / seconds).toFixed(1)} runs/s`)
process.exit(code)
