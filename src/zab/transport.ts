/**
 * What may stand between a connected socket and its use as a link: TLS, and authentication of the other side.
 *
 * Links hands each socket to the Transport that the server gave it, and takes it back as a Passage when that is done;
 * the cores never hear of a connection before. Without a transport a socket is a passage by itself. On the election port
 * authentication comes behind the dialer's hello, so there it is done in two steps: an accepted socket comes back with its
 * hello already read (`head`), a dialed one with `afterHello`, which Links calls when the core's hello has left and before
 * anything else does.
 *
 * Sockets that are not through yet cost their sender nothing, so they are few: beyond the limit the oldest one goes, of the
 * address that has the most. A crowd from one address is in its own way only.
 */

import type { Socket } from 'node:net'
import type { LinkKind, Sid } from './types.ts'

/** Calls `done` once and later; `head` as in Passage. */
export type AfterHello = (done: (err: Error | null, head: Uint8Array) => void) => void

export interface Passage {
  /** To be used from here on. Nobody listens to its data, and it may be paused. */
  readonly socket: Socket
  /** What has been read of it and is not the transport's; owned by the receiver. */
  readonly head: Uint8Array
  /** Who the other side has proven to be, in words for the log; null: nobody in particular. */
  readonly peer: string | null
  readonly afterHello: AfterHello | null
}

export interface Dialed {
  readonly sid: Sid
  readonly kind: LinkKind
  /** As it is written in the configuration: a name, or an IP address without brackets. */
  readonly host: string
}

export type PassageDone = (err: Error | null, passage: Passage | null) => void

/** Deadlines are the caller's: it destroys the socket, and does not listen to `done` any more. */
export interface Transport {
  /** Nothing of the socket has been read. Calls `done` once and later, unless the socket ends before. */
  accept(socket: Socket, kind: LinkKind, done: PassageDone): void
  connect(socket: Socket, to: Dialed, done: PassageDone): void
}

export const NO_BYTES = new Uint8Array(0)

interface Waiting {
  readonly address: string
  readonly abandon: (why: string) => void
}

/** Accepted sockets of one port that are not through yet. */
export class HalfMade {
  private readonly max: number
  private readonly perAddressMax: number
  /** The oldest first. */
  private readonly waiting: Set<Waiting>

  constructor(max: number, perAddressMax: number) {
    this.max = max
    this.perAddressMax = perAddressMax
    this.waiting = new Set()
  }

  get size(): number {
    return this.waiting.size
  }

  /** `abandon` is called if this one has to go; the answer, to be called when it is through or has ended. */
  add(address: string, abandon: (why: string) => void): () => void {
    const counts = new Map<string, number>([[address, 1]])
    for (const { address: other } of this.waiting) counts.set(other, (counts.get(other) ?? 0) + 1)
    if (counts.get(address)! > this.perAddressMax) this.dropOldest(address)
    else if (this.waiting.size >= this.max) this.dropOldest(this.mostCrowded(counts))
    const added = { address, abandon }
    this.waiting.add(added)
    return () => this.waiting.delete(added)
  }

  /** Of several, the one that waits the longest. */
  private mostCrowded(counts: ReadonlyMap<string, number>): string {
    let crowded = ''
    for (const { address } of this.waiting) {
      if (counts.get(address)! > (counts.get(crowded) ?? 0)) crowded = address
    }
    return crowded
  }

  private dropOldest(address: string): void {
    for (const one of this.waiting) {
      if (one.address !== address) continue
      this.waiting.delete(one)
      one.abandon('too many connections that are not through yet')
      return
    }
  }

  abandonAll(why: string): void {
    for (const one of [...this.waiting]) one.abandon(why)
  }
}
