/**
 * I7, T2, S2: when sessions end. A leader gives a session up only when it could have heard of it for a whole timeout and
 * did not: since it was established, since it last woke up from a stop, since it last heard of the session itself. And a
 * client is told that its session is over only when somebody has proposed to end it.
 */

import { OpCode } from '../../../src/jute/codes.ts'
import { id64Hex } from '../../../src/jute/id64.ts'
import { Input } from '../../../src/jute/input.ts'
import { readTxnHeader } from '../../../src/jute/records.ts'
import { law } from '../failure.ts'
import type { Model } from '../model.ts'

/** Clocks of machines tick in whole milliseconds. */
const GRAIN_US = 2000

export class SessionChecker {
  private readonly model: Model
  private readonly nowUs: () => number
  /** A stop of this length is one that a server notices. */
  private readonly stopUs: number
  /** Sessions whose end was proposed. */
  private readonly ending: Set<string>
  /** Leaders: what each has heard since it was established, and since when it is awake. */
  private readonly leaders: Map<number, { sinceUs: number; heardUs: Map<string, number> }>

  constructor(model: Model, tickMs: number, nowUs: () => number) {
    this.model = model
    this.nowUs = nowUs
    this.stopUs = 2 * tickMs * 1000
    this.ending = new Set()
    this.leaders = new Map()
  }

  leads(sid: number): void {
    this.leaders.set(sid, { sinceUs: this.nowUs(), heardUs: new Map() })
  }

  leadsNoMore(sid: number): void {
    this.leaders.delete(sid)
  }

  woke(sid: number, stoppedUs: number): void {
    const leader = this.leaders.get(sid)
    if (leader !== undefined && stoppedUs >= this.stopUs) leader.sinceUs = this.nowUs()
  }

  /** This member, if it leads, has heard of the session at that time or later. */
  heard(sid: number, session: string, atUs: number): void {
    const leader = this.leaders.get(sid)
    if (leader === undefined || atUs <= (leader.heardUs.get(session) ?? 0)) return
    leader.heardUs.set(session, atUs)
  }

  /** A leader logs what it proposes. */
  proposed(sid: number, bytes: Uint8Array): void {
    const { clientIdHi, clientIdLo, cxid, type } = readTxnHeader(new Input(bytes))
    const session = id64Hex(clientIdHi, clientIdLo)
    if (type === OpCode.createSession) this.heard(sid, session, this.nowUs())
    if (type !== OpCode.closeSession) return
    this.ending.add(session)
    const known = this.model.sessions.get(session)
    const leader = this.leaders.get(sid)
    // With a cxid it is the client's own wish. Without one and of a session that is over: ephemerals were left of it.
    if (cxid !== 0 || leader === undefined || known === undefined || known.closedZxid !== null) return
    const silentUs = this.nowUs() - Math.max(leader.sinceUs, leader.heardUs.get(session) ?? 0)
    law(
      silentUs + GRAIN_US >= known.timeoutMs * 1000,
      'I7',
      () =>
        `s${sid} lets ${session} expire after ${Math.round(silentUs / 1000)} ms in which it could have heard of it, not ${known.timeoutMs}`,
    )
  }

  /** A client is told that its session is over. */
  over(client: string, session: string): void {
    law(this.ending.has(session), 'S2', () => `${client} is told that ${session} is over, and nobody has ended it`)
  }
}
