/** Session ids, passwords and expiry: SessionTrackerImpl and ExpiryQueue of Java. */

import { describe, expect, it } from 'vitest'
import { JAVA_PASSWORDS, passwordMatches, writeJavaPassword } from '../../../src/server/access/sessionpasswords.ts'
import { Sessions } from '../../../src/server/requests/sessions.ts'

const TICK = 500

function expired(sessions: Sessions, nowMs: number): string[] {
  const ids: string[] = []
  sessions.expire(nowMs, ({ hi, lo }) => ids.push(`${hi}:${lo}`))
  return ids
}

describe('passwords', () => {
  it('are java.util.Random seeded with id XOR 0xB3415C00 (recorded from 3.9.5)', () => {
    const password = new Uint8Array(16)
    writeJavaPassword(0x01000_00b, 0x85200000 | 0, password, 0)
    expect(Buffer.from(password).toString('hex')).toBe('52bcbb59770c4e648004232c183396fc')
  })

  it('match only as a whole, and never for session 0 (S2)', () => {
    const password = new Uint8Array(16)
    writeJavaPassword(5, -7, password, 0)
    expect(passwordMatches(JAVA_PASSWORDS, 5, -7, password)).toBe(true)
    expect(passwordMatches(JAVA_PASSWORDS, 5, -6, password)).toBe(false)
    expect(passwordMatches(JAVA_PASSWORDS, 5, -7, password.subarray(0, 15))).toBe(false)
    expect(passwordMatches(JAVA_PASSWORDS, 5, -7, null)).toBe(false)
    writeJavaPassword(0, 0, password, 0)
    expect(passwordMatches(JAVA_PASSWORDS, 0, 0, password)).toBe(false)
  })
})

describe('session ids', () => {
  it('carry the server id, then milliseconds, then a count that carries over', () => {
    const sessions = new Sessions(TICK, 1, 0x12_3456_ffff, 0)
    const first = sessions.create(1000, 0)
    expect([first.hi >>> 0, first.lo >>> 0]).toEqual([0x0112_3456, 0xffff_0000])
    let last = first
    for (let i = 0; i < 0x1_0000; i++) last = sessions.create(1000, 0)
    expect([last.hi >>> 0, last.lo >>> 0]).toEqual([0x0112_3457, 0])
  })
})

describe('expiry', () => {
  it('comes at the end of the tick in which the timeout ends, not before', () => {
    const sessions = new Sessions(TICK, 1, 0, 0)
    const session = sessions.create(1000, 100)
    expect(session.deadlineMs).toBe(1500)
    expect(expired(sessions, 1499)).toEqual([])
    expect(expired(sessions, 1500)).toHaveLength(1)
    expect(session.closing).toBe(true)
  })

  it('is put off by a touch, also when the bucket comes due long before the deadline', () => {
    const sessions = new Sessions(TICK, 1, 0, 0)
    const session = sessions.create(1000, 0)
    for (let now = 400; now < 10_000; now += 400) {
      expect(sessions.touch(session, now)).toBe(true)
      expect(expired(sessions, now)).toEqual([])
    }
    expect(expired(sessions, 20_000)).toHaveLength(1)
  })

  it('obeys a shorter timeout that was negotiated on reattach', () => {
    const sessions = new Sessions(TICK, 1, 0, 0)
    const session = sessions.create(20_000, 0)
    session.timeoutMs = 1000
    sessions.touch(session, 0)
    expect(expired(sessions, 1500)).toHaveLength(1)
  })

  it('happens once, and never to a session that was removed (S3)', () => {
    const sessions = new Sessions(TICK, 1, 0, 0)
    const a = sessions.create(1000, 0)
    const b = sessions.create(1000, 0)
    sessions.remove(b.hi, b.lo)
    expect(expired(sessions, 5000)).toEqual([`${a.hi}:${a.lo}`])
    expect(expired(sessions, 50_000)).toEqual([])
    expect(sessions.touch(a, 5000)).toBe(false)
  })

  it('starts anew with a full timeout after a pause of our own (T2)', () => {
    const sessions = new Sessions(TICK, 1, 0, 0)
    sessions.create(1000, 0)
    sessions.grantFullTimeouts(60_000)
    expect(expired(sessions, 61_000)).toEqual([])
    expect(expired(sessions, 61_500)).toHaveLength(1)
  })

  it('shows the buckets in order', () => {
    const sessions = new Sessions(TICK, 1, 0, 0)
    sessions.create(3000, 0)
    sessions.create(1000, 0)
    sessions.create(1100, 0)
    expect([...sessions.expiryMap()].map(([at, list]) => [at, list.length])).toEqual([
      [1500, 2],
      [3500, 1],
    ])
  })
})

describe('sessions that the leader tracks', () => {
  it('have no deadline here: neither expiry, nor a pause, nor a listing touches them', () => {
    const sessions = new Sessions(TICK, 2, 0, 0)
    const attached = sessions.attach(0x0300_0000, 1, 1000)
    const own = sessions.createAttached(1000)
    const local = sessions.create(1000, 0)
    local.local = true
    const upgraded = sessions.create(1000, 0)
    upgraded.local = true
    sessions.handOver(upgraded)
    expect(sessions.countLocal()).toBe(1)
    sessions.grantFullTimeouts(5000)
    expect([...sessions.expiryMap().values()].flat()).toEqual([local])
    expect(expired(sessions, 100_000)).toEqual([`${local.hi}:${local.lo}`])
    expect([attached, own, upgraded].map((session) => session.closing)).toEqual([false, false, false])
    expect(sessions.attach(0x0300_0000, 1, 3000)).toBe(attached)
    expect(attached.timeoutMs).toBe(3000)
  })

  it('are numbered by the server that makes them, and it knows its own (also above 127)', () => {
    const sessions = new Sessions(TICK, 200, 0, 0)
    const first = sessions.createAttached(1000)
    const second = sessions.create(1000, 0)
    expect([sessions.isOwnId(first.hi), sessions.isOwnId(second.hi), sessions.isOwnId(0x0100_0000)]).toEqual([
      true,
      true,
      false,
    ])
    expect(second.lo - first.lo).toBe(1)
  })
})
