/** JSON and Prometheus text, as Jackson and Java's client write them (taken down from a 3.9.5). */

import { describe, expect, it } from 'vitest'
import { Double, Fieldset, fieldset, type Json, jsonPieces, List } from '../../../../src/server/admin/json.ts'
import { RateLimit } from '../../../../src/server/admin/ratelimit.ts'
import { isSecretKey, maskSecrets } from '../../../../src/server/config/secrets.ts'
import { Metrics } from '../../../../src/server/report/metrics.ts'
import { prometheusText } from '../../../../src/server/report/prometheus.ts'

const text = (value: Json): string => [...jsonPieces(value)].join('')

describe('JSON', () => {
  it('is indented as by Jackson, with long numbers whole', () => {
    const value = new Fieldset([
      ['connections', new List([fieldset({ session_id: 72059404344033280n, last_operation: 'GETD' })])],
      ['secure_connections', new List([])],
      ['current_config', new Fieldset([])],
      ['avg_latency', new Double(0)],
      ['q', new Double(Number.NaN)],
      ['paths', new List(['/zz"q', '/b\u0007'])],
      ['error', null],
    ])
    expect(text(value)).toBe(
      '{\n  "connections" : [ {\n    "session_id" : 72059404344033280,\n    "last_operation" : "GETD"\n  } ],\n' +
        '  "secure_connections" : [ ],\n  "current_config" : { },\n  "avg_latency" : 0.0,\n  "q" : "NaN",\n' +
        '  "paths" : [ "/zz\\"q", "/b\\u0007" ],\n  "error" : null\n}',
    )
  })
})

describe('Prometheus text', () => {
  const metrics = new Metrics(() => 0.5, true)
  metrics.counters.response_bytes += 3817
  metrics.basic.prep_process_time.add(0)
  for (const ms of [1, 8, 26]) metrics.advanced.propagation_latency.add(ms)
  metrics.addQuotaExceeded('a"b\\')
  const all = [...prometheusText(metrics, [])].join('')

  it('has families as Java writes them', () => {
    expect(all).toContain(
      '# HELP response_bytes response_bytes\n# TYPE response_bytes counter\nresponse_bytes 3817.0\n',
    )
    expect(all).toContain(
      '# TYPE prep_process_time summary\nprep_process_time{quantile="0.5",} 0.0\nprep_process_time_count 1.0\nprep_process_time_sum 0.0\n',
    )
    expect(all).toMatch(/propagation_latency\{quantile="0\.5",\} 8\.0\n/)
    expect(all).toContain('propagation_latency_count 3.0\npropagation_latency_sum 35.0\n')
    expect(all).toContain('readlatency{quantile="0.99",} NaN\n')
    expect(all).toContain('quota_exceeded_error_per_namespace{key="a\\"b\\\\",} 1.0\n')
  })

  it('is of the names alone that somebody asks for', () => {
    expect([...prometheusText(metrics, [], new Set(['response_bytes']))].join('')).toBe(
      '# HELP response_bytes response_bytes\n# TYPE response_bytes counter\nresponse_bytes 3817.0\n',
    )
  })

  it('has quantiles of the last while alone, and counts of all time', () => {
    const aging = new Metrics(() => 0.5, true)
    aging.advanced.readlatency.add(1000)
    aging.age()
    aging.advanced.readlatency.add(1)
    aging.age()
    expect(aging.advanced.readlatency.quantiles([0.99])).toEqual([1])
    expect(aging.advanced.readlatency.count).toBe(2)
  })

  it('keeps its counters over srst, as Java does with this provider', () => {
    metrics.reset()
    expect(metrics.counters.response_bytes).toBe(3817)
  })
})

describe('one a while', () => {
  it('is what the limit lets through', () => {
    const limit = new RateLimit(300, 0)
    expect([1, 2, 300, 301, 302].map((ms) => limit.allow(ms))).toEqual([true, false, false, true, false])
  })
})

describe('X10: a configuration is shown without its secrets', () => {
  it('whatever way they are written', () => {
    const shown = maskSecrets(
      '# superDigest=in a comment\nclientPort=1\nDigestAuthenticationProvider.superDigest=super:aaa\n' +
        'ssl.keyStore.password : bb\\\n  b\nssl.quorum.trustStore.passwordPath=/file\nadmin.tok\\u0065n=ccc\n',
    )
    expect(shown).toBe(
      '# superDigest=in a comment\nclientPort=1\nDigestAuthenticationProvider.superDigest=***\n' +
        'ssl.keyStore.password=***\nssl.quorum.trustStore.passwordPath=/file\nadmin.token=***\n',
    )
    expect(['ssl.keyStore.passwordPath', 'admin.tokenPath', 'sessionPassword.keyFile'].some(isSecretKey)).toBe(false)
  })
})
