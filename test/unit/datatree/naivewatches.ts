/** Watches kept the plain way, as WatchManager and DataTree of Java do: what the real ones are compared with. */

import { EventType } from '../../../src/jute/codes.ts'

const { nodeCreated, nodeDeleted, nodeDataChanged, nodeChildrenChanged } = EventType

/** One table as WatchManager keeps it: two maps, and a set of modes for each pair. */
export class NaiveTable {
  readonly byPath = new Map<string, Set<number>>()
  readonly byConn = new Map<number, Map<string, Set<string>>>()

  add(path: string, conn: number, mode: string): void {
    if (!this.byPath.has(path)) this.byPath.set(path, new Set())
    this.byPath.get(path)!.add(conn)
    if (!this.byConn.has(conn)) this.byConn.set(conn, new Map())
    const paths = this.byConn.get(conn)!
    if (!paths.has(path)) paths.set(path, new Set())
    paths.get(path)!.add(mode)
  }

  removeConn(conn: number): void {
    for (const path of this.byConn.get(conn)?.keys() ?? []) this.takeFromPath(path, conn)
    this.byConn.delete(conn)
  }

  trigger(path: string): Set<number> {
    const told = new Set<number>()
    for (let at: string | null = path; at !== null; at = parentOf(at)) {
      for (const conn of [...(this.byPath.get(at) ?? [])]) {
        const modes = this.byConn.get(conn)!.get(at)!
        if (at === path) {
          told.add(conn)
          modes.delete('standard')
          if (modes.size === 0) {
            this.takeFromPath(at, conn)
            this.byConn.get(conn)!.delete(at)
          }
        } else if (modes.has('recursive')) {
          told.add(conn)
        }
      }
    }
    return told
  }

  contains(path: string, conn: number, mode: string | null): boolean {
    const modes = this.byConn.get(conn)?.get(path)
    return modes !== undefined && (mode === null || modes.has(mode))
  }

  remove(path: string, conn: number, mode: string | null): boolean {
    const modes = this.byConn.get(conn)?.get(path)
    if (modes === undefined) return false
    if (mode === null) modes.clear()
    else if (!modes.delete(mode)) return false
    if (modes.size === 0) {
      this.takeFromPath(path, conn)
      this.byConn.get(conn)!.delete(path)
      if (this.byConn.get(conn)!.size === 0) this.byConn.delete(conn)
    }
    return true
  }

  total(): number {
    let total = 0
    for (const paths of this.byConn.values()) total += paths.size
    return total
  }

  private takeFromPath(path: string, conn: number): void {
    const conns = this.byPath.get(path)
    conns?.delete(conn)
    if (conns?.size === 0) this.byPath.delete(path)
  }
}

export function parentOf(path: string): string | null {
  if (path === '/') return null
  const slash = path.lastIndexOf('/')
  return slash === 0 ? '/' : path.slice(0, slash)
}

export class NaiveWatches {
  readonly data = new NaiveTable()
  readonly child = new NaiveTable()

  add(kind: string, conn: number, path: string): void {
    if (kind === 'data') this.data.add(path, conn, 'standard')
    else if (kind === 'child') this.child.add(path, conn, 'standard')
    else if (kind === 'recursive') this.data.add(path, conn, 'recursive')
    else {
      this.data.add(path, conn, 'persistent')
      this.child.add(path, conn, 'persistent')
    }
  }

  contains(type: number, conn: number, path: string): boolean {
    if (type === 1) return this.child.contains(path, conn, 'standard')
    if (type === 2) return this.data.contains(path, conn, 'standard')
    if (type === 3) return this.child.contains(path, conn, null) || this.data.contains(path, conn, null)
    if (type === 4) return this.data.contains(path, conn, 'persistent')
    return this.data.contains(path, conn, 'recursive')
  }

  remove(type: number, conn: number, path: string): boolean {
    if (type === 1) return this.child.remove(path, conn, 'standard')
    if (type === 2) return this.data.remove(path, conn, 'standard')
    if (type === 5) return this.data.remove(path, conn, 'recursive')
    const mode = type === 3 ? null : 'persistent'
    const child = this.child.remove(path, conn, mode)
    return this.data.remove(path, conn, mode) || child
  }

  /** The events of one change; each trigger's in the order of connections. */
  change(kind: string, path: string): string[] {
    if (kind === 'changed') return lines(this.data.trigger(path), nodeDataChanged, path)
    const parent = parentOf(path)!
    if (kind === 'created') {
      return [
        ...lines(this.data.trigger(path), nodeCreated, path),
        ...lines(this.child.trigger(parent), nodeChildrenChanged, parent),
      ]
    }
    const first = this.data.trigger(path)
    const second = [...this.child.trigger(path)].filter((conn) => !first.has(conn))
    return [
      ...lines(first, nodeDeleted, path),
      ...lines(second, nodeDeleted, path),
      ...lines(this.child.trigger(parent), nodeChildrenChanged, parent),
    ]
  }
}

function lines(conns: Iterable<number>, eventType: number, path: string): string[] {
  return [...conns].sort((a, b) => a - b).map((conn) => `${conn} ${eventType} ${path}`)
}
