/**
 * Changes of the membership: the order of checks and the codes of 3.9.5, the transaction, and the answer. The codes in the
 * tables are those that a live 3.9.5 gave to the same requests.
 */

import { describe, expect, it } from 'vitest'
import { Err, OpCode } from '../../../src/jute/codes.ts'
import { Input } from '../../../src/jute/input.ts'
import type { Output } from '../../../src/jute/output.ts'
import { type Membership, parseConfigText } from '../../../src/server/config/members.ts'
import { ReconfigPlanner, type ReconfigView } from '../../../src/server/requests/reconfig.ts'
import type { ReconfigRequest } from '../../../src/server/requests/writeop.ts'
import { bool, data, Ensemble, type HarnessOptions, path, type TestClient } from './harness.ts'

const ZXID = 0x2_0000_0005
const server = (id: number, host = `10.0.0.${id}`, role = 'participant'): string =>
  `server.${id}=${host}:2888:3888:${role};0.0.0.0:2181`
const THREE = [server(1), server(2), server(3)]
const VERSION = 0x1_0000_0000
const config = (lines: string[], version = VERSION): Membership =>
  parseConfigText([...lines, `version=${version.toString(16)}`].join('\n'), true)

interface Setup extends Partial<ReconfigView> {
  current?: Membership
  /** Servers in sync. */
  synced?: number[]
}

function planner({ current = config(THREE), synced = [1, 2, 3], ...view }: Setup = {}): ReconfigPlanner {
  return new ReconfigPlanner({
    committed: () => current,
    lastSeen: () => current,
    hasSyncedQuorum: ({ members }) => {
      const voters = members.filter(({ role }) => role === 'participant')
      return voters.filter(({ id }) => synced.includes(id)).length > voters.length / 2
    },
    standaloneEnabled: true,
    multiAddressEnabled: false,
    ...view,
  })
}

const NOTHING: ReconfigRequest = { joining: null, leaving: null, newMembers: null, curConfigId: -1 }

/** The lines of the new configuration, or the code of the refusal. */
function plan(request: Partial<ReconfigRequest>, setup: Setup = {}): string[] | number {
  const planned = planner(setup).plan({ ...NOTHING, ...request }, ZXID)
  return 'err' in planned ? planned.err : new TextDecoder().decode(planned.text).split('\n')
}

describe('an incremental change', () => {
  it('adds, replaces and removes servers; the new version is its zxid, in hexadecimal', () => {
    expect(plan({ joining: server(4) })).toEqual([...THREE, server(4), 'version=200000005'])
    expect(plan({ leaving: '3,1', joining: `${server(4)},${server(5)}` }, { synced: [2, 4] })).toEqual([
      server(2),
      server(4),
      server(5),
      'version=200000005',
    ])
    expect(plan({ joining: server(2, '10.0.0.9', 'observer') })).toEqual([
      THREE[0],
      server(2, '10.0.0.9', 'observer'),
      THREE[2],
      'version=200000005',
    ])
  })

  it('takes lists with blanks and empty entries, unknown servers that leave, and a key that only ends in the id', () => {
    expect(plan({ joining: ` , ${server(4)} ,`, leaving: ' 9 ,,' })).toEqual([...THREE, server(4), 'version=200000005'])
    expect(plan({ joining: server(4).replace('server.4', '4') })).toEqual([...THREE, server(4), 'version=200000005'])
    expect(plan({ joining: '4=h:1:2;3' })).toEqual([
      ...THREE,
      'server.4=h:1:2:participant;0.0.0.0:3',
      'version=200000005',
    ])
    expect(plan({})).toEqual([...THREE, 'version=200000005'])
  })

  it('is only for ensembles in which all voters count the same', () => {
    const current = config([...THREE, 'group.1=1:2:3', 'weight.1=1', 'weight.2=1', 'weight.3=1'])
    expect(plan({ joining: server(4), leaving: 'x' }, { current })).toBe(Err.badArguments)
  })

  it.each([
    ['a server that leaves without a number', { leaving: 'two' }, Err.marshallingError],
    ['a number out of range', { leaving: '9223372036854775808' }, Err.marshallingError],
    ['a server without a key', { joining: '10.0.0.4:2888:3888;2181' }, Err.badArguments],
    ['two equals signs', { joining: 'server.4=a:1:2;3=x' }, Err.badArguments],
    ['an id that is no number', { joining: 'server.x=10.0.0.4:2888:3888;2181' }, Err.marshallingError],
    ['no client port', { joining: 'server.4=10.0.0.4:2888:3888' }, Err.badArguments],
    ['no election port', { joining: 'server.4=10.0.0.4:2888;2181' }, Err.badArguments],
    ['a role that does not exist', { joining: 'server.4=10.0.0.4:2888:3888:king;2181' }, Err.badArguments],
    ['the same port twice', { joining: 'server.4=10.0.0.4:2888:2888;2181' }, Err.badArguments],
    ['a port that is no number', { joining: 'server.4=10.0.0.4:a:3888;2181' }, Err.badArguments],
    ['a client port that is no number', { joining: 'server.4=10.0.0.4:2888:3888;b' }, Err.badArguments],
    ['a port that cannot be', { joining: 'server.4=10.0.0.4:70000:3888;2181' }, Err.marshallingError],
    ['a client port that cannot be', { joining: 'server.4=10.0.0.4:2888:3888;70000' }, Err.marshallingError],
    ['two semicolons', { joining: 'server.4=10.0.0.4:2888:3888;2181;2182' }, Err.badArguments],
    ['a bracket that stays open', { joining: 'server.4=[::4:2888:3888;2181' }, Err.badArguments],
    ['several addresses where that is off', { joining: 'server.4=a:1:2|b:1:2;3' }, Err.badArguments],
    ['an address that another server has', { joining: server(4, '10.0.0.2') }, Err.badArguments],
    [
      "a client's address that is another's quorum address",
      { joining: 'server.4=h:1:2;10.0.0.2:3888' },
      Err.badArguments,
    ],
    ['an address of one that joins as well', { joining: `${server(4)},${server(5, '10.0.0.4')}` }, Err.badArguments],
  ])('refuses %s', (_what, request, err) => {
    expect(plan(request)).toBe(err)
  })

  it('lets a server take the address of one that leaves, and addresses that mean any host or the own one', () => {
    expect(plan({ leaving: '2', joining: server(4, '10.0.0.2') })).toHaveLength(4)
    const local = ['127.0.0.1', 'localhost', '0.0.0.0', '[::1]', '[::]']
    const joining = local.map((host, i) => `server.${i + 4}=${host}:1:2:observer;3`).join(',')
    expect(plan({ joining: `${joining},server.9=127.0.0.1:1:2:observer;3` })).toHaveLength(3 + 6 + 1)
  })

  it('says what is wrong in the order of the list, and of those that leave first', () => {
    expect(plan({ leaving: 'x', joining: 'bad' })).toBe(Err.marshallingError)
    expect(plan({ joining: `server.4=a:1;2,server.y=b:1:2;3` })).toBe(Err.badArguments)
    expect(plan({ joining: `server.y=b:1:2;3,server.4=a:1;2` })).toBe(Err.marshallingError)
  })
})

describe('a whole new membership', () => {
  it('comes in lines or with commas, and with groups and weights', () => {
    const next = [server(2), server(3), server(4)]
    expect(plan({ newMembers: next.join(',') })).toEqual([...next, 'version=200000005'])
    expect(plan({ newMembers: `# comment\n${next.join('\n')}\nversion=ff` })).toEqual([...next, 'version=200000005'])
    const grouped = [...next, 'group.1=2:3:4', 'weight.2=2', 'weight.3=1', 'weight.4=0']
    expect(plan({ newMembers: grouped.join('\n') })).toEqual([...grouped, 'version=200000005'])
  })

  it('may leave out client ports, and replaces groups by plain majorities', () => {
    const current = config([...THREE, 'group.1=1:2:3', 'weight.1=1', 'weight.2=1', 'weight.3=1'])
    const newMembers = 'server.1=a:1:2,server.2=b:1:2:observer,server.3=c:1:2'
    expect(plan({ newMembers }, { current })).toEqual([
      'server.1=a:1:2:participant',
      'server.2=b:1:2:observer',
      'server.3=c:1:2:participant',
      'version=200000005',
    ])
  })

  it.each([
    ['another key', [...THREE, 'tickTime=2000'], Err.badArguments],
    ['an id that is no number', [...THREE, 'server.x=a:1:2'], Err.marshallingError],
    ['a malformed address', [...THREE, 'server.4=a:1'], Err.badArguments],
    ['a blank behind the last port', [...THREE, 'server.4=a:1:2;3 '], Err.badArguments],
    ['a port that cannot be', [...THREE, 'server.4=a:1:-2'], Err.marshallingError],
    ['a version that is no number', [...THREE, 'version=xyz'], Err.marshallingError],
    ['a malformed escape', [...THREE, 'server.4=\\u00g1'], Err.marshallingError],
    ['a group id that is no number', [...THREE, 'group.a=1:2:3'], Err.marshallingError],
    ['a group of words', [...THREE, 'group.1=1:b:3'], Err.marshallingError],
    ['a server in two groups', [...THREE, 'group.1=1:2:3', 'group.2=3'], Err.badArguments],
    ['a voter in no group', [...THREE, 'group.1=1:2'], Err.badArguments],
    ['a stranger in a group', [...THREE, 'group.1=1:2:3:4'], Err.marshallingError],
    ['a weight that is no number', [...THREE, 'group.1=1:2:3', 'weight.1=x'], Err.marshallingError],
    ['observers without voters', [server(1, 'a', 'observer')], Err.marshallingError],
    ['observers with one voter', [server(1), server(2, 'b', 'observer')], Err.marshallingError],
    ['one voter', [server(1)], Err.badArguments],
    ['nobody', [''], Err.badArguments],
  ])('refuses %s', (_what, lines, err) => {
    expect(plan({ newMembers: lines.join('\n') })).toBe(err)
  })
})

describe('any change', () => {
  it('waits for the one before it, whatever it asks for', () => {
    const setup = { lastSeen: () => config(THREE, VERSION + 7) }
    expect(plan({ curConfigId: 5, newMembers: 'nonsense' }, setup)).toBe(Err.reconfigInProgress)
  })

  it('may be tied to the version it was made for', () => {
    expect(plan({ curConfigId: VERSION - 1, newMembers: 'nonsense' })).toBe(Err.badVersion)
    expect(plan({ curConfigId: 0 })).toBe(Err.badVersion)
    expect(plan({ curConfigId: VERSION })).toEqual([...THREE, 'version=200000005'])
  })

  it('leaves at least two voters, or one where an ensemble may have one', () => {
    expect(plan({ leaving: '1,2' })).toBe(Err.badArguments)
    expect(plan({ leaving: '1,2' }, { standaloneEnabled: false })).toEqual([server(3), 'version=200000005'])
    expect(plan({ leaving: '1,2,3' }, { standaloneEnabled: false })).toBe(Err.badArguments)
    expect(plan({ newMembers: '' }, { standaloneEnabled: false })).toBe(Err.marshallingError)
  })

  it('needs a quorum of the new voters that is in sync already; voters are counted before', () => {
    const joining = [4, 5, 6].map((id) => server(id)).join(',')
    expect(plan({ joining })).toBe(Err.newConfigNoQuorum)
    expect(plan({ joining }, { synced: [1, 2, 3, 5] })).toHaveLength(7)
    expect(plan({ leaving: '1,2' }, { synced: [] })).toBe(Err.badArguments)
  })
})

describe('the request (op 16)', () => {
  const reconfig =
    (joining: string | null, leaving: string | null, newMembers: string | null, curConfigId = -1) =>
    (out: Output): void => {
      data(joining)(out)
      data(leaving)(out)
      data(newMembers)(out)
      out.long(curConfigId)
    }
  const start = (options: HarnessOptions = {}): Ensemble =>
    new Ensemble(2, { reconfigEnabled: true, reconfig: planner(), ...options })
  const authenticate = (client: TestClient): void => {
    client.send(
      OpCode.auth,
      (out) => {
        out.int(0)
        out.string('digest')
        out.buffer(new TextEncoder().encode('super:x'))
      },
      -4,
    )
  }
  const answerOf = (ensemble: Ensemble, client: TestClient, body: (out: Output) => void): number => {
    client.send(OpCode.reconfig, body)
    ensemble.settle()
    return client.last.err
  }

  it.each(['leader', 'learner'])(
    'sent to a %s is a transaction of type 16 on /zookeeper/config, and answers with its data',
    (where) => {
      const ensemble = start({ superDigest: 'super:hash' })
      const client = where === 'leader' ? ensemble.clientOfLeader() : ensemble.client(0)
      authenticate(client)
      const before = ensemble.log.length
      expect(answerOf(ensemble, client, reconfig(server(4), null, null, VERSION))).toBe(0)
      const txn = new Input(ensemble.log[before]!)
      const zxid = VERSION + before + 1
      const expected = [...THREE, server(4), `version=${zxid.toString(16)}`].join('\n')
      expect([txn.int(), txn.int(), txn.int(), txn.long()]).toEqual([...client.sessionId, 1, zxid])
      txn.long() // time
      expect([txn.int(), txn.string(), txn.string(), txn.int()]).toEqual([16, '/zookeeper/config', expected, -1])

      const answer = new Input(client.last.body)
      expect(answer.string()).toBe(expected)
      expect([answer.long(), answer.long(), answer.remaining]).toEqual([0, zxid, 68 - 16]) // czxid, mzxid
      for (const each of [ensemble.client(0), ensemble.client(1), ensemble.clientOfLeader()]) {
        each.send(OpCode.getData, path('/zookeeper/config', bool(false)))
        ensemble.settle()
        expect([...each.last.body]).toEqual([...client.last.body])
      }
    },
  )

  it('is refused with its code, and leaves nothing changed', () => {
    const ensemble = start({ superDigest: 'super:hash' })
    const client = ensemble.client(0)
    authenticate(client)
    expect(answerOf(ensemble, client, reconfig(null, null, null, 77))).toBe(Err.badVersion)
    expect(answerOf(ensemble, client, reconfig(null, '1,2,3', null))).toBe(Err.badArguments)
    expect(answerOf(ensemble, client, reconfig('x', null, null))).toBe(Err.badArguments)
    expect(answerOf(ensemble, client, reconfig([4, 5, 6, 7].map((id) => server(id)).join(','), null, null))).toBe(
      Err.newConfigNoQuorum,
    )
    client.send(OpCode.getData, path('/zookeeper/config', bool(false)))
    ensemble.settle()
    expect(new Input(client.last.body).string()).toBe('')
  })

  it('needs write permission on /zookeeper/config, which is looked at last', () => {
    const ensemble = start()
    const client = ensemble.client(0)
    expect(answerOf(ensemble, client, reconfig(null, '1,2,3', null))).toBe(Err.badArguments)
    expect(answerOf(ensemble, client, reconfig(server(4), null, null))).toBe(Err.noAuth)
  })

  it('is refused before anything else where it is not enabled', () => {
    const ensemble = start({ reconfigEnabled: false })
    expect(answerOf(ensemble, ensemble.client(0), reconfig(null, '1,2,3', null, 77))).toBe(Err.reconfigDisabled)
  })

  it('of a session that has moved changes nothing', () => {
    const ensemble = start({ superDigest: 'super:hash' })
    const client = ensemble.client(0)
    authenticate(client)
    const moved = ensemble.learners[1]!.newClient()
    moved.takeUp(client)
    ensemble.settle()
    client.send(OpCode.reconfig, reconfig(server(4), null, null))
    ensemble.settle()
    const error = new Input(ensemble.log.at(-1)!, 28)
    expect([error.int(), error.int()]).toEqual([-1, Err.sessionMoved])
  })
})
