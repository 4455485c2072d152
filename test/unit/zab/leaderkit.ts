/** A leader alone (lone.ts) with learners played by hand: how they say what they say, and leaders in the usual states. */

import type { Sid } from '../../../src/zab/types.ts'
import { EPOCH, entries, Lone, type LoneOptions, packet } from './lone.ts'

/** Learners' links are 10 + sid. */
export const linkOf = (sid: Sid) => 10 + sid
export const long = (value: number) => BigInt.asUintN(64, BigInt(value)).toString(16).padStart(16, '0')
export const int = (value: number) => (value >>> 0).toString(16).padStart(8, '0')
export const ack = (epoch: number, counter: number) => packet('ACK', epoch * EPOCH + counter)

export function info(sid: Sid, accepted: number, kind = 'FOLLOWERINFO', configVersion = 0): Uint8Array {
  return packet(kind, accepted * EPOCH, `${long(sid)} 00010000 ${long(configVersion)}`)
}

export function ackEpoch(zxid: number, current: number): Uint8Array {
  return packet('ACKEPOCH', zxid, int(current))
}

/** Server 3, elected, and waiting for followers. */
export function elected(options: LoneOptions = {}): Lone {
  const lone = new Lone({ sid: 3, ...options })
  lone.elect(3)
  return lone
}

export function join(lone: Lone, sid: Sid, accepted: number, kind = 'FOLLOWERINFO'): string[] {
  lone.peer.onAccept(linkOf(sid), 'learner')
  return lone.receive(linkOf(sid), info(sid, accepted, kind))
}

/** Server 3, leading epoch `epoch` with server 1, whose history is the same. */
export function leading(epoch: number, options: LoneOptions = {}): Lone {
  const lone = elected(options)
  const { zxidLogged } = lone.peer.log
  join(lone, 1, epoch - 1)
  lone.saved('accepted', epoch)
  lone.receive(linkOf(1), ackEpoch(zxidLogged, epoch - 1))
  lone.saved('current', epoch)
  lone.peer.onSnapshotSent(linkOf(1)) // which only some are sent
  lone.receive(linkOf(1), ack(epoch, 0))
  lone.receive(linkOf(1), ack(epoch, 0)) // the one that answers UPTODATE
  return lone
}

/** Server 3, leading epoch 1 of five servers with 1 and 2. */
export function leadingFive(): Lone {
  const lone = elected({ voters: [1, 2, 3, 4, 5] })
  for (const sid of [1, 2]) join(lone, sid, 0)
  lone.saved('accepted', 1)
  for (const sid of [1, 2]) lone.receive(linkOf(sid), ackEpoch(0, 0))
  lone.saved('current', 1)
  for (const sid of [1, 2]) lone.receive(linkOf(sid), ack(1, 0))
  lone.take()
  return lone
}

/** Server 2 joins a leader that is established, with its history at `zxid`; what it is sent, up to and with NEWLEADER. */
export function sync(lone: Lone, zxid: number, sid: Sid = 2, kind = 'FOLLOWERINFO'): string[] {
  join(lone, sid, lone.peer.currentEpoch, kind)
  return lone.receive(linkOf(sid), ackEpoch(zxid, -1))
}

export function propose(lone: Lone, epoch: number, counter: number): string[] {
  const [entry] = entries(epoch, counter, counter)
  lone.peer.propose(entry!.zxid, entry!.bytes)
  return lone.take()
}

export const to = (sid: Sid, ...packets: string[]) => packets.map((text) => `send ${linkOf(sid)}: ${text}`)

/** An entry as DIFF and the like send it. */
export const committed = (zxid: string) => [`PROPOSAL ${zxid} ${zxid}`, `COMMIT ${zxid}`]
