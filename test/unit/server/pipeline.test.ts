/** Order, visibility and failure of requests: the pipeline's promises to a client, without a socket or a disk. */

import { describe, expect, it } from 'vitest'
import { Err, OpCode } from '../../../src/jute/codes.ts'
import { Input } from '../../../src/jute/input.ts'
import { acl, bool, create, data, Harness, int, path } from './harness.ts'

const READ_DATA = path('/a', bool(false))

describe('order within a session (I5)', () => {
  it('holds a read back behind an own write that is not durable, and answers in the order sent', () => {
    const harness = new Harness()
    const client = harness.client()
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.getData, READ_DATA)
    client.send(OpCode.ping, () => {}, -2)
    client.send(OpCode.setData, path('/a', data('y'), int(-1)))
    client.send(OpCode.getData, READ_DATA)
    harness.flush()
    expect(client.replies).toEqual([])
    harness.settle(1)
    expect(client.xids).toEqual([1, 2, -2])
    harness.settle()
    expect(client.xids).toEqual([1, 2, -2, 3, 4])
    expect(client.replies.map((reply) => reply.err)).toEqual([0, 0, 0, 0, 0])
    expect(new Input(client.last.body).string()).toBe('y')
  })

  it('lets reads of other sessions pass, and shows them nothing that is not durable', () => {
    const harness = new Harness()
    const writer = harness.client()
    const reader = harness.client()
    writer.send(OpCode.create, create('/a'))
    reader.send(OpCode.getData, READ_DATA)
    harness.flush()
    expect(reader.last.err).toBe(Err.noNode)
    harness.settle()
    reader.send(OpCode.getData, READ_DATA)
    harness.flush()
    expect(reader.last.err).toBe(0)
  })

  it('answers a write that cannot be decoded in its turn, and uses no zxid for it', () => {
    const harness = new Harness()
    const client = harness.client()
    const before = harness.pipeline.prep.zxidLast
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.create, path('/b'))
    client.send(OpCode.delete, path('/a', int(-1)))
    harness.settle()
    expect(client.replies.map(({ xid, err }) => [xid, err])).toEqual([
      [1, 0],
      [2, Err.marshallingError],
      [3, 0],
    ])
    expect(harness.pipeline.prep.zxidLast).toBe(before + 2)
  })

  it('uses the identity that the client had when it asked', () => {
    const harness = new Harness()
    const client = harness.client()
    client.send(OpCode.create, create('/a', 0, 'x', acl([31, 'digest', 'u:hash'])))
    client.send(OpCode.getData, READ_DATA)
    client.send(
      OpCode.auth,
      (out) => {
        out.int(0)
        out.string('digest')
        out.buffer(new TextEncoder().encode('u:p'))
      },
      -4,
    )
    client.send(OpCode.getData, READ_DATA)
    harness.settle()
    expect(client.replies.map(({ xid, err }) => [xid, err])).toEqual([
      [-4, 0],
      [1, 0],
      [2, Err.noAuth],
      [3, 0],
    ])
  })
})

describe('writes see what is ahead of them', () => {
  it('in the same packet: versions, existence, children, ACL', () => {
    const harness = new Harness()
    const client = harness.client()
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.setData, path('/a', data('y'), int(0)))
    client.send(OpCode.setData, path('/a', data('z'), int(0)))
    client.send(OpCode.create, create('/a/b'))
    client.send(OpCode.delete, path('/a', int(-1)))
    client.send(OpCode.delete, path('/a/b', int(-1)))
    client.send(OpCode.setACL, path('/a', acl([1, 'world', 'anyone']), int(-1)))
    client.send(OpCode.setData, path('/a', data('w'), int(-1)))
    client.send(OpCode.delete, path('/a', int(2)))
    client.send(OpCode.delete, path('/a', int(1)))
    client.send(OpCode.create, create('/a/c'))
    harness.settle()
    expect(client.replies.map((reply) => reply.err)).toEqual([
      0,
      Err.nodeExists,
      0,
      Err.badVersion,
      0,
      Err.notEmpty,
      0,
      0,
      Err.noAuth,
      Err.badVersion,
      0,
      Err.noNode,
    ])
    harness.state.tree.check()
  })

  it('a failed multi takes back what its first operations had promised (I8)', () => {
    const harness = new Harness()
    const client = harness.client()
    const multi = (out: Parameters<Parameters<typeof client.send>[1] & object>[0]): void => {
      for (const [type, write] of [
        [OpCode.create, create('/a/s-', 2)],
        [OpCode.create, create('/a/s-', 2)],
        [OpCode.check, path('/a', int(7))],
        [OpCode.setData, path('/a', data('never'), int(-1))],
      ] as const) {
        out.int(type)
        out.bool(false)
        out.int(-1)
        write(out)
      }
      out.int(-1)
      out.bool(true)
      out.int(-1)
    }
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.create, create('/a/s-', 2))
    client.send(OpCode.multi, multi)
    client.send(OpCode.create, create('/a/s-', 2))
    client.send(OpCode.setData, path('/a', data('y'), int(0)))
    harness.settle()
    expect(client.replies.map((reply) => reply.err)).toEqual([0, 0, 0, 0, 0])
    const failed = new Input(client.replies[2]!.body)
    const codes: number[] = []
    for (;;) {
      const type = failed.int()
      const done = failed.bool()
      const err = failed.int()
      if (done) break
      expect(type).toBe(-1)
      expect(failed.int()).toBe(err)
      codes.push(err)
    }
    expect(codes).toEqual([0, 0, Err.badVersion, Err.runtimeInconsistency])
    expect(new Input(client.replies[3]!.body).string()).toBe('/a/s-0000000001')
  })

  it('hard quotas count what is in flight (S11)', () => {
    const harness = new Harness({ enforceQuota: true })
    const client = harness.client()
    client.send(OpCode.create, create('/q', 0, ''))
    client.send(OpCode.create, create('/zookeeper/quota/q', 0, ''))
    client.send(OpCode.create, create('/zookeeper/quota/q/zookeeper_limits', 0, 'countHardLimit=3'))
    client.send(OpCode.create, create('/zookeeper/quota/q/zookeeper_stats', 0, 'count=0,bytes=0'))
    harness.settle()
    for (const name of ['a', 'b', 'c', 'd']) client.send(OpCode.create, create(`/q/${name}`))
    client.send(OpCode.delete, path('/q/a', int(-1)))
    client.send(OpCode.create, create('/q/e'))
    client.send(OpCode.create, create('/q/f'))
    harness.settle()
    expect(client.replies.slice(4).map((reply) => reply.err)).toEqual([
      0,
      0,
      Err.quotaExceeded,
      Err.quotaExceeded,
      0,
      0,
      Err.quotaExceeded,
    ])
  })

  it('hard limits without a stats node beside them refuse nothing', () => {
    const harness = new Harness({ enforceQuota: true })
    const client = harness.client()
    client.send(OpCode.create, create('/q', 0, ''))
    client.send(OpCode.create, create('/zookeeper/quota/q', 0, ''))
    client.send(OpCode.create, create('/zookeeper/quota/q/zookeeper_limits', 0, 'byteHardLimit=1,countHardLimit=1'))
    harness.settle()
    client.send(OpCode.create, create('/q/a', 0, 'more than one byte'))
    harness.settle()
    expect(client.last.err).toBe(0)
  })

  it('keeps the predicted digest right over every kind of pipelined write', () => {
    const harness = new Harness() // its state machine throws on a mismatch
    const client = harness.client()
    for (let i = 0; i < 50; i++) {
      client.send(OpCode.create, create('/p', 0, null))
      client.send(OpCode.create2, create('/p/e-', 3))
      client.send(OpCode.createContainer, create('/p/c', 4, ''))
      client.send(
        OpCode.createTTL,
        path('/p/t', data('t'), acl([31, 'world', 'anyone']), int(5), (out) => out.long(1000)),
      )
      client.send(OpCode.setData, path('/', data(`${i}`), int(-1)))
      client.send(OpCode.setACL, path('/p', acl([31, 'world', 'anyone'], [1, 'ip', '1.2.3.4']), int(-1)))
      client.send(OpCode.delete, path('/p/c', int(-1)))
      if (i % 7 === 0) harness.settle(3)
    }
    client.send(OpCode.closeSession)
    harness.settle()
    harness.state.tree.check()
    expect(harness.state.tree.ephemeralsCount).toBe(0)
  })
})

describe('watches (I6)', () => {
  it('fire before the reply of the write that fires them, and once', () => {
    const harness = new Harness()
    const client = harness.client()
    client.send(OpCode.exists, path('/a', bool(true)))
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.setData, path('/a', data('y'), int(-1)))
    harness.settle()
    expect(client.xids).toEqual([1, -1, 2, 3])
    expect(client.replies[1]!.zxid).toBe(client.replies[2]!.zxid)
  })

  it('are not told what the client may not read now (X4)', () => {
    const harness = new Harness()
    const owner = harness.client()
    const stranger = harness.client()
    owner.send(OpCode.create, create('/a'))
    harness.settle()
    stranger.send(OpCode.getData, path('/a', bool(true)))
    owner.send(OpCode.setACL, path('/a', acl([31, 'ip', '10.0.0.1'], [2, 'world', 'anyone']), int(-1)))
    owner.send(OpCode.setData, path('/a', data('secret'), int(-1)))
    harness.settle()
    expect(owner.last.err).toBe(0)
    expect(stranger.xids).toEqual([1])
  })
})

describe('sessions', () => {
  it('are answered only when their creation is durable', () => {
    const harness = new Harness()
    const client = harness.newClient()
    expect(client.connect()).toBe(false)
    harness.flush()
    expect(client.handshakes).toEqual([])
    harness.settle()
    expect(client.handshakes).toHaveLength(1)
    expect(client.handshakes[0]).toHaveLength(37)
    expect(harness.resumed).toEqual([client])
  })

  it('move to a new connection with the right password, and only then lose the old one (S2, N6)', () => {
    const harness = new Harness()
    const old = harness.client()
    const { hi, lo } = old.conn.session!
    const password = old.handshakes[0]!.slice(20, 36)
    const thief = harness.newClient()
    thief.connect(hi, lo, new Uint8Array(16))
    harness.flush()
    expect(thief.closed).not.toBeNull()
    expect(new Input(thief.handshakes[0]!, 4, 8).int()).toBe(0)
    expect(old.closed).toBeNull()
    const next = harness.newClient()
    expect(next.connect(hi, lo, password, 5000)).toBe(true)
    harness.flush()
    expect(old.closed).not.toBeNull()
    expect(next.handshakes[0]!.slice(20, 36)).toEqual(password)
    expect(new Input(next.handshakes[0]!, 4, 8).int()).toBe(5000)
  })

  it('refuse a client that has seen more than this server (S4)', () => {
    const harness = new Harness()
    const client = harness.newClient()
    expect(client.connect(0, 0, new Uint8Array(0), 1000, 99)).toBe(false)
    expect(client.closed).toMatch(/later zxid/)
    expect(client.handshakes).toEqual([])
  })

  it('drop requests behind a close without an answer, and take their ephemerals with them (I7)', () => {
    const harness = new Harness()
    const client = harness.client()
    client.send(OpCode.create, create('/e', 1))
    client.send(OpCode.closeSession)
    client.send(OpCode.create, create('/f'))
    harness.settle()
    expect(client.xids).toEqual([1, 2])
    expect(client.closed).not.toBeNull()
    expect(harness.state.tree.ephemeralsCount).toBe(0)
    expect(harness.sessions.count).toBe(0)
  })

  it('close although the list of their ephemerals is longer than a transaction may be', () => {
    const harness = new Harness()
    const client = harness.client()
    const name = 'e'.repeat(1000)
    for (let i = 0; i < 2500; i++) {
      client.send(OpCode.create, create(`/${name}${i}`, 1))
      if (i % 500 === 0) harness.settle()
    }
    harness.settle()
    expect(harness.state.tree.ephemeralsCount).toBe(2500)
    client.send(OpCode.closeSession)
    expect(harness.bytesProposedLast).toBeLessThan(100)
    harness.settle()
    expect(harness.state.tree.ephemeralsCount).toBe(0)
    client.conn.closed = true
    const next = harness.client()
    next.send(OpCode.create, create('/after'))
    harness.settle() // a wrong digest would throw here
    harness.state.tree.check()
  })

  it('expire by transaction, once, and their connection is closed (S3)', () => {
    const harness = new Harness()
    const client = harness.client()
    client.send(OpCode.create, create('/e', 1))
    harness.settle()
    harness.nowMs += 60_000
    harness.pipeline.onTick(harness.nowMs)
    harness.pipeline.onTick(harness.nowMs + 60_000)
    expect(harness.proposals.count).toBe(1)
    harness.settle()
    expect(client.closed).toMatch(/expired/)
    expect(harness.state.tree.ephemeralsCount).toBe(0)
  })
})

describe('limits', () => {
  it('above the outstanding limit a client with requests of its own is stopped, and goes on later (S8)', () => {
    const harness = new Harness({ outstandingLimit: 3 })
    const client = harness.client()
    const other = harness.client()
    const more = [1, 2, 3, 4].map(() => client.send(OpCode.create, create('/a')))
    expect(more).toEqual([true, true, true, false])
    expect(other.send(OpCode.getData, READ_DATA)).toBe(true)
    harness.settle()
    expect(harness.resumed).toContain(client)
    expect(client.xids).toEqual([1, 2, 3, 4])
    expect(harness.pipeline.inProcess).toBe(0)
  })

  it('bounds the bytes of large requests in process by closing whoever goes beyond', () => {
    const harness = new Harness({ largeRequestBytes: 500, largeRequestsBytesMax: 1500 })
    const client = harness.client()
    const big = create('/big', 0, 'x'.repeat(900))
    expect(client.send(OpCode.create, big)).toBe(true)
    expect(client.send(OpCode.create, create('/small'))).toBe(true)
    expect(client.send(OpCode.create, big)).toBe(false)
    expect(client.closed).toMatch(/large/)
    harness.settle()
    const next = harness.client()
    expect(next.send(OpCode.setData, path('/big', data('y'.repeat(900)), int(-1)))).toBe(true)
    harness.settle()
    expect(next.last.err).toBe(0)
  })

  it('admits connections by tokens, renewals at their own price (S5)', () => {
    const harness = new Harness({ throttle: { tokens: 2, fillTimeMs: 100, weightEnabled: true } })
    const a = harness.client()
    harness.client()
    const refused = harness.newClient()
    expect(refused.connect()).toBe(false)
    expect(refused.closed).not.toBeNull()
    harness.nowMs += 101 // three more tokens: a renewal takes two
    const { hi, lo } = a.conn.session!
    const renewed = harness.newClient()
    expect(renewed.connect(hi, lo, a.handshakes[0]!.slice(20, 36))).toBe(true)
  })

  it('counts nothing twice when a client goes with requests unanswered', () => {
    const harness = new Harness()
    const client = harness.client()
    client.send(OpCode.create, create('/a'))
    client.send(OpCode.getData, READ_DATA)
    harness.pipeline.onClosed(client.conn)
    harness.settle()
    expect(harness.pipeline.inProcess).toBe(0)
    expect(client.replies).toEqual([])
    expect(harness.state.tree.find(new TextEncoder().encode('/a'), 0, 2)).not.toBe(0)
  })
})

describe('requests that a client may not send', () => {
  it.each([
    OpCode.deleteContainer,
    OpCode.createSession,
    OpCode.check,
    OpCode.error,
    OpCode.notification,
    10,
    99,
    4711,
  ])('operation %i is answered as unknown, and the connection closed (S9)', (type) => {
    const harness = new Harness()
    const client = harness.client()
    const before = harness.pipeline.prep.zxidLast
    client.send(type, path('/zookeeper', int(-1)))
    harness.settle()
    expect([client.last.err, client.last.zxid]).toEqual([Err.unimplemented, -1])
    expect(client.closed).not.toBeNull()
    expect(harness.pipeline.prep.zxidLast).toBe(before)
  })

  it('a TTL request without a TTL mode is refused before it is logged', () => {
    const harness = new Harness()
    const client = harness.client()
    for (const ttl of [-1, 5]) {
      client.send(
        OpCode.createTTL,
        path('/t', data('t'), acl([31, 'world', 'anyone']), int(0), (out) => out.long(ttl)),
      )
      harness.settle()
      expect(client.last.err).toBe(Err.badArguments)
    }
  })
})
