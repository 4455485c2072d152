/**
 * The log and the snapshots: Adler-32, appending and syncing, writing and loading a snapshot. Run after a build:
 *
 *   node test/bench/log.bench.mjs [--znodes 1000000] [--dir DIR]
 *
 * DIR (default: the system's temporary folder) decides which disk is measured. A znode has 100 bytes of data and a
 * path of 38; the snapshot of a million is some 214 MB.
 */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { StateMachine } from '../../dist/datatree/apply.js'
import { adler32 } from '../../dist/txnlog/adler32.js'
import { nodeDisk } from '../../dist/txnlog/disk.js'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../dist/txnlog/filestore.js'
import { RECOVER_DEFAULTS, recover } from '../../dist/txnlog/recover.js'
import { snappyBytesMax, snappyDecode, snappyEncode, snappyTable } from '../../dist/txnlog/snappy.js'
import { TXN_LOG_DEFAULTS, TxnLog } from '../../dist/txnlog/txnlog.js'

const { values: args } = parseArgs({ options: { znodes: { type: 'string' }, dir: { type: 'string' } } })
const ZNODES = Number(args.znodes ?? 1_000_000)
const work = mkdtempSync(join(args.dir ?? tmpdir(), 'log-bench-'))

function newState() {
  const sink = { onResult() {}, onSessionCreated() {}, onSessionClosed() {}, onDigestMismatch() {} }
  return new StateMachine({ onWatch() {} }, sink, { digest: true })
}

function line(name, text) {
  console.log(`${name.padEnd(44)} ${text}`)
}

function seconds(since) {
  return (performance.now() - since) / 1e3
}

function benchAdler() {
  const bytes = new Uint8Array(1 << 20).map((_, i) => i * 31 + (i >> 5))
  for (const length of [200, 1 << 20]) {
    const calls = Math.ceil((512 << 20) / length)
    let state = 1
    for (let i = 0; i < 100; i++) state = adler32(state, bytes, 0, length)
    const start = performance.now()
    for (let i = 0; i < calls; i++) state = adler32(state, bytes, 0, length)
    const s = seconds(start)
    line(
      `adler32 of ${length} bytes`,
      `${((s * 1e9) / calls).toFixed(0)} ns, ${((calls * length) / s / 1e6).toFixed(0)} MB/s`,
    )
  }
}

/** Entries of 200 bytes; `perTurn` of them are appended per turn of the loop, and the log is flushed behind each. */
async function benchAppend(perTurn, total, forceSync) {
  const dir = join(work, `log-${perTurn}-${forceSync}`)
  mkdirSync(dir)
  const entry = new Uint8Array(200).fill(7)
  const view = new DataView(entry.buffer)
  let syncs = 0
  let durable = 0
  let wake = () => {}
  const sink = {
    onDurable(zxid) {
      durable = zxid
      wake()
    },
    onFailed(err) {
      throw err
    },
    onSynced() {
      syncs++
    },
  }
  const log = new TxnLog(nodeDisk(), dir, { ...TXN_LOG_DEFAULTS, forceSync }, sink)
  const start = performance.now()
  let cpu = 0
  for (let zxid = 0; zxid < total; ) {
    const from = performance.now()
    for (let i = 0; i < perTurn && zxid < total; i++) {
      zxid++
      view.setUint32(16, zxid)
      log.append(zxid, entry, 0, 200)
    }
    log.flush()
    cpu += performance.now() - from
    // Closed loop: no more than 8 MB ahead of the disk.
    while (zxid - durable > 40_000 || (perTurn === 1 && durable < zxid)) {
      await new Promise((resolve) => {
        wake = resolve
      })
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  await new Promise((resolve) => log.drain(resolve))
  const s = seconds(start)
  await new Promise((resolve) => log.close(resolve))
  const rate = `${Math.round(total / s)} entries/s, ${((cpu * 1e6) / total).toFixed(0)} ns of the loop each`
  line(`append, ${perTurn} per turn${forceSync ? '' : ', no sync'}`, `${rate}, ${syncs} syncs`)
}

/** What a durable write of `bytes` costs: as write and fdatasync, or as one; into a hole, or into zeros written before. */
async function benchSync(bytes, synced, fillBytes) {
  const path = join(work, `sync-${bytes}-${synced}-${fillBytes}`)
  const disk = nodeDisk()
  const call = (name, ...args) =>
    new Promise((resolve, reject) => {
      disk[name](...args, (err, value) => (err ? reject(err) : resolve(value)))
    })
  const file = await call(synced ? 'createSynced' : 'create', path)
  await call('truncate', file, 64 << 20)
  const entry = new Uint8Array(bytes).fill(7)
  const zeros = new Uint8Array(fillBytes)
  const count = Math.min(3000, Math.floor((48 << 20) / bytes))
  let filled = 0
  const start = performance.now()
  for (let i = 0; i < count; i++) {
    const end = (i + 1) * bytes
    const parts = [entry]
    if (fillBytes > 0 && end > filled) {
      parts.push(zeros)
      filled = end + fillBytes
    }
    await call('write', file, i * bytes, parts)
    if (!synced) await call('sync', file)
  }
  const us = (seconds(start) * 1e6) / count
  await call('close', file)
  line(
    `durable write of ${bytes} bytes, ${synced ? 'in one' : 'in two'}${fillBytes > 0 ? ', filled' : ''}`,
    `${us.toFixed(0)} µs`,
  )
}

function fill(state) {
  const encoder = new TextEncoder()
  const data = new Uint8Array(100).fill(120)
  const tree = state.tree
  const parents = []
  const create = (path, parent) => {
    const bytes = encoder.encode(path)
    const both = new Uint8Array(bytes.length + 100)
    both.set(bytes)
    both.set(data, bytes.length)
    return tree.create(both, 0, bytes.length, bytes.length, 100, parent, -1, 0, 0, 5, 1_700_000_000_000)
  }
  for (let i = 0; i < 1000; i++) parents.push(create(`/application-${String(i).padStart(4, '0')}`, 1))
  for (let i = 0; i < ZNODES - 1000; i++) {
    create(
      `/application-${String(i % 1000).padStart(4, '0')}/instance-${String(i).padStart(11, '0')}`,
      parents[i % 1000],
    )
  }
  state.zxidLast = 5
}

/** The longest the loop was not given back, sampled by a timer that is always due. */
function watchLoop() {
  let longest = 0
  let last = performance.now()
  let on = true
  const tick = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (on) setImmediate(tick)
  }
  setImmediate(tick)
  return () => {
    on = false
    return longest
  }
}

async function benchSnapshot(compression) {
  const dataDir = join(work, `data-${compression || 'plain'}`)
  mkdirSync(join(dataDir, 'version-2'), { recursive: true })
  const state = newState()
  fill(state)
  const store = new FileSnapshotStore(nodeDisk(), join(dataDir, 'version-2'), { ...SNAPSHOT_DEFAULTS, compression })
  let start = performance.now()
  const stop = watchLoop()
  const cpuBefore = process.cpuUsage()
  const written = await store.takeSnapshot(state)
  const cpu = process.cpuUsage(cpuBefore)
  const name = compression || 'plain'
  line(
    `write snapshot, ${name}, ${written.nodeCount} znodes`,
    `${seconds(start).toFixed(2)} s, ${(written.bytes / 1e6).toFixed(0)} MB, loop held ${stop().toFixed(1)} ms, ` +
      `CPU ${((cpu.user + cpu.system) / 1e6).toFixed(2)} s`,
  )
  for (let i = 0; i < 2; i++) {
    start = performance.now()
    const dirs = { dataDir, dataLogDir: dataDir }
    const { state: loaded } = await recover(nodeDisk(), dirs, newState, RECOVER_DEFAULTS, () => {})
    line(`load snapshot, ${name}, ${loaded.tree.nodeCount} znodes`, `${seconds(start).toFixed(2)} s`)
    if (loaded.tree.digestLo !== state.tree.digestLo) throw new Error('another digest')
  }
  rmSync(dataDir, { recursive: true })
}

function benchSnappy() {
  const block = new Uint8Array(32 * 1024).map((_, i) => (i % 200 < 140 ? i % 200 : (i * 2654435761) >>> 13))
  const into = new Uint8Array(snappyBytesMax(block.length))
  const table = snappyTable()
  let end = 0
  let start = performance.now()
  for (let i = 0; i < 4000; i++) end = snappyEncode(block, 0, block.length, into, 0, table)
  line(
    'snappy encode',
    `${((4000 * block.length) / seconds(start) / 1e6).toFixed(0)} MB/s to ${end} of ${block.length}`,
  )
  start = performance.now()
  for (let i = 0; i < 4000; i++) snappyDecode(into, 0, end, block)
  line('snappy decode', `${((4000 * block.length) / seconds(start) / 1e6).toFixed(0)} MB/s`)
}

try {
  benchAdler()
  benchSnappy()
  for (const bytes of [200, 16_000]) {
    for (const [synced, fillBytes] of [
      [false, 0],
      [true, 0],
      [true, 256 << 10],
    ])
      await benchSync(bytes, synced, fillBytes)
  }
  await benchAppend(1, 500, true)
  await benchAppend(100, 100_000, true)
  await benchAppend(2000, 1_000_000, true)
  await benchAppend(2000, 1_000_000, false)
  for (const compression of ['', 'gz', 'snappy']) await benchSnapshot(compression)
} finally {
  rmSync(work, { recursive: true })
}
