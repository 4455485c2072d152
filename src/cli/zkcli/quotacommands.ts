/**
 * Quotas, which are nodes below /zookeeper/quota: `<path>/zookeeper_limits` says what is allowed,
 * `<path>/zookeeper_stats` what is there. The client keeps the rule that a quota has none above or below it.
 * Java: SetQuotaCommand, ListQuotaCommand, DelQuotaCommand, StatsTrack, Quotas.
 */

import { InvalidArgument, KeeperError } from '../../client/failures.ts'
import { checkPath, childPath } from '../../client/paths.ts'
import { visitSubtree } from '../../client/subtree.ts'
import type { ZooKeeper } from '../../client/zookeeper.ts'
import { Err } from '../../jute/codes.ts'
import { type Call, type Command, type Context, intOrNull, longOrNull } from './command.ts'
import { CommandFailure } from './failures.ts'
import { exclusiveOptions, options } from './options.ts'
import { dataText } from './texts.ts'

const PROC = '/zookeeper'
const QUOTA = '/zookeeper/quota'
const LIMITS = 'zookeeper_limits'
const STATS = 'zookeeper_stats'

/** Limits, or what is used of them, by name: count, bytes, countHardLimit, byteHardLimit. -1: none. */
type Track = Map<string, number>

const OPTION_KEYS = { n: 'count', b: 'bytes', N: 'countHardLimit', B: 'byteHardLimit' } as const
type QuotaOption = keyof typeof OPTION_KEYS
const QUOTA_OPTIONS = Object.keys(OPTION_KEYS) as QuotaOption[]

const setQuota: Command = {
  name: 'setquota',
  usage: '-n|-b|-N|-B val path',
  options: exclusiveOptions(
    'one',
    ['n:', 'num soft quota'],
    ['b:', 'bytes soft quota'],
    ['N:', 'num hard quota'],
    ['B:', 'bytes hard quota'],
  ),
  wordsMin: 1,
  async run(ctx, call) {
    const path = call.words[1]!
    if (path.startsWith(QUOTA)) return refused(ctx, `cannot set a quota under the path: ${QUOTA}`)
    const option = QUOTA_OPTIONS.find((name) => call.has(name))!
    const value = limitOf(option, call)
    if (typeof value === 'string') return refused(ctx, value)
    const limits = await createQuota(ctx, path, OPTION_KEYS[option], value)
    return { path, limits: Object.fromEntries(limits) }
  },
}

/** Java says so and ends as if all were well. */
function refused(ctx: Context, why: string): Record<string, unknown> {
  ctx.err(why)
  return { refused: why }
}

/** The number, or why it is none. */
function limitOf(option: QuotaOption, call: Call): number | string {
  const text = call.value(option)!
  const isCount = option === 'n' || option === 'N'
  const value = isCount ? intOrNull(text) : longOrNull(text)
  if (value === null) return 'NumberFormatException happens when parsing the option value'
  if (isCount && value <= 0) return 'the num quota must be greater than zero'
  if (value < 0) return 'the bytes quota must be greater than or equal to zero'
  return value
}

async function createQuota(ctx: Context, path: string, key: string, value: number): Promise<Track> {
  const { zk } = ctx
  if ((await zk.exists(path)) === null) throw new InvalidArgument(`${path} does not exist.`)
  await refuseQuotaBelow(ctx, path)
  await refuseQuotaAbove(zk, path)
  if ((await zk.exists(QUOTA)) === null) {
    await createIfMissing(zk, PROC)
    await createIfMissing(zk, QUOTA)
  }
  let at = QUOTA
  for (const name of path
    .split('/')
    .slice(1)
    .filter((part) => part !== '')) {
    at = `${at}/${name}`
    if ((await zk.exists(at)) === null) await createIfMissing(zk, at)
  }
  const [limitsPath, statsPath] = [`${at}/${LIMITS}`, `${at}/${STATS}`]
  if ((await zk.exists(limitsPath)) === null) {
    const limits = parseTrack('count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=-1').set(key, value)
    await zk.create(limitsPath, Buffer.from(trackText(limits)))
    await zk.create(statsPath, Buffer.from('count=0,bytes=0'))
    // The server counts what is there when it sees the limits.
    warnIfExceeded(ctx, await readTrack(zk, limitsPath), await readTrack(zk, statsPath))
    return limits
  }
  const limits = (await readTrack(zk, limitsPath)).set(key, value)
  warnIfExceeded(ctx, limits, await readTrack(zk, statsPath))
  await zk.setData(limitsPath, Buffer.from(trackText(limits)))
  return limits
}

async function createIfMissing(zk: ZooKeeper, path: string): Promise<void> {
  try {
    await zk.create(path, null)
  } catch (err) {
    if (!(err instanceof KeeperError) || err.code !== Err.nodeExists) throw err
  }
}

async function refuseQuotaBelow(ctx: Context, path: string): Promise<void> {
  const own = QUOTA + path
  const check = async (node: string): Promise<void> => {
    const children = await childrenOrNull(ctx.zk, node)
    if (node !== own && children !== null && children.includes(LIMITS)) {
      throw new InvalidArgument(`${path} has a child ${node.slice(QUOTA.length)} which has a quota`)
    }
  }
  try {
    await visitSubtree(ctx.zk, own, false, check, { signal: ctx.walk.signal, progress: () => {} })
  } catch (err) {
    if (!(err instanceof KeeperError) || err.code !== Err.noNode) throw err
  }
}

async function refuseQuotaAbove(zk: ZooKeeper, path: string): Promise<void> {
  let at = QUOTA
  for (const name of path.split('/').slice(1, -1)) {
    at = `${at}/${name}`
    const children = await childrenOrNull(zk, at)
    if (children === null || children.length === 0) return
    if (at !== QUOTA + path && children.includes(LIMITS)) {
      throw new InvalidArgument(`${path} has a parent ${at.slice(QUOTA.length)} which has a quota`)
    }
  }
}

function warnIfExceeded(ctx: Context, limits: Track, stats: Track): void {
  const exceeds = (key: string, used: number): boolean => amountOf(limits, key) > -1 && amountOf(limits, key) < used
  const [count, bytes] = [amountOf(stats, 'count'), amountOf(stats, 'bytes')]
  if (exceeds('count', count) || exceeds('countHardLimit', count)) {
    ctx.out(`[Warning]: the count quota you create is less than the existing count:${count}`)
  }
  if (exceeds('bytes', bytes) || exceeds('byteHardLimit', bytes)) {
    ctx.out(`[Warning]: the bytes quota you create is less than the existing bytes:${bytes}`)
  }
}

const listQuota: Command = {
  name: 'listquota',
  usage: 'path',
  options: options(),
  wordsMin: 1,
  async run(ctx, call) {
    const path = call.words[1]!
    ctx.err(`absolute path is ${QUOTA}${path}/${LIMITS}`)
    try {
      const limits = await readTrack(ctx.zk, `${QUOTA}${path}/${LIMITS}`)
      const stats = await readTrack(ctx.zk, `${QUOTA}${path}/${STATS}`)
      ctx.out(`Output quota for ${path} ${trackText(limits)}`)
      ctx.out(`Output stat for ${path} ${trackText(stats)}`)
      return { path, limits: Object.fromEntries(limits), stats: Object.fromEntries(stats) }
    } catch (err) {
      if (!(err instanceof KeeperError) || err.code !== Err.noNode) throw err
      ctx.err(`quota for ${path} does not exist.`)
      return { path, limits: null, stats: null }
    }
  },
}

const delQuota: Command = {
  name: 'delquota',
  usage: '[-n|-b|-N|-B] path',
  options: exclusiveOptions(
    'atMostOne',
    ['n', 'num soft quota'],
    ['b', 'bytes soft quota'],
    ['N', 'num hard quota'],
    ['B', 'bytes hard quota'],
  ),
  wordsMin: 1,
  async run(ctx, call) {
    const path = call.words[1]!
    const own = QUOTA + path
    const limitsPath = `${own}/${LIMITS}`
    checkPath(limitsPath)
    if ((await ctx.zk.exists(limitsPath)) === null) {
      ctx.out(`Quota does not exist for ${path}`)
      return { path, deleted: false }
    }
    try {
      const limits = await readTrack(ctx.zk, limitsPath)
      const option = QUOTA_OPTIONS.find((name) => call.has(name))
      if (option !== undefined) {
        await ctx.zk.setData(limitsPath, Buffer.from(trackText(limits.set(OPTION_KEYS[option], -1))))
        return { path, deleted: true, limits: Object.fromEntries(limits) }
      }
      for (const name of (await ctx.zk.getChildren(own)).children) await ctx.zk.delete(childPath(own, name))
      await deleteEmptyUpward(ctx.zk, own)
      return { path, deleted: true }
    } catch (err) {
      if (!(err instanceof KeeperError) || err.code !== Err.noNode) throw err
      ctx.err(`quota for ${path} does not exist.`)
      return { path, deleted: false }
    }
  },
}

async function deleteEmptyUpward(zk: ZooKeeper, from: string): Promise<void> {
  for (let at = from; at !== QUOTA; at = at.slice(0, at.lastIndexOf('/'))) {
    if ((await zk.getChildren(at)).children.length > 0) return
    await zk.delete(at)
  }
}

export const quotaCommands: readonly Command[] = [setQuota, listQuota, delQuota]

async function childrenOrNull(zk: ZooKeeper, path: string): Promise<string[] | null> {
  try {
    return (await zk.getChildren(path)).children
  } catch (err) {
    if (err instanceof KeeperError && err.code === Err.noNode) return null
    throw err
  }
}

async function readTrack(zk: ZooKeeper, path: string): Promise<Track> {
  return parseTrack(dataText((await zk.getData(path)).data))
}

/** `count=2,bytes=-1=;byteHardLimit=-1`: separators are , and ; and a second = is a mark for readers of old. */
export function parseTrack(text: string): Track {
  const track: Track = new Map()
  for (const pair of text.split(/[,;]+/).filter((piece) => piece !== '')) {
    const [key, value] = pair.split('=')
    const number = longOrNull(value === undefined || value === '' ? '-1' : value)
    if (number === null) throw new CommandFailure(`For input string: "${value}"`)
    track.set(key!, number)
  }
  return track
}

export function trackText(track: Track): string {
  const more = [...track.keys()].filter((key) => key !== 'count' && key !== 'bytes').sort()
  const text = `count=${amountOf(track, 'count')},bytes=${amountOf(track, 'bytes')}`
  return more.length === 0 ? text : `${text}=${more.map((key) => `;${key}=${track.get(key)}`).join('')}`
}

function amountOf(track: Track, key: string): number {
  return track.get(key) ?? -1
}
