/**
 * DIGEST-MD5 against RFC 2831's own example and against exchanges recorded from the Java class library's two sides
 * (OpenJDK 17, javax.security.sasl).
 */
import { describe, expect, it } from 'vitest'
import { DigestMd5Client, DigestMd5Server, type DigestServerOptions } from '../../../../src/server/sasl/digestmd5.ts'
import { digestCrypto } from '../../../../src/server/sasl/login.ts'
import { SaslError } from '../../../../src/server/sasl/mechanism.ts'

const utf8 = new TextEncoder()
const text = (bytes: Uint8Array | null) => (bytes === null ? null : new TextDecoder().decode(bytes))
const EMPTY = new Uint8Array(0)

interface Recorded {
  protocol: string
  serverName: string
  user: string
  password: string
  authzid: string | null
  challenge: string
  response: string
  rspauth: string
}

const FROM_JAVA: Recorded[] = [
  {
    protocol: 'zookeeper',
    serverName: 'zk-sasl-md5',
    user: 'bob',
    password: 'bobsecret',
    authzid: 'bob',
    challenge: 'realm="zk-sasl-md5",nonce="uM3gPfuM9wuvJM2uy1SP1eJEhl2wxfcvnHgXLNGR",charset=utf-8,algorithm=md5-sess',
    response:
      'charset=utf-8,username="bob",realm="zk-sasl-md5",nonce="uM3gPfuM9wuvJM2uy1SP1eJEhl2wxfcvnHgXLNGR",nc=00000001,cnonce="7ajVhlYAmhWMlzYRPyUR2IwSHOUqEcCLYJH6uBtd",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=c4225f44d33515341c24de170e7eedd1,qop=auth,authzid="bob"',
    rspauth: 'rspauth=b6a567a7efeaa85122bc006816e43143',
  },
  {
    protocol: 'zookeeper',
    serverName: 'zk-sasl-md5',
    user: 'jürgen',
    password: 'größe',
    authzid: 'jürgen',
    challenge: 'realm="zk-sasl-md5",nonce="oKp3sdB6cxI13gQesP+Crqiu5lxqKNRj3kAQwIj8",charset=utf-8,algorithm=md5-sess',
    response:
      'charset=utf-8,username="jürgen",realm="zk-sasl-md5",nonce="oKp3sdB6cxI13gQesP+Crqiu5lxqKNRj3kAQwIj8",nc=00000001,cnonce="ZtCWURo4dCwce1Mce7iH+VSsJA13rN9AH0IFen/S",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=3b28e85394c596b76e9205eedf507cac,qop=auth,authzid="jürgen"',
    rspauth: 'rspauth=e672132bcf62d9a8463b1e61832e058c',
  },
  {
    protocol: 'zookeeper',
    serverName: 'zk-sasl-md5',
    user: '山田"\\x',
    password: 'パス "w"',
    authzid: null,
    challenge: 'realm="zk-sasl-md5",nonce="GU1ZEXPxspQfytdviyXdvkLxJ1ZZjwJNrda4uaAq",charset=utf-8,algorithm=md5-sess',
    response:
      'charset=utf-8,username="山田\\"\\\\x",realm="zk-sasl-md5",nonce="GU1ZEXPxspQfytdviyXdvkLxJ1ZZjwJNrda4uaAq",nc=00000001,cnonce="HqjKgAWWb0YNmfooDN2T1br2hRNdOs6sqUu1igDz",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=7de9f3f9d1f68b197e55053afbe5e3fd,qop=auth',
    rspauth: 'rspauth=472e54d0ea5ef00b0efb70295cd43321',
  },
  {
    protocol: 'zookeeper-quorum',
    serverName: 'zk-quorum-sasl-md5',
    user: 'learner',
    password: 'pw',
    authzid: 'learner',
    challenge:
      'realm="zk-quorum-sasl-md5",nonce="2Y6SUM0dmWiZ0aZnossUi8X2aW9Rg9k8YfghHgpx",charset=utf-8,algorithm=md5-sess',
    response:
      'charset=utf-8,username="learner",realm="zk-quorum-sasl-md5",nonce="2Y6SUM0dmWiZ0aZnossUi8X2aW9Rg9k8YfghHgpx",nc=00000001,cnonce="YcnPFGbVagYu8szhVcbjE1ub/fLgFGgHqivWnLOJ",digest-uri="zookeeper-quorum/zk-quorum-sasl-md5",maxbuf=65536,response=f3ccbb2370d7646285f69eef88babc1c,qop=auth,authzid="learner"',
    rspauth: 'rspauth=ab522fd5654d172c3c262ce0b487d960',
  },
]

const RFC_2831: Recorded = {
  protocol: 'imap',
  serverName: 'elwood.innosoft.com',
  user: 'chris',
  password: 'secret',
  authzid: null,
  challenge: 'realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",charset=utf-8,algorithm=md5-sess',
  response:
    'charset=utf-8,username="chris",realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",nc=00000001,cnonce="OA6MHXh6VqTrRk",digest-uri="imap/elwood.innosoft.com",response=d388dad90d4bbd760a152321f2143af7,qop=auth',
  rspauth: 'rspauth=ea40f60335c427b5527b84dbabcdfffd',
}

function nonceOf(message: string): string {
  return /nonce="([^"]*)"/.exec(message)![1]!
}

function cnonceOf(message: string): string {
  return /cnonce="([^"]*)"/.exec(message)![1]!
}

function serverFor(recorded: Recorded, changes: Partial<DigestServerOptions> = {}): DigestMd5Server {
  return new DigestMd5Server({
    protocol: recorded.protocol,
    serverName: recorded.serverName,
    crypto: { ...digestCrypto, nonce: () => nonceOf(recorded.challenge) },
    passwordOf: (user) => (user === recorded.user ? recorded.password : null),
    authorize: (authenticationId) => authenticationId,
    ...changes,
  })
}

const [BOB] = FROM_JAVA as [Recorded]

/** What a server that has sent its challenge says to this. */
function failureOf(response: string, changes: Partial<DigestServerOptions> = {}): string {
  const server = serverFor(BOB, changes)
  server.step(EMPTY)
  try {
    server.step(utf8.encode(response))
  } catch (err) {
    expect(err).toBeInstanceOf(SaslError)
    expect(server.done).toBe(false)
    expect(() => server.authorizationId).toThrow(SaslError)
    expect(() => server.step(utf8.encode(BOB.response))).toThrow('behind the end') // no second try
    return (err as SaslError).message
  }
  return 'accepted'
}

describe('the server of DIGEST-MD5', () => {
  for (const recorded of [...FROM_JAVA, RFC_2831]) {
    it(`accepts ${recorded.user} of ${recorded.protocol} as Java and RFC 2831 do`, () => {
      const server = serverFor(recorded)
      expect(text(server.step(EMPTY))).toBe(recorded.challenge)
      expect(server.done).toBe(false)
      expect(text(server.step(utf8.encode(recorded.response)))).toBe(recorded.rspauth)
      expect(server.done).toBe(true)
      expect(server.authorizationId).toBe(recorded.user)
      expect(() => server.step(EMPTY)).toThrow(SaslError)
    })
  }

  it('ignores a token sent along with the first step: old nonces are not taken up', () => {
    const server = serverFor(BOB)
    expect(text(server.step(utf8.encode(BOB.response)))).toBe(BOB.challenge)
    expect(server.done).toBe(false)
  })

  it('refuses an exchange that was overheard, because its nonce is another', () => {
    const crypto = { ...digestCrypto, nonce: () => 'another' }
    expect(failureOf(BOB.response, { crypto })).toBe('a nonce that is not of this exchange')
  })

  it('never uses a nonce twice', () => {
    const nonces = new Set(Array.from({ length: 1000 }, () => digestCrypto.nonce()))
    expect(nonces.size).toBe(1000)
  })

  it('X11: refuses an unknown user, whoever came before', () => {
    expect(failureOf(BOB.response, { passwordOf: () => null })).toBe('no such user')
    const known = serverFor(BOB)
    known.step(EMPTY)
    known.step(utf8.encode(BOB.response))
    expect(failureOf(BOB.response.replace('username="bob"', 'username="eve"'))).toBe('no such user')
  })

  it('X11: hashes for an unknown user all that it hashes for a known one', () => {
    let hashed = 0
    const counting = {
      md5: (bytes: Uint8Array) => {
        hashed++
        return digestCrypto.md5(bytes)
      },
      nonce: () => nonceOf(BOB.challenge),
    }
    failureOf(BOB.response, { crypto: counting, passwordOf: () => 'wrong' })
    const forKnown = hashed
    hashed = 0
    failureOf(BOB.response, { crypto: counting, passwordOf: () => null })
    expect(hashed).toBe(forKnown)
  })

  it('refuses what does not prove the password, or answers another question', () => {
    expect(failureOf(BOB.response, { passwordOf: () => 'guess' })).toBe('wrong password')
    expect(failureOf(BOB.response.replace('response=c4', 'response=c5'))).toBe('wrong password')
    expect(failureOf(BOB.response.replace('response=c4', 'response='))).toBe('wrong password')
    expect(failureOf(BOB.response.replace('authzid="bob"', 'authzid="super"'))).toBe('wrong password')
    expect(failureOf(BOB.response.replace('realm="zk-sasl-md5"', 'realm="other"'))).toBe('a realm that was not offered')
    expect(failureOf(BOB.response.replace('realm="zk-sasl-md5",', ''))).toBe('a realm that was not offered')
    expect(failureOf(BOB.response.replace('digest-uri="zookeeper/', 'digest-uri="imap/'))).toBe('another digest-uri')
    expect(failureOf(BOB.response.replace('qop=auth', 'qop=auth-int'))).toMatch('quality of protection')
    expect(failureOf(BOB.response.replace('charset=utf-8', 'charset=latin1'))).toMatch('charset')
  })

  it('refuses tokens that are no directives', () => {
    for (const garbage of [
      '',
      'x',
      'a=',
      '=b',
      'username="bob',
      'username="bob"x',
      '\0\0\0',
      'a b=c',
      'username="\\',
    ]) {
      expect(failureOf(garbage)).not.toBe('accepted')
    }
    expect(failureOf(`${BOB.response},username="bob"`)).toBe('username twice')
    for (const key of ['username', 'nonce', 'cnonce', 'digest-uri', 'response']) {
      expect(failureOf(BOB.response.replace(new RegExp(`(^|,)${key}=("[^"]*"|\\w+)`), ''))).toBe(`no ${key}`)
    }
    for (let length = 0; length < BOB.response.indexOf('authzid'); length++) {
      expect(failureOf(BOB.response.slice(0, length))).not.toBe('accepted')
    }
    const server = serverFor(BOB)
    expect(() => server.step(new Uint8Array(4097))).toThrow('4097 bytes')
  })

  it('reads white space, empty elements, keys in capitals, and directives that nobody knows', () => {
    const server = serverFor(BOB)
    server.step(EMPTY)
    const spread = `,, ${BOB.response.replaceAll(',', ' ,\r\n\t').replace('username', 'UserName')} , auth-param="x"`
    expect(text(server.step(utf8.encode(spread)))).toBe(BOB.rspauth)
  })

  it('takes its id from what authorize says, and fails where that is nobody', () => {
    const asked: string[][] = []
    const server = serverFor(BOB, {
      authorize: (authenticationId, authorizationId) => {
        asked.push([authenticationId, authorizationId])
        return 'robert'
      },
    })
    server.step(EMPTY)
    server.step(utf8.encode(BOB.response))
    expect(server.authorizationId).toBe('robert')
    expect(asked).toEqual([['bob', 'bob']])
    expect(failureOf(BOB.response, { authorize: () => null })).toMatch('may not act')
  })
})

describe('the client of DIGEST-MD5', () => {
  function clientFor(recorded: Recorded): DigestMd5Client {
    return new DigestMd5Client({
      protocol: recorded.protocol,
      serverName: recorded.serverName,
      crypto: { ...digestCrypto, nonce: () => cnonceOf(recorded.response) },
      user: recorded.user,
      password: recorded.password,
    })
  }

  for (const recorded of FROM_JAVA.filter(({ authzid }) => authzid !== null)) {
    it(`answers as Java's does for ${recorded.user} of ${recorded.protocol}`, () => {
      const client = clientFor(recorded)
      expect(client.hasInitialResponse).toBe(false)
      expect(text(client.step(utf8.encode(recorded.challenge)))).toBe(recorded.response)
      expect(client.done).toBe(false)
      expect(client.step(utf8.encode(recorded.rspauth))).toBe(null)
      expect(client.done).toBe(true)
      expect(() => client.step(EMPTY)).toThrow(SaslError)
    })
  }

  it('does not trust a server that cannot show that it knows the password', () => {
    for (const last of ['', 'rspauth=', 'rspauth=b6a567a7efeaa85122bc006816e43144', 'nothing']) {
      const client = clientFor(BOB)
      client.step(utf8.encode(BOB.challenge))
      expect(() => client.step(utf8.encode(last))).toThrow(SaslError)
      expect(client.done).toBe(false)
    }
  })

  it('refuses challenges that it cannot meet', () => {
    const refuse = (challenge: string) => expect(() => clientFor(BOB).step(utf8.encode(challenge))).toThrow(SaslError)
    refuse('')
    refuse('realm="x",algorithm=md5-sess')
    refuse('nonce="x"')
    refuse('nonce="x",algorithm=md5')
    refuse('nonce="x",algorithm=md5-sess,qop="auth-int,auth-conf"')
    refuse('nonce="x",algorithm=md5-sess,charset=latin1')
    refuse(`nonce="${'x'.repeat(2048)}",algorithm=md5-sess`)
  })

  it('agrees with the server on any name and password', () => {
    for (const name of ['a', 'with space', 'q"uo\\te', 'tab\t', '\u0001', 'ünï', '山', '😀', 'a,b=c']) {
      const options = { protocol: 'zookeeper', serverName: 'zk-sasl-md5', crypto: digestCrypto }
      const server = new DigestMd5Server({
        ...options,
        passwordOf: (user) => (user === name ? `${name}!` : null),
        authorize: (id) => id,
      })
      const client = new DigestMd5Client({ ...options, user: name, password: `${name}!` })
      const response = client.step(server.step(EMPTY)!)!
      expect(client.step(server.step(response)!)).toBe(null)
      expect([client.done, server.authorizationId]).toEqual([true, name])
    }
  })
})
