/**
 * Requests, well-formed all of them, that ask a server for far more than they cost to send. Whatever the answer, it
 * must come, the server must not grow by more than a bounded amount, and others must be served.
 */

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { AddWatchMode, Err, OpCode, Perm, Xid } from '../../../src/jute/codes.ts'
import { Input } from '../../../src/jute/input.ts'
import {
  type ACL,
  readReplyHeader,
  writeAddWatchRequest,
  writeAuthPacket,
  writeCreateRequest,
  writeExistsRequest,
  writeGetDataRequest,
  writeMultiHeader,
  writeSetACLRequest,
  writeSetDataRequest,
} from '../../../src/jute/records.ts'
import { Connection, openSession, request } from './connection.ts'
import { ownTarget, type Target } from './target.ts'

const DEADLINE_MS = 20_000
const GROWTH_BYTES_MAX = 200 << 20
const OPEN: ACL[] = [{ perms: Perm.all, id: { scheme: 'world', id: 'anyone' } }]
const BIG = 1_000_000

let target: Target
let session: Connection
let other: Connection

beforeAll(async () => {
  target = await ownTarget()
  const maker = await enter()
  await call(maker, OpCode.create, (out) =>
    writeCreateRequest(out, { path: '/big', data: new Uint8Array(BIG).fill(7), acl: OPEN, flags: 0 }),
  )
  await call(maker, OpCode.create, (out) => writeCreateRequest(out, { path: '/acl', data: null, acl: OPEN, flags: 0 }))
  maker.reset()
})

afterAll(() => target?.stop())

let bytesBefore: number

beforeEach(async () => {
  session = await enter()
  other = await enter()
  bytesBefore = target.residentBytes()!
})

/** After each attack: others are answered, the process lives, and has not grown. */
afterEach(async () => {
  expect(await call(other, OpCode.exists, (out) => writeExistsRequest(out, { path: '/big', watch: false }))).toBe(0)
  session.reset()
  other.reset()
  expect(target.ended()).toBe(null)
  expect(target.residentBytes()! - bytesBefore).toBeLessThan(GROWTH_BYTES_MAX)
  expect(target.complaints()).toEqual([])
})

async function enter(): Promise<Connection> {
  const connection = await openSession(target.address, 30_000, DEADLINE_MS)
  if (connection === null) throw new Error('an ordinary new session was not granted')
  return connection
}

/** The error code of the next reply that is not an event; null when the connection was closed instead. */
async function reply(connection: Connection): Promise<number | null> {
  for (;;) {
    const frame = await connection.next(DEADLINE_MS)
    if (frame === null) return null
    const header = readReplyHeader(new Input(frame))
    if (header.xid !== Xid.notification) return header.err
  }
}

function call(connection: Connection, type: number, write: Parameters<typeof request>[2]): Promise<number | null> {
  connection.write(request(1, type, write))
  return reply(connection)
}

const getBig = request(1, OpCode.getData, (out) => writeGetDataRequest(out, { path: '/big', watch: false }))

test('S7: a multiRead whose answers together are gigabytes is refused', async () => {
  const err = await call(session, OpCode.multiRead, (out) => {
    for (let i = 0; i < 40_000; i++) {
      writeMultiHeader(out, { type: OpCode.getData, done: false, err: -1 })
      writeGetDataRequest(out, { path: '/big', watch: false })
    }
    writeMultiHeader(out, { type: -1, done: true, err: -1 })
  })
  expect(err).not.toBe(0)
})

test('N9, S8: replies that are asked for and not read are not piled up', async () => {
  session.deafen()
  for (let i = 0; i < 2000; i++) session.write(getBig)
  // Two gigabytes are wanted; others have their turn meanwhile.
  for (let i = 0; i < 50; i++) {
    other.write(getBig)
    expect((await other.next(DEADLINE_MS))!.length).toBeGreaterThan(BIG)
  }
})

test('N9, S8: events that are not read are not piled up', async () => {
  const path = `/${'long'.repeat(50_000)}`
  const create = (out: Parameters<NonNullable<Parameters<typeof request>[2]>>[0]): void =>
    writeCreateRequest(out, { path, data: null, acl: OPEN, flags: 0 })
  expect(await call(other, OpCode.create, create)).toBe(0)
  const watch = { path: '/', mode: AddWatchMode.persistentRecursive }
  expect(await call(session, OpCode.addWatch, (out) => writeAddWatchRequest(out, watch))).toBe(0)
  session.deafen()
  const change = request(1, OpCode.setData, (out) => writeSetDataRequest(out, { path, data: null, version: -1 }))
  for (let round = 0; round < 100; round++) {
    for (let i = 0; i < 15; i++) other.write(change)
    for (let i = 0; i < 15; i++) expect(await reply(other)).toBe(0)
  }
})

test('S7: half frames of the greatest length cost no more than what has come of them', async () => {
  const start = Uint8Array.of(0, 0x0f, 0xff, 0xff, 1, 2, 3)
  const halves = await Promise.all(Array.from({ length: 50 }, () => Connection.open(target.address, true)))
  for (const half of halves) half.write(start)
  expect(await call(session, OpCode.exists, (out) => writeExistsRequest(out, { path: '/', watch: false }))).toBe(0)
  expect(target.residentBytes()! - bytesBefore).toBeLessThan(40 << 20)
  for (const half of halves) half.reset()
})

test('S7: an ACL of thirty thousand entries is answered', async () => {
  const acl = Array.from({ length: 30_000 }, (_, i) => ({
    perms: Perm.all,
    id: { scheme: 'ip', id: `10.${i >> 16}.${(i >> 8) & 0xff}.${i & 0xff}` },
  }))
  const err = await call(session, OpCode.setACL, (out) =>
    writeSetACLRequest(out, { path: '/acl', acl: [...acl, ...OPEN], version: -1 }),
  )
  expect(err).not.toBe(null)
})

function authOf(i: number): Uint8Array {
  const auth = new TextEncoder().encode(`user${i}:x`)
  return request(Xid.auth, OpCode.auth, (out) => writeAuthPacket(out, { type: 0, scheme: 'digest', auth }))
}

test('S7: entries of `auth` times ids of the client do not become an ACL longer than a request may be', async () => {
  for (let i = 0; i < 900; i++) {
    session.write(authOf(i))
    expect(await reply(session)).toBe(0)
  }
  const acl = Array.from({ length: 20_000 }, (_, i) => ({ perms: i + 1, id: { scheme: 'auth', id: '' } }))
  const err = await call(session, OpCode.setACL, (out) => writeSetACLRequest(out, { path: '/acl', acl, version: -1 }))
  expect(err).toBe(Err.invalidACL)
})

test('S7: a connection cannot gather ids without end', async () => {
  let answered = 0
  for (let i = 0; i < 5000 && !session.closed; i++) session.write(authOf(i))
  for (;;) {
    const err = await reply(session)
    if (err !== 0) break
    answered++
  }
  expect(answered).toBeLessThan(2000)
  expect(await session.next(DEADLINE_MS)).toBe(null)
})
