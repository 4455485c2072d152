/**
 * A client's session as a pure core: which server is tried when, what is said on a connection and in which order, when
 * the other side counts as gone. It owns no socket and no clock; `Session` (session.ts) drives it.
 *
 * Invariants:
 * - Requests of one session are answered in the order in which they were sent, on one connection. When that is lost,
 *   every request that was sent fails with a code, at once: whether it was done is for the caller to find out. Requests
 *   that wait for a connection fail when every server has been tried in vain (in Java already at the first).
 * - On each new connection these go out before anything else: the connect request, then (behind SASL, if any) every
 *   credential, then all watches, relative to the last zxid seen; so no event is missed and none is told twice.
 * - A session that was ever granted by a server that could write is asked for again by its id; one granted by a
 *   read-only server is worth nothing elsewhere.
 *
 * Java: ClientCnxn.SendThread, ClientCnxnSocket, StaticHostProvider.
 */

import { Err, OpCode, Xid } from '../jute/codes.ts'
import { Input } from '../jute/input.ts'
import { Output } from '../jute/output.ts'
import {
  readConnectResponse,
  readReplyHeader,
  readSetSASLResponse,
  readWatcherEvent,
  writeAuthPacket,
  writeConnectRequest,
  writeGetSASLRequest,
  writeSetWatches,
  writeSetWatches2,
} from '../jute/records.ts'
import type { ServerAddress } from './connectstring.ts'
import { withChroot, withoutChroot } from './paths.ts'
import { type EventName, type EventState, eventName, type Watcher, Watches, type WatchKind } from './watches.ts'

/** Names of ZooKeeper.States. */
export type SessionState = 'CONNECTING' | 'CONNECTED' | 'CONNECTEDREADONLY' | 'CLOSED' | 'AUTH_FAILED'

export interface SessionOptions {
  /** Tried in this order, round and round. */
  readonly servers: readonly ServerAddress[]
  readonly chroot: string
  /** What is asked for; the server grants what it likes. */
  readonly sessionTimeoutMs: number
  /** A server that has lost its quorum will do. */
  readonly readOnly: boolean
  /** How long an answer may take before its connection is given up; 0 is for ever. */
  readonly requestTimeoutMs: number
  /** Watches are asked for again on each new connection. */
  readonly resetsWatches: boolean
  /** Tokens are exchanged ahead of the first request of each connection. */
  readonly sasl: boolean
  /** The longest answer accepted (jute.maxbuffer). */
  readonly answerBytesMax: number
}

export interface Request {
  /** An OpCode. */
  readonly type: number
  /** The body, behind the header; null for none. */
  readonly write: ((out: Output) => void) | null
  /** Called once. `body` stands on the answer's record when `err` is ok; borrowed for the call. */
  readonly onAnswer: (err: number, body: Input | null) => void
  /** Set by this request; it counts from the answer on. */
  readonly watch?: { readonly kind: WatchKind; readonly path: string; readonly watcher: Watcher }
}

/** What the core wants done. Calls come from within calls of the core, and may call it back. */
export interface SessionSink {
  /** Connect to `server`; `onOpen` or `onLost` answers. */
  connect(server: ServerAddress): void
  /** Drop the connection, or the attempt; no answer. */
  disconnect(): void
  /** Bytes for the other side, from now on the sink's own. */
  send(bytes: Uint8Array): void
  /** Make the next SASL token; `onSaslToken` or `onSaslFailed` answers. An empty challenge is the first. */
  saslStep(challenge: Uint8Array): void
  /** Ask `server` whether it can write (the word isro); `onProbed` answers. */
  probe(server: ServerAddress): void
}

interface Pending {
  readonly request: Request
  xid: number
  readonly sinceMs: number
}

/** idle: between two attempts. greeting: the connect request is sent. sasl: tokens go back and forth. */
type Phase = 'idle' | 'opening' | 'greeting' | 'sasl' | 'up' | 'over'

const SPIN_DELAY_MS = 1000
const PING_EVERY_MS_MAX = 10_000
const PING_MARGIN_MS = 1000
const PROBE_MS_MIN = 100
const PROBE_MS_MAX = 60_000
/** A message that resets watches is closed when its paths have this many characters. */
const SET_WATCHES_CHARS_MAX = 128 * 1024
const XID_MAX = 2 ** 31 - 1
const WATCH_KINDS: readonly WatchKind[] = ['data', 'exists', 'children', 'persistent', 'persistentRecursive']

export class SessionCore {
  state: SessionState
  sessionIdHi: number
  sessionIdLo: number
  /** As granted; the wish before that. */
  sessionTimeoutMs: number
  readonly watches: Watches
  private readonly options: SessionOptions
  private readonly sink: SessionSink
  private readonly defaultWatcher: Watcher
  private readonly random: () => number
  private readonly credentials: { scheme: string; auth: Uint8Array | null }[]
  /** Who waits for the answer to a credential sent on this connection; in order. */
  private authWaiters: (() => void)[]
  /** Credentials of old, sent again on this connection, whose answers come before those. */
  private authUnwaited: number
  private phase: Phase
  private closing: boolean
  private readonly closeWaiters: (() => void)[]
  private passwd: Uint8Array
  private zxidSeen: number
  private xidLast: number
  private eventState: EventState
  private seenWritable: boolean
  /** Sent and not answered, and not sent yet; in order. */
  private sent: Pending[]
  private waiting: Pending[]
  private serverAt: number
  private serverAtLast: number
  private connectedBefore: boolean
  /** Attempts in a row that came to nothing. */
  private attemptsFailed: number
  /** A server known to write, to be tried next. */
  private writable: ServerAddress | null
  private connectAtMs: number
  private heardMs: number
  private sentMs: number
  private probeAtMs: number
  private probeEveryMs: number

  constructor(options: SessionOptions, sink: SessionSink, watcher: Watcher, random: () => number, nowMs: number) {
    this.options = options
    this.sink = sink
    this.defaultWatcher = watcher
    this.random = random
    this.state = 'CONNECTING'
    this.sessionIdHi = 0
    this.sessionIdLo = 0
    this.sessionTimeoutMs = options.sessionTimeoutMs
    this.watches = new Watches()
    this.credentials = []
    this.authWaiters = []
    this.authUnwaited = 0
    this.phase = 'idle'
    this.closing = false
    this.closeWaiters = []
    this.passwd = new Uint8Array(16)
    this.zxidSeen = 0
    this.xidLast = 0
    this.eventState = 'Disconnected'
    this.seenWritable = false
    this.sent = []
    this.waiting = []
    this.serverAt = -1
    this.serverAtLast = -1
    this.connectedBefore = false
    this.attemptsFailed = 0
    this.writable = null
    this.connectAtMs = nowMs
    this.heardMs = nowMs
    this.sentMs = nowMs
    this.probeAtMs = Number.POSITIVE_INFINITY
    this.probeEveryMs = PROBE_MS_MIN
  }

  get alive(): boolean {
    return this.state !== 'CLOSED' && this.state !== 'AUTH_FAILED'
  }

  get connected(): boolean {
    return this.state === 'CONNECTED' || this.state === 'CONNECTEDREADONLY'
  }

  /** Sends `request` as soon as there is a connection. On a session that is over it fails within this call. */
  submit(request: Request, nowMs: number): void {
    const pending: Pending = { request, xid: 0, sinceMs: nowMs }
    if (!this.alive || this.closing) {
      this.settle(pending, this.lossCode(), null)
      return
    }
    if (this.phase === 'up') this.sendRequest(pending, nowMs)
    else this.waiting.push(pending)
  }

  /**
   * A credential for this connection and every later one. A server that refuses it ends the session. `onAnswer`: it was
   * believed, the session is over, or there is no connection to ask on.
   */
  addAuth(scheme: string, auth: Uint8Array | null, onAnswer: () => void, nowMs: number): void {
    if (this.alive) this.credentials.push({ scheme, auth })
    if (this.phase !== 'up') {
      onAnswer()
      return
    }
    this.sendAuth(scheme, auth, nowMs)
    this.authWaiters.push(onAnswer)
  }

  /** Ends the session: at the server if one is there, and here in any case. `onClosed`: it is over. */
  close(onClosed: () => void, nowMs: number): void {
    if (this.alive) this.closeWaiters.push(onClosed)
    else onClosed()
    if (!this.alive || this.closing) return
    if (this.phase !== 'up') {
      this.end('CLOSED', 'Closed')
      return
    }
    const farewell: Request = { type: OpCode.closeSession, write: null, onAnswer: () => this.end('CLOSED', 'Closed') }
    this.submit(farewell, nowMs)
    this.closing = true
  }

  /** Ends it here alone: the server keeps the session until it times out. */
  abandon(): void {
    if (this.alive) this.end('CLOSED', 'Closed')
  }

  onOpen(nowMs: number): void {
    if (this.phase !== 'opening') return
    this.phase = 'greeting'
    this.connectedBefore = true
    this.heardMs = nowMs
    const known = this.seenWritable
    this.sendFrame(nowMs, (out) =>
      writeConnectRequest(out, {
        protocolVersion: 0,
        lastZxidSeen: this.zxidSeen,
        timeOut: this.options.sessionTimeoutMs,
        sessionIdHi: known ? this.sessionIdHi : 0,
        sessionIdLo: known ? this.sessionIdLo : 0,
        passwd: this.passwd,
        readOnly: this.options.readOnly,
      }),
    )
  }

  /** The connection, or the attempt, is gone. */
  onLost(nowMs: number): void {
    if (this.phase === 'idle' || this.phase === 'over') return
    this.lose(nowMs)
  }

  /** A whole frame, without its length; borrowed. Throws ProtocolError: the connection is to be dropped (`onLost`). */
  onFrame(buf: Uint8Array, off: number, end: number, nowMs: number): void {
    this.heardMs = nowMs
    const inp = new Input(buf, off, end, this.options.answerBytesMax)
    if (this.phase === 'greeting') this.onGreeted(inp, nowMs)
    else if (this.phase === 'sasl' || this.phase === 'up') this.onAnswer(inp, nowMs)
  }

  /** The next token for the server, null for none. `done`: what follows needs no more of them. */
  onSaslToken(token: Uint8Array | null, done: boolean, nowMs: number): void {
    if (this.phase !== 'sasl') return
    if (token !== null) {
      const xid = this.nextXid()
      this.sendFrame(nowMs, (out) => {
        out.int(xid)
        out.int(OpCode.sasl)
        writeGetSASLRequest(out, { token })
      })
    }
    if (!done) return
    this.sessionEvent('SaslAuthenticated')
    if (this.inSasl()) this.goUp(nowMs)
  }

  onSaslFailed(): void {
    if (this.phase === 'sasl') this.end('AUTH_FAILED', 'AuthFailed')
  }

  onProbed(server: ServerAddress, writes: boolean, nowMs: number): void {
    if (this.state !== 'CONNECTEDREADONLY' || !writes) return
    this.probeEveryMs = PROBE_MS_MIN
    this.writable = server
    this.sink.disconnect()
    this.lose(nowMs)
  }

  nextDeadlineMs(): number {
    if (this.phase === 'over') return Number.POSITIVE_INFINITY
    if (this.phase === 'idle') return Math.min(this.connectAtMs, this.sessionEndsMs())
    if (this.phase === 'opening' || this.phase === 'greeting') {
      return Math.min(this.sentMs + this.connectTimeoutMs, this.sessionEndsMs())
    }
    const silence = this.heardMs + this.readTimeoutMs
    return Math.min(silence, this.sentMs + this.pingEveryMs, this.probeAtMs, this.answerDueMs())
  }

  onDeadline(nowMs: number): void {
    if (nowMs < this.nextDeadlineMs()) return
    if (this.phase === 'idle' && nowMs < this.sessionEndsMs()) this.connectNext(nowMs)
    else if (nowMs >= this.sessionEndsMs()) this.end('CLOSED', 'Expired')
    else if (this.phase === 'opening' || this.phase === 'greeting' || this.silentAt(nowMs)) this.dropLink(nowMs)
    else if (nowMs >= this.answerDueMs()) this.giveUpOldest(nowMs)
    else if (nowMs >= this.probeAtMs) this.probeNext(nowMs)
    else this.sendFrame(nowMs, (out) => writeHeader(out, Xid.ping, OpCode.ping))
  }

  private get readTimeoutMs(): number {
    return Math.floor((this.sessionTimeoutMs * 2) / 3)
  }

  private get connectTimeoutMs(): number {
    return Math.floor(this.sessionTimeoutMs / this.options.servers.length)
  }

  private get pingEveryMs(): number {
    const half = Math.floor(this.readTimeoutMs / 2)
    return Math.min(half > PING_MARGIN_MS * 2 ? half - PING_MARGIN_MS : half, PING_EVERY_MS_MAX)
  }

  /** When a session of which no server was heard is over, whatever servers think. */
  private sessionEndsMs(): number {
    const has = this.sessionIdHi !== 0 || this.sessionIdLo !== 0
    return has ? this.heardMs + Math.floor((this.sessionTimeoutMs * 4) / 3) : Number.POSITIVE_INFINITY
  }

  private answerDueMs(): number {
    const { requestTimeoutMs } = this.options
    const oldest = this.sent[0]
    return requestTimeoutMs > 0 && oldest !== undefined ? oldest.sinceMs + requestTimeoutMs : Number.POSITIVE_INFINITY
  }

  private silentAt(nowMs: number): boolean {
    return nowMs >= this.heardMs + this.readTimeoutMs
  }

  private connectNext(nowMs: number): void {
    let server = this.writable
    this.writable = null
    if (server === null) {
      this.serverAt = (this.serverAt + 1) % this.options.servers.length
      if (this.serverAtLast < 0) this.serverAtLast = 0
      server = this.options.servers[this.serverAt]!
    }
    this.phase = 'opening'
    this.sentMs = nowMs
    this.sink.connect(server)
  }

  private dropLink(nowMs: number): void {
    this.sink.disconnect()
    this.lose(nowMs)
  }

  private lose(nowMs: number): void {
    if (this.phase === 'opening' || this.phase === 'greeting') this.attemptsFailed++
    this.phase = 'idle'
    this.probeAtMs = Number.POSITIVE_INFINITY
    if (this.closing) {
      this.end('CLOSED', 'Closed')
      return
    }
    this.state = 'CONNECTING'
    const roundDone = (this.serverAt + 1) % this.options.servers.length === this.serverAtLast
    const spin = roundDone && this.writable === null ? SPIN_DELAY_MS : 0
    this.connectAtMs = nowMs + spin + (this.connectedBefore ? Math.floor(this.random() * 1000) : 0)
    const mayWait = this.attemptsFailed > 0 && this.attemptsFailed < this.options.servers.length
    if (!mayWait) {
      this.attemptsFailed = 0
      this.failAll()
    }
    this.sessionEvent('Disconnected')
  }

  /** Nothing comes after this. */
  private end(state: 'CLOSED' | 'AUTH_FAILED', event: EventState): void {
    if (this.phase === 'over') return
    this.phase = 'over'
    this.state = state
    this.sink.disconnect()
    this.failAll()
    this.sessionEvent(event)
    for (const onClosed of this.closeWaiters.splice(0)) onClosed()
  }

  private failAll(): void {
    const failed = [...this.sent, ...this.waiting]
    const authWaiters = this.authWaiters
    this.sent = []
    this.waiting = []
    this.authWaiters = []
    for (const onAnswer of authWaiters) onAnswer()
    for (const pending of failed) this.settle(pending, this.lossCode(), null)
  }

  private lossCode(): number {
    if (this.state === 'AUTH_FAILED') return Err.authFailed
    return this.state === 'CLOSED' ? Err.sessionExpired : Err.connectionLoss
  }

  private settle({ request }: Pending, err: number, body: Input | null): void {
    const { watch } = request
    if (watch !== undefined) this.watches.onAnswer(watch.kind, watch.path, watch.watcher, err)
    request.onAnswer(err, body)
  }

  private giveUpOldest(nowMs: number): void {
    this.settle(this.sent.shift()!, Err.requestTimeout, null)
    this.dropLink(nowMs)
  }

  private probeNext(nowMs: number): void {
    this.probeEveryMs = Math.min(2 * this.probeEveryMs, PROBE_MS_MAX)
    this.probeAtMs = nowMs + this.probeEveryMs
    this.serverAt = (this.serverAt + 1) % this.options.servers.length
    this.sink.probe(this.options.servers[this.serverAt]!)
  }

  private onGreeted(inp: Input, nowMs: number): void {
    const answer = readConnectResponse(inp)
    if (answer.timeOut <= 0) {
      this.end('CLOSED', 'Expired')
      return
    }
    const readOnly = answer.readOnly === true
    this.sessionTimeoutMs = answer.timeOut
    this.sessionIdHi = answer.sessionIdHi
    this.sessionIdLo = answer.sessionIdLo
    this.passwd = (answer.passwd ?? new Uint8Array(16)).slice()
    this.seenWritable ||= !readOnly
    this.serverAtLast = this.serverAt
    this.attemptsFailed = 0
    this.state = readOnly ? 'CONNECTEDREADONLY' : 'CONNECTED'
    this.probeAtMs = readOnly ? nowMs + this.probeEveryMs : Number.POSITIVE_INFINITY
    const event = readOnly ? 'ConnectedReadOnly' : 'SyncConnected'
    if (!this.options.sasl) {
      this.goUp(nowMs)
      this.sessionEvent(event)
      return
    }
    this.phase = 'sasl'
    this.sessionEvent(event)
    if (this.inSasl()) this.sink.saslStep(new Uint8Array(0))
  }

  /** Watchers, called in between, may have closed the session. */
  private inSasl(): boolean {
    return this.phase === 'sasl'
  }

  private goUp(nowMs: number): void {
    this.phase = 'up'
    for (const { scheme, auth } of this.credentials) this.sendAuth(scheme, auth, nowMs)
    this.authUnwaited = this.credentials.length
    if (this.options.resetsWatches) this.resetWatches(nowMs)
    const waiting = this.waiting
    this.waiting = []
    for (const pending of waiting) this.sendRequest(pending, nowMs)
  }

  private onAnswer(inp: Input, nowMs: number): void {
    const { xid, zxid, err } = readReplyHeader(inp)
    switch (xid) {
      case Xid.ping:
        return
      case Xid.auth:
        if (err === Err.authFailed) this.end('AUTH_FAILED', 'AuthFailed')
        else if (this.authUnwaited > 0) this.authUnwaited--
        else this.authWaiters.shift()?.()
        return
      case Xid.notification:
        this.onNotification(inp, zxid)
        return
    }
    if (this.phase === 'sasl') {
      if (err !== Err.ok) this.onSaslFailed()
      else this.sink.saslStep((readSetSASLResponse(inp).token ?? new Uint8Array(0)).slice())
      return
    }
    const pending = this.sent.shift()
    if (pending === undefined || pending.xid !== xid) {
      if (pending !== undefined) this.settle(pending, Err.connectionLoss, null)
      this.dropLink(nowMs)
      return
    }
    if (zxid > 0) this.zxidSeen = zxid
    this.settle(pending, err, err === Err.ok ? inp : null)
  }

  private onNotification(inp: Input, zxid: number): void {
    const { type, path } = readWatcherEvent(inp)
    const name = eventName(type)
    if (name === null || path === null) return
    const clientPath = withoutChroot(this.options.chroot, path)
    const event = { type: name, state: 'SyncConnected', path: clientPath, zxid } as const
    for (const watcher of this.watches.take(name, clientPath)) watcher(event)
  }

  /** Removal of watchers, as the server answered it; throws what the caller is told. */
  removeWatches(path: string, type: number, err: number, local: boolean): void {
    const gone = err === Err.sessionExpired || err === Err.connectionLoss
    const heard: Map<EventName, Set<Watcher>> = this.watches.remove(path, type, err, local)
    for (const [name, watchers] of heard) {
      const event = { type: name, state: gone ? 'Disconnected' : 'SyncConnected', path, zxid: -1 } as const
      for (const watcher of watchers) watcher(event)
    }
  }

  private sessionEvent(state: EventState): void {
    if (state === this.eventState) return
    this.eventState = state
    const heard = this.watches.everyone().add(this.defaultWatcher)
    if (!this.options.resetsWatches && state !== 'SyncConnected') this.watches.forgetOnce()
    for (const watcher of heard) watcher({ type: 'None', state, path: null, zxid: -1 })
  }

  private nextXid(): number {
    this.xidLast = this.xidLast === XID_MAX ? 1 : this.xidLast + 1
    return this.xidLast
  }

  private sendRequest(pending: Pending, nowMs: number): void {
    const { request } = pending
    pending.xid =
      request.type === OpCode.setWatches || request.type === OpCode.setWatches2 ? Xid.setWatches : this.nextXid()
    this.sent.push(pending)
    this.sendFrame(nowMs, (out) => {
      writeHeader(out, pending.xid, request.type)
      request.write?.(out)
    })
  }

  private sendAuth(scheme: string, auth: Uint8Array | null, nowMs: number): void {
    this.sendFrame(nowMs, (out) => {
      writeHeader(out, Xid.auth, OpCode.auth)
      writeAuthPacket(out, { type: 0, scheme, auth })
    })
  }

  /** All watches, in messages of bounded length; the older form if it is enough, for older servers' sake. */
  private resetWatches(nowMs: number): void {
    const all = WATCH_KINDS.flatMap((kind) => this.watches.paths(kind).map((path) => ({ kind, path })))
    for (let at = 0; at < all.length; ) {
      const batch: Record<WatchKind, string[]> = {
        data: [],
        exists: [],
        children: [],
        persistent: [],
        persistentRecursive: [],
      }
      for (let chars = 0; at < all.length && chars < SET_WATCHES_CHARS_MAX; at++) {
        const { kind, path } = all[at]!
        batch[kind].push(withChroot(this.options.chroot, path))
        chars += path.length
      }
      const plain = batch.persistent.length === 0 && batch.persistentRecursive.length === 0
      const once = {
        relativeZxid: this.zxidSeen,
        dataWatches: batch.data,
        existWatches: batch.exists,
        childWatches: batch.children,
      }
      const lasting = { persistentWatches: batch.persistent, persistentRecursiveWatches: batch.persistentRecursive }
      const request: Request = {
        type: plain ? OpCode.setWatches : OpCode.setWatches2,
        write: (out) => (plain ? writeSetWatches(out, once) : writeSetWatches2(out, { ...once, ...lasting })),
        onAnswer: () => {},
      }
      this.sendRequest({ request, xid: 0, sinceMs: nowMs }, nowMs)
    }
  }

  private sendFrame(nowMs: number, write: (out: Output) => void): void {
    const out = new Output(256)
    out.int(0)
    write(out)
    out.view.setInt32(0, out.pos - 4)
    this.sentMs = nowMs
    this.sink.send(out.bytes())
  }
}

function writeHeader(out: Output, xid: number, type: number): void {
  out.int(xid)
  out.int(type)
}
