import { describe, expect, it } from 'vitest'
import type { StateMachine } from '../../../src/datatree/apply.ts'
import { FileSnapshotStore } from '../../../src/txnlog/filestore.ts'
import { truncateHistory } from '../../../src/txnlog/logdir.ts'
import { purge } from '../../../src/txnlog/purge.ts'
import { TXN_LOG_DEFAULTS, TxnLog } from '../../../src/txnlog/txnlog.ts'
import { MemDisk, seeded } from './memdisk.ts'
import {
  createTxn,
  DIRS,
  deleteTxn,
  digestOf,
  makeState,
  type Outcome,
  recoverOn,
  sessionTxn,
  setDataTxn,
  VERSION_2,
} from './states.ts'

/** What was proposed, and what was promised to be on disk. */
class History {
  readonly txns: Uint8Array[] = []
  acknowledged = 0

  digestAt(zxid: number): string {
    const state = makeState()
    for (const txn of this.txns.slice(0, zxid)) state.apply(txn, 0, txn.length)
    return digestOf(state)
  }
}

function nextTxn(zxid: number, random: () => number): Uint8Array {
  const node = `/n${Math.floor(random() * 12)}`
  const choice = random()
  if (choice < 0.45) return createTxn(zxid, node, 'd'.repeat(Math.floor(random() * 700)))
  if (choice < 0.55) return createTxn(zxid, `${node}/e${zxid}`, 'e', 1 + Math.floor(random() * 3))
  if (choice < 0.75) return setDataTxn(zxid, node, `at ${zxid}`, zxid)
  if (choice < 0.9) return deleteTxn(zxid, node)
  return sessionTxn(zxid, 1 + Math.floor(random() * 3), random() < 0.5 ? -10 : -11)
}

/** Serves until the disk dies: groups of txns, applied when durable; now and then a snapshot, a roll, a purge. */
async function serve(disk: MemDisk, state: StateMachine, history: History, random: () => number): Promise<void> {
  let pending: number[] = []
  const sink = {
    onDurable: (zxid: number) => {
      history.acknowledged = zxid
      for (const each of pending.filter((id) => id <= zxid)) {
        const txn = history.txns[each - 1]!
        state.apply(txn, 0, txn.length)
      }
      pending = pending.filter((id) => id > zxid)
    },
    onFailed: (err: Error) => {
      throw err
    },
    onSynced() {},
  }
  const log = new TxnLog(disk, VERSION_2, { ...TXN_LOG_DEFAULTS, preAllocBytes: 8192 }, sink, state.zxidLast)
  const store = new FileSnapshotStore(disk, VERSION_2, { compression: '', digest: true, lastZxid: true })
  let snapshot: Promise<unknown> = Promise.resolve()
  for (;;) {
    for (let i = Math.floor(random() * 4); i >= 0; i--) {
      const zxid = history.txns.length + 1
      const txn = nextTxn(zxid, random)
      history.txns.push(txn)
      pending.push(zxid)
      log.append(zxid, txn, 0, txn.length)
    }
    log.flush()
    if (random() < 0.2 && !store.busy) {
      log.roll()
      snapshot = store.takeSnapshot(state, (zxid, done) => log.whenDurable(zxid, done))
    }
    const wait: Promise<unknown>[] = [disk.whenCrashed]
    if (random() < 0.5) wait.push(new Promise((resolve) => log.whenDurable(history.txns.length, () => resolve(null))))
    else wait.push(new Promise((resolve) => setImmediate(resolve)))
    if ((await Promise.race(wait)) === 'crashed') return
    if (random() < 0.1) {
      if ((await Promise.race([snapshot, disk.whenCrashed])) === 'crashed') return
      if ((await Promise.race([purge(disk, DIRS, 3), disk.whenCrashed])) === 'crashed') return
    }
  }
}

function die(disk: MemDisk, random: () => number): MemDisk {
  return random() < 0.3 ? disk.afterKill() : disk.afterPowerLoss(random)
}

describe('crashes', () => {
  it('C1 to C6, C13, C16: after kills and power losses at any step, also inside recovery, no acknowledged write is lost', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = seeded(seed)
      const history = new History()
      let disk = new MemDisk()
      for (let life = 0; life < 5; life++) {
        let outcome: Outcome | 'crashed' = 'crashed'
        while (outcome === 'crashed') {
          if (random() < 0.4) disk.crashAfter(Math.floor(random() * 30))
          try {
            outcome = await Promise.race([recoverOn(disk), disk.whenCrashed])
          } catch (err) {
            throw new Error(`seed ${seed}, life ${life}`, { cause: err })
          }
          if (outcome === 'crashed') disk = die(disk, random)
        }
        const { zxidLast, state } = outcome
        expect([seed, life, zxidLast >= history.acknowledged]).toEqual([seed, life, true])
        expect([seed, life, digestOf(state)]).toEqual([seed, life, history.digestAt(zxidLast)])
        // What nobody was promised may be gone; its zxids are used again.
        history.txns.length = zxidLast
        disk.crashAfter(Math.floor(random() * 250))
        await serve(disk, state, history, random)
        disk = die(disk, random)
      }
    }
  })

  it('C14: a crash at any step of a truncation leaves the old history or the cut one, or one in between that can be cut again', async () => {
    const random = seeded(5)
    for (let steps = 0; ; steps++) {
      const history = new History()
      let disk = new MemDisk()
      const { state } = await recoverOn(disk)
      await writeSegments(disk, state, history, random)
      disk.crashAfter(steps)
      const done = await Promise.race([truncateHistory(disk, VERSION_2, VERSION_2, 7), disk.whenCrashed])
      disk = disk.afterPowerLoss(random)
      const between = await recoverOn(disk)
      expect(between.zxidLast).toBeGreaterThanOrEqual(7)
      expect(digestOf(between.state)).toBe(history.digestAt(between.zxidLast))
      expect(await truncateHistory(disk, VERSION_2, VERSION_2, 7)).toBe('ok')
      const after = await recoverOn(disk)
      expect(after.zxidLast).toBe(7)
      expect(digestOf(after.state)).toBe(history.digestAt(7))
      if (done === 'ok') break
    }
  })
})

/** Four log files of four txns each, and a snapshot behind each but the first. */
async function writeSegments(
  disk: MemDisk,
  state: StateMachine,
  history: History,
  random: () => number,
): Promise<void> {
  const sink = {
    onDurable() {},
    onFailed: (err: Error) => {
      throw err
    },
    onSynced() {},
  }
  const log = new TxnLog(disk, VERSION_2, { ...TXN_LOG_DEFAULTS, preAllocBytes: 8192 }, sink)
  const store = new FileSnapshotStore(disk, VERSION_2, { compression: '', digest: true, lastZxid: true })
  for (let file = 0; file < 4; file++) {
    for (let i = 1; i <= 4; i++) {
      const zxid = 4 * file + i
      const txn = nextTxn(zxid, random)
      history.txns.push(txn)
      log.append(zxid, txn, 0, txn.length)
      state.apply(txn, 0, txn.length)
    }
    log.roll()
    await new Promise((resolve) => log.drain(resolve))
    if (file > 0) await store.takeSnapshot(state)
  }
  await new Promise((resolve) => log.close(resolve))
}
