/**
 * The interop suite `admin`: the same requests to the admin server and the endpoint for Prometheus of Apache's 3.9.5 and
 * of ours, alone and in each role of an ensemble. Statuses, types, JSON keys and metric names are compared, and
 * snapshots go from one server into the other.
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { javaServer } from '../../durability/peers.mjs'
import { flag, fourLetterWord, WireClient } from '../../durability/wire.mjs'
import { cached } from '../cache.mjs'
import { Ensemble, until } from '../ensemble/members.mjs'
import { versions } from '../peers.mjs'
import { runToEnd } from '../process.mjs'
import { choosePort, Server } from '../server.mjs'
import { makeTempDir, removeTempDir } from '../tempdir.mjs'
import { familiesOf, http, samplesOf, shapeText } from './http.mjs'
import { mergeNames, NOT_HERE } from './names.mjs'

const PROMETHEUS = 'org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider'
const AUTH = { Authorization: 'digest root:x' }
const PORTS = [25_100, 25_199]

/** Looked at on every server; what changes something comes last. */
const LOOKS = [
  'configuration',
  'conf',
  'config',
  'connections',
  'cons',
  'dirs',
  'dump',
  'get_trace_mask',
  'gtmk',
  'hash',
  'initial_configuration',
  'icfg',
  'is_read_only',
  'isro',
  'last_snapshot',
  'lsnp',
  'leader',
  'lead',
  'observers',
  'obsr',
  'ruok',
  'server_stats',
  'srvr',
  'stats',
  'stat',
  'voting_view',
  'watches',
  'wchc',
  'watches_by_path',
  'wchp',
  'watch_summary',
  'wchs',
  'zabstate',
  'set_trace_mask?traceMask=306',
  'stmk?traceMask=-1',
  'set_trace_mask',
  'set_trace_mask?traceMask=x',
  'connection_stat_reset',
  'crst',
  'stat_reset',
  'srst',
  'observer_connection_stat_reset',
  'orst',
]

/** Path, options. */
const ODD = [
  ['/commands/nonsense'],
  ['/commands/RUOK'],
  ['/commands/a/b'],
  ['/commands/ruok/'],
  ['/commands/%72uok'],
  ['/commands/non%22se%3Cx%3E'],
  ['/commands/ruok?x=1'],
  ['/commands/ruok', { method: 'HEAD' }],
  ['/commands/snapshot'],
  ['/commands/snapshot', { headers: { Authorization: 'nonsense x' } }],
  ['/commands/snapshot', { headers: { Authorization: 'world anyone' } }],
  ['/commands/snapshot', { headers: { Authorization: 'digest' } }],
  ['/commands/snapshot', { headers: { Authorization: 'digest a b c' } }],
  ['/commands/snapshot', { headers: { Authorization: 'auth a' } }],
  ['/commands/restore', { method: 'POST' }],
]

/** The command of the Java server with what reports to Prometheus. */
export async function fetchJavaAdmin() {
  const pom = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>interop</groupId><artifactId>metrics</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>org.apache.zookeeper</groupId><artifactId>zookeeper-prometheus-metrics</artifactId>
    <version>${versions.zookeeperMetrics}</version>
  </dependency></dependencies>
</project>
`
  const wanted = ['', '_common', '_hotspot', '_servlet'].map((name) => `simpleclient${name}`)
  const dir = await cached('java-metrics', versions.zookeeperMetrics, pom, async (tmp) => {
    writeFileSync(join(tmp, 'pom.xml'), pom)
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${join(tmp, 'lib')}`]
    const only = `-DincludeArtifactIds=${['zookeeper-prometheus-metrics', ...wanted].join(',')}`
    await runToEnd('mvn', ['-q', '-B', '-f', join(tmp, 'pom.xml'), ...goal, only])
  })
  return (await javaServer()).replace("-cp '", `-cp '${join(dir, 'lib')}/*:`)
}

export async function runAdmin(java, options, report) {
  const check = async (name, body) => {
    try {
      const why = await body()
      report(!why, name, why || undefined)
    } catch (error) {
      report(false, name, error.message.replace(/\s*\n\s*/g, ' | ').slice(0, 3000))
    }
  }
  await compareAlone(java, options.server, check)
  await compareEnsembles(java, options.server, check)
}

// ------------------------------------------------------------------ alone

class Alone {
  static async start(command, name, settings) {
    const alone = new Alone()
    alone.adminPort = await choosePort(...PORTS)
    const config = {
      tickTime: 500,
      preAllocSize: 64,
      '4lw.commands.whitelist': '*',
      'admin.serverPort': alone.adminPort,
      'admin.snapshot.enabled': true,
      'admin.restore.enabled': true,
      'admin.rateLimiterIntervalInMS': 1,
      ...settings,
    }
    alone.server = new Server(command, `admin-${name}`, config, {})
    await alone.server.start()
    return alone
  }

  ask(path, options) {
    return http(this.adminPort, path, options)
  }

  async stop() {
    await this.server.kill()
    this.server.release()
    removeTempDir(this.server.dir)
  }
}

async function compareAlone(javaCommand, ourCommand, check) {
  const servers = []
  try {
    const java = await Alone.start(javaCommand, 'java', {})
    servers.push(java)
    const ours = await Alone.start(ourCommand, 'ours', {})
    servers.push(ours)
    const sessions = [await load(java.server.port), await load(ours.server.port)]
    await comparePages('alone', java, ours, check)
    await check('alone: the names of mntr', async () => {
      const [theirs, own] = await Promise.all([monitorNames(java), monitorNames(ours)])
      return difference(theirs, own, NOT_HERE.mntr)
    })
    for (const session of sessions) await session.close()
    await checkSnapshots(java, ours, check)
  } finally {
    for (const server of servers) await server.stop()
  }
}

/** What makes each list of each page have something in it. */
async function load(port) {
  const client = await WireClient.connect({ host: '127.0.0.1', port })
  await client.create('/a', Buffer.from('hello'))
  await client.create('/a/e', Buffer.alloc(0), { flags: flag.ephemeral })
  await client.create('/zookeeper/quota/a', Buffer.alloc(0))
  await client.create('/zookeeper/quota/a/zookeeper_limits', Buffer.from('count=50,bytes=100000'))
  await client.create('/zookeeper/quota/a/zookeeper_stats', Buffer.from('count=1,bytes=5'))
  for (let i = 0; i < 130; i++) await client.setData('/a', Buffer.from(`x${i}`)) // so that there is a digest to tell
  await client.getData('/a')
  await client.request(4, Buffer.concat([pathBytes('/a'), Buffer.from([1])])) // getData with a watch
  return client
}

function pathBytes(path) {
  const bytes = Buffer.alloc(4 + path.length)
  bytes.writeInt32BE(path.length)
  bytes.write(path, 4)
  return bytes
}

async function comparePages(where, java, ours, check) {
  await check(`${where}: the list of commands`, async () => {
    const [theirs, own] = await both(java, ours, '/commands')
    return theirs.body.equals(own.body) ? null : `expected ${theirs.body}, got ${own.body}`
  })
  for (const look of LOOKS) {
    // Java's members have lost the text; ours have not.
    if (where !== 'alone' && (look === 'icfg' || look === 'initial_configuration')) continue
    await check(`${where}: ${look}`, async () => {
      const [theirs, own] = await both(java, ours, `/commands/${look}`)
      return same(shapeText(theirs), shapeText(own))
    })
  }
  for (const [path, options = {}] of ODD) {
    const said = options.headers ? ` (${options.headers.Authorization})` : ''
    await check(`${where}: ${options.method ?? 'GET'} ${path}${said}`, async () => {
      const [theirs, own] = await both(java, ours, path, options)
      return same(exact(theirs), exact(own))
    })
  }
}

function both(java, ours, path, options) {
  return Promise.all([java.ask(path, options), ours.ask(path, options)])
}

function exact({ status, type, body }) {
  return `${status} ${type} ${body}`
}

function same(expected, got) {
  return expected === got ? null : `expected ${expected}, got ${got}`
}

/** Two sets of names: none missing but those that are told why. */
function difference(theirs, own, reasons) {
  const missing = [...theirs].filter((name) => !own.has(name) && !reasons.some((pattern) => pattern.test(name)))
  return missing.length === 0 ? null : `missing: ${missing.join(' ')}`
}

async function monitorNames({ server }) {
  const text = await fourLetterWord(server.port, 'mntr')
  return new Set(text.split('\n').map((line) => line.split('\t')[0]))
}

/** A snapshot of one is what the other serves afterwards, and has at its next start as well. */
async function checkSnapshots(java, ours, check) {
  const put = async ({ server }, path) => {
    const client = await WireClient.connect({ host: '127.0.0.1', port: server.port })
    await client.create(path, Buffer.from(path))
    await client.close()
  }
  const has = async ({ server }, path) => {
    const client = await WireClient.connect({ host: '127.0.0.1', port: server.port })
    try {
      return (await client.exists(path)).err === 0
    } finally {
      await client.close()
    }
  }
  await put(java, '/of-java')
  await put(ours, '/of-ours')
  const taken = {}
  for (const [name, one] of Object.entries({ java, ours })) {
    await check(`snapshot: ${name} sends a file with its headers`, async () => {
      const answer = await one.ask('/commands/snapshot', { headers: AUTH })
      taken[name] = answer.body
      const { last_zxid: zxid, snapshot_size: size } = answer.headers
      if (answer.status !== 200 || answer.type !== 'application/octet-stream')
        return `got ${exact(answer).slice(0, 200)}`
      if (!/^0x[0-9a-f]+$/.test(zxid)) return `last_zxid: ${zxid}`
      if (Number(size) !== answer.body.length) return `${size} bytes said, ${answer.body.length} sent`
      return answer.body.toString('latin1', 0, 4) === 'ZKSN' ? null : 'not a snapshot'
    })
    await check(`snapshot: ${name} without streaming`, async () => {
      const answer = await one.ask('/commands/snap?streaming=false', { headers: AUTH })
      const json = `{\n  "command" : "snapshot",\n  "error" : null\n}`
      return same(`200 application/json ${json}`, exact(answer))
    })
  }
  const restore = async (into, bytes) => {
    const answer = await into.ask('/commands/restore', { method: 'POST', headers: AUTH, body: bytes })
    const { last_zxid: zxid, command, error } = JSON.parse(answer.body)
    const fine = answer.status === 200 && typeof zxid === 'number' && command === 'restore' && error === null
    return fine ? null : `got ${exact(answer)}`
  }
  await check("restore: Java's snapshot into ours", async () => {
    const why = await restore(ours, taken.java)
    if (why) return why
    if (!(await has(ours, '/of-java')) || (await has(ours, '/of-ours'))) return 'not the data of the snapshot'
    await put(ours, '/behind')
    await ours.server.kill()
    await ours.server.start()
    return (await has(ours, '/of-java')) && (await has(ours, '/behind')) ? null : 'gone at the next start'
  })
  await check("restore: our snapshot into Java's", async () => {
    const why = await restore(java, taken.ours)
    if (why) return why
    return (await has(java, '/of-ours')) && !(await has(java, '/of-java')) ? null : 'not the data of the snapshot'
  })
  await check('restore: what is no snapshot changes nothing', async () => {
    const answer = await ours.ask('/commands/restore', { method: 'POST', headers: AUTH, body: Buffer.from('nonsense') })
    return answer.status === 500 && (await has(ours, '/of-java')) ? null : `got ${exact(answer)}`
  })
}

// ------------------------------------------------------------------ ensembles

async function compareEnsembles(javaCommand, ourCommand, check) {
  const directory = makeTempDir('admin-ensembles')
  const commands = { java: javaCommand, ours: ourCommand }
  const ensembles = []
  try {
    for (const kind of ['java', 'ours']) {
      const folder = join(directory, kind)
      mkdirSync(folder)
      ensembles.push(await startEnsemble(folder, commands, kind))
    }
    const [theirs, own] = ensembles
    for (const role of ['leader', 'follower', 'observer']) {
      const [java, ours] = [theirs.roles[role], own.roles[role]]
      await comparePages(role, java, ours, check)
      await compareMetrics(role, java, ours, check)
    }
  } finally {
    for (const { ensemble } of ensembles) await ensemble.killAll()
    removeTempDir(directory)
  }
}

async function startEnsemble(directory, commands, kind) {
  const ensemble = await Ensemble.of(directory, commands, [kind, kind, kind], {
    observers: [3],
    settings: { 'metricsProvider.className': PROMETHEUS, preAllocSize: 64 },
    ports: PORTS,
  })
  for (const member of ensemble.members) {
    member.adminPort = await choosePort(...PORTS)
    member.metricsPort = await choosePort(...PORTS)
    const lines = `admin.enableServer=true\nadmin.serverPort=${member.adminPort}\n`
    appendFileSync(member.configFile, `${lines}metricsProvider.httpPort=${member.metricsPort}\n`)
    member.ask4 = member.ask
    member.ask = (path, options) =>
      path.startsWith('/') ? http(member.adminPort, path, options) : member.ask4(path, options)
  }
  const leader = await ensemble.startLedBy(2)
  await load(leader.port)
  for (const member of ensemble.members) {
    if (member === leader) continue
    const client = await WireClient.connect({ host: '127.0.0.1', port: member.port })
    await client.create(`/of-${member.sid}`, Buffer.from('x'))
    await client.request(4, Buffer.concat([pathBytes(`/of-${member.sid}`), Buffer.from([1])]))
    await client.setData(`/of-${member.sid}`, Buffer.from('y'))
  }
  const [first, second, third] = ensemble.members
  await until('the observer is listed', async () => {
    const answer = await second.ask('/commands/observers')
    return JSON.parse(answer.body).synced_observers === 1
  })
  return { ensemble, roles: { leader: second, follower: first, observer: third } }
}

async function compareMetrics(role, java, ours, check) {
  const scrape = async (member) => {
    const answer = await http(member.metricsPort, '/metrics')
    if (answer.status !== 200) throw new Error(`/metrics of ${member.name}: ${exact(answer).slice(0, 200)}`)
    return { type: answer.type, text: answer.body.toString() }
  }
  const [theirs, own] = [await scrape(java), await scrape(ours)]
  await check(`${role}: the content type of /metrics`, async () => same(theirs.type, own.type))
  await check(`${role}: families for Prometheus, with their types`, async () => {
    const lines = (text) => new Set([...familiesOf(text)].map(([name, type]) => `${name} ${type}`))
    return difference(lines(theirs.text), lines(own.text), NOT_HERE.prometheus)
  })
  await check(`${role}: samples for Prometheus, with their labels`, async () => {
    return difference(samplesOf(theirs.text), samplesOf(own.text), NOT_HERE.samples)
  })
  await check(`${role}: the keys of monitor are those of mntr and of Prometheus`, async () => {
    const [page, word] = [JSON.parse((await ours.ask('/commands/monitor')).body), await ours.ask4('mntr')]
    const keys = new Set(Object.keys(page))
    const named = mergeNames(word.split('\n').map((line) => line.split('\t')[0].replace(/^zk_/, '')))
    return difference(named, mergeNames(keys), [/^$/])
  })
}
