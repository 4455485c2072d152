/**
 * The client's session of commands: one connection at a time, the commands typed so far, and how the last one ended.
 * It knows streams, not terminals, so that people, pipes and tests drive the same one. Java: ZooKeeperMain.
 */

import { KeeperError } from '../../client/failures.ts'
import type { WatchedEvent } from '../../client/watches.ts'
import type { ZooKeeper } from '../../client/zookeeper.ts'
import { Err } from '../../jute/codes.ts'
import { zxidHex } from '../../jute/zxid.ts'
import { type Context, type Fields, intOrNull, parseCall } from './command.ts'
import { Cancelled, CliExit, CommandFailure, commandFailure, failureFields } from './failures.ts'
import type { Streams } from './streams.ts'
import { COMMANDS, SESSION_COMMANDS, usage } from './table.ts'
import { splitLine } from './words.ts'

/** Shown by `history`, beside the one that asks. */
const HISTORY_SHOWN = 10
/** How long a goodbye to the server may take. */
const CLOSE_TIMEOUT_MS = 3000

export interface CliSessionOptions {
  readonly streams: Streams
  /** Opens a session; `note` hears why connections fail. */
  readonly open: (host: string, watcher: (event: WatchedEvent) => void, note: (text: string) => void) => ZooKeeper
  readonly waitForConnectionMs: number | null
  /** One JSON value for each command, in place of text. */
  readonly json: boolean
  readonly date: (timeMs: number) => string
  readonly readFile: (path: string) => string
}

export class CliSession {
  exitCode: number
  /** Of the next command typed. */
  commandCount: number
  /** Somebody owns an ephemeral node made here, who may expect it to outlive this process by the session's timeout. */
  madeEphemeral: boolean
  /** Called behind each event of the session, printed or not. */
  onSessionEvent: () => void
  private readonly options: CliSessionOptions
  private readonly history: Map<number, string>
  private host: string
  private zk: ZooKeeper | null
  private printWatches: boolean
  private running: AbortController | null
  private lastNote: string
  private onEvents: ((event: WatchedEvent) => void)[]

  constructor(options: CliSessionOptions) {
    this.options = options
    this.exitCode = CliExit.ok
    this.commandCount = 0
    this.madeEphemeral = false
    this.onSessionEvent = () => {}
    this.history = new Map()
    this.host = ''
    this.zk = null
    this.printWatches = true
    this.running = null
    this.lastNote = ''
    this.onEvents = []
  }

  get client(): ZooKeeper | null {
    return this.zk
  }

  get prompt(): string {
    return `[zk: ${this.host}(${this.zk?.state ?? 'NOT_CONNECTED'}) ${this.commandCount}] `
  }

  /** Leaves the session there was, if any. Throws InvalidArgument for a connect string that is none. */
  async connect(host: string): Promise<void> {
    if (this.zk?.alive === true) await this.closed()
    this.host = host
    this.lastNote = ''
    const zk = this.options.open(
      host,
      (event) => this.onEvent(zk, event),
      (text) => {
        this.lastNote = text
      },
    )
    this.zk = zk
    const { waitForConnectionMs } = this.options
    if (waitForConnectionMs === null || (await this.connectedWithin(waitForConnectionMs))) return
    await this.closed()
    const why = this.lastNote === '' ? '' : ` (${this.lastNote})`
    throw new CommandFailure(
      `KeeperErrorCode = ConnectionLoss: no connection to ${host} in ${waitForConnectionMs} ms${why}`,
    )
  }

  /** Whether there is a connection, as soon as there is one, or at the latest in `waitMs`. */
  async connectedWithin(waitMs: number): Promise<boolean> {
    const { zk } = this
    if (zk === null || zk.connected || !zk.alive) return zk?.connected === true
    await this.eventWithin(waitMs, () => zk.connected || !zk.alive)
    return zk.connected
  }

  /** A line as it was typed. False when it was the last. */
  async executeLine(line: string): Promise<boolean> {
    if (line === '') return true
    this.history.set(this.commandCount, line)
    const goesOn = await this.execute(splitLine(line))
    this.commandCount++
    return goesOn
  }

  /** A command and its arguments. False when it ended the session. */
  async execute(words: readonly string[]): Promise<boolean> {
    this.running = new AbortController()
    let result: Fields | null = null
    try {
      if (words[0] === 'quit') {
        await this.closed()
        return false
      }
      result = await this.run(words, this.running.signal)
      this.exitCode = CliExit.ok
    } catch (err) {
      this.onFailure(words[0] ?? '', err)
    } finally {
      this.running = null
      this.options.streams.progress(null, 0, null)
      this.options.streams.flush()
    }
    if (result !== null) this.printJson({ command: words[0], ...result })
    return true
  }

  /** Ends the command that is running; false when there is none. */
  cancel(): boolean {
    if (this.running === null) return false
    this.running.abort()
    return true
  }

  /** At the end of the commands: the server is told, unless a node is to outlive us. Nothing is printed. */
  async leave(): Promise<void> {
    this.printWatches = false
    if (this.madeEphemeral) this.zk?.abandon()
    else await this.closed()
  }

  private async closed(): Promise<void> {
    const { zk } = this
    if (zk === null || !zk.alive) return
    // Watchers hear of the end ahead of this.
    const late = setTimeout(() => zk.abandon(), CLOSE_TIMEOUT_MS)
    await zk.close()
    clearTimeout(late)
    this.options.streams.flush()
  }

  private onFailure(command: string, err: unknown): void {
    const failure = commandFailure(err)
    this.exitCode = failure.exitCode
    const { streams, json } = this.options
    if (json) {
      const fields = { message: failure.message, exitCode: failure.exitCode }
      this.printJson({ command, ...failureFields(err), ...fields })
    } else streams.err(`${failure.message}\n`)
    if (err instanceof KeeperError && err.code === Err.connectionLoss && this.lastNote !== '') {
      streams.err(`${this.lastNote}\n`)
    }
  }

  /** Null where the command has printed all there is, JSON included. */
  private async run(words: readonly string[], signal: AbortSignal): Promise<Fields | null> {
    const [name, argument] = words
    if (name === undefined) throw new CommandFailure('No command entered')
    if (!COMMANDS.has(name) && !SESSION_COMMANDS.has(name)) {
      this.options.streams.err(`${usage()}\n`)
      throw new CommandFailure(`Command not found: Command not found ${name}`, CliExit.unknownCommand)
    }
    if (name === 'redo' && argument !== undefined) return this.redo(argument, signal)
    const own = await this.runOwn(name, argument)
    const { zk } = this
    if (zk === null || !zk.alive) {
      this.line('Not connected')
      return { ...own, connected: false }
    }
    const command = COMMANDS.get(name)
    if (command === undefined) return own
    const running = Promise.resolve(command.run(this.context(zk, words, signal), parseCall(command, words)))
    return Promise.race([running, rejectedBy(signal)])
  }

  private async runOwn(name: string, argument: string | undefined): Promise<Fields> {
    if (name === 'connect') await this.connect(argument ?? this.host)
    if (name === 'printwatches') {
      if (argument === undefined) this.line(`printwatches is ${this.printWatches ? 'on' : 'off'}`)
      else this.printWatches = argument === 'on'
      return { printwatches: this.printWatches }
    }
    if (name === 'history') {
      const history: { number: number; line: string }[] = []
      for (let i = Math.max(0, this.commandCount - HISTORY_SHOWN); i <= this.commandCount; i++) {
        history.push({ number: i, line: this.history.get(i) ?? 'null' })
      }
      for (const { number, line } of history) this.line(`${number} - ${line}`)
      return { history }
    }
    return {}
  }

  private async redo(argument: string, signal: AbortSignal): Promise<Fields | null> {
    const index = intOrNull(argument)
    if (index === null) throw new CommandFailure(`For input string: "${argument}"`)
    const line = this.history.get(index)
    if (this.commandCount <= index || index < 0 || line === undefined) {
      throw new CommandFailure('Command index out of range')
    }
    const words = splitLine(line)
    if (words[0] === 'redo') throw new CommandFailure('No redoing redos')
    this.history.set(this.commandCount, line)
    return this.run(words, signal)
  }

  private context(zk: ZooKeeper, words: readonly string[], signal: AbortSignal): Context {
    const { streams, date, readFile, json } = this.options
    const what = words
      .filter((word) => !word.startsWith('-'))
      .slice(0, 2)
      .join(' ')
    const silent = (text: string): void => {
      if (!json) streams.out(text)
    }
    return {
      zk,
      walk: { signal, progress: (count, total) => streams.progress(what, count, total) },
      out: (text) => silent(`${text}\n`),
      outRaw: silent,
      err: (text) => {
        if (!json) streams.err(`${text}\n`)
      },
      date,
      readFile,
      onEphemeral: () => {
        this.madeEphemeral = true
      },
    }
  }

  private onEvent(zk: ZooKeeper, event: WatchedEvent): void {
    if (this.printWatches) this.printEvent(event)
    for (const hear of [...this.onEvents]) hear(event)
    if (event.type === 'None' && this.zk === zk) this.onSessionEvent()
  }

  private printEvent({ type, state, path, zxid }: WatchedEvent): void {
    const { streams, json } = this.options
    if (!json) {
      streams.out(`\nWATCHER::\n\nWatchedEvent state:${state} type:${type} path:${path} zxid: ${zxid}\n`)
    } else if (type !== 'None') {
      this.printJson({ event: type, state, path, zxid: zxid < 0 ? null : `0x${zxidHex(zxid)}` })
    }
  }

  private async eventWithin(waitMs: number, holds: () => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.onEvents = this.onEvents.filter((hear) => hear !== onEvent)
        resolve()
      }
      const onEvent = (): void => {
        if (holds()) done()
      }
      const timer = setTimeout(done, waitMs)
      this.onEvents.push(onEvent)
      onEvent()
    })
  }

  private line(text: string): void {
    if (!this.options.json) this.options.streams.out(`${text}\n`)
  }

  private printJson(fields: Fields): void {
    if (this.options.json) this.options.streams.out(`${JSON.stringify(fields)}\n`)
  }
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Cancelled()), { once: true })
  })
}
