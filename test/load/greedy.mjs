/** Few clients that want too much: more requests than can be answered, more answers than they read. */
import { setTimeout as delay } from 'node:timers/promises'
import { Bystander } from './bystander.mjs'
import { bytes, ints, LoadClient, op, text } from './client.mjs'
import { startServers } from './server.mjs'

/** S8: requests come as fast as sockets take them, into a server with a small heap. */
export async function flood({ small }, report) {
  const heapMb = 96
  const { servers, stop } = await startServers(1, [], heapMb)
  const [server] = servers
  try {
    const watch = await Bystander.start(server.port)
    const untilMs = performance.now() + (small ? 5000 : 20_000)
    const tally = { sent: 0, answered: 0, wrong: 0 }
    const clients = []
    for (let i = 0; i < 64; i++) {
      const client = await LoadClient.open({ port: server.port, timeoutMs: 20_000 })
      await client.create(`/f${i}`)
      clients.push(client)
    }
    await delay(300)
    await watch.take()
    const data = Buffer.alloc(1000, 'x')
    const pour = async (client, i) => {
      const settled = []
      while (performance.now() < untilMs) {
        for (let n = 0; n < 200; n++) {
          tally.sent++
          const done = (n % 4 === 0 ? client.get(`/f${i}`) : client.set(`/f${i}`, data)).then(({ err }) => {
            tally.answered++
            if (err !== 0) tally.wrong++
          })
          settled.push(done)
        }
        // What the client's own memory holds has a bound; what is on the wire and in the server is the server's affair.
        if (client.socket.writableLength > 1024 * 1024)
          await new Promise((resolve) => client.socket.once('drain', resolve))
        await new Promise((resolve) => setImmediate(resolve))
      }
      await Promise.all(settled)
    }
    await Promise.all(clients.map(pour))
    const seconds = small ? 5 : 20
    report.say(
      `${tally.answered} requests answered with ${heapMb} MB of heap, some ${Math.round(tally.answered / seconds)} a second`,
    )
    report.law(server.ended === null, 'the server lives')
    report.law(tally.answered === tally.sent && tally.wrong === 0, 'every request is answered, in order')
    const { p50, p99, max, requests } = await watch.take()
    report.say(
      `others: ${requests} requests, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, longest ${max.toFixed(1)} ms`,
    )
    report.law(p99 < 2000, 'others are answered, p99 within 2000 ms')
    report.law((await watch.failure()) === null, `nobody else is hurt ${(await watch.failure()) ?? ''}`)
    const peak = server.rssPeak / 1024 / 1024
    report.say(`${peak.toFixed(0)} MB resident at the most`)
    report.law(peak < 700, 'memory is bounded')
    watch.stop()
    for (const client of clients) client.abandon()
  } finally {
    await stop()
  }
}

/** N9: clients that ask for much and never read, until all together have more than there is room for. */
export async function slow({ small }, report) {
  const totalMb = 96
  const { servers, stop } = await startServers(1, [`unsentMaxInKb=16384`, `unsentTotalMaxInKb=${totalMb * 1024}`])
  const [server] = servers
  try {
    const watch = await Bystander.start(server.port)
    const owner = await LoadClient.open({ port: server.port })
    await owner.create('/big', Buffer.alloc(900_000, 'x'))
    await delay(300)
    await watch.take()
    const rssBefore = server.rss
    const get = Buffer.concat([text('/big'), Buffer.from([0])])
    const count = small ? 60 : 300
    const tally = { cut: 0 }
    const sockets = []
    for (let i = 0; i < count; i++) {
      const client = await LoadClient.open({ port: server.port, timeoutMs: 60_000 })
      const { socket } = client
      client.onClosed = () => tally.cut++
      socket.pause()
      for (let n = 0; n < 30; n++) socket.write(bytes(Buffer.concat([ints(n + 1, op.getData), get])))
      sockets.push(client)
    }
    await delay(small ? 1500 : 4000)
    const grown = (server.rss - rssBefore) / 1024 / 1024
    report.say(
      `${count} clients asked for ${count * 30 * 0.9} MB and read nothing; ${grown.toFixed(0)} MB more resident`,
    )
    report.law(server.ended === null, 'the server lives')
    report.law(grown < totalMb + 250, `memory is bounded by unsentTotalMaxInKb (${totalMb} MB)`)
    report.others(await watch.take(), 500)
    report.law((await watch.failure()) === null, `nobody else is hurt ${(await watch.failure()) ?? ''}`)
    report.law(/does not read its replies/.test(server.log), 'the log says who was cut, and why')
    const { err } = await owner.get('/big')
    report.law(err === 0, 'who reads gets everything')
    watch.stop()
    owner.abandon()
    for (const client of sockets) client.abandon()
  } finally {
    await stop()
  }
}
