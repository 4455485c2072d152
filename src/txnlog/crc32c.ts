/** CRC-32C (Castagnoli, reflected), the checksum in LevelDB's files; slicing by eight, as datatree/crc32.ts. Pure. */

const POLYNOMIAL = 0x82f6_3b78 | 0

/** Table k, at k * 256: the effect of a byte that is followed by k zero bytes. Never written after this. */
const TABLES = makeTables()

/** Of the bytes, uint32. */
export function crc32c(buf: Uint8Array, off: number, end: number): number {
  const t = TABLES
  let c = -1
  while (end - off >= 8) {
    c ^= buf[off]! | (buf[off + 1]! << 8) | (buf[off + 2]! << 16) | (buf[off + 3]! << 24)
    c =
      t[1792 + (c & 255)]! ^
      t[1536 + ((c >>> 8) & 255)]! ^
      t[1280 + ((c >>> 16) & 255)]! ^
      t[1024 + (c >>> 24)]! ^
      t[768 + buf[off + 4]!]! ^
      t[512 + buf[off + 5]!]! ^
      t[256 + buf[off + 6]!]! ^
      t[buf[off + 7]!]!
    off += 8
  }
  while (off < end) c = t[(c ^ buf[off++]!) & 255]! ^ (c >>> 8)
  return ~c >>> 0
}

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256)
  for (let i = 0; i < 256; i++) {
    let c = i
    for (let bit = 0; bit < 8; bit++) c = (c & 1) !== 0 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1
    tables[i] = c
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256]!
    tables[i] = tables[before & 255]! ^ (before >>> 8)
  }
  return tables
}
