/**
 * The admin server: commands as JSON, probes, snapshot and restore, over HTTP. Shell. Java: JettyAdminServer.
 *
 *   GET  /live  /ready                     probes of an orchestrator (ours)
 *   GET  /commands                         links to all commands
 *   GET  /commands/<name>                  its answer
 *   POST /commands/restore                 a snapshot, to be this server's data
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net'
import { hostname } from 'node:os'
import { openTlsEndpoint, type TlsEndpoint } from '../tls/endpoint.ts'
import { Actions, equalTexts, remoteOf } from './actions.ts'
import { answerOf, commandNamed, commandNames, failure, type Parameters } from './commands.ts'
import { type Health, live, ready } from './health.ts'
import { Fieldset } from './json.ts'
import { refuse, sendJson, sendPieces } from './reply.ts'
import { hasToken, refusalOf } from './requestgate.ts'
import type { AdminTarget } from './target.ts'

const HEADER_BYTES_MAX = 8192
const HEADERS_MS = 10_000
/** In all, and from one address. */
const CONNECTIONS_MAX = 256
const CONNECTIONS_OF_ONE_MAX = 64
/** Browsers keep to TLS for so long once they were told. Java: JettyAdminServer.DEFAULT_STS_MAX_AGE. */
const STS = 'max-age=86400; includeSubDomains'
const TLS_HANDSHAKE = 0x16

export class AdminServer {
  private readonly target: AdminTarget
  private readonly actions: Actions
  private readonly http: Server
  /** What listens: `http` itself, or what tells TLS and plain apart in front of it. */
  private readonly front: NetServer
  private readonly endpoint: TlsEndpoint | null
  private readonly ownNames: ReadonlySet<string>
  private readonly perAddress: Map<string, number>
  private readonly sockets: Set<Socket>

  /** Throws ConfigError where a key store cannot be read. */
  constructor(target: AdminTarget) {
    const { admin } = target.config
    this.target = target
    this.actions = new Actions(target)
    this.ownNames = ownNames(target)
    this.perAddress = new Map()
    this.sockets = new Set()
    this.http = createServer({ maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: HEADERS_MS, requestTimeout: 0 })
    this.http.keepAliveTimeout = admin.idleTimeoutMs
    this.http.timeout = admin.idleTimeoutMs
    const onRequest = (req: IncomingMessage, res: ServerResponse): void => this.onRequest(req, res)
    this.http.on('request', onRequest)
    this.http.on('checkContinue', onRequest)
    this.http.on('clientError', (_err, socket) => socket.destroy())
    if (admin.tls === null) {
      this.endpoint = null
      this.front = this.http
      this.http.on('connection', (socket: Socket) => this.admit(socket))
    } else {
      this.endpoint = openTlsEndpoint(admin.tls, {
        info: (message, fields) => target.logger.info(fields, message),
        warn: (message, fields) => target.logger.warn(fields, message),
      })
      this.front = createNetServer({ pauseOnConnect: true }, (socket) => this.onConnection(socket))
    }
    this.front.maxConnections = CONNECTIONS_MAX
  }

  /** Until the certificate of this port ends; null without one. */
  get daysLeft(): number | null {
    return this.endpoint?.daysLeft() ?? null
  }

  /** The answer is the port. */
  listen(): Promise<number> {
    const { host, port } = this.target.config.admin
    return new Promise((resolve, reject) => {
      this.front.once('error', reject)
      this.front.listen({ host, port }, () => {
        this.front.off('error', reject)
        this.front.on('error', (err) => this.target.logger.warn({ err }, 'admin server'))
        const bound = this.front.address()
        resolve(typeof bound === 'object' && bound !== null ? bound.port : port)
      })
    })
  }

  async close(): Promise<void> {
    this.endpoint?.close()
    const closed = new Promise<void>((resolve) => {
      if (this.front.listening) this.front.close(() => resolve())
      else resolve()
    })
    for (const socket of this.sockets) socket.destroy()
    await closed
  }

  // ------------------------------------------------------------------ connections

  private admit(socket: Socket): boolean {
    const address = socket.remoteAddress ?? ''
    const count = (this.perAddress.get(address) ?? 0) + 1
    this.sockets.add(socket)
    this.perAddress.set(address, count)
    socket.on('error', () => {}) // followed by 'close'
    socket.once('close', () => {
      this.sockets.delete(socket)
      const left = this.perAddress.get(address)! - 1
      if (left === 0) this.perAddress.delete(address)
      else this.perAddress.set(address, left)
    })
    if (count <= CONNECTIONS_OF_ONE_MAX) return true
    socket.destroy()
    return false
  }

  /** The first byte tells TLS from plain. */
  private onConnection(socket: Socket): void {
    if (!this.admit(socket)) return
    const { admin } = this.target.config
    const timer = setTimeout(() => socket.destroy(), admin.tls!.handshakeDetectionTimeoutMs)
    socket.once('close', () => clearTimeout(timer))
    socket.once('readable', () => {
      clearTimeout(timer)
      const first: Buffer | null = socket.read(1)
      if (first === null) return
      socket.unshift(first)
      if (first[0] === TLS_HANDSHAKE) this.secure(socket)
      else if (admin.forceHttps) socket.destroy()
      else {
        this.target.metrics.counters.insecure_admin_count++
        this.http.emit('connection', socket)
      }
    })
  }

  private secure(socket: Socket): void {
    this.endpoint!.accept(socket, (err, secure) => {
      if (err !== null || secure === null) {
        this.target.metrics.counters.unsuccessful_handshake++
        this.target.logger.warn({ err, client: socket.remoteAddress }, 'admin server: TLS handshake failed')
        socket.destroy()
        return
      }
      this.http.emit('connection', secure)
    })
  }

  // ------------------------------------------------------------------ requests

  private onRequest(req: IncomingMessage, res: ServerResponse): void {
    if ('encrypted' in req.socket) res.setHeader('Strict-Transport-Security', STS)
    try {
      this.answer(req, res)
    } catch (err) {
      this.target.logger.warn({ err, url: req.url }, 'admin server: request failed')
      if (res.headersSent) res.destroy()
      else refuse(req, res, 500, error('request failed: see the log'))
    }
  }

  private answer(req: IncomingMessage, res: ServerResponse): void {
    const { config, view, openDoors } = this.target
    const { method } = req
    if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') {
      refuse(req, res, 405, error(`${method} is not answered`), { Allow: 'GET, HEAD, POST' })
      return
    }
    const refusal = refusalOf(req.headers, config.admin, this.ownNames)
    if (refusal !== null) {
      this.target.logger.warn({ client: remoteOf(req), host: req.headers.host, status: refusal.status }, refusal.error)
      refuse(req, res, refusal.status, error(refusal.error))
      return
    }
    const target = splitUrl(req.url ?? '/')
    if (target === null) {
      refuse(req, res, 400, error('malformed URL'))
      return
    }
    if (target.path === '/live' || target.path === '/ready') {
      sendHealth(res, target.path === '/live' ? live() : ready(view, openDoors))
      return
    }
    if (!hasToken(req.headers, config.admin, equalTexts)) {
      refuse(req, res, 401, error('admin.token is needed'), { 'WWW-Authenticate': 'Bearer' })
      return
    }
    const { commandUrl } = config.admin
    if (target.path === commandUrl || target.path === `${commandUrl}/`) sendLinks(res, commandUrl)
    else if (target.path.startsWith(`${commandUrl}/`)) {
      this.command(target.path.slice(commandUrl.length + 1), target.parameters, req, res)
    } else refuse(req, res, 404, error('Not Found'))
  }

  private command(name: string, parameters: Parameters, req: IncomingMessage, res: ServerResponse): void {
    const { view } = this.target
    const action = actionNamed(name)
    const command = commandNamed(name)
    if (action === null && command === undefined) {
      refuse(req, res, 200, failure(name, `Unknown command: ${name}`))
      return
    }
    const wanted = action === 'restore' ? 'POST' : 'GET'
    if (wanted !== req.method && !(wanted === 'GET' && req.method === 'HEAD')) {
      refuse(req, res, 405, failure(name, `this command is a ${wanted}`), { Allow: wanted })
      return
    }
    if (action !== null) void this.actions.run(action, req, res, parameters)
    else sendJson(res, 200, answerOf(command!, view, parameters))
  }
}

/** Java's aliases. */
function actionNamed(name: string): 'snapshot' | 'restore' | null {
  if (name === 'snapshot' || name === 'snap') return 'snapshot'
  return name === 'restore' || name === 'rest' ? 'restore' : null
}

function sendHealth(res: ServerResponse, { status, body }: Health): void {
  sendJson(res, status, body)
}

function sendLinks(res: ServerResponse, commandUrl: string): void {
  const links = commandNames().map((name) => `<a href="${commandUrl}/${name}">${name}</a>\n<br/>\n`)
  sendPieces(res, { status: 200, type: 'text/html; charset=utf-8' }, links)
}

function error(text: string): Fieldset {
  return new Fieldset([['error', text]])
}

function splitUrl(url: string): { path: string; parameters: Parameters } | null {
  const query = url.indexOf('?')
  const parameters = new Map<string, string>()
  if (query >= 0) {
    for (const [key, value] of new URLSearchParams(url.slice(query + 1))) {
      if (!parameters.has(key)) parameters.set(key, value)
    }
  }
  try {
    return { path: decodeURIComponent(query < 0 ? url : url.slice(0, query)), parameters }
  } catch {
    return null
  }
}

/** Names by which a browser may ask for this server. */
function ownNames({ config }: AdminTarget): ReadonlySet<string> {
  const names = ['localhost', hostname(), config.admin.host]
  for (const { addresses } of config.quorum.membership.members) names.push(...addresses.map(({ host }) => host))
  return new Set(names.map((name) => name.toLowerCase()))
}
