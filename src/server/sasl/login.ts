/**
 * From a section of a JAAS file to the SASL mechanism it stands for: DIGEST-MD5 for passwords, GSSAPI for Kerberos.
 *
 * As in Java a section with a Kerberos module speaks GSSAPI, every other one DIGEST-MD5. Login modules of other
 * classes would be code to load, and are refused.
 * Java: Login, DigestLoginModule, SecurityUtils, ServerCnxnFactory.configureSaslLogin.
 */

import { createHash, randomBytes } from 'node:crypto'
import { ConfigError, type Secret } from '../settings.ts'
import { type DigestCrypto, DigestMd5Client, DigestMd5Server, type DigestService } from './digestmd5.ts'
import { DIGEST_MODULE, type JaasModule, KERBEROS_MODULE } from './jaas.ts'
import type { Authorize, SaslClient, SaslServer } from './mechanism.ts'

/** What clients and servers call each other. */
export const CLIENT_SERVICE: DigestService = { protocol: 'zookeeper', serverName: 'zk-sasl-md5' }
/** What members of an ensemble call each other. */
export const QUORUM_SERVICE: DigestService = { protocol: 'zookeeper-quorum', serverName: 'zk-quorum-sasl-md5' }

/** Knows what is needed to believe peers; one for a whole server. */
export interface SaslServerLogin {
  readonly mechanism: string
  newServer(): SaslServer
}

/** Knows what is needed to prove oneself. */
export interface SaslClientLogin {
  readonly mechanism: string
  newClient(): SaslClient
}

const USER_PREFIX = 'user_'

export const digestCrypto: DigestCrypto = {
  md5: (bytes) => createHash('md5').update(bytes).digest(),
  nonce: () => randomBytes(30).toString('base64'),
}

export function isKerberos(modules: readonly JaasModule[]): boolean {
  return modules.some(({ className }) => className === KERBEROS_MODULE)
}

/** Refuses login modules that this server does not have. */
export function checkModules(modules: readonly JaasModule[]): void {
  for (const { className, where } of modules) {
    if (className === DIGEST_MODULE || className === KERBEROS_MODULE) continue
    throw new ConfigError(
      `${where}: ${className} is not one of the login modules there are: ${DIGEST_MODULE} and ${KERBEROS_MODULE}`,
    )
  }
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
  const credentials = { ...service, crypto: digestCrypto, user: user.reveal(), password: password.reveal() }
  return { mechanism: 'DIGEST-MD5', newClient: () => new DigestMd5Client(credentials) }
}
