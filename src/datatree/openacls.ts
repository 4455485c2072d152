/** Znodes that everybody who is let in may change. Pure. */

import { Perm } from '../jute/codes.ts'
import { textToBytes } from '../jute/text.ts'
import type { DataTree } from './tree.ts'

/** Where a careless ACL opens everything: the root, and what the server itself goes by. */
const EXPOSED = ['/', '/zookeeper', '/zookeeper/config', '/zookeeper/quota']

export interface OpenPath {
  readonly path: string
  /** `create, delete, write, change the ACL`: what everybody may do beyond reading. */
  readonly may: string
}

/** The root and the system's znodes, as far as everybody may do more there than read. */
export function openPaths(tree: DataTree): OpenPath[] {
  const open: OpenPath[] = []
  for (const path of EXPOSED) {
    const may = permNames(worldPerms(tree, path) & ~Perm.read)
    if (may !== '') open.push({ path, may })
  }
  return open
}

/** Their paths, for a line of the log. */
export function openPathsText(tree: DataTree): string {
  return openPaths(tree)
    .map(({ path }) => path)
    .join(' ')
}

/** What world:anyone may do at a znode; 0 where there is none. */
function worldPerms(tree: DataTree, path: string): number {
  const bytes = textToBytes(path)
  const node = tree.find(bytes, 0, bytes.length)
  if (node === 0) return 0
  let perms = 0
  for (const acl of tree.acls.entries(tree.aclId(node))) {
    if (acl.scheme === 'world' && acl.id === 'anyone') perms |= acl.perms
  }
  return perms
}

function permNames(perms: number): string {
  const names = (['create', 'delete', 'write', 'admin'] as const).filter((name) => (perms & Perm[name]) !== 0)
  return names.join(', ').replace('admin', 'change the ACL')
}
