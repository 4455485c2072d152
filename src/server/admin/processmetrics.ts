/**
 * Figures about the process and Node.js, and those of ours that Java has no name for. Shell.
 *
 * `process_*` are those that every client library of Prometheus has; of Java's `jvm_*` there is what means the same
 * here: memory, with the tree, which lies outside of the JavaScript heap, as `nonheap`, and the time of garbage
 * collections. `nodejs_*` are named as prom-client names them. `metricsProvider.exportJvmInfo=false` leaves all of
 * these out, as it does in Java; `zoowarden_*` stay.
 */

import { readdirSync, readFileSync } from 'node:fs'
import {
  constants,
  createHistogram,
  type IntervalHistogram,
  monitorEventLoopDelay,
  type PerformanceEntry,
  PerformanceObserver,
  type RecordableHistogram,
} from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import { openDoors } from '../config/opendoors.ts'
import type { Family, FamilyType, Sample } from '../report/prometheus.ts'
import { TURN_BOUNDS_MS } from '../report/turns.ts'
import type { AdminSource } from './source.ts'

/** The event loop is looked at so often: seldom enough to cost an idle server nothing. */
const LOOK_MS = 50
const NS = 1e9

const GC_KINDS: ReadonlyMap<number, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
])

interface Collections {
  count: number
  seconds: number
  readonly pauses: RecordableHistogram
}

export class ProcessMetrics {
  private readonly source: AdminSource
  private readonly adminDaysLeft: () => number | null
  private readonly loop: IntervalHistogram | null
  private readonly observer: PerformanceObserver | null
  private readonly collections: Map<string, Collections>

  constructor(source: AdminSource, adminDaysLeft: () => number | null) {
    this.source = source
    this.adminDaysLeft = adminDaysLeft
    this.collections = new Map()
    const exports = source.config.metricsProvider.exportJvmInfo
    this.loop = exports ? monitorEventLoopDelay({ resolution: LOOK_MS }) : null
    this.loop?.enable()
    this.observer = exports ? new PerformanceObserver((list) => list.getEntries().forEach(this.onCollection)) : null
    this.observer?.observe({ entryTypes: ['gc'] })
  }

  close(): void {
    this.loop?.disable()
    this.observer?.disconnect()
  }

  families(): Family[] {
    const ours = this.ours()
    return this.loop === null ? ours : [...ours, ...processFamilies(), ...this.nodeFamilies(this.loop)]
  }

  private readonly onCollection = (entry: PerformanceEntry): void => {
    const detail: unknown = 'detail' in entry ? entry.detail : null
    const kind = typeof detail === 'object' && detail !== null && 'kind' in detail ? Number(detail.kind) : 0
    const name = GC_KINDS.get(kind) ?? 'other'
    let known = this.collections.get(name)
    if (known === undefined) {
      known = { count: 0, seconds: 0, pauses: createHistogram() }
      this.collections.set(name, known)
    }
    known.count++
    known.seconds += entry.duration / 1000
    known.pauses.record(Math.max(1, Math.round(entry.duration * 1000)))
  }

  private ours(): Family[] {
    const { config, parts } = this.source
    const doors = openDoors(config).map(({ word }): Sample => {
      return { name: 'zoowarden_open_door', labels: [['door', word]], value: 1 }
    })
    const families: Family[] = [
      gauge('zoowarden_serving', 'Clients are served', parts.running() === null ? 0 : 1),
      { name: 'zoowarden_open_door', type: 'gauge', help: 'What the configuration leaves open', samples: doors },
    ]
    const memory = parts.running()?.state.tree.memory()
    if (memory !== undefined) {
      const held = memory.pagesBytes + memory.blobsBytes
      families.push(
        gauge('zoowarden_arena_bytes', 'Memory that holds the znodes, outside of the JavaScript heap', held),
        gauge('zoowarden_arena_free_bytes', 'Of it, free for znodes to come', memory.freeBytes),
        gauge('zoowarden_index_bytes', 'Memory of the index of paths', memory.indexBytes),
      )
    }
    families.push(...this.turns())
    if (parts.running() === null) {
      for (const [name, value] of parts.standing()?.values ?? []) families.push(gauge(name, name, Number(value)))
    }
    const days = this.tlsDays()
    if (days.length > 0) {
      families.push({ name: 'zoowarden_tls_days_left', type: 'gauge', help: 'Until a certificate ends', samples: days })
    }
    return families
  }

  private turns(): Family[] {
    const { turns } = this.source.metrics
    const name = 'zoowarden_turn_seconds'
    let count = 0
    const buckets = [...turns.counts].map((turnsOfBucket, at): Sample => {
      count += turnsOfBucket
      const bound = TURN_BOUNDS_MS[at]
      return {
        name: `${name}_bucket`,
        labels: [['le', bound === undefined ? '+Inf' : String(bound / 1000)]],
        value: count,
      }
    })
    const samples = [
      ...buckets,
      { name: `${name}_count`, value: count },
      { name: `${name}_sum`, value: turns.sumMs / 1000 },
    ]
    const longest = Object.entries(turns.takeLongest()).map(([cause, ms]): Sample => {
      return { name: 'zoowarden_turn_max_seconds', labels: [['cause', cause]], value: ms / 1000 }
    })
    const help = 'Turns of the event loop that had something to answer'
    return [
      { name, type: 'histogram', help, samples },
      { name: 'zoowarden_turn_max_seconds', type: 'gauge', help: 'The longest since the last look', samples: longest },
    ]
  }

  private tlsDays(): Sample[] {
    const found: (readonly [string, number | null])[] = [
      ['admin', this.adminDaysLeft()],
      ...this.source.parts.tlsDaysLeft(),
    ]
    return found.flatMap(([port, value]): Sample[] => {
      return value === null ? [] : [{ name: 'zoowarden_tls_days_left', labels: [['port', port]], value }]
    })
  }

  private nodeFamilies(loop: IntervalHistogram): Family[] {
    const { heapUsed, heapTotal, external, rss } = process.memoryUsage()
    const heapMax = getHeapStatistics().heap_size_limit
    const areas = (name: string, help: string, heap: number, nonheap: number): Family => {
      const sample = (area: string, value: number): Sample => ({ name, labels: [['area', area]], value })
      return { name, type: 'gauge', help, samples: [sample('heap', heap), sample('nonheap', nonheap)] }
    }
    const lag = (suffix: string, ns: number): Family =>
      gauge(`nodejs_eventloop_lag_${suffix}seconds`, 'How late the event loop was', seconds(ns - LOOK_MS * 1e6))
    const families = [
      areas('jvm_memory_bytes_used', 'Memory in use', heapUsed, external),
      areas('jvm_memory_bytes_committed', 'Memory taken from the system', heapTotal, Math.max(0, rss - heapTotal)),
      areas('jvm_memory_bytes_max', 'What it may grow to; -1: no limit', heapMax, -1),
      this.collectionFamily(),
      gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use', heapUsed),
      gauge('nodejs_heap_size_total_bytes', 'JavaScript heap taken from the system', heapTotal),
      gauge('nodejs_external_memory_bytes', 'Memory of buffers, the znodes among them', external),
      lag('', loop.mean),
      lag('min_', loop.min),
      lag('max_', loop.max),
      lag('mean_', loop.mean),
      lag('p50_', loop.percentile(50)),
      lag('p90_', loop.percentile(90)),
      lag('p99_', loop.percentile(99)),
      ...this.pauseFamilies(),
      this.versionFamily(),
    ]
    loop.reset()
    return families
  }

  private collectionFamily(): Family {
    const name = 'jvm_gc_collection_seconds'
    const samples = [...this.collections].flatMap(([kind, { count, seconds: sum }]): Sample[] => [
      { name: `${name}_count`, labels: [['gc', kind]], value: count },
      { name: `${name}_sum`, labels: [['gc', kind]], value: sum },
    ])
    return { name, type: 'summary', help: 'Time spent in garbage collections', samples }
  }

  private pauseFamilies(): Family[] {
    const name = 'nodejs_gc_pause_max_seconds'
    const samples = [...this.collections].map(([kind, { pauses }]): Sample => {
      const value = pauses.max / 1e6
      pauses.reset()
      return { name, labels: [['kind', kind]], value }
    })
    return [{ name, type: 'gauge', help: 'The longest since somebody last looked', samples }]
  }

  private versionFamily(): Family {
    const name = 'nodejs_version_info'
    return {
      name,
      type: 'gauge',
      help: 'Node.js',
      samples: [{ name, labels: [['version', process.version]], value: 1 }],
    }
  }
}

function processFamilies(): Family[] {
  const { user, system } = process.cpuUsage()
  const startS = Date.now() / 1000 - process.uptime()
  const status = procStatus()
  const families = [
    family(
      'process_cpu_seconds_total',
      'counter',
      'Total user and system CPU time spent in seconds.',
      (user + system) / 1e6,
    ),
    gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', startS),
    gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', process.memoryUsage.rss()),
  ]
  if (status === null) return families
  families.push(
    gauge('process_virtual_memory_bytes', 'Virtual memory size in bytes.', status.virtualBytes),
    gauge('process_open_fds', 'Number of open file descriptors.', status.openFds),
    gauge('process_max_fds', 'Maximum number of open file descriptors.', status.maxFds),
  )
  return families
}

/** Null where the system has no such files. */
function procStatus(): { virtualBytes: number; openFds: number; maxFds: number } | null {
  try {
    const virtual = /^VmSize:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return {
      virtualBytes: Number(virtual?.[1] ?? 0) * 1024,
      openFds: readdirSync('/proc/self/fd').length,
      maxFds: Number(limit?.[1] ?? -1),
    }
  } catch {
    return null
  }
}

function gauge(name: string, help: string, value: number): Family {
  return family(name, 'gauge', help, value)
}

function family(name: string, type: FamilyType, help: string, value: number): Family {
  return { name, type, help, samples: [{ name, value }] }
}

/** Of nanoseconds; an event loop that was never looked at was never late. */
function seconds(ns: number): number {
  return Number.isNaN(ns) || ns < 0 ? 0 : ns / NS
}
