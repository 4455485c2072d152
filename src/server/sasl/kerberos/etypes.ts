/**
 * The encryption types of Kerberos that are still good: AES with HMAC-SHA1 (RFC 3962) and with HMAC-SHA2 (RFC 8009).
 *
 * Everything is derived from a base key and a usage number; a ciphertext carries a confounder of 16 bytes in front and
 * an HMAC behind. DES, triple DES and RC4 are not here, and their keys are not used.
 */

import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { SaslError } from '../mechanism.ts'
import { concat } from './der.ts'

export interface EncryptionKey {
  readonly etype: number
  readonly key: Uint8Array
}

interface Etype {
  readonly keyBytes: 16 | 32
  readonly hash: 'sha1' | 'sha256' | 'sha384'
  /** Of checksums and of the HMAC behind a ciphertext. */
  readonly macBytes: number
}

const ETYPES: ReadonlyMap<number, Etype> = new Map([
  [17, { keyBytes: 16, hash: 'sha1', macBytes: 12 }],
  [18, { keyBytes: 32, hash: 'sha1', macBytes: 12 }],
  [19, { keyBytes: 16, hash: 'sha256', macBytes: 16 }],
  [20, { keyBytes: 32, hash: 'sha384', macBytes: 24 }],
])

const BLOCK = 16
const NO_IV = new Uint8Array(BLOCK)

export function isSupported(etype: number): boolean {
  return ETYPES.has(etype)
}

function etypeOf({ etype, key }: EncryptionKey): Etype {
  const found = ETYPES.get(etype)
  if (found === undefined) throw new SaslError(`encryption type ${etype}, which is not AES`)
  if (key.length !== found.keyBytes) throw new SaslError(`a key of ${key.length} bytes for encryption type ${etype}`)
  return found
}

/** Throws SaslError when it was made with another key or usage, or changed. */
export function decrypt(key: EncryptionKey, usage: number, bytes: Uint8Array): Uint8Array {
  const etype = etypeOf(key)
  const end = bytes.length - etype.macBytes
  if (end < BLOCK) throw new SaslError('a ciphertext that is too short')
  const sealed = bytes.subarray(0, end)
  const given = bytes.subarray(end)
  if (etype.hash !== 'sha1') {
    verify(given, mac(etype, derive(key, usage, 0x55), [NO_IV, sealed]))
    return decryptCts(derive(key, usage, 0xaa), sealed).subarray(BLOCK)
  }
  const plain = decryptCts(derive(key, usage, 0xaa), sealed)
  verify(given, mac(etype, derive(key, usage, 0x55), [plain]))
  return plain.subarray(BLOCK)
}

export function encrypt(key: EncryptionKey, usage: number, bytes: Uint8Array): Uint8Array {
  const etype = etypeOf(key)
  const plain = concat([randomBytes(BLOCK), bytes])
  const sealed = encryptCts(derive(key, usage, 0xaa), plain)
  const covered = etype.hash === 'sha1' ? [plain] : [NO_IV, sealed]
  return concat([sealed, mac(etype, derive(key, usage, 0x55), covered)])
}

export function checksum(key: EncryptionKey, usage: number, parts: readonly Uint8Array[]): Uint8Array {
  return mac(etypeOf(key), derive(key, usage, 0x99), parts)
}

export function checksumBytes(key: EncryptionKey): number {
  return etypeOf(key).macBytes
}

/** Throws SaslError when they differ; takes the same time wherever. */
export function verify(given: Uint8Array, computed: Uint8Array): void {
  if (given.length !== computed.length || !timingSafeEqual(given, computed)) {
    throw new SaslError('a message that was made with another key, or changed')
  }
}

function mac(etype: Etype, key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac(etype.hash, key)
  for (const part of parts) hmac.update(part)
  return hmac.digest().subarray(0, etype.macBytes)
}

// ------------------------------------------------------------------ derived keys

/** `purpose`: 0x99 for checksums, 0xaa for encryption, 0x55 for integrity of ciphertexts. */
export function derive(key: EncryptionKey, usage: number, purpose: 0x99 | 0xaa | 0x55): Uint8Array {
  const { hash, keyBytes, macBytes } = etypeOf(key)
  const label = Uint8Array.from([usage >>> 24, (usage >>> 16) & 255, (usage >>> 8) & 255, usage & 255, purpose])
  if (hash === 'sha1') return deriveSha1(key.key, label, keyBytes)
  // RFC 8009: KDF-HMAC-SHA2, one round; integrity keys are as long as what they make.
  const bytes = purpose === 0xaa ? keyBytes : macBytes
  const hmac = createHmac(hash, key.key).update(Uint8Array.from([0, 0, 0, 1]))
  hmac.update(label).update(Uint8Array.from([0, 0, 0, (bytes * 8) >> 8, (bytes * 8) & 255]))
  return hmac.digest().subarray(0, bytes)
}

/** DK of RFC 3961: the folded label, encrypted again and again until there is enough. */
function deriveSha1(key: Uint8Array, label: Uint8Array, bytes: number): Uint8Array {
  const blocks: Uint8Array[] = []
  let block = nfold(label, BLOCK)
  for (let have = 0; have < bytes; have += BLOCK) {
    block = cipher(key, block)
    blocks.push(block)
  }
  return concat(blocks).subarray(0, bytes)
}

/** RFC 3961 section 5.1: copies, each rotated 13 bits further, added up as ones' complement numbers of `bytes` bytes. */
export function nfold(input: Uint8Array, bytes: number): Uint8Array {
  const bits = input.length * 8
  const total = lcm(input.length, bytes)
  const out = new Uint8Array(bytes)
  let carry = 0
  for (let i = total - 1; i >= 0; i--) {
    // The byte at i of all copies in a row.
    const shift = (13 * Math.floor(i / input.length)) % bits
    const first = ((((i % input.length) * 8 - shift) % bits) + bits) % bits
    const high = input[first >> 3]!
    const low = input[((first >> 3) + 1) % input.length]!
    const byte = (((high << 8) | low) >> (8 - (first & 7))) & 0xff
    carry += byte + out[i % bytes]!
    out[i % bytes] = carry & 0xff
    carry >>= 8
  }
  for (let i = bytes - 1; carry > 0; i = i === 0 ? bytes - 1 : i - 1) {
    carry += out[i]!
    out[i] = carry & 0xff
    carry >>= 8
  }
  return out
}

function lcm(a: number, b: number): number {
  let [x, y] = [a, b]
  while (y > 0) [x, y] = [y, x % y]
  return (a * b) / x
}

// ------------------------------------------------------------------ AES with ciphertext stealing

function cipher(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  const aes = createCipheriv(key.length === 16 ? 'aes-128-cbc' : 'aes-256-cbc', key, NO_IV).setAutoPadding(false)
  return aes.update(blocks)
}

function decipher(key: Uint8Array, iv: Uint8Array, blocks: Uint8Array): Uint8Array {
  const aes = createDecipheriv(key.length === 16 ? 'aes-128-cbc' : 'aes-256-cbc', key, iv).setAutoPadding(false)
  return aes.update(blocks)
}

/** At least one block. The last two blocks change places, and the last one is cut to what is needed. */
export function encryptCts(key: Uint8Array, plain: Uint8Array): Uint8Array {
  if (plain.length === BLOCK) return cipher(key, plain)
  const rest = ((plain.length - 1) % BLOCK) + 1
  const padded = new Uint8Array(plain.length - rest + BLOCK)
  padded.set(plain)
  const sealed = cipher(key, padded)
  const lastOff = sealed.length - BLOCK
  const secondOff = lastOff - BLOCK
  return concat([sealed.subarray(0, secondOff), sealed.subarray(lastOff), sealed.subarray(secondOff, secondOff + rest)])
}

export function decryptCts(key: Uint8Array, sealed: Uint8Array): Uint8Array {
  if (sealed.length === BLOCK) return decipher(key, NO_IV, sealed)
  const rest = ((sealed.length - 1) % BLOCK) + 1
  const secondOff = sealed.length - rest - BLOCK
  const before = secondOff === 0 ? NO_IV : sealed.subarray(secondOff - BLOCK, secondOff)
  // The swapped block alone: its tail is what was stolen from the other one.
  const mixed = decipher(key, NO_IV, sealed.subarray(secondOff, secondOff + BLOCK))
  const stolen = sealed.slice(secondOff + BLOCK)
  const other = concat([stolen, mixed.subarray(rest)])
  const last = mixed.slice(0, rest)
  for (let i = 0; i < rest; i++) last[i]! ^= stolen[i]!
  const head = secondOff === 0 ? new Uint8Array(0) : decipher(key, NO_IV, sealed.subarray(0, secondOff))
  return concat([head, decipher(key, before, other), last])
}
