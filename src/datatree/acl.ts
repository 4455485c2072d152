/**
 * ACL lists, interned: a znode holds an id, equal lists share one. Java: ReferenceCountedACLCache.
 *
 * Ids count up from 1 and are never used again, not even after a list's last reference went: a fuzzy snapshot may hold
 * an id whose list left the table meanwhile, and replay must not find another list there. -1 stands for the open list
 * (world:anyone, all) without an entry. Java gives it to the root, /zookeeper and /zookeeper/quota, and to a null list;
 * the same list sent by a client is interned like any other. Ids are local to a server: they are not replicated.
 *
 * A list is kept as jute's vector<ACL>, in the bytes Java writes, which makes equal lists equal bytes. Read back, an id is
 * what it was, beyond U+FFFF as well, which Java's is not. `intern` of a known list allocates nothing.
 */

import { assert } from '../jute/assert.ts'
import { StorageError } from '../jute/errors.ts'
import { Input, readInt } from '../jute/input.ts'
import { Output } from '../jute/output.ts'
import { hashBytes } from './pathindex.ts'

export interface AclEntry {
  readonly perms: number
  readonly scheme: string
  readonly id: string
}

export type AclId = number

export const OPEN_ACL_ID: AclId = -1
export const OPEN_ACL: readonly AclEntry[] = [{ perms: 31, scheme: 'world', id: 'anyone' }]
export const READ_ACL: readonly AclEntry[] = [{ perms: 1, scheme: 'world', id: 'anyone' }]
/** Nobody, nothing. Not the empty list: Java lets everybody through on that. */
const CLOSED_ACL: readonly AclEntry[] = [{ perms: 0, scheme: 'world', id: 'anyone' }]

const ID_MAX = 0x7fff_ffff

interface List {
  readonly id: AclId
  readonly bytes: Uint8Array
  readonly hash: number
  entries: readonly AclEntry[] | null
  references: number
  /** False for the stand-in of a list that a snapshot did not contain; it is never found by its bytes. */
  readonly known: boolean
  /** Next list with the same hash. */
  nextSame: List | null
}

export class AclTable {
  private readonly byId: Map<AclId, List>
  private readonly byHash: Map<number, List>
  private readonly openBytes: Uint8Array
  /** The highest id ever given; what is interned from now on is above it. */
  idLast: AclId

  constructor() {
    this.byId = new Map()
    this.byHash = new Map()
    this.openBytes = encodeAcl(OPEN_ACL)
    this.idLast = 0
  }

  get size(): number {
    return this.byId.size
  }

  /**
   * The id of the list that is vector<ACL> in exactly buf[off, end); OPEN_ACL_ID for a null vector. Takes no reference:
   * a list that nobody acquires stays until the next purge. Throws ProtocolError for malformed bytes.
   */
  intern(buf: Uint8Array, off: number, end: number): AclId {
    if (end - off === 4 && readInt(buf, off) === -1) return OPEN_ACL_ID
    const list = this.lookup(hashBytes(0, buf, off, end), buf, off, end)
    if (list !== null) return list.id
    return this.internEntries(decodeAcl(buf, off, end))
  }

  internEntries(entries: readonly AclEntry[]): AclId {
    const bytes = encodeAcl(entries)
    const hash = hashBytes(0, bytes, 0, bytes.length)
    const list = this.lookup(hash, bytes, 0, bytes.length)
    if (list !== null) return list.id
    // A snapshot may name the last one: damaged, but nothing else shows it.
    if (this.idLast >= ID_MAX) throw new StorageError(`no ACL id is left behind ${this.idLast}`)
    this.idLast++
    this.add(this.idLast, bytes, hash, true)
    return this.idLast
  }

  /** The id of a list that is in the table, or 0. */
  idOf(buf: Uint8Array, off: number, end: number): AclId | 0 {
    return this.lookup(hashBytes(0, buf, off, end), buf, off, end)?.id ?? 0
  }

  has(id: AclId): boolean {
    return id === OPEN_ACL_ID || this.byId.has(id)
  }

  acquire(id: AclId): void {
    if (id !== OPEN_ACL_ID) this.list(id).references++
  }

  release(id: AclId): void {
    if (id === OPEN_ACL_ID) return
    const list = this.list(id)
    assert(list.references > 0, 'ACL released more often than acquired')
    list.references--
    if (list.references === 0) this.drop(list)
  }

  references(id: AclId): number {
    return this.list(id).references
  }

  /** The list as vector<ACL>. Borrowed, read-only. */
  bytes(id: AclId): Uint8Array {
    return id === OPEN_ACL_ID ? this.openBytes : this.list(id).bytes
  }

  /** The list, decoded once and kept. */
  entries(id: AclId): readonly AclEntry[] {
    if (id === OPEN_ACL_ID) return OPEN_ACL
    const list = this.list(id)
    list.entries ??= decodeAcl(list.bytes, 0, list.bytes.length)
    return list.entries
  }

  /** Every list, ascending by id as far as they were interned here: a snapshot's table. */
  forEach(visit: (id: AclId, bytes: Uint8Array) => void): void {
    for (const list of this.byId.values()) visit(list.id, list.bytes)
  }

  /** Puts a list from a snapshot under its own id, without a reference. */
  load(id: number, bytes: Uint8Array): void {
    if (id === OPEN_ACL_ID) return
    if (!(id > 0 && id <= ID_MAX)) throw new StorageError(`ACL id ${id} out of range`)
    if (this.byId.has(id)) throw new StorageError(`ACL id ${id} twice in a snapshot`)
    const canonical = encodeAcl(decodeAcl(bytes, 0, bytes.length))
    this.add(id, canonical, hashBytes(0, canonical, 0, canonical.length), true)
    this.idLast = Math.max(this.idLast, id)
  }

  /**
   * Makes `id` usable although its list is missing: a snapshot's table is older than its nodes, so a node created or
   * given a new list meanwhile may refer to one that only the log will bring. Until then nobody may do anything there.
   */
  loadMissing(id: number): void {
    if (!(id > 0 && id <= ID_MAX)) throw new StorageError(`ACL id ${id} out of range`)
    const bytes = encodeAcl(CLOSED_ACL)
    this.add(id, bytes, 0, false)
    this.idLast = Math.max(this.idLast, id)
  }

  /** Whether a list is still missing that some znode names. */
  get incomplete(): boolean {
    for (const list of this.byId.values()) if (!list.known && list.references > 0) return true
    return false
  }

  purgeUnreferenced(): void {
    for (const list of [...this.byId.values()]) if (list.references === 0) this.drop(list)
  }

  clear(): void {
    this.byId.clear()
    this.byHash.clear()
    this.idLast = 0
  }

  private list(id: AclId): List {
    const list = this.byId.get(id)
    assert(list !== undefined, 'no such ACL id')
    return list
  }

  private lookup(hash: number, buf: Uint8Array, off: number, end: number): List | null {
    let list = this.byHash.get(hash) ?? null
    while (list !== null && !equalBytes(list.bytes, buf, off, end)) list = list.nextSame
    return list
  }

  private add(id: AclId, bytes: Uint8Array, hash: number, known: boolean): void {
    const nextSame = known ? (this.byHash.get(hash) ?? null) : null
    const list: List = { id, bytes, hash, entries: null, references: 0, known, nextSame }
    this.byId.set(id, list)
    if (known) this.byHash.set(hash, list)
  }

  private drop(list: List): void {
    this.byId.delete(list.id)
    if (!list.known) return
    const first = this.byHash.get(list.hash)
    assert(first !== undefined, 'interned list lost')
    if (first === list) {
      if (list.nextSame === null) this.byHash.delete(list.hash)
      else this.byHash.set(list.hash, list.nextSame)
      return
    }
    let before = first
    while (before.nextSame !== list) {
      assert(before.nextSame !== null, 'interned list lost')
      before = before.nextSame
    }
    before.nextSame = list.nextSame
  }
}

/** vector<ACL> as Java writes it. */
export function encodeAcl(entries: readonly AclEntry[]): Uint8Array {
  const out = new Output(64)
  out.int(entries.length)
  for (const entry of entries) {
    out.int(entry.perms)
    out.string(entry.scheme)
    out.string(entry.id)
  }
  return out.copy()
}

/** Throws ProtocolError for malformed bytes. A null string reads as empty; no request with one is let through. */
export function decodeAcl(buf: Uint8Array, off: number, end: number): AclEntry[] {
  const inp = new Input(buf, off, end)
  const count = Math.max(0, inp.count())
  const entries: AclEntry[] = []
  for (let i = 0; i < count; i++) {
    const perms = inp.int()
    entries.push({ perms, scheme: inp.storedText() ?? '', id: inp.storedText() ?? '' })
  }
  return entries
}

function equalBytes(bytes: Uint8Array, buf: Uint8Array, off: number, end: number): boolean {
  if (bytes.length !== end - off) return false
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== buf[off + i]) return false
  return true
}
