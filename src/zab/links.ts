/**
 * The network of a member: the links of its election port, its learner port and its port for observers, over TCP.
 *
 * What comes in goes to a NetworkSink as it comes; what the sink does not consume is kept and offered again with more
 * behind it, at a cost that is linear in the bytes. What goes out is gathered per link and leaves in one write when the
 * turn ends. Both have limits, beyond which the link is closed: it can be made again, memory cannot.
 *
 * A link ends with exactly one onClose, unless we closed it ourselves; its id is never used again. Nothing here calls
 * the sink before the call that caused it has returned. Where there is a Transport, a socket becomes a link when that is
 * through; what it refuses, the sink sees as a dial that failed, or not at all. Java: the socket halves of QuorumCnxManager, LearnerHandler,
 * Leader.LearnerCnxAcceptor and Learner.connectToLeader.
 */

import type { Socket } from 'node:net'
import { assert } from '../jute/assert.ts'
import { Output } from '../jute/output.ts'
import { readHello } from './notification.ts'
import {
  type Address,
  dialFirst,
  formatAddress,
  type Lookup,
  Names,
  Port,
  type Reached,
  systemLookup,
} from './sockets.ts'
import { type AfterHello, HalfMade, NO_BYTES, type Passage, type PassageDone, type Transport } from './transport.ts'
import type { LinkId, LinkKind, Sid } from './types.ts'

/** What a member asks of the network. Calls do not call back before they return. */
export interface Network {
  /**
   * `addresses`: `host:port` texts, resolved anew and tried all at once; the first that connects wins. Answered by one
   * onOpen or one onDialFailed.
   */
  dial(sid: Sid, kind: LinkKind, addresses: readonly string[]): void
  /** Bytes are borrowed; they leave at `flush`. Dropped where the link is gone. */
  send(link: LinkId, bytes: Uint8Array): void
  /** No onClose follows; drops what was not sent. */
  close(link: LinkId, why: string): void
  /** Calls back, later and once, when fewer than ROOM_BYTES are unsent on the link, or when the link is gone. */
  whenRoom(link: LinkId, done: () => void): void
  /** These ports listen exactly while asked to; the election port always does. */
  listen(kind: Exclude<LinkKind, 'election'>, on: boolean): void
  /** End of the turn. */
  flush(): void
}

export interface NetworkSink {
  onAccept(link: LinkId, kind: LinkKind): void
  onOpen(link: LinkId, sid: Sid, kind: LinkKind): void
  onDialFailed(sid: Sid, kind: LinkKind): void
  /** Bytes are borrowed. Returns how many were consumed; of a link closed meanwhile, anything. */
  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number
  onClose(link: LinkId): void
}

export interface LinksOptions {
  /** Our own. Dials of the election port to larger ones only knock: Java waits for more, or for the end, behind the hello. */
  readonly sid: Sid
  /** Our own, as the configuration has them. Port 0 lets the system choose. */
  readonly electionAddresses: readonly Address[]
  readonly learnerAddresses: readonly Address[]
  /** Where a follower serves observers. */
  readonly observerAddresses: readonly Address[]
  /** Listen on these ports of every address of the machine (quorumListenOnAllIPs). */
  readonly listenOnAllAddresses: boolean
  /** zookeeper.cnxTimeout, looking up the name included. */
  readonly connectTimeoutMs: number
  /** zookeeper.tcpKeepAlive */
  readonly tcpKeepAlive: boolean
  /** Tries to listen on an election port before `start` gives up; 0 is never (zookeeper.electionPortBindRetry). */
  readonly bindTriesMax: number
  /** Between two such tries, and those of the other ports. */
  readonly bindRetryMs: number
  readonly learnerBindRetryMs: number
  /** Bytes unsent on a link above which it is closed. */
  readonly outputBytesMax: number
  /** Bytes not consumed on a link above which it is closed: more than the longest packet. */
  readonly inputBytesMax: number
  readonly lookup: Lookup
  /** TLS, or authentication, between the members; null: neither. */
  readonly transport: Transport | null
  /** For all that a transport does with one socket. */
  readonly transportTimeoutMs: Readonly<Record<LinkKind, number>>
  /** Accepted sockets of one port that a transport has under way: in all, and of one address. */
  readonly halfMadeMax: number
  readonly halfMadePerAddressMax: number
}

export const LINKS_DEFAULTS = {
  sid: Number.MAX_SAFE_INTEGER,
  observerAddresses: [] as readonly Address[],
  listenOnAllAddresses: false,
  connectTimeoutMs: 5000,
  tcpKeepAlive: false,
  bindTriesMax: 3,
  bindRetryMs: 1000,
  learnerBindRetryMs: 100,
  outputBytesMax: 256 * 1024 * 1024,
  inputBytesMax: 256 * 1024 * 1024,
  lookup: systemLookup,
  transport: null as Transport | null,
  transportTimeoutMs: { election: 10_000, learner: 10_000, observer: 10_000 },
  halfMadeMax: 256,
  halfMadePerAddressMax: 64,
} as const

export type LinksLog = (level: 'debug' | 'info' | 'warn', fields: Record<string, unknown>, message: string) => void

/** Unsent bytes below which a link has room (`whenRoom`). */
export const ROOM_BYTES = 1024 * 1024
/** Buffers grown beyond this are not kept. */
const KEPT_BYTES = 64 * 1024
const SPARE_OUTPUTS = 16

class Link {
  readonly id: LinkId
  readonly kind: LinkKind
  readonly socket: Socket
  readonly peer: string
  /** Nothing comes behind the hello. */
  readonly knock: boolean
  /** What is still to be done when the hello has left; nothing else leaves, and nothing is read, before it is done. */
  afterHello: AfterHello | null
  shut: boolean
  /** What was not consumed lies in [start, end). */
  input: Uint8Array
  start: number
  end: number
  /** This turn's bytes. */
  out: Output | null
  waiting: (() => void)[]

  constructor(id: LinkId, kind: LinkKind, { socket, peer, afterHello }: Passage, knock: boolean) {
    this.id = id
    this.kind = kind
    this.socket = socket
    this.peer = peer === null ? peerOf(socket) : `${peerOf(socket)} (${peer})`
    this.knock = knock
    this.afterHello = afterHello
    this.shut = false
    this.input = NO_BYTES
    this.start = 0
    this.end = 0
    this.out = null
    this.waiting = []
  }

  get bytesUnsent(): number {
    return this.socket.writableLength + (this.out?.pos ?? 0)
  }
}

const KINDS: readonly LinkKind[] = ['election', 'learner', 'observer']

export class Links implements Network {
  private readonly options: LinksOptions
  private readonly sink: NetworkSink
  private readonly want: () => void
  private readonly log: LinksLog
  private readonly names: Names
  private readonly links: Map<LinkId, Link>
  private readonly dials: Set<() => void>
  private readonly ports: Record<LinkKind, Port[]>
  private readonly wanted: Record<LinkKind, boolean>
  private readonly halfMade: Record<LinkKind, HalfMade>
  private starting: { resolve(): void; reject(err: Error): void } | null
  private dirty: Link[]
  private readonly spareOutputs: Output[]
  private lastId: LinkId
  private stopped: boolean

  /** `want`: flush() is wanted at the end of this turn. */
  constructor(options: LinksOptions, sink: NetworkSink, want: () => void, log: LinksLog) {
    this.options = options
    this.sink = sink
    this.want = want
    this.log = log
    this.names = new Names(options.lookup)
    this.links = new Map()
    this.dials = new Set()
    this.ports = { election: [], learner: [], observer: [] }
    this.wanted = { election: true, learner: false, observer: false }
    const halfMade = (): HalfMade => new HalfMade(options.halfMadeMax, options.halfMadePerAddressMax)
    this.halfMade = { election: halfMade(), learner: halfMade(), observer: halfMade() }
    this.starting = null
    this.dirty = []
    this.spareOutputs = []
    this.lastId = 0
    this.stopped = false
  }

  /** Resolves when an election port is bound; rejects when none could be, `bindTriesMax` times. */
  start(): Promise<void> {
    const { electionAddresses, learnerAddresses, observerAddresses } = this.options
    if (electionAddresses.length === 0) return Promise.reject(new Error('no election address of our own is known'))
    return new Promise((resolve, reject) => {
      this.starting = { resolve, reject }
      this.setOwnAddresses(electionAddresses, learnerAddresses, observerAddresses)
    })
  }

  /** Cuts everything. The sink hears nothing more; a `start` under way is over. */
  stop(): Promise<void> {
    this.stopped = true
    this.starting?.resolve()
    this.starting = null
    for (const kind of KINDS) this.setPorts(kind, [])
    for (const abandon of [...this.dials]) abandon()
    this.dials.clear()
    for (const kind of KINDS) this.halfMade[kind].abandonAll('the server stops')
    const closing: Promise<void>[] = []
    for (const link of [...this.links.values()]) {
      closing.push(new Promise((resolve) => link.socket.once('close', () => resolve())))
      this.close(link.id, 'the server stops')
    }
    return Promise.all(closing).then(() => {})
  }

  /** Our addresses may change while we run (a reconfiguration). Ports that stay the same are not touched. */
  setOwnAddresses(election: readonly Address[], learner: readonly Address[], observer: readonly Address[]): void {
    assert(!this.stopped, 'addresses of a network that has stopped')
    this.setPorts('election', election)
    this.setPorts('learner', learner)
    this.setPorts('observer', observer)
  }

  /** Ports bound at the moment. */
  boundPorts(kind: LinkKind): number[] {
    return this.ports[kind].map((port) => port.boundPort).filter((port) => port !== 0)
  }

  // ------------------------------------------------------------------ listening

  listen(kind: Exclude<LinkKind, 'election'>, on: boolean): void {
    this.wanted[kind] = on
    for (const port of this.ports[kind]) {
      if (on) port.open()
      else port.close()
    }
  }

  private setPorts(kind: LinkKind, addresses: readonly Address[]): void {
    const all = this.options.listenOnAllAddresses
    const wanted = new Map<string, { host: string | null; port: number }>()
    for (const { host, port } of addresses) {
      const at = { host: all || isWildcard(host) ? null : host, port }
      wanted.set(keyOf(at), at)
    }
    const kept: Port[] = []
    for (const port of this.ports[kind]) {
      if (wanted.delete(keyOf(port))) kept.push(port)
      else port.close()
    }
    for (const { host, port } of wanted.values()) kept.push(this.makePort(kind, host, port))
    this.ports[kind] = kept
    if (this.wanted[kind]) for (const port of kept) port.open()
  }

  private makePort(kind: LinkKind, host: string | null, port: number): Port {
    const { bindRetryMs, learnerBindRetryMs, tcpKeepAlive } = this.options
    const retryMs = kind === 'election' ? bindRetryMs : learnerBindRetryMs
    return new Port(host, port, this.names, tcpKeepAlive, retryMs, {
      onSocket: (socket) => this.onSocket(socket, kind),
      onBound: (address) => {
        this.log('info', { kind, address: formatAddress(address) }, 'listening for other members')
        this.started(null)
      },
      onBindFailed: (address, err, tries) => {
        const level = tries === 1 ? 'warn' : 'debug' // it goes on, and says so when it is bound
        this.log(level, { kind, address: formatAddress(address), tries, err }, 'cannot listen for other members')
        if (kind === 'election') this.onBindFailed(address, err, tries)
      },
    })
  }

  /** `start` fails when the last of our addresses has failed for the last time. */
  private onBindFailed(address: Address, err: Error, tries: number): void {
    const { bindTriesMax } = this.options
    if (this.starting === null || bindTriesMax === 0 || tries < bindTriesMax) return
    const { election } = this.ports
    if (election.some((port) => port.triesFailed < bindTriesMax)) return
    const text = `cannot listen on election address ${formatAddress(address)}: ${err.message}`
    this.started(new Error(text, { cause: err }))
  }

  private started(err: Error | null): void {
    const { starting } = this
    if (starting === null) return
    this.starting = null
    if (err === null) starting.resolve()
    else void this.stop().then(() => starting.reject(err))
  }

  // ------------------------------------------------------------------ links

  dial(sid: Sid, kind: LinkKind, addresses: readonly string[]): void {
    if (this.stopped) return
    const { connectTimeoutMs: timeoutMs, tcpKeepAlive: keepAlive } = this.options
    const abandon = dialFirst(addresses, this.names, { timeoutMs, keepAlive }, (reached, why) => {
      this.dials.delete(abandon)
      if (reached === null) {
        this.log('debug', { sid, kind, why }, 'cannot connect to a member')
        this.sink.onDialFailed(sid, kind)
      } else {
        this.onReached(reached, sid, kind)
      }
    })
    this.dials.add(abandon)
  }

  private onReached({ socket, host }: Reached, sid: Sid, kind: LinkKind): void {
    const opened = (passage: Passage): void => {
      const link = this.addLink(passage, kind, kind === 'election' && sid > this.options.sid)
      this.log('debug', { link: link.id, kind, sid, peer: link.peer }, 'connected to a member')
      this.sink.onOpen(link.id, sid, kind)
      this.onHead(link, passage.head)
    }
    const { transport } = this.options
    if (transport === null) {
      opened({ socket, head: NO_BYTES, peer: null, afterHello: null })
      return
    }
    const peer = peerOf(socket)
    const abandon = this.secure(
      socket,
      kind,
      (done) => transport.connect(socket, { sid, kind, host }, done),
      (err, passage) => {
        this.dials.delete(cancel)
        if (passage !== null) {
          opened(passage)
          return
        }
        this.log('warn', { sid, kind, host, peer, reason: err!.message }, 'connection to a member failed')
        this.sink.onDialFailed(sid, kind)
      },
    )
    const cancel = (): void => abandon(null)
    this.dials.add(cancel)
  }

  private onSocket(socket: Socket, kind: LinkKind): void {
    const opened = (passage: Passage): void => {
      const link = this.addLink(passage, kind, false)
      this.log('debug', { link: link.id, kind, peer: link.peer }, 'a member has connected')
      this.sink.onAccept(link.id, kind)
      this.onHead(link, passage.head)
    }
    const { transport } = this.options
    if (transport === null) {
      opened({ socket, head: NO_BYTES, peer: null, afterHello: null })
      return
    }
    const peer = peerOf(socket)
    const abandon = this.secure(
      socket,
      kind,
      (done) => transport.accept(socket, kind, done),
      (err, passage) => {
        remove()
        if (passage !== null) opened(passage)
        else {
          // Whoever says nothing and goes has only looked whether the port is there.
          const level = socket.bytesRead === 0 && socket.readableEnded ? 'debug' : 'warn'
          this.log(level, { kind, peer, reason: err!.message }, 'connection of a member refused')
        }
      },
    )
    const remove = this.halfMade[kind].add(hostOf(socket), (why) => abandon(this.stopped ? null : new Error(why)))
  }

  /**
   * Has the transport do its work on a socket, and answers once and later: with a passage, or with a reason where the
   * socket is gone. The returned function ends it before; without an error there is no answer then.
   */
  private secure(
    socket: Socket,
    kind: LinkKind,
    begin: (done: PassageDone) => void,
    ended: PassageDone,
  ): (err: Error | null) => void {
    const timeoutMs = this.options.transportTimeoutMs[kind]
    let over = false
    const finish = (err: Error | null, passage: Passage | null, silent = false): void => {
      if (over) {
        passage?.socket.destroy()
        return
      }
      over = true
      clearTimeout(timer)
      if (passage === null) socket.destroy()
      if (!silent) ended(err, passage)
    }
    const timer = setTimeout(() => finish(new Error(`not through within ${timeoutMs} ms`), null), timeoutMs)
    socket.on('error', (err) => finish(err, null))
    socket.on('close', () => finish(new Error('closed by the other side'), null))
    begin(finish)
    return (err) => finish(err, null, err === null)
  }

  private addLink(passage: Passage, kind: LinkKind, knock: boolean): Link {
    const { socket } = passage
    const link = new Link(++this.lastId, kind, passage, knock)
    this.links.set(link.id, link)
    let why = 'closed by the other side'
    let refused = false
    socket.on('error', (err) => {
      why = err.message
      refused = 'code' in err && /^ERR_(SSL|TLS)_/.test(String(err.code))
    })
    socket.on('close', () => {
      if (!this.forget(link)) return
      // In TLS 1.3 the other side's judgement of our certificate comes when we are through already.
      this.log(refused ? 'warn' : 'debug', { link: link.id, kind, peer: link.peer, why }, 'link lost')
      this.sink.onClose(link.id)
    })
    if (link.afterHello === null) this.read(link)
    return link
  }

  private read(link: Link): void {
    const { socket } = link
    socket.on('data', (chunk: Buffer) => this.onData(link, chunk))
    // Nobody goes on with half a connection: one side's end is the end.
    socket.on('end', () => socket.destroy())
    socket.resume() // a transport may have paused it
  }

  close(id: LinkId, why: string): void {
    const link = this.links.get(id)
    if (link === undefined) return
    this.forget(link)
    link.socket.destroy()
    this.log('debug', { link: id, kind: link.kind, peer: link.peer, why }, 'link closed')
  }

  /** False where it was forgotten before. */
  private forget(link: Link): boolean {
    if (!this.links.delete(link.id)) return false
    link.input = NO_BYTES
    const { waiting } = link
    link.waiting = []
    for (const done of waiting) setImmediate(done)
    return true
  }

  // ------------------------------------------------------------------ input

  private onHead(link: Link, head: Uint8Array): void {
    if (head.length > 0) this.onData(link, Buffer.from(head.buffer, head.byteOffset, head.length))
  }

  private onData(link: Link, buffer: Buffer): void {
    if (!this.links.has(link.id)) return
    // A plain array: what has to outlive this call is copied with `slice`, and a Buffer's slice is no copy.
    const chunk = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
    if (link.start === link.end) {
      const consumed = this.offer(link, chunk, 0, chunk.length)
      if (consumed < chunk.length) keep(link, chunk, consumed)
    } else {
      keep(link, chunk, 0)
      link.start += this.offer(link, link.input, link.start, link.end)
      if (link.start === link.end) {
        link.start = 0
        link.end = 0
        if (link.input.length > KEPT_BYTES) link.input = NO_BYTES
      }
    }
    if (link.end - link.start > this.options.inputBytesMax) this.giveUp(link, 'its bytes make no packet')
  }

  /** How much was consumed; all of it where the link was closed meanwhile. */
  private offer(link: Link, buf: Uint8Array, off: number, end: number): number {
    const consumed = this.sink.onBytes(link.id, buf, off, end)
    if (!this.links.has(link.id)) return end - off
    assert(consumed >= 0 && consumed <= end - off, 'more consumed than was there')
    return consumed
  }

  // ------------------------------------------------------------------ output

  send(id: LinkId, bytes: Uint8Array): void {
    const link = this.links.get(id)
    if (link === undefined || link.socket.destroyed) return
    if (link.out === null) {
      link.out = this.spareOutputs.pop() ?? new Output(4096)
      if (!link.shut) this.mark(link)
    }
    link.out.raw(bytes)
    if (link.bytesUnsent > this.options.outputBytesMax) this.giveUp(link, 'it does not read what it is sent')
  }

  private mark(link: Link): void {
    this.dirty.push(link)
    if (this.dirty.length === 1) this.want()
  }

  whenRoom(id: LinkId, done: () => void): void {
    const link = this.links.get(id)
    // Not in this turn even if there is room: one fast reader must not keep the server from everything else.
    if (link === undefined || link.bytesUnsent < ROOM_BYTES) setImmediate(done)
    else link.waiting.push(done)
  }

  /** The other end, as `host:port`; empty where there is none. */
  remoteOf(id: LinkId): string {
    return this.links.get(id)?.peer ?? ''
  }

  flush(): void {
    const { dirty } = this
    if (dirty.length === 0) return
    this.dirty = []
    for (const link of dirty) this.write(link)
  }

  private write(link: Link): void {
    if (link.afterHello !== null && this.links.has(link.id)) {
      this.writeHello(link, link.afterHello)
      return
    }
    const out = link.out!
    link.out = null
    if (link.knock && this.links.has(link.id)) {
      link.socket.end(Buffer.from(out.bytes()))
      return
    }
    if (out.pos > KEPT_BYTES) {
      // Too long to copy once more: the buffer goes with it.
      if (this.links.has(link.id)) link.socket.write(out.bytes(), () => this.onWritten(link))
      return
    }
    if (this.links.has(link.id)) {
      const bytes = Buffer.allocUnsafe(out.pos)
      bytes.set(out.bytes())
      link.socket.write(bytes, () => this.onWritten(link))
    }
    out.clear()
    if (out.buf.length <= KEPT_BYTES && this.spareOutputs.length < SPARE_OUTPUTS) this.spareOutputs.push(out)
  }

  /** Lets the hello out, has done what comes behind it, and only then goes on. */
  private writeHello(link: Link, afterHello: AfterHello): void {
    const { socket, kind } = link
    const out = link.out!
    const bytes = Buffer.from(out.bytes())
    const hello = readHello(bytes, 0, bytes.length)
    assert(hello !== null, 'an election link begins with a hello')
    link.afterHello = null
    link.shut = true
    out.clear()
    if (hello.end < bytes.length) out.raw(bytes.subarray(hello.end))
    socket.write(bytes.subarray(0, hello.end))
    const timeoutMs = this.options.transportTimeoutMs[kind]
    const timer = setTimeout(() => this.giveUp(link, `not through within ${timeoutMs} ms`), timeoutMs)
    socket.on('close', () => clearTimeout(timer))
    afterHello((err, head) => {
      clearTimeout(timer)
      if (!this.links.has(link.id)) return
      if (err !== null) {
        this.giveUp(link, err.message)
        return
      }
      link.shut = false
      this.read(link)
      if (out.pos > 0) this.mark(link)
      else link.out = null
      this.onHead(link, head)
    })
  }

  private onWritten(link: Link): void {
    if (link.waiting.length === 0 || link.bytesUnsent >= ROOM_BYTES) return
    const { waiting } = link
    link.waiting = []
    for (const done of waiting) done()
  }

  /** Closes a link for what the other side does; the sink hears of it as of any other loss. */
  private giveUp(link: Link, why: string): void {
    if (link.socket.destroyed) return
    const { id, kind, peer, bytesUnsent } = link
    this.log('warn', { link: id, kind, peer, bytesUnsent, bytesKept: link.end - link.start }, `link given up: ${why}`)
    link.out?.clear()
    link.socket.destroy() // 'close' follows, later
  }
}

/** Puts `chunk` from `off` on behind what is kept. Each byte is moved a bounded number of times, however many chunks. */
function keep(link: Link, chunk: Uint8Array, off: number): void {
  const kept = link.end - link.start
  const more = chunk.length - off
  if (link.end + more > link.input.length) {
    if (kept + more <= link.input.length && link.start >= kept) {
      link.input.copyWithin(0, link.start, link.end) // pays with the bytes consumed ahead of it
    } else {
      const bigger = new Uint8Array(Math.max(kept + more, link.input.length * 2, 4096))
      bigger.set(link.input.subarray(link.start, link.end))
      link.input = bigger
    }
    link.start = 0
    link.end = kept
  }
  link.input.set(chunk.subarray(off), link.end)
  link.end += more
}

function hostOf(socket: Socket): string {
  return (socket.remoteAddress ?? '?').replace(/^::ffff:(?=\d+\.)/, '')
}

function peerOf(socket: Socket): string {
  return formatAddress({ host: hostOf(socket), port: socket.remotePort ?? 0 })
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

function keyOf({ host, port }: { host: string | null; port: number }): string {
  return `${host ?? '*'} ${port}`
}
