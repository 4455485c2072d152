/**
 * One end of TLS connections, as server and as client, with one set of settings: makes secure sockets of plain ones, and
 * follows the files of its keys.
 *
 * A peer is judged in one place, once the handshake is over and before anybody else sees the socket: its certificate, the
 * hosts it is for, and revocation. New files are tried out before they count; connections that exist go on with what they
 * began with. Java: X509Util, ClientX509Util, NettyServerCnxnFactory, ZKTrustManager (whose look-up of a peer's name by
 * its address is left out on purpose).
 */

import { constants } from 'node:crypto'
import { isIP, type Socket } from 'node:net'
import {
  checkServerIdentity,
  connect as connectTls,
  createSecureContext,
  createServer,
  type SecureContext,
  type Server,
  type TLSSocket,
} from 'node:tls'
import { ConfigError } from '../config/settings.ts'
import { isFor, wordsOf } from '../member/peercheck.ts'
import { FileWatch } from './filewatch.ts'
import { endOf, filesOf, isValidAt, type Material, readMaterial } from './material.ts'
import { peerCertificate, peerChain } from './peercertificate.ts'
import { Revocation } from './revocation.ts'
import type { TlsConfig } from './tlsconfig.ts'

export interface TlsLog {
  info(message: string, fields: Record<string, unknown>): void
  warn(message: string, fields: Record<string, unknown>): void
}

export interface TlsEndpoint {
  /** Server side. `socket` is connected, nothing of it consumed (bytes already read were unshifted by the caller). Calls done once, later. */
  accept(socket: Socket, done: SecureDone): void
  /** Client side. `hosts`: the names and addresses the certificate may be for. Calls done once, later. */
  connect(socket: Socket, hosts: readonly string[], done: SecureDone): void
  /** Until the own certificate ends, rounded down, negative when it is over; null without one. */
  daysLeft(): number | null
  /** Stops watching files. */
  close(): void
}

export type SecureDone = (err: Error | null, secure: TLSSocket | null) => void

export interface TlsEndpointOptions {
  /** False where this end only ever connects, so that it needs no keys of its own. */
  readonly serves?: boolean
  /** How long a handshake may take; by default what Java's (Netty's) may. */
  readonly handshakeMs?: number
}

type Side = 'server' | 'client'

const HANDSHAKE_MS = 10_000
const DAY_MS = 86_400_000
/** Own certificates that end within this are worth a warning. */
const DAYS_LEFT_FEW = 14

/** Reads the stores. Throws ConfigError naming the key and the file. */
export function openTlsEndpoint(config: TlsConfig, log: TlsLog, options: TlsEndpointOptions = {}): TlsEndpoint {
  const serves = options.serves ?? true
  if (serves && config.keyStore === null) {
    throw new ConfigError(`${config.prefix}.keyStore.location is not set: a server of TLS needs a key`)
  }
  if (serves && config.prefix === 'ssl' && config.trustStore === null && config.clientAuth === 'need') {
    throw new ConfigError(
      'ssl.trustStore.location is not set: no certificate of a client could be trusted, and with ssl.clientAuth=need ' +
        'every client must have one',
    )
  }
  const handshakeMs = options.handshakeMs ?? HANDSHAKE_MS
  return new Endpoint(config, log, handshakeMs, readMaterial(config, Date.now()))
}

class Endpoint implements TlsEndpoint {
  private readonly config: TlsConfig
  private readonly log: TlsLog
  private readonly handshakeMs: number
  /** Never listens: it is handed its sockets. */
  private readonly server: Server
  private readonly accepting: Map<string, Accepting>
  private readonly revocation: Revocation | null
  private readonly watch: FileWatch | null
  private material: Material
  private context: SecureContext
  private warnedOf: string

  constructor(config: TlsConfig, log: TlsLog, handshakeMs: number, material: Material) {
    this.handshakeMs = handshakeMs
    this.config = config
    this.log = log
    this.material = material
    this.accepting = new Map()
    this.revocation = config.crl || config.ocsp ? new Revocation(config.ocsp) : null
    this.warnedOf = ''
    this.context = makeContext(config, 'client', material)
    // Refusing is done by `judge`, which can say why.
    const requestCert = config.clientAuth !== 'none'
    this.server = createServer({
      requestCert,
      rejectUnauthorized: false,
      handshakeTimeout: handshakeMs,
    })
    useContext(this.server, makeContext(config, 'server', material))
    this.server.on('secureConnection', (socket) => this.onAccepted(socket))
    this.server.on('tlsClientError', (err, socket) => this.accepting.get(nameOf(socket))?.settle(plainError(err), null))
    this.tellOfEnd(material)
    this.watch =
      config.reload && filesOf(config).length > 0 ? new FileWatch(filesOf(config), () => this.reload()) : null
  }

  accept(socket: Socket, done: SecureDone): void {
    const name = nameOf(socket)
    const accepting = new Accepting(name, socket, this.accepting, done)
    if (socket.destroyed || socket.remoteAddress === undefined) {
      accepting.settle(new Error('closed before the handshake'), null)
      return
    }
    this.server.emit('connection', socket)
  }

  private onAccepted(socket: TLSSocket): void {
    const accepting = this.accepting.get(nameOf(socket))
    if (accepting === undefined) {
      socket.destroy()
      return
    }
    const refusal = this.judgeClient(socket)
    if (refusal !== null) accepting.settle(new Error(refusal), socket)
    else this.checkRevocation(socket, (err) => accepting.settle(err, socket))
  }

  /** Why this client may not come in, or null. */
  private judgeClient(socket: TLSSocket): string | null {
    const { clientAuth, clientHostnameVerification } = this.config
    if (clientAuth === 'none') return null
    const certificate = peerCertificate(socket)
    if (certificate === undefined) return clientAuth === 'need' ? 'the client has no certificate' : null
    if (!socket.authorized) return refusalOf('client', socket)
    if (!clientHostnameVerification) return null
    const address = plainAddress(socket.remoteAddress ?? '')
    const mismatch = checkServerIdentity(address, socket.getPeerCertificate())
    return mismatch === undefined
      ? null
      : `the certificate of the client (${wordsOf(certificate)}) is not for its address ${address}`
  }

  connect(socket: Socket, hosts: readonly string[], done: SecureDone): void {
    const name = hosts.find((host) => isIP(host) === 0)
    const secure = connectTls({
      socket,
      secureContext: this.context,
      ...(name === undefined ? {} : { servername: name }),
      rejectUnauthorized: false, // `judgeServer` can say why
      checkServerIdentity: () => undefined,
    })
    let open = true
    const settle = (err: Error | null): void => {
      if (!open) return
      open = false
      clearTimeout(timer)
      secure.off('secureConnect', onSecure)
      secure.off('close', onClose)
      if (err !== null) {
        secure.destroy()
        done(plainError(err), null)
        return
      }
      secure.off('error', settle)
      done(null, secure)
    }
    const onSecure = (): void => {
      const err = this.judgeServer(secure, hosts)
      if (err !== null) settle(err)
      else this.checkRevocation(secure, settle)
    }
    const onClose = (): void => settle(new Error('closed during the handshake'))
    const timer = setTimeout(() => settle(new Error('the TLS handshake takes too long')), this.handshakeMs)
    secure.on('secureConnect', onSecure)
    secure.on('close', onClose)
    secure.on('error', settle) // stays on behind a failure, when more errors may come
  }

  /** Nothing is looked up where nobody has asked for a certificate, or there is none. */
  private checkRevocation(socket: TLSSocket, done: (err: Error | null) => void): void {
    const chain = this.revocation === null ? [] : peerChain(socket)
    if (this.revocation === null || chain.length === 0) {
      done(null)
      return
    }
    const onError = (): void => {} // followed by 'close'
    const { trusted, crls } = this.material
    socket.on('error', onError)
    this.revocation
      .check(chain, trusted, crls, Date.now())
      .catch((err: unknown) => reasonOf(err))
      .then((refusal) => {
        socket.off('error', onError)
        done(refusal === null ? null : new Error(refusal))
      })
  }

  private judgeServer(socket: TLSSocket, hosts: readonly string[]): Error | null {
    if (!socket.authorized) return new Error(refusalOf('server', socket))
    if (!this.config.hostnameVerification || isFor(socket, hosts)) return null
    const shown = wordsOf(peerCertificate(socket))
    return new Error(`the certificate of the server (${shown}) is not for ${hosts.join(' or ')}`)
  }

  daysLeft(): number | null {
    const endMs = endOf(this.material)
    return endMs === null ? null : Math.floor((endMs - Date.now()) / DAY_MS)
  }

  close(): void {
    this.watch?.close()
  }

  // ------------------------------------------------------------------ reload

  /** Whether what the files hold now is in use. */
  private reload(): boolean {
    const { config } = this
    let material: Material
    try {
      const nowMs = Date.now()
      material = readMaterial(config, nowMs)
      for (const { chain } of material.keys) {
        if (!isValidAt(chain[0]!, nowMs)) {
          throw new ConfigError(
            `${config.keyStore!.where}: ${config.keyStore!.location} has a certificate that is not valid now ` +
              `(${chain[0]!.validFrom} to ${chain[0]!.validTo})`,
          )
        }
      }
      const serverContext = makeContext(config, 'server', material)
      this.context = makeContext(config, 'client', material)
      useContext(this.server, serverContext)
    } catch (err) {
      // Whatever is wrong with them, it must not take the server along.
      const reason = reasonOf(err)
      if (reason !== this.warnedOf) {
        this.log.warn('the changed files of TLS cannot be used: the ones before stay in force', { reason })
      }
      this.warnedOf = reason
      return false
    }
    this.warnedOf = ''
    this.material = material
    this.log.info('keys and trusted certificates of TLS have been read again', {
      prefix: config.prefix,
      daysLeft: this.daysLeft(),
    })
    this.tellOfEnd(material)
    return true
  }

  private tellOfEnd({ keys }: Material): void {
    const days = this.daysLeft()
    if (days === null || days > DAYS_LEFT_FEW) return
    const { subject, validTo } = keys[0]!.chain[0]!
    this.log.warn(days < 0 ? 'the own certificate has expired' : 'the own certificate ends soon', {
      prefix: this.config.prefix,
      subject: subject.replaceAll('\n', ', '),
      validTo,
    })
  }
}

/** A socket in its handshake. */
class Accepting {
  private readonly name: string
  private readonly raw: Socket
  private readonly all: Map<string, Accepting>
  private readonly done: SecureDone
  private settled: boolean
  private readonly onClose: () => void

  constructor(name: string, raw: Socket, all: Map<string, Accepting>, done: SecureDone) {
    this.name = name
    this.raw = raw
    this.all = all
    this.done = done
    this.settled = false
    this.onClose = () => this.settle(new Error('closed during the handshake'), null)
    all.set(name, this)
    raw.on('close', this.onClose)
    raw.on('error', () => {}) // followed by 'close'
  }

  /** With an error, the socket is destroyed. `done` is called later in any case. */
  settle(err: Error | null, secure: TLSSocket | null): void {
    if (this.settled) return
    this.settled = true
    this.all.delete(this.name)
    this.raw.off('close', this.onClose)
    if (err === null) {
      this.done(null, secure)
      return
    }
    secure?.on('error', () => {}) // followed by 'close'
    secure?.destroy()
    this.raw.destroy()
    setImmediate(() => this.done(err, null))
  }
}

function refusalOf(peer: Side, socket: TLSSocket): string {
  const shown = wordsOf(peerCertificate(socket))
  return `the certificate of the ${peer} is refused: ${reasonOf(socket.authorizationError)} (${shown})`
}

/** What tells a connection from all others while it lives. */
function nameOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`
}

/**
 * Without a trust store, a client trusts the authorities that come with Node (in Java those of the JVM), and members each
 * other's certificates from these; but no authority of the web says who may come in as a client.
 */
function makeContext(config: TlsConfig, side: Side, { keys, trusted }: Material): SecureContext {
  const ca = trusted ?? (side === 'server' && config.prefix === 'ssl' ? [] : null)
  try {
    return createSecureContext({
      key: keys.map(({ key }) => key.export({ type: 'pkcs8', format: 'pem' })),
      cert: keys.map(({ chain }) => chain.map((certificate) => certificate.toString()).join('')),
      ...(ca === null ? {} : { ca: ca.map((certificate) => certificate.toString()) }),
      // In Java whoever is in the trust store is trusted, also without its own issuer.
      allowPartialTrustChain: true,
      ...(config.ciphers === null ? {} : { ciphers: config.ciphers }),
      minVersion: config.minVersion,
      maxVersion: config.maxVersion,
      honorCipherOrder: true,
      // Who resumes a session does not show a whole chain again, and is not to get past the lists by that.
      ...(config.crl || config.ocsp ? { secureOptions: constants.SSL_OP_NO_TICKET } : {}),
      sessionIdContext: config.prefix,
    })
  } catch (err) {
    // OpenSSL may still find fault with what has been read.
    throw new ConfigError(`${config.prefix}.keyStore, ${config.prefix}.trustStore: ${reasonOf(err)}`)
  }
}

/**
 * A server can only be given options to make its context of, and in Node 20 it forgets `allowPartialTrustChain` among
 * them; so it is given the context itself. A new one also ends what could be resumed with the one before.
 */
function useContext(server: Server, context: SecureContext): void {
  Object.assign(server, { _sharedCreds: context })
}

/** OpenSSL's reason without its place in the source and its numbers. */
function plainError(err: Error): Error {
  if (!('reason' in err) || typeof err.reason !== 'string') return err
  const stranger = err.reason === 'http request' || err.reason === 'wrong version number'
  return new Error(stranger ? `the other side does not speak TLS (${err.reason})` : err.reason, { cause: err })
}

function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

function reasonOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
