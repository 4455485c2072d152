/** Servers under load: one alone, or an ensemble, each a process of its own whose memory and CPU can be read. */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { fourLetterWord } from '../durability/wire.mjs'

const PORT_FIRST = Number(process.env.LOAD_PORT ?? 21600)
const bin = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bin', 'zoowarden')
const running = new Set()
process.on('exit', () => {
  for (const server of running) server.child?.kill('SIGKILL')
})

export class LoadServer {
  constructor(dir, port, lines, heapMb) {
    this.dir = dir
    this.port = port
    this.lines = lines
    this.heapMb = heapMb
    this.child = null
  }

  async start() {
    const cfg = join(this.dir, 'zoo.cfg')
    writeFileSync(cfg, this.lines.join('\n'))
    const log = openSync(join(this.dir, 'server.log'), 'a')
    const flags = this.heapMb === null ? [] : [`--max-old-space-size=${this.heapMb}`]
    this.child = spawn(process.execPath, [...flags, bin, 'start', cfg], { stdio: ['ignore', log, log] })
    closeSync(log)
    running.add(this)
    this.ended = null
    this.child.on('exit', (code, signal) => {
      running.delete(this)
      this.ended = signal ?? code
    })
    await this.untilServing()
  }

  async untilServing() {
    for (let i = 0; i < 600; i++) {
      if (this.ended !== null) throw new Error(`server ended with ${this.ended}: ${this.log.slice(-2000)}`)
      if (/^Mode: /m.test(await fourLetterWord(this.port, 'srvr').catch(() => ''))) return
      await delay(50)
    }
    throw new Error(`server does not serve: ${this.log.slice(-2000)}`)
  }

  async mode() {
    return /^Mode: (\w+)/m.exec(await fourLetterWord(this.port, 'srvr').catch(() => ''))?.[1] ?? null
  }

  get log() {
    return readFileSync(join(this.dir, 'server.log'), 'utf8')
  }

  /** Resident memory in bytes. */
  get rss() {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]) * 1024
  }

  /** The most it ever had. */
  get rssPeak() {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8')
    return Number(/^VmHWM:\s+(\d+)/m.exec(status)[1]) * 1024
  }

  /** CPU time used so far, in ms. */
  get cpuMs() {
    if (this.ended !== null) return 0
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, 'utf8').split(') ')[1].split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  }

  async metrics() {
    const text = await fourLetterWord(this.port, 'mntr', 10_000)
    return new Map(text.split('\n').map((line) => line.replace('zk_', '').split('\t')))
  }

  kill(signal = 'SIGKILL') {
    const { child } = this
    if (child === null || this.ended !== null) return Promise.resolve()
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    return gone
  }
}

function settings(dir, port) {
  mkdirSync(join(dir, 'data'), { recursive: true })
  return [
    `dataDir=${join(dir, 'data')}`,
    `clientPort=${port}`,
    'clientPortAddress=127.0.0.1',
    'tickTime=2000',
    'maxClientCnxns=0',
    'maxSessionTimeout=60000',
    '4lw.commands.whitelist=*',
    'admin.enableServer=false',
  ]
}

/** `more`: lines of zoo.cfg. Returns the servers and what takes them away again. */
export async function startServers(count, more = [], heapMb = null) {
  const root = mkdtempSync(join(tmpdir(), 'zoowarden-load-'))
  const members = Array.from({ length: count }, (_, i) => i + 1)
  const list = members.map((id) => `server.${id}=127.0.0.1:${PORT_FIRST + 20 + id}:${PORT_FIRST + 40 + id}`)
  const servers = members.map((id) => {
    const dir = join(root, String(id))
    const lines = settings(dir, PORT_FIRST + id)
    if (count > 1) {
      writeFileSync(join(dir, 'data', 'myid'), String(id))
      lines.push('initLimit=10', 'syncLimit=5', ...list)
    }
    return new LoadServer(dir, PORT_FIRST + id, [...lines, ...more, ''], heapMb)
  })
  await Promise.all(servers.map((server) => server.start()))
  const stop = async () => {
    await Promise.all(servers.map((server) => server.kill()))
    if (process.env.LOAD_KEEP) process.stdout.write(`kept: ${root}\n`)
    else rmSync(root, { recursive: true, force: true })
  }
  return { servers, stop }
}
