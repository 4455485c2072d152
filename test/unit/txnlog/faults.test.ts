/** Disks that are full, broken or slow, as far as files are concerned; what a server does about it is told elsewhere. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { StorageError } from '../../../src/jute/errors.ts'
import { errorCode } from '../../../src/txnlog/disk.ts'
import { readEpoch, writeEpoch } from '../../../src/txnlog/epochs.ts'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../../src/txnlog/filestore.ts'
import { truncateHistory } from '../../../src/txnlog/logdir.ts'
import { purge } from '../../../src/txnlog/purge.ts'
import { TXN_LOG_DEFAULTS, TxnLog } from '../../../src/txnlog/txnlog.ts'
import { checkHistory, History } from '../../disk/history.ts'
import { MemDisk } from '../../disk/memdisk.ts'
import { NOTHING } from '../../disk/survival.ts'
import { Random } from '../../simulation/random.ts'
import { DIRS, digestOf, makeState, recoverOn, VERSION_2 } from './states.ts'

/** No room is left, but for so many bytes. */
function fill(disk: MemDisk, room = 0): void {
  disk.kept.capacityBytes = disk.kept.usedBytes + room
}

interface Rig {
  readonly log: TxnLog
  readonly history: History
  readonly failures: StorageError[]
  /** The next transactions, written together; resolves when they are durable or the log has failed. */
  write(count: number): Promise<void>
}

function logOn(disk: MemDisk, random: Random, preAllocBytes = 4096): Rig {
  const history = new History()
  const failures: StorageError[] = []
  const log = new TxnLog(
    disk,
    VERSION_2,
    { ...TXN_LOG_DEFAULTS, preAllocBytes },
    { onDurable: (zxid) => history.acknowledge(zxid), onFailed: (err) => failures.push(err), onSynced() {} },
  )
  const write = (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const zxid = history.zxidLast + 1
      const txn = history.next(zxid, random)
      log.append(zxid, txn, 0, txn.length)
    }
    return new Promise((resolve) => log.drain(() => resolve()))
  }
  return { log, history, failures, write }
}

async function empty(): Promise<MemDisk> {
  const disk = new MemDisk()
  await recoverOn(disk)
  return disk
}

function codeOf(err: StorageError | undefined): string {
  return errorCode(err?.cause)
}

describe('a full disk', () => {
  it('D1: in an append, at any byte, takes nothing that was acknowledged and keeps nobody from starting', async () => {
    for (let room = 0; room < 6000; room += 389) {
      const disk = await empty()
      const { history, failures, write } = logOn(disk, new Random(room))
      fill(disk, room)
      while (failures.length === 0) await write(3)
      expect(failures.map(codeOf)).toEqual(['ENOSPC'])
      expect(failures[0]!.file).toMatch(/log\.1$/)
      const full = disk.afterKill()
      for (const next of [full.afterPowerLoss(NOTHING), full, full.afterKill()]) {
        // Without room the first start has to do without a copy of what it cuts.
        if (next !== full) next.kept.capacityBytes = Number.POSITIVE_INFINITY
        const { zxidLast, state } = await recoverOn(next)
        checkHistory(history.expected(), zxidLast, digestOf(state))
      }
    }
  })

  it('D1: in making a log or growing it ends the log with an error that names the file', async () => {
    for (const step of ['create', 'truncate', 'syncDir']) {
      const disk = await empty()
      const { history, failures, write } = logOn(disk, new Random(1))
      disk.fault = (name) => (name === step ? 'ENOSPC' : null)
      await write(2)
      expect(failures.map(codeOf)).toEqual(['ENOSPC'])
      expect(failures[0]!.file).toMatch(/log\.1$/)
      expect(history.acknowledged).toBe(0)
      const { zxidLast, state } = await recoverOn(disk.afterKill())
      checkHistory(history.expected(), zxidLast, digestOf(state))
    }
  })

  it('D1: in a snapshot leaves the older ones, and gives back what it had taken', async () => {
    const disk = await empty()
    const { history, write } = logOn(disk, new Random(2))
    await write(30)
    const store = new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS)
    const names = disk.names(VERSION_2)
    for (const room of [0, 1, 600, 1500]) {
      fill(disk, room)
      const before = disk.kept.usedBytes
      await expect(store.takeSnapshot(history.state)).rejects.toThrow(/ENOSPC.*snapshot\.1e/)
      expect(disk.names(VERSION_2)).toEqual(names)
      expect(disk.kept.usedBytes).toBe(before)
    }
    disk.kept.capacityBytes = Number.POSITIVE_INFINITY
    await store.takeSnapshot(history.state)
    expect(await recoverOn(disk)).toMatchObject({ snapshotZxid: 30, zxidLast: 30 })
  })

  it('D1: keeps nobody from purging', async () => {
    const disk = await empty()
    const { history, log, write } = logOn(disk, new Random(3))
    const store = new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS)
    for (let i = 0; i < 5; i++) {
      await write(4)
      log.roll()
      await store.takeSnapshot(history.state)
    }
    fill(disk)
    const before = disk.kept.usedBytes
    expect((await purge(disk, DIRS, 3)).removed.length).toBeGreaterThan(3)
    expect(disk.kept.usedBytes).toBeLessThan(before)
    const { zxidLast, state } = await recoverOn(disk.afterPowerLoss(NOTHING))
    checkHistory(history.expected(), zxidLast, digestOf(state))
  })

  it('D1: keeps nobody from truncating', async () => {
    const disk = await empty()
    const { history, log, write } = logOn(disk, new Random(4))
    await write(9)
    await new Promise((resolve) => log.close(resolve))
    fill(disk)
    history.replacing(5)
    expect(await truncateHistory(disk, VERSION_2, VERSION_2, 5)).toBe('ok')
    history.replaced()
    const { zxidLast, state } = await recoverOn(disk.afterPowerLoss(NOTHING))
    checkHistory(history.expected(), zxidLast, digestOf(state))
  })

  it('D1: in an epoch file keeps the old number', async () => {
    const disk = await empty()
    await writeEpoch(disk, VERSION_2, 'acceptedEpoch', 7)
    fill(disk)
    await expect(writeEpoch(disk, VERSION_2, 'acceptedEpoch', 8)).rejects.toThrow(/ENOSPC.*acceptedEpoch/)
    expect(await readEpoch(disk.afterPowerLoss(NOTHING), VERSION_2, 'acceptedEpoch')).toBe(7)
  })
})

describe('a broken disk', () => {
  it('D2: a snapshot whose sync has failed never gets its name, and its room is given back', async () => {
    const disk = await empty()
    const { history, write } = logOn(disk, new Random(5))
    await write(9)
    const names = disk.names(VERSION_2)
    const store = new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS)
    let left = 1
    disk.fault = (step, path) => (step === 'sync' && path.includes('partial') && left-- > 0 ? 'EIO' : null)
    await expect(store.takeSnapshot(history.state)).rejects.toThrow(/EIO/)
    expect(disk.names(VERSION_2)).toEqual(names)
    await store.takeSnapshot(history.state)
    const { zxidLast, snapshotZxid, state } = await recoverOn(disk.afterPowerLoss(NOTHING))
    expect([zxidLast, snapshotZxid]).toEqual([9, 9])
    expect(digestOf(state)).toBe(digestOf(history.state))
  })

  it('D2: an epoch whose sync has failed is not there, also after a loss of power', async () => {
    const disk = await empty()
    await writeEpoch(disk, VERSION_2, 'currentEpoch', 7)
    disk.fault = (step) => (step === 'sync' ? 'EIO' : null)
    await expect(writeEpoch(disk, VERSION_2, 'currentEpoch', 8)).rejects.toThrow(/EIO/)
    expect(await readEpoch(disk.afterKill(), VERSION_2, 'currentEpoch')).toBe(7)
    expect(await readEpoch(disk.afterPowerLoss(NOTHING), VERSION_2, 'currentEpoch')).toBe(7)
  })

  it('D2: a read that fails once refuses the start, and changes nothing for the next one', async () => {
    const disk = await empty()
    const { history, write } = logOn(disk, new Random(6))
    await write(9)
    for (const name of ['log.1', 'snapshot.0']) {
      const broken = disk.afterKill()
      broken.fault = (step, path) => (step === 'read' && path === join(VERSION_2, name) ? 'EIO' : null)
      await expect(recoverOn(broken)).rejects.toThrow(/EIO/)
      const { zxidLast, state } = await recoverOn(broken.afterKill())
      checkHistory(history.expected(), zxidLast, digestOf(state))
    }
  })
})

describe('a slow disk', () => {
  it('D3: acknowledges nothing while a sync hangs, and everything in order when it is over', async () => {
    const disk = await empty()
    const { history, failures, log, write } = logOn(disk, new Random(7))
    await write(2)
    disk.fault = (step) => (step === 'sync' ? 'hang' : null)
    const writes = [write(2), write(3)]
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
    expect([history.acknowledged, history.zxidLast]).toEqual([2, 7])
    expect(log.bytesPending).toBeGreaterThan(0)
    const lost = await recoverOn(disk.afterPowerLoss(NOTHING))
    expect([lost.zxidLast, digestOf(lost.state)]).toEqual([2, digestOf(stateAt(history, 2))])
    disk.fault = () => null
    disk.letGo()
    await Promise.all(writes)
    expect([history.acknowledged, failures]).toEqual([7, []])
  })
})

function stateAt(history: History, zxid: number) {
  const state = makeState()
  for (const entry of history.behind(0)) if (entry.zxid <= zxid) state.apply(entry.txn, 0, entry.txn.length)
  return state
}
