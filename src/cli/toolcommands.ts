/** The subcommands for files: logs, snapshots, cleanup, doctor, repair, backup and restore. */

import type { Argv } from 'yargs'
import { zxidHex } from '../jute/zxid.ts'
import type { Environment } from '../server/config/config.ts'
import { packageVersion } from '../server/version.ts'
import { backup } from '../tools/backup.ts'
import { cleanup } from '../tools/cleanup.ts'
import { diagnose, exitCodeOf, sizeText } from '../tools/doctor.ts'
import { diagnosisJson, diagnosisText } from '../tools/doctortext.ts'
import { chopLog, dumpLog, parseZxid, recoverLog } from '../tools/logtool.ts'
import { adopt, repair } from '../tools/repair.ts'
import { restore } from '../tools/restore.ts'
import { compareSnapshots } from '../tools/snapshotcompare.ts'
import { exportSnapshot } from '../tools/snapshotexport.ts'
import { showSnapshot, snapshotJson, snapshotSummary } from '../tools/snapshotshow.ts'
import { type Terminal, ToolExit, UsageError } from '../tools/terminal.ts'
import { nodeDisk } from '../txnlog/disk.ts'
import { runTool } from './terminal.ts'
import { toolLengthMax, toolTarget } from './toolsettings.ts'

/** Adds them to the command line; `ended` is told the exit code of the one that ran. */
export function withToolCommands<T>(parser: Argv<T>, env: Environment, ended: (exitCode: number) => void): Argv<T> {
  const run = async (tool: (terminal: Terminal) => Promise<number>): Promise<void> => ended(await runTool(tool))
  const disk = nodeDisk()
  return parser
    .command('log <command>', 'Print, mend or cut a transaction log', (command) =>
      command
        .command(
          'dump <file>',
          'Print every transaction',
          (sub) => sub.positional('file', FILE),
          (args) => run((terminal) => dumpLog(disk, args.file, toolLengthMax(env), terminal)),
        )
        .command(
          'recover <file>',
          'Write <file>.fixed, with checksums that fit',
          (sub) =>
            sub
              .positional('file', FILE)
              .option('yes', { alias: 'y', type: 'boolean', default: false, describe: 'mend all without asking' })
              .option('verbose', { alias: 'v', type: 'boolean', default: false, describe: 'print good ones too' }),
          ({ file, yes, verbose }) =>
            run((terminal) => recoverLog(disk, file, toolLengthMax(env), { yes, verbose }, terminal)),
        )
        .command(
          'chop <file>',
          'Write <file>.chopped<zxid>, the log up to that transaction',
          (sub) => sub.positional('file', FILE).option('zxid', { alias: 'z', ...ZXID, demandOption: true }),
          ({ file, zxid }) =>
            run(async (terminal) => chopLog(disk, file, parseZxid(zxid), toolLengthMax(env), terminal)),
        )
        .demandCommand(1, 'log dump, log recover or log chop?'),
    )
    .command('snapshot <command>', 'Print, compare or export snapshots', (command) =>
      command
        .command(
          'show <file>',
          'Print every znode and session',
          (sub) =>
            sub
              .positional('file', FILE)
              .option('data', { alias: 'd', type: 'boolean', default: false, describe: 'data too, in base64' }),
          ({ file, data }) => run((terminal) => showSnapshot(disk, file, data, toolLengthMax(env), terminal)),
        )
        .command(
          'json <file>',
          'Print names and sizes as JSON that ncdu reads',
          (sub) => sub.positional('file', FILE),
          ({ file }) => run((terminal) => snapshotJson(disk, file, toolLengthMax(env), Date.now(), terminal)),
        )
        .command(
          'compare <left> <right>',
          'Print what differs by more than a threshold',
          (sub) =>
            sub
              .positional('left', FILE)
              .positional('right', FILE)
              .option('bytes', { alias: 'b', type: 'number', default: 0, describe: 'differences of more bytes' })
              .option('nodes', { alias: 'n', type: 'number', default: 0, describe: 'or of more descendants' })
              .option('debug', { alias: 'd', type: 'boolean', default: false, describe: 'every comparison' })
              .option('interactive', { alias: 'i', type: 'boolean', default: false, describe: 'level by level' }),
          ({ left, right, bytes, nodes, debug, interactive }) =>
            run((terminal) => {
              const options = { left, right, byteThreshold: bytes, nodeThreshold: nodes, debug, interactive }
              return compareSnapshots(disk, options, toolLengthMax(env), terminal)
            }),
        )
        .command(
          'summary <file> [path] [depth]',
          'Count znodes and bytes below each znode',
          (sub) =>
            sub
              .positional('file', FILE)
              .positional('path', { type: 'string', default: '/', describe: 'where to begin' })
              .positional('depth', { type: 'number', default: 0, describe: 'levels printed; 0 prints all' }),
          ({ file, path, depth }) =>
            run((terminal) => snapshotSummary(disk, file, path, depth, toolLengthMax(env), terminal)),
        )
        .command(
          'export <place> <out>',
          "Write the checkpoint of snapshot.store=level as a snapshot in Java's format",
          (sub) =>
            sub
              .positional('place', PLACE)
              .positional('out', { type: 'string', demandOption: true, describe: 'a folder, or a new file' })
              .option('log-dir', LOG_DIR)
              .option('log', { type: 'boolean', default: false, describe: 'with all of the log behind it' })
              .example('$0 snapshot export conf/zoo.cfg /tmp', 'writes /tmp/snapshot.<zxid>; the server may run'),
          ({ place, out, logDir, log }) =>
            run(async (terminal) => {
              const done = await exportSnapshot(disk, toolTarget(place, logDir, env), out, { log }, terminal)
              const { path, zxid, znodeCount, digest } = done
              terminal.out(`${path}: zxid 0x${zxidHex(zxid)}, ${znodeCount} znodes, digest ${digest}\n`)
              return ToolExit.ok
            }),
        )
        .demandCommand(1, 'snapshot show, json, compare, summary or export?'),
    )
    .command(
      'cleanup <dirs..>',
      'Remove old snapshots and logs',
      (command) =>
        command
          .usage('$0 cleanup <zoo.cfg> -n count\n$0 cleanup <dataLogDir> [dataDir] -n count')
          .positional('dirs', { type: 'string', array: true, demandOption: true })
          .option('count', {
            alias: 'n',
            type: 'number',
            demandOption: true,
            describe: 'snapshots that stay, 3 or more',
          }),
      ({ dirs, count }) =>
        run(async (terminal) => {
          if (dirs.length > 2) throw new UsageError(`cleanup takes dataLogDir and dataDir, got: ${dirs.join(' ')}`)
          const { dataDir, dataLogDir } = cleanupDirs(dirs.map(String), env)
          return cleanup(disk, dataLogDir, dataDir, count, toolLengthMax(env), terminal)
        }),
    )
    .command(
      'doctor <place>',
      'Explain a data directory: what is in it, would it start, what mends it',
      (command) =>
        command
          .positional('place', PLACE)
          .option('log-dir', LOG_DIR)
          .option('json', { type: 'boolean', default: false, describe: 'for scripts' })
          .epilogue('Exit code: 0 fine, 1 would start with remarks, 2 would not start. Nothing is changed.'),
      (args) =>
        run(async (terminal) => {
          const diagnosis = await diagnose(disk, toolTarget(args.place, args.logDir, env), terminal)
          terminal.out(args.json ? diagnosisJson(diagnosis) : diagnosisText(diagnosis))
          return exitCodeOf(diagnosis)
        }),
    )
    .command(
      'repair <place>',
      'Set a damaged history aside, so that the leader sends another; nothing is removed',
      (command) =>
        command
          .positional('place', PLACE)
          .option('log-dir', LOG_DIR)
          .option('dry-run', { type: 'boolean', default: false, describe: 'only say what would be done' })
          .option('force', { type: 'boolean', default: false, describe: 'also where a server would start' })
          .option('keep', { type: 'string', describe: 'a server that runs alone: keep up to this zxid, or "longest"' })
          .option('adopt', { type: 'boolean', default: false, describe: 'the data is right, its identity is not' })
          .example('$0 repair conf/zoo.cfg', 'a member, which then takes everything from its leader')
          .example('$0 repair --keep longest conf/zoo.cfg', 'a server that runs alone, and loses what is damaged')
          .example('$0 repair --adopt conf/zoo.cfg', 'all servers have got other addresses'),
      ({ place, logDir, dryRun, force, keep, adopt: adopts }) =>
        run(async (terminal) => {
          const target = toolTarget(place, logDir, env)
          if (adopts && (keep !== undefined || force)) throw new UsageError('--adopt keeps all, and changes no history')
          if (adopts) return adopt(disk, target, dryRun, terminal)
          const kept = keep === undefined ? null : keep === 'longest' ? 'longest' : parseZxid(keep)
          return repair(disk, target, { keep: kept, force, dryRun, nowMs: Date.now() }, terminal)
        }),
    )
    .command(
      'backup <place> <archive>',
      'Write a verified archive of a data directory; the server may run',
      (command) =>
        command
          .positional('place', PLACE)
          .positional('archive', { type: 'string', demandOption: true, describe: 'a new file; .gz or .tgz is zipped' })
          .option('log-dir', LOG_DIR)
          .example('$0 backup conf/zoo.cfg /backup/zk1.tgz', 'the newest snapshot and the logs behind it'),
      (args) => run((terminal) => backupCommand(args.place, args.logDir, args.archive, env, terminal)),
    )
    .command(
      'restore <archive> <place>',
      'Make a data directory from an archive, as of any transaction in it',
      (command) =>
        command
          .positional('archive', { type: 'string', demandOption: true })
          .positional('place', { ...PLACE, describe: 'an empty data folder, or a zoo.cfg that names one' })
          .option('log-dir', LOG_DIR)
          .option('zxid', { ...ZXID, describe: 'the last transaction to restore; without it, all' })
          .option('sessions', {
            type: 'boolean',
            default: true,
            describe: 'sessions and ephemerals come back, and expire if nobody claims them; --no-sessions drops them',
          })
          .example('$0 restore /backup/zk1.tgz ./data --zxid 0x1000002a7', 'the state after that transaction'),
      ({ archive, place, logDir, zxid, sessions }) =>
        run((terminal) => restoreCommand(archive, place, logDir, zxid, sessions, env, terminal)),
    )
}

const FILE = { type: 'string', demandOption: true } as const
const ZXID = { type: 'string', describe: 'decimal, or 0x and hex' } as const
const PLACE = { type: 'string', demandOption: true, describe: 'a data folder, or a zoo.cfg that names one' } as const
const LOG_DIR = { type: 'string', describe: 'where the logs are, if not in the data folder' } as const

function cleanupDirs(dirs: readonly string[], env: Environment): { dataDir: string; dataLogDir: string } {
  const [first, second] = dirs
  if (second !== undefined) return { dataLogDir: first!, dataDir: second }
  const target = toolTarget(first!, undefined, env)
  return target.configFile === null ? { dataDir: first!, dataLogDir: first! } : target
}

async function backupCommand(
  place: string,
  logDir: string | undefined,
  archive: string,
  env: Environment,
  terminal: Terminal,
): Promise<number> {
  const target = toolTarget(place, logDir, env)
  const options = { createdBy: `zoowarden ${packageVersion()}`, nowMs: Date.now() }
  const { manifest, bytes } = await backup(nodeDisk(), target, archive, options, terminal)
  const { zxidEarliest, zxidLast, znodeCount, digest } = manifest
  const range = `zxid 0x${zxidHex(zxidEarliest)} to 0x${zxidHex(zxidLast)}`
  terminal.out(`${archive}: ${sizeText(bytes)}, ${range}, ${znodeCount} znodes, digest ${digest}\n`)
  return ToolExit.ok
}

async function restoreCommand(
  archive: string,
  place: string,
  logDir: string | undefined,
  zxid: string | undefined,
  sessions: boolean,
  env: Environment,
  terminal: Terminal,
): Promise<number> {
  const target = toolTarget(place, logDir, env, true)
  const options = { zxid: zxid === undefined ? null : parseZxid(zxid), sessions }
  const done = await restore(nodeDisk(), archive, target, options, terminal)
  const kept = `${done.sessionCount} sessions, ${done.ephemeralCount} ephemerals`
  terminal.out(
    `${done.snapshotPath}: zxid 0x${zxidHex(done.zxid)}, epoch ${done.epoch}, ${done.znodeCount} znodes, ${kept}, digest ${done.digest}\n`,
  )
  return ToolExit.ok
}
