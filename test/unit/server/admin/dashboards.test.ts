/** Dashboard and alert rules against live endpoints: an expression about a metric that nobody writes would never tell. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Running } from './running.ts'

const conf = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../../conf/${name}`, import.meta.url)), 'utf8')

/** Functions and words of PromQL, and the labels in braces, are no metrics. */
const WORDS = new Set(['sum', 'max', 'count', 'rate', 'increase', 'floor', 'unless', 'and', 'by', 'label_values'])
/** Prometheus writes it, or there is none before something has happened. */
const ELSEWHERE = new Set(['up', 'zoowarden_tls_days_left'])

function metricsIn(expression: string): string[] {
  const bare = expression.replace(/\{[^}]*\}/g, '').replace(/\[[^\]]*\]/g, '')
  return [...bare.matchAll(/[a-z_][a-z0-9_]*/g)].map(([word]) => word).filter((word) => !WORDS.has(word))
}

let names: Set<string>
const servers: Running[] = []

beforeAll(async () => {
  servers.push(await Running.start(), await Running.start('', { member: true }))
  names = new Set()
  for (const server of servers) {
    for (const [, family, type] of (await server.scrape()).matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
      names.add(family!)
      if (type !== 'summary' && type !== 'histogram') continue
      names.add(`${family}_count`).add(`${family}_sum`)
    }
  }
})
afterAll(() => Promise.all(servers.map((server) => server.stop())))

describe('conf/grafana/zoowarden.json', () => {
  const panels = JSON.parse(conf('grafana/zoowarden.json')).panels as { title: string; targets?: { expr: string }[] }[]
  const expressions = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const))

  test('has panels', () => {
    expect(expressions.length).toBeGreaterThan(30)
  })

  test.each(expressions)('%s: every metric of %s is written', (_title, expression) => {
    const metrics = metricsIn(expression)
    expect(metrics.length).toBeGreaterThan(0)
    expect(metrics.filter((metric) => !names.has(metric) && !ELSEWHERE.has(metric))).toEqual([])
  })
})

describe('conf/prometheus/alerts.yml', () => {
  const rules = [...conf('prometheus/alerts.yml').matchAll(/- alert: (\S+)\n {8}expr: (.+)$/gm)].map(
    ([, alert, expression]) => [alert!, expression!] as const,
  )

  test('has rules', () => {
    expect(rules.length).toBeGreaterThan(10)
  })

  test.each(rules)('%s: every metric of %s is written', (_alert, expression) => {
    expect(metricsIn(expression).filter((metric) => !names.has(metric) && !ELSEWHERE.has(metric))).toEqual([])
  })
})
