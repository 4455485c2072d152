/**
 * Transaction logs for people: dump, recover (a copy with right checksums) and chop (a copy up to a zxid).
 *
 * Lines and file names are those of Apache's TxnLogToolkit and LogChopper. Other than there, a copy that could not be
 * finished is removed, and the exit code says so.
 */

import { basename, dirname, join } from 'node:path'
import { StorageError } from '../jute/errors.ts'
import { id64ToBigInt } from '../jute/id64.ts'
import { ProtocolError } from '../jute/input.ts'
import { counterOf, epochOf, type Zxid, zxidHex } from '../jute/zxid.ts'
import { ADLER_START, adler32 } from '../txnlog/adler32.ts'
import { type Disk, type DiskFile, errorCode, later, laterDone, removeIfThere } from '../txnlog/disk.ts'
import { TXN_HEADER_BYTES, zxidOfEntry } from '../txnlog/logfile.ts'
import { JavaDates } from './javadate.ts'
import { formatEntry } from './logformat.ts'
import { END_MARK, type LogHeader, LogRecords, type RawRecord } from './logrecords.ts'
import { type Terminal, ToolExit, UsageError } from './terminal.ts'

/** Growth of a recovered file, Java's default. */
const PREALLOC_BYTES = 64 * 1024 * 1024
const PAD_AHEAD_BYTES = 4096
/** Copied bytes are gathered up to this much before they are written. */
const WRITE_BYTES = 256 * 1024

export interface RecoverLogOptions {
  /** Mend every checksum without asking. */
  readonly yes: boolean
  /** Print good transactions too. */
  readonly verbose: boolean
}

/** Prints every transaction of a log. */
export async function dumpLog(disk: Disk, path: string, lengthMax: number, terminal: Terminal): Promise<number> {
  const records = await openLog(disk, path, lengthMax)
  try {
    const print = printer(records, lengthMax, terminal)
    terminal.out(headline(await records.header()))
    let count = 0
    for (let record = await records.next(); record !== null; record = await records.next()) {
      if (!record.intact) print(record, 'CRC ERROR')
      print(record, '')
      if (record.endMark !== END_MARK) throw partial(records, record)
      count++
      if (count % 10_000 === 0) terminal.progress(`${count} transactions`)
    }
    terminal.progress(null)
    terminal.out(`EOF reached after ${count} txns.\n`)
    return ToolExit.ok
  } finally {
    await records.close()
  }
}

/** Writes `<path>.fixed`, the same log with checksums that fit. Asks for each one unless told yes. */
export async function recoverLog(
  disk: Disk,
  path: string,
  lengthMax: number,
  options: RecoverLogOptions,
  terminal: Terminal,
): Promise<number> {
  const records = await openLog(disk, path, lengthMax)
  const target = `${path}.fixed`
  let copy: Copy | null = null
  try {
    copy = await Copy.create(disk, target, `Recovery file ${target} already exists or not writable`)
    const print = printer(records, lengthMax, terminal)
    const header = await records.header()
    terminal.out(headline(header))
    copy.put(header.bytes)
    let count = 0
    let fixed = 0
    for (let record = await records.next(); record !== null; record = await records.next()) {
      let mend = false
      if (!record.intact) {
        print(record, options.yes ? 'CRC FIXED' : 'CRC ERROR')
        const answer = options.yes ? 'Y' : await askForFix(terminal)
        if (answer === 'A') {
          terminal.err('Recovery aborted.')
          await copy.abandon()
          return ToolExit.ok
        }
        mend = answer === 'Y'
        if (mend) fixed++
      }
      if (options.verbose) print(record, '')
      if (record.endMark !== END_MARK) throw partial(records, record)
      copy.grow()
      await copy.putRecord(record, mend)
      count++
    }
    terminal.out(`EOF reached after ${count} txns.\n`)
    await copy.finish()
    terminal.out(`Recovery file ${target} has been written with ${fixed} fixed CRC error(s)\n`)
    return ToolExit.ok
  } catch (err) {
    await copy?.abandon()
    throw err
  } finally {
    await records.close()
  }
}

/** Writes `<path>.chopped<zxid>`, the log up to and including `zxid`, which must be in it with later ones behind. */
export async function chopLog(
  disk: Disk,
  path: string,
  zxid: Zxid,
  lengthMax: number,
  terminal: Terminal,
): Promise<number> {
  const records = await openLog(disk, path, lengthMax)
  const target = join(dirname(path), `${basename(path)}.chopped${zxid}`)
  let copy: Copy | null = null
  try {
    copy = await Copy.create(disk, target, `${target} already exists`)
    const header = await records.header()
    terminal.out(headline(header))
    copy.put(header.bytes)
    const chopped = await copyUpTo(records, copy, zxid, terminal)
    if (chopped) await copy.finish()
    else await copy.abandon()
    if (!chopped) terminal.out(`Got exception: Failed to chop ${basename(path)}\n`)
    return chopped ? ToolExit.ok : ToolExit.failed
  } catch (err) {
    await copy?.abandon()
    throw err
  } finally {
    await records.close()
  }
}

async function copyUpTo(records: LogRecords, copy: Copy, zxid: Zxid, terminal: Terminal): Promise<boolean> {
  let count = 0
  let zxidBefore = -1
  for (;;) {
    let record: RawRecord | null
    try {
      record = await nextGood(records)
    } catch (err) {
      // What stands behind the cut may be damaged: that is what such a cut is for. Java gives up here.
      if (!(err instanceof StorageError) || zxidBefore !== zxid) throw err
      terminal.err(err.message)
      terminal.out(`Chopping at ${zxidHex(zxid)} new log has ${count} records\n`)
      return true
    }
    if (record === null) break
    const current = zxidOf(record, records)
    terminal.out(gapBefore(zxidBefore, current))
    if (current > zxid) {
      if (zxidBefore !== zxid) {
        terminal.out(`This log does not contain zxid ${zxidHex(zxid)}\n`)
        return false
      }
      terminal.out(`Chopping at ${zxidHex(zxid)} new log has ${count} records\n`)
      return true
    }
    await copy.putRecord(record, false)
    zxidBefore = current
    count++
  }
  terminal.out(`EOF reached after ${count} txns.\n`)
  return false
}

/** Rejects with StorageError for a record that a server would not take. */
async function nextGood(records: LogRecords): Promise<RawRecord | null> {
  const record = await records.next()
  if (record === null) return null
  if (!record.intact) throw new StorageError('checksum mismatch', records.path, record.offset)
  if (record.endMark !== END_MARK) throw partial(records, record)
  return record
}

/** A line about a hole in the numbers, for whoever looks into an inconsistency; empty where there is none. */
function gapBefore(before: Zxid, zxid: Zxid): string {
  if (before < 0 || zxid === before + 1) return ''
  const between = `between ${zxidHex(before)} and ${zxidHex(zxid)}`
  if (epochOf(before) === epochOf(zxid)) return `There is intra-epoch gap ${between}\n`
  return counterOf(zxid) === 1 ? '' : `There is inter-epoch gap ${between}\n`
}

/** A zxid as an argument: decimal, 0x or # and hex, 0 and octal (java.lang.Long.decode). */
export function parseZxid(text: string): Zxid {
  const match = /^(?:(?:0[xX]|#)([0-9a-fA-F]+)|0([0-7]+)|(\d+))$/.exec(text)
  const [, hex, octal, decimal] = match ?? []
  const zxid = Number.parseInt(hex ?? octal ?? decimal ?? '', hex !== undefined ? 16 : octal !== undefined ? 8 : 10)
  if (!(zxid >= 0 && zxid <= Number.MAX_SAFE_INTEGER)) throw new UsageError(`not a zxid: ${text}`)
  return zxid
}

async function openLog(disk: Disk, path: string, lengthMax: number): Promise<LogRecords> {
  try {
    return await LogRecords.open(disk, path, lengthMax)
  } catch (err) {
    if (errorCode(err) === '') throw err
    throw new StorageError(`File doesn't exist or not readable: ${path}`, null, null, err)
  }
}

function headline({ dbidHi, dbidLo, version }: LogHeader): string {
  const dbid = id64ToBigInt(dbidHi, dbidLo)
  return `ZooKeeper Transactional Log File with dbid ${dbid} txnlog format version ${version}\n`
}

function printer(
  records: LogRecords,
  lengthMax: number,
  terminal: Terminal,
): (record: RawRecord, mark: string) => void {
  const dates = new JavaDates()
  return (record, mark) => {
    let line: string
    try {
      line = formatEntry(record.entry, lengthMax, (timeMs) => dates.shortLong(timeMs))
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err
      throw new StorageError(`a record that is no transaction: ${err.message}`, records.path, record.offset, err)
    }
    terminal.out(`${mark === '' ? '' : `${mark} - `}${line}${line.endsWith('\n') ? '' : '\n'}`)
  }
}

function partial(records: LogRecords, { offset }: RawRecord): StorageError {
  return new StorageError('Last transaction was partial.', records.path, offset)
}

function zxidOf(record: RawRecord, records: LogRecords): Zxid {
  if (record.entry.length >= TXN_HEADER_BYTES) return zxidOfEntry(record.entry, 0)
  throw new StorageError(`a record of ${record.entry.length} bytes`, records.path, record.offset)
}

async function askForFix(terminal: Terminal): Promise<'Y' | 'N' | 'A'> {
  for (;;) {
    const line = await terminal.ask('Would you like to fix it (Yes/No/Abort) ? ')
    if (line === null) return 'A'
    const answer = line.trim().charAt(0).toUpperCase()
    if (answer === 'Y' || answer === 'N' || answer === 'A') return answer
  }
}

/** A new log file under way. Not there in the end unless it was finished. */
class Copy {
  private readonly disk: Disk
  private readonly path: string
  private file: DiskFile | null
  private parts: Uint8Array[]
  private heldBytes: number
  private pos: number
  /** Its size with the room made so far; 0 where none was asked for. */
  private paddedBytes: number

  private constructor(disk: Disk, path: string, file: DiskFile) {
    this.disk = disk
    this.path = path
    this.file = file
    this.parts = []
    this.heldBytes = 0
    this.pos = 0
    this.paddedBytes = 0
  }

  static async create(disk: Disk, path: string, taken: string): Promise<Copy> {
    try {
      return new Copy(disk, path, await later<DiskFile>((got) => disk.create(path, got)))
    } catch (err) {
      if (errorCode(err) === 'EEXIST') throw new StorageError(taken, null, null, err)
      throw err
    }
  }

  /** Takes the bytes, owned. */
  put(bytes: Uint8Array): void {
    this.parts.push(bytes)
    this.heldBytes += bytes.length
  }

  async putRecord(record: RawRecord, mend: boolean): Promise<void> {
    const bytes = new Uint8Array(record.bytes.length + 1)
    bytes.set(record.bytes)
    bytes[record.bytes.length] = END_MARK
    if (mend) {
      const view = new DataView(bytes.buffer)
      view.setUint32(0, 0)
      view.setUint32(4, adler32(ADLER_START, record.entry, 0, record.entry.length))
    }
    this.put(bytes)
    if (this.heldBytes >= WRITE_BYTES) await this.write()
  }

  /** Room for the next record, as a server makes it (Java: FilePadding). */
  grow(): void {
    const at = this.pos + this.heldBytes
    if (this.paddedBytes === 0) this.paddedBytes = at
    if (at + PAD_AHEAD_BYTES < this.paddedBytes) return
    const overrun = at > this.paddedBytes
    this.paddedBytes = (overrun ? at : this.paddedBytes) + PREALLOC_BYTES
    if (overrun) this.paddedBytes -= this.paddedBytes % PREALLOC_BYTES
  }

  async finish(): Promise<void> {
    await this.write()
    const file = this.file!
    await laterDone((done) => this.disk.truncate(file, Math.max(this.paddedBytes, this.pos), done))
    await laterDone((done) => this.disk.sync(file, done))
    this.file = null
    await laterDone((done) => this.disk.close(file, done))
    await laterDone((done) => this.disk.syncDir(dirname(this.path), done))
  }

  async abandon(): Promise<void> {
    const { file } = this
    if (file === null) return
    this.file = null
    await laterDone((done) => this.disk.close(file, done))
    await removeIfThere(this.disk, this.path)
  }

  private async write(): Promise<void> {
    const { parts, pos } = this
    if (parts.length === 0) return
    this.pos += this.heldBytes
    this.parts = []
    this.heldBytes = 0
    await laterDone((done) => this.disk.write(this.file!, pos, parts, done))
  }
}
