/**
 * One member of the cluster in cluster.ts: the real core (peer.ts with its election) and a world around it in memory.
 *
 * The tree is the list of what was delivered. The disk answers late and in order; a crash loses what it has not answered
 * for. A snapshot on a link is its length and JSON.
 */

import { epochOf, makeZxid, type Zxid, zxidHex } from '../../../src/jute/zxid.ts'
import { follows } from '../../../src/zab/commitlog.ts'
import { Peer } from '../../../src/zab/peer.ts'
import { quorumOfProposal } from '../../../src/zab/role.ts'
import type {
  Epoch,
  ForwardedRequest,
  LinkId,
  LinkKind,
  Proposal,
  Quorum,
  Role,
  Sid,
  ZabOptions,
  ZabOut,
} from '../../../src/zab/types.ts'
import { TXN_RECONFIG, txnType } from '../../../src/zab/types.ts'
import { type Cluster, parse, proposalBytes, TICK_MS } from './cluster.ts'

export interface Tree {
  zxid: Zxid
  list: Proposal[]
}

interface DurableState {
  base: Tree
  log: Proposal[]
  accepted: number
  current: number
  committed: string
  lastSeen: string | null
}

type LogOp =
  | { kind: 'append'; proposal: Proposal }
  | { kind: 'truncate'; zxid: Zxid }
  | { kind: 'load'; end: End; tree: Tree }

/** One side of a link. */
export interface End {
  readonly id: LinkId
  readonly node: Node
  readonly kind: LinkKind
  other: End
  open: boolean
  /** On their way to this side; a null is the end of the link. */
  readonly incoming: { chunk: Uint8Array | null; atMs: number }[]
  pumping: boolean
  rest: Uint8Array
  /** Where the bytes of a snapshot go, and whether it is being put in place. */
  loading: 'no' | 'reading' | 'placing'
  closedMeanwhile: boolean
}

/** One server: its disk, which outlives it, and what is in its memory. */
export class Node implements ZabOut {
  readonly cluster: Cluster
  readonly sid: Sid
  readonly disk: DurableState
  peer: Peer | null
  tree: Tree
  /** The role that was announced, and whether it is established. */
  announced: Role
  epoch: number
  counter: number
  readonly ends: Map<LinkId, End>
  /** Syncs answered, sessions found good or bad, and which kinds of synchronisation this server took part in. */
  syncs: number
  readonly revalidations: string[]
  readonly kinds: string[]
  touched: [number, number, number][]
  private readonly options: ZabOptions
  private logOps: LogOp[]
  private configOps: { text: string; committed: boolean }[]
  private epochOps: { which: Epoch; epoch: number }[]
  life: number

  constructor(cluster: Cluster, sid: Sid, config: string, options: ZabOptions) {
    this.cluster = cluster
    this.sid = sid
    this.options = options
    this.disk = { base: { zxid: 0, list: [] }, log: [], accepted: 0, current: 0, committed: config, lastSeen: null }
    this.peer = null
    this.tree = { zxid: 0, list: [] }
    this.announced = 'looking'
    this.epoch = 0
    this.counter = 0
    this.ends = new Map()
    this.syncs = 0
    this.revalidations = []
    this.touched = []
    this.kinds = []
    this.logOps = []
    this.epochOps = []
    this.configOps = []
    this.life = 0
  }

  get up(): boolean {
    return this.peer !== null
  }

  get serving(): boolean {
    return this.peer?.established === true
  }

  start(): void {
    this.life++
    const { disk } = this
    this.tree = { zxid: disk.base.zxid, list: [...disk.base.list] }
    for (const proposal of disk.log) if (proposal.zxid > this.tree.zxid) this.apply(proposal)
    this.announced = 'looking'
    this.peer = new Peer(this.options, this, parse)
    const zxidLast = this.tree.zxid
    this.cluster.tell(this.sid, `starts at 0x${zxidHex(zxidLast)}`)
    this.input((peer) =>
      peer.start({
        zxidLast,
        acceptedEpoch: Math.max(disk.accepted, disk.current, epochOf(zxidLast)),
        currentEpoch: Math.max(disk.current, epochOf(zxidLast)),
        proposals: disk.log.filter(({ zxid }) => zxid <= zxidLast).slice(-this.options.commitLogCount),
        committed: parse(disk.committed),
        lastSeen: this.newestConfig(),
      }),
    )
  }

  /** Of what was proposed: in the .next file, or in the tree, which has the log. */
  private newestConfig(): Quorum | null {
    const found = this.disk.lastSeen === null ? [] : [parse(this.disk.lastSeen)]
    for (const { bytes } of this.tree.list)
      if (txnType(bytes) === TXN_RECONFIG) found.push(quorumOfProposal(bytes, parse))
    return found.sort((a, b) => b.version - a.version)[0] ?? null
  }

  /** Power loss: of what the disk had not answered for, some first part is there, or nothing. */
  crash(): void {
    if (this.peer === null) return
    const { random } = this.cluster
    let kept = random.below(3) === 0 ? random.below(this.logOps.length + 1) : 0
    for (const op of this.logOps) {
      if (kept-- <= 0 || op.kind !== 'append') break
      this.disk.log.push(op.proposal)
    }
    this.cluster.tell(this.sid, `crashes; its log ends at 0x${zxidHex(this.zxidOnDisk())}`)
    this.life++
    this.peer = null
    this.logOps = []
    this.epochOps = []
    this.configOps = []
    this.announced = 'looking'
    for (const end of this.ends.values()) {
      end.open = false
      // The others hear of it at once, or find out by and by.
      this.cluster.after(random.below(2) * random.below(3 * TICK_MS), () => this.cluster.push(end.other, null))
    }
    this.ends.clear()
  }

  zxidOnDisk(): Zxid {
    const { base, log } = this.disk
    return Math.max(base.zxid, log.length > 0 ? log[log.length - 1]!.zxid : 0)
  }

  /** Any input: time first, and the next deadline afterwards. */
  input(run: (peer: Peer) => void): void {
    const { peer, cluster } = this
    if (peer === null) return
    if (cluster.nowMs >= peer.nextDeadlineMs()) peer.onDeadline()
    run(peer)
    if (this.peer !== peer) return
    const dueMs = peer.nextDeadlineMs()
    if (dueMs !== Number.POSITIVE_INFINITY) {
      const { life } = this
      cluster.at(dueMs, () => {
        if (this.life === life && cluster.nowMs >= peer.nextDeadlineMs()) this.input(() => {})
      })
    }
  }

  /** Proposes, as a server would that leads. */
  write(label: string, config: ((zxid: Zxid) => string) | null = null): Zxid | null {
    if (this.announced !== 'leading' || !this.serving) return null
    const zxid = makeZxid(this.epoch, ++this.counter)
    this.input((peer) => peer.propose(zxid, proposalBytes(zxid, label, config === null ? null : config(zxid))))
    return zxid
  }

  /** What has been delivered goes into a snapshot, and the log before it away. */
  snapshot(): void {
    const last = this.tree.list[this.tree.list.length - 1]?.zxid ?? 0
    if (this.peer === null || this.logOps.length > 0 || last > this.zxidOnDisk()) return
    if (!this.tree.list.every((proposal, i) => this.cluster.committed[i]?.zxid === proposal.zxid)) return
    this.disk.base = { zxid: this.tree.zxid, list: [...this.tree.list] }
    const keep = this.cluster.random.below(2) * 5
    const behind = this.disk.log.findIndex(({ zxid }) => zxid > this.tree.zxid)
    const cut = behind === -1 ? this.disk.log.length : behind
    this.disk.log.splice(0, Math.max(0, cut - keep))
  }

  private apply(proposal: Proposal): void {
    this.tree.list.push(proposal)
    this.tree.zxid = proposal.zxid
  }

  // --- ZabOut

  nowMs(): number {
    return this.cluster.nowMs
  }

  random(): number {
    return this.cluster.random.below(1_000_000) / 1_000_000
  }

  dial(sid: Sid, kind: LinkKind): void {
    this.cluster.dial(this, sid, kind)
  }

  send(link: LinkId, bytes: Uint8Array): void {
    const end = this.ends.get(link)
    if (end !== undefined) this.cluster.push(end.other, bytes.slice())
  }

  close(link: LinkId, why: string): void {
    const end = this.ends.get(link)
    if (end === undefined) return
    this.cluster.tell(this.sid, `closes its link to ${end.other.node.sid}: ${why}`)
    this.ends.delete(link)
    end.open = false
    this.cluster.push(end.other, null)
  }

  append(zxid: Zxid, bytes: Uint8Array): void {
    this.logOps.push({ kind: 'append', proposal: { zxid, bytes } })
    if (this.logOps.length === 1) this.runLog()
  }

  truncate(zxid: Zxid): void {
    this.kinds.push('trunc')
    this.logOps.push({ kind: 'truncate', zxid })
    if (this.logOps.length === 1) this.runLog()
  }

  private runLog(): void {
    const { life } = this
    this.cluster.after(this.cluster.diskDelay(), () => {
      if (this.life === life) this.finishLog()
    })
  }

  private finishLog(): void {
    const op = this.logOps[0]!
    if (op.kind === 'append') {
      let count = 1 + this.cluster.random.below(4)
      let zxid = 0
      while (count-- > 0 && this.logOps[0]?.kind === 'append') {
        const next = this.logOps.shift() as { kind: 'append'; proposal: Proposal }
        this.appendDurably(next.proposal)
        zxid = next.proposal.zxid
      }
      if (this.logOps.length > 0) this.runLog()
      this.input((peer) => peer.onDurable(zxid))
      return
    }
    this.logOps.shift()
    if (this.logOps.length > 0) this.runLog()
    if (op.kind === 'truncate') this.finishTruncate(op.zxid)
    else this.finishLoad(op.end, op.tree)
  }

  private appendDurably(proposal: Proposal): void {
    const last = this.zxidOnDisk()
    this.cluster.check(follows(last, proposal.zxid), `I9: ${this.sid} logs 0x${zxidHex(proposal.zxid)} behind ${last}`)
    this.disk.log.push(proposal)
  }

  private finishTruncate(zxid: Zxid): void {
    if (this.disk.base.zxid > zxid) {
      this.kinds.push('uncovered')
      this.input((peer) => peer.onTruncated(this.zxidOnDisk(), this.tree.zxid))
      return
    }
    this.disk.log = this.disk.log.filter((proposal) => proposal.zxid <= zxid)
    const ends = this.zxidOnDisk()
    if (this.tree.zxid > ends) {
      this.tree = { zxid: this.disk.base.zxid, list: [...this.disk.base.list] }
      for (const proposal of this.disk.log) if (proposal.zxid > this.tree.zxid) this.apply(proposal)
    }
    this.input((peer) => peer.onTruncated(ends, this.tree.zxid))
  }

  saveEpoch(which: Epoch, epoch: number): void {
    this.epochOps.push({ which, epoch })
    const { life } = this
    this.cluster.after(this.cluster.diskDelay(), () => {
      if (this.life !== life) return
      const op = this.epochOps.shift()!
      this.cluster.check(op.epoch >= this.disk[op.which], `I9: ${op.which}Epoch of ${this.sid} falls`)
      this.disk[op.which] = op.epoch
      this.cluster.check(this.disk.accepted >= this.disk.current, `I9: epochs of ${this.sid}`)
      this.input((peer) => peer.onEpochSaved(op.which, op.epoch))
    })
  }

  deliver(zxid: Zxid, bytes: Uint8Array): void {
    this.cluster.check(zxid > this.tree.zxid, `${this.sid} delivers 0x${zxidHex(zxid)} at ${this.tree.zxid}`)
    this.apply({ zxid, bytes })
    // Ahead of that, what is taken over is compared when the role is established; a leader may take it over in vain.
    if (this.serving) this.cluster.onDelivered(this)
  }

  history(link: LinkId, from: Zxid, bytesMax: number): void {
    this.kinds.push('disk')
    const { life } = this
    this.cluster.after(this.cluster.diskDelay(), () => {
      if (this.life !== life || !this.ends.has(link)) return
      const { log } = this.disk
      let at = log.findIndex(({ zxid }) => zxid > from)
      if (at === -1) at = log.length
      if (at === 0) {
        this.input((peer) => peer.onHistory(link, [], 'gap'))
        return
      }
      const found: Proposal[] = []
      let bytes = 0
      let next = at - 1
      while (next < log.length && bytes < bytesMax) {
        found.push(log[next]!)
        bytes += log[next++]!.bytes.length
      }
      this.input((peer) => peer.onHistory(link, found, next < log.length ? 'more' : 'end'))
    })
  }

  sendSnapshot(link: LinkId, zxid: Zxid): void {
    this.kinds.push('snap')
    const list = this.tree.list.map((proposal) => [proposal.zxid, [...proposal.bytes]])
    const json = new TextEncoder().encode(JSON.stringify({ zxid, list }))
    const bytes = new Uint8Array(4 + json.length)
    new DataView(bytes.buffer).setUint32(0, json.length)
    bytes.set(json, 4)
    this.cluster.check(
      zxid === this.tree.zxid,
      `SNAP of ${this.sid} is named 0x${zxidHex(zxid)}, not ${this.tree.zxid}`,
    )
    for (let at = 0; at < bytes.length; at += 500) this.send(link, bytes.subarray(at, at + 500))
    const { life } = this
    this.cluster.after(this.cluster.diskDelay() * 3, () => {
      if (this.life === life && this.ends.has(link)) this.input((peer) => peer.onSnapshotSent(link))
    })
  }

  loadSnapshot(link: LinkId, _zxid: Zxid): void {
    this.ends.get(link)!.loading = 'reading'
  }

  onReceived(end: End, chunk: Uint8Array): void {
    const bytes = new Uint8Array(end.rest.length + chunk.length)
    bytes.set(end.rest)
    bytes.set(chunk, end.rest.length)
    end.rest = bytes
    this.offer(end)
  }

  private offer(end: End): void {
    if (end.loading === 'no' && end.open) {
      const bytes = end.rest
      let used = 0
      this.input((peer) => {
        used = peer.onBytes(end.id, bytes, 0, bytes.length)
      })
      end.rest = bytes.subarray(Math.min(used, bytes.length))
    }
    if (end.loading !== 'reading' || end.rest.length < 4) return
    const length = new DataView(end.rest.buffer, end.rest.byteOffset).getUint32(0)
    if (end.rest.length < 4 + length) return
    const { zxid, list } = JSON.parse(new TextDecoder().decode(end.rest.subarray(4, 4 + length)))
    end.rest = end.rest.slice(4 + length)
    end.loading = 'placing'
    const tree = { zxid, list: list.map(([z, b]: [Zxid, number[]]) => ({ zxid: z, bytes: Uint8Array.from(b) })) }
    this.logOps.push({ kind: 'load', end, tree })
    if (this.logOps.length === 1) this.runLog()
  }

  private finishLoad(end: End, tree: Tree): void {
    this.disk.base = { zxid: tree.zxid, list: [...tree.list] }
    this.disk.log = []
    // Of a leader that is not established yet, and was started anew, the tree may have what is not committed: nobody is
    // served from it, and it is compared when the role is established.
    this.tree = tree
    end.loading = 'no'
    this.input((peer) => peer.onSnapshotLoaded(end.id, tree.zxid))
    if (!end.open) return
    if (end.rest.length > 0) this.offer(end)
    if (end.closedMeanwhile) this.onEnded(end)
  }

  onEnded(end: End): void {
    if (end.loading === 'placing') {
      end.closedMeanwhile = true
      return
    }
    end.open = false
    this.ends.delete(end.id)
    this.input((peer) => peer.onClose(end.id))
  }

  role(role: Role, leader: Sid | null): void {
    this.announced = role
    this.cluster.tell(this.sid, leader === null ? role : `${role} ${leader}`)
  }

  established(role: Role, leader: Sid, epoch: number): void {
    this.epoch = epoch
    this.counter = 0
    if (role === 'leading') this.tree.zxid = makeZxid(epoch, 0)
    this.cluster.onEstablished(this, role, leader, epoch)
  }

  request(_from: LinkId, sid: Sid, request: ForwardedRequest): void {
    const zxid = makeZxid(this.epoch, ++this.counter)
    this.peer?.propose(zxid, proposalBytes(zxid, `${sid}:${new TextDecoder().decode(request.body)}`))
  }

  revalidate(from: LinkId, _sid: Sid, sessionHi: number, sessionLo: number, timeoutMs: number): void {
    this.peer?.answerRevalidate(from, sessionHi, sessionLo, timeoutMs > 0)
  }

  sessionTouched(sessionHi: number, sessionLo: number, timeoutMs: number): void {
    this.touched.push([sessionHi, sessionLo, timeoutMs])
  }

  learnerGone(): void {}

  takeTouched(visit: (sessionHi: number, sessionLo: number, timeoutMs: number) => void): void {
    for (const [hi, lo, timeoutMs] of this.touched) visit(hi, lo, timeoutMs)
    this.touched = []
  }

  revalidated(sessionHi: number, sessionLo: number, valid: boolean): void {
    this.revalidations.push(`${sessionHi}.${sessionLo} ${valid}`)
  }

  synced(): void {
    this.syncs++
  }

  config(quorum: Quorum, committed: boolean): void {
    this.configOps.push({ text: quorum.text, committed })
    if (this.configOps.length === 1) this.runConfig()
  }

  private runConfig(): void {
    const { life } = this
    this.cluster.after(this.cluster.diskDelay() * 2, () => {
      if (this.life !== life) return
      const { text, committed } = this.configOps.shift()!
      if (committed) this.disk.committed = text
      else this.disk.lastSeen = text
      if (this.configOps.length > 0) this.runConfig()
      this.input((peer) => peer.onConfigSaved())
    })
  }

  trace(message: string): void {
    this.cluster.tell(this.sid, message)
  }
}
