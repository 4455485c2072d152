/**
 * Networks between the members of an ensemble that can be cut, in one direction or both.
 *
 * A cut takes nothing out of a stream: what is under way waits, as TCP keeps it, and arrives when the cut is healed if
 * both ends are still there. The end of a connection does not cross a cut either.
 *
 *   Namespaces   a network namespace for each member, joined by a bridge; a cut is a wrong hardware address for the
 *                neighbour. Needs root.
 *   Relays       members reach each other through relays of this process, one for each port; a relay learns from the
 *                first bytes who is calling.
 *
 * Both are what interop/ensemble/members.mjs calls a network, and have `cut(from, to)` and `heal()`.
 */
import { spawnSync } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { choosePort } from '../interop/server.mjs'
import { sleep } from './process.mjs'

const PORTS = [25300, 25999]

/** The best that this machine allows, or the one that is named. */
export async function makeNetwork(kind, sids) {
  if (kind !== 'relays' && Namespaces.possible()) return new Namespaces(sids)
  if (kind === 'namespaces') throw new Error('network namespaces need root and ip(8)')
  return Relays.start(sids)
}

function ip(...words) {
  const { status, stderr } = spawnSync('ip', words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${stderr?.trim() ?? 'cannot be run'}`)
}

export class Namespaces {
  static possible() {
    const name = `zwprobe${process.pid}`
    const made = spawnSync('ip', ['netns', 'add', name]).status === 0
    if (made) spawnSync('ip', ['netns', 'del', name])
    return made
  }

  constructor(sids) {
    this.name = 'namespaces'
    this.sids = sids
    this.prefix = `zw${process.pid}`
    this.subnet = `10.253.${process.pid % 256}`
    process.once('exit', () => this.stop())
    ip('link', 'add', `${this.prefix}b`, 'type', 'bridge')
    ip('addr', 'add', `${this.subnet}.254/24`, 'dev', `${this.prefix}b`)
    ip('link', 'set', `${this.prefix}b`, 'up')
    for (const sid of sids) {
      const space = this.spaceOf(sid)
      const outer = this.outerLinkOf(sid)
      ip('netns', 'add', space)
      ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space)
      ip('link', 'set', outer, 'master', `${this.prefix}b`, 'up')
      ip('-n', space, 'link', 'set', 'eth0', 'address', macOf(sid))
      ip('-n', space, 'addr', 'add', `${this.hostOf(sid)}/24`, 'dev', 'eth0')
      ip('-n', space, 'link', 'set', 'eth0', 'up')
      ip('-n', space, 'link', 'set', 'lo', 'up')
    }
    this.heal()
  }

  spaceOf(sid) {
    return `${this.prefix}n${sid}`
  }

  outerLinkOf(sid) {
    return `${this.prefix}v${sid}`
  }

  hostOf(sid) {
    return `${this.subnet}.${sid}`
  }

  wrap(sid, command) {
    return `ip netns exec ${this.spaceOf(sid)} ${command}`
  }

  endpoint(member, _viewer) {
    return `${this.hostOf(member.sid)}:${member.quorumPort}:${member.electionPort}`
  }

  /** Nothing that `from` sends reaches `to`. */
  cut(from, to) {
    this.neighbour(from, to, '02:00:00:00:00:fe')
  }

  heal() {
    for (const from of this.sids) for (const to of this.sids) if (from !== to) this.neighbour(from, to, macOf(to))
  }

  neighbour(from, to, mac) {
    ip('-n', this.spaceOf(from), 'neigh', 'replace', this.hostOf(to), 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent')
  }

  stop() {
    for (const sid of this.sids) {
      spawnSync('ip', ['link', 'del', this.outerLinkOf(sid)]) // by itself it goes only with the last process inside
      spawnSync('ip', ['netns', 'del', this.spaceOf(sid)])
    }
    spawnSync('ip', ['link', 'del', `${this.prefix}b`])
  }
}

function macOf(sid) {
  return `02:5a:00:00:00:${sid.toString(16).padStart(2, '0')}`
}

/** Where the caller's sid stands: behind version (long) in an election hello, behind 16 bytes of packet on the other. */
const CALLER = { election: { at: 8, bytes: 16 }, quorum: { at: 16, bytes: 24 } }

const REACH_TRIES = 20
const REACH_PAUSE_MS = 50

export class Relays {
  static async start(sids) {
    const relays = new Relays()
    for (const sid of sids) {
      for (const kind of ['quorum', 'election']) {
        const port = await choosePort(...PORTS)
        relays.ports.set(`${sid} ${kind}`, port)
        const server = createServer({ pauseOnConnect: true }, (socket) => relays.onCall(socket, sid, kind))
        await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
        server.unref()
      }
    }
    return relays
  }

  constructor() {
    this.name = 'relays'
    this.ports = new Map() // 'sid kind' -> port of the relay in front of it
    this.members = new Map() // sid -> member, known from its configuration
    this.cuts = new Set() // 'from to'
    this.pipes = new Set()
  }

  hostOf() {
    return '127.0.0.1'
  }

  wrap(_sid, command) {
    return command
  }

  /** A member listens on its own ports; the others see the relays in front of them. */
  endpoint(member, viewer) {
    this.members.set(member.sid, member)
    if (member === viewer) return `127.0.0.1:${member.quorumPort}:${member.electionPort}`
    return `127.0.0.1:${this.ports.get(`${member.sid} quorum`)}:${this.ports.get(`${member.sid} election`)}`
  }

  cut(from, to) {
    this.cuts.add(`${from} ${to}`)
    for (const pipe of this.pipes) pipe.look()
  }

  heal() {
    this.cuts.clear()
    for (const pipe of this.pipes) pipe.look()
  }

  isCut(from, to) {
    return this.cuts.has(`${from} ${to}`)
  }

  onCall(caller, sid, kind) {
    const { at, bytes } = CALLER[kind]
    let head = Buffer.alloc(0)
    caller.on('error', () => {})
    const onData = (chunk) => {
      head = Buffer.concat([head, chunk])
      if (head.length < bytes) return
      caller.pause()
      caller.off('data', onData)
      this.join(caller, Number(head.readBigInt64BE(at)), sid, kind, head)
    }
    caller.on('data', onData)
    caller.resume()
  }

  /** A relay accepts where nobody listens yet; the caller, who would have been refused and tried again, waits here. */
  async join(caller, callerSid, sid, kind, head) {
    const member = this.members.get(sid)
    const port = kind === 'quorum' ? member.quorumPort : member.electionPort
    const called = await reach(port)
    if (called === null) {
      caller.destroy()
      return
    }
    caller.setNoDelay(true)
    // A handshake of TCP needs both ways.
    const open = () => !this.isCut(callerSid, sid) && !this.isCut(sid, callerSid)
    const there = { source: caller, target: called, from: callerSid, to: sid, head, open }
    const back = { source: called, target: caller, from: sid, to: callerSid, head: null, open: () => true }
    for (const pipe of [new Pipe(this, there), new Pipe(this, back)]) pipe.look()
  }
}

/** A paused connection, or null when nobody has listened for a while. */
async function reach(port) {
  for (let i = 0; i < REACH_TRIES; i++) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }).pause()
    const open = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    if (open) return socket
    await sleep(REACH_PAUSE_MS)
  }
  return null
}

/** One direction of a connection. */
class Pipe {
  constructor(relays, { source, target, from, to, head, open }) {
    this.relays = relays
    this.source = source
    this.target = target
    this.from = from
    this.to = to
    this.head = head
    this.open = open
    this.begun = false
    this.ended = false
    relays.pipes.add(this)
    source.on('error', () => {})
    source.on('data', (chunk) => {
      if (!target.destroyed && !target.write(chunk)) source.pause()
      if (this.blocked()) source.pause()
    })
    target.on('drain', () => this.look())
    const onEnd = () => {
      this.ended = true
      this.look()
    }
    source.on('end', onEnd)
    source.on('close', onEnd)
  }

  blocked() {
    return this.relays.isCut(this.from, this.to)
  }

  /** Something has changed: bytes, and the end of the connection, pass only where there is no cut. */
  look() {
    if (this.blocked()) {
      this.source.pause()
      return
    }
    if (!this.begun) {
      if (!this.open()) return
      this.begun = true
      if (this.head !== null) this.target.write(this.head)
    }
    if (this.ended) {
      this.target.destroy()
      this.relays.pipes.delete(this)
    } else if (!this.target.writableNeedDrain) this.source.resume()
  }
}
