/**
 * The principal that a server must have for a client that logs in by Kerberos: `zookeeper/host`. As in Java the host is the
 * name that its address has, unless `zookeeper.sasl.client.canonicalize.hostname=false` has it as it was written.
 * Java: SaslServerPrincipal.
 */

import { lookup, lookupService } from 'node:dns/promises'

export async function servicePrincipal(host: string, properties: ReadonlyMap<string, string>): Promise<string> {
  const stated = properties.get('zookeeper.server.principal')
  const realm = properties.get('zookeeper.server.realm')
  const service = properties.get('zookeeper.sasl.client.username') ?? 'zookeeper'
  const asWritten = properties.get('zookeeper.sasl.client.canonicalize.hostname')?.toLowerCase() === 'false'
  const principal = stated ?? `${service}/${asWritten ? host : await canonical(host)}`
  return realm === undefined || principal.includes('@') ? principal : `${principal}@${realm}`
}

/** A name of the address, or the host as it is where it has none. */
async function canonical(host: string): Promise<string> {
  try {
    const { address } = await lookup(host)
    const { hostname } = await lookupService(address, 0)
    return hostname === address ? host : hostname
  } catch {
    return host
  }
}
