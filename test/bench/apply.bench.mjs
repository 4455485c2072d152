/**
 * Applying transactions, and watches: cost per operation, memory per watch. Run after `npm run build`:
 *
 *   node test/bench/apply.bench.mjs
 */

import { StateMachine } from '../../dist/datatree/apply.js'
import { Watches } from '../../dist/datatree/watches.js'
import { Output } from '../../dist/jute/output.js'

const ZNODES = 200_000
const WATCHES = 100_000
const ACL = [31, 'world', 'anyone']

let told = 0
const watchSink = { onWatch: () => void told++ }

function newState() {
  const sink = { onResult() {}, onSessionCreated() {}, onSessionClosed() {}, onDigestMismatch() {} }
  return new StateMachine(watchSink, sink, { digest: true, hashSeed: 1 })
}

function line(name, count, ms, more = '') {
  console.log(`${name.padEnd(52)} ${((ms * 1e6) / count).toFixed(0).padStart(8)} ns each  ${ms.toFixed(1)} ms ${more}`)
}

function timed(name, count, run) {
  const begin = performance.now()
  run()
  line(name, count, performance.now() - begin)
}

/** Transactions one behind the other in one buffer, as from a log. */
class Txns {
  constructor() {
    this.out = new Output(1 << 20)
    this.ends = []
    this.zxid = 0
  }

  add(type, body) {
    const { out } = this
    out.words(0, 1)
    out.int(1)
    out.long(++this.zxid)
    out.long(1_700_000_000_000)
    out.int(type)
    body(out)
    this.ends.push(out.pos)
  }

  create(path, data, cversion) {
    this.add(1, (out) => {
      out.string(path)
      out.buffer(data)
      out.int(1)
      out.int(ACL[0])
      out.string(ACL[1])
      out.string(ACL[2])
      out.bool(false)
      out.int(cversion)
    })
  }

  apply(state) {
    const { buf } = this.out
    let off = 0
    for (const end of this.ends) {
      state.apply(buf, off, end)
      off = end
    }
  }
}

const data = new Uint8Array(100).fill(7)
const pathOf = (i) =>
  `/services/group-${(i % 500).toString().padStart(4, '0')}/member-${i.toString().padStart(10, '0')}`

function benchApply(name, prepare) {
  const state = newState()
  const parents = new Txns()
  parents.create('/services', null, 1)
  for (let i = 0; i < 500; i++) parents.create(pathOf(i).slice(0, 20), null, i + 1)
  parents.apply(state)
  prepare(state, parents)
  const creates = new Txns()
  const sets = new Txns()
  const deletes = new Txns()
  for (let i = 0; i < ZNODES; i++) {
    creates.create(pathOf(i), data, Math.floor(i / 500) + 1)
    sets.add(5, (out) => {
      out.string(pathOf((i * 7919) % ZNODES))
      out.buffer(data)
      out.int(1)
    })
    deletes.add(2, (out) => out.string(pathOf((i * 7919) % ZNODES)))
  }
  timed(`${name}: create`, ZNODES, () => creates.apply(state))
  timed(`${name}: setData, scattered`, ZNODES, () => sets.apply(state))
  timed(`${name}: delete, scattered`, ZNODES, () => deletes.apply(state))
}

const bytes = (text) => new TextEncoder().encode(text)

benchApply('warming up', () => {})
benchApply('plain', () => {})
benchApply('a recursive watch on /', (state) => state.watches.addRecursive(1, bytes('/'), 0, 1))
benchApply('100,000 watches elsewhere', (state) => {
  for (let i = 0; i < WATCHES; i++) {
    const path = bytes(`/elsewhere/${i}`)
    state.watches.addData(i % 100, path, 0, path.length)
    if (i % 100 === 0) state.watches.addRecursive(i % 100, path, 0, path.length)
  }
})
benchApply('a quota on /services', (state, txns) => {
  const quota = new Txns()
  quota.create('/zookeeper/quota/services', null, 1)
  quota.create('/zookeeper/quota/services/zookeeper_limits', bytes('count=5'), 1)
  quota.create('/zookeeper/quota/services/zookeeper_stats', bytes(''), 2)
  quota.apply(state)
  txns.zxid += 3
})

for (const round of ['warming up', 'watches']) {
  const many = []
  for (let i = 0; i < WATCHES; i++) many.push(bytes(pathOf(i)))
  const watches = new Watches(watchSink, 1)
  const before = watches.bytes
  timed(`${round}: one connection watches 100,000 paths`, WATCHES, () => {
    for (const path of many) watches.addData(3, path, 0, path.length)
  })
  console.log(`${''.padEnd(52)} ${((watches.bytes - before) / WATCHES).toFixed(0)} bytes each, path of 38 included`)
  timed(`${round}: and goes`, WATCHES, () => watches.removeConnection(3))
  const crowd = new Watches(watchSink, 1)
  const hot = bytes('/services/hot')
  timed(`${round}: 100,000 connections watch one path`, WATCHES, () => {
    for (let conn = 0; conn < WATCHES; conn++) crowd.addData(conn, hot, 0, hot.length)
  })
  console.log(`${''.padEnd(52)} ${(crowd.bytes / WATCHES).toFixed(0)} bytes each, connection included`)
  timed(`${round}: and it fires`, WATCHES, () => crowd.dataChanged(hot, 0, hot.length, 1, 1))
}
console.log(`${told} events`)
