/**
 * Composition root of a standalone server: configuration, recovery, state machine, pipeline, listener, timers.
 *
 * Everything with a clock, a file or a socket is put together here; what it feeds is pure.
 * Java: ZooKeeperServerMain, ZooKeeperServer.startup.
 */

import { createHash, randomInt } from 'node:crypto'
import { type ApplySink, StateMachine } from '../datatree/apply.ts'
import type { WatchSink } from '../datatree/watches.ts'
import { OpCode } from '../jute/codes.ts'
import { StorageError } from '../jute/errors.ts'
import { id64Hex } from '../jute/id64.ts'
import { Output } from '../jute/output.ts'
import { type Zxid, zxidHex } from '../jute/zxid.ts'
import { type Disk, nodeDisk } from '../txnlog/disk.ts'
import { FileSnapshotStore } from '../txnlog/filestore.ts'
import { type FolderLock, lockFolders } from '../txnlog/lock.ts'
import { purge } from '../txnlog/purge.ts'
import { prepareFolders, RECOVER_DEFAULTS, recover } from '../txnlog/recover.ts'
import { Auth } from './auth.ts'
import { Clients } from './clients.ts'
import type { Config } from './config.ts'
import { reapable } from './containers.ts'
import { enabledWords } from './fourletter.ts'
import type { Logger } from './logger.ts'
import { LogLimit } from './loglimit.ts'
import { Metrics } from './metrics.ts'
import { Pipeline, type PipelineHost } from './pipeline.ts'
import { ExitCode, ExitError, type RunningServer } from './running.ts'
import { Sessions } from './sessions.ts'
import { Storage } from './storage.ts'
import { Throttle } from './throttle.ts'
import { Turn } from './turn.ts'
import { makeGaugeSets, makeGauges, makeView, type ViewParts } from './view.ts'

/** Id of a standalone server, in the top byte of its session ids (Java: ServerConfig's default). */
const STANDALONE_SERVER_ID = 1
/** How often idle connections are looked for. */
const SWEEP_MS = 1000

export async function startServer(config: Config, logger: Logger): Promise<RunningServer> {
  return new StandaloneServer(config, logger).start()
}

const nowMs = (): number => Math.floor(performance.now())
const wallMs = (): number => Date.now()

class StandaloneServer {
  private readonly config: Config
  private readonly logger: Logger
  private readonly metrics: Metrics
  private readonly turn: Turn
  private readonly clients: Clients
  private readonly failure: PromiseWithResolvers
  private running: { state: StateMachine; pipeline: Pipeline; sessions: Sessions } | null
  private storage: Storage | null
  private lock: FolderLock | null
  private port: number
  private readonly timers: NodeJS.Timeout[]
  private readonly logLimit: LogLimit
  private lastTickMs: number
  private closing: Promise<void> | null

  constructor(config: Config, logger: Logger) {
    this.config = config
    this.logger = logger
    this.metrics = new Metrics(Math.random)
    this.turn = new Turn(() => {
      this.storage?.flush()
      this.clients.flush()
    })
    this.failure = withResolvers()
    this.running = null
    this.storage = null
    this.lock = null
    this.port = 0
    this.timers = []
    this.logLimit = new LogLimit()
    this.lastTickMs = nowMs()
    this.closing = null
    const view = makeView(this.viewParts(() => this.clients))
    this.clients = new Clients(
      {
        nowMs,
        wallMs,
        serving: () => this.running !== null,
        view: () => view,
        info: (message, fields) => logger.debug(fields, message),
        warn: (message, fields) => this.warnOfClient(message, fields),
      },
      this.turn,
      this.metrics,
      {
        juteMaxBufferBytes: config.juteMaxBufferBytes,
        maxClientCnxns: config.maxClientCnxns,
        maxCnxns: config.maxCnxns,
        sessionlessTimeoutMs: config.sessionlessCnxnTimeoutMs,
        tcpKeepAlive: config.clientTcpKeepAlive,
        fourLetterWords: enabledWords(config.fourLetterWhitelist, config.readonlyModeEnabled),
      },
    )
  }

  private viewParts(clients: () => Clients): ViewParts {
    const running = (): { state: StateMachine; pipeline: Pipeline; sessions: Sessions } | null => this.running
    const port = (): number => this.port
    return {
      config: this.config,
      metrics: this.metrics,
      get clients() {
        return clients()
      },
      startedMs: nowMs(),
      port,
      nowMs,
      wallMs,
      running,
    }
  }

  async start(): Promise<RunningServer> {
    const { config } = this
    const address = config.clientAddress
    if (address === null) throw new ExitError(ExitCode.invalidInvocation, 'clientPort is not set')
    // Listening comes first: a port that is taken must not cost a long recovery, and words are answered meanwhile.
    this.port = await this.clients.listen(address.host, address.port, backlogOf(config))
    try {
      await this.recover()
    } catch (err) {
      await this.clients.close()
      this.lock?.release()
      throw err
    }
    return { port: this.port, close: () => this.close(), failed: this.failure.promise }
  }

  private async recover(): Promise<void> {
    const { config, logger, metrics } = this
    const started = nowMs()
    const disk = nodeDisk()
    const relay = new Relay((zxid) => {
      metrics.counters.digest_mismatches_count++
      logger.warn({ zxid: zxidText(zxid) }, 'the tree is not what the author of this transaction had: digests differ')
    })
    const snapshots = {
      compression: config.snapshotCompression,
      digest: config.treeDigestEnabled,
      lastZxid: config.serializeLastProcessedZxid,
    }
    const { snapDir, logDir } = await this.ownFolders(disk)
    const lengthMax = config.juteMaxBufferBytes + config.juteExtraBytes
    const recovered = await recover(
      disk,
      config,
      () => makeState(config, relay),
      {
        ...RECOVER_DEFAULTS,
        trustEmpty: config.snapshotTrustEmpty,
        dbAutocreate: config.dbAutocreate,
        dirAutocreate: config.dataDirAutocreate,
        lengthMax,
        snapshot: snapshots,
      },
      ({ kind, file, message }) => {
        const ordinary = kind === 'snapshotLoaded' || kind === 'emptyDatabase'
        logger[ordinary ? 'info' : 'warn']({ file }, message)
      },
    )
    const { state } = recovered
    if (recovered.zxidLast < 0) state.zxidLast = 0
    metrics.basic.dbinittime.add(nowMs() - started)
    const sessions = new Sessions(config.tickTimeMs, STANDALONE_SERVER_ID, wallMs(), nowMs())
    state.sessions.forEach((timeoutMs, hi, lo) => {
      sessions.track(hi, lo, timeoutMs, nowMs())
    })
    const auth = new Auth(state.tree.acls, {
      skipACL: config.skipACL,
      superDigest: config.superDigest?.reveal() ?? null,
      digestAuthEnabled: config.digestAuthEnabled,
      digest: digester(config.digestAlg),
      aclBytesMax: config.juteMaxBufferBytes,
      ensembleNames: config.authProviders.some(({ scheme }) => scheme === 'ensemble') ? config.ensembleAuthNames : null,
      enforcedSchemes: config.enforceAuthEnabled ? config.enforceAuthSchemes : [],
    })
    const orphans = state.removeOrphans()
    const throttle = new Throttle(config.connectionThrottle, Math.random, nowMs())
    const pipeline = new Pipeline(state, auth, sessions, metrics, throttle, this.pipelineHost(), {
      extendedTypes: config.extendedTypesEnabled,
      enforceQuota: config.enforceQuota,
      closeSessionTxn: config.closeSessionTxnEnabled,
      digest: config.treeDigestEnabled,
      reconfigEnabled: config.quorum.reconfigEnabled,
      juteLengthMax: lengthMax,
      sessionTimeoutMinMs: config.sessionTimeoutMinMs,
      sessionTimeoutMaxMs: config.sessionTimeoutMaxMs,
      outstandingLimit: config.globalOutstandingLimit,
      requestThrottleMax: config.requestThrottleMaxRequests,
      largeRequestBytes: config.largeRequestThresholdBytes,
      largeRequestsBytesMax: config.largeRequestMaxBytes,
    })
    relay.pipeline = pipeline
    const store = new FileSnapshotStore(disk, snapDir, snapshots)
    this.storage = new Storage(disk, logDir, store, state, recovered.txnsReplayed, config, metrics, {
      deliver: (zxid, buf, off, end) => pipeline.deliver(zxid, buf, off, end),
      failed: (err) => this.fail(err),
      random: Math.random,
      info: (message, fields) => logger.info(fields, message),
      warn: (message, fields) => logger.warn(fields, message),
    })
    // What was removed without a transaction must not come back with the next replay.
    if (orphans > 0) {
      logger.warn({ znodes: orphans }, 'removed ephemeral znodes of sessions that do not exist')
      await this.storage.snapshot()
    }
    this.running = { state, pipeline, sessions }
    const parts = this.viewParts(() => this.clients)
    metrics.register(makeGauges(parts), makeGaugeSets(parts))
    this.clients.serve(pipeline)
    this.startTimers(pipeline, sessions, state)
    this.startPurge(disk)
    logger.info(
      {
        zxid: zxidText(state.zxidLast),
        znodes: state.tree.nodeCount,
        sessions: sessions.count,
        snapshot: zxidText(recovered.snapshotZxid),
        txnsReplayed: recovered.txnsReplayed,
        ms: nowMs() - started,
      },
      'data loaded',
    )
  }

  /** Makes the data folders and takes them for this process alone. */
  private async ownFolders(disk: Disk): Promise<{ snapDir: string; logDir: string }> {
    const { config, logger } = this
    try {
      const folders = await prepareFolders(disk, config, config.dataDirAutocreate)
      this.lock = await lockFolders([folders.snapDir, folders.logDir], (message) => logger.warn(message))
      return folders
    } catch (err) {
      if (!(err instanceof StorageError)) throw err
      throw new ExitError(ExitCode.dataDirInaccessible, err.message)
    }
  }

  private startPurge(disk: Disk): void {
    const { config, logger } = this
    if (config.purgeIntervalHours <= 0) return
    const run = (): void => {
      purge(disk, config, config.snapRetainCount).then(
        (purged) => {
          if (purged.removed.length > 0) logger.info({ files: purged.removed.length }, 'old snapshots and logs purged')
        },
        (err: unknown) => logger.warn({ err }, 'purge failed'),
      )
    }
    run()
    this.every(config.purgeIntervalHours * 3_600_000, run)
  }

  /** What a client has done wrong: worth a line, but not as many as the client likes. */
  private warnOfClient(message: string, fields: Record<string, unknown>): void {
    const leftOut = this.logLimit.admit(message, nowMs())
    if (leftOut === 0) this.logger.warn(fields, message)
    else if (leftOut > 0) this.logger.warn({ ...fields, leftOut }, message)
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
      connection: (connId) => this.clients.connection(connId),
      sessionOpened: (conn) => {
        const session = conn.session!
        logger.debug({ session: id64Hex(session.hi, session.lo), client: conn.remoteHost }, 'session opened')
      },
      sessionEnded: (session, expired) => {
        const fields = { session: id64Hex(session.hi, session.lo) }
        if (expired) {
          this.metrics.counters.stale_sessions_expired++
          logger.info(fields, 'session expired')
        } else {
          logger.debug(fields, 'session closed')
        }
      },
      info: (message, fields) => logger.info(fields, message),
      warn: (message, fields) => this.warnOfClient(message, fields),
    }
  }

  private startTimers(pipeline: Pipeline, sessions: Sessions, state: StateMachine): void {
    const { config } = this
    const tickMs = Math.max(Math.min(config.tickTimeMs / 2, SWEEP_MS), 10)
    let sweptMs = nowMs()
    this.lastTickMs = sweptMs
    this.every(tickMs, () => {
      const now = nowMs()
      // Stopped, swapped out or stalled for longer than a tick: nobody could have been heard meanwhile.
      if (now - this.lastTickMs > config.tickTimeMs + tickMs) {
        this.logger.warn({ pauseMs: now - this.lastTickMs }, 'this process was paused: sessions get a full timeout')
        this.metrics.advanced.jvm_pause_time_ms.add(now - this.lastTickMs)
        sessions.grantFullTimeouts(now)
        this.clients.onPaused(now)
      }
      this.lastTickMs = now
      pipeline.onTick(now)
      if (now - sweptMs >= SWEEP_MS) {
        sweptMs = now
        this.clients.onSweep(now)
      }
    })
    this.startReaper(pipeline, state)
  }

  /** Containers and TTL znodes: looked for at an interval, deleted at a bounded rate. */
  private startReaper(pipeline: Pipeline, state: StateMachine): void {
    const { containerCheckIntervalMs, containerMaxPerMinute, containerMaxNeverUsedIntervalMs } = this.config
    let queue: Uint8Array[] = []
    const gapMs = 60_000 / containerMaxPerMinute
    let allowance = 0
    let lastMs = nowMs()
    const body = new Output(256)
    const drain = (): void => {
      const now = nowMs()
      allowance = Math.min(allowance + (now - lastMs) / gapMs, Math.max(1, 1000 / gapMs))
      lastMs = now
      while (queue.length > 0 && allowance >= 1) {
        allowance--
        body.clear()
        body.buffer(queue.shift()!)
        pipeline.submitInternal(OpCode.deleteContainer, 0, 0, body.copy())
      }
      if (queue.length > 0) this.timers.push(setTimeout(drain, Math.max(gapMs, 10)))
    }
    this.every(containerCheckIntervalMs, () => {
      if (queue.length > 0) return
      queue = reapable(state.tree, wallMs(), containerMaxNeverUsedIntervalMs)
      if (queue.length > 0) drain()
    })
  }

  private every(ms: number, run: () => void): void {
    this.timers.push(setInterval(run, ms))
  }

  private fail(err: Error): void {
    this.failure.resolve(err)
  }

  private close(): Promise<void> {
    this.closing ??= this.shutDown()
    return this.closing
  }

  private async shutDown(): Promise<void> {
    for (const timer of this.timers) clearTimeout(timer)
    this.running = null
    this.metrics.unregister()
    await this.clients.close()
    await this.storage?.close()
    this.lock?.release()
  }
}

/** Sinks that the state machine is born with, before the pipeline that answers them exists. */
class Relay {
  pipeline: Pipeline | null
  private readonly onDigestMismatch: (zxid: Zxid) => void

  constructor(onDigestMismatch: (zxid: Zxid) => void) {
    this.pipeline = null
    this.onDigestMismatch = onDigestMismatch
  }

  readonly watches: WatchSink = {
    onWatch: (conn, type, zxid, path, off, end, aclId) =>
      this.pipeline?.onWatch(conn, type, zxid, path, off, end, aclId),
  }
  readonly apply: ApplySink = {
    onResult: (index, type, err, node) => this.pipeline?.applySink.onResult(index, type, err, node),
    onSessionCreated: (hi, lo, timeoutMs) => this.pipeline?.applySink.onSessionCreated(hi, lo, timeoutMs),
    onSessionClosed: (hi, lo) => this.pipeline?.applySink.onSessionClosed(hi, lo),
    // Counted during recovery as well, when there is no pipeline yet.
    onDigestMismatch: (zxid) => this.onDigestMismatch(zxid),
  }
}

function makeState(config: Config, relay: Relay): StateMachine {
  return new StateMachine(relay.watches, relay.apply, {
    digest: config.treeDigestEnabled,
    hashSeed: randomInt(2 ** 31),
    extendedTypes: config.extendedTypesEnabled,
    emulate353: config.emulate353TTLNodes,
  })
}

/** `user:password` to the id that ACLs carry. */
function digester(algorithm: string): (idPassword: string) => string {
  return (idPassword) => {
    const colon = idPassword.indexOf(':')
    const user = colon < 0 ? idPassword : idPassword.slice(0, colon)
    return `${user}:${createHash(algorithm).update(idPassword, 'utf8').digest('base64')}`
  }
}

function backlogOf(config: Config): number {
  return config.clientPortListenBacklog > 0 ? config.clientPortListenBacklog : 511
}

interface PromiseWithResolvers {
  readonly promise: Promise<Error>
  resolve(err: Error): void
}

function withResolvers(): PromiseWithResolvers {
  let resolve: (err: Error) => void = () => {}
  const promise = new Promise<Error>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

/** A zxid as operators know it. */
function zxidText(zxid: number): string {
  return `0x${zxidHex(zxid)}`
}
