/**
 * npm run test:load — many clients, and unkind ones. Each case says what it measured and fails where something was lost or
 * grew without bound.
 *
 *   node test/load/run.mjs [--case idle,storm,watches,flood,slow,bad] [--clients 10000] [--small]
 *
 * --small is for CI: a thousand clients, seconds each. Ports from 21601; LOAD_PORT moves them. `ulimit -n` must allow two
 * files for each client (20,000).
 */
import { parseArgs } from 'node:util'
import { idle, storm } from './crowd.mjs'
import { bad, watches } from './events.mjs'
import { flood, slow } from './greedy.mjs'

const cases = { idle, storm, watches, flood, slow, bad }

/** What a case reports: figures as they come, and laws that must hold. */
class Report {
  constructor(name) {
    this.name = name
    this.broken = 0
  }

  say(line) {
    process.stdout.write(`${this.name}: ${line}\n`)
  }

  law(holds, what) {
    if (!holds) this.broken++
    process.stdout.write(`${holds ? 'ok' : 'not ok'} ${this.name}: ${what}\n`)
  }

  /** `latencies` as of Bystander.take. */
  others(latencies, p99MaxMs) {
    const { requests, p50, p99, max } = latencies
    this.say(`others: ${requests} requests, p50 ${ms(p50)}, p99 ${ms(p99)}, longest ${ms(max)}`)
    this.law(requests > 0 && p99 <= p99MaxMs, `others are answered, p99 within ${p99MaxMs} ms`)
  }
}

const ms = (value) => `${value.toFixed(1)} ms`

const { values } = parseArgs({
  options: {
    case: { type: 'string', default: Object.keys(cases).join(',') },
    clients: { type: 'string' },
    small: { type: 'boolean', default: false },
  },
})
let broken = 0
for (const name of values.case.split(',')) {
  if (cases[name] === undefined) throw new Error(`no case ${name}; there are ${Object.keys(cases).join(', ')}`)
  const report = new Report(name)
  const startMs = performance.now()
  const clients = Number(values.clients ?? (values.small ? 1000 : 10_000))
  try {
    await cases[name]({ clients, small: values.small }, report)
  } catch (error) {
    report.law(false, `runs to its end: ${error.stack}`)
  }
  report.say(`${((performance.now() - startMs) / 1000).toFixed(1)} s`)
  broken += report.broken
}
process.stdout.write(broken === 0 ? 'all laws hold\n' : `${broken} broken\n`)
process.exit(broken === 0 ? 0 : 1)
