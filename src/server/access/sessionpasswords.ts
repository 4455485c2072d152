/**
 * Session passwords: whoever knows a session's id and its password may take it up, on any member, which has not stored
 * it but makes it from the id again.
 *
 * Java's is a number series that begins with the id, and the id is no secret: it is in the Stat of every ephemeral. It
 * is the way of every member where any may be Java's. Ours is a hash keyed with a secret that all members have
 * (sessionkeys.ts makes it). Between the two: `accepted` may hold more ways than the one by which passwords are given,
 * so that an ensemble changes over member by member. Pure. Java: ZooKeeperServer.generatePasswd, checkPasswd.
 */

export const PASSWORD_BYTES = 16

/** Writes the password of a session, PASSWORD_BYTES long, to `into` from `at` on. */
export type WritePassword = (hi: number, lo: number, into: Uint8Array, at: number) => void

export interface SessionPasswords {
  /** What clients are given. */
  readonly write: WritePassword
  /** Whose passwords are taken. */
  readonly accepted: readonly WritePassword[]
}

/**
 * 16 bytes of java.util.Random seeded with the id XOR 0xB3415C00. The generator's 48-bit state is kept as two 24-bit
 * halves.
 */
export function writeJavaPassword(hi: number, lo: number, into: Uint8Array, at: number): void {
  // seed = (id ^ 0xB3415C00 ^ 0x5DEECE66D) mod 2^48
  const seedLo = (lo ^ 0xb3415c00 ^ 0xdeece66d) >>> 0
  const seedHi = (hi ^ 0x5) & 0xffff
  let low = seedLo & 0xff_ffff
  let high = ((seedHi << 8) | (seedLo >>> 24)) & 0xff_ffff
  for (let word = 0; word < 4; word++) {
    // state = state * 0x5DEECE66D + 0xB; the multiplier's halves are 0x5DE and 0xECE66D
    const product = low * 0xece66d + 0xb
    const carry = Math.floor(product / 0x100_0000)
    const nextHigh = (high * 0xece66d + low * 0x5de + carry) % 0x100_0000
    low = product % 0x100_0000
    high = nextHigh
    const value = (high << 8) | (low >>> 16) | 0
    for (let byte = 0; byte < 4; byte++) into[at++] = (value >>> (8 * byte)) & 0xff
  }
}

export const JAVA_PASSWORDS: SessionPasswords = { write: writeJavaPassword, accepted: [writeJavaPassword] }

/** Is this the session's password? Takes as long for a wrong one, wherever it differs, as for the right one. */
export function passwordMatches(
  { accepted }: SessionPasswords,
  hi: number,
  lo: number,
  password: Uint8Array | null,
): boolean {
  if ((hi === 0 && lo === 0) || password === null || password.length !== PASSWORD_BYTES) return false
  const own = new Uint8Array(PASSWORD_BYTES)
  let matches = false
  for (const write of accepted) {
    write(hi, lo, own, 0)
    let difference = 0
    for (let i = 0; i < PASSWORD_BYTES; i++) difference |= own[i]! ^ password[i]!
    matches = difference === 0 || matches
  }
  return matches
}
