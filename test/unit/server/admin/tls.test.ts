/** TLS on the admin port, from the stores of ssl.quorum.*. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { type Answer, Running } from './running.ts'

const fixture = (name: string): string => fileURLToPath(new URL(`../tls/fixtures/${name}`, import.meta.url))
const ca = readFileSync(fixture('ca.pem'), 'utf8')
const client = readFileSync(fixture('client.pem'), 'utf8')
const STORES = `ssl.quorum.keyStore.location=${fixture('server.pem')}\nssl.quorum.trustStore.location=${fixture('ca.pem')}`

let server: Running
afterEach(() => server.stop())

const status = (answer: Promise<Answer>): Promise<number | null> =>
  answer.then(
    (got) => got.status,
    () => null,
  )

describe('the admin port', () => {
  it('with forceHttps speaks TLS alone', async () => {
    server = await Running.start(`${STORES}\nadmin.forceHttps=true`)
    const { status: got, headers } = await server.command('ruok', { tls: { ca } })
    expect([got, headers['strict-transport-security']]).toEqual([200, 'max-age=86400; includeSubDomains'])
    expect(await status(server.command('ruok'))).toBe(null)
    expect(await server.scrape()).toMatch(/^zoowarden_tls_days_left\{port="admin",\} \d+/m)
  })

  it('with portUnification speaks both, and counts what is plain', async () => {
    server = await Running.start(`${STORES}\nadmin.portUnification=true`)
    expect(await status(server.command('ruok', { tls: { ca } }))).toBe(200)
    expect(await status(server.command('ruok'))).toBe(200)
    expect(await server.scrape()).toMatch(/^insecure_admin_count 1\.0$/m)
  })

  it('with needClientAuth lets in who has a certificate', async () => {
    server = await Running.start(`${STORES}\nadmin.forceHttps=true\nadmin.needClientAuth=true`)
    expect(await status(server.command('ruok', { tls: { ca, cert: client, key: client } }))).toBe(200)
    expect(await status(server.command('ruok', { tls: { ca } }))).toBe(null)
  })

  it('X8: knows a client by its certificate where the scheme says so', async () => {
    const x509 = 'authProvider.1=org.apache.zookeeper.server.auth.X509AuthenticationProvider'
    const asked = 'admin.forceHttps=true\nadmin.needClientAuth=true\nadmin.snapshot.enabled=true'
    server = await Running.start(`${STORES}\n${x509}\n${asked}`)
    const tls = { ca, cert: client, key: client }
    const headers = { Authorization: 'x509' }
    expect((await server.command('snapshot?streaming=false', { tls, headers })).json['error']).toBe(null)
  })
})
