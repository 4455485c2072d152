/**
 * The Kerberos login of a client: of a member that dials another one, and of tools. From its section in the JAAS file
 * come principal and keytab, or the tickets that kinit has left (`useTicketCache=true`, in `ticketCache`, else in
 * KRB5CCNAME, else at their usual place); and with them a ticket for each service that it meets.
 */

import { readFileSync } from 'node:fs'
import { ConfigError } from '../../config/settings.ts'
import { GssapiClient } from '../gssapiclient.ts'
import { type JaasModule, KERBEROS_MODULE } from '../jaas.ts'
import type { SaslClientLogin } from '../mechanism.ts'
import type { KerberosConfig } from '../saslconfig.ts'
import { type CredentialCache, parseCredentialCache } from './ccache.ts'
import { realmOf } from './initiator.ts'
import { KeytabFile, kerberosLoginOf } from './kerberoslogin.ts'
import { Tickets, type TicketsOptions } from './tickets.ts'

/** Who a client is, and by what it shows that. */
type Identity = Pick<TicketsOptions, 'client' | 'keys' | 'cached'>

/** Makes logins for services, as `service/host`; they share their tickets. Throws ConfigError for files of no use. */
export function kerberosClientLogins(
  modules: readonly JaasModule[],
  config: KerberosConfig,
  environment: Readonly<Record<string, string | undefined>> = {},
): (service: string) => SaslClientLogin {
  const identity = identityOf(modules, config, environment)
  const tickets = new Tickets({ ...identity, centres: (realm) => config.centres.get(realm) ?? [] })
  return (service) => {
    const name = service.includes('@') ? service : `${service}@${realmOf(identity.client)}`
    const options = {
      ticket: () => tickets.ticket(name),
      now: () => tickets.now(),
      newKey: (etype: number) => tickets.newKey(etype),
      sequence: () => tickets.sequence(),
    }
    return { mechanism: 'GSSAPI', newClient: () => new GssapiClient(options) }
  }
}

function identityOf(
  modules: readonly JaasModule[],
  config: KerberosConfig,
  environment: Readonly<Record<string, string | undefined>>,
): Identity {
  const { options, where } = modules.find(({ className }) => className === KERBEROS_MODULE)!
  const isOn = (key: string) => options.get(key)?.reveal() === 'true'
  if (isOn('useTicketCache') && !isOn('useKeyTab')) {
    const stated = options.get('ticketCache')?.reveal() ?? environment['KRB5CCNAME']
    const path = (stated ?? `/tmp/krb5cc_${process.getuid?.() ?? 0}`).replace(/^FILE:/, '')
    // Read again for each login: kinit may have been there.
    const read = () => readCache(path, where)
    return { client: read().principal, keys: () => [], cached: () => read().tickets }
  }
  const { principal, keytab } = kerberosLoginOf(modules, config.defaultRealm)
  const keys = new KeytabFile(keytab, principal)
  return { client: principal, keys: () => keys.entries(), cached: () => [] }
}

function readCache(path: string, where: string): CredentialCache {
  try {
    return parseCredentialCache(readFileSync(path))
  } catch (err) {
    throw new ConfigError(`${where}: ticket cache ${path}: ${err instanceof Error ? err.message : String(err)}`)
  }
}
