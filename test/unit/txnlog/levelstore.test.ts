import { describe, expect, it } from 'vitest'
import type { StateMachine } from '../../../src/datatree/apply.ts'
import { LevelStore } from '../../../src/txnlog/levelstore.ts'
import { seeded } from '../../disk/memdisk.ts'
import { MemKv } from '../../disk/memkv.ts'
import { encode, Leader } from '../datatree/model.ts'
import { Random } from '../datatree/random.ts'
import { txn as txnBytes } from '../datatree/txns.ts'
import { createTxn, deleteTxn, digestOf, listTree, makeState } from './states.ts'

/** Transactions of a leader with all that a checkpoint has to keep: every kind of znode, ACLs, multis, quotas. */
class Workload {
  readonly txns: { zxid: number; bytes: Uint8Array }[] = []
  private readonly leader: Leader

  constructor(seed: number) {
    this.leader = new Leader(new Random(seed), { stray: false, old: false, quotas: true })
  }

  /** Applies so many more. */
  run(state: StateMachine, count: number): void {
    for (let i = 0; i < count; i++) {
      const { txn } = this.leader.next()
      const bytes = txnBytes(txn.header, encode(txn.op))
      this.txns.push({ zxid: txn.header.zxid, bytes })
      state.apply(bytes, 0, bytes.length)
    }
  }

  /** What a start does: the checkpoint, then the log behind it; null where there is no checkpoint. */
  async restart(store: LevelStore): Promise<StateMachine | null> {
    if ((await store.find()) === null) return null
    const state = makeState()
    const { zxid, end } = await store.load(state)
    let pending = true
    for (const txn of this.txns) {
      if (pending && txn.zxid > end.zxid) {
        pending = false
        expect(store.endError(state, end)).toBeNull()
      }
      if (txn.zxid > zxid) state.apply(txn.bytes, 0, txn.bytes.length)
    }
    if (pending) expect(store.endError(state, end)).toBeNull()
    state.quotas.rebuild()
    return state
  }
}

function expectSame(found: StateMachine, wanted: StateMachine): void {
  expect(withoutFigures(found)).toEqual(withoutFigures(wanted))
  expect(digestOf(found)).toBe(digestOf(wanted))
  expect(sessionsOf(found)).toEqual(sessionsOf(wanted))
  found.tree.check()
}

/** The figures of quotas are counted anew at a start, and no transaction says what they were. */
function withoutFigures({ tree }: StateMachine): string[] {
  return listTree(tree).filter((line) => !line.includes('/zookeeper_stats\t'))
}

function sessionsOf(state: StateMachine): string[] {
  const lines: string[] = []
  state.sessions.forEach((timeoutMs, hi, lo) => {
    lines.push(`${hi} ${lo} ${timeoutMs}`)
  })
  return lines.sort()
}

let clockMs = 0
/** A batch takes one step of the writer and no more: many batches. */
const hurried = (): number => {
  clockMs += 3
  return clockMs
}
const patient = (): number => 0

const NEVER = new Promise<never>(() => {})

/** Lets so many calls of the database happen; the next one never answers, and `whenCrashed` resolves. */
function crashAfter(home: MemKv, calls: number): Promise<'crashed'> {
  return new Promise((resolve) => {
    let left = calls
    home.beforeCall = () => {
      if (left-- > 0) return Promise.resolve()
      resolve('crashed')
      return NEVER
    }
  })
}

describe('a checkpoint in a key-value database', () => {
  it('is the tree, the sessions and the ACLs, after any number of changes and checkpoints', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const work = new Workload(seed)
      const state = makeState()
      const home = new MemKv()
      const store = new LevelStore(home, patient)
      for (let round = 0; round < 12; round++) {
        work.run(state, 40)
        const written = await store.takeSnapshot(state)
        expect(written).toMatchObject({ zxid: state.zxidLast, zxidEnd: state.zxidLast })
        expectSame((await work.restart(new LevelStore(home.afterKill(), patient)))!, state)
      }
      // Nothing is left of what went. Head and end come on top.
      const { tree, sessions } = state
      expect(home.keyCount).toBe(2 + tree.nodeCount + sessions.size + tree.acls.size)
    }
  })

  it('is repaired by replay where transactions went on while it was written', async () => {
    for (let seed = 11; seed <= 14; seed++) {
      const work = new Workload(seed)
      const random = seeded(seed)
      const state = makeState()
      const home = new MemKv()
      const store = new LevelStore(home, hurried)
      home.beforeCall = (what) => {
        if (what === 'batch' && random() < 0.7) work.run(state, Math.floor(random() * 12))
        return Promise.resolve()
      }
      for (let round = 0; round < 12; round++) {
        work.run(state, 60)
        const zxid = state.zxidLast
        const written = await store.takeSnapshot(state)
        expect(written.zxid).toBe(zxid)
        expect(written.zxidEnd).toBeGreaterThanOrEqual(zxid)
        expectSame((await work.restart(new LevelStore(home.afterKill(), patient)))!, state)
      }
    }
  })

  it('C6, C7: after a loss of power at any call, whatever batches it takes, the log brings back the tree', async () => {
    let crashes = 0
    let wholes = 0
    for (let seed = 21; seed <= 28; seed++) {
      const work = new Workload(seed)
      const random = seeded(seed)
      let home = new MemKv()
      let store = new LevelStore(home, hurried)
      let state = makeState()
      for (let life = 0; life < 25; life++) {
        work.run(state, 30)
        const crashed = crashAfter(home, Math.floor(random() * 14))
        const inner = home.beforeCall
        home.beforeCall = async (what) => {
          if (random() < 0.5) work.run(state, Math.floor(random() * 8))
          await inner(what)
        }
        let ended: unknown = 'ended'
        for (let i = 0; i < 3 && ended !== 'crashed'; i++) {
          ended = await Promise.race([store.takeSnapshot(state), crashed])
          if (ended !== 'crashed') work.run(state, 10)
        }
        if (ended === 'crashed') crashes++
        home = random() < 0.2 ? home.afterKill() : home.afterPowerLoss(random)
        store = new LevelStore(home, hurried)
        const found = await work.restart(store)
        if (found === null) {
          wholes++
          continue
        }
        expectSame(found, state)
        state = found
      }
    }
    expect(crashes).toBeGreaterThan(70)
    expect(wholes).toBeGreaterThan(0)
  })

  it('costs what has changed, and nothing where nothing has', async () => {
    const state = makeState()
    state.zxidLast = 1
    for (let i = 0; i < 5000; i++) create(state, `/n${i}`)
    const home = new MemKv()
    const store = new LevelStore(home, patient)
    expect((await store.takeSnapshot(state)).nodeCount).toBe(5004)
    expect(await store.takeSnapshot(state)).toMatchObject({ nodeCount: 0, bytes: 0 })
    create(state, '/n0/child')
    remove(state, '/n1')
    for (let i = 0; i < 100; i++) {
      create(state, '/brief')
      remove(state, '/brief')
    }
    // The child with its parent; the root, whose child went; and no word of what came and went between the two.
    const before = home.bytesWritten
    expect((await store.takeSnapshot(state)).nodeCount).toBe(3)
    expect(home.bytesWritten - before).toBeLessThan(1000)
    const left = makeState()
    await new LevelStore(home, patient).load(left)
    expect(listTree(left.tree)).toEqual(listTree(state.tree))
  })

  it('is written whole, beside the old one, for a tree that did not come from it', async () => {
    const home = new MemKv()
    const store = new LevelStore(home, hurried)
    const mine = makeState()
    for (let i = 0; i < 300; i++) create(mine, `/mine${i}`)
    await store.takeSnapshot(mine)
    const theirs = makeState()
    theirs.zxidLast = 1000
    for (let i = 0; i < 300; i++) create(theirs, `/theirs${i}`)
    for (let calls = 0; ; calls++) {
      const trial = home.afterKill()
      const ended = await Promise.race([new LevelStore(trial, hurried).takeSnapshot(theirs), crashAfter(trial, calls)])
      const found = makeState()
      await new LevelStore(trial.afterPowerLoss(seeded(calls)), patient).load(found)
      const isNew = found.zxidLast === theirs.zxidLast
      expect(listTree(found.tree)).toEqual(listTree(isNew ? theirs.tree : mine.tree))
      if (ended !== 'crashed') {
        expect(isNew).toBe(true)
        expect(trial.keyCount).toBe(2 + theirs.tree.nodeCount + theirs.tree.acls.size)
        break
      }
    }
  })

  it('D1: a database that fails costs nothing but that checkpoint, and the next one has all it lacked', async () => {
    for (let seed = 41; seed <= 44; seed++) {
      const work = new Workload(seed)
      const random = seeded(seed)
      const state = makeState()
      const home = new MemKv()
      const store = new LevelStore(home, hurried)
      let failed = 0
      for (let round = 0; round < 30; round++) {
        let left = Math.floor(random() * 10)
        const fails = random() < 0.6
        home.beforeCall = () => {
          work.run(state, 2)
          return fails && left-- <= 0 ? Promise.reject(new Error('ENOSPC')) : Promise.resolve()
        }
        work.run(state, 20)
        try {
          await store.takeSnapshot(state)
        } catch (err) {
          expect(err).toMatchObject({ name: 'StorageError', file: home.path })
          failed++
        }
        home.beforeCall = () => Promise.resolve()
        const found = await work.restart(new LevelStore(home.afterKill(), patient))
        if (found !== null) expectSame(found, state)
      }
      expect(failed).toBeGreaterThan(5)
      await store.takeSnapshot(state)
      expectSame((await work.restart(new LevelStore(home.afterKill(), patient)))!, state)
    }
  })

  it('writes a batch only when the log is durable up to all that is in it', async () => {
    const state = makeState()
    state.zxidLast = 1
    const home = new MemKv()
    const store = new LevelStore(home, hurried)
    await store.takeSnapshot(state)
    for (let i = 0; i < 200; i++) create(state, `/n${i}`)
    let durable = 0
    const batches: number[] = []
    home.beforeCall = (what) => {
      if (what === 'batch') batches.push(durable)
      create(state, `/later${state.zxidLast}`)
      return Promise.resolve()
    }
    await store.takeSnapshot(state, (zxid, done) => {
      durable = zxid
      done(null)
    })
    expect(batches.length).toBeGreaterThan(3)
    const found = makeState()
    const { end } = await store.load(found)
    expect(batches.at(-1)).toBe(end.zxid)
    expect(batches.every((zxid, i) => i === 0 || zxid >= batches[i - 1]!)).toBe(true)
    expect(batches[0]).toBeGreaterThan(200)
  })

  it('D4: any damaged or missing record is found before anybody is served', async () => {
    const work = new Workload(51)
    const state = makeState()
    work.run(state, 300)
    const home = new MemKv()
    await new LevelStore(home, patient).takeSnapshot(state)
    work.run(state, 50)
    const random = seeded(7)
    const loses = async (rotten: MemKv): Promise<boolean> => {
      const store = new LevelStore(rotten, patient)
      const found = makeState()
      try {
        if ((await store.find()) === null) return true
        const { end } = await store.load(found)
        return store.endError(found, end) !== null
      } catch (err) {
        expect(err).toMatchObject({ name: 'StorageError', file: home.path })
        return true
      }
    }
    expect(await loses(home.afterKill())).toBe(false)
    for (const key of home.keys()) {
      const flipped = home.afterKill()
      flipped.rot(key, (value) => {
        value[Math.floor(random() * value.length)]! ^= 1 << Math.floor(random() * 8)
        return value
      })
      expect([key, await loses(flipped)]).toEqual([key, true])
      const missing = home.afterKill()
      missing.rot(key, () => null)
      // A list that no znode has is no loss.
      if (!isUnusedAcl(state, key)) expect([key, await loses(missing)]).toEqual([key, true])
    }
  })

  it('is written whole again after changes that no transaction made', async () => {
    const state = makeState()
    state.zxidLast = 1
    create(state, '/e', 77)
    const home = new MemKv()
    const store = new LevelStore(home, patient)
    await store.takeSnapshot(state)
    expect(state.removeOrphans()).toBe(1)
    expect((await store.takeSnapshot(state)).nodeCount).toBe(state.tree.nodeCount)
  })
})

function isUnusedAcl(state: StateMachine, key: string): boolean {
  if (key.charCodeAt(5) !== 2) return false
  const id = Buffer.from(key, 'latin1').readInt32BE(6)
  return !state.tree.acls.has(id) || state.tree.acls.references(id) === 0
}

function create(state: StateMachine, path: string, owner = 0): void {
  const bytes = createTxn(state.zxidLast + 1, path, 'data', owner)
  state.apply(bytes, 0, bytes.length)
}

function remove(state: StateMachine, path: string): void {
  const bytes = deleteTxn(state.zxidLast + 1, path)
  state.apply(bytes, 0, bytes.length)
}
