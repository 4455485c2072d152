/**
 * A walk over the live tree, one znode per step, that writes snapshot entries. The tree may change between steps.
 *
 * The result is fuzzy, as Java's snapshots are: znodes that are there from beginning to end come exactly once, parents
 * before children; those created or removed meanwhile may or may not come; each with the values of its moment. Replay
 * of the log from the walk's beginning repairs that (Java: DataTree.serializeNode, and the comments on fuzzy ranges).
 *
 * For every level there is one cursor, the znode to come next there. Children are taken from the last to the first:
 * what is created meanwhile is appended behind the cursor, so no path comes twice and the walk ends, however fast the
 * tree grows. A removed znode hands its place to its predecessor (`onRemove`). A level with a cursor has a znode, hence
 * its parents live and the path above it still holds.
 *
 * A snapshot's ACL table is written before its nodes, in the same breath as the first step. A node that has a younger
 * list by its turn would name an id that the snapshot lacks, and Java dies of that during replay (ZOOKEEPER-4846). So
 * one that was given such a list is written with the one it had before, and one that was created with it is left out,
 * with all below it, which is as young: the log has both. An id that is in use and was there when the table was written
 * is in the table, since ids never come back.
 *
 * `Flag.walked` in a record says that a walk may hold something about it; it spares `remove` the look. It may stand for
 * nothing: it is not cleared where other walks are under way.
 */

import { assert } from '../jute/assert.ts'
import { Output } from '../jute/output.ts'
import type { AclId } from './acl.ts'
import { Field, Flag, NO_NODE, type NodeId, ROOT } from './node.ts'
import type { DataTree } from './tree.ts'

const SLASH = 0x2f

export class TreeWalk {
  private readonly tree: DataTree
  /** Per level, the znode to come next; NO_NODE where the level is done. Level 0 is the root's. */
  private readonly cursors: NodeId[]
  /** Per level, how many bytes of `path` lead to the parent of its znodes. */
  private readonly pathLengths: number[]
  private readonly path: Output
  /** The last ACL id that the snapshot's table can hold; anything goes before the first step. */
  private aclIdMax: AclId
  /** What znodes not yet written had before they were given a younger list. */
  private readonly aclsBefore: Map<NodeId, AclId>
  private closed: boolean

  constructor(tree: DataTree) {
    this.tree = tree
    this.cursors = []
    this.pathLengths = []
    this.path = new Output(256)
    this.aclIdMax = Number.MAX_SAFE_INTEGER
    this.aclsBefore = new Map()
    this.closed = false
    tree.walks.push(this)
    if (tree.nodeCount > 0) this.push(ROOT, 0)
  }

  /**
   * Appends the next znode: path (ustring; the root's is ""), data (buffer), ACL id (long), StatPersisted. False when
   * there was none left, and nothing was appended; the walk is closed then.
   */
  next(out: Output): boolean {
    if (this.aclIdMax === Number.MAX_SAFE_INTEGER) this.aclIdMax = this.tree.acls.idLast
    const n = this.step()
    if (n === NO_NODE) return false
    const arena = this.tree.arena
    const aclId = this.aclIdOf(n)
    const above = this.pathLengths[this.pathLengths.length - 1]!
    this.path.pos = above
    if (n !== ROOT) {
      // the name comes with its length in front, in the place of which the slash belongs
      arena.writeName(n, out)
      const nameLength = arena.nameLength(n)
      const nameOff = out.pos - nameLength
      this.path.byte(SLASH)
      this.path.raw(out.buf, nameOff, out.pos)
      out.pos = nameOff - 4
    }
    out.bufferOf(this.path.buf, 0, this.path.pos)
    this.tree.writeData(n, out)
    out.words(aclId >> 31, aclId)
    arena.writeStatPersisted(n, out)

    this.advance()
    this.push(this.lastChild(n), this.path.pos)
    return true
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    for (let level = 0; level < this.cursors.length; level++) this.point(level, NO_NODE)
    this.cursors.length = 0
    this.aclsBefore.clear()
    const at = this.tree.walks.indexOf(this)
    assert(at >= 0, 'walk closed twice')
    this.tree.walks.splice(at, 1)
  }

  /** The tree is about to remove `n`, which is still linked. */
  onRemove(n: NodeId): void {
    const level = this.cursors.indexOf(n)
    if (level >= 0) this.point(level, this.before(n))
    this.aclsBefore.delete(n)
  }

  /** The tree is about to give `n` this list. */
  onSetAcl(n: NodeId, aclId: AclId): void {
    const before = this.tree.aclId(n)
    if (aclId <= this.aclIdMax || before > this.aclIdMax || this.aclsBefore.has(n)) return
    this.aclsBefore.set(n, before)
    this.tree.arena.setFlags(n, 0, Flag.walked)
  }

  /** The znode to write now; finished levels are dropped, and those too young are passed over. */
  private step(): NodeId {
    while (this.cursors.length > 0) {
      const n = this.cursors[this.cursors.length - 1]!
      if (n === NO_NODE) {
        this.cursors.pop()
        this.pathLengths.pop()
      } else if (this.tree.aclId(n) > this.aclIdMax && !this.aclsBefore.has(n)) {
        this.advance()
      } else {
        return n
      }
    }
    this.close()
    return NO_NODE
  }

  private aclIdOf(n: NodeId): AclId {
    const aclId = this.tree.aclId(n)
    if (this.aclsBefore.size === 0) return aclId
    const before = this.aclsBefore.get(n) ?? aclId
    this.aclsBefore.delete(n)
    return aclId > this.aclIdMax ? before : aclId
  }

  /** On the level walked now, goes on to the next znode. */
  private advance(): void {
    const n = this.cursors[this.cursors.length - 1]!
    this.point(this.cursors.length - 1, n === ROOT ? NO_NODE : this.before(n))
  }

  private push(first: NodeId, pathLength: number): void {
    this.cursors.push(NO_NODE)
    this.pathLengths.push(pathLength)
    this.point(this.cursors.length - 1, first)
  }

  private point(level: number, n: NodeId): void {
    const arena = this.tree.arena
    const left = this.cursors[level]!
    if (left !== NO_NODE && this.tree.walks.length === 1) arena.setFlags(left, Flag.walked, 0)
    if (n !== NO_NODE) arena.setFlags(n, 0, Flag.walked)
    this.cursors[level] = n
  }

  /** The sibling created before `n`. */
  private before(n: NodeId): NodeId {
    const arena = this.tree.arena
    const isFirst = arena.int(arena.int(n, Field.parent), Field.firstChild) === n
    return isFirst ? NO_NODE : arena.int(n, Field.prevSibling)
  }

  private lastChild(n: NodeId): NodeId {
    const arena = this.tree.arena
    const first = arena.int(n, Field.firstChild)
    return first === NO_NODE ? NO_NODE : arena.int(first, Field.prevSibling)
  }
}
