/**
 * Writers that know what they were promised: each counts up in registers of its own, and a register ends with the first
 * write that has no answer. What is read at last is between the last acknowledged count and the last one sent.
 */
import { sleep } from './process.mjs'
import { code, WireClient } from './wire.mjs'

const ANSWER_MS = 3000
const BACK_OFF_MS = 50

export class Load {
  /** @param {() => {host?: string, port: number}[]} servers where they may connect */
  constructor(servers, { writers = 4, valueBytes = 8192, home = '/disk' } = {}) {
    this.servers = servers
    this.valueBytes = valueBytes
    this.home = home
    this.registers = new Map() // path -> {acknowledged, sent}
    this.acknowledged = 0
    /** When the last acknowledged write was sent. */
    this.acknowledgedAt = 0
    this.errors = []
    this.stopped = false
    this.ids = 0
    this.work = Array.from({ length: writers }, (_, i) => this.writer(i))
  }

  async stop() {
    this.stopped = true
    await Promise.all(this.work)
  }

  /** An acknowledged write that was sent later than `since`, in time? */
  async writesSince(since, withinMs) {
    const end = performance.now() + withinMs
    while (this.acknowledgedAt <= since) {
      if (performance.now() > end) return false
      await sleep(20)
    }
    return true
  }

  async writer(id) {
    for (let turn = id; !this.stopped; turn++) {
      const servers = this.servers()
      const client = await this.connect(servers[turn % servers.length])
      if (client === null) {
        await sleep(BACK_OFF_MS)
        continue
      }
      await this.writeAll(client)
      client.abandon()
    }
  }

  async connect({ host, port }) {
    try {
      const client = await WireClient.connect({ host, port, timeoutMs: 30_000, answerWithinMs: ANSWER_MS })
      const { err } = await this.answer(client.create(this.home, Buffer.alloc(0)))
      if (err === code.ok || err === code.nodeExists) return client
      client.abandon()
    } catch {
      // It is down, or has stepped aside.
    }
    return null
  }

  /** Writes one register until there is no answer. */
  async writeAll(client) {
    const path = `${this.home}/r${this.ids++}`
    const register = { acknowledged: -1, sent: 0 }
    this.registers.set(path, register)
    for (let count = 0; !this.stopped; count++) {
      register.sent = count
      const sentAt = performance.now()
      const data = this.valueOf(count)
      const { err } = await this.answer(count === 0 ? client.create(path, data) : client.setData(path, data))
      if (err === null) return
      if (err !== code.ok) {
        this.errors.push(`a write of ${path} was answered with ${err}`)
        return
      }
      register.acknowledged = count
      this.acknowledged++
      this.acknowledgedAt = Math.max(this.acknowledgedAt, sentAt)
    }
  }

  valueOf(count) {
    const data = Buffer.alloc(this.valueBytes, `${count} `)
    data.write(`${count}.`)
    return data
  }

  /** The reply; `err` null where there was none. */
  async answer(reply) {
    let timer
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, ANSWER_MS, { err: null })
    })
    const got = await Promise.race([reply.catch(() => ({ err: null })), late])
    clearTimeout(timer)
    return got
  }

  /** What a server shows of the registers that is not possible. */
  async wrongAt({ host, port }) {
    const wrong = [...this.errors]
    const client = await WireClient.connect({ host, port })
    await client.sync('/')
    for (const [path, { acknowledged, sent }] of this.registers) {
      const { err, data } = await client.getData(path)
      if (err === code.noNode && acknowledged < 0) continue
      const count = err === code.ok ? Number.parseInt(data.toString('latin1'), 10) : -1
      if (count < acknowledged || count > sent) {
        wrong.push(
          `${path}: ${err === code.ok ? `count ${count}` : `error ${err}`}, acknowledged ${acknowledged}, sent ${sent}`,
        )
      } else if (Buffer.compare(data, this.valueOf(count)) !== 0) wrong.push(`${path}: the value is not whole`)
    }
    await client.close()
    return wrong
  }
}
