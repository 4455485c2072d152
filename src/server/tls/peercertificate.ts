/**
 * The certificate that the other side of a secure socket has shown.
 *
 * TLSSocket.getPeerX509Certificate would be the way, but in Node 20 each call takes the first certificate off the chain: on
 * the side that dialled, the second call finds nothing, and on the other the issuers are gone.
 */

import { X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'

export function peerCertificate(socket: TLSSocket): X509Certificate | undefined {
  const { raw } = socket.getPeerCertificate()
  return raw === undefined ? undefined : new X509Certificate(raw)
}

/** The peer's certificate, then those of its issuers up to the trusted one, as OpenSSL has put them together. */
export function peerChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = []
  let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (at?.raw !== undefined) {
    const { raw } = at
    if (chain.some((before) => before.raw.equals(raw))) break // the last one has issued itself
    chain.push(new X509Certificate(raw))
    at = at.issuerCertificate
  }
  return chain
}
