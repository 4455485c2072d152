/**
 * Makes a data directory from a backup, as of any transaction in it.
 *
 * Only into an empty directory: what is there already is never mixed with what comes. The archive is unpacked into a
 * folder of its own below, every file against its sum; there it is cut behind the wanted transaction and recovered as a
 * server would, every transaction's digest compared. What goes into the directory is the result: the epoch files, then
 * one snapshot, which takes its name as the last step. So a restore that was interrupted has left no database.
 *
 * Sessions come back with their timeouts, and ephemerals as theirs: a client that is still there finds its session,
 * those of others expire once the server runs. Or both are left out.
 */

import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import { epochOf, type Zxid, zxidHex } from '../jute/zxid.ts'
import { type Disk, type DiskFile, later, laterDone } from '../txnlog/disk.ts'
import { type EpochName, writeEpoch } from '../txnlog/epochs.ts'
import { FileSnapshotStore } from '../txnlog/filestore.ts'
import { type FolderLock, lockFolders } from '../txnlog/lock.ts'
import { listLogs, scanLog, truncateHistory } from '../txnlog/logdir.ts'
import { VERSION_DIR } from '../txnlog/names.ts'
import { type Recovered, recover } from '../txnlog/recover.ts'
import { ArchiveReader } from './archive.ts'
import { checkedEntry } from './backup.ts'
import { MANIFEST_BYTES_MAX, MANIFEST_NAME, type Manifest, parseManifest } from './manifest.ts'
import { digestText, logDirOf, snapDirOf, type ToolTarget, targetState } from './target.ts'
import { type Terminal, UsageError } from './terminal.ts'

export interface RestoreOptions {
  /** Null: all that is in the archive. */
  readonly zxid: Zxid | null
  /** False leaves sessions and ephemerals out. */
  readonly sessions: boolean
}

export interface RestoreDone {
  readonly manifest: Manifest
  /** The last transaction in what was restored: at or below the one asked for. */
  readonly zxid: Zxid
  readonly znodeCount: number
  readonly sessionCount: number
  readonly ephemeralCount: number
  readonly digest: string
  readonly epoch: number
  readonly snapshotPath: string
}

/** Below dataDir, until the restore has ended. */
const STAGING = 'restore-unfinished'
/** What a directory may hold and still be empty. */
const HARMLESS = ['myid', 'lost+found']

/** Rejects with StorageError, or UsageError for a zxid that is not in the archive; nothing is then in the directory. */
export async function restore(
  disk: Disk,
  archive: string,
  target: ToolTarget,
  options: RestoreOptions,
  terminal: Terminal,
): Promise<RestoreDone> {
  refuseUsed(target)
  const reader = new ArchiveReader(disk, archive)
  let lock: FolderLock | null = null
  let done = false
  try {
    const manifest = await readManifest(reader)
    checkWanted(options.zxid, manifest)
    const snapDir = snapDirOf(target)
    const logDir = logDirOf(target)
    for (const dir of new Set([logDir, snapDir])) await laterDone((got) => disk.mkdir(dir, got))
    lock = await lockFolders([snapDir, logDir], (message) => terminal.err(message))
    const staged = await unpack(disk, reader, manifest, target, terminal)
    if (options.zxid !== null && options.zxid < manifest.zxidLast)
      await cut(disk, staged, manifest.snapshotZxid, options.zxid, terminal)
    const recovered = await replay(disk, staged, manifest, terminal)
    const { state } = recovered
    if (!options.sessions) {
      state.sessions.clear()
      state.removeOrphans()
    }
    const epoch = Math.max(epochOf(state.zxidLast), manifest.currentEpoch ?? 0)
    const epochs: [EpochName, number][] = [
      ['acceptedEpoch', Math.max(epoch, manifest.acceptedEpoch ?? 0)],
      ['currentEpoch', epoch],
    ]
    for (const [name, value] of epochs) await writeEpoch(disk, snapDir, name, value)
    terminal.progress('writing the snapshot')
    const written = await new FileSnapshotStore(disk, snapDir, target.recover.snapshot).takeSnapshot(state)
    terminal.progress(null)
    done = true
    return {
      manifest,
      zxid: state.zxidLast,
      znodeCount: state.tree.nodeCount,
      sessionCount: state.sessions.size,
      ephemeralCount: state.tree.ephemeralsCount,
      digest: digestText(state.tree.digestHi, state.tree.digestLo),
      epoch,
      snapshotPath: written.path,
    }
  } finally {
    await reader.close()
    // Without the lock it is somebody else's.
    if (lock !== null) {
      rmSync(join(target.dataDir, STAGING), { recursive: true, force: true })
      for (const name of done ? [] : ['acceptedEpoch', 'currentEpoch']) {
        rmSync(join(snapDirOf(target), name), { force: true })
      }
      lock.release()
    }
  }
}

function refuseUsed(target: ToolTarget): void {
  for (const dir of new Set([target.dataDir, target.dataLogDir])) {
    if (!existsSync(dir)) continue
    for (const name of readdirSync(dir)) {
      if (HARMLESS.includes(name) || (name === VERSION_DIR && readdirSync(join(dir, name)).length === 0)) continue
      const path = join(dir, name)
      const what = name === STAGING ? 'the remains of a restore that was interrupted' : 'something'
      throw new StorageError(`only an empty directory is restored into; there is ${what} here, move it away`, path)
    }
  }
}

async function readManifest(reader: ArchiveReader): Promise<Manifest> {
  const entry = await reader.next()
  if (entry?.name !== MANIFEST_NAME || entry.bytes > MANIFEST_BYTES_MAX) {
    throw new StorageError(`not a backup: its first file is not ${MANIFEST_NAME}`, reader.path)
  }
  const parts: Uint8Array[] = []
  for (let chunk = await reader.read(); chunk.length > 0; chunk = await reader.read()) parts.push(chunk.slice())
  try {
    return parseManifest(Buffer.concat(parts).toString('utf8'))
  } catch (err) {
    if (!(err instanceof StorageError)) throw err
    throw new StorageError(err.message, reader.path, null, err)
  }
}

function checkWanted(zxid: Zxid | null, { zxidEarliest, zxidLast }: Manifest): void {
  if (zxid === null || (zxid >= zxidEarliest && zxid <= zxidLast)) return
  const range = `0x${zxidHex(zxidEarliest)} to 0x${zxidHex(zxidLast)}`
  throw new UsageError(`zxid 0x${zxidHex(zxid)} cannot be restored from this archive, which has ${range}`)
}

/** All files of the archive, checked, in one folder below the target's. */
async function unpack(
  disk: Disk,
  reader: ArchiveReader,
  manifest: Manifest,
  target: ToolTarget,
  terminal: Terminal,
): Promise<ToolTarget> {
  const dataDir = join(target.dataDir, STAGING)
  const dir = join(dataDir, VERSION_DIR)
  await laterDone((done) => disk.mkdir(dir, done))
  for (const wanted of manifest.files) {
    const entry = await reader.next()
    if (entry?.name !== wanted.name) throw new StorageError(`the archive lacks ${wanted.name}`, reader.path)
    terminal.progress(`unpacking ${wanted.name}`)
    const file = await later<DiskFile>((got) => disk.create(join(dir, wanted.name), got))
    try {
      let pos = 0
      await checkedEntry(reader, wanted, async (chunk) => {
        await laterDone((done) => disk.write(file, pos, [chunk], done))
        pos += chunk.length
      })
    } finally {
      await laterDone((done) => disk.close(file, done))
    }
  }
  if ((await reader.next()) !== null) throw new StorageError('more in the archive than its manifest says', reader.path)
  return { ...target, dataDir, dataLogDir: dataDir }
}

/** Takes away what came behind `zxid`. Where none has that number, the last one before it is the last that stays. */
async function cut(disk: Disk, staged: ToolTarget, snapshotZxid: Zxid, zxid: Zxid, terminal: Terminal): Promise<void> {
  terminal.progress(`cutting behind 0x${zxidHex(zxid)}`)
  const dir = logDirOf(staged)
  const { lengthMax } = staged.recover
  let zxidKept = snapshotZxid
  for (const { name } of await listLogs(disk, dir)) {
    await scanLog(disk, join(dir, name), lengthMax, (current) => {
      if (current <= zxid) zxidKept = Math.max(zxidKept, current)
      return current <= zxid
    })
  }
  const result = await truncateHistory(disk, dir, dir, zxidKept, lengthMax)
  if (result !== 'ok') throw new StorageError(`the archive's history does not reach 0x${zxidHex(zxid)}`, dir)
}

async function replay(disk: Disk, staged: ToolTarget, manifest: Manifest, terminal: Terminal): Promise<Recovered> {
  terminal.progress('replaying the log')
  const mismatches: Zxid[] = []
  const recovered = await recover(
    disk,
    staged,
    () => targetState(staged, (zxid) => mismatches.push(zxid)),
    { ...staged.recover, dbAutocreate: false, trustEmpty: false },
    () => {},
  )
  const { tree } = recovered.state
  const digest = digestText(tree.digestHi, tree.digestLo)
  if (recovered.zxidLast === manifest.zxidLast) {
    if (digest !== manifest.digest || tree.nodeCount !== manifest.znodeCount) {
      const found = `${tree.nodeCount} znodes with digest ${digest}`
      throw new StorageError(`restored ${found}; the manifest has ${manifest.znodeCount} with ${manifest.digest}`)
    }
  } else if (mismatches.length > 0) {
    terminal.err(`digests differ from zxid 0x${zxidHex(mismatches[0]!)} on, as they did in the server backed up`)
  }
  return recovered
}
