/**
 * A client of ZooKeeper for the tools of this package: one method for each request, with promises.
 *
 * Paths are the caller's: below the chroot of the connect string, if there is one. A call fails with KeeperError (a
 * server's code, or connectionLoss, sessionExpired, authFailed of the client's own) or, at once, with InvalidArgument.
 * Bytes and texts in answers are the caller's own. Java: ZooKeeper, ZooKeeperAdmin.
 */

import { CreateMode, Err, OpCode } from '../jute/codes.ts'
import { type Input, JUTE_MAX_BUFFER, ProtocolError } from '../jute/input.ts'
import type { Output } from '../jute/output.ts'
import {
  type ACL,
  type ClientInfo,
  readCreateResponse,
  readErrorResponse,
  readExistsResponse,
  readGetACLResponse,
  readGetAllChildrenNumberResponse,
  readGetChildren2Response,
  readGetDataResponse,
  readGetEphemeralsResponse,
  readMultiHeader,
  readSetACLResponse,
  readSetDataResponse,
  readWhoAmIResponse,
  type Stat,
  writeAddWatchRequest,
  writeCreateRequest,
  writeCreateTTLRequest,
  writeDeleteRequest,
  writeExistsRequest,
  writeGetACLRequest,
  writeGetAllChildrenNumberRequest,
  writeGetChildren2Request,
  writeGetDataRequest,
  writeGetEphemeralsRequest,
  writeMultiHeader,
  writeReconfigRequest,
  writeRemoveWatchesRequest,
  writeSetACLRequest,
  writeSetDataRequest,
  writeSyncRequest,
} from '../jute/records.ts'
import { parseConnectString } from './connectstring.ts'
import { KeeperError } from './failures.ts'
import { checkPath, withChroot, withoutChroot } from './paths.ts'
import { Session, type SessionShell } from './session.ts'
import type { Request, SessionState } from './sessioncore.ts'
import { type Watcher, type WatchKind, watchKindOf } from './watches.ts'

export interface ClientOptions {
  readonly connect: string
  readonly sessionTimeoutMs: number
  readonly readOnly?: boolean
  readonly requestTimeoutMs?: number
  readonly resetsWatches?: boolean
  /** jute.maxbuffer of this client; Java's default. */
  readonly answerBytesMax?: number
  readonly shell?: Partial<SessionShell>
}

/** True: the default watcher. */
export type Watch = Watcher | boolean

export interface Node {
  readonly data: Uint8Array | null
  readonly stat: Stat
}

export interface CreateOptions {
  readonly acl?: readonly ACL[]
  /** A CreateMode. */
  readonly mode?: number
  /** For the modes with one. */
  readonly ttlMs?: number
}

export const OPEN_ACL: readonly ACL[] = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]
const CONFIG_PATH = '/zookeeper/config'

export class ZooKeeper {
  private readonly session: Session
  private readonly watcher: Watcher
  private readonly chroot: string

  /** Connects in the background; `watcher` hears of the session's events and of changes watched with `true`. */
  constructor(options: ClientOptions, watcher: Watcher) {
    const { servers, chroot } = parseConnectString(options.connect)
    const { upgrade = null, sasl = null, note = () => {} } = options.shell ?? {}
    this.watcher = watcher
    this.chroot = chroot
    this.session = new Session(
      {
        servers: shuffled(servers),
        chroot,
        sessionTimeoutMs: options.sessionTimeoutMs,
        readOnly: options.readOnly ?? false,
        requestTimeoutMs: options.requestTimeoutMs ?? 0,
        resetsWatches: options.resetsWatches ?? true,
        sasl: sasl !== null,
        answerBytesMax: options.answerBytesMax ?? JUTE_MAX_BUFFER,
      },
      { upgrade, sasl, note },
      watcher,
    )
  }

  get state(): SessionState {
    return this.session.core.state
  }

  get alive(): boolean {
    return this.session.core.alive
  }

  get connected(): boolean {
    return this.session.core.connected
  }

  get sessionId(): { readonly hi: number; readonly lo: number } {
    const { sessionIdHi, sessionIdLo } = this.session.core
    return { hi: sessionIdHi, lo: sessionIdLo }
  }

  get sessionTimeoutMs(): number {
    return this.session.core.sessionTimeoutMs
  }

  /** Ends the session, at the server too if there is a connection; settles when it is over. The watcher hears `Closed`. */
  close(): Promise<void> {
    return new Promise((resolve) => this.session.close(resolve))
  }

  /** Drops the connection and leaves the session to its timeout. */
  abandon(): void {
    this.session.abandon()
  }

  /**
   * A credential for this session, sent again on each connection. Settles when the server has believed it, or has ended
   * the session over it (see `alive`); without a connection at once.
   */
  addAuth(scheme: string, auth: Uint8Array | null): Promise<void> {
    return new Promise((resolve) => this.session.addAuth(scheme, auth, resolve))
  }

  /** The path made, which is longer than `path` in the sequential modes. */
  create(path: string, data: Uint8Array | null, options: CreateOptions = {}): Promise<string> {
    const { acl = OPEN_ACL, mode = CreateMode.persistent, ttlMs = 0 } = options
    const sequential =
      mode === CreateMode.persistentSequential ||
      mode === CreateMode.ephemeralSequential ||
      mode === CreateMode.persistentSequentialWithTTL
    checkPath(sequential ? `${path}1` : path)
    if (acl.length === 0) return Promise.reject(new KeeperError(Err.invalidACL))
    const fields = { path: withChroot(this.chroot, path), data, acl: [...acl], flags: mode }
    const withTtl = mode === CreateMode.persistentWithTTL || mode === CreateMode.persistentSequentialWithTTL
    const type = withTtl ? OpCode.createTTL : mode === CreateMode.container ? OpCode.createContainer : OpCode.create
    return this.call(
      path,
      type,
      (out) => (withTtl ? writeCreateTTLRequest(out, { ...fields, ttl: ttlMs }) : writeCreateRequest(out, fields)),
      (inp) => withoutChroot(this.chroot, readCreateResponse(inp).path ?? ''),
    )
  }

  delete(path: string, version = -1): Promise<void> {
    checkPath(path)
    // The root of a chroot cannot be deleted either: the server refuses its own.
    const serverPath = path === '/' ? path : withChroot(this.chroot, path)
    return this.call(path, OpCode.delete, (out) => writeDeleteRequest(out, { path: serverPath, version }), nothing)
  }

  /** Null if there is no such node. */
  async exists(path: string, watch: Watch = false): Promise<Stat | null> {
    checkPath(path)
    const serverPath = withChroot(this.chroot, path)
    try {
      return await this.call(
        path,
        OpCode.exists,
        (out) => writeExistsRequest(out, { path: serverPath, watch: watch !== false }),
        (inp) => readExistsResponse(inp).stat,
        this.watched('exists', path, watch),
      )
    } catch (err) {
      if (err instanceof KeeperError && err.code === Err.noNode) return null
      throw err
    }
  }

  getData(path: string, watch: Watch = false): Promise<Node> {
    checkPath(path)
    return this.readData(path, withChroot(this.chroot, path), watch)
  }

  setData(path: string, data: Uint8Array | null, version = -1): Promise<Stat> {
    checkPath(path)
    const request = { path: withChroot(this.chroot, path), data, version }
    return this.call(
      path,
      OpCode.setData,
      (out) => writeSetDataRequest(out, request),
      (inp) => readSetDataResponse(inp).stat,
    )
  }

  getChildren(path: string, watch: Watch = false): Promise<{ readonly children: string[]; readonly stat: Stat }> {
    checkPath(path)
    const serverPath = withChroot(this.chroot, path)
    return this.call(
      path,
      OpCode.getChildren2,
      (out) => writeGetChildren2Request(out, { path: serverPath, watch: watch !== false }),
      (inp) => {
        const { children, stat } = readGetChildren2Response(inp)
        return { children: texts(children), stat }
      },
      this.watched('children', path, watch),
    )
  }

  getACL(path: string): Promise<{ readonly acl: ACL[]; readonly stat: Stat }> {
    checkPath(path)
    const serverPath = withChroot(this.chroot, path)
    return this.call(
      path,
      OpCode.getACL,
      (out) => writeGetACLRequest(out, { path: serverPath }),
      (inp) => {
        const { acl, stat } = readGetACLResponse(inp)
        return { acl: acl ?? [], stat }
      },
    )
  }

  setACL(path: string, acl: readonly ACL[], version = -1): Promise<Stat> {
    checkPath(path)
    if (acl.length === 0) return Promise.reject(new KeeperError(Err.invalidACL))
    const request = { path: withChroot(this.chroot, path), acl: [...acl], version }
    return this.call(
      path,
      OpCode.setACL,
      (out) => writeSetACLRequest(out, request),
      (inp) => readSetACLResponse(inp).stat,
    )
  }

  sync(path: string): Promise<void> {
    checkPath(path)
    const serverPath = withChroot(this.chroot, path)
    return this.call(path, OpCode.sync, (out) => writeSyncRequest(out, { path: serverPath }), nothing)
  }

  /** `mode`: an AddWatchMode. */
  addWatch(path: string, mode: number, watcher: Watcher = this.watcher): Promise<void> {
    checkPath(path)
    const serverPath = withChroot(this.chroot, path)
    return this.call(path, OpCode.addWatch, (out) => writeAddWatchRequest(out, { path: serverPath, mode }), nothing, {
      kind: watchKindOf(mode),
      path,
      watcher,
    })
  }

  /** Removes all watchers of `path`, which hear of it. `type`: a WatcherType. `local`: even if no server answers. */
  removeAllWatches(path: string, type: number, local = false): Promise<void> {
    checkPath(path)
    const serverPath = withChroot(this.chroot, path)
    return new Promise((resolve, reject) => {
      this.session.submit({
        type: OpCode.removeWatches,
        write: (out) => writeRemoveWatchesRequest(out, { path: serverPath, type }),
        onAnswer: (err) => {
          try {
            this.session.core.removeWatches(path, type, err, local)
            resolve()
          } catch (failed) {
            reject(failed)
          }
        },
      })
    })
  }

  /** Those of this session, as the server names them: no chroot is taken off. */
  getEphemerals(prefix = '/'): Promise<string[]> {
    checkPath(prefix)
    return this.call(
      null,
      OpCode.getEphemerals,
      (out) => writeGetEphemeralsRequest(out, { prefixPath: prefix }),
      (inp) => texts(readGetEphemeralsResponse(inp).ephemerals),
    )
  }

  getAllChildrenNumber(path: string): Promise<number> {
    checkPath(path)
    const serverPath = withChroot(this.chroot, path)
    return this.call(
      path,
      OpCode.getAllChildrenNumber,
      (out) => writeGetAllChildrenNumberRequest(out, { path: serverPath }),
      (inp) => readGetAllChildrenNumberResponse(inp).totalNumber,
    )
  }

  whoAmI(): Promise<ClientInfo[]> {
    return this.call(null, OpCode.whoAmI, null, (inp) => readWhoAmIResponse(inp).clientInfo ?? [])
  }

  /** The configuration of the ensemble, which no chroot hides. */
  getConfig(watch: Watch = false): Promise<Node> {
    return this.readData(CONFIG_PATH, CONFIG_PATH, watch)
  }

  /** Lists as in Java's reconfig, comma separated; null for none. `fromVersion`: -1 for any. */
  reconfig(joining: string | null, leaving: string | null, members: string | null, fromVersion: number): Promise<Node> {
    const request = {
      joiningServers: joining,
      leavingServers: leaving,
      newMembers: members,
      curConfigId: fromVersion,
    }
    return this.call('', OpCode.reconfig, (out) => writeReconfigRequest(out, request), readNode)
  }

  /** Deletes all of them, whatever their versions, or none. */
  deleteTogether(paths: readonly string[]): Promise<void> {
    for (const path of paths) checkPath(path)
    const write = (out: Output) => {
      for (const path of paths) {
        writeMultiHeader(out, { type: OpCode.delete, done: false, err: -1 })
        writeDeleteRequest(out, { path: path === '/' ? path : withChroot(this.chroot, path), version: -1 })
      }
      writeMultiHeader(out, { type: -1, done: true, err: -1 })
    }
    return this.call(null, OpCode.multi, write, readAllDone)
  }

  private readData(path: string, serverPath: string, watch: Watch): Promise<Node> {
    return this.call(
      path,
      OpCode.getData,
      (out) => writeGetDataRequest(out, { path: serverPath, watch: watch !== false }),
      readNode,
      this.watched('data', path, watch),
    )
  }

  private watched(kind: WatchKind, path: string, watch: Watch): Request['watch'] {
    return watch === false ? undefined : { kind, path, watcher: watch === true ? this.watcher : watch }
  }

  private call<T>(
    path: string | null,
    type: number,
    write: ((out: Output) => void) | null,
    read: (inp: Input) => T,
    watch?: Request['watch'],
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const onAnswer = (err: number, body: Input | null): void => {
        if (body === null) {
          reject(new KeeperError(err, path))
          return
        }
        try {
          resolve(read(body))
        } catch (failed) {
          reject(failed instanceof ProtocolError ? new KeeperError(Err.marshallingError, path) : failed)
          // The connection ends with an answer that cannot be read; a failed part of a request is nothing to it.
          if (failed instanceof ProtocolError) throw failed
        }
      }
      this.session.submit(watch === undefined ? { type, write, onAnswer } : { type, write, onAnswer, watch })
    })
  }
}

function readNode(inp: Input): Node {
  const { data, stat } = readGetDataResponse(inp)
  // What was read is borrowed from the connection's buffer.
  return { data: data === null ? null : Uint8Array.from(data), stat }
}

/** The answer to a multi of deletions: the first part that failed is the failure of all. */
function readAllDone(inp: Input): void {
  let failed = Err.ok as number
  for (let header = readMultiHeader(inp); !header.done; header = readMultiHeader(inp)) {
    if (header.type !== OpCode.error) continue
    const { err } = readErrorResponse(inp)
    if (failed === Err.ok) failed = err
  }
  if (failed !== Err.ok) throw new KeeperError(failed)
}

function texts(items: readonly (string | null)[] | null): string[] {
  return (items ?? []).map((item) => item ?? '')
}

function nothing(): void {}

function shuffled<T>(items: readonly T[]): T[] {
  const all = [...items]
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    const held = all[i]!
    all[i] = all[j]!
    all[j] = held
  }
  return all
}
