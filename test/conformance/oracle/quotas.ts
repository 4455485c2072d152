/** Quotas of every kind, and writes that meet them at the edge, alone and in transactions. */
import type { Random } from './random.ts'
import type { Operation, Request, Step } from './steps.ts'
import { data, version } from './values.ts'

export interface Quota {
  /** Path of the znode it counts, below `$`. */
  below: string
  /** Where its limits and counts are kept. */
  at: string
}

/** Limits on some path, hard and soft, of count and bytes. */
export function makeQuota(r: Random): { quota: Quota; steps: Step[] } {
  const below = r.weighted([
    [4, ''],
    [4, '/a'],
    [1, '/a/b'],
    [2, '/b'],
  ])
  let at = '/zookeeper/quota$'
  const steps = [send({ op: 1, path: at, data: '' })]
  for (const name of below.split('/').slice(1)) {
    at += `/${name}`
    steps.push(send({ op: 1, path: at, data: '' }))
  }
  steps.push(send({ op: 1, path: `${at}/zookeeper_limits`, data: limits(r) }))
  if (r.chance(85)) steps.push(send({ op: 1, path: `${at}/zookeeper_stats`, data: 'count=0,bytes=0' }))
  return { quota: { below, at }, steps }
}

/** Something that counts, or a change of the quota itself. */
export function atTheEdge(r: Random, quota: Quota): Request {
  return r.weighted<() => Request>([
    [8, () => counted(r, quota)],
    [4, () => ({ op: 14, subs: parts(r, quota) })],
    [1, () => changed(r, quota)],
  ])()
}

function send(r: Request): Step {
  return { do: 'send', c: 0, r }
}

function limits(r: Random): string {
  const count = (): number => r.pick([-1, 1, 2, 3, 5])
  const bytes = (): number => r.pick([-1, 1, 5, 10, 30])
  const hard = `count=${count()},bytes=${bytes()};byteHardLimit=${bytes()};countHardLimit=${count()}`
  return r.weighted([
    [1, `count=${count()},bytes=${bytes()}`],
    [3, hard],
    [1, `count=-1,bytes=-1=;byteHardLimit=${bytes()};countHardLimit=${count()}`],
    [1, `countHardLimit=${count()}`],
    [1, `byteHardLimit=${bytes()}`],
  ])
}

function counted(r: Random, { below }: Quota): Operation {
  const path = `$${below}${r.pick(['', '/a', '/a', '/b', '/c', '/a/a', '/a/b'])}`
  const op = r.weighted([
    [5, 1],
    [2, 15],
    [2, 19],
    [2, 21],
    [5, 5],
    [4, 2],
  ])
  if (op === 2) return { op, path, version: -1 }
  if (op === 5) return { op, path, data: data(r), version: version(r) }
  const flags = op === 21 ? r.pick([5, 6]) : r.pick([0, 0, 0, 1, 2])
  return { op, path, data: data(r), flags, ...(op === 21 ? { ttl: 3_600_000 } : {}) }
}

function parts(r: Random, quota: Quota): Operation[] {
  const out = [counted(r, quota)]
  while (out.length < 5 && r.chance(60)) out.push(counted(r, quota))
  return out
}

function changed(r: Random, { at }: Quota): Request {
  return r.weighted<Request>([
    [4, { op: 5, path: `${at}/zookeeper_limits`, data: limits(r), version: -1 }],
    [1, { op: 2, path: `${at}/zookeeper_limits`, version: -1 }],
    [2, { op: 1, path: `${at}/zookeeper_limits`, data: limits(r) }],
    [1, { op: 2, path: `${at}/zookeeper_stats`, version: -1 }],
    [2, { op: 1, path: `${at}/zookeeper_stats`, data: 'count=0,bytes=0' }],
    [2, { op: 4, path: `${at}/zookeeper_stats`, watch: 1 }],
  ])
}
