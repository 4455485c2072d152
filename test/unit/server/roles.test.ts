/** Requests in an ensemble: what a learner forwards and how it is answered, and what its leader makes of it. */

import { describe, expect, it } from 'vitest'
import { Err, OpCode } from '../../../src/jute/codes.ts'
import { Input } from '../../../src/jute/input.ts'
import type { Output } from '../../../src/jute/output.ts'
import type { ForwardedRequest } from '../../../src/zab/types.ts'
import { acl, bool, create, data, Ensemble, Harness, int, path, type TestClient } from './harness.ts'

const READ_A = path('/a', bool(false))
const WATCH_A = path('/a', bool(true))
const EPOCH_1 = 0x1_0000_0000

const outcomes = (client: TestClient): [xid: number, err: number][] => client.replies.map(({ xid, err }) => [xid, err])
const textOf = (client: TestClient): string | null => new Input(client.last.body).string()
const exists = (harness: Harness, text: string): boolean =>
  harness.state.tree.find(new TextEncoder().encode(text), 0, text.length) !== 0
const forwarded = (ensemble: Ensemble, learner: number): ForwardedRequest =>
  ensemble.up[learner]![0] as ForwardedRequest

/** header {-1 done} closes it */
function multi(...ops: [type: number, write: (out: Output) => void][]): (out: Output) => void {
  return (out) => {
    for (const [type, write] of ops) {
      out.int(type)
      out.bool(false)
      out.int(-1)
      write(out)
    }
    out.int(-1)
    out.bool(true)
    out.int(-1)
  }
}

describe('a learner', () => {
  it('forwards a write as it came, with the identity of its client, and answers with the committed transaction', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    client.send(OpCode.create, create('/a'), 77)
    const request = forwarded(ensemble, 0)
    const body = new Input(request.body)
    expect([request.sessionHi, request.sessionLo]).toEqual(client.sessionId)
    expect([request.cxid, request.type, request.authinfo]).toEqual([
      77,
      OpCode.create,
      [{ scheme: 'ip', id: '127.0.0.1' }],
    ])
    expect([body.string(), body.string()]).toEqual(['/a', 'x'])
    ensemble.toLeader(0)
    ensemble.toLearner(0)
    expect(client.replies).toEqual([])
    ensemble.settle()
    expect(client.last).toMatchObject({ xid: 77, err: 0, zxid: EPOCH_1 + 2 })
    expect(textOf(client)).toBe('/a')
    expect(ensemble.all.map((harness) => exists(harness, '/a'))).toEqual([true, true, true])
    expect(ensemble.all.map((harness) => harness.pipeline.inProcess)).toEqual([0, 0, 0])
  })

  it('makes a session by asking the leader, with cxid 0 and no identity, and knows it on every member', () => {
    const ensemble = new Ensemble()
    const client = ensemble.learners[1]!.newClient()
    expect(client.connect(0, 0, new Uint8Array(0), 8000)).toBe(false)
    const request = forwarded(ensemble, 1)
    expect(request).toMatchObject({ cxid: 0, type: OpCode.createSession, authinfo: null })
    expect([...request.body]).toEqual([0, 0, 0x1f, 0x40])
    expect(request.sessionHi >>> 24).toBe(3)
    expect(client.handshakes).toEqual([])
    ensemble.settle()
    expect(client.sessionId).toEqual([request.sessionHi, request.sessionLo])
    expect(ensemble.learners[1]!.resumed).toContain(client)
    for (const { state } of ensemble.all) expect(state.sessions.get(...client.sessionId)).toBe(8000)
  })

  it('holds reads back behind forwarded writes and answers in the order sent (I5)', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const other = ensemble.learners[0]!.newClient()
    other.connect()
    ensemble.settle()
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.getData, READ_A)
    client.send(OpCode.ping, () => {}, -2)
    client.send(OpCode.setData, path('/a', data('y'), int(-1)))
    client.send(OpCode.setData, path('/a', data('z'), int(7)))
    client.send(OpCode.getData, READ_A)
    other.send(OpCode.getData, READ_A)
    ensemble.toLeader(0)
    ensemble.commit(1)
    ensemble.toLearner(0)
    expect(outcomes(other)).toEqual([[1, Err.noNode]])
    expect(client.xids).toEqual([1, 2, -2])
    ensemble.settle()
    expect(outcomes(client)).toEqual([
      [1, 0],
      [2, 0],
      [-2, 0],
      [3, 0],
      [4, Err.badVersion],
      [5, 0],
    ])
    expect(textOf(client)).toBe('y')
  })

  it('answers a write that cannot be decoded in its turn, and keeps it from the leader', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.create, path('/b'))
    client.send(OpCode.multi, multi([OpCode.create, create('/c')], [OpCode.getData, READ_A]))
    client.send(OpCode.reconfig, data('server.1=a'))
    client.send(OpCode.delete, path('/a', int(-1)))
    expect(ensemble.up[0]!.map((request) => (request as ForwardedRequest).cxid)).toEqual([1, 5])
    expect(client.replies).toEqual([])
    ensemble.settle()
    expect(outcomes(client)).toEqual([
      [1, 0],
      [2, Err.marshallingError],
      [3, Err.marshallingError],
      [4, Err.marshallingError],
      [5, 0],
    ])
  })

  it('answers a multi with what became of each entry, as the leader does for its own clients', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const atLeader = ensemble.clientOfLeader()
    const good = (name: string) =>
      multi(
        [OpCode.create, create(name)],
        [OpCode.setData, path(name, data('y'), int(0))],
        [OpCode.delete, path(name, int(1))],
      )
    const bad = multi([OpCode.create, create('/m')], [OpCode.delete, path('/nobody', int(-1))])
    for (const body of [good('/m'), bad]) {
      client.send(OpCode.multi, body)
      ensemble.settle()
      atLeader.send(OpCode.multi, body)
      ensemble.settle()
      expect(client.last.err).toBe(0)
      expect(client.last.body.length).toBe(atLeader.last.body.length)
    }
    expect([...client.last.body]).toEqual([...atLeader.last.body])
    expect(ensemble.all.map((harness) => exists(harness, '/m'))).toEqual([false, false, false])
  })

  it('answers syncs in the order the leader does, over all connections, behind what was committed ahead of them', () => {
    const ensemble = new Ensemble()
    const writer = ensemble.client(1)
    const a = ensemble.client(0)
    const b = ensemble.client(0)
    a.send(OpCode.sync, path('/s'))
    ensemble.toLeader(0)
    ensemble.toLearner(0)
    expect(outcomes(a)).toEqual([[1, 0]])
    expect(textOf(a)).toBe('/s')

    writer.send(OpCode.create, create('/a'))
    ensemble.toLeader(1)
    b.send(OpCode.sync, path('/'))
    b.send(OpCode.getData, READ_A)
    a.send(OpCode.create, create('/b'))
    a.send(OpCode.sync, path('/'))
    a.send(OpCode.getData, path('/b', bool(false)))
    ensemble.toLeader(0)
    ensemble.toLearner(0)
    expect(outcomes(b)).toEqual([])
    ensemble.commit(1)
    ensemble.toLearner(0)
    expect(outcomes(b)).toEqual([
      [1, 0],
      [2, 0],
    ])
    expect(outcomes(a)).toEqual([[1, 0]])
    ensemble.settle()
    expect(outcomes(a)).toEqual([
      [1, 0],
      [2, 0],
      [3, 0],
      [4, 0],
    ])
    expect(ensemble.learners[0]!.pipeline.inProcess).toBe(0)
  })

  it('answers a sync without a path as malformed, when the leader has answered it', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    client.send(OpCode.sync)
    expect(client.replies).toEqual([])
    ensemble.settle()
    expect(outcomes(client)).toEqual([[1, Err.marshallingError]])
  })

  it('takes answers for syncs that nobody waits for any more, and those that nobody asked for', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const other = ensemble.client(0)
    client.send(OpCode.sync, path('/'))
    other.send(OpCode.sync, path('/'))
    ensemble.learners[0]!.drop(client)
    ensemble.settle()
    expect(outcomes(other)).toEqual([[1, 0]])
    ensemble.learners[0]!.pipeline.onSynced()
    expect(ensemble.learners[0]!.pipeline.inProcess).toBe(0)
  })

  it('answers nobody with the transactions of others, whatever their cxid', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const elsewhere = ensemble.client(1)
    elsewhere.send(OpCode.create, create('/theirs'))
    ensemble.toLeader(1)
    client.send(OpCode.create, create('/ours'))
    ensemble.toLeader(0)
    ensemble.commit(1)
    ensemble.toLearner(0)
    expect(client.replies).toEqual([])
    expect(exists(ensemble.learners[0]!, '/theirs')).toBe(true)
    ensemble.settle()
    expect(textOf(client)).toBe('/ours')
  })

  it('does not take the end of a session for the answer to a request that has cxid 0 as well', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const { leader } = ensemble
    leader.pipeline.closeSession(leader.sessions.get(...client.sessionId)!)
    client.send(OpCode.setData, path('/', data('x'), int(-1)), 0)
    ensemble.settle()
    expect(client.replies).toEqual([])
    expect(client.closed).toMatch(/expired/)
    expect(ensemble.learners[0]!.pipeline.inProcess).toBe(0)
    expect(ensemble.learners[0]!.sessions.count).toBe(0)
  })

  it('does not answer a new connection with what the old one of the session had asked', () => {
    const ensemble = new Ensemble()
    const learner = ensemble.learners[0]!
    const old = ensemble.client(0)
    old.send(OpCode.create, create('/a'), 5)
    learner.drop(old)
    const fresh = learner.newClient()
    fresh.takeUp(old)
    ensemble.toLeader(0)
    ensemble.toLearner(0)
    expect(fresh.sessionId).toEqual(old.sessionId)
    fresh.send(OpCode.create, create('/a'), 5)
    ensemble.toLeader(0)
    ensemble.commit(1)
    ensemble.toLearner(0)
    expect(fresh.replies).toEqual([])
    ensemble.settle()
    expect(outcomes(fresh)).toEqual([[5, Err.nodeExists]])
    expect(learner.pipeline.inProcess).toBe(0)
  })

  it('fires the watches of its own clients for transactions of any member, ahead of the new state (I6)', () => {
    const ensemble = new Ensemble()
    const watcher = ensemble.client(0)
    const writer = ensemble.client(1)
    writer.send(OpCode.create, create('/a'))
    ensemble.settle()
    watcher.send(OpCode.getData, WATCH_A)
    ensemble.settle()
    writer.send(OpCode.setData, path('/a', data('y'), int(-1)))
    ensemble.settle()
    watcher.send(OpCode.getData, READ_A)
    ensemble.settle()
    expect(watcher.xids).toEqual([1, -1, 2])
    expect(new Input(watcher.replies[1]!.body).int()).toBe(3) // NodeDataChanged
  })

  it('stops a client that has too much unanswered, and lets it go on (S8)', () => {
    const ensemble = new Ensemble(1, { outstandingLimit: 3 })
    const client = ensemble.client(0)
    const more = [1, 2, 3].map(() => client.send(OpCode.create, create('/a')))
    expect([...more, client.send(OpCode.sync, path('/'))]).toEqual([true, true, true, false])
    ensemble.settle()
    expect(ensemble.learners[0]!.resumed.filter((each) => each === client)).toHaveLength(2)
    expect(ensemble.learners[0]!.pipeline.inProcess).toBe(0)
  })

  it('never proposes by itself', () => {
    const ensemble = new Ensemble(1)
    const { pipeline, proposals } = ensemble.learners[0]!
    pipeline.submitInternal(OpCode.deleteContainer, 0, 0, new Uint8Array(0))
    expect(proposals.count).toBe(0)
  })
})

describe('a leader, of what learners forward', () => {
  it('makes transactions in the order they come in, its own among them', () => {
    const ensemble = new Ensemble()
    const a = ensemble.client(0)
    const b = ensemble.client(1)
    const own = ensemble.clientOfLeader()
    a.send(OpCode.create, create('/q-', 2))
    own.send(OpCode.create, create('/q-', 2))
    b.send(OpCode.create, create('/q-', 2))
    ensemble.toLeader(1)
    ensemble.toLeader(0)
    ensemble.settle()
    expect([own, b, a].map(textOf)).toEqual(['/q-0000000000', '/q-0000000001', '/q-0000000002'])
  })

  it('judges by the identity that came with the request', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const secret = create('/a', 0, 'x', acl([31, 'digest', 'u:hash']))
    client.send(OpCode.create, secret)
    client.send(OpCode.setData, path('/a', data('y'), int(-1)))
    client.send(
      OpCode.auth,
      (out) => {
        out.int(0)
        out.string('digest')
        out.buffer(new TextEncoder().encode('u:p'))
      },
      -4,
    )
    client.send(OpCode.setData, path('/a', data('z'), int(-1)))
    ensemble.settle()
    expect(outcomes(client)).toEqual([
      [-4, 0],
      [1, 0],
      [2, Err.noAuth],
      [3, 0],
    ])
  })

  it.each([
    ['a body cut short', OpCode.create, Err.marshallingError],
    ['a session without a timeout', OpCode.createSession, Err.marshallingError],
    ['the deletion of a container', OpCode.deleteContainer, Err.unimplemented],
    ['a check by itself', OpCode.check, Err.unimplemented],
    ['an unknown operation', 4711, Err.unimplemented],
  ])('answers %s with an error transaction: nothing else would reach the client', (_what, type, err) => {
    const ensemble = new Ensemble()
    const request = { sessionHi: 9, sessionLo: 9, cxid: 3, type, body: new Uint8Array(2), authinfo: null }
    ensemble.leader.pipeline.onForwarded(Ensemble.link(0), 2, request)
    expect(ensemble.log).toHaveLength(1)
    const txn = new Input(ensemble.log[0]!)
    expect([txn.int(), txn.int(), txn.int(), txn.long()]).toEqual([9, 9, 3, EPOCH_1 + 1])
    txn.long() // time
    expect([txn.int(), txn.int(), txn.remaining]).toEqual([-1, err, 0])
    ensemble.settle()
  })

  it('goes by identities that say nothing as well', () => {
    const ensemble = new Ensemble()
    const client = ensemble.client(0)
    const [sessionHi, sessionLo] = client.sessionId
    const body = (() => {
      client.send(OpCode.create, create('/a', 0, 'x', acl([31, 'auth', ''])))
      return forwarded(ensemble, 0).body
    })()
    ensemble.up[0]!.length = 0
    const authinfo = [
      { scheme: null, id: 'x' },
      { scheme: 'digest', id: null },
    ]
    ensemble.leader.pipeline.onForwarded(Ensemble.link(0), 2, {
      sessionHi,
      sessionLo,
      cxid: 1,
      type: OpCode.create,
      body,
      authinfo,
    })
    ensemble.settle()
    expect(exists(ensemble.leader, '/a')).toBe(true)
  })

  it('gives back what it kept for proposals that it will not see applied', () => {
    const { leader } = new Ensemble()
    const client = leader.newClient()
    client.connect()
    const before = leader.state.tree.acls.size
    client.send(OpCode.create, create('/a', 0, 'x', acl([31, 'digest', 'u:hash'])))
    expect(leader.state.tree.acls.size).toBe(before + 1)
    leader.pipeline.stop()
    expect(leader.state.tree.acls.size).toBe(before)
  })
})

describe('a leader that hears of no quorum', () => {
  it('answers a sync of its own client by ending the connection, and goes on with reads (I4)', () => {
    const ensemble = new Ensemble(1)
    const [client, other] = [ensemble.clientOfLeader(), ensemble.clientOfLeader()]
    client.send(OpCode.sync, path('/'))
    ensemble.settle()
    expect(client.last.err).toBe(Err.ok)
    ensemble.leader.leads = false
    client.send(OpCode.sync, path('/'))
    other.send(OpCode.exists, path('/', bool(false)))
    ensemble.settle()
    expect([client.replies.length, client.closed]).toEqual([1, 'this leader hears of no quorum'])
    expect(other.last.err).toBe(Err.ok)
    expect(ensemble.leader.pipeline.inProcess).toBe(0)
  })
})

describe('the end of an epoch (E10)', () => {
  it('comes before the counter is used up: the last zxid is never proposed, and clients lose their connection', () => {
    const ensemble = new Ensemble(1, { zxidLast: EPOCH_1 + 0xffff_fffb })
    const { leader } = ensemble
    const own = ensemble.clientOfLeader() // ..fc
    const client = ensemble.client(0) // ..fd
    own.send(OpCode.create, create('/last')) // ..fe
    expect([leader.rollovers, leader.pipeline.counterExhausted]).toEqual([0, false])
    client.send(OpCode.create, create('/forwarded'))
    ensemble.toLeader(0)
    own.send(OpCode.create, create('/own'))
    leader.pipeline.submitInternal(OpCode.closeSession, 5, 5, new Uint8Array(0))
    expect([leader.rollovers, leader.pipeline.counterExhausted]).toEqual([1, true])
    expect(own.closed).not.toBeNull()
    ensemble.settle()
    expect(leader.state.zxidLast).toBe(EPOCH_1 + 0xffff_fffe)
    expect(client.replies).toEqual([])
    expect(ensemble.all.map((harness) => exists(harness, '/last'))).toEqual([true, true])
  })

  it('is announced once, when nine tenths of the zxids are gone', () => {
    const ensemble = new Ensemble(1, { zxidLast: EPOCH_1 + Math.floor(0.9 * 0xffff_fffe) - 2 })
    const { warnings } = ensemble.leader
    const client = ensemble.clientOfLeader()
    client.send(OpCode.create, create('/a'))
    expect(warnings).toEqual([])
    client.send(OpCode.create, create('/b'))
    client.send(OpCode.create, create('/c'))
    expect(warnings).toEqual([expect.stringMatching(/zxids/)])
    expect(ensemble.leader.rollovers).toBe(0)
  })

  it('is nothing to a server that runs alone', () => {
    const harness = new Harness({ zxidLast: EPOCH_1 + 0xffff_fffd })
    const client = harness.client()
    client.send(OpCode.create, create('/a'))
    harness.settle()
    expect(client.last.zxid).toBe(2 * EPOCH_1 - 1)
  })
})

describe('a read-only server (E14)', () => {
  const readOnly = (options = {}): Harness => new Harness({ role: 'readonly', localSessions: true, ...options })
  const connect = (harness: Harness): TestClient => {
    const client = harness.newClient()
    client.connect(0, 0, new Uint8Array(16), 10_000, 0, true)
    harness.flush()
    return client
  }

  it('takes those only who have asked for one, and says what it is', () => {
    const harness = readOnly()
    const refused = harness.newClient()
    expect(refused.connect()).toBe(false)
    expect(refused.closed).toMatch(/read-only/)
    const client = connect(harness)
    expect(client.sessionId).not.toEqual([0, 0])
    expect(client.handshakes[0]!.at(-1)).toBe(1)
  })

  it('reads, and refuses whatever needs the ensemble, in the order asked', () => {
    const harness = readOnly()
    const client = connect(harness)
    const refused = [
      [OpCode.sync, path('/')],
      [OpCode.create, create('/a')],
      [OpCode.create2, create('/a')],
      [OpCode.delete, path('/a', int(-1))],
      [OpCode.setData, path('/', data('x'), int(-1))],
      [OpCode.setACL, path('/', acl([31, 'world', 'anyone']), int(-1))],
      [OpCode.multi, multi()],
      [OpCode.reconfig, data(null)],
    ] as const
    client.send(OpCode.exists, path('/', bool(false)))
    for (const [type, write] of refused) client.send(type, write)
    client.send(OpCode.ping, () => {}, -2)
    client.send(OpCode.whoAmI)
    harness.flush()
    const expected = refused.map((_each, i) => [i + 2, Err.notReadOnly])
    expect(outcomes(client)).toEqual([[1, 0], ...expected, [-2, 0], [refused.length + 2, 0]])
    expect(harness.pipeline.inProcess).toBe(0)
    expect(harness.proposals.count).toBe(0)
  })

  it('closes a local session that its client ends, without a transaction', () => {
    const harness = readOnly()
    const client = connect(harness)
    client.send(OpCode.closeSession)
    harness.flush()
    expect(outcomes(client)).toEqual([[1, 0]])
    expect(client.closed).toMatch(/closed/)
    expect(harness.sessions.count).toBe(0)
  })

  it('makes no sessions where these are not local: it closes instead of half an answer', () => {
    const harness = readOnly({ localSessions: false })
    const client = connect(harness)
    expect(client.handshakes).toEqual([])
    expect(client.closed).not.toBeNull()
  })

  it('leaves sessions of the ensemble to the ensemble, known or not, and calls only its own ended ones expired (S2)', () => {
    const harness = readOnly({ serverId: 3 })
    const password = new Uint8Array(16)
    const attempt = (hi: number, lo: number, secret: Uint8Array): TestClient => {
      const client = harness.newClient()
      client.connect(hi, lo, secret, 10_000, 0, true)
      harness.flush()
      return client
    }
    harness.state.sessions.set(0x0300_0000, 1, 4000)
    for (const hi of [0x0300_0000, 0x0200_0000]) {
      const client = attempt(hi, 1, password)
      expect([client.handshakes.length, client.closed]).toEqual([0, expect.stringMatching(/ensemble/)])
    }
    const own = connect(harness)
    const again = attempt(...own.sessionId, own.handshakes[0]!.slice(20, 36))
    expect(again.sessionId).toEqual(own.sessionId)
    expect(own.closed).toMatch(/moved/)
    again.send(OpCode.closeSession)
    const late = attempt(...own.sessionId, own.handshakes[0]!.slice(20, 36))
    expect([late.sessionId, late.handshakes.length]).toEqual([[0, 0], 1])
  })
})
