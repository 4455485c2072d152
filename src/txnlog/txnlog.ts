/**
 * The transaction log of one server: appended by the turn, durable in groups.
 *
 * One durable write is in flight at a time; all that is appended meanwhile is the next group, and it starts by
 * itself when the first ends; one that outgrows a MiB is followed by another. No delay is ever added. `append` frames
 * the entry into the open group's buffer, its only copy; two buffers take turns.
 *
 * Invariants: zxids grow, without a hole inside an epoch. `onDurable` speaks only of what a power loss cannot take: the
 * data is synced, and so is the folder for the first group of a new file. A file is begun only when all before it is
 * durable. An error of the disk ends the log for good; in particular a failed sync is never tried again, since the
 * kernel may have dropped the pages and would then report success. For the same reason the file is cut behind what is
 * known to be durable before it is closed: whoever reads it next must not find what is only in the kernel's memory.
 *
 * Files are grown ahead with zeros that take no room, 64 MiB at a time as Java does, so that a sync rarely has to
 * write the file's size, and the next piece of them is written as real zeros; all are cut off when a file is left.
 * Java: SyncRequestProcessor, FileTxnLog, FilePadding.
 *
 * The open group has no limit of its own: what may be outstanding is limited where requests enter, and `bytesPending`
 * shows it.
 */

import { join } from 'node:path'
import { assert } from '../jute/assert.ts'
import { StorageError } from '../jute/errors.ts'
import { epochOf, type Zxid, zxidHex } from '../jute/zxid.ts'
import type { Disk, DiskFile, Done, Got } from './disk.ts'
import { frameRecord, GROUP_BYTES_MAX, LOG_HEADER_BYTES, RECORD_OVERHEAD_BYTES, writeLogHeader } from './logfile.ts'
import { logName } from './names.ts'

export interface TxnLogOptions {
  /** Growth of a file, in bytes; 0 is off (zookeeper.preAllocSize, there in KB). */
  preAllocBytes: number
  /** A file longer than this is left behind the group that made it so; -1 is off (zookeeper.txnLogSizeLimitInKb). */
  sizeLimitBytes: number
  /** False leaves durability to the kernel: an acknowledged write may be lost (zookeeper.forceSync=no). */
  forceSync: boolean
  /** A sync longer than this is reported (fsync.warningthresholdms). */
  fsyncWarnMs: number
}

export const TXN_LOG_DEFAULTS: TxnLogOptions = {
  preAllocBytes: 64 * 1024 * 1024,
  sizeLimitBytes: -1,
  forceSync: true,
  fsyncWarnMs: 1000,
}

export interface TxnLogSink {
  /** All up to `zxid` is on disk. */
  onDurable(zxid: Zxid): void
  /** Ahead of each `onDurable`: the records that have become so (see `forEachEntry`). Bytes are borrowed. */
  onRecords?(buf: Uint8Array, off: number, end: number): void
  /** The log has failed for good: nothing more becomes durable, the server has to stop. Called once. */
  onFailed(err: StorageError): void
  /** One sync took `ms` for a group of `bytes`. */
  onSynced(ms: number, bytes: number): void
  /** A sync of `file` was slower than `fsyncWarnMs`. */
  onSlowSync?(ms: number, file: string): void
}

/** Entries of one write, framed. */
interface Group {
  buf: Uint8Array
  bytes: number
  zxidFirst: Zxid
  zxidLast: Zxid
  newFile: boolean
}

interface OpenFile {
  file: DiskFile
  path: string
  /** Bytes written; the place of the next group. */
  pos: number
  /** Bytes the file has, padding included. */
  size: number
  /** Zeros have been written up to here, the rest of the padding is a hole. */
  filled: number
}

interface Waiter {
  zxid: Zxid
  done: Done
}

/** Java keeps this much ahead of the write position. */
const PAD_AHEAD_BYTES = 4096
/**
 * So many zeros go with the group that reaches the end of the last ones. A write into what was written before needs no
 * new blocks, so its sync is one trip to the disk without the file system's journal (test/bench/log.bench.mjs: together
 * with `createSynced` 0.6 to 0.7 of the time).
 */
const FILL_BYTES = 256 * 1024
const ZEROS = new Uint8Array(FILL_BYTES)
const GROUP_BYTES = 64 * 1024
/** A buffer that a burst has grown beyond this is not kept. */
const GROUP_KEPT_BYTES = 4 * 1024 * 1024

export class TxnLog {
  /** All up to here is on disk. */
  zxidDurable: Zxid
  /** The last one appended; -1 where nothing is known of the log's end. */
  zxidLast: Zxid
  /** Bytes appended since the last `roll`, for the snapshot trigger. */
  bytesWritten: number
  private readonly disk: Disk
  private readonly dir: string
  private readonly options: TxnLogOptions
  private readonly sink: TxnLogSink
  private file: OpenFile | null
  /** The group that takes appends. */
  private open: Group | null
  /** Groups closed by a roll or by their size, in order, ahead of the open one. */
  private readonly sealed: Group[]
  private inFlight: Group | null
  private inFlightSinceMs: number
  private spare: Uint8Array | null
  private rollNext: boolean
  private state: 'open' | 'closing' | 'closed' | 'failed'
  private readonly waiters: Waiter[]
  private idle: Done[]
  private failure: StorageError | null
  /** A file that failed is being cut and closed; these wait for it. */
  private cutting: Done[] | null

  /** `dir` is the version-2 folder, which exists. `zxidLast`: the end of what recovery found there. */
  constructor(disk: Disk, dir: string, options: TxnLogOptions, sink: TxnLogSink, zxidLast: Zxid = -1) {
    this.zxidDurable = zxidLast
    this.zxidLast = zxidLast
    this.bytesWritten = 0
    this.disk = disk
    this.dir = dir
    this.options = options
    this.sink = sink
    this.file = null
    this.open = null
    this.sealed = []
    this.inFlight = null
    this.inFlightSinceMs = 0
    this.spare = null
    this.rollNext = true
    this.state = 'open'
    this.waiters = []
    this.idle = []
    this.failure = null
    this.cutting = null
  }

  /** Bytes appended that are not durable yet. */
  get bytesPending(): number {
    let bytes = (this.inFlight?.bytes ?? 0) + (this.open?.bytes ?? 0)
    for (const group of this.sealed) bytes += group.bytes
    return bytes
  }

  get failed(): boolean {
    return this.state === 'failed'
  }

  /** For how long the write under way has not ended; 0 where there is none. */
  get stalledMs(): number {
    return this.inFlight === null ? 0 : this.disk.nowMs() - this.inFlightSinceMs
  }

  /** Zeros ahead of the write position in the current file. */
  get paddingBytes(): number {
    return this.file === null ? 0 : this.file.size - this.file.pos
  }

  /** The file now written to; null before the first group of a new one. */
  get currentFile(): string | null {
    return this.file?.path ?? null
  }

  /**
   * Copies an entry (TxnHeader, body, digest if any) into the open group. Behind a failure it does nothing: the
   * failure has been reported and nothing will be acknowledged.
   */
  append(zxid: Zxid, buf: Uint8Array, off: number, end: number): void {
    if (this.state === 'failed') return
    assert(this.state === 'open', 'append to a closed log')
    const last = this.zxidLast
    if (zxid !== last + 1) checkOrder(last, zxid)
    const group = this.open ?? this.begin(zxid)
    const bytes = RECORD_OVERHEAD_BYTES + end - off
    if (group.bytes + bytes > group.buf.length) grow(group, bytes)
    group.bytes = frameRecord(group.buf, group.bytes, buf, off, end)
    group.zxidLast = zxid
    this.zxidLast = zxid
    this.bytesWritten += bytes
    if (group.bytes >= GROUP_BYTES_MAX) this.sealOpen()
  }

  /** Starts the write of what was appended, if none is in flight. */
  flush(): void {
    if (this.inFlight !== null || this.state === 'failed') return
    const group = this.sealed.shift() ?? this.open
    if (group === null) return
    if (group === this.open) this.open = null
    this.inFlight = group
    this.inFlightSinceMs = this.disk.nowMs()
    this.put(group)
  }

  /** The next append begins a new file. */
  roll(): void {
    this.bytesWritten = 0
    this.nextFile()
  }

  /** Calls back once all up to `zxid` is durable, behind `onDurable`; at once if it is already. Or with the failure. */
  whenDurable(zxid: Zxid, done: Done): void {
    if (zxid <= this.zxidDurable) done(null)
    else if (this.failure !== null) done(this.failure)
    else this.waiters.push({ zxid, done })
  }

  /** Calls back when nothing is left to write, at once if so already; or with the failure. */
  drain(done: Done): void {
    if (this.failure !== null || this.bytesPending === 0) {
      done(this.failure)
      return
    }
    this.idle.push(done)
    this.flush()
  }

  /** The history on disk was replaced (a snapshot from the leader, a truncation): it now ends at `zxid`. */
  restart(zxid: Zxid): void {
    assert(this.bytesPending === 0, 'restart with writes in flight')
    this.nextFile()
    this.zxidLast = zxid
    this.zxidDurable = zxid
  }

  /** Leaves the current file, if any: drained, padding cut, closed. Files on disk may be cut or removed afterwards. */
  leaveFile(done: Done): void {
    this.drain((err) => {
      if (err !== null) {
        done(err)
        return
      }
      const current = this.file
      this.nextFile()
      this.file = null
      if (current === null) done(null)
      else this.leave(current, done)
    })
  }

  /**
   * Makes all that was appended durable and closes the file. The answer is the failure, if there was one; then too
   * nothing is done to any file any more.
   */
  close(done: Done): void {
    const ended: Done = (err) => {
      if (this.state === 'closing') this.state = 'closed'
      if (this.cutting !== null) this.cutting.push(done)
      else done(err)
    }
    if (this.state !== 'open') {
      ended(this.failure)
      return
    }
    this.state = 'closing'
    this.leaveFile(ended)
  }

  private begin(zxid: Zxid): Group {
    const buf = this.spare ?? new Uint8Array(GROUP_BYTES)
    this.spare = null
    const group: Group = { buf, bytes: 0, zxidFirst: zxid, zxidLast: zxid, newFile: this.rollNext }
    if (this.rollNext) group.bytes = writeLogHeader(buf, 0)
    this.rollNext = false
    this.open = group
    return group
  }

  private nextFile(): void {
    this.sealOpen()
    this.rollNext = true
  }

  private sealOpen(): void {
    if (this.open === null) return
    this.sealed.push(this.open)
    this.open = null
  }

  private put(group: Group): void {
    if (!group.newFile) {
      assert(this.file !== null, 'a group without a file')
      this.pad(this.file, group)
      return
    }
    const before = this.file
    if (before !== null) {
      this.file = null
      this.leave(before, (err) => {
        if (err !== null) this.fail('cannot leave the log', before.path, before.pos, err)
        else this.put(group)
      })
      return
    }
    const path = join(this.dir, logName(group.zxidFirst))
    const got: Got<DiskFile> = (err, file) => {
      if (err !== null) return this.fail('cannot create the log', path, 0, err)
      this.file = { file, path, pos: 0, size: 0, filled: 0 }
      this.pad(this.file, group)
    }
    if (this.options.forceSync) this.disk.createSynced(path, got)
    else this.disk.create(path, got)
  }

  /** Grows the file ahead of the group where Java would: within 4 KiB of the end. */
  private pad(into: OpenFile, group: Group): void {
    const step = this.options.preAllocBytes
    const end = into.pos + group.bytes
    if (step <= 0 || end + PAD_AHEAD_BYTES < into.size) {
      this.write(into, group)
      return
    }
    const size = into.size === 0 ? LOG_HEADER_BYTES + step : into.size + step
    const bytes = end + PAD_AHEAD_BYTES < size ? size : end + step - ((end + step) % step)
    this.disk.truncate(into.file, bytes, (err) => {
      if (err !== null) return this.fail('cannot grow the log', into.path, into.pos, err)
      into.size = bytes
      this.write(into, group)
    })
  }

  /** With `forceSync` the write is durable when it is done. */
  private write(into: OpenFile, group: Group): void {
    const parts = [group.buf.subarray(0, group.bytes)]
    const end = into.pos + group.bytes
    if (this.options.forceSync && end > into.filled) {
      const fill = Math.min(FILL_BYTES, this.options.preAllocBytes >> 4, into.size - end)
      if (fill > 0) parts.push(ZEROS.subarray(0, fill))
      into.filled = end + Math.max(0, fill)
    }
    const startMs = this.disk.nowMs()
    this.disk.write(into.file, into.pos, parts, (err) => {
      if (err !== null) return this.fail('cannot write the log', into.path, into.pos, err)
      if (this.options.forceSync) {
        const ms = this.disk.nowMs() - startMs
        this.sink.onSynced(ms, group.bytes)
        if (ms > this.options.fsyncWarnMs) this.sink.onSlowSync?.(ms, into.path)
      }
      this.syncFolder(into, group)
    })
  }

  /** A new file's name must survive before anything in it is acknowledged. */
  private syncFolder(into: OpenFile, group: Group): void {
    if (!group.newFile) {
      this.settle(into, group)
      return
    }
    this.disk.syncDir(this.dir, (err) => {
      if (err !== null) this.fail('cannot sync the folder of the log', into.path, null, err)
      else this.settle(into, group)
    })
  }

  private settle(into: OpenFile, group: Group): void {
    into.pos += group.bytes
    if (into.pos > into.size) into.size = into.pos
    // Java compares the padded size, which makes a limit below the padding roll at every group.
    if (this.options.sizeLimitBytes > 0 && into.pos > this.options.sizeLimitBytes) this.leaveSoon()
    this.inFlight = null
    this.zxidDurable = group.zxidLast
    // The disk first: it works while the sink does.
    this.flush()
    this.sink.onRecords?.(group.buf, group.newFile ? LOG_HEADER_BYTES : 0, group.bytes)
    if (group.buf.length <= GROUP_KEPT_BYTES) this.spare = group.buf
    this.sink.onDurable(group.zxidLast)
    const ready = this.waiters.filter((waiter) => waiter.zxid <= group.zxidLast)
    if (ready.length > 0) {
      const left = this.waiters.filter((waiter) => waiter.zxid > group.zxidLast)
      this.waiters.splice(0, this.waiters.length, ...left)
      for (const waiter of ready) waiter.done(null)
    }
    if (this.idle.length > 0 && this.bytesPending === 0) this.endIdle(null)
  }

  private endIdle(err: Error | null): void {
    const idle = this.idle
    this.idle = []
    for (const done of idle) done(err)
  }

  /** As `roll`, but once per file although groups of it are still queued. */
  private leaveSoon(): void {
    for (const group of this.sealed) if (group.newFile) return
    if (this.open?.newFile) return
    this.nextFile()
  }

  /** Cuts the padding and closes. The cut needs no sync: zeros behind the last record mean the same. */
  private leave(left: OpenFile, done: Done): void {
    const shut = (err: Error | null): void => {
      this.disk.close(left.file, (closed) => done(err ?? closed))
    }
    if (left.size > left.pos) this.disk.truncate(left.file, left.pos, shut)
    else shut(null)
  }

  private fail(what: string, path: string, offset: number | null, cause: Error): void {
    assert(this.state !== 'failed', 'one failure')
    this.state = 'failed'
    this.failure = new StorageError(`${what}: ${cause.message}`, path, offset, cause)
    this.open = null
    this.sealed.length = 0
    this.inFlight = null
    if (this.file !== null) this.cut(this.file)
    this.file = null
    this.sink.onFailed(this.failure)
    for (const waiter of this.waiters.splice(0)) waiter.done(this.failure)
    this.endIdle(this.failure)
  }

  /** As far as that works: where it does not, the start has to judge by what it reads. */
  private cut({ file, pos }: OpenFile): void {
    this.cutting = []
    this.disk.truncate(file, pos, () => {
      this.disk.close(file, () => {
        const waiting = this.cutting!
        this.cutting = null
        for (const done of waiting) done(this.failure)
      })
    })
  }
}

function checkOrder(last: Zxid, zxid: Zxid): void {
  assert(zxid > last, `zxid 0x${zxidHex(zxid)} appended behind 0x${zxidHex(last)}`)
  assert(last <= 0 || epochOf(zxid) > epochOf(last), `hole before zxid 0x${zxidHex(zxid)}`)
}

function grow(group: Group, bytes: number): void {
  const bigger = new Uint8Array(Math.max(2 * group.buf.length, group.bytes + bytes))
  bigger.set(group.buf.subarray(0, group.bytes))
  group.buf = bigger
}
