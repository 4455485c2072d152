/**
 * What the admin server sees of its server: all that the four-letter words see, and what only it shows.
 */

import { join } from 'node:path'
import type { Zxid } from '../../jute/zxid.ts'
import { VERSION_DIR } from '../../txnlog/names.ts'
import { maskSecrets } from '../config/secrets.ts'
import type { MemberStatus } from '../member/memberview.ts'
import type { ServerView } from '../report/fourletter.ts'
import { newestSnapshot, type ViewParts } from '../report/view.ts'

type Id = readonly [hi: number, lo: number]

export interface AdminView extends ServerView {
  serverId(): number
  uptimeMs(): number
  /** Sessions by the monotonic ms of their end, soonest first; empty where the leader decides that. */
  expiries(): Iterable<readonly [ms: number, ids: Iterable<Id>]>
  /** The last one written, or what this start began from; null where there is none. */
  lastSnapshot(): { readonly zxid: Zxid; readonly timestampS: number } | null
  /** zoo.cfg as it was read, without its secrets. */
  configurationText(): string
  properties(): Iterable<readonly [name: string, value: string]>
  /** Of a member that follows or leads; null elsewhere. */
  member(): MemberStatus | null
  /** Why nobody is served, for people; null while somebody is. */
  reason(): string | null
}

export function makeAdminView(base: ServerView, parts: ViewParts): AdminView {
  const { config } = parts
  return {
    ...base,
    serverId: () => parts.ensemble?.serverId ?? 0,
    uptimeMs: () => Math.floor(parts.nowMs() - parts.startedMs),
    *expiries() {
      const sessions = parts.running()?.sessions
      if (sessions === undefined) return
      const global = parts.ensemble?.leavesSessions() !== true
      for (const [ms, all] of sessions.expiryMap()) {
        const ids = all.filter(({ local }) => global || local).map(({ hi, lo }): Id => [hi, lo])
        if (ids.length > 0) yield [ms, ids]
      }
    },
    lastSnapshot: () => newestSnapshot(join(config.dataDir, VERSION_DIR)),
    configurationText: () => maskSecrets(config.text.reveal()),
    properties: () =>
      [...base.environment(), ...config.admin.properties].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
    member: () => parts.ensemble?.status() ?? null,
    reason() {
      if (parts.running() !== null) return null
      return parts.standing()?.reason ?? parts.ensemble?.reason() ?? 'closing'
    },
  }
}
