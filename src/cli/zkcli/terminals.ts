/**
 * Two ways to feed a session with lines: a person at a terminal, with history, completion, and events that do not tear
 * up what is being typed; and a pipe, whose output is what Apache's client prints there.
 */

import { createInterface, type Interface } from 'node:readline'
import type { CliSession } from './clisession.ts'
import { pathCandidates, wantedAt } from './completion.ts'
import { isKept, LINES_MAX, readHistory, writeHistory } from './linehistory.ts'
import type { Streams } from './streams.ts'

/** How long the first prompt waits for the connection, which is then in it. */
const CONNECT_GRACE_MS = 100
/** How long the tab key waits for the server. */
const COMPLETION_MS = 1000

/** Lines of a terminal until `quit` or the end of input. `writeOver` is where the streams write from then on. */
export async function runInteractive(
  session: CliSession,
  streams: Streams,
  history: string | null,
  writeOver: (write: (text: string) => void) => void,
): Promise<void> {
  streams.out('Welcome to ZooKeeper!\n')
  await session.connectedWithin(CONNECT_GRACE_MS)
  streams.flush()
  const earlier = history === null ? [] : readHistory(history)
  const typed: string[] = []
  const reader = createInterface({
    input: process.stdin,
    output: process.stdout,
    completer: (line: string, done: CompleterDone) => complete(session, line, done),
    history: earlier.reverse(),
    historySize: LINES_MAX,
    removeHistoryDuplicates: true,
  })
  let asking = false
  const ask = (): void => {
    streams.flush()
    asking = true
    reader.setPrompt(session.prompt)
    reader.prompt(true)
  }
  writeOver((text) => {
    if (!asking) {
      process.stdout.write(text)
      return
    }
    // The line being typed moves below what is printed.
    process.stdout.write(`\r\x1b[K${text}`)
    reader.prompt(true)
  })
  session.onSessionEvent = () => {
    if (asking) ask()
  }
  reader.on('SIGINT', () => {
    if (session.cancel()) return
    reader.write(null, { ctrl: true, name: 'e' })
    reader.write(null, { ctrl: true, name: 'u' })
    process.stdout.write('\n')
    ask()
  })
  ask()
  for await (const line of typedLines(reader)) {
    asking = false
    if (isKept(line)) typed.push(line)
    if (!(await session.executeLine(line))) break
    ask()
  }
  // The end of input leaves the prompt as it stands.
  if (asking) process.stdout.write('\n')
  asking = false
  streams.flush()
  reader.close()
  // Somebody else may have added to it in the meantime.
  if (history !== null) writeHistory(history, [...readHistory(history), ...typed])
}

/** Lines as they come, each when the one before is done with: what was typed or pasted ahead waits. */
async function* typedLines(reader: Interface): AsyncGenerator<string> {
  const waiting: string[] = []
  let wake: () => void = () => {}
  let ended = false
  reader.on('line', (line) => {
    waiting.push(line)
    wake()
  })
  reader.on('close', () => {
    ended = true
    wake()
  })
  for (;;) {
    const line = waiting.shift()
    if (line !== undefined) yield line
    else if (ended) return
    else
      await new Promise<void>((resolve) => {
        wake = resolve
      })
  }
}

type CompleterDone = (err: Error | null, result: [candidates: string[], token: string]) => void

function complete(session: CliSession, line: string, done: CompleterDone): void {
  const wanted = wantedAt(line)
  const { client } = session
  if (wanted.kind === 'words') {
    done(null, [[...wanted.candidates], wanted.token])
    return
  }
  const { token, parent, prefix } = wanted
  if (client === null || !client.connected) {
    done(null, [[], token])
    return
  }
  const late = new Promise<{ children: string[] }>((resolve) => {
    setTimeout(() => resolve({ children: [] }), COMPLETION_MS).unref()
  })
  // A path that cannot be listed, or is none, has nothing to offer.
  const asked = new Promise<{ children: string[] }>((resolve) => resolve(client.getChildren(parent)))
  Promise.race([asked, late]).then(
    ({ children }) => done(null, [pathCandidates(parent, prefix, children), token]),
    () => done(null, [[], token]),
  )
}

/** Lines of a pipe or a file until `quit` or their end, with the prompts and remarks that scripts are used to. */
export async function runPiped(session: CliSession, streams: Streams, quiet: boolean): Promise<void> {
  const say = (text: string): void => {
    if (!quiet) streams.out(text)
  }
  say('Welcome to ZooKeeper!\nJLine support is enabled\n')
  await session.connectedWithin(CONNECT_GRACE_MS)
  say(session.prompt)
  const reader = createInterface({ input: process.stdin })
  for await (const line of typedLines(reader)) {
    if (!(await session.executeLine(line))) return
    say(session.prompt)
  }
  say('JLine support is disabled\n')
}
