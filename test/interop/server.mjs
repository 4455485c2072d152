/**
 * The server under test: one process on an empty directory, started by a shell command that takes a zoo.cfg path as
 * its last argument. It can be killed, stopped and started again on the same files and port.
 */
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { signalGroup, startGroup } from './process.mjs'
import { makeTempDir } from './tempdir.mjs'

const portFirst = 25200
const portLast = 25299
const startTimeoutMs = 60_000
const stopTimeoutMs = 30_000

/** The digest of super:interop, as DigestAuthenticationProvider computes it. */
export const superUser = { name: 'super', password: 'interop', digest: 'super:/49OUaS/Rm5CIudE7EhYoMwy+PY=' }

export const baseConfig = {
  tickTime: 500,
  maxSessionTimeout: 60000,
  maxClientCnxns: 0,
  extendedTypesEnabled: true,
  enforceQuota: true,
  'DigestAuthenticationProvider.superDigest': superUser.digest,
  '4lw.commands.whitelist': '*',
  'admin.enableServer': false,
}

const portsTaken = new Set()

/** A free port of the range; remembered, so that two servers of one run never choose the same. */
export async function choosePort(first = portFirst, last = portLast) {
  const count = last - first + 1
  const start = process.pid % count
  for (let i = 0; i < count; i++) {
    const port = first + ((start + i) % count)
    if (portsTaken.has(port) || !(await isFree(port))) continue
    portsTaken.add(port)
    return port
  }
  throw new Error(`no free port in ${first}-${last}`)
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

export class Server {
  constructor(command, name, config, env) {
    this.command = command
    this.dir = makeTempDir(name)
    this.config = config
    this.env = env
    this.port = 0
    this.child = null
    this.wanted = false
    this.diedUnasked = null
  }

  get logFile() {
    return join(this.dir, 'server.log')
  }

  /** Starts the process and returns once it serves requests. */
  async start() {
    if (this.port === 0) this.port = await choosePort()
    mkdirSync(join(this.dir, 'data'), { recursive: true })
    const cfg = join(this.dir, 'zoo.cfg')
    const lines = { ...this.config, dataDir: join(this.dir, 'data'), clientPort: this.port }
    lines.clientPortAddress = '127.0.0.1'
    writeFileSync(
      cfg,
      Object.entries(lines)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    )
    const log = openSync(this.logFile, 'a')
    const child = startGroup('/bin/sh', ['-c', `exec ${this.command} "$0"`, cfg], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...this.env },
    })
    closeSync(log)
    this.child = child
    this.wanted = true
    child.on('exit', (code, signal) => {
      if (this.child === child && this.wanted) this.diedUnasked = `server ended by itself with ${signal ?? code}`
    })
    await this.untilServing()
  }

  async untilServing() {
    const deadline = Date.now() + startTimeoutMs
    while (Date.now() < deadline) {
      if (this.diedUnasked) throw new Error(`${this.diedUnasked} while starting:\n${this.logTail()}`)
      if (/^Mode: /m.test(await fourLetterWord(this.port, 'srvr'))) return
      await delay(50)
    }
    throw new Error(`server did not serve within ${startTimeoutMs} ms:\n${this.logTail()}`)
  }

  /** As a power cut for the process: no chance to say goodbye. */
  async kill() {
    await this.end('SIGKILL')
  }

  /** An orderly stop. Throws if the process ignores it. */
  async stop() {
    await this.end('SIGTERM')
  }

  async end(signal) {
    const child = this.child
    this.wanted = false
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', () => resolve(true)))
    signalGroup(child, signal)
    const timer = new AbortController()
    const inTime = await Promise.race([ended, delay(stopTimeoutMs, false, { signal: timer.signal }).catch(() => false)])
    timer.abort()
    if (inTime) return
    signalGroup(child, 'SIGKILL')
    await ended
    throw new Error(`server did not end within ${stopTimeoutMs} ms of ${signal}`)
  }

  logTail() {
    const files = [this.logFile, join(this.dir, 'zookeeper.out')]
    return files.map(readOrNothing).join('').slice(-4000)
  }

  /** Its port may be chosen again. */
  release() {
    portsTaken.delete(this.port)
  }
}

function readOrNothing(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Everything the server says to a four letter word; empty if it does not answer. */
export function fourLetterWord(port, word) {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(word))
    socket.setTimeout(5000, () => socket.destroy())
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
}
