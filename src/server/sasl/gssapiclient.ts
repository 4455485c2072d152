/**
 * SASL GSSAPI, the client's side (RFC 4752), for Kerberos 5. Steps as in gssapi.ts; the first one may have to ask a key
 * distribution centre for a ticket. The server always proves itself; no protection is asked for, and no other id than the
 * one that the ticket is for. Java: com.sun.security.sasl.gsskerb.GssKrb5Client.
 */

import type { SecurityContext } from './kerberos/context.ts'
import type { EncryptionKey } from './kerberos/etypes.ts'
import { type Initiation, initiate, type Moment, type Ticket } from './kerberos/initiator.ts'
import { type SaslClient, SaslError } from './mechanism.ts'

export interface GssapiClientOptions {
  /** For the service that is to be met. Rejects with SaslError. */
  ticket(): Promise<Ticket>
  now(): Moment
  newKey(etype: number): EncryptionKey
  /** A number below 2^30 that nobody foresees. */
  sequence(): number
}

const NO_PROTECTION = 1
const NOTHING = new Uint8Array(0)

export class GssapiClient implements SaslClient {
  readonly mechanism = 'GSSAPI'
  readonly hasInitialResponse = true
  private readonly options: GssapiClientOptions
  private initiation: Initiation | null
  private context: SecurityContext | null
  private over: boolean
  private complete: boolean

  constructor(options: GssapiClientOptions) {
    this.options = options
    this.initiation = null
    this.context = null
    this.over = false
    this.complete = false
  }

  get done(): boolean {
    return this.complete
  }

  async step(borrowed: Uint8Array): Promise<Uint8Array | null> {
    const challenge = new Uint8Array(borrowed)
    if (this.over) throw new SaslError('a token behind the end of the exchange')
    this.over = true // until all of it is understood
    const answer = await this.answer(challenge)
    this.over = this.complete
    return answer
  }

  private async answer(challenge: Uint8Array): Promise<Uint8Array> {
    if (this.initiation === null) {
      const ticket = await this.options.ticket()
      const { now, newKey, sequence } = this.options
      this.initiation = initiate(ticket, now(), newKey(ticket.key.etype), sequence())
      return this.initiation.token
    }
    if (this.context === null) {
      this.context = this.initiation.complete(challenge)
      return NOTHING
    }
    const offer = this.context.unwrap(challenge)
    if (offer.length !== 4 || (offer[0]! & NO_PROTECTION) === 0) {
      throw new SaslError('the server insists on protection of what is sent later')
    }
    this.complete = true
    return this.context.wrap(Uint8Array.from([NO_PROTECTION, 0, 0, 0]))
  }
}
