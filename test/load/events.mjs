/** Very many watches, and bytes that make no sense. */
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Bystander } from './bystander.mjs'
import { bytes, ints, keepAlive, LoadClient, op, text } from './client.mjs'
import { startServers } from './server.mjs'

/** S6: every client watches one node, which changes again and again; one client has as many watches, and goes. */
export async function watches({ clients: count }, report) {
  const { servers, stop } = await startServers(1)
  const [server] = servers
  const rounds = 10
  const events = count * rounds
  try {
    const writer = await LoadClient.open({ port: server.port })
    await writer.create('/one', Buffer.from('x'))
    const clients = []
    for (let i = 0; i < count; i += 250) {
      const some = Array.from({ length: Math.min(250, count - i) }, () => LoadClient.open({ port: server.port }))
      clients.push(...(await Promise.all(some)))
    }
    const stopPings = keepAlive(clients, 30_000)
    for (const client of clients) client.onEvent = () => void client.get('/one', true).catch(() => {})
    await Promise.all(clients.map((client) => client.get('/one', true)))
    const watch = await Bystander.start(server.port)
    await delay(500)
    await watch.take()
    const firstMs = performance.now()
    for (let round = 1; round <= rounds; round++) {
      await writer.set('/one', Buffer.from(String(round)))
      const deadlineMs = performance.now() + 60_000
      while (clients.some((client) => client.events < round) && performance.now() < deadlineMs) await delay(5)
    }
    const ms = (performance.now() - firstMs) / rounds
    const got = clients.reduce((sum, client) => sum + client.events, 0)
    report.say(`a change of one node reached ${count} watchers, and each watched again, in ${ms.toFixed(0)} ms`)
    report.law(got === events, `${events} watches fired and nothing was lost (${got} arrived)`)
    report.others(await watch.take(), Math.max(500, 3 * ms))

    const many = await LoadClient.open({ port: server.port })
    const total = 10 * count
    for (let i = 0; i < total; i += 1000) {
      await Promise.all(Array.from({ length: 1000 }, (_, j) => many.exists(`/nowhere/${i + j}`, true)))
    }
    const watching = Number((await server.metrics()).get('watch_count'))
    await watch.take()
    many.abandon()
    await delay(1000)
    const left = Number((await server.metrics()).get('watch_count'))
    report.say(`a client with ${total} watches has gone`)
    report.law(watching >= total && left <= watching - total, 'its watches are gone with it')
    report.others(await watch.take(), 500)
    const peak = server.rssPeak / 1024 / 1024
    report.say(`${peak.toFixed(0)} MB resident at the most`)
    report.law(peak < 700, 'memory is bounded')
    report.law((await watch.failure()) === null, `nobody else is hurt ${(await watch.failure()) ?? ''}`)
    stopPings()
    watch.stop()
    for (const client of [...clients, writer]) client.abandon()
  } finally {
    await stop()
  }
}

/** S9: clients that send what no client sends, as fast as they can, beside one that works. */
export async function bad({ small }, report) {
  const { servers, stop } = await startServers(1)
  const [server] = servers
  try {
    const watch = await Bystander.start(server.port)
    const worker = await LoadClient.open({ port: server.port })
    await worker.create('/w')
    await delay(300)
    await watch.take()
    const untilMs = performance.now() + (small ? 4000 : 20_000)
    const tally = { sent: 0, closed: 0, answered: 0 }
    let seed = 7
    const random = () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return seed / 2 ** 32
    }
    const abuse = async () => {
      while (performance.now() < untilMs) {
        tally.sent++
        await new Promise((resolve) => {
          const socket = net.connect({ port: server.port, host: '127.0.0.1' }, () => {
            for (const piece of nonsense(random)) socket.write(piece)
          })
          const timer = setTimeout(() => socket.destroy(), 30)
          socket.on('data', () => tally.answered++)
          socket.on('error', () => {})
          socket.on('end', () => tally.closed++)
          socket.on('close', () => {
            clearTimeout(timer)
            resolve()
          })
        })
      }
    }
    let written = 0
    const work = async () => {
      while (performance.now() < untilMs) {
        const { err } = await worker.create(`/w/${written}`, Buffer.from('x'))
        if (err !== 0) throw new Error(`error ${err}`)
        written++
      }
    }
    await Promise.all([...Array.from({ length: 24 }, abuse), work()])
    report.say(
      `${tally.sent} connections with nonsense, ${tally.closed} closed by the server; ${written} writes beside them`,
    )
    report.law(server.ended === null, 'the server lives')
    report.law((await worker.children('/w')) === written, 'nothing acknowledged is lost')
    report.others(await watch.take(), 500)
    report.law((await watch.failure()) === null, `nobody else is hurt ${(await watch.failure()) ?? ''}`)
    const lines = server.log.split('\n').length
    report.say(`${lines} lines in the log, ${(server.rssPeak / 1024 / 1024).toFixed(0)} MB resident at the most`)
    report.law(lines < 5000, 'the log is not flooded')
    watch.stop()
    worker.abandon()
  } finally {
    await stop()
  }
}

/** A connect request, then one of the ways to be wrong; or no connect request at all. */
function nonsense(random) {
  const connect = bytes(Buffer.concat([Buffer.alloc(12), ints(10_000), Buffer.alloc(8), ints(16), Buffer.alloc(17)]))
  const request = (type, body) => bytes(Buffer.concat([ints(1, type), body]))
  const junk = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 200) }, () => Math.floor(random() * 256)))
  const ways = [
    () => [junk],
    () => [ints(-1)],
    () => [ints(0x7fff_ffff), junk],
    () => [connect, ints(-5)],
    () => [connect, request(4711, junk)],
    () => [connect, request(13, Buffer.concat([text('/w'), ints(0)]))],
    () => [connect, request(op.create, junk)],
    () => [connect, request(op.create, Buffer.concat([text('no/slash'), bytes(junk), ints(0, 0)]))],
    () => [connect, request(op.create, Buffer.concat([ints(-1), ints(-1), ints(-1), ints(0)]))],
    () => [
      connect,
      request(op.getData, Buffer.concat([bytes(Buffer.from([0x2f, 0xff, 0xc0, 0x80])), Buffer.from([1])])),
    ],
    () => [connect, request(op.exists, Buffer.concat([text(`/${'d/'.repeat(5000)}x`), Buffer.from([1])]))],
    () => [connect, request(14, junk)],
    () => [connect, request(101, Buffer.concat([Buffer.alloc(8), ints(0x7fff_ffff)]))],
    () => [connect.subarray(0, 20)],
  ]
  return ways[Math.floor(random() * ways.length)]()
}
