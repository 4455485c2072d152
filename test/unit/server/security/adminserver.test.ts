/** X7, X8, X12: the admin server attacked over HTTP, as part of a real server on loopback. */

import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { OpCode, Perm } from '../../../../src/jute/codes.ts'
import { writeSetACLRequest } from '../../../../src/jute/records.ts'
import { parseConfig } from '../../../../src/server/config/config.ts'
import { startServer } from '../../../../src/server/main.ts'
import { openAudit } from '../../../../src/server/report/auditfile.ts'
import { openSession, request } from '../../../conformance/badinput/connection.ts'
import { freePort } from '../../cli/package.ts'

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

interface Site {
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  send(method: string, path: string, headers?: Record<string, string>, body?: string): Promise<Answer>
  /** Gives the root another ACL. */
  setRootAcl(...entries: [perms: number, scheme: string, id: string][]): Promise<void>
  readonly log: readonly string[]
}

const ends: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

async function site(...settings: string[]): Promise<Site> {
  const dataDir = mkdtempSync(join(tmpdir(), 'zoowarden-admin-'))
  const lines = [
    `dataDir=${dataDir}`,
    'clientPort=0',
    'clientPortAddress=127.0.0.1',
    'forceSync=no',
    'preAllocSize=64',
    'audit.enable=true',
    'admin.serverAddress=127.0.0.1',
    'admin.serverPort=0',
    ...settings,
  ]
  const { config } = parseConfig(lines.join('\n'), 'zoo.cfg', new Map())
  const log: string[] = []
  const logger = pino({ base: null }, { write: (line: string) => void log.push(line) })
  const server = await startServer(config, logger, null, openAudit(config, logger).audit)
  ends.push(async () => {
    await server.close()
    rmSync(dataDir, { recursive: true })
  })
  const admin = log.map((line) => JSON.parse(line)).find(({ msg }) => msg === 'admin server')
  const send: Site['send'] = (method, path, headers = {}, body = '') =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: admin.port as number, method, path, headers, agent: false }
      const req = httpRequest(options, (res) => {
        let text = ''
        res.setEncoding('latin1')
        res.on('data', (chunk: string) => (text += chunk))
        res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: text }))
      })
      req.on('error', reject)
      req.end(body)
    })
  return {
    send,
    get: (path, headers) => send('GET', path, headers),
    async setRootAcl(...entries) {
      const session = await openSession({ host: '127.0.0.1', port: server.port }, 10_000, 5000)
      const acl = entries.map(([perms, scheme, id]) => ({ perms, id: { scheme, id } }))
      session!.write(request(1, OpCode.setACL, (out) => writeSetACLRequest(out, { path: '/', acl, version: -1 })))
      const reply = await session!.next(5000)
      expect(new DataView(reply!.buffer, reply!.byteOffset).getInt32(12)).toBe(0)
      session!.reset()
    },
    log,
  }
}

const SNAPSHOT = '/commands/snapshot'
/** `ops:secret` as DigestAuthenticationProvider makes it (openssl dgst -sha1). */
const OPS = 'ops:w4PIv8/Wzcq4qj4/MfEQ8pvUSS4='
const AS_OPS = { Authorization: 'digest ops:secret' }
const ON = ['admin.snapshot.enabled=true', 'admin.restore.enabled=true', 'admin.rateLimiterIntervalInMS=0']

describe('X7: a forwarded-for header', () => {
  const FORGED = { Authorization: 'ip', 'X-Forwarded-For': '10.1.2.3' }

  it('makes nobody somebody else, also with usexforwardedfor=true', async () => {
    for (const more of [[], ['IPAuthenticationProvider.usexforwardedfor=true']]) {
      const { get, setRootAcl } = await site(...ON, ...more)
      await setRootAcl([Perm.all, 'ip', '10.1.2.3'])
      expect((await get(SNAPSHOT, FORGED)).status).toBe(403)
    }
  })

  it('counts from a proxy that the configuration names, and what came to that proxy does not', async () => {
    const { get, setRootAcl } = await site(
      ...ON,
      'IPAuthenticationProvider.usexforwardedfor=true',
      'admin.trustedProxies=127.0.0.1',
    )
    await setRootAcl([Perm.all, 'ip', '10.1.2.3'])
    expect((await get(SNAPSHOT, FORGED)).status).toBe(200)
    const through = { ...FORGED, 'X-Forwarded-For': '10.1.2.3, 192.0.2.66' }
    expect((await get(SNAPSHOT, through)).status).toBe(403)
  })
})

describe('X8: snapshot and restore', () => {
  it('are off unless the configuration asks for them', async () => {
    const { get, send } = await site()
    const anybody = { Authorization: 'world anyone' }
    for (const answer of [await get(SNAPSHOT, anybody), await send('POST', '/commands/restore', anybody, 'x')]) {
      expect(answer.status).toBeGreaterThanOrEqual(400)
    }
    expect((await get(SNAPSHOT, AS_OPS)).status).toBe(503)
  })

  it('need all rights on the root, not some, and say who was refused in the audit log', async () => {
    const { get, send, setRootAcl, log } = await site(...ON)
    await setRootAcl([Perm.all & ~Perm.admin, 'digest', OPS])
    expect((await get(SNAPSHOT)).status).toBe(401)
    expect((await get(SNAPSHOT, AS_OPS)).status).toBe(403)
    expect((await send('POST', '/commands/restore', AS_OPS, 'ZKSN')).status).toBe(403)
    expect((await get(SNAPSHOT, { Authorization: 'digest ops:guess' })).status).toBe(403)
    const audit = log.filter((line) => /operation=(snapshot|restore)/.test(line))
    expect(audit).toHaveLength(4)
    for (const line of audit) expect(line).toMatch(/result=failure/)
  })

  it('are for whoever has them, once in a while, and a restore not by GET', async () => {
    const { get, setRootAcl } = await site(...ON.slice(0, 2), 'admin.rateLimiterIntervalInMS=3600000')
    await setRootAcl([Perm.all, 'digest', OPS])
    expect((await get(SNAPSHOT, AS_OPS)).status).toBe(200)
    expect((await get(SNAPSHOT, AS_OPS)).status).toBe(429)
    expect((await get('/commands/restore', AS_OPS)).status).toBe(405)
  })

  it('a restore is no longer than its limit, and one that is no snapshot changes nothing', async () => {
    const { send, get, setRootAcl } = await site(...ON, 'admin.restore.maxMb=1')
    await setRootAcl([Perm.all, 'digest', OPS])
    const before = (await get('/commands/monitor')).body.match(/"znode_count" : \d+/)?.[0]
    for (const body of ['x'.repeat((1 << 20) + 1), 'ZKSN and nothing more']) {
      expect((await send('POST', '/commands/restore', AS_OPS, body)).status).toBeGreaterThanOrEqual(400)
    }
    expect((await get('/commands/monitor')).body).toContain(before)
  })
})

describe('X12: the pages of the admin server', () => {
  it('are not answered to a page of somebody else in an operator\u2019s browser', async () => {
    const { get } = await site()
    expect((await get('/commands/stats', { Origin: 'http://evil.example' })).status).toBe(403)
    expect((await get('/commands/stats', { 'Sec-Fetch-Site': 'cross-site' })).status).toBe(403)
    expect((await get('/commands/stats')).status).toBe(200)
  })

  it('are not answered to a browser under a stranger\u2019s name for this address (DNS rebinding)', async () => {
    const { get } = await site()
    const rebound = { Host: 'evil.example', 'Sec-Fetch-Site': 'same-origin' }
    expect((await get('/commands/stats', rebound)).status).toBe(421)
    expect((await get('/commands/stats', { ...rebound, Host: 'localhost' })).status).toBe(200)
  })

  it('cannot be framed, sniffed or kept', async () => {
    const { get } = await site()
    for (const path of ['/commands', '/commands/stats', '/live', '/nothing']) {
      expect((await get(path)).headers).toMatchObject({
        'x-frame-options': 'DENY',
        'x-content-type-options': 'nosniff',
        'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
        'cache-control': 'no-store',
      })
    }
  })

  it('take GET, HEAD and POST only', async () => {
    const { send } = await site()
    for (const method of ['PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH']) {
      expect([method, (await send(method, '/commands/stats')).status]).toEqual([method, 405])
    }
  })

  it('with a token are for who has it; probes are for everybody', async () => {
    const { get } = await site('admin.token=0123456789abcdef')
    expect((await get('/commands/configuration')).status).toBe(401)
    expect((await get('/commands/configuration', { Authorization: 'Bearer 0123456789abcdeF' })).status).toBe(401)
    expect((await get('/commands/configuration', { Authorization: 'Bearer 0123456789abcdef' })).status).toBe(200)
    expect((await get('/ready')).status).toBe(200)
  })
})

describe('X16, X17: what is open', () => {
  it('is told by /ready and to Prometheus', async () => {
    const port = await freePort()
    const { get } = await site(
      'skipACL=yes',
      'metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider',
      'metricsProvider.httpHost=127.0.0.1',
      `metricsProvider.httpPort=${port}`,
    )
    const doors = ['skipACL', 'forceSync', 'sessions']
    expect(JSON.parse((await get('/ready')).body).open_doors).toEqual(doors)
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    const told = [...metrics.matchAll(/^zoowarden_open_door\{door="(\w+)",?\} 1/gm)].map(([, door]) => door)
    expect(told).toEqual(doors)
  })
})
