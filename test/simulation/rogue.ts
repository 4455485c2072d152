/**
 * Somebody on the network who is no member and keeps to no protocol, and a wire that says things twice, not at all, or
 * in the wrong order. Members must go on as if nothing had been (E7), or notice and begin anew (E4, E9).
 */

import { Output } from '../../src/jute/output.ts'
import { counterOf } from '../../src/jute/zxid.ts'
import { makePacket, Packet, readPacket } from '../../src/zab/packets.ts'
import type { Party, Stream } from './fabric.ts'
import type { Machine } from './machine.ts'
import { PORTS } from './port.ts'
import type { Random } from './random.ts'

/** No server of any ensemble here. */
const STRANGER = 99
const HELLO = -65536
const NOTIFICATION_BYTES = 40

/** Connects to a port of a member and says something it should not. */
export class Rogue implements Party {
  readonly machine = 'rogue'
  private readonly random: Random

  constructor(random: Random) {
    this.random = random
  }

  input(run: () => void): void {
    run()
  }

  attack(target: Machine): void {
    const { random } = this
    const { fabric } = target.around
    const port = random.pick([PORTS.election, PORTS.election, PORTS.learner])
    const words = port === PORTS.election ? this.votes() : this.learner()
    fabric.connect(this, `${target.name}:${port}`, { onData: () => {}, onEnd: () => {} }, (stream) => {
      if (stream !== null) this.say(stream, words)
    })
  }

  private say(stream: Stream, words: readonly Uint8Array[]): void {
    for (const each of words) stream.send(each)
    if (this.random.chance(0.5)) stream.finish()
  }

  private noise(): Uint8Array {
    return Uint8Array.from({ length: this.random.between(1, 200) }, () => this.random.int(256))
  }

  /** A length that nobody means. */
  private length(): number {
    return this.random.pick([-1, 0, 1, 2 ** 31 - 1, -(2 ** 31), 100_000, this.random.int(64)])
  }

  /** On the election port: a greeting of some kind, and votes of some kind behind it. */
  private votes(): Uint8Array[] {
    const { random } = this
    if (random.chance(0.25)) return [this.noise()]
    const hello = new Output(64)
    const address = new TextEncoder().encode(random.pick(['127.0.0.1:1', '', 'x'.repeat(40), '\u00e9:1|:']))
    hello.long(random.pick([HELLO, HELLO, -65535, 0]))
    hello.long(random.pick([STRANGER, STRANGER, -1, 2 ** 40]))
    if (random.chance(0.2)) hello.int(this.length())
    else hello.buffer(address)
    const words = [hello.copy()]
    for (let count = random.int(4); count > 0; count--) words.push(random.chance(0.3) ? this.noise() : this.vote())
    return words
  }

  private vote(): Uint8Array {
    const { random } = this
    const config = Uint8Array.from({ length: random.pick([0, 0, 30]) }, () => random.int(256))
    const out = new Output(128)
    out.int(random.chance(0.2) ? this.length() : NOTIFICATION_BYTES + 4 + config.length)
    out.int(random.pick([0, 1, 2, 3, 7, -1]))
    out.long(random.pick([1, 2, STRANGER, -1]))
    out.long(random.pick([0, 2 ** 50, -1]))
    out.long(random.pick([1, 2 ** 40]))
    out.long(random.pick([1, 2 ** 20, -1]))
    out.int(random.pick([2, 2, 0, 9]))
    if (random.chance(0.2)) out.int(this.length())
    else out.buffer(config)
    return out.copy()
  }

  /** On the quorum port: packets that a learner may send, at the wrong time, of the wrong length, or of none. */
  private learner(): Uint8Array[] {
    const { random } = this
    if (random.chance(0.25)) return [this.noise()]
    const words: Uint8Array[] = []
    for (let count = random.between(1, 4); count > 0; count--) {
      const out = new Output(128)
      out.int(random.pick([Packet.followerInfo, Packet.observerInfo, Packet.ack, Packet.ackEpoch, Packet.request, 77]))
      out.long(random.pick([0, 1, 2 ** 33, -1, 2 ** 52]))
      if (random.chance(0.3)) {
        out.int(this.length())
      } else {
        const info = new Output(32)
        info.long(STRANGER)
        info.int(0x10000)
        info.long(0)
        out.bufferOf(info.buf, 0, random.pick([20, 20, 12, 3, 0]))
      }
      out.int(random.pick([-1, -1, 0, 2 ** 31 - 1]))
      words.push(out.copy())
    }
    return words
  }
}

export type Spoilt = { readonly how: 'twice' | 'left out' | 'out of order'; readonly bytes: Uint8Array }

const LIVE: readonly number[] = [Packet.proposal, Packet.commit, Packet.inform, Packet.ping]

/**
 * What a leader that forgets or stammers would send in place of these packets; null where that cannot be done with
 * them. Only a proposal may be left out: its COMMIT, which follows, shows it. The last COMMIT would be missed by nobody.
 * Nor is the first proposal of an epoch held back: learners let an epoch begin anywhere (see `follows` in commitlog.ts).
 */
export function spoil(bytes: Uint8Array, random: Random): Spoilt | null {
  const packets: { type: number; bytes: Uint8Array }[] = []
  let begins = false
  const packet = makePacket()
  for (let at = 0; at < bytes.length; ) {
    const next = readPacket(bytes, at, bytes.length, packet, bytes.length)
    if (next === -1 || !LIVE.includes(packet.type)) return null
    packets.push({ type: packet.type, bytes: bytes.subarray(at, next) })
    if (packet.type !== Packet.ping && counterOf(packet.zxid) === 1) begins = true
    at = next
  }
  const proposal = packets.findIndex(({ type }) => type === Packet.proposal)
  const works = packets.filter(({ type }) => type !== Packet.ping)
  if (works.length === 0) return null
  const ways: Spoilt['how'][] = ['twice']
  if (proposal >= 0 && !begins) ways.push('left out')
  if (works.length > 1 && !begins) ways.push('out of order')
  const how = random.pick(ways)
  if (how === 'twice') packets.push(...works)
  else if (how === 'left out') packets.splice(proposal, 1)
  else packets.reverse()
  return { how, bytes: joined(packets.map((each) => each.bytes)) }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Output(256)
  for (const part of parts) out.raw(part)
  return out.copy()
}
