/**
 * One snapshot file as a tree, for tools that print it: what was written and nothing else, but for the figures below
 * /zookeeper/quota, which a server counts anew when it loads (Java: DataTree.setupQuota).
 */

import { basename, dirname } from 'node:path'
import { StateMachine } from '../datatree/apply.ts'
import type { DataTree, NodeId } from '../datatree/tree.ts'
import { StorageError } from '../jute/errors.ts'
import { decodeText } from '../jute/text.ts'
import type { Zxid } from '../jute/zxid.ts'
import type { Disk } from '../txnlog/disk.ts'
import { COMPRESSIONS, type Compression, zxidOfName } from '../txnlog/names.ts'
import { readSnapshot } from '../txnlog/snapfile.ts'
import { loadInto, type SnapshotSummary } from '../txnlog/snapshot.ts'
import { inJavaOrder, javaStringHash } from './javaorder.ts'

/** Java's `new HashSet<>(8)` of a node's children. */
const CHILDREN_CAPACITY = 8

export interface LoadedSnapshot {
  readonly state: StateMachine
  readonly summary: SnapshotSummary
  /** In the order of the file. */
  readonly sessions: readonly { hi: number; lo: number; timeoutMs: number }[]
  /** From the file's name; -1 where it has none. */
  readonly zxid: Zxid
}

/** Rejects with StorageError for anything but a whole snapshot whose seals match. */
export async function loadSnapshot(disk: Disk, path: string, lengthMax: number): Promise<LoadedSnapshot> {
  const state = plainState()
  const target = loadInto(state)
  const sessions: { hi: number; lo: number; timeoutMs: number }[] = []
  const name = basename(path)
  const zxid = zxidOfName(name, 'snapshot')
  const summary = await readSnapshot(
    disk,
    dirname(path),
    { name, zxid, compression: compressionOf(name) },
    {
      ...target,
      onSession: (hi, lo, timeoutMs) => {
        sessions.push({ hi, lo, timeoutMs })
        target.onSession(hi, lo, timeoutMs)
      },
    },
    lengthMax,
  )
  if (state.tree.nodeCount === 0) throw new StorageError('snapshot without a root', path)
  state.quotas.rebuild()
  return { state, summary, sessions, zxid }
}

/** A state machine that tells nobody, but `onMismatch`. TTL nodes are known as such. */
export function plainState(onMismatch: (zxid: Zxid) => void = () => {}): StateMachine {
  return new StateMachine(
    { onWatch() {} },
    { onResult() {}, onSessionCreated() {}, onSessionClosed() {}, onDigestMismatch: onMismatch },
    { digest: true, extendedTypes: true },
  )
}

export function pathText(tree: DataTree, n: NodeId): string {
  const path = tree.pathOf(n)
  return decodeText(path, 0, path.length)
}

export interface Child {
  readonly node: NodeId
  readonly name: string
}

/** A znode's children in the order in which a Java server that loaded this snapshot would name them. */
export function childrenInJavaOrder(tree: DataTree, n: NodeId): Child[] {
  const children: Child[] = []
  tree.forEachChild(n, (node) => {
    const path = pathText(tree, node)
    children.push({ node, name: path.slice(path.lastIndexOf('/') + 1) })
  })
  // What came first in the file is last in the tree.
  children.reverse()
  return inJavaOrder(children, ({ name }) => javaStringHash(name), CHILDREN_CAPACITY)
}

function compressionOf(name: string): Compression {
  const suffix = name.slice(name.lastIndexOf('.') + 1)
  return COMPRESSIONS.find((known) => known !== '' && known === suffix) ?? ''
}
