import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../src/jute/errors.ts'
import type { Disk } from '../../../src/txnlog/disk.ts'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../../src/txnlog/filestore.ts'
import {
  asideName,
  historyOf,
  isDamage,
  keptFolder,
  type Mark,
  moveAside,
  putBack,
  readMark,
  removeMark,
  writeMark,
} from '../../../src/txnlog/repair.ts'
import { MemDisk, pathIn } from '../../disk/memdisk.ts'
import { logFileOf } from './entries.ts'
import { createTxn, DIRS, makeState, recoverOn, VERSION_2 } from './states.ts'

const NOW_MS = Date.UTC(2026, 10, 25, 14, 3, 9, 500)
const FOLDERS = { snapDir: VERSION_2, logDir: VERSION_2 }
const SPLIT = { snapDir: VERSION_2, logDir: pathIn('log', 'version-2') }

/** A member's folder whose log is damaged in the middle: nobody starts from it. */
async function damaged(folders = FOLDERS): Promise<MemDisk> {
  const disk = new MemDisk()
  for (const dir of [folders.snapDir, folders.logDir]) await new Promise((resolve) => disk.mkdir(dir, resolve))
  await new FileSnapshotStore(disk, folders.snapDir, SNAPSHOT_DEFAULTS).takeSnapshot(makeState())
  const log = logFileOf([1, 2, 3].map((zxid) => createTxn(zxid, `/n${zxid}`)))
  log[150]! ^= 1
  disk.put(join(folders.logDir, 'log.1'), log)
  disk.put(join(folders.logDir, 'torn-log.1.40'), new Uint8Array(3))
  for (const name of ['acceptedEpoch', 'currentEpoch', 'identity', 'zoowarden.lock.1.a']) {
    disk.put(join(folders.snapDir, name), new TextEncoder().encode('4'))
  }
  return disk
}

function dirsOf(folders: typeof FOLDERS) {
  return { dataDir: join(folders.snapDir, '..'), dataLogDir: join(folders.logDir, '..') }
}

async function setAside(disk: Disk, folders: typeof FOLDERS): Promise<Mark> {
  const mark = { aside: await asideName(disk, folders, NOW_MS), keep: null }
  await writeMark(disk, folders.snapDir, mark)
  await moveAside(disk, folders, mark)
  return mark
}

async function outcome(disk: Disk, resync: boolean, folders = FOLDERS): Promise<number | string> {
  try {
    return (await recoverOn(disk, { resync }, dirsOf(folders))).zxidLast
  } catch (err) {
    if (!(err instanceof StorageError)) throw err
    return err.message
  }
}

describe('a history set aside', () => {
  it('D4: is moved by the file, in both folders; epochs, identity and locks stay where they are', async () => {
    for (const folders of [FOLDERS, SPLIT]) {
      const disk = await damaged(folders)
      const before = new Map((await historyOf(disk, folders)).map((path) => [path, disk.get(path)]))
      expect([...before.keys()].map((path) => path.slice(path.lastIndexOf('/') + 1)).sort()).toEqual([
        'log.1',
        'snapshot.0',
        'torn-log.1.40',
      ])
      const { aside } = await setAside(disk, folders)
      expect(aside).toBe('damaged.20261125T140309Z')
      for (const [path, bytes] of before) {
        expect(disk.get(path)).toBeNull()
        const at = path.lastIndexOf('/')
        expect(disk.get(join(path.slice(0, at), aside, path.slice(at)))).toEqual(bytes)
      }
      for (const name of ['acceptedEpoch', 'currentEpoch', 'identity', 'zoowarden.lock.1.a', 'resync']) {
        expect(disk.get(join(folders.snapDir, name)), name).not.toBeNull()
      }
    }
  })

  it('D4 E13: leaves a member without a vote, whatever an empty folder means elsewhere, and nobody else', async () => {
    const disk = await damaged()
    disk.put(join(DIRS.dataLogDir, 'initialize'), new Uint8Array(0))
    await setAside(disk, FOLDERS)
    expect(await outcome(disk, true)).toBe(-1)
    expect(await outcome(disk, true)).toBe(-1)
    expect(await outcome(disk, false)).toContain('start it as a member')
    await removeMark(disk, VERSION_2)
    expect(await outcome(disk, true)).toBe(0)
  })

  it('D4: at any loss of power, the folder refuses to start or has no vote, and no file is lost', async () => {
    for (const folders of [FOLDERS, SPLIT]) {
      for (let steps = 0, done = false; !done; steps++) {
        for (const luck of [0, 0.999]) {
          const disk = await damaged(folders)
          const bytes = await Promise.all((await historyOf(disk, folders)).map((path) => disk.get(path)))
          disk.crashAfter(steps)
          await Promise.race([setAside(disk, folders), disk.whenCrashed])
          done = !disk.ended
          const after = disk.afterPowerLoss(() => luck)
          const marked = (await readMark(after, folders.snapDir)) !== null
          const found = await outcome(after, true, folders)
          if (marked) expect(found).toBe(-1)
          else expect(found).toContain('damaged')
          const aside = folders === FOLDERS ? [VERSION_2] : [VERSION_2, SPLIT.logDir]
          const names = aside.flatMap((dir) => [
            ...after.names(dir).map((name) => join(dir, name)),
            ...after
              .names(join(dir, 'damaged.20261125T140309Z'))
              .map((name) => join(dir, 'damaged.20261125T140309Z', name)),
          ])
          const left = names.map((path) => after.get(path))
          for (const each of bytes) expect(left).toContainEqual(each)
        }
      }
    }
  })

  it('never takes the place of what was set aside before', async () => {
    const disk = await damaged()
    const mark = await setAside(disk, FOLDERS)
    // A leader's snapshot that was not whole when the server died.
    disk.put(join(VERSION_2, 'snapshot.0'), new Uint8Array([1]))
    await moveAside(disk, FOLDERS, mark)
    expect(disk.get(join(VERSION_2, mark.aside, 'snapshot.0.2'))).toEqual(new Uint8Array([1]))
    expect(disk.get(join(VERSION_2, mark.aside, 'snapshot.0'))!.length).toBeGreaterThan(1)
    expect(await asideName(disk, FOLDERS, NOW_MS)).toBe(`${mark.aside}.2`)
  })

  it('that ends in a snapshot of its own lets nobody start before that has its place', async () => {
    const disk = await damaged()
    const aside = await asideName(disk, FOLDERS, NOW_MS)
    const folder = keptFolder(FOLDERS, aside)
    await new Promise((resolve) => disk.mkdir(folder, resolve))
    const state = makeState()
    const first = createTxn(1, '/n1')
    state.apply(first, 0, first.length)
    await new FileSnapshotStore(disk, folder, SNAPSHOT_DEFAULTS).takeSnapshot(state)
    const mark = { aside, keep: 'snapshot.1' }
    await writeMark(disk, VERSION_2, mark)
    await moveAside(disk, FOLDERS, mark)
    for (const resync of [false, true]) expect(await outcome(disk, resync)).toContain('run zoowarden repair again')
    await putBack(disk, FOLDERS, mark)
    expect(await outcome(disk, false)).toBe(1)
  })

  it('refuses a mark that does not say where to', async () => {
    const disk = await damaged()
    for (const text of ['', 'aside=../elsewhere', 'keep=snapshot.1']) {
      disk.put(join(VERSION_2, 'resync'), new TextEncoder().encode(text))
      expect(await outcome(disk, true)).toContain('does not say where the old history went')
    }
  })
})

describe('damage', () => {
  it('is what the files say, and not what the system refuses', async () => {
    const disk = await damaged()
    const fault = await recoverOn(disk).catch((err: unknown) => err)
    expect(isDamage(fault)).toBe(true)
    disk.fault = (step) => (step === 'read' ? Object.assign(new Error('EIO'), { code: 'EIO' }) : null)
    expect(isDamage(await recoverOn(disk).catch((err: unknown) => err))).toBe(false)
    expect(isDamage(new Error('else'))).toBe(false)
    expect(isDamage(new StorageError('cut', null, null, Object.assign(new Error(), { code: 'Z_DATA_ERROR' })))).toBe(
      true,
    )
  })
})
