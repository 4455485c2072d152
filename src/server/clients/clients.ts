/**
 * Shell around client sockets: the first four bytes, frames, output, back-pressure, limits, idle timeouts.
 *
 * What arrives is walked in place and handed to the pipeline; what the pipeline wrote leaves in one write per socket
 * when the turn ends. A socket is not read from while its client has too much unanswered (the pipeline says so) or
 * does not drain its replies; a client that lets them pile up beyond a limit is dropped (unsent.ts).
 * TLS comes before all that: once the handshake is over, a secure socket is dealt with as a plain one.
 * Java: NIOServerCnxnFactory, NIOServerCnxn, NettyServerCnxnFactory, NettyServerCnxn.
 */

import type { Socket } from 'node:net'
import { totalmem } from 'node:os'
import { assert } from '../../jute/assert.ts'
import { FrameReader } from '../../jute/frame.ts'
import { id64Hex } from '../../jute/id64.ts'
import { readInt } from '../../jute/input.ts'
import { Output } from '../../jute/output.ts'
import { addAuthIds } from '../access/auth.ts'
import { hostAddress, isLoopback } from '../access/ip.ts'
import type { Config } from '../config/config.ts'
import { answerFourLetter, enabledWords, type ServerView, STMK_EXTRA_BYTES, wordOfCode } from '../report/fourletter.ts'
import type { Metrics } from '../report/metrics.ts'
import { Connection, type ConnectionHost } from '../requests/connection.ts'
import { Fifo } from '../requests/fifo.ts'
import type { Pipeline } from '../requests/pipeline.ts'
import { requestText } from '../requests/requesttext.ts'
import type { SaslServerLogin } from '../sasl/mechanism.ts'
import type { ClientTls } from '../tls/clienttls.ts'
import type { Turn } from '../turn.ts'
import { Listener, type ListenerOptions } from './listener.ts'
import { UNSENT_NOTED, Unsent } from './unsent.ts'

export interface ClientsOptions extends ListenerOptions {
  readonly juteMaxBufferBytes: number
  /** What one client, and all together, may leave unread of their replies and events. */
  readonly unsentMaxBytes: number
  readonly unsentTotalMaxBytes: number
  readonly sessionlessTimeoutMs: number
  readonly fourLetterWords: ReadonlySet<string>
  readonly entrance: Entrance
}

/** What clients show who they are with. */
export interface Entrance {
  /** How clients log in by SASL; null: not at all. */
  readonly login: SaslServerLogin | null
  /** Null: no port of this server speaks TLS. */
  readonly tls: ClientTls | null
}

export const OPEN_ENTRANCE: Entrance = { login: null, tls: null }

export interface ClientsHost {
  nowMs(): number
  wallMs(): number
  serving(): boolean
  view(): ServerView
  /** Ahead of whatever a client sends: what the clock demands is to be done first. May cut clients. */
  onInput(): void
  info(message: string, fields: Record<string, unknown>): void
  warn(message: string, fields: Record<string, unknown>): void
}

export function clientsOptions(config: Config, entrance: Entrance): ClientsOptions {
  return {
    juteMaxBufferBytes: config.juteMaxBufferBytes,
    maxClientCnxns: config.maxClientCnxns,
    maxCnxns: config.maxCnxns,
    unsentMaxBytes: config.unsentMaxBytes,
    unsentTotalMaxBytes: config.unsentTotalMaxBytes ?? shareOfMemory(),
    sessionlessTimeoutMs: config.sessionlessCnxnTimeoutMs,
    tcpKeepAlive: config.clientTcpKeepAlive,
    fourLetterWords: enabledWords(config.fourLetterWhitelist, config.readonlyModeEnabled),
    entrance,
  }
}

/** A quarter of what this process may use; never less than what a few slow clients come to. */
function shareOfMemory(): number {
  const limit = process.constrainedMemory()
  const bytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem()
  return Math.max(bytes / 4, 256 * 1024 * 1024)
}

export interface ClientPorts {
  /** Where clients are to go: the plain port where there is one. */
  readonly port: number
  /** -1 without one, as `conf` shows it. */
  readonly plainPort: number
  readonly securePort: number
}

export const NO_PORTS: ClientPorts = { port: 0, plainPort: -1, securePort: -1 }

export async function listenForClients(clients: Clients, config: Config): Promise<ClientPorts> {
  const { clientAddress: plain, secureClientAddress: secure } = config
  const backlog = backlogOf(config)
  const plainPort = plain === null ? -1 : await clients.listen(plain.host, plain.port, backlog)
  const securePort = secure === null ? -1 : await clients.listenSecure(secure.host, secure.port, backlog)
  return { port: plain === null ? securePort : plainPort, plainPort, securePort }
}
/** After an election everybody connects at once: who does not fit here waits for a second, then for three. */
const LISTEN_BACKLOG = 4096

export function backlogOf(config: Config): number {
  return config.clientPortListenBacklog > 0 ? config.clientPortListenBacklog : LISTEN_BACKLOG
}

/** Unsent replies above which a client's requests are not read. */
const OUTPUT_PAUSE_BYTES = 1024 * 1024
/** An output buffer begins small, for an event may go to very many clients at once; those in use again have grown. */
const OUTPUT_BYTES = 512
/** An output buffer grown beyond this is not kept for reuse. */
const OUTPUT_KEPT_BYTES = 64 * 1024
/** Clients that are written to in one turn, some 10 us each; and of those that were left over, at the least. */
const FLUSH_MAX = 1024
const FLUSH_LATE_MIN = 256
/** How long a client may take to close its side after we closed ours. */
const LINGER_MS = 1000

/** The first byte of every TLS connection, and of no frame of an admissible length. */
const TLS_HANDSHAKE_RECORD = 0x16

type Phase = 'handshake' | 'first bytes' | 'word' | 'frames' | 'ending'

class Client {
  readonly listener: Listener
  /** Plain until a handshake is over, then the secure one around it. */
  socket: Socket
  readonly conn: Connection
  readonly frames: FrameReader
  readonly address: string
  phase: Phase
  first: Uint8Array
  out: Output | null
  /** Paused for back-pressure: by the pipeline, or because output does not drain. */
  stopped: boolean
  draining: boolean
  deadlineMs: number

  constructor(
    listener: Listener,
    socket: Socket,
    conn: Connection,
    frames: FrameReader,
    address: string,
    deadlineMs: number,
  ) {
    this.listener = listener
    this.socket = socket
    this.conn = conn
    this.frames = frames
    this.address = address
    this.phase = 'first bytes'
    this.first = new Uint8Array(0)
    this.out = null
    this.stopped = false
    this.draining = false
    this.deadlineMs = deadlineMs
  }
}

export class Clients implements ConnectionHost {
  private readonly host: ClientsHost
  private readonly options: ClientsOptions
  private readonly metrics: Metrics
  private readonly turn: Turn
  private readonly plain: Listener
  private readonly secure: Listener | null
  private pipeline: Pipeline | null
  /** By connection id; ids are reused, lowest first. */
  private readonly byId: (Client | undefined)[]
  private readonly freeIds: number[]
  /** Who has something to send, as of this turn and as of earlier ones. */
  private dirty: Client[]
  private readonly late: Fifo<Client>
  private readonly ending: Set<Client>
  private readonly unsent: Unsent<Client>
  private readonly spareOutputs: Output[]
  private live: number
  private handshakes: number

  constructor(host: ClientsHost, turn: Turn, metrics: Metrics, options: ClientsOptions) {
    this.host = host
    this.turn = turn
    this.metrics = metrics
    this.options = options
    this.pipeline = null
    this.byId = []
    this.freeIds = []
    this.dirty = []
    this.late = new Fifo()
    this.ending = new Set()
    this.unsent = new Unsent(options.unsentMaxBytes, options.unsentTotalMaxBytes)
    this.spareOutputs = []
    this.live = 0
    this.handshakes = 0
    const { tls } = options.entrance
    const onSocket = (listener: Listener, socket: Socket): void => this.onSocket(listener, socket)
    const warn = (message: string, fields: Record<string, unknown>): void => this.host.warn(message, fields)
    this.plain = new Listener(tls?.portUnification ? 'either' : 'plain', options, onSocket, warn)
    this.secure = tls === null ? null : new Listener('tls', options, onSocket, warn)
  }

  /** Starts accepting on the plain port, or moves it; the answer is the port. Rejects when the address cannot be had. */
  listen(address: string | null, port: number, backlog: number): Promise<number> {
    return this.plain.listen(address, port, backlog)
  }

  /** The same for the port of TLS. */
  listenSecure(address: string | null, port: number, backlog: number): Promise<number> {
    assert(this.secure !== null, 'no TLS to listen for')
    return this.secure.listen(address, port, backlog)
  }

  /** From here on sessions can be made; with null everybody is cut, and nobody else comes in. */
  serve(pipeline: Pipeline | null): void {
    if (pipeline === null) {
      for (const client of this.byId) if (client !== undefined && client.phase !== 'word') this.drop(client)
    }
    this.pipeline = pipeline
  }

  /** Stops accepting and cuts every connection. */
  async close(): Promise<void> {
    for (const client of this.byId) client?.socket.destroy()
    for (const client of this.ending) client.socket.destroy()
    this.options.entrance.tls?.close()
    await Promise.all([this.plain.close(), this.secure?.close()])
  }

  /** Without those that have not come through their handshake yet. */
  get count(): number {
    return this.live - this.handshakes
  }

  get outstandingHandshakes(): number {
    return this.handshakes
  }

  /** Of the certificate that clients are shown; null without one. */
  get certificateDaysLeft(): number | null {
    return this.options.entrance.tls?.daysLeft() ?? null
  }

  connection(connId: number): Connection | undefined {
    return this.byId[connId]?.conn
  }

  *connections(): Generator<Connection> {
    for (const client of this.byId) if (client !== undefined && client.phase !== 'handshake') yield client.conn
  }

  /** Bits of interest in a connection's socket: 1 read, 4 write. */
  interestOf(conn: Connection): number {
    const client = this.byId[conn.connId]
    if (client === undefined || client.conn !== conn || client.phase === 'word') return 0
    return (client.stopped ? 0 : 1) | (client.socket.writableNeedDrain ? 4 : 0)
  }

  // ------------------------------------------------------------------ sockets

  private onSocket(listener: Listener, socket: Socket): void {
    const nowMs = this.host.nowMs()
    const address = hostAddress(socket.remoteAddress ?? '')
    socket.on('error', () => {}) // followed by 'close'
    if (!listener.admit(address)) {
      socket.resetAndDestroy()
      this.metrics.counters.connection_rejected++
      return
    }
    const connId = this.freeIds.pop() ?? this.byId.length
    const conn = new Connection(connId, address, socket.remotePort ?? 0, this, nowMs, this.host.wallMs())
    conn.login = this.options.entrance.login
    const frames = new FrameReader(this.options.juteMaxBufferBytes, (buf, off, end) =>
      this.onFrame(client, buf, off, end),
    )
    const deadlineMs = nowMs + this.options.sessionlessTimeoutMs
    const client = new Client(listener, socket, conn, frames, address, deadlineMs)
    this.byId[connId] = client
    this.live++
    if (listener.kind === 'tls') this.makeSecure(client)
    else this.attach(client)
    if (this.secure !== null && listener.kind !== 'tls') this.countWithoutTls(address)
  }

  private attach(client: Client): void {
    const { socket } = client
    socket.on('data', (chunk) => this.onData(client, chunk))
    socket.on('end', () => {
      if (client.phase === 'ending' || client.socket !== socket) return
      this.metrics.counters.connection_drop_count++
      this.drop(client)
    })
    socket.on('close', () => this.drop(client))
    socket.on('drain', () => this.onDrain(client))
  }

  /** The handshake of TLS, of which nothing has been read. */
  private makeSecure(client: Client): void {
    const tls = this.options.entrance.tls!
    const { counters } = this.metrics
    if (tls.handshakesMax > 0 && this.handshakes >= tls.handshakesMax) {
      counters.tls_handshake_exceeded++
      this.drop(client)
      return
    }
    if (tls.earlyDrop && !this.host.serving()) {
      counters.cnxn_closed_without_zk_server_running++
      this.drop(client)
      return
    }
    client.phase = 'handshake'
    this.handshakes++
    tls.accept(client.socket, (err, secure, ids) => {
      if (client.conn.closed) {
        secure?.destroy()
        return
      }
      if (secure === null) {
        counters.unsuccessful_handshake++
        this.metrics.authFailedCount++
        this.host.warn('TLS handshake failed', { client: this.describe(client), reason: err?.message })
        this.drop(client)
        return
      }
      this.handshakes--
      client.phase = 'first bytes'
      client.deadlineMs = this.host.nowMs() + this.options.sessionlessTimeoutMs
      client.socket = secure
      client.conn.certificateIds = ids
      client.conn.ids = addAuthIds(client.conn.ids, ids)
      secure.on('error', () => {}) // followed by 'close'
      this.attach(client)
    })
  }

  /** As Java counts them where there is TLS at all. */
  private countWithoutTls(address: string): void {
    if (isLoopback(address)) this.metrics.nonMtlsLocalConnCount++
    else this.metrics.nonMtlsRemoteConnCount++
  }

  private onData(client: Client, buffer: Buffer): void {
    // A plain array: what has to outlive this call is copied with `slice`, and a Buffer's slice is no copy.
    const chunk = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
    this.metrics.counters.bytes_received_count += chunk.length
    this.host.onInput()
    if (client.conn.closed) return
    if (client.phase === 'frames') this.take(client, client.frames.push(chunk))
    else if (client.phase === 'first bytes') this.onFirstBytes(client, chunk)
  }

  /** The first four bytes are a word of the text interface or a frame's length; on a port for both, or TLS. */
  private onFirstBytes(client: Client, chunk: Uint8Array): void {
    const { listener, socket } = client
    if (listener.kind === 'either' && client.first.length === 0 && chunk[0] === TLS_HANDSHAKE_RECORD) {
      if (!('encrypted' in socket)) {
        socket.removeAllListeners('data')
        socket.pause()
        socket.unshift(chunk)
        this.makeSecure(client)
        return
      }
    }
    let bytes = chunk
    if (client.first.length > 0) {
      bytes = new Uint8Array(client.first.length + chunk.length)
      bytes.set(client.first)
      bytes.set(chunk, client.first.length)
    }
    if (bytes.length < 4) {
      client.first = bytes.slice()
      return
    }
    client.first = new Uint8Array(0)
    const code = readInt(bytes, 0)
    const word = wordOfCode(code)
    if (word !== null) {
      client.phase = 'word'
      this.answerWord(client, word, bytes.subarray(4, 4 + STMK_EXTRA_BYTES))
      return
    }
    if (code < 0 || code > this.options.juteMaxBufferBytes) {
      this.host.warn(strangerMessage(bytes), { client: this.describe(client), length: code })
      this.drop(client)
      return
    }
    if (!this.host.serving()) {
      this.drop(client) // the client tries again, here or elsewhere
      return
    }
    client.phase = 'frames'
    this.take(client, client.frames.push(bytes))
  }

  private onFrame(client: Client, buf: Uint8Array, off: number, end: number): boolean {
    const { conn } = client
    const { pipeline } = this
    if (pipeline === null || conn.closed) return false
    const more = conn.initialised
      ? pipeline.onRequest(conn, buf, off, end)
      : pipeline.handshake.onConnect(conn, buf, off, end)
    if (client.out !== null && client.out.pos > OUTPUT_PAUSE_BYTES) this.send(client)
    return more && !conn.closing && !conn.closed && client.socket.writableLength <= OUTPUT_PAUSE_BYTES
  }

  private take(client: Client, result: 'ok' | 'stopped' | 'bad'): void {
    if (result === 'bad') {
      const { badLength, badStart } = client.frames
      const { conn } = client
      this.host.warn('a frame is longer than jute.maxbuffer or has a negative length: connection closed', {
        client: this.describe(client),
        ...(conn.session === null ? {} : { session: id64Hex(conn.session.hi, conn.session.lo) }),
        ...(conn.initialised ? requestText(badStart, 0, badStart.length) : {}),
        length: badLength,
        juteMaxBufferBytes: this.options.juteMaxBufferBytes,
      })
      // What came before it has been taken; Java cuts the connection at once, replies or not.
      if (!client.conn.closing) client.conn.closeNow('bad frame length')
      return
    }
    if (result === 'stopped' && !client.conn.closing) {
      client.stopped = true
      client.socket.pause()
      client.draining = client.socket.writableLength > OUTPUT_PAUSE_BYTES
    }
  }

  private onDrain(client: Client): void {
    if (client.draining) {
      client.draining = false
      this.resume(client.conn)
    }
  }

  /** ConnectionHost: goes on with what a stop has held back. */
  resume(conn: Connection): void {
    const client = this.byId[conn.connId]
    if (client === undefined || client.conn !== conn || !client.stopped) return
    if (conn.throttled || conn.connecting || conn.authenticating || client.draining) return
    client.stopped = false
    // Not from within the pipeline: it is in the middle of a delivery.
    setImmediate(() => {
      if (conn.closed || client.stopped) return
      this.take(client, client.frames.resume())
      if (!client.stopped) client.socket.resume()
    })
  }

  // ------------------------------------------------------------------ output

  borrowOutput(conn: Connection): Output {
    const client = this.byId[conn.connId]
    assert(client !== undefined && client.conn === conn, 'output of a connection that is gone')
    if (client.out === null) {
      client.out = this.spareOutputs.pop() ?? new Output(OUTPUT_BYTES)
      this.dirty.push(client)
      this.turn.want()
    }
    return client.out
  }

  /**
   * End of the turn: one write for every client that has something. Of very many (a znode that all of them watch has
   * changed) some go now and the others over the next turns, so that whoever has asked meanwhile is answered between.
   */
  flush(): void {
    const { dirty, late } = this
    if (dirty.length > 0) {
      this.dirty = []
      for (let i = 0; i < dirty.length; i++) {
        if (i < FLUSH_MAX) this.send(dirty[i]!)
        else late.push(dirty[i]!)
      }
    }
    if (late.length === 0) return
    for (let left = Math.max(FLUSH_MAX - dirty.length, FLUSH_LATE_MIN); left > 0 && late.length > 0; left--) {
      this.send(late.shift()!)
    }
    if (late.length > 0) this.turn.want()
  }

  private send(client: Client): void {
    const { out, socket } = client
    if (out === null) return
    client.out = null
    client.conn.outputTaken()
    if (out.pos > 0 && !client.conn.closed) {
      this.metrics.counters.response_bytes += out.pos
      const bytes = Buffer.allocUnsafe(out.pos)
      bytes.set(out.bytes())
      socket.write(bytes)
      if (socket.writableLength > UNSENT_NOTED) this.boundUnsent(client)
    }
    out.clear()
    if (out.buf.length <= OUTPUT_KEPT_BYTES && this.spareOutputs.length < 256) this.spareOutputs.push(out)
    if (client.phase === 'ending') this.end(client)
  }

  private boundUnsent(client: Client): void {
    for (let slow = this.unsent.note(client); slow !== null; slow = this.unsent.note(client)) {
      this.host.warn('client does not read its replies and events: connection closed', {
        client: this.describe(slow),
        bytesUnsent: slow.socket.writableLength,
        unsentMaxBytes: this.options.unsentMaxBytes,
        unsentTotalMaxBytes: this.options.unsentTotalMaxBytes,
      })
      this.unsent.forget(slow)
      slow.conn.closeNow('too much unsent')
      if (slow === client) return
    }
  }

  // ------------------------------------------------------------------ closing

  closeAfterFlush(conn: Connection, reason: string): void {
    const client = this.byId[conn.connId]
    if (client === undefined || client.conn !== conn || client.phase === 'ending') return
    client.phase = 'ending'
    this.host.info('connection closes', { client: this.describe(client), reason })
    if (client.out === null) {
      this.borrowOutput(conn) // so that it is ended with this turn, behind what is on its way
    }
  }

  closeNow(conn: Connection, reason: string): void {
    const client = this.byId[conn.connId]
    if (client === undefined || client.conn !== conn) return
    this.host.info('connection cut', { client: this.describe(client), reason })
    client.socket.destroy() // 'close' follows, and with it the clean-up
  }

  /** Our side is done; the client's last bytes are read and thrown away until it closes too, or LINGER_MS have passed. */
  private end(client: Client): void {
    client.conn.closed = true
    this.forget(client)
    this.ending.add(client)
    client.deadlineMs = this.host.nowMs() + LINGER_MS
    client.socket.end()
    client.socket.resume()
  }

  /** The socket is gone or has to go. */
  private drop(client: Client): void {
    client.socket.destroy()
    this.ending.delete(client)
    this.forget(client)
  }

  private forget(client: Client): void {
    const { conn } = client
    if (this.byId[conn.connId] !== client) return
    this.byId[conn.connId] = undefined
    this.unsent.forget(client)
    conn.closed = true
    this.pipeline?.onClosed(conn)
    this.freeIds.push(conn.connId)
    this.live--
    if (client.phase === 'handshake') this.handshakes--
    client.listener.leave(client.address)
  }

  /** Once a second or so: who has been silent for longer than its session lives (or never said anything) is cut. */
  onSweep(nowMs: number): void {
    for (const client of this.byId) {
      if (client === undefined || client.phase === 'word' || client.phase === 'handshake') continue
      const { conn } = client
      const deadlineMs = conn.initialised ? conn.lastHeardMs + conn.timeoutMs : client.deadlineMs
      if (nowMs <= deadlineMs || client.stopped) continue
      if (!conn.initialised) this.metrics.counters.sessionless_connections_expired++
      conn.closeNow('idle')
    }
    for (const client of this.ending) if (nowMs > client.deadlineMs) this.drop(client)
  }

  /** After a pause of our own: nobody is to blame for it. */
  onPaused(nowMs: number): void {
    for (const client of this.byId) {
      if (client === undefined) continue
      client.conn.lastHeardMs = nowMs
      client.deadlineMs = Math.max(client.deadlineMs, nowMs + this.options.sessionlessTimeoutMs)
    }
  }

  // ------------------------------------------------------------------ four-letter words

  private answerWord(client: Client, word: string, extra: Uint8Array): void {
    this.metrics.packetsReceived++
    client.conn.stats.received++
    const slices = answerFourLetter(word, extra, this.host.view(), this.options.fourLetterWords)
    const { socket } = client
    let first = true
    const next = (): void => {
      for (;;) {
        // A long listing goes on over several turns; the server may have stopped serving meanwhile.
        const slice = this.host.serving() || first ? slices?.next() : undefined
        first = false
        if (slice === undefined || slice.done === true) {
          this.metrics.packetsSent++
          client.phase = 'ending'
          this.end(client)
          return
        }
        if (!socket.write(slice.value)) {
          socket.once('drain', next) // long listings go as fast as they are read
          return
        }
      }
    }
    next()
  }

  private describe(client: Client): string {
    return `${client.address}:${client.conn.remotePort}`
  }
}

/** What a client that does not speak ZooKeeper's protocol seems to speak. */
function strangerMessage(bytes: Uint8Array): string {
  const text = String.fromCharCode(...bytes.subarray(0, 8))
  if (/^(GET|POST|HEAD|PUT|OPTIONS|DELETE|PRI|CONNECT) /.test(text)) {
    return 'an HTTP client has connected to the ZooKeeper client port: connection closed'
  }
  if (bytes[0] === 0x16 && bytes[1] === 0x03) {
    return 'a TLS client has connected to the plain ZooKeeper client port: connection closed'
  }
  if (text.startsWith('SSH-')) return 'an SSH client has connected to the ZooKeeper client port: connection closed'
  return 'the first bytes are neither a ZooKeeper frame nor a four-letter word: connection closed'
}
