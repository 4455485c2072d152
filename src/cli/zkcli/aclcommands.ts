/** Commands on who may do what, and who one is: getAcl, setAcl, addauth, whoami. */

import { KeeperError } from '../../client/failures.ts'
import { visitSubtree } from '../../client/subtree.ts'
import { type Command, versionOf } from './command.ts'
import { printStat } from './nodecommands.ts'
import { options } from './options.ts'
import { aclJson, aclText, parseAcl, statJson } from './texts.ts'

const getAcl: Command = {
  name: 'getAcl',
  usage: '[-s] path',
  options: options(['s', 'stats']),
  wordsMin: 1,
  async run(ctx, call) {
    const path = call.words[1]!
    const { acl, stat } = await ctx.zk.getACL(path)
    for (const entry of acl) ctx.out(aclText(entry))
    if (call.has('s')) printStat(ctx, stat)
    return { path, acl: acl.map(aclJson), stat: statJson(stat) }
  },
}

const setAcl: Command = {
  name: 'setAcl',
  usage: '[-s] [-v version] [-R] path acl',
  options: options(['s', 'stats'], ['v:', 'version'], ['R', 'recursive']),
  wordsMin: 2,
  async run(ctx, call) {
    const [, path, text] = call.words
    const acl = parseAcl(text!, (line) => ctx.err(line))
    const version = versionOf(call)
    if (!call.has('R')) {
      const stat = await ctx.zk.setACL(path!, acl, version)
      if (call.has('s')) printStat(ctx, stat)
      return { path, stat: statJson(stat) }
    }
    const failed: string[] = []
    const setOne = async (node: string): Promise<void> => {
      try {
        await ctx.zk.setACL(node, acl, version)
      } catch (err) {
        if (!(err instanceof KeeperError)) throw err
        failed.push(node)
        ctx.outRaw(err.message)
      }
    }
    await visitSubtree(ctx.zk, path!, false, setOne, ctx.walk)
    return { path, failed }
  },
}

const addAuth: Command = {
  name: 'addauth',
  usage: 'scheme auth',
  options: options(),
  wordsMin: 1,
  async run(ctx, call) {
    const [, scheme, auth] = call.words
    await ctx.zk.addAuth(scheme!, auth === undefined ? null : Buffer.from(auth))
    return { scheme, accepted: ctx.zk.alive }
  },
}

const whoAmI: Command = {
  name: 'whoami',
  usage: '',
  options: null,
  async run(ctx) {
    const identities = await ctx.zk.whoAmI()
    ctx.out('Auth scheme: User')
    for (const { authScheme, user } of identities) ctx.out(`${authScheme}: ${user}`)
    return { identities: identities.map(({ authScheme, user }) => ({ scheme: authScheme, user })) }
  },
}

export const aclCommands: readonly Command[] = [getAcl, setAcl, addAuth, whoAmI]
