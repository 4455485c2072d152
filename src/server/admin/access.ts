/** Who may take a snapshot, or restore one: whoever has all rights on the root. Pure. Java: Commands. */

import { Perm } from '../../jute/codes.ts'
import { textToBytes } from '../../jute/text.ts'
import type { Auth, AuthId } from '../auth.ts'

export type Access = { readonly ids: readonly AuthId[] } | { readonly status: number; readonly error: string }

const PERMS: readonly number[] = [Perm.read, Perm.write, Perm.create, Perm.delete, Perm.admin]

/**
 * `authorization`: the header, a scheme and what goes with it, or none of the latter where the connection says it all.
 * `remote`: the client's address literal.
 */
export function accessOf(authorization: string | undefined, remote: string, auth: Auth, rootAclId: number): Access {
  if (authorization === undefined) return { status: 401, error: 'Auth info is missing for the command' }
  const [scheme, token, ...more] = authorization.split(' ')
  const proved =
    more.length > 0 || scheme === 'auth'
      ? 'failed'
      : auth.authenticate(scheme!, token === undefined ? null : textToBytes(token), remote)
  if (typeof proved === 'string' || proved.length === 0) return { status: 401, error: 'Not authenticated' }
  // Each by itself: `allowed` asks for any of them.
  if (!PERMS.every((perm) => auth.allowed(rootAclId, perm, proved))) return { status: 403, error: 'Not authorized' }
  return { ids: proved }
}
