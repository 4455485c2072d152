/** The data folders of this process: made, and taken for it alone from the first start to the end. */

import { accessSync, constants, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { StorageError } from '../../jute/errors.ts'
import { type Disk, errorCode, later, type Room } from '../../txnlog/disk.ts'
import { type FolderLock, lockFolders } from '../../txnlog/lock.ts'
import { type DataDirs, prepareFolders } from '../../txnlog/recover.ts'
import { ExitCode, ExitError } from './running.ts'

/** What the system says where it is a matter of rights. To make a folder in a file system that is read-only is ENOENT to Node. */
const DENIED: readonly string[] = ['EACCES', 'EPERM', 'EROFS', 'ENOENT']

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
      const hint = DENIED.includes(errorCode(err.cause)) ? whyNot(err.file ?? this.dirs.dataDir) : null
      const message = hint === null ? err.message : `${err.message}: ${hint}`
      throw new ExitError(ExitCode.dataDirInaccessible, message, { cause: err.cause })
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

/** Why nothing can be written in a folder, or in the nearest one above that is there; null where that cannot be seen. */
function whyNot(path: string): string | null {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
      return null
    } catch (err) {
      const code = errorCode(err)
      if (code === 'EROFS') return `${folder} is on a read-only file system`
      if (code === 'ENOENT' && folder !== dirname(folder)) continue
      return code === 'EACCES' || code === 'EPERM' ? ownerText(folder) : null
    }
  }
}

function ownerText(folder: string): string | null {
  const stats = statSync(folder, { throwIfNoEntry: false })
  if (stats === undefined) return null
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0')
  return `${folder} belongs to user ${stats.uid} (mode ${mode}), and this process is user ${process.getuid?.() ?? '?'}`
}
