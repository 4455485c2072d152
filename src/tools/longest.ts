/**
 * The longest history that damaged files still hold, up to a zxid: the newest snapshot that reads, and the transactions
 * behind it as far as they come without a hole or damage.
 *
 * What a server would refuse to guess, an operator may ask for. A fuzzy snapshot whose log no longer reaches what it may
 * hold is passed over where an older one is left: else its tree would be one that never was.
 */

import { join } from 'node:path'
import type { StateMachine } from '../datatree/apply.ts'
import { StorageError } from '../jute/errors.ts'
import { counterOf, epochOf, type Zxid, zxidHex } from '../jute/zxid.ts'
import { type Disk, later } from '../txnlog/disk.ts'
import { damageError, listLogs, scanLog } from '../txnlog/logdir.ts'
import { firstLogFor, type SnapshotName, snapshotNames } from '../txnlog/names.ts'
import { readSnapshot } from '../txnlog/snapfile.ts'
import { loadInto } from '../txnlog/snapshot.ts'
import { logDirOf, snapDirOf, type ToolTarget, targetState } from './target.ts'

export interface LongestHistory {
  /** Stands at the last zxid that is left. */
  readonly state: StateMachine
  readonly snapshot: string
  readonly txns: number
  /** Why nothing comes behind it; null where the logs end there by themselves. */
  readonly end: string | null
}

/** Null where no snapshot reads. */
export async function longestHistory(disk: Disk, target: ToolTarget, limit: Zxid): Promise<LongestHistory | null> {
  const names = snapshotNames(await later<string[]>((got) => disk.list(snapDirOf(target), got)))
  for (const snapshot of names) {
    if (snapshot.zxid > limit) continue
    const loaded = await load(disk, target, snapshot)
    if (loaded === null) continue
    const { txns, end } = await replay(disk, target, loaded.state, limit)
    const { zxidEnd } = loaded
    if (zxidEnd !== null && zxidEnd > loaded.state.zxidLast && counterOf(zxidEnd) !== 0) continue
    return { state: loaded.state, snapshot: join(snapDirOf(target), snapshot.name), txns, end }
  }
  return null
}

async function load(
  disk: Disk,
  target: ToolTarget,
  snapshot: SnapshotName,
): Promise<{ state: StateMachine; zxidEnd: Zxid | null } | null> {
  const state = targetState(target, () => {})
  try {
    const summary = await readSnapshot(disk, snapDirOf(target), snapshot, loadInto(state), target.recover.lengthMax)
    state.tree.finishLoad()
    state.quotas.rebuild()
    state.zxidLast = snapshot.zxid
    return { state, zxidEnd: summary.zxidEnd }
  } catch (err) {
    if (!(err instanceof StorageError)) throw err
    return null
  }
}

async function replay(
  disk: Disk,
  target: ToolTarget,
  state: StateMachine,
  limit: Zxid,
): Promise<{ txns: number; end: string | null }> {
  const dir = logDirOf(target)
  const logs = await listLogs(disk, dir)
  let txns = 0
  let end: string | null = null
  for (let i = firstLogFor(logs, state.zxidLast + 1); i < logs.length && end === null; i++) {
    const path = join(dir, logs[i]!.name)
    const { tail } = await scanLog(disk, path, target.recover.lengthMax, (zxid, buf, off, entryEnd, offset) => {
      const last = state.zxidLast
      if (zxid <= last) return true
      if (zxid > limit) end = `0x${zxidHex(zxid)} is behind the one asked for`
      else if (zxid !== last + 1 && epochOf(zxid) === epochOf(last)) {
        end = `transactions are missing behind 0x${zxidHex(last)} (${path} at byte ${offset})`
      } else {
        try {
          state.apply(buf, off, entryEnd)
          txns++
          return true
        } catch (err) {
          if (!(err instanceof StorageError)) throw err
          end = `${err.message} (${path} at byte ${offset})`
        }
      }
      return false
    })
    if (tail?.kind === 'damage') end = damageError(path, tail).message
  }
  if (txns > 0) state.quotas.rebuild()
  return { txns, end }
}
