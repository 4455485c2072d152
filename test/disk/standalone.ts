/**
 * The storage of a server that runs alone, over several lives on one disk: transactions in groups, logs that roll,
 * snapshots, purges, snapshots that rot, a sync that fails, a full disk; each life ends in another way.
 */

import { join } from 'node:path'
import { type Config, parseConfig } from '../../src/server/config/config.ts'
import { makeState, Relay } from '../../src/server/life/parts.ts'
import { SnapshotStores } from '../../src/server/life/snapshotstores.ts'
import { Storage } from '../../src/server/life/storage.ts'
import { Metrics } from '../../src/server/report/metrics.ts'
import { ENTRY_LENGTH_MAX } from '../../src/txnlog/logdir.ts'
import { CHECKPOINT_DIR, snapshotNames, VERSION_DIR } from '../../src/txnlog/names.ts'
import { purge } from '../../src/txnlog/purge.ts'
import { type Recovered, recover } from '../../src/txnlog/recover.ts'
import type { Random } from '../simulation/random.ts'
import { digestOf } from '../unit/txnlog/states.ts'
import { DiskKv } from './diskkv.ts'
import { checkHistory, type Expected, History } from './history.ts'
import { MemDisk } from './memdisk.ts'
import type { Recording } from './recording.ts'
import { some } from './survival.ts'

/** Where snapshots go: files, a checkpoint, or one and the other in turn, from start to start. */
export type Stores = 'file' | 'level' | 'both'

const DATA_DIR = '/data'
const FOLDER = join(DATA_DIR, VERSION_DIR)
const CONFIG: Config = {
  ...parseConfig(`dataDir=${DATA_DIR}\nclientPort=2181\npreAllocSize=8\n`, '/zoo.cfg', new Map(), () => null).config,
  snapCount: 16,
}

type Ending = 'stopped' | 'killed' | 'power' | 'a sync fails' | 'full'

export function withStore(config: Config, stores: Stores, turn: number): Config {
  const snapshotStore = stores === 'both' ? (turn % 2 === 0 ? 'level' : 'file') : stores
  return { ...config, snapshotStore }
}

/** The ways in which lives end, and what happens to the newest snapshots in the middle of one. */
const LIVES: readonly { readonly ending: Ending; readonly rots: boolean }[] = [
  { ending: 'power', rots: false },
  { ending: 'killed', rots: false },
  { ending: 'stopped', rots: true },
  { ending: 'a sync fails', rots: false },
  { ending: 'killed', rots: false },
  { ending: 'full', rots: false },
  { ending: 'power', rots: false },
]

export async function recordStandalone(
  recording: Recording,
  turns: number,
  random: Random,
  stores: Stores = 'file',
): Promise<void> {
  const history = new History()
  let disk = new MemDisk()
  for (const [index, { ending, rots }] of LIVES.entries()) {
    recording.follow(disk, `life ${index + 1}`, () => history.expected())
    await liveAlone(
      disk,
      history,
      { turns, ending, rots: rots && stores === 'file' },
      random,
      withStore(CONFIG, stores, index),
    )
    disk.end((call) => (ending === 'stopped' ? null : call.step === 'write' ? random.next() : null))
    disk = ending === 'power' ? disk.afterPowerLoss(some(() => random.next())) : disk.afterKill()
  }
}

/** One process: a start that finds what it has to, and some work. */
export async function liveAlone(
  disk: MemDisk,
  history: History,
  plan: Plan,
  random: Random,
  config = CONFIG,
): Promise<void> {
  const started = await start(disk, config)
  const { recovered } = started
  checkHistory(history.expected(), recovered.zxidLast, digestOf(recovered.state))
  history.recovered(recovered.zxidLast)
  await serve(disk, started, history, plan, random)
}

/** A start finds what it has to. */
export async function checkStandalone(disk: MemDisk, expected: Expected, stores: Stores = 'file'): Promise<void> {
  const { recovered } = await start(disk, withStore(CONFIG, stores, expected.lines[0]!.low))
  const { zxidLast, state } = recovered
  checkHistory(expected, zxidLast, digestOf(state))
}

/** The server goes on from here, and what it then acknowledges is kept. */
export async function goOnStandalone(disk: MemDisk, random: Random, stores: Stores = 'file'): Promise<void> {
  const config = withStore(CONFIG, stores, random.int(2))
  const { recovered: before } = await start(disk.afterKill(), config)
  const history = new History(before.state, before.zxidLast)
  const plan: Plan = { turns: stores === 'file' ? 2 : 12, ending: 'stopped', rots: false }
  await serve(disk, await start(disk, config), history, plan, random)
  await checkStandalone(disk.afterPowerLoss(some(() => random.next())), history.expected(), stores)
}

/** The start of a server that runs alone. */
export async function start(disk: MemDisk, config = CONFIG): Promise<Started> {
  const stores = new SnapshotStores(config, disk, FOLDER, new DiskKv(disk, join(FOLDER, CHECKPOINT_DIR)))
  const relay = new Relay(() => {
    throw new Error('digest mismatch')
  })
  const recovered = await recover(
    disk,
    config,
    () => makeState(config, relay, 1),
    stores.recoverOptions,
    () => {},
  )
  await stores.settle(recovered, () => {})
  return { recovered, stores, config }
}

interface Started {
  readonly recovered: Recovered
  readonly stores: SnapshotStores
  readonly config: Config
}

export interface Plan {
  readonly turns: number
  readonly ending: Ending
  readonly rots: boolean
}

async function serve(
  disk: MemDisk,
  { recovered: { state, txnsReplayed }, stores, config }: Started,
  history: History,
  { turns, ending, rots }: Plan,
  random: Random,
): Promise<void> {
  const failures: Error[] = []
  const storage = new Storage(disk, FOLDER, stores, state, txnsReplayed, config, new Metrics(() => 0), {
    deliver: (zxid, buf, off, end) => {
      state.apply(buf, off, end)
      history.acknowledge(zxid)
    },
    failed: (err) => failures.push(err),
    wallMs: () => 0,
    random: () => random.next(),
    info: () => {},
    warn: (message, { err }) => {
      if (err !== undefined && ending !== 'full') throw new Error(message, { cause: err })
    },
  })
  let rotten = rots ? -1 : 0
  const settled = (): boolean => failures.length > 0 || history.acknowledged === history.zxidLast
  for (let turn = 1; turn <= turns && failures.length === 0; turn++) {
    for (let count = random.between(1, 4); count > 0; count--) {
      const zxid = history.zxidLast + 1
      const txn = history.next(zxid, random)
      storage.propose(zxid, txn, 0, txn.length)
    }
    storage.flush()
    if (random.chance(0.6)) await until(disk, settled)
    else await until(disk, () => true)
    if (turn % 9 === 0) {
      if (rotten < 0 && rot(disk)) rotten = turn
      await purge(disk, CONFIG, CONFIG.snapRetainCount, new Set(), ENTRY_LENGTH_MAX, stores.purgeable)
    }
    if (turn === turns - 3) breakDown(disk, ending)
  }
  if (rotten < 0) throw new Error('there were never four snapshots')
  if (ending === 'stopped') await storage.close()
  disk.kept.capacityBytes = Number.POSITIVE_INFINITY
}

/** The newest three snapshots have a bad bit each, and an older one is good. False: there is no older one yet. */
function rot(disk: MemDisk): boolean {
  const snapshots = snapshotNames(disk.names(FOLDER))
  if (snapshots.length < 4) return false
  for (const { name } of snapshots.slice(0, 3)) disk.kept.flip(join(FOLDER, name), 200, 3)
  return true
}

function breakDown(disk: MemDisk, ending: Ending): void {
  if (ending === 'full') disk.kept.capacityBytes = disk.kept.usedBytes + 300
  if (ending !== 'a sync fails') return
  let left = 1
  disk.fault = (step, path) => (step === 'sync' && path.includes('/log.') && left-- > 0 ? 'EIO' : null)
}

/** Lets the disk work until it is so, and once in any case. A process that has ended goes no further. */
async function until(disk: MemDisk, goal: () => boolean): Promise<void> {
  do {
    await new Promise((resolve) => setImmediate(resolve))
    if (disk.ended) await new Promise(() => {})
  } while (!goal())
}
