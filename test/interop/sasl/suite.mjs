/**
 * The interop suite `sasl`: logins by SASL, DIGEST-MD5 and Kerberos, of the Java client and kazoo, on Apache's server and
 * on ours; and the same steps over the raw protocol on both, which must come to the same (logins.mjs).
 *
 * The C client is tried in the suite `c-secure`. Kerberos is MIT's, on loopback, with a realm of its own (kdc.mjs).
 */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { javaServer } from '../../durability/peers.mjs'
import { fetchKazooSasl } from '../peers.mjs'
import { javaFlags, runToEnd } from '../process.mjs'
import { Server } from '../server.mjs'
import { runProgram } from '../suite.mjs'
import { makeTempDir, removeTempDir } from '../tempdir.mjs'
import { Kdc, REALM } from './kdc.mjs'
import { observe, SETTINGS } from './logins.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const ownProgram = join(here, '..', '..', '..', 'bin', 'zoowarden')
const PROVIDER = { 'authProvider.sasl': 'org.apache.zookeeper.server.auth.SASLAuthenticationProvider' }
const BASE = { tickTime: 500, maxSessionTimeout: 60_000, maxClientCnxns: 0, 'admin.enableServer': false }
const JAVA_FLAGS = '-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto'
const DIGEST = 'org.apache.zookeeper.server.auth.DigestLoginModule'
const KERBEROS = 'com.sun.security.auth.module.Krb5LoginModule'

const USERS = { bob: 'bobsecret', super: 'adminsecret', root: 'rootsecret', ann: 'annsecret', jürgen: 'größe' }

const section = (name, module, options) =>
  `${name} {\n  ${module} required\n${Object.entries(options)
    .map(([key, value]) => `  ${key}="${value}"`)
    .join('\n')};\n};\n`

export async function runSasl(lib, options, report) {
  const directory = makeTempDir('sasl')
  const context = new Context(directory, lib, options, report)
  try {
    await context.prepare()
    await context.part('steps', () => compareSteps(context))
    await context.part('digest', () => digestClients(context))
    await context.part('kerberos', () => kerberosClients(context))
  } finally {
    removeTempDir(directory)
  }
}

class Context {
  constructor(directory, lib, options, report) {
    this.directory = directory
    this.lib = lib
    this.options = options
    this.report = report
    this.count = 0
  }

  async prepare() {
    const sources = [join(here, '..', 'java', 'Peer.java'), join(here, 'java', 'SaslMain.java')]
    await runToEnd('javac', [
      '-nowarn',
      '-encoding',
      'UTF-8',
      '-d',
      this.directory,
      '-cp',
      join(this.lib, '*'),
      ...sources,
    ])
  }

  async part(name, body) {
    try {
      await body()
    } catch (error) {
      this.report(false, `${name} runs to its end`, error.stack.replace(/\s*\n\s*/g, ' | ').slice(0, 2000))
    }
  }

  file(name, text) {
    const path = join(this.directory, name)
    writeFileSync(path, text)
    return path
  }

  /** A server of either kind. `properties`: Java's system properties. */
  async server(kind, config, properties) {
    const flags = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`)
    const java =
      kind === 'java' ? await javaServer(`${JAVA_FLAGS} ${flags.map((flag) => `'${flag}'`).join(' ')}`) : null
    const env = kind === 'java' ? {} : { SERVER_JVMFLAGS: flags.join(' ') }
    return new Server(java ?? this.options.server, `sasl-${kind}${++this.count}`, { ...BASE, ...config }, env)
  }

  /** Runs the body on a server, and ends that. */
  async withServer(kind, config, properties, body) {
    const server = await this.server(kind, config, properties)
    try {
      await server.start()
      return await body(server)
    } finally {
      await server.kill()
      server.release()
      removeTempDir(server.dir)
    }
  }

  /** The Java client's checks on a server of each kind. */
  async javaClient(kind, server, mechanism, properties) {
    const flags = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`)
    const classpath = [this.directory, join(here, '..'), join(this.lib, '*')].join(':')
    const program = {
      command: 'java',
      args: [...javaFlags, '-Dfile.encoding=UTF-8', ...flags, '-cp', classpath, 'SaslMain', mechanism],
    }
    await this.program(`${mechanism}, Java client, ${kind} server`, server, program)
  }

  program(name, server, program) {
    const target = { server, relay: { port: server.port }, workDir: this.directory, verbose: this.options.verbose }
    const report = (ok, what, why) => this.report(ok, `${name}: ${what}`, why)
    return runProgram({ timeoutMs: 120_000 }, program, target, report)
  }
}

/** The real server and ours are asked the same, and must have answered the same. */
async function compareSteps(context) {
  const users = Object.fromEntries(Object.entries(USERS).map(([user, password]) => [`user_${user}`, password]))
  const jaas = context.file('steps.conf', section('Server', DIGEST, users))
  for (const { name, config, jaas: withFile, cases } of SETTINGS) {
    const properties = withFile ? { 'java.security.auth.login.config': jaas } : {}
    const seen = { java: {}, ours: {} }
    await Promise.all(
      ['java', 'ours'].map((kind) =>
        context.withServer(kind, config, properties, async (server) => {
          for (const [title, body] of Object.entries(cases)) seen[kind][title] = await observe(body, server.port)
        }),
      ),
    )
    for (const title of Object.keys(cases)) {
      const at = seen.java[title].findIndex((line, i) => line !== seen.ours[title][i])
      const same = at < 0 && seen.java[title].length === seen.ours[title].length
      const shown = (lines) => lines.slice(Math.max(0, at - 1), at + 3).join(' / ')
      context.report(
        same,
        `${name}: ${title}`,
        same ? '' : `java: ${shown(seen.java[title])} :: ours: ${shown(seen.ours[title])}`,
      )
      if (context.options.verbose) process.stderr.write(`${name}: ${title}\n  ${seen.ours[title].join('\n  ')}\n`)
    }
  }
}

async function digestClients(context) {
  const users = Object.fromEntries(Object.entries(USERS).map(([user, password]) => [`user_${user}`, password]))
  const login = (username, password) => ({ username, password })
  const server = context.file('digest.conf', section('Server', DIGEST, users))
  const clients = context.file(
    'clients.conf',
    [
      section('Bob', DIGEST, login('bob', USERS.bob)),
      section('Ann', DIGEST, login('ann', USERS.ann)),
      section('Root', DIGEST, login('root', USERS.root)),
      section('Umlaut', DIGEST, login('jürgen', USERS.jürgen)),
      section('Wrong', DIGEST, login('bob', 'guess')),
      section('Unknown', DIGEST, login('eve', USERS.bob)),
    ].join(''),
  )
  const config = { ...PROVIDER, superUser: 'root' }
  const kazoo = await fetchKazooSasl()
  for (const kind of ['ours', 'java']) {
    await context.withServer(kind, config, { 'java.security.auth.login.config': server }, async (running) => {
      await context.javaClient(kind, running, 'digest', { 'java.security.auth.login.config': clients })
      await context.program(`digest, kazoo, ${kind} server`, running, {
        command: 'python3',
        args: [join(here, 'kazoo_main.py')],
        env: { PYTHONPATH: kazoo, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' },
      })
    })
  }
}

async function kerberosClients(context) {
  const kdc = await Kdc.start(join(context.directory, 'kdc'))
  try {
    // The Java client asks for the service at the name that it finds for the address: localhost.
    const service = await kdc.keytab('service', ['zookeeper/localhost'])
    const own = await kdc.keytab('clients', ['alice', 'app/host.test'])
    const common = { useKeyTab: true, storeKey: true, useTicketCache: false }
    const keytab = (path, principal) => ({ ...common, keyTab: path, principal: `${principal}@${REALM}` })
    const server = context.file('kerberos.conf', section('Server', KERBEROS, keytab(service, 'zookeeper/localhost')))
    const clients = context.file(
      'kerberosclients.conf',
      section('Alice', KERBEROS, keytab(own, 'alice')) + section('Service', KERBEROS, keytab(own, 'app/host.test')),
    )
    const realm = { 'java.security.krb5.conf': kdc.configFile }
    const cache = await kdc.tickets('alice', own)
    const tool = context.file(
      'kerberostool.conf',
      section('Keytab', KERBEROS, keytab(own, 'app/host.test')) +
        section('Cache', KERBEROS, { useTicketCache: true, ticketCache: cache }),
    )
    for (const kind of ['ours', 'java']) {
      const properties = { ...realm, 'java.security.auth.login.config': server }
      await context.withServer(kind, PROVIDER, properties, async (running) => {
        await context.javaClient(kind, running, 'kerberos', { ...realm, 'java.security.auth.login.config': clients })
        for (const [name, id] of [
          ['Keytab', `app/host.test@${REALM}`],
          ['Cache', `alice@${REALM}`],
        ]) {
          await ownTool(context, `kerberos, our zkCli.sh, ${kind} server: ${name}`, running, id, {
            ...realm,
            'java.security.auth.login.config': tool,
            'zookeeper.sasl.clientconfig': name,
          })
        }
        // Tickets are sealed with the new key from now on, which the server finds in its keytab.
        await kdc.renew(service, 'zookeeper/localhost')
        await ownTool(
          context,
          `kerberos, our zkCli.sh, ${kind} server with new keys`,
          running,
          `app/host.test@${REALM}`,
          {
            ...realm,
            'java.security.auth.login.config': tool,
            'zookeeper.sasl.clientconfig': 'Keytab',
          },
        )
      })
    }
  } finally {
    kdc.stop()
  }
}

/** Our own command line is asked who it is. */
async function ownTool(context, title, server, id, properties) {
  const flags = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`)
  const args = [ownProgram, 'cli', '-server', `127.0.0.1:${server.port}`, 'whoami']
  const said = await runToEnd(process.execPath, args, { env: { ...process.env, CLIENT_JVMFLAGS: flags.join(' ') } })
  const found = said.split('\n').find((line) => line.startsWith('sasl: ')) ?? said
  context.report(found === `sasl: ${id}`, `${title} is ${id}`, found === `sasl: ${id}` ? '' : `got ${found}`)
}
