/**
 * A folder that only our checkpoint makes whole: older snapshots, and the log up to where it begins, were removed. A
 * server that knows no checkpoints must not take it for a new or a shorter database: it refuses, and leaves it as it was.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { killServer, sleep, startServer, stopServer, tailOf, untilServing, writeConfig } from './process.mjs'
import { WireClient } from './wire.mjs'

const NODES = 300
const WITHIN_MS = 30_000

/** Returns what the other server did; throws where that is wrong. */
export async function leaveOnlyCheckpoint(directory, ours, other, port) {
  const versionDirectory = join(directory, 'data', 'version-2')
  const settings = { 'snapshot.store': 'level', snapCount: 50, 'autopurge.purgeInterval': 1 }
  const where = { port, logFile: join(directory, 'ours.log') }
  const level = writeConfig(directory, port, settings)
  for (let life = 1; life <= 2; life++) {
    const server = startServer(ours.command, level, where)
    await untilServing(server)
    if (life === 1) await write(port)
    // The purge runs when the server starts.
    else await until(server, () => !readdirSync(versionDirectory).some((name) => /^(snapshot\.|log\.1$)/.test(name)))
    await stopServer(server)
  }
  const before = sumsOf(versionDirectory)
  const plain = writeConfig(directory, port)
  const server = startServer(other.command, plain, { port, logFile: join(directory, 'other.log') })
  const serves = await Promise.race([untilServing(server).then(() => true), server.end.then(() => false)])
  if (!serves) {
    const changed = [...sumsOf(versionDirectory)].filter(([name, sum]) => before.get(name) !== sum)
    if (changed.length > 0) throw new Error(`it refused, and changed ${changed.map(([name]) => name)}`)
    return 'refuses, and leaves it as it was'
  }
  const client = await WireClient.connect({ port })
  const { stat } = await client.exists('/first')
  client.abandon()
  await killServer(server)
  if (stat?.numChildren !== NODES) throw new Error(`it serves ${stat?.numChildren ?? 'none'} of ${NODES} znodes`)
  return 'knows checkpoints'
}

async function write(port) {
  const client = await WireClient.connect({ port })
  await client.create('/first', null)
  for (let i = 0; i < NODES; i++) await client.create(`/first/${i}`, Buffer.from('x'))
  await client.close()
}

async function until(server, holds) {
  for (const end = Date.now() + WITHIN_MS; !holds(); ) {
    if (Date.now() > end) throw new Error(`nothing was purged${tailOf(server)}`)
    await sleep(20)
  }
}

/** Of all files there, by name. */
function sumsOf(directory) {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return new Map(
    files.map(({ parentPath, path, name }) => {
      const file = join(parentPath ?? path, name)
      return [file, createHash('sha1').update(readFileSync(file)).digest('hex')]
    }),
  )
}
