/**
 * Logins and what they are good for, step by step over the raw protocol: each case says what it saw, in lines, so that the
 * same case on Apache's server and on ours can be compared. Shares no code with the server: DIGEST-MD5 is RFC 2831 anew.
 */
import { createHash, randomBytes } from 'node:crypto'
import { ConnectionLost, WireClient } from '../../durability/wire.mjs'

const OP = { getData: 4, ping: 11, auth: 100, sasl: 102, whoAmI: 107, closeSession: -11 }
const EMPTY = Buffer.alloc(0)

const md5 = (...parts) =>
  createHash('md5')
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest()
const hex = (...parts) => md5(...parts).toString('hex')

/** The answer of `user` to a challenge; `over` replaces directives, null leaves one out. */
function responseTo(challenge, user, password, over = {}) {
  const nonce = /nonce="([^"]*)"/.exec(challenge)[1]
  const said = {
    charset: 'utf-8',
    username: `"${user}"`,
    realm: '"zk-sasl-md5"',
    nonce: `"${nonce}"`,
    nc: '00000001',
    cnonce: `"${randomBytes(12).toString('base64')}"`,
    'digest-uri': '"zookeeper/zk-sasl-md5"',
    maxbuf: '65536',
    qop: 'auth',
    authzid: `"${user}"`,
    ...over,
  }
  const plain = (key) => (said[key] ?? '').replace(/^"|"$/g, '')
  const a1 = [md5(`${plain('username')}:${plain('realm')}:${password}`), `:${plain('nonce')}:${plain('cnonce')}`]
  if (said.authzid !== null) a1.push(`:${plain('authzid')}`)
  const a2 = hex(`AUTHENTICATE:${plain('digest-uri')}`)
  const response = hex(`${hex(...a1)}:${plain('nonce')}:00000001:${plain('cnonce')}:${plain('qop')}:${a2}`)
  const all = { response, ...said }
  const text = Object.entries(all)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
  const proof = hex(
    `${hex(...a1)}:${plain('nonce')}:00000001:${plain('cnonce')}:${plain('qop')}:${hex(`:${plain('digest-uri')}`)}`,
  )
  return { text, proof }
}

/** One connection, and what came back on it. */
class Caller {
  static async connect(port) {
    return new Caller(await WireClient.connect({ port, timeoutMs: 20_000 }))
  }

  constructor(client) {
    this.client = client
    this.lines = []
  }

  say(line) {
    this.lines.push(line)
  }

  /** A request by hand; what it was answered by, or that the connection ended. */
  async ask(what, type, body, xid) {
    try {
      const reply = await this.client.request(type, body, xid)
      this.say(`${what}: ${reply.err}${type === OP.auth || reply.err === -124 ? ` zxid ${reply.zxid}` : ''}`)
      return reply
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error
      this.say(`${what}: connection closed`)
      return null
    }
  }

  /** Sends a token; null is none at all. What came back, as text. */
  async token(what, token) {
    const body = Buffer.alloc(4 + (token?.length ?? 0))
    body.writeInt32BE(token?.length ?? -1)
    if (token !== null) Buffer.from(token).copy(body, 4)
    try {
      const reply = await this.client.request(OP.sasl, body)
      const answer = reply.body.buffer()
      const shown = answer === null ? 'no token' : answer.toString().replace(/(nonce|rspauth)=("?)[^",]*/, '$1=$2...')
      this.say(`${what}: ${reply.err} zxid ${reply.zxid} ${shown}${reply.body.atEnd ? '' : ' and more'}`)
      return answer?.toString() ?? ''
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error
      this.say(`${what}: connection closed`)
      return ''
    }
  }

  async logIn(user, password, over = {}) {
    const challenge = await this.token('first token', EMPTY)
    if (!challenge.includes('nonce=')) return
    const { text, proof } = responseTo(challenge, user, password, over)
    const last = await this.token('response', Buffer.from(text))
    if (last.startsWith('rspauth='))
      this.say(last === `rspauth=${proof}` ? 'the server knows the password' : 'bad proof')
  }

  ping() {
    return this.ask('ping', OP.ping, EMPTY, -2)
  }

  async who() {
    const reply = await this.ask('whoAmI', OP.whoAmI, EMPTY)
    if (reply === null || reply.err !== 0) return
    const ids = Array.from({ length: reply.body.int() }, () => `${reply.body.string()}=${reply.body.string()}`)
    this.say(`ids: ${ids.sort().join(' ')}`)
  }

  create(path, acl) {
    return this.call(`create ${path}`, () => this.client.create(path, Buffer.from('x'), { acl }))
  }

  get(path) {
    return this.call(`get ${path}`, () => this.client.getData(path))
  }

  acl(path) {
    return this.call(`getACL ${path}`, () => this.client.getACL(path))
  }

  async call(what, request) {
    try {
      const { err, acl } = await request()
      this.say(`${what}: ${err} ${JSON.stringify(acl ?? '')}`)
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error
      this.say(`${what}: connection closed`)
    }
  }

  end() {
    this.client.abandon()
    return this.lines
  }
}

const all = (scheme, id) => ({ perms: 31, scheme, id })
const tokenOf = (text) => Buffer.from(text)

/** Each gets a fresh connection; more come from `connect`. */
const LOGINS = {
  'bob logs in': async (bob) => {
    await bob.logIn('bob', 'bobsecret')
    await bob.who()
    await bob.ping()
  },
  'X11: a wrong password, an unknown user': async (_first, connect) => {
    for (const [user, password] of [
      ['bob', 'guess'],
      ['eve', 'bobsecret'],
      ['bob', ''],
    ]) {
      const caller = await connect()
      caller.say(`${user} ${password}`)
      await caller.logIn(user, password)
      await caller.ping()
    }
  },
  'X11: an unknown user right behind a known one on another connection': async (bob, connect) => {
    await bob.logIn('bob', 'bobsecret')
    const eve = await connect()
    await eve.logIn('eve', 'bobsecret')
    await eve.who()
  },
  'tokens that are no responses': async (_first, connect) => {
    for (const garbage of ['', 'garbage', '=', 'username="bob', '\0\xff', 'x'.repeat(5000)]) {
      const caller = await connect()
      caller.say(JSON.stringify(garbage.slice(0, 20)))
      await caller.token('first token', EMPTY)
      await caller.token('second token', tokenOf(garbage))
      await caller.ping()
    }
  },
  'no token at all': async (caller) => {
    await caller.token('null', null)
  },
  'a first token that is too long': async (caller) => {
    await caller.token('first token', Buffer.alloc(5000, 'x'))
    await caller.ping()
  },
  'something along with the first token': async (caller) => {
    await caller.token('first token', tokenOf('username="bob"'))
    await caller.ping()
  },
  'responses with a directive changed or missing': async (_first, connect) => {
    const changes = [
      { realm: '"other"' },
      { realm: null },
      { nonce: '"other"' },
      { qop: 'auth-int' },
      { qop: null },
      { charset: 'latin1' },
      { charset: null },
      { 'digest-uri': '"zookeeper/elsewhere"' },
      { 'digest-uri': '"ZOOKEEPER/zk-sasl-md5"' },
      { nc: '00000002' },
      { cnonce: null },
      { response: '00' },
      { authzid: null },
      { authzid: '"super"' },
      { maxbuf: '1' },
      { other: '"x"' },
    ]
    for (const change of changes) {
      const caller = await connect()
      caller.say(JSON.stringify(change))
      await caller.logIn('bob', 'bobsecret', change)
      await caller.who()
    }
  },
  'a token behind the end of a login': async (bob) => {
    await bob.logIn('bob', 'bobsecret')
    await bob.token('one more', EMPTY)
    await bob.ping()
  },
  'requests between the steps of a login': async (bob) => {
    const challenge = await bob.token('first token', EMPTY)
    await bob.ping()
    await bob.who()
    if (challenge.includes('nonce='))
      await bob.token('response', tokenOf(responseTo(challenge, 'bob', 'bobsecret').text))
    await bob.who()
  },
  'an auth packet that says sasl': async (caller) => {
    const body = Buffer.concat([
      Buffer.from([0, 0, 0, 0, 0, 0, 0, 4]),
      tokenOf('sasl'),
      Buffer.from([0, 0, 0, 1, 0x78]),
    ])
    await caller.ask('auth', OP.auth, body, -4)
    await caller.ping()
  },
  'ACLs by who has logged in': async (bob, connect) => {
    await bob.logIn('bob', 'bobsecret')
    await bob.create('/bob', [all('sasl', 'bob')])
    await bob.get('/bob')
    await bob.create('/own', [all('auth', '')])
    await bob.acl('/own')
    await bob.create('/ann', [all('sasl', 'ann')])
    await bob.get('/ann')
    await bob.create('/any', [all('sasl', 'anybody')])
    await bob.get('/any')
    await bob.acl('/any')
    const stranger = await connect()
    for (const path of ['/bob', '/own', '/any']) await stranger.get(path)
    await stranger.create('/nobody', [all('auth', '')])
    const admin = await connect()
    await admin.logIn('super', 'adminsecret')
    await admin.who()
    for (const path of ['/bob', '/own', '/ann']) await admin.get(path)
    await admin.create('/digest', [all('digest', 'a:b')])
    await admin.get('/digest')
  },
  'the password of super from the configuration': async (admin) => {
    await admin.logIn('super', 'configured')
    await admin.who()
    await admin.create('/closed', [all('digest', 'a:b')])
    await admin.get('/closed')
  },
  'a super user': async (root) => {
    await root.logIn('root', 'rootsecret')
    await root.who()
    await root.create('/locked', [all('digest', 'a:b')])
    await root.get('/locked')
  },
  'ids that ACLs may name': async (bob) => {
    const ids = ['', 'a', 'a/b@C', 'a/b/c', 'a@b@c', 'a/b/c@D', '@', 'a:b', 'ü']
    for (const [i, id] of ids.entries()) {
      bob.say(id)
      await bob.create(`/id${i}`, [all('sasl', id)])
    }
  },
}

const ENFORCED = {
  'requests before a login': async (_first, connect) => {
    for (const [name, type, xid] of [
      ['ping', OP.ping, -2],
      ['whoAmI', OP.whoAmI, 7],
      ['closeSession', OP.closeSession, 8],
    ]) {
      const caller = await connect()
      await caller.ask(name, type, EMPTY, xid)
      await caller.ping()
    }
  },
  'a login by digest, and requests behind it': async (caller) => {
    const reply = await caller.client.auth('digest', 'u:p').catch(() => null)
    caller.say(`auth: ${reply?.err ?? 'connection closed'}`)
    await caller.who()
    await caller.ping()
  },
  'a login by SASL, and requests behind it': async (bob) => {
    await bob.logIn('bob', 'bobsecret')
    await bob.who()
    await bob.create('/enforced', [all('world', 'anyone')])
  },
  'a login that fails': async (bob) => {
    await bob.logIn('bob', 'guess')
    await bob.ping()
  },
  'a login that fails, and another behind it': async (bob) => {
    await bob.logIn('bob', 'guess')
    await bob.logIn('bob', 'bobsecret')
    await bob.who()
  },
}

const PROVIDER = { 'authProvider.sasl': 'org.apache.zookeeper.server.auth.SASLAuthenticationProvider' }

/** Configurations, and the cases that are tried on them. */
export const SETTINGS = [
  {
    name: 'logins',
    jaas: true,
    config: {
      ...PROVIDER,
      letAnySaslUserDoX: 'anybody',
      superUser: 'nobody',
      'superUser.1': 'root',
    },
    cases: LOGINS,
  },
  {
    name: 'with a password of super',
    jaas: true,
    config: { ...PROVIDER, 'SASLAuthenticationProvider.superPassword': 'configured' },
    cases: pick(LOGINS, ['the password of super from the configuration', 'ACLs by who has logged in']),
  },
  { name: 'without a JAAS file', jaas: false, config: PROVIDER, cases: LOGINS },
  {
    name: 'without the provider',
    jaas: true,
    config: { superUser: 'bob' },
    cases: pick(LOGINS, ['bob logs in', 'ACLs by who has logged in', 'ids that ACLs may name']),
  },
  {
    name: 'failed logins allowed',
    jaas: true,
    config: { ...PROVIDER, allowSaslFailedClients: true },
    cases: { ...ENFORCED, ...pick(LOGINS, ['tokens that are no responses', 'a token behind the end of a login']) },
  },
  {
    name: 'SASL required',
    jaas: true,
    config: { ...PROVIDER, allowSaslFailedClients: true, sessionRequireClientSASLAuth: true },
    cases: { ...ENFORCED, ...pick(LOGINS, ['tokens that are no responses', 'a token behind the end of a login']) },
  },
  {
    name: 'SASL required where there is no login',
    jaas: false,
    config: { ...PROVIDER, sessionRequireClientSASLAuth: true },
    cases: ENFORCED,
  },
  {
    name: 'digest enforced',
    jaas: true,
    config: { ...PROVIDER, 'enforce.auth.enabled': true, 'enforce.auth.schemes': 'digest' },
    cases: ENFORCED,
  },
  {
    name: 'digest or SASL enforced',
    jaas: true,
    config: { ...PROVIDER, 'enforce.auth.enabled': true, 'enforce.auth.schemes': 'sasl, digest' },
    cases: ENFORCED,
  },
  {
    name: 'what every client has enforced',
    jaas: true,
    config: { ...PROVIDER, 'enforce.auth.enabled': true, 'enforce.auth.schemes': 'ip' },
    cases: ENFORCED,
  },
]

function pick(cases, names) {
  return Object.fromEntries(names.map((name) => [name, cases[name]]))
}

/** What a case saw, line by line. */
export async function observe(body, port) {
  const callers = []
  const connect = async () => {
    const caller = await Caller.connect(port)
    callers.push(caller)
    return caller
  }
  try {
    await body(await connect(), connect)
  } finally {
    for (const caller of callers) caller.end()
  }
  return callers.flatMap((caller, i) => caller.lines.map((line) => `${i}| ${line}`))
}
