/**
 * Observers behind followers (observerMasterPort): three voters, two observers, one of each kind. All members have the
 * same port for observers, as that setting wants it, so each has a loopback address of its own.
 */
import { choosePort } from '../server.mjs'
import { Ensemble, LOOPBACK, until } from './members.mjs'
import { expectEqual } from './trees.mjs'

const hostOf = (sid) => `127.0.0.${sid}`
const NETWORK = {
  ...LOOPBACK,
  hostOf,
  endpoint: (member) => `${hostOf(member.sid)}:${member.quorumPort}:${member.electionPort}`,
}
const SESSION_MS = 20_000
/** Several times as long as a session lives that nobody hears of. */
const SHORT_SESSION_MS = 2000
const QUIET_MS = 6000
const MANY = 2000

/** `kinds` of members 1 to 5; 3 is made the leader, 4 and 5 observe. */
export async function checkObserverMasters(kinds, context) {
  const title = `observers ${kinds[3]} and ${kinds[4]} behind ${kinds[0]} and ${kinds[1]}, led by ${kinds[2]}`
  const check = (name, body) => context.check(`${title}: ${name}`, body)
  const { hands } = context
  const settings = { observerMasterPort: await choosePort() }
  const options = { observers: [4, 5], settings, network: NETWORK }
  const ensemble = await Ensemble.of(context.makeDirectory(), context.commands, kinds, options)
  const [one, two, leader, near, far] = ensemble.members
  const observers = [near, far]
  try {
    await check('the observers are with the followers, and none with the leader', async () => {
      await ensemble.start([1, 3])
      await ensemble.start([2])
      if ((await ensemble.start([4, 5])) !== leader) throw new Error('member 3 was to lead')
      for (const observer of observers) {
        const master = await masterOf(observer)
        if (master !== 1 && master !== 2) throw new Error(`member ${observer.name} is with ${master}`)
      }
      const counts = await Promise.all([one, two, leader].map((m) => mntrValue(m, 'zk_synced_observers')))
      if (counts[0] + counts[1] !== 2 || counts[2] !== 0) throw new Error(`observers of 1, 2, 3: ${counts}`)
    })
    await check('clients of both write, read behind a sync, and hear of the writes of others', async () => {
      hands.forgetEvents()
      await hands.do('open', 'near', ensemble.connectString([near]), SESSION_MS)
      await hands.do('open', 'far', ensemble.connectString([far]), SESSION_MS)
      await hands.do('create', 'near', '/om', '0', 'PERSISTENT')
      await hands.do('create', 'near', '/om/alive', '', 'EPHEMERAL')
      await hands.do('sync', 'far', '/om')
      await hands.do('watchall', 'far', '/om')
      for (let version = 1; version <= 20; version++) {
        const [writer, reader] = version % 2 === 0 ? ['near', 'far'] : ['far', 'near']
        const made = await hands.do('set', writer, '/om', `${version}`, version - 1)
        if (made !== `${version}`) throw new Error(`version ${made} instead of ${version}`)
        await hands.do('sync', reader, '/om')
        const seen = await hands.do('get', reader, '/om')
        if (seen !== `${version}`) throw new Error(`<${seen}> behind a sync, <${version}> was written`)
      }
      await until('each write was told', () => hands.countEvents('far', 'NodeDataChanged /om') >= 20)
      const code = await hands.codeOf('set', 'near', '/om', 'x', 0)
      if (code !== 'BADVERSION') throw new Error(`a write on an old version: ${code}`)
    })
    await check('S1 a session moves from observer to observer to voter, with its ephemeral', async () => {
      const session = await hands.do('id', 'near')
      for (const member of [far, one, near]) {
        await hands.do('move', 'near', ensemble.connectString([member]))
        await until('the client is there', async () => (await member.ask('cons')).includes(`sid=0x${session}`))
        if ((await hands.codeOf('set', 'near', '/om', 'moved', -1)) !== 'ok') throw new Error('a write is refused')
      }
      if ((await hands.do('id', 'near')) !== session) throw new Error('the session has another id')
      if ((await hands.do('owner', 'far', '/om/alive')) !== session) throw new Error('its ephemeral is gone')
    })
    await check(
      'a session that only pings stays alive at an observer, and one that ends takes its ephemeral along',
      async () => {
        await hands.do('open', 'quiet', ensemble.connectString([near]), SHORT_SESSION_MS)
        const session = await hands.do('id', 'quiet')
        await hands.do('create', 'quiet', '/om/quiet', '', 'EPHEMERAL')
        await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
        await hands.do('sync', 'far', '/om')
        if ((await hands.do('owner', 'far', '/om/quiet')) !== session) throw new Error('it has expired')
        await hands.do('close', 'quiet')
        await hands.awaitEvent('far', 'NodeDeleted /om/quiet')
      },
    )
    await check('an observer that was away catches up while all others are written to', async () => {
      await far.kill()
      const load = writeMany(near, MANY)
      await ensemble.start([5])
      await load
      await expectEqual(ensemble.members)
    })
    await check('I10 their follower dies: they go on with the other one, and no session ends', async () => {
      const session = await hands.do('id', 'near')
      const master = ensemble.member(await masterOf(near))
      await master.kill()
      await until('a write', async () => (await hands.codeOf('set', 'near', '/om', 'after', -1)) === 'ok')
      if ((await masterOf(near)) === master.sid) throw new Error('its master is dead')
      if ((await hands.do('owner', 'near', '/om/alive')) !== session) throw new Error('the ephemeral is gone')
      await ensemble.start([master.sid])
    })
    await check('I10 the leader dies: all go on under the next one, and no session ends', async () => {
      const session = await hands.do('id', 'near')
      await leader.kill()
      for (const client of ['near', 'far']) {
        await until('a write', async () => (await hands.codeOf('set', client, '/om', client, -1)) === 'ok')
      }
      if ((await hands.do('owner', 'far', '/om/alive')) !== session) throw new Error('the ephemeral is gone')
      await ensemble.start([3])
    })
    await check('I3 the trees are equal', async () => {
      await hands.do('close', 'near')
      await hands.do('close', 'far')
      await expectEqual(ensemble.members)
    })
    await check('all members stop in order', () => ensemble.stopAll())
  } finally {
    await ensemble.killAll()
  }
}

async function mntrValue(member, name) {
  const text = await member.ask('mntr')
  const found = new RegExp(`^${name}\t(\\S+)`, 'm').exec(text)
  if (found === null) throw new Error(`mntr of ${member.name} has no ${name}`)
  return Number(found[1])
}

function masterOf(observer) {
  return mntrValue(observer, 'zk_observer_master_id')
}

/** Creates znodes through this member, some at a time. */
async function writeMany(member, count) {
  const client = await member.connect({ timeoutMs: 60_000 })
  await client.create('/many', Buffer.from(''))
  let next = 0
  const lane = async () => {
    while (next < count) {
      const { err } = await client.create(`/many/n${next++}`, Buffer.alloc(100, 120))
      if (err !== 0) throw new Error(`a write is refused with ${err}`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, lane))
  await client.close()
}
