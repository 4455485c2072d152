/** The data folders of this process: made, and taken for it alone from the first start to the end. */

import { StorageError } from '../jute/errors.ts'
import { type Disk, later, type Room } from '../txnlog/disk.ts'
import { type FolderLock, lockFolders } from '../txnlog/lock.ts'
import { type DataDirs, prepareFolders } from '../txnlog/recover.ts'
import { ExitCode, ExitError } from './running.ts'

export class DataFolders {
  private readonly disk: Disk
  private readonly dirs: DataDirs
  private readonly autocreate: boolean
  private lock: FolderLock | null

  constructor(disk: Disk, dirs: DataDirs, autocreate: boolean) {
    this.disk = disk
    this.dirs = dirs
    this.autocreate = autocreate
    this.lock = null
  }

  /** Takes the folders, unless they are ours already. Rejects with ExitError. */
  async own(report: (message: string) => void): Promise<void> {
    if (this.lock !== null) return
    try {
      const { snapDir, logDir } = await prepareFolders(this.disk, this.dirs, this.autocreate)
      this.lock = await lockFolders([snapDir, logDir], report)
    } catch (err) {
      if (!(err instanceof StorageError)) throw err
      throw new ExitError(ExitCode.dataDirInaccessible, err.message, { cause: err })
    }
  }

  /** What is left where it is scarcest; null where the disk cannot tell. */
  async room(): Promise<Room | null> {
    const { disk, dirs } = this
    let scarcest: Room | null = null
    for (const dir of new Set([dirs.dataDir, dirs.dataLogDir])) {
      if (disk.room === undefined) return null
      const room = await later<Room>((got) => disk.room!(dir, got))
      if (scarcest === null || room.freeBytes < scarcest.freeBytes) scarcest = room
    }
    return scarcest
  }

  release(): void {
    this.lock?.release()
    this.lock = null
  }
}
