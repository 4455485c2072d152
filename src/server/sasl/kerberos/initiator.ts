/**
 * The side that begins a Kerberos 5 exchange (RFC 4120 sections 3.1 to 3.3, RFC 4121): asks a key distribution centre for
 * tickets with the key of a keytab, and turns one into the first token of a context. Pure but for its cryptography.
 *
 *   AS-REQ   who we are, and the time sealed with our key     -> a ticket for the centre itself
 *   TGS-REQ  that ticket, and whom we want to talk to         -> a ticket for that service
 *   AP-REQ   that ticket, and the time sealed with its key    -> the service proves itself by the same time (AP-REP)
 *
 * What the answers say is compared with what was asked, so that no other answer can take their place.
 */

import { SaslError } from '../mechanism.ts'
import { SecurityContext } from './context.ts'
import {
  type Fields,
  field,
  flags,
  generalString,
  integer,
  octetString,
  readApplication,
  sequenceOf,
  time,
  tlv,
} from './der.ts'
import { checksum, decrypt, type EncryptionKey } from './etypes.ts'
import type { KeytabEntry } from './keytab.ts'
import { keyOf, makeToken, openToken, principalOf, seal } from './messages.ts'

/** A clock's time; no two are the same. */
export interface Moment {
  readonly seconds: number
  readonly micros: number
}

export interface Ticket {
  readonly client: string
  readonly service: string
  /** As it was sealed for the service. */
  readonly bytes: Uint8Array
  readonly key: EncryptionKey
  readonly endS: number
}

const ETYPES = [18, 17, 20, 19]
/** By encryption type: that of its checksums. */
const CHECKSUM_TYPES: Readonly<Record<number, number>> = { 17: 15, 18: 16, 19: 19, 20: 20 }

/** Messages by their application tags. */
const AUTHENTICATOR = 2
const AS_REQ = 10
const AS_REP = 11
const TGS_REQ = 12
const TGS_REP = 13
const AP_REQ = 14
const AP_REP = 15
const AS_REP_PART = 25
const TGS_REP_PART = 26
const AP_REP_PART = 27
const KRB_ERROR = 30

/** Key usage numbers. */
const USE_TIMESTAMP = 1
const USE_AS_REP = 3
const USE_TGS_CHECKSUM = 6
const USE_TGS_AUTHENTICATOR = 7
const USE_TGS_REP = 8
const USE_AUTHENTICATOR = 11
const USE_AP_REP = 12

const PA_TGS_REQ = 1
const PA_ENC_TIMESTAMP = 2

const NAME_OF_PRINCIPAL = 1
const NAME_OF_SERVICE = 2

/** Mutual authentication, replays and order detected, integrity. */
const GSS_FLAGS = 2 | 4 | 8 | 32
const GSS_CHECKSUM = 0x8003
const MUTUAL_REQUIRED = 0x20000000

const ERRORS: Readonly<Record<number, string>> = {
  6: 'it does not know us',
  7: 'it does not know the service',
  14: 'it has no encryption type in common with us',
  18: 'we are locked out',
  23: 'our key has expired',
  24: 'our key in the keytab is not the one it has',
  25: 'it wants more than a key from a keytab',
  31: 'a message was made with another key',
  32: 'a ticket has expired',
  34: 'a request was seen before',
  37: 'our clocks differ too much',
  41: 'a message was changed',
  44: 'it has another version of the key',
}

/** `name/instance@REALM` to its parts. */
function partsOf(principal: string): { names: string[]; realm: string } {
  const at = principal.lastIndexOf('@')
  return { names: principal.slice(0, at).split('/'), realm: principal.slice(at + 1) }
}

export function realmOf(principal: string): string {
  return partsOf(principal).realm
}

export function centreOf(realm: string): string {
  return `krbtgt/${realm}@${realm}`
}

/** AS-REQ: a ticket for the centre of our own realm. `etypes`: of our keys, the best one first. */
export function askForCentre(
  client: string,
  key: EncryptionKey,
  etypes: readonly number[],
  nonce: number,
  now: Moment,
) {
  // The key that is shared with the centre may be of a type that our own keys are not of.
  const offered = [...new Set([...etypes, ...ETYPES])]
  const stamp = sequenceOf([field(0, time(now.seconds)), field(1, integer(now.micros))])
  const proof = sequenceOf([
    field(1, integer(PA_ENC_TIMESTAMP)),
    field(2, octetString(seal(key, USE_TIMESTAMP, stamp))),
  ])
  return request(AS_REQ, [proof], bodyOf(client, centreOf(realmOf(client)), offered, nonce))
}

/** TGS-REQ: a ticket for a service of our own realm. */
export function askForService(centre: Ticket, service: string, nonce: number, now: Moment): Uint8Array {
  const body = bodyOf(null, service, ETYPES, nonce)
  const sum = checksum(centre.key, USE_TGS_CHECKSUM, [body])
  const authenticator = authenticatorOf(centre.client, CHECKSUM_TYPES[centre.key.etype]!, sum, now, [])
  const proof = sequenceOf([
    field(1, integer(PA_TGS_REQ)),
    field(2, octetString(apRequest(centre, 0, USE_TGS_AUTHENTICATOR, authenticator))),
  ])
  return request(TGS_REQ, [proof], body)
}

/** The answer to AS-REQ; `keys` are ours. */
export function readCentreTicket(
  reply: Uint8Array,
  client: string,
  keys: readonly KeytabEntry[],
  nonce: number,
): Ticket {
  const answer = readAnswer(reply, AS_REP)
  const sealed = answer.sequence(6)
  const etype = sealed.int(0)
  const version = sealed.has(1) ? sealed.int(1) : 0
  const fitting = keys.filter(
    (key) => key.etype === etype && (version === 0 || (key.version & 255) === (version & 255)),
  )
  if (fitting.length === 0) {
    throw new SaslError(`the keytab has no key of encryption type ${etype}, version ${version} for ${client}`)
  }
  return readTicket(answer, fitting[0]!, USE_AS_REP, client, centreOf(realmOf(client)), nonce)
}

/** The answer to TGS-REQ. */
export function readServiceTicket(reply: Uint8Array, centre: Ticket, service: string, nonce: number): Ticket {
  return readTicket(readAnswer(reply, TGS_REP), centre.key, USE_TGS_REP, centre.client, service, nonce)
}

function readAnswer(reply: Uint8Array, number: number): Fields {
  if (reply[0] === (0x60 | KRB_ERROR)) throw refusalOf(reply)
  return readApplication(reply, number)
}

function refusalOf(message: Uint8Array): SaslError {
  const code = readApplication(message, KRB_ERROR).int(6)
  return new SaslError(ERRORS[code] ?? `Kerberos error ${code}`)
}

function readTicket(
  answer: Fields,
  key: EncryptionKey,
  usage: number,
  client: string,
  service: string,
  nonce: number,
): Ticket {
  if (principalOf(answer.sequence(4), answer.text(3)) !== client) throw new SaslError('a ticket for somebody else')
  const plain = decrypt(key, usage, answer.sequence(6).octets(2))
  // Some centres call either part by the name of the other.
  const part = readApplication(plain, plain[0] === (0x60 | AS_REP_PART) ? AS_REP_PART : TGS_REP_PART)
  if (part.int(2) >>> 0 !== nonce) throw new SaslError('an answer to another request')
  if (principalOf(part.sequence(10), part.text(9)) !== service) throw new SaslError('a ticket for another service')
  return { client, service, bytes: answer.raw(5).slice(), key: keyOf(part.sequence(0)), endS: part.seconds(7) }
}

// ------------------------------------------------------------------ the context

export interface Initiation {
  /** For the service. */
  readonly token: Uint8Array
  /** Takes the service's answer: it is the one the ticket is for, or SaslError. */
  complete(reply: Uint8Array): SecurityContext
}

/** `subkey`: a new key of the ticket's encryption type. `sequence`: below 2^30, and not to be foreseen. */
export function initiate(ticket: Ticket, now: Moment, subkey: EncryptionKey, sequence: number): Initiation {
  const wishes = new Uint8Array(24)
  const view = new DataView(wishes.buffer)
  view.setUint32(0, 16, true)
  view.setUint32(20, GSS_FLAGS, true)
  const own = sequenceOf([field(0, integer(subkey.etype)), field(1, octetString(subkey.key))])
  const more = [field(6, own), field(7, integer(sequence))]
  const authenticator = authenticatorOf(ticket.client, GSS_CHECKSUM, wishes, now, more)
  return {
    token: makeToken('request', apRequest(ticket, MUTUAL_REQUIRED, USE_AUTHENTICATOR, authenticator)),
    complete: (reply) => completed(reply, ticket, now, subkey, sequence),
  }
}

function completed(token: Uint8Array, ticket: Ticket, at: Moment, subkey: EncryptionKey, sequence: number) {
  const answer = readAnswer(openToken(token, 'reply'), AP_REP)
  const part = readApplication(decrypt(ticket.key, USE_AP_REP, answer.sequence(2).octets(2)), AP_REP_PART)
  if (part.seconds(0) !== at.seconds || part.int(1) !== at.micros) throw new SaslError('an answer to another request')
  const chosen = part.has(2) ? keyOf(part.sequence(2)) : null
  return new SecurityContext({
    side: 'initiator',
    key: chosen ?? subkey,
    acceptorSubkey: chosen !== null,
    send: sequence,
    receive: part.has(3) ? part.int(3) >>> 0 : sequence,
  })
}

// ------------------------------------------------------------------ writing

function request(number: number, proofs: readonly Uint8Array[], body: Uint8Array): Uint8Array {
  const parts = [field(1, integer(5)), field(2, integer(number)), field(3, sequenceOf(proofs)), field(4, body)]
  return tlv(0x60 | number, sequenceOf(parts))
}

/** KDC-REQ-BODY. As long as the centre likes: the end is 1970, as in Java. */
function bodyOf(client: string | null, service: string, etypes: readonly number[], nonce: number): Uint8Array {
  const { names, realm } = partsOf(service)
  return sequenceOf([
    field(0, flags(0)),
    ...(client === null ? [] : [field(1, nameOf(partsOf(client).names))]),
    field(2, generalString(realm)),
    field(3, nameOf(names)),
    field(5, time(0)),
    field(7, integer(nonce)),
    field(8, sequenceOf(etypes.map(integer))),
  ])
}

function nameOf(names: readonly string[]): Uint8Array {
  const type = names.length > 1 ? NAME_OF_SERVICE : NAME_OF_PRINCIPAL
  return sequenceOf([field(0, integer(type)), field(1, sequenceOf(names.map(generalString)))])
}

function authenticatorOf(client: string, sumType: number, sum: Uint8Array, now: Moment, more: readonly Uint8Array[]) {
  const { names, realm } = partsOf(client)
  const parts = [
    field(0, integer(5)),
    field(1, generalString(realm)),
    field(2, nameOf(names)),
    field(3, sequenceOf([field(0, integer(sumType)), field(1, octetString(sum))])),
    field(4, integer(now.micros)),
    field(5, time(now.seconds)),
    ...more,
  ]
  return tlv(0x60 | AUTHENTICATOR, sequenceOf(parts))
}

function apRequest(ticket: Ticket, options: number, usage: number, authenticator: Uint8Array): Uint8Array {
  const parts = [
    field(0, integer(5)),
    field(1, integer(AP_REQ)),
    field(2, flags(options)),
    field(3, ticket.bytes),
    field(4, seal(ticket.key, usage, authenticator)),
  ]
  return tlv(0x60 | AP_REQ, sequenceOf(parts))
}
