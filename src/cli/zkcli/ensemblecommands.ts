/** Commands on the ensemble and the session: config, reconfig, version, close. */

import { formatMembership, isMembershipKey, type Membership, parseMembership } from '../../server/config/members.ts'
import { readEntries, type Setting } from '../../server/config/settings.ts'
import { fullVersion, packageVersion } from '../../server/version.ts'
import { inJavaOrder, javaStringHash } from '../../tools/javaorder.ts'
import { type Call, type Command, usageText } from './command.ts'
import { CommandFailure } from './failures.ts'
import { printStat } from './nodecommands.ts'
import { options } from './options.ts'
import { dataText, statJson } from './texts.ts'

/** Of the table behind java.util.Properties. */
const PROPERTIES_CAPACITY = 16

/** As Java has them from the C library. */
const FILE_REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'No such file or directory'],
  ['EACCES', 'Permission denied'],
  ['EISDIR', 'Is a directory'],
])

const config: Command = {
  name: 'config',
  usage: '[-c] [-w] [-s]',
  options: options(['s', 'stats'], ['w', 'watch'], ['c', 'client connection string']),
  async run(ctx, call) {
    const { data, stat } = await ctx.zk.getConfig(call.has('w'))
    const text = dataText(data)
    const client = clientConfigText(text)
    ctx.out(call.has('c') ? client : text)
    if (call.has('s')) printStat(ctx, stat)
    return { config: text, client, stat: statJson(stat) }
  },
}

/** `<version> <host:port>,...`: what clients need to know. A server whose line names no client port leaves an empty place. */
function clientConfigText(text: string): string {
  const lines = configLines(text)
  const membership = parseMembership(lines, true)
  const keys = [...lines.keys()].filter((key) => key.startsWith('server.'))
  const addresses = inJavaOrder(keys, javaStringHash, PROPERTIES_CAPACITY).map((key) => {
    const client = membership.members.find(({ id }) => `server.${id}` === key)?.client ?? null
    return client === null ? '' : `${client.host}:${client.port}`
  })
  return `${lines.get('version')?.value ?? ''} ${addresses.join(',')}`
}

function configLines(text: string): Map<string, Setting> {
  const lines = new Map<string, Setting>()
  for (const { key, value, line } of readEntries(text, 'configuration')) {
    if (isMembershipKey(key.trim())) lines.set(key.trim(), { value: value.trim(), where: `configuration:${line}` })
  }
  return lines
}

const reconfig: Command = {
  name: 'reconfig',
  usage:
    '[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]] | ' +
    '[-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]',
  options: options(
    ['s', 'stats'],
    ['v:', 'required current config version'],
    ['file:', 'path of config file to parse for membership'],
    ['members:', 'comma-separated list of config strings for non-incremental reconfig'],
    ['add:', 'comma-separated list of config strings for new servers'],
    ['remove:', 'comma-separated list of server IDs to remove'],
  ),
  async run(ctx, call) {
    const version = checkReconfig(call)
    const lower = (name: string): string | null => call.value(name)?.toLowerCase() ?? null
    const file = call.value('file')
    const members = file === null ? lower('members') : membersOfFile(file, (path) => ctx.readFile(path))
    const { data, stat } = await ctx.zk.reconfig(lower('add'), lower('remove'), members, version)
    const text = dataText(data)
    ctx.out(`Committed new configuration:\n${text}`)
    if (call.has('s')) printStat(ctx, stat)
    return { config: text, stat: statJson(stat) }
  },
}

/** The version that the configuration must have; -1 for any. */
function checkReconfig(call: Call): number {
  const whole = call.has('file') || call.has('members')
  const inSteps = call.has('add') || call.has('remove')
  if (!whole && !inSteps) throw new CommandFailure(usageText(reconfig))
  const text = call.value('v')
  if (text !== null && !/^[+-]?[0-9a-fA-F]{1,15}$/.test(text)) {
    throw new CommandFailure('-v must be followed by a long (configuration version)')
  }
  if (whole && inSteps) {
    throw new CommandFailure(
      "Can't use -file or -members together with -add or -remove (mixing incremental and non-incremental modes is not allowed)",
    )
  }
  if (call.has('file') && call.has('members')) {
    throw new CommandFailure("Can't use -file and -members together (conflicting non-incremental modes)")
  }
  return text === null ? -1 : Number.parseInt(text, 16)
}

function membersOfFile(path: string, read: (path: string) => string): string {
  try {
    const membership: Membership = parseMembership(configLines(read(path)), true)
    if (membership.members.length === 0) throw new Error(': no server in it')
    return formatMembership(membership)
  } catch (err) {
    const { code, message } = err as NodeJS.ErrnoException
    const reason = FILE_REASONS.get(code ?? '')
    throw new CommandFailure(`Error processing ${path}${reason === undefined ? message : `${path} (${reason})`}`)
  }
}

const version: Command = {
  name: 'version',
  usage: '',
  options: options(),
  run(ctx, call) {
    if (call.words.length > 1) throw new CommandFailure(usageText(version))
    const text = fullVersion(packageVersion())
    ctx.out(`ZooKeeper CLI version: ${text}`)
    return { version: text }
  },
}

const close: Command = {
  name: 'close',
  usage: '',
  options: null,
  async run(ctx) {
    await ctx.zk.close()
    return {}
  },
}

export const ensembleCommands: readonly Command[] = [config, reconfig, version, close]
