/**
 * A server that runs alone: configuration, recovery, state machine, pipeline, listener, timers. What is made of the
 * files lives as long as the disk takes what is written (lives.ts); listener, timers and folder lock outlive it.
 *
 * Everything with a clock, a file or a socket is put together here; what it feeds is pure.
 * Java: ZooKeeperServerMain, ZooKeeperServer.startup.
 */

import { randomInt } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StateMachine } from '../../datatree/apply.ts'
import { openPathsText } from '../../datatree/openacls.ts'
import { id64Hex } from '../../jute/id64.ts'
import { type Disk, nodeDisk } from '../../txnlog/disk.ts'
import { FileSnapshotStore } from '../../txnlog/filestore.ts'
import { LevelHome } from '../../txnlog/levelkv.ts'
import { VERSION_DIR } from '../../txnlog/names.ts'
import { type RecoverProgress, recover } from '../../txnlog/recover.ts'
import { type AdminSource, RestoreError, type RestoreOptions } from '../admin/source.ts'
import {
  type ClientPorts,
  Clients,
  clientsOptions,
  type Entrance,
  listenForClients,
  NO_PORTS,
  OPEN_ENTRANCE,
} from '../clients/clients.ts'
import type { Config } from '../config/config.ts'
import type { Audit } from '../report/audit.ts'
import type { ServerView } from '../report/fourletter.ts'
import { LimitedLog } from '../report/limitedlog.ts'
import type { Logger } from '../report/logger.ts'
import { Metrics } from '../report/metrics.ts'
import { ownValues, Starting, standingOf } from '../report/starting.ts'
import { makeGaugeSets, makeGauges, makeView, tlsValues, type ViewParts } from '../report/view.ts'
import { Pipeline, type PipelineHost } from '../requests/pipeline.ts'
import { pipelineOptions } from '../requests/pipelineoptions.ts'
import { Sessions } from '../requests/sessions.ts'
import { Throttle } from '../requests/throttle.ts'
import { Turn } from '../turn.ts'
import { DataFolders } from './datafolders.ts'
import { Housekeeping } from './housekeeping.ts'
import type { Lives } from './lives.ts'
import { lengthMaxOf, makeAuth, makeState, Relay, snapshotOptions, zxidText } from './parts.ts'
import { processLives } from './processlives.ts'
import { readBrought } from './restoring.ts'
import { Failure, type OnProgress, type RunningServer } from './running.ts'
import { SnapshotStores } from './snapshotstores.ts'
import { Storage } from './storage.ts'

/** Id of a standalone server, in the top byte of its session ids (Java: ServerConfig's default). */
const STANDALONE_SERVER_ID = 1

const nowMs = (): number => Math.floor(performance.now())
const wallMs = (): number => Date.now()

export class StandaloneServer {
  private readonly config: Config
  private readonly logger: Logger
  private readonly audit: Audit | null
  private readonly metrics: Metrics
  private readonly turn: Turn
  private readonly clients: Clients
  private readonly failure: Failure
  private running: { state: StateMachine; pipeline: Pipeline; sessions: Sessions } | null
  private storage: Storage | null
  private stores: SnapshotStores | null
  private readonly disk: Disk
  private readonly folders: DataFolders
  private readonly lives: Lives
  private readonly starting: Starting
  private readonly onProgress: OnProgress | null
  private ports: ClientPorts
  private readonly housekeeping: Housekeeping
  private readonly limited: LimitedLog
  private readonly startedMs: number
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
    this.onProgress = onProgress
    this.config = config
    this.logger = logger
    this.metrics = new Metrics(Math.random, config.metricsProvider.kind === 'prometheus')
    this.startedMs = nowMs()
    this.turn = new Turn(() => {
      this.storage?.flush()
      this.clients.flush()
    }, this.metrics.turns)
    this.failure = new Failure()
    this.running = null
    this.storage = null
    this.stores = null
    this.disk = nodeDisk()
    this.folders = new DataFolders(this.disk, config, config.dataDirAutocreate)
    this.starting = new Starting()
    this.ports = NO_PORTS
    this.limited = new LimitedLog(logger, nowMs)
    this.closing = null
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
    const view = makeView(this.viewParts(() => this.clients))
    this.view = view
    this.clients = new Clients(
      {
        nowMs,
        wallMs,
        serving: () => this.running !== null,
        view: () => view,
        onInput: () => {},
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
      tick: (now) => {
        this.running?.pipeline.onTick(now)
        this.storage?.onTick()
      },
      sessions: () => this.running?.sessions ?? null,
      reaper: () => this.running,
      checkpoint: () => this.stores?.purgeable ?? null,
    })
  }

  private viewParts(clients: () => Clients): ViewParts {
    const running = (): { state: StateMachine; pipeline: Pipeline; sessions: Sessions } | null => this.running
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
      ensemble: null,
      standing: () => standingOf(this.starting, this.lives.beginning, this.lives.asideFor),
      tlsDaysLeft: () => [['client', this.clients.certificateDaysLeft]],
      running,
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
      parts: this.viewParts(() => this.clients),
      snapshot: () =>
        this.storage === null ? Promise.reject(new Error('it does not serve')) : this.storage.snapshotFile(),
      restore: (path, options) => this.restore(path, options),
    }
  }

  async start(): Promise<RunningServer> {
    const { config } = this
    try {
      // Listening comes first: a port that is taken must not cost a long recovery, and words are answered meanwhile.
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

  /** Recovers, and serves. `failed` when the log cannot go on. */
  private async begin(failed: (err: Error) => void): Promise<void> {
    const { config, disk, logger, metrics } = this
    const started = nowMs()
    await this.folders.own((message) => logger.warn(message))
    await this.housekeeping.whenPurged()
    this.starting.begin(started)
    const relay = new Relay((zxid) => {
      metrics.counters.digest_mismatches_count++
      logger.warn({ zxid: zxidText(zxid) }, 'the tree is not what the author of this transaction had: digests differ')
    }, metrics)
    const stores = new SnapshotStores(
      config,
      disk,
      join(config.dataDir, VERSION_DIR),
      new LevelHome(disk, config.dataDir),
    )
    this.stores = stores
    const recovered = await recover(
      disk,
      config,
      () => makeState(config, relay, randomInt(2 ** 31)),
      { ...stores.recoverOptions, onProgress: (progress) => this.onRead(progress) },
      ({ kind, file, message }) => {
        const ordinary = kind === 'snapshotLoaded' || kind === 'emptyDatabase'
        logger[ordinary ? 'info' : 'warn']({ file }, message)
      },
    )
    await stores.settle(recovered, (message) => logger.info(message))
    const { state } = recovered
    if (recovered.zxidLast < 0) state.zxidLast = 0
    metrics.basic.dbinittime.add(nowMs() - started)
    metrics.addStartup(recovered)
    const sessions = new Sessions(config.tickTimeMs, STANDALONE_SERVER_ID, wallMs(), nowMs())
    state.sessions.forEach((timeoutMs, hi, lo) => {
      sessions.track(hi, lo, timeoutMs, nowMs())
    })
    const orphans = state.removeOrphans()
    const throttle = new Throttle(config.connectionThrottle, Math.random, nowMs())
    const pipeline = new Pipeline(
      state,
      makeAuth(config, state),
      sessions,
      metrics,
      throttle,
      this.pipelineHost(),
      pipelineOptions(config),
    )
    relay.pipeline = pipeline
    const logDir = join(config.dataLogDir, VERSION_DIR)
    this.storage = new Storage(disk, logDir, stores, state, recovered.txnsReplayed, config, metrics, {
      deliver: (zxid, buf, off, end) => pipeline.deliver(zxid, buf, off, end),
      failed,
      wallMs,
      random: Math.random,
      info: (message, fields) => logger.info(fields, message),
      warn: (message, fields) => logger.warn(fields, message),
    })
    if (orphans > 0) logger.warn({ znodes: orphans }, 'removed ephemeral znodes of sessions that do not exist')
    // What was removed without a transaction must not come back with the next replay.
    if (orphans > 0 || config.compat.snapshotAtStart) await this.storage.snapshot()
    this.starting.end()
    this.running = { state, pipeline, sessions }
    const parts = this.viewParts(() => this.clients)
    metrics.register(makeGauges(parts), makeGaugeSets(parts), () => [
      ...ownValues(this.starting, false),
      ...tlsValues(parts),
    ])
    this.clients.serve(pipeline)
    logger.info(
      {
        zxid: zxidText(state.zxidLast),
        znodes: state.tree.nodeCount,
        worldWritable: openPathsText(state.tree),
        sessions: sessions.count,
        snapshot: zxidText(recovered.snapshotZxid),
        txnsReplayed: recovered.txnsReplayed,
        ms: nowMs() - started,
      },
      'data loaded',
    )
  }

  /** Clients are cut; what was proposed and not answered is drained, unless the disk has refused it. */
  private async end(): Promise<void> {
    const { running, storage } = this
    this.running = null
    this.metrics.unregister()
    this.clients.serve(null)
    await storage?.close()
    await this.stores?.close()
    running?.pipeline.stop()
    this.storage = null
  }

  private onRead(progress: RecoverProgress): void {
    const line = this.starting.onProgress(progress, nowMs())
    this.onProgress?.(this.starting.bar(nowMs()))
    if (line !== null) this.logger.info(line, 'loading')
  }

  private pipelineHost(): PipelineHost {
    const { logger } = this
    return {
      nowMs,
      wallMs,
      propose: (zxid, buf, off, end) => {
        this.storage!.propose(zxid, buf, off, end)
        this.turn.want()
      },
      forward: () => {},
      confirmLeading: () => true,
      audit: this.audit,
      revalidate: () => {},
      rollover: () => {},
      connection: (connId) => this.clients.connection(connId),
      sessionOpened: (conn) => {
        const session = conn.session!
        logger.debug({ session: id64Hex(session.hi, session.lo), client: conn.remoteHost }, 'session opened')
      },
      sessionEnded: (session, expired) => {
        const fields = { session: id64Hex(session.hi, session.lo) }
        if (expired) this.metrics.counters.stale_sessions_expired++
        logger.debug(fields, 'session closed')
      },
      info: (message, fields) => this.limited.write('info', message, fields),
      warn: (message, fields) => this.limited.write('warn', message, fields),
    }
  }

  /**
   * The tree becomes another one, in one step: a snapshot of it, newer than all there is, and a life that begins with it.
   * Whoever has seen this server's last zxid can come back, and learns there what became of his session.
   */
  private async restore(path: string, options: RestoreOptions): Promise<number> {
    const { config, disk, logger } = this
    const state = makeState(config, new Relay(() => {}), randomInt(2 ** 31))
    const { zxidEnd } = await readBrought(disk, path, state, lengthMaxOf(config), options)
    await rm(path) // it is all in memory, and a start would wonder about it
    const before = this.running?.state
    if (before === undefined) throw new RestoreError('it does not serve any more')
    logger.warn({ znodes: state.tree.nodeCount }, 'the data of this server is replaced by a snapshot that was sent')
    await this.lives.again(async () => {
      state.zxidLast = Math.max(before.zxidLast + 1, zxidEnd)
      const folder = join(config.dataDir, VERSION_DIR)
      await new FileSnapshotStore(disk, folder, snapshotOptions(config)).takeSnapshot(state)
    })
    return state.zxidLast
  }

  private close(): Promise<void> {
    this.closing ??= this.shutDown()
    return this.closing
  }

  private async shutDown(): Promise<void> {
    this.housekeeping.stop()
    await this.lives.close()
    await this.clients.close()
    this.folders.release()
  }
}
