/** What a server gives to those who serve HTTP beside it. Types only: nothing of theirs is loaded with the server. */

import type { SnapshotWritten } from '../../txnlog/snapshotstore.ts'
import type { Config } from '../config/config.ts'
import type { Audit } from '../report/audit.ts'
import type { ServerView } from '../report/fourletter.ts'
import type { Logger } from '../report/logger.ts'
import type { Metrics } from '../report/metrics.ts'
import type { ViewParts } from '../report/view.ts'

export interface AdminSource {
  readonly config: Config
  readonly logger: Logger
  readonly metrics: Metrics
  readonly audit: Audit | null
  readonly view: ServerView
  readonly parts: ViewParts
  /** Writes a snapshot file beside what goes on. Rejects with the reason why not. */
  snapshot(): Promise<SnapshotWritten>
  /**
   * Makes what is in the snapshot file at `path` the data of this server. Resolves with the zxid from which it goes on;
   * rejects with a RestoreError where all is as it was.
   */
  restore(path: string, options: RestoreOptions): Promise<number>
}

export interface RestoreOptions {
  /** Also a snapshot that was taken while writes went on, though the log that it needs is not there. */
  readonly fuzzy: boolean
}

/** Why a snapshot was not taken over; all is as it was. */
export class RestoreError extends Error {
  override name = 'RestoreError'
}
