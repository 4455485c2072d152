/**
 * A key-value database as one file of the simulated disk, so that power can be lost at each call it makes: batches one
 * behind the other, each with length and CRC-32; what does not check at the end never was.
 */

import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { type Disk, type DiskFile, errorCode, later, laterDone, removeIfThere } from '../../src/txnlog/disk.ts'
import type { Kv, KvHome, KvOp, KvReader } from '../../src/txnlog/kv.ts'

const HEAD_BYTES = 8

export class DiskKv implements KvHome {
  readonly path: string
  private readonly disk: Disk

  constructor(disk: Disk, path: string) {
    this.disk = disk
    this.path = path
  }

  async exists(): Promise<boolean> {
    const names = await later<string[]>((got) => this.disk.list(dirname(this.path), got))
    return names.includes(this.path.slice(dirname(this.path).length + 1))
  }

  async open(): Promise<Kv> {
    const { disk, path } = this
    let file: DiskFile
    try {
      file = await later<DiskFile>((got) => disk.open(path, 'r+', got))
    } catch (err) {
      if (errorCode(err) !== 'ENOENT') throw err
      file = await later<DiskFile>((got) => disk.create(path, got))
    }
    const bytes = new Uint8Array(await later<number>((got) => disk.size(file, got)))
    await later<number>((got) => disk.read(file, 0, bytes, 0, bytes.length, got))
    const content = new Map<string, Uint8Array>()
    const end = replay(bytes, content)
    if (end < bytes.length) await laterDone((done) => disk.truncate(file, end, done))
    await laterDone((done) => disk.sync(file, done))
    await laterDone((done) => disk.syncDir(dirname(path), done))
    return new OpenKv(disk, file, end, content)
  }

  async remove(): Promise<void> {
    await removeIfThere(this.disk, this.path)
    await laterDone((done) => this.disk.syncDir(dirname(this.path), done))
  }
}

class OpenKv implements Kv {
  private readonly disk: Disk
  private readonly file: DiskFile
  private end: number
  private readonly content: Map<string, Uint8Array>

  constructor(disk: Disk, file: DiskFile, end: number, content: Map<string, Uint8Array>) {
    this.disk = disk
    this.file = file
    this.end = end
    this.content = content
  }

  get(key: Uint8Array): Promise<Uint8Array | null> {
    return Promise.resolve(this.content.get(textOf(key))?.slice() ?? null)
  }

  read(from: Uint8Array, to: Uint8Array): KvReader {
    let keys: string[] | null = this.between(from, to)
    return {
      next: () => {
        const entries = (keys ?? []).map((key) => [Buffer.from(key, 'latin1'), this.content.get(key)!.slice()] as const)
        keys = null
        return Promise.resolve(entries)
      },
      close: () => Promise.resolve(),
    }
  }

  async batch(ops: Iterable<KvOp>, durable: boolean): Promise<void> {
    const record = recordOf(ops)
    await laterDone((done) => this.disk.write(this.file, this.end, [record], done))
    this.end += record.length
    replay(record, this.content)
    if (durable) await this.flush()
  }

  flush(): Promise<void> {
    return laterDone((done) => this.disk.sync(this.file, done))
  }

  async clear(from: Uint8Array, to: Uint8Array): Promise<void> {
    for (const key of this.between(from, to))
      await this.batch([{ type: 'del', key: Buffer.from(key, 'latin1') }], false)
  }

  close(): Promise<void> {
    return laterDone((done) => this.disk.close(this.file, done))
  }

  private between(from: Uint8Array, to: Uint8Array): string[] {
    return [...this.content.keys()].filter((key) => key >= textOf(from) && key < textOf(to)).sort()
  }
}

/** length 4 | CRC-32 4 | then per operation: value's length + 1, or 0 for a removal, 4 | key's length 4 | key | value. */
function recordOf(ops: Iterable<KvOp>): Uint8Array {
  const parts: Uint8Array[] = []
  for (const op of ops) {
    const value = op.type === 'put' ? op.value : null
    const head = Buffer.alloc(8)
    head.writeInt32BE(value === null ? 0 : value.length + 1, 0)
    head.writeInt32BE(op.key.length, 4)
    parts.push(head, op.key, value ?? new Uint8Array(0))
  }
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeInt32BE(body.length, 0)
  head.writeUInt32BE(crc32(body), 4)
  return new Uint8Array(Buffer.concat([head, body]))
}

/** Applies whole records; returns where the last one ends. */
function replay(bytes: Uint8Array, content: Map<string, Uint8Array>): number {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = 0
  while (at + HEAD_BYTES <= view.length) {
    const from = at + HEAD_BYTES
    const end = from + view.readInt32BE(at)
    if (end <= from || end > view.length || crc32(view.subarray(from, end)) !== view.readUInt32BE(at + 4)) break
    for (let op = from; op < end; ) {
      const valueLength = view.readInt32BE(op) - 1
      const keyEnd = op + 8 + view.readInt32BE(op + 4)
      const key = view.toString('latin1', op + 8, keyEnd)
      op = keyEnd + Math.max(0, valueLength)
      if (valueLength < 0) content.delete(key)
      else content.set(key, Uint8Array.from(view.subarray(keyEnd, op)))
    }
    at = end
  }
  return at
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1')
}
