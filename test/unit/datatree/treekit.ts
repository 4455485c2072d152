/** What the tests of the tree share: paths as strings; records and entries decoded by other code than the tree's. */

import { expect } from 'vitest'
import { OPEN_ACL_ID } from '../../../src/datatree/acl.ts'
import { DataTree, type NodeId } from '../../../src/datatree/tree.ts'
import { Input } from '../../../src/jute/input.ts'
import { Output } from '../../../src/jute/output.ts'

export const encoder = new TextEncoder()
export const decoder = new TextDecoder()

export function find(tree: DataTree, path: string): NodeId {
  const bytes = encoder.encode(path)
  return tree.find(bytes, 0, bytes.length)
}

export interface CreateOptions {
  data?: string | Uint8Array | null
  aclId?: number
  ownerHi?: number
  ownerLo?: number
  zxid?: number
  timeMs?: number
}

export function create(tree: DataTree, path: string, options: CreateOptions = {}): NodeId {
  const { data = '', aclId = OPEN_ACL_ID, ownerHi = 0, ownerLo = 0, zxid = 1, timeMs = 1000 } = options
  const pathBytes = encoder.encode(path)
  const dataBytes = typeof data === 'string' ? encoder.encode(data) : data
  // path and data at odd places of one buffer, as in a txn
  const buf = new Uint8Array(3 + pathBytes.length + 5 + (dataBytes?.length ?? 0))
  buf.set(pathBytes, 3)
  const dataOff = 3 + pathBytes.length + 5
  if (dataBytes !== null) buf.set(dataBytes, dataOff)
  const parent = find(tree, path.slice(0, path.lastIndexOf('/')))
  const length = dataBytes === null ? -1 : dataBytes.length
  return tree.create(buf, 3, 3 + pathBytes.length, dataOff, length, parent, aclId, ownerHi, ownerLo, zxid, timeMs)
}

export function setData(tree: DataTree, n: NodeId, data: string | null, version = 1, zxid = 2, timeMs = 2000): void {
  const bytes = encoder.encode(data ?? '')
  tree.setData(n, bytes, 0, data === null ? -1 : bytes.length, version, zxid, timeMs)
}

export function stat(tree: DataTree, n: NodeId): Record<string, number | bigint> {
  const out = new Output()
  tree.writeStat(n, out)
  expect(out.pos).toBe(68)
  const v = new DataView(out.buf.buffer)
  return {
    czxid: v.getBigInt64(0),
    mzxid: v.getBigInt64(8),
    ctime: v.getBigInt64(16),
    mtime: v.getBigInt64(24),
    version: v.getInt32(32),
    cversion: v.getInt32(36),
    aversion: v.getInt32(40),
    ephemeralOwner: v.getBigInt64(44),
    dataLength: v.getInt32(52),
    numChildren: v.getInt32(56),
    pzxid: v.getBigInt64(60),
  }
}

export function children(tree: DataTree, n: NodeId): string[] {
  const out = new Output()
  tree.writeChildren(n, out)
  const inp = new Input(out.bytes())
  const names: string[] = []
  for (let count = inp.count(); count > 0; count--) names.push(inp.string()!)
  expect(inp.remaining).toBe(0)
  return names
}

export function data(tree: DataTree, n: NodeId): string | null {
  const out = new Output()
  tree.writeData(n, out)
  const inp = new Input(out.bytes(), 0, out.pos, 1 << 28)
  const bytes = inp.buffer()
  expect(inp.remaining).toBe(0)
  const copy = tree.dataOf(n)
  expect(copy === null).toBe(bytes === null)
  if (bytes === null || copy === null) return null
  expect(Buffer.compare(bytes, copy)).toBe(0)
  return decoder.decode(bytes)
}

export const path = (tree: DataTree, n: NodeId): string => decoder.decode(tree.pathOf(n))

export interface Entry {
  path: string
  data: string | null
  aclId: bigint
  stat: Record<string, number | bigint>
}

/** A snapshot entry as TreeWalk wrote it. */
export function readEntry(bytes: Uint8Array): Entry {
  const inp = new Input(bytes, 0, bytes.length, 1 << 28)
  const path = inp.string()!
  const buffer = inp.buffer()
  const v = new DataView(bytes.buffer, bytes.byteOffset + inp.off, 68)
  if (inp.remaining !== 68) expect.fail(`${inp.remaining} bytes of ACL id and Stat`)
  return {
    path,
    data: buffer === null ? null : decoder.decode(buffer),
    aclId: v.getBigInt64(0),
    stat: {
      czxid: v.getBigInt64(8),
      mzxid: v.getBigInt64(16),
      ctime: v.getBigInt64(24),
      mtime: v.getBigInt64(32),
      version: v.getInt32(40),
      cversion: v.getInt32(44),
      aversion: v.getInt32(48),
      ephemeralOwner: v.getBigInt64(52),
      pzxid: v.getBigInt64(60),
    },
  }
}

/** Loads a snapshot entry as the walk wrote it. */
export function loadEntry(tree: DataTree, bytes: Uint8Array): NodeId {
  const inp = new Input(bytes, 0, bytes.length, 1 << 28)
  const pathLength = inp.length()
  const pathOff = inp.off
  inp.off += pathLength
  const dataLength = inp.length()
  const dataOff = inp.off
  if (dataLength > 0) inp.off += dataLength
  const aclId = inp.long()
  return tree.loadNode(bytes, pathOff, pathOff + pathLength, dataOff, dataLength, aclId, inp.off)
}

/** Entries of a whole walk over a tree that does not change. */
export function walkAll(tree: DataTree): Uint8Array[] {
  const entries: Uint8Array[] = []
  const out = new Output()
  for (const walk = tree.walk(); walk.next(out); out.clear()) entries.push(out.copy())
  return entries
}

/** A second tree with the same content, through the entries of a walk. */
export function reload(tree: DataTree, into: DataTree = new DataTree()): DataTree {
  into.clear()
  into.extendedTypes = tree.extendedTypes
  tree.acls.forEach((id, bytes) => {
    into.loadAcl(id, bytes)
  })
  for (const entry of walkAll(tree)) loadEntry(into, entry)
  into.finishLoad()
  return into
}
