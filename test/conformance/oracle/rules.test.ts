/** What the oracle lets pass, and what it counts as missing: too wide a rule would hide a defect for ever. */
import { describe, expect, it } from 'vitest'
import { NO_COMPAT } from '../../../src/server/config/compat.ts'
import { DIFFERENCES, explain } from './differences.ts'
import { replyBehindEvents } from './events.ts'
import { judge, type Matrix, possiblePairs } from './pairs.ts'
import type { Json } from './replies.ts'
import type { Message } from './side.ts'
import type { Operation, Request } from './steps.ts'

const create: Operation = { op: 1, path: '$/a' }
const set: Operation = { op: 5, path: '$/a', data: 'x' }
const remove: Operation = { op: 2, path: '$/a' }

/** A reply to a multi: one code for each part. */
const reply = (...codes: number[]): Json => ({
  xid: 1,
  zxid: '+1',
  err: 0,
  body: [...codes.map((code): Json => ({ type: -1, err: code, code })), 'end -1 -1'],
})
const done = (...types: number[]): Json => ({
  xid: 1,
  zxid: '+1',
  err: 0,
  body: [...types.map((type): Json => ({ type, err: 0 })), 'end -1 -1'],
})
const explained = (subs: Operation[], a: Json, b: Json, profile = 'rich'): string | null => {
  const request: Request = { op: 14, subs }
  return explain({ request, a, b, profile })?.id ?? null
}

describe('a quota in a multi', () => {
  it('may refuse here what an earlier part has used up', () => {
    expect(explained([create, create], done(1, 1), reply(0, -125))).toBe('quota-in-multi')
    expect(explained([create, set, remove], reply(0, 0, -111), reply(0, -125, -2))).toBe('quota-in-multi')
  })

  it('may refuse there what an earlier part has made room for', () => {
    expect(explained([remove, create], reply(0, -125), done(2, 1))).toBe('quota-in-multi')
    expect(explained([set, set], reply(0, -125), reply(0, -103))).toBe('quota-in-multi')
  })

  it('explains no refusal without an earlier part that counts', () => {
    expect(explained([create], done(1), reply(-125))).toBe(null)
    expect(explained([create], reply(-125), done(1))).toBe(null)
    expect(explained([remove, create], done(2, 1), reply(0, -125))).toBe(null)
    expect(explained([create, create], reply(0, -125), done(1, 1))).toBe(null)
  })

  it('explains no other code, at no other place, and nothing where quotas are not enforced', () => {
    expect(explained([create, create], reply(0, -110), reply(0, -125))).toBe(null)
    expect(explained([create, create], reply(-101, -2), reply(0, -125))).toBe(null)
    expect(explained([create, remove], done(1, 2), reply(0, -125))).toBe(null)
    expect(explained([create, create], done(1, 1), reply(0, -110))).toBe(null)
    expect(explained([create, create], reply(0, -125), reply(-2, -125))).toBe(null)
    expect(explained([create, create], done(1, 1), reply(0, -125), 'plain')).toBe(null)
  })

  it('explains no other difference of the same reply', () => {
    const late = { ...(reply(0, -125) as { [key: string]: Json }), zxid: '+2' }
    expect(explained([create, create], done(1, 1), late)).toBe(null)
  })
})

describe('a child of a container made with ephemeral flags', () => {
  const container: Operation = { op: 19, path: '$/k', flags: 1 }
  const child: Operation = { op: 1, path: '$/k/a' }

  it('may be refused there as one of an ephemeral znode, in the same multi', () => {
    expect(explained([container, child], reply(0, -108), done(19, 1))).toBe('container-in-flight')
    expect(explained([container, child, remove], reply(0, -108, -2), reply(0, 0, -101))).toBe('container-in-flight')
    expect(explained([container, child], reply(0, -108), reply(0, -125))).toBe('container-in-flight')
  })

  it('is refused nowhere else: not here, not without the flags, not below another znode, not alone', () => {
    expect(explained([container, child], done(19, 1), reply(0, -108))).toBe(null)
    expect(explained([{ ...container, flags: 0 }, child], reply(0, -108), done(19, 1))).toBe(null)
    expect(explained([container, create], reply(0, -108), done(19, 1))).toBe(null)
    expect(explained([child], reply(-108), done(1))).toBe(null)
    expect(explained([child, container], reply(-108, -2), done(1, 19))).toBe(null)
  })

  it('explains no other answer of ours', () => {
    expect(explained([container, child], reply(0, -108), reply(0, -110))).toBe(null)
    expect(explained([container, child], reply(0, -108), reply(-110, -2))).toBe(null)
    expect(explained([container, child], reply(0, -108), 'nothing')).toBe(null)
    expect(explained([container, child], reply(0, -108), { event: 'created', path: '$/k', zxid: '+1' })).toBe(null)
  })
})

describe('with our switches on', () => {
  it('a difference that has a switch is none that may be, and one without still is', () => {
    const request: Request = { op: 14, subs: [create, create] }
    const quota = { request, a: done(1, 1), b: reply(0, -125), profile: 'rich' }
    expect(explain(quota)?.id).toBe('quota-in-multi')
    expect(explain({ ...quota, compat: true })).toBe(null)
    const id = (text: string): Json => ({ xid: 1, zxid: '+1', err: 0, body: { acl: [`31 digest:${text}`] } })
    const [a, b] = [id('\xef\xbf\xbd\xef\xbf\xbd'), id('\xed\xa0\xbd\xed\xb8\x80')]
    expect(explain({ request: { op: 6 }, a, b, profile: 'rich', compat: true })?.id).toBe('id-beyond-bmp')
  })

  it('every switch that a difference names is one of ours', () => {
    for (const { compat } of DIFFERENCES) expect(compat ?? 'takeover', compat).toBeOneOf(Object.keys(NO_COMPAT))
  })
})

describe('events ahead of a reply', () => {
  const frame = (xid: number, zxid: number): Buffer => {
    const bytes = Buffer.alloc(16)
    bytes.writeInt32BE(xid)
    bytes.writeBigInt64BE(BigInt(zxid), 4)
    return bytes
  }
  const event = (zxid: number): Message => ({ kind: 'event', bytes: frame(-1, zxid) })
  const answer = (zxid: number): Message => ({ kind: 'reply', bytes: frame(1, zxid), request: { op: 14 } })

  it('belong to it where they are of its transaction', () => {
    expect(replyBehindEvents([answer(6), event(7), event(7), answer(7)], 1, 4)).toBe(3)
  })

  it('belong to nothing where they are of another, or where no reply follows', () => {
    expect(replyBehindEvents([event(6), answer(7)], 0, 2)).toBe(0)
    expect(replyBehindEvents([event(7), event(6), answer(7)], 0, 3)).toBe(0)
    expect(replyBehindEvents([event(7), { kind: 'closed' }], 0, 2)).toBe(0)
    expect(replyBehindEvents([event(7), answer(7)], 0, 1)).toBe(0)
    expect(replyBehindEvents([answer(7), answer(8)], 0, 2)).toBe(0)
  })
})

describe('what only a server may ask for', () => {
  const refusal: Json = { xid: 1, zxid: -1, err: -6 }
  const asked = (op: number, a: Json, b: Json): string | null =>
    explain({ request: { op }, a, b, profile: 'rich' })?.id ?? null

  it('is answered there and refused here', () => {
    expect(asked(20, { xid: 1, zxid: '+1', err: -101 }, refusal)).toBe('client-delete-container')
    expect(asked(-10, { connected: 'session0', timeoutMs: 6000 }, refusal)).toBe('client-create-session')
  })

  it('is not answered here, and must be answered there', () => {
    expect(asked(20, refusal, { xid: 1, zxid: '+1', err: 0 })).toBe(null)
    expect(asked(20, { event: 'deleted', path: '$/k', zxid: '+1' }, refusal)).toBe(null)
    expect(asked(20, 'nothing', refusal)).toBe(null)
    expect(asked(2, { xid: 1, zxid: '+1', err: -101 }, refusal)).toBe(null)
  })
})

describe('events that setWatches makes up', () => {
  const missed: Json = { event: 'data', path: '$/secret', zxid: -1 }
  const reply: Json = { xid: 1, zxid: '+1', err: 0 }
  const answered = (op: number | null, a: Json, b: Json): string | null =>
    explain({ request: op === null ? null : { op }, a, b, profile: 'plain' })?.id ?? null

  it('may be held back by us, of znodes that are there', () => {
    expect(answered(101, missed, reply)).toBe('missed-events')
    expect(answered(105, missed, reply)).toBe('missed-events')
    expect(answered(null, missed, { event: 'created', path: '$/other', zxid: -1 })).toBe('missed-events')
  })

  it('may be nothing else: no deletion, no event of now, no other request, and not held back by the reference', () => {
    expect(answered(101, { event: 'deleted', path: '$/a', zxid: -1 }, reply)).toBe(null)
    expect(answered(101, { event: 'data', path: '$/a', zxid: '+3' }, reply)).toBe(null)
    expect(answered(4, missed, reply)).toBe(null)
    expect(answered(101, missed, 'nothing')).toBe(null)
    expect(answered(101, reply, missed)).toBe(null)
  })
})

describe('the matrix', () => {
  const all = (): Matrix =>
    new Map([...possiblePairs()].map(([key, codes]) => [key, new Map([...codes].map((code) => [code, 1]))]))

  it('is complete when every possible answer was seen', () => {
    expect(judge(all())).toMatchObject({ unseen: [], unlisted: [] })
  })

  it('names an answer that was not seen, and one that nobody expects', () => {
    const matrix = all()
    matrix.get('2')!.delete(-111)
    matrix.get('14/13')!.set(-125, 1)
    expect(judge(matrix)).toMatchObject({ unseen: ['delete -111'], unlisted: ['multi/check -125'] })
  })

  it('takes a race that was won for what it is', () => {
    const matrix = all()
    matrix.get('4')!.set(-112, 1)
    expect(judge(matrix)).toMatchObject({ unseen: [], unlisted: [] })
  })
})
