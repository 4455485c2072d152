/**
 * V4: a backup of one member, taken while clients write, is restored into an empty ensemble, with a Java member among
 * it, and into the one that it came from, which has gone on since.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { flag, pipeline } from '../../durability/wire.mjs'
import { runToEnd } from '../process.mjs'
import { Ensemble, until } from './members.mjs'
import { expectEqual } from './trees.mjs'

const zoowarden = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'bin', 'zoowarden')

/** Longer than all of this takes: such a session is still there when its client comes back. */
const LONG_MS = 60_000
/** Ends in the restored ensembles, as nobody comes back for it. */
const SHORT_MS = 2000
const WRITES_BEFORE = 400
const SNAP_COUNT = 150

export async function checkBackups(emptyKinds, context) {
  const check = (name, body) => context.check(`backups: ${name}`, body)
  const settings = { snapCount: SNAP_COUNT }
  const used = await Ensemble.of(context.makeDirectory(), context.commands, ['ours', 'ours', 'ours'], { settings })
  const empty = await Ensemble.of(context.makeDirectory(), context.commands, emptyKinds, { settings })
  const archive = join(used.directory, 'backup.tgz')
  const load = new Load()
  try {
    await check('V4 a member is backed up while clients write', async () => {
      await used.startLedBy(3)
      await load.begin(used)
      await until('there is something to back up', () => load.written.size >= WRITES_BEFORE, 60_000)
      const member = used.member(1)
      load.mark()
      await until('the member has logged it', () => member.hasLogged(load.lastPath))
      await runToEnd(zoowarden, ['backup', member.configFile, archive])
      const { size } = load.written
      await until('the load goes on behind it', () => load.written.size >= size + WRITES_BEFORE / 4, 60_000)
      await load.end()
    })
    await check(
      'V4 it is restored into an empty ensemble: all of it, sessions and ephemerals as they were',
      async () => {
        for (const member of empty.members) await restore(archive, member)
        await empty.start([1, 2, 3])
        await load.expectRestored(empty)
      },
    )
    await empty.stopAll()
    await check('V4 it is restored into two of three members that had gone on: so it is on all of them', async () => {
      await used.stopAll()
      for (const member of used.members) {
        renameSync(member.dataDir, `${member.dataDir}.before`)
        mkdirSync(member.dataDir)
        writeFileSync(join(member.dataDir, 'myid'), `${member.sid}\n`)
        if (member.sid !== 2) await restore(archive, member)
      }
      await used.start([1, 2, 3])
      await load.expectRestored(used)
    })
  } finally {
    load.drop()
    await used.killAll()
    await empty.killAll()
  }
}

function restore(archive, member) {
  return runToEnd(zoowarden, ['restore', archive, member.dataDir])
}

/** What clients write, and what they were told of it. */
class Load {
  constructor() {
    this.clients = []
    /** Acknowledged, by path. */
    this.written = new Map()
    this.over = false
    this.loops = []
  }

  async begin(ensemble) {
    for (const member of ensemble.members) this.clients.push(await member.connect({ timeoutMs: LONG_MS }))
    this.passing = await ensemble.member(2).connect({ timeoutMs: SHORT_MS })
    await this.clients[0].create('/load', Buffer.from('x'))
    for (const [i, client] of [...this.clients, this.passing].entries()) {
      await client.create(`/load/alive-${i}`, Buffer.from('x'), { flags: flag.ephemeral })
    }
    this.loops = this.clients.map((client, i) => this.write(client, `/load/of-${i}-`))
  }

  async write(client, prefix) {
    for (let i = 0; !this.over; i++) {
      const path = `${prefix}${i}`
      const { err } = await client.create(path, Buffer.from(path))
      if (err !== 0) throw new Error(`create ${path}: ${err}`)
      this.written.set(path, path)
      this.lastPath = path
    }
  }

  /** What has been acknowledged by now has to be in the backup. */
  mark() {
    this.marked = new Map(this.written)
  }

  async end() {
    this.over = true
    await Promise.all(this.loops)
  }

  drop() {
    this.over = true
    for (const client of [...this.clients, this.passing]) client?.abandon()
  }

  async expectRestored(ensemble) {
    const [first, ...others] = this.clients
    const { sessionId, password } = first
    const client = await ensemble.members[0].connect({ sessionId, password, timeoutMs: LONG_MS })
    if (client.sessionId !== sessionId) throw new Error('a session has not come back')
    await this.expectWritten(client)
    await this.expectEphemerals(client, others.length)
    const { err } = await client.create('/goes-on', Buffer.from('x'))
    if (err !== 0) throw new Error(`a restored ensemble answers ${err}`)
    client.abandon()
    // Apache's server shows the list of members that came with the snapshot.
    await expectEqual(ensemble.members, (path) => path === '/zookeeper/config')
  }

  /** All that was marked, and nothing that was never written. */
  async expectWritten(client) {
    const { children } = await client.getChildren('/load')
    const names = new Set(children.filter((name) => name.startsWith('of-')).map((name) => `/load/${name}`))
    const lost = [...this.marked.keys()].find((path) => !names.has(path))
    if (lost !== undefined) throw new Error(`${lost} was acknowledged before the backup began, and is not there`)
    if (names.size >= this.written.size) throw new Error('what was written behind the backup is there as well')
    await pipeline([...names], 32, async (path) => {
      const { data } = await client.getData(path)
      if (data?.toString() !== path) throw new Error(`${path} has other data`)
    })
  }

  /** They have their owners, and those of a session that nobody comes back for end with it. */
  async expectEphemerals(client, countOthers) {
    const passing = `/load/alive-${this.clients.length}`
    for (let i = 0; i <= countOthers; i++) {
      const { stat } = await client.exists(`/load/alive-${i}`)
      if (stat?.ephemeralOwner !== this.clients[i].sessionId) throw new Error(`/load/alive-${i} has another owner`)
    }
    await until('the session that is over has taken its znode along', async () => {
      const { stat } = await client.exists(passing)
      if (stat !== undefined && stat.ephemeralOwner !== this.passing.sessionId)
        throw new Error(`${passing} is permanent`)
      return stat === undefined
    })
  }
}
