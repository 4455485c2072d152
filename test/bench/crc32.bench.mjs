/**
 * CRC-32 in JavaScript against the bit of zlib that Node offers, by length. Run after `npm run build`:
 *
 *   node test/bench/crc32.bench.mjs
 */

import * as zlib from 'node:zlib'
import { crc32, statCrc } from '../../dist/datatree/crc32.js'

const MS = 300

function time(name, bytesPerCall, run) {
  let sum = 0
  const until = (ms) => {
    const begin = process.hrtime.bigint()
    let calls = 0
    let ns = 0
    while (ns < ms * 1e6) {
      for (let i = 0; i < 256; i++) sum ^= run(i)
      calls += 256
      ns = Number(process.hrtime.bigint() - begin)
    }
    return ns / calls
  }
  until(MS / 3)
  const ns = until(MS)
  const rate = bytesPerCall === 0 ? '' : `  ${((bytesPerCall / ns) * 1e3).toFixed(0)} MB/s`
  console.log(`${name.padEnd(32)} ${ns.toFixed(1).padStart(10)} ns${rate}`)
  return sum
}

const bytes = new Uint8Array(1 << 20)
for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31) ^ (i >>> 7)

for (const length of [8, 38, 60, 138, 1024, 1 << 20]) {
  time(`crc32 of ${length} bytes`, length, (i) => crc32(i, bytes, 0, length))
  if (zlib.crc32 !== undefined) {
    time(`  zlib.crc32`, length, (i) => zlib.crc32(bytes.subarray(0, length), i))
  }
}
time('statCrc, 60 bytes as words', 60, (i) =>
  statCrc(i, 0x1_0000_0001, 0x1_0000_0002, 0x1_0000_0003, 1_700_000_000_000, 1_700_000_000_001, i, 1, 0, 5, 6),
)
