/**
 * Tickets for services, by the key of a keytab: asked for when they are needed, and kept while they are good.
 *
 * Centres are asked by TCP, one after the other; those of a realm that krb5.conf does not name are looked up in DNS.
 */

import { randomBytes, randomInt } from 'node:crypto'
import { resolveSrv } from 'node:dns/promises'
import { connect, isIPv6 } from 'node:net'
import { SaslError } from '../mechanism.ts'
import { CLOCK_SKEW_S } from './acceptor.ts'
import { type EncryptionKey, isSupported } from './etypes.ts'
import {
  askForCentre,
  askForService,
  centreOf,
  type Moment,
  readCentreTicket,
  readServiceTicket,
  realmOf,
  type Ticket,
} from './initiator.ts'
import type { KeytabEntry } from './keytab.ts'

export interface TicketsOptions {
  /** `name/instance@REALM`, whose keys are in the keytab. */
  readonly client: string
  /** Its keys; none where it only has tickets. */
  keys(): readonly KeytabEntry[]
  /** Tickets that it has anyway, for services or for a centre. */
  cached(): readonly Ticket[]
  /** Of a realm: `host` or `host:port`. */
  centres(realm: string): readonly string[]
}

const KERBEROS_PORT = 88
const ANSWER_MS = 5000
const ANSWER_BYTES_MAX = 1024 * 1024

export class Tickets {
  private readonly options: TicketsOptions
  private readonly kept: Map<string, Promise<Ticket>>
  private last: Moment

  constructor(options: TicketsOptions) {
    this.options = options
    this.kept = new Map()
    this.last = { seconds: 0, micros: 0 }
  }

  /** For `service/host@REALM` of our own realm. Rejects with SaslError. */
  async ticket(service: string): Promise<Ticket> {
    return this.get(service, () => this.askService(service))
  }

  /** Never the same twice: that would be a replay. */
  now(): Moment {
    const nowMs = Date.now()
    const seconds = Math.floor(nowMs / 1000)
    const micros = (nowMs % 1000) * 1000
    const { last } = this
    const later = seconds > last.seconds || (seconds === last.seconds && micros > last.micros)
    if (later) this.last = { seconds, micros }
    else if (last.micros < 999_999) this.last = { seconds: last.seconds, micros: last.micros + 1 }
    else this.last = { seconds: last.seconds + 1, micros: 0 }
    return this.last
  }

  newKey(etype: number): EncryptionKey {
    return { etype, key: randomBytes(etype === 17 || etype === 19 ? 16 : 32) }
  }

  sequence(): number {
    return randomInt(2 ** 30)
  }

  private async get(service: string, ask: () => Promise<Ticket>): Promise<Ticket> {
    const kept = this.kept.get(service)
    const goodAtS = Date.now() / 1000 + CLOCK_SKEW_S
    if (kept !== undefined) {
      const ticket = await kept.catch(() => null)
      if (ticket !== null && ticket.endS > goodAtS) return ticket
    }
    const fits = ({ service: of, key, endS }: Ticket) => of === service && isSupported(key.etype) && endS > goodAtS
    const cached = this.options.cached().find(fits)
    if (cached !== undefined) return cached
    // Whoever waited beside us may have asked already.
    const newer = this.kept.get(service)
    if (newer !== undefined && newer !== kept) return newer
    const asked = ask()
    this.kept.set(service, asked)
    asked.catch(() => {
      if (this.kept.get(service) === asked) this.kept.delete(service)
    })
    return asked
  }

  private async askService(service: string): Promise<Ticket> {
    const { client } = this.options
    const realm = realmOf(client)
    const centre = centreOf(realm)
    const own = await this.get(centre, () => this.askCentre(realm))
    const nonce = randomInt(2 ** 31)
    try {
      return readServiceTicket(
        await this.ask(realm, askForService(own, service, nonce, this.now())),
        own,
        service,
        nonce,
      )
    } catch (err) {
      this.kept.delete(centre) // it may be that one which is not good any more
      throw named(err, `no ticket of ${client} for ${service}`)
    }
  }

  private async askCentre(realm: string): Promise<Ticket> {
    const { client } = this.options
    const keys = this.options.keys().filter(({ principal, etype }) => principal === client && isSupported(etype))
    const newest = [...keys].sort((a, b) => b.version - a.version || b.etype - a.etype)[0]
    if (newest === undefined) throw new SaslError(`neither a key nor a ticket of ${client} is good: kinit makes one`)
    const etypes = [...new Set([newest, ...keys].map(({ etype }) => etype))]
    const nonce = randomInt(2 ** 31)
    try {
      const reply = await this.ask(realm, askForCentre(client, newest, etypes, nonce, this.now()))
      return readCentreTicket(reply, client, keys, nonce)
    } catch (err) {
      throw named(err, `${client} cannot log in`)
    }
  }

  private async ask(realm: string, request: Uint8Array): Promise<Uint8Array> {
    const reasons: string[] = []
    for (const centre of await this.centresOf(realm)) {
      try {
        return await exchange(centre, request)
      } catch (err) {
        reasons.push(`${centre}: ${err instanceof Error ? err.message : String(err)}`)
      }
    }
    throw new SaslError(`no key distribution centre of ${realm} answers (${reasons.join('; ') || 'none is known'})`)
  }

  private async centresOf(realm: string): Promise<readonly string[]> {
    const named = this.options.centres(realm)
    if (named.length > 0) return named
    const found = await resolveSrv(`_kerberos._tcp.${realm}`).catch(() => [])
    return found.sort((a, b) => a.priority - b.priority).map(({ name, port }) => `${name}:${port}`)
  }
}

/** One request and its answer, each behind its length of four bytes. */
function exchange(centre: string, request: Uint8Array): Promise<Uint8Array> {
  const { host, port } = addressOf(centre)
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let got = Buffer.alloc(0)
    const fail = (why: string): void => {
      socket.destroy()
      reject(new Error(why))
    }
    socket.setTimeout(ANSWER_MS, () => fail('no answer in time'))
    socket.on('error', (err) => fail(err.message))
    socket.on('close', () => fail('closed without an answer'))
    socket.on('data', (chunk) => {
      got = Buffer.concat([got, chunk])
      if (got.length < 4) return
      const bytes = got.readUInt32BE(0)
      if (bytes > ANSWER_BYTES_MAX) fail(`an answer of ${bytes} bytes`)
      else if (got.length >= 4 + bytes) {
        resolve(new Uint8Array(got.subarray(4, 4 + bytes)))
        socket.destroy()
      }
    })
    const length = Buffer.alloc(4)
    length.writeUInt32BE(request.length, 0)
    socket.write(Buffer.concat([length, request]))
  })
}

function addressOf(centre: string): { host: string; port: number } {
  if (isIPv6(centre)) return { host: centre, port: KERBEROS_PORT }
  const found = /^\[?(.+?)\]?(?::(\d{1,5}))?$/.exec(centre)
  return { host: found?.[1] ?? centre, port: Number(found?.[2] ?? KERBEROS_PORT) }
}

function named(err: unknown, what: string): Error {
  return new SaslError(`${what}: ${err instanceof Error ? err.message : String(err)}`)
}
