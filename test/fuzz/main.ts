/**
 * Damaged input: starts, tools, restores, logins and members on seeded mutations of what they read. What must come of it
 * is in judge.ts, and beside it for each kind.
 *
 *   npm run test:fuzz -- [--kind KIND,...] [--count N] [--seed S] [--seconds T]
 *
 * Kinds: log, snapshot, epoch, config, tools, archive, checkpoint for files; keystore for TLS; login for tokens and
 * their configuration; quorum for packets between members;
 * http for the admin server.
 *
 * Each kind gets N cases, with the seeds S, S + 1, ...; with --seconds all kinds share that time. A failure prints its
 * seed and keeps the case as a file, which moves to test/fuzz/corpus once it is mended. Exit code 1 if there was any.
 */

import { fork } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { shrinkPages } from '../simulation/patches.ts'
import type { Kind } from './cases.ts'
import type { Failure, RunOptions, RunResult } from './run.ts'

const ALL = 'log,snapshot,epoch,config,tools,archive,checkpoint,keystore,login,quorum,http'
const { values } = parseArgs({
  options: {
    kind: { type: 'string', default: ALL },
    count: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '0' },
  },
})

/** A case that takes longer hangs; it takes milliseconds. */
const HANG_MS = 30_000
/** Of the heap; buffers are counted by each case. */
const HEAP_MB_MAX = 256

/** The compiled copy: this file is compiled to <root>/test/fuzz/main.js, <root> being .build. */
const built = resolve(fileURLToPath(import.meta.url), '../../..')
const fixtures = resolve(built, '../../conformance/fixtures/disk')
shrinkPages(built)
// A server says its version.
copyFileSync(resolve(built, '../../../package.json'), join(built, 'package.json'))

const kinds = values.kind.split(',') as Kind[]
let failed = 0
for (const kind of kinds) {
  const seconds = Number(values.seconds) / kinds.length
  const options: RunOptions = {
    kind,
    seed: Number(values.seed),
    count: seconds > 0 ? Number.MAX_SAFE_INTEGER : Number(values.count),
    limitMs: seconds * 1000,
    fixtures,
  }
  const startMs = performance.now()
  const result = await watched(options)
  failed += result.failures.length
  for (const failure of result.failures) await report(kind, failure)
  const counts = Object.entries(result.counts).map(([outcome, count]) => `${count} ${outcome}`)
  const took = `slowest ${Math.round(result.slowestMs)} ms, most ${(result.mostBytes / 2 ** 20).toFixed(1)} MiB`
  const s = ((performance.now() - startMs) / 1000).toFixed(0)
  print(`${kind}: ${result.cases} cases from seed ${values.seed}: ${counts.join(', ')}; ${took}; ${s} s`)
}
print(failed === 0 ? 'passed' : `${failed} failed`)
process.exit(failed === 0 ? 0 : 1)

/** Runs in a process of its own; a hang, an end without an answer and a death are failures of the case in hand. */
async function watched(options: RunOptions): Promise<RunResult> {
  const folder = mkdtempSync(join(tmpdir(), 'zoowarden-fuzz-run-'))
  const progressFile = join(folder, 'progress')
  writeFileSync(progressFile, '0 0')
  const progress = (): [begun: number, seed: number] => {
    const [begun, seed] = readFileSync(progressFile, 'utf8').split(' ')
    return [Number(begun), Number(seed)]
  }
  const worker = fork(new URL('./worker.js', import.meta.url), [JSON.stringify(options), progressFile], {
    serialization: 'advanced',
    execArgv: [`--max-old-space-size=${HEAP_MB_MAX}`],
  })
  let result: RunResult | null = null
  let last = 0
  let lastMs = performance.now()
  let hangs = false
  worker.on('message', (message: RunResult) => {
    result = message
  })
  const timer = setInterval(() => {
    const [begun] = progress()
    if (begun !== last) lastMs = performance.now()
    else if (performance.now() - lastMs > HANG_MS) {
      hangs = true
      worker.kill('SIGKILL')
    }
    last = begun
  }, 500)
  const end = await new Promise<string>((done) => {
    worker.on('exit', (status, signal) => done(signal ?? `exit status ${status}`))
  })
  clearInterval(timer)
  const [begun, seed] = progress()
  rmSync(folder, { recursive: true })
  if (result !== null) return result
  const problem = hangs ? `no end within ${HANG_MS} ms` : `the process ended by itself: ${end}`
  if (begun === 0) throw new Error(`before the first case: ${problem}`)
  const { caseAgain } = await import('./run.ts')
  const failure: Failure = { seed, problem, case: await caseAgain(options, seed) }
  return { cases: begun, counts: {}, failures: [failure], slowestMs: 0, mostBytes: 0 }
}

async function report(kind: Kind, { seed, problem, case: each }: Failure): Promise<void> {
  const { caseText } = await import('./cases.ts')
  const file = join(mkdtempSync(join(tmpdir(), 'zoowarden-fuzz-case-')), `${kind}-${seed}.json`)
  writeFileSync(file, caseText(each))
  print(`FAILED --kind ${kind} --seed ${seed} --count 1 (${each.base} ${each.file}: ${each.what}): ${problem}`)
  print(`    kept in ${file}`)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
