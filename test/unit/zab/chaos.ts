/** Random runs of a cluster: faults from a seed for a while, then none, and everything must come together again. */

import type { Sid } from '../../../src/zab/types.ts'
import { Cluster, configText, parse, TICK_MS } from './cluster.ts'

export interface ChaosOptions {
  seed: number
  steps?: number
  /** Two observers behind followers. */
  observerMasters?: boolean
}

export function chaos({ seed, steps = 40, observerMasters = false }: ChaosOptions): Cluster {
  const voters = seed % 3 === 0 ? 5 : 3
  const observers = observerMasters ? 2 : seed % 4 === 1 ? 1 : 0
  const cluster = new Cluster({
    seed,
    voters,
    observers,
    zab: {
      commitLogCount: seed % 2 === 0 ? 5 : 500,
      historyBytes: 120,
      observerSyncs: seed % 8 !== 1,
      observerMasters,
    },
  })
  const { random } = cluster
  const sids = [...cluster.nodes.keys()]
  const some = (): Sid => random.pick(sids)
  const count = { writes: 0 }
  const write = () => {
    for (let i = random.below(8); i >= 0; i--) {
      if (random.below(3) > 0) cluster.leader?.write(`w${count.writes++}`)
      else forward(cluster, some(), `f${count.writes++}`)
    }
  }
  cluster.startAll()
  for (let step = 0; step < steps; step++) {
    const dice = random.below(100)
    if (dice < 40) write()
    else if (dice < 50) cluster.node(some()).crash()
    else if (dice < 52) cluster.leader?.crash()
    else if (dice < 58) powerLoss(cluster)
    else if (dice < 70) restartSome(cluster)
    else if (dice < 76) cluster.partition([some()], sids, random.below(3) === 0)
    else if (dice < 82) cluster.heal()
    else if (dice < 90)
      cluster.cutLinks(some(), some(), random.pick(['election', observerMasters ? 'observer' : 'learner'] as const))
    else cluster.node(some()).snapshot()
    cluster.run(random.below(random.below(4) === 0 ? 12 * TICK_MS : 60))
  }
  return calm(cluster)
}

/** All faults end: everybody is up, agrees, and one more write is committed. */
function calm(cluster: Cluster): Cluster {
  cluster.heal()
  cluster.startAll()
  cluster.settle(120_000)
  const before = cluster.committed.length
  cluster.leader!.write('last')
  cluster.until('the last write', () => cluster.committed.length > before && cluster.isSettled())
  return cluster
}

/** Most servers lose their power at once, in the middle of writing, and all come back but perhaps one. */
function powerLoss(cluster: Cluster): void {
  const { random } = cluster
  for (let i = random.below(6); i >= 0; i--) cluster.leader?.write(`p${cluster.events}.${i}`)
  cluster.run(random.below(25))
  for (const node of cluster.nodes.values()) if (random.below(4) > 0) node.crash()
  cluster.run(random.below(10))
  const missing = random.pick([...cluster.nodes.keys()])
  for (const node of cluster.nodes.values()) if (!node.up && node.sid !== missing) node.start()
}

function restartSome(cluster: Cluster): void {
  const down = [...cluster.nodes.values()].filter((node) => !node.up)
  if (down.length > 0) cluster.random.pick(down).start()
}

export function forward(cluster: Cluster, sid: Sid, label: string): void {
  const body = new TextEncoder().encode(label)
  cluster
    .node(sid)
    .input((peer) => peer.forward({ sessionHi: 1, sessionLo: sid, cxid: 7, type: 1, body, authinfo: null }))
}

/** The same with reconfigurations, to any set of voters that the leader would admit; the rest observes, or is left out. */
export function chaosOfMembers({ seed, steps = 30 }: ChaosOptions): Cluster {
  const cluster = new Cluster({
    seed,
    voters: 3,
    observers: 2,
    reconfig: true,
    zab: { commitLogCount: seed % 2 === 0 ? 500 : 5 },
  })
  const { random } = cluster
  const sids = [...cluster.nodes.keys()]
  const some = (): Sid => random.pick(sids)
  cluster.startAll()
  cluster.settle()
  for (let step = 0; step < steps; step++) {
    const dice = random.below(100)
    if (dice < 25) reconfigure(cluster)
    else if (dice < 55) for (let i = random.below(4); i >= 0; i--) cluster.leader?.write(`w${cluster.events}.${i}`)
    else if (dice < 65) cluster.node(some()).crash()
    else if (dice < 69) cluster.leader?.crash()
    else if (dice < 82) restartSome(cluster)
    else if (dice < 87) cluster.partition([some()], sids, random.below(3) === 0)
    else if (dice < 92) cluster.heal()
    else cluster.cutLinks(some(), some(), random.pick(['election', 'learner'] as const))
    cluster.run(random.below(random.below(4) === 0 ? 12 * TICK_MS : 60))
  }
  return calm(cluster)
}

/** What a leader refuses is not proposed: a second one at a time, and one without a quorum that is in sync. */
function reconfigure(cluster: Cluster): void {
  const { random, leader } = cluster
  const sids = [...cluster.nodes.keys()]
  const voters = sids.filter(() => random.below(3) > 0)
  const peer = leader?.peer ?? null
  if (leader === null || peer === null || voters.length < 2) return
  if (peer.committed.version !== peer.lastSeen.version) return
  if (!peer.hasSyncedQuorum(parse(configText(voters, [], 1)))) return
  const observers = sids.filter((sid) => !voters.includes(sid) && random.below(4) > 0)
  leader.write('', (zxid) => configText(voters, observers, zxid))
}
