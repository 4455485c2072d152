/**
 * Where the audit log goes: into the log, as records of its own name, or into a file of its own in the form of Apache's
 * logback.xml. Not loaded unless `audit.enable` is on.
 */

import type { Config } from '../config/config.ts'
import { lengthMaxOf } from '../life/parts.ts'
import { Audit } from './audit.ts'
import { AUDIT_LOGGER, type Logger, openLines } from './logger.ts'
import { userName } from './view.ts'

export interface OpenAudit {
  readonly audit: Audit
  /** A file of its own is opened anew; null where there is none. */
  readonly reopen: (() => void) | null
}

/** Throws ConfigError for a file that cannot be written. */
export function openAudit(config: Config, logger: Logger): OpenAudit {
  const file = config.audit?.file ?? null
  const user = userName()
  const bytesMax = lengthMaxOf(config)
  if (file !== null) {
    const lines = openLines(file)
    const write = (line: string, failure: boolean): void => {
      lines.write(`${timestamp(new Date())} ${failure ? 'ERROR' : 'INFO'} o.a.z.a.Slf4jAuditLogger: ${line}\n`)
    }
    return { audit: new Audit(write, user, bytesMax), reopen: lines.reopen }
  }
  // Whatever the level of the log: who asks for an audit wants all of it.
  const audit = logger.child({ logger: AUDIT_LOGGER }, { level: 'info' })
  const write = (line: string, failure: boolean): void => audit[failure ? 'error' : 'info'](line)
  return { audit: new Audit(write, user, bytesMax), reopen: null }
}

/** `2026-11-25 16:40:00,123` of the local time, as logback's %d{ISO8601}. */
function timestamp(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${day} ${time},${String(date.getMilliseconds()).padStart(3, '0')}`
}
