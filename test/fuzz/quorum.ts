/**
 * Damaged packets between members: votes on the election port, what a leader sends to its learner (every way of bringing it
 * up to date), and what a learner and an observer send to their leader. A whole member hears them, on a disk in memory.
 *
 * Right is: the link is closed, or the packet passes for one; the member lives, looks for a leader when there is none, and
 * whatever it has stored meanwhile, its next start takes or refuses by an error that names a file.
 */

import { join } from 'node:path'
import { StorageError } from '../../src/jute/errors.ts'
import { Output } from '../../src/jute/output.ts'
import { FileSnapshotStore, SNAPSHOT_DEFAULTS } from '../../src/txnlog/filestore.ts'
import { SnapshotWriter } from '../../src/txnlog/snapshot.ts'
import { MemDisk } from '../disk/memdisk.ts'
import { Alone, TREE_LINK } from '../unit/server/alone.ts'
import { logFileOf } from '../unit/txnlog/entries.ts'
import { createTxn, makeState } from '../unit/txnlog/states.ts'
import { packet } from '../unit/zab/lone.ts'
import { PACKET_NAMES } from '../unit/zab/packetnames.ts'
import type { Case } from './cases.ts'
import type { Verdict } from './judge.ts'
import type { Sample } from './samples.ts'

const FOLDER = '/data/version-2'
const EPOCH_1 = 2 ** 32
const EPOCH_2 = 2 ** 33
/** The end of what the member has. */
const ZXID_LAST = EPOCH_1 + 3
const CONFIG = [1, 2, 3].map((sid) => `server.${sid}=127.0.0.1:${2000 + sid}:${3000 + sid}:participant`).join('\n')
/** A session of this id was made by server 1. */
const SESSION = '0100000000000001'
const OPEN_ACL = '000000010000001f00000005776f726c6400000006616e796f6e65'

/** Behind a tree. */
const SIGNATURE = 'BenWasHere'
const SNAP = PACKET_NAMES.indexOf('SNAP')

type Part = Uint8Array

export function quorumSamples(): Sample[] {
  return [
    sample('votes', [
      hello(2),
      ...[0, 1, 2, 3].map((state) => vote({ state, leader: 2, zxid: ZXID_LAST, round: 1, epoch: 1, config: CONFIG })),
      vote({ state: 0, leader: 3, zxid: EPOCH_2, round: 2, epoch: 2, config: `${CONFIG}\nversion=100000000` }),
    ]),
    sample('leader diff', [
      packet('LEADERINFO', EPOCH_2, '00010000'),
      packet('DIFF', ZXID_LAST + 2),
      ...proposed(ZXID_LAST + 1),
      ...proposed(ZXID_LAST + 2),
      ...served(),
    ]),
    sample('leader trunc', [
      packet('LEADERINFO', EPOCH_2, '00010000'),
      packet('TRUNC', ZXID_LAST - 1),
      ...proposed(ZXID_LAST),
      ...served(),
    ]),
    sample('leader snap', [
      packet('LEADERINFO', EPOCH_2, '00010000'),
      packet('SNAP', EPOCH_1 + 9),
      tree(EPOCH_1 + 9),
      ...served(),
    ]),
    sample('learner', [
      packet('FOLLOWERINFO', EPOCH_1, `${'2'.padStart(16, '0')}00010000${'0'.repeat(16)}`),
      packet('ACKEPOCH', ZXID_LAST, '00000001'),
      packet('ACK', EPOCH_2),
      packet('PING', EPOCH_2, `${SESSION}00002710`),
      packet('REVALIDATE', -1, `${SESSION}00002710`),
      request(1, -10, '00002710'), // createSession
      request(2, 1, `000000022f6600000001 61${OPEN_ACL}00000000`), // create /f
      request(3, 9, '000000012f'), // sync
      request(4, 14, `00000001 00 ffffffff 000000022f67 ffffffff${OPEN_ACL}00000000 ffffffff01ffffffff`), // multi
      packet('ACK', EPOCH_2 + 1),
      packet('ACK', EPOCH_2 + 2),
    ]),
    // No member says these in this order.
    sample('odd leader', [
      packet('LEADERINFO', EPOCH_2, '00010000'),
      packet('DIFF', ZXID_LAST),
      packet('INFORM', ZXID_LAST + 1, createTxn(ZXID_LAST + 1, '/inform')),
      packet('COMMITANDACTIVATE', ZXID_LAST + 1, '0000000000000002'),
      packet('INFORMANDACTIVATE', ZXID_LAST + 2, `0000000000000002${OPEN_ACL}`),
      packet('SNAP', EPOCH_1 + 9),
      ...served(),
    ]),
    sample('odd observer', [
      packet('OBSERVERINFO', EPOCH_1, `${'9'.padStart(16, '0')}00010000${'0'.repeat(16)}`),
      packet('ACKEPOCH', EPOCH_1, '00000001'),
      packet('ACK', EPOCH_2),
      packet('PING', EPOCH_2, ''),
    ]),
  ]
}

export async function judgeQuorum(each: Case): Promise<Verdict> {
  const alone = new Alone({ disk: await memberDisk() })
  await alone.member.start(null)
  const lines = new Lines(alone)
  const link = await lines.open(each.file)
  // A packet at a time: peers wait for answers in between. Some cases cut every packet too; the bytes decide which.
  for (const piece of piecesOf(each.bytes)) {
    const cut = each.bytes.length % 3 === 0 ? piece.length : each.bytes.length % piece.length
    await lines.push(link, piece.subarray(0, cut))
    await lines.push(link, piece.subarray(cut))
  }
  const heard = alone.closed.includes(link) ? 'refused' : 'started'
  for (let i = 0; i < 4; i++) {
    alone.now += 20_000
    alone.member.clockFirst()
    await settle(alone)
  }
  await alone.member.stop()
  const failed = alone.failures.find((err) => !(err instanceof StorageError))
  if (failed !== undefined) throw failed
  return { outcome: heard, problem: await startAgain(alone.disk) }
}

async function startAgain(disk: MemDisk): Promise<string | null> {
  const alone = new Alone({ disk: disk.afterKill() })
  try {
    await alone.member.start(null)
  } catch (err) {
    if (!(err instanceof StorageError)) throw err
    return err.file === null ? `an error without a file: ${err.message}` : null
  }
  await settle(alone)
  await alone.member.stop()
  return alone.failures.length > 0 ? `the next start failed: ${alone.failures[0]!.message}` : null
}

/** Links into the member: what it does not take is offered again, as src/zab/links.ts does. */
class Lines {
  private readonly alone: Alone
  private rest: Uint8Array

  constructor(alone: Alone) {
    this.alone = alone
    this.rest = new Uint8Array(0)
  }

  /** The member has the role in which it hears such a stream; the link that it comes on. */
  async open(stream: string): Promise<number> {
    const { alone } = this
    const { member } = alone
    if (stream === 'votes') {
      member.onAccept(1, 'election')
      return 1
    }
    if (/\bleader\b/.test(stream)) {
      alone.hear(1, 2, 2)
      alone.hear(2, 3, 1)
      member.onOpen(TREE_LINK, 2, 'learner')
    } else {
      for (const sid of [2, 3]) {
        member.onAccept(sid, 'election')
        const parts = [hello(sid), vote({ state: 0, leader: 1, zxid: ZXID_LAST, round: 1, epoch: 1, config: '' })]
        alone.receive(sid, Uint8Array.from(Buffer.concat(parts)))
      }
      await settle(alone)
      alone.now += 1000
      member.clockFirst()
      await settle(alone)
      member.onAccept(TREE_LINK, 'learner')
    }
    await settle(alone)
    return TREE_LINK
  }

  async push(link: number, bytes: Uint8Array): Promise<void> {
    const { alone } = this
    this.rest = Uint8Array.from(Buffer.concat([this.rest, bytes]))
    for (let before = -1; this.rest.length !== before && !alone.closed.includes(link); ) {
      before = this.rest.length
      const taken = alone.member.onBytes(link, this.rest, 0, this.rest.length)
      if (taken < 0 || taken > before) throw new Error(`${taken} of ${before} bytes taken`)
      this.rest = this.rest.subarray(taken)
      await settle(alone)
    }
  }
}

/** What looks like packets, each for itself; the rest, when there is none any more. */
function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0, inTree = false; at < bytes.length; ) {
    const data = at + 16 <= bytes.length ? Math.max(0, view.getInt32(at + 12)) : bytes.length
    const treeEnd = inTree ? Buffer.from(bytes).indexOf(SIGNATURE, at) : -1
    const end = treeEnd >= 0 ? treeEnd + SIGNATURE.length : Math.min(bytes.length, at + 20 + data)
    inTree = bytes[at + 3] === SNAP
    yield bytes.subarray(at, end)
    at = end
  }
}

/** Until the disk has answered everything. */
async function settle(alone: Alone): Promise<void> {
  for (let quiet = 0, steps = -1; quiet < 4; ) {
    alone.member.flush()
    await new Promise((resolve) => setImmediate(resolve))
    quiet = alone.disk.steps === steps ? quiet + 1 : 0
    steps = alone.disk.steps
  }
}

/** A member that was up to /n3 in epoch 1. */
async function memberDisk(): Promise<MemDisk> {
  const disk = new MemDisk()
  await new Promise((resolve) => disk.mkdir(FOLDER, resolve))
  await new FileSnapshotStore(disk, FOLDER, SNAPSHOT_DEFAULTS).takeSnapshot(makeState())
  const log = logFileOf([1, 2, 3].map((counter) => createTxn(EPOCH_1 + counter, `/n${counter}`)))
  disk.put(join(FOLDER, 'log.100000001'), log)
  for (const name of ['acceptedEpoch', 'currentEpoch']) disk.put(join(FOLDER, name), new TextEncoder().encode('1'))
  return disk
}

function sample(name: string, parts: readonly Part[]): Sample {
  const marks: number[] = []
  let at = 0
  for (const part of parts) {
    // Type, zxid, length, and the header of a transaction, if there is one; or what a vote begins with.
    marks.push(at, at + 4, at + 12, at + 16)
    if (part.length > 60) marks.push(at + 16 + 12, at + 16 + 28, at + 16 + 32)
    at += part.length
  }
  return { name, bytes: Uint8Array.from(Buffer.concat(parts)), marks }
}

function hello(sid: number): Part {
  const address = new TextEncoder().encode('127.0.0.1:1')
  const bytes = new Uint8Array(20 + address.length)
  const view = new DataView(bytes.buffer)
  view.setBigInt64(0, -65536n)
  view.setBigInt64(8, BigInt(sid))
  view.setInt32(16, address.length)
  bytes.set(address, 20)
  return bytes
}

interface Vote {
  state: number
  leader: number
  zxid: number
  round: number
  epoch: number
  config: string
}

function vote({ state, leader, zxid, round, epoch, config }: Vote): Part {
  const text = new TextEncoder().encode(config)
  const bytes = new Uint8Array(48 + text.length)
  const view = new DataView(bytes.buffer)
  view.setInt32(0, 44 + text.length)
  view.setInt32(4, state)
  view.setBigInt64(8, BigInt(leader))
  view.setBigInt64(16, BigInt(zxid))
  view.setBigInt64(24, BigInt(round))
  view.setBigInt64(32, BigInt(epoch))
  view.setInt32(40, 2)
  view.setInt32(44, text.length)
  bytes.set(text, 48)
  return bytes
}

function proposed(zxid: number): Part[] {
  return [packet('PROPOSAL', zxid, createTxn(zxid, `/p${zxid.toString(16)}`)), packet('COMMIT', zxid)]
}

/** From the end of bringing it up to date to ordinary life. */
function served(): Part[] {
  const config = new TextEncoder().encode(`${CONFIG}\nversion=0`)
  return [
    packet('NEWLEADER', EPOCH_2, config),
    packet('UPTODATE', -1),
    packet('PING', EPOCH_2),
    ...proposed(EPOCH_2 + 1),
    packet('REVALIDATE', -1, `${SESSION}01`),
    packet('SYNC', EPOCH_2 + 1, ''),
  ]
}

/** A tree as a leader streams it, and the signature behind it. */
function tree(zxid: number): Part {
  const state = makeState()
  for (let i = 0; i < 5; i++) {
    const txn = createTxn(zxid - 4 + i, `/t${i}`)
    state.apply(txn, 0, txn.length)
  }
  const out = new Output()
  new SnapshotWriter(state, 'stream', { digest: false, lastZxid: false }).step(out, 1 << 20)
  out.buffer(new TextEncoder().encode(SIGNATURE))
  return out.copy()
}

/** session, cxid, op and the request as the client sent it. */
function request(cxid: number, op: number, body: string): Part {
  const int = (value: number): string => (value >>> 0).toString(16).padStart(8, '0')
  return packet('REQUEST', -1, `${SESSION}${int(cxid)}${int(op)}${body}`)
}
