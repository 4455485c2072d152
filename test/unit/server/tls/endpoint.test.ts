/** Two ends of TLS over loopback sockets, with the stores of fixtures/. */
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { ConfigError, Settings } from '../../../../src/server/config/settings.ts'
import { openTlsEndpoint, type TlsEndpoint, type TlsEndpointOptions } from '../../../../src/server/tls/endpoint.ts'
import { peerCertificate } from '../../../../src/server/tls/peercertificate.ts'
import { readTls } from '../../../../src/server/tls/tlsconfig.ts'

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

const log: string[] = []
let heard: (() => void) | null = null
const close: (() => void)[] = []

afterEach(() => {
  for (const one of close.splice(0)) one()
  log.length = 0
})

function hear(message: string): void {
  log.push(message)
  heard?.()
}

/** Resolves when a line with these words is in the log. */
function logged(words: string): Promise<void> {
  return new Promise((resolve) => {
    heard = () => {
      if (log.some((line) => line.includes(words))) resolve()
    }
    heard()
  })
}

function open(lines: Record<string, string>, options: TlsEndpointOptions = {}): TlsEndpoint {
  const text = Object.entries(lines).map(([key, value]) => `ssl.${key}=${value}`)
  const endpoint = openTlsEndpoint(
    readTls(new Settings(text.join('\n'), 'zoo.cfg', new Map()), 'ssl'),
    {
      info: (message) => hear(message),
      warn: (message, fields) => hear(`${message} ${JSON.stringify(fields)}`),
    },
    options,
  )
  close.push(() => endpoint.close())
  return endpoint
}

const server = { 'keyStore.location': fixture('server.pem'), 'trustStore.location': fixture('ca.pem') }
const client = { 'keyStore.location': fixture('client.pem'), 'trustStore.location': fixture('ca.pem') }
const stranger = { 'trustStore.location': fixture('ca.pem') }

/** A listener for one connection. */
async function listen(): Promise<{ port: number; accepted: Promise<Socket> }> {
  const listener = createServer()
  close.push(() => listener.close())
  const accepted = new Promise<Socket>((resolve) => listener.once('connection', resolve))
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  return { port: (listener.address() as AddressInfo).port, accepted }
}

type Ends = { ours: TLSSocket | Error; theirs: TLSSocket | Error }

/** Both ends' view of one connection. `peek`: the accepting side reads the first bytes and puts them back. */
async function meet(from: TlsEndpoint, to: TlsEndpoint, hosts = ['localhost'], peek = false): Promise<Ends> {
  const { port, accepted } = await listen()
  const dialled = connectPlain(port, '127.0.0.1')
  close.push(() => dialled.destroy())
  await new Promise((resolve) => dialled.once('connect', resolve))
  const ours = new Promise<TLSSocket | Error>((resolve) => from.connect(dialled, hosts, (err, s) => resolve(err ?? s!)))
  const socket = await accepted
  if (peek) {
    const chunk = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
    socket.pause()
    socket.unshift(chunk)
  }
  const theirs = await new Promise<TLSSocket | Error>((resolve) => to.accept(socket, (err, s) => resolve(err ?? s!)))
  return { ours: await ours, theirs }
}

async function talk({ ours, theirs }: Ends): Promise<void> {
  if (ours instanceof Error) throw ours
  if (theirs instanceof Error) throw theirs
  ours.write('hello')
  const chunk = await new Promise<Buffer>((resolve) => theirs.once('data', resolve))
  expect(chunk.toString()).toBe('hello')
}

describe('two ends of TLS', () => {
  it('speak TLS 1.3 and show each other their certificates', async () => {
    const ends = await meet(open(client), open(server))
    await talk(ends)
    expect((ends.ours as TLSSocket).getProtocol()).toBe('TLSv1.3')
    expect(peerCertificate(ends.theirs as TLSSocket)!.subject).toContain('CN=client')
  })

  it('begin with bytes that were read and put back', async () => {
    await talk(await meet(open(client), open(server), ['localhost'], true))
  })

  it('find the older version when one of them knows no other', async () => {
    const ends = await meet(open({ ...client, protocol: 'TLSv1.2' }), open(server))
    await talk(ends)
    expect((ends.ours as TLSSocket).getProtocol()).toBe('TLSv1.2')
  })

  it('use the cipher suite that the list names', async () => {
    const suites = 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'
    const ends = await meet(open(client), open({ ...server, ciphersuites: suites, protocol: 'TLSv1.2' }))
    await talk(ends)
    expect((ends.ours as TLSSocket).getCipher().standardName).toBe(suites)
  })

  it('do without a certificate of the client when none is asked for, or none is needed', async () => {
    for (const clientAuth of ['none', 'want']) {
      await talk(await meet(open(stranger, { serves: false }), open({ ...server, clientAuth })))
    }
  })

  it('part when the client needs a certificate and has none', async () => {
    const { theirs } = await meet(open(stranger, { serves: false }), open(server))
    expect(String(theirs)).toContain('the client has no certificate')
  })

  it('part when the client has a certificate of nobody that is trusted, even where none is needed', async () => {
    for (const clientAuth of ['need', 'want']) {
      const { theirs } = await meet(
        open(client),
        open({ ...server, clientAuth, 'trustStore.location': fixture('other-authority.pem') }),
      )
      expect(String(theirs)).toContain('the certificate of the client is refused')
    }
  })

  it('part when the server is somebody else than was dialled', async () => {
    const { ours } = await meet(open(client), open(server), ['other.example'])
    expect(String(ours)).toContain('not for other.example')
  })

  it('do not mind the name where host names are not checked', async () => {
    await talk(await meet(open({ ...client, hostnameVerification: 'false' }), open(server), ['other.example']))
  })

  it('accept the address that was dialled, and any one of several names', async () => {
    await talk(await meet(open(client), open(server), ['127.0.0.1']))
    await talk(await meet(open(client), open(server), ['other.example', 'localhost']))
  })

  it('check the address of a client where that is asked for', async () => {
    const strict = open({ ...server, clientHostnameVerification: 'true' })
    const { theirs } = await meet(open(client), strict)
    expect(String(theirs)).toContain('is not for its address 127.0.0.1')
    await talk(await meet(open(server), strict)) // a certificate for 127.0.0.1
  })

  it('X9: never ask a reverse zone for the name of an address', async () => {
    // 127.0.0.1 leads back to localhost, which is the one name in this certificate.
    const strict = open({ ...server, clientHostnameVerification: 'true', allowReverseDnsLookup: 'true' })
    const { theirs } = await meet(open({ ...client, 'keyStore.location': fixture('rsa-traditional.pem') }), strict)
    expect(String(theirs)).toContain('is not for its address 127.0.0.1')
  })

  it('do not wait for ever for a handshake', async () => {
    const { port, accepted } = await listen()
    const silent = connectPlain(port, '127.0.0.1')
    silent.on('error', () => {})
    const socket = await accepted
    const endpoint = open(server, { handshakeMs: 20 })
    const late = await new Promise((resolve) => endpoint.accept(socket, (err) => resolve(err)))
    expect(String(late)).toContain('TLS handshake timeout')

    const other = await listen()
    const dialled = connectPlain(other.port, '127.0.0.1')
    await new Promise((resolve) => dialled.once('connect', resolve))
    const err = await new Promise((resolve) => endpoint.connect(dialled, ['localhost'], (err) => resolve(err)))
    expect(String(err)).toContain('takes too long')
  })

  it('trust an authority in the middle of a chain, and a single certificate, as Java does', async () => {
    await talk(await meet(open(client), open({ ...server, 'trustStore.location': fixture('mid.pem') })))
    await talk(await meet(open(client), open({ ...server, 'trustStore.location': fixture('client-only.pem') })))
  })

  it('end with an error when the other side does not speak TLS, or goes away', async () => {
    for (const [bytes, reason] of [
      ['GET / HTTP/1.1\r\n\r\n', 'does not speak TLS (http request)'],
      ['ruok-ruok-ruok', 'does not speak TLS (wrong version number)'],
      ['', 'closed during the handshake'],
    ] as const) {
      const { port, accepted } = await listen()
      const dialled = connectPlain(port, '127.0.0.1')
      dialled.on('error', () => {})
      if (bytes === '') dialled.end()
      else dialled.write(bytes)
      const socket = await accepted
      const result = await new Promise((resolve) => open(server).accept(socket, (err) => resolve(err)))
      expect(String(result)).toContain(reason)
    }
  })

  it('say how many days their own certificate has', () => {
    expect(open(server).daysLeft()).toBeGreaterThan(30_000)
    expect(open(stranger, { serves: false }).daysLeft()).toBe(null)
  })
})

describe('certificates that were revoked', () => {
  const lists = (...names: string[]): Record<string, string> => ({
    ...server,
    crl: 'true',
    'crl.location': names.map(fixture).join(),
  })

  it('are refused by a list from a file; others come in', async () => {
    const endpoint = open(lists('ca.crl', 'mid-client-revoked.crl'))
    const { theirs } = await meet(open(client), endpoint)
    expect(String(theirs)).toContain('CN=client is revoked')
    await talk(await meet(open(server), endpoint))
  })

  it('are told apart by the list that is in force', async () => {
    await talk(await meet(open(client), open(lists('ca.crl', 'mid.crl'))))
  })

  it('are found out by the side that dials, too', async () => {
    const { ours } = await meet(
      open({ ...lists('ca.crl', 'mid-both-revoked.crl'), hostnameVerification: 'false' }),
      open({ ...server, 'keyStore.location': fixture('crl-client.pem') }),
    )
    expect(String(ours)).toContain('CN=crl client is revoked')
  })

  it('could be anyone when there is no list, so nobody comes in', async () => {
    for (const names of [['mid.crl'], ['ca.crl']]) {
      const { theirs } = await meet(open(client), open(lists(...names)))
      expect(String(theirs)).toContain('there is no list in force')
    }
  })

  it('need no list of the authority that is trusted itself', async () => {
    const endpoint = open({ ...lists('mid.crl'), 'trustStore.location': fixture('mid.pem') })
    await talk(await meet(open(client), endpoint))
  })
})

describe('files that change', () => {
  function folder(): string {
    const dir = mkdtempSync(join(tmpdir(), 'tls-'))
    close.push(() => rmSync(dir, { recursive: true }))
    return dir
  }

  const subjectSeen = async (to: TlsEndpoint): Promise<string> => {
    const { ours } = await meet(open({ ...client, hostnameVerification: 'false' }), to)
    if (ours instanceof Error) throw ours
    return peerCertificate(ours)!.subject
  }

  it('count for new connections, and leave the others alone', async () => {
    const file = join(folder(), 'store.pem')
    copyFileSync(fixture('server.pem'), file)
    const endpoint = open({ ...server, 'keyStore.location': file })
    const before = await meet(open(client), endpoint)
    copyFileSync(fixture('rsa-traditional.pem'), `${file}.new`)
    renameSync(`${file}.new`, file)
    await logged('have been read again')
    expect(await subjectSeen(endpoint)).toBe('CN=rsa server')
    await talk(before)
  })

  it('are noticed when a symlink leads elsewhere', async () => {
    const dir = folder()
    copyFileSync(fixture('server.pem'), join(dir, 'one.pem'))
    copyFileSync(fixture('rsa-traditional.pem'), join(dir, 'two.pem'))
    symlinkSync('one.pem', join(dir, 'store.pem'))
    const endpoint = open({ ...server, 'keyStore.location': join(dir, 'store.pem') })
    symlinkSync('two.pem', join(dir, 'next'))
    renameSync(join(dir, 'next'), join(dir, 'store.pem'))
    await logged('have been read again')
    expect(await subjectSeen(endpoint)).toBe('CN=rsa server')
  })

  it.each([
    ['are cut off', 'server.pem', 300],
    ['hold a certificate that is over', 'expired.pem', undefined],
    ['hold a key and the certificate of another', 'mismatch.pem', undefined],
  ])('change nothing when they %s', async (_what, name, bytes) => {
    const file = join(folder(), 'store.pem')
    copyFileSync(fixture('rsa-traditional.pem'), file)
    const endpoint = open({ ...server, 'keyStore.location': file })
    writeFileSync(file, readFileSync(fixture(name)).subarray(0, bytes))
    await logged('the ones before stay in force')
    expect(await subjectSeen(endpoint)).toBe('CN=rsa server')
    copyFileSync(fixture('server.pem'), file)
    await logged('have been read again')
    expect(await subjectSeen(endpoint)).toBe('CN=server')
  })
})

describe('a start is refused', () => {
  it.each([
    ['without a key', { 'trustStore.location': fixture('ca.pem') }, 'ssl.keyStore.location is not set'],
    ['when nobody could come in', { 'keyStore.location': fixture('server.pem') }, 'ssl.trustStore.location is not set'],
    [
      'when a file is missing',
      { ...server, 'keyStore.location': '/nowhere/k.pem' },
      'keyStore.location: /nowhere/k.pem: no such file',
    ],
    ['when there is no key in it', { ...server, 'keyStore.location': fixture('ca.pem') }, 'has no private key'],
    [
      'when nobody in it is trusted',
      { ...server, 'trustStore.location': fixture('server.pem') },
      'has no certificate that is there to be trusted',
    ],
  ])('%s', (_what, lines, message) => {
    expect(() => open(lines as Record<string, string>)).toThrow(ConfigError)
    expect(() => open(lines as Record<string, string>)).toThrow(message)
  })
})
