/**
 * The tree as the committed transactions say it must have been, at every zxid: a second reading of them, small and slow,
 * that shares no line with src/datatree. Paths are strings here, sessions are hexadecimal texts.
 */

import { OpCode } from '../../src/jute/codes.ts'
import { id64Hex } from '../../src/jute/id64.ts'
import { Input } from '../../src/jute/input.ts'
import * as records from '../../src/jute/records.ts'

export interface ModelNode {
  readonly czxid: number
  readonly mzxid: number
  readonly pzxid: number
  /** By the clocks of those who proposed it. */
  readonly ctimeMs: number
  readonly mtimeMs: number
  readonly version: number
  readonly cversion: number
  readonly aversion: number
  /** The session of an ephemeral; '' for others. */
  readonly owner: string
  readonly data: Uint8Array | null
  readonly children: number
}

export type ChangeKind = 'created' | 'deleted' | 'data' | 'children'

export interface Change {
  readonly zxid: number
  readonly path: string
  readonly kind: ChangeKind
}

export interface ModelSession {
  readonly createdZxid: number
  closedZxid: number | null
  timeoutMs: number
}

/** What a committed transaction is, for those who look for theirs. */
export interface Entry {
  readonly zxid: number
  readonly bytes: Uint8Array
  readonly session: string
  readonly cxid: number
  readonly type: number
  /** Of an error transaction; 0 of others. */
  readonly err: number
}

interface Version {
  readonly zxid: number
  readonly node: ModelNode | null
}

export class Model {
  /** The zxid at which everything begins, with an empty tree. */
  base: number
  readonly entries: Entry[]
  /** All changes, in order. */
  readonly changes: Change[]
  readonly sessions: Map<string, ModelSession>
  /** Of the transaction in hand. */
  private timeMs: number
  private readonly versions: Map<string, Version[]>
  /** When children came and went: parent to (zxid, name, there). */
  private readonly comings: Map<string, { zxid: number; name: string; there: boolean }[]>
  private readonly owned: Map<string, Set<string>>

  constructor() {
    this.base = 0
    this.entries = []
    this.changes = []
    this.sessions = new Map()
    this.timeMs = 0
    this.versions = new Map()
    this.comings = new Map()
    this.owned = new Map()
  }

  get zxidLast(): number {
    return this.entries.length === 0 ? this.base : this.entries[this.entries.length - 1]!.zxid
  }

  /** The entry with this zxid; undefined where there is none. */
  entry(zxid: number): Entry | undefined {
    const index = this.indexAt(zxid)
    const entry = index < 0 ? undefined : this.entries[index]
    return entry?.zxid === zxid ? entry : undefined
  }

  /** Index of the last entry at or before `zxid`; -1: none. */
  indexAt(zxid: number): number {
    return lastAtOrBefore(this.entries, zxid)
  }

  /** The zxid of the entry before this one, or where everything begins. */
  before(zxid: number): number {
    const index = lastAtOrBefore(this.entries, zxid - 1)
    return index < 0 ? this.base : this.entries[index]!.zxid
  }

  node(path: string, zxid: number = Number.POSITIVE_INFINITY): ModelNode | null {
    const versions = this.versions.get(path)
    if (versions === undefined) return null
    const index = lastAtOrBefore(versions, zxid)
    return index < 0 ? null : versions[index]!.node
  }

  /** Names, sorted. */
  children(path: string, zxid: number): string[] {
    const there = new Set<string>()
    for (const coming of this.comings.get(path) ?? []) {
      if (coming.zxid > zxid) break
      if (coming.there) there.add(coming.name)
      else there.delete(coming.name)
    }
    return [...there].sort()
  }

  ephemeralsOf(session: string): string[] {
    return [...(this.owned.get(session) ?? [])].sort()
  }

  livePaths(): string[] {
    const paths: string[] = []
    for (const [path, versions] of this.versions) if (versions[versions.length - 1]!.node !== null) paths.push(path)
    return paths
  }

  liveSessions(): string[] {
    const ids: string[] = []
    for (const [id, session] of this.sessions) if (session.closedZxid === null) ids.push(id)
    return ids.sort()
  }

  // ------------------------------------------------------------------ growing

  apply(bytes: Uint8Array): Entry {
    const input = new Input(bytes)
    const header = records.readTxnHeader(input)
    const session = id64Hex(header.clientIdHi, header.clientIdLo)
    this.timeMs = header.time
    const err = this.operation(header.type, header.zxid, session, input)
    const entry = { zxid: header.zxid, bytes, session, cxid: header.cxid, type: header.type, err }
    this.entries.push(entry)
    return entry
  }

  private operation(type: number, zxid: number, session: string, input: Input): number {
    switch (type) {
      case OpCode.create:
      case OpCode.create2: {
        const txn = records.readCreateTxn(input)
        this.create(zxid, txn.path!, txn.data, txn.ephemeral ? session : '')
        return 0
      }
      case OpCode.createContainer: {
        const txn = records.readCreateContainerTxn(input)
        this.create(zxid, txn.path!, txn.data, '')
        return 0
      }
      case OpCode.createTTL: {
        const txn = records.readCreateTTLTxn(input)
        this.create(zxid, txn.path!, txn.data, '')
        return 0
      }
      case OpCode.delete:
      case OpCode.deleteContainer:
        this.remove(zxid, records.readDeleteTxn(input).path!)
        return 0
      case OpCode.setData:
      case OpCode.reconfig: {
        const txn = records.readSetDataTxn(input)
        const node = this.node(txn.path!)
        if (node !== null) {
          this.put(txn.path!, zxid, {
            ...node,
            mzxid: zxid,
            mtimeMs: this.timeMs,
            version: txn.version,
            data: txn.data?.slice() ?? null,
          })
          this.changed(zxid, txn.path!, 'data')
        }
        return 0
      }
      case OpCode.setACL: {
        const txn = records.readSetACLTxn(input)
        const node = this.node(txn.path!)
        if (node !== null) this.put(txn.path!, zxid, { ...node, aversion: txn.version })
        return 0
      }
      case OpCode.createSession:
        this.sessions.set(session, {
          createdZxid: zxid,
          closedZxid: null,
          timeoutMs: records.readCreateSessionTxn(input).timeOut,
        })
        return 0
      case OpCode.closeSession: {
        for (const path of this.ephemeralsOf(session)) this.remove(zxid, path)
        this.owned.delete(session)
        const known = this.sessions.get(session)
        if (known !== undefined && known.closedZxid === null) known.closedZxid = zxid
        return 0
      }
      case OpCode.error:
        return records.readErrorTxn(input).err
      case OpCode.multi: {
        const txns = records.readMultiTxn(input).txns ?? []
        // One that failed spoils all; those ahead of it still stand in the transaction as they would have been.
        const failed = txns.find((txn) => txn.type === OpCode.error)
        if (failed !== undefined) return records.readErrorTxn(new Input(failed.data!)).err
        for (const txn of txns) this.operation(txn.type, zxid, session, new Input(txn.data!))
        return 0
      }
      default:
        return 0
    }
  }

  private create(zxid: number, path: string, data: Uint8Array | null, owner: string): void {
    this.put(path, zxid, {
      czxid: zxid,
      mzxid: zxid,
      pzxid: zxid,
      ctimeMs: this.timeMs,
      mtimeMs: this.timeMs,
      version: 0,
      cversion: 0,
      aversion: 0,
      owner,
      data: data?.slice() ?? null,
      children: 0,
    })
    if (owner !== '') {
      const owned = this.owned.get(owner)
      if (owned === undefined) this.owned.set(owner, new Set([path]))
      else owned.add(path)
    }
    this.changed(zxid, path, 'created')
    this.parentOf(zxid, path, true)
  }

  private remove(zxid: number, path: string): void {
    const node = this.node(path)
    if (node === null) return
    this.put(path, zxid, null)
    if (node.owner !== '') this.owned.get(node.owner)?.delete(path)
    this.changed(zxid, path, 'deleted')
    this.parentOf(zxid, path, false)
  }

  private parentOf(zxid: number, path: string, there: boolean): void {
    const slash = path.lastIndexOf('/')
    const parent = slash === 0 ? '/' : path.slice(0, slash)
    const name = path.slice(slash + 1)
    const comings = this.comings.get(parent)
    if (comings === undefined) this.comings.set(parent, [{ zxid, name, there }])
    else comings.push({ zxid, name, there })
    const node = this.node(parent)
    if (node !== null) {
      const children = node.children + (there ? 1 : -1)
      this.put(parent, zxid, { ...node, pzxid: zxid, cversion: node.cversion + 1, children })
    }
    this.changed(zxid, parent, 'children')
  }

  private put(path: string, zxid: number, node: ModelNode | null): void {
    const versions = this.versions.get(path)
    if (versions === undefined) this.versions.set(path, [{ zxid, node }])
    else if (versions[versions.length - 1]!.zxid === zxid) versions[versions.length - 1] = { zxid, node }
    else versions.push({ zxid, node })
  }

  private changed(zxid: number, path: string, kind: ChangeKind): void {
    this.changes.push({ zxid, path, kind })
  }
}

/** In a list ascending by zxid, the index of the last one at or before `zxid`; -1: none. */
export function lastAtOrBefore(list: readonly { readonly zxid: number }[], zxid: number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (list[middle]!.zxid <= zxid) low = middle + 1
    else high = middle
  }
  return low - 1
}
