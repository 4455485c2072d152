/**
 * I1, I2, I5, I8 and linearizable writes, reply by reply.
 *
 * A reply's header says at which zxid the server stood. What a read shows must be exactly the committed state there; a
 * write's transaction must be the one committed at that zxid, with the session and xid of the request, and succeed or
 * fail as the state just before it demands. A write is ordered behind all that was acknowledged before it was sent.
 */

import { CreateMode, Err, OpCode } from '../../../src/jute/codes.ts'
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

function checkStat(place: () => string, stat: records.Stat, node: ModelNode): void {
  const shown = `${stat.czxid} ${stat.mzxid} ${stat.pzxid} ${stat.version} ${stat.cversion} ${stat.dataLength} ${stat.numChildren}`
  const committed = `${node.czxid} ${node.mzxid} ${node.pzxid} ${node.version} ${node.cversion} ${node.data?.length ?? 0} ${node.children}`
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

/** What the write must be answered, by the state before it; null where more than the model knows decides. */
function expected(model: Model, write: Write, before: number): number | null {
  const node = model.node(write.path, before)
  switch (write.op) {
    case 'create': {
      if (isSequential(write.flags)) return null // sequential: its name is not in the request
      const parent = write.path.slice(0, write.path.lastIndexOf('/'))
      const above = parent === '' ? null : model.node(parent, before)
      if (parent !== '' && above === null) return Err.noNode
      if (above !== null && above.owner !== '') return Err.noChildrenForEphemerals
      return node === null ? Err.ok : Err.nodeExists
    }
    case 'delete':
      if (node === null) return Err.noNode
      if (write.version !== -1 && write.version !== node.version) return Err.badVersion
      return node.children > 0 ? Err.notEmpty : Err.ok
    case 'setData':
    case 'check':
      if (node === null) return Err.noNode
      return write.version !== -1 && write.version !== node.version ? Err.badVersion : Err.ok
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
      const created = isSequential(write.flags) ? createdBelow(model, path, zxid) : path
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
function createdBelow(model: Model, prefix: string, zxid: number): string {
  for (let i = model.changes.length - 1; i >= 0 && model.changes[i]!.zxid >= zxid; i--) {
    const { zxid: at, kind, path } = model.changes[i]!
    if (at === zxid && kind === 'created' && path.startsWith(prefix) && /^\d{10}$/.test(path.slice(prefix.length))) {
      return path
    }
  }
  return prefix
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

function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
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
