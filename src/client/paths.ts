/**
 * Paths as a client writes them: what is none is found before it is sent, and a chroot is put in front and taken off.
 * Java: PathUtils.validatePath, ZooKeeper.prependChroot, ClientCnxn.SendThread.stripChroot.
 */

import { InvalidArgument } from './failures.ts'

/** Throws InvalidArgument with Java's words. */
export function checkPath(path: string): void {
  if (path.length === 0) throw new InvalidArgument('Path length must be > 0')
  if (path[0] !== '/') throw new InvalidArgument('Path must start with / character')
  if (path.length === 1) return
  if (path.endsWith('/')) throw new InvalidArgument('Path must not end with / character')
  for (let i = 1; i < path.length; i++) {
    const reason = reasonAgainst(path, i)
    if (reason !== null) throw new InvalidArgument(`Invalid path string "${path}" caused by ${reason} @${i}`)
  }
}

function reasonAgainst(path: string, i: number): string | null {
  const unit = path.charCodeAt(i)
  const last = path[i - 1]
  if (unit === 0) return 'null character not allowed'
  if (path[i] === '/') return last === '/' ? 'empty node name specified' : null
  if (path[i] === '.') {
    const from = last === '.' ? i - 1 : i
    const wholeName = path[from - 1] === '/' && (i + 1 === path.length || path[i + 1] === '/')
    return wholeName ? 'relative paths not allowed' : null
  }
  const invalid = unit <= 0x1f || (unit >= 0x7f && unit <= 0x9f) || (unit >= 0xd800 && unit <= 0xf8ff) || unit >= 0xfff0
  return invalid ? 'invalid character' : null
}

/** What the server calls `path`. */
export function withChroot(chroot: string, path: string): string {
  if (chroot === '') return path
  return path === '/' ? chroot : chroot + path
}

/** What the client calls a path of the server's. One outside of the chroot stays as it is. */
export function withoutChroot(chroot: string, path: string): string {
  if (chroot === '' || !path.startsWith(chroot)) return path
  return path.length === chroot.length ? '/' : path.slice(chroot.length)
}

/** `/a`, `b` -> `/a/b`. */
export function childPath(parent: string, name: string): string {
  return parent === '/' ? `/${name}` : `${parent}/${name}`
}
