/**
 * Metrics in the text format of Prometheus, 0.0.4, as Java's client writes it: HELP repeats the name, labels end with a
 * comma, numbers are Double.toString's. Pure.
 *
 * With this provider `mntr` and the command `monitor` show the same samples, one each (`dumpSamples`).
 */

import { type FamilySink, formatDouble, type Metrics } from './metrics.ts'
import type { MetricSink, MetricSummary } from './summaries.ts'

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export type FamilyType = 'counter' | 'gauge' | 'summary' | 'histogram'

export interface Sample {
  /** The family's name, and a suffix for some. */
  readonly name: string
  readonly labels?: readonly (readonly [name: string, value: string])[]
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly type: FamilyType
  /** Where it is more than the name. */
  readonly help?: string
  readonly samples: readonly Sample[]
}

/** All of `metrics`, and what else there is. `wanted`: only samples of these names; null: all. */
export function* prometheusText(
  metrics: Metrics,
  more: Iterable<Family>,
  wanted: ReadonlySet<string> | null = null,
): Generator<string> {
  for (const family of [...familiesOf(metrics), ...more]) {
    const all = family.samples
    const samples = wanted === null ? all : all.filter(({ name }) => wanted.has(name))
    if (wanted !== null && samples.length === 0) continue
    yield `# HELP ${family.name} ${escapeHelp(family.help ?? family.name)}\n# TYPE ${family.name} ${family.type}\n`
    for (const { name, labels = [], value } of samples) {
      const pairs = labels.map(([key, text]) => `${key}="${escapeLabel(text)}",`).join('')
      yield `${name}${pairs === '' ? '' : `{${pairs}}`} ${numberText(value)}\n`
    }
  }
}

/** Each sample under its name and labels, as Java's provider tells `mntr`. */
export function dumpSamples(metrics: Metrics, more: Iterable<Family>, sink: MetricSink): void {
  for (const { samples } of [...familiesOf(metrics), ...more]) {
    for (const { name, labels = [], value } of samples) {
      const pairs = labels.map(([key, text]) => `${key}="${text}"`).join(',')
      sink(pairs === '' ? name : `${name}{${pairs}}`, value, true)
    }
  }
}

export function familiesOf(metrics: Metrics): Family[] {
  const families: Family[] = []
  metrics.visit(new Collector(families))
  return families
}

class Collector implements FamilySink {
  private readonly families: Family[]

  constructor(families: Family[]) {
    this.families = families
  }

  gauge(name: string, value: number): void {
    this.families.push({ name, type: 'gauge', samples: [{ name, value }] })
  }

  counter(name: string, value: number): void {
    this.families.push({ name, type: 'counter', samples: [{ name, value }] })
  }

  gaugeSet(name: string, values: Iterable<readonly [string, number]>): void {
    this.families.push({ name, type: 'gauge', samples: keyed(name, values) })
  }

  counterSet(name: string, values: Iterable<readonly [string, number]>): void {
    this.families.push({ name, type: 'counter', samples: keyed(name, values) })
  }

  summary(name: string, summary: MetricSummary): void {
    this.families.push(lazily(name, () => summarySamples(name, summary, [])))
  }

  summarySet(name: string, summaries: Iterable<readonly [string, MetricSummary]>): void {
    const each = (): Sample[] =>
      [...summaries].flatMap(([key, summary]) => summarySamples(name, summary, [['key', key]]))
    this.families.push(lazily(name, each))
  }
}

/** Quantiles are sorted for when their family is written: not all of them in one turn. */
function lazily(name: string, samples: () => Sample[]): Family {
  return {
    name,
    type: 'summary',
    get samples() {
      return samples()
    },
  }
}

function keyed(name: string, values: Iterable<readonly [string, number]>): Sample[] {
  return [...values].map(([key, value]) => ({ name, labels: [['key', key]], value }))
}

function summarySamples(
  name: string,
  summary: MetricSummary,
  labels: readonly (readonly [string, string])[],
): Sample[] {
  const { quantilesWanted, count, sum } = summary
  const values = summary.quantiles(quantilesWanted)
  return [
    ...quantilesWanted.map((quantile, i): Sample => {
      return { name, labels: [...labels, ['quantile', String(quantile)]], value: values?.[i] ?? Number.NaN }
    }),
    { name: `${name}_count`, labels, value: count },
    { name: `${name}_sum`, labels, value: sum },
  ]
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : formatDouble(value)
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}
