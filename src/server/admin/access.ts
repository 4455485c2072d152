/** Who may take a snapshot, or restore one: whoever has all rights on the root. Pure. Java: Commands. */

import { Perm } from '../../jute/codes.ts'
import { textToBytes } from '../../jute/text.ts'
import { type Auth, type AuthId, SUPER } from '../access/auth.ts'

export type Access = { readonly ids: readonly AuthId[] } | { readonly status: number; readonly error: string }

const PERMS: readonly number[] = [Perm.read, Perm.write, Perm.create, Perm.delete, Perm.admin]

/** Is this the super user's password, kept as a salted hash? `done` is called once, at once where there is nothing to check. */
export function checkSuper(authorization: string | undefined, auth: Auth, done: (isSuper: boolean) => void): void {
  const [scheme, token, ...more] = (authorization ?? '').split(' ')
  const check = more.length > 0 || token === undefined ? null : auth.superCheck(scheme!, textToBytes(token))
  if (check === null) done(false)
  else check((verdict) => done(verdict === 'right'))
}

/**
 * `authorization`: the header, a scheme and what goes with it, or none of the latter where the connection says it all.
 * `remote`: the client's address literal. `isSuper`: as of checkSuper.
 * `certificateIds`: what the client's certificate has proved.
 */
export function accessOf(
  authorization: string | undefined,
  remote: string,
  auth: Auth,
  rootAclId: number,
  isSuper: boolean,
  certificateIds: readonly AuthId[] = [],
): Access {
  if (authorization === undefined) return { status: 401, error: 'Auth info is missing for the command' }
  const [scheme, token, ...more] = authorization.split(' ')
  const ids =
    more.length > 0 || scheme === 'auth'
      ? 'failed'
      : auth.authenticate(scheme!, token === undefined ? null : textToBytes(token), remote, certificateIds)
  if (typeof ids === 'string' || ids.length === 0) return { status: 401, error: 'Not authenticated' }
  const proved = isSuper ? [SUPER, ...ids] : ids
  // Each by itself: `allowed` asks for any of them.
  if (!PERMS.every((perm) => auth.allowed(rootAclId, perm, proved))) return { status: 403, error: 'Not authorized' }
  return { ids: proved }
}
