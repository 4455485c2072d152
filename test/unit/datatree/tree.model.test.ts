import { describe, expect, test } from 'vitest'
import { DataTree, ROOT } from '../../../src/datatree/tree.ts'
import { Random } from './random.ts'
import { children, create, data, encoder, find, path, reload, setData, stat } from './treekit.ts'

interface Plain {
  data: string | null
  version: number
  cversion: number
  aversion: number
  owner: bigint
  mzxid: number
  pzxid: number
  aclId: number
  children: Set<string>
}

const plain = (zxid: number): Plain => ({
  data: '',
  version: 0,
  cversion: 0,
  aversion: 0,
  owner: 0n,
  mzxid: zxid,
  pzxid: zxid,
  aclId: -1,
  children: new Set(),
})

/** What a tree should be, in a Map by path; all operations on both. */
class Model {
  readonly tree: DataTree
  readonly nodes = new Map<string, Plain>()
  readonly paths: string[] = []
  private readonly random: Random
  private zxid = 0

  constructor(seed: number) {
    this.random = new Random(seed)
    this.tree = new DataTree({ hashSeed: seed * 0x9e3779b1 })
    this.tree.extendedTypes = true
    for (const p of ['', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']) {
      this.nodes.set(p, plain(0))
      this.nodes.get(p.slice(0, p.lastIndexOf('/')))?.children.add(p.slice(p.lastIndexOf('/') + 1))
    }
    this.nodes.get('')!.children.delete('')
    this.nodes.get('/zookeeper/config')!.aversion = -1
    this.nodes.get('/zookeeper/config')!.aclId = 1
    this.paths.push('')
  }

  private someData(): string | null {
    const kind = this.random.below(100)
    if (kind < 5) return null
    if (kind < 10) return ''
    if (kind < 95) return 'd'.repeat(this.random.below(300))
    return 'D'.repeat(this.random.below(kind < 99 ? 9000 : 100_000))
  }

  private someName(): string {
    const kind = this.random.below(100)
    if (kind < 70) return `n${this.random.below(200)}`
    if (kind < 90) return `größer-${this.random.below(50)}-\u{1f418}`
    return 'long'.repeat(this.random.below(60) + 1)
  }

  private someOwner(): bigint {
    const kind = this.random.below(10)
    if (kind < 6) return 0n
    if (kind < 8) return 0x0100_0000_0000_0000n + BigInt(this.random.below(20))
    return kind < 9 ? -(2n ** 63n) : BigInt.asIntN(64, 0xff00_0000_0000_0000n + BigInt(1 + this.random.below(2 ** 30)))
  }

  /** -1, or the id of one of a few lists, which come and go. */
  private someAcl(): number {
    const kind = this.random.below(8)
    return kind < 4 ? -1 : this.tree.acls.internEntries([{ perms: kind, scheme: 'ip', id: '127.0.0.1' }])
  }

  create(): void {
    const parent = this.random.pick(this.paths)
    const p = `${parent}/${this.someName()}`
    if (this.nodes.has(p) || this.nodes.get(parent)!.owner >> 32n > 0n) return
    const zxid = ++this.zxid
    const owner = this.someOwner()
    const made: Plain = { ...plain(zxid), data: this.someData(), owner, aclId: this.someAcl() }
    const ownerHi = Number(owner >> 32n)
    const ownerLo = Number(BigInt.asIntN(32, owner))
    create(this.tree, p, { data: made.data, aclId: made.aclId, ownerHi, ownerLo, zxid, timeMs: zxid })
    this.nodes.set(p, made)
    this.paths.push(p)
    const above = this.nodes.get(parent)!
    above.children.add(p.slice(parent.length + 1))
    above.cversion++
    above.pzxid = zxid
    this.tree.childAdded(find(this.tree, parent), above.cversion, zxid)
  }

  remove(): void {
    const at = this.random.below(this.paths.length)
    const p = this.paths[at]!
    if (p === '' || this.nodes.get(p)!.children.size > 0) return
    const parent = p.slice(0, p.lastIndexOf('/'))
    this.tree.remove(find(this.tree, p))
    this.tree.touchPzxid(find(this.tree, parent), ++this.zxid)
    this.nodes.delete(p)
    this.paths[at] = this.paths[this.paths.length - 1]!
    this.paths.pop()
    this.nodes.get(parent)!.children.delete(p.slice(parent.length + 1))
    this.nodes.get(parent)!.pzxid = this.zxid
  }

  change(): void {
    const p = this.random.pick(this.paths)
    const node = this.nodes.get(p)!
    const n = find(this.tree, p)
    if (this.random.chance(80)) {
      node.data = this.someData()
      node.mzxid = ++this.zxid
      setData(this.tree, n, node.data, ++node.version, this.zxid, this.zxid)
    } else {
      node.aclId = this.someAcl()
      this.tree.setAcl(n, node.aclId, ++node.aversion)
    }
  }

  compareOne(p: string): void {
    const n = find(this.tree, p)
    const node = this.nodes.get(p)
    if ((n !== 0) !== (node !== undefined)) expect.fail(`${p}: ${n}`)
    if (node === undefined) return
    expect(path(this.tree, n)).toBe(p === '' ? '/' : p)
    expect(data(this.tree, n)).toBe(node.data)
    expect(children(this.tree, n)).toEqual([...node.children])
    expect(this.tree.aclId(n)).toBe(node.aclId)
    const isSession = node.owner > 0n
    expect(stat(this.tree, n)).toMatchObject({
      mzxid: BigInt(node.mzxid),
      pzxid: BigInt(node.pzxid),
      version: node.version,
      cversion: 2 * node.cversion - node.children.size,
      aversion: node.aversion,
      ephemeralOwner: isSession ? node.owner : 0n,
      dataLength: node.data === null ? 0 : encoder.encode(node.data).length,
      numChildren: node.children.size,
    })
  }

  step(growing: boolean): void {
    const kind = this.random.below(100)
    if (kind < 30) this.change()
    else if (kind < (growing ? 80 : 50)) this.create()
    else this.remove()
  }

  randomPath(): string {
    return this.random.chance(80) ? this.random.pick(this.paths) : `${this.random.pick(this.paths)}/${this.someName()}`
  }
}

describe('DataTree against a plain Map', () => {
  test.each([1, 2])('agrees over 100,000 operations with removal and reuse, seed %i', (seed) => {
    const model = new Model(seed)
    for (let step = 1; step <= 100_000; step++) {
      model.step(step % 40_000 < 22_000)
      if (step % 50 === 0) model.compareOne(model.randomPath())
      if (step % 10_000 === 0) model.tree.check()
    }
    expect(model.nodes.size).toBe(model.tree.nodeCount)
    for (const p of model.nodes.keys()) model.compareOne(p)

    const again = reload(model.tree)
    again.check()
    expect([again.digestHi, again.digestLo]).toEqual([model.tree.digestHi, model.tree.digestLo])

    // leaves first
    const paths = model.paths.filter((p) => p !== '').sort((a, b) => b.length - a.length)
    for (const p of paths) model.tree.remove(find(model.tree, p))
    model.tree.check()
    expect(model.tree.nodeCount).toBe(4)
    const { pagesBytes, blobsBytes, indexBytes } = model.tree.memory()
    expect(pagesBytes + blobsBytes + indexBytes).toBeLessThan(12 << 20)
  })
})

describe('the tree at its edges', () => {
  test('takes names of up to and beyond 65,535 bytes', () => {
    const tree = new DataTree()
    const nameOf = (length: number): string => `${length}:`.padEnd(length - 2, 'x') + 'é'
    const lengths = [65_533, 65_534, 65_535, 65_536, 65_537, 200_000]
    for (const length of lengths) {
      const name = nameOf(length)
      const n = create(tree, `/${name}`, { data: 'd' })
      expect(find(tree, `/${name}`)).toBe(n)
      expect(find(tree, `/${name}y`)).toBe(0)
      expect(find(tree, `/${name.slice(0, -1)}`)).toBe(0)
      expect(path(tree, n)).toBe(`/${name}`)
      expect(children(tree, ROOT).at(-1)).toBe(name)
      const below = create(tree, `/${name}/below`)
      expect(find(tree, `/${name}/below`)).toBe(below)
    }
    tree.check()
    const again = reload(tree)
    again.check()
    expect(again.digestLo).toBe(tree.digestLo)
    for (const length of lengths) {
      const name = `/${nameOf(length)}`
      tree.remove(find(tree, `${name}/below`))
      tree.remove(find(tree, name))
    }
    tree.check()
    expect(tree.digestLo >>> 0).toBe(1371985504)
  })

  test('takes data of 1 MB and more, and gives its memory back', () => {
    const tree = new DataTree()
    const before = tree.memory().blobsBytes
    const n = create(tree, '/big', { data: 'a'.repeat(1_000_000) })
    expect(tree.dataLength(n)).toBe(1_000_000)
    expect(data(tree, n)).toBe('a'.repeat(1_000_000))
    setData(tree, n, 'b'.repeat(5_000_000))
    expect(data(tree, n)).toBe('b'.repeat(5_000_000))
    setData(tree, n, 'c'.repeat(65_537))
    expect(data(tree, n)).toBe('c'.repeat(65_537))
    tree.check()
    setData(tree, n, 'small')
    expect(data(tree, n)).toBe('small')
    expect(tree.memory().blobsBytes).toBe(before)
    tree.check()
  })

  test('takes a path of 10,000 segments, and all of its parents', () => {
    const tree = new DataTree()
    let p = ''
    for (let depth = 0; depth < 10_000; depth++) {
      p += '/d'
      const bytes = encoder.encode(p)
      const parent = tree.find(bytes, 0, bytes.length - 2)
      tree.create(bytes, 0, bytes.length, 0, 0, parent, -1, 0, 0, depth, depth)
    }
    const deepest = find(tree, p)
    expect(path(tree, deepest)).toBe(p)
    expect(tree.countDescendants(find(tree, '/d'))).toBe(9999)
    expect(tree.countDescendants(ROOT)).toBe(10_003)
    setData(tree, deepest, 'deep')
    expect(reload(tree).digestLo).toBe(tree.digestLo)
    for (; p !== ''; p = p.slice(0, -2)) tree.remove(find(tree, p))
    tree.check()
    expect(tree.digestLo >>> 0).toBe(1371985504)
  })

  test('takes 100,000 children of one parent, in order, and their removal in any order', () => {
    const tree = new DataTree()
    create(tree, '/p')
    const names = Array.from({ length: 100_000 }, (_, i) => `c${i}`)
    for (const name of names) create(tree, `/p/${name}`)
    const p = find(tree, '/p')
    expect(children(tree, p)).toEqual(names)
    expect(tree.countDescendants(p)).toBe(100_000)
    tree.check()
    const random = new Random(5)
    for (let i = names.length - 1; i > 0; i--) {
      const at = random.below(i + 1)
      const name = names[at]!
      names[at] = names[i]!
      tree.remove(find(tree, `/p/${name}`))
    }
    expect(children(tree, p)).toEqual([names[0]])
    tree.check()
  })

  test('counts descendants of any znode, siblings not among them', () => {
    const tree = new DataTree()
    for (const p of ['/a', '/a/1', '/a/2', '/a/2/x', '/a/2/x/y', '/a/3', '/b', '/b/1']) create(tree, p)
    const counts = ['/', '/a', '/a/1', '/a/2', '/a/2/x', '/b', '/zookeeper'].map((p) =>
      tree.countDescendants(find(tree, p)),
    )
    expect(counts).toEqual([11, 5, 0, 2, 1, 1, 2])
  })

  test('keeps names and paths of any script apart', () => {
    const tree = new DataTree()
    const names = ['é', 'e\u0301', '日本', '\u{1f418}', 'É', '\ud7ff', 'ÿ', '\u2215', '\u0001']
    for (const name of names) create(tree, `/${name}`, { data: name })
    expect(children(tree, ROOT).slice(1)).toEqual(names)
    for (const name of names) expect(data(tree, find(tree, `/${name}`))).toBe(name)
    tree.check()
  })

  test('refuses what would break it', () => {
    const tree = new DataTree()
    create(tree, '/a')
    create(tree, '/a/b')
    expect(() => tree.remove(find(tree, '/a'))).toThrow('has children')
    expect(() => tree.remove(ROOT)).toThrow('not a znode')
    expect(() => tree.remove(0)).toThrow('not a znode')
    expect(() => create(tree, '/x/y')).toThrow('no parent')
    expect(() => create(tree, '/a/')).toThrow('malformed')
    const gone = find(tree, '/a/b')
    tree.remove(gone)
    expect(() => tree.remove(gone)).toThrow('not a znode')
    tree.check()
  })

  test('with digests disabled has none, and is otherwise the same', () => {
    const tree = new DataTree({ digest: false })
    const n = create(tree, '/a', { data: 'x' })
    setData(tree, n, 'y')
    tree.childAdded(n, 1, 5)
    expect([tree.digestHi, tree.digestLo, tree.digest(n)]).toEqual([0, 0, 0])
    tree.check()
    expect(reload(tree, new DataTree({ digest: false })).digestLo).toBe(0)
  })
})

describe('check', () => {
  const damaged = (damage: (tree: DataTree) => void): (() => void) => {
    const tree = new DataTree()
    for (const p of ['/a', '/a/b', '/a/c']) create(tree, p, { data: p, ownerHi: 0, ownerLo: p === '/a/c' ? 5 : 0 })
    tree.check()
    damage(tree)
    return () => tree.check()
  }

  test('finds damage of every kind', () => {
    const a = (tree: DataTree): number => find(tree, '/a')
    expect(damaged((tree) => tree.nodeCount++)).toThrow('counted')
    expect(damaged((tree) => tree.dataBytes++)).toThrow('dataBytes')
    expect(damaged((tree) => tree.digestLo++)).toThrow('digest')
    expect(damaged((tree) => tree.arena.setInt(a(tree), 0, 99))).toThrow('digest of a znode')
    expect(damaged((tree) => tree.arena.setInt(a(tree), 56, 1))).toThrow('numChildren')
    expect(damaged((tree) => tree.arena.setInt(find(tree, '/a/b'), 100, a(tree)))).toThrow('sibling')
    expect(damaged((tree) => tree.index.remove(tree.arena.int(a(tree), 84), a(tree)))).toThrow('incomplete')
    expect(damaged((tree) => tree.arena.blobs.store(encoder.encode('leak'), 0, 4))).toThrow('owned')
    expect(damaged((tree) => tree.arena.slots.take(0))).toThrow('owned')
    expect(damaged((tree) => tree.arena.setInt(a(tree), 112, tree.arena.int(find(tree, '/a/b'), 112)))).toThrow(
      'blob owned twice',
    )
    expect(damaged((tree) => tree.arena.setInt(find(tree, '/a/c'), 72, 6))).toThrow('another session')
  })
})
