import { describe, expect, it } from 'vitest'
import { Cluster, labelOf } from './cluster.ts'

function labels(cluster: Cluster): string[] {
  return cluster.committed.map(labelOf)
}

describe('an ensemble', () => {
  it('starts, writes, and delivers everywhere what it has written', () => {
    const cluster = new Cluster({ seed: 1, voters: 3 })
    cluster.startAll()
    cluster.settle()
    for (let i = 0; i < 20; i++) cluster.leader!.write(`w${i}`)
    cluster.settle()
    expect(labels(cluster)).toEqual(Array.from({ length: 20 }, (_, i) => `w${i}`))
  })
})
