/**
 * Whom the admin server answers: what may be asked in which way, by whom. Pure.
 *
 * A page in somebody's browser can send requests here, but it cannot hide that it is a browser: such a request has to
 * come from no page at all or from our own, and to name this server by an address or a name of its own (a stranger's
 * name that resolves to us is the trick of DNS rebinding). Scripts and scrapers may use any name, unless
 * `admin.allowedHosts` lists some.
 */

import { matchesIp, parseAddress } from '../access/ip.ts'
import type { AdminConfig } from '../config/configadmin.ts'

/** Header names are in lower case. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** Null: it may go on. Else the status and the reason why not. */
export type Refusal = { readonly status: number; readonly error: string } | null

export function refusalOf(headers: Headers, admin: AdminConfig, ownNames: ReadonlySet<string>): Refusal {
  const host = hostName(text(headers['host']))
  const browser = headers['origin'] !== undefined || headers['sec-fetch-site'] !== undefined
  if (browser && !isOwnPage(headers)) return { status: 403, error: 'requests of other pages are not answered' }
  const names = admin.allowedHosts
  if (names !== null && !names.includes('*')) {
    const known = names.includes(host) || isOwnHost(host, ownNames)
    if (!known) return { status: 421, error: 'this server has no such name: see admin.allowedHosts' }
  } else if (browser && names === null && !isOwnHost(host, ownNames)) {
    return { status: 421, error: 'a browser has to name this server by its address, or see admin.allowedHosts' }
  }
  return null
}

/** `equal` compares two texts in constant time. */
export function hasToken(headers: Headers, admin: AdminConfig, equal: (a: string, b: string) => boolean): boolean {
  if (admin.token === null) return true
  const token = admin.token.reveal()
  const bearer = /^Bearer +(\S+)$/i.exec(text(headers['authorization']))
  return equal(text(headers['x-admin-token']), token) || (bearer !== null && equal(bearer[1]!, token))
}

/** The address that the scheme `ip` goes by: who is connected, or whom our own proxies name. */
export function clientAddress(remote: string, headers: Headers, admin: AdminConfig): string {
  let address = remote
  const forwarded = text(headers['x-forwarded-for'])
    .split(',')
    .map((part) => part.trim())
  while (isProxy(address, admin)) {
    const before = forwarded.pop()
    if (before === undefined || parseAddress(before) === null) return address
    address = before
  }
  return address
}

function isProxy(address: string, { trustedProxies }: AdminConfig): boolean {
  return trustedProxies.some((proxy) => matchesIp(address, proxy))
}

function isOwnPage(headers: Headers): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  const origin = text(headers['origin'])
  return origin === '' || origin.replace(/^https?:\/\//, '') === text(headers['host'])
}

function isOwnHost(host: string, ownNames: ReadonlySet<string>): boolean {
  return parseAddress(host) !== null || ownNames.has(host)
}

/** Without the port, and without the brackets of an IPv6 address. */
function hostName(host: string): string {
  return host
    .toLowerCase()
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
}

function text(value: string | readonly string[] | undefined): string {
  return typeof value === 'string' ? value : ''
}
