/**
 * Kills a server under load, again and again, and holds it to every answer it gave. (Scenarios C3, C4, C5, C16, D8, S2)
 *
 *   node test/durability/kill.mjs [--rounds 100] [--seed N] [--server 'CMD'] [--port 25500] [--keep]
 *
 * A round: several sessions of a real client (kazoo, two processes) write at full speed, the server gets SIGKILL at a
 * random instant, one time in four a second one while it recovers, and starts again on the same data. Then: every
 * acknowledged write is there and whole with its version and zxids, no refused one is, one without an answer happened
 * in full or not at all, cversions and sequence numbers go on without hole or repetition, new zxids are above all seen
 * ones, sessions re-attach and ephemerals live exactly as long as their session. The kills come at random, the page
 * cache survives: this is about crashes of the process, not of the machine.
 *
 * `--server java` is the reference server. The seed fixes workload and instants, not the machine's scheduling.
 */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Ghosts } from './kill_ghosts.mjs'
import { parentOf, RoundModel, ZxidLedger } from './kill_model.mjs'
import { kazooEnvironment, serverCommand } from './peers.mjs'
import {
  conclude,
  killServer,
  readArguments,
  seededRandom,
  serverOfThisRepository,
  sleep,
  startServer,
  stopServer,
  temporaryDirectory,
  untilServing,
  writeConfig,
} from './process.mjs'
import { code, pipeline, WireClient } from './wire.mjs'

const USAGE = "usage: kill.mjs [--rounds N] [--seed N] [--server 'CMD'|java] [--port P] [--keep]"
const WORKERS = 2
const SESSIONS_PER_WORKER = 3
const SESSION_TIMEOUT_S = 15
const ROUNDS_KEPT = 5 // older rounds are deleted, so that the tree and its snapshots stay small
const READ_WIDTH = 64
const BACK_WITHIN_MS = 20_000

const args = readArguments(USAGE, {
  rounds: 100,
  seed: Math.floor(Math.random() * 1e9),
  server: serverOfThisRepository,
  port: 25500,
  keep: false,
})

/** A kazoo process: one line in, one line out. */
class Worker {
  static async start(name, port) {
    const script = fileURLToPath(new URL('kill_worker.py', import.meta.url))
    const words = [script, `127.0.0.1:${port}`, name, String(SESSIONS_PER_WORKER), String(SESSION_TIMEOUT_S)]
    const child = spawn('python3', words, { stdio: ['pipe', 'pipe', 'inherit'], env: await kazooEnvironment() })
    const worker = new Worker(child, name)
    const { sessions } = await worker.answer()
    worker.sessions = new Map(sessions.map((s) => [s.name, s.id]))
    return worker
  }

  constructor(child, name) {
    this.child = child
    this.name = name
    this.lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    process.on('exit', () => child.kill('SIGKILL'))
  }

  tell(command) {
    this.child.stdin.write(`${JSON.stringify(command)}\n`)
  }

  async answer(withinMs = 90_000) {
    const line = await Promise.race([this.lines.next(), sleep(withinMs).then(() => null)])
    if (line === null) {
      // Most likely: a server that has lost what it acknowledged turns away clients that have seen more than it has.
      throw new Error(`worker ${this.name}: not all of its sessions came back within ${withinMs} ms`)
    }
    if (line.done) throw new Error(`worker ${this.name} ended`)
    return JSON.parse(line.value)
  }
}

class Campaign {
  constructor() {
    this.random = seededRandom(args.seed)
    this.directory = temporaryDirectory('zoowarden-kill', args.keep)
    // Low limits, so that many kills fall into a snapshot or right behind a new log file.
    const settings = { snapCount: 600, minSessionTimeout: 1_000, maxSessionTimeout: 60_000, preAllocSize: 1024 }
    this.configFile = writeConfig(this.directory, args.port, settings)
    this.rounds = new Map() // round -> RoundModel
    this.forgotten = new Set()
    this.ledger = new ZxidLedger()
    this.totals = { acknowledged: 0, refused: 0, unanswered: 0, applied: 0, kills: 0, silentSeen: 0 }
  }

  async start() {
    const where = { port: args.port, logFile: join(this.directory, 'server.log') }
    this.spawnedAt = Date.now()
    this.server = startServer(this.command, this.configFile, where)
    await untilServing(this.server)
  }

  async begin() {
    this.command = await serverCommand(args.server)
    await this.start()
    const client = await WireClient.connect({ port: args.port })
    await must(client.create('/kill', Buffer.alloc(0)))
    await client.close()
    this.workers = []
    for (let i = 0; i < WORKERS; i++) this.workers.push(await Worker.start(`w${i}s`, args.port))
    this.sessionIds = new Map(this.workers.flatMap((w) => [...w.sessions]))
  }

  /** Makes the directories of a round and the nodes its sessions compete for. */
  async prepare(client, round) {
    const model = new RoundModel(round)
    const home = `/kill/r${round}`
    const { zxid } = await must(client.create(home, Buffer.alloc(0)))
    this.ledger.add(Number(zxid), `prepare ${home}`, this.ledger.floor, (m) => model.fail(m))
    for (const name of ['ghosts', 'shared', ...this.sessionIds.keys()]) {
      await must(client.create(`${home}/${name}`, Buffer.alloc(0)))
      if (name === 'ghosts') continue
      model.addDirectory(`${home}/${name}`)
      await must(client.create(`${home}/${name}/seq`, Buffer.alloc(0)))
      model.directories.get(`${home}/${name}`).created++
      model.addDirectory(`${home}/${name}/seq`)
    }
    for (let i = 0; i < 3; i++) {
      const path = `${home}/shared/c${i}`
      const { stat } = await must(client.create(path, Buffer.from('start')))
      model.addNode(path, 'start', Number(stat.czxid))
    }
    this.rounds.set(round, model)
    return model
  }

  async round(round) {
    const client = await WireClient.connect({ port: args.port })
    const model = await this.prepare(client, round)
    const ghosts = await Ghosts.raise(args.port, `/kill/r${round}/ghosts`)
    const killAfterMs = 20 + this.random.below(600)
    const again = this.random.next() < 0.25
    const secondKillMs = again ? this.random.below(this.random.next() < 0.6 ? 200 : 700) : null

    for (const worker of this.workers) worker.tell({ round, seed: args.seed })
    for (const worker of this.workers) await worker.answer()
    await sleep(killAfterMs)
    ghosts.startClosing()
    if (this.random.next() < 0.5) await sleep(this.random.below(4)) // lets some of the closes get through
    await killServer(this.server)
    this.totals.kills++
    for (const zxid of [Number(client.lastZxid), ...ghosts.abandon()]) this.ledger.see(zxid)
    client.abandon()

    const killedAt = Date.now()
    if (secondKillMs !== null) await this.killWhileStarting(secondKillMs)
    await this.start()
    const downMs = Date.now() - killedAt
    await this.judge(model, ghosts, round % 5 === 0 || round === args.rounds)
    const errors = model.takeErrors()
    this.report(model, { killAfterMs, secondKillMs, downMs, errors })
    if (errors.length > 0) this.rounds.delete(round)
    return errors.length === 0
  }

  async killWhileStarting(afterMs) {
    this.server = startServer(this.command, this.configFile, this.server)
    await Promise.race([sleep(afterMs), this.server.end])
    if (this.server.ended !== null) throw new Error(`server ended by itself while starting: ${this.server.ended}`)
    await killServer(this.server)
    this.totals.kills++
  }

  async judge(model, ghosts, thorough) {
    const fail = (message) => model.fail(message)
    const reader = await WireClient.connect({ port: args.port })
    const servingSince = Date.now()
    await ghosts.check(reader, this.spawnedAt, thorough, fail)
    if (ghosts.lookedInTime) this.totals.silentSeen++ // where it was missing, the round has failed
    for (const worker of this.workers) worker.tell({ collect: true })
    const answers = await Promise.all(this.workers.map((worker) => worker.answer()))
    // The Java server may leave a connection unanswered that came while it started; kazoo then waits for its timeout.
    const backMs = Date.now() - servingSince
    if (backMs > BACK_WITHIN_MS && args.server !== 'java') fail(`it took ${backMs} ms until every session was back`)
    for (const session of answers.flatMap((a) => a.sessions)) {
      this.ledger.see(session.zxid)
      if (session.states.includes('LOST')) fail(`session ${session.name} was lost within its timeout`)
      if (session.id !== this.sessionIds.get(session.name)) fail(`session ${session.name} has another id now`)
      this.sessionIds.set(session.name, session.id)
    }
    for (const { outcomes } of answers) if (outcomes.length === 0) fail('a worker wrote nothing in this round')
    model.absorb(
      answers.flatMap((a) => a.outcomes),
      this.sessionIds,
    )
    const there = await readDirectories(reader, [...model.directories.keys()], fail)
    model.resolve(there.nodes)
    model.compare(there.nodes, there.directories)
    for (const { zxid, what } of model.zxids)
      this.ledger.add(zxid, `round ${model.round} ${what}`, this.ledger.floor, fail)
    model.zxids = []
    await this.probe(reader, model, fail)

    // Earlier rounds must still be what they were: one of them now, all of them now and then.
    const earlier = [...this.rounds.values()].filter((m) => m !== model)
    for (const old of thorough || earlier.length === 0 ? earlier : [this.random.pick(earlier)]) {
      const still = await readDirectories(reader, [...old.directories.keys()], fail)
      old.compare(still.nodes, still.directories)
      for (const error of old.takeErrors()) fail(`of round ${old.round}, seen later: ${error}`)
    }
    await this.forgetOldRounds(reader, fail)
    await reader.close()
    this.ledger.see(Number(reader.lastZxid))
    this.ledger.raiseFloor()
  }

  /** A new write after the restart is above every zxid seen; a new sequential node goes on where the last one was. */
  async probe(reader, model, fail) {
    const directory = `/kill/r${model.round}/shared/seq`
    const expected = model.directories.get(directory).created
    const highest = this.ledger.highestSeen
    const { path, stat } = await must(reader.create(`${directory}/s-`, Buffer.from('probe'), { flags: 2 }))
    if (Number(path.slice(-10)) !== expected) fail(`${path}: the next sequence number should be ${expected}`)
    this.ledger.add(Number(stat.czxid), `probe of round ${model.round}`, highest, fail)
    model.addNode(path, 'probe', Number(stat.czxid))
  }

  async forgetOldRounds(reader, fail) {
    for (const round of this.rounds.keys()) {
      if (this.rounds.size <= ROUNDS_KEPT) break
      await deleteTree(reader, `/kill/r${round}`)
      this.rounds.delete(round)
      this.forgotten.add(round)
    }
    const { children } = await must(reader.getChildren('/kill'))
    for (const child of children) {
      if (this.forgotten.has(Number(child.slice(1)))) fail(`/kill/${child} is there again after it was deleted`)
    }
  }

  report(model, { killAfterMs, secondKillMs, downMs, errors }) {
    const { ok, refused, unknown, applied } = model.counts
    this.totals.acknowledged += ok
    this.totals.refused += refused
    this.totals.unanswered += unknown
    this.totals.applied += applied
    const kills =
      secondKillMs === null ? `${killAfterMs} ms` : `${killAfterMs} ms and ${secondKillMs} ms into the start`
    const what = `${ok} acknowledged, ${refused} refused, ${unknown} unanswered (${applied} applied)`
    print(
      `round ${model.round}: killed after ${kills}; ${what}; down ${downMs} ms: ${errors.length === 0 ? 'ok' : 'FAILED'}`,
    )
    for (const error of errors.slice(0, 20)) print(`    ${error}`)
    if (errors.length > 20) print(`    and ${errors.length - 20} more`)
  }

  /** Closes every session: what they owned must go, whatever happened before. */
  async end() {
    for (const worker of this.workers) worker.tell({ close: true })
    for (const worker of this.workers) await worker.answer()
    const reader = await WireClient.connect({ port: args.port })
    const left = []
    for (const model of this.rounds.values()) {
      for (const [path, node] of model.nodes) {
        if (node.owner === '0') continue
        if ((await reader.exists(path)).err !== code.noNode) left.push(path)
      }
    }
    await reader.close()
    await stopServer(this.server)
    if (left.length > 0)
      throw new Error(`ephemerals left after their sessions were closed: ${left.slice(0, 10).join(' ')}`)
  }
}

async function must(reply) {
  const answer = await reply
  if (answer.err !== code.ok) throw new Error(`a request of the test itself was refused with ${answer.err}`)
  return answer
}

/** Every node below the given directories (the directories' own Stats apart), read through the protocol. */
async function readDirectories(reader, directories, fail) {
  const result = { nodes: new Map(), directories: new Map() }
  const known = new Set(directories)
  const paths = []
  for (const directory of directories) {
    const { err, children, stat } = await reader.getChildren(directory)
    if (err !== code.ok) continue // the comparison will name the missing directory
    result.directories.set(directory, stat)
    if (stat.numChildren !== children.length)
      fail(`${directory}: ${stat.numChildren} children, ${children.length} listed`)
    for (const child of children) if (!known.has(`${directory}/${child}`)) paths.push(`${directory}/${child}`)
  }
  await pipeline(paths, READ_WIDTH, async (path) => {
    const { err, data, stat } = await reader.getData(path)
    if (err === code.ok) result.nodes.set(path, { data: data.toString('utf8'), stat })
    else fail(`${path}: listed by ${parentOf(path)}, but reading it gives ${err}`)
  })
  return result
}

async function deleteTree(client, path) {
  const { err, children } = await client.getChildren(path)
  if (err === code.noNode) return
  await pipeline(children, READ_WIDTH, (child) => deleteTree(client, `${path}/${child}`))
  const deleted = await client.delete(path)
  if (deleted.err !== code.ok && deleted.err !== code.noNode) throw new Error(`delete ${path}: ${deleted.err}`)
}

function print(line) {
  process.stdout.write(`${line}\n`)
}

async function main() {
  print(`kill: ${args.rounds} rounds, seed ${args.seed}`)
  const campaign = new Campaign()
  mkdirSync(campaign.directory, { recursive: true })
  const startedAt = Date.now()
  let passed = 0
  let failed = 0
  try {
    await campaign.begin()
    for (let round = 1; round <= args.rounds; round++) {
      if (await campaign.round(round)) passed++
      else failed++
    }
    await campaign.end()
  } catch (error) {
    failed++
    print(`    ${error.stack ?? error}`)
  }
  const { acknowledged, refused, unanswered, applied, kills, silentSeen } = campaign.totals
  print(`the silent session could be looked for within its timeout in ${silentSeen} of ${passed + failed} rounds`)
  print(
    `${kills} kills, ${acknowledged} acknowledged writes, ${refused} refused, ${unanswered} unanswered (${applied} applied)`,
  )
  conclude({ passed, failed, seed: args.seed, startedAt, directory: campaign.directory })
}

await main()
