/**
 * The settings of access: authentication providers, the super user, enforced schemes. Part of config.ts.
 *
 * Class names are only compared with those of Java, never loaded: a provider this server does not have refuses the
 * start, because serving without it would leave open what the operator meant to close.
 */

import { isSuperHash, parseSuperHash } from '../access/superpassword.ts'
import { Secret, type Settings } from './settings.ts'

export type AuthScheme = 'ip' | 'digest' | 'x509' | 'sasl' | 'ensemble'

export interface AuthProvider {
  readonly scheme: AuthScheme
  /** Where it was asked for; null for the built-in ip and digest. */
  readonly where: string | null
}

export interface SecurityConfig {
  readonly skipACL: boolean
  /** `user:hash` of the super user, in Java's form or as superpassword.ts has it; null: there is none. */
  readonly superDigest: Secret | null
  /** A name that node:crypto knows. */
  readonly digestAlg: string
  readonly digestAuthEnabled: boolean
  /** The id of a super user by its certificate; null: none is. */
  readonly x509SuperUser: string | null
  readonly authProviders: readonly AuthProvider[]
  readonly enforceAuthEnabled: boolean
  readonly enforceAuthSchemes: readonly string[]
  readonly eagerACLCheck: boolean
  readonly ensembleAuthNames: readonly string[]
}

/** Java's provider classes by the scheme they answer to. Others would be code to load, which this server never does. */
const AUTH_PROVIDERS: Readonly<Record<string, AuthScheme>> = {
  'org.apache.zookeeper.server.auth.IPAuthenticationProvider': 'ip',
  'org.apache.zookeeper.server.auth.DigestAuthenticationProvider': 'digest',
  'org.apache.zookeeper.server.auth.X509AuthenticationProvider': 'x509',
  'org.apache.zookeeper.server.auth.SASLAuthenticationProvider': 'sasl',
  'org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider': 'ensemble',
}

/** MessageDigest's names, without their dashes, to those of node:crypto. */
const DIGEST_ALGORITHMS: Readonly<Record<string, string>> = {
  md5: 'md5',
  sha: 'sha1',
  sha1: 'sha1',
  sha224: 'sha224',
  sha256: 'sha256',
  sha384: 'sha384',
  sha512: 'sha512',
  'sha512/224': 'sha512-224',
  'sha512/256': 'sha512-256',
  sha3224: 'sha3-224',
  sha3256: 'sha3-256',
  sha3384: 'sha3-384',
  sha3512: 'sha3-512',
}

const CNXN_FACTORIES: ReadonlySet<string> = new Set([
  'org.apache.zookeeper.server.NIOServerCnxnFactory',
  'org.apache.zookeeper.server.NettyServerCnxnFactory',
])

export function readSecurity(s: Settings): SecurityConfig {
  const factory = s.find('serverCnxnFactory')
  if (factory !== null && !CNXN_FACTORIES.has(factory.value)) {
    throw s.refuse(factory, `serverCnxnFactory=${factory.value} is not a connection factory of ZooKeeper`)
  }
  const digestAuthEnabled = s.boolean('DigestAuthenticationProvider.enabled', true)
  const authProviders = readAuthProviders(s, digestAuthEnabled)
  return {
    skipACL: s.word('skipACL', 'yes', 'no', false),
    superDigest: readSuperDigest(s),
    digestAlg: readDigestAlgorithm(s),
    digestAuthEnabled,
    x509SuperUser: s.text('X509AuthenticationProvider.superUser'),
    authProviders,
    ...readEnforcedAuth(s, authProviders),
    eagerACLCheck: s.boolean('enableEagerACLCheck', false),
    ensembleAuthNames: wordsOf(s.text('ensembleAuthName')),
  }
}

/** Java's form, or a salted hash, which must be one that can be checked. */
function readSuperDigest(s: Settings): Secret | null {
  const setting = s.find('DigestAuthenticationProvider.superDigest')
  if (setting !== null && isSuperHash(setting.value) && parseSuperHash(setting.value) === null) {
    throw s.refuse(setting, 'DigestAuthenticationProvider.superDigest is no hash of zoowarden super-password')
  }
  return setting === null ? null : new Secret(setting.value)
}

function readDigestAlgorithm(s: Settings): string {
  const setting = s.find('DigestAuthenticationProvider.digestAlg')
  if (setting === null) return 'sha1'
  const name = DIGEST_ALGORITHMS[setting.value.toLowerCase().replaceAll('-', '')]
  if (name === undefined) throw s.refuse(setting, `${setting.value} is not a known digest algorithm`)
  return name
}

function readAuthProviders(s: Settings, digestAuthEnabled: boolean): AuthProvider[] {
  const providers = new Map<AuthScheme, AuthProvider>([['ip', { scheme: 'ip', where: null }]])
  if (digestAuthEnabled) providers.set('digest', { scheme: 'digest', where: null })
  for (const [key, setting] of s.family('authProvider.', 'property')) {
    const scheme = AUTH_PROVIDERS[setting.value]
    if (scheme === undefined) {
      throw s.refuse(setting, `${key}=${setting.value} is not one of the authentication providers this server has`)
    }
    providers.set(scheme, { scheme, where: setting.where })
  }
  if (s.find('secureClientPort') !== null || s.boolean('client.portUnification', false)) {
    // Java adds it by itself where clients may come with certificates.
    const provider = s.find('ssl.authProvider')
    if (provider !== null && provider.value !== 'x509') {
      throw s.refuse(provider, `ssl.authProvider=${provider.value} is not x509, the only one this server has`)
    }
    if (!providers.has('x509')) providers.set('x509', { scheme: 'x509', where: null })
  }
  return [...providers.values()]
}

function readEnforcedAuth(s: Settings, providers: readonly AuthProvider[]) {
  const saslRequired = s.boolean('sessionRequireClientSASLAuth', false)
  const enforceAuthEnabled = saslRequired || s.boolean('enforce.auth.enabled', false)
  const setting = s.find('enforce.auth.schemes')
  const enforceAuthSchemes = saslRequired ? ['sasl'] : wordsOf(setting?.value ?? null)
  if (enforceAuthEnabled) {
    const switchKey = saslRequired ? 'sessionRequireClientSASLAuth' : 'enforce.auth.enabled'
    const where = s.find(switchKey)
    if (enforceAuthSchemes.length === 0) throw s.refuse(where, `${switchKey}=true needs enforce.auth.schemes`)
    for (const scheme of enforceAuthSchemes) {
      if (providers.every((provider) => provider.scheme !== scheme)) {
        throw s.refuse(saslRequired ? where : setting, `authentication scheme ${scheme} has no provider`)
      }
    }
  }
  return { enforceAuthEnabled, enforceAuthSchemes }
}

function wordsOf(text: string | null): string[] {
  return (text ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}
