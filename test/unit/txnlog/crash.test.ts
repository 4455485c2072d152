import { describe, expect, it } from 'vitest'
import type { StateMachine } from '../../../src/datatree/apply.ts'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../../src/txnlog/filestore.ts'
import { truncateHistory } from '../../../src/txnlog/logdir.ts'
import { TXN_LOG_DEFAULTS, TxnLog } from '../../../src/txnlog/txnlog.ts'
import { checkHistory, History } from '../../disk/history.ts'
import { MemDisk } from '../../disk/memdisk.ts'
import { diskAfter, ENDS, Recording } from '../../disk/recording.ts'
import { liveAlone, start } from '../../disk/standalone.ts'
import { some } from '../../disk/survival.ts'
import { Random } from '../../simulation/random.ts'
import { digestOf, recoverOn, VERSION_2 } from './states.ts'

describe('crashes', () => {
  it('C16: after 50 ends at any call of starting, serving, snapshotting and purging, nothing is lost and a start is short', async () => {
    const random = new Random(1)
    const history = new History()
    let disk = new MemDisk()
    let lives = 0
    for (let end = 0; end < 50; end++) {
      disk.crashAfter(random.int(random.pick([20, 60, 400])))
      const plan = { turns: Number.POSITIVE_INFINITY, ending: 'killed', rots: false } as const
      await Promise.race([liveAlone(disk, history, plan, random), disk.whenCrashed])
      if (disk.steps > 60) lives++
      disk = random.chance(0.5) ? disk.afterKill() : disk.afterPowerLoss(some(() => random.next()))
    }
    expect(lives).toBeGreaterThan(10)
    const { recovered } = await start(disk)
    const { zxidLast, state, txnsReplayed } = recovered
    checkHistory(history.expected(), zxidLast, digestOf(state))
    expect(txnsReplayed).toBeLessThan(60)
    expect(disk.steps).toBeLessThan(120)
  })

  it('C14: a loss at any call of a truncation leaves the old history or the cut one, or one in between that can be cut again', async () => {
    const disk = new MemDisk()
    const history = new History()
    const { state } = await recoverOn(disk)
    await writeSegments(disk, state, history)
    const recording = new Recording()
    recording.follow(disk, 'truncation', () => history.expected())
    expect(await truncateHistory(disk, VERSION_2, VERSION_2, 7)).toBe('ok')
    expect(recording.points.length).toBeGreaterThan(15)
    const random = new Random(5)
    for (const [index, point] of recording.points.entries()) {
      for (const way of [0, 2, 4]) {
        const between = diskAfter(point, ENDS[(index + way) % ENDS.length]!, random)
        const found = await recoverOn(between)
        expect(found.zxidLast).toBeGreaterThanOrEqual(7)
        checkHistory(point.expected, found.zxidLast, digestOf(found.state))
        expect(await truncateHistory(between, VERSION_2, VERSION_2, 7)).toBe('ok')
        const after = await recoverOn(between.afterPowerLoss(() => random.next()))
        expect(after.zxidLast).toBe(7)
        checkHistory(point.expected, 7, digestOf(after.state))
      }
    }
  })
})

/** Four log files of four txns each, and a snapshot behind each but the first. */
async function writeSegments(disk: MemDisk, state: StateMachine, history: History): Promise<void> {
  const sink = {
    onDurable() {},
    onFailed: (err: Error) => {
      throw err
    },
    onSynced() {},
  }
  const log = new TxnLog(disk, VERSION_2, { ...TXN_LOG_DEFAULTS, preAllocBytes: 8192 }, sink)
  const store = new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS)
  const random = new Random(6)
  for (let file = 0; file < 4; file++) {
    for (let i = 1; i <= 4; i++) {
      const zxid = 4 * file + i
      const txn = history.next(zxid, random)
      log.append(zxid, txn, 0, txn.length)
      state.apply(txn, 0, txn.length)
    }
    log.roll()
    await new Promise((resolve) => log.drain(resolve))
    if (file > 0) await store.takeSnapshot(state)
  }
  await new Promise((resolve) => log.close(resolve))
}
