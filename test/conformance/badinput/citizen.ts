/**
 * A well-behaved client. It works in a loop on nodes of its own, which nobody else may touch, and checks every answer:
 * whatever is done to the server on other connections, it must not notice.
 */

import { CreateMode, OpCode, Perm, Xid } from '../../../src/jute/codes.ts'
import { Input } from '../../../src/jute/input.ts'
import * as records from '../../../src/jute/records.ts'
import { type Address, type Connection, openSession, request } from './connection.ts'

const OWN: records.ACL[] = [{ perms: Perm.all, id: { scheme: 'auth', id: '' } }]

interface Reply {
  err: number
  body: Input
}

export class Citizen {
  /** Rounds of work done, and requests answered as they should be. */
  rounds: number
  answers: number
  private readonly connection: Connection
  private readonly deadlineMs: number
  private home: string
  private readonly events: records.WatcherEvent[]
  private xid: number
  private zxid: number

  private constructor(connection: Connection, deadlineMs: number) {
    this.rounds = 0
    this.answers = 0
    this.connection = connection
    this.deadlineMs = deadlineMs
    this.home = ''
    this.events = []
    this.xid = 0
    this.zxid = 0
  }

  /** Connects, authenticates and makes its home, a node that only it may write below. */
  static async settle(address: Address, deadlineMs: number): Promise<Citizen> {
    const connection = await openSession(address, 30_000, deadlineMs)
    if (connection === null) throw new Error('a well-behaved client was not let in')
    const citizen = new Citizen(connection, deadlineMs)
    const auth = new TextEncoder().encode('citizen:never told')
    connection.write(
      request(Xid.auth, OpCode.auth, (out) => records.writeAuthPacket(out, { type: 0, scheme: 'digest', auth })),
    )
    citizen.expect('auth', 0, (await citizen.reply(Xid.auth)).err)
    citizen.home = await citizen.create('/citizen-', new Uint8Array(0), CreateMode.persistentSequential)
    // A child that stays keeps the home from being deleted by anyone: that right is the parent's to give.
    await citizen.create(`${citizen.home}/hearth`, new Uint8Array(0))
    return citizen
  }

  /** Works until `stop` says so, once at least. Throws on the first answer that is not right. */
  async work(stop: () => boolean): Promise<void> {
    do {
      await this.round(`${this.home}/n${this.rounds}`)
      this.rounds++
    } while (!stop())
  }

  leave(): void {
    this.connection.reset()
  }

  private async round(path: string): Promise<void> {
    const first = new TextEncoder().encode(`first of ${path}`)
    const second = new TextEncoder().encode(`second of ${path}`)
    await this.create(path, first)
    const one = await this.getData(path, true)
    this.expectBytes(first, one.data)
    this.expect('version', 0, one.stat.version)

    const set = await this.call(OpCode.setData, (out) =>
      records.writeSetDataRequest(out, { path, data: second, version: 0 }),
    )
    this.expect('setData', 0, set.err)
    this.expect('new version', 1, records.readStat(set.body).version)
    // The event of an own change comes before its reply.
    const event = this.events.shift()
    this.expect('event', `3 3 ${path}`, `${event?.type} ${event?.state} ${event?.path}`)

    const two = await this.getData(path, false)
    this.expectBytes(second, two.data)
    this.expect('version', 1, two.stat.version)
    this.expect('dataLength', second.length, two.stat.dataLength)

    const late = await this.call(OpCode.setData, (out) =>
      records.writeSetDataRequest(out, { path, data: first, version: 0 }),
    )
    this.expect('setData of an old version', -103, late.err)

    const list = await this.call(OpCode.getChildren, (out) =>
      records.writeGetChildrenRequest(out, { path: this.home, watch: false }),
    )
    this.expect('getChildren', 0, list.err)
    const children = records.readGetChildrenResponse(list.body).children!.sort()
    this.expect('children', ['hearth', path.slice(this.home.length + 1)].join(), children.join())

    this.connection.write(request(Xid.ping, OpCode.ping))
    this.expect('ping', 0, (await this.reply(Xid.ping)).err)

    const gone = await this.call(OpCode.delete, (out) => records.writeDeleteRequest(out, { path, version: 1 }))
    this.expect('delete', 0, gone.err)
    const none = await this.call(OpCode.exists, (out) => records.writeExistsRequest(out, { path, watch: false }))
    this.expect('exists', -101, none.err)
    this.expect('events left', 0, this.events.length)
  }

  private async create(path: string, data: Uint8Array, flags: number = CreateMode.persistent): Promise<string> {
    const reply = await this.call(OpCode.create, (out) =>
      records.writeCreateRequest(out, { path, data, acl: OWN, flags }),
    )
    this.expect('create', 0, reply.err)
    const created = records.readCreateResponse(reply.body).path!
    if (flags === CreateMode.persistent) this.expect('created path', path, created)
    return created
  }

  private async getData(path: string, watch: boolean): Promise<records.GetDataResponse> {
    const reply = await this.call(OpCode.getData, (out) => records.writeGetDataRequest(out, { path, watch }))
    this.expect('getData', 0, reply.err)
    return records.readGetDataResponse(reply.body)
  }

  private call(type: number, writeBody: Parameters<typeof request>[2]): Promise<Reply> {
    const xid = ++this.xid
    this.connection.write(request(xid, type, writeBody))
    return this.reply(xid)
  }

  /** The next reply, which must be that of `xid`; events on the way are kept. */
  private async reply(xid: number): Promise<Reply> {
    for (;;) {
      const frame = await this.connection.next(this.deadlineMs)
      if (frame === null) throw new Error(`a well-behaved client was cut off in round ${this.rounds}`)
      const body = new Input(frame)
      const header = records.readReplyHeader(body)
      if (header.xid === Xid.notification) {
        this.events.push(records.readWatcherEvent(body))
        continue
      }
      this.expect('xid', xid, header.xid)
      // Replies are in order, and so is what they say of the server's time. A write that failed to be one says -1.
      if (header.zxid >= 0) {
        if (header.zxid < this.zxid) throw new Error(`zxid ${header.zxid} after ${this.zxid}`)
        this.zxid = header.zxid
      }
      this.answers++
      return { err: header.err, body }
    }
  }

  private expectBytes(expected: Uint8Array, found: Uint8Array | null): void {
    this.expect(
      'data',
      Buffer.from(expected).toString('hex'),
      found === null ? 'null' : Buffer.from(found).toString('hex'),
    )
  }

  private expect(what: string, expected: string | number, found: string | number | null): void {
    if (found !== expected) throw new Error(`round ${this.rounds}: ${what} is ${found}, not ${expected}`)
  }
}
