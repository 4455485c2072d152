/** Runs cases in a thread of its own, so that the main one can see it hang or run out of memory. */

import { parentPort, workerData } from 'node:worker_threads'
import { type RunOptions, run } from './run.ts'

const { options, progress } = workerData as { options: RunOptions; progress: Int32Array }

// What nobody waits for must not fail either; the default would only end the thread.
process.on('unhandledRejection', (err) => {
  throw err
})
const result = await run(options, (seed) => {
  Atomics.store(progress, 0, seed)
  Atomics.add(progress, 1, 1)
})
parentPort!.postMessage(result)
