/**
 * A member of an ensemble with its sockets, files and timers: the shell around Member.
 *
 * The client port listens from the start and refuses sessions while there is no role; the election port listens while
 * there is a life (lives.ts), the quorum port while this server leads, the port for observers while it follows.
 * Java: QuorumPeerMain, QuorumPeer.start.
 */

import { type Disk, nodeDisk } from '../../txnlog/disk.ts'
import { LevelHome } from '../../txnlog/levelkv.ts'
import type { RecoverProgress } from '../../txnlog/recover.ts'
import type { Quorum } from '../../zab/types.ts'
import { type AdminSource, RestoreError } from '../admin/source.ts'
import {
  backlogOf,
  type ClientPorts,
  Clients,
  clientsOptions,
  type Entrance,
  listenForClients,
  NO_PORTS,
  OPEN_ENTRANCE,
} from '../clients/clients.ts'
import type { Config } from '../config/config.ts'
import { hostsOf, type Membership, parseConfigText } from '../config/members.ts'
import { DataFolders } from '../life/datafolders.ts'
import { Housekeeping } from '../life/housekeeping.ts'
import type { Lives } from '../life/lives.ts'
import { processLives } from '../life/processlives.ts'
import { Failure, type OnProgress, type RunningServer } from '../life/running.ts'
import type { Audit } from '../report/audit.ts'
import type { ServerView } from '../report/fourletter.ts'
import { LimitedLog } from '../report/limitedlog.ts'
import type { Logger } from '../report/logger.ts'
import { Metrics } from '../report/metrics.ts'
import { ownValues, Starting, standingOf } from '../report/starting.ts'
import { makeGaugeSets, makeGauges, makeView, tlsValues, type ViewParts } from '../report/view.ts'
import type { Pipeline } from '../requests/pipeline.ts'
import { Turn } from '../turn.ts'
import { ConfigFiles } from './configfiles.ts'
import { MemberLife } from './memberlife.ts'
import type { QuorumSecurity } from './quorumsecurity.ts'

const nowMs = (): number => Math.floor(performance.now())
const wallMs = (): number => Date.now()

/** Java replaces the tree of the one member that is asked, and the members differ from then on. */
const NO_RESTORE =
  'a member of an ensemble has the data that the ensemble has: restore all of them with zoowarden restore, while they are stopped'

export class QuorumServer {
  private readonly config: Config
  private readonly logger: Logger
  private readonly audit: Audit | null
  private readonly metrics: Metrics
  private readonly turn: Turn
  private readonly clients: Clients
  private readonly disk: Disk
  private readonly folders: DataFolders
  private readonly lives: Lives
  private readonly starting: Starting
  private readonly onProgress: OnProgress | null
  private readonly housekeeping: Housekeeping
  private readonly files: ConfigFiles
  private readonly failure: Failure
  private readonly limited: LimitedLog
  private readonly startedMs: number
  private life: MemberLife | null
  /** The last one known to be in force. */
  private membership: Membership
  /** What lives to come begin with: the newest list that has this server in it. */
  private listed: Membership
  private security: QuorumSecurity | null
  private ports: ClientPorts
  private readonly view: ServerView
  private closing: Promise<void> | null

  constructor(
    config: Config,
    logger: Logger,
    onProgress: OnProgress | null = null,
    entrance: Entrance = OPEN_ENTRANCE,
    audit: Audit | null = null,
  ) {
    this.audit = audit
    this.config = config
    this.logger = logger
    this.onProgress = onProgress
    this.metrics = new Metrics(Math.random, config.metricsProvider.kind === 'prometheus')
    this.failure = new Failure()
    this.limited = new LimitedLog(logger, nowMs)
    this.startedMs = nowMs()
    this.life = null
    this.membership = config.quorum.membership
    this.listed = config.quorum.membership
    this.security = null
    this.ports = NO_PORTS
    this.closing = null
    this.turn = new Turn(() => {
      this.life?.flush()
      this.clients.flush()
    }, this.metrics.turns)
    this.disk = nodeDisk()
    this.folders = new DataFolders(this.disk, config, config.dataDirAutocreate)
    this.starting = new Starting()
    this.files = new ConfigFiles(this.disk, config.file, {
      serverId: config.serverId!,
      reconfigEnabled: config.quorum.reconfigEnabled,
    })
    const view = makeView(this.viewParts())
    this.view = view
    this.clients = new Clients(
      {
        nowMs,
        wallMs,
        serving: () => this.life?.serving === true,
        view: () => view,
        onInput: () => this.life?.member.clockFirst(),
        info: (message, fields) => logger.debug(fields, message),
        warn: (message, fields) => this.limited.write('warn', message, fields),
      },
      this.turn,
      this.metrics,
      clientsOptions(config, entrance),
    )
    this.housekeeping = new Housekeeping(config, logger, this.metrics, this.clients, {
      nowMs,
      wallMs,
      mayPurge: () => !this.lives.beginning,
      tick: () => this.life?.member.onTick(),
      sessions: () => this.life?.member.sessions ?? null,
      checkpoint: () => this.life?.member.checkpoint ?? null,
      reaper: () => {
        if (this.life === null) return null
        const { pipeline, state, zab } = this.life.member
        return pipeline !== null && zab.role === 'leading' && zab.established ? { pipeline, state } : null
      },
    })
    this.lives = processLives(
      {
        nowMs,
        begin: (failed) => this.begin(failed),
        end: () => this.end(),
        aside: () => void this.housekeeping.purge(this.disk),
      },
      this.folders,
      this.failure,
      logger,
      config.resumeRoomBytes,
    )
  }

  private viewParts(): ViewParts {
    const clients = (): Clients => this.clients
    const life = (): MemberLife | null => this.life
    return {
      config: this.config,
      metrics: this.metrics,
      get clients() {
        return clients()
      },
      startedMs: this.startedMs,
      ports: () => this.ports,
      nowMs,
      wallMs,
      standing: () => standingOf(this.starting, this.lives.beginning, this.lives.asideFor),
      tlsDaysLeft: () => [
        ['client', this.clients.certificateDaysLeft],
        ['quorum', this.security?.daysLeft() ?? null],
      ],
      running: () => {
        if (this.life === null || !this.life.serving) return null
        const { state, pipeline, sessions } = this.life.member
        return pipeline !== null && sessions !== null ? { state, pipeline, sessions } : null
      },
      get ensemble() {
        return life()?.view ?? null
      },
    }
  }

  /** What the ports for HTTP are told and may ask for. */
  get source(): AdminSource {
    const { config, logger, metrics, audit, view } = this
    return {
      config,
      logger,
      metrics,
      audit,
      view,
      parts: this.viewParts(),
      snapshot: () =>
        this.life === null ? Promise.reject(new Error('it does not serve')) : this.life.member.snapshotFile(),
      restore: () => Promise.reject(new RestoreError(NO_RESTORE)),
    }
  }

  async start(): Promise<RunningServer> {
    const { config } = this
    try {
      this.security = await this.openSecurity()
      this.ports = await listenForClients(this.clients, config)
      await this.lives.start()
    } catch (err) {
      await this.close()
      throw err
    }
    this.housekeeping.start(this.disk)
    const { port, securePort } = this.ports
    return { port, securePort, close: () => this.close(), failed: this.failure.promise }
  }

  private async openSecurity(): Promise<QuorumSecurity | null> {
    const { protection } = this.config.quorum
    if (protection.tls === null && protection.auth === null) return null
    const { openQuorumSecurity } = await import('./quorumsecurity.ts')
    return openQuorumSecurity(protection, () => hostsOf(this.membership), {
      info: (message, fields) => this.logger.info(fields, message),
      warn: (message, fields) => this.limited.write('warn', message, fields),
    })
  }

  private async begin(failed: (err: Error) => void): Promise<void> {
    const { config, files, housekeeping, listed: membership, logger, metrics } = this
    await this.folders.own((message) => logger.warn(message))
    await housekeeping.whenPurged()
    this.starting.begin(nowMs())
    const life = new MemberLife({ ...config, quorum: { ...config.quorum, membership } }, metrics, {
      nowMs,
      wallMs,
      disk: this.disk,
      checkpoints: new LevelHome(this.disk, config.dataDir),
      audit: this.audit,
      transport: this.security?.transport ?? null,
      serve: (pipeline) => this.serve(pipeline),
      connection: (connId) => this.clients.connection(connId),
      want: () => this.turn.want(),
      failed,
      log: (level, fields, message) => {
        if (level === 'debug') logger.debug(fields, message)
        else this.limited.write(level, message, fields)
      },
      progress: (progress) => this.onRead(progress),
      config: (quorum, committed, done) => this.onConfig(quorum, committed, done),
    })
    this.life = life
    await life.begin(config.quorum.reconfigEnabled ? await files.readLastSeen() : null)
    this.starting.end()
  }

  private async end(): Promise<void> {
    const { life } = this
    await life?.end()
    this.life = null
  }

  private onRead(progress: RecoverProgress): void {
    const line = this.starting.onProgress(progress, nowMs())
    this.onProgress?.(this.starting.bar(nowMs()))
    if (line !== null) this.logger.info(line, 'loading')
  }

  private serve(pipeline: Pipeline | null): void {
    const { life, metrics } = this
    this.clients.serve(pipeline)
    if (pipeline === null || life === null) {
      metrics.unregister()
      return
    }
    const parts = this.viewParts()
    const more = (): (readonly [string, number])[] => [
      ...ownValues(this.starting, false),
      ...tlsValues(parts),
      ...life.view.gauges(),
    ]
    metrics.register(makeGauges(parts), makeGaugeSets(parts), more)
  }

  /** A configuration was proposed, or is in force: files follow, the port for clients, and the lives to come. */
  private onConfig(quorum: Quorum, committed: boolean, done: () => void): void {
    const saved = committed ? this.files.activate(quorum.text) : this.files.saveLastSeen(quorum.text)
    saved
      .catch((err: unknown) => {
        // The change itself is in the log; a start finds it there.
        this.logger.warn({ err }, 'cannot write the configuration files')
      })
      .then(done)
    if (!committed) return
    this.membership = parseConfigText(quorum.text, this.config.quorum.multiAddressEnabled)
    if (!quorum.isMember(this.config.serverId!)) return
    this.listed = this.membership
    void this.moveClientPort(this.membership)
  }

  private async moveClientPort({ members }: Membership): Promise<void> {
    const address = members.find(({ id }) => id === this.config.serverId)?.client ?? null
    if (address === null || address.port === this.ports.plainPort) return
    const host = address.host === '0.0.0.0' ? null : address.host
    try {
      const plainPort = await this.clients.listen(host, address.port, backlogOf(this.config))
      this.ports = { ...this.ports, port: plainPort, plainPort }
      this.logger.info({ port: plainPort }, 'client port moved')
    } catch (err) {
      this.logger.warn({ err, port: address.port }, 'cannot listen on the client port of the new configuration')
    }
  }

  private close(): Promise<void> {
    this.closing ??= this.shutDown()
    return this.closing
  }

  private async shutDown(): Promise<void> {
    this.housekeeping.stop()
    await this.lives.close()
    this.security?.close()
    await this.clients.close()
    this.folders.release()
  }
}
