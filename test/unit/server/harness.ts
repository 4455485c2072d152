/**
 * The production pipeline without sockets, disk or clock: requests in as frames, replies out as frames, and the test
 * says when the log is durable.
 */

import { StateMachine } from '../../../src/datatree/apply.ts'
import { Input } from '../../../src/jute/input.ts'
import { Output } from '../../../src/jute/output.ts'
import { textToBytes } from '../../../src/jute/text.ts'
import { Auth } from '../../../src/server/auth.ts'
import type { ConnectionThrottle } from '../../../src/server/config.ts'
import { Connection, type ConnectionHost } from '../../../src/server/connection.ts'
import { Metrics } from '../../../src/server/metrics.ts'
import { Pipeline } from '../../../src/server/pipeline.ts'
import { Proposals } from '../../../src/server/proposals.ts'
import { Sessions } from '../../../src/server/sessions.ts'
import { Throttle } from '../../../src/server/throttle.ts'

export interface Reply {
  xid: number
  zxid: number
  err: number
  body: Uint8Array
}

export interface HarnessOptions {
  enforceQuota?: boolean
  outstandingLimit?: number
  extendedTypes?: boolean
  requestThrottleMax?: number
  largeRequestBytes?: number
  largeRequestsBytesMax?: number
  throttle?: Partial<ConnectionThrottle>
}

const NO_THROTTLE: ConnectionThrottle = {
  tokens: 0,
  fillTimeMs: 1,
  fillCount: 1,
  freezeTimeMs: -1,
  dropIncrease: 0.02,
  dropDecrease: 0.002,
  decreaseRatio: 0,
  weightEnabled: false,
  globalWeight: 3,
  renewWeight: 2,
  localWeight: 1,
}

/** A client of the harness: what it was sent, and whether it was cut off. */
export class TestClient {
  readonly conn: Connection
  readonly replies: Reply[] = []
  readonly handshakes: Uint8Array[] = []
  closed: string | null = null
  private xid = 0
  private readonly harness: Harness

  constructor(harness: Harness, conn: Connection) {
    this.harness = harness
    this.conn = conn
  }

  connect(hi = 0, lo = 0, password: Uint8Array = new Uint8Array(16), timeoutMs = 10_000, zxid = 0): boolean {
    const out = new Output()
    out.int(0)
    out.long(zxid)
    out.int(timeoutMs)
    out.words(hi, lo)
    out.buffer(password)
    out.bool(false)
    return this.harness.pipeline.handshake.onConnect(this.conn, out.buf, 0, out.pos)
  }

  /** Sends one request; `write` puts its body. The answer is whether more may be sent. */
  send(type: number, write: (out: Output) => void = () => {}, xid = ++this.xid): boolean {
    const out = new Output()
    out.int(xid)
    out.int(type)
    write(out)
    return this.harness.pipeline.onRequest(this.conn, out.buf, 0, out.pos)
  }

  get xids(): number[] {
    return this.replies.map((reply) => reply.xid)
  }

  get last(): Reply {
    return this.replies[this.replies.length - 1]!
  }
}

export class Harness implements ConnectionHost {
  readonly state: StateMachine
  readonly pipeline: Pipeline
  readonly sessions: Sessions
  readonly proposals = new Proposals()
  readonly metrics = new Metrics(() => 0.5)
  readonly warnings: string[] = []
  readonly resumed: TestClient[] = []
  nowMs = 1000
  bytesProposedLast = 0
  private readonly clients: TestClient[] = []
  private readonly outputs = new Map<Connection, Output>()

  constructor(options: HarnessOptions = {}) {
    this.state = new StateMachine(
      { onWatch: (...event) => this.pipeline.onWatch(...event) },
      {
        onResult: (...result) => this.pipeline.applySink.onResult(...result),
        onSessionCreated: (...session) => this.pipeline.applySink.onSessionCreated(...session),
        onSessionClosed: (...session) => this.pipeline.applySink.onSessionClosed(...session),
        onDigestMismatch: (zxid) => {
          throw new Error(`digest mismatch at ${zxid}`)
        },
      },
      { digest: true, extendedTypes: options.extendedTypes ?? true },
    )
    this.sessions = new Sessions(500, 1, 0, this.nowMs)
    const auth = new Auth(this.state.tree.acls, {
      skipACL: false,
      superDigest: null,
      digestAuthEnabled: true,
      digest: (text) => `${text.split(':')[0]}:hash`,
      aclBytesMax: 0xf_ffff,
      ensembleNames: null,
      enforcedSchemes: [],
    })
    this.pipeline = new Pipeline(
      this.state,
      auth,
      this.sessions,
      this.metrics,
      new Throttle({ ...NO_THROTTLE, ...options.throttle }, () => 0.5, this.nowMs),
      {
        nowMs: () => this.nowMs,
        wallMs: () => 1_700_000_000_000 + this.nowMs,
        propose: (...proposal) => {
          this.bytesProposedLast = proposal[3] - proposal[2]
          this.proposals.push(...proposal)
        },
        forward: () => {},
        revalidate: () => {},
        rollover: () => {},
        connection: (connId) => this.clients[connId]?.conn,
        sessionOpened: () => {},
        sessionEnded: () => {},
        info: () => {},
        warn: (message) => this.warnings.push(message),
      },
      {
        role: 'standalone',
        localSessionsEnabled: false,
        localSessionsUpgradingEnabled: false,
        reconfig: null,
        extendedTypes: options.extendedTypes ?? true,
        enforceQuota: options.enforceQuota ?? false,
        closeSessionTxn: true,
        digest: true,
        reconfigEnabled: false,
        juteLengthMax: 2 * 0xf_ffff,
        sessionTimeoutMinMs: 1000,
        sessionTimeoutMaxMs: 20_000,
        outstandingLimit: options.outstandingLimit ?? 1000,
        requestThrottleMax: options.requestThrottleMax ?? 0,
        largeRequestBytes: options.largeRequestBytes ?? -1,
        largeRequestsBytesMax: options.largeRequestsBytesMax ?? 0,
      },
    )
  }

  /** A connection that has said nothing yet. */
  newClient(): TestClient {
    const conn = new Connection(this.clients.length, '127.0.0.1', 4000 + this.clients.length, this, this.nowMs, 0)
    const client = new TestClient(this, conn)
    this.clients.push(client)
    return client
  }

  /** A connection with a session. */
  client(): TestClient {
    const client = this.newClient()
    client.connect()
    this.settle()
    return client
  }

  /** Everything proposed is durable now. */
  settle(count = Number.MAX_SAFE_INTEGER): void {
    const first = this.pipeline.prep.zxidLast - this.proposals.count + 1
    const upTo = Math.min(this.pipeline.prep.zxidLast, first + count - 1)
    this.proposals.deliverUpTo(upTo, (...txn) => this.pipeline.deliver(...txn))
    this.flush()
  }

  /** Hands what was written to the clients, as the end of a turn does. */
  flush(): void {
    for (const [conn, out] of this.outputs) {
      conn.outputTaken()
      this.take(this.clients[conn.connId]!, out.copy())
    }
    this.outputs.clear()
  }

  private take(client: TestClient, bytes: Uint8Array): void {
    const input = new Input(bytes)
    while (input.remaining > 0) {
      const length = input.int()
      const end = input.off + length
      if (client.handshakes.length === 0) {
        client.handshakes.push(bytes.slice(input.off, end))
      } else {
        client.replies.push({
          xid: input.int(),
          zxid: input.long(),
          err: input.int(),
          body: bytes.slice(input.off, end),
        })
      }
      input.off = end
    }
  }

  borrowOutput(conn: Connection): Output {
    const out = new Output()
    this.outputs.set(conn, out)
    return out
  }

  closeAfterFlush(conn: Connection, reason: string): void {
    this.clients[conn.connId]!.closed = reason
  }

  closeNow(conn: Connection, reason: string): void {
    this.clients[conn.connId]!.closed = reason
    this.outputs.delete(conn)
  }

  resume(conn: Connection): void {
    this.resumed.push(this.clients[conn.connId]!)
  }
}

/** Bodies of requests, written by hand so that nothing of the server's own encoders is used. */
export function path(text: string, ...rest: ((out: Output) => void)[]): (out: Output) => void {
  return (out) => {
    out.buffer(textToBytes(text))
    for (const write of rest) write(out)
  }
}

export const int =
  (value: number) =>
  (out: Output): void =>
    out.int(value)
export const bool =
  (value: boolean) =>
  (out: Output): void =>
    out.bool(value)
export const data =
  (text: string | null) =>
  (out: Output): void =>
    out.buffer(text === null ? null : textToBytes(text))
export const acl =
  (...entries: [number, string, string][]) =>
  (out: Output): void => {
    out.int(entries.length)
    for (const [perms, scheme, id] of entries) {
      out.int(perms)
      out.string(scheme)
      out.string(id)
    }
  }
export const openAcl = acl([31, 'world', 'anyone'])

export function create(at: string, flags = 0, text: string | null = 'x', list = openAcl): (out: Output) => void {
  return path(at, data(text), list, int(flags))
}
