/** Sessions in an ensemble: they move, live and end as one, whichever members their clients talk to. */

import { describe, expect, it } from 'vitest'
import { Err, OpCode } from '../../../src/jute/codes.ts'
import { Input } from '../../../src/jute/input.ts'
import { bool, create, data, Ensemble, type Harness, int, path, type TestClient } from './harness.ts'

const READ_A = path('/a', bool(false))
const EPHEMERAL = 1

const outcomes = (client: TestClient): [xid: number, err: number][] => client.replies.map(({ xid, err }) => [xid, err])
const exists = (harness: Harness, text: string): boolean =>
  harness.state.tree.find(new TextEncoder().encode(text), 0, text.length) !== 0
const everywhere = (ensemble: Ensemble, text: string): boolean[] => ensemble.all.map((harness) => exists(harness, text))

/** The session of `client` is taken up by a new connection at another server. */
function move(ensemble: Ensemble, client: TestClient, to: Harness): TestClient {
  const moved = to.newClient()
  moved.takeUp(client, to.state.zxidLast)
  ensemble.settle()
  expect(moved.sessionId).toEqual(client.sessionId)
  return moved
}

/** Time passes; everybody is pinged by the leader, and the leader looks who is late. */
function pass(ensemble: Ensemble, ms: number): void {
  for (const harness of ensemble.all) harness.nowMs += ms
  ensemble.ping()
  for (const harness of ensemble.all) harness.pipeline.onTick(harness.nowMs)
  ensemble.settle()
}

describe('a session that moves (S1, N6)', () => {
  it('keeps its id and its ephemerals over any number of servers, and every write counts once', () => {
    const ensemble = new Ensemble(3)
    let client = ensemble.client(0)
    client.send(OpCode.create, create('/e', EPHEMERAL))
    client.send(OpCode.create, create('/a'))
    ensemble.settle()
    for (let i = 0; i < 40; i++) {
      const before = client
      client = move(ensemble, client, ensemble.all[(i * 7) % 4]!)
      client.send(OpCode.setData, path('/a', data(`${i}`), int(i)), i + 10)
      client.send(OpCode.getData, READ_A, i + 11)
      // Left behind by the old connection, on its way too late.
      if (!before.conn.closing) before.send(OpCode.setData, path('/a', data('late'), int(-1)), 1000)
      ensemble.settle()
      expect(outcomes(client)).toEqual([
        [i + 10, 0],
        [i + 11, 0],
      ])
      expect(new Input(client.last.body).string()).toBe(`${i}`)
      expect(before.closed).toMatch(/moved/)
    }
    expect(everywhere(ensemble, '/e')).toEqual([true, true, true, true])
    expect(ensemble.leader.sessions.count).toBe(1)
    expect(ensemble.all.map((harness) => harness.pipeline.inProcess)).toEqual([0, 0, 0, 0])
  })

  it('from one learner to another: late writes of the old connection have no effect, and it is closed unanswered', () => {
    const ensemble = new Ensemble()
    const old = ensemble.client(0)
    const fresh = move(ensemble, old, ensemble.learners[1]!)
    old.send(OpCode.getData, READ_A) // nobody has told this learner yet
    old.send(OpCode.create, create('/late'))
    old.send(OpCode.getData, READ_A)
    ensemble.settle()
    expect(outcomes(old)).toEqual([[1, Err.noNode]])
    expect(old.closed).toMatch(/moved/)
    expect(everywhere(ensemble, '/late')).toEqual([false, false, false])
    fresh.send(OpCode.create, create('/a'))
    ensemble.settle()
    expect(outcomes(fresh)).toEqual([[1, 0]])
  })

  it('tells a multi of the old connection nothing either', () => {
    const ensemble = new Ensemble()
    const old = ensemble.client(0)
    move(ensemble, old, ensemble.leader)
    old.send(OpCode.multi, (out) => {
      out.int(OpCode.create)
      out.bool(false)
      out.int(-1)
      create('/late')(out)
      out.int(-1)
      out.bool(true)
      out.int(-1)
    })
    ensemble.settle()
    expect([old.replies, old.closed]).toEqual([[], expect.stringMatching(/moved/)])
    expect(everywhere(ensemble, '/late')).toEqual([false, false, false])
  })

  it('away from the leader: any late request there ends the old connection, behind the replies it still has', () => {
    const ensemble = new Ensemble()
    const old = ensemble.clientOfLeader()
    old.send(OpCode.create, create('/a'))
    const fresh = ensemble.learners[0]!.newClient()
    fresh.takeUp(old)
    ensemble.toLeader(0)
    old.send(OpCode.getData, READ_A)
    old.send(OpCode.create, create('/late'))
    old.send(OpCode.ping, () => {}, -2)
    ensemble.settle()
    expect(outcomes(old)).toEqual([[1, 0]])
    expect(old.closed).toMatch(/moved/)
    expect(everywhere(ensemble, '/late')).toEqual([false, false, false])
    expect(fresh.sessionId).toEqual(old.sessionId)
    expect(fresh.closed).toBeNull()
  })

  it('back to the leader: what a learner forwards from then on is late', () => {
    const ensemble = new Ensemble()
    const old = ensemble.client(0)
    old.send(OpCode.create, create('/intime'))
    ensemble.toLeader(0)
    const fresh = ensemble.leader.newClient()
    expect(fresh.takeUp(old)).toBe(true)
    old.send(OpCode.create, create('/late'))
    ensemble.settle()
    expect(everywhere(ensemble, '/intime')).toEqual([true, true, true])
    expect(everywhere(ensemble, '/late')).toEqual([false, false, false])
    expect(old.closed).toMatch(/moved/)
    fresh.send(OpCode.create, create('/a'))
    ensemble.settle()
    expect(outcomes(fresh)).toEqual([[1, 0]])
  })

  it('to a new connection at the same learner closes the old one before the leader is asked', () => {
    const ensemble = new Ensemble()
    const old = ensemble.client(0)
    const second = ensemble.learners[0]!.newClient()
    second.takeUp(old)
    expect(old.closed).toMatch(/moved/)
    const third = ensemble.learners[0]!.newClient()
    third.takeUp(old) // before the second was answered
    expect(second.closed).toMatch(/moved/)
    ensemble.settle()
    expect([second.handshakes.length, third.sessionId]).toEqual([0, old.sessionId])
    expect(ensemble.learners[0]!.resumed).toContain(third)
    third.send(OpCode.create, create('/a'))
    ensemble.settle()
    expect(outcomes(third)).toEqual([[1, 0]])
  })

  it('is refused where the client has seen more than the server (S4, I5)', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    client.send(OpCode.create, create('/a'))
    ensemble.toLeader(0)
    ensemble.commit()
    ensemble.toLearner(0)
    const behind = ensemble.learners[1]!.newClient()
    expect(behind.takeUp(client, client.last.zxid)).toBe(false)
    expect(behind.closed).toMatch(/later zxid/)
    expect(ensemble.up[1]).toEqual([])
    ensemble.toLearner(1)
    move(ensemble, client, ensemble.learners[1]!)
  })
})

describe('a session that is asked for (S2)', () => {
  it('with a wrong password is refused on the spot; a stranger neither troubles the leader nor closes anything', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const stranger = ensemble.learners[0]!.newClient()
    stranger.connect(...client.sessionId, new Uint8Array(16))
    ensemble.learners[0]!.flush()
    expect([stranger.sessionId, stranger.handshakes.length, stranger.closed]).toEqual([
      [0, 0],
      1,
      expect.stringMatching(/wrong/),
    ])
    expect([ensemble.up[0], client.closed]).toEqual([[], null])
  })

  it('unknown, or closed by now, is refused by the leader, and never replaced by a new one', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    client.send(OpCode.closeSession)
    ensemble.settle()
    expect(outcomes(client)).toEqual([[1, 0]])
    for (const server of ensemble.all) {
      const late = server.newClient()
      late.takeUp(client)
      ensemble.settle()
      expect([late.sessionId, late.handshakes.length]).toEqual([[0, 0], 1])
      expect(late.closed).toMatch(/expired/)
    }
    expect(ensemble.leader.sessions.count).toBe(0)
  })

  it('while its end is on its way is refused', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    ensemble.learners[0]!.drop(client)
    ensemble.leader.pipeline.closeSession(ensemble.leader.sessions.get(...client.sessionId)!)
    const late = ensemble.learners[1]!.newClient()
    late.takeUp(client)
    ensemble.toLeader(1)
    ensemble.toLearner(1)
    expect(late.sessionId).toEqual([0, 0])
  })

  it('and answered after its connection has gone is given to nobody', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    ensemble.learners[0]!.drop(client)
    const impatient = ensemble.learners[1]!.newClient()
    impatient.takeUp(client)
    ensemble.learners[1]!.drop(impatient)
    ensemble.settle()
    expect([impatient.handshakes, ensemble.learners[1]!.sessions.count]).toEqual([[], 0])
    ensemble.learners[1]!.pipeline.onRevalidated(1, 2, true) // never asked for
    move(ensemble, client, ensemble.learners[0]!)
  })
})

describe('the life of a session', () => {
  it('goes on as long as any learner hears of it: requests and pings count, and are reported once a ping', () => {
    const ensemble = new Ensemble()
    const pinging = ensemble.client(0)
    const reading = ensemble.client(1)
    const silent = ensemble.client(1)
    pass(ensemble, 0)
    for (let i = 0; i < 10; i++) {
      pinging.send(OpCode.ping, () => {}, -2)
      reading.send(OpCode.getData, READ_A)
      pass(ensemble, 2000)
    }
    const alive = [pinging, reading, silent].map((client) => ensemble.leader.state.sessions.has(...client.sessionId))
    expect(alive).toEqual([true, true, false])
    const heard: number[] = []
    pinging.send(OpCode.ping, () => {}, -2)
    pinging.send(OpCode.ping, () => {}, -2)
    ensemble.learners[0]!.pipeline.takeTouched((_hi, lo) => heard.push(lo))
    ensemble.learners[0]!.pipeline.takeTouched((_hi, lo) => heard.push(lo))
    expect(heard).toEqual([pinging.sessionId[1]])
  })

  it('is reported by every learner once when it begins, as Java reports it', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    for (const { pipeline } of ensemble.learners) {
      const heard: number[][] = []
      pipeline.takeTouched((...session) => heard.push(session))
      expect(heard).toEqual([[...client.sessionId, 10_000]])
    }
  })

  it('ends by its leader alone: learners expire nothing of it, however long they hear nothing', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    client.send(OpCode.create, create('/e', EPHEMERAL))
    ensemble.settle()
    for (const learner of ensemble.learners) {
      learner.nowMs += 1_000_000
      learner.sessions.grantFullTimeouts(learner.nowMs)
      learner.pipeline.onTick(learner.nowMs)
    }
    ensemble.settle()
    expect([client.closed, everywhere(ensemble, '/e')]).toEqual([null, [true, true, true]])
  })

  it('ends everywhere with its ephemerals when its leader expires it, and its connection is closed where it is', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const watcher = ensemble.client(1)
    client.send(OpCode.create, create('/e', EPHEMERAL))
    ensemble.settle()
    watcher.send(OpCode.exists, path('/e', bool(true)))
    for (let i = 0; i < 6; i++) {
      watcher.send(OpCode.ping, () => {}, -2)
      pass(ensemble, 2500)
    }
    expect(everywhere(ensemble, '/e')).toEqual([false, false, false])
    expect(client.closed).toMatch(/expired/)
    expect(ensemble.leader.ended).toEqual([[...client.sessionId, true]])
    expect(watcher.replies.filter((reply) => reply.xid === -1)).toHaveLength(1)
    for (const { state } of ensemble.all) expect(state.sessions.size).toBe(1)
  })

  it('outlives its learner: it goes on elsewhere within its timeout', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    client.send(OpCode.create, create('/e', EPHEMERAL))
    ensemble.settle()
    ensemble.learners[0]!.drop(client)
    ensemble.leader.pipeline.onLearnerGone(Ensemble.link(0))
    pass(ensemble, 9000)
    const moved = move(ensemble, client, ensemble.learners[1]!)
    moved.send(OpCode.getData, READ_A)
    pass(ensemble, 9000)
    expect(everywhere(ensemble, '/e')).toEqual([true, true, true])
  })

  it('closed by its client and by expiry at once loses its ephemerals once, with one event (S3)', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const watcher = ensemble.client(1)
    client.send(OpCode.create, create('/e', EPHEMERAL))
    ensemble.settle()
    watcher.send(OpCode.addWatch, path('/e', int(0)))
    client.send(OpCode.closeSession) // still on its way to the leader
    ensemble.leader.pipeline.closeSession(ensemble.leader.sessions.get(...client.sessionId)!)
    ensemble.settle()
    expect(ensemble.log.filter((txn) => new Input(txn, 28).int() === OpCode.closeSession)).toHaveLength(2)
    expect(watcher.replies.filter((reply) => reply.xid === -1)).toHaveLength(1)
    expect(everywhere(ensemble, '/e')).toEqual([false, false, false])
    expect(client.closed).not.toBeNull()
    expect(ensemble.all.map((harness) => harness.pipeline.inProcess)).toEqual([0, 0, 0])
    expect(ensemble.learners[0]!.sessions.count).toBe(0)
  })

  it('may be ended by an operator at any member: a learner asks its leader', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const { pipeline, sessions } = ensemble.learners[0]!
    pipeline.closeSession(sessions.get(...client.sessionId)!)
    expect(ensemble.up[0]).toMatchObject([{ type: OpCode.closeSession, cxid: 0, authinfo: null }])
    ensemble.settle()
    expect(client.closed).toMatch(/expired/)
    for (const { state, sessions: known } of ensemble.all) expect([state.sessions.size, known.count]).toEqual([0, 0])
  })

  it('is over for the log of each member that served it, whoever ended it', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    client.send(OpCode.closeSession)
    ensemble.settle()
    expect(ensemble.all.map(({ ended }) => ended)).toEqual([
      [[...client.sessionId, false]],
      [[...client.sessionId, false]],
      [],
    ])
  })

  it('that is closing takes no more requests, whether they come before its end or behind it', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const session = ensemble.leader.sessions.get(...client.sessionId)!
    client.send(OpCode.create, create('/e', EPHEMERAL))
    ensemble.leader.pipeline.closeSession(session)
    ensemble.toLeader(0)
    ensemble.commit()
    expect(everywhere(ensemble, '/e')).toEqual([false, false, false])
    ensemble.settle()
    const error = new Input(ensemble.log.at(-1)!, 28)
    expect([error.int(), error.int()]).toEqual([-1, Err.sessionExpired])
  })
})
