/**
 * Files of a data directory held as they are at one moment, while a server goes on working there: each is open, so it
 * stays readable when a purge removes its name, and none is longer than it was when it was opened (a preallocated log
 * still fills up). To its users the folders hold these files and no others. Nothing can be changed through it.
 *
 * Files of this kind only grow at their end, and a log that has a successor does not grow any more. So whoever opens
 * them in the order of their names has a history without a hole.
 */

import { basename, dirname } from 'node:path'
import { type Disk, type DiskFile, type Done, type Got, later, laterDone } from '../txnlog/disk.ts'

interface Pinned {
  readonly file: DiskFile
  readonly bytes: number
}

export class PinnedDisk implements Disk {
  private readonly base: Disk
  private readonly byPath: Map<string, Pinned>
  private readonly bytesOf: Map<DiskFile, number>
  private readonly pinnedFiles: string[]

  constructor(base: Disk) {
    this.base = base
    this.byPath = new Map()
    this.bytesOf = new Map()
    this.pinnedFiles = []
  }

  /** Rejects with ENOENT where the file has gone meanwhile. */
  async pin(path: string): Promise<void> {
    const file = await later<DiskFile>((got) => this.base.open(path, 'r', got))
    const bytes = await later<number>((got) => this.base.size(file, got))
    this.byPath.set(path, { file, bytes })
    this.bytesOf.set(file, bytes)
    this.pinnedFiles.push(`${path} ${bytes}`)
  }

  /** Equal for equal files of equal sizes, also after their release. */
  fingerprint(): string {
    return this.pinnedFiles.join('\n')
  }

  async release(): Promise<void> {
    for (const { file } of this.byPath.values()) await laterDone((done) => this.base.close(file, done))
    this.byPath.clear()
    this.bytesOf.clear()
  }

  open(path: string, _mode: 'r' | 'r+', got: Got<DiskFile>): void {
    const pinned = this.byPath.get(path)
    if (pinned === undefined) got(refusal('ENOENT', path), null)
    else got(null, pinned.file)
  }

  read(file: DiskFile, pos: number, into: Uint8Array, off: number, length: number, got: Got<number>): void {
    const left = Math.max(0, this.bytesOf.get(file)! - pos)
    this.base.read(file, pos, into, off, Math.min(length, left), got)
  }

  size(file: DiskFile, got: Got<number>): void {
    got(null, this.bytesOf.get(file)!)
  }

  close(_file: DiskFile, done: Done): void {
    done(null)
  }

  list(path: string, got: Got<string[]>): void {
    got(
      null,
      [...this.byPath.keys()].filter((each) => dirname(each) === path).map((each) => basename(each)),
    )
  }

  isDir(_path: string, got: Got<boolean>): void {
    got(null, true)
  }

  nowMs(): number {
    return this.base.nowMs()
  }

  create(path: string, got: Got<DiskFile>): void {
    got(refusal('EROFS', path), null)
  }

  createSynced(path: string, got: Got<DiskFile>): void {
    this.create(path, got)
  }

  write(_file: DiskFile, _pos: number, _parts: Uint8Array[], done: Done): void {
    done(refusal('EROFS', ''))
  }

  sync(_file: DiskFile, done: Done): void {
    done(refusal('EROFS', ''))
  }

  truncate(_file: DiskFile, _bytes: number, done: Done): void {
    done(refusal('EROFS', ''))
  }

  rename(from: string, _to: string, done: Done): void {
    done(refusal('EROFS', from))
  }

  unlink(path: string, done: Done): void {
    done(refusal('EROFS', path))
  }

  syncDir(path: string, done: Done): void {
    done(refusal('EROFS', path))
  }

  mkdir(path: string, done: Done): void {
    done(refusal('EROFS', path))
  }
}

function refusal(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: these files can only be read, '${path}'`), { code })
}
