/** The table of a benchmark: medians over the rounds, and the ratio where two servers were measured. */

import type { Measured } from './load.ts'

export interface CaseResult {
  readonly name: string
  readonly title: string
  /** By server, then by round. */
  readonly rounds: readonly (readonly Measured[])[]
}

export interface Figures {
  readonly opsPerS: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
}

export function figuresOf(rounds: readonly Measured[]): Figures {
  const median = (of: (one: Measured) => number): number => {
    const sorted = rounds.map(of).sort((a, b) => a - b)
    const middle = sorted.length >> 1
    return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  }
  return {
    opsPerS: median(({ ops, seconds }) => ops / seconds),
    p50Us: median(({ latency }) => latency.percentile(0.5)),
    p99Us: median(({ latency }) => latency.percentile(0.99)),
    p999Us: median(({ latency }) => latency.percentile(0.999)),
    maxUs: median(({ latency }) => latency.maxUs),
  }
}

const HEAD = ['ops/s', 'p50', 'p99', 'p99.9', 'longest']
const NAME_WIDTH = 14
const WIDTH = 11

export function tableHead(servers: readonly string[]): string {
  const lines: string[] = []
  if (servers.length > 1) {
    servers.forEach((server, i) => {
      lines.push(`${'AB'[i]} = ${server}`)
    })
    lines.push('')
  }
  const columns = [...HEAD, ...(servers.length > 1 ? ['ops/s B/A', 'p50 B/A'] : [])]
  const label = servers.length > 1 ? '   ' : ''
  lines.push('case'.padEnd(NAME_WIDTH) + label + columns.map((column) => column.padStart(WIDTH)).join(''))
  return `${lines.join('\n')}\n`
}

export function tableRows({ name, rounds }: CaseResult): string {
  const all = rounds.map(figuresOf)
  return all
    .map((figures, i) => {
      const label = all.length > 1 ? ` ${'AB'[i]} ` : ''
      const cells = [
        Math.round(figures.opsPerS).toString(),
        time(figures.p50Us),
        time(figures.p99Us),
        time(figures.p999Us),
        time(figures.maxUs),
      ]
      if (i === 1) {
        cells.push(ratio(figures.opsPerS, all[0]!.opsPerS), ratio(figures.p50Us, all[0]!.p50Us))
      }
      const title = i === 0 ? name : ''
      return `${title.padEnd(NAME_WIDTH)}${label}${cells.map((cell) => cell.padStart(WIDTH)).join('')}\n`
    })
    .join('')
}

function time(us: number): string {
  if (us < 1000) return `${Math.round(us)} µs`
  return us < 1_000_000 ? `${(us / 1000).toFixed(us < 10_000 ? 2 : 1)} ms` : `${(us / 1e6).toFixed(2)} s`
}

function ratio(b: number, a: number): string {
  return a === 0 ? '-' : (b / a).toFixed(2)
}
