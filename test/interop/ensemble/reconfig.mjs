/**
 * Changes of membership, asked for by the Java client: to a leader of either kind, with members of both.
 */
import { superUser } from '../server.mjs'
import { Ensemble, until } from './members.mjs'
import { expectEqual } from './trees.mjs'

const SETTINGS = { reconfigEnabled: true, 'DigestAuthenticationProvider.superDigest': superUser.digest }

/** Kinds of members 1 to 3 (3 leads) and of 4, which joins. */
export async function checkReconfig(kinds, context) {
  const title = `reconfig, ${kinds.slice(0, 2).join(' ')} led by ${kinds[2]}, ${kinds[3]} joins`
  const check = (name, body) => context.check(`${title}: ${name}`, body)
  const { hands } = context
  const options = { settings: SETTINGS, dynamic: true }
  const ensemble = await Ensemble.of(context.makeDirectory(), context.commands, kinds.slice(0, 3), options)
  const run = { ensemble, hands }
  try {
    await check('the first configuration has the version of its epoch', async () => {
      await ensemble.startLedBy(3)
      await hands.do('open', 'admin', ensemble.connectString(), 20_000)
      const config = await hands.do('config', 'admin')
      if (!config.endsWith('\nversion=100000000')) throw new Error(config)
    })
    await check('without rights it is refused', async () => {
      await expectCode(hands, 'NOAUTH', '', '2', '', '-1')
      await hands.do('auth', 'admin', 'digest', `${superUser.name}:${superUser.password}`)
    })
    await check('from another configuration than the one in force it is refused', () =>
      expectCode(hands, 'BADVERSION', '', '2', '', '77'),
    )
    await check('a joiner that is not there cannot join as a voter of two', () =>
      expectCode(hands, 'NEWCONFIGNOQUORUM', `server.8=127.0.0.1:1:2:participant;127.0.0.1:3`, '1,2', '', '-1'),
    )
    await check('a new member joins as an observer', async () => {
      const joiner = await ensemble.add(4, kinds[3], 'observer')
      joiner.writeConfig(ensemble.members)
      await ensemble.start([4])
      await reconfigure(run, { join: `server.4=${joiner.address}` })
      await expectModes(run, { 4: 'observer' })
    })
    await check('the observer becomes a voter', async () => {
      const joiner = ensemble.member(4)
      joiner.role = 'participant'
      await reconfigure(run, { join: `server.4=${joiner.address}` })
      await expectModes(run, { 4: 'follower' })
    })
    await check('a voter becomes an observer, and a voter again', async () => {
      const member = ensemble.member(1)
      member.role = 'observer'
      await reconfigure(run, { join: `server.1=${member.address}` })
      await expectModes(run, { 1: 'observer' })
      member.role = 'participant'
      await reconfigure(run, { join: `server.1=${member.address}` })
      await expectModes(run, { 1: 'follower' })
    })
    await check('a follower is removed, and comes back', async () => {
      const member = ensemble.member(2)
      await reconfigure(run, { leave: '2' }, ['2'])
      await reconfigure(run, { join: `server.2=${member.address}` })
      await expectModes(run, { 2: 'follower' })
    })
    await check('a whole list in place of changes', async () => {
      const list = (sids) => sids.map((sid) => `server.${sid}=${ensemble.member(sid).address}`).join(',')
      await reconfigure(run, { list: list([1, 2, 3]) }, ['4'])
      await reconfigure(run, { list: list([1, 2, 3, 4]) })
      await expectModes(run, { 4: 'follower' })
    })
    await check('the leader is removed; another one leads on', async () => {
      const leader = ensemble.member(3)
      const others = ensemble.members.filter((member) => member !== leader)
      await hands.do('move', 'admin', ensemble.connectString(others))
      await until('the client is with another member', () => answersCons(others, hands).catch(() => false))
      const code = await hands.codeOf('reconfig', 'admin', '', '3', '', '-1')
      if (code !== 'ok' && code !== 'CONNECTIONLOSS') throw new Error(code)
      const next = await ensemble.settled(others)
      if (next === leader) throw new Error('it leads still')
      await expectConfig(run, ensemble.members, ['3'])
    })
    await check('C15 all killed and started again, the last configuration holds', async () => {
      const others = ensemble.members.filter((member) => member.sid !== 3)
      await ensemble.killAll()
      await ensemble.start(others.map((member) => member.sid))
      await hands.do('sync', 'admin', '/').catch(() => {})
      await expectConfig(run, ensemble.members, ['3'])
      await expectEqual(others)
    })
    await hands.do('close', 'admin')
  } finally {
    await ensemble.killAll()
  }
}

async function answersCons(members, hands) {
  const session = await hands.do('id', 'admin')
  const texts = await Promise.all(members.map((member) => member.ask('cons')))
  return texts.some((text) => text.includes(`sid=0x${session}`))
}

async function expectCode(hands, expected, ...words) {
  const code = await hands.codeOf('reconfig', 'admin', ...words)
  if (code !== expected) throw new Error(`${code}, expected ${expected}`)
}

/** Asks for it until it is taken: a joiner may have to catch up first, a connection may go with a change of roles. */
async function reconfigure(run, { join = '', leave = '', list = '' }, without = []) {
  const { hands, ensemble } = run
  await until(`reconfig ${join}${leave}${list}`, async () => {
    const code = await hands.codeOf('reconfig', 'admin', join, leave, list, '-1')
    if (code === 'ok') return true
    if (!['NEWCONFIGNOQUORUM', 'RECONFIGINPROGRESS', 'CONNECTIONLOSS'].includes(code)) throw new Error(code)
    return false
  })
  await expectConfig(run, ensemble.members, without)
}

/** Every running member shows a client the configuration with exactly these members. */
async function expectConfig({ hands, ensemble }, members, without) {
  const expected = members
    .filter((member) => !without.includes(String(member.sid)))
    .map((member) => `server.${member.sid}=${member.address}`)
    .sort()
  let got = ''
  await until(
    `the configuration is ${expected.join(' ')}`,
    async () => {
      got = await hands.do('config', 'admin').catch((error) => error.message)
      const lines = got.split('\n')
      return lines.slice(0, -1).sort().join('\n') === expected.join('\n')
    },
    20_000,
  ).catch((error) => {
    throw new Error(`${error.message}; it is ${got}`)
  })
  const version = got.split('\n').at(-1)
  await until(`all members have ${version}`, async () => {
    const settled = ensemble.running.filter((member) => !without.includes(String(member.sid)))
    const texts = await Promise.all(settled.map((member) => member.ask('conf')))
    return texts.every((text) => text.includes(version))
  })
}

async function expectModes({ ensemble }, modes) {
  for (const [sid, mode] of Object.entries(modes)) {
    await until(`member ${sid} is ${mode}`, async () => (await ensemble.member(Number(sid)).mode()) === mode)
  }
  await ensemble.settled()
}
