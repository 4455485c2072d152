/** A client's end of a socket, as bare as it can be: bytes out, frames or chunks in, each with a deadline. */

import { connect, type Socket } from 'node:net'
import { FrameReader } from '../../../src/jute/frame.ts'
import { Input } from '../../../src/jute/input.ts'
import { Output } from '../../../src/jute/output.ts'
import { readConnectResponse, writeConnectRequest, writeRequestHeader } from '../../../src/jute/records.ts'

export interface Address {
  host: string
  port: number
}

/** Nothing came, and the connection was not closed either, for as long as anyone has to wait. */
export class DeadlineError extends Error {
  override name = 'DeadlineError'
}

const REPLY_LENGTH_MAX = 64 << 20

export class Connection {
  private readonly socket: Socket
  private readonly received: Uint8Array[]
  private waiting: ((item: Uint8Array | null) => void) | null
  private ended: boolean

  private constructor(socket: Socket, framed: boolean) {
    this.socket = socket
    this.received = []
    this.waiting = null
    this.ended = false
    const frames = new FrameReader(REPLY_LENGTH_MAX, (buf, off, end) => {
      this.take(Uint8Array.from(buf.subarray(off, end)))
      return true
    })
    socket.on('data', (chunk) => {
      if (!framed) this.take(chunk)
      else if (frames.push(chunk) === 'bad') this.take(new Uint8Array(0)) // no reply is that short: seen as a problem
    })
    socket.on('error', () => {}) // a reset; 'close' follows
    socket.on('close', () => {
      this.ended = true
      this.waiting?.(null)
    })
  }

  /** `framed`: what comes is cut into frames (without their length); else it is handed on in chunks. */
  static open(address: Address, framed: boolean): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ ...address, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new Connection(socket, framed))
      })
    })
  }

  private take(item: Uint8Array): void {
    if (this.waiting === null) this.received.push(item)
    else this.waiting(item)
  }

  get closed(): boolean {
    return this.ended
  }

  write(bytes: Uint8Array): void {
    if (!this.ended) this.socket.write(bytes)
  }

  /** What came next; null when the other side has closed. Rejects with DeadlineError. */
  next(deadlineMs: number): Promise<Uint8Array | null> {
    const ready = this.received.shift()
    if (ready !== undefined) return Promise.resolve(ready)
    if (this.ended) return Promise.resolve(null)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting = null
        reject(new DeadlineError(`neither an answer nor a close in ${deadlineMs} ms`))
      }, deadlineMs)
      this.waiting = (item) => {
        this.waiting = null
        clearTimeout(timer)
        resolve(item)
      }
    })
  }

  /** Reads on until the other side closes. */
  async untilClosed(deadlineMs: number): Promise<void> {
    while ((await this.next(deadlineMs)) !== null);
  }

  /** Reads no more: what the server sends stays with it. */
  deafen(): void {
    this.socket.pause()
  }

  /** Says that no more will come (FIN). */
  finish(): void {
    this.socket.end()
  }

  /** Closes by RST, which leaves no port in TIME_WAIT. */
  reset(): void {
    if (!this.ended) this.socket.resetAndDestroy()
  }
}

/** Length and payload, the payload written by `write`. */
export function framed(write: (out: Output) => void): Uint8Array {
  const out = new Output(256)
  out.int(0)
  write(out)
  out.view.setInt32(0, out.pos - 4)
  return out.copy()
}

export function request(xid: number, type: number, writeBody?: (out: Output) => void): Uint8Array {
  return framed((out) => {
    writeRequestHeader(out, { xid, type })
    writeBody?.(out)
  })
}

/** Opens a connection with a new session; null when the server closes it instead. */
export async function openSession(address: Address, timeoutMs: number, deadlineMs: number): Promise<Connection | null> {
  const connection = await Connection.open(address, true)
  connection.write(
    framed((out) =>
      writeConnectRequest(out, {
        protocolVersion: 0,
        lastZxidSeen: 0,
        timeOut: timeoutMs,
        sessionIdHi: 0,
        sessionIdLo: 0,
        passwd: new Uint8Array(16),
        readOnly: false,
      }),
    ),
  )
  const reply = await connection.next(deadlineMs)
  if (reply === null) return null
  const response = readConnectResponse(new Input(reply))
  if (response.timeOut <= 0) throw new Error('a new session was refused')
  return connection
}
