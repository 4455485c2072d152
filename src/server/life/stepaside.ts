/**
 * What a server does about a failing disk, and when it tries again. Pure.
 *
 * Without room nothing is wrong with the disk: the server steps aside, and comes back when there is room. Any other
 * failure may come with anything, so the process ends; a supervisor or an operator decides what is next.
 *
 * Coming back costs an election, perhaps, and so does stepping aside again. So there has to be some room, not just any;
 * and where that was not enough (a quota, which nobody can ask for, or a neighbour that fills the disk), each return in
 * vain makes the next one wait longer.
 */

import { StorageError } from '../../jute/errors.ts'
import { FULL_CODES, type Room } from '../../txnlog/disk.ts'

/** Between two looks. */
const LOOK_MS = 1000
/** The first pause, and the longest. */
const PAUSE_MIN_MS = 1000
const PAUSE_MAX_MS = 60_000
/** Who stayed for so long has come back for good. */
const STAY_MS = 60_000
const RESUME_BYTES = 64 * 1024 * 1024
/** A file system that small never has RESUME_BYTES left; a twentieth of it will do. */
const RESUME_PARTS = 20

/** Whether this is for want of room alone. */
export function isFull(err: unknown): boolean {
  for (let at = err, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth++) {
    if ('code' in at && typeof at.code === 'string' && FULL_CODES.includes(at.code)) return true
  }
  return false
}

/** Why nobody is served, for people. */
export function fullReason(err: unknown): string {
  return err instanceof StorageError && err.file !== null ? `no room on the disk of ${err.file}` : 'no room on the disk'
}

/** One server's steps aside, and its ways back. */
export class StepAside {
  /** When to look for room next; infinity while there is no need. */
  nextLookMs: number
  /** Below it there is not enough; null: a share of the file system, up to RESUME_BYTES. */
  private readonly resumeBytes: number | null
  private pauseMs: number
  private cameBackMs: number

  constructor(resumeBytes: number | null) {
    this.nextLookMs = Number.POSITIVE_INFINITY
    this.resumeBytes = resumeBytes
    this.pauseMs = PAUSE_MIN_MS
    this.cameBackMs = Number.NEGATIVE_INFINITY
  }

  /** There was no room. */
  onFull(nowMs: number): void {
    const stayed = nowMs - this.cameBackMs >= STAY_MS
    this.pauseMs = stayed ? PAUSE_MIN_MS : Math.min(2 * this.pauseMs, PAUSE_MAX_MS)
    this.nextLookMs = nowMs + this.pauseMs
  }

  /** Whether to come back, by the room there is; null: nobody knows, and only trying can tell. */
  onLook(nowMs: number, room: Room | null): boolean {
    if (room !== null && room.freeBytes < this.bytesWanted(room)) {
      this.nextLookMs = nowMs + LOOK_MS
      return false
    }
    this.nextLookMs = Number.POSITIVE_INFINITY
    this.cameBackMs = nowMs
    return true
  }

  bytesWanted({ totalBytes }: Room): number {
    return this.resumeBytes ?? Math.min(RESUME_BYTES, Math.floor(totalBytes / RESUME_PARTS))
  }
}
