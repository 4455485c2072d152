/**
 * What a disk keeps: what a reader sees now (the kernel's memory), what is durable, and every change in between.
 *
 *   file     bytes as a reader sees them | durable bytes | changes since the last sync, in order: sectors, sizes
 *   folder   names as a reader sees them | durable names | changes since its last sync, in order: name -> file or none
 *
 * A sync makes a file's changes durable, never its name. A loss of power lets any of what was not synced survive, each
 * sector, size and name on its own and so in any order: a rename may be there with both of its names, or with neither.
 * A killed process loses nothing that it had written.
 *
 * A sync that fails does what Linux does: dirty sectors count as clean, whether they were stored or not. Readers go on
 * seeing them, a later sync succeeds without them, and a loss of power shows that they were never there.
 *
 * Files are known by number, so that the same call can be made on a copy of the disk.
 */

import { dirname } from 'node:path'
import { Content } from './content.ts'
import type { Survival } from './survival.ts'

/** Disks store this much or nothing. */
export const SECTOR_BYTES = 512

export type FileId = number

/** Whole sectors as they were behind one write, or a new size. */
type Change = { readonly pos: number; readonly bytes: Uint8Array } | { readonly size: number }

interface Inode {
  live: Content
  durable: Content
  changes: Change[]
  /** Changes before those: they are not dirty any more. */
  changesBefore: number
}

interface Folder {
  live: Map<string, FileId>
  durable: Map<string, FileId>
  changes: { readonly name: string; readonly file: FileId | null }[]
}

export class Platter {
  /** Bytes that files may take together. Zeros that were never written take none. */
  capacityBytes: number
  private readonly folders: Map<string, Folder>
  private readonly inodes: Map<FileId, Inode>
  private nextId: FileId

  constructor() {
    this.capacityBytes = Number.POSITIVE_INFINITY
    this.folders = new Map()
    this.inodes = new Map()
    this.nextId = 1
  }

  // ------------------------------------------------------------------ from outside

  /** Puts a file there, durably. */
  put(path: string, bytes: Uint8Array): void {
    this.makeFolder(dirname(path))
    const folder = this.folder(dirname(path))
    const id = this.newFile()
    const inode = this.inodes.get(id)!
    inode.live.write(0, bytes)
    inode.durable = inode.live.copy()
    for (const names of [folder.live, folder.durable]) names.set(nameOf(path), id)
  }

  /** A file as a reader sees it; null where there is none. */
  get(path: string): Uint8Array | null {
    const id = this.folders.get(dirname(path))?.live.get(nameOf(path))
    return id === undefined ? null : this.inodes.get(id)!.live.slice()
  }

  /** Names in a folder, sorted; none where there is no folder. */
  names(path: string): string[] {
    return [...(this.folders.get(path)?.live.keys() ?? [])].sort()
  }

  /** Bits rot: in the kernel's memory too, so that a reader sees it now. */
  flip(path: string, byte: number, bit: number): void {
    const inode = this.inode(this.find(path))
    for (const content of [inode.live, inode.durable]) {
      const one = content.slice(byte, byte + 1)
      if (one.length === 0) continue
      one[0]! ^= 1 << bit
      content.write(byte, one)
    }
  }

  /** The files of a folder are gone, durably. */
  removeBelow(path: string): void {
    this.folders.delete(path)
  }

  get usedBytes(): number {
    let bytes = 0
    for (const folder of this.folders.values()) {
      for (const id of folder.live.values()) bytes += this.inodes.get(id)!.live.used
    }
    return bytes
  }

  /** Another disk with the same content, dirty or not. Files without a name are left out. */
  copy(): Platter {
    const copy = new Platter()
    copy.capacityBytes = this.capacityBytes
    copy.nextId = this.nextId
    for (const [path, folder] of this.folders) {
      const { live, durable, changes } = folder
      copy.folders.set(path, { live: new Map(live), durable: new Map(durable), changes: [...changes] })
      for (const id of [...live.values(), ...durable.values(), ...changes.map(({ file }) => file)]) {
        if (id === null || copy.inodes.has(id)) continue
        const inode = this.inodes.get(id)!
        copy.inodes.set(id, {
          live: inode.live.copy(),
          durable: inode.durable.copy(),
          changes: [...inode.changes],
          changesBefore: inode.changesBefore,
        })
      }
    }
    return copy
  }

  /** What was not synced survives as `survival` says; nothing is dirty afterwards, and no file is open. */
  losePower(survival: Survival): void {
    const left = new Set<FileId>()
    for (const folder of this.folders.values()) {
      for (const { name, file } of folder.changes.splice(0)) {
        if (survival.keeps()) setName(folder.durable, name, file)
      }
      folder.live = new Map(folder.durable)
      for (const id of folder.live.values()) left.add(id)
    }
    for (const id of left) {
      const inode = this.inodes.get(id)!
      inode.changesBefore += inode.changes.length
      for (const change of inode.changes.splice(0)) keepSome(inode.durable, change, survival)
      inode.live = inode.durable.copy()
    }
    for (const id of this.inodes.keys()) if (!left.has(id)) this.inodes.delete(id)
  }

  // ------------------------------------------------------------------ what calls do

  create(path: string): FileId {
    const folder = this.folder(dirname(path))
    if (folder.live.has(nameOf(path))) throw systemError('EEXIST', path)
    const id = this.newFile()
    changeName(folder, nameOf(path), id)
    return id
  }

  find(path: string): FileId {
    const id = this.folder(dirname(path)).live.get(nameOf(path))
    if (id === undefined) throw systemError('ENOENT', path)
    return id
  }

  read(id: FileId, pos: number, into: Uint8Array, off: number, length: number): number {
    return this.inode(id).live.read(pos, into, off, length)
  }

  /** Writes as much as there is room for; false where that was not all. */
  write(id: FileId, pos: number, bytes: Uint8Array): boolean {
    const inode = this.inode(id)
    const growth = Math.max(0, pos + bytes.length - inode.live.used)
    let count = bytes.length
    if (this.capacityBytes < Number.POSITIVE_INFINITY) {
      const missing = growth - Math.max(0, this.capacityBytes - this.usedBytes)
      count -= Math.max(0, Math.min(missing, bytes.length))
    }
    if (count > 0) writeSome(inode, pos, bytes.subarray(0, count))
    return count === bytes.length
  }

  resize(id: FileId, bytes: number): void {
    const inode = this.inode(id)
    inode.live.resize(bytes)
    inode.changes.push({ size: bytes })
  }

  size(id: FileId): number {
    return this.inode(id).live.length
  }

  /** So many changes were ever made to a file: what a sync that begins now has to store. */
  changesOf(id: FileId): number {
    const inode = this.inode(id)
    return inode.changesBefore + inode.changes.length
  }

  /** The changes up to number `upTo` are durable. */
  sync(id: FileId, upTo = this.changesOf(id)): void {
    const inode = this.inode(id)
    const count = Math.max(0, upTo - inode.changesBefore)
    inode.changesBefore += count
    for (const change of inode.changes.splice(0, count)) {
      if ('size' in change) inode.durable.resize(change.size)
      else inode.durable.write(change.pos, change.bytes)
    }
  }

  /** A sync has failed: of the dirty sectors `survival` is stored, and none is dirty any more. Sizes stay as they are. */
  failSync(id: FileId, survival: Survival): void {
    const inode = this.inode(id)
    const sizes: Change[] = []
    for (const change of inode.changes) {
      if ('size' in change) sizes.push(change)
      else keepSome(inode.durable, change, survival)
    }
    inode.changesBefore += inode.changes.length - sizes.length
    inode.changes = sizes
  }

  /** Atomic for readers; durable only with both folders. */
  rename(from: string, to: string): void {
    const id = this.find(from)
    const target = this.folder(dirname(to))
    changeName(this.folder(dirname(from)), nameOf(from), null)
    changeName(target, nameOf(to), id)
  }

  unlink(path: string): void {
    this.find(path)
    changeName(this.folder(dirname(path)), nameOf(path), null)
  }

  syncNames(path: string): void {
    const folder = this.folder(path)
    for (const { name, file } of folder.changes.splice(0)) setName(folder.durable, name, file)
  }

  list(path: string): string[] {
    return [...this.folder(path).live.keys()].sort()
  }

  hasFolder(path: string): boolean {
    return this.folders.has(path)
  }

  /** With its missing parents, durably. */
  makeFolder(path: string): void {
    if (this.folders.has(path)) return
    if (dirname(path) !== path) this.makeFolder(dirname(path))
    this.folders.set(path, { live: new Map(), durable: new Map(), changes: [] })
  }

  private newFile(): FileId {
    const id = this.nextId++
    this.inodes.set(id, { live: new Content(), durable: new Content(), changes: [], changesBefore: 0 })
    return id
  }

  private inode(id: FileId): Inode {
    const inode = this.inodes.get(id)
    if (inode === undefined) throw systemError('EBADF', `file ${id}`)
    return inode
  }

  private folder(path: string): Folder {
    const folder = this.folders.get(path)
    if (folder === undefined) throw systemError('ENOENT', path)
    return folder
  }
}

/** An error as node:fs makes it. */
export function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code, path })
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function setName(names: Map<string, FileId>, name: string, file: FileId | null): void {
  if (file === null) names.delete(name)
  else names.set(name, file)
}

function changeName(folder: Folder, name: string, file: FileId | null): void {
  setName(folder.live, name, file)
  folder.changes.push({ name, file })
}

function writeSome(inode: Inode, pos: number, bytes: Uint8Array): void {
  const { live, changes } = inode
  const end = pos + bytes.length
  const longer = end > live.length
  live.write(pos, bytes)
  if (longer) changes.push({ size: end })
  // Sectors are stored as they are in the kernel's memory: with all that other writes have left in them.
  const from = pos - (pos % SECTOR_BYTES)
  changes.push({ pos: from, bytes: live.slice(from, Math.ceil(end / SECTOR_BYTES) * SECTOR_BYTES) })
}

function keepSome(durable: Content, change: Change, survival: Survival): void {
  if ('size' in change) {
    if (survival.keeps()) durable.resize(change.size)
    return
  }
  const { pos, bytes } = change
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
    const sector = bytes.subarray(at, at + SECTOR_BYTES)
    const count = survival.keepsOf(sector.length)
    // A file whose longer size is lost has lost what was written behind its old end.
    const room = Math.max(0, durable.length - pos - at)
    if (count > 0 && room > 0) durable.write(pos + at, sector.subarray(0, Math.min(count, room)))
  }
}
