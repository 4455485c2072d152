/**
 * What checkers see of a member: its calls of the world and the answers, as they happen. Nothing is changed on the way.
 */

import type { StateMachine } from '../../src/datatree/apply.ts'
import type { Member } from '../../src/server/member.ts'
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
  configured(machine: Machine, quorum: Quorum, committed: boolean): void
  /** Its history is about to become another one: that of a snapshot at `zxid`, or what it has up to `zxid`. */
  syncing(machine: Machine, how: 'snap' | 'trunc', zxid: number): void
  /** It answers a client. */
  answered(machine: Machine, type: number, err: number): void
  ended(machine: Machine): void
}

/** Listens at the boundary between core and world. */
export function observe(machine: Machine, member: Member, observer: Observer): void {
  // Private to Member, and the very seam that is to be watched.
  const { out } = member as unknown as { out: ZabOut }
  const { zab } = member
  const { append, truncate, deliver, established, role, loadSnapshot } = out
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
  }
  const { start, onDurable, onTruncated, onSnapshotLoaded, onEpochSaved } = zab
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
