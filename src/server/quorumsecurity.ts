/**
 * Opens what the settings of security between members name: certificates and keys, passwords. Loaded only where there are
 * such settings. It outlives the lives of a server, since it watches files.
 */

import type { Transport } from '../zab/transport.ts'
import type { QuorumProtection } from './configprotection.ts'
import { QuorumTransport, type SaslBetweenMembers, type TlsBetweenMembers } from './quorumtransport.ts'
import { digestClientLogin, digestServerLogin, QUORUM_SERVICE, usersOf } from './sasl/login.ts'
import type { Authorize } from './sasl/mechanism.ts'
import { openTlsEndpoint, type TlsEndpoint, type TlsLog } from './tls/endpoint.ts'

export interface QuorumSecurity {
  readonly transport: Transport
  /** As of a TlsEndpoint. */
  daysLeft(): number | null
  /** Stops watching files. */
  close(): void
}

/** `hosts`: those of all members, as in the configuration in force. Throws ConfigError for files that cannot be used. */
export function openQuorumSecurity(
  protection: QuorumProtection,
  hosts: () => readonly string[],
  log: TlsLog,
): QuorumSecurity {
  const { tls: config } = protection
  // Chains are the endpoint's matter. Hosts are checked here, where it is known who is a member.
  const unchecked =
    config === null ? null : { ...config, hostnameVerification: false, clientHostnameVerification: false }
  const endpoint = unchecked === null ? null : openTlsEndpoint(unchecked, log)
  return {
    transport: new QuorumTransport(tlsOf(protection, endpoint), saslOf(protection), hosts),
    daysLeft: () => endpoint?.daysLeft() ?? null,
    close: () => endpoint?.close(),
  }
}

function tlsOf({ tls, sslQuorum, portUnification }: QuorumProtection, endpoint: TlsEndpoint | null) {
  if (tls === null || endpoint === null) return null
  const between: TlsBetweenMembers = {
    endpoint,
    dials: sslQuorum,
    acceptsPlain: portUnification,
    detectionTimeoutMs: tls.handshakeDetectionTimeoutMs,
    checksDialed: tls.hostnameVerification,
    checksDialing: tls.clientHostnameVerification,
  }
  return between
}

/** A user may be itself only. */
const authorizeMember: Authorize = (authenticationId, authorizationId) =>
  authenticationId === authorizationId ? authorizationId : null

function saslOf({ auth }: QuorumProtection): SaslBetweenMembers | null {
  if (auth === null) return null
  const login = auth.learner === null ? null : digestClientLogin(auth.learner, QUORUM_SERVICE)
  return {
    server: digestServerLogin(usersOf(auth.server), QUORUM_SERVICE, authorizeMember),
    serverRequired: auth.serverRequired,
    client: login === null ? null : () => login,
  }
}
