/**
 * Authenticators that were accepted while they could be accepted again: who overhears one cannot use it.
 *
 * Two sets that take turns, each for as long as an authenticator lives (twice the clock skew). Only what a client's
 * session key has sealed comes here, so strangers cannot fill it; when it is full, nobody is let in until it is not.
 */

import { createHash } from 'node:crypto'

const ENTRIES_MAX = 500_000

export class ReplayCache {
  private readonly lifeS: number
  private young: Set<string>
  private old: Set<string>
  private turnedS: number

  constructor(clockSkewS: number) {
    this.lifeS = 2 * clockSkewS
    this.young = new Set()
    this.old = new Set()
    this.turnedS = 0
  }

  /** False when it was here before, or when there is no room to remember it. */
  admit(sealed: Uint8Array, nowS: number): boolean {
    if (nowS - this.turnedS >= this.lifeS || nowS < this.turnedS) {
      this.old = nowS - this.turnedS >= 2 * this.lifeS ? new Set() : this.young
      this.young = new Set()
      this.turnedS = nowS
    }
    const key = createHash('sha256').update(sealed).digest('base64')
    if (this.young.has(key) || this.old.has(key) || this.young.size >= ENTRIES_MAX) return false
    this.young.add(key)
    return true
  }
}
