import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { diagnose } from '../../../src/tools/doctor.ts'
import { exportSnapshot } from '../../../src/tools/snapshotexport.ts'
import { loadSnapshot } from '../../../src/tools/snapshotload.ts'
import { LevelHome } from '../../../src/txnlog/levelkv.ts'
import { LevelStore } from '../../../src/txnlog/levelstore.ts'
import { logFileOf } from '../txnlog/entries.ts'
import { createTxn, digestOf, listTree, makeState, setDataTxn } from '../txnlog/states.ts'
import { disk, filesOf, LENGTH_MAX, RecordingTerminal, targetOf, tempDir } from './helpers.ts'

/** A log of 220 transactions, and a checkpoint begun at 200 that holds some of 201 to 210. */
async function made(): Promise<{ dir: string; store: LevelStore; digestAt: (zxid: number) => string }> {
  const dir = tempDir()
  const home = new LevelHome(disk, dir)
  // A clock that leaves time for one step: several batches.
  let clockMs = 0
  const store = new LevelStore(home, () => {
    clockMs += 3
    return clockMs
  })
  const state = makeState()
  const digests = ['']
  const txns: Uint8Array[] = []
  const run = (zxidEnd: number): void => {
    for (let zxid = txns.length + 1; zxid <= zxidEnd; zxid++) {
      const txn = zxid % 3 === 0 ? setDataTxn(zxid, `/n${zxid - 1}`, 'new', 1) : createTxn(zxid, `/n${zxid}`)
      txns.push(txn)
      state.apply(txn, 0, txn.length)
      digests.push(digestOf(state))
    }
  }
  run(100)
  await store.takeSnapshot(state)
  run(200)
  const written = await store.takeSnapshot(state, (_zxid, done) => {
    run(210)
    done(null)
  })
  expect(written).toMatchObject({ zxid: 200, zxidEnd: 210 })
  run(220)
  writeFileSync(join(dir, 'version-2', 'log.1'), logFileOf(txns))
  return { dir, store, digestAt: (zxid) => digests[zxid]! }
}

describe('zoowarden snapshot export', () => {
  it("writes the checkpoint as of its end in Java's format, beside its server, and changes nothing", async () => {
    const { dir, store, digestAt } = await made()
    const before = filesOf(dir)
    const out = tempDir()
    const { zxid, path } = await exportSnapshot(disk, targetOf(dir), out, { log: false }, new RecordingTerminal())
    expect([zxid, path]).toEqual([210, join(out, 'snapshot.d2')])
    expect(digestOf((await loadSnapshot(disk, path, LENGTH_MAX)).state)).toBe(digestAt(zxid))
    expect(filesOf(dir)).toEqual(before)
    await store.close()
  })

  it('takes all of the log along if asked to, to a new file', async () => {
    const { dir, store, digestAt } = await made()
    await store.close()
    const out = join(tempDir(), 'tree')
    const done = await exportSnapshot(disk, targetOf(dir), out, { log: true }, new RecordingTerminal())
    expect(done).toMatchObject({ path: out, zxid: 220 })
    const { state } = await loadSnapshot(disk, out, LENGTH_MAX)
    expect(digestOf(state)).toBe(digestAt(220))
    expect(listTree(state.tree)).toHaveLength(done.znodeCount)
    await expect(exportSnapshot(disk, targetOf(dir), out, { log: true }, new RecordingTerminal())).rejects.toThrow(
      /is there already/,
    )
  })

  it('refuses where the log does not reach what the checkpoint may hold, or there is none', async () => {
    const { dir, store } = await made()
    await store.close()
    rmSync(join(dir, 'version-2', 'log.1'))
    const wanted = exportSnapshot(disk, targetOf(dir), tempDir(), { log: false }, new RecordingTerminal())
    await expect(wanted).rejects.toThrow(/but the log ends at/)
    const none = exportSnapshot(disk, targetOf(tempDir()), tempDir(), { log: false }, new RecordingTerminal())
    await expect(none).rejects.toThrow(/no checkpoint here/)
  })
})

describe('zoowarden doctor', () => {
  it('starts from a checkpoint, and from none that is damaged, which it names', async () => {
    const { dir, store, digestAt } = await made()
    await store.close()
    const { start } = await diagnose(disk, targetOf(dir), new RecordingTerminal())
    expect(start).toMatchObject({ zxidLast: 220, snapshotZxid: 200 })
    expect(`${(start!.digest.hi >>> 0).toString(16)}:${(start!.digest.lo >>> 0).toString(16)}`).toBe(digestAt(220))
    const folder = join(dir, 'version-2', 'checkpoint.level')
    const manifest = readdirSync(folder).find((name) => name.startsWith('MANIFEST'))!
    rmSync(join(folder, manifest))
    const { start: refused, findings } = await diagnose(disk, targetOf(dir), new RecordingTerminal())
    expect(refused).toBeNull()
    expect(findings.find(({ grade }) => grade === 'refusal')?.file).toContain(folder)
  })
})
