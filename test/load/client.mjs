/**
 * A client of the load tests: the raw protocol, thousands in one process. It shares no code with the server under test.
 *
 * Requests are pipelined and replies matched in order; events go to `onEvent`. Nothing here retries: what a case wants to
 * happen when a connection ends is its own affair (`onClosed`).
 */
import net from 'node:net'

export const op = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getChildren: 8,
  ping: 11,
  closeSession: -11,
}

const NO_PASSWORD = Buffer.alloc(16)

/** What a client keeps of its session. */
export class Refused extends Error {}

export class LoadClient {
  /** Resolves when the session is there; rejects with Refused when it is gone, with another error when nobody answers. */
  static open(options) {
    const client = new LoadClient(options)
    return client.ready.then(() => client)
  }

  constructor({ port, session = null, timeoutMs = 30_000, lastZxid = 0n, answerWithinMs = 10_000 }) {
    this.port = port
    this.session = session
    this.lastZxid = lastZxid
    this.timeoutMs = timeoutMs
    this.alive = true
    this.xid = 0
    this.waiting = []
    this.received = null
    this.onEvent = () => {}
    this.onClosed = () => {}
    this.events = 0
    this.ready = new Promise((resolve, reject) => {
      this.handshake = { resolve, reject }
    })
    this.socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    this.deadline = setTimeout(() => this.end(new Error('no answer to the connect request')), answerWithinMs)
    this.socket.on('connect', () => this.sendConnect())
    this.socket.on('data', (chunk) => this.onData(chunk))
    this.socket.on('error', (err) => this.end(err))
    this.socket.on('close', () => this.end(new Error('connection closed')))
  }

  sendConnect() {
    const body = Buffer.alloc(45)
    body.writeBigInt64BE(this.lastZxid, 4)
    body.writeInt32BE(this.timeoutMs, 12)
    body.writeBigInt64BE(this.session?.id ?? 0n, 16)
    body.writeInt32BE(16, 24)
    ;(this.session?.password ?? NO_PASSWORD).copy(body, 28)
    this.write(body)
  }

  write(body) {
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(body.length)
    this.socket.write(Buffer.concat([length, body]))
  }

  onData(chunk) {
    let buf = this.received === null ? chunk : Buffer.concat([this.received, chunk])
    this.received = null
    while (buf.length >= 4 && buf.length >= 4 + buf.readInt32BE(0)) {
      const end = 4 + buf.readInt32BE(0)
      this.onFrame(buf.subarray(4, end))
      buf = buf.subarray(end)
    }
    if (buf.length > 0) this.received = Buffer.from(buf)
  }

  onFrame(frame) {
    if (this.handshake !== null) {
      this.onConnected(frame)
      return
    }
    const xid = frame.readInt32BE(0)
    const zxid = frame.readBigInt64BE(4)
    if (zxid > this.lastZxid) this.lastZxid = zxid
    if (xid === -2) return
    if (xid === -1) {
      this.events++
      this.onEvent(frame)
      return
    }
    const head = this.waiting.shift()
    if (head === undefined || head.xid !== xid) {
      this.end(new Error(`reply with xid ${xid}, expected ${head?.xid ?? 'none'}`))
      return
    }
    head.resolve({ err: frame.readInt32BE(12), body: frame.subarray(16), ms: performance.now() - head.sentMs })
  }

  onConnected(frame) {
    const { resolve, reject } = this.handshake
    this.handshake = null
    clearTimeout(this.deadline)
    const id = frame.readBigInt64BE(8)
    if (id === 0n) {
      reject(new Refused('session refused'))
      this.socket.destroy()
      return
    }
    this.timeoutMs = frame.readInt32BE(4)
    this.session = { id, password: Buffer.from(frame.subarray(20, 36)) }
    resolve()
  }

  end(error) {
    if (!this.alive) return
    this.alive = false
    clearTimeout(this.deadline)
    this.socket.destroy()
    if (this.handshake !== null) this.handshake.reject(error)
    this.handshake = null
    for (const { reject } of this.waiting) reject(error)
    this.waiting = []
    this.onClosed(error)
  }

  /** Drops the connection without a word: the session lives on. */
  abandon() {
    this.onClosed = () => {}
    this.end(new Error('abandoned'))
  }

  request(type, body) {
    if (!this.alive) return Promise.reject(new Error('not connected'))
    return new Promise((resolve, reject) => {
      const xid = ++this.xid
      this.waiting.push({ xid, resolve, reject, sentMs: performance.now() })
      this.write(Buffer.concat([ints(xid, type), body]))
    })
  }

  ping() {
    if (this.alive && this.handshake === null) this.write(ints(-2, op.ping))
  }

  create(path, data = Buffer.alloc(0), flags = 0) {
    const acl = Buffer.concat([ints(1, 31), text('world'), text('anyone')])
    return this.request(op.create, Buffer.concat([text(path), bytes(data), acl, ints(flags)]))
  }

  set(path, data) {
    return this.request(op.setData, Buffer.concat([text(path), bytes(data), ints(-1)]))
  }

  get(path, watch = false) {
    return this.request(op.getData, Buffer.concat([text(path), Buffer.from([watch ? 1 : 0])]))
  }

  exists(path, watch = false) {
    return this.request(op.exists, Buffer.concat([text(path), Buffer.from([watch ? 1 : 0])]))
  }

  delete(path) {
    return this.request(op.delete, Buffer.concat([text(path), ints(-1)]))
  }

  async children(path) {
    const { body } = await this.request(op.getChildren, Buffer.concat([text(path), Buffer.from([0])]))
    return body.readInt32BE(0)
  }
}

export function ints(...values) {
  const buf = Buffer.allocUnsafe(4 * values.length)
  for (const [i, value] of values.entries()) buf.writeInt32BE(value, 4 * i)
  return buf
}

export function bytes(data) {
  return Buffer.concat([ints(data.length), data])
}

export function text(string) {
  return bytes(Buffer.from(string))
}

/** Pings for all of them, each three times in its timeout, spread evenly. Returns what stops it. */
export function keepAlive(clients, timeoutMs) {
  let at = 0
  const stepMs = 100
  const timer = setInterval(() => {
    const share = Math.ceil((clients.length * stepMs) / (timeoutMs / 3))
    for (let i = 0; i < share && clients.length > 0; i++) clients[at++ % clients.length].ping()
  }, stepMs)
  return () => clearInterval(timer)
}
