import { join } from 'node:path'
import { byZxid, lastLogDigest, newestSnapshot, spoilLastDigest, treeDigest } from './digest.mjs'
import { serverCommand } from './peers.mjs'
import {
  keepDirectory,
  killServer,
  mntr,
  readArguments,
  serverOfThisRepository,
  startServer,
  stopServer,
  temporaryDirectory,
  untilServing,
  writeConfig,
} from './process.mjs'
import { leaveOnlyCheckpoint } from './twoway_checkpoint.mjs'
import { census, differences, readTree, SUPER_DIGEST, Writers } from './twoway_tree.mjs'
import { WireClient } from './wire.mjs'

const USAGE =
  "usage: twoway.mjs [--server 'CMD'] [--reference 'CMD'] [--nodes N] [--small] [--seed N] [--port P] [--keep]"
const SESSIONS = 4

const args = readArguments(USAGE, {
  server: serverOfThisRepository,
  reference: 'java',
  nodes: 10_000,
  small: false,
  seed: 1,
  port: 25510,
  keep: false,
})
const nodes = args.small ? Math.ceil(args.nodes / 10) : args.nodes

const stops = { cleanly: stopServer, 'by kill -9': killServer }
const suffixes = { none: '', gz: '.gz', snappy: '.snappy' }

/** One directory on its way from server to server. */
class Journey {
  constructor(name, compression, seed) {
    this.name = name
    this.compression = compression
    this.seed = seed
    this.directory = temporaryDirectory('zoowarden-twoway', args.keep)
    this.versionDirectory = join(this.directory, 'data', 'version-2')
    this.problems = []
    this.notes = []
    const settings = {
      snapCount: Math.max(500, Math.floor(nodes / 4)),
      maxSessionTimeout: 120_000,
      extendedTypesEnabled: true,
      'DigestAuthenticationProvider.superDigest': SUPER_DIGEST,
    }
    if (compression !== 'none') settings['snapshot.compression.method'] = compression
    this.configFile = writeConfig(this.directory, args.port, settings)
  }

  problem(message) {
    this.problems.push(message)
  }

  async start(side) {
    this.side = side
    const logFile = join(this.directory, `${side.name}.log`)
    this.server = startServer(side.command, this.configFile, { port: args.port, logFile })
    await untilServing(this.server)
  }

  /** Reads the tree, stops the server, and holds the log's last digest against what was read. */
  async leave(how) {
    this.tree = await readTree(args.port)
    this.digest = treeDigest(this.tree, this.writers.hiddenOwners)
    await this.countMismatches('while it served')
    for (const client of this.writers.clients) client.abandon()
    await stops[how](this.server)
    const { zxid, digest, records } = lastLogDigest(this.versionDirectory)
    this.records = records
    this.lastZxidLeft = zxid
    if (zxid < this.writers.lastZxid)
      this.problem(`${this.side.name}: the log ends at ${zxid}, clients saw ${this.writers.lastZxid}`)
    if (digest !== this.digest) {
      this.problem(`${this.side.name}: digest ${hex(digest)} in the log, ${hex(this.digest)} over what was read`)
    }
  }

  /** After a start on another server's files: the same to every reader, and the same sessions. */
  async arrive() {
    await this.countMismatches('in replay')
    const tree = await readTree(args.port)
    const found = differences(this.tree, tree)
    for (const difference of found.slice(0, 10)) this.problem(`${this.side.name}: ${difference}`)
    if (found.length > 10) this.problem(`${this.side.name}: and ${found.length - 10} more differences`)
    await this.writers.move(args.port)
    const { zxidOfName, zxid, digest } = newestSnapshot(this.versionDirectory)
    // A snapshot taken while nothing was written shows what this server made of the other's files.
    const comparable = zxid === zxidOfName && zxid === this.lastZxidLeft
    if (comparable && digest !== this.digest) {
      this.problem(`${this.side.name}: its snapshot has digest ${hex(digest)}, read was ${hex(this.digest)}`)
    }
    this.notes.push(`snapshot by ${this.side.name} at its start: ${comparable ? 'digest compared' : 'none to compare'}`)
  }

  /** Ours never has any. The reference predicts some of its own wrongly, which only matters when the log is not its own. */
  async countMismatches(when) {
    const count = (await mntr(args.port)).zk_digest_mismatches_count
    if (count === '0') return
    if (this.side.ours || when === 'in replay') this.problem(`${this.side.name}: ${count} digest mismatches ${when}`)
    else this.notes.push(`${this.side.name} counts ${count} digest mismatches ${when}`)
  }

  /** Snapshots must have been written on the way, of the kind asked for, and a log behind the newest of them. */
  checkFiles() {
    const snapshots = byZxid(this.versionDirectory, 'snapshot')
    const written = snapshots.filter((file) => file.replace(/^snapshot\.[0-9a-f]+/, '') === suffixes[this.compression])
    if (written.length < 2) this.problem(`${this.side.name}: ${written.length} snapshots with ${this.compression}`)
    const behind = this.lastZxidLeft - newestSnapshot(this.versionDirectory).zxidOfName
    if (behind <= 0n) this.problem(`${this.side.name}: nothing in the log behind the newest snapshot`)
    this.notes.push(
      `${this.side.name} left ${snapshots.length} snapshots, ${this.records} log records, ${behind} to be replayed`,
    )
  }

  async travel(first, second, how) {
    const [firstStop, secondStop] = how === 'cleanly' ? ['cleanly', 'by kill -9'] : ['by kill -9', 'cleanly']
    await this.start(first)
    this.writers = await Writers.open(args.port, SESSIONS)
    await this.writers.grow('/first', nodes, this.seed)
    await this.leave(firstStop)
    this.checkFiles()

    await this.start(second)
    await this.arrive()
    await this.writers.revise(this.tree, this.seed + 1)
    await this.writers.closeOne()
    await this.writers.grow('/second', Math.ceil(nodes / 3), this.seed + 2)
    await this.leave(secondStop)
    this.checkFiles()

    await this.start(first)
    await this.arrive()
    await this.goOn()
    await stopServer(this.server)
  }

  /** New writes come above everything seen, and what the sessions owned goes when they are closed. */
  async goOn() {
    const seen = this.writers.lastZxid
    const { stat } = await this.writers.client(0).create('/goes-on', Buffer.from('x'))
    if (!(stat.czxid > seen)) this.problem(`${this.side.name}: a new write has zxid ${stat.czxid}, not above ${seen}`)
    await this.countMismatches('while it served')
    await this.writers.closeAll()
    const left = [...(await readTree(args.port))].filter(([, node]) => node.stat.ephemeralOwner !== 0n)
    if (left.length > 0) this.problem(`${this.side.name}: ${left.length} ephemerals left after their sessions`)
  }
}

/** Shows that the count of mismatches can be anything but 0: a server must notice one wrong digest in its own log. */
async function control(side) {
  const directory = temporaryDirectory('zoowarden-control', args.keep)
  const configFile = writeConfig(directory, args.port)
  const where = { port: args.port, logFile: join(directory, 'log') }
  const startAgain = async () => {
    const server = startServer(side.command, configFile, where)
    await untilServing(server)
    return server
  }
  let server = await startAgain()
  const client = await WireClient.connect({ port: args.port })
  for (let i = 0; i < 5; i++) await client.create(`/node-${i}`, Buffer.from('x'))
  client.abandon()
  await killServer(server)
  spoilLastDigest(join(directory, 'data', 'version-2'))
  server = await startAgain()
  const count = (await mntr(args.port)).zk_digest_mismatches_count
  await stopServer(server)
  const ok = count === '1'
  print(
    `${ok ? 'ok    ' : 'FAILED'} control: ${side.name} counts ${count} mismatches after one digest in its log was made wrong`,
  )
  return ok
}

function hex(digest) {
  return digest === null ? 'none' : digest.toString(16)
}

function print(line) {
  process.stdout.write(`${line}\n`)
}

async function checkpoint(ours, reference) {
  const name = `${reference.name} on what only a checkpoint holds`
  const directory = temporaryDirectory('zoowarden-checkpoint', args.keep)
  try {
    print(`ok     ${name}: ${await leaveOnlyCheckpoint(directory, ours, reference, args.port)}`)
    return true
  } catch (error) {
    keepDirectory(directory)
    print(`FAILED ${name}\n    ${error.stack}\n    data and logs are kept in ${directory}`)
    return false
  }
}

async function pass(first, second, compression, how, seed) {
  const name = `${first.name} to ${second.name} and back, ${compression}, first stopped ${how}`
  const startedAt = Date.now()
  const journey = new Journey(name, compression, seed)
  try {
    await journey.travel(first, second, how)
  } catch (error) {
    journey.problem(error.stack ?? String(error))
    if (journey.server !== undefined) await killServer(journey.server)
    for (const client of journey.writers?.clients ?? []) client.abandon()
  }
  const ok = journey.problems.length === 0
  const summary = journey.tree === undefined ? {} : census(journey.tree)
  const figures = Object.entries(summary).map(([what, count]) => `${what} ${count}`)
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1)
  print(`${ok ? 'ok    ' : 'FAILED'} ${name} (${figures.join(', ')}; ${seconds} s)`)
  for (const note of journey.notes) print(`         ${note}`)
  for (const problem of journey.problems) print(`    ${problem}`)
  if (!ok) {
    keepDirectory(journey.directory)
    print(`    data and logs are kept in ${journey.directory}`)
  }
  return ok
}

async function main() {
  const ours = { name: 'ours', ours: true, command: await serverCommand(args.server) }
  const isRelease = args.reference === 'previous'
  const name = isRelease ? 'the last release (V2)' : 'reference'
  const reference = { name, ours: isRelease, command: await serverCommand(args.reference) }
  if (reference.command === null) {
    print('not compared with the last release: this copy has no history')
    return
  }
  const orders = [
    [reference, ours],
    [ours, reference],
  ]
  const plan = []
  for (const [first, second] of orders) {
    for (const compression of Object.keys(suffixes)) {
      for (const how of Object.keys(stops)) plan.push({ first, second, compression, how })
    }
  }
  // The small run takes each compression and each way to stop at least once.
  const chosen = args.small ? plan.filter((_, i) => i === 1 || i === 2 || i === 5 || i === 9) : plan
  print(`twoway: ${nodes} nodes, ${chosen.length} passes, seed ${args.seed}`)
  let passed = 0
  for (const side of [reference, ours]) if (await control(side)) passed++
  if (await checkpoint(ours, reference)) passed++
  for (const { first, second, compression, how } of chosen) {
    if (await pass(first, second, compression, how, args.seed)) passed++
  }
  const failed = chosen.length + 3 - passed
  print(`${passed} passed, ${failed} failed`)
  process.exit(failed === 0 ? 0 : 1)
}

await main()
