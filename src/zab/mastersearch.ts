/**
 * How a learner comes to a link: whom it dials, in which order, and when it gives up.
 *
 * A follower dials its leader. An observer that looks for observer masters (observermaster.ts) goes round the other
 * voters first, in an order of its own so that many observers spread, and to the leader only when nobody has taken it:
 * they may be down, or without that port; or they are being synchronised themselves, for as many rounds as there are.
 *
 * Java: Learner.connectToLeader, QuorumPeer.findLearnerMaster. (Java's observer never turns to the leader's own port.)
 */

import type { RoleHost } from './role.ts'
import type { LinkKind, Sid } from './types.ts'

/** Java: 5. We may have elected a Java leader while it still listens to its silence of 200 ms, its port closed. */
const ROUNDS_MAX = 11
/** The pause behind the first round, doubled behind each until it is the configured one: a new leader listens at once. */
const FIRST_PAUSE_MS = 10
const NEVER = Number.POSITIVE_INFINITY

interface Target {
  readonly sid: Sid
  readonly kind: LinkKind
}

export class MasterSearch {
  private readonly host: RoleHost
  private readonly leader: Target
  private targets: readonly Target[]
  private index: number
  /** Rounds that have failed. */
  private rounds: number
  private retryAtMs: number
  /** Until when it tries observer masters, and until when at all. Infinity: it is over. */
  private mastersUntilMs: number
  private untilMs: number

  constructor(host: RoleHost, observer: boolean) {
    this.host = host
    this.leader = { sid: host.vote.leader, kind: 'learner' }
    this.targets = [this.leader]
    if (observer && host.options.observerMasters) this.targets = this.shuffledMasters()
    this.index = 0
    this.rounds = 0
    this.retryAtMs = NEVER
    this.mastersUntilMs = NEVER
    this.untilMs = NEVER
  }

  /** All voters but the leader, which has no such port; the leader itself where there are no others. */
  private shuffledMasters(): readonly Target[] {
    const masters: Target[] = []
    for (const sid of this.host.committed.voters) if (sid !== this.leader.sid) masters.push({ sid, kind: 'observer' })
    for (let i = masters.length - 1; i > 0; i--) {
      const j = Math.floor(this.host.out.random() * (i + 1))
      const held = masters[i]!
      masters[i] = masters[j]!
      masters[j] = held
    }
    return masters.length > 0 ? masters : [this.leader]
  }

  start(): void {
    const { connectLimitTicks, initLimitTicks, tickMs } = this.host.options
    const limitMs = (connectLimitTicks || initLimitTicks) * tickMs
    this.untilMs = this.nowMs() + limitMs
    this.mastersUntilMs = this.nowMs() + limitMs / 2
    this.dial()
  }

  private dial(): void {
    const { sid, kind } = this.target
    this.host.dial(sid, kind)
  }

  private get target(): Target {
    return this.targets[this.index]!
  }

  /** Is it the one that was dialled last? A dial of an earlier role counts as ours. */
  isTarget(sid: Sid, kind: LinkKind): boolean {
    return this.untilMs !== NEVER && this.target.sid === sid && this.target.kind === kind
  }

  /** The target's link is open. */
  end(): void {
    this.retryAtMs = NEVER
    this.untilMs = NEVER
  }

  /** The target cannot be reached. False: nobody can. */
  onFailed(): boolean {
    this.index++
    if (this.index < this.targets.length) {
      this.dial()
      return true
    }
    this.index = 0
    this.rounds++
    const inVain = this.rounds >= ROUNDS_MAX
    const now = this.nowMs()
    if (this.targets[0] !== this.leader && (inVain || now >= this.mastersUntilMs)) {
      this.host.out.trace('no observer master takes us: to the leader')
      this.targets = [this.leader]
      this.rounds = 0
    } else if (inVain) {
      return false
    }
    this.retryAtMs =
      now + Math.min(FIRST_PAUSE_MS * 2 ** Math.max(this.rounds - 1, 0), this.host.options.connectDelayMs)
    return this.retryAtMs < this.untilMs
  }

  /** False: it has taken too long. */
  onDeadline(): boolean {
    const now = this.nowMs()
    if (now >= this.untilMs) return false
    if (now < this.retryAtMs) return true
    this.retryAtMs = NEVER
    this.dial()
    return true
  }

  nextDeadlineMs(): number {
    return Math.min(this.untilMs, this.retryAtMs)
  }

  private nowMs(): number {
    return this.host.out.nowMs()
  }
}
