/**
 * The password of the super user as a salted hash: `DigestAuthenticationProvider.superDigest=super:$scrypt$...`, in place
 * of Java's unsalted SHA-1. Whoever reads the configuration cannot look it up in a table, nor try many in a short time.
 *
 *   $scrypt$ln=14,r=8,p=1$<salt, base64 without padding>$<hash>        the usual notation (PHC)
 *
 * A check takes some 50 ms on a thread of its own. There is one at a time and a few that wait: a stranger who claims to be
 * the super user all the time costs the server one thread, and keeps nobody but the super user waiting.
 */

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import type { SuperPassword, Verdict } from './auth.ts'

interface Cost {
  readonly logN: number
  readonly r: number
  readonly p: number
}

/** What `zoowarden super-password` makes: 16 MB and some 50 ms. */
const COST: Cost = { logN: 14, r: 8, p: 1 }
const SALT_BYTES = 16
const HASH_BYTES = 32
/** Checks that wait; more are not made. */
const WAITING_MAX = 16

export interface SuperHash {
  readonly user: string
  readonly cost: Cost
  readonly salt: Uint8Array
  readonly hash: Uint8Array
}

/** Is this meant to be a salted hash? Else it is Java's `user:base64`. */
export function isSuperHash(text: string): boolean {
  return /^[^:]*:\$/.test(text)
}

/** Null for one that is malformed, or would cost too much or too little. */
export function parseSuperHash(text: string): SuperHash | null {
  const found = /^([^:]+):\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(text)
  if (found === null) return null
  const [, user, ...rest] = found
  const [logN, r, p] = rest.slice(0, 3).map(Number) as [number, number, number]
  if (logN < 10 || logN > 17 || r < 1 || r > 16 || p < 1 || p > 4) return null
  const salt = Buffer.from(rest[3]!, 'base64')
  const hash = Buffer.from(rest[4]!, 'base64')
  if (salt.length < 8 || hash.length < 16 || hash.length > 64) return null
  return { user: user!, cost: { logN, r, p }, salt, hash }
}

/** The text for the configuration. */
export async function hashSuperPassword(user: string, password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await derive(password, salt, COST, HASH_BYTES)
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replaceAll('=', '')
  return `${user}:$scrypt$ln=${COST.logN},r=${COST.r},p=${COST.p}$${base64(salt)}$${base64(hash)}`
}

function derive(password: string, salt: Uint8Array, { logN, r, p }: Cost, bytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const N = 2 ** logN
    scrypt(password, salt, bytes, { N, r, p, maxmem: 256 * N * r }, (err, key) => (err ? reject(err) : resolve(key)))
  })
}

/** One for the life of a server. */
export function superPassword({ user, cost, salt, hash }: SuperHash): SuperPassword {
  let last: Promise<void> = Promise.resolve()
  let waiting = 0
  return {
    user,
    check(password, done) {
      if (waiting >= WAITING_MAX) {
        setImmediate(() => done('busy'))
        return
      }
      waiting++
      last = last
        .then(() => derive(password, salt, cost, hash.length))
        .then(
          (key): Verdict => (timingSafeEqual(key, hash) ? 'right' : 'wrong'),
          (): Verdict => 'busy', // no memory for it just now
        )
        .then((verdict) => {
          waiting--
          setImmediate(() => done(verdict)) // what goes wrong in there is not this chain's
        })
    },
  }
}
