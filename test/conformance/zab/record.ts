/**
 * Makes fixtures/election.txt anew: our election as server 2 among servers 1, 3 and observer 4 of Apache ZooKeeper.
 *
 *   node -e "import('vite').then((v) => v.runnerImport('./test/conformance/zab/record.ts'))" -- REAL_ZK OUT
 *
 * REAL_ZK is a command that runs a Java server on the zoo.cfg given as its last argument. Ours only votes; it serves
 * nothing. Ports 25000 to 25023 of 127.0.0.1.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Election } from '../../../src/zab/election.ts'
import type { ElectionEvents, ElectionOut, LinkId, Sid, Vote } from '../../../src/zab/types.ts'
import { formatVote, OPTIONS, parseQuorum } from './recording.ts'

const CONFIG = [
  ...[1, 2, 3].map((sid) => `server.${sid}=127.0.0.1:${25000 + sid}:${25010 + sid}:participant`),
  'server.4=127.0.0.1:25004:25014:observer',
  'version=0',
].join('\n')

class Host implements ElectionOut, ElectionEvents {
  readonly lines: string[] = []
  readonly election: Election
  elected: Vote | null = null
  private readonly startMs = Date.now()
  private time = 0
  private readonly sockets = new Map<LinkId, Socket>()
  private readonly waiting = new Map<LinkId, Buffer>()
  private readonly server = createServer((socket) => {
    const link = this.adopt(socket)
    this.input(`accept ${link}`, () => this.election.onAccept(link))
  })
  private links = 0
  private timer: NodeJS.Timeout | undefined

  constructor() {
    this.election = new Election(OPTIONS.sid, OPTIONS, this, this, parseQuorum)
    const quorum = parseQuorum(CONFIG)
    this.election.onConfig(quorum, quorum)
    this.server.listen(25012, '127.0.0.1')
  }

  nowMs(): number {
    return this.time
  }

  random(): number {
    return 0.5
  }

  trace(message: string): void {
    console.log(this.time, message)
  }

  onNewerConfig(): void {}

  onElected(vote: Vote): void {
    this.note(`elected ${formatVote(vote)}`)
    this.elected = vote
  }

  dial(sid: Sid): void {
    this.note(`dial ${sid}`)
    const socket = connect(25010 + sid, '127.0.0.1')
    socket.once('error', () => this.input(`failed ${sid}`, () => this.election.onDialFailed(sid)))
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      const link = this.adopt(socket)
      this.input(`open ${link} ${sid}`, () => this.election.onOpen(link, sid))
    })
  }

  send(link: LinkId, bytes: Uint8Array): void {
    this.note(`send ${link} ${Buffer.from(bytes).toString('hex')}`)
    this.sockets.get(link)?.write(Buffer.from(bytes))
  }

  close(link: LinkId, why: string): void {
    this.note(`close ${link} ${why}`)
    const socket = this.sockets.get(link)
    this.sockets.delete(link)
    socket?.destroy()
  }

  look(zxid: number, epoch: number): void {
    this.elected = null
    this.input(`look ${zxid} ${epoch}`, () => this.election.look(zxid, epoch))
  }

  settle(vote: Vote): void {
    this.input(`settle following ${formatVote(vote)}`, () => this.election.settle('following', vote))
  }

  stop(): void {
    clearTimeout(this.timer)
    this.election.stop()
    this.server.close()
  }

  private adopt(socket: Socket): LinkId {
    const link = ++this.links
    socket.setNoDelay()
    this.sockets.set(link, socket)
    this.waiting.set(link, Buffer.alloc(0))
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      if (!this.sockets.has(link)) return
      this.input(`bytes ${link} ${chunk.toString('hex')}`, () => {
        const all = Buffer.concat([this.waiting.get(link)!, chunk])
        this.waiting.set(link, all.subarray(this.election.onBytes(link, all, 0, all.length)))
      })
    })
    socket.on('close', () => {
      if (this.sockets.delete(link)) this.input(`closed ${link}`, () => this.election.onClose(link))
    })
    return link
  }

  private input(line: string, act: () => void): void {
    this.time = Date.now() - this.startMs
    if (this.time >= this.election.nextDeadlineMs()) this.deadline()
    this.note(line)
    act()
    clearTimeout(this.timer)
    const nextMs = this.election.nextDeadlineMs()
    if (nextMs !== Infinity) this.timer = setTimeout(() => this.wake(), Math.max(0, nextMs - this.time))
  }

  private deadline(): void {
    this.note('deadline')
    this.election.onDeadline()
  }

  private wake(): void {
    this.input('deadline', () => this.election.onDeadline())
  }

  private note(line: string): void {
    this.lines.push(`${this.time} ${line}`)
  }
}

const root = mkdtempSync(join(tmpdir(), 'election-'))

function startJava(command: string, sid: number): ChildProcess {
  const folder = join(root, String(sid))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'myid'), `${sid}\n`)
  const members = CONFIG.split('\n').filter((line) => line.startsWith('server.'))
  const own = sid === 4 ? ['peerType=observer'] : []
  const lines = ['tickTime=2000', 'initLimit=10', 'syncLimit=5', `dataDir=${folder}`, `clientPort=${25020 + sid}`]
  const rest = ['clientPortAddress=127.0.0.1', 'admin.enableServer=false', '4lw.commands.whitelist=*']
  writeFileSync(join(folder, 'zoo.cfg'), [...lines, ...rest, ...own, ...members, ''].join('\n'))
  return spawn(command, [join(folder, 'zoo.cfg')], { stdio: 'inherit', env: { ...process.env, ZK_SERVER_HEAP: '128' } })
}

/** The state that the server tells its clients of, or nothing. */
async function askState(sid: number): Promise<string> {
  return await new Promise((resolve) => {
    const socket = connect(25020 + sid, '127.0.0.1')
    let text = ''
    socket.on('connect', () => socket.write('srvr'))
    socket.on('data', (chunk) => {
      text += chunk.toString()
    })
    socket.on('error', () => resolve(''))
    socket.on('close', () => resolve(/Mode: (\w+)/.exec(text)?.[1] ?? ''))
  })
}

async function until(what: string, test: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await test()) {
      console.log(`-- ${what}`)
      return
    }
    await delay(100)
  }
  throw new Error(`never: ${what}`)
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

async function record(command: string, out: string): Promise<void> {
  const children = new Map<number, ChildProcess>()
  const host = new Host()
  const elect = async (leader: number) => {
    await until(`elected ${leader}`, () => host.elected !== null)
    if (host.elected!.leader !== leader) throw new Error(`elected ${host.elected!.leader}`)
    host.settle(host.elected!)
  }
  try {
    // 3 and ours elect 3; 1 comes late and joins by their word, which makes the quorum that 3 needs to serve.
    children.set(3, startJava(command, 3))
    host.look(0, 0)
    await elect(3)
    children.set(1, startJava(command, 1))
    await until('3 serves', async () => (await askState(3)) === 'leader' && (await askState(1)) === 'follower')
    host.settle({ ...host.elected!, peerEpoch: 1 })
    // An observer asks, and learns the leader.
    children.set(4, startJava(command, 4))
    await until('4 observes', async () => (await askState(4)) === 'observer')
    // The leader dies. 1 has the newest history now, ours the larger sid and nothing.
    await kill(children.get(3)!)
    host.look(0, 0)
    await elect(1)
    // The dead one comes back, knows more than ours, and joins by the word of 1 and ours.
    children.set(3, startJava(command, 3))
    await until('1 serves', async () => (await askState(1)) === 'leader' && (await askState(3)) === 'follower')
    host.settle({ ...host.elected!, peerEpoch: 2 })
    // Ours starts over, late, and finds the leader of the others.
    host.look(0, 1)
    await elect(1)
    host.stop()
    writeFileSync(out, `${host.lines.join('\n')}\n`)
  } finally {
    host.stop()
    writeFileSync(`${out}.all`, `${host.lines.join('\n')}\n`)
    for (const child of children.values()) await kill(child)
    for (const sid of children.keys()) {
      const log = readFileSync(join(root, String(sid), 'zookeeper.out'), 'utf8')
      writeFileSync(`${out}.${sid}.log`, log)
    }
    rmSync(root, { recursive: true })
  }
}

const [command, out] = process.argv.slice(-2)
await record(command!, out!)
process.exit(0)
