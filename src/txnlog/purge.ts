/**
 * Removes snapshots and logs that nobody needs. Java: PurgeTxnLog, DatadirCleanupManager.
 *
 * The newest `retain` snapshots that really verify are kept, with the logs that lead on from the oldest of them: all
 * logs named at or above its zxid, and the newest one below, which may reach across. Java counts files that merely end
 * like a snapshot; three damaged ones would then take the last good one with them (ZOOKEEPER-3231). Without any that
 * verifies nothing is removed.
 *
 * The copies of torn tails (recover.ts) go with the logs that they were cut from.
 *
 * A checkpoint (levelstore.ts) that verifies takes the place of all older snapshots: they go, with the logs behind
 * which it begins. It is the only one of its kind, and would otherwise keep all logs since the last snapshot file.
 */

import { join } from 'node:path'
import { assert } from '../jute/assert.ts'
import { StorageError } from '../jute/errors.ts'
import type { Zxid } from '../jute/zxid.ts'
import { type Disk, later, laterDone, removeIfThere } from './disk.ts'
import { ENTRY_LENGTH_MAX } from './logdir.ts'
import { logNames, type SnapshotName, snapshotNames, VERSION_DIR, zxidOfName, zxidOfTorn } from './names.ts'
import type { DataDirs } from './recover.ts'
import { readSnapshot } from './snapfile.ts'
import { loadNowhere } from './snapshot.ts'

/** Java keeps no fewer, whatever it is told. */
export const RETAIN_COUNT_MIN = 3

/** A checkpoint in use. */
export interface PurgeCheckpoint {
  /** Where replay begins. */
  readonly zxid: Zxid
  /** Reads all of it. */
  verify(): Promise<boolean>
}

export interface Purged {
  /** Files removed, with their folder. */
  removed: string[]
  /** Snapshots that do not verify. Those above the oldest kept stay, for a human to look at. */
  rejected: string[]
  /** All from here on can be restored; -1 where nothing verifies. */
  zxidOldest: Zxid
}

/**
 * `verified` is the caller's memory of snapshots that are known to be good (a set of file names; those found good are
 * added), so that a periodic purge reads each file once.
 */
export async function purge(
  disk: Disk,
  dirs: DataDirs,
  retain: number,
  verified: Set<string> = new Set(),
  lengthMax = ENTRY_LENGTH_MAX,
  checkpoint: PurgeCheckpoint | null = null,
): Promise<Purged> {
  assert(retain >= RETAIN_COUNT_MIN, `at least ${RETAIN_COUNT_MIN} snapshots are kept`)
  const snapDir = join(dirs.dataDir, VERSION_DIR)
  const logDir = join(dirs.dataLogDir, VERSION_DIR)
  // Logs are listed first: one that begins meanwhile is newer than anything removed.
  const logDirNames = await later<string[]>((got) => disk.list(logDir, got))
  const logs = logNames(logDirNames)
  const names = await later<string[]>((got) => disk.list(snapDir, got))
  const purged: Purged = { removed: [], rejected: [], zxidOldest: -1 }
  let kept = 0
  // As it is now: it may go on meanwhile.
  const zxidCheckpoint = checkpoint?.zxid ?? -1
  for (const snapshot of snapshotNames(names)) {
    if (kept === retain) break
    if (!verified.has(snapshot.name) && !(await verifies(disk, snapDir, snapshot, lengthMax))) {
      purged.rejected.push(join(snapDir, snapshot.name))
      continue
    }
    verified.add(snapshot.name)
    purged.zxidOldest = snapshot.zxid
    kept++
  }
  if (zxidCheckpoint > purged.zxidOldest && (await checkpoint!.verify())) purged.zxidOldest = zxidCheckpoint
  const oldest = purged.zxidOldest
  if (oldest < 0) return purged

  // Also what only Java takes for a snapshot, such as its left-over .tmp files.
  const snapshots = names.filter((name) => {
    const zxid = zxidOfName(name, 'snapshot')
    return zxid >= 0 && zxid < oldest
  })
  const bridge = logs.findLast((log) => log.zxid <= oldest)
  const isOld = (zxid: Zxid): boolean => zxid >= 0 && zxid < oldest && zxid !== bridge?.zxid
  const oldLogs = logs.filter(({ zxid }) => isOld(zxid)).map(({ name }) => name)
  const torn = logDirNames.filter((name) => isOld(zxidOfTorn(name)))
  // Logs go oldest first, so that what a crash leaves has no hole.
  for (const [dir, old] of [
    [snapDir, snapshots],
    [logDir, [...oldLogs, ...torn]],
  ] as const) {
    for (const name of old) {
      const path = join(dir, name)
      if (await removeIfThere(disk, path)) purged.removed.push(path)
      verified.delete(name)
    }
    if (old.length > 0) await laterDone((done) => disk.syncDir(dir, done))
  }
  return purged
}

async function verifies(disk: Disk, snapDir: string, snapshot: SnapshotName, lengthMax: number): Promise<boolean> {
  try {
    await readSnapshot(disk, snapDir, snapshot, loadNowhere(), lengthMax)
    return true
  } catch (err) {
    if (err instanceof StorageError) return false
    throw err
  }
}
