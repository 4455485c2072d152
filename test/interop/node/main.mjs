/**
 * node-zookeeper-client, in plain JavaScript, against the server under test. It speaks the protocol of 3.4: its
 * ConnectRequest has no readOnly byte, and it knows neither persistent watches nor container and TTL nodes.
 */
import zookeeper from 'node-zookeeper-client'
import { ask, call, check, equal, fails, finish, Heard, relay, server } from './peer.mjs'

const { CreateMode, ACL, Id, Permission } = zookeeper
const closedAcl = [new ACL(Permission.ALL, new Id('auth', ''))]

/** A connected client, and its states as they are heard. */
async function connect(address = server, sessionTimeout = 30_000) {
  const client = zookeeper.createClient(address, { sessionTimeout, spinDelay: 100, retries: 0 })
  const states = new Heard()
  client.on('state', (state) => states.add(state.getName()))
  client.connect()
  await states.await('SYNC_CONNECTED')
  return { client, states }
}

async function withClients(addresses, body) {
  const all = []
  for (const address of addresses) all.push(await connect(address))
  try {
    await body(...all.map(({ client }) => client))
  } finally {
    for (const { client } of all) client.close()
  }
}

function eventsOf(heard) {
  return (event) => heard.add(`${event.getName()} ${event.getPath()}`)
}

async function nodes(c) {
  equal(['/n'], await call(c, 'create', '/n', Buffer.from('one')), 'path')
  const [data, stat] = await call(c, 'getData', '/n', null)
  equal(['one', 0, 3], [data.toString(), stat.version, stat.dataLength], 'data and stat')
  const [changed] = await call(c, 'setData', '/n', Buffer.from('two'), 0)
  equal(1, changed.version, 'version')
  await fails('BAD_VERSION', call(c, 'setData', '/n', Buffer.from('x'), 0))
  await fails('NODE_EXISTS', call(c, 'create', '/n'))
  await fails('NO_NODE', call(c, 'create', '/none/child'))
  await fails('NO_NODE', call(c, 'getData', '/none', null))
  equal([null], await call(c, 'exists', '/none', null), 'stat of nothing')
  await call(c, 'mkdirp', '/n/a/b')
  const [children, parent] = await call(c, 'getChildren', '/n', null)
  equal([['a'], 1, 1], [children, parent.numChildren, parent.cversion], 'children and stat')
  // The library's own walk reaches one level down only, so that is what is asked of it.
  equal([['/n/a', '/n/a/b']], await call(c, 'listSubTreeBFS', '/n/a'), 'subtree')
  await fails('NOT_EMPTY', call(c, 'remove', '/n', -1))
  await fails('BAD_VERSION', call(c, 'remove', '/n/a/b', 5))
  await call(c, 'removeRecursive', '/n/a', -1)
  await call(c, 'remove', '/n', 1)
  equal([null], await call(c, 'exists', '/n', null), 'stat after removal')
}

async function modes(c) {
  await call(c, 'create', '/nm')
  equal(['/nm/s-0000000000'], await call(c, 'create', '/nm/s-', CreateMode.PERSISTENT_SEQUENTIAL), 'path')
  equal(['/nm/e'], await call(c, 'create', '/nm/e', CreateMode.EPHEMERAL), 'path')
  equal(['/nm/es-0000000002'], await call(c, 'create', '/nm/es-', CreateMode.EPHEMERAL_SEQUENTIAL), 'path')
  const [stat] = await call(c, 'exists', '/nm/e', null)
  equal(c.getSessionId().toString('hex'), stat.ephemeralOwner.toString('hex'), 'owner')
  await fails('NO_CHILDREN_FOR_EPHEMERALS', call(c, 'create', '/nm/e/child'))
}

async function large(c) {
  const data = Buffer.alloc(1_000_000, 'large data ')
  await call(c, 'create', '/nlarge', data)
  const [back] = await call(c, 'getData', '/nlarge', null)
  equal(0, Buffer.compare(data, back), 'difference')
}

async function watches(c, other) {
  const heard = new Heard()
  await call(c, 'exists', '/nw', eventsOf(heard))
  await call(other, 'create', '/nw')
  await heard.expect('NODE_CREATED /nw')
  await call(c, 'getData', '/nw', eventsOf(heard))
  await call(other, 'create', '/nw/a')
  await call(other, 'setData', '/nw', Buffer.from('x'), -1)
  await heard.expect('NODE_DATA_CHANGED /nw')
  await call(c, 'getChildren', '/nw', eventsOf(heard))
  await call(other, 'remove', '/nw/a', -1)
  await heard.expect('NODE_CHILDREN_CHANGED /nw')
  await call(c, 'exists', '/nw', eventsOf(heard))
  await call(other, 'remove', '/nw', -1)
  await heard.expect('NODE_DELETED /nw')
}

async function transactions(c) {
  const [results] = await call(
    c
      .transaction()
      .create('/nt', Buffer.from('1'))
      .setData('/nt', Buffer.from('22'), 0)
      .check('/nt', 1)
      .create('/nt/a')
      .remove('/nt/a', 0),
    'commit',
  )
  equal(5, results.length, 'results')
  equal(1, results[1].stat.version, 'version')
  await fails('BAD_VERSION', call(c.transaction().create('/nt/new').check('/nt', 9).remove('/nt', -1), 'commit'))
  equal([null], await call(c, 'exists', '/nt/new', null), 'what was rolled back')
}

async function acls(c, ann) {
  ann.addAuthInfo('digest', Buffer.from('ann:secret'))
  await call(ann, 'create', '/nacl', Buffer.from('x'), closedAcl)
  await fails('NO_AUTH', call(c, 'getData', '/nacl', null))
  const [acl] = await call(ann, 'getACL', '/nacl')
  equal(['digest', 31], [acl[0].id.scheme, acl[0].permission], 'acl')
  await fails('BAD_VERSION', call(ann, 'setACL', '/nacl', ACL.OPEN_ACL_UNSAFE, 3))
  await call(ann, 'setACL', '/nacl', ACL.OPEN_ACL_UNSAFE, 0)
  await call(c, 'getData', '/nacl', null)
  await fails('INVALID_ACL', call(c, 'create', '/nacl-bad', null, closedAcl, CreateMode.PERSISTENT))
}

async function chroot(c) {
  await call(c, 'create', '/nroot')
  await withClients([`${server}/nroot`], async (inside) => {
    const heard = new Heard()
    await call(inside, 'exists', '/a', eventsOf(heard))
    equal(['/a'], await call(inside, 'create', '/a'), 'path')
    await heard.expect('NODE_CREATED /a')
  })
  const [children] = await call(c, 'getChildren', '/nroot', null)
  equal(['a'], children, 'children')
}

async function expiry(observer) {
  const { client, states } = await connect(relay, 3_000)
  await call(client, 'create', '/nexpiry', CreateMode.EPHEMERAL)
  const gone = new Heard()
  await call(observer, 'exists', '/nexpiry', eventsOf(gone))
  await ask('freeze')
  await gone.expect('NODE_DELETED /nexpiry')
  await ask('thaw')
  await states.await('EXPIRED')
  client.close()
}

async function restart() {
  const { client, states } = await connect()
  const session = client.getSessionId().toString('hex')
  const heard = new Heard()
  await call(client, 'create', '/nrestart', Buffer.from('x'), CreateMode.EPHEMERAL)
  await call(client, 'getData', '/nrestart', eventsOf(heard))
  await ask('kill-restart')
  await states.await('DISCONNECTED')
  await states.await('SYNC_CONNECTED')
  equal(session, client.getSessionId().toString('hex'), 'session')
  const [data, stat] = await call(client, 'getData', '/nrestart', null)
  equal(['x', session], [data.toString(), stat.ephemeralOwner.toString('hex')], 'data and owner')
  await call(client, 'setData', '/nrestart', Buffer.from('y'), -1)
  await heard.expect('NODE_DATA_CHANGED /nrestart')
  client.close()
}

await check('create, get, set, exists, children, remove and their refusals', () => withClients([server], nodes))
await check('sequential and ephemeral nodes', () => withClients([server], modes))
await check('data of a million bytes', () => withClients([server], large))
await check('exists, data and child watches', () => withClients([server, server], watches))
await check('transactions commit and roll back', () => withClients([server], transactions))
await check('digest identities and ACLs', () => withClients([server, server], acls))
await check('chroot', () => withClients([server], chroot))
await check('a silent session expires', () => withClients([server], expiry))
await check('kill-restart: session, ephemeral and watch survive', restart)
finish()
