/**
 * What servers of Apache ZooKeeper said to each other on their quorum ports (recordquorum.mjs), event by event.
 *
 *   start SID, kill SID, wipe SID      of a process; of all files but its id
 *   dial LINK LEARNER LEADER           a connection
 *   up LINK HEX, down LINK HEX         bytes to the leader, to the learner, in the pieces in which they came
 *   lost LINK HEX                      bytes that a leader sent and that never reached the learner
 *   end LINK SIDE                      the connection's end, and who was first
 *
 * Packets are read here by hand, not by the codec under test. Between SNAP and NEWLEADER there is a tree, up to and with
 * its signature, which is told as a packet of its own.
 */

import { readFileSync } from 'node:fs'
import { PACKET_NAMES } from '../../unit/zab/packetnames.ts'

export type Event =
  | { readonly word: 'start' | 'kill' | 'wipe'; readonly sid: number }
  | { readonly word: 'dial'; readonly link: number; readonly learner: number; readonly leader: number }
  | { readonly word: 'up' | 'down' | 'lost'; readonly link: number; readonly bytes: Buffer; readonly packets: Said[] }
  | { readonly word: 'end'; readonly link: number; readonly side: string }

/** A packet; `bytes` is all of it. */
export interface Said {
  readonly name: string
  readonly zxid: number
  readonly data: Buffer | null
  readonly authinfo: { readonly scheme: string; readonly id: string }[] | null
  readonly bytes: Buffer
}

const SIGNATURE = Buffer.from('\0\0\0\x0aBenWasHere')

/** One direction of a connection. */
export class Listener {
  private waiting: Buffer = Buffer.alloc(0)
  private inTree = false

  /** Packets that are whole now. */
  hear(bytes: Uint8Array): Said[] {
    this.waiting = Buffer.concat([this.waiting, bytes])
    const found: Said[] = []
    for (let said = this.next(); said !== null; said = this.next()) {
      this.inTree = said.name === 'SNAP'
      this.waiting = this.waiting.subarray(said.bytes.length)
      found.push(said)
    }
    return found
  }

  private next(): Said | null {
    if (this.inTree) {
      const at = this.waiting.indexOf(SIGNATURE)
      if (at < 0) return null
      const bytes = this.waiting.subarray(0, at + SIGNATURE.length)
      return { name: 'TREE', zxid: 0, data: bytes, authinfo: null, bytes }
    }
    try {
      return readPacket(this.waiting)
    } catch (err) {
      if (err instanceof RangeError) return null // not all there
      throw err
    }
  }
}

function readPacket(bytes: Buffer): Said {
  let at = 16
  const buffer = () => {
    const length = bytes.readInt32BE(at)
    at += 4 + Math.max(length, 0)
    if (at > bytes.length) throw new RangeError('not all there')
    return length < 0 ? null : bytes.subarray(at - length, at)
  }
  const name = PACKET_NAMES[bytes.readInt32BE(0)]
  if (name === undefined || name === '') throw new Error(`packet ${bytes.readInt32BE(0)}`)
  at = 12
  const data = buffer()
  const count = bytes.readInt32BE(at)
  at += 4
  const authinfo = []
  for (let i = 0; i < count; i++) authinfo.push({ scheme: String(buffer()), id: String(buffer()) })
  const zxid = Number(bytes.readBigInt64BE(4))
  return { name, zxid, data, authinfo: count < 0 ? null : authinfo, bytes: bytes.subarray(0, at) }
}

/** For messages of failed tests: `PROPOSAL 100000002 <data>`. */
export function tell({ name, zxid, data, authinfo }: Said): string {
  const words = [name, zxid < 0 ? String(zxid) : zxid.toString(16)]
  if (data !== null) words.push(name === 'NEWLEADER' ? data.toString() : data.toString('hex'))
  for (const { scheme, id } of authinfo ?? []) words.push(`${scheme}:${id}`)
  return words.join(' ')
}

export function readRecording(name: string): Event[] {
  const lines = readFileSync(new URL(`fixtures/quorum.${name}.txt`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
  const listeners = new Map<string, Listener>()
  const events: Event[] = []
  for (const line of lines.filter((text) => !text.startsWith('#'))) {
    const [word, first, second, third] = line.split(' ')
    const id = Number(first)
    if (word === 'start' || word === 'kill' || word === 'wipe') events.push({ word, sid: id })
    else if (word === 'dial') events.push({ word, link: id, learner: Number(second), leader: Number(third) })
    else if (word === 'end') events.push({ word, link: id, side: second! })
    else if (word === 'up' || word === 'down' || word === 'lost') {
      const key = `${word === 'up'} ${id}`
      const listener = listeners.get(key) ?? new Listener()
      listeners.set(key, listener)
      const bytes = Buffer.from(second!, 'hex')
      events.push({ word, link: id, bytes, packets: listener.hear(bytes) })
    } else throw new Error(line)
  }
  return events
}

/** A tree as it is sent, taken apart: what it says, in an order of its own. */
export function readTree(bytes: Buffer): { sessions: string[]; acls: string[]; nodes: Map<string, string> } {
  let at = 0
  const take = (length: number) => {
    at += Math.max(length, 0)
    return bytes.subarray(at - Math.max(length, 0), at)
  }
  const int = () => take(4).readInt32BE(0)
  const sessions: string[] = []
  for (let left = int(); left > 0; left--) sessions.push(take(12).toString('hex'))
  const acls: string[] = []
  for (let left = int(); left > 0; left--) {
    const words = [take(8).toString('hex')]
    for (let entries = int(); entries > 0; entries--) words.push(`${int()}:${take(int())}:${take(int())}`)
    acls.push(words.join(' '))
  }
  const nodes = new Map<string, string>()
  for (let path = take(int()).toString(); path !== '/'; path = take(int()).toString()) {
    const length = int()
    const data = length < 0 ? 'null' : take(length).toString('hex')
    const acl = take(8).toString('hex')
    const stat = Buffer.from(take(60))
    // Every server writes its configuration down by itself, with the time of its own clock.
    if (path === '/zookeeper/config') stat.fill(0, 24, 32)
    nodes.set(path, `${data} ${acl} ${stat.toString('hex')}`)
  }
  if (!bytes.subarray(at).equals(SIGNATURE)) throw new Error('no signature')
  return { sessions: sessions.sort(), acls: acls.sort(), nodes: new Map([...nodes].sort()) }
}
