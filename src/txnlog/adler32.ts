/**
 * Adler-32, the seal of log records and snapshots (RFC 1950; Java: java.util.zip.Adler32).
 *
 * Two sums modulo 65521. The modulo is taken once per 3,792 bytes, the most for which both sums stay below 2^31 and so
 * in the engine's small integers; four bytes share one step of the second sum, which shortens the chain of additions
 * that bounds the speed. Figures: test/bench/log.bench.mjs.
 */

/** The state before the first byte. */
export const ADLER_START = 1

const MODULUS = 65521
const RUN_BYTES = 3792

/** Continues `state` over bytes; the result is the checksum so far, a uint32. */
export function adler32(state: number, buf: Uint8Array, off: number, end: number): number {
  let a = state & 0xffff
  let b = state >>> 16
  while (off < end) {
    const stop = Math.min(off + RUN_BYTES, end)
    const stopFours = stop - 3
    while (off < stopFours) {
      const b0 = buf[off]!
      const b1 = buf[off + 1]!
      const b2 = buf[off + 2]!
      const b3 = buf[off + 3]!
      b = (b + (a << 2) + (b0 << 2) + b1 + b1 + b1 + b2 + b2 + b3) | 0
      a = (a + b0 + b1 + b2 + b3) | 0
      off += 4
    }
    while (off < stop) {
      a = (a + buf[off++]!) | 0
      b = (b + a) | 0
    }
    a %= MODULUS
    b %= MODULUS
  }
  return ((b << 16) | a) >>> 0
}
