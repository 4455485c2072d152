/**
 * The interop suite `secrets` (X10, X13): servers with every key that holds a secret set, used well and badly, and configurations
 * that are refused for something near a secret. Then everything they have said anywhere is searched: the log at its most
 * talkative, the audit log, four-letter words, admin pages, standard error; for secrets, and for lines that a client has
 * forged with the names it uses. Needs openssl; no Java.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as tlsConnect } from 'node:tls'
import { WireClient } from '../../durability/wire.mjs'
import { runToEnd } from '../process.mjs'
import { choosePort, fourLetterWord, Server } from '../server.mjs'
import { makeTempDir, removeTempDir } from '../tempdir.mjs'

const words = 'conf cons crst dump envi gtmk hash isro mntr ruok srst srvr stat wchc wchp wchs dirs'.split(' ')
/** But for a snapshot, which is the data itself. */
const pages =
  'configuration connections connection_stat_reset environment hash initial_configuration leader last_snapshot ' +
  'monitor observers observer_connection_stat_reset ruok server_stats set_trace_mask stats system_properties ' +
  'voting_view watches watches_by_path watch_summary zabstate nonsense'

/** Each has a text that occurs nowhere else. */
const secret = (name) => `geheim-${name}-7f3a`
const keys = {
  keyStore: secret('keystore'),
  trustStore: secret('truststore'),
  quorumKeyStore: secret('quorum-keystore'),
  quorumTrustStore: secret('quorum-truststore'),
  superPassword: secret('super-password'),
  sessionKey: secret('session-key-with-enough-characters'),
  adminToken: secret('admin-token-with-enough-characters'),
  jaasUser: secret('jaas-user'),
  jaasQuorum: secret('jaas-quorum'),
  client: secret('client-password'),
  clientWrong: secret('client-wrong-password'),
  admin: secret('admin-password'),
}
const sha1 = (text) => createHash('sha1').update(text).digest('base64')
const superDigest = sha1(`super:${keys.superPassword}`)
/** What must not be found: the secrets, and the digests by which one can look for them. */
const hidden = [...Object.values(keys), superDigest, sha1(`u:${keys.client}`)]

export async function runSecrets(_lib, options, report) {
  const dir = makeTempDir('secrets')
  try {
    await makeStores(dir)
    for (const format of ['json', 'text']) await useServer(dir, format, options, report)
    for (const [name, lines, flags] of refusals(dir)) {
      const { said, code } = await runRefused(dir, lines, flags, options)
      const found = leaks(said)
      report(found === null && code !== 0, `refused, ${name}`, found ?? (code === 0 ? 'it was not refused' : undefined))
    }
  } finally {
    removeTempDir(dir)
  }
}

/** The first secret in a text, with what is around it; null: none. */
function leaks(text) {
  for (const each of hidden) {
    const at = text.indexOf(each)
    if (at !== -1)
      return `${each} in: ${text.slice(Math.max(0, at - 120), at + each.length + 40).replaceAll('\n', ' | ')}`
  }
  return null
}

async function makeStores(dir) {
  const at = (name) => join(dir, name)
  const subject = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=localhost']
  await runToEnd('openssl', ['req', ...subject, '-keyout', at('key.pem'), '-out', at('cert.pem')])
  for (const [name, password] of [
    ['keystore', keys.keyStore],
    ['quorum-keystore', keys.quorumKeyStore],
  ]) {
    const pair = ['-inkey', at('key.pem'), '-in', at('cert.pem'), '-out', at(`${name}.p12`)]
    await runToEnd('openssl', ['pkcs12', '-export', ...pair, '-passout', `pass:${password}`])
  }
  for (const [name, password] of [
    ['truststore', keys.trustStore],
    ['quorum-truststore', keys.quorumTrustStore],
  ]) {
    const pair = ['-nokeys', '-in', at('cert.pem'), '-out', at(`${name}.p12`)]
    await runToEnd('openssl', ['pkcs12', '-export', ...pair, '-passout', `pass:${password}`])
  }
  writeFileSync(at('session.key'), keys.sessionKey)
  const login = 'org.apache.zookeeper.server.auth.DigestLoginModule required'
  writeFileSync(
    at('jaas.conf'),
    `Server { ${login} user_u="${keys.jaasUser}"; };\nQuorumServer { ${login} user_q="${keys.jaasQuorum}"; };\n` +
      `QuorumLearner { ${login} username="q" password="${keys.jaasQuorum}"; };\n`,
  )
  writeFileSync(at('jaas-bad.conf'), `Server { ${login} user_u="${keys.jaasUser}" user_v=${keys.jaasQuorum}" }\n`)
}

const stores = (dir) => ({
  'ssl.keyStore.location': join(dir, 'keystore.p12'),
  'ssl.keyStore.password': keys.keyStore,
  'ssl.trustStore.location': join(dir, 'truststore.p12'),
  'ssl.trustStore.password': keys.trustStore,
  'ssl.clientAuth': 'want',
})

async function useServer(dir, format, options, report) {
  const [admin, secure] = [await choosePort(), await choosePort()]
  const server = new Server(
    options.server,
    `secrets-${format}`,
    {
      tickTime: 500,
      '4lw.commands.whitelist': '*',
      'admin.serverAddress': '127.0.0.1',
      'admin.serverPort': admin,
      'admin.token': keys.adminToken,
      'audit.enable': true,
      'DigestAuthenticationProvider.superDigest': `super:${superDigest}`,
      'SASLAuthenticationProvider.superPassword': keys.superPassword,
      'authProvider.1': 'org.apache.zookeeper.server.auth.SASLAuthenticationProvider',
      sessionPassword: 'keyed',
      'sessionPassword.keyFile': join(dir, 'session.key'),
      secureClientPort: secure,
      ...stores(dir),
      'ssl.quorum.keyStore.location': join(dir, 'quorum-keystore.p12'),
      'ssl.quorum.keyStore.password': keys.quorumKeyStore,
      'ssl.quorum.trustStore.location': join(dir, 'quorum-truststore.p12'),
      'ssl.quorum.trustStore.password': keys.quorumTrustStore,
      // A slip, which is warned of.
      'ssl.keyStore.pasword': keys.keyStore,
    },
    {
      ZOO_LOG_LEVEL: 'trace',
      ZOO_LOG_FORMAT: format,
      SERVER_JVMFLAGS: `-Djava.security.auth.login.config=${join(dir, 'jaas.conf')} -Dzookeeper.ssl.trustStore.pasword=${keys.trustStore} -Dzookeeper.admin.token=${keys.adminToken}`,
    },
  )
  const said = new Map()
  const passwords = []
  try {
    await server.start()
    await misuse(server, secure, passwords)
    const forger = await forge(server)
    for (const word of words) said.set(word, await fourLetterWord(server.port, word))
    for (const page of pages.split(' ')) {
      for (const authorization of [undefined, `digest super:${keys.superPassword}`, `digest super:${keys.admin}`]) {
        const headers = { ...(authorization ? { Authorization: authorization } : {}), 'X-Admin-Token': keys.adminToken }
        const answer = await get(admin, `/commands/${page}`, headers)
        said.set(`/commands/${page}`, (said.get(`/commands/${page}`) ?? '') + answer)
      }
    }
    forger.abandon()
    await server.stop()
  } finally {
    await server.kill()
    server.release()
  }
  said.set('log', readFileSync(server.logFile, 'utf8'))
  for (const [where, text] of said) {
    const found =
      leaks(text) ?? passwords.map((each) => (text.includes(each) ? `password ${each}` : null)).find(Boolean)
    report(!found, `${format}: nothing in ${where}, ${text.length} characters`, found ?? undefined)
    const forged = forgery(text)
    report(forged === null, `${format}: nobody forges a line of ${where}`, forged ?? undefined)
  }
  for (const where of ['log', 'wchp', 'wchc', '/commands/watches']) {
    report(said.get(where).includes('FORGED'), `${format}: ${where} has the name that was to forge a line`)
  }
  report(said.get('log').includes('operation=create'), `${format}: the audit log was a part of the log`)
  report(/"keyStore\.pas|ssl\.keyStore\.pasword/.test(said.get('log')), `${format}: the slip was warned of by its name`)
  removeTempDir(server.dir)
}

/** Logs in rightly and wrongly by every way there is, and writes ACLs with digests. `passwords`: those of sessions, in hex. */
async function misuse(server, secure, passwords) {
  const client = await WireClient.connect({ port: server.port })
  passwords.push(client.password.toString('hex'), client.password.toString('base64'))
  await client.auth('digest', `u:${keys.client}`)
  const acl = [{ perms: 31, scheme: 'digest', id: `u:${sha1(`u:${keys.client}`)}` }]
  await client.create('/owned', Buffer.from('x'), { acl })
  await client.setACL('/owned', acl)
  await client.setACL('/owned', [{ perms: 31, scheme: 'digest', id: `${keys.clientWrong}` }])
  for (const [scheme, token] of [
    ['digest', `super:${keys.clientWrong}`],
    ['digest', `super:${keys.superPassword}`],
    ['nonsense', keys.clientWrong],
    ['sasl', keys.clientWrong],
  ]) {
    const other = await WireClient.connect({ port: server.port })
    await other.auth(scheme, token).catch(() => {})
    other.abandon()
  }
  await WireClient.connect({
    port: server.port,
    sessionId: client.sessionId,
    password: Buffer.from('0123456789abcdef'),
  }).catch(() => {})
  for (const token of [Buffer.from(keys.clientWrong), Buffer.from(`username="u",response="${keys.clientWrong}"`)]) {
    const sasl = await WireClient.connect({ port: server.port })
    const length = Buffer.alloc(4)
    length.writeInt32BE(token.length)
    await sasl.request(102, Buffer.concat([length, token])).catch(() => {})
    sasl.abandon()
  }
  await new Promise((resolve) => {
    const socket = tlsConnect({ port: secure, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      socket.write('nonsense')
      setTimeout(() => socket.destroy(), 100)
    })
    socket.on('error', () => {})
    socket.on('close', resolve)
  })
  client.abandon()
}

const forging = 'x\nFORGED\r\u001b[2J\u0085FORGED\u2028FORGED\u202e\u009b2K\tresult=success'

/** Uses a name that ends lines wherever a client has one to choose. Its watches are still there afterwards. */
async function forge(server) {
  const client = await WireClient.connect({ port: server.port })
  const text = (string) => Buffer.concat([int(Buffer.byteLength(string)), Buffer.from(string)])
  const path = `/${forging}`
  await client.auth('digest', `${forging}:${keys.client}`)
  await client.create(path, Buffer.from('x'))
  await client.create(`${path}/child`, Buffer.from('x'), { flags: 3 })
  await client.setData(path, Buffer.from('x'))
  await client.delete(path)
  await client.setACL(path, [{ perms: 31, scheme: forging, id: forging }])
  await client.multi([{ create: path, data: Buffer.from('x') }])
  await client.request(3, Buffer.concat([text(path), Buffer.from([1])])) // exists, and watch
  await client.request(106, Buffer.concat([text(path), int(1)])) // addWatch, recursive
  await client.request(101, Buffer.concat([Buffer.alloc(8), int(1), text(`${path}2`), int(0), int(0)])) // setWatches
  const stranger = await WireClient.connect({ port: server.port })
  await stranger.auth(forging, forging).catch(() => {})
  const talker = await WireClient.connect({ port: server.port })
  const long = Buffer.concat([text(path), int(3_000_000), Buffer.alloc(3_000_000)])
  await talker.request(5, long).catch(() => {})
  return client
}

function int(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** What in a text ends a line or moves the cursor, and is not the server's own; null: nothing. JSON need not escape C1. */
function forgery(text) {
  const page = /(?![\n\r\t\u0080-\u009f])\p{Cc}|^\W*FORGED/mu
  const line = /(?![\n\r\t])[\p{Cc}\p{Cf}\u2028]|^\W*FORGED/mu
  const raw = text.startsWith('200 ') ? page : line
  const found = raw.exec(text)
  return found === null ? null : `${JSON.stringify(text.slice(Math.max(0, found.index - 80), found.index + 60))}`
}

function get(port, path, headers) {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port, path, headers, host: '127.0.0.1' }, (response) => {
      let text = `${response.statusCode} ${JSON.stringify(response.headers)}\n`
      response.setEncoding('latin1')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve(text))
    })
    request.on('error', reject)
    request.end()
  })
}

/** Configurations that cannot be used: name, lines, and flags in the environment. */
function* refusals(dir) {
  const jaas = (file) => `-Djava.security.auth.login.config=${join(dir, file)}`
  const tls = Object.entries(stores(dir)).map(([key, value]) => `${key}=${value}`)
  const secureTls = ['secureClientPort=0', ...tls]
  yield ['a wrong password of a key store', [...secureTls, `ssl.keyStore.password=${keys.clientWrong}`]]
  yield ['a wrong password of a trust store', [...secureTls, `ssl.trustStore.password=${keys.clientWrong}`]]
  yield ['a key store that is not there', [...secureTls, 'ssl.keyStore.location=/nowhere.p12']]
  yield ['an escape that is none, in a password', [...secureTls, `ssl.keyStore.password=\\u00zz${keys.keyStore}`]]
  yield ['a login configuration that cannot be read', [], jaas('jaas-bad.conf')]
  yield ['a token that is too short', ['admin.token=geheim', 'tickTime=-3']]
  yield ['secrets beside a key that is no number', [...tls, `admin.token=${keys.adminToken}`, 'tickTime=abc']]
  yield [
    'a super user without a digest',
    [`DigestAuthenticationProvider.superDigest=${keys.superPassword}`, 'tickTime=x'],
  ]
  yield [
    'secrets in flags, and flags that say nothing',
    ['tickTime=x'],
    `-Dzookeeper.ssl.keyStore.password=${keys.keyStore} -D=${keys.clientWrong} '${keys.client}`,
  ]
  yield [
    'a session key with another mode',
    [`sessionPassword=${'half'}`, `sessionPassword.keyFile=${join(dir, 'session.key')}`],
  ]
}

async function runRefused(dir, lines, flags = '', options) {
  const file = join(dir, 'refused.cfg')
  const port = await choosePort()
  const base = [
    `dataDir=${join(dir, 'refused')}`,
    `clientPort=${port}`,
    'admin.enableServer=false',
    'audit.enable=true',
  ]
  writeFileSync(file, [...base, ...lines, ''].join('\n'))
  const child = spawn('/bin/sh', ['-c', `exec ${options.server} "$0"`, file], {
    env: { ...process.env, ZOO_LOG_LEVEL: 'trace', SERVER_JVMFLAGS: flags },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += chunk
    })
  }
  const code = await Promise.race([
    new Promise((resolve) => child.on('close', (status) => resolve(status ?? 1))),
    delay(10_000, 0),
  ])
  child.kill('SIGKILL')
  if (existsSync(file)) writeFileSync(file, '')
  return { said, code }
}
