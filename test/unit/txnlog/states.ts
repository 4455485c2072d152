/** States, folders and listings for tests of recovery. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { StateMachine } from '../../../src/datatree/apply.ts'
import type { DataTree, NodeId } from '../../../src/datatree/tree.ts'
import { id64ToBigInt } from '../../../src/jute/id64.ts'
import { Output } from '../../../src/jute/output.ts'
import type { Disk } from '../../../src/txnlog/disk.ts'
import {
  RECOVER_DEFAULTS,
  type RecoverEvent,
  type Recovered,
  type RecoverOptions,
  recover,
} from '../../../src/txnlog/recover.ts'
import { type MemDisk, pathIn } from '../../disk/memdisk.ts'

export const DIRS = { dataDir: pathIn(), dataLogDir: pathIn() }
export const VERSION_2 = pathIn('version-2')

export interface Watched {
  state: StateMachine
  mismatches: number[]
}

export function makeState(mismatches: number[] = []): StateMachine {
  return new StateMachine(
    { onWatch() {} },
    {
      onResult() {},
      onSessionCreated() {},
      onSessionClosed() {},
      onDigestMismatch: (zxid) => mismatches.push(zxid),
    },
    { digest: true, extendedTypes: true },
  )
}

export interface Outcome extends Recovered {
  events: RecoverEvent[]
  mismatches: number[]
}

export async function recoverOn(disk: Disk, options: Partial<RecoverOptions> = {}, dirs = DIRS): Promise<Outcome> {
  const events: RecoverEvent[] = []
  const mismatches: number[] = []
  const recovered = await recover(
    disk,
    dirs,
    () => makeState(mismatches),
    { ...RECOVER_DEFAULTS, ...options },
    (event) => events.push(event),
  )
  return { ...recovered, events, mismatches }
}

export const FIXTURES = join(import.meta.dirname, '../../conformance/fixtures/disk')

/** Puts a real server's files on the disk. */
export function putFixture(disk: MemDisk, life: string, wanted: (name: string) => boolean = () => true): void {
  const dir = join(FIXTURES, life, 'version-2')
  for (const name of readdirSync(dir)) if (wanted(name)) disk.put(join(VERSION_2, name), readFileSync(join(dir, name)))
}

/** What a client of the real server saw, one line per znode. */
export function fixtureTree(life: string): string[] {
  return readFileSync(join(FIXTURES, life, 'tree.txt'), 'utf8')
    .trimEnd()
    .split('\n')
}

/** The same of a tree of ours. */
export function listTree(tree: DataTree): string[] {
  const lines: string[] = []
  const visit = (n: NodeId): void => {
    const data = tree.dataOf(n)
    const kind = tree.ownerKind(n)
    const owner = kind === 1 ? id64ToBigInt(tree.ownerHi(n), tree.ownerLo(n)) : 0n
    const numChildren = tree.numChildren(n)
    const fields = [
      tree.czxid(n),
      tree.mzxid(n),
      tree.ctimeMs(n),
      tree.mtimeMs(n),
      tree.version(n),
      2 * tree.cversion(n) - numChildren,
      tree.aversion(n),
      owner,
      data === null ? 0 : data.length,
      numChildren,
      tree.pzxid(n),
    ]
    const acl = tree.acls.entries(tree.aclId(n)).map((each) => `${each.perms} ${each.scheme} ${each.id};`)
    const path = new TextDecoder().decode(tree.pathOf(n))
    const hex = data === null ? 'null' : Buffer.from(data).toString('hex')
    lines.push(`${path}\t${hex}\t${fields.join(' ')}\t${acl.join('')}`)
    tree.forEachChild(n, visit)
  }
  visit(tree.find(new Uint8Array(0), 0, 0))
  return lines.sort()
}

export function digestOf(state: StateMachine): string {
  return `${(state.tree.digestHi >>> 0).toString(16)}:${(state.tree.digestLo >>> 0).toString(16)}`
}

/** The header of a transaction of request 1 of a session, with room for a body. */
function header(zxid: number, type: number, sessionLo = 0): Output {
  const out = new Output(256)
  out.words(0x0100_0000, sessionLo)
  out.int(1)
  out.long(zxid)
  out.long(1_700_000_000_000 + zxid)
  out.int(type)
  return out
}

/**
 * A create (type 1) as it lies in the log, without a digest. The parent's new cversion is the zxid: any number that
 * grows will do, and as in real logs it is there, so that replay over a fuzzy snapshot does not count twice.
 */
export function createTxn(
  zxid: number,
  path: string,
  data = `at ${zxid}`,
  ephemeralOwnerLo = 0,
  [scheme, id]: readonly [string, string] = ['world', 'anyone'],
): Uint8Array {
  const out = header(zxid, 1, ephemeralOwnerLo)
  out.string(path)
  out.buffer(new TextEncoder().encode(data))
  out.int(1)
  out.int(31)
  out.string(scheme)
  out.string(id)
  out.bool(ephemeralOwnerLo !== 0)
  out.int(zxid)
  return out.copy()
}

export function setDataTxn(zxid: number, path: string, data: string, version: number): Uint8Array {
  const out = header(zxid, 5)
  out.string(path)
  out.buffer(new TextEncoder().encode(data))
  out.int(version)
  return out.copy()
}

export function deleteTxn(zxid: number, path: string): Uint8Array {
  const out = header(zxid, 2)
  out.string(path)
  return out.copy()
}

export function sessionTxn(zxid: number, idLo: number, type: -10 | -11): Uint8Array {
  const out = new Output(64)
  out.words(0x0100_0000, idLo)
  out.int(0)
  out.long(zxid)
  out.long(1_700_000_000_000 + zxid)
  out.int(type)
  if (type === -10) out.int(30_000)
  return out.copy()
}
