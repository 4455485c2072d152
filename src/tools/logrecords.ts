/**
 * The records of one log file as they lie there, for tools that also look at bad ones. A server judges a file by
 * txnlog/logfile.ts; here a wrong checksum is only reported, and the end is where Java's toolkit sees it: at an entry
 * of length zero, or where the file stops.
 */

import { StorageError } from '../jute/errors.ts'
import { readInt } from '../jute/input.ts'
import { ADLER_START, adler32 } from '../txnlog/adler32.ts'
import { type Disk, type DiskFile, later, laterDone } from '../txnlog/disk.ts'
import { LOG_HEADER_BYTES } from '../txnlog/logfile.ts'

const MAGIC = 0x5a4b4c47
export const END_MARK = 0x42
const PREFIX_BYTES = 12
const CHUNK_BYTES = 1024 * 1024

export interface LogHeader {
  /** The 16 bytes as they are; owned. */
  readonly bytes: Uint8Array
  readonly version: number
  readonly dbidHi: number
  readonly dbidLo: number
}

export interface RawRecord {
  /** Where it begins in the file, and where it ends. */
  readonly offset: number
  readonly end: number
  /** The checksum says what the entry is. */
  readonly intact: boolean
  /** Borrowed until the next record. */
  readonly entry: Uint8Array
  /** Checksum, length and entry as they are in the file; borrowed. Without the end mark. */
  readonly bytes: Uint8Array
  /** The byte behind the entry; -1 where the file stops before it. */
  readonly endMark: number
}

export class LogRecords {
  readonly path: string
  readonly fileBytes: number
  private readonly disk: Disk
  private readonly file: DiskFile
  private readonly lengthMax: number
  private pos: number
  private chunk: Uint8Array
  private chunkPos: number
  private chunkBytes: number

  private constructor(disk: Disk, path: string, file: DiskFile, fileBytes: number, lengthMax: number) {
    this.path = path
    this.fileBytes = fileBytes
    this.disk = disk
    this.file = file
    this.lengthMax = lengthMax
    this.pos = 0
    this.chunk = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(fileBytes, 1)))
    this.chunkPos = 0
    this.chunkBytes = 0
  }

  static async open(disk: Disk, path: string, lengthMax: number): Promise<LogRecords> {
    const file = await later<DiskFile>((got) => disk.open(path, 'r', got))
    const fileBytes = await later<number>((got) => disk.size(file, got))
    return new LogRecords(disk, path, file, fileBytes, lengthMax)
  }

  close(): Promise<void> {
    return laterDone((done) => this.disk.close(this.file, done))
  }

  /** Where the next record begins. */
  get offset(): number {
    return this.pos
  }

  /** To be called first. Rejects with StorageError for a file that is no log. */
  async header(): Promise<LogHeader> {
    const bytes = await this.at(0, LOG_HEADER_BYTES)
    if (bytes === null || readInt(bytes, 0) !== MAGIC) throw new StorageError('not a transaction log', this.path, 0)
    this.pos = LOG_HEADER_BYTES
    const dbidHi = readInt(bytes, 8)
    return { bytes: bytes.slice(), version: readInt(bytes, 4), dbidHi, dbidLo: readInt(bytes, 12) }
  }

  /** The next record, good or not; null at the end. Rejects with StorageError for a length that cannot be. */
  async next(): Promise<RawRecord | null> {
    const offset = this.pos
    const prefix = await this.at(offset, PREFIX_BYTES)
    if (prefix === null) return null
    const length = readInt(prefix, 8)
    if (length === 0) return null
    if (length < 0 || length > this.lengthMax) {
      throw new StorageError(`a record claims ${length} bytes, the limit is ${this.lengthMax}`, this.path, offset)
    }
    const bytes = await this.at(offset, PREFIX_BYTES + length)
    if (bytes === null) return null
    const entryEnd = PREFIX_BYTES + length
    const whole = await this.at(offset, entryEnd + 1)
    const found = (whole ?? bytes).subarray(0, entryEnd)
    const entry = found.subarray(PREFIX_BYTES)
    const sum = adler32(ADLER_START, entry, 0, length)
    const end = offset + entryEnd + 1
    this.pos = end
    return {
      offset,
      end,
      intact: readInt(found, 0) === 0 && readInt(found, 4) === (sum | 0),
      entry,
      bytes: found,
      endMark: whole === null ? -1 : whole[entryEnd]!,
    }
  }

  /** `length` bytes from `pos` on, borrowed; null where the file stops before. */
  private async at(pos: number, length: number): Promise<Uint8Array | null> {
    if (pos + length > this.fileBytes) return null
    if (pos < this.chunkPos || pos + length > this.chunkPos + this.chunkBytes) {
      if (length > this.chunk.length) this.chunk = new Uint8Array(2 * length)
      const { chunk } = this
      this.chunkPos = pos
      this.chunkBytes = await later<number>((got) => this.disk.read(this.file, pos, chunk, 0, chunk.length, got))
      if (this.chunkBytes < length) return null
    }
    const from = pos - this.chunkPos
    return this.chunk.subarray(from, from + length)
  }
}
