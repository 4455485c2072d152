/**
 * A client: one session after the other, over connections to whichever server takes it, with a heartbeat, requests in
 * flight, watches, and a memory of what it has seen. It behaves as the Java client does where that matters: lastZxid
 * from replies only, setWatches first on a new connection, a session is over when a server says so.
 *
 * What it asks for comes from `ask`; each reply and event goes to the checkers.
 */

import { Err, EventType, Xid } from '../../src/jute/codes.ts'
import { FrameReader } from '../../src/jute/frame.ts'
import { id64Hex } from '../../src/jute/id64.ts'
import { Input } from '../../src/jute/input.ts'
import * as records from '../../src/jute/records.ts'
import { zxidHex } from '../../src/jute/zxid.ts'
import { type Asked, checkReply, describe } from './checkers/replies.ts'
import type { RequestChecker } from './checkers/requests.ts'
import { WatchChecker } from './checkers/watches.ts'
import { bump, type Counts } from './counts.ts'
import type { Fabric, Party, Stream, StreamSink } from './fabric.ts'
import { law } from './failure.ts'
import type { Model } from './model.ts'
import { PORTS } from './port.ts'
import type { Random } from './random.ts'
import type { Story } from './story.ts'
import type { Happening, Timeline } from './timeline.ts'
import { decodeReply, encodeConnect, encodeRequest, isWrite, type Operation, type Reply } from './wire.ts'

export interface ClientWorld {
  readonly timeline: Timeline
  readonly fabric: Fabric
  readonly story: Story
  readonly model: Model
  readonly counts: Counts
  readonly requests: RequestChecker
  /** Names of servers that a client would find in its connect string. */
  servers(): readonly string[]
  /** The highest acknowledged write of all clients. */
  ackedZxid: number
  /** A reply has come, checked already. */
  answered(client: Client, asked: Request, reply: Reply): void
  /** A server says that this session is over. */
  sessionLost(client: Client, session: string): void
  sessionOpened(client: Client, session: string): void
  guard(run: () => void): void
}

export interface Request extends Asked {
  sentUs: number
  server: string
  /** Called with the reply, or null where its connection broke. */
  done: ((reply: Reply | null) => void) | null
}

export interface Session {
  readonly id: string
  readonly hi: number
  readonly lo: number
  readonly password: Uint8Array
  timeoutMs: number
  readonly watches: WatchChecker
}

const PASSWORD_NONE = new Uint8Array(16)

export class Client implements Party {
  readonly machine: string
  readonly world: ClientWorld
  readonly random: Random
  session: Session | null
  /** Sessions that were taken from it, or that it closed. */
  readonly pastSessions: string[]
  lastZxid: number
  /** The server it is connected or connecting to. */
  server: string | null
  state: 'off' | 'waiting' | 'connecting' | 'greeting' | 'open'
  readonly outstanding: Request[]
  wantedTimeoutMs: number
  /** Called whenever another request could be sent. */
  onReady: () => void
  /** Where it goes next; null: anywhere. */
  preferred: string | null
  /** The only server it goes to; null: all of them. */
  stays: string | null
  paused: boolean
  /** When a reply came last. */
  heardUs: number
  private readonly backlog: (() => void)[]
  private stream: Stream | null
  /** The connection before, and where it was. */
  private past: { stream: Stream; server: string } | null
  private xid: number
  private timer: Happening | null
  private attempt: number

  constructor(world: ClientWorld, name: string, random: Random, wantedTimeoutMs: number) {
    this.world = world
    this.machine = name
    this.random = random
    this.session = null
    this.pastSessions = []
    this.lastZxid = 0
    this.server = null
    this.state = 'off'
    this.outstanding = []
    this.wantedTimeoutMs = wantedTimeoutMs
    this.onReady = () => {}
    this.preferred = null
    this.stays = null
    this.paused = false
    this.heardUs = 0
    this.backlog = []
    this.stream = null
    this.past = null
    this.xid = 0
    this.timer = null
    this.attempt = 0
    world.fabric.powerOn(name)
  }

  input(run: () => void): void {
    if (this.paused) this.backlog.push(run)
    else this.world.guard(run)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    for (const run of this.backlog.splice(0)) this.input(run)
  }

  // ------------------------------------------------------------------ connections

  /** Begins to look for a server. */
  start(): void {
    if (this.state === 'off') this.connect()
  }

  /** Leaves for good, without a word. */
  stop(): void {
    this.disconnect('leaves')
    this.setTimer(null, 0)
    this.state = 'off'
  }

  /** Goes to another server. */
  move(to: string | null): void {
    if (this.state === 'off') return
    this.preferred = to
    this.disconnect('moves')
    this.connect()
  }

  /** Forgets its session without a word, and begins another one: the servers have to find out. */
  abandon(): void {
    if (this.session === null || this.state === 'off') return
    this.pastSessions.push(this.session.id)
    this.session = null
    this.lost('forgets its session')
  }

  private later(ms: number): void {
    this.state = 'waiting'
    this.setTimer(() => this.connect(), ms)
  }

  private connect(): void {
    const servers = this.world.servers()
    const server = this.preferred ?? this.stays ?? this.random.pick(servers)
    this.preferred = null
    this.server = server
    this.state = 'connecting'
    const attempt = ++this.attempt
    const frames = new FrameReader(1 << 20, (buf, off, end) => {
      if (this.stream !== stream) return false
      this.onFrame(buf, off, end)
      return true
    })
    let stream: Stream | null = null
    const sink: StreamSink = {
      onData: (_stream, bytes) => {
        if (this.stream === stream) frames.push(bytes)
      },
      onEnd: () => {
        if (this.stream === stream && this.stream !== null) this.lost('its connection ends')
      },
    }
    // A try that takes too long is given up.
    this.setTimer(() => this.lost('nobody answers'), 1000)
    this.world.fabric.connect(this, `${server}:${PORTS.client}`, sink, (connected) => {
      if (attempt !== this.attempt || this.state !== 'connecting') {
        connected?.close()
        return
      }
      if (connected === null) return this.lost('refused')
      stream = connected
      this.stream = connected
      this.state = 'greeting'
      connected.send(
        encodeConnect({
          protocolVersion: 0,
          lastZxidSeen: this.lastZxid,
          timeOut: this.wantedTimeoutMs,
          sessionIdHi: this.session?.hi ?? 0,
          sessionIdLo: this.session?.lo ?? 0,
          passwd: this.session?.password ?? PASSWORD_NONE,
          readOnly: false,
        }),
      )
    })
  }

  private lost(why: string): void {
    this.disconnect(why)
    if (this.state !== 'off') this.later(this.random.between(20, 150))
  }

  private disconnect(why: string): void {
    const { stream } = this
    this.attempt++
    this.stream = null
    if (stream !== null) {
      this.world.story.tell(this.machine, `leaves ${this.server}: ${why}`)
      this.past = { stream, server: this.server! }
      stream.close()
    }
    const broken = this.outstanding.splice(0)
    if (this.state !== 'off') this.state = 'waiting'
    for (const request of broken) request.done?.(null)
  }

  private setTimer(run: (() => void) | null, ms: number): void {
    if (this.timer !== null) this.timer.run = null
    this.timer = run === null ? null : this.world.timeline.after(ms * 1000, () => this.input(run))
  }

  // ------------------------------------------------------------------ what comes in

  private onFrame(buf: Uint8Array, off: number, end: number): void {
    this.heardUs = this.world.timeline.nowUs
    if (this.state === 'greeting') {
      this.onGreeting(records.readConnectResponse(new Input(buf, off, end)))
      return
    }
    const reply = decodeReply(buf, off, end)
    if (reply.xid === Xid.notification) this.onEvent(reply)
    else this.onReply(reply)
  }

  private onGreeting(response: records.ConnectResponse): void {
    const { story } = this.world
    const id = id64Hex(response.sessionIdHi, response.sessionIdLo)
    if (response.timeOut <= 0) {
      const past = this.session
      this.session = null
      bump(this.world.counts.ids, 'S2')
      story.tell(this.machine, `${past?.id ?? 'a session'} is over, says ${this.server}`)
      if (past !== null) {
        this.pastSessions.push(past.id)
        this.world.sessionLost(this, past.id)
      }
      this.lost('session is over')
      return
    }
    if (this.session === null) {
      const watches = new WatchChecker(this.world.model, `${this.machine} ${id}`)
      this.session = {
        id,
        hi: response.sessionIdHi,
        lo: response.sessionIdLo,
        password: response.passwd!.slice(),
        timeoutMs: response.timeOut,
        watches,
      }
      this.world.sessionOpened(this, id)
      story.tell(this.machine, `has session ${id} at ${this.server}`)
    } else {
      law(this.session.id === id, 'S2', () => `${this.machine} asked for ${this.session!.id} and was given ${id}`)
      story.tell(this.machine, `goes on with ${id} at ${this.server}`)
      if (this.past!.server !== this.server) bump(this.world.counts.ids, 'S1')
      // Its end of the connection before has not heard that we left.
      if (this.past!.stream.other?.closed === false) bump(this.world.counts.ids, 'N6')
    }
    this.state = 'open'
    this.heartbeat()
    const watches = this.session.watches.reattach(this.lastZxid)
    if (watches !== null) this.send(watches, Xid.setWatches, null)
    this.onReady()
  }

  private heartbeat(): void {
    const { session } = this
    if (session === null) return
    const everyMs = Math.max(10, Math.floor(session.timeoutMs / 3))
    this.setTimer(() => {
      if (this.state !== 'open') return
      if (this.world.timeline.nowUs - this.heardUs > 2 * everyMs * 1000) {
        this.lost('the server is silent')
        return
      }
      this.send({ op: 'ping' }, Xid.ping, null)
      this.heartbeat()
    }, everyMs)
  }

  private onEvent(reply: Reply): void {
    const { type, path } = records.readWatcherEvent(reply.body)
    this.world.story.tell(this.machine, `event ${type} ${path}`)
    this.world.counts.events++
    law(type >= EventType.nodeCreated && type <= EventType.nodeChildrenChanged, 'I6', () => `event of type ${type}`)
    this.session!.watches.event(type, path!, reply.zxid)
  }

  private onReply(reply: Reply): void {
    const { story, model } = this.world
    const request = this.outstanding.shift()
    law(
      request !== undefined && request.xid === reply.xid,
      'I5',
      () => `${this.machine} is answered xid ${reply.xid}, its oldest request is ${request?.xid ?? 'none'}`,
    )
    const { operation } = request
    story.tell(this.machine, `${describe(operation)} -> ${reply.err} at ${zxidHex(reply.zxid)}`)
    law(
      reply.zxid >= this.lastZxid,
      'I5',
      () =>
        `${this.machine} saw ${zxidHex(this.lastZxid)} and is now answered at ${zxidHex(reply.zxid)} by ${this.server}`,
    )
    const { watches } = this.session!
    if (operation.op === 'setWatches') watches.caughtUp(reply.zxid)
    else if (reply.err !== Err.sessionMoved) watches.replied(reply.zxid)
    checkReply(this.machine, model, request, reply)
    if (isWrite(operation.op) && reply.err !== Err.ok) {
      this.world.requests.onRefused(request.session, request.xid, reply.err)
    }
    this.lastZxid = reply.zxid
    if (isWrite(operation.op) && reply.err === Err.ok) {
      this.world.ackedZxid = Math.max(this.world.ackedZxid, reply.zxid)
    }
    if (reply.err === Err.ok || (operation.op === 'exists' && reply.err === Err.noNode)) this.watch(operation, reply)
    this.world.answered(this, request, reply)
    request.done?.(reply)
    if (operation.op === 'closeSession' && reply.err === Err.ok) {
      this.pastSessions.push(this.session!.id)
      this.session = null
      this.disconnect('closed')
      this.later(this.random.between(1, 50))
      return
    }
    if (this.state === 'open') this.onReady()
  }

  private watch(operation: Operation, reply: Reply): void {
    const { watches } = this.session!
    if (operation.op === 'addWatch') watches.setPersistent(operation.path, operation.recursive)
    else if (operation.op === 'getChildren' && operation.watch) watches.setChild(operation.path)
    else if ((operation.op === 'getData' || operation.op === 'exists') && operation.watch) {
      watches.setData(operation.path, reply.err === Err.ok)
    }
  }

  // ------------------------------------------------------------------ what goes out

  /** Sends a request, if there is a connection with a session. */
  ask(operation: Operation, done: ((reply: Reply | null) => void) | null = null): boolean {
    if (this.state !== 'open') return false
    this.xid = (this.xid + 1) & 0x7fffffff
    this.send(operation, this.xid, done)
    return true
  }

  private send(operation: Operation, xid: number, done: ((reply: Reply | null) => void) | null): void {
    const { world } = this
    this.outstanding.push({
      operation,
      xid,
      session: this.session!.id,
      floorZxid: world.ackedZxid,
      sentUs: world.timeline.nowUs,
      server: this.server!,
      done,
    })
    this.stream!.send(encodeRequest(xid, operation))
  }
}
