/**
 * Requests beyond what the server takes on at once: who waits, who is refused, what is dropped, and whom it reads from.
 * What a reply must say, and the names of the metrics, are those of Java 3.9.5's RequestThrottler.
 */

import { describe, expect, it } from 'vitest'
import { Err, OpCode } from '../../../src/jute/codes.ts'
import { acl, bool, create, data, Harness, int, path, type TestClient } from './harness.ts'

const READ_DATA = path('/a', bool(false))
const set = (text: string) => path('/a', data(text), int(-1))

/** A server that takes one request at a time, with /a, and two clients. */
function narrow(options: ConstructorParameters<typeof Harness>[0] = {}): [Harness, TestClient, TestClient] {
  const harness = new Harness({ requestThrottleMax: 1, ...options })
  const [a, b] = [harness.client(), harness.client()]
  a.send(OpCode.create, create('/a'))
  harness.settle()
  a.replies.length = 0
  return [harness, a, b]
}

function errors(client: TestClient): [number, number][] {
  return client.replies.map(({ xid, err }) => [xid, err])
}

describe('request_throttle_max_requests', () => {
  it('lets requests beyond it wait, and takes them in the order they came in, over all connections (S8)', () => {
    const [harness, a, b] = narrow()
    expect(a.send(OpCode.setData, set('1'))).toBe(true)
    expect(b.send(OpCode.setData, set('2'))).toBe(true)
    expect(a.send(OpCode.getData, READ_DATA)).toBe(true)
    expect(b.send(OpCode.setData, set('3'))).toBe(true)
    expect(harness.pipeline.inProcess).toBe(1)
    expect(harness.proposals.count).toBe(1)
    harness.settle(1)
    expect(errors(a)).toEqual([[2, 0]])
    expect(harness.proposals.count).toBe(1)
    harness.settle(1)
    expect([errors(a), errors(b)]).toEqual([
      [
        [2, 0],
        [3, 0],
      ],
      [[1, 0]],
    ])
    harness.settle()
    expect(errors(b)).toEqual([
      [1, 0],
      [2, 0],
    ])
    expect(harness.pipeline.inProcess).toBe(0)
    const figures = new Map<string, number>()
    harness.metrics.dump((name, value) => figures.set(name, value))
    expect(figures.get('request_throttle_wait_count')).toBeGreaterThan(0)
    expect(figures.get('cnt_request_throttle_queue_time_ms')).toBe(3)
  })

  it('answers pings of those who wait (S8)', () => {
    const [harness, a, b] = narrow()
    a.send(OpCode.setData, set('1'))
    b.send(OpCode.setData, set('2'))
    b.send(OpCode.ping, () => {}, -2)
    harness.flush()
    expect(b.xids).toEqual([-2])
  })

  it('uses the identity that the client had when it asked, although it waited', () => {
    const [harness, a, b] = narrow()
    a.send(OpCode.setACL, path('/a', acl([31, 'digest', 'u:hash']), int(-1)))
    b.send(OpCode.getData, READ_DATA)
    const credentials = (out: Parameters<Parameters<typeof b.send>[1] & object>[0]): void => {
      out.int(0)
      out.string('digest')
      out.buffer(new TextEncoder().encode('u:p'))
    }
    b.send(OpCode.auth, credentials, -4)
    b.send(OpCode.getData, READ_DATA)
    harness.settle()
    harness.settle()
    expect(errors(b)).toEqual([
      [-4, 0],
      [1, Err.noAuth],
      [2, 0],
    ])
  })

  it('drops what a client that is gone has left in the queue, and counts it', () => {
    const [harness, a, b] = narrow()
    a.send(OpCode.setData, set('1'))
    b.send(OpCode.setData, set('2'))
    b.send(OpCode.setData, set('3'))
    harness.drop(b)
    harness.settle()
    expect(harness.proposals.count).toBe(0)
    expect(harness.metrics.counters.stale_requests_dropped).toBe(1) // what is behind it goes without a look
    expect(harness.pipeline.inProcess).toBe(0)
    a.send(OpCode.setData, set('4'))
    harness.settle()
    expect(a.last.err).toBe(0)
  })

  it('does what they ask with request_throttle_drop_stale=false', () => {
    const [harness, a, b] = narrow({ dropStale: false })
    a.send(OpCode.setData, set('1'))
    b.send(OpCode.create, create('/b'))
    b.send(OpCode.getData, READ_DATA)
    harness.drop(b)
    harness.settle()
    harness.settle()
    expect(harness.state.tree.find(new TextEncoder().encode('/b'), 0, 2)).not.toBe(0)
    const { stale_requests, stale_requests_dropped, stale_replies } = harness.metrics.counters
    expect([stale_requests, stale_requests_dropped, stale_replies]).toEqual([2, 0, 1])
    expect(harness.pipeline.inProcess).toBe(0)
  })

  it('a session is closed although its client is gone', () => {
    const [harness, a, b] = narrow()
    a.send(OpCode.setData, set('1'))
    const [hi, lo] = b.sessionId
    b.send(OpCode.closeSession)
    harness.drop(b)
    harness.settle()
    harness.settle()
    expect(harness.sessions.get(hi, lo)).toBeUndefined()
  })

  it('closes the connection of a request that has waited for longer than its session may be silent', () => {
    const [harness, a, b] = narrow({ staleLatencyCheck: true })
    a.send(OpCode.setData, set('1'))
    b.send(OpCode.setData, set('2'))
    harness.nowMs += 10_001
    harness.pipeline.onTick(harness.nowMs)
    expect(b.closed).toMatch(/dropped/)
    expect(harness.metrics.counters.stale_requests_dropped).toBe(1)
  })
})

describe('throttled_op_wait_time', () => {
  it('answers THROTTLEDOP in its turn to what has waited for longer, and uses no zxid for it', () => {
    const [harness, a, b] = narrow({ throttledOpWaitMs: 50 })
    const before = harness.pipeline.prep.zxidLast
    a.send(OpCode.setData, set('1'))
    b.send(OpCode.setData, set('2'))
    b.send(OpCode.getData, READ_DATA)
    harness.nowMs += 51
    b.send(OpCode.setData, set('3'))
    harness.settle()
    harness.settle()
    expect(errors(b)).toEqual([
      [1, Err.throttledOp],
      [2, Err.throttledOp],
      [3, 0],
    ])
    expect(harness.pipeline.prep.zxidLast).toBe(before + 2)
    expect(harness.metrics.counters.throttled_ops).toBe(2)
  })

  it('never refuses to close a session', () => {
    const [harness, a, b] = narrow({ throttledOpWaitMs: 50 })
    a.send(OpCode.setData, set('1'))
    b.send(OpCode.closeSession)
    harness.nowMs += 51
    harness.settle()
    harness.settle()
    expect(errors(b)).toEqual([[1, 0]])
  })
})

describe('reading from sockets', () => {
  it('goes on with as many connections as there is room for, the longest stopped first', () => {
    const harness = new Harness({ outstandingLimit: 4 })
    const clients = Array.from({ length: 8 }, () => harness.client())
    harness.resumed.length = 0
    const resumed = (): number[] => harness.resumed.map(({ conn }) => conn.connId)
    const more = clients.map((client) => client.send(OpCode.create, create('/a')))
    expect(more).toEqual([true, true, true, true, false, false, false, false])
    harness.settle(4)
    expect(resumed()).toEqual([4])
    harness.settle()
    expect(resumed()).toEqual([4, 5, 6, 7])
    expect(clients.every((client) => !client.conn.throttled)).toBe(true)
  })

  it('holds no more requests in the queue than its limit and one of each connection', () => {
    const harness = new Harness({ outstandingLimit: 3, requestThrottleMax: 1 })
    const client = harness.client()
    const more = [1, 2, 3, 4, 5].map(() => client.send(OpCode.create, create('/a')))
    expect(more).toEqual([true, true, true, true, false])
    harness.settle()
    for (let i = 0; i < 5; i++) harness.settle()
    expect(client.xids).toEqual([1, 2, 3, 4, 5])
    expect(client.conn.throttled).toBe(false)
  })
})
