/**
 * Turns the changes of a live tree into batches for a checkpoint database, some elements at a time. Pure; when a batch
 * is written, and whether it came through, is levelstore.ts's business.
 *
 * First what went, then sessions, then znodes in the order of their ids, and whatever a batch needs to stand on: a
 * znode comes with its ACL, and behind all ancestors that the database may not have yet. The tree may change between
 * two steps. What changes behind the cursor is left to the next checkpoint; what changes ahead of it is written as it
 * is then. A whole checkpoint is the same with every znode and session declared changed.
 */

import { OPEN_ACL_ID } from '../datatree/acl.ts'
import type { StateMachine } from '../datatree/apply.ts'
import type { Changes, TakenChanges } from '../datatree/changes.ts'
import { PAGE_SHIFT } from '../datatree/node.ts'
import { NO_NODE, type NodeId, ROOT } from '../datatree/tree.ts'
import { Output } from '../jute/output.ts'
import type { Zxid } from '../jute/zxid.ts'
import { type CheckpointEnd, endEntry, Kind, seal, writeKeyHead } from './checkpointformat.ts'
import type { KvOp } from './kv.ts'

export interface CheckpointBatch {
  /** To be read once, before the next step: made as they are read, since a million small objects at a time tire the GC. */
  ops: Iterable<KvOp>
  opCount: number
  /** The last zxid that may be in it. */
  zxidEnd: Zxid
  bytes: number
}

export class CheckpointWriter {
  /** The state's last zxid when writing began. */
  readonly zxid: Zxid
  /** Znodes written. */
  nodeCount: number
  /** ACLs that this checkpoint brought into the database. */
  readonly aclsAdded: number[]
  /** What the last batch says of its end. */
  end: CheckpointEnd
  private readonly state: StateMachine
  private readonly changes: Changes
  private readonly taken: TakenChanges
  private readonly generation: number
  private readonly acls: Set<number>
  private readonly out: Output
  /** Three numbers an operation: where key, value and the end lie in `out`; a value at -1 is a removal. */
  private readonly marks: number[]
  private readonly chain: NodeId[]
  /** What is held was taken as a batch. */
  private handedOver: boolean
  private readonly idEnd: NodeId
  private removedAt: number
  private sessionAt: number
  private nodeAt: NodeId

  /** `acls`: those in the database; kept up to date here. */
  constructor(state: StateMachine, changes: Changes, taken: TakenChanges, generation: number, acls: Set<number>) {
    this.zxid = state.zxidLast
    this.nodeCount = 0
    this.aclsAdded = []
    this.state = state
    this.changes = changes
    this.taken = taken
    this.generation = generation
    this.acls = acls
    this.out = new Output(64 * 1024)
    this.marks = []
    this.chain = []
    this.handedOver = false
    this.idEnd = state.tree.arena.pageCount << PAGE_SHIFT
    this.removedAt = 0
    this.sessionAt = 0
    this.nodeAt = ROOT
    this.end = endOf(state)
  }

  /** Bytes of the batch under way. */
  get bytesHeld(): number {
    return this.out.pos
  }

  get opsHeld(): number {
    return this.marks.length / 3
  }

  /** Encodes some `count` elements. True when all is encoded. */
  step(count: number): boolean {
    if (this.handedOver) this.begin()
    for (let i = 0; i < count; i++) {
      if (this.removedAt < this.taken.removed.length) {
        this.writeRemoved(this.taken.removed[this.removedAt++]!)
      } else if (this.sessionAt < this.taken.sessions.length) {
        const { hi, lo } = this.taken.sessions[this.sessionAt++]!
        this.writeSession(hi, lo)
      } else {
        const n = this.changes.dirty.next(this.nodeAt, this.idEnd)
        if (n === NO_NODE) {
          this.dropAcls()
          return true
        }
        this.nodeAt = n
        if (this.state.tree.arena.isUsed(n)) this.writeBranch(n)
        else this.changes.written(n, this.taken)
      }
    }
    return false
  }

  /** The batch so far. `withEnd`: it says how far the log must reach, as each one must that others can see. */
  take(withEnd: boolean): CheckpointBatch {
    this.end = endOf(this.state)
    const opCount = this.opsHeld
    const ops = this.ops(withEnd && opCount > 0 ? this.end : null)
    this.handedOver = true
    return { ops, opCount, zxidEnd: this.end.zxid, bytes: this.out.pos }
  }

  private *ops(end: CheckpointEnd | null): Generator<KvOp> {
    const { out, marks } = this
    for (let i = 0; i < marks.length; i += 3) {
      const keyOff = marks[i]!
      const valueOff = marks[i + 1]!
      const opEnd = marks[i + 2]!
      if (valueOff < 0) yield { type: 'del', key: out.buf.subarray(keyOff, opEnd) }
      else yield { type: 'put', key: out.buf.subarray(keyOff, valueOff), value: out.buf.subarray(valueOff, opEnd) }
    }
    if (end !== null) yield { type: 'put', ...endEntry(this.generation, end) }
  }

  private begin(): void {
    this.handedOver = false
    this.out.clear()
    this.marks.length = 0
  }

  private writeRemoved(path: Uint8Array): void {
    const n = this.state.tree.find(path, 0, path.length)
    if (n !== NO_NODE) {
      this.changes.settleRemoved(n)
      return
    }
    const keyOff = this.out.pos
    writeKeyHead(this.out, this.generation, Kind.node)
    this.out.raw(path)
    this.marks.push(keyOff, -1, this.out.pos)
  }

  private writeSession(hi: number, lo: number): void {
    const { out } = this
    const keyOff = out.pos
    writeKeyHead(out, this.generation, Kind.session)
    out.words(hi, lo)
    const timeoutMs = this.state.sessions.get(hi, lo)
    if (timeoutMs === undefined) {
      this.marks.push(keyOff, -1, out.pos)
      return
    }
    const valueOff = out.pos
    out.int(timeoutMs)
    this.ended(keyOff, valueOff)
  }

  /** A znode, behind those above it that the database may lack. */
  private writeBranch(n: NodeId): void {
    const { tree } = this.state
    const { chain } = this
    chain.length = 0
    chain.push(n)
    for (let above = tree.parent(n); above !== NO_NODE && this.changes.dirty.has(above); above = tree.parent(above)) {
      chain.push(above)
    }
    for (let i = chain.length - 1; i >= 0; i--) this.writeNode(chain[i]!)
  }

  private writeNode(n: NodeId): void {
    const { out } = this
    const { tree } = this.state
    const { arena } = tree
    const aclId = tree.aclId(n)
    if (aclId !== OPEN_ACL_ID && !this.acls.has(aclId)) this.writeAcl(aclId)
    const keyOff = out.pos
    writeKeyHead(out, this.generation, Kind.node)
    const pathBytes = arena.pathLength(n)
    out.reserve(pathBytes)
    out.pos += pathBytes
    arena.copyPath(n, out.buf, out.pos)
    const valueOff = out.pos
    tree.writeData(n, out)
    out.words(aclId >> 31, aclId)
    arena.writeStatPersisted(n, out)
    this.ended(keyOff, valueOff)
    this.changes.written(n, this.taken)
    this.nodeCount++
  }

  private writeAcl(id: number): void {
    const { out } = this
    const keyOff = out.pos
    writeKeyHead(out, this.generation, Kind.acl)
    out.int(id)
    const valueOff = out.pos
    out.raw(this.state.tree.acls.bytes(id))
    this.ended(keyOff, valueOff)
    this.acls.add(id)
    this.aclsAdded.push(id)
  }

  /** Lists that nobody has any more. A znode that was written with one has changed since, and comes again. */
  private dropAcls(): void {
    const { out } = this
    for (const id of this.acls) {
      if (this.state.tree.acls.has(id)) continue
      const keyOff = out.pos
      writeKeyHead(out, this.generation, Kind.acl)
      out.int(id)
      this.marks.push(keyOff, -1, out.pos)
      this.acls.delete(id)
    }
  }

  private ended(keyOff: number, valueOff: number): void {
    seal(this.out, keyOff, valueOff, valueOff)
    this.marks.push(keyOff, valueOff, this.out.pos)
  }
}

/** What the tree is at this moment, for whoever applies the log up to here later. */
function endOf(state: StateMachine): CheckpointEnd {
  const { tree, fuzzy } = state
  return {
    zxid: state.zxidLast,
    complete: false,
    counts: fuzzy ? null : { nodes: tree.nodeCount, sessions: state.sessions.size },
    digest: fuzzy || !tree.hasDigest(ROOT) ? null : { hi: tree.digestHi | 0, lo: tree.digestLo | 0 },
  }
}
