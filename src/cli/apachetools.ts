/**
 * Apache's tools by their own words: what bin/zkTxnLogToolkit.sh and its brothers pass on. Options, defaults and output
 * are those of the Java classes of these names; a command line that cannot be meant is exit code 2.
 */

import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import type { Environment } from '../server/config/config.ts'
import { chopLog, dumpLog, parseZxid, recoverLog } from '../tools/logtool.ts'
import { compareSnapshots } from '../tools/snapshotcompare.ts'
import { showSnapshot, snapshotJson, snapshotSummary } from '../tools/snapshotshow.ts'
import { type Terminal, ToolExit, UsageError } from '../tools/terminal.ts'
import { nodeDisk } from '../txnlog/disk.ts'
import { runTool } from './terminal.ts'
import { toolLengthMax } from './toolsettings.ts'

type Tool = (words: readonly string[], lengthMax: number, terminal: Terminal) => Promise<number>

const TOOLS: Readonly<Record<string, Tool>> = {
  TxnLogToolkit: txnLogToolkit,
  SnapshotFormatter: snapshotFormatter,
  SnapshotComparer: snapshotComparer,
  SnapshotRecursiveSummary: snapshotRecursiveSummary,
}

/** `zoowarden apache <class> ...`. */
export function apacheTool(words: readonly string[], env: Environment): Promise<number> {
  const [name, ...rest] = words
  return runTool((terminal) => {
    const tool = TOOLS[name ?? '']
    if (tool === undefined)
      throw new UsageError(`no such tool: ${name ?? ''}; there are ${Object.keys(TOOLS).join(', ')}`)
    return tool(rest, toolLengthMax(env), terminal)
  })
}

const LOG_USAGE = `usage: TxnLogToolkit [-dhrvc] <txn_log_file_name> (-z <zxid>)
 -c,--chop         Chop mode. Chop txn file to a zxid.
 -d,--dump         Dump mode. Dump all entries of the log file with printing the content of a nodepath (default)
 -h,--help         Print help message
 -r,--recover      Recovery mode. Re-calculate CRC for broken entries.
 -v,--verbose      Be verbose in recovery mode: print all entries, not just fixed ones.
 -y,--yes          Non-interactive mode: repair all CRC errors without asking
 -z,--zxid <arg>   Used with chop. Zxid to which to chop.
`

async function txnLogToolkit(words: readonly string[], lengthMax: number, terminal: Terminal): Promise<number> {
  const { values, positionals } = parsed(words, LOG_USAGE, {
    help: { type: 'boolean', short: 'h' },
    recover: { type: 'boolean', short: 'r' },
    verbose: { type: 'boolean', short: 'v' },
    dump: { type: 'boolean', short: 'd' },
    yes: { type: 'boolean', short: 'y' },
    chop: { type: 'boolean', short: 'c' },
    zxid: { type: 'string', short: 'z' },
  })
  if (values['help'] === true) {
    terminal.out(LOG_USAGE)
    return ToolExit.ok
  }
  const [path] = positionals
  if (path === undefined) throw new UsageError(LOG_USAGE.trimEnd())
  const disk = nodeDisk()
  const { zxid } = values
  if (values['chop'] === true && typeof zxid === 'string') {
    return chopLog(disk, path, parseZxid(zxid), lengthMax, terminal)
  }
  const options = { yes: values['yes'] === true, verbose: values['verbose'] === true }
  if (values['recover'] === true) return recoverLog(disk, path, lengthMax, options, terminal)
  return dumpLog(disk, path, lengthMax, terminal)
}

const FORMATTER_USAGE = `USAGE: SnapshotFormatter [-d|-json] snapshot_file
       -d dump the data for each znode
       -json dump znode info in json format`

async function snapshotFormatter(words: readonly string[], lengthMax: number, terminal: Terminal): Promise<number> {
  const isOption = (word: string): boolean => word === '-d' || word === '-json'
  const at = words.findIndex((word) => !isOption(word))
  if (at < 0 || at !== words.length - 1) throw new UsageError(FORMATTER_USAGE)
  const path = words[at]!
  const withData = words.includes('-d')
  const json = words.includes('-json')
  if (!existsSync(path)) throw new UsageError(`File '${resolve(path)}' does not exist.`)
  if (statSync(path).isDirectory()) throw new UsageError(`'${resolve(path)}' is a directory. it must be a file.`)
  if (withData && json) {
    throw new UsageError('Cannot specify both data dump (-d) and json mode (-json) in same call')
  }
  if (json) return snapshotJson(nodeDisk(), path, lengthMax, Date.now(), terminal)
  return showSnapshot(nodeDisk(), path, withData, lengthMax, terminal)
}

const COMPARER_USAGE = `usage: SnapshotComparer
 -b,--bytes <BYTETHRESHOLD>   (Required) The node data delta size threshold, in bytes, for printing the node.
 -d,--debug                   Use debug output.
 -i,--interactive             Enter interactive mode.
 -l,--left <LEFT>             (Required) The left snapshot file.
 -n,--nodes <NODETHRESHOLD>   (Required) The descendant node delta size threshold, in nodes, for printing the node.
 -r,--right <RIGHT>           (Required) The right snapshot file.`

async function snapshotComparer(words: readonly string[], lengthMax: number, terminal: Terminal): Promise<number> {
  const { values } = parsed(words, COMPARER_USAGE, {
    left: { type: 'string', short: 'l' },
    right: { type: 'string', short: 'r' },
    bytes: { type: 'string', short: 'b' },
    nodes: { type: 'string', short: 'n' },
    debug: { type: 'boolean', short: 'd' },
    interactive: { type: 'boolean', short: 'i' },
  })
  const missing = ['left', 'right', 'bytes', 'nodes'].filter((name) => typeof values[name] !== 'string')
  if (missing.length > 0) {
    throw new UsageError(`Missing required options: ${missing.map((name) => name[0]).join(', ')}\n${COMPARER_USAGE}`)
  }
  const options = {
    left: String(values['left']),
    right: String(values['right']),
    byteThreshold: integer(values['bytes']),
    nodeThreshold: integer(values['nodes']),
    debug: values['debug'] === true,
    interactive: values['interactive'] === true,
  }
  return compareSnapshots(nodeDisk(), options, lengthMax, terminal)
}

const SUMMARY_USAGE = `USAGE:
SnapshotRecursiveSummary  <snapshot_file>  <starting_node>  <max_depth>
snapshot_file:    path to the zookeeper snapshot
starting_node:    the path in the zookeeper tree where the traversal should begin
max_depth:        defines the depth where the tool still writes to the output. 0 means there is no depth limit`

async function snapshotRecursiveSummary(
  words: readonly string[],
  lengthMax: number,
  terminal: Terminal,
): Promise<number> {
  const [path, start, depth] = words
  if (words.length !== 3 || !/^[+-]?\d{1,9}$/.test(depth!)) throw new UsageError(SUMMARY_USAGE)
  return snapshotSummary(nodeDisk(), path!, start!, Number(depth), lengthMax, terminal)
}

type Options = NonNullable<ParseArgsConfig['options']>

/** As commons-cli reads a line: long options also behind a single dash. */
function parsed(words: readonly string[], usage: string, options: Options) {
  const isLong = (word: string): boolean => /^-\w{2,}/.test(word) && word.slice(1).split('=')[0]! in options
  try {
    const args = words.map((word) => (isLong(word) ? `-${word}` : word))
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    const found: Readonly<Record<string, unknown>> = values
    return { values: found, positionals }
  } catch (err) {
    throw new UsageError(`${err instanceof Error ? err.message : err}\n\n${usage.trimEnd()}`)
  }
}

function integer(value: unknown): number {
  if (typeof value !== 'string' || !/^[+-]?\d{1,10}$/.test(value)) throw new UsageError(`not a number: ${value}`)
  return Number(value)
}
