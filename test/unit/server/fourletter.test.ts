/**
 * Four-letter words, against transcripts of a real 3.9.5: two clients with watches and ephemeral nodes, some 160 writes.
 * The view below holds by hand what that server held; the text must come out byte for byte.
 */

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  answerFourLetter,
  type ConnectionView,
  enabledWords,
  javaDate,
  runFourLetter,
  type ServerView,
  TRACE_MASK_DEFAULT,
  wordOfCode,
} from '../../../src/server/report/fourletter.ts'
import { Metrics } from '../../../src/server/report/metrics.ts'

const NOTHING = new Uint8Array(0)

function transcript(name: string): string {
  return readFileSync(new URL(`./fixtures/fourletter/${name}.txt`, import.meta.url), 'utf8')
}

/** Session ids of the transcript: 0x10000177f3c0000 and ...1. */
const sessionOne: readonly [number, number] = [0x01000017, 0x7f3c0000]
const sessionTwo: readonly [number, number] = [0x01000017, 0x7f3c0001]

function connection(
  port: number,
  counts: readonly [number, number],
  rest: Partial<ConnectionView> = {},
): ConnectionView {
  return {
    remote: `/127.0.0.1:${port}`,
    interestOps: 1,
    queued: 0,
    recved: counts[0],
    sent: counts[1],
    session: null,
    ...rest,
  }
}

const consConnections: readonly ConnectionView[] = [
  connection(48910, [1, 0], { interestOps: 0 }),
  connection(48856, [7, 7], {
    session: {
      idHi: sessionTwo[0],
      idLo: sessionTwo[1],
      lop: 'GETACN',
      establishedMs: 1795425713805,
      timeoutMs: 30000,
      lcxid: 6,
      lzxid: 0x9f,
      lrespMs: 1546760,
      llatMs: 1,
      minlatMs: 0,
      avglatMs: 7,
      maxlatMs: 43,
    },
  }),
  connection(48848, [158, 158], {
    session: {
      idHi: sessionOne[0],
      idLo: sessionOne[1],
      lop: 'CREA',
      establishedMs: 1795425713748,
      timeoutMs: 30000,
      lcxid: 0x9d,
      lzxid: 0x9f,
      lrespMs: 1546753,
      llatMs: 2,
      minlatMs: 0,
      avglatMs: 1,
      maxlatMs: 22,
    },
  }),
]

const resetSession = { lop: 'NA', lcxid: -1, lzxid: -1, lrespMs: 0, llatMs: 0, minlatMs: 0, avglatMs: 0, maxlatMs: 0 }

function viewOf(change: Partial<ServerView> = {}): ServerView {
  const metrics = new Metrics(() => 0)
  // 165 requests, 251 ms in all: the average that the transcript shows.
  metrics.latencyMs.add(43)
  for (let i = 0; i < 163; i++) metrics.latencyMs.add(i < 45 ? 2 : 1)
  metrics.latencyMs.add(0)
  metrics.packetsReceived = 172
  metrics.packetsSent = 172
  let mask = TRACE_MASK_DEFAULT
  return {
    version: '3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC',
    serving: () => true,
    readOnly: () => false,
    mode: () => 'standalone',
    metrics: () => metrics,
    connectionCount: () => 3,
    connections: () => consConnections,
    outstandingRequests: () => 0,
    lastProcessedZxid: () => 0x9f,
    nodeCount: () => 12,
    proposalSizes: () => null,
    monitorValues: () => [],
    conf: () => ({
      clientPort: 25101,
      secureClientPort: -1,
      dataDir: '/var/lib/zookeeper/version-2',
      dataLogDir: '/var/lib/zookeeper/version-2',
      tickTimeMs: 2000,
      maxClientCnxns: 60,
      sessionTimeoutMinMs: 4000,
      sessionTimeoutMaxMs: 40000,
      clientPortListenBacklog: -1,
      serverId: 0,
      quorum: null,
    }),
    environment: () => [
      ['zookeeper.version', '3.9.5'],
      ['host.name', 'localhost'],
    ],
    sessionBuckets: () => ({
      sessionCount: 2,
      buckets: [
        { expiresAtMs: Date.UTC(2026, 10, 23, 9, 22, 25), count: 2, lines: ['0x10000177f3c0000', '0x10000177f3c0001'] },
      ],
    }),
    ephemerals: () => ({
      sessionCount: 2,
      entries: [
        { hi: sessionTwo[0], lo: sessionTwo[1], paths: ['/eph3', '/w/eph2'] },
        { hi: sessionOne[0], lo: sessionOne[1], paths: ['/w/eph'] },
      ],
    }),
    connectionBuckets: () => ({
      connectionCount: 3,
      buckets: [
        { expiresAtMs: Date.UTC(2026, 10, 23, 9, 22, 7), count: 1, lines: ['ip: /127.0.0.1:48932 sessionId: 0x0'] },
        {
          expiresAtMs: Date.UTC(2026, 10, 23, 9, 22, 27),
          count: 2,
          lines: [
            'ip: /127.0.0.1:48856 sessionId: 0x10000177f3c0001',
            'ip: /127.0.0.1:48848 sessionId: 0x10000177f3c0000',
          ],
        },
      ],
    }),
    watchSummary: () => ({ connections: 2, paths: 2, watches: 3 }),
    watchesByPath: () => [
      { path: '/w', sessions: [sessionOne, sessionTwo] },
      { path: '/nope', sessions: [sessionTwo] },
    ],
    watchesBySession: () => [
      { hi: sessionTwo[0], lo: sessionTwo[1], paths: ['/w', '/nope'] },
      { hi: sessionOne[0], lo: sessionOne[1], paths: ['/w'] },
    ],
    dataDirBytes: () => 66030,
    logDirBytes: () => 66030,
    digests: () => [{ zxid: 128, digest: '11518389519' }],
    traceMask: () => mask,
    setTraceMask: (wanted) => {
      mask = wanted
    },
    resetServerStats: () => metrics.reset(),
    resetConnectionStats: () => {},
    ...change,
  }
}

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values)
}

describe('the text of 3.9.5', () => {
  for (const word of [
    'ruok',
    'isro',
    'srvr',
    'cons',
    'conf',
    'dump',
    'wchs',
    'wchc',
    'wchp',
    'dirs',
    'gtmk',
    'hash',
    'crst',
    'srst',
  ]) {
    test(word, () => {
      expect(runFourLetter(word, NOTHING, viewOf())).toBe(transcript(word))
    })
  }

  test('stat, with its short listing of connections', () => {
    const view = viewOf({
      connections: () => [
        connection(48856, [7, 7]),
        connection(48848, [158, 158]),
        connection(48908, [1, 0], { interestOps: 0 }),
      ],
    })
    view.metrics().packetsReceived++
    view.metrics().packetsSent++
    expect(runFourLetter('stat', NOTHING, view)).toBe(transcript('stat'))
  })

  test('cons after crst: no cxid, zxid -1, operation NA', () => {
    const reset = consConnections.map((conn) => ({
      ...conn,
      recved: 0,
      sent: 0,
      session: conn.session === null ? null : { ...conn.session, ...resetSession },
    }))
    reset[0] = connection(49022, [1, 0], { interestOps: 0 })
    expect(runFourLetter('cons', NOTHING, viewOf({ connections: () => reset }))).toBe(transcript('cons-after-crst'))
  })

  test('srvr after srst', () => {
    const view = viewOf()
    expect(runFourLetter('srst', NOTHING, view)).toBe(transcript('srst'))
    view.metrics().packetsReceived = 1
    view.metrics().packetsSent = 1
    expect(runFourLetter('srvr', NOTHING, view)).toBe(transcript('srvr-after-srst'))
  })

  test('a fresh server has empty dumps and an average of 0.0', () => {
    const view = viewOf({
      connectionCount: () => 1,
      lastProcessedZxid: () => 0,
      nodeCount: () => 5,
      sessionBuckets: () => ({ sessionCount: 0, buckets: [] }),
      ephemerals: () => ({ sessionCount: 0, entries: [] }),
      connectionBuckets: () => ({
        connectionCount: 1,
        buckets: [
          { expiresAtMs: Date.UTC(2026, 10, 23, 9, 22, 7), count: 1, lines: ['ip: /127.0.0.1:48838 sessionId: 0x0'] },
        ],
      }),
      digests: () => [],
    })
    view.metrics().reset()
    view.metrics().packetsReceived = 2
    view.metrics().packetsSent = 3
    expect(runFourLetter('srvr', NOTHING, view)).toBe(transcript('srvr-fresh'))
    expect(runFourLetter('dump', NOTHING, view)).toBe(transcript('dump-fresh'))
    expect(runFourLetter('hash', NOTHING, view)).toBe('')
  })

  test('stmk takes eight bytes, answers them in decimal, and gtmk shows them', () => {
    const view = viewOf()
    expect(runFourLetter('stmk', bytes(0, 0, 0, 0, 0, 0, 0, 34), view)).toBe(transcript('stmk'))
    expect(runFourLetter('gtmk', NOTHING, view)).toBe(transcript('gtmk-after-stmk'))
    expect(runFourLetter('stmk', bytes(255, 255, 255, 255, 255, 255, 255, 254), view)).toBe(transcript('stmk-negative'))
    expect(runFourLetter('stmk', bytes(0, 0, 0, 0), view)).toBe(null)
  })

  test('envi is a heading and key=value lines', () => {
    expect(runFourLetter('envi', NOTHING, viewOf())).toBe(
      'Environment:\nzookeeper.version=3.9.5\nhost.name=localhost\n',
    )
  })

  test('conf of a member goes on with its limits, ports and the membership, without a last line end', () => {
    const conf = viewOf().conf()
    const membership = 'server.1=127.0.0.1:25111:25121:participant;127.0.0.1:25101\nversion=100000000'
    const view = viewOf({
      conf: () => ({
        ...conf,
        serverId: 1,
        quorum: {
          initLimitTicks: 10,
          syncLimitTicks: 5,
          electionAlg: 3,
          electionPort: 25121,
          quorumPort: 25111,
          peerType: 0,
          membership,
        },
      }),
    })
    expect(runFourLetter('conf', NOTHING, view)!.split('serverId=1\n')[1]).toBe(
      `initLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=25121\nquorumPort=25111\npeerType=0\nmembership: \n${membership}`,
    )
  })

  test('srvr of a leader ends with proposal sizes, and of a read-only server warns in its second line', () => {
    const leader = viewOf({ mode: () => 'leader', proposalSizes: () => ({ last: -1, min: -1, max: -1 }) })
    expect(runFourLetter('srvr', NOTHING, leader)).toMatch(
      /Mode: leader\nNode count: 12\nProposal sizes last\/min\/max: -1\/-1\/-1\n$/,
    )
    const readOnly = runFourLetter('srvr', NOTHING, viewOf({ readOnly: () => true, mode: () => 'read-only' }))!
    expect(readOnly.split('\n')[1]).toBe('READ-ONLY mode; serving only read-only clients')
    expect(runFourLetter('isro', NOTHING, viewOf({ readOnly: () => true }))).toBe('ro')
  })

  test('dates are those of Java in UTC', () => {
    expect(javaDate(Date.UTC(2026, 10, 23, 6, 22, 55))).toBe('Mon Nov 23 06:22:55 UTC 2026')
    expect(javaDate(Date.UTC(2027, 0, 3, 16, 2, 5, 999))).toBe('Sun Jan 03 16:02:05 UTC 2027')
  })
})

describe('a server that does not serve', () => {
  const idle = viewOf({ serving: () => false })

  test('says so with a line end, and hash without', () => {
    for (const word of [
      'srvr',
      'stat',
      'cons',
      'conf',
      'dump',
      'wchs',
      'wchc',
      'wchp',
      'dirs',
      'mntr',
      'crst',
      'srst',
    ]) {
      expect(runFourLetter(word, NOTHING, idle), word).toBe(
        'This ZooKeeper instance is not currently serving requests\n',
      )
    }
    expect(runFourLetter('hash', NOTHING, idle)).toBe('This ZooKeeper instance is not currently serving requests')
  })

  test('says why, where there is a reason of its own, and mntr in figures', () => {
    const values = [['storage_full', 1]] as const
    const full = viewOf({ serving: () => false, standing: () => ({ reason: 'no room', values }) })
    const said = 'This ZooKeeper instance is not currently serving requests\nReason: no room\n'
    expect(runFourLetter('srvr', NOTHING, full)).toBe(said)
    expect(runFourLetter('mntr', NOTHING, full)).toBe(`${said}zk_storage_full\t1\n`)
    expect(runFourLetter('ruok', NOTHING, full)).toBe('imok')
    expect(runFourLetter('isro', NOTHING, full)).toBe('null')
  })

  test('still answers ruok, isro, envi, gtmk and stmk', () => {
    expect(runFourLetter('ruok', NOTHING, idle)).toBe('imok')
    expect(runFourLetter('isro', NOTHING, idle)).toBe('null')
    expect(runFourLetter('gtmk', NOTHING, idle)).toBe('306')
    expect(runFourLetter('stmk', bytes(0, 0, 0, 0, 0, 0, 0, 34), idle)).toBe('34')
    expect(runFourLetter('envi', NOTHING, idle)).toMatch(/^Environment:/)
  })
})

describe('which words run', () => {
  test('X6 only srvr without a whitelist, isro too where read-only mode is possible', () => {
    expect([...enabledWords(null, false)]).toEqual(['srvr'])
    expect([...enabledWords('', true)]).toEqual(['isro', 'srvr'])
  })

  test('a whitelist is separated by commas, trimmed, and * is all of them', () => {
    expect([...enabledWords(' ruok ,mntr,, ', false)].sort()).toEqual(['mntr', 'ruok', 'srvr'])
    expect(enabledWords('ruok, *', false).size).toBe(19)
  })

  test('X6 a word that is not in the whitelist says so, whatever the state of the server', () => {
    const refused = answerFourLetter('mntr', NOTHING, viewOf(), enabledWords('ruok', false))!
    expect(refused.next().value).toBe('mntr is not executed because it is not in the whitelist.\n')
    expect(refused.next().done).toBe(true)
  })

  test('the first four bytes of a connection are a word or the length of a frame', () => {
    expect(wordOfCode(0x72756f6b)).toBe('ruok')
    expect(wordOfCode(0x73746d6b)).toBe('stmk')
    expect(wordOfCode(45)).toBe(null)
    expect(wordOfCode(0x52554f4b)).toBe(null)
  })

  test('the farewell of a telnet client closes the connection', () => {
    expect(wordOfCode(0xfff4fffd | 0)).toBe('telnet close')
    expect(runFourLetter('telnet close', NOTHING, viewOf())).toBe(null)
  })
})

describe('long listings', () => {
  test('X6 come in slices that are made one by one, as they are asked for', () => {
    let made = 0
    const view = viewOf({
      *watchesByPath() {
        for (let i = 0; i < 100_000; i++) {
          made++
          yield { path: `/some/path/${i}`, sessions: [sessionOne] }
        }
      },
    })
    const slices = answerFourLetter('wchp', NOTHING, view, enabledWords('*', false))!
    const first = slices.next().value
    expect(first.length).toBeGreaterThan(10_000)
    expect(first.length).toBeLessThan(20_000)
    expect(made).toBeLessThan(1000)
    let total = first.length
    for (let slice = slices.next(); slice.done !== true; slice = slices.next()) total += slice.value.length
    expect(made).toBe(100_000)
    expect(total).toBe(100_000 * '\t0x10000177f3c0000\n'.length + '/some/path/\n'.length * 100_000 + 488_890 + 1)
  })
})
