/** Local sessions: known to one member alone, until they are about to own something. */

import { describe, expect, it } from 'vitest'
import { Err, OpCode } from '../../../src/jute/codes.ts'
import { Input } from '../../../src/jute/input.ts'
import type { Output } from '../../../src/jute/output.ts'
import type { ForwardedRequest } from '../../../src/zab/types.ts'
import { bool, create, Ensemble, Harness, type HarnessOptions, path, type TestClient } from './harness.ts'

const READ_A = path('/a', bool(false))
const EPHEMERAL = 1
const LOCAL: HarnessOptions = { localSessions: true }
const UPGRADING: HarnessOptions = { localSessions: true, upgrading: true }

const outcomes = (client: TestClient): [xid: number, err: number][] => client.replies.map(({ xid, err }) => [xid, err])
const types = (ensemble: Ensemble): number[] => ensemble.log.map((txn) => new Input(txn, 28).int())
const owned = (harness: Harness, [hi, lo]: [number, number]): number => {
  let count = 0
  harness.state.tree.forEachEphemeral(hi, lo, () => count++)
  return count
}

function multiOf(...bodies: ((out: Output) => void)[]): (out: Output) => void {
  return (out) => {
    for (const write of bodies) {
      out.int(OpCode.create)
      out.bool(false)
      out.int(-1)
      write(out)
    }
    out.int(-1)
    out.bool(true)
    out.int(-1)
  }
}

/** Error codes of a multi's entries. */
function entryErrors(body: Uint8Array): number[] {
  const input = new Input(body)
  const errors: number[] = []
  for (;;) {
    expect(input.int()).toBe(-1)
    const done = input.bool()
    const err = input.int()
    if (done) return errors
    expect(input.int()).toBe(err)
    errors.push(err)
  }
}

describe.each(['leader', 'learner'] as const)('a local session at a %s', (where) => {
  const begin = (options = LOCAL): { ensemble: Ensemble; server: Harness; client: TestClient } => {
    const ensemble = new Ensemble(2, options)
    const server = where === 'leader' ? ensemble.leader : ensemble.learners[0]!
    const client = server.newClient()
    expect(client.connect()).toBe(true)
    server.flush()
    expect(client.sessionId).not.toEqual([0, 0])
    return { ensemble, server, client }
  }

  it('begins at once, without a transaction, known to nobody else', () => {
    const { ensemble, server, client } = begin()
    ensemble.settle()
    ensemble.ping()
    expect(ensemble.log).toEqual([])
    expect(ensemble.all.map(({ sessions }) => sessions.count)).toEqual(
      ensemble.all.map((each) => (each === server ? 1 : 0)),
    )
    expect(server.sessions.countLocal()).toBe(1)
    expect(server.state.sessions.size).toBe(0)
    client.send(OpCode.ping, () => {}, -2)
    server.flush()
    expect(outcomes(client)).toEqual([[-2, 0]])
  })

  it('reads and writes like any other', () => {
    const { ensemble, client } = begin()
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.getData, READ_A)
    client.send(OpCode.createContainer, create('/c', 4))
    client.send(OpCode.multi, multiOf(create('/b')))
    ensemble.settle()
    expect(outcomes(client)).toEqual([
      [1, 0],
      [2, 0],
      [3, 0],
      [4, 0],
    ])
    expect(types(ensemble)).toEqual([OpCode.create, OpCode.createContainer, OpCode.multi])
  })

  it('ends with its client, behind its own writes, without a transaction', () => {
    const { ensemble, server, client } = begin()
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.closeSession)
    client.send(OpCode.getData, READ_A)
    expect(client.replies).toEqual([])
    ensemble.settle()
    expect(outcomes(client)).toEqual([
      [1, 0],
      [2, 0],
    ])
    expect(client.closed).toMatch(/closed/)
    expect(types(ensemble)).toEqual([OpCode.create])
    expect(server.sessions.count).toBe(0)
    expect(server.ended).toEqual([[...client.sessionId, false]])
    expect(server.pipeline.inProcess).toBe(0)
  })

  it('expires at its own server, without a transaction, also with writes on their way', () => {
    const { ensemble, server, client } = begin()
    server.nowMs += 6000
    client.send(OpCode.ping, () => {}, -2)
    server.nowMs += 6000
    server.pipeline.onTick(server.nowMs)
    expect(client.closed).toBeNull()
    client.send(OpCode.create, create('/a'))
    server.nowMs += 10_500
    server.pipeline.onTick(server.nowMs)
    expect(client.closed).toMatch(/expired/)
    ensemble.settle()
    expect(types(ensemble)).toEqual([OpCode.create])
    expect(outcomes(client)).toEqual([[-2, 0]])
    expect([server.sessions.count, server.pipeline.inProcess]).toEqual([0, 0])
    expect(server.ended).toEqual([[...client.sessionId, true]])
  })

  it('goes on over a new connection to the same server, and is refused by every other (S2)', () => {
    const { ensemble, server, client } = begin()
    for (const other of ensemble.all) {
      if (other === server) continue
      const strayed = other.newClient()
      strayed.takeUp(client)
      ensemble.settle()
      expect([strayed.sessionId, strayed.handshakes.length]).toEqual([[0, 0], 1])
    }
    const again = server.newClient()
    expect(again.takeUp(client)).toBe(true)
    server.flush()
    expect(again.sessionId).toEqual(client.sessionId)
    expect(client.closed).toMatch(/moved/)
  })

  it('cannot own an ephemeral znode where it is not to become global', () => {
    const { ensemble, client } = begin()
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.create, create('/e', EPHEMERAL))
    client.send(OpCode.create2, create('/e-', 3))
    client.send(OpCode.multi, multiOf(create('/b'), create('/e', EPHEMERAL)))
    ensemble.settle()
    expect(outcomes(client)).toEqual([
      [1, 0],
      [2, Err.ephemeralOnLocalSession],
      [3, Err.ephemeralOnLocalSession],
      [4, 0],
    ])
    // As in Java: a leader does not know why a session of another member is not known to it.
    const inMulti = where === 'leader' ? Err.ephemeralOnLocalSession : Err.sessionExpired
    expect(entryErrors(client.last.body)).toEqual([0, inMulti])
    expect(ensemble.leader.state.tree.ephemeralsCount).toBe(0)
  })

  it.each([
    ['create', OpCode.create, create('/e', EPHEMERAL)],
    ['create2, sequential', OpCode.create2, create('/e', 3)],
    ['multi', OpCode.multi, multiOf(create('/b'), create('/e', EPHEMERAL))],
  ] as const)('becomes global ahead of its first ephemeral znode, and once (%s)', (_what, type, body) => {
    const { ensemble, server, client } = begin(UPGRADING)
    client.send(OpCode.create, create('/a'))
    client.send(type, body)
    client.send(OpCode.create, create('/f', EPHEMERAL))
    ensemble.settle()
    expect(outcomes(client)).toEqual([
      [1, 0],
      [2, 0],
      [3, 0],
    ])
    expect(types(ensemble)).toEqual([OpCode.create, OpCode.createSession, type, OpCode.create])
    const made = new Input(ensemble.log[1]!)
    expect([made.int(), made.int(), made.int()]).toEqual([...client.sessionId, 0])
    expect(new Input(ensemble.log[1]!, 32).int()).toBe(10_000)
    for (const { state } of ensemble.all) expect(state.sessions.get(...client.sessionId)).toBe(10_000)
    expect(ensemble.all.map((each) => owned(each, client.sessionId))).toEqual([2, 2, 2])
    expect(server.sessions.countLocal()).toBe(0)

    // It moves now like any other, and its end is everybody's.
    const moved = ensemble.learners[1]!.newClient()
    moved.takeUp(client)
    ensemble.settle()
    expect(moved.sessionId).toEqual(client.sessionId)
    moved.send(OpCode.closeSession)
    ensemble.settle()
    expect(ensemble.all.map((each) => owned(each, client.sessionId))).toEqual([0, 0, 0])
    expect(ensemble.leader.sessions.count).toBe(0)
  })

  it('that has become global is for the leader to expire', () => {
    const { ensemble, client } = begin(UPGRADING)
    client.send(OpCode.create, create('/e', EPHEMERAL))
    ensemble.settle()
    ensemble.ping()
    for (const each of ensemble.learners) {
      each.nowMs += 60_000
      each.pipeline.onTick(each.nowMs)
    }
    ensemble.settle()
    expect(client.closed).toBeNull()
    ensemble.leader.nowMs += 11_000
    ensemble.leader.pipeline.onTick(ensemble.leader.nowMs)
    ensemble.settle()
    expect(client.closed).toMatch(/expired/)
    expect(ensemble.leader.state.tree.ephemeralsCount).toBe(0)
  })
})

describe('a leader, where sessions are local', () => {
  const request = (sessionHi: number): ForwardedRequest => {
    const ensemble = new Ensemble(1)
    ensemble.client(0).send(OpCode.create, create('/a'))
    return { ...(ensemble.up[0]![0] as ForwardedRequest), sessionHi, sessionLo: 7 }
  }
  const outcomeOf = (ensemble: Ensemble): number[] => {
    const txn = new Input(ensemble.log[0]!, 28)
    return [txn.int(), txn.int()]
  }

  it('lets sessions pass that others may know, and none that only itself could', () => {
    const foreign = new Ensemble(1, LOCAL)
    foreign.leader.pipeline.onForwarded(Ensemble.link(0), 2, request(0x0200_0000))
    expect(types(foreign)).toEqual([OpCode.create])
    const own = new Ensemble(1, LOCAL)
    own.leader.pipeline.onForwarded(Ensemble.link(0), 2, request(0x0100_0000))
    expect(outcomeOf(own)).toEqual([-1, Err.sessionExpired])
    const off = new Ensemble(1)
    off.leader.pipeline.onForwarded(Ensemble.link(0), 2, request(0x0200_0000))
    expect(outcomeOf(off)).toEqual([-1, Err.sessionExpired])
  })

  it('does not take its own local session for one that a learner may use', () => {
    const ensemble = new Ensemble(1, LOCAL)
    const client = ensemble.leader.newClient()
    client.connect()
    ensemble.leader.flush()
    const [sessionHi, sessionLo] = client.sessionId
    const forged = { ...request(sessionHi), sessionLo }
    ensemble.leader.pipeline.onForwarded(Ensemble.link(0), 2, forged)
    expect(outcomeOf(ensemble)).toEqual([-1, Err.sessionMoved])
  })
})

describe('local sessions', () => {
  it('do not exist on a server that runs alone', () => {
    const harness = new Harness(LOCAL)
    const client = harness.newClient()
    expect(client.connect()).toBe(false)
    harness.settle()
    expect(harness.state.sessions.has(...client.sessionId)).toBe(true)
  })

  it('are admitted at their own price (S5)', () => {
    const ensemble = new Ensemble(1, {
      ...LOCAL,
      throttle: { tokens: 1, fillTimeMs: 100, weightEnabled: true, globalWeight: 3, localWeight: 1 },
    })
    const connected = [1, 2, 3, 4].map(() => ensemble.learners[0]!.newClient().connect())
    expect(connected).toEqual([true, true, true, false])
  })
})
