/** Very many clients that do little: idle ones, and ones that all come back at once. */
import { setTimeout as delay } from 'node:timers/promises'
import { Bystander } from './bystander.mjs'
import { keepAlive, LoadClient, Refused } from './client.mjs'
import { startServers } from './server.mjs'

/** Opens `count` sessions, `width` connections under way at a time. */
async function openAll(count, width, open) {
  const clients = new Array(count)
  let next = 0
  const lane = async () => {
    while (next < count) {
      const i = next++
      clients[i] = await open(i)
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane))
  return clients
}

/** What idle sessions cost. */
export async function idle({ clients: count, small }, report) {
  const { servers, stop } = await startServers(1)
  const [server] = servers
  try {
    const rssBefore = server.rss
    const startMs = performance.now()
    const timeoutMs = 30_000
    const clients = await openAll(count, 500, () => LoadClient.open({ port: server.port, timeoutMs }))
    const openMs = performance.now() - startMs
    report.say(
      `${count} sessions opened in ${(openMs / 1000).toFixed(1)} s, ${Math.round((1000 * count) / openMs)} a second`,
    )
    const stopPings = keepAlive(clients, timeoutMs)
    const watch = await Bystander.start(server.port, 20)
    await delay(small ? 1000 : 5000)
    await watch.take()
    const cpuBefore = server.cpuMs
    const windowMs = small ? 4000 : 20_000
    await delay(windowMs)
    const share = (server.cpuMs - cpuBefore) / windowMs
    const bytesEach = (server.rss - rssBefore) / count
    const mb = (server.rss / 1024 / 1024).toFixed(0)
    report.say(`${(100 * share).toFixed(1)} % of one CPU with a ping of each every 10 s; ${mb} MB resident`)
    report.say(`${(bytesEach / 1024).toFixed(1)} KB for each connection`)
    report.law(bytesEach < 24 * 1024, 'a connection takes less than 24 KB')
    report.law(share < 0.25, 'they take less than a quarter of a CPU')
    report.others(await watch.take(), 500)
    report.law(
      clients.every(({ alive }) => alive),
      'all sessions are still connected',
    )
    report.law((await watch.failure()) === null, `nobody else is hurt ${(await watch.failure()) ?? ''}`)
    stopPings()
    watch.stop()
    for (const client of clients) client.abandon()
  } finally {
    await stop()
  }
}

/** S5: an election cuts everybody, and everybody is back at once, with newcomers among them. */
export async function storm({ clients: count, small }, report) {
  const { servers, stop } = await startServers(3)
  try {
    const ports = servers.map(({ port }) => port)
    const timeoutMs = 20_000
    const clients = await openAll(count, 300, (i) => LoadClient.open({ port: ports[i % 3], timeoutMs }))
    const ephemerals = Math.min(count, 1000)
    await clients[0].create('/e')
    for (let i = 0; i < ephemerals; i++) await clients[i].create(`/e/${i}`, Buffer.alloc(0), 1)
    report.say(`${count} sessions on three members, ${ephemerals} of them with an ephemeral`)

    const tally = { lost: 0, back: 0, tries: 0, newcomers: 0, backMs: [], newMs: [] }
    let cutMs = 0
    const comeBack = async (client, i) => {
      for (let turn = 1; ; turn++) {
        tally.tries++
        try {
          const { session, lastZxid } = client
          const port = ports[(i + turn) % 3]
          clients[i] = await LoadClient.open({ port, session, lastZxid, timeoutMs, answerWithinMs: 6000 })
          tally.back++
          tally.backMs.push(performance.now() - cutMs)
          return
        } catch (error) {
          if (error instanceof Refused) {
            tally.lost++
            return
          }
          await delay(50 + Math.random() * 100)
        }
      }
    }
    const returning = []
    for (const [i, client] of clients.entries()) client.onClosed = () => returning.push(comeBack(client, i))
    const stopPings = keepAlive(clients, timeoutMs)
    const modes = await Promise.all(servers.map((server) => server.mode()))
    cutMs = performance.now()
    const cutAt = Date.now()
    const cpuBefore = servers.map(({ cpuMs }) => cpuMs)
    const ownBefore = process.cpuUsage()
    await servers[modes.indexOf('leader')].kill()
    while (returning.length < count) {
      if (performance.now() - cutMs > 30_000) break
      await delay(20)
    }
    // Newcomers while they are on their way.
    const comers = Array.from({ length: count / 2 }, async (_, i) => {
      const since = performance.now()
      for (let turn = 0; ; turn++) {
        const opened = await LoadClient.open({ port: ports[(i + turn) % 3], timeoutMs }).catch(() => null)
        if (opened !== null) {
          tally.newcomers++
          tally.newMs.push(performance.now() - since)
          return opened
        }
        await delay(100 + Math.random() * 100)
      }
    })
    await Promise.all(returning)
    const all = await Promise.all(comers)
    stopPings()
    const at = (list, share) => (list.sort((a, b) => a - b)[Math.floor(share * (list.length - 1))] / 1000).toFixed(2)
    report.say(
      `all cut: ${returning.length}; back after p50 ${at(tally.backMs, 0.5)} s, p99 ${at(tally.backMs, 0.99)} s, last ${at(tally.backMs, 1)} s, ${tally.tries} tries`,
    )
    report.say(`${tally.newcomers} newcomers meanwhile, p50 ${at(tally.newMs, 0.5)} s, last ${at(tally.newMs, 1)} s`)
    const cpu = servers.map(({ ended, cpuMs }, i) => (ended === null ? cpuMs - cpuBefore[i] : 0)).filter((ms) => ms > 0)
    const own = process.cpuUsage(ownBefore)
    report.say(
      `CPU of the members: ${cpu.join(' and ')} ms; of the clients: ${Math.round((own.user + own.system) / 1000)} ms`,
    )
    report.say(`a leader serves after ${servingAfter(servers, cutAt)} s`)
    report.law(returning.length === count, 'the election cut everybody')
    report.law(tally.lost === 0, `no session is lost (${tally.lost} were)`)
    report.law(tally.back === count, 'everybody is back')
    report.law(tally.newcomers === comers.length, 'every newcomer is in')
    const watch = clients.find(({ alive }) => alive)
    report.law((await watch.children('/e')) === ephemerals, 'every ephemeral is still there')
    const peak = Math.max(...servers.filter(({ ended }) => ended === null).map(({ rssPeak }) => rssPeak)) / 1024 / 1024
    report.say(`${peak.toFixed(0)} MB resident at the most`)
    report.law(peak < (small ? 400 : 800), 'memory is bounded')
    for (const client of [...clients, ...all]) client.abandon()
  } finally {
    await stop()
  }
}

/** As their logs say. */
function servingAfter(servers, cutAt) {
  const times = servers.flatMap(({ log }) => {
    const lines = log.split('\n').filter((line) => line.includes('leading: serving'))
    return lines.map((line) => Date.parse(JSON.parse(line).time) - cutAt)
  })
  return (Math.max(...times) / 1000).toFixed(2)
}
