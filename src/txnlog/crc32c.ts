/** CRC-32C (Castagnoli, reflected), the checksum in LevelDB's files. Pure. */

import { crcOver, crcTables } from '../datatree/crc32.ts'

/** Never written after this. */
const TABLES = crcTables(0x82f6_3b78)

/** Of the bytes, uint32. */
export function crc32c(buf: Uint8Array, off: number, end: number): number {
  return ~crcOver(TABLES, -1, buf, off, end) >>> 0
}
