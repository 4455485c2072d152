/**
 * I1, I2, I5, I8 and linearizable writes, reply by reply.
 *
 * A reply's header says at which zxid the server stood. What a read shows must be exactly the committed state there; a
 * write's transaction must be the one committed at that zxid, with the session and xid of the request, and succeed or
 * fail as the state just before it demands. A write is ordered behind all that was acknowledged before it was sent.
 */

import { CreateMode, Err, OpCode } from '../../../src/jute/codes.ts'
import { id64Hex } from '../../../src/jute/id64.ts'
import type { Input } from '../../../src/jute/input.ts'
import * as records from '../../../src/jute/records.ts'
import { zxidHex } from '../../../src/jute/zxid.ts'
import { law } from '../failure.ts'
import type { Model, ModelNode } from '../model.ts'
import type { Operation, Reply, Write } from '../wire.ts'

export interface Asked {
  operation: Operation
  xid: number
  session: string
  /** The highest acknowledged write when it was sent, of all clients. */
  floorZxid: number
}

/** Codes that say something of session, server or settings, not of the tree. */
const NOT_OF_TREE: readonly number[] = [
  Err.sessionExpired,
  Err.sessionMoved,
  Err.newConfigNoQuorum,
  Err.reconfigInProgress,
  Err.reconfigDisabled,
  Err.badArguments,
  Err.notReadOnly,
]

const CREATES_WITH_STAT: readonly number[] = [OpCode.create2, OpCode.createContainer, OpCode.createTTL]

export function checkReply(who: string, model: Model, asked: Asked, reply: Reply): void {
  const { operation } = asked
  const place = (): string => `${who} ${describe(operation)} at ${zxidHex(reply.zxid)}`
  switch (operation.op) {
    case 'create':
    case 'delete':
    case 'setData':
    case 'multi':
    case 'reconfig':
      checkWrite(place, model, asked, reply)
      return
    case 'getData': {
      const node = model.node(operation.path, reply.zxid)
      if (!checkRead(place, node, reply)) return
      const { data, stat } = records.readGetDataResponse(reply.body)
      law(
        sameBytes(data, node!.data),
        'I2',
        () => `${place()}: data is ${show(data)}, committed is ${show(node!.data)}`,
      )
      checkStat(place, stat, node!)
      return
    }
    case 'exists': {
      const node = model.node(operation.path, reply.zxid)
      if (checkRead(place, node, reply)) checkStat(place, records.readStat(reply.body), node!)
      return
    }
    case 'getChildren': {
      const node = model.node(operation.path, reply.zxid)
      if (!checkRead(place, node, reply)) return
      const { children, stat } = records.readGetChildren2Response(reply.body)
      const shown = [...(children ?? [])].sort().join(' ')
      const committed = model.children(operation.path, reply.zxid).join(' ')
      law(shown === committed, 'I2', () => `${place()}: children are [${shown}], committed are [${committed}]`)
      checkStat(place, stat, node!)
      return
    }
    default:
      return
  }
}

function checkRead(place: () => string, node: ModelNode | null, reply: Reply): boolean {
  if (reply.err === Err.ok) {
    law(node !== null, 'I2', () => `${place()}: answered, but nothing is there`)
    return true
  }
  if (reply.err === Err.noNode) law(node === null, 'I1', () => `${place()}: no node, but it is committed`)
  else law(NOT_OF_TREE.includes(reply.err), 'I2', () => `${place()}: error ${reply.err}`)
  return false
}

/** All that a Stat says. The owner that it shows is that of an ephemeral. */
export function checkStat(place: () => string, stat: records.Stat, node: ModelNode): void {
  const owner = id64Hex(stat.ephemeralOwnerHi, stat.ephemeralOwnerLo)
  const shown = [
    ...[stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime, stat.version, stat.cversion, stat.aversion],
    ...[stat.dataLength, stat.numChildren, owner],
  ].join(' ')
  const committed = [
    ...[node.czxid, node.mzxid, node.pzxid, node.ctimeMs, node.mtimeMs, node.version, node.cversion, node.aversion],
    ...[node.data?.length ?? 0, node.children, node.owner === '' ? '0x0' : node.owner],
  ].join(' ')
  law(shown === committed, 'I2', () => `${place()}: stat is ${shown}, committed is ${committed}`)
}

function checkWrite(place: () => string, model: Model, asked: Asked, reply: Reply): void {
  const { operation } = asked
  if (NOT_OF_TREE.includes(reply.err)) return
  const entry = model.entry(reply.zxid)
  law(entry !== undefined, 'I1', () => `${place()}: acknowledged, but nothing is committed there`)
  law(
    entry.session === asked.session && entry.cxid === asked.xid,
    'I1',
    () => `${place()}: acknowledged by the transaction of ${entry.session} cxid ${entry.cxid}`,
  )
  law(
    reply.zxid > asked.floorZxid,
    'I5',
    () => `${place()}: ordered before ${zxidHex(asked.floorZxid)}, which was acknowledged before it was sent`,
  )
  law(
    entry.err === reply.err || (entry.type === OpCode.multi && entry.err !== 0 && reply.err === 0),
    'I2',
    () => `${place()}: answered ${reply.err}, committed ${entry.err}`,
  )
  if (operation.op === 'reconfig') return
  const before = model.before(reply.zxid)
  if (operation.op === 'multi') {
    checkMulti(place, model, operation.writes, before, entry.err, reply)
    if (entry.err !== 0) return
    // All of it is there, at one zxid.
    for (const write of operation.writes) checkEffect(place, model, write, reply.zxid, asked.session, 'I8')
    return
  }
  if (operation.op === 'create' || operation.op === 'delete' || operation.op === 'setData') {
    const wanted = expected(model, operation, before)
    law(
      wanted === null || wanted === reply.err,
      reply.err === Err.ok ? 'I5' : 'I2',
      () => `${place()}: answered ${reply.err}, the state before it demands ${wanted}`,
    )
    if (reply.err === Err.ok) {
      const path = checkEffect(place, model, operation, reply.zxid, asked.session, 'I1')
      checkResult(place, model, operation, path, reply)
    }
  }
}

/**
 * A multi fails with the first of its operations that must, and with what that one is answered alone; those ahead of it
 * say 0, those behind it that they were not reached. It succeeds if none of them must fail.
 */
function checkMulti(
  place: () => string,
  model: Model,
  writes: readonly Write[],
  before: number,
  committed: number,
  reply: Reply,
): void {
  const shown = multiErrors(reply.body)
  const index = shown.findIndex((err) => err !== Err.ok)
  law(
    shown.length === writes.length && (index < 0 ? 0 : shown[index]) === committed,
    'I8',
    () => `${place()}: answered [${shown}], committed ${committed}`,
  )
  const behind = index < 0 ? [] : shown.slice(index + 1)
  law(
    behind.every((err) => err === Err.runtimeInconsistency),
    'I8',
    () => `${place()}: answered [${shown}], and what was not reached must say so`,
  )
  // Where one operation decides what another one finds, the state before all of them says nothing.
  if (!independent(writes)) return
  for (const [i, write] of writes.entries()) {
    if (index >= 0 && i > index) return
    const wanted = expected(model, write, before)
    law(
      wanted === null || wanted === shown[i],
      'I8',
      () => `${place()}: ${describe(write)} is answered ${shown[i]}, the state before it demands ${wanted}`,
    )
  }
}

function independent(writes: readonly Write[]): boolean {
  const changes = writes.filter(({ op }) => op !== 'check')
  const below = (path: string, other: string): boolean => other === path || other.startsWith(`${path}/`)
  return changes.every(({ path }, i) => changes.every((other, j) => i === j || !below(path, other.path)))
}

/** The error code of each result of a multi. */
function multiErrors(input: Input): number[] {
  const errs: number[] = []
  for (let header = records.readMultiHeader(input); !header.done; header = records.readMultiHeader(input)) {
    let err: number = Err.ok
    if (header.type === OpCode.error) err = records.readErrorResponse(input).err
    else if (header.type === OpCode.setData) records.readSetDataResponse(input)
    else if (header.type === OpCode.create) records.readCreateResponse(input)
    else if (CREATES_WITH_STAT.includes(header.type)) records.readCreate2Response(input)
    errs.push(err)
  }
  return errs
}

/** The name that a create makes: with a suffix that counts what was ever created beside it. */
function nameOf(model: Model, write: Write & { op: 'create' }, before: number): string {
  if (!isSequential(write.flags)) return write.path
  const parent = model.node(parentOf(write.path), before)
  // A Stat's cversion counts deletions too, and shows with the children that are left how many there were.
  const created = parent === null ? 0 : (parent.cversion + parent.children) / 2
  return `${write.path}${String(created).padStart(10, '0')}`
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

/** What the write must be answered, by the state before it; null where more than the model knows decides. */
function expected(model: Model, write: Write, before: number): number | null {
  switch (write.op) {
    case 'create': {
      const parent = parentOf(write.path)
      const above = parent === '' ? null : model.node(parent, before)
      if (parent !== '' && above === null) return Err.noNode
      if (parent === '' && isSequential(write.flags)) return null // the model does not know how many the root had
      if (model.node(nameOf(model, write, before), before) !== null) return Err.nodeExists
      return above !== null && above.owner !== '' ? Err.noChildrenForEphemerals : Err.ok
    }
    case 'delete': {
      const node = model.node(write.path, before)
      if (node === null) return Err.noNode
      if (write.version !== -1 && write.version !== node.version) return Err.badVersion
      return node.children > 0 ? Err.notEmpty : Err.ok
    }
    case 'setData':
    case 'check': {
      const node = model.node(write.path, before)
      if (node === null) return Err.noNode
      return write.version !== -1 && write.version !== node.version ? Err.badVersion : Err.ok
    }
  }
}

/** The write took effect at `zxid`. Returns the path of what it was about. */
function checkEffect(
  place: () => string,
  model: Model,
  write: Write,
  zxid: number,
  session: string,
  id: string,
): string {
  const { path } = write
  switch (write.op) {
    case 'create': {
      const created = isSequential(write.flags) ? createdBelow(model, write, zxid) : write.path
      const node = model.node(created, zxid)
      law(node !== null && node.czxid === zxid, id, () => `${place()}: acknowledged and not there`)
      law(sameBytes(node.data, write.data), id, () => `${place()}: other data is there`)
      const owner = isEphemeral(write.flags) ? session : ''
      law(node.owner === owner, 'I7', () => `${place()}: owned by '${node.owner}'`)
      return created
    }
    case 'delete':
      law(model.node(path, zxid) === null, id, () => `${place()}: acknowledged and still there`)
      return path
    case 'setData': {
      const node = model.node(path, zxid)
      law(
        node !== null && node.mzxid === zxid && sameBytes(node.data, write.data),
        id,
        () => `${place()}: not in effect`,
      )
      return path
    }
    case 'check':
      return path
  }
}

/** The znode with a suffix that this transaction made. */
function createdBelow(model: Model, write: Write & { op: 'create' }, zxid: number): string {
  return nameOf(model, write, model.before(zxid))
}

function checkResult(place: () => string, model: Model, write: Write, path: string, reply: Reply): void {
  const node = model.node(path, reply.zxid)
  if (write.op === 'create') {
    const { path: shown, stat } = records.readCreate2Response(reply.body)
    law(shown === path, 'I2', () => `${place()}: answered ${shown}, committed ${path}`)
    checkStat(place, stat, node!)
  } else if (write.op === 'setData') {
    checkStat(place, records.readStat(reply.body), node!)
  }
}

function isSequential(flags: number): boolean {
  return flags === CreateMode.persistentSequential || flags === CreateMode.ephemeralSequential
}

function isEphemeral(flags: number): boolean {
  return flags === CreateMode.ephemeral || flags === CreateMode.ephemeralSequential
}

export function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0
}

function show(bytes: Uint8Array | null): string {
  return bytes === null ? 'null' : `'${new TextDecoder().decode(bytes)}'`
}

export function describe(operation: Operation): string {
  switch (operation.op) {
    case 'multi':
      return `multi(${operation.writes.map(describe).join(', ')})`
    case 'create':
      return `create ${operation.path} flags ${operation.flags}`
    case 'delete':
    case 'setData':
    case 'check':
      return `${operation.op} ${operation.path} version ${operation.version}`
    case 'getData':
    case 'exists':
    case 'getChildren':
      return `${operation.op} ${operation.path}${operation.watch ? ' watch' : ''}`
    case 'sync':
      return `sync ${operation.path}`
    case 'addWatch':
      return `addWatch ${operation.path}${operation.recursive ? ' recursive' : ''}`
    case 'setWatches':
      return `setWatches from ${zxidHex(operation.relativeZxid)}`
    case 'reconfig':
      return `reconfig +${operation.joining ?? ''} -${operation.leaving ?? ''}`
    default:
      return operation.op
  }
}
