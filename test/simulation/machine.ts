/**
 * One machine and the member of the ensemble that runs on it: the production Member, on a simulated disk, network and
 * clock. A machine outlives its processes: they are killed, lose their power, stop and go on, and are started again.
 */

import { StateMachine } from '../../src/datatree/apply.ts'
import { OpCode } from '../../src/jute/codes.ts'
import { Output } from '../../src/jute/output.ts'
import { epochOf } from '../../src/jute/zxid.ts'
import type { Config } from '../../src/server/config/config.ts'
import { parseConfig } from '../../src/server/config/config.ts'
import { type Membership, parseConfigText } from '../../src/server/config/members.ts'
import { Lives } from '../../src/server/life/lives.ts'
import { ConfigFiles } from '../../src/server/member/configfiles.ts'
import { Member, type MemberHost } from '../../src/server/member/member.ts'
import { Metrics } from '../../src/server/report/metrics.ts'
import type { Connection } from '../../src/server/requests/connection.ts'
import { reapable } from '../../src/server/requests/containers.ts'
import type { Pipeline } from '../../src/server/requests/pipeline.ts'
import type { Room } from '../../src/txnlog/disk.ts'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../src/txnlog/filestore.ts'
import { purge } from '../../src/txnlog/purge.ts'
import type { Quorum } from '../../src/zab/types.ts'
import { bump, type Counts } from './counts.ts'
import { DiskPort, SimDisk } from './disk.ts'
import { Door } from './door.ts'
import type { Fabric, Party } from './fabric.ts'
import { Failure } from './failure.ts'
import { type Observer, observe } from './observe.ts'
import { MemberPort } from './port.ts'
import type { Random } from './random.ts'
import type { Story } from './story.ts'
import type { Happening, Timeline } from './timeline.ts'

/** What handshake.ts says of a client that has seen a later zxid than its server. */
const CLIENT_AHEAD = 'client is ahead of this server and must try another one'
/** And proposer.ts of an epoch that has no zxids left. */
const EPOCH_ENDS = 'the zxids of this epoch are used up: this leader resigns'
export const CONFIG_FILE = '/conf/zoo.cfg'
/** 2026-01-01 */
const WALL_START_MS = 1_767_225_600_000

/** What all machines of a world share. */
export interface Surroundings {
  readonly timeline: Timeline
  readonly fabric: Fabric
  readonly story: Story
  readonly observer: Observer
  readonly counts: Counts
  /** A promise may have something to do: the loop lets it, before the next thing happens. */
  stir(): void
  fail(failure: Failure): void
}

export class Machine {
  readonly sid: number
  /** Its name on the network. */
  readonly name: string
  readonly disk: SimDisk
  readonly around: Surroundings
  readonly random: Random
  /** What parseConfig cannot say (it raises small values). */
  overrides: Partial<Config>
  process: Process | null
  paused: boolean
  private pausedUs: number
  /** How far its wall clock is off. */
  wallOffsetMs: number
  /** Monotonic clocks of machines have nothing to do with each other. */
  readonly bootMs: number
  /** Why the last process ended by itself; null: it did not. */
  endedBy: Error | null
  /** Its files were damaged, or are another's: to end because of them is right. */
  spoiled: boolean
  starts: number

  constructor(around: Surroundings, sid: number, random: Random, zooCfg: string) {
    this.sid = sid
    this.name = `s${sid}`
    this.around = around
    this.random = random
    this.disk = new SimDisk(around.timeline, random.fork('disk'))
    this.overrides = {}
    this.process = null
    this.paused = false
    this.pausedUs = 0
    this.wallOffsetMs = 0
    this.bootMs = random.between(1000, 50_000_000)
    this.endedBy = null
    this.spoiled = false
    this.starts = 0
    this.disk.put(CONFIG_FILE, new TextEncoder().encode(zooCfg))
    this.disk.put('/data/myid', new TextEncoder().encode(`${sid}\n`))
  }

  /** Gives it the files of a server that has been at work until `zxid`, with an empty tree. Before its first start. */
  async age(zxid: number): Promise<void> {
    const folder = '/data/version-2'
    const port = new DiskPort(this.disk, (run) => {
      run()
      this.around.stir()
    })
    const relay = { onWatch: () => {}, onResult: () => {}, onSessionCreated: () => {}, onSessionClosed: () => {} }
    const state = new StateMachine(relay, { ...relay, onDigestMismatch: () => {} }, { digest: true })
    state.zxidLast = zxid
    this.disk.makeFolder(folder)
    for (const name of ['acceptedEpoch', 'currentEpoch']) {
      this.disk.put(`${folder}/${name}`, new TextEncoder().encode(`${epochOf(zxid)}`))
    }
    this.around.stir()
    // All at once: nothing else is there that would let its slices follow one another.
    const checkpoint = new FileSnapshotStore(port, folder, SNAPSHOT_DEFAULTS).begin(state)
    let complete = false
    while (!complete) complete = checkpoint.step(4096)
    await checkpoint.write()
    await checkpoint.finish()
  }

  /** It has started once, and then accepted an epoch that was never begun. Before its first start here. */
  async promise(epoch: number): Promise<void> {
    if (!this.disk.names('/data/version-2').some((name) => name.startsWith('snapshot.'))) await this.age(0)
    else this.around.stir()
    const path = '/data/version-2/acceptedEpoch'
    const before = this.disk.get(path)
    const accepted = before === null ? 0 : Number(new TextDecoder().decode(before))
    this.disk.put(path, new TextEncoder().encode(`${accepted + epoch}`))
  }

  get member(): Member | null {
    return this.process?.member ?? null
  }

  get up(): boolean {
    return this.process !== null
  }

  /** Why it serves nobody although it runs; null: it does not say so. */
  get asideFor(): string | null {
    return this.process?.asideFor ?? null
  }

  start(): void {
    if (this.process !== null) return
    this.starts++
    this.endedBy = null
    this.around.fabric.powerOn(this.name)
    this.around.story.tell(this.name, 'starts')
    const process = new Process(this)
    this.process = process
    process.start()
  }

  /** SIGKILL: what was written stays, the kernel ends the connections. */
  kill(): void {
    this.end('killed', false)
  }

  /** What was not synced is lost in parts, and nobody is told. */
  powerOff(): void {
    this.end('loses its power', true)
    this.around.fabric.powerOff(this.name)
    this.disk.losePower()
  }

  /** SIGSTOP: time goes on, and what comes in waits. */
  pause(): void {
    if (this.process === null || this.paused) return
    this.paused = true
    this.pausedUs = this.around.timeline.nowUs
    this.around.story.tell(this.name, 'stops for a while')
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.around.story.tell(this.name, 'goes on')
    this.around.observer.woke(this, this.around.timeline.nowUs - this.pausedUs)
    this.process?.catchUp()
  }

  /** The process has ended by itself. */
  failed(err: Error): void {
    this.endedBy = err
    this.end(`ends: ${err.message}`, false)
  }

  private end(how: string, silently: boolean): void {
    const { process } = this
    if (process === null) return
    this.around.story.tell(this.name, how)
    this.process = null
    this.paused = false
    process.end(silently)
    this.around.observer.ended(this)
  }
}

export class Process implements Party, MemberHost {
  readonly machine: string
  readonly disk: DiskPort
  network: MemberPort
  readonly door: Door
  readonly owner: Machine
  member: Member | null
  /** Recovery is over. */
  started: boolean
  private readonly around: Surroundings
  private readonly rng: Random
  private readonly backlog: (() => void)[]
  private gone: boolean
  private turn: Happening | null
  private timer: Happening | null
  private timerMs: number
  private tickMs: number
  private lastTickMs: number
  private files: ConfigFiles | null
  private configNow: Config | null
  /** As quorumserver.ts: what lives to come begin with; null before the first. */
  private listed: Membership | null
  private ticks: number
  private ticking: boolean
  private readonly lives: Lives
  /** Tells this life's failure. */
  private lifeFailed: (err: Error) => void

  constructor(owner: Machine) {
    this.machine = owner.name
    this.owner = owner
    this.around = owner.around
    this.rng = owner.random.fork(`process ${owner.starts}`)
    this.disk = new DiskPort(owner.disk, (run) => this.input(run))
    this.network = this.makeNetwork()
    this.door = new Door(this.around.fabric, this, {
      nowMs: () => this.nowMs(),
      wallMs: () => this.wallMs(),
      want: () => this.want(),
      clockFirst: () => this.member?.clockFirst(),
      answered: (type, err) => this.around.observer.answered(this.owner, type, err),
    })
    this.member = null
    this.started = false
    this.backlog = []
    this.gone = false
    this.turn = null
    this.timer = null
    this.timerMs = Number.POSITIVE_INFINITY
    this.tickMs = 0
    this.lastTickMs = 0
    this.files = null
    this.configNow = null
    this.listed = null
    this.ticks = 0
    this.ticking = false
    this.lifeFailed = () => {}
    this.lives = this.makeLives()
  }

  get asideFor(): string | null {
    return this.lives.asideFor
  }

  private makeNetwork(): MemberPort {
    const tell = (text: string): void => this.around.story.tell(this.machine, text)
    return new MemberPort(this.around.fabric, this, () => this.want(), tell)
  }

  /** As quorumserver.ts. */
  private makeLives(): Lives {
    return new Lives(
      {
        nowMs: () => this.nowMs(),
        after: (ms, run) => {
          const happening = this.around.timeline.after(Math.max(1, ms * 1000), () => this.input(run))
          return () => {
            happening.run = null
          }
        },
        begin: (failed) => this.begin(failed),
        end: () => this.endLife(),
        room: async () => this.room(),
        aside: () => this.around.observer.ended(this.owner),
        failed: (err) => this.die(err),
        log: (level, fields, message) => this.log(level, fields, message),
      },
      null,
    )
  }

  private room(): Room {
    const { capacityBytes, usedBytes } = this.owner.disk
    return { freeBytes: capacityBytes - usedBytes, totalBytes: capacityBytes }
  }

  start(): void {
    void this.lives.start().catch((err: Error) => this.die(err))
    this.around.stir()
  }

  private async begin(failed: (err: Error) => void): Promise<void> {
    const { owner } = this
    const parsed = this.parse()
    this.listed ??= parsed.quorum.membership
    const config = { ...parsed, quorum: { ...parsed.quorum, membership: this.listed } }
    this.configNow = config
    this.lifeFailed = failed
    this.files = new ConfigFiles(this.disk, CONFIG_FILE, {
      serverId: owner.sid,
      reconfigEnabled: config.quorum.reconfigEnabled,
    })
    this.tickMs = Math.max(1, Math.floor(config.tickTimeMs / 2))
    const member = new Member(config, this, new Metrics(() => this.random()))
    this.member = member
    observe(owner, member, this.around.observer)
    this.listenAt(config.quorum.membership.members.find(({ id }) => id === owner.sid)?.addresses[0])
    this.network.start(member)
    await member.start(await this.files.readLastSeen())
    if (this.gone || this.member !== member) return
    this.started = true
    this.lastTickMs = this.nowMs()
    if (!this.ticking) this.tick()
    this.ticking = true
    this.arm()
  }

  private async endLife(): Promise<void> {
    const { member } = this
    this.member = null
    this.started = false
    if (this.timer !== null) this.timer.run = null
    this.timer = null
    await member?.stop()
    this.network.stop()
    this.network = this.makeNetwork()
  }

  private listenAt(own: { quorumPort: number; electionPort: number } | undefined): void {
    if (own !== undefined) this.network.setOwnPorts({ learner: own.quorumPort, election: own.electionPort })
  }

  private parse(): Config {
    const { owner } = this
    const read = (path: string): string | null => {
      const bytes = owner.disk.get(path)
      return bytes === null ? null : Buffer.from(bytes).toString('latin1')
    }
    const { config } = parseConfig(read(CONFIG_FILE)!, CONFIG_FILE, new Map(), read)
    return { ...config, ...owner.overrides }
  }

  /** Everything that reaches the process: later while it is stopped, never once it is gone. */
  input(run: () => void): void {
    if (this.gone) return
    if (this.owner.paused) {
      this.backlog.push(run)
      return
    }
    try {
      run()
    } catch (err) {
      this.failed(err instanceof Error ? err : new Error(String(err)))
    }
    this.around.stir()
  }

  /** After a stop: first of all its timers are due, then what has come in meanwhile. */
  catchUp(): void {
    if (this.started) this.input(() => this.onTimer())
    for (const run of this.backlog.splice(0)) this.input(run)
  }

  end(silently: boolean): void {
    this.gone = true
    this.disk.end()
    this.around.fabric.leave(this, silently)
    for (const happening of [this.turn, this.timer]) if (happening !== null) happening.run = null
  }

  // ------------------------------------------------------------------ timers and turns

  private tick(): void {
    this.around.timeline.after(this.tickMs * 1000 + this.rng.int(500), () => {
      if (this.gone) return
      this.input(() => this.onTick())
      this.tick()
    })
  }

  private onTick(): void {
    const { member } = this
    if (member === null) return
    const now = this.nowMs()
    member.clockFirst()
    // As main.ts: nobody could have been heard while this process was stopped.
    if (now - this.lastTickMs > 3 * this.tickMs) {
      member.sessions?.grantFullTimeouts(now)
      this.door.grant(now)
    }
    this.lastTickMs = now
    member.onTick()
    this.door.sweep(now)
    this.keepHouse(member)
    this.want()
  }

  /** As housekeeping.ts: containers nobody uses any more, and files nobody needs. */
  private keepHouse(member: Member): void {
    const { pipeline, state, zab } = member
    if (++this.ticks % 10 !== 0) return
    if (pipeline !== null && zab.role === 'leading' && zab.established) {
      for (const path of reapable(state.tree, this.wallMs(), 0)) {
        const body = new Output(64)
        body.buffer(path)
        pipeline.submitInternal(OpCode.deleteContainer, 0, 0, body.copy())
      }
    }
    if (this.ticks % 50 !== 0) return
    const config = this.configNow!
    purge(this.disk, config, config.snapRetainCount).catch((err: unknown) => this.log('warn', { err }, 'purge failed'))
  }

  private arm(): void {
    const { member } = this
    if (this.gone || !this.started || member === null) return
    const atMs = member.nextDeadlineMs()
    if (this.timer?.run != null && atMs === this.timerMs) return
    if (this.timer !== null) this.timer.run = null
    this.timer = null
    this.timerMs = atMs
    if (atMs === Number.POSITIVE_INFINITY) return
    const atUs = (atMs - this.owner.bootMs) * 1000 + this.rng.int(300)
    this.timer = this.around.timeline.at(atUs, () => this.input(() => this.onTimer()))
  }

  private onTimer(): void {
    this.member?.clockFirst()
    this.want()
  }

  want(): void {
    if (this.turn !== null || this.gone) return
    this.turn = this.around.timeline.after(this.rng.int(40), () => this.endTurn())
  }

  private endTurn(): void {
    this.turn = null
    this.input(() => {
      if (!this.started) return
      this.member!.flush()
      this.door.flush()
      this.arm()
    })
  }

  // ------------------------------------------------------------------ MemberHost

  nowMs(): number {
    return this.owner.bootMs + Math.floor(this.around.timeline.nowUs / 1000)
  }

  wallMs(): number {
    return WALL_START_MS + Math.floor(this.around.timeline.nowUs / 1000) + this.owner.wallOffsetMs
  }

  random(): number {
    return this.rng.next()
  }

  serve(pipeline: Pipeline | null): void {
    this.door.serve(pipeline)
  }

  connection(connId: number): Connection | undefined {
    return this.door.connection(connId)
  }

  failed(err: Error): void {
    if (this.gone) return
    if (this.isExpected(err)) this.lifeFailed(err)
    else this.die(err)
  }

  /** Whether to end because of it is right; anything else is a bug. */
  private isExpected(err: Error): boolean {
    return err.name === 'StorageError' || err.name === 'ConfigError' || 'code' in err
  }

  private die(err: Error): void {
    if (this.gone) return
    if (!this.isExpected(err)) {
      const message = `${this.machine} crashed: ${err.stack ?? err.message}`
      this.around.fail(err instanceof Failure ? err : new Failure('crash', 'crash', message, { cause: err }))
    }
    this.owner.failed(err)
  }

  log(level: 'debug' | 'info' | 'warn', fields: Record<string, unknown>, message: string): void {
    const { story, counts } = this.around
    if (message === 'snapshot written') counts.snapshots++
    if (message === CLIENT_AHEAD) bump(counts.ids, 'S4')
    if (message === EPOCH_ENDS) bump(counts.ids, 'E10')
    let text = level === 'warn' ? `! ${message}` : message
    for (const [key, value] of Object.entries(fields))
      text += ` ${key}=${value instanceof Error ? value.message : value}`
    story.tell(this.machine, text)
  }

  config(quorum: Quorum, committed: boolean, done: () => void = () => {}): void {
    const { sid } = this.owner
    this.around.observer.configured(this.owner, quorum, committed)
    // As memberlife.ts: our own ports follow what is in force.
    if (committed && quorum.isMember(sid)) {
      const [learner, election] = [quorum.quorumAddresses(sid)[0]!, quorum.electionAddresses(sid)[0]!]
      this.listenAt({ quorumPort: portOf(learner), electionPort: portOf(election) })
      this.listed = parseConfigText(quorum.text, this.configNow!.quorum.multiAddressEnabled)
    }
    const saved = committed ? this.files!.activate(quorum.text) : this.files!.saveLastSeen(quorum.text)
    saved.catch((err: unknown) => this.log('warn', { err }, 'cannot write the configuration files')).then(done)
    this.around.stir()
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
