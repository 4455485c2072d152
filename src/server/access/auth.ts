/**
 * Who a client is and what it may do: authentication schemes, ACL evaluation, and the fix-up of ACLs that clients send.
 *
 * Pure: the digest of a password comes from the caller (`Digester`), so that no crypto import enters here.
 * Java: ZooKeeperServer.checkACL, PrepRequestProcessor.fixupACL, DigestAuthenticationProvider, IPAuthenticationProvider,
 * SASLAuthenticationProvider, ProviderRegistry.
 */

import { type AclEntry, type AclTable, encodeAcl, OPEN_ACL } from '../../datatree/acl.ts'
import { Err, OPEN_ACL_ID, Perm } from '../../jute/codes.ts'
import { Input } from '../../jute/input.ts'
import type { Output } from '../../jute/output.ts'
import { decodeText } from '../../jute/text.ts'
import { parseKerberosName } from '../sasl/kerberosname.ts'
import { isNameText } from '../tls/x500name.ts'
import { isValidIpExpression, matchesIp } from './ip.ts'

/** One thing a connection has proved to be. Lists of these are immutable: a new one replaces the old. */
export interface AuthId {
  readonly scheme: string
  readonly id: string
}

/** Bytes of `user:password` to `user:base64(hash)`. */
export type Digester = (idPassword: string) => string

export interface AuthOptions {
  readonly skipACL: boolean
  /** `user:base64hash` of the super user, or null: nobody is. */
  readonly superDigest: string | null
  /** The super user's password, where it is kept as a salted hash; null: it is not. */
  readonly superPassword: SuperPassword | null
  readonly digestAuthEnabled: boolean
  readonly digest: Digester
  /** Names that a client of the `ensemble` scheme may expect this server to have; null: the scheme is not provided. */
  readonly ensembleNames: readonly string[] | null
  /** Null: there is neither a login by SASL nor the scheme in ACLs. */
  readonly sasl: SaslOptions | null
  /** Null: the scheme is not provided. */
  readonly x509: X509Options | null
  /** The longest ACL list taken, encoded (jute.maxbuffer, or what a transaction may have with compat.identities). */
  readonly aclBytesMax: number
  /** Client needs an id of one of these schemes before anything else; empty: not enforced. */
  readonly enforcedSchemes: readonly string[]
}

/** Right, wrong, or too many at once to tell. */
export type Verdict = 'right' | 'wrong' | 'busy'

export interface SuperPassword {
  readonly user: string
  /** Takes a while: `done` is called later, once. */
  check(password: string, done: (verdict: Verdict) => void): void
}

/** What a login by SASL is good for; the login itself is handshake.ts's. */
export interface SaslOptions {
  /** ACLs may name ids of this scheme. */
  readonly provided: boolean
  /** The id in an ACL that stands for whoever has logged in (letAnySaslUserDoX); null: none does. */
  readonly anyUser: string | null
  /** Ids that are the super user. */
  readonly superUsers: readonly string[]
}

export interface X509Options {
  /** The id that is the super user, or null: none is. */
  readonly superUser: string | null
}

/** jute vector<ACL> of exactly world:anyone ALL, what nearly every request carries. */
const OPEN_ACL_BYTES = encodeAcl(OPEN_ACL)

export class Auth {
  private readonly options: AuthOptions
  private readonly acls: AclTable
  /** The last id that the open list had in this table (ids are never used again), or -2. */
  private openId: number

  constructor(acls: AclTable, options: AuthOptions) {
    this.acls = acls
    this.options = options
    this.openId = -2
  }

  /** May a client with `ids` do what `perm` (any of its bits) asks on a znode with this ACL? */
  allowed(aclId: number, perm: number, ids: readonly AuthId[]): boolean {
    if (aclId === OPEN_ACL_ID || aclId === this.openId || this.options.skipACL) return true
    const entries = this.acls.entries(aclId)
    if (entries.length === 0) return true
    for (const entry of entries) {
      if ((entry.perms & perm) !== 0 && entry.scheme === 'world' && entry.id === 'anyone') return true
    }
    for (const { scheme } of ids) if (scheme === 'super') return true
    for (const entry of entries) {
      if ((entry.perms & perm) === 0 || !this.hasProvider(entry.scheme)) continue
      for (const { scheme, id } of ids) {
        if (scheme === entry.scheme && this.matches(scheme, id, entry.id)) return true
      }
    }
    return false
  }

  /** Is there a provider for this scheme? `world` and `super` have none. */
  hasProvider(scheme: string): boolean {
    return scheme === 'ip' || this.isAuthenticated(scheme)
  }

  private matches(scheme: string, id: string, expression: string): boolean {
    if (scheme === 'ip') return matchesIp(id, expression)
    if (id === expression) return true
    if (scheme === 'x509') return id === this.options.x509?.superUser
    return scheme === 'sasl' && (id === 'super' || expression === this.options.sasl?.anyUser)
  }

  /** An id of this scheme was proved by the client (not just observed), so `auth:` expands to it. */
  private isAuthenticated(scheme: string): boolean {
    return (
      (scheme === 'digest' && this.options.digestAuthEnabled) ||
      (scheme === 'sasl' && this.options.sasl?.provided === true) ||
      (scheme === 'x509' && this.options.x509 !== null)
    )
  }

  private isValidId(scheme: string, id: string): boolean {
    if (scheme === 'ip') return isValidIpExpression(id)
    if (scheme === 'x509') return isNameText(id)
    if (scheme === 'sasl') return parseKerberosName(id) !== null
    return javaSplitParts(id, ':') === 2
  }

  /**
   * Turns the ACL of a create or setACL into a list of the table, of which no reference is taken. Returns an error
   * code (negative, below OPEN_ACL_ID) instead where it is not acceptable; Err.marshallingError where Java stumbles
   * over a null.
   */
  fixup(buf: Uint8Array, off: number, end: number, ids: readonly AuthId[]): number {
    if (isOpenAcl(buf, off, end)) {
      this.openId = this.acls.intern(buf, off, end) // looked up anew: it may have gone with its last znode
      return this.openId
    }
    const raw = readAcl(new Input(buf, off, end))
    const fixed: AclEntry[] = []
    const unique = withoutDuplicates(raw)
    if (unique === null) return Err.marshallingError
    if (unique.length === 0) return Err.invalidACL
    // A few ids and a few thousand `auth` entries make millions of entries: the list must stay fit for a transaction.
    let bytes = 4
    const add = (entry: AclEntry): boolean => {
      bytes += 12 + entry.scheme.length + entry.id.length
      fixed.push(entry)
      return bytes <= this.options.aclBytesMax
    }
    for (const { perms, scheme, id } of unique) {
      if (scheme === null) return Err.invalidACL
      if (scheme === 'auth') {
        const before = fixed.length
        for (const own of ids) {
          if (!this.isAuthenticated(own.scheme)) continue
          if (!add({ perms, scheme: own.scheme, id: own.id })) return Err.invalidACL
        }
        if (fixed.length === before) return Err.invalidACL
        continue
      }
      if (scheme === 'world' && id === null) return Err.marshallingError
      if (scheme === 'world' && id === 'anyone') {
        if (!add({ perms, scheme, id })) return Err.invalidACL
        continue
      }
      if (!this.hasProvider(scheme)) return Err.invalidACL
      if (id === null) return Err.marshallingError
      if (!this.isValidId(scheme, id)) return Err.invalidACL
      if (!add({ perms, scheme, id })) return Err.invalidACL
    }
    return this.acls.internEntries(fixed)
  }

  /**
   * Ids that an auth packet adds, or why not: 'failed' is told to the client, 'wrong ensemble' just cuts it off, so that
   * it tries its next server. `remote` is the client's address literal, `certificateIds` what its certificate has proved.
   */
  authenticate(
    scheme: string | null,
    token: Uint8Array | null,
    remote: string,
    certificateIds: readonly AuthId[] = [],
  ): readonly AuthId[] | 'failed' | 'wrong ensemble' {
    if (scheme === 'ip') return [{ scheme, id: remote }]
    if (scheme === 'x509' && this.options.x509 !== null) return certificateIds.length > 0 ? certificateIds : 'failed'
    const { ensembleNames } = this.options
    if (scheme === 'ensemble' && ensembleNames !== null) {
      if (token === null || token.length === 0 || ensembleNames.length === 0) return []
      return ensembleNames.includes(decodeText(token, 0, token.length)) ? [] : 'wrong ensemble'
    }
    if (scheme !== 'digest' || !this.options.digestAuthEnabled || token === null) return 'failed'
    const id = this.options.digest(decodeText(token, 0, token.length))
    const added: AuthId[] = []
    if (id === this.options.superDigest) added.push(SUPER)
    added.push({ scheme, id })
    return added
  }

  /**
   * What `authenticate` cannot say at once: is this the password of the super user, whose id is to be added then? Null
   * where nothing is to be found out; else a function whose `done` is called later, once.
   */
  superCheck(scheme: string | null, token: Uint8Array | null): ((done: (verdict: Verdict) => void) => void) | null {
    const { superPassword, digestAuthEnabled } = this.options
    if (superPassword === null || scheme !== 'digest' || !digestAuthEnabled || token === null) return null
    const idPassword = decodeText(token, 0, token.length)
    const colon = idPassword.indexOf(':')
    if (colon < 0 || idPassword.slice(0, colon) !== superPassword.user) return null
    return (done) => superPassword.check(idPassword.slice(colon + 1), done)
  }

  /** Ids of a client that has logged in by SASL. */
  saslIds(id: string): AuthId[] {
    const ids: AuthId[] = [{ scheme: 'sasl', id }]
    if (id !== '' && this.options.sasl?.superUsers.includes(id)) ids.push(SUPER)
    return ids
  }

  /** Nothing is served to a client whose login by SASL has failed. */
  get saslRequired(): boolean {
    return this.options.enforcedSchemes.includes('sasl')
  }

  /** False while a scheme is enforced and the client has proved none of them. */
  satisfiesEnforced(ids: readonly AuthId[]): boolean {
    const enforced = this.options.enforcedSchemes
    return enforced.length === 0 || ids.some(({ scheme }) => enforced.includes(scheme))
  }

  /** The name shown for an id by whoAmI and in the audit log; empty where the scheme has no provider. */
  userName({ scheme, id }: AuthId): string {
    if (!this.hasProvider(scheme)) return ''
    return scheme === 'digest' ? id.slice(0, colonOrEnd(id)) : id
  }

  /** The ACL list as getACL shows it: without ADMIN, digests are masked (CVE-2019-0201). */
  writeVisibleAcl(out: Output, aclId: number, ids: readonly AuthId[]): void {
    if (this.allowed(aclId, Perm.admin, ids)) {
      out.raw(this.acls.bytes(aclId))
      return
    }
    const masked = this.acls
      .entries(aclId)
      .map(({ perms, scheme, id }) => ({ perms, scheme, id: scheme === 'digest' ? id.replace(/:.*/, ':x') : id }))
    out.raw(encodeAcl(masked))
  }
}

export const SUPER: AuthId = { scheme: 'super', id: '' }

/** Ids that one connection may gather: every permission check walks them. */
export const AUTH_IDS_MAX = 1000

/** Adds to an immutable list of ids with a set's meaning. */
export function addAuthIds(ids: readonly AuthId[], added: readonly AuthId[]): readonly AuthId[] {
  const fresh = added.filter((a) => !ids.some((b) => a.scheme === b.scheme && a.id === b.id))
  return fresh.length === 0 ? ids : [...ids, ...fresh]
}

interface RawAclEntry {
  perms: number
  scheme: string | null
  id: string | null
}

function readAcl(input: Input): RawAclEntry[] {
  const entries: RawAclEntry[] = []
  for (let left = input.count(); left > 0; left--) {
    entries.push({ perms: input.int(), scheme: input.string(), id: input.string() })
  }
  return entries
}

/** Null where Java's comparison of two entries meets a null scheme or id on its left side. */
function withoutDuplicates(entries: RawAclEntry[]): RawAclEntry[] | null {
  const unique: RawAclEntry[] = []
  const seen = new Set<string>()
  for (const entry of entries) {
    const perms = String(entry.perms)
    if (entry.scheme === null && seen.has(perms)) return null
    const scheme = `${perms}:${entry.scheme?.length}:${entry.scheme}`
    if (entry.id === null && seen.has(scheme)) return null
    const all = `${scheme}:${entry.id}`
    if (seen.has(all)) continue
    seen.add(perms)
    seen.add(scheme)
    seen.add(all)
    unique.push(entry)
  }
  return unique
}

function isOpenAcl(buf: Uint8Array, off: number, end: number): boolean {
  if (end - off !== OPEN_ACL_BYTES.length) return false
  for (let i = 0; i < OPEN_ACL_BYTES.length; i++) if (buf[off + i] !== OPEN_ACL_BYTES[i]) return false
  return true
}

function colonOrEnd(text: string): number {
  const colon = text.indexOf(':')
  return colon < 0 ? text.length : colon
}

/** How many parts Java's String.split gives: trailing empty ones do not count. */
function javaSplitParts(text: string, separator: string): number {
  const parts = text.split(separator)
  let count = parts.length
  while (count > 0 && parts[count - 1] === '') count--
  return count
}
