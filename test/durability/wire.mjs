/**
 * A small ZooKeeper client over the raw protocol, for tests that read and write in bulk.
 *
 * Stands alone on purpose: it shares no codec with the server under test, so that a mistake made twice cannot hide.
 * Requests are pipelined, replies are matched in order; longs are bigint. Watches are not supported.
 */
import net from 'node:net'

export const op = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getACL: 6,
  setACL: 7,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  createContainer: 19,
  createTTL: 21,
  closeSession: -11,
  auth: 100,
}

export const code = {
  ok: 0,
  connectionLoss: -4,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
}

export const flag = {
  persistent: 0,
  ephemeral: 1,
  sequential: 2,
  ephemeralSequential: 3,
  container: 4,
  ttl: 5,
  ttlSequential: 6,
}
export const OPEN_ACL = [{ perms: 31, scheme: 'world', id: 'anyone' }]

/** Growable writer of jute's primitives. */
class Out {
  parts = []
  byte(value) {
    return this.raw(Buffer.from([value & 0xff]))
  }
  int(value) {
    const b = Buffer.allocUnsafe(4)
    b.writeInt32BE(value | 0)
    return this.raw(b)
  }
  long(value) {
    const b = Buffer.allocUnsafe(8)
    b.writeBigInt64BE(BigInt.asIntN(64, BigInt(value)))
    return this.raw(b)
  }
  raw(bytes) {
    this.parts.push(bytes)
    return this
  }
  buffer(bytes) {
    return bytes === null ? this.int(-1) : this.int(bytes.length).raw(bytes)
  }
  string(text) {
    return this.buffer(text === null ? null : Buffer.from(text, 'utf8'))
  }
  acl(entries) {
    this.int(entries.length)
    for (const e of entries) this.int(e.perms).string(e.scheme).string(e.id)
    return this
  }
  done() {
    return Buffer.concat(this.parts)
  }
}

/** Cursor over one reply, or over a log record. */
export class In {
  constructor(bytes, at = 0) {
    this.bytes = bytes
    this.at = at
  }
  get atEnd() {
    return this.at >= this.bytes.length
  }
  byte() {
    return this.bytes.readInt8(this.at++)
  }
  int() {
    this.at += 4
    return this.bytes.readInt32BE(this.at - 4)
  }
  long() {
    this.at += 8
    return this.bytes.readBigInt64BE(this.at - 8)
  }
  buffer() {
    const length = this.int()
    if (length < 0) return null
    this.at += length
    if (this.at > this.bytes.length) throw new Error(`field of ${length} bytes ends beyond the record`)
    return this.bytes.subarray(this.at - length, this.at)
  }
  string() {
    return this.buffer()?.toString('utf8') ?? null
  }
  strings() {
    return Array.from({ length: Math.max(0, this.int()) }, () => this.string())
  }
  acl() {
    return Array.from({ length: Math.max(0, this.int()) }, () => ({
      perms: this.int(),
      scheme: this.string(),
      id: this.string(),
    }))
  }
  stat() {
    return {
      czxid: this.long(),
      mzxid: this.long(),
      ctime: this.long(),
      mtime: this.long(),
      version: this.int(),
      cversion: this.int(),
      aversion: this.int(),
      ephemeralOwner: this.long(),
      dataLength: this.int(),
      numChildren: this.int(),
      pzxid: this.long(),
    }
  }
}

/** The session was refused: unknown, expired, or the password is wrong. */
export class SessionRefused extends Error {}
/** The connection ended; what was under way may have happened or not. */
export class ConnectionLost extends Error {}

export class WireClient {
  /**
   * Opens or re-attaches a session.
   * @param {{port: number, host?: string, timeoutMs?: number, sessionId?: bigint, password?: Buffer, lastZxid?: bigint, answerWithinMs?: number}} options
   * @returns {Promise<WireClient>}
   */
  static connect(options) {
    return new Promise((resolve, reject) => new WireClient(options, resolve, reject))
  }

  constructor(options, resolve, reject) {
    this.sessionId = options.sessionId ?? 0n
    this.password = options.password ?? Buffer.alloc(16)
    this.timeoutMs = options.timeoutMs ?? 30_000
    this.lastZxid = options.lastZxid ?? 0n
    this.waiting = [] // {xid, resolve, reject}, in the order sent
    this.xid = 0
    this.alive = true
    this.received = Buffer.alloc(0)
    this.outgoing = []
    this.handshake = { resolve, reject }
    this.socket = net.connect({ port: options.port, host: options.host ?? '127.0.0.1', noDelay: true })
    this.deadline = setTimeout(
      () => this.fail(new ConnectionLost('no answer to the connect request')),
      options.answerWithinMs ?? 10_000,
    )
    this.pinger = setInterval(
      () => this.alive && !this.handshake && this.request(op.ping, Buffer.alloc(0), -2).catch(() => {}),
      Math.max(100, this.timeoutMs / 3),
    )
    this.pinger.unref()
    this.socket.on('data', (chunk) => this.onData(chunk))
    this.socket.on('error', (error) => this.fail(new ConnectionLost(error.message)))
    this.socket.on('close', () => this.fail(new ConnectionLost('closed by the server')))
    const hello = new Out().int(0).long(this.lastZxid).int(this.timeoutMs).long(this.sessionId)
    this.write(hello.buffer(this.password).byte(0).done())
  }

  write(payload) {
    const head = Buffer.allocUnsafe(4)
    head.writeInt32BE(payload.length)
    if (this.outgoing.length === 0) {
      setImmediate(() => {
        if (this.alive) this.socket.write(Buffer.concat(this.outgoing))
        this.outgoing = []
      })
    }
    this.outgoing.push(head, payload)
  }

  onData(chunk) {
    this.received = this.received.length === 0 ? chunk : Buffer.concat([this.received, chunk])
    let at = 0
    while (this.alive && this.received.length - at >= 4) {
      const length = this.received.readInt32BE(at)
      if (this.received.length - at - 4 < length) break
      this.onFrame(this.received.subarray(at + 4, at + 4 + length))
      at += 4 + length
    }
    this.received = this.received.subarray(at)
  }

  onFrame(frame) {
    const inp = new In(frame)
    if (this.handshake !== null) return this.onConnected(inp)
    const xid = inp.int()
    const zxid = inp.long()
    const err = inp.int()
    if (zxid > this.lastZxid) this.lastZxid = zxid
    if (xid === -1) return undefined // a watch event; nobody here sets watches
    const head = this.waiting.shift()
    if (head === undefined || head.xid !== xid) {
      return this.fail(new Error(`reply with xid ${xid}, expected ${head?.xid ?? 'none'}: replies out of order`))
    }
    head.resolve({ err, zxid, body: inp })
    return undefined
  }

  onConnected(inp) {
    inp.int()
    const timeoutMs = inp.int()
    const sessionId = inp.long()
    const password = inp.buffer()
    if (sessionId === 0n) return this.fail(new SessionRefused('session refused'))
    const { resolve } = this.handshake
    this.handshake = null
    clearTimeout(this.deadline)
    this.sessionId = sessionId
    this.password = Buffer.from(password)
    this.timeoutMs = timeoutMs
    resolve(this)
    return undefined
  }

  fail(error) {
    if (!this.alive) return
    this.alive = false
    clearTimeout(this.deadline)
    clearInterval(this.pinger)
    this.socket.destroy()
    const waiting = this.waiting
    this.waiting = []
    this.handshake?.reject(error)
    for (const w of waiting) w.reject(error)
  }

  /** Drops the connection and says nothing to the server: the session lives on until it expires. */
  abandon() {
    this.fail(new ConnectionLost('abandoned by the test'))
  }

  /** Sends one request; resolves with the reply, whatever its error code. */
  request(type, body, xid = this.nextXid()) {
    if (!this.alive) return Promise.reject(new ConnectionLost('not connected'))
    return new Promise((resolve, reject) => {
      this.waiting.push({ xid, resolve, reject })
      this.write(Buffer.concat([new Out().int(xid).int(type).done(), body]))
    })
  }

  nextXid() {
    this.xid = this.xid >= 0x7fff_fff0 ? 1 : this.xid + 1
    return this.xid
  }

  async close() {
    if (!this.alive) return
    await this.request(op.closeSession, Buffer.alloc(0))
    this.fail(new ConnectionLost('session closed'))
  }

  auth(scheme, credentials) {
    const body = new Out().int(0).string(scheme).buffer(Buffer.from(credentials)).done()
    return this.request(op.auth, body, -4)
  }

  /** Create with the reply that carries a Stat; picks the op code that the flags need. */
  async create(path, data, { acl = OPEN_ACL, flags = flag.persistent, ttlMs = 0 } = {}) {
    const type = flags >= flag.ttl ? op.createTTL : flags === flag.container ? op.createContainer : op.create2
    const body = new Out().string(path).buffer(data).acl(acl).int(flags)
    if (type === op.createTTL) body.long(ttlMs)
    const reply = await this.request(type, body.done())
    if (reply.err !== 0) return { err: reply.err, zxid: reply.zxid }
    return { err: 0, zxid: reply.zxid, path: reply.body.string(), stat: reply.body.stat() }
  }

  async delete(path, version = -1) {
    const { err, zxid } = await this.request(op.delete, new Out().string(path).int(version).done())
    return { err, zxid }
  }

  async setData(path, data, version = -1) {
    const reply = await this.request(op.setData, new Out().string(path).buffer(data).int(version).done())
    return reply.err !== 0 ? { err: reply.err, zxid: reply.zxid } : { ...head(reply), stat: reply.body.stat() }
  }

  async setACL(path, acl, version = -1) {
    const reply = await this.request(op.setACL, new Out().string(path).acl(acl).int(version).done())
    return reply.err !== 0 ? { err: reply.err, zxid: reply.zxid } : { ...head(reply), stat: reply.body.stat() }
  }

  async sync(path) {
    return head(await this.request(op.sync, new Out().string(path).done()))
  }

  async exists(path) {
    const reply = await this.request(op.exists, new Out().string(path).byte(0).done())
    return reply.err !== 0 ? head(reply) : { ...head(reply), stat: reply.body.stat() }
  }

  async getData(path) {
    const reply = await this.request(op.getData, new Out().string(path).byte(0).done())
    if (reply.err !== 0) return head(reply)
    const data = reply.body.buffer()
    return { ...head(reply), data, stat: reply.body.stat() }
  }

  async getChildren(path) {
    const reply = await this.request(op.getChildren2, new Out().string(path).byte(0).done())
    if (reply.err !== 0) return head(reply)
    const children = reply.body.strings()
    return { ...head(reply), children, stat: reply.body.stat() }
  }

  async getACL(path) {
    const reply = await this.request(op.getACL, new Out().string(path).done())
    if (reply.err !== 0) return head(reply)
    const acl = reply.body.acl()
    return { ...head(reply), acl, stat: reply.body.stat() }
  }

  /** @param {({create: string, data: Buffer} | {set: string, data: Buffer, version?: number} | {delete: string, version?: number} | {check: string, version: number})[]} parts */
  async multi(parts) {
    const out = new Out()
    const header = (type) => out.int(type).byte(0).int(-1)
    for (const p of parts) {
      if (p.create !== undefined)
        header(op.create)
          .string(p.create)
          .buffer(p.data)
          .acl(OPEN_ACL)
          .int(p.flags ?? 0)
      else if (p.set !== undefined)
        header(op.setData)
          .string(p.set)
          .buffer(p.data)
          .int(p.version ?? -1)
      else if (p.delete !== undefined)
        header(op.delete)
          .string(p.delete)
          .int(p.version ?? -1)
      else header(op.check).string(p.check).int(p.version)
    }
    out.int(-1).byte(1).int(-1)
    const reply = await this.request(op.multi, out.done())
    if (reply.err !== 0) return head(reply)
    // A failed multi carries error results in place of every part; the first code that is not 0 names the reason.
    const first = new In(reply.body.bytes, reply.body.at)
    if (parts.length > 0 && first.int() === -1) return { ...head(reply), err: failureOf(reply.body) }
    return head(reply)
  }
}

function head(reply) {
  return { err: reply.err, zxid: reply.zxid }
}

function failureOf(inp) {
  for (;;) {
    const type = inp.int()
    const done = inp.byte() !== 0
    inp.int()
    if (done || type !== -1) throw new Error('failed multi without a reason')
    const err = inp.int()
    if (err !== 0 && err !== -2) return err
  }
}

/** Sends a four-letter word and returns the whole answer. */
export function fourLetterWord(port, word, withinMs = 2_000, host = '127.0.0.1') {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host })
    const chunks = []
    socket.setTimeout(withinMs, () => socket.destroy(new Error(`no answer to ${word} within ${withinMs} ms`)))
    socket.on('connect', () => socket.write(word))
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', (hadError) => hadError || resolve(Buffer.concat(chunks).toString('utf8')))
  })
}

/** Runs `work` over all items with at most `width` under way, keeping the order of results. */
export async function pipeline(items, width, work) {
  const results = new Array(items.length)
  let next = 0
  const lane = async () => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index], index)
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane))
  return results
}
