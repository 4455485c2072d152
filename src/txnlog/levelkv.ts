/**
 * The checkpoint database in a folder of its own: the package `level`, which is LevelDB. Its only user.
 *
 * The package is loaded when such a folder is first opened, so a server with snapshot files never loads it, and runs
 * where it could not be installed.
 *
 * What LevelDB 1.20 promises, and what is done about the rest. A batch is one checksummed record of its write-ahead
 * log: whole or not there. A `sync` write makes the current log durable, but neither an older log whose memtable is
 * still being written out, nor the name of a new log in its folder; hence `flush` has the memtable written out (a
 * compaction of an empty range does that, and waits; table files and the folder are synced), and `batch` syncs the
 * folder. Opening writes out and syncs all that older logs hold. The binding has no switch for LevelDB's own
 * verification of checksums, without which damage may end the process: files are verified here before it opens them,
 * and the store above has checksums of its own.
 */

import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import { type Disk, later, laterDone, readSmallFile } from './disk.ts'
import type { Kv, KvHome, KvOp, KvReader } from './kv.ts'
import { checkBatches, checkTable, tablesIn } from './leveltables.ts'
import { CHECKPOINT_DIR, VERSION_DIR } from './names.ts'

/** What is being removed. */
const RETIRED_PREFIX = 'retired-'

const MEMTABLE_BYTES = 8 * 1024 * 1024
/** Fewer, bigger files for millions of small records. */
const FILE_BYTES = 16 * 1024 * 1024
const READ_COUNT = 1000
const READ_BYTES = 256 * 1024
/** No key of ours is up here. */
const NOWHERE = Uint8Array.of(0xff)

type Entry = readonly [key: Uint8Array, value: Uint8Array]

export class LevelHome implements KvHome {
  readonly path: string
  private readonly disk: Disk

  /** `disk` is for what concerns the folder as a whole. */
  constructor(disk: Disk, dataDir: string) {
    this.disk = disk
    this.path = join(dataDir, VERSION_DIR, CHECKPOINT_DIR)
  }

  exists(): Promise<boolean> {
    return later<boolean>((got) => this.disk.isDir(this.path, got))
  }

  async available(): Promise<void> {
    await loadLevel(this.path)
  }

  async open(): Promise<Kv> {
    const { Level } = await loadLevel(this.path)
    await this.removeRetired()
    await laterDone((done) => this.disk.mkdir(this.path, done))
    await this.checkFiles()
    const db = new Level(this.path, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      writeBufferSize: MEMTABLE_BYTES,
      maxFileSize: FILE_BYTES,
    })
    await db.open()
    await laterDone((done) => this.disk.syncDir(this.path, done))
    return new LevelKv(db, () => laterDone((done) => this.disk.syncDir(this.path, done)))
  }

  /** By way of another name, since a folder goes file by file. */
  async remove(): Promise<void> {
    await this.removeRetired()
    await laterDone((done) => this.disk.rename(this.path, this.retiredPath, done))
    await this.removeRetired()
  }

  /** LevelDB must not see certain damage, see leveltables.ts. Rejects with StorageError, with file and offset. */
  private async checkFiles(): Promise<void> {
    const current = await readSmallFile(this.disk, join(this.path, 'CURRENT'))
    if (current === null) return
    const name = /^(MANIFEST-\d+)\n$/.exec(new TextDecoder().decode(current))?.[1]
    if (name === undefined) throw damagedFile('it names no manifest', join(this.path, 'CURRENT'), 0)
    for (const [number, bytes] of await this.checked(name, tablesIn)) {
      await this.checked(`${String(number).padStart(6, '0')}.ldb`, (table) => {
        if (table.length !== bytes) throw new StorageError(`${table.length} bytes instead of ${bytes}`)
        checkTable(table)
      })
    }
    const names = await later<string[]>((got) => this.disk.list(this.path, got))
    for (const log of names.filter((each) => /^\d+\.log$/.test(each))) await this.checked(log, checkBatches)
  }

  private async checked<T>(name: string, check: (bytes: Uint8Array) => T): Promise<T> {
    const path = join(this.path, name)
    const bytes = await readSmallFile(this.disk, path)
    if (bytes === null) throw damagedFile('it is missing', path, null)
    try {
      return check(bytes)
    } catch (err) {
      if (!(err instanceof StorageError)) throw err
      throw damagedFile(err.message, path, err.offset)
    }
  }

  private get retiredPath(): string {
    return join(dirname(this.path), RETIRED_PREFIX + basename(this.path))
  }

  private removeRetired(): Promise<void> {
    return rm(this.retiredPath, { recursive: true, force: true })
  }
}

function damagedFile(what: string, path: string, offset: number | null): StorageError {
  return new StorageError(`damaged checkpoint: ${what}`, path, offset)
}

/** The part of the package in use: it is optional, so that its own types may not be there. */
interface LevelDatabase {
  open(): Promise<void>
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  iterator(options: { gte: Uint8Array; lt: Uint8Array; fillCache: boolean; highWaterMarkBytes: number }): LevelIterator
  batch(): LevelBatch
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>
  clear(options: { gte: Uint8Array; lt: Uint8Array }): Promise<void>
  close(): Promise<void>
}

interface LevelBatch {
  put(key: Uint8Array, value: Uint8Array): unknown
  del(key: Uint8Array): unknown
  write(options: { sync: boolean }): Promise<void>
}

interface LevelIterator {
  nextv(count: number): Promise<readonly Entry[]>
  close(): Promise<void>
}

interface LevelModule {
  Level: new (
    path: string,
    options: { keyEncoding: 'view'; valueEncoding: 'view'; writeBufferSize: number; maxFileSize: number },
  ) => LevelDatabase
}

const PACKAGE: string = 'level'

async function loadLevel(path: string): Promise<LevelModule> {
  try {
    return (await import(PACKAGE)) as LevelModule
  } catch (err) {
    const text = 'the package `level` cannot be loaded (npm install installs it), without which there is no checkpoint'
    throw new StorageError(text, path, null, err)
  }
}

class LevelKv implements Kv {
  private readonly db: LevelDatabase
  private readonly syncFolder: () => Promise<void>

  constructor(db: LevelDatabase, syncFolder: () => Promise<void>) {
    this.db = db
    this.syncFolder = syncFolder
  }

  async get(key: Uint8Array): Promise<Uint8Array | null> {
    return (await this.db.get(key)) ?? null
  }

  read(from: Uint8Array, to: Uint8Array): KvReader {
    const iterator = this.db.iterator({ gte: from, lt: to, fillCache: false, highWaterMarkBytes: READ_BYTES })
    return {
      next: () => iterator.nextv(READ_COUNT),
      close: () => iterator.close(),
    }
  }

  async batch(ops: Iterable<KvOp>, durable: boolean): Promise<void> {
    // One by one: handed over as a list they cost twenty times as much of the loop's time.
    const batch = this.db.batch()
    for (const op of ops) {
      if (op.type === 'put') batch.put(op.key, op.value)
      else batch.del(op.key)
    }
    await batch.write({ sync: durable })
    if (durable) await this.syncFolder()
  }

  flush(): Promise<void> {
    return this.db.compactRange(NOWHERE, NOWHERE)
  }

  clear(from: Uint8Array, to: Uint8Array): Promise<void> {
    return this.db.clear({ gte: from, lt: to })
  }

  close(): Promise<void> {
    return this.db.close()
  }
}
