/**
 * One simulated world: machines with members, clients, wires, virtual time, and the checkers that look on.
 *
 * The loop lets one thing happen after the other. Where that may have moved a promise, all that promises have to do is
 * done before the next thing happens; so a run depends on its seed alone.
 */

import { Err } from '../../src/jute/codes.ts'
import { zxidHex } from '../../src/jute/zxid.ts'
import type { RequestChecker } from './checkers/requests.ts'
import { Client, type ClientWorld, type Request } from './client.ts'
import { bump, Counts } from './counts.ts'
import { Fabric } from './fabric.ts'
import { Failure, law } from './failure.ts'
import { Judge } from './judge.ts'
import { CONFIG_FILE, Machine, type Surroundings } from './machine.ts'
import type { Model } from './model.ts'
import { PORTS } from './port.ts'
import { Random } from './random.ts'
import { Story } from './story.ts'
import { Timeline } from './timeline.ts'
import type { Reply } from './wire.ts'

export interface WorldOptions {
  seed: number
  voters: number
  observers: number
  tickMs: number
  initLimitTicks: number
  syncLimitTicks: number
  snapCount: number
  commitLogCount: number
  reconfigEnabled: boolean
  /** More lines of zoo.cfg. */
  settings: string
  keepStory: boolean
}

export const WORLD_DEFAULTS: Omit<WorldOptions, 'seed'> = {
  voters: 3,
  observers: 0,
  tickMs: 200,
  initLimitTicks: 10,
  syncLimitTicks: 5,
  snapCount: 40,
  commitLogCount: 20,
  reconfigEnabled: false,
  settings: '',
  keepStory: false,
}

/** The slowest of slow links, one way. */
const LINK_DELAY_MAX_US = 500_000

export class World implements Surroundings, ClientWorld {
  readonly options: WorldOptions
  readonly timeline: Timeline
  readonly story: Story
  readonly random: Random
  readonly fabric: Fabric
  readonly observer: Judge
  readonly machines: Map<number, Machine>
  readonly clients: Client[]
  readonly counts: Counts
  failure: Failure | null
  ackedZxid: number
  /** Acknowledged writes with their time, oldest first, for the freshness of sync. */
  private readonly acked: { atUs: number; zxid: number }[]
  private stirred: boolean

  constructor(options: Partial<WorldOptions> & { seed: number }) {
    this.options = { ...WORLD_DEFAULTS, ...options }
    const { seed, voters, observers, tickMs, syncLimitTicks } = this.options
    this.timeline = new Timeline()
    this.story = new Story(() => this.timeline.nowUs, this.options.keepStory)
    this.random = new Random(seed)
    this.fabric = new Fabric(this.timeline, this.random.fork('network'), this.story)
    this.counts = new Counts()
    this.counts.runs = 1
    this.observer = new Judge(this.story, this.counts, {
      tickMs,
      syncLimitTicks,
      nowUs: () => this.timeline.nowUs,
      within: (sid) => this.within(sid),
    })
    this.machines = new Map()
    this.clients = []
    this.failure = null
    this.ackedZxid = 0
    this.acked = []
    this.stirred = false
    const sids = Array.from({ length: voters + observers }, (_, i) => i + 1)
    const membership = sids.map((sid) => this.serverLine(sid, sid <= voters)).join('\n')
    for (const sid of sids) this.addMachine(sid, membership)
  }

  /** `shift` is added to the ports for other members. */
  serverLine(sid: number, voter: boolean, shift = 0): string {
    const client = this.options.reconfigEnabled ? `;${PORTS.client}` : ''
    const ports = `${PORTS.learner + shift}:${PORTS.election + shift}`
    return `server.${sid}=s${sid}:${ports}:${voter ? 'participant' : 'observer'}${client}`
  }

  /** What an operator gives a server that is to join: the members there are, and itself, without a vote. */
  joinerLines(sid: number): string {
    const own = `server.${sid}=`
    const lines = this.observer.quorum!.text.split('\n')
    const others = lines.filter((line) => line.startsWith('server.') && !line.startsWith(own))
    return [...others, this.serverLine(sid, false)].join('\n')
  }

  /** Begins anew, on the disk it has, from the list of a server that is to join. */
  enlist(machine: Machine): void {
    machine.kill()
    machine.disk.put(CONFIG_FILE, new TextEncoder().encode(this.zooCfg(this.joinerLines(machine.sid))))
    machine.start()
  }

  zooCfg(membership: string): string {
    const { tickMs, initLimitTicks, syncLimitTicks, snapCount, reconfigEnabled } = this.options
    return [
      `tickTime=${tickMs}`,
      `initLimit=${initLimitTicks}`,
      `syncLimit=${syncLimitTicks}`,
      'dataDir=/data',
      ...(reconfigEnabled ? [] : [`clientPort=${PORTS.client}`]),
      `snapCount=${snapCount}`,
      'preAllocSize=4',
      'maxClientCnxns=0',
      'standaloneEnabled=false',
      `reconfigEnabled=${reconfigEnabled}`,
      'skipACL=yes',
      this.options.settings,
      membership,
      '',
    ].join('\n')
  }

  addMachine(sid: number, membership: string): Machine {
    const machine = new Machine(this, sid, this.random.fork(`machine ${sid}`), this.zooCfg(membership))
    machine.overrides = { commitLogCount: this.options.commitLogCount }
    this.machines.set(sid, machine)
    return machine
  }

  addClient(timeoutMs: number): Client {
    const name = `c${this.clients.length + 1}`
    const client = new Client(this, name, this.random.fork(name), timeoutMs)
    this.clients.push(client)
    return client
  }

  machine(sid: number): Machine {
    return this.machines.get(sid)!
  }

  // ------------------------------------------------------------------ time

  /** Lets things happen until `untilUs`, or until `stop` says so, which is what is returned. Throws on a failure. */
  async run(untilUs: number, stop: () => boolean = () => false): Promise<boolean> {
    for (;;) {
      while (this.stirred) {
        this.stirred = false
        await new Promise<void>((resolve) => {
          setImmediate(resolve)
        })
      }
      if (this.failure !== null) throw this.failure
      if (stop()) return true
      if (!this.timeline.step(untilUs)) return false
    }
  }

  stir(): void {
    this.stirred = true
  }

  fail(failure: Failure): void {
    this.story.tell('', `FAILURE ${failure.message}`)
    this.failure ??= failure
  }

  guard(run: () => void): void {
    try {
      run()
    } catch (err) {
      this.fail(err instanceof Failure ? err : new Failure('crash', 'crash', String(err), { cause: err }))
    }
  }

  // ------------------------------------------------------------------ who is where

  /** The member that leads and is established, by the highest epoch. */
  leader(): Machine | null {
    let best: Machine | null = null
    for (const machine of this.machines.values()) {
      const zab = machine.member?.zab
      if (zab === undefined || zab.role !== 'leading' || !zab.established) continue
      if (best === null || zab.currentEpoch > best.member!.zab.currentEpoch) best = machine
    }
    return best
  }

  within(sid: number): Set<number> {
    const set = new Set<number>()
    const self = this.machine(sid)
    if (!self.up || self.paused) return set
    for (const machine of this.machines.values()) {
      const reaches = !this.fabric.isCut(self.name, machine.name) && !this.fabric.isCut(machine.name, self.name)
      if (machine.up && !machine.paused && reaches) set.add(machine.sid)
    }
    return set
  }

  // ------------------------------------------------------------------ ClientWorld

  get model(): Model {
    return this.observer.history.model
  }

  get requests(): RequestChecker {
    return this.observer.history.requests
  }

  servers(): readonly string[] {
    return [...this.machines.values()].map((machine) => machine.name)
  }

  answered(client: Client, request: Request, reply: Reply): void {
    const { op } = request.operation
    bump(this.counts.operations, op)
    this.observer.sessions.heard(Number(request.server.slice(1)), request.session, request.sentUs)
    if (reply.err !== Err.ok) bump(this.counts.errors, String(reply.err))
    const last = this.acked[this.acked.length - 1]
    if (this.ackedZxid > (last?.zxid ?? 0)) this.acked.push({ atUs: this.timeline.nowUs, zxid: this.ackedZxid })
    if (op === 'sync' && reply.err === Err.ok) this.checkSync(client, request, reply)
  }

  /** What was acknowledged so long before a sync was sent that no deposed leader may answer any more, it has seen. */
  private checkSync(client: Client, request: Request, reply: Reply): void {
    const { tickMs, syncLimitTicks } = this.options
    // A leader believes in its quorum for syncLimit behind what it last heard of it, which may have been on its way long.
    const graceUs = (syncLimitTicks + 1) * tickMs * 1000 + LINK_DELAY_MAX_US
    let must = 0
    for (let i = this.acked.length - 1; i >= 0 && must === 0; i--) {
      if (this.acked[i]!.atUs <= request.sentUs - graceUs) must = this.acked[i]!.zxid
    }
    law(
      reply.zxid >= must,
      'I4',
      () =>
        `${client.machine} is answered a sync at ${zxidHex(reply.zxid)} long after ${zxidHex(must)} was acknowledged`,
    )
  }

  sessionLost(client: Client, session: string): void {
    this.counts.sessionsLost++
    this.story.tell(client.machine, `lost ${session}`)
    this.observer.sessions.over(client.machine, session)
  }

  sessionOpened(client: Client, session: string): void {
    const known = this.model.sessions.get(session)
    law(known !== undefined, 'S2', () => `${client.machine} is given ${session}, which is not committed`)
  }
}
