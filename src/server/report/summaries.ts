/**
 * Summaries of measured values: average, minimum, maximum, count, sum, and percentiles from a reservoir.
 *
 * Java: AvgMinMaxCounter, AvgMinMaxPercentileCounter (4096 samples, Vitter's algorithm R, quantiles as Dropwizard's
 * UniformSnapshot interpolates them) and their keyed sets. Values are integers (ms, counts, bytes), as there.
 *
 * For Prometheus a summary can age: its quantiles then are those of the last minutes, not of all time; its count and
 * sum go on. Java's client for Prometheus looks back ten minutes.
 */

/** Receives one printed number; `double` says that it is a floating point number by nature. */
export type MetricSink = (name: string, value: number, double: boolean) => void

export interface MetricSummary {
  readonly count: number
  readonly sum: number
  add(value: number): void
  reset(): void
  /** As Java's default provider expands it. */
  dump(name: string, sink: MetricSink): void
  /** What Prometheus is told of it. */
  readonly quantilesWanted: readonly number[]
  /** Values at these quantiles (each in 0..1); null where there is none. */
  quantiles(wanted: readonly number[]): number[] | null
  /** Another while has passed: samples from before the last one are forgotten. */
  age(): void
}

const RESERVOIR_SIZE = 4096
/** For summaries that Java's default provider prints no percentiles of. */
const SMALL_RESERVOIR_SIZE = 512

/** A sample of what was added, each value with the same chance to be in it. */
class Reservoir {
  readonly size: number
  private readonly random: () => number
  /** Made at the first value: most summaries of a standalone server never see one. */
  private samples: Float64Array | null
  private count: number
  /** The while before this one. */
  private before: Float64Array

  /** `random` is uniform in [0, 1). */
  constructor(random: () => number, size: number) {
    this.random = random
    this.size = size
    this.samples = null
    this.count = 0
    this.before = new Float64Array(0)
  }

  add(value: number): void {
    if (this.samples === null) this.samples = new Float64Array(this.size)
    if (++this.count <= this.size) {
      this.samples[this.count - 1] = value
    } else {
      const at = Math.floor(this.random() * this.count)
      if (at < this.size) this.samples[at] = value
    }
  }

  private get kept(): Float64Array {
    return this.samples === null ? new Float64Array(0) : this.samples.slice(0, Math.min(this.count, this.size))
  }

  reset(): void {
    this.count = 0
    this.before = new Float64Array(0)
  }

  age(): void {
    this.before = this.kept
    this.count = 0
  }

  quantiles(wanted: readonly number[]): number[] | null {
    const { before, kept } = this
    const sorted = new Float64Array(before.length + kept.length)
    sorted.set(before)
    sorted.set(kept, before.length)
    sorted.sort()
    const size = sorted.length
    if (size === 0) return null
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

const MEDIAN: readonly number[] = [0.5]
const MEDIAN_AND_TAIL: readonly number[] = [0.5, 0.9, 0.99]

export class Summary implements MetricSummary {
  count: number
  sum: number
  private minSeen: number
  private maxSeen: number
  /** Null: nobody asks for quantiles. */
  private readonly reservoir: Reservoir | null

  /** With `random`, uniform in [0, 1), it knows its median. */
  constructor(random: (() => number) | null = null) {
    this.count = 0
    this.sum = 0
    this.minSeen = Number.POSITIVE_INFINITY
    this.maxSeen = Number.NEGATIVE_INFINITY
    this.reservoir = random === null ? null : new Reservoir(random, SMALL_RESERVOIR_SIZE)
  }

  add(value: number): void {
    this.count++
    this.sum += value
    if (value < this.minSeen) this.minSeen = value
    if (value > this.maxSeen) this.maxSeen = value
    if (this.reservoir !== null) this.reservoir.add(value)
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

  get quantilesWanted(): readonly number[] {
    return MEDIAN
  }

  quantiles(wanted: readonly number[]): number[] | null {
    return this.reservoir?.quantiles(wanted) ?? null
  }

  age(): void {
    this.reservoir?.age()
  }

  reset(): void {
    this.count = 0
    this.sum = 0
    this.minSeen = Number.POSITIVE_INFINITY
    this.maxSeen = Number.NEGATIVE_INFINITY
    this.reservoir?.reset()
  }

  dump(name: string, sink: MetricSink): void {
    sink(`avg_${name}`, this.average, true)
    sink(`min_${name}`, this.min, false)
    sink(`max_${name}`, this.max, false)
    sink(`cnt_${name}`, this.count, false)
    sink(`sum_${name}`, this.sum, false)
  }
}

export class PercentileSummary implements MetricSummary {
  private readonly basic: Summary
  private readonly reservoir: Reservoir

  /** `random` is uniform in [0, 1). */
  constructor(random: () => number) {
    this.basic = new Summary()
    this.reservoir = new Reservoir(random, RESERVOIR_SIZE)
  }

  get count(): number {
    return this.basic.count
  }

  get sum(): number {
    return this.basic.sum
  }

  get quantilesWanted(): readonly number[] {
    return MEDIAN_AND_TAIL
  }

  add(value: number): void {
    this.basic.add(value)
    this.reservoir.add(value)
  }

  age(): void {
    this.reservoir.age()
  }

  reset(): void {
    this.basic.reset()
    this.reservoir.reset()
  }

  dump(name: string, sink: MetricSink): void {
    this.basic.dump(name, sink)
    const [p50, p95, p99, p999] = this.quantiles([0.5, 0.95, 0.99, 0.999]) ?? [0, 0, 0, 0]
    sink(`p50_${name}`, Math.round(p50!), false)
    sink(`p95_${name}`, Math.round(p95!), false)
    sink(`p99_${name}`, Math.round(p99!), false)
    sink(`p999_${name}`, Math.round(p999!), false)
  }

  quantiles(wanted: readonly number[]): number[] | null {
    return this.reservoir.quantiles(wanted)
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

  entries(): Iterable<readonly [key: string, summary: S]> {
    return this.byKey
  }

  age(): void {
    for (const summary of this.byKey.values()) summary.age()
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

  constructor(make: () => Summary = () => new Summary()) {
    this.keyed = new KeyedSummaries(make)
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
