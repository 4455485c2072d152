/**
 * One connection to each server of the election port, and who keeps it.
 *
 * Two servers may dial each other at the same moment; the one with the larger sid keeps the connection that it dialed.
 * A smaller one that dials only knocks: the larger reads the hello, ends whatever connection it had (the smaller has
 * lost its end, or it would not knock), and dials back. So there is one connection per pair, and either side can ask
 * for a new one. A dial that turns out to be needless never says hello: it must not cost a healthy connection
 * (ZOOKEEPER-2164, 3756, 4220).
 *
 * What waits for a server is not a queue of messages but one mark: when the connection is there, it is told how things
 * are then. Java keeps the newest message and repeats the last one on every new connection, however stale; a fresh one
 * serves the same end, that nothing is lost with a connection that broke.
 *
 * Dials are tried again by a timer only while `eager`, that is, in an election; pauses double up to a limit. Limited as
 * well: connections that have not said who they are, servers that no configuration names, and answers to one server
 * (where Java drops all but the newest of a queue).
 *
 * Answers to Java's QuorumCnxManager.
 */

import { ProtocolError, readInt } from '../jute/input.ts'
import { encodeHello, NOTIFICATION_BYTES_MAX, readHello } from './notification.ts'
import type { ElectionOut, LinkId, Sid } from './types.ts'

const RETRY_MIN_MS = 10
const RETRY_MAX_MS = 1000
/** Time for the other side to dial back. Knocking again earlier would end what it is just building up. */
const KNOCK_PAUSE_MS = 2000
const NAMELESS_MAX = 64
const STRANGERS_MAX = 64
const ANSWERS_MAX = 50
const ANSWERS_PERIOD_MS = 1000

export interface ConnectionsOwner {
  isMember(sid: Sid): boolean
  /** Our own election addresses, `host:port`. */
  ownAddresses(): readonly string[]
  /** How things are, for this server: a whole frame, borrowed. Null: there is nothing to say. */
  message(sid: Sid): Uint8Array | null
  /** A frame without its length, borrowed. */
  onMessage(sid: Sid, buf: Uint8Array, off: number, end: number): void
}

interface Peer {
  readonly sid: Sid
  link: LinkId | null
  dialing: boolean
  /** It is to be told how things are as soon as there is a connection. */
  owed: boolean
  /** Something was sent to it once, and may be lost if the connection breaks. */
  told: boolean
  /** The last dial failed, and nothing was heard of it since. */
  away: boolean
  /** Where it last said that it is: for one that no configuration names, or that is not where they have it. */
  hint: readonly string[]
  pauseMs: number
  /** No dial before this time. */
  notBeforeMs: number
  answers: number
  answersSinceMs: number
}

export class Connections {
  /** Dials that fail are tried again. */
  eager: boolean
  private readonly sid: Sid
  private readonly multiAddress: boolean
  private readonly helloTimeoutMs: number
  private readonly out: ElectionOut
  private readonly owner: ConnectionsOwner
  private readonly peers: Map<Sid, Peer>
  /** The connections that are in use. */
  private readonly byLink: Map<LinkId, Peer>
  /** Accepted ones that have not said who they are, and their deadlines; the oldest first. */
  private readonly nameless: Map<LinkId, number>
  /** Our own dials to larger sids: the hello is sent, and the other side is to end it. The oldest first. */
  private readonly knocks: Map<LinkId, number>

  constructor(
    sid: Sid,
    options: { readonly multiAddress: boolean; readonly helloTimeoutMs: number },
    out: ElectionOut,
    owner: ConnectionsOwner,
  ) {
    this.eager = false
    this.sid = sid
    this.multiAddress = options.multiAddress
    this.helloTimeoutMs = options.helloTimeoutMs
    this.out = out
    this.owner = owner
    this.peers = new Map()
    this.byLink = new Map()
    this.nameless = new Map()
    this.knocks = new Map()
  }

  /** Tells a server how things are: now, or when there is a connection. */
  tell(sid: Sid): void {
    const peer = this.peerOf(sid)
    if (peer === null) return
    peer.owed = true
    if (peer.link === null) this.connect(peer)
    else this.pay(peer)
  }

  /** The same, because it asked: no more than so many in a second. */
  answer(sid: Sid): void {
    const peer = this.peerOf(sid)
    if (peer === null) return
    const nowMs = this.out.nowMs()
    if (nowMs - peer.answersSinceMs >= ANSWERS_PERIOD_MS) {
      peer.answersSinceMs = nowMs
      peer.answers = 0
    }
    if (++peer.answers <= ANSWERS_MAX) this.tell(sid)
  }

  /** Sees to a connection with a server that may have to be told something soon. */
  reach(sid: Sid): void {
    const peer = this.peerOf(sid)
    if (peer !== null) this.connect(peer)
  }

  /** The configuration changed: forgets those who are in none any more. */
  onMembers(): void {
    for (const peer of this.peers.values()) this.forget(peer)
  }

  onAccept(link: LinkId): void {
    const oldest = this.nameless.keys().next()
    if (this.nameless.size >= NAMELESS_MAX && !oldest.done) this.close(oldest.value, 'too many without a hello')
    this.nameless.set(link, this.out.nowMs() + this.helloTimeoutMs)
  }

  onOpen(link: LinkId, sid: Sid): void {
    const peer = this.peerOf(sid)
    if (peer === null) {
      this.out.close(link, 'not needed any more')
      return
    }
    peer.dialing = false
    peer.away = false
    if (peer.link !== null) {
      this.out.close(link, 'connected already')
      return
    }
    this.out.send(link, encodeHello(this.sid, this.owner.ownAddresses(), this.multiAddress))
    if (sid < this.sid) {
      this.use(peer, link)
    } else {
      // Closing it here, as Java does, would drop the hello. The other side closes as soon as it has read it.
      this.knocks.set(link, this.out.nowMs() + this.helloTimeoutMs)
      this.pause(peer, KNOCK_PAUSE_MS)
    }
  }

  onDialFailed(sid: Sid): void {
    const peer = this.peers.get(sid)
    if (peer === undefined) return
    if (this.owner.isMember(sid) && peer.hint.length > 0) {
      // It knocked, and is not where the configuration has it: it may not have heard yet that it was to move.
      this.out.dial(sid, 'election', peer.hint)
      peer.hint = []
      return
    }
    peer.dialing = false
    peer.away = true
    this.pause(peer)
    this.forget(peer)
  }

  /** There is no connection with it, and the last try to make one has failed. */
  isAway(sid: Sid): boolean {
    const peer = this.peers.get(sid)
    return peer !== undefined && peer.link === null && !peer.dialing && peer.away
  }

  /** Bytes consumed. */
  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number {
    let at = off
    try {
      if (this.nameless.has(link)) {
        const hello = readHello(buf, off, end)
        if (hello === null) return 0
        at = hello.end
        this.onHello(link, hello.sid, hello.addresses)
      }
      return this.takeFrames(link, buf, at, end) - off
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err
      this.close(link, err.message)
      return end - off
    }
  }

  onClose(link: LinkId): void {
    const peer = this.byLink.get(link)
    this.drop(link)
    if (peer === undefined) return
    this.pause(peer)
    this.forget(peer)
  }

  onDeadline(): void {
    const nowMs = this.out.nowMs()
    for (const [link, deadlineMs] of this.nameless) if (deadlineMs <= nowMs) this.close(link, 'no hello in time')
    for (const [link, deadlineMs] of this.knocks) if (deadlineMs <= nowMs) this.close(link, 'never dialed back')
    if (!this.eager) return
    for (const peer of this.peers.values()) if (peer.owed) this.connect(peer)
  }

  nextDeadlineMs(): number {
    let next = Infinity
    for (const deadlines of [this.nameless, this.knocks]) {
      for (const deadlineMs of deadlines.values()) {
        next = Math.min(next, deadlineMs)
        break
      }
    }
    if (!this.eager) return next
    for (const peer of this.peers.values()) {
      if (peer.owed && peer.link === null && !peer.dialing) next = Math.min(next, peer.notBeforeMs)
    }
    return next
  }

  stop(): void {
    for (const links of [this.byLink, this.nameless, this.knocks]) {
      for (const link of links.keys()) this.out.close(link, 'stopped')
      links.clear()
    }
    this.peers.clear()
    this.eager = false
  }

  private onHello(link: LinkId, sid: Sid, addresses: readonly string[]): void {
    this.nameless.delete(link)
    const peer = sid === this.sid ? null : this.peerOf(sid)
    if (peer === null) {
      this.out.close(link, sid === this.sid ? 'says that it is us' : 'too many strangers')
      return
    }
    peer.hint = addresses
    if (sid > this.sid) {
      this.use(peer, link)
      return
    }
    if (peer.link !== null) this.close(peer.link, 'the other side dialed anew')
    this.out.close(link, 'we have the larger sid and dial back')
    // It is there, whatever the failed dials before have told us. Strangers do not make us dial at their pace.
    if (this.owner.isMember(sid)) peer.notBeforeMs = 0
    this.connect(peer)
    this.forget(peer)
  }

  /** Hands over the whole frames from `at` on; returns where the first that is not whole begins. */
  private takeFrames(link: LinkId, buf: Uint8Array, at: number, end: number): number {
    for (;;) {
      // Looked up each time: what a message leads to may close the link.
      const peer = this.byLink.get(link)
      if (peer === undefined) return end
      if (end - at < 4) return at
      const length = readInt(buf, at)
      if (length <= 0 || length > NOTIFICATION_BYTES_MAX) throw new ProtocolError(`notification of ${length} bytes`, at)
      const next = at + 4 + length
      if (next > end) return at
      peer.pauseMs = RETRY_MIN_MS
      this.owner.onMessage(peer.sid, buf, at + 4, next)
      at = next
    }
  }

  private use(peer: Peer, link: LinkId): void {
    if (peer.link !== null) this.close(peer.link, 'replaced by a newer connection')
    peer.link = link
    peer.away = false
    this.byLink.set(link, peer)
    if (peer.owed || peer.told) this.pay(peer)
  }

  private pay(peer: Peer): void {
    const message = this.owner.message(peer.sid)
    if (message === null) return
    this.out.send(peer.link!, message)
    peer.owed = false
    peer.told = true
  }

  private connect(peer: Peer): void {
    if (peer.link !== null || peer.dialing || this.out.nowMs() < peer.notBeforeMs) return
    if (this.owner.isMember(peer.sid)) {
      peer.dialing = true
      this.out.dial(peer.sid, 'election')
    } else if (peer.hint.length > 0) {
      peer.dialing = true
      this.out.dial(peer.sid, 'election', peer.hint)
    } else {
      peer.owed = false
    }
  }

  /** Not before a while, then; a longer one each time until something is heard of it. At random, lest two collide. */
  private pause(peer: Peer, atLeastMs = 0): void {
    peer.notBeforeMs = this.out.nowMs() + Math.max(peer.pauseMs, atLeastMs) * (0.5 + 0.5 * this.out.random())
    peer.pauseMs = Math.min(2 * peer.pauseMs, RETRY_MAX_MS)
  }

  private close(link: LinkId, why: string): void {
    const peer = this.byLink.get(link)
    this.drop(link)
    this.out.close(link, why)
    if (peer !== undefined) this.out.trace(`election: connection with ${peer.sid} closed: ${why}`)
  }

  private drop(link: LinkId): void {
    this.nameless.delete(link)
    this.knocks.delete(link)
    const peer = this.byLink.get(link)
    if (peer === undefined) return
    this.byLink.delete(link)
    peer.link = null
    peer.owed ||= peer.told
  }

  /** Null: it is in no configuration, and there are too many of those. */
  private peerOf(sid: Sid): Peer | null {
    const known = this.peers.get(sid)
    if (known !== undefined) return known
    if (!this.owner.isMember(sid)) {
      let strangers = 0
      for (const peer of this.peers.values()) if (!this.owner.isMember(peer.sid)) strangers++
      if (strangers >= STRANGERS_MAX) return null
    }
    const peer: Peer = {
      sid,
      link: null,
      dialing: false,
      owed: false,
      told: false,
      away: false,
      hint: [],
      pauseMs: RETRY_MIN_MS,
      notBeforeMs: 0,
      answers: 0,
      answersSinceMs: 0,
    }
    this.peers.set(sid, peer)
    return peer
  }

  /** Of a stranger nothing stays behind. */
  private forget(peer: Peer): void {
    if (peer.link === null && !peer.dialing && !this.owner.isMember(peer.sid)) this.peers.delete(peer.sid)
  }
}
