/**
 * Takes a data directory from which no server starts to one from which it does, without guessing and without removing
 * anything: what is there goes into `version-2/damaged.<time>/` (txnlog/repair.ts).
 *
 * A member of an ensemble keeps its epochs and gets everything else from its leader, without a vote until then. A server
 * that runs alone has nobody to get it from: there the operator says up to where the history is to be kept, and loses
 * what is behind. Killed at any point, it leaves a directory that refuses to start, or one that does not vote; to run
 * it again finishes the work.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import { type Zxid, zxidHex } from '../jute/zxid.ts'
import { type Disk, laterDone } from '../txnlog/disk.ts'
import { readEpoch } from '../txnlog/epochs.ts'
import { FileSnapshotStore } from '../txnlog/filestore.ts'
import { type Identity, identityConflict, readIdentity, removeIdentity } from '../txnlog/identity.ts'
import { LevelHome } from '../txnlog/levelkv.ts'
import { LevelStore } from '../txnlog/levelstore.ts'
import { type FolderLock, lockFolders } from '../txnlog/lock.ts'
import { recover } from '../txnlog/recover.ts'
import {
  asideName,
  type Folders,
  historyOf,
  isDamage,
  isPutBack,
  keptFolder,
  type Mark,
  type Move,
  moveAside,
  putBack,
  readMark,
  writeMark,
} from '../txnlog/repair.ts'
import type { CheckpointSource } from '../txnlog/snapshotstore.ts'
import { DryDisk } from './drydisk.ts'
import { type LongestHistory, longestHistory } from './longest.ts'
import { logDirOf, snapDirOf, type ToolTarget, targetState } from './target.ts'
import { type Terminal, ToolExit, UsageError } from './terminal.ts'

export interface RepairOptions {
  /** For a server that runs alone: the last transaction to keep, if the files hold it. */
  readonly keep: Zxid | 'longest' | null
  /** Also where a server would start from what is there. */
  readonly force: boolean
  /** Only says what would be done. */
  readonly dryRun: boolean
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

/** Returns the exit code. Rejects with StorageError or UsageError where it does nothing. */
export async function repair(
  disk: Disk,
  target: ToolTarget,
  options: RepairOptions,
  terminal: Terminal,
): Promise<number> {
  const folders = foldersOf(target)
  const lock = await locked(folders, terminal)
  const checkpoint = checkpointIn(disk, target)
  try {
    const begun = await readMark(disk, folders.snapDir).catch(unreadable)
    if (begun !== null) return await finish(disk, target, begun, options, terminal)
    const alone = await runsAlone(disk, target)
    if (!alone && options.keep !== null) throw new UsageError(MEMBER_TEXT)
    const trouble = await troubleOf(disk, target, checkpoint, options.force, terminal)
    if (trouble === null && !options.force) {
      terminal.out('a server starts from here: nothing was changed (--force sets the history aside all the same)\n')
      return ToolExit.ok
    }
    if (trouble !== null) terminal.out(`${trouble}\n`)
    if (alone && options.keep === null) throw new UsageError(aloneText(target))
    const aside = await asideName(disk, folders, options.nowMs)
    if (options.keep !== null)
      return await keepLongest(disk, target, checkpoint, aside, options.keep, options, terminal)
    if (options.dryRun) return await sayMoves(disk, folders, terminal)
    const mark = { aside, keep: null }
    await checkpoint?.close()
    await writeMark(disk, folders.snapDir, mark)
    return await finish(disk, target, mark, options, terminal)
  } finally {
    await checkpoint?.close()
    lock.release()
  }
}

/** What `snapshot.store=level` has left; null: nothing, and nobody opens a database. */
function checkpointIn(disk: Disk, target: ToolTarget): LevelStore | null {
  const home = new LevelHome(disk, target.dataDir)
  return existsSync(home.path) ? new LevelStore(home, () => disk.nowMs()) : null
}

/** The operator's word that the data is this server's, whatever its identity says. Returns the exit code. */
export async function adopt(disk: Disk, target: ToolTarget, dryRun: boolean, terminal: Terminal): Promise<number> {
  const folders = foldersOf(target)
  const lock = await locked(folders, terminal)
  try {
    const identity = await readIdentity(disk, folders.snapDir).catch(unreadable)
    if (identity !== null && identity.refused !== null) {
      throw new UsageError(`${identity.refused}: such data is of no use here, and can only be set aside (repair)`)
    }
    const whose = identity === null ? 'nobody in particular' : whoText(identity)
    if (!dryRun) await removeIdentity(disk, folders.snapDir)
    terminal.out(`the data was that of ${whose}; the next server that starts here takes it for its own\n`)
    return ToolExit.ok
  } finally {
    lock.release()
  }
}

/** From the mark on: as often as need be. */
async function finish(
  disk: Disk,
  target: ToolTarget,
  mark: Mark,
  options: RepairOptions,
  terminal: Terminal,
): Promise<number> {
  const folders = foldersOf(target)
  const { aside, keep } = mark
  if (options.dryRun) return sayMoves(disk, folders, terminal)
  // Its next start is that of a member who has nothing: whosever the data was, it is out of the way.
  await removeIdentity(disk, folders.snapDir)
  if (!(await isPutBack(disk, folders, mark))) sayMoved(await moveAside(disk, folders, mark), terminal)
  if (keep === null) {
    terminal.out(
      `set aside into ${join(folders.snapDir, aside)}. Start this member while the others have a leader: it does not vote until that has sent it everything\n`,
    )
    return ToolExit.ok
  }
  await putBack(disk, folders, { aside, keep })
  terminal.out(`${join(folders.snapDir, keep)} is what a server starts from now\n`)
  return ToolExit.ok
}

async function keepLongest(
  disk: Disk,
  target: ToolTarget,
  checkpoint: LevelStore | null,
  aside: string,
  keep: Zxid | 'longest',
  options: RepairOptions,
  terminal: Terminal,
): Promise<number> {
  terminal.progress('reading what is left')
  const limit = keep === 'longest' ? Number.MAX_SAFE_INTEGER : keep
  const history = await longestHistory(disk, target, checkpoint, limit)
  await checkpoint?.close()
  terminal.progress(null)
  if (history === null) throw new StorageError('no snapshot can be read: restore a backup', snapDirOf(target))
  sayKept(history, terminal)
  const folders = foldersOf(target)
  if (options.dryRun) return sayMoves(disk, folders, terminal)
  const folder = keptFolder(folders, aside)
  await laterDone((done) => disk.mkdir(folder, done))
  const written = await new FileSnapshotStore(disk, folder, target.recover.snapshot).takeSnapshot(history.state)
  const mark = { aside, keep: written.path.slice(folder.length + 1) }
  await writeMark(disk, folders.snapDir, mark)
  return finish(disk, target, mark, options, terminal)
}

/** What keeps a server from starting, or from being let in; null: nothing. */
async function troubleOf(
  disk: Disk,
  target: ToolTarget,
  checkpoint: CheckpointSource | null,
  force: boolean,
  terminal: Terminal,
): Promise<string | null> {
  terminal.progress('trying a start')
  try {
    const identity = await readIdentity(disk, snapDirOf(target))
    const conflict = identity === null ? null : identityConflict(identity, target.serverId, target.servers)
    if (conflict !== null) return conflict
    await recover(
      new DryDisk(disk),
      target,
      () => targetState(target, () => {}),
      { ...target.recover, resync: true, checkpoint },
      () => {},
    )
    return null
  } catch (err) {
    // What the system refuses is no damage: the disk may be well again tomorrow, and then all is there.
    if (isDamage(err) || (force && err instanceof StorageError)) return err.message
    throw err
  } finally {
    terminal.progress(null)
  }
}

/** Without a configuration, epoch files tell a member's directory. */
async function runsAlone(disk: Disk, target: ToolTarget): Promise<boolean> {
  if (target.hasOthers !== null) return !target.hasOthers
  for (const name of ['acceptedEpoch', 'currentEpoch']) {
    if ((await readEpoch(disk, snapDirOf(target), name)) !== null) return false
  }
  return true
}

/** Whatever it said, it says nothing any more: as good as not there, for who is about to write it anew. */
function unreadable(err: unknown): null {
  if (err instanceof StorageError) return null
  throw err
}

function foldersOf(target: ToolTarget): Folders {
  const folders = { snapDir: snapDirOf(target), logDir: logDirOf(target) }
  for (const folder of [folders.snapDir, folders.logDir]) {
    if (!existsSync(folder)) throw new UsageError(`${folder}: no such folder`)
  }
  return folders
}

function locked({ snapDir, logDir }: Folders, terminal: Terminal): Promise<FolderLock> {
  return lockFolders([snapDir, logDir], (message) => terminal.err(message))
}

async function sayMoves(disk: Disk, folders: Folders, terminal: Terminal): Promise<number> {
  for (const path of await historyOf(disk, folders)) terminal.out(`would set aside ${path}\n`)
  return ToolExit.ok
}

function sayMoved(moves: readonly Move[], terminal: Terminal): void {
  for (const { from, to } of moves) terminal.out(`${from} -> ${to}\n`)
}

function sayKept({ state, snapshot, txns, end }: LongestHistory, terminal: Terminal): void {
  const what = `${state.tree.nodeCount} znodes at zxid 0x${zxidHex(state.zxidLast)}`
  terminal.out(`kept: ${what}, from ${snapshot} and ${txns} transactions\n`)
  if (end !== null) terminal.out(`lost: what is behind, since ${end}\n`)
}

function whoText({ serverId, servers }: Identity): string {
  const addresses = [...servers.values()].map((each) => each[0]).filter((each) => each !== undefined)
  return `server ${serverId} among ${addresses.join(' ')}`
}

const MEMBER_TEXT =
  'a member of an ensemble keeps nothing: its leader sends everything. --keep is for a server that runs alone (name its zoo.cfg if this is one)'

function aloneText({ name, member, configFile }: ToolTarget): string {
  const who =
    member === true
      ? 'no quorum can form without this server, so there is nobody to send it what it lacks'
      : 'a server that runs alone has nobody to send it what it lacks'
  const orMember = configFile === null ? "; or name the zoo.cfg, if this is the directory of an ensemble's member" : ''
  return `${who}: restore a backup; or keep what is left (zoowarden repair --keep longest ${name}, or --keep 0x<zxid>) and lose the rest${orMember}`
}
