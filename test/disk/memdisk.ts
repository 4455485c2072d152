/**
 * A disk in memory for tests of one process: each call happens in a turn of the loop, one after the other.
 *
 * `crashAfter(n)` lets n more calls happen and then nothing ever answers again; of the call that comes next, a part may
 * have happened. `afterKill` and `afterPowerLoss` are the disk as the next process finds it.
 */

import { join } from 'node:path'
import { type Call, DiskPort, type Fault } from './diskport.ts'
import { Platter } from './platter.ts'
import { type Survival, some } from './survival.ts'

export class MemDisk extends DiskPort {
  /** Calls that have happened. */
  steps: number
  /** Their names with the file's, for tests of order. */
  readonly trace: string[]
  /** Says which call fails with which error. */
  fault: Fault
  /** Sees each call just before it happens. */
  onCall: (call: Call) => void
  /** Resolves at the crash. */
  readonly whenCrashed: Promise<'crashed'>
  readonly kept: Platter
  private stepsLeft: number
  private tellCrashed: (value: 'crashed') => void
  private clockMs: number

  constructor(kept = new Platter()) {
    super(kept, {
      later: (_call, happen) => setImmediate(happen),
      answer: (run) => run(),
      nowMs: () => this.clockMs++,
      fault: (call) => this.happens(call),
    })
    this.steps = 0
    this.trace = []
    this.fault = () => null
    this.onCall = () => {}
    this.kept = kept
    this.stepsLeft = Number.POSITIVE_INFINITY
    this.tellCrashed = () => {}
    this.whenCrashed = new Promise((resolve) => {
      this.tellCrashed = resolve
    })
    this.clockMs = 0
  }

  crashAfter(steps: number): void {
    this.stepsLeft = steps
  }

  /** Of the oldest call under way a part has happened, which depends on when it is. */
  private crash(): void {
    const next = this.underWay.values().next().value
    const share = ((this.steps * 7919) % 1000) / 1000
    this.end((call) => (call === next && share > 0.2 ? share : null))
    this.tellCrashed('crashed')
  }

  private happens(call: Call): Error | string | null {
    if (this.stepsLeft-- <= 0) {
      this.crash()
      return null
    }
    this.onCall(call)
    this.steps++
    this.trace.push(`${call.step} ${call.path.slice(call.path.lastIndexOf('/') + 1)}`)
    return this.fault(call.step, call.path)
  }

  /** The disk as a new process finds it after the old one was killed: all that was written is there, dirty or not. */
  afterKill(): MemDisk {
    return new MemDisk(this.kept.copy())
  }

  /** The disk after a loss of power. `survival`: or a source of chance in [0, 1), for any half of what was not synced. */
  afterPowerLoss(survival: Survival | (() => number)): MemDisk {
    const left = this.kept.copy()
    left.losePower(typeof survival === 'function' ? some(survival) : survival)
    return new MemDisk(left)
  }

  put(path: string, bytes: Uint8Array): void {
    this.kept.put(path, bytes)
  }

  get(path: string): Uint8Array | null {
    return this.kept.get(path)
  }

  names(path: string): string[] {
    return this.kept.names(path)
  }
}

/** A small seeded generator (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export function pathIn(...parts: string[]): string {
  return join('/mem', ...parts)
}
