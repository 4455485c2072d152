/**
 * Snapshot files against checkpoints (snapshot.store): seconds, bytes to the disk and the longest turn of the loop, by
 * the share of znodes that changed since the last one; and a restart from each. Run after a build:
 *
 *   node test/bench/checkpoint.mjs [--znodes 1000000] [--dir DIR] [--store file|level]
 *
 * Bytes are what the process handed to its file systems (write_bytes of /proc/self/io; LevelDB's compactions included, as far
 * as they ran until a second later), without it what was encoded. Znodes have 100 bytes of data and a path of some 40.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { StateMachine } from '../../dist/datatree/apply.js'
import { nodeDisk } from '../../dist/txnlog/disk.js'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../dist/txnlog/filestore.js'
import { LevelHome } from '../../dist/txnlog/levelkv.js'
import { LevelStore } from '../../dist/txnlog/levelstore.js'
import { RECOVER_DEFAULTS, recover } from '../../dist/txnlog/recover.js'

const { values: args } = parseArgs({
  options: { znodes: { type: 'string' }, dir: { type: 'string' }, store: { type: 'string' } },
})
const ZNODES = Number(args.znodes ?? 1_000_000)
const SHARES = [0.001, 0.01, 1]
const disk = nodeDisk()
const now = () => performance.now()

function newState() {
  const sink = { onResult() {}, onSessionCreated() {}, onSessionClosed() {}, onDigestMismatch() {} }
  return new StateMachine({ onWatch() {} }, sink, { digest: true })
}

const encoder = new TextEncoder()

function pathOf(i) {
  return `/application-${String(i % 1000).padStart(4, '0')}/instance-${String(i).padStart(11, '0')}`
}

function fill(state) {
  const data = new Uint8Array(100).fill(120)
  const parents = []
  const create = (path, parent) => {
    const bytes = encoder.encode(path)
    const both = new Uint8Array(bytes.length + 100)
    both.set(bytes)
    both.set(data, bytes.length)
    return state.tree.create(both, 0, bytes.length, bytes.length, 100, parent, -1, 0, 0, 5, 1_700_000_000_000)
  }
  for (let i = 0; i < 1000; i++) parents.push(create(`/application-${String(i).padStart(4, '0')}`, 1))
  for (let i = 0; i < ZNODES - 1000; i++) create(pathOf(i), parents[i % 1000])
  state.zxidLast = 5
}

/** New data for that share of the znodes, spread over all of them. */
function change(state, share, round) {
  const data = new Uint8Array(100).fill(round)
  const step = Math.max(1, Math.round(1 / share))
  for (let i = 0; i < ZNODES - 1000; i += step) {
    const path = encoder.encode(pathOf(i))
    const n = state.tree.find(path, 0, path.length)
    state.tree.setData(n, data, 0, 100, round, state.zxidLast + 1, 1_700_000_000_000)
  }
  state.zxidLast++
}

/** The longest the loop was not given back, sampled by a callback that is always due. */
function watchLoop() {
  let longest = 0
  let last = now()
  let on = true
  const tick = () => {
    longest = Math.max(longest, now() - last)
    last = now()
    if (on) setImmediate(tick)
  }
  setImmediate(tick)
  return () => {
    on = false
    return longest
  }
}

function bytesToDisk() {
  try {
    return Number(/^write_bytes: (\d+)/m.exec(readFileSync('/proc/self/io', 'latin1'))[1])
  } catch {
    return null
  }
}

async function measure(name, what, store, state) {
  const bytesBefore = bytesToDisk()
  const start = now()
  const stop = watchLoop()
  const written = await store.takeSnapshot(state)
  const longest = stop()
  const ms = now() - start
  await sleep(1000)
  const bytes = bytesBefore === null ? written.bytes : bytesToDisk() - bytesBefore
  const held = `loop held ${longest.toFixed(1)} ms`
  const text = `${(ms / 1000).toFixed(2)} s, ${(bytes / 1e6).toFixed(1)} MB, ${held}, ${written.nodeCount} znodes written`
  console.log(`${name.padEnd(6)} ${what.padEnd(14)} ${text}`)
}

async function restart(name, dataDir, checkpoint) {
  const start = now()
  const dirs = { dataDir, dataLogDir: dataDir }
  const { state } = await recover(disk, dirs, newState, { ...RECOVER_DEFAULTS, checkpoint }, () => {})
  const text = `${((now() - start) / 1000).toFixed(2)} s, ${state.tree.nodeCount} znodes`
  console.log(`${name.padEnd(6)} ${'restart'.padEnd(14)} ${text}`)
}

const work = mkdtempSync(join(args.dir ?? tmpdir(), 'checkpoint-bench-'))
try {
  for (const name of ['file', 'level']) {
    if (args.store !== undefined && args.store !== name) continue
    const dataDir = join(work, name)
    mkdirSync(join(dataDir, 'version-2'), { recursive: true })
    const open = () => new LevelStore(new LevelHome(disk, dataDir), now)
    const store = name === 'level' ? open() : new FileSnapshotStore(disk, join(dataDir, 'version-2'), SNAPSHOT_DEFAULTS)
    {
      const state = newState()
      fill(state)
      await measure(name, 'the first', store, state)
      for (const [i, share] of SHARES.entries()) {
        change(state, share, i + 1)
        await measure(name, `${share * 100} % changed`, store, state)
      }
      state.tree.clear()
    }
    await store.close()
    const checkpoint = name === 'level' ? open() : null
    for (let i = 0; i < 2; i++) {
      await restart(name, dataDir, checkpoint)
      await checkpoint?.close()
    }
    rmSync(dataDir, { recursive: true })
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
