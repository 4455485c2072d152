/** Our election among servers of Apache ZooKeeper 3.9.5, played again from what was recorded there (record.ts). */

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Election } from '../../../src/zab/election.ts'
import { NON_VOTER, readHello, readNotification } from '../../../src/zab/notification.ts'
import type { ElectionEvents, ElectionOut, LinkId } from '../../../src/zab/types.ts'
import { formatVote, OPTIONS, parseQuorum, parseRole, parseVote } from './recording.ts'

const CONFIG = `server.1=127.0.0.1:25001:25011:participant
server.2=127.0.0.1:25002:25012:participant
server.3=127.0.0.1:25003:25013:participant
server.4=127.0.0.1:25004:25014:observer
version=0`

const lines = readFileSync(new URL('fixtures/election.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
const OUTPUTS = ['dial', 'send', 'close', 'elected']

/** What the recording's outputs are worth comparing by: the reason of a close is for humans. */
function withoutReason(line: string): string {
  return line.replace(/^(\d+ close \d+) .*/, '$1')
}

function replay(): string[] {
  const outputs: string[] = []
  const waiting = new Map<LinkId, Buffer>()
  let nowMs = 0
  const note = (line: string) => outputs.push(`${nowMs} ${line}`)
  const out: ElectionOut = {
    nowMs: () => nowMs,
    random: () => 0.5,
    dial: (sid) => note(`dial ${sid}`),
    send: (link, bytes) => note(`send ${link} ${Buffer.from(bytes).toString('hex')}`),
    close: (link) => note(`close ${link}`),
    trace: () => {},
  }
  const events: ElectionEvents = {
    onElected: (vote) => note(`elected ${formatVote(vote)}`),
    onNewerConfig: () => {},
  }
  const election = new Election(OPTIONS.sid, OPTIONS, out, events, parseQuorum)
  const quorum = parseQuorum(CONFIG)
  election.onConfig(quorum, quorum)
  for (const line of lines) {
    const [time, word, ...args] = line.split(' ')
    nowMs = Number(time)
    const link = Number(args[0])
    if (word === 'look') election.look(Number(args[0]), Number(args[1]))
    else if (word === 'settle') election.settle(parseRole(args[0]!), parseVote(args.slice(1)))
    else if (word === 'deadline') election.onDeadline()
    else if (word === 'accept') election.onAccept(link)
    else if (word === 'open') election.onOpen(link, Number(args[1]))
    else if (word === 'failed') election.onDialFailed(link)
    else if (word === 'closed') election.onClose(link)
    else if (word === 'bytes') {
      const all = Buffer.concat([waiting.get(link) ?? Buffer.alloc(0), Buffer.from(args[1]!, 'hex')])
      waiting.set(link, all.subarray(election.onBytes(link, all, 0, all.length)))
    }
  }
  election.stop()
  return outputs
}

/** All that came from Java on one connection. */
function received(link: LinkId): Buffer {
  const hex = lines.map((line) => line.split(' ')).filter(([, word, id]) => word === 'bytes' && Number(id) === link)
  return Buffer.concat(hex.map(([, , , bytes]) => Buffer.from(bytes!, 'hex')))
}

function notifications(bytes: Buffer, off: number) {
  const found = []
  while (off < bytes.length) {
    const end = off + 4 + bytes.readInt32BE(off)
    found.push(readNotification(bytes, off + 4, end)!)
    off = end
  }
  return found
}

describe('an election with servers of Apache ZooKeeper', () => {
  it('goes the same way again, byte for byte, to the leaders that Java agreed on', () => {
    const recorded = lines.filter((line) => OUTPUTS.includes(line.split(' ')[1]!)).map(withoutReason)
    expect(replay()).toEqual(recorded)
    const elected = recorded.filter((line) => line.includes(' elected ')).map((line) => line.split(' ').slice(2))
    expect(elected).toEqual([
      ['3', '0', '1', '0'],
      ['1', '0', '2', '1'],
      ['1', '0', '2', '2'],
    ])
  })

  it("reads Java's hello and its votes", () => {
    const bytes = received(1)
    const hello = readHello(bytes, 0, bytes.length)!
    expect(hello).toEqual({ sid: 3, addresses: ['127.0.0.1:25013'], end: 35 })
    const [first] = notifications(bytes, hello.end)
    const vote = { leader: 3, zxid: 0, electionEpoch: 1, peerEpoch: 0 }
    expect(first).toEqual({ state: 'looking', vote, version: 2, config: CONFIG })
  })

  it('reads the vote of a Java observer, which has none', () => {
    const bytes = received(4)
    const [first] = notifications(bytes, readHello(bytes, 0, bytes.length)!.end)
    const vote = { leader: NON_VOTER, zxid: NON_VOTER, electionEpoch: 1, peerEpoch: NON_VOTER }
    expect(first).toEqual({ state: 'looking', vote, version: 2, config: CONFIG })
  })

  it('reads what a Java leader answers once its epoch has begun', () => {
    const answers = lines
      .filter((line) => line.includes(' accept ') || line.includes(' open '))
      .map((line) => received(Number(line.split(' ')[2])))
      .flatMap((bytes) => notifications(bytes, bytes[0] === 0xff ? readHello(bytes, 0, bytes.length)!.end : 0))
    expect(answers.at(-1)!.state).toBe('following')
    expect(answers.find(({ state }) => state === 'leading')).toEqual({
      state: 'leading',
      vote: { leader: 1, zxid: 0, electionEpoch: 2, peerEpoch: 2 },
      version: 2,
      config: CONFIG,
    })
  })
})
