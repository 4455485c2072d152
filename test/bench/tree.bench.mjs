/**
 * The tree at size: bytes per znode, and the time of each operation. Run after `npm run build`:
 *
 *   node --expose-gc test/bench/tree.bench.mjs [znodes, default 1000000]
 *
 * Paths of 38 bytes, 1000 znodes to a parent, 100 bytes of data: the shape of a big service registry. "warm" takes the
 * same thousand paths over and over, "cold" any path of the tree.
 */

import { DataTree } from '../../dist/datatree/tree.js'
import { Output } from '../../dist/jute/output.js'

const COUNT = Number(process.argv[2] ?? 1_000_000)
const PER_PARENT = 1000
const PATH_BYTES = 38
const PARENT_BYTES = 22
const DATA_BYTES = 100

/** CPU time of this process in ns: other processes shall not count. */
const now = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}
const encoder = new TextEncoder()

function report(name, ns, count) {
  console.log(`${name.padEnd(36)} ${(ns / count / 1000).toFixed(3).padStart(8)} us`)
}

function timed(name, count, run) {
  const begin = now()
  for (let i = 0; i < count; i++) run(i)
  report(name, now() - begin, count)
}

function settled() {
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  return { rss, heapUsed }
}

const parentPath = (i) => `/services/region-${String(Math.floor(i / PER_PARENT)).padStart(5, '0')}`
const pathOf = (i) => `${parentPath(i)}/node-${String(i).padStart(10, '0')}`

/** All paths in one buffer, so that the benchmark's own memory is one line below. */
const paths = new Uint8Array(COUNT * PATH_BYTES)
for (let i = 0; i < COUNT; i++) encoder.encodeInto(pathOf(i), paths.subarray(i * PATH_BYTES, (i + 1) * PATH_BYTES))
if (pathOf(0).length !== PATH_BYTES) throw new Error(`paths are ${pathOf(0).length} bytes`)

const order = new Uint32Array(COUNT)
for (let i = 0, x = 1; i < COUNT; i++) {
  x = (Math.imul(x, 1664525) + 1013904223) >>> 0
  order[i] = x % COUNT
}

const txn = new Uint8Array(PATH_BYTES + DATA_BYTES)
txn.fill(120)

function createPlain(tree, path) {
  const bytes = encoder.encode(path)
  const parent = tree.find(bytes, 0, Math.max(0, path.lastIndexOf('/')))
  return tree.create(bytes, 0, bytes.length, 0, 0, parent, -1, 0, 0, 1, 1)
}

/** As apply.ts does it: look up the path and its parent, create, touch the parent. */
function create(tree, i) {
  txn.set(paths.subarray(i * PATH_BYTES, (i + 1) * PATH_BYTES))
  if (tree.find(txn, 0, PATH_BYTES) !== 0) throw new Error('exists')
  const parent = tree.find(txn, 0, PARENT_BYTES)
  tree.create(txn, 0, PATH_BYTES, PATH_BYTES, DATA_BYTES, parent, -1, 0, 0, 0x1_0000_0000 + i, 1_700_000_000_000 + i)
  tree.childAdded(parent, tree.cversion(parent) + 1, 0x1_0000_0000 + i)
}

const empty = settled()
const tree = new DataTree({ hashSeed: 0x1234_5678 })
const idle = settled()
console.log(
  `idle tree: RSS +${((idle.rss - empty.rss) / 1024).toFixed(0)} KiB, heap +${idle.heapUsed - empty.heapUsed} B`,
)

createPlain(tree, '/services')
for (let i = 0; i < COUNT; i += PER_PARENT) createPlain(tree, parentPath(i))
timed('create (with look-ups and parent)', COUNT, (i) => create(tree, i))

const full = settled()
const memory = tree.memory()
const held = memory.pagesBytes + memory.blobsBytes + memory.indexBytes
const per = (bytes) => (bytes / tree.nodeCount).toFixed(1)
console.log(
  `${tree.nodeCount} znodes: ${per(held)} bytes each: records ${per(memory.pagesBytes)}, blobs ${per(memory.blobsBytes)}, index ${per(memory.indexBytes)}`,
)
console.log(
  `RSS +${per(full.rss - idle.rss)} bytes each, heap +${per(full.heapUsed - idle.heapUsed)}; ${(full.rss / 2 ** 20).toFixed(0)} MiB in all`,
)

const find = (i) => tree.find(paths, i * PATH_BYTES, (i + 1) * PATH_BYTES)
const READS = Math.min(2_000_000, 4 * COUNT)
let sink = 0
for (const [name, pick] of [
  ['warm', (i) => order[i % 1000]],
  ['cold', (i) => order[i % COUNT]],
]) {
  timed(`find, ${name}`, READS, (i) => {
    sink += find(pick(i))
  })
  const out = new Output(1024)
  timed(`getData reply, ${name}`, READS, (i) => {
    const n = find(pick(i))
    out.pos = 0
    out.int(0) // length, patched by the server
    out.int(i)
    out.words(1, i)
    out.int(0)
    tree.writeData(n, out)
    tree.writeStat(n, out)
  })
  timed(`exists reply, ${name}`, READS, (i) => {
    out.pos = 0
    tree.writeStat(find(pick(i)), out)
  })
}
timed('find, missing', READS, (i) => {
  sink += tree.find(paths, order[i % COUNT] * PATH_BYTES, order[i % COUNT] * PATH_BYTES + 37)
})
timed('setData, cold, same size', COUNT, (i) => {
  tree.setData(find(order[i]), txn, PATH_BYTES, DATA_BYTES, 1, 0x2_0000_0000 + i, 1_700_000_000_000 + i)
})
const listing = new Output(1 << 20)
timed(`getChildren of ${PER_PARENT}`, 1000, (i) => {
  listing.pos = 0
  const at = order[i] - (order[i] % PER_PARENT)
  tree.writeChildren(tree.find(paths, at * PATH_BYTES, at * PATH_BYTES + PARENT_BYTES), listing)
})

const snapshot = new Output(1 << 20)
const slicesNs = []
let begin = now()
const walk = tree.walk()
for (let more = true; more; ) {
  const sliceBegin = now()
  snapshot.pos = 0
  while (snapshot.pos < 1 << 19 && more) more = walk.next(snapshot)
  slicesNs.push(now() - sliceBegin)
}
report('snapshot entry (walk)', now() - begin, tree.nodeCount)
slicesNs.sort((a, b) => b - a)
const longest = slicesNs.slice(0, 4).map((ns) => (ns / 1e6).toFixed(1))
console.log(`longest slices of 512 KiB: ${longest.join(', ')} ms (the first one runs uncompiled)`)

begin = now()
globalThis.gc?.()
console.log(`full collection: ${((now() - begin) / 1e6).toFixed(1)} ms`)

timed('remove, cold (with look-up)', COUNT, (i) => {
  const n = find(order[i])
  if (n === 0) return
  const parent = tree.parent(n)
  tree.remove(n)
  tree.touchPzxid(parent, 0x3_0000_0000 + i)
})
const left = tree.memory()
console.log(
  `after removing ${COUNT - tree.nodeCount + COUNT / PER_PARENT} at random: fragmentation ${(left.fragmentation * 100).toFixed(0)}%`,
)
for (let i = 0; i < COUNT; i++) {
  const n = find(i)
  if (n !== 0) tree.remove(n)
}
const end = tree.memory()
console.log(`after removing all: ${((end.pagesBytes + end.blobsBytes + end.indexBytes) / 2 ** 20).toFixed(1)} MiB held`)
if (sink === 42) console.log(sink)
