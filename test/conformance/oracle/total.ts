/**
 * What a run has done, and the sum over runs: a long one can be made in pieces, `--total FILE` adds each to the file.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { DIFFERENCES } from './differences.ts'
import type { Matrix } from './pairs.ts'

export class Total {
  sequences = 0
  /** To each server. */
  requests = 0
  seconds = 0
  /** Answered by neither server. */
  silent = 0
  failed = 0
  /** First and last seed of each piece. */
  seeds: [number, number][] = []
  /** Sequences by profile. */
  readonly profiles = new Map<string, number>()
  /** Occurrences by id of a known difference. */
  readonly explained = new Map<string, number>()
  /** Answers of the reference. */
  readonly matrix: Matrix = new Map()

  add(other: Total): void {
    this.sequences += other.sequences
    this.requests += other.requests
    this.seconds += other.seconds
    this.silent += other.silent
    this.failed += other.failed
    this.seeds.push(...other.seeds)
    addCounts(this.profiles, other.profiles)
    addCounts(this.explained, other.explained)
    this.addMatrix(other.matrix)
  }

  addMatrix(matrix: Matrix): void {
    for (const [key, codes] of matrix) {
      const into = this.matrix.get(key) ?? new Map<number, number>()
      this.matrix.set(key, into)
      addCounts(into, codes)
    }
  }

  lines(): string[] {
    const out = [
      `${this.sequences} sequences, ${this.requests} requests to each server in ${this.seconds.toFixed(0)} s`,
      `seeds ${this.seeds.map(([first, last]) => `${first} to ${last}`).join(', ')}`,
      `profiles ${[...this.profiles].map(([name, n]) => `${name} ${n}`).join(', ')}`,
    ]
    if (this.silent > 0) out.push(`${this.silent} requests answered by neither server`)
    out.push('known differences:')
    for (const d of DIFFERENCES) {
      const n = d.kind === 'not sent' ? 'not sent' : String(this.explained.get(d.id) ?? 0)
      out.push(`  ${n.padStart(8)}  ${d.id}: ${d.description}`)
    }
    return out
  }
}

function addCounts<K>(into: Map<K, number>, from: ReadonlyMap<K, number>): void {
  for (const [key, n] of from) into.set(key, (into.get(key) ?? 0) + n)
}

interface Stored {
  sequences: number
  requests: number
  seconds: number
  silent: number
  failed: number
  seeds: [number, number][]
  profiles: [string, number][]
  explained: [string, number][]
  matrix: [string, [number, number][]][]
}

/** The sum of the file, if there is one, and `piece`; written back. */
export function accumulate(file: string, piece: Total): Total {
  const sum = new Total()
  if (existsSync(file)) {
    const { profiles, explained, matrix, ...figures } = JSON.parse(readFileSync(file, 'utf8')) as Stored
    Object.assign(sum, figures)
    addCounts(sum.profiles, new Map(profiles))
    addCounts(sum.explained, new Map(explained))
    sum.addMatrix(new Map(matrix.map(([key, codes]) => [key, new Map(codes)])))
  }
  sum.add(piece)
  const stored: Stored = {
    sequences: sum.sequences,
    requests: sum.requests,
    seconds: sum.seconds,
    silent: sum.silent,
    failed: sum.failed,
    seeds: sum.seeds,
    profiles: [...sum.profiles],
    explained: [...sum.explained],
    matrix: [...sum.matrix].map(([key, codes]) => [key, [...codes]]),
  }
  writeFileSync(file, `${JSON.stringify(stored)}\n`)
  return sum
}
