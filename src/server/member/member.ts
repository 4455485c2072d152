/**
 * One member of an ensemble, whole but for sockets and timers: agreement, storage, tree, and the pipeline of its role.
 *
 * It stands between the core of agreement (Zab) and everything that core asks for. Disk, network, clock and chance are
 * handed in, so that a simulator can run whole servers. Every input reads the clock first: a server that was asleep
 * learns it before it answers anybody.
 *
 * The tree only ever takes what is committed; a restart alone replays all that was logged. A role has a pipeline of its
 * own from the moment it is established; when it ends, its clients are cut, and then the pipeline is dropped.
 * Java: QuorumPeer.run, LeaderZooKeeperServer, FollowerZooKeeperServer, ObserverZooKeeperServer, ReadOnlyZooKeeperServer.
 */

import type { StateMachine } from '../../datatree/apply.ts'
import { openPathsText } from '../../datatree/openacls.ts'
import { OpCode } from '../../jute/codes.ts'
import { StorageError } from '../../jute/errors.ts'
import { makeZxid, type Zxid } from '../../jute/zxid.ts'
import type { Disk } from '../../txnlog/disk.ts'
import type { KvHome } from '../../txnlog/kv.ts'
import type { PurgeCheckpoint } from '../../txnlog/purge.ts'
import type { RecoverProgress } from '../../txnlog/recover.ts'
import type { SnapshotWritten } from '../../txnlog/snapshotstore.ts'
import type { Network, NetworkSink } from '../../zab/links.ts'
import { Peer } from '../../zab/peer.ts'
import type { ForwardedRequest, LinkId, LinkKind, Quorum, Role, Sid, Zab, ZabOut } from '../../zab/types.ts'
import type { Backlog } from '../backlog.ts'
import type { Config } from '../config/config.ts'
import { readConfigZnode, writeConfigZnode } from '../config/configznode.ts'
import { type Membership, parseConfigText, parseQuorumText, quorumOf } from '../config/members.ts'
import { ConfigError } from '../config/settings.ts'
import { lengthMaxOf, makeAuth, makeState, Relay, zxidText } from '../life/parts.ts'
import type { Audit } from '../report/audit.ts'
import { Latencies } from '../report/latencies.ts'
import { type Metrics, ResponseSizes } from '../report/metrics.ts'
import type { Connection } from '../requests/connection.ts'
import { Pipeline, type PipelineHost, type PipelineRole } from '../requests/pipeline.ts'
import { pipelineOptions } from '../requests/pipelineoptions.ts'
import { ReconfigPlanner } from '../requests/reconfig.ts'
import { Sessions } from '../requests/sessions.ts'
import { Throttle } from '../requests/throttle.ts'
import { type HistoryReader, MemberStorage } from './memberstorage.ts'
import { Provenance } from './provenance.ts'
import { isBadSnapshot, SnapshotReceiver, SnapshotSender } from './snapshotlinks.ts'
import { zabOptions } from './zaboptions.ts'

export interface MemberHost {
  /** Monotonic milliseconds. */
  nowMs(): number
  /** Milliseconds since 1970. */
  wallMs(): number
  /** Uniform in [0, 1). */
  random(): number
  readonly network: Network
  readonly disk: Disk
  /** Where a checkpoint would be (snapshot.store=level); without it there can be none. */
  readonly checkpoints?: KvHome | null
  /** Null, or not there: no audit log. */
  readonly audit?: Audit | null
  /** Clients are served by this pipeline from now on. Null: cut every client before returning, and take no new ones. */
  serve(pipeline: Pipeline | null): void
  connection(connId: number): Connection | undefined
  /** `flush` is wanted at the end of this turn, and `nextDeadlineMs` may be another now. */
  want(): void
  /** The server cannot go on. */
  failed(err: Error): void
  log(level: 'debug' | 'info' | 'warn', fields: Record<string, unknown>, message: string): void
  /** How far a start is. */
  readonly progress?: ((progress: RecoverProgress) => void) | undefined
  /** A configuration was proposed (to be offered again after a restart), or is in force now. */
  config(quorum: Quorum, committed: boolean, done: () => void): void
}

/** Java waits no less before it serves reads without a quorum. */
const READ_ONLY_GRACE_MIN_MS = 2000

export class Member implements NetworkSink {
  readonly zab: Zab
  state: StateMachine
  /** Of the role that is established; of read-only mode while looking. */
  pipeline: Pipeline | null
  sessions: Sessions | null
  /** Bytes of the proposals we made, as `srvr` of a leader shows them. */
  readonly proposalSizes: ResponseSizes
  /** When the role was established. */
  establishedMs: number
  private readonly sid: Sid
  private readonly config: Config
  private readonly host: MemberHost
  private readonly metrics: Metrics
  private readonly storage: MemberStorage
  private readonly relay: Relay
  private readonly latencies: Latencies
  private readonly senders: Map<LinkId, SnapshotSender>
  private readonly receivers: Map<LinkId, SnapshotReceiver>
  private readonly readers: Map<LinkId, HistoryReader>
  /** What came behind a snapshot while it was put in place, up to the packet that is not all there. */
  private readonly rests: Map<LinkId, Backlog>
  private nowMs: number
  /** When read-only mode begins; infinity outside of LOOKING. */
  private readOnlyAtMs: number
  private sessionSeedMs: number
  private roleSinceMs: number
  /** Since when nobody was served but in read-only mode; null while there is an established role. */
  private unavailableSinceMs: number | null
  /** Where the tree stood that came from a leader; its digests are void until all that followed is in it. */
  private fuzzyFrom: Zxid | null
  private readonly provenance: Provenance
  private running: boolean

  constructor(config: Config, host: MemberHost, metrics: Metrics) {
    this.sid = config.serverId!
    this.config = config
    this.host = host
    this.metrics = metrics
    this.relay = new Relay((zxid) => this.onDigestMismatch(zxid), metrics)
    this.latencies = new Latencies(metrics)
    this.storage = new MemberStorage(config, host.disk, metrics, {
      checkpoints: host.checkpoints ?? null,
      makeState: () => this.newState(),
      durable: (zxid) => {
        this.latencies.onDurable(zxid, this.zab.role, this.sid, host.nowMs())
        this.input(() => this.zab.onDurable(zxid))
      },
      failed: (err) => host.failed(err),
      random: () => host.random(),
      wallMs: () => host.wallMs(),
      log: (level, fields, message) => host.log(level, fields, message),
      progress: host.progress,
    })
    this.state = this.newState()
    this.pipeline = null
    this.sessions = null
    this.proposalSizes = new ResponseSizes()
    this.establishedMs = 0
    this.senders = new Map()
    this.receivers = new Map()
    this.readers = new Map()
    this.rests = new Map()
    this.nowMs = host.nowMs()
    this.readOnlyAtMs = Number.POSITIVE_INFINITY
    this.sessionSeedMs = 0
    this.roleSinceMs = this.nowMs
    this.unavailableSinceMs = null
    this.fuzzyFrom = null
    this.provenance = new Provenance()
    this.running = false
    this.zab = new Peer(zabOptions(config), this.out, (text) => this.parse(text))
  }

  /** A checkpoint that takes the place of older files; null where files alone count. */
  get checkpoint(): PurgeCheckpoint | null {
    return this.storage.purgeable
  }

  private newState(): StateMachine {
    return makeState(this.config, this.relay, Math.floor(this.host.random() * 2 ** 31))
  }

  private parse(text: string): Quorum {
    return parseQuorumText(text, this.config.quorum.multiAddressEnabled)
  }

  /** Recovers from disk, then looks for a leader. `lastSeen`: the text of a configuration that was proposed, or null. */
  async start(lastSeen: string | null): Promise<void> {
    const startMs = this.host.nowMs()
    const configured = quorumOf(this.config.quorum.membership)
    if (!configured.isMember(this.sid)) throw this.notListed()
    const loaded = await this.storage.load(configured)
    this.state = loaded.state
    if (loaded.zxidLast < 0) this.state.zxidLast = 0
    this.provenance.endReading(this.state)
    const inTree = this.configInTree()
    if (inTree === null || inTree.version <= configured.version) this.writeConfig(configured)
    const ms = Math.round(this.host.nowMs() - startMs)
    this.metrics.basic.dbinittime.add(ms)
    this.host.log(
      'info',
      {
        zxid: zxidText(loaded.zxidLast),
        epoch: loaded.currentEpoch,
        znodes: this.state.tree.nodeCount,
        worldWritable: openPathsText(this.state.tree),
        snapshot: zxidText(loaded.snapshotZxid),
        txnsReplayed: loaded.txnsReplayed,
        ms,
      },
      'data loaded',
    )
    this.running = true
    this.input(() =>
      this.zab.start({
        zxidLast: loaded.zxidLast,
        acceptedEpoch: loaded.acceptedEpoch,
        currentEpoch: loaded.currentEpoch,
        proposals: loaded.proposals,
        committed: configured,
        lastSeen: newest(lastSeen === null ? null : this.parse(lastSeen), inTree),
      }),
    )
  }

  /**
   * The last configuration in our log. Java knows the `.next` file only; if that could not be written, or was written
   * for one that came before, this is what it would hold.
   */
  private configInTree(): Quorum | null {
    if (!this.config.quorum.reconfigEnabled) return null
    const text = readConfigZnode(this.state)
    return text === null ? null : this.parse(text)
  }

  /** As Java's, which does not start either: whoever is no member to itself can neither listen nor be found. */
  private notListed(): ConfigError {
    const { file, quorum } = this.config
    const place = quorum.dynamicConfigFile ?? file ?? 'configuration'
    return new ConfigError(
      `${place}: server ${this.sid} (myid) is not in the list of servers. To join an ensemble that does not have it, add its own line server.${this.sid}=... there; it follows without a vote until a reconfig adds it`,
    )
  }

  async stop(): Promise<void> {
    if (this.running) this.zab.stop()
    this.running = false
    this.stopServing()
    for (const sender of this.senders.values()) sender.abort()
    for (const reader of this.readers.values()) await reader.close()
    this.host.network.flush()
    await this.storage.close()
  }

  // ------------------------------------------------------------------ inputs

  /** Everything that reaches the core goes through here. */
  private input(run: () => void): void {
    if (!this.running) return
    this.clockFirst()
    try {
      run()
    } catch (err) {
      this.fail(err instanceof Error ? err : new Error(String(err)))
    }
    this.host.want()
  }

  private fail(err: Error): void {
    if (err !== this.provenance.foreign) {
      this.host.failed(err)
      return
    }
    // The next start must know: by then our log holds what does not fit, and nothing would look wrong any more.
    this.running = false
    const ended = (): void => this.host.failed(err)
    this.storage.disown(err.message).then(ended, ended)
  }

  private onDigestMismatch(zxid: Zxid): void {
    this.metrics.counters.digest_mismatches_count++
    this.provenance.onMismatch(zxid, this.state, this.config.dataDir)
    const text = 'the tree is not what the author of this transaction had: digests differ'
    this.host.log('warn', { zxid: zxidText(zxid) }, text)
  }

  /**
   * What is due is done. To be called ahead of any input, a client's too: who has slept may not lead any more, and must
   * not answer as if nothing had been.
   */
  clockFirst(): void {
    this.nowMs = this.host.nowMs()
    if (!this.running || this.nowMs < this.nextDeadlineMs()) return
    if (this.nowMs >= this.readOnlyAtMs) this.startReadOnly()
    this.dropStalled()
    if (this.nowMs >= this.zab.nextDeadlineMs()) this.zab.onDeadline()
    this.host.want()
  }

  nextDeadlineMs(): number {
    let next = Math.min(this.zab.nextDeadlineMs(), this.readOnlyAtMs)
    for (const receiver of this.receivers.values()) {
      if (receiver.phase === 'reading') next = Math.min(next, receiver.heardMs + this.initLimitMs)
    }
    return next
  }

  /** The core sees nothing of a snapshot's bytes: a leader that died in the middle of one without a word is our matter. */
  private dropStalled(): void {
    for (const [link, receiver] of this.receivers) {
      if (receiver.phase !== 'reading' || this.nowMs < receiver.heardMs + this.initLimitMs) continue
      this.host.log('warn', { initLimitMs: this.initLimitMs }, 'no more of the tree came from the leader for initLimit')
      this.receivers.delete(link)
      this.host.network.close(link, 'the snapshot has stalled')
      this.zab.onClose(link)
    }
  }

  private get initLimitMs(): number {
    return this.config.quorum.initLimitTicks * this.config.tickTimeMs
  }

  onAccept(link: LinkId, kind: LinkKind): void {
    // We listen before we have recovered. A connection nobody here knows of would look sound to the other side for ever.
    if (!this.running) this.host.network.close(link, 'not ready yet')
    this.input(() => this.zab.onAccept(link, kind))
  }

  onOpen(link: LinkId, sid: Sid, kind: LinkKind): void {
    this.input(() => this.zab.onOpen(link, sid, kind))
  }

  onDialFailed(sid: Sid, kind: LinkKind): void {
    this.input(() => this.zab.onDialFailed(sid, kind))
  }

  onBytes(link: LinkId, buf: Uint8Array, off: number, end: number): number {
    let used = 0
    this.input(() => {
      const rest = this.rests.get(link)
      if (rest === undefined) {
        used = this.take(link, buf, off, end)
        return
      }
      rest.push(buf, off, end)
      this.takeRest(link, rest)
      used = end - off
    })
    return used
  }

  /** Returns the bytes consumed: by the core, and by a snapshot, which may begin right behind what the core has taken. */
  private take(link: LinkId, buf: Uint8Array, off: number, end: number): number {
    const used = this.receivers.has(link) ? 0 : this.zab.onBytes(link, buf, off, end)
    const receiver = this.receivers.get(link)
    if (receiver === undefined || off + used >= end) return used
    this.receive(link, receiver, buf, off + used, end)
    return end - off
  }

  /** The link may be closed meanwhile, and its rest forgotten. */
  private takeRest(link: LinkId, rest: Backlog): void {
    rest.offer((buf, off, end) => this.take(link, buf, off, end))
    if (rest.length === 0) this.rests.delete(link)
  }

  onClose(link: LinkId): void {
    this.input(() => {
      this.forgetLink(link)
      const receiver = this.receivers.get(link)
      if (receiver?.phase === 'installing') {
        receiver.closed = true // told to the core when the snapshot is in place
        return
      }
      this.receivers.delete(link)
      this.zab.onClose(link)
    })
  }

  private forgetLink(link: LinkId): void {
    this.rests.delete(link)
    this.senders.get(link)?.abort()
    this.senders.delete(link)
    void this.readers.get(link)?.close()
    this.readers.delete(link)
  }

  /** Sessions, twice a tick or more often. */
  onTick(): void {
    this.clockFirst()
    this.pipeline?.onTick(this.nowMs)
    this.storage.onTick()
    this.host.want()
  }

  /** End of the turn: what goes to others leaves first, so that the network runs beside our disk. */
  flush(): void {
    this.host.network.flush()
    this.storage.flush()
  }

  /** A snapshot in Java's form, for who wants one. */
  snapshotFile(): Promise<SnapshotWritten> {
    return this.storage.snapshotFile(this.state)
  }

  // ------------------------------------------------------------------ what the core asks for

  private readonly out: ZabOut = {
    nowMs: () => this.nowMs,
    random: () => this.host.random(),
    dial: (sid, kind, hint) => this.host.network.dial(sid, kind, this.addressesOf(sid, kind, hint ?? [])),
    send: (link, bytes) => this.host.network.send(link, bytes),
    close: (link, why) => {
      this.forgetLink(link)
      this.receivers.delete(link)
      this.host.network.close(link, why)
    },
    append: (zxid, proposal) => {
      this.latencies.onProposal(zxid, this.nowMs)
      if (this.zab.role !== 'leading') {
        this.metrics.counters.learner_proposal_received_count++
        this.latencies.onReceived(this.host.wallMs(), proposal)
      }
      this.storage.append(zxid, proposal)
    },
    truncate: (zxid) => {
      this.host.log('warn', { zxid: zxidText(zxid) }, 'our log is cut: what is behind it was never committed')
      const open = this.provenance.beginReading()
      this.storage.truncate(zxid, this.state, (zxidLogged, state) => {
        if (state !== this.state) this.replaceState(state)
        if (open) this.provenance.endReading(state)
        this.input(() => this.zab.onTruncated(zxidLogged, state.zxidLast))
      })
    },
    saveEpoch: (which, epoch) =>
      this.storage.saveEpoch(which, epoch, () => this.input(() => this.zab.onEpochSaved(which, epoch))),
    deliver: (zxid, proposal) => this.deliver(zxid, proposal),
    history: (link, from, bytesMax) => void this.sendHistory(link, from, bytesMax),
    sendSnapshot: (link, zxid) => {
      this.metrics.counters.snap_count++
      this.metrics.basic.inflight_snap_count.add(this.senders.size + 1)
      const sender = new SnapshotSender(link, this.host.network, this.state, () => {
        this.senders.delete(link)
        this.input(() => this.zab.onSnapshotSent(link))
      })
      this.senders.set(link, sender)
      this.host.log('info', { link, zxid: zxidText(zxid) }, 'sending the tree to a learner')
    },
    loadSnapshot: (link, zxid) => {
      this.host.log('info', { zxid: zxidText(zxid) }, 'receiving the tree from the leader')
      this.receivers.set(link, new SnapshotReceiver(zxid, this.newState(), lengthMaxOf(this.config), this.nowMs))
    },
    role: (role, leader) => this.onRole(role, leader),
    established: (role, leader, epoch) => this.onEstablished(role, leader, epoch),
    request: (from, sid, request) => this.pipeline?.onForwarded(from, sid, request),
    revalidate: (from, _sid, hi, lo, timeoutMs) => {
      this.metrics.counters.revalidate_count++
      const valid = this.pipeline?.onRevalidate(from, hi, lo, timeoutMs) ?? false
      this.zab.answerRevalidate(from, hi, lo, valid)
    },
    sessionTouched: (hi, lo, timeoutMs) => this.pipeline?.onTouched(hi, lo, timeoutMs),
    learnerGone: (link) => this.pipeline?.onLearnerGone(link),
    takeTouched: (visit) => this.pipeline?.takeTouched(visit),
    revalidated: (hi, lo, valid) => this.pipeline?.onRevalidated(hi, lo, valid),
    synced: () => this.pipeline?.onSynced(),
    config: (quorum, committed) => {
      if (committed) {
        this.writeConfig(quorum)
        this.storage.membersChanged(quorum)
      }
      this.host.config(quorum, committed, () => this.input(() => this.zab.onConfigSaved()))
    },
    measure: (figure, sid, value) => this.latencies.onFigure(figure, sid, value),
    trace: (message) => this.host.log('debug', {}, message),
  }

  /** What the other side said of itself; else the committed configuration's addresses, then those of a newer one. */
  private addressesOf(sid: Sid, kind: LinkKind, hint: readonly string[]): string[] {
    const port = this.config.quorum.observerMasterPort
    const of = (quorum: Quorum): readonly string[] => {
      if (kind === 'election') return quorum.electionAddresses(sid)
      return kind === 'learner' ? quorum.quorumAddresses(sid) : atPort(quorum.quorumAddresses(sid), port)
    }
    return [...new Set(hint.length > 0 ? hint : [...of(this.zab.committed), ...of(this.zab.lastSeen)])]
  }

  private deliver(zxid: Zxid, proposal: Uint8Array): void {
    const { pipeline } = this
    if (this.zab.role === 'leading') this.metrics.counters.commit_count++
    else this.metrics.counters.learner_commit_received_count++
    this.latencies.onCommitted(zxid, this.zab.role, this.nowMs, this.host.wallMs(), proposal, 0)
    if (pipeline !== null) pipeline.deliver(zxid, proposal, 0, proposal.length)
    else this.state.apply(proposal, 0, proposal.length)
    if (pipeline !== null) this.storage.applied(zxid, this.state)
  }

  private replaceState(state: StateMachine): void {
    this.state = state
    this.writeConfig(this.zab.committed)
  }

  // ------------------------------------------------------------------ synchronisation

  private async sendHistory(link: LinkId, from: Zxid, bytesMax: number): Promise<void> {
    try {
      let reader = this.readers.get(link)
      if (reader === undefined) {
        const opened = await this.storage.openHistory(from)
        if (opened === null) return this.input(() => this.zab.onHistory(link, [], 'gap'))
        reader = opened
        this.readers.set(link, reader)
      }
      const { proposals, state } = await reader.next(bytesMax)
      await new Promise<void>((resolve) => this.host.network.whenRoom(link, resolve))
      if (this.readers.get(link) !== reader) return // the link is gone
      if (state !== 'more') this.forgetLink(link)
      this.input(() => this.zab.onHistory(link, proposals, state))
    } catch (err) {
      const { file, offset } = err instanceof StorageError ? err : { file: null, offset: null }
      this.host.log('warn', { err, file, offset }, 'cannot read the log for a learner: it is to take the whole tree')
      this.forgetLink(link)
      this.input(() => this.zab.onHistory(link, [], 'gap'))
    }
  }

  private receive(link: LinkId, receiver: SnapshotReceiver, buf: Uint8Array, off: number, end: number): void {
    let whole: boolean
    receiver.heardMs = this.nowMs
    try {
      whole = receiver.push(buf, off, end)
    } catch (err) {
      if (!isBadSnapshot(err)) throw err
      this.host.log('warn', { err }, 'the leader sent a tree that cannot be read')
      this.receivers.delete(link)
      this.host.network.close(link, 'bad snapshot')
      this.zab.onClose(link)
      return
    }
    if (!whole) return
    const { state, zxid } = receiver
    if (!this.config.quorum.reconfigEnabled) this.writeConfig(this.zab.committed, state)
    this.storage.install(state, zxid, () =>
      this.input(() => {
        state.fuzzy = true
        this.fuzzyFrom = zxid
        this.replaceState(state)
        this.receivers.delete(link)
        this.zab.onSnapshotLoaded(link, zxid)
        this.rests.set(link, receiver.rest)
        this.takeRest(link, receiver.rest)
        if (receiver.closed) this.zab.onClose(link)
      }),
    )
  }

  // ------------------------------------------------------------------ roles

  private onRole(role: Role, leader: Sid | null): void {
    this.host.log('info', leader === null ? {} : { leader }, role)
    this.stopServing()
    if (role === 'looking') {
      this.metrics.counters.looking_count++
      if (this.unavailableSinceMs === null) this.unavailableSinceMs = this.nowMs
    } else {
      this.metrics.basic.election_time.add(this.nowMs - this.roleSinceMs)
    }
    this.roleSinceMs = this.nowMs
    this.readOnlyAtMs =
      role === 'looking' && this.config.readonlyModeEnabled
        ? this.nowMs + Math.max(READ_ONLY_GRACE_MIN_MS, this.config.tickTimeMs)
        : Number.POSITIVE_INFINITY
    this.host.network.listen('learner', role === 'leading')
    this.host.network.listen('observer', false)
  }

  private onEstablished(role: Role, leader: Sid, epoch: number): void {
    this.establishedMs = this.nowMs
    this.proposalSizes.reset()
    this.countAvailable(role)
    this.state.fuzzy = false
    this.provenance.settle()
    const moved = this.fuzzyFrom !== null && this.state.zxidLast > this.fuzzyFrom
    this.fuzzyFrom = null
    if (role === 'leading') this.state.zxidLast = Math.max(this.state.zxidLast, makeZxid(epoch, 0))
    this.writeConfig(this.zab.committed)
    this.startServing(role === 'leading' ? 'leader' : 'learner')
    if (this.config.quorum.observerMasterPort > 0) this.host.network.listen('observer', role === 'following')
    this.host.log('info', { leader, epoch, zxid: zxidText(this.state.zxidLast) }, `${role}: serving`)
    // What the leader sent was a moving picture if anything came behind it: a replay from there ends in the right tree,
    // but on the way digests differ, and an operator would take that for damage. The next start shall find a still one.
    if (moved || (role === 'leading' && this.config.compat.snapshotAtStart)) void this.storage.snapshot(this.state)
    if (role === 'leading') this.closeOrphans()
  }

  private countAvailable(role: Role): void {
    const { basic } = this.metrics
    const syncMs = this.nowMs - this.roleSinceMs
    if (role === 'following') basic.follower_sync_time.add(syncMs)
    if (role === 'observing') basic.observer_sync_time.add(syncMs)
    if (this.unavailableSinceMs === null) return
    basic.unavailable_time.add(this.nowMs - this.unavailableSinceMs)
    if (role === 'leading') basic.leader_unavailable_time.add(this.nowMs - this.unavailableSinceMs)
    this.unavailableSinceMs = null
  }

  private startReadOnly(): void {
    this.readOnlyAtMs = Number.POSITIVE_INFINITY
    this.startServing('readonly')
    this.host.log('info', {}, 'no quorum: serving reads only')
  }

  private startServing(role: PipelineRole): void {
    const { config, state, nowMs } = this
    // Ids must not come again after the wall clock went back.
    this.sessionSeedMs = Math.max(this.sessionSeedMs + 1, this.host.wallMs())
    const sessions = new Sessions(config.tickTimeMs, this.sid, this.sessionSeedMs, nowMs)
    if (role === 'leader') {
      state.sessions.forEach((timeoutMs, hi, lo) => {
        sessions.track(hi, lo, timeoutMs, nowMs)
      })
    }
    const throttle = new Throttle(config.connectionThrottle, () => this.host.random(), nowMs)
    const options = pipelineOptions(config, role, role === 'leader' ? this.planner() : null)
    const pipeline = new Pipeline(
      state,
      makeAuth(config, state),
      sessions,
      this.metrics,
      throttle,
      { ...this.pipelineHost, audit: this.host.audit ?? null },
      options,
    )
    this.sessions = sessions
    this.pipeline = pipeline
    this.relay.pipeline = pipeline
    if (role === 'leader' && !config.quorum.leaderServes) return
    this.host.serve(pipeline)
  }

  private planner(): ReconfigPlanner | null {
    const { quorum } = this.config
    if (!quorum.reconfigEnabled) return null
    const read = (text: string): Membership => parseConfigText(text, quorum.multiAddressEnabled)
    return new ReconfigPlanner({
      committed: () => read(this.zab.committed.text),
      lastSeen: () => read(this.zab.lastSeen.text),
      hasSyncedQuorum: (membership) => this.zab.hasSyncedQuorum(quorumOf(membership)),
      standaloneEnabled: quorum.standaloneEnabled,
      multiAddressEnabled: quorum.multiAddressEnabled,
    })
  }

  private stopServing(): void {
    if (this.pipeline === null) return
    this.host.serve(null)
    this.pipeline.stop()
    this.pipeline = null
    this.sessions = null
    this.relay.pipeline = null
  }

  private readonly pipelineHost: PipelineHost = {
    nowMs: () => this.host.nowMs(),
    wallMs: () => this.host.wallMs(),
    propose: (zxid, buf, off, end) => {
      this.proposalSizes.add(end - off)
      this.metrics.counters.proposal_count++
      this.zab.propose(zxid, buf.slice(off, end))
      this.host.want()
    },
    forward: (request: ForwardedRequest) => {
      this.zab.forward(request)
      this.host.want()
    },
    confirmLeading: () => {
      this.host.want()
      return this.zab.confirmLeading()
    },
    revalidate: (hi, lo, timeoutMs) => {
      this.zab.revalidate(hi, lo, timeoutMs)
      this.host.want()
    },
    rollover: () => {
      this.zab.resign('the zxids of this epoch are used up')
      this.host.want()
    },
    connection: (connId) => this.host.connection(connId),
    sessionOpened: () => {},
    sessionEnded: (_session, expired) => {
      if (expired) this.metrics.counters.stale_sessions_expired++
    },
    info: (message, fields) => this.host.log('info', fields, message),
    warn: (message, fields) => this.host.log('warn', fields, message),
  }

  /**
   * Ephemerals of sessions that the table does not have cannot be closed by their owner any more: the leader closes them
   * by transaction, so that all members do the same. (Java's leader removes them from its own tree alone.)
   */
  private closeOrphans(): void {
    const { state, pipeline } = this
    const orphans: [number, number][] = []
    state.tree.forEachEphemeralSession((hi, lo) => {
      if (!state.sessions.has(hi, lo)) orphans.push([hi, lo])
    })
    for (const [hi, lo] of orphans) pipeline?.submitInternal(OpCode.closeSession, hi, lo, new Uint8Array(0))
    if (orphans.length > 0)
      this.host.log('warn', { sessions: orphans.length }, 'closing sessions that only ephemerals know')
  }

  private writeConfig(quorum: Quorum, state = this.state): void {
    writeConfigZnode(state, quorum, this.host.wallMs())
  }
}

/** The same hosts, at another port. */
export function atPort(addresses: readonly string[], port: number): string[] {
  return addresses.map((address) => `${address.slice(0, address.lastIndexOf(':'))}:${port}`)
}

function newest(a: Quorum | null, b: Quorum | null): Quorum | null {
  return a === null || (b !== null && b.version > a.version) ? b : a
}
