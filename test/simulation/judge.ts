/** Hands what happens at the members to the checkers, and counts it. */

import type { StateMachine } from '../../src/datatree/apply.ts'
import { StorageError } from '../../src/jute/errors.ts'
import { id64Hex } from '../../src/jute/id64.ts'
import { zxidHex } from '../../src/jute/zxid.ts'
import { ConfigError } from '../../src/server/config/settings.ts'
import type { Epoch, Quorum, Role, StartState } from '../../src/zab/types.ts'
import { HistoryChecker } from './checkers/history.ts'
import { LeadershipChecker } from './checkers/leadership.ts'
import { SessionChecker } from './checkers/sessions.ts'
import { WordChecker } from './checkers/words.ts'
import { bump, type Counts } from './counts.ts'
import { Coverage } from './coverage.ts'
import { Failure } from './failure.ts'
import type { Machine } from './machine.ts'
import type { Observer } from './observe.ts'
import type { Story } from './story.ts'

export interface JudgeOptions {
  readonly tickMs: number
  readonly syncLimitTicks: number
  nowUs(): number
  /** Those that this member could talk with, itself included; empty while it sleeps or is down. */
  within(sid: number): ReadonlySet<number>
}

export class Judge implements Observer {
  readonly history: HistoryChecker
  readonly leadership: LeadershipChecker
  readonly sessions: SessionChecker
  /** The configuration in force: the newest that any member has seen committed. */
  quorum: Quorum | null
  /** Leaders as they were established. */
  readonly leaders: { sid: number; epoch: number; atUs: number }[]
  /** Called as the history of a member begins to become another one. */
  onSyncing: (machine: Machine) => void
  private readonly story: Story
  private readonly counts: Counts
  private readonly options: JudgeOptions
  private readonly syncs: Map<number, string>
  private readonly words: WordChecker
  readonly coverage: Coverage

  constructor(story: Story, counts: Counts, options: JudgeOptions) {
    this.history = new HistoryChecker()
    this.coverage = new Coverage(counts.ids, this.history, options.nowUs)
    this.quorum = null
    this.leaders = []
    this.onSyncing = () => {}
    this.story = story
    this.counts = counts
    this.options = options
    this.syncs = new Map()
    const sight = {
      nowUs: options.nowUs,
      quorum: () => this.quorum,
      within: options.within,
    }
    this.sessions = new SessionChecker(this.history.model, options.tickMs, options.nowUs)
    this.words = new WordChecker((sid) => this.history.record(sid))
    this.leadership = new LeadershipChecker(sight, options.tickMs, options.syncLimitTicks)
  }

  recovered(machine: Machine, start: StartState, state: StateMachine): void {
    if (this.quorum === null) this.use(start.committed)
    this.coverage.recovered(machine)
    this.history.recovered(machine.sid, start, state)
    this.leadership.look()
  }

  appended(machine: Machine, zxid: number, bytes: Uint8Array): void {
    this.coverage.appended(machine, bytes)
    this.history.appended(machine.sid, zxid, bytes)
    this.sessions.proposed(machine.sid, bytes)
  }

  durable(machine: Machine, zxid: number): void {
    this.history.durable(machine.sid, zxid)
  }

  truncated(machine: Machine, zxid: number, state: StateMachine): void {
    this.story.tell(machine.name, `truncated to ${zxidHex(zxid)}`)
    this.history.truncated(machine.sid, zxid, state)
  }

  loaded(machine: Machine, zxid: number): void {
    this.story.tell(machine.name, `has the leader's tree at ${zxidHex(zxid)}`)
    this.history.loaded(machine.sid, zxid)
  }

  delivered(machine: Machine, zxid: number, bytes: Uint8Array, state: StateMachine): void {
    this.story.mix(zxid)
    this.history.delivered(machine.sid, zxid, bytes, state)
  }

  epochSaved(machine: Machine, which: Epoch, epoch: number): void {
    this.history.epochSaved(machine.sid, which, epoch)
  }

  role(machine: Machine, role: Role): void {
    this.coverage.role(machine, role)
    this.history.role(machine.sid, role)
    this.leadership.leadsNoMore(machine.sid)
    this.sessions.leadsNoMore(machine.sid)
    this.syncs.set(machine.sid, 'diff')
  }

  /** How a learner was brought up to date last. */
  syncText(sid: number): string {
    return this.syncs.get(sid) ?? 'none'
  }

  syncing(machine: Machine, how: 'snap' | 'trunc', zxid: number): void {
    this.history.changing(machine.sid, how, zxid)
    this.syncs.set(machine.sid, how)
    this.onSyncing(machine)
  }

  established(machine: Machine, role: Role, leader: number, epoch: number): void {
    this.story.tell(machine.name, `established: ${role}, leader s${leader}, epoch ${epoch}`)
    this.coverage.established(machine, this.syncText(machine.sid))
    this.history.established(machine.sid, role, leader, epoch)
    if (role === 'leading') {
      this.counts.elections++
      this.leaders.push({ sid: machine.sid, epoch, atUs: this.options.nowUs() })
      this.leadership.leads(machine.sid)
      this.sessions.leads(machine.sid)
    } else {
      bump(this.counts.syncs, this.syncs.get(machine.sid) ?? 'diff')
    }
  }

  serves(machine: Machine, state: StateMachine): void {
    this.history.serves(machine.sid, state)
  }

  said(machine: Machine, role: Role, packet: DataView): void {
    this.words.said(machine.sid, role, packet)
  }

  heard(machine: Machine, packet: DataView): void {
    this.coverage.heard(machine, packet)
    this.words.heard(machine.sid, packet)
  }

  sessionHeard(machine: Machine, hi: number, lo: number): void {
    this.sessions.heard(machine.sid, id64Hex(hi, lo), this.options.nowUs())
  }

  woke(machine: Machine, stoppedUs: number): void {
    this.coverage.woke(machine)
    this.sessions.woke(machine.sid, stoppedUs)
  }

  configured(machine: Machine, quorum: Quorum, committed: boolean): void {
    this.story.tell(machine.name, `configuration ${zxidHex(quorum.version)} ${committed ? 'in force' : 'seen'}`)
    this.coverage.configured(machine, quorum.version, committed)
    if (committed) this.history.configured(quorum)
    if (committed && (this.quorum === null || quorum.version > this.quorum.version)) this.use(quorum)
  }

  answered(machine: Machine, type: number, err: number): void {
    this.leadership.answered(machine.sid, type, err)
  }

  ended(machine: Machine): void {
    const { endedBy } = machine
    if (endedBy !== null) this.checkEnd(machine, endedBy)
    this.coverage.ended(machine)
    this.history.ended(machine.sid)
    this.leadership.leadsNoMore(machine.sid)
    this.sessions.leadsNoMore(machine.sid)
    this.leadership.look()
  }

  /** I11: a member ends by itself because of its disk alone, and says which file it was; or for its operator's mistake. */
  private checkEnd(machine: Machine, err: Error): void {
    if (err instanceof ConfigError) return
    let cause: unknown = err
    while (cause instanceof Error && !('code' in cause)) cause = cause.cause
    const named = err instanceof StorageError && err.file !== null
    const what = !named ? 'names no file' : cause instanceof Error || machine.spoiled ? null : 'its disk has not failed'
    // Not thrown: whoever ends by itself may be in the middle of anything.
    if (what !== null)
      machine.around.fail(new Failure('safety', 'I11', `I11: ${machine.name} ends, and ${what}: ${err.message}`))
  }

  private use(quorum: Quorum): void {
    this.quorum = quorum
    this.history.configured(quorum)
    this.leadership.look()
  }
}
