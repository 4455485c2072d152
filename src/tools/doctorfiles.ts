/** The doctor's look at each file: what a log holds, and whether a snapshot is what its seals and its digest say. */

import { join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import { counterOf, epochOf, leavesHole, type Zxid } from '../jute/zxid.ts'
import { type Disk, type DiskFile, later, laterDone } from '../txnlog/disk.ts'
import { LogCursor, listLogs, scanLog } from '../txnlog/logdir.ts'
import type { LogTail } from '../txnlog/logfile.ts'
import { type SnapshotName, snapshotNames } from '../txnlog/names.ts'
import { readSnapshot } from '../txnlog/snapfile.ts'
import { loadInto, type SnapshotSummary } from '../txnlog/snapshot.ts'
import { digestText, logDirOf, snapDirOf, type ToolTarget, targetState } from './target.ts'
import type { Terminal } from './terminal.ts'

export interface LogReport {
  readonly path: string
  /** Of the file, padding included. */
  readonly bytes: number
  readonly txns: number
  /** -1 where it holds none. */
  readonly zxidFirst: Zxid
  readonly tail: LogTail
  /** Holes in the numbers of one epoch, the one before the first record included. */
  readonly gaps: readonly { before: Zxid; zxid: Zxid; offset: number }[]
  readonly isLast: boolean
}

export interface SnapshotReport {
  readonly path: string
  readonly zxid: Zxid
  readonly bytes: number
  /** Why it is none; null for a good one. */
  readonly error: string | null
  readonly summary: SnapshotSummary | null
  readonly digest: DigestReport
}

export interface DigestReport {
  /** 'none': it has no digest. 'open': the log that would complete a fuzzy one is not there. */
  readonly verdict: 'equal' | 'differs' | 'none' | 'open'
  readonly sealed: string | null
  readonly computed: string | null
}

const READ_AHEAD_BYTES = 1024 * 1024
const NO_DIGEST: DigestReport = { verdict: 'none', sealed: null, computed: null }

export async function examineLogs(disk: Disk, target: ToolTarget, terminal: Terminal): Promise<LogReport[]> {
  const dir = logDirOf(target)
  const logs = await listLogs(disk, dir)
  const reports: LogReport[] = []
  let zxidLast = -1
  for (const { name } of logs) {
    terminal.progress(`reading ${name}`)
    const path = join(dir, name)
    const gaps: { before: Zxid; zxid: Zxid; offset: number }[] = []
    let txns = 0
    let zxidFirst = -1
    const { tail, fileBytes } = await scanLog(
      disk,
      path,
      target.recover.lengthMax,
      (zxid, _buf, _off, _end, offset) => {
        if (zxidLast >= 0 && zxid > zxidLast && leavesHole(zxidLast, zxid)) {
          gaps.push({ before: zxidLast, zxid, offset })
        }
        if (txns++ === 0) zxidFirst = zxid
        zxidLast = Math.max(zxidLast, zxid)
        return true
      },
    )
    reports.push({ path, bytes: fileBytes, txns, zxidFirst, tail: tail!, gaps, isLast: name === logs.at(-1)!.name })
  }
  terminal.progress(null)
  return reports
}

/** Newest first. */
export async function examineSnapshots(disk: Disk, target: ToolTarget, terminal: Terminal): Promise<SnapshotReport[]> {
  const dir = snapDirOf(target)
  const names = await later<string[]>((got) => disk.list(dir, got))
  const reports: SnapshotReport[] = []
  for (const snapshot of snapshotNames(names)) {
    terminal.progress(`reading ${snapshot.name}`)
    reports.push(await examineSnapshot(disk, target, snapshot))
  }
  terminal.progress(null)
  return reports
}

async function examineSnapshot(disk: Disk, target: ToolTarget, snapshot: SnapshotName): Promise<SnapshotReport> {
  const path = join(snapDirOf(target), snapshot.name)
  const { zxid } = snapshot
  const bytes = await sizeOf(disk, path)
  const state = targetState(target, () => {})
  try {
    const summary = await readSnapshot(disk, snapDirOf(target), snapshot, loadInto(state), target.recover.lengthMax)
    state.tree.finishLoad()
    state.zxidLast = zxid
    const { digest } = summary
    // The first snapshot of an empty database is sealed with a zero; a new leader's older zxid says nothing either.
    if (digest === null || digest.zxid === 0 || digest.zxid < zxid)
      return { path, zxid, bytes, error: null, summary, digest: NO_DIGEST }
    const sealed = digestText(digest.hi, digest.lo)
    const complete = await applyUpTo(disk, target, digest.zxid, (buf) => state.apply(buf, 0, buf.length), zxid)
    const computed = complete ? digestText(state.tree.digestHi, state.tree.digestLo) : null
    const verdict = computed === null ? 'open' : computed === sealed ? 'equal' : 'differs'
    return { path, zxid, bytes, error: null, summary, digest: { verdict, sealed, computed } }
  } catch (err) {
    if (!(err instanceof StorageError)) throw err
    return { path, zxid, bytes, error: err.message, summary: null, digest: NO_DIGEST }
  }
}

/** Applies what the log has behind `zxidFrom` up to `zxidTo`. False where it does not have all of it. */
async function applyUpTo(
  disk: Disk,
  target: ToolTarget,
  zxidTo: Zxid,
  apply: (entry: Uint8Array) => void,
  zxidFrom: Zxid,
): Promise<boolean> {
  let zxidLast = zxidFrom
  const cursor = new LogCursor(disk, logDirOf(target), zxidFrom + 1, zxidTo, target.recover.lengthMax)
  try {
    while (zxidLast < zxidTo) {
      const entries = await cursor.next(READ_AHEAD_BYTES)
      if (entries.length === 0) break
      for (const { zxid, bytes } of entries) {
        if (leavesHole(zxidLast, zxid)) return false
        apply(bytes)
        zxidLast = zxid
      }
    }
  } catch (err) {
    // Damage in a log is reported where the logs are.
    if (err instanceof StorageError) return false
    throw err
  } finally {
    await cursor.close()
  }
  // A new leader begins its epoch without a transaction.
  return zxidLast === zxidTo || (counterOf(zxidTo) === 0 && epochOf(zxidTo) > epochOf(zxidLast))
}

async function sizeOf(disk: Disk, path: string): Promise<number> {
  const file = await later<DiskFile>((got) => disk.open(path, 'r', got))
  const bytes = await later<number>((got) => disk.size(file, got))
  await laterDone((done) => disk.close(file, done))
  return bytes
}
