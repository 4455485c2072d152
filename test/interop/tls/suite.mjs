/**
 * The interop suite `tls`: the Java client, its command line and kazoo over TLS, with each kind of store on either side,
 * each clientAuth, and everybody who has to stay outside; x509 ids on Apache's server and on ours; keys that are replaced
 * under working clients.
 *
 * The C client is tried in the suite `c-secure`.
 */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { javaServer } from '../../durability/peers.mjs'
import { fetchKazoo } from '../peers.mjs'
import { javaFlags, runToEnd } from '../process.mjs'
import { choosePort, fourLetterWord, Server } from '../server.mjs'
import { runProgram } from '../suite.mjs'
import { makeTempDir, removeTempDir } from '../tempdir.mjs'
import { answerAbout, makeKeys, PASSWORD } from './keys.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const BASE = {
  tickTime: 500,
  maxSessionTimeout: 60_000,
  maxClientCnxns: 0,
  'admin.enableServer': false,
  '4lw.commands.whitelist': '*',
}
const NETTY = { serverCnxnFactory: 'org.apache.zookeeper.server.NettyServerCnxnFactory' }
const JAVA_FLAGS = '-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto'

export async function runTls(lib, options, report) {
  const directory = makeTempDir('tls')
  const suite = new TlsSuite(directory, lib, options, report)
  const lists = createServer((request, response) => void suite.answer(request, response))
  try {
    await new Promise((resolve) => lists.listen(0, '127.0.0.1', resolve))
    suite.at = await makeKeys(directory, `http://127.0.0.1:${lists.address().port}`)
    await suite.compile()
    await suite.run()
  } finally {
    for (const server of suite.servers) {
      await server.kill()
      server.release()
      removeTempDir(server.dir)
    }
    lists.close()
    removeTempDir(directory)
  }
}

class TlsSuite {
  constructor(directory, lib, options, report) {
    this.directory = directory
    this.lib = lib
    this.options = options
    this.report = report
    this.servers = []
    this.cases = []
    this.at = null
    this.questions = 0
  }

  /** The authority on the web: a list for everybody, and answers to who asks about one certificate, by POST or by GET. */
  async answer(request, response) {
    if (request.url === '/crl') {
      response.end(readFileSync(this.at('crl.der')))
      return
    }
    const inPath = Buffer.from(decodeURIComponent(request.url.slice('/ocsp/'.length)), 'base64')
    const question = this.at(`question-${this.questions++}`)
    writeFileSync(question, request.method === 'GET' ? inPath : Buffer.concat(await request.toArray()))
    response.setHeader('content-type', 'application/ocsp-response')
    response.end(await answerAbout(this.at, question))
  }

  compile() {
    const sources = [join(here, '..', 'java', 'Peer.java'), join(here, 'java', 'TlsMain.java')]
    return runToEnd('javac', ['-nowarn', '-d', this.directory, '-cp', join(this.lib, '*'), ...sources])
  }

  /** Settings of a server or client that name its stores. */
  stores(key, trust, more = {}) {
    const settings = { ...more }
    if (key !== null) settings['ssl.keyStore.location'] = this.at(key)
    if (trust !== null) settings['ssl.trustStore.location'] = this.at(trust)
    if (key !== null && !/(?<!-encrypted)\.pem$/.test(key)) settings['ssl.keyStore.password'] = PASSWORD
    if (trust !== null && !trust.endsWith('.pem')) settings['ssl.trustStore.password'] = PASSWORD
    return settings
  }

  /** A server with a plain and a secure port. */
  async server(name, settings, java = false) {
    const secure = await choosePort(21100, 21198)
    const command = java ? await javaServer(JAVA_FLAGS) : this.options.server
    const config = {
      ...BASE,
      ...(java ? NETTY : {}),
      secureClientPort: secure,
      secureClientPortAddress: '127.0.0.1',
      ...settings,
    }
    const server = new Server(command, `tls-${name}`, config, {})
    this.servers.push(server)
    await server.start()
    return { plain: `localhost:${server.port}`, secure: `localhost:${secure}`, server }
  }

  /** One case for the Java client; a null for `settings` is a client without TLS. */
  case(what, name, address, settings, ...more) {
    const text = (one) =>
      typeof one === 'string'
        ? one
        : one === null
          ? ''
          : Object.entries(one)
              .map(([key, value]) => `${key}=${value}`)
              .join(';')
    this.cases.push([what, name, address, ...[settings, ...more].map(text)].join('|'))
  }

  async run() {
    const server = await this.stricts()
    await this.kinds()
    await this.lenient()
    await this.names()
    await this.revoked()
    await this.ids()
    await this.replaced()
    await this.javaCases()
    await this.commandLine(server)
    await this.kazoo(server)
    for (const one of this.servers) {
      if (one.diedUnasked) this.report(false, 'every server stays up', one.diedUnasked)
    }
  }

  /**
   * clientAuth=need, as it is without a word: every kind of store of the client, and who stays outside, here as there. Only
   * ours takes TLS 1.2 without being told to.
   */
  async stricts() {
    const ours = await this.server('need', this.stores('server.pem', 'ca.pem'))
    const theirs = await this.server('need-java', this.stores('server.pem', 'ca.pem'), true)
    for (const { secure, plain, server } of [ours, theirs]) {
      const check = (what, who, address, settings) => {
        const then = what === 'works' ? 'works' : 'stays outside'
        this.case(what, `${server === ours.server ? 'ours' : "Apache's server"}: ${who} ${then}`, address, settings)
      }
      const client = this.stores('client.pem', 'ca.pem')
      check('works', 'a client with PEM stores', secure, client)
      check('works', 'a client with PKCS12 stores', secure, this.stores('client.p12', 'trust.p12'))
      check('works', 'a client with JKS stores', secure, this.stores('client.jks', 'trust.jks'))
      check('works', 'a plain client at the plain port', plain, null)
      check('refused', 'a client without a certificate', secure, this.stores(null, 'ca.pem'))
      check('refused', 'a client of an unknown authority', secure, this.stores('stranger.pem', 'ca.pem'))
      check('refused', 'a client whose certificate is over', secure, this.stores('late.pem', 'ca.pem'))
      check('refused', 'a plain client at the port of TLS', secure, null)
      check('refused', 'a client of TLS at the plain port', plain, client)
      const older = { ...client, 'ssl.protocol': 'TLSv1.2' }
      check(server === ours.server ? 'works' : 'refused', 'a client that knows only TLS 1.2', secure, older)
    }
    return ours
  }

  /** Every kind of store of the server. */
  async kinds() {
    const kinds = [
      ['PEM with an encrypted key', 'server-encrypted.pem', 'ca.pem'],
      ['PKCS12', 'server.p12', 'trust.p12'],
      ['PKCS12 with ciphers of Java 8', 'server-rc2.p12', 'trust.p12'],
      ['JKS', 'server.jks', 'trust.jks'],
      ['PKCS12 in a file named .jks', 'server-pkcs12.jks', 'trust.jks'],
    ]
    for (const [what, key, trust] of kinds) {
      const { secure } = await this.server('kind', this.stores(key, trust))
      this.case('works', `a server with its stores in ${what} works`, secure, this.stores('client.pem', 'ca.pem'))
    }
    const settings = this.stores('server.p12', 'trust.p12')
    for (const store of ['keyStore', 'trustStore']) {
      delete settings[`ssl.${store}.password`]
      settings[`ssl.${store}.passwordPath`] = this.at('password')
    }
    const { secure } = await this.server('password', settings)
    this.case('works', 'a server with its passwords in files works', secure, this.stores('client.pem', 'ca.pem'))
  }

  async lenient() {
    for (const clientAuth of ['none', 'want']) {
      const { secure } = await this.server(
        clientAuth,
        this.stores('server.pem', 'ca.pem', { 'ssl.clientAuth': clientAuth }),
      )
      this.case(
        'works',
        `clientAuth=${clientAuth}: a client without a certificate works`,
        secure,
        this.stores(null, 'ca.pem'),
      )
      this.case(
        'works',
        `clientAuth=${clientAuth}: a client with one works`,
        secure,
        this.stores('client.pem', 'ca.pem'),
      )
      const stranger = this.stores('stranger.pem', 'ca.pem') // does not show it to who would not trust it
      this.case(
        'anonymous',
        `clientAuth=${clientAuth}: a client with one of an unknown authority is nobody`,
        secure,
        stranger,
      )
    }
    const settings = this.stores('server.pem', 'ca.pem', { 'client.portUnification': true })
    const { plain, server } = await this.server('both', settings)
    this.case('works', 'one port for both: a plain client works', plain, null)
    this.case('works', 'one port for both: a client of TLS works', plain, this.stores('client.pem', 'ca.pem'))
    this.case(
      'refused',
      'one port for both: a client of TLS without a certificate stays outside',
      plain,
      this.stores(null, 'ca.pem'),
    )
    this.report((await fourLetterWord(server.port, 'ruok')) === 'imok', 'one port for both: words are answered')
  }

  /** The client checks who the server is. */
  async names() {
    const { secure } = await this.server('elsewhere', this.stores('elsewhere.pem', 'ca.pem'))
    const lax = { 'ssl.hostnameVerification': false }
    this.case(
      'refused',
      'a client turns away from a server of another name',
      secure,
      this.stores('client.pem', 'ca.pem'),
    )
    this.case('works', 'unless it does not check names', secure, this.stores('client.pem', 'ca.pem', lax))
  }

  async revoked() {
    for (const java of [false, true]) {
      const settings = this.stores('server.pem', 'ca.pem', { 'ssl.crl': true })
      const { secure } = await this.server(java ? 'crl-java' : 'crl', settings, java)
      const who = java ? "Apache's server" : 'ours'
      const client = (name) => this.stores(`${name}.pem`, 'ca.pem')
      this.case('works', `crl on ${who}: a client whose list does not name it works`, secure, client('good'))
      this.case('refused', `crl on ${who}: a client that was revoked stays outside`, secure, client('revoked'))
      this.case('refused', `crl on ${who}: a client without a list stays outside`, secure, client('client'))
      const asking = this.stores('server.pem', 'ca.pem', { 'ssl.ocsp': true })
      const { secure: asker } = await this.server(java ? 'ocsp-java' : 'ocsp', asking, java)
      this.case('works', `ocsp on ${who}: a client whose certificate is good works`, asker, client('ocsp-good'))
      this.case('refused', `ocsp on ${who}: a client that was revoked stays outside`, asker, client('ocsp-revoked'))
      this.case('works', `ocsp on ${who}: a client with a list alone works`, asker, client('good'))
    }
  }

  /** The same on both servers: ids, ACLs, the super user. */
  async ids() {
    const settings = this.stores('server.p12', 'trust.p12', { 'X509AuthenticationProvider.superUser': 'CN=root' })
    for (const java of [false, true]) {
      const { secure } = await this.server(java ? 'ids-java' : 'ids', settings, java)
      const who = java ? "Apache's server" : 'ours'
      const client = (name) => this.stores(`${name}.pem`, 'ca.pem')
      for (const name of ['client', 'odd']) {
        this.case(
          'id',
          `x509 on ${who}: ${name} is known by the name that Java gives it`,
          secure,
          client(name),
          this.at(`${name}.p12`),
        )
      }
      this.case(
        'acl',
        `x509 on ${who}: an ACL keeps out the others, but for the super user`,
        secure,
        client('client'),
        client('other'),
        client('root'),
      )
    }
  }

  async replaced() {
    const store = join(this.directory, 'live.pem')
    copyFileSync(this.at('server.pem'), store)
    const settings = {
      ...this.stores('server.pem', 'ca.pem', { 'ssl.clientAuth': 'want' }),
      'ssl.keyStore.location': store,
    }
    const { secure } = await this.server('reload', settings)
    this.case(
      'reload',
      'a new certificate counts for new clients and cuts off nobody',
      secure,
      this.stores('client.pem', 'ca.pem'),
      store,
      this.at('server-next.pem'),
    )
  }

  javaCases() {
    const file = join(this.directory, 'cases')
    writeFileSync(file, this.cases.map((line) => `${line}\n`).join(''))
    const classpath = [this.directory, join(here, '..'), join(this.lib, '*')].join(':')
    const args = [...javaFlags, '-Dfile.encoding=UTF-8', '-cp', classpath, 'TlsMain', file]
    return this.program('Java', { command: 'java', args, env: {} }, this.servers[0])
  }

  program(who, program, server) {
    const target = { server, relay: { port: server.port }, workDir: this.directory, verbose: this.options.verbose }
    const report = (ok, what, why) => this.report(ok, `${who}: ${what}`, why)
    return runProgram({ timeoutMs: 180_000 }, program, target, report)
  }

  async commandLine({ secure }) {
    const settings = {
      'client.secure': true,
      clientCnxnSocket: 'org.apache.zookeeper.ClientCnxnSocketNetty',
      ...this.stores('client.pem', 'ca.pem'),
    }
    const flags = Object.entries(settings).map(([key, value]) => `-Dzookeeper.${key}=${value}`)
    const classpath = [join(here, '..'), join(this.lib, '*')].join(':')
    const main = ['-cp', classpath, 'org.apache.zookeeper.ZooKeeperMain', '-server', secure, '-waitforconnection']
    const said = await runToEnd('java', [...javaFlags, ...flags, ...main, 'whoami'])
    this.report(
      /x509: CN=client/.test(said),
      "zkCli.sh's client works and says who it is",
      said.slice(-300).replaceAll('\n', ' | '),
    )
  }

  async kazoo({ secure, server }) {
    const lib = await fetchKazoo()
    const env = {
      PYTHONPATH: lib,
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONUNBUFFERED: '1',
      TLS_KEYS: this.directory,
      TLS_SECURE: secure,
    }
    await this.program('kazoo', { command: 'python3', args: [join(here, 'kazoo_main.py')], env }, server)
  }
}
