/**
 * The accepting side of the Kerberos 5 GSS-API mechanism (RFC 4120 section 3.2, RFC 4121): from a client's ticket and
 * authenticator to a context, whose messages are then wrapped and unwrapped.
 *
 * It needs the service's keys and a clock, and never asks a key distribution centre. A ticket is believed when it is
 * for exactly our principal, was sealed with our key, is in its time, and comes with an authenticator that its session
 * key sealed in the last five minutes and that was not seen before. Pure but for its cryptography.
 *
 *   token    60 | length | 06 09 2a 86 48 86 f7 12 01 02 02 | 01 00 and AP-REQ, or 02 00 and AP-REP
 *   wrapped  05 04 | flags | ff | EC u16 | RRC u16 | sequence u64 | payload (rotated right by RRC)
 */

import { SaslError } from '../mechanism.ts'
import { concat, type Fields, field, integer, only, readApplication, readTlv, Tag, time, tlv } from './der.ts'
import { checksum, checksumBytes, decrypt, type EncryptionKey, encrypt, isSupported, verify } from './etypes.ts'
import type { KeytabEntry } from './keytab.ts'
import type { ReplayCache } from './replay.ts'

/** How far clocks may be apart. */
export const CLOCK_SKEW_S = 300
/** A ticket may carry a lot about its owner, but not more than a client may send in a token here. */
const TOKEN_BYTES_MAX = 128 * 1024

const MECHANISM = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02]

/** Key usage numbers. */
const TICKET = 2
const AUTHENTICATOR = 11
const AP_REP_PART = 12
const ACCEPTOR_SEAL = 22
const INITIATOR_SEAL = 24

/** Flags of the authenticator's checksum. */
const GSS_MUTUAL = 2
/** Bits of a ticket's flags. */
const TICKET_INVALID = 7
const TRANSITED_CHECKED = 12

/** Flags of wrapped messages. */
const SENT_BY_ACCEPTOR = 1
const SEALED = 2
const ACCEPTOR_SUBKEY = 4

const WRAP_HEADER_BYTES = 16

export interface AcceptorOptions {
  /** `service/host@REALM`: tickets must be for it. */
  readonly principal: string
  /** The keys there are now. */
  keys(): readonly KeytabEntry[]
  readonly replays: ReplayCache
  /** Since 1970. */
  wallMs(): number
  /** A number below 2^30 that nobody foresees. */
  sequence(): number
}

/** What a client has proved, and the context that it shares with us. */
export class AcceptedContext {
  /** `name@REALM` or `name/instance@REALM`. */
  readonly client: string
  /** To be sent back; null where the client did not ask us to prove ourselves. */
  readonly reply: Uint8Array | null
  private readonly key: EncryptionKey
  private sendSequence: number
  private receiveSequence: number

  constructor(client: string, reply: Uint8Array | null, key: EncryptionKey, send: number, receive: number) {
    this.client = client
    this.reply = reply
    this.key = key
    this.sendSequence = send
    this.receiveSequence = receive
  }

  /** Protected against change, not against reading. */
  wrap(message: Uint8Array): Uint8Array {
    const header = wrapHeader(SENT_BY_ACCEPTOR, this.sendSequence++)
    const sum = checksum(this.key, ACCEPTOR_SEAL, [message, header])
    new DataView(header.buffer).setUint16(4, sum.length)
    return concat([header, message, sum])
  }

  unwrap(token: Uint8Array): Uint8Array {
    if (token.length < WRAP_HEADER_BYTES) throw new SaslError('a wrapped message that is too short')
    const view = new DataView(token.buffer, token.byteOffset, token.length)
    const flags = token[2]!
    if (view.getUint16(0) !== 0x0504 || token[3] !== 0xff) throw new SaslError('not a wrapped message')
    if ((flags & (SENT_BY_ACCEPTOR | ACCEPTOR_SUBKEY)) !== 0) throw new SaslError('a wrapped message of somebody else')
    const extra = view.getUint16(4)
    const payload = rotatedLeft(token.subarray(WRAP_HEADER_BYTES), view.getUint16(6))
    const header = token.slice(0, WRAP_HEADER_BYTES)
    header.fill(0, 6, 8)
    const message = (flags & SEALED) !== 0 ? this.unseal(payload, header, extra) : this.verified(payload, header, extra)
    const sequence = view.getUint32(8) * 2 ** 32 + view.getUint32(12)
    if (sequence !== this.receiveSequence) throw new SaslError('a wrapped message out of order')
    this.receiveSequence++
    return message
  }

  /** The header is sealed too, behind `extra` bytes of filler. */
  private unseal(payload: Uint8Array, header: Uint8Array, extra: number): Uint8Array {
    const plain = decrypt(this.key, INITIATOR_SEAL, payload)
    const end = plain.length - WRAP_HEADER_BYTES - extra
    if (end < 0) throw new SaslError('a wrapped message that is too short')
    verify(plain.subarray(plain.length - WRAP_HEADER_BYTES), header)
    return plain.subarray(0, end)
  }

  private verified(payload: Uint8Array, header: Uint8Array, extra: number): Uint8Array {
    const end = payload.length - extra
    if (extra !== checksumBytes(this.key) || end < 0) throw new SaslError('a wrapped message that is too short')
    header.fill(0, 4, 6)
    verify(payload.subarray(end), checksum(this.key, INITIATOR_SEAL, [payload.subarray(0, end), header]))
    return payload.subarray(0, end)
  }
}

/** Takes the client's first token. Throws SaslError with what is wrong with it. */
export function acceptContext(token: Uint8Array, options: AcceptorOptions): AcceptedContext {
  if (token.length > TOKEN_BYTES_MAX) throw new SaslError(`a token of ${token.length} bytes`)
  const request = readApplication(innerToken(token), 14)
  if (request.int(0) !== 5 || request.int(1) !== 14) throw new SaslError('not a request of Kerberos 5')
  if (request.flag(2, 1)) throw new SaslError('user-to-user authentication')
  const nowS = options.wallMs() / 1000
  const ticket = openTicket(request.raw(3), options, nowS)
  const sealed = request.sequence(4)
  if (sealed.int(0) !== ticket.key.etype) throw new SaslError('an authenticator of another encryption type')
  const authenticator = readApplication(decrypt(ticket.key, AUTHENTICATOR, sealed.octets(2)), 2)
  const client = principalOf(authenticator.sequence(2), authenticator.text(1))
  if (client !== ticket.client) throw new SaslError('an authenticator of somebody else than the ticket')
  const ctimeS = authenticator.seconds(5)
  if (Math.abs(ctimeS - nowS) > CLOCK_SKEW_S) throw new SaslError('a clock that differs too much from ours')
  const flags = gssFlags(authenticator)
  if (!options.replays.admit(sealed.octets(2), nowS)) throw new SaslError('a request that was seen before')

  const key = authenticator.has(6) ? keyOf(authenticator.sequence(6)) : ticket.key
  const sequence = authenticator.has(7) ? authenticator.int(7) >>> 0 : 0
  if ((flags & GSS_MUTUAL) === 0) return new AcceptedContext(client, null, key, sequence, sequence)
  const own = options.sequence()
  const reply = replyToken(ticket.key, ctimeS, authenticator.int(4), own)
  return new AcceptedContext(client, reply, key, own, sequence)
}

/** What stands behind the mechanism and the two bytes of an AP-REQ. */
function innerToken(token: Uint8Array): Uint8Array {
  const outer = only(token, 0x60)
  const { tag, value, next } = readTlv(outer, 0)
  if (tag !== 0x06 || value.length !== MECHANISM.length || value.some((byte, i) => byte !== MECHANISM[i])) {
    throw new SaslError('a mechanism other than Kerberos 5')
  }
  if (outer[next] !== 1 || outer[next + 1] !== 0) throw new SaslError('not the first token of a client')
  return outer.subarray(next + 2)
}

function openTicket(raw: Uint8Array, options: AcceptorOptions, nowS: number): { client: string; key: EncryptionKey } {
  const ticket = readApplication(raw, 1)
  const service = principalOf(ticket.sequence(2), ticket.text(1))
  if (service !== options.principal) throw new SaslError(`a ticket for ${service}, and we are ${options.principal}`)
  const sealed = ticket.sequence(3)
  const key = ownKey(options, sealed.int(0), sealed.has(1) ? sealed.int(1) : null)
  const part = readApplication(decrypt(key, TICKET, sealed.octets(2)), 3)
  if (part.flag(0, TICKET_INVALID)) throw new SaslError('a ticket that is not valid yet')
  const startS = part.seconds(part.has(6) ? 6 : 5)
  if (startS > nowS + CLOCK_SKEW_S) throw new SaslError('a ticket whose time has not come')
  if (part.seconds(7) < nowS - CLOCK_SKEW_S) throw new SaslError('a ticket whose time is over')
  // Realms between the client's and ours: the centre must have looked at them, we know nothing about realms.
  if (part.sequence(4).octets(1).length > 0 && !part.flag(0, TRANSITED_CHECKED)) {
    throw new SaslError('a ticket that came through realms nobody has checked')
  }
  return { client: principalOf(part.sequence(3), part.text(2)), key: keyOf(part.sequence(1)) }
}

function ownKey({ principal, keys }: AcceptorOptions, etype: number, version: number | null): EncryptionKey {
  if (!isSupported(etype)) throw new SaslError(`a ticket of encryption type ${etype}, which is not AES`)
  const fitting = keys().filter((entry) => entry.principal === principal && entry.etype === etype)
  // Some centres send no version, or eight bits of it.
  const named = fitting.filter(
    (entry) => version === null || version === 0 || (entry.version & 255) === (version & 255),
  )
  const newest = named.sort((a, b) => b.version - a.version)[0]
  if (newest !== undefined) return newest
  const have = fitting.map((entry) => entry.version).join(', ') || 'none'
  throw new SaslError(
    `the keytab has no key of encryption type ${etype}, version ${version} for ${principal} (has ${have})`,
  )
}

function keyOf(fields: Fields): EncryptionKey {
  return { etype: fields.int(0), key: fields.octets(1).slice() }
}

/** Components that would look like other principals when they are written out are nobody's. */
function principalOf(name: Fields, realm: string): string {
  const components = name.texts(1)
  const odd = (text: string) => text === '' || /[/@\\\0]/.test(text)
  if (components.length === 0 || components.some(odd) || odd(realm)) throw new SaslError('an odd principal name')
  return `${components.join('/')}@${realm}`
}

/** RFC 4121 section 4.1.1: in place of a checksum stands what the client wants of the context. */
function gssFlags(authenticator: Fields): number {
  const sum = authenticator.sequence(3)
  const bytes = sum.octets(1)
  if (sum.int(0) !== 0x8003 || bytes.length < 24) throw new SaslError('an authenticator that is not of GSS-API')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(0, true) !== 16) throw new SaslError('an authenticator that is not of GSS-API')
  return view.getUint32(20, true)
}

function replyToken(key: EncryptionKey, ctimeS: number, cusec: number, sequence: number): Uint8Array {
  const part = tlv(
    0x60 | 27,
    tlv(Tag.sequence, field(0, time(ctimeS)), field(1, integer(cusec)), field(3, integer(sequence))),
  )
  const sealed = tlv(
    Tag.sequence,
    field(0, integer(key.etype)),
    field(2, tlv(Tag.octetString, encrypt(key, AP_REP_PART, part))),
  )
  const reply = tlv(0x60 | 15, tlv(Tag.sequence, field(0, integer(5)), field(1, integer(15)), field(2, sealed)))
  return tlv(0x60, tlv(0x06, Uint8Array.from(MECHANISM)), Uint8Array.from([2, 0]), reply)
}

function wrapHeader(flags: number, sequence: number): Uint8Array {
  const header = new Uint8Array(WRAP_HEADER_BYTES)
  const view = new DataView(header.buffer)
  view.setUint16(0, 0x0504)
  header[2] = flags
  header[3] = 0xff
  view.setUint32(8, Math.floor(sequence / 2 ** 32))
  view.setUint32(12, sequence >>> 0)
  return header
}

function rotatedLeft(bytes: Uint8Array, count: number): Uint8Array {
  if (bytes.length === 0) return bytes
  const by = count % bytes.length
  return by === 0 ? bytes : concat([bytes.subarray(by), bytes.subarray(0, by)])
}
