/**
 * I2 and I5 over a session's whole life: a request becomes one transaction at most, wherever it went; those that take
 * effect do so in the order the client sent them, over all its connections (N6: what is late is refused, not done); and
 * one that was answered with an error never takes effect, not later either.
 */

import { OpCode } from '../../../src/jute/codes.ts'
import { zxidHex } from '../../../src/jute/zxid.ts'
import { law } from '../failure.ts'
import type { Entry } from '../model.ts'

export class RequestChecker {
  /** Session and cxid of what is committed, with its entry. */
  private readonly committed: Map<string, Entry>
  private readonly refused: Set<string>
  /** The last cxid of each session that took effect. */
  private readonly lastDone: Map<string, number>

  constructor() {
    this.committed = new Map()
    this.refused = new Set()
    this.lastDone = new Map()
  }

  onCommitted(entry: Entry): void {
    const { session, cxid, zxid, err, type } = entry
    if (cxid <= 0) return // of a server's own, or the creation of a session
    const key = keyOf(session, cxid)
    const before = this.committed.get(key)
    law(
      before === undefined,
      'I2',
      () => `request ${cxid} of ${session} is committed at ${zxidHex(before!.zxid)} and again at ${zxidHex(zxid)}`,
    )
    this.committed.set(key, entry)
    if (err !== 0) return
    law(
      !this.refused.has(key),
      'I2',
      () => `request ${cxid} of ${session} was refused, and is done at ${zxidHex(zxid)}`,
    )
    // One that closes the session is done wherever it comes from and however late, as in Java: nothing comes behind it.
    if (type === OpCode.closeSession) return
    const last = this.lastDone.get(session) ?? 0
    law(cxid > last, 'I5', () => `request ${cxid} of ${session} is done at ${zxidHex(zxid)}, behind request ${last}`)
    this.lastDone.set(session, cxid)
  }

  /** A client was told that its request came to nothing. */
  onRefused(session: string, cxid: number, err: number): void {
    const key = keyOf(session, cxid)
    const entry = this.committed.get(key)
    law(
      entry === undefined || entry.err !== 0,
      'I2',
      () => `request ${cxid} of ${session} is answered ${err}, and was done at ${zxidHex(entry!.zxid)}`,
    )
    this.refused.add(key)
  }
}

function keyOf(session: string, cxid: number): string {
  return `${session} ${cxid}`
}
