/**
 * `zoowarden bench`: the same load on one server, or on two in turns. Without an address it starts a server of its own,
 * with every write synced to the disk, and removes it afterwards.
 */

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Terminal, ToolExit, UsageError } from '../../tools/terminal.ts'
import { freePorts } from '../ensemble.ts'
import { CASES, runCase } from './cases.ts'
import { LoadConnection } from './connection.ts'
import type { Address, Measured, Window } from './load.ts'
import { type CaseResult, figuresOf, tableHead, tableRows } from './report.ts'

export interface BenchOptions {
  /** Connect strings; none: a server of our own. */
  readonly servers: readonly string[]
  /** Cases whose names match. */
  readonly cases: string | undefined
  readonly rounds: number
  readonly warmupS: number
  readonly seconds: number
  readonly keys: number
  /** Where a server of our own keeps its data. */
  readonly dir: string | undefined
  readonly json: boolean
}

const BAR_CELLS = 24
const START_TRIES = 200
const START_PAUSE_MS = 50

export async function benchCommand(options: BenchOptions, terminal: Terminal): Promise<number> {
  if (options.servers.length > 2) throw new UsageError('bench compares two servers at the most')
  const wanted = new RegExp(options.cases ?? '')
  const cases = CASES.filter(({ name }) => wanted.test(name))
  if (cases.length === 0) throw new UsageError(`no such case; there are ${CASES.map(({ name }) => name).join(' ')}`)
  if (options.servers.length > 0) return measure(options.servers, cases, options, terminal)
  const own = await startServer(options.dir)
  try {
    return await measure([own.address], cases, options, terminal)
  } finally {
    await own.stop()
  }
}

async function measure(
  servers: readonly string[],
  cases: typeof CASES,
  options: BenchOptions,
  terminal: Terminal,
): Promise<number> {
  const targets = servers.map(parseServers)
  const window: Window = { warmupS: options.warmupS, seconds: options.seconds }
  const total = cases.length * options.rounds * targets.length
  let done = 0
  const results: CaseResult[] = []
  if (!options.json) terminal.out(tableHead(servers))
  for (const each of cases) {
    const rounds: Measured[][] = targets.map(() => [])
    for (let round = 0; round < options.rounds; round++) {
      // AB BA AB: what drifts on the machine meets both.
      const order = targets.map((_, i) => i)
      if (round % 2 === 1) order.reverse()
      for (const i of order) {
        terminal.progress(`${bar(done++ / total)} ${each.name}: ${each.title} (${servers[i]})`)
        try {
          rounds[i]!.push(await runCase(each, targets[i]!, window, options.keys))
        } catch (err) {
          terminal.progress(null)
          terminal.err(`${each.name} on ${servers[i]}: ${err instanceof Error ? err.message : String(err)}`)
          return ToolExit.failed
        }
      }
    }
    terminal.progress(null)
    const result = { name: each.name, title: each.title, rounds }
    results.push(result)
    if (!options.json) terminal.out(tableRows(result))
  }
  if (options.json) {
    const cells = results.map(({ name, rounds }) => ({ case: name, servers: rounds.map(figuresOf) }))
    terminal.out(`${JSON.stringify({ servers, window, rounds: options.rounds, cases: cells }, null, 2)}\n`)
  }
  return ToolExit.ok
}

function bar(share: number): string {
  const full = Math.round(share * BAR_CELLS)
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_CELLS - full)}] ${Math.round(share * 100)
    .toString()
    .padStart(3)} %`
}

/** host:port,host:port; the port may be left out. */
function parseServers(text: string): Address[] {
  return text.split(',').map((one) => {
    const match = /^(\[[^\]]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(one.trim())
    if (match === null) throw new UsageError(`not host:port: ${one}`)
    return { host: match[1]!.replace(/^\[|\]$/g, ''), port: Number(match[2] ?? 2181) }
  })
}

interface OwnServer {
  readonly address: string
  stop(): Promise<void>
}

/** A standalone server as its users run it: this same program, with its defaults and its syncs. */
async function startServer(dir: string | undefined): Promise<OwnServer> {
  const home = mkdtempSync(join(dir ?? tmpdir(), 'zoowarden-bench-'))
  const file = join(home, 'zoo.cfg')
  const [port] = await freePorts(1)
  writeFileSync(
    file,
    `dataDir=${join(home, 'data')}\nclientPort=${port}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n`,
  )
  const child = spawn(process.execPath, [process.argv[1]!, 'start', file], { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill()
    await ended
    rmSync(home, { recursive: true, force: true })
  }
  process.once('exit', () => child.kill())
  const address = `127.0.0.1:${port}`
  for (let tries = 0; tries < START_TRIES && child.exitCode === null; tries++) {
    try {
      const conn = await LoadConnection.open('127.0.0.1', port!, { onReply: () => {}, onEnd: () => {} })
      conn.destroy()
      return { address, stop }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, START_PAUSE_MS))
    }
  }
  await stop()
  throw new UsageError('the server to be measured did not start')
}
