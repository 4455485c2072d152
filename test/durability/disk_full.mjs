/**
 * A disk that is full while clients write. The server steps aside: it stops serving, says why, and answers the words;
 * when there is room again it comes back by itself. (Scenario D1)
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Ensemble, until, withStory } from '../interop/ensemble/members.mjs'
import { expectEqual } from '../interop/ensemble/trees.mjs'
import { byZxid } from './digest.mjs'
import { expectRight } from './disk_kills.mjs'
import { Load } from './disk_load.mjs'
import { SmallDisk } from './disk_mounts.mjs'
import { mntr, sleep, startServer, stopServer, tailOf, untilServing, writeConfig } from './process.mjs'
import { code, fourLetterWord, WireClient } from './wire.mjs'

const PORT = 22350
const DISK_MIB = 300
/** Left when it gets full: some seconds of writing. */
const LEFT_BYTES = 12 * 2 ** 20
/** From full to noticed, and from room to serving. */
const NOTICED_MS = 90_000
const BACK_MS = 90_000
/** How long it is full. A supervisor would see a crash loop in that time. */
const FULL_MS = 6000
const SETTINGS = { preAllocSize: 2048, snapCount: 2000 }

export async function fullStandalone({ directory, server: command, disk: kind }) {
  const disk = makeDisk(kind, join(directory, 'data'), join(directory, 'work'))
  const configFile = writeConfig(directory, PORT, SETTINGS)
  const server = startServer(command, configFile, { port: PORT, logFile: join(directory, 'server.log') })
  await untilServing(server)
  const load = new Load(() => [{ port: PORT }])
  if (!(await load.writesSince(performance.now(), 20_000))) throw new Error('no write went through')
  disk.fill(LEFT_BYTES)
  await untilAside(PORT, server, server.logFile)
  const before = load.acknowledged
  await sleep(FULL_MS)
  await expectAside(PORT, server)
  if (load.acknowledged > before) throw new Error('it acknowledged writes while it had stepped aside')
  const madeAt = performance.now()
  disk.makeRoom()
  await untilBack(PORT, server)
  if (!(await load.writesSince(performance.now(), BACK_MS)))
    throw new Error(`no write after it is back${tailOf(server)}`)
  const backMs = Math.round(performance.now() - madeAt)
  await load.stop()
  await expectRight(load, { port: PORT })
  await stopServer(server)
  disk.unmount()
  return `${load.acknowledged} acknowledged writes, back ${backMs} ms after there was room`
}

/** A tree that is larger than the room left: snapshots fail, writes go on, and with room there is a snapshot again. */
export async function fullSnapshot({ directory, server: command, disk: kind }) {
  const disk = makeDisk(kind, join(directory, 'data'), join(directory, 'work'))
  const configFile = writeConfig(directory, PORT, { preAllocSize: 512, snapCount: 400 })
  const server = startServer(command, configFile, { port: PORT, logFile: join(directory, 'server.log') })
  await untilServing(server)
  await plantTree(PORT, 400, 50_000)
  const version2 = join(directory, 'data', 'version-2')
  // 20 MB of tree. A log file gets all the room it needs when it is made, so that only the snapshot finds none.
  const load = new Load(() => [{ port: PORT }], { valueBytes: 200 })
  disk.fill(10 * 2 ** 20)
  await until('a snapshot fails', () => /snapshot failed/.test(tailOf(server, 1000)), NOTICED_MS)
  const newest = byZxid(version2, 'snapshot').at(-1)
  const before = load.acknowledged
  await sleep(FULL_MS)
  const meanwhile = load.acknowledged - before
  if (meanwhile === 0) throw new Error(`no writes without snapshots${tailOf(server)}`)
  if (server.ended !== null) throw new Error(`it ended: ${server.ended}${tailOf(server)}`)
  if (byZxid(version2, 'snapshot').at(-1) !== newest) throw new Error('a snapshot found room that was not there')
  const left = readdirSync(version2).filter((name) => name.startsWith('partial-snapshot.'))
  if (left.length > 1) throw new Error(`snapshots that failed were left behind: ${left.join(' ')}`)
  disk.makeRoom()
  await until('there is a snapshot again', () => byZxid(version2, 'snapshot').at(-1) !== newest, BACK_MS)
  await untilBack(PORT, server)
  if (!(await load.writesSince(performance.now(), 20_000))) throw new Error(`no write at the end${tailOf(server)}`)
  await load.stop()
  await expectRight(load, { port: PORT })
  await stopServer(server)
  disk.unmount()
  return `${load.acknowledged} acknowledged writes, ${meanwhile} of them meanwhile`
}

async function plantTree(port, count, bytes) {
  const client = await WireClient.connect({ port })
  for (let i = 0; i < count; i++) {
    const { err } = await client.create(`/planted${i}`, randomBytes(bytes))
    if (err !== code.ok) throw new Error(`planting: ${err}`)
  }
  await client.close()
}

/** `role`: what the member with the full disk is when it gets full. */
export async function fullEnsemble({ directory, server: command, disk: kind }, role) {
  const sid = role === 'leader' ? 3 : 1
  const disk = makeDisk(kind, join(directory, 'small'), join(directory, 'work'))
  mkdirSync(join(directory, `m${sid}`))
  symlinkSync(disk.point, join(directory, `m${sid}`, 'data'))
  const settings = { ...SETTINGS, initLimit: 20, syncLimit: 4 }
  const commands = { ours: withStory(command) }
  const ensemble = await Ensemble.of(directory, commands, ['ours', 'ours', 'ours'], { settings, ports: [22360, 22399] })
  await ensemble.startLedBy(3)
  const member = ensemble.member(sid)
  const others = ensemble.members.filter((each) => each !== member)
  const load = new Load(() => ensemble.members)
  if (!(await load.writesSince(performance.now(), 20_000))) throw new Error('no write went through')
  disk.fill(LEFT_BYTES)
  await untilAside(member.port, member.process, member.logFile)
  await ensemble.settled(others)
  if (!(await load.writesSince(performance.now(), 30_000))) throw new Error('the others did not go on')
  const before = load.acknowledged
  await sleep(FULL_MS)
  await expectAside(member.port, member.process)
  const meanwhile = load.acknowledged - before
  const madeAt = performance.now()
  disk.makeRoom()
  await untilBack(member.port, member.process)
  const backMs = Math.round(performance.now() - madeAt)
  await ensemble.settled(ensemble.members)
  if (!(await load.writesSince(performance.now(), 20_000))) throw new Error('no write went through at the end')
  await load.stop()
  await expectEqual(ensemble.members)
  for (const each of ensemble.members) await expectRight(load, each)
  await ensemble.stopAll()
  disk.unmount()
  return `${load.acknowledged} acknowledged writes, ${meanwhile} of them meanwhile, back ${backMs} ms after there was room`
}

function makeDisk(kind, point, work) {
  return kind === 'ext4' ? SmallDisk.ext4(point, work, DISK_MIB) : SmallDisk.tmpfs(point, DISK_MIB)
}

async function untilAside(port, server) {
  await until('the full disk is noticed', async () => (await storageFull(port, server)) === '1', NOTICED_MS)
  await expectAside(port, server)
}

/** It lives, does not serve, and says why. */
async function expectAside(port, server) {
  if (server.ended !== null) throw new Error(`it ended: ${server.ended}${tailOf(server)}`)
  const health = await fourLetterWord(port, 'ruok')
  if (!/imok/.test(health)) throw new Error(`ruok is answered with ${JSON.stringify(health)}`)
  if ((await storageFull(port, server)) !== '1') throw new Error(`zk_storage_full is not 1${tailOf(server)}`)
  if (/^Mode: /m.test(await fourLetterWord(port, 'srvr'))) throw new Error('it says that it serves')
  if (!/no room/.test(tailOf(server, 1000))) throw new Error(`its log does not say "no room"${tailOf(server)}`)
}

async function untilBack(port, server) {
  await until(`it is back${tailOf(server)}`, async () => (await storageFull(port, server)) === '0', BACK_MS)
  await untilServing(server, BACK_MS)
}

async function storageFull(port, server) {
  if (server.ended !== null) throw new Error(`it ended: ${server.ended}${tailOf(server)}`)
  const { zk_storage_full: full } = await mntr(port).catch(() => ({}))
  return full
}
