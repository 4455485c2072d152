/**
 * One of the servers of a recording is played by our core: all that its peers sent reaches it in the recorded order, and
 * what it does about that is kept, next to what the Java server did.
 *
 * Disk and tree answer at once. What a server does beyond agreement (it makes requests, proposals, answers about
 * sessions) is taken from the recording, at the place where it stands there.
 */

import { StateMachine } from '../../../src/datatree/apply.ts'
import { Output } from '../../../src/jute/output.ts'
import { textToBytes } from '../../../src/jute/text.ts'
import type { Zxid } from '../../../src/jute/zxid.ts'
import { SnapshotReceiver } from '../../../src/server/member/snapshotlinks.ts'
import { SnapshotWriter } from '../../../src/txnlog/snapshot.ts'
import type { Epoch, ForwardedRequest, LinkId, Proposal, Quorum, Role, Sid } from '../../../src/zab/types.ts'
import { parse } from '../../unit/zab/cluster.ts'
import { EPOCH, Lone } from '../../unit/zab/lone.ts'
import { type Event, Listener, type Said } from './quorumrecording.ts'

const CONFIG = textToBytes('/zookeeper/config')

export interface PlayOptions {
  readonly reconfigEnabled?: boolean
  /** Where bytes that come in are cut in two: offsets in all that came in on the connection. */
  readonly cuts?: (offset: number) => boolean
  readonly commitLogCount?: number
}

/** One connection of the server that is played. */
export interface Played {
  readonly link: LinkId
  readonly role: 'leader' | 'learner'
  readonly member: Member
  /** What the Java server said. */
  readonly theirs: Said[]
  /** What came in. */
  readonly heard: Said[]
  bytesHeard: number
  alive: boolean
}

export interface Play {
  readonly links: Played[]
  /** Processes, one after the other. */
  readonly members: Member[]
  /** Where Java's leader sent its tree: that, and ours at the same moment. */
  readonly trees: { readonly theirs: Buffer; readonly ours: Buffer }[]
}

/** The files of a server. */
interface Disk {
  log: Proposal[]
  zxidLogged: Zxid
  /** The snapshot behind which the log begins: its bytes, and its zxid. */
  snapshot: { bytes: Buffer; zxid: Zxid } | null
  acceptedEpoch: number
  currentEpoch: number
  committed: Quorum
  lastSeen: Quorum | null
}

function emptyDisk(config: string): Disk {
  const committed = parse(config)
  return { log: [], zxidLogged: 0, snapshot: null, acceptedEpoch: 0, currentEpoch: 0, committed, lastSeen: null }
}

/** A process: from its start to its end. */
export class Member extends Lone {
  readonly sent: Map<LinkId, Said[]>
  readonly appended: Proposal[]
  readonly delivered: Zxid[]
  readonly digestMismatches: Zxid[]
  /** What elections had to say to our core, because no reconfiguration did. */
  readonly elected: Sid[]
  readonly disk: Disk
  state: StateMachine
  /** Answers to sessions that came back. */
  readonly revalidations: string[]
  touchTables: Said[]
  /** What the Java leader proposed. */
  proposals: Said[]
  private dialled: Sid | null
  private readonly listeners: Map<LinkId, Listener>
  private readonly waiting: Map<LinkId, Buffer>
  private readonly receivers: Map<LinkId, SnapshotReceiver>
  private readonly snapshots: Map<LinkId, Buffer>
  private readonly answers: (() => void)[]

  constructor(sid: Sid, disk: Disk, options: PlayOptions) {
    const { reconfigEnabled = false, commitLogCount = 500 } = options
    const { log, zxidLogged: zxidLast, acceptedEpoch, currentEpoch, committed, lastSeen } = disk
    const start = { zxidLast, proposals: log, acceptedEpoch, currentEpoch, committed, lastSeen }
    // Java's trees are too small for it to read from the log on disk.
    super({ sid, start, zab: { reconfigEnabled, commitLogCount, txnLogSync: false } })
    this.sent = new Map()
    this.appended = []
    this.delivered = []
    this.digestMismatches = []
    this.elected = []
    this.revalidations = []
    this.touchTables = []
    this.proposals = []
    this.dialled = null
    this.disk = disk
    this.listeners = new Map()
    this.waiting = new Map()
    this.receivers = new Map()
    this.snapshots = new Map()
    this.answers = []
    this.state = this.restored(zxidLast)
  }

  /** The tree that the files make. */
  private restored(zxidLast: Zxid): StateMachine {
    const { snapshot, log, committed } = this.disk
    let state = this.emptyState()
    if (snapshot !== null) {
      const receiver = new SnapshotReceiver(snapshot.zxid, state, 1 << 20, this.now)
      receiver.push(snapshot.bytes, 0, snapshot.bytes.length)
      state = receiver.state
    }
    for (const { zxid, bytes } of log) if (zxid <= zxidLast) state.apply(bytes, 0, bytes.length)
    writeConfig(state, committed)
    return state
  }

  private emptyState(): StateMachine {
    const nothing = () => {}
    const onDigestMismatch = (zxid: Zxid) => void this.digestMismatches.push(zxid)
    const sink = { onResult: nothing, onSessionCreated: nothing, onSessionClosed: nothing, onDigestMismatch }
    return new StateMachine({ onWatch: nothing }, sink, { digest: true, extendedTypes: true })
  }

  /** The tree as it would be sent to a learner now. */
  writeTree(): Buffer {
    const out = new Output()
    new SnapshotWriter(this.state, 'stream', { digest: false, lastZxid: false }).step(out, 1 << 20)
    out.buffer(textToBytes('BenWasHere'))
    return Buffer.from(out.bytes())
  }

  // --- inputs

  come(link: LinkId, bytes: Buffer): void {
    const all = Buffer.concat([this.waiting.get(link) ?? Buffer.alloc(0), bytes])
    this.waiting.set(link, all)
    for (let before = -1; before !== this.waiting.get(link)!.length; ) {
      const rest = this.waiting.get(link)!
      before = rest.length
      if (before > 0) this.waiting.set(link, rest.subarray(this.consume(link, rest)))
      this.settle()
    }
  }

  private consume(link: LinkId, bytes: Buffer): number {
    const receiver = this.receivers.get(link)
    if (receiver === undefined) return this.peer.onBytes(link, bytes, 0, bytes.length)
    this.snapshots.set(link, Buffer.concat([this.snapshots.get(link)!, bytes]))
    if (receiver.push(bytes, 0, bytes.length)) {
      let rest = Buffer.alloc(0)
      receiver.rest.offer((held, from, to) => {
        rest = Buffer.from(held.subarray(from, to))
        return 0
      })
      const all = this.snapshots.get(link)!
      this.receivers.delete(link)
      Object.assign(this.disk, { log: [], zxidLogged: receiver.zxid })
      this.disk.snapshot = { bytes: all.subarray(0, all.length - rest.length), zxid: receiver.zxid }
      this.state = receiver.state
      this.state.fuzzy = true
      this.answers.push(() => this.peer.onSnapshotLoaded(link, receiver.zxid))
      return bytes.length - rest.length
    }
    return bytes.length
  }

  /** The disk answers. */
  settle(): void {
    for (let answer = this.answers.shift(); answer !== undefined; answer = this.answers.shift()) answer()
  }

  /** In elections servers tell each other their configurations, too. */
  hearsOf(config: string): void {
    this.pass(500)
    this.events!.onNewerConfig(parse(config))
    this.settle()
  }

  /** Our core has this role with this leader, by its own hand or because it is told so now. */
  isToHave(role: 'leader' | 'learner', leader: Sid): void {
    const has = role === 'leader' ? this.peer.role === 'leading' : this.dialled === leader
    if (!has && this.peer.role === 'looking') this.pass(500)
    if (this.peer.role === 'looking') {
      this.elected.push(leader)
      this.elect(leader)
    }
    this.settle()
    if (this.peer.leader !== leader) throw new Error(`${this.peer.role} ${this.peer.leader}, not ${role} ${leader}`)
  }

  open(link: LinkId, leader: Sid): void {
    if (this.dialled !== leader) throw new Error(`${this.dialled} is dialled, not ${leader}`)
    this.dialled = null
    this.peer.onOpen(link, leader, 'learner')
    this.settle()
  }

  /** Time goes on until we ping. */
  pingOn(link: LinkId): void {
    const count = () => this.sent.get(link)?.filter(({ name }) => name === 'PING').length ?? 0
    const before = count()
    for (let tries = 0; tries < 3 && count() === before; tries++) {
      this.now = this.peer.nextDeadlineMs()
      this.peer.onDeadline()
      this.settle()
    }
  }

  // --- outputs

  override dial(sid: Sid): void {
    this.dialled = sid
  }

  override send(link: LinkId, bytes: Uint8Array): void {
    const listener = this.listeners.get(link) ?? new Listener()
    this.listeners.set(link, listener)
    this.sent.set(link, [...(this.sent.get(link) ?? []), ...listener.hear(bytes)])
  }

  override append(zxid: Zxid, bytes?: Uint8Array): void {
    this.appended.push({ zxid, bytes: bytes! })
    this.disk.log.push({ zxid, bytes: bytes! })
    this.disk.zxidLogged = zxid
    this.answers.push(() => this.peer.onDurable(zxid))
  }

  override truncate(zxid: Zxid): void {
    this.disk.log = this.disk.log.filter((entry) => entry.zxid <= zxid)
    this.disk.zxidLogged = zxid
    this.state = this.restored(zxid)
    this.answers.push(() => this.peer.onTruncated(zxid, this.state.zxidLast))
  }

  override saveEpoch(which: Epoch, epoch: number): void {
    this.disk[which === 'accepted' ? 'acceptedEpoch' : 'currentEpoch'] = epoch
    this.answers.push(() => this.peer.onEpochSaved(which, epoch))
  }

  override deliver(zxid: Zxid, bytes?: Uint8Array): void {
    this.delivered.push(zxid)
    this.tree = zxid
    this.state.apply(bytes!, 0, bytes!.length)
  }

  override sendSnapshot(link: LinkId): void {
    this.send(link, this.writeTree())
    this.answers.push(() => this.peer.onSnapshotSent(link))
  }

  override loadSnapshot(link: LinkId, zxid: Zxid): void {
    this.receivers.set(link, new SnapshotReceiver(zxid, this.emptyState(), 1 << 20, this.now))
    this.snapshots.set(link, Buffer.alloc(0))
  }

  override established(role: Role, leader: Sid, epoch: number): void {
    super.established(role, leader, epoch)
    this.state.fuzzy = false
    if (role === 'leading') this.state.zxidLast = Math.max(this.state.zxidLast, epoch * EPOCH)
    writeConfig(this.state, this.peer.committed)
  }

  /** Proposed at once, as ours would, where Java's leader proposed it next. */
  override request(_from: LinkId, _sid: Sid, { sessionHi, sessionLo, cxid }: ForwardedRequest): void {
    const next = this.proposals.find(({ zxid }) => zxid > this.disk.zxidLogged)
    const head = next?.data
    if (head?.readInt32BE(0) !== sessionHi || head.readInt32BE(4) !== sessionLo || head.readInt32BE(8) !== cxid) return
    this.peer.propose(next!.zxid, Uint8Array.from(head))
  }

  override revalidate(from: LinkId, _sid: Sid, hi: number, lo: number): void {
    this.revalidations.push(`${from} ${hi} ${lo}`)
  }

  override takeTouched(visit: (hi: number, lo: number, timeoutMs: number) => void): void {
    const data = this.touchTables.shift()?.data ?? Buffer.alloc(0)
    for (let at = 0; at < data.length; at += 12) {
      visit(data.readInt32BE(at), data.readInt32BE(at + 4), data.readInt32BE(at + 8))
    }
  }

  override config(quorum: Quorum, committed: boolean): void {
    if (committed) {
      this.disk.committed = quorum
      writeConfig(this.state, quorum)
    } else {
      this.disk.lastSeen = quorum
    }
    this.answers.push(() => this.peer.onConfigSaved())
  }
}

/** As every member does for itself. */
function writeConfig(state: StateMachine, quorum: Quorum): void {
  const text = textToBytes(quorum.text)
  state.tree.setData(state.tree.find(CONFIG, 0, CONFIG.length), text, 0, text.length, -1, quorum.version, 0)
}

/** Configurations in the order of their versions; the first has stood in the files of all without one. */
function configs(events: readonly Event[]): string[] {
  const all = events.flatMap((event) => (event.word === 'down' ? event.packets : []))
  return all.filter(({ name }) => name === 'NEWLEADER').map(({ data }) => data!.toString())
}

/** Plays the part of server `sid`. */
export function play(events: readonly Event[], sid: Sid, options: PlayOptions = {}): Play {
  const known = configs(events)
  const config = known[0]!.replace(/version=.*/, 'version=0')
  const result: Play = { links: [], members: [], trees: [] }
  let disk = emptyDisk(config)
  let member: Member | null = null
  const linkOf = (link: LinkId) => result.links.find((played) => played.link === link && played.alive)
  for (const [index, event] of events.entries()) {
    if ('sid' in event) {
      if (event.sid !== sid) continue
      if (event.word === 'wipe') disk = emptyDisk(config)
      for (const played of result.links) played.alive = false
      member = event.word === 'start' ? new Member(sid, disk, options) : null
      if (member !== null) result.members.push(member)
    } else if ('learner' in event) {
      const { link, learner, leader } = event
      if (member === null || (learner !== sid && leader !== sid)) continue
      const role = leader === sid ? 'leader' : 'learner'
      if (role === 'learner') {
        const version = said(events, link, ['up'])[0]!.data!.readBigInt64BE(12)
        if (version > member.peer.committed.version) {
          member.hearsOf(known.find((text) => text.endsWith(`\nversion=${version.toString(16)}`))!)
        }
      }
      member.isToHave(role, leader)
      if (role === 'leader') {
        member.proposals.push(...proposals(events.slice(index), link))
        member.proposals.sort((a, b) => a.zxid - b.zxid)
        member.peer.onAccept(link, 'learner')
      } else {
        member.touchTables = touchTables(events.slice(index), link)
        member.open(link, leader)
      }
      result.links.push({ link, role, member, theirs: [], heard: [], bytesHeard: 0, alive: true })
    } else {
      const played = linkOf(event.link)
      if (played === undefined) continue
      if ('side' in event) {
        played.alive = false
        played.member.peer.onClose(event.link)
        played.member.settle()
      } else if ((event.word === 'up') === (played.role === 'learner')) {
        played.theirs.push(...event.packets)
        for (const said of event.packets) act(played, said, result)
      } else if (event.word !== 'lost') {
        played.heard.push(...event.packets)
        hear(played, event.bytes, options)
      }
    }
  }
  return result
}

/** What a learner's server has heard of sessions: the answers to PINGs say so. */
function touchTables(events: readonly Event[], link: LinkId): Said[] {
  return said(events, link, ['up']).filter(({ name }) => name === 'PING')
}

function proposals(events: readonly Event[], link: LinkId): Said[] {
  return said(events, link, ['down', 'lost']).filter(({ name }) => name === 'PROPOSAL')
}

function said(events: readonly Event[], link: LinkId, words: readonly string[]): Said[] {
  return events.flatMap((event) =>
    'packets' in event && event.link === link && words.includes(event.word) ? event.packets : [],
  )
}

function hear(played: Played, bytes: Buffer, { cuts = () => false }: PlayOptions): void {
  let from = 0
  for (let at = 1; at <= bytes.length; at++) {
    if (at < bytes.length && !cuts(played.bytesHeard + at)) continue
    played.member.come(played.link, bytes.subarray(from, at))
    from = at
  }
  played.bytesHeard += bytes.length
}

type Four = [number, number, number, number]

/** What the Java server did by itself, ours does now. */
function act({ link, role, member, theirs }: Played, { name, zxid, data, authinfo }: Said, result: Play): void {
  const { peer } = member
  if (role === 'learner') {
    if (name === 'REQUEST') {
      const [sessionHi, sessionLo, cxid, type] = [0, 4, 8, 12].map((at) => data!.readInt32BE(at)) as Four
      peer.forward({ sessionHi, sessionLo, cxid, type, body: data!.subarray(16), authinfo })
    } else if (name === 'REVALIDATE') {
      peer.revalidate(data!.readInt32BE(0), data!.readInt32BE(4), data!.readInt32BE(8))
    }
  } else if (name === 'PROPOSAL' && zxid > member.disk.zxidLogged) {
    peer.propose(zxid, Uint8Array.from(data!))
  } else if (name === 'REVALIDATE') {
    peer.answerRevalidate(link, data!.readInt32BE(0), data!.readInt32BE(4), data![8] === 1)
  } else if (name === 'TREE') {
    result.trees.push({ theirs: data!, ours: member.writeTree() })
  } else if (name === 'PING') {
    const count = (packets: Said[]) => packets.filter((one) => one.name === 'PING').length
    if (count(member.sent.get(link) ?? []) < count(theirs)) member.pingOn(link)
  }
  member.settle()
}
