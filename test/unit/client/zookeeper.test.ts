/** The client against our own server, over real sockets through a relay that can cut them. */

import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { KeeperError } from '../../../src/client/failures.ts'
import { deleteSubtree, visitSubtree, type Walk } from '../../../src/client/subtree.ts'
import type { WatchedEvent } from '../../../src/client/watches.ts'
import { ZooKeeper } from '../../../src/client/zookeeper.ts'
import { parseConfig } from '../../../src/server/config/config.ts'
import type { RunningServer } from '../../../src/server/life/running.ts'
import { startServer } from '../../../src/server/main.ts'
import { eventText } from './corekit.ts'

const NO_NODE = -101
const EPHEMERAL = 1
const CHILDREN = 1
const RECURSIVE = 1
const quiet: Walk = { signal: new AbortController().signal, progress: () => {} }

/** Passes bytes on, until it is told to hang up or to take nobody. */
class Relay {
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  open = true

  constructor(port: () => number) {
    this.server = createServer((near) => {
      if (!this.open) {
        near.destroy()
        return
      }
      const far = connect(port(), '127.0.0.1')
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.sockets.add(from)
        from.on('error', () => {})
        from.on('data', (chunk) => void to.write(chunk))
        from.on('close', () => {
          this.sockets.delete(from)
          to.destroy()
        })
      }
    })
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return (this.server.address() as AddressInfo).port
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

/** A client with what its watcher heard; `until` waits for a word of it. */
class Ears {
  readonly heard: string[] = []
  private waiting: { text: string; resolve: () => void }[] = []

  readonly watcher = (event: WatchedEvent): void => {
    this.heard.push(eventText(event))
    this.waiting = this.waiting.filter(({ text, resolve }) => {
      if (text !== this.heard.at(-1)) return true
      resolve()
      return false
    })
  }

  /** Hears `text`, from now on. */
  next(text: string): Promise<void> {
    return new Promise((resolve) => this.waiting.push({ text, resolve }))
  }
}

let dir: string
let server: RunningServer
let relay: Relay
let port: number
let clients: ZooKeeper[]

async function startOn(): Promise<RunningServer> {
  const text = [`dataDir=${dir}`, 'clientPort=0', 'clientPortAddress=127.0.0.1', 'tickTime=200', 'forceSync=no']
  const lines = [...text, 'minSessionTimeout=400', 'maxSessionTimeout=60000', 'extendedTypesEnabled=true']
  return startServer(parseConfig(lines.join('\n'), 'zoo.cfg', new Map()).config, pino({ level: 'silent' }))
}

function client(ears: Ears, chroot = '', sessionTimeoutMs = 30_000): ZooKeeper {
  const zk = new ZooKeeper({ connect: `127.0.0.1:${port}${chroot}`, sessionTimeoutMs }, ears.watcher)
  clients.push(zk)
  return zk
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'zk-client-'))
  server = await startOn()
  relay = new Relay(() => server.port)
  port = await relay.listen()
  clients = []
})

afterEach(async () => {
  relay.open = true
  for (const zk of clients) zk.abandon()
  await relay.close()
  await server.close()
  rmSync(dir, { recursive: true })
})

function failureOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'none',
    (err: unknown) => (err instanceof KeeperError ? err.message : String(err)),
  )
}

describe('requests', () => {
  test('each does what it says', async () => {
    const ears = new Ears()
    const zk = client(ears)
    expect(await zk.create('/a', new Uint8Array([1, 2]))).toBe('/a')
    expect(await zk.create('/a/s-', null, { mode: 2 })).toBe('/a/s-0000000000')
    expect(await zk.create('/a/box', null, { mode: 4 })).toBe('/a/box')
    expect(await zk.create('/a/ttl', null, { mode: 5, ttlMs: 60_000 })).toBe('/a/ttl')
    expect((await zk.getChildren('/a')).children.sort()).toEqual(['box', 's-0000000000', 'ttl'])
    expect((await zk.getData('/a')).data).toEqual(new Uint8Array([1, 2]))
    expect((await zk.setData('/a', new Uint8Array([3]), 0)).version).toBe(1)
    expect((await zk.exists('/a'))?.dataLength).toBe(1)
    expect(await zk.exists('/b')).toBe(null)
    expect(await zk.getAllChildrenNumber('/a')).toBe(3)
    expect((await zk.getACL('/a')).acl).toEqual([{ perms: 31, id: { scheme: 'world', id: 'anyone' } }])
    await zk.addAuth('digest', new TextEncoder().encode('ann:x'))
    expect((await zk.whoAmI()).map(({ authScheme }) => authScheme).sort()).toEqual(['digest', 'ip'])
    expect((await zk.setACL('/a/box', [{ perms: 1, id: { scheme: 'world', id: 'anyone' } }])).aversion).toBe(1)
    await zk.sync('/a')
    await zk.create('/e', null, { mode: EPHEMERAL })
    expect(await zk.getEphemerals()).toEqual(['/e'])
    expect(await failureOf(zk.getData('/none'))).toBe('KeeperErrorCode = NoNode for /none')
    expect(await failureOf(zk.delete('/a'))).toBe('KeeperErrorCode = Directory not empty for /a')
    expect(await failureOf(zk.deleteTogether(['/a/ttl', '/none']))).toBe('KeeperErrorCode = NoNode')
    expect(await zk.exists('/a/ttl')).not.toBe(null)
    await zk.deleteTogether(['/a/ttl', '/a/box'])
    await zk.close()
    expect(ears.heard).toEqual(['SyncConnected', 'Closed'])
    expect(await failureOf(zk.getData('/a'))).toBe('KeeperErrorCode = Session expired for /a')
  })

  test('below a chroot nothing else is seen, and paths have none of it', async () => {
    await client(new Ears()).create('/app', null)
    const ears = new Ears()
    const zk = client(ears, '/app')
    expect(await zk.create('/x', null)).toBe('/x')
    await zk.getChildren('/', true)
    const heard = ears.next('NodeChildrenChanged /')
    await zk.create('/y', null)
    await heard
    expect((await zk.getChildren('/')).children.sort()).toEqual(['x', 'y'])
  })

  test('many at once are answered in order', async () => {
    const zk = client(new Ears())
    await zk.create('/n', null)
    const created = await Promise.all(Array.from({ length: 500 }, () => zk.create('/n/s-', null, { mode: 2 })))
    expect(created).toEqual(Array.from({ length: 500 }, (_, i) => `/n/s-${String(i).padStart(10, '0')}`))
  })
})

describe('a cut connection', () => {
  test('keeps the session, its ephemeral nodes and its watches; a change made meanwhile is told', async () => {
    const ears = new Ears()
    const zk = client(ears)
    const other = new ZooKeeper({ connect: `127.0.0.1:${server.port}`, sessionTimeoutMs: 30_000 }, () => {})
    clients.push(other)
    await zk.create('/w', null)
    await zk.create('/w/short', null, { mode: EPHEMERAL })
    await zk.getData('/w', true)
    await zk.exists('/later', true)
    await zk.addWatch('/w', RECURSIVE)
    const { hi, lo } = zk.sessionId
    relay.open = false
    const lost = ears.next('Disconnected')
    relay.cut()
    await lost
    await other.setData('/w', new Uint8Array([1]))
    const back = ears.next('SyncConnected')
    const told = ears.next('NodeDataChanged /w')
    relay.open = true
    await Promise.all([back, told])
    expect(zk.sessionId).toEqual({ hi, lo })
    expect(await zk.getEphemerals()).toEqual(['/w/short'])
    const more = [ears.next('NodeCreated /w/new'), ears.next('NodeCreated /later')]
    await other.create('/w/new', null)
    await other.create('/later', null)
    await Promise.all(more)
  })

  test('fails what was under way', async () => {
    const ears = new Ears()
    const zk = client(ears)
    await zk.sync('/')
    const call = failureOf(zk.getData('/zookeeper'))
    relay.cut()
    // Either the answer was quicker, or it never comes.
    expect(['none', 'KeeperErrorCode = ConnectionLoss for /zookeeper']).toContain(await call)
    await ears.next('SyncConnected')
  })

  test('that lasts longer than the session is its end', async () => {
    const ears = new Ears()
    const zk = client(ears, '', 500)
    await zk.create('/gone', null, { mode: EPHEMERAL })
    const other = new ZooKeeper({ connect: `127.0.0.1:${server.port}`, sessionTimeoutMs: 30_000 }, () => {})
    clients.push(other)
    const deleted = new Promise<void>((resolve) => {
      void other.getData('/gone', ({ type }) => type === 'NodeDeleted' && resolve())
    })
    await other.sync('/')
    const expired = ears.next('Expired')
    relay.open = false
    relay.cut()
    await deleted
    relay.open = true
    await expired
    expect([zk.state, await failureOf(zk.exists('/gone'))]).toEqual([
      'CLOSED',
      'KeeperErrorCode = Session expired for /gone',
    ])
  })
})

describe('another server', () => {
  test('is tried when the first does not answer, with the request that waits', async () => {
    const dead = new Relay(() => 0)
    dead.open = false
    const deadPort = await dead.listen()
    for (let i = 0; i < 8; i++) {
      const zk = new ZooKeeper(
        { connect: `127.0.0.1:${deadPort},127.0.0.1:${port}`, sessionTimeoutMs: 30_000 },
        () => {},
      )
      clients.push(zk)
      expect((await zk.getChildren('/')).children).toEqual(['zookeeper'])
    }
    await dead.close()
  })
})

describe('a server that talks nonsense', () => {
  /** Grants a session to everybody, and answers every request with `answer`. */
  async function nonsense(answer: readonly number[]): Promise<{ port: number; close: () => void }> {
    const granted = [0, 0, 0, 37, 0, 0, 0, 0, 0, 0, 0x75, 0x30, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 16]
    const listening = createServer((socket) => {
      let greeted = false
      socket.on('error', () => {})
      socket.on('data', () => {
        socket.write(new Uint8Array(greeted ? answer : [...granted, ...new Array(17).fill(0)]))
        greeted = true
      })
    })
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
    return { port: (listening.address() as AddressInfo).port, close: () => void listening.close() }
  }

  const header = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]

  test.each([
    ['data longer than its frame', [0, 0, 0, 20, ...header, 0, 0, 1, 0], 'MarshallingError'],
    ['an answer without the record', [0, 0, 0, 16, ...header], 'MarshallingError'],
    ['half a header', [0, 0, 0, 8, ...header.slice(0, 8)], 'ConnectionLoss'],
    ['a frame of two gigabytes', [0x7f, 0xff, 0xff, 0xff], 'ConnectionLoss'],
    ['a frame of less than nothing', [0xff, 0xff, 0xff, 0xff], 'ConnectionLoss'],
    ['an answer to nothing', [0, 0, 0, 16, 0, 0, 0, 9, ...header.slice(4)], 'ConnectionLoss'],
  ])('%s fails the request and ends the connection', async (_, answer, failure) => {
    const server = await nonsense(answer)
    const ears = new Ears()
    const zk = new ZooKeeper({ connect: `127.0.0.1:${server.port}`, sessionTimeoutMs: 30_000 }, ears.watcher)
    clients.push(zk)
    const lost = ears.next('Disconnected')
    expect(await failureOf(zk.getData('/a'))).toBe(`KeeperErrorCode = ${failure} for /a`)
    await lost
    server.close()
  })
})

describe('removed watches', () => {
  test('hear of it, and of nothing behind', async () => {
    const ears = new Ears()
    const zk = client(ears)
    await zk.getChildren('/', true)
    await zk.getData('/', true)
    await zk.removeAllWatches('/', CHILDREN)
    expect(ears.heard).toEqual(['SyncConnected', 'ChildWatchRemoved /'])
    expect(await failureOf(zk.removeAllWatches('/', CHILDREN))).toBe('KeeperErrorCode = No such watcher for /')
    await zk.create('/x', null)
    expect(ears.heard).toHaveLength(2)
  })
})

describe('walks', () => {
  async function grow(zk: ZooKeeper): Promise<string[]> {
    const paths = ['/t']
    for (const a of ['b', 'a', 'B']) {
      paths.push(`/t/${a}`)
      for (let i = 0; i < 100; i++) paths.push(`/t/${a}/${i}`)
    }
    await Promise.all(paths.map((path) => zk.create(path, null)))
    return paths
  }

  test('visit a node, its sorted children, and then what is below each', async () => {
    const zk = client(new Ears())
    const paths = await grow(zk)
    const seen: string[] = []
    await visitSubtree(zk, '/t', false, (path) => void seen.push(path), quiet)
    expect(seen.slice(0, 6)).toEqual(['/t', '/t/B', '/t/a', '/t/b', '/t/B/0', '/t/B/1'])
    expect(seen.indexOf('/t/a/0')).toBe(seen.indexOf('/t/B/99') + 1)
    expect([...seen].sort()).toEqual([...paths].sort())
  })

  test('delete leaves first, in batches or one by one', async () => {
    for (const batchSize of [1, 7, 1000, 0, -1]) {
      const zk = client(new Ears())
      await grow(zk)
      const counts: (number | null)[] = []
      const walk = { ...quiet, progress: (count: number, total: number | null) => counts.push(count, total) }
      expect(await deleteSubtree(zk, '/t', batchSize, walk)).toBe(true)
      expect(await zk.exists('/t')).toBe(null)
      expect(counts.slice(-2)).toEqual([304, 304])
    }
  })

  test('stop when they are told to', async () => {
    const zk = client(new Ears())
    await grow(zk)
    const stop = new AbortController()
    const walk = { signal: stop.signal, progress: () => stop.abort() }
    await expect(deleteSubtree(zk, '/t', 10, walk)).rejects.toThrow('abort')
    expect(await zk.getAllChildrenNumber('/t')).toBe(303)
    const missing = await failureOf(visitSubtree(zk, '/none', false, () => {}, quiet))
    expect(missing).toBe(new KeeperError(NO_NODE, '/none').message)
  })
})
