/**
 * Start-up time: from spawn to the answer of the first session's first getData.
 *
 *   node test/bench/startup.mjs [--a 'CMD'] [--b 'CMD'] [--runs 9] [--znodes 0] [--port P]
 *
 * A server command takes a zoo.cfg as its last argument; `java` is the reference server with its stock heap. Both get
 * the same configuration, on an empty directory or on one that each has filled itself with `--znodes` znodes of 100
 * bytes and closed cleanly. Runs alternate AB BA AB ..., after one start of each that does not count. Prints medians
 * [min .. max] and their ratio. Connecting is tried every 5 ms.
 */
import { cpSync, lstatSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { JAVA_STOCK, serverCommand } from '../durability/peers.mjs'
import {
  readArguments,
  serverOfThisRepository,
  startServer,
  stopServer,
  tailOf,
  temporaryDirectory,
  untilServing,
  writeConfig,
} from '../durability/process.mjs'
import { WireClient } from '../durability/wire.mjs'
import { fill } from './memory_load.mjs'

const USAGE = "usage: startup.mjs [--a 'CMD'|java] [--b 'CMD'|java] [--runs N] [--znodes N] [--port P]"
const CONNECT_EVERY_MS = 5
const UNDER_WAY_MAX = 100
const GIVE_UP_MS = 120_000

const args = readArguments(USAGE, { a: 'java', b: serverOfThisRepository, runs: 9, znodes: 0, port: 25530 })

class Side {
  constructor(name, words) {
    this.name = name
    this.words = words
    this.directory = temporaryDirectory(`zoowarden-startup-${name}`)
    this.configFile = writeConfig(this.directory, args.port)
    this.data = join(this.directory, 'data')
    this.template = join(this.directory, 'template')
    this.millis = []
  }

  async prepare() {
    this.command = await serverCommand(this.words, JAVA_STOCK)
    if (args.znodes > 0) {
      const server = this.spawn()
      await untilServing(server)
      await fill(args.port, args.znodes)
      await stopServer(server)
    }
    copyFiles(this.data, this.template)
  }

  spawn() {
    return startServer(this.command, this.configFile, { port: args.port, logFile: join(this.directory, 'log') })
  }

  /** One start on a fresh copy of the data; the time in ms. */
  async measure() {
    rmSync(this.data, { recursive: true, force: true })
    copyFiles(this.template, this.data)
    const startedAt = performance.now()
    const server = this.spawn()
    const client = await firstSession(server)
    const { err } = await client.getData('/zookeeper')
    const millis = performance.now() - startedAt
    if (err !== 0) throw new Error(`getData was answered with ${err}`)
    await client.close()
    await stopServer(server)
    return millis
  }
}

/** Files and folders only: a lock held as a socket belongs to a process, not to the data. */
function copyFiles(from, to) {
  const isData = (path) => lstatSync(path).isDirectory() || lstatSync(path).isFile()
  cpSync(from, to, { recursive: true, filter: isData })
}

/**
 * The first session a starting server grants. Attempts overlap: one that came before the server serves may be refused,
 * or, at the reference server, stay unanswered, and must not hold up those behind it.
 */
function firstSession(server) {
  return new Promise((resolve, reject) => {
    const end = Date.now() + GIVE_UP_MS
    let underWay = 0
    let done = false
    const finish = (settle, value) => {
      clearInterval(timer)
      if (!done) settle(value)
      else if (value instanceof WireClient) value.abandon()
      done = true
    }
    const attempt = () => {
      if (server.ended !== null) finish(reject, new Error(`server ended: ${server.ended}${tailOf(server)}`))
      if (Date.now() > end) finish(reject, new Error(`no session within ${GIVE_UP_MS} ms${tailOf(server)}`))
      if (done || underWay >= UNDER_WAY_MAX) return
      underWay++
      WireClient.connect({ port: args.port, answerWithinMs: 1_000 }).then(
        (client) => finish(resolve, client),
        () => underWay--,
      )
    }
    const timer = setInterval(attempt, CONNECT_EVERY_MS)
  })
}

function median(values) {
  const sorted = [...values].sort((x, y) => x - y)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

function row({ name, words, millis }) {
  const range = `[${Math.min(...millis).toFixed(0)} .. ${Math.max(...millis).toFixed(0)}]`
  return `${name}  ${median(millis).toFixed(0)} ms ${range}  ${words}`
}

const sides = [new Side('A', args.a), new Side('B', args.b)]
for (const side of sides) {
  await side.prepare()
  await side.measure()
}
for (let run = 0; run < args.runs; run++) {
  for (const side of run % 2 === 0 ? sides : [...sides].reverse()) side.millis.push(await side.measure())
}
const [a, b] = sides
process.stdout.write(`spawn to first getData, ${args.znodes} znodes, ${args.runs} runs: median [min .. max]\n`)
process.stdout.write(`${row(a)}\n${row(b)}\nB/A ${(median(b.millis) / median(a.millis)).toFixed(2)}\n`)
