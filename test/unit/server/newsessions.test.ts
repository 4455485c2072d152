/** Many clients that want sessions at once: those who have one come first, and the gate never stays closed. */

import { describe, expect, it } from 'vitest'
import { CREATIONS_MAX } from '../../../src/server/requests/newsessions.ts'
import { Ensemble, Harness, type TestClient } from './harness.ts'

function crowd(harness: Harness, count: number): TestClient[] {
  const clients = Array.from({ length: count }, () => harness.newClient())
  for (const client of clients) client.connect()
  return clients
}

const served = (clients: TestClient[]): number =>
  clients.filter(({ conn, handshakes }) => !conn.connecting && handshakes.length === 1).length

describe('new sessions (S5)', () => {
  it('are made so many at a time, in the order they were asked for, and all of them in the end', () => {
    const harness = new Harness()
    const clients = crowd(harness, 3 * CREATIONS_MAX)
    expect(harness.proposals.count).toBe(CREATIONS_MAX)
    harness.settle(10)
    expect(served(clients.slice(0, 10))).toBe(10)
    expect(harness.proposals.count).toBe(CREATIONS_MAX)
    while (harness.proposals.count > 0) harness.settle(CREATIONS_MAX)
    expect(served(clients)).toBe(clients.length)
    const ids = clients.map(({ sessionId }) => sessionId[1])
    expect(ids).toEqual([...ids].sort((a, b) => a - b))
    expect(harness.pipeline.inProcess).toBe(0)
  })

  it('let those who come back with a session go first', () => {
    const harness = new Harness()
    const old = harness.client()
    harness.drop(old)
    crowd(harness, 3 * CREATIONS_MAX)
    const back = harness.newClient()
    back.takeUp(old)
    harness.flush()
    expect(back.sessionId).toEqual(old.sessionId)
  })

  it('are made at a member that follows as well, and those that come back are asked for at once', () => {
    const ensemble = new Ensemble(1)
    const learner = ensemble.learners[0]!
    const old = ensemble.client(0)
    learner.drop(old)
    const clients = crowd(learner, 2 * CREATIONS_MAX)
    const back = learner.newClient()
    back.takeUp(old)
    expect(ensemble.up[0]!.filter((message) => 'revalidate' in message)).toHaveLength(1)
    expect(ensemble.up[0]).toHaveLength(CREATIONS_MAX + 1)
    ensemble.settle()
    expect(served([...clients, back])).toBe(2 * CREATIONS_MAX + 1)
  })

  it('are not made for clients that have gone meanwhile', () => {
    const harness = new Harness()
    const clients = crowd(harness, CREATIONS_MAX + 2)
    harness.drop(clients[CREATIONS_MAX]!)
    harness.drop(clients[0]!)
    harness.settle(1)
    expect(clients[CREATIONS_MAX]!.conn.session).toBeNull()
    expect(clients[CREATIONS_MAX + 1]!.conn.session).not.toBeNull()
    while (harness.proposals.count > 0) harness.settle()
    expect(crowd(harness, CREATIONS_MAX).every(({ conn }) => conn.session !== null)).toBe(true)
  })

  it('that wait for so long that the client has given up are turned away', () => {
    const harness = new Harness()
    const clients = crowd(harness, CREATIONS_MAX + 1)
    const last = clients.at(-1)!
    harness.nowMs += 3000
    harness.pipeline.onTick(harness.nowMs)
    expect(last.closed).toBeNull()
    harness.nowMs += 1000
    harness.pipeline.onTick(harness.nowMs) // its timeout is 10 s, and it may have three servers
    expect(last.closed).toMatch(/too long/)
    expect(harness.metrics.counters.connection_rejected).toBe(1)
  })
})
