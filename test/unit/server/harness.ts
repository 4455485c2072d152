/**
 * The production pipeline without sockets, disk or clock: requests in as frames, replies out as frames, and the test
 * says when the log is durable. An `Ensemble` is a leader's and its learners' pipelines with nothing between them but
 * FIFO links that the test moves along.
 */

import { StateMachine } from '../../../src/datatree/apply.ts'
import { Input } from '../../../src/jute/input.ts'
import { Output } from '../../../src/jute/output.ts'
import { textToBytes } from '../../../src/jute/text.ts'
import { Auth, type SaslOptions, type SuperPassword } from '../../../src/server/access/auth.ts'
import { JAVA_PASSWORDS, type SessionPasswords } from '../../../src/server/access/sessionpasswords.ts'
import { type Compat, NO_COMPAT } from '../../../src/server/config/compat.ts'
import type { ConnectionThrottle } from '../../../src/server/config/config.ts'
import type { Audit } from '../../../src/server/report/audit.ts'
import { Metrics } from '../../../src/server/report/metrics.ts'
import { Connection, type ConnectionHost } from '../../../src/server/requests/connection.ts'
import { Pipeline, type PipelineRole } from '../../../src/server/requests/pipeline.ts'
import type { Reconfigurer } from '../../../src/server/requests/reconfig.ts'
import { Sessions } from '../../../src/server/requests/sessions.ts'
import { Throttle } from '../../../src/server/requests/throttle.ts'
import type { ForwardedRequest } from '../../../src/zab/types.ts'
import { Proposals } from './proposals.ts'

export interface Reply {
  xid: number
  zxid: number
  err: number
  body: Uint8Array
}

export interface HarnessOptions {
  role?: PipelineRole
  /** In the top byte of session ids. */
  serverId?: number
  localSessions?: boolean
  upgrading?: boolean
  reconfigEnabled?: boolean
  /** Of the super user: `super:hash` for any password. */
  superDigest?: string
  reconfig?: Reconfigurer
  /** Where the leader's epoch begins, or what else the tree has seen. */
  zxidLast?: number
  enforceQuota?: boolean
  outstandingLimit?: number
  extendedTypes?: boolean
  requestThrottleMax?: number
  dropStale?: boolean
  staleLatencyCheck?: boolean
  throttledOpWaitMs?: number
  largeRequestBytes?: number
  largeRequestsBytesMax?: number
  allowSaslFailedClients?: boolean
  superPassword?: SuperPassword
  sasl?: SaslOptions
  enforcedSchemes?: readonly string[]
  throttle?: Partial<ConnectionThrottle>
  compat?: Partial<Compat>
  passwords?: SessionPasswords
  audit?: Audit
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
  gone = false
  private xid = 0
  private readonly harness: Harness

  constructor(harness: Harness, conn: Connection) {
    this.harness = harness
    this.conn = conn
  }

  connect(
    hi = 0,
    lo = 0,
    password: Uint8Array = new Uint8Array(16),
    timeoutMs = 10_000,
    zxid = 0,
    ro = false,
  ): boolean {
    const out = new Output()
    out.int(0)
    out.long(zxid)
    out.int(timeoutMs)
    out.words(hi, lo)
    out.buffer(password)
    out.bool(ro)
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

  /** Takes up the session of `other`, with the password that it was told. */
  takeUp(other: TestClient, zxid = 0): boolean {
    const [hi, lo] = other.sessionId
    return this.connect(hi, lo, other.handshakes[0]!.slice(20, 36), 10_000, zxid)
  }

  /** As in the answer to its connect request: zero if it was refused, or not answered yet. */
  get sessionId(): [hi: number, lo: number] {
    const answer = this.handshakes[0]
    if (answer === undefined) return [0, 0]
    const input = new Input(answer, 8)
    return [input.int(), input.int()]
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
  readonly warningFields: Record<string, unknown>[] = []
  readonly resumed: TestClient[] = []
  /** Learner: what goes to the leader. The test, or an Ensemble, sees to it. */
  onForward: (request: ForwardedRequest) => void = () => {}
  onRevalidate: (hi: number, lo: number, timeoutMs: number) => void = () => {}
  /** Leader: where proposals go besides `proposals`. */
  onPropose: (zxid: number, bytes: Uint8Array) => void = () => {}
  rollovers = 0
  /** Whether a leader hears of a quorum. */
  leads = true
  readonly ended: [hi: number, lo: number, expired: boolean][] = []
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
    this.state.zxidLast = options.zxidLast ?? 0
    this.sessions = new Sessions(500, options.serverId ?? 1, 0, this.nowMs)
    const auth = new Auth(this.state.tree.acls, {
      skipACL: false,
      superDigest: options.superDigest ?? null,
      superPassword: options.superPassword ?? null,
      digestAuthEnabled: true,
      digest: (text) => `${text.split(':')[0]}:hash`,
      aclBytesMax: 0xf_ffff,
      ensembleNames: null,
      x509: null,
      sasl: options.sasl ?? null,
      enforcedSchemes: options.enforcedSchemes ?? [],
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
          this.onPropose(proposal[0], proposal[1].slice(proposal[2], proposal[3]))
        },
        forward: (request) => this.onForward({ ...request, body: request.body.slice() }),
        revalidate: (...question) => this.onRevalidate(...question),
        rollover: () => this.rollovers++,
        confirmLeading: () => this.leads,
        audit: options.audit ?? null,
        connection: (connId) => this.clients[connId]?.conn,
        sessionOpened: () => {},
        sessionEnded: ({ hi, lo }, expired) => this.ended.push([hi, lo, expired]),
        info: () => {},
        warn: (message, fields) => {
          this.warnings.push(message)
          this.warningFields.push(fields)
        },
      },
      {
        role: options.role ?? 'standalone',
        localSessionsEnabled: options.localSessions ?? false,
        localSessionsUpgradingEnabled: options.upgrading ?? false,
        reconfig: options.reconfig ?? null,
        extendedTypes: options.extendedTypes ?? true,
        enforceQuota: options.enforceQuota ?? false,
        closeSessionTxn: true,
        digest: true,
        reconfigEnabled: options.reconfigEnabled ?? false,
        juteLengthMax: 2 * 0xf_ffff,
        passwords: options.passwords ?? JAVA_PASSWORDS,
        juteMaxBufferBytes: 0xf_ffff,
        compat: { ...NO_COMPAT, ...options.compat },
        sessionTimeoutMinMs: 1000,
        sessionTimeoutMaxMs: 20_000,
        outstandingLimit: options.outstandingLimit ?? 1000,
        requestThrottleMax: options.requestThrottleMax ?? 0,
        dropStale: options.dropStale ?? true,
        staleConnectionCheck: true,
        staleLatencyCheck: options.staleLatencyCheck ?? false,
        throttledOpWaitMs: options.throttledOpWaitMs ?? 0,
        largeRequestBytes: options.largeRequestBytes ?? -1,
        largeRequestsBytesMax: options.largeRequestsBytesMax ?? 0,
        allowSaslFailedClients: options.allowSaslFailedClients ?? false,
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

  /** What was closed from this side is gone, as the sockets' shell reports a little later. */
  reap(): void {
    for (const client of this.clients) {
      if (client.closed !== null && !client.gone) this.drop(client)
    }
  }

  /** The connection is lost. */
  drop(client: TestClient): void {
    client.gone = true
    this.pipeline.onClosed(client.conn)
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

type Down = { txn: Uint8Array; zxid: number } | { revalidated: [hi: number, lo: number, valid: boolean] } | 'synced'
type Up = ForwardedRequest | { revalidate: [hi: number, lo: number, timeoutMs: number] }

/** A leader (server 1) and its learners (2, 3, ..), each with its link: what was sent arrives when the test says so. */
export class Ensemble {
  readonly leader: Harness
  readonly learners: Harness[]
  /** On the way to the leader, and from it, by learner. */
  readonly up: Up[][]
  readonly down: Down[][]
  /** Every transaction proposed. */
  readonly log: Uint8Array[] = []
  private committed = 0
  /** Syncs that wait for a commit: how long the log must be. */
  private readonly syncs: { learner: number; after: number }[] = []

  constructor(learners = 2, options: HarnessOptions = {}) {
    const zxidLast = options.zxidLast ?? 0x1_0000_0000
    this.leader = new Harness({ ...options, role: 'leader', serverId: 1, zxidLast })
    this.leader.onPropose = (_zxid, bytes) => this.log.push(bytes)
    this.learners = Array.from(
      { length: learners },
      (_, i) => new Harness({ ...options, role: 'learner', serverId: i + 2, zxidLast }),
    )
    this.up = this.learners.map(() => [])
    this.down = this.learners.map(() => [])
    for (const [i, learner] of this.learners.entries()) {
      learner.onForward = (request) => this.up[i]!.push(request)
      learner.onRevalidate = (...revalidate) => this.up[i]!.push({ revalidate })
    }
  }

  /** The link of a learner; never that of another one, and never an Owner. */
  static link(learner: number): number {
    return 100 + learner
  }

  /** Brings what a learner has sent to the leader. */
  toLeader(learner: number, count = Number.POSITIVE_INFINITY): void {
    for (; count > 0 && this.up[learner]!.length > 0; count--) {
      const message = this.up[learner]!.shift()!
      const link = Ensemble.link(learner)
      if ('revalidate' in message) {
        const [hi, lo, timeoutMs] = message.revalidate
        const valid = this.leader.pipeline.onRevalidate(link, hi, lo, timeoutMs)
        this.down[learner]!.push({ revalidated: [hi, lo, valid] })
      } else if (message.type === 9) {
        this.syncs.push({ learner, after: this.log.length })
        this.answerSyncs()
      } else {
        this.leader.pipeline.onForwarded(link, learner + 2, message)
      }
    }
  }

  /** The oldest proposals have their quorum: the leader applies them, the learners are told. */
  commit(count = Number.POSITIVE_INFINITY): void {
    for (; count > 0 && this.committed < this.log.length; count--) {
      const txn = this.log[this.committed++]!
      const input = new Input(txn, 12)
      const zxid = input.long()
      this.leader.pipeline.deliver(zxid, txn, 0, txn.length)
      for (const down of this.down) down.push({ txn, zxid })
      this.answerSyncs()
    }
    this.leader.flush()
  }

  private answerSyncs(): void {
    while (this.syncs.length > 0 && this.syncs[0]!.after <= this.committed) {
      this.down[this.syncs.shift()!.learner]!.push('synced')
    }
  }

  /** Brings what the leader has sent to a learner. */
  toLearner(learner: number, count = Number.POSITIVE_INFINITY): void {
    const { pipeline } = this.learners[learner]!
    for (; count > 0 && this.down[learner]!.length > 0; count--) {
      const message = this.down[learner]!.shift()!
      if (message === 'synced') pipeline.onSynced()
      else if ('revalidated' in message) pipeline.onRevalidated(...message.revalidated)
      else pipeline.deliver(message.zxid, message.txn, 0, message.txn.length)
    }
    this.learners[learner]!.flush()
  }

  /** Everything arrives and is committed. */
  settle(): void {
    do {
      for (const i of this.learners.keys()) this.toLeader(i)
      this.commit()
      for (const i of this.learners.keys()) this.toLearner(i)
      for (const harness of this.all) harness.reap()
    } while (this.up.some((link) => link.length > 0) || this.committed < this.log.length)
  }

  /** The leader pings: its learners say whom they have heard. */
  ping(): void {
    for (const { pipeline } of this.learners) {
      pipeline.takeTouched((hi, lo, timeoutMs) => this.leader.pipeline.onTouched(hi, lo, timeoutMs))
    }
  }

  get all(): Harness[] {
    return [this.leader, ...this.learners]
  }

  /** A connection with a session, at a learner. */
  client(learner: number): TestClient {
    const client = this.learners[learner]!.newClient()
    client.connect()
    this.settle()
    return client
  }

  /** A connection with a session, at the leader. */
  clientOfLeader(): TestClient {
    const client = this.leader.newClient()
    client.connect()
    this.settle()
    return client
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
