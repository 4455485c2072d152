/**
 * A run of the oracle: sequences by profile on pairs of servers, shrinking what differs, the kept cases, the summary.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { generate } from './generate.ts'
import { type Mismatch, Pair } from './pair.ts'
import { judge } from './pairs.ts'
import { Random } from './random.ts'
import { sequenceText } from './report.ts'
import { generateScenario } from './scenarios.ts'
import { PROFILES, profileNamed, Server } from './server.ts'
import { shrink } from './shrink.ts'
import { CRAFTED_PARENTS } from './snapshotfile.ts'
import type { Sequence } from './steps.ts'
import { accumulate, Total } from './total.ts'

export interface Options {
  a: string[]
  b: string[]
  dir: string
  /** 0: whatever is free; else this one and the next. */
  port: number
  seed: number
  sequences: number
  /** 0: no limit but the number of sequences. */
  minutes: number
  /** Empty: all, by weight. */
  profiles: string[]
  /** Findings after which the run ends. */
  stopAfter: number
  fsync: boolean
  /** Our server with all of its switches on, which bring ZooKeeper's way back. */
  compat: boolean
  corpus: string
  /** Save each shrunk finding under this name and a number. */
  save: string
  only: string
  /** Reduce findings to few steps, after a second run on fresh servers. */
  reduce: boolean
  /** Print every answer. */
  show: boolean
  /** Add this run to the sum kept in this file, if named, and speak of the sum. */
  total: string
}

export interface Finding {
  sequence: Sequence
  mismatch: Mismatch
}

const SHRINK_LIMIT_MS = 90_000
const PROGRESS_EVERY = 1000

export class Campaign {
  readonly options: Options
  readonly findings: Finding[] = []
  /** Differences that a second run of the same sequence did not show. */
  unrepeated: Finding[] = []
  private pair: Pair | null = null
  private profile = ''
  private served = 0
  private passed = 0
  private total = new Total()
  private readonly began = Date.now()

  constructor(options: Options) {
    this.options = options
  }

  async stop(): Promise<void> {
    const pair = this.pair
    this.pair = null
    if (pair === null) return
    this.collect(pair)
    await pair.stop()
  }

  /** Returns the number of findings. */
  async explore(): Promise<number> {
    const { seed, sequences, minutes } = this.options
    let next = seed
    // With a time box: one helping after another until it is used up. Without: one.
    do {
      const seeds = new Map<string, number[]>()
      for (const end = next + sequences; next < end; next++) {
        const name = this.profileOf(next)
        seeds.set(name, [...(seeds.get(name) ?? []), next])
      }
      // By profile, since a change of settings takes two fresh servers.
      for (const { name } of PROFILES) {
        for (const one of seeds.get(name) ?? []) {
          if (this.finished) break
          await this.one(make(one, name))
          this.progress()
        }
      }
    } while (minutes > 0 && !this.finished)
    this.total.seeds.push([seed, next - 1])
    return this.summary()
  }

  /** So that who watches a long run sees that it runs. */
  private progress(): void {
    const { sequences } = this.total
    if (sequences % PROGRESS_EVERY !== 0) return
    const minutes = ((Date.now() - this.began) / 60_000).toFixed(1)
    console.log(`${sequences} sequences after ${minutes} min, ${this.findings.length + this.unrepeated.length} found`)
  }

  /** A seed means the same sequence on the same settings whatever run it is part of, so that runs can be cut in pieces. */
  private profileOf(seed: number): string {
    const { profiles } = this.options
    if (profiles.length > 0) return profileNamed(profiles[seed % profiles.length]!).name
    return new Random(seed ^ 0x5f3759df).weighted(PROFILES.map((p) => [p.weight, p.name] as const))
  }

  /** Every kept case must show no difference. */
  async replay(): Promise<number> {
    if (this.options.only.includes('/')) {
      await this.one(JSON.parse(readFileSync(this.options.only, 'utf8')) as Sequence, false)
      return this.summary()
    }
    const files = existsSync(this.options.corpus) ? readdirSync(this.options.corpus).sort() : []
    const cases: Sequence[] = []
    for (const file of files) {
      if (!file.endsWith('.json') || !file.includes(this.options.only)) continue
      const kept = JSON.parse(readFileSync(join(this.options.corpus, file), 'utf8')) as Sequence
      if (this.options.compat || !kept.compat) cases.push(kept)
    }
    cases.sort((x, y) => (x.profile < y.profile ? -1 : x.profile > y.profile ? 1 : 0))
    for (const sequence of cases) if (!this.finished) await this.one(sequence, false)
    return this.summary()
  }

  /** Returns how many pairs are missing or not accounted for. */
  printMatrix(): number {
    const { lines, seen, unseen, unlisted } = judge(this.total.matrix)
    console.log('\nanswers of the reference, by request and code:')
    for (const line of lines) console.log(line)
    console.log(`\n${seen} pairs seen, ${unseen.length} never seen, ${unlisted.length} not accounted for`)
    for (const pair of unseen) console.log(`  never seen: ${pair}`)
    for (const pair of unlisted) console.log(`  not accounted for: ${pair}`)
    return unseen.length + unlisted.length
  }

  private get finished(): boolean {
    const { minutes, stopAfter } = this.options
    if (this.findings.length >= stopAfter) return true
    return minutes > 0 && Date.now() - this.began > minutes * 60_000
  }

  private async pairFor(profile: string): Promise<Pair> {
    const worn = profile === 'overflow' && this.served >= CRAFTED_PARENTS - 40
    // Directories that have changed hands are not reused: whose log it is matters.
    const fresh = profile === 'restart' && this.served > 0
    if (this.pair !== null && (this.profile !== profile || this.pair.dead !== null || worn || fresh)) await this.stop()
    if (this.pair === null) {
      const { a, b, dir, port, fsync, compat } = this.options
      const settings = profileNamed(profile)
      const servers = [
        new Server(a, join(dir, 'a'), port || (await freePort()), settings, { fsync, compat }),
        new Server(b, join(dir, 'b'), port ? port + 1 : await freePort(), settings, { fsync, compat }),
      ]
      for (const s of servers) s.prepare()
      const pair = new Pair(servers[0]!, servers[1]!, compat)
      this.pair = pair
      this.profile = profile
      this.served = 0
      if (this.options.show) pair.trace = showTrace
      await pair.start()
    }
    this.served++
    return this.pair
  }

  private collect(pair: Pair): void {
    this.total.requests += pair.requests
    this.total.silent += pair.silent
    this.total.addMatrix(pair.matrix)
    pair.requests = 0
    pair.silent = 0
    pair.matrix.clear()
  }

  private async one(sequence: Sequence, reduce = true): Promise<void> {
    const { profile } = sequence
    this.total.sequences++
    this.total.profiles.set(profile, (this.total.profiles.get(profile) ?? 0) + 1)
    const mismatch = await this.attempt(sequence)
    if (mismatch === null) {
      this.passed++
      return
    }
    if (!this.options.reduce) {
      this.findings.push({ sequence, mismatch })
      await this.stop()
      return
    }
    // What is left of this pair may differ from now on: every doubt is settled on fresh servers.
    await this.stop()
    if (this.findings.some((f) => f.mismatch.signature === mismatch.signature)) {
      console.log(`\nseed ${sequence.seed}: as before: ${mismatch.signature}`)
      this.findings.push({ sequence, mismatch })
      return
    }
    const again = await this.attempt(sequence)
    await this.stop()
    if (again === null) {
      this.unrepeated.push({ sequence, mismatch })
      console.log(`\nNOT REPEATED (seed ${sequence.seed}, profile ${sequence.profile}): ${describe(mismatch)}`)
      return
    }
    const name = sequence.name === undefined ? `seed ${sequence.seed}` : sequence.name
    if (this.findings.some((f) => f.mismatch.signature === again.signature)) {
      console.log(`\n${name}: as before: ${again.signature}`)
      this.findings.push({ sequence, mismatch: again })
      return
    }
    console.log(`\nDIFFERENCE in ${name}, profile ${sequence.profile}: ${describe(again)}`)
    let small = sequence
    let last = again
    if (reduce) {
      const cut = { ...sequence, steps: sequence.steps.slice(0, again.step + 1) }
      const fails = async (s: Sequence): Promise<boolean> => {
        const found = await this.attempt(s)
        if (found?.signature !== again.signature) return false
        last = found
        return true
      }
      small = await shrink((await fails(cut)) ? cut : sequence, fails, SHRINK_LIMIT_MS)
      await this.stop()
    }
    this.findings.push({ sequence: small, mismatch: last })
    console.log(`${sequenceText(small)}\n${describe(last)}`)
    if (this.options.save !== '') this.keep(small, `${this.options.save}-${this.findings.length}`)
  }

  private keep(sequence: Sequence, name: string): void {
    mkdirSync(this.options.corpus, { recursive: true })
    writeFileSync(join(this.options.corpus, `${name}.json`), `${JSON.stringify({ name, ...sequence }, null, 1)}\n`)
    console.log(`kept as ${name}`)
  }

  private async attempt(sequence: Sequence): Promise<Mismatch | null> {
    const pair = await this.pairFor(sequence.profile)
    const { mismatch, explained } = await pair.run(sequence)
    for (const id of explained) this.total.explained.set(id, (this.total.explained.get(id) ?? 0) + 1)
    return mismatch
  }

  /** Runs until something is found, the time is up or the last seed is done; says nothing. Returns what was found. */
  async hunt(profile: string, seedLast: number | null): Promise<Finding | null> {
    for (let seed = this.options.seed; (seedLast === null || seed <= seedLast) && !this.finished; seed++) {
      await this.one(make(seed, profile))
    }
    return this.findings[0] ?? null
  }

  private summary(): number {
    if (this.pair !== null) this.collect(this.pair)
    this.total.seconds = (Date.now() - this.began) / 1000
    // A time-boxed run stands in the way of a change: only what can be shown again may stop it. A long one counts all.
    const failed = this.findings.length + (this.options.minutes > 0 ? 0 : this.unrepeated.length)
    this.total.failed = failed
    if (this.options.total !== '') this.total = accumulate(this.options.total, this.total)
    console.log(`\n${this.total.lines().join('\n')}`)
    if (this.unrepeated.length > 0) console.log(`${this.unrepeated.length} differences that did not repeat`)
    console.log(`${this.passed} passed, ${failed} failed`)
    return failed
  }
}

function make(seed: number, profile: string): Sequence {
  return generateScenario(seed, profile) ?? generate(seed, profile)
}

function showTrace(where: string, a: string, b: string): void {
  if (!where.startsWith('admin')) console.log(a === b ? `${where}\n    = ${a}` : `${where}\n    A ${a}\n    B ${b}`)
}

/** Several oracles may run on one machine. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.on('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo
      probe.close(() => resolve(port))
    })
  })
}

function describe(m: Mismatch): string {
  return `at step ${m.step}, ${m.where}\n    A ${m.a}\n    B ${m.b}\n    [${m.signature}]`
}
