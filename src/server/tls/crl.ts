/**
 * Lists of revoked certificates, RFC 5280 section 5: reading one, and whose word it is.
 *
 * Only whole lists count: one that is limited to some certificates or reasons, or a difference to another one, marks that
 * as critical, and says nothing here. Java: PKIXRevocationChecker, DistributionPointFetcher.
 */

import { type KeyObject, verify } from 'node:crypto'
import { children, type Der, DerError, expectTag, octets, oid, readDer, sequence, Tag } from './der.ts'
import { StoreError } from './storeerror.ts'

const DISTRIBUTION_POINTS = '2.5.29.31'
const ISSUING_POINT = '2.5.29.28'

/** Signature algorithms to the name of their hash; null where there is none of its own. */
const SIGNATURES: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.5': 'sha1',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.1': 'sha1',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': null,
  '1.3.101.113': null,
}

export interface Crl {
  /** The issuer's name as encoded, in hexadecimal. */
  readonly issuer: string
  readonly issuedMs: number
  /** When the next one is due; null: never. */
  readonly dueMs: number | null
  /** Serial numbers as encoded, in hexadecimal. */
  readonly revoked: ReadonlySet<string>
  isSignedBy(key: KeyObject): boolean
}

/** What a certificate says about itself that matters here, names and numbers as in a Crl. */
export interface CertificateFacts {
  readonly issuer: string
  readonly serial: string
  /** Addresses where lists of its issuer may be had. */
  readonly crlUrls: readonly string[]
}

/** All lists in a file, PEM or one in DER. Throws StoreError. */
export function readCrls(bytes: Uint8Array): Crl[] {
  if (bytes[0] === 0x30) return [readCrl(bytes)]
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  const blocks = [...text.matchAll(/-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----/g)]
  if (blocks.length === 0) throw new StoreError('has no list of revoked certificates')
  return blocks.map((block) => readCrl(Buffer.from(block[1]!, 'base64')))
}

function readCrl(bytes: Uint8Array): Crl {
  try {
    const [list, algorithm, signature] = sequence(readDer(bytes), 'list')
    const fields = sequence(list, 'list')
    if (fields[0]?.tag === Tag.integer) fields.shift()
    const [inner, issuer, issued, ...rest] = fields
    const due = isTime(rest[0]) ? rest.shift() : undefined
    const entries = rest[0]?.tag === Tag.sequence ? children(rest.shift()!) : []
    if (rest[0]?.tag === 0xa0) refuseLimits(sequence(children(rest[0])[0], 'extensions'))
    const algorithmOid = oid(sequence(algorithm, 'signature')[0], 'signature')
    const bits = expectTag(signature, Tag.bitString, 'signature').contents
    if (inner === undefined || hex(inner.whole) !== hex(algorithm!.whole) || bits[0] !== 0) {
      throw new DerError('its signature is not what it says')
    }
    return {
      issuer: hex(expectTag(issuer, Tag.sequence, 'issuer').whole),
      issuedMs: timeMs(issued),
      dueMs: due === undefined ? null : timeMs(due),
      revoked: new Set(
        entries.map((entry) => hex(expectTag(sequence(entry, 'entry')[0], Tag.integer, 'serial').contents)),
      ),
      isSignedBy: (key) => isSignature(algorithmOid, list!.whole, key, bits.subarray(1)),
    }
  } catch (err) {
    if (err instanceof DerError)
      throw new StoreError(`is no list of revoked certificates, or is damaged (${err.message})`)
    throw err
  }
}

/** `algorithm` is the signature's object identifier. */
export function isSignature(algorithm: string, text: Uint8Array, key: KeyObject, signature: Uint8Array): boolean {
  const hash = SIGNATURES[algorithm]
  if (hash === undefined) return false
  try {
    return verify(hash, text, key, signature)
  } catch {
    return false // a key of another kind
  }
}

function refuseLimits(extensions: readonly Der[]): void {
  for (const extension of extensions) {
    const [type, critical, value] = sequence(extension, 'extension')
    if (critical?.tag !== Tag.boolean || critical.contents[0] === 0) continue
    const whole = oid(type, 'extension') === ISSUING_POINT && isWholePoint(octets(value, 'extension'))
    if (!whole) throw new StoreError('is a list of revoked certificates for some cases only')
  }
}

/** Says where the list comes from and nothing else. */
function isWholePoint(bytes: Uint8Array): boolean {
  return sequence(readDer(bytes), 'issuing point').every(({ tag }) => tag === 0xa0)
}

/** Throws DerError where the certificate is not what OpenSSL took it for. */
export function factsOf(certificate: Uint8Array): CertificateFacts {
  const fields = sequence(sequence(readDer(certificate), 'certificate')[0], 'certificate')
  const version = fields[0]?.tag === 0xa0 ? 1 : 0
  const wrapped = fields.find(({ tag }) => tag === 0xa3)
  const extensions = wrapped === undefined ? [] : sequence(children(wrapped)[0], 'extensions')
  return {
    serial: hex(expectTag(fields[version], Tag.integer, 'serial').contents),
    issuer: hex(expectTag(fields[version + 2], Tag.sequence, 'issuer').whole),
    crlUrls: extensions.flatMap(urlsOf),
  }
}

/** DistributionPoint: [0] name { [0] full name { [6] URI } }. */
function urlsOf(extension: Der): string[] {
  const parts = sequence(extension, 'extension')
  if (oid(parts[0], 'extension') !== DISTRIBUTION_POINTS) return []
  const urls: string[] = []
  for (const point of sequence(readDer(octets(parts[parts.length - 1], 'points')), 'points')) {
    const name = children(point).find(({ tag }) => tag === 0xa0)
    const full = name === undefined ? undefined : children(name).find(({ tag }) => tag === 0xa0)
    if (full === undefined) continue
    for (const { tag, contents } of children(full)) {
      if (tag === 0x86) urls.push(Buffer.from(contents).toString('latin1'))
    }
  }
  return urls
}

function isTime(value: Der | undefined): boolean {
  return value?.tag === Tag.utcTime || value?.tag === Tag.generalizedTime
}

/** Milliseconds since 1970: `YYMMDDhhmmssZ` before 2050, `YYYYMMDDhhmmssZ` behind it. */
export function timeMs(value: Der | undefined): number {
  const text = value === undefined ? '' : Buffer.from(value.contents).toString('latin1')
  const match = /^(\d\d|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (match === null || !isTime(value)) throw new DerError('a time is not written as one')
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const fullYear = match[1]!.length === 4 ? year : year < 50 ? 2000 + year : 1900 + year
  return Date.UTC(fullYear, month - 1, day, hour, minute, second)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
