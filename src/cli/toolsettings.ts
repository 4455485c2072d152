/** What tools take from the environment and from zoo.cfg: limits, and where the data is. */

import { existsSync, statSync } from 'node:fs'
import { type Environment, loadConfig, parseConfig, systemPropertiesFrom } from '../server/config/config.ts'
import { canSpare, quorumOf, serversOf } from '../server/config/members.ts'
import { ConfigError } from '../server/config/settings.ts'
import { lengthMaxOf, recoverOptions } from '../server/life/parts.ts'
import { folderTarget, type ToolTarget } from '../tools/target.ts'
import { UsageError } from '../tools/terminal.ts'

/** The longest string or log entry believed: -Djute.maxbuffer in JVMFLAGS or SERVER_JVMFLAGS counts. */
export function toolLengthMax(env: Environment): number {
  return asked(() => lengthMaxOf(parseConfig('dataDir=/', 'environment', systemPropertiesFrom(env)).config))
}

/** A data directory named by its folder, or by the zoo.cfg that names it. */
export function toolTarget(
  path: string,
  logDir: string | undefined,
  env: Environment,
  mayBeMissing = false,
): ToolTarget {
  const there = existsSync(path)
  if (!there && !mayBeMissing) throw new UsageError(`${path}: no such file or folder`)
  if (!there || statSync(path).isDirectory()) return folderTarget(path, logDir ?? null, toolLengthMax(env))
  if (logDir !== undefined) throw new UsageError(`${path} says where the log is: --log-dir is for folders`)
  const { config } = asked(() => loadConfig(path, env))
  const { distributed, membership } = config.quorum
  const quorum = distributed ? quorumOf(membership) : null
  return {
    name: path,
    configFile: path,
    dataDir: config.dataDir,
    dataLogDir: config.dataLogDir,
    recover: recoverOptions(config),
    serverId: config.serverId,
    member: distributed,
    hasOthers: quorum !== null && config.serverId !== null && canSpare(quorum, config.serverId),
    servers: quorum === null ? new Map() : serversOf(quorum),
    extendedTypes: config.extendedTypesEnabled,
    emulate353: config.emulate353TTLNodes,
  }
}

function asked<T>(read: () => T): T {
  try {
    return read()
  } catch (err) {
    if (err instanceof ConfigError) throw new UsageError(err.message)
    throw err
  }
}
