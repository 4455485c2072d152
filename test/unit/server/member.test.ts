import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/server/config.ts'
import { Member, type MemberHost } from '../../../src/server/member.ts'
import { Metrics } from '../../../src/server/metrics.ts'
import type { Network } from '../../../src/zab/links.ts'
import { MemDisk } from '../txnlog/memdisk.ts'
import { packet, packetTexts } from '../zab/lone.ts'

const SERVERS = [1, 2, 3].map((sid) => `server.${sid}=127.0.0.1:${2000 + sid}:${3000 + sid}`).join('\n')
const ZOO_CFG = `dataDir=/data\ntickTime=1000\ninitLimit=10\nsyncLimit=5\nclientPort=0\n${SERVERS}\n`
const TREE_LINK = 7

/** Server 1, on a disk in memory, with a network that is played by hand. */
class Alone implements MemberHost {
  readonly disk = new MemDisk()
  readonly member: Member
  readonly sent: string[] = []
  readonly closed: number[] = []
  readonly warnings: string[] = []
  now = 1000
  readonly network: Network

  constructor() {
    this.network = {
      dial: () => {},
      send: (link, bytes) => void this.sent.push(...(link === TREE_LINK ? packetTexts(bytes) : [])),
      close: (link) => void this.closed.push(link),
      whenRoom: (_link, done) => done(),
      listen: () => {},
      flush: () => {},
    }
    const { config } = parseConfig(ZOO_CFG, '/zoo.cfg', new Map(), (path) => (path === '/data/myid' ? '1' : null))
    this.member = new Member(config, this, new Metrics(() => 0))
  }

  nowMs = () => this.now
  wallMs = () => this.now
  random = () => 0.5
  serve = () => {}
  connection = () => undefined
  want = () => {}
  config = (_quorum: unknown, _committed: boolean, done: () => void) => done()
  failed(err: Error): void {
    throw err
  }
  log(level: string, _fields: unknown, message: string): void {
    if (level === 'warn') this.warnings.push(message)
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
}

/** Lets the disk in memory answer until `goal` holds. */
async function until(goal: () => boolean): Promise<void> {
  for (let i = 0; !goal(); i++) {
    if (i > 10_000) throw new Error('it does not happen')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('a member', () => {
  it('E11, N3: gives a leader up that stops in the middle of its snapshot, after initLimit, and says so', async () => {
    const alone = new Alone()
    await alone.member.start(null)
    alone.hear(1, 2, 2)
    alone.hear(2, 3, 1)
    expect(alone.member.zab.role).toBe('following')
    alone.member.onOpen(TREE_LINK, 2, 'learner')
    alone.receive(TREE_LINK, packet('LEADERINFO', 2 ** 32, '00010000'))
    await until(() => alone.sent.some((text) => text.startsWith('ACKEPOCH')))
    alone.receive(TREE_LINK, packet('SNAP', 2 ** 32 + 5))
    alone.now += 9000
    alone.receive(TREE_LINK, new Uint8Array([0, 0, 0]))
    alone.now += 9999
    alone.member.clockFirst()
    expect(alone.closed).not.toContain(TREE_LINK)
    alone.now += 1
    expect(alone.member.nextDeadlineMs()).toBeLessThanOrEqual(alone.now)
    alone.member.clockFirst()
    expect(alone.closed).toContain(TREE_LINK)
    expect(alone.member.zab.role).toBe('looking')
    expect(alone.warnings).toContain('no more of the tree came from the leader for initLimit')
  })
})
