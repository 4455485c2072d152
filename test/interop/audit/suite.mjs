/**
 * The interop suite `audit`: the same requests to Apache's server and to ours, both with `audit.enable`, and the files they
 * write, line by line, levels and layout included. Session ids are numbered as they appear; digests are masked, because
 * ours does that on purpose.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { javaServer } from '../../durability/peers.mjs'
import { flag, OPEN_ACL, WireClient } from '../../durability/wire.mjs'
import { Server } from '../server.mjs'
import { removeTempDir } from '../tempdir.mjs'

const config = {
  tickTime: 500,
  extendedTypesEnabled: true,
  'audit.enable': true,
  'audit.impl.class': 'org.apache.zookeeper.audit.Slf4jAuditLogger',
  'admin.enableServer': false,
  '4lw.commands.whitelist': '*',
}

const gone = 'ephemeralZNodeDeletionOnSessionCloseOrExpire'
const restart = 'start again'

export async function runAudit(_lib, options, report) {
  const logback = fileURLToPath(new URL('logback.xml', import.meta.url))
  const flags = `-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto '-Dlogback.configurationFile=${logback}'`
  const [java, ours] = await Promise.all([
    linesOf(await javaServer(flags), 'java', (file) => ({ JDK_JAVA_OPTIONS: `-Daudit.to=${file}` })),
    linesOf(options.server, 'ours', (file) => ({ SERVER_JVMFLAGS: `-Dzookeeper.audit.file=${file}` })),
  ])
  // Java's tree logs these at each replay of its log too, although nothing has happened.
  const replayed = java.get(restart).filter((line) => !line.includes(gone))
  java.set(restart, replayed)
  const steps = [...new Set([...java.keys(), ...ours.keys()])]
  for (const step of steps) {
    const [theirs, mine] = [java.get(step) ?? [], ours.get(step) ?? []]
    const same = theirs.join('\n') === mine.join('\n')
    report(
      same,
      `${step}: ${theirs.length} lines`,
      same ? undefined : `expected ${theirs.join(' | ')}, got ${mine.join(' | ')}`,
    )
  }
  report([...java.values()].flat().length > 25, 'there are lines to compare')
}

/** The lines behind each step, normalised. */
async function linesOf(command, name, environment) {
  const server = new Server(command, `audit-${name}`, config, {})
  const file = join(server.dir, 'audit.log')
  server.env = environment(file)
  const lines = new Map()
  const sessions = []
  let seen = 0
  const step = async (what, act) => {
    await act()
    // The file is written behind the answer; what is late belongs to this step all the same.
    let text = ''
    for (let quiet = 0; quiet < 4; quiet++) {
      await delay(50)
      const now = existsSync(file) ? readFileSync(file, 'utf8') : ''
      if (now !== text) quiet = 0
      text = now
    }
    const all = text.split('\n').slice(0, -1)
    const fresh = all.slice(seen).map((line) => normalised(line, sessions))
    lines.set(what, inOrder(fresh))
    seen = all.length
  }
  try {
    await step('start', () => server.start())
    const client = await WireClient.connect({ port: server.port })
    for (const [what, act] of requests(client)) await step(what, act)
    await step('a session that is closed', async () => {
      await client.create('/eph', Buffer.from(''), { flags: flag.ephemeral })
      await client.close()
    })
    await step('a session that expires', async () => {
      const late = await WireClient.connect({ port: server.port, timeoutMs: 1000 })
      await late.create('/late', Buffer.from(''), { flags: flag.ephemeral })
      late.abandon()
      const other = await WireClient.connect({ port: server.port })
      while ((await other.exists('/late')).err === 0) await delay(50)
      await other.close()
    })
    await step('stop', () => server.stop())
    await step(restart, () => server.start())
  } finally {
    await server.kill()
    server.release()
    removeTempDir(server.dir)
  }
  return lines
}

function* requests(client) {
  const data = Buffer.from('x')
  yield [
    'creates of every mode',
    async () => {
      await client.create('/a', data)
      await client.create('/a/s-', data, { flags: flag.sequential })
      await client.create('/e', data, { flags: flag.ephemeral })
      await client.create('/e-', data, { flags: flag.ephemeralSequential })
      await client.create('/c', data, { flags: flag.container })
      await client.create('/t', data, { flags: flag.ttl, ttlMs: 60_000 })
      await client.create('/t-', data, { flags: flag.ttlSequential, ttlMs: 60_000 })
    },
  ]
  yield [
    'creates that fail',
    async () => {
      await client.create('/a', data)
      await client.create('/no/parent', data, { flags: flag.sequential })
      await client.create('/e/child', data)
      await client.create('/bad//path', data)
    },
  ]
  yield [
    'data',
    async () => {
      await client.setData('/a', data)
      await client.setData('/a', data, 7)
      await client.setData('/nowhere', data)
    },
  ]
  yield [
    'deletes',
    async () => {
      await client.create('/d', data)
      await client.delete('/d')
      await client.delete('/d')
      await client.delete('/a')
    },
  ]
  yield [
    'reads, which have no line',
    async () => {
      await client.getData('/a')
      await client.exists('/a')
      await client.getChildren('/')
      await client.sync('/')
    },
  ]
  yield [
    'ACLs',
    async () => {
      await client.create('/acl', data)
      await client.setACL('/acl', [...OPEN_ACL, { perms: 3, scheme: 'ip', id: '10.0.0.0/8' }])
      await client.setACL('/acl', [...OPEN_ACL, { perms: 5, scheme: 'digest', id: 'u:abcdefg=' }])
      await client.setACL('/acl', OPEN_ACL, 9)
      await client.setACL('/acl', [{ perms: 31, scheme: 'nonsense', id: 'x' }])
      await client.setACL('/acl', [{ perms: 31, scheme: 'auth', id: '' }])
    },
  ]
  yield [
    'multis',
    async () => {
      await client.multi([
        { create: '/m', data },
        { create: '/m/s-', data, flags: flag.sequential },
        { set: '/m', data },
        { check: '/m', version: 1 },
        { create: '/m/e', data, flags: flag.ephemeral },
        { delete: '/m/e' },
      ])
      await client.multi([{ create: '/n', data }, { delete: '/nowhere' }])
      await client.multi([{ check: '/m', version: 9 }])
      await client.multi([])
    },
  ]
  yield [
    'a client with a name',
    async () => {
      await client.auth('digest', 'u:p')
      await client.create('/mine', data, { acl: [{ perms: 31, scheme: 'auth', id: '' }] })
      await client.setData('/mine', data)
    },
  ]
}

/** A session's ephemerals go in any order, behind the rest of a step. */
function inOrder(lines) {
  const others = lines.filter((line) => !line.includes(gone))
  return [...others, ...lines.filter((line) => line.includes(gone)).sort()]
}

/** Layout and level stay; time, session ids and the order of a client's identities do not. */
function normalised(line, sessions) {
  return line
    .replace(/^[-\d]+ [:,\d]+ /, '')
    .replace(/session=(0x[0-9a-f]+)/, (_, id) => {
      if (!sessions.includes(id)) sessions.push(id)
      return `session=#${sessions.indexOf(id)}`
    })
    .replace(/user=([^\t]*)/, (_, users) => `user=${users.split(',').sort().join(',')}`)
    .replace(/digest:(\w+):[^:\t]*:/g, 'digest:$1:x:')
    .replaceAll('\t', ' ')
}
