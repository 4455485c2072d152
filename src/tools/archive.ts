/**
 * Archives as files: a tar of plain files (see ustar.ts), gzipped where its name ends in .gz or .tgz. Any tar reads it.
 *
 * A new archive has a name of its own until it is whole and durable. Reading goes by what the bytes are, not by name.
 */

import { assert } from '../jute/assert.ts'
import { StorageError } from '../jute/errors.ts'
import { type Codec, decoderFor, encoderFor } from '../txnlog/codec.ts'
import { type Disk, type DiskFile, errorCode, later, laterDone, removeIfThere } from '../txnlog/disk.ts'
import { BLOCK_BYTES, END_BLOCKS, paddingBytes, readTarHeader, type TarEntry, tarHeader } from './ustar.ts'

const CHUNK_BYTES = 1024 * 1024
const GZIP_MAGIC = [0x1f, 0x8b]

export class ArchiveWriter {
  private readonly disk: Disk
  private readonly path: string
  /** What it is called until it is whole. */
  readonly partialPath: string
  private readonly codec: Codec
  private readonly mtimeMs: number
  private file: DiskFile | null
  private pos: number
  /** Of the entry in hand, not written yet. */
  private left: number

  private constructor(disk: Disk, path: string, file: DiskFile, mtimeMs: number) {
    this.disk = disk
    this.path = path
    this.partialPath = `${path}.partial`
    this.codec = encoderFor(/\.(gz|tgz)$/.test(path) ? 'gz' : '')
    this.mtimeMs = mtimeMs
    this.file = file
    this.pos = 0
    this.left = 0
  }

  /** Replaces the remains of an archive of this name that was never finished, but not a finished one. */
  static async create(disk: Disk, path: string, mtimeMs: number): Promise<ArchiveWriter> {
    try {
      const there = await later<DiskFile>((got) => disk.open(path, 'r', got))
      await laterDone((done) => disk.close(there, done))
      throw new StorageError('the archive is there already; it is not written over', path)
    } catch (err) {
      if (errorCode(err) !== 'ENOENT') throw err
    }
    const partialPath = `${path}.partial`
    await removeIfThere(disk, partialPath)
    const file = await later<DiskFile>((got) => disk.create(partialPath, got))
    return new ArchiveWriter(disk, path, file, mtimeMs)
  }

  /** Begins a file; exactly `bytes` of it are to follow. */
  async begin(entry: TarEntry): Promise<void> {
    assert(this.left === 0, 'one file after the other')
    await this.put(tarHeader(entry, this.mtimeMs))
    this.left = entry.bytes
  }

  /** More bytes of the file, borrowed until it resolves. */
  async write(bytes: Uint8Array): Promise<void> {
    assert(bytes.length <= this.left, 'no more bytes than announced')
    this.left -= bytes.length
    await this.put(bytes)
  }

  /** The file has all its bytes. */
  async end(entry: TarEntry): Promise<void> {
    assert(this.left === 0, 'no fewer bytes than announced')
    await this.put(new Uint8Array(paddingBytes(entry.bytes)))
  }

  /** Ends the archive: durable when it resolves, still under its partial name. */
  async finish(): Promise<void> {
    await this.put(new Uint8Array(END_BLOCKS * BLOCK_BYTES))
    await this.store(await later<Uint8Array[]>((got) => this.codec.end(got)))
    const file = this.file!
    await laterDone((done) => this.disk.sync(file, done))
    this.file = null
    await laterDone((done) => this.disk.close(file, done))
  }

  /** Gives the finished archive its name. */
  publish(): Promise<void> {
    return laterDone((done) => this.disk.rename(this.partialPath, this.path, done))
  }

  async abandon(): Promise<void> {
    const { file } = this
    this.codec.abort()
    this.file = null
    if (file !== null) await laterDone((done) => this.disk.close(file, done))
    await removeIfThere(this.disk, this.partialPath)
  }

  get bytes(): number {
    return this.pos
  }

  private async put(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return
    await this.store(await later<Uint8Array[]>((got) => this.codec.push(bytes, got)))
  }

  private async store(parts: Uint8Array[]): Promise<void> {
    const filled = parts.filter((part) => part.length > 0)
    if (filled.length === 0) return
    const { pos } = this
    await laterDone((done) => this.disk.write(this.file!, pos, filled, done))
    for (const part of filled) this.pos += part.length
  }
}

/** Goes through an archive from its beginning: an entry, its bytes, the next entry. */
export class ArchiveReader {
  readonly path: string
  private readonly chunks: AsyncGenerator<Uint8Array>
  private held: Uint8Array
  private left: number
  private padding: number

  constructor(disk: Disk, path: string) {
    this.path = path
    this.chunks = chunksOf(disk, path)
    this.held = new Uint8Array(0)
    this.left = 0
    this.padding = 0
  }

  /** The next file; null at the end. Rejects with StorageError for anything that is no archive of ours. */
  async next(): Promise<TarEntry | null> {
    while (this.left > 0) await this.read()
    await this.take(this.padding)
    let entry: TarEntry | null
    try {
      entry = readTarHeader(await this.take(BLOCK_BYTES))
    } catch (err) {
      if (!(err instanceof StorageError) || err.file !== null) throw err
      throw new StorageError(`damaged archive: ${err.message}`, this.path, null, err)
    }
    this.left = entry?.bytes ?? 0
    this.padding = paddingBytes(this.left)
    return entry
  }

  /** Some more bytes of the file in hand, borrowed until the next call; empty at its end. */
  async read(): Promise<Uint8Array> {
    if (this.left === 0) return new Uint8Array(0)
    if (this.held.length === 0) await this.more()
    const count = Math.min(this.held.length, this.left)
    const bytes = this.held.subarray(0, count)
    this.held = this.held.subarray(count)
    this.left -= count
    return bytes
  }

  async close(): Promise<void> {
    await this.chunks.return(undefined)
  }

  private async take(count: number): Promise<Uint8Array> {
    while (this.held.length < count) await this.more()
    const bytes = this.held.subarray(0, count)
    this.held = this.held.subarray(count)
    return bytes
  }

  private async more(): Promise<void> {
    const { value, done } = await this.chunks.next()
    if (done === true) throw new StorageError('the archive is cut short', this.path)
    const joined = new Uint8Array(this.held.length + value.length)
    joined.set(this.held)
    joined.set(value, this.held.length)
    this.held = joined
  }
}

/** A file's bytes, unzipped where they are zipped. */
async function* chunksOf(disk: Disk, path: string): AsyncGenerator<Uint8Array> {
  const file = await later<DiskFile>((got) => disk.open(path, 'r', got))
  const chunk = new Uint8Array(CHUNK_BYTES)
  let codec: Codec | null = null
  try {
    for (let pos = 0; ; ) {
      const count = await later<number>((got) => disk.read(file, pos, chunk, 0, chunk.length, got))
      codec ??= decoderFor(GZIP_MAGIC.every((byte, i) => count > i && chunk[i] === byte) ? 'gz' : '')
      const decoder = codec
      pos += count
      const bytes = chunk.subarray(0, count)
      const parts = await later<Uint8Array[]>((got) => (count === 0 ? decoder.end(got) : decoder.push(bytes, got)))
      for (const part of parts) if (part.length > 0) yield part
      if (count === 0) return
    }
  } catch (err) {
    if (!(err instanceof StorageError) || err.file !== null) throw err
    throw new StorageError(`damaged archive: ${err.message}`, path, null, err)
  } finally {
    codec?.abort()
    await laterDone((done) => disk.close(file, done))
  }
}
