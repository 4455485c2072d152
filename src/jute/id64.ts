/**
 * Opaque 64-bit values (session ids, owners, digests) as two signed 32-bit words, and a map keyed by them.
 *
 * No bigint and no string on the way of a request: a value travels as (hi, lo). The map has two levels; the high word
 * of session ids barely varies within one server's life, so the outer level stays tiny.
 */

/** The form of logs and text interfaces: `0x` and lower-case hex without padding, as Java's Long.toHexString. */
export function id64Hex(hi: number, lo: number): string {
  const high = hi >>> 0
  const low = lo >>> 0
  return '0x' + (high === 0 ? low.toString(16) : high.toString(16) + low.toString(16).padStart(8, '0'))
}

/** The signed decimal value; for edges (JSON, tools, tests) only. */
export function id64ToBigInt(hi: number, lo: number): bigint {
  return BigInt.asIntN(64, (BigInt(hi) << 32n) | BigInt(lo >>> 0))
}

export class Id64Map<T> {
  size: number
  private readonly byHi: Map<number, Map<number, T>>

  constructor() {
    this.size = 0
    this.byHi = new Map()
  }

  get(hi: number, lo: number): T | undefined {
    return this.byHi.get(hi | 0)?.get(lo | 0)
  }

  has(hi: number, lo: number): boolean {
    return this.get(hi, lo) !== undefined
  }

  /** Stores `value`, which must not be undefined. */
  set(hi: number, lo: number, value: T): void {
    let inner = this.byHi.get(hi | 0)
    if (inner === undefined) {
      inner = new Map()
      this.byHi.set(hi | 0, inner)
    }
    const before = inner.size
    inner.set(lo | 0, value)
    this.size += inner.size - before
  }

  delete(hi: number, lo: number): boolean {
    const inner = this.byHi.get(hi | 0)
    if (inner === undefined || !inner.delete(lo | 0)) return false
    if (inner.size === 0) this.byHi.delete(hi | 0)
    this.size--
    return true
  }

  clear(): void {
    this.byHi.clear()
    this.size = 0
  }

  /** Visits every entry in insertion order within one high word. The map may change during the walk, as a Map's may. */
  forEach(visit: (value: T, hi: number, lo: number) => void): void {
    for (const [hi, inner] of this.byHi) for (const [lo, value] of inner) visit(value, hi, lo)
  }
}
