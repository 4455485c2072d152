/**
 * One client connection as a load generator needs it: no session is ever resumed, requests are bytes made by the
 * caller, replies are borrowed bytes. Requests of one turn of the event loop leave in one write.
 */

import { connect, type Socket } from 'node:net'
import { FrameReader } from '../../jute/frame.ts'
import { readInt } from '../../jute/input.ts'
import { Output } from '../../jute/output.ts'
import { writeConnectRequest } from '../../jute/records.ts'

const SESSION_TIMEOUT_MS = 30_000
const FRAME_BYTES_MAX = 16 * 1024 * 1024
/** A reply's xid, zxid and error. */
const REPLY_HEADER_BYTES = 16
const XID_EVENT = -1

export interface LoadSink {
  onReply(xid: number, err: number, buf: Uint8Array, off: number, end: number): void
  onEvent?(): void
  onEnd(why: string): void
}

export class LoadConnection {
  private readonly socket: Socket
  private readonly out: Output
  private readonly sink: LoadSink
  private ready: ((why: string | null) => void) | null
  private wanted: boolean
  private ended: boolean

  private constructor(socket: Socket, sink: LoadSink, ready: (why: string | null) => void) {
    this.socket = socket
    this.out = new Output(64 * 1024)
    this.sink = sink
    this.ready = ready
    this.wanted = false
    this.ended = false
  }

  /** Opens a connection and a session. Rejects with one line on what went wrong. */
  static open(host: string, port: number, sink: LoadSink): Promise<LoadConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true })
      const conn = new LoadConnection(socket, sink, (why) => {
        if (why === null) resolve(conn)
        else reject(new Error(`${host}:${port}: ${why}`))
      })
      const frames = new FrameReader(FRAME_BYTES_MAX, (buf, off, end) => {
        conn.onFrame(buf, off, end)
        return true
      })
      socket.once('connect', () => conn.greet())
      socket.on('data', (chunk: Uint8Array) => {
        if (frames.push(chunk) === 'bad') conn.end(`a frame of ${frames.badLength} bytes`)
      })
      socket.once('error', (err) => conn.end(err.message))
      socket.once('close', () => conn.end('connection closed'))
    })
  }

  private greet(): void {
    const { out } = this
    const at = this.begin()
    writeConnectRequest(out, {
      protocolVersion: 0,
      lastZxidSeen: 0,
      timeOut: SESSION_TIMEOUT_MS,
      sessionIdHi: 0,
      sessionIdLo: 0,
      passwd: new Uint8Array(16),
      readOnly: false,
    })
    this.finish(at)
  }

  private onFrame(buf: Uint8Array, off: number, end: number): void {
    if (this.ready !== null) {
      const { ready } = this
      this.ready = null
      ready(readInt(buf, off + 4) > 0 ? null : 'no session was given')
      return
    }
    const xid = readInt(buf, off)
    if (xid === XID_EVENT) this.sink.onEvent?.()
    else this.sink.onReply(xid, readInt(buf, off + 12), buf, off + REPLY_HEADER_BYTES, end)
  }

  /** Opens a frame in `out`, to be ended by `finish`. */
  begin(): number {
    const at = this.out.pos
    this.out.int(0)
    return at
  }

  /** The frame's bytes are all in `out`: they leave at the end of this turn. */
  finish(at: number): void {
    const { out } = this
    out.view.setInt32(at, out.pos - at - 4)
    if (this.wanted) return
    this.wanted = true
    setImmediate(() => {
      this.wanted = false
      if (!this.ended) this.socket.write(out.copy())
      out.clear()
    })
  }

  get output(): Output {
    return this.out
  }

  /** Ends it without a word to the server. */
  destroy(): void {
    this.ended = true
    this.socket.destroy()
  }

  private end(why: string): void {
    if (this.ended) return
    this.ended = true
    if (this.ready === null) this.sink.onEnd(why)
    else this.ready(why)
  }
}
