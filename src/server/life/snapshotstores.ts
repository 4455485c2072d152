/**
 * Where snapshots go (`snapshot.store`): files in Java's format, or a checkpoint that only takes what has changed.
 *
 * Whatever is configured now, a start reads what an earlier configuration has left: the newest of both, by zxid. With
 * `level` the file snapshots stay until they are purged, and the first checkpoint is a whole one. With `file` the state
 * of a checkpoint is written as a file before anyone is served, and the checkpoint is removed then, so that nothing
 * that cuts history later has to think of it.
 */

import { assert } from '../../jute/assert.ts'
import { StorageError } from '../../jute/errors.ts'
import type { Disk } from '../../txnlog/disk.ts'
import { FileSnapshotStore } from '../../txnlog/filestore.ts'
import type { KvHome } from '../../txnlog/kv.ts'
import { LevelStore } from '../../txnlog/levelstore.ts'
import type { PurgeCheckpoint } from '../../txnlog/purge.ts'
import type { Recovered, RecoverOptions } from '../../txnlog/recover.ts'
import { type CheckpointHistory, NO_CHECKPOINT, type SnapshotStore } from '../../txnlog/snapshotstore.ts'
import type { Config } from '../config/config.ts'
import { recoverOptions, snapshotOptions } from './parts.ts'

export class SnapshotStores {
  /** Where new ones go. */
  readonly store: SnapshotStore
  /** Java's form, whatever is configured. */
  readonly files: FileSnapshotStore
  private readonly config: Config
  /** Null where there can be none. */
  private readonly checkpoint: LevelStore | null

  /** `home` is where a checkpoint would be; null: there can be none. */
  constructor(config: Config, disk: Disk, snapDir: string, home: KvHome | null) {
    this.config = config
    this.files = new FileSnapshotStore(disk, snapDir, snapshotOptions(config))
    this.checkpoint = home === null ? null : new LevelStore(home, () => disk.nowMs())
    const wanted = config.snapshotStore === 'level' ? this.checkpoint : this.files
    assert(wanted !== null, 'snapshot.store=level without a place for it')
    this.store = wanted
  }

  private get inUse(): LevelStore | null {
    return this.store === this.files ? null : this.checkpoint
  }

  get recoverOptions(): RecoverOptions {
    return { ...recoverOptions(this.config), checkpoint: this.checkpoint }
  }

  /** For what cuts history. */
  get history(): CheckpointHistory {
    return this.inUse ?? NO_CHECKPOINT
  }

  /** For what removes old history; null where files alone count, and before the first checkpoint. */
  get purgeable(): PurgeCheckpoint | null {
    return this.inUse !== null && this.inUse.zxid >= 0 ? this.inUse : null
  }

  /** What the newest checkpoint would take as a file; 0 where there is none and files are what counts. */
  get checkpointBytes(): number {
    return this.inUse?.fileBytes ?? 0
  }

  /**
   * After recovery, before anybody is served: does away with a checkpoint where files are wanted. Rejects with
   * StorageError where checkpoints are wanted and cannot be had: the first one is due only after `snapCount` writes.
   */
  async settle({ state, fromCheckpoint }: Recovered, info: (message: string) => void): Promise<void> {
    const { checkpoint, files } = this
    await this.inUse?.available()
    if (checkpoint === null || this.inUse !== null || !(await checkpoint.exists())) return
    if (fromCheckpoint) {
      await files.takeSnapshot(state)
      state.tree.changes = null
    } else if (!(await isReadable(checkpoint))) {
      return // Recovery has said so; it may yet be wanted for a look.
    }
    await checkpoint.remove()
    info(`snapshot.store=file: a snapshot file has all that was in ${checkpoint.path}, which was removed`)
  }

  /** Nothing is open afterwards; what comes next opens it again. */
  async close(): Promise<void> {
    await this.checkpoint?.close()
  }
}

async function isReadable(checkpoint: LevelStore): Promise<boolean> {
  try {
    await checkpoint.find()
    return true
  } catch (err) {
    if (err instanceof StorageError) return false
    throw err
  }
}
