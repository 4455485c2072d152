/**
 * `zoowarden start`: configuration, log, server; then waits until a signal or a failure ends it.
 *
 * Refusals of the configuration go to stderr as one line and exit code 2, before any log exists; everything later goes
 * to the log. SIGTERM and SIGINT close the server in order (a second one ends at once). Java: QuorumPeerMain.
 */

import { existsSync } from 'node:fs'
import {
  type Config,
  configFromArguments,
  type Environment,
  type LoadedConfig,
  loadConfig,
  systemPropertiesFrom,
} from '../server/config/config.ts'
import { openDoors } from '../server/config/opendoors.ts'
import { ConfigError } from '../server/config/settings.ts'
import { ExitCode, exitCodeOf, type OnProgress, type RunningServer } from '../server/life/running.ts'
import type { OpenAudit } from '../server/report/auditfile.ts'
import { type Log, type LogLevel, logSettings, openLog, setLevel } from '../server/report/logger.ts'

/** Between two pictures of the bar. */
const BAR_MS = 150

export interface StartWords {
  /** A configuration file, or `port dataDir [tickTime] [maxClientCnxns]`, or nothing. */
  readonly words: readonly string[]
  /** `-Dname=value`; they come after SERVER_JVMFLAGS and JVMFLAGS, so they win. */
  readonly definitions: readonly string[]
}

export async function startCommand(start: StartWords, env: Environment): Promise<number> {
  const fullEnv = withDefinitions(env, start.definitions)
  let loaded: LoadedConfig
  let log: Log
  try {
    loaded = configOf(start.words, fullEnv)
    refuseUnsupported(loaded.config)
    log = logFor(fullEnv, 1, process.stdout.isTTY, 'info')
  } catch (err) {
    return refuse(err)
  }
  const { logger } = log
  for (const warning of loaded.warnings) logger.warn(warning)
  for (const { word, what, refused } of openDoors(loaded.config)) if (!refused) logger.info({ open: word }, what)
  return serve(loaded.config, log, (server) => logger.info({ port: server.port }, 'serving'))
}

export function withDefinitions(env: Environment, definitions: readonly string[]): Environment {
  if (definitions.length === 0) return env
  const quoted = definitions.map((word) => `'${word.replaceAll("'", `'"'"'`)}'`)
  return { ...env, JVMFLAGS: [env['JVMFLAGS'] ?? '', ...quoted].join(' ') }
}

/** Throws ConfigError for a file that cannot be written. */
export function logFor(env: Environment, fd: number, isTTY: boolean, fallback: LogLevel): Log {
  return openLog(logSettings(env, systemPropertiesFrom(env), { fd, isTTY: isTTY === true }, fallback))
}

/** One line on stderr for a configuration or command line that cannot be used. */
export function refuse(err: unknown): number {
  if (!(err instanceof ConfigError)) throw err
  process.stderr.write(`Invalid config, exiting abnormally: ${err.message}\n`)
  return ExitCode.invalidInvocation
}

/**
 * Starts the server, tells `onServing`, and returns the exit code once it has ended: by SIGTERM, SIGINT, `until`, or a
 * failure of its own.
 */
export async function serve(
  config: Config,
  log: Log,
  onServing: (server: RunningServer) => void,
  until: Promise<void> = new Promise(() => {}),
): Promise<number> {
  // Files are the server's alone: those that a library or a log makes without saying so as well.
  process.umask(0o077)
  const ended = stopSignal()
  const { logger } = log
  let server: RunningServer
  let audit: OpenAudit | null = null
  process.once('uncaughtException', (err) => {
    logger.fatal({ err }, 'unexpected error')
    audit?.audit.server('serverStop', 'invoked')
    process.exit(ExitCode.unexpectedError)
  })
  const bar = progressBar()
  try {
    const { startServer } = await import('../server/main.ts')
    if (config.audit !== null) audit = (await import('../server/report/auditfile.ts')).openAudit(config, logger)
    listenToOperator(log, audit)
    const started = startServer(config, logger, bar, audit?.audit ?? null)
    // A start that loads a big tree need not be waited for: it has changed nothing that the next one minds.
    const first = await Promise.race([started, ended])
    if (first === undefined) return ExitCode.finished
    server = first
  } catch (err) {
    logger.fatal({ err }, 'cannot start')
    audit?.audit.server('serverStart', 'failure')
    return exitCodeOf(err)
  } finally {
    bar('')
  }
  onServing(server)
  audit?.audit.server('serverStart', 'success')
  const failure = await Promise.race([server.failed, ended, until])
  if (failure instanceof Error) {
    logger.fatal({ err: failure }, 'stopped: cannot go on')
    audit?.audit.server('serverStop', 'invoked')
    await server.close()
    return exitCodeOf(failure)
  }
  logger.info('closing')
  audit?.audit.server('serverStop', 'invoked')
  await server.close()
  return ExitCode.finished
}

/**
 * SIGHUP: files of the log are opened anew, after another program has moved them away. SIGUSR2: the log says more, and
 * with the next one as much as before.
 */
function listenToOperator({ logger, level, reopen }: Log, audit: OpenAudit | null): void {
  const files = [reopen, audit?.reopen ?? null].filter((each) => each !== null)
  if (files.length > 0) {
    process.on('SIGHUP', () => {
      for (const openAnew of files) openAnew()
      logger.info('log files opened anew')
    })
  }
  process.on('SIGUSR2', () => {
    setLevel(logger, logger.level === level ? 'debug' : level)
    logger.warn({ logLevel: logger.level }, 'level of the log changed')
  })
}

/** Draws on standard error, if that is a terminal, without moving on: whatever is printed next goes over it. */
function progressBar(): OnProgress {
  if (process.stderr.isTTY !== true) return () => {}
  let drawnMs = Number.NEGATIVE_INFINITY
  return (bar) => {
    const nowMs = performance.now()
    if (bar === '' ? drawnMs === Number.NEGATIVE_INFINITY : nowMs - drawnMs < BAR_MS) return
    drawnMs = nowMs
    process.stderr.write(`\x1b[K${bar}\r`)
  }
}

function configOf(words: readonly string[], env: Environment): LoadedConfig {
  if (words.length >= 2) return configFromArguments(words, env)
  return loadConfig(words[0] ?? defaultFile(env), env)
}

function defaultFile(env: Environment): string {
  const directory = env['ZOOCFGDIR']
  if (directory !== undefined && directory !== '') return `${directory}/${env['ZOOCFG'] || 'zoo.cfg'}`
  for (const file of ['conf/zoo.cfg', 'zoo.cfg']) if (existsSync(file)) return file
  throw new ConfigError('no configuration file named, and neither ./conf/zoo.cfg nor ./zoo.cfg exists')
}

/** What the file may ask for and this version does not do: better no start than a different server than meant. */
function refuseUnsupported(config: Config): void {
  if (config.clientAddress === null && config.secureClientAddress === null) {
    throw new ConfigError(`${config.file}: neither clientPort nor secureClientPort is set`)
  }
}

/** Settles at the first SIGTERM or SIGINT; the second one then ends the process in the usual way. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
}
