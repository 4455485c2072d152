/**
 * The learners of one master, by their links: from the first byte until they are dropped, fall silent, or leave.
 *
 * A master is a leader, or a follower that serves observers (observermaster.ts). What it says to a learner and when is
 * its own business, and the handler's; here is what both kinds of masters do alike.
 */

import { ProtocolError } from '../jute/input.ts'
import { Output } from '../jute/output.ts'
import type { Zxid } from '../jute/zxid.ts'
import { LearnerHandler, type Master } from './learnerhandler.ts'
import { writePacket } from './packets.ts'
import type { LearnerView, LinkId, Proposal, Sid, ZabOptions, ZabOut } from './types.ts'

/** Links that have not said who they are; more are refused. */
const HELLOS_MAX = 256

export class LearnerLinks {
  readonly initMs: number
  readonly syncMs: number
  /** Learners that the log on disk did not help: they get the tree. */
  readonly needTree: Set<Sid>
  private readonly master: Master
  private readonly out: ZabOut
  private readonly handlers: Map<LinkId, LearnerHandler>
  private readonly scratch: Output
  /** For the next one without a name. */
  private anonymous: Sid

  constructor(master: Master, out: ZabOut, options: ZabOptions) {
    this.initMs = options.initLimitTicks * options.tickMs
    this.syncMs = options.syncLimitTicks * options.tickMs
    this.needTree = new Set()
    this.master = master
    this.out = out
    this.handlers = new Map()
    this.scratch = new Output()
    this.anonymous = -1
  }

  values(): IterableIterator<LearnerHandler> {
    return this.handlers.values()
  }

  has(link: LinkId): boolean {
    return this.handlers.has(link)
  }

  // --- coming and going ----------------------------------------------------------------------------------------------

  accept(link: LinkId): void {
    let hellos = 0
    for (const handler of this.handlers.values()) if (handler.state === 'hello') hellos++
    if (hellos >= HELLOS_MAX) this.out.close(link, 'too many links that do not say who they are')
    else this.handlers.set(link, new LearnerHandler(this.master, this, link))
  }

  /** It has said who it is; null: nobody. */
  name(handler: LearnerHandler, sid: Sid | null): void {
    handler.sid = sid ?? this.anonymous--
    for (const other of this.handlers.values()) {
      // A link that died unnoticed: a learner has one master, and one link to it.
      if (other !== handler && other.state !== 'hello' && other.sid === handler.sid) this.drop(other, 'it came anew')
    }
  }

  onClose(link: LinkId): void {
    const handler = this.handlers.get(link)
    if (handler !== undefined) this.forget(handler, 'its link is closed')
  }

  drop(handler: LearnerHandler, why: string): void {
    if (handler.closed) return
    this.out.close(handler.link, why)
    this.forget(handler, why)
  }

  private forget(handler: LearnerHandler, why: string): void {
    this.out.trace(`learner ${handler.sid} is gone: ${why}`)
    handler.closed = true
    this.handlers.delete(handler.link)
    this.master.onGone(handler)
  }

  /** The master's role is over. */
  end(why: string): void {
    for (const handler of this.handlers.values()) {
      handler.closed = true
      this.out.close(handler.link, why)
    }
    this.handlers.clear()
  }

  // --- what comes in -------------------------------------------------------------------------------------------------

  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number {
    const handler = this.handlers.get(link)
    if (handler === undefined) return end - off
    try {
      return handler.onBytes(buf, off, end)
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err
      this.drop(handler, err.message)
      return end - off
    }
  }

  onHistory(link: LinkId, proposals: readonly Proposal[], state: 'more' | 'end' | 'gap'): void {
    this.handlers.get(link)?.onHistory(proposals, state)
  }

  onSnapshotSent(link: LinkId): void {
    this.handlers.get(link)?.onSnapshotSent()
  }

  // --- what goes out -------------------------------------------------------------------------------------------------

  /** To all participants, or to all observers, that are past their sync decision. */
  broadcast(observers: boolean, type: number, zxid: Zxid, data: Uint8Array | null): void {
    let encoded: Uint8Array | null = null // most ensembles have no observer, and an INFORM holds all of a transaction
    for (const handler of this.handlers.values()) {
      if (!handler.forwarding || handler.observer !== observers) continue
      if (encoded === null) {
        this.scratch.clear()
        writePacket(this.scratch, type, zxid, data)
        encoded = this.scratch.bytes()
      }
      handler.sendLive(type, zxid, data, encoded)
    }
  }

  /** A packet for one learner. Not through `scratch`: it may be sent in the middle of a broadcast. */
  sendPacket(link: LinkId, type: number, zxid: Zxid, data: Uint8Array | null): void {
    const out = new Output(64 + (data === null ? 0 : data.length))
    writePacket(out, type, zxid, data)
    this.handlers.get(link)?.countSent(zxid)
    this.out.send(link, out.bytes())
  }

  ping(zxid: Zxid): void {
    for (const handler of this.handlers.values()) handler.ping(zxid)
  }

  // --- time and views ------------------------------------------------------------------------------------------------

  nowMs(): number {
    return this.out.nowMs()
  }

  dropSilent(): void {
    const now = this.nowMs()
    for (const handler of this.handlers.values()) {
      if (now >= handler.readDeadlineMs) this.drop(handler, 'it was silent for too long')
    }
  }

  nextDeadlineMs(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { readDeadlineMs } of this.handlers.values()) next = Math.min(next, readDeadlineMs)
    return next
  }

  countSyncs(kind: 'diff' | 'snap'): number {
    let count = 0
    for (const handler of this.handlers.values()) if (handler.syncKind === kind) count++
    return count
  }

  views(): readonly LearnerView[] {
    const known = [...this.handlers.values()].filter(({ state }) => state !== 'hello')
    return known.map(({ link, sid, observer, synced, sinceMs, counts }) => {
      return { link, sid, observer, synced, sinceMs, counts }
    })
  }
}
