/**
 * The bytes of the election port: the hello with which a connection begins, and the notifications behind it.
 *
 *   hello          -65536 long | dialer's sid long | length int, 1 to 2048 | its election address, `host:port`
 *                  -65535 long | the same with several addresses, joined by '|'
 *                  sid long, at least 0: the whole hello of a very old server
 *   notification   length int, 1 to 524288 | state int | leader long | zxid long | round long | peerEpoch long |
 *                  2 int | length int | the text of the sender's committed configuration, UTF-8
 *
 * Older notifications end behind the round (28 bytes; the zxid's epoch stands for peerEpoch) or hold 40 bytes, whose
 * last word says nothing. Answers to Java's QuorumCnxManager.InitialMessage and FastLeaderElection.buildMsg.
 *
 * A hello that makes no sense is a ProtocolError and costs the connection. A notification that makes none is null: the
 * connection stays, because the next one may be good, and an election must not stop for it (ZOOKEEPER-3769, 4787).
 */

import { ProtocolError, readInt } from '../jute/input.ts'
import type { Output } from '../jute/output.ts'
import { decodeText, textToBytes } from '../jute/text.ts'
import { EPOCH_LIMIT, epochOf } from '../jute/zxid.ts'
import { readLongAt, writeLongAt } from './packets.ts'
import type { Role, Sid, Vote } from './types.ts'

/** Leader, zxid and epoch of the first vote of a server that has none: Java's Long.MIN_VALUE, which a double holds. */
export const NON_VOTER = -(2 ** 63)

const HELLO_ONE_ADDRESS = -65536
const HELLO_ADDRESSES = -65535
const ADDRESSES_BYTES_MAX = 2048
const HELLO_HEADER_BYTES = 20

export interface Hello {
  readonly sid: Sid
  /** `host:port` texts at which the dialer can be reached; none, if it said only wildcards, or is very old. */
  readonly addresses: readonly string[]
  /** Where the hello ends. */
  readonly end: number
}

/** To be sent as one piece: Java takes the address bytes with a single read. Without an address it is the oldest form. */
export function encodeHello(sid: Sid, addresses: readonly string[], multiAddress: boolean): Uint8Array {
  const text = textToBytes(multiAddress ? addresses.join('|') : (addresses[0] ?? ''))
  if (text.length === 0 || text.length > ADDRESSES_BYTES_MAX) {
    const oldest = new Uint8Array(8)
    writeLongAt(oldest, 0, sid)
    return oldest
  }
  const hello = new Uint8Array(HELLO_HEADER_BYTES + text.length)
  writeLongAt(hello, 0, multiAddress ? HELLO_ADDRESSES : HELLO_ONE_ADDRESS)
  writeLongAt(hello, 8, sid)
  hello[18] = text.length >> 8
  hello[19] = text.length
  hello.set(text, HELLO_HEADER_BYTES)
  return hello
}

/** Null: not all there yet. */
export function readHello(buf: Uint8Array, off: number, end: number): Hello | null {
  if (end - off < 8) return null
  const first = readLongAt(buf, off)
  if (first >= 0) return { sid: checkedSid(first, off), addresses: [], end: off + 8 }
  if (first !== HELLO_ONE_ADDRESS && first !== HELLO_ADDRESSES) throw new ProtocolError(`hello ${first}`, off)
  if (end - off < HELLO_HEADER_BYTES) return null
  const sid = checkedSid(readLongAt(buf, off + 8), off + 8)
  const length = readInt(buf, off + 16)
  if (length <= 0 || length > ADDRESSES_BYTES_MAX) throw new ProtocolError(`addresses of ${length} bytes`, off + 16)
  const at = off + HELLO_HEADER_BYTES
  if (end - at < length) return null
  const addresses = decodeText(buf, at, at + length).split('|')
  for (const address of addresses) checkAddress(address, at)
  return { sid, addresses: addresses.filter((address) => !isWildcard(address)), end: at + length }
}

/** Java's 2^63-1 was an observer without a sid, and is not met any more; nor is any sid that a number cannot hold. */
function checkedSid(sid: number, off: number): Sid {
  if (!Number.isSafeInteger(sid)) throw new ProtocolError(`sid ${sid}`, off)
  return sid
}

function checkAddress(address: string, off: number): void {
  const parts = /^(\[[^\]]+\]|[^:[\]]+):([0-9]{1,5})$/.exec(address)
  if (parts === null || Number(parts[2]) > 65535) throw new ProtocolError(`address '${address.slice(0, 80)}'`, off)
}

/** 0.0.0.0 and all ways to write its like of IPv6: an address to listen on, not one to go to. */
function isWildcard(address: string): boolean {
  return /^(0\.0\.0\.0|\[[0:]*\]):/.test(address)
}

const STATES: readonly Role[] = ['looking', 'following', 'leading', 'observing']
const NOTIFICATION_VERSION = 2
const BYTES_WITHOUT_EPOCH = 28
const BYTES_WITHOUT_CONFIG = 40
const CONFIG_OFFSET = 44
/** A bigger frame costs its sender the connection. */
export const NOTIFICATION_BYTES_MAX = 512 * 1024
/** Far above any number of elections, far below where adding one would round. */
const ROUND_MAX = 2 ** 48

export interface Notification {
  readonly state: Role
  /** `electionEpoch` is the sender's round. */
  readonly vote: Vote
  /** 0 of old servers: they do not know peerEpoch as it is meant now. */
  readonly version: number
  /** The text of the sender's committed configuration; null of an old server. */
  readonly config: string | null
}

/** The frame, length included; `config` is UTF-8. */
export function writeNotification(out: Output, state: Role, vote: Vote, config: Uint8Array): void {
  out.int(CONFIG_OFFSET + config.length)
  out.int(STATES.indexOf(state))
  out.long(vote.leader)
  out.long(vote.zxid)
  out.long(vote.electionEpoch)
  out.long(vote.peerEpoch)
  out.int(NOTIFICATION_VERSION)
  out.bufferOf(config, 0, config.length)
}

/** What stands between `off` and `end`, without the frame's length. Null: not a notification. */
export function readNotification(buf: Uint8Array, off: number, end: number): Notification | null {
  const bytes = end - off
  if (bytes < BYTES_WITHOUT_EPOCH) return null
  const state = STATES[readInt(buf, off)]
  if (state === undefined) return null
  const leader = readLongAt(buf, off + 4)
  const zxid = readLongAt(buf, off + 12)
  const electionEpoch = readLongAt(buf, off + 20)
  let peerEpoch = epochOf(zxid)
  let version = 0
  let config: string | null = null
  if (bytes !== BYTES_WITHOUT_EPOCH) {
    if (bytes < BYTES_WITHOUT_CONFIG) return null
    peerEpoch = readLongAt(buf, off + 28)
    if (bytes !== BYTES_WITHOUT_CONFIG) version = readInt(buf, off + 36)
    if (version >= NOTIFICATION_VERSION) {
      if (bytes < CONFIG_OFFSET) return null
      const length = readInt(buf, off + 40)
      if (length < 0 || length > bytes - CONFIG_OFFSET) return null
      config = decodeText(buf, off + CONFIG_OFFSET, off + CONFIG_OFFSET + length)
    }
  }
  if (!isExact(leader) || !isExact(zxid) || !isExact(peerEpoch) || peerEpoch >= EPOCH_LIMIT) return null
  if (electionEpoch < 0 || electionEpoch > ROUND_MAX) return null
  return { state, vote: { leader, zxid, electionEpoch, peerEpoch }, version, config }
}

/** A vote is passed on and compared for equality: it must survive as it is. */
function isExact(value: number): boolean {
  return Number.isSafeInteger(value) || value === NON_VOTER
}
