/**
 * SASL GSSAPI, the server's side (RFC 4752), for Kerberos 5: the client's context, then what protection there may be
 * behind it, which is none, and who the client wants to be.
 *
 *   client -> server  first token of the context
 *   server -> client  the answer to it, if the client wants one; the client acknowledges it by an empty token
 *   server -> client  wrapped: 01 (no protection), 00 00 00
 *   client -> server  wrapped: 01, three bytes, and the id that it asks for, if any
 *
 * Java: com.sun.security.sasl.gsskerb.GssKrb5Server.
 */

import { decodeText } from '../../jute/text.ts'
import { type AcceptedContext, type AcceptorOptions, acceptContext } from './kerberos/acceptor.ts'
import { type Authorize, SaslError, type SaslServer } from './mechanism.ts'

const NO_PROTECTION = 1

export class GssapiServer implements SaslServer {
  readonly mechanism = 'GSSAPI'
  private readonly options: AcceptorOptions
  private readonly authorize: Authorize
  private context: AcceptedContext | null
  private state: 'new' | 'accepted' | 'offered' | 'over' | 'done'
  private id: string

  constructor(options: AcceptorOptions, authorize: Authorize) {
    this.options = options
    this.authorize = authorize
    this.context = null
    this.state = 'new'
    this.id = ''
  }

  get done(): boolean {
    return this.state === 'done'
  }

  get authorizationId(): string {
    if (this.state !== 'done') throw new SaslError('the exchange is not complete')
    return this.id
  }

  step(borrowed: Uint8Array): Uint8Array | null {
    const token = new Uint8Array(borrowed)
    const before = this.state
    this.state = 'over' // until all of it is proved
    if (before === 'new') {
      this.context = acceptContext(token, this.options)
      if (this.context.reply === null) return this.offer(this.context)
      this.state = 'accepted'
      return this.context.reply
    }
    const context = this.context
    if (context === null || (before !== 'accepted' && before !== 'offered')) {
      throw new SaslError('a token behind the end of the exchange')
    }
    if (before === 'accepted') {
      if (token.length > 0) throw new SaslError('a token where none was expected')
      return this.offer(context)
    }
    this.conclude(context, context.context.unwrap(token))
    return null
  }

  private offer(context: AcceptedContext): Uint8Array {
    this.state = 'offered'
    return context.context.wrap(Uint8Array.from([NO_PROTECTION, 0, 0, 0]))
  }

  private conclude(context: AcceptedContext, choice: Uint8Array): void {
    if (choice.length < 4 || choice[0] !== NO_PROTECTION) throw new SaslError('a protection that was not offered')
    const asked = choice.length === 4 ? context.client : decodeText(choice, 4, choice.length)
    const id = this.authorize(context.client, asked)
    if (id === null) throw new SaslError(`${context.client} may not act as what it asked to be`)
    this.id = id
    this.state = 'done'
    this.context = null // its keys are of no more use
  }
}
