/**
 * What a znode's ephemeralOwner says about it. Java: EphemeralType, EphemeralTypeEmulate353.
 *
 * ```
 * 0                      persistent
 * 0x8000000000000000     container
 * 0xff 0000 <40 bits>    TTL in ms, if extended types are enabled
 * 0x8... <60 bits>       TTL in ms as 3.5.3 wrote it (any negative value), if that is emulated too
 * else                   the session the znode lives with
 * ```
 * 0xff with another feature than 0000 is an exception in Java; here it is a session like any other.
 */

export const OwnerKind = { none: 0, ephemeral: 1, container: 2, ttl: 3 } as const
export type OwnerKindValue = 0 | 1 | 2 | 3

export const CONTAINER_OWNER_HI = -0x8000_0000
export const TTL_OWNER_TOP = 0xff
export const TTL_MAX_MS = 2 ** 40 - 1

const WORD = 0x1_0000_0000

export function ownerKind(hi: number, lo: number, extended: boolean, emulate353: boolean): OwnerKindValue {
  if ((hi | lo) === 0) return OwnerKind.none
  if (hi >= 0) return OwnerKind.ephemeral
  if (hi === CONTAINER_OWNER_HI && lo === 0) return OwnerKind.container
  if (!extended) return OwnerKind.ephemeral
  if (emulate353) return OwnerKind.ttl
  return hi >>> 8 === TTL_OWNER_TOP << 16 ? OwnerKind.ttl : OwnerKind.ephemeral
}

/** The 40 low bits, which is what Java's reaper takes, emulation or not. */
export function ttlOf(hi: number, lo: number): number {
  return (hi & 0xff) * WORD + (lo >>> 0)
}

/** The high word of a TTL node's owner; the low one is `ttlMs | 0`. */
export function ttlOwnerHi(ttlMs: number): number {
  return (TTL_OWNER_TOP << 24) | Math.floor(ttlMs / WORD)
}
