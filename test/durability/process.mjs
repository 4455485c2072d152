/**
 * Servers as child processes: write a zoo.cfg, start on it, wait until it serves, kill or stop.
 *
 * A server command is one string of shell words that takes the path of a zoo.cfg as its last argument. Each server gets
 * a process group of its own, so that a kill reaches whatever the command has started in between. What is still running
 * when this process ends is killed.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { killAllGroups, signalGroup, startGroup } from '../interop/process.mjs'
import { fourLetterWord } from './wire.mjs'

export const repository = fileURLToPath(new URL('../..', import.meta.url))
export const serverOfThisRepository = 'node bin/zoowarden start'

const directories = new Set()

function cleanUp() {
  killAllGroups()
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
  directories.clear()
}
process.on('exit', cleanUp)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))

/** A directory that goes when this process ends, unless `keep`. */
export function temporaryDirectory(prefix, keep = false) {
  const directory = mkdtempSync(join(tmpdir(), `${prefix}-`))
  if (!keep) directories.add(directory)
  return directory
}

/** Stops the directory from being removed at the end: there is something to look at in it. */
export function keepDirectory(directory) {
  directories.delete(directory)
}

/** Writes `directory/zoo.cfg` and makes dataDir; returns the path of the file. */
export function writeConfig(directory, port, settings = {}) {
  const dataDir = join(directory, 'data')
  mkdirSync(dataDir, { recursive: true })
  const lines = {
    dataDir,
    clientPort: port,
    clientPortAddress: '127.0.0.1',
    tickTime: 500,
    maxClientCnxns: 0,
    'admin.enableServer': false,
    '4lw.commands.whitelist': '*',
    ...settings,
  }
  const file = join(directory, 'zoo.cfg')
  writeFileSync(
    file,
    `${Object.entries(lines)
      .map(([key, value]) => `${key}=${value}`)
      .join('\n')}\n`,
  )
  return file
}

/**
 * Starts a server; does not wait until it serves.
 * @param {string} command
 * @param {string} configFile
 * @param {{logFile: string, port: number}} where
 */
export function startServer(command, configFile, where) {
  const log = openSync(where.logFile, 'a')
  const child = startGroup('sh', ['-c', `exec ${command} "$0"`, configFile], {
    cwd: repository,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const server = { child, pid: child.pid, port: where.port, logFile: where.logFile, command, ended: null }
  server.end = new Promise((resolve) => {
    const onEnd = (how) => {
      server.ended = how
      resolve(how)
    }
    child.on('exit', (status, signal) => onEnd(signal ?? `exit status ${status}`))
    child.on('error', (error) => onEnd(error.message))
  })
  return server
}

/** Waits until the server answers `srvr` with its mode; throws with the end of its log when it ends instead. */
export async function untilServing(server, withinMs = 60_000) {
  const end = Date.now() + withinMs
  for (;;) {
    const answer = await fourLetterWord(server.port, 'srvr', 500).catch(() => '')
    if (answer.includes('Mode: ')) return answer
    if (server.ended !== null) throw new Error(`server ended (${server.ended}) before it served${tailOf(server)}`)
    if (Date.now() > end) throw new Error(`server did not serve within ${withinMs} ms${tailOf(server)}`)
    await sleep(15)
  }
}

export function tailOf(server, lines = 15) {
  const text = readFileSync(server.logFile, 'utf8').trimEnd()
  return `; the end of ${server.logFile}:\n${text.split('\n').slice(-lines).join('\n')}`
}

/** kill -9: no time for anything. Resolves when the process is gone. */
export async function killServer(server) {
  signalGroup(server.child, 'SIGKILL')
  await server.end
}

/** SIGTERM, and wait; a server that does not end within the limit is killed, and that is a failure. */
export async function stopServer(server, withinMs = 30_000) {
  signalGroup(server.child, 'SIGTERM')
  const timer = setTimeout(() => signalGroup(server.child, 'SIGKILL'), withinMs)
  const how = await server.end
  clearTimeout(timer)
  if (how !== 'SIGKILL') return
  throw new Error(`server did not end within ${withinMs} ms of SIGTERM${tailOf(server)}`)
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** The lines of `mntr` as a record. */
export async function mntr(port) {
  const text = await fourLetterWord(port, 'mntr')
  return Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => line.split('\t')),
  )
}

/** The last lines of a campaign; ends this process. What failed is kept for somebody to look at. */
export function conclude({ passed, failed, seed, startedAt, directory }) {
  const seconds = Math.round((Date.now() - startedAt) / 1000)
  process.stdout.write(`${passed} passed, ${failed} failed; seed ${seed}; ${seconds} s\n`)
  if (failed > 0) {
    keepDirectory(directory)
    process.stdout.write(`data and logs are kept in ${directory}\n`)
  }
  process.exit(failed > 0 ? 1 : 0)
}

/** Small seeded generator (mulberry32): the same seed, the same run as far as the test decides. */
export function seededRandom(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return { next, below: (limit) => Math.floor(next() * limit), pick: (list) => list[Math.floor(next() * list.length)] }
}

/** Reads `--name value` and `--flag` arguments; an unknown one ends the program with the usage. */
export function readArguments(usage, defaults) {
  const values = { ...defaults }
  const words = process.argv.slice(2)
  while (words.length > 0) {
    const word = words.shift()
    const name = word.startsWith('--') ? word.slice(2) : ''
    if (name === 'help' || !(name in defaults)) {
      process.stderr.write(`${name === 'help' ? '' : `unknown argument ${word}\n`}${usage}\n`)
      process.exit(name === 'help' ? 0 : 2)
    }
    if (typeof defaults[name] === 'boolean') values[name] = true
    else {
      const value = words.shift()
      if (value === undefined) throw new Error(`${word} needs a value`)
      values[name] = typeof defaults[name] === 'number' ? Number(value) : value
    }
  }
  return values
}
