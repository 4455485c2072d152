/**
 * Compression of snapshots: none, gzip, or snappy in xerial's framing. Java: SnapStream.
 *
 *   snappy   82 "SNAPPY" 00 | version int = 1 | compatible int = 1 | {compressed length int, block}*
 *
 * One call at a time: bytes in, some bytes out, in the order they came; `end` gives the rest. Input is borrowed until
 * the answer. gzip runs in libuv's pool. Which codec reads a file follows from its name alone.
 */

import { createGunzip, createGzip, type Gunzip, type Gzip } from 'node:zlib'
import { StorageError } from '../jute/errors.ts'
import { readInt } from '../jute/input.ts'
import { type Done, errorCode, type Got } from './disk.ts'
import type { Compression } from './names.ts'
import { snappyBytesMax, snappyDecode, snappyEncode, snappyLength, snappyTable } from './snappy.ts'
import { CUT_SHORT } from './snapshot.ts'

export interface Codec {
  push(bytes: Uint8Array, got: Got<Uint8Array[]>): void
  end(got: Got<Uint8Array[]>): void
  /** Gives up; nothing is answered any more. */
  abort(): void
}

const XERIAL_MAGIC = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]
/** Uncompressed bytes per block, as snappy-java's default. */
const XERIAL_BLOCK_BYTES = 32 * 1024
/** Larger blocks are possible there; ours are bounded so that a damaged length takes no memory. */
const XERIAL_BLOCK_BYTES_MAX = 32 * 1024 * 1024
const GZIP_CHUNK_BYTES = 256 * 1024

export function encoderFor(compression: Compression): Codec {
  switch (compression) {
    case 'gz':
      return zlibCodec(createGzip({ chunkSize: GZIP_CHUNK_BYTES }))
    case 'snappy':
      return xerialEncoder()
    default:
      return plain()
  }
}

export function decoderFor(compression: Compression): Codec {
  switch (compression) {
    case 'gz':
      return zlibCodec(createGunzip({ chunkSize: GZIP_CHUNK_BYTES }))
    case 'snappy':
      return xerialDecoder()
    default:
      return plain()
  }
}

function plain(): Codec {
  return {
    push: (bytes, got) => got(null, [bytes]),
    end: (got) => got(null, []),
    abort() {},
  }
}

function zlibCodec(stream: Gzip | Gunzip): Codec {
  let collected: Uint8Array[] = []
  let waiting: Done | null = null
  let ending = false
  const settle = (err: Error | null): void => {
    const done = waiting
    waiting = null
    if (done !== null) done(err)
  }
  stream.on('data', (bytes: Uint8Array) => collected.push(bytes))
  stream.on('error', (err) => {
    const what = errorCode(err) === 'Z_BUF_ERROR' ? CUT_SHORT : err.message
    settle(new StorageError(`compressed data: ${what}`, null, null, err))
  })
  // A gzip member that ends before its input does: nothing of ours, and the write then never answers.
  stream.on('end', () => settle(ending ? null : new StorageError('compressed data: bytes behind its end')))
  const take = (got: Got<Uint8Array[]>): void => {
    waiting = (err) => {
      const bytes = collected
      collected = []
      if (err !== null) got(err, null)
      else got(null, bytes)
    }
  }
  return {
    push(bytes, got) {
      take(got)
      stream.write(bytes, () => settle(null))
    },
    end(got) {
      take(got)
      ending = true
      stream.end()
    },
    abort() {
      waiting = null
      stream.destroy()
    },
  }
}

function xerialEncoder(): Codec {
  const table = snappyTable()
  const held = new Uint8Array(XERIAL_BLOCK_BYTES)
  let heldBytes = 0
  let begun = false
  const header = (): Uint8Array[] => {
    if (begun) return []
    begun = true
    return [Uint8Array.from(XERIAL_MAGIC)]
  }
  const block = (bytes: Uint8Array, off: number, end: number): Uint8Array => {
    const into = new Uint8Array(4 + snappyBytesMax(end - off))
    const length = snappyEncode(bytes, off, end, into, 4, table) - 4
    new DataView(into.buffer).setInt32(0, length)
    return into.subarray(0, 4 + length)
  }
  return {
    push(bytes, got) {
      const out = header()
      let at = 0
      while (at < bytes.length) {
        if (heldBytes === 0 && bytes.length - at >= XERIAL_BLOCK_BYTES) {
          out.push(block(bytes, at, at + XERIAL_BLOCK_BYTES))
          at += XERIAL_BLOCK_BYTES
          continue
        }
        const count = Math.min(XERIAL_BLOCK_BYTES - heldBytes, bytes.length - at)
        held.set(bytes.subarray(at, at + count), heldBytes)
        heldBytes += count
        at += count
        if (heldBytes < XERIAL_BLOCK_BYTES) break
        out.push(block(held, 0, heldBytes))
        heldBytes = 0
      }
      got(null, out)
    },
    end(got) {
      const out = header()
      if (heldBytes > 0) out.push(block(held, 0, heldBytes))
      heldBytes = 0
      got(null, out)
    },
    abort() {},
  }
}

function xerialDecoder(): Codec {
  let held = new Uint8Array(0)
  let begun = false
  let offset = 0
  const decode = (bytes: Uint8Array): Uint8Array[] => {
    if (held.length > 0) {
      const both = new Uint8Array(held.length + bytes.length)
      both.set(held)
      both.set(bytes, held.length)
      bytes = both
    }
    const out: Uint8Array[] = []
    let at = 0
    while (bytes.length - at >= 4) {
      // A header may come again where two streams were joined.
      if (!begun || bytes[at] === XERIAL_MAGIC[0]) {
        if (bytes.length - at < XERIAL_MAGIC.length) break
        for (let i = 0; i < 8; i++) if (bytes[at + i] !== XERIAL_MAGIC[i]) throw bad('not snappy', offset + at)
        begun = true
        at += XERIAL_MAGIC.length
        continue
      }
      const length = readInt(bytes, at)
      if (length < 0 || length > snappyBytesMax(XERIAL_BLOCK_BYTES_MAX)) throw bad(`a block of ${length}`, offset + at)
      if (bytes.length - at - 4 < length) break
      const end = at + 4 + length
      const plainBytes = snappyLength(bytes, at + 4, end)
      if (plainBytes > XERIAL_BLOCK_BYTES_MAX) throw bad(`a block of ${plainBytes} uncompressed`, offset + at)
      const block = new Uint8Array(plainBytes)
      snappyDecode(bytes, at + 4, end, block)
      out.push(block)
      at = end
    }
    offset += at
    held = bytes.slice(at)
    return out
  }
  return {
    push(bytes, got) {
      let out: Uint8Array[]
      try {
        out = decode(bytes)
      } catch (err) {
        if (!(err instanceof Error)) throw err
        got(err, null)
        return
      }
      got(null, out)
    },
    end(got) {
      if (held.length > 0 || !begun) got(bad(CUT_SHORT, offset), null)
      else got(null, [])
    },
    abort() {},
  }
}

function bad(what: string, offset: number): StorageError {
  return new StorageError(`compressed data: ${what}`, null, offset)
}
