/**
 * Length-prefixed frames out of arbitrary chunks.
 *
 * A frame that lies whole in a chunk is handed out in place (borrowed); only a frame cut by a chunk's end is gathered
 * in memory of its own, allocated when its length has been checked. The consumer may stop between two frames (back
 * pressure): the rest of the chunk is kept and goes first when it says `resume`.
 * Java: NIOServerCnxn.readLength and readPayload.
 */

import { readInt } from './input.ts'

const NO_BYTES = new Uint8Array(0)
/** Enough to say what a frame was about. */
const BAD_START_MAX = 512

/** Returns false to stop after this frame. */
export type OnFrame = (buf: Uint8Array, off: number, end: number) => boolean

export class FrameReader {
  /** The length that could not be accepted, once `push` or `resume` has returned 'bad'. */
  badLength: number
  /** Of that frame, what is here; some of it at most. Owned. */
  badStart: Uint8Array
  private readonly lengthMax: number
  private readonly onFrame: OnFrame
  /** A cut frame, its length prefix included, and how much of it is here. */
  private partial: Uint8Array | null
  private partialBytes: number
  private readonly prefix: Uint8Array
  private prefixBytes: number
  /** The rest of a chunk behind a stop. */
  private rest: Uint8Array | null
  /** The rest that is gone on with. */
  private walked: Uint8Array | null

  /** `lengthMax`: a frame longer than this, or of negative length, is refused (jute.maxbuffer). */
  constructor(lengthMax: number, onFrame: OnFrame) {
    this.badLength = 0
    this.badStart = NO_BYTES
    this.lengthMax = lengthMax
    this.onFrame = onFrame
    this.partial = null
    this.partialBytes = 0
    this.prefix = new Uint8Array(4)
    this.prefixBytes = 0
    this.rest = null
    this.walked = null
  }

  /** True while a stop is in force: the caller should not read from the socket. */
  get stopped(): boolean {
    return this.rest !== null
  }

  /** Bytes of a cut frame that are held here; an idle connection at a frame's edge holds none. */
  get bytesHeld(): number {
    return this.prefixBytes + this.partialBytes + (this.rest?.length ?? 0)
  }

  /** Takes a chunk (borrowed until return, except behind a stop, when its rest is copied). */
  push(chunk: Uint8Array): 'ok' | 'stopped' | 'bad' {
    if (this.rest !== null) {
      const both = new Uint8Array(this.rest.length + chunk.length)
      both.set(this.rest)
      both.set(chunk, this.rest.length)
      this.rest = both
      return 'stopped'
    }
    return this.walk(chunk)
  }

  /** Goes on behind a stop. */
  resume(): 'ok' | 'stopped' | 'bad' {
    const rest = this.rest
    if (rest === null) return 'ok'
    this.rest = null
    this.walked = rest
    const result = this.walk(rest)
    this.walked = null
    return result
  }

  private walk(chunk: Uint8Array): 'ok' | 'stopped' | 'bad' {
    const end = chunk.length
    let off = 0
    while (off < end) {
      if (this.partial !== null) {
        const partial = this.partial
        const wanted = Math.min(partial.length - this.partialBytes, end - off)
        partial.set(chunk.subarray(off, off + wanted), this.partialBytes)
        this.partialBytes += wanted
        off += wanted
        if (this.partialBytes < partial.length) return 'ok'
        this.partial = null
        this.partialBytes = 0
        if (!this.onFrame(partial, 0, partial.length)) return this.stop(chunk, off)
        continue
      }
      if (this.prefixBytes > 0 || end - off < 4) {
        this.prefix[this.prefixBytes++] = chunk[off++]!
        if (this.prefixBytes < 4) continue
        this.prefixBytes = 0
        const length = readInt(this.prefix, 0)
        if (length < 0 || length > this.lengthMax) return this.bad(length, chunk, off)
        this.partial = new Uint8Array(length)
        if (length === 0) {
          this.partial = null
          if (!this.onFrame(chunk, off, off)) return this.stop(chunk, off)
        }
        continue
      }
      const length = readInt(chunk, off)
      if (length < 0 || length > this.lengthMax) return this.bad(length, chunk, off + 4)
      if (end - off - 4 >= length) {
        off += 4 + length
        if (!this.onFrame(chunk, off - length, off)) return this.stop(chunk, off)
      } else {
        this.partial = new Uint8Array(length)
        off += 4
      }
    }
    return 'ok'
  }

  private stop(chunk: Uint8Array, off: number): 'stopped' {
    if (chunk === this.walked) {
      this.rest = chunk.subarray(off) // ours already: a stop behind each frame must not copy all that follows each time
      return 'stopped'
    }
    // Not `slice`: a Buffer's shares its memory, and would keep the whole chunk alive besides.
    this.rest = new Uint8Array(chunk.length - off)
    this.rest.set(chunk.subarray(off))
    return 'stopped'
  }

  private bad(length: number, chunk: Uint8Array, off: number): 'bad' {
    this.badLength = length
    const bytes = Math.min(chunk.length - off, Math.max(0, length), BAD_START_MAX)
    this.badStart = new Uint8Array(bytes)
    this.badStart.set(chunk.subarray(off, off + bytes))
    return 'bad'
  }
}
