/**
 * Kerberos logins: the cryptography against the vectors of RFC 3961, 3962 and 8009, and whole exchanges recorded from
 * MIT Kerberos 1.20.1 (a real KDC, its client library, one service for each encryption type).
 */
import { mkdtempSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { GssapiServer } from '../../../../src/server/sasl/gssapi.ts'
import { parseJaas } from '../../../../src/server/sasl/jaas.ts'
import { parseCredentialCache } from '../../../../src/server/sasl/kerberos/ccache.ts'
import { decryptCts, derive, encryptCts, nfold } from '../../../../src/server/sasl/kerberos/etypes.ts'
import { kerberosServerLogin } from '../../../../src/server/sasl/kerberos/kerberoslogin.ts'
import { parseKeytab } from '../../../../src/server/sasl/kerberos/keytab.ts'
import { ReplayCache } from '../../../../src/server/sasl/kerberos/replay.ts'
import { SaslError, type SaslServerLogin } from '../../../../src/server/sasl/mechanism.ts'

interface Exchange {
  etype: number
  mutual: boolean
  protect: boolean
  wallMs: number
  first: string
  choice: string
}

const fixture: { keytab: string; tickets: string; exchanges: Exchange[] } = JSON.parse(
  readFileSync(new URL('fixtures/kerberos.json', import.meta.url), 'utf8'),
)
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))
const hexOf = (buf: Uint8Array) => Buffer.from(buf).toString('hex')
const unhex = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const ascii = (text: string) => new TextEncoder().encode(text)
const KEYS = parseKeytab(bytes(fixture.keytab))
const EMPTY = new Uint8Array(0)

interface Setting {
  principal?: string
  wallMs?: number
  replays?: ReplayCache
  keys?: typeof KEYS
}

function serverFor(exchange: Exchange, over: Setting = {}): GssapiServer {
  return new GssapiServer(
    {
      principal: over.principal ?? `zookeeper/e${exchange.etype}.test@ZW.TEST`,
      keys: () => over.keys ?? KEYS,
      replays: over.replays ?? new ReplayCache(300),
      wallMs: () => over.wallMs ?? exchange.wallMs,
      sequence: () => 1,
    },
    (authenticationId, authorizationId) => `${authenticationId} as ${authorizationId}`,
  )
}

/** Up to and including the server's offer. */
function begin(server: GssapiServer, exchange: Exchange, first = bytes(exchange.first)): void {
  const answer = server.step(first)
  expect(answer).not.toBe(null)
  if (exchange.mutual) server.step(EMPTY)
}

function failureOf(exchange: Exchange, over: Setting = {}, first = bytes(exchange.first)): string {
  const server = serverFor(exchange, over)
  try {
    server.step(first)
  } catch (err) {
    expect(err).toBeInstanceOf(SaslError)
    expect(server.done).toBe(false)
    return (err as Error).message
  }
  return 'accepted'
}

const [ONE] = fixture.exchanges as [Exchange]

describe('the cryptography of Kerberos', () => {
  it('folds as RFC 3961 A.1 does', () => {
    expect(hexOf(nfold(ascii('012345'), 8))).toBe('be072631276b1955')
    expect(hexOf(nfold(ascii('password'), 7))).toBe('78a07b6caf85fa')
    expect(hexOf(nfold(ascii('Rough Consensus, and Running Code'), 8))).toBe('bb6ed30870b7f0e0')
    expect(hexOf(nfold(ascii('password'), 21))).toBe('59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e')
    expect(hexOf(nfold(ascii('kerberos'), 8))).toBe('6b65726265726f73')
    expect(hexOf(nfold(ascii('kerberos'), 16))).toBe('6b65726265726f737b9b5b2b93132b93')
    expect(hexOf(nfold(ascii('kerberos'), 32))).toBe('6b65726265726f737b9b5b2b93132b935c9bdcdad95c9899c4cae4dee6d6cae4')
  })

  it('steals ciphertext as RFC 3962 B does, at every length', () => {
    const key = ascii('chicken teriyaki')
    const text = ascii('I would like the General Gau')
    expect(hexOf(encryptCts(key, text.subarray(0, 17)))).toBe('c6353568f2bf8cb4d8a580362da7ff7f97')
    expect(hexOf(encryptCts(key, ascii("I would like the General Gau's ")))).toBe(
      'fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5',
    )
    expect(hexOf(encryptCts(key, ascii("I would like the General Gau's C")))).toBe(
      '39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584',
    )
    for (let length = 16; length < 100; length++) {
      const plain = Uint8Array.from({ length }, (_, i) => i * 7)
      expect(hexOf(decryptCts(key, encryptCts(key, plain)))).toBe(hexOf(plain))
    }
  })

  it('derives keys as RFC 8009 A does', () => {
    const small = { etype: 19, key: unhex('3705d96080c17728a0e800eab6e0d23c') }
    expect(hexOf(derive(small, 2, 0x99))).toBe('b31a018a48f54776f403e9a396325dc3')
    expect(hexOf(derive(small, 2, 0xaa))).toBe('9b197dd1e8c5609d6e67c3e37c62c72e')
    expect(hexOf(derive(small, 2, 0x55))).toBe('9fda0e56ab2d85e1569a688696c26a6c')
    const large = { etype: 20, key: unhex('6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52') }
    expect(hexOf(derive(large, 2, 0x99))).toBe('ef5718be86cc84963d8bbb5031e9f5c4ba41f28faf69e73d')
    expect(hexOf(derive(large, 2, 0xaa))).toBe('56ab22bee63d82d7bc5227f6773f8ea7a5eb1c825160c38312980c442e5c7e49')
    expect(hexOf(derive(large, 2, 0x55))).toBe('69b16514e3cd8e56b82010d5c73012b622c4d00ffc23ed1f')
  })
})

describe('a keytab', () => {
  it('of ktadd has its principals, versions and keys', () => {
    expect(KEYS.map(({ principal, etype, version, key }) => [principal, etype, version, key.length])).toEqual([
      ['zookeeper/e17.test@ZW.TEST', 17, 2, 16],
      ['zookeeper/e18.test@ZW.TEST', 18, 2, 32],
      ['zookeeper/e19.test@ZW.TEST', 19, 2, 16],
      ['zookeeper/e20.test@ZW.TEST', 20, 2, 32],
    ])
  })

  it('that is cut off or damaged is refused or has fewer entries, and nothing else happens', () => {
    const whole = bytes(fixture.keytab)
    for (let length = 0; length < whole.length; length++) {
      try {
        expect(parseKeytab(whole.slice(0, length)).length).toBeLessThan(KEYS.length)
      } catch (err) {
        expect(err).toBeInstanceOf(SaslError)
      }
    }
    for (let at = 0; at < whole.length; at++) {
      const damaged = whole.slice()
      damaged[at]! ^= 0x81
      try {
        parseKeytab(damaged)
      } catch (err) {
        expect(err).toBeInstanceOf(SaslError)
      }
    }
  })
})

describe('a credential cache', () => {
  it('of kinit has its owner and his tickets', () => {
    const { principal, tickets } = parseCredentialCache(bytes(fixture.tickets))
    expect(principal).toBe('alice@ZW.TEST')
    expect(tickets.every(({ client }) => client === principal)).toBe(true)
    const real = tickets.filter(({ service }) => !service.endsWith('X-CACHECONF:'))
    expect(real.map(({ service, key, endS }) => [service, key.etype, key.key.length, endS - real[0]!.endS])).toEqual([
      ['krbtgt/ZW.TEST@ZW.TEST', 19, 16, 0],
      ['zookeeper/e19.test@', 19, 16, 0], // the realm was the centre's to find
    ])
  })

  it('that is cut off or damaged is refused, and nothing else happens', () => {
    const whole = bytes(fixture.tickets)
    for (let at = 0; at < whole.length; at++) {
      const damaged = whole.slice()
      damaged[at]! ^= 0xff
      for (const buf of [whole.slice(0, at), damaged]) {
        try {
          parseCredentialCache(buf)
        } catch (err) {
          expect(err).toBeInstanceOf(SaslError)
        }
      }
    }
  })
})

describe('the Kerberos login of a section', () => {
  const directory = mkdtempSync(join(tmpdir(), 'zoowarden-keytab-'))
  const keytab = join(directory, 'zk.keytab')
  afterAll(() => rmSync(directory, { recursive: true }))

  function login(options: string, defaultRealm = ''): SaslServerLogin {
    const text = `S { com.sun.security.auth.module.Krb5LoginModule required ${options}; };`
    const modules = parseJaas(text, 'jaas.conf', () => null).get('S')!
    return kerberosServerLogin(modules, defaultRealm, (id) => id)
  }

  const withKeytab = `useKeyTab=true keyTab="${keytab}"`

  it('takes up a keytab that was replaced', () => {
    const right = bytes(fixture.keytab)
    const wrong = right.slice()
    // The key is the last 16 bytes of an entry, in front of the long version.
    wrong[2 + 4 + new DataView(right.buffer).getInt32(2) - 5]! ^= 1
    writeFileSync(keytab, wrong)
    const server = login(`${withKeytab} principal="zookeeper/e17.test"`, 'ZW.TEST')
    expect(() => server.newServer().step(bytes(ONE.first))).toThrow('another key')
    writeFileSync(`${keytab}.new`, right)
    renameSync(`${keytab}.new`, keytab)
    // Believed now, but for its age.
    expect(() => server.newServer().step(bytes(ONE.first))).toThrow(/clock|time/)
    unlinkSync(keytab)
    expect(() => server.newServer().step(bytes(ONE.first))).toThrow(/clock|time/)
  })

  it('is refused without a keytab, a key, a principal or a realm', () => {
    writeFileSync(keytab, bytes(fixture.keytab))
    const principal = 'principal="zookeeper/e17.test@ZW.TEST"'
    expect(login(`${withKeytab} ${principal}`).mechanism).toBe('GSSAPI')
    expect(() => login(principal)).toThrow('jaas.conf:1: Krb5LoginModule needs useKeyTab=true and keyTab="FILE"')
    expect(() => login(`keyTab="${keytab}" ${principal}`)).toThrow('useKeyTab=true')
    expect(() => login(withKeytab)).toThrow('principal=')
    expect(() => login(`${withKeytab} principal="a/b/c@D"`)).toThrow('principal=')
    expect(() => login(`${withKeytab} principal="zookeeper/e17.test"`)).toThrow('no realm')
    expect(() => login(`${withKeytab} principal="zookeeper/other@ZW.TEST"`)).toThrow('no AES key of zookeeper/other')
    expect(() => login(`useKeyTab=true keyTab="${keytab}.none" ${principal}`)).toThrow('ENOENT')
    writeFileSync(keytab, 'no keytab')
    expect(() => login(`${withKeytab} ${principal}`)).toThrow('not a keytab file')
  })
})

describe('a login by Kerberos', () => {
  for (const exchange of fixture.exchanges) {
    const { etype, mutual } = exchange
    it(`is accepted with keys of type ${etype}${mutual ? ', proving ourselves, with a sealed answer' : ''}`, () => {
      const server = serverFor(exchange)
      begin(server, exchange)
      expect(server.step(bytes(exchange.choice))).toBe(null)
      expect(server.done).toBe(true)
      expect(server.authorizationId).toBe('alice@ZW.TEST as alice')
      expect(() => server.step(EMPTY)).toThrow('behind the end')
    })
  }

  it('is not accepted twice', () => {
    const replays = new ReplayCache(300)
    begin(serverFor(ONE, { replays }), ONE)
    expect(failureOf(ONE, { replays })).toBe('a request that was seen before')
    expect(failureOf(ONE, { replays, wallMs: ONE.wallMs + 299_000 })).toBe('a request that was seen before')
  })

  it('is not accepted when clocks are too far apart, nor behind the end of the ticket', () => {
    expect(failureOf(ONE, { wallMs: ONE.wallMs + 302_000 })).toBe('a clock that differs too much from ours')
    expect(failureOf(ONE, { wallMs: ONE.wallMs - 302_000 })).toMatch(/clock that differs|time has not come/)
    expect(failureOf(ONE, { wallMs: ONE.wallMs + 2 * 86_400_000 })).toBe('a ticket whose time is over')
  })

  it('X2: is accepted for exactly our principal, host and realm included', () => {
    const others = ['zookeeper/e18.test@ZW.TEST', 'zookeeper@ZW.TEST', 'zookeeper/e17.test@OTHER', 'x/e17.test@ZW.TEST']
    for (const principal of others) expect(failureOf(ONE, { principal })).toMatch(/^a ticket for zookeeper\/e17/)
  })

  it('needs the key that the ticket was sealed with', () => {
    expect(failureOf(ONE, { keys: [] })).toMatch('has none')
    expect(failureOf(ONE, { keys: KEYS.map((key) => ({ ...key, version: 3 })) })).toMatch('version 2')
    const wrong = KEYS.map((key) => ({ ...key, key: key.key.map((byte) => byte ^ 1) }))
    expect(failureOf(ONE, { keys: wrong })).toBe('a message that was made with another key, or changed')
  })

  it('fails for every truncated token', () => {
    const first = bytes(ONE.first)
    for (let length = 0; length < first.length; length++) {
      expect(failureOf(ONE, {}, first.slice(0, length))).not.toBe('accepted')
    }
    expect(failureOf(ONE, {}, new Uint8Array(200_000))).toBe('a token of 200000 bytes')
  })

  it('fails for every changed byte, but for the options that nobody looks at', () => {
    const first = bytes(ONE.first)
    let accepted = 0
    for (let at = 0; at < first.length; at++) {
      for (const change of [0x01, 0x80, 0xff]) {
        const changed = first.slice()
        changed[at]! ^= change
        if (failureOf(ONE, {}, changed) === 'accepted') accepted++
      }
    }
    // Options of the request, the type of the service's name, and how the ticket names its version.
    expect(accepted).toBeLessThan(40)
  })

  it('fails for a last message that was changed, repeated, or is of somebody else', () => {
    for (const exchange of fixture.exchanges) {
      const choice = bytes(exchange.choice)
      for (let at = 0; at < choice.length; at++) {
        const server = serverFor(exchange)
        begin(server, exchange)
        const changed = choice.slice()
        changed[at]! ^= 0x04
        expect(() => server.step(changed), `byte ${at}`).toThrow(SaslError)
        expect(() => server.step(choice)).toThrow('behind the end')
      }
    }
    const [, , other] = fixture.exchanges as [Exchange, Exchange, Exchange]
    const server = serverFor(ONE)
    begin(server, ONE)
    expect(() => server.step(bytes(other.choice))).toThrow(SaslError)
  })

  it('does not begin with the last message, or with nothing', () => {
    expect(failureOf(ONE, {}, bytes(ONE.choice))).not.toBe('accepted')
    expect(failureOf(ONE, {}, EMPTY)).not.toBe('accepted')
  })
})
