/** Backups of a directory that somebody works in: writes, rolls, snapshots, purges. */

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { backup } from '../../../src/tools/backup.ts'
import { restore } from '../../../src/tools/restore.ts'
import type { Disk } from '../../../src/txnlog/disk.ts'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../../src/txnlog/filestore.ts'
import { purge } from '../../../src/txnlog/purge.ts'
import { TXN_LOG_DEFAULTS, TxnLog } from '../../../src/txnlog/txnlog.ts'
import { createTxn, listTree, recoverOn } from '../txnlog/states.ts'
import { disk, fixtureData, RecordingTerminal, startedFrom, targetOf, tempDir } from './helpers.ts'

const OPTIONS = { createdBy: 'a test', nowMs: 1_700_000_000_000 }
const SNAPSHOT_EVERY = 40

/** A server's storage without the server: znode /n<zxid> is made by transaction <zxid>. */
class Writer {
  readonly dir = tempDir()
  zxidDurable = 0
  purged = 0
  stopped = false

  async run(): Promise<void> {
    const dirs = { dataDir: this.dir, dataLogDir: this.dir }
    const { state } = await recoverOn(disk, {}, dirs)
    const folder = join(this.dir, 'version-2')
    const store = new FileSnapshotStore(disk, folder, SNAPSHOT_DEFAULTS)
    let failed: Error | null = null
    const log = new TxnLog(
      disk,
      folder,
      { ...TXN_LOG_DEFAULTS, preAllocBytes: 16 * 1024, forceSync: false },
      {
        onDurable: (zxid) => {
          this.zxidDurable = zxid
        },
        onFailed: (err) => {
          failed = err
        },
        onSynced: () => {},
      },
      0,
    )
    for (let zxid = 1; !this.stopped && failed === null; zxid++) {
      const txn = createTxn(zxid, `/n${zxid}`, `${zxid}`.repeat(zxid % 50))
      log.append(zxid, txn, 0, txn.length)
      const last = zxid % SNAPSHOT_EVERY === 0
      if (last) log.roll()
      log.flush()
      await new Promise<void>((resolve) => log.whenDurable(zxid, () => resolve()))
      state.apply(txn, 0, txn.length)
      if (!last) continue
      await store.takeSnapshot(state)
      this.purged += (await purge(disk, dirs, 3)).removed.length
    }
    await new Promise<void>((resolve) => log.close(() => resolve()))
    if (failed !== null) throw failed
  }
}

describe('a backup beside a running server', () => {
  it('has all that was acknowledged when it began, while logs roll and old files are purged (V4)', async () => {
    const writer = new Writer()
    const running = writer.run()
    try {
      while (writer.purged === 0) await new Promise((resolve) => setImmediate(resolve))
      for (let i = 0; i < 15; i++) {
        const [zxidBefore, purgedBefore] = [writer.zxidDurable, writer.purged]
        const archive = join(tempDir(), 'b.tgz')
        const { manifest } = await backup(disk, targetOf(writer.dir), archive, OPTIONS, new RecordingTerminal())
        expect(manifest.zxidLast).toBeGreaterThanOrEqual(zxidBefore)
        const target = tempDir()
        const done = await restore(
          disk,
          archive,
          targetOf(target),
          { zxid: null, sessions: true },
          new RecordingTerminal(),
        )
        expect(done.zxid).toBe(manifest.zxidLast)
        const paths = listTree((await startedFrom(target)).state.tree).map((line) => line.split('\t')[0])
        const expected = Array.from({ length: done.zxid }, (_, at) => `/n${at + 1}`)
        expect(paths.filter((path) => path!.startsWith('/n'))).toEqual(expected.sort())
        while (writer.purged === purgedBefore) await new Promise((resolve) => setImmediate(resolve))
      }
    } finally {
      writer.stopped = true
      await running
    }
    expect(writer.purged).toBeGreaterThan(15)
  })

  it('begins anew where a purge takes a file between the look into the folder and its opening', async () => {
    const source = fixtureData('plain')
    const gone = join(source, 'version-2', 'snapshot.0')
    const later: Disk = {
      ...disk,
      open: (path, mode, got) => {
        if (path === gone) rmSync(gone)
        disk.open(path, mode, got)
      },
    }
    const archive = join(tempDir(), 'b.tar')
    const { manifest } = await backup(later, targetOf(source), archive, OPTIONS, new RecordingTerminal())
    expect(manifest.snapshotZxid).toBe(0x36)
  })

  it('reads to its end what was purged after it was opened', async () => {
    const source = fixtureData('plain')
    const folder = join(source, 'version-2')
    let opened = 0
    const emptied: Disk = {
      ...disk,
      // The last log is opened last: by then everything is held.
      open: (path, mode, got) => {
        disk.open(path, mode, (...result) => {
          if (path === join(folder, 'log.38') && opened++ === 0) rmSync(folder, { recursive: true })
          got(...result)
        })
      },
    }
    const archive = join(tempDir(), 'b.tar')
    const expected = await startedFrom(source)
    const { manifest } = await backup(emptied, targetOf(source), archive, OPTIONS, new RecordingTerminal())
    expect(manifest.zxidLast).toBe(expected.zxidLast)
    const target = tempDir()
    await restore(disk, archive, targetOf(target), { zxid: null, sessions: true }, new RecordingTerminal())
    expect(listTree((await startedFrom(target)).state.tree)).toEqual(listTree(expected.state.tree))
  })
})
