/** A StateMachine under strings and bigints, with all it tells its sinks. */

import { StateMachine, type StateOptions } from '../../../src/datatree/apply.ts'
import type { NodeId } from '../../../src/datatree/tree.ts'
import { id64ToBigInt } from '../../../src/jute/id64.ts'
import { Output } from '../../../src/jute/output.ts'
import { type Body, txn } from './txns.ts'

/** StatPersisted by name. */
export interface Stat {
  czxid: number
  mzxid: number
  ctime: number
  mtime: number
  version: number
  cversion: number
  aversion: number
  owner: bigint
  pzxid: number
}

export class Rig {
  readonly state: StateMachine
  readonly results: string[] = []
  readonly events: string[] = []
  readonly sessions: string[] = []
  readonly mismatches: number[] = []
  zxid = 0

  constructor(options: Partial<StateOptions> = {}) {
    this.state = new StateMachine(
      {
        onWatch: (conn, eventType, zxid, path, off, end, aclId) => {
          const acl = this.state.tree.acls.entries(aclId).map((entry) => `${entry.scheme}:${entry.perms}`)
          const text = new TextDecoder().decode(path.subarray(off, end))
          this.events.push(`${conn} ${eventType} ${zxid} ${text} ${acl.join()}`)
        },
      },
      {
        onResult: (index, type, err, node) => {
          const path = node === 0 ? '-' : new TextDecoder().decode(this.state.tree.pathOf(node))
          this.results.push(`${index} ${type} ${err} ${path}`)
        },
        onSessionCreated: (hi, lo, timeoutMs) =>
          this.sessions.push(`+${id64ToBigInt(hi, lo).toString(16)} ${timeoutMs}`),
        onSessionClosed: (hi, lo) => this.sessions.push(`-${id64ToBigInt(hi, lo).toString(16)}`),
        onDigestMismatch: (zxid) => this.mismatches.push(zxid),
      },
      { digest: true, ...options },
    )
  }

  applyBytes(bytes: Uint8Array): void {
    // Not at the start of its memory, so that offsets are proven too.
    const buf = new Uint8Array(bytes.length + 7)
    buf.set(bytes, 3)
    this.state.apply(buf, 3, 3 + bytes.length)
  }

  /** Applies with the next zxid, and returns the results. */
  apply(body: Body, client = 0x100n, tail?: Uint8Array): string[] {
    this.zxid++
    const from = this.results.length
    this.applyBytes(txn({ client, zxid: this.zxid, timeMs: 1000 + this.zxid }, body, tail))
    return this.results.slice(from)
  }

  node(path: string): NodeId {
    const buf = new TextEncoder().encode(path)
    return this.state.tree.find(buf, 0, buf.length)
  }

  data(path: string): string | null {
    const data = this.state.tree.dataOf(this.node(path))
    return data === null ? null : new TextDecoder().decode(data)
  }

  children(path: string): string[] {
    const names: string[] = []
    this.state.tree.forEachChild(this.node(path), (child) =>
      names.push(new TextDecoder().decode(this.state.tree.pathOf(child)).replace(/.*\//, '')),
    )
    return names.sort()
  }

  stat(path: string): Stat {
    const out = new Output(64)
    this.state.tree.writeStatPersisted(this.node(path), out)
    const view = new DataView(out.copy().buffer)
    return {
      czxid: Number(view.getBigInt64(0)),
      mzxid: Number(view.getBigInt64(8)),
      ctime: Number(view.getBigInt64(16)),
      mtime: Number(view.getBigInt64(24)),
      version: view.getInt32(32),
      cversion: view.getInt32(36),
      aversion: view.getInt32(40),
      owner: view.getBigInt64(44),
      pzxid: Number(view.getBigInt64(52)),
    }
  }

  get digest(): bigint {
    return BigInt.asUintN(64, id64ToBigInt(this.state.tree.digestHi, this.state.tree.digestLo))
  }
}
