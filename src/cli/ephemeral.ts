/**
 * `zoowarden start --ephemeral`: a server for tests. Its data lives in a temporary directory that goes with it; it
 * prints one line, the connect string, when it serves, and ends when its stdin closes (so it cannot outlive the test
 * that started it) or on SIGTERM or SIGINT. Settings are those of a test: no disk sync, short ticks, every word allowed.
 */

import { fstatSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Environment, type LoadedConfig, parseConfig, systemPropertiesFrom } from '../server/config/config.ts'
import { ExitCode } from '../server/life/running.ts'
import { logFor, refuse, serve, withDefinitions } from './start.ts'

export interface EphemeralWords {
  /** 0 takes a free one. */
  readonly port: number
  readonly words: readonly string[]
  readonly definitions: readonly string[]
}

export const HOST = '127.0.0.1'

/** Those of a test, whatever it starts. */
export const TEST_SETTINGS: readonly string[] = [
  'tickTime=500',
  'minSessionTimeout=500',
  'maxSessionTimeout=60000',
  'maxClientCnxns=0',
  'forceSync=no',
  'preAllocSize=1024',
  'extendedTypesEnabled=true',
  '4lw.commands.whitelist=*',
]

export const NO_ADMIN = 'admin.enableServer=false'

export async function ephemeralCommand(start: EphemeralWords, env: Environment): Promise<number> {
  if (start.words.length > 0) {
    process.stderr.write(`An ephemeral server takes no configuration, got: ${start.words.join(' ')}\n`)
    return ExitCode.invalidInvocation
  }
  const fullEnv = withDefinitions(env, start.definitions)
  const dataDir = mkdtempSync(join(tmpdir(), 'zoowarden-'))
  const remove = () => rmSync(dataDir, { recursive: true, force: true })
  process.once('exit', remove)
  try {
    let loaded: LoadedConfig
    try {
      const properties = systemPropertiesFrom(fullEnv)
      loaded = parseConfig(settingsFor(dataDir, start.port, properties), 'ephemeral', properties)
    } catch (err) {
      return refuse(err)
    }
    const log = logFor(fullEnv, 2, process.stderr.isTTY, 'warn')
    const announce = (port: number) => process.stdout.write(`${HOST}:${port}\n`)
    return await serve(loaded.config, log, (server) => announce(server.port), stdinClosed())
  } finally {
    remove()
  }
}

/** No admin server, unless -D has something to say about it. */
function settingsFor(dataDir: string, port: number, properties: ReadonlyMap<string, string>): string {
  const asksForAdmin = [...properties.keys()].some((name) => name.startsWith('zookeeper.admin.'))
  return [
    `dataDir=${dataDir.replaceAll('\\', '\\\\')}`,
    `clientPort=${port}`,
    `clientPortAddress=${HOST}`,
    ...TEST_SETTINGS,
    ...(asksForAdmin ? [] : [NO_ADMIN]),
  ].join('\n')
}

/**
 * Settles when whoever holds the other end of stdin closes it. Nobody does on /dev/null or a file, where a background
 * job of a script finds its stdin: those never end the server.
 */
export function stdinClosed(): Promise<void> {
  return new Promise((resolve) => {
    const stat = fstatSync(0)
    if (!stat.isFIFO() && !stat.isSocket() && !process.stdin.isTTY) return
    process.stdin.once('close', resolve)
    process.stdin.once('end', resolve)
    process.stdin.once('error', () => resolve())
    process.stdin.resume()
  })
}
