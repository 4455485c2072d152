/**
 * Loses the power at every call of the disk in two fixed workloads, and starts again.
 *
 *   npm run test:crash -- [--seed N] [--turns N] [--every N] [--workload alone,memberLevel,...] [--point N]
 *                         [--mutants | --mutant NAME]
 *
 * --mutant runs on a copy of the server with a deliberate fault, which some point must find; --mutants does so with all.
 * --point repeats one point of a failure. Exit code: 0 all held, 1 not.
 */

import { cpSync, existsSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { apply, shrinkPages } from '../simulation/patches.ts'
import type { Explored, ExploreOptions, WorkloadName } from './explore.ts'
import { STORAGE_MUTANTS } from './patches.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '3' },
    turns: { type: 'string', default: '60' },
    every: { type: 'string', default: '1' },
    workload: { type: 'string', default: '' },
    point: { type: 'string' },
    mutant: { type: 'string', default: '' },
    mutants: { type: 'boolean', default: false },
  },
})

/** The compiled copy: this file is compiled to <root>/test/disk/main.js. */
const built = resolve(fileURLToPath(import.meta.url), '../../..')
const folder = resolve(built, '..')

const OPTIONS: ExploreOptions = {
  seed: Number(values.seed),
  turns: Number(values.turns),
  every: Number(values.every),
  endsMax: 6,
  secondEvery: 40,
  goOnEvery: 12,
  only: values.point === undefined ? null : Number(values.point),
}

/** A deliberate fault is to be found by the loss at a point alone. */
const ONE_LOSS = { secondEvery: Number.POSITIVE_INFINITY, goOnEvery: Number.POSITIVE_INFINITY }

/** Not before the copy is as it has to be: what is imported stays as it was. */
async function loadFrom(root: string): Promise<typeof import('./explore.ts')> {
  return import(pathToFileURL(resolve(root, 'test/disk/explore.js')).href)
}

async function exploreIn(root: string, name: string, options: ExploreOptions): Promise<Explored> {
  return (await loadFrom(root)).explore(name as WorkloadName, options)
}

/** Returns the number of workloads that failed. */
async function run(root: string): Promise<number> {
  let failed = 0
  for (const name of workloads) {
    const startMs = performance.now()
    const { points, pointsTried, kinds, losses, secondLosses, continuations, failure } = await exploreIn(
      root,
      name,
      OPTIONS,
    )
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
    console.log(
      `${name}: ${points} calls of ${kinds.size} kinds, power lost at ${pointsTried} of them: ${losses} losses, ` +
        `${secondLosses} more in the start behind one, ${continuations} times gone on with (${seconds} s)`,
    )
    if (failure === null) continue
    failed++
    console.log(`FAILED ${failure}`)
  }
  return failed
}

/** Returns whether some point gives the fault away. */
async function find(name: string): Promise<boolean> {
  const { what, patches } = STORAGE_MUTANTS.find((mutant) => mutant.name === name)!
  const copy = resolve(folder, `.build-${name}`)
  if (existsSync(copy)) rmSync(copy, { recursive: true })
  cpSync(built, copy, { recursive: true })
  const startMs = performance.now()
  let found: string | null = null
  try {
    apply(copy, patches)
    for (const workload of workloads) {
      found ??= (await exploreIn(copy, workload, { ...OPTIONS, ...ONE_LOSS })).failure
    }
  } finally {
    rmSync(copy, { recursive: true })
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
  console.log(`${found === null ? 'NOT FOUND' : 'found    '} ${name}: ${what} (${seconds} s)`)
  if (found !== null) console.log(`          ${found}`)
  return found !== null
}

shrinkPages(built)
const workloads = values.workload === '' ? (await loadFrom(built)).WORKLOAD_NAMES : values.workload.split(',')
let failed = 0
if (values.mutants || values.mutant !== '') {
  const names = values.mutants ? STORAGE_MUTANTS.map(({ name }) => name) : [values.mutant]
  for (const name of names) if (!(await find(name))) failed++
  console.log(`${names.length - failed} passed, ${failed} failed`)
} else {
  failed = await run(built)
}
process.exit(failed === 0 ? 0 : 1)
