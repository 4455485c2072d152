import { describe, expect, test } from 'vitest'
import { DataTree, ROOT } from '../../../src/datatree/tree.ts'
import { Output } from '../../../src/jute/output.ts'
import { Random } from './random.ts'
import { create, find, path, readEntry, walkAll } from './treekit.ts'

const paths = (tree: DataTree): string[] => walkAll(tree).map((entry) => readEntry(entry).path)

describe('a walk over a tree at rest', () => {
  test('writes every znode once, the root as "" first, parents before children, siblings from the last', () => {
    const tree = new DataTree()
    for (const p of ['/a', '/b', '/a/x', '/a/y', '/a/x/1', '/b/z']) create(tree, p)
    expect(paths(tree)).toEqual([
      '',
      ...['/b', '/b/z', '/a', '/a/y', '/a/x', '/a/x/1'],
      ...['/zookeeper', '/zookeeper/config', '/zookeeper/quota'],
    ])
    expect(tree.walks).toEqual([])
  })

  test('writes data, ACL id and persisted Stat as Java does', () => {
    const tree = new DataTree()
    tree.extendedTypes = true
    const aclId = tree.acls.internEntries([{ perms: 1, scheme: 'ip', id: '::1' }])
    const n = create(tree, '/é', {
      data: 'dätä',
      aclId,
      ownerHi: 0xff << 24,
      ownerLo: 7,
      zxid: 0x2_0000_0001,
      timeMs: 5,
    })
    create(tree, '/é/x', { data: null })
    tree.childAdded(n, 1, 0x2_0000_0002)
    const entries = walkAll(tree).map(readEntry)
    expect(entries[1]).toEqual({
      path: '/é',
      data: 'dätä',
      aclId: 2n,
      stat: {
        czxid: 0x2_0000_0001n,
        mzxid: 0x2_0000_0001n,
        ctime: 5n,
        mtime: 5n,
        version: 0,
        cversion: 1,
        aversion: 0,
        ephemeralOwner: -0x00ff_ffff_ffff_fff9n,
        pzxid: 0x2_0000_0002n,
      },
    })
    expect(entries[2]).toMatchObject({ path: '/é/x', data: null, aclId: -1n })
  })

  test('of an empty tree writes nothing', () => {
    const tree = new DataTree()
    tree.clear()
    const out = new Output()
    const walk = tree.walk()
    expect(walk.next(out)).toBe(false)
    expect(walk.next(out)).toBe(false)
    expect(out.pos).toBe(0)
  })

  test('appends to what is in the output already', () => {
    const tree = new DataTree()
    const out = new Output()
    out.int(0x01020304)
    for (const walk = tree.walk(); walk.next(out); );
    const whole = Buffer.concat([Uint8Array.of(1, 2, 3, 4), ...walkAll(tree)])
    expect(Buffer.compare(out.bytes(), whole)).toBe(0)
  })
})

/** Steps a walk, with changes at given steps; returns the paths seen. */
function walkWith(tree: DataTree, changes: Record<number, () => void>): string[] {
  const seen: string[] = []
  const out = new Output()
  const walk = tree.walk()
  for (let step = 0; ; step++) {
    changes[step]?.()
    out.clear()
    if (!walk.next(out)) break
    seen.push(readEntry(out.copy()).path)
  }
  tree.check()
  return seen
}

describe('a walk over a tree that changes', () => {
  const tree = (...names: string[]): DataTree => {
    const made = new DataTree()
    for (const p of names) create(made, p)
    return made
  }
  const remove = (t: DataTree, p: string): void => t.remove(find(t, p))
  const zookeeper = ['/zookeeper', '/zookeeper/config', '/zookeeper/quota']

  test('goes on behind a znode that is removed just before its turn', () => {
    const t = tree('/a', '/b', '/c')
    // after step 2 ("", /c) the cursor is at /b
    expect(walkWith(t, { 2: () => remove(t, '/b') })).toEqual(['', '/c', '/a', ...zookeeper])
  })

  test('ends a level whose last znodes are all removed', () => {
    const t = tree('/p', '/p/a', '/p/b', '/p/c')
    const changes = {
      3: () => {
        remove(t, '/p/b')
        remove(t, '/p/a')
      },
    }
    expect(walkWith(t, changes)).toEqual(['', '/p', '/p/c', ...zookeeper])
  })

  test('survives the removal of the very parents it came through', () => {
    const t = tree('/p', '/p/q', '/p/q/r')
    const changes = {
      3: () => {
        remove(t, '/p/q/r')
        remove(t, '/p/q')
        remove(t, '/p')
      },
    }
    expect(walkWith(t, changes)).toEqual(['', '/p', '/p/q', ...zookeeper])
  })

  test('does not meet a path again that was removed and created anew behind it', () => {
    const t = tree('/p', '/p/q')
    const changes = {
      3: () => {
        remove(t, '/p/q')
        remove(t, '/p')
        create(t, '/p')
        create(t, '/p/q')
      },
    }
    expect(walkWith(t, changes)).toEqual(['', '/p', '/p/q', ...zookeeper])
  })

  test('ends, even if every step adds a sibling', () => {
    const t = tree('/a', '/b')
    const changes: Record<number, () => void> = {}
    for (let step = 1; step < 1000; step++) changes[step] = () => create(t, `/new-${step}`)
    // what came before the walk reached that level is met, what came after is not
    expect(walkWith(t, changes)).toEqual(['', '/b', '/a', ...zookeeper])
  })

  test('meets children that a znode got before its turn, and none that it got after', () => {
    const t = tree('/a', '/b')
    const changes = { 1: () => create(t, '/a/early'), 3: () => create(t, '/a/late'), 4: () => create(t, '/b/late') }
    expect(walkWith(t, changes)).toEqual(['', '/b', '/a', '/a/early', ...zookeeper])
  })

  test('shares the tree with other walks, also over one removed znode', () => {
    const t = tree('/a', '/b', '/c', '/d')
    const walks = [t.walk(), t.walk(), t.walk()]
    const seen: string[][] = [[], [], []]
    const step = (i: number): boolean => {
      const out = new Output()
      if (!walks[i]!.next(out)) return false
      seen[i]!.push(readEntry(out.copy()).path)
      return true
    }
    step(0)
    step(0)
    step(1)
    step(1)
    step(2)
    remove(t, '/c') // the turn of walks 0 and 1
    walks[1]!.close()
    remove(t, '/b')
    while (step(0));
    while (step(2));
    expect(seen[0]).toEqual(['', '/d', '/a', ...zookeeper])
    expect(seen[1]).toEqual(['', '/d'])
    expect(seen[2]).toEqual(['', '/d', '/a', ...zookeeper])
    expect(t.walks).toEqual([])
    t.check()
  })

  describe('and gets ACLs that are younger than the snapshot and its table', () => {
    const young = (t: DataTree): number => t.acls.internEntries([{ perms: 1, scheme: 'ip', id: `${t.acls.idLast}` }])
    const aclOf = (t: DataTree, changes: Record<number, () => void>): Record<string, bigint> => {
      const seen: Record<string, bigint> = {}
      const out = new Output()
      const walk = t.walk()
      for (let step = 0; ; step++) {
        changes[step]?.()
        out.clear()
        if (!walk.next(out)) break
        const entry = readEntry(out.copy())
        seen[entry.path] = entry.aclId
      }
      t.check()
      for (const p of zookeeper) delete seen[p]
      return seen
    }

    test('writes znodes with the list they had when the table was written', () => {
      const t = tree('/a', '/b', '/c', '/d')
      t.setAcl(find(t, '/a'), young(t), 1) // 2
      const changes = {
        // the table is written with the first step, not when the walk is made
        0: () => t.setAcl(find(t, '/b'), young(t), 1), // 3
        1: () => {
          t.setAcl(find(t, '/a'), young(t), 2)
          t.setAcl(find(t, '/a'), young(t), 3)
          t.acls.acquire(3)
          t.setAcl(find(t, '/b'), young(t), 2)
          t.setAcl(find(t, '/b'), 3, 3)
          t.acls.release(3)
          t.setAcl(find(t, '/c'), young(t), 1)
          t.setAcl(ROOT, young(t), 1)
        },
      }
      expect(aclOf(t, changes)).toEqual({ '': -1n, '/a': 2n, '/b': 3n, '/c': -1n, '/d': -1n })
      expect(t.acls.has(2)).toBe(false)
    })

    test('leaves out znodes that were created with them, and all below', () => {
      const t = tree('/p')
      const changes = {
        1: () => {
          create(t, '/p/new', { aclId: young(t) })
          create(t, '/p/new/below')
          create(t, '/p/old')
        },
      }
      expect(aclOf(t, changes)).toEqual({ '': -1n, '/p': -1n, '/p/old': -1n })
    })

    test('forgets a znode that is removed, whose record another may get', () => {
      const t = tree('/p', '/p/a')
      const changes = {
        1: () => {
          t.setAcl(find(t, '/p/a'), young(t), 1)
          const n = find(t, '/p/a')
          remove(t, '/p/a')
          expect(create(t, '/p/b', { aclId: young(t) })).toBe(n)
        },
      }
      expect(aclOf(t, changes)).toEqual({ '': -1n, '/p': -1n })
    })
  })

  test('is over when the tree is cleared', () => {
    const t = tree('/a')
    const walk = t.walk()
    const out = new Output()
    walk.next(out)
    t.clear()
    out.clear()
    expect(walk.next(out)).toBe(false)
    expect(t.walks).toEqual([])
  })

  test.each([1, 2, 3, 4, 5])(
    'has every znode that was there all along, once, and its parents before, seed %i',
    (seed) => {
      const random = new Random(seed)
      const t = new DataTree({ hashSeed: seed })
      const live = ['']
      const add = (): string | null => {
        const p = `${random.pick(live)}/${random.below(30)}`
        if (find(t, p) !== 0) return null
        create(t, p)
        live.push(p)
        return p
      }
      const drop = (): string | null => {
        const at = random.below(live.length)
        const n = find(t, live[at]!)
        if (n === ROOT || t.numChildren(n) > 0) return null
        t.remove(n)
        return live.splice(at, 1)[0]!
      }
      for (let i = 0; i < 1500; i++)
        if (random.chance(80)) add()
        else drop()

      for (let round = 0; round < 10; round++) {
        const constant = new Set(live)
        const seen = new Set<string>()
        const walks = [t.walk(), t.walk()]
        const out = new Output()
        while (walks[0]!.next(out)) {
          const p = readEntry(out.copy()).path
          out.clear()
          if (seen.has(p)) expect.fail(`${p} twice`)
          if (p !== '' && !seen.has(p.slice(0, p.lastIndexOf('/')))) expect.fail(`${p} before its parent`)
          seen.add(p)
          if (random.chance(30)) walks[1]!.next(new Output())
          for (let changes = random.below(4); changes > 0; changes--) {
            const changed = random.chance(live.length > 1000 ? 20 : 60) ? add() : drop()
            if (changed !== null) constant.delete(changed)
          }
        }
        for (const p of constant) if (!seen.has(p)) expect.fail(`${p} is missing`)
        walks[1]!.close()
        t.check()
      }
      expect(path(t, ROOT)).toBe('/')
    },
  )
})
