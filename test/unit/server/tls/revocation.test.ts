/** Lists of revoked certificates: damaged ones, and those that are fetched from where certificates say (fixtures/make.sh). */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readCrls } from '../../../../src/server/tls/crl.ts'
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
    const revocation = new Revocation(async (url) => {
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
    const revocation = new Revocation(async () => {
      if (list === null) throw new Error('unreachable')
      return fixture(list)
    })
    expect(await check(revocation)).toBe(null)
    list = null
    expect(await check(revocation, NOW + 60_000)).toBe(null) // the one before is still in force
    list = 'mid-both-revoked.crl'
    expect(await check(revocation, NOW + 120_000)).toContain('is revoked')
    list = null
    expect(await check(new Revocation(async () => Promise.reject(new Error('unreachable'))))).toContain(
      'no list in force',
    )
  })

  it('is refused when the list is of another authority, or out of date', async () => {
    expect(await check(new Revocation(async () => fixture('ca.crl')))).toContain('no list in force')
    expect(await check(new Revocation(async () => fixture('mid-old.crl')))).toContain('no list in force')
  })
})
