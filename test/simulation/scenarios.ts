/** The scenario files, and playing them from the command line. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT_CODES } from './failure.ts'
import { formatScenario, parseScenarios, playScenario, type Scenario } from './scenario.ts'

export function loadScenarios(folder: string): Scenario[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .flatMap((name) => parseScenarios(name, readFileSync(join(folder, name), 'utf8')))
}

export interface PlayOptions {
  folder: string
  /** Part of a title or of a file's name; 'all' takes every one. */
  name: string
  story: boolean
  /** Writes what was printed into the files, to be read as a difference. */
  update: boolean
}

/** Returns the exit code: 1 where something else was printed than expected. */
export async function playScenarios({ folder, name, story, update }: PlayOptions): Promise<number> {
  const files = new Map<string, string[]>()
  let code = 0
  let passed = 0
  let failed = 0
  for (const scenario of loadScenarios(folder)) {
    const wanted = name === 'all' || scenario.title.includes(name) || scenario.file === `${name}.txt`
    const outcome = wanted ? await playScenario(scenario, story) : null
    const printed = outcome?.printed ?? scenario.expected
    const texts = files.get(scenario.file) ?? []
    files.set(scenario.file, [...texts, formatScenario(scenario, printed)])
    if (outcome === null) continue
    if (story) for (const line of outcome.story) console.log(line)
    const same = outcome.failure === null && printed === scenario.expected
    if (same) passed++
    else failed++
    console.log(`${same ? 'ok    ' : 'DIFFERS'} ${scenario.title}`)
    if (!same) console.log(formatScenario(scenario, printed))
    if (outcome.failure !== null) code = Math.max(code, EXIT_CODES[outcome.failure.kind])
    else if (!same) code = Math.max(code, 1)
  }
  if (update) for (const [file, texts] of files) writeFileSync(join(folder, file), `${texts.join('\n\n')}\n`)
  console.log(`${passed} passed, ${failed} failed`)
  return code
}
