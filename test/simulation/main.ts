/**
 * Seeded simulation of whole ensembles.
 *
 *   npm run simulate -- [--seed N] [--seeds K] [--brief] [--story] [--faults KIND,...] [--scenario NAME|all [--update]]
 *                       [--mutants | --mutant NAME] [--stop-after N] [--lines N]
 *
 * --mutant runs on a copy of the server with a deliberate fault, which some seed must find; --mutants does so with all.
 * Exit code: 0 all held; 2 a crash, 3 no progress (liveness), 4 a broken law (safety). A failure prints its seed and the
 * end of its story; the same seed tells the same story again.
 */

import { cpSync, existsSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { CampaignOptions, CampaignResult } from './campaign.ts'
import { MUTANTS } from './mutants.ts'
import { apply, shrinkPages, shrinkSlices } from './patches.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    story: { type: 'boolean', default: false },
    brief: { type: 'boolean', default: false },
    faults: { type: 'string', default: '' },
    scenario: { type: 'string', default: '' },
    update: { type: 'boolean', default: false },
    mutant: { type: 'string', default: '' },
    mutants: { type: 'boolean', default: false },
    'stop-after': { type: 'string', default: '1' },
    lines: { type: 'string', default: '120' },
  },
})

const MUTANT_SEEDS = 2000

/** The compiled copy: this file is compiled to <root>/test/simulation/main.js. */
const built = resolve(fileURLToPath(import.meta.url), '../../..')
const folder = resolve(built, '..')

/** Runs on the copy in `root`. */
async function campaign(root: string, options: Partial<CampaignOptions>): Promise<CampaignResult> {
  const url = pathToFileURL(resolve(root, 'test/simulation/campaign.js')).href
  const { runCampaign } = (await import(url)) as typeof import('./campaign.ts')
  return runCampaign({
    seed: Number(values.seed),
    seeds: Number(values.seeds),
    story: values.story,
    faults: values.faults,
    brief: values.brief,
    stopAfter: Number(values['stop-after']),
    lines: Number(values.lines),
    ...options,
  })
}

/** A copy for this mutant; sources are compiled already. */
function mutated(name: string): string {
  const mutant = MUTANTS.find((each) => each.name === name)
  if (mutant === undefined)
    throw new Error(`no mutant ${name}; there are ${MUTANTS.map((each) => each.name).join(', ')}`)
  const copy = resolve(folder, `.build-${name}`)
  if (existsSync(copy)) rmSync(copy, { recursive: true })
  cpSync(built, copy, { recursive: true })
  apply(copy, mutant.patches)
  return copy
}

/**
 * The server as it is must pass every seed up to the one that gives the fault away: a seed that fails without the fault
 * proves nothing of it.
 */
async function runMutants(): Promise<number> {
  let missed = 0
  for (const { name, what } of MUTANTS) {
    const startMs = performance.now()
    let root: string
    try {
      root = mutated(name)
    } catch (err) {
      missed++
      console.log(`NOT RUN    ${name}: ${err instanceof Error ? err.message : err}`)
      continue
    }
    const { failed } = await campaign(root, { seeds: MUTANT_SEEDS, brief: true, stopAfter: 1, quiet: true })
    rmSync(root, { recursive: true })
    const seed = failed[0]
    const control = seed === undefined ? null : await campaign(built, { seed, seeds: 1, brief: true, quiet: true })
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
    const verdict = control === null ? 'NOT FOUND ' : control.code !== 0 ? 'NOT PROVEN' : 'found     '
    if (control?.code !== 0) missed++
    console.log(`${verdict} ${name}: ${what} (${seed === undefined ? '' : `seed ${seed}, `}${seconds} s)`)
  }
  console.log(`${MUTANTS.length - missed} passed, ${missed} failed`)
  return missed
}

shrinkPages(built)
if (values.scenario === '') shrinkSlices(built)
let code: number
if (values.scenario !== '') {
  const { playScenarios } = await import('./scenarios.ts')
  const { scenario: name, story, update } = values
  code = await playScenarios({ folder: resolve(folder, 'scenarios'), name, story, update })
} else if (values.mutants) {
  code = (await runMutants()) === 0 ? 0 : 1
} else if (values.mutant !== '') {
  const root = mutated(values.mutant)
  code = (await campaign(root, values.seeds === '1' ? { seeds: MUTANT_SEEDS } : {})).code
  rmSync(root, { recursive: true })
} else {
  code = (await campaign(built, {})).code
}
process.exit(code)
