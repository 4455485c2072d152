/**
 * The settings of security between members: TLS (`sslQuorum`, `ssl.quorum.*`) and SASL (`quorum.auth.*`). Part of
 * config.ts. Java: QuorumPeerConfig, QuorumPeer.initialize.
 */

import { checkModules, isKerberos, type JaasFile, type JaasModule } from '../sasl/jaas.ts'
import { type KerberosConfig, readKerberos } from '../sasl/saslconfig.ts'
import { readTls, type TlsConfig } from '../tls/tlsconfig.ts'
import type { Settings } from './settings.ts'

/** The content of a file, a character for each byte, or null where there is none. */
type ReadFile = (path: string) => string | null

export interface QuorumAuthConfig {
  /** Who dials us must prove who it is. */
  readonly serverRequired: boolean
  /** By which that is checked: a section of the JAAS file. */
  readonly server: readonly JaasModule[]
  /** By which we prove ourselves where we dial; null: we do not. */
  readonly learner: readonly JaasModule[] | null
  /** Whom a dial expects to meet, in Kerberos: `service/host`, and `_HOST` for that of the dial. */
  readonly servicePrincipal: string
  /** Null: neither section is one of Kerberos. */
  readonly kerberos: KerberosConfig | null
}

export interface QuorumProtection {
  /** We dial by TLS. */
  readonly sslQuorum: boolean
  /** Who dials us may use TLS or not. */
  readonly portUnification: boolean
  /** Null: TLS is neither dialed nor accepted. */
  readonly tls: TlsConfig | null
  readonly auth: QuorumAuthConfig | null
}

export const NO_PROTECTION: QuorumProtection = { sslQuorum: false, portUnification: false, tls: null, auth: null }

export function readProtection(s: Settings, jaas: JaasFile | null, readFile: ReadFile): QuorumProtection {
  const sslQuorum = s.boolean('sslQuorum', false)
  const portUnification = s.boolean('portUnification', false)
  const auth = readAuth(s, jaas, readFile)
  const key = s.find('portUnification')
  if (portUnification) {
    s.warn(key!.where, 'portUnification=true: members are let in without TLS too; end a change to TLS by taking it out')
  }
  const tls = sslQuorum || portUnification ? readTls(s, 'ssl.quorum') : null
  if (tls !== null && tls.trustStore === null) {
    const where = (s.find('sslQuorum') ?? key)!.where
    s.warn(
      where,
      'ssl.quorum.trustStore.location is not set: whoever has a certificate of any authority can be a member',
    )
  }
  return { sslQuorum, portUnification, tls, auth }
}

/** Is everybody kept out who has neither a certificate of our own authority nor a password? */
export function isProtected({ sslQuorum, portUnification, tls, auth }: QuorumProtection): boolean {
  if (auth?.serverRequired === true) return true
  return sslQuorum && !portUnification && tls !== null && tls.clientAuth === 'need' && tls.trustStore !== null
}

function readAuth(s: Settings, jaas: JaasFile | null, readFile: ReadFile): QuorumAuthConfig | null {
  const enabled = s.boolean('quorum.auth.enableSasl', false)
  const learnerRequired = s.boolean('quorum.auth.learnerRequireSasl', false)
  const serverRequired = s.boolean('quorum.auth.serverRequireSasl', false)
  for (const [key, wanted] of [
    ['quorum.auth.serverRequireSasl', serverRequired],
    ['quorum.auth.learnerRequireSasl', learnerRequired],
  ] as const) {
    if (wanted && !enabled) throw s.refuse(s.find(key), `${key}=true needs quorum.auth.enableSasl=true`)
  }
  if (serverRequired && !learnerRequired) {
    const key = s.find('quorum.auth.serverRequireSasl')
    throw s.refuse(key, 'quorum.auth.serverRequireSasl=true needs quorum.auth.learnerRequireSasl=true')
  }
  if (!enabled) return null
  if (!serverRequired) {
    const where = s.find('quorum.auth.enableSasl')!.where
    s.warn(where, 'members are let in without authentication too, until quorum.auth.serverRequireSasl=true')
  }
  const server = readSection(s, jaas, 'quorum.auth.server.saslLoginContext', 'QuorumServer')
  const learner = learnerRequired ? readSection(s, jaas, 'quorum.auth.learner.saslLoginContext', 'QuorumLearner') : null
  const kerberos = isKerberos(server) || (learner !== null && isKerberos(learner))
  return {
    serverRequired,
    server,
    learner,
    kerberos: kerberos ? readKerberos(s, readFile) : null,
    servicePrincipal: s.text('quorum.auth.kerberos.servicePrincipal') ?? 'zkquorum/localhost',
  }
}

function readSection(s: Settings, jaas: JaasFile | null, key: string, fallback: string): readonly JaasModule[] {
  const setting = s.find(key) ?? s.find('quorum.auth.enableSasl')
  const name = s.text(key) ?? fallback
  const modules = jaas?.get(name)
  if (modules === undefined) {
    const file = jaas === null ? 'it is not set' : 'its file has none'
    throw s.refuse(setting, `no section ${name} for members in -Djava.security.auth.login.config=FILE: ${file}`)
  }
  checkModules(modules)
  return modules
}
