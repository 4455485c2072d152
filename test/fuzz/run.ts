/** Many cases of one kind, one after the other. */

import { makeBases } from './bases.ts'
import { type Case, caseOf, type Kind, type Material } from './cases.ts'
import { makeCheckpoint } from './checkpoint.ts'
import { judge, type Outcome } from './judge.ts'
import { makeSamples } from './samples.ts'
import { makeArchive } from './tools.ts'

export interface RunOptions {
  kind: Kind
  /** The first seed; each case has the next one. */
  seed: number
  count: number
  /** No case begins later than so long after the start; 0 is off. */
  limitMs: number
  /** Recorded folders of real servers. */
  fixtures: string
}

export interface Failure {
  seed: number
  problem: string
  case: Case
}

export interface RunResult {
  cases: number
  counts: Partial<Record<Outcome, number>>
  failures: Failure[]
  slowestMs: number
  /** Buffers taken by one case. */
  mostBytes: number
}

/** Buffers that a case may take: a few states, a file, and what a limit of 2 MiB an item makes of it. */
const BYTES_MAX = 96 * 1024 * 1024
const FAILURES_MAX = 10

/** The case of a seed. */
export async function caseAgain({ kind, fixtures }: RunOptions, seed: number): Promise<Case> {
  return caseOf(kind, seed, await makeMaterial(kind, fixtures))
}

export async function makeMaterial(kind: Kind, fixtures: string): Promise<Material> {
  const samples = await makeSamples(kind, fixtures)
  // Kinds with samples of their own know nothing of folders.
  const bases = samples.length > 0 ? [] : await makeBases(fixtures)
  const archive = kind === 'archive' ? await makeArchive(bases[0]!) : null
  const checkpoint = kind === 'checkpoint' ? await makeCheckpoint(bases[0]!) : null
  return { bases, archive, checkpoint, samples }
}

/** `onCase` is told each seed before its case runs. */
export async function run(options: RunOptions, onCase: (seed: number) => void = () => {}): Promise<RunResult> {
  const { kind, seed: first, count, limitMs } = options
  const material = await makeMaterial(kind, options.fixtures)
  const result: RunResult = { cases: 0, counts: {}, failures: [], slowestMs: 0, mostBytes: 0 }
  const startMs = performance.now()
  for (let seed = first; seed < first + count && result.failures.length < FAILURES_MAX; seed++) {
    if (limitMs > 0 && performance.now() - startMs > limitMs) break
    onCase(seed)
    const each = caseOf(kind, seed, material)
    const caseMs = performance.now()
    const bytesBefore = process.memoryUsage().arrayBuffers
    const { outcome, problem } = await judge(each, material)
    const bytes = process.memoryUsage().arrayBuffers - bytesBefore
    result.cases++
    result.counts[outcome] = (result.counts[outcome] ?? 0) + 1
    result.slowestMs = Math.max(result.slowestMs, performance.now() - caseMs)
    result.mostBytes = Math.max(result.mostBytes, bytes)
    const found = problem ?? (bytes > BYTES_MAX ? `${bytes} bytes of buffers were taken` : null)
    if (found !== null) result.failures.push({ seed, problem: found, case: each })
  }
  return result
}
