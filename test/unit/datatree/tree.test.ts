import { describe, expect, test } from 'vitest'
import { OPEN_ACL_ID } from '../../../src/datatree/acl.ts'
import { DataTree, NO_NODE, type NodeId, ROOT } from '../../../src/datatree/tree.ts'
import { children, create, data, encoder, find, path, setData, stat } from './treekit.ts'

describe('a fresh tree', () => {
  test("has Java's four znodes, with Java's digest", () => {
    const tree = new DataTree()
    expect(tree.nodeCount).toBe(4)
    expect(tree.dataBytes).toBe(44)
    expect(tree.digestHi).toBe(0)
    expect(tree.digestLo >>> 0).toBe(1371985504)
    expect(tree.digest(ROOT)).toBe(68323592)
    expect(tree.digest(find(tree, '/zookeeper'))).toBe(1303661912)
    expect(tree.digest(find(tree, '/zookeeper/quota'))).toBe(0)
    expect(children(tree, ROOT)).toEqual(['zookeeper'])
    expect(children(tree, find(tree, '/zookeeper'))).toEqual(['quota', 'config'])
    tree.check()
  })

  test('shows negative cversions, for children that nobody created', () => {
    const tree = new DataTree()
    const zeros = { czxid: 0n, mzxid: 0n, ctime: 0n, mtime: 0n, version: 0, ephemeralOwner: 0n, pzxid: 0n }
    expect(stat(tree, ROOT)).toEqual({ ...zeros, cversion: -1, aversion: 0, dataLength: 0, numChildren: 1 })
    const zookeeper = find(tree, '/zookeeper')
    expect(stat(tree, zookeeper)).toEqual({ ...zeros, cversion: -2, aversion: 0, dataLength: 0, numChildren: 2 })
    const config = find(tree, '/zookeeper/config')
    expect(stat(tree, config)).toEqual({ ...zeros, cversion: 0, aversion: -1, dataLength: 0, numChildren: 0 })
    expect(tree.cversion(ROOT)).toBe(0)
    expect(data(tree, config)).toBe('')
  })

  test('gives /zookeeper/config the first ACL id, and the others none', () => {
    const tree = new DataTree()
    expect(tree.aclId(ROOT)).toBe(-1)
    expect(tree.aclId(find(tree, '/zookeeper'))).toBe(-1)
    expect(tree.aclId(find(tree, '/zookeeper/quota'))).toBe(-1)
    expect(tree.aclId(find(tree, '/zookeeper/config'))).toBe(1)
    expect(tree.acls.entries(1)).toEqual([{ perms: 1, scheme: 'world', id: 'anyone' }])
  })
})

describe('look-up', () => {
  test('knows the root by two names, and no malformed path by any', () => {
    const tree = new DataTree({ hashSeed: 12345 })
    const a = create(tree, '/a')
    const b = create(tree, '/a/b')
    expect(find(tree, '')).toBe(ROOT)
    expect(find(tree, '/')).toBe(ROOT)
    expect(find(tree, '/a')).toBe(a)
    expect(find(tree, '/a/b')).toBe(b)
    for (const malformed of [
      '//',
      '/a/',
      'a',
      '/a//b',
      '//a',
      'a/b',
      '/b',
      '/a/b/',
      '/a/b/c',
      '/ab',
      '/a/',
      '///',
      'x',
    ]) {
      expect(find(tree, malformed), malformed).toBe(NO_NODE)
    }
  })
})

describe('a znode', () => {
  test('begins with the zxid and time of its creation in every field that has one', () => {
    const tree = new DataTree()
    const n = create(tree, '/a', { data: 'hello', zxid: 0x1_0000_0007, timeMs: 1_700_000_000_123 })
    expect(stat(tree, n)).toEqual({
      czxid: 0x1_0000_0007n,
      mzxid: 0x1_0000_0007n,
      ctime: 1_700_000_000_123n,
      mtime: 1_700_000_000_123n,
      version: 0,
      cversion: 0,
      aversion: 0,
      ephemeralOwner: 0n,
      dataLength: 5,
      numChildren: 0,
      pzxid: 0x1_0000_0007n,
    })
    expect(data(tree, n)).toBe('hello')
    expect(path(tree, n)).toBe('/a')
    tree.check()
  })

  test('shows creations plus deletions of children, and persists creations', () => {
    const tree = new DataTree()
    const a = create(tree, '/a')
    const x = create(tree, '/a/x', { zxid: 5 })
    tree.childAdded(a, 1, 5)
    create(tree, '/a/y', { zxid: 6 })
    tree.childAdded(a, 2, 6)
    expect(stat(tree, a)).toMatchObject({ cversion: 2, numChildren: 2, pzxid: 6n })
    tree.remove(x)
    tree.touchPzxid(a, 7)
    expect(stat(tree, a)).toMatchObject({ cversion: 3, numChildren: 1, pzxid: 7n })
    expect(tree.cversion(a)).toBe(2)
    tree.touchPzxid(a, 3)
    expect(tree.pzxid(a)).toBe(7)
    tree.check()
  })

  test('keeps a persisted cversion of 31 bits and more, though Stat shows its double', () => {
    const tree = new DataTree()
    const a = create(tree, '/a')
    create(tree, '/a/x')
    for (const cversion of [2 ** 30, 2 ** 31 - 1, -(2 ** 31), -1, 0]) {
      tree.childAdded(a, cversion, 1)
      expect(tree.cversion(a)).toBe(cversion)
      expect(stat(tree, a)['cversion']).toBe((cversion * 2 - 1) | 0)
    }
    tree.check()
  })

  test('tells null data from empty data', () => {
    const tree = new DataTree()
    const nothing = create(tree, '/null', { data: null })
    const empty = create(tree, '/empty', { data: '' })
    expect(data(tree, nothing)).toBeNull()
    expect(tree.dataLength(nothing)).toBe(-1)
    expect(stat(tree, nothing)['dataLength']).toBe(0)
    expect(data(tree, empty)).toBe('')
    expect(tree.dataLength(empty)).toBe(0)
    setData(tree, nothing, 'x')
    expect(data(tree, nothing)).toBe('x')
    setData(tree, nothing, null)
    expect(data(tree, nothing)).toBeNull()
    setData(tree, empty, null)
    setData(tree, nothing, '')
    expect(data(tree, nothing)).toBe('')
    tree.check()
  })

  test('changes by setData and setACL only where Java changes it', () => {
    const tree = new DataTree()
    const n = create(tree, '/a', { zxid: 1, timeMs: 10 })
    setData(tree, n, 'new', 1, 2, 20)
    expect(stat(tree, n)).toMatchObject({ czxid: 1n, mzxid: 2n, pzxid: 1n, ctime: 10n, mtime: 20n, version: 1 })
    const aclId = tree.acls.internEntries([{ perms: 3, scheme: 'ip', id: '10.0.0.1' }])
    tree.setAcl(n, aclId, 1)
    expect(stat(tree, n)).toMatchObject({ mzxid: 2n, mtime: 20n, version: 1, aversion: 1 })
    expect(tree.aclId(n)).toBe(aclId)
    tree.check()
    tree.remove(n)
    expect(tree.acls.has(aclId)).toBe(false)
    tree.check()
  })

  test('changes its digest with every field that the digest covers, and gives it back on removal', () => {
    const tree = new DataTree()
    const seen = new Set<number>()
    const note = (): void => {
      tree.check()
      expect(seen.has(tree.digestLo)).toBe(false)
      seen.add(tree.digestLo)
    }
    note()
    const n = create(tree, '/a', { data: 'x' })
    note()
    setData(tree, n, 'y', 0, 1, 1000)
    note()
    setData(tree, n, 'y', 1, 1, 1000)
    note()
    tree.setAcl(n, OPEN_ACL_ID, 1)
    note()
    tree.childAdded(n, 1, 1)
    note()
    tree.touchPzxid(n, 9)
    note()
    tree.remove(n)
    expect(tree.digestLo >>> 0).toBe(1371985504)
  })

  test('has no digest below /zookeeper/, but has one beside it', () => {
    const tree = new DataTree()
    const limits = create(tree, '/zookeeper/quota/a', { data: 'x' })
    expect(tree.digest(limits)).toBe(0)
    expect(tree.digestLo >>> 0).toBe(1371985504)
    tree.setStatsData(limits, encoder.encode('count=1'))
    expect(tree.digestLo >>> 0).toBe(1371985504)
    expect(tree.digest(create(tree, '/zookeeper2'))).not.toBe(0)
    create(tree, '/a')
    expect(tree.digest(create(tree, '/a/zookeeper'))).not.toBe(0)
    expect(tree.digest(create(tree, '/a/zookeeper/x'))).not.toBe(0)
    tree.check()
  })

  test('takes statistics as data without a trace in its Stat', () => {
    const tree = new DataTree()
    const n = create(tree, '/zookeeper/quota/a', { data: 'count=0', zxid: 3, timeMs: 4 })
    tree.setStatsData(n, encoder.encode('count=10'))
    expect(data(tree, n)).toBe('count=10')
    expect(stat(tree, n)).toMatchObject({ mzxid: 3n, mtime: 4n, version: 0, dataLength: 8 })
    tree.check()
  })
})

describe('owners', () => {
  const CONTAINER_HI = -0x8000_0000

  test('are listed per session, in order of creation, and shown in Stat', () => {
    const tree = new DataTree()
    create(tree, '/a', { ownerHi: 0x0100_0001, ownerLo: -5 })
    const b = create(tree, '/b', { ownerHi: 0x0100_0001, ownerLo: -5 })
    create(tree, '/c', { ownerHi: 0x0100_0001, ownerLo: -6 })
    create(tree, '/d', { ownerHi: 0x0100_0001, ownerLo: -5 })
    expect(stat(tree, b)['ephemeralOwner']).toBe(0x0100_0001_ffff_fffbn)
    const owned = (lo: number): string[] => {
      const paths: string[] = []
      tree.forEachEphemeral(0x0100_0001, lo, (n) => paths.push(path(tree, n)))
      return paths
    }
    expect(owned(-5)).toEqual(['/a', '/b', '/d'])
    tree.remove(b)
    expect(owned(-5)).toEqual(['/a', '/d'])
    tree.remove(find(tree, '/a'))
    expect(owned(-5)).toEqual(['/d'])
    expect(tree.ephemeralsCount).toBe(2)
    const sessions: number[][] = []
    tree.forEachEphemeralSession((hi, lo, count) => sessions.push([hi, lo, count]))
    expect(sessions).toEqual([
      [0x0100_0001, -5, 1],
      [0x0100_0001, -6, 1],
    ])
    tree.check()
  })

  test('that mark containers and TTL nodes are hidden in Stat, and listed by kind', () => {
    const tree = new DataTree()
    tree.extendedTypes = true
    const c = create(tree, '/c', { ownerHi: CONTAINER_HI, ownerLo: 0 })
    const t = create(tree, '/t', { ownerHi: (0xff << 24) | 1, ownerLo: 2 })
    expect([tree.ownerKind(c), tree.ownerKind(t)]).toEqual([2, 3])
    expect(tree.ttlMs(t)).toBe(0x1_0000_0002)
    expect([stat(tree, c)['ephemeralOwner'], stat(tree, t)['ephemeralOwner']]).toEqual([0n, 0n])
    expect([tree.ownerHi(c), tree.ownerHi(t)]).toEqual([CONTAINER_HI, (0xff << 24) | 1])
    const seen: NodeId[] = []
    tree.forEachContainer((n) => seen.push(n))
    tree.forEachTtl((n) => seen.push(n))
    expect(seen).toEqual([c, t])
    expect(tree.ephemeralsCount).toBe(0)
    tree.check()
    tree.remove(c)
    tree.remove(t)
    tree.check()
  })

  test('beginning with 0xff are sessions unless extended types are enabled', () => {
    const tree = new DataTree()
    const n = create(tree, '/t', { ownerHi: 0xff << 24, ownerLo: 2 })
    expect(tree.ownerKind(n)).toBe(1)
    expect(stat(tree, n)['ephemeralOwner']).toBe(-0x00ff_ffff_ffff_fffen)
    tree.check()
  })

  test('that are negative are TTLs where 3.5.3 is emulated', () => {
    const tree = new DataTree()
    tree.extendedTypes = true
    tree.emulate353 = true
    expect(tree.ownerKind(create(tree, '/t', { ownerHi: CONTAINER_HI, ownerLo: 5 }))).toBe(3)
    expect(tree.ownerKind(create(tree, '/c', { ownerHi: CONTAINER_HI, ownerLo: 0 }))).toBe(2)
    tree.check()
  })
})
