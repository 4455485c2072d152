/**
 * Entry point of `zoowarden`.
 *
 * A plain start (`start`, `start zoo.cfg`, `start port dataDir ...`) is recognised here and goes straight to the server:
 * loading yargs costs some 80 ms, which is half of what a start may take. Everything else is yargs.
 */

import { startCommand } from './start.ts'

/** Runs a command line (without node and script) and returns the exit code of the process. */
export async function main(words: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  if (words[0] === 'start' && words.slice(1).every((word) => !word.startsWith('-'))) {
    return startCommand({ words: words.slice(1), definitions: [] }, env)
  }
  const { runCommands } = await import('./commands.ts')
  return runCommands(words, env)
}

/** Called by bin/zoowarden. Ends the process, whatever timer or socket is still open; logs are flushed on the way. */
export async function run(): Promise<void> {
  process.exit(await main(process.argv.slice(2), process.env))
}
