/**
 * The arena checker: everything that tree.ts promises about its memory, asserted by going over all of it. For tests,
 * which call it often: manual memory has no other guard against a leak or a double use than one that looks.
 */

import { assert } from '../jute/assert.ts'
import { OPEN_ACL_ID } from './acl.ts'
import { NO_BLOB } from './blobs.ts'
import { crc32, statCrc } from './crc32.ts'
import { Field, Flag, NO_NODE, type NodeId, ROOT } from './node.ts'
import { OwnerKind, ownerKind } from './owner.ts'
import { spread } from './pathindex.ts'
import type { DataTree } from './tree.ts'

/** Throws AssertionError at the first thing that does not hold. */
export function checkTree(tree: DataTree): void {
  const nodes = checkLinks(tree)
  checkIndex(tree, nodes)
  checkMemory(tree, nodes)
  checkOwners(tree, nodes)
  checkAcls(tree, nodes)
  checkFigures(tree, nodes)
}

/** All znodes, reached from the root; each once, with sound links. */
function checkLinks(tree: DataTree): Set<NodeId> {
  const nodes = new Set<NodeId>()
  const arena = tree.arena
  const pending: NodeId[] = tree.nodeCount === 0 ? [] : [ROOT]
  if (tree.nodeCount > 0) assert(tree.parent(ROOT) === NO_NODE, 'the root has a parent')
  for (let n = pending.pop(); n !== undefined; n = pending.pop()) {
    assert(!nodes.has(n), 'znode reached twice')
    assert((arena.flags(n) & Flag.free) === 0, 'free record in the tree')
    nodes.add(n)
    let count = 0
    let before = NO_NODE
    const first = arena.int(n, Field.firstChild)
    for (let child = first; child !== NO_NODE; child = arena.int(child, Field.nextSibling)) {
      assert(tree.parent(child) === n, 'child of another parent')
      assert(before === NO_NODE || arena.int(child, Field.prevSibling) === before, 'siblings disagree')
      assert(arena.nameLength(child) > 0, 'empty name')
      before = child
      count++
      pending.push(child)
    }
    if (first !== NO_NODE) assert(arena.int(first, Field.prevSibling) === before, 'last sibling is off')
    assert(count === tree.numChildren(n), 'numChildren is off')
  }
  assert(nodes.size === tree.nodeCount, `${nodes.size} znodes reached, ${tree.nodeCount} counted`)
  return nodes
}

function checkIndex(tree: DataTree, nodes: Set<NodeId>): void {
  const indexed = new Set<NodeId>()
  tree.index.check((id, hash) => {
    assert(nodes.has(id) && !indexed.has(id), 'index has an id that is not a znode, or has it twice')
    assert(spread(tree.arena.int(id, Field.pathHash)) === hash, 'index disagrees with the record')
    indexed.add(id)
  })
  assert(indexed.size === Math.max(0, nodes.size - 1), 'index is incomplete')
  for (const n of nodes) {
    const path = tree.pathOf(n)
    assert(tree.find(path, 0, path.length) === n, 'a path does not lead to its znode')
  }
}

function checkMemory(tree: DataTree, nodes: Set<NodeId>): void {
  const blobs = new Set<number>()
  for (const n of nodes) {
    for (const field of [Field.name, Field.data]) {
      const blob = tree.arena.int(n, field)
      if (blob === NO_BLOB) continue
      assert(!blobs.has(blob), 'blob owned twice')
      blobs.add(blob)
    }
    const dataLength = tree.dataLength(n)
    const data = tree.arena.int(n, Field.data)
    const capacity = tree.arena.blobs.capacity(data)
    assert(capacity === tree.arena.blobs.capacityFor(Math.max(0, dataLength)), 'data does not fit its blob')
  }
  tree.arena.blobs.check(blobs)
  tree.arena.slots.check(new Set([NO_NODE, ...nodes]))
}

function checkOwners(tree: DataTree, nodes: Set<NodeId>): void {
  const owned = new Map<NodeId, number>()
  const put = (n: NodeId, kind: number): void => {
    assert(nodes.has(n) && !owned.has(n), 'owned twice, or no znode')
    owned.set(n, kind)
  }
  let ephemerals = 0
  tree.forEachEphemeralSession((hi, lo, count) => {
    assert(count > 0, 'session without ephemerals kept')
    ephemerals += count
    tree.forEachEphemeral(hi, lo, (n) => {
      assert(tree.ownerHi(n) === hi && tree.ownerLo(n) === lo, 'ephemeral of another session')
      put(n, OwnerKind.ephemeral)
    })
  })
  assert(ephemerals === tree.ephemeralsCount, 'ephemeralsCount is off')
  tree.forEachContainer((n) => put(n, OwnerKind.container))
  tree.forEachTtl((n) => put(n, OwnerKind.ttl))
  for (const n of nodes) {
    const kind = ownerKind(tree.ownerHi(n), tree.ownerLo(n), tree.extendedTypes, tree.emulate353)
    assert(tree.ownerKind(n) === kind && (owned.get(n) ?? OwnerKind.none) === kind, 'owner and list disagree')
    const isShown = kind === OwnerKind.ephemeral
    assert(tree.arena.int(n, Field.ownerShown) === (isShown ? tree.ownerHi(n) : 0), 'owner shown is off')
    assert(tree.arena.int(n, Field.ownerShown + 4) === (isShown ? tree.ownerLo(n) : 0), 'owner shown is off')
  }
}

function checkAcls(tree: DataTree, nodes: Set<NodeId>): void {
  const references = new Map<number, number>()
  for (const n of nodes) references.set(tree.aclId(n), (references.get(tree.aclId(n)) ?? 0) + 1)
  tree.acls.forEach((id) => {
    assert(tree.acls.references(id) === (references.get(id) ?? 0), 'ACL references are off')
    references.delete(id)
  })
  references.delete(OPEN_ACL_ID)
  assert(references.size === 0, 'ACL id without a list')
}

/** Counts, and the digest from nothing but paths, data and Stats. */
function checkFigures(tree: DataTree, nodes: Set<NodeId>): void {
  let dataBytes = 0
  let digest = 0n
  for (const n of nodes) {
    const path = tree.pathOf(n)
    const data = tree.dataOf(n)
    dataBytes += tree.pathSizeOf(n) + (data === null ? 0 : data.length)
    if (!tree.hasDigest(n)) {
      assert(tree.digest(n) === 0 && tree.dataCrc(n) === 0, 'digest where there is none')
      continue
    }
    let crc = n === ROOT ? 0 : crc32(0, path, 0, path.length)
    if (data !== null) crc = crc32(crc, data, 0, data.length)
    assert(crc === tree.dataCrc(n), 'dataCrc is off')
    crc = statCrc(
      crc,
      tree.czxid(n),
      tree.mzxid(n),
      tree.pzxid(n),
      tree.ctimeMs(n),
      tree.mtimeMs(n),
      tree.version(n),
      tree.cversion(n),
      tree.aversion(n),
      tree.ownerHi(n),
      tree.ownerLo(n),
    )
    assert(crc === tree.digest(n), 'digest of a znode is off')
    digest += BigInt(crc)
  }
  assert(dataBytes === tree.dataBytes, 'dataBytes is off')
  const words = (BigInt(tree.digestHi >>> 0) << 32n) | BigInt(tree.digestLo >>> 0)
  assert(BigInt.asUintN(64, digest) === words, 'digest of the tree is off')
}
