/**
 * How far a start has come: for the log, for `mntr`, and for a bar on a terminal. Pure.
 *
 * Measured in bytes of the files to be read, snapshot and logs alike; a snapshot that turns out to be damaged makes it
 * begin again with the next one.
 */

import type { RecoverProgress } from '../../txnlog/recover.ts'
import type { Standing } from './fourletter.ts'

/** Between two lines of the log. */
const LINE_MS = 3000
const BAR_CELLS = 30

export interface StartingLine {
  readonly file: string
  readonly percent: number
  /** Of the snapshot; of a log, transactions. */
  readonly znodes?: number
  readonly txns?: number
  readonly mbPerSecond: number
}

export class Starting {
  /** 0 to 100; 100 when all is loaded. */
  percent: number
  private progress: RecoverProgress | null
  private sinceMs: number
  private lineMs: number
  /** Where the line before was. */
  private lineBytes: number

  constructor() {
    this.percent = 0
    this.progress = null
    this.sinceMs = 0
    this.lineMs = 0
    this.lineBytes = 0
  }

  begin(nowMs: number): void {
    this.percent = 0
    this.progress = null
    this.sinceMs = nowMs
    this.lineMs = nowMs
    this.lineBytes = 0
  }

  /** Something was read. Answers with what to log, now and then. */
  onProgress(progress: RecoverProgress, nowMs: number): StartingLine | null {
    this.progress = progress
    const bytes = progress.bytesBefore + progress.bytes
    this.percent = progress.bytesTotal === 0 ? 0 : Math.min(99, Math.floor((100 * bytes) / progress.bytesTotal))
    if (nowMs - this.lineMs < LINE_MS) return null
    const mbPerSecond = rate(Math.max(0, bytes - this.lineBytes), nowMs - this.lineMs)
    this.lineMs = nowMs
    this.lineBytes = bytes
    const count = progress.kind === 'snapshot' ? { znodes: progress.count } : { txns: progress.count }
    return { file: progress.file, percent: this.percent, ...count, mbPerSecond }
  }

  end(): void {
    this.percent = 100
    this.progress = null
  }

  /** Why nobody is served yet, for people. */
  get reason(): string {
    return `starting, ${this.percent}% of the data loaded`
  }

  /** One line, to be drawn over the last one. */
  bar(nowMs: number): string {
    const { progress, percent } = this
    if (progress === null) return ''
    const filled = Math.floor((percent * BAR_CELLS) / 100)
    const what = progress.kind === 'snapshot' ? 'znodes' : 'transactions'
    const speed = rate(progress.bytesBefore + progress.bytes, nowMs - this.sinceMs)
    const cells = '#'.repeat(filled).padEnd(BAR_CELLS, '.')
    return `loading [${cells}] ${percent}%  ${progress.count.toLocaleString('en')} ${what}  ${speed} MB/s`
  }
}

/** What words say while nobody is served: `asideFor` is why this server has stepped aside. */
export function standingOf(starting: Starting, beginning: boolean, asideFor: string | null): Standing | null {
  if (!beginning && asideFor === null) return null
  const reason = asideFor === null ? starting.reason : beginning ? `${asideFor}; ${starting.reason}` : asideFor
  return { reason, values: ownValues(starting, asideFor !== null) }
}

/** The keys of `mntr` that are there whether it serves or not. */
export function ownValues(starting: Starting, full: boolean): [string, number][] {
  return [
    ['storage_full', full ? 1 : 0],
    ['startup_progress', starting.percent],
  ]
}

function rate(bytes: number, ms: number): number {
  return ms <= 0 ? 0 : Math.round(bytes / ms / 100) / 10
}
