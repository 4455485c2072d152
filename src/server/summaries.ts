/**
 * Summaries of measured values: average, minimum, maximum, count, sum, and percentiles from a reservoir.
 *
 * Java: AvgMinMaxCounter, AvgMinMaxPercentileCounter (4096 samples, Vitter's algorithm R, quantiles as Dropwizard's
 * UniformSnapshot interpolates them) and their keyed sets. Values are integers (ms, counts, bytes), as there.
 */

/** Receives one printed number; `double` says that it is a floating point number by nature. */
export type MetricSink = (name: string, value: number, double: boolean) => void

export interface MetricSummary {
  add(value: number): void
  reset(): void
  dump(name: string, sink: MetricSink): void
}

export class Summary implements MetricSummary {
  count: number
  sum: number
  private minSeen: number
  private maxSeen: number

  constructor() {
    this.count = 0
    this.sum = 0
    this.minSeen = Number.POSITIVE_INFINITY
    this.maxSeen = Number.NEGATIVE_INFINITY
  }

  add(value: number): void {
    this.count++
    this.sum += value
    if (value < this.minSeen) this.minSeen = value
    if (value > this.maxSeen) this.maxSeen = value
  }

  /** 0 while nothing was added, as Java prints it. */
  get min(): number {
    return this.count === 0 ? 0 : this.minSeen
  }

  get max(): number {
    return this.count === 0 ? 0 : this.maxSeen
  }

  /** Rounded to four decimals. */
  get average(): number {
    return this.count === 0 ? 0 : Math.round((this.sum / this.count) * 10_000) / 10_000
  }

  reset(): void {
    this.count = 0
    this.sum = 0
    this.minSeen = Number.POSITIVE_INFINITY
    this.maxSeen = Number.NEGATIVE_INFINITY
  }

  dump(name: string, sink: MetricSink): void {
    sink(`avg_${name}`, this.average, true)
    sink(`min_${name}`, this.min, false)
    sink(`max_${name}`, this.max, false)
    sink(`cnt_${name}`, this.count, false)
    sink(`sum_${name}`, this.sum, false)
  }
}

const RESERVOIR_SIZE = 4096

export class PercentileSummary implements MetricSummary {
  readonly basic: Summary
  private readonly random: () => number
  /** Made at the first value: most summaries of a standalone server never see one. */
  private samples: Float64Array | null

  /** `random` is uniform in [0, 1). */
  constructor(random: () => number) {
    this.basic = new Summary()
    this.random = random
    this.samples = null
  }

  add(value: number): void {
    const basic = this.basic
    basic.add(value)
    if (this.samples === null) this.samples = new Float64Array(RESERVOIR_SIZE)
    if (basic.count <= RESERVOIR_SIZE) {
      this.samples[basic.count - 1] = value
    } else {
      const at = Math.floor(this.random() * basic.count)
      if (at < RESERVOIR_SIZE) this.samples[at] = value
    }
  }

  reset(): void {
    this.basic.reset()
  }

  dump(name: string, sink: MetricSink): void {
    this.basic.dump(name, sink)
    const [p50, p95, p99, p999] = this.quantiles([0.5, 0.95, 0.99, 0.999])
    sink(`p50_${name}`, Math.round(p50!), false)
    sink(`p95_${name}`, Math.round(p95!), false)
    sink(`p99_${name}`, Math.round(p99!), false)
    sink(`p999_${name}`, Math.round(p999!), false)
  }

  /** The quantiles (each in 0..1) of the samples kept; zeros while there is none. */
  quantiles(wanted: readonly number[]): number[] {
    const size = Math.min(this.basic.count, RESERVOIR_SIZE)
    if (this.samples === null || size === 0) return wanted.map(() => 0)
    const sorted = this.samples.slice(0, size).sort()
    return wanted.map((quantile) => {
      const position = quantile * (size + 1)
      const index = Math.floor(position)
      if (index < 1) return sorted[0]!
      if (index >= size) return sorted[size - 1]!
      const lower = sorted[index - 1]!
      return lower + (position - index) * (sorted[index]! - lower)
    })
  }
}

/** The bound of a keyed set. Keys come from clients (top path segments); values beyond it count under `OTHER_KEY`. */
export const KEYS_MAX = 1000
export const OTHER_KEY = '_other'

/** Summaries by key; each is printed with its key in front of the set's name. */
export class KeyedSummaries<S extends MetricSummary> {
  private readonly make: () => S
  private readonly byKey: Map<string, S>

  constructor(make: () => S) {
    this.make = make
    this.byKey = new Map()
  }

  of(key: string): S {
    const known = this.byKey.get(key)
    if (known !== undefined) return known
    if (this.byKey.size >= KEYS_MAX && key !== OTHER_KEY) return this.of(OTHER_KEY)
    const made = this.make()
    this.byKey.set(key, made)
    return made
  }

  /** Values start anew; keys stay, as in Java. */
  reset(): void {
    for (const summary of this.byKey.values()) summary.reset()
  }

  dump(name: string, sink: MetricSink): void {
    for (const [key, summary] of this.byKey) summary.dump(`${key}_${name}`, sink)
  }
}

/** How many namespaces are told apart without making a string of their bytes. */
const RECENT_MAX = 8

/**
 * A set keyed by namespace, the first segment of a path (Java: PathUtils.getTopNamespace). A server has few of them, so
 * the last ones seen are compared byte by byte; the path never becomes a string on the way of a request.
 */
export class NamespaceSummaries {
  readonly keyed: KeyedSummaries<Summary>
  private readonly recent: { bytes: Uint8Array; summary: Summary }[]
  private nextRecent: number

  constructor() {
    this.keyed = new KeyedSummaries(() => new Summary())
    this.recent = []
    this.nextRecent = 0
  }

  /** Adds `value` for the path in `buf` (borrowed). The root and malformed paths have no namespace and are left out. */
  add(buf: Uint8Array, off: number, end: number, value: number): void {
    const from = off + 1
    let to = from
    while (to < end && buf[to] !== 0x2f) to++
    if (to <= from) return
    for (const entry of this.recent) {
      if (sameBytes(entry.bytes, buf, from, to)) {
        entry.summary.add(value)
        return
      }
    }
    const bytes = buf.slice(from, to)
    const summary = this.keyed.of(new TextDecoder().decode(bytes))
    this.recent[this.nextRecent] = { bytes, summary }
    this.nextRecent = (this.nextRecent + 1) % RECENT_MAX
    summary.add(value)
  }

  reset(): void {
    this.keyed.reset()
  }

  dump(name: string, sink: MetricSink): void {
    this.keyed.dump(name, sink)
  }
}

function sameBytes(bytes: Uint8Array, buf: Uint8Array, from: number, to: number): boolean {
  if (bytes.length !== to - from) return false
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== buf[from + i]) return false
  return true
}
