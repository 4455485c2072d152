/**
 * What goes wrong in a seeded run, and when. Each fault is drawn with the time it lasts; at the end of the plan all of
 * them are over, and the ensemble has to go on by itself.
 */

import { ConfigError } from '../../src/server/config/settings.ts'
import { bump } from './counts.ts'
import type { Machine } from './machine.ts'
import type { Random } from './random.ts'
import { Rogue, spoil } from './rogue.ts'
import type { World } from './world.ts'

/** Ids of faults-and-security.md that a kind is in itself; coverage.ts has the others. */
const KINDS = {
  kill: { weight: 10, ids: [] },
  killLeader: { weight: 10, ids: [] },
  power: { weight: 10, ids: [] },
  powerAll: { weight: 3, ids: [] },
  crashTwice: { weight: 5, ids: [] },
  partition: { weight: 8, ids: ['N1'] },
  oneWay: { weight: 6, ids: ['N2'] },
  bridge: { weight: 4, ids: ['N2'] },
  cutLeader: { weight: 6, ids: ['N1'] },
  /** Between election and the first commit: promises of an epoch that never works. */
  candidate: { weight: 8, ids: [] },
  orphanTail: { weight: 8, ids: [] },
  /** Members fall behind; while their history becomes another one they end, or their leader, or the link between them. */
  midSync: { weight: 6, ids: [] },
  pause: { weight: 6, ids: [] },
  pauseLeader: { weight: 6, ids: [] },
  pauseAll: { weight: 2, ids: [] },
  pauseClient: { weight: 3, ids: ['N3'] },
  slowDisk: { weight: 5, ids: ['D3'] },
  fullDisk: { weight: 3, ids: [] },
  brokenDisk: { weight: 3, ids: [] },
  breakLinks: { weight: 6, ids: ['N5'] },
  halfClose: { weight: 4, ids: ['N3'] },
  slowLink: { weight: 5, ids: ['N4'] },
  wallJump: { weight: 3, ids: ['T3'] },
  lateName: { weight: 3, ids: ['N8'] },
  /** Where reconfiguration is on: a member begins to vote, or ends to; leaves; comes, with nothing; listens elsewhere. */
  reconfig: { weight: 8, ids: [] },
  remove: { weight: 6, ids: [] },
  join: { weight: 5, ids: [] },
  otherPorts: { weight: 4, ids: [] },
  moveClients: { weight: 5, ids: [] },
  /** All of them at once. */
  storm: { weight: 3, ids: ['S5'] },
  manyWatches: { weight: 2, ids: ['S6'] },
  /** Its event loop is held up: what comes in meanwhile is met all at once. */
  stall: { weight: 3, ids: ['T4'] },
  rogue: { weight: 6, ids: ['E7'] },
  spoiltWire: { weight: 4, ids: [] },
} as const

export type FaultKind = keyof typeof KINDS

const SECOND_US = 1_000_000
/** Watches that one client asks for at once. */
const MANY = 150
const RECONFIGURATIONS: readonly FaultKind[] = ['reconfig', 'remove', 'join', 'otherPorts']
const MEMBERS_MAX = 7
const VOTERS_MIN = 2
const PORT_SHIFT = 10
const OPERATOR_US = 100_000

export class Faults {
  private readonly world: World
  private readonly random: Random
  private readonly endUs: number
  /** Those of this run, with their weights. */
  private readonly weights: Partial<Record<FaultKind, number>>
  private readonly rogue: Rogue
  /** The one whose ports are not the first ones any more. */
  private moved: number | null
  private over: boolean

  constructor(world: World, random: Random, endUs: number, only: readonly FaultKind[] | null = null) {
    this.world = world
    this.random = random
    this.endUs = endUs
    this.weights = {}
    for (const kind of Object.keys(KINDS) as FaultKind[]) {
      // Swarm testing: each run leaves out some kinds, so that the others come closer to each other.
      const taken = only !== null ? only.includes(kind) : random.chance(0.6)
      if (RECONFIGURATIONS.includes(kind) && !world.options.reconfigEnabled) continue
      if (taken) this.weights[kind] = KINDS[kind].weight
    }
    if (Object.keys(this.weights).length === 0) this.weights.kill = 1
    this.rogue = new Rogue(random.fork('rogue'))
    this.moved = null
    this.over = false
  }

  /** One fault after the other, `gapMs` apart on average. */
  start(gapMs: number): void {
    if (this.weights.midSync !== undefined) this.awaitSyncs()
    const next = (): void => {
      const us = this.random.between(gapMs * 100, gapMs * 1900)
      if (this.world.timeline.nowUs + us >= this.endUs) return
      this.world.timeline.after(us, () => {
        if (this.over) return
        this.inject(this.random.weighted(this.weights))
        next()
      })
    }
    next()
  }

  inject(kind: FaultKind): void {
    const { world } = this
    bump(world.counts.faults, kind)
    const ids: readonly string[] = KINDS[kind].ids
    for (const id of ids) bump(world.counts.ids, id)
    world.story.tell('', `fault: ${kind}`)
    this.run(kind)
    world.observer.leadership.look()
  }

  /** All faults end: everything is up, awake, connected, and disks are sound. */
  heal(): void {
    const { world } = this
    this.over = true
    world.story.tell('', 'all faults end')
    world.fabric.mendAll()
    world.fabric.names.clear()
    for (const machine of world.machines.values()) {
      machine.resume()
      soundDisk(machine)
      if (machine.process !== null) machine.process.network.spoil = null
      machine.start()
      this.enlist(machine)
    }
    for (const client of world.clients) client.resume()
    // One that was taken in again while it was down has a list without itself: it says so, and is given another.
    world.timeline.after(OPERATOR_US, () => {
      for (const machine of world.machines.values()) if (machine.endedBy instanceof ConfigError) world.enlist(machine)
    })
    world.observer.leadership.look()
  }

  // ------------------------------------------------------------------ kinds

  private run(kind: FaultKind): void {
    const { random, world } = this
    switch (kind) {
      case 'kill':
        this.kill(this.anyone())
        return
      case 'killLeader':
        this.kill(this.leader())
        return
      case 'power':
        this.power(random.chance(0.4) ? this.leader() : this.anyone())
        return
      case 'powerAll':
        for (const machine of world.machines.values()) this.power(machine)
        return
      case 'crashTwice': {
        const machine = this.anyone()
        machine.powerOff()
        this.later(this.draw(0.05, 1), () => {
          machine.start()
          // In the middle of recovery, or of the sync behind it.
          this.later(random.between(100, random.pick([3000, 30_000, 300_000])), () => this.power(machine))
        })
        return
      }
      case 'partition': {
        const side = this.shuffled()
        const some = side.slice(0, random.between(1, side.length - 1))
        this.cut(
          some,
          side.filter((machine) => !some.includes(machine)),
          'both',
          this.draw(0.3, 6),
        )
        return
      }
      case 'cutLeader': {
        const leader = this.leader()
        const others = [...world.machines.values()].filter((machine) => machine !== leader)
        this.cut([leader], others, random.pick(['both', 'both', 'out', 'in']), this.draw(0.3, 6))
        return
      }
      case 'candidate':
        if (random.chance(0.7)) this.kill(this.leader())
        this.awaitCandidate(2000)
        return
      case 'orphanTail':
        this.orphanTail()
        return
      case 'midSync':
        // Somebody has to be far behind, or ahead with what nobody else has.
        if (random.chance(0.5)) this.orphanTail()
        else this.power(this.anyone())
        return
      case 'oneWay': {
        const [a, b] = this.shuffled()
        this.cut([a!], [b!], 'out', this.draw(0.3, 6))
        return
      }
      case 'bridge': {
        // Two that do not see each other, and the rest, which sees both.
        const [a, b] = this.shuffled()
        this.cut([a!], [b!], 'both', this.draw(0.5, 6))
        return
      }
      case 'pause':
        this.pause(this.anyone(), random.pick([this.draw(0.05, 1), this.draw(0.5, 6)]))
        return
      case 'pauseLeader':
        this.pause(this.leader(), random.pick([this.draw(0.05, 1), this.draw(0.5, 10)]))
        return
      case 'pauseAll': {
        const us = this.draw(0.5, 5)
        for (const machine of world.machines.values()) this.pause(machine, us)
        return
      }
      case 'pauseClient': {
        if (world.clients.length === 0) return
        const client = random.pick(world.clients)
        client.pause()
        this.later(this.draw(0.5, 6), () => client.resume())
        return
      }
      case 'slowDisk': {
        const machine = this.anyone()
        machine.disk.syncDelayUs = random.between(20_000, random.pick([100_000, 3_000_000]))
        this.later(this.draw(0.5, 5), () => soundDisk(machine))
        return
      }
      case 'fullDisk': {
        const machine = this.anyone()
        machine.disk.capacityBytes = machine.disk.usedBytes + random.int(2000)
        this.later(this.draw(0.3, 4), () => {
          soundDisk(machine)
          this.restartLater(machine)
        })
        return
      }
      case 'brokenDisk': {
        const machine = this.anyone()
        const step = random.pick(['write', 'sync', 'rename', 'create'])
        let left = 1
        machine.disk.fault = (name) => (name === step && left-- > 0 ? 'EIO' : null)
        this.later(this.draw(0.3, 3), () => {
          soundDisk(machine)
          this.restartLater(machine)
        })
        return
      }
      case 'breakLinks': {
        const [a, b] = this.shuffled()
        world.fabric.breakStreams(a!.name, b!.name)
        return
      }
      case 'halfClose': {
        const [a, b] = this.shuffled()
        world.fabric.breakStreams(a!.name, b!.name, true)
        return
      }
      case 'slowLink': {
        const [a, b] = this.shuffled()
        world.fabric.delay(a!.name, b!.name, random.between(5000, random.pick([20_000, 80_000, 500_000])))
        this.later(this.draw(1, 6), () => world.fabric.delay(a!.name, b!.name, 0))
        return
      }
      case 'wallJump': {
        const machine = this.anyone()
        machine.wallOffsetMs += random.pick([3_600_000, -3_600_000, 1000, -machine.wallOffsetMs])
        return
      }
      case 'lateName': {
        const machine = this.anyone()
        world.fabric.names.set(machine.name, null)
        this.later(this.draw(0.3, 4), () => world.fabric.names.delete(machine.name))
        return
      }
      case 'reconfig': {
        const { sid } = this.anyone()
        this.reconfigure(sid, world.observer.quorum?.isVoter(sid) !== true)
        return
      }
      case 'remove':
        this.remove(random.chance(0.3) ? this.leader() : this.anyone())
        return
      case 'join':
        this.join()
        return
      case 'otherPorts': {
        // One at a time: who misses that all others have moved has to be told by its operator.
        const { sid } = this.anyone()
        if (this.moved !== null && this.moved !== sid) return
        this.moved = sid
        this.reconfigure(sid, random.chance(0.7))
        return
      }
      case 'moveClients':
        for (const client of world.clients) if (random.chance(0.7)) client.move(null)
        return
      case 'storm':
        for (const client of world.clients) client.move(null)
        return
      case 'manyWatches': {
        if (world.clients.length === 0) return
        const client = random.pick(world.clients)
        for (let i = 0; i < MANY; i++) client.ask({ op: 'exists', path: `/many-${i % 50}`, watch: true })
        this.later(this.draw(0.05, 2), () => client.move(null))
        return
      }
      case 'stall':
        this.pause(random.chance(0.4) ? this.leader() : this.anyone(), 2 * SECOND_US)
        return
      case 'rogue':
        for (let times = random.between(1, 6); times > 0; times--) this.rogue.attack(this.anyone())
        return
      case 'spoiltWire':
        this.spoilWire()
        return
    }
  }

  private reconfigure(sid: number, voter: boolean): void {
    const { world } = this
    const shift = this.moved === sid ? PORT_SHIFT : 0
    this.askReconfig(world.serverLine(sid, voter, shift), null)
  }

  private askReconfig(joining: string | null, leaving: string | null): void {
    const { clients } = this.world
    if (clients.length > 0) this.random.pick(clients).ask({ op: 'reconfig', joining, leaving })
  }

  /** It leaves, and after a while its operator lets it begin anew, at times to be taken in again. */
  private remove(machine: Machine): void {
    const { quorum } = this.world.observer
    if (quorum === null || (quorum.isVoter(machine.sid) && quorum.voters.length <= VOTERS_MIN)) return
    this.askReconfig(null, `${machine.sid}`)
    this.later(this.draw(0.3, 3), () => {
      this.enlist(machine)
      if (this.random.chance(0.5)) this.later(this.draw(0.2, 2), () => this.reconfigure(machine.sid, true))
    })
  }

  /** Where it is no member any more. */
  private enlist(machine: Machine): void {
    const { world } = this
    if (world.observer.quorum?.isMember(machine.sid) === false) world.enlist(machine)
  }

  private join(): void {
    const { random, world } = this
    // A history that begins near the end of an epoch cannot be told from a lost one by a checker.
    if (world.machines.size >= MEMBERS_MAX || world.model.base !== 0 || world.observer.quorum === null) return
    const sid = world.machines.size + 1
    const machine = world.addMachine(sid, world.joinerLines(sid))
    machine.start()
    this.later(this.draw(0.2, 2), () => this.reconfigure(sid, random.chance(0.7)))
  }

  /** One of the next things that the leader says to one of its learners is said wrongly. */
  private spoilWire(): void {
    const { random, world } = this
    const leader = this.leader()
    const network = leader.process?.network
    if (network === undefined) return
    let left = 1
    network.spoil = (bytes) => {
      const spoilt = left > 0 && random.chance(0.3) ? spoil(bytes, random) : null
      if (spoilt === null) return null
      left--
      world.story.tell(leader.name, `what it says is ${spoilt.how}`)
      bump(world.counts.faults, `said ${spoilt.how}`)
      bump(world.counts.ids, spoilt.how === 'left out' ? 'E4' : 'E9')
      return spoilt.bytes
    }
    this.later(this.draw(0.3, 3), () => {
      network.spoil = null
    })
  }

  /** The next one that leads and is not established ends, or loses some of its followers, at a moment drawn. */
  private awaitCandidate(leftMs: number): void {
    const { random, world } = this
    const machines = [...world.machines.values()]
    const candidate = machines.find(({ member }) => member?.zab.role === 'leading' && !member.zab.established)
    if (candidate === undefined) {
      if (leftMs > 0) this.later(1000, () => this.awaitCandidate(leftMs - 1))
      return
    }
    this.later(random.between(0, random.pick([2000, 8000, 130_000])), () => {
      if (random.chance(0.6)) {
        this.kill(candidate)
        return
      }
      const some = machines.filter((machine) => machine !== candidate && random.chance(0.6))
      this.cut([candidate], some, random.pick(['both', 'out', 'in']), this.draw(0.3, 4))
    })
  }

  /** Of the trees and cuts under way some end in the middle, for whatever reason. */
  private awaitSyncs(): void {
    const { random, world } = this
    world.observer.onSyncing = (learner) => {
      if (this.over || !random.chance(0.5)) return
      this.later(random.between(0, random.pick([300, 3000])), () => this.breakSync(learner))
    }
  }

  private breakSync(learner: Machine): void {
    const { random, world } = this
    const leader = this.leader()
    const how = random.pick(['kill', 'power', 'leader', 'link', 'cut'])
    if (how === 'kill') this.kill(learner)
    else if (how === 'power') this.power(learner)
    else if (how === 'leader') this.kill(leader)
    else if (how === 'link') world.fabric.breakStreams(leader.name, learner.name)
    else this.cut([leader], [learner], random.pick(['both', 'out', 'in']), this.draw(0.3, 4))
  }

  /** A leader goes on logging what nobody else hears of, and comes back when others have gone on without it. */
  private orphanTail(): void {
    const { random, world } = this
    const leader = this.leader()
    const others = [...world.machines.values()].filter((machine) => machine !== leader)
    this.cut([leader], others, random.pick(['both', 'out']), this.draw(1.2, 4))
    for (const client of world.clients) if (random.chance(0.5)) client.move(leader.name)
    const how = random.pick(['stays', 'killed', 'power'])
    if (how === 'stays') return
    this.later(this.draw(0.1, 1), () => {
      if (how === 'power') this.power(leader)
      else this.kill(leader)
    })
  }

  private kill(machine: Machine): void {
    machine.kill()
    this.restartLater(machine)
  }

  private power(machine: Machine): void {
    machine.powerOff()
    this.restartLater(machine)
  }

  private restartLater(machine: Machine): void {
    this.later(this.random.chance(0.7) ? this.draw(0.05, 1.5) : this.draw(1, 8), () => machine.start())
  }

  private pause(machine: Machine, us: number): void {
    machine.pause()
    this.later(us, () => machine.resume())
  }

  private cut(these: readonly Machine[], those: readonly Machine[], way: 'both' | 'out' | 'in', us: number): void {
    const { fabric } = this.world
    const pairs: [string, string][] = []
    for (const a of these) {
      for (const b of those) {
        if (way !== 'in') pairs.push([a.name, b.name])
        if (way !== 'out') pairs.push([b.name, a.name])
      }
    }
    for (const [from, to] of pairs) fabric.cut(from, to)
    this.later(us, () => {
      for (const [from, to] of pairs) fabric.mend(from, to)
    })
  }

  private later(us: number, run: () => void): void {
    this.world.timeline.after(us, () => {
      if (this.over) return
      run()
      this.world.observer.leadership.look()
    })
  }

  /** Seconds to µs, the shorter the likelier. */
  private draw(lowSeconds: number, highSeconds: number): number {
    const share = this.random.next() ** 2
    return Math.floor((lowSeconds + (highSeconds - lowSeconds) * share) * SECOND_US)
  }

  private anyone(): Machine {
    return this.random.pick([...this.world.machines.values()])
  }

  private leader(): Machine {
    return this.world.leader() ?? this.anyone()
  }

  private shuffled(): Machine[] {
    const machines = [...this.world.machines.values()]
    for (let i = machines.length - 1; i > 0; i--) {
      const j = this.random.int(i + 1)
      const machine = machines[i]!
      machines[i] = machines[j]!
      machines[j] = machine
    }
    return machines
  }
}

function soundDisk(machine: Machine): void {
  machine.disk.syncDelayUs = 0
  machine.disk.capacityBytes = Number.POSITIVE_INFINITY
  machine.disk.fault = () => null
}
