/** X15: the super user's password as a salted hash: what is made and taken, and what a connection sees of a check. */
import { scryptSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Err, OpCode } from '../../../src/jute/codes.ts'
import { textToBytes } from '../../../src/jute/text.ts'
import type { SuperPassword, Verdict } from '../../../src/server/access/auth.ts'
import {
  hashSuperPassword,
  isSuperHash,
  parseSuperHash,
  superPassword,
} from '../../../src/server/access/superpassword.ts'
import { checkSuper } from '../../../src/server/admin/access.ts'
import { parseConfig } from '../../../src/server/config/config.ts'
import { makeAuth, makeState, Relay } from '../../../src/server/life/parts.ts'
import { Harness, type TestClient } from './harness.ts'

/** Made with Python: hashlib.scrypt(b'secret', salt=b'saltsaltsaltsalt', n=1024, r=8, p=1, dklen=32). */
const HASH = 'punalsgLVDmabDdlbwVieUjVAmz5/abwyjX3gfy3Xlo'
const TEXT = `super:$scrypt$ln=10,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$${HASH}`

function verdictOf(password: SuperPassword, text: string): Promise<Verdict> {
  return new Promise((resolve) => password.check(text, resolve))
}

describe('X15: a salted hash', () => {
  it('of another program is taken', async () => {
    const password = superPassword(parseSuperHash(TEXT)!)
    expect(password.user).toBe('super')
    expect(await verdictOf(password, 'secret')).toBe('right')
    expect(await verdictOf(password, 'Secret')).toBe('wrong')
    expect(await verdictOf(password, '')).toBe('wrong')
  })

  it('that is made here is scrypt of the password with a salt of its own', async () => {
    const made = [await hashSuperPassword('root', 'pässword'), await hashSuperPassword('root', 'pässword')]
    expect(made[0]).not.toBe(made[1])
    for (const text of made) {
      const { user, cost, salt, hash } = parseSuperHash(text)!
      expect([user, cost]).toEqual(['root', { logN: 14, r: 8, p: 1 }])
      expect(Buffer.from(hash)).toEqual(scryptSync('pässword', salt, 32, { N: 2 ** 14, r: 8, p: 1 }))
    }
  })

  it('is refused when it is malformed, or would cost too much or nothing', () => {
    const bad = [
      'super:$scrypt$',
      'super:$md5$x$y',
      TEXT.replace('ln=10', 'ln=9'),
      TEXT.replace('ln=10', 'ln=18'),
      TEXT.replace('r=8', 'r=17'),
      TEXT.replace('p=1', 'p=5'),
      TEXT.replace('c2FsdHNhbHRzYWx0c2FsdA', 'c2Fs'),
      TEXT.slice(0, -30),
      TEXT.replace('super', ''),
    ]
    for (const text of bad) {
      expect(isSuperHash(text), text).toBe(true)
      expect(parseSuperHash(text), text).toBe(null)
      const zooCfg = `dataDir=/d\nclientPort=2181\nDigestAuthenticationProvider.superDigest=${text}`
      expect(() => parseConfig(zooCfg, 'zoo.cfg', new Map())).toThrow('zoo.cfg:3: DigestAuthenticationProvider')
    }
    expect(isSuperHash('super:D/InIHSb7yEEbrWz8b9l71RjZJU=')).toBe(false)
  })

  it('is checked one at a time, and strangers who come in crowds are told so', async () => {
    const password = superPassword(parseSuperHash(TEXT)!)
    const verdicts = await Promise.all(Array.from({ length: 30 }, () => verdictOf(password, 'guess')))
    expect(verdicts.filter((verdict) => verdict === 'wrong')).toHaveLength(16)
    expect(verdicts.filter((verdict) => verdict === 'busy')).toHaveLength(14)
    expect(await verdictOf(password, 'secret')).toBe('right')
  })
})

describe('X15: who claims to be the super user', () => {
  /** Sends an auth packet and waits for the verdict. */
  async function claim(idPassword: string, verdict?: Verdict): Promise<{ client: TestClient; harness: Harness }> {
    const real = superPassword(parseSuperHash(TEXT)!)
    let decided: () => void = () => {}
    const settled = new Promise<void>((resolve) => {
      decided = resolve
    })
    const harness = new Harness({
      superPassword: {
        user: 'super',
        check: (password, done) => {
          const tell = (found: Verdict) => {
            done(verdict ?? found)
            decided()
          }
          real.check(password, tell)
        },
      },
    })
    const client = harness.client()
    harness.resumed.length = 0
    const more = client.send(OpCode.auth, (out) => {
      out.int(0)
      out.string('digest')
      out.buffer(textToBytes(idPassword))
    })
    if (idPassword.startsWith('super:')) {
      expect(more).toBe(false) // nothing of what follows is taken until it is decided
      expect(harness.resumed.length).toBe(0)
      await settled
    }
    harness.flush()
    return { client, harness }
  }

  const idsOf = (client: TestClient) => client.conn.ids.map(({ scheme, id }) => `${scheme}:${id}`)

  it('is it with the right password, and goes on', async () => {
    const { client, harness } = await claim('super:secret')
    expect(client.last.err).toBe(Err.ok)
    expect(idsOf(client)).toEqual(['ip:127.0.0.1', 'super:', 'digest:super:hash'])
    expect(harness.resumed.map((resumed) => resumed === client)).toEqual([true])
  })

  it('is an ordinary user with a wrong one, as with the digest of Java', async () => {
    const { client, harness } = await claim('super:guess')
    expect(client.last.err).toBe(Err.ok)
    expect(idsOf(client)).toEqual(['ip:127.0.0.1', 'digest:super:hash'])
    expect(harness.resumed.map((resumed) => resumed === client)).toEqual([true])
  })

  it('fails where it cannot be told', async () => {
    const { client } = await claim('super:secret', 'busy')
    expect(client.last.err).toBe(Err.authFailed)
    expect(client.closed).not.toBe(null)
  })

  it('costs nothing where another name is claimed', async () => {
    const { client } = await claim('supper:secret')
    expect(client.last.err).toBe(Err.ok)
    expect(idsOf(client)).toEqual(['ip:127.0.0.1', 'digest:supper:hash'])
  })

  it('is known to the admin server too', async () => {
    const zooCfg = `dataDir=/d\nclientPort=2181\nDigestAuthenticationProvider.superDigest=${TEXT}`
    const { config } = parseConfig(zooCfg, 'zoo.cfg', new Map())
    const auth = makeAuth(config, makeState(config, new Relay(() => {}), 0))
    const isSuper = (header: string | undefined) => new Promise((resolve) => checkSuper(header, auth, resolve))
    expect(await isSuper('digest super:secret')).toBe(true)
    for (const header of [
      'digest super:guess',
      'digest super',
      'ip super:secret',
      undefined,
      'digest super:secret x',
    ]) {
      expect(await isSuper(header)).toBe(false)
    }
  })
})
