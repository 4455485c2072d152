/**
 * A machine's disk in virtual time: the model of test/disk, with how long each call takes and what goes wrong.
 *
 * Calls are answered as happenings of the timeline; those of a process that is gone are never answered, and of what was
 * under way some has happened.
 */

import { type Call, type Calls, DiskPort as Port } from '../disk/diskport.ts'
import { Platter } from '../disk/platter.ts'
import { type Survival, some } from '../disk/survival.ts'
import type { Random } from './random.ts'
import type { Timeline } from './timeline.ts'

/** Says which step fails with which code of the system; null: none. */
export type Fault = (step: string, path: string) => string | null

export class SimDisk extends Platter {
  /** Added to each sync, in µs. */
  syncDelayUs: number
  fault: Fault
  readonly random: Random
  readonly timeline: Timeline

  constructor(timeline: Timeline, random: Random) {
    super()
    this.timeline = timeline
    this.random = random
    this.syncDelayUs = 0
    this.fault = () => null
  }

  /** The power goes: what was not synced survives in parts, drawn anew for each sector and name. */
  override losePower(survival: Survival = this.drawn()): void {
    super.losePower(survival)
  }

  /** Nothing, anything, or all of it; the middle is the wildest, the ends are the commonest. */
  private drawn(): Survival {
    const { random } = this
    return some(() => random.next(), random.pick([0, 0.5, 0.5, 0.9, 1]))
  }
}

/** One process's way to its machine's disk. `input` runs an answer as an input of that process. */
export class DiskPort extends Port {
  private readonly random: Random

  constructor(disk: SimDisk, input: (run: () => void) => void) {
    super(disk, new TimedCalls(disk, input))
    this.random = disk.random
  }

  /** The process has ended: of the calls under way each was done, or a part of it, or nothing. */
  override end(happens: (call: Call) => number | null = (call) => this.drawn(call)): void {
    super.end(happens)
  }

  private drawn(call: Call): number | null {
    if (!this.random.chance(0.5)) return null
    if (call.step === 'write') return this.random.next()
    // Done, but nothing says that it is durable.
    return call.step === 'rename' ? 0 : 1
  }
}

class TimedCalls implements Calls {
  private readonly disk: SimDisk
  private readonly input: (run: () => void) => void

  constructor(disk: SimDisk, input: (run: () => void) => void) {
    this.disk = disk
    this.input = input
  }

  later({ step }: Call, happen: () => void): void {
    const { disk } = this
    let us = disk.random.between(5, 60)
    if (step === 'sync' || step === 'syncDir' || step === 'rename')
      us += disk.random.between(100, 2000) + disk.syncDelayUs
    disk.timeline.after(us, happen)
  }

  nowMs(): number {
    return this.disk.timeline.nowUs / 1000
  }

  fault({ step, path }: Call): string | null {
    return this.disk.fault(step, path)
  }

  answer(run: () => void): void {
    this.input(run)
  }

  /** Some of the dirty sectors are stored, or all but one, or none. */
  survivalOfFailedSync(): Survival {
    const { random } = this.disk
    return some(() => random.next(), random.pick([0, 0.5, 1]))
  }
}
