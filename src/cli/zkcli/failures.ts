/**
 * How a command fails: one text for standard error and an exit code. Java: CliException and its kinds.
 */

import { codeName, codeText, InvalidArgument, KeeperError } from '../../client/failures.ts'
import { Err } from '../../jute/codes.ts'

export const CliExit = { ok: 0, failed: 1, usage: 2, unknownCommand: 127 } as const

export class CommandFailure extends Error {
  override name = 'CommandFailure'
  readonly exitCode: number

  constructor(message: string, exitCode: number = CliExit.failed) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Ctrl-C: the command ends, the session stays. */
export class Cancelled extends CommandFailure {
  override name = 'Cancelled'

  constructor() {
    super('Cancelled')
  }
}

const BEFORE_PATH: ReadonlyMap<number, string> = new Map([
  [Err.noNode, 'Node does not exist: '],
  [Err.noChildrenForEphemerals, 'Ephemerals cannot have children: '],
  [Err.nodeExists, 'Node already exists: '],
  [Err.notEmpty, 'Node not empty: '],
  [Err.notReadOnly, 'Not a read-only call: '],
  [Err.invalidACL, 'Acl is not valid : '],
  [Err.noAuth, 'Insufficient permission : '],
  [Err.badArguments, 'Arguments are not valid : '],
  [Err.badVersion, 'version No is not valid : '],
  [Err.quotaExceeded, 'Quota has exceeded : '],
])

/** Java: CliWrapperException. Errors that are no failure of the command itself are thrown on. */
export function commandFailure(err: unknown): CommandFailure {
  if (err instanceof CommandFailure) return err
  if (err instanceof InvalidArgument) return new CommandFailure(err.message)
  if (err instanceof KeeperError) return new CommandFailure(keeperText(err))
  if (err instanceof DOMException && err.name === 'AbortError') return new Cancelled()
  throw err
}

function keeperText(err: KeeperError): string {
  if (err.code === Err.reconfigInProgress) {
    return 'Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)'
  }
  if (err.code === Err.newConfigNoQuorum) {
    return (
      'No quorum of new config is connected and up-to-date with the leader of last commmitted config - ' +
      'try invoking reconfiguration after new servers are connected and synced'
    )
  }
  const before = BEFORE_PATH.get(err.code)
  // A call without a path has none in Java either, which prints it so.
  return before === undefined ? err.message : `${before}${err.path}`
}

/** What `--json` says of a failure. */
export function failureFields(err: unknown): Record<string, unknown> {
  if (err instanceof KeeperError) {
    return { error: codeName(err.code), reason: codeText(err.code), ...(err.path ? { path: err.path } : {}) }
  }
  return { error: err instanceof Cancelled ? 'CANCELLED' : 'COMMAND' }
}
