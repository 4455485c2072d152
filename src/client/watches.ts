/**
 * The watchers of a session by path, as the client counts them: who hears of an event, and what a new connection must
 * ask for again. The server keeps one watch for a path and kind, however many watchers there are here.
 * Java: ZKWatchManager, WatchRegistration, WatchDeregistration.
 */

import { AddWatchMode, Err, EventType, WatcherType } from '../jute/codes.ts'
import { KeeperError } from './failures.ts'

/** As Watcher.Event.KeeperState. */
export type EventState =
  | 'SyncConnected'
  | 'Disconnected'
  | 'ConnectedReadOnly'
  | 'AuthFailed'
  | 'SaslAuthenticated'
  | 'Expired'
  | 'Closed'

/** As Watcher.Event.EventType. */
export type EventName =
  | 'None'
  | 'NodeCreated'
  | 'NodeDeleted'
  | 'NodeDataChanged'
  | 'NodeChildrenChanged'
  | 'DataWatchRemoved'
  | 'ChildWatchRemoved'
  | 'PersistentWatchRemoved'

export interface WatchedEvent {
  readonly type: EventName
  readonly state: EventState
  /** The client's; null for events of the session. */
  readonly path: string | null
  /** Of the change; -1 where none is known. */
  readonly zxid: number
}

export type Watcher = (event: WatchedEvent) => void

/** What a request asks to be told about, once its answer is there. */
export type WatchKind = 'data' | 'exists' | 'children' | 'persistent' | 'persistentRecursive'

const EVENT_NAMES: Readonly<Record<number, EventName>> = {
  [EventType.nodeCreated]: 'NodeCreated',
  [EventType.nodeDeleted]: 'NodeDeleted',
  [EventType.nodeDataChanged]: 'NodeDataChanged',
  [EventType.nodeChildrenChanged]: 'NodeChildrenChanged',
}

/** Null for a type that this client does not know. */
export function eventName(type: number): EventName | null {
  return EVENT_NAMES[type] ?? null
}

export function watchKindOf(mode: number): WatchKind {
  return mode === AddWatchMode.persistent ? 'persistent' : 'persistentRecursive'
}

type ByPath = Map<string, Set<Watcher>>

export class Watches {
  private readonly byKind: Readonly<Record<WatchKind, ByPath>>

  constructor() {
    this.byKind = {
      data: new Map(),
      exists: new Map(),
      children: new Map(),
      persistent: new Map(),
      persistentRecursive: new Map(),
    }
  }

  /** A request that set a watch was answered with `err`. */
  onAnswer(kind: WatchKind, path: string, watcher: Watcher, err: number): void {
    const lasting = kind === 'persistent' || kind === 'persistentRecursive'
    if (err !== Err.ok && !(err === Err.noNode && (kind === 'exists' || lasting))) return
    // exists() on a node that is there watches its data.
    const watches = this.byKind[kind === 'exists' && err === Err.ok ? 'data' : kind]
    const watchers = watches.get(path)
    if (watchers === undefined) watches.set(path, new Set([watcher]))
    else watchers.add(watcher)
  }

  /** Who hears of a change at `path`, each once. Watches that fire once are gone with it. */
  take(type: EventName, path: string): Set<Watcher> {
    const { data, exists, children, persistent, persistentRecursive } = this.byKind
    const heard = new Set<Watcher>()
    const once = type === 'NodeChildrenChanged' ? [children] : [data, exists]
    if (type === 'NodeDeleted') once.push(children)
    for (const watches of once) {
      addAll(heard, watches.get(path))
      watches.delete(path)
    }
    addAll(heard, persistent.get(path))
    // A recursive watch promises no events of children; those that come were meant for a plain watch below it.
    if (type === 'NodeChildrenChanged') return heard
    for (let at = path; ; at = at.slice(0, Math.max(1, at.lastIndexOf('/')))) {
      addAll(heard, persistentRecursive.get(at))
      if (at === '/') return heard
    }
  }

  /** Everybody, for events of the session. */
  everyone(): Set<Watcher> {
    const heard = new Set<Watcher>()
    for (const watches of Object.values(this.byKind)) for (const watchers of watches.values()) addAll(heard, watchers)
    return heard
  }

  /**
   * A request to remove all watchers of `path` was answered with `err`. Returns who is to hear of what; throws what the
   * caller is to be told instead. `local`: they go whatever the server said.
   */
  remove(path: string, type: number, err: number, local: boolean): Map<EventName, Set<Watcher>> {
    const kinds = kindsOf(type)
    if (!kinds.some((kind) => this.byKind[kind].has(path))) throw new KeeperError(Err.noWatcher, path)
    if (!local && err !== Err.ok) throw new KeeperError(err, path)
    const heard = new Map<EventName, Set<Watcher>>()
    for (const kind of kinds) {
      const watchers = this.byKind[kind].get(path)
      if (watchers === undefined) continue
      this.byKind[kind].delete(path)
      const name = removedName(kind)
      const all = heard.get(name) ?? new Set()
      addAll(all, watchers)
      heard.set(name, all)
    }
    return heard
  }

  /** Paths of a kind, to be asked for again on a new connection. */
  paths(kind: WatchKind): string[] {
    return [...this.byKind[kind].keys()]
  }

  /** Forgets what a new connection would not ask for again (disableAutoWatchReset). */
  forgetOnce(): void {
    for (const kind of ['data', 'exists', 'children'] as const) this.byKind[kind].clear()
  }
}

function kindsOf(type: number): readonly WatchKind[] {
  switch (type) {
    case WatcherType.children:
      return ['children']
    case WatcherType.data:
      return ['data', 'exists']
    case WatcherType.persistent:
      return ['persistent']
    case WatcherType.persistentRecursive:
      return ['persistentRecursive']
    default:
      return ['children', 'data', 'exists', 'persistent', 'persistentRecursive']
  }
}

function removedName(kind: WatchKind): EventName {
  if (kind === 'children') return 'ChildWatchRemoved'
  return kind === 'data' || kind === 'exists' ? 'DataWatchRemoved' : 'PersistentWatchRemoved'
}

function addAll(into: Set<Watcher>, watchers: ReadonlySet<Watcher> | undefined): void {
  if (watchers !== undefined) for (const watcher of watchers) into.add(watcher)
}
