/**
 * A well-behaved client that reads and writes now and then and notes how long it takes, in a thread of its own: what the
 * crowd's thread is busy with must not count as the server's time.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { LoadClient } from './client.mjs'

export class Bystander {
  static async start(port, everyMs = 10) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { port, everyMs } })
    const watch = new Bystander(worker)
    await watch.ask('take')
    return watch
  }

  constructor(worker) {
    this.worker = worker
  }

  ask(what) {
    return new Promise((resolve, reject) => {
      this.worker.once('message', resolve)
      this.worker.once('error', reject)
      this.worker.postMessage(what)
    })
  }

  /** {requests, p50, p99, max} in ms since the last time. */
  take() {
    return this.ask('take')
  }

  /** What has gone wrong, as text; null: nothing. */
  failure() {
    return this.ask('failure')
  }

  stop() {
    void this.worker.terminate()
  }
}

async function watch({ port, everyMs }) {
  const client = await LoadClient.open({ port, timeoutMs: 20_000 })
  await client.create('/bystander', Buffer.from('x'))
  let latencies = []
  let failure = null
  let step = 0
  const failed = (error) => {
    failure ??= error.message
  }
  client.onClosed = failed
  let busy = false
  // One at a time: what it waits for is an answer, not its own earlier questions.
  setInterval(() => {
    if (busy) return
    busy = true
    const done = step++ % 2 === 0 ? client.set('/bystander', Buffer.from('y')) : client.get('/bystander')
    done.then(({ err, ms }) => {
      busy = false
      if (err !== 0) failed(new Error(`error ${err}`))
      latencies.push(ms)
    }, failed)
  }, everyMs)
  parentPort.on('message', (what) => {
    if (what === 'failure') {
      parentPort.postMessage(failure)
      return
    }
    const sorted = latencies.sort((a, b) => a - b)
    latencies = []
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
    parentPort.postMessage({ requests: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) })
  })
}

if (!isMainThread) await watch(workerData)
