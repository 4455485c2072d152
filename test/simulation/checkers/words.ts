/**
 * I1 and I9 at the wire: nobody says what its disk does not hold yet. A leader names an epoch, a learner promises it,
 * acknowledges it, acknowledges a proposal: by then the promise, the epoch and the proposal must be durable. What a loss
 * of power would make of it shows here at once, whether or not the power goes.
 *
 * Packets are read by hand: type 4, zxid 8 (epoch 4, counter 4).
 */

import { zxidHex } from '../../../src/jute/zxid.ts'
import type { Role } from '../../../src/zab/types.ts'
import { law } from '../failure.ts'

const ACK = 3
const LEADERINFO = 17
const ACKEPOCH = 18

/** What a member is known to have on its disk. */
export interface Kept {
  readonly durable: number
  readonly acceptedEpoch: number
  readonly currentEpoch: number
}

export class WordChecker {
  private readonly kept: (sid: number) => Kept
  /** The epoch that each member was last asked to promise. */
  private readonly asked: Map<number, number>

  constructor(kept: (sid: number) => Kept) {
    this.kept = kept
    this.asked = new Map()
  }

  /** The bytes that come to a learner on its link begin with a packet. */
  heard(sid: number, packet: DataView): void {
    if (packet.byteLength >= 12 && packet.getInt32(0) === LEADERINFO) this.asked.set(sid, packet.getInt32(4))
  }

  /** One packet leaves on a link between learner and leader. */
  said(sid: number, role: Role, packet: DataView): void {
    if (packet.byteLength < 12) return
    const type = packet.getInt32(0)
    const epoch = packet.getInt32(4)
    const counter = packet.getUint32(8)
    const { acceptedEpoch, currentEpoch, durable } = this.kept(sid)
    if (type === LEADERINFO) {
      law(acceptedEpoch >= epoch, 'I9', () => `s${sid} names epoch ${epoch}, on its disk is ${acceptedEpoch}`)
    } else if (type === ACKEPOCH && role === 'following') {
      const asked = this.asked.get(sid) ?? 0
      law(acceptedEpoch === asked, 'I9', () => `s${sid} promises ${asked}, on its disk is ${acceptedEpoch}`)
    } else if (type === ACK && role === 'following' && counter === 0) {
      law(currentEpoch === epoch, 'I9', () => `s${sid} enters epoch ${epoch}, on its disk is ${currentEpoch}`)
    } else if (type === ACK && role === 'following') {
      const zxid = epoch * 2 ** 32 + counter
      law(durable >= zxid, 'I1', () => `s${sid} acknowledges ${zxidHex(zxid)}, on its disk is ${zxidHex(durable)}`)
    }
  }
}
