/**
 * Opens what the settings of security between members name: certificates and keys, passwords. Loaded only where there are
 * such settings. It outlives the lives of a server, since it watches files.
 */

import type { Transport } from '../../zab/transport.ts'
import type { QuorumAuthConfig, QuorumProtection } from '../config/configprotection.ts'
import { isKerberos } from '../sasl/jaas.ts'
import { digestClientLogin, digestServerLogin, QUORUM_SERVICE, usersOf } from '../sasl/login.ts'
import type { SaslClientLogin, SaslServerLogin } from '../sasl/mechanism.ts'
import { openTlsEndpoint, type TlsEndpoint, type TlsLog } from '../tls/endpoint.ts'
import { isPrincipalOfServer } from './quorumauth.ts'
import { QuorumTransport, type SaslBetweenMembers, type TlsBetweenMembers } from './quorumtransport.ts'

export interface QuorumSecurity {
  readonly transport: Transport
  /** As of a TlsEndpoint. */
  daysLeft(): number | null
  /** Stops watching files. */
  close(): void
}

/** `hosts`: those of all members, as in the configuration in force. Throws ConfigError for files that cannot be used. */
export async function openQuorumSecurity(
  protection: QuorumProtection,
  hosts: () => readonly string[],
  log: TlsLog,
): Promise<QuorumSecurity> {
  const { tls: config } = protection
  const sasl = await saslOf(protection, hosts)
  // Chains are the endpoint's matter. Hosts are checked here, where it is known who is a member.
  const unchecked =
    config === null ? null : { ...config, hostnameVerification: false, clientHostnameVerification: false }
  const endpoint = unchecked === null ? null : openTlsEndpoint(unchecked, log)
  return {
    transport: new QuorumTransport(tlsOf(protection, endpoint), sasl, hosts),
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

async function saslOf({ auth }: QuorumProtection, hosts: () => readonly string[]): Promise<SaslBetweenMembers | null> {
  if (auth === null) return null
  return {
    server: await serverLogin(auth, hosts),
    serverRequired: auth.serverRequired,
    client: await clientLogins(auth),
  }
}

/** Nobody may be another than itself; with Kerberos it must be one of the servers as well. */
async function serverLogin(auth: QuorumAuthConfig, hosts: () => readonly string[]): Promise<SaslServerLogin> {
  if (!isKerberos(auth.server)) {
    return digestServerLogin(usersOf(auth.server), QUORUM_SERVICE, (id, asked) => (id === asked ? id : null))
  }
  const { kerberosServerLogin } = await import('../sasl/kerberos/kerberoslogin.ts')
  return kerberosServerLogin(auth.server, auth.kerberos!.defaultRealm, (id, asked) =>
    id === asked && isPrincipalOfServer(id, hosts()) ? id : null,
  )
}

async function clientLogins(auth: QuorumAuthConfig): Promise<((host: string) => SaslClientLogin) | null> {
  if (auth.learner === null) return null
  if (!isKerberos(auth.learner)) {
    const login = digestClientLogin(auth.learner, QUORUM_SERVICE)
    return () => login
  }
  const { kerberosClientLogins } = await import('../sasl/kerberos/kerberosclient.ts')
  const logins = kerberosClientLogins(auth.learner, auth.kerberos!)
  return (host) => logins(auth.servicePrincipal.replace(/\/_HOST(?=@|$)/, `/${host.toLowerCase()}`))
}
