/**
 * Kills at the moment of an event in the data directory: a file made, renamed, cut or removed, seen by watching. The
 * server then starts on what is there, and is held to every answer it gave.
 */
import { existsSync, watch } from 'node:fs'
import { join } from 'node:path'
import { Ensemble, until, withStory } from '../interop/ensemble/members.mjs'
import { expectEqual } from '../interop/ensemble/trees.mjs'
import { appendProposals, byZxid } from './digest.mjs'
import { Load } from './disk_load.mjs'
import { killServer, sleep, startServer, stopServer, untilServing, writeConfig } from './process.mjs'

const PORT = 22300
const EVENT_MS = 40_000

/** What to wait for: a name in version-2 that comes or goes. */
const EVENTS = [
  { what: 'a log made', name: /^log\./ },
  { what: 'a snapshot begun', name: /^partial-snapshot\./ },
  { what: 'a snapshot that has its name', name: /^snapshot\./ },
  { what: 'a file purged', name: /^(log|snapshot)\./, purge: true },
]

export async function killsAtEvents({ directory, server: command, rounds, random }) {
  // Low limits, so that there is always a roll, a snapshot and something to purge.
  const settings = { snapCount: 150, preAllocSize: 256, 'autopurge.snapRetainCount': 3, 'autopurge.purgeInterval': 1 }
  const configFile = writeConfig(directory, PORT, settings)
  const version2 = join(directory, 'data', 'version-2')
  const where = { port: PORT, logFile: join(directory, 'server.log') }
  const start = () => startServer(command, configFile, where)
  let server = start()
  await untilServing(server)
  const load = new Load(() => [{ port: PORT }], { valueBytes: 700 })
  let kills = 0
  for (let round = 0; round < rounds; round++) {
    for (const { what, name, purge = false } of EVENTS) {
      // Purging begins with the server, when enough snapshots have come together.
      if (purge) {
        await until('there are snapshots to purge', () => byZxid(version2, 'snapshot').length > 4, EVENT_MS)
        await killServer(server)
        server = start()
      }
      await eventIn(version2, (file) => name.test(file) && existsSync(join(version2, file)) === !purge, what)
      await sleep(random.below(4))
      await killServer(server)
      kills++
      // Once more while it recovers.
      if (random.next() < 0.5) {
        server = start()
        await sleep(random.below(400))
        await killServer(server)
        kills++
      }
      server = start()
      await untilServing(server)
      const since = performance.now()
      if (!(await load.writesSince(since, 20_000))) throw new Error(`no write went through after a kill at ${what}`)
    }
  }
  await load.stop()
  await expectRight(load, { port: PORT })
  await killServer(server)
  server = start()
  await untilServing(server)
  await expectRight(load, { port: PORT })
  await stopServer(server)
  return `${kills} kills, ${load.acknowledged} acknowledged writes`
}

/** A leader that has logged what nobody else has comes back, has to cut its log, and is killed in it. */
export async function killsInTruncation({ directory, server: command, rounds, random }) {
  const settings = { snapCount: 100_000, preAllocSize: 256, initLimit: 20, syncLimit: 4 }
  const commands = { ours: withStory(command) }
  const ensemble = await Ensemble.of(directory, commands, ['ours', 'ours', 'ours'], { settings, ports: [22310, 22340] })
  await ensemble.start([1, 2, 3])
  const loads = []
  let kills = 0
  for (let round = 0; round < rounds; round++) {
    const leader = await ensemble.settled()
    const others = ensemble.members.filter((member) => member !== leader)
    loads.push(await writeFor(1000, ensemble.running, `/round${round}`))
    await leader.kill()
    appendProposals(join(leader.dataDir, 'version-2'), 300)
    // Nothing is written before it is back: across an epoch it would be sent the whole tree instead.
    await ensemble.settled(others)
    for (let again = 0; again < 3; again++) {
      leader.start()
      if (!(await untilTold(leader, /TRUNC 0x/))) break // the cut was through before the last kill
      await sleep(random.below(4))
      await leader.kill()
      kills++
    }
    if (!leader.running) leader.start()
    await ensemble.settled(ensemble.members)
  }
  loads.push(await writeFor(500, ensemble.running, '/end'))
  await expectEqual(ensemble.members)
  for (const member of ensemble.members) for (const load of loads) await expectRight(load, member)
  await ensemble.stopAll()
  if (kills === 0) throw new Error('no leader had anything to cut')
  return `${kills} kills, ${loads.reduce((sum, load) => sum + load.acknowledged, 0)} acknowledged writes`
}

async function writeFor(ms, servers, home) {
  const load = new Load(() => servers, { valueBytes: 700, home })
  const since = performance.now()
  await sleep(ms)
  const wrote = await load.writesSince(since, 20_000)
  await load.stop()
  if (!wrote) throw new Error('no write went through')
  return load
}

/** Resolves when a name comes or goes for which `wanted` is true. */
async function eventIn(folder, wanted, what) {
  let watcher
  let timer
  try {
    await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`never seen within ${EVENT_MS} ms: ${what}`)), EVENT_MS)
      watcher = watch(folder, (kind, file) => {
        // What is written to a file is another kind of event.
        if (file !== null && kind === 'rename' && wanted(file)) resolve()
      })
    })
  } finally {
    clearTimeout(timer)
    watcher?.close()
  }
}

/** Resolves when the member's log says it since its start; false when it serves without having said it. */
async function untilTold(member, pattern) {
  let told
  const seen = new Promise((resolve) => {
    told = resolve
  })
  const watcher = watch(member.logFile, () => pattern.test(member.log()) && told(true))
  const serves = until(`member ${member.name} serves`, async () => (await member.mode()) !== '').then(() => false)
  try {
    return await Promise.race([seen, serves])
  } finally {
    watcher.close()
    serves.catch(() => {}) // it was killed meanwhile
  }
}

export async function expectRight(load, where) {
  const wrong = await load.wrongAt(where)
  if (wrong.length > 0) throw new Error(`${wrong.length} wrong answers: ${wrong.slice(0, 10).join('; ')}`)
}
