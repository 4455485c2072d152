/**
 * Four-letter words of members, against transcripts of Java 3.9.5: leader, follower and observer of an ensemble of four,
 * with and without local sessions, and a member alone in read-only mode. The views hold by hand what those members held.
 */

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  type ConfView,
  type ExpiryBucket,
  runFourLetter,
  type ServerView,
} from '../../../src/server/report/fourletter.ts'
import { Metrics } from '../../../src/server/report/metrics.ts'

const VERSION = '3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC'

function transcript(name: string): string {
  return readFileSync(new URL(`./fixtures/fourletter-ensemble/${name}.txt`, import.meta.url), 'utf8')
}

function answer(word: string, view: ServerView): string {
  return runFourLetter(word, new Uint8Array(0), view)!
}

function member(change: Partial<ServerView>): ServerView {
  const metrics = new Metrics(() => 0)
  return {
    version: VERSION,
    serving: () => true,
    readOnly: () => false,
    mode: () => 'follower',
    metrics: () => metrics,
    connectionCount: () => 0,
    connections: () => [],
    outstandingRequests: () => 0,
    lastProcessedZxid: () => 0,
    nodeCount: () => 5,
    proposalSizes: () => null,
    monitorValues: () => [],
    conf: () => confOf(1, 0, null),
    environment: () => [],
    sessionBuckets: () => ({ sessionCount: 0, buckets: [] }),
    ephemerals: () => ({ sessionCount: 0, entries: [] }),
    connectionBuckets: () => ({ connectionCount: 0, buckets: [] }),
    watchSummary: () => ({ connections: 0, paths: 0, watches: 0 }),
    watchesByPath: () => [],
    watchesBySession: () => [],
    dataDirBytes: () => 0,
    logDirBytes: () => 0,
    digests: () => [],
    traceMask: () => 0n,
    setTraceMask: () => {},
    resetServerStats: () => {},
    resetConnectionStats: () => {},
    ...change,
  }
}

function confOf(sid: number, peerType: number, membership: string | null): ConfView {
  return {
    clientPort: 25120 + sid,
    secureClientPort: -1,
    dataDir: `/zk/s${sid}/data/version-2`,
    dataLogDir: `/zk/s${sid}/data/version-2`,
    tickTimeMs: 500,
    maxClientCnxns: 60,
    sessionTimeoutMinMs: 1000,
    sessionTimeoutMaxMs: 10000,
    clientPortListenBacklog: -1,
    serverId: sid,
    quorum: {
      initLimitTicks: 20,
      syncLimitTicks: 10,
      electionAlg: 3,
      electionPort: 25110 + sid,
      quorumPort: 25100 + sid,
      peerType,
      membership,
    },
  }
}

/** Latencies and counts as `srvr` shows them. */
function counted(latenciesMs: readonly number[], received: number, sent: number): Metrics {
  const metrics = new Metrics(() => 0)
  for (const ms of latenciesMs) metrics.latencyMs.add(ms)
  metrics.packetsReceived = received
  metrics.packetsSent = sent
  return metrics
}

const bucket = (minute: number, second: number, ...lines: string[]): ExpiryBucket => ({
  expiresAtMs: Date.UTC(2026, 10, 25, 9, minute, second),
  count: lines.length,
  lines,
})

describe('srvr of a member', () => {
  it('is that of a leader, with the sizes of its proposals', () => {
    const metrics = counted([1, 2091, 353, 353], 22, 23)
    const leader = member({
      mode: () => 'leader',
      metrics: () => metrics,
      connectionCount: () => 2,
      lastProcessedZxid: () => 0x10000000b,
      proposalSizes: () => ({ last: 48, min: 48, max: 362 }),
    })
    expect(answer('srvr', leader)).toBe(transcript('leader.srvr'))
  })

  it('is that of a follower and of an observer, without', () => {
    const [ofFollower, ofObserver] = [counted([3, 34, 13, 16, 17], 21, 22), counted([46], 3, 2)]
    const follower = { metrics: () => ofFollower, connectionCount: () => 2, lastProcessedZxid: () => 0x10000000a }
    expect(answer('srvr', member(follower))).toBe(transcript('follower.srvr'))
    const observer = {
      mode: () => 'observer',
      metrics: () => ofObserver,
      connectionCount: () => 2,
      lastProcessedZxid: () => 0x10000000b,
    }
    expect(answer('srvr', member(observer))).toBe(transcript('observer.srvr'))
  })

  it('is that of a member alone in read-only mode, and isro says it too', () => {
    const metrics = counted([], 2, 1)
    const alone = member({
      readOnly: () => true,
      mode: () => 'read-only',
      metrics: () => metrics,
      connectionCount: () => 1,
      lastProcessedZxid: () => 0x10000000c,
    })
    expect(answer('srvr', alone)).toBe(transcript('readonly.srvr'))
    expect(answer('isro', alone)).toBe(transcript('readonly.isro'))
  })
})

describe('conf of a member', () => {
  it('ends with the membership', () => {
    const membership = [
      'server.1=127.0.0.1:25101:25111:participant',
      'server.2=127.0.0.1:25102:25112:participant;127.0.0.1:25122',
      'server.3=127.0.0.1:25103:25113:participant;0.0.0.0:25123',
      'server.4=127.0.0.1:25104:25114:observer;127.0.0.1:25124',
      'server.10=127.0.0.1:25105:25115:observer;127.0.0.1:25125',
      'version=100000007',
    ].join('\n')
    const view = member({
      conf: () => confOf(4, 1, membership),
      dataDirBytes: () => 67110306,
      logDirBytes: () => 67110306,
    })
    expect(answer('conf', view)).toBe(transcript('observer.conf'))
  })

  it('has no membership in read-only mode', () => {
    const view = member({
      conf: () => confOf(3, 0, null),
      dataDirBytes: () => 67110194,
      logDirBytes: () => 67110194,
    })
    expect(answer('conf', view)).toBe(transcript('readonly.conf'))
  })
})

describe('dump of a member', () => {
  it('shows the expiry queue of a leader', () => {
    const view = member({
      sessionBuckets: () => ({
        sessionCount: 3,
        buckets: [
          bucket(31, 4),
          bucket(31, 4, '0x1000010c0580002', '0x400001258520000'),
          bucket(31, 5, '0x3000010c08c0001'),
        ],
      }),
      connectionBuckets: () => ({
        connectionCount: 2,
        buckets: [
          bucket(31, 6, 'ip: /127.0.0.1:55558 sessionId: 0x0', 'ip: /127.0.0.1:55518 sessionId: 0x3000010c08c0001'),
        ],
      }),
    })
    expect(answer('dump', view)).toBe(transcript('leader.dump'))
  })

  it('shows the sessions of the ensemble on a learner, with their timeouts', () => {
    const view = member({
      globalSessions: () => ({
        sessionCount: 2,
        entries: [
          { hi: 0x01000010, lo: 0xc0580002 | 0, timeoutMs: 10000 },
          { hi: 0x04000012, lo: 0x58520000, timeoutMs: 10000 },
        ],
      }),
      connectionBuckets: () => ({
        connectionCount: 2,
        buckets: [
          bucket(31, 6, 'ip: /127.0.0.1:51002 sessionId: 0x0', 'ip: /127.0.0.1:50956 sessionId: 0x1000010c0580002'),
        ],
      }),
    })
    expect(answer('dump', view)).toBe(transcript('follower.dump'))
  })

  const oneEphemeral = { sessionCount: 1, entries: [{ hi: 0x01000017, lo: 0x63f70003, paths: ['/l1'] }] }

  it('shows local sessions ahead of the global ones, on a learner and on a leader', () => {
    const learner = member({
      localSessionBuckets: () => ({ sessionCount: 1, buckets: [bucket(36, 45), bucket(36, 45, '0x100001763f70002')] }),
      globalSessions: () => ({ sessionCount: 1, entries: [{ hi: 0x01000017, lo: 0x63f70003, timeoutMs: 10000 }] }),
      ephemerals: () => oneEphemeral,
      connectionBuckets: () => ({
        connectionCount: 3,
        buckets: [
          bucket(
            36,
            46,
            'ip: /127.0.0.1:59282 sessionId: 0x100001763f70003',
            'ip: /127.0.0.1:59274 sessionId: 0x100001763f70002',
          ),
          bucket(36, 56, 'ip: /127.0.0.1:59346 sessionId: 0x0'),
        ],
      }),
    })
    expect(answer('dump', learner)).toBe(transcript('follower-local.dump'))
    const leader = member({
      localSessionBuckets: () => ({ sessionCount: 0, buckets: [] }),
      sessionBuckets: () => ({ sessionCount: 1, buckets: [bucket(36, 45), bucket(36, 46, '0x100001763f70003')] }),
      ephemerals: () => oneEphemeral,
      connectionBuckets: () => ({
        connectionCount: 1,
        buckets: [bucket(36, 56, 'ip: /127.0.0.1:53954 sessionId: 0x0')],
      }),
    })
    expect(answer('dump', leader)).toBe(transcript('leader-local.dump'))
  })

  it('has only local sessions in read-only mode', () => {
    const view = member({
      localSessionBuckets: () => ({ sessionCount: 0, buckets: [] }),
      globalSessions: () => ({ sessionCount: 0, entries: [] }),
      connectionBuckets: () => ({
        connectionCount: 1,
        buckets: [bucket(36, 56, 'ip: /127.0.0.1:46454 sessionId: 0x0')],
      }),
    })
    expect(answer('dump', view)).toBe(transcript('readonly.dump'))
  })
})

describe('mntr of a member', () => {
  const head = (text: string, lines: number): string[] => text.split('\n').slice(0, lines)

  it('begins with version, state and what the role adds', () => {
    const observer = member({
      mode: () => 'observer',
      monitorValues: () => [
        ['peer_state', 'observing - broadcast'],
        ['observer_master_id', '3'],
      ],
    })
    expect(head(answer('mntr', observer), 4)).toEqual(head(transcript('observer.mntr'), 4))
    const alone = member({ readOnly: () => true, mode: () => 'read-only' })
    expect(head(answer('mntr', alone), 2)).toEqual(head(transcript('readonly.mntr'), 2))
  })
})
