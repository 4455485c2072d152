/**
 * Notices that files have changed, however they were changed: written in place, renamed over, or by a symlink that points
 * elsewhere now (as Kubernetes swaps secrets). Looks at them once a second; what a name leads to is what counts.
 */

import { type BigIntStats, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'

const INTERVAL_MS = 1000

export class FileWatch {
  private readonly files: readonly string[]
  private readonly onChange: () => boolean
  private readonly timer: NodeJS.Timeout
  private seen: string
  private settled: boolean
  private looking: boolean

  /** `onChange` returns whether it could make use of the files; if not it is called once more a second later. */
  constructor(files: readonly string[], onChange: () => boolean) {
    this.files = files
    this.onChange = onChange
    this.seen = files.map((file) => stampOf(statSync(file, { bigint: true, throwIfNoEntry: false }))).join()
    this.settled = true
    this.looking = false
    this.timer = setInterval(() => void this.look(), INTERVAL_MS)
    this.timer.unref()
  }

  close(): void {
    clearInterval(this.timer)
  }

  private async look(): Promise<void> {
    if (this.looking) return // a file system that hangs
    this.looking = true
    const stamps = await Promise.all(
      this.files.map((file) =>
        stat(file, { bigint: true }).then(
          (stats) => stampOf(stats),
          () => '',
        ),
      ),
    )
    this.looking = false
    const now = stamps.join()
    if (now === this.seen && this.settled) return
    // A file that is still being written may have its last byte and its last time stamp in different seconds.
    this.settled = now === this.seen
    this.seen = now
    if (this.onChange()) this.settled = true
  }
}

function stampOf(stats: BigIntStats | undefined): string {
  return stats === undefined ? '' : `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`
}
