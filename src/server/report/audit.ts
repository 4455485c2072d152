/**
 * The audit log: who changed what, from where, and whether it worked, in Java's fields and order.
 *
 *   session=0x1..  user=127.0.0.1,u  ip=127.0.0.1  operation=create  znode=/a  znode_type=persistent  result=success
 *
 * One line for each change that a client asked for here and that came to a transaction; a multi has one for each of its
 * operations, or a single one if it failed. Ephemerals that go with their session are logged on every member. Fields are
 * separated by tabs; those that have no value are left out. Unlike Java's, values are escaped (X13), and the digests of
 * an ACL are masked as in getACL: with them a password can be guessed at leisure.
 *
 * A request is looked into when it is proposed, because a refusal leaves nothing of it. Without `audit.enable` there is
 * no Audit, and no part of this runs.
 * Pure. Java: AuditHelper, AuditEvent, DataTree.deleteNodes.
 */

import type { DataTree, NodeId } from '../../datatree/tree.ts'
import { Err, OpCode } from '../../jute/codes.ts'
import { id64Hex } from '../../jute/id64.ts'
import { Input, ProtocolError, readInt } from '../../jute/input.ts'
import { decodeText } from '../../jute/text.ts'
import type { AuthId } from '../access/auth.ts'
import type { Arrival } from '../requests/connection.ts'
import { decodeMulti, decodeWriteOp, WriteOp } from '../requests/writeop.ts'
import { escapeControls } from './escape.ts'

export type AuditResult = 'success' | 'failure' | 'invoked'

/** Fields in the order of the line; null and undefined are left out. */
export interface AuditEvent {
  readonly session?: string | null
  readonly user?: string | null
  readonly ip?: string | null
  readonly operation: string
  readonly znode?: string | null
  readonly znode_type?: string | null
  readonly acl?: string | null
  readonly result: AuditResult
}

/** Where lines go; `failure` is worth a level of its own. */
export type AuditSink = (line: string, failure: boolean) => void

/** By the flags of a create (Java: CreateMode.fromFlag). */
const MODES = [
  'persistent',
  'ephemeral',
  'persistent_sequential',
  'ephemeral_sequential',
  'container',
  'persistent_with_ttl',
  'persistent_sequential_with_ttl',
]

const OPERATIONS: ReadonlyMap<number, string> = new Map([
  [OpCode.create, 'create'],
  [OpCode.create2, 'create'],
  [OpCode.createContainer, 'create'],
  [OpCode.createTTL, 'create'],
  [OpCode.delete, 'delete'],
  [OpCode.deleteContainer, 'delete'],
  [OpCode.setData, 'setData'],
  [OpCode.setACL, 'setAcl'],
  [OpCode.reconfig, 'reconfig'],
])

const MULTI = 'multiOperation'
const RECONFIG_PATH = '/zookeeper/config'
const EPHEMERALS_GONE = 'ephemeralZNodeDeletionOnSessionCloseOrExpire'

/** A request on its way to its transaction. */
export class Audited {
  readonly session: string
  readonly user: string | null
  readonly ip: string
  readonly type: number
  readonly path: string | null
  readonly mode: string | null
  readonly acl: string | null
  /** Of a multi. */
  readonly parts: readonly { readonly path: string | null; readonly mode: string | null }[]
  /** Of a multi: what became of its parts. */
  readonly done: { readonly type: number; readonly path: string }[]
  /** What was created, under the name it got. */
  created: string | null

  constructor(arrival: Arrival, user: string | null, ops: readonly WriteOp[]) {
    const { session, conn, type } = arrival
    const first = ops[0]
    const single = type === OpCode.multi ? undefined : first
    this.session = id64Hex(session.hi, session.lo)
    this.user = user
    this.ip = conn.remoteHost
    this.type = type
    this.path = single === undefined ? null : pathText(single)
    this.mode = single === undefined ? null : modeOf(single)
    this.acl = type === OpCode.setACL && single !== undefined ? aclText(single) : null
    this.parts = type === OpCode.multi ? ops.map((op) => ({ path: pathText(op), mode: modeInMulti(op) })) : []
    this.done = []
    this.created = null
  }
}

export class Audit {
  private readonly sink: AuditSink
  private readonly userName: string
  private readonly input: Input
  /** The ephemerals that the transaction being applied will delete; null where it ends no session. */
  private going: { readonly session: string; readonly paths: string[] } | null

  /** `userName`: in whose name the server acts. */
  constructor(sink: AuditSink, userName: string, juteLengthMax: number) {
    this.sink = sink
    this.userName = userName
    this.input = new Input(new Uint8Array(0), 0, 0, juteLengthMax)
    this.going = null
  }

  /** For whatever else is worth a line. */
  record(event: AuditEvent): void {
    const { result, session, user, ip, operation, znode, znode_type, acl } = event
    const fields = { session, user, ip, operation, znode, znode_type, acl, result }
    let line = ''
    for (const [key, value] of Object.entries(fields)) {
      if (value === null || value === undefined) continue
      line += `${line === '' ? '' : '\t'}${key}=${escapeControls(value)}`
    }
    this.sink(line, result === 'failure')
  }

  /** The server itself: starts and stops. */
  server(operation: 'serverStart' | 'serverStop', result: AuditResult): void {
    this.record({ user: this.userName, operation, result })
  }

  /** A request is about to be proposed, or forwarded. Null: none of those that are logged. */
  begin(arrival: Arrival, nameOf: (id: AuthId) => string): Audited | null {
    const { type, ids, buf, off, end } = arrival
    if (type !== OpCode.multi && !OPERATIONS.has(type)) return null
    const names = ids.map(nameOf).filter((name) => name.trim() !== '')
    return new Audited(arrival, names.length === 0 ? null : names.join(','), this.decode(type, buf, off, end))
  }

  /** Empty for a request that makes no sense: it is logged as failed, without details. */
  private decode(type: number, buf: Uint8Array, off: number, end: number): WriteOp[] {
    if (type === OpCode.reconfig) return []
    this.input.reset(buf, off, end)
    try {
      if (type === OpCode.multi) return decodeMulti(this.input)
      const op = new WriteOp()
      decodeWriteOp(type, this.input, op)
      return [op]
    } catch (err) {
      if (err instanceof ProtocolError) return []
      throw err
    }
  }

  // ------------------------------------------------------------------ around a transaction

  /** The transaction at `off` comes. */
  beforeApply(tree: DataTree, buf: Uint8Array, off: number): void {
    this.going = null
    if (readInt(buf, off + 28) !== OpCode.closeSession) return
    const [hi, lo] = [readInt(buf, off), readInt(buf, off + 4)]
    const paths: string[] = []
    tree.forEachEphemeral(hi, lo, (node) => paths.push(nodePath(tree, node)))
    if (paths.length > 0) this.going = { session: id64Hex(hi, lo), paths }
  }

  /** What the state machine says of a client's request. */
  onResult(audited: Audited, index: number, tree: DataTree, type: number, err: number, node: NodeId): void {
    if (err !== Err.ok && audited.type !== OpCode.multi) return
    if (audited.type !== OpCode.multi) {
      if (isCreate(type)) audited.created = nodePath(tree, node)
    } else {
      const path = isCreate(type) && err === Err.ok ? nodePath(tree, node) : (audited.parts[index]?.path ?? '')
      audited.done.push({ type, path })
    }
  }

  /** It has been applied. `audited`: the request that it answers here, if any; `err` is what that is told. */
  afterApply(audited: Audited | null, err: number): void {
    const { going } = this
    this.going = null
    if (audited !== null) this.finish(audited, err)
    if (going === null) return
    const { session } = going
    for (const znode of going.paths) {
      this.record({ session, user: this.userName, operation: EPHEMERALS_GONE, znode, result: 'success' })
    }
  }

  private finish(audited: Audited, err: number): void {
    const { session, user, ip, type, acl, mode } = audited
    if (type === OpCode.multi) {
      this.finishMulti(audited, err)
      return
    }
    const ok = err === Err.ok
    const path = type === OpCode.reconfig && ok ? RECONFIG_PATH : (audited.created ?? audited.path)
    const result = ok ? 'success' : 'failure'
    this.record({ session, user, ip, operation: OPERATIONS.get(type)!, znode: path, znode_type: mode, acl, result })
  }

  /** The modes are found under the names that were asked for: as in Java, a sequential znode has none. */
  private finishMulti({ session, user, ip, done, parts }: Audited, err: number): void {
    if (err !== Err.ok || done.some(({ type }) => type === OpCode.error)) {
      this.record({ session, user, ip, operation: MULTI, result: 'failure' })
      return
    }
    for (const { type, path } of done) {
      const operation = OPERATIONS.get(type)
      if (operation === undefined) continue
      const mode = isCreate(type)
        ? (parts.findLast((part) => part.path === path && part.mode !== null)?.mode ?? null)
        : null
      this.record({ session, user, ip, operation, znode: path, znode_type: mode, result: 'success' })
    }
  }
}

function isCreate(type: number): boolean {
  return OPERATIONS.get(type) === 'create'
}

function modeOf({ type, flags }: WriteOp): string | null {
  return isCreate(type) ? (MODES[flags] ?? null) : null
}

/** There Java has none for znodes with a time to live. */
function modeInMulti(op: WriteOp): string | null {
  return op.type === OpCode.createTTL ? null : modeOf(op)
}

function pathText({ buf, pathOff, pathEnd, pathLength }: WriteOp): string | null {
  return pathLength < 0 ? null : decodeText(buf, pathOff, pathEnd)
}

function nodePath(tree: DataTree, node: NodeId): string {
  const path = tree.pathOf(node)
  return decodeText(path, 0, path.length)
}

/** `scheme:id:perms` of each entry, one behind the other. */
function aclText({ buf, aclOff, aclEnd }: WriteOp): string {
  const input = new Input(buf, aclOff, aclEnd, aclEnd)
  let text = ''
  for (let left = input.count(); left > 0; left--) {
    const perms = input.int()
    const scheme = input.string() ?? 'null'
    const id = input.string() ?? 'null'
    text += `${scheme}:${scheme === 'digest' ? masked(id) : id}:${permsText(perms)}`
  }
  return text
}

/** `user:digest`; what has another form may be a password by mistake. */
function masked(id: string): string {
  const colon = id.indexOf(':')
  return colon === -1 ? 'x' : `${id.slice(0, colon)}:x`
}

function permsText(perms: number): string {
  const letters: readonly (readonly [number, string])[] = [
    [4, 'c'],
    [8, 'd'],
    [1, 'r'],
    [2, 'w'],
    [16, 'a'],
  ]
  return letters.map(([bit, letter]) => ((perms & bit) === 0 ? '' : letter)).join('')
}
