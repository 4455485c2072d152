/**
 * A few elections and the network between them, in one turn-by-turn world: a clock that jumps from event to event, and
 * everything that is left to chance drawn from one seed.
 *
 * What is simulated are connections. Bytes of one arrive in order, in pieces of any size, after a delay; a connection
 * that ends does so at each side by itself. A direction that is `deaf` swallows what it is given, as a network does
 * that has lost a route: neither side hears of it.
 */

import { Election } from '../../../src/zab/election.ts'
import { makeQuorum, type QuorumMember } from '../../../src/zab/quorum.ts'
import {
  type ElectionEvents,
  type ElectionOut,
  type ElectionPort,
  type LinkId,
  type ParseQuorum,
  type Quorum,
  type Role,
  type Sid,
  type Vote,
  ZAB_DEFAULTS,
  type ZabOptions,
} from '../../../src/zab/types.ts'

const DELAY_MS = 20
/** How long a role is given to work. */
const ROLE_MS = 2000

/** A configuration as this test writes and reads it: voters, then observers, then the version. */
export function quorumOf(voters: readonly Sid[], observers: readonly Sid[] = [], version = 0): Quorum {
  const member = (sid: Sid, voter: boolean): QuorumMember => ({
    sid,
    voter,
    quorumAddresses: [`host${sid}:2888`],
    electionAddresses: [`host${sid}:3888`],
  })
  const text = `voters=${voters.join(',')}\nobservers=${observers.join(',')}\nversion=${version.toString(16)}`
  const members = [...voters.map((sid) => member(sid, true)), ...observers.map((sid) => member(sid, false))]
  return makeQuorum({ members, groups: new Map(), weights: new Map(), version, text })
}

export const parseQuorum: ParseQuorum = (text) => {
  const parts = /^voters=([\d,]*)\nobservers=([\d,]*)\nversion=(\w+)$/.exec(text)
  if (parts === null) throw new Error('not a configuration')
  const sids = (list: string) => (list === '' ? [] : list.split(',').map(Number))
  return quorumOf(sids(parts[1]!), sids(parts[2]!), Number.parseInt(parts[3]!, 16))
}

export function optionsOf(sid: Sid): ZabOptions {
  return { ...ZAB_DEFAULTS, sid, tickMs: 1000, initLimitTicks: 10, syncLimitTicks: 5 }
}

/** Seeded chance (mulberry32). */
export function makeRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Who holds one side of a connection. */
interface Holder {
  /** Null: a stranger, whom no lost route concerns. */
  readonly sid: Sid | null
  readonly ends: Map<LinkId, End>
  readonly election: Pick<ElectionPort, 'onBytes' | 'onClose'>
}

/** One side of a connection. */
interface End {
  readonly link: LinkId
  readonly owner: Holder
  other: End | null
  open: boolean
  waiting: Uint8Array
  /** When the last piece on its way to this side arrives. */
  lastMs: number
}

/** The far side of a connection that a test made by hand. */
export interface ByHand {
  readonly received: number[]
  open: boolean
  send(bytes: Uint8Array): void
}

export class Server implements ElectionOut, ElectionEvents {
  readonly sid: Sid
  readonly election: Election
  quorum: Quorum
  /** Where this server's history ends. */
  zxid = 0
  epoch = 0
  elected: Vote | null = null
  electedMs = 0
  countElected = 0
  countDials = 0
  readonly seenLooking: Sid[] = []
  readonly ends = new Map<LinkId, End>()
  readonly hints = new Map<Sid, readonly string[]>()
  private readonly net: VoteNet

  constructor(net: VoteNet, sid: Sid, quorum: Quorum, options: Partial<ZabOptions>) {
    this.net = net
    this.sid = sid
    this.quorum = quorum
    this.election = new Election(sid, { ...optionsOf(sid), ...options }, this, this, parseQuorum)
    this.election.onConfig(quorum, quorum)
  }

  look(): void {
    this.elected = null
    this.election.look(this.zxid, this.epoch)
  }

  get role(): Role {
    if (this.elected === null) return 'looking'
    if (this.elected.leader === this.sid) return 'leading'
    return this.quorum.isVoter(this.sid) ? 'following' : 'observing'
  }

  nowMs(): number {
    return this.net.nowMs
  }

  random(): number {
    return this.net.random()
  }

  trace(message: string): void {
    this.net.story.push(`${this.net.nowMs.toFixed(0)} ${message}`)
  }

  onElected(vote: Vote): void {
    this.elected = vote
    this.electedMs = this.net.nowMs
    this.countElected++
    this.election.settle(this.role, vote)
  }

  onNewerConfig(quorum: Quorum): void {
    this.quorum = quorum
    this.election.onConfig(quorum, quorum)
  }

  onLooking(sid: Sid): void {
    this.seenLooking.push(sid)
  }

  dial(sid: Sid, _kind: string, hint?: readonly string[]): void {
    this.countDials++
    if (hint !== undefined) this.hints.set(sid, hint)
    this.net.dial(this, sid)
  }

  send(link: LinkId, bytes: Uint8Array): void {
    const end = this.ends.get(link)
    if (end?.open) this.net.carry(end, bytes.slice())
  }

  close(link: LinkId): void {
    const end = this.ends.get(link)
    if (end === undefined) return
    this.ends.delete(link)
    end.open = false
    this.net.hangUp(end)
  }
}

export class VoteNet {
  nowMs = 0
  readonly random: () => number
  readonly servers = new Map<Sid, Server>()
  readonly story: string[] = []
  /** Pairs `from>to` whose bytes, and dials, vanish. */
  readonly deaf = new Set<string>()
  /** The delay of each piece is drawn from this; tests may replace it. */
  delayMs = () => 1 + this.random() * DELAY_MS
  private readonly events: { atMs: number; order: number; act: () => void }[] = []
  private order = 0
  private links = 0

  constructor(seed: number) {
    this.random = makeRandom(seed)
  }

  add(sid: Sid, quorum: Quorum, zxid = 0, epoch = 0, options: Partial<ZabOptions> = {}): Server {
    const server = new Server(this, sid, quorum, options)
    server.zxid = zxid
    server.epoch = epoch
    this.servers.set(sid, server)
    return server
  }

  /** Pulls the plug: nobody hears of it but by what does not work any more. */
  remove(sid: Sid): void {
    const server = this.servers.get(sid)!
    this.servers.delete(sid)
    for (const end of server.ends.values()) {
      end.open = false
      this.hangUp(end)
    }
    server.ends.clear()
  }

  /** From now on nothing gets through, and neither side hears of it; new connections cannot be made. */
  cut(a: Sid, b: Sid): void {
    this.deaf.add(`${a}>${b}`)
    this.deaf.add(`${b}>${a}`)
  }

  heal(): void {
    this.deaf.clear()
  }

  /** A connection as one would make it by hand; what is sent back comes into the array. */
  connectByHand(to: Sid): ByHand {
    const server = this.servers.get(to)!
    const byHand: ByHand = { received: [], open: true, send: (bytes) => this.carry(far, bytes) }
    const holder: Holder = {
      sid: null,
      ends: new Map(),
      election: {
        onBytes(_link, buf, off, end) {
          byHand.received.push(...buf.subarray(off, end))
          return end - off
        },
        onClose() {
          byHand.open = false
        },
      },
    }
    const [far, near] = this.join(holder, server)
    server.election.onAccept(near.link)
    return byHand
  }

  dial(from: Server, sid: Sid): void {
    this.at(this.delayMs(), () => {
      if (!this.isThere(from)) return
      const to = this.servers.get(sid)
      if (to === undefined || this.isDeaf(from.sid, sid) || this.isDeaf(sid, from.sid)) {
        from.election.onDialFailed(sid)
        return
      }
      const [near, far] = this.join(from, to)
      to.election.onAccept(far.link)
      from.election.onOpen(near.link, sid)
    })
  }

  /** Brings bytes to the other side, in up to three pieces. */
  carry(from: End, bytes: Uint8Array): void {
    const to = from.other!
    if (this.isDeaf(from.owner.sid, to.owner.sid)) return
    let off = 0
    while (off < bytes.length) {
      const length = this.random() < 0.7 ? bytes.length - off : 1 + Math.floor(this.random() * (bytes.length - off))
      const piece = bytes.subarray(off, off + length)
      off += length
      to.lastMs = Math.max(this.nowMs + this.delayMs(), to.lastMs)
      this.at(to.lastMs - this.nowMs, () => {
        if (!to.open) {
          this.hangUp(to) // as TCP answers what comes for a connection that it does not have
          return
        }
        const all = new Uint8Array(to.waiting.length + piece.length)
        all.set(to.waiting)
        all.set(piece, to.waiting.length)
        to.waiting = all.slice(to.owner.election.onBytes(to.link, all, 0, all.length))
      })
    }
  }

  hangUp(end: End): void {
    const to = end.other
    if (to === null) return
    if (this.isDeaf(end.owner.sid, to.owner.sid)) return
    to.lastMs = Math.max(this.nowMs + this.delayMs(), to.lastMs)
    this.at(to.lastMs - this.nowMs, () => {
      if (!to.open) return
      to.open = false
      to.owner.ends.delete(to.link)
      to.owner.election.onClose(to.link)
    })
  }

  /**
   * From now on roles do not last where they cannot: a learner whose leader does not lead, or cannot be reached, looks
   * again after a while, and so does a leader that no quorum follows.
   */
  watchRoles(): void {
    this.at(ROLE_MS, () => {
      for (const server of [...this.servers.values()]) if (!this.canStay(server)) server.look()
      this.watchRoles()
    })
  }

  private canStay(server: Server): boolean {
    if (server.elected === null || this.nowMs - server.electedMs < ROLE_MS) return true
    if (server.role !== 'leading') return this.follows(server, server.elected.leader)
    const followers = [...this.servers.values()].filter((other) => this.follows(other, server.sid))
    return server.quorum.containsQuorum(new Set([server.sid, ...followers.map(({ sid }) => sid)]))
  }

  private follows(server: Server, sid: Sid): boolean {
    const leader = this.servers.get(sid)
    const works = !this.isDeaf(server.sid, sid) && !this.isDeaf(sid, server.sid)
    return works && server.elected?.leader === sid && leader?.role === 'leading'
  }

  /** Runs until `done`, or until that many milliseconds have passed. Says which. */
  run(ms: number, done: () => boolean = () => false): boolean {
    const endMs = this.nowMs + ms
    for (let steps = 0; steps < 200_000; steps++) {
      if (done()) return true
      let nextMs = this.events[0]?.atMs ?? Infinity
      let awake: Server | null = null
      for (const server of this.servers.values()) {
        const deadlineMs = Math.max(server.election.nextDeadlineMs(), this.nowMs)
        if (deadlineMs <= nextMs) {
          nextMs = deadlineMs
          awake = server
        }
      }
      if (nextMs > endMs) {
        this.nowMs = endMs
        return done()
      }
      this.nowMs = nextMs
      if (awake !== null) awake.election.onDeadline()
      else this.events.shift()!.act()
    }
    throw new Error(`no end of it:\n${this.story.slice(-40).join('\n')}`)
  }

  /** The leader that all of these agree on, or null. */
  leaderOf(sids: Iterable<Sid>): Sid | null {
    const leaders = new Set([...sids].map((sid) => this.servers.get(sid)!.elected?.leader ?? null))
    return leaders.size === 1 ? [...leaders][0]! : null
  }

  private at(delayMs: number, act: () => void): void {
    const event = { atMs: this.nowMs + delayMs, order: this.order++, act }
    let i = this.events.length
    while (i > 0 && this.events[i - 1]!.atMs > event.atMs) i--
    this.events.splice(i, 0, event)
  }

  private join(a: Holder, b: Holder): [End, End] {
    const [one, two] = [a, b].map((owner) => {
      const end: End = { link: ++this.links, owner, other: null, open: true, waiting: new Uint8Array(0), lastMs: 0 }
      owner.ends.set(end.link, end)
      return end
    })
    one!.other = two!
    two!.other = one!
    return [one!, two!]
  }

  private isDeaf(from: Sid | null, to: Sid | null): boolean {
    return this.deaf.has(`${from}>${to}`)
  }

  private isThere(server: Server): boolean {
    return this.servers.get(server.sid) === server
  }
}
