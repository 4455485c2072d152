/**
 * The log: pino, as JSON lines, or as readable lines on a terminal.
 *
 * JSON goes out without blocking the event loop (a full pipe must not stop the server) and is flushed when the process
 * exits. Control characters in anything a client can name are escaped in both forms, so nobody forges a line. The level
 * comes from ZOO_LOG_LEVEL, or from what Java setups say: -Dzookeeper.root.logger or ZOO_LOG4J_PROP (`INFO, CONSOLE`).
 * Importing pino costs some 20 ms of a start; nothing else here does.
 */

import { writeSync } from 'node:fs'
import { type Logger, type LoggerOptions, pino } from 'pino'

export type { Logger } from 'pino'

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
export type LogFormat = 'json' | 'text'

export interface LogSettings {
  readonly level: LogLevel
  readonly format: LogFormat
  /** File descriptor. */
  readonly fd: number
}

export function createLogger(settings: LogSettings): Logger {
  const options: LoggerOptions = {
    level: settings.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  }
  if (settings.format === 'json') return pino(options, pino.destination({ fd: settings.fd, sync: false }))
  return pino(options, { write: (line: string) => writeAll(settings.fd, formatLine(line)) })
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
  return {
    level: levelOf(asked) ?? fallback,
    format: format === 'json' || format === 'text' ? format : output.isTTY ? 'text' : 'json',
    fd: output.fd,
  }
}

/** The level in a word of ours or in the first word of a log4j root logger. */
function levelOf(text: string): LogLevel | null {
  const word = text.split(',')[0]!.trim().toLowerCase()
  if (word === 'off') return 'silent'
  if (word === 'all') return 'trace'
  const levels: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
  return levels.find((level) => level === word) ?? null
}

/** One JSON line of pino as `2026-11-23 09:20:11.123 INFO  message key=value`, the stack of an error below it. */
export function formatLine(line: string): string {
  const record: unknown = JSON.parse(line)
  if (typeof record !== 'object' || record === null) return line
  const { level, time, msg, err, ...rest }: Record<string, unknown> = { ...record }
  const stamp = String(time).replace('T', ' ').replace('Z', '')
  let text = `${stamp} ${String(level).toUpperCase().padEnd(5)} ${escapeControls(msg === undefined ? '' : String(msg))}`
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

function escapeControls(text: string): string {
  return text.replace(CONTROLS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const CONTROLS = /[\p{Cc}\u2028\u2029]/gu

/** A terminal takes it all but for a rare EAGAIN; then the line is dropped rather than the server stopped. */
function writeAll(fd: number, text: string): void {
  try {
    writeSync(fd, text)
  } catch (err) {
    if (!(err instanceof Error && 'code' in err && (err.code === 'EAGAIN' || err.code === 'EIO'))) throw err
  }
}
