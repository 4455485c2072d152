/**
 * The tree digest as this test computes it from what clients were told, and as servers leave it on disk.
 *
 * A node counts CRC-32(path, data, czxid, mzxid, pzxid, ctime, mtime, version, creations, aversion, owner); the tree is
 * the sum modulo 2^64 of all nodes outside `/zookeeper/`. Two fields differ from the Stat that a client sees: cversion
 * counts creations only there, and containers and TTL nodes have an owner that clients are not shown.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32, gunzipSync } from 'node:zlib'
import { In } from './wire.mjs'

const LOG_HEADER_BYTES = 16
const TXN_HEADER_BYTES = 32
const DIGEST_BYTES = 12
const TXN_ERROR = -1
const MASK = (1n << 64n) - 1n

/**
 * @param {Map<string, {data: Buffer | null, stat: object}>} tree by path, the root as "/"
 * @param {Map<string, bigint>} hiddenOwners owners that a Stat shows as 0
 */
export function treeDigest(tree, hiddenOwners) {
  let sum = 0n
  for (const [path, { data, stat }] of tree) {
    if (path.startsWith('/zookeeper/')) continue
    sum += BigInt(nodeDigest(path === '/' ? '' : path, data, stat, hiddenOwners.get(path) ?? stat.ephemeralOwner))
  }
  return sum & MASK
}

function nodeDigest(path, data, stat, owner) {
  const fields = Buffer.alloc(60)
  const longs = [stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime]
  for (const [i, value] of longs.entries()) fields.writeBigInt64BE(value, 8 * i)
  fields.writeInt32BE(stat.version, 40)
  fields.writeInt32BE((stat.cversion + stat.numChildren) / 2, 44)
  fields.writeInt32BE(stat.aversion, 48)
  fields.writeBigInt64BE(BigInt.asIntN(64, owner), 52)
  return crc32(fields, crc32(data ?? Buffer.alloc(0), crc32(Buffer.from(path, 'utf8'))))
}

/** The digest that the last change in the log carries, and the zxid of the last record of any kind. */
export function lastLogDigest(versionDirectory) {
  let last = { zxid: 0n, digest: null, records: 0 }
  for (const file of byZxid(versionDirectory, 'log')) last = scanLog(readFileSync(join(versionDirectory, file)), last)
  return last
}

function scanLog(bytes, before) {
  const last = { ...before }
  for (const { entry } of records(bytes)) {
    last.zxid = new In(entry, 12).long() // behind client id and cxid
    last.records++
    if (carriesDigest(entry)) last.digest = BigInt.asUintN(64, entry.readBigInt64BE(entry.length - 8))
  }
  return last
}

/** The records of one log file, as views: `at` is where the record begins, with its checksum. */
function* records(bytes) {
  let at = LOG_HEADER_BYTES
  while (at + 12 <= bytes.length) {
    const length = bytes.readInt32BE(at + 8)
    if (length <= 0 || at + 12 + length >= bytes.length) break // padding, or the torn end that a kill leaves
    yield { at, entry: bytes.subarray(at + 12, at + 12 + length) }
    at += 12 + length + 1
  }
}

function carriesDigest(entry) {
  return entry.readInt32BE(TXN_HEADER_BYTES - 4) !== TXN_ERROR
}

/** Makes the digest of the newest log's last change wrong, and its checksum right again: to see whether it is noticed. */
export function spoilLastDigest(versionDirectory) {
  const file = join(versionDirectory, byZxid(versionDirectory, 'log').at(-1))
  const bytes = readFileSync(file)
  const { at, entry } = [...records(bytes)].filter((record) => carriesDigest(record.entry)).at(-1)
  entry[entry.length - 1] ^= 1
  bytes.writeBigInt64BE(BigInt(adler32(entry)), at)
  writeFileSync(file, bytes)
}

/** Proposals behind the last record of the newest log, as a leader logs them before anybody else does: `error` ones. */
export function appendProposals(versionDirectory, count) {
  const file = join(versionDirectory, byZxid(versionDirectory, 'log').at(-1))
  const bytes = readFileSync(file)
  const last = [...records(bytes)].at(-1)
  const end = last.at + 12 + last.entry.length + 1
  const added = []
  for (let i = 1; i <= count; i++) {
    const record = Buffer.alloc(12 + TXN_HEADER_BYTES + 4 + 1)
    last.entry.copy(record, 12, 0, TXN_HEADER_BYTES)
    record.writeBigInt64BE(new In(last.entry, 12).long() + BigInt(i), 12 + 12)
    record.writeInt32BE(TXN_ERROR, 12 + TXN_HEADER_BYTES - 4)
    record.writeInt32BE(-101, 12 + TXN_HEADER_BYTES)
    record.writeInt32BE(TXN_HEADER_BYTES + 4, 8)
    record.writeBigInt64BE(BigInt(adler32(record.subarray(12, 12 + TXN_HEADER_BYTES + 4))), 0)
    record[record.length - 1] = 0x42
    added.push(record)
  }
  writeFileSync(file, Buffer.concat([bytes.subarray(0, end), ...added]))
}

function adler32(bytes) {
  let a = 1
  let b = 0
  for (const byte of bytes) {
    a = (a + byte) % 65521
    b = (b + a) % 65521
  }
  return b * 65536 + a
}

/** The newest snapshot: its file name, the zxid in it, and its trailer {zxid, digest}. */
export function newestSnapshot(versionDirectory) {
  const file = byZxid(versionDirectory, 'snapshot').at(-1)
  const bytes = uncompressed(file, readFileSync(join(versionDirectory, file)))
  // From the end: seal 13 (checksum and "/"), last zxid 8, seal 13, digest 8, version 4, zxid 8.
  const at = bytes.length - 13 - 8 - 13 - 8 - DIGEST_BYTES
  return {
    file,
    zxidOfName: BigInt(`0x${file.split('.')[1]}`),
    zxid: bytes.readBigInt64BE(at),
    digest: BigInt.asUintN(64, bytes.readBigInt64BE(at + DIGEST_BYTES)),
  }
}

export function byZxid(versionDirectory, kind) {
  const zxid = (name) => Number.parseInt(name.split('.')[1], 16)
  return readdirSync(versionDirectory)
    .filter((name) => new RegExp(`^${kind}\\.[0-9a-f]+(\\.gz|\\.snappy)?$`).test(name))
    .sort((a, b) => zxid(a) - zxid(b))
}

function uncompressed(file, bytes) {
  if (file.endsWith('.gz')) return gunzipSync(bytes)
  if (file.endsWith('.snappy')) return unsnappy(bytes)
  return bytes
}

/** The framing of snappy-java: 16 bytes of header, then blocks, each behind its length. */
function unsnappy(bytes) {
  const blocks = []
  for (let at = 16; at < bytes.length; ) {
    const length = bytes.readInt32BE(at)
    blocks.push(unsnappyBlock(bytes.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  return Buffer.concat(blocks)
}

function unsnappyBlock(block) {
  let at = 0
  let size = 0
  for (let shift = 0; ; shift += 7) {
    const byte = block[at++]
    size |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  const out = Buffer.alloc(size)
  let end = 0
  const copy = (distance, length) => {
    for (let i = 0; i < length; i++, end++) out[end] = out[end - distance] // may overlap: byte by byte
  }
  while (at < block.length) {
    const tag = block[at++]
    const kind = tag & 3
    if (kind === 0) {
      let length = tag >> 2
      if (length >= 60) {
        const width = length - 59
        length = block.readUIntLE(at, width)
        at += width
      }
      block.copy(out, end, at, at + length + 1)
      at += length + 1
      end += length + 1
    } else if (kind === 1) copy(((tag >> 5) << 8) | block[at++], ((tag >> 2) & 7) + 4)
    else {
      const width = kind === 2 ? 2 : 4
      copy(block.readUIntLE(at, width), (tag >> 2) + 1)
      at += width
    }
  }
  return out
}
