/**
 * How a client's call fails: with a server's error code (or one of the client's own), or because it was called with
 * what can never be right. The texts are Java's, which scripts look for. Java: KeeperException, IllegalArgumentException.
 */

import { Err } from '../jute/codes.ts'

/** The caller's mistake, found before anything is sent. */
export class InvalidArgument extends Error {
  override name = 'InvalidArgument'
}

export class KeeperError extends Error {
  override name = 'KeeperError'
  /** An Err. */
  readonly code: number
  /** As the caller wrote it; null where the call has none. */
  readonly path: string | null

  constructor(code: number, path: string | null = null) {
    super(`KeeperErrorCode = ${codeText(code)}${path ? ` for ${path}` : ''}`)
    this.code = code
    this.path = path
  }
}

/** As KeeperException says it. */
export function codeText(code: number): string {
  return TEXTS.get(code) ?? `Unknown error ${code}`
}

/** The identifier of a code for JSON: NONODE, BADVERSION, as Java's enum names them. */
export function codeName(code: number): string {
  const found = Object.entries(Err).find(([, value]) => value === code)
  return found === undefined ? `UNKNOWN(${code})` : found[0].toUpperCase()
}

const TEXTS: ReadonlyMap<number, string> = new Map([
  [Err.ok, 'ok'],
  [Err.systemError, 'SystemError'],
  [Err.runtimeInconsistency, 'RuntimeInconsistency'],
  [Err.dataInconsistency, 'DataInconsistency'],
  [Err.connectionLoss, 'ConnectionLoss'],
  [Err.marshallingError, 'MarshallingError'],
  [Err.newConfigNoQuorum, 'NewConfigNoQuorum'],
  [Err.reconfigInProgress, 'ReconfigInProgress'],
  [Err.unimplemented, 'Unimplemented'],
  [Err.operationTimeout, 'OperationTimeout'],
  [Err.badArguments, 'BadArguments'],
  [Err.apiError, 'APIError'],
  [Err.noNode, 'NoNode'],
  [Err.noAuth, 'NoAuth'],
  [Err.badVersion, 'BadVersion'],
  [Err.noChildrenForEphemerals, 'NoChildrenForEphemerals'],
  [Err.nodeExists, 'NodeExists'],
  [Err.invalidACL, 'InvalidACL'],
  [Err.authFailed, 'AuthFailed'],
  [Err.notEmpty, 'Directory not empty'],
  [Err.sessionExpired, 'Session expired'],
  [Err.invalidCallback, 'Invalid callback'],
  [Err.sessionMoved, 'Session moved'],
  [Err.notReadOnly, 'Not a read-only call'],
  [Err.ephemeralOnLocalSession, 'Ephemeral node on local session'],
  [Err.noWatcher, 'No such watcher'],
  [Err.requestTimeout, 'Unknown error REQUESTTIMEOUT'],
  [Err.reconfigDisabled, 'Reconfig is disabled'],
  [Err.sessionClosedRequireSaslAuth, 'Session closed because client failed to authenticate'],
  [Err.quotaExceeded, 'Quota has exceeded'],
  [Err.throttledOp, 'Op throttled due to high load'],
])
