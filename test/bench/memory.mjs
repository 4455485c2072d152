/**
 * Memory of a server: idle, after loading znodes of 100 bytes, per znode, after deleting them all, and restarted.
 *
 *   node test/bench/memory.mjs [--a 'CMD'] [--b 'CMD'|none] [--counts 100000,1000000] [--port P]
 *
 * A server command takes a zoo.cfg as its last argument; `java` is the reference server with its stock heap of 1000 MB.
 * RSS is the sum over the process tree, from /proc, so Linux only. "loaded" is five seconds after the last write. A
 * server that collects garbage holds some of it within its heap limit; "restarted", the same data after a clean stop
 * and start, is the fairer figure for the data itself, and "per znode" is its distance from the idle server.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { JAVA_STOCK, serverCommand } from '../durability/peers.mjs'
import {
  readArguments,
  serverOfThisRepository,
  sleep,
  startServer,
  stopServer,
  temporaryDirectory,
  untilServing,
  writeConfig,
} from '../durability/process.mjs'
import { empty, fill, znodesMade } from './memory_load.mjs'

const USAGE = "usage: memory.mjs [--a 'CMD'|java] [--b 'CMD'|java|none] [--counts N,N,...] [--port P]"
const PAGE_BYTES = 4096
const SETTLE_MS = 5_000

const args = readArguments(USAGE, { a: 'java', b: serverOfThisRepository, counts: '100000,1000000', port: 25531 })

/** RSS in bytes of a process and all it has started. */
function rssOfTree(pid) {
  const children = new Map()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = readOrNothing(`/proc/${name}/stat`)
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const sum = (id) => {
    const own = Number(readOrNothing(`/proc/${id}/statm`).split(' ')[1] ?? 0) * PAGE_BYTES
    return (children.get(id) ?? []).reduce((total, child) => total + sum(child), own)
  }
  return sum(pid)
}

function readOrNothing(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // the process ended while we looked
  }
}

async function settled(server) {
  await sleep(SETTLE_MS)
  return rssOfTree(server.pid)
}

async function measure(name, words, count) {
  const command = await serverCommand(words, JAVA_STOCK)
  const directory = temporaryDirectory(`zoowarden-memory-${name}`)
  const configFile = writeConfig(directory, args.port)
  const where = { port: args.port, logFile: join(directory, 'log') }
  const rss = {}

  let server = startServer(command, configFile, where)
  await untilServing(server)
  rss.idle = await settled(server)
  const startedAt = performance.now()
  await fill(args.port, count)
  const seconds = (performance.now() - startedAt) / 1000
  rss.loaded = await settled(server)
  await stopServer(server)

  server = startServer(command, configFile, where)
  await untilServing(server, 300_000)
  rss.restarted = await settled(server)
  await empty(args.port, count)
  rss.deleted = await settled(server)
  await stopServer(server)
  return { name, count, seconds, rss }
}

function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}

function print(line) {
  process.stdout.write(`${line}\n`)
}

for (const count of args.counts.split(',').map(Number)) {
  for (const [name, words] of [
    ['A', args.a],
    ['B', args.b],
  ]) {
    if (words === 'none') continue
    const { rss, seconds } = await measure(name, words, count)
    const perZnode = (state) => `${Math.round((rss[state] - rss.idle) / znodesMade(count))} bytes per znode`
    print(`${name}  ${count} znodes of 100 bytes, created in ${seconds.toFixed(1)} s  (${words})`)
    print(`   idle ${mebibytes(rss.idle)}`)
    print(`   loaded ${mebibytes(rss.loaded)}, ${perZnode('loaded')}`)
    print(`   restarted ${mebibytes(rss.restarted)}, ${perZnode('restarted')}`)
    print(`   all deleted ${mebibytes(rss.deleted)}`)
  }
}
