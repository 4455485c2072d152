/**
 * A disk that nothing happens to: reads are real, changes are only remembered. A server's own start can be run on it to
 * learn how it would end, and what it would do to the files.
 *
 * What was removed is gone and what was made is there for whoever lists a folder later; the bytes of new files are not
 * kept, and what was cut is not shorter. Recovery reads nothing that it has written itself.
 */

import { basename, dirname, join } from 'node:path'
import { assert } from '../jute/assert.ts'
import type { Disk, DiskFile, Done, Got } from '../txnlog/disk.ts'

/** Handles of files that exist here only. */
const FIRST_HANDLE = -2

export class DryDisk implements Disk {
  /** What would have been done, in the order it would have happened. */
  readonly changes: { what: 'make' | 'cut' | 'move' | 'remove'; path: string; bytes: number }[]
  private readonly base: Disk
  private readonly removed: Set<string>
  private readonly made: Set<string>
  private readonly folders: Set<string>
  private readonly writing: Map<DiskFile, string>
  private nextHandle: DiskFile

  constructor(base: Disk) {
    this.changes = []
    this.base = base
    this.removed = new Set()
    this.made = new Set()
    this.folders = new Set()
    this.writing = new Map()
    this.nextHandle = FIRST_HANDLE
  }

  create(path: string, got: Got<DiskFile>): void {
    const handle = this.nextHandle--
    this.writing.set(handle, path)
    this.made.add(path)
    this.removed.delete(path)
    got(null, handle)
  }

  createSynced(path: string, got: Got<DiskFile>): void {
    this.create(path, got)
  }

  open(path: string, mode: 'r' | 'r+', got: Got<DiskFile>): void {
    if (this.removed.has(path)) {
      got(missing(path), null)
      return
    }
    assert(!this.made.has(path), 'nobody reads back what was only pretended')
    this.base.open(path, 'r', (...result) => {
      if (result[0] === null && mode === 'r+') this.writing.set(result[1], path)
      got(...result)
    })
  }

  read(file: DiskFile, pos: number, into: Uint8Array, off: number, length: number, got: Got<number>): void {
    this.base.read(file, pos, into, off, length, got)
  }

  write(_file: DiskFile, _pos: number, _parts: Uint8Array[], done: Done): void {
    done(null)
  }

  sync(_file: DiskFile, done: Done): void {
    done(null)
  }

  truncate(file: DiskFile, bytes: number, done: Done): void {
    if (file >= 0) this.changes.push({ what: 'cut', path: this.writing.get(file)!, bytes })
    done(null)
  }

  close(file: DiskFile, done: Done): void {
    this.writing.delete(file)
    if (file <= FIRST_HANDLE) done(null)
    else this.base.close(file, done)
  }

  size(file: DiskFile, got: Got<number>): void {
    this.base.size(file, got)
  }

  rename(from: string, to: string, done: Done): void {
    if (this.made.delete(from)) this.changes.push({ what: 'make', path: to, bytes: 0 })
    else {
      this.removed.add(from)
      this.changes.push({ what: 'move', path: `${from} to ${to}`, bytes: 0 })
    }
    this.made.add(to)
    this.removed.delete(to)
    done(null)
  }

  unlink(path: string, done: Done): void {
    if (this.made.delete(path)) {
      done(null)
      return
    }
    this.list(dirname(path), (err, names) => {
      if (err !== null || !names.includes(basename(path))) {
        done(err ?? missing(path))
        return
      }
      this.removed.add(path)
      this.changes.push({ what: 'remove', path, bytes: 0 })
      done(null)
    })
  }

  syncDir(_path: string, done: Done): void {
    done(null)
  }

  list(path: string, got: Got<string[]>): void {
    if (this.folders.has(path)) {
      got(null, this.madeIn(path))
      return
    }
    this.base.list(path, (err, names) => {
      if (err !== null) {
        got(err, null)
        return
      }
      const real = names.filter((name) => !this.removed.has(join(path, name)))
      got(null, [...new Set([...real, ...this.madeIn(path)])])
    })
  }

  mkdir(path: string, done: Done): void {
    this.folders.add(path)
    this.changes.push({ what: 'make', path, bytes: 0 })
    done(null)
  }

  isDir(path: string, got: Got<boolean>): void {
    if (this.folders.has(path)) got(null, true)
    else this.base.isDir(path, got)
  }

  nowMs(): number {
    return this.base.nowMs()
  }

  private madeIn(folder: string): string[] {
    return [...this.made].filter((path) => dirname(path) === folder).map((path) => basename(path))
  }
}

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file or directory, '${path}'`), { code: 'ENOENT' })
}
