/**
 * Where the client's words go. Lines of one turn of the event loop leave in one write: `ls -R` has many of them. What
 * goes to standard error comes behind what was written before it, and neither mixes with a line of progress.
 *
 * On a terminal control characters of znodes are shown, not obeyed; a pipe gets them as they are.
 */

const HELD_CHARS_MAX = 64 * 1024
const PROGRESS_EVERY_MS = 100
const BAR_CELLS = 30
/** All but line ends and tabs. */
const CONTROLS = /[^\P{Cc}\n\t]/gu

export interface Streams {
  /** Text for standard output, line ends included. */
  out(text: string): void
  err(text: string): void
  /** How far `what` is: done, of how many (null: nobody knows). Null clears it. Only people at a terminal see it. */
  progress(what: string | null, count: number, total: number | null): void
  flush(): void
}

export interface StreamWriters {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly nowMs: () => number
  /** Later in this turn of the event loop. */
  readonly later: (task: () => void) => void
  readonly outIsTerminal: boolean
  readonly errIsTerminal: boolean
}

export class GatheredStreams implements Streams {
  private readonly writers: StreamWriters
  private held: string[]
  private heldChars: number
  private flushWanted: boolean
  private progressMs: number
  private progressShown: boolean

  constructor(writers: StreamWriters) {
    this.writers = writers
    this.held = []
    this.heldChars = 0
    this.flushWanted = false
    this.progressMs = Number.NEGATIVE_INFINITY
    this.progressShown = false
  }

  out(text: string): void {
    this.held.push(this.writers.outIsTerminal ? text.replace(CONTROLS, shown) : text)
    this.heldChars += text.length
    if (this.heldChars >= HELD_CHARS_MAX) this.flush()
    else if (!this.flushWanted) {
      this.flushWanted = true
      this.writers.later(() => this.flush())
    }
  }

  err(text: string): void {
    this.flush()
    this.clearProgress()
    this.writers.err(text)
  }

  progress(what: string | null, count: number, total: number | null): void {
    if (!this.writers.errIsTerminal) return
    if (what === null) {
      this.clearProgress()
      return
    }
    if (this.writers.outIsTerminal) this.flush()
    const nowMs = this.writers.nowMs()
    if (nowMs - this.progressMs < PROGRESS_EVERY_MS) return
    this.flush()
    this.progressMs = nowMs
    this.progressShown = true
    this.writers.err(`\r\x1b[K${progressText(what, count, total)}`)
  }

  flush(): void {
    this.flushWanted = false
    if (this.held.length === 0) return
    const text = this.held.join('')
    this.held = []
    this.heldChars = 0
    this.clearProgress()
    // Who sees lines come needs no other sign of life.
    if (this.writers.outIsTerminal) this.progressMs = this.writers.nowMs()
    this.writers.out(text)
  }

  private clearProgress(): void {
    if (!this.progressShown) return
    this.progressShown = false
    this.writers.err('\r\x1b[K')
  }
}

function shown(control: string): string {
  return `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`
}

/** `deleteall /app [#######-----------------------] 1200 of 5000`, or `ls /app: 1200 znodes`. */
export function progressText(what: string, count: number, total: number | null): string {
  if (total === null || total === 0) return `${what}: ${count} znodes`
  const cells = Math.floor((BAR_CELLS * Math.min(count, total)) / total)
  return `${what} [${'#'.repeat(cells)}${'-'.repeat(BAR_CELLS - cells)}] ${count} of ${total}`
}
