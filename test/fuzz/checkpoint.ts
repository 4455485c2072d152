/**
 * Damaged checkpoints: the files of a real database, damaged, or single records of a good one changed, removed or put
 * in another's place. In the folder are the logs from the beginning too, so that a start always finds another way; what
 * it comes to is what there was.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { StorageError } from '../../src/jute/errors.ts'
import { nodeDisk } from '../../src/txnlog/disk.ts'
import { LevelHome } from '../../src/txnlog/levelkv.ts'
import { LevelStore } from '../../src/txnlog/levelstore.ts'
import { CHECKPOINT_DIR } from '../../src/txnlog/names.ts'
import { RECOVER_DEFAULTS, type Recovered, recover } from '../../src/txnlog/recover.ts'
import { Random } from '../simulation/random.ts'
import { type Base, emptyState, fingerprint } from './bases.ts'
import type { Case } from './cases.ts'
import { damage } from './damage.ts'
import { entryOf, recordsOf } from './formats.ts'
import type { Verdict } from './judge.ts'

/** A case whose file is a record: its key follows in hex; no bytes, no record. */
const RECORD = 'record '
const CHECKPOINTS = 4

export interface Checkpoint {
  base: Base
  /** The database's files by name. */
  files: ReadonlyMap<string, Uint8Array>
  /** Its records, in the order of their keys. */
  records: readonly (readonly [key: Uint8Array, value: Uint8Array])[]
}

/** Writes the history of `base` with some checkpoints on the way. */
export async function makeCheckpoint(base: Base): Promise<Checkpoint> {
  return inFolder(async (folder) => {
    const home = new LevelHome(nodeDisk(), folder)
    const store = new LevelStore(home, () => performance.now())
    const state = emptyState()
    state.zxidLast = 0
    mkdirSync(join(folder, 'version-2'))
    let left = base.states.size
    for (const log of base.logs) {
      const bytes = base.files.get(log)!
      for (const place of recordsOf(bytes)) {
        const entry = entryOf(bytes, place)
        state.apply(entry, 0, entry.length)
        // The last one some transactions before the end, so that there is something to replay.
        if (--left % Math.floor(base.states.size / CHECKPOINTS) === 5) await store.takeSnapshot(state)
      }
    }
    await store.close()
    const kv = await home.open()
    const reader = kv.read(new Uint8Array(0), Uint8Array.of(0xff))
    const records: [Uint8Array, Uint8Array][] = []
    for (let some = await reader.next(); some.length > 0; some = await reader.next()) {
      for (const [key, value] of some) records.push([Uint8Array.from(key), Uint8Array.from(value)])
    }
    await reader.close()
    await kv.close()
    const path = join(folder, 'version-2', CHECKPOINT_DIR)
    const names = readdirSync(path).filter((name) => name !== 'LOCK' && !name.startsWith('LOG'))
    const files = names.map((name): [string, Uint8Array] => [name, Uint8Array.from(readFileSync(join(path, name)))])
    return { base, files: new Map(files), records }
  })
}

export function checkpointCase(seed: number, { base, files, records }: Checkpoint): Case {
  const random = new Random(seed).fork('checkpoint')
  const rest = { kind: 'checkpoint', base: base.name } as const
  if (random.chance(0.5)) {
    const [file, original] = random.pick([...files])
    const { bytes, kinds } = damage(original, [], random.pick([...files.values()]), random)
    return { ...rest, file, bytes, sealed: false, what: kinds.join(' ') }
  }
  const [key, value] = random.pick(records)
  const [, other] = random.pick(records)
  const { bytes, kinds } = random.chance(0.2)
    ? { bytes: new Uint8Array(0), kinds: ['gone'] }
    : damage(value, [0, value.length - 4], other, random)
  const sealed = random.chance(0.5) && bytes.length > 4
  if (sealed) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    view.setUint32(bytes.length - 4, crc32(bytes.subarray(0, -4), crc32(key)))
  }
  return { ...rest, file: RECORD + Buffer.from(key).toString('hex'), bytes, sealed, what: kinds.join(' ') }
}

export async function judgeCheckpoint(each: Case, { base, files }: Checkpoint): Promise<Verdict> {
  return inFolder(async (folder) => {
    await lay(folder, each, base, files)
    const first = await start(folder)
    if (first instanceof StorageError) {
      return each.sealed ? { outcome: 'refused', problem: null } : wrong(`refused without need: ${first.message}`)
    }
    const { store, recovered } = first
    const found = fingerprint(recovered.state)
    if (!each.sealed && found !== base.states.get(base.zxidLast)) return wrong('another state, and nothing was said')
    // What it goes on with is as good: another checkpoint, and a start from that.
    await store.takeSnapshot(recovered.state)
    await store.close()
    const second = await start(folder)
    if (second instanceof StorageError) return wrong(`the second start was refused: ${second.message}`)
    await second.store.close()
    if (!second.recovered.fromCheckpoint) return wrong('the second start did not go by the new checkpoint')
    if (fingerprint(second.recovered.state) !== found) return wrong('the second start came to another state')
    if (each.sealed) return { outcome: 'not judged', problem: null }
    return { outcome: recovered.fromCheckpoint ? 'started' : 'started another way', problem: null }
  })
}

/** The folder of a case: all logs, the first snapshot, and the checkpoint. */
async function lay(folder: string, each: Case, base: Base, files: Checkpoint['files']): Promise<void> {
  const version2 = join(folder, 'version-2')
  const path = join(version2, CHECKPOINT_DIR)
  mkdirSync(path, { recursive: true })
  for (const name of [...base.logs, base.snapshots.at(-1)!]) writeFileSync(join(version2, name), base.files.get(name)!)
  for (const [name, bytes] of files) writeFileSync(join(path, name), name === each.file ? each.bytes : bytes)
  if (!each.file.startsWith(RECORD)) return
  const key = Uint8Array.from(Buffer.from(each.file.slice(RECORD.length), 'hex'))
  const kv = await new LevelHome(nodeDisk(), folder).open()
  await kv.batch([each.bytes.length === 0 ? { type: 'del', key } : { type: 'put', key, value: each.bytes }], true)
  await kv.close()
}

interface Start {
  recovered: Recovered
  store: LevelStore
}

async function start(folder: string): Promise<Start | StorageError> {
  const disk = nodeDisk()
  const store = new LevelStore(new LevelHome(disk, folder), () => performance.now())
  const dirs = { dataDir: folder, dataLogDir: folder }
  try {
    const options = { ...RECOVER_DEFAULTS, checkpoint: store }
    return {
      recovered: await recover(
        disk,
        dirs,
        () => emptyState(),
        options,
        () => {},
      ),
      store,
    }
  } catch (err) {
    await store.close()
    if (!(err instanceof StorageError)) throw err
    return err
  }
}

function wrong(problem: string): Verdict {
  return { outcome: 'refused', problem }
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'zoowarden-fuzz-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
