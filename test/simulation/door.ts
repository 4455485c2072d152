/**
 * A member's client port in the simulator: what clients.ts is in production, over the fabric's streams.
 */

import { assert } from '../../src/jute/assert.ts'
import { FrameReader } from '../../src/jute/frame.ts'
import { readInt } from '../../src/jute/input.ts'
import { Output } from '../../src/jute/output.ts'
import { Connection, type ConnectionHost } from '../../src/server/requests/connection.ts'
import type { Pipeline } from '../../src/server/requests/pipeline.ts'
import type { Fabric, Party, Stream, StreamSink } from './fabric.ts'
import { PORTS } from './port.ts'

const FRAME_BYTES_MAX = 0xf_ffff

class Visitor {
  readonly stream: Stream
  readonly conn: Connection
  readonly frames: FrameReader
  out: Output | null
  ending: boolean
  stopped: boolean
  /** Operations by xid that were taken and not answered. */
  readonly types: Map<number, number>

  constructor(stream: Stream, conn: Connection, frames: FrameReader) {
    this.stream = stream
    this.conn = conn
    this.frames = frames
    this.out = null
    this.ending = false
    this.stopped = false
    this.types = new Map()
  }
}

export interface DoorHost {
  nowMs(): number
  wallMs(): number
  want(): void
  /** To be called ahead of any input: a server that has slept must learn it first. */
  clockFirst(): void
  /** A reply leaves. */
  answered(type: number, err: number): void
}

export class Door implements ConnectionHost {
  private readonly fabric: Fabric
  private readonly party: Party
  private readonly host: DoorHost
  private pipeline: Pipeline | null
  private readonly byId: (Visitor | undefined)[]
  private readonly freeIds: number[]
  private dirty: Visitor[]

  constructor(fabric: Fabric, party: Party, host: DoorHost) {
    this.fabric = fabric
    this.party = party
    this.host = host
    this.pipeline = null
    this.byId = []
    this.freeIds = []
    this.dirty = []
    fabric.listen(party, PORTS.client, (stream) => this.accept(stream))
  }

  serve(pipeline: Pipeline | null): void {
    if (this.pipeline !== null) for (const visitor of this.byId) if (visitor !== undefined) this.drop(visitor)
    this.pipeline = pipeline
  }

  connection(connId: number): Connection | undefined {
    return this.byId[connId]?.conn
  }

  private accept(stream: Stream): StreamSink {
    if (this.pipeline === null) {
      stream.close()
      return { onData: () => {}, onEnd: () => {} }
    }
    const connId = this.freeIds.pop() ?? this.byId.length
    const { nowMs, wallMs } = this.host
    const conn = new Connection(connId, stream.other!.machine, 0, this, nowMs(), wallMs())
    const frames = new FrameReader(FRAME_BYTES_MAX, (buf, off, end) => this.onFrame(visitor, buf, off, end))
    const visitor: Visitor = new Visitor(stream, conn, frames)
    this.byId[connId] = visitor
    return {
      onData: (_stream, bytes) => {
        this.host.clockFirst()
        if (!conn.closed && !visitor.ending) this.take(visitor, frames.push(bytes))
        this.host.want()
      },
      onEnd: () => this.forget(visitor),
    }
  }

  private onFrame(visitor: Visitor, buf: Uint8Array, off: number, end: number): boolean {
    const { conn } = visitor
    const pipeline = this.pipeline!
    if (conn.initialised && end - off >= 8) visitor.types.set(readInt(buf, off), readInt(buf, off + 4))
    const more = conn.initialised
      ? pipeline.onRequest(conn, buf, off, end)
      : pipeline.handshake.onConnect(conn, buf, off, end)
    return more && !conn.closing
  }

  private take(visitor: Visitor, result: 'ok' | 'stopped' | 'bad'): void {
    assert(result !== 'bad', 'simulated clients send proper frames')
    if (result === 'stopped' && !visitor.conn.closing) visitor.stopped = true
  }

  resume(conn: Connection): void {
    const visitor = this.byId[conn.connId]
    if (visitor === undefined || visitor.conn !== conn || !visitor.stopped) return
    if (conn.throttled || conn.connecting || conn.authenticating) return
    visitor.stopped = false
    this.fabric.timeline.after(1, () =>
      this.party.input(() => {
        this.host.clockFirst()
        if (conn.closed || visitor.stopped) return
        this.take(visitor, visitor.frames.resume())
        this.host.want()
      }),
    )
  }

  borrowOutput(conn: Connection): Output {
    const visitor = this.byId[conn.connId]
    assert(visitor !== undefined && visitor.conn === conn, 'output of a connection that is gone')
    if (visitor.out === null) {
      visitor.out = new Output(256)
      this.dirty.push(visitor)
      this.host.want()
    }
    return visitor.out
  }

  /** End of the turn. */
  flush(): void {
    const { dirty } = this
    this.dirty = []
    for (const visitor of dirty) {
      const out = visitor.out
      if (out === null) continue
      visitor.out = null
      visitor.conn.outputTaken()
      if (out.pos > 0 && !visitor.conn.closed) {
        this.count(visitor, out)
        visitor.stream.send(out.copy())
      }
      if (visitor.ending) {
        visitor.stream.finish()
        this.forget(visitor)
      }
    }
  }

  private count({ types }: Visitor, out: Output): void {
    for (let at = 0; at + 20 <= out.pos; at += 4 + readInt(out.buf, at)) {
      const type = types.get(readInt(out.buf, at + 4))
      if (type === undefined) continue // an event, or the answer to the connect request
      types.delete(readInt(out.buf, at + 4))
      this.host.answered(type, readInt(out.buf, at + 16))
    }
  }

  closeAfterFlush(conn: Connection, _reason: string): void {
    const visitor = this.byId[conn.connId]
    if (visitor === undefined || visitor.conn !== conn || visitor.ending) return
    visitor.ending = true
    if (visitor.out === null) this.borrowOutput(conn)
  }

  closeNow(conn: Connection, _reason: string): void {
    const visitor = this.byId[conn.connId]
    if (visitor === undefined || visitor.conn !== conn) return
    visitor.stream.close()
    // As 'close' of a socket: behind this call.
    this.fabric.timeline.after(1, () => this.party.input(() => this.forget(visitor)))
  }

  private drop(visitor: Visitor): void {
    visitor.stream.close()
    this.forget(visitor)
  }

  private forget(visitor: Visitor): void {
    const { conn } = visitor
    if (this.byId[conn.connId] !== visitor) return
    this.byId[conn.connId] = undefined
    conn.closed = true
    this.pipeline?.onClosed(conn)
    this.freeIds.push(conn.connId)
    this.host.want()
  }

  /** Who has been silent for longer than its session lives is cut. */
  sweep(nowMs: number): void {
    for (const visitor of this.byId) {
      if (visitor === undefined || visitor.stopped) continue
      const { conn } = visitor
      const limitMs = conn.initialised ? conn.timeoutMs : 10_000
      if (nowMs > conn.lastHeardMs + limitMs) conn.closeNow('idle')
    }
  }

  /** After a pause of our own nobody is to blame. */
  grant(nowMs: number): void {
    for (const visitor of this.byId) if (visitor !== undefined) visitor.conn.lastHeardMs = nowMs
  }
}
