/**
 * The only road to files: callbacks, so that a simulated disk can stand behind it and lose what was not synced.
 *
 * Nothing written is safe before `sync`; no name is safe before `syncDir` of its folder (`rename` and `mkdir` include
 * that). An error of `sync` is final: the kernel may have dropped the pages, so nobody may try again and believe the
 * second answer. Files are made with mode 0600, folders with 0700.
 */

import {
  close,
  constants,
  fdatasync,
  fstat,
  fsync,
  ftruncate,
  mkdir,
  open,
  read,
  readdir,
  rename,
  stat,
  statfs,
  unlink,
  write,
  writev,
} from 'node:fs'
import { dirname } from 'node:path'

/** An open file, as the disk that opened it understands the number. */
export type DiskFile = number

export type Done = (err: Error | null) => void
export type Got<T> = (...result: [err: Error, value: null] | [err: null, value: T]) => void

/** What a file system has left for us; a quota may allow less. */
export interface Room {
  freeBytes: number
  totalBytes: number
}

export interface Disk {
  /** A new file, open for reading and writing. Fails with EEXIST where the name is taken. */
  create(path: string, got: Got<DiskFile>): void
  /**
   * The same, but every write to it is durable when it is done, as if `sync` had followed: one trip to the disk where
   * those are two. An error of such a write is as final as one of `sync`.
   */
  createSynced(path: string, got: Got<DiskFile>): void
  /** An existing file. Fails with ENOENT where there is none. */
  open(path: string, mode: 'r' | 'r+', got: Got<DiskFile>): void
  /** Fills `into[off, off + length)` from `pos`; the answer is the number of bytes, short only at the file's end. */
  read(file: DiskFile, pos: number, into: Uint8Array, off: number, length: number, got: Got<number>): void
  /** Writes all parts one after the other, all or error. The parts belong to the disk until `done`. */
  write(file: DiskFile, pos: number, parts: Uint8Array[], done: Done): void
  /** fdatasync: the bytes, and as much of the size as is needed to read them. */
  sync(file: DiskFile, done: Done): void
  /** Cuts, or grows with zeros that take no room. */
  truncate(file: DiskFile, bytes: number, done: Done): void
  close(file: DiskFile, done: Done): void
  size(file: DiskFile, got: Got<number>): void
  /** Atomic, replaces `to`, and durable when done: the folders are synced. */
  rename(from: string, to: string, done: Done): void
  unlink(path: string, done: Done): void
  syncDir(path: string, done: Done): void
  /** Names in a folder, in no order. */
  list(path: string, got: Got<string[]>): void
  /** Makes a folder and its missing parents, durably; an existing one is fine. */
  mkdir(path: string, done: Done): void
  isDir(path: string, got: Got<boolean>): void
  /** Of the file system that a path is on. Not every disk can tell. */
  room?(path: string, got: Got<Room>): void
  /** A clock that never goes back, for durations. */
  nowMs(): number
}

/** Runs one disk call as a promise. */
export function later<T>(start: (got: Got<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((err, value) => {
      if (err !== null) reject(err)
      else resolve(value)
    })
  })
}

/** The same for calls without a value. */
export function laterDone(start: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((err) => {
      if (err !== null) reject(err)
      else resolve()
    })
  })
}

/** What the system says where there is no room: a full file system, a quota that is used up. */
export const FULL_CODES: readonly string[] = ['ENOSPC', 'EDQUOT']

/** The system's name of an error (`ENOENT`, `ENOSPC`), or '' where it has none. */
export function errorCode(err: unknown): string {
  return err instanceof Error && 'code' in err && typeof err.code === 'string' ? err.code : ''
}

/** The file that an error of the system was about; null where it does not say. */
export function errorPath(err: unknown): string | null {
  return err instanceof Error && 'path' in err && typeof err.path === 'string' ? err.path : null
}

/** A whole small file (epochs, markers); null where it is missing. */
export async function readSmallFile(disk: Disk, path: string): Promise<Uint8Array | null> {
  let file: DiskFile
  try {
    file = await later<DiskFile>((got) => disk.open(path, 'r', got))
  } catch (err) {
    if (errorCode(err) === 'ENOENT') return null
    throw err
  }
  try {
    const bytes = new Uint8Array(await later<number>((got) => disk.size(file, got)))
    const count = await later<number>((got) => disk.read(file, 0, bytes, 0, bytes.length, got))
    return bytes.subarray(0, count)
  } finally {
    await laterDone((done) => disk.close(file, done))
  }
}

/** Writes a small file so that after a crash either the old or the new content is there. */
export async function writeSmallFile(disk: Disk, path: string, tempPath: string, bytes: Uint8Array): Promise<void> {
  await removeIfThere(disk, tempPath)
  const file = await later<DiskFile>((got) => disk.create(tempPath, got))
  try {
    await laterDone((done) => disk.write(file, 0, [bytes], done))
    await laterDone((done) => disk.sync(file, done))
  } finally {
    await laterDone((done) => disk.close(file, done))
  }
  await laterDone((done) => disk.rename(tempPath, path, done))
}

/** Removes a file; a missing one is fine. The folder is not synced. */
export async function removeIfThere(disk: Disk, path: string): Promise<boolean> {
  try {
    await laterDone((done) => disk.unlink(path, done))
    return true
  } catch (err) {
    if (errorCode(err) === 'ENOENT') return false
    throw err
  }
}

/** Linux alone promises with O_DSYNC what it does for fdatasync. */
const SYNCED_FLAG = process.platform === 'linux' ? constants.O_DSYNC : 0

/** Files of this machine, through libuv's pool. Errors say which file they are about. */
export function nodeDisk(): Disk {
  const syncedByHand = new Set<DiskFile>()
  /** The system does not name the file of a read, a write or a sync: an operator has to know. */
  const paths = new Map<DiskFile, string>()
  const opened =
    (path: string, got: Got<DiskFile>) =>
    (err: NodeJS.ErrnoException | null, file: DiskFile): void => {
      if (err === null) paths.set(file, path)
      answer(got)(err, file)
    }
  const named = (file: DiskFile, err: Error): Error => Object.assign(err, { path: paths.get(file) })
  const about =
    (file: DiskFile, done: Done) =>
    (err: Error | null): void =>
      done(err === null ? null : named(file, err))
  return {
    create: (path, got) => open(path, 'wx+', 0o600, opened(path, got)),
    createSynced: (path, got) => {
      const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR | SYNCED_FLAG
      open(path, flags, 0o600, (err, file) => {
        if (err === null && SYNCED_FLAG === 0) syncedByHand.add(file)
        opened(path, got)(err, file)
      })
    },
    open: (path, mode, got) => open(path, mode, opened(path, got)),
    read: (file, pos, into, off, length, got) =>
      readFully(file, pos, into, off, length, (err, count) => {
        if (err !== null) got(named(file, err), null)
        else got(null, count)
      }),
    write: (file, pos, parts, done) => {
      const told = about(file, done)
      if (!syncedByHand.has(file)) return writeFully(file, pos, parts, told)
      writeFully(file, pos, parts, (err) => (err === null ? fdatasync(file, told) : told(err)))
    },
    sync: (file, done) => fdatasync(file, about(file, done)),
    truncate: (file, bytes, done) => ftruncate(file, bytes, about(file, done)),
    close: (file, done) => {
      syncedByHand.delete(file)
      const path = paths.get(file)
      paths.delete(file)
      close(file, (err) => done(err === null || err === undefined ? null : Object.assign(err, { path })))
    },
    size: (file, got) => fstat(file, (err, stats) => (err ? got(named(file, err), null) : got(null, stats.size))),
    rename: (from, to, done) =>
      rename(from, to, (err) => {
        if (err) return done(err)
        const folder = dirname(to)
        syncDir(folder, (failed) => {
          if (failed !== null || dirname(from) === folder) done(failed)
          else syncDir(dirname(from), done)
        })
      }),
    unlink,
    syncDir,
    list: (path, got) => readdir(path, answer(got)),
    mkdir: makeDir,
    isDir: (path, got) =>
      stat(path, (err, stats) => {
        if (!err) got(null, stats.isDirectory())
        else if (err.code === 'ENOENT') got(null, false)
        else got(err, null)
      }),
    room: (path, got) =>
      statfs(path, (err, stats) => {
        if (err !== null) return got(err, null)
        const { bavail, blocks, bsize, ffree, files } = stats
        // Without an inode there is no new file, whatever the blocks say. File systems without inodes count none.
        got(null, { freeBytes: files > 0 && ffree === 0 ? 0 : bavail * bsize, totalBytes: blocks * bsize })
      }),
    nowMs: () => performance.now(),
  }
}

function answer<T>(got: Got<T>): (err: NodeJS.ErrnoException | null, value: T) => void {
  return (err, value) => {
    if (err !== null) got(err, null)
    else got(null, value)
  }
}

function readFully(
  file: DiskFile,
  pos: number,
  into: Uint8Array,
  off: number,
  length: number,
  got: Got<number>,
  before = 0,
): void {
  if (length === 0) {
    got(null, before)
    return
  }
  read(file, into, off, length, pos, (err, count) => {
    if (err !== null) got(err, null)
    else if (count === 0) got(null, before + count)
    else readFully(file, pos + count, into, off + count, length - count, got, before + count)
  })
}

/** The kernel may take less than it was given (a signal, a nearly full disk): the rest goes again. */
function writeFully(file: DiskFile, pos: number, parts: Uint8Array[], done: Done): void {
  if (parts.length === 1) {
    const part = parts[0]!
    write(file, part, 0, part.length, pos, (err, count) => {
      if (err !== null) done(err)
      else if (count === part.length) done(null)
      else writeFully(file, pos + count, [part.subarray(count)], done)
    })
    return
  }
  writev(file, parts, pos, (err, count) => {
    if (err !== null) return done(err)
    let taken = count
    let index = 0
    while (index < parts.length && taken >= parts[index]!.length) taken -= parts[index++]!.length
    if (index === parts.length) return done(null)
    writeFully(file, pos + count, [parts[index]!.subarray(taken), ...parts.slice(index + 1)], done)
  })
}

function syncDir(path: string, done: Done): void {
  open(path, 'r', (err, file) => {
    if (err !== null) return done(err)
    fsync(file, (failed) => close(file, (closed) => done(failed ?? closed ?? null)))
  })
}

function makeDir(path: string, done: Done): void {
  mkdir(path, { recursive: true, mode: 0o700 }, (err, first) => {
    if (err !== null) return done(err)
    if (first === undefined) return done(null)
    const climb = (made: string): void => {
      const parent = dirname(made)
      syncDir(parent, (failed) => {
        if (failed !== null || made === first || parent === made) done(failed)
        else climb(parent)
      })
    }
    climb(path)
  })
}
