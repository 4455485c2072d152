/**
 * A workload's calls of the disk, each with what the disk kept just before it and what it has to keep: from each of
 * these points the power can be lost, as often as wanted.
 */

import type { Random } from '../simulation/random.ts'
import { type Call, runSome } from './diskport.ts'
import type { Expected } from './history.ts'
import { MemDisk } from './memdisk.ts'
import type { Platter } from './platter.ts'
import { EVERYTHING, first, NOTHING, type Survival, some } from './survival.ts'

/** The moment just before a call happens. */
export interface Point {
  /** As `life 3, write log.5f`. */
  readonly name: string
  /** Step and kind of file: `write log`. */
  readonly kind: string
  readonly kept: Platter
  readonly underWay: readonly Call[]
  readonly expected: Expected
}

export class Recording {
  readonly points: Point[]

  constructor() {
    this.points = []
  }

  /** The calls of this process, from now on. `expected` is asked at each. */
  follow(disk: MemDisk, who: string, expected: () => Expected): void {
    disk.onCall = (call) => {
      const file = call.path.slice(call.path.lastIndexOf('/') + 1)
      this.points.push({
        name: `${who}, ${call.step} ${file}`,
        kind: `${call.step} ${file.split('.')[0]}`,
        kept: disk.kept.copy(),
        underWay: [...disk.underWay],
        expected: expected(),
      })
    }
  }
}

/** How an end at a point is drawn. */
export const ENDS = [
  'nothing survives',
  'all survives',
  'the first survive',
  'some survive',
  'half survive',
  'killed',
] as const
export type End = (typeof ENDS)[number]

/** The disk as the next process finds it. */
export function diskAfter(point: Point, end: End, random: Random): MemDisk {
  const left = point.kept.copy()
  const next = (): number => random.next()
  runSome(left, point.underWay, (call) => {
    if (end === 'nothing survives') return null
    if (end === 'all survives') return call.step === 'sync' || call.step === 'syncDir' ? null : 1
    if (random.chance(0.3)) return null
    return random.chance(0.3) ? 1 : random.next()
  })
  if (end !== 'killed') left.losePower(survivalOf(end, random, next))
  return new MemDisk(left)
}

function survivalOf(end: Exclude<End, 'killed'>, random: Random, next: () => number): Survival {
  switch (end) {
    case 'nothing survives':
      return NOTHING
    case 'all survives':
      return EVERYTHING
    case 'the first survive':
      return first(random.int(random.pick([4, 12])), next)
    case 'some survive':
      return some(next, random.pick([0.15, 0.85]))
    case 'half survive':
      return some(next)
  }
}
