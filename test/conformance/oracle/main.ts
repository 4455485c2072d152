/**
 * The oracle: sends the same seeded sequences of requests to two servers, by default Apache ZooKeeper 3.9.5 and ours, and
 * compares every answer. Exit code 0 only if nothing differs that differences.ts does not explain.
 *
 *   npm run oracle -- [--a CMD] [--b CMD] [--seed N] [--sequences K] [--minutes M] [--profile NAME,...]
 *                     [--matrix [--strict]] [--total FILE] [--replay [--case NAME-OR-FILE]] [--show] [--save NAME] [--stop-after N]
 *                     [--fsync] [--keep] [--mutants [--case TEXT]] [--compat]
 *
 * A long run can be made in pieces: the seeds follow from --seed and --sequences, and --total FILE keeps the sum. With
 * --strict it fails too if the reference did not show every answer that pairs.ts lists, or showed another.
 *
 * With --compat ours runs with compat.all=true, and the differences that have a switch are none that may be.
 *
 * CMD is a program with arguments that runs a server in the foreground on the zoo.cfg given as its last argument; `real`
 * stands for the reference.
 */
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Campaign } from './campaign.ts'
import { runMutants } from './mutants.ts'
import { realServer } from './real.ts'

const { values } = parseArgs({
  options: {
    a: { type: 'string', default: 'real' },
    b: { type: 'string', default: '' },
    seed: { type: 'string', default: '' },
    sequences: { type: 'string', default: '200' },
    minutes: { type: 'string', default: '0' },
    profile: { type: 'string', default: '' },
    port: { type: 'string', default: '0' },
    'stop-after': { type: 'string', default: '10' },
    matrix: { type: 'boolean', default: false },
    strict: { type: 'boolean', default: false },
    total: { type: 'string', default: '' },
    replay: { type: 'boolean', default: false },
    save: { type: 'string', default: '' },
    case: { type: 'string', default: '' },
    show: { type: 'boolean', default: false },
    fsync: { type: 'boolean', default: false },
    compat: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
  },
})

/** The repository's root: this file is compiled to test/conformance/oracle/.build/main.js. */
const root = resolve(fileURLToPath(import.meta.url), '../../../../..')

function command(text: string, fallback: string[]): string[] {
  if (text === 'real') return realServer(process.env)
  return text === '' ? fallback : text.split(' ').filter((w) => w !== '')
}

const dir = mkdtempSync(join(tmpdir(), 'zoowarden-oracle-'))
const ours = [process.execPath, join(root, 'bin', 'zoowarden'), 'start']
const campaign = new Campaign({
  a: command(values.a, realServer(process.env)),
  b: command(values.b, ours),
  dir,
  port: Number(values.port),
  // A time-boxed run is for what has not been tried yet; its seeds are printed.
  seed: values.seed !== '' ? Number(values.seed) : Number(values.minutes) > 0 ? randomInt(2 ** 31) : 1,
  sequences: Number(values.sequences),
  minutes: Number(values.minutes),
  profiles: values.profile === '' ? [] : values.profile.split(','),
  stopAfter: Number(values['stop-after']),
  fsync: values.fsync,
  compat: values.compat,
  corpus: join(root, 'test', 'conformance', 'oracle', 'corpus'),
  save: values.save,
  only: values.case,
  reduce: true,
  show: values.show,
  total: values.total,
})

let failed = 1
const interrupted = async (): Promise<void> => {
  await campaign.stop()
  if (!values.keep) rmSync(dir, { recursive: true, force: true })
  process.exit(130)
}
process.on('SIGINT', () => void interrupted())
process.on('SIGTERM', () => void interrupted())
process.on('SIGHUP', () => void interrupted())
try {
  if (values.mutants) failed = await runMutants(root, dir, campaign.options)
  else if (values.replay) failed = await campaign.replay()
  else failed = await campaign.explore()
  if (values.matrix) {
    const wrong = campaign.printMatrix()
    if (values.strict) failed += wrong
  }
} finally {
  await campaign.stop()
  if (values.keep) console.log(`folders kept in ${dir}`)
  else rmSync(dir, { recursive: true, force: true })
}
process.exit(failed === 0 ? 0 : 1)
