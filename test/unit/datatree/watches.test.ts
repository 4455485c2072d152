import { describe, expect, it } from 'vitest'
import { hashPath, PathTable } from '../../../src/datatree/pathtable.ts'
import { Watches } from '../../../src/datatree/watches.ts'
import { EventType, WatcherType } from '../../../src/jute/codes.ts'
import { NaiveWatches } from './naivewatches.ts'
import { Random } from './random.ts'

const { nodeCreated, nodeDeleted, nodeDataChanged, nodeChildrenChanged } = EventType

interface Told {
  conn: number
  eventType: number
  zxid: number
  path: string
  aclId: number
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function text(buf: Uint8Array, off = 0, end = buf.length): string {
  return new TextDecoder().decode(buf.subarray(off, end))
}

/** Watches under strings, with what they told. */
class Rig {
  readonly told: Told[] = []
  readonly watches: Watches

  constructor(hashSeed?: number) {
    this.watches = new Watches(
      {
        onWatch: (conn, eventType, zxid, path, off, end, aclId) =>
          this.told.push({ conn, eventType, zxid, path: text(path, off, end), aclId }),
      },
      hashSeed,
    )
  }

  add(kind: 'data' | 'child' | 'persistent' | 'recursive', conn: number, path: string): void {
    const buf = bytes(`..${path}!`)
    const end = buf.length - 1
    if (kind === 'data') this.watches.addData(conn, buf, 2, end)
    else if (kind === 'child') this.watches.addChild(conn, buf, 2, end)
    else if (kind === 'persistent') this.watches.addPersistent(conn, buf, 2, end)
    else this.watches.addRecursive(conn, buf, 2, end)
  }

  contains(type: number, conn: number, path: string): boolean {
    const buf = bytes(path)
    return this.watches.contains(type, conn, buf, 0, buf.length)
  }

  remove(type: number, conn: number, path: string): boolean {
    const buf = bytes(path)
    return this.watches.remove(type, conn, buf, 0, buf.length)
  }

  created(path: string, zxid = 1): string[] {
    return this.during(() => this.watches.created(bytes(path), 0, bytes(path).length, zxid, 7, 8))
  }

  deleted(path: string, zxid = 1): string[] {
    return this.during(() => this.watches.deleted(bytes(path), 0, bytes(path).length, zxid, 7, 8))
  }

  changed(path: string, zxid = 1): string[] {
    return this.during(() => this.watches.dataChanged(bytes(path), 0, bytes(path).length, zxid, 7))
  }

  private during(act: () => void): string[] {
    const from = this.told.length
    act()
    return this.told.slice(from).map((t) => `${t.conn} ${t.eventType} ${t.path}`)
  }
}

describe('Triggers', () => {
  it('create tells the data watches of the node and then the child watches of its parent, with the ACL of each', () => {
    const rig = new Rig()
    rig.add('data', 1, '/a/b')
    rig.add('child', 2, '/a')
    rig.add('child', 1, '/a')
    rig.add('data', 3, '/a')
    rig.created('/a/b', 9)
    expect(rig.told[0]).toEqual({ conn: 1, eventType: nodeCreated, zxid: 9, path: '/a/b', aclId: 7 })
    const rest = rig.told.slice(1).sort((x, y) => x.conn - y.conn)
    expect(rest).toEqual([
      { conn: 1, eventType: nodeChildrenChanged, zxid: 9, path: '/a', aclId: 8 },
      { conn: 2, eventType: nodeChildrenChanged, zxid: 9, path: '/a', aclId: 8 },
    ])
  })

  it('delete tells a connection with data and child watch once, the others of the child table after, the parent last', () => {
    const rig = new Rig()
    rig.add('data', 1, '/a')
    rig.add('child', 1, '/a')
    rig.add('child', 2, '/a')
    rig.add('child', 1, '/')
    expect(rig.deleted('/a')).toEqual([`1 ${nodeDeleted} /a`, `2 ${nodeDeleted} /a`, `1 ${nodeChildrenChanged} /`])
    expect(rig.watches.count).toBe(0)
  })

  it('a connection told by a recursive watch of an ancestor loses its child watch on the deleted node in silence', () => {
    const rig = new Rig()
    rig.add('recursive', 1, '/')
    rig.add('child', 1, '/a/b')
    expect(rig.deleted('/a/b')).toEqual([`1 ${nodeDeleted} /a/b`])
    expect(rig.contains(WatcherType.children, 1, '/a/b')).toBe(false)
  })

  it('standard watches fire once; persistent ones each time, on the node and on its children list', () => {
    const rig = new Rig()
    rig.add('data', 1, '/a')
    rig.add('persistent', 2, '/a')
    expect(rig.changed('/a').sort()).toEqual([`1 ${nodeDataChanged} /a`, `2 ${nodeDataChanged} /a`])
    expect(rig.changed('/a')).toEqual([`2 ${nodeDataChanged} /a`])
    expect(rig.created('/a/x')).toEqual([`2 ${nodeChildrenChanged} /a`])
    expect(rig.deleted('/a/x')).toEqual([`2 ${nodeChildrenChanged} /a`])
    expect(rig.deleted('/a')).toEqual([`2 ${nodeDeleted} /a`])
    expect(rig.created('/a')).toEqual([`2 ${nodeCreated} /a`])
  })

  it('recursive watches hear of the node and everything below, from / too, and never of children lists', () => {
    const rig = new Rig()
    rig.add('recursive', 1, '/a')
    rig.add('recursive', 2, '/')
    rig.add('recursive', 3, '/a/b')
    expect(rig.created('/a/b/c').sort()).toEqual([1, 2, 3].map((conn) => `${conn} ${nodeCreated} /a/b/c`))
    expect(rig.changed('/a').sort()).toEqual([1, 2].map((conn) => `${conn} ${nodeDataChanged} /a`))
    expect(rig.changed('/')).toEqual([`2 ${nodeDataChanged} /`])
    expect(rig.created('/ab')).toEqual([`2 ${nodeCreated} /ab`])
    expect(rig.deleted('/a/bc')).toHaveLength(2)
  })

  it('one event per connection though several modes match, and the standard one among them is used up', () => {
    const rig = new Rig()
    rig.add('recursive', 1, '/')
    rig.add('recursive', 1, '/a')
    rig.add('persistent', 1, '/a')
    rig.add('data', 1, '/a')
    expect(rig.changed('/a')).toEqual([`1 ${nodeDataChanged} /a`])
    expect(rig.contains(WatcherType.data, 1, '/a')).toBe(false)
    expect(rig.contains(WatcherType.persistent, 1, '/a')).toBe(true)
    expect(rig.contains(WatcherType.persistentRecursive, 1, '/a')).toBe(true)
  })

  it('a watch on the empty path is kept and never fires, as it is not the path of any change', () => {
    const rig = new Rig()
    rig.add('data', 1, '')
    expect(rig.contains(WatcherType.data, 1, '')).toBe(true)
    expect(rig.changed('/')).toEqual([])
    expect(rig.created('/a')).toEqual([])
  })
})

describe('Removal', () => {
  it('follows the type: children, data, persistent in both tables, recursive, any', () => {
    const rig = new Rig()
    const all = () => {
      rig.add('data', 1, '/a')
      rig.add('child', 1, '/a')
      rig.add('persistent', 1, '/a')
      rig.add('recursive', 1, '/a')
    }
    all()
    expect(rig.remove(WatcherType.children, 1, '/a')).toBe(true)
    expect(rig.remove(WatcherType.children, 1, '/a')).toBe(false)
    expect(rig.remove(WatcherType.data, 1, '/a')).toBe(true)
    expect(rig.remove(WatcherType.data, 1, '/a')).toBe(false)
    expect(rig.remove(WatcherType.persistent, 1, '/a')).toBe(true)
    expect(rig.remove(WatcherType.persistent, 1, '/a')).toBe(false)
    expect(rig.remove(WatcherType.any, 1, '/a')).toBe(true)
    expect(rig.remove(WatcherType.any, 1, '/a')).toBe(false)
    all()
    expect(rig.remove(WatcherType.persistentRecursive, 1, '/a')).toBe(true)
    expect(rig.remove(WatcherType.any, 2, '/a')).toBe(false)
    expect(rig.remove(WatcherType.any, 1, '/a')).toBe(true)
    expect(rig.watches.count).toBe(0)
    expect(rig.remove(99, 1, '/a')).toBe(false)
  })
})

describe('Figures', () => {
  it('a connection whose only watch has fired still counts, and no longer when it removes its last one itself', () => {
    const rig = new Rig()
    rig.add('data', 1, '/a')
    rig.add('child', 5, '/a')
    expect([rig.watches.countConnections, rig.watches.countPaths, rig.watches.countTotal]).toEqual([1, 1, 1])
    rig.changed('/a')
    expect([rig.watches.countConnections, rig.watches.countPaths, rig.watches.countTotal]).toEqual([1, 0, 0])
    rig.add('recursive', 1, '/b')
    rig.remove(WatcherType.any, 1, '/b')
    expect(rig.watches.countConnections).toBe(0)
    expect(rig.watches.countChild).toBe(1)
  })
})

describe('S6: many watches', () => {
  const many = 100_000

  it('100,000 connections watching one node hear once each, and the next change tells nobody', () => {
    const rig = new Rig()
    for (let conn = 0; conn < many; conn++) rig.add('data', conn, '/hot')
    expect(rig.watches.countTotal).toBe(many)
    expect(rig.watches.bytes / many).toBeLessThan(80)
    const told = new Set(rig.changed('/hot'))
    expect(told.size).toBe(many)
    expect(rig.changed('/hot')).toEqual([])
    expect(rig.watches.countPaths).toBe(0)
  })

  it('a client with 100,000 watches leaves, and others keep theirs', () => {
    const rig = new Rig()
    rig.add('recursive', 2, '/')
    for (let i = 0; i < many; i++) rig.add('data', 1, `/node/with/a/name/${i}`)
    rig.add('data', 2, '/node/with/a/name/7')
    rig.watches.removeConnection(1)
    expect(rig.watches.countTotal).toBe(2)
    expect(rig.watches.countPaths).toBe(2)
    expect(rig.changed('/node/with/a/name/7')).toEqual([`2 ${nodeDataChanged} /node/with/a/name/7`])
    expect(rig.changed('/node/with/a/name/8')).toEqual([`2 ${nodeDataChanged} /node/with/a/name/8`])
  })
})

/** Within a trigger the order of connections is free; the naive one lists data and child triggers of a delete apart. */
function sameEvents(got: string[], want: string[]): void {
  const byEvent = (events: string[]) => {
    const runs: string[][] = []
    let before = ''
    for (const event of events) {
      const what = event.slice(event.indexOf(' '))
      if (what !== before) runs.push([])
      runs.at(-1)!.push(event)
      before = what
    }
    return runs.map((run) => run.sort())
  }
  expect(byEvent(got)).toEqual(byEvent(want))
}

describe('Against a plain model of WatchManager', () => {
  const names = ['a', 'b', 'ab', 'x'.repeat(70), 'é']

  function randomPath(random: Random): string {
    if (random.chance(6)) return '/'
    let path = ''
    for (let depth = 1 + random.below(4); depth > 0; depth--) path += '/' + random.pick(names)
    return path
  }

  // The second seed makes the rolled hash of '/' the filter's and the index's plainest case.
  for (const [seed, hashSeed] of [
    [1, undefined],
    [2, 0],
    [3, -1],
    [4, 0x2f],
  ] as const) {
    it(`30,000 random steps give the same events, answers and figures (seed ${seed})`, () => {
      const random = new Random(seed)
      const rig = new Rig(hashSeed)
      const naive = new NaiveWatches()
      const kinds = ['data', 'child', 'persistent', 'recursive'] as const
      for (let step = 0; step < 30_000; step++) {
        const conn = random.below(20)
        const path = randomPath(random)
        const dice = random.below(100)
        if (dice < 40) {
          // Rarely recursive, so that tables without any also occur.
          const kind = random.chance(90) ? kinds[random.below(3)]! : 'recursive'
          rig.add(kind, conn, path)
          naive.add(kind, conn, path)
        } else if (dice < 80) {
          const kind = path === '/' ? 'changed' : random.pick(['created', 'deleted', 'changed'] as const)
          sameEvents(rig[kind](path, step), naive.change(kind, path))
        } else if (dice < 90) {
          const type = 1 + random.below(5)
          expect(rig.contains(type, conn, path)).toBe(naive.contains(type, conn, path))
        } else if (dice < 98) {
          const type = 1 + random.below(5)
          expect(rig.remove(type, conn, path)).toBe(naive.remove(type, conn, path))
        } else {
          rig.watches.removeConnection(conn)
          naive.data.removeConn(conn)
          naive.child.removeConn(conn)
        }
        expect(rig.watches.countTotal).toBe(naive.data.total())
        expect(rig.watches.countChild).toBe(naive.child.total())
        expect(rig.watches.countPaths).toBe(naive.data.byPath.size)
        expect(rig.watches.countConnections).toBe(naive.data.byConn.size)
      }
      const byPath = new Map<string, number[]>()
      for (const { path, conns } of rig.watches.eachPath()) byPath.set(text(path), conns.sort())
      expect(byPath).toEqual(new Map([...naive.data.byPath].map(([path, conns]) => [path, [...conns].sort()])))
      const byConn = new Map<number, string[]>()
      for (const { conn, paths } of rig.watches.eachConnection())
        byConn.set(conn, paths.map((path) => text(path)).sort())
      expect(byConn).toEqual(new Map([...naive.data.byConn].map(([conn, paths]) => [conn, [...paths.keys()].sort()])))
      for (let conn = 0; conn < 20; conn++) rig.watches.removeConnection(conn)
      expect(rig.watches.count).toBe(0)
      expect(rig.watches.countPaths).toBe(0)
    })
  }
})

describe('PathTable', () => {
  it('keeps 20,000 paths of all lengths apart while they come and go, and reuses their memory', () => {
    const random = new Random(5)
    const table = new PathTable()
    const model = new Map<string, number>()
    const seen: string[] = []
    const one = (length: number) => {
      let path = '/'
      while (path.length < length) path += random.below(1e9).toString(36)
      return path
    }
    let bytesFull = 0
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 5_000; i++) {
        const path = one(random.chance(2) ? random.below(20_000) : 1 + random.below(200))
        const buf = bytes(path)
        const hash = hashPath(0, buf, 0, buf.length)
        const before = table.find(hash, buf, 0, buf.length)
        expect(before !== 0).toBe(model.has(path))
        model.set(path, table.intern(hash, buf, 0, buf.length))
        seen.push(path)
      }
      for (const path of seen) {
        const buf = bytes(path)
        const id = table.find(hashPath(0, buf, 0, buf.length), buf, 0, buf.length)
        expect(id).toBe(model.get(path) ?? 0)
        if (id !== 0) expect(text(table.copyOf(id))).toBe(path)
      }
      expect(table.count).toBe(model.size)
      bytesFull = Math.max(bytesFull, round === 0 ? table.bytes : 0)
      for (const id of model.values()) table.release(id)
      model.clear()
      expect(table.count).toBe(0)
    }
    expect(table.bytes).toBeLessThan(bytesFull * 2)
  })

  it('takes a path longer than a page', () => {
    const table = new PathTable()
    const long = bytes('/' + 'n'.repeat(900_000))
    const hash = hashPath(0, long, 0, long.length)
    const short = bytes('/s')
    const first = table.intern(hash, long, 0, long.length)
    const second = table.intern(hash, short, 0, 2)
    expect(table.find(hash, long, 0, long.length)).toBe(first)
    expect(table.find(hash, short, 0, 2)).toBe(second)
    table.release(first)
    expect(table.find(hash, long, 0, long.length)).toBe(0)
    expect(table.intern(hash, long, 0, long.length)).toBe(first)
    expect(text(table.copyOf(first)).length).toBe(900_001)
    expect(text(table.copyOf(second))).toBe('/s')
  })
})

describe('X6: reports of many watches', () => {
  it('are walked step by step, and bear that watches come and go meanwhile', () => {
    const rig = new Rig()
    for (let i = 0; i < 1000; i++) rig.add('data', i % 10, `/n${i}`)
    const seen: string[] = []
    for (const { path } of rig.watches.eachPath()) {
      seen.push(text(path))
      if (seen.length === 100) for (let conn = 1; conn < 10; conn++) rig.watches.removeConnection(conn)
      if (seen.length === 150) for (let i = 1000; i < 3000; i++) rig.add('recursive', 11, `/m${i}`)
    }
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen).toContain('/n990') // of the connection that stays
    expect(seen.filter((path) => path.startsWith('/n')).length).toBeLessThan(300)
    const conns = [...rig.watches.eachConnection()].map(({ conn, paths }) => [conn, paths.length])
    expect(conns).toEqual([
      [0, 100],
      [11, 2000],
    ])
  })

  it('count what a change has told, by its kind', () => {
    const triggered: [number, number][] = []
    const watches = new Watches({ onWatch: () => {}, onTriggered: (type, count) => triggered.push([type, count]) })
    const path = bytes('/a/b')
    const parent = bytes('/a')
    for (const conn of [1, 2, 3]) watches.addData(conn, path, 0, path.length)
    for (const conn of [4, 5]) watches.addChild(conn, parent, 0, parent.length)
    watches.dataChanged(path, 0, path.length, 1, 1)
    watches.dataChanged(path, 0, path.length, 2, 1)
    for (const conn of [1, 2]) watches.addData(conn, path, 0, path.length)
    watches.deleted(path, 0, path.length, 3, 1, 1)
    expect(triggered).toEqual([
      [EventType.nodeDataChanged, 3],
      [EventType.nodeDeleted, 2],
      [EventType.nodeChildrenChanged, 2],
    ])
  })
})
