/**
 * What a server has taken on and not answered, and what it does when that is too much.
 *
 * Three limits, each off or wide by default. Above `outstandingLimit` a connection that waits for answers is not read
 * from. With `requestThrottleMax`, requests beyond it wait here in the order they came, over all connections; who waits
 * for longer than `throttledOpWaitMs` is refused in its turn instead of served, and requests that nobody waits for any
 * more are dropped. The bytes of large requests are bounded by closing the connection that goes beyond.
 *
 * The queue holds no more than `outstandingLimit` requests and one of each connection, for nobody is read from beyond.
 * Pings pass it by: who must wait should not be taken for dead.
 * Pure. Java: RequestThrottler, Request.isStale, ServerCnxn.incrOutstandingAndCheckThrottle, ZooKeeperServer (large requests).
 */

import { OpCode } from '../../jute/codes.ts'
import type { Metrics } from '../report/metrics.ts'
import type { Arrival, Connection } from './connection.ts'
import { Fifo } from './fifo.ts'

export interface LoadOptions {
  /** Requests in process, or waiting, above which a connection with some of its own outstanding is not read from. */
  readonly outstandingLimit: number
  /** Requests in process from which on others wait; 0 is off (request_throttle_max_requests). */
  readonly requestThrottleMax: number
  /** Drop stale requests from the queue, and their connection with them. */
  readonly dropStale: boolean
  /** A request is stale when its connection is gone; when it is older than its client's session timeout. */
  readonly staleConnectionCheck: boolean
  readonly staleLatencyCheck: boolean
  /** Waiting for longer than this is answered with THROTTLEDOP; 0 is off. */
  readonly throttledOpWaitMs: number
  /** A request longer than this counts as large; -1 is off. Their sum in process is bounded by the next. */
  readonly largeRequestBytes: number
  readonly largeRequestsBytesMax: number
}

/** Goes on with a request whose turn it is; `refused`: it has waited for too long. */
export type Take = (waiting: Arrival, refused: boolean) => void

export class Load {
  private readonly options: LoadOptions
  private readonly metrics: Metrics
  /** Requests taken and not answered; those that wait here are not taken. */
  inProcess: number
  /** Bytes of large requests, waiting ones included. */
  private largeBytes: number
  /** Connections that are not read from. */
  private readonly stopped: Set<Connection>
  private readonly queue: Fifo<Arrival>
  private admitting: boolean

  constructor(options: LoadOptions, metrics: Metrics) {
    this.options = options
    this.metrics = metrics
    this.inProcess = 0
    this.largeBytes = 0
    this.stopped = new Set()
    this.queue = new Fifo()
    this.admitting = false
  }

  get waiting(): number {
    return this.queue.length
  }

  // ------------------------------------------------------------------ large requests

  /** What a request of so many bytes counts as large: 0 for ordinary ones, -1 where there is no room for it. */
  addLarge(bytes: number): number {
    const { largeRequestBytes, largeRequestsBytesMax } = this.options
    if (largeRequestBytes === -1 || bytes <= largeRequestBytes) return 0
    if (this.largeBytes + bytes > largeRequestsBytesMax) {
      this.metrics.counters.large_requests_rejected++
      return -1
    }
    this.largeBytes += bytes
    return bytes
  }

  endLarge(bytes: number): void {
    this.largeBytes -= bytes
  }

  // ------------------------------------------------------------------ the queue

  mustWait(type: number): boolean {
    const { requestThrottleMax } = this.options
    if (requestThrottleMax <= 0 || type === OpCode.ping) return false
    return this.waiting > 0 || this.inProcess >= requestThrottleMax
  }

  wait(arrival: Arrival): void {
    if (this.waiting === 0) this.metrics.counters.request_throttle_wait_count++
    this.queue.push(arrival.copy())
  }

  /** Takes waiting requests for as long as there is room. */
  admit(nowMs: number, take: Take): void {
    if (this.waiting === 0 || this.admitting) return
    this.admitting = true
    for (let next = this.queue.first; next !== null && this.admitOne(next, nowMs, take); next = this.queue.first) {
      this.queue.shift()
    }
    if (this.waiting > 0) this.metrics.counters.request_throttle_wait_count++
    this.admitting = false
  }

  /** False when it must go on waiting. */
  private admitOne(arrival: Arrival, nowMs: number, take: Take): boolean {
    const { options, metrics } = this
    const { conn, type, receivedMs, largeBytes } = arrival
    if (conn.invalid) {
      this.endLarge(largeBytes)
      return true
    }
    const stale = this.isStale(arrival, nowMs)
    if (stale && options.dropStale) {
      metrics.counters.stale_requests_dropped++
      this.endLarge(largeBytes)
      // What this client sent behind it must not be done without it.
      conn.invalid = true
      if (!conn.closed) conn.closeNow('a request of this client was dropped: it has waited for too long')
      return true
    }
    if (this.inProcess >= options.requestThrottleMax) return false
    if (stale) metrics.counters.stale_requests++
    const waitedMs = nowMs - receivedMs
    metrics.advanced.request_throttle_queue_time_ms.add(waitedMs)
    const refused = options.throttledOpWaitMs > 0 && waitedMs > options.throttledOpWaitMs && isThrottlable(type)
    if (refused) metrics.counters.throttled_ops++
    take(arrival, refused)
    return true
  }

  private isStale({ conn, type, receivedMs }: Arrival, nowMs: number): boolean {
    if (type === OpCode.closeSession) return false // it is to end the session, whoever waits for that
    if (this.options.staleConnectionCheck && conn.closed) return true
    return this.options.staleLatencyCheck && nowMs - receivedMs > conn.timeoutMs
  }

  /** A reply is due and its client is gone. */
  countStaleReply(): void {
    if (this.options.staleConnectionCheck) this.metrics.counters.stale_replies++
  }

  // ------------------------------------------------------------------ reading from sockets

  /** Above the limit a client that has requests outstanding is not read from until they are answered. */
  shouldStop(conn: Connection): boolean {
    if (conn.outstanding === 0 || !this.isFull()) return false
    conn.throttled = true
    this.stopped.add(conn)
    return true
  }

  private isFull(): boolean {
    return Math.max(this.inProcess, this.waiting) > this.options.outstandingLimit
  }

  /** A reply to this client was written, and there may be room again. */
  answered(conn: Connection): void {
    if (this.stopped.size === 0) return
    if (conn.throttled && conn.outstanding === 0) this.release(conn)
    this.goOn()
  }

  /**
   * Reads again from as many as there is room for, the longest stopped first. All of them when nothing is under way: no
   * reply would come to think of them again.
   */
  goOn(): void {
    if (this.stopped.size === 0 || this.isFull()) return
    const underWay = Math.max(this.inProcess, this.waiting)
    let room = underWay === 0 ? this.stopped.size : this.options.outstandingLimit - underWay + 1
    for (const conn of this.stopped) {
      if (room-- <= 0) return
      this.release(conn)
    }
  }

  private release(conn: Connection): void {
    this.forget(conn)
    conn.throttled = false
    if (!conn.closed) conn.resume()
  }

  forget(conn: Connection): void {
    this.stopped.delete(conn)
  }
}

/** Java: Request.isThrottlable. */
function isThrottlable(type: number): boolean {
  return type !== OpCode.ping && type !== OpCode.closeSession && type !== OpCode.createSession
}
