/**
 * Key and trust stores: what is in them, whatever their format. The first bytes tell it, not the file's name: keytool has
 * written PKCS12 into files named .jks since Java 9.
 *
 * The formats are read here rather than by a package: the asynchronous Web Cryptography that pkijs uses has none of the
 * old ciphers, node-forge knows no elliptic curves, and jks-js stands on it and on the idle node-rsa. What is needed is
 * three small readers; the cryptography is node:crypto's.
 */

import { type KeyObject, X509Certificate } from 'node:crypto'
import { readJks } from './jks.ts'
import { readPem } from './pem.ts'
import { readPkcs12 } from './pkcs12.ts'
import { StoreError } from './storeerror.ts'

export interface KeyEntry {
  readonly key: KeyObject
  /** The certificate of the key, then its issuers as far as the store has them. */
  readonly chain: readonly X509Certificate[]
}

export interface StoreContents {
  readonly keys: readonly KeyEntry[]
  /** Certificates that are in the store to be trusted, not because they belong to a key. */
  readonly trusted: readonly X509Certificate[]
}

/** A key with the certificates that come with it, and where these are told apart, its own first. */
export interface RawKey {
  readonly key: KeyObject
  readonly certificates: readonly Uint8Array[]
}

export interface RawStore {
  readonly keys: readonly RawKey[]
  readonly trusted: readonly Uint8Array[]
}

/** Larger files are not stores. */
export const STORE_BYTES_MAX = 16 * 1024 * 1024

/** `password` is null where none was given. Throws StoreError. */
export function readStore(bytes: Uint8Array, password: string | null): StoreContents {
  if (bytes.length > STORE_BYTES_MAX) throw new StoreError('is too large for a key or trust store')
  const raw = readRaw(bytes, password)
  return {
    keys: raw.keys.map(({ key, certificates }) => ({ key, chain: chainOf(key, certificates.map(parseCertificate)) })),
    trusted: raw.trusted.map(parseCertificate),
  }
}

function readRaw(bytes: Uint8Array, password: string | null): RawStore {
  if (bytes.length === 0) throw new StoreError('is empty')
  const magic = bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  if (magic === 0xfeedfeed) return readJks(bytes, password)
  if (magic === 0xcececece) throw new StoreError('is a JCEKS store; convert it to PKCS12 with keytool -importkeystore')
  if (bytes[0] === 0x30) return readPkcs12(bytes, password)
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  if (text.includes('-----BEGIN')) return readPem(text, password)
  throw new StoreError('is none of PEM, PKCS12, JKS')
}

function parseCertificate(bytes: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(bytes)
  } catch (err) {
    throw new StoreError(`has a certificate that cannot be read (${reasonOf(err)})`)
  }
}

/** The key's own certificate first, then whoever issued the one before. */
function chainOf(key: KeyObject, certificates: readonly X509Certificate[]): X509Certificate[] {
  const own = certificates.find((certificate) => certificate.checkPrivateKey(key))
  if (own === undefined) throw new StoreError('has a key whose certificate is not there')
  const chain = [own]
  for (;;) {
    const last = chain[chain.length - 1]!
    if (last.subject === last.issuer) return chain
    const issuer = certificates.find((candidate) => !chain.includes(candidate) && last.checkIssued(candidate))
    if (issuer === undefined) return chain
    chain.push(issuer)
  }
}

function reasonOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
