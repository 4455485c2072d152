/**
 * Damaged logins: tokens of DIGEST-MD5 and of Kerberos, packets around them between members, JAAS files and keytabs. Each
 * is refused by an error of ours; whoever gets in all the same is who the token was made for.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ProtocolError } from '../../src/jute/input.ts'
import { ConfigError } from '../../src/server/config/settings.ts'
import { encodeAuthPacket, readAuthHeader } from '../../src/server/member/quorumauth.ts'
import { DigestMd5Client, DigestMd5Server } from '../../src/server/sasl/digestmd5.ts'
import { GssapiServer } from '../../src/server/sasl/gssapi.ts'
import { parseJaas } from '../../src/server/sasl/jaas.ts'
import { parseKeytab } from '../../src/server/sasl/kerberos/keytab.ts'
import { ReplayCache } from '../../src/server/sasl/kerberos/replay.ts'
import { CLIENT_SERVICE, digestCrypto } from '../../src/server/sasl/login.ts'
import { SaslError, type SaslServer } from '../../src/server/sasl/mechanism.ts'
import type { Case } from './cases.ts'
import type { Verdict } from './judge.ts'
import type { Sample } from './samples.ts'

interface Exchange {
  etype: number
  mutual: boolean
  wallMs: number
  first: string
  choice: string
}

interface Recorded {
  keytab: string
  exchanges: Exchange[]
}

const USER = 'bob'
/** The name in the recorded tickets. */
const PRINCIPAL = /^alice@ZW\.TEST$/
/** The same each time, or a case could not be kept. */
const CRYPTO = { ...digestCrypto, nonce: () => 'bm9uY2VuZXZlcnVzZWRhZ2Fpbm5vbmNl' }
const EMPTY = new Uint8Array(0)

const JAAS = `/* members
   and clients */
Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required
  user_super="adminsecret" // the administrator
  user_bob="bob's \\"secret\\"";
};
QuorumServer { org.apache.zookeeper.server.auth.DigestLoginModule required user_test="\${zk.secret}"; };
Client {
  com.sun.security.auth.module.Krb5LoginModule REQUIRED
  useKeyTab=true keyTab="/etc/zk.keytab" storeKey = true principal="zookeeper/host@EXAMPLE.COM";
};
`

let recorded: Recorded = { keytab: '', exchanges: [] }

export function loginSamples(folder: string): Sample[] {
  recorded = JSON.parse(readFileSync(join(folder, 'kerberos.json'), 'utf8')) as Recorded
  const sample = (name: string, bytes: Uint8Array): Sample => ({ name, bytes, marks: marksOf(bytes) })
  const samples = [
    sample('digest response', response()),
    sample('digest challenge', digestServer().step(EMPTY)!),
    sample('auth packet', encodeAuthPacket('goes on', response())),
    sample('jaas.conf', new TextEncoder().encode(JAAS)),
    sample('keytab', unbase64(recorded.keytab)),
  ]
  for (const [index, { first, choice }] of recorded.exchanges.entries()) {
    samples.push(
      sample(`kerberos first ${index}`, unbase64(first)),
      sample(`kerberos choice ${index}`, unbase64(choice)),
    )
  }
  return samples
}

export function judgeLogin(each: Case): Verdict {
  const [what, , index] = each.file.split(' ')
  try {
    if (each.file === 'jaas.conf')
      parseJaas(Buffer.from(each.bytes).toString('utf8'), 'jaas.conf', (name) => (name === 'zk.secret' ? 'x' : null))
    else if (each.file === 'keytab') parseKeytab(each.bytes)
    else if (each.file === 'auth packet') judgePacket(each.bytes)
    else if (each.file === 'digest challenge') digestClient().step(each.bytes)
    else if (what === 'kerberos') return judgeKerberos(each, recorded.exchanges[Number(index)]!)
    else return judgeDigest(each.bytes)
    return { outcome: 'started', problem: null }
  } catch (err) {
    if (err instanceof SaslError || err instanceof ConfigError || err instanceof ProtocolError) {
      return { outcome: 'refused', problem: null }
    }
    throw err
  }
}

function judgeDigest(token: Uint8Array): Verdict {
  const server = digestServer()
  server.step(EMPTY)
  server.step(token)
  return welcome(server, /^bob$/)
}

function judgeKerberos(each: Case, exchange: Exchange): Verdict {
  const server = new GssapiServer(
    {
      principal: `zookeeper/e${exchange.etype}.test@ZW.TEST`,
      keys: () => parseKeytab(unbase64(recorded.keytab)),
      replays: new ReplayCache(300),
      wallMs: () => exchange.wallMs,
      sequence: () => 1,
    },
    (authenticationId) => authenticationId,
  )
  const isFirst = each.file.startsWith('kerberos first')
  server.step(isFirst ? each.bytes : unbase64(exchange.first))
  if (exchange.mutual) server.step(EMPTY)
  server.step(isFirst ? unbase64(exchange.choice) : each.bytes)
  return welcome(server, PRINCIPAL)
}

/** A member reads the header first, and then as many bytes as it says. */
function judgePacket(packet: Uint8Array): void {
  if (packet.length < 16) return
  const { tokenBytes } = readAuthHeader(packet.subarray(0, 16))
  if (tokenBytes > 0) judgeDigest(packet.subarray(16, 16 + tokenBytes))
}

function welcome(server: SaslServer, expected: RegExp): Verdict {
  if (!server.done) return { outcome: 'shortened', problem: null }
  const id = server.authorizationId
  return { outcome: 'started', problem: expected.test(id) ? null : `in as ${JSON.stringify(id)}` }
}

function digestServer(): DigestMd5Server {
  return new DigestMd5Server({
    ...CLIENT_SERVICE,
    crypto: CRYPTO,
    passwordOf: (user) => (user === USER ? 'bobsecret' : user === 'super' ? 'adminsecret' : null),
    authorize: (authenticationId) => authenticationId,
  })
}

function digestClient(): DigestMd5Client {
  return new DigestMd5Client({ ...CLIENT_SERVICE, crypto: CRYPTO, user: USER, password: 'bobsecret' })
}

function response(): Uint8Array {
  return digestClient().step(digestServer().step(EMPTY)!)!
}

/** DER's tags, and what stands around values in text. */
function marksOf(bytes: Uint8Array): number[] {
  return [...bytes.keys()].filter((i) => [0x30, 0x60, 0xa0, 0xa1, 0x22, 0x2c, 0x3d, 0x7b].includes(bytes[i]!))
}

function unbase64(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'))
}
