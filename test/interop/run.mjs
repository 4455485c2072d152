/**
 * npm run test:interop — the real client libraries, unmodified, against a server given as a start command.
 *
 *   node test/interop/run.mjs [--server 'CMD'] [--only java,go] [--keep] [--verbose]
 *
 * CMD takes the path of a zoo.cfg as its last argument and stays in the foreground; the default is this repository's
 * own server, built first if dist/ is missing or older than src/. Each suite gets a server of its own on an empty
 * directory. One line per check; exits non-zero at any failure, and a peer that cannot be fetched is a failure.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { killAllGroups, runToEnd } from './process.mjs'
import { runSuite } from './suite.mjs'
import { backgroundSuites, suites } from './suites.mjs'
import { removeTempDirs } from './tempdir.mjs'

const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

class Results {
  constructor() {
    this.countPassed = 0
    this.failures = []
  }

  add(ok, suite, name, why) {
    const line = why ? `${suite}: ${name} :: ${why}` : `${suite}: ${name}`
    if (ok) this.countPassed++
    else this.failures.push(line)
    process.stdout.write(`${ok ? 'ok' : 'not ok'} ${line}\n`)
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      server: { type: 'string' },
      only: { type: 'string' },
      keep: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  })
  const wanted = selectSuites(values.only)
  const server = values.server ?? (await ownServer())
  const results = new Results()
  const options = { server, keep: values.keep, verbose: values.verbose }
  const background = wanted.filter((suite) => backgroundSuites.includes(suite))
  const running = background.map((suite) => runSuite(suite, options, results))
  for (const suite of wanted) {
    if (background.includes(suite)) continue
    const start = performance.now()
    await runSuite(suite, options, results)
    process.stdout.write(`# ${suite.name}: ${((performance.now() - start) / 1000).toFixed(1)} s\n`)
  }
  await Promise.all(running)
  summarise(results)
}

function selectSuites(only) {
  const all = [...backgroundSuites, ...suites]
  if (!only) return all
  const names = only.split(',')
  for (const name of names) {
    if (!all.some((suite) => suite.name === name)) {
      throw new Error(`no suite ${name}; there are ${all.map((suite) => suite.name).join(', ')}`)
    }
  }
  return all.filter((suite) => names.includes(suite.name))
}

async function ownServer() {
  const sources = [...filesBelow(join(repository, 'src')), join(repository, 'tsconfig.json')]
  const built = existsSync(join(repository, 'dist')) ? filesBelow(join(repository, 'dist')) : []
  if (newest(sources) > newest(built)) await runToEnd('npm', ['run', 'build'], { cwd: repository })
  return `'${process.execPath}' '${join(repository, 'bin', 'zoowarden')}' start`
}

function filesBelow(dir) {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name))
}

function newest(files) {
  return files.reduce((latest, file) => Math.max(latest, statSync(file).mtimeMs), 0)
}

function summarise(results) {
  const { countPassed, failures } = results
  if (failures.length > 0) process.stdout.write(`\nfailures:\n${failures.map((line) => `  ${line}\n`).join('')}`)
  process.stdout.write(`\n${countPassed} passed, ${failures.length} failed\n`)
  process.exitCode = failures.length > 0 || countPassed === 0 ? 1 : 0
}

process.on('exit', () => {
  killAllGroups()
  removeTempDirs()
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

main().catch((error) => {
  process.stderr.write(`${error.message}\n`)
  process.stdout.write('\n0 passed, 1 failed\n')
  process.exit(1)
})
