/**
 * Which situations of faults-and-security.md a run came into: counted when they were seen, not when a fault was drawn
 * that may lead there. What is done to wires, clocks and clients is a situation in itself; faults.ts counts that, and
 * where clients or logs tell of it (S1, S2, S4, N6, E10), client.ts and machine.ts.
 *
 *   C1   ends with a log file that has no record          C11  the leader is lost while a history is cut
 *   C3   ends with records that are not synced            C13  nobody is up any more
 *   C4   ends with synced records that are not delivered  C14  ends while a history is cut
 *   C5   ends with a snapshot half written                C15  ends between two configurations
 *   C7   ends between the two epoch files                 C16  ends for the third time within two seconds
 *   C8   ends behind NEWLEADER, not established           E1   an established leader ends
 *   C9   is told of a commit there                        E2   is brought up to date (each way counts)
 *   C10  the leader is lost while it sends a tree         E3   cuts what was never committed
 *   D1   steps aside for want of room                     T1   a leader goes on after a stop
 *   D2   ends because a call of the disk failed           T2   another one does
 *   T5   a container or a TTL node is removed
 */

import { OpCode } from '../../src/jute/codes.ts'
import { Input } from '../../src/jute/input.ts'
import { readTxnHeader } from '../../src/jute/records.ts'
import { PARTIAL_PREFIX } from '../../src/txnlog/names.ts'
import type { Role } from '../../src/zab/types.ts'
import type { HistoryChecker } from './checkers/history.ts'
import { bump } from './counts.ts'
import type { Machine } from './machine.ts'

const NEWLEADER = 10
const COMMIT = 4
const INFORM = 8
const FOLDER = '/data/version-2'
const LOG_HEADER_BYTES = 16
const OFTEN_US = 2_000_000

/** What of a member no checker keeps. */
interface Seen {
  up: boolean
  established: boolean
  role: Role
  newLeader: boolean
  config: { seen: number; committed: number }
  endsUs: number[]
}

export class Coverage {
  private readonly ids: Map<string, number>
  private readonly history: HistoryChecker
  private readonly nowUs: () => number
  private readonly members: Map<number, Seen>

  constructor(ids: Map<string, number>, history: HistoryChecker, nowUs: () => number) {
    this.ids = ids
    this.history = history
    this.nowUs = nowUs
    this.members = new Map()
  }

  private of({ sid }: Machine): Seen {
    let seen = this.members.get(sid)
    if (seen === undefined) {
      const config = { seen: 0, committed: 0 }
      seen = { up: false, established: false, role: 'looking', newLeader: false, config, endsUs: [] }
      this.members.set(sid, seen)
    }
    return seen
  }

  private saw(id: string): void {
    bump(this.ids, id)
  }

  recovered(machine: Machine): void {
    const seen = this.of(machine)
    seen.up = true
    seen.established = seen.newLeader = false
  }

  appended(machine: Machine, bytes: Uint8Array): void {
    const { type } = readTxnHeader(new Input(bytes))
    if (type === OpCode.deleteContainer && this.of(machine).role === 'leading') this.saw('T5')
  }

  heard(machine: Machine, packet: DataView): void {
    if (packet.byteLength < 4) return
    const seen = this.of(machine)
    const type = packet.getInt32(0)
    if (type === NEWLEADER) seen.newLeader = true
    else if (seen.newLeader && !seen.established && (type === COMMIT || type === INFORM)) this.saw('C9')
  }

  /** Before the history learns of it. */
  role(machine: Machine, role: Role): void {
    const seen = this.of(machine)
    const { change } = this.history.record(machine.sid)
    if (role === 'looking' && change !== null) this.saw(change.how === 'trunc' ? 'C11' : 'C10')
    seen.role = role
    seen.established = seen.newLeader = false
  }

  established(machine: Machine, sync: string): void {
    const seen = this.of(machine)
    seen.established = true
    if (seen.role === 'leading') return
    this.saw('E2')
    if (sync === 'trunc') this.saw('E3')
  }

  configured(machine: Machine, version: number, committed: boolean): void {
    this.of(machine).config[committed ? 'committed' : 'seen'] = version
  }

  woke(machine: Machine): void {
    const seen = this.of(machine)
    this.saw(seen.established && seen.role === 'leading' ? 'T1' : 'T2')
  }

  /** Before the history learns of it: killed, without power, by itself, or aside. */
  ended(machine: Machine): void {
    const seen = this.of(machine)
    if (!seen.up) return
    seen.up = false
    const record = this.history.record(machine.sid)
    const last = record.log.at(-1) ?? 0
    if (last > record.durable) this.saw('C3')
    if (record.durable > record.delivered) this.saw('C4')
    if (record.acceptedEpoch > record.currentEpoch) this.saw('C7')
    if (seen.newLeader && !seen.established) this.saw('C8')
    if (record.change?.how === 'trunc') this.saw('C14')
    if (seen.config.seen > seen.config.committed) this.saw('C15')
    if (seen.established && seen.role === 'leading') this.saw('E1')
    this.lookAtFiles(machine)
    this.countEnds(seen)
    this.whyItEnded(machine)
    if ([...this.members.values()].every(({ up }) => !up)) this.saw('C13')
  }

  private lookAtFiles({ disk }: Machine): void {
    for (const name of disk.names(FOLDER)) {
      if (name.startsWith(PARTIAL_PREFIX)) this.saw('C5')
      if (!name.startsWith('log.')) continue
      const bytes = disk.get(`${FOLDER}/${name}`)!
      if (bytes.subarray(LOG_HEADER_BYTES, LOG_HEADER_BYTES + 16).every((byte) => byte === 0)) this.saw('C1')
    }
  }

  private countEnds(seen: Seen): void {
    const nowUs = this.nowUs()
    seen.endsUs = [...seen.endsUs.filter((us) => nowUs - us < OFTEN_US), nowUs]
    if (seen.endsUs.length >= 3) this.saw('C16')
  }

  private whyItEnded(machine: Machine): void {
    if (machine.process?.asideFor != null) this.saw('D1')
    else if (machine.endedBy !== null) this.saw('D2')
  }
}
