/**
 * A client's connect string: `host1:2181,host2,[::1]:2181/app`, the servers and the path below which all is done.
 * Java: ConnectStringParser, NetUtils.
 */

import { InvalidArgument } from './failures.ts'
import { checkPath } from './paths.ts'

export interface ServerAddress {
  readonly host: string
  readonly port: number
}

export interface ConnectString {
  readonly servers: readonly ServerAddress[]
  /** Begins with a slash and ends without; empty for none. */
  readonly chroot: string
}

const PORT_DEFAULT = 2181

/** Throws InvalidArgument with Java's words. */
export function parseConnectString(text: string): ConnectString {
  const slash = text.indexOf('/')
  let chroot = ''
  if (slash >= 0) {
    chroot = text.slice(slash)
    if (chroot === '/') chroot = ''
    else checkPath(chroot)
  }
  const hosts = (slash < 0 ? text : text.slice(0, slash)).split(',')
  const servers = hosts
    .map((host) => host.trim())
    .filter((host) => host !== '')
    .map(parseServer)
  if (servers.length === 0) throw new InvalidArgument('A HostProvider may not be empty!')
  return { servers, chroot }
}

/** `127.0.0.1:2181`, `[::1]:2181`. */
export function serverText({ host, port }: ServerAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function parseServer(text: string): ServerAddress {
  if (text.startsWith('[')) return parseIpV6(text)
  const colon = text.lastIndexOf(':')
  if (colon < 0) return { host: text, port: PORT_DEFAULT }
  const host = text.slice(0, colon)
  // A colon at the end is as good as none.
  return { host, port: colon === text.length - 1 ? PORT_DEFAULT : parsePort(text.slice(colon + 1)) }
}

function parseIpV6(text: string): ServerAddress {
  const bracket = text.lastIndexOf(']')
  if (bracket < 0) throw new InvalidArgument(`${text} starts with '[' but has no matching ']'`)
  const host = text.slice(1, bracket)
  if (host === '') throw new InvalidArgument(' is empty.')
  const rest = text.slice(bracket + 1)
  if (rest === '') return { host, port: PORT_DEFAULT }
  if (rest[0] !== ':') throw new InvalidArgument(`${text} does not have : after ]`)
  if (rest.length === 1) throw new InvalidArgument(`${text} doesn't have a port after colon.`)
  return { host, port: parsePort(rest.slice(1)) }
}

function parsePort(text: string): number {
  if (!/^[+-]?\d{1,10}$/.test(text)) throw new InvalidArgument(`For input string: "${text}"`)
  const port = Number(text)
  if (port < 0 || port > 65535) throw new InvalidArgument(`port out of range:${port}`)
  return port
}
