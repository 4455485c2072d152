/** Where a tool's words go: it knows no process and no stream, so that tests can read along. */

export interface Terminal {
  /** Text for standard output, line ends included. */
  out(text: string): void
  /** A line for standard error. */
  err(line: string): void
  /** Asks on standard output and waits for a line of standard input; null when there is none any more. */
  ask(question: string): Promise<string | null>
  /** What is being done, on a line that the next one replaces; null clears it. Only a person at a terminal sees it. */
  progress(text: string | null): void
}

/** The command line cannot be meant. Exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** How a tool ends. */
export const ToolExit = { ok: 0, failed: 1, usage: 2 } as const
