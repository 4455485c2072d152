/** A whole server with ports for TLS, over loopback sockets: plain clients, secure ones, and strangers. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectPlain, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { KeeperError } from '../../../../src/client/failures.ts'
import { ZooKeeper } from '../../../../src/client/zookeeper.ts'
import { loadConfig } from '../../../../src/server/config/config.ts'
import { Settings } from '../../../../src/server/config/settings.ts'
import type { RunningServer } from '../../../../src/server/life/running.ts'
import { startServer } from '../../../../src/server/main.ts'
import { openTlsEndpoint } from '../../../../src/server/tls/endpoint.ts'
import { readTls } from '../../../../src/server/tls/tlsconfig.ts'

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
const CLIENT_ID = '2.5.4.5=#130137+CN=client,O=Müller\\, Söhne,C=DE'

let dir: string
let server: RunningServer | null
let clients: ZooKeeper[]

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tls-port-'))
  server = null
  clients = []
})

afterEach(async () => {
  for (const client of clients) client.close()
  await server?.close()
  rmSync(dir, { recursive: true })
})

async function start(lines: Record<string, string | number>): Promise<RunningServer> {
  const all = {
    dataDir: dir,
    'ssl.keyStore.location': fixture('server.pem'),
    'ssl.trustStore.location': fixture('ca.pem'),
    '4lw.commands.whitelist': '*',
    maxClientCnxns: 0,
    ...lines,
  }
  const file = join(dir, 'zoo.cfg')
  writeFileSync(
    file,
    Object.entries(all)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  )
  const { config } = loadConfig(file, {})
  server = await startServer(config, pino({ level: 'silent' }))
  return server
}

/** A client; `store` is its key store, null for a plain one. */
function client(port: number, store: string | null): ZooKeeper {
  let upgrade = null
  if (store !== null) {
    const lines = [
      `ssl.trustStore.location=${fixture('ca.pem')}`,
      store === '' ? '' : `ssl.keyStore.location=${fixture(store)}`,
    ]
    const tls = readTls(new Settings(lines.join('\n'), 'client', new Map()), 'ssl')
    const endpoint = openTlsEndpoint(tls, { info: () => {}, warn: () => {} }, { serves: false })
    endpoint.close()
    upgrade = endpoint.connect.bind(endpoint)
  }
  const keeper = new ZooKeeper({ connect: `localhost:${port}`, sessionTimeoutMs: 10_000, shell: { upgrade } }, () => {})
  clients.push(keeper)
  return keeper
}

/** Everything that comes back on a socket after `text` until it ends. */
function ask(socket: Socket, text: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
    socket.write(text)
  })
}

const plain = (port: number): Socket => connectPlain(port, '127.0.0.1')
const secure = (port: number): Socket => connectTls({ port, host: '127.0.0.1', ca: [], rejectUnauthorized: false })

async function metric(port: number, name: string): Promise<number> {
  return Number(new RegExp(`^zk_${name}\\t(\\d+)$`, 'm').exec(await ask(plain(port), 'mntr'))?.[1])
}

describe('secureClientPort', () => {
  it('serves clients by TLS, beside a plain port or alone, and conf shows both', async () => {
    const { port, securePort } = await start({ clientPort: 0, secureClientPort: 0 })
    expect(port).not.toBe(securePort)
    const one = client(securePort, 'client.pem')
    await one.create('/a', new Uint8Array([1]))
    expect((await client(port, null).getData('/a')).data).toEqual(new Uint8Array([1]))
    expect(await metric(port, 'tls_client_days_left')).toBeGreaterThan(30_000)
    const conf = await ask(plain(port), 'conf')
    expect(conf).toContain(`clientPort=${port}\nsecureClientPort=${securePort}\n`)
    await server!.close()

    const alone = await start({ secureClientPort: 0, 'ssl.clientAuth': 'none' })
    expect(alone.port).toBe(alone.securePort)
    expect(await ask(secure(alone.port), 'conf')).toContain(`clientPort=-1\nsecureClientPort=${alone.port}\n`)
  })

  it('turns away who does not speak TLS, and says how many', async () => {
    const { port, securePort } = await start({ clientPort: 0, secureClientPort: 0 })
    expect(await ask(plain(securePort), 'ruok\n')).not.toContain('imok')
    expect(await ask(plain(securePort), 'GET / HTTP/1.1\r\n\r\n')).not.toContain('zookeeper')
    expect(await metric(port, 'unsuccessful_handshake')).toBe(2)
    expect(await metric(port, 'auth_failed_count')).toBe(2)
    expect(await metric(port, 'outstanding_tls_handshake')).toBe(0)
    expect(await metric(port, 'num_alive_connections')).toBe(1)
  })

  it('begins no more handshakes at a time than it may', async () => {
    const { port, securePort } = await start({
      clientPort: 0,
      secureClientPort: 0,
      'netty.server.outstandingHandshake.limit': 1,
    })
    const silent = plain(securePort)
    await new Promise((resolve) => silent.once('connect', resolve))
    while ((await metric(port, 'outstanding_tls_handshake')) < 1);
    expect(await ask(plain(securePort), '')).toBe('')
    expect(await metric(port, 'tls_handshake_exceeded')).toBe(1)
    silent.destroy()
    while ((await metric(port, 'outstanding_tls_handshake')) > 0);
    await client(securePort, 'client.pem').create('/a', null)
  })
})

describe('limits', () => {
  it("of connections are each port's own", async () => {
    const { port, securePort } = await start({ clientPort: 0, secureClientPort: 0, maxClientCnxns: 1 })
    await client(securePort, 'client.pem').create('/a', null)
    await client(port, null).getData('/a')
    for (const full of [port, securePort]) expect(await ask(plain(full), 'ruok')).toBe('')
  })

  it('spare a server that does not serve the handshake, if it may', async () => {
    writeFileSync(join(dir, 'myid'), '1')
    const members = Object.fromEntries([1, 2, 3].map((n) => [`server.${n}`, `127.0.0.1:${21110 + n}:${21120 + n}`]))
    for (const earlyDrop of ['true', 'false']) {
      const { securePort } = await start({
        ...members,
        initLimit: 10,
        syncLimit: 5,
        secureClientPort: 0,
        'ssl.clientAuth': 'none',
        'netty.server.earlyDropSecureConnectionHandshakes': earlyDrop,
      })
      expect(await ask(secure(securePort), 'srvr')).toBe(
        earlyDrop === 'true' ? '' : 'This ZooKeeper instance is not currently serving requests\n',
      )
      await server!.close()
    }
  })
})

describe('client.portUnification', () => {
  it('serves plain clients, TLS and words on one port', async () => {
    const { port } = await start({ clientPort: 0, 'client.portUnification': 'true', 'ssl.clientAuth': 'want' })
    await client(port, null).create('/a', null)
    await client(port, 'client.pem').create('/b', null)
    await client(port, '').create('/c', null)
    expect(await ask(plain(port), 'ruok')).toBe('imok')
    expect(await ask(secure(port), 'ruok')).toBe('imok')
    expect(await ask(plain(port), 'GET / HTTP/1.1\r\n\r\n')).toBe('')
    expect(await ask(plain(port), new Uint8Array([0x16, 1, 1, 1, 1, 1]))).toBe('')
  })
})

describe('a client with a certificate', () => {
  it('is who the certificate says, in the letters that Java writes it with', async () => {
    const { securePort } = await start({ secureClientPort: 0 })
    const who = await client(securePort, 'client.pem').whoAmI()
    expect(who).toEqual([
      { authScheme: 'ip', user: '127.0.0.1' },
      { authScheme: 'x509', user: CLIENT_ID },
    ])
  })

  it('can keep a znode for itself, which others find closed', async () => {
    const { port, securePort } = await start({ clientPort: 0, secureClientPort: 0 })
    const own = client(securePort, 'client.pem')
    await own.create('/own', new Uint8Array([7]), { acl: [{ perms: 31, id: { scheme: 'auth', id: '' } }] })
    expect((await own.getACL('/own')).acl).toEqual([{ perms: 31, id: { scheme: 'x509', id: CLIENT_ID } }])
    expect((await own.getData('/own')).data).toEqual(new Uint8Array([7]))
    for (const other of [client(port, null), client(securePort, 'server.pem')]) {
      await expect(other.getData('/own')).rejects.toThrow(KeeperError)
    }
    await expect(
      own.create('/bad', null, { acl: [{ perms: 31, id: { scheme: 'x509', id: 'no name' } }] }),
    ).rejects.toThrow(KeeperError)
  })

  it('is the super user if its id is that one', async () => {
    const { port, securePort } = await start({
      clientPort: 0,
      secureClientPort: 0,
      'X509AuthenticationProvider.superUser': CLIENT_ID.replaceAll('\\', '\\\\')
        .replace('ü', '\\u00fc')
        .replace('ö', '\\u00f6'),
    })
    await client(port, null).create('/closed', null, { acl: [{ perms: 31, id: { scheme: 'digest', id: 'a:b' } }] })
    await client(securePort, 'client.pem').getData('/closed')
    await expect(client(securePort, 'server.pem').getData('/closed')).rejects.toThrow(KeeperError)
  })

  it('may be known by an alternative name of it', async () => {
    const { securePort } = await start({
      secureClientPort: 0,
      'ssl.x509.clientCertIdType': 'SAN',
      'ssl.x509.clientCertIdSanMatchType': 2,
      'ssl.x509.clientCertIdSanExtractRegex': '^(.*)host$',
      'ssl.x509.clientCertIdSanExtractMatcherGroupIndex': 1,
    })
    expect((await client(securePort, 'server.pem').whoAmI())[1]).toEqual({ authScheme: 'x509', user: 'local' })
  })
})
