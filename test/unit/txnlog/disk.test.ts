import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type DiskFile,
  errorCode,
  errorPath,
  later,
  laterDone,
  nodeDisk,
  readSmallFile,
  writeSmallFile,
} from '../../../src/txnlog/disk.ts'
import { truncateHistory } from '../../../src/txnlog/logdir.ts'
import { RECOVER_DEFAULTS, recover } from '../../../src/txnlog/recover.ts'
import { TXN_LOG_DEFAULTS, TxnLog } from '../../../src/txnlog/txnlog.ts'
import { createTxn, makeState } from './states.ts'

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'disk-'))
})

afterAll(() => {
  rmSync(folder, { recursive: true })
})

const disk = nodeDisk()
const mode = (path: string): number => statSync(path).mode & 0o777

async function code(run: Promise<unknown>): Promise<string> {
  return run.then(
    () => 'none',
    (err) => errorCode(err),
  )
}

describe('disk of this machine', () => {
  it('writes many parts in order, reads them back, grows and cuts', async () => {
    const path = join(folder, 'parts')
    const file = await later<DiskFile>((got) => disk.create(path, got))
    const parts = Array.from({ length: 300 }, (_, i) => new Uint8Array(1 + (i % 50)).fill(i))
    await laterDone((done) => disk.write(file, 5, parts, done))
    await laterDone((done) => disk.sync(file, done))
    const wanted = Buffer.concat([Buffer.alloc(5), ...parts])
    expect(readFileSync(path)).toEqual(wanted)
    await laterDone((done) => disk.truncate(file, 100_000, done))
    expect(await later<number>((got) => disk.size(file, got))).toBe(100_000)
    const into = new Uint8Array(200_000)
    expect(await later<number>((got) => disk.read(file, 5, into, 7, 150_000, got))).toBe(99_995)
    expect(Buffer.from(into.subarray(7, 7 + wanted.length - 5))).toEqual(wanted.subarray(5))
    await laterDone((done) => disk.truncate(file, 3, done))
    await laterDone((done) => disk.close(file, done))
    expect(readFileSync(path)).toEqual(Buffer.alloc(3))
  })

  it('names errors as the system does, and never creates over a file', async () => {
    const path = join(folder, 'here')
    await writeSmallFile(disk, path, `${path}.tmp`, Uint8Array.of(1))
    await writeSmallFile(disk, path, `${path}.tmp`, Uint8Array.of(2))
    expect(await readSmallFile(disk, path)).toEqual(Uint8Array.of(2))
    expect(await readSmallFile(disk, join(folder, 'none'))).toBe(null)
    expect(await code(later<DiskFile>((got) => disk.create(path, got)))).toBe('EEXIST')
    expect(await code(later<DiskFile>((got) => disk.open(join(folder, 'none'), 'r', got)))).toBe('ENOENT')
    expect(await code(later<string[]>((got) => disk.list(join(folder, 'none'), got)))).toBe('ENOENT')
    expect(await later<boolean>((got) => disk.isDir(folder, got))).toBe(true)
    expect(await later<boolean>((got) => disk.isDir(path, got))).toBe(false)
  })

  it('I11: an error says which file it is about, also of calls that are given none', async () => {
    const path = join(folder, 'read only')
    await writeSmallFile(disk, path, `${path}.tmp`, Uint8Array.of(1))
    const file = await later<DiskFile>((got) => disk.open(path, 'r', got))
    const about = (run: Promise<unknown>): Promise<string | null> => run.then(() => 'no error', errorPath)
    expect(await about(laterDone((done) => disk.write(file, 0, [Uint8Array.of(2)], done)))).toBe(path)
    expect(await about(laterDone((done) => disk.truncate(file, 0, done)))).toBe(path)
    await laterDone((done) => disk.close(file, done))
    expect(await about(later<DiskFile>((got) => disk.open(join(folder, 'none'), 'r', got)))).toBe(join(folder, 'none'))
  })

  it('a whole life on it: first start, log, cut, next start; folders are 0700 and files 0600', async () => {
    const dirs = { dataDir: join(folder, 'deep', 'data'), dataLogDir: join(folder, 'logs') }
    const snapDir = join(dirs.dataDir, 'version-2')
    const logDir = join(dirs.dataLogDir, 'version-2')
    const start = () =>
      recover(
        disk,
        dirs,
        () => makeState(),
        RECOVER_DEFAULTS,
        () => {},
      )
    const { zxidLast } = await start()
    const sink = {
      onDurable() {},
      onFailed: (err: Error) => {
        throw err
      },
      onSynced() {},
    }
    const log = new TxnLog(disk, logDir, TXN_LOG_DEFAULTS, sink, zxidLast)
    const append = (zxid: number): void => {
      const txn = createTxn(zxid, `/n${zxid}`)
      log.append(zxid, txn, 0, txn.length)
    }
    for (let zxid = 1; zxid <= 9; zxid++) append(zxid)
    await new Promise((resolve) => log.drain(resolve))
    expect(statSync(join(logDir, 'log.1')).size).toBe(16 + 64 * 1024 * 1024)
    for (const path of [snapDir, logDir, join(folder, 'deep')]) expect(mode(path)).toBe(0o700)
    for (const path of [join(logDir, 'log.1'), join(snapDir, 'snapshot.0')]) expect(mode(path)).toBe(0o600)

    // As a learner told to forget everything behind 6, which then goes on.
    await laterDone((done) => log.leaveFile(done))
    expect(await truncateHistory(disk, logDir, snapDir, 6)).toBe('ok')
    log.restart(6)
    append(7)
    await new Promise((resolve) => log.close(resolve))
    const { zxidLast: after, state } = await start()
    expect(after).toBe(7)
    expect(state.tree.nodeCount).toBe(4 + 7)
  })
})
