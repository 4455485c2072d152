/** Figures that a few requests of a client must move, on a server alone and on a leader. */

import { afterEach, describe, expect, it } from 'vitest'
import { ZooKeeper } from '../../../../src/client/zookeeper.ts'
import { Running } from './running.ts'

let server: Running
afterEach(() => server.stop())

/** Some writes, one of which is watched. */
async function work(): Promise<void> {
  const client = new ZooKeeper({ connect: `127.0.0.1:${server.port}`, sessionTimeoutMs: 10_000 }, () => {})
  await client.create('/app', new Uint8Array(10))
  await client.getData('/app', true)
  for (let i = 0; i < 5; i++) await client.setData('/app', new Uint8Array(20))
  await client.close()
}

/** Values of samples by name and labels. */
async function scrape(): Promise<Map<string, number>> {
  const lines = (await server.scrape()).split('\n').filter((line) => !line.startsWith('#') && line !== '')
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

const OF_ALL = {
  // Session, create, five of setData, and the session's end.
  propagation_latency_count: 8,
  sync_processor_queue_and_flush_time_ms_count: 8,
  node_changed_watch_count_count: 1,
  'write_per_namespace_count{key="app",}': 6,
  'write_per_namespace_sum{key="app",}': 10 + 5 * 20 + 6 * '/app'.length,
  'read_per_namespace_count{key="app",}': 1,
  startup_txns_loaded_count: 1,
  connection_request_count: 1,
}

describe('what is measured', () => {
  it('by a server that runs alone', async () => {
    server = await Running.start()
    await work()
    const values = await scrape()
    for (const [name, value] of Object.entries(OF_ALL)) expect([name, values.get(name)]).toEqual([name, value])
    expect(values.get('watch_bytes')).toBeGreaterThan(30)
    expect(values.get('sync_processor_batch_size_sum')).toBe(8)
    expect(values.get('zoowarden_turn_seconds_count')).toBeGreaterThan(5)
    expect(values.get('zoowarden_turn_seconds_bucket{le="+Inf",}')).toBe(values.get('zoowarden_turn_seconds_count'))
  })

  it('by a leader: agreement, besides', async () => {
    server = await Running.start('', { member: true })
    const before = await scrape()
    await work()
    const values = await scrape()
    const moved = (name: string): number => values.get(name)! - (before.get(name) ?? 0)
    expect(moved('quorum_ack_latency_count')).toBe(8)
    expect(moved('proposal_ack_creation_latency_count')).toBe(8)
    expect(moved('ack_latency_count{key="1",}')).toBe(8)
    expect(moved('propagation_latency_count')).toBe(8)
    expect(moved('commit_count')).toBe(8)
    expect(values.get('commit_propagation_latency_count')).toBe(0) // of learners
  })
})
