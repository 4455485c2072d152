/**
 * Trees with something of everything: written through the protocol, read back whole, compared.
 */
import { createHash } from 'node:crypto'
import { seededRandom } from './process.mjs'
import { code, flag, OPEN_ACL, pipeline, WireClient } from './wire.mjs'

/** Password `warden` for the user `super`. */
export const SUPER_DIGEST = superDigest('super:warden')
const WIDTH = 48
const SESSION_TIMEOUT_MS = 60_000
const BIG_BYTES = 500_000
const TTL_MS = 4_000_000_000
const CONTAINER_OWNER = 1n << 63n
const TTL_MARK = 0xffn << 56n

const ALL = 31
const READ = 1
const anyone = (perms) => ({ perms, scheme: 'world', id: 'anyone' })
const alice = { perms: ALL, scheme: 'digest', id: superDigest('alice:secret') }
const ACLS = [
  [anyone(READ)],
  [anyone(READ | 2 | 4)],
  [alice],
  [alice, anyone(READ)],
  [{ perms: ALL, scheme: 'ip', id: '127.0.0.1' }],
  [
    { perms: ALL, scheme: 'ip', id: '127.0.0.0/8' },
    { perms: READ, scheme: 'ip', id: '::1' },
  ],
  [{ perms: ALL, scheme: 'auth', id: '' }, anyone(READ)],
  [
    anyone(0),
    alice,
    { perms: 16, scheme: 'digest', id: superDigest('bob:hidden') },
    { perms: 4, scheme: 'ip', id: '10.1.0.0/16' },
  ],
]
const NAMES = [
  'plain',
  'with space',
  'dots...and',
  'ünïcödé',
  'жук',
  '漢字かな',
  'e\u0301-combining',
  'a'.repeat(300),
  '%2F',
  '{"json":1}',
]

function superDigest(userAndPassword) {
  return `${userAndPassword.split(':')[0]}:${createHash('sha1').update(userAndPassword).digest('base64')}`
}

/** Several sessions that write together and outlive the servers they write to. */
export class Writers {
  static async open(port, count) {
    const writers = new Writers()
    writers.hiddenOwners = new Map()
    writers.clients = []
    for (let i = 0; i < count; i++) {
      const client = await WireClient.connect({ port, timeoutMs: SESSION_TIMEOUT_MS })
      writers.clients.push(client)
    }
    await writers.authenticate()
    return writers
  }

  async authenticate() {
    for (const client of this.clients) {
      await client.auth('digest', 'alice:secret')
      await client.auth('digest', 'super:warden')
    }
  }

  /** The same sessions on another server. A refused one is an error: their timeouts have not passed. */
  async move(port) {
    for (const [i, old] of this.clients.entries()) {
      old.abandon()
      const { sessionId, password, lastZxid } = old
      this.clients[i] = await WireClient.connect({ port, sessionId, password, lastZxid, timeoutMs: SESSION_TIMEOUT_MS })
      if (this.clients[i].sessionId !== sessionId) throw new Error('a session has another id after it moved')
    }
    await this.authenticate()
  }

  /** Ends one session; its ephemerals go with it. */
  async closeOne() {
    await this.clients.pop().close()
  }

  async closeAll() {
    for (const client of this.clients) await client.close()
  }

  /** The highest zxid any of them has seen. */
  get lastZxid() {
    let highest = 0n
    for (const { lastZxid } of this.clients) if (lastZxid > highest) highest = lastZxid
    return highest
  }

  client(i) {
    return this.clients[i % this.clients.length]
  }

  /**
   * Writes about `size` znodes below `home`, which must not exist. Every kind, version and ACL that there is, errors
   * and deletions in between. Resolves when everything is answered.
   */
  async grow(home, size, seed) {
    const random = seededRandom(seed)
    const first = this.client(0)
    await expectOk(first.create(home, null))
    const parents = await this.makeParents(first, home)
    await this.makeQuota(first, home)
    const made = await pipeline(this.recipes(parents, size, random), WIDTH, (recipe, i) =>
      this.make(recipe, this.client(i)),
    )
    await this.disturb(
      made.filter((m) => m !== null),
      random,
    )
    for (let i = 0; i < 3; i++) await expectOk(first.create(`${home}/big${i}`, randomBytes(random, BIG_BYTES)))
    await expectOk(first.setData(`${home}/big1`, randomBytes(random, BIG_BYTES - 7)))
    await this.multis(first, home)
    await this.passingSession(first.socket.remotePort, home)
    // Alone at the end: nothing else is pending when the server computes the digest that goes with it.
    await expectOk(first.setData(home, Buffer.from('grown')))
  }

  async makeParents(client, home) {
    const parents = []
    for (const name of NAMES) parents.push(`${home}/${name}`)
    let deep = `${home}/deep`
    for (let i = 0; i < 40; i++) {
      parents.push(deep)
      deep += `/level-${i}`
    }
    for (const path of parents) await expectOk(client.create(path, Buffer.from(path)))
    for (const [name, flags] of [
      ['box', flag.container],
      ['lease', flag.ttl],
    ]) {
      const path = `${home}/${name}`
      await expectOk(client.create(path, null, { flags, ttlMs: TTL_MS }))
      this.remember(path, flags)
      parents.push(path, path, path) // so that they are not empty, which would have them removed
    }
    return parents
  }

  /** A quota with limits far off: its counts must be the same on every server. */
  async makeQuota(client, home) {
    let path = '/zookeeper/quota'
    for (const name of [...home.split('/').slice(1), 'plain']) {
      path += `/${name}`
      const { err } = await client.create(path, Buffer.alloc(0))
      if (err !== code.ok && err !== code.nodeExists) throw new Error(`create ${path}: ${err}`)
    }
    await expectOk(client.create(`${path}/zookeeper_limits`, Buffer.from('count=1000000,bytes=1000000000')))
    await expectOk(client.create(`${path}/zookeeper_stats`, Buffer.from('count=0,bytes=0')))
  }

  recipes(parents, size, random) {
    const kinds = [
      ...Array(10).fill(flag.persistent),
      ...Array(4).fill(flag.sequential),
      ...Array(3).fill(flag.ephemeral),
      ...Array(2).fill(flag.ephemeralSequential),
      flag.container,
      flag.ttl,
      flag.ttlSequential,
    ]
    return Array.from({ length: size }, (_, i) => ({
      path: `${random.pick(parents)}/${random.pick(NAMES)}-${i}-`,
      flags: random.pick(kinds),
      acl: random.next() < 0.6 ? OPEN_ACL : random.pick(ACLS),
      data: randomData(random),
      ttlMs: 1_000_000_000 + random.below(TTL_MS),
    }))
  }

  async make({ path, flags, acl, data, ttlMs }, client) {
    const reply = await expectOk(client.create(path, data, { flags, acl, ttlMs }))
    this.remember(reply.path, flags, ttlMs)
    return reply.path
  }

  remember(path, flags, ttlMs = TTL_MS) {
    if (flags === flag.container) this.hiddenOwners.set(path, CONTAINER_OWNER)
    else if (flags >= flag.ttl) this.hiddenOwners.set(path, TTL_MARK | BigInt(ttlMs))
  }

  /** Changes, deletes and refused requests over what is there. */
  async disturb(paths, random) {
    const plan = paths.flatMap((path) => {
      const dice = random.next()
      if (dice < 0.12) return [{ path, act: 'delete' }]
      if (dice < 0.3)
        return Array.from({ length: 1 + random.below(3) }, () => ({ path, act: 'set', data: randomData(random) }))
      if (dice < 0.4) return [{ path, act: 'acl', acl: random.pick(ACLS) }]
      if (dice < 0.45) return [{ path, act: 'refuse' }]
      return []
    })
    await pipeline(plan, WIDTH, async ({ path, act, data, acl }, i) => {
      const client = this.client(i)
      if (act === 'delete') {
        await expectOk(client.delete(path))
        this.hiddenOwners.delete(path)
      } else if (act === 'set') await expectOk(client.setData(path, data))
      else if (act === 'acl') await expectOk(client.setACL(path, acl))
      else {
        await expectError(client.create(path, data ?? null), code.nodeExists)
        await expectError(client.setData(path, Buffer.from('refused'), 4711), code.badVersion)
      }
    })
  }

  async multis(client, home) {
    for (let i = 0; i < 20; i++) {
      const [a, b] = [`${home}/multi-${i}-a`, `${home}/multi-${i}-b`]
      const parts = [
        { create: a, data: Buffer.from('a') },
        { create: b, data: null },
        { set: a, data: Buffer.from('b'), version: 0 },
      ]
      await expectOk(client.multi(parts))
      await expectError(
        client.multi([
          { set: b, data: Buffer.from('no') },
          { delete: a, version: 9 },
        ]),
        code.badVersion,
      )
      if (i % 3 === 0) await expectOk(client.multi([{ delete: b }, { check: a, version: 1 }]))
    }
  }

  /** A session that comes and goes: its ephemerals leave by the closing of the session, not by delete. */
  async passingSession(port, home) {
    const client = await WireClient.connect({ port, timeoutMs: SESSION_TIMEOUT_MS })
    for (let i = 0; i < 30; i++) {
      await expectOk(client.create(`${home}/passing-${i}`, Buffer.from('x'), { flags: flag.ephemeral }))
    }
    await client.close()
  }

  /** Changes what an earlier server wrote: data, ACLs, deletions, new children. */
  async revise(tree, seed) {
    const random = seededRandom(seed)
    const paths = [...tree.keys()].filter((path) => path.split('/').length > 3 && !path.startsWith('/zookeeper'))
    const leaves = paths.filter((path) => tree.get(path).stat.numChildren === 0)
    await this.disturb(
      leaves.filter(() => random.next() < 0.3),
      random,
    )
  }
}

/** Reads everything that clients can be told: data, Stat, ACL and children of every node, the root first. */
export async function readTree(port) {
  const reader = await WireClient.connect({ port })
  await reader.auth('digest', 'super:warden')
  const tree = new Map()
  let level = ['/']
  while (level.length > 0) {
    const nodes = await pipeline(level, WIDTH, async (path) => {
      const [content, listing, access] = await Promise.all([
        reader.getData(path),
        reader.getChildren(path),
        reader.getACL(path),
      ])
      for (const { err } of [content, listing, access]) if (err !== 0) throw new Error(`reading ${path}: ${err}`)
      for (const { stat } of [listing, access]) {
        if (!same(stat, content.stat)) throw new Error(`${path}: getData, getChildren and getACL give different Stats`)
      }
      return { path, data: content.data, stat: content.stat, children: listing.children.sort(), acl: access.acl }
    })
    level = []
    for (const { path, ...node } of nodes) {
      tree.set(path, node)
      level.push(...node.children.map((child) => (path === '/' ? `/${child}` : `${path}/${child}`)))
    }
  }
  await reader.close()
  return tree
}

/** Every difference between two readings, as sentences. */
export function differences(expected, actual) {
  const found = []
  for (const [path, node] of expected) {
    const there = actual.get(path)
    if (there === undefined) {
      found.push(`${path} is missing`)
      continue
    }
    for (const [field, value] of Object.entries(node.stat)) {
      if (there.stat[field] !== value) found.push(`${path}: ${field} is ${there.stat[field]}, expected ${value}`)
    }
    if (!sameData(node.data, there.data))
      found.push(`${path}: data is ${shown(there.data)}, expected ${shown(node.data)}`)
    if (!same(node.acl, there.acl)) found.push(`${path}: ACL is ${text(there.acl)}, expected ${text(node.acl)}`)
    if (!same(node.children, there.children)) found.push(`${path}: the children differ`)
  }
  for (const path of actual.keys()) if (!expected.has(path)) found.push(`${path} is there and should not be`)
  return found
}

/** How many nodes of each kind a tree has, for the report. */
export function census(tree) {
  const nodes = [...tree.values()]
  const count = (test) => nodes.filter(test).length
  return {
    nodes: nodes.length,
    ephemeral: count((n) => n.stat.ephemeralOwner !== 0n),
    acls: new Set(nodes.map((n) => text(n.acl))).size,
    nullData: count((n) => n.data === null),
    changed: count((n) => n.stat.version > 0 || n.stat.aversion > 0),
  }
}

function randomData(random) {
  const dice = random.next()
  if (dice < 0.1) return null
  if (dice < 0.2) return Buffer.alloc(0)
  if (dice < 0.6) return Buffer.from(`value ${random.below(1e9)} \u00fc\u6f22`)
  return randomBytes(random, random.below(dice < 0.98 ? 200 : 20_000))
}

function randomBytes(random, length) {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) bytes[i] = random.below(256)
  return bytes
}

async function expectOk(reply) {
  const answer = await reply
  if (answer.err !== code.ok) throw new Error(`a write was refused with ${answer.err}`)
  return answer
}

async function expectError(reply, err) {
  const answer = await reply
  if (answer.err !== err) throw new Error(`a write was answered with ${answer.err}, expected ${err}`)
}

function sameData(a, b) {
  return a === null || b === null ? a === b : a.equals(b)
}

function text(value) {
  return JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}n` : v))
}

function same(a, b) {
  return text(a) === text(b)
}

function shown(data) {
  if (data === null) return 'null'
  return data.length <= 40 ? `"${data.toString('latin1')}"` : `${data.length} bytes`
}
