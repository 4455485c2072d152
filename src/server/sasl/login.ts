/**
 * From a section of a JAAS file to the SASL mechanism it stands for: DIGEST-MD5 for passwords, GSSAPI for Kerberos.
 *
 * As in Java a section with a Kerberos module speaks GSSAPI, every other one DIGEST-MD5. Login modules of other
 * classes would be code to load, and are refused.
 * Java: Login, DigestLoginModule, SecurityUtils, ServerCnxnFactory.configureSaslLogin.
 */

import { createHash, randomBytes } from 'node:crypto'
import { ConfigError, type Secret } from '../config/settings.ts'
import { type DigestCrypto, DigestMd5Client, DigestMd5Server, type DigestService } from './digestmd5.ts'
import { isKerberos, type JaasModule } from './jaas.ts'
import { idOfPrincipal } from './kerberosname.ts'
import type { Authorize, SaslClientLogin, SaslServerLogin } from './mechanism.ts'
import type { SaslConfig } from './saslconfig.ts'

/** What clients and servers call each other. */
export const CLIENT_SERVICE: DigestService = { protocol: 'zookeeper', serverName: 'zk-sasl-md5' }
/** What members of an ensemble call each other. */
export const QUORUM_SERVICE: DigestService = { protocol: 'zookeeper-quorum', serverName: 'zk-quorum-sasl-md5' }

const USER_PREFIX = 'user_'

export const digestCrypto: DigestCrypto = {
  md5: (bytes) => createHash('md5').update(bytes).digest(),
  nonce: () => randomBytes(30).toString('base64'),
}

/** What the clients of this server log in by. Throws ConfigError, for example for a keytab that cannot be read. */
export async function openServerLogin(sasl: SaslConfig, modules: readonly JaasModule[]): Promise<SaslServerLogin> {
  // Never by what the client asks to be: only by what it has proved (see kerberosname.ts).
  const authorize: Authorize = (authenticationId) => idOfPrincipal(authenticationId, sasl.names)
  if (isKerberos(modules)) {
    const { kerberosServerLogin } = await import('./kerberos/kerberoslogin.ts')
    return kerberosServerLogin(modules, sasl.names.defaultRealm, authorize)
  }
  const users = usersOf(modules)
  if (sasl.superPassword !== null && users.has('super')) users.set('super', sasl.superPassword)
  return digestServerLogin(users, CLIENT_SERVICE, authorize)
}

/** Users and passwords of a server's section: its options `user_NAME`. */
export function usersOf(modules: readonly JaasModule[]): Map<string, Secret> {
  const users = new Map<string, Secret>()
  for (const { options } of modules) {
    for (const [key, value] of options) if (key.startsWith(USER_PREFIX)) users.set(key.slice(USER_PREFIX.length), value)
  }
  return users
}

export function digestServerLogin(
  users: ReadonlyMap<string, Secret>,
  service: DigestService,
  authorize: Authorize,
): SaslServerLogin {
  checkMd5()
  const passwordOf = (user: string) => users.get(user)?.reveal() ?? null
  const options = { ...service, crypto: digestCrypto, passwordOf, authorize }
  return { mechanism: 'DIGEST-MD5', newServer: () => new DigestMd5Server(options) }
}

/** A client's section: `username` and `password`. */
export function digestClientLogin(modules: readonly JaasModule[], service: DigestService): SaslClientLogin {
  const options = modules[0]!.options
  const user = options.get('username')
  const password = options.get('password')
  if (user === undefined || password === undefined) {
    throw new ConfigError(`${modules[0]!.where}: a client's section needs username and password`)
  }
  checkMd5()
  const credentials = { ...service, crypto: digestCrypto, user: user.reveal(), password: password.reveal() }
  return { mechanism: 'DIGEST-MD5', newClient: () => new DigestMd5Client(credentials) }
}

/** Where OpenSSL is in FIPS mode there is no MD5, and it is better to know that before anybody logs in. */
function checkMd5(): void {
  try {
    digestCrypto.md5(new Uint8Array(0))
  } catch (err) {
    throw new ConfigError(`DIGEST-MD5 needs MD5, which this system does not offer: ${reasonOf(err)}`)
  }
}

function reasonOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
