/** `zoowarden cli`, which bin/zkCli.sh runs: from a command line to a session, and to the exit code of the process. */

import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { InvalidArgument } from '../../client/failures.ts'
import { ZooKeeper } from '../../client/zookeeper.ts'
import { ConfigError } from '../../server/config/settings.ts'
import { JavaDates } from '../../tools/javadate.ts'
import { readClientSettings } from './clientsettings.ts'
import { CliSession } from './clisession.ts'
import { intOf } from './command.ts'
import { CliExit, CommandFailure } from './failures.ts'
import { historyFile } from './linehistory.ts'
import { GatheredStreams } from './streams.ts'
import { help } from './table.ts'
import { runInteractive, runPiped } from './terminals.ts'
import { type Launch, parseLaunch } from './words.ts'

export async function zkCliCommand(words: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  // A reader that has seen enough ends us.
  process.stdout.on('error', () => process.exit(CliExit.failed))
  let write = (text: string): void => void process.stdout.write(text)
  const streams = new GatheredStreams({
    out: (text) => write(text),
    err: (text) => void process.stderr.write(text),
    nowMs: () => performance.now(),
    later: (task) => void setImmediate(task),
    outIsTerminal: process.stdout.isTTY === true,
    errIsTerminal: process.stderr.isTTY === true,
  })
  const launch = parseLaunch(words)
  try {
    if (launch.help) {
      streams.out(`${help()}\n`)
      return CliExit.ok
    }
    if (launch.lacking !== null) streams.err(`Error: no argument found for option ${launch.lacking}\n`)
    if (!launch.json) streams.out(`Connecting to ${launch.server}\n`)
    const session = await openSession(launch, env, streams)
    if (launch.command !== null) await session.execute(launch.command)
    else if (process.stdin.isTTY && process.stdout.isTTY && !launch.json) {
      await runInteractive(session, streams, historyFile(env, homedir()), (over) => {
        write = over
      })
    } else await runPiped(session, streams, launch.json)
    await session.leave()
    return session.exitCode
  } catch (err) {
    if (!(err instanceof InvalidArgument || err instanceof CommandFailure || err instanceof ConfigError)) throw err
    streams.err(`${err.message}\n`)
    return err instanceof ConfigError ? CliExit.usage : CliExit.failed
  } finally {
    streams.flush()
  }
}

async function openSession(launch: Launch, env: NodeJS.ProcessEnv, streams: GatheredStreams): Promise<CliSession> {
  const timeoutMs = intOf(launch.timeout)
  const settings = await readClientSettings(launch.clientConfiguration, env, (text) => streams.err(`${text}\n`))
  let dates: JavaDates | null = null
  const session = new CliSession({
    streams,
    open: (connect, watcher, note) =>
      new ZooKeeper(
        {
          connect,
          sessionTimeoutMs: timeoutMs,
          readOnly: launch.readOnly,
          requestTimeoutMs: settings.requestTimeoutMs,
          resetsWatches: settings.resetsWatches,
          answerBytesMax: settings.answerBytesMax,
          shell: { upgrade: settings.upgrade, sasl: settings.sasl, note },
        },
        watcher,
      ),
    waitForConnectionMs: launch.waitForConnection ? timeoutMs : null,
    json: launch.json,
    date: (timeMs) => {
      dates ??= new JavaDates()
      return dates.full(timeMs)
    },
    readFile: (path) => readFileSync(path, 'latin1'),
  })
  await session.connect(launch.server)
  return session
}
