import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../src/jute/errors.ts'
import { makeZxid } from '../../../src/jute/zxid.ts'
import { type DiskFile, later, laterDone } from '../../../src/txnlog/disk.ts'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../../src/txnlog/filestore.ts'
import { ENTRY_LENGTH_MAX, LogCursor } from '../../../src/txnlog/logdir.ts'
import { COMPRESSIONS, type SnapshotName, snapshotNames } from '../../../src/txnlog/names.ts'
import { readSnapshot } from '../../../src/txnlog/snapfile.ts'
import { loadInto, loadNowhere } from '../../../src/txnlog/snapshot.ts'
import { MemDisk, pathIn } from '../../disk/memdisk.ts'
import { NOTHING } from '../../disk/survival.ts'
import { logFileOf } from './entries.ts'
import {
  createTxn,
  DIRS,
  deleteTxn,
  digestOf,
  fixtureTree,
  listTree,
  makeState,
  putFixture,
  recoverOn,
  VERSION_2,
} from './states.ts'

function at(name: string): string {
  return join(VERSION_2, name)
}

function txns(first: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => createTxn(first + i, `/n${first + i}`))
}

/** A disk with snapshot.0 and one log of txns 1 to 4. */
async function small(): Promise<MemDisk> {
  const disk = new MemDisk()
  await recoverOn(disk)
  disk.put(at('log.1'), logFileOf(txns(1, 4), 300))
  return disk
}

/** Snapshots 0, 2 and 4 over one log of txns 1 to 4. */
async function withSnapshots(compression: '' | 'gz' | 'snappy' = ''): Promise<MemDisk> {
  const disk = await small()
  const state = makeState()
  const store = new FileSnapshotStore(disk, VERSION_2, { ...SNAPSHOT_DEFAULTS, compression })
  for (const txn of txns(1, 4)) {
    state.apply(txn, 0, txn.length)
    if (state.zxidLast % 2 === 0) await store.takeSnapshot(state)
  }
  return disk
}

async function refusal(disk: MemDisk, options = {}): Promise<StorageError> {
  try {
    await recoverOn(disk, options)
  } catch (err) {
    if (err instanceof StorageError) return err
    throw err
  }
  throw new Error('not refused')
}

function flipped(bytes: Uint8Array, offset: number, bit = 0): Uint8Array {
  const copy = bytes.slice()
  copy[offset]! ^= 1 << bit
  return copy
}

async function verifies(disk: MemDisk, snapshot: SnapshotName): Promise<boolean> {
  try {
    await readSnapshot(disk, VERSION_2, snapshot, loadNowhere(), ENTRY_LENGTH_MAX)
    return true
  } catch (err) {
    expect(err).toBeInstanceOf(StorageError)
    return false
  }
}

describe('recovery: logs', () => {
  it('C3: a torn tail is cut at the last good record, a copy is kept, and the next start finds nothing to do', async () => {
    const disk = await small()
    const whole = logFileOf(txns(1, 4))
    const goodBytes = logFileOf(txns(1, 3)).length
    for (let cut = goodBytes + 5; cut < whole.length; cut += 7) {
      disk.put(at('log.1'), whole.subarray(0, cut))
      const { zxidLast, tornTail, events } = await recoverOn(disk)
      expect(zxidLast).toBe(3)
      expect(tornTail).toMatchObject({ file: at('log.1'), offset: goodBytes })
      expect(events.map((event) => event.kind)).toEqual(['snapshotLoaded', 'tornTail'])
      expect(disk.get(at('log.1'))).toEqual(whole.subarray(0, goodBytes))
      // Zeros at the end are not worth keeping: they mean the same as nothing.
      const saved = disk.get(tornTail!.savedAs!)!
      expect(saved).toEqual(whole.subarray(goodBytes, goodBytes + tornTail!.bytes))
      expect(whole.subarray(goodBytes + tornTail!.bytes, cut).every((byte) => byte === 0)).toBe(true)
      expect((await recoverOn(disk)).tornTail).toBe(null)
    }
    expect(disk.names(VERSION_2)).toEqual(['log.1', 'snapshot.0', `torn-log.1.${goodBytes}`])
  })

  it('C1: an empty, zero-filled or half-headed last log is dropped', async () => {
    const headers = [new Uint8Array(0), new Uint8Array(3000), logFileOf([]), logFileOf([], 900)]
    for (let cut = 1; cut < 16; cut++) headers.push(logFileOf([]).subarray(0, cut))
    for (const bytes of headers) {
      const disk = await small()
      disk.put(at('log.5'), bytes)
      const { zxidLast, events } = await recoverOn(disk)
      expect(zxidLast).toBe(4)
      expect(events.at(-1)!.kind).toBe('emptyLogDropped')
      expect(disk.names(VERSION_2)).not.toContain('log.5')
    }
  })

  it('an empty or half-headed log is refused where later ones follow, as Java does', async () => {
    for (const bytes of [new Uint8Array(0), logFileOf([]).subarray(0, 9)]) {
      const disk = await small()
      disk.put(at('log.5'), bytes)
      disk.put(at('log.6'), logFileOf(txns(6, 1)))
      expect((await refusal(disk)).file).toBe(at('log.5'))
    }
  })

  it('D4, D5: damage in any record refuses with file, offset and the zxid before it, and changes nothing', async () => {
    const whole = logFileOf(txns(1, 4), 300)
    const starts = [1, 2, 3, 4].map((count) => logFileOf(txns(1, count - 1)).length)
    for (const [index, start] of starts.entries()) {
      for (const offset of [start + 5, start + 11, start + 14, start + 60]) {
        const disk = await small()
        disk.put(at('log.1'), flipped(whole, offset, 3))
        const err = await refusal(disk)
        expect(err.file).toBe(at('log.1'))
        expect(err.offset).toBe(start)
        expect(err.message).toMatch(index === 0 ? /before its first record/ : new RegExp(`behind zxid 0x${index}\\b`))
        expect(disk.get(at('log.1'))).toEqual(flipped(whole, offset, 3))
        expect(disk.names(VERSION_2)).toEqual(['log.1', 'snapshot.0'])
      }
    }
  })

  it('a torn end of an earlier log is passed where the next goes on without a hole, and refused where not', async () => {
    const disk = new MemDisk()
    await recoverOn(disk)
    disk.put(at('log.1'), logFileOf(txns(1, 4)).subarray(0, -20))
    disk.put(at('log.4'), logFileOf(txns(4, 2)))
    expect((await recoverOn(disk)).zxidLast).toBe(5)
    disk.unlink(at('log.4'), () => {})
    disk.put(at('log.5'), logFileOf(txns(5, 2)))
    const err = await refusal(disk)
    expect(err.message).toMatch(/missing between zxid 0x3 and 0x5/)
    expect(err).toMatchObject({ file: at('log.5'), offset: 16 })
  })

  it('D7: transactions missing behind the snapshot are refused; a new epoch begins anywhere', async () => {
    const disk = new MemDisk()
    await recoverOn(disk)
    disk.put(at('log.2'), logFileOf(txns(2, 2)))
    expect((await refusal(disk)).message).toMatch(/missing between zxid 0x0 and 0x2/)
    const other = new MemDisk()
    await recoverOn(other)
    other.put(at(`log.100000001`), logFileOf([createTxn(makeZxid(1, 1), '/a'), createTxn(makeZxid(3, 1), '/b')]))
    expect((await recoverOn(other)).zxidLast).toBe(makeZxid(3, 1))
  })

  it('D10: transactions that come again, in one log or in two, change nothing', async () => {
    const once = await small()
    const wanted = await recoverOn(once)
    const disk = await small()
    disk.put(at('log.2'), logFileOf(txns(2, 3)))
    disk.put(at('log.3'), logFileOf([...txns(3, 2), ...txns(3, 2)]))
    const { state, zxidLast, txnsReplayed, events } = await recoverOn(disk)
    expect(zxidLast).toBe(4)
    expect(txnsReplayed).toBe(4)
    expect(digestOf(state)).toBe(digestOf(wanted.state))
    expect(events.filter((event) => event.kind === 'logOverlap')).toHaveLength(2)
  })

  it('a record of unknown type or malformed body refuses with its zxid', async () => {
    const disk = await small()
    const odd = createTxn(5, '/x')
    odd[31] = 99
    disk.put(at('log.5'), logFileOf([odd]))
    const err = await refusal(disk)
    expect(err).toMatchObject({ file: at('log.5'), offset: 16 })
    expect(err.message).toMatch(/zxid 0x5/)
  })

  it('C4: what was replayed is synced before anyone relies on it', async () => {
    const disk = await small()
    disk.trace.length = 0
    await recoverOn(disk)
    expect(disk.trace).toContain('sync log.1')
    expect(disk.trace).toContain('sync snapshot.0')
    expect(disk.trace.at(-1)).toBe('syncDir version-2')
  })

  it('D2: what only the memory of the kernel has since a sync failed is stored by the next start', async () => {
    for (const torn of [0, 20]) {
      const disk = await small()
      const file = await later<DiskFile>((got) => disk.create(at('log.5'), got))
      const bytes = logFileOf(txns(5, 40))
      await laterDone((done) => disk.write(file, 0, [bytes.subarray(0, bytes.length - torn)], done))
      await laterDone((done) => disk.syncDir(VERSION_2, done))
      disk.fault = (step) => (step === 'sync' ? 'EIO' : null)
      await expect(laterDone((done) => disk.sync(file, done))).rejects.toThrow(/EIO/)
      const next = disk.afterKill()
      const { zxidLast } = await recoverOn(next)
      expect(zxidLast).toBe(torn === 0 ? 44 : 43)
      expect((await recoverOn(next.afterPowerLoss(NOTHING))).zxidLast).toBe(zxidLast)
    }
  })

  it('a log written while it is read is read up to the durable zxid', async () => {
    const disk = await small()
    disk.put(at('log.5'), logFileOf(txns(5, 4)).subarray(0, -30))
    const seen: number[] = []
    const cursor = new LogCursor(disk, VERSION_2, 2, 6)
    for (let piece = await cursor.next(1); piece.length > 0; piece = await cursor.next(1)) {
      for (const { zxid, bytes } of piece) {
        seen.push(zxid)
        expect(bytes).toEqual(createTxn(zxid, `/n${zxid}`))
      }
    }
    await cursor.close()
    expect(seen).toEqual([2, 3, 4, 5, 6])
    expect(disk.openFiles).toEqual([])
  })
})

describe('recovery: snapshots', () => {
  it.each(COMPRESSIONS)(
    'D6: no flipped bit of a snapshot (%s) goes unseen, unless it changes nothing',
    async (compression) => {
      const disk = await withSnapshots(compression)
      const newest = snapshotNames(disk.names(VERSION_2))[0]!
      const good = disk.get(at(newest.name))!.slice()
      const read = async (): Promise<string> => {
        const state = makeState()
        await readSnapshot(disk, VERSION_2, newest, loadInto(state), ENTRY_LENGTH_MAX)
        return digestOf(state)
      }
      const wanted = await read()
      const verified: number[] = []
      for (let offset = 0; offset < good.length; offset++) {
        disk.put(at(newest.name), flipped(good, offset, offset % 8))
        if (await verifies(disk, newest)) verified.push(offset)
      }
      // The seals cover everything uncompressed. Some compressed bytes have no meaning: parts of the gzip header, and
      // where a copy is taken from within a run of zeros.
      if (compression === '') expect(verified).toEqual([])
      for (const offset of verified) {
        disk.put(at(newest.name), flipped(good, offset, offset % 8))
        expect(await read()).toBe(wanted)
      }
      expect(disk.openFiles).toEqual([])
    },
  )

  it.each(COMPRESSIONS)(
    'C5: cut at any byte, a snapshot (%s) does not verify, except behind a whole seal',
    async (compression) => {
      const disk = await withSnapshots(compression)
      const newest = snapshotNames(disk.names(VERSION_2))[0]!
      const good = disk.get(at(newest.name))!.slice()
      const whole: number[] = []
      for (let cut = 0; cut < good.length; cut++) {
        disk.put(at(newest.name), good.subarray(0, cut))
        if (await verifies(disk, newest)) whole.push(cut - good.length)
      }
      expect(whole).toEqual(compression === '' ? [-54, -21] : [])
    },
  )

  it.each(COMPRESSIONS)(
    'D6, C5: a damaged or cut snapshot (%s) is passed over for the older one and the log',
    async (compression) => {
      const disk = await withSnapshots(compression)
      const wanted = await recoverOn(disk)
      const newest = snapshotNames(disk.names(VERSION_2))[0]!
      expect(newest.zxid).toBe(4)
      const good = disk.get(at(newest.name))!.slice()
      for (const bytes of [
        flipped(good, 40),
        flipped(good, good.length - 30),
        good.subarray(0, -3),
        good.subarray(0, 0),
      ]) {
        disk.put(at(newest.name), bytes)
        const { state, zxidLast, snapshotZxid, events } = await recoverOn(disk)
        expect([zxidLast, snapshotZxid]).toEqual([4, 2])
        expect(events[0]).toMatchObject({ kind: 'snapshotRejected', file: at(newest.name) })
        expect(digestOf(state)).toBe(digestOf(wanted.state))
      }
    },
  )

  it('D6: refused where a damaged snapshot was newer than the log reaches', async () => {
    const disk = await withSnapshots()
    disk.put(at('log.1'), logFileOf(txns(1, 3)))
    expect((await recoverOn(disk)).zxidLast).toBe(4)
    disk.put(at('snapshot.4'), flipped(disk.get(at('snapshot.4'))!, 300))
    expect((await refusal(disk)).message).toMatch(/a newer snapshot \(zxid 0x4\) is damaged, and the log ends at 0x3/)
    // One that was never finished says nothing.
    disk.put(at('snapshot.4'), disk.get(at('snapshot.4'))!.subarray(0, 100))
    expect((await recoverOn(disk)).zxidLast).toBe(3)
  })

  it('D6: refused where none verifies', async () => {
    const disk = await withSnapshots()
    for (const name of ['snapshot.0', 'snapshot.2', 'snapshot.4']) {
      disk.put(at(name), flipped(disk.get(at(name))!, 100))
    }
    expect((await refusal(disk)).message).toMatch(/No snapshot is usable/)
    expect((await refusal(disk, { trustEmpty: true })).message).toMatch(/No snapshot is usable/)
    disk.unlink(at('log.1'), () => {})
    expect((await refusal(disk)).message).toMatch(/No snapshot is usable/)
  })

  it('D7: a fuzzy snapshot that the log does not cover to its end is passed over, or refused where it is the last', async () => {
    const disk = await withSnapshots()
    const state = makeState()
    for (const txn of txns(1, 4)) state.apply(txn, 0, txn.length)
    const checkpoint = new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS).begin(state)
    checkpoint.step(1)
    const later = txns(5, 3)
    for (const txn of later) state.apply(txn, 0, txn.length)
    while (!checkpoint.step(100));
    await checkpoint.write()
    expect(await checkpoint.finish()).toMatchObject({ zxid: 4, zxidEnd: 7 })
    const passed = await recoverOn(disk)
    expect(passed).toMatchObject({ zxidLast: 4, snapshotZxid: 2 })
    expect(passed.events.map((event) => event.kind)).toContain('snapshotUncovered')
    for (const name of ['snapshot.0', 'snapshot.2']) disk.unlink(at(name), () => {})
    expect((await refusal(disk)).message).toMatch(/No snapshot is usable/)
    expect((await recoverOn(disk, { trustFuzzy: true })).zxidLast).toBe(4)
    disk.put(at('log.5'), logFileOf(later))
    const covered = await recoverOn(disk)
    expect(covered).toMatchObject({ zxidLast: 7, snapshotZxid: 4, mismatches: [] })
    expect(digestOf(covered.state)).toBe(digestOf(state))
  })

  it('a left-over snapshot.N.tmp of Java is no snapshot, nor is one of ours under way', async () => {
    const disk = await withSnapshots()
    disk.put(at('snapshot.9.tmp'), disk.get(at('snapshot.4'))!)
    disk.put(at('partial-snapshot.9'), disk.get(at('snapshot.4'))!)
    const { snapshotZxid, events } = await recoverOn(disk)
    expect(snapshotZxid).toBe(4)
    expect(events[0]!.kind).toBe('partialSnapshotRemoved')
    expect(disk.names(VERSION_2)).not.toContain('partial-snapshot.9')
  })

  it('reads every combination of trailing sections, whatever was configured', async () => {
    const state = makeState()
    for (const txn of txns(1, 2)) state.apply(txn, 0, txn.length)
    for (const digest of [true, false]) {
      for (const lastZxid of [true, false]) {
        const disk = new MemDisk()
        disk.mkdir(VERSION_2, () => {})
        await new FileSnapshotStore(disk, VERSION_2, { compression: '', digest, lastZxid }).takeSnapshot(state)
        const recovered = await recoverOn(disk)
        expect(recovered.zxidLast).toBe(2)
        expect(digestOf(recovered.state)).toBe(digestOf(state))
      }
    }
  })

  it('D8: a snapshot written in small slices under writes, replayed, gives the live tree and digest', async () => {
    const disk = new MemDisk()
    putFixture(disk, 'plain')
    const { state } = await recoverOn(disk)
    const before = state.zxidLast
    const checkpoint = new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS).begin(state)
    const written: Uint8Array[] = []
    while (!checkpoint.step(64)) {
      const zxid = before + written.length + 1
      const txn = createTxn(zxid, `/plain/two/during-${zxid}`, 'x')
      state.apply(txn, 0, txn.length)
      written.push(txn)
      await checkpoint.write()
    }
    await checkpoint.write()
    await checkpoint.finish()
    disk.put(at(`log.${(before + 1).toString(16)}`), logFileOf(written))
    const recovered = await recoverOn(disk)
    expect(recovered).toMatchObject({ snapshotZxid: before, txnsReplayed: written.length, mismatches: [] })
    expect(listTree(recovered.state.tree)).toEqual(listTree(state.tree))
    expect(listTree(recovered.state.tree).length).toBeGreaterThan(fixtureTree('plain').length)
    expect(digestOf(recovered.state)).toBe(digestOf(state))
  })

  for (const { what, before, during, after } of [
    {
      what: 'one that two znodes had goes with neither of them',
      before: [],
      during: ['a1 has X', 'a2 has X', 'a1 goes'],
      after: ['a2 has X'],
    },
    {
      what: 'none is taken for one that has the number of another',
      before: ['a0 has X', 'a0 goes'],
      during: ['a1 has Y', 'a2 has Z', 'a3 has Y'],
      after: ['a1 has Y', 'a2 has Z', 'a3 has Y'],
    },
  ]) {
    it(`D8 ZOOKEEPER-4689: of ACLs that came while the snapshot was written, ${what}`, async () => {
      const disk = new MemDisk()
      putFixture(disk, 'plain')
      const { state } = await recoverOn(disk)
      const first = state.zxidLast + 1
      const written: Uint8Array[] = []
      const happen = (text: string): void => {
        const [name, does, acl] = text.split(' ')
        const zxid = first + written.length
        const path = `/plain/${name}`
        const txn = does === 'goes' ? deleteTxn(zxid, path) : createTxn(zxid, path, '', 0, ['digest', acl!])
        state.apply(txn, 0, txn.length)
        written.push(txn)
      }
      before.forEach(happen)
      const checkpoint = new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS).begin(state)
      // The table of ACLs is written in the first step, the znodes below /plain are not.
      expect(checkpoint.step(1)).toBe(false)
      during.forEach(happen)
      while (!checkpoint.step(64));
      await checkpoint.write()
      await checkpoint.finish()
      disk.put(at(`log.${first.toString(16)}`), logFileOf(written))
      const recovered = await recoverOn(disk)
      expect(recovered).toMatchObject({ snapshotZxid: first - 1 + before.length, mismatches: [] })
      expect(listTree(recovered.state.tree)).toEqual(listTree(state.tree))
      const acls = listTree(recovered.state.tree).flatMap((line) => {
        const found = /^\/plain\/(a\d)\t.*\t31 digest (.);$/.exec(line)
        return found === null ? [] : [`${found[1]} has ${found[2]}`]
      })
      expect(acls.sort()).toEqual(after)
    })
  }

  it('D1: no room for a snapshot leaves the older ones, nothing half, and the next try works', async () => {
    const disk = await withSnapshots()
    const { state } = await recoverOn(disk)
    const store = new FileSnapshotStore(disk, VERSION_2, SNAPSHOT_DEFAULTS)
    const names = disk.names(VERSION_2)
    for (const step of ['create', 'write', 'sync', 'rename']) {
      disk.fault = (name, path) => (name === step && path.includes('partial') ? 'ENOSPC' : null)
      await expect(store.takeSnapshot(state)).rejects.toThrow(/ENOSPC/)
      expect(disk.names(VERSION_2)).toEqual(names)
      expect(store.busy).toBe(false)
    }
    disk.fault = () => null
    expect((await store.takeSnapshot(state)).zxid).toBe(4)
    expect(disk.openFiles).toEqual([])
  })
})

describe('recovery: folders', () => {
  it('an empty folder is a new database, and its first snapshot is there before anything is served', async () => {
    const disk = new MemDisk()
    const { zxidLast, snapshotZxid, events } = await recoverOn(disk)
    expect([zxidLast, snapshotZxid]).toEqual([0, 0])
    expect(events.map((event) => event.kind)).toEqual(['emptyDatabase'])
    expect(disk.names(VERSION_2)).toEqual(['snapshot.0'])
  })

  it('C1: a first start killed in its first snapshot starts again', async () => {
    const disk = new MemDisk()
    disk.put(at('snapshot.0'), new Uint8Array(20))
    disk.put(at('log.1'), new Uint8Array(0))
    await expect(recoverOn(disk)).rejects.toThrow(/No snapshot is usable/)
    disk.put(at('snapshot.0'), Uint8Array.of(0x5a, 0x4b))
    expect((await recoverOn(disk)).zxidLast).toBe(0)
    expect(disk.names(VERSION_2)).toEqual(['snapshot.0'])
  })

  it('without db.autocreate an empty folder is no state, unless the initialize marker is there, once', async () => {
    const disk = new MemDisk()
    expect((await recoverOn(disk, { dbAutocreate: false })).zxidLast).toBe(-1)
    expect(disk.names(VERSION_2)).toEqual([])
    disk.put(pathIn('initialize'), new Uint8Array(0))
    expect((await recoverOn(disk, { dbAutocreate: false })).zxidLast).toBe(0)
    expect(disk.names(pathIn())).toEqual([])
  })

  it('D7: logs without a snapshot are refused, unless the operator trusts them to be all', async () => {
    const disk = await small()
    disk.unlink(at('snapshot.0'), () => {})
    expect((await refusal(disk)).message).toMatch(/No snapshot found, but there are log entries/)
    const { zxidLast, snapshotZxid } = await recoverOn(disk, { trustEmpty: true })
    expect([zxidLast, snapshotZxid]).toEqual([4, -1])
  })

  it('D9: missing folders are made, durably, or refused where that is off', async () => {
    const err = await refusal(new MemDisk(), { dirAutocreate: false })
    expect(err.message).toMatch(/datadir.autocreate/)
    expect(err.file).toBe(VERSION_2)
  })

  it('D9: dataDir and dataLogDir mixed up are refused', async () => {
    const dirs = { dataDir: pathIn('data'), dataLogDir: pathIn('logs') }
    const disk = new MemDisk()
    expect((await recoverOn(disk, {}, dirs)).zxidLast).toBe(0)
    disk.put(pathIn('data', 'version-2', 'log.1'), logFileOf(txns(1, 1)))
    await expect(recoverOn(disk, {}, dirs)).rejects.toThrow(/dataDir holds transaction logs/)
    await expect(recoverOn(disk, {}, { dataDir: dirs.dataLogDir, dataLogDir: dirs.dataDir })).rejects.toThrow(
      /dataLogDir holds snapshots/,
    )
  })

  it('D2: an error of the disk refuses the start', async () => {
    for (const step of ['read', 'open', 'list', 'sync']) {
      const disk = await small()
      disk.fault = (name) => (name === step ? 'EIO' : null)
      expect((await refusal(disk)).message).toMatch(/EIO/)
      expect(disk.openFiles).toEqual([])
    }
  })

  it('snapshots and logs may lie in folders of their own', async () => {
    const dirs = { dataDir: pathIn('data'), dataLogDir: pathIn('logs') }
    const disk = new MemDisk()
    await recoverOn(disk, {}, dirs)
    disk.put(pathIn('logs', 'version-2', 'log.1'), logFileOf(txns(1, 3)))
    expect((await recoverOn(disk, {}, dirs)).zxidLast).toBe(3)
    expect(DIRS.dataDir).toBe(DIRS.dataLogDir)
  })
})
