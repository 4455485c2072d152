/**
 * The snapshot format of Java, written by pull and read by push. Pure; compression is another layer (codec.ts).
 *
 *   1  header      "ZKSN" | version int = 2 | dbid long = -1                                          file only
 *   2  sessions    int n | n * {id long, timeout ms int}
 *   3  ACLs        int n | n * {id long, vector<ACL>}
 *   4  nodes       {path ustring, data buffer, aclId long, StatPersisted 60}, the root first, as ""
 *   5  end         ustring "/"
 *   6  seal        Adler-32 of all before it as a long | ustring "/"                                  file only
 *   7  digest      zxid long | version int = 2 | tree digest long; then a seal                        optional
 *   8  last zxid   long; then a seal                                                                  optional
 *
 * Every seal covers all bytes from the file's start, earlier seals included. The stream form (sections 2 to 5) is what
 * a leader sends to a learner. Neither form has a length in front: the reader says how much it consumed.
 *
 * The optional sections do not say whether they are there, Java goes by its own settings; the reader here tries the
 * combinations and lets the seals decide. A file may end behind any seal.
 *
 * Fuzzy: nodes are written one by one from the live tree. The file is named by the last zxid when writing began;
 * sections 7 and 8 name the last zxid when it ended. Everything in between has to be replayed from the log.
 * Java: FileSnap, SerializeUtils, DataTree.serialize.
 */

import type { StateMachine } from '../datatree/apply.ts'
import type { TreeWalk } from '../datatree/walk.ts'
import { StorageError } from '../jute/errors.ts'
import { readInt } from '../jute/input.ts'
import type { Output } from '../jute/output.ts'
import type { Zxid } from '../jute/zxid.ts'
import { ADLER_START, adler32 } from './adler32.ts'

export type SnapshotForm = 'file' | 'stream'

export interface SnapshotSections {
  /** Section 7 (zookeeper.digest.enabled). */
  digest: boolean
  /** Section 8 (zookeeper.serializeLastProcessedZxid.enabled). */
  lastZxid: boolean
}

export interface ZxidAndDigest {
  zxid: Zxid
  hi: number
  lo: number
}

/** What a snapshot says of itself besides its content. */
export interface SnapshotSummary {
  sessionCount: number
  aclCount: number
  nodeCount: number
  /** Bytes before compression. */
  bytes: number
  /** Section 7, where its digest is of a version that we compare. */
  digest: ZxidAndDigest | null
  /** The last zxid that may be in it, from sections 7 and 8; null where it has neither. */
  zxidEnd: Zxid | null
}

/** Where a snapshot is read into. Bytes are borrowed. */
export interface SnapshotTarget {
  onSession(hi: number, lo: number, timeoutMs: number): void
  onAcl(id: number, bytes: Uint8Array): void
  onNode(
    buf: Uint8Array,
    pathOff: number,
    pathEnd: number,
    dataOff: number,
    dataLength: number,
    aclId: number,
    statOff: number,
  ): void
}

/** How an error says that a file just stops, as one whose writer was killed does. */
export const CUT_SHORT = 'cut short'

const MAGIC = 0x5a4b534e
const VERSION = 2
const DIGEST_VERSION = 2
const HEADER_BYTES = 16
const SEAL_BYTES = 13
const STAT_BYTES = 60
const SLASH = 0x2f
const WORD = 0x1_0000_0000
/** All that may follow the nodes is shorter: two seals, digest, zxid, and a digest in text from before 3.6. */
const TRAILER_BYTES_MAX = 512
/** Lengths of a trailer that is all there: seal 1, and the optional sections. */
const TRAILER_BYTES: readonly number[] = [13, 13 + 21, 13 + 33, 13 + 33 + 21]
/** A length that is not all there yet. */
const INCOMPLETE = -2

/** A snapshot of a live state, in slices. The tree may change between two of them. */
export class SnapshotWriter {
  /** The state's last zxid when writing began: the file's name. */
  readonly zxid: Zxid
  /** The state's last zxid when the nodes were all written; -1 before. */
  zxidEnd: Zxid
  nodeCount: number
  private readonly state: StateMachine
  private readonly form: SnapshotForm
  private readonly sections: SnapshotSections
  private readonly walk: TreeWalk
  private adler: number
  private begun: boolean

  constructor(state: StateMachine, form: SnapshotForm, sections: SnapshotSections) {
    this.zxid = state.zxidLast
    this.zxidEnd = -1
    this.nodeCount = 0
    this.state = state
    this.form = form
    this.sections = sections
    this.walk = state.tree.walk()
    this.adler = ADLER_START
    this.begun = false
  }

  /**
   * Appends some `bytesMax` bytes, more by at most one node (the first slice: by the tables). True when the snapshot
   * is complete.
   */
  step(out: Output, bytesMax: number): boolean {
    const from = out.pos
    if (!this.begun) this.writeTables(out)
    this.begun = true
    let more = true
    while (more && out.pos - from < bytesMax) {
      more = this.walk.next(out)
      if (more) this.nodeCount++
    }
    if (!more) {
      this.zxidEnd = this.state.zxidLast
      writeSlash(out)
    }
    if (this.form === 'stream') return !more
    this.adler = adler32(this.adler, out.buf, from, out.pos)
    if (more) return false
    this.writeTrailer(out)
    return true
  }

  /** Gives up the walk; needed unless `step` has returned true. */
  close(): void {
    this.walk.close()
  }

  /** The ACL table is taken before any node; the walk, begun in the same breath, never names a list younger than it. */
  private writeTables(out: Output): void {
    if (this.form === 'file') {
      out.int(MAGIC)
      out.int(VERSION)
      out.words(-1, -1)
    }
    out.int(this.state.sessions.size)
    this.state.sessions.forEach((timeoutMs, hi, lo) => {
      out.words(hi, lo)
      out.int(timeoutMs)
    })
    out.int(this.state.tree.acls.size)
    this.state.tree.acls.forEach((id, bytes) => {
      out.long(id)
      out.raw(bytes)
    })
  }

  private writeTrailer(out: Output): void {
    this.seal(out, out.pos)
    if (this.sections.digest) {
      const from = out.pos
      out.long(this.zxidEnd)
      out.int(DIGEST_VERSION)
      out.words(this.state.tree.digestHi, this.state.tree.digestLo)
      this.seal(out, from)
    }
    if (this.sections.lastZxid) {
      const from = out.pos
      out.long(this.zxidEnd)
      this.seal(out, from)
    }
  }

  private seal(out: Output, from: number): void {
    this.adler = adler32(this.adler, out.buf, from, out.pos)
    const at = out.pos
    out.words(0, this.adler)
    writeSlash(out)
    this.adler = adler32(this.adler, out.buf, at, out.pos)
  }
}

type Section = 'header' | 'sessions' | 'acls' | 'nodes' | 'trailer' | 'done'

/** Reads a snapshot as its bytes come in. Throws StorageError (offset in the uncompressed bytes) for what is none. */
export class SnapshotReader {
  private readonly target: SnapshotTarget
  private readonly form: SnapshotForm
  private readonly lengthMax: number
  private section: Section
  /** Elements left in a table; -1 before its count. */
  private left: number
  private sessionCount: number
  private aclCount: number
  private nodeCount: number
  /** Bytes consumed before the current call. */
  private base: number
  private adler: number
  private readonly trailer: Uint8Array
  private trailerBytes: number

  /** `lengthMax`: the longest path, data or ACL part believed (jute.maxbuffer plus jute.maxbuffer.extrasize). */
  constructor(target: SnapshotTarget, form: SnapshotForm, lengthMax: number) {
    this.target = target
    this.form = form
    this.lengthMax = lengthMax
    this.section = form === 'file' ? 'header' : 'sessions'
    this.left = -1
    this.sessionCount = 0
    this.aclCount = 0
    this.nodeCount = 0
    this.base = 0
    this.adler = ADLER_START
    this.trailer = new Uint8Array(TRAILER_BYTES_MAX)
    this.trailerBytes = 0
  }

  /** The stream form has been read to its end; what follows belongs to somebody else. */
  get done(): boolean {
    return this.section === 'done'
  }

  /** Consumes whole elements; returns where it stopped. The rest is to be offered again with more behind it. */
  push(buf: Uint8Array, off: number, end: number): number {
    let at = off
    if (this.section !== 'trailer') {
      const body = this.readBody(buf, off, end)
      if (this.form === 'file') this.adler = adler32(this.adler, buf, off, body)
      at = body
    }
    if (this.section === 'trailer') {
      if (end - at > TRAILER_BYTES_MAX - this.trailerBytes) this.fail('more bytes behind the end', at - off)
      this.trailer.set(buf.subarray(at, end), this.trailerBytes)
      this.trailerBytes += end - at
      at = end
    }
    this.base += at - off
    return at
  }

  /** To be called at the end of a file: checks the seals. `unread`: bytes of a last element that stayed unconsumed. */
  finish(unread: number): SnapshotSummary {
    if (this.section !== (this.form === 'file' ? 'trailer' : 'done')) this.fail(CUT_SHORT, unread)
    const summary: SnapshotSummary = {
      sessionCount: this.sessionCount,
      aclCount: this.aclCount,
      nodeCount: this.nodeCount,
      bytes: this.base,
      digest: null,
      zxidEnd: null,
    }
    if (this.form === 'file') this.readTrailer(summary)
    return summary
  }

  private readBody(buf: Uint8Array, off: number, end: number): number {
    let at = off
    for (let before = -1; at !== before; ) {
      before = at
      switch (this.section) {
        case 'header':
          if (end - at < HEADER_BYTES) break
          if (readInt(buf, at) !== MAGIC) this.fail('not a snapshot', at - off)
          if (readInt(buf, at + 4) !== VERSION) this.fail(`version ${readInt(buf, at + 4)}`, at - off)
          this.section = 'sessions'
          at += HEADER_BYTES
          break
        case 'sessions':
          at = this.readTable(buf, off, at, end)
          break
        case 'acls':
          at = this.readTable(buf, off, at, end)
          break
        case 'nodes':
          at = this.readNodes(buf, off, at, end)
          break
        default:
          return at
      }
    }
    return at
  }

  /** Sessions or ACLs: a count, then elements. */
  private readTable(buf: Uint8Array, off: number, at: number, end: number): number {
    const sessions = this.section === 'sessions'
    if (this.left < 0) {
      if (end - at < 4) return at
      this.left = readInt(buf, at)
      if (this.left < 0) this.fail(`a table of ${this.left} elements`, at - off)
      at += 4
    }
    while (this.left > 0) {
      const next = sessions ? this.readSession(buf, at, end) : this.readAcl(buf, off, at, end)
      if (next < 0) return at
      at = next
      this.left--
    }
    this.left = -1
    this.section = sessions ? 'acls' : 'nodes'
    return at
  }

  private readSession(buf: Uint8Array, at: number, end: number): number {
    if (end - at < 12) return -1
    this.target.onSession(readInt(buf, at), readInt(buf, at + 4), readInt(buf, at + 8))
    this.sessionCount++
    return at + 12
  }

  private readAcl(buf: Uint8Array, off: number, at: number, end: number): number {
    if (end - at < 12) return -1
    const count = readInt(buf, at + 8)
    let next = at + 12
    for (let i = 0; i < count; i++) {
      next += 4
      for (let part = 0; part < 2; part++) {
        const length = this.lengthAt(buf, off, next, end)
        if (length === INCOMPLETE) return -1
        next += 4 + Math.max(0, length)
      }
      // A request brought the list, so it is no longer than one; else a count gone wrong would gather the whole file.
      if (next - at > 8 + this.lengthMax) this.fail(`an ACL of ${count} entries`, at - off)
      if (next > end) return -1
    }
    this.target.onAcl(longAt(buf, at), buf.subarray(at + 8, next))
    this.aclCount++
    return next
  }

  private readNodes(buf: Uint8Array, off: number, at: number, end: number): number {
    const { target } = this
    for (;;) {
      const pathLength = this.lengthAt(buf, off, at, end)
      if (pathLength === INCOMPLETE) return at
      if (pathLength < 0) this.fail('a node without a path', at - off)
      const pathOff = at + 4
      const pathEnd = pathOff + pathLength
      if (pathEnd > end) return at
      if (pathLength === 1 && buf[pathOff] === SLASH) {
        this.section = this.form === 'file' ? 'trailer' : 'done'
        return pathEnd
      }
      const dataLength = this.lengthAt(buf, off, pathEnd, end)
      if (dataLength === INCOMPLETE) return at
      const dataOff = pathEnd + 4
      const aclOff = dataOff + Math.max(0, dataLength)
      const statOff = aclOff + 8
      if (statOff + STAT_BYTES > end) return at
      target.onNode(buf, pathOff, pathEnd, dataOff, dataLength, longAt(buf, aclOff), statOff)
      this.nodeCount++
      at = statOff + STAT_BYTES
    }
  }

  /** A length at `at`, checked; -1 for null, INCOMPLETE where it is not all there. */
  private lengthAt(buf: Uint8Array, off: number, at: number, end: number): number {
    if (end - at < 4) return INCOMPLETE
    const length = readInt(buf, at)
    if (length < -1 || length > this.lengthMax) this.fail(`unreasonable length ${length}`, at - off)
    return length
  }

  private readTrailer(summary: SnapshotSummary): void {
    const { trailer, trailerBytes } = this
    if (trailerBytes < SEAL_BYTES) this.fail(CUT_SHORT, 0)
    if (!this.sealAt(this.adler, 0)) this.fail('the seal does not match', 0)
    let sealed = adler32(this.adler, trailer, 0, SEAL_BYTES)
    let at = SEAL_BYTES
    const digestBytes = this.digestBytesAt(at)
    if (digestBytes > 0) {
      const covered = adler32(sealed, trailer, at, at + digestBytes)
      if (this.sealAt(covered, at + digestBytes)) {
        const zxid = longAt(trailer, at)
        summary.zxidEnd = zxid
        if (readInt(trailer, at + 8) === DIGEST_VERSION) {
          summary.digest = { zxid, hi: readInt(trailer, at + 12), lo: readInt(trailer, at + 16) }
        }
        at += digestBytes
        sealed = adler32(covered, trailer, at, at + SEAL_BYTES)
        at += SEAL_BYTES
      }
    }
    if (trailerBytes - at === 8 + SEAL_BYTES) {
      if (!this.sealAt(adler32(sealed, trailer, at, at + 8), at + 8)) this.fail('a later seal does not match', 0)
      summary.zxidEnd = Math.max(summary.zxidEnd ?? 0, longAt(trailer, at))
      at += 8 + SEAL_BYTES
    }
    if (at === trailerBytes) return
    this.fail(TRAILER_BYTES.includes(trailerBytes) ? 'a later seal does not match' : CUT_SHORT, 0)
  }

  /** Length of the digest section if one can stand at `at`, else 0. Versions below 2 hold text. */
  private digestBytesAt(at: number): number {
    const left = this.trailerBytes - at - SEAL_BYTES
    if (left < 16) return 0
    const bytes = readInt(this.trailer, at + 8) < 2 ? 16 + readInt(this.trailer, at + 12) : 20
    return bytes >= 16 && bytes <= left ? bytes : 0
  }

  private sealAt(adler: number, at: number): boolean {
    const { trailer } = this
    return (
      this.trailerBytes >= at + SEAL_BYTES &&
      readInt(trailer, at) === 0 &&
      readInt(trailer, at + 4) >>> 0 === adler &&
      readInt(trailer, at + 8) === 1 &&
      trailer[at + 12] === SLASH
    )
  }

  private fail(message: string, ahead: number): never {
    throw new StorageError(`damaged snapshot: ${message}`, null, this.base + ahead)
  }
}

/** A target that fills a fresh state. Session and ACL tables come before the nodes. */
export function loadInto(state: StateMachine): SnapshotTarget {
  const tree = state.tree
  tree.clear()
  state.sessions.clear()
  return {
    onSession: (hi, lo, timeoutMs) => state.sessions.set(hi, lo, timeoutMs),
    onAcl: (id, bytes) => tree.loadAcl(id, bytes),
    onNode: (buf, pathOff, pathEnd, dataOff, dataLength, aclId, statOff) => {
      tree.loadNode(buf, pathOff, pathEnd, dataOff, dataLength, aclId, statOff)
    },
  }
}

/** A target that only lets the reader check. */
export function loadNowhere(): SnapshotTarget {
  return { onSession() {}, onAcl() {}, onNode() {} }
}

function longAt(buf: Uint8Array, at: number): number {
  return readInt(buf, at) * WORD + (readInt(buf, at + 4) >>> 0)
}

function writeSlash(out: Output): void {
  out.int(1)
  out.byte(SLASH)
}
