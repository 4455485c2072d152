/**
 * Runs cases in a process of its own, so that the main one can see it hang, run out of memory or die in native code.
 * Arguments: the options as JSON, and the file in which it writes how many cases it has begun and the seed in hand.
 */

import { openSync, writeSync } from 'node:fs'
import { type RunOptions, run } from './run.ts'

const [optionsText, progressFile] = process.argv.slice(2)
const progress = openSync(progressFile!, 'r+')
let begun = 0

// What nobody waits for must not fail either.
process.on('unhandledRejection', (err) => {
  throw err
})
const result = await run(JSON.parse(optionsText!) as RunOptions, (seed) => {
  begun++
  writeSync(progress, `${begun} ${seed}`.padEnd(40), 0)
})
process.send!(result, () => process.exit(0))
