/**
 * Operations that change nothing replicated, answered straight from the tree into the client's output.
 *
 * A read sees the tree as of the last applied transaction; the pipeline has made it wait behind its session's own
 * writes. Paths stay bytes: no string, no object, no promise on the way of a get. Reads do not validate paths, an odd
 * one just names no znode. Pure. Java: FinalRequestProcessor, DataTree.setWatches.
 */

import type { StateMachine } from '../../datatree/apply.ts'
import type { NodeId } from '../../datatree/tree.ts'
import { AddWatchMode, Err, EventType, OpCode, Perm, STATE_SYNC_CONNECTED, WatcherType } from '../../jute/codes.ts'
import { Input, ProtocolError } from '../../jute/input.ts'
import type { Output } from '../../jute/output.ts'
import { decodeText, textToBytes } from '../../jute/text.ts'
import type { Auth, AuthId } from '../access/auth.ts'
import type { Compat } from '../config/compat.ts'
import type { NamespaceSummaries } from '../report/summaries.ts'
import { type Connection, OUTPUT_LIMIT_BYTES } from './connection.ts'
import { hasNul, NULL_PATH } from './paths.ts'
import { beginReply, closeFrame, endReply, writeEvent } from './replies.ts'
import { bodyText } from './requesttext.ts'
import { decodeMulti } from './writeop.ts'

export interface ReadsOptions {
  readonly juteLengthMax: number
  readonly compat: Compat
}

export interface ReadsHost {
  warn(message: string, fields: Record<string, unknown>): void
}

/** What one multiRead may answer with. A request of some bytes a znode can ask for gigabytes; Java would try. */
const MULTI_READ_BYTES_MAX = 16 * 1024 * 1024
const STAT_BYTES = 68

export class Reads {
  private readonly state: StateMachine
  private readonly auth: Auth
  private readonly namespaces: NamespaceSummaries
  private readonly host: ReadsHost
  private readonly input: Input
  private readonly multiReadBytesMax: number
  /** Missed events are told to who may not read the znode. */
  private readonly pastAcl: boolean
  /** The path just read: offsets into the request. */
  private pathBuf: Uint8Array
  private pathOff: number
  private pathEnd: number

  constructor(state: StateMachine, auth: Auth, namespaces: NamespaceSummaries, host: ReadsHost, options: ReadsOptions) {
    this.state = state
    this.auth = auth
    this.namespaces = namespaces
    this.host = host
    this.input = new Input(new Uint8Array(0), 0, 0, options.juteLengthMax)
    this.multiReadBytesMax = options.compat.multiRead ? OUTPUT_LIMIT_BYTES : MULTI_READ_BYTES_MAX
    this.pastAcl = options.compat.missedEvents
    this.pathBuf = NULL_PATH
    this.pathOff = 0
    this.pathEnd = 0
  }

  /**
   * Answers one request whose body is [off, end) of `buf`. `ids` are the client's as of the request's arrival. Returns
   * the error code of the reply.
   */
  answer(
    conn: Connection,
    type: number,
    xid: number,
    ids: readonly AuthId[],
    buf: Uint8Array,
    off: number,
    end: number,
  ): number {
    this.input.reset(buf, off, end)
    const out = conn.output()
    if (type === OpCode.setWatches || type === OpCode.setWatches2) return this.setWatches(conn, ids, type, xid, out)
    if (type === OpCode.multiRead) return this.multiRead(xid, ids, out)
    const start = beginReply(out, xid, this.state.zxidLast, 0)
    const err = this.guarded(conn, type, ids, out)
    endReply(out, start, err)
    return err
  }

  private guarded(conn: Connection, type: number, ids: readonly AuthId[], out: Output): number {
    try {
      return this.one(conn, type, ids, out)
    } catch (err) {
      if (err instanceof ProtocolError) return Err.marshallingError
      throw err
    }
  }

  private one(conn: Connection, type: number, ids: readonly AuthId[], out: Output): number {
    switch (type) {
      case OpCode.getData:
        return this.getData(conn, ids, out)
      case OpCode.exists:
        return this.exists(conn, ids, out)
      case OpCode.getChildren:
      case OpCode.getChildren2:
        return this.getChildren(conn, type, ids, out)
      case OpCode.ping:
        return Err.ok
      case OpCode.sync:
        if (this.readNullablePath()) {
          this.canonicalPath()
          out.bufferOf(this.pathBuf, this.pathOff, this.pathEnd)
        } else {
          out.int(-1)
        }
        return Err.ok
      case OpCode.getACL:
        return this.getAcl(ids, out)
      case OpCode.getAllChildrenNumber: {
        this.readPath()
        const node = this.readable(ids, Perm.read)
        if (node < 0) return node
        // Asked for the empty path, Java counts the root under its other name as well.
        out.int(this.state.tree.countDescendants(node) + (this.pathEnd === this.pathOff ? 1 : 0))
        return Err.ok
      }
      case OpCode.getEphemerals:
        return this.getEphemerals(conn, out)
      case OpCode.addWatch:
        return this.addWatch(conn, out)
      case OpCode.checkWatches:
      case OpCode.removeWatches:
        return this.knownWatch(conn, type)
      case OpCode.whoAmI:
        out.int(ids.length)
        for (const id of ids) {
          out.string(id.scheme)
          out.string(this.auth.userName(id))
        }
        return Err.ok
      default:
        return Err.unimplemented
    }
  }

  /** Reads a path that Java would stumble over when null. */
  private readPath(): void {
    if (!this.readNullablePath()) throw new ProtocolError('null path', this.input.off)
  }

  private readNullablePath(): boolean {
    const input = this.input
    const length = input.length()
    if (length < 0) {
      this.pathBuf = NULL_PATH
      this.pathOff = 0
      this.pathEnd = NULL_PATH.length
      return false
    }
    this.pathBuf = input.buf
    this.pathOff = input.off
    this.pathEnd = input.off + length
    input.off = this.pathEnd
    return true
  }

  /**
   * Where a path is given back or kept under its name, it is what Java makes of it: malformed UTF-8 read as U+FFFD,
   * and what lies beyond the basic plane written as two surrogates. No znode has such a name.
   */
  private canonicalPath(): void {
    for (let at = this.pathOff; at < this.pathEnd; at++) {
      if (this.pathBuf[at]! < 0x80) continue
      if (this.pathBuf === NULL_PATH) return
      this.pathBuf = textToBytes(decodeText(this.pathBuf, this.pathOff, this.pathEnd))
      this.pathOff = 0
      this.pathEnd = this.pathBuf.length
      return
    }
  }

  private countRead(bytes: number): void {
    const { pathBuf, pathOff, pathEnd } = this
    this.namespaces.add(pathBuf, pathOff, pathEnd, pathEnd - pathOff + bytes + STAT_BYTES)
  }

  /** The znode at the path if it is there and `perm` is granted; else an error code. */
  private readable(ids: readonly AuthId[], perm: number): NodeId {
    const { tree } = this.state
    const node = tree.find(this.pathBuf, this.pathOff, this.pathEnd)
    if (node === 0) return Err.noNode
    return this.auth.allowed(tree.aclId(node), perm, ids) ? node : Err.noAuth
  }

  private getData(conn: Connection, ids: readonly AuthId[], out: Output): number {
    this.readPath()
    const watch = this.input.bool()
    const node = this.readable(ids, Perm.read)
    if (node < 0) return node
    if (watch) this.state.watches.addData(conn.connId, this.pathBuf, this.pathOff, this.pathEnd)
    this.state.tree.writeData(node, out)
    this.state.tree.writeStat(node, out)
    this.countRead(Math.max(this.state.tree.dataLength(node), 0))
    return Err.ok
  }

  private exists(conn: Connection, ids: readonly AuthId[], out: Output): number {
    this.readPath()
    const watch = this.input.bool()
    if (hasNul(this.pathBuf, this.pathOff, this.pathEnd)) return Err.badArguments
    const node = this.readable(ids, Perm.read)
    if (node === Err.noAuth) return node
    if (watch && node < 0) this.canonicalPath()
    if (watch) this.state.watches.addData(conn.connId, this.pathBuf, this.pathOff, this.pathEnd)
    if (node < 0) return node
    this.state.tree.writeStat(node, out)
    this.countRead(0)
    return Err.ok
  }

  private getChildren(conn: Connection, type: number, ids: readonly AuthId[], out: Output): number {
    this.readPath()
    const watch = this.input.bool()
    const node = this.readable(ids, Perm.read)
    if (node < 0) return node
    if (watch) this.state.watches.addChild(conn.connId, this.pathBuf, this.pathOff, this.pathEnd)
    const start = out.pos
    this.state.tree.writeChildren(node, out)
    this.countRead(out.pos - start - 4 - 4 * this.state.tree.numChildren(node))
    if (type === OpCode.getChildren2) this.state.tree.writeStat(node, out)
    return Err.ok
  }

  private getAcl(ids: readonly AuthId[], out: Output): number {
    this.readPath()
    const node = this.readable(ids, Perm.read | Perm.admin)
    if (node < 0) return node
    this.auth.writeVisibleAcl(out, this.state.tree.aclId(node), ids)
    this.state.tree.writeStat(node, out)
    return Err.ok
  }

  /** The session's own ephemerals below a prefix; a plain prefix of the text, not of path segments, as in Java. */
  private getEphemerals(conn: Connection, out: Output): number {
    const text = this.input.string()
    const trimmed = text === null ? '' : text.replace(/^[\0-\x20]+|[\0-\x20]+$/g, '')
    const all = trimmed === '' || trimmed === '/'
    const prefix = all || text === null ? new Uint8Array(0) : textToBytes(text)
    const { tree } = this.state
    const countAt = out.pos
    let count = 0
    out.int(0)
    const session = conn.session
    if (session !== null) {
      tree.forEachEphemeral(session.hi, session.lo, (node) => {
        const path = tree.pathOf(node)
        for (let i = 0; i < prefix.length; i++) if (path[i] !== prefix[i]) return
        out.buffer(path)
        count++
      })
    }
    out.view.setInt32(countAt, count)
    return Err.ok
  }

  private addWatch(conn: Connection, out: Output): number {
    this.readNullablePath()
    this.canonicalPath()
    const mode = this.input.int()
    const { watches } = this.state
    if (mode === AddWatchMode.persistent) {
      watches.addPersistent(conn.connId, this.pathBuf, this.pathOff, this.pathEnd)
    } else if (mode === AddWatchMode.persistentRecursive) {
      watches.addRecursive(conn.connId, this.pathBuf, this.pathOff, this.pathEnd)
    } else {
      return Err.marshallingError
    }
    out.int(Err.ok) // ErrorResponse
    return Err.ok
  }

  private knownWatch(conn: Connection, type: number): number {
    this.readNullablePath()
    this.canonicalPath()
    const watcherType = this.input.int()
    if (watcherType < WatcherType.children || watcherType > WatcherType.persistentRecursive) return Err.marshallingError
    const { watches } = this.state
    const known =
      type === OpCode.checkWatches
        ? watches.contains(watcherType, conn.connId, this.pathBuf, this.pathOff, this.pathEnd)
        : watches.remove(watcherType, conn.connId, this.pathBuf, this.pathOff, this.pathEnd)
    return known ? Err.ok : Err.noWatcher
  }

  /**
   * Each sub-operation answers or fails by itself; the header says 0 unless the request itself makes no sense. Where
   * Java gives up on the way it sends an error code and what it has.
   */
  private multiRead(xid: number, ids: readonly AuthId[], out: Output): number {
    const { input, state } = this
    const body = input.off
    const start = beginReply(out, xid, state.zxidLast, 0)
    let refused: boolean
    try {
      refused = this.isMultiWrite()
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err
      endReply(out, start, Err.marshallingError)
      return Err.marshallingError
    }
    input.off = body
    while (!refused) {
      const type = input.int()
      const done = input.bool()
      input.int()
      if (done) break
      const nullPath = !this.readNullablePath()
      input.bool() // the watch flag has no effect here
      if (nullPath) {
        refused = true
        break
      }
      const node = this.readable(ids, Perm.read)
      writeMultiHeader(out, node < 0 ? OpCode.error : type, Math.min(node, 0))
      if (node < 0) {
        out.int(node)
      } else if (type === OpCode.getData) {
        state.tree.writeData(node, out)
        state.tree.writeStat(node, out)
      } else {
        state.tree.writeChildren(node, out)
      }
      if (out.pos - start > this.multiReadBytesMax) {
        const limitBytes = this.multiReadBytesMax
        const text = bodyText(OpCode.multiRead, input.buf, body, input.end)
        this.host.warn('a multiRead asks for more than a reply may hold', { ...text, limitBytes })
        endReply(out, start, Err.marshallingError)
        return Err.marshallingError
      }
    }
    writeMultiEnd(out)
    const err = refused ? Err.marshallingError : Err.ok
    out.view.setInt32(start + 16, err)
    closeFrame(out, start)
    return err
  }

  /** Steps over the request's sub-operations. True when they are writes, of which none may be here; throws otherwise. */
  private isMultiWrite(): boolean {
    const { input } = this
    const body = input.off
    for (;;) {
      const type = input.int()
      const done = input.bool()
      input.int()
      if (done) return false
      if (type !== OpCode.getData && type !== OpCode.getChildren) {
        if (input.off !== body + 9) throw new ProtocolError('reads and writes in one request', input.off)
        input.off = body
        decodeMulti(input)
        return true
      }
      input.skipBuffer()
      input.bool()
    }
  }

  /**
   * Puts a reconnected client's watches back, and tells it at once what it has missed since `relativeZxid`. Events go
   * ahead of the reply; they carry zxid -1. Nobody is told of what he may not read, which is more than Java looks at: like
   * any event, one that is held back has used up its watch.
   */
  private setWatches(conn: Connection, ids: readonly AuthId[], type: number, xid: number, out: Output): number {
    const { input } = this
    let err: number = Err.ok
    try {
      const relativeZxid = input.long()
      const lists = type === OpCode.setWatches2 ? 5 : 3
      const body = input.off
      for (let list = 0; list < lists; list++) skipStrings(input)
      input.off = body
      for (let list = 0; list < lists; list++) {
        const count = input.count()
        if (count < 0) throw new ProtocolError('null list of watches', input.off)
        for (let left = count; left > 0; left--) {
          const nullPath = !this.readNullablePath()
          if (nullPath && list < 3) throw new ProtocolError('null path', input.off)
          this.canonicalPath()
          this.restoreWatch(conn, ids, list, relativeZxid, out)
        }
      }
    } catch (thrown) {
      if (!(thrown instanceof ProtocolError)) throw thrown
      err = Err.marshallingError
    }
    endReply(out, beginReply(out, xid, this.state.zxidLast, 0), err)
    return err
  }

  /** `list`: 0 data, 1 exist, 2 child, 3 persistent, 4 persistent recursive. */
  private restoreWatch(
    conn: Connection,
    ids: readonly AuthId[],
    list: number,
    relativeZxid: number,
    out: Output,
  ): void {
    const { tree, watches } = this.state
    const { pathBuf, pathOff, pathEnd } = this
    const id = conn.connId
    if (list === 3) {
      watches.addPersistent(id, pathBuf, pathOff, pathEnd)
      return
    }
    if (list === 4) {
      watches.addRecursive(id, pathBuf, pathOff, pathEnd)
      return
    }
    const node = tree.find(pathBuf, pathOff, pathEnd)
    let missed = 0
    if (list === 1) {
      if (node !== 0) missed = EventType.nodeCreated
    } else if (node === 0) {
      missed = EventType.nodeDeleted
    } else if (list === 0) {
      if (tree.mzxid(node) > relativeZxid) missed = EventType.nodeDataChanged
    } else if (tree.pzxid(node) > relativeZxid) {
      missed = EventType.nodeChildrenChanged
    }
    if (missed !== 0 && node !== 0 && !this.pastAcl && !this.auth.allowed(tree.aclId(node), Perm.read, ids)) return
    if (missed !== 0) {
      writeEvent(out, missed, STATE_SYNC_CONNECTED, -1, pathBuf, pathOff, pathEnd)
      conn.stats.sent++
    } else if (list === 2) {
      watches.addChild(id, pathBuf, pathOff, pathEnd)
    } else {
      watches.addData(id, pathBuf, pathOff, pathEnd)
    }
  }
}

/** MultiHeader {type, done false, err} in front of a sub-result. */
export function writeMultiHeader(out: Output, type: number, err: number): void {
  out.int(type)
  out.bool(false)
  out.int(err)
}

/** The MultiHeader that ends a MultiResponse. */
export function writeMultiEnd(out: Output): void {
  out.int(-1)
  out.bool(true)
  out.int(-1)
}

function skipStrings(input: Input): void {
  for (let left = input.count(); left > 0; left--) input.skipBuffer()
}
