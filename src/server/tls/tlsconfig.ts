/**
 * The settings of TLS, `ssl.*` for clients and `ssl.quorum.*` between members, as one record. Part of config.ts.
 *
 * Pure: files are named here and opened by endpoint.ts. What cannot be kept as it is written refuses the start, or warns
 * where the server is only stricter than asked. Java: X509Util, ClientX509Util, QuorumX509Util, SSLContextAndOptions.
 */

import type { Secret, Settings } from '../config/settings.ts'
import { cipherOf } from './ciphers.ts'

export type TlsPrefix = 'ssl' | 'ssl.quorum'
export type ClientAuth = 'none' | 'want' | 'need'
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** A file with keys or trusted certificates. What is in it says whether it is PEM, PKCS12 or JKS. */
export interface StoreConfig {
  readonly location: string
  /** `zoo.cfg:7: ssl.keyStore.location`, for errors. */
  readonly where: string
  readonly password: Secret | null
  /** A file with the password; it wins over `password`. Read again with every reload. */
  readonly passwordPath: string | null
}

export interface TlsConfig {
  readonly prefix: TlsPrefix
  readonly keyStore: StoreConfig | null
  readonly trustStore: StoreConfig | null
  readonly minVersion: TlsVersion
  readonly maxVersion: TlsVersion
  /** OpenSSL's names joined by `:`; null is Node's own list, which holds Java's default suites that are not broken. */
  readonly ciphers: string | null
  readonly clientAuth: ClientAuth
  /** A server's certificate must be for the host that was dialled. */
  readonly hostnameVerification: boolean
  /** A client's certificate must be for the address it comes from. */
  readonly clientHostnameVerification: boolean
  /** Certificates are looked up in lists of revoked ones; where none can be had the peer is refused. */
  readonly crl: boolean
  /** Certificates are asked about at their responders, and looked up in lists where that gives no answer. */
  readonly ocsp: boolean
  /** Files with such lists, beside those that certificates name. Ours. */
  readonly crlFiles: readonly string[]
  /** How long the first bytes on a port for both, plain and TLS, are waited for. */
  readonly handshakeDetectionTimeoutMs: number
  /** Stores are read again when their files change. */
  readonly reload: boolean
}

/** How a client's id comes out of an alternative name of its certificate. */
export interface ClientCertId {
  /** The kind of name, by its number in a certificate: 1 e-mail, 2 DNS, 4 directory, 6 URI, 7 address. */
  readonly matchType: number
  /** Which one of these is meant. */
  readonly match: RegExp
  /** What of it is the id: the group of this number. */
  readonly extract: RegExp
  readonly group: number
}

/** What TLS is to the ports for clients. */
export interface ClientTlsConfig {
  readonly tls: TlsConfig
  /** The plain port takes TLS too. */
  readonly portUnification: boolean
  /** Handshakes at a time; 0 or less is unlimited. */
  readonly handshakesMax: number
  readonly earlyDrop: boolean
  /** Null: the id is the subject. */
  readonly clientCertId: ClientCertId | null
}

const STORE_TYPES: ReadonlySet<string> = new Set(['JKS', 'PEM', 'PKCS12', 'BCFKS'])
const OLD_VERSIONS: ReadonlySet<string> = new Set(['SSLv2Hello', 'SSLv3', 'TLSv1', 'TLSv1.1'])
const DETECTION_TIMEOUT_MS = 5000

export function readTls(s: Settings, prefix: TlsPrefix): TlsConfig {
  const quorum = prefix === 'ssl.quorum'
  const supplier = s.find(`${prefix}.context.supplier.class`)
  if (supplier !== null) {
    throw s.refuse(supplier, `${prefix}.context.supplier.class names code to load, which this server never does`)
  }
  const reverse = s.find(`${prefix}.allowReverseDnsLookup`)
  if (s.boolean(`${prefix}.allowReverseDnsLookup`, false)) {
    s.warn(
      reverse!.where,
      `${prefix}.allowReverseDnsLookup=true counts as false: whoever controls the reverse zone of an address could ` +
        'claim any name',
    )
  }
  const hostnameVerification = s.boolean(`${prefix}.hostnameVerification`, true)
  const clientHostname = s.boolean(`${prefix}.clientHostnameVerification`, quorum)
  return {
    prefix,
    keyStore: readStore(s, `${prefix}.keyStore`),
    trustStore: readStore(s, `${prefix}.trustStore`),
    ...readVersions(s, prefix),
    ciphers: readCiphers(s, prefix),
    clientAuth: readClientAuth(s, prefix),
    hostnameVerification,
    clientHostnameVerification: hostnameVerification && clientHostname,
    crl: s.boolean(`${prefix}.crl`, false),
    ocsp: s.boolean(`${prefix}.ocsp`, false),
    crlFiles: wordsOf(s.text(`${prefix}.crl.location`)),
    handshakeDetectionTimeoutMs: readDetectionTimeout(s, prefix),
    reload: s.boolean(quorum ? 'sslQuorumReloadCertFiles' : 'client.certReload', true),
  }
}

/** Null when no port for clients speaks TLS. */
export function readClientTls(s: Settings): ClientTlsConfig | null {
  const portUnification = s.boolean('client.portUnification', false)
  if (!portUnification && s.find('secureClientPort') === null) return null
  return {
    tls: readTls(s, 'ssl'),
    portUnification,
    handshakesMax: s.int('netty.server.outstandingHandshake.limit', -1),
    earlyDrop: s.boolean('netty.server.earlyDropSecureConnectionHandshakes', false),
    clientCertId: readClientCertId(s),
  }
}

function readClientCertId(s: Settings): ClientCertId | null {
  const key = 'ssl.x509.clientCertId'
  const type = s.find(`${key}Type`)
  if (type === null || type.value.toUpperCase() !== 'SAN') {
    if (type !== null) s.warn(type.where, `${key}Type=${type.value} counts as the subject: only SAN means something`)
    return null
  }
  const pattern = (name: string): RegExp => {
    const setting = s.find(`${key}${name}`)
    try {
      return new RegExp(setting?.value ?? '.*')
    } catch {
      throw s.refuse(setting, `${key}${name}=${setting!.value} is no regular expression`)
    }
  }
  return {
    matchType: s.int(`${key}SanMatchType`, 6, { min: 0, max: 8 }),
    match: pattern('SanMatchRegex'),
    extract: pattern('SanExtractRegex'),
    group: s.int(`${key}SanExtractMatcherGroupIndex`, 0, { min: 0 }),
  }
}

function readStore(s: Settings, key: string): StoreConfig | null {
  const type = s.find(`${key}.type`)
  if (type !== null && type.value !== '' && !STORE_TYPES.has(type.value.toUpperCase())) {
    throw s.refuse(type, `${key}.type=${type.value} is not one of JKS, PEM, PKCS12`)
  }
  const location = s.find(`${key}.location`)
  if (location === null || location.value === '') return null
  if (type?.value.toUpperCase() === 'BCFKS' || /\.bcfks$/.test(location.value)) {
    throw s.refuse(
      type ?? location,
      `${key}: ${location.value}: BCFKS stores need a Java library to read; convert it to PKCS12 with keytool -importkeystore`,
    )
  }
  const passwordPath = s.text(`${key}.passwordPath`)
  return {
    location: location.value,
    where: `${location.where}: ${key}.location`,
    password: s.secret(`${key}.password`),
    passwordPath: passwordPath === '' ? null : passwordPath,
  }
}

/**
 * Without a setting both versions. `ssl.protocol` alone means itself only, as Java's client port reads it; between members
 * Java takes TLSv1.3 as that and 1.2.
 */
function readVersions(s: Settings, prefix: TlsPrefix): { minVersion: TlsVersion; maxVersion: TlsVersion } {
  const enabled = s.find(`${prefix}.enabledProtocols`)
  const setting = enabled ?? s.find(`${prefix}.protocol`)
  if (setting === null) return { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' }
  const key = enabled === null ? `${prefix}.protocol` : `${prefix}.enabledProtocols`
  const versions = new Set<TlsVersion>()
  for (const word of wordsOf(setting.value)) {
    if (word === 'TLSv1.2' || word === 'TLSv1.3') versions.add(word)
    else if (word === 'TLS' && enabled === null) versions.add('TLSv1.2').add('TLSv1.3')
    else if (OLD_VERSIONS.has(word)) s.warn(setting.where, `${key}: ${word} is broken and not offered`)
    else throw s.refuse(setting, `${key}: ${word} is not a TLS version`)
  }
  if (versions.size === 0) throw s.refuse(setting, `${key}=${setting.value} leaves neither TLSv1.2 nor TLSv1.3`)
  if (enabled === null && prefix === 'ssl.quorum' && versions.has('TLSv1.3')) versions.add('TLSv1.2')
  return {
    minVersion: versions.has('TLSv1.2') ? 'TLSv1.2' : 'TLSv1.3',
    maxVersion: versions.has('TLSv1.3') ? 'TLSv1.3' : 'TLSv1.2',
  }
}

function readCiphers(s: Settings, prefix: TlsPrefix): string | null {
  const setting = s.find(`${prefix}.ciphersuites`)
  if (setting === null) return null
  const names: string[] = []
  for (const word of wordsOf(setting.value)) {
    const cipher = cipherOf(word)
    if (cipher === null) s.warn(setting.where, `${prefix}.ciphersuites: ${word} is not known here and left out`)
    else names.push(cipher)
  }
  if (names.length === 0) throw s.refuse(setting, `${prefix}.ciphersuites names no cipher suite that is known here`)
  return names.join(':')
}

function readClientAuth(s: Settings, prefix: TlsPrefix): ClientAuth {
  const setting = s.find(`${prefix}.clientAuth`)
  const word = setting?.value.toLowerCase() ?? ''
  if (word === '') return 'need'
  if (word === 'none' || word === 'want' || word === 'need') return word
  throw s.refuse(setting, `${prefix}.clientAuth=${setting!.value} is none of none, want, need`)
}

function readDetectionTimeout(s: Settings, prefix: TlsPrefix): number {
  const key = `${prefix}.handshakeDetectionTimeoutMillis`
  const timeoutMs = s.int(key, DETECTION_TIMEOUT_MS)
  if (timeoutMs >= 1) return timeoutMs
  s.warn(s.find(key)!.where, `${key}=${timeoutMs} counts as ${DETECTION_TIMEOUT_MS}: without end it could be held up`)
  return DETECTION_TIMEOUT_MS
}

function wordsOf(text: string | null): string[] {
  return (text ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}
