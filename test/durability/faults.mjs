/**
 * npm run test:faults — an ensemble on one machine, real faults, and clients whose histories are checked.
 *
 *   node test/durability/faults.mjs [--rounds 100] [--seed N] [--only TEXT] [--members ours,ours,java]
 *                                   [--network namespaces|relays] [--server 'CMD'] [--keep]
 *
 * Each round: clients write, write on condition, and read; a fault comes and goes (faults_plan.mjs); the ensemble must
 * serve again in time; then every member must show the same, and the histories must be possible (faults_history.mjs).
 * Members are three of ours unless told; Java ones need namespaces, as they call back past a relay. `--server` names
 * another command for ours. `--only` takes a part of a fault's name. Prints a line for each round and one at the end, and
 * ends with 1 if any round failed; directories and logs are kept then.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ensemble, javaMember, withStory } from '../interop/ensemble/members.mjs'
import { expectEqual } from '../interop/ensemble/trees.mjs'
import { FaultClient } from './faults_client.mjs'
import { controlOrder, History, LinearizabilityChecker } from './faults_history.mjs'
import { makeNetwork } from './faults_network.mjs'
import { faultOf } from './faults_plan.mjs'
import { conclude, readArguments, seededRandom, serverOfThisRepository, sleep, temporaryDirectory } from './process.mjs'

const USAGE =
  'usage: faults.mjs [--rounds N] [--seed N] [--only TEXT] [--members ours,ours,java] ' +
  '[--network namespaces|relays] [--server CMD] [--keep]'
const CLIENTS = 5
const REGISTERS = 4
/** Before the fault, so that it meets requests under way; and behind it. */
const CALM_MS = 700
/** With a majority unhurt, an acknowledged write that was sent after the fault began (syncLimit is 2 s). */
const GO_ON_MS = 12_000
/** After the fault: every client writes again, every member serves. */
const RECOVER_MS = 20_000
const SETTINGS = { tickTime: 500, initLimit: 20, syncLimit: 4, snapCount: 3000 }

const args = readArguments(USAGE, {
  rounds: 100,
  seed: Math.floor(Math.random() * 1e9),
  only: '',
  members: 'ours,ours,ours',
  network: '',
  server: serverOfThisRepository,
  keep: false,
})

class Campaign {
  async begin() {
    controlOrder()
    this.random = seededRandom(args.seed)
    this.directory = temporaryDirectory('zoowarden-faults', args.keep)
    const kinds = args.members.split(',')
    const sids = kinds.map((_, i) => i + 1)
    this.network = await makeNetwork(args.network, sids)
    const work = join(this.directory, 'checker')
    mkdirSync(work)
    this.checker = await LinearizabilityChecker.start(work)
    const commands = { ours: withStory(args.server), java: kinds.includes('java') ? await javaMember() : '' }
    this.ensemble = await Ensemble.of(this.directory, commands, kinds, {
      settings: SETTINGS,
      network: this.network,
    })
    await this.ensemble.start(sids)
    this.totals = { acknowledged: 0, open: 0, refused: 0, slowestMs: 0 }
    await this.setUp('/faults')
    this.clients = Array.from({ length: CLIENTS }, (_, i) => {
      return new FaultClient(i, this.ensemble.members, seededRandom(args.seed + i + 1))
    })
  }

  /** Makes nodes through a session of its own, until it is done. */
  async setUp(...paths) {
    const leader = await this.ensemble.settled()
    const wire = await leader.connect()
    for (const path of paths) {
      const { err } = await wire.create(path, Buffer.from('start'))
      if (err !== 0) throw new Error(`create ${path}: ${err}`)
    }
    await wire.close()
  }

  async round(round) {
    const fault = faultOf(round, this.random, args.only)
    const history = new History()
    const home = `/faults/r${round}`
    const keys = Array.from({ length: REGISTERS }, (_, i) => `${home}/k${i}`)
    await this.setUp(home, ...keys)
    const leader = await this.ensemble.settled()
    for (const client of this.clients) client.begin(history, keys)
    await sleep(CALM_MS)

    const startedAt = performance.now()
    const goesOn = this.untilWrite(startedAt, GO_ON_MS)
    await fault.run({ ensemble: this.ensemble, leader, network: this.network, random: this.random })
    const goneOnMs = await goesOn
    if (fault.progress && goneOnMs === null) history.fail(`I10 no write went through within ${GO_ON_MS} ms`)

    const overAt = performance.now()
    await this.recover(overAt, history)
    const recoveredMs = Math.round(performance.now() - overAt)
    await sleep(CALM_MS)
    await Promise.all(this.clients.map((client) => client.stop()))
    if (history.errors.length === 0) await this.judge(history, keys)
    await this.cleanUp(home, keys)
    this.report(round, fault, history, goneOnMs, recoveredMs)
    return history.errors.length === 0
  }

  /** Milliseconds until an acknowledged write that was sent later than `since`; null if there is none in time. */
  async untilWrite(since, withinMs) {
    while (performance.now() < since + withinMs) {
      if (this.clients.some((client) => client.acknowledgedAt > since)) return Math.round(performance.now() - since)
      await sleep(10)
    }
    return null
  }

  async recover(since, history) {
    try {
      await this.ensemble.settled(this.ensemble.members, RECOVER_MS)
    } catch (error) {
      history.fail(`I10 ${error.message}`)
    }
    const end = since + RECOVER_MS
    while (this.clients.some((client) => client.acknowledgedAt < since) && performance.now() < end) await sleep(20)
    const idle = this.clients.filter((client) => client.acknowledgedAt < since)
    for (const client of idle) history.fail(`I10 ${client.who} could not write within ${RECOVER_MS} ms`)
  }

  /** Members agree, and what they show is the end of a possible history. */
  async judge(history, keys) {
    try {
      // Behind relays no two members have the same addresses in their files.
      const skip = this.network.name === 'relays' ? ['/zookeeper/config'] : []
      await expectEqual(this.ensemble.members, (path) => skip.includes(path))
    } catch (error) {
      history.fail(`I3 ${error.message}`)
    }
    for (const member of this.ensemble.members) {
      const wire = await member.connect()
      for (const key of keys) {
        const call = performance.now()
        wire.sync(key).catch(() => {})
        const { data, stat } = await wire.getData(key)
        const op = { client: CLIENTS + member.sid, key, kind: 'read', value: data.toString(), on: -1, result: 'ok' }
        history.add({ ...op, version: stat.version }, call, performance.now())
        history.see(key, stat.version, data.toString(), stat.mzxid, `member ${member.name}`)
      }
      await wire.close()
    }
    const verdict = await this.checker.check(history)
    if (verdict !== 'ok') history.fail(`I1 I2 ${verdict}`)
  }

  async cleanUp(home, keys) {
    const leader = await this.ensemble.settled()
    const wire = await leader.connect()
    for (const path of [...keys, home]) await wire.delete(path)
    await wire.close()
  }

  report(round, fault, history, goneOnMs, recoveredMs) {
    const [ok, open, refused] = ['ok', 'open', 'badversion'].map((result) => history.count(result))
    this.totals.acknowledged += ok
    this.totals.open += open
    this.totals.refused += refused
    this.totals.slowestMs = Math.max(this.totals.slowestMs, recoveredMs)
    const writes = goneOnMs === null ? 'no write meanwhile' : `a write after ${goneOnMs} ms`
    const counts = `${ok} acknowledged, ${refused} refused, ${open} open`
    const verdict = history.errors.length === 0 ? 'ok' : 'FAILED'
    print(`round ${round}: ${fault.name}; ${counts}; ${writes}; all well ${recoveredMs} ms after it: ${verdict}`)
    for (const error of history.errors) print(`    ${error.replace(/\n/g, '\n    ')}`)
    if (history.errors.length > 0) {
      const file = join(this.directory, `history-${round}.json`)
      writeFileSync(file, JSON.stringify(history.ops))
      print(`    the history is in ${file}`)
    }
  }

  async end() {
    for (const client of this.clients) await client.close()
    await this.ensemble.stopAll()
  }
}

function print(line) {
  process.stdout.write(`${line}\n`)
}

async function main() {
  const startedAt = Date.now()
  const campaign = new Campaign()
  let passed = 0
  let failed = 0
  try {
    await campaign.begin()
    print(
      `faults: ${args.rounds} rounds, seed ${args.seed}, members ${args.members}, network of ${campaign.network.name}`,
    )
    for (let round = 1; round <= args.rounds; round++) {
      if (await campaign.round(round)) passed++
      else failed++
    }
    await campaign.end()
  } catch (error) {
    failed++
    print(`    ${error.stack ?? error}`)
  }
  if (campaign.totals) {
    const { acknowledged, refused, open, slowestMs } = campaign.totals
    print(`${acknowledged} acknowledged writes, ${refused} refused, ${open} open; all well within ${slowestMs} ms`)
  }
  conclude({ passed, failed, seed: args.seed, startedAt, directory: campaign.directory })
}

await main()
