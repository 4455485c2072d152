/**
 * Several members (clusternode.ts) over a network and a clock that exist in memory only. One seed, one run.
 *
 * Links keep order, and split and delay what they carry. Checked all the time (ids as in the catalogue of faults):
 *   I1  whoever is established as leader has all that was ever committed
 *   I3  what any two members deliver is a prefix of one another
 *   I4  an epoch has one leader
 *   I9  acceptedEpoch >= currentEpoch, and no hole within an epoch of a log
 * and that no observer is ever told what nobody else has delivered.
 */

import { type Zxid, zxidHex } from '../../../src/jute/zxid.ts'
import { parseQuorumText } from '../../../src/server/config/members.ts'
import type { LinkKind, Proposal, Quorum, Role, Sid, ZabOptions } from '../../../src/zab/types.ts'
import { TXN_HEADER_BYTES, TXN_RECONFIG, ZAB_DEFAULTS } from '../../../src/zab/types.ts'
import { Random } from '../datatree/random.ts'
import { type End, Node } from './clusternode.ts'

export interface ClusterOptions {
  seed: number
  voters: number
  observers?: number
  reconfig?: boolean
  zab?: Partial<ZabOptions>
}

export const TICK_MS = 200

/** A configuration's text as Java writes it. */
export function configText(voters: readonly Sid[], observers: readonly Sid[], version: Zxid): string {
  const line = (sid: Sid, role: string) => `server.${sid}=127.0.0.1:${2000 + sid}:${3000 + sid}:${role}`
  const lines = [...voters.map((s) => line(s, 'participant')), ...observers.map((s) => line(s, 'observer'))].sort()
  return [...lines, `version=${zxidHex(version)}`].join('\n')
}

export function parse(text: string): Quorum {
  return parseQuorumText(text, false)
}

/** A proposal: a header with nothing but the type, and a label; of a reconfiguration, the body that Java gives it. */
export function proposalBytes(zxid: Zxid, label: string, config: string | null = null): Uint8Array {
  const body = new TextEncoder().encode(config ?? label)
  const path = new TextEncoder().encode('/zookeeper/config')
  const bytes = new Uint8Array(TXN_HEADER_BYTES + (config === null ? body.length : 12 + path.length + body.length))
  const view = new DataView(bytes.buffer)
  view.setBigInt64(12, BigInt(zxid))
  view.setInt32(28, config === null ? 1 : TXN_RECONFIG)
  let at = TXN_HEADER_BYTES
  if (config !== null) {
    view.setInt32(at, path.length)
    bytes.set(path, at + 4)
    view.setInt32(at + 4 + path.length, body.length)
    at += 8 + path.length
  }
  bytes.set(body, at)
  return bytes
}

export function labelOf({ bytes }: Proposal): string {
  return new TextDecoder().decode(bytes.subarray(TXN_HEADER_BYTES))
}

interface Event {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class Cluster {
  readonly nodes: Map<Sid, Node>
  readonly random: Random
  /** What was committed, as the first member delivered it that was told so. */
  readonly committed: Proposal[]
  readonly leaders: Map<number, Sid>
  /** Followers whose port for observers cannot be reached. */
  readonly closedPorts: Set<Sid>
  /** `from>to` pairs between which nothing passes. */
  readonly blocked: Set<string>
  readonly story: string[]
  nowMs: number
  events: number
  private readonly seed: number
  private readonly options: ClusterOptions
  private readonly queue: Event[]
  private order: number
  private nextLink: number

  constructor(options: ClusterOptions) {
    this.nodes = new Map()
    this.random = new Random(options.seed)
    this.committed = []
    this.leaders = new Map()
    this.closedPorts = new Set()
    this.blocked = new Set()
    this.story = []
    this.nowMs = 1000
    this.events = 0
    this.seed = options.seed
    this.options = options
    this.queue = []
    this.order = 0
    this.nextLink = 1
    const voters = Array.from({ length: options.voters }, (_, i) => i + 1)
    const observers = Array.from({ length: options.observers ?? 0 }, (_, i) => options.voters + i + 1)
    for (const sid of [...voters, ...observers]) this.add(sid, configText(voters, observers, 0))
  }

  add(sid: Sid, config: string): Node {
    const node = new Node(this, sid, config, {
      ...ZAB_DEFAULTS,
      sid,
      tickMs: TICK_MS,
      initLimitTicks: 10,
      syncLimitTicks: 5,
      reconfigEnabled: this.options.reconfig === true,
      ...this.options.zab,
    })
    this.nodes.set(sid, node)
    return node
  }

  node(sid: Sid): Node {
    return this.nodes.get(sid)!
  }

  startAll(): void {
    for (const node of this.nodes.values()) if (!node.up) node.start()
  }

  get leader(): Node | null {
    for (const node of this.nodes.values()) if (node.announced === 'leading' && node.serving) return node
    return null
  }

  // --- time

  at(atMs: number, run: () => void): void {
    this.queue.push({ atMs, order: this.order++, run })
    let i = this.queue.length - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!sooner(this.queue[i]!, this.queue[parent]!)) break
      this.swap(i, parent)
      i = parent
    }
  }

  after(delayMs: number, run: () => void): void {
    this.at(this.nowMs + delayMs, run)
  }

  private swap(a: number, b: number): void {
    const held = this.queue[a]!
    this.queue[a] = this.queue[b]!
    this.queue[b] = held
  }

  private take(): Event | undefined {
    const first = this.queue[0]
    const last = this.queue.pop()
    if (first === undefined || last === first || last === undefined) return first
    this.queue[0] = last
    for (let i = 0; ; ) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < this.queue.length && sooner(this.queue[child]!, this.queue[least]!)) least = child
      }
      if (least === i) return first
      this.swap(i, least)
      i = least
    }
  }

  /** One event; false when there is none. */
  step(): boolean {
    const event = this.take()
    if (event === undefined) return false
    this.nowMs = Math.max(this.nowMs, event.atMs)
    this.events++
    event.run()
    return true
  }

  run(ms: number): void {
    const untilMs = this.nowMs + ms
    while (this.queue.length > 0 && this.queue[0]!.atMs <= untilMs) this.step()
    this.nowMs = untilMs
  }

  /** Runs until `goal` holds; fails if it does not within `ms`. */
  until(what: string, goal: () => boolean, ms = 20_000): void {
    const untilMs = this.nowMs + ms
    while (!goal()) {
      const more = this.nowMs < untilMs && this.step()
      this.check(more, `I10: not in ${ms} ms: ${what}`)
    }
  }

  /** Until all that are up have a leader and what it has committed. */
  settle(ms = 20_000): void {
    this.until('all members settled', () => this.isSettled(), ms)
  }

  isSettled(): boolean {
    const { leader } = this
    if (leader === null || leader.peer!.countOutstanding() > 0) return false
    // One that was taken out and started again knows of no address of its own any more.
    const up = [...this.nodes.values()].filter(({ up, sid }) => up && leader.peer!.committed.isMember(sid))
    return up.every(
      (node) => node.serving && node.tree.list.length === this.committed.length && node.epoch === leader.epoch,
    )
  }

  delay(): number {
    return this.random.below(10) === 0 ? this.random.below(40) : this.random.below(4)
  }

  diskDelay(): number {
    return 1 + this.random.below(this.random.below(10) === 0 ? 50 : 6)
  }

  // --- network

  isBlocked(from: Node, to: Node): boolean {
    return this.blocked.has(`${from.sid}>${to.sid}`)
  }

  /** Nothing passes between these groups, or from the first to the second only. */
  partition(group: readonly Sid[], others: readonly Sid[], oneWay = false): void {
    for (const a of group) {
      for (const b of others) {
        this.blocked.add(`${a}>${b}`)
        if (!oneWay) this.blocked.add(`${b}>${a}`)
      }
    }
  }

  heal(): void {
    this.blocked.clear()
  }

  dial(from: Node, sid: Sid, kind: LinkKind): void {
    const { life } = from
    this.after(1 + this.delay(), () => {
      if (from.life !== life || from.peer === null) return
      const to = this.nodes.get(sid)
      const cut = to !== undefined && (this.isBlocked(from, to) || this.isBlocked(to, from))
      if (to === undefined || cut || !this.listens(to, kind)) {
        this.after(cut ? 300 : 0, () => {
          if (from.life === life) from.input((peer) => peer.onDialFailed(sid, kind))
        })
        return
      }
      const near = this.makeEnd(from, kind)
      const far = this.makeEnd(to, kind)
      near.other = far
      far.other = near
      to.input((peer) => peer.onAccept(far.id, kind))
      from.input((peer) => peer.onOpen(near.id, sid, kind))
    })
  }

  private listens(node: Node, kind: LinkKind): boolean {
    if (kind === 'learner') return node.announced === 'leading'
    if (kind === 'observer') return node.announced === 'following' && node.serving && !this.closedPorts.has(node.sid)
    return node.up
  }

  private makeEnd(node: Node, kind: LinkKind): End {
    const end: Omit<End, 'other'> = {
      id: this.nextLink++,
      node,
      kind,
      open: true,
      incoming: [],
      pumping: false,
      rest: new Uint8Array(0),
      loading: 'no',
      closedMeanwhile: false,
    }
    node.ends.set(end.id, end as End)
    return end as End
  }

  /** To `end`: bytes, or the end of the link. */
  push(end: End, chunk: Uint8Array | null): void {
    if (!end.open) return
    const lastMs = end.incoming.length === 0 ? 0 : end.incoming[end.incoming.length - 1]!.atMs
    end.incoming.push({ chunk, atMs: Math.max(lastMs, this.nowMs + this.delay()) })
    this.pump(end)
  }

  private pump(end: End): void {
    if (end.pumping || end.incoming.length === 0) return
    end.pumping = true
    this.at(end.incoming[0]!.atMs, () => {
      end.pumping = false
      if (!end.open) return
      if (this.isBlocked(end.other.node, end.node)) {
        end.incoming[0]!.atMs = this.nowMs + 20
      } else {
        this.arrive(end, end.incoming.shift()!.chunk)
      }
      this.pump(end)
    })
  }

  private arrive(end: End, chunk: Uint8Array | null): void {
    if (chunk === null) {
      end.node.onEnded(end)
    } else if (chunk.length > 1 && this.random.below(8) === 0) {
      const at = 1 + this.random.below(chunk.length - 1)
      end.incoming.unshift({ chunk: chunk.subarray(at), atMs: this.nowMs + this.random.below(3) })
      end.node.onReceived(end, chunk.subarray(0, at))
    } else {
      end.node.onReceived(end, chunk)
    }
  }

  /** Ends a link between two members as a network does it, each side in its own time. */
  cutLinks(a: Sid, b: Sid, kind: LinkKind): void {
    for (const end of [...this.node(a).ends.values()]) {
      if (end.kind !== kind || end.other.node.sid !== b) continue
      for (const side of [end, end.other]) {
        this.after(this.delay() * 5, () => {
          if (side.open) side.node.onEnded(side)
        })
      }
    }
  }

  // --- checkers

  onDelivered(node: Node): void {
    const { list } = node.tree
    for (let i = Math.max(0, Math.min(list.length, this.committed.length) - 1); i < list.length; i++) {
      const known = this.committed[i]
      const observes = node.announced === 'observing'
      this.check(!observes || known !== undefined, `observer ${node.sid} delivers ${name(list[i]!)} ahead of all`)
      if (known === undefined) this.committed.push(list[i]!)
      else this.check(sameProposal(known, list[i]!), `I3: ${node.sid} delivers ${name(list[i]!)}, not ${name(known)}`)
    }
    this.checkTree(node)
  }

  onEstablished(node: Node, role: Role, leader: Sid, epoch: number): void {
    this.tell(node.sid, `is established, ${role}, epoch ${epoch}`)
    if (role !== 'leading') {
      this.checkTree(node)
      return
    }
    const other = this.leaders.get(epoch)
    this.check(other === undefined || other === leader, `I4: ${leader} and ${other} lead in epoch ${epoch}`)
    this.leaders.set(epoch, leader)
    const { length } = node.tree.list
    this.check(length >= this.committed.length, `I1: leader ${leader} has ${length} of ${this.committed.length}`)
    // What it has taken over from earlier leaders is committed with this, wherever a tree has it from.
    this.onDelivered(node)
  }

  /** All that the tree has stands in the same place of what was committed. */
  private checkTree(node: Node): void {
    node.tree.list.forEach((proposal, i) => {
      const known = this.committed[i]
      this.check(
        known !== undefined && sameProposal(known, proposal),
        `I3: ${node.sid} has ${name(proposal)}, committed is ${known === undefined ? 'nothing' : name(known)}`,
      )
    })
  }

  tell(sid: Sid, message: string): void {
    this.story.push(`${this.nowMs} ${sid}: ${message}`)
  }

  check(holds: boolean, message: string): asserts holds {
    if (holds) return
    throw new Error(`${message} (seed ${this.seed}, event ${this.events})\n${this.story.slice(-80).join('\n')}`)
  }
}

function sooner(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

function sameProposal(a: Proposal, b: Proposal): boolean {
  return a.zxid === b.zxid && labelOf(a) === labelOf(b)
}

function name(proposal: Proposal): string {
  return `0x${zxidHex(proposal.zxid)} ${labelOf(proposal)}`
}
