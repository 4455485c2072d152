/**
 * The interop suite `tools`: every tool of ours under Apache's name beside the Java class of that name, on the same
 * files, line by line and, where they write files, byte by byte. The files are made by a real server and by ours.
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { javaServer } from '../../durability/peers.mjs'
import { WireClient } from '../../durability/wire.mjs'
import { javaFlags, runToEnd } from '../process.mjs'
import { fourLetterWord, Server } from '../server.mjs'
import { keepTempDir, makeTempDir, removeTempDir } from '../tempdir.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const bin = join(here, '..', '..', '..', 'bin')
const fixture = join(here, '..', '..', 'conformance', 'fixtures', 'disk', 'DiskFixture.java')
const persistence = 'org.apache.zookeeper.server.persistence'

/** Java's logger would write between the lines. */
const quietly = [`-Dlogback.configurationFile=${join(here, '..', 'logback.xml')}`]
const config = { snapCount: 150, preAllocSize: 64, extendedTypesEnabled: true }
/** The methods in turn: one round of the load each. */
const rounds = ['', 'gz', 'snappy']
/** Far more than it takes. */
const CHECKPOINT_WRITES_MAX = 20_000

/** The class path of the Java server. */
export async function fetchJavaTools() {
  return /-cp '([^']+)'/.exec(await javaServer())[1]
}

export async function runTools(classpath, options, report) {
  const directory = makeTempDir('tools')
  const check = async (name, body) => {
    try {
      const why = await body()
      report(why === null, name, why ?? undefined)
    } catch (error) {
      report(false, name, error.message.replace(/\s*\n\s*/g, ' | ').slice(0, 3000))
    }
  }
  try {
    const classes = join(directory, 'classes')
    mkdirSync(classes)
    await runToEnd('javac', ['-nowarn', '-d', classes, '-cp', classpath, fixture, join(here, 'ToolsLoad.java')])
    const tools = new Tools(`${classes}:${classpath}`)
    const servers = { java: await javaServer(), ours: options.server }
    for (const [kind, command] of Object.entries(servers)) {
      await fill(command, kind, tools, join(directory, kind))
      await compareAll(join(directory, kind), `files of ${kind}`, tools, check)
      await checkBackup(join(directory, kind), `files of ${kind}`, servers, check)
      await checkExport(join(directory, kind), `files of ${kind}`, servers, tools, check)
    }
  } finally {
    if (options.keep) {
      keepTempDir(directory)
      process.stdout.write(`# kept tools: ${directory}\n`)
    } else removeTempDir(directory)
  }
}

/** Runs the load against a server, once for each compression, and leaves its data as `into`, as a kill left it. */
async function fill(command, kind, tools, into) {
  const server = new Server(command, `tools-${kind}`, config, {})
  for (const method of rounds) {
    const flags = `-Dzookeeper.snapshot.compression.method=${method}`
    server.env = { SERVER_JVMFLAGS: flags, JDK_JAVA_OPTIONS: flags }
    await server.start()
    try {
      const args = ['-Dfile.encoding=UTF-8', '-cp', tools.classpath, 'ToolsLoad']
      await runToEnd('java', [...javaFlags, ...args, `127.0.0.1:${server.port}`, `round-${method || 'plain'}`])
    } finally {
      await server.kill()
    }
  }
  server.release()
  copyData(join(server.dir, 'data'), into)
  removeTempDir(server.dir)
}

/** All but the sockets of our lock. */
function copyData(from, to) {
  const filter = (path) => !path.includes('zoowarden.lock.')
  cpSync(from, to, { recursive: true, preserveTimestamps: true, filter })
}

async function compareAll(data, whose, tools, check) {
  const dir = join(data, 'version-2')
  const logs = readdirSync(dir).filter((name) => /^log\.[0-9a-f]+$/.test(name))
  const snapshots = readdirSync(dir).filter((name) => name.startsWith('snapshot.'))
  await check(`${whose}: there are logs, and snapshots of every compression`, async () => {
    const kinds = new Set(snapshots.map((name) => name.split('.')[2] ?? ''))
    return logs.length >= 3 && kinds.size === 3 ? null : `${[...logs, ...snapshots]}`
  })
  for (const name of logs) {
    await check(`${whose}: ${name} is dumped alike`, () => tools.same('log', [join(dir, name)]))
  }
  await check(`${whose}: times are printed alike in another zone`, () =>
    tools.same('log', [join(dir, logs[0])], { TZ: 'Europe/Berlin' }),
  )
  const seen = new Set()
  for (const name of snapshots) {
    const path = join(dir, name)
    await check(`${whose}: ${name} is printed alike`, () => tools.same('snapshot', [path]))
    if (seen.has(name.split('.')[2])) continue
    seen.add(name.split('.')[2])
    await check(`${whose}: ${name} is printed alike with data`, () => tools.same('snapshot', ['-d', path]))
    await check(`${whose}: ${name} makes the same JSON`, () => tools.same('snapshot', ['-json', path]))
  }
  const last = join(dir, newestOf(snapshots))
  for (const args of [
    ['/', '0'],
    ['/', '1'],
    ['/round-plain', '2'],
    ['/zookeeper', '0'],
  ]) {
    await check(`${whose}: subtrees are summed up alike, ${args.join(' ')}`, () =>
      tools.same('summary', [last, ...args]),
    )
  }
  await compareComparers(dir, snapshots, whose, tools, check)
  await compareRecoveries(dir, join(data, '..', 'damage'), newestOf(logs), whose, tools, check)
  await compareChops(dir, logs, whose, tools, check)
  await compareCleanups(data, whose, tools, check)
}

async function compareComparers(dir, snapshots, whose, tools, check) {
  const files = (left, right) => ['-l', join(dir, left), '-r', join(dir, right)]
  const sorted = [...snapshots].sort((a, b) => zxidOf(a) - zxidOf(b))
  const pair = files(sorted[1], sorted.at(-1))
  for (const args of [
    [...pair, '-b', '0', '-n', '0'],
    [...pair, '-b', '200', '-n', '10', '-d'],
    [...files(sorted.at(-1), sorted[1]), '-bytes', '5', '--nodes=1'],
  ]) {
    const words = args.slice(4).join(' ')
    await check(`${whose}: two snapshots are compared alike, ${words}`, () => tools.same('comparer', args))
  }
  const input = '\n/round-plain\n/nowhere\n99\nx\n1\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n'
  await check(`${whose}: two snapshots are explored alike`, () =>
    tools.same('comparer', [...pair, '-b', '10', '-n', '2', '-i'], {}, input),
  )
}

/** Two transactions with a wrong checksum: mended without asking, and with questions. */
async function compareRecoveries(dir, work, name, whose, tools, check) {
  const damaged = breakChecksums(readFileSync(join(dir, name)), [1, 3])
  for (const [args, input] of [
    [['-r', '-y'], ''],
    [['--recover', '--yes', '--verbose'], ''],
    [['-r'], 'y\nNo\n'],
    [['-rv'], 'maybe\nN\nYes\n'],
  ]) {
    await check(
      `${whose}: wrong checksums are mended alike, ${args.join(' ')} ${input.trim().split('\n')}`,
      async () => {
        const found = []
        for (const side of ['java', 'ours']) {
          rmSync(work, { recursive: true, force: true })
          mkdirSync(work)
          const path = join(work, name)
          writeFileSync(path, damaged)
          const { out, code } = await tools.run(side, 'log', [...args, path], {}, input)
          found.push({ out: `${out}exit ${code}`, file: readFileSync(`${path}.fixed`) })
        }
        return difference(found[0].out, found[1].out) ?? (found[0].file.equals(found[1].file) ? null : 'files differ')
      },
    )
  }
  await check(`${whose}: wrong checksums are dumped alike`, () => tools.same('log', ['-d', join(work, name)]))
}

async function compareChops(dir, logs, whose, tools, check) {
  const name = logs.find((each) => zxidOf(each) > 1) ?? logs[0]
  const first = zxidOf(name)
  const path = join(dir, name)
  for (const zxid of [`0x${(first + 5).toString(16)}`, String(first), String(first + 100_000), '0']) {
    await check(`${whose}: a log is chopped alike, -z ${zxid}`, async () => {
      const target = `${path}.chopped${Number(zxid)}`
      const found = []
      for (const side of ['java', 'ours']) {
        rmSync(target, { force: true })
        const { out } = await tools.run(side, 'log', ['-c', '-z', zxid, path])
        // Where nothing was chopped Java leaves a part of a file behind.
        found.push({ out, file: out.includes('Failed') ? null : readFileSync(target, 'latin1') })
        rmSync(target, { force: true })
      }
      return difference(found[0].out, found[1].out) ?? (found[0].file === found[1].file ? null : 'files differ')
    })
  }
}

/** The same files go, and the same lines say so; the order among logs, and among snapshots, is the folder's in Java. */
async function compareCleanups(data, whose, tools, check) {
  await check(`${whose}: the same files are cleaned up`, async () => {
    const found = []
    for (const side of ['java', 'ours']) {
      const copy = join(data, '..', 'cleanup')
      rmSync(copy, { recursive: true, force: true })
      copyData(data, copy)
      writeFileSync(join(copy, 'zoo.cfg'), `dataDir=${copy}\nclientPort=2181\n`)
      const { out } =
        side === 'java'
          ? await tools.run(side, 'cleanup', [copy, '-n', '3'])
          : await tools.run(side, 'cleanup', ['--config', copy, '-n', '3'])
      const left = readdirSync(join(copy, 'version-2')).filter((name) => /^(log|snapshot)\./.test(name))
      found.push(`${out.split('\n').sort().join('\n')}\n${left.sort().join('\n')}`)
    }
    return difference(found[0], found[1])
  })
}

/** Backed up and restored by us, started by Java and by us. */
async function checkBackup(data, whose, servers, check) {
  const zoowarden = (...args) => outputOf(join(bin, 'zoowarden'), args)
  const archive = join(data, '..', 'backup.tgz')
  rmSync(archive, { force: true })
  for (const [kind, command] of Object.entries(servers)) {
    await check(`${whose}: a backup, restored, is served by ${kind}`, async () => {
      const server = new Server(command, 'tools-restored', config, {})
      try {
        if (kind === 'java') await zoowarden('backup', data, archive)
        const { out } = await zoowarden('restore', archive, join(server.dir, 'data'))
        const [, zxid, count] = /: zxid (0x[0-9a-f]+), .*?(\d+) znodes, [1-9]\d* sessions/.exec(out)
        await server.start()
        const answer = await fourLetterWord(server.port, 'srvr')
        // The word counts the root twice.
        const expected = [`Zxid: ${zxid}\n`, `Node count: ${Number(count) + 1}\n`]
        return expected.every((line) => answer.includes(line)) ? null : out + answer
      } finally {
        await server.kill()
        server.release()
        removeTempDir(server.dir)
      }
    })
  }
}

/**
 * A checkpoint, exported with the log behind it, is the tree that Apache's server has from the same log and the snapshot
 * before the checkpoint.
 */
async function checkExport(data, whose, servers, tools, check) {
  let source = null
  let exported = ''
  let written = ''
  await check(`${whose}: a checkpoint of them, and of more, is exported`, async () => {
    const server = await startOn(data, servers.ours, { ...config, snapCount: 20, 'snapshot.store': 'level' })
    try {
      await writeBelow('/exported', server)
      await server.stop()
    } finally {
      await server.kill()
      server.release()
    }
    source = join(server.dir, 'data')
    exported = join(server.dir, 'exported')
    const args = ['snapshot', 'export', '--log', join(server.dir, 'zoo.cfg'), exported]
    const { out, code } = await outputOf(join(bin, 'zoowarden'), args)
    return code === 0 ? null : `exit ${code}: ${out}${server.logTail()}`
  })
  await check(`${whose}: Apache's server makes a snapshot of the same`, async () => {
    const server = await startOn(source, servers.java, config)
    await server.kill()
    server.release()
    const dir = join(server.dir, 'data', 'version-2')
    written = join(dir, newestOf(readdirSync(dir).filter((name) => /^snapshot\.[0-9a-f]+$/.test(name))))
    return null
  })
  await check(`${whose}: Apache's formatter prints both alike`, async () => {
    const [java, ours] = await Promise.all(
      [written, exported].map((path) => tools.run('java', 'snapshot', ['-d', path])),
    )
    if (java.code !== 0 || !java.out.includes('/exported/last-')) return `exit ${java.code}: ${java.out}`
    // The order of children is that in which a file has them.
    const sorted = ({ out }) => out.split('\n----\n').sort().join('\n----\n')
    return difference(sorted(java), sorted(ours))
  })
}

/** Until there is a checkpoint, and some more for the log behind it. */
async function writeBelow(top, server) {
  const client = await WireClient.connect({ port: server.port })
  const data = Buffer.from('x')
  await client.create(top, data)
  const written = () => server.logTail().includes('snapshot written')
  for (let i = 0; i < CHECKPOINT_WRITES_MAX && !written(); i++) await client.create(`${top}/before-${i}`, data)
  for (let i = 0; i < 5; i++) await client.create(`${top}/last-${i}`, data)
  client.abandon()
}

/** A server on a copy of these files. */
async function startOn(data, command, settings) {
  const server = new Server(command, 'tools-copy', settings, {})
  copyData(data, join(server.dir, 'data'))
  await server.start()
  return server
}

class Tools {
  constructor(classpath) {
    this.classpath = classpath
  }

  /** Null where both print the same, else what differs first. */
  async same(tool, args, env = {}, input = '') {
    const [java, ours] = await Promise.all([
      this.run('java', tool, args, env, input),
      this.run('ours', tool, args, env, input),
    ])
    return difference(`${java.out}exit ${java.code}`, `${ours.out}exit ${ours.code}`)
  }

  run(side, tool, args, env = {}, input = '') {
    const [className, script] = {
      log: [`${persistence}.TxnLogToolkit`, 'zkTxnLogToolkit.sh'],
      snapshot: ['org.apache.zookeeper.server.SnapshotFormatter', 'zkSnapShotToolkit.sh'],
      comparer: ['org.apache.zookeeper.server.SnapshotComparer', 'zkSnapshotComparer.sh'],
      summary: ['org.apache.zookeeper.server.SnapshotRecursiveSummary', 'zkSnapshotRecursiveSummaryToolkit.sh'],
      cleanup: ['org.apache.zookeeper.server.PurgeTxnLog', 'zkCleanup.sh'],
    }[tool]
    const java = [...javaFlags, ...quietly, '-Dfile.encoding=UTF-8', '-cp', this.classpath, className, ...args]
    return side === 'java' ? outputOf('java', java, env, input) : outputOf(join(bin, script), args, env, input)
  }
}

function outputOf(command, args, env = {}, input = '') {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'ignore'] })
    let out = ''
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (chunk) => {
      out += chunk
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    child.on('error', reject)
    child.on('close', (code) => resolve({ out, code }))
  })
}

/** Times and durations are each run's own. */
function difference(java, ours) {
  const plain = (text) =>
    text.replace(/"timestamp":\d+/, '"timestamp":0').replace(/in \d+\.\d+ seconds/g, 'in 0 seconds')
  const expected = plain(java).split('\n')
  const got = plain(ours).split('\n')
  const at = expected.findIndex((line, i) => line !== got[i])
  if (at < 0 && expected.length === got.length) return null
  const line = at < 0 ? expected.length : at
  const [theirs, mine] = [expected, got].map((lines) => JSON.stringify(lines[line] ?? '<end>').slice(0, 300))
  return `line ${line + 1}: Java prints ${theirs}, we print ${mine}`
}

/** The log with the checksums of these records, counted from 0, off by one bit. */
function breakChecksums(log, which) {
  const bytes = Buffer.from(log)
  let at = 16
  for (let i = 0; i <= Math.max(...which); i++) {
    if (which.includes(i)) bytes[at + 7] ^= 1
    at += 13 + bytes.readInt32BE(at + 8)
  }
  return bytes
}

function newestOf(names) {
  return [...names].sort((a, b) => zxidOf(a) - zxidOf(b)).at(-1)
}

function zxidOf(name) {
  return Number.parseInt(name.split('.')[1], 16)
}
