/** Metric names and figures, against `mntr` of a real 3.9.5 and the arithmetic of its counters. */

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { formatDouble, type GaugeSets, type Gauges, Metrics } from '../../../src/server/report/metrics.ts'
import {
  KEYS_MAX,
  KeyedSummaries,
  NamespaceSummaries,
  PercentileSummary,
  Summary,
} from '../../../src/server/report/summaries.ts'

function mntr(name: string): Map<string, string> {
  const text = readFileSync(new URL(`./fixtures/fourletter/${name}.txt`, import.meta.url), 'utf8')
  return new Map(
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t') as [string, string]),
  )
}

const gauges: Gauges = {
  avg_latency: () => 0,
  connection_drop_probability: () => 0,
  max_latency: () => 0,
  min_latency: () => 0,
  packets_received: () => 0,
  packets_sent: () => 0,
  num_alive_connections: () => 1,
  outstanding_requests: () => 0,
  uptime: () => 5,
  znode_count: () => 5,
  watch_count: () => 0,
  ephemerals_count: () => 0,
  approximate_data_size: () => 44,
  global_sessions: () => 0,
  local_sessions: () => 0,
  open_file_descriptor_count: () => 50,
  max_file_descriptor_count: () => 20_000,
  last_client_response_size: () => -1,
  max_client_response_size: () => -1,
  min_client_response_size: () => -1,
  outstanding_tls_handshake: () => 0,
  auth_failed_count: () => 0,
  non_mtls_remote_conn_count: () => 0,
  non_mtls_local_conn_count: () => 0,
}

const noQuotas: GaugeSets = {
  quota_count_limit_per_namespace: () => [],
  quota_bytes_limit_per_namespace: () => [],
  quota_count_usage_per_namespace: () => [],
  quota_bytes_usage_per_namespace: () => [],
}

function dump(metrics: Metrics): Map<string, string> {
  const values = new Map<string, string>()
  metrics.dump((name, value, double) => values.set(`zk_${name}`, double ? formatDouble(value) : String(value)))
  return values
}

function path(text: string): [Uint8Array, number, number] {
  const padded = new TextEncoder().encode(`xx${text}yy`)
  return [padded, 2, padded.length - 2]
}

describe('names', () => {
  test('a fresh server prints exactly the names of a fresh 3.9.5, integers and doubles where that does', () => {
    const java = mntr('mntr-fresh')
    const metrics = new Metrics(Math.random)
    metrics.register(gauges, noQuotas)
    const ours = dump(metrics)
    java.delete('zk_version')
    java.delete('zk_server_state')
    expect([...ours.keys()].sort()).toEqual([...java.keys()].sort())
    for (const [name, value] of ours) expect(value.includes('.'), name).toBe(java.get(name)!.includes('.'))
  })

  test('keys go in front of the name of a set: namespaces and quotas', () => {
    const metrics = new Metrics(Math.random)
    metrics.register(gauges, { ...noQuotas, quota_count_limit_per_namespace: () => [['w', 100]] })
    metrics.writePerNamespace.add(...path('/w/eph'), 5)
    metrics.addQuotaExceeded('w')
    const ours = dump(metrics)
    expect(ours.get('zk_w_quota_count_limit_per_namespace')).toBe('100')
    expect(ours.get('zk_cnt_w_write_per_namespace')).toBe('1')
    expect(ours.get('zk_w_quota_exceeded_error_per_namespace')).toBe('1')
    expect(mntr('mntr').has('zk_cnt_w_write_per_namespace')).toBe(true)
    expect(mntr('mntr').has('zk_w_quota_count_limit_per_namespace')).toBe(true)
  })

  test('a server that stopped serving has no gauges, and keeps its counters', () => {
    const metrics = new Metrics(Math.random)
    metrics.register(gauges, noQuotas)
    metrics.counters.commit_count++
    metrics.unregister()
    const ours = dump(metrics)
    expect(ours.has('zk_znode_count')).toBe(false)
    expect(ours.get('zk_commit_count')).toBe('1')
  })
})

describe('figures', () => {
  test('a summary without values prints zeros', () => {
    const values: Record<string, number> = {}
    new Summary().dump('x', (name, value) => {
      values[name] = value
    })
    expect(values).toEqual({ avg_x: 0, min_x: 0, max_x: 0, cnt_x: 0, sum_x: 0 })
  })

  test('an average has four decimals', () => {
    const summary = new Summary()
    for (const value of [1, 1, 2]) summary.add(value)
    expect(summary.average).toBe(1.3333)
    expect([summary.min, summary.max, summary.count, summary.sum]).toEqual([1, 2, 3, 4])
  })

  test('doubles are printed as by Double.toString', () => {
    expect([0, 1, 1.5212, 0.006, 0.0005, 12_345_678, 1e7, 9_999_999.5, -2, 1e21].map(formatDouble)).toEqual([
      '0.0',
      '1.0',
      '1.5212',
      '0.006',
      '5.0E-4',
      '1.2345678E7',
      '1.0E7',
      '9999999.5',
      '-2.0',
      '1.0E21',
    ])
  })

  test('percentiles interpolate between neighbours as those of UniformSnapshot', () => {
    const summary = new PercentileSummary(Math.random)
    for (let value = 1; value <= 100; value++) summary.add(value)
    expect(summary.quantiles([0.5, 0.95, 0.99, 0.999, 0])!.map((value) => Number(value.toFixed(9)))).toEqual([
      50.5, 95.95, 99.99, 100, 1,
    ])
    const values: Record<string, number> = {}
    summary.dump('x', (name, value) => {
      values[name] = value
    })
    expect(values).toMatchObject({ p50_x: 51, p95_x: 96, p99_x: 100, p999_x: 100, cnt_x: 100, avg_x: 50.5 })
  })

  test('a full reservoir keeps a fair sample: each later value replaces one with probability 4096/n', () => {
    let state = 1
    const random = () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return state / 2 ** 32
    }
    const summary = new PercentileSummary(random)
    for (let value = 0; value < 100_000; value++) summary.add(value)
    const [median] = summary.quantiles([0.5])!
    expect(median).toBeGreaterThan(46_000)
    expect(median).toBeLessThan(54_000)
  })

  test('a namespace is the first segment of a path; the root has none', () => {
    const set = new NamespaceSummaries()
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 12; i++) set.add(...path(`/n${i}/child`), i)
      set.add(...path('/n1'), 100)
      set.add(...path('/'), 1)
    }
    const values = new Map<string, number>()
    set.dump('read_per_namespace', (name, value) => values.set(name, value))
    expect(values.size).toBe(12 * 5)
    expect(values.get('cnt_n1_read_per_namespace')).toBe(6)
    expect(values.get('sum_n1_read_per_namespace')).toBe(303)
    expect(values.get('sum_n11_read_per_namespace')).toBe(33)
  })

  test('a set has a limit: clients cannot make it grow without end', () => {
    const set = new KeyedSummaries(() => new Summary())
    for (let i = 0; i < KEYS_MAX + 500; i++) set.of(`k${i}`).add(1)
    expect(set.of('k1').count).toBe(1)
    expect(set.of('_other').count).toBe(500)
  })
})

describe('srst', () => {
  test('starts every counter and summary at zero, as the real one does, and leaves gauges alone', () => {
    const metrics = new Metrics(Math.random)
    metrics.register(gauges, noQuotas)
    metrics.counters.response_bytes += 9
    metrics.basic.fsynctime.add(3)
    metrics.writePerNamespace.add(...path('/w'), 3)
    metrics.addQuotaExceeded('w')
    metrics.addLatency(4, true)
    metrics.addLatency(5, false)
    metrics.responseSizes.add(20)
    metrics.packetsReceived = 7
    metrics.authFailedCount = 2
    metrics.reset()
    const java = mntr('mntr-after-srst')
    const ours = dump(metrics)
    for (const name of [
      'zk_response_bytes',
      'zk_cnt_fsynctime',
      'zk_max_updatelatency',
      'zk_cnt_w_write_per_namespace',
    ]) {
      expect(ours.get(name), name).toBe('0')
    }
    expect(ours.get('zk_p99_readlatency')).toBe('0')
    expect(java.get('zk_cnt_fsynctime')).toBe('0')
    expect(java.get('zk_cnt_w_write_per_namespace')).toBe('0')
    expect(java.get('zk_cnt_updatelatency')).toBe('0')
    expect(ours.get('zk_w_quota_exceeded_error_per_namespace')).toBe('0')
    expect([metrics.packetsReceived, metrics.latencyMs.count, metrics.responseSizes.last]).toEqual([0, 0, -1])
    expect(metrics.authFailedCount).toBe(2)
    expect(ours.get('zk_znode_count')).toBe('5')
  })
})
