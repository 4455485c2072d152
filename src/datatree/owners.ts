/**
 * Who owns which znodes: the ephemerals of each session, all containers, all TTL nodes. Each is a list through the
 * records themselves (`nextOwned`, `prevOwned`), since a znode has one owner at most; here are only the lists' firsts.
 */

import { assert } from '../jute/assert.ts'
import { Id64Map } from '../jute/id64.ts'
import { Field, Flag, NO_NODE, type NodeArena, type NodeId } from './node.ts'
import { OwnerKind, type OwnerKindValue } from './owner.ts'

export class Owners {
  ephemeralsCount: number
  private readonly arena: NodeArena
  /** First ephemeral of each session that has any. */
  private readonly firstOfSession: Id64Map<NodeId>
  private firstContainer: NodeId
  private firstTtl: NodeId

  constructor(arena: NodeArena) {
    this.ephemeralsCount = 0
    this.arena = arena
    this.firstOfSession = new Id64Map()
    this.firstContainer = NO_NODE
    this.firstTtl = NO_NODE
  }

  /** Gives a znode that has no owner this one, of that kind, and puts it last on the owner's list. */
  add(n: NodeId, hi: number, lo: number, kind: OwnerKindValue): void {
    const arena = this.arena
    arena.setInt(n, Field.owner, hi)
    arena.setInt(n, Field.owner + 4, lo)
    arena.setFlags(n, Flag.ownerKind, kind)
    if (kind === OwnerKind.ephemeral) {
      arena.setInt(n, Field.ownerShown, hi)
      arena.setInt(n, Field.ownerShown + 4, lo)
      const first = this.firstOfSession.get(hi, lo) ?? NO_NODE
      if (first === NO_NODE) this.firstOfSession.set(hi, lo, n)
      arena.link(first, n, Field.nextOwned)
      this.ephemeralsCount++
    } else if (kind === OwnerKind.container) {
      this.firstContainer = arena.link(this.firstContainer, n, Field.nextOwned)
    } else if (kind === OwnerKind.ttl) {
      this.firstTtl = arena.link(this.firstTtl, n, Field.nextOwned)
    }
  }

  /** Takes a znode's owner away, if it has one. */
  remove(n: NodeId): void {
    const arena = this.arena
    const kind = arena.flags(n) & Flag.ownerKind
    if (kind === OwnerKind.none) return
    if (kind === OwnerKind.ephemeral) {
      const hi = arena.int(n, Field.owner)
      const lo = arena.int(n, Field.owner + 4)
      const first = this.firstOfSession.get(hi, lo)
      assert(first !== undefined, 'the session owns nothing')
      const after = arena.unlink(first, n, Field.nextOwned)
      if (after === NO_NODE) this.firstOfSession.delete(hi, lo)
      else if (after !== first) this.firstOfSession.set(hi, lo, after)
      this.ephemeralsCount--
    } else if (kind === OwnerKind.container) {
      this.firstContainer = arena.unlink(this.firstContainer, n, Field.nextOwned)
    } else {
      this.firstTtl = arena.unlink(this.firstTtl, n, Field.nextOwned)
    }
    for (const field of [Field.ownerShown, Field.ownerShown + 4, Field.owner, Field.owner + 4])
      arena.setInt(n, field, 0)
    arena.setFlags(n, Flag.ownerKind, OwnerKind.none)
  }

  forEachEphemeral(hi: number, lo: number, visit: (n: NodeId) => void): void {
    this.arena.forEachLinked(this.firstOfSession.get(hi, lo) ?? NO_NODE, Field.nextOwned, visit)
  }

  forEachSession(visit: (hi: number, lo: number, count: number) => void): void {
    this.firstOfSession.forEach((first, hi, lo) => {
      let count = 0
      this.arena.forEachLinked(first, Field.nextOwned, () => count++)
      visit(hi, lo, count)
    })
  }

  forEachContainer(visit: (n: NodeId) => void): void {
    this.arena.forEachLinked(this.firstContainer, Field.nextOwned, visit)
  }

  forEachTtl(visit: (n: NodeId) => void): void {
    this.arena.forEachLinked(this.firstTtl, Field.nextOwned, visit)
  }

  clear(): void {
    this.firstOfSession.clear()
    this.firstContainer = this.firstTtl = NO_NODE
    this.ephemeralsCount = 0
  }
}
