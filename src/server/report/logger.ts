/**
 * The log: pino, as JSON lines, or as readable lines on a terminal.
 *
 * It goes out without blocking the event loop (a full pipe must not stop the server), but on a terminal, and is flushed
 * when the process exits; what nobody takes is dropped beyond UNWRITTEN_MAX. Control characters in anything a client can
 * name are escaped in both forms, so nobody forges a line. The level comes from ZOO_LOG_LEVEL, or from what Java setups
 * say: -Dzookeeper.root.logger or ZOO_LOG4J_PROP (`INFO, CONSOLE`); `setLevel` changes it later. With ZOO_LOG_FILE the log
 * goes to that file below ZOO_LOG_DIR, which `reopen` opens anew once another program has moved it away.
 * Importing pino costs some 20 ms of a start; nothing else here does.
 */

import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Logger, type LoggerOptions, pino } from 'pino'
import { ConfigError } from '../config/settings.ts'
import { escapeButTabs, escapeControls, escapeJson } from './escape.ts'

export type { Logger } from 'pino'

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
export type LogFormat = 'json' | 'text'

export interface LogSettings {
  readonly level: LogLevel
  readonly format: LogFormat
  /** File descriptor, where there is no file. */
  readonly fd: number
  readonly isTTY: boolean
  /** Made if it is not there; appended to. */
  readonly file: string | null
}

export interface Log {
  readonly logger: Logger
  /** As configured. */
  readonly level: LogLevel
  /** Opens the file's name anew; null where the log goes elsewhere. */
  readonly reopen: (() => void) | null
}

/** Bytes that wait for a slow pipe or disk; lines beyond that are lost, so that the server is not. */
const UNWRITTEN_MAX = 16 * 1024 * 1024
/** `logger` of the records of the audit log. */
export const AUDIT_LOGGER = 'audit'

export function openLog(settings: LogSettings): Log {
  const options: LoggerOptions = {
    level: settings.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  }
  const { level } = settings
  const form = settings.format === 'json' ? escapeJsonLine : formatLine
  if (settings.isTTY && settings.file === null) {
    return { logger: pino(options, { write: (line) => writeAll(settings.fd, form(line)) }), level, reopen: null }
  }
  const lines = openLines(settings.file ?? settings.fd)
  const stream = { write: (line: string) => lines.write(form(line)), flush: lines.flush }
  return { logger: pino(options, stream), level, reopen: settings.file === null ? null : lines.reopen }
}

export interface Lines {
  /** With its line end. */
  write(line: string): void
  flush(done: () => void): void
  reopen(): void
}

/**
 * A file, or an open descriptor, to append lines to; flushed at exit. Throws ConfigError for a file that cannot be written.
 * Later on a failing disk costs lines, not the server.
 */
export function openLines(to: string | number): Lines {
  if (typeof to === 'string') tryToOpen(to)
  const made = typeof to === 'string' ? { dest: to, mkdir: true, append: true, mode: 0o600 } : { fd: to }
  const destination = pino.destination({ ...made, sync: false, maxLength: UNWRITTEN_MAX })
  destination.on('error', () => {})
  return {
    write: (line) => void destination.write(line),
    flush: (done) => destination.flush(() => done()),
    reopen: () => destination.reopen(),
  }
}

function tryToOpen(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true })
    closeSync(openSync(file, 'a', 0o600))
  } catch (err) {
    throw new ConfigError(`cannot write to ${file}: ${err instanceof Error ? err.message : String(err)}`)
  }
}

/** Takes effect at once. */
export function setLevel(logger: Logger, level: LogLevel): void {
  logger.level = level
}

/** Level and form out of the environment and system properties; `fallback` when neither names a level. */
export function logSettings(
  env: Readonly<Record<string, string | undefined>>,
  systemProperties: ReadonlyMap<string, string>,
  output: { readonly fd: number; readonly isTTY: boolean },
  fallback: LogLevel,
): LogSettings {
  const asked = env['ZOO_LOG_LEVEL'] ?? systemProperties.get('zookeeper.root.logger') ?? env['ZOO_LOG4J_PROP'] ?? ''
  const format = env['ZOO_LOG_FORMAT']
  const file = logFile(env)
  return {
    level: levelOf(asked) ?? fallback,
    format: format === 'json' || format === 'text' ? format : output.isTTY && file === null ? 'text' : 'json',
    fd: output.fd,
    isTTY: output.isTTY,
    file,
  }
}

/** Null: the log goes to where the process writes. */
function logFile(env: Readonly<Record<string, string | undefined>>): string | null {
  const file = env['ZOO_LOG_FILE'] ?? ''
  return file === '' ? null : resolve(env['ZOO_LOG_DIR'] ?? '', file)
}

/** The level in a word of ours or in the first word of a log4j root logger. */
export function levelOf(text: string): LogLevel | null {
  const word = text.split(',')[0]!.trim().toLowerCase()
  if (word === 'off') return 'silent'
  if (word === 'all') return 'trace'
  const levels: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
  return levels.find((level) => level === word) ?? null
}

/** One JSON line of pino as `2026-11-23 09:20:11.123 INFO  message key=value`, the stack of an error below it. */
export function formatLine(json: string): string {
  const record: unknown = JSON.parse(json)
  if (typeof record !== 'object' || record === null) return json
  const { level, time, msg, err, logger, ...rest }: Record<string, unknown> = { ...record }
  const stamp = String(time).replace('T', ' ').replace('Z', '')
  const said = msg === undefined ? '' : String(msg)
  const line = logger === AUDIT_LOGGER ? `audit: ${escapeButTabs(said)}` : escapeControls(said)
  let text = `${stamp} ${String(level).toUpperCase().padEnd(5)} ${line}`
  for (const [key, value] of Object.entries(rest)) text += ` ${key}=${printValue(value)}`
  if (typeof err === 'object' && err !== null) {
    const stack = 'stack' in err ? String(err.stack) : JSON.stringify(err)
    for (const row of stack.split('\n')) text += `\n    ${escapeControls(row)}`
  } else if (err !== undefined) text += ` err=${printValue(err)}`
  return `${text}\n`
}

function printValue(value: unknown): string {
  if (typeof value !== 'string') return escapeControls(JSON.stringify(value))
  return /^[^\s"=]+$/.test(value) ? escapeControls(value) : escapeControls(JSON.stringify(value))
}

function escapeJsonLine(line: string): string {
  return `${escapeJson(line.trimEnd())}\n`
}

/** A terminal takes it all but for a rare EAGAIN; then the line is dropped rather than the server stopped. */
function writeAll(fd: number, text: string): void {
  try {
    writeSync(fd, text)
  } catch (err) {
    if (!(err instanceof Error && 'code' in err && (err.code === 'EAGAIN' || err.code === 'EIO'))) throw err
  }
}
