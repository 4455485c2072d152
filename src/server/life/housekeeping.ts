/**
 * What a server does by the clock: sessions, idle connections, pauses of its own, containers and TTL znodes, purging.
 *
 * Shell: owns the timers. Java: SessionTrackerImpl.run, ContainerManager, DatadirCleanupManager, JvmPauseMonitor.
 */

import type { StateMachine } from '../../datatree/apply.ts'
import { OpCode } from '../../jute/codes.ts'
import { Output } from '../../jute/output.ts'
import type { Disk } from '../../txnlog/disk.ts'
import { type PurgeCheckpoint, purge } from '../../txnlog/purge.ts'
import type { Clients } from '../clients/clients.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../report/logger.ts'
import type { Metrics } from '../report/metrics.ts'
import { reapable } from '../requests/containers.ts'
import type { Pipeline } from '../requests/pipeline.ts'
import type { Sessions } from '../requests/sessions.ts'
import { lengthMaxOf } from './parts.ts'

/** How often idle connections are looked for. */
const SWEEP_MS = 1000

export interface HousekeepingHost {
  nowMs(): number
  wallMs(): number
  /** Whether files may be removed: not while they are read for a start. */
  mayPurge(): boolean
  /** Expires sessions. */
  tick(nowMs: number): void
  /** Null while nobody is served. */
  sessions(): Sessions | null
  /** A checkpoint that takes the place of older files; null where files alone count. */
  checkpoint(): PurgeCheckpoint | null
  /** Where znodes are reaped: standalone and leader; null elsewhere. */
  reaper(): { readonly pipeline: Pipeline; readonly state: StateMachine } | null
}

export class Housekeeping {
  private readonly config: Config
  private readonly logger: Logger
  private readonly metrics: Metrics
  private readonly clients: Clients
  private readonly host: HousekeepingHost
  private readonly intervals: NodeJS.Timeout[]
  private reapTimer: NodeJS.Timeout | null
  private purging: Promise<void>

  constructor(config: Config, logger: Logger, metrics: Metrics, clients: Clients, host: HousekeepingHost) {
    this.config = config
    this.logger = logger
    this.metrics = metrics
    this.clients = clients
    this.host = host
    this.intervals = []
    this.reapTimer = null
    this.purging = Promise.resolve()
  }

  start(disk: Disk): void {
    this.startTicks()
    this.startReaper()
    this.startPurge(disk)
  }

  stop(): void {
    for (const timer of this.intervals) clearInterval(timer)
    if (this.reapTimer !== null) clearTimeout(this.reapTimer)
  }

  private every(ms: number, run: () => void): void {
    this.intervals.push(setInterval(run, ms))
  }

  private startTicks(): void {
    const { config, host } = this
    const tickMs = Math.max(Math.min(config.tickTimeMs / 2, SWEEP_MS), 10)
    let sweptMs = host.nowMs()
    let lastMs = sweptMs
    this.every(tickMs, () => {
      const now = host.nowMs()
      const pauseMs = now - lastMs
      lastMs = now
      // Stopped, swapped out or stalled for longer than a tick: nobody could have been heard meanwhile.
      if (pauseMs > config.tickTimeMs + tickMs) {
        const forgiven = !config.compat.pauses
        this.logger.warn(
          { pauseMs },
          `this process was paused: sessions ${forgiven ? 'get a full timeout' : 'may expire'}`,
        )
        this.metrics.advanced.jvm_pause_time_ms.add(pauseMs)
        if (forgiven) {
          host.sessions()?.grantFullTimeouts(now)
          this.clients.onPaused(now)
        }
      }
      host.tick(now)
      if (now - sweptMs >= SWEEP_MS) {
        sweptMs = now
        this.clients.onSweep(now)
      }
    })
  }

  /** Containers and TTL znodes: looked for at an interval, deleted at a bounded rate. */
  private startReaper(): void {
    const { host } = this
    const { containerCheckIntervalMs, containerMaxPerMinute, containerMaxNeverUsedIntervalMs } = this.config
    let queue: Uint8Array[] = []
    const gapMs = 60_000 / containerMaxPerMinute
    let allowance = 0
    let lastMs = host.nowMs()
    const body = new Output(256)
    const drain = (): void => {
      const pipeline = host.reaper()?.pipeline
      if (pipeline === undefined) queue = [] // not the leader any more
      const now = host.nowMs()
      allowance = Math.min(allowance + (now - lastMs) / gapMs, Math.max(1, 1000 / gapMs))
      lastMs = now
      while (queue.length > 0 && allowance >= 1) {
        allowance--
        body.clear()
        body.buffer(queue.shift()!)
        pipeline!.submitInternal(OpCode.deleteContainer, 0, 0, body.copy())
      }
      if (queue.length > 0) this.reapTimer = setTimeout(drain, Math.max(gapMs, 10))
    }
    this.every(containerCheckIntervalMs, () => {
      const reaper = host.reaper()
      if (queue.length > 0 || reaper === null) return
      queue = reapable(reaper.state.tree, host.wallMs(), containerMaxNeverUsedIntervalMs)
      if (queue.length > 0) drain()
    })
  }

  private startPurge(disk: Disk): void {
    if (this.config.purgeIntervalHours <= 0) return
    const run = (): void => {
      if (this.host.mayPurge()) void this.purge(disk)
    }
    run()
    this.every(this.config.purgeIntervalHours * 3_600_000, run)
  }

  /** Removes what nobody needs, if the operator wants that done at all. One at a time. */
  purge(disk: Disk): Promise<void> {
    const { config, logger } = this
    if (config.purgeIntervalHours <= 0) return Promise.resolve()
    this.purging = this.purging.then(async () => {
      try {
        const checkpoint = this.host.checkpoint()
        const { removed } = await purge(
          disk,
          config,
          config.snapRetainCount,
          new Set(),
          lengthMaxOf(config),
          checkpoint,
        )
        if (removed.length > 0) logger.info({ files: removed.length }, 'old snapshots and logs purged')
      } catch (err) {
        logger.warn({ err }, 'purge failed')
      }
    })
    return this.purging
  }

  /** No purge is under way any more. */
  whenPurged(): Promise<void> {
    return this.purging
  }
}
