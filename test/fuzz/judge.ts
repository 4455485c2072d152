/**
 * Starts from a damaged folder and judges what comes of it.
 *
 * Right is: a StorageError that names a file; or a start whose state is one that the untouched history had. Less than
 * all of the history is right only where what is missing was the torn end of the last log: none of the records that
 * are missing is still whole behind the cut, unless empty sectors stand before it, as reordered writes leave them; and
 * it was not a single changed byte. Where checksums were made to fit, or fit by chance, the content is as good as the
 * truth, and only crashes count.
 *
 * A start must not be refused for a plain torn end, or for a damaged snapshot where an older one and the log are good.
 * And what has started once starts again, to the same.
 */

import { join } from 'node:path'
import type { StateMachine } from '../../src/datatree/apply.ts'
import { StorageError } from '../../src/jute/errors.ts'
import { epochOf, type Zxid, zxidHex } from '../../src/jute/zxid.ts'
import { loadEpochs } from '../../src/txnlog/epochs.ts'
import { IDENTITY_NAME, readIdentity, sameIdentity, writeIdentity } from '../../src/txnlog/identity.ts'
import { RECOVER_DEFAULTS, type Recovered, recover } from '../../src/txnlog/recover.ts'
import { MARK_NAME, readMark } from '../../src/txnlog/repair.ts'
import { type Base, DATA_DIR, emptyState, FOLDER, fingerprint } from './bases.ts'
import { type Case, EPOCH_TEXT, type Material } from './cases.ts'
import { judgeCheckpoint } from './checkpoint.ts'
import { judgeConfig } from './configs.ts'
import { entryOf, isSealed, type Place, recordsOf } from './formats.ts'
import { judgeHttp } from './http.ts'
import { judgeLogin } from './logins.ts'
import { OverlayDisk } from './overlay.ts'
import { judgeQuorum } from './quorum.ts'
import { judgeStore } from './stores.ts'
import { judgeArchive, judgeTools } from './tools.ts'

export type Outcome =
  /** All of the history. */
  | 'started'
  /** Without a torn end. */
  | 'shortened'
  /** All of the history, without what was damaged. */
  | 'started another way'
  | 'refused'
  /** Another state, and the digests said so. */
  | 'mismatch reported'
  /** Checksums fit: only that it did not crash. */
  | 'not judged'

export interface Verdict {
  outcome: Outcome
  /** Null: all is well. */
  problem: string | null
}

const DIRS = { dataDir: DATA_DIR, dataLogDir: DATA_DIR }
const SECTOR_BYTES = 512

export async function judge(each: Case, { bases, checkpoint }: Material): Promise<Verdict> {
  const base = bases.find(({ name }) => name === each.base) ?? bases[0]!
  try {
    switch (each.kind) {
      case 'config':
        return judgeConfig(each)
      case 'tools':
        return await judgeTools(each, base)
      case 'archive':
        return await judgeArchive(each, base)
      case 'checkpoint':
        return await judgeCheckpoint(each, checkpoint!)
      case 'http':
        return await judgeHttp(each)
      case 'keystore':
        return judgeStore(each)
      case 'login':
        return judgeLogin(each)
      case 'quorum':
        return await judgeQuorum(each)
      default:
        return await judgeFolder(each, base)
    }
  } catch (err) {
    if (err instanceof Wrong) return { outcome: 'refused', problem: err.message }
    return { outcome: 'refused', problem: `crash: ${err instanceof Error ? (err.stack ?? err.message) : err}` }
  }
}

async function judgeFolder(each: Case, base: Base): Promise<Verdict> {
  const files = new Map<string, Uint8Array>()
  for (const [name, bytes] of base.files) files.set(join(FOLDER, name), bytes)
  if (each.kind === 'epoch') {
    for (const name of ['acceptedEpoch', 'currentEpoch']) files.set(join(FOLDER, name), Buffer.from(EPOCH_TEXT))
  }
  files.set(join(FOLDER, each.file), each.bytes)
  const disk = new OverlayDisk(files)
  if (each.kind !== 'epoch') return judgeStart(each, base, disk)
  try {
    if (each.file === IDENTITY_NAME) return await judgeIdentity(disk)
    if (each.file === MARK_NAME) return await judgeMark(each, disk)
    return await judgeEpochs(each, base, disk)
  } catch (err) {
    if (!(err instanceof StorageError)) throw err
    if (err.file === null) throw new Wrong(`an error without a file: ${err.message}`)
    const canonical = /Epoch$/.test(each.file) && /^\d{1,7}$/.test(Buffer.from(each.bytes).toString('latin1'))
    if (canonical && epochIn(each.bytes) !== null) throw new Wrong(`refused without need: ${err.message}`)
    return { outcome: 'refused', problem: null }
  }
}

/** A rule was broken. */
class Wrong extends Error {}

interface Start {
  recovered: Recovered
  mismatches: readonly Zxid[]
}

/** The error where it was refused. */
async function start(disk: OverlayDisk): Promise<Start | StorageError> {
  const heard = new Map<StateMachine, Zxid[]>()
  const makeState = (): StateMachine => {
    const mismatches: Zxid[] = []
    const state = emptyState((zxid) => mismatches.push(zxid))
    heard.set(state, mismatches)
    return state
  }
  let outcome: Start | StorageError
  try {
    const recovered = await recover(disk, DIRS, makeState, RECOVER_DEFAULTS, () => {})
    outcome = { recovered, mismatches: heard.get(recovered.state)! }
  } catch (err) {
    if (!(err instanceof StorageError)) throw err
    outcome = err
  }
  if (disk.openCount > 0) throw new Wrong(`${disk.openCount} files left open`)
  if (outcome instanceof StorageError && outcome.file === null) {
    throw new Wrong(`an error without a file: ${outcome.message}`)
  }
  return outcome
}

async function judgeStart(each: Case, base: Base, disk: OverlayDisk): Promise<Verdict> {
  const untouched = base.files.get(each.file)!
  const trusted = each.sealed || fitsByChance(each, base)
  const first = await start(disk)
  if (first instanceof StorageError) {
    if (!trusted && mustStart(each, base, untouched)) throw new Wrong(`refused without need: ${first.message}`)
    return { outcome: 'refused', problem: null }
  }
  checkTree(first.recovered.state, trusted)
  const found = fingerprint(first.recovered.state)
  await startAgain(disk, first.recovered.zxidLast, found)
  if (trusted) return { outcome: 'not judged', problem: null }

  const { zxidLast } = first.recovered
  const expected = base.states.get(zxidLast)
  if (expected === undefined) throw new Wrong(`there was never a state at zxid 0x${zxidHex(zxidLast)}`)
  if (found !== expected) {
    if (first.mismatches.length > 0) return { outcome: 'mismatch reported', problem: null }
    if (endsItsEpoch(each, base) && isCut(each.bytes, untouched)) return { outcome: 'not judged', problem: null }
    throw new Wrong(`another state at zxid 0x${zxidHex(zxidLast)}, and nothing was said`)
  }
  if (zxidLast === base.zxidLast) return { outcome: 'started', problem: null }
  checkLoss(each, base, untouched, first.recovered)
  return { outcome: 'shortened', problem: null }
}

function checkTree({ tree }: StateMachine, trusted: boolean): void {
  try {
    tree.check()
  } catch (err) {
    // The check counts in numbers up to 2^53; only what was sealed by us has larger ones.
    if (!trusted || !(err instanceof Error) || err.message !== 'digest of a znode is off') throw err
  }
}

async function startAgain(disk: OverlayDisk, zxidLast: Zxid, found: string): Promise<void> {
  const second = await start(disk)
  if (second instanceof StorageError) throw new Wrong(`the second start was refused: ${second.message}`)
  if (second.recovered.zxidLast !== zxidLast || fingerprint(second.recovered.state) !== found) {
    throw new Wrong('the second start came to another state')
  }
  if (second.recovered.tornTail !== null) throw new Wrong('the second start found a torn end again')
}

/** Less than all is there: was that the torn end of the last log, and was it said? */
function checkLoss(each: Case, base: Base, untouched: Uint8Array, { zxidLast, tornTail }: Recovered): void {
  const lost = `what came behind zxid 0x${zxidHex(zxidLast)} is lost`
  if (each.file !== base.logs.at(-1)) throw new Wrong(`${lost}, although the last log is untouched`)
  const from = firstDifference(each.bytes, untouched)
  // Unless it is the end mark of all, which is zero now: then it is as if it had not been written.
  if (changedBytes(each.bytes, untouched) === 1 && each.bytes.subarray(from).some((byte) => byte !== 0)) {
    throw new Wrong(`${lost} for one changed byte`)
  }
  const missing = recordsOf(untouched).filter((place) => zxidAt(untouched, place) > zxidLast)
  const cut = tornTail?.offset ?? 0
  if (tornTail === null && each.bytes.subarray(missing[0]!.off).some((byte) => byte !== 0)) {
    throw new Wrong(`${lost}, and nothing was said`)
  }
  if (hasHole(each.bytes, cut)) return
  for (const { off, end } of missing) {
    const record = untouched.subarray(off, end)
    if (Buffer.from(each.bytes.buffer, each.bytes.byteOffset, each.bytes.length).indexOf(record, cut) >= 0) {
      throw new Wrong(`${lost}, although zxid 0x${zxidHex(zxidAt(untouched, { off, end }))} is still whole`)
    }
  }
}

/** Behind the cut a sector, or the part of the first one, is empty although later bytes are there. */
function hasHole(bytes: Uint8Array, cut: number): boolean {
  let used = bytes.length
  while (used > cut && bytes[used - 1] === 0) used--
  for (let at = cut; at < used; at += SECTOR_BYTES - (at % SECTOR_BYTES)) {
    const part = bytes.subarray(at, at + SECTOR_BYTES - (at % SECTOR_BYTES))
    if (part.length > 4 && part.every((byte) => byte === 0)) return true
  }
  return false
}

/** Nothing but the end is missing. */
function isCut(bytes: Uint8Array, untouched: Uint8Array): boolean {
  return bytes.length < untouched.length && firstDifference(bytes, untouched) === bytes.length
}

function firstDifference(bytes: Uint8Array, untouched: Uint8Array): number {
  let at = 0
  while (at < bytes.length && at < untouched.length && bytes[at] === untouched[at]) at++
  return at
}

function changedBytes(bytes: Uint8Array, untouched: Uint8Array): number {
  if (bytes.length !== untouched.length) return Number.POSITIVE_INFINITY
  let count = 0
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== untouched[i]) count++
  return count
}

/** The last log just stops; or an older snapshot and the log behind it are as they were. */
function mustStart(each: Case, base: Base, untouched: Uint8Array): boolean {
  if (each.kind === 'log') return each.file === base.logs.at(-1) && isCut(each.bytes, untouched)
  return base.snapshots.some((name) => name !== each.file)
}

/** Java's format cannot show what is missing before an epoch begins. */
function endsItsEpoch(each: Case, base: Base): boolean {
  const index = base.logs.indexOf(each.file)
  const next = base.logs[index + 1]
  if (index < 0 || next === undefined) return false
  const zxidOf = (name: string): Zxid => Number.parseInt(name.split('.')[1]!, 16)
  return epochOf(zxidOf(next)) > epochOf(zxidOf(each.file))
}

/** Pieces of other files can come to lie where they fit, and changes can add up to nothing. */
function fitsByChance(each: Case, base: Base): boolean {
  if (each.kind === 'snapshot') {
    for (const plain of base.plain.values()) if (Buffer.compare(plain, each.bytes) === 0) return true
    return !/\.(gz|snappy)$/.test(each.file) && isSealed(each.bytes)
  }
  const untouched = base.files.get(each.file)!
  const own = new Set(recordsOf(untouched).map((place) => keyOf(untouched, place)))
  return recordsOf(each.bytes).some((place) => !own.has(keyOf(each.bytes, place)))
}

function keyOf(log: Uint8Array, place: Place): string {
  return Buffer.from(entryOf(log, place)).toString('latin1')
}

function zxidAt(log: Uint8Array, place: Place): Zxid {
  const entry = entryOf(log, place)
  return Number(new DataView(entry.buffer, entry.byteOffset).getBigInt64(12))
}

/** An epoch is a number without a checksum: what it says now is the truth, if it says anything. */
async function judgeEpochs(each: Case, base: Base, disk: OverlayDisk): Promise<Verdict> {
  const told = epochIn(each.bytes)
  const other = Number(EPOCH_TEXT)
  const epochs = await loadEpochs(disk, FOLDER, base.zxidLast, () => {})
  if (told === null) throw new Wrong(`epochs ${JSON.stringify(epochs)} from a file that says no number`)
  const current = Math.max(each.file === 'currentEpoch' ? told : other, epochOf(base.zxidLast))
  const accepted = Math.max(each.file === 'acceptedEpoch' ? told : other, current)
  const again = await loadEpochs(disk, FOLDER, base.zxidLast, () => {})
  for (const found of [epochs, again]) {
    if (found.accepted === accepted && found.current === current) continue
    throw new Wrong(`epochs ${JSON.stringify(found)}, where ${accepted} and ${current} were to be read`)
  }
  return { outcome: 'started', problem: null }
}

/** Whatever it says now, it says the same when it has been written again. */
async function judgeIdentity(disk: OverlayDisk): Promise<Verdict> {
  const identity = await readIdentity(disk, FOLDER)
  if (identity === null) throw new Wrong('an identity was not seen')
  await writeIdentity(disk, FOLDER, identity)
  const again = await readIdentity(disk, FOLDER)
  if (again === null || !sameIdentity(identity, again)) throw new Wrong('another identity when it is read again')
  return { outcome: 'started', problem: null }
}

/** Read as a whole or not at all. */
async function judgeMark(each: Case, disk: OverlayDisk): Promise<Verdict> {
  const mark = await readMark(disk, FOLDER)
  if (mark === null) throw new Wrong('a mark was not seen')
  const text = `aside=${mark.aside}${mark.keep === null ? '' : `\nkeep=${mark.keep}`}`
  const said = Buffer.from(each.bytes).toString('latin1')
  if (said !== text && said !== `${text}\n`)
    throw new Wrong(`${JSON.stringify(said)} was read as ${JSON.stringify(mark)}`)
  return { outcome: 'started', problem: null }
}

/** The first line as Java's Long.parseLong reads it, if it is an epoch; null otherwise. */
function epochIn(bytes: Uint8Array): number | null {
  const line = Buffer.from(bytes)
    .toString('utf8')
    .split(/\r\n|\r|\n/)[0]!
  if (!/^[+-]?[0-9]+$/.test(line)) return null
  const value = BigInt(line)
  return value >= 0n && value < 2n ** 21n ? Number(value) : null
}
