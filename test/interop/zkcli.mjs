/**
 * The Java client's own command line (zkCli), as an operator uses it: one command for one process, and a session of
 * commands typed in.
 */
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { javaFlags } from './process.mjs'
import { superUser } from './server.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const commandTimeoutMs = 60_000

/** Each: the command, the exit code, and what its output must match, with \n at both ends of every line. */
const oneShots = [
  { args: ['create', '/cli', 'hello'], expect: /\nCreated \/cli\n/ },
  { args: ['create', '/cli'], code: 1, expect: /Node already exists: \/cli/ },
  { args: ['get', '/cli'], expect: /\nhello\n/ },
  { args: ['get', '-s', '/cli'], expect: /\nhello\n.*cZxid = 0x.*\ndataVersion = 0\n.*\nnumChildren = 0\n/s },
  { args: ['get', '/none'], code: 1, expect: /Node does not exist: \/none/ },
  { args: ['create', '-s', '/cli/seq-', 'x'], expect: /\nCreated \/cli\/seq-0000000000\n/ },
  { args: ['create', '-c', '/cli/box'], expect: /\nCreated \/cli\/box\n/ },
  { args: ['create', '-t', '3600000', '/cli/ttl', 'x'], expect: /\nCreated \/cli\/ttl\n/ },
  { args: ['create', '-e', '/cli/short'], expect: /\nCreated \/cli\/short\n/ },
  // The tool leaves without closing its session, so the node waits for the session's end.
  { args: ['stat', '/cli/short'], expect: /\nephemeralOwner = 0x[1-9a-f]/ },
  { args: ['delete', '/cli/short'], expect: /\n/ },
  { args: ['ls', '/cli'], expect: /\n\[box, seq-0000000000, ttl\]\n/ },
  { args: ['ls', '-s', '/cli'], expect: /\n\[box, seq-0000000000, ttl\]\ncZxid = .*\ncversion = 5\n/s },
  { args: ['ls', '-R', '/cli'], expect: /\n\/cli\n\/cli\/box\n\/cli\/seq-0000000000\n\/cli\/ttl\n/ },
  { args: ['stat', '/cli'], expect: /\ncZxid = 0x.*\ndataLength = 5\nnumChildren = 3\n/s },
  { args: ['set', '-s', '/cli', 'changed'], expect: /\ndataVersion = 1\n/ },
  { args: ['set', '-v', '7', '/cli', 'x'], code: 1, expect: /version No is not valid : \/cli/ },
  { args: ['getAcl', '/cli'], expect: /\n'world,'anyone\n: cdrwa\n/ },
  { args: ['setAcl', '-s', '/cli/ttl', 'world:anyone:r'], expect: /\naclVersion = 1\n/ },
  { args: ['getAcl', '/cli/ttl'], expect: /\n'world,'anyone\n: r\n/ },
  { args: ['set', '/cli/ttl', 'x'], code: 1, expect: /Insufficient permission : \/cli\/ttl/ },
  { args: ['setquota', '-n', '2', '/cli/box'], expect: /\n/ },
  {
    args: ['listquota', '/cli/box'],
    expect: /Output quota for \/cli\/box count=2,bytes=-1.*\n.*stat.* \/cli\/box count=1,bytes=0/s,
  },
  { args: ['delquota', '/cli/box'], expect: /\n/ },
  { args: ['delete', '/cli/seq-0000000000'], expect: /\n/ },
  { args: ['delete', '/cli'], code: 1, expect: /Node not empty: \/cli/ },
  { args: ['deleteall', '/cli/box'], expect: /\n/ },
  { args: ['getAllChildrenNumber', '/cli'], expect: /\n1\n/ },
  { args: ['sync', '/cli'], expect: /Sync is OK/ },
  { args: ['config'], expect: /\n/ },
  { args: ['version'], expect: /ZooKeeper CLI version: 3\.9\.5/ },
  { args: ['whoami'], expect: /\nip: 127\.0\.0\.1\n/ },
]

/** Typed into one session, in this order. Events are printed by a thread of their own, so answers may come in any. */
const typed = [
  { line: 'addauth digest ann:secret', expect: '' },
  { line: 'create /typed x auth::cdrwa', expect: 'Created /typed' },
  { line: 'getAcl /typed', expect: "'digest,'ann:" },
  { line: 'whoami', expect: 'digest: ann' },
  { line: 'create -e /typed/short', expect: 'Created /typed/short' },
  { line: 'getEphemerals', expect: '[/typed/short]' },
  { line: 'get -w /typed', expect: '' },
  { line: 'set /typed y', expect: 'type:NodeDataChanged path:/typed' },
  { line: 'addWatch -m PERSISTENT_RECURSIVE /typed', expect: '' },
  { line: 'create /typed/deep', expect: 'type:NodeCreated path:/typed/deep' },
  { line: 'removewatches /typed', expect: 'type:PersistentWatchRemoved path:/typed' },
  { line: 'setquota -N 3 /typed', expect: '' },
  { line: 'create /typed/over', expect: 'Quota has exceeded : /typed/over' },
  { line: `addauth digest ${superUser.name}:${superUser.password}`, expect: '' },
  { line: 'deleteall /typed', expect: '' },
  { line: 'get /typed', expect: 'Node does not exist: /typed' },
]

export async function runZkCli(lib, target, report) {
  const address = `127.0.0.1:${target.server.port}`
  const jvm = [...javaFlags, '-cp', `${here}:${join(lib, '*')}`, 'org.apache.zookeeper.ZooKeeperMain']
  for (const { args, code = 0, expect } of oneShots) {
    const got = await runCommand([...jvm, '-server', address, ...args], '')
    const held = got.code === code && expect.test(`\n${got.text}\n`)
    report(held, args.join(' '), held ? '' : `expected ${code} and ${expect}, got ${got.code} and ${shorten(got.text)}`)
  }
  const input = [...typed.map(({ line }) => line), 'quit'].join('\n')
  const got = await runCommand([...jvm, '-server', address, '-waitforconnection'], `${input}\n`)
  for (const { line, expect } of typed) {
    const held = got.text.includes(expect)
    report(held, `typed: ${line}`, held ? '' : `expected ${expect}, got ${shorten(got.text)}`)
  }
}

/** The exit code (or signal) and everything printed, both streams as they came. */
function runCommand(args, input) {
  return new Promise((resolve) => {
    const child = spawn('java', args, { stdio: ['pipe', 'pipe', 'pipe'] })
    let text = ''
    const timer = setTimeout(() => child.kill('SIGKILL'), commandTimeoutMs)
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        text += chunk
      })
    }
    child.on('error', (error) => {
      text += error.message
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code: signal ?? code, text })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

function shorten(text) {
  return text
    .trim()
    .replace(/\s*\n\s*/g, ' | ')
    .slice(-1500)
}
