/** Key and trust stores written by keytool and openssl (fixtures/make.sh), whole, damaged and cut off. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readStore } from '../../../../src/server/tls/store.ts'
import { StoreError } from '../../../../src/server/tls/storeerror.ts'

const PASSWORD = 'secret word'
const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))))

const KEY_STORES: readonly [file: string, password: string | null, what: string][] = [
  ['server.pem', null, 'PEM'],
  ['server-encrypted.pem', PASSWORD, 'PEM with an encrypted key'],
  ['openssl.p12', PASSWORD, "openssl's PKCS12"],
  ['openssl-3des.p12', PASSWORD, "openssl's PKCS12 with triple DES"],
  ['openssl-legacy.p12', PASSWORD, "openssl's PKCS12 with RC2 of 40 bits"],
  ['openssl-empty-password.p12', null, 'PKCS12 with a password of no letters'],
  ['openssl-open.p12', null, 'PKCS12 without encryption and seal'],
  ['keytool.p12', PASSWORD, "keytool's PKCS12"],
  ['keytool-java8.p12', PASSWORD, "keytool's PKCS12 as of Java 8"],
  ['keytool.jks', PASSWORD, 'JKS'],
  ['pkcs12-inside.jks', PASSWORD, 'PKCS12 in a file named .jks'],
]

const TRUST_STORES: readonly [file: string, password: string | null, what: string][] = [
  ['ca.pem', null, 'PEM'],
  ['openssl-trust.p12', PASSWORD, "openssl's PKCS12"],
  ['keytool-trust.p12', PASSWORD, "keytool's PKCS12"],
  ['keytool-trust-java8.p12', PASSWORD, "keytool's PKCS12 as of Java 8"],
  ['keytool-trust-open.p12', null, "keytool's PKCS12 without a password"],
  ['keytool-trust.jks', PASSWORD, 'JKS'],
  ['keytool-trust.jks', null, 'JKS, when nobody knows its password'],
]

describe('a key store', () => {
  it.each(KEY_STORES)('%s (password %s) gives its key and chain: %s', (file, password) => {
    const { keys, trusted } = readStore(fixture(file), password)
    expect(trusted).toEqual([])
    expect(keys).toHaveLength(1)
    const { key, chain } = keys[0]!
    expect(chain.map((certificate) => certificate.subject)).toEqual(['CN=server', 'CN=test authority below'])
    expect(chain[0]!.checkPrivateKey(key)).toBe(true)
  })

  it('may have its certificates before a key of the old form', () => {
    const { keys } = readStore(fixture('rsa-traditional.pem'), null)
    expect(keys[0]!.key.asymmetricKeyType).toBe('rsa')
    expect(keys[0]!.chain.map((certificate) => certificate.subject)).toEqual([
      'CN=rsa server',
      'CN=test authority below',
    ])
  })

  it.each(['keytool-both.jks', 'keytool-both.p12'])('%s tells the trusted from those of the key', (file) => {
    const { keys, trusted } = readStore(fixture(file), PASSWORD)
    expect(keys[0]!.chain[0]!.subject).toBe('CN=server')
    expect(trusted.map((certificate) => certificate.subject)).toEqual(['CN=test authority'])
  })

  it.each(KEY_STORES.filter(([, password]) => password !== null))('%s says so when the password is wrong', (file) => {
    expect(() => readStore(fixture(file), 'wrong')).toThrow(/password is wrong/)
  })

  it.each(KEY_STORES.filter(([, password]) => password !== null))('%s says so when there is no password', (file) => {
    expect(() => readStore(fixture(file), null)).toThrow(/no password|none is set/)
  })
})

describe('a trust store', () => {
  it.each(TRUST_STORES)('%s (password %s) gives who is trusted: %s', (file, password) => {
    const { keys, trusted } = readStore(fixture(file), password)
    expect(keys).toEqual([])
    expect(trusted.map((certificate) => certificate.subject)).toEqual(['CN=test authority'])
  })
})

describe('a file that is no store', () => {
  it.each([
    ['nothing', new Uint8Array(0), 'is empty'],
    ['text', new TextEncoder().encode('hello'), 'is none of PEM, PKCS12, JKS'],
    ['a JCEKS store', new Uint8Array([0xce, 0xce, 0xce, 0xce, 0, 0, 0, 2]), 'is a JCEKS store'],
    ['a certificate in DER', new Uint8Array([0x30, 0x03, 0x02, 0x01, 0x03]), 'is no PKCS12 file'],
  ])('%s is named', (_what, bytes, message) => {
    expect(() => readStore(bytes, PASSWORD)).toThrow(message)
  })

  it.each([...KEY_STORES, ...TRUST_STORES].filter(([, , what]) => !what.includes('nobody knows')))(
    '%s is refused wherever it is cut off',
    (file, password) => {
      const bytes = fixture(file)
      const text = new TextDecoder('latin1').decode(bytes)
      for (let end = 0; end < bytes.length; end++) {
        // Behind the end of a certificate, a shorter PEM file is another good one.
        if (
          file.endsWith('.pem') &&
          /-----\n?-{0,4}$/.test(text.slice(0, end)) &&
          !/-----BEGIN [A-Z ]+-----$/.test(text.slice(0, end))
        )
          continue
        expect(() => readStore(bytes.subarray(0, end), password), `cut at ${end}`).toThrow(StoreError)
      }
    },
  )

  it.each(['openssl-open.p12', 'keytool-trust-open.p12', 'keytool-trust.jks'])(
    '%s with any byte changed is read or refused, never worse',
    (file) => {
      const bytes = fixture(file)
      for (let at = 0; at < bytes.length; at++) {
        const damaged = bytes.slice()
        damaged[at]! ^= 0x55
        try {
          readStore(damaged, null)
        } catch (err) {
          expect(err, `byte ${at}`).toBeInstanceOf(StoreError)
        }
      }
    },
  )
})
