/**
 * I4 in time: a leader that is cut off from its quorum, or sleeps, answers no write and no sync later than syncLimit
 * ticks after. Whether it could have a quorum is known here from outside: who is up, awake, and within reach both ways.
 */

import { Err, OpCode } from '../../../src/jute/codes.ts'
import type { Quorum } from '../../../src/zab/types.ts'
import { law } from '../failure.ts'

export interface Sight {
  nowUs(): number
  quorum(): Quorum | null
  /** Those that this member could talk with, itself included; empty while it sleeps or is down. */
  within(sid: number): ReadonlySet<number>
}

const WRITES: ReadonlySet<number> = new Set([
  OpCode.create,
  OpCode.create2,
  OpCode.createContainer,
  OpCode.createTTL,
  OpCode.delete,
  OpCode.setData,
  OpCode.multi,
  OpCode.reconfig,
  OpCode.sync,
])

export class LeadershipChecker {
  private readonly sight: Sight
  /** One tick for the check itself, and one for what was on its way. */
  private readonly graceUs: number
  /** Leaders, and since when each has had no quorum within reach; Infinity: it has one. */
  private readonly lostUs: Map<number, number>

  constructor(sight: Sight, tickMs: number, syncLimitTicks: number) {
    this.sight = sight
    this.graceUs = (syncLimitTicks + 2) * tickMs * 1000
    this.lostUs = new Map()
  }

  leads(sid: number): void {
    this.lostUs.set(sid, Number.POSITIVE_INFINITY)
    this.look()
  }

  leadsNoMore(sid: number): void {
    this.lostUs.delete(sid)
  }

  /** To be called when anything changes that decides who can reach whom. */
  look(): void {
    const { sight } = this
    const quorum = sight.quorum()
    if (quorum === null) return
    for (const [sid, sinceUs] of this.lostUs) {
      const has = quorum.containsQuorum(sight.within(sid))
      if (!has && sinceUs === Number.POSITIVE_INFINITY) this.lostUs.set(sid, sight.nowUs())
      // Followers may have slept as well, or come back to the same leader: what counts is who is within reach now.
      if (has) this.lostUs.set(sid, Number.POSITIVE_INFINITY)
    }
  }

  answered(sid: number, type: number, err: number): void {
    const sinceUs = this.lostUs.get(sid)
    if (sinceUs === undefined || err !== Err.ok || !WRITES.has(type)) return
    law(
      this.sight.nowUs() - sinceUs <= this.graceUs,
      'I4',
      () =>
        `s${sid} answers op ${type} and has had no quorum for ${Math.round((this.sight.nowUs() - sinceUs) / 1000)} ms`,
    )
  }
}
