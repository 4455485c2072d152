/**
 * Transactions that are proposed and not delivered, in zxid order: their bytes, kept until they are applied.
 *
 * The bytes lie in chunks that are reused once everything in them is delivered, so a steady load allocates nothing.
 * Pure.
 */

import { assert } from '../jute/assert.ts'
import type { Zxid } from '../jute/zxid.ts'

const CHUNK_BYTES = 256 * 1024

interface Chunk {
  bytes: Uint8Array
  used: number
  /** Entries in it that are not delivered yet. */
  alive: number
}

interface Entry {
  zxid: Zxid
  chunk: Chunk
  off: number
  end: number
}

export class Proposals {
  private entries: Entry[]
  private head: number
  private chunk: Chunk
  private spare: Chunk | null

  constructor() {
    this.entries = []
    this.head = 0
    this.chunk = newChunk(CHUNK_BYTES)
    this.spare = null
  }

  get count(): number {
    return this.entries.length - this.head
  }

  /** Copies a transaction in. */
  push(zxid: Zxid, buf: Uint8Array, off: number, end: number): void {
    const bytes = end - off
    if (this.chunk.used + bytes > this.chunk.bytes.length) this.nextChunk(bytes)
    const { chunk } = this
    chunk.bytes.set(buf.subarray(off, end), chunk.used)
    this.entries.push({ zxid, chunk, off: chunk.used, end: chunk.used + bytes })
    chunk.used += bytes
    chunk.alive++
  }

  private nextChunk(bytes: number): void {
    if (this.chunk.alive === 0 && bytes <= this.chunk.bytes.length) {
      this.chunk.used = 0
    } else if (bytes > CHUNK_BYTES) {
      this.chunk = newChunk(bytes)
    } else {
      this.chunk = this.spare ?? newChunk(CHUNK_BYTES)
      this.spare = null
    }
  }

  /** Hands out everything up to `zxid`, oldest first; the bytes are borrowed for the call. */
  deliverUpTo(zxid: Zxid, deliver: (zxid: Zxid, buf: Uint8Array, off: number, end: number) => void): void {
    while (this.head < this.entries.length && this.entries[this.head]!.zxid <= zxid) {
      const entry = this.entries[this.head++]!
      deliver(entry.zxid, entry.chunk.bytes, entry.off, entry.end)
      this.release(entry.chunk)
    }
    if (this.head === this.entries.length) {
      this.entries.length = 0
      this.head = 0
    } else if (this.head > 4096 && this.head * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.head)
      this.head = 0
    }
  }

  private release(chunk: Chunk): void {
    assert(chunk.alive > 0)
    if (--chunk.alive > 0) return
    chunk.used = 0
    if (chunk !== this.chunk && chunk.bytes.length === CHUNK_BYTES) this.spare = chunk
  }
}

function newChunk(bytes: number): Chunk {
  return { bytes: new Uint8Array(bytes), used: 0, alive: 0 }
}
