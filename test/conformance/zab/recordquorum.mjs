/**
 * Makes fixtures/quorum.*.txt anew: what leaders and learners of Apache ZooKeeper say to each other on the quorum port.
 *
 *   node test/conformance/zab/recordquorum.mjs REAL_ZK OUTDIR [SCENARIO ...]
 *
 * REAL_ZK is a command that runs a Java server on the zoo.cfg given as its last argument, with the JVM flags that are in
 * SERVER_JVMFLAGS. Each server dials through a SOCKS proxy of its own, which is what writes everything down: so a
 * configuration names true addresses, and whoever dials is known. 127.0.0.1, ports 25500 to 25569.
 *
 * A recording has one line per event, in the order in which the proxies saw them; what it is made of stands in
 * quorumrecording.ts, its reader. Which of two servers with the same acknowledgements leads after `reconfig` is up to the
 * threads of the leader: if it is not the one whose acknowledgements the recording shows first, record again.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { flag, fourLetterWord, OPEN_ACL, SessionRefused, WireClient } from '../../durability/wire.mjs'

const RECONFIG = 16
const HOST = '127.0.0.1'
const quorumPort = (sid) => 25500 + sid
const electionPort = (sid) => 25520 + sid
const clientPort = (sid) => 25540 + sid
const proxyPort = (sid) => 25560 + sid

/** A SOCKS 5 proxy for one member: CONNECT to IPv4 addresses, nothing else. */
class SocksProxy {
  constructor(recorder, sid) {
    this.recorder = recorder
    this.sid = sid
    this.server = createServer((socket) => this.greet(socket))
    this.server.listen(proxyPort(sid), HOST)
  }

  greet(socket) {
    socket.setNoDelay()
    socket.on('error', () => {})
    let received = Buffer.alloc(0)
    const onData = (chunk) => {
      received = Buffer.concat([received, chunk])
      const methods = received[1] ?? 0
      if (received.length < 2 + methods) return
      if (received.length === 2 + methods) return void socket.write(Buffer.from([5, 0]))
      if (received.length < 2 + methods + 10) return
      socket.off('data', onData)
      this.connect(socket, received.readUInt16BE(2 + methods + 8))
    }
    socket.on('data', onData)
  }

  connect(socket, port) {
    const upstream = connect({ port, host: HOST, noDelay: true })
    const answer = (status) => socket.write(Buffer.from([5, status, 0, 1, 0, 0, 0, 0, 0, 0]))
    upstream.once('error', () => {
      answer(5)
      socket.destroy()
    })
    upstream.once('connect', () => {
      upstream.removeAllListeners('error')
      upstream.on('error', () => {})
      this.recorder.join(this.sid, port, socket, upstream)
      answer(0)
    })
  }
}

class Recorder {
  lines = []
  /** Of links to these members nothing more comes down. */
  frozen = new Set()
  links = 0

  note(line) {
    this.lines.push(line)
  }

  join(learner, port, down, up) {
    const leader = port - 25500
    if (leader < 1 || leader > 9) {
      this.pass(down, up)
      this.pass(up, down)
      return
    }
    const link = ++this.links
    this.note(`dial ${link} ${learner} ${leader}`)
    this.pass(down, up, (chunk) => {
      this.note(`up ${link} ${chunk.toString('hex')}`)
      return true
    })
    this.pass(up, down, (chunk) => {
      const lost = this.frozen.has(leader)
      this.note(`${lost ? 'lost' : 'down'} ${link} ${chunk.toString('hex')}`)
      return !lost
    })
    let open = true
    const end = (side) => {
      if (open) this.note(`end ${link} ${side}`)
      open = false
    }
    down.on('close', () => end('learner'))
    up.on('close', () => end('leader'))
  }

  pass(from, to, see = () => true) {
    from.on('data', (chunk) => {
      if (see(chunk)) to.write(chunk)
    })
    from.on('close', () => to.destroy())
  }
}

class Ensemble {
  constructor(command, voters, observers, settings) {
    this.root = mkdtempSync(join(tmpdir(), 'quorum-'))
    this.command = command
    this.voters = voters
    this.observers = observers
    this.settings = settings
    this.recorder = new Recorder()
    this.processes = new Map()
    this.started = new Set()
    this.proxies = []
    for (const sid of [...voters, ...observers]) {
      this.proxies.push(new SocksProxy(this.recorder, sid))
      this.writeConfig(sid)
    }
  }

  static address(sid, role) {
    return `${HOST}:${quorumPort(sid)}:${electionPort(sid)}:${role};${HOST}:${clientPort(sid)}`
  }

  folder(sid) {
    return join(this.root, String(sid))
  }

  writeConfig(sid) {
    mkdirSync(this.folder(sid), { recursive: true })
    writeFileSync(join(this.folder(sid), 'myid'), `${sid}\n`)
    const role = (member) => (this.voters.includes(member) ? 'participant' : 'observer')
    const members = [...this.voters, ...this.observers].map((m) => `server.${m}=${Ensemble.address(m, role(m))}`)
    const own = this.observers.includes(sid) ? ['peerType=observer'] : []
    const lines = ['tickTime=5000', 'initLimit=12', 'syncLimit=6', `dataDir=${this.folder(sid)}`, ...this.settings]
    const rest = ['admin.enableServer=false', '4lw.commands.whitelist=*', ...own, ...members, '']
    writeFileSync(join(this.folder(sid), 'zoo.cfg'), [...lines, ...rest].join('\n'))
  }

  start(sid) {
    this.recorder.note(`start ${sid}`)
    const flags = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto', '-Xss512k']
    const proxy = [`-DsocksProxyHost=${HOST}`, `-DsocksProxyPort=${proxyPort(sid)}`, '-DsocksNonProxyHosts=']
    const server = ['-Dzookeeper.extendedTypesEnabled=true', '-Dzookeeper.skipACL=yes']
    const env = { ...process.env, ZK_SERVER_HEAP: '128', SERVER_JVMFLAGS: [...flags, ...proxy, ...server].join(' ') }
    const child = spawn(this.command, [join(this.folder(sid), 'zoo.cfg')], { stdio: 'inherit', env })
    this.processes.set(sid, child)
    process.once('exit', () => child.kill('SIGKILL'))
    this.started.add(sid)
  }

  async kill(sid) {
    const child = this.processes.get(sid)
    this.processes.delete(sid)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    this.recorder.note(`kill ${sid}`)
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
    await delay(200)
  }

  /** Nothing is left but its name. */
  wipe(sid) {
    rmSync(join(this.folder(sid), 'version-2'), { recursive: true })
    this.recorder.note(`wipe ${sid}`)
  }

  async mode(sid) {
    const text = await fourLetterWord(clientPort(sid), 'srvr', 5000).catch(() => '')
    return /^Mode: (\S+)/m.exec(text)?.[1] ?? ''
  }

  async becomes(sid, mode) {
    await until(`${sid} is ${mode}`, async () => (await this.mode(sid)) === mode)
  }

  logs(sid) {
    const folder = join(this.folder(sid), 'version-2')
    return readdirSync(folder)
      .filter((name) => name.startsWith('log.'))
      .map((name) => readFileSync(join(folder, name)))
  }

  connect(sid, options = {}) {
    return WireClient.connect({ port: clientPort(sid), answerWithinMs: 60_000, timeoutMs: 40_000, ...options })
  }

  async end(file, about) {
    for (const sid of [...this.processes.keys()]) await this.kill(sid)
    for (const { server } of this.proxies) server.close()
    const head = about.map((line) => `# ${line}`)
    writeFileSync(file, `${[...head, ...this.recorder.lines].join('\n')}\n`)
    for (const sid of this.started) {
      writeFileSync(`${file}.${sid}.log`, readFileSync(join(this.folder(sid), 'zookeeper.out')))
    }
    rmSync(this.root, { recursive: true })
  }
}

async function until(what, test) {
  for (let tries = 0; tries < 1200; tries++) {
    if (await test()) {
      console.log(`-- ${what}`)
      return
    }
    await delay(100)
  }
  throw new Error(`never: ${what}`)
}

const bytes = (text) => Buffer.from(text)

/** Several pings, and their answers. */
async function pings(ensemble, count) {
  const seen = () => ensemble.recorder.lines.filter((line) => /^down \d+ 00000005/.test(line)).length
  const wanted = seen() + count
  await until(`${count} pings`, () => seen() >= wanted)
}

/** All that was begun is told to all: nothing is said for a while, not even pings. */
async function quiet({ recorder }) {
  for (let before = -1; before !== recorder.lines.length; ) {
    before = recorder.lines.length
    await delay(1500)
  }
}

const ABOUT = {
  broadcast: 'a first start, then every kind of request: 2 leads 1 and observer 4; 3 is not there.',
  rejoin: '3 leads 1 and 2; 1 comes back behind, and without data; 3 comes back with what nobody else has, and behind.',
  reconfig: '3 leads 1, 2 and observer 4; an observer 5 is added that never comes; 4 gets a vote; 3 is taken out.',
}

const SCENARIOS = {
  async broadcast(ensemble) {
    ensemble.start(1)
    ensemble.start(2)
    await ensemble.becomes(2, 'leader')
    await ensemble.becomes(1, 'follower')
    ensemble.start(4)
    await ensemble.becomes(4, 'observer')
    await pings(ensemble, 2)

    const atLeader = await ensemble.connect(2)
    await atLeader.create('/leader', bytes('l'))
    await atLeader.create('/leader/sequence-', bytes(''), { flags: flag.sequential })
    await atLeader.setData('/leader', bytes('l2'), 0)

    const atFollower = await ensemble.connect(1)
    await atFollower.auth('digest', 'user:secret')
    await atFollower.create('/follower', bytes('f'))
    await atFollower.create('/follower/ephemeral', bytes('e'), { flags: flag.ephemeral })
    await atFollower.create('/follower/container', null, { flags: flag.container })
    await atFollower.create('/follower/ttl', bytes('t'), { flags: flag.ttl, ttlMs: 3_600_000 })
    await atFollower.setData('/follower', bytes('f2'))
    await atFollower.setData('/follower', bytes('no'), 7)
    await atFollower.setACL('/follower/container', [{ perms: 31, scheme: 'auth', id: '' }, ...OPEN_ACL])
    await atFollower.multi([
      { check: '/follower', version: 1 },
      { create: '/follower/multi', data: bytes('m') },
      { set: '/leader', data: bytes('l3') },
      { delete: '/follower/multi' },
    ])
    await atFollower.multi([{ create: '/undone', data: bytes('u') }, { delete: '/nothing' }])
    await atFollower.delete('/follower/ttl', 0)
    await atFollower.sync('/follower')
    await Promise.all([atFollower.create('/first', bytes('1')), atFollower.sync('/first')])

    const atObserver = await ensemble.connect(4)
    await atObserver.create('/observer', bytes('o'))
    await atObserver.sync('/observer')
    await pings(ensemble, 3)

    // Sessions move, and one comes back that has ended.
    atObserver.abandon()
    const moved = await ensemble.connect(1, { sessionId: atObserver.sessionId, password: atObserver.password })
    await moved.setData('/observer', bytes('o2'))
    atFollower.abandon()
    const again = await ensemble.connect(1, { sessionId: atFollower.sessionId, password: atFollower.password })
    await again.delete('/first')
    await moved.close()
    const { sessionId, password } = moved
    await ensemble.connect(1, { sessionId, password }).then(
      () => Promise.reject(new Error('a session that was closed goes on')),
      (error) => (error instanceof SessionRefused ? undefined : Promise.reject(error)),
    )
    await again.close()
    await atLeader.close()
    await pings(ensemble, 2)
  },

  async rejoin(ensemble) {
    ensemble.start(1)
    ensemble.start(3)
    await ensemble.becomes(3, 'leader')
    await ensemble.becomes(1, 'follower')
    ensemble.start(2)
    await ensemble.becomes(2, 'follower')
    const client = await ensemble.connect(3)
    const acl = [
      { perms: 31, scheme: 'ip', id: HOST },
      { perms: 1, scheme: 'world', id: 'anyone' },
    ]
    await client.create('/a', bytes('1'), { acl })
    await client.create('/a/ephemeral', bytes('e'), { flags: flag.ephemeral })
    await client.create('/a/container', null, { flags: flag.container })
    await client.create('/a/ttl', bytes('t'), { flags: flag.ttl, ttlMs: 3_600_000 })
    await ensemble.kill(1)
    for (const text of ['2', '3', '4']) await client.setData('/a', bytes(text))
    ensemble.start(1)
    await ensemble.becomes(1, 'follower')
    await client.create('/b', bytes('b'))
    await ensemble.kill(1)
    ensemble.wipe(1)
    ensemble.start(1)
    await ensemble.becomes(1, 'follower')
    await client.create('/c', bytes('c'))
    // The next two reach the leader's log only.
    ensemble.recorder.frozen.add(3)
    const lost = ['/lost1', '/lost2'].map((path) => client.create(path, bytes('lost')).catch(() => {}))
    await until('they are logged', () => ensemble.logs(3).some((log) => log.includes('/lost2')))
    await ensemble.kill(3)
    await Promise.all(lost)
    ensemble.recorder.frozen.clear()
    await until(
      'another leads',
      async () => (await ensemble.mode(2)) === 'leader' || (await ensemble.mode(1)) === 'leader',
    )
    const [leader, follower] = (await ensemble.mode(2)) === 'leader' ? [2, 1] : [1, 2]
    await ensemble.becomes(follower, 'follower')
    ensemble.start(3)
    await ensemble.becomes(3, 'follower')
    const other = await ensemble.connect(leader)
    await other.create('/d', bytes('d'))
    await ensemble.kill(3)
    await other.create('/e', bytes('e'))
    ensemble.start(3)
    await ensemble.becomes(3, 'follower')
    await other.create('/f', bytes('f'))
    await other.close()
  },

  async reconfig(ensemble) {
    ensemble.start(1)
    ensemble.start(3)
    await ensemble.becomes(3, 'leader')
    await ensemble.becomes(1, 'follower')
    ensemble.start(2)
    ensemble.start(4)
    await ensemble.becomes(2, 'follower')
    await ensemble.becomes(4, 'observer')
    const client = await ensemble.connect(3)
    await client.create('/a', bytes('1'))
    await reconfig(client, `server.5=${Ensemble.address(5, 'observer')}`, null)
    await client.setData('/a', bytes('2'))
    await reconfig(client, `server.4=${Ensemble.address(4, 'participant')}`, '5')
    await ensemble.becomes(4, 'follower')
    await client.setData('/a', bytes('3'))
    await reconfig(client, null, '3')
    await until('another leads', async () => {
      const modes = await Promise.all([1, 2, 4].map((sid) => ensemble.mode(sid)))
      return modes.filter((mode) => mode === 'follower').length === 2 && modes.includes('leader')
    })
    const other = await ensemble.connect(1)
    await other.setData('/a', bytes('4'))
    await other.close()
  },
}

async function reconfig(client, joining, leaving) {
  const string = (text) => {
    if (text === null) return Buffer.from([255, 255, 255, 255])
    const head = Buffer.alloc(4)
    head.writeInt32BE(text.length)
    return Buffer.concat([head, Buffer.from(text)])
  }
  const any = Buffer.alloc(8, 255)
  const body = Buffer.concat([string(joining), string(leaving), string(null), any])
  await client.request(RECONFIG, body).catch((error) => console.log(`-- reconfig: ${error.message}`))
}

const SETTINGS = {
  broadcast: [[1, 2, 3], [4], []],
  rejoin: [[1, 2, 3], [], []],
  reconfig: [[1, 2, 3], [4], ['reconfigEnabled=true']],
}

process.setMaxListeners(0) // every server is killed at the end
const [command, out, ...chosen] = process.argv.slice(2)
for (const name of chosen.length > 0 ? chosen : Object.keys(SCENARIOS)) {
  const ensemble = new Ensemble(command, ...SETTINGS[name])
  const file = join(out, `quorum.${name}.txt`)
  try {
    await SCENARIOS[name](ensemble)
    await quiet(ensemble)
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  } finally {
    await ensemble.end(file, [`Apache ZooKeeper 3.9.5, written down by recordquorum.mjs: ${ABOUT[name]}`])
  }
}
process.exit()
