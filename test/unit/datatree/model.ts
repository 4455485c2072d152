/**
 * A plain model of the state machine: a Map of objects, strings and bigints, written from the rules and not from the
 * code. And a generator of transactions as a leader would write them.
 */

import { crc32 } from 'node:zlib'
import { NaiveWatches, parentOf } from './naivewatches.ts'
import type { Random } from './random.ts'
import type { Stat } from './rig.ts'
import {
  type Acl,
  type Body,
  CREATOR,
  cat,
  check,
  closeSession,
  create,
  createContainer,
  createSession,
  createTtl,
  error,
  type Header,
  i32,
  i64,
  multi,
  OPEN,
  READ_ONLY,
  remove,
  setAcl,
  setData,
} from './txns.ts'

export type Op =
  | { op: 'create'; type: 1 | 15; path: string; data: string | null; acl: Acl; ephemeral: boolean; cversion: number }
  | { op: 'container'; path: string; data: string | null; acl: Acl; cversion: number }
  | { op: 'ttl'; path: string; data: string | null; acl: Acl; cversion: number; ttlMs: number }
  | { op: 'delete'; type: 2 | 20; path: string }
  | { op: 'setData'; type: 5 | 16; path: string; data: string | null; version: number }
  | { op: 'setAcl'; path: string; acl: Acl; aversion: number }
  | { op: 'check'; path: string; version: number }
  | { op: 'error'; err: number }
  | { op: 'multi'; subs: Op[] }
  | { op: 'createSession'; timeoutMs: number }
  | { op: 'closeSession'; paths: string[] | null }

export interface Txn {
  header: Header
  op: Op
}

export function encode(op: Op): Body {
  switch (op.op) {
    case 'create':
      return create(op.path, op.data, op.acl, op.ephemeral, op.cversion, op.type)
    case 'container':
      return createContainer(op.path, op.data, op.acl, op.cversion)
    case 'ttl':
      return createTtl(op.path, op.data, op.acl, op.cversion, op.ttlMs)
    case 'delete':
      return remove(op.path, op.type)
    case 'setData':
      return setData(op.path, op.data, op.version, op.type)
    case 'setAcl':
      return setAcl(op.path, op.acl, op.aversion)
    case 'check':
      return check(op.path, op.version)
    case 'error':
      return error(op.err)
    case 'multi':
      return multi(op.subs.map(encode))
    case 'createSession':
      return createSession(op.timeoutMs)
    case 'closeSession':
      return closeSession(op.paths)
  }
}

export interface ModelNode extends Stat {
  data: string | null
  acl: Acl
}

const CONTAINER = -(2n ** 63n)
const TTL = -(2n ** 56n)

export class Model {
  readonly nodes = new Map<string, ModelNode>()
  readonly sessions = new Map<bigint, number>()
  readonly watches = new NaiveWatches()
  readonly quotas = new Set<string>()
  zxidLast = 0
  events: string[] = []

  constructor() {
    for (const path of ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']) {
      this.nodes.set(path, fresh(0, 0, 0n, '', OPEN))
    }
    Object.assign(this.nodes.get('/zookeeper/config')!, { acl: READ_ONLY, aversion: -1 })
  }

  /** One result per operation: index, type, error, path of the node touched. */
  apply({ header, op }: Txn): string[] {
    const results: string[] = []
    if (op.op === 'multi') {
      const failing = op.subs.findIndex((sub) => sub.op === 'error')
      op.subs.forEach((sub, index) => {
        if (failing < 0) results.push(`${index} ${this.one(header, sub)}`)
        else if (sub.op === 'error') results.push(`${index} -1 ${sub.err} -`)
        else results.push(`${index} -1 ${index < failing ? 0 : -2} -`)
      })
    } else {
      results.push(`0 ${this.one(header, op)}`)
    }
    this.zxidLast = Math.max(this.zxidLast, header.zxid)
    return results
  }

  childrenOf(path: string): string[] {
    const names: string[] = []
    for (const other of this.nodes.keys()) {
      if (other !== '/' && parentOf(other) === path) names.push(other.slice(other.lastIndexOf('/') + 1))
    }
    return names.sort()
  }

  ephemeralsOf(session: bigint): string[] {
    const paths: string[] = []
    for (const [path, node] of this.nodes) if (node.owner === session) paths.push(path)
    return paths
  }

  digest(): bigint {
    let sum = 0n
    for (const [path, node] of this.nodes) {
      if (path.startsWith('/zookeeper/')) continue
      sum += BigInt(
        crc32(
          cat(
            Buffer.from(path === '/' ? '' : path),
            Buffer.from(node.data ?? ''),
            i64(node.czxid),
            i64(node.mzxid),
            i64(node.pzxid),
            i64(node.ctime),
            i64(node.mtime),
            i32(node.version),
            i32(node.cversion),
            i32(node.aversion),
            i64(node.owner),
          ),
        ),
      )
    }
    return BigInt.asUintN(64, sum)
  }

  private one(header: Header, op: Op): string {
    switch (op.op) {
      case 'create':
        return this.create(header, op.type, op, op.ephemeral ? header.client : 0n)
      case 'container':
        return this.create(header, 19, op, CONTAINER)
      case 'ttl':
        return this.create(header, 21, op, TTL + BigInt(op.ttlMs))
      case 'delete':
        return `${op.type} ${this.delete(header, op.path)} -`
      case 'setData': {
        const node = this.nodes.get(op.path)
        if (node === undefined) return `${op.type} -101 -`
        const bytes = sizeOf(op.data) - sizeOf(node.data)
        Object.assign(node, { data: op.data, version: op.version, mzxid: header.zxid, mtime: header.timeMs })
        this.count(op.path, 0, bytes)
        this.fire('changed', op.path, header.zxid)
        return `${op.type} 0 ${op.path}`
      }
      case 'setAcl': {
        const node = this.nodes.get(op.path)
        if (node === undefined) return '7 -101 -'
        Object.assign(node, { acl: op.acl, aversion: op.aversion })
        return `7 0 ${op.path}`
      }
      case 'check':
        return '13 0 -'
      case 'error':
        return `-1 ${op.err} -`
      case 'createSession':
        this.sessions.set(header.client, op.timeoutMs)
        return '-10 0 -'
      case 'closeSession':
        for (const path of op.paths ?? []) this.delete(header, path)
        for (const path of this.ephemeralsOf(header.client)) this.delete(header, path)
        this.sessions.delete(header.client)
        return '-11 0 -'
      case 'multi':
        throw new Error('multi in a multi')
    }
  }

  private create(
    header: Header,
    type: number,
    op: { path: string; data: string | null; acl: Acl; cversion: number },
    owner: bigint,
  ): string {
    const parent = this.nodes.get(parentOf(op.path)!)
    if (parent === undefined) return `${type} -101 -`
    const cversion = op.cversion === -1 ? parent.cversion + 1 : op.cversion
    if (cversion > parent.cversion) Object.assign(parent, { cversion, pzxid: header.zxid })
    const existing = this.nodes.get(op.path)
    if (existing !== undefined) {
      existing.acl = op.acl
      return `${type} -110 -`
    }
    this.nodes.set(op.path, fresh(header.zxid, header.timeMs, owner, op.data, op.acl))
    const quota = /^\/zookeeper\/quota(\/.*|)\/zookeeper_(limits|stats)$/.exec(op.path)
    if (quota?.[2] === 'limits' && quota[1] !== '') this.quotas.add(quota[1]!)
    if (quota?.[2] === 'stats') this.recount(quota[1]!)
    this.count(op.path, 1, sizeOf(op.data))
    this.fire('created', op.path, header.zxid)
    return `${type} 0 ${op.path}`
  }

  private delete(header: Header, path: string): number {
    const parent = this.nodes.get(parentOf(path)!)
    if (parent === undefined) return -101
    parent.pzxid = Math.max(parent.pzxid, header.zxid)
    const node = this.nodes.get(path)
    if (node === undefined) return -101
    for (const below of [...this.nodes.keys()].filter((other) => other.startsWith(`${path}/`))) this.nodes.delete(below)
    this.nodes.delete(path)
    const quota = /^\/zookeeper\/quota(\/.*)\/zookeeper_limits$/.exec(path)
    if (quota !== null) this.quotas.delete(quota[1]!)
    this.count(path, -1, -sizeOf(node.data))
    this.fire('deleted', path, header.zxid)
    return 0
  }

  private fire(kind: 'created' | 'deleted' | 'changed', path: string, zxid: number): void {
    for (const event of this.watches.change(kind, path)) {
      const [conn, eventType, where] = event.split(' ')
      this.events.push(`${conn} ${eventType} ${zxid} ${where}`)
    }
  }

  private count(path: string, count: number, bytes: number): void {
    let at: string | null = path
    while (at !== null && !this.quotas.has(at)) at = parentOf(at)
    if (at === null) return
    const stats = this.nodes.get(`/zookeeper/quota${at}/zookeeper_stats`)
    const figures = /^count=(-?\d+),bytes=(-?\d+)$/.exec(stats?.data ?? '')
    if (stats === undefined || figures === null) return
    stats.data = `count=${Number(figures[1]) + count},bytes=${Number(figures[2]) + bytes}`
  }

  /** "" is the root. */
  private recount(path: string): void {
    let count = 0
    let bytes = 0
    for (const [other, node] of this.nodes) {
      if (path !== '' && other !== path && !other.startsWith(`${path}/`)) continue
      count++
      bytes += sizeOf(node.data)
    }
    this.nodes.get(`/zookeeper/quota${path}/zookeeper_stats`)!.data = `count=${count},bytes=${bytes}`
  }
}

function fresh(zxid: number, timeMs: number, owner: bigint, data: string | null, acl: Acl): ModelNode {
  return {
    czxid: zxid,
    mzxid: zxid,
    ctime: timeMs,
    mtime: timeMs,
    version: 0,
    cversion: 0,
    aversion: 0,
    owner,
    pzxid: zxid,
    data,
    acl,
  }
}

function sizeOf(data: string | null): number {
  return data === null ? 0 : Buffer.byteLength(data)
}

// --- generator

const NAMES = ['a', 'b', 'c', 'd', 'ü']
const ACLS: Acl[] = [OPEN, OPEN, OPEN, READ_ONLY, CREATOR]
/** Small enough that paths come and go and come again. */
const NODES_ABOUT = 120
const RESERVED = new Set(['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config'])

export interface Habits {
  /** Also writes what only a replay would meet: creates of what is there, deletes of what is not. */
  stray: boolean
  /** Now and then closes a session without listing its ephemerals, and leaves out a parent's cversion, as old servers. */
  old: boolean
  quotas: boolean
}

/** Writes transactions that fit a model of its own; applying them elsewhere is the caller's. */
export class Leader {
  readonly model = new Model()
  private readonly random: Random
  private readonly habits: Habits
  private zxid = 0x1_0000_0000
  private timeMs = 1_700_000_000_000
  private sessionNext = 0x7f00_0000_0000_0001n

  constructor(random: Random, habits: Habits) {
    this.random = random
    this.habits = habits
  }

  /** The next transaction, which its model has applied, and the results that the model gave. */
  next(): { txn: Txn; results: string[] } {
    const { random, model } = this
    this.zxid++
    this.timeMs += random.below(50)
    const sessions = [...model.sessions.keys()]
    let client = sessions.length > 0 ? random.pick(sessions) : 0n
    let op: Op
    const dice = random.below(100)
    if (sessions.length === 0 || (dice < 2 && sessions.length < 6)) {
      client = this.sessionNext++
      op = { op: 'createSession', timeoutMs: 4000 + random.below(40_000) }
    } else if (dice < 4) {
      const paths = model.ephemeralsOf(client).sort()
      const bare = this.habits.old && random.chance(30)
      op = { op: 'closeSession', paths: bare ? null : this.shuffled(paths) }
    } else if (dice < 14) {
      op = this.multi(client)
    } else if (dice < 18) {
      op = { op: 'error', err: random.pick([-101, -103, -110, -111]) }
    } else if (dice < 19) {
      op = { op: 'setData', type: 16, path: '/zookeeper/config', data: `v${this.zxid}`, version: -1 }
    } else {
      op = this.simple(model, client, false)
    }
    const txn = { header: { client, zxid: this.zxid, timeMs: this.timeMs, cxid: random.below(1000) }, op }
    return { txn, results: model.apply(txn) }
  }

  private multi(client: bigint): Op {
    // Later sub-operations see earlier ones: a scratch copy of the nodes stands for that.
    const scratch = new Model()
    scratch.nodes.clear()
    for (const [path, node] of this.model.nodes) scratch.nodes.set(path, { ...node })
    const header = { client, zxid: this.zxid, timeMs: this.timeMs }
    const subs: Op[] = []
    for (let i = this.random.below(5); i > 0; i--) {
      const sub = this.random.chance(15) ? this.checkOf(scratch) : this.simple(scratch, client, true)
      scratch.apply({ header, op: sub })
      subs.push(sub)
    }
    if (subs.length > 0 && this.random.chance(25)) {
      const failing = this.random.below(subs.length)
      for (let i = failing; i < subs.length; i++) subs[i] = { op: 'error', err: i === failing ? -103 : -2 }
      if (this.random.chance(30)) for (let i = 0; i < failing; i++) subs[i] = { op: 'error', err: 0 }
    }
    return { op: 'multi', subs }
  }

  private checkOf(model: Model): Op {
    const path = this.existing(model)
    return { op: 'check', path, version: model.nodes.get(path)!.version + 1 }
  }

  private simple(model: Model, client: bigint, inMulti: boolean): Op {
    const { random } = this
    const dice = random.below(100)
    if (dice < (model.nodes.size < NODES_ABOUT ? 50 : 20)) return this.creation(model, client)
    if (dice < 70) {
      const leaves = [...model.nodes.keys()].filter(
        (path) => !RESERVED.has(path) && model.childrenOf(path).length === 0,
      )
      const stray = this.habits.stray && random.chance(10)
      if (stray || leaves.length === 0) return { op: 'delete', type: 2, path: this.unused(model) }
      return { op: 'delete', type: random.chance(90) ? 2 : 20, path: random.pick(leaves) }
    }
    if (dice < 90 || inMulti) {
      const path = this.habits.stray && random.chance(5) ? this.unused(model) : this.existing(model)
      const version = model.nodes.get(path)?.version ?? 0
      return { op: 'setData', type: 5, path, data: this.data(), version: (version + 1) | 0 }
    }
    const path = this.existing(model)
    return { op: 'setAcl', path, acl: random.pick(ACLS), aversion: model.nodes.get(path)!.aversion + 1 }
  }

  private creation(model: Model, client: bigint): Op {
    const { random } = this
    if (this.habits.quotas && random.chance(6)) {
      const quota = this.quotaNode(model)
      if (quota !== null) return quota
    }
    const path = this.unused(model)
    const parent = model.nodes.get(parentOf(path)!)!
    const cversion = this.habits.old && random.chance(10) ? -1 : parent.cversion + 1
    const common = { path, data: this.data(), acl: random.pick(ACLS), cversion }
    if (this.habits.stray && random.chance(8)) {
      // Of what is there, by a transaction from before or a little after the parent's present cversion.
      const there = this.existing(model)
      if (!RESERVED.has(there)) {
        const stale = random.below(model.nodes.get(parentOf(there)!)!.cversion + 3)
        return { op: 'create', type: 1, ...common, path: there, cversion: stale, ephemeral: false }
      }
    }
    const dice = random.below(100)
    if (dice < 8) return { op: 'container', ...common }
    if (dice < 16) return { op: 'ttl', ...common, ttlMs: 1 + random.below(1_000_000) }
    return { op: 'create', type: random.chance(60) ? 1 : 15, ...common, ephemeral: client !== 0n && dice < 45 }
  }

  /** The next missing node of a quota on some path of one or two names. */
  private quotaNode(model: Model): Op | null {
    const { random } = this
    let target = `/${random.pick(NAMES)}`
    if (random.chance(30)) target += `/${random.pick(NAMES)}`
    const limits = random.chance(50) ? 'count=5,bytes=100' : 'count=-1,bytes=-1=;byteHardLimit=99;countHardLimit=3'
    for (const path of [
      ...target
        .split('/')
        .slice(1)
        .map((_, i, all) => `/zookeeper/quota/${all.slice(0, i + 1).join('/')}`),
      `/zookeeper/quota${target}/zookeeper_limits`,
      `/zookeeper/quota${target}/zookeeper_stats`,
    ]) {
      if (model.nodes.has(path)) continue
      const data = path.endsWith('_limits') ? limits : path.endsWith('_stats') ? 'count=0,bytes=0' : ''
      const cversion = model.nodes.get(parentOf(path)!)!.cversion + 1
      return { op: 'create', type: 1, path, data, acl: OPEN, ephemeral: false, cversion }
    }
    return null
  }

  private existing(model: Model): string {
    const paths = [...model.nodes.keys()].filter((path) => !path.startsWith('/zookeeper'))
    return this.random.pick(paths)
  }

  /** A path that is not there, under a parent that may have children. */
  private unused(model: Model): string {
    const { random } = this
    const isEphemeral = (owner: bigint) => owner !== 0n && owner > 0n
    const parents = [...model.nodes].filter(
      ([path, node]) => !path.startsWith('/zookeeper') && !isEphemeral(node.owner) && path.split('/').length < 5,
    )
    for (;;) {
      const [parent] = random.pick(parents)
      const name = random.chance(80) ? random.pick(NAMES) : `n${random.below(1000)}`
      const path = parent === '/' ? `/${name}` : `${parent}/${name}`
      if (!model.nodes.has(path)) return path
    }
  }

  private data(): string | null {
    const { random } = this
    if (random.chance(10)) return null
    if (random.chance(10)) return ''
    return 'x'.repeat(random.chance(5) ? random.below(3000) : random.below(40)) + random.below(1000)
  }

  private shuffled(paths: string[]): string[] {
    for (let i = paths.length - 1; i > 0; i--) {
      const j = this.random.below(i + 1)
      const kept = paths[i]!
      paths[i] = paths[j]!
      paths[j] = kept
    }
    return paths
  }
}
