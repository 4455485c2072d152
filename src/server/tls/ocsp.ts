/**
 * Asking a responder whether one certificate is revoked, RFC 6960: the question, and the answer with the right to give it.
 *
 * An answer counts when it is signed by the certificate's issuer, or by a certificate that the issuer made for that, and when
 * it is in force. Java: PKIXRevocationChecker, sun.security.provider.certpath.OCSPResponse.
 */

import { createHash, X509Certificate } from 'node:crypto'
import { isSignature, timeMs } from './crl.ts'
import { children, type Der, DerError, expectTag, octets, oid, readDer, sequence, Tag } from './der.ts'

const SHA1 = Uint8Array.of(0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a)
const NULL = Uint8Array.of(0x05, 0x00)
const ENUMERATED = 0x0a
const BASIC_RESPONSE = '1.3.6.1.5.5.7.48.1.1'
const AUTHORITY_ACCESS = '1.3.6.1.5.5.7.1.1'
const RESPONDER = '1.3.6.1.5.5.7.48.1'
const SIGNS_ANSWERS = '1.3.6.1.5.5.7.3.9'
/** What clocks may differ by; Java's. */
const SKEW_MS = 15 * 60_000

export type OcspStatus = 'good' | 'revoked' | 'unknown'

/** The certificate in question, as a request and its answer name it. */
export interface OcspQuestion {
  readonly urls: readonly string[]
  /** What is sent to the responder. */
  readonly request: Uint8Array
  readonly certificateId: Uint8Array
}

/** Throws DerError where a certificate is not what OpenSSL took it for. */
export function askAbout(certificate: X509Certificate, issuer: X509Certificate): OcspQuestion {
  const fields = fieldsOf(certificate)
  const issuerKey = octetsOfBits(sequence(fieldsOf(issuer).key, 'key')[1])
  const hash = (bytes: Uint8Array): Uint8Array => encode(Tag.octetString, createHash('sha1').update(bytes).digest())
  const id = encode(
    Tag.sequence,
    encode(Tag.sequence, SHA1, NULL),
    hash(fields.issuer.whole),
    hash(issuerKey),
    fields.serial.whole,
  )
  const request = encode(Tag.sequence, encode(Tag.sequence, encode(Tag.sequence, encode(Tag.sequence, id))))
  return { urls: fields.extensions.flatMap(urlsOf), request, certificateId: id }
}

/** What the answer says, or null where it does not count. */
export function readAnswer(
  bytes: Uint8Array,
  question: OcspQuestion,
  issuer: X509Certificate,
  nowMs: number,
): OcspStatus | null {
  try {
    const [status, wrapped] = sequence(readDer(bytes), 'answer')
    if (expectTag(status, ENUMERATED, 'status').contents[0] !== 0) return null
    const [type, body] = sequence(children(expectTag(wrapped, 0xa0, 'answer'))[0], 'answer')
    if (oid(type, 'kind of answer') !== BASIC_RESPONSE) return null
    const [data, algorithm, signature, signers] = sequence(readDer(octets(body, 'answer')), 'answer')
    const algorithmOid = oid(sequence(algorithm, 'signature')[0], 'signature')
    const bits = octetsOfBits(signature)
    const keys = [issuer, ...signersOf(signers, issuer, nowMs)].map(({ publicKey }) => publicKey)
    if (!keys.some((key) => isSignature(algorithmOid, data!.whole, key, bits))) return null
    return statusIn(sequence(data, 'answer'), question.certificateId, nowMs)
  } catch (err) {
    if (err instanceof DerError) return null
    throw err
  }
}

function statusIn(fields: readonly Der[], certificateId: Uint8Array, nowMs: number): OcspStatus | null {
  const responses = fields.find(({ tag }) => tag === Tag.sequence)
  for (const response of sequence(responses, 'answers')) {
    const [id, status, issued, due] = sequence(response, 'answer')
    if (id === undefined || !sameBytes(id.whole, certificateId)) continue
    const issuedMs = timeMs(issued)
    const dueMs = due?.tag === 0xa0 ? timeMs(children(due)[0]) : Number.POSITIVE_INFINITY
    if (issuedMs > nowMs + SKEW_MS || dueMs < nowMs - SKEW_MS) return null
    if (status?.tag === 0x80) return 'good'
    return status?.tag === 0xa1 ? 'revoked' : 'unknown'
  }
  return null
}

/** Certificates that come with the answer and that the issuer has made to sign answers. */
function signersOf(wrapped: Der | undefined, issuer: X509Certificate, nowMs: number): X509Certificate[] {
  if (wrapped?.tag !== 0xa0) return []
  return sequence(children(wrapped)[0], 'signers')
    .map(({ whole }) => parse(whole))
    .filter((signer): signer is X509Certificate => {
      if (signer === null || !signer.checkIssued(issuer) || !signer.verify(issuer.publicKey)) return false
      const inForce = Date.parse(signer.validFrom) <= nowMs && nowMs <= Date.parse(signer.validTo)
      return inForce && (signer.keyUsage ?? []).includes(SIGNS_ANSWERS)
    })
}

function parse(bytes: Uint8Array): X509Certificate | null {
  try {
    return new X509Certificate(bytes)
  } catch {
    return null
  }
}

function fieldsOf(certificate: X509Certificate): { serial: Der; issuer: Der; key: Der; extensions: Der[] } {
  const fields = sequence(sequence(readDer(certificate.raw), 'certificate')[0], 'certificate')
  const version = fields[0]?.tag === 0xa0 ? 1 : 0
  const wrapped = fields.find(({ tag }) => tag === 0xa3)
  return {
    serial: expectTag(fields[version], Tag.integer, 'serial'),
    issuer: expectTag(fields[version + 2], Tag.sequence, 'issuer'),
    key: expectTag(fields[version + 5], Tag.sequence, 'key'),
    extensions: wrapped === undefined ? [] : sequence(children(wrapped)[0], 'extensions'),
  }
}

/** AuthorityInfoAccess: where the responder is. */
function urlsOf(extension: Der): string[] {
  const parts = sequence(extension, 'extension')
  if (oid(parts[0], 'extension') !== AUTHORITY_ACCESS) return []
  return sequence(readDer(octets(parts[parts.length - 1], 'access')), 'access').flatMap((entry) => {
    const [method, place] = sequence(entry, 'access')
    if (oid(method, 'access') !== RESPONDER || place?.tag !== 0x86) return []
    return [Buffer.from(place.contents).toString('latin1')]
  })
}

function octetsOfBits(value: Der | undefined): Uint8Array {
  const { contents } = expectTag(value, Tag.bitString, 'bits')
  if (contents[0] !== 0) throw new DerError('bits that are no bytes')
  return contents.subarray(1)
}

/** A value of at most 64 KiB. */
function encode(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const contents = Buffer.concat(parts)
  const { length } = contents
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Uint8Array.of(tag, ...size), contents])
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
