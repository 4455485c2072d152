/**
 * Reads one snapshot file: decompressed by what its name says, into a target, checked against its seals.
 *
 * Throws StorageError that names the file for anything that is not a whole snapshot. The loop is given back between
 * two pieces, so that a running server can verify its files. `onRead` is told now and then how many bytes are behind.
 */

import { join } from 'node:path'
import { AssertionError } from '../jute/assert.ts'
import { StorageError } from '../jute/errors.ts'
import { ProtocolError } from '../jute/input.ts'
import { decoderFor } from './codec.ts'
import { type Disk, type DiskFile, later, laterDone } from './disk.ts'
import type { SnapshotName } from './names.ts'
import { CUT_SHORT, SnapshotReader, type SnapshotSummary, type SnapshotTarget } from './snapshot.ts'

/** Some milliseconds of parsing at most, between which a server answers others. */
const CHUNK_BYTES = 256 * 1024
/** gzip makes a thousand bytes of one, and all that comes of a chunk is held at once. */
const GZIP_CHUNK_BYTES = 64 * 1024

export async function readSnapshot(
  disk: Disk,
  snapDir: string,
  snapshot: SnapshotName,
  target: SnapshotTarget,
  lengthMax: number,
  onRead?: (bytes: number) => void,
): Promise<SnapshotSummary> {
  const path = join(snapDir, snapshot.name)
  try {
    return await readFile(disk, path, snapshot, target, lengthMax, onRead)
  } catch (err) {
    throw rejection(err, path)
  }
}

/** Whether reading failed because the file just stops, as one does whose writer was killed. */
export function isCutShort(err: StorageError): boolean {
  return err.message.includes(CUT_SHORT)
}

async function readFile(
  disk: Disk,
  path: string,
  snapshot: SnapshotName,
  target: SnapshotTarget,
  lengthMax: number,
  onRead: ((bytes: number) => void) | undefined,
): Promise<SnapshotSummary> {
  const reader = new SnapshotReader(target, 'file', lengthMax)
  const decoder = decoderFor(snapshot.compression)
  const file = await later<DiskFile>((got) => disk.open(path, 'r', got))
  let held = new Uint8Array(0)
  let heldBytes = 0
  const feed = (part: Uint8Array): void => {
    if (heldBytes === 0) {
      const used = reader.push(part, 0, part.length)
      if (used < part.length) keep(part.subarray(used))
      return
    }
    keep(part)
    const used = reader.push(held, 0, heldBytes)
    held.copyWithin(0, used, heldBytes)
    heldBytes -= used
  }
  const keep = (part: Uint8Array): void => {
    if (heldBytes + part.length > held.length) {
      const bigger = new Uint8Array(2 * (heldBytes + part.length))
      bigger.set(held.subarray(0, heldBytes))
      held = bigger
    }
    held.set(part, heldBytes)
    heldBytes += part.length
  }
  // While one piece is parsed, the next is read and decompressed in the pool: two chunks take turns.
  const chunks: Uint8Array[] = []
  let pos = 0
  const next = async (turn: number): Promise<Uint8Array[] | null> => {
    const chunk = chunks[turn % 2]!
    const count = await later<number>((got) => disk.read(file, pos, chunk, 0, chunk.length, got))
    pos += count
    return count === 0 ? null : later<Uint8Array[]>((got) => decoder.push(chunk.subarray(0, count), got))
  }
  let ahead: Promise<Uint8Array[] | null> = Promise.resolve(null)
  try {
    const size = await later<number>((got) => disk.size(file, got))
    const chunkBytesMax = snapshot.compression === 'gz' ? GZIP_CHUNK_BYTES : CHUNK_BYTES
    const chunkBytes = Math.min(chunkBytesMax, Math.max(size, 1))
    chunks.push(new Uint8Array(chunkBytes), new Uint8Array(chunkBytes))
    ahead = next(0)
    for (let turn = 1; ; turn++) {
      const parts = await ahead
      if (parts === null) break
      ahead = next(turn)
      // Whoever awaits it gets the error; until then it is not unhandled.
      ahead.catch(() => {})
      for (const part of parts) feed(part)
      onRead?.(pos)
    }
    for (const part of await later<Uint8Array[]>((got) => decoder.end(got))) feed(part)
    return reader.finish(heldBytes)
  } finally {
    await ahead.catch(() => {})
    decoder.abort()
    await laterDone((done) => disk.close(file, done))
  }
}

/** Damaged bytes show as any of these, depending on how deep they got. */
function rejection(err: unknown, path: string): unknown {
  if (err instanceof StorageError) return err.file === null ? new StorageError(err.message, path, err.offset, err) : err
  if (err instanceof ProtocolError || err instanceof AssertionError) {
    return new StorageError(`damaged snapshot: ${err.message}`, path, null, err)
  }
  return err
}
