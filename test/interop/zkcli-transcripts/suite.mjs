/**
 * The interop suite `zkcli-transcripts`: sessions over every command of the command line client, with good and bad
 * arguments, typed into Apache's client and ours, on Apache's server and ours. All four transcripts are the same once
 * what cannot be the same is out of them (transcript.mjs). Apache's client on Apache's server says what is right. What
 * only a terminal shows is in terminal.mjs.
 *
 * sessions/NAME.txt has the lines of a session; lines that begin with # are not typed. All sessions of one pair of
 * client and server are typed one behind the other into a server that began empty.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { javaServer } from '../../durability/peers.mjs'
import { javaFlags } from '../process.mjs'
import { baseConfig, choosePort, Server } from '../server.mjs'
import { removeTempDir } from '../tempdir.mjs'
import { checkTerminal } from './terminal.mjs'
import { difference, normalise } from './transcript.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const zkCli = join(here, '..', '..', '..', 'bin', 'zkCli.sh')
const sessionTimeoutMs = 60_000
/** Typed into a member of an ensemble, where a configuration can be changed; the others into a standalone server. */
const ensembleSessions = ['reconfig']

/**
 * One command for one process. A JVM for each costs much, so Apache's client runs them on its own server only. {SERVER} is
 * the server's address, {DEAD1} a port where nobody listens.
 */
const oneShots = [
  { args: ['-server', '{SERVER}', 'create', '/one', 'hello world'] },
  { args: ['-server', '{SERVER}', 'get', '-s', '/one'] },
  { args: ['-server', '{SERVER}', '-r', 'get', '/one'] },
  { args: ['-server', '{SERVER}', '-waitforconnection', '-timeout', '20000', 'get', '/none'] },
  { args: ['-server', '{SERVER}', 'set', '/one', 'x', '-v', '7'] },
  { args: ['-server', '{SERVER}', 'bogus', 'words'] },
  { args: ['-server', '{SERVER}', 'quit'] },
  { args: ['-server', '{SERVER}', 'create', '-e', '/short', 'lives on'] },
  // The client leaves without closing its session, so the node waits for the session's end.
  { args: ['-server', '{SERVER}', 'stat', '/short'] },
  { args: ['-server', '{SERVER}', 'delete', '/short'] },
  { args: ['-server', '{SERVER}/', '-unknown', 'delete', '/one'] },
  { args: ['-server', '127.0.0.1:{DEAD1}', '-timeout', '1500', 'get', '/one'], codeOnly: true },
  { args: ['-server', '127.0.0.1:{DEAD1}', '-timeout', '1500', '-waitforconnection', 'ls', '/'], codeOnly: true },
  { args: ['-server', '{SERVER}/bad/', 'ls', '/'], codeOnly: true },
  { args: ['-server', '{SERVER}', '-timeout', 'soon', 'ls', '/'], codeOnly: true },
]

/** The class path of Apache's release, with the line editor that it carries. */
export async function fetchZkCli() {
  return /-cp '([^']+)'/.exec(await javaServer())[1]
}

export async function runTranscripts(classpath, options, report) {
  const quietly = `-Dlogback.configurationFile=${join(here, '..', 'logback.xml')}`
  const java = [...javaFlags, quietly, '-cp', classpath]
  const clients = {
    java: { command: 'java', args: [...java, 'org.apache.zookeeper.ZooKeeperMain'] },
    ours: { command: zkCli, args: [] },
  }
  const servers = { java: await javaServer(), ours: options.server }
  const dead = [await choosePort(), await choosePort(), await choosePort()]
  const pairs = Object.keys(servers).flatMap((server) => Object.keys(clients).map((client) => ({ server, client })))
  const transcripts = await Promise.all(
    pairs.map(({ server, client }) =>
      runAll(clients[client], servers[server], `${client}-${server}`, dead, !(client === 'java' && server === 'ours')),
    ),
  )
  if (options.verbose) {
    for (const [i, all] of transcripts.entries()) {
      for (const [name, run] of all)
        process.stderr.write(`### ${JSON.stringify(pairs[i])} ${name}\n${run.raw.out}\n--- stderr\n${run.raw.err}\n`)
    }
  }
  await onServer(options.server, 'terminal', baseConfig, async (server) => {
    await checkTerminal(zkCli, `127.0.0.1:${server.port}`, report)
  })
  const [expected, ...others] = transcripts
  for (const [name, run] of expected) {
    const commands = run.commands
    const enough = run.codeOnly || run.out.length + run.err.length > 0
    report(
      enough,
      `${name}: Apache's client says something on its own server`,
      enough ? undefined : `${commands} commands`,
    )
  }
  for (const [i, all] of others.entries()) {
    const { server, client } = pairs[i + 1]
    for (const [name, run] of expected) {
      const got = all.get(name)
      if (got === undefined) continue
      const why = run.codeOnly ? codeDifference(run, got) : difference(run, got)
      const whose = { java: "Apache's", ours: 'our' }
      report(why === null, `${name}: ${whose[client]} client on ${whose[server]} server`, why ?? undefined)
    }
  }
}

/** Whether a client that does not wait for its connection lives to tell of it is a race. */
function ofNodes(event) {
  return !event.includes('type:None')
}

function codeDifference(expected, got) {
  return expected.code === got.code ? null : `exit code ${got.code}, expected ${expected.code}`
}

/** All sessions of one client on one kind of server: transcripts by name. */
async function runAll(client, command, label, dead, withOneShots) {
  const transcripts = new Map()
  const files = readdirSync(join(here, 'sessions')).map((file) => file.replace('.txt', ''))
  await onServer(command, label, baseConfig, async (server) => {
    for (const name of files.filter((file) => !ensembleSessions.includes(file))) {
      transcripts.set(name, await runSession(client, server, name, dead))
    }
    for (const { args, codeOnly = false } of withOneShots ? oneShots : []) {
      const words = args.map((word) => filled(word, server, dead))
      const run = await runClient(client, words, '')
      transcripts.set(args.join(' '), { ...normalise(run, marksOf(server, dead), ofNodes), raw: run, codeOnly })
    }
  })
  const ensemble = { ...baseConfig, reconfigEnabled: true, standaloneEnabled: false, initLimit: 20, syncLimit: 10 }
  await onServer(command, label, ensemble, async (server) => {
    for (const name of ensembleSessions) transcripts.set(name, await runSession(client, server, name, dead))
  })
  return transcripts
}

/** `body` on a server of its own. */
async function onServer(command, label, config, body) {
  const server = new Server(command, `zkcli-${label}`, config, {})
  try {
    server.port = await choosePort()
    if (config.reconfigEnabled) await makeMember(server)
    await server.start()
    await body(server)
  } finally {
    await server.kill()
    server.release()
    removeTempDir(server.dir)
  }
}

/** An ensemble of one, which decides alone. */
async function makeMember(server) {
  const [quorum, election] = [await choosePort(), await choosePort()]
  server.config = {
    ...server.config,
    'server.1': `127.0.0.1:${quorum}:${election}:participant;127.0.0.1:${server.port}`,
  }
  server.quorumPorts = [quorum, election]
  mkdirSync(join(server.dir, 'data'), { recursive: true })
  writeFileSync(join(server.dir, 'data', 'myid'), '1\n')
}

async function runSession(client, server, name, dead) {
  const lines = readFileSync(join(here, 'sessions', `${name}.txt`), 'utf8').split('\n')
  const typed = lines.filter((line) => !line.startsWith('#')).map((line) => filled(line, server, dead))
  const chroot = name === 'chroot' ? '/chroot' : ''
  if (chroot) await runClient(client, ['-server', `127.0.0.1:${server.port}`, 'create', chroot], '')
  const words = ['-server', `127.0.0.1:${server.port}${chroot}`, '-waitforconnection']
  const run = await runClient(client, words, typed.join('\n'))
  return { ...normalise(run, marksOf(server, dead)), raw: run, codeOnly: false }
}

function filled(text, server, dead) {
  return text
    .replaceAll('{SERVER}', `127.0.0.1:${server.port}`)
    .replace(/\{DEAD(\d)\}/g, (_, digit) => String(dead[Number(digit) - 1]))
}

function marksOf(server, dead) {
  const quorum = (server.quorumPorts ?? []).map((port, i) => [`:${port}`, `:{QUORUM${i + 1}}`])
  const nobody = dead.map((port, i) => [`:${port}`, `:{DEAD${i + 1}}`])
  return [[`127.0.0.1:${server.port}`, '{SERVER}'], ...quorum, ...nobody]
}

/** Exit code (or signal) and both streams. A zone with summer time, and no line longer than it is. */
function runClient({ command, args }, words, input) {
  return new Promise((resolve) => {
    const env = { ...process.env, TZ: 'Europe/Berlin', LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8' }
    const child = spawn(command, [...args, ...words], { env, stdio: ['pipe', 'pipe', 'pipe'] })
    const said = { out: '', err: '' }
    const timer = setTimeout(() => child.kill('SIGKILL'), sessionTimeoutMs)
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      said.out += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      said.err += chunk
    })
    child.on('error', (error) => {
      said.err += error.message
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code: signal ?? code, ...said })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}
