/**
 * Logins by SASL as a connection sees them: replies, ids, and what a failure costs. Java: ZooKeeperServer.processSasl;
 * test/interop/sasl has the same steps on the real server.
 */
import { describe, expect, it } from 'vitest'
import { Err, OpCode } from '../../../../src/jute/codes.ts'
import { Secret } from '../../../../src/server/config/settings.ts'
import { DigestMd5Client } from '../../../../src/server/sasl/digestmd5.ts'
import { CLIENT_SERVICE, digestCrypto, digestServerLogin } from '../../../../src/server/sasl/login.ts'
import { acl, create, data, Ensemble, Harness, type HarnessOptions, int, path, type TestClient } from '../harness.ts'

const EMPTY = new Uint8Array(0)
const PATH_A = new TextEncoder().encode('/a')
const USERS = new Map([
  ['bob', new Secret('bobsecret')],
  ['super', new Secret('adminsecret')],
])
const SASL = { provided: true, anyUser: null, superUsers: ['bob'] }

/** A client with a session, and the server that it speaks to. */
interface Peer {
  harness: Harness
  client: TestClient
}

function connected(options: HarnessOptions = {}, withLogin = true, harness?: Harness): Peer {
  const server = harness ?? new Harness({ sasl: SASL, ...options })
  const client = server.client()
  if (withLogin) client.conn.login = digestServerLogin(USERS, CLIENT_SERVICE, (id) => id)
  return { harness: server, client }
}

/** Sends a token; the answer is the token of the reply, or its error code. */
function step({ harness, client }: Peer, token: Uint8Array): Uint8Array | number | null {
  client.send(OpCode.sasl, (out) => out.buffer(token))
  harness.flush()
  const { err, body, zxid } = client.last
  expect(zxid).toBe(0)
  const length = new DataView(body.buffer, body.byteOffset).getInt32(0)
  expect(body.length).toBe(4 + Math.max(0, length))
  if (err !== Err.ok) expect(length).toBe(-1)
  return err !== Err.ok ? err : length < 0 ? null : body.slice(4)
}

function logIn(peer: Peer, user: string, password: string): Uint8Array | number | null {
  const sasl = new DigestMd5Client({ ...CLIENT_SERVICE, crypto: digestCrypto, user, password })
  return step(peer, sasl.step(step(peer, EMPTY) as Uint8Array) as Uint8Array)
}

const idsOf = ({ client }: Peer) => client.conn.ids.map(({ scheme, id }) => `${scheme}:${id}`)

describe('a login by SASL', () => {
  it('adds the id that was proved, and the super user where that id is one', () => {
    const bob = connected()
    expect(new TextDecoder().decode(logIn(bob, 'bob', 'bobsecret') as Uint8Array)).toMatch(/^rspauth=[0-9a-f]{32}$/)
    expect(idsOf(bob)).toEqual(['ip:127.0.0.1', 'sasl:bob', 'super:'])
    const admin = connected()
    logIn(admin, 'super', 'adminsecret')
    expect(idsOf(admin)).toEqual(['ip:127.0.0.1', 'sasl:super'])
  })

  it('that fails is answered by AUTHFAILED and a null token, and closes the connection', () => {
    for (const [user, password] of [
      ['bob', 'guess'],
      ['eve', 'bobsecret'],
      ['', ''],
    ] as const) {
      const peer = connected()
      expect(logIn(peer, user, password)).toBe(Err.authFailed)
      expect(idsOf(peer)).toEqual(['ip:127.0.0.1'])
      expect(peer.client.closed).not.toBe(null)
    }
    const garbage = connected()
    step(garbage, EMPTY)
    expect(step(garbage, new TextEncoder().encode('garbage'))).toBe(Err.authFailed)
  })

  it('X11: of an unknown user fails on a connection of its own, right after one of a known user', () => {
    const bob = connected()
    const eve = connected({}, false, bob.harness)
    eve.client.conn.login = bob.client.conn.login
    const asBob = new DigestMd5Client({ ...CLIENT_SERVICE, crypto: digestCrypto, user: 'bob', password: 'bobsecret' })
    const asEve = new DigestMd5Client({ ...CLIENT_SERVICE, crypto: digestCrypto, user: 'eve', password: 'bobsecret' })
    const forBob = asBob.step(step(bob, EMPTY) as Uint8Array)
    const forEve = asEve.step(step(eve, EMPTY) as Uint8Array)
    expect(step(bob, forBob as Uint8Array)).toBeInstanceOf(Uint8Array)
    expect(step(eve, forEve as Uint8Array)).toBe(Err.authFailed)
    expect(idsOf(eve)).toEqual(['ip:127.0.0.1'])
  })

  it('that is complete cannot be continued', () => {
    const peer = connected()
    logIn(peer, 'bob', 'bobsecret')
    expect(step(peer, EMPTY)).toBe(Err.authFailed)
    expect(peer.client.closed).not.toBe(null)
  })

  it('that fails leaves the client connected where allowSaslFailedClients says so', () => {
    const peer = connected({ allowSaslFailedClients: true })
    expect(logIn(peer, 'bob', 'guess')).toBe(null)
    expect(idsOf(peer)).toEqual(['ip:127.0.0.1'])
    expect(peer.client.closed).toBe(null)
  })

  it('that is enforced is answered by SESSIONCLOSEDREQUIRESASLAUTH when it fails, whatever else is allowed', () => {
    const peer = connected({ allowSaslFailedClients: true, enforcedSchemes: ['sasl'] })
    expect(logIn(peer, 'bob', 'guess')).toBe(Err.sessionClosedRequireSaslAuth)
    expect(peer.client.closed).not.toBe(null)
  })

  it('that is enforced comes before every other request', () => {
    const peer = connected({ enforcedSchemes: ['sasl'] })
    logIn(peer, 'bob', 'bobsecret')
    peer.client.send(OpCode.ping, () => {}, -2)
    peer.harness.flush()
    expect(peer.client.last.err).toBe(Err.ok)
    const other = connected({ enforcedSchemes: ['sasl'] })
    other.client.send(OpCode.ping, () => {}, -2)
    other.harness.flush()
    expect(other.client.last.err).toBe(Err.sessionClosedRequireSaslAuth)
  })

  it('at a follower is known to the leader, who makes the ACL of its owner', () => {
    const ensemble = new Ensemble(2, { sasl: SASL })
    const [near, far] = [0, 1].map((learner) => {
      const client = ensemble.client(learner)
      client.conn.login = digestServerLogin(USERS, CLIENT_SERVICE, (id) => id)
      return { harness: ensemble.learners[learner]!, client }
    }) as [Peer, Peer]
    logIn(near, 'super', 'adminsecret')
    near.client.send(OpCode.create, create('/a', 0, 'x', acl([31, 'auth', ''], [1, 'sasl', 'ann'])))
    ensemble.settle()
    expect(near.client.last.err).toBe(Err.ok)
    const { tree } = ensemble.leader.state
    const entries = tree.acls.entries(tree.aclId(tree.find(PATH_A, 0, 2))).map(({ perms, id }) => `${perms} ${id}`)
    expect(entries).toEqual(['31 super', '1 ann'])
    far.client.send(OpCode.setData, path('/a', data('y'), int(-1)))
    ensemble.settle()
    expect(far.client.last.err).toBe(Err.noAuth)
    logIn(far, 'bob', 'bobsecret') // a super user
    far.client.send(OpCode.setData, path('/a', data('y'), int(-1)))
    ensemble.settle()
    expect(far.client.last.err).toBe(Err.ok)
  })

  it('is answered by success and nothing where the server has none', () => {
    const peer = connected({}, false)
    expect(step(peer, EMPTY)).toBe(null)
    expect(step(peer, new Uint8Array([1, 2, 3]))).toBe(null)
    expect(peer.client.last.err).toBe(Err.ok)
    expect(idsOf(peer)).toEqual(['ip:127.0.0.1'])
  })

  it('without a token, or cut off, ends the connection', () => {
    for (const write of [(out: { int(value: number): void }) => out.int(-1), () => {}]) {
      const peer = connected()
      peer.client.send(OpCode.sasl, write)
      expect(peer.client.closed).not.toBe(null)
    }
  })
})
