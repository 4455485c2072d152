/**
 * What a command of the client is: a name, a usage line, options, and what it does. Java: CliCommand.
 */

import type { Walk } from '../../client/subtree.ts'
import type { ZooKeeper } from '../../client/zookeeper.ts'
import { CommandFailure } from './failures.ts'
import { type OptionTable, optionsHelp, type ParsedOptions, parseOptions } from './options.ts'

/** What a command is given to work with. */
export interface Context {
  readonly zk: ZooKeeper
  /** Says how far a long command is, and tells it to stop. */
  readonly walk: Walk
  /** Text for standard output; a line end is added. */
  out(text: string): void
  /** The same without one. */
  outRaw(text: string): void
  err(text: string): void
  /** As Java's Date.toString. */
  date(timeMs: number): string
  readFile(path: string): string
  /** The session owns something that must outlive this process for a while. */
  onEphemeral(): void
}

/** What `--json` prints of a command that went well, beside its name. */
export type Fields = Record<string, unknown>

/** Words and options of one call; `args` is the line as it was typed, word for word. */
export interface Call extends ParsedOptions {
  readonly args: readonly string[]
}

export interface Command {
  readonly name: string
  /** Behind the name, in usage texts. */
  readonly usage: string
  /** Null: words are taken as they come, and none matters. */
  readonly options: OptionTable | null
  /** The usage text goes on with one line for each option. */
  readonly explained?: boolean
  /** Words that must be there, the name not counted. */
  readonly wordsMin?: number
  run(ctx: Context, call: Call): Promise<Fields> | Fields
}

export function usageText({ name, usage, options, explained }: Command): string {
  const line = `${name} ${usage}`
  return explained && options !== null ? `${line}\n${optionsHelp(options)}\n` : line
}

/** Throws CommandFailure for words that cannot be meant. */
export function parseCall(command: Command, args: readonly string[]): Call {
  if (command.options === null) return { words: args, args, has: () => false, value: () => null }
  const parsed = parseOptions(args, command.options)
  if (parsed.words.length <= (command.wordsMin ?? 0)) throw new CommandFailure(usageText(command))
  return { ...parsed, args }
}

/**
 * `get path watch` of old: the third word, whichever it is, is read as -w; with it, as in Java, whatever stood there is
 * lost.
 */
export function withOldWatch(command: Command, ctx: Context, call: Call, form: string): Call {
  if (call.words.length <= 2) return call
  ctx.err(`'${command.name} path [watch]' has been deprecated. Please use '${form}' instead.`)
  const parsed = parseOptions([...call.args.slice(0, 2), '-w', ...call.args.slice(3)], command.options!)
  if (parsed.words.length < 2) throw new CommandFailure(usageText(command))
  return { ...parsed, args: call.args }
}

const INT_MIN = -(2 ** 31)
const INT_MAX = 2 ** 31 - 1

/** An int as Java reads it; throws with Java's words. */
export function intOf(text: string): number {
  const value = intOrNull(text)
  if (value === null) throw new CommandFailure(`For input string: "${text}"`)
  return value
}

export function intOrNull(text: string): number | null {
  if (!/^[+-]?\d+$/.test(text)) return null
  const value = Number(text)
  return value >= INT_MIN && value <= INT_MAX ? value : null
}

/** A long, as far as a number can hold it; null for what is none. Beyond 2^53 it is only about right. */
export function longOrNull(text: string): number | null {
  if (!/^[+-]?\d+$/.test(text)) return null
  const value = BigInt(text.replace('+', ''))
  return BigInt.asIntN(64, value) === value ? Number(value) : null
}

/** The version behind -v; -1, any, without it. */
export function versionOf(call: Call): number {
  const text = call.value('v')
  return text === null ? -1 : intOf(text)
}
