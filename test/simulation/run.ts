/**
 * One seed, one run: an ensemble and its clients in fair weather, then under faults, then healed. What must hold always
 * is checked as it happens; at the end the ensemble must serve again within a bound, and agree to the last byte.
 */

import { Err } from '../../src/jute/codes.ts'
import { makeZxid } from '../../src/jute/zxid.ts'
import { checkMember } from './checkers/end.ts'
import type { Client } from './client.ts'
import { bump, type Counts } from './counts.ts'
import { Failure } from './failure.ts'
import { type FaultKind, Faults } from './faults.ts'
import { PORTS } from './port.ts'
import { Random } from './random.ts'
import { Workload } from './workload.ts'
import { World } from './world.ts'

export interface RunOptions {
  keepStory: boolean
  /** Only these kinds of faults; null: drawn. */
  faults: readonly FaultKind[] | null
  /** Some ten times shorter, with fewer requests: to try many beginnings rather than long lives. */
  brief?: boolean
}

export interface RunResult {
  seed: number
  hash: string
  counts: Counts
  story: readonly string[]
  failure: Failure | null
}

const SECOND_US = 1_000_000

/**
 * I10: how long the ensemble may take, in seconds of a tick of 0.2 s. Without any fault the first leader is there after an
 * election or two. When all faults are over, roles that do not work have to end (initLimit, 2 s), an election finds a
 * leader (notifications come every 2 s at most), and everybody is brought up to date (initLimit again, twice): 8 s, and
 * half of that once more for a learner that comes too late for the first try. From then on a client finds a server and
 * writes within the time that it gives each server (1 s) for all of them, and what is committed is everywhere at once.
 */
const FIRST_LEADER_SECONDS = 4
const ESTABLISHED_SECONDS = 12
const WRITE_SECONDS = 8
const DELIVERED_SECONDS = 2
/**
 * I7: the longest timeout is 4 s; its end is found in the tick behind it, as far as the leader's learners report. A leader
 * that comes meanwhile, because an epoch has run out of zxids, gives every session all of its time again.
 */
const EXPIRED_SECONDS = 6
const LEADERS_MEANWHILE = 2

export async function runSeed(
  seed: number,
  options: RunOptions = { keepStory: false, faults: null },
): Promise<RunResult> {
  const random = new Random(seed).fork('plan')
  const voters = random.pick([3, 3, 3, 5])
  const world = new World({
    seed,
    voters,
    observers: voters === 3 ? random.pick([0, 0, 1, 2]) : 0,
    snapCount: random.pick([8, 20, 60, 1000]),
    commitLogCount: random.pick([4, 15, 500]),
    settings: [
      // Long silences between notifications would only make the bound longer.
      'fastleader.maxNotificationInterval=2000',
      `snapshotSizeFactor=${random.pick([-1, 0, 0.33])}`,
      `digest.enabled=true`,
      'extendedTypesEnabled=true',
      ...(random.chance(0.15) ? ['forceSnapshotSync=true'] : []),
      ...(random.chance(0.2) ? ['readonlymode.enabled=true'] : []),
      ...(random.chance(0.3) ? [`observerMasterPort=${PORTS.observer}`] : []),
    ].join('\n'),
    reconfigEnabled: random.chance(0.2),
    keepStory: options.keepStory,
  })
  let failure: Failure | null = null
  try {
    await play(world, random, options)
  } catch (err) {
    if (!(err instanceof Failure)) throw err
    failure = err
  }
  world.counts.virtualMs = world.timeline.nowUs / 1000
  world.counts.happenings = world.timeline.count
  world.counts.committed = world.model.entries.length
  return { seed, hash: world.story.hash, counts: world.counts, story: world.story.lines, failure }
}

async function play(world: World, random: Random, { faults: only, brief = false }: RunOptions): Promise<void> {
  if (random.chance(0.08)) await lateEpoch(world, random)
  if (random.chance(0.08)) await promise(world, random)
  for (const machine of world.machines.values()) {
    world.timeline.after(random.between(0, 300_000), () => machine.start())
  }
  await reach(world, FIRST_LEADER_SECONDS, 'no leader in fair weather', () => world.leader() !== null)
  const workload = new Workload(world, {
    clients: random.between(2, brief ? 3 : 4),
    depth: random.pick(brief ? [1, 2] : [1, 3, 8]),
    thinkMs: random.pick(brief ? [60, 150] : [20, 80, 250]),
    sessionTimeoutMs: random.pick([400, 1200, 4000]),
  })
  workload.start()
  await world.run(world.timeline.nowUs + (brief ? 0.2 : 0.5) * SECOND_US)
  const lastsUs = random.between(brief ? 0.5 : 2, brief ? 2 : 8) * SECOND_US
  const faults = new Faults(world, random.fork('faults'), world.timeline.nowUs + lastsUs, only)
  faults.start(random.pick([150, 400, 1200]))
  await world.run(world.timeline.nowUs + lastsUs)
  faults.heal()
  await settle(world, workload)
}

/** The history ends near the end of an epoch's counter: everything behind it is compared with great numbers. */
async function lateEpoch(world: World, random: Random): Promise<void> {
  const zxid = makeZxid(1, 0xffff_fffe - random.between(5, 150))
  world.model.base = zxid
  let left = world.machines.size
  for (const machine of world.machines.values()) void machine.age(zxid).then(() => left--)
  await reach(world, 1, 'its files are not there', () => left === 0)
}

/**
 * Members begin with promises to candidates that came to nothing: acceptedEpoch is ahead of currentEpoch. Such a member
 * follows nobody of an older epoch.
 */
async function promise(world: World, random: Random): Promise<void> {
  bump(world.counts.ids, 'N7')
  let left = 0
  for (const machine of world.machines.values()) {
    if (!random.chance(0.5)) continue
    left++
    void machine.promise(random.between(2, 6)).then(() => left--)
  }
  await reach(world, 1, 'its promise is not there', () => left === 0)
}

/** I10, and the agreement of all members. */
export async function settle(world: World, workload: Workload | null): Promise<void> {
  const members = [...world.machines.values()]
  await reach(world, ESTABLISHED_SECONDS, 'not all members are established', () => {
    const leader = world.leader()?.member?.zab
    return (
      leader !== undefined &&
      members.every((m) => m.member?.zab.established && m.member.zab.currentEpoch === leader.currentEpoch)
    )
  })
  workload?.stop()
  const left = new Set(world.clients)
  for (const client of world.clients) finish(world, client, () => left.delete(client))
  await reach(world, WRITE_SECONDS, 'a client cannot write', () => left.size === 0)
  // Sessions that nobody holds end by themselves.
  const expired = (): boolean => {
    const held = new Set(world.clients.map((client) => client.session?.id))
    return world.model.liveSessions().every((id) => held.has(id))
  }
  await reach(world, EXPIRED_SECONDS, 'a session that nobody holds does not expire', expired, LEADERS_MEANWHILE)
  await reach(world, DELIVERED_SECONDS, 'a member does not deliver what is committed', () =>
    members.every((machine) => world.observer.history.record(machine.sid).delivered === world.model.zxidLast),
  )
  for (const client of world.clients) {
    const { session } = client
    // One that is not connected just now may have ended without its client's knowing.
    if (session === null || client.state !== 'open') continue
    const known = world.model.sessions.get(session.id)
    if (known === undefined || known.closedZxid !== null) {
      throw new Failure('safety', 'I7', `I7: ${client.machine} is served in ${session.id}, which is over`)
    }
  }
  for (const machine of members) checkMember(machine, world.model)
}

/** A write and a sync, tried until they are answered. */
function finish(world: World, client: Client, done: () => void): void {
  let written = false
  client.onReady = () => {
    if (written || client.outstanding.some(({ operation }) => operation.op === 'sync')) return
    client.ask({ op: 'setData', path: '/zz', data: null, version: -1 })
    client.ask({ op: 'sync', path: '/' }, (reply) => {
      if (reply === null || reply.err !== Err.ok) return
      written = true
      done()
    })
  }
  if (client.state === 'open') world.timeline.after(1, () => client.input(() => client.onReady()))
}

/** `leaders`: so many may come meanwhile, and each of them has all of the time. */
async function reach(
  world: World,
  seconds: number,
  what: string,
  condition: () => boolean,
  leaders = 0,
): Promise<void> {
  for (let left = leaders; left >= 0; left--) {
    const { elections } = world.counts
    if (await world.run(world.timeline.nowUs + seconds * SECOND_US, condition)) return
    if (world.counts.elections === elections) break
  }
  const states = [...world.machines.values()].map((machine) => {
    const zab = machine.member?.zab
    return `${machine.name} ${zab === undefined ? 'down' : `${zab.role}${zab.established ? ' established' : ''} epoch ${zab.currentEpoch}`}`
  })
  const clients = world.clients.map((client) => `${client.machine} ${client.state}`)
  throw new Failure('liveness', 'I10', `I10: after ${seconds} s, ${what}: ${states.join(', ')}; ${clients.join(', ')}`)
}
