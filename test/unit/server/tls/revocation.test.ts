/** Lists of revoked certificates: damaged ones, and those that are fetched from where certificates say (fixtures/make.sh). */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readCrls } from '../../../../src/server/tls/crl.ts'
import { askAbout, readAnswer } from '../../../../src/server/tls/ocsp.ts'
import { Revocation } from '../../../../src/server/tls/revocation.ts'
import { StoreError } from '../../../../src/server/tls/storeerror.ts'

const fixture = (name: string): Buffer => readFileSync(fileURLToPath(new URL(`fixtures/${name}`, import.meta.url)))
const certificatesOf = (name: string): X509Certificate[] =>
  fixture(name)
    .toString()
    .split(/(?=-----BEGIN)/)
    .filter((block) => block.includes('BEGIN CERTIFICATE'))
    .map((block) => new X509Certificate(block))

/** A client whose certificate names where the list of its authority is. */
const chain = certificatesOf('crl-client.pem')
const URL_OF_LIST = 'http://127.0.0.1:21199/mid.crl'
const NOW = Date.now()

describe('a list of revoked certificates', () => {
  it('is read in PEM and in DER alike', () => {
    const [pem] = readCrls(fixture('mid-client-revoked.crl'))
    const der = Buffer.from(
      fixture('mid-client-revoked.crl')
        .toString()
        .replace(/-----.*-----/g, ''),
      'base64',
    )
    const [same] = readCrls(der)
    expect([...same!.revoked]).toEqual([...pem!.revoked])
    expect(pem!.revoked.size).toBe(1)
  })

  it('counts only with the signature of its issuer', () => {
    const [list] = readCrls(fixture('mid.crl'))
    expect(list!.isSignedBy(chain[1]!.publicKey)).toBe(true)
    expect(list!.isSignedBy(chain[0]!.publicKey)).toBe(false)
  })

  it('is refused wherever it is cut off, and read or refused with any byte changed', () => {
    const der = Buffer.from(
      fixture('mid-client-revoked.crl')
        .toString()
        .replace(/-----.*-----/g, ''),
      'base64',
    )
    for (let at = 0; at < der.length; at++) {
      expect(() => readCrls(der.subarray(0, at)), `cut at ${at}`).toThrow(StoreError)
      const damaged = Buffer.from(der)
      damaged[at]! ^= 0x55
      try {
        expect(readCrls(damaged)[0]!.isSignedBy(chain[1]!.publicKey), `byte ${at}`).toBe(false)
      } catch (err) {
        expect(err, `byte ${at}`).toBeInstanceOf(StoreError)
      }
    }
  })
})

describe('a certificate that says where its list is', () => {
  const check = (revocation: Revocation, nowMs = NOW): Promise<string | null> =>
    revocation.check(chain, certificatesOf('mid.pem'), [], nowMs)

  it('is looked up there, once for all who ask within half a minute', async () => {
    const asked: string[] = []
    const revocation = new Revocation(false, async (url) => {
      asked.push(url)
      return fixture('mid.crl')
    })
    expect(await Promise.all([check(revocation), check(revocation)])).toEqual([null, null])
    expect(await check(revocation, NOW + 29_000)).toBe(null)
    expect(asked).toEqual([URL_OF_LIST])
    await check(revocation, NOW + 31_000)
    expect(asked).toHaveLength(2)
  })

  it('is refused once it is in the list, and when the list cannot be had', async () => {
    let list: string | null = 'mid.crl'
    const revocation = new Revocation(false, async () => {
      if (list === null) throw new Error('unreachable')
      return fixture(list)
    })
    expect(await check(revocation)).toBe(null)
    list = null
    expect(await check(revocation, NOW + 60_000)).toBe(null) // the one before is still in force
    list = 'mid-both-revoked.crl'
    expect(await check(revocation, NOW + 120_000)).toContain('is revoked')
    list = null
    expect(await check(new Revocation(false, async () => Promise.reject(new Error('unreachable'))))).toContain(
      'no list in force',
    )
  })

  it('is refused when the list is of another authority, or out of date', async () => {
    expect(await check(new Revocation(false, async () => fixture('ca.crl')))).toContain('no list in force')
    expect(await check(new Revocation(false, async () => fixture('mid-old.crl')))).toContain('no list in force')
  })
})

describe('a certificate that says where its responder is', () => {
  const asking = certificatesOf('ocsp-client.pem')
  const question = askAbout(asking[0]!, asking[1]!)
  const status = (file: string, nowMs = Date.now()) => readAnswer(fixture(file), question, asking[1]!, nowMs)

  it('is asked about in the words of openssl', () => {
    expect(question.urls).toEqual(['http://127.0.0.1:21199/ocsp'])
    expect(Buffer.from(question.request)).toEqual(fixture('ocsp-request.der'))
  })

  it.each([
    ['ocsp-good.der', 'good'],
    ['ocsp-good-by-responder.der', 'good'],
    ['ocsp-revoked.der', 'revoked'],
    ['ocsp-unknown.der', 'unknown'],
    ['ocsp-good-by-stranger.der', null],
  ])('has by %s the status %s', (file, expected) => {
    expect(status(file)).toBe(expected)
  })

  it('is not good by an answer out of date, about another, cut off or with any byte changed', () => {
    expect(status('ocsp-good.der', Date.now() + 101 * 365 * 86_400_000)).toBe(null)
    expect(status('ocsp-good.der', Date.now() - 365 * 86_400_000)).toBe(null)
    expect(readAnswer(fixture('ocsp-good.der'), askAbout(chain[0]!, chain[1]!), chain[1]!, Date.now())).toBe(null)
    const bytes = fixture('ocsp-good.der')
    for (let at = 0; at < bytes.length; at++) {
      expect(readAnswer(bytes.subarray(0, at), question, asking[1]!, Date.now()), `cut at ${at}`).toBe(null)
      const damaged = Buffer.from(bytes)
      damaged[at]! ^= 0x55
      expect(readAnswer(damaged, question, asking[1]!, Date.now()), `byte ${at}`).toBe(null)
    }
  })

  const check = (answer: string | null, list: readonly string[] = []): Promise<string | null> => {
    const revocation = new Revocation(true, async () =>
      answer === null ? Promise.reject(new Error()) : fixture(answer),
    )
    return revocation.check(
      asking,
      certificatesOf('mid.pem'),
      list.flatMap((name) => readCrls(fixture(name))),
      Date.now(),
    )
  }

  it('comes in by its word, or stays outside', async () => {
    expect(await check('ocsp-good.der')).toBe(null)
    expect(await check('ocsp-revoked.der')).toBe('CN=ocsp client is revoked')
  })

  it('is looked up in a list where the responder has no word for it', async () => {
    for (const answer of [null, 'ocsp-unknown.der', 'ocsp-good-by-stranger.der']) {
      expect(await check(answer, ['mid.crl'])).toBe(null)
      expect(await check(answer)).toContain('there is no list in force')
    }
  })
})
