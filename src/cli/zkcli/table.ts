/** All commands by name, and the text that explains them. Java: ZooKeeperMain.commandMap, usage. */

import { compareUnits } from '../../client/subtree.ts'
import { aclCommands } from './aclcommands.ts'
import type { Command } from './command.ts'
import { ensembleCommands } from './ensemblecommands.ts'
import { nodeCommands } from './nodecommands.ts'
import { quotaCommands } from './quotacommands.ts'
import { watchCommands } from './watchcommands.ts'

export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  [...nodeCommands, ...aclCommands, ...quotaCommands, ...watchCommands, ...ensembleCommands].map((command) => [
    command.name,
    command,
  ]),
)

/** Those that the session itself answers, with their usage. */
export const SESSION_COMMANDS: ReadonlyMap<string, string> = new Map([
  ['connect', 'host:port'],
  ['history', ''],
  ['redo', 'cmdno'],
  ['printwatches', 'on|off'],
  ['quit', ''],
])

export const COMMAND_NAMES: readonly string[] = [...COMMANDS.keys(), ...SESSION_COMMANDS.keys()].sort(compareUnits)

export function usage(): string {
  const lines = COMMAND_NAMES.map((name) => `\t${name} ${COMMANDS.get(name)?.usage ?? SESSION_COMMANDS.get(name)}`)
  return ['ZooKeeper -server host:port -client-configuration properties-file cmd args', ...lines].join('\n')
}

/** What `--help` prints; Java's client has none. */
export function help(): string {
  return `${usage()}

Options, all ahead of the command:
\t-server host:port[,...][/chroot]   servers, and the path that is the root (localhost:2181)
\t-timeout ms                        of the session (30000)
\t-r                                 a server that has lost its quorum will do, for reading
\t-waitforconnection                 connect first, for as long as the timeout
\t-client-configuration file         zookeeper.client.secure, zookeeper.ssl.*, zookeeper.sasl.* and others
\t--json                             one JSON value for each command and each event`
}
