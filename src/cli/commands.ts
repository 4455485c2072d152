/** The subcommands of `zoowarden`, as yargs knows them. */

import yargs from 'yargs'
import { ExitCode } from '../server/life/running.ts'
import { packageVersion } from '../server/version.ts'
import { askCommand } from './ask.ts'
import { ensembleCommand } from './ensemble.ts'
import { ephemeralCommand } from './ephemeral.ts'
import { startCommand } from './start.ts'
import { runTool } from './terminal.ts'
import { withToolCommands } from './toolcommands.ts'
import { versionText } from './version.ts'

export async function runCommands(words: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let exitCode: number = ExitCode.finished
  const parser = yargs(withProtectedDefinitions(words))
    .scriptName('zoowarden')
    .usage('$0 <command>\n\nA coordination server that speaks the protocols of Apache ZooKeeper.')
    .command(
      'start [words..]',
      'Run a server in the foreground',
      (command) =>
        command
          .usage(
            '$0 start [zoo.cfg]\n' +
              '$0 start <port> <dataDir> [tickTime] [maxClientCnxns]\n' +
              '$0 start --ephemeral [--ensemble 3] [--port 2181]\n\n' +
              'Without a file: $ZOOCFGDIR/$ZOOCFG if ZOOCFGDIR is set, else ./conf/zoo.cfg, else ./zoo.cfg.',
          )
          .positional('words', { type: 'string', array: true, describe: 'configuration file, or port and dataDir' })
          .option('define', {
            alias: 'D',
            type: 'string',
            array: true,
            nargs: 1,
            describe: 'a system property such as zookeeper.snapCount=1000, as in SERVER_JVMFLAGS',
          })
          .option('ephemeral', {
            type: 'boolean',
            describe:
              'a throw-away server for tests: data in a temporary directory, gone at the end; prints its address',
          })
          .option('ensemble', {
            type: 'number',
            implies: 'ephemeral',
            describe: 'with --ephemeral: this many servers that form an ensemble; prints the addresses of all',
          })
          .option('port', {
            type: 'number',
            default: 0,
            describe: 'of an ephemeral server, or of the first one of an ensemble; 0 takes free ones',
          })
          .example('$0 start conf/zoo.cfg', 'what the file says')
          .example('$0 start 2181 ./data', 'port and directory, everything else by default')
          .example('$0 start --ephemeral', 'prints 127.0.0.1:<port> when it serves, ends when stdin closes')
          .example('$0 start --ephemeral --ensemble 3', 'prints three addresses, comma separated, when all serve')
          .example('$0 start -Dzookeeper.snapCount=1000 zoo.cfg', 'a property that the file does not set'),
      async (args) => {
        const positional = (args.words ?? []).map(String)
        const definitions = (args.define ?? []).map((definition) => `-D${definition}`)
        const { port, ensemble } = args
        if (ensemble !== undefined)
          exitCode = await ensembleCommand({ count: ensemble, port, words: positional, definitions }, env)
        else if (args.ephemeral) exitCode = await ephemeralCommand({ port, words: positional, definitions }, env)
        else exitCode = await startCommand({ words: positional, definitions }, env)
      },
    )
    .command(
      'ask <word> [host] [port]',
      'Send a four-letter word to a server and print its answer',
      (command) =>
        command
          .positional('word', { type: 'string', demandOption: true, describe: 'srvr, ruok, mntr, ...' })
          .positional('host', { type: 'string', default: 'localhost' })
          .positional('port', { type: 'number', default: 2181 })
          .example('$0 ask srvr', 'version, latencies, mode of the server on localhost:2181'),
      async (args) => {
        exitCode = await askCommand(args.word, args.host, args.port)
      },
    )
    .command(
      // Its words are Apache's, and main.ts hands them on before they come here: this is for the list of commands.
      'cli [words..]',
      "Apache's command line client, zkCli.sh",
      (command) =>
        command
          .usage('$0 cli [-server host:port[,...][/path]] [-timeout ms] [-r] [-waitforconnection] [--json] [command]')
          .positional('words', { type: 'string', array: true }),
      () => {},
    )
    .command(
      'bench [servers..]',
      'Measure a server, or two in turns',
      (command) =>
        command
          .positional('servers', {
            type: 'string',
            array: true,
            describe: 'connect strings of one or two servers or ensembles; none: a server started for this',
          })
          .option('cases', { type: 'string', describe: 'only those whose names match this expression' })
          .option('rounds', { type: 'number', default: 3, describe: 'runs of each case; the table has their medians' })
          .option('seconds', { type: 'number', default: 5, describe: 'measured in each run' })
          .option('warmup', { type: 'number', default: 2, describe: 'seconds ahead of those' })
          .option('keys', { type: 'number', default: 10_000, describe: 'znodes of 100 bytes to read and write' })
          .option('dir', { type: 'string', describe: 'where a server started for this keeps its data' })
          .option('json', { type: 'boolean', default: false, describe: 'figures instead of a table' })
          .example('$0 bench', 'this server on this machine, every write synced')
          .example('$0 bench --cases "^set" zk1:2181 zk2:2181', 'writes of two servers, side by side'),
      async (args) => {
        const { benchCommand } = await import('./bench/command.ts')
        const { cases, rounds, seconds, warmup, keys, dir, json } = args
        const servers = (args.servers ?? []).map(String)
        const options = { servers, cases, rounds, seconds, warmupS: warmup, keys, dir, json }
        exitCode = await runTool((terminal) => benchCommand(options, terminal))
      },
    )
    .command(
      'super-password [user]',
      'Make the salted hash of a super user for zoo.cfg',
      (command) =>
        command
          .positional('user', { type: 'string', default: 'super' })
          .epilogue('The password is asked for, or read from standard input where that is no terminal.'),
      async (args) => {
        const { superPasswordCommand } = await import('./superpassword.ts')
        exitCode = await superPasswordCommand(args.user)
      },
    )
    .command(
      'version',
      'Print the version',
      (command) => command,
      () => {
        process.stdout.write(`${versionText()}\n`)
      },
    )
    .demandCommand(1, 'Name a command.')
    .strict()
    .version(packageVersion())
    .help()
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .epilogue(
      'Scripts of an Apache ZooKeeper installation find their usual names beside this one: zkServer.sh and others.',
    )
    .exitProcess(false)
    .fail((message, err, instance) => {
      if (err) throw err
      instance.showHelp('error')
      process.stderr.write(`\n${message}\n`)
      exitCode = ExitCode.invalidInvocation
    })
  withToolCommands(parser, env, (ended) => {
    exitCode = ended
  })
  await parser.parseAsync()
  return exitCode
}

/** `-Dname=value` as one word: yargs would take the letters behind -D apart. */
function withProtectedDefinitions(words: readonly string[]): string[] {
  return words.flatMap((word) => (word.startsWith('-D') && word.length > 2 ? ['--define', word.slice(2)] : [word]))
}
