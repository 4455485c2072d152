/**
 * Which containers and TTL znodes have outlived their purpose. Leader and standalone only; the deletion itself is a
 * transaction, checked again when it is prepared. Pure. Java: ContainerManager.getCandidates.
 */

import type { DataTree, NodeId } from '../../datatree/tree.ts'

/** Paths to delete now. `neverUsedMs`: a container that never had a child goes after this long; 0 is never. */
export function reapable(tree: DataTree, wallMs: number, neverUsedMs: number): Uint8Array[] {
  const paths: Uint8Array[] = []
  const take = (node: NodeId): void => {
    paths.push(tree.pathOf(node))
  }
  tree.forEachContainer((node) => {
    if (tree.numChildren(node) > 0) return
    if (tree.cversion(node) > 0) take(node)
    else if (neverUsedMs !== 0 && wallMs - tree.mtimeMs(node) > neverUsedMs) take(node)
  })
  tree.forEachTtl((node) => {
    if (tree.numChildren(node) === 0 && wallMs - tree.mtimeMs(node) > tree.ttlMs(node)) take(node)
  })
  return paths
}
