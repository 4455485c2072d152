/**
 * `zoowarden snapshot export`: the checkpoint of a data directory as a snapshot in Java's format.
 *
 * A checkpoint is fuzzy, so the log is applied to it at least up to its end, and the result is a still picture; what it
 * says of itself must hold then. With `log` all of the log is applied, as a start would.
 */

import { existsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { StateMachine } from '../datatree/apply.ts'
import { StorageError } from '../jute/errors.ts'
import { counterOf, leavesHole, type Zxid, zxidHex } from '../jute/zxid.ts'
import { type Disk, laterDone } from '../txnlog/disk.ts'
import { FileSnapshotStore } from '../txnlog/filestore.ts'
import { LogCursor } from '../txnlog/logdir.ts'
import { snapshotName } from '../txnlog/names.ts'
import type { CheckpointLoaded } from '../txnlog/snapshotstore.ts'
import { withCheckpoint } from './checkpointcopy.ts'
import { digestText, logDirOf, snapDirOf, type ToolTarget, targetState } from './target.ts'
import { type Terminal, UsageError } from './terminal.ts'

export interface SnapshotExported {
  readonly path: string
  readonly zxid: Zxid
  readonly znodeCount: number
  readonly digest: string
}

const READ_BYTES = 4 * 1024 * 1024

/** `out` is a folder, for a file with Java's name, or the name of a new file. */
export function exportSnapshot(
  disk: Disk,
  target: ToolTarget,
  out: string,
  options: { readonly log: boolean },
  terminal: Terminal,
): Promise<SnapshotExported> {
  return withCheckpoint(disk, target, async (checkpoint) => {
    if (checkpoint === null || (await checkpoint.find()) === null) {
      throw new StorageError('there is no checkpoint here (snapshot.store=level makes one)', snapDirOf(target))
    }
    terminal.progress('loading the checkpoint')
    const state = targetState(target, () => {})
    const loaded = await checkpoint.load(state)
    terminal.progress('replaying the log')
    const check = (): void => {
      const error = checkpoint.endError(state, loaded.end)
      if (error !== null) throw error
    }
    await replay(disk, target, state, loaded, options.log ? Number.MAX_SAFE_INTEGER : loaded.end.zxid, check)
    state.tree.changes = null
    terminal.progress('writing the snapshot')
    const path = await write(disk, target, state, resolve(out))
    terminal.progress(null)
    const { tree, zxidLast } = state
    const digest = digestText(tree.digestHi, tree.digestLo)
    return { path, zxid: zxidLast, znodeCount: tree.nodeCount, digest }
  })
}

/** Applies the log up to `zxidEnd`; `check` is called when the checkpoint's end is reached. */
async function replay(
  disk: Disk,
  target: ToolTarget,
  state: StateMachine,
  { zxid, end }: CheckpointLoaded,
  zxidEnd: Zxid,
  check: () => void,
): Promise<void> {
  const cursor = new LogCursor(disk, logDirOf(target), zxid + 1, zxidEnd, target.recover.lengthMax)
  let last = zxid
  let checked = false
  try {
    for (;;) {
      const entries = await cursor.next(READ_BYTES)
      if (entries.length === 0) break
      for (const entry of entries) {
        if (leavesHole(last, entry.zxid)) {
          const text = `transactions are missing between zxid 0x${zxidHex(last)} and 0x${zxidHex(entry.zxid)}`
          throw new StorageError(text, logDirOf(target))
        }
        if (!checked && entry.zxid > end.zxid) check()
        checked ||= entry.zxid > end.zxid
        state.apply(entry.bytes, 0, entry.bytes.length)
        last = entry.zxid
      }
    }
  } finally {
    await cursor.close()
  }
  if (last < end.zxid && counterOf(end.zxid) !== 0) {
    const text = `the checkpoint may hold changes up to zxid 0x${zxidHex(end.zxid)}, but the log ends at 0x${zxidHex(last)}`
    throw new StorageError(text, logDirOf(target))
  }
  if (!checked) check()
  // A leader's epoch may have begun without a transaction.
  state.zxidLast = Math.max(state.zxidLast, end.zxid)
  state.quotas.rebuild()
}

async function write(disk: Disk, target: ToolTarget, state: StateMachine, out: string): Promise<string> {
  const { snapshot } = target.recover
  const isFolder = existsSync(out) && statSync(out).isDirectory()
  const folder = isFolder ? out : dirname(out)
  const path = isFolder ? join(out, snapshotName(state.zxidLast, snapshot.compression)) : out
  if (existsSync(path)) throw new UsageError(`${path} is there already`)
  const written = await new FileSnapshotStore(disk, folder, snapshot).takeSnapshot(state)
  if (written.path !== path) await laterDone((done) => disk.rename(written.path, path, done))
  return path
}
