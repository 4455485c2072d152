/**
 * What a started server is to the command that started it, and how its end becomes an exit code
 * (Java: ZooKeeperServerMain, ExitCode).
 */

import { ConfigError } from '../config/settings.ts'

export interface RunningServer {
  /** Of the plain listener, or the only one; the one the system chose if 0 was asked for. */
  readonly port: number
  /** Of the listener for TLS; -1 without one. */
  readonly securePort: number
  close(): Promise<void>
  /** Settles when the server has stopped by itself because it cannot go on. Never rejects. */
  readonly failed: Promise<Error>
}

/** How far a start is: a line for a terminal, over the last one; '' when there is nothing to show. */
export type OnProgress = (bar: string) => void

/** The end that a server comes to by itself: the first error settles it. */
export class Failure {
  readonly promise: Promise<Error>
  settle: (err: Error) => void

  constructor() {
    this.settle = () => {}
    this.promise = new Promise((resolve) => {
      this.settle = resolve
    })
  }
}

export const ExitCode = {
  finished: 0,
  unexpectedError: 1,
  invalidInvocation: 2,
  dataDirInaccessible: 3,
  adminServerFailed: 4,
  snapshotFailed: 10,
  unmatchedCommit: 12,
  quorumPacketError: 13,
  quorumPortBindFailed: 14,
} as const

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/** An error that says with which code the process should end. */
export class ExitError extends Error {
  override name = 'ExitError'
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

export function exitCodeOf(err: unknown): ExitCode {
  if (err instanceof ExitError) return err.exitCode
  if (err instanceof ConfigError) return ExitCode.invalidInvocation
  return ExitCode.unexpectedError
}
