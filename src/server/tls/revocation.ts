/**
 * Has a certificate been revoked? Every certificate of a chain below the trusted one is asked about at its responder
 * (OCSP, where that is switched on), or looked up in its issuer's list: from a file that the settings name, or from where
 * the certificate says it is (over HTTP). As in Java, without an answer and without a list that is in force the peer is
 * refused: otherwise it would be enough to keep these away.
 *
 * What has been fetched is used for half a minute; a list for as long as it is in force when no newer one can be had.
 */

import type { X509Certificate } from 'node:crypto'
import { type CertificateFacts, type Crl, factsOf, readCrls } from './crl.ts'
import { askAbout, type OcspStatus, readAnswer } from './ocsp.ts'

/** Java's (URICertStore's) as well. */
const FRESH_MS = 30_000
const FETCH_MS = 5000
const FETCH_BYTES_MAX = 32 * 1024 * 1024
const FETCHED_MAX = 100
const ANSWERS_MAX = 10_000

interface Fetched {
  readonly atMs: number
  readonly crls: readonly Crl[]
}

/** Gets what is at an address, or is answered there to `question`; rejects when it cannot be had. */
export type Fetch = (url: string, question?: Uint8Array) => Promise<Uint8Array>

interface Answer {
  readonly atMs: number
  readonly status: OcspStatus
}

export class Revocation {
  private readonly fetch: Fetch
  private readonly fetched: Map<string, Fetched>
  private readonly underWay: Map<string, Promise<readonly Crl[]>>

  private readonly asks: boolean
  private readonly answers: Map<string, Answer>

  /** `asks`: responders are asked first. */
  constructor(asks: boolean, fetch: Fetch = fetchHttp) {
    this.asks = asks
    this.fetch = fetch
    this.answers = new Map()
    this.fetched = new Map()
    this.underWay = new Map()
  }

  /** Why this chain (the peer's own certificate first) is refused, or null. `own` are the lists from files. */
  async check(
    chain: readonly X509Certificate[],
    trusted: readonly X509Certificate[] | null,
    own: readonly Crl[],
    nowMs: number,
  ): Promise<string | null> {
    for (let i = 0; i < chain.length; i++) {
      const certificate = chain[i]!
      const issuer = chain[i + 1]
      const isAnchor = trusted?.some(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256) ?? false
      if (isAnchor || issuer === undefined || certificate.checkIssued(certificate)) return null
      const refusal = await this.checkOne(certificate, issuer, own, nowMs)
      if (refusal !== null) return refusal
    }
    return null
  }

  private async checkOne(
    certificate: X509Certificate,
    issuer: X509Certificate,
    own: readonly Crl[],
    nowMs: number,
  ): Promise<string | null> {
    const name = certificate.subject.replaceAll('\n', ', ')
    const status = this.asks ? await this.ask(certificate, issuer, nowMs) : null
    if (status === 'good') return null
    if (status === 'revoked') return `${name} is revoked`
    const facts = factsOf(certificate.raw)
    const inForce = (crl: Crl): boolean =>
      crl.issuer === facts.issuer &&
      crl.issuedMs <= nowMs &&
      (crl.dueMs === null || nowMs <= crl.dueMs) &&
      crl.isSignedBy(issuer.publicKey)
    let lists = own.filter(inForce)
    if (lists.length === 0) lists = (await this.listsOf(facts, nowMs)).filter(inForce)
    if (lists.length === 0) return `there is no list in force that could say whether ${name} is revoked`
    return lists.some(({ revoked }) => revoked.has(facts.serial)) ? `${name} is revoked` : null
  }

  /** Null where no responder could be asked, or none has given an answer that counts. */
  private async ask(certificate: X509Certificate, issuer: X509Certificate, nowMs: number): Promise<OcspStatus | null> {
    const key = certificate.fingerprint256
    const before = this.answers.get(key)
    if (before !== undefined && nowMs < before.atMs + FRESH_MS) return before.status
    const question = askAbout(certificate, issuer)
    for (const url of question.urls) {
      if (!/^https?:/i.test(url)) continue
      const answer = await this.fetch(url, question.request).catch(() => null)
      const status = answer === null ? null : readAnswer(answer, question, issuer, nowMs)
      if (status === null) continue
      if (this.answers.size >= ANSWERS_MAX) this.answers.clear()
      this.answers.set(key, { atMs: nowMs, status })
      return status
    }
    return null
  }

  private async listsOf({ crlUrls }: CertificateFacts, nowMs: number): Promise<Crl[]> {
    const lists: Crl[] = []
    for (const url of crlUrls) {
      if (!/^https?:/i.test(url)) continue
      const before = this.fetched.get(url)
      if (before !== undefined && nowMs < before.atMs + FRESH_MS) lists.push(...before.crls)
      else lists.push(...(await this.refresh(url, nowMs).catch(() => before?.crls ?? [])))
    }
    return lists
  }

  /** One fetch at a time for all that wait for it. */
  private refresh(url: string, nowMs: number): Promise<readonly Crl[]> {
    let under = this.underWay.get(url)
    if (under === undefined) {
      under = this.fetch(url)
        .then((bytes) => {
          const crls = readCrls(bytes)
          if (this.fetched.size >= FETCHED_MAX) this.fetched.clear()
          this.fetched.set(url, { atMs: nowMs, crls })
          return crls
        })
        .finally(() => this.underWay.delete(url))
      this.underWay.set(url, under)
    }
    return under
  }
}

async function fetchHttp(url: string, question?: Uint8Array): Promise<Uint8Array> {
  const asked =
    question === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/ocsp-request' }, body: Buffer.from(question) }
  const response = await fetch(url, { ...asked, signal: AbortSignal.timeout(FETCH_MS) })
  if (!response.ok || response.body === null) throw new Error(`${url}: ${response.status}`)
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of response.body) {
    bytes += piece.length
    if (bytes > FETCH_BYTES_MAX) throw new Error(`${url}: too long`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
