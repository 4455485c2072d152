/**
 * Our client at a terminal, which no pipe can show: prompts, history over runs, completion, events that come while
 * something is typed, Ctrl-C. Steps wait for what they expect; nothing sleeps.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeTempDir, removeTempDir } from '../tempdir.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const tab = '\t'
const enter = '\r'
const up = '\u001b[A'
const ctrlC = '\u0003'
const ctrlD = '\u0004'
/** Far more than it takes on a quiet machine (README: a fifth of a second). */
const firstPromptMsMax = 3000

export async function checkTerminal(zkCli, address, report) {
  const dir = makeTempDir('zkcli-terminal')
  const history = join(dir, 'history')
  const typed = (steps, server = address) => typeInto([zkCli, '-server', server], history, steps)
  const judge = (name, { failed, printed, status }, wrong = null) => {
    const why = failed ? `${JSON.stringify(failed)} in vain, behind ${JSON.stringify(printed.slice(-400))}` : wrong
    const code = status === 0 ? null : `ended with ${status}`
    report((why ?? code) === null, `terminal: ${name}`, why ?? code ?? undefined)
  }
  try {
    const first = await typed([
      { type: '', expect: `[zk: ${address}(CONNECTED) 0] ` },
      { type: ctrlD, expect: '\n' },
    ])
    const late = first.firstMs <= firstPromptMsMax ? null : `the first prompt came after ${first.firstMs} ms`
    judge(`the first prompt is there, with the connection in it (${first.firstMs} ms)`, first, late)

    judge(
      'the tab key completes commands, options and paths',
      await typed([
        { type: '', expect: '0] ' },
        { type: 'getAl', expect: 'getAl' },
        { type: tab, expect: 'lChildrenNumber ' },
        { type: '/zoo', expect: '/zoo' },
        { type: tab, expect: 'keeper' },
        { type: enter, expect: '\n2\r\n' },
        { type: 'reconfig -me', expect: '-me' },
        { type: tab, expect: 'mbers' },
        { type: ctrlC, expect: '1] ' },
        { type: 'ls -s /zookeeper/q', expect: '/q' },
        { type: tab, expect: 'uota' },
        { type: ctrlC, expect: '1] ' },
        { type: 'quit\r', expect: 'state:Closed' },
      ]),
    )

    judge(
      'an event is printed above what is being typed, which stays',
      await typed([
        { type: '', expect: '0] ' },
        { type: `create /bell x${enter}`, expect: '1] ' },
        { type: `addWatch /bell${enter}`, expect: '2] ' },
        { type: 'ls /half', expect: 'ls /half' },
        { type: '', expect: '', run: [zkCli, '-server', address, 'set', '/bell', 'rung'] },
        { type: '', expect: 'type:NodeDataChanged path:/bell' },
        { type: '', expect: '2] ls /half' },
        { type: ctrlC, expect: '2] ' },
        { type: `deleteall /bell${enter}`, expect: '3] ' },
        { type: ctrlD, expect: '\n' },
      ]),
    )

    judge(
      'lines of earlier runs come back, but no credentials',
      await typed([
        { type: '', expect: '0] ' },
        { type: `addauth digest ann:secret${enter}`, expect: '1] ' },
        { type: `history${enter}`, expect: '2] ' },
        { type: ctrlD, expect: '\n' },
      ]),
    )
    const kept = readFileSync(history, 'utf8')
    const again = await typed([
      { type: '', expect: '0] ' },
      { type: up, expect: 'history' },
      { type: up, expect: 'deleteall /bell' },
      { type: ctrlC, expect: '0] ' },
      { type: ctrlD, expect: '\n' },
    ])
    judge('the arrow keys bring them', again, kept.includes('secret') ? 'a credential was kept' : null)

    const silent = await listenSilently()
    judge(
      'Ctrl-C ends a command that waits, and not the session',
      await typed(
        [
          { type: '', expect: '(CONNECTING) 0] ' },
          { type: `ls /${enter}`, expect: 'ls /' },
          { type: ctrlC, expect: 'Cancelled' },
          { type: '', expect: '(CONNECTING) 1] ' },
          { type: `version${enter}`, expect: 'ZooKeeper CLI version' },
          { type: ctrlD, expect: '\n' },
        ],
        `127.0.0.1:${silent.address().port}`,
      ),
    )
    silent.close()
  } finally {
    removeTempDir(dir)
  }
}

/** Takes connections, and says nothing on them. */
function listenSilently() {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.on('error', () => {}))
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

async function typeInto(command, history, steps) {
  const typist = spawn('python3', [join(here, 'terminal.py'), ...command], {
    env: { ...process.env, ZKCLI_HISTORY: history },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let said = ''
  typist.stdout.on('data', (chunk) => {
    said += chunk
  })
  const ended = new Promise((resolve, reject) => {
    typist.on('error', reject)
    typist.on('close', resolve)
  })
  typist.stdin.end(JSON.stringify(steps))
  await ended
  return JSON.parse(said)
}
