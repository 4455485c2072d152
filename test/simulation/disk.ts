/**
 * A machine's disk: what a reader sees now, what a loss of power leaves, and how long each call takes.
 *
 * Bytes of a file become durable by `sync`, names by `syncDir` of their folder (`rename` and `mkdir` include it).
 * Between two syncs every written sector survives a loss of power, or not, on its own; so does a change of size, and so
 * does every name. A killed process loses nothing that it had written; of the call under way a part may have happened.
 * Calls are answered as happenings of the timeline; those of a process that is gone are never answered.
 */

import { dirname } from 'node:path'
import type { Disk, DiskFile, Done, Got } from '../../src/txnlog/disk.ts'
import type { Random } from './random.ts'
import type { Timeline } from './timeline.ts'

const SECTOR_BYTES = 512

interface Written {
  pos: number
  bytes: Uint8Array
}

interface Inode {
  live: Uint8Array
  liveBytes: number
  durable: Uint8Array
  durableBytes: number
  /** Since the last sync, in order: bytes written, or a new size. */
  changes: (Written | number)[]
  /** Changes before those: they are durable. */
  changesBefore: number
}

interface Folder {
  live: Map<string, Inode>
  durable: Map<string, Inode>
  /** `live` is not what `durable` is. */
  changed: boolean
}

/** A call that was made and is not answered. */
interface Call {
  step: string
  path: string
  run: () => void
}

/** Says which step fails with which code of the system; null: none. */
export type Fault = (step: string, path: string) => string | null

export class SimDisk {
  /** Bytes that files may take together. */
  capacityBytes: number
  /** Added to each sync, in µs. */
  syncDelayUs: number
  fault: Fault
  /** Steps by name, for the summary. */
  readonly random: Random
  readonly timeline: Timeline
  private folders: Map<string, Folder>

  constructor(timeline: Timeline, random: Random) {
    this.timeline = timeline
    this.random = random
    this.capacityBytes = Number.POSITIVE_INFINITY
    this.syncDelayUs = 0
    this.fault = () => null
    this.folders = new Map()
  }

  /** Puts a file there, durably; for what stands there before the first start. */
  put(path: string, bytes: Uint8Array): void {
    this.makeFolder(dirname(path))
    const folder = this.folderOf(path)
    const inode = newInode()
    writeLive(inode, 0, bytes)
    makeDurable(inode, inode.changes.length)
    folder.live.set(nameOf(path), inode)
    folder.durable.set(nameOf(path), inode)
  }

  /** A file as a reader sees it; null where there is none. */
  get(path: string): Uint8Array | null {
    const inode = this.folders.get(dirname(path))?.live.get(nameOf(path))
    return inode === undefined ? null : inode.live.slice(0, inode.liveBytes)
  }

  /** Names in a folder, sorted. */
  names(path: string): string[] {
    return [...(this.folders.get(path)?.live.keys() ?? [])].sort()
  }

  /** Flips one bit of a file, in what is live and in what is durable. */
  flip(path: string, byte: number, bit: number): void {
    const inode = this.inode(path)
    inode.live[byte]! ^= 1 << bit
    if (byte < inode.durableBytes) inode.durable[byte]! ^= 1 << bit
  }

  /** Files of a folder are gone, durably. */
  removeBelow(path: string): void {
    this.folders.delete(path)
  }

  get usedBytes(): number {
    let bytes = 0
    for (const folder of this.folders.values()) for (const inode of folder.live.values()) bytes += inode.liveBytes
    return bytes
  }

  /** The power goes: what was not synced survives in parts, drawn anew for each sector and name. */
  losePower(): void {
    const { random } = this
    // Nothing, anything, or all of what was not synced; the middle is the wildest, the ends are the commonest.
    const share = random.pick([0, 0.5, 0.5, 0.9, 1])
    for (const folder of this.folders.values()) {
      const files = new Map<string, Inode>()
      for (const name of new Set([...folder.live.keys(), ...folder.durable.keys()])) {
        const live = folder.live.get(name)
        const durable = folder.durable.get(name)
        const inode = live === durable || !random.chance(share) ? durable : live
        if (inode !== undefined) files.set(name, inode)
      }
      folder.live = files
      folder.durable = new Map(files)
      folder.changed = false
    }
    const seen = new Set<Inode>()
    for (const folder of this.folders.values()) {
      for (const inode of folder.live.values()) {
        if (seen.has(inode)) continue
        seen.add(inode)
        survive(inode, random, share)
      }
    }
  }

  // ------------------------------------------------------------------ what calls do

  hasFolder(path: string): boolean {
    return this.folders.has(path)
  }

  makeFolder(path: string): void {
    if (this.folders.has(path)) return
    const parent = dirname(path)
    if (parent !== path) this.makeFolder(parent)
    this.folders.set(path, { live: new Map(), durable: new Map(), changed: false })
  }

  folderOf(path: string): Folder {
    return this.folder(dirname(path))
  }

  folder(path: string): Folder {
    const folder = this.folders.get(path)
    if (folder === undefined) throw systemError('ENOENT', path)
    return folder
  }

  inode(path: string): Inode {
    const inode = this.folderOf(path).live.get(nameOf(path))
    if (inode === undefined) throw systemError('ENOENT', path)
    return inode
  }
}

/** One process's way to its machine's disk. `input` runs an answer as an input of that process. */
export class DiskPort implements Disk {
  private readonly disk: SimDisk
  private readonly input: (run: () => void) => void
  private readonly files: Map<DiskFile, { inode: Inode; path: string; synced: boolean }>
  private readonly underWay: Set<Call>
  private nextFile: number
  private gone: boolean

  constructor(disk: SimDisk, input: (run: () => void) => void) {
    this.disk = disk
    this.input = input
    this.files = new Map()
    this.underWay = new Set()
    this.nextFile = 3
    this.gone = false
  }

  /** The process has ended: nothing is answered any more, and of what was under way some has happened. */
  end(): void {
    this.gone = true
    for (const call of this.underWay) {
      if (!this.disk.random.chance(0.5)) continue
      try {
        call.run()
      } catch {
        // It would have failed; nobody is there to be told.
      }
    }
    this.underWay.clear()
  }

  nowMs(): number {
    return this.disk.timeline.nowUs / 1000
  }

  create(path: string, got: Got<DiskFile>): void {
    this.createNew(path, false, got)
  }

  createSynced(path: string, got: Got<DiskFile>): void {
    this.createNew(path, true, got)
  }

  private createNew(path: string, synced: boolean, got: Got<DiskFile>): void {
    this.step('create', path, got, () => {
      const folder = this.disk.folderOf(path)
      if (folder.live.has(nameOf(path))) throw systemError('EEXIST', path)
      const inode = newInode()
      folder.live.set(nameOf(path), inode)
      folder.changed = true
      return this.handle(inode, path, synced)
    })
  }

  open(path: string, _mode: 'r' | 'r+', got: Got<DiskFile>): void {
    this.step('open', path, got, () => this.handle(this.disk.inode(path), path))
  }

  read(file: DiskFile, pos: number, into: Uint8Array, off: number, length: number, got: Got<number>): void {
    const { inode, path } = this.files.get(file)!
    this.step('read', path, got, () => {
      const end = Math.min(pos + length, inode.liveBytes)
      if (end <= pos) return 0
      into.set(inode.live.subarray(pos, end), off)
      return end - pos
    })
  }

  write(file: DiskFile, pos: number, parts: Uint8Array[], done: Done): void {
    const { inode, path, synced } = this.files.get(file)!
    const written: Done = synced ? (err) => (err === null ? this.sync(file, done) : done(err)) : done
    let length = 0
    for (const part of parts) length += part.length
    const take = (bytesMax: number): void => {
      const bytes = new Uint8Array(bytesMax)
      let at = 0
      for (const part of parts) {
        if (at < bytesMax) bytes.set(part.subarray(0, bytesMax - at), at)
        at += part.length
      }
      writeLive(inode, pos, bytes)
    }
    const run = (): void => {
      const growth = Math.max(0, pos + length - inode.liveBytes)
      if (this.gone) {
        take(this.disk.random.int(length + 1))
        return
      }
      const room = Math.max(0, this.disk.capacityBytes - this.disk.usedBytes)
      if (growth > room) {
        take(Math.max(0, length - growth + room))
        throw systemError('ENOSPC', path)
      }
      take(length)
    }
    this.step('write', path, forget(written), run)
  }

  sync(file: DiskFile, done: Done): void {
    const { inode, path } = this.files.get(file)!
    const upTo = inode.changesBefore + inode.changes.length
    this.step('sync', path, forget(done), () => makeDurable(inode, upTo - inode.changesBefore))
  }

  truncate(file: DiskFile, bytes: number, done: Done): void {
    const { inode, path } = this.files.get(file)!
    this.step('truncate', path, forget(done), () => resizeLive(inode, bytes))
  }

  close(file: DiskFile, done: Done): void {
    const { path } = this.files.get(file)!
    this.step('close', path, forget(done), () => {
      this.files.delete(file)
    })
  }

  size(file: DiskFile, got: Got<number>): void {
    const { inode, path } = this.files.get(file)!
    this.step('size', path, got, () => inode.liveBytes)
  }

  rename(from: string, to: string, done: Done): void {
    this.step('rename', from, forget(done), () => {
      const inode = this.disk.inode(from)
      const source = this.disk.folderOf(from)
      const target = this.disk.folderOf(to)
      source.live.delete(nameOf(from))
      target.live.set(nameOf(to), inode)
      source.changed = true
      target.changed = true
      // Under way when the process ended: it has happened, and nothing says that it is durable.
      if (this.gone) return
      syncNames(target)
      syncNames(source)
    })
  }

  unlink(path: string, done: Done): void {
    this.step('unlink', path, forget(done), () => {
      this.disk.inode(path)
      const folder = this.disk.folderOf(path)
      folder.live.delete(nameOf(path))
      folder.changed = true
    })
  }

  syncDir(path: string, done: Done): void {
    this.step('syncDir', path, forget(done), () => syncNames(this.disk.folder(path)))
  }

  list(path: string, got: Got<string[]>): void {
    this.step('list', path, got, () => [...this.disk.folder(path).live.keys()].sort())
  }

  mkdir(path: string, done: Done): void {
    this.step('mkdir', path, forget(done), () => this.disk.makeFolder(path))
  }

  isDir(path: string, got: Got<boolean>): void {
    this.step('isDir', path, got, () => this.disk.hasFolder(path))
  }

  private handle(inode: Inode, path: string, synced = false): DiskFile {
    this.files.set(this.nextFile, { inode, path, synced })
    return this.nextFile++
  }

  private step<T>(name: string, path: string, got: Got<T>, run: () => T): void {
    if (this.gone) return
    const { disk } = this
    const call: Call = { step: name, path, run }
    if (name !== 'read' && name !== 'close' && name !== 'open') this.underWay.add(call)
    let us = disk.random.between(5, 60)
    if (name === 'sync' || name === 'syncDir' || name === 'rename')
      us += disk.random.between(100, 2000) + disk.syncDelayUs
    disk.timeline.after(us, () => {
      if (this.gone) return
      this.underWay.delete(call)
      const code = disk.fault(name, path)
      let value: T
      try {
        if (code !== null) throw systemError(code, path)
        value = run()
      } catch (err) {
        if (!(err instanceof Error) || !('code' in err)) throw err
        this.input(() => got(err, null))
        return
      }
      this.input(() => got(null, value))
    })
  }
}

/** An error as node:fs makes it. */
export function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function forget(done: Done): Got<void> {
  return (...[err]) => done(err)
}

function syncNames(folder: Folder): void {
  if (!folder.changed) return
  folder.changed = false
  folder.durable = new Map(folder.live)
}

function newInode(): Inode {
  return {
    live: new Uint8Array(0),
    liveBytes: 0,
    durable: new Uint8Array(0),
    durableBytes: 0,
    changes: [],
    changesBefore: 0,
  }
}

function writeLive(inode: Inode, pos: number, bytes: Uint8Array): void {
  inode.live = grown(inode.live, pos + bytes.length)
  inode.live.set(bytes, pos)
  inode.liveBytes = Math.max(inode.liveBytes, pos + bytes.length)
  inode.changes.push({ pos, bytes })
}

function resizeLive(inode: Inode, bytes: number): void {
  inode.live = resized(inode.live, inode.liveBytes, bytes)
  inode.liveBytes = bytes
  inode.changes.push(bytes)
}

/** The oldest `count` changes are on the platter now. */
function makeDurable(inode: Inode, count: number): void {
  if (count <= 0) return
  inode.changesBefore += count
  for (const change of inode.changes.splice(0, count)) {
    if (typeof change === 'number') {
      inode.durable = resized(inode.durable, inode.durableBytes, change)
      inode.durableBytes = change
    } else {
      inode.durable = grown(inode.durable, change.pos + change.bytes.length)
      inode.durable.set(change.bytes, change.pos)
      inode.durableBytes = Math.max(inode.durableBytes, change.pos + change.bytes.length)
    }
  }
}

/** After a loss of power: the durable bytes, and `share` of the sectors and sizes that were not. */
function survive(inode: Inode, random: Random, share: number): void {
  inode.changesBefore += inode.changes.length
  for (const change of inode.changes.splice(0)) {
    if (typeof change === 'number') {
      if (!random.chance(share)) continue
      inode.durable = resized(inode.durable, inode.durableBytes, change)
      inode.durableBytes = change
      continue
    }
    const { pos, bytes } = change
    const end = pos + bytes.length
    // A file whose longer size is lost has lost what was written behind its old end.
    if (end > inode.durableBytes && random.chance(share)) {
      inode.durable = grown(inode.durable, end)
      inode.durableBytes = end
    }
    for (let at = pos; at < Math.min(end, inode.durableBytes); ) {
      const stop = Math.min(end, inode.durableBytes, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES)
      if (random.chance(share)) inode.durable.set(bytes.subarray(at - pos, stop - pos), at)
      at = stop
    }
  }
  inode.live = inode.durable.slice()
  inode.liveBytes = inode.durableBytes
}

/** At least so many bytes of room; what is new is zero. */
function grown(bytes: Uint8Array, length: number): Uint8Array {
  if (length <= bytes.length) return bytes
  const bigger = new Uint8Array(Math.max(length, bytes.length * 2, 256))
  bigger.set(bytes)
  return bigger
}

function resized(bytes: Uint8Array, before: number, after: number): Uint8Array {
  if (after > before) return grown(bytes, after)
  bytes.fill(0, after, before)
  return bytes
}
