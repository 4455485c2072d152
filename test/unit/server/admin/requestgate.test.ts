import { describe, expect, it } from 'vitest'
import { clientAddress, type Headers, hasToken, refusalOf } from '../../../../src/server/admin/requestgate.ts'
import { parseConfig } from '../../../../src/server/config/config.ts'
import { type AdminConfig, isAdminProtected } from '../../../../src/server/config/configadmin.ts'

function admin(text: string): AdminConfig {
  return parseConfig(`dataDir=/d\nclientPort=1\n${text}`, 'zoo.cfg', new Map()).config.admin
}

const OWN = new Set(['localhost', 'zk1'])
const refused = (headers: Headers, text = ''): number | null => refusalOf(headers, admin(text), OWN)?.status ?? null

describe('X12: pages of a browser', () => {
  it('of others get nothing, our own do', () => {
    expect(refused({ host: 'zk1:8080', origin: 'http://evil.example' })).toBe(403)
    expect(refused({ host: 'zk1:8080', 'sec-fetch-site': 'cross-site' })).toBe(403)
    expect(refused({ host: 'zk1:8080', 'sec-fetch-site': 'same-site' })).toBe(403)
    expect(refused({ host: 'zk1:8080', origin: 'null' })).toBe(403)
    expect(refused({ host: 'zk1:8080', origin: 'http://zk1:8080', 'sec-fetch-site': 'same-origin' })).toBe(null)
    expect(refused({ host: 'zk1:8080', 'sec-fetch-site': 'none' })).toBe(null)
  })

  it('cannot come by a name of their own that was made to point here', () => {
    const headers = { host: 'evil.example:8080', 'sec-fetch-site': 'same-origin' }
    expect(refused(headers)).toBe(421)
    expect(refused({ ...headers, host: '10.0.0.7:8080' })).toBe(null)
    expect(refused({ ...headers, host: '[::1]:8080' })).toBe(null)
    expect(refused(headers, 'admin.allowedHosts=evil.example')).toBe(null)
  })

  it('are told from scripts, which may use any name unless the operator lists some', () => {
    expect(refused({ host: 'zk.prod.example:8080' })).toBe(null)
    expect(refused({ host: 'zk.prod.example:8080' }, 'admin.allowedHosts=other.example')).toBe(421)
    expect(refused({ host: 'ZK.prod.example.' }, 'admin.allowedHosts=zk.prod.example')).toBe(null)
    expect(refused({ host: 'anything' }, 'admin.allowedHosts=*')).toBe(null)
  })
})

describe('X7: X-Forwarded-For', () => {
  const forwarded = { 'x-forwarded-for': '1.2.3.4, 10.0.0.9' }
  const trusting = 'IPAuthenticationProvider.usexforwardedfor=true\nadmin.trustedProxies=10.0.0.0/8'

  it('is never believed by itself, not even where Java would', () => {
    expect(clientAddress('10.0.0.1', forwarded, admin(''))).toBe('10.0.0.1')
    expect(clientAddress('10.0.0.1', forwarded, admin('IPAuthenticationProvider.usexforwardedfor=true'))).toBe(
      '10.0.0.1',
    )
  })

  it('is believed as far as our own proxies have written it', () => {
    expect(clientAddress('10.0.0.1', forwarded, admin(trusting))).toBe('1.2.3.4')
    expect(clientAddress('9.9.9.9', forwarded, admin(trusting))).toBe('9.9.9.9')
    const forged = { 'x-forwarded-for': '127.0.0.1, 6.6.6.6, 10.0.0.9' }
    expect(clientAddress('10.0.0.1', forged, admin(trusting))).toBe('6.6.6.6')
    expect(clientAddress('10.0.0.1', { 'x-forwarded-for': 'nonsense' }, admin(trusting))).toBe('10.0.0.1')
  })
})

describe('X12: the token', () => {
  const config = admin('admin.token=0123456789abcdef')
  const has = (headers: Headers): boolean => hasToken(headers, config, (a, b) => a === b)

  it('comes in either of two headers', () => {
    expect(has({ authorization: 'Bearer 0123456789abcdef' })).toBe(true)
    expect(has({ 'x-admin-token': '0123456789abcdef', authorization: 'digest a:b' })).toBe(true)
    expect(has({ authorization: 'Bearer 0123456789abcdeX' })).toBe(false)
    expect(has({})).toBe(false)
  })

  it('is too short to guess at is refused at the start', () => {
    expect(() => admin('admin.token=short')).toThrow('zoo.cfg:3: admin.token: a token needs 16 characters')
  })
})

describe('X12: who can reach it', () => {
  it('is everybody by default, as in Java', () => {
    expect(isAdminProtected(admin(''))).toBe(false)
    expect(admin('')).toMatchObject({ enabled: true, host: '0.0.0.0', port: 8080, portChosen: false })
  })

  it('is this machine under security=strict, unless the operator says otherwise and protects it', () => {
    expect(admin('security=strict').host).toBe('127.0.0.1')
    expect(() => admin('security=strict\nadmin.serverAddress=10.0.0.1')).toThrow('the admin server answers whoever')
    const withToken = 'security=strict\nadmin.serverAddress=10.0.0.1\nadmin.token=0123456789abcdef'
    expect(isAdminProtected(admin(withToken))).toBe(true)
  })

  it('X8: nobody can take or bring a snapshot unless the operator asks for it', () => {
    expect(admin('')).toMatchObject({ snapshotEnabled: false, restoreEnabled: false })
  })
})
