import { describe, expect, it } from 'vitest'
import { Random } from '../simulation/random.ts'
import { digestOf } from '../unit/txnlog/states.ts'
import { checkHistory, History } from './history.ts'
import { load, newState, storageOn } from './member.ts'
import { MemDisk } from './memdisk.ts'
import { NOTHING } from './survival.ts'

const EPOCH = 2 ** 32

/** A member that has logged transactions 1 to 9 of epoch 1, the last three of them not flushed yet. */
async function begun() {
  const disk = new MemDisk()
  const history = new History()
  const failures: Error[] = []
  const storage = storageOn(disk, {
    durable: (zxid) => history.acknowledge(zxid),
    failed: (err) => failures.push(err),
  })
  const { state } = await load(storage)
  for (const which of ['accepted', 'current'] as const) {
    await new Promise<void>((resolve) => storage.saveEpoch(which, 1, resolve))
  }
  const random = new Random(1)
  const append = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const zxid = Math.max(EPOCH, history.zxidLast) + 1
      storage.append(zxid, history.next(zxid, random))
    }
  }
  append(6)
  storage.flush()
  append(3)
  disk.trace.length = 0
  return { disk, history, storage, failures, state, random }
}

describe("a member's disk", () => {
  it('C12: a truncation begins when all that was appended is durable and the log is closed', async () => {
    const { disk, history, storage, state } = await begun()
    let acknowledged = 0
    disk.onCall = ({ step, path }) => {
      // The first thing that the truncation does.
      if (step === 'list' && acknowledged === 0) acknowledged = history.acknowledged
      if (step === 'list') expect(disk.openFiles.filter((open) => open.includes('log.') && path !== open)).toEqual([])
    }
    await new Promise((resolve) => storage.truncate(EPOCH + 4, state, resolve))
    expect(acknowledged).toBe(EPOCH + 9)
    expect((await load(storageOn(disk.afterPowerLoss(NOTHING)))).zxidLast).toBe(EPOCH + 4)
  })

  it('C11: after a truncation that took back what the tree had, tree, log and the next start agree', async () => {
    const { disk, history, storage } = await begun()
    await storage.close()
    const again = storageOn(disk)
    const { state } = await load(again)
    expect(state.zxidLast).toBe(EPOCH + 9)
    history.replacing(EPOCH + 4)
    const left = await new Promise<typeof state>((resolve) =>
      again.truncate(EPOCH + 4, state, (_, tree) => resolve(tree)),
    )
    history.replaced()
    checkHistory(history.expected(), left.zxidLast, digestOf(left))
    again.append(2 * EPOCH + 1, history.next(2 * EPOCH + 1, new Random(2)))
    await again.close()
    const { zxidLast, state: next } = await load(storageOn(disk.afterPowerLoss(NOTHING)))
    expect(zxidLast).toBe(2 * EPOCH + 1)
    checkHistory(history.expected(), zxidLast, digestOf(next))
  })

  it('C10, D1: a tree from the leader that finds no room leaves the history that was there', async () => {
    for (const room of [0, 300, 900]) {
      const { disk, history, storage, failures } = await begun()
      while (history.acknowledged < EPOCH + 9) {
        storage.flush()
        await new Promise((resolve) => setImmediate(resolve))
      }
      const tree = newState()
      for (const { txn } of history.behind(0)) tree.apply(txn, 0, txn.length)
      tree.zxidLast = 3 * EPOCH + 7
      disk.kept.capacityBytes = disk.kept.usedBytes + room
      storage.install(tree, tree.zxidLast, () => {
        throw new Error('there is no room for it')
      })
      while (failures.length === 0) await new Promise((resolve) => setImmediate(resolve))
      expect(failures[0]!.message).toMatch(/cannot write a snapshot: ENOSPC/)
      for (const next of [disk.afterKill(), disk.afterPowerLoss(NOTHING)]) {
        next.kept.capacityBytes = Number.POSITIVE_INFINITY
        const { zxidLast, state } = await load(storageOn(next))
        expect(zxidLast).toBe(EPOCH + 9)
        checkHistory(history.expected(), zxidLast, digestOf(state))
      }
    }
  })
})
