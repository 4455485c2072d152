/**
 * A member of an ensemble from its recovery to its end, with its network and the timer of its earliest deadline. What
 * outlives it (client port, folder lock, metrics) belongs to the server.
 */

import type { Disk } from '../../txnlog/disk.ts'
import type { KvHome } from '../../txnlog/kv.ts'
import type { RecoverProgress } from '../../txnlog/recover.ts'
import { LINKS_DEFAULTS, Links } from '../../zab/links.ts'
import { type Address, parseAddress } from '../../zab/sockets.ts'
import type { Transport } from '../../zab/transport.ts'
import type { Quorum } from '../../zab/types.ts'
import type { Config } from '../config/config.ts'
import { ExitCode, ExitError } from '../life/running.ts'
import type { Audit } from '../report/audit.ts'
import type { Metrics } from '../report/metrics.ts'
import type { Connection } from '../requests/connection.ts'
import type { Pipeline } from '../requests/pipeline.ts'
import { atPort, Member } from './member.ts'
import { type EnsembleView, memberView } from './memberview.ts'

/** Node's timers take no more. */
const TIMER_MS_MAX = 2 ** 31 - 1

export interface MemberLifeHost {
  nowMs(): number
  wallMs(): number
  readonly disk: Disk
  readonly checkpoints: KvHome
  readonly audit: Audit | null
  /** TLS and SASL between members; null: neither. */
  readonly transport: Transport | null
  /** Null: every client is cut when it returns. */
  serve(pipeline: Pipeline | null): void
  connection(connId: number): Connection | undefined
  /** `flush` is wanted at the end of this turn. */
  want(): void
  failed(err: Error): void
  log(level: 'debug' | 'info' | 'warn', fields: Record<string, unknown>, message: string): void
  /** How far a start is. */
  progress(progress: RecoverProgress): void
  /** A configuration was proposed, or is in force now; `done` when a restart would know it. */
  config(quorum: Quorum, committed: boolean, done: () => void): void
}

export class MemberLife {
  readonly member: Member
  readonly view: EnsembleView
  serving: boolean
  private readonly config: Config
  private readonly host: MemberLifeHost
  private readonly links: Links
  private timer: NodeJS.Timeout | null
  private timerAtMs: number
  private ended: boolean

  constructor(config: Config, metrics: Metrics, host: MemberLifeHost) {
    this.config = config
    this.host = host
    this.serving = false
    this.timer = null
    this.timerAtMs = Number.POSITIVE_INFINITY
    this.ended = false
    const log: MemberLifeHost['log'] = (level, fields, message) => host.log(level, fields, message)
    const want = (): void => host.want()
    this.links = new Links(
      linksOptions(config, host.transport),
      {
        onAccept: (link, kind) => this.member.onAccept(link, kind),
        onOpen: (link, sid, kind) => this.member.onOpen(link, sid, kind),
        onDialFailed: (sid, kind) => this.member.onDialFailed(sid, kind),
        onBytes: (link, buf, off, end) => this.member.onBytes(link, buf, off, end),
        onClose: (link) => this.member.onClose(link),
      },
      want,
      log,
    )
    this.member = new Member(
      config,
      {
        nowMs: () => host.nowMs(),
        wallMs: () => host.wallMs(),
        random: Math.random,
        network: this.links,
        disk: host.disk,
        checkpoints: host.checkpoints,
        audit: host.audit,
        serve: (pipeline) => {
          this.serving = pipeline !== null
          host.serve(pipeline)
        },
        connection: (connId) => host.connection(connId),
        want,
        failed: (err) => host.failed(err),
        log,
        progress: (progress) => host.progress(progress),
        config: (quorum, committed, done) => this.onConfig(quorum, committed, done),
      },
      metrics,
    )
    this.view = memberView(config, this.member, metrics, {
      nowMs: () => host.nowMs(),
      wallMs: () => host.wallMs(),
      remoteOf: (link) => this.links.remoteOf(link),
    })
  }

  /** `lastSeen`: the text of a configuration that was proposed, or null. */
  async begin(lastSeen: string | null): Promise<void> {
    try {
      await this.links.start()
    } catch (err) {
      throw new ExitError(ExitCode.quorumPortBindFailed, `cannot listen on the election port: ${String(err)}`)
    }
    await this.member.start(lastSeen)
  }

  /** The role ends, clients and links are cut; when it is done nothing touches the disk any more. */
  async end(): Promise<void> {
    this.ended = true
    if (this.timer !== null) clearTimeout(this.timer)
    await this.member.stop()
    await this.links.stop()
  }

  flush(): void {
    if (this.ended) return
    this.member.flush()
    this.setTimer()
  }

  private setTimer(): void {
    const { host, member } = this
    const atMs = member.nextDeadlineMs()
    if (atMs === this.timerAtMs) return
    this.timerAtMs = atMs
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (atMs === Number.POSITIVE_INFINITY) return
    this.timer = setTimeout(
      () => {
        this.timer = null
        this.timerAtMs = Number.POSITIVE_INFINITY
        member.clockFirst()
        host.want()
      },
      Math.min(Math.max(1, Math.ceil(atMs - host.nowMs())), TIMER_MS_MAX),
    )
  }

  /** Our own ports follow what is in force. */
  private onConfig(quorum: Quorum, committed: boolean, done: () => void): void {
    const sid = this.config.serverId!
    this.host.config(quorum, committed, done)
    if (!committed || !quorum.isMember(sid)) return
    const learner = quorum.quorumAddresses(sid)
    const observer = atPort(learner, this.config.quorum.observerMasterPort)
    this.links.setOwnAddresses(addresses(quorum.electionAddresses(sid)), addresses(learner), addresses(observer))
  }
}

function linksOptions({ quorum, serverId, tickTimeMs }: Config, transport: Transport | null) {
  const own = quorum.membership.members.find((member) => member.id === serverId)
  const places = own?.addresses ?? []
  const electionMs = quorum.handshakeTimeoutMs > 0 ? quorum.handshakeTimeoutMs : quorum.syncLimitTicks * tickTimeMs
  const learnerMs = quorum.initLimitTicks * tickTimeMs
  return {
    ...LINKS_DEFAULTS,
    sid: serverId!,
    electionAddresses: places.map(({ host, electionPort }) => ({ host, port: electionPort })),
    learnerAddresses: places.map(({ host, quorumPort }) => ({ host, port: quorumPort })),
    observerAddresses: places.map(({ host }) => ({ host, port: quorum.observerMasterPort })),
    listenOnAllAddresses: quorum.quorumListenOnAllIPs,
    connectTimeoutMs: quorum.cnxTimeoutMs,
    tcpKeepAlive: quorum.tcpKeepAlive,
    bindTriesMax: quorum.electionPortBindRetry,
    transport,
    transportTimeoutMs: { election: electionMs, learner: learnerMs, observer: learnerMs },
  }
}

function addresses(texts: readonly string[]): Address[] {
  return texts.map(parseAddress).filter((address) => address !== null)
}
