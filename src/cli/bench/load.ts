/**
 * Load on one server or ensemble: closed loops (a reply brings the next request), watchers of one znode, and sessions
 * that come and go. Every reply is checked for its order and its error code; whatever is wrong ends the run.
 */

import { OpCode } from '../../jute/codes.ts'
import { LoadConnection } from './connection.ts'
import { Histogram } from './histogram.ts'
import { sendClose, sendCreate, sendDelete, sendRead, sendSet } from './requests.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** What a case measured. */
export interface Measured {
  readonly ops: number
  readonly seconds: number
  readonly latency: Histogram
}

export interface Window {
  readonly warmupS: number
  readonly seconds: number
}

/** Writes request number `n` of a connection; false when there is nothing left to ask for. */
export type MakeRequest = (conn: LoadConnection, xid: number, n: number) => boolean

interface Loop {
  conn: LoadConnection
  xid: number
  xidExpected: number
  /** When requests left, by xid modulo the depth. */
  readonly sentMs: Float64Array
}

const NO_ERROR = 0
const NO_NODE = -101

/** `conns` connections, spread over the addresses, each with `depth` requests outstanding. */
export async function closedLoop(
  addresses: readonly Address[],
  conns: number,
  depth: number,
  window: Window,
  make: MakeRequest,
): Promise<Measured> {
  const latency = new Histogram()
  let requests = 0
  let openLoops = 0
  let fromMs = Number.POSITIVE_INFINITY
  let untilMs = Number.POSITIVE_INFINITY
  let stopped = false
  let settle: (err: Error | null) => void = () => {}
  const over = new Promise<void>((resolve, reject) => {
    settle = (err) => (err === null ? resolve() : reject(err))
  })
  over.catch(() => {}) // a failure while connections are still being opened is met below
  const send = (loop: Loop): void => {
    loop.sentMs[loop.xid % depth] = performance.now()
    if (!stopped && make(loop.conn, loop.xid, requests)) {
      requests++
      loop.xid++
    } else if (loop.xid === loop.xidExpected && --openLoops === 0) {
      settle(null)
    }
  }
  const loops: Loop[] = []
  for (let i = 0; i < conns; i++) {
    const { host, port } = addresses[i % addresses.length]!
    const sentMs = new Float64Array(depth)
    const conn = await LoadConnection.open(host, port, {
      onReply: (xid, err) => {
        if (xid !== loop.xidExpected) return settle(new Error(`reply ${xid} where ${loop.xidExpected} was due`))
        if (err !== NO_ERROR) return settle(new Error(`error ${err} for request ${xid}`))
        const nowMs = performance.now()
        const sent = sentMs[xid % depth]!
        loop.xidExpected++
        if (sent >= fromMs && nowMs <= untilMs) latency.add((nowMs - sent) * 1000)
        send(loop)
      },
      onEnd: (why) => settle(new Error(why)),
    })
    const loop: Loop = { conn, xid: 1, xidExpected: 1, sentMs }
    loops.push(loop)
  }
  openLoops = loops.length
  const startMs = performance.now()
  fromMs = startMs + window.warmupS * 1000
  untilMs = fromMs + window.seconds * 1000
  const timer = setTimeout(() => {
    stopped = true
  }, untilMs - startMs)
  for (const loop of loops) for (let k = 0; k < depth; k++) send(loop)
  try {
    await over
  } finally {
    clearTimeout(timer)
    for (const { conn } of loops) conn.destroy()
  }
  const endMs = Math.min(performance.now(), untilMs)
  return { ops: latency.count, seconds: Math.max(endMs - fromMs, 1) / 1000, latency }
}

/** All of some requests, as fast as they go, through one connection. `ok` says which error codes are fine. */
export async function doAll(
  address: Address,
  count: number,
  make: (conn: LoadConnection, xid: number, n: number) => void,
  ok: (err: number) => boolean,
): Promise<void> {
  const depth = 256
  let conn: LoadConnection | null = null
  let sent = 0
  let answered = 0
  await new Promise<void>((resolve, reject) => {
    const more = (): void => {
      while (sent < count && sent - answered < depth) make(conn!, sent + 1, sent++)
      if (answered === count) resolve()
    }
    LoadConnection.open(address.host, address.port, {
      onReply: (xid, err) => {
        if (!ok(err)) return reject(new Error(`error ${err} while preparing, request ${xid}`))
        answered++
        more()
      },
      onEnd: (why) => reject(new Error(why)),
    }).then((opened) => {
      conn = opened
      more()
    }, reject)
  }).finally(() => conn?.destroy())
}

export async function createAll(address: Address, paths: readonly Uint8Array[], data: Uint8Array): Promise<void> {
  await doAll(address, paths.length, (conn, xid, n) => sendCreate(conn, xid, paths[n]!, data), isOk)
}

export async function deleteAll(address: Address, paths: readonly Uint8Array[]): Promise<void> {
  const gone = (err: number): boolean => err === NO_ERROR || err === NO_NODE
  await doAll(address, paths.length, (conn, xid, n) => sendDelete(conn, xid, paths[n]!), gone)
}

function isOk(err: number): boolean {
  return err === NO_ERROR
}

/** `watchers` connections watch one znode, one more sets it: from the set until all have been told. */
export async function watchRounds(
  addresses: readonly Address[],
  watchers: number,
  path: Uint8Array,
  data: Uint8Array,
  window: Window,
): Promise<Measured> {
  const latency = new Histogram()
  let wake: () => void = () => {}
  let failed: Error | null = null
  let replies = 0
  let events = 0
  const sink = {
    onReply: (xid: number, err: number) => {
      if (err !== NO_ERROR) failed = new Error(`error ${err} for request ${xid}`)
      replies++
      wake()
    },
    onEvent: () => {
      events++
      wake()
    },
    onEnd: (why: string) => {
      failed = new Error(why)
      wake()
    },
  }
  const until = async (reached: () => boolean): Promise<void> => {
    while (failed === null && !reached()) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    if (failed !== null) throw failed
  }
  const all: LoadConnection[] = []
  try {
    for (let i = 0; i <= watchers; i++) {
      const { host, port } = addresses[i % addresses.length]!
      all.push(await LoadConnection.open(host, port, sink))
    }
    const [writer, ...readers] = all
    const fromMs = performance.now() + window.warmupS * 1000
    const untilMs = fromMs + window.seconds * 1000
    for (let round = 1; performance.now() < untilMs; round++) {
      replies = events = 0
      for (const reader of readers) sendRead(reader, round, OpCode.getData, path, true)
      await until(() => replies === watchers)
      const startMs = performance.now()
      sendSet(writer!, round, path, data)
      await until(() => events === watchers && replies === watchers + 1)
      const nowMs = performance.now()
      if (startMs >= fromMs) latency.add((nowMs - startMs) * 1000)
    }
    return { ops: latency.count, seconds: window.seconds, latency }
  } finally {
    for (const conn of all) conn.destroy()
  }
}

/** `conns` at a time: a session is opened and closed, and then the next one. */
export async function churn(addresses: readonly Address[], conns: number, window: Window): Promise<Measured> {
  const latency = new Histogram()
  const startMs = performance.now()
  const fromMs = startMs + window.warmupS * 1000
  const untilMs = fromMs + window.seconds * 1000
  const one = async (i: number): Promise<void> => {
    const { host, port } = addresses[i % addresses.length]!
    while (performance.now() < untilMs) {
      const sentMs = performance.now()
      await openAndClose(host, port)
      const nowMs = performance.now()
      if (sentMs >= fromMs && nowMs <= untilMs) latency.add((nowMs - sentMs) * 1000)
    }
  }
  await Promise.all(Array.from({ length: conns }, (_, i) => one(i)))
  return { ops: latency.count, seconds: window.seconds, latency }
}

function openAndClose(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let conn: LoadConnection | null = null
    let closed = false
    LoadConnection.open(host, port, {
      onReply: () => {
        closed = true
        conn!.destroy()
        resolve()
      },
      onEnd: (why) => (closed ? resolve() : reject(new Error(why))),
    }).then((opened) => {
      conn = opened
      sendClose(opened, 1)
    }, reject)
  })
}
