/**
 * Chance from a seed: one generator per concern (network, disk, faults, each client), forked by name, so that a draw
 * more in one place does not change what is drawn in the others.
 */

export class Random {
  private readonly seed: number
  private a: number
  private b: number
  private c: number
  private counter: number

  constructor(seed: number) {
    this.seed = seed >>> 0
    this.a = 0x9e3779b9
    this.b = seed | 0
    this.c = Math.floor(seed / 2 ** 32) | 0
    this.counter = 1
    for (let i = 0; i < 12; i++) this.word()
  }

  /** 32 bits (sfc32). */
  private word(): number {
    const t = (((this.a + this.b) | 0) + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = ((this.c << 21) | (this.c >>> 11)) + t
    this.c |= 0
    return t >>> 0
  }

  /** Uniform in [0, 1). */
  next(): number {
    return this.word() / 2 ** 32
  }

  /** A whole number in [0, count). */
  int(count: number): number {
    return Math.floor(this.next() * count)
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.int(high - low + 1)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(from.length)]!
  }

  /** One key, by weights. */
  weighted<K extends string>(weights: Readonly<Partial<Record<K, number>>>): K {
    const keys = Object.keys(weights) as K[]
    let left = this.next() * keys.reduce((sum, key) => sum + weights[key]!, 0)
    for (const key of keys) {
      left -= weights[key]!
      if (left < 0) return key
    }
    return keys[keys.length - 1]!
  }

  /** A generator of its own: the same for the same name, whatever was drawn here before. */
  fork(name: string): Random {
    let hash = this.seed ^ 0x811c9dc5
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
    return new Random(hash >>> 0)
  }
}
