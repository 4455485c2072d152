/**
 * I1, I2, I3, I9: what is logged, what is durable, what is committed.
 *
 * A zxid stands for the same bytes wherever it is logged, since one leader alone proposes in an epoch, and for all that
 * its leader had logged before: whoever logs it has the same entry ahead of it, across epochs too. What is committed is
 * one list; it only grows, each addition lies durably on a quorum at that moment (a reconfiguration on one of the old and
 * one of the new members), every new leader has all of it, and each member delivers it in order without a gap. Where a
 * member cuts off any of it, a quorum still has it. What a member has said to be durable is there after a crash. Trees at
 * the same zxid have the same digest; none is ahead of its log.
 */

import type { StateMachine } from '../../../src/datatree/apply.ts'
import { id64Hex } from '../../../src/jute/id64.ts'
import { counterOf, epochOf, zxidHex } from '../../../src/jute/zxid.ts'
import type { Epoch, Quorum, Role, StartState } from '../../../src/zab/types.ts'
import { law } from '../failure.ts'
import { Model } from '../model.ts'
import { RequestChecker } from './requests.ts'

/** What is known of one member's files and memory. */
class Record {
  /** All it has logged, as if no snapshot had ever stood in for a part of it; ascending. */
  log: number[]
  durable: number
  /** So many entries of `log` are known to be those of the committed list. */
  agreed: number
  /** Where its tree stands. */
  delivered: number
  acceptedEpoch: number
  currentEpoch: number
  role: Role
  /** The epoch it leads, once established; -1 otherwise. */
  leading: number
  /** A change of its files is under way: a crash leaves the history before it, or the one behind it. */
  change: { how: 'snap' | 'trunc'; zxid: number } | null

  /** Where all histories of this world begin. */
  private readonly base: number

  constructor(base: number) {
    this.base = base
    this.log = []
    this.durable = base
    this.agreed = 0
    this.delivered = base
    this.acceptedEpoch = 0
    this.currentEpoch = 0
    this.role = 'looking'
    this.leading = -1
    this.change = null
  }

  get logEnd(): number {
    return this.log.length === 0 ? this.base : this.log[this.log.length - 1]!
  }

  has(zxid: number): boolean {
    // Looked for near the end nearly always.
    for (let i = this.log.length - 1; i >= 0 && this.log[i]! >= zxid; i--) if (this.log[i] === zxid) return true
    return false
  }

  /** The last entry at or before `zxid`; 0: none. */
  endUpTo(zxid: number): number {
    return this.log.findLast((logged) => logged <= zxid) ?? this.base
  }

  cut(zxid: number): void {
    let length = this.log.length
    while (length > 0 && this.log[length - 1]! > zxid) length--
    this.log.length = length
    this.agreed = Math.min(this.agreed, length)
    this.durable = Math.min(this.durable, zxid)
  }
}

export class HistoryChecker {
  readonly model: Model
  readonly requests: RequestChecker
  /** Called for each transaction as it becomes committed. */
  onCommitted: (zxid: number) => void
  /** Configurations that have been in force, by version. */
  private readonly quorums: Quorum[]
  private readonly records: Map<number, Record>
  private readonly proposals: Map<number, Uint8Array>
  /** The entry that its leader had ahead of each proposal. */
  private readonly parents: Map<number, number>
  private readonly digests: Map<number, string>
  private readonly leaders: Map<number, number>

  constructor() {
    this.model = new Model()
    this.requests = new RequestChecker()
    this.onCommitted = () => {}
    this.quorums = []
    this.records = new Map()
    this.proposals = new Map()
    this.parents = new Map()
    this.digests = new Map()
    this.leaders = new Map()
  }

  record(sid: number): Record {
    let record = this.records.get(sid)
    if (record === undefined) {
      record = new Record(this.model.base)
      this.records.set(sid, record)
    }
    return record
  }

  proposal(zxid: number): Uint8Array {
    return this.proposals.get(zxid)!
  }

  /** A configuration comes into force. */
  configured(quorum: Quorum): void {
    const { quorums } = this
    const index = quorums.findIndex(({ version }) => version >= quorum.version)
    if (index < 0) quorums.push(quorum)
    else if (quorums[index]!.version !== quorum.version) quorums.splice(index, 0, quorum)
  }

  /** Its disk was replaced by an empty one. */
  wiped(sid: number): void {
    this.records.delete(sid)
  }

  changing(sid: number, how: 'snap' | 'trunc', zxid: number): void {
    this.record(sid).change = { how, zxid }
  }

  recovered(sid: number, start: StartState, state: StateMachine): void {
    const record = this.record(sid)
    const zxidLast = Math.max(0, start.zxidLast)
    const { change } = record
    if (change?.how === 'snap' && zxidLast === change.zxid) this.loaded(sid, zxidLast)
    else if (change?.how === 'trunc' && zxidLast < record.logEnd && zxidLast >= record.endUpTo(change.zxid)) {
      this.cut(sid, record, zxidLast)
    }
    record.change = null
    law(
      zxidLast >= record.durable,
      'I1',
      () => `s${sid} said that ${zxidHex(record.durable)} was durable, and starts again at ${zxidHex(zxidLast)}`,
    )
    record.cut(zxidLast)
    law(
      counterOf(zxidLast) === 0 || record.logEnd === zxidLast,
      'I2',
      () => `s${sid} recovers ${zxidHex(zxidLast)}, but has logged up to ${zxidHex(record.logEnd)} only`,
    )
    record.durable = zxidLast
    record.delivered = record.logEnd
    law(start.acceptedEpoch >= start.currentEpoch, 'I9', () => `s${sid}: acceptedEpoch is below currentEpoch`)
    law(
      start.currentEpoch >= epochOf(zxidLast),
      'I9',
      () => `s${sid}: currentEpoch ${start.currentEpoch} is below that of ${zxidHex(zxidLast)}`,
    )
    law(
      start.acceptedEpoch >= record.acceptedEpoch && start.currentEpoch >= record.currentEpoch,
      'I9',
      () => `s${sid}: an epoch that was saved is lost`,
    )
    record.acceptedEpoch = start.acceptedEpoch
    record.currentEpoch = start.currentEpoch
    this.checkDigest(sid, record.logEnd, state)
  }

  appended(sid: number, zxid: number, bytes: Uint8Array): void {
    const record = this.record(sid)
    const known = this.proposals.get(zxid)
    if (known === undefined) {
      law(
        record.leading === epochOf(zxid),
        'I2',
        () => `s${sid} logs ${zxidHex(zxid)}, which no leader of that epoch has proposed`,
      )
      this.proposals.set(zxid, bytes.slice())
      this.parents.set(zxid, record.logEnd)
    } else {
      law(Buffer.compare(known, bytes) === 0, 'I3', () => `${zxidHex(zxid)} is something else on s${sid}`)
    }
    const last = record.logEnd
    law(zxid > last, 'I9', () => `s${sid} logs ${zxidHex(zxid)} behind ${zxidHex(last)}`)
    law(
      epochOf(zxid) === epochOf(last) ? zxid === last + 1 : counterOf(zxid) === 1,
      'I9',
      () => `s${sid} logs ${zxidHex(zxid)} behind ${zxidHex(last)}: a hole`,
    )
    const parent = this.parents.get(zxid)!
    law(
      last === parent,
      'I3',
      () => `s${sid} logs ${zxidHex(zxid)} behind ${zxidHex(last)}, its leader had ${zxidHex(parent)} there`,
    )
    record.log.push(zxid)
  }

  durable(sid: number, zxid: number): void {
    const record = this.record(sid)
    law(zxid <= record.logEnd, 'I1', () => `s${sid} calls ${zxidHex(zxid)} durable and has not logged it`)
    record.durable = Math.max(record.durable, zxid)
  }

  truncated(sid: number, zxid: number, state: StateMachine): void {
    const record = this.record(sid)
    record.change = null
    this.cut(sid, record, zxid)
    record.durable = record.logEnd
    // The cut may bear the name of an epoch's beginning, which no entry has.
    record.delivered = Math.min(record.delivered, record.logEnd)
    // A leader's tree bears the name of the epoch that it began.
    law(
      state.zxidLast <= zxid || counterOf(state.zxidLast) === 0,
      'I3',
      () => `s${sid} has cut its log at ${zxidHex(zxid)}, and its tree stands at ${zxidHex(state.zxidLast)}`,
    )
    this.checkDigest(sid, record.delivered, state)
  }

  /**
   * A learner that comes back with a proposal still outstanding has it cut off and sent again, as in Java; others may
   * commit it meanwhile. What must hold is that a quorum has it, without this one.
   */
  private cut(sid: number, record: Record, zxid: number): void {
    const committed = record.log.filter((logged) => logged > zxid && this.model.entry(logged) !== undefined)
    record.cut(zxid)
    for (const logged of committed) this.checkQuorum(`s${sid} cuts off`, logged, Number.POSITIVE_INFINITY)
  }

  /**
   * A tree at `zxid` takes the place of what was there. A new leader's may hold what it has logged and nobody has
   * committed yet: a zxid names a whole history, and that is the one of whoever has logged it.
   */
  loaded(sid: number, zxid: number): void {
    const record = this.record(sid)
    record.change = null
    const { entries } = this.model
    const committed = this.model.indexAt(zxid) + 1
    let log = entries.slice(0, committed).map((entry) => entry.zxid)
    if (counterOf(zxid) !== 0 && zxid !== this.model.base && log.at(-1) !== zxid) {
      const source = [...this.records.values()].find((other) => other.has(zxid))
      law(source !== undefined, 'I2', () => `s${sid} is given a tree at ${zxidHex(zxid)}, which nobody has logged`)
      log = source.log.slice(0, source.log.indexOf(zxid) + 1)
    }
    law(
      record.agreed <= committed,
      'I1',
      () => `s${sid} is given a tree at ${zxidHex(zxid)} in the place of a longer committed history`,
    )
    record.log = log
    record.agreed = 0
    while (
      record.agreed < Math.min(log.length, entries.length) &&
      log[record.agreed] === entries[record.agreed]!.zxid
    ) {
      record.agreed++
    }
    record.durable = record.logEnd
    record.delivered = record.logEnd
  }

  delivered(sid: number, zxid: number, bytes: Uint8Array, state: StateMachine): void {
    const record = this.record(sid)
    law(zxid <= record.logEnd, 'I3', () => `s${sid} delivers ${zxidHex(zxid)} and has not logged it`)
    if (record.role === 'leading' && record.leading === -1) {
      this.adopted(sid, record, zxid, bytes, state)
      return
    }
    this.commit(sid, record, zxid)
    const entry = this.model.entry(zxid)
    law(entry !== undefined, 'I3', () => `s${sid} delivers ${zxidHex(zxid)}, which others passed over`)
    law(Buffer.compare(entry.bytes, bytes) === 0, 'I3', () => `s${sid} delivers another ${zxidHex(zxid)}`)
    const before = this.model.before(zxid)
    law(
      record.delivered === before,
      'I3',
      () => `s${sid} delivers ${zxidHex(zxid)} with its tree at ${zxidHex(record.delivered)}, not ${zxidHex(before)}`,
    )
    record.delivered = zxid
    this.checkDigest(sid, zxid, state)
  }

  /** A leader that is not established yet puts into its tree what it is about to adopt: no commit yet. */
  private adopted(sid: number, record: Record, zxid: number, bytes: Uint8Array, state: StateMachine): void {
    const before = record.endUpTo(zxid - 1)
    law(record.has(zxid) && record.delivered === before, 'I3', () => `s${sid} adopts ${zxidHex(zxid)} out of order`)
    law(Buffer.compare(this.proposals.get(zxid)!, bytes) === 0, 'I3', () => `s${sid} adopts another ${zxidHex(zxid)}`)
    record.delivered = zxid
    this.checkDigest(sid, zxid, state)
  }

  role(sid: number, role: Role): void {
    const record = this.record(sid)
    record.role = role
    record.leading = -1
  }

  ended(sid: number): void {
    this.role(sid, 'looking')
  }

  established(sid: number, role: Role, leader: number, epoch: number): void {
    const record = this.record(sid)
    if (role === 'leading') {
      const other = this.leaders.get(epoch)
      law(other === undefined || other === sid, 'I4', () => `s${other} and s${sid} both lead epoch ${epoch}`)
      law(other === undefined, 'I4', () => `s${sid} leads epoch ${epoch} a second time`)
      this.leaders.set(epoch, sid)
      record.leading = epoch
      this.commit(sid, record, record.logEnd)
      law(
        record.agreed === this.model.entries.length,
        'I1',
        () =>
          `s${sid} leads epoch ${epoch} with ${record.agreed} of ${this.model.entries.length} committed transactions`,
      )
      law(
        record.delivered === record.logEnd,
        'I3',
        () => `s${sid} adopts up to ${zxidHex(record.logEnd)}, and its tree stands at ${zxidHex(record.delivered)}`,
      )
    } else {
      const led = this.leaders.get(epoch)
      // An observer that came by way of an observer master may have the leader's name from votes of before.
      const right = role === 'observing' ? led !== undefined : led === leader
      law(right, 'I4', () => `s${sid} takes part in epoch ${epoch} under s${leader}, which s${led} leads`)
    }
    law(
      role === 'observing' ? record.acceptedEpoch >= epoch : record.acceptedEpoch === epoch,
      'I9',
      () => `s${sid} takes part in epoch ${epoch} and has promised ${record.acceptedEpoch}`,
    )
    law(
      record.currentEpoch === epoch,
      'I9',
      () => `s${sid} is established in ${epoch}, its file says ${record.currentEpoch}`,
    )
  }

  /** It is established and serves: its tree is no moving picture any more. */
  serves(sid: number, state: StateMachine): void {
    law(!state.fuzzy, 'I3', () => `s${sid} serves from a tree that is a moving picture`)
    this.checkDigest(sid, this.record(sid).delivered, state)
  }

  epochSaved(sid: number, which: Epoch, epoch: number): void {
    const record = this.record(sid)
    if (which === 'accepted') record.acceptedEpoch = epoch
    else record.currentEpoch = epoch
    law(record.acceptedEpoch >= record.currentEpoch, 'I9', () => `s${sid}: currentEpoch passes acceptedEpoch`)
  }

  /** All that this member has logged up to `zxid` is committed, by its word. */
  private commit(sid: number, record: Record, zxid: number): void {
    const { entries } = this.model
    for (let i = record.agreed; i < record.log.length && record.log[i]! <= zxid; i++) {
      const logged = record.log[i]!
      if (i < entries.length) {
        law(
          entries[i]!.zxid === logged,
          'I3',
          () => `s${sid} has ${zxidHex(logged)} where ${zxidHex(entries[i]!.zxid)} is committed`,
        )
      } else {
        // The configuration ahead of it decides, and the one that it brings itself.
        this.checkQuorum(`s${sid} commits`, logged, logged - 1)
        if (this.quorumAt(logged)?.version === logged) this.checkQuorum(`s${sid} commits`, logged, logged)
        this.requests.onCommitted(this.model.apply(this.proposals.get(logged)!))
        this.onCommitted(logged)
      }
      record.agreed = i + 1
    }
  }

  /** The configuration in force at `zxid`. */
  private quorumAt(zxid: number): Quorum | undefined {
    return this.quorums.findLast(({ version }) => version <= zxid) ?? this.quorums[0]
  }

  private checkQuorum(what: string, zxid: number, decidedAt: number): void {
    const holders = new Set<number>()
    for (const [holder, record] of this.records) {
      if (record.durable >= zxid && record.has(zxid)) holders.add(holder)
    }
    law(
      this.quorumAt(decidedAt)?.containsQuorum(holders) === true,
      'I1',
      () => `${what} ${zxidHex(zxid)}, durable on ${[...holders].map((h) => `s${h}`).join(' ') || 'none'} only`,
    )
  }

  private checkDigest(sid: number, zxid: number, state: StateMachine): void {
    if (state.fuzzy) return
    const digest = id64Hex(state.tree.digestHi, state.tree.digestLo)
    const known = this.digests.get(zxid)
    if (known === undefined) this.digests.set(zxid, digest)
    else law(known === digest, 'I3', () => `s${sid} has digest ${digest} at ${zxidHex(zxid)}, another had ${known}`)
  }
}
