/**
 * Files in memory over an untouched set: what a run writes is its own, what it reads is shared and must not change.
 *
 * Answers at once, for speed. It loses nothing: what power takes away is another disk's business.
 */

import { dirname } from 'node:path'
import type { Disk, DiskFile, Done, Got } from '../../src/txnlog/disk.ts'

export class OverlayDisk implements Disk {
  private readonly files: Map<string, Uint8Array>
  private readonly folders: Set<string>
  private readonly open_: Map<DiskFile, string>
  private nextFile: number
  private clockMs: number

  /** `files`: by path; the bytes are borrowed and stay as they are. */
  constructor(files: Iterable<[path: string, bytes: Uint8Array]>) {
    this.files = new Map(files)
    this.folders = new Set()
    for (const path of this.files.keys()) this.addFolder(dirname(path))
    this.open_ = new Map()
    this.nextFile = 3
    this.clockMs = 0
  }

  /** Files open now. */
  get openCount(): number {
    return this.open_.size
  }

  get(path: string): Uint8Array | null {
    return this.files.get(path) ?? null
  }

  paths(): string[] {
    return [...this.files.keys()]
  }

  create(path: string, got: Got<DiskFile>): void {
    if (this.files.has(path)) {
      got(systemError('EEXIST', path), null)
    } else if (!this.folders.has(dirname(path))) {
      got(systemError('ENOENT', path), null)
    } else {
      this.files.set(path, new Uint8Array(0))
      got(null, this.handle(path))
    }
  }

  createSynced(path: string, got: Got<DiskFile>): void {
    this.create(path, got)
  }

  open(path: string, _mode: 'r' | 'r+', got: Got<DiskFile>): void {
    if (this.files.has(path)) got(null, this.handle(path))
    else got(systemError('ENOENT', path), null)
  }

  read(file: DiskFile, pos: number, into: Uint8Array, off: number, length: number, got: Got<number>): void {
    const bytes = this.bytesOf(file)
    const part = bytes.subarray(pos, Math.min(pos + length, bytes.length))
    into.set(part, off)
    got(null, part.length)
  }

  write(file: DiskFile, pos: number, parts: Uint8Array[], done: Done): void {
    let end = pos
    for (const part of parts) end += part.length
    const before = this.bytesOf(file)
    const bytes = new Uint8Array(Math.max(before.length, end))
    bytes.set(before)
    for (const part of parts) {
      bytes.set(part, pos)
      pos += part.length
    }
    this.files.set(this.open_.get(file)!, bytes)
    done(null)
  }

  sync(_file: DiskFile, done: Done): void {
    done(null)
  }

  truncate(file: DiskFile, bytes: number, done: Done): void {
    const resized = new Uint8Array(bytes)
    resized.set(this.bytesOf(file).subarray(0, bytes))
    this.files.set(this.open_.get(file)!, resized)
    done(null)
  }

  close(file: DiskFile, done: Done): void {
    this.open_.delete(file)
    done(null)
  }

  size(file: DiskFile, got: Got<number>): void {
    got(null, this.bytesOf(file).length)
  }

  rename(from: string, to: string, done: Done): void {
    const bytes = this.files.get(from)
    if (bytes !== undefined) {
      this.files.delete(from)
      this.files.set(to, bytes)
    }
    done(bytes === undefined ? systemError('ENOENT', from) : null)
  }

  unlink(path: string, done: Done): void {
    done(this.files.delete(path) ? null : systemError('ENOENT', path))
  }

  syncDir(_path: string, done: Done): void {
    done(null)
  }

  list(path: string, got: Got<string[]>): void {
    if (!this.folders.has(path)) {
      got(systemError('ENOENT', path), null)
      return
    }
    const names: string[] = []
    for (const each of this.files.keys()) if (dirname(each) === path) names.push(each.slice(path.length + 1))
    got(null, names)
  }

  mkdir(path: string, done: Done): void {
    this.addFolder(path)
    done(null)
  }

  isDir(path: string, got: Got<boolean>): void {
    got(null, this.folders.has(path))
  }

  nowMs(): number {
    return this.clockMs++
  }

  private addFolder(path: string): void {
    for (let at = path; !this.folders.has(at); at = dirname(at)) this.folders.add(at)
  }

  private handle(path: string): DiskFile {
    this.open_.set(this.nextFile, path)
    return this.nextFile++
  }

  private bytesOf(file: DiskFile): Uint8Array {
    const path = this.open_.get(file)
    const bytes = path === undefined ? undefined : this.files.get(path)
    if (bytes === undefined) throw new Error('a call on a file that is not open')
    return bytes
  }
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
