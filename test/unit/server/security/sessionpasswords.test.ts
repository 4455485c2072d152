/** X14: who may take up a session, and how an ensemble changes from Java's passwords to its own. */

import { describe, expect, it } from 'vitest'
import { Input } from '../../../../src/jute/input.ts'
import { keyedPasswords, sessionPasswords } from '../../../../src/server/access/sessionkeys.ts'
import {
  JAVA_PASSWORDS,
  passwordMatches,
  type SessionPasswords,
  writeJavaPassword,
} from '../../../../src/server/access/sessionpasswords.ts'
import { parseConfig } from '../../../../src/server/config/config.ts'
import type { SecurityRules } from '../../../../src/server/config/securityrules.ts'
import { Secret } from '../../../../src/server/config/settings.ts'
import { pipelineOptions } from '../../../../src/server/requests/pipelineoptions.ts'
import { bool, create, Ensemble, Harness, path, type TestClient } from '../harness.ts'

const KEY = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'

function rules(sessionPassword: SecurityRules['sessionPassword'], key: string | null = KEY): SessionPasswords {
  const sessionKey = key === null ? null : new Secret(key)
  return sessionPasswords({ strict: false, allowed: new Set(), sessionPassword, sessionKey })
}

function given({ write }: SessionPasswords, hi: number, lo: number): Uint8Array {
  const password = new Uint8Array(16)
  write(hi, lo, password, 0)
  return password
}

const isLetIn = (thief: TestClient): boolean => thief.handshakes[0]!.slice(8, 16).some((byte) => byte !== 0)

/** Reads the owner of somebody's ephemeral, and asks for its session with the password that Java gives that id. */
function steal(harness: Harness): { victim: TestClient; thief: TestClient } {
  const victim = harness.client()
  victim.send(1, create('/mine', 1))
  harness.settle()
  const spy = harness.client()
  spy.send(3, path('/mine', bool(false)))
  harness.flush()
  // Stat: czxid, mzxid, ctime, mtime (longs), version, cversion, aversion (ints), then the owner.
  const owner = new Input(spy.last.body, 4 * 8 + 3 * 4)
  const [hi, lo] = [owner.int(), owner.int()]
  expect([hi, lo]).toEqual(victim.sessionId)
  const thief = harness.newClient()
  thief.connect(hi, lo, given(JAVA_PASSWORDS, hi, lo))
  harness.flush()
  return { victim, thief }
}

describe('X14: whoever sees the id of a session', () => {
  it('can take it up where passwords are those of Java, whose members must be able to check them', () => {
    const { victim, thief } = steal(new Harness())
    expect(isLetIn(thief)).toBe(true)
    expect(victim.closed).toBe('session moved to a new connection')
  })

  it('cannot where passwords are keyed, and the session goes on unharmed', () => {
    const harness = new Harness({ passwords: rules('keyed') })
    const { victim, thief } = steal(harness)
    expect(isLetIn(thief)).toBe(false)
    expect(thief.closed).not.toBeNull()
    expect(victim.closed).toBeNull()
    const owner = harness.newClient()
    expect(owner.takeUp(victim)).toBe(true)
  })

  it('cannot at a learner either, which asks nobody about it', () => {
    const ensemble = new Ensemble(2, { passwords: rules('keyed') })
    const victim = ensemble.client(0)
    const [hi, lo] = victim.sessionId
    const thief = ensemble.learners[1]!.newClient()
    thief.connect(hi, lo, given(JAVA_PASSWORDS, hi, lo))
    ensemble.settle()
    expect(isLetIn(thief)).toBe(false)
    expect(victim.closed).toBeNull()
    const moved = ensemble.learners[1]!.newClient()
    moved.takeUp(victim)
    ensemble.settle()
    expect(isLetIn(moved)).toBe(true)
  })
})

describe('keyed passwords', () => {
  it('are HMAC-SHA256 of purpose and id, cut to 16 bytes (expected: openssl dgst -sha256 -hmac)', () => {
    const password = new Uint8Array(18)
    keyedPasswords(KEY)(0x0100000b, 0x85200001 | 0, password, 1)
    expect(Buffer.from(password).toString('hex')).toBe('00088b0e88da6275973fda9b65a7c28e1900')
  })

  it('differ by key and by either half of the id, and match as a whole only', () => {
    const keyed = rules('keyed')
    const other = rules('keyed', KEY.replace('0', '1'))
    const password = given(keyed, 5, 7)
    expect(passwordMatches(keyed, 5, 7, password)).toBe(true)
    for (const [hi, lo] of [
      [5, 6],
      [4, 7],
      [7, 5],
    ] as const) {
      expect(passwordMatches(keyed, hi, lo, password)).toBe(false)
    }
    expect(passwordMatches(other, 5, 7, password)).toBe(false)
    expect(passwordMatches(keyed, 5, 7, password.subarray(0, 15))).toBe(false)
    expect(passwordMatches(keyed, 5, 7, null)).toBe(false)
    expect(passwordMatches(keyed, 0, 0, given(keyed, 0, 0))).toBe(false)
  })
})

describe('a server', () => {
  it('gives and takes the passwords that its configuration says, in every role', () => {
    const lines = ['dataDir=/d', 'clientPort=0', 'sessionPassword=keyed', 'sessionPassword.keyFile=/key']
    const { config } = parseConfig(lines.join('\n'), 'zoo.cfg', new Map(), (path) => (path === '/key' ? KEY : null))
    for (const role of ['standalone', 'leader', 'learner', 'readonly'] as const) {
      const { passwords } = pipelineOptions(config, role)
      expect(given(passwords, 0x0100000b, 0x85200001 | 0)).toEqual(given(rules('keyed'), 0x0100000b, 0x85200001 | 0))
      expect(passwords.accepted).toHaveLength(1)
    }
  })
})

describe('the way from Java\u2019s passwords to keyed ones', () => {
  const stages = [rules('java', null), rules('java'), rules('migrate'), rules('keyed')]

  it('loses no session: members of one stage take what those of the next one give, and the other way round', () => {
    for (let i = 1; i < stages.length; i++) {
      const [before, after] = [stages[i - 1]!, stages[i]!]
      expect(passwordMatches(before, 3, 4, given(after, 3, 4))).toBe(true)
      // Whoever is connected to a member of the last stage has its password from there: see the next test.
      if (i < stages.length - 1) expect(passwordMatches(after, 3, 4, given(before, 3, 4))).toBe(true)
    }
    expect(passwordMatches(stages[3]!, 3, 4, given(stages[2]!, 3, 4))).toBe(true)
  })

  it('has every client change its password as it connects again', () => {
    const harness = new Harness({ passwords: rules('migrate') })
    const client = harness.client()
    const [hi, lo] = client.sessionId
    const again = harness.newClient()
    again.connect(hi, lo, given(rules('java'), hi, lo))
    harness.flush()
    expect(again.handshakes[0]!.slice(20, 36)).toEqual(given(rules('keyed'), hi, lo))
  })

  it('begins and ends where it says', () => {
    expect(given(stages[0]!, 3, 4)).toEqual(given(stages[1]!, 3, 4))
    expect(stages[0]!.accepted).toEqual([writeJavaPassword])
    expect(passwordMatches(stages[3]!, 3, 4, given(stages[0]!, 3, 4))).toBe(false)
  })
})
