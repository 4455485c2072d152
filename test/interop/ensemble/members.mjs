/**
 * Ensembles of real processes: each member is Apache's server or ours, on a directory and ports of its own, and may
 * change its kind from one start to the next.
 *
 * A kind is 'java' or 'ours'; `commands[kind]` is a shell command that takes the path of a zoo.cfg as its last argument.
 * Which member leads is decided by the order of starting: of equal histories the highest sid wins.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { javaServer } from '../../durability/peers.mjs'
import { killServer, sleep, startServer, stopServer, tailOf } from '../../durability/process.mjs'
import { fourLetterWord, WireClient } from '../../durability/wire.mjs'
import { signalGroup } from '../process.mjs'
import { choosePort } from '../server.mjs'

export const HOST = '127.0.0.1'
const PORTS = [25300, 25999]
/** Much for a quiet machine; JVMs on two busy cores need it. */
const SETTLE_MS = 60_000
const POLL_MS = 50

/** The command of the Java server, with the lines about synchronisation in its log. */
export async function javaMember() {
  const logback = fileURLToPath(new URL('java/logback.xml', import.meta.url))
  const flags = '-Xmx256m -Xss512k -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto'
  return javaServer(`${flags} '-Dlogback.configurationFile=${logback}'`)
}

/** A command of our server, with the same lines in its log. */
export function withStory(command) {
  return `env ZOO_LOG_LEVEL=debug ${command}`
}

const BASE = {
  tickTime: 500,
  initLimit: 40,
  syncLimit: 8,
  minSessionTimeout: 1000,
  maxSessionTimeout: 60_000,
  maxClientCnxns: 0,
  'admin.enableServer': false,
  '4lw.commands.whitelist': '*',
}

/** Where members are, and how they reach each other: here, directly. The fault tests have others. */
export const LOOPBACK = {
  hostOf: () => HOST,
  wrap: (_sid, command) => command,
  /** What `viewer` dials to reach `member`: host, quorum port and election port. */
  endpoint: (member, _viewer) => `${HOST}:${member.quorumPort}:${member.electionPort}`,
}

export class Member {
  constructor(ensemble, sid, kind, role) {
    this.ensemble = ensemble
    this.sid = sid
    this.kind = kind
    this.role = role
    /** Lines of its own, over those of the ensemble. */
    this.settings = {}
    this.directory = join(ensemble.directory, `m${sid}`)
    this.process = null
    this.logOffset = 0
  }

  get name() {
    return `${this.sid} (${this.kind})`
  }

  get dataDir() {
    return join(this.directory, 'data')
  }

  get logFile() {
    return join(this.directory, 'server.log')
  }

  get configFile() {
    return join(this.directory, 'zoo.cfg')
  }

  get running() {
    return this.process !== null && this.process.ended === null
  }

  get host() {
    return this.ensemble.network.hostOf(this.sid)
  }

  /** Its line in a configuration, without `server.N=`; with its client port where that belongs to it. */
  get address() {
    return this.addressFor(this)
  }

  addressFor(viewer) {
    const client = this.ensemble.dynamic ? `;${this.host}:${this.port}` : ''
    return `${this.ensemble.network.endpoint(this, viewer)}:${this.role}${client}`
  }

  /** Written once: a member that takes part in reconfigurations rewrites it itself. */
  writeConfig(members) {
    if (existsSync(this.configFile)) return
    mkdirSync(this.dataDir, { recursive: true })
    writeFileSync(join(this.dataDir, 'myid'), `${this.sid}\n`)
    const lines = { ...BASE, dataDir: this.dataDir, ...this.ensemble.settings, ...this.settings }
    if (!this.ensemble.dynamic) Object.assign(lines, { clientPort: this.port, clientPortAddress: this.host })
    if (this.role === 'observer') lines.peerType = 'observer'
    for (const member of members) lines[`server.${member.sid}`] = member.addressFor(this)
    const text = Object.entries(lines).map(([key, value]) => `${key}=${value}\n`)
    writeFileSync(this.configFile, text.join(''))
  }

  /** For its next start. */
  rewriteConfig() {
    rmSync(this.configFile)
    this.writeConfig(this.ensemble.members)
  }

  start() {
    if (this.running) throw new Error(`member ${this.name} is running`)
    this.logOffset = existsSync(this.logFile) ? statSync(this.logFile).size : 0
    appendFileSync(this.logFile, '')
    const command = this.ensemble.network.wrap(this.sid, this.ensemble.commands[this.kind])
    this.process = startServer(command, this.configFile, { logFile: this.logFile, port: this.port })
  }

  async kill() {
    if (this.running) await killServer(this.process)
  }

  async stop() {
    if (this.running) await stopServer(this.process)
  }

  pause() {
    signalGroup(this.process.child, 'SIGSTOP')
  }

  /** Each of its threads stands still: on a busy machine some run on for a while behind the signal. */
  get paused() {
    const tasks = `/proc/${this.process.child.pid}/task`
    return readdirSync(tasks).every((task) => / T /.test(readFileSync(`${tasks}/${task}/stat`, 'utf8')))
  }

  resume() {
    signalGroup(this.process.child, 'SIGCONT')
  }

  /** 'leader', 'follower', 'observer', 'standalone', or '' while it does not serve. */
  async mode() {
    if (!this.running) return ''
    return /^Mode: (\S+)/m.exec(await this.ask('srvr'))?.[1] ?? ''
  }

  /** The answer to a four-letter word; empty where there is none. */
  ask(word, withinMs = 2000) {
    return fourLetterWord(this.port, word, withinMs, this.host).catch(() => '')
  }

  /** A session of a raw client. */
  connect(options = {}) {
    return WireClient.connect({ host: this.host, port: this.port, ...options })
  }

  /** What its log says since its last start. */
  log() {
    return readFileSync(this.logFile).subarray(this.logOffset).toString('utf8')
  }

  /** Do the files of its transaction log contain these bytes? */
  hasLogged(text) {
    const directory = join(this.dataDir, 'version-2')
    const files = existsSync(directory) ? readdirSync(directory).filter((file) => file.startsWith('log.')) : []
    return files.some((file) => readFileSync(join(directory, file)).includes(text))
  }

  /** The name of the process that ended by itself, and the end of its log. */
  explain() {
    if (this.process === null) return `member ${this.name} was not started`
    const how = this.process.ended === null ? 'runs' : `ended: ${this.process.ended}`
    return `member ${this.name} ${how}${tailOf(this.process, 6)}`
  }
}

export class Ensemble {
  /**
   * @param {string} directory empty, of this ensemble
   * @param {{java: string, ours: string}} commands
   * @param {{settings?: object, dynamic?: boolean, network?: object, ports?: [number, number]}} options `dynamic`: the
   *   client ports stand in the server lines; `network`: as LOOPBACK; `ports`: the range they are chosen from
   */
  constructor(directory, commands, { settings = {}, dynamic = false, network = LOOPBACK, ports = PORTS } = {}) {
    this.directory = directory
    this.commands = commands
    this.settings = settings
    this.dynamic = dynamic
    this.network = network
    this.ports = ports
    this.members = []
  }

  /** Members with sids from 1 up, of these kinds; nothing is started. */
  static async of(directory, commands, kinds, options = {}) {
    const ensemble = new Ensemble(directory, commands, options)
    const observers = options.observers ?? []
    for (const [i, kind] of kinds.entries()) {
      await ensemble.add(i + 1, kind, observers.includes(i + 1) ? 'observer' : 'participant')
    }
    for (const member of ensemble.members) member.writeConfig(ensemble.members)
    return ensemble
  }

  async add(sid, kind, role) {
    const member = new Member(this, sid, kind, role)
    member.port = await choosePort(...this.ports)
    member.quorumPort = await choosePort(...this.ports)
    member.electionPort = await choosePort(...this.ports)
    this.members.push(member)
    return member
  }

  member(sid) {
    return this.members.find((member) => member.sid === sid)
  }

  get running() {
    return this.members.filter((member) => member.running)
  }

  connectString(members = this.members) {
    return members.map((member) => `${member.host}:${member.port}`).join(',')
  }

  /** Starts these and waits until each of them serves under one leader; returns the leader. */
  async start(sids) {
    for (const sid of sids) this.member(sid).start()
    return this.settled()
  }

  /** The first start with a chosen leader: the members of `first` elect their highest sid, then the others come. */
  async startLedBy(sid) {
    const partner = this.members.find((m) => m.sid < sid && m.role === 'participant')
    await this.start([partner.sid, sid])
    const others = this.members.filter((m) => m.sid !== sid && m !== partner)
    const leader = others.length > 0 ? await this.start(others.map((m) => m.sid)) : await this.leader()
    if (leader.sid !== sid) throw new Error(`member ${leader.name} leads, not ${sid}`)
    return leader
  }

  async leader() {
    for (const member of this.running) if ((await member.mode()) === 'leader') return member
    return null
  }

  /** Waits until all of `members` serve and one of them leads; returns that one. */
  async settled(members = this.running, withinMs = SETTLE_MS) {
    const end = Date.now() + withinMs
    for (;;) {
      const modes = await Promise.all(members.map((member) => member.mode()))
      if (modes.filter((mode) => mode === 'leader').length === 1 && !modes.includes('')) {
        return members[modes.indexOf('leader')]
      }
      const dead = members.find((member) => !member.running)
      if (dead) throw new Error(dead.explain())
      if (Date.now() > end) {
        const silent = members.find((_, i) => modes[i] === '') ?? members[0]
        throw new Error(`modes after ${withinMs} ms: ${modes.map((m) => m || '-').join(' ')}; ${silent.explain()}`)
      }
      await sleep(POLL_MS)
    }
  }

  async killAll() {
    for (const member of this.members) if (member.running) signalGroup(member.process.child, 'SIGKILL')
    for (const member of this.members) await member.kill()
  }

  async stopAll() {
    await Promise.all(this.running.map((member) => member.stop()))
  }
}

/** Polls for what nothing announces. */
export async function until(what, holds, withinMs = 30_000) {
  const end = Date.now() + withinMs
  for (;;) {
    const value = await holds()
    if (value) return value
    if (Date.now() > end) throw new Error(`never came true within ${withinMs} ms: ${what}`)
    await sleep(POLL_MS)
  }
}
