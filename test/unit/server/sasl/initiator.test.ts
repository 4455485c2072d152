/**
 * The side of Kerberos that begins: answers recorded from MIT Kerberos 1.20.1 (one client and service for each encryption
 * type, asked by this code), and whole logins with what is in them, at the accepting side.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { GssapiServer } from '../../../../src/server/sasl/gssapi.ts'
import { GssapiClient } from '../../../../src/server/sasl/gssapiclient.ts'
import { readCentreTicket, readServiceTicket, type Ticket } from '../../../../src/server/sasl/kerberos/initiator.ts'
import { parseKeytab } from '../../../../src/server/sasl/kerberos/keytab.ts'
import { parseKrb5Conf } from '../../../../src/server/sasl/kerberos/krb5conf.ts'
import { ReplayCache } from '../../../../src/server/sasl/kerberos/replay.ts'
import { SaslError } from '../../../../src/server/sasl/mechanism.ts'

interface Recorded {
  etype: number
  client: string
  service: string
  wallMs: number
  asNonce: number
  tgsNonce: number
  keytab: string
  centre: string
  ticket: string
  unknown: string
}

const recorded: Recorded[] = JSON.parse(readFileSync(new URL('fixtures/tickets.json', import.meta.url), 'utf8'))
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))
const EMPTY = new Uint8Array(0)

function ticketOf(one: Recorded): Ticket {
  const centre = readCentreTicket(bytes(one.centre), one.client, parseKeytab(bytes(one.keytab)), one.asNonce)
  return readServiceTicket(bytes(one.ticket), centre, one.service, one.tgsNonce)
}

function clientWith(ticket: Ticket, wallMs: number): GssapiClient {
  return new GssapiClient({
    ticket: () => Promise.resolve(ticket),
    now: () => ({ seconds: Math.floor(wallMs / 1000), micros: 7 }),
    newKey: (etype) => ({ etype, key: new Uint8Array(etype === 17 || etype === 19 ? 16 : 32).fill(etype) }),
    sequence: () => 77,
  })
}

function serverFor(one: Recorded): GssapiServer {
  const options = {
    principal: one.service,
    keys: () => parseKeytab(bytes(one.keytab)),
    replays: new ReplayCache(300),
    wallMs: () => one.wallMs,
    sequence: () => 1,
  }
  return new GssapiServer(options, (id, asked) => (id === asked ? id : null))
}

describe.each(recorded)('a login by Kerberos, encryption type $etype', (one) => {
  it('takes the tickets of a real centre and is believed by the service, which proves itself', async () => {
    const [client, server] = [clientWith(ticketOf(one), one.wallMs), serverFor(one)]
    let token: Uint8Array | null = await client.step(EMPTY)
    while (!server.done) {
      const challenge = server.step(token!)
      if (challenge === null) break
      token = await client.step(challenge)
    }
    expect([client.done, server.done]).toEqual([true, true])
    expect(server.authorizationId).toBe(one.client)
    await expect(client.step(EMPTY)).rejects.toThrow('behind the end')
  })

  it("does not believe a service that answers with somebody else's proof", async () => {
    const ticket = ticketOf(one)
    const honest = clientWith(ticket, one.wallMs)
    const server = serverFor(one)
    const proof = server.step((await honest.step(EMPTY))!)!
    const other = clientWith(ticket, one.wallMs + 1000)
    await other.step(EMPTY)
    await expect(other.step(proof)).rejects.toThrow('an answer to another request')
    const changed = clientWith(ticket, one.wallMs)
    await changed.step(EMPTY)
    const forged = proof.slice()
    forged[forged.length - 1]! ^= 1
    await expect(changed.step(forged)).rejects.toThrow(SaslError)
  })

  it('refuses answers to another request, for another service or client, and ones that were changed', () => {
    const keys = parseKeytab(bytes(one.keytab))
    const answer = bytes(one.centre)
    expect(() => readCentreTicket(answer, one.client, keys, one.asNonce - 1)).toThrow('an answer to another request')
    expect(() => readCentreTicket(answer, one.service, keys, one.asNonce)).toThrow('a ticket for somebody else')
    expect(() => readCentreTicket(answer, one.client, [], one.asNonce)).toThrow('the keytab has no key')
    const centre = readCentreTicket(answer, one.client, keys, one.asNonce)
    expect(() => readServiceTicket(bytes(one.ticket), centre, one.client, one.tgsNonce)).toThrow('for another service')
    for (let i = 0; i < answer.length; i += 7) {
      const changed = answer.slice()
      changed[i]! ^= 0x41
      try {
        const read = readCentreTicket(changed, one.client, keys, one.asNonce)
        expect(read.key, `byte ${i}`).toEqual(centre.key) // it was in the ticket, which is for the centre to judge
      } catch (err) {
        expect(err, `byte ${i}`).toBeInstanceOf(SaslError)
      }
    }
    for (let end = 0; end < answer.length; end += 5) {
      expect(() => readCentreTicket(answer.subarray(0, end), one.client, keys, one.asNonce)).toThrow(SaslError)
    }
  })

  it('says what the centre refuses', () => {
    const centre = readCentreTicket(bytes(one.centre), one.client, parseKeytab(bytes(one.keytab)), one.asNonce)
    expect(() => readServiceTicket(bytes(one.unknown), centre, one.service, one.tgsNonce)).toThrow(
      'it does not know the service',
    )
  })
})

describe('krb5.conf', () => {
  it('names the default realm, and the centres of each realm in their order', () => {
    const conf = parseKrb5Conf(
      [
        '# comment',
        '[libdefaults]',
        '  default_realm = EXAMPLE.COM # why not',
        '  dns_lookup_kdc = false',
        '[realms]',
        '  EXAMPLE.COM = {',
        '    kdc = kdc1.example.com',
        '    kdc = tcp/kdc2.example.com:1088',
        '    kdc = https://proxy.example.com/KdcProxy',
        '    admin_server = kdc1.example.com',
        '  }',
        '  OTHER = {',
        '    kdc = [::1]:88',
        '  }',
        '[domain_realm]',
        '  kdc = wrong',
      ].join('\n'),
    )
    expect(conf.defaultRealm).toBe('EXAMPLE.COM')
    expect([...conf.centres]).toEqual([
      ['EXAMPLE.COM', ['kdc1.example.com', 'kdc2.example.com:1088']],
      ['OTHER', ['[::1]:88']],
    ])
  })

  it('may be empty', () => {
    expect(parseKrb5Conf('')).toEqual({ defaultRealm: null, centres: new Map() })
  })
})
