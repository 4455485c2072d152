/**
 * A history as a server writes it: transactions of every kind, each with the digest of the tree behind it.
 *
 * The bytes are made here, from the jute definitions; the tree is only asked for the digest, which the next start
 * compares.
 */

import type { StateMachine } from '../../src/datatree/apply.ts'
import { Output } from '../../src/jute/output.ts'
import { makeZxid, type Zxid } from '../../src/jute/zxid.ts'

export interface Entry {
  zxid: Zxid
  bytes: Uint8Array
}

const OPEN: readonly Acl[] = [[31, 'world', 'anyone']]
const TIME_MS = 1_700_000_000_000

type Acl = readonly [perms: number, scheme: string, id: string]

/** One operation, as in a transaction's body and in a multi. */
interface Op {
  type: number
  body: Uint8Array
}

export class Scribe {
  readonly state: StateMachine
  readonly entries: Entry[]
  private epoch: number
  private counter: number
  /** Children ever made, by parent: what a create carries. */
  private readonly made: Map<string, number>

  constructor(state: StateMachine) {
    this.state = state
    this.entries = []
    this.epoch = 1
    this.counter = 0
    this.made = new Map()
  }

  /** A new leader: zxids begin anew in the next epoch. */
  nextEpoch(): void {
    this.epoch++
    this.counter = 0
  }

  txn(client: number, { type, body }: Op): void {
    const zxid = makeZxid(this.epoch, ++this.counter)
    const out = new Output(64 + body.length)
    out.words(0x0100_0000, client)
    out.int(this.counter)
    out.long(zxid)
    out.long(TIME_MS + this.entries.length)
    out.int(type)
    out.raw(body)
    const bare = out.copy()
    this.state.apply(bare, 0, bare.length)
    out.int(2)
    out.words(this.state.tree.digestHi, this.state.tree.digestLo)
    this.entries.push({ zxid, bytes: out.copy() })
  }

  session(client: number): void {
    this.txn(
      client,
      op(-10, (out) => out.int(30_000 + client)),
    )
  }

  endSession(client: number, paths: readonly string[]): void {
    this.txn(
      client,
      op(-11, (out) => {
        out.int(paths.length)
        for (const path of paths) out.string(path)
      }),
    )
  }

  create(path: string, data: string | null, acl = OPEN, ephemeral = false, type = 1): Op {
    return op(type, (out) => {
      node(out, path, data, acl)
      out.bool(ephemeral)
      out.int(this.child(path))
    })
  }

  container(path: string): Op {
    return op(19, (out) => {
      node(out, path, '', OPEN)
      out.int(this.child(path))
    })
  }

  ttl(path: string, ttlMs: number): Op {
    return op(21, (out) => {
      node(out, path, 'for a while', OPEN)
      out.int(this.child(path))
      out.long(ttlMs)
    })
  }

  private child(path: string): number {
    const parent = path.slice(0, path.lastIndexOf('/'))
    const count = (this.made.get(parent) ?? 0) + 1
    this.made.set(parent, count)
    return count
  }
}

export function remove(path: string, type = 2): Op {
  return op(type, (out) => out.string(path))
}

export function setData(path: string, data: string, version: number, type = 5): Op {
  return op(type, (out) => {
    out.string(path)
    out.buffer(new TextEncoder().encode(data))
    out.int(version)
  })
}

export function setAcl(path: string, acl: readonly Acl[], version: number): Op {
  return op(7, (out) => {
    out.string(path)
    list(out, acl)
    out.int(version)
  })
}

export function check(path: string, version: number): Op {
  return op(13, (out) => {
    out.string(path)
    out.int(version)
  })
}

export function error(code: number): Op {
  return op(-1, (out) => out.int(code))
}

export function multi(...ops: readonly Op[]): Op {
  return op(14, (out) => {
    out.int(ops.length)
    for (const each of ops) {
      out.int(each.type)
      out.buffer(each.body)
    }
  })
}

function op(type: number, write: (out: Output) => void): Op {
  const out = new Output(256)
  write(out)
  return { type, body: out.copy() }
}

function node(out: Output, path: string, data: string | null, acl: readonly Acl[]): void {
  out.string(path)
  out.buffer(data === null ? null : new TextEncoder().encode(data))
  list(out, acl)
}

function list(out: Output, acl: readonly Acl[]): void {
  out.int(acl.length)
  for (const [perms, scheme, id] of acl) {
    out.int(perms)
    out.string(scheme)
    out.string(id)
  }
}
