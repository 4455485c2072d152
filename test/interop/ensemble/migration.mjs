/**
 * V1: an ensemble of Java servers becomes one of ours and goes back, one member at a time, each on its own directory,
 * while sessions of the Java client write. V2: the same with our last release.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from '../../durability/wire.mjs'
import { Ensemble, until } from './members.mjs'
import { expectEqual } from './trees.mjs'

const SESSIONS = 4
/** Acknowledged writes that every session gets done between two changes. */
const WRITES_BETWEEN = 25
const ROOT = '/load'

export async function checkMigration(from, context) {
  if (context.commands[from] === null) {
    process.stdout.write('# no migration from the last release: this copy has no history of it\n')
    return
  }
  const id = from === 'java' ? 'V1' : 'V2'
  const check = (name, body) => context.check(`migration: ${name}`, body)
  const { hands } = context
  const ensemble = await Ensemble.of(context.makeDirectory(), context.commands, [from, from, from])
  const outcomes = join(ensemble.directory, 'outcomes')
  try {
    await check(`three members (${from}) serve a write load`, async () => {
      await ensemble.startLedBy(3)
      await hands.do('open', 'maker', ensemble.connectString(), 20_000)
      await hands.do('create', 'maker', ROOT, '', 'PERSISTENT')
      await hands.do('close', 'maker')
      await hands.do('load', 'l', ensemble.connectString(), ROOT, SESSIONS)
      await untilWritten(hands)
    })
    // The leader last: it is replaced while the others are of the other kind already.
    for (const kind of ['ours', from]) {
      for (const turn of [1, 2, 3]) {
        const member = await nextToChange(ensemble, kind, turn)
        const role = await member.mode()
        await check(`${id} the ${role} ${member.sid} goes from ${member.kind} to ${kind} under writes`, async () => {
          await member.stop()
          member.kind = kind
          await ensemble.start([member.sid])
          await untilWritten(hands)
        })
      }
    }
    await check(`I1 ${id} no acknowledged write and no session is lost on the way`, async () => {
      await hands.do('unload', 'l', outcomes)
      await expectOutcomes(ensemble, readFileSync(outcomes, 'utf8'))
    })
    await check(`I3 ${id} the trees are equal behind it`, () => expectEqual(ensemble.members))
  } finally {
    await ensemble.killAll()
  }
}

async function nextToChange(ensemble, kind) {
  const leader = await ensemble.settled()
  const left = ensemble.members.filter((member) => member.kind !== kind)
  return left.find((member) => member !== leader) ?? left[0]
}

/** Every session has got some more writes acknowledged. */
async function untilWritten(hands) {
  const fewest = async () => Number((await hands.do('loaded', 'l')).split(' ')[1])
  const before = await fewest()
  await until('every session writes on', async () => (await fewest()) >= before + WRITES_BETWEEN, 60_000)
}

/** Compares what the sessions were told with what each member has. */
export async function expectOutcomes(ensemble, text) {
  const rows = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'))
  const named = (name) => rows.filter((row) => row[0] === name)
  for (const [, home, id, waitMs, failure] of named('session')) {
    if (failure !== '') throw new Error(`session 0x${id} of ${home} (longest wait ${waitMs} ms): ${failure}`)
  }
  const known = new Map([...named('ok'), ...named('open')].map(([word, path, data]) => [path, { word, data }]))
  for (const member of ensemble.running) {
    const client = await member.connect()
    await pipeline([...known], 32, async ([path, { word, data }]) => {
      const got = await client.getData(path)
      if (got.err !== 0 && word === 'ok')
        throw new Error(`${path} was acknowledged and is not on member ${member.name}`)
      if (got.err === 0 && got.data.toString() !== data) throw new Error(`${path} has other data on ${member.name}`)
    })
    for (const [, home, version] of named('count')) {
      const { stat, data } = await client.getData(home)
      const { children } = await client.getChildren(home)
      if (stat.version < Number(version)) throw new Error(`${home} lost writes: version ${stat.version} of ${version}`)
      if (data.toString() !== String(stat.version)) throw new Error(`${home}: version ${stat.version}, data ${data}`)
      const strange = children.find((name) => name !== 'alive' && !known.has(`${home}/${name}`))
      if (strange) throw new Error(`${home}/${strange} on member ${member.name} was never written`)
    }
    await client.close()
  }
  const { length } = named('ok')
  if (length < SESSIONS * WRITES_BETWEEN) throw new Error(`only ${length} writes were acknowledged`)
}
