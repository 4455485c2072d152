/** Many seeds one after the other: what failed, with its story, and what was met in all of them. */

import { Counts } from './counts.ts'
import { EXIT_CODES } from './failure.ts'
import type { FaultKind } from './faults.ts'
import { type RunResult, runSeed } from './run.ts'

export interface CampaignOptions {
  seed: number
  seeds: number
  /** Print every line. */
  story: boolean
  /** Comma separated kinds of faults; '' draws them. */
  faults: string
  /** Short runs. */
  brief: boolean
  /** Ends after so many failures. */
  stopAfter: number
  /** Lines of a failed story that are printed. */
  lines: number
  /** One line per failure, no summary. */
  quiet?: boolean
}

export interface CampaignResult {
  code: number
  /** Seeds that failed. */
  failed: number[]
}

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { seed: first, seeds, story, lines, brief, quiet = false } = options
  const faults = options.faults === '' ? null : (options.faults.split(',') as FaultKind[])
  const once = (seed: number, keepStory: boolean): Promise<RunResult> => runSeed(seed, { keepStory, faults, brief })
  // A promise that nobody waits for has failed: the production code never leaves one.
  let stray: unknown = null
  const onStray = (err: unknown): void => {
    stray ??= err
  }
  process.on('unhandledRejection', onStray)
  const totals = new Counts()
  const startMs = performance.now()
  let code = 0
  const failed: number[] = []
  for (let seed = first; seed < first + seeds; seed++) {
    const result = await once(seed, story)
    if ((seed - first + 1) % 100 === 0) console.error(`${seed - first + 1} seeds, ${failed.length} failed`)
    totals.add(result.counts)
    if (story) for (const line of result.story) console.log(line)
    if (result.failure === null && stray === null) continue
    failed.push(seed)
    code = Math.max(code, result.failure === null ? EXIT_CODES.crash : EXIT_CODES[result.failure.kind])
    const again = story || quiet ? result : await once(seed, true)
    if (!story) for (const line of again.story.slice(-lines)) console.log(line)
    if (result.failure !== null) console.log(`seed ${seed}: ${result.failure.kind} failure: ${result.failure.message}`)
    if (stray !== null) console.log(`seed ${seed}: a promise was rejected unheard: ${stray}`)
    if (again.hash !== result.hash) console.log(`seed ${seed} told another story the second time: not deterministic`)
    stray = null
    if (failed.length >= options.stopAfter) break
  }
  process.off('unhandledRejection', onStray)
  if (quiet) return { code, failed }
  for (const line of totals.lines()) console.log(line)
  const seconds = (performance.now() - startMs) / 1000
  console.log(
    `${totals.runs - failed.length} passed, ${failed.length} failed, ${(totals.runs / seconds).toFixed(1)} runs/s`,
  )
  return { code, failed }
}
