/**
 * The folder of logs: which files there are, reading entries from a zxid on, cutting history behind a zxid.
 *
 * Java: FileTxnLog.FileTxnIterator (read) and FileTxnLog.truncate. Unlike there, damage is told from a torn end (see
 * logfile.ts), and a truncation goes by zxid strictly and takes newer snapshots with it: Java keeps them, and then
 * reloads history that the ensemble never committed.
 */

import { join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import { JUTE_MAX_BUFFER } from '../jute/input.ts'
import { counterOf, type Zxid, zxidHex } from '../jute/zxid.ts'
import { type Disk, type DiskFile, later, laterDone, removeIfThere } from './disk.ts'
import { LOG_HEADER_BYTES, LogScanner, type LogTail, type OnLogEntry, RECORD_OVERHEAD_BYTES } from './logfile.ts'
import { firstLogFor, type LogName, logNames, snapshotNames, zxidOfName } from './names.ts'
import { type CheckpointHistory, NO_CHECKPOINT } from './snapshotstore.ts'

/** The longest entry believed when nothing else is configured: jute.maxbuffer plus its equal extra size. */
export const ENTRY_LENGTH_MAX = 2 * JUTE_MAX_BUFFER

/** Read at once. A server that reads while it serves yields between two of these. */
/** Some milliseconds of applying at most, between which a server answers others. */
const CHUNK_BYTES = 256 * 1024

export async function listLogs(disk: Disk, logDir: string): Promise<LogName[]> {
  return logNames(await later<string[]>((got) => disk.list(logDir, got)))
}

/**
 * Feeds one file's records to `onEntry`. The verdict on its end; null where the consumer stopped.
 * Damage is an answer here, not an exception: the caller knows what else is in the folder. `onRead` is told now and
 * then how many bytes are behind.
 */
export async function scanLog(
  disk: Disk,
  path: string,
  lengthMax: number,
  onEntry: OnLogEntry,
  onRead?: (bytes: number) => void,
): Promise<{ tail: LogTail | null; fileBytes: number; offset: number }> {
  const file = await later<DiskFile>((got) => disk.open(path, 'r', got))
  try {
    const fileBytes = await later<number>((got) => disk.size(file, got))
    const scanner = new LogScanner(lengthMax, onEntry)
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(fileBytes, 1)))
    for (let pos = 0; pos < fileBytes; ) {
      const count = await later<number>((got) => disk.read(file, pos, chunk, 0, chunk.length, got))
      if (count === 0) break
      pos += count
      if (!scanner.push(chunk, 0, count)) return { tail: null, fileBytes, offset: scanner.offset }
      onRead?.(pos)
    }
    return { tail: scanner.finish(), fileBytes, offset: scanner.offset }
  } finally {
    await laterDone((done) => disk.close(file, done))
  }
}

/** What an operator has to know of a damaged log. */
export function damageError(path: string, tail: LogTail): StorageError {
  const where = tail.zxidLast < 0 ? 'before its first record' : `behind zxid 0x${zxidHex(tail.zxidLast)}`
  return new StorageError(`transaction log damaged ${where}: ${tail.reason}`, path, tail.offset)
}

/** An entry read back: its bytes are owned. */
export interface LogEntry {
  zxid: Zxid
  bytes: Uint8Array
}

/**
 * Reads entries from `zxidFrom` (inclusive) to `zxidEnd` (inclusive), in pieces, while the log is being written: up to
 * a durable `zxidEnd` every file is whole. Ends early where the files end early; a first entry above `zxidFrom` means
 * that older ones are gone. Throws StorageError on damage.
 */
export class LogCursor {
  private readonly disk: Disk
  private readonly logDir: string
  private readonly zxidEnd: Zxid
  private readonly lengthMax: number
  private zxidNext: Zxid
  private logs: LogName[] | null
  private index: number
  private file: DiskFile | null
  private scanner: LogScanner | null
  private pos: number
  private readonly chunk: Uint8Array
  private gathered: LogEntry[]
  private gatheredBytes: number

  constructor(disk: Disk, logDir: string, zxidFrom: Zxid, zxidEnd: Zxid, lengthMax = ENTRY_LENGTH_MAX) {
    this.disk = disk
    this.logDir = logDir
    this.zxidEnd = zxidEnd
    this.lengthMax = lengthMax
    this.zxidNext = zxidFrom
    this.logs = null
    this.index = 0
    this.file = null
    this.scanner = null
    this.pos = 0
    this.chunk = new Uint8Array(64 * 1024)
    this.gathered = []
    this.gatheredBytes = 0
  }

  /** The next entries, at least `bytesMin` bytes of them unless the end is near; none at the end. */
  async next(bytesMin: number): Promise<LogEntry[]> {
    if (this.logs === null) {
      this.logs = await listLogs(this.disk, this.logDir)
      this.index = firstLogFor(this.logs, this.zxidNext)
    }
    while (this.gatheredBytes < bytesMin && this.zxidNext <= this.zxidEnd) {
      if (!(await this.step(this.logs))) break
    }
    const entries = this.gathered
    this.gathered = []
    this.gatheredBytes = 0
    return entries
  }

  async close(): Promise<void> {
    const file = this.file
    this.file = null
    this.zxidNext = Number.POSITIVE_INFINITY
    if (file !== null) await laterDone((done) => this.disk.close(file, done))
  }

  /** One read; false at the end of the last file. */
  private async step(logs: readonly LogName[]): Promise<boolean> {
    const log = logs[this.index]
    if (log === undefined) return false
    const path = join(this.logDir, log.name)
    if (this.file === null) {
      this.file = await later<DiskFile>((got) => this.disk.open(path, 'r', got))
      this.scanner = new LogScanner(this.lengthMax, (zxid, buf, off, end) => this.take(zxid, buf, off, end))
      this.pos = 0
    }
    const file = this.file
    const scanner = this.scanner!
    const count = await later<number>((got) => this.disk.read(file, this.pos, this.chunk, 0, this.chunk.length, got))
    this.pos += count
    if (count > 0 && !scanner.push(this.chunk, 0, count)) return false
    // At a file's padding there is nothing more to read in it, unless the rest shows that it was no padding.
    if (count > 0) return true
    const tail = scanner.finish()
    if (tail.kind === 'damage') throw damageError(path, tail)
    await laterDone((done) => this.disk.close(file, done))
    this.file = null
    this.index++
    return true
  }

  private take(zxid: Zxid, buf: Uint8Array, off: number, end: number): boolean {
    if (zxid > this.zxidEnd) return false
    if (zxid >= this.zxidNext) {
      this.gathered.push({ zxid, bytes: buf.slice(off, end) })
      this.gatheredBytes += end - off
      this.zxidNext = zxid + 1
    }
    return zxid < this.zxidEnd
  }
}

/**
 * Cuts the history behind `zxid`: newer snapshots (and a newer checkpoint), later logs and later records go, in an order that leaves a valid
 * shorter history at every step. 'uncovered', and nothing changed, where `zxid` is not in the history that would be
 * left: then only a snapshot from the leader helps. No log may be open for writing meanwhile; the caller reloads
 * memory afterwards.
 *
 * A zxid with counter 0 names the place where an epoch begins; no record has to bear it.
 */
export async function truncateHistory(
  disk: Disk,
  logDir: string,
  snapDir: string,
  zxid: Zxid,
  lengthMax = ENTRY_LENGTH_MAX,
  checkpoint: CheckpointHistory = NO_CHECKPOINT,
): Promise<'ok' | 'uncovered'> {
  const snapFiles = await later<string[]>((got) => disk.list(snapDir, got))
  const kept = snapshotNames(snapFiles).filter((snapshot) => snapshot.zxid <= zxid)
  const zxidBase = Math.max(kept[0]?.zxid ?? -1, await checkpoint.zxidUpTo(zxid))
  if (zxidBase < 0) return 'uncovered'
  const logs = await listLogs(disk, logDir)
  const keptLogs = logs.filter((log) => log.zxid <= zxid)
  const last = keptLogs.at(-1)
  const cut = last === undefined ? null : await findCut(disk, join(logDir, last.name), zxid, lengthMax)
  if (cut?.zxidLast !== zxid && zxidBase !== zxid && counterOf(zxid) !== 0) return 'uncovered'

  await checkpoint.dropNewerThan(zxid)
  // Also names that only Java would take for a snapshot.
  const newer = snapFiles.filter((name) => zxidOfName(name, 'snapshot') > zxid)
  for (const name of newer) await removeIfThere(disk, join(snapDir, name))
  if (newer.length > 0) await laterDone((done) => disk.syncDir(snapDir, done))
  const behind = logs.filter((log) => log.zxid > zxid).reverse()
  for (const log of behind) {
    await removeIfThere(disk, join(logDir, log.name))
    await laterDone((done) => disk.syncDir(logDir, done))
  }
  if (last !== undefined && cut !== null) await cutFile(disk, join(logDir, last.name), cut.offset)
  return 'ok'
}

/**
 * Removes what is older than the snapshot at `zxid`, where that came from a leader and nothing newer is here: between
 * it and what is in older files there may be transactions that we never had. Neither learners nor a recovery from an
 * older snapshot may ever read across such a hole, and by zxids alone nobody would see it where an epoch begins there.
 */
export async function forgetHistory(disk: Disk, logDir: string, snapDir: string, zxid: Zxid): Promise<void> {
  const snapFiles = await later<string[]>((got) => disk.list(snapDir, got))
  const older = snapshotNames(snapFiles).filter((snapshot) => snapshot.zxid < zxid)
  for (const { name } of older) await removeIfThere(disk, join(snapDir, name))
  if (older.length > 0) await laterDone((done) => disk.syncDir(snapDir, done))
  const logs = await listLogs(disk, logDir)
  for (const { name } of logs) await removeIfThere(disk, join(logDir, name))
  if (logs.length > 0) await laterDone((done) => disk.syncDir(logDir, done))
}

/** Shortens a file, durably. */
export async function cutFile(disk: Disk, path: string, bytes: number): Promise<void> {
  const file = await later<DiskFile>((got) => disk.open(path, 'r+', got))
  try {
    await laterDone((done) => disk.truncate(file, bytes, done))
    await laterDone((done) => disk.sync(file, done))
  } finally {
    await laterDone((done) => disk.close(file, done))
  }
}

/** Where the records up to `zxid` end in a file, and which one is the last of them. */
async function findCut(
  disk: Disk,
  path: string,
  zxid: Zxid,
  lengthMax: number,
): Promise<{ offset: number; zxidLast: Zxid }> {
  let zxidLast = -1
  let offset = LOG_HEADER_BYTES
  const { tail } = await scanLog(disk, path, lengthMax, (id, _buf, off, end, at) => {
    if (id > zxid) return false
    zxidLast = id
    offset = at + RECORD_OVERHEAD_BYTES + end - off
    return true
  })
  if (tail !== null && tail.kind === 'damage') throw damageError(path, tail)
  return { offset, zxidLast }
}
