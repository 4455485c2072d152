/**
 * The interop suite `ensemble`: ensembles of Apache's servers and ours, in front of the Java client.
 *
 * Each part makes its own ensembles on empty directories. A check that fails ends its part: what comes behind it rests
 * on it. With `--server java` all members are Apache's: a control of the suite itself.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { previousRelease } from '../releases.mjs'
import { keepTempDir, makeTempDir, removeTempDir } from '../tempdir.mjs'
import { checkBackups } from './backups.mjs'
import { Hands } from './hands.mjs'
import { javaMember, withStory } from './members.mjs'
import { checkMigration } from './migration.mjs'
import { checkMix, mixes } from './mixes.mjs'
import { checkObserverMasters } from './observermasters.mjs'
import { checkObservers } from './observers.mjs'
import { checkReconfig } from './reconfig.mjs'

const parts = [
  ...mixes.map((mix) => [`mix ${mix.kinds.join(' ')}`, (context) => checkMix(mix, context)]),
  ['observers', (context) => checkObservers(['java', 'ours', 'ours', 'java', 'ours'], context)],
  ['observers', (context) => checkObservers(['ours', 'java', 'java', 'ours', 'java'], context)],
  ['observer masters', (context) => checkObserverMasters(['ours', 'ours', 'java', 'java', 'ours'], context)],
  ['observer masters', (context) => checkObserverMasters(['java', 'java', 'ours', 'java', 'ours'], context)],
  ['migration', (context) => checkMigration('java', context)],
  ['migration from the last release', (context) => checkMigration('previous', context)],
  ['backups', (context) => checkBackups(['ours', 'java', 'ours'], context)],
  ['reconfig', (context) => checkReconfig(['java', 'ours', 'java', 'ours'], context)],
  ['reconfig', (context) => checkReconfig(['ours', 'java', 'ours', 'java'], context)],
]

/** The part is over; the reason has been reported. */
class PartFailed extends Error {}

export async function runEnsembles(lib, options, report) {
  const directory = makeTempDir('ensemble')
  const java = await javaMember()
  const previous = await previousRelease()
  const commands = {
    java,
    ours: options.server === 'java' ? java : withStory(options.server),
    previous: previous === null ? null : withStory(previous.command),
  }
  const wanted = process.env.ZW_ENSEMBLE_PART ?? ''
  let hands = null
  let count = 0
  let failed = false
  const context = {
    commands,
    get hands() {
      return hands
    },
    makeDirectory: () => {
      const made = join(directory, `e${++count}`)
      mkdirSync(made)
      return made
    },
    check: async (name, body) => {
      const startedAt = Date.now()
      try {
        const value = await body()
        report(true, name)
        if (options.verbose) process.stderr.write(`  ${Date.now() - startedAt} ms\n`)
        return value
      } catch (error) {
        if (error instanceof PartFailed) throw error
        failed = true
        report(false, name, error.stack.replace(/\s*\n\s*/g, ' | ').slice(0, 3000))
        throw new PartFailed(name)
      }
    },
  }
  try {
    const work = join(directory, 'classes')
    mkdirSync(work)
    hands = await Hands.start(lib, work)
    for (const [name, run] of parts) {
      if (!name.includes(wanted)) continue
      try {
        await run(context)
      } catch (error) {
        if (error instanceof PartFailed) continue
        failed = true
        report(false, `the part "${name}" runs`, error.stack.replace(/\s*\n\s*/g, ' | '))
      }
    }
  } finally {
    hands?.end()
    if (options.keep || failed) {
      keepTempDir(directory)
      process.stdout.write(`# kept ensemble: ${directory}\n`)
    } else removeTempDir(directory)
  }
}
