import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { longestHistory } from '../../../src/tools/longest.ts'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../../src/txnlog/filestore.ts'
import { LevelStore } from '../../../src/txnlog/levelstore.ts'
import { MemKv } from '../../disk/memkv.ts'
import { logFileOf } from '../txnlog/entries.ts'
import { createTxn, digestOf, makeState } from '../txnlog/states.ts'
import { disk, targetOf, tempDir } from './helpers.ts'

const TXNS = [1, 2, 3, 4, 5, 6].map((zxid) => createTxn(zxid, `/n${zxid}`))

/** snapshot.0, and a log of six creates that is damaged in the fifth. */
async function damagedLog(): Promise<string> {
  const dir = tempDir()
  mkdirSync(join(dir, 'version-2'))
  await new FileSnapshotStore(disk, join(dir, 'version-2'), SNAPSHOT_DEFAULTS).takeSnapshot(makeState())
  const log = logFileOf(TXNS, 64)
  log[logFileOf(TXNS.slice(0, 4)).length + 30]! ^= 1
  writeFileSync(join(dir, 'version-2', 'log.1'), log)
  return dir
}

function stateAt(zxid: number) {
  const state = makeState()
  for (const txn of TXNS.slice(0, zxid)) state.apply(txn, 0, txn.length)
  return state
}

describe('the longest history', () => {
  it('goes on from a checkpoint that is newer than the snapshot files', async () => {
    const target = targetOf(await damagedLog())
    const store = new LevelStore(new MemKv(), () => 0)
    await store.takeSnapshot(stateAt(3))
    const found = (await longestHistory(disk, target, store, Number.MAX_SAFE_INTEGER))!
    expect(found).toMatchObject({ snapshot: store.path, txns: 1 })
    expect(found.end).toContain('transaction log damaged behind zxid 0x4')
    expect(digestOf(found.state)).toBe(digestOf(stateAt(4)))
    const earlier = (await longestHistory(disk, target, store, 2))!
    expect(earlier).toMatchObject({ txns: 2, end: '0x3 is behind the one asked for' })
    expect(earlier.snapshot).toContain('snapshot.0')
  })

  it('does not begin with a checkpoint that holds changes which no log has any more', async () => {
    const target = targetOf(await damagedLog())
    const home = new MemKv()
    const store = new LevelStore(home, () => 0)
    const state = stateAt(3)
    home.beforeCall = (what) => {
      if (what === 'batch') for (const txn of TXNS.slice(state.zxidLast, 5)) state.apply(txn, 0, txn.length)
      return Promise.resolve()
    }
    let clock = 0
    const hurried = new LevelStore(home, () => clock++)
    expect(await hurried.takeSnapshot(state)).toMatchObject({ zxid: 3, zxidEnd: 5 })
    const found = (await longestHistory(disk, target, store, Number.MAX_SAFE_INTEGER))!
    expect(found.snapshot).toContain('snapshot.0')
    expect(digestOf(found.state)).toBe(digestOf(stateAt(4)))
  })

  it('is none where nothing can be read to begin from', async () => {
    const target = targetOf(await damagedLog())
    writeFileSync(join(target.dataDir, 'version-2', 'snapshot.0'), 'nothing')
    expect(await longestHistory(disk, target, null, 6)).toBeNull()
  })
})
