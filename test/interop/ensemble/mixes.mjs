/**
 * Every mix of Java members and ours, each kind as leader: first start, sessions over all members, and members that
 * come back with a history that is too short by a little (DIFF), by much (SNAP), or too long (TRUNC).
 */
import { sleep } from '../../durability/process.mjs'
import { flag, pipeline } from '../../durability/wire.mjs'
import { Ensemble, until } from './members.mjs'
import { expectEqual } from './trees.mjs'

/** Beyond the 500 that a leader keeps in memory. */
const MANY_WRITES = 700
const FEW_WRITES = 7
const SESSION_MS = 20_000
/** May the log on disk bring a learner up to date that is behind by many? */
const NO_DISK = { snapshotSizeFactor: -1 }
const FROM_DISK = { snapshotSizeFactor: 0 } // whatever its size
const BEHIND = [
  { what: 'by a few', count: FEW_WRITES, kind: 'DIFF' },
  { what: 'by many', count: MANY_WRITES, kind: 'SNAP' },
]
const FAR_BEHIND = [{ what: 'by many, which the log on disk still has,', count: MANY_WRITES, kind: 'DIFF' }]

/**
 * Kinds by sid; member 3 is made the leader. When it has been killed for TRUNC, member 2 leads, so that with these rows
 * each kind cuts the log of each. `behind`: how members 1 and 2 come back.
 */
export const mixes = [
  { kinds: ['java', 'java', 'java'], settings: NO_DISK, behind: [] },
  { kinds: ['java', 'ours', 'java'], settings: NO_DISK, behind: BEHIND },
  { kinds: ['ours', 'java', 'ours'], settings: NO_DISK, behind: BEHIND },
  { kinds: ['ours', 'ours', 'java'], settings: FROM_DISK, behind: FAR_BEHIND },
  { kinds: ['java', 'java', 'ours'], settings: FROM_DISK, behind: FAR_BEHIND },
  { kinds: ['ours', 'ours', 'ours'], settings: NO_DISK, behind: BEHIND },
]

/** A session that lives by its pings for this long, and is over when they end. */
const SHORT_SESSION_MS = 2000
const ALIVE_MS = 3000

/** What a learner's log says when its leader has decided. */
const SYNC_LINES = {
  java: {
    DIFF: /Getting a diff from the leader/,
    SNAP: /Getting a snapshot from leader/,
    TRUNC: /Truncating log to get/,
  },
  ours: { DIFF: /\bDIFF\b/, SNAP: /\bSNAP\b/, TRUNC: /\bTRUNC\b/ },
}

export async function checkMix({ kinds, settings, behind }, context) {
  const title = `${kinds.slice(0, 2).join(' ')} led by ${kinds[2]}`
  const check = (name, body) => context.check(`${title}: ${name}`, body)
  const ensemble = await Ensemble.of(context.makeDirectory(), context.commands, kinds, { settings })
  const leader = ensemble.member(3)
  try {
    await check('three members form an ensemble under the one with the highest id', () => ensemble.startLedBy(3))
    await check('I7 S1 a session moves over all members with its ephemeral and its watches', () =>
      sessionMoves(ensemble, context.hands),
    )
    await check('I7 sessions at both followers live by their pings, and their ephemerals go when these end', () =>
      sessionsEnd(ensemble, context.hands),
    )
    await check('I3 the trees are equal', () => expectEqual(ensemble.members))
    for (const learner of behind.length === 0 ? [] : [ensemble.member(1), ensemble.member(2)]) {
      for (const { what, count, kind } of behind) {
        const who = `the ${learner.kind} follower ${learner.sid} of a ${leader.kind} leader, behind ${what}`
        await check(`E2 ${who} catches up with ${kind}`, () => comesBack(ensemble, learner, leader, count, kind))
      }
    }
    await check(`E3 a ${kinds[2]} leader comes back with a write of its own and is cut by a ${kinds[1]} leader`, () =>
      cutOldLeader(ensemble),
    )
    await check('C13 all members killed and started again have what was written', async () => {
      await ensemble.killAll()
      await ensemble.start([1, 2, 3])
      await expectEqual(ensemble.members)
    })
    await check('all members stop in order', () => ensemble.stopAll())
  } finally {
    await ensemble.killAll()
  }
}

async function sessionMoves(ensemble, hands) {
  const [one, two, three] = ensemble.members
  hands.forgetEvents()
  const session = await hands.do('open', 'mover', ensemble.connectString([one]), SESSION_MS)
  await hands.do('open', 'looker', ensemble.connectString([three]), SESSION_MS)
  await hands.do('create', 'mover', '/moves', '0', 'PERSISTENT')
  await hands.do('create', 'mover', '/moves/alive', '', 'EPHEMERAL')
  await hands.do('sync', 'looker', '/moves')
  await hands.do('watch', 'looker', '/moves/alive')
  await hands.do('watchall', 'mover', '/moves')
  let version = 0
  for (const member of [two, three, one]) {
    await hands.do('move', 'mover', ensemble.connectString([member]))
    await until('the client is on the other member', async () =>
      (await member.ask('cons')).includes(`sid=0x${session}`),
    )
    for (const client of ['mover', 'looker']) {
      const now = await hands.do('set', client, '/moves', `${client} ${version}`, version)
      if (now !== String(++version)) throw new Error(`version ${now}, expected ${version}`)
    }
    const code = await hands.codeOf('set', 'mover', '/moves', 'x', version - 1)
    if (code !== 'BADVERSION') throw new Error(`a write on an old version: ${code}`)
    await hands.do('sync', 'mover', '/moves')
    const seen = await hands.do('get', 'mover', '/moves')
    if (seen !== `looker ${version - 1}`) throw new Error(`<${seen}> behind a sync on ${member.name}`)
  }
  // One event for each write, wherever the session was.
  await until('every write was told', () => hands.countEvents('mover', 'NodeDataChanged /moves') >= version)
  const told = hands.countEvents('mover', 'NodeDataChanged /moves')
  if (told !== version) throw new Error(`${told} events of ${version} writes`)
  if ((await hands.do('id', 'mover')) !== session) throw new Error('the session has another id')
  if ((await hands.do('owner', 'looker', '/moves/alive')) !== session) throw new Error('its ephemeral is gone')
  if (hands.countEvents('looker', 'NodeDeleted /moves/alive') !== 0) throw new Error('the ephemeral went meanwhile')
  await hands.do('close', 'mover')
  await hands.awaitEvent('looker', 'NodeDeleted /moves/alive')
  if (hands.countEvents('looker', 'NodeDeleted /moves/alive') !== 1) throw new Error('one deletion, two events')
  await hands.do('close', 'looker')
}

/** The clients vanish without a word: their sessions end by their timeout, which the leader counts from the last ping. */
async function sessionsEnd(ensemble, hands) {
  hands.forgetEvents()
  const [one, two, three] = ensemble.members
  await hands.do('open', 'looker', ensemble.connectString([three]), SESSION_MS)
  const wires = []
  for (const member of [one, two]) {
    const wire = await member.connect({ timeoutMs: SHORT_SESSION_MS })
    await ok(wire.create(`/short-${member.sid}`, Buffer.alloc(0), { flags: flag.ephemeral }))
    wires.push(wire)
    await hands.do('sync', 'looker', '/')
    await hands.do('watch', 'looker', `/short-${member.sid}`)
  }
  await sleep(ALIVE_MS)
  if (hands.events.some(({ what }) => what.startsWith('NodeDeleted'))) throw new Error('a live session has ended')
  for (const wire of wires) wire.abandon()
  const startedAt = performance.now()
  for (const member of [one, two]) {
    await hands.awaitEvent('looker', `NodeDeleted /short-${member.sid}`)
    const afterMs = performance.now() - startedAt
    if (afterMs < SHORT_SESSION_MS / 2) throw new Error(`a session at ${member.name} ended after ${afterMs} ms`)
  }
  await hands.do('close', 'looker')
}

/** Kills the learner, writes at the leader, starts it again, and looks how it was brought up to date. */
async function comesBack(ensemble, learner, leader, count, kind) {
  await learner.kill()
  const client = await leader.connect({ timeoutMs: SESSION_MS })
  const home = `/back-${learner.sid}-${kind}-${count}`
  await ok(client.create(home, Buffer.from('home')))
  await pipeline(Array.from({ length: count }), 32, (_, i) => ok(client.create(`${home}/n${i}`, Buffer.from(`${i}`))))
  await client.close()
  await ensemble.start([learner.sid])
  expectSync(learner, kind)
  await expectEqual(ensemble.members)
}

function expectSync(learner, kind) {
  const log = learner.log()
  const lines = SYNC_LINES[learner.kind]
  const seen = Object.keys(lines).filter((name) => lines[name].test(log))
  if (!seen.includes(kind)) throw new Error(`${kind} expected, the log of ${learner.name} says ${seen.join(' and ')}`)
}

/**
 * The followers stop, the leader logs a write that nobody else gets to see, and all die. The followers go on without
 * it; then the old leader comes back.
 */
async function cutOldLeader(ensemble) {
  const old = ensemble.member(3)
  const [one, two] = ensemble.members
  const client = await old.connect({ timeoutMs: 60_000 })
  const shared = `shared-${Math.random()}`
  await ok(client.create('/cut', Buffer.from(shared)))
  await until('everybody has logged what is to be kept', () => ensemble.members.every((m) => m.hasLogged(shared)))
  one.pause()
  two.pause()
  await until('both followers stand still', () => one.paused && two.paused)
  const secret = `secret-${Math.random()}`
  client.create('/cut/never', Buffer.from(secret)).catch(() => {})
  await until('the leader has logged the write', () => old.hasLogged(secret))
  await Promise.all([one.kill(), two.kill()])
  await old.kill()
  const leader = await ensemble.start([1, 2])
  if (leader !== two) throw new Error(`${leader.name} leads, ${two.name} was to`)
  await ensemble.start([3])
  expectSync(old, 'TRUNC')
  const reader = await old.connect()
  const { err } = await reader.exists('/cut/never')
  if (err === 0) throw new Error('the write that was never acknowledged is there')
  await ok(reader.exists('/cut'))
  await ok(reader.create('/cut/after', Buffer.from('x')))
  await reader.close()
  await expectEqual(ensemble.members)
}

async function ok(reply) {
  const answer = await reply
  if (answer.err !== 0) throw new Error(`a request of the check was refused with ${answer.err}`)
  return answer
}
