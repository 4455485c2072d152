/**
 * What both sides of a Kerberos 5 exchange write and read alike: tokens of GSS-API, names, keys, sealed parts. Pure but
 * for its cryptography.
 *
 *   token  60 | length | 06 09 2a 86 48 86 f7 12 01 02 02 | 01 00 and AP-REQ, or 02 00 and AP-REP
 */

import { SaslError } from '../mechanism.ts'
import { type Fields, field, integer, only, readTlv, Tag, tlv } from './der.ts'
import { type EncryptionKey, encrypt } from './etypes.ts'

const MECHANISM = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02]
const KINDS = { request: 1, reply: 2 } as const

export type TokenKind = keyof typeof KINDS

export function makeToken(kind: TokenKind, message: Uint8Array): Uint8Array {
  return tlv(0x60, tlv(0x06, Uint8Array.from(MECHANISM)), Uint8Array.from([KINDS[kind], 0]), message)
}

/** What stands behind the mechanism and the two bytes of the kind. */
export function openToken(token: Uint8Array, kind: TokenKind): Uint8Array {
  const outer = only(token, 0x60)
  const { tag, value, next } = readTlv(outer, 0)
  if (tag !== 0x06 || value.length !== MECHANISM.length || value.some((byte, i) => byte !== MECHANISM[i])) {
    throw new SaslError('a mechanism other than Kerberos 5')
  }
  if (outer[next] !== KINDS[kind] || outer[next + 1] !== 0) throw new SaslError(`a token that is not a ${kind}`)
  return outer.subarray(next + 2)
}

export function keyOf(fields: Fields): EncryptionKey {
  return { etype: fields.int(0), key: fields.octets(1).slice() }
}

/** Components that would look like other principals when they are written out are nobody's. */
export function principalOf(name: Fields, realm: string): string {
  const components = name.texts(1)
  const odd = (text: string) => text === '' || /[/@\\\0]/.test(text)
  if (components.length === 0 || components.some(odd) || odd(realm)) throw new SaslError('an odd principal name')
  return `${components.join('/')}@${realm}`
}

/** EncryptedData. */
export function seal(key: EncryptionKey, usage: number, part: Uint8Array): Uint8Array {
  return tlv(Tag.sequence, field(0, integer(key.etype)), field(2, tlv(Tag.octetString, encrypt(key, usage, part))))
}
