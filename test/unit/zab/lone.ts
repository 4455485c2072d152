/**
 * One member alone: a real core (peer.ts), an election that elects on request, and everything else written down.
 *
 * What the core does becomes lines: `send 7: ACK 100000001`, `append 100000001`, `save accepted 1`, `deliver 100000001`.
 * Packets are read and written here by hand, not by the codec under test.
 */

import type { Zxid } from '../../../src/jute/zxid.ts'
import { Peer } from '../../../src/zab/peer.ts'
import type {
  ElectionEvents,
  ElectionPort,
  Epoch,
  ForwardedRequest,
  LinkId,
  LinkKind,
  Proposal,
  Quorum,
  Role,
  Sid,
  StartState,
  ZabOptions,
  ZabOut,
} from '../../../src/zab/types.ts'
import { ZAB_DEFAULTS } from '../../../src/zab/types.ts'
import { configText, parse, proposalBytes } from './cluster.ts'
import { PACKET_NAMES } from './packetnames.ts'

export const TICK = 1000
export const EPOCH = 2 ** 32

/** A packet, from its name, zxid and data as hex (spaces do not count) or bytes; authinfo is null. */
export function packet(name: string, zxid: Zxid, data: string | Uint8Array | null = null): Uint8Array {
  const bytes = typeof data === 'string' ? unhex(data) : data
  const out = new Uint8Array(20 + (bytes?.length ?? 0))
  const view = new DataView(out.buffer)
  view.setInt32(0, PACKET_NAMES.indexOf(name))
  view.setBigInt64(4, BigInt(zxid))
  view.setInt32(12, bytes === null ? -1 : bytes.length)
  if (bytes !== null) out.set(bytes, 16)
  view.setInt32(out.length - 4, -1)
  return out
}

export function unhex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}

/** All packets in `bytes`, as `NAME zxid data`; data is a proposal's label, a configuration's last line, or hex. */
export function packetTexts(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const name = PACKET_NAMES[view.getInt32(at)]!
    const zxid = view.getBigInt64(at + 4)
    const length = view.getInt32(at + 12)
    const data = bytes.subarray(at + 16, at + 16 + Math.max(length, 0))
    const words = [name, zxid < 0n ? `${zxid}` : zxid.toString(16)]
    if (length >= 0) words.push(dataText(name, data))
    found.push(words.join(' '))
    at += 16 + data.length
    const texts = 2 * Math.max(view.getInt32(at), 0)
    at += 4
    for (let i = 0; i < texts; i++) at += 4 + view.getInt32(at)
  }
  return found
}

function dataText(name: string, data: Uint8Array): string {
  const text = new TextDecoder().decode(data)
  if (name === 'PROPOSAL' || name === 'INFORM') return text.slice(32)
  if (name === 'NEWLEADER') return text.split('\n').at(-1)!
  return Buffer.from(data).toString('hex')
}

export interface LoneOptions {
  sid?: Sid
  voters?: readonly Sid[]
  observers?: readonly Sid[]
  /** The log, all delivered to the tree. */
  proposals?: readonly Proposal[]
  start?: Partial<StartState>
  zab?: Partial<ZabOptions>
}

export class Lone implements ZabOut {
  readonly peer: Peer
  readonly lines: string[]
  now: number
  /** The votes with which the election was told to look, or settle. */
  readonly looks: string[]
  events: ElectionEvents | null
  tree: Zxid
  onRequest: (request: ForwardedRequest) => void
  touched: [number, number, number][]
  /** Configurations that are not saved yet. */
  configs: number

  constructor(options: LoneOptions = {}) {
    const { sid = 1, voters = [1, 2, 3], observers = [], proposals = [], start = {}, zab = {} } = options
    this.lines = []
    this.looks = []
    this.now = 1_000_000
    this.events = null
    this.touched = []
    this.configs = 0
    this.onRequest = () => {}
    const zxidLast = start.zxidLast ?? proposals.at(-1)?.zxid ?? 0
    this.tree = zxidLast
    const zabOptions = { ...ZAB_DEFAULTS, sid, tickMs: TICK, initLimitTicks: 10, syncLimitTicks: 5, ...zab }
    this.peer = new Peer(zabOptions, this, parse, (_out, events) => {
      this.events = events
      return this.election
    })
    const epoch = Math.floor(zxidLast / EPOCH)
    this.peer.start({
      zxidLast,
      acceptedEpoch: epoch,
      currentEpoch: epoch,
      proposals,
      committed: parse(configText(voters, observers, 0)),
      lastSeen: null,
      ...start,
    })
    this.take()
  }

  /** What was done since the last call. */
  take(): string[] {
    return this.lines.splice(0)
  }

  /** Bytes from the other side; all must be taken. */
  receive(link: LinkId, ...packets: Uint8Array[]): string[] {
    const bytes = Uint8Array.from(Buffer.concat(packets))
    const used = this.peer.onBytes(link, bytes, 0, bytes.length)
    if (used !== bytes.length && this.lines.every((line) => !line.startsWith(`load ${link}`))) {
      throw new Error(`${used} of ${bytes.length} bytes taken`)
    }
    return this.take()
  }

  durable(zxid: Zxid): string[] {
    this.peer.onDurable(zxid)
    return this.take()
  }

  saved(which: Epoch, epoch: number): string[] {
    this.peer.onEpochSaved(which, epoch)
    return this.take()
  }

  /** All configurations are saved. */
  configured(): string[] {
    while (this.configs > 0) {
      this.configs--
      this.peer.onConfigSaved()
    }
    return this.take()
  }

  /** Lets time pass, waking the core whenever it wants to be. */
  pass(ms: number): string[] {
    const until = this.now + ms
    while (this.peer.nextDeadlineMs() <= until) {
      this.now = Math.max(this.now, this.peer.nextDeadlineMs())
      this.peer.onDeadline()
    }
    this.now = until
    return this.take()
  }

  /** Sleeps: nobody wakes the core before `ms` are over. */
  sleep(ms: number): string[] {
    this.now += ms
    if (this.peer.nextDeadlineMs() <= this.now) this.peer.onDeadline()
    return this.take()
  }

  elect(leader: Sid, zxid: Zxid = this.tree): string[] {
    this.events!.onElected({ leader, zxid, electionEpoch: 1, peerEpoch: this.peer.currentEpoch })
    this.peer.onDeadline()
    return this.take()
  }

  private readonly election: ElectionPort = {
    look: (zxid, epoch) => void this.lines.push(`look ${zxid.toString(16)} ${epoch}`),
    settle: (role, vote) => void this.looks.push(`${role} ${vote.leader} ${vote.peerEpoch}`),
    onConfig: () => {},
    onOpen: () => {},
    onAccept: () => {},
    onDialFailed: () => {},
    onBytes: (_link, _buf, off, end) => end - off,
    onClose: () => {},
    onDeadline: () => {},
    nextDeadlineMs: () => Number.POSITIVE_INFINITY,
    stop: () => {},
  }

  // --- ZabOut

  nowMs(): number {
    return this.now
  }

  random(): number {
    return 0.5
  }

  dial(sid: Sid, kind: LinkKind): void {
    this.lines.push(`dial ${sid} ${kind}`)
  }

  send(link: LinkId, bytes: Uint8Array): void {
    for (const text of packetTexts(bytes)) this.lines.push(`send ${link}: ${text}`)
  }

  close(link: LinkId): void {
    this.lines.push(`close ${link}`)
  }

  append(zxid: Zxid): void {
    this.lines.push(`append ${zxid.toString(16)}`)
  }

  truncate(zxid: Zxid): void {
    this.lines.push(`truncate ${zxid.toString(16)}`)
  }

  saveEpoch(which: Epoch, epoch: number): void {
    this.lines.push(`save ${which} ${epoch}`)
  }

  deliver(zxid: Zxid): void {
    this.tree = zxid
    this.lines.push(`deliver ${zxid.toString(16)}`)
  }

  history(link: LinkId, from: Zxid): void {
    this.lines.push(`history ${link} from ${from.toString(16)}`)
  }

  sendSnapshot(link: LinkId, zxid: Zxid): void {
    this.lines.push(`snapshot ${link} at ${zxid.toString(16)}`)
  }

  loadSnapshot(link: LinkId, zxid: Zxid): void {
    this.lines.push(`load ${link} at ${zxid.toString(16)}`)
  }

  role(role: Role, leader: Sid | null): void {
    this.lines.push(leader === null ? `role ${role}` : `role ${role} ${leader}`)
  }

  established(role: Role, leader: Sid, epoch: number): void {
    this.lines.push(`established ${role} ${leader} ${epoch}`)
  }

  request(from: LinkId, sid: Sid, request: ForwardedRequest): void {
    this.lines.push(`request ${from} of ${sid}: ${new TextDecoder().decode(request.body)}`)
    this.onRequest(request)
  }

  revalidate(from: LinkId, sid: Sid, hi: number, lo: number, timeoutMs: number): void {
    this.lines.push(`revalidate ${from} of ${sid}: ${hi}.${lo} ${timeoutMs}`)
  }

  sessionTouched(hi: number, lo: number, timeoutMs: number): void {
    this.lines.push(`touched ${hi}.${lo} ${timeoutMs}`)
  }

  learnerGone(link: LinkId, sid: Sid): void {
    this.lines.push(`gone ${link} of ${sid}`)
  }

  takeTouched(visit: (hi: number, lo: number, timeoutMs: number) => void): void {
    for (const [hi, lo, timeoutMs] of this.touched.splice(0)) visit(hi, lo, timeoutMs)
  }

  revalidated(hi: number, lo: number, valid: boolean): void {
    this.lines.push(`revalidated ${hi}.${lo} ${valid}`)
  }

  synced(): void {
    this.lines.push('synced')
  }

  config(quorum: Quorum, committed: boolean): void {
    this.lines.push(`config ${quorum.version.toString(16)} ${committed ? 'committed' : 'seen'}`)
    this.configs++
  }

  trace(): void {}
}

/** Entries `from` to `to` of an epoch, labelled by their zxid. */
export function entries(epoch: number, from: number, to: number): Proposal[] {
  const found: Proposal[] = []
  for (let counter = from; counter <= to; counter++) {
    const zxid = epoch * EPOCH + counter
    found.push({ zxid, bytes: proposalBytes(zxid, zxid.toString(16)) })
  }
  return found
}

export function proposal(epoch: number, counter: number): Uint8Array {
  const [entry] = entries(epoch, counter, counter)
  return packet('PROPOSAL', entry!.zxid, entry!.bytes)
}

export function commit(epoch: number, counter: number): Uint8Array {
  return packet('COMMIT', epoch * EPOCH + counter)
}
