/**
 * A backup of a data directory: the newest snapshot that verifies and the logs behind it, as one archive that says what
 * is in it (manifest.ts). The server may run, and write, roll and purge meanwhile.
 *
 * The files are held open first (pinneddisk.ts), snapshots before logs: what was listed then stays readable and has no
 * hole. On these, recovery runs as it would at a start; its result (zxid, znodes, digest) goes into the manifest. Logs
 * are copied up to their last whole record, hence without padding and without a write that was still under way. The
 * finished archive is read once more, against its own sums, before it gets its name.
 */

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import type { Zxid } from '../jute/zxid.ts'
import { type Disk, type DiskFile, errorCode, later, laterDone } from '../txnlog/disk.ts'
import { readEpoch } from '../txnlog/epochs.ts'
import { listLogs, scanLog } from '../txnlog/logdir.ts'
import { RECORD_OVERHEAD_BYTES } from '../txnlog/logfile.ts'
import { CHECKPOINT_DIR, firstLogFor, type SnapshotName, snapshotNames } from '../txnlog/names.ts'
import { type Recovered, recover } from '../txnlog/recover.ts'
import { readSnapshot } from '../txnlog/snapfile.ts'
import { loadNowhere } from '../txnlog/snapshot.ts'
import { ArchiveReader, ArchiveWriter } from './archive.ts'
import { DryDisk } from './drydisk.ts'
import { type BackupFile, MANIFEST_NAME, type Manifest, manifestText } from './manifest.ts'
import { PinnedDisk } from './pinneddisk.ts'
import { digestText, logDirOf, snapDirOf, type ToolTarget, targetState } from './target.ts'
import type { Terminal } from './terminal.ts'

/** Snapshots looked at, in case the newest ones do not verify. */
const SNAPSHOTS_MAX = 4
/** A purge or a roll may come in between; not so often. */
const TRIES_MAX = 5
const RETRY_MS = 200
const CHUNK_BYTES = 1024 * 1024

export interface BackupOptions {
  readonly createdBy: string
  readonly nowMs: number
}

export interface BackupDone {
  readonly manifest: Manifest
  /** The archive's own size. */
  readonly bytes: number
}

/** Writes the archive `path`, which must not exist. Rejects with StorageError. */
export async function backup(
  disk: Disk,
  target: ToolTarget,
  path: string,
  options: BackupOptions,
  terminal: Terminal,
): Promise<BackupDone> {
  const writer = await ArchiveWriter.create(disk, path, options.nowMs)
  let held: Held | null = null
  try {
    held = await hold(disk, target, terminal)
    const manifest = await describe(held, disk, target, options, terminal)
    await writeAll(held, writer, manifest, target, terminal)
    await writer.finish()
    terminal.progress('reading the archive back')
    await checkArchive(disk, writer.partialPath, manifest)
    await writer.publish()
    terminal.progress(null)
    return { manifest, bytes: writer.bytes }
  } catch (err) {
    await writer.abandon()
    throw err
  } finally {
    await held?.pinned.release()
  }
}

/** Files that are held open, and the state that a start from them would have. */
interface Held {
  readonly pinned: PinnedDisk
  readonly recovered: Recovered
  readonly snapshot: SnapshotName
  readonly mismatches: Zxid[]
}

async function hold(disk: Disk, target: ToolTarget, terminal: Terminal): Promise<Held> {
  for (let attempt = 1; ; attempt++) {
    const pinned = new PinnedDisk(disk)
    try {
      terminal.progress('replaying the log')
      const snapshots = await pinFiles(disk, target, pinned)
      const mismatches: Zxid[] = []
      const recovered = await recover(
        new DryDisk(pinned),
        target,
        () => {
          mismatches.length = 0
          return targetState(target, (zxid) => mismatches.push(zxid))
        },
        { ...target.recover, dbAutocreate: false, trustEmpty: false },
        ({ kind, message }) => {
          if (kind === 'snapshotRejected' || kind === 'snapshotUncovered') terminal.err(`passed over: ${message}`)
        },
      )
      const snapshot = snapshots.find(({ zxid }) => zxid === recovered.snapshotZxid)
      if (snapshot === undefined) throw new StorageError('there is nothing to back up here', snapDirOf(target))
      return { pinned, recovered, snapshot, mismatches }
    } catch (err) {
      await pinned.release()
      const passes = err instanceof StorageError || errorCode(err) === 'ENOENT'
      if (!passes || attempt === TRIES_MAX || !(await changed(disk, target, pinned))) throw err
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
}

/** Opens snapshots, then logs, and so that the logs cover the oldest of them where nothing was purged meanwhile. */
async function pinFiles(disk: Disk, target: ToolTarget, pinned: PinnedDisk): Promise<SnapshotName[]> {
  const snapDir = snapDirOf(target)
  const logDir = logDirOf(target)
  const names = await later<string[]>((got) => disk.list(snapDir, got))
  const snapshots = snapshotNames(names).slice(0, SNAPSHOTS_MAX)
  if (snapshots.length === 0 && names.includes(CHECKPOINT_DIR)) {
    const mend = `zoowarden snapshot export ${target.name} ${snapDir}`
    const text = `there is a checkpoint, and no snapshot to put into an archive; this makes one: ${mend}`
    throw new StorageError(text, join(snapDir, CHECKPOINT_DIR))
  }
  for (const { name } of snapshots) await pinned.pin(join(snapDir, name))
  const logs = await listLogs(disk, logDir)
  const oldest = snapshots.at(-1)?.zxid ?? 0
  for (const { name } of logs.slice(firstLogFor(logs, oldest + 1))) await pinned.pin(join(logDir, name))
  return snapshots
}

/** Whether the folders hold other files by now, or longer ones: then a second look may see more. */
async function changed(disk: Disk, target: ToolTarget, before: PinnedDisk): Promise<boolean> {
  const now = new PinnedDisk(disk)
  try {
    await pinFiles(disk, target, now)
    return now.fingerprint() !== before.fingerprint()
  } catch (err) {
    if (errorCode(err) === 'ENOENT') return true
    throw err
  } finally {
    await now.release()
  }
}

async function describe(
  { pinned, recovered, snapshot, mismatches }: Held,
  disk: Disk,
  target: ToolTarget,
  options: BackupOptions,
  terminal: Terminal,
): Promise<Manifest> {
  const { state, zxidLast } = recovered
  const { lengthMax } = target.recover
  for (const zxid of mismatches) {
    terminal.err(`the tree differs from what the author of transaction 0x${zxid.toString(16)} had: digests differ`)
  }
  const snapDir = snapDirOf(target)
  terminal.progress(`verifying ${snapshot.name}`)
  const { zxidEnd } = await readSnapshot(pinned, snapDir, snapshot, loadNowhere(), lengthMax)
  const files = [
    await snapshotFile(pinned, snapDir, snapshot),
    ...(await logFiles(pinned, target, snapshot, zxidLast, terminal)),
  ]
  return {
    createdBy: options.createdBy,
    createdAt: new Date(options.nowMs).toISOString(),
    serverId: target.serverId,
    snapshotZxid: snapshot.zxid,
    zxidEarliest: Math.min(zxidLast, Math.max(snapshot.zxid, zxidEnd ?? 0)),
    zxidLast,
    acceptedEpoch: await readEpoch(disk, snapDir, 'acceptedEpoch'),
    currentEpoch: await readEpoch(disk, snapDir, 'currentEpoch'),
    znodeCount: state.tree.nodeCount,
    sessionCount: state.sessions.size,
    ephemeralCount: state.tree.ephemeralsCount,
    digest: digestText(state.tree.digestHi, state.tree.digestLo),
    files,
  }
}

async function snapshotFile(disk: Disk, snapDir: string, { name, zxid }: SnapshotName): Promise<BackupFile> {
  const path = join(snapDir, name)
  const file = await later<DiskFile>((got) => disk.open(path, 'r', got))
  const bytes = await later<number>((got) => disk.size(file, got))
  await laterDone((done) => disk.close(file, done))
  return { name, bytes, sha256: await hashOf(disk, path, bytes), zxidFirst: zxid, zxidLast: zxid }
}

/**
 * The logs that lead on from the snapshot, each up to its last whole record, those without any left out. A log grows
 * within its preallocated size, so what came behind `zxidLast` since it was replayed is left out too.
 */
async function logFiles(
  disk: Disk,
  target: ToolTarget,
  snapshot: SnapshotName,
  zxidLast: Zxid,
  terminal: Terminal,
): Promise<BackupFile[]> {
  const logDir = logDirOf(target)
  const logs = await listLogs(disk, logDir)
  const files: BackupFile[] = []
  let zxidReached = snapshot.zxid
  for (const { name } of logs.slice(firstLogFor(logs, snapshot.zxid + 1))) {
    terminal.progress(`verifying ${name}`)
    const path = join(logDir, name)
    let zxidFirst = -1
    let zxidEnd = -1
    let bytes = 0
    await scanLog(disk, path, target.recover.lengthMax, (zxid, _buf, off, end, offset) => {
      if (zxid > zxidLast) return false
      if (zxidFirst < 0) zxidFirst = zxid
      zxidEnd = Math.max(zxidEnd, zxid)
      bytes = offset + RECORD_OVERHEAD_BYTES + end - off
      return true
    })
    if (zxidEnd <= snapshot.zxid) continue
    zxidReached = Math.max(zxidReached, zxidEnd)
    files.push({ name, bytes, sha256: await hashOf(disk, path, bytes), zxidFirst, zxidLast: zxidEnd })
  }
  if (zxidReached < zxidLast) throw new StorageError('transactions went away while they were read', logDir)
  return files
}

async function hashOf(disk: Disk, path: string, bytes: number): Promise<string> {
  const hash = createHash('sha256')
  await forEachChunk(disk, path, bytes, async (chunk) => {
    hash.update(chunk)
  })
  return hash.digest('hex')
}

async function forEachChunk(
  disk: Disk,
  path: string,
  bytes: number,
  take: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const file = await later<DiskFile>((got) => disk.open(path, 'r', got))
  const chunk = new Uint8Array(CHUNK_BYTES)
  try {
    for (let pos = 0; pos < bytes; ) {
      const wanted = Math.min(chunk.length, bytes - pos)
      const count = await later<number>((got) => disk.read(file, pos, chunk, 0, wanted, got))
      if (count < wanted) throw new StorageError('the file became shorter while it was read', path, pos + count)
      await take(chunk.subarray(0, count))
      pos += count
    }
  } finally {
    await laterDone((done) => disk.close(file, done))
  }
}

async function writeAll(
  { pinned }: Held,
  writer: ArchiveWriter,
  manifest: Manifest,
  target: ToolTarget,
  terminal: Terminal,
): Promise<void> {
  const text = new TextEncoder().encode(manifestText(manifest))
  const entry = { name: MANIFEST_NAME, bytes: text.length }
  await writer.begin(entry)
  await writer.write(text)
  await writer.end(entry)
  for (const file of manifest.files) {
    terminal.progress(`copying ${file.name}`)
    const folder = file.name.startsWith('log.') ? logDirOf(target) : snapDirOf(target)
    await writer.begin(file)
    await forEachChunk(pinned, join(folder, file.name), file.bytes, (chunk) => writer.write(chunk))
    await writer.end(file)
  }
}

/** Reads an archive and compares it with its manifest, which comes first in it. Rejects with StorageError. */
async function checkArchive(disk: Disk, path: string, manifest: Manifest): Promise<void> {
  const reader = new ArchiveReader(disk, path)
  try {
    await reader.next()
    for (const file of manifest.files) {
      const entry = await reader.next()
      if (entry?.name !== file.name) throw new StorageError(`the archive lacks ${file.name}`, path)
      await checkedEntry(reader, file, async () => {})
    }
  } finally {
    await reader.close()
  }
}

/** Hands on the bytes of the entry in hand, and then says whether they were what the manifest promises. */
export async function checkedEntry(
  reader: ArchiveReader,
  file: BackupFile,
  take: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const hash = createHash('sha256')
  let bytes = 0
  for (let chunk = await reader.read(); chunk.length > 0; chunk = await reader.read()) {
    hash.update(chunk)
    bytes += chunk.length
    await take(chunk)
  }
  if (bytes !== file.bytes || hash.digest('hex') !== file.sha256) {
    throw new StorageError(`${file.name} in the archive is not what its manifest says: the sums differ`, reader.path)
  }
}
