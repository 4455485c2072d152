import { describe, expect, it } from 'vitest'
import type { StorageError } from '../../../src/jute/errors.ts'
import { makeZxid } from '../../../src/jute/zxid.ts'
import { TXN_LOG_DEFAULTS, TxnLog, type TxnLogOptions } from '../../../src/txnlog/txnlog.ts'
import { MemDisk, pathIn } from '../../disk/memdisk.ts'
import { entry, logFileOf, zxids } from './entries.ts'

const DIR = pathIn('version-2')

interface Rig {
  disk: MemDisk
  log: TxnLog
  durable: number[]
  failures: StorageError[]
  synced: number[]
  /** Resolves when `zxid` is durable. */
  until(zxid: number): Promise<void>
}

function rig(options: Partial<TxnLogOptions> = {}, zxidLast = -1): Rig {
  const disk = new MemDisk()
  disk.mkdir(DIR, () => {})
  const durable: number[] = []
  const failures: StorageError[] = []
  const synced: number[] = []
  const sink = {
    onDurable: (zxid: number) => durable.push(zxid),
    onFailed: (err: StorageError) => failures.push(err),
    onSynced: (_ms: number, bytes: number) => synced.push(bytes),
  }
  const log = new TxnLog(disk, DIR, { ...TXN_LOG_DEFAULTS, preAllocBytes: 8192, ...options }, sink, zxidLast)
  const until = (zxid: number): Promise<void> => new Promise((resolve) => log.whenDurable(zxid, () => resolve()))
  return { disk, log, durable, failures, synced, until }
}

function append(log: TxnLog, ids: readonly number[], bodyBytes?: number): void {
  for (const zxid of ids) {
    const bytes = entry(zxid, bodyBytes)
    log.append(zxid, bytes, 0, bytes.length)
  }
}

function used(bytes: Uint8Array | null): Uint8Array {
  let end = bytes!.length
  while (end > 0 && bytes![end - 1] === 0) end--
  return bytes!.subarray(0, end)
}

describe('transaction log', () => {
  it('writes the file Java would: header, records, zeros up to the preallocated size', async () => {
    const { disk, log, until } = rig({ preAllocBytes: 64 * 1024 })
    append(log, zxids(1, 3))
    log.flush()
    await until(3)
    expect(disk.names(DIR)).toEqual(['log.1'])
    const bytes = disk.get(pathIn('version-2', 'log.1'))!
    expect(bytes.length).toBe(16 + 64 * 1024)
    expect(used(bytes)).toEqual(logFileOf(zxids(1, 3).map((zxid) => entry(zxid))))
  })

  it('has one write in flight; what arrives meanwhile is the next group, which starts by itself', async () => {
    const { disk, log, durable, synced, until } = rig()
    append(log, [1])
    log.flush()
    append(log, [2, 3, 4])
    log.flush()
    append(log, [5])
    await until(5)
    expect(durable).toEqual([1, 5])
    expect(synced).toEqual([16 + 49, 4 * 49])
    expect(disk.trace.filter((step) => step.startsWith('sync log'))).toHaveLength(2)
  })

  it('C2: syncs the folder before the first acknowledgement from a new file, and not again', async () => {
    const { disk, log, durable, until } = rig()
    append(log, [1])
    log.flush()
    await until(1)
    expect(disk.trace.slice(1)).toEqual([
      'create log.1',
      'truncate log.1',
      'write log.1',
      'sync log.1',
      'syncDir version-2',
    ])
    expect(durable).toEqual([1])
    disk.trace.length = 0
    append(log, [2])
    log.flush()
    await until(2)
    expect(disk.trace).toEqual(['write log.1', 'sync log.1'])
  })

  it('rolls between two appends of one turn, and begins a file only behind a durable one', async () => {
    const { disk, log, until } = rig()
    append(log, [1, 2])
    log.roll()
    append(log, [3])
    expect(log.bytesWritten).toBe(49)
    log.flush()
    await until(3)
    expect(disk.names(DIR)).toEqual(['log.1', 'log.3'])
    expect(disk.get(pathIn('version-2', 'log.1'))).toEqual(logFileOf([entry(1), entry(2)]))
    expect(disk.trace.indexOf('create log.3')).toBeGreaterThan(disk.trace.indexOf('syncDir version-2'))
  })

  it('leaves a file that a group made longer than the size limit', async () => {
    const { disk, log, until } = rig({ sizeLimitBytes: 150 })
    for (const zxid of zxids(1, 6)) {
      append(log, [zxid])
      log.flush()
      await until(zxid)
    }
    expect(disk.names(DIR)).toEqual(['log.1', 'log.4'])
    expect(log.bytesWritten).toBe(6 * 49)
  })

  it('grows the file before a group would come within 4 KiB of its end, however large the group', async () => {
    const { disk, log, until } = rig()
    for (const [zxid, bytes] of [4000, 200, 30_000, 100].entries()) {
      append(log, [zxid + 1], bytes)
      log.flush()
      await until(zxid + 1)
    }
    const bytes = disk.get(pathIn('version-2', 'log.1'))!
    expect(used(bytes)).toEqual(logFileOf([entry(1, 4000), entry(2, 200), entry(3, 30_000), entry(4, 100)]))
    expect(bytes.length).toBeGreaterThan(used(bytes).length)
    expect(bytes.length % 8192).toBe(0)
  })

  it('a file may span epochs; a hole inside an epoch or a zxid again is a bug of ours', () => {
    const { log } = rig({}, makeZxid(1, 7))
    append(log, [makeZxid(1, 8), makeZxid(3, 1)])
    expect(() => append(log, [makeZxid(3, 3)])).toThrow(/hole/)
    expect(() => append(log, [makeZxid(3, 1)])).toThrow(/behind/)
  })

  it.each(['create', 'truncate', 'write', 'sync', 'syncDir'])(
    'D2: an error of %s ends the log for good and is never tried again',
    async (step) => {
      const { disk, log, durable, failures } = rig()
      let calls = 0
      disk.fault = (name) => (name === step && ++calls > 0 ? 'EIO' : null)
      append(log, [1])
      log.flush()
      append(log, [2])
      const err = await new Promise((resolve) => log.drain(resolve))
      append(log, [3])
      log.flush()
      await new Promise((resolve) => log.close(resolve))
      expect(failures).toEqual([err])
      expect(failures[0]!.file).toMatch(/log\.1$/)
      expect(failures[0]!.message).toMatch(/EIO/)
      // The file is cut behind what is durable, which is another call.
      expect(calls).toBe(step === 'truncate' ? 2 : 1)
      expect(durable).toEqual([])
      expect(log.failed).toBe(true)
      expect(disk.openFiles).toEqual([])
    },
  )

  it.each(['write', 'sync'])('D2: behind a failed %s the file ends with what is durable', async (step) => {
    const { disk, log, until, failures } = rig()
    append(log, [1])
    log.flush()
    await until(1)
    disk.fault = (name) => (name === step ? 'ENOSPC' : null)
    append(log, [2])
    log.flush()
    const waited = new Promise((resolve) => log.whenDurable(2, resolve))
    await new Promise((resolve) => log.close(resolve))
    expect(disk.get(pathIn('version-2', 'log.1'))).toEqual(logFileOf([entry(1)]))
    expect(await waited).toBe(failures[0])
    expect(await new Promise((resolve) => log.whenDurable(3, resolve))).toBe(failures[0])
  })

  it('never overwrites a file that is there', async () => {
    const { disk, log, failures } = rig()
    disk.put(pathIn('version-2', 'log.1'), logFileOf([entry(1)]))
    append(log, [1])
    await new Promise((resolve) => log.drain(resolve))
    expect(failures[0]!.message).toMatch(/EEXIST/)
  })

  it('close makes all durable, cuts the padding and closes', async () => {
    const { disk, log, durable } = rig()
    append(log, zxids(1, 2))
    log.flush()
    append(log, [3])
    expect(await new Promise((resolve) => log.close(resolve))).toBe(null)
    expect(durable).toEqual([2, 3])
    expect(disk.openFiles).toEqual([])
    expect(disk.get(pathIn('version-2', 'log.1'))).toEqual(logFileOf(zxids(1, 3).map((zxid) => entry(zxid))))
  })

  it('reports a slow sync with the file', async () => {
    const { disk, log, until } = rig({ fsyncWarnMs: -1 })
    const slow: string[] = []
    Object.assign(log, {
      sink: { onDurable() {}, onFailed() {}, onSynced() {}, onSlowSync: (_: number, f: string) => slow.push(f) },
    })
    append(log, [1])
    log.flush()
    await until(1)
    expect(slow).toEqual([pathIn('version-2', 'log.1')])
    expect(disk.names(DIR)).toEqual(['log.1'])
  })

  it('without forceSync it never syncs a file', async () => {
    const { disk, log, until } = rig({ forceSync: false })
    append(log, [1])
    log.flush()
    await until(1)
    expect(disk.trace).not.toContain('sync log.1')
  })

  it('keeps entries in order through bursts that outgrow the buffer', async () => {
    const { disk, log, until } = rig()
    let next = 1
    for (const count of [1, 500, 3, 700]) {
      append(log, zxids(next, count), 200)
      next += count
      log.flush()
    }
    await until(next - 1)
    expect(used(disk.get(pathIn('version-2', 'log.1')))).toEqual(
      logFileOf(zxids(1, next - 1).map((zxid) => entry(zxid, 200))),
    )
    expect(log.bytesPending).toBe(0)
  })
})
