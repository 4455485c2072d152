/**
 * `zoowarden start --ephemeral --ensemble N`: a throw-away ensemble for tests. N members as processes of their own, on
 * free ports and in temporary directories; one line, the connect string of all, when all of them serve under one leader.
 * It ends as an ephemeral server does: when stdin closes, or on SIGTERM or SIGINT.
 *
 * A member that is killed stays away and the others go on, which is what such a test is after; when none is left, the
 * command ends with an error. Members end when their stdin closes, so they cannot outlive this process, however it ends.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Environment, type LoadedConfig, loadConfig } from '../server/config/config.ts'
import { ExitCode } from '../server/life/running.ts'
import { HOST, NO_ADMIN, stdinClosed, TEST_SETTINGS } from './ephemeral.ts'
import { logFor, refuse, serve, stopSignal, withDefinitions } from './start.ts'

export interface EnsembleWords {
  readonly count: number
  /** Clients' port of the first member, the others behind it; 0 takes free ones. */
  readonly port: number
  readonly words: readonly string[]
  readonly definitions: readonly string[]
}

const COUNT_MAX = 9
const COMMAND = fileURLToPath(new URL('../../bin/zoowarden', import.meta.url))
const POLL_MS = 20
const ANSWER_MS = 1000
/** Somebody else may take a free port before the member does: then all is begun anew. */
const TRIES = 3

interface Running {
  readonly child: ChildProcess
  readonly port: number
}

export async function ensembleCommand(start: EnsembleWords, env: Environment): Promise<number> {
  const fault = faultOf(start)
  if (fault !== null) {
    process.stderr.write(`${fault}\n`)
    return ExitCode.invalidInvocation
  }
  const directory = mkdtempSync(join(tmpdir(), 'zoowarden-'))
  const remove = () => rmSync(directory, { recursive: true, force: true })
  process.once('exit', remove)
  const ended = Promise.race([stopSignal(), stdinClosed()])
  const childEnv = withDefinitions(env, start.definitions)
  for (let attempt = 1; ; attempt++) {
    const home = join(directory, String(attempt))
    const members = await startMembers(start, home, childEnv)
    const gone = Promise.all(members.map(({ child }) => endOf(child)))
    const firstGone = Promise.race(members.map(({ child }) => endOf(child)))
    const served = untilServing(members.map(({ port }) => port))
    const how = await Promise.race([served.done, firstGone.then(() => 'gone'), ended.then(() => 'ended')])
    served.stop()
    if (how === 'gone' && attempt < TRIES && start.port === 0) {
      await endAll(members)
      continue
    }
    let exitCode: number = ExitCode.finished
    if (how === 'gone') exitCode = ExitCode.unexpectedError
    if (how === 'serving') {
      process.stdout.write(`${members.map(({ port }) => `${HOST}:${port}`).join(',')}\n`)
      const left = await Promise.race([gone.then(() => 'none'), ended])
      if (left === 'none') exitCode = ExitCode.unexpectedError
    }
    await endAll(members)
    remove()
    return exitCode
  }
}

/** One of them: `zoowarden start --attached zoo.cfg`, an ordinary server that ends when its stdin closes. */
export async function memberCommand(file: string, env: Environment): Promise<number> {
  let loaded: LoadedConfig
  try {
    loaded = loadConfig(file, env)
  } catch (err) {
    return refuse(err)
  }
  const log = logFor(env, 2, process.stderr.isTTY, 'error')
  return serve(loaded.config, log, () => {}, stdinClosed())
}

function faultOf({ count, words, port }: EnsembleWords): string | null {
  if (words.length > 0) return `An ephemeral ensemble takes no configuration, got: ${words.join(' ')}`
  if (!Number.isInteger(count) || count < 2 || count > COUNT_MAX) return `--ensemble takes 2 to ${COUNT_MAX} members`
  if (!Number.isInteger(port) || port < 0 || port + count > 65_536) return `--port ${port} is not a port`
  return null
}

async function startMembers(start: EnsembleWords, home: string, env: Environment): Promise<Running[]> {
  const { count } = start
  const free = await freePorts(3 * count)
  const portOf = (i: number) => (start.port === 0 ? free[i]! : start.port + i)
  const servers = Array.from({ length: count }, (_, i) => `${HOST}:${free[count + i]}:${free[2 * count + i]}`)
  return servers.map((_, i) => {
    const dataDir = join(home, String(i + 1))
    mkdirSync(dataDir, { recursive: true })
    writeFileSync(join(dataDir, 'myid'), `${i + 1}\n`)
    const lines = [
      ...TEST_SETTINGS,
      NO_ADMIN,
      'initLimit=20',
      'syncLimit=10',
      `dataDir=${dataDir.replaceAll('\\', '\\\\')}`,
      `clientPort=${portOf(i)}`,
      `clientPortAddress=${HOST}`,
      ...servers.map((address, n) => `server.${n + 1}=${address}`),
    ]
    const file = join(home, `zoo${i + 1}.cfg`)
    writeFileSync(file, lines.join('\n'))
    const args = [COMMAND, 'start', '--attached', file]
    return { child: spawn(process.execPath, args, { env, stdio: ['pipe', 'ignore', 'inherit'] }), port: portOf(i) }
  })
}

/** Settles when the process has ended, or could not be started. */
function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
}

async function endAll(members: readonly Running[]): Promise<void> {
  for (const { child } of members) child.stdin?.end()
  await Promise.all(members.map(({ child }) => endOf(child)))
}

/** `done` settles with 'serving' once every one of these ports answers with its mode; never, after `stop`. */
function untilServing(ports: readonly number[]): { readonly done: Promise<string>; stop(): void } {
  let stopped = false
  const poll = async () => {
    for (const port of ports) {
      while (!stopped && !(await serves(port))) await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    return stopped ? new Promise<string>(() => {}) : 'serving'
  }
  return {
    done: poll(),
    stop: () => {
      stopped = true
    },
  }
}

function serves(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect({ host: HOST, port }, () => socket.write('srvr'))
    socket.setTimeout(ANSWER_MS, () => socket.destroy())
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(/^Mode: /m.test(answer)))
  })
}

/** Ports that are free at this moment, all different: they are held until all are known. */
export async function freePorts(count: number): Promise<number[]> {
  const probes = await Promise.all(
    Array.from({ length: count }, () => {
      const probe = createServer()
      return new Promise<typeof probe>((resolve, reject) => {
        probe.once('error', reject)
        probe.listen(0, HOST, () => resolve(probe))
      })
    }),
  )
  return Promise.all(
    probes.map((probe) => {
      const address = probe.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      return new Promise<number>((resolve) => probe.close(() => resolve(port)))
    }),
  )
}
