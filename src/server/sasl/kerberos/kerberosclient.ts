/**
 * The Kerberos login of a client, as a member of an ensemble is one of the others: principal and keytab of its section in
 * the JAAS file, and a ticket for each service that it meets.
 */

import { GssapiClient } from '../gssapiclient.ts'
import type { JaasModule } from '../jaas.ts'
import type { SaslClientLogin } from '../mechanism.ts'
import type { KerberosConfig } from '../saslconfig.ts'
import { realmOf } from './initiator.ts'
import { KeytabFile, kerberosLoginOf } from './kerberoslogin.ts'
import { Tickets } from './tickets.ts'

/** Makes logins for services, as `service/host`; they share their tickets. Throws ConfigError for a keytab of no use. */
export function kerberosClientLogins(
  modules: readonly JaasModule[],
  config: KerberosConfig,
): (service: string) => SaslClientLogin {
  const { principal, keytab } = kerberosLoginOf(modules, config.defaultRealm)
  const keys = new KeytabFile(keytab, principal)
  const tickets = new Tickets({
    client: principal,
    keys: () => keys.entries(),
    centres: (realm) => config.centres.get(realm) ?? [],
  })
  return (service) => {
    const name = service.includes('@') ? service : `${service}@${realmOf(principal)}`
    const options = {
      ticket: () => tickets.ticket(name),
      now: () => tickets.now(),
      newKey: (etype: number) => tickets.newKey(etype),
      sequence: () => tickets.sequence(),
    }
    return { mechanism: 'GSSAPI', newClient: () => new GssapiClient(options) }
  }
}
