/** The log for what clients and peers bring about: each thing is worth a line, but not as many as they like. */

import type { Logger } from './logger.ts'
import { LogLimit } from './loglimit.ts'

export class LimitedLog {
  private readonly logger: Logger
  private readonly nowMs: () => number
  private readonly limit: LogLimit

  constructor(logger: Logger, nowMs: () => number) {
    this.logger = logger
    this.nowMs = nowMs
    this.limit = new LogLimit()
  }

  write(level: 'info' | 'warn', message: string, fields: Record<string, unknown>): void {
    const leftOut = this.limit.admit(message, this.nowMs())
    if (leftOut === 0) this.logger[level](fields, message)
    else if (leftOut > 0) this.logger[level]({ ...fields, leftOut }, message)
  }
}
