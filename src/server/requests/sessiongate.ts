/**
 * Whose requests a leader lets through: those of sessions that live, from where they were last seen.
 *
 * A client that has moved to another member may leave requests behind on its way; they must not take effect any more
 * (ZOOKEEPER-710 and the Java cases below). Pure. Java: SessionTrackerImpl.checkSession, LeaderSessionTracker.
 */

import { Err } from '../../jute/codes.ts'
import { Owner, type Session, type Sessions } from './sessions.ts'

/** The part of a request that is asked about. */
export interface SessionRequest {
  readonly sessionHi: number
  readonly sessionLo: number
  /** Owner.self, or the link of a learner. */
  readonly owner: number
}

export class SessionGate {
  private readonly sessions: Sessions
  private readonly localSessionsEnabled: boolean

  constructor(sessions: Sessions, localSessionsEnabled: boolean) {
    this.sessions = sessions
    this.localSessionsEnabled = localSessionsEnabled
  }

  /** May this request go on? Unknown sessions may be local ones of other members. */
  check(request: SessionRequest): number {
    const session = this.sessions.get(request.sessionHi, request.sessionLo)
    if (session !== undefined) return checkOwner(session, request.owner)
    const foreign = this.localSessionsEnabled && !this.sessions.isOwnId(request.sessionHi)
    return foreign ? Err.ok : Err.sessionExpired
  }

  /** May this request make an ephemeral znode? Only a session that all members know can own one. */
  checkGlobal(request: SessionRequest): number {
    const session = this.sessions.get(request.sessionHi, request.sessionLo)
    if (session === undefined) return Err.sessionExpired
    if (session.local) return request.owner === Owner.self ? Err.ephemeralOnLocalSession : Err.sessionExpired
    return checkOwner(session, request.owner)
  }
}

function checkOwner(session: Session, owner: number): number {
  if (session.closing) return Err.sessionExpired
  if (session.owner === Owner.none) session.owner = owner
  return session.owner === owner ? Err.ok : Err.sessionMoved
}
