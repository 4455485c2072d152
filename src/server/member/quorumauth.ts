/**
 * How members authenticate each other before they talk: SASL tokens in packets of their own, without a frame around them.
 *
 *   magic long, 5f2435013501edcc | status int: 0 goes on, 1 success, -1 failure | token: length int (-1: none), bytes
 *
 *   dialer    0, its first token, or an empty one where the mechanism has the other side begin
 *   acceptor  0, a challenge        dialer  0, a response      and so on
 *   acceptor  1, its last token (of DIGEST-MD5 the proof that it knows the password as well)
 *
 * The dialer's hello of the election port comes ahead of that, its first packet for a leader behind it. Nothing is
 * encrypted or signed afterwards. Pure; who sends and waits is quorumtransport.ts.
 * Java: QuorumAuth, QuorumAuthPacket, SaslQuorumAuthServer, SaslQuorumAuthLearner, SaslQuorumServerCallbackHandler.
 */

import { ProtocolError, readInt } from '../../jute/input.ts'

export type AuthStatus = 'goes on' | 'success' | 'failure'

export const MAGIC_BYTES = 8
export const AUTH_HEADER_BYTES = 16
/** Far beyond the tokens of DIGEST-MD5 and Kerberos. */
const TOKEN_BYTES_MAX = 64 * 1024
/** Challenges that Java sends before it gives up. */
export const ROUNDS_MAX = 5

const MAGIC_HI = 0x5f243501
const MAGIC_LO = 0x3501edcc
const STATUS: Readonly<Record<AuthStatus, number>> = { 'goes on': 0, success: 1, failure: -1 }

/** Do these bytes begin a packet? False where there are too few. */
export function beginsAuth(buf: Uint8Array): boolean {
  return buf.length >= MAGIC_BYTES && readInt(buf, 0) === MAGIC_HI && readInt(buf, 4) === MAGIC_LO
}

export function encodeAuthPacket(status: AuthStatus, token: Uint8Array | null): Uint8Array {
  const bytes = new Uint8Array(AUTH_HEADER_BYTES + (token?.length ?? 0))
  const view = new DataView(bytes.buffer)
  view.setInt32(0, MAGIC_HI)
  view.setInt32(4, MAGIC_LO)
  view.setInt32(8, STATUS[status])
  view.setInt32(12, token?.length ?? -1)
  if (token !== null) bytes.set(token, AUTH_HEADER_BYTES)
  return bytes
}

/** What the header says: the status, and how many bytes of a token follow; -1 is none. Throws ProtocolError. */
export function readAuthHeader(buf: Uint8Array): { readonly status: AuthStatus; readonly tokenBytes: number } {
  if (!beginsAuth(buf)) throw new ProtocolError('not a packet of authentication', 0)
  const code = readInt(buf, 8)
  const status = (Object.keys(STATUS) as AuthStatus[]).find((name) => STATUS[name] === code)
  if (status === undefined) throw new ProtocolError(`status ${code}`, 8)
  const tokenBytes = readInt(buf, 12)
  if (tokenBytes < -1 || tokenBytes > TOKEN_BYTES_MAX) throw new ProtocolError(`a token of ${tokenBytes} bytes`, 12)
  return { status, tokenBytes }
}

/**
 * Is this Kerberos principal one of the servers `hosts`? It must name service, host and realm, and the host must be
 * written as a server's is in the configuration: a principal without a host is anybody's (CVE-2023-44981).
 */
export function isPrincipalOfServer(principal: string, hosts: readonly string[]): boolean {
  const parts = /^([^/@]+)\/([^/@]+)@([^/@]+)$/.exec(principal)
  return parts !== null && hosts.includes(parts[2]!)
}
