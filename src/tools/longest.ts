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
import { counterOf, leavesHole, type Zxid, zxidHex } from '../jute/zxid.ts'
import { type Disk, later } from '../txnlog/disk.ts'
import { damageError, listLogs, scanLog } from '../txnlog/logdir.ts'
import { firstLogFor, snapshotNames } from '../txnlog/names.ts'
import { readSnapshot } from '../txnlog/snapfile.ts'
import { loadInto } from '../txnlog/snapshot.ts'
import type { CheckpointSource } from '../txnlog/snapshotstore.ts'
import { logDirOf, snapDirOf, type ToolTarget, targetState } from './target.ts'

export interface LongestHistory {
  /** Stands at the last zxid that is left. */
  readonly state: StateMachine
  readonly snapshot: string
  readonly txns: number
  /** Why nothing comes behind it; null where the logs end there by themselves. */
  readonly end: string | null
}

/** A snapshot of one kind or the other. */
interface Candidate {
  readonly path: string
  readonly zxid: Zxid
  load(state: StateMachine): Promise<Loaded>
}

interface Loaded {
  /** What the log must reach; null where it does not say. */
  readonly zxidEnd: Zxid | null
  /** What is wrong with the tree at that zxid; null where nothing is. */
  endError(state: StateMachine): StorageError | null
}

/** Null where no snapshot reads. `checkpoint`: the one beside the files; null where there is none. */
export async function longestHistory(
  disk: Disk,
  target: ToolTarget,
  checkpoint: CheckpointSource | null,
  limit: Zxid,
): Promise<LongestHistory | null> {
  const candidates = await snapshotFiles(disk, target)
  if (checkpoint !== null) candidates.push(...(await checkpointOf(checkpoint)))
  candidates.sort((a, b) => b.zxid - a.zxid)
  for (const { path, zxid, load } of candidates) {
    if (zxid > limit) continue
    const state = targetState(target, () => {})
    const loaded = await load(state).catch(unreadable)
    if (loaded === null) continue
    const { txns, end, whole } = await replay(disk, target, state, loaded, limit)
    if (whole) return { state, snapshot: path, txns, end }
  }
  return null
}

async function snapshotFiles(disk: Disk, target: ToolTarget): Promise<Candidate[]> {
  const dir = snapDirOf(target)
  return snapshotNames(await later<string[]>((got) => disk.list(dir, got))).map((snapshot) => ({
    path: join(dir, snapshot.name),
    zxid: snapshot.zxid,
    async load(state) {
      const { zxidEnd } = await readSnapshot(disk, dir, snapshot, loadInto(state), target.recover.lengthMax)
      state.tree.finishLoad()
      state.quotas.rebuild()
      state.zxidLast = snapshot.zxid
      return { zxidEnd, endError: () => null }
    },
  }))
}

async function checkpointOf(checkpoint: CheckpointSource): Promise<Candidate[]> {
  const zxid = await checkpoint.find().catch(unreadable)
  if (zxid === null) return []
  const load = async (state: StateMachine): Promise<Loaded> => {
    const { end } = await checkpoint.load(state)
    return { zxidEnd: end.zxid, endError: (reached) => checkpoint.endError(reached, end) }
  }
  return [{ path: checkpoint.path, zxid, load }]
}

function unreadable(err: unknown): null {
  if (err instanceof StorageError) return null
  throw err
}

/** `whole`: the log reaches all that may be in the snapshot, and the tree was right there. */
async function replay(
  disk: Disk,
  target: ToolTarget,
  state: StateMachine,
  { zxidEnd, endError }: Loaded,
  limit: Zxid,
): Promise<{ txns: number; end: string | null; whole: boolean }> {
  const dir = logDirOf(target)
  const logs = await listLogs(disk, dir)
  let txns = 0
  let end: string | null = null
  let whole: boolean | null = null
  const passing = (zxid: Zxid): void => {
    if (whole === null && (zxidEnd === null || zxid > zxidEnd)) whole = endError(state) === null
  }
  for (let i = firstLogFor(logs, state.zxidLast + 1); i < logs.length && end === null; i++) {
    const path = join(dir, logs[i]!.name)
    const { tail } = await scanLog(disk, path, target.recover.lengthMax, (zxid, buf, off, entryEnd, offset) => {
      const last = state.zxidLast
      if (zxid <= last) return true
      if (zxid > limit) end = `0x${zxidHex(zxid)} is behind the one asked for`
      else if (leavesHole(last, zxid)) {
        end = `transactions are missing behind 0x${zxidHex(last)} (${path} at byte ${offset})`
      } else {
        passing(zxid)
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
  // A new leader moves the zxid to its epoch's start without a transaction.
  const reaches = zxidEnd === null || zxidEnd <= state.zxidLast || counterOf(zxidEnd) === 0
  if (whole === null) whole = reaches && endError(state) === null
  if (txns > 0) state.quotas.rebuild()
  return { txns, end, whole }
}
