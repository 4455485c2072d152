/**
 * The lives of a server in one process: each recovers from disk, works, and ends.
 *
 * A life that ends for want of room is followed by another when there is room again; in between nobody is served, and
 * only words are answered. Nothing of one life reaches into the next, least of all a writer of the log: the next one
 * begins when the last one has ended altogether. Any other failure is for the host to end the process with.
 */

import type { Room } from '../../txnlog/disk.ts'
import { fullReason, isFull, StepAside } from './stepaside.ts'

export interface LivesHost {
  /** Of a clock that never goes back. */
  nowMs(): number
  /** Once, later. The answer cancels it. */
  after(ms: number, run: () => void): () => void
  /** Recovers from disk and begins to work; `failed` is this life's, and may be called any time from now on. */
  begin(failed: (err: Error) => void): Promise<void>
  /** Ends what was begun, as far as it was. When it is done nothing touches the disk any more. */
  end(): Promise<void>
  /** The scarcest of the file systems in use; null where that cannot be known. */
  room(): Promise<Room | null>
  /** It has stepped aside: whatever may help is welcome. */
  aside(): void
  /** A life has failed for good. */
  failed(err: Error): void
  log(level: 'info' | 'warn', fields: Record<string, unknown>, message: string): void
}

type Stage = 'new' | 'beginning' | 'working' | 'ending' | 'aside' | 'over'

export class Lives {
  private readonly host: LivesHost
  private readonly stepAside: StepAside
  private stage: Stage
  /** Which life it is: what is heard of an earlier one does not count. */
  private number: number
  private failure: Error | null
  /** Null while nothing is wrong. */
  private asideSinceMs: number | null
  private cancelLook: () => void
  /** What is under way of a beginning or an end. */
  private busy: Promise<void>
  private why: string | null

  constructor(host: LivesHost, resumeBytes: number | null) {
    this.host = host
    this.stepAside = new StepAside(resumeBytes)
    this.stage = 'new'
    this.number = 0
    this.failure = null
    this.asideSinceMs = null
    this.cancelLook = () => {}
    this.busy = Promise.resolve()
    this.why = null
  }

  /** Recovers, reads, and is not ready to serve. */
  get beginning(): boolean {
    return this.stage === 'beginning'
  }

  /** Why this server has stepped aside; null: it has not. */
  get asideFor(): string | null {
    return this.why
  }

  /** The first life. Resolves also where it has stepped aside at once; rejects where it cannot go on. */
  async start(): Promise<void> {
    const begun = this.begin()
    this.busy = begun.catch(() => {})
    await begun
  }

  /**
   * This life ends, `between` may change the files, and the next one begins, whatever became of that. Rejects with what
   * `between` has rejected with, and where nothing is to be ended.
   */
  async again(between: () => Promise<void>): Promise<void> {
    if (this.stage !== 'working') throw new Error('it does not work at the moment')
    let failure: unknown = null
    const ended = this.leave().then(between)
    this.busy = ended
      .catch((err: unknown) => {
        failure = err
      })
      .then(() => (this.isOver() ? undefined : this.begin()))
      .catch((err: Error) => this.host.failed(err))
    await this.busy
    if (failure !== null) throw failure
  }

  /** The last one ends. */
  async close(): Promise<void> {
    this.stage = 'over'
    this.cancelLook()
    await this.busy
    await this.host.end()
  }

  private async begin(): Promise<void> {
    const { host } = this
    const number = ++this.number
    this.stage = 'beginning'
    this.failure = null
    try {
      await host.begin((err) => this.onFailed(number, err))
    } catch (err) {
      this.failure ??= err instanceof Error ? err : new Error(String(err))
    }
    if (this.isOver()) return
    if (this.failure === null) {
      this.stage = 'working'
      this.why = null
      if (this.asideSinceMs === null) return
      host.log('info', { asideMs: Math.round(host.nowMs() - this.asideSinceMs) }, 'there is room again: back')
      this.asideSinceMs = null
      return
    }
    const { failure } = this
    await this.leave()
    if (isFull(failure)) this.goAside(failure)
    else throw failure
  }

  private onFailed(number: number, err: Error): void {
    if (number !== this.number) return
    if (this.stage === 'beginning') this.failure ??= err
    if (this.stage !== 'working') return
    if (!isFull(err)) {
      this.host.failed(err)
      return
    }
    this.why = fullReason(err)
    this.busy = this.leave().then(
      () => this.goAside(err),
      (failed: Error) => this.host.failed(failed),
    )
  }

  private leave(): Promise<void> {
    this.stage = 'ending'
    // Not from within whatever has failed: it is in the middle of something.
    return Promise.resolve().then(() => this.host.end())
  }

  private goAside(err: Error): void {
    if (this.isOver()) return
    const { host, stepAside } = this
    const nowMs = host.nowMs()
    this.asideSinceMs ??= nowMs
    this.stage = 'aside'
    this.why = fullReason(err)
    stepAside.onFull(nowMs)
    const nextTryMs = Math.round(stepAside.nextLookMs - nowMs)
    host.log('warn', { err, nextTryMs }, `${this.why}: stepped aside until there is`)
    host.aside()
    this.lookLater()
  }

  private lookLater(): void {
    const { host, stepAside } = this
    this.cancelLook = host.after(Math.max(0, stepAside.nextLookMs - host.nowMs()), () => {
      this.busy = this.look()
    })
  }

  private async look(): Promise<void> {
    const room = await this.host.room().catch(() => null)
    if (this.stage !== 'aside') return
    if (!this.stepAside.onLook(this.host.nowMs(), room)) {
      this.lookLater()
      return
    }
    await this.begin().catch((err: Error) => this.host.failed(err))
  }

  private isOver(): boolean {
    return this.stage === 'over'
  }
}
