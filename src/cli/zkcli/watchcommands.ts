/** Commands on watches: addWatch, removewatches. */

import { AddWatchMode, WatcherType } from '../../jute/codes.ts'
import { type Command, usageText } from './command.ts'
import { CommandFailure } from './failures.ts'
import { options } from './options.ts'

const MODES: ReadonlyMap<string, number> = new Map([
  ['PERSISTENT', AddWatchMode.persistent],
  ['PERSISTENT_RECURSIVE', AddWatchMode.persistentRecursive],
])
const MODE_DEFAULT = 'PERSISTENT_RECURSIVE'

const addWatch: Command = {
  name: 'addWatch',
  usage: `[-m mode] path # optional mode is one of [${[...MODES.keys()].join(', ')}] - default is ${MODE_DEFAULT}`,
  options: options('m:'),
  async run(ctx, call) {
    const mode = (call.value('m') ?? MODE_DEFAULT).toUpperCase()
    const code = MODES.get(mode)
    if (call.words.length !== 2 || code === undefined) throw new CommandFailure(usageText(addWatch))
    const path = call.words[1]!
    await ctx.zk.addWatch(path, code)
    return { path, mode }
  },
}

const TYPES: readonly (readonly [option: string, type: number])[] = [
  ['c', WatcherType.children],
  ['d', WatcherType.data],
  ['p', WatcherType.persistent],
  ['r', WatcherType.persistentRecursive],
  ['a', WatcherType.any],
]

const removeWatches: Command = {
  name: 'removewatches',
  usage: 'path [-c|-d|-a] [-l]',
  options: options(
    ['c', 'child watcher type'],
    ['d', 'data watcher type'],
    ['p', 'persistent watcher type'],
    ['r', 'persistent recursive watcher type'],
    ['a', 'any watcher type'],
    ['l', 'remove locally when there is no server connection'],
  ),
  wordsMin: 1,
  async run(ctx, call) {
    const path = call.words[1]!
    const type = TYPES.find(([option]) => call.has(option))?.[1] ?? WatcherType.any
    await ctx.zk.removeAllWatches(path, type, call.has('l'))
    return { path }
  },
}

export const watchCommands: readonly Command[] = [addWatch, removeWatches]
