/**
 * One server process under test: its folder, its zoo.cfg, start, stop, kill. Both servers of a pair get the same settings;
 * a profile is a named set of them, because one set cannot reach every answer (quotas enforced or not, and so on).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { writeSequenceSnapshot } from './snapshotfile.ts'

export interface Profile {
  name: string
  /** zoo.cfg lines beyond the common ones; a later line wins over an earlier one of the same key. */
  lines: readonly string[]
  /** Java properties, given to both servers in SERVER_JVMFLAGS. */
  flags: readonly string[]
  /** Share of a mixed run. */
  weight: number
  /** Start from a crafted snapshot whose parents' cversions are close to the greatest int32. */
  crafted?: boolean
}

/** user "super" with password "secret"; the administrator's connection needs it to see everything. */
const SUPER = 'super:lK75jTNcA+U9vtVEw5vB51mj/w4='

const COMMON = [
  'tickTime=200',
  'minSessionTimeout=6000',
  'maxSessionTimeout=40000',
  'maxClientCnxns=0',
  'clientPortAddress=127.0.0.1',
  'admin.enableServer=false',
  'preAllocSize=4096',
  '4lw.commands.whitelist=*',
  `DigestAuthenticationProvider.superDigest=${SUPER}`,
]

export const PROFILES: readonly Profile[] = [
  {
    name: 'rich',
    lines: ['extendedTypesEnabled=true', 'enforceQuota=true'],
    flags: ['-Dznode.container.checkIntervalMs=3600000'],
    weight: 68,
  },
  { name: 'plain', lines: [], flags: ['-Dznode.container.checkIntervalMs=3600000'], weight: 16 },
  {
    name: 'small',
    lines: ['extendedTypesEnabled=true'],
    flags: ['-Djute.maxbuffer=1500', '-Dznode.container.checkIntervalMs=3600000'],
    weight: 6,
  },
  {
    name: 'enforce',
    lines: ['enforce.auth.enabled=true', 'enforce.auth.schemes=digest', 'reconfigEnabled=true'],
    flags: [],
    weight: 4,
  },
  {
    name: 'open',
    lines: ['skipACL=yes', 'extendedTypesEnabled=true', 'closeSessionTxn.enabled=false'],
    flags: [],
    weight: 3,
  },
  {
    name: 'overflow',
    lines: ['extendedTypesEnabled=true'],
    flags: ['-Dznode.container.checkIntervalMs=3600000'],
    weight: 1,
    crafted: true,
  },
  {
    name: 'reap',
    lines: ['extendedTypesEnabled=true', 'minSessionTimeout=400', 'tickTime=100'],
    flags: ['-Dznode.container.checkIntervalMs=150', '-Dznode.container.maxPerMinute=60000'],
    weight: 1,
  },
  {
    name: 'restart',
    lines: ['extendedTypesEnabled=true', 'enforceQuota=true', 'snapCount=40', 'minSessionTimeout=40000'],
    flags: ['-Dznode.container.checkIntervalMs=3600000'],
    weight: 1,
  },
]

export function profileNamed(name: string): Profile {
  const found = PROFILES.find((p) => p.name === name)
  if (!found) throw new Error(`no profile ${name}; there are ${PROFILES.map((p) => p.name).join(', ')}`)
  return found
}

export interface ServerOptions {
  fsync: boolean
  /** All of our switches on. */
  compat: boolean
}

export class Server {
  readonly dir: string
  readonly port: number
  /** Program and arguments; the path of zoo.cfg is appended. */
  command: readonly string[]
  private readonly profile: Profile
  private readonly options: ServerOptions
  private child: ChildProcess | null = null
  /** Set when the process ended without being asked to. */
  died: string | null = null

  constructor(command: readonly string[], dir: string, port: number, profile: Profile, options: ServerOptions) {
    this.command = command
    this.dir = dir
    this.port = port
    this.profile = profile
    this.options = options
  }

  private get config(): string {
    return join(this.dir, 'zoo.cfg')
  }

  get dataDir(): string {
    return join(this.dir, 'data')
  }

  /** Empties the data directory and writes the configuration anew. */
  prepare(): void {
    rmSync(this.dir, { recursive: true, force: true })
    mkdirSync(join(this.dataDir, 'version-2'), { recursive: true })
    const settings = new Map<string, string>()
    const lines = [...COMMON, ...this.profile.lines, `dataDir=${this.dataDir}`, `clientPort=${this.port}`]
    if (!this.options.fsync) lines.push('forceSync=no')
    // Nothing to the reference.
    if (this.options.compat) lines.push('compat.all=true')
    for (const line of lines) settings.set(line.slice(0, line.indexOf('=')), line)
    writeFileSync(this.config, `${[...settings.values()].join('\n')}\n`)
    if (this.profile.crafted) writeSequenceSnapshot(join(this.dataDir, 'version-2'))
  }

  async start(): Promise<void> {
    const log = openSync(join(this.dir, 'server.log'), 'a')
    const [program, ...args] = this.command
    this.died = null
    const flags = ['-Dzookeeper.admin.enableServer=false', ...this.profile.flags]
    const child = spawn(program!, [...args, this.config], {
      stdio: ['ignore', log, log],
      env: {
        ...process.env,
        SERVER_JVMFLAGS: flags.join(' '),
        JDK_JAVA_OPTIONS: flags.join(' '),
        ZOO_LOG_DIR: this.dir,
      },
    })
    closeSync(log)
    this.child = child
    child.on('exit', (code, signal) => {
      if (this.child === child) this.died = `ended with ${code ?? signal}`
    })
    child.on('error', (e) => {
      if (this.child === child) this.died = String(e)
    })
    const deadline = Date.now() + 60_000
    for (;;) {
      if (this.died !== null) throw new Error(`${this.command.join(' ')}: ${this.died}\n${this.logTail()}`)
      const text = await word(this.port, 'srvr').catch(() => '')
      if (text.includes('Mode: ')) return
      if (Date.now() > deadline) throw new Error(`${this.command.join(' ')} does not serve\n${this.logTail()}`)
      await delay(50)
    }
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.child
    if (child === null) return
    this.child = null
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill(signal)
    const slow = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await gone
    clearTimeout(slow)
  }

  /** The last lines the server wrote. */
  logTail(): string {
    const file = join(this.dir, 'server.log')
    if (!existsSync(file)) return ''
    return readFileSync(file, 'utf8').split('\n').slice(-25).join('\n')
  }
}

/** Sends a four-letter word and reads until the server closes. */
export function word(port: number, text: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer')))
    socket.on('data', (b) => chunks.push(b))
    socket.on('error', (e) => (chunks.length > 0 ? resolve(Buffer.concat(chunks).toString()) : reject(e)))
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
  })
}
