/**
 * A member's network in the simulator: what links.ts is in production, over the fabric's streams.
 *
 * Held to the same promises: what is not consumed is kept and offered again with more behind it, not otherwise; what is
 * sent leaves at `flush`; a link ends with one onClose unless we closed it; its id is never used again.
 */

import { Output } from '../../src/jute/output.ts'
import { type Network, type NetworkSink, ROOM_BYTES } from '../../src/zab/links.ts'
import type { LinkId, LinkKind, Sid } from '../../src/zab/types.ts'
import type { Fabric, Party, Stream, StreamSink } from './fabric.ts'

export const PORTS = { client: 2181, learner: 2888, election: 3888, observer: 2191 } as const

class Link {
  readonly id: LinkId
  readonly kind: LinkKind
  readonly stream: Stream
  rest: Uint8Array
  out: Output | null

  constructor(id: LinkId, kind: LinkKind, stream: Stream) {
    this.id = id
    this.kind = kind
    this.stream = stream
    this.rest = NOTHING
    this.out = null
  }
}

const NOTHING = new Uint8Array(0)

export class MemberPort implements Network {
  sink: NetworkSink | null
  /** Says what is sent to a learner in place of these packets; null: them. */
  spoil: ((bytes: Uint8Array) => Uint8Array | null) | null
  private readonly fabric: Fabric
  private readonly party: Party
  private readonly want: () => void
  private readonly tell: (text: string) => void
  private readonly links: Map<LinkId, Link>
  /** Where this member listens; a reconfiguration may change it. */
  private readonly ports: Record<LinkKind, number>
  private readonly wanted: Record<LinkKind, boolean>
  private dirty: Link[]
  private lastId: LinkId
  private stopped: boolean

  constructor(fabric: Fabric, party: Party, want: () => void, tell: (text: string) => void) {
    this.sink = null
    this.spoil = null
    this.fabric = fabric
    this.party = party
    this.want = want
    this.tell = tell
    this.links = new Map()
    this.ports = { election: PORTS.election, learner: PORTS.learner, observer: PORTS.observer }
    this.wanted = { election: false, learner: false, observer: false }
    this.dirty = []
    this.lastId = 0
    this.stopped = false
  }

  start(sink: NetworkSink): void {
    this.sink = sink
    this.setWanted('election', true)
  }

  /** A port that stays the same is not touched, and links stay whatever becomes of ports. */
  setOwnPorts(ports: Partial<Record<LinkKind, number>>): void {
    for (const kind of ['election', 'learner', 'observer'] as const) {
      const port = ports[kind] ?? this.ports[kind]
      if (port === this.ports[kind]) continue
      const open = this.wanted[kind]
      this.setWanted(kind, false)
      this.ports[kind] = port
      this.setWanted(kind, open)
    }
  }

  stop(): void {
    this.stopped = true
    for (const kind of ['election', 'learner', 'observer'] as const) this.setWanted(kind, false)
    for (const id of [...this.links.keys()]) this.close(id, 'the server stops')
  }

  listen(kind: Exclude<LinkKind, 'election'>, on: boolean): void {
    this.setWanted(kind, on)
  }

  private setWanted(kind: LinkKind, on: boolean): void {
    this.wanted[kind] = on
    if (!on) {
      this.fabric.unlisten(this.party, this.ports[kind])
      return
    }
    this.fabric.listen(this.party, this.ports[kind], (stream) => {
      const link = this.add(stream, kind)
      this.tell(`link ${link.id} from ${stream.other!.machine} (${kind})`)
      this.sink!.onAccept(link.id, kind)
      return this.sinkOf(link)
    })
  }

  dial(sid: Sid, kind: LinkKind, addresses: readonly string[]): void {
    if (this.stopped) return
    let left = Math.max(1, addresses.length)
    let answered = false
    const answer = (link: Link | null): void => {
      left--
      if (answered || this.stopped) return
      if (link !== null) {
        answered = true
        this.tell(`link ${link.id} to ${link.stream.other!.machine} (${kind})`)
        this.sink!.onOpen(link.id, sid, kind)
      } else if (left === 0) {
        this.tell(`cannot connect to ${sid} (${kind})`)
        this.sink!.onDialFailed(sid, kind)
      }
    }
    if (addresses.length === 0) this.fabric.timeline.after(1, () => this.party.input(() => answer(null)))
    for (const address of addresses) {
      let link: Link | null = null
      const sink: StreamSink = {
        onData: (_stream, bytes) => this.onData(link!, bytes),
        onEnd: () => {
          if (link !== null) this.onEnd(link)
        },
      }
      this.fabric.connect(this.party, address, sink, (stream) => {
        if (stream !== null && (answered || this.stopped)) stream.close()
        else if (stream !== null) link = this.add(stream, kind)
        answer(link)
      })
    }
  }

  private add(stream: Stream, kind: LinkKind): Link {
    const link = new Link(++this.lastId, kind, stream)
    this.links.set(link.id, link)
    return link
  }

  private sinkOf(link: Link): StreamSink {
    return { onData: (_stream, bytes) => this.onData(link, bytes), onEnd: () => this.onEnd(link) }
  }

  private onData(link: Link, bytes: Uint8Array): void {
    if (!this.links.has(link.id)) return
    let input = bytes
    if (link.rest.length > 0) {
      input = new Uint8Array(link.rest.length + bytes.length)
      input.set(link.rest)
      input.set(bytes, link.rest.length)
    }
    const consumed = this.sink!.onBytes(link.id, input, 0, input.length)
    link.rest = consumed < input.length ? input.slice(consumed) : NOTHING
  }

  private onEnd(link: Link): void {
    if (!this.links.delete(link.id)) return
    this.tell(`link ${link.id} is lost`)
    this.sink!.onClose(link.id)
  }

  /** Bytes that were taken and are not wanted yet go back in front of what is kept; offered again, later. */
  unread(id: LinkId, bytes: Uint8Array): void {
    const link = this.links.get(id)
    if (link === undefined) return
    const both = new Uint8Array(bytes.length + link.rest.length)
    both.set(bytes)
    both.set(link.rest, bytes.length)
    link.rest = both
    this.fabric.timeline.after(1, () => this.party.input(() => this.onData(link, NOTHING)))
  }

  send(id: LinkId, bytes: Uint8Array): void {
    const link = this.links.get(id)
    if (link === undefined) return
    if (link.out === null) {
      link.out = new Output(256)
      this.dirty.push(link)
      this.want()
    }
    link.out.raw(bytes)
  }

  flush(): void {
    const { dirty } = this
    this.dirty = []
    for (const link of dirty) {
      const bytes = link.out!.copy()
      link.out = null
      if (!this.links.has(link.id)) continue
      link.stream.send((link.kind === 'learner' ? this.spoil?.(bytes) : null) ?? bytes)
    }
  }

  close(id: LinkId, why: string): void {
    const link = this.links.get(id)
    if (link === undefined) return
    this.tell(`link ${id} closed: ${why}`)
    this.links.delete(id)
    link.stream.close()
  }

  whenRoom(id: LinkId, done: () => void): void {
    const link = this.links.get(id)
    const unsent = link === undefined ? 0 : link.stream.bytesUnsent + (link.out?.pos ?? 0)
    if (link === undefined || unsent < ROOM_BYTES) this.fabric.timeline.after(1, () => this.party.input(done))
    else link.stream.whenSent.push(() => this.whenRoom(id, done))
  }
}
