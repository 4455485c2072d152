/**
 * Entry point of `zoowarden`.
 *
 * Plain starts (`start`, `start zoo.cfg`, `start port dataDir ...`, `start --ephemeral [--port N]`, a member of an
 * ephemeral ensemble) are recognised here and go straight to the server: loading yargs costs some 80 ms, as much as all
 * the rest of a start. So are Apache's tools (`apache TxnLogToolkit ...`, what bin/zkTxnLogToolkit.sh says) and its
 * client (`cli`), whose words yargs would not read as they do. Everything else, mistakes included, is yargs.
 */

import { ephemeralCommand } from './ephemeral.ts'
import { startCommand } from './start.ts'

/** Runs a command line (without node and script) and returns the exit code of the process. */
export async function main(words: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [command, ...rest] = words
  if (command === 'start' && rest.every((word) => !word.startsWith('-'))) {
    return startCommand({ words: rest, definitions: [] }, env)
  }
  const port = command === 'start' ? plainEphemeralPort(rest) : null
  if (port !== null) return ephemeralCommand({ port, words: [], definitions: [] }, env)
  if (command === 'start' && rest.length === 2 && rest[0] === '--attached') {
    const { memberCommand } = await import('./ensemble.ts')
    return memberCommand(rest[1]!, env)
  }
  if (command === 'cli') {
    const { zkCliCommand } = await import('./zkcli/main.ts')
    return zkCliCommand(rest, env)
  }
  if (command === 'apache') {
    const { apacheTool } = await import('./apachetools.ts')
    return apacheTool(rest, env)
  }
  const { runCommands } = await import('./commands.ts')
  return runCommands(words, env)
}

/** Called by bin/zoowarden. Ends the process, whatever timer or socket is still open; logs are flushed on the way. */
export async function run(): Promise<void> {
  process.exit(await main(process.argv.slice(2), process.env))
}

/** The port of `--ephemeral [--port N]` in any order, or null for whatever else stands there. */
function plainEphemeralPort(words: readonly string[]): number | null {
  const match = /^(?:--port[ =](\d+) )?--ephemeral(?: --port[ =](\d+))?$/.exec(words.join(' '))
  return match === null ? null : Number(match[1] ?? match[2] ?? 0)
}
