/**
 * Bad input, made from well-formed input under a seed. Pure: a number gives an attack, the same one each time.
 *
 * Stock: corpus/requests.txt (payloads) and corpus/streams.txt (what a fresh connection may send first), both
 * `name hex` a line. Beside mutating these, requests are built from the schema with fields of every strange value.
 */

import { readFileSync } from 'node:fs'
import { OpCode } from '../../../src/jute/codes.ts'
import { JUTE_MAX_BUFFER, readInt } from '../../../src/jute/input.ts'
import { Output } from '../../../src/jute/output.ts'
import { writeMultiHeader, writeRequestHeader } from '../../../src/jute/records.ts'
import type { FieldType, RecordType } from '../../../src/jute/schema.ts'
import { type Random, randomOf } from '../../unit/jute/random.ts'
import { codecOf, schema } from '../jute/fixture.ts'

export interface Attack {
  /** What was done to what. */
  name: string
  /** On a connection just opened, or on one that has a session. */
  stage: 'fresh' | 'session'
  bytes: Uint8Array
  /** Bytes in the first write; the rest goes in a second one. */
  cutAt: number
}

interface Sample {
  name: string
  bytes: Uint8Array
}

export interface Corpus {
  requests: readonly Sample[]
  streams: readonly Sample[]
}

export function readCorpus(): Corpus {
  const read = (file: string): Sample[] =>
    readFileSync(new URL(`corpus/${file}`, import.meta.url), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const [name, hex] = line.split(' ')
        return { name: name!, bytes: Uint8Array.from(Buffer.from(hex ?? '', 'hex')) }
      })
  return { requests: read('requests.txt'), streams: read('streams.txt') }
}

/**
 * What makes a Java server exit, or lose its place in the stream: deleteContainer, createTTL and createSession from a
 * client, and the quota file's own name, in any frame.
 */
export function harmsJava(attack: Attack): boolean {
  if (Buffer.from(attack.bytes).includes('zookeeper_limits')) return true
  for (let off = 0; off + 12 <= attack.bytes.length; off += 4 + Math.max(0, readInt(attack.bytes, off))) {
    const op: number = readInt(attack.bytes, off + 8)
    if (op === OpCode.deleteContainer || op === OpCode.createTTL || op === OpCode.createSession) return true
  }
  return false
}

/** Attack number `index` of a run. One in twelve is on a fresh connection. */
export function attackOf(corpus: Corpus, seed: number, index: number): Attack {
  const random = randomOf(Math.imul(seed, 0x9e37_79b1) ^ index)
  const fresh = random.oneIn(12)
  const { name, bytes } = fresh ? stream(corpus, random) : frame(corpus, random)
  return {
    name,
    stage: fresh ? 'fresh' : 'session',
    bytes,
    cutAt: random.oneIn(8) ? random.below(bytes.length + 1) : bytes.length,
  }
}

const HUGE = [0x7fff_ffff, 0xffff_ffff, 0xffff_fffe, 0x8000_0000, 0x7fff_fff0, 0x0010_0000, 0x00ff_ffff, 0x1_0000, 0]
const WRONG_LENGTHS = [0, 1, 4, 7, 8, 9, -1, -2, -0x8000_0000, JUTE_MAX_BUFFER, JUTE_MAX_BUFFER + 1, 0x7fff_ffff]
const OP_CODES: readonly number[] = Object.values(OpCode)
const ODD_OPS = [10, 23, 24, 99, 108, 200, 1000, -2, -3, -9, -12, -100, 0x7fff_ffff, -0x8000_0000, 0x7275_6f6b]
const XIDS = [0, -1, -2, -3, -4, -8, 1, 0x7fff_ffff, -0x8000_0000]

function frame(corpus: Corpus, random: Random): Sample {
  const base = random.pick(corpus.requests)
  const payload = base.bytes
  const does = (what: string, bytes: Uint8Array, length = bytes.length): Sample => ({
    name: `${what} ${base.name}`,
    bytes: withLength(bytes, length),
  })
  switch (random.below(17)) {
    case 0:
      return does('plain', payload)
    case 1:
    case 2:
      return does('bits flipped in', flipped(payload, random))
    case 3:
      return does('cut short', payload.subarray(0, random.below(payload.length)))
    case 4: {
      const length = random.oneIn(3) ? payload.length + random.below(9) - 4 : random.pick(WRONG_LENGTHS)
      return does('wrong length on', payload, length)
    }
    case 5:
      return does('huge number in', patched(payload, 8, random.pick(HUGE), random))
    case 6:
      return does('other op on', patched(payload, 4, random.oneIn(2) ? random.pick(OP_CODES) : random.pick(ODD_OPS)))
    case 7:
      return does('random op on', patched(payload, 4, random.oneIn(2) ? random.below(140) - 20 : random.uint32()))
    case 8:
      return does('odd xid on', patched(payload, 0, random.pick(XIDS)))
    case 9:
      return does('junk inside', spliced(payload, random))
    case 10: {
      const other = random.pick(corpus.requests)
      const bytes = concat(payload.subarray(0, random.below(payload.length)), other.bytes)
      return does(`${other.name} behind a part of`, bytes)
    }
    case 11:
      return { name: 'random bytes', bytes: withLength(random.bytes(random.below(random.oneIn(20) ? 5000 : 80))) }
    case 12:
      return {
        name: 'several frames',
        bytes: concat(...Array.from({ length: 2 + random.below(6) }, () => frame(corpus, random).bytes)),
      }
    default:
      return invented(random)
  }
}

function stream(corpus: Corpus, random: Random): Sample {
  const base = random.pick(corpus.streams)
  switch (random.below(6)) {
    case 0:
      return { name: `plain ${base.name}`, bytes: base.bytes }
    case 1:
      return { name: `bits flipped in ${base.name}`, bytes: flipped(base.bytes, random) }
    case 2:
      return { name: `cut short ${base.name}`, bytes: base.bytes.subarray(0, random.below(base.bytes.length)) }
    case 3: {
      const junk = random.bytes(1 + random.below(300))
      return { name: `junk behind ${base.name}`, bytes: concat(base.bytes, junk) }
    }
    case 4:
      return { name: `huge number in ${base.name}`, bytes: patched(base.bytes, 0, random.pick(HUGE), random) }
    default:
      return { name: 'garbage before connect', bytes: random.bytes(1 + random.below(200)) }
  }
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}

function withLength(payload: Uint8Array, length = payload.length): Uint8Array {
  const bytes = new Uint8Array(4 + payload.length)
  new DataView(bytes.buffer).setInt32(0, length)
  bytes.set(payload, 4)
  return bytes
}

function flipped(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice()
  for (let flips = 1 + random.below(random.oneIn(4) ? 16 : 3); flips > 0; flips--) {
    copy[random.below(copy.length)]! ^= 1 << random.below(8)
  }
  return copy
}

/** An int at `from`, or with chance anywhere behind it. */
function patched(bytes: Uint8Array, from: number, value: number, random?: Random): Uint8Array {
  const copy = bytes.slice()
  const at = random === undefined ? from : from + random.below(Math.max(1, copy.length - from - 3))
  if (at + 4 <= copy.length) new DataView(copy.buffer).setInt32(at, value)
  return copy
}

function spliced(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1)
  const junk = random.oneIn(4) ? bytes.subarray(random.below(bytes.length)) : random.bytes(1 + random.below(20))
  return concat(bytes.subarray(0, at), junk, bytes.subarray(Math.min(bytes.length, at + random.below(8))))
}

// --- requests built from the schema, well-formed but for the values

const BODIES: readonly (readonly [number, string])[] = [
  [OpCode.create, 'CreateRequest'],
  [OpCode.create2, 'CreateRequest'],
  [OpCode.createContainer, 'CreateRequest'],
  [OpCode.createTTL, 'CreateTTLRequest'],
  [OpCode.delete, 'DeleteRequest'],
  [OpCode.exists, 'ExistsRequest'],
  [OpCode.getData, 'GetDataRequest'],
  [OpCode.setData, 'SetDataRequest'],
  [OpCode.getACL, 'GetACLRequest'],
  [OpCode.setACL, 'SetACLRequest'],
  [OpCode.getChildren, 'GetChildrenRequest'],
  [OpCode.getChildren2, 'GetChildren2Request'],
  [OpCode.sync, 'SyncRequest'],
  [OpCode.check, 'CheckVersionRequest'],
  [OpCode.reconfig, 'ReconfigRequest'],
  [OpCode.checkWatches, 'CheckWatchesRequest'],
  [OpCode.removeWatches, 'RemoveWatchesRequest'],
  [OpCode.deleteContainer, 'DeleteContainerRequest'],
  [OpCode.auth, 'AuthPacket'],
  [OpCode.setWatches, 'SetWatches'],
  [OpCode.sasl, 'GetSASLRequest'],
  [OpCode.getEphemerals, 'GetEphemeralsRequest'],
  [OpCode.getAllChildrenNumber, 'GetAllChildrenNumberRequest'],
  [OpCode.setWatches2, 'SetWatches2'],
  [OpCode.addWatch, 'AddWatchRequest'],
]

/** What multi and multiRead allow. */
const WRITES = BODIES.filter(([, record]) => /^(Create|CreateTTL|Delete|SetData|CheckVersion)Request$/.test(record))
const READS = BODIES.filter(([, record]) => /^(GetData|GetChildren)Request$/.test(record))

// biome-ignore format: a table
const TEXTS = [
  null, '', '/', '/bad', '/bad/a', '/bad/e', 'bad', '//', '/bad/', '/bad//a', '/bad/./a', '/bad/..', '/bad/\0', '/bad/\u0001',
  '/bad/\u007f', '/bad/\ud800', '/bad/\ufff0', '/bad/\ue000', '/bad/\u{1f600}', '/bad/ ', '/bad/\n', '/zookeeper',
  '/zookeeper/config', '/zookeeper/quota', '/zookeeper/quota/bad', '/zookeeper/quota/bad/zookeeper_limits',
  '/zookeeper/quota/bad/zookeeper_stats', '/zookeeper/quota/zookeeper_limits', '/zookeeper/quota/zookeeper_stats',
  `/bad${'/d'.repeat(3000)}`, `/bad/${'long'.repeat(5000)}`, 'world', 'anyone', 'ip', 'digest', 'auth', 'x509', 'sasl', 'super',
  '10.0.0.0/99', '127.0.0.1', 'a:b', 'a:b:c', ':', 'server.1=x:1:2;3', '1,2,3',
]
const SANE_PATHS = ['/bad', '/bad/a', '/bad/a', '/bad/b', '/bad/a/c', '/bad/s-', '/bad/e']
const INTS = [0, 1, -1, 2, 3, 4, 5, 6, 7, 8, 31, 32, 100, 0x7fff_ffff, -0x8000_0000]
const LONGS = [0, 1, -1, 1000, 0xff_ffff_ffff, 0x100_0000_0000, 2 ** 53 - 1, -(2 ** 53 - 1)]

function invented(random: Random): Sample {
  const out = new Output(256)
  const xid = 0x4000_0000 + random.below(0x1000_0000)
  if (random.oneIn(3)) {
    const type = random.oneIn(4) ? OpCode.multiRead : OpCode.multi
    writeRequestHeader(out, { xid, type })
    const count = random.oneIn(40) ? 400 : random.below(6)
    for (let i = 0; i < count; i++) {
      const [subType, record] = random.pick(random.oneIn(8) ? BODIES : type === OpCode.multi ? WRITES : READS)
      writeMultiHeader(out, { type: random.oneIn(40) ? OpCode.multi : subType, done: random.oneIn(50), err: -1 })
      writeAny(out, schema.get(record)!, random)
    }
    if (!random.oneIn(6)) writeMultiHeader(out, { type: -1, done: true, err: -1 })
    return {
      name: `invented ${type === OpCode.multi ? 'multi' : 'multiRead'} of ${count}`,
      bytes: withLength(out.copy()),
    }
  }
  const [type, record] = random.pick(BODIES)
  writeRequestHeader(out, { xid, type })
  writeAny(out, schema.get(record)!, random)
  return { name: `invented ${record}`, bytes: withLength(out.copy()) }
}

function writeAny(out: Output, record: RecordType, random: Random): void {
  codecOf(record.name).write(out, anyRecord(record, random))
}

function anyRecord(record: RecordType, random: Random): { [name: string]: unknown } {
  if (record.name === 'ACL' && !random.oneIn(3)) return { perms: 31, id: { scheme: 'world', id: 'anyone' } }
  const values: { [name: string]: unknown } = {}
  for (const { name, type } of record.fields) {
    const sane = !random.oneIn(3)
    if (sane && name === 'path') values[name] = random.pick(SANE_PATHS)
    else if (sane && name === 'flags') values[name] = random.below(4)
    else if (sane && name === 'version') values[name] = random.below(3) - 1
    else values[name] = any(type, random)
  }
  return values
}

/** No request has an id64; one that had would be noticed by its writer. */
function any(type: FieldType, random: Random): unknown {
  switch (type.kind) {
    case 'scalar':
      if (type.name === 'boolean') return random.oneIn(2)
      return random.pick(type.name === 'int' ? INTS : LONGS)
    case 'ustring':
      return random.pick(TEXTS)
    case 'buffer':
      return random.oneIn(6) ? null : random.bytes(random.oneIn(60) ? 60_000 : random.below(100))
    case 'vector': {
      if (random.oneIn(10)) return null
      const length = random.oneIn(60) ? 1500 : random.below(4)
      const short = (item: FieldType): unknown =>
        length > 10 && item.kind === 'ustring' ? '/bad/w' : any(item, random)
      return Array.from({ length }, () => short(type.item))
    }
    case 'record':
      return anyRecord(type.record, random)
    case 'optional':
      return random.oneIn(2)
  }
}
