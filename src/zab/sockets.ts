/**
 * From `host:port` texts to sockets: names, dialing, listening. Part of the shell around links.ts.
 *
 * Names are looked up anew for every dial and every bind, because a member may come back under another address
 * (ZOOKEEPER-1506). Where the name service fails or is slow, the addresses it gave last still count: an outage of it
 * must not keep members apart that could reach each other. Java: MultipleAddresses, QuorumCnxManager.Listener.
 */

import { lookup } from 'node:dns'
import { connect, createServer, isIP, type Server, type Socket } from 'node:net'

export interface Address {
  /** A name or an IP address without brackets. */
  readonly host: string
  readonly port: number
}

/** `host:port`, `[ipv6]:port`; null for what is neither. */
export function parseAddress(text: string): Address | null {
  const colon = text.lastIndexOf(':')
  const portText = text.slice(colon + 1)
  if (colon < 1 || !/^\d{1,5}$/.test(portText)) return null
  const port = Number(portText)
  let host = text.slice(0, colon)
  if (host.startsWith('[') && host.endsWith(']')) host = host.slice(1, -1)
  if (host === '' || port > 65535) return null
  return { host, port }
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Answers with the IP addresses of a name, IPv4 first; an error where it has none. */
export type Lookup = (host: string, got: (err: Error | null, addresses: string[]) => void) => void

export const systemLookup: Lookup = (host, got) => {
  lookup(host, { all: true, order: 'ipv4first' }, (err, found) => {
    if (err !== null) got(err, [])
    else
      got(
        null,
        found.map(({ address }) => address),
      )
  })
}

/** Patience with the name service where an older answer is there to go on with. */
const SLOW_LOOKUP_MS = 1000
/** Names remembered. Configurations have far fewer; hints of strangers may have any. */
const NAMES_MAX = 1000

export class Names {
  private readonly lookup: Lookup
  private readonly slowMs: number
  private readonly lastKnown: Map<string, string[]>
  /** Who waits for the look-up of a name that is under way: a second one would only take another thread. */
  private readonly waiting: Map<string, ((err: Error | null, addresses: string[]) => void)[]>

  constructor(lookup: Lookup, slowMs = SLOW_LOOKUP_MS) {
    this.lookup = lookup
    this.slowMs = slowMs
    this.lastKnown = new Map()
    this.waiting = new Map()
  }

  /** Calls back once, later; with an error only where nothing was ever known. */
  resolve(host: string, got: (err: Error | null, addresses: readonly string[]) => void): void {
    if (isIP(host) !== 0) {
      setImmediate(() => got(null, [host]))
      return
    }
    const known = this.lastKnown.get(host)
    let slow: NodeJS.Timeout | null = null
    let answered = false
    const answer = (err: Error | null, addresses: readonly string[]): void => {
      if (answered) return
      answered = true
      if (slow !== null) clearTimeout(slow)
      if (err !== null && known !== undefined) got(null, known)
      else got(err, addresses)
    }
    if (known !== undefined) slow = setTimeout(() => answer(null, known), this.slowMs)
    const others = this.waiting.get(host)
    if (others !== undefined) {
      others.push(answer)
      return
    }
    this.waiting.set(host, [answer])
    this.lookup(host, (err, addresses) => {
      if (err === null && addresses.length > 0) this.remember(host, addresses)
      const all = this.waiting.get(host)!
      this.waiting.delete(host)
      for (const one of all) one(err, addresses)
    })
  }

  private remember(host: string, addresses: string[]): void {
    this.lastKnown.delete(host)
    this.lastKnown.set(host, addresses)
    if (this.lastKnown.size > NAMES_MAX) this.lastKnown.delete(this.lastKnown.keys().next().value!)
  }
}

export interface DialOptions {
  readonly timeoutMs: number
  readonly keepAlive: boolean
}

/** A connected socket, and the host it was dialed by: as it was written, not what a name service made of it. */
export interface Reached {
  readonly socket: Socket
  readonly host: string
}

/**
 * Tries all addresses at once; the first to connect wins and the others are given up. `done` is called once and later,
 * with a connected socket or with the reasons, unless the returned function was called first: it abandons the dial.
 */
export function dialFirst(
  texts: readonly string[],
  names: Names,
  options: DialOptions,
  done: (reached: Reached | null, why: string) => void,
): () => void {
  const attempts = new Map<string, Socket>()
  const reasons: string[] = []
  let open = 1 // this call itself, so that it cannot end before all texts were taken
  let over = false
  const finish = (winner: Reached | null, why: string): void => {
    if (over) return
    over = true
    clearTimeout(timer)
    for (const socket of attempts.values()) if (socket !== winner?.socket) socket.destroy()
    attempts.clear()
    done(winner, why)
  }
  const lose = (text: string, why: string): void => {
    reasons.push(`${text}: ${why}`)
    release()
  }
  const release = (): void => {
    open--
    if (open === 0) finish(null, reasons.length === 0 ? 'no address is known' : reasons.join('; '))
  }
  const timer = setTimeout(() => finish(null, `no answer in ${options.timeoutMs} ms`), options.timeoutMs)
  const tryOne = (written: string, host: string, port: number): void => {
    const text = formatAddress({ host, port })
    if (attempts.has(text)) return
    open++
    const socket = connect({ host, port, noDelay: true, keepAlive: options.keepAlive })
    attempts.set(text, socket)
    const onError = (err: Error): void => {
      if (over) return
      lose(text, err.message)
    }
    socket.on('error', onError)
    socket.once('connect', () => {
      if (over) return
      socket.off('error', onError)
      finish({ socket, host: written }, '')
    })
  }
  for (const text of texts) {
    open++
    const address = parseAddress(text)
    if (address === null) {
      lose(text, 'not an address')
      continue
    }
    names.resolve(address.host, (err, found) => {
      if (over) return
      if (err !== null) {
        lose(text, err.message)
        return
      }
      for (const host of found) tryOne(address.host, host, address.port)
      release()
    })
  }
  setImmediate(release)
  return () => {
    if (over) return
    over = true
    clearTimeout(timer)
    for (const socket of attempts.values()) socket.destroy()
  }
}

export interface PortEvents {
  onSocket(socket: Socket): void
  onBound(address: Address): void
  /** `tries` in a row have failed; it goes on trying. */
  onBindFailed(address: Address, err: Error, tries: number): void
}

/** One address to listen on, for as long as it is wanted: a failing bind is tried again and again. */
export class Port {
  /** Host null is every address of this machine. */
  readonly host: string | null
  readonly port: number
  private readonly names: Names
  private readonly keepAlive: boolean
  private readonly retryMs: number
  private readonly events: PortEvents
  private server: Server | null
  private timer: NodeJS.Timeout | null
  private tries: number
  private bound: number

  constructor(
    host: string | null,
    port: number,
    names: Names,
    keepAlive: boolean,
    retryMs: number,
    events: PortEvents,
  ) {
    this.host = host
    this.port = port
    this.names = names
    this.keepAlive = keepAlive
    this.retryMs = retryMs
    this.events = events
    this.server = null
    this.timer = null
    this.tries = 0
    this.bound = 0
  }

  /** The port in use; 0 while there is none. */
  get boundPort(): number {
    return this.bound
  }

  /** Tries that have failed since it was opened or bound. */
  get triesFailed(): number {
    return this.tries
  }

  open(): void {
    if (this.server !== null || this.timer !== null) return
    this.tries = 0
    this.bind()
  }

  /** Accepts nothing more. Connections that were accepted live on. */
  close(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    const { server } = this
    this.server = null
    this.bound = 0
    if (server?.listening) server.close()
  }

  private bind(): void {
    const server = createServer({ noDelay: true, keepAlive: this.keepAlive }, (socket) => {
      if (this.server === server) this.events.onSocket(socket)
      else socket.destroy()
    })
    this.server = server
    const failed = (err: Error): void => {
      if (this.server === server) this.retry(err)
    }
    server.on('error', failed)
    const listen = (host: string | null): void => {
      server.listen({ port: this.port, ...(host === null ? {} : { host }) }, () => {
        if (this.server !== server) {
          server.close()
          return
        }
        const at = server.address()
        this.bound = typeof at === 'object' && at !== null ? at.port : this.port
        this.tries = 0
        this.events.onBound({ host: host ?? '*', port: this.bound })
      })
    }
    if (this.host === null) {
      listen(null)
      return
    }
    this.names.resolve(this.host, (err, found) => {
      if (this.server !== server) return
      // A name's first address only, as in Java: it is what others take it for.
      if (err !== null) failed(err)
      else listen(found[0]!)
    })
  }

  private retry(err: Error): void {
    if (this.server?.listening) this.server.close()
    this.server = null
    this.bound = 0
    this.tries++
    this.timer = setTimeout(() => {
      this.timer = null
      this.bind()
    }, this.retryMs)
    this.events.onBindFailed({ host: this.host ?? '*', port: this.port }, err, this.tries)
  }
}
