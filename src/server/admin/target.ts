/** The server that an admin server is about. */

import { ROOT } from '../../datatree/node.ts'
import type { Auth } from '../access/auth.ts'
import { openDoors } from '../config/opendoors.ts'
import { makeAuth, superUserOf } from '../life/parts.ts'
import { type AdminView, makeAdminView } from './adminview.ts'
import type { AdminSource } from './source.ts'

export interface AdminTarget
  extends Pick<AdminSource, 'config' | 'logger' | 'metrics' | 'audit' | 'snapshot' | 'restore'> {
  readonly view: AdminView
  /** What of this configuration an attacker, or a power failure, would be glad of. */
  readonly openDoors: readonly string[]
  nowMs(): number
  /** Who may do what, and the ACL of the root; null while nobody is served. */
  access(): { readonly auth: Auth; readonly rootAclId: number } | null
}

export function makeTarget(source: AdminSource): AdminTarget {
  const { config, logger, metrics, audit, parts } = source
  const superUser = superUserOf(config)
  return {
    config,
    logger,
    metrics,
    audit,
    view: makeAdminView(source.view, parts),
    openDoors: openDoors(config).map(({ word }) => word),
    nowMs: () => parts.nowMs(),
    access() {
      const state = parts.running()?.state
      return state === undefined
        ? null
        : { auth: makeAuth(config, state, superUser), rootAclId: state.tree.aclId(ROOT) }
    },
    snapshot: () => source.snapshot(),
    restore: (path, options) => source.restore(path, options),
  }
}
