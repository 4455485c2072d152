/** One member on a disk in memory; the others, and the network to them, are played by hand. */

import { parseConfig } from '../../../src/server/config/config.ts'
import { Member, type MemberHost } from '../../../src/server/member/member.ts'
import { Metrics } from '../../../src/server/report/metrics.ts'
import type { Network } from '../../../src/zab/links.ts'
import type { Quorum } from '../../../src/zab/types.ts'
import { MemDisk } from '../../disk/memdisk.ts'
import { packet, packetTexts } from '../zab/lone.ts'

const SERVERS = [1, 2, 3].map((sid) => `server.${sid}=127.0.0.1:${2000 + sid}:${3000 + sid}`).join('\n')
const ZOO_CFG = `dataDir=/data\ntickTime=1000\ninitLimit=10\nsyncLimit=5\nclientPort=0\n`
/** To server 2, as its learner. */
export const TREE_LINK = 7

export interface AloneOptions {
  readonly disk?: MemDisk
  readonly sid?: number
  /** The lines `server.N`. */
  readonly servers?: string
  /** More lines of zoo.cfg. */
  readonly settings?: string
}

export class Alone implements MemberHost {
  readonly disk: MemDisk
  readonly member: Member
  readonly metrics: Metrics
  readonly sent: string[] = []
  readonly closed: number[] = []
  readonly logged: { level: string; fields: Record<string, unknown>; message: string }[] = []
  readonly failures: Error[] = []
  now = 1000
  readonly network: Network
  /** What is sent to the learner is a tree, no packets. */
  private sendsTree = false

  constructor({ disk = new MemDisk(), sid = 1, servers = SERVERS, settings = '' }: AloneOptions = {}) {
    this.disk = disk
    this.network = {
      dial: () => {},
      send: (link, bytes) => {
        if (link === TREE_LINK) this.onSent(bytes)
      },
      close: (link) => void this.closed.push(link),
      whenRoom: (_link, done) => done(),
      listen: () => {},
      flush: () => {},
    }
    const text = `${ZOO_CFG}${servers}\n${settings}\n`
    const { config } = parseConfig(text, '/zoo.cfg', new Map(), (path) => (path === '/data/myid' ? `${sid}` : null))
    this.metrics = new Metrics(() => 0)
    this.member = new Member(config, this, this.metrics)
  }

  nowMs = () => this.now
  wallMs = () => Date.UTC(2026, 10, 25, 14, 3, 9)
  random = () => 0.5
  serve = () => {}
  connection = () => undefined
  want = () => {}
  config = (_quorum: Quorum, _committed: boolean, done: () => void) => done()
  private onSent(bytes: Uint8Array): void {
    if (this.sendsTree) {
      this.sendsTree = !new TextDecoder('latin1').decode(bytes).endsWith('BenWasHere')
      return
    }
    const texts = packetTexts(bytes)
    this.sent.push(...texts)
    this.sendsTree = texts.at(-1)?.startsWith('SNAP') === true
  }

  failed(err: Error): void {
    this.failures.push(err)
  }
  log(level: 'debug' | 'info' | 'warn', fields: Record<string, unknown>, message: string): void {
    this.logged.push({ level, fields, message })
  }

  get warnings(): string[] {
    return this.logged.filter(({ level }) => level === 'warn').map(({ message }) => message)
  }

  receive(link: number, bytes: Uint8Array): void {
    this.member.onBytes(link, bytes, 0, bytes.length)
  }

  /** Server `sid` comes in on the election port and says that 2 leads. */
  hear(link: number, sid: number, state: number): void {
    this.member.onAccept(link, 'election')
    const address = new TextEncoder().encode('127.0.0.1:1')
    const bytes = new Uint8Array(20 + address.length + 4 + 44)
    const view = new DataView(bytes.buffer)
    view.setBigInt64(0, -65536n)
    view.setBigInt64(8, BigInt(sid))
    view.setInt32(16, address.length)
    bytes.set(address, 20)
    const at = 20 + address.length
    view.setInt32(at, 44)
    view.setInt32(at + 4, state)
    view.setBigInt64(at + 8, 2n)
    view.setBigInt64(at + 24, 1n)
    view.setBigInt64(at + 32, 1n)
    view.setInt32(at + 40, 2)
    this.receive(link, bytes)
  }

  /** Follows server 2, which begins `epoch`, up to the answer to that. */
  async follow(epoch: number): Promise<void> {
    this.hear(1, 2, 2)
    this.hear(2, 3, 1)
    this.member.onOpen(TREE_LINK, 2, 'learner')
    this.receive(TREE_LINK, packet('LEADERINFO', epoch * 2 ** 32, '00010000'))
    await this.until(() => this.sent.some((text) => text.startsWith('ACKEPOCH')))
  }

  /** Lets the disk in memory answer until `goal` holds. */
  async until(goal: () => boolean): Promise<void> {
    for (let i = 0; !goal(); i++) {
      if (i > 10_000) throw new Error('it does not happen')
      this.member.flush()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}
