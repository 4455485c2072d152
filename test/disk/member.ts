/**
 * The storage of an ensemble's member, over several lives on one disk: epochs, a log of which the end is not committed,
 * truncations with and without a rebuilt tree, snapshots from a leader, purges, and the files of a reconfiguration.
 */

import type { StateMachine } from '../../src/datatree/apply.ts'
import { epochOf, makeZxid, type Zxid } from '../../src/jute/zxid.ts'
import { type Config, parseConfig } from '../../src/server/config/config.ts'
import { quorumOf } from '../../src/server/config/members.ts'
import { parseProperties } from '../../src/server/config/properties.ts'
import { makeState, Relay } from '../../src/server/life/parts.ts'
import { ConfigFiles, dynamicFileText } from '../../src/server/member/configfiles.ts'
import { type Loaded, MemberStorage, type MemberStorageHost } from '../../src/server/member/memberstorage.ts'
import { Metrics } from '../../src/server/report/metrics.ts'
import { ENTRY_LENGTH_MAX } from '../../src/txnlog/logdir.ts'
import { CHECKPOINT_DIR, VERSION_DIR } from '../../src/txnlog/names.ts'
import { purge } from '../../src/txnlog/purge.ts'
import type { Epoch } from '../../src/zab/types.ts'
import type { Random } from '../simulation/random.ts'
import { digestOf } from '../unit/txnlog/states.ts'
import { DiskKv } from './diskkv.ts'
import { checkHistory, checkSpan, type Expected, History } from './history.ts'
import { MemDisk } from './memdisk.ts'
import type { Recording } from './recording.ts'
import { type Stores, withStore } from './standalone.ts'
import { some } from './survival.ts'

const CONFIG_FILE = '/conf/zoo.cfg'
const SERVERS = [1, 2, 3].map((sid) => `server.${sid}=127.0.0.1:${2000 + sid}:${3000 + sid}:participant`)
const ZOO_CFG = `dataDir=/data\nclientPort=2181\npreAllocSize=8\ninitLimit=5\nsyncLimit=5\nreconfigEnabled=true\n${SERVERS.join('\n')}\n`
const CONFIG: Config = {
  ...parseConfig(ZOO_CFG, CONFIG_FILE, new Map(), (path) => (path === '/data/myid' ? '1' : null)).config,
  snapCount: 12,
  commitLogCount: 8,
}

interface Life {
  readonly role?: 'leader'
  readonly sync: 'nothing' | 'cut' | 'cut the tree too' | 'tree from a leader'
  readonly ending: 'stopped' | 'killed' | 'power' | 'a sync fails'
}

/** What happens in a life besides transactions, and how it ends. */
const LIVES: readonly Life[] = [
  { sync: 'nothing', ending: 'power' },
  { sync: 'cut the tree too', ending: 'power' },
  { sync: 'nothing', ending: 'killed', role: 'leader' },
  { sync: 'cut', ending: 'power' },
  { sync: 'tree from a leader', ending: 'killed' },
  { sync: 'cut', ending: 'stopped', role: 'leader' },
  { sync: 'cut the tree too', ending: 'a sync fails' },
  { sync: 'tree from a leader', ending: 'power', role: 'leader' },
  { sync: 'cut', ending: 'power' },
]

export async function recordMember(
  recording: Recording,
  turns: number,
  random: Random,
  stores: Stores = 'file',
): Promise<void> {
  const history = new History()
  let disk = new MemDisk()
  disk.put(CONFIG_FILE, new TextEncoder().encode(ZOO_CFG))
  for (const [index, life] of LIVES.entries()) {
    recording.follow(disk, `life ${index + 1}`, () => history.expected())
    await new Lifetime(disk, history, random, stores, index).live(life, turns, index + 1)
    disk.end((call) => (life.ending === 'stopped' ? null : call.step === 'write' ? random.next() : null))
    disk = life.ending === 'power' ? disk.afterPowerLoss(some(() => random.next())) : disk.afterKill()
  }
}

/** A start finds what it has to. */
export async function checkMember(disk: MemDisk, expected: Expected, stores: Stores = 'file'): Promise<void> {
  const storage = storageOn(disk, {}, withStore(CONFIG, stores, expected.lines[0]!.low))
  const { state, zxidLast, acceptedEpoch, currentEpoch, proposals } = await load(storage)
  checkHistory(expected, zxidLast, digestOf(state))
  checkSpan('acceptedEpoch', expected.accepted, acceptedEpoch)
  checkSpan('currentEpoch', expected.current, currentEpoch)
  if (acceptedEpoch < currentEpoch || currentEpoch < epochOf(zxidLast)) {
    throw new Error(`epochs ${acceptedEpoch} and ${currentEpoch} at zxid 0x${zxidLast.toString(16)}`)
  }
  if (proposals.length > 0 && proposals.at(-1)!.zxid !== zxidLast) throw new Error('the proposals end elsewhere')
  await checkConfigFiles(disk)
}

/** zoo.cfg has a membership, old or new, and a proposed one is whole or not there. */
async function checkConfigFiles(disk: MemDisk): Promise<void> {
  const text = textOf(disk, CONFIG_FILE)
  if (text === null) throw new Error('zoo.cfg is gone')
  const dynamic = parseProperties(text).find(({ key }) => key === 'dynamicConfigFile')?.value
  if (dynamic === undefined) {
    if (text !== ZOO_CFG) throw new Error(`zoo.cfg is neither old nor new: ${JSON.stringify(text)}`)
  } else {
    const version = Number.parseInt(dynamic.split('.').at(-1)!, 16)
    const wanted = dynamicFileText(membershipText(version), 'without version')
    if (textOf(disk, dynamic) !== wanted) throw new Error(`${dynamic} is not whole`)
    if (textOf(disk, `${CONFIG_FILE}.bak`) !== ZOO_CFG) throw new Error('zoo.cfg.bak is not what zoo.cfg was')
  }
  const next = await filesOf(disk).readLastSeen()
  if (next === null) return
  const version = Number.parseInt(/^version=(.*)$/m.exec(next)?.[1] ?? '', 16)
  if (next !== dynamicFileText(membershipText(version), 'with version')) throw new Error('a proposed one is not whole')
}

function textOf(disk: MemDisk, path: string): string | null {
  const bytes = disk.get(path)
  return bytes === null ? null : new TextDecoder().decode(bytes)
}

function membershipText(version: number): string {
  return `${SERVERS.join('\n')}\nversion=${version.toString(16)}`
}

function filesOf(disk: MemDisk): ConfigFiles {
  return new ConfigFiles(disk, CONFIG_FILE, { serverId: 1, reconfigEnabled: true })
}

export function storageOn(disk: MemDisk, parts: Partial<MemberStorageHost> = {}, config = CONFIG): MemberStorage {
  return new MemberStorage(config, disk, new Metrics(() => 0), {
    checkpoints: new DiskKv(disk, `/data/${VERSION_DIR}/${CHECKPOINT_DIR}`),
    makeState: newState,
    durable: () => {},
    failed: (err) => {
      throw err
    },
    wallMs: () => 0,
    random: () => 0.5,
    log: (level, { err }, message) => {
      if (level === 'warn' && err !== undefined) throw new Error(message, { cause: err })
    },
    ...parts,
  })
}

export function newState(): StateMachine {
  const relay = new Relay(() => {
    throw new Error('digest mismatch')
  })
  return makeState(CONFIG, relay, 1)
}

export function load(storage: MemberStorage): Promise<Loaded> {
  return storage.load(quorumOf(CONFIG.quorum.membership))
}

/** The server goes on from here in a new epoch, and what it then promises is kept. */
export async function goOnMember(disk: MemDisk, random: Random, stores: Stores = 'file'): Promise<void> {
  const turn = random.int(2)
  const before = await load(storageOn(disk.afterKill(), {}, withStore(CONFIG, stores, turn)))
  const history = new History(before.state, before.zxidLast)
  history.accepted = { low: before.acceptedEpoch, high: before.acceptedEpoch }
  history.current = { low: before.currentEpoch, high: before.currentEpoch }
  const turns = stores === 'file' ? 2 : 12
  await new Lifetime(disk, history, random, stores, turn).live({ sync: 'nothing', ending: 'stopped' }, turns, 90)
  await checkMember(disk.afterPowerLoss(some(() => random.next())), history.expected(), stores)
}

class Lifetime {
  private readonly disk: MemDisk
  private readonly history: History
  private readonly random: Random
  private readonly storage: MemberStorage
  private readonly failures: Error[]
  private state: StateMachine
  /** What the tree has; the rest of the log is not committed. */
  private applied: Zxid
  /** The last transaction that was appended. */
  private logged: Zxid
  private epoch: number
  private readonly stores: Stores

  constructor(disk: MemDisk, history: History, random: Random, stores: Stores, turn: number) {
    this.disk = disk
    this.history = history
    this.random = random
    this.failures = []
    const parts = {
      durable: (zxid: Zxid) => history.acknowledge(zxid),
      failed: (err: Error) => this.failures.push(err),
      random: () => random.next(),
    }
    this.storage = storageOn(disk, parts, withStore(CONFIG, stores, turn))
    this.state = history.state
    this.applied = 0
    this.logged = 0
    this.epoch = 0
    this.stores = stores
  }

  async live({ sync, ending, role }: Life, turns: number, number: number): Promise<void> {
    const { history } = this
    this.begin(await load(this.storage))
    // A tree that a restart has replayed to its end may be ahead of what is committed.
    if (sync === 'cut the tree too') await this.cut(history.zxidLast - Math.min(3, history.zxidLast % 2 ** 32))
    await this.nextEpoch()
    if (role === 'leader') void this.lead()
    await this.serve(turns >> 1)
    if (sync === 'cut') await this.cut(Math.max(this.applied, history.zxidLast - 2))
    if (sync === 'tree from a leader') await this.install()
    if (sync !== 'nothing') await this.nextEpoch()
    await this.reconfigure(number)
    if (ending === 'a sync fails') {
      let left = 1
      this.disk.fault = (step, path) => (step === 'sync' && path.includes('/log.') && left-- > 0 ? 'EIO' : null)
    }
    await this.serve(turns >> 1)
    if (ending === 'stopped') await this.storage.close()
    if ((ending === 'a sync fails') !== this.failures.length > 0) throw this.failures[0] ?? new Error('no failure')
  }

  private begin({ state, zxidLast, acceptedEpoch, currentEpoch }: Loaded): void {
    const { history } = this
    checkHistory(history.expected(), zxidLast, digestOf(state))
    history.recovered(zxidLast)
    history.accepted = { low: acceptedEpoch, high: acceptedEpoch }
    history.current = { low: currentEpoch, high: currentEpoch }
    this.state = state
    this.applied = zxidLast
    this.logged = zxidLast
    this.epoch = currentEpoch
  }

  /** Accepted first, then current, as agreement does it. */
  private async nextEpoch(): Promise<void> {
    const epoch = this.history.accepted.high + 1
    await this.saveEpoch('accepted', epoch)
    await this.saveEpoch('current', epoch)
    this.epoch = epoch
  }

  /** All that was logged is committed, and a snapshot is taken of where the epoch begins. */
  private lead(): Promise<void> {
    const { history, state, storage } = this
    for (const { txn } of history.behind(this.applied)) state.apply(txn, 0, txn.length)
    const zxid = makeZxid(this.epoch, 0)
    history.beginEpoch(zxid)
    state.zxidLast = zxid
    this.applied = zxid
    return storage.snapshot(state)
  }

  private async saveEpoch(which: Epoch, epoch: number): Promise<void> {
    const { history } = this
    history[which] = { low: history[which].low, high: epoch }
    await new Promise<void>((resolve) => this.storage.saveEpoch(which, epoch, resolve))
    history[which] = { low: epoch, high: epoch }
  }

  private async serve(turns: number): Promise<void> {
    const { history, random, storage } = this
    for (let turn = 1; turn <= turns && this.failures.length === 0; turn++) {
      for (let count = random.between(1, 3); count > 0; count--) {
        const zxid = this.nextZxid()
        storage.append(zxid, history.next(zxid, random))
        this.logged = zxid
      }
      storage.flush()
      const wanted = random.chance(0.5) ? this.logged : 0
      do {
        await new Promise((resolve) => setImmediate(resolve))
        this.commit()
      } while (history.acknowledged < wanted && this.failures.length === 0)
      // Beside all else, as housekeeping does it; what is removed meanwhile by others makes it give up.
      if (turn % 9 === 0) this.purge().catch(() => {})
    }
  }

  private purge(): Promise<unknown> {
    return purge(this.disk, CONFIG, CONFIG.snapRetainCount, new Set(), ENTRY_LENGTH_MAX, this.storage.purgeable)
  }

  private nextZxid(): Zxid {
    const { zxidLast } = this.history
    return epochOf(zxidLast) === this.epoch ? zxidLast + 1 : makeZxid(this.epoch, 1)
  }

  /** Applies what is durable here, but for the last two. */
  private commit(): void {
    const { history, storage, state } = this
    const entries = history.behind(this.applied).filter(({ zxid }) => zxid <= history.acknowledged)
    for (const { zxid, txn } of entries.slice(0, -2)) {
      state.apply(txn, 0, txn.length)
      this.applied = zxid
      storage.applied(zxid, state)
    }
  }

  private async cut(zxid: Zxid): Promise<void> {
    const { history, storage } = this
    await this.drained()
    if (zxid >= this.logged) return
    history.replacing(zxid)
    const [end, state] = await new Promise<[Zxid, StateMachine]>((resolve) =>
      storage.truncate(zxid, this.state, (...answer) => resolve(answer)),
    )
    if (end === zxid) {
      this.state = state
      this.applied = Math.min(this.applied, zxid)
      history.replaced()
    } else {
      // There is but one checkpoint, or the one file that became of it, and it may be newer: the leader sends everything.
      if (this.stores === 'file') throw new Error(`cut at ${end}, not ${zxid}`)
      await this.take()
    }
  }

  /** Everything that was appended is on disk. */
  private async drained(): Promise<void> {
    this.storage.flush()
    while (this.history.acknowledged < this.logged) await new Promise((resolve) => setImmediate(resolve))
  }

  /**
   * The leader has what is committed here, and more, of an epoch that we were not there for; the rest of our log it does
   * not know.
   */
  private async install(): Promise<void> {
    const { history, random } = this
    await this.drained()
    const epoch = this.epoch + 1
    await this.saveEpoch('accepted', epoch + 1)
    history.current = { low: history.current.low, high: epoch }
    history.replacing(this.applied)
    for (let counter = 1; counter <= 5; counter++) history.next(makeZxid(epoch, counter), random)
    await this.take()
  }

  /** The leader sends the whole tree of the new history. */
  private async take(): Promise<void> {
    const { history, storage } = this
    const state = newState()
    for (const { txn } of history.behind(0)) if (txn.length > 0) state.apply(txn, 0, txn.length)
    state.zxidLast = history.zxidLast
    await new Promise<void>((resolve) => storage.install(state, history.zxidLast, resolve))
    this.state = state
    this.applied = history.zxidLast
    history.replaced()
  }

  private async reconfigure(version: number): Promise<void> {
    const files = filesOf(this.disk)
    await files.saveLastSeen(membershipText(version))
    await files.activate(membershipText(version))
  }
}
