/** Commands on nodes: create, delete, deleteall, set, get, ls, stat, sync, getAllChildrenNumber, getEphemerals. */

import { KeeperError } from '../../client/failures.ts'
import { compareUnits, deleteSubtree, visitSubtree } from '../../client/subtree.ts'
import { OPEN_ACL } from '../../client/zookeeper.ts'
import { CreateMode, Err } from '../../jute/codes.ts'
import {
  type Call,
  type Command,
  type Context,
  intOrNull,
  longOrNull,
  usageText,
  versionOf,
  withOldWatch,
} from './command.ts'
import { CommandFailure } from './failures.ts'
import { options } from './options.ts'
import { base64, dataJson, dataText, hexDump, parseAcl, statJson, statText } from './texts.ts'

const DELETE_BATCH = 1000
const SYNC_TIMEOUT_MS = 30_000
/** The largest time to live: 40 bits of a session id's place. */
const TTL_MS_MAX = 2 ** 40 - 1

const create: Command = {
  name: 'create',
  usage: '[-s] [-e] [-c] [-t ttl] path [data] [acl]',
  options: options(['e', 'ephemeral'], ['s', 'sequential'], ['c', 'container'], ['t:', 'ttl']),
  wordsMin: 1,
  async run(ctx, call) {
    const { mode, ttlMs } = createMode(call)
    const [, path, data, aclText] = call.words
    const acl = aclText === undefined ? OPEN_ACL : parseAcl(aclText, (line) => ctx.err(line))
    try {
      const bytes = data === undefined ? null : Buffer.from(data)
      const created = await ctx.zk.create(path!, bytes, { acl, mode, ttlMs })
      if (call.has('e')) ctx.onEphemeral()
      ctx.err(`Created ${created}`)
      return { created }
    } catch (err) {
      if (err instanceof KeeperError && err.code === Err.ephemeralOnLocalSession) {
        ctx.err('Unable to create ephemeral node on a local session')
      }
      if (err instanceof KeeperError && err.code === Err.invalidACL) ctx.err(err.message)
      throw err
    }
  },
}

function createMode(call: Call): { mode: number; ttlMs: number } {
  const [ephemeral, sequential, container] = [call.has('e'), call.has('s'), call.has('c')]
  if (container && (ephemeral || sequential)) {
    throw new CommandFailure('-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.')
  }
  const withTtl = call.has('t')
  const ttlMs = withTtl ? longOrNull(call.value('t')!) : 0
  if (ttlMs === null) throw new CommandFailure('-t argument must be a long value')
  if (withTtl && ephemeral) throw new CommandFailure('TTLs cannot be used with Ephemeral znodes')
  if (withTtl && container) throw new CommandFailure('TTLs cannot be used with Container znodes')
  if (withTtl && (ttlMs <= 0 || ttlMs > TTL_MS_MAX)) {
    throw new CommandFailure(`ttl must be positive and cannot be larger than: ${TTL_MS_MAX}`)
  }
  if (ephemeral) return { mode: sequential ? CreateMode.ephemeralSequential : CreateMode.ephemeral, ttlMs }
  if (container) return { mode: CreateMode.container, ttlMs }
  if (withTtl) {
    return { mode: sequential ? CreateMode.persistentSequentialWithTTL : CreateMode.persistentWithTTL, ttlMs }
  }
  return { mode: sequential ? CreateMode.persistentSequential : CreateMode.persistent, ttlMs }
}

const remove: Command = {
  name: 'delete',
  usage: '[-v version] path',
  options: options(['v:', 'version']),
  wordsMin: 1,
  async run(ctx, call) {
    if (call.words.length > 2) {
      ctx.err("'delete path [version]' has been deprecated. Please use 'delete [-v version] path' instead.")
    }
    const path = call.words[1]!
    await ctx.zk.delete(path, versionOf(call))
    return { deleted: path }
  },
}

const deleteAll: Command = {
  name: 'deleteall',
  usage: 'path [-b batch size]',
  options: options(['b:', 'batch size']),
  wordsMin: 1,
  async run(ctx, call) {
    const text = call.value('b')
    const batchSize = text === null ? DELETE_BATCH : intOrNull(text)
    if (batchSize === null) throw new CommandFailure('-b argument must be an int value')
    const path = call.words[1]!
    const complete = await deleteSubtree(ctx.zk, path, batchSize, ctx.walk)
    if (!complete) ctx.err('Failed to delete some node(s) in the subtree!')
    return { deleted: path, complete }
  },
}

const set: Command = {
  name: 'set',
  usage: 'path data [-s] [-v version] [-b]',
  options: options(
    ['s', 'Print znode stats additionally'],
    ['v:', 'Set with an expected version'],
    ['b', 'Supply data in base64 format'],
  ),
  explained: true,
  wordsMin: 2,
  async run(ctx, call) {
    const [, path, text] = call.words
    const data = call.has('b') ? fromBase64(text!) : Buffer.from(text!)
    const stat = await ctx.zk.setData(path!, data, versionOf(call))
    if (call.has('s')) printStat(ctx, stat)
    return { path, stat: statJson(stat) }
  },
}

const get: Command = {
  name: 'get',
  usage: '[-s] [-w] [-b] [-x] path',
  options: options(
    ['s', 'Print znode stats additionally'],
    ['w', 'Watch for changes on the znode'],
    ['b', 'Output data in base64 format'],
    ['x', 'Output data in hexdump format'],
  ),
  explained: true,
  wordsMin: 1,
  async run(ctx, typed) {
    const call = withOldWatch(get, ctx, typed, 'get [-s] [-w] path')
    const path = call.words[1]!
    const { data, stat } = await ctx.zk.getData(path, call.has('w'))
    const bytes = data ?? Buffer.from('null')
    if (call.has('x')) ctx.out(hexDump(bytes))
    else if (call.has('b')) ctx.out(base64(bytes))
    else ctx.out(dataText(data))
    if (call.has('s')) printStat(ctx, stat)
    const shown = call.has('b') || call.has('x') ? { dataBase64: data && base64(data) } : dataJson(data)
    return { path, ...shown, stat: statJson(stat) }
  },
}

const LS_HELP = 'usage: ls [options] path\n -?   help\n -R   recurse\n -s   stat\n -w   watch'

const ls: Command = {
  name: 'ls',
  usage: '[-s] [-w] [-R] path',
  options: options(['?', 'help'], ['s', 'stat'], ['w', 'watch'], ['R', 'recurse']),
  async run(ctx, typed) {
    if (typed.has('?')) ctx.out(LS_HELP)
    const call = withOldWatch(ls, ctx, typed, 'ls [-w] path')
    const path = call.words[1]
    if (path === undefined) throw new CommandFailure(usageText(ls))
    if (call.has('R')) {
      const paths: string[] = []
      const show = (found: string): void => {
        paths.push(found)
        ctx.out(found)
      }
      await visitSubtree(ctx.zk, path, call.has('w'), show, ctx.walk)
      return { path, paths }
    }
    const { children, stat } = await ctx.zk.getChildren(path, call.has('w'))
    children.sort(compareUnits)
    ctx.out(`[${children.join(', ')}]`)
    if (call.has('s')) printStat(ctx, stat)
    return { path, children, stat: statJson(stat) }
  },
}

const stat: Command = {
  name: 'stat',
  usage: '[-w] path',
  options: options(['w', 'watch']),
  wordsMin: 1,
  async run(ctx, typed) {
    const call = withOldWatch(stat, ctx, typed, 'stat [-w] path')
    const path = call.words[1]!
    const found = await ctx.zk.exists(path, call.has('w'))
    if (found === null) throw new KeeperError(Err.noNode, path)
    printStat(ctx, found)
    return { path, stat: statJson(found) }
  },
}

const sync: Command = {
  name: 'sync',
  usage: 'path',
  options: options(),
  wordsMin: 1,
  async run(ctx, call) {
    const path = call.words[1]!
    let rc: number = Err.ok
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new CommandFailure('null')), SYNC_TIMEOUT_MS)
    })
    try {
      await Promise.race([ctx.zk.sync(path), timeout])
    } catch (err) {
      if (!(err instanceof KeeperError)) throw err
      rc = err.code
    } finally {
      clearTimeout(timer)
    }
    ctx.out(rc === Err.ok ? 'Sync is OK' : `Sync has failed. rc=${rc}`)
    return { path, rc }
  },
}

const getAllChildrenNumber: Command = {
  name: 'getAllChildrenNumber',
  usage: 'path',
  options: options(),
  wordsMin: 1,
  async run(ctx, call) {
    const path = call.words[1]!
    const count = await ctx.zk.getAllChildrenNumber(path)
    ctx.out(String(count))
    return { path, count }
  },
}

const getEphemerals: Command = {
  name: 'getEphemerals',
  usage: 'path',
  options: options(),
  async run(ctx, call) {
    const ephemerals = await ctx.zk.getEphemerals(call.words[1])
    ctx.out(`[${ephemerals.join(', ')}]`)
    return { ephemerals }
  },
}

export const nodeCommands: readonly Command[] = [
  create,
  remove,
  deleteAll,
  set,
  get,
  ls,
  stat,
  sync,
  getAllChildrenNumber,
  getEphemerals,
]

export function printStat(ctx: Context, found: Parameters<typeof statText>[0]): void {
  ctx.out(statText(found, (timeMs) => ctx.date(timeMs)))
}

/** Java's decoder takes no character that is none of the alphabet, and padding only where it belongs. */
function fromBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64')
  const padded = bytes.toString('base64')
  if (text !== padded && text !== padded.replace(/=+$/, '')) {
    throw new CommandFailure('Input byte array is not in base64')
  }
  return bytes
}
