/**
 * The faults, and which round meets which. Each takes an ensemble that serves, does its harm for a while, and
 * leaves every member running and the network whole; the ensemble may still be looking for itself then.
 */
import { sleep } from './process.mjs'

/** `weight`: how often; `progress`: somebody can always write, and must within the time that the test states. */
const FAULTS = [
  { name: 'E1 the leader is killed', weight: 6, progress: true, run: killLeader },
  { name: 'E1 a follower is killed', weight: 2, progress: true, run: killFollower },
  { name: 'C13 all are killed', weight: 2, progress: false, run: killAll },
  {
    name: 'C16 the leader is killed, and the next one while it comes back',
    weight: 2,
    progress: false,
    run: killTwice,
  },
  { name: 'T1 the leader sleeps for 1 s', weight: 3, progress: false, run: (site) => pauseLeader(site, 1_000) },
  { name: 'T1 the leader sleeps for 10 s', weight: 1, progress: true, run: (site) => pauseLeader(site, 10_000) },
  { name: 'T2 a follower sleeps for 3 s', weight: 2, progress: true, run: pauseFollower },
  { name: 'T2 all sleep for 3 s', weight: 1, progress: false, run: pauseAll },
  { name: 'N1 the leader is cut off', weight: 4, progress: true, run: cutLeader },
  { name: 'N1 a follower is cut off', weight: 1, progress: true, run: cutFollower },
  { name: 'N1 all are cut off from each other', weight: 1, progress: false, run: cutAll },
  { name: 'N2 the leader hears, and is not heard', weight: 2, progress: true, run: muteLeader },
  { name: 'N2 the leader is heard, and does not hear', weight: 2, progress: true, run: deafLeader },
  { name: 'N2 two members do not see each other, and all others see both', weight: 2, progress: false, run: bridge },
  {
    name: 'E3 the leader is cut off, killed, comes back, and is killed again',
    weight: 2,
    progress: true,
    run: cutAndKillLeader,
  },
]
const LONG_SLEEP = { name: 'T1 the leader sleeps for 60 s', progress: true, run: (site) => pauseLeader(site, 60_000) }
/** Every so many rounds one is a long sleep. */
const LONG_EVERY = 50

const TOTAL_WEIGHT = FAULTS.reduce((sum, { weight }) => sum + weight, 0)

/** The faults of a whole run come by weight, all of them before the first one twice where there are rounds enough. */
export function faultOf(round, random, only) {
  const named = FAULTS.filter(({ name }) => name.includes(only))
  if (only !== '') return random.pick([...named, ...(LONG_SLEEP.name.includes(only) ? [LONG_SLEEP] : [])])
  if (round % LONG_EVERY === 0) return LONG_SLEEP
  if (round <= FAULTS.length) return FAULTS[(round * 7) % FAULTS.length]
  let dice = random.below(TOTAL_WEIGHT)
  return FAULTS.find(({ weight }) => {
    dice -= weight
    return dice < 0
  })
}

function others(site) {
  return site.ensemble.members.filter((member) => member !== site.leader)
}

async function killLeader({ leader, random }) {
  await leader.kill()
  await sleep(random.below(2500))
  leader.start()
}

async function killFollower(site) {
  const victim = site.random.pick(others(site))
  await victim.kill()
  await sleep(site.random.below(2500))
  victim.start()
}

async function killAll({ ensemble, random }) {
  await ensemble.killAll()
  await sleep(random.below(300))
  for (const member of ensemble.members) member.start()
}

async function killTwice(site) {
  const { ensemble, leader, random } = site
  await leader.kill()
  await sleep(random.below(1200))
  leader.start()
  await sleep(random.below(600))
  const next = (await ensemble.leader()) ?? random.pick(others(site))
  await next.kill()
  await sleep(random.below(1000))
  next.start()
}

async function pause(members, ms) {
  for (const member of members) member.pause()
  await sleep(ms)
  for (const member of members) member.resume()
}

async function pauseLeader({ leader }, ms) {
  await pause([leader], ms)
}

async function pauseFollower(site) {
  await pause([site.random.pick(others(site))], 3_000)
}

async function pauseAll({ ensemble }) {
  await pause(ensemble.members, 3_000)
}

/** Cuts these pairs [from, to], waits, heals. */
async function cut({ network, random }, pairs) {
  for (const [from, to] of pairs) network.cut(from.sid, to.sid)
  await sleep(3_500 + random.below(4_000))
  network.heal()
}

/** The pairs of `a` with each of the list, in both directions. */
function both(a, list) {
  return list.flatMap((b) => [
    [a, b],
    [b, a],
  ])
}

function cutLeader(site) {
  return cut(site, both(site.leader, others(site)))
}

function cutFollower(site) {
  const victim = site.random.pick(others(site))
  return cut(
    site,
    both(
      victim,
      site.ensemble.members.filter((member) => member !== victim),
    ),
  )
}

function cutAll(site) {
  const { members } = site.ensemble
  return cut(
    site,
    members.flatMap((member, i) => both(member, members.slice(i + 1))),
  )
}

function muteLeader(site) {
  const pairs = others(site).map((other) => [site.leader, other])
  return cut(site, pairs)
}

function deafLeader(site) {
  const pairs = others(site).map((other) => [other, site.leader])
  return cut(site, pairs)
}

function bridge(site) {
  const ends = site.random.next() < 0.5 ? others(site) : [site.leader, site.random.pick(others(site))]
  return cut(site, both(ends[0], [ends[1]]))
}

async function cutAndKillLeader(site) {
  const { leader, network, random } = site
  for (const [from, to] of both(leader, others(site))) network.cut(from.sid, to.sid)
  await sleep(random.below(4000))
  await leader.kill()
  network.heal()
  await sleep(random.below(1500))
  leader.start()
  // What it had to give up must be gone from its disk as well.
  await site.ensemble.settled()
  await leader.kill()
  leader.start()
}
