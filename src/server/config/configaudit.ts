/** The settings of the audit log. Part of config.ts. */

import type { Settings } from './settings.ts'

export interface AuditConfig {
  /** A file of its own; null: a part of the log. Ours: Java says so in logback.xml. */
  readonly file: string | null
}

const IMPLEMENTATION = 'org.apache.zookeeper.audit.Slf4jAuditLogger'

/** Null: off. */
export function readAudit(s: Settings): AuditConfig | null {
  if (!s.boolean('audit.enable', false)) return null
  const setting = s.find('audit.impl.class')
  if (setting !== null && setting.value !== IMPLEMENTATION) {
    // Whoever asks for another one wants its lines somewhere else; better no start than none there.
    throw s.refuse(setting, `audit.impl.class=${setting.value} is not ${IMPLEMENTATION}, the only one this server has`)
  }
  return { file: s.text('audit.file') }
}
