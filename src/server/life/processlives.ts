/** The lives of a server (lives.ts) in a process of its own: Node's timers, the data folders, the log. */

import type { Logger } from '../report/logger.ts'
import type { DataFolders } from './datafolders.ts'
import { Lives, type LivesHost } from './lives.ts'
import type { Failure } from './running.ts'

export function processLives(
  host: Pick<LivesHost, 'nowMs' | 'begin' | 'end' | 'aside'>,
  folders: DataFolders,
  failure: Failure,
  logger: Logger,
  resumeBytes: number | null,
): Lives {
  return new Lives(
    {
      ...host,
      after(ms, run) {
        const timer = setTimeout(run, ms)
        return () => clearTimeout(timer)
      },
      room: () => folders.room(),
      failed: (err) => failure.settle(err),
      log: (level, fields, message) => logger[level](fields, message),
    },
    resumeBytes,
  )
}
