import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../../src/txnlog/filestore.ts'
import { forgetHistory, truncateHistory } from '../../../src/txnlog/logdir.ts'
import { purge } from '../../../src/txnlog/purge.ts'
import { MemDisk } from '../../disk/memdisk.ts'
import { logFileOf } from './entries.ts'
import { createTxn, DIRS, digestOf, makeState, recoverOn, VERSION_2 } from './states.ts'

/** Txns 1 to 60; a log begins at 1, 11, 21 ... and a snapshot stands at 5, 15, 25 ... */
async function grown(): Promise<MemDisk> {
  const disk = new MemDisk()
  await recoverOn(disk)
  const state = makeState()
  const store = new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS)
  for (let file = 0; file < 6; file++) {
    const txns: Uint8Array[] = []
    for (let zxid = 10 * file + 1; zxid <= 10 * file + 10; zxid++) {
      const txn = createTxn(zxid, `/n${zxid}`)
      state.apply(txn, 0, txn.length)
      txns.push(txn)
      if (zxid % 10 === 5) await store.takeSnapshot(state)
    }
    disk.put(join(VERSION_2, `log.${(10 * file + 1).toString(16)}`), logFileOf(txns, 500))
  }
  return disk
}

const hex = (zxid: number): string => zxid.toString(16)

function spoil(disk: MemDisk, zxid: number): void {
  const path = join(VERSION_2, `snapshot.${hex(zxid)}`)
  const bytes = disk.get(path)!.slice()
  bytes[200]! ^= 1
  disk.put(path, bytes)
}

describe('purge', () => {
  it('keeps the newest snapshots, the logs from the oldest of them on, the log that reaches across, and what was cut from those', async () => {
    const disk = await grown()
    disk.put(join(VERSION_2, 'snapshot.9.tmp'), new Uint8Array(9))
    disk.put(join(VERSION_2, 'acceptedEpoch'), new Uint8Array(1))
    for (const zxid of [1, 21, 31]) disk.put(join(VERSION_2, `torn-log.${hex(zxid)}.200`), new Uint8Array(9))
    const before = await recoverOn(disk)
    const purged = await purge(disk, DIRS, 3)
    expect(purged.zxidOldest).toBe(35)
    expect(disk.names(VERSION_2)).toEqual(
      [
        'acceptedEpoch',
        'torn-log.1f.200',
        ...[31, 41, 51].map((zxid) => `log.${hex(zxid)}`),
        ...[35, 45, 55].map((zxid) => `snapshot.${hex(zxid)}`),
      ].sort(),
    )
    expect(purged.removed).toHaveLength(4 + 4 + 2)
    const after = await recoverOn(disk)
    expect(digestOf(after.state)).toBe(digestOf(before.state))
    expect((await purge(disk, DIRS, 3)).removed).toEqual([])
  })

  it('C6: only snapshots that verify count; the data survives when the newest ones are damaged', async () => {
    const disk = await grown()
    for (const zxid of [35, 45, 55]) spoil(disk, zxid)
    const purged = await purge(disk, DIRS, 3)
    expect(purged.rejected).toHaveLength(3)
    expect(purged.zxidOldest).toBe(5)
    expect((await recoverOn(disk)).zxidLast).toBe(60)
  })

  it('C6: nothing is removed where no snapshot verifies', async () => {
    const disk = await grown()
    for (const zxid of [5, 15, 25, 35, 45, 55]) spoil(disk, zxid)
    spoil(disk, 0)
    const names = disk.names(VERSION_2)
    expect(await purge(disk, DIRS, 3)).toMatchObject({ removed: [], zxidOldest: -1 })
    expect(disk.names(VERSION_2)).toEqual(names)
  })

  it('reads a snapshot once, as long as the caller remembers it', async () => {
    const disk = await grown()
    const verified = new Set<string>()
    await purge(disk, DIRS, 4, verified)
    expect([...verified].sort()).toEqual([25, 35, 45, 55].map((zxid) => `snapshot.${hex(zxid)}`).sort())
    disk.trace.length = 0
    await purge(disk, DIRS, 3, verified)
    expect(disk.trace.filter((step) => step.startsWith('read'))).toEqual([])
    expect(verified.size).toBe(3)
  })
})

describe('truncation', () => {
  it('cuts strictly by value: later records, later logs and newer snapshots go', async () => {
    for (const zxid of [38, 40, 41, 35]) {
      const disk = await grown()
      expect(await truncateHistory(disk, VERSION_2, VERSION_2, zxid)).toBe('ok')
      const { zxidLast, state } = await recoverOn(disk)
      expect(zxidLast).toBe(zxid)
      expect(state.tree.nodeCount).toBe(4 + zxid)
      expect(disk.names(VERSION_2).filter((name) => Number.parseInt(name.split('.')[1]!, 16) > zxid)).toEqual([])
    }
  })

  it('changes nothing where the zxid is in no history that would be left', async () => {
    const disk = await grown()
    const names = disk.names(VERSION_2)
    expect(await truncateHistory(disk, VERSION_2, VERSION_2, 77)).toBe('uncovered')
    disk.unlink(join(VERSION_2, 'snapshot.0'), () => {})
    expect(await truncateHistory(disk, VERSION_2, VERSION_2, 3)).toBe('uncovered')
    expect(disk.names(VERSION_2)).toEqual(names.filter((name) => name !== 'snapshot.0'))
  })

  it('cuts where an epoch begins, though no record bears that zxid', async () => {
    const disk = await grown()
    const epoch = 2 ** 32
    const state = (await recoverOn(disk)).state
    state.zxidLast = epoch
    await new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS).takeSnapshot(state)
    disk.put(join(VERSION_2, `log.${hex(epoch + 1)}`), logFileOf([createTxn(epoch + 1, '/later')], 500))
    for (const zxid of [5, 15, 25, 35, 45, 55, 0]) disk.unlink(join(VERSION_2, `snapshot.${hex(zxid)}`), () => {})
    expect(await truncateHistory(disk, VERSION_2, VERSION_2, epoch)).toBe('ok')
    const { zxidLast, state: left } = await recoverOn(disk)
    expect(zxidLast).toBe(epoch)
    expect(left.tree.nodeCount).toBe(4 + 60)
  })
})

describe('a history that a leader has replaced', () => {
  it('leaves nothing older behind, where a hole could be read across', async () => {
    const disk = await grown()
    const state = (await recoverOn(disk)).state
    state.zxidLast = 2 ** 32
    await new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS).takeSnapshot(state)
    await forgetHistory(disk, VERSION_2, VERSION_2, 2 ** 32)
    expect(disk.names(VERSION_2)).toEqual(['snapshot.100000000'])
    expect((await recoverOn(disk)).zxidLast).toBe(2 ** 32)
  })
})
