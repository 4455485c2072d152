/**
 * The id that a client has by its certificate: the subject's name, or part of one of its alternative names.
 *
 * The latter by keys that 3.9.5 does not have yet and its successors do (`ssl.x509.clientCertId*`). A certificate without
 * exactly one such name is known by its subject, as there. Java: X509AuthenticationProvider.getClientId.
 */

import type { X509Certificate } from 'node:crypto'
import { children, type Der, octets, oid, readDer, sequence } from './der.ts'
import type { ClientCertId } from './tlsconfig.ts'
import { nameText } from './x500name.ts'

const ALTERNATIVE_NAMES = '2.5.29.17'
const TEXT_NAMES: ReadonlySet<number> = new Set([1, 2, 6]) // e-mail, DNS, URI

/** Java's text of the subject. Throws DerError where the certificate is not what OpenSSL took it for. */
export function certificateId(certificate: X509Certificate, options: ClientCertId | null): string {
  const fields = sequence(sequence(readDer(certificate.raw), 'certificate')[0], 'certificate')
  const version = fields[0]?.tag === 0xa0 ? 1 : 0
  const subject = fields[version + 4]
  const byName = options === null ? null : idByName(fields, options)
  return byName ?? nameText(subject!)
}

function idByName(fields: readonly Der[], options: ClientCertId): string | null {
  const names = alternativeNames(fields, options.matchType).filter((name) => options.match.test(name))
  if (names.length !== 1) return null
  return options.extract.exec(names[0]!)?.[options.group] ?? null
}

function alternativeNames(fields: readonly Der[], wantedType: number): string[] {
  const wrapped = fields.find(({ tag }) => tag === 0xa3)
  if (wrapped === undefined) return []
  for (const extension of sequence(children(wrapped)[0], 'extensions')) {
    const parts = sequence(extension, 'extension')
    if (oid(parts[0], 'extension') !== ALTERNATIVE_NAMES) continue
    const names = sequence(readDer(octets(parts[parts.length - 1], 'alternative names')), 'alternative names')
    return names.filter(({ tag }) => (tag & 0x1f) === wantedType).map((name) => textOf(name, wantedType))
  }
  return []
}

function textOf(name: Der, type: number): string {
  if (TEXT_NAMES.has(type)) return Buffer.from(name.contents).toString('latin1')
  if (type === 4) return nameText(children(name)[0]!)
  if (type === 7 && name.contents.length === 4) return name.contents.join('.')
  return Buffer.from(name.contents).toString('hex')
}
