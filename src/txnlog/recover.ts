/**
 * A server's state from its files: the newest snapshot that verifies, then the log behind it.
 *
 * The rules, where files are less than perfect:
 *   - A snapshot that does not read or whose seals do not match is passed over for the next older one, each into a
 *     fresh state. The log must then reach as far as the rejected one's name says that history went.
 *   - A fuzzy snapshot may hold changes up to a zxid later than its name. The log must reach that zxid.
 *   - Inside an epoch the replayed zxids have no hole, the first one behind the snapshot included. (Across epochs a
 *     hole cannot be seen: nobody knows how far the old one went.) What comes twice is skipped.
 *   - The last log file may end in a torn write: it is cut off, a copy is kept, and the start goes on. An earlier file
 *     may too, since Java leaves such ends: then the next file has to go on without a hole.
 *   - An empty last log is dropped. Damage anywhere in what is read refuses the start, with file, offset and zxid.
 *   - A checkpoint (levelstore.ts) stands among the snapshots by its zxid, and the same holds for it. It is also
 *     compared with what it says of itself, once the log is applied up to its end.
 *   - Logs without a snapshot refuse it too, unless the operator says that the empty tree is where they begin.
 *   - A folder whose history was set aside (repair.ts) has none, whatever an empty folder means elsewhere.
 * Files change only at the end, when all is known to be good. What was replayed is synced before anyone relies on it:
 * a killed server may have left records that only the kernel's memory holds. The end of the log is written again for
 * that: where a sync has failed, the kernel takes for stored what never was, and would sync nothing.
 * Java: FileTxnSnapLog.restore, FileSnap.deserialize, ZKDatabase.addCommittedProposal (the contiguity rule).
 */

import { join } from 'node:path'
import type { StateMachine } from '../datatree/apply.ts'
import { StorageError } from '../jute/errors.ts'
import { counterOf, leavesHole, type Zxid, zxidHex } from '../jute/zxid.ts'
import type { CheckpointEnd } from './checkpointformat.ts'
import {
  type Disk,
  type DiskFile,
  errorCode,
  errorPath,
  FULL_CODES,
  later,
  laterDone,
  removeIfThere,
  writeSmallFile,
} from './disk.ts'
import { type FileSnapshotOptions, FileSnapshotStore, removePartialSnapshots, SNAPSHOT_DEFAULTS } from './filestore.ts'
import { cutFile, damageError, ENTRY_LENGTH_MAX, listLogs, scanLog } from './logdir.ts'
import { GROUP_BYTES_MAX, LOG_HEADER_BYTES, type LogTail, type OnLogEntry, RECORD_OVERHEAD_BYTES } from './logfile.ts'
import { firstLogFor, type LogName, type SnapshotName, snapshotNames, TORN_PREFIX, VERSION_DIR } from './names.ts'
import { type Folders, MARK_NAME, moveAside, readMark } from './repair.ts'
import { isCutShort, readSnapshot } from './snapfile.ts'
import { loadInto } from './snapshot.ts'
import type { CheckpointSource } from './snapshotstore.ts'

export interface DataDirs {
  /** The configured folders; what is read and written lies in `version-2` below. May be the same. */
  dataDir: string
  dataLogDir: string
}

export interface RecoverOptions {
  /** Logs without any snapshot replay on an empty tree (zookeeper.snapshot.trust.empty). */
  trustEmpty: boolean
  /** An empty folder is an empty database, not a lost one (zookeeper.db.autocreate). */
  dbAutocreate: boolean
  /** Missing folders are made (zookeeper.datadir.autocreate). */
  dirAutocreate: boolean
  /** Start although the log ends before all that a fuzzy snapshot may hold. No such switch in Java, which does so. */
  trustFuzzy: boolean
  /** Longest log entry, and longest string in a snapshot: jute.maxbuffer plus jute.maxbuffer.extrasize. */
  lengthMax: number
  /** A leader can send everything: then a folder whose history was set aside is one to begin from, without a vote. */
  resync: boolean
  /** How to write the first snapshot of an empty database. */
  snapshot: FileSnapshotOptions
  /** A checkpoint beside the snapshots; null where none is looked for. */
  checkpoint: CheckpointSource | null
  /** Told now and then how far it is. */
  onProgress?: (progress: RecoverProgress) => void
  /** Sees every transaction as it is replayed; bytes are borrowed. */
  onReplayed?: (zxid: Zxid, buf: Uint8Array, off: number, end: number) => void
}

/** Sizes are those of the files as they lie on the disk. */
export interface RecoverProgress {
  kind: 'snapshot' | 'log'
  file: string
  /** Read of this file. */
  bytes: number
  /** Of the files before it, and of all that are to be read. */
  bytesBefore: number
  bytesTotal: number
  /** Znodes of the snapshot, transactions replayed. */
  count: number
}

export const RECOVER_DEFAULTS: RecoverOptions = {
  trustEmpty: false,
  dbAutocreate: true,
  dirAutocreate: true,
  trustFuzzy: false,
  resync: false,
  lengthMax: ENTRY_LENGTH_MAX,
  snapshot: SNAPSHOT_DEFAULTS,
  checkpoint: null,
}

export type RecoverEventKind =
  | 'emptyDatabase'
  | 'emptyLogDropped'
  | 'historyAside'
  | 'logOverlap'
  | 'partialSnapshotRemoved'
  | 'snapshotLoaded'
  | 'snapshotRejected'
  | 'snapshotUncovered'
  | 'tornTail'

/** For the server's log and metrics; `message` names the file and what was done. */
export interface RecoverEvent {
  kind: RecoverEventKind
  file: string
  /** Where in the file, if that says anything. */
  offset: number | null
  message: string
}

export interface TornTail {
  file: string
  /** The file was cut here. */
  offset: number
  bytes: number
  /** The copy of what was cut; null where there was no room for it. */
  savedAs: string | null
}

export interface Recovered {
  state: StateMachine
  /** -1: nothing is here and nothing proves that nothing ever was; the server must not vote. */
  zxidLast: Zxid
  /** -1: none. */
  snapshotZxid: Zxid
  /** That was the checkpoint, not a file. */
  fromCheckpoint: boolean
  txnsReplayed: number
  /** What reading the snapshot took, and the logs behind it. */
  snapshotMs: number
  replayMs: number
  tornTail: TornTail | null
}

/** Java looks at no more either. */
const SNAPSHOT_TRIES_MAX = 100

type Report = (event: RecoverEvent) => void

/**
 * Makes the version-2 folders, and refuses a pair of folders that was mixed up. The caller may lock them then, before
 * `recover`, which begins with the same.
 */
export async function prepareFolders(
  disk: Disk,
  dirs: DataDirs,
  dirAutocreate: boolean,
): Promise<{ snapDir: string; logDir: string }> {
  const snapDir = join(dirs.dataDir, VERSION_DIR)
  const logDir = join(dirs.dataLogDir, VERSION_DIR)
  try {
    await ensureDirs(disk, snapDir, logDir, dirAutocreate)
  } catch (err) {
    throw storageError('cannot use the data folders', err)
  }
  return { snapDir, logDir }
}

/** Reads the folders' state. Rejects with StorageError where it cannot be sure of it. */
export async function recover(
  disk: Disk,
  dirs: DataDirs,
  makeState: () => StateMachine,
  options: RecoverOptions,
  report: Report,
): Promise<Recovered> {
  const { snapDir, logDir } = await prepareFolders(disk, dirs, options.dirAutocreate)
  try {
    const aside = await historyAside(disk, { snapDir, logDir }, options, report)
    // Why it is empty has been said.
    const told: Report = (event) => (aside && event.kind === 'emptyDatabase' ? undefined : report(event))
    const trustEmptyDb = !aside && ((await takeInitializeMarker(disk, dirs)) || options.dbAutocreate)
    for (const name of await removePartialSnapshots(disk, snapDir)) {
      const file = join(snapDir, name)
      report({
        kind: 'partialSnapshotRemoved',
        file,
        offset: null,
        message: `removed a snapshot that never ended: ${file}`,
      })
    }
    return await new Recovery(disk, snapDir, logDir, makeState, options, told).run(trustEmptyDb)
  } catch (err) {
    throw storageError('cannot read the data folders', err)
  }
}

/** An error of the system as one of storage; others are what they are. */
function storageError(what: string, err: unknown): unknown {
  if (err instanceof StorageError || errorCode(err) === '' || !(err instanceof Error)) return err
  return new StorageError(`${what}: ${err.message}`, errorPath(err), null, err)
}

async function ensureDirs(disk: Disk, snapDir: string, logDir: string, dirAutocreate: boolean): Promise<void> {
  for (const dir of new Set([logDir, snapDir])) {
    if (await later<boolean>((got) => disk.isDir(dir, got))) continue
    if (!dirAutocreate) {
      throw new StorageError('missing data folder, and zookeeper.datadir.autocreate is false: create it by hand', dir)
    }
    await laterDone((done) => disk.mkdir(dir, done))
  }
  if (snapDir === logDir) return
  const logs = await later<string[]>((got) => disk.list(logDir, got))
  if (logs.some((name) => name.startsWith('snapshot.'))) {
    throw new StorageError('dataLogDir holds snapshots: check dataDir and dataLogDir', logDir)
  }
  const snapshots = await later<string[]>((got) => disk.list(snapDir, got))
  if (snapshots.some((name) => name.startsWith('log.'))) {
    throw new StorageError('dataDir holds transaction logs: check dataDir and dataLogDir', snapDir)
  }
}

/** Finishes what a repair has begun; false where there was none. */
async function historyAside(
  disk: Disk,
  folders: Folders,
  { resync }: RecoverOptions,
  report: Report,
): Promise<boolean> {
  const mark = await readMark(disk, folders.snapDir)
  if (mark === null) return false
  const file = join(folders.snapDir, MARK_NAME)
  if (mark.keep !== null) throw new StorageError('a repair has not ended here: run zoowarden repair again', file)
  if (!resync) {
    const text = `the history was set aside into ${mark.aside}, and only a leader can send another: start it as a member`
    throw new StorageError(text, file)
  }
  await moveAside(disk, folders, mark)
  const message = `the history was set aside into ${join(folders.snapDir, mark.aside)}: this server has none, and does not vote until a leader has sent it everything`
  report({ kind: 'historyAside', file, offset: null, message })
  return true
}

/** The operator's word that an empty database is meant to be one; valid once. */
async function takeInitializeMarker(disk: Disk, dirs: DataDirs): Promise<boolean> {
  const there = await removeIfThere(disk, join(dirs.dataLogDir, 'initialize'))
  if (there) await laterDone((done) => disk.syncDir(dirs.dataLogDir, done))
  return there
}

/** A snapshot file, or the checkpoint. */
interface Candidate {
  path: string
  zxid: Zxid
  /** Null for the checkpoint. */
  file: SnapshotName | null
}

/** What a loaded candidate says of itself. */
interface Loaded {
  /** The log must reach as far; null where it does not say. */
  zxidEnd: Zxid | null
  /** Of a checkpoint: what the tree must be at its end, until that was compared. */
  end: CheckpointEnd | null
}

interface Replay {
  zxidLast: Zxid
  txns: number
  /** Verdict on the last log; null where there is none. */
  last: { path: string; tail: LogTail } | null
}

class Recovery {
  private readonly disk: Disk
  private readonly snapDir: string
  private readonly logDir: string
  private readonly makeState: () => StateMachine
  private readonly options: RecoverOptions
  private readonly report: Report
  private bytesBefore: number
  private bytesTotal: number
  private snapshotMs: number

  constructor(
    disk: Disk,
    snapDir: string,
    logDir: string,
    makeState: () => StateMachine,
    options: RecoverOptions,
    report: Report,
  ) {
    this.disk = disk
    this.snapDir = snapDir
    this.logDir = logDir
    this.makeState = makeState
    this.options = options
    this.report = report
    this.bytesBefore = 0
    this.bytesTotal = 0
    this.snapshotMs = 0
  }

  async run(trustEmptyDb: boolean): Promise<Recovered> {
    const rejected: StorageError[] = []
    const candidates = await this.candidates(rejected)
    let zxidNeeded = -1
    for (const candidate of candidates) {
      const state = this.makeState()
      const reject = (err: unknown, kind: RecoverEventKind): void => {
        if (!(err instanceof StorageError)) throw err
        rejected.push(err)
        const file = err.file ?? candidate.path
        this.report({ kind, file, offset: err.offset, message: err.message })
        // A snapshot that its writer did not finish proves nothing; one that rotted does.
        if (kind === 'snapshotRejected' && !isCutShort(err)) zxidNeeded = Math.max(zxidNeeded, candidate.zxid)
      }
      let loaded: Loaded
      const startMs = this.disk.nowMs()
      try {
        loaded = await this.load(candidate, state)
      } catch (err) {
        reject(err, 'snapshotRejected')
        continue
      }
      const loadedMs = this.disk.nowMs()
      this.snapshotMs = loadedMs - startMs
      const { replay, endError } = await this.replay(state, candidate.zxid, loaded.end)
      const uncovered = this.uncovered(candidate, loaded.zxidEnd, replay.zxidLast)
      if (uncovered !== null) reject(uncovered, 'snapshotUncovered')
      else if (endError !== null) reject(endError, 'snapshotRejected')
      else {
        this.checkReach(zxidNeeded, replay.zxidLast, rejected)
        return this.settle(state, candidate, replay, this.disk.nowMs() - loadedMs)
      }
    }
    return this.withoutSnapshot(candidates, rejected, trustEmptyDb)
  }

  /** What to begin from, newest first. */
  private async candidates(rejected: StorageError[]): Promise<Candidate[]> {
    const names = snapshotNames(await later<string[]>((got) => this.disk.list(this.snapDir, got)))
    const found: Candidate[] = names
      .slice(0, SNAPSHOT_TRIES_MAX)
      .map((file) => ({ path: join(this.snapDir, file.name), zxid: file.zxid, file }))
    const { checkpoint } = this.options
    if (checkpoint === null) return found
    try {
      const zxid = await checkpoint.find()
      if (zxid === null) return found
      const at = found.findIndex((file) => file.zxid <= zxid)
      found.splice(at < 0 ? found.length : at, 0, { path: checkpoint.path, zxid, file: null })
    } catch (err) {
      if (!(err instanceof StorageError)) throw err
      rejected.push(err)
      this.report({ kind: 'snapshotRejected', file: checkpoint.path, offset: null, message: err.message })
    }
    return found
  }

  private async load({ path, zxid, file }: Candidate, state: StateMachine): Promise<Loaded> {
    const startMs = this.disk.nowMs()
    await this.measure(zxid, file === null ? null : path)
    const onRead = (bytes: number): void => this.tell('snapshot', path, bytes, state.tree.nodeCount)
    const report = (nodeCount: number): void => {
      const ms = Math.round(this.disk.nowMs() - startMs)
      const message = `${nodeCount} znodes from ${path} in ${ms} ms`
      this.report({ kind: 'snapshotLoaded', file: path, offset: null, message })
    }
    if (file === null) {
      const { checkpoint } = this.options
      this.bytesTotal += checkpoint!.fileBytes
      const { nodeCount, end } = await checkpoint!.load(state, onRead)
      this.bytesBefore = checkpoint!.fileBytes
      report(nodeCount)
      return { zxidEnd: end.zxid, end }
    }
    const target = loadInto(state)
    const summary = await readSnapshot(this.disk, this.snapDir, file, target, this.options.lengthMax, onRead)
    this.bytesBefore = await this.sizeToRead(path)
    state.tree.finishLoad()
    state.quotas.rebuild()
    state.zxidLast = zxid
    if (summary.digest !== null) state.awaitDigest(summary.digest.zxid, summary.digest.hi, summary.digest.lo)
    report(summary.nodeCount)
    return { zxidEnd: summary.zxidEnd, end: null }
  }

  /** All that is to be read if this snapshot is good. */
  private async measure(zxidFrom: Zxid, snapshotPath: string | null): Promise<void> {
    this.bytesBefore = 0
    this.bytesTotal = 0
    if (this.options.onProgress === undefined) return
    if (snapshotPath !== null) this.bytesTotal = await this.sizeToRead(snapshotPath)
    const logs = await listLogs(this.disk, this.logDir)
    for (const { name } of logs.slice(firstLogFor(logs, zxidFrom + 1))) {
      this.bytesTotal += await this.sizeToRead(join(this.logDir, name))
    }
  }

  /** 0 where nobody asks. */
  private async sizeToRead(path: string): Promise<number> {
    if (this.options.onProgress === undefined) return 0
    const file = await later<DiskFile>((got) => this.disk.open(path, 'r', got))
    try {
      return await later<number>((got) => this.disk.size(file, got))
    } finally {
      await laterDone((done) => this.disk.close(file, done))
    }
  }

  private tell(kind: RecoverProgress['kind'], file: string, bytes: number, count: number): void {
    const { bytesBefore, bytesTotal } = this
    this.options.onProgress?.({ kind, file, bytes, bytesBefore, bytesTotal, count })
  }

  /** Applies what the logs hold behind `zxidFrom`; -1: from the first record there is. */
  private async replay(
    state: StateMachine,
    zxidFrom: Zxid,
    end: CheckpointEnd | null,
  ): Promise<{ replay: Replay; endError: StorageError | null }> {
    const logs = await listLogs(this.disk, this.logDir)
    const replay: Replay = { zxidLast: zxidFrom, txns: 0, last: null }
    let endError: StorageError | null = null
    let endPending = end
    // Compared just before what lies behind: at the end itself there need not be a transaction.
    const passing = (zxid: Zxid): void => {
      if (endPending === null || zxid <= endPending.zxid) return
      endError = this.options.checkpoint!.endError(state, endPending)
      endPending = null
    }
    for (let i = firstLogFor(logs, zxidFrom + 1); i < logs.length; i++) {
      const path = join(this.logDir, logs[i]!.name)
      const tail = await this.replayFile(path, state, replay, passing)
      this.bytesBefore += await this.sizeToRead(path)
      const isLast = i === logs.length - 1
      if (tail.kind === 'damage') throw damageError(path, tail)
      if (isLast) replay.last = { path, tail }
      else if (tail.offset < LOG_HEADER_BYTES) {
        throw new StorageError('empty transaction log although later ones follow', path, 0)
      }
    }
    // Counts of a fuzzy range may have gone both ways.
    if (replay.txns > 0) state.quotas.rebuild()
    passing(Number.POSITIVE_INFINITY)
    return { replay, endError }
  }

  private async replayFile(
    path: string,
    state: StateMachine,
    replay: Replay,
    passing: (zxid: Zxid) => void,
  ): Promise<LogTail> {
    let overlapping = 0
    const zxidFirst = replay.zxidLast
    const onRead = (bytes: number): void => this.tell('log', path, bytes, replay.txns)
    const onEntry: OnLogEntry = (zxid, buf, off, end, offset) => {
      const last = replay.zxidLast
      if (zxid < 0) throw new StorageError('a record names no zxid that there is', path, offset)
      if (zxid <= last) {
        if (zxid > zxidFirst || replay.txns > 0) overlapping++
        return true
      }
      if (last >= 0 && leavesHole(last, zxid)) {
        const text = `transactions are missing between zxid 0x${zxidHex(last)} and 0x${zxidHex(zxid)}`
        throw new StorageError(text, path, offset)
      }
      passing(zxid)
      try {
        state.apply(buf, off, end)
      } catch (err) {
        if (!(err instanceof StorageError)) throw err
        throw new StorageError(`zxid 0x${zxidHex(zxid)}: ${err.message}`, path, offset, err)
      }
      replay.zxidLast = zxid
      replay.txns++
      this.options.onReplayed?.(zxid, buf, off, end)
      return true
    }
    const { tail } = await scanLog(this.disk, path, this.options.lengthMax, onEntry, onRead)
    if (overlapping > 0) {
      this.report({
        kind: 'logOverlap',
        file: path,
        offset: null,
        message: `${overlapping} transactions in ${path} came again`,
      })
    }
    if (tail === null) throw new StorageError('reading stopped early', path)
    return tail
  }

  /** The error where the log does not reach all that a fuzzy snapshot may hold. */
  private uncovered({ path }: Candidate, zxidEnd: Zxid | null, zxidLast: Zxid): StorageError | null {
    // A new leader moves the zxid to its epoch's start without a transaction.
    if (zxidEnd === null || zxidEnd <= zxidLast || counterOf(zxidEnd) === 0 || this.options.trustFuzzy) return null
    const text = `the snapshot was finished at zxid 0x${zxidHex(zxidEnd)}, but the log ends at 0x${zxidHex(zxidLast)}`
    return new StorageError(text, path)
  }

  private checkReach(zxidNeeded: Zxid, zxidLast: Zxid, rejected: StorageError[]): void {
    if (zxidNeeded <= zxidLast || counterOf(zxidNeeded) === 0) return
    const text = `a newer snapshot (zxid 0x${zxidHex(zxidNeeded)}) is damaged, and the log ends at 0x${zxidHex(zxidLast)}`
    throw new StorageError(text, rejected[0]?.file ?? null, rejected[0]?.offset ?? null, rejected[0])
  }

  private async withoutSnapshot(
    candidates: readonly Candidate[],
    rejected: StorageError[],
    trustEmptyDb: boolean,
  ): Promise<Recovered> {
    const logs = await this.dropEmptyLast(await listLogs(this.disk, this.logDir))
    const state = this.makeState()
    if (logs.length > 0) {
      if (!this.options.trustEmpty || rejected.some((err) => !isCutShort(err))) {
        const what = rejected.length > 0 ? 'No snapshot is usable' : 'No snapshot found'
        const text = `${what}, but there are log entries. Something is broken!`
        throw new StorageError(text, rejected[0]?.file ?? this.snapDir, null, rejected[0])
      }
      await this.measure(-1, null)
      const startMs = this.disk.nowMs()
      const { replay } = await this.replay(state, -1, null)
      return this.settle(state, null, replay, this.disk.nowMs() - startMs)
    }
    // A first start that was killed in its first snapshot leaves an unfinished snapshot.0 at most.
    const worst = rejected.find((err) => !isCutShort(err)) ?? rejected[0]
    if (worst !== undefined && (!isCutShort(worst) || candidates[0]!.zxid > 0)) {
      throw new StorageError('No snapshot is usable, and there is no log', worst.file, worst.offset, worst)
    }
    const isNew = trustEmptyDb && !(await this.beganCheckpoint())
    state.zxidLast = isNew ? 0 : -1
    const message = isNew
      ? `${this.snapDir} is empty: a new database begins`
      : `${this.snapDir} is unexpectedly empty: this server does not vote until a leader has brought it up to date, unless a file named initialize is put into the log's data folder`
    this.report({ kind: 'emptyDatabase', file: this.snapDir, offset: null, message })
    if (isNew) await new FileSnapshotStore(this.disk, this.snapDir, this.options.snapshot).takeSnapshot(state)
    const { zxidLast } = state
    const read = { fromCheckpoint: false, txnsReplayed: 0, snapshotMs: 0, replayMs: 0, tornTail: null }
    return { state, zxidLast, snapshotZxid: zxidLast, ...read }
  }

  /**
   * Is there a place for a checkpoint, but none in it? One from a leader may have been under way; a new database has
   * its first snapshot before that, so nobody takes this for one. A server that runs alone has nobody to ask.
   */
  private async beganCheckpoint(): Promise<boolean> {
    const { checkpoint, resync } = this.options
    if (checkpoint === null || !(await checkpoint.exists())) return false
    if (resync) return true
    const text =
      'no checkpoint is in here, and there is neither a snapshot nor a log: remove it if a new database is meant'
    throw new StorageError(text, checkpoint.path)
  }

  /** The state is good: repairs the end of the log and makes durable what was read. */
  private async settle(
    state: StateMachine,
    from: Candidate | null,
    replay: Replay,
    replayMs: number,
  ): Promise<Recovered> {
    let tornTail: TornTail | null = null
    if (replay.last !== null) tornTail = await this.repair(replay.last.path, replay.last.tail)
    if (from !== null && from.file !== null) {
      await this.syncFile(from.path)
      await laterDone((done) => this.disk.syncDir(this.snapDir, done))
    }
    return {
      state,
      zxidLast: state.zxidLast,
      snapshotZxid: from?.zxid ?? -1,
      fromCheckpoint: from !== null && from.file === null,
      txnsReplayed: replay.txns,
      snapshotMs: this.snapshotMs,
      replayMs,
      tornTail,
    }
  }

  /** The last log: a torn end is copied and cut, a file without any record is removed, the rest is synced. */
  private async repair(path: string, tail: LogTail): Promise<TornTail | null> {
    let torn: TornTail | null = null
    if (tail.kind === 'torn' && tail.offsetUsed > tail.offset) {
      const name = path.slice(path.lastIndexOf('/') + 1).replace(/^log\./, '')
      const savedAs = join(this.logDir, `${TORN_PREFIX}${name}.${tail.offset}`)
      const bytes = tail.offsetUsed - tail.offset
      const copied = await this.copyRange(path, tail.offset, tail.offsetUsed, savedAs)
      torn = { file: path, offset: tail.offset, bytes, savedAs: copied ? savedAs : null }
      const zxid = tail.zxidLast < 0 ? 'its beginning' : `zxid 0x${zxidHex(tail.zxidLast)}`
      const message = `${path}: ${tail.reason}; ${bytes} bytes behind ${zxid} cut, ${copied ? `a copy is in ${savedAs}` : 'there is no room for a copy'}`
      this.report({ kind: 'tornTail', file: path, offset: tail.offset, message })
    }
    if (tail.offset <= LOG_HEADER_BYTES) {
      await this.drop(path)
      return torn
    }
    if (torn !== null) await cutFile(this.disk, path, tail.offset)
    await this.storeAgain(path, tail.offset)
    await laterDone((done) => this.disk.syncDir(this.logDir, done))
    return torn
  }

  /** Logs that hold nothing at the end of a folder without a snapshot prove nothing. */
  private async dropEmptyLast(logs: LogName[]): Promise<LogName[]> {
    const last = logs.at(-1)
    if (last === undefined) return logs
    const path = join(this.logDir, last.name)
    const { tail } = await scanLog(this.disk, path, this.options.lengthMax, () => false)
    if (tail === null || tail.kind === 'damage' || tail.offsetUsed > LOG_HEADER_BYTES) return logs
    await this.drop(path)
    return this.dropEmptyLast(logs.slice(0, -1))
  }

  private async drop(path: string): Promise<void> {
    await removeIfThere(this.disk, path)
    await laterDone((done) => this.disk.syncDir(this.logDir, done))
    this.report({
      kind: 'emptyLogDropped',
      file: path,
      offset: null,
      message: `removed a transaction log without a record: ${path}`,
    })
  }

  /** Makes a log durable up to `end`, even if the sync of its last write has failed: no file gets another one after that. */
  private async storeAgain(path: string, end: number): Promise<void> {
    const from = Math.max(0, end - GROUP_BYTES_MAX - this.options.lengthMax - RECORD_OVERHEAD_BYTES - LOG_HEADER_BYTES)
    const bytes = new Uint8Array(end - from)
    const file = await later<DiskFile>((got) => this.disk.open(path, 'r+', got))
    try {
      await later<number>((got) => this.disk.read(file, from, bytes, 0, bytes.length, got))
      await laterDone((done) => this.disk.write(file, from, [bytes], done))
      await laterDone((done) => this.disk.sync(file, done))
    } finally {
      await laterDone((done) => this.disk.close(file, done))
    }
  }

  private async syncFile(path: string): Promise<void> {
    const file = await later<DiskFile>((got) => this.disk.open(path, 'r+', got))
    try {
      await laterDone((done) => this.disk.sync(file, done))
    } finally {
      await laterDone((done) => this.disk.close(file, done))
    }
  }

  /** For people to look at; false where there is no room for it, which is no reason not to start. */
  private async copyRange(path: string, from: number, to: number, target: string): Promise<boolean> {
    const bytes = new Uint8Array(to - from)
    const file = await later<DiskFile>((got) => this.disk.open(path, 'r', got))
    try {
      await later<number>((got) => this.disk.read(file, from, bytes, 0, bytes.length, got))
    } finally {
      await laterDone((done) => this.disk.close(file, done))
    }
    try {
      await writeSmallFile(this.disk, target, `${target}.tmp`, bytes)
      return true
    } catch (err) {
      if (!FULL_CODES.includes(errorCode(err))) throw err
      await removeIfThere(this.disk, `${target}.tmp`)
      return false
    }
  }
}
