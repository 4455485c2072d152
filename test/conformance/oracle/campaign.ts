/**
 * A run of the oracle: sequences by profile on pairs of servers, shrinking what differs, the kept cases, the summary.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { DIFFERENCES } from './differences.ts'
import { generate } from './generate.ts'
import { type Mismatch, Pair } from './pair.ts'
import { opPath, sequenceText } from './report.ts'
import { generateScenario } from './scenarios.ts'
import { PROFILES, type Profile, profileNamed, Server } from './server.ts'
import { shrink } from './shrink.ts'
import { CRAFTED_PARENTS } from './snapshotfile.ts'
import type { Sequence } from './steps.ts'

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
  corpus: string
  /** Save each shrunk finding under this name and a number. */
  save: string
  only: string
  /** Reduce findings to few steps, after a second run on fresh servers. */
  reduce: boolean
  /** Print every answer. */
  show: boolean
}

export interface Finding {
  sequence: Sequence
  mismatch: Mismatch
}

const SHRINK_LIMIT_MS = 90_000

export class Campaign {
  readonly options: Options
  readonly findings: Finding[] = []
  /** Differences that a second run of the same sequence did not show. */
  unrepeated: Finding[] = []
  private pair: Pair | null = null
  private profile = ''
  private served = 0
  private passed = 0
  private requests = 0
  private silent = 0
  private readonly explained = new Map<string, number>()
  private readonly matrix = new Map<string, Map<number, number>>()
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
    const { seed, sequences, profiles } = this.options
    const chosen = profiles.length > 0 ? profiles.map(profileNamed) : PROFILES
    const total = chosen.reduce((sum, p) => sum + (profiles.length > 0 ? 1 : p.weight), 0)
    let next = seed
    // With a time box: one helping after another until it is used up. Without: one.
    do {
      for (const profile of chosen) {
        const weight = profiles.length > 0 ? 1 : profile.weight
        const share = weight === 0 ? Math.ceil(sequences / 100) : Math.ceil((sequences * weight) / total)
        for (let i = 0; i < share && !this.finished; i++) await this.one(this.make(next++, profile))
      }
    } while (this.options.minutes > 0 && !this.finished)
    console.log(`seeds ${seed} to ${next - 1}`)
    return this.summary()
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
      cases.push(JSON.parse(readFileSync(join(this.options.corpus, file), 'utf8')) as Sequence)
    }
    cases.sort((x, y) => (x.profile < y.profile ? -1 : x.profile > y.profile ? 1 : 0))
    for (const sequence of cases) if (!this.finished) await this.one(sequence, false)
    return this.summary()
  }

  printMatrix(): void {
    console.log('\nanswers of the first server, by request and code:')
    for (const op of [...this.matrix.keys()].sort()) {
      const codes = [...this.matrix.get(op)!].sort(([x], [y]) => y - x)
      console.log(`  ${opPath(op).padEnd(28)} ${codes.map(([code, n]) => `${code}:${n}`).join('  ')}`)
    }
  }

  private get finished(): boolean {
    const { minutes, stopAfter } = this.options
    if (this.findings.length >= stopAfter) return true
    return minutes > 0 && Date.now() - this.began > minutes * 60_000
  }

  private make(seed: number, profile: Profile): Sequence {
    return generateScenario(seed, profile.name) ?? generate(seed, profile.name)
  }

  private async pairFor(profile: string): Promise<Pair> {
    const worn = profile === 'overflow' && this.served >= CRAFTED_PARENTS - 40
    // Directories that have changed hands are not reused: whose log it is matters.
    const fresh = profile === 'restart' && this.served > 0
    if (this.pair !== null && (this.profile !== profile || this.pair.dead !== null || worn || fresh)) await this.stop()
    if (this.pair === null) {
      const { a, b, dir, port, fsync } = this.options
      const settings = profileNamed(profile)
      const servers = [
        new Server(a, join(dir, 'a'), port || (await freePort()), settings, fsync),
        new Server(b, join(dir, 'b'), port ? port + 1 : await freePort(), settings, fsync),
      ]
      for (const s of servers) s.prepare()
      const pair = new Pair(servers[0]!, servers[1]!)
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
    this.requests += pair.requests
    this.silent += pair.silent
    pair.requests = 0
    pair.silent = 0
    for (const [op, codes] of pair.matrix) {
      const into = this.matrix.get(op) ?? new Map<number, number>()
      this.matrix.set(op, into)
      for (const [code, n] of codes) into.set(code, (into.get(code) ?? 0) + n)
    }
    pair.matrix.clear()
  }

  private async one(sequence: Sequence, reduce = true): Promise<void> {
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
    for (const id of explained) this.explained.set(id, (this.explained.get(id) ?? 0) + 1)
    return mismatch
  }

  /** Runs until something is found, the time is up or the last seed is done; says nothing. Returns what was found. */
  async hunt(profile: string, seedLast: number | null): Promise<Finding | null> {
    for (let seed = this.options.seed; (seedLast === null || seed <= seedLast) && !this.finished; seed++) {
      await this.one(this.make(seed, profileNamed(profile)))
    }
    return this.findings[0] ?? null
  }

  private summary(): number {
    if (this.pair !== null) this.collect(this.pair)
    const seconds = (Date.now() - this.began) / 1000
    console.log(
      `\n${this.requests} requests to each server in ${seconds.toFixed(0)} s (${(this.requests / seconds).toFixed(0)}/s)`,
    )
    if (this.silent > 0) console.log(`${this.silent} requests answered by neither server`)
    console.log('known differences:')
    for (const d of DIFFERENCES) {
      const n = d.kind === 'not sent' ? 'not sent' : String(this.explained.get(d.id) ?? 0)
      console.log(`  ${n.padStart(8)}  ${d.id}: ${d.description}`)
    }
    if (this.unrepeated.length > 0) console.log(`${this.unrepeated.length} differences that did not repeat`)
    // A time-boxed run stands in the way of a change: only what can be shown again may stop it. A long one counts all.
    const failed = this.findings.length + (this.options.minutes > 0 ? 0 : this.unrepeated.length)
    console.log(`${this.passed} passed, ${failed} failed`)
    return failed
  }
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
