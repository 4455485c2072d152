/**
 * A disk that fails: from some place on, the device below the file system answers every write with EIO.
 * The server stops, since nobody knows what the disk still has; what it had acknowledged is there when the disk is
 * well again. (Scenario D2)
 */
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Ensemble, withStory } from '../interop/ensemble/members.mjs'
import { expectEqual } from '../interop/ensemble/trees.mjs'
import { expectRight } from './disk_kills.mjs'
import { Load } from './disk_load.mjs'
import { SmallDisk } from './disk_mounts.mjs'
import { sleep, startServer, stopServer, tailOf, untilServing, writeConfig } from './process.mjs'

const PORT = 22351
const DISK_MIB = 120
/** Enough for the file system's own tables and the first snapshot. */
const GOOD_BYTES = 16 * 2 ** 20
/** Some writing before it fails. */
const CALM_MS = 1000
const STOPPED_MS = 60_000
const SETTINGS = { preAllocSize: 2048, snapCount: 2000 }

export async function failingStandalone({ directory, server: command }) {
  const disk = SmallDisk.ext4(join(directory, 'data'), join(directory, 'work'), DISK_MIB)
  const configFile = writeConfig(directory, PORT, SETTINGS)
  let starts = 0
  const start = () => {
    const logFile = join(directory, `server${++starts}.log`)
    return startServer(command, configFile, { port: PORT, logFile })
  }
  let server = start()
  await untilServing(server)
  const load = new Load(() => [{ port: PORT }])
  if (!(await load.writesSince(performance.now(), 20_000))) throw new Error('no write went through')
  await sleep(CALM_MS)
  disk.failBehind(GOOD_BYTES)
  await untilStopped(server)
  // What the kernel still has in memory is no reason to go on: at the latest with the next write it ends again.
  server = start()
  await untilStopped(server)
  disk.failBehind(0)
  server = start()
  await untilServing(server)
  if (!(await load.writesSince(performance.now(), 20_000))) throw new Error('no write went through at the end')
  await load.stop()
  await expectRight(load, { port: PORT })
  await stopServer(server)
  disk.unmount()
  return `${load.acknowledged} acknowledged writes`
}

export async function failingMember({ directory, server: command }) {
  const disk = SmallDisk.ext4(join(directory, 'small'), join(directory, 'work'), DISK_MIB)
  mkdirSync(join(directory, 'm3'))
  symlinkSync(disk.point, join(directory, 'm3', 'data'))
  const settings = { ...SETTINGS, initLimit: 20, syncLimit: 4 }
  const commands = { ours: withStory(command) }
  const ensemble = await Ensemble.of(directory, commands, ['ours', 'ours', 'ours'], { settings, ports: [22360, 22399] })
  await ensemble.startLedBy(3)
  const member = ensemble.member(3)
  const load = new Load(() => ensemble.members)
  if (!(await load.writesSince(performance.now(), 20_000))) throw new Error('no write went through')
  await sleep(CALM_MS)
  disk.failBehind(GOOD_BYTES)
  await untilStopped(member.process)
  await ensemble.settled()
  if (!(await load.writesSince(performance.now(), 30_000))) throw new Error('the others did not go on')
  disk.failBehind(0)
  member.start()
  await ensemble.settled(ensemble.members)
  await sleep(500)
  await load.stop()
  await expectEqual(ensemble.members)
  for (const each of ensemble.members) await expectRight(load, each)
  await ensemble.stopAll()
  disk.unmount()
  return `${load.acknowledged} acknowledged writes`
}

/** By itself, with the reason in its log. */
async function untilStopped(server) {
  await Promise.race([server.end, sleep(STOPPED_MS)])
  if (server.ended === null) throw new Error(`it still runs ${STOPPED_MS} ms after its disk failed${tailOf(server)}`)
  if (!/EIO/.test(tailOf(server, 200)))
    throw new Error(`it ended (${server.ended}) and its log does not say EIO${tailOf(server)}`)
}
