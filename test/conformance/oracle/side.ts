/**
 * One side of the comparison: connections to one server, what they received, and the names under which its own numbers
 * (session ids, zxids, times) are compared with the other side's.
 *
 * A connection keeps received frames as they are; they are decoded when compared, because names may become known later.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Names } from './replies.ts'
import { CREATE_SESSION, isEvent, readHeader } from './replies.ts'
import type { Target } from './requests.ts'
import { encodeConnect, encodeRequest } from './requests.ts'
import type { Password, Request, Step, ZxidRef } from './steps.ts'

export type Message =
  | { kind: 'connect'; bytes: Buffer }
  | { kind: 'reply'; bytes: Buffer; request: Request }
  | { kind: 'event'; bytes: Buffer }
  | { kind: 'closed' }
  /** An answer that did not come in time. */
  | { kind: 'silent' }

interface Pending {
  request: Request
  xid: number
}

export class Conn {
  readonly side: Side
  readonly session: number
  readonly received: Message[] = []
  /** Messages before this one were compared equal. */
  compared = 0
  closed = false
  pending: Pending[] = []
  /** True while the next frame is a ConnectResponse. */
  handshake = false
  /** An answer after which the server closes. */
  doomed = false
  lastZxid = 0
  private socket: Socket
  private rest: Buffer | null = null
  nextXid = 1

  constructor(side: Side, session: number, socket: Socket) {
    this.side = side
    this.session = session
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.onData(chunk))
    socket.on('error', () => {})
    socket.on('close', () => this.onClose())
  }

  get waiting(): boolean {
    return !this.closed && (this.handshake || this.pending.length > 0)
  }

  write(bytes: Buffer): void {
    if (!this.closed) this.socket.write(bytes)
  }

  /** Frames of `requests`; answers will be expected for each. `under` is a path for `$`, the sequence's own if absent. */
  encode(requests: readonly Request[], under = '$'): Buffer {
    const prefix = under.replace('$', this.side.prefix)
    const frames: Buffer[] = []
    for (const request of requests) {
      const xid = request.xid ?? this.nextXid++
      const target: Target = { prefix, zxid: (ref) => this.side.zxidFor(ref, this.lastZxid) }
      frames.push(encodeRequest(request, xid, target))
      this.pending.push({ request, xid: request.op === 11 ? -2 : xid })
    }
    return frames.length === 1 ? frames[0]! : Buffer.concat(frames)
  }

  drop(): void {
    this.socket.destroy()
    this.pending = []
    this.handshake = false
  }

  giveUp(): void {
    this.received.push({ kind: 'silent' })
    this.pending = []
    this.handshake = false
  }

  private onClose(): void {
    this.closed = true
    this.pending = []
    this.received.push({ kind: 'closed' })
    this.side.wake()
  }

  private onData(chunk: Buffer): void {
    let buf = this.rest === null ? chunk : Buffer.concat([this.rest, chunk])
    while (buf.length >= 4) {
      const n = buf.readInt32BE(0)
      if (buf.length < 4 + n) break
      this.onFrame(buf.subarray(4, 4 + n))
      buf = buf.subarray(4 + n)
    }
    this.rest = buf.length === 0 ? null : buf
    this.side.wake()
  }

  private onFrame(bytes: Buffer): void {
    if (this.handshake) {
      this.handshake = false
      this.received.push({ kind: 'connect', bytes })
      if (bytes.length >= 16) this.side.onConnected(this, bytes)
      return
    }
    if (isEvent(bytes)) {
      this.received.push({ kind: 'event', bytes })
      return
    }
    const xid = bytes.length >= 4 ? bytes.readInt32BE(0) : 0
    let at = this.pending.findIndex((p) => p.xid === xid)
    if (at < 0) at = 0
    const [expected] = this.pending.splice(at, 1)
    this.received.push({ kind: 'reply', bytes, request: expected?.request ?? { op: 999 } })
    const op = expected?.request.op
    // The reference answers createSession with a ConnectResponse, which has neither zxid nor code.
    if (bytes.length === 16 || (bytes.length > 16 && op !== CREATE_SESSION)) {
      const { zxid, err } = readHeader(bytes)
      if (zxid > this.lastZxid) this.lastZxid = zxid
      if (zxid > this.side.lastZxid) this.side.lastZxid = zxid
      if ((err === -6 && zxid === -1) || err === -115 || (err === -124 && zxid === 0) || (op === -11 && err === 0)) {
        this.doomed = true
      }
    }
  }
}

interface Known {
  id: bigint
  password: Buffer
}

/** zxids from `from` on are `shift` greater than the other side's, or one of a group that cannot be told apart. */
interface ZxidRange {
  from: number
  shift: number
  label: string | null
}

/** Slots from here on are of sessions whose slot was taken by a newer one. */
const FORMER_SLOT = 1000

export class Side implements Names {
  readonly label: string
  port: number
  prefix = '/'
  /** Session slot to id and password. */
  known = new Map<number, Known>()
  conns = new Map<number, Conn>()
  lastZxid = 0
  onWake: () => void = () => {}
  private readonly sessions = new Map<bigint, string>()
  private readonly times = new Map<number, number>()
  private ranges: ZxidRange[] = []
  /** The sequence's first zxid. */
  base = 0
  private sessionCount = 0

  constructor(label: string, port: number) {
    this.label = label
    this.port = port
  }

  wake(): void {
    this.onWake()
  }

  /** Starts a sequence: its first transaction is zxid `base`, printed as +0. */
  begin(prefix: string, base: number): void {
    this.prefix = prefix
    this.base = base
    this.ranges = []
    this.times.clear()
    this.sessions.clear()
    this.known = new Map()
    this.sessionCount = 0
  }

  /** From the zxid after `after` to `marker` are the server's own; the marker itself becomes `plain`. */
  skip(after: number, marker: number, plain: number, label: string): void {
    this.ranges.push({ from: after + 1, shift: 0, label }, { from: marker, shift: marker - plain, label: null })
  }

  zxid(z: number): number | string {
    if (z <= 0) return z
    if (z < this.base) return 'old'
    let shift = this.base
    let label: string | null = null
    for (const range of this.ranges) {
      if (z < range.from) break
      label = range.label
      if (label === null) shift = range.shift
    }
    if (label !== null) return label
    return `+${z - shift}`
  }

  session(id: bigint): string {
    if (id === 0n) return 'none'
    return this.sessions.get(id) ?? `0x${BigInt.asUintN(64, id).toString(16)}`
  }

  /**
   * All fields a transaction sets carry its one time. Zxid 0 is the tree as it is made, with time 0; older zxids than this
   * sequence's belong to other runs of the server.
   */
  time(zxid: number, ms: number): string {
    if (zxid < this.base) return 'ok'
    const known = this.times.get(zxid)
    if (known === undefined) {
      this.times.set(zxid, ms)
      return Math.abs(Date.now() - ms) < 120_000 ? 'ok' : `not now: ${ms}`
    }
    return known === ms ? 'ok' : `${ms} but ${known} elsewhere`
  }

  zxidFor(ref: ZxidRef, last: number): number | bigint {
    if (ref === 'zero') return 0
    if (ref === 'ahead') return this.lastZxid + 1_000_000
    if (ref === 'max') return 0x7fff_ffff_ffff_ffffn
    if (ref === 'minus') return -5
    return this.comparable(Math.max(this.base, last - ref.back))
  }

  /** Amid zxids that cannot be told apart, one before them all. */
  private comparable(z: number): number {
    const at = this.ranges.findLastIndex((range) => z >= range.from)
    const range = this.ranges[at]
    return range === undefined || range.label === null ? z : range.from - 1
  }

  onConnected(conn: Conn, bytes: Buffer): void {
    const id = bytes.readBigInt64BE(8)
    if (id === 0n) {
      conn.doomed = true
      return
    }
    if (this.sessions.has(id)) return
    this.sessions.set(id, `session${this.sessionCount++}`)
    const n = bytes.readInt32BE(16)
    const former = this.known.get(conn.session)
    // Kept under a slot of its own, so that it is closed with the sequence: left alone it would expire in a later one.
    if (former !== undefined) this.known.set(FORMER_SLOT + this.sessionCount, former)
    this.known.set(conn.session, { id, password: Buffer.from(bytes.subarray(20, 20 + Math.max(0, n))) })
  }

  async open(slot: number, session: number): Promise<Conn> {
    for (let attempt = 0; ; attempt++) {
      const socket = connect(this.port, '127.0.0.1')
      const failed = await new Promise<Error | null>((resolve) => {
        socket.once('connect', () => resolve(null))
        socket.once('error', resolve)
      })
      if (failed === null) {
        const conn = new Conn(this, session, socket)
        this.conns.set(slot, conn)
        return conn
      }
      if (attempt > 20) throw failed
      await delay(100)
    }
  }

  connectBytes(step: Extract<Step, { do: 'connect' }>): Buffer {
    const known = this.known.get(step.s)
    const attach = step.how === 'attach' && known !== undefined
    const id = attach ? known.id : step.how === 'unknown' ? 0x1234_5678_9abcn : 0n
    const password = passwordBytes(step.password ?? 'right', attach ? known.password : Buffer.alloc(16))
    return encodeConnect({
      protocol: step.protocol ?? 0,
      zxid: this.zxidFor(step.zxid ?? 'zero', this.lastZxid),
      timeoutMs: step.timeoutMs,
      sessionId: id,
      password,
      readOnly: step.readOnly ?? 'no',
    })
  }
}

function passwordBytes(kind: Password, right: Buffer): Buffer | null {
  if (kind === 'right') return right
  if (kind === 'null') return null
  if (kind === 'empty') return Buffer.alloc(0)
  if (kind === 'short') return right.subarray(0, 15)
  const wrong = Buffer.from(right)
  wrong[7] = wrong[7]! ^ 1
  return wrong
}
