/**
 * A look into a checkpoint (levelstore.ts) that changes nothing, also beside the server that writes it.
 *
 * LevelDB lets one process in, and opening changes files. So a copy is opened, in a temporary folder. Logs are copied
 * first, the manifest next, tables last (linked, if possible: they never change). What a server does meanwhile then
 * costs the copy at most the newest batches, and such a checkpoint is as good as any; where a table has gone that the
 * manifest names, it is tried again.
 */

import { existsSync } from 'node:fs'
import { copyFile, link, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import { type Disk, errorCode } from '../txnlog/disk.ts'
import type { KvHome } from '../txnlog/kv.ts'
import { LevelHome } from '../txnlog/levelkv.ts'
import { LevelStore } from '../txnlog/levelstore.ts'
import type { DataDirs } from '../txnlog/recover.ts'

const TRIES_MAX = 5

/** Runs `use` with the checkpoint of that directory, or with null where there is none. */
export async function withCheckpoint<T>(
  disk: Disk,
  { dataDir }: DataDirs,
  use: (checkpoint: LevelStore | null) => Promise<T>,
): Promise<T> {
  const original = new LevelHome(disk, dataDir)
  if (!existsSync(original.path)) return use(null)
  const folder = await mkdtemp(join(tmpdir(), 'zoowarden-checkpoint-'))
  try {
    const copy = new LevelHome(disk, folder)
    const store = new LevelStore(named(copy, original.path), () => disk.nowMs())
    await copyWhole(original.path, copy.path, store)
    try {
      return await use(store)
    } finally {
      await store.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Errors name what the operator knows. */
function named(home: LevelHome, path: string): KvHome {
  return {
    path,
    exists: () => home.exists(),
    open: async () => {
      try {
        return await home.open()
      } catch (err) {
        if (!(err instanceof StorageError) || err.file === null) throw err
        const what = err.message.slice(0, err.message.lastIndexOf(` (${err.file}`))
        throw new StorageError(what, err.file.replace(home.path, path), err.offset, err.cause)
      }
    },
    remove: () => home.remove(),
  }
}

async function copyWhole(from: string, to: string, store: LevelStore): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await rm(to, { recursive: true, force: true })
    await mkdir(to, { recursive: true })
    try {
      await copyOnce(from, to)
      await store.find()
      return
    } catch (err) {
      await store.close()
      const again = errorCode(err) === 'ENOENT' || err instanceof StorageError
      if (!again || attempt === TRIES_MAX || !existsSync(from)) {
        // Damage is the store's to report, with what it was asked for.
        if (err instanceof StorageError) return
        throw err
      }
    }
  }
}

async function copyOnce(from: string, to: string): Promise<void> {
  const logs = (await readdir(from)).filter((name) => name.endsWith('.log'))
  for (const name of logs) await copyFile(join(from, name), join(to, name))
  const heads = (await readdir(from)).filter((name) => name === 'CURRENT' || name.startsWith('MANIFEST'))
  // CURRENT names the manifest, which must be at least as new.
  for (const name of heads.sort()) await copyFile(join(from, name), join(to, name))
  for (const name of await readdir(from))
    if (/\.(ldb|sst)$/.test(name)) await linkOrCopy(join(from, name), join(to, name))
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (err) {
    if (errorCode(err) === 'ENOENT' && !existsSync(dirname(to))) throw err
    await copyFile(from, to)
  }
}
