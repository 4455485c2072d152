/**
 * Takes a history that cannot be trusted out of the way, so that its server can get another one.
 *
 * All logs and snapshots, and a checkpoint, go into `version-2/damaged.<time>/` (one in each of the two folders, where
 * there are two), and are never removed by us. Epochs and identity stay: what this server has promised, it has promised.
 * Meanwhile and afterwards `version-2/resync` says what was done:
 *
 *   aside=damaged.20261125T140000Z
 *   keep=snapshot.2a              only for a server that runs alone: what it goes on with
 *
 * Without `keep`, whoever finds the mark finishes the work and has no history: such a member neither votes nor counts
 * for an election until a leader has sent it everything (E13), for what it once acknowledged is gone, and a quorum with
 * it might lack it. The mark goes when that is durable. With `keep` nobody starts until the work is finished.
 *
 * Order: the mark is durable before the first file moves, and each move before the next. So a crash at any point leaves
 * a folder that is as it was, or one that is marked. Apache's servers do not know the mark: an empty folder votes there.
 */

import { join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import { type Disk, errorCode, later, laterDone, readSmallFile, removeIfThere, writeSmallFile } from './disk.ts'
import { CHECKPOINT_DIR, PARTIAL_PREFIX, TORN_PREFIX } from './names.ts'

export interface Folders {
  /** The version-2 folders; may be the same. */
  readonly snapDir: string
  readonly logDir: string
}

export interface Mark {
  /** The folder's name, to which the old history goes. */
  readonly aside: string
  /** The snapshot in it that comes back when all else has gone; null: the history comes from a leader. */
  readonly keep: string | null
}

export interface Move {
  readonly from: string
  readonly to: string
}

export const MARK_NAME = 'resync'
export const ASIDE_PREFIX = 'damaged.'
/** Below the folder of what was set aside: the snapshot that is kept, until it takes its place. */
const KEPT_FOLDER = 'kept'

/** A name for what is set aside at `wallMs`, none of those that are there. */
export async function asideName(disk: Disk, { snapDir, logDir }: Folders, wallMs: number): Promise<string> {
  const time = new Date(wallMs).toISOString().replace(/[-:]|\.\d+/g, '')
  for (let i = 1; ; i++) {
    const name = i === 1 ? `${ASIDE_PREFIX}${time}` : `${ASIDE_PREFIX}${time}.${i}`
    const taken = (await isFolder(disk, join(snapDir, name))) || (await isFolder(disk, join(logDir, name)))
    if (!taken) return name
  }
}

/** Null where there is none. Rejects with StorageError for a mark that says nothing. */
export async function readMark(disk: Disk, snapDir: string): Promise<Mark | null> {
  const path = join(snapDir, MARK_NAME)
  const bytes = await readSmallFile(disk, path)
  if (bytes === null) return null
  const text = new TextDecoder().decode(bytes)
  // As a whole: what is no longer readable may have been the line that says what stays.
  const [, aside, keep = null] = /^aside=(damaged\.[\w.]+)(?:\nkeep=(snapshot\.[\w.]+))?\n?$/.exec(text) ?? []
  if (aside === undefined) throw new StorageError('this does not say where the old history went', path, 0)
  return { aside, keep }
}

/** Durable when it resolves: from here on nobody starts from what is there. */
export async function writeMark(disk: Disk, snapDir: string, { aside, keep }: Mark): Promise<void> {
  const path = join(snapDir, MARK_NAME)
  const text = `aside=${aside}\n${keep === null ? '' : `keep=${keep}\n`}`
  await writeSmallFile(disk, path, `${path}.tmp`, new TextEncoder().encode(text))
}

export async function removeMark(disk: Disk, snapDir: string): Promise<void> {
  await removeIfThere(disk, join(snapDir, MARK_NAME))
  await laterDone((done) => disk.syncDir(snapDir, done))
}

/** What would go: every file that this server or Apache's takes for a part of the history. */
export async function historyOf(disk: Disk, { snapDir, logDir }: Folders): Promise<string[]> {
  const found: string[] = []
  for (const dir of new Set([snapDir, logDir])) {
    for (const name of await namesIn(disk, dir)) if (isHistory(name)) found.push(join(dir, name))
  }
  return found
}

/** Moves what is left of the old history, each file durably. The mark is there. */
export async function moveAside(disk: Disk, folders: Folders, { aside }: Mark): Promise<Move[]> {
  const moves: Move[] = []
  for (const dir of new Set([folders.snapDir, folders.logDir])) {
    const names = (await namesIn(disk, dir)).filter(isHistory)
    if (names.length === 0) continue
    const target = join(dir, aside)
    await laterDone((done) => disk.mkdir(target, done))
    const taken = new Set(await namesIn(disk, target))
    for (const name of names) {
      // A name may come twice: a leader's snapshot that was not whole when the server died.
      const to = freeName(name, taken)
      taken.add(to)
      const move = { from: join(dir, name), to: join(target, to) }
      await laterDone((done) => disk.rename(move.from, move.to, done))
      moves.push(move)
    }
  }
  return moves
}

/** Where a snapshot that is to be kept is written before the mark names it. */
export function keptFolder({ snapDir }: Folders, aside: string): string {
  return join(snapDir, aside, KEPT_FOLDER)
}

/** Gives a kept snapshot its place and removes the mark: the end of a repair without a leader. Again, if need be. */
export async function putBack(disk: Disk, folders: Folders, { aside, keep }: Mark & { keep: string }): Promise<void> {
  const from = join(keptFolder(folders, aside), keep)
  if ((await namesIn(disk, keptFolder(folders, aside))).includes(keep)) {
    await laterDone((done) => disk.rename(from, join(folders.snapDir, keep), done))
  }
  await removeMark(disk, folders.snapDir)
}

/** Is the kept snapshot in its place, so that there is nothing more to set aside? */
export async function isPutBack(disk: Disk, folders: Folders, { aside, keep }: Mark): Promise<boolean> {
  return keep !== null && !(await namesIn(disk, keptFolder(folders, aside))).includes(keep)
}

/**
 * Is this damage in the files, rather than a disk or a machine that fails? Of damage another copy helps; what the
 * system refuses (EIO, EACCES) may well be there again tomorrow.
 */
export function isDamage(err: unknown): err is StorageError {
  if (!(err instanceof StorageError)) return false
  for (let cause: unknown = err.cause; cause instanceof Error; cause = cause.cause) {
    // What zlib calls codes are its words for damaged data.
    const code = errorCode(cause)
    if (code !== '' && !code.startsWith('Z_')) return false
  }
  return true
}

function isHistory(name: string): boolean {
  const word = name.split('.')[0]
  if (name === CHECKPOINT_DIR) return true
  return word === 'log' || word === 'snapshot' || name.startsWith(TORN_PREFIX) || name.startsWith(PARTIAL_PREFIX)
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  let name = wanted
  for (let i = 2; taken.has(name); i++) name = `${wanted}.${i}`
  return name
}

function isFolder(disk: Disk, path: string): Promise<boolean> {
  return later<boolean>((got) => disk.isDir(path, got))
}

async function namesIn(disk: Disk, dir: string): Promise<string[]> {
  if (!(await isFolder(disk, dir))) return []
  return (await later<string[]>((got) => disk.list(dir, got))).sort()
}
