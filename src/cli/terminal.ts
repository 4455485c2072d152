/**
 * The terminal that tools talk to: standard streams of this process. A reader that has seen enough (`| head`) ends the
 * process quietly. Progress goes to standard error, and only where that is a terminal.
 */

import { createInterface, type Interface } from 'node:readline'
import { StorageError } from '../jute/errors.ts'
import { type Terminal, ToolExit, UsageError } from '../tools/terminal.ts'
import { errorCode } from '../txnlog/disk.ts'

/** Text is gathered up to this much: a write for every line would be most of the time of a long dump. */
const OUT_CHARS_MAX = 64 * 1024
const PROGRESS_EVERY_MS = 200

class ProcessTerminal implements Terminal {
  private held: string[]
  private heldChars: number
  private progressMs: number
  private progressShown: boolean
  private input: {
    reader: Interface
    lines: string[]
    waiting: ((line: string | null) => void)[]
    ended: boolean
  } | null

  constructor() {
    this.held = []
    this.heldChars = 0
    this.progressMs = Number.NEGATIVE_INFINITY
    this.progressShown = false
    this.input = null
    process.stdout.on('error', (err) => process.exit(errorCode(err) === 'EPIPE' ? ToolExit.ok : ToolExit.failed))
  }

  out(text: string): void {
    this.held.push(text)
    this.heldChars += text.length
    if (this.heldChars >= OUT_CHARS_MAX) this.flush()
  }

  err(line: string): void {
    this.flush()
    process.stderr.write(`${line}\n`)
  }

  ask(question: string): Promise<string | null> {
    this.out(question)
    this.flush()
    this.input ??= this.openInput()
    const { lines, waiting, ended } = this.input
    const line = lines.shift()
    if (line !== undefined) return Promise.resolve(line)
    if (ended) return Promise.resolve(null)
    return new Promise((resolve) => waiting.push(resolve))
  }

  progress(text: string | null): void {
    if (!process.stderr.isTTY) return
    const nowMs = performance.now()
    if (text !== null && nowMs - this.progressMs < PROGRESS_EVERY_MS) return
    if (text === null && !this.progressShown) return
    this.flush()
    this.progressMs = nowMs
    this.progressShown = text !== null
    process.stderr.write(`\r\x1b[K${text ?? ''}`)
  }

  close(): void {
    this.progress(null)
    this.flush()
    this.input?.reader.close()
  }

  private flush(): void {
    if (this.heldChars === 0) return
    const text = this.held.join('')
    this.held = []
    this.heldChars = 0
    process.stdout.write(text)
  }

  private openInput() {
    const input = {
      reader: createInterface({ input: process.stdin }),
      lines: [] as string[],
      waiting: [] as ((line: string | null) => void)[],
      ended: false,
    }
    input.reader.on('line', (line) => {
      const next = input.waiting.shift()
      if (next === undefined) input.lines.push(line)
      else next(line)
    })
    input.reader.on('close', () => {
      input.ended = true
      for (const next of input.waiting.splice(0)) next(null)
    })
    return input
  }
}

/**
 * Runs a tool on this process' terminal and returns its exit code. A command line that cannot be meant is 2, what went
 * wrong on the disk or in a file 1, each with one line on standard error.
 */
export async function runTool(tool: (terminal: Terminal) => Promise<number>): Promise<number> {
  const terminal = new ProcessTerminal()
  try {
    return await tool(terminal)
  } catch (err) {
    terminal.progress(null)
    if (err instanceof UsageError) {
      terminal.err(err.message)
      return ToolExit.usage
    }
    if (err instanceof StorageError || errorCode(err) !== '') {
      terminal.err(err instanceof Error ? err.message : String(err))
      return ToolExit.failed
    }
    throw err
  } finally {
    terminal.close()
  }
}
