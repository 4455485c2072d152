/**
 * Admission of connections: a bucket of tokens, and a random drop that grows while the bucket stays empty (BLUE, from
 * queue management: Feng et al., 1999). Both off unless configured. Pure. Java: BlueThrottle.
 */

import type { ConnectionThrottle } from '../config/config.ts'

export class Throttle {
  private readonly options: ConnectionThrottle
  private readonly tokensMax: number
  private readonly fillCount: number
  private readonly random: () => number
  private tokens: number
  private filledMs: number
  private frozenMs: number
  private drop: number

  /** `random` is uniform in [0, 1). */
  constructor(options: ConnectionThrottle, random: () => number, nowMs: number) {
    this.options = options
    const weight = options.weightEnabled ? options.globalWeight : 1 // tokens are meant for new sessions
    this.tokensMax = options.tokens * weight
    this.fillCount = options.fillCount * weight
    this.random = random
    this.tokens = this.tokensMax
    this.filledMs = nowMs
    this.frozenMs = nowMs
    this.drop = 0
  }

  /** The chance with which a connection is dropped at present. */
  get dropChance(): number {
    return this.drop
  }

  /** Tokens missing to a full bucket. */
  get deficit(): number {
    return this.tokensMax - this.tokens
  }

  /** May a connection that wants a new session (a local one perhaps), or renews one, come in now? */
  admit(renewal: boolean, nowMs: number, local = false): boolean {
    if (this.tokensMax === 0) return true
    const { options } = this
    const newWeight = local ? options.localWeight : options.globalWeight
    const weight = renewal ? options.renewWeight : newWeight
    // A weight above all tokens together would never be let in.
    const wanted = options.weightEnabled ? Math.min(weight, this.tokensMax) : 1
    const elapsedMs = nowMs - this.filledMs
    if (elapsedMs > options.fillTimeMs) {
      const refill = Math.floor((elapsedMs * this.fillCount) / options.fillTimeMs)
      this.tokens = Math.min(this.tokens + refill, this.tokensMax)
      this.filledMs = nowMs
    }
    if (options.freezeTimeMs !== -1 && !this.passesBlue(nowMs)) return false
    if (this.tokens < wanted) return false
    this.tokens -= wanted
    return true
  }

  private passesBlue(nowMs: number): boolean {
    const { options } = this
    if (nowMs - this.frozenMs > options.freezeTimeMs) {
      const missing = this.deficit
      if (missing === this.tokensMax && this.drop < 1) {
        this.drop = Math.min(this.drop + options.dropIncrease, 1)
      } else if (missing <= Math.round(this.tokensMax * options.decreaseRatio) && this.drop > 0) {
        this.drop = Math.max(this.drop - options.dropDecrease, 0)
      }
      this.frozenMs = nowMs
    }
    return this.random() >= this.drop
  }
}
