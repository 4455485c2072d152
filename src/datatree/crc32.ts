/**
 * CRC-32 (IEEE 802.3, reflected), the checksum under Java's tree digest: java.util.zip.CRC32.
 *
 * Slicing by eight: one table per byte position, so eight bytes cost eight independent look-ups instead of a chain of
 * eight. The digest of a znode ends with 60 bytes of Stat that change far more often than its path and data; `statCrc`
 * takes them as words, without a buffer in between. Figures: test/bench/crc32.bench.mjs.
 */

const WORD = 0x1_0000_0000

/** IEEE 802.3, reflected. Never written after this. */
const TABLES = crcTables(0xedb8_8320)

/** Continues `state` (0 at the start) over the bytes; the result is the CRC so far, uint32. */
export function crc32(state: number, buf: Uint8Array, off: number, end: number): number {
  return ~crcOver(TABLES, ~state, buf, off, end) >>> 0
}

/** Continues an inverted state over the bytes, with the tables of any reflected polynomial. */
export function crcOver(t: Int32Array, c: number, buf: Uint8Array, off: number, end: number): number {
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
  return c
}

/**
 * Continues over the 60 bytes of Stat in Java's digest (DigestCalculator.calculateDigest): czxid, mzxid, pzxid, ctime,
 * mtime, version, cversion as persisted, aversion, owner; all big-endian.
 */
export function statCrc(
  state: number,
  czxid: number,
  mzxid: number,
  pzxid: number,
  ctimeMs: number,
  mtimeMs: number,
  version: number,
  cversion: number,
  aversion: number,
  ownerHi: number,
  ownerLo: number,
): number {
  // `| 0` is the low word, two's complement, for every integer of magnitude below 2^53
  let c = ~state
  c = twoWords(c, Math.floor(czxid / WORD), czxid | 0)
  c = twoWords(c, Math.floor(mzxid / WORD), mzxid | 0)
  c = twoWords(c, Math.floor(pzxid / WORD), pzxid | 0)
  c = twoWords(c, Math.floor(ctimeMs / WORD), ctimeMs | 0)
  c = twoWords(c, Math.floor(mtimeMs / WORD), mtimeMs | 0)
  c = twoWords(c, version, cversion)
  c = twoWords(c, aversion, ownerHi)
  return ~oneWord(c, ownerLo) >>> 0
}

/** Eight bytes given as two big-endian words; `c` is the inverted state, before and after. */
export function twoWords(c: number, hi: number, lo: number): number {
  const t = TABLES
  return (
    t[1792 + ((c ^ (hi >>> 24)) & 255)]! ^
    t[1536 + (((c >>> 8) ^ (hi >>> 16)) & 255)]! ^
    t[1280 + (((c >>> 16) ^ (hi >>> 8)) & 255)]! ^
    t[1024 + (((c >>> 24) ^ hi) & 255)]! ^
    t[768 + (lo >>> 24)]! ^
    t[512 + ((lo >>> 16) & 255)]! ^
    t[256 + ((lo >>> 8) & 255)]! ^
    t[lo & 255]!
  )
}

/** Four bytes given as a big-endian word; `c` is the inverted state, before and after. */
export function oneWord(c: number, word: number): number {
  const t = TABLES
  return (
    t[768 + ((c ^ (word >>> 24)) & 255)]! ^
    t[512 + (((c >>> 8) ^ (word >>> 16)) & 255)]! ^
    t[256 + (((c >>> 16) ^ (word >>> 8)) & 255)]! ^
    t[((c >>> 24) ^ word) & 255]!
  )
}

/** Table k, at k * 256: the effect of a byte that is followed by k zero bytes. */
export function crcTables(polynomial: number): Int32Array {
  const t = new Int32Array(2048)
  for (let byte = 0; byte < 256; byte++) {
    let c = byte
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ polynomial : c >>> 1
    t[byte] = c
  }
  for (let i = 256; i < 2048; i++) {
    const before = t[i - 256]!
    t[i] = (before >>> 8) ^ t[before & 255]!
  }
  return t
}
