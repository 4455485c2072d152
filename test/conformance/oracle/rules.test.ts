/** What the oracle lets pass, and what it counts as missing: too wide a rule would hide a defect for ever. */
import { describe, expect, it } from 'vitest'
import { explain } from './differences.ts'
import { judge, type Matrix, possiblePairs } from './pairs.ts'
import type { Json } from './replies.ts'
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
