/**
 * TLS of the ports for clients: the handshake, and who a client is by its certificate. Loaded only where a port speaks TLS.
 * Java: NettyServerCnxnFactory.CertificateVerifier, X509AuthenticationProvider.
 */

import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { AuthId } from '../access/auth.ts'
import { DerError } from './der.ts'
import { openTlsEndpoint, type TlsEndpoint, type TlsLog } from './endpoint.ts'
import { peerCertificate } from './peercertificate.ts'
import type { ClientTlsConfig } from './tlsconfig.ts'
import { certificateId } from './x509id.ts'

export type ClientDone = (err: Error | null, secure: TLSSocket | null, ids: readonly AuthId[]) => void

export class ClientTls {
  /** The plain port takes TLS too. */
  readonly portUnification: boolean
  /** More at once are turned away; 0 or less is unlimited. */
  readonly handshakesMax: number
  /** No handshake is begun while nobody is served. */
  readonly earlyDrop: boolean
  private readonly endpoint: TlsEndpoint
  private readonly config: ClientTlsConfig
  private readonly superUser: string | null

  /** `superUser` is the id of a super user, or null. Throws ConfigError naming the key and the file. */
  constructor(config: ClientTlsConfig, superUser: string | null, log: TlsLog) {
    this.config = config
    this.superUser = superUser
    this.portUnification = config.portUnification
    this.handshakesMax = config.handshakesMax
    this.earlyDrop = config.earlyDrop
    this.endpoint = openTlsEndpoint(config.tls, log)
  }

  /** Nothing of `socket` is consumed. Calls done once, later. */
  accept(socket: Socket, done: ClientDone): void {
    this.endpoint.accept(socket, (err, secure) => {
      if (secure === null) {
        done(err, null, [])
        return
      }
      let ids: readonly AuthId[]
      try {
        ids = this.idsOf(secure)
      } catch (err) {
        if (!(err instanceof DerError)) throw err
        secure.on('error', () => {}) // followed by 'close'
        secure.destroy()
        done(new Error(`the certificate of the client has a name that cannot be read: ${err.message}`), null, [])
        return
      }
      done(null, secure, ids)
    })
  }

  daysLeft(): number | null {
    return this.endpoint.daysLeft()
  }

  close(): void {
    this.endpoint.close()
  }

  /** None for a client without a certificate. Throws DerError where its name is odd beyond reading. */
  private idsOf(secure: TLSSocket): AuthId[] {
    const certificate = this.config.tls.clientAuth === 'none' ? undefined : peerCertificate(secure)
    if (certificate === undefined) return []
    const id = certificateId(certificate, this.config.clientCertId)
    const own = { scheme: 'x509', id }
    return id === this.superUser ? [{ scheme: 'super', id }, own] : [own]
  }
}
