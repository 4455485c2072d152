/** The settings of TLS as Java reads them, and what is refused or only warned of. */
import { getCiphers } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { ConfigError, Settings } from '../../../../src/server/config/settings.ts'
import { cipherOf } from '../../../../src/server/tls/ciphers.ts'
import { readClientTls, readTls, type TlsPrefix } from '../../../../src/server/tls/tlsconfig.ts'

const settings = (text: string): Settings => new Settings(text, 'zoo.cfg', new Map())
const read = (text: string, prefix: TlsPrefix = 'ssl') => readTls(settings(text), prefix)
const warningsOf = (text: string): string[] => {
  const all = settings(text)
  readTls(all, 'ssl')
  return all.warnings
}

describe('without a setting', () => {
  it('certificates of clients are needed, names of servers checked, those of clients only between members', () => {
    for (const prefix of ['ssl', 'ssl.quorum'] as const) {
      expect(read('', prefix)).toMatchObject({
        keyStore: null,
        trustStore: null,
        minVersion: 'TLSv1.2',
        maxVersion: 'TLSv1.3',
        ciphers: null,
        clientAuth: 'need',
        hostnameVerification: true,
        clientHostnameVerification: prefix === 'ssl.quorum',
        crl: false,
        ocsp: false,
        handshakeDetectionTimeoutMs: 5000,
        reload: true,
      })
    }
  })

  it('no port for clients speaks TLS', () => {
    expect(readClientTls(settings('clientPort=1'))).toBe(null)
    expect(readClientTls(settings('secureClientPort=1'))).toMatchObject({ portUnification: false, handshakesMax: -1 })
    expect(readClientTls(settings('client.portUnification=true'))).toMatchObject({ portUnification: true })
  })
})

describe('stores', () => {
  it('have a place, a password or a file with one', () => {
    const { keyStore } = read('ssl.keyStore.location=/k.p12\nssl.keyStore.password=hush\nssl.keyStore.passwordPath=/p')
    expect(keyStore).toMatchObject({
      location: '/k.p12',
      where: 'zoo.cfg:1: ssl.keyStore.location',
      passwordPath: '/p',
    })
    expect(keyStore!.password!.reveal()).toBe('hush')
    expect(JSON.stringify(keyStore)).not.toContain('hush')
  })

  it.each(['jks', 'PEM', 'Pkcs12', ''])('may be of the type %s', (type) => {
    expect(read(`ssl.trustStore.location=/t\nssl.trustStore.type=${type}`).trustStore!.location).toBe('/t')
  })

  it.each([
    ['ssl.keyStore.location=/k\nssl.keyStore.type=BCFKS', 'zoo.cfg:2: ssl.keyStore: /k: BCFKS stores need'],
    ['ssl.keyStore.location=/k.bcfks', 'zoo.cfg:1: ssl.keyStore: /k.bcfks: BCFKS stores need'],
    ['ssl.keyStore.type=ZIP', 'zoo.cfg:1: ssl.keyStore.type=ZIP is not one of JKS, PEM, PKCS12'],
  ])('%j is refused', (text, message) => {
    expect(() => read(text)).toThrow(ConfigError)
    expect(() => read(text)).toThrow(message)
  })
})

describe('versions of TLS', () => {
  it.each([
    ['ssl.protocol=TLSv1.2', 'TLSv1.2', 'TLSv1.2'],
    ['ssl.protocol=TLSv1.3', 'TLSv1.3', 'TLSv1.3'],
    ['ssl.protocol=TLS', 'TLSv1.2', 'TLSv1.3'],
    ['ssl.enabledProtocols=TLSv1.2,TLSv1.3', 'TLSv1.2', 'TLSv1.3'],
    ['ssl.enabledProtocols=TLSv1.3', 'TLSv1.3', 'TLSv1.3'],
    ['ssl.protocol=TLSv1.2\nssl.enabledProtocols=TLSv1.3', 'TLSv1.3', 'TLSv1.3'],
    ['ssl.enabledProtocols=TLSv1.1, TLSv1.2', 'TLSv1.2', 'TLSv1.2'],
  ])('%j is from %s to %s', (text, minVersion, maxVersion) => {
    expect(read(text)).toMatchObject({ minVersion, maxVersion })
  })

  it('TLSv1.3 between members brings 1.2 along, as in Java', () => {
    expect(read('ssl.quorum.protocol=TLSv1.3', 'ssl.quorum')).toMatchObject({ minVersion: 'TLSv1.2' })
  })

  it('that are broken are left out with a warning, and no others is a refusal', () => {
    expect(warningsOf('ssl.enabledProtocols=TLSv1,TLSv1.2')).toEqual([
      'zoo.cfg:1: ssl.enabledProtocols: TLSv1 is broken and not offered',
    ])
    expect(() => read('ssl.protocol=TLSv1.1')).toThrow('leaves neither TLSv1.2 nor TLSv1.3')
    expect(() => read('ssl.protocol=SSL')).toThrow('SSL is not a TLS version')
  })
})

describe('cipher suites', () => {
  // Java's X509Util: the suites of both its lists.
  const JAVA = [
    ...['TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'],
    ...['ECDSA', 'RSA'].flatMap((kind) =>
      [
        'AES_128_GCM_SHA256',
        'AES_256_GCM_SHA384',
        'AES_128_CBC_SHA256',
        'AES_128_CBC_SHA',
        'AES_256_CBC_SHA384',
        'AES_256_CBC_SHA',
      ].map((cipher) => `TLS_ECDHE_${kind}_WITH_${cipher}`),
    ),
  ]

  it.each(JAVA)('%s has a name that Node knows', (suite) => {
    expect(getCiphers()).toContain(cipherOf(suite)!.toLowerCase())
  })

  it('are taken by their names in Java; what is not known is left out with a warning', () => {
    const text =
      'ssl.ciphersuites=TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_ECDH_anon_WITH_NULL_SHA'
    expect(read(text).ciphers).toBe('TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES256-GCM-SHA384')
    expect(warningsOf(text)).toEqual([
      'zoo.cfg:1: ssl.ciphersuites: TLS_ECDH_anon_WITH_NULL_SHA is not known here and left out',
    ])
    expect(() => read('ssl.ciphersuites=TLS_RSA_WITH_RC4_128_MD5')).toThrow('names no cipher suite that is known here')
  })
})

describe('checks', () => {
  it("of clients' names follow those of servers", () => {
    const text = 'ssl.clientHostnameVerification=true'
    expect(read(text).clientHostnameVerification).toBe(true)
    expect(read(`${text}\nssl.hostnameVerification=false`).clientHostnameVerification).toBe(false)
  })

  it('X9 reverse look-up is never done, and says so', () => {
    expect(warningsOf('ssl.allowReverseDnsLookup=true')[0]).toContain('ssl.allowReverseDnsLookup=true counts as false')
  })

  it.each([
    ['ssl.context.supplier.class=a.B', 'names code to load'],
    ['ssl.clientAuth=maybe', 'ssl.clientAuth=maybe is none of none, want, need'],
  ])('%s is refused', (text, message) => {
    expect(() => read(text)).toThrow(message)
  })

  it('detection of TLS does not wait without end', () => {
    expect(read('ssl.handshakeDetectionTimeoutMillis=0').handshakeDetectionTimeoutMs).toBe(5000)
  })

  it('are not replaced by new files where that is switched off', () => {
    expect(read('client.certReload=false').reload).toBe(false)
    expect(read('sslQuorumReloadCertFiles=false', 'ssl.quorum').reload).toBe(false)
  })
})
