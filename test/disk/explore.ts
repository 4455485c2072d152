/**
 * Loses the power at the points of a workload, in every way, and starts again each time: no start is refused, what was
 * acknowledged is there, the tree is the right one. For a sample the power is lost again at every call of that start,
 * and for another one the server goes on, and what it then promises is kept.
 */

import { Random } from '../simulation/random.ts'
import type { Expected } from './history.ts'
import { checkMember, goOnMember, recordMember } from './member.ts'
import type { MemDisk } from './memdisk.ts'
import { diskAfter, ENDS, type End, type Point, Recording } from './recording.ts'
import { checkStandalone, goOnStandalone, recordStandalone, type Stores } from './standalone.ts'

interface Workload {
  readonly record: (recording: Recording, turns: number, random: Random) => Promise<void>
  readonly check: (disk: MemDisk, expected: Expected) => Promise<void>
  readonly goOn: (disk: MemDisk, random: Random) => Promise<void>
}

const alone = (stores: Stores): Workload => ({
  record: (recording, turns, random) => recordStandalone(recording, turns, random, stores),
  check: (disk, expected) => checkStandalone(disk, expected, stores),
  goOn: (disk, random) => goOnStandalone(disk, random, stores),
})

const member = (stores: Stores): Workload => ({
  record: (recording, turns, random) => recordMember(recording, turns, random, stores),
  check: (disk, expected) => checkMember(disk, expected, stores),
  goOn: (disk, random) => goOnMember(disk, random, stores),
})

/** By kind of server, and where its snapshots go. */
const WORKLOADS = {
  alone: alone('file'),
  member: member('file'),
  aloneLevel: alone('level'),
  memberLevel: member('level'),
  aloneBoth: alone('both'),
  memberBoth: member('both'),
} as const satisfies Record<string, Workload>

export type WorkloadName = keyof typeof WORKLOADS
export const WORKLOAD_NAMES = Object.keys(WORKLOADS) as WorkloadName[]

export interface ExploreOptions {
  readonly seed: number
  /** Rounds of transactions in each life. */
  readonly turns: number
  /** One point of so many; the first two of each kind in any case. */
  readonly every: number
  /** Ways to end at each point. */
  readonly endsMax: number
  /** One loss of so many is followed by others at each call of the start. */
  readonly secondEvery: number
  /** One loss of so many is followed by more work. */
  readonly goOnEvery: number
  /** Only this point; null: all. */
  readonly only: number | null
}

export interface Explored {
  /** Calls of the disk in the workload. */
  points: number
  pointsTried: number
  /** Kinds of calls before which the power was lost. */
  kinds: Set<string>
  losses: number
  secondLosses: number
  continuations: number
  /** What is wrong, where; null: nothing. Exploring ends there. */
  failure: string | null
}

export async function explore(name: WorkloadName, options: ExploreOptions): Promise<Explored> {
  const workload: Workload = WORKLOADS[name]
  const { seed, turns, every, endsMax, secondEvery, goOnEvery, only } = options
  const explored: Explored = {
    points: 0,
    pointsTried: 0,
    kinds: new Set(),
    losses: 0,
    secondLosses: 0,
    continuations: 0,
    failure: null,
  }
  const recording = new Recording()
  let broken: string | null = null
  try {
    await workload.record(recording, turns, new Random(seed).fork(name))
  } catch (err) {
    broken = `${name}, behind point ${recording.points.length} (${recording.points.at(-1)?.name}): ${textOf(err)}`
  }
  explored.points = recording.points.length
  const seen = new Map<string, number>()
  for (const [index, point] of recording.points.entries()) {
    const count = seen.get(point.kind) ?? 0
    seen.set(point.kind, count + 1)
    if (only !== null ? index !== only : index % every !== 0 && count >= 2) continue
    explored.pointsTried++
    explored.kinds.add(point.kind)
    const random = new Random(seed).fork(`${name} ${index}`)
    for (let i = 0; i < Math.min(endsMax, ENDS.length); i++) {
      const end = ENDS[(index + i) % ENDS.length]!
      try {
        await lose(workload, point, end, random, explored, secondEvery, goOnEvery)
      } catch (err) {
        explored.failure = `${name}, point ${index} (${point.name}), ${end}: ${textOf(err)}`
        return explored
      }
    }
  }
  explored.failure = broken
  return explored
}

async function lose(
  workload: Workload,
  point: Point,
  end: End,
  random: Random,
  explored: Explored,
  secondEvery: number,
  goOnEvery: number,
): Promise<void> {
  const disk = diskAfter(point, end, random)
  const again = ++explored.losses % secondEvery === 0
  const start = new Recording()
  if (again) start.follow(disk, 'the start', () => point.expected)
  await workload.check(disk, point.expected)
  for (const second of start.points) {
    explored.secondLosses++
    const how = random.pick(ENDS)
    try {
      await workload.check(diskAfter(second, how, random), point.expected)
    } catch (err) {
      throw new Error(`then at ${second.name}, ${how}: ${textOf(err)}`, { cause: err })
    }
  }
  if (explored.losses % goOnEvery !== 0) return
  explored.continuations++
  try {
    await workload.goOn(disk.afterKill(), random)
  } catch (err) {
    throw new Error(`gone on with: ${textOf(err)}`, { cause: err })
  }
}

function textOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
