/**
 * Snapshots as one incremental checkpoint in a key-value database: what it costs goes by what changed since the last.
 *
 * The database holds the tree as of the last checkpoint that ended (`meta`), with batches of one that did not on top:
 * the fuzzy case once more, and replay repairs it. Hence three rules. A batch is written only when the log is durable
 * up to all that is in it. Before the batch that ends a checkpoint is written, all others are durable. A whole
 * checkpoint (the first one, or of a tree that did not come from here) is written beside the old one, as the next
 * generation, and takes its place in that last batch. So a crash at any point leaves a start of replay that is good
 * for the log as it is; batches that a power failure took, in whatever order, come back by replay.
 *
 * Nobody but `tracked` knows what the database lacks. It is the record of changes of the very tree that was read from
 * here or written here last; any other tree is written whole.
 *
 * Integrity: each record has a CRC of ours. A record that is missing, or an older one that came back, shows when the
 * log is applied up to the checkpoint's end: znodes, sessions and digest must then be what they were (`endError`).
 */

import type { StateMachine } from '../datatree/apply.ts'
import { Changes } from '../datatree/changes.ts'
import { NO_NODE, ROOT } from '../datatree/tree.ts'
import { assert } from '../jute/assert.ts'
import { StorageError } from '../jute/errors.ts'
import { readInt } from '../jute/input.ts'
import { type Zxid, zxidHex } from '../jute/zxid.ts'
import {
  type CheckpointEnd,
  type CheckpointMeta,
  damaged,
  endEntry,
  GENERATIONS_FROM,
  GENERATIONS_TO,
  generationFrom,
  generationTo,
  isSealed,
  KEY_HEAD_BYTES,
  Kind,
  longAt,
  META_KEY,
  metaValue,
  readEnd,
  readMeta,
} from './checkpointformat.ts'
import { CheckpointWriter } from './checkpointwriter.ts'
import { errorCode, laterDone } from './disk.ts'
import type { Kv, KvHome, KvOp } from './kv.ts'
import { isDamage } from './repair.ts'
import type {
  CheckpointHistory,
  CheckpointLoaded,
  CheckpointSource,
  SnapshotStore,
  SnapshotWritten,
  WhenDurable,
} from './snapshotstore.ts'

/** A batch is gathered this long, or until it is this big; the database then takes about as long to copy it. */
const SLICE_MS = 2
const SLICE_BYTES_MAX = 256 * 1024
const SLICE_OPS_MAX = 1000
/** Elements between two looks at the clock. */
const STEP_COUNT = 32
/** A znode in a snapshot file takes so much besides path and data. */
const FILE_NODE_BYTES = 76

const STAT_BYTES = 60
const CRC_BYTES = 4

interface Opened {
  readonly kv: Kv
  /** Null where no checkpoint ever ended here. */
  readonly meta: CheckpointMeta | null
}

export class LevelStore implements SnapshotStore, CheckpointHistory, CheckpointSource {
  readonly path: string
  private readonly home: KvHome
  private readonly nowMs: () => number
  private opened: Opened | null
  private opening: Promise<Opened> | null
  private running: boolean
  /** What the database lacks of one tree; null: of none. */
  private tracked: Changes | null
  /** ACL ids in the database. */
  private acls: Set<number>
  /** Other generations may be there. */
  private untidy: boolean

  /** `nowMs`: a clock that never goes back. */
  constructor(home: KvHome, nowMs: () => number) {
    this.path = home.path
    this.home = home
    this.nowMs = nowMs
    this.opened = null
    this.opening = null
    this.running = false
    this.tracked = null
    this.acls = new Set()
    this.untidy = true
  }

  // ------------------------------------------------------------------ writing

  async takeSnapshot(
    state: StateMachine,
    whenDurable: WhenDurable = (_zxid, done) => done(null),
  ): Promise<SnapshotWritten> {
    assert(!this.running, 'one checkpoint at a time')
    assert(state.zxidLast >= 0, 'no checkpoint of a state that is not one')
    this.running = true
    try {
      const opened = await this.openToWrite()
      await this.tidy(opened)
      return await this.write(opened, state, whenDurable)
    } catch (err) {
      // Some databases take nothing more after a write that failed; the next one opens it afresh.
      await this.release()
      throw this.failure('cannot write a checkpoint', err)
    } finally {
      this.running = false
    }
  }

  /** A damaged database begins anew, or there would never be a checkpoint again: nobody could start from it anyway. */
  private async openToWrite(): Promise<Opened> {
    try {
      return await this.open()
    } catch (err) {
      if (!isDamage(err)) throw err
      await this.remove()
      return this.open()
    }
  }

  private async write({ kv, meta }: Opened, state: StateMachine, whenDurable: WhenDurable): Promise<SnapshotWritten> {
    const { tree } = state
    const whole = meta === null || tree.changes === null || tree.changes !== this.tracked || tree.changes.lost
    const generation = whole ? (meta?.generation ?? 0) + 1 : meta.generation
    if (whole) {
      this.tracked = null
      this.acls = new Set()
      tree.changes = everything(state)
    }
    const changes = tree.changes!
    const taken = changes.take()
    const writer = new CheckpointWriter(state, changes, taken, generation, this.acls)
    const durable = (zxid: Zxid): Promise<void> => laterDone((done) => whenDurable(zxid, done))
    let bytes = 0
    try {
      for (let complete = false; !complete; ) {
        complete = this.gather(writer)
        const batch = writer.take(!whole)
        bytes += batch.bytes
        if (batch.opCount > 0) {
          if (!whole) await durable(batch.zxidEnd)
          await kv.batch(batch.ops, false)
        }
        await new Promise<void>((resolve) => {
          setImmediate(resolve)
        })
      }
      const { zxid, end, nodeCount } = writer
      await kv.flush()
      await durable(end.zxid)
      const next: CheckpointMeta = { generation, zxid, fileBytes: tree.dataBytes + tree.nodeCount * FILE_NODE_BYTES }
      await kv.batch(endOps(next, end), true)
      this.opened = { kv, meta: next }
      this.tracked = changes
      this.untidy = whole
      await this.tidy(this.opened)
      return { zxid, zxidEnd: end.zxid, path: this.path, nodeCount, bytes }
    } catch (err) {
      changes.giveBack(taken)
      for (const id of writer.aclsAdded) this.acls.delete(id)
      throw err
    }
  }

  private gather(writer: CheckpointWriter): boolean {
    const startMs = this.nowMs()
    for (;;) {
      if (writer.step(STEP_COUNT)) return true
      if (writer.bytesHeld >= SLICE_BYTES_MAX || writer.opsHeld >= SLICE_OPS_MAX) return false
      if (this.nowMs() - startMs >= SLICE_MS) return false
    }
  }

  /** Removes what a whole checkpoint has replaced, or left when it did not end. */
  private async tidy({ kv, meta }: Opened): Promise<void> {
    if (!this.untidy) return
    if (meta === null) {
      await kv.clear(GENERATIONS_FROM, GENERATIONS_TO)
    } else {
      await kv.clear(GENERATIONS_FROM, generationFrom(meta.generation))
      await kv.clear(generationTo(meta.generation), GENERATIONS_TO)
    }
    this.untidy = false
  }

  // ------------------------------------------------------------------ reading

  /** Rejects with StorageError where there cannot be any. */
  async available(): Promise<void> {
    await this.home.available?.()
  }

  async find(): Promise<Zxid | null> {
    if (this.opened === null && !(await this.home.exists())) return null
    return (await this.open()).meta?.zxid ?? null
  }

  async load(state: StateMachine, onRead: (bytes: number) => void = () => {}): Promise<CheckpointLoaded> {
    const { kv, meta } = await this.open()
    assert(meta !== null, 'load: no checkpoint')
    this.tracked = null
    this.acls = new Set()
    state.tree.clear()
    state.sessions.clear()
    const loader = new Loader(state, this.acls, this.path)
    const reader = kv.read(generationFrom(meta.generation), generationTo(meta.generation))
    // While some entries are put in place, the next are read.
    let ahead = reader.next()
    try {
      for (let bytes = 0; ; ) {
        const entries = await ahead
        if (entries.length === 0) break
        ahead = reader.next()
        // Whoever awaits it gets the error; until then it is not unhandled.
        ahead.catch(() => {})
        for (const [key, value] of entries) {
          loader.onEntry(key, value)
          bytes += key.length + value.length
        }
        onRead(bytes)
      }
      const { end, orphans } = loader.finish()
      // Where something could not be placed the tree is not what the database holds.
      if (orphans === 0) this.tracked = state.tree.changes
      state.zxidLast = meta.zxid
      return { zxid: meta.zxid, nodeCount: state.tree.nodeCount, end }
    } catch (err) {
      throw this.failure('cannot read the checkpoint', err)
    } finally {
      await ahead.catch(() => {})
      await reader.close()
    }
  }

  endError(state: StateMachine, end: CheckpointEnd): StorageError | null {
    const { tree, sessions } = state
    const at = `at zxid 0x${zxidHex(end.zxid)}`
    if (end.counts !== null) {
      const { nodes, sessions: sessionCount } = end.counts
      if (tree.nodeCount !== nodes) return damaged(`${tree.nodeCount} znodes ${at} instead of ${nodes}`, this.path)
      if (sessions.size !== sessionCount)
        return damaged(`${sessions.size} sessions ${at} instead of ${sessionCount}`, this.path)
      if (tree.acls.incomplete) return damaged(`ACLs are missing ${at}`, this.path)
    }
    if (end.digest !== null && tree.hasDigest(ROOT)) {
      const { hi, lo } = end.digest
      if (hi !== (tree.digestHi | 0) || lo !== (tree.digestLo | 0))
        return damaged(`the tree ${at} has another digest than it had when it was written`, this.path)
    }
    return null
  }

  /** Reads all of it and checks each record, beside whatever else goes on. */
  async verify(): Promise<boolean> {
    try {
      const { kv, meta } = await this.open()
      if (meta === null) return false
      const reader = kv.read(generationFrom(meta.generation), generationTo(meta.generation))
      try {
        for (;;) {
          const entries = await reader.next()
          if (entries.length === 0) return true
          for (const [key, value] of entries) if (!isSealed(key, value)) return false
        }
      } finally {
        await reader.close()
      }
    } catch (err) {
      if (err instanceof StorageError) return false
      throw this.failure('cannot read the checkpoint', err)
    }
  }

  // ------------------------------------------------------------------ history

  /** The last checkpoint that ended; -1 where none is known of. */
  get zxid(): Zxid {
    return this.opened?.meta?.zxid ?? -1
  }

  /** What the newest checkpoint would take as a file, about. */
  get fileBytes(): number {
    return this.opened?.meta?.fileBytes ?? 0
  }

  async zxidUpTo(zxid: Zxid): Promise<Zxid> {
    const newest = await this.newestIn()
    return newest !== null && newest.zxidEnd <= zxid ? newest.zxid : -1
  }

  async dropNewerThan(zxid: Zxid): Promise<void> {
    const newest = await this.newestIn()
    if (newest !== null && newest.zxidEnd > zxid) await this.remove()
  }

  /** Infinite where that cannot be read: then it must not stay either. Null where there is no checkpoint. */
  private async newestIn(): Promise<{ zxid: Zxid; zxidEnd: Zxid } | null> {
    if (this.opened === null && !(await this.home.exists())) return null
    try {
      const { kv, meta } = await this.open()
      if (meta === null) return null
      const end = await this.endIn(kv, meta)
      return { zxid: meta.zxid, zxidEnd: Math.max(meta.zxid, end.zxid) }
    } catch (err) {
      if (!(err instanceof StorageError)) throw err
      return { zxid: -1, zxidEnd: Number.POSITIVE_INFINITY }
    }
  }

  private async endIn(kv: Kv, meta: CheckpointMeta): Promise<CheckpointEnd> {
    const key = generationFrom(meta.generation)
    const value = await kv.get(key)
    if (value === null) throw damaged('without an end', this.path)
    return readEnd(key, value, this.path)
  }

  async exists(): Promise<boolean> {
    return this.opened !== null || (await this.home.exists())
  }

  /** Removes the database, durably. */
  async remove(): Promise<void> {
    await this.release()
    this.tracked = null
    await this.home.remove()
  }

  async close(): Promise<void> {
    await this.release()
  }

  // ------------------------------------------------------------------ the database

  private open(): Promise<Opened> {
    if (this.opened !== null) return Promise.resolve(this.opened)
    this.opening ??= this.openHome().finally(() => {
      this.opening = null
    })
    return this.opening
  }

  private async openHome(): Promise<Opened> {
    let kv: Kv
    try {
      kv = await this.home.open()
    } catch (err) {
      throw this.failure('cannot open the checkpoint', err)
    }
    try {
      const value = await kv.get(META_KEY)
      this.opened = { kv, meta: value === null ? null : readMeta(value, this.path) }
      this.untidy = true
      return this.opened
    } catch (err) {
      await kv.close()
      throw this.failure('cannot open the checkpoint', err)
    }
  }

  private async release(): Promise<void> {
    const { opened } = this
    this.opened = null
    if (opened === null) return
    try {
      await opened.kv.close()
    } catch {
      // It has failed before; whoever opens it next finds out.
    }
  }

  private failure(what: string, err: unknown): StorageError {
    if (err instanceof StorageError) return err.file === null ? damaged(err.message, this.path) : err
    const cause = err instanceof Error && err.cause instanceof Error ? `: ${err.cause.message}` : ''
    const message = err instanceof Error ? `${err.message}${cause}` : String(err)
    // What the database calls corruption is damage, not a system that refuses; see repair.ts.
    if (codes(err).includes('LEVEL_CORRUPTION')) return damaged(message, this.path)
    return new StorageError(`${what}: ${message}`, this.path, null, err)
  }
}

function codes(err: unknown): string[] {
  return err instanceof Error ? [errorCode(err), ...codes(err.cause)] : []
}

/** All of a state as changes to a database that has nothing of it. */
function everything(state: StateMachine): Changes {
  const changes = new Changes()
  const pages = state.tree.arena.pageCount
  changes.dirty.addPages(pages)
  changes.fresh.addPages(pages)
  state.sessions.forEach((_timeoutMs, hi, lo) => {
    changes.onSession(hi, lo)
  })
  return changes
}

function endOps(meta: CheckpointMeta, end: CheckpointEnd): KvOp[] {
  return [
    { type: 'put', ...endEntry(meta.generation, { ...end, complete: true }) },
    { type: 'put', key: META_KEY, value: metaValue(meta) },
  ]
}

/** Puts a generation's entries, in their order, into a state. Throws StorageError for what is none. */
class Loader {
  private readonly state: StateMachine
  private readonly acls: Set<number>
  private readonly path: string
  private end: CheckpointEnd | null
  private orphans: number
  /** Path and value side by side, as the tree takes them. */
  private scratch: Uint8Array

  constructor(state: StateMachine, acls: Set<number>, path: string) {
    this.state = state
    this.acls = acls
    this.path = path
    this.end = null
    this.orphans = 0
    this.scratch = new Uint8Array(4096)
  }

  onEntry(key: Uint8Array, value: Uint8Array): void {
    if (!isSealed(key, value)) throw damaged(`a record that does not match its checksum (${keyText(key)})`, this.path)
    const kind = key[KEY_HEAD_BYTES - 1]!
    const length = value.length - CRC_BYTES
    if (kind === Kind.end) this.end = readEnd(key, value, this.path)
    else if (this.end === null) throw damaged('without an end', this.path)
    else if (kind === Kind.session) {
      const timeoutMs = readInt(value, 0)
      this.state.sessions.set(readInt(key, KEY_HEAD_BYTES), readInt(key, KEY_HEAD_BYTES + 4), timeoutMs)
    } else if (kind === Kind.acl) {
      const id = readInt(key, KEY_HEAD_BYTES)
      this.acls.add(id)
      this.state.tree.loadAcl(id, value.slice(0, length))
    } else if (kind === Kind.node) this.onNode(key, value, length)
    else throw damaged(`a record of unknown kind ${kind}`, this.path)
  }

  private onNode(key: Uint8Array, value: Uint8Array, length: number): void {
    const pathEnd = key.length - KEY_HEAD_BYTES
    const bytes = pathEnd + length
    if (bytes > this.scratch.length) this.scratch = new Uint8Array(2 * bytes)
    const { scratch } = this
    const { tree } = this.state
    scratch.set(key.subarray(KEY_HEAD_BYTES), 0)
    scratch.set(value, pathEnd)
    const dataLength = readInt(scratch, pathEnd)
    const dataOff = pathEnd + 4
    const aclOff = dataOff + Math.max(0, dataLength)
    if (dataLength < -1 || aclOff + 8 + STAT_BYTES !== bytes)
      throw damaged(`a znode of odd length (${keyText(key)})`, this.path)
    // A batch that a power failure took had the parent; the log has both.
    if (!this.end!.complete && pathEnd > 0 && !hasParent(this.state, scratch, pathEnd)) {
      this.orphans++
      return
    }
    tree.loadNode(scratch, 0, pathEnd, dataOff, dataLength, longAt(scratch, aclOff), aclOff + 8, false)
  }

  finish(): { end: CheckpointEnd; orphans: number } {
    if (this.end === null) throw damaged('without an end', this.path)
    const { tree, quotas } = this.state
    // From here on the record of changes runs.
    tree.changes = new Changes()
    const { nodeCount } = tree
    tree.finishLoad()
    if (tree.nodeCount !== nodeCount) throw damaged('znodes are missing that every tree has', this.path)
    quotas.rebuild()
    return { end: this.end, orphans: this.orphans }
  }
}

const SLASH = 0x2f

function hasParent({ tree }: StateMachine, path: Uint8Array, end: number): boolean {
  let slash = end - 1
  while (slash > 0 && path[slash] !== SLASH) slash--
  return tree.find(path, 0, slash) !== NO_NODE
}

function keyText(key: Uint8Array): string {
  const { length } = key
  const shown = key.subarray(KEY_HEAD_BYTES, Math.min(length, KEY_HEAD_BYTES + 100))
  return `${key[KEY_HEAD_BYTES - 1] === Kind.node ? 'znode' : 'record'} ${JSON.stringify(new TextDecoder().decode(shown))}`
}
