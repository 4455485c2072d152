import { describe, expect, it } from 'vitest'
import { type Disk, type DiskFile, errorCode, later, laterDone } from '../../src/txnlog/disk.ts'
import { MemDisk, seeded } from './memdisk.ts'
import { Platter, SECTOR_BYTES } from './platter.ts'
import { EVERYTHING, first, NOTHING, some } from './survival.ts'

const A = '/d/a'
const B = '/d/b'

function filled(bytes: number, value: number): Uint8Array {
  return new Uint8Array(bytes).fill(value)
}

/** A folder with a durable file `a` of three sectors of ones. */
function platter(): Platter {
  const platter = new Platter()
  platter.put(A, filled(3 * SECTOR_BYTES, 1))
  return platter
}

function sectorsOf(bytes: Uint8Array | null): number[] {
  const values: number[] = []
  for (let at = 0; at < bytes!.length; at += SECTOR_BYTES) values.push(bytes![at]!)
  return values
}

async function code(run: Promise<unknown>): Promise<string> {
  return run.then(() => 'none', errorCode)
}

const create = (disk: Disk, path: string) => later<DiskFile>((got) => disk.create(path, got))
const open = (disk: Disk, path: string) => later<DiskFile>((got) => disk.open(path, 'r+', got))
const write = (disk: Disk, file: DiskFile, pos: number, bytes: Uint8Array) =>
  laterDone((done) => disk.write(file, pos, [bytes], done))
const sync = (disk: Disk, file: DiskFile) => laterDone((done) => disk.sync(file, done))

describe('what a disk keeps', () => {
  it('loses what was not synced, and keeps what was', () => {
    const disk = platter()
    const file = disk.find(A)
    disk.write(file, 0, filled(SECTOR_BYTES, 2))
    disk.sync(file)
    disk.write(file, SECTOR_BYTES, filled(4 * SECTOR_BYTES, 3))
    expect(sectorsOf(disk.get(A))).toEqual([2, 3, 3, 3, 3])
    disk.losePower(NOTHING)
    expect(sectorsOf(disk.get(A))).toEqual([2, 1, 1])
  })

  it('lets any sectors of a write survive without the others, and its size apart from them', () => {
    const random = seeded(3)
    const seen = new Set<string>()
    for (let i = 0; i < 400; i++) {
      const disk = platter()
      disk.write(disk.find(A), SECTOR_BYTES, filled(3 * SECTOR_BYTES, 3))
      disk.losePower(some(random))
      seen.add(sectorsOf(disk.get(A)).join(''))
    }
    // Two sectors old or new; behind them the old end, or a sector that is zero or new.
    const wanted = ['11', '13', '31', '33'].flatMap((two) => ['', '0', '3'].map((end) => `1${two}${end}`))
    expect([...seen].sort()).toEqual(wanted.sort())
  })

  it('keeps the order of changes where they reach the disk one after the other, with one sector torn', () => {
    const seen = []
    for (let count = 0; count < 6; count++) {
      const disk = platter()
      const file = disk.find(A)
      disk.write(file, 0, filled(2 * SECTOR_BYTES, 2))
      disk.write(file, SECTOR_BYTES, filled(2 * SECTOR_BYTES, 3))
      disk.losePower(first(count, () => 0.5))
      seen.push(Array.from({ length: 6 }, (_, half) => disk.get(A)![half * (SECTOR_BYTES / 2)]).join(''))
    }
    // Two values a sector.
    expect(seen).toEqual(['211111', '222111', '223211', '223331', '223333', '223333'])
  })

  it('stores a sector with all that other writes have left in it', () => {
    const disk = platter()
    const file = disk.find(A)
    disk.write(file, 0, filled(10, 2))
    disk.write(file, 10, filled(10, 3))
    let asked = 0
    disk.losePower({ keeps: () => true, keepsOf: (bytes) => (asked++ === 0 ? 0 : bytes) })
    expect([...disk.get(A)!.subarray(0, 21)]).toEqual([...filled(10, 2), ...filled(10, 3), 1])
  })

  it('keeps names apart from files: made, removed and renamed ones survive each for itself', () => {
    const disk = platter()
    const file = disk.create(B)
    disk.write(file, 0, filled(9, 7))
    disk.sync(file)
    const lost = disk.copy()
    lost.losePower(NOTHING)
    expect(lost.names('/d')).toEqual(['a'])
    disk.syncNames('/d')
    disk.rename(B, '/d/c')
    disk.unlink(A)
    const seen = new Set<string>()
    const random = seeded(5)
    for (let i = 0; i < 100; i++) {
      const copy = disk.copy()
      copy.losePower(some(random))
      seen.add(copy.names('/d').join(''))
    }
    expect([...seen].sort()).toEqual(['', 'a', 'ab', 'abc', 'ac', 'b', 'bc', 'c'])
    disk.losePower(EVERYTHING)
    expect(disk.names('/d')).toEqual(['c'])
    expect(disk.get('/d/c')).toEqual(filled(9, 7))
  })

  it('does not sync what was written after the sync was asked for', () => {
    const disk = platter()
    const file = disk.find(A)
    disk.write(file, 0, filled(1, 2))
    const upTo = disk.changesOf(file)
    disk.write(file, SECTOR_BYTES, filled(1, 3))
    disk.sync(file, upTo)
    disk.losePower(NOTHING)
    expect(sectorsOf(disk.get(A))).toEqual([2, 1, 1])
  })

  it('cuts for good only with a sync, and what is grown again is zero', () => {
    const disk = platter()
    const file = disk.find(A)
    disk.resize(file, SECTOR_BYTES)
    const lost = disk.copy()
    lost.losePower(NOTHING)
    expect(lost.get(A)!.length).toBe(3 * SECTOR_BYTES)
    disk.sync(file)
    disk.resize(file, 2 * SECTOR_BYTES)
    disk.losePower(EVERYTHING)
    expect(sectorsOf(disk.get(A))).toEqual([1, 0])
  })

  it('takes no room for zeros that were never written', () => {
    const disk = platter()
    const before = disk.usedBytes
    disk.resize(disk.find(A), 2 ** 40)
    expect(disk.usedBytes).toBe(before)
    expect(disk.size(disk.find(A))).toBe(2 ** 40)
    const into = filled(4, 9)
    expect(disk.read(disk.find(A), 2 ** 39, into, 0, 4)).toBe(4)
    expect(into).toEqual(new Uint8Array(4))
  })
})

describe('calls of a process', () => {
  it('after a failed sync a later one succeeds without the data: readers see it until the power is lost', async () => {
    const disk = new MemDisk(platter())
    const file = await open(disk, A)
    await write(disk, file, 0, filled(SECTOR_BYTES, 2))
    disk.fault = (step) => (step === 'sync' ? 'EIO' : null)
    expect(await code(sync(disk, file))).toBe('EIO')
    disk.fault = () => null
    expect(await code(sync(disk, file))).toBe('none')
    expect(sectorsOf(disk.get(A))).toEqual([2, 1, 1])
    expect(sectorsOf(disk.afterKill().get(A))).toEqual([2, 1, 1])
    expect(sectorsOf(disk.afterPowerLoss(EVERYTHING).get(A))).toEqual([1, 1, 1])
  })

  it('writes what there is room for, and says ENOSPC', async () => {
    const disk = new MemDisk(platter())
    disk.kept.capacityBytes = disk.kept.usedBytes + 100
    const file = await create(disk, B)
    expect(await code(write(disk, file, 0, filled(300, 2)))).toBe('ENOSPC')
    expect(disk.get(B)).toEqual(filled(100, 2))
    const old = await open(disk, A)
    expect(await code(write(disk, old, 0, filled(300, 2)))).toBe('none')
    disk.unlink(B, () => {})
    disk.kept.capacityBytes += 200
    expect(await code(write(disk, old, 3 * SECTOR_BYTES, filled(300, 2)))).toBe('none')
  })

  it('a call that hangs is answered when it is let go', async () => {
    const disk = new MemDisk(platter())
    const file = await open(disk, A)
    await write(disk, file, 0, filled(1, 2))
    disk.fault = (step) => (step === 'sync' ? 'hang' : null)
    let answered = false
    const synced = sync(disk, file).then(() => {
      answered = true
    })
    await write(disk, file, 1, filled(1, 3))
    expect(answered).toBe(false)
    expect(sectorsOf(disk.afterPowerLoss(NOTHING).get(A))).toEqual([1, 1, 1])
    disk.fault = () => null
    disk.letGo()
    await synced
    expect([...disk.afterPowerLoss(NOTHING).get(A)!.subarray(0, 2)]).toEqual([2, 1])
  })

  it('a process that has ended is answered no more, and of what was under way any part may have happened', async () => {
    for (const share of [null, 0, 0.4, 1]) {
      const disk = new MemDisk(platter())
      const file = await create(disk, B)
      disk.write(file, 0, [filled(10, 2)], () => {
        throw new Error('answered')
      })
      disk.end(() => share)
      await new Promise((resolve) => setImmediate(resolve))
      expect(disk.get(B)!.length).toBe(Math.floor((share ?? 0) * 10))
    }
  })

  it('a file made for synced writes keeps each of them, but not its name', async () => {
    const disk = new MemDisk(platter())
    const file = await later<DiskFile>((got) => disk.createSynced(B, got))
    await write(disk, file, 0, filled(5, 2))
    expect(disk.afterPowerLoss(NOTHING).names('/d')).toEqual(['a'])
    await laterDone((done) => disk.syncDir('/d', done))
    expect(disk.afterPowerLoss(NOTHING).get(B)).toEqual(filled(5, 2))
  })
})
