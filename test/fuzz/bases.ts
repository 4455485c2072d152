/**
 * The folders that get damaged, untouched: histories of ours in each compression, and what a real server left behind.
 *
 * Of each is known what state there was at which zxid; any other is wrong.
 */

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { StateMachine } from '../../src/datatree/apply.ts'
import type { NodeId } from '../../src/datatree/tree.ts'
import { id64Hex } from '../../src/jute/id64.ts'
import { Output } from '../../src/jute/output.ts'
import type { Zxid } from '../../src/jute/zxid.ts'
import { decoderFor, encoderFor } from '../../src/txnlog/codec.ts'
import { type Disk, later } from '../../src/txnlog/disk.ts'
import { type Compression, logName, logNames, snapshotName, snapshotNames } from '../../src/txnlog/names.ts'
import { readSnapshot } from '../../src/txnlog/snapfile.ts'
import { loadInto, SnapshotWriter } from '../../src/txnlog/snapshot.ts'
import { entryOf, logOf, recordsOf } from './formats.ts'
import { OverlayDisk } from './overlay.ts'
import { check, error, multi, remove, Scribe, setAcl, setData } from './scribe.ts'

export const DATA_DIR = '/fuzz'
export const FOLDER = join(DATA_DIR, 'version-2')

export interface Base {
  name: string
  /** By name in version-2. */
  files: ReadonlyMap<string, Uint8Array>
  /** Newest first. */
  snapshots: readonly string[]
  /** Oldest first. */
  logs: readonly string[]
  /** Uncompressed, by name. */
  plain: ReadonlyMap<string, Uint8Array>
  /** Bytes before each seal but the first, in every snapshot. */
  trailers: readonly number[]
  /** What `fingerprint` gives for the state at each zxid. */
  states: ReadonlyMap<Zxid, string>
  zxidLast: Zxid
}

/** A state without listeners; `onMismatch` hears of a tree that is not what its author had. */
export function emptyState(onMismatch: (zxid: Zxid) => void = () => {}): StateMachine {
  return new StateMachine(
    { onWatch() {} },
    { onResult() {}, onSessionCreated() {}, onSessionClosed() {}, onDigestMismatch: onMismatch },
    { digest: true, extendedTypes: true },
  )
}

/** All that a client could tell, and more: znodes with data, Stat, owner and ACL, and sessions. */
export function fingerprint(state: StateMachine): string {
  const { tree } = state
  const lines: string[] = []
  const visit = (n: NodeId): void => {
    const data = tree.dataOf(n)
    const stat = new Output(64)
    tree.writeStatPersisted(n, stat)
    const acl = tree.acls.entries(tree.aclId(n)).map(({ perms, scheme, id }) => `${perms} ${scheme} ${id}`)
    const hex = data === null ? 'null' : Buffer.from(data).toString('hex')
    const path = Buffer.from(tree.pathOf(n)).toString('latin1')
    lines.push(`${path}\t${hex}\t${Buffer.from(stat.bytes()).toString('hex')}\t${acl.join(';')}`)
    tree.forEachChild(n, visit)
  }
  visit(tree.find(new Uint8Array(0), 0, 0))
  state.sessions.forEach((timeoutMs, hi, lo) => {
    lines.push(`session ${id64Hex(hi, lo)} ${timeoutMs}`)
  })
  return createHash('sha1').update(lines.sort().join('\n')).digest('base64')
}

/** Every base there is. `fixtures`: the recorded folders of real servers. */
export async function makeBases(fixtures: string): Promise<Base[]> {
  const bases: Base[] = []
  for (const compression of ['', 'gz', 'snappy'] as const) {
    const name = `ours${compression === '' ? '' : `-${compression}`}`
    bases.push(await baseOf(name, await ourFiles(compression, true, true), [20, 8]))
  }
  bases.push(await baseOf('ours-without-digest', await ourFiles('', false, true), [8]))
  bases.push(await baseOf('ours-without-sections', await ourFiles('', false, false), []))
  bases.push(await baseOf('ours-young', await youngFiles(), [20, 8]))
  for (const life of ['plain', 'gz', 'snappy']) {
    const folder = join(fixtures, life, 'version-2')
    const files = readdirSync(folder).map((file): [string, Uint8Array] => [
      file,
      // An array of its own: a slice of a Buffer would be no copy.
      Uint8Array.from(readFileSync(join(folder, file))),
    ])
    bases.push(await baseOf(`java-${life}`, new Map(files), [20, 8]))
  }
  return bases
}

async function baseOf(name: string, files: Map<string, Uint8Array>, trailers: number[]): Promise<Base> {
  const names = [...files.keys()]
  const snapshots = snapshotNames(names)
  const logs = logNames(names).map((log) => log.name)
  const plain = new Map<string, Uint8Array>()
  for (const snapshot of snapshots) {
    plain.set(snapshot.name, await decompressed(files.get(snapshot.name)!, snapshot.compression))
  }
  const state = emptyState()
  const disk: Disk = new OverlayDisk([...files].map(([file, bytes]) => [join(FOLDER, file), bytes]))
  await readSnapshot(disk, FOLDER, snapshots.at(-1)!, loadInto(state), 1 << 20)
  state.tree.finishLoad()
  state.quotas.rebuild()
  const states = new Map([[0, fingerprint(state)]])
  for (const log of logs) {
    const bytes = files.get(log)!
    for (const place of recordsOf(bytes)) {
      state.apply(entryOf(bytes, place), 0, place.end - place.off - 13)
      states.set(state.zxidLast, fingerprint(state))
    }
  }
  const newestFirst = snapshots.map((snapshot) => snapshot.name)
  return { name, files, snapshots: newestFirst, logs, plain, trailers, states, zxidLast: state.zxidLast }
}

/** Two epochs, four logs (the last one with padding), three snapshots, the newest of them fuzzy. */
async function ourFiles(
  compression: Compression,
  digest: boolean,
  lastZxid: boolean,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  const scribe = new Scribe(bornState())
  const { state, entries } = scribe
  const take = async (meanwhile: readonly (() => void)[] = []): Promise<void> => {
    const writer = new SnapshotWriter(state, 'file', { digest, lastZxid })
    const out = new Output(4096)
    for (let i = 0; !writer.step(out, 200); i++) meanwhile[i]?.()
    files.set(snapshotName(writer.zxid, compression), await compressed(out.copy(), compression))
  }
  let first = 0
  const endLog = (paddingBytes = 0): void => {
    const part = entries.slice(first)
    const bytes = part.map((each) => each.bytes)
    files.set(logName(part[0]!.zxid), logOf(bytes, paddingBytes))
    first = entries.length
  }
  await take()
  firstChapter(scribe)
  endLog()
  await take()
  secondChapter(scribe)
  endLog()
  scribe.nextEpoch()
  thirdChapter(scribe)
  endLog()
  // Without a section at its end nothing in the file would say how far a fuzzy one goes.
  await take(
    !digest && !lastZxid
      ? []
      : [
          () => scribe.txn(5, scribe.create('/late', 'made meanwhile')),
          () => scribe.txn(5, setData('/app/config', 'changed meanwhile', 3)),
          () => scribe.txn(5, remove('/app/queue/n0000000001')),
        ],
  )
  lastChapter(scribe)
  endLog(1300)
  return files
}

/** A first start: the empty snapshot and one log. */
async function youngFiles(): Promise<Map<string, Uint8Array>> {
  const scribe = new Scribe(bornState())
  const writer = new SnapshotWriter(scribe.state, 'file', { digest: true, lastZxid: true })
  const out = new Output(4096)
  while (!writer.step(out, 1000)) {}
  firstChapter(scribe)
  const { entries } = scribe
  const log = logOf(
    entries.map((each) => each.bytes),
    0,
  )
  return new Map([
    [snapshotName(0, ''), out.copy()],
    [logName(entries[0]!.zxid), log],
  ])
}

function bornState(): StateMachine {
  const state = emptyState()
  state.zxidLast = 0
  return state
}

function firstChapter(s: Scribe): void {
  s.session(1)
  s.session(2)
  s.txn(1, s.create('/app', null))
  s.txn(1, s.create('/app/config', 'timeout=30'))
  s.txn(1, s.create('/app/queue', ''))
  for (let i = 0; i < 6; i++) s.txn(1, s.create(`/app/queue/n000000000${i}`, `job ${i}`, undefined, i % 2 === 1, 15))
  s.txn(2, s.container('/locks'))
  s.txn(2, s.create('/locks/holder', 'me', [[31, 'digest', 'user:hash']], true))
  s.txn(2, s.ttl('/app/cache', 60_000))
  s.txn(1, setAcl('/app/config', [[1, 'world', 'anyone'], [31, 'ip', '10.0.0.0/8']], 1)) // biome-ignore format: a list
  s.txn(2, error(-101))
  s.txn(1, setData('/app/config', 'timeout=40', 1))
}

function secondChapter(s: Scribe): void {
  s.txn(1, multi(s.create('/app/a', 'one'), s.create('/app/a/b', 'two'), check('/app/a', 0), setData('/app/a', '1', 1)))
  s.txn(2, multi(error(0), error(-103), error(-2)))
  s.txn(1, remove('/app/queue/n0000000002'))
  s.endSession(2, ['/locks/holder'])
  s.txn(0, remove('/locks', 20))
  s.txn(1, setData('/zookeeper/config', 'server.1=a:1:2:participant\nversion=100000010', -1, 16))
  s.txn(1, s.create('/zookeeper/quota/app', ''))
  s.txn(1, s.create('/zookeeper/quota/app/zookeeper_limits', 'count=100,bytes=10000'))
  s.txn(1, s.create('/zookeeper/quota/app/zookeeper_stats', 'count=9,bytes=70'))
  for (let i = 0; i < 12; i++) s.txn(1, s.create(`/app/big${i}`, 'x'.repeat(40 * i)))
  s.txn(1, setData('/app/config', 'timeout=50', 2))
}

function thirdChapter(s: Scribe): void {
  s.session(5)
  s.txn(5, s.create('/members', ''))
  for (let i = 0; i < 5; i++) s.txn(5, s.create(`/members/m${i}`, `host${i}`, [[3, 'auth', ''], [31, 'world', 'anyone']], true)) // biome-ignore format: a list
  s.txn(1, remove('/app/big3'))
}

function lastChapter(s: Scribe): void {
  s.txn(5, setAcl('/members', [[5, 'world', 'anyone']], 1))
  for (let i = 0; i < 10; i++)
    s.txn(5, setData(`/members/m${i % 5}`, `load ${i} ${'='.repeat(i * 9)}`, 1 + Math.floor(i / 5)))
  s.session(6)
  s.txn(6, s.ttl('/app/lease', 5_000))
  s.txn(6, multi(remove('/app/a/b'), remove('/app/a'), s.create('/app/z', null)))
  s.endSession(1, ['/app/queue/n0000000003', '/app/queue/n0000000005'])
  s.txn(5, s.create('/end', 'the last word'))
}

async function compressed(bytes: Uint8Array, compression: Compression): Promise<Uint8Array> {
  return through(encoderFor(compression), bytes)
}

async function decompressed(bytes: Uint8Array, compression: Compression): Promise<Uint8Array> {
  return through(decoderFor(compression), bytes)
}

async function through(codec: ReturnType<typeof encoderFor>, bytes: Uint8Array): Promise<Uint8Array> {
  const parts = await later<Uint8Array[]>((got) => codec.push(bytes, got))
  parts.push(...(await later<Uint8Array[]>((got) => codec.end(got))))
  codec.abort()
  return Uint8Array.from(Buffer.concat(parts))
}
