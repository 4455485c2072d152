/**
 * What the server asks of a place for snapshots, whatever its form: Java's files (filestore.ts), or an incremental
 * checkpoint (levelstore.ts).
 *
 * Fuzzy is the one rule of both: written in slices from the live tree, a snapshot begun at `zxid` holds changes up to
 * `zxidEnd` in places, and is worth something only with a log that reaches as far. Hence `whenDurable`.
 */

import type { StateMachine } from '../datatree/apply.ts'
import type { StorageError } from '../jute/errors.ts'
import type { Zxid } from '../jute/zxid.ts'
import type { CheckpointEnd } from './checkpointformat.ts'
import type { Done } from './disk.ts'

export interface SnapshotWritten {
  /** Replay begins behind it. */
  zxid: Zxid
  /** The last zxid that may be in it. */
  zxidEnd: Zxid
  path: string
  nodeCount: number
  /** Written for it. */
  bytes: number
}

/** Calls back once the log is durable up to a zxid, or has failed (TxnLog). */
export type WhenDurable = (zxid: Zxid, done: Done) => void

export interface SnapshotStore {
  /**
   * Writes one from beginning to end, giving the loop back between slices; one at a time. Rejects with StorageError;
   * what was there before is as good as it was then.
   */
  takeSnapshot(state: StateMachine, whenDurable?: WhenDurable): Promise<SnapshotWritten>
  close(): Promise<void>
}

/** What a checkpoint beside the files means to those who cut or remove history. */
export interface CheckpointHistory {
  /** Where replay begins, if nothing in it is newer than `zxid`; -1 otherwise, and where there is none. */
  zxidUpTo(zxid: Zxid): Promise<Zxid>
  /** Removes it, durably, if something in it may be newer than `zxid`. */
  dropNewerThan(zxid: Zxid): Promise<void>
}

export const NO_CHECKPOINT: CheckpointHistory = {
  zxidUpTo: () => Promise.resolve(-1),
  dropNewerThan: () => Promise.resolve(),
}

export interface CheckpointLoaded {
  /** Replay begins behind it. */
  zxid: Zxid
  nodeCount: number
  /** The log must reach as far, and what the tree must be then. */
  end: CheckpointEnd
}

/** A checkpoint beside the files, for recovery. Rejects with StorageError for a damaged one. */
export interface CheckpointSource {
  /** As an operator would name it. */
  readonly path: string
  /** There is a place for one. */
  exists(): Promise<boolean>
  /** Where replay would begin; null where there is none. */
  find(): Promise<Zxid | null>
  /** What it would take as a file, about; 0 before `find`. */
  readonly fileBytes: number
  /** Fills a state, whatever was in it. There must be one. `onRead` is told how many bytes were read, now and then. */
  load(state: StateMachine, onRead?: (bytes: number) => void): Promise<CheckpointLoaded>
  /** What is wrong with a tree to which the log was applied up to the end of the checkpoint; null where nothing is. */
  endError(state: StateMachine, end: CheckpointEnd): StorageError | null
}
