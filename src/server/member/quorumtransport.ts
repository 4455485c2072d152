/**
 * TLS and authentication between members, as the Transport of their links: TLS first, then SASL, on all three ports.
 *
 *   sslQuorum  portUnification   dials   accepts
 *   false      false             plain   plain
 *   false      true              plain   both       a rolling change of an ensemble goes down these rows
 *   true       true              TLS     both
 *   true       false             TLS     TLS
 *
 * On a port for both, the first bytes tell: a TLS handshake begins like no packet of ours. With SASL, a member proves
 * itself when it dials if `learnerRequireSasl`, and who dials us must if `serverRequireSasl`; who tries and fails is out
 * in any case. Java: UnifiedServerSocket, SaslQuorumAuthServer, SaslQuorumAuthLearner.
 */

import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { readHello } from '../../zab/notification.ts'
import { Names, systemLookup } from '../../zab/sockets.ts'
import { type Dialed, NO_BYTES, type Passage, type PassageDone, type Transport } from '../../zab/transport.ts'
import type { LinkKind } from '../../zab/types.ts'
import type { SaslClientLogin, SaslServerLogin } from '../sasl/mechanism.ts'
import { SocketReader } from '../socketreader.ts'
import type { SecureDone, TlsEndpoint } from '../tls/endpoint.ts'
import { peerCertificate } from '../tls/peercertificate.ts'
import { isFor, isForMember, wordsOf } from './peercheck.ts'
import {
  AUTH_HEADER_BYTES,
  type AuthStatus,
  beginsAuth,
  encodeAuthPacket,
  MAGIC_BYTES,
  ROUNDS_MAX,
  readAuthHeader,
} from './quorumauth.ts'

export interface TlsBetweenMembers {
  /** Checks chains, not hosts: these are checked here, where members are known. */
  readonly endpoint: Pick<TlsEndpoint, 'accept' | 'connect'>
  /** We dial by TLS. */
  readonly dials: boolean
  readonly acceptsPlain: boolean
  readonly detectionTimeoutMs: number
  /** A member that we dial has a certificate for its host. */
  readonly checksDialed: boolean
  /** A member that dials us has a certificate for a member's host, or for its address. */
  readonly checksDialing: boolean
}

export interface SaslBetweenMembers {
  readonly server: SaslServerLogin
  readonly serverRequired: boolean
  /** Makes the login for a dial of this host; null: we do not prove ourselves. */
  readonly client: ((host: string) => SaslClientLogin) | null
}

/** How long a member that may go without authentication is given to begin one. */
const OPTIONAL_AUTH_MS = 2000
/** A TLS record of a handshake: its type, and the major version. */
const TLS_START_BYTES = 2

export class QuorumTransport implements Transport {
  private readonly tls: TlsBetweenMembers | null
  private readonly sasl: SaslBetweenMembers | null
  private readonly hosts: () => readonly string[]
  private readonly names: Names

  /** `hosts`: those of all members, as the configuration has them. */
  constructor(tls: TlsBetweenMembers | null, sasl: SaslBetweenMembers | null, hosts: () => readonly string[]) {
    this.tls = tls
    this.sasl = sasl
    this.hosts = hosts
    this.names = new Names(systemLookup)
  }

  accept(socket: Socket, kind: LinkKind, done: PassageDone): void {
    settle(this.receive(socket, kind), done)
  }

  connect(socket: Socket, to: Dialed, done: PassageDone): void {
    settle(this.reach(socket, to), done)
  }

  private async receive(raw: Socket, kind: LinkKind): Promise<Passage> {
    let reader = new SocketReader(raw)
    const secure = this.tls === null ? null : await this.receiveTls(raw, reader, this.tls)
    if (secure !== null) reader = new SocketReader(secure)
    const socket = secure ?? raw
    const peer = secure === null ? [] : [wordsOf(peerCertificate(secure))]
    let hello: Uint8Array = NO_BYTES
    if (this.sasl !== null) {
      if (kind === 'election') hello = await takeHello(reader)
      const principal = await believe(reader, socket, this.sasl)
      if (principal !== null) peer.push(`sasl ${principal}`)
    }
    const head = Buffer.concat([hello, reader.release()])
    return { socket, head, peer: peer.length === 0 ? null : peer.join('; '), afterHello: null }
  }

  /** Null: it speaks in the clear, and may. */
  private async receiveTls(raw: Socket, reader: SocketReader, tls: TlsBetweenMembers): Promise<TLSSocket | null> {
    const start = await reader.peek(TLS_START_BYTES, tls.detectionTimeoutMs)
    if (start[0] !== 0x16 || start[1] !== 3) {
      if (tls.acceptsPlain) return null
      throw new Error(start.length === 0 ? 'it says nothing' : 'it does not speak TLS (sslQuorum, portUnification)')
    }
    raw.unshift(reader.release())
    const secure = await secured((done) => tls.endpoint.accept(raw, done))
    const certificate = peerCertificate(secure)
    if (tls.checksDialing && certificate !== undefined) {
      const address = plainAddress(raw.remoteAddress ?? secure.remoteAddress ?? '')
      const known = await isForMember(secure, address, this.hosts(), (name) => this.addressesOf(name))
      if (!known) {
        const words = `its certificate (${wordsOf(certificate)}) is neither for a member nor for ${address}`
        throw refused(secure, `${words} (ssl.quorum.clientHostnameVerification)`)
      }
    }
    return secure
  }

  private async reach(raw: Socket, { kind, host }: Dialed): Promise<Passage> {
    const { tls } = this
    const secure = tls?.dials === true ? await reachTls(raw, host, tls) : null
    const socket = secure ?? raw
    const peer = secure === null ? null : wordsOf(peerCertificate(secure))
    const login = this.sasl?.client ?? null
    if (login === null) return { socket, head: NO_BYTES, peer, afterHello: null }
    if (kind !== 'election') return { socket, head: await prove(socket, login(host)), peer, afterHello: null }
    return {
      socket,
      head: NO_BYTES,
      peer,
      afterHello: (done) => {
        prove(socket, login(host)).then(
          (head) => done(null, head),
          (err: Error) => done(err, NO_BYTES),
        )
      },
    }
  }

  private addressesOf(name: string): Promise<readonly string[]> {
    return new Promise((resolve) => this.names.resolve(name, (_err, addresses) => resolve(addresses)))
  }
}

async function reachTls(raw: Socket, host: string, tls: TlsBetweenMembers): Promise<TLSSocket> {
  const hosts = [...new Set([host, plainAddress(raw.remoteAddress ?? '')])]
  const secure = await secured((done) => tls.endpoint.connect(raw, hosts, done))
  if (tls.checksDialed && !isFor(secure, hosts)) {
    const words = wordsOf(peerCertificate(secure))
    throw refused(
      secure,
      `its certificate (${words}) is not for ${hosts.join(' or ')} (ssl.quorum.hostnameVerification)`,
    )
  }
  return secure
}

/** The hello of a member that dials the election port. */
async function takeHello(reader: SocketReader): Promise<Uint8Array> {
  for (let bytes = 1; ; ) {
    const seen = await reader.peek(bytes)
    const hello = readHello(seen, 0, seen.length)
    if (hello !== null) return reader.take(hello.end)
    if (seen.length < bytes) throw new Error('closed by the other side')
    bytes = seen.length + 1
  }
}

/** Has the other side prove who it is; null: it need not, and does not. */
async function believe(reader: SocketReader, socket: Socket, sasl: SaslBetweenMembers): Promise<string | null> {
  const start = await reader.peek(MAGIC_BYTES, sasl.serverRequired ? undefined : OPTIONAL_AUTH_MS)
  if (!beginsAuth(start)) {
    if (!sasl.serverRequired) return null
    throw new Error('it does not authenticate itself (quorum.auth.serverRequireSasl)')
  }
  const server = sasl.server.newServer()
  try {
    for (let round = 0; round <= ROUNDS_MAX; round++) {
      const { token } = await takeAuthPacket(reader)
      const answer = server.step(token ?? NO_BYTES)
      if (server.done) {
        await write(socket, 'success', answer)
        return server.authorizationId
      }
      await write(socket, 'goes on', answer)
    }
    throw new Error('too many rounds')
  } catch (err) {
    await write(socket, 'failure', NO_BYTES)
    throw new Error(`it cannot prove who it is: ${reasonOf(err)} (quorum.auth.server.saslLoginContext)`)
  }
}

/** Proves who we are; answers with what came behind that. */
async function prove(socket: Socket, login: SaslClientLogin): Promise<Uint8Array> {
  const reader = new SocketReader(socket)
  const client = login.newClient()
  try {
    await write(socket, 'goes on', client.hasInitialResponse ? await client.step(NO_BYTES) : NO_BYTES)
    for (let round = 0; round <= ROUNDS_MAX; round++) {
      const { status, token } = await takeAuthPacket(reader)
      if (status === 'failure') throw new Error('it does not believe us')
      // A member that says "success" without having proved itself, where the mechanism wants that, is an impostor.
      const answer = client.done ? null : await client.step(token ?? NO_BYTES)
      if (status === 'success') {
        if (!client.done || answer !== null) throw new Error('it ends too early')
        return reader.release()
      }
      await write(socket, 'goes on', answer)
    }
    throw new Error('too many rounds')
  } catch (err) {
    throw new Error(`authentication failed: ${reasonOf(err)} (quorum.auth.learner.saslLoginContext)`)
  }
}

async function takeAuthPacket(reader: SocketReader): Promise<{ status: AuthStatus; token: Uint8Array | null }> {
  const { status, tokenBytes } = readAuthHeader(await reader.take(AUTH_HEADER_BYTES))
  return { status, token: tokenBytes < 0 ? null : await reader.take(tokenBytes) }
}

/** Resolves when the bytes have left, or cannot leave any more. */
function write(socket: Socket, status: AuthStatus, token: Uint8Array | null): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve()
    else socket.write(encodeAuthPacket(status, token), () => resolve())
  })
}

function secured(begin: (done: SecureDone) => void): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    begin((err, secure) => {
      if (secure === null) {
        reject(err)
        return
      }
      secure.on('error', () => {}) // followed by 'close'
      resolve(secure)
    })
  })
}

function refused(socket: Socket, why: string): Error {
  socket.destroy()
  return new Error(why)
}

function settle(passage: Promise<Passage>, done: PassageDone): void {
  passage.then(
    (through) => done(null, through),
    (err: unknown) => done(err instanceof Error ? err : new Error(String(err)), null),
  )
}

function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, '')
}

function reasonOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
