/**
 * Snapshots as Java's files: written in slices beside the server's work, and only whole ones under their name.
 *
 * A slice is encoded from the live tree in some milliseconds, then the loop is given back; the bytes go to a file whose
 * name Java does not take for a snapshot. At the end: data synced, then renamed, then the folder synced. A crash at any
 * point leaves the older snapshots as they were. Java writes under the final name and does not sync.
 *
 * The tree may be ahead of this server's own log, where a quorum was faster than the local disk. A fuzzy snapshot is
 * only worth something with the log that covers it, so it takes its name when that log is durable (`whenDurable`).
 */

import { join } from 'node:path'
import type { StateMachine } from '../datatree/apply.ts'
import { assert } from '../jute/assert.ts'
import { StorageError } from '../jute/errors.ts'
import { Output } from '../jute/output.ts'
import { type Zxid, zxidHex } from '../jute/zxid.ts'
import { type Codec, encoderFor } from './codec.ts'
import { type Disk, type DiskFile, later, laterDone, removeIfThere } from './disk.ts'
import { type Compression, PARTIAL_PREFIX, snapshotName } from './names.ts'
import { type SnapshotSections, SnapshotWriter } from './snapshot.ts'
import type { SnapshotStore, SnapshotWritten, WhenDurable } from './snapshotstore.ts'

export interface FileSnapshotOptions extends SnapshotSections {
  compression: Compression
}

/** Java's defaults. A reader that goes by its settings alone (Java) needs both sections on, or both off. */
export const SNAPSHOT_DEFAULTS: FileSnapshotOptions = { compression: '', digest: true, lastZxid: true }

/** A slice holds the loop this long, and at least one node. */
const SLICE_MS = 2
/** Encoded between two looks at the clock. */
const STEP_BYTES = 32 * 1024
/** At most this much is encoded before it goes to the disk. */
const SLICE_BYTES_MAX = 1024 * 1024
/** Synced this often, so that the last sync is short and the log's own syncs do not queue behind all of it. */
const SYNC_EVERY_BYTES = 16 * 1024 * 1024

export class FileSnapshotStore implements SnapshotStore {
  private readonly disk: Disk
  private readonly snapDir: string
  private readonly options: FileSnapshotOptions
  private running: boolean

  /** `snapDir` is the version-2 folder, which exists. */
  constructor(disk: Disk, snapDir: string, options: FileSnapshotOptions) {
    this.disk = disk
    this.snapDir = snapDir
    this.options = options
    this.running = false
  }

  get busy(): boolean {
    return this.running
  }

  /** Begins a snapshot of `state` as it is now. One at a time. */
  begin(state: StateMachine): Checkpoint {
    assert(!this.running, 'one snapshot at a time')
    assert(state.zxidLast >= 0, 'no snapshot of a state that is not one')
    this.running = true
    return new Checkpoint(this.disk, this.snapDir, this.options, state, () => {
      this.running = false
    })
  }

  async takeSnapshot(
    state: StateMachine,
    whenDurable: WhenDurable = (_zxid, done) => done(null),
  ): Promise<SnapshotWritten> {
    const checkpoint = this.begin(state)
    try {
      for (;;) {
        const startMs = this.disk.nowMs()
        let complete = false
        while (!complete && checkpoint.bytesHeld < SLICE_BYTES_MAX && this.disk.nowMs() - startMs < SLICE_MS) {
          complete = checkpoint.step(STEP_BYTES)
        }
        await checkpoint.write()
        if (complete) break
        await new Promise<void>((resolve) => {
          setImmediate(resolve)
        })
      }
      await laterDone((done) => whenDurable(checkpoint.zxidEnd, done))
      return await checkpoint.finish()
    } catch (err) {
      await checkpoint.abort()
      throw err
    }
  }

  /** Holds nothing open between two snapshots. */
  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** A snapshot under way: `step` and `write` in turns until `step` has said true, then `finish`; or `abort`. */
export class Checkpoint {
  private readonly disk: Disk
  private readonly path: string
  private readonly partialPath: string
  private readonly writer: SnapshotWriter
  private readonly codec: Codec
  private readonly out: Output
  private readonly onEnd: () => void
  private file: DiskFile | null
  private fileBytes: number
  private syncedBytes: number
  private ended: boolean

  constructor(disk: Disk, snapDir: string, options: FileSnapshotOptions, state: StateMachine, onEnd: () => void) {
    this.disk = disk
    this.path = join(snapDir, snapshotName(state.zxidLast, options.compression))
    this.partialPath = join(snapDir, PARTIAL_PREFIX + zxidHex(state.zxidLast))
    this.writer = new SnapshotWriter(state, 'file', options)
    this.codec = encoderFor(options.compression)
    this.out = new Output(2 * STEP_BYTES)
    this.onEnd = onEnd
    this.file = null
    this.fileBytes = 0
    this.syncedBytes = 0
    this.ended = false
  }

  /** Replay begins behind this one. */
  get zxid(): Zxid {
    return this.writer.zxid
  }

  /** The last zxid that may be in it, once all is encoded. */
  get zxidEnd(): Zxid {
    return this.writer.zxidEnd
  }

  /** Encoded and not written yet. */
  get bytesHeld(): number {
    return this.out.pos
  }

  /** Encodes some `bytesMax` bytes from the live tree, synchronously. True when all is encoded. */
  step(bytesMax: number): boolean {
    return this.writer.step(this.out, bytesMax)
  }

  /** Hands what is encoded to the disk; resolves when it took it. */
  async write(): Promise<void> {
    try {
      this.file ??= await this.create()
      await this.put(await later<Uint8Array[]>((got) => this.codec.push(this.out.bytes(), got)))
      this.out.clear()
    } catch (err) {
      throw this.failure(err)
    }
  }

  /** Makes it durable and gives it its name. */
  async finish(): Promise<SnapshotWritten> {
    assert(this.zxidEnd >= 0 && this.out.pos === 0, 'finish before all is written')
    const { disk, writer, path } = this
    try {
      await this.put(await later<Uint8Array[]>((got) => this.codec.end(got)))
      const file = this.file!
      await laterDone((done) => disk.sync(file, done))
      this.file = null
      await laterDone((done) => disk.close(file, done))
      await laterDone((done) => disk.rename(this.partialPath, path, done))
    } catch (err) {
      throw this.failure(err)
    }
    this.end()
    return { zxid: writer.zxid, zxidEnd: writer.zxidEnd, path, nodeCount: writer.nodeCount, bytes: this.fileBytes }
  }

  /** Gives up and removes what was written, as far as that works. */
  async abort(): Promise<void> {
    if (this.ended) return
    this.end()
    this.codec.abort()
    this.writer.close()
    const file = this.file
    this.file = null
    try {
      if (file !== null) await laterDone((done) => this.disk.close(file, done))
      await removeIfThere(this.disk, this.partialPath)
    } catch {
      // The next start removes it.
    }
  }

  private end(): void {
    assert(!this.ended, 'a snapshot ends once')
    this.ended = true
    this.onEnd()
  }

  private async create(): Promise<DiskFile> {
    await removeIfThere(this.disk, this.partialPath)
    return later<DiskFile>((got) => this.disk.create(this.partialPath, got))
  }

  private async put(parts: Uint8Array[]): Promise<void> {
    const file = this.file!
    const filled = parts.filter((part) => part.length > 0)
    if (filled.length === 0) return
    await laterDone((done) => this.disk.write(file, this.fileBytes, filled, done))
    for (const part of filled) this.fileBytes += part.length
    if (this.fileBytes - this.syncedBytes < SYNC_EVERY_BYTES) return
    await laterDone((done) => this.disk.sync(file, done))
    this.syncedBytes = this.fileBytes
  }

  private failure(err: unknown): unknown {
    if (!(err instanceof Error) || err instanceof StorageError || !('code' in err)) return err
    return new StorageError(`cannot write a snapshot: ${err.message}`, this.path, this.fileBytes, err)
  }
}

/** Removes what snapshots that never ended have left. */
export async function removePartialSnapshots(disk: Disk, snapDir: string): Promise<string[]> {
  const names = await later<string[]>((got) => disk.list(snapDir, got))
  const partial = names.filter((name) => name.startsWith(PARTIAL_PREFIX))
  for (const name of partial) await removeIfThere(disk, join(snapDir, name))
  return partial
}
