/**
 * The disk of an ensemble's member: recovery, log, epochs, snapshots, truncation, and history for learners.
 *
 * All that changes files runs through one chain, one thing after the other: a truncation first waits for what was
 * appended, a snapshot from the leader for one of our own that is under way. Answers come as callbacks, never before
 * the call returns. Any failure of log or epoch file is final (`failed`): nothing is retried, and
 * whoever goes on recovers afresh.
 * Java: FileTxnSnapLog, SyncRequestProcessor, ZKDatabase.truncateLog, QuorumPeer.setCurrentEpoch.
 */

import { join } from 'node:path'
import type { StateMachine } from '../../datatree/apply.ts'
import { StorageError } from '../../jute/errors.ts'
import { type Zxid, zxidHex } from '../../jute/zxid.ts'
import { type Disk, errorCode, errorPath, later } from '../../txnlog/disk.ts'
import { loadEpochs, readEpoch, writeEpoch } from '../../txnlog/epochs.ts'
import {
  IDENTITY_NAME,
  type Identity,
  identityConflict,
  readIdentity,
  sameIdentity,
  writeIdentity,
} from '../../txnlog/identity.ts'
import type { KvHome } from '../../txnlog/kv.ts'
import { forgetHistory, LogCursor, type LogEntry, listLogs, truncateHistory } from '../../txnlog/logdir.ts'
import { firstLogFor, snapshotNames, VERSION_DIR } from '../../txnlog/names.ts'
import type { PurgeCheckpoint } from '../../txnlog/purge.ts'
import { prepareFolders, type RecoverEvent, type RecoverProgress, recover } from '../../txnlog/recover.ts'
import { asideName, isDamage, moveAside, readMark, removeMark, writeMark } from '../../txnlog/repair.ts'
import type { SnapshotWritten } from '../../txnlog/snapshotstore.ts'
import { TxnLog } from '../../txnlog/txnlog.ts'
import type { Epoch, Proposal, Quorum } from '../../zab/types.ts'
import type { Config } from '../config/config.ts'
import { canSpare, quorumOf, serversOf } from '../config/members.ts'
import { logOptions } from '../life/parts.ts'
import { SnapshotStores } from '../life/snapshotstores.ts'
import { SnapshotTrigger } from '../life/snapshottrigger.ts'
import type { Metrics } from '../report/metrics.ts'
import { StallWatch } from '../report/stallwatch.ts'

export interface MemberStorageHost {
  /** Where a checkpoint would be (snapshot.store=level); without it there can be none. */
  readonly checkpoints?: KvHome | null
  makeState(): StateMachine
  /** All up to `zxid` is on disk. */
  durable(zxid: Zxid): void
  failed(err: Error): void
  /** Milliseconds since 1970. */
  wallMs(): number
  /** Uniform in [0, 1). */
  random(): number
  log(level: 'debug' | 'info' | 'warn', fields: Record<string, unknown>, message: string): void
  /** How far a start is. */
  readonly progress?: ((progress: RecoverProgress) => void) | undefined
}

/** What recovery found. */
export interface Loaded {
  state: StateMachine
  /** -1: nothing, and it is not known that there never was anything. */
  zxidLast: Zxid
  acceptedEpoch: number
  currentEpoch: number
  /** The newest transactions replayed, oldest first, without a hole up to `zxidLast`. */
  proposals: Proposal[]
  snapshotZxid: Zxid
  txnsReplayed: number
}

const MEND =
  'the history on disk is damaged, and this member does not vote with less than it had: `mend` moves it aside, and the leader sends everything'

export type HistoryState = 'more' | 'end' | 'gap'

export class MemberStorage {
  private readonly config: Config
  private readonly disk: Disk
  private readonly host: MemberStorageHost
  private readonly metrics: Metrics
  private readonly snapDir: string
  private readonly logDir: string
  private readonly lengthMax: number
  /** The old history was set aside, and the leader's is not there yet. */
  private marked: boolean
  private hadHistory: boolean
  /** What the folder says of itself. */
  private identity: Identity | null
  private readonly stores: SnapshotStores
  private readonly trigger: SnapshotTrigger
  private txnLog: TxnLog | null
  /** The end of the chain of things done to files. */
  private chain: Promise<void>
  private readonly stallWatch: StallWatch
  private snapshotRunning: Promise<void> | null
  private closed: boolean

  constructor(config: Config, disk: Disk, metrics: Metrics, host: MemberStorageHost) {
    this.config = config
    this.disk = disk
    this.host = host
    this.metrics = metrics
    this.snapDir = join(config.dataDir, VERSION_DIR)
    this.logDir = join(config.dataLogDir, VERSION_DIR)
    this.lengthMax = config.juteMaxBufferBytes + config.juteExtraBytes
    this.marked = false
    this.hadHistory = false
    this.identity = null
    this.stores = new SnapshotStores(config, disk, this.snapDir, host.checkpoints ?? null)
    this.trigger = new SnapshotTrigger(
      config,
      () => host.random(),
      () => disk.nowMs(),
    )
    this.txnLog = null
    this.stallWatch = new StallWatch(config.fsyncWarningThresholdMs)
    this.chain = Promise.resolve()
    this.snapshotRunning = null
    this.closed = false
  }

  /**
   * Reads everything; the log may be appended to afterwards. Rejects with StorageError, also where the data is not that
   * of this member of `quorum`.
   */
  async load(quorum: Quorum): Promise<Loaded> {
    await prepareFolders(this.disk, this.config, this.config.dataDirAutocreate)
    await this.checkIdentity(quorum)
    // Who has accepted an epoch has had a snapshot, at the least: where there is nothing now, it was lost (E13).
    this.hadHistory = ((await readEpoch(this.disk, this.snapDir, 'acceptedEpoch')) ?? 0) > 0
    const { recovered, proposals } = await this.recoverOrHeal()
    await this.stores.settle(recovered, (message) => this.host.log('info', {}, message))
    this.marked = (await readMark(this.disk, this.snapDir)) !== null
    const { zxidLast } = recovered
    const epochs = await loadEpochs(this.disk, this.snapDir, zxidLast, (message) => this.host.log('warn', {}, message))
    await this.identify(quorum)
    this.trigger.replayed(recovered.txnsReplayed)
    this.metrics.addStartup(recovered)
    this.txnLog = new TxnLog(
      this.disk,
      this.logDir,
      logOptions(this.config),
      {
        onDurable: (zxid) => this.host.durable(zxid),
        onFailed: (err) => this.host.failed(err),
        onSynced: (ms) => this.metrics.basic.fsynctime.add(Math.round(ms)),
        onSlowSync: (ms, file) => {
          this.metrics.fsyncThresholdExceedCount++
          this.host.log('warn', { ms: Math.round(ms), file }, 'a sync of the transaction log was slow')
        },
      },
      zxidLast,
    )
    return {
      state: recovered.state,
      zxidLast,
      acceptedEpoch: epochs.accepted,
      currentEpoch: epochs.current,
      proposals,
      snapshotZxid: recovered.snapshotZxid,
      txnsReplayed: recovered.txnsReplayed,
    }
  }

  private async checkIdentity(quorum: Quorum): Promise<void> {
    const place = this.config.file ?? this.config.dataDir
    const adopt = `zoowarden repair --adopt ${place} keeps it, if it is right all the same; `
    const aside = `zoowarden repair ${place} sets the data aside, and the leader sends its own`
    try {
      this.identity = await readIdentity(this.disk, this.snapDir)
    } catch (err) {
      if (!isDamage(err)) throw err
      const text = `nothing says any more whose data this is. ${adopt}${aside}`
      throw new StorageError(text, join(this.snapDir, IDENTITY_NAME), err.offset, err)
    }
    if (this.identity === null) return
    const conflict = identityConflict(this.identity, this.config.serverId, serversOf(quorum))
    if (conflict === null) return
    const mend = this.identity.refused === null ? adopt + aside : aside
    throw new StorageError(`${conflict}. ${mend}`, join(this.snapDir, IDENTITY_NAME))
  }

  /** Notes whose data this is. To fail in that is no reason to fail: the next start will try again. */
  private async identify(quorum: Quorum): Promise<void> {
    const identity = { serverId: this.config.serverId!, servers: serversOf(quorum), refused: null }
    if (this.identity !== null && sameIdentity(this.identity, identity)) return
    try {
      await writeIdentity(this.disk, this.snapDir, identity)
      this.identity = identity
    } catch (err) {
      this.host.log('warn', { err }, 'cannot note whose data this is')
    }
  }

  /** The ensemble is this one from now on. */
  membersChanged(quorum: Quorum): void {
    this.enqueue(() => this.identify(quorum))
  }

  /** Nobody is to start from this data any more. Rejects with StorageError. */
  async disown(why: string): Promise<void> {
    const known = this.identity ?? { serverId: this.config.serverId!, servers: new Map() }
    await writeIdentity(this.disk, this.snapDir, { ...known, refused: why })
  }

  /**
   * Damage ends the start: with less than it had, this member would vote for a history that may lack what it has once
   * acknowledged. `autoRepair` does what the operator would be asked for.
   */
  private async recoverOrHeal() {
    try {
      return await this.recover()
    } catch (err) {
      if (!isDamage(err) || (await readMark(this.disk, this.snapDir)) !== null) throw err
      await this.heal(err)
      return this.recover()
    }
  }

  private async heal(err: StorageError): Promise<void> {
    const { config, disk } = this
    const { file, offset } = err
    if (!config.quorum.autoRepair || !canSpare(quorumOf(config.quorum.membership), config.serverId!)) {
      const mend = `zoowarden repair ${config.file ?? config.dataDir}`
      this.host.log('warn', { file, offset, mend }, MEND)
      throw err
    }
    const folders = { snapDir: this.snapDir, logDir: this.logDir }
    await this.stores.close()
    const mark = { aside: await asideName(disk, folders, this.host.wallMs()), keep: null }
    await writeMark(disk, this.snapDir, mark)
    const moves = await moveAside(disk, folders, mark)
    this.metrics.damageRepairedCount++
    const fields = { err, file, offset, aside: join(this.snapDir, mark.aside), files: moves.length }
    this.host.log('warn', fields, 'damaged history set aside (autoRepair): the leader is to send everything')
  }

  private async recover() {
    const newest: Proposal[] = []
    const keep = this.config.commitLogCount
    const options = {
      ...this.stores.recoverOptions,
      resync: true,
      dbAutocreate: this.config.dbAutocreate && !this.hadHistory,
      ...(this.host.progress === undefined || this.txnLog !== null ? {} : { onProgress: this.host.progress }),
      onReplayed: (zxid: Zxid, buf: Uint8Array, off: number, end: number): void => {
        newest.push({ zxid, bytes: buf.slice(off, end) })
        if (newest.length >= 2 * keep) newest.splice(0, newest.length - keep)
      },
    }
    const recovered = await recover(
      this.disk,
      this.config,
      () => this.host.makeState(),
      options,
      (event) => this.report(event),
    )
    return { recovered, proposals: newest.slice(-keep) }
  }

  private report({ kind, file, offset, message }: RecoverEvent): void {
    const ordinary = kind === 'snapshotLoaded' || kind === 'emptyDatabase'
    this.host.log(ordinary ? 'info' : 'warn', offset === null ? { file } : { file, offset }, message)
  }

  // ------------------------------------------------------------------ the log

  private get log(): TxnLog {
    return this.txnLog!
  }

  append(zxid: Zxid, bytes: Uint8Array): void {
    this.log.append(zxid, bytes, 0, bytes.length)
  }

  /** Now and then: a disk that hangs is told of while it does. */
  onTick(): void {
    if (this.txnLog === null) return
    const { stalledMs, currentFile } = this.txnLog
    if (!this.stallWatch.isDue(stalledMs)) return
    const fields = { ms: Math.round(stalledMs), file: currentFile }
    this.host.log('warn', fields, 'a write of the transaction log has not ended yet')
  }

  /** Starts the write of what was appended, if none is in flight. */
  flush(): void {
    this.txnLog?.flush()
  }

  /** A transaction was applied to `state` while serving: now and then that calls for a snapshot. */
  applied(zxid: Zxid, state: StateMachine): void {
    if (!this.trigger.due(this.log.bytesWritten)) return
    this.log.roll()
    if (this.snapshotRunning !== null) {
      this.host.log('warn', {}, 'too busy to snapshot: the last one is still being written')
      return
    }
    this.host.log('debug', { zxid: zxidHex(zxid) }, 'snapshot begins')
    void this.snapshot(state)
  }

  /** A checkpoint that takes the place of older files; null where files alone count. */
  get purgeable(): PurgeCheckpoint | null {
    return this.stores.purgeable
  }

  /** Writes a snapshot of the tree as it is, in slices. A failure keeps the older ones. */
  snapshot(state: StateMachine): Promise<void> {
    this.snapshotRunning ??= this.writeSnapshot(state).finally(() => {
      this.snapshotRunning = null
    })
    return this.snapshotRunning
  }

  /** A snapshot in Java's form, for who wants one; behind the one that is being written. */
  async snapshotFile(state: StateMachine): Promise<SnapshotWritten> {
    while (this.snapshotRunning !== null) await this.snapshotRunning
    const written = this.stores.files.takeSnapshot(state, (upTo, done) =>
      this.log.whenDurable(Math.min(upTo, this.log.zxidLast), done),
    )
    const end = (): void => {
      this.snapshotRunning = null
    }
    this.snapshotRunning = written.then(end, end)
    return written
  }

  private async writeSnapshot(state: StateMachine): Promise<void> {
    const startMs = this.disk.nowMs()
    const zxid = state.zxidLast
    try {
      await this.stores.store.takeSnapshot(state, (upTo, done) =>
        this.log.whenDurable(Math.min(upTo, this.log.zxidLast), done),
      )
      const ms = Math.round(this.disk.nowMs() - startMs)
      this.trigger.written()
      this.metrics.basic.snapshottime.add(ms)
      this.host.log('info', { zxid: zxidHex(zxid), ms }, 'snapshot written')
    } catch (err) {
      this.metrics.counters.snapshot_error_count++
      const fields = { err, zxid: zxidHex(zxid), nextTryMs: this.trigger.failed() }
      this.host.log('warn', fields, 'snapshot failed; the older ones and the log stay')
    }
  }

  // ------------------------------------------------------------------ what changes files, one after the other

  saveEpoch(which: Epoch, epoch: number, done: () => void): void {
    const name = which === 'accepted' ? 'acceptedEpoch' : 'currentEpoch'
    this.enqueue(async () => {
      await writeEpoch(this.disk, this.snapDir, name, epoch)
      done()
    })
  }

  /**
   * Cuts the history behind `zxid`. `state` is the tree in use; where that has seen more, the answer has a new one,
   * read from what is left. Where nothing would be left to begin from, all stays as it is, and the answer says so with
   * the zxid at which the log ends still.
   */
  truncate(zxid: Zxid, state: StateMachine, done: (zxid: Zxid, state: StateMachine) => void): void {
    this.enqueue(async () => {
      await this.leaveLog()
      await this.snapshotRunning
      if ((await this.cutHistory(zxid)) === 'uncovered') {
        const fields = { zxid: zxidHex(zxid), logDir: this.logDir }
        this.host.log('warn', fields, 'cannot cut the history there: it is not in the log, or older than all snapshots')
        done(this.log.zxidLast, state)
        return
      }
      let left = state
      if (state.zxidLast > zxid) left = (await this.recover()).recovered.state
      this.log.restart(zxid)
      done(zxid, left)
    })
  }

  /** Makes the disk recover to exactly `state`, which stands at `zxid`: the whole of what a leader sent. */
  install(state: StateMachine, zxid: Zxid, done: () => void): void {
    this.enqueue(async () => {
      await this.snapshotRunning
      await this.leaveLog()
      // First the new one, then away with the rest: a crash in between finds one history or the other.
      await this.stores.store.takeSnapshot(state)
      if ((await this.cutHistory(zxid)) === 'uncovered') {
        throw new StorageError(
          `the snapshot of zxid 0x${zxidHex(zxid)} is not there after it was written`,
          this.snapDir,
        )
      }
      await forgetHistory(this.disk, this.logDir, this.snapDir, zxid)
      if (this.marked) await removeMark(this.disk, this.snapDir)
      this.marked = false
      this.log.restart(zxid)
      this.trigger.replayed(0)
      done()
    })
  }

  private cutHistory(zxid: Zxid): Promise<'ok' | 'uncovered'> {
    return truncateHistory(this.disk, this.logDir, this.snapDir, zxid, this.lengthMax, this.stores.history)
  }

  /** Calls back when everything begun is done and what was appended is durable. */
  private leaveLog(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.log.leaveFile((err) => {
        if (err === null) resolve()
        else reject(err)
      })
    })
  }

  private enqueue(work: () => Promise<void>): void {
    this.chain = this.chain.then(async () => {
      if (this.closed || this.log.failed) return
      try {
        await work()
      } catch (err) {
        this.closed = true
        if (!this.log.failed) this.host.failed(storageError(err))
      }
    })
  }

  // ------------------------------------------------------------------ history for learners

  /** A reader of the log on disk from the last entry at or before `from`; null where that is not there or too much. */
  async openHistory(from: Zxid): Promise<HistoryReader | null> {
    const factor = this.config.quorum.snapshotSizeFactor
    const logs = await listLogs(this.disk, this.logDir)
    const first = logs[firstLogFor(logs, from)]
    if (factor < 0 || first === undefined || first.zxid > from) return null
    const zxidEnd = this.log.zxidDurable
    if (factor > 0) {
      const snapBytes = await this.newestSnapshotBytes()
      let logBytes = 0
      for (const log of logs) if (log.zxid >= first.zxid) logBytes += await this.sizeOf(join(this.logDir, log.name))
      // The file being written has padding at its end.
      if (logs.at(-1)?.name === this.log.currentFile?.split('/').at(-1)) logBytes -= this.log.paddingBytes
      if (logBytes > factor * snapBytes) return null
    }
    return new HistoryReader(new LogCursor(this.disk, this.logDir, first.zxid, zxidEnd, this.lengthMax), from)
  }

  private async newestSnapshotBytes(): Promise<number> {
    if (this.stores.checkpointBytes > 0) return this.stores.checkpointBytes
    const names = snapshotNames(await later<string[]>((got) => this.disk.list(this.snapDir, got)))
    return names.length === 0 ? 0 : this.sizeOf(join(this.snapDir, names[0]!.name))
  }

  private async sizeOf(path: string): Promise<number> {
    try {
      const file = await later<number>((got) => this.disk.open(path, 'r', got))
      try {
        return await later<number>((got) => this.disk.size(file, got))
      } finally {
        this.disk.close(file, () => {})
      }
    } catch (err) {
      if (errorCode(err) === 'ENOENT') return 0 // purged meanwhile
      throw err
    }
  }

  /** Drains what was appended and closes the log. */
  async close(): Promise<void> {
    this.closed = true
    await this.chain
    await this.snapshotRunning
    await this.stores.close()
    const log = this.txnLog
    if (log !== null) await new Promise<void>((resolve) => log.close(() => resolve()))
  }
}

/** What the system says, with the file it is about; other errors are what they are. */
function storageError(err: unknown): Error {
  if (!(err instanceof Error)) return new Error(String(err))
  if (err instanceof StorageError || errorCode(err) === '') return err
  return new StorageError(`cannot change the data folders: ${err.message}`, errorPath(err), null, err)
}

/** One learner's way through the log. */
export class HistoryReader {
  private readonly cursor: LogCursor
  /** Entries before this one are not wanted, but for the last of them. */
  private readonly from: Zxid
  private before: LogEntry | null
  private begun: boolean

  constructor(cursor: LogCursor, from: Zxid) {
    this.cursor = cursor
    this.from = from
    this.before = null
    this.begun = false
  }

  /** The next entries, some `bytes` of them. The first ones begin with the last entry at or before `from`. */
  async next(bytes: number): Promise<{ proposals: readonly Proposal[]; state: HistoryState }> {
    for (;;) {
      const entries = await this.cursor.next(bytes)
      if (entries.length === 0) {
        if (this.begun) return { proposals: [], state: 'end' }
        this.begun = true
        return this.before === null ? { proposals: [], state: 'gap' } : { proposals: [this.before], state: 'more' }
      }
      if (this.begun) return { proposals: entries, state: 'more' }
      const index = entries.findIndex((entry) => entry.zxid > this.from)
      if (index === -1) {
        this.before = entries.at(-1)!
        continue
      }
      this.begun = true
      const first = index > 0 ? entries[index - 1]! : this.before
      const proposals = entries.slice(index)
      return first === null ? { proposals: [], state: 'gap' } : { proposals: [first, ...proposals], state: 'more' }
    }
  }

  close(): Promise<void> {
    return this.cursor.close()
  }
}
