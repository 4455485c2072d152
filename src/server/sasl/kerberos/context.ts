/**
 * Messages of an established Kerberos context (RFC 4121 section 4.2.6), of either side. Pure but for its cryptography.
 *
 *   05 04 | flags | ff | EC u16 | RRC u16 | sequence u64 | payload (rotated right by RRC)
 */

import { SaslError } from '../mechanism.ts'
import { concat } from './der.ts'
import { checksum, checksumBytes, decrypt, type EncryptionKey, verify } from './etypes.ts'

/** Key usage numbers. */
const ACCEPTOR_SEAL = 22
const INITIATOR_SEAL = 24

/** Flags. */
const SENT_BY_ACCEPTOR = 1
const SEALED = 2
const ACCEPTOR_SUBKEY = 4

const HEADER_BYTES = 16

export interface ContextState {
  readonly side: 'initiator' | 'acceptor'
  readonly key: EncryptionKey
  /** The key is one that the acceptor has chosen. */
  readonly acceptorSubkey: boolean
  /** The first numbers, of what we send and of what we get. */
  readonly send: number
  readonly receive: number
}

export class SecurityContext {
  private readonly state: ContextState
  private sendSequence: number
  private receiveSequence: number

  constructor(state: ContextState) {
    this.state = state
    this.sendSequence = state.send
    this.receiveSequence = state.receive
  }

  /** Protected against change, not against reading. */
  wrap(message: Uint8Array): Uint8Array {
    const { side, key, acceptorSubkey } = this.state
    const flags = (side === 'acceptor' ? SENT_BY_ACCEPTOR : 0) | (acceptorSubkey ? ACCEPTOR_SUBKEY : 0)
    const header = headerOf(flags, this.sendSequence++)
    const sum = checksum(key, side === 'acceptor' ? ACCEPTOR_SEAL : INITIATOR_SEAL, [message, header])
    new DataView(header.buffer).setUint16(4, sum.length)
    return concat([header, message, sum])
  }

  unwrap(token: Uint8Array): Uint8Array {
    if (token.length < HEADER_BYTES) throw new SaslError('a wrapped message that is too short')
    const view = new DataView(token.buffer, token.byteOffset, token.length)
    const flags = token[2]!
    if (view.getUint16(0) !== 0x0504 || token[3] !== 0xff) throw new SaslError('not a wrapped message')
    const { side, acceptorSubkey } = this.state
    const expected = (side === 'initiator' ? SENT_BY_ACCEPTOR : 0) | (acceptorSubkey ? ACCEPTOR_SUBKEY : 0)
    if ((flags & (SENT_BY_ACCEPTOR | ACCEPTOR_SUBKEY)) !== expected) {
      throw new SaslError('a wrapped message of somebody else')
    }
    const extra = view.getUint16(4)
    const payload = rotatedLeft(token.subarray(HEADER_BYTES), view.getUint16(6))
    const header = token.slice(0, HEADER_BYTES)
    header.fill(0, 6, 8)
    const message = (flags & SEALED) !== 0 ? this.unseal(payload, header, extra) : this.verified(payload, header, extra)
    const sequence = view.getUint32(8) * 2 ** 32 + view.getUint32(12)
    if (sequence !== this.receiveSequence) throw new SaslError('a wrapped message out of order')
    this.receiveSequence++
    return message
  }

  private get usageOfPeer(): number {
    return this.state.side === 'acceptor' ? INITIATOR_SEAL : ACCEPTOR_SEAL
  }

  /** The header is sealed too, behind `extra` bytes of filler. */
  private unseal(payload: Uint8Array, header: Uint8Array, extra: number): Uint8Array {
    const plain = decrypt(this.state.key, this.usageOfPeer, payload)
    const end = plain.length - HEADER_BYTES - extra
    if (end < 0) throw new SaslError('a wrapped message that is too short')
    verify(plain.subarray(plain.length - HEADER_BYTES), header)
    return plain.subarray(0, end)
  }

  private verified(payload: Uint8Array, header: Uint8Array, extra: number): Uint8Array {
    const { key } = this.state
    const end = payload.length - extra
    if (extra !== checksumBytes(key) || end < 0) throw new SaslError('a wrapped message that is too short')
    header.fill(0, 4, 6)
    verify(payload.subarray(end), checksum(key, this.usageOfPeer, [payload.subarray(0, end), header]))
    return payload.subarray(0, end)
  }
}

function headerOf(flags: number, sequence: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES)
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
