import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodeDisk } from '../../../src/txnlog/disk.ts'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../../src/txnlog/filestore.ts'
import { ENTRY_LENGTH_MAX, scanLog } from '../../../src/txnlog/logdir.ts'
import { logNames, snapshotNames } from '../../../src/txnlog/names.ts'
import { readSnapshot } from '../../../src/txnlog/snapfile.ts'
import { loadInto } from '../../../src/txnlog/snapshot.ts'
import { MemDisk } from '../../disk/memdisk.ts'
import { digestOf, FIXTURES, fixtureTree, listTree, makeState, putFixture, recoverOn, VERSION_2 } from './states.ts'

const LIVES = ['plain', 'gz', 'snappy']

describe('files of the Java server', () => {
  it.each(LIVES)('D11: a folder whose last snapshot is %s gives the tree its clients saw', async (life) => {
    const disk = new MemDisk()
    putFixture(disk, life)
    const { state, mismatches, events, tornTail } = await recoverOn(disk)
    expect(listTree(state.tree)).toEqual(fixtureTree(life))
    expect(mismatches).toEqual([])
    expect(events.map((event) => event.kind)).toEqual(['snapshotLoaded'])
    expect(tornTail).toBe(null)
    expect(disk.openFiles).toEqual([])
    state.tree.check()
  })

  it('D11: every snapshot, with the log behind it, gives the same tree and digest', async () => {
    const whole = new MemDisk()
    putFixture(whole, 'snappy')
    const newest = await recoverOn(whole)
    const snapshots = snapshotNames(whole.names(VERSION_2))
    expect(snapshots.map((each) => each.compression)).toEqual(['snappy', 'snappy', 'snappy', 'gz', 'gz', '', '', ''])
    for (const snapshot of snapshots) {
      const disk = new MemDisk()
      putFixture(disk, 'snappy', (name) => name.startsWith('log.') || name === snapshot.name)
      const { state, mismatches, snapshotZxid, txnsReplayed } = await recoverOn(disk)
      expect(snapshotZxid).toBe(snapshot.zxid)
      expect(txnsReplayed).toBe(newest.zxidLast - snapshot.zxid)
      expect(listTree(state.tree)).toEqual(fixtureTree('snappy'))
      expect(mismatches).toEqual([])
      expect(digestOf(state)).toBe(digestOf(newest.state))
    }
  })

  it('every record of every log has its seal and end mark, and zxids follow one another', async () => {
    const dir = join(FIXTURES, 'snappy', 'version-2')
    const zxids: number[] = []
    const types = new Set<number>()
    for (const log of logNames(readdirSync(dir))) {
      const { tail } = await scanLog(nodeDisk(), join(dir, log.name), ENTRY_LENGTH_MAX, (zxid, buf, off) => {
        zxids.push(zxid)
        types.add(new DataView(buf.buffer, buf.byteOffset).getInt32(off + 28))
        return true
      })
      expect(tail).toMatchObject({ kind: 'end' })
    }
    expect(zxids).toEqual(zxids.map((_, i) => i + 1))
    expect([...types].sort((a, b) => a - b)).toEqual([-11, -10, -1, 1, 2, 5, 7, 14, 15, 19, 21])
  })

  it('D11: a snapshot written from the state of theirs has their length, tables and digest section', async () => {
    const dir = join(FIXTURES, 'plain', 'version-2')
    for (const snapshot of snapshotNames(readdirSync(dir)).filter((each) => each.zxid > 0)) {
      const state = makeState()
      const summary = await readSnapshot(nodeDisk(), dir, snapshot, loadInto(state), ENTRY_LENGTH_MAX)
      state.tree.finishLoad()
      state.zxidLast = summary.zxidEnd!
      const disk = new MemDisk()
      disk.mkdir(VERSION_2, () => {})
      await new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS).takeSnapshot(state)
      const ours = Buffer.from(disk.get(join(VERSION_2, disk.names(VERSION_2)[0]!))!)
      const theirs = readFileSync(join(dir, snapshot.name))
      expect(ours.length).toBe(theirs.length)
      // Header and session count; 54 bytes before the end the digest section.
      expect(ours.subarray(0, 20)).toEqual(theirs.subarray(0, 20))
      expect(ours.subarray(-54, -34)).toEqual(theirs.subarray(-54, -34))
    }
  })

  it('the snapshot of an empty database has the length and header of theirs', async () => {
    const disk = new MemDisk()
    const { zxidLast } = await recoverOn(disk)
    expect(zxidLast).toBe(0)
    const ours = Buffer.from(disk.get(join(VERSION_2, 'snapshot.0'))!)
    const theirs = readFileSync(join(FIXTURES, 'plain', 'version-2', 'snapshot.0'))
    expect(ours.length).toBe(theirs.length)
    expect(ours.subarray(0, 20)).toEqual(theirs.subarray(0, 20))
  })
})
