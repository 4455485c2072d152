/**
 * Walks over a subtree, many requests at a time. What they see is no snapshot: nodes come and go under the walk.
 * Java: ZKUtil.
 */

import { Err } from '../jute/codes.ts'
import { KeeperError } from './failures.ts'
import { checkPath, childPath } from './paths.ts'
import type { ZooKeeper } from './zookeeper.ts'

/** Requests under way at once. The server answers them in order; they only save the time between two of them. */
const CALLS_AHEAD = 64
/** Multis under way at once, as in Java. */
const BATCHES_AHEAD = 10

/** How a long walk is stopped, and what it says of itself. */
export interface Walk {
  readonly signal: AbortSignal
  /** `count` things are done; `total` of them, as far as it is known. */
  progress(count: number, total: number | null): void
}

/**
 * `path` and everything below it, parents first, level by level. Throws KeeperError for a node that cannot be read, or
 * was deleted in the meantime.
 */
async function levels(zk: ZooKeeper, path: string, walk: Walk): Promise<string[]> {
  const tree = [path]
  for (let at = 0; at < tree.length; ) {
    walk.signal.throwIfAborted()
    const parents = tree.slice(at, at + CALLS_AHEAD)
    const found = await Promise.all(parents.map((parent) => zk.getChildren(parent)))
    for (const [i, { children }] of found.entries()) {
      for (const name of children) tree.push(childPath(parents[i]!, name))
    }
    at += parents.length
    walk.progress(tree.length, null)
  }
  return tree
}

/**
 * `path` and everything below it in the order of Java's `ls -R`: a node's children, sorted, ahead of theirs. Sets a
 * watch on `path`'s data and on each node's children if `watch`.
 */
export async function visitSubtree(
  zk: ZooKeeper,
  path: string,
  watch: boolean,
  visit: (path: string) => void | Promise<void>,
  walk: Walk,
): Promise<void> {
  checkPath(path)
  await zk.getData(path, watch)
  await visit(path)
  let count = 1
  // Children of nodes that are next in turn are asked for ahead of it; what is gone by then has none.
  const childrenOf = (parent: string): Promise<string[]> => {
    const children = zk.getChildren(parent, watch).then(
      (answer) => answer.children.sort(compareUnits),
      (err: unknown) => {
        if (err instanceof KeeperError && err.code === Err.noNode) return []
        throw err
      },
    )
    // It may fail long before anybody waits for it.
    children.catch(() => {})
    return children
  }
  /** Nodes whose children are to be visited, the next one last. */
  const open: { path: string; children: Promise<string[]> | null }[] = [{ path, children: childrenOf(path) }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    walk.signal.throwIfAborted()
    const parent = next.path
    const names = await (next.children ?? childrenOf(parent))
    for (const name of names) await visit(childPath(parent, name))
    count += names.length
    walk.progress(count, null)
    for (const name of names.reverse()) open.push({ path: childPath(parent, name), children: null })
    for (const ahead of open.slice(-CALLS_AHEAD)) ahead.children ??= childrenOf(ahead.path)
  }
}

/**
 * Deletes `path` and everything below it, leaves first. In batches of `batchSize` deletions, each of which is done
 * wholly or not at all; one by one if that is 0 or less. Returns false when a batch failed: the rest is not tried.
 */
export async function deleteSubtree(zk: ZooKeeper, path: string, batchSize: number, walk: Walk): Promise<boolean> {
  checkPath(path)
  const tree = (await levels(zk, path, walk)).reverse()
  if (batchSize <= 0) {
    for (const [i, node] of tree.entries()) {
      walk.signal.throwIfAborted()
      await zk.delete(node)
      walk.progress(i + 1, tree.length)
    }
    return true
  }
  let succeeded = true
  let done = 0
  const underWay = new Set<Promise<void>>()
  for (let at = 0; at < tree.length && succeeded; at += batchSize) {
    walk.signal.throwIfAborted()
    const batch = tree.slice(at, at + batchSize)
    const call = zk.deleteTogether(batch).then(
      () => {
        done += batch.length
        walk.progress(done, tree.length)
      },
      () => {
        succeeded = false
      },
    )
    const tracked: Promise<void> = call.then(() => void underWay.delete(tracked))
    underWay.add(tracked)
    if (underWay.size >= BATCHES_AHEAD) await Promise.race(underWay)
  }
  await Promise.all(underWay)
  return succeeded
}

/** By UTF-16 units, as Java's String.compareTo. */
export function compareUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
