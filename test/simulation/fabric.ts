/**
 * The wires between machines: TCP connections as two FIFO streams each, that delay, stall, split at any byte, half-close
 * and break, but never reorder, lose or double what is inside.
 *
 * A direction between two machines may be cut (`cut`): what is sent there waits in the sender's kernel, as under TCP, and
 * goes on when the cut is mended; ends of connections wait like bytes do. So a machine whose power went is not heard to go.
 * A connection attempt needs both directions; a machine that is up and does not listen refuses it at once.
 */

import type { Random } from './random.ts'
import type { Story } from './story.ts'
import type { Timeline } from './timeline.ts'

/** A process that has connections. */
export interface Party {
  /** The machine it runs on, as names resolve to. */
  readonly machine: string
  /** Runs something as an input of the process: later while it is stopped, never when it is gone. */
  input(run: () => void): void
}

export interface StreamSink {
  /** Bytes are owned by the receiver. */
  onData(stream: Stream, bytes: Uint8Array): void
  /** The other side, or the network, has ended it. */
  onEnd(stream: Stream): void
}

export type Accept = (stream: Stream) => StreamSink

interface Parcel {
  atUs: number
  /** Null: the stream ends here. */
  bytes: Uint8Array | null
}

/** How a pair of machines is connected, in µs. */
export interface Weather {
  delayMinUs: number
  delayMaxUs: number
  /** Share of sends that take `stallUs` more: a lost segment, sent again. */
  stallShare: number
  stallUs: number
  /** Share of sends that arrive in pieces. */
  splitShare: number
}

export const FAIR: Weather = { delayMinUs: 80, delayMaxUs: 500, stallShare: 0.002, stallUs: 30_000, splitShare: 0.05 }

const SYN_RETRY_US = 300_000
const CONNECT_TIMEOUT_US = 2_000_000

/** One end of a connection. */
export class Stream {
  readonly owner: Party
  readonly fabric: Fabric
  sink: StreamSink | null
  other: Stream | null
  /** Nothing is taken from it and nothing given to it any more. */
  closed: boolean
  readonly parcels: Parcel[]
  moving: boolean
  lastAtUs: number
  bytesUnsent: number
  whenSent: (() => void)[]

  constructor(fabric: Fabric, owner: Party) {
    this.fabric = fabric
    this.owner = owner
    this.sink = null
    this.other = null
    this.closed = false
    this.parcels = []
    this.moving = false
    this.lastAtUs = 0
    this.bytesUnsent = 0
    this.whenSent = []
  }

  /** Bytes become the stream's. */
  send(bytes: Uint8Array): void {
    if (!this.closed) this.fabric.send(this, bytes)
  }

  /** Cuts it: the last of what was sent may be lost. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.fabric.end(this, false)
  }

  /** Our side is done with it; what was sent arrives, if the wire lets it. */
  finish(): void {
    if (this.closed) return
    this.closed = true
    this.fabric.end(this, true)
  }

  get machine(): string {
    return this.owner.machine
  }
}

export class Fabric {
  weather: Weather
  /** Names to machines; one that is not here is a machine's own name, null does not resolve. */
  readonly names: Map<string, string | null>
  readonly timeline: Timeline
  private readonly random: Random
  private readonly story: Story
  private readonly listeners: Map<string, { party: Party; accept: Accept }>
  private readonly up: Set<string>
  private readonly cuts: Set<string>
  private readonly slow: Map<string, number>
  private readonly streams: Set<Stream>

  constructor(timeline: Timeline, random: Random, story: Story) {
    this.timeline = timeline
    this.random = random
    this.story = story
    this.weather = FAIR
    this.names = new Map()
    this.listeners = new Map()
    this.up = new Set()
    this.cuts = new Set()
    this.slow = new Map()
    this.streams = new Set()
  }

  // ------------------------------------------------------------------ faults

  /** What goes from one machine to another waits. */
  cut(from: string, to: string): void {
    this.cuts.add(`${from}>${to}`)
  }

  mend(from: string, to: string): void {
    if (this.cuts.delete(`${from}>${to}`)) this.wake()
  }

  mendAll(): void {
    this.cuts.clear()
    this.slow.clear()
    this.wake()
  }

  isCut(from: string, to: string): boolean {
    return from !== to && this.cuts.has(`${from}>${to}`)
  }

  /** Everything between two machines takes `us` longer. */
  delay(a: string, b: string, us: number): void {
    this.slow.set(`${a}>${b}`, us)
    this.slow.set(`${b}>${a}`, us)
  }

  /** Breaks connections between two machines; both ends hear of it. `half`: only one of them does, for now. */
  breakStreams(a: string, b: string, half = false): number {
    let count = 0
    for (const stream of [...this.streams]) {
      if (stream.machine !== a || stream.other?.machine !== b) continue
      count++
      this.tellEnd(stream)
      if (!half && stream.other !== null) this.tellEnd(stream.other)
    }
    return count
  }

  private wake(): void {
    for (const stream of this.streams) {
      // Senders try again after a while of their own.
      if (stream.moving || stream.parcels.length === 0) continue
      stream.moving = true
      this.timeline.after(this.random.between(200, 50_000), () => this.move(stream))
    }
  }

  // ------------------------------------------------------------------ machines

  /** The machine's kernel answers: connections are taken or refused. */
  powerOn(machine: string): void {
    this.up.add(machine)
  }

  powerOff(machine: string): void {
    this.up.delete(machine)
  }

  listen(party: Party, port: number, accept: Accept): void {
    this.listeners.set(`${party.machine}:${port}`, { party, accept })
  }

  unlisten(party: Party, port: number): void {
    const at = `${party.machine}:${port}`
    if (this.listeners.get(at)?.party === party) this.listeners.delete(at)
  }

  /** The process is gone. Its kernel ends its connections, unless the power went with it. */
  leave(party: Party, silently: boolean): void {
    for (const [at, { party: listener }] of this.listeners) if (listener === party) this.listeners.delete(at)
    for (const stream of [...this.streams]) {
      if (stream.owner !== party || stream.closed) continue
      stream.closed = true
      if (silently) {
        stream.parcels.length = 0
        stream.sink = null
      } else {
        this.end(stream, false)
      }
    }
  }

  // ------------------------------------------------------------------ connections

  /** Answered by a stream, or null. The sink is asked for as soon as it is there. */
  connect(party: Party, address: string, sink: StreamSink, done: (stream: Stream | null) => void): void {
    const colon = address.lastIndexOf(':')
    const host = address.slice(0, colon)
    const machine = this.names.has(host) ? this.names.get(host)! : host
    const deadlineUs = this.timeline.nowUs + CONNECT_TIMEOUT_US
    if (machine === null) {
      this.timeline.after(this.random.between(500, 20_000), () => party.input(() => done(null)))
      return
    }
    const attempt = (): void => {
      const lost = this.isCut(party.machine, machine) || this.isCut(machine, party.machine) || !this.up.has(machine)
      if (lost) {
        if (this.timeline.nowUs + SYN_RETRY_US > deadlineUs) party.input(() => done(null))
        else this.timeline.after(SYN_RETRY_US, attempt)
        return
      }
      const listener = this.listeners.get(`${machine}:${address.slice(colon + 1)}`)
      if (listener === undefined) {
        this.timeline.after(this.drawDelay(machine, party.machine), () => party.input(() => done(null)))
        return
      }
      const near = new Stream(this, party)
      const far = new Stream(this, listener.party)
      near.other = far
      far.other = near
      near.sink = sink
      this.streams.add(near)
      this.streams.add(far)
      // Nothing overtakes the answer that the connection is there.
      far.lastAtUs = this.timeline.nowUs + this.drawDelay(machine, party.machine)
      this.timeline.at(far.lastAtUs, () => party.input(() => done(near.closed ? null : near)))
      listener.party.input(() => {
        if (!far.closed) far.sink = listener.accept(far)
      })
    }
    this.timeline.after(this.drawDelay(party.machine, machine), attempt)
  }

  private drawDelay(from: string, to: string): number {
    const { random, weather } = this
    let us = random.between(weather.delayMinUs, weather.delayMaxUs) + (this.slow.get(`${from}>${to}`) ?? 0)
    if (random.chance(weather.stallShare)) us += weather.stallUs
    return us
  }

  send(stream: Stream, bytes: Uint8Array): void {
    const { random } = this
    const pieces: Uint8Array[] = []
    if (bytes.length > 1 && random.chance(this.weather.splitShare)) {
      const at = 1 + random.int(bytes.length - 1)
      pieces.push(bytes.subarray(0, at))
      if (bytes.length - at > 1 && random.chance(0.5)) {
        // Byte by byte, as far as that is worth the time.
        let off = at
        for (let left = 12; left > 0 && off < bytes.length - 1; left--) pieces.push(bytes.subarray(off, ++off))
        pieces.push(bytes.subarray(off))
      } else {
        pieces.push(bytes.subarray(at))
      }
    } else {
      pieces.push(bytes)
    }
    stream.bytesUnsent += bytes.length
    for (const piece of pieces) this.post(stream, piece)
  }

  /** Ends the stream behind what was sent on it; where it is cut, at times the last of that is lost with it. */
  end(stream: Stream, whole: boolean): void {
    if (!whole && stream.parcels.length > 0 && this.random.chance(0.3)) {
      stream.parcels.splice(this.random.int(stream.parcels.length))
    }
    this.post(stream, null)
  }

  private post(stream: Stream, bytes: Uint8Array | null): void {
    const to = stream.other!.machine
    stream.lastAtUs = Math.max(stream.lastAtUs, this.timeline.nowUs + this.drawDelay(stream.machine, to))
    stream.parcels.push({ atUs: stream.lastAtUs, bytes })
    if (stream.moving) return
    stream.moving = true
    this.timeline.at(stream.parcels[0]!.atUs, () => this.move(stream))
  }

  /** The oldest parcel has come to the end of its way. */
  private move(stream: Stream): void {
    stream.moving = false
    const other = stream.other!
    if (stream.parcels.length === 0) return
    if (this.isCut(stream.machine, other.machine)) return // `mend` goes on
    const parcel = stream.parcels.shift()!
    if (stream.parcels.length > 0) {
      stream.moving = true
      this.timeline.at(stream.parcels[0]!.atUs, () => this.move(stream))
    }
    if (parcel.bytes === null) {
      this.tellEnd(other)
      this.drop(stream)
      return
    }
    stream.bytesUnsent -= parcel.bytes.length
    const { whenSent } = stream
    if (whenSent.length > 0) {
      stream.whenSent = []
      for (const done of whenSent) stream.owner.input(done)
    }
    if (other.closed) {
      // Nobody there any more: its kernel says so, if it is up.
      if (this.up.has(other.machine)) this.tellEnd(stream)
      return
    }
    const { bytes } = parcel
    this.story.mixBytes(bytes)
    other.owner.input(() => {
      if (!other.closed) other.sink!.onData(other, bytes)
    })
  }

  /** `stream`'s owner hears that it has ended. */
  private tellEnd(stream: Stream): void {
    if (stream.closed) {
      this.drop(stream)
      return
    }
    stream.owner.input(() => {
      if (stream.closed) return
      stream.closed = true
      this.drop(stream)
      stream.sink?.onEnd(stream)
    })
  }

  private drop(stream: Stream): void {
    this.streams.delete(stream)
    const { whenSent } = stream
    stream.whenSent = []
    for (const done of whenSent) stream.owner.input(done)
  }
}
