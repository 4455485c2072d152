/**
 * One address that clients come to, with limits of its own: a server has up to two, plain and secure. Java: a
 * ServerCnxnFactory, of which there is one for clientPort and one for secureClientPort.
 */

import { createServer, type Server, type Socket } from 'node:net'

/** What is spoken there: `either` is told by the first byte of each connection (client.portUnification). */
export type ListenerKind = 'plain' | 'either' | 'tls'

export interface ListenerOptions {
  /** Per address; 0 is unlimited. */
  readonly maxClientCnxns: number
  /** In all; 0 is unlimited. */
  readonly maxCnxns: number
  readonly tcpKeepAlive: boolean
}

export class Listener {
  readonly kind: ListenerKind
  private readonly options: ListenerOptions
  private readonly onSocket: (listener: Listener, socket: Socket) => void
  private readonly warn: (message: string, fields: Record<string, unknown>) => void
  private readonly perAddress: Map<string, number>
  private server: Server
  private live: number

  constructor(
    kind: ListenerKind,
    options: ListenerOptions,
    onSocket: (listener: Listener, socket: Socket) => void,
    warn: (message: string, fields: Record<string, unknown>) => void,
  ) {
    this.kind = kind
    this.options = options
    this.onSocket = onSocket
    this.warn = warn
    this.perAddress = new Map()
    this.live = 0
    this.server = this.makeServer()
  }

  private makeServer(): Server {
    const { tcpKeepAlive } = this.options
    return createServer({ noDelay: true, keepAlive: tcpKeepAlive }, (socket) => this.onSocket(this, socket))
  }

  /**
   * Starts accepting; the answer is the port. Rejects when the address cannot be had. Called again it moves: the new
   * address first, then away with the old one; connections stay.
   */
  async listen(address: string | null, port: number, backlog: number): Promise<number> {
    const before = this.server
    const server = before.listening ? this.makeServer() : before
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port, ...(address === null ? {} : { host: address }), backlog }, () => {
        server.off('error', reject)
        server.on('error', (err) => this.warn('listener', { err }))
        resolve()
      })
    })
    this.server = server
    if (server !== before) before.close()
    const bound = server.address()
    return typeof bound === 'object' && bound !== null ? bound.port : port
  }

  /** Counts one more connection in, or says that it is one too many. */
  admit(address: string): boolean {
    const { maxClientCnxns, maxCnxns } = this.options
    if (maxCnxns > 0 && this.live >= maxCnxns) {
      this.warn('too many connections', { maxCnxns })
      return false
    }
    const count = this.perAddress.get(address) ?? 0
    if (maxClientCnxns > 0 && count >= maxClientCnxns) {
      this.warn('too many connections from one address', { address, maxClientCnxns })
      return false
    }
    this.perAddress.set(address, count + 1)
    this.live++
    return true
  }

  /** A connection that was admitted has gone. */
  leave(address: string): void {
    this.live--
    const left = this.perAddress.get(address)! - 1
    if (left === 0) this.perAddress.delete(address)
    else this.perAddress.set(address, left)
  }

  /** Resolves once all of its connections are gone too. */
  close(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()))
  }
}
