/**
 * A client of the fault tests: one session that goes from member to member, one operation at a time, and writes down
 * what came of each.
 *
 * What is not answered in time is an open outcome: it may have happened, or may happen still. The session is taken up
 * again at another member; if it was refused there, it is lost, and the test fails, for nothing lasts as long as its
 * timeout.
 */
import { SessionOrder } from './faults_history.mjs'
import { sleep } from './process.mjs'
import { code, SessionRefused } from './wire.mjs'

const SESSION_MS = 40_000
const ANSWER_MS = 2500
const BACK_OFF_MS = 25
const PAUSE_MS = 8
/** Before each operation: that it goes to another member first, for no reason. */
const MOVE_CHANCE = 0.01

export class FaultClient {
  constructor(id, members, random) {
    this.id = id
    this.members = members
    this.random = random
    this.at = id % members.length
    this.wire = null
    this.session = null // {sessionId, password, lastZxid}
    this.stopped = false
    this.counter = 0
    this.known = new Map() // key -> version last seen
    this.countAcknowledged = 0
    this.acknowledgedAt = 0 // when the last acknowledged write was sent
  }

  get who() {
    return `client ${this.id} (session 0x${this.session?.sessionId.toString(16) ?? '-'})`
  }

  /** Works on these registers until `stop`. */
  begin(history, keys) {
    this.history = history
    this.keys = keys
    this.known.clear()
    this.stopped = false
    this.order ??= new SessionOrder(history, () => this.who)
    this.order.history = history
    this.work = this.loop()
  }

  async stop() {
    this.stopped = true
    await this.work
  }

  async loop() {
    while (!this.stopped) {
      if (this.wire?.alive && this.random.next() < MOVE_CHANCE) this.leave(this.random.below(this.members.length))
      if (!(await this.attach())) continue
      const key = this.random.pick(this.keys)
      const dice = this.random.next()
      if (dice < 0.35) await this.write(key, null)
      else if (dice < 0.7) await this.write(key, this.guess(key))
      else await this.read(key, dice < 0.85)
      await sleep(PAUSE_MS)
    }
  }

  /** Mostly right; sometimes a version that is gone, sometimes one that is to come. */
  guess(key) {
    const version = this.known.get(key) ?? 0
    const dice = this.random.next()
    if (dice < 0.1) return Math.max(0, version - 1)
    return dice < 0.2 ? version + 1 : version
  }

  async attach() {
    if (this.wire?.alive) return true
    const member = this.members[this.at]
    try {
      this.wire = await member.connect({ timeoutMs: SESSION_MS, answerWithinMs: ANSWER_MS, ...this.session })
      this.keep()
      return true
    } catch (error) {
      if (error instanceof SessionRefused) {
        this.history.fail(`${this.who} was lost: ${member.name} does not know it`)
        this.session = null
        this.order = new SessionOrder(this.history, () => this.who)
      }
      this.at = (this.at + 1) % this.members.length
      await sleep(BACK_OFF_MS)
      return false
    }
  }

  /** Drops the connection, to take the session up again at the member in this place. */
  leave(at) {
    this.keep()
    this.wire.abandon()
    this.at = at
  }

  keep() {
    const { sessionId, password, lastZxid } = this.wire
    this.session = { sessionId, password, lastZxid }
  }

  /** The reply, or null when there is none: the connection is given up then. */
  async answer(reply) {
    let timer
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, ANSWER_MS, null)
    })
    const got = await Promise.race([reply.catch(() => null), late])
    clearTimeout(timer)
    if (got === null) {
      reply.catch(() => {})
      this.leave((this.at + 1) % this.members.length)
      return null
    }
    this.order.onReply(got.zxid)
    return got
  }

  /** `on`: the version it is to replace; null, whatever is there. */
  async write(key, on) {
    const value = `${this.id}.${this.counter++}`
    const op = { client: this.id, key, kind: on === null ? 'write' : 'conditional', value, on: on ?? -1 }
    const call = performance.now()
    const got = await this.answer(this.wire.setData(key, Buffer.from(value), on ?? -1))
    const end = performance.now()
    if (got === null) this.history.add({ ...op, result: 'open', version: 0 }, call, end)
    else if (got.err === code.badVersion) this.history.add({ ...op, result: 'badversion', version: 0 }, call, end)
    else if (got.err === code.ok) {
      const { version, mzxid } = got.stat
      this.history.add({ ...op, result: 'ok', version }, call, end)
      this.learn(key, version, value, mzxid)
      this.countAcknowledged++
      this.acknowledgedAt = call
    } else this.history.fail(`${this.who}: a write of ${key} is answered with ${got.err}`)
    if (got?.err === code.badVersion) await this.read(key, false)
  }

  /** A plain read, or one behind a sync. */
  async read(key, synced) {
    if (!this.wire.alive) return
    if (synced)
      this.wire.sync(key).then(
        ({ zxid }) => zxid,
        () => {},
      )
    const got = await this.answer(this.wire.getData(key))
    if (got === null) return
    if (got.err === code.ok) this.learn(key, got.stat.version, got.data.toString(), got.stat.mzxid)
    else this.history.fail(`${this.who}: a read of ${key} is answered with ${got.err}`)
  }

  learn(key, version, value, mzxid) {
    this.order.onVersion(key, version)
    this.history.see(key, version, value, mzxid, this.who)
    this.known.set(key, version)
  }

  async close() {
    if (this.wire?.alive) await this.wire.close()
  }
}
