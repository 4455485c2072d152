/**
 * What a SASL mechanism is to those who carry its tokens: client connections, links between members, and clients.
 *
 * One object is one attempt of one peer, so that nothing of it can reach another (ZK-4839). A mechanism sees tokens
 * only; how they are framed, how long a peer may take, and what a failure is answered with, is the carrier's.
 * Java: javax.security.sasl.
 */

/** The exchange has failed, for the reason in the message. That is for the log: the peer is never told. */
export class SaslError extends Error {
  override name = 'SaslError'
}

/** The side that is asked to believe somebody. Steps end within the call: a login needs no network here. */
export interface SaslServer {
  /** DIGEST-MD5 or GSSAPI. */
  readonly mechanism: string
  /**
   * The peer's token in (borrowed; empty is a token too), ours out (owned), or null when there is none to send. Throws
   * SaslError, also for a token behind the end of the exchange.
   */
  step(token: Uint8Array): Uint8Array | null
  readonly done: boolean
  /** Who the peer is, as ACLs name it. Only when `done`. */
  readonly authorizationId: string
}

/** The side that proves who it is. With Kerberos a step may have to ask a key distribution centre. */
export interface SaslClient {
  readonly mechanism: string
  /** The client speaks first: `step` is called with an empty challenge before anything has come. */
  readonly hasInitialResponse: boolean
  /** The server's token in, ours out; null when there is none to send. Throws, or rejects with, SaslError. */
  step(challenge: Uint8Array): Promise<Uint8Array | null> | Uint8Array | null
  readonly done: boolean
}

/**
 * Who a proven peer may act as: its id in ACLs, or null for nobody. `authenticationId` is what was proved,
 * `authorizationId` what the peer asked to be.
 */
export type Authorize = (authenticationId: string, authorizationId: string) => string | null

/** Knows what is needed to believe peers; one for the whole life of a server. */
export interface SaslServerLogin {
  readonly mechanism: string
  newServer(): SaslServer
}

/** Knows what is needed to prove oneself. */
export interface SaslClientLogin {
  readonly mechanism: string
  newClient(): SaslClient
}
