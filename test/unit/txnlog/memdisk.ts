/**
 * A disk in memory that keeps apart what was written, what was synced, and which names were synced.
 *
 * Every operation is one step; `crashAfter(n)` lets n more steps happen and then nothing ever answers again (of a
 * write that comes next, a part may have happened). What is left is decided by `afterPowerLoss` (each unsynced sector and name survives or not, by the given random source) or
 * `afterKill` (all that was written is there).
 */

import { dirname, join } from 'node:path'
import type { Disk, DiskFile, Done, Got } from '../../../src/txnlog/disk.ts'

const SECTOR_BYTES = 512

interface Inode {
  live: Uint8Array
  synced: Uint8Array
}

interface Handle {
  inode: Inode
  path: string
  /** Each write to it is followed by a sync. */
  synced: boolean
}

interface Folder {
  live: Map<string, Inode>
  synced: Map<string, Inode>
}

export type Fault = (step: string, path: string) => Error | null

export class MemDisk implements Disk {
  /** Steps taken so far. */
  steps: number
  /** Names of steps with their path, for tests of order. */
  readonly trace: string[]
  /** Says which step fails with which error. */
  fault: Fault
  /** Resolves at the crash. */
  readonly whenCrashed: Promise<'crashed'>
  private stepsLeft: number
  private tellCrashed: (value: 'crashed') => void
  private readonly folders: Map<string, Folder>
  private readonly open_: Map<DiskFile, Handle>
  private nextFile: number
  private clockMs: number

  constructor() {
    this.steps = 0
    this.trace = []
    this.fault = () => null
    this.stepsLeft = Number.POSITIVE_INFINITY
    this.tellCrashed = () => {}
    this.whenCrashed = new Promise((resolve) => {
      this.tellCrashed = resolve
    })
    this.folders = new Map()
    this.open_ = new Map()
    this.nextFile = 3
    this.clockMs = 0
  }

  crashAfter(steps: number): void {
    this.stepsLeft = steps
  }

  get crashed(): boolean {
    return this.stepsLeft < 0
  }

  /** Files open now; a leak shows here. */
  get openFiles(): string[] {
    return [...this.open_.values()].map((each) => each.path)
  }

  /** The disk as a new process finds it after the old one was killed. */
  afterKill(): MemDisk {
    const disk = new MemDisk()
    for (const [path, folder] of this.folders) {
      const files = new Map<string, Inode>()
      for (const [name, inode] of folder.live) files.set(name, { live: inode.live.slice(), synced: inode.synced })
      disk.folders.set(path, { live: files, synced: new Map(folder.synced) })
    }
    return disk
  }

  /** The disk after a loss of power; `random` answers in [0, 1). */
  afterPowerLoss(random: () => number): MemDisk {
    const disk = new MemDisk()
    for (const [path, folder] of this.folders) {
      const files = new Map<string, Inode>()
      for (const name of new Set([...folder.live.keys(), ...folder.synced.keys()])) {
        const live = folder.live.get(name)
        const synced = folder.synced.get(name)
        const inode = live === synced || random() < 0.5 ? synced : live
        if (inode === undefined) continue
        const left = survive(inode, random)
        files.set(name, { live: left, synced: left.slice() })
      }
      disk.folders.set(path, { live: files, synced: new Map(files) })
    }
    return disk
  }

  /** Puts a file there, durably. */
  put(path: string, bytes: Uint8Array): void {
    this.makeFolder(dirname(path))
    const folder = this.folders.get(dirname(path))!
    const inode = { live: bytes.slice(), synced: bytes.slice() }
    folder.live.set(nameOf(path), inode)
    folder.synced.set(nameOf(path), inode)
  }

  /** Content of a file as a reader sees it now. */
  get(path: string): Uint8Array | null {
    return this.folders.get(dirname(path))?.live.get(nameOf(path))?.live ?? null
  }

  names(path: string): string[] {
    return [...(this.folders.get(path)?.live.keys() ?? [])].sort()
  }

  create(path: string, got: Got<DiskFile>): void {
    this.createNew(path, false, got)
  }

  createSynced(path: string, got: Got<DiskFile>): void {
    this.createNew(path, true, got)
  }

  private createNew(path: string, synced: boolean, got: Got<DiskFile>): void {
    this.step('create', path, got, () => {
      const folder = this.folderOf(path)
      if (folder.live.has(nameOf(path))) throw systemError('EEXIST', path)
      const inode = { live: new Uint8Array(0), synced: new Uint8Array(0) }
      folder.live.set(nameOf(path), inode)
      return this.handle(inode, path, synced)
    })
  }

  open(path: string, _mode: 'r' | 'r+', got: Got<DiskFile>): void {
    this.step('open', path, got, () => this.handle(this.inode(path), path))
  }

  read(file: DiskFile, pos: number, into: Uint8Array, off: number, length: number, got: Got<number>): void {
    const { inode, path } = this.open_.get(file)!
    this.step('read', path, got, () => {
      const bytes = inode.live.subarray(pos, Math.min(pos + length, inode.live.length))
      into.set(bytes, off)
      return bytes.length
    })
  }

  write(file: DiskFile, pos: number, parts: Uint8Array[], done: Done): void {
    const { inode, path, synced } = this.open_.get(file)!
    const written: Done = synced ? (err) => (err === null ? this.sync(file, done) : done(err)) : done
    let end = pos
    for (const part of parts) end += part.length
    const put = (bytesMax: number): void => {
      const stop = Math.min(end, pos + bytesMax)
      if (stop > inode.live.length) inode.live = resized(inode.live, stop)
      let at = pos
      for (const part of parts) {
        if (at < stop) inode.live.set(part.subarray(0, stop - at), at)
        at += part.length
      }
    }
    this.step(
      'write',
      path,
      forget(written),
      () => put(end - pos),
      // A process killed inside the call has written some of it.
      () => put((this.steps * 7919) % (end - pos + 1)),
    )
  }

  sync(file: DiskFile, done: Done): void {
    const { inode, path } = this.open_.get(file)!
    this.step('sync', path, forget(done), () => {
      inode.synced = inode.live.slice()
    })
  }

  truncate(file: DiskFile, bytes: number, done: Done): void {
    const { inode, path } = this.open_.get(file)!
    this.step('truncate', path, forget(done), () => {
      inode.live = resized(inode.live, bytes)
    })
  }

  close(file: DiskFile, done: Done): void {
    const path = this.open_.get(file)!.path
    this.step('close', path, forget(done), () => {
      this.open_.delete(file)
    })
  }

  size(file: DiskFile, got: Got<number>): void {
    const { inode, path } = this.open_.get(file)!
    this.step('size', path, got, () => inode.live.length)
  }

  rename(from: string, to: string, done: Done): void {
    this.step('rename', from, forget(done, false), () => {
      const inode = this.inode(from)
      this.folderOf(from).live.delete(nameOf(from))
      this.folderOf(to).live.set(nameOf(to), inode)
      this.syncDir(dirname(to), done)
    })
  }

  unlink(path: string, done: Done): void {
    this.step('unlink', path, forget(done), () => {
      this.inode(path)
      this.folderOf(path).live.delete(nameOf(path))
    })
  }

  syncDir(path: string, done: Done): void {
    this.step('syncDir', path, forget(done), () => {
      const folder = this.folders.get(path)
      if (folder === undefined) throw systemError('ENOENT', path)
      folder.synced = new Map(folder.live)
    })
  }

  list(path: string, got: Got<string[]>): void {
    this.step('list', path, got, () => {
      const folder = this.folders.get(path)
      if (folder === undefined) throw systemError('ENOENT', path)
      return [...folder.live.keys()]
    })
  }

  mkdir(path: string, done: Done): void {
    this.step('mkdir', path, forget(done), () => this.makeFolder(path))
  }

  isDir(path: string, got: Got<boolean>): void {
    this.step('isDir', path, got, () => this.folders.has(path))
  }

  nowMs(): number {
    return this.clockMs++
  }

  private makeFolder(path: string): void {
    for (let at = path; !this.folders.has(at); at = dirname(at)) {
      this.folders.set(at, { live: new Map(), synced: new Map() })
    }
  }

  private folderOf(path: string): Folder {
    const folder = this.folders.get(dirname(path))
    if (folder === undefined) throw systemError('ENOENT', path)
    return folder
  }

  private inode(path: string): Inode {
    const inode = this.folderOf(path).live.get(nameOf(path))
    if (inode === undefined) throw systemError('ENOENT', path)
    return inode
  }

  private handle(inode: Inode, path: string, synced = false): DiskFile {
    this.open_.set(this.nextFile, { inode, path, synced })
    return this.nextFile++
  }

  private step<T>(name: string, path: string, got: Got<T>, run: () => T, runInPart: () => void = () => {}): void {
    setImmediate(() => {
      if (this.stepsLeft-- <= 0) {
        if (this.stepsLeft === -1) runInPart()
        this.tellCrashed('crashed')
        return
      }
      this.steps++
      this.trace.push(`${name} ${nameOf(path)}`)
      const fault = this.fault(name, path)
      let value: T
      try {
        if (fault !== null) throw fault
        value = run()
      } catch (err) {
        if (!(err instanceof Error)) throw err
        got(err, null)
        return
      }
      got(null, value)
    })
  }
}

/** An error as node:fs makes it. */
export function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

/** A small seeded generator (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export function pathIn(...parts: string[]): string {
  return join('/mem', ...parts)
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function forget(done: Done, answers = true): Got<void> {
  return (...[err]) => {
    if (err !== null || answers) done(err)
  }
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const changed = new Uint8Array(length)
  changed.set(bytes.subarray(0, length))
  return changed
}

/** What of a file survives: each sector old or new, and one of the two sizes. */
function survive(inode: Inode, random: () => number): Uint8Array {
  const { live, synced } = inode
  const left = new Uint8Array(random() < 0.5 ? live.length : synced.length)
  for (let at = 0; at < left.length; at += SECTOR_BYTES) {
    const from = random() < 0.5 ? live : synced
    left.set(from.subarray(at, Math.min(at + SECTOR_BYTES, left.length, Math.max(at, from.length))), at)
  }
  return left
}
