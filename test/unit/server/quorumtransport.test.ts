/** TLS and SASL between two members over loopback sockets, by their settings; and what strangers get of them. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { isProtected, type QuorumProtection, readProtection } from '../../../src/server/config/configprotection.ts'
import { Settings } from '../../../src/server/config/settings.ts'
import { openQuorumSecurity } from '../../../src/server/member/quorumsecurity.ts'
import { parseJaas } from '../../../src/server/sasl/jaas.ts'
import { encodeHello } from '../../../src/zab/notification.ts'
import type { Passage, Transport } from '../../../src/zab/transport.ts'
import type { LinkKind } from '../../../src/zab/types.ts'

const fixture = (name: string): string => fileURLToPath(new URL(`tls/fixtures/${name}`, import.meta.url))

const keys = (name: string): string =>
  `ssl.quorum.keyStore.location=${fixture(name)}\nssl.quorum.trustStore.location=${fixture('ca.pem')}\n`
/** For localhost and 127.0.0.1. */
const MEMBER = keys('server.pem')
/** For localhost only, whatever its address. */
const LOCALHOST = keys('rsa-traditional.pem')
/** Of the same authority, and for nobody's host. */
const ELSEWHERE = keys('client.pem')
const TLS = 'sslQuorum=true\n'
const BOTH = 'portUnification=true\n'

const SASL = 'quorum.auth.enableSasl=true\nquorum.auth.learnerRequireSasl=true\nquorum.auth.serverRequireSasl=true\n'
const SASL_ACCEPTED = 'quorum.auth.enableSasl=true\n'
const SASL_DIALED = 'quorum.auth.enableSasl=true\nquorum.auth.learnerRequireSasl=true\n'

const jaas = (password = 'secret'): string =>
  ['QuorumServer { %s user_member="secret"; };', `QuorumLearner { %s username="member" password="${password}"; };`]
    .join('\n')
    .replaceAll('%s', 'org.apache.zookeeper.server.auth.DigestLoginModule required')

const cleanups: (() => void)[] = []

afterEach(() => {
  for (const one of cleanups.splice(0)) one()
})

interface Member {
  readonly password?: string
  readonly hosts?: readonly string[]
}

function protectionOf(lines: string, file = jaas()): QuorumProtection {
  const settings = new Settings(lines, 'zoo.cfg', new Map())
  return readProtection(
    settings,
    parseJaas(file, 'jaas.conf', () => null),
    () => null,
  )
}

async function member(lines: string, { password, hosts = [] }: Member = {}): Promise<Transport> {
  const protection = protectionOf(lines, jaas(password))
  const security = await openQuorumSecurity(protection, () => hosts, { info: () => {}, warn: () => {} })
  cleanups.push(() => security.close())
  return security.transport
}

type Outcome = Passage | string

const outcomeOf = (err: Error | null, passage: Passage | null): Outcome => err?.message ?? passage!

/** A port behind which this transport accepts; `accepted` resolves with the first outcome. */
async function listen(transport: Transport, kind: LinkKind): Promise<{ port: number; accepted: Promise<Outcome> }> {
  const server = createServer()
  cleanups.push(() => server.close())
  const accepted = new Promise<Outcome>((resolve) => {
    server.on('connection', (socket) => {
      socket.on('error', () => {})
      cleanups.push(() => socket.destroy())
      transport.accept(socket, kind, (err, passage) => {
        if (err !== null) socket.destroy()
        resolve(outcomeOf(err, passage))
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, accepted }
}

async function plain(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  socket.on('error', () => {})
  cleanups.push(() => socket.destroy())
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

async function dial(from: Transport, port: number, kind: LinkKind, host = 'localhost'): Promise<Outcome> {
  const socket = await plain(port)
  return new Promise((resolve) => {
    from.connect(socket, { sid: 2, kind, host }, (err, passage) => {
      if (err !== null) socket.destroy()
      resolve(outcomeOf(err, passage))
    })
  })
}

async function meet(from: Transport, to: Transport, kind: LinkKind = 'learner', host = 'localhost') {
  const { port, accepted } = await listen(to, kind)
  const dialed = await dial(from, port, kind, host)
  return { dialed, accepted: await accepted }
}

function through(outcome: Outcome): Passage {
  if (typeof outcome === 'string') throw new Error(outcome)
  return outcome
}

/** The next bytes of a passage, its head ahead of them. */
async function next(passage: Passage, bytes: number): Promise<string> {
  let got = Buffer.from(passage.head)
  return new Promise((resolve) => {
    const take = (chunk: Buffer): void => {
      got = Buffer.concat([got, chunk])
      if (got.length < bytes) return
      passage.socket.off('data', take)
      resolve(got.toString('latin1'))
    }
    passage.socket.on('data', take)
    passage.socket.resume()
    take(Buffer.alloc(0))
  })
}

async function talk({ dialed, accepted }: { dialed: Outcome; accepted: Outcome }): Promise<void> {
  const [ours, theirs] = [through(dialed), through(accepted)]
  ours.socket.write('there')
  theirs.socket.write('back')
  expect(await next(theirs, 5)).toBe('there')
  expect(await next(ours, 4)).toBe('back')
}

const HELLO = Buffer.from(encodeHello(9, ['127.0.0.1:3888'], false))
const hello = HELLO.toString('latin1')
const ZEROES = '0000000b0000000000000000'

describe('TLS between members', () => {
  test('carries what they say, and names them by their certificates', async () => {
    const met = await meet(await member(TLS + MEMBER), await member(TLS + MEMBER))
    await talk(met)
    for (const passage of [through(met.dialed), through(met.accepted)]) {
      expect(passage.peer).toBe('CN=server; DNS:localhost, IP Address:127.0.0.1')
    }
  })

  test('begins with a ClientHello that comes a byte at a time', async () => {
    const { port, accepted } = await listen(await member(TLS + MEMBER), 'election')
    const server = createServer((socket) => {
      cleanups.push(() => socket.destroy())
      const onward = connect({ host: '127.0.0.1', port, noDelay: true })
      cleanups.push(() => onward.destroy())
      for (const end of [socket, onward]) end.on('error', () => {})
      let sent = Promise.resolve()
      socket.on('data', (chunk) => {
        for (const byte of chunk.subarray(0, 20)) {
          sent = sent.then(() => new Promise((resolve) => onward.write(Buffer.of(byte), () => setImmediate(resolve))))
        }
        if (chunk.length > 20) sent = sent.then(() => void onward.write(chunk.subarray(20)))
      })
      onward.on('data', (chunk) => socket.write(chunk))
    })
    cleanups.push(() => server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const dialed = await dial(await member(TLS + MEMBER), (server.address() as AddressInfo).port, 'election')
    await talk({ dialed, accepted: await accepted })
  })

  test('X1 keeps out who speaks in the clear, and says which key wants otherwise', async () => {
    const { port, accepted } = await listen(await member(TLS + MEMBER), 'election')
    ;(await plain(port)).write(HELLO)
    expect(await accepted).toBe('it does not speak TLS (sslQuorum, portUnification)')
  })

  test('X1 keeps out who has no certificate', async () => {
    const { port, accepted } = await listen(await member(TLS + MEMBER), 'election')
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false })
    socket.on('error', () => {})
    cleanups.push(() => socket.destroy())
    expect(await accepted).toBe('the client has no certificate')
  })

  test('gives up on who says nothing, when the time for the first bytes is over', async () => {
    const lines = `${TLS}${MEMBER}ssl.quorum.handshakeDetectionTimeoutMillis=30\n`
    const { port, accepted } = await listen(await member(lines), 'learner')
    await plain(port)
    expect(await accepted).toBe('it says nothing')
  })

  test('gives up on who closes in the middle of the handshake', async () => {
    const { port, accepted } = await listen(await member(TLS + MEMBER), 'learner')
    const socket = await plain(port)
    socket.end(Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1]))
    expect(typeof (await accepted)).toBe('string')
  })

  test('gives up on bytes that begin like a handshake and are none', async () => {
    const { port, accepted } = await listen(await member(TLS + MEMBER), 'learner')
    const socket = await plain(port)
    socket.write(Buffer.concat([Buffer.from([0x16, 3, 1, 0, 40]), Buffer.alloc(400, 0x5a)]))
    expect(typeof (await accepted)).toBe('string')
  })

  test('X9 a member that we dial must have a certificate for its host: else we say what it showed', async () => {
    const to = await member(TLS + LOCALHOST)
    await talk(await meet(await member(TLS + MEMBER), to, 'learner', 'localhost'))
    const { dialed } = await meet(await member(TLS + MEMBER), to, 'learner', 'zk2.example')
    expect(dialed).toBe(
      'its certificate (CN=rsa server; DNS:localhost) is not for zk2.example or 127.0.0.1 (ssl.quorum.hostnameVerification)',
    )
    const off = `${TLS}${MEMBER}ssl.quorum.hostnameVerification=false\n`
    await talk(await meet(await member(off), to, 'learner', 'zk2.example'))
  })

  test('X9 a member that dials us must have a certificate for a member or for its address', async () => {
    const known = await member(TLS + MEMBER, { hosts: ['zk1.example', 'localhost'] })
    const unknown = await member(TLS + MEMBER, { hosts: ['zk1.example'] })
    await talk(await meet(await member(TLS + LOCALHOST), known)) // by its name in the configuration
    await talk(await meet(await member(TLS + MEMBER), unknown)) // by its address
    await talk(await meet(await member(TLS + LOCALHOST), unknown)) // the name it has leads to its address
    const unchecked = `${TLS}${ELSEWHERE}ssl.quorum.hostnameVerification=false\n`
    const { accepted } = await meet(await member(unchecked), await member(TLS + MEMBER, { hosts: ['zk1.example'] }))
    expect(accepted).toMatch(/^its certificate \(.*CN=client.*\) is neither for a member nor for 127\.0\.0\.1 \(ssl\.q/)
    const off = `${TLS}${MEMBER}ssl.quorum.clientHostnameVerification=false\n`
    await talk(await meet(await member(unchecked), await member(off)))
  })

  test('on a port for both, plain and TLS come in, and not a byte is lost', async () => {
    const to = await member(BOTH + MEMBER)
    await talk(await meet(await member(TLS + MEMBER), to))
    const changing = await listen(await member(TLS + BOTH + MEMBER), 'learner')
    const dialed = through(await dial(await member(BOTH + MEMBER), changing.port, 'learner'))
    dialed.socket.write(Buffer.from(ZEROES, 'hex'))
    expect(through(await changing.accepted).head).toEqual(Buffer.from(ZEROES, 'hex'))
    const { port, accepted } = await listen(to, 'election')
    const socket = await plain(port)
    for (const byte of HELLO) await new Promise<void>((resolve) => socket.write(Buffer.of(byte), () => resolve()))
    expect(await next(through(await accepted), HELLO.length)).toBe(hello)
  })

  test('on a port for both, who says nothing at first speaks in the clear', async () => {
    const lines = `${BOTH}${MEMBER}ssl.quorum.handshakeDetectionTimeoutMillis=30\n`
    const { port, accepted } = await listen(await member(lines), 'learner')
    const socket = await plain(port)
    const passage = through(await accepted)
    socket.write('late')
    expect(await next(passage, 4)).toBe('late')
  })
})

describe('SASL between members', () => {
  test('has a learner prove itself ahead of its first packet, and names it', async () => {
    const met = await meet(await member(SASL), await member(SASL))
    await talk(met)
    expect(through(met.accepted).peer).toBe('sasl member')
  })

  test('comes behind the hello on the election port, and the hello is not lost', async () => {
    const { port, accepted } = await listen(await member(SASL), 'election')
    const dialed = through(await dial(await member(SASL), port, 'election'))
    dialed.socket.write(HELLO)
    const err = await new Promise<Error | null>((resolve) => dialed.afterHello!((failed) => resolve(failed)))
    expect(err).toBeNull()
    dialed.socket.write('vote')
    expect(await next(through(await accepted), HELLO.length + 4)).toBe(`${hello}vote`)
  })

  test('goes inside TLS where there is both', async () => {
    const met = await meet(await member(TLS + MEMBER + SASL), await member(TLS + MEMBER + SASL), 'observer')
    await talk(met)
    expect(through(met.accepted).peer).toBe('CN=server; DNS:localhost, IP Address:127.0.0.1; sasl member')
  })

  test('keeps out who has a wrong password: each side says why, and nothing of the password', async () => {
    const { dialed, accepted } = await meet(await member(SASL, { password: 'guessed' }), await member(SASL))
    expect(dialed).toBe('authentication failed: it does not believe us (quorum.auth.learner.saslLoginContext)')
    expect(accepted).toMatch(/^it cannot prove who it is: .* \(quorum\.auth\.server\.saslLoginContext\)$/)
    expect(`${dialed}${accepted}`).not.toMatch(/guessed|secret/)
  })

  test('keeps out who fails, also where nobody has to prove anything', async () => {
    const { accepted } = await meet(await member(SASL_DIALED, { password: 'guessed' }), await member(SASL_ACCEPTED))
    expect(accepted).toMatch(/^it cannot prove who it is/)
  })

  test('X1 keeps out who does not even try', async () => {
    for (const kind of ['election', 'learner'] as const) {
      const { port, accepted } = await listen(await member(SASL), kind)
      const socket = await plain(port)
      socket.write(Buffer.concat([kind === 'election' ? HELLO : Buffer.alloc(0), Buffer.from(ZEROES, 'hex')]))
      expect(await accepted).toBe('it does not authenticate itself (quorum.auth.serverRequireSasl)')
    }
  })

  test('lets who does not try in while that is not required: packets, knocks that end, and silence', async () => {
    const to = await member(SASL_ACCEPTED)
    const packets = await listen(to, 'learner')
    ;(await plain(packets.port)).write(Buffer.from(ZEROES, 'hex'))
    expect(through(await packets.accepted).head).toEqual(Buffer.from(ZEROES, 'hex'))
    const { port, accepted } = await listen(to, 'election')
    ;(await plain(port)).end(HELLO)
    expect(await next(through(await accepted), HELLO.length)).toBe(hello)
    const waiting = await listen(to, 'election')
    ;(await plain(waiting.port)).write(HELLO)
    expect(await next(through(await waiting.accepted), HELLO.length)).toBe(hello)
  })

  test('sends the packets of Java: an empty token for a challenge', async () => {
    const { port } = await listen(await member(SASL), 'learner')
    const socket = await plain(port)
    socket.write(Buffer.from('5f2435013501edcc0000000000000000', 'hex'))
    const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
    expect(answer.subarray(0, 12).toString('hex')).toBe('5f2435013501edcc00000000')
    expect(answer.readInt32BE(12)).toBe(answer.length - 16)
    expect(answer.subarray(16).toString()).toMatch(
      /^realm="zk-quorum-sasl-md5",nonce="[^"]+",charset=utf-8,algorithm=md5-sess$/,
    )
  })

  test('believes nobody that says "success" without having proved that it knows the password', async () => {
    for (const lie of ['5f2435013501edcc 00000001 ffffffff', '5f2435013501edcc 00000001 00000000']) {
      const server = createServer((socket) => {
        cleanups.push(() => socket.destroy())
        socket.on('error', () => {})
        socket.once('data', () => socket.write(Buffer.from(lie.replaceAll(' ', ''), 'hex')))
      })
      cleanups.push(() => server.close())
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const outcome = await dial(await member(SASL), (server.address() as AddressInfo).port, 'learner')
      expect(outcome).toMatch(/^authentication failed: /)
    }
  })

  test('ends with who closes in it, sends too much, or makes no sense', async () => {
    const header = '5f2435013501edcc00000000'
    for (const [bytes, reason] of [
      [`${header}000000`, 'closed by the other side'],
      [`${header}7fffffff`, 'a token of 2147483647 bytes'],
      [`${header}00000002abcd`, ''],
      ['5f2435013501edcc0000000900000000', 'status 9'],
    ] as const) {
      const { port, accepted } = await listen(await member(SASL), 'learner')
      const socket = await plain(port)
      socket.resume()
      socket.end(Buffer.from(bytes, 'hex'))
      const outcome = await accepted
      expect(outcome, bytes).toContain('it cannot prove who it is')
      expect(outcome, bytes).toContain(reason)
    }
  })
})

describe('bytes at random', () => {
  test('on any port, with any settings, end in a reason, and never in a link that was not to be', async () => {
    const random = seeded(20_395)
    const openings = [HELLO, Buffer.from(ZEROES, 'hex'), Buffer.from('5f2435013501edcc00000000000000', 'hex')]
    const start = Buffer.from([0x16, 3, 1, 0, 60, 1, 0, 0, 56, 3, 3])
    for (const lines of [TLS + MEMBER, SASL, TLS + MEMBER + SASL]) {
      const transport = await member(lines)
      for (const kind of ['election', 'learner', 'observer'] as const) {
        await Promise.all(
          Array.from({ length: 40 }, async () => {
            const { port, accepted } = await listen(transport, kind)
            const parts = [start, ...openings].filter(() => random() < 0.5)
            const bytes = Buffer.concat([
              ...parts,
              Buffer.from(Array.from({ length: random() * 300 }, () => random() * 256)),
            ])
            for (let i = random() * 4; i > 0 && bytes.length > 0; i--)
              bytes[Math.floor(random() * bytes.length)] = random() * 256
            const socket = await plain(port)
            socket.resume()
            socket.end(bytes)
            expect(typeof (await accepted), `${kind} ${bytes.toString('hex')}`).toBe('string')
          }),
        )
      }
    }
  })
})

/** In [0, 1), always the same. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

describe('the settings of security between members', () => {
  const refusal = (lines: string, file = jaas()): string => {
    try {
      protectionOf(lines, file)
    } catch (err) {
      return (err as Error).message
    }
    return ''
  }

  test('are refused where one needs another', () => {
    expect(refusal('quorum.auth.serverRequireSasl=true')).toBe(
      'zoo.cfg:1: quorum.auth.serverRequireSasl=true needs quorum.auth.enableSasl=true',
    )
    expect(refusal('quorum.auth.learnerRequireSasl=true')).toBe(
      'zoo.cfg:1: quorum.auth.learnerRequireSasl=true needs quorum.auth.enableSasl=true',
    )
    expect(refusal('quorum.auth.enableSasl=true\nquorum.auth.serverRequireSasl=true')).toBe(
      'zoo.cfg:2: quorum.auth.serverRequireSasl=true needs quorum.auth.learnerRequireSasl=true',
    )
  })

  test('are refused where the JAAS file has no such section', () => {
    expect(refusal(SASL, 'Server { };')).not.toBe('')
    expect(refusal(`${SASL}quorum.auth.server.saslLoginContext=Other`)).toMatch(
      /^zoo\.cfg:4: no section Other for members/,
    )
  })

  test('X1 count as protection when they keep everybody out who has no certificate of our authority, and no password', () => {
    const protects = (lines: string): boolean => isProtected(protectionOf(lines, jaas()))
    for (const lines of [TLS + MEMBER, SASL, SASL + TLS + BOTH + MEMBER]) expect(protects(lines), lines).toBe(true)
    const noStore = `${TLS}ssl.quorum.keyStore.location=server.pem\n`
    const noClientAuth = `${TLS}${MEMBER}ssl.quorum.clientAuth=want\n`
    for (const lines of ['', BOTH + MEMBER, TLS + BOTH + MEMBER, SASL_ACCEPTED, SASL_DIALED, noStore, noClientAuth]) {
      expect(protects(lines), lines).toBe(false)
    }
  })

  test('have the names of sections as Java has them, or others', () => {
    expect(refusal(SASL)).toBe('')
    const names = 'quorum.auth.server.saslLoginContext=QuorumServer\nquorum.auth.learner.saslLoginContext=QuorumLearner'
    expect(refusal(SASL + names)).toBe('')
  })
})
