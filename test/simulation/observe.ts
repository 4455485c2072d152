/**
 * What checkers see of a member: its calls of the world and the answers, as they happen. Nothing is changed on the way.
 */

import type { StateMachine } from '../../src/datatree/apply.ts'
import type { Member } from '../../src/server/member/member.ts'
import type { Epoch, Quorum, Role, StartState, ZabOut } from '../../src/zab/types.ts'
import type { Machine } from './machine.ts'

export interface Observer {
  /** Recovery is over: the log ends at `state.zxidLast`, and the tree stands there. */
  recovered(machine: Machine, start: StartState, state: StateMachine): void
  appended(machine: Machine, zxid: number, bytes: Uint8Array): void
  durable(machine: Machine, zxid: number): void
  truncated(machine: Machine, zxid: number, state: StateMachine): void
  /** A tree from the leader is in place. */
  loaded(machine: Machine, zxid: number, state: StateMachine): void
  delivered(machine: Machine, zxid: number, bytes: Uint8Array, state: StateMachine): void
  epochSaved(machine: Machine, which: Epoch, epoch: number): void
  role(machine: Machine, role: Role): void
  /** Before the member serves. */
  established(machine: Machine, role: Role, leader: number, epoch: number): void
  /** It serves from this tree now. */
  serves(machine: Machine, state: StateMachine): void
  configured(machine: Machine, quorum: Quorum, committed: boolean): void
  /** Its history is about to become another one: that of a snapshot at `zxid`, or what it has up to `zxid`. */
  syncing(machine: Machine, how: 'snap' | 'trunc', zxid: number): void
  /** It answers a client. */
  answered(machine: Machine, type: number, err: number): void
  /** One packet leaves on a link between learner and leader. */
  said(machine: Machine, role: Role, packet: DataView): void
  /** Bytes have come on such a link, a packet at their beginning. */
  heard(machine: Machine, packet: DataView): void
  /** A leader hears of a session: from a learner, or because its client goes on with it there. */
  sessionHeard(machine: Machine, hi: number, lo: number): void
  /** It goes on after it was stopped. */
  woke(machine: Machine, stoppedUs: number): void
  ended(machine: Machine): void
}

/** Listens at the boundary between core and world. */
export function observe(machine: Machine, member: Member, observer: Observer): void {
  // Private to Member, and the very seam that is to be watched.
  const { out } = member as unknown as { out: ZabOut }
  const { zab } = member
  const { append, truncate, deliver, established, role, loadSnapshot, send, sessionTouched, revalidate } = out
  /** Links between learners and leaders; others are of elections. */
  const links = new Set<number>()
  out.append = (zxid, proposal) => {
    observer.appended(machine, zxid, proposal)
    append.call(out, zxid, proposal)
  }
  out.deliver = (zxid, proposal) => {
    deliver.call(out, zxid, proposal)
    observer.delivered(machine, zxid, proposal, member.state)
  }
  out.truncate = (zxid) => {
    observer.syncing(machine, 'trunc', zxid)
    truncate.call(out, zxid)
  }
  out.loadSnapshot = (link, zxid) => {
    observer.syncing(machine, 'snap', zxid)
    loadSnapshot.call(out, link, zxid)
  }
  out.role = (which, leader) => {
    observer.role(machine, which)
    role.call(out, which, leader)
  }
  out.established = (which, leader, epoch) => {
    observer.established(machine, which, leader, epoch)
    established.call(out, which, leader, epoch)
    observer.serves(machine, member.state)
  }
  out.send = (link, bytes) => {
    if (links.has(link)) observer.said(machine, zab.role, viewOf(bytes, 0, bytes.length))
    send.call(out, link, bytes)
  }
  out.sessionTouched = (hi, lo, timeoutMs) => {
    observer.sessionHeard(machine, hi, lo)
    sessionTouched.call(out, hi, lo, timeoutMs)
  }
  out.revalidate = (from, sid, hi, lo, timeoutMs) => {
    observer.sessionHeard(machine, hi, lo)
    revalidate.call(out, from, sid, hi, lo, timeoutMs)
  }
  const { start, onAccept, onBytes, onDurable, onEpochSaved, onOpen, onSnapshotLoaded, onTruncated } = zab
  zab.onAccept = (link, kind) => {
    if (kind !== 'election') links.add(link)
    onAccept.call(zab, link, kind)
  }
  zab.onOpen = (link, sid, kind) => {
    if (kind !== 'election') links.add(link)
    onOpen.call(zab, link, sid, kind)
  }
  zab.onBytes = (link, buf, off, end) => {
    if (links.has(link)) observer.heard(machine, viewOf(buf, off, end))
    return onBytes.call(zab, link, buf, off, end)
  }
  zab.start = (state) => {
    observer.recovered(machine, state, member.state)
    start.call(zab, state)
  }
  zab.onDurable = (zxid) => {
    observer.durable(machine, zxid)
    onDurable.call(zab, zxid)
  }
  zab.onTruncated = (zxid, zxidDelivered) => {
    observer.truncated(machine, zxid, member.state)
    onTruncated.call(zab, zxid, zxidDelivered)
  }
  zab.onSnapshotLoaded = (link, zxid) => {
    observer.loaded(machine, zxid, member.state)
    onSnapshotLoaded.call(zab, link, zxid)
  }
  zab.onEpochSaved = (which, epoch) => {
    observer.epochSaved(machine, which, epoch)
    onEpochSaved.call(zab, which, epoch)
  }
}

function viewOf(buf: Uint8Array, off: number, end: number): DataView {
  return new DataView(buf.buffer, buf.byteOffset + off, end - off)
}
