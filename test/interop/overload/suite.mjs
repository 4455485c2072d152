/**
 * The interop suite `overload`: limits that are easily reached, on Apache's server and on ours. How far a server gets in a
 * burst is a matter of speed; what each of its answers must be is not, and holds for both.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { javaServer } from '../../durability/peers.mjs'
import { op, WireClient } from '../../durability/wire.mjs'
import { fourLetterWord, Server } from '../server.mjs'
import { removeTempDir } from '../tempdir.mjs'

const base = { tickTime: 500, maxClientCnxns: 0, 'admin.enableServer': false, '4lw.commands.whitelist': '*' }
const THROTTLED = -127
const EMPTY = Buffer.alloc(0)

/** Name, settings, and what must hold: a check throws, or answers with what it has seen. */
const cases = [
  ['a request that has waited for too long is refused in its turn, and uses no zxid', lateRequests],
  ['what a client that is gone has left waiting is dropped', staleRequests],
  ['large requests beyond what fits close the connection', largeRequests],
  ['connections beyond maxClientCnxns are closed', tooManyConnections],
  ['sessions beyond the tokens are refused', tooFewTokens],
]

export async function runOverload(_lib, options, report) {
  const flags = '-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto'
  for (const [kind, command] of [
    ['java', await javaServer(flags)],
    ['ours', options.server],
  ]) {
    for (const [what, check] of cases) {
      const server = new Server(command, `overload-${kind}`, { ...base, ...check.config }, {})
      try {
        await server.start()
        await check(server)
        report(true, `${kind}: ${what}`)
      } catch (error) {
        report(false, `${kind}: ${what}`, error.message)
      } finally {
        await server.kill()
        server.release()
        removeTempDir(server.dir)
      }
    }
  }
}

lateRequests.config = { request_throttle_max_requests: 1, throttled_op_wait_time: 2 }
async function lateRequests(server) {
  const clients = await Promise.all([1, 2, 3].map(() => WireClient.connect({ port: server.port })))
  await clients[0].create('/a', Buffer.from('x'))
  const before = BigInt(/Zxid: (0x[0-9a-f]+)/.exec(await fourLetterWord(server.port, 'srvr'))[1])
  // The client fails at a reply that is out of order.
  const burst = clients.flatMap((client) =>
    Array.from({ length: 300 }, (_, i) =>
      i % 10 === 0 ? client.getData('/a') : client.setData('/a', Buffer.from('y')),
    ),
  )
  const replies = await Promise.all(burst)
  const errors = new Map()
  for (const { err } of replies) errors.set(err, (errors.get(err) ?? 0) + 1)
  expect(
    [...errors.keys()].every((err) => err === 0 || err === THROTTLED),
    `errors ${[...errors]}`,
  )
  expect((errors.get(THROTTLED) ?? 0) > 0 && (errors.get(0) ?? 0) > 0, `errors ${[...errors]}`)
  const written = replies.filter(({ err }, i) => err === 0 && i % 10 !== 0).length
  const figures = await metrics(server)
  expect(figures.throttled_ops === errors.get(THROTTLED), `throttled_ops ${figures.throttled_ops} of ${[...errors]}`)
  expect(figures.request_throttle_wait_count > 0, 'request_throttle_wait_count is 0')
  expect(figures.cnt_request_throttle_queue_time_ms > 0, 'cnt_request_throttle_queue_time_ms is 0')
  const { stat } = await until(
    () => clients[0].getData('/a'),
    ({ err }) => err === 0,
  )
  expect(stat.version === written, `version ${stat.version} after ${written} writes`)
  expect(stat.mzxid === before + BigInt(written), `zxid ${stat.mzxid} after ${before} and ${written} writes`)
  // A close waits with the others, and is never refused.
  const closing = clients.map(async (client) => {
    const last = Array.from({ length: 100 }, () => client.setData('/a', Buffer.from('z')).catch(() => {}))
    const { err } = await client.request(op.closeSession, EMPTY)
    await Promise.all(last)
    return err
  })
  expect(
    (await Promise.all(closing)).every((err) => err === 0),
    'a close was refused',
  )
}

staleRequests.config = { request_throttle_max_requests: 1 }
async function staleRequests(server) {
  const [client, other] = await Promise.all([1, 2].map(() => WireClient.connect({ port: server.port })))
  await other.create('/a', Buffer.from('x'))
  for (let round = 0; round < 20 && !((await metrics(server)).stale_requests_dropped > 0); round++) {
    const late = round === 0 ? client : await WireClient.connect({ port: server.port })
    const work = Array.from({ length: 200 }, () => other.setData('/a', Buffer.from('y')))
    for (let i = 0; i < 200; i++) late.setData('/a', Buffer.from('z')).catch(() => {})
    await new Promise((resolve) => setImmediate(resolve))
    late.abandon()
    await Promise.all(work)
    await delay(50)
  }
  expect((await metrics(server)).stale_requests_dropped > 0, 'stale_requests_dropped is 0')
  expect((await other.getData('/a')).err === 0, 'the other client is hurt')
}

largeRequests.config = { largeRequestThreshold: 10_000, largeRequestMaxBytes: 50_000 }
async function largeRequests(server) {
  const client = await WireClient.connect({ port: server.port })
  await client.create('/a', Buffer.from('x'))
  expect((await client.setData('/a', Buffer.alloc(40_000))).err === 0, 'one large request does not fit')
  const burst = Array.from({ length: 200 }, () => client.setData('/a', Buffer.alloc(20_000)))
  const done = await Promise.allSettled(burst)
  expect(
    done.some(({ status }) => status === 'rejected'),
    'all of them were taken',
  )
  const figures = await metrics(server)
  expect(figures.large_requests_rejected > 0, `large_requests_rejected ${figures.large_requests_rejected}`)
  const next = await WireClient.connect({ port: server.port })
  await until(
    () => next.setData('/a', Buffer.alloc(40_000)),
    ({ err }) => err === 0,
  )
}

tooManyConnections.config = { maxClientCnxns: 3 }
async function tooManyConnections(server) {
  // The words with which its start was waited for may still be counted.
  const clients = await until(
    async () => {
      const opened = await Promise.allSettled([1, 2, 3].map(() => WireClient.connect({ port: server.port })))
      const there = opened.filter(({ status }) => status === 'fulfilled').map(({ value }) => value)
      if (there.length < 3) for (const each of there) each.abandon()
      return there
    },
    ({ length }) => length === 3,
  )
  const fourth = await WireClient.connect({ port: server.port }).catch((error) => error)
  expect(fourth instanceof Error, 'a fourth connection was taken')
  clients[0].abandon()
  await until(
    () => WireClient.connect({ port: server.port }).catch((error) => error),
    (next) => !(next instanceof Error),
  )
}

tooFewTokens.config = { connection_throttle_tokens: 5, connection_throttle_fill_time: 3_600_000 }
async function tooFewTokens(server) {
  const opened = []
  for (let i = 0; i < 6; i++) opened.push(await WireClient.connect({ port: server.port }).catch(() => null))
  expect(opened.filter((client) => client !== null).length === 5, `${opened.map((client) => client !== null)}`)
  expect(opened[5] === null, 'the sixth was taken')
  expect((await metrics(server)).connection_rejected > 0, 'connection_rejected is 0')
}

async function metrics(server) {
  const lines = (await fourLetterWord(server.port, 'mntr')).split('\n')
  return Object.fromEntries(
    lines.map((line) => line.split('\t')).map(([key, value]) => [key.replace('zk_', ''), Number(value)]),
  )
}

async function until(ask, holds) {
  for (let i = 0; i < 100; i++) {
    const answer = await ask()
    if (holds(answer)) return answer
    await delay(100)
  }
  throw new Error('it does not come to hold')
}

function expect(holds, otherwise) {
  if (!holds) throw new Error(otherwise)
}
