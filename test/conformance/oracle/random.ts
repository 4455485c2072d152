/**
 * Seeded randomness: the same seed gives the same sequence of requests on every machine, so that a found difference can
 * be replayed by its number. Mulberry32: small, fast, and good enough to pick names and versions.
 */

export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
  }

  /** An unsigned 32-bit integer. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }

  /** 0 <= n < limit */
  below(limit: number): number {
    return this.next() % limit
  }

  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** True in `percent` of all calls; fractions of a percent work. */
  chance(percent: number): boolean {
    return this.next() < percent * 42949672.95
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  /** Picks by weight. */
  weighted<T>(items: readonly (readonly [number, T])[]): T {
    let total = 0
    for (const [weight] of items) total += weight
    let at = this.next() % total
    for (const [weight, item] of items) {
      if (at < weight) return item
      at -= weight
    }
    return items[0]![1]
  }
}
