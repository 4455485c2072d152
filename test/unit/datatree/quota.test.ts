import { describe, expect, it } from 'vitest'
import { Rig } from './rig.ts'
import { create, multi, OPEN, remove, setData } from './txns.ts'

const QUOTA = '/zookeeper/quota'

class QuotaRig extends Rig {
  create(path: string, data: string | null = ''): void {
    expect(this.apply(create(path, data, OPEN, false, -1))).toEqual([`0 1 0 ${path}`])
  }

  /** As the client's setquota does it: the nodes on the way, then limits, then stats. */
  setQuota(path: string, limits: string | null): void {
    let at = QUOTA
    for (const name of path.split('/').slice(1)) {
      at += `/${name}`
      if (this.node(at) === 0) this.create(at)
    }
    this.create(`${at}/zookeeper_limits`, limits)
    this.create(`${at}/zookeeper_stats`, 'count=0,bytes=0')
  }

  stats(path: string): string | null {
    return this.data(`${QUOTA}${path}/zookeeper_stats`)
  }

  find(path: string) {
    const buf = new TextEncoder().encode(`??${path}?`)
    const entry = this.state.quotas.find(buf, 2, buf.length - 1)
    return entry === null ? null : { ...entry, path: new TextDecoder().decode(entry.path) }
  }
}

describe('Counting', () => {
  it('begins with a count of what is there, the path itself included, and follows create, setData and delete', () => {
    const rig = new QuotaRig()
    rig.create('/a', 'xx')
    rig.create('/a/b', 'yyy')
    rig.create('/a/b/c', null)
    rig.create('/ab', 'not below')
    rig.setQuota('/a', 'count=5,bytes=10')
    expect(rig.stats('/a')).toBe('count=3,bytes=5')
    rig.create('/a/d', '1234')
    expect(rig.stats('/a')).toBe('count=4,bytes=9')
    rig.apply(setData('/a/b/c', '12345', 1))
    expect(rig.stats('/a')).toBe('count=4,bytes=14')
    rig.apply(setData('/a', null, 1))
    expect(rig.stats('/a')).toBe('count=4,bytes=12')
    rig.apply(remove('/a/d'))
    expect(rig.stats('/a')).toBe('count=3,bytes=8')
    rig.create('/ab/c', 'elsewhere')
    expect(rig.stats('/a')).toBe('count=3,bytes=8')
    expect(rig.find('/a/b')).toMatchObject({ path: '/a', countUsed: 3, bytesUsed: 8 })
  })

  it('leaves version, zxids and times of the stats node alone, tells no watch, and does not touch the digest', () => {
    const rig = new QuotaRig()
    rig.setQuota('/a', 'count=5')
    const before = rig.stat(`${QUOTA}/a/zookeeper_stats`)
    const path = new TextEncoder().encode(`${QUOTA}/a/zookeeper_stats`)
    rig.state.watches.addPersistent(1, path, 0, path.length)
    rig.create('/a', 'x')
    expect(rig.stats('/a')).toBe('count=1,bytes=1')
    expect(rig.stat(`${QUOTA}/a/zookeeper_stats`)).toEqual(before)
    expect(rig.events).toEqual([])
    rig.state.tree.check()
  })

  it('goes to the deepest quota only, and ends when its limits go', () => {
    const rig = new QuotaRig()
    rig.create('/a')
    rig.create('/a/b')
    rig.setQuota('/a', 'count=5')
    rig.setQuota('/a/b', 'count=5')
    expect([rig.stats('/a'), rig.stats('/a/b')]).toEqual(['count=2,bytes=0', 'count=1,bytes=0'])
    rig.create('/a/b/c', 'x')
    expect([rig.stats('/a'), rig.stats('/a/b')]).toEqual(['count=2,bytes=0', 'count=2,bytes=1'])
    expect(rig.state.quotas.count).toBe(2)
    rig.apply(remove(`${QUOTA}/a/b/zookeeper_limits`))
    expect(rig.find('/a/b/c')).toMatchObject({ path: '/a' })
    rig.create('/a/b/d', 'xx')
    expect([rig.stats('/a'), rig.stats('/a/b')]).toEqual(['count=3,bytes=2', 'count=2,bytes=1'])
    rig.apply(remove(`${QUOTA}/a/zookeeper_limits`))
    expect(rig.state.quotas.count).toBe(0)
    rig.create('/a/e')
    expect(rig.stats('/a')).toBe('count=3,bytes=2')
  })

  it('goes on from what a client writes into the stats node, as Java does, with further pairs kept behind', () => {
    const rig = new QuotaRig()
    rig.setQuota('/a', 'count=5')
    const stats = `${QUOTA}/a/zookeeper_stats`
    rig.apply(setData(stats, 'count=7;bytes=70', 1))
    rig.create('/a', 'x')
    expect(rig.stats('/a')).toBe('count=8,bytes=71')
    rig.apply(setData(stats, 'z=1,bytes=5=,count=1;b=-2', 2))
    rig.apply(setData('/a', 'xx', 1))
    expect(rig.stats('/a')).toBe('count=1,bytes=6=;b=-2;z=1')
    rig.apply(setData(stats, '', 3))
    rig.apply(setData('/a', 'xxx', 2))
    expect(rig.stats('/a')).toBe('count=-1,bytes=0')
    expect(rig.find('/a')).toMatchObject({ countUsed: -1, bytesUsed: 0 })
  })

  it('replaces junk in the stats node, at which 3.9.5 stops, by a fresh count', () => {
    const rig = new QuotaRig()
    rig.setQuota('/a', 'count=5')
    rig.create('/a', 'x')
    for (const junk of ['junk', 'count', 'count=x', '=', ',count=1', 'count=1.5', 'count=99999999999999999999']) {
      rig.apply(setData(`${QUOTA}/a/zookeeper_stats`, junk, 1))
      rig.create('/a/b', 'yy')
      expect(rig.stats('/a'), junk).toBe('count=2,bytes=3')
      rig.apply(remove('/a/b'))
      expect(rig.stats('/a'), junk).toBe('count=1,bytes=1')
    }
    rig.apply(setData(`${QUOTA}/a/zookeeper_stats`, 'junk', 1))
    expect(rig.find('/a')).toMatchObject({ countUsed: 1, bytesUsed: 1 })
  })

  it('without a stats node nothing is counted; creating it later counts afresh', () => {
    const rig = new QuotaRig()
    rig.create(`${QUOTA}/a`)
    rig.create(`${QUOTA}/a/zookeeper_limits`, 'count=5')
    rig.create('/a', 'x')
    expect(rig.find('/a')).toMatchObject({ countUsed: -1, bytesUsed: -1 })
    rig.create(`${QUOTA}/a/zookeeper_stats`, 'anything')
    expect(rig.stats('/a')).toBe('count=1,bytes=1')
    rig.apply(remove(`${QUOTA}/a/zookeeper_stats`))
    expect(rig.find('/a')).toMatchObject({ countUsed: -1, bytesUsed: -1 })
    rig.create('/a/b', 'yy')
    rig.create(`${QUOTA}/a/zookeeper_stats`, null)
    expect(rig.stats('/a')).toBe('count=2,bytes=3')
  })

  it('S11: the counts equal a full recount after any transactions and after a restart', () => {
    const rig = new QuotaRig()
    rig.create('/a', 'x')
    rig.setQuota('/a', 'count=5')
    for (let i = 0; i < 200; i++) {
      rig.apply(
        multi([
          create(`/a/n${i}`, 'd'.repeat(i), OPEN, false, -1),
          create(`/a/n${i}/e`, null, OPEN, true, -1),
          ...(i > 2 ? [remove(`/a/n${i - 2}/e`), remove(`/a/n${i - 2}`)] : []),
          setData('/a', 'x'.repeat(i % 7), i),
        ]),
      )
    }
    const counted = rig.stats('/a')
    rig.state.quotas.rebuild()
    expect(rig.stats('/a')).toBe(counted)
    expect(rig.state.quotas.count).toBe(1)
    rig.create('/a/last', 'yy')
    expect(rig.stats('/a')).not.toBe(counted)
    const after = rig.stats('/a')
    rig.state.quotas.rebuild()
    expect(rig.stats('/a')).toBe(after)
  })
})

describe('Limits', () => {
  it('are read as 3.9.5 reads them: soft and hard, the hard one first, -1 or nothing is none', () => {
    const rig = new QuotaRig()
    rig.setQuota('/a', 'count=5,bytes=10=;byteHardLimit=7;countHardLimit=-1')
    expect(rig.find('/a/b')).toMatchObject({
      path: '/a',
      countLimit: 5,
      countHard: false,
      countHardLimit: -1,
      bytesLimit: 7,
      bytesHard: true,
      bytesHardLimit: 7,
      junk: false,
    })
    rig.apply(setData(`${QUOTA}/a/zookeeper_limits`, 'count=-1;bytes=', 1))
    expect(rig.find('/a')).toMatchObject({ countLimit: -1, bytesLimit: -1, junk: true })
    rig.apply(setData(`${QUOTA}/a/zookeeper_limits`, 'bytes==3,,;count=+4', 2))
    expect(rig.find('/a')).toMatchObject({ countLimit: 4, bytesLimit: -1, junk: false })
    rig.apply(setData(`${QUOTA}/a/zookeeper_limits`, 'countHardLimit=0', 3))
    expect(rig.find('/a')).toMatchObject({ countLimit: 0, countHard: true, countHardLimit: 0 })
  })

  it('junk limits nothing, and the usage is counted all the same', () => {
    const rig = new QuotaRig()
    rig.setQuota('/a', 'junk')
    rig.create('/a', 'x')
    expect(rig.find('/a')).toMatchObject({ countLimit: -1, bytesLimit: -1, junk: true, countUsed: 1, bytesUsed: 1 })
    rig.apply(setData(`${QUOTA}/a/zookeeper_limits`, null, 1))
    expect(rig.find('/a')).toMatchObject({ countLimit: -1, junk: false })
  })

  it('on / are not supported: the node at which 3.9.5 exits at every start is just a node', () => {
    const rig = new QuotaRig()
    rig.create(`${QUOTA}/zookeeper_limits`, 'count=1')
    rig.create(`${QUOTA}/zookeeper_stats`, '')
    // Its creation counts everything once, as in Java: 4 reserved nodes and these two, of 7 bytes.
    expect(rig.data(`${QUOTA}/zookeeper_stats`)).toBe('count=6,bytes=7')
    rig.create('/a')
    expect(rig.find('/a')).toBeNull()
    rig.state.quotas.rebuild()
    expect(rig.find('/a')).toBeNull()
    rig.apply(remove(`${QUOTA}/zookeeper_limits`))
    expect(rig.state.quotas.count).toBe(0)
  })

  it('belong to paths under /zookeeper/quota/ only, whatever else bears those names', () => {
    const rig = new QuotaRig()
    for (const parent of ['/zookeeper/quotas', '/zookeeper/q', '/zz', `${QUOTA}/a`]) rig.create(parent)
    for (const path of ['/zookeeper/quotas', '/zookeeper/q', '/zz']) {
      rig.create(`${path}/zookeeper_limits`)
      rig.apply(remove(`${path}/zookeeper_limits`))
    }
    rig.create(`${QUOTA}/a/xzookeeper_limits`)
    expect(rig.state.quotas.count).toBe(0)
  })

  it('forEach visits every quota with its figures', () => {
    const rig = new QuotaRig()
    for (let i = 0; i < 50; i++) {
      rig.create(`/n${i}`, 'x'.repeat(i))
      rig.setQuota(`/n${i}`, `count=${i}`)
    }
    const seen = new Map<string, string>()
    rig.state.quotas.forEach((entry) => {
      seen.set(new TextDecoder().decode(entry.path), `${entry.countLimit} ${entry.countUsed} ${entry.bytesUsed}`)
    })
    expect(seen.size).toBe(50)
    expect(seen.get('/n33')).toBe('33 1 33')
  })
})
