/** Who keeps the connection of two servers, and what is said on it. */

import { describe, expect, it } from 'vitest'
import { encodeHello, readNotification } from '../../../src/zab/notification.ts'
import { quorumOf, type Server, VoteNet } from './votenet.ts'

const THREE = quorumOf([1, 2, 3])
const SEEDS = Array.from({ length: 25 }, (_, i) => i + 1)

/** The other side of each connection that a server has and uses, by its sid. */
function connectionsOf(server: Server): (number | null)[] {
  return [...server.ends.values()].map((end) => end.other!.owner.sid)
}

describe('connections of the election port', () => {
  it.each(SEEDS)('are one for each pair, however many dial at the same time (seed %i)', (seed) => {
    const net = new VoteNet(seed)
    for (const sid of [1, 2, 3]) net.add(sid, THREE).look()
    net.run(5_000)
    for (const server of net.servers.values()) {
      expect(connectionsOf(server).sort()).toEqual([1, 2, 3].filter((sid) => sid !== server.sid))
    }
  })

  it('are dialed back to by the larger sid, and the one that knocked is closed', () => {
    const net = new VoteNet(1)
    const larger = net.add(2, THREE)
    const knock = net.connectByHand(2)
    knock.send(encodeHello(1, [], false))
    net.run(100)
    expect(knock.open).toBe(false)
    expect(larger.countDials).toBe(1)
    expect([...larger.hints]).toEqual([])
  })

  it('are dialed once at the address of the hello where a member is not where the configuration has it', () => {
    const net = new VoteNet(1)
    const larger = net.add(2, THREE)
    net.connectByHand(2).send(encodeHello(1, ['elsewhere:3888'], false))
    net.run(4000)
    expect(larger.countDials).toBe(2)
    expect([...larger.hints]).toEqual([[1, ['elsewhere:3888']]])
  })

  it('are dialed at the address of the hello where no configuration names the server', () => {
    const net = new VoteNet(1)
    const larger = net.add(50, quorumOf([50, 51, 52]))
    const knock = net.connectByHand(50)
    knock.send(encodeHello(7, ['somewhere:3888', 'else:3888'], true))
    net.run(100)
    expect([...larger.hints]).toEqual([[7, ['somewhere:3888', 'else:3888']]])
  })

  it('of a larger sid are kept, known or not, and replace an older one', () => {
    const net = new VoteNet(1)
    net.add(1, THREE)
    const links = [3, 3, 99].map((sid) => {
      const link = net.connectByHand(1)
      link.send(encodeHello(sid, ['host:3888'], false))
      net.run(100)
      return link
    })
    expect(links.map(({ open }) => open)).toEqual([false, true, true])
  })

  it('with oneself are refused', () => {
    const net = new VoteNet(1)
    const server = net.add(2, THREE)
    const link = net.connectByHand(2)
    link.send(encodeHello(2, ['host2:3888'], false))
    net.run(100)
    expect(link.open).toBe(false)
    expect(server.countDials).toBe(0)
  })

  it('that do not say who they are, or do so badly, are closed (E7)', () => {
    const net = new VoteNet(1)
    net.add(1, THREE)
    const silent = net.connectByHand(1)
    const bad = net.connectByHand(1)
    bad.send(Uint8Array.from(Buffer.from('GET / HTTP/1.1\r\n\r\n')))
    net.run(4_000)
    expect([silent.open, bad.open]).toEqual([true, false])
    net.run(2_000)
    expect(silent.open).toBe(false)
  })

  it('that say nothing are limited in number', () => {
    const net = new VoteNet(1)
    net.add(1, THREE)
    const links = Array.from({ length: 200 }, () => net.connectByHand(1))
    net.run(100)
    expect(links.filter(({ open }) => open)).toHaveLength(64)
  })

  it('of strangers are limited in number, and members still get in', () => {
    const net = new VoteNet(1)
    net.add(1, THREE)
    const links = Array.from({ length: 100 }, (_, i) => {
      const link = net.connectByHand(1)
      link.send(encodeHello(1000 + i, ['host:3888'], false))
      net.run(50)
      return link
    })
    const member = net.connectByHand(1)
    member.send(encodeHello(3, ['host3:3888'], false))
    net.run(50)
    expect(links.filter(({ open }) => open)).toHaveLength(64)
    expect(member.open).toBe(true)
  })

  it('a needless dial is closed without a hello, and leaves the one that is there in peace', () => {
    const net = new VoteNet(1)
    const [one, two] = [net.add(1, THREE), net.add(2, THREE)]
    one.look()
    two.look()
    net.run(3_000)
    const before = [...two.ends.keys()]
    net.dial(one, 2)
    net.run(3_000)
    expect([...two.ends.keys()]).toEqual(before)
  })

  it('are tried again and again in an election, at pauses that grow to a second and no further', () => {
    const net = new VoteNet(1)
    const server = net.add(3, THREE)
    server.look()
    net.run(10_000)
    const before = server.countDials
    net.run(60_000)
    // Two servers that are away, a pause of half a second to a second for each.
    expect(server.countDials - before).toBeGreaterThan(2 * 55)
    expect(server.countDials - before).toBeLessThan(2 * 125)
  })

  it('are not tried again by themselves once there is a role', () => {
    const net = new VoteNet(1)
    const server = net.add(3, THREE)
    server.look()
    net.run(10_000)
    server.election.settle('following', { leader: 1, zxid: 0, electionEpoch: 1, peerEpoch: 0 })
    net.run(2_000)
    const before = server.countDials
    net.run(60_000)
    expect(server.countDials).toBe(before)
    expect(server.election.nextDeadlineMs()).toBe(Infinity)
  })

  it('that broke in an election are made anew', () => {
    const net = new VoteNet(1)
    const five = quorumOf([1, 2, 3, 4, 5])
    const servers = [net.add(1, five), net.add(2, five)]
    for (const server of servers) server.look()
    net.run(3_000)
    const before = servers.flatMap((server) => [...server.ends.keys()])
    for (const server of servers) for (const end of [...server.ends.values()]) net.hangUp(end)
    net.run(3_000)
    expect(servers.map(connectionsOf)).toEqual([[2], [1]])
    for (const server of servers) for (const link of server.ends.keys()) expect(before).not.toContain(link)
  })

  it('begin with how things are, if something may have been lost on the one before (N7)', () => {
    const net = new VoteNet(1)
    const server = net.add(1, THREE)
    server.look()
    expect(statesHeard(net)).toEqual(['looking'])
    server.election.settle('following', { leader: 2, zxid: 0, electionEpoch: 1, peerEpoch: 0 })
    expect(statesHeard(net)).toEqual(['following'])
  })

  it('to a server that was never told anything begin in silence', () => {
    const net = new VoteNet(1)
    net.add(1, THREE)
    expect(statesHeard(net)).toEqual([])
  })
})

/** What server 3 hears of 1 on a new connection, without having said anything but hello. */
function statesHeard(net: VoteNet): string[] {
  const link = net.connectByHand(1)
  link.send(encodeHello(3, ['host3:3888'], false))
  net.run(500)
  const bytes = Uint8Array.from(link.received)
  return bytes.length === 0 ? [] : [readNotification(bytes, 4, bytes.length)!.state]
}
