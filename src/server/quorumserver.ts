/**
 * A member of an ensemble with its sockets, files and timers: the shell around Member.
 *
 * The client port listens from the start and refuses sessions while there is no role; the election port listens always,
 * the quorum port while this server leads, the port for observers while it follows. One timer stands for the earliest
 * deadline of the core.
 * Java: QuorumPeerMain, QuorumPeer.start.
 */

import { StorageError } from '../jute/errors.ts'
import { nodeDisk } from '../txnlog/disk.ts'
import { type FolderLock, lockFolders } from '../txnlog/lock.ts'
import { prepareFolders } from '../txnlog/recover.ts'
import { LINKS_DEFAULTS, Links } from '../zab/links.ts'
import { type Address, parseAddress } from '../zab/sockets.ts'
import type { Quorum } from '../zab/types.ts'
import { backlogOf, Clients, clientsOptions } from './clients.ts'
import type { Config } from './config.ts'
import { ConfigFiles } from './configfiles.ts'
import { Housekeeping } from './housekeeping.ts'
import type { Logger } from './logger.ts'
import { LogLimit } from './loglimit.ts'
import { atPort, Member, type MemberHost } from './member.ts'
import { parseConfigText } from './members.ts'
import { memberView } from './memberview.ts'
import { Metrics } from './metrics.ts'
import { ExitCode, ExitError, Failure, type RunningServer } from './running.ts'
import { Turn } from './turn.ts'
import { makeGaugeSets, makeGauges, makeView, type ViewParts } from './view.ts'

const nowMs = (): number => Math.floor(performance.now())
const wallMs = (): number => Date.now()
/** Node's timers take no more. */
const TIMER_MS_MAX = 2 ** 31 - 1

export class QuorumServer {
  private readonly config: Config
  private readonly logger: Logger
  private readonly metrics: Metrics
  private readonly turn: Turn
  private readonly clients: Clients
  private readonly links: Links
  private readonly member: Member
  private readonly housekeeping: Housekeeping
  private readonly files: ConfigFiles
  private readonly failure: Failure
  private readonly logLimit: LogLimit
  private lock: FolderLock | null
  private port: number
  private timer: NodeJS.Timeout | null
  private timerAtMs: number
  private serving: boolean
  private closing: Promise<void> | null

  constructor(config: Config, logger: Logger) {
    this.config = config
    this.logger = logger
    this.metrics = new Metrics(Math.random)
    this.failure = new Failure()
    this.logLimit = new LogLimit()
    this.lock = null
    this.port = 0
    this.timer = null
    this.timerAtMs = Number.POSITIVE_INFINITY
    this.serving = false
    this.closing = null
    this.turn = new Turn(() => this.flush())
    const disk = nodeDisk()
    const log = (level: 'debug' | 'info' | 'warn', fields: Record<string, unknown>, message: string): void => {
      if (level === 'warn') this.warn(message, fields)
      else logger[level](fields, message)
    }
    this.files = new ConfigFiles(disk, config.file, {
      serverId: config.serverId!,
      reconfigEnabled: config.quorum.reconfigEnabled,
    })
    const want = (): void => this.turn.want()
    this.links = new Links(
      this.linksOptions(),
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
    const host: MemberHost = {
      nowMs,
      wallMs,
      random: Math.random,
      network: this.links,
      disk,
      serve: (pipeline) => {
        this.clients.serve(pipeline)
        this.serving = pipeline !== null
        if (pipeline === null) this.metrics.unregister()
        else this.metrics.register(makeGauges(parts), makeGaugeSets(parts), () => parts.ensemble!.gauges())
      },
      connection: (connId) => this.clients.connection(connId),
      want,
      failed: (err) => this.failure.settle(err),
      log,
      config: (quorum, committed, done) => this.onConfig(quorum, committed, done),
    }
    this.member = new Member(config, host, this.metrics)
    const parts = this.viewParts()
    const view = makeView(parts)
    this.clients = new Clients(
      {
        nowMs,
        wallMs,
        serving: () => this.serving,
        view: () => view,
        onInput: () => this.member.clockFirst(),
        info: (message, fields) => logger.debug(fields, message),
        warn: (message, fields) => this.warn(message, fields),
      },
      this.turn,
      this.metrics,
      clientsOptions(config),
    )
    this.housekeeping = new Housekeeping(config, logger, this.metrics, this.clients, {
      nowMs,
      wallMs,
      tick: () => this.member.onTick(),
      sessions: () => this.member.sessions,
      reaper: () => {
        const { pipeline, state, zab } = this.member
        return pipeline !== null && zab.role === 'leading' && zab.established ? { pipeline, state } : null
      },
    })
  }

  private viewParts(): ViewParts {
    const clients = (): Clients => this.clients
    const { member } = this
    return {
      config: this.config,
      metrics: this.metrics,
      get clients() {
        return clients()
      },
      startedMs: nowMs(),
      port: () => this.port,
      nowMs,
      wallMs,
      running: () => {
        const { state, pipeline, sessions } = member
        return this.serving && pipeline !== null && sessions !== null ? { state, pipeline, sessions } : null
      },
      ensemble: memberView(this.config, member, this.metrics, nowMs),
    }
  }

  private linksOptions() {
    const { quorum, serverId } = this.config
    const own = quorum.membership.members.find((member) => member.id === serverId)
    const addresses = own?.addresses ?? []
    return {
      ...LINKS_DEFAULTS,
      electionAddresses: addresses.map(({ host, electionPort }) => ({ host, port: electionPort })),
      learnerAddresses: addresses.map(({ host, quorumPort }) => ({ host, port: quorumPort })),
      observerAddresses: addresses.map(({ host }) => ({ host, port: quorum.observerMasterPort })),
      listenOnAllAddresses: quorum.quorumListenOnAllIPs,
      connectTimeoutMs: quorum.cnxTimeoutMs,
      tcpKeepAlive: quorum.tcpKeepAlive,
      bindTriesMax: quorum.electionPortBindRetry,
    }
  }

  async start(): Promise<RunningServer> {
    const { config } = this
    const address = config.clientAddress
    if (address === null) throw new ExitError(ExitCode.invalidInvocation, 'clientPort is not set')
    try {
      this.port = await this.clients.listen(address.host, address.port, backlogOf(config))
      await this.ownFolders()
      try {
        await this.links.start()
      } catch (err) {
        throw new ExitError(ExitCode.quorumPortBindFailed, `cannot listen on the election port: ${String(err)}`)
      }
      const lastSeen = config.quorum.reconfigEnabled ? await this.files.readLastSeen() : null
      await this.member.start(lastSeen)
    } catch (err) {
      await this.close()
      throw err
    }
    this.housekeeping.start(nodeDisk())
    return { port: this.port, close: () => this.close(), failed: this.failure.promise }
  }

  /** Makes the data folders and takes them for this process alone. */
  private async ownFolders(): Promise<void> {
    const { config, logger } = this
    try {
      const folders = await prepareFolders(nodeDisk(), config, config.dataDirAutocreate)
      this.lock = await lockFolders([folders.snapDir, folders.logDir], (message) => logger.warn(message))
    } catch (err) {
      if (!(err instanceof StorageError)) throw err
      throw new ExitError(ExitCode.dataDirInaccessible, err.message)
    }
  }

  private flush(): void {
    this.member.flush()
    this.clients.flush()
    this.setTimer()
  }

  private setTimer(): void {
    const atMs = this.closing !== null ? Number.POSITIVE_INFINITY : this.member.nextDeadlineMs()
    if (atMs === this.timerAtMs) return
    this.timerAtMs = atMs
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (atMs === Number.POSITIVE_INFINITY) return
    this.timer = setTimeout(
      () => {
        this.timer = null
        this.timerAtMs = Number.POSITIVE_INFINITY
        this.member.clockFirst()
        this.turn.want()
      },
      Math.min(Math.max(1, Math.ceil(atMs - nowMs())), TIMER_MS_MAX),
    )
  }

  /** A configuration was proposed, or is in force: files follow, and our own ports. */
  private onConfig(quorum: Quorum, committed: boolean, done: () => void): void {
    const saved = committed ? this.files.activate(quorum.text) : this.files.saveLastSeen(quorum.text)
    saved
      .catch((err: unknown) => {
        // The change itself is in the log; a start finds it there.
        this.logger.warn({ err }, 'cannot write the configuration files')
      })
      .then(done)
    if (!committed || !quorum.isMember(this.config.serverId!)) return
    const sid = this.config.serverId!
    const learner = quorum.quorumAddresses(sid)
    const observer = atPort(learner, this.config.quorum.observerMasterPort)
    this.links.setOwnAddresses(addresses(quorum.electionAddresses(sid)), addresses(learner), addresses(observer))
    void this.moveClientPort(quorum)
  }

  private async moveClientPort(quorum: Quorum): Promise<void> {
    const { members } = parseConfigText(quorum.text, this.config.quorum.multiAddressEnabled)
    const address = members.find(({ id }) => id === this.config.serverId)?.client ?? null
    if (address === null || address.port === this.port) return
    const host = address.host === '0.0.0.0' ? null : address.host
    try {
      this.port = await this.clients.listen(host, address.port, backlogOf(this.config))
      this.logger.info({ port: this.port }, 'client port moved')
    } catch (err) {
      this.logger.warn({ err, port: address.port }, 'cannot listen on the client port of the new configuration')
    }
  }

  /** Worth a line, but not as many as clients and peers like. */
  private warn(message: string, fields: Record<string, unknown>): void {
    const leftOut = this.logLimit.admit(message, nowMs())
    if (leftOut === 0) this.logger.warn(fields, message)
    else if (leftOut > 0) this.logger.warn({ ...fields, leftOut }, message)
  }

  private close(): Promise<void> {
    this.closing ??= this.shutDown()
    return this.closing
  }

  private async shutDown(): Promise<void> {
    this.housekeeping.stop()
    if (this.timer !== null) clearTimeout(this.timer)
    await this.member.stop()
    await this.clients.close()
    await this.links.stop()
    this.lock?.release()
  }
}

function addresses(texts: readonly string[]): Address[] {
  return texts.map(parseAddress).filter((address) => address !== null)
}
