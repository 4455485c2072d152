/**
 * Reads a socket by the number of bytes that are wanted, for what is said on it before it is a link or a connection.
 * Whoever sends more than is asked for waits in its own buffers.
 */

import type { Duplex } from 'node:stream'

/** More than any of the messages that are read this way. */
const HELD_BYTES_MAX = 128 * 1024

export class SocketReader {
  private readonly socket: Duplex
  private held: Buffer
  private over: boolean
  private wake: (() => void) | null
  private readonly onData: (chunk: Buffer) => void
  private readonly onEnd: () => void

  constructor(socket: Duplex) {
    this.socket = socket
    this.held = Buffer.alloc(0)
    this.over = false
    this.wake = null
    this.onData = (chunk) => {
      this.held = this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk])
      if (this.held.length > HELD_BYTES_MAX) this.socket.pause()
      this.wake?.()
    }
    this.onEnd = () => {
      this.over = true
      this.wake?.()
    }
    socket.on('data', this.onData)
    socket.on('end', this.onEnd)
    socket.on('close', this.onEnd)
    socket.on('error', this.onEnd)
    socket.resume()
  }

  /** Exactly so many; rejects where the other side ends before. */
  async take(bytes: number): Promise<Buffer> {
    const seen = await this.peek(bytes)
    if (seen.length < bytes) throw new Error('closed by the other side')
    this.held = seen.subarray(bytes)
    return seen.subarray(0, bytes)
  }

  /** At least so many, and they stay; fewer where the other side ends before, or where they do not come in time. */
  async peek(bytes: number, timeoutMs?: number): Promise<Buffer> {
    let late = false
    const timer =
      timeoutMs === undefined
        ? null
        : setTimeout(() => {
            late = true
            this.wake?.()
          }, timeoutMs)
    if (this.held.length < bytes) this.socket.resume()
    while (this.held.length < bytes && !this.over && !late) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    this.wake = null
    if (timer !== null) clearTimeout(timer)
    return this.held
  }

  /** What was read and not taken; the socket is paused, and can be read by others. */
  release(): Buffer {
    const { socket, held } = this
    socket.pause()
    socket.off('data', this.onData)
    socket.off('end', this.onEnd)
    socket.off('close', this.onEnd)
    socket.off('error', this.onEnd)
    this.held = Buffer.alloc(0)
    return held
  }
}
