/** The HTTP ports of a whole server in this process. */

import { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { isSecretKey } from '../../../../src/server/config/secrets.ts'
import { type Answer, Running } from './running.ts'

const OPEN = 'admin.snapshot.enabled=true\nadmin.restore.enabled=true\nadmin.rateLimiterIntervalInMS=0'
const ROOT_RIGHTS = { Authorization: 'digest root:x' }

let server: Running
const start = async (text = '', options = {}): Promise<void> => {
  server = await Running.start(text, options)
}
afterEach(() => server.stop())

describe('X12: the admin server', () => {
  it('answers GET, HEAD and POST only, and each command in one way', async () => {
    await start()
    for (const method of ['PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE']) {
      const { status, headers } = await server.command('ruok', { method })
      expect([status, headers['allow']]).toEqual([405, 'GET, HEAD, POST'])
    }
    expect((await server.command('ruok', { method: 'POST' })).status).toBe(405)
    expect((await server.command('restore')).status).toBe(405)
  })

  it('sends headers that keep its pages out of others, and no other origin in', async () => {
    await start()
    const { headers } = await server.command('ruok')
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cache-control': 'no-store',
    })
    expect(headers).not.toHaveProperty('access-control-allow-origin')
    expect((await server.command('srst', { headers: { Origin: 'http://evil.example' } })).status).toBe(403)
  })

  it('wants its token for everything but the probes', async () => {
    await start('admin.token=0123456789abcdef')
    const { status, headers } = await server.command('ruok')
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer'])
    expect((await server.ask('/commands')).status).toBe(401)
    expect((await server.command('ruok', { headers: { Authorization: 'Bearer 0123456789abcdef' } })).status).toBe(200)
    expect((await server.ask('/ready')).status).toBe(200)
    expect((await server.ask('/live')).status).toBe(200)
  })

  it('cuts a connection with headers that are too long, or that is too many of one address', async () => {
    await start()
    expect((await server.command('ruok', { headers: { X: 'x'.repeat(9000) } }).catch(() => null))?.status ?? 431).toBe(
      431,
    )
    const sockets = Array.from({ length: 80 }, () =>
      new Socket().on('error', () => {}).connect(server.adminPort, '127.0.0.1'),
    )
    const closed = sockets.map((socket) => new Promise((resolve) => socket.on('close', resolve)))
    await Promise.race(closed)
    for (const socket of sockets) socket.destroy()
    await Promise.all(closed)
    while ((await server.command('ruok').catch(() => null)) === null);
  })
})

describe('X8: snapshot and restore', () => {
  it('are off by default, whoever asks', async () => {
    await start()
    expect((await server.command('snapshot', { headers: ROOT_RIGHTS })).status).toBe(503)
    expect((await server.command('restore', { method: 'POST', headers: ROOT_RIGHTS, body: 'x' })).status).toBe(503)
  })

  it('need somebody with all rights on the root, and say so in Java\u2019s words', async () => {
    await start(OPEN)
    const error = async (headers: Record<string, string>): Promise<unknown[]> => {
      const { status, json } = await server.command('snapshot', { headers })
      return [status, json['error']]
    }
    expect(await error({})).toEqual([401, 'Auth info is missing for the command'])
    for (const credentials of ['nonsense x', 'digest', 'digest a b', 'world anyone', 'super']) {
      expect(await error({ Authorization: credentials })).toEqual([401, 'Not authenticated'])
    }
  })

  it('X13: an upload that is no snapshot, or too long, changes nothing and leaves nothing', async () => {
    await start(`${OPEN}\nadmin.restore.maxMb=1`)
    const put = (body: string): Promise<Answer> =>
      server.command('restore', { method: 'POST', headers: ROOT_RIGHTS, body })
    expect((await put('nonsense')).json['error']).toMatch(/^not a whole snapshot/)
    expect((await put('')).json['error']).toMatch(/^not a whole snapshot/)
    expect((await put('x'.repeat(1024 * 1024 + 1)).catch(() => null))?.status ?? 500).toBe(500)
    expect((await server.ask('/ready')).status).toBe(200)
  })

  it('bring a tree back, with a zxid that no client has seen', async () => {
    await start(OPEN)
    const { adminPort } = server
    const before = await fetch(`http://127.0.0.1:${adminPort}/commands/snapshot`, { headers: ROOT_RIGHTS })
    const bytes = new Uint8Array(await before.arrayBuffer())
    expect(before.headers.get('snapshot_size')).toBe(String(bytes.length))
    const { status, json } = await server.command('restore', { method: 'POST', headers: ROOT_RIGHTS, body: bytes })
    expect([status, json]).toEqual([200, { last_zxid: 1, command: 'restore', error: null }])
    expect((await server.command('srvr')).json['node_count']).toBe(5)
    expect((await server.command('lsnp')).json['zxid']).toBe('1')
  })

  it('a member of an ensemble takes no restore, and gives snapshots', async () => {
    await start(OPEN, { member: true })
    expect((await server.command('snapshot?streaming=false', { headers: ROOT_RIGHTS })).status).toBe(200)
    const { status, json } = await server.command('restore', { method: 'POST', headers: ROOT_RIGHTS, body: 'x' })
    expect(status).toBe(500)
    expect(json['error']).toMatch(/zoowarden restore/)
  })
})

describe('/ready', () => {
  it('says in which role it serves, and what stands open', async () => {
    await start('skipACL=yes', { member: true })
    const { status, json } = await server.ask('/ready')
    expect(status).toBe(200)
    expect(json).toMatchObject({ ready: true, state: 'leader', reason: null })
    expect(json['open_doors']).toContain('skipACL')
  })
})

describe('without a quorum', () => {
  it('a member is live, not ready, and says why', async () => {
    await start('', { member: true, lonely: true })
    expect((await server.ask('/live')).json).toEqual({ live: true })
    const { status, json } = await server.ask('/ready')
    expect(status).toBe(503)
    expect(json).toMatchObject({ ready: false, state: 'not serving', reason: 'looking for a leader: no quorum' })
    expect((await server.command('srvr')).json).toEqual({
      command: 'server_stats',
      error: 'This ZooKeeper instance is not currently serving requests',
    })
    expect((await server.command('zabstate')).json).toMatchObject({ voting: false, zabstate: '', error: null })
    expect((await server.command('mntr')).json).toMatchObject({ reason: 'looking for a leader: no quorum' })
    expect(await server.scrape()).toMatch(/^zoowarden_serving 0\.0$/m)
  })
})

describe('X10: no page shows a secret', () => {
  it('of those that a configuration may have', async () => {
    const secrets = {
      'DigestAuthenticationProvider.superDigest': 'super:leaked-1',
      'ssl.keyStore.password': 'leaked-2',
      'ssl.trustStore.password': 'leaked-3',
      'ssl.quorum.keyStore.password': 'leaked-4',
      'ssl.quorum.trustStore.password': 'leaked-5',
      'admin.token': 'leaked-6-0123456789',
      'SASLAuthenticationProvider.superPassword': 'leaked-7',
    }
    expect(Object.keys(secrets).every(isSecretKey)).toBe(true)
    await start(
      Object.entries(secrets)
        .map(([key, value]) => `${key}=${value}`)
        .join('\n'),
    )
    const headers = { 'X-Admin-Token': 'leaked-6-0123456789' }
    const links = (await server.ask('/commands', { headers })).text
    const names = [...links.matchAll(/>(\w+)</g)].map(([, name]) => name!)
    expect(names.length).toBe(28)
    const pages = [links, await server.scrape(), ...server.log]
    for (const name of names) pages.push((await server.command(name, { headers })).text)
    pages.push(
      (await server.ask('/ready')).text,
      (await server.command('leaked', { headers })).text.replace(/leaked"/g, ''),
    )
    expect(pages.filter((page) => /leaked-/.test(page))).toEqual([])
    expect(pages.some((page) => page.includes('superDigest=***'))).toBe(true)
  })
})
