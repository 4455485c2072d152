/**
 * A session's core on a clock of its own. The other side is played by hand: what the client sends is read as requests,
 * what it gets is built byte by byte here.
 */

import type { ServerAddress } from '../../../src/client/connectstring.ts'
import { SessionCore, type SessionOptions, type SessionSink } from '../../../src/client/sessioncore.ts'
import type { WatchedEvent } from '../../../src/client/watches.ts'
import { Input } from '../../../src/jute/input.ts'

export const SERVERS: readonly ServerAddress[] = [
  { host: 'one', port: 1 },
  { host: 'two', port: 2 },
  { host: 'three', port: 3 },
]

/** A client's message behind its header; `greeting` has none. */
export interface Sent {
  readonly xid: number
  readonly type: number
  readonly body: Input
}

export class CoreKit implements SessionSink {
  now = 0
  readonly core: SessionCore
  /** Every server dialled, in order. */
  readonly dialled: string[] = []
  readonly probed: string[] = []
  readonly challenges: Uint8Array[] = []
  readonly events: string[] = []
  /** Frames since the last look, without their lengths. */
  private frames: Uint8Array[] = []
  drops = 0

  constructor(options: Partial<SessionOptions> = {}, random = 0.5) {
    this.core = new SessionCore(
      {
        servers: SERVERS,
        chroot: '',
        sessionTimeoutMs: 30_000,
        readOnly: false,
        requestTimeoutMs: 0,
        resetsWatches: true,
        sasl: false,
        answerBytesMax: 1_000_000,
        ...options,
      },
      this,
      (event) => this.events.push(eventText(event)),
      () => random,
      0,
    )
  }

  connect(server: ServerAddress): void {
    this.dialled.push(server.host)
  }
  disconnect(): void {
    this.drops++
  }
  send(bytes: Uint8Array): void {
    this.frames.push(bytes.slice(4))
  }
  saslStep(challenge: Uint8Array): void {
    this.challenges.push(challenge)
  }
  probe(server: ServerAddress): void {
    this.probed.push(server.host)
  }

  /** Lets time pass, with every deadline in it. */
  pass(ms: number): void {
    const until = this.now + ms
    for (let at = this.core.nextDeadlineMs(); at <= until; at = this.core.nextDeadlineMs()) {
      this.now = Math.max(this.now, at)
      this.core.onDeadline(this.now)
    }
    this.now = until
  }

  /** What was sent since the last look. */
  sent(): Sent[] {
    const frames = this.frames
    this.frames = []
    return frames.map((bytes) => {
      const body = new Input(bytes)
      return { xid: body.int(), type: body.int(), body }
    })
  }

  types(): number[] {
    return this.sent().map(({ type }) => type)
  }

  /** The greeting that was sent last: timeout, session and zxid that it asks with. */
  greeting(): { zxid: number; timeoutMs: number; session: number; passwd: number; readOnly: boolean } {
    const inp = new Input(this.frames.shift()!)
    inp.int()
    const zxid = inp.long()
    const timeoutMs = inp.int()
    inp.int()
    return { zxid, timeoutMs, session: inp.int(), passwd: inp.buffer()![0]!, readOnly: inp.bool() }
  }

  /** The server takes the connection and grants session `session` (0: refuses it). */
  welcome(session = 77, timeoutMs = 30_000, readOnly = false): void {
    this.core.onOpen(this.now)
    const bytes = new Uint8Array(4 + 4 + 8 + 4 + 16 + 1)
    const view = new DataView(bytes.buffer)
    view.setInt32(4, session === 0 ? 0 : timeoutMs)
    view.setInt32(12, session)
    view.setInt32(16, 16)
    bytes[20] = session
    bytes[36] = readOnly ? 1 : 0
    this.receive(bytes)
  }

  /** Connected from the start, with nothing left to look at. */
  up(session = 77, timeoutMs = 30_000): this {
    this.pass(0)
    this.welcome(session, timeoutMs)
    this.sent()
    return this
  }

  answer(xid: number, err: number, zxid = 0, body: readonly number[] = []): void {
    const bytes = new Uint8Array(16 + body.length)
    const view = new DataView(bytes.buffer)
    view.setInt32(0, xid)
    view.setBigInt64(4, BigInt(zxid))
    view.setInt32(12, err)
    bytes.set(body, 16)
    this.receive(bytes)
  }

  /** An event of the server. */
  notify(type: number, path: string, zxid = 5): void {
    const text = new TextEncoder().encode(path)
    const size = [0, 0, 0, text.length]
    this.answer(-1, 0, zxid, [0, 0, 0, type, 0, 0, 0, 3, ...size, ...text])
  }

  lose(): void {
    this.core.onLost(this.now)
  }

  private receive(bytes: Uint8Array): void {
    this.core.onFrame(bytes, 0, bytes.length, this.now)
  }
}

export function eventText({ type, state, path }: WatchedEvent): string {
  return type === 'None' ? state : `${type} ${path}`
}
