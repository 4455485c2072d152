/** The client's session: servers in turn, what is said first on a connection, silence, and the ends a session may have. */

import { describe, expect, test } from 'vitest'
import type { Request } from '../../../src/client/sessioncore.ts'
import type { WatchKind } from '../../../src/client/watches.ts'
import { CoreKit, SERVERS } from './corekit.ts'

// From ZooDefs.OpCode and KeeperException.Code.
const Op = { getData: 4, ping: 11, closeSession: -11, auth: 100, setWatches: 101, sasl: 102, setWatches2: 105 }
const CONNECTION_LOSS = -4
const SESSION_EXPIRED = -112
const AUTH_FAILED = -115
const REQUEST_TIMEOUT = -122

function ask(kit: CoreKit, answers: number[], watch?: { kind: WatchKind; path: string }): void {
  const request: Request = { type: Op.getData, write: (out) => out.string('/a'), onAnswer: (err) => answers.push(err) }
  const watcher = () => {}
  kit.core.submit(watch === undefined ? request : { ...request, watch: { ...watch, watcher } }, kit.now)
}

describe('connecting', () => {
  test('servers are tried one behind the other, and a round that came to nothing is followed by a second of rest', () => {
    const kit = new CoreKit()
    kit.pass(0)
    kit.lose()
    kit.pass(0)
    kit.lose()
    kit.pass(0)
    expect(kit.dialled).toEqual(['one', 'two', 'three'])
    kit.lose()
    kit.pass(999)
    expect(kit.dialled).toHaveLength(3)
    kit.pass(1)
    expect(kit.dialled).toEqual(['one', 'two', 'three', 'one'])
  })

  test('an attempt may take its share of the session timeout', () => {
    const kit = new CoreKit()
    kit.pass(9_999)
    expect(kit.dialled).toEqual(['one'])
    kit.pass(1)
    expect(kit.dialled).toEqual(['one', 'two'])
    expect(kit.drops).toBe(1)
  })

  test('a request waits for a connection until every server was tried in vain', () => {
    const kit = new CoreKit()
    const answers: number[] = []
    kit.pass(0)
    ask(kit, answers)
    kit.lose()
    kit.pass(0)
    kit.lose()
    kit.pass(0)
    expect(answers).toEqual([])
    kit.lose()
    expect(answers).toEqual([CONNECTION_LOSS])
    expect(kit.core.state).toBe('CONNECTING')
  })

  test('a new session is asked for with 0, and its events begin with SyncConnected', () => {
    const kit = new CoreKit()
    kit.pass(0)
    kit.core.onOpen(kit.now)
    expect(kit.greeting()).toEqual({ zxid: 0, timeoutMs: 30_000, session: 0, passwd: 0, readOnly: false })
    kit.welcome(5, 4000)
    expect(kit.core.state).toBe('CONNECTED')
    expect(kit.core.sessionTimeoutMs).toBe(4000)
    expect(kit.events).toEqual(['SyncConnected'])
  })
})

describe('a lost connection', () => {
  test('fails what was sent, and the session is asked for by id, password and last zxid at another server', () => {
    const kit = new CoreKit({}, 0.25).up(9)
    const answers: number[] = []
    ask(kit, answers)
    kit.answer(kit.sent()[0]!.xid, -101, 42)
    ask(kit, answers)
    ask(kit, answers)
    kit.lose()
    expect(answers).toEqual([-101, CONNECTION_LOSS, CONNECTION_LOSS])
    kit.sent()
    kit.pass(249)
    expect(kit.dialled).toEqual(['one'])
    kit.pass(1)
    expect(kit.dialled).toEqual(['one', 'two'])
    kit.core.onOpen(kit.now)
    expect(kit.greeting()).toMatchObject({ session: 9, passwd: 9, zxid: 42 })
    kit.welcome(9)
    expect(kit.events).toEqual(['SyncConnected', 'Disconnected', 'SyncConnected'])
  })

  test('credentials go first on the next one, then watches as of the last zxid, then requests that waited', () => {
    const kit = new CoreKit({ chroot: '/app' }).up(9)
    const answers: number[] = []
    kit.core.addAuth('digest', new Uint8Array([1]), () => {}, kit.now)
    ask(kit, answers, { kind: 'data', path: '/d' })
    ask(kit, answers, { kind: 'exists', path: '/e' })
    ask(kit, answers, { kind: 'children', path: '/' })
    const [, first, second, third] = kit.sent()
    kit.answer(-4, 0)
    kit.answer(first!.xid, 0, 50, new Array(72).fill(0))
    kit.answer(second!.xid, -101, 51)
    kit.answer(third!.xid, 0, 52, new Array(72).fill(0))
    kit.lose()
    ask(kit, answers)
    kit.pass(1000)
    kit.welcome(9)
    const sent = kit.sent().slice(1)
    expect(sent.map(({ type }) => type)).toEqual([Op.auth, Op.setWatches, Op.getData])
    const { body } = sent[1]!
    const strings = () => Array.from({ length: body.int() }, () => body.string())
    expect([body.long(), strings(), strings(), strings()]).toEqual([52, ['/app/d'], ['/app/e'], ['/app']])
  })

  test('watches that last are asked for in the newer form, and all of them in messages of bounded length', () => {
    const kit = new CoreKit().up(9)
    kit.core.watches.onAnswer('persistent', '/p', () => {}, 0)
    kit.core.watches.onAnswer('persistentRecursive', '/r', () => {}, 0)
    for (let i = 0; i < 3000; i++) kit.core.watches.onAnswer('data', `/${String(i).padStart(99, '0')}`, () => {}, 0)
    kit.lose()
    kit.pass(1000)
    kit.welcome(9)
    const sent = kit.sent().slice(1)
    expect(sent.map(({ type }) => type)).toEqual([Op.setWatches, Op.setWatches, Op.setWatches2])
    let paths = 0
    for (const { body } of sent) {
      body.long()
      for (let kind = 0; kind < 3; kind++) for (let left = body.int(); left > 0; left--, paths++) body.string()
      expect(body.end).toBeLessThan(150_000)
    }
    expect(paths).toBe(3000)
    const { body } = sent[2]!
    expect([body.int(), body.string(), body.int(), body.string()]).toEqual([1, '/p', 1, '/r'])
  })

  test('an answer to another request than the oldest ends the connection', () => {
    const kit = new CoreKit().up()
    const answers: number[] = []
    ask(kit, answers)
    kit.answer(99, 0)
    expect(answers).toEqual([CONNECTION_LOSS])
    expect(kit.core.state).toBe('CONNECTING')
  })
})

describe('silence', () => {
  test('pings go out in time, and two thirds of the timeout without a word end the connection', () => {
    const kit = new CoreKit().up(9, 6000)
    kit.pass(1999)
    expect(kit.types()).toEqual([])
    kit.pass(1)
    expect(kit.types()).toEqual([Op.ping])
    kit.answer(-2, 0)
    kit.pass(3999)
    expect(kit.core.connected).toBe(true)
    kit.pass(1)
    expect(kit.core.connected).toBe(false)
    expect(kit.events).toEqual(['SyncConnected', 'Disconnected'])
  })

  test('a session that heard of no server for four thirds of its timeout is over', () => {
    const kit = new CoreKit({ servers: SERVERS.slice(0, 1) }).up(9, 6000)
    kit.pass(7999)
    expect(kit.core.alive).toBe(true)
    kit.pass(1)
    expect(kit.core.state).toBe('CLOSED')
    expect(kit.events).toEqual(['SyncConnected', 'Disconnected', 'Expired'])
    const answers: number[] = []
    ask(kit, answers)
    expect(answers).toEqual([SESSION_EXPIRED])
    expect(kit.core.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY)
  })

  test('a request may have a limit of its own, at which its connection is given up', () => {
    const kit = new CoreKit({ requestTimeoutMs: 500 }).up()
    const answers: number[] = []
    ask(kit, answers)
    ask(kit, answers)
    kit.pass(500)
    expect(answers).toEqual([REQUEST_TIMEOUT, CONNECTION_LOSS])
  })
})

describe('the end of a session', () => {
  test('a server that does not know it says so by a timeout of 0: it is over, and what waited fails', () => {
    const kit = new CoreKit().up(9)
    const answers: number[] = []
    kit.lose()
    ask(kit, answers)
    kit.pass(1000)
    kit.welcome(0)
    expect(kit.core.state).toBe('CLOSED')
    expect(answers).toEqual([SESSION_EXPIRED])
    expect(kit.events).toEqual(['SyncConnected', 'Disconnected', 'Expired'])
  })

  test('closing is a request behind all others; behind it none is taken', () => {
    const kit = new CoreKit().up()
    const answers: number[] = []
    let closed = 0
    ask(kit, answers)
    kit.core.close(() => closed++, kit.now)
    ask(kit, answers)
    expect(answers).toEqual([CONNECTION_LOSS])
    const sent = kit.sent()
    expect(sent.map(({ type }) => type)).toEqual([Op.getData, Op.closeSession])
    for (const { xid } of sent) kit.answer(xid, -101)
    expect([closed, kit.core.state, answers]).toEqual([1, 'CLOSED', [CONNECTION_LOSS, -101]])
    expect(kit.events).toEqual(['SyncConnected', 'Closed'])
    kit.core.close(() => closed++, kit.now)
    expect(closed).toBe(2)
  })

  test('closing without a connection, or over a lost one, is the end at once', () => {
    for (const connected of [true, false]) {
      const kit = new CoreKit()
      if (connected) kit.up()
      let closed = 0
      kit.core.close(() => closed++, kit.now)
      if (connected) kit.lose()
      expect([closed, kit.core.state]).toEqual([1, 'CLOSED'])
    }
  })

  test('a refused credential ends it, and whoever waits for the answer is told', () => {
    const kit = new CoreKit().up()
    const answers: number[] = []
    let answered = 0
    kit.core.addAuth('digest', null, () => answered++, kit.now)
    kit.answer(-4, 0)
    expect(answered).toBe(1)
    kit.core.addAuth('bogus', null, () => answered++, kit.now)
    ask(kit, answers)
    kit.answer(-4, AUTH_FAILED)
    expect([answered, kit.core.state, answers]).toEqual([2, 'AUTH_FAILED', [AUTH_FAILED]])
    expect(kit.events).toEqual(['SyncConnected', 'AuthFailed'])
  })
})

describe('SASL', () => {
  test('tokens go back and forth before anything else, and requests go out behind them', () => {
    const kit = new CoreKit({ sasl: true })
    const answers: number[] = []
    kit.pass(0)
    ask(kit, answers)
    kit.welcome()
    kit.sent()
    expect(kit.challenges).toEqual([new Uint8Array(0)])
    kit.core.onSaslToken(new Uint8Array([7]), false, kit.now)
    const [token] = kit.sent()
    expect([token!.type, token!.body.buffer()]).toEqual([Op.sasl, new Uint8Array([7])])
    kit.answer(token!.xid, 0, 0, [0, 0, 0, 2, 8, 9])
    expect(kit.challenges[1]).toEqual(new Uint8Array([8, 9]))
    kit.core.onSaslToken(null, true, kit.now)
    expect(kit.types()).toEqual([Op.getData])
    expect(kit.events).toEqual(['SyncConnected', 'SaslAuthenticated'])
  })

  test('a failure on either side ends the session', () => {
    for (const theirs of [true, false]) {
      const kit = new CoreKit({ sasl: true })
      kit.pass(0)
      kit.welcome()
      kit.core.onSaslToken(new Uint8Array([7]), false, kit.now)
      if (theirs) kit.answer(kit.sent().at(-1)!.xid, AUTH_FAILED)
      else kit.core.onSaslFailed()
      expect(kit.core.state).toBe('AUTH_FAILED')
      expect(kit.events).toEqual(['SyncConnected', 'AuthFailed'])
    }
  })
})

describe('a server that only reads', () => {
  test('is left for one that writes, where a session is asked for anew', () => {
    const kit = new CoreKit({ readOnly: true })
    kit.pass(0)
    kit.core.onOpen(kit.now)
    expect(kit.greeting().readOnly).toBe(true)
    kit.welcome(9, 30_000, true)
    expect(kit.core.state).toBe('CONNECTEDREADONLY')
    kit.pass(100)
    expect(kit.probed).toEqual(['two'])
    kit.core.onProbed(SERVERS[1]!, false, kit.now)
    kit.pass(200)
    expect(kit.probed).toEqual(['two', 'three'])
    kit.core.onProbed(SERVERS[2]!, true, kit.now)
    kit.pass(1000)
    expect(kit.dialled).toEqual(['one', 'three'])
    kit.sent()
    kit.core.onOpen(kit.now)
    expect(kit.greeting().session).toBe(0)
    kit.welcome(11)
    expect(kit.core.state).toBe('CONNECTED')
    expect(kit.events).toEqual(['ConnectedReadOnly', 'Disconnected', 'SyncConnected'])
  })
})

describe('events', () => {
  test('reach the watchers of their path, by the path that the client knows', () => {
    const kit = new CoreKit({ chroot: '/app' }).up()
    const heard: string[] = []
    const watcher = ({ type, path, zxid }: { type: string; path: string | null; zxid: number }) =>
      heard.push(`${type} ${path} ${zxid}`)
    kit.core.watches.onAnswer('data', '/a', watcher, 0)
    kit.core.watches.onAnswer('children', '/', watcher, 0)
    kit.notify(3, '/app/a', 7)
    kit.notify(3, '/app/a', 8)
    kit.notify(4, '/app', 9)
    expect(heard).toEqual(['NodeDataChanged /a 7', 'NodeChildrenChanged / 9'])
  })
})
