/**
 * The interop suite `package`: the tarball of `npm pack`, installed in an empty folder without install scripts and on a
 * PATH without a compiler. It serves the Java client; its optional part works, and is cleanly absent; the systemd unit
 * fits what was installed.
 */
import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { javaFlags, runToEnd, signalGroup, startGroup } from '../process.mjs'
import { Relay } from '../relay.mjs'
import { fourLetterWord, Server } from '../server.mjs'
import { runProgram } from '../suite.mjs'
import { keepTempDir, makeTempDir, removeTempDir } from '../tempdir.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const repository = join(here, '..', '..', '..')
const javaFolder = join(here, '..', 'java')

/** The tarball as it is downloaded; it holds no dependencies. */
const tarballBytesMax = 1024 * 1024
/** Nothing else belongs into it. */
const shipped =
  /^package\/(package\.json|README\.md|CHANGELOG\.md|LICENSE|bin\/[\w.]+|conf\/[\w./-]+|dist\/[\w/]+\.js)$/

export async function runPackage(lib, options, report) {
  const directory = makeTempDir('package')
  const check = async (name, body) => {
    try {
      await body()
      report(true, name)
    } catch (error) {
      report(false, name, error.message.replace(/\s*\n\s*/g, ' | ').slice(0, 3000))
    }
  }
  try {
    const tarball = await pack(directory)
    await check('the tarball holds programs, configurations and the manual, and nothing else', () => listed(tarball))
    const home = join(directory, 'home')
    const env = { ...process.env, PATH: barePath(join(directory, 'path')) }
    mkdirSync(home)
    writeFileSync(join(home, 'package.json'), '{ "private": true }\n')
    await runToEnd('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', tarball], { cwd: home, env })
    await serveJava(lib, { home, env, directory, verbose: options.verbose }, report)
    const installed = join(home, 'node_modules', 'zoowarden')
    await check('snapshot.store=level works without an install script', () => withLevel(installed))
    await check('the systemd unit is correct and hardened', () => systemdUnit(installed, directory))
    rmSync(join(home, 'node_modules', 'level'), { recursive: true })
    await check('without the optional package, snapshot.store=level is refused by name', () =>
      withoutLevel(installed, directory),
    )
    await check('without the optional package, everything else works', () => withSnapshots(installed))
  } finally {
    if (options.keep) {
      keepTempDir(directory)
      process.stdout.write(`# kept package: ${directory}\n`)
    } else removeTempDir(directory)
  }
}

async function pack(directory) {
  const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', directory]
  const name = (await runToEnd('npm', args, { cwd: repository })).trim().split('\n').at(-1)
  return join(directory, name)
}

async function listed(tarball) {
  const names = (await runToEnd('tar', ['-tzf', tarball])).trim().split('\n')
  const others = names.filter((name) => !shipped.test(name))
  if (others.length > 0) throw new Error(`also in the tarball: ${others.join(' ')}`)
  const stale = names.filter((name) => /^package\/dist\//.test(name) && !existsSync(sourceOf(name)))
  if (stale.length > 0) throw new Error(`compiled from nothing (remove dist/, build again): ${stale.join(' ')}`)
  const bytes = statSync(tarball).size
  if (bytes > tarballBytesMax) throw new Error(`${bytes} bytes`)
  process.stdout.write(`# package: the tarball has ${names.length} files, ${Math.ceil(bytes / 1024)} KiB\n`)
}

function sourceOf(name) {
  return join(repository, name.replace(/^package\/dist/, 'src').replace(/\.js$/, '.ts'))
}

/** A PATH with node, npm and the few commands that their scripts start with. */
function barePath(folder) {
  mkdirSync(folder)
  const path = process.env.PATH.split(':')
  for (const name of ['node', 'npm', 'npx', 'sh', 'env']) {
    const place = path.find((each) => existsSync(join(each, name)))
    symlinkSync(realpathSync(join(place, name)), join(folder, name))
  }
  return folder
}

async function serveJava(lib, { home, env, directory, verbose }, report) {
  const workDir = join(directory, 'work')
  mkdirSync(workDir)
  const sources = readdirSync(javaFolder).map((name) => join(javaFolder, name))
  await runToEnd('javac', ['-nowarn', '-d', workDir, '-cp', join(lib, '*'), ...sources, join(here, 'PackageMain.java')])
  const server = startGroup('npx', ['zoowarden', 'start', '--ephemeral'], {
    cwd: home,
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    const connectString = await firstLine(server)
    const classpath = [workDir, join(here, '..'), join(lib, '*')].join(':')
    const program = { command: 'java', args: [...javaFlags, '-cp', classpath, 'PackageMain'] }
    const port = Number(connectString.split(':')[1])
    const relay = new Relay(port)
    await relay.start()
    const target = { server: { port }, relay, workDir, verbose }
    await runProgram({ name: 'package', timeoutMs: 120_000 }, program, target, report)
    relay.stop()
    const ended = new Promise((resolve) => server.once('exit', (code, signal) => resolve(signal ?? code)))
    server.stdin.end()
    const how = await ended
    report(
      how === 0,
      '`npx zoowarden start --ephemeral` ends with its standard input',
      how === 0 ? undefined : `ended with ${how}`,
    )
  } finally {
    signalGroup(server, 'SIGKILL')
  }
}

function firstLine(server) {
  return new Promise((resolve, reject) => {
    createInterface({ input: server.stdout }).once('line', resolve)
    server.once('error', reject)
    server.once('exit', (code, signal) => reject(new Error(`npx zoowarden ended with ${signal ?? code}`)))
  })
}

async function served(installed, config, look) {
  const command = `'${process.execPath}' '${join(installed, 'bin', 'zoowarden')}' start`
  const server = new Server(command, 'package', config)
  try {
    await server.start()
    // Twice: what the first life has left is what the second one starts from.
    for (const word of ['srvr', 'srvr']) {
      const answer = await fourLetterWord(server.port, word)
      if (!/^Mode: standalone$/m.test(answer)) throw new Error(`${word} says: ${answer}`)
      await server.stop()
      await server.start()
    }
    await server.stop()
    look(join(server.dir, 'data', 'version-2'))
  } finally {
    await server.kill()
    server.release()
    removeTempDir(server.dir)
  }
}

function withLevel(installed) {
  return served(installed, { 'snapshot.store': 'level', 'compat.snapshotAtStart': true }, (folder) => {
    if (!existsSync(join(folder, 'checkpoint.level'))) throw new Error('there is no checkpoint')
  })
}

function withSnapshots(installed) {
  return served(installed, { 'compat.snapshotAtStart': true }, (folder) => {
    if (!readdirSync(folder).some((name) => name.startsWith('snapshot.'))) throw new Error('there is no snapshot')
  })
}

function withoutLevel(installed, directory) {
  const file = join(directory, 'level.cfg')
  writeFileSync(file, `dataDir=${directory}/level\nclientPort=1\nsnapshot.store=level\n`)
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(installed, 'bin', 'zoowarden'), 'start', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code !== 0 && /package `level` cannot be loaded/.test(said)) resolve()
      else reject(new Error(`ended with ${code} and said: ${said}`))
    })
  })
}

/** As systemd itself judges it, where it is there; the unit's command is the installed one. */
async function systemdUnit(installed, directory) {
  const text = readFileSync(join(installed, 'conf', 'systemd', 'zoowarden.service'), 'utf8')
  const command = join(installed, 'bin', 'zoowarden')
  const unit = join(directory, 'zoowarden.service')
  const started = text.replace(/^ExecStart=zoowarden /m, `ExecStart=${command} `)
  if (started === text) throw new Error('ExecStart does not start zoowarden')
  writeFileSync(unit, started)
  const there = await runToEnd('systemd-analyze', ['--version']).then(
    () => true,
    () => false,
  )
  if (!there) return
  await runToEnd('systemd-analyze', ['verify', '--man=no', unit])
  // 0 is best, 10 is worst; a service without any of it has 9.6.
  await runToEnd('systemd-analyze', ['security', '--offline=true', '--threshold=20', unit])
}
