import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { encodeAcl } from '../../../src/datatree/acl.ts'
import { DataTree, ROOT } from '../../../src/datatree/tree.ts'
import { StorageError } from '../../../src/jute/errors.ts'
import { Input } from '../../../src/jute/input.ts'
import { Output } from '../../../src/jute/output.ts'
import { children, create, data, find, loadEntry, readEntry, reload, setData, stat, walkAll } from './treekit.ts'

interface Loaded {
  path: string
  data?: string | null
  aclId?: number
  cversion?: number
  zxid?: number
  owner?: bigint
}

/** A snapshot entry, written by other code than the tree's. */
function entry(loaded: Loaded): Uint8Array {
  const { path, aclId = -1, cversion = 0, zxid = 1, owner = 0n } = loaded
  const out = new Output()
  out.string(path)
  out.string(loaded.data === undefined ? '' : loaded.data)
  out.long(aclId)
  for (const value of [zxid, zxid, 10, 10]) out.long(value)
  for (const value of [0, cversion, 0]) out.int(value)
  out.words(Number(owner >> 32n), Number(BigInt.asIntN(32, owner)))
  out.long(zxid)
  return out.copy()
}

function load(...entries: Loaded[]): DataTree {
  const tree = new DataTree()
  tree.extendedTypes = true
  tree.clear()
  for (const loaded of entries) loadEntry(tree, entry(loaded))
  return tree
}

describe('loading', () => {
  test('what a walk wrote gives an equal tree, in the same order of children', () => {
    const tree = new DataTree({ hashSeed: 1 })
    tree.extendedTypes = true
    const aclId = tree.acls.internEntries([{ perms: 5, scheme: 'digest', id: 'a:b' }])
    setData(tree, ROOT, 'root', 3, 9, 9)
    const a = create(tree, '/a', { data: 'x'.repeat(1000), aclId, zxid: 5 })
    create(tree, '/a/null', { data: null })
    create(tree, '/a/e1', { ownerHi: 1, ownerLo: 2 })
    create(tree, '/a/e2', { ownerHi: 1, ownerLo: 2 })
    create(tree, '/c', { ownerHi: -0x8000_0000, ownerLo: 0 })
    create(tree, '/t', { ownerHi: 0xff << 24, ownerLo: 60_000 })
    tree.childAdded(a, 17, 8)
    tree.remove(create(tree, '/gone', { aclId: tree.acls.internEntries([{ perms: 1, scheme: 'ip', id: '1.1.1.1' }]) }))
    tree.check()

    const again = reload(tree, new DataTree({ hashSeed: 2 }))
    again.check()
    expect([again.digestHi, again.digestLo]).toEqual([tree.digestHi, tree.digestLo])
    expect(again.nodeCount).toBe(tree.nodeCount)
    expect(again.dataBytes).toBe(tree.dataBytes)
    expect(again.acls.size).toBe(2)
    expect(children(again, ROOT)).toEqual(['zookeeper', 'a', 'c', 't'])
    expect(children(again, find(again, '/a'))).toEqual(['null', 'e1', 'e2'])
    for (const path of ['/', '/a', '/a/null', '/a/e1', '/c', '/t', '/zookeeper/config']) {
      expect(stat(again, find(again, path))).toEqual(stat(tree, find(tree, path)))
      expect(data(again, find(again, path))).toBe(data(tree, find(tree, path)))
    }
    expect(walkAll(again).map(readEntry)).toEqual(walkAll(tree).map(readEntry))
  })

  test('takes siblings in any order', () => {
    const paths = ['', '/b', '/a', '/b/2', '/a/1', '/b/1', '/zookeeper']
    const tree = load(...paths.map((path) => ({ path })))
    tree.finishLoad()
    tree.check()
    for (const path of paths) expect(find(tree, path)).not.toBe(0)
  })

  test('shows cversion from the persisted creations and the children that came', () => {
    const tree = load({ path: '', cversion: 5 }, { path: '/a', cversion: 3 }, { path: '/a/x' })
    expect(stat(tree, ROOT)).toMatchObject({ cversion: 9, numChildren: 1 })
    expect(stat(tree, find(tree, '/a'))).toMatchObject({ cversion: 5, numChildren: 1 })
    tree.check()
  })

  test('refuses a znode without a parent, a malformed path, and a tree without a root', () => {
    for (const path of ['/a/b', 'a', '/a/', '//', '/']) {
      const tree = load({ path: '' })
      if (path === '/') continue
      expect(() => loadEntry(tree, entry({ path })), path).toThrow(StorageError)
    }
    expect(() => load({ path: '/a' })).toThrow(StorageError)
    const empty = new DataTree()
    empty.clear()
    expect(() => empty.finishLoad()).toThrow(StorageError)
  })

  test('replaces a path that comes twice', () => {
    const tree = load(
      { path: '' },
      { path: '/a', data: 'old', owner: 5n },
      { path: '/a/x' },
      { path: '/a', data: null, owner: 6n, zxid: 7, cversion: 4 },
      { path: '', data: 'root' },
    )
    tree.check()
    const a = find(tree, '/a')
    expect(data(tree, a)).toBeNull()
    expect(stat(tree, a)).toMatchObject({ ephemeralOwner: 6n, czxid: 7n, cversion: 7, numChildren: 1 })
    expect(tree.ephemeralsCount).toBe(1)
    expect(data(tree, ROOT)).toBe('root')
  })

  test('adds the reserved znodes that an old snapshot lacks, and no digest with them', () => {
    const tree = load({ path: '' }, { path: '/zookeeper' }, { path: '/zookeeper/quota' })
    const { digestLo } = tree
    tree.finishLoad()
    tree.check()
    expect(tree.digestLo).toBe(digestLo)
    const config = find(tree, '/zookeeper/config')
    expect(stat(tree, config)).toMatchObject({ czxid: 0n, aversion: -1 })
    expect(tree.acls.entries(tree.aclId(config))).toEqual([{ perms: 1, scheme: 'world', id: 'anyone' }])
  })

  test('drops lists that no znode has, and stands in for those that only the log will bring', () => {
    const tree = new DataTree()
    tree.clear()
    tree.loadAcl(4, encodeAcl([{ perms: 1, scheme: 'ip', id: 'used' }]))
    tree.loadAcl(5, encodeAcl([{ perms: 1, scheme: 'ip', id: 'unused' }]))
    loadEntry(tree, entry({ path: '' }))
    loadEntry(tree, entry({ path: '/a', aclId: 4 }))
    loadEntry(tree, entry({ path: '/b', aclId: 6 }))
    loadEntry(tree, entry({ path: '/c', aclId: 6 }))
    tree.finishLoad()
    tree.check()
    expect([4, 5, 6].map((id) => tree.acls.has(id))).toEqual([true, false, true])
    expect(tree.acls.entries(6)).toEqual([{ perms: 0, scheme: 'world', id: 'anyone' }])
    const aclId = tree.acls.internEntries([{ perms: 1, scheme: 'ip', id: 'new' }])
    expect(aclId).toBeGreaterThan(6)
    tree.setAcl(find(tree, '/b'), aclId, 0)
    tree.setAcl(find(tree, '/c'), aclId, 0)
    expect(tree.acls.has(6)).toBe(false)
    tree.check()
    expect(() => loadEntry(tree, entry({ path: '/d', aclId: 0 }))).toThrow(StorageError)
  })

  test('starts from nothing after clear, whatever was there', () => {
    const tree = new DataTree()
    for (let i = 0; i < 1000; i++) create(tree, `/n${i}`, { data: 'x'.repeat(i), ownerHi: 1, ownerLo: i })
    tree.clear()
    tree.check()
    expect([tree.nodeCount, tree.dataBytes, tree.ephemeralsCount, tree.acls.size]).toEqual([0, 0, 0, 0])
    expect([tree.digestHi, tree.digestLo]).toEqual([0, 0])
    expect(find(tree, '/')).toBe(0)
    expect(find(tree, '/n1')).toBe(0)
    loadEntry(tree, entry({ path: '' }))
    tree.finishLoad()
    tree.check()
    expect(tree.nodeCount).toBe(4)
  })
})

describe('a snapshot that ZooKeeper 3.9.5 wrote', () => {
  /** After a session with zkCli: every kind of znode, several ACLs, quotas, null, empty and non-ASCII data. */
  const snapshot = new Uint8Array(readFileSync(new URL('fixtures/java-3.9.5.snapshot.22', import.meta.url)))

  /** Loads it; returns the entries as they are in the file, and the digest behind them. */
  function loadSnapshot(tree: DataTree): { entries: string[]; digestHi: number; digestLo: number } {
    tree.extendedTypes = true
    tree.clear()
    const inp = new Input(snapshot, 16)
    for (let count = inp.int(); count > 0; count--) inp.off += 12
    for (let count = inp.int(); count > 0; count--) {
      const id = inp.long()
      const aclOff = inp.off
      for (let entries = inp.int(); entries > 0; entries--) {
        inp.int()
        inp.skipBuffer()
        inp.skipBuffer()
      }
      tree.loadAcl(id, snapshot.subarray(aclOff, inp.off))
    }
    const entries: string[] = []
    for (;;) {
      const off = inp.off
      if (inp.string() === '/') break
      inp.skipBuffer()
      inp.off += 68
      loadEntry(tree, snapshot.subarray(off, inp.off))
      entries.push(Buffer.from(snapshot.subarray(off, inp.off)).toString('hex'))
    }
    tree.finishLoad()
    inp.off += 13 + 12
    return { entries, digestHi: inp.int(), digestLo: inp.int() }
  }

  test('has the digest that Java computed for it', () => {
    const tree = new DataTree({ hashSeed: 3 })
    const { digestHi, digestLo } = loadSnapshot(tree)
    tree.check()
    expect([tree.digestHi, tree.digestLo]).toEqual([digestHi, digestLo])
    expect(digestHi).toBe(0xb)
    expect(tree.nodeCount).toBe(28)
    expect(data(tree, find(tree, '/größe-日本/kind'))).toBe('größer')
    expect(tree.ephemeralsCount).toBe(2)
  })

  test('comes out of a walk with the very same entries', () => {
    const tree = new DataTree({ hashSeed: 3 })
    const { entries } = loadSnapshot(tree)
    const walked = walkAll(tree).map((bytes) => Buffer.from(bytes).toString('hex'))
    expect(walked.sort()).toEqual(entries.sort())
  })
})
