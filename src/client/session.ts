/**
 * A client's session on real sockets and timers: the shell around SessionCore.
 *
 * What is written within one turn of the event loop leaves in one write. A step of SASL may take its time; what comes
 * back for a connection that is gone by then is dropped. How a connection is made secure and how tokens are made is
 * handed in, so that this folder knows neither key stores nor JAAS files.
 */

import { connect, type Socket } from 'node:net'
import { FrameReader } from '../jute/frame.ts'
import { ProtocolError } from '../jute/input.ts'
import { type ServerAddress, serverText } from './connectstring.ts'
import { type Request, SessionCore, type SessionOptions, type SessionSink } from './sessioncore.ts'
import type { Watcher } from './watches.ts'

/** Makes a connected socket secure. `hosts`: the names that the other side's certificate may have. */
export type Upgrade = (
  socket: Socket,
  hosts: readonly string[],
  done: (err: Error | null, secure: Socket | null) => void,
) => void

/** The client's side of one SASL exchange. */
export interface SaslExchange {
  /** The server's token in, the next one for it out, or null for none. Throws (or rejects) when it must fail. */
  step(challenge: Uint8Array): Promise<Uint8Array | null> | Uint8Array | null
  readonly done: boolean
  readonly hasInitialResponse: boolean
}

export interface SessionShell {
  readonly upgrade: Upgrade | null
  /** A new exchange for a new connection; needed if the options say `sasl`. */
  readonly sasl: ((server: ServerAddress) => Promise<SaslExchange> | SaslExchange) | null
  /** One line for people who look for a reason: why a connection was not made, or ended. */
  readonly note: (text: string) => void
}

const PROBE_TIMEOUT_MS = 1000
const TIMER_MS_MAX = 2 ** 31 - 1

export class Session implements SessionSink {
  readonly core: SessionCore
  private readonly shell: SessionShell
  private readonly answerBytesMax: number
  private socket: Socket | null
  private server: ServerAddress | null
  private exchange: SaslExchange | null
  private timer: NodeJS.Timeout | null
  private timerAtMs: number

  constructor(options: SessionOptions, shell: SessionShell, watcher: Watcher) {
    this.shell = shell
    this.answerBytesMax = options.answerBytesMax
    this.socket = null
    this.server = null
    this.exchange = null
    this.timer = null
    this.timerAtMs = Number.POSITIVE_INFINITY
    this.core = new SessionCore(options, this, watcher, Math.random, performance.now())
    this.onTimer()
  }

  submit(request: Request): void {
    this.core.submit(request, performance.now())
    this.arm()
  }

  addAuth(scheme: string, auth: Uint8Array | null, onAnswer: () => void): void {
    this.core.addAuth(scheme, auth, onAnswer, performance.now())
  }

  close(onClosed: () => void): void {
    this.core.close(onClosed, performance.now())
    this.arm()
  }

  abandon(): void {
    this.core.abandon()
    this.arm()
  }

  connect(server: ServerAddress): void {
    this.server = server
    this.exchange = null
    const socket = connect({ host: server.host, port: server.port, noDelay: true })
    this.socket = socket
    const { upgrade } = this.shell
    socket.on('error', (err) => this.lost(socket, err.message))
    socket.once('close', () => this.lost(socket, 'connection closed'))
    socket.once('connect', () => {
      if (upgrade === null) {
        this.opened(socket)
        return
      }
      upgrade(socket, [server.host], (err, secure) => {
        if (this.socket !== socket) secure?.destroy()
        else if (secure === null) this.lost(socket, err?.message ?? 'no secure connection')
        else {
          this.socket = secure
          secure.on('error', (failed) => this.lost(secure, failed.message))
          secure.once('close', () => this.lost(secure, 'connection closed'))
          this.opened(secure)
        }
      })
    })
  }

  disconnect(): void {
    const { socket } = this
    this.socket = null
    this.exchange = null
    socket?.destroy()
  }

  send(bytes: Uint8Array): void {
    const { socket } = this
    if (socket === null) return
    if (socket.writableCorked === 0) {
      socket.cork()
      process.nextTick(() => socket.uncork())
    }
    socket.write(bytes)
  }

  saslStep(challenge: Uint8Array): void {
    const { socket } = this
    this.saslToken(challenge).then(
      ({ token, done }) => {
        if (this.socket !== socket) return
        this.core.onSaslToken(token, done, performance.now())
        this.arm()
      },
      (err: unknown) => {
        if (this.socket !== socket) return
        this.shell.note(`SASL authentication failed: ${err instanceof Error ? err.message : err}`)
        this.core.onSaslFailed()
        this.arm()
      },
    )
  }

  probe(server: ServerAddress): void {
    let answer = ''
    const socket = connect({ host: server.host, port: server.port })
    socket.setTimeout(PROBE_TIMEOUT_MS, () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      this.core.onProbed(server, answer.startsWith('rw'), performance.now())
      this.arm()
    })
    const ask = (from: Socket) => {
      from.on('error', () => socket.destroy())
      from.on('data', (chunk) => {
        answer += chunk
      })
      from.once('end', () => socket.destroy())
      from.write('isro')
    }
    const { upgrade } = this.shell
    socket.once('connect', () => {
      if (upgrade === null) ask(socket)
      else upgrade(socket, [server.host], (_err, secure) => (secure === null ? socket.destroy() : ask(secure)))
    })
  }

  private async saslToken(challenge: Uint8Array): Promise<{ token: Uint8Array | null; done: boolean }> {
    if (this.exchange === null) {
      const exchange = await this.shell.sasl!(this.server!)
      this.exchange = exchange
      // A mechanism in which the server speaks first is opened with an empty token.
      return { token: exchange.hasInitialResponse ? await exchange.step(challenge) : challenge, done: false }
    }
    const { exchange } = this
    // Behind the last token of ours comes one more answer, which says nothing.
    if (exchange.done) return { token: null, done: true }
    const token = await exchange.step(challenge)
    if (token === null && !exchange.done) throw new Error('the exchange stopped halfway')
    return { token, done: token === null }
  }

  private opened(socket: Socket): void {
    const frames = new FrameReader(this.answerBytesMax, (buf, off, end) => {
      if (this.socket === socket) this.core.onFrame(buf, off, end, performance.now())
      return true
    })
    socket.on('data', (chunk: Uint8Array) => {
      if (this.socket !== socket) return
      try {
        if (frames.push(chunk) === 'bad') {
          const { badLength } = frames
          this.lost(socket, `an answer of ${badLength} bytes, where jute.maxbuffer is ${this.answerBytesMax}`)
        }
      } catch (err) {
        if (!(err instanceof ProtocolError)) throw err
        this.lost(socket, err.message)
      }
      this.arm()
    })
    this.core.onOpen(performance.now())
    this.arm()
  }

  private lost(socket: Socket, why: string): void {
    if (this.socket !== socket) return
    this.shell.note(`${this.server === null ? '' : serverText(this.server)}: ${why}`)
    this.disconnect()
    this.core.onLost(performance.now())
    this.arm()
  }

  private arm(): void {
    const atMs = this.core.nextDeadlineMs()
    if (atMs === this.timerAtMs) return
    this.timerAtMs = atMs
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (atMs === Number.POSITIVE_INFINITY) return
    const waitMs = Math.min(Math.max(0, Math.ceil(atMs - performance.now())), TIMER_MS_MAX)
    this.timer = setTimeout(() => this.onTimer(), waitMs)
  }

  private onTimer(): void {
    this.timer = null
    this.timerAtMs = Number.POSITIVE_INFINITY
    this.core.onDeadline(performance.now())
    this.arm()
  }
}
