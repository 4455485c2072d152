/** Times in microseconds, in buckets of at most 3 % of their value: percentiles without keeping every sample. */

/** Values below 64 have a bucket each; above, 32 share each power of two, up to 2^32. */
const SINGLE = 64
const SHARED = 32
const BUCKETS = SINGLE + 26 * SHARED
const US_MAX = 2 ** 32 - 1

export class Histogram {
  count: number
  maxUs: number
  private readonly buckets: Uint32Array

  constructor() {
    this.count = 0
    this.maxUs = 0
    this.buckets = new Uint32Array(BUCKETS)
  }

  add(us: number): void {
    this.count++
    if (us > this.maxUs) this.maxUs = us
    this.buckets[bucketOf(Math.min(us, US_MAX) >>> 0)]!++
  }

  /** The value that `share` of all samples do not exceed, rounded up to its bucket's end; 0 where there are none. */
  percentile(share: number): number {
    const rank = Math.max(1, Math.ceil(this.count * share))
    let seen = 0
    for (let i = 0; i < BUCKETS; i++) {
      seen += this.buckets[i]!
      if (seen >= rank) return Math.min(lastOf(i), this.maxUs)
    }
    return this.maxUs
  }
}

function bucketOf(us: number): number {
  if (us < SINGLE) return us
  const shift = 26 - Math.clz32(us)
  return SINGLE + (shift - 1) * SHARED + (us >>> shift) - SHARED
}

function lastOf(bucket: number): number {
  if (bucket < SINGLE) return bucket
  const shift = Math.floor((bucket - SINGLE) / SHARED) + 1
  const within = ((bucket - SINGLE) % SHARED) + SHARED
  return (within + 1) * 2 ** shift - 1
}
