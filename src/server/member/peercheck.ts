/**
 * Is a certificate for a host, or that of a member? And what it says of itself, for people.
 *
 * Names come from the certificate and from the configuration, and addresses from looking these up; the name that somebody
 * gives an address in a reverse zone never counts (CVE-2026-24281). Java: ZKTrustManager, ZKHostnameVerifier.
 */

import type { X509Certificate } from 'node:crypto'
import { checkServerIdentity, type TLSSocket } from 'node:tls'
import { peerCertificate } from '../tls/peercertificate.ts'

/** Names of one certificate that are looked up. */
const NAMES_MAX = 8
const WORDS_MAX = 200

/** The addresses of a name; empty where there are none. */
export type AddressesOf = (name: string) => Promise<readonly string[]>

/** The certificate's alternative names, or without any its common name, hold one of `hosts`. */
export function isFor(socket: TLSSocket, hosts: readonly string[]): boolean {
  const certificate = socket.getPeerCertificate()
  return hosts.some((host) => checkServerIdentity(host, certificate) === undefined)
}

/**
 * Whoever dials says nothing yet of who it is. It is a member if its certificate is for a configured host or for the
 * address it comes from; one that is about to be added also if a name in its certificate leads to that address.
 */
export async function isForMember(
  socket: TLSSocket,
  address: string,
  hosts: readonly string[],
  addressesOf: AddressesOf,
): Promise<boolean> {
  if (isFor(socket, [address, ...hosts])) return true
  for (const name of namesIn(peerCertificate(socket))) {
    if ((await addressesOf(name)).includes(address)) return true
  }
  return false
}

/** `CN=zk1,O=Example; DNS:zk1.example` */
export function wordsOf(certificate: X509Certificate | undefined): string {
  if (certificate === undefined) return 'no certificate'
  const subject = certificate.subject?.split('\n').join(',') ?? ''
  const names = certificate.subjectAltName ?? 'no alternative names'
  return printable(`${subject}; ${names}`)
}

/** Plain names only: a wildcard leads nowhere. */
function namesIn(certificate: X509Certificate | undefined): string[] {
  const found = (certificate?.subjectAltName ?? '').matchAll(/(?:^|, )DNS:([A-Za-z0-9.-]+)(?=,|$)/g)
  return [...found].map((match) => match[1]!).slice(0, NAMES_MAX)
}

/** A stranger chose these words. */
function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?').slice(0, WORDS_MAX)
}
