/**
 * The accepting side of the Kerberos 5 GSS-API mechanism (RFC 4120 section 3.2, RFC 4121): from a client's ticket and
 * authenticator to a context.
 *
 * It needs the service's keys and a clock, and never asks a key distribution centre. A ticket is believed when it is
 * for exactly our principal, was sealed with our key, is in its time, and comes with an authenticator that its session
 * key sealed in the last five minutes and that was not seen before. Pure but for its cryptography.
 *
 * Why not the `kerberos` package: its accepting side has no wrap and unwrap, without which SASL's GSSAPI cannot end its
 * exchange (RFC 4752 section 3.2); and it has to be compiled, or fetched by an install script.
 */

import { SaslError } from '../mechanism.ts'
import { SecurityContext } from './context.ts'
import { type Fields, field, integer, readApplication, Tag, time, tlv } from './der.ts'
import { decrypt, type EncryptionKey, isSupported } from './etypes.ts'
import type { KeytabEntry } from './keytab.ts'
import { keyOf, makeToken, openToken, principalOf, seal } from './messages.ts'
import type { ReplayCache } from './replay.ts'

/** How far clocks may be apart. */
export const CLOCK_SKEW_S = 300
/** A ticket may carry a lot about its owner, but not more than a client may send in a token here. */
const TOKEN_BYTES_MAX = 128 * 1024

/** Key usage numbers. */
const TICKET = 2
const AUTHENTICATOR = 11
const AP_REP_PART = 12

/** Flags of the authenticator's checksum. */
const GSS_MUTUAL = 2
/** Bits of a ticket's flags. */
const TICKET_INVALID = 7
const TRANSITED_CHECKED = 12

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
export interface AcceptedContext {
  /** `name@REALM` or `name/instance@REALM`. */
  readonly client: string
  /** To be sent back; null where the client did not ask us to prove ourselves. */
  readonly reply: Uint8Array | null
  readonly context: SecurityContext
}

/** Takes the client's first token. Throws SaslError with what is wrong with it. */
export function acceptContext(token: Uint8Array, options: AcceptorOptions): AcceptedContext {
  if (token.length > TOKEN_BYTES_MAX) throw new SaslError(`a token of ${token.length} bytes`)
  const request = readApplication(openToken(token, 'request'), 14)
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
  const mutual = (flags & GSS_MUTUAL) !== 0
  const own = mutual ? options.sequence() : sequence
  return {
    client,
    reply: mutual ? replyToken(ticket.key, ctimeS, authenticator.int(4), own) : null,
    context: new SecurityContext({ side: 'acceptor', key, acceptorSubkey: false, send: own, receive: sequence }),
  }
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
  const reply = tlv(
    0x60 | 15,
    tlv(Tag.sequence, field(0, integer(5)), field(1, integer(15)), field(2, seal(key, AP_REP_PART, part))),
  )
  return makeToken('reply', reply)
}
