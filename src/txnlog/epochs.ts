/**
 * The two epoch files of a quorum member: `acceptedEpoch` (the highest epoch whose leader we promised to follow) and
 * `currentEpoch` (the epoch of our history). One decimal number each, beside the snapshots.
 *
 * A file is written aside, synced and renamed, so that after a crash the old or the new number is there. What a crash
 * between the two leaves is repaired upwards only, and only from what is proven: a logged transaction of an epoch
 * proves that this server belonged to it; a current epoch proves that it was accepted. A higher promise than needed is
 * always safe. Java: QuorumPeer.loadDataBase, readEpochFromFile, setCurrentEpoch; it refuses where we repair
 * (ZOOKEEPER-1653, 2307).
 */

import { join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import { EPOCH_LIMIT, epochOf, type Zxid } from '../jute/zxid.ts'
import { type Disk, readSmallFile, writeSmallFile } from './disk.ts'

export type EpochName = 'acceptedEpoch' | 'currentEpoch'

export interface Epochs {
  accepted: number
  current: number
}

/** The number in the file; null where there is no file. Rejects with StorageError for anything but a number. */
export async function readEpoch(disk: Disk, snapDir: string, name: string): Promise<number | null> {
  const path = join(snapDir, name)
  const bytes = await readSmallFile(disk, path)
  if (bytes === null) return null
  const line = new TextDecoder().decode(bytes).split(/\r?\n/)[0]!
  const epoch = /^[+-]?\d{1,10}$/.test(line) ? Number(line) : Number.NaN
  if (!(epoch >= 0 && epoch < EPOCH_LIMIT)) {
    throw new StorageError(`not an epoch: ${JSON.stringify(line.slice(0, 40))}`, path, 0)
  }
  return epoch
}

/** Durable when it resolves. */
export async function writeEpoch(disk: Disk, snapDir: string, name: EpochName, epoch: number): Promise<void> {
  const path = join(snapDir, name)
  const bytes = new TextEncoder().encode(String(epoch))
  try {
    await writeSmallFile(disk, path, `${path}.tmp`, bytes)
  } catch (err) {
    if (!(err instanceof Error)) throw err
    throw new StorageError(`cannot write an epoch: ${err.message}`, path, null, err)
  }
}

/**
 * The epochs at start, made consistent with each other and with the end of the log, on disk too. `report` gets a
 * sentence for each repair that is not just the first start.
 */
export async function loadEpochs(
  disk: Disk,
  snapDir: string,
  zxidLast: Zxid,
  report: (message: string) => void,
): Promise<Epochs> {
  const epochLogged = zxidLast < 0 ? 0 : epochOf(zxidLast)
  const currentRead = await readEpoch(disk, snapDir, 'currentEpoch')
  let current = currentRead ?? epochLogged
  if (epochLogged > current) {
    report(`currentEpoch is ${current}, but the log ends in epoch ${epochLogged}: raised`)
    current = epochLogged
  }
  const acceptedRead = await readEpoch(disk, snapDir, 'acceptedEpoch')
  let accepted = acceptedRead ?? current
  if (accepted < current) {
    report(`acceptedEpoch is ${accepted}, below the current epoch ${current}: raised`)
    accepted = current
  }
  // Accepted first: a crash in between leaves the order right.
  if (accepted !== acceptedRead) await writeEpoch(disk, snapDir, 'acceptedEpoch', accepted)
  if (current !== currentRead) await writeEpoch(disk, snapDir, 'currentEpoch', current)
  return { accepted, current }
}
