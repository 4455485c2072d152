/**
 * Names of cipher suites: those of the standards, which Java uses, to those of OpenSSL, which Node takes. Pure.
 *
 * TLS 1.3 suites have one name for all. A TLS 1.2 suite is TLS_<key exchange>_WITH_<cipher>_<hash>; OpenSSL leaves out
 * what goes without saying (RSA key exchange, CBC, and the hash of an AEAD that has only one).
 */

const SUITES_1_3: ReadonlySet<string> = new Set([
  'TLS_AES_256_GCM_SHA384',
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_CCM_SHA256',
  'TLS_AES_128_CCM_8_SHA256',
])

const KEY_EXCHANGES: Readonly<Record<string, string>> = {
  ECDHE_RSA: 'ECDHE-RSA-',
  ECDHE_ECDSA: 'ECDHE-ECDSA-',
  DHE_RSA: 'DHE-RSA-',
  DHE_DSS: 'DHE-DSS-',
  RSA: '',
}

const CIPHERS: Readonly<Record<string, string>> = {
  AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  AES_128_CBC_SHA256: 'AES128-SHA256',
  AES_256_CBC_SHA256: 'AES256-SHA256',
  AES_256_CBC_SHA384: 'AES256-SHA384',
  AES_128_CBC_SHA: 'AES128-SHA',
  AES_256_CBC_SHA: 'AES256-SHA',
  AES_128_CCM: 'AES128-CCM',
  AES_256_CCM: 'AES256-CCM',
  AES_128_CCM_8: 'AES128-CCM8',
  AES_256_CCM_8: 'AES256-CCM8',
  CHACHA20_POLY1305_SHA256: 'CHACHA20-POLY1305',
}

/** OpenSSL's name of a suite, or null when it has none (or only a broken one: RC4, DES, NULL, anonymous). */
export function cipherOf(name: string): string | null {
  if (SUITES_1_3.has(name)) return name
  const match = /^TLS_([A-Z_]+)_WITH_([A-Z0-9_]+)$/.exec(name)
  if (match === null) return null
  const exchange = KEY_EXCHANGES[match[1]!]
  const cipher = CIPHERS[match[2]!]
  return exchange === undefined || cipher === undefined ? null : exchange + cipher
}
