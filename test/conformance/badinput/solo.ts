/**
 * Attacks one after the other, in a fixed order, on a server that has just been made: what it answers follows from the
 * attacks alone and can be compared between servers.
 *
 * An attack's answer in one line: for each frame that came back `ERR/LENGTH` or `event TYPE`, then `closed` if the
 * connection was, or `end` behind an answer that Java closes the connection with (-6, -115, closeSession): whether it
 * still answers what comes behind is chance there. So is, where the connection gets closed, which replies to the frames
 * before still get out: of several frames that end so, no more than `ends` is told.
 */

import { Err, OpCode, Perm, Xid } from '../../../src/jute/codes.ts'
import { Input, readInt } from '../../../src/jute/input.ts'
import { readReplyHeader, readWatcherEvent, writeCreateRequest, writeExistsRequest } from '../../../src/jute/records.ts'
import { type Attack, attackOf, type Corpus } from './attacks.ts'
import { type Address, Connection, openSession, request } from './connection.ts'
import { endOf, posesAsEvent, send } from './siege.ts'

/** Attacks on one subtree; the next group gets another, so that what one attack changes does not matter for long. */
const GROUP = 20
const DEADLINE_MS = 20_000

export interface Answer {
  attack: Attack
  line: string
}

/** The answers to attacks 0 to `count` - 1, those that are spared left out. */
export async function answersOf(
  address: Address,
  corpus: Corpus,
  seed: number,
  count: number,
  spare: (attack: Attack) => boolean,
): Promise<Map<number, Answer>> {
  const answers = new Map<number, Answer>()
  let session: Connection | null = null
  for (let index = 0; index < count; index++) {
    const group = Math.floor(index / GROUP)
    const attack = moved(attackOf(corpus, seed, index), group)
    if (index % GROUP === 0) {
      session?.reset()
      session = null
    }
    if (spare(attack)) continue
    if (attack.stage === 'fresh') {
      answers.set(index, { attack, line: await askFresh(address, attack) })
      continue
    }
    if (session === null || session.closed) session = await begin(address, group)
    answers.set(index, { attack, line: await askSession(session, attack) })
  }
  session?.reset()
  return answers
}

function home(group: number): string {
  return `/${group.toString(36).padStart(3, 'x')}`
}

/** The attack with every `/bad` replaced by the group's own subtree, whose name is as long. */
function moved(attack: Attack, group: number): Attack {
  const bytes = Buffer.from(attack.bytes)
  const to = Buffer.from(home(group))
  for (let at = bytes.indexOf('/bad'); at >= 0; at = bytes.indexOf('/bad', at + 1)) to.copy(bytes, at)
  return { ...attack, bytes: Uint8Array.from(bytes) }
}

async function begin(address: Address, group: number): Promise<Connection> {
  const session = await openSession(address, 30_000, DEADLINE_MS)
  if (session === null) throw new Error('an ordinary new session was not granted')
  const acl = [{ perms: Perm.all, id: { scheme: 'world', id: 'anyone' } }]
  session.write(
    request(1, OpCode.create, (out) => writeCreateRequest(out, { path: home(group), data: null, acl, flags: 0 })),
  )
  await session.next(DEADLINE_MS)
  return session
}

async function askFresh(address: Address, attack: Attack): Promise<string> {
  const end = endOf(attack.bytes, true)
  const connection = await Connection.open(address, end === 'edge')
  try {
    send(connection, attack)
    if (end === 'edge') {
      const frame = await connection.next(DEADLINE_MS)
      return frame === null ? 'closed' : `${frame.length} bytes`
    }
    if (end === 'inside') setImmediate(() => connection.finish())
    await connection.untilClosed(DEADLINE_MS)
    return 'closed'
  } finally {
    connection.reset()
  }
}

async function askSession(session: Connection, attack: Attack): Promise<string> {
  const end = endOf(attack.bytes, false)
  send(session, attack)
  if (end !== 'edge') {
    if (end === 'inside') setImmediate(() => session.finish())
    await session.untilClosed(DEADLINE_MS)
    return 'closed'
  }
  const sentinel = 0x6e00_0000
  const ask = request(sentinel, OpCode.exists, (out) => writeExistsRequest(out, { path: '/', watch: false }))
  if (attack.cutAt < attack.bytes.length) setImmediate(() => session.write(ask))
  else session.write(ask)
  const alone = readInt(attack.bytes, 0) === attack.bytes.length - 4
  const posed = posesAsEvent(attack.bytes)
  const closing = closeXid(attack.bytes)
  const parts: string[] = []
  for (;;) {
    const frame = await session.next(DEADLINE_MS)
    if (frame === null) return alone ? [...parts, 'closed'].join(', ') : 'ends'
    const inp = new Input(frame)
    const header = readReplyHeader(inp)
    if (header.xid === sentinel) return parts.join(', ')
    if (header.xid === Xid.notification && !posed) {
      parts.push(`event ${readWatcherEvent(inp).type}`)
    } else {
      parts.push(`${header.err}/${frame.length}`)
      const last = header.err === Err.unimplemented || header.err === Err.authFailed || header.xid === closing
      if (last) {
        session.reset()
        await session.untilClosed(DEADLINE_MS)
        return alone ? `${parts.join(', ')}, end` : 'ends'
      }
    }
  }
}

/** The xid of the first closeSession among the frames; null without one. */
function closeXid(bytes: Uint8Array): number | null {
  for (let off = 0; off + 12 <= bytes.length; off += 4 + readInt(bytes, off)) {
    if (readInt(bytes, off + 8) === OpCode.closeSession) return readInt(bytes, off + 4)
  }
  return null
}
