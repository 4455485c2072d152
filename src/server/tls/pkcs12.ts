/**
 * PKCS12 files, RFC 7292: those of keytool (Java 8 to 21), of openssl (old and new), with or without a password.
 *
 * The file is a signed-off list of safes, each plain or encrypted as a whole; a safe holds bags: keys, mostly encrypted
 * once more, and certificates. What joins a key to its certificate is an attribute with the same `localKeyId`. A bag that
 * keytool marks as trusted carries an attribute of its own; openssl writes none, so without a key in the file every
 * certificate is meant to be trusted.
 */

import { createDecipheriv, createHmac, createPrivateKey, hash as hashOf, type KeyObject, pbkdf2Sync } from 'node:crypto'
import { children, type Der, DerError, expectTag, octets, oid, readDer, sequence, smallInteger, Tag } from './der.ts'
import { decryptRc2Cbc } from './rc2.ts'
import type { RawStore } from './store.ts'
import { StoreError } from './storeerror.ts'

const DATA = '1.2.840.113549.1.7.1'
const ENCRYPTED_DATA = '1.2.840.113549.1.7.6'
const BAG = '1.2.840.113549.1.12.10.1.'
const X509_CERTIFICATE = '1.2.840.113549.1.9.22.1'
const LOCAL_KEY_ID = '1.2.840.113549.1.9.21'
const TRUSTED_USAGE = '2.16.840.1.113894.746875.1.1'
const PBES2 = '1.2.840.113549.1.5.13'
const PBKDF2 = '1.2.840.113549.1.5.12'

/** More rounds than anybody uses would only hold up the start. */
const ITERATIONS_MAX = 5_000_000

interface Hash {
  readonly name: string
  readonly blockBytes: number
}

const HASHES: Readonly<Record<string, Hash>> = {
  '1.3.14.3.2.26': { name: 'sha1', blockBytes: 64 },
  '2.16.840.1.101.3.4.2.1': { name: 'sha256', blockBytes: 64 },
  '2.16.840.1.101.3.4.2.2': { name: 'sha384', blockBytes: 128 },
  '2.16.840.1.101.3.4.2.3': { name: 'sha512', blockBytes: 128 },
  '2.16.840.1.101.3.4.2.4': { name: 'sha224', blockBytes: 64 },
}

const PRFS: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.8': 'sha224',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
}

const CIPHERS: Readonly<Record<string, readonly [name: string, keyBytes: number]>> = {
  '2.16.840.1.101.3.4.1.2': ['aes-128-cbc', 16],
  '2.16.840.1.101.3.4.1.22': ['aes-192-cbc', 24],
  '2.16.840.1.101.3.4.1.42': ['aes-256-cbc', 32],
  '1.2.840.113549.3.7': ['des-ede3-cbc', 24],
}

type OldCipher = { readonly kind: '3des' | 'rc2'; readonly keyBytes: number }

/** With SHA-1 and the key derivation of PKCS12 itself. */
const OLD_CIPHERS: Readonly<Record<string, OldCipher>> = {
  '1.2.840.113549.1.12.1.3': { kind: '3des', keyBytes: 24 },
  '1.2.840.113549.1.12.1.4': { kind: '3des', keyBytes: 16 },
  '1.2.840.113549.1.12.1.5': { kind: 'rc2', keyBytes: 16 },
  '1.2.840.113549.1.12.1.6': { kind: 'rc2', keyBytes: 5 },
}

interface CertificateBag {
  readonly bytes: Uint8Array
  readonly localKeyId: string | null
  readonly trusted: boolean
}

interface KeyBag {
  readonly key: KeyObject
  readonly localKeyId: string | null
}

interface Bags {
  readonly keys: KeyBag[]
  readonly certificates: CertificateBag[]
}

export function readPkcs12(bytes: Uint8Array, password: string | null): RawStore {
  try {
    const bags = readFile(bytes, password)
    const { certificates } = bags
    const keys = bags.keys.map(({ key, localKeyId }) => {
      const own = certificates.filter((bag) => localKeyId !== null && bag.localKeyId === localKeyId)
      const others = certificates.filter((bag) => !own.includes(bag))
      return { key, certificates: [...own, ...others].map((bag) => bag.bytes) }
    })
    const marked = certificates.filter((bag) => bag.trusted)
    const trusted = marked.length === 0 && keys.length === 0 ? certificates : marked
    return { keys, trusted: trusted.map((bag) => bag.bytes) }
  } catch (err) {
    if (err instanceof DerError) throw new StoreError(`is no PKCS12 file, or is damaged (${err.message})`)
    throw err
  }
}

function readFile(bytes: Uint8Array, password: string | null): Bags {
  const [version, authSafe, macData] = sequence(readDer(bytes), 'file')
  const versionNumber = smallInteger(version, 'version')
  if (versionNumber !== 3) throw new StoreError(`is no PKCS12 file of version 3, but of ${versionNumber}`)
  const [type, wrapped] = sequence(authSafe, 'contents')
  if (oid(type, 'type of contents') !== DATA) throw new StoreError('is signed instead of sealed with a password')
  const safes = octets(explicit(wrapped, 'contents'), 'contents')
  const secrets = new Secrets(password)
  if (macData !== undefined) checkMac(macData, safes, secrets)
  const bags: Bags = { keys: [], certificates: [] }
  for (const safe of sequence(readDer(safes), 'safes')) readSafe(safe, secrets, bags)
  return bags
}

/** The forms a password takes. An empty one is written in two ways; which of them is found out by the seal. */
class Secrets {
  readonly given: boolean
  readonly utf8: Buffer
  /** UTF-16, big end first, and a zero behind it. */
  utf16: Buffer

  constructor(password: string | null) {
    this.given = password !== null
    this.utf8 = Buffer.from(password ?? '', 'utf8')
    this.utf16 = Buffer.from(`${password ?? ''}\0`, 'utf16le').swap16()
  }

  /** No password at all, instead of one of no letters. */
  dropZero(): void {
    this.utf16 = Buffer.alloc(0)
  }
}

function checkMac(macData: Der, safes: Uint8Array, secrets: Secrets): void {
  const [digestInfo, saltValue, iterationsValue] = sequence(macData, 'seal')
  const [algorithm, digestValue] = sequence(digestInfo, 'seal')
  const algorithmOid = oid(sequence(algorithm, 'algorithm of the seal')[0], 'algorithm of the seal')
  const hash = HASHES[algorithmOid]
  if (hash === undefined) throw new StoreError(`is sealed with an algorithm that is not known here (${algorithmOid})`)
  const digest = octets(digestValue, 'seal')
  const salt = octets(saltValue, 'salt of the seal')
  const rounds = iterationsValue === undefined ? 1 : iterations(iterationsValue)
  const isRight = (): boolean => {
    const key = deriveKey(hash, secrets.utf16, salt, 3, rounds, digest.length)
    return createHmac(hash.name, key).update(safes).digest().equals(digest)
  }
  if (isRight()) return
  if (secrets.utf8.length === 0) {
    secrets.dropZero()
    if (isRight()) return
  }
  throw new StoreError(
    secrets.given ? 'is damaged, or its password is wrong' : 'is sealed with a password, and none is set',
  )
}

function readSafe(safe: Der, secrets: Secrets, bags: Bags): void {
  const [type, wrapped] = sequence(safe, 'safe')
  const typeOid = oid(type, 'type of a safe')
  if (typeOid === DATA) {
    readBags(readDer(octets(explicit(wrapped, 'safe'), 'safe')), secrets, bags)
    return
  }
  if (typeOid !== ENCRYPTED_DATA) throw new StoreError('has a safe that is closed with a key instead of a password')
  const [, info] = sequence(explicit(wrapped, 'safe'), 'safe')
  const [, algorithm, text] = sequence(info, 'safe')
  readBags(readDer(decrypt(algorithm, octets(text, 'safe'), secrets)), secrets, bags)
}

function readBags(contents: Der, secrets: Secrets, bags: Bags): void {
  for (const bag of sequence(contents, 'bags')) {
    const [type, wrapped, attributes] = sequence(bag, 'bag')
    const kind = oid(type, 'type of a bag')
    const value = explicit(wrapped, 'bag')
    const marks = readAttributes(attributes)
    if (kind === `${BAG}1`) bags.keys.push({ key: toKey(value.whole), localKeyId: marks.localKeyId })
    else if (kind === `${BAG}2`) {
      const [algorithm, text] = sequence(value, 'key')
      const key = toKey(decrypt(algorithm, octets(text, 'key'), secrets))
      bags.keys.push({ key, localKeyId: marks.localKeyId })
    } else if (kind === `${BAG}3`) {
      const [certificateType, certificate] = sequence(value, 'certificate')
      if (oid(certificateType, 'type of a certificate') !== X509_CERTIFICATE) continue
      bags.certificates.push({ bytes: octets(explicit(certificate, 'certificate'), 'certificate'), ...marks })
    } else if (kind === `${BAG}6`) readBags(value, secrets, bags)
  }
}

function readAttributes(attributes: Der | undefined): { localKeyId: string | null; trusted: boolean } {
  let localKeyId: string | null = null
  let trusted = false
  if (attributes !== undefined) {
    for (const attribute of children(expectTag(attributes, Tag.set, 'attributes'))) {
      const [type, values] = sequence(attribute, 'attribute')
      const typeOid = oid(type, 'type of an attribute')
      if (typeOid === TRUSTED_USAGE) trusted = true
      if (typeOid !== LOCAL_KEY_ID) continue
      const [value] = children(expectTag(values, Tag.set, 'attribute'))
      localKeyId = Buffer.from(octets(value, 'localKeyId')).toString('hex')
    }
  }
  return { localKeyId, trusted }
}

function decrypt(algorithm: Der | undefined, text: Uint8Array, secrets: Secrets): Uint8Array {
  const [type, parameters] = sequence(algorithm, 'encryption')
  const typeOid = oid(type, 'encryption')
  const old = OLD_CIPHERS[typeOid]
  if (old === undefined && typeOid !== PBES2) {
    throw new StoreError(`is encrypted with an algorithm that is not known here (${typeOid})`)
  }
  const plain = old === undefined ? decryptPbes2(parameters, text, secrets) : decryptOld(old, parameters, text, secrets)
  if (plain !== null) return plain
  throw new StoreError(secrets.given ? 'is damaged, or its password is wrong' : 'is encrypted, and no password is set')
}

function decryptPbes2(parameters: Der | undefined, text: Uint8Array, secrets: Secrets): Uint8Array | null {
  const [derivation, encryption] = sequence(parameters, 'encryption')
  const [kdfType, kdfParameters] = sequence(derivation, 'key derivation')
  if (oid(kdfType, 'key derivation') !== PBKDF2) throw new StoreError('has a key derivation that is not known here')
  const [salt, rounds, ...rest] = sequence(kdfParameters, 'key derivation')
  const prfValue = rest.find(({ tag }) => tag === Tag.sequence)
  const prf = prfValue === undefined ? 'sha1' : PRFS[oid(children(prfValue)[0], 'function of the key derivation')]
  const [cipherType, ivValue] = sequence(encryption, 'cipher')
  const cipherOid = oid(cipherType, 'cipher')
  const cipher = CIPHERS[cipherOid]
  if (prf === undefined || cipher === undefined) {
    throw new StoreError(`is encrypted with a cipher that is not known here (${cipherOid})`)
  }
  const [name, keyBytes] = cipher
  const key = pbkdf2Sync(secrets.utf8, octets(salt, 'salt'), iterations(rounds), keyBytes, prf)
  return decipher(name, key, octets(ivValue, 'initial vector'), text)
}

function decryptOld(
  old: OldCipher,
  parameters: Der | undefined,
  text: Uint8Array,
  secrets: Secrets,
): Uint8Array | null {
  const [saltValue, rounds] = sequence(parameters, 'encryption')
  const salt = octets(saltValue, 'salt')
  const count = iterations(rounds)
  const hash = HASHES['1.3.14.3.2.26']!
  const key = deriveKey(hash, secrets.utf16, salt, 1, count, old.keyBytes)
  const iv = deriveKey(hash, secrets.utf16, salt, 2, count, 8)
  if (old.kind === 'rc2') return decryptRc2Cbc(key, old.keyBytes * 8, iv, text)
  const full = key.length === 24 ? key : Buffer.concat([key, key.subarray(0, 8)])
  return decipher('des-ede3-cbc', full, iv, text)
}

/** Null when the padding is wrong, which is how a wrong key shows. */
function decipher(name: string, key: Uint8Array, iv: Uint8Array, text: Uint8Array): Uint8Array | null {
  try {
    const cipher = createDecipheriv(name, key, iv)
    return Buffer.concat([cipher.update(text), cipher.final()])
  } catch {
    return null
  }
}

/** RFC 7292, appendix B.2. `use`: 1 a key, 2 an initial vector, 3 a seal. */
function deriveKey(
  hash: Hash,
  secret: Uint8Array,
  salt: Uint8Array,
  use: number,
  rounds: number,
  bytes: number,
): Buffer {
  const v = hash.blockBytes
  const input = Buffer.concat([filled(salt, v), filled(secret, v)])
  const blocks: Uint8Array[] = []
  let length = 0
  for (;;) {
    let block: Uint8Array = hashOf(hash.name, Buffer.concat([Buffer.alloc(v, use), input]), 'buffer')
    for (let i = 1; i < rounds; i++) block = hashOf(hash.name, block, 'buffer')
    blocks.push(block)
    length += block.length
    if (length >= bytes) return Buffer.concat(blocks).subarray(0, bytes)
    // Every block of the input grows by this one, repeated, plus one.
    const addend = filled(block, v).subarray(0, v)
    for (let off = 0; off < input.length; off += v) {
      let carry = 1
      for (let i = v - 1; i >= 0; i--) {
        carry += input[off + i]! + addend[i]!
        input[off + i] = carry
        carry >>= 8
      }
    }
  }
}

/** Repeated up to a multiple of `unit`; nothing stays nothing. */
function filled(bytes: Uint8Array, unit: number): Buffer {
  const all = Buffer.alloc(Math.ceil(bytes.length / unit) * unit)
  for (let i = 0; i < all.length; i++) all[i] = bytes[i % bytes.length]!
  return all
}

function iterations(value: Der | undefined): number {
  const count = smallInteger(value, 'number of rounds')
  if (count < 1 || count > ITERATIONS_MAX) throw new StoreError(`asks for ${count} rounds of key derivation`)
  return count
}

/** The one value within an explicit [0]. */
function explicit(value: Der | undefined, what: string): Der {
  const [inner] = children(expectTag(value, 0xa0, what))
  if (inner === undefined) throw new DerError(`${what} is empty`)
  return inner
}

function toKey(pkcs8: Uint8Array): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' })
  } catch {
    throw new StoreError('has a private key that cannot be read')
  }
}
