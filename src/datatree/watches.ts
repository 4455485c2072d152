/**
 * Who wants to hear of which path: the data and the child watches of every connection.
 *
 * Two tables as in Java, keyed by path and connection. The data table holds getData, exists, persistent and recursive
 * watches, the child table getChildren and persistent ones; several modes of one (path, connection) share an entry.
 * Keys are path bytes, since a watch may precede its node; each watched path is stored once (PathTable).
 *
 * An entry is 24 bytes in one Int32Array, linked into a list of its path and a list of its connection, so that firing
 * and disconnecting cost what they touch; (path, connection) is found through a hash index, 12 to 16 bytes more.
 *
 *   0 path id | 1 connection << 4 | flags | 2 next, 3 previous of the path's list | 4 next, 5 previous of the connection
 *
 * A path has three lists: data entries with and without the recursive mode, and child entries. Entries with the
 * recursive mode are apart because every change below walks them, and must not walk a hundred thousand others.
 * Ancestors cost nothing while no recursive watch exists, and else one look into a small counting filter each.
 *
 * Java: WatchManager (twice, in DataTree), WatchStats, PathParentIterator.
 */

import { assert } from '../jute/assert.ts'
import { EventType, WatcherType } from '../jute/codes.ts'
import type { Zxid } from '../jute/zxid.ts'
import { ChainIndex, grown } from './chainindex.ts'
import { finishHash, hashPath, PathTable, rollHash } from './pathtable.ts'

/** A small dense number of a connection; the server recycles them after `removeConnection`. */
export type ConnId = number

export interface WatchSink {
  /**
   * One event, once per connection and trigger. The path is borrowed. `aclId` is the ACL of the node whose watch fires,
   * for the sink to check READ. May not change the watches.
   */
  onWatch(conn: ConnId, eventType: number, zxid: Zxid, path: Uint8Array, off: number, end: number, aclId: number): void
  /** A trigger has told so many connections, one at the least. */
  onTriggered?(eventType: number, count: number): void
}

const STANDARD = 1
const PERSISTENT = 2
const RECURSIVE = 4
const MODES = STANDARD | PERSISTENT | RECURSIVE
/** Marks entries of the child table. */
const CHILD = 8
const FLAG_BITS = 4
const CONN_LIMIT = 1 << (31 - FLAG_BITS)

const STRIDE = 6
const PATH = 0
const CONN_FLAGS = 1
const NEXT_OF_PATH = 2
const PREV_OF_PATH = 3
const NEXT_OF_CONN = 4
const PREV_OF_CONN = 5

/** The lists of a path. */
const LISTS = 3
const DATA_LIST = 0
const RECURSIVE_LIST = 1
const CHILD_LIST = 2

const FILTER_SIZE = 4096
const SLASH = 0x2f

export class Watches {
  /** Paths with an entry in the data table; of `wchs`. */
  countPaths: number
  /** Entries (path and connection) of the data table; the total of `wchs`. */
  countTotal: number
  /**
   * Connections of the data table; of `wchs`. As in Java a connection whose last watch has fired still counts, until
   * it goes or removes a watch itself.
   */
  countConnections: number
  /** Entries of the child table. With `countTotal` this is Java's watch count. */
  countChild: number
  private readonly sink: WatchSink
  private readonly hashSeed: number
  private readonly paths: PathTable
  /** Heads of lists by path id, LISTS each. */
  private heads: Int32Array
  private entries: Int32Array
  private entryEnd: number
  private entryFree: number
  private readonly index: ChainIndex
  /** By connection: head of its entries, how many are in the data table, whether `countConnections` has it. */
  private connHeads: Int32Array
  private connData: Int32Array
  private connListed: Uint8Array
  /** By connection: the trigger that told it last. */
  private connTold: Int32Array
  private trigger: number
  /** Told by the trigger under way. */
  private countTold: number
  /** Paths with a recursive list, and how many of them fall on each place of the filter. */
  private countRecursivePaths: number
  private readonly filter: Int32Array

  /** `hashSeed`: unpredictable in production, so that nobody can choose paths that collide. */
  constructor(sink: WatchSink, hashSeed = 0x811c_9dc5) {
    this.countPaths = 0
    this.countTotal = 0
    this.countConnections = 0
    this.countChild = 0
    this.sink = sink
    this.hashSeed = hashSeed | 0
    this.paths = new PathTable()
    this.heads = new Int32Array(16 * LISTS)
    this.entries = new Int32Array(16 * STRIDE)
    this.entryEnd = 1
    this.entryFree = 0
    this.index = new ChainIndex()
    this.connHeads = new Int32Array(16)
    this.connData = new Int32Array(16)
    this.connListed = new Uint8Array(16)
    this.connTold = new Int32Array(16)
    this.trigger = 0
    this.countTold = 0
    this.countRecursivePaths = 0
    this.filter = new Int32Array(FILTER_SIZE)
  }

  /** Watches of both tables together. */
  get count(): number {
    return this.countTotal + this.countChild
  }

  /** Memory held. */
  get bytes(): number {
    return (
      this.paths.bytes +
      this.heads.byteLength +
      this.entries.byteLength +
      this.index.bytes +
      13 * this.connHeads.length +
      this.filter.byteLength
    )
  }

  // --- registration

  /** getData and exists. */
  addData(conn: ConnId, buf: Uint8Array, off: number, end: number): void {
    this.add(conn, 0, STANDARD, buf, off, end)
  }

  addChild(conn: ConnId, buf: Uint8Array, off: number, end: number): void {
    this.add(conn, CHILD, STANDARD, buf, off, end)
  }

  addPersistent(conn: ConnId, buf: Uint8Array, off: number, end: number): void {
    this.add(conn, 0, PERSISTENT, buf, off, end)
    this.add(conn, CHILD, PERSISTENT, buf, off, end)
  }

  addRecursive(conn: ConnId, buf: Uint8Array, off: number, end: number): void {
    this.add(conn, 0, RECURSIVE, buf, off, end)
  }

  /** checkWatches: whether such a watch is set. `watcherType` is one of WatcherType. */
  contains(watcherType: number, conn: ConnId, buf: Uint8Array, off: number, end: number): boolean {
    const path = this.paths.find(hashPath(this.hashSeed, buf, off, end), buf, off, end)
    if (path === 0) return false
    switch (watcherType) {
      case WatcherType.children:
        return this.has(path, conn, CHILD, STANDARD)
      case WatcherType.data:
        return this.has(path, conn, 0, STANDARD)
      case WatcherType.persistent:
        return this.has(path, conn, 0, PERSISTENT)
      case WatcherType.persistentRecursive:
        return this.has(path, conn, 0, RECURSIVE)
      case WatcherType.any:
        return this.has(path, conn, CHILD, MODES) || this.has(path, conn, 0, MODES)
      default:
        return false
    }
  }

  /** removeWatches: false when there was nothing to remove. */
  remove(watcherType: number, conn: ConnId, buf: Uint8Array, off: number, end: number): boolean {
    const path = this.paths.find(hashPath(this.hashSeed, buf, off, end), buf, off, end)
    if (path === 0) return false
    switch (watcherType) {
      case WatcherType.children:
        return this.drop(path, conn, CHILD, STANDARD)
      case WatcherType.data:
        return this.drop(path, conn, 0, STANDARD)
      case WatcherType.persistent:
        return this.dropBoth(path, conn, PERSISTENT)
      case WatcherType.persistentRecursive:
        return this.drop(path, conn, 0, RECURSIVE)
      case WatcherType.any:
        return this.dropBoth(path, conn, MODES)
      default:
        return false
    }
  }

  /** The connection is gone: so are its watches. */
  removeConnection(conn: ConnId): void {
    if (conn >= this.connHeads.length) return
    let entry = this.connHeads[conn]!
    while (entry !== 0) {
      const after = this.entries[entry * STRIDE + NEXT_OF_CONN]!
      this.removeEntry(entry)
      entry = after
    }
    assert(this.connHeads[conn] === 0)
    assert(this.connData[conn] === 0)
    this.unlist(conn)
  }

  // --- triggers

  /** A node was created: its data watches hear NodeCreated, child watches of the parent NodeChildrenChanged. */
  created(buf: Uint8Array, off: number, end: number, zxid: Zxid, aclId: number, parentAclId: number): void {
    if (this.paths.count === 0) return
    this.fireData(EventType.nodeCreated, buf, off, end, zxid, aclId)
    this.triggered(EventType.nodeCreated)
    this.fireParent(buf, off, end, zxid, parentAclId)
  }

  /**
   * A node was deleted: its data watches hear NodeDeleted, then its child watches, save those that were just told, then
   * child watches of the parent NodeChildrenChanged.
   */
  deleted(buf: Uint8Array, off: number, end: number, zxid: Zxid, aclId: number, parentAclId: number): void {
    if (this.paths.count === 0) return
    const path = this.fireData(EventType.nodeDeleted, buf, off, end, zxid, aclId)
    // Firing may have used up the path's last entry, and with it the id.
    if (path !== 0 && this.paths.has(path)) this.fireChild(EventType.nodeDeleted, path, buf, off, end, zxid, aclId)
    this.triggered(EventType.nodeDeleted)
    this.fireParent(buf, off, end, zxid, parentAclId)
  }

  /** A node's data was set: its data watches hear NodeDataChanged. */
  dataChanged(buf: Uint8Array, off: number, end: number, zxid: Zxid, aclId: number): void {
    if (this.paths.count === 0) return
    this.fireData(EventType.nodeDataChanged, buf, off, end, zxid, aclId)
    this.triggered(EventType.nodeDataChanged)
  }

  // --- reports of the data table, as wchp and wchc give them

  /** Every watched path with its connections; both the caller's own. Bears changes on the way. */
  *eachPath(): Generator<{ readonly path: Uint8Array; readonly conns: ConnId[] }> {
    for (let path = 1; path < this.paths.idEnd; path++) {
      if (!this.paths.has(path)) continue
      const conns: ConnId[] = []
      for (const list of [DATA_LIST, RECURSIVE_LIST]) {
        for (let entry = this.heads[path * LISTS + list]!; entry !== 0; ) {
          conns.push(this.entries[entry * STRIDE + CONN_FLAGS]! >>> FLAG_BITS)
          entry = this.entries[entry * STRIDE + NEXT_OF_PATH]!
        }
      }
      if (conns.length > 0) yield { path: this.paths.copyOf(path), conns }
    }
  }

  /** Every connection that counts in `countConnections`, with the paths it watches; the caller's own. Bears changes. */
  *eachConnection(): Generator<{ readonly conn: ConnId; readonly paths: Uint8Array[] }> {
    for (let conn = 0; conn < this.connListed.length; conn++) {
      if (this.connListed[conn] === 0) continue
      const paths: Uint8Array[] = []
      for (let entry = this.connHeads[conn]!; entry !== 0; ) {
        const at = entry * STRIDE
        if ((this.entries[at + CONN_FLAGS]! & CHILD) === 0) paths.push(this.paths.copyOf(this.entries[at + PATH]!))
        entry = this.entries[at + NEXT_OF_CONN]!
      }
      yield { conn, paths }
    }
  }

  // --- inside

  private add(conn: ConnId, table: number, mode: number, buf: Uint8Array, off: number, end: number): void {
    assert(conn >= 0 && conn < CONN_LIMIT, `connection ${conn} out of range`)
    if (conn >= this.connHeads.length) this.growConnections(conn)
    const path = this.paths.intern(hashPath(this.hashSeed, buf, off, end), buf, off, end)
    if ((path + 1) * LISTS > this.heads.length) this.heads = grown(this.heads, (path + 1) * LISTS)
    const known = this.findEntry(path, conn, table)
    if (known !== 0) {
      this.setModes(known, this.modesOf(known) | mode)
      return
    }
    let entry = this.entryFree
    if (entry !== 0) {
      this.entryFree = this.entries[entry * STRIDE + NEXT_OF_PATH]!
    } else {
      entry = this.entryEnd++
      if ((entry + 1) * STRIDE > this.entries.length) this.entries = grown(this.entries, (entry + 1) * STRIDE)
    }
    const at = entry * STRIDE
    this.entries[at + PATH] = path
    this.entries[at + CONN_FLAGS] = (conn << FLAG_BITS) | table | mode
    const head = this.connHeads[conn]!
    this.entries[at + NEXT_OF_CONN] = head
    this.entries[at + PREV_OF_CONN] = 0
    if (head !== 0) this.entries[head * STRIDE + PREV_OF_CONN] = entry
    this.connHeads[conn] = entry
    this.linkToPath(entry)
    this.index.insert(entry, pairHash(path, conn, table))
    if (table === CHILD) {
      this.countChild++
    } else {
      this.countTotal++
      this.connData[conn]!++
      if (this.connListed[conn] === 0) {
        this.connListed[conn] = 1
        this.countConnections++
      }
    }
  }

  private findEntry(path: number, conn: ConnId, table: number): number {
    const hash = pairHash(path, conn, table)
    const index = this.index
    for (let entry = index.first(hash); entry !== 0; entry = index.next(entry)) {
      if (index.hashOf(entry) !== hash) continue
      const at = entry * STRIDE
      if (this.entries[at + PATH] !== path) continue
      const connFlags = this.entries[at + CONN_FLAGS]!
      if (connFlags >>> FLAG_BITS === conn && (connFlags & CHILD) === table) return entry
    }
    return 0
  }

  private modesOf(entry: number): number {
    return this.entries[entry * STRIDE + CONN_FLAGS]! & MODES
  }

  private has(path: number, conn: ConnId, table: number, modes: number): boolean {
    const entry = this.findEntry(path, conn, table)
    return entry !== 0 && (this.modesOf(entry) & modes) !== 0
  }

  /** Takes `modes` from an entry, and the entry away when none is left. False when it had none of them. */
  private drop(path: number, conn: ConnId, table: number, modes: number): boolean {
    const entry = this.findEntry(path, conn, table)
    if (entry === 0) return false
    const before = this.modesOf(entry)
    const after = before & ~modes
    if (after === before) return false
    if (after !== 0) {
      this.setModes(entry, after)
      return true
    }
    this.removeEntry(entry)
    if (table !== CHILD && this.connData[conn] === 0) this.unlist(conn)
    return true
  }

  private dropBoth(path: number, conn: ConnId, modes: number): boolean {
    const child = this.drop(path, conn, CHILD, modes)
    // The first may have been the path's last entry.
    return (this.paths.has(path) && this.drop(path, conn, 0, modes)) || child
  }

  private setModes(entry: number, modes: number): void {
    const at = entry * STRIDE + CONN_FLAGS
    const before = this.entries[at]!
    const after = (before & ~MODES) | modes
    if (((before ^ after) & RECURSIVE) === 0) {
      this.entries[at] = after
      return
    }
    this.unlinkFromPath(entry)
    this.entries[at] = after
    this.linkToPath(entry)
  }

  private linkToPath(entry: number): void {
    const at = entry * STRIDE
    const path = this.entries[at + PATH]!
    const list = listOf(this.entries[at + CONN_FLAGS]!)
    const heads = path * LISTS
    if (list !== CHILD_LIST && this.heads[heads + DATA_LIST] === 0 && this.heads[heads + RECURSIVE_LIST] === 0) {
      this.countPaths++
    }
    const head = this.heads[heads + list]!
    if (head === 0 && list === RECURSIVE_LIST) this.countRecursive(path, 1)
    this.entries[at + NEXT_OF_PATH] = head
    this.entries[at + PREV_OF_PATH] = 0
    if (head !== 0) this.entries[head * STRIDE + PREV_OF_PATH] = entry
    this.heads[heads + list] = entry
  }

  private unlinkFromPath(entry: number): void {
    const at = entry * STRIDE
    const path = this.entries[at + PATH]!
    const list = listOf(this.entries[at + CONN_FLAGS]!)
    const heads = path * LISTS
    const next = this.entries[at + NEXT_OF_PATH]!
    const prev = this.entries[at + PREV_OF_PATH]!
    if (next !== 0) this.entries[next * STRIDE + PREV_OF_PATH] = prev
    if (prev !== 0) this.entries[prev * STRIDE + NEXT_OF_PATH] = next
    else this.heads[heads + list] = next
    if (this.heads[heads + list] === 0 && list === RECURSIVE_LIST) this.countRecursive(path, -1)
    if (list !== CHILD_LIST && this.heads[heads + DATA_LIST] === 0 && this.heads[heads + RECURSIVE_LIST] === 0) {
      this.countPaths--
    }
  }

  private countRecursive(path: number, change: number): void {
    this.countRecursivePaths += change
    this.filter[this.paths.hashOf(path) & (FILTER_SIZE - 1)]! += change
  }

  private removeEntry(entry: number): void {
    const at = entry * STRIDE
    const path = this.entries[at + PATH]!
    const connFlags = this.entries[at + CONN_FLAGS]!
    const conn = connFlags >>> FLAG_BITS
    this.unlinkFromPath(entry)
    const next = this.entries[at + NEXT_OF_CONN]!
    const prev = this.entries[at + PREV_OF_CONN]!
    if (next !== 0) this.entries[next * STRIDE + PREV_OF_CONN] = prev
    if (prev !== 0) this.entries[prev * STRIDE + NEXT_OF_CONN] = next
    else this.connHeads[conn] = next
    this.index.remove(entry)
    if ((connFlags & CHILD) !== 0) {
      this.countChild--
    } else {
      this.countTotal--
      this.connData[conn]!--
    }
    this.entries[at + PATH] = 0
    this.entries[at + NEXT_OF_PATH] = this.entryFree
    this.entryFree = entry
    const heads = path * LISTS
    if (
      this.heads[heads + DATA_LIST] === 0 &&
      this.heads[heads + RECURSIVE_LIST] === 0 &&
      this.heads[heads + CHILD_LIST] === 0
    ) {
      this.paths.release(path)
    }
  }

  private unlist(conn: ConnId): void {
    if (this.connListed[conn] === 0) return
    this.connListed[conn] = 0
    this.countConnections--
  }

  private growConnections(conn: ConnId): void {
    this.connHeads = grown(this.connHeads, conn + 1)
    this.connData = grown(this.connData, conn + 1)
    this.connTold = grown(this.connTold, conn + 1)
    const listed = new Uint8Array(this.connHeads.length)
    listed.set(this.connListed)
    this.connListed = listed
  }

  /** Begins a trigger: within it, a connection hears one event. */
  private nextTrigger(): void {
    if (this.trigger === 0x7fff_ffff) {
      this.connTold.fill(0)
      this.trigger = 0
    }
    this.trigger++
  }

  private triggered(eventType: number): void {
    if (this.countTold > 0) this.sink.onTriggered?.(eventType, this.countTold)
    this.countTold = 0
  }

  /** The data table's part of a trigger; the path's id or 0 (the id may be gone by then). */
  private fireData(eventType: number, buf: Uint8Array, off: number, end: number, zxid: Zxid, aclId: number): number {
    this.nextTrigger()
    let rolled = this.hashSeed
    if (this.countRecursivePaths === 0) {
      for (let at = off; at < end; at++) rolled = rollHash(rolled, buf[at]!)
    } else {
      for (let at = off; at < end; at++) {
        const byte = buf[at]!
        if (byte === SLASH && at > off) this.fireAncestor(rolled, off, at, eventType, buf, off, end, zxid, aclId)
        rolled = rollHash(rolled, byte)
        if (at === off && end > off + 1) {
          this.fireAncestor(rolled, off, off + 1, eventType, buf, off, end, zxid, aclId)
        }
      }
    }
    const path = this.paths.find(finishHash(rolled), buf, off, end)
    if (path === 0) return 0
    const heads = path * LISTS
    let recursive = this.heads[heads + RECURSIVE_LIST]!
    let data = this.heads[heads + DATA_LIST]!
    while (recursive !== 0) {
      // A standard watch beside the recursive one is used up; the entry stays, for its other mode.
      this.entries[recursive * STRIDE + CONN_FLAGS]! &= ~STANDARD
      this.tell(recursive, eventType, buf, off, end, zxid, aclId)
      recursive = this.entries[recursive * STRIDE + NEXT_OF_PATH]!
    }
    while (data !== 0) {
      data = this.fireEntry(data, eventType, buf, off, end, zxid, aclId)
    }
    return path
  }

  /** Tells the recursive watches of an ancestor: buf[off..ancestorEnd), whose rolled hash is given. */
  private fireAncestor(
    rolled: number,
    ancestorOff: number,
    ancestorEnd: number,
    eventType: number,
    buf: Uint8Array,
    off: number,
    end: number,
    zxid: Zxid,
    aclId: number,
  ): void {
    const hash = finishHash(rolled)
    if (this.filter[hash & (FILTER_SIZE - 1)] === 0) return
    const path = this.paths.find(hash, buf, ancestorOff, ancestorEnd)
    if (path === 0) return
    let entry = this.heads[path * LISTS + RECURSIVE_LIST]!
    while (entry !== 0) {
      this.tell(entry, eventType, buf, off, end, zxid, aclId)
      entry = this.entries[entry * STRIDE + NEXT_OF_PATH]!
    }
  }

  /** The child table's part of a trigger, on a path that is in use. */
  private fireChild(
    eventType: number,
    path: number,
    buf: Uint8Array,
    off: number,
    end: number,
    zxid: Zxid,
    aclId: number,
  ): void {
    let entry = this.heads[path * LISTS + CHILD_LIST]!
    while (entry !== 0) entry = this.fireEntry(entry, eventType, buf, off, end, zxid, aclId)
  }

  private fireParent(buf: Uint8Array, off: number, end: number, zxid: Zxid, parentAclId: number): void {
    if (this.countChild === 0) return
    let parentEnd = end - 1
    while (parentEnd > off && buf[parentEnd] !== SLASH) parentEnd--
    if (parentEnd === off) parentEnd++
    const path = this.paths.find(hashPath(this.hashSeed, buf, off, parentEnd), buf, off, parentEnd)
    if (path === 0) return
    this.nextTrigger()
    this.fireChild(EventType.nodeChildrenChanged, path, buf, off, parentEnd, zxid, parentAclId)
    this.triggered(EventType.nodeChildrenChanged)
  }

  /** Fires an entry without the recursive mode; it goes unless it is persistent. Returns the next of the list. */
  private fireEntry(
    entry: number,
    eventType: number,
    buf: Uint8Array,
    off: number,
    end: number,
    zxid: Zxid,
    aclId: number,
  ): number {
    const at = entry * STRIDE
    const after = this.entries[at + NEXT_OF_PATH]!
    this.tell(entry, eventType, buf, off, end, zxid, aclId)
    if ((this.entries[at + CONN_FLAGS]! & PERSISTENT) === 0) this.removeEntry(entry)
    else this.entries[at + CONN_FLAGS]! &= ~STANDARD
    return after
  }

  private tell(
    entry: number,
    eventType: number,
    buf: Uint8Array,
    off: number,
    end: number,
    zxid: Zxid,
    aclId: number,
  ): void {
    const conn = this.entries[entry * STRIDE + CONN_FLAGS]! >>> FLAG_BITS
    if (this.connTold[conn] === this.trigger) return
    this.connTold[conn] = this.trigger
    this.countTold++
    this.sink.onWatch(conn, eventType, zxid, buf, off, end, aclId)
  }
}

function listOf(connFlags: number): number {
  if ((connFlags & CHILD) !== 0) return CHILD_LIST
  return (connFlags & RECURSIVE) !== 0 ? RECURSIVE_LIST : DATA_LIST
}

function pairHash(path: number, conn: ConnId, table: number): number {
  return finishHash(Math.imul(path, 0x9e37_79b1) ^ Math.imul((conn << 1) | (table >>> 3), 0x85eb_ca77))
}
