/**
 * Every difference between the reference and this server that is known and wanted, or that the reference cannot help
 * having. One row each: what it is, why it stays, and the rule that recognises it. Whatever no rule recognises is a finding.
 *
 * A row may name the switch of ours that brings ZooKeeper's way back (src/server/config/compat.ts): with all of them on, its rule
 * is off, and what it would have let pass is a finding.
 *
 * Rows without a rule describe what the generator never sends, or what is made comparable before comparing.
 */
import type { Json } from './replies.ts'
import type { Operation, Request } from './steps.ts'

export interface Case {
  /** Null when the messages are no replies. */
  request: Request | null
  /** The reference's message, decoded, and ours; 'nothing' where one is missing. */
  a: Json
  b: Json
  profile: string
  /** Our switches are on. */
  compat?: boolean
}

export interface Difference {
  id: string
  kind: 'deliberate' | 'arbitrary' | 'not sent'
  description: string
  why: string
  /** compat.<name> */
  compat?: string
  /**
   * After an accepted difference: the states are still the same, also where the reference has said something that we have
   * not (`pass`), or the rest of the sequence has no meaning.
   */
  after: 'continue' | 'pass' | 'abandon'
  matches?: (c: Case) => boolean
}

type Fields = { [key: string]: Json }

const fields = (x: Json): Fields => (x !== null && typeof x === 'object' && !Array.isArray(x) ? x : {})
/** Replies have a code; events, 'nothing' and what cannot be decoded are no answers. */
const answered = (x: Json): boolean => typeof fields(x)['err'] === 'number'
const refused = (x: Json): boolean => fields(x)['err'] === -6 && fields(x)['zxid'] === -1
const differ = (x: Fields, y: Fields): string[] =>
  [...new Set([...Object.keys(x), ...Object.keys(y)])].filter((k) => JSON.stringify(x[k]) !== JSON.stringify(y[k]))

/** A pair of surrogates, each as three bytes (one latin1 character a byte). */
const SURROGATES = /\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]/g

/** Codes of a MultiResponse's parts, 0 where a part has a result. */
const codes = (x: Json): number[] => {
  const body = fields(x)['body']
  return Array.isArray(body) ? body.slice(0, -1).map((part) => Number(fields(part)['code'] ?? 0)) : []
}

const CREATES: readonly number[] = [1, 15, 19, 21]
const isWrite = (s: Operation): boolean => CREATES.includes(s.op) || s.op === 5

/**
 * One side refuses a part of a transaction because of a quota, the other does not, or refuses a later part; and an earlier
 * part is there that only one side has counted: one that may add to what the quota counts where the reference lets more
 * pass, one that may take away where it lets less pass.
 */
const countsEarlierParts = ({ request, a, b, profile }: Case): boolean => {
  if (request?.op !== 14 || request.subs === undefined || !QUOTAS_ENFORCED.includes(profile)) return false
  if (differ(fields(a), fields(b)).join() !== 'body') return false
  const [ours, theirs] = [codes(b).indexOf(QUOTA_EXCEEDED), codes(a).indexOf(QUOTA_EXCEEDED)]
  const weRefuse = ours >= 0 && (theirs < 0 || ours < theirs)
  const at = weRefuse ? ours : theirs
  if (at < 0 || ours === theirs || !isWrite(request.subs[at]!)) return false
  // The other side has gone further; only the version of a setData is looked at after its quota.
  const passed = codes(weRefuse ? a : b)
  if (passed.slice(0, at).some((code) => code !== 0)) return false
  if (passed[at] !== 0 && !(passed[at] === BAD_VERSION && request.subs[at]!.op === 5)) return false
  const earlier = request.subs.slice(0, at)
  return earlier.some((s) => s.op === 5 || (weRefuse ? CREATES.includes(s.op) : s.op === 2))
}

/**
 * The reference refuses a create because its parent is an ephemeral znode, and the parent is what an earlier part makes as
 * a container with ephemeral flags. Only the quota is looked at behind that.
 */
const isBelowOwnContainer = ({ request, a, b }: Case): boolean => {
  if (request?.op !== 14 || request.subs === undefined || !answered(a) || !answered(b)) return false
  if (differ(fields(a), fields(b)).join() !== 'body') return false
  const at = codes(a).indexOf(NO_CHILDREN_FOR_EPHEMERALS)
  const ours = codes(b)
  if (at < 0 || ours.slice(0, at).some((code) => code !== 0)) return false
  if (ours[at] !== 0 && ours[at] !== QUOTA_EXCEEDED) return false
  const { op, path } = request.subs[at]!
  if (!CREATES.includes(op) || typeof path !== 'string') return false
  const parent = path.slice(0, path.lastIndexOf('/'))
  return request.subs
    .slice(0, at)
    .some((s) => s.op === 19 && isEphemeral(s) && typeof s.path === 'string' && parent.startsWith(s.path))
}

const isEphemeral = ({ flags }: Operation): boolean => flags === 1 || flags === 3
const BAD_VERSION = -103
const NO_CHILDREN_FOR_EPHEMERALS = -108
const QUOTA_EXCEEDED = -125
/** Settings with enforceQuota=true. */
const QUOTAS_ENFORCED: readonly string[] = ['rich', 'restart']

/** An event that setWatches has made up of what happened before it. */
const isMissedEvent = (x: Json): boolean => fields(x)['event'] !== undefined && fields(x)['zxid'] === -1
const SET_WATCHES: readonly number[] = [101, 105]

export const DIFFERENCES: readonly Difference[] = [
  {
    id: 'close-order',
    kind: 'arbitrary',
    description: 'events of one closing session come in another order',
    why: 'the reference removes the ephemeral nodes of a session in the order of a hash set',
    after: 'continue',
  },
  {
    id: 'client-delete-container',
    kind: 'deliberate',
    description: 'deleteContainer (20) from a client is refused with -6 and close',
    why: 'it is server-internal; the reference lets any client delete any empty node without a look at its ACL',
    compat: 'serverOps',
    after: 'abandon',
    matches: ({ request, a, b }) => request?.op === 20 && answered(a) && !refused(a) && refused(b),
  },
  {
    id: 'client-create-session',
    kind: 'deliberate',
    description: 'createSession (-10) from a client is refused with -6 and close',
    why: 'the reference answers with a second ConnectResponse in mid-stream',
    compat: 'serverOps',
    after: 'abandon',
    matches: ({ request, a, b }) => request?.op === -10 && !refused(a) && refused(b),
  },
  {
    id: 'stranger-attach',
    kind: 'deliberate',
    description: 'who takes up a session with a wrong password does not end the connection that has it',
    why: 'the reference closes it before it looks at the password: whoever guesses an id can cut clients off',
    compat: 'takeover',
    after: 'continue',
  },
  {
    id: 'missed-events',
    kind: 'deliberate',
    description: 'setWatches does not tell of changes to a znode that the client may not read',
    why: 'the reference sends them without a look at the ACL: who may not even ask whether a znode is there, learns of it',
    compat: 'missedEvents',
    after: 'pass',
    matches: ({ request, a, b }) =>
      isMissedEvent(a) &&
      fields(a)['event'] !== 'deleted' &&
      (request === null ? isMissedEvent(b) : SET_WATCHES.includes(request.op) && answered(b)),
  },
  {
    id: 'takeover-race',
    kind: 'arbitrary',
    description: 'who takes up a session that was taken up before does not end the connection that has it',
    why: 'the reference forgets the connection of a session, by the id alone, when it notices the end of an earlier one',
    after: 'continue',
  },
  {
    id: 'auth-order',
    kind: 'arbitrary',
    description: 'an ACL entry of scheme auth expands to the same ids in another order',
    why: 'the reference keeps the ids of a connection in a hash set',
    after: 'continue',
    matches: ({ request, a, b }) => {
      if (request?.op !== 6) return false
      const [x, y] = [fields(fields(a)['body'] ?? null)['acl'], fields(fields(b)['body'] ?? null)['acl']]
      if (!Array.isArray(x) || !Array.isArray(y) || x.length < 2) return false
      if (differ(fields(a), fields(b)).join() !== 'body') return false
      if (differ(fields(fields(a)['body']!), fields(fields(b)['body']!)).join() !== 'acl') return false
      const digests = x.filter((e) => String(e).includes(' digest:'))
      return digests.length > 1 && [...x].sort().join() === [...y].sort().join()
    },
  },
  {
    id: 'data-size',
    kind: 'not sent',
    description: 'zk_approximate_data_size of mntr is not compared',
    why: 'for paths beyond ASCII the reference counts UTF-16 units, and this server counts bytes',
    compat: 'dataSize',
    after: 'continue',
  },
  {
    id: 'quota-in-multi',
    kind: 'deliberate',
    description:
      'a hard quota counts the earlier parts of a multi: creates that exceed it are refused, deletes make room',
    why: 'the reference counts applied writes only, so that one multi may exceed any limit',
    compat: 'quotasInMulti',
    after: 'abandon',
    matches: countsEarlierParts,
  },
  {
    id: 'id-beyond-bmp',
    kind: 'deliberate',
    description:
      'an ACL id with a character from U+10000 on, set by a multi or read from disk, comes back as it was sent',
    why: 'the reference writes it as two surrogates and reads each of them back as U+FFFD: the id is spoilt',
    after: 'continue',
    matches: ({ request, a, b }) => {
      if (request?.op !== 6) return false
      const spoilt = JSON.stringify(b).replace(SURROGATES, '\xef\xbf\xbd\xef\xbf\xbd')
      return spoilt !== JSON.stringify(b) && spoilt === JSON.stringify(a)
    },
  },
  {
    id: 'container-in-flight',
    kind: 'deliberate',
    description: 'a child of a container that the same multi makes with ephemeral flags is accepted',
    why: 'the reference takes the container for an ephemeral znode until it is applied, and refuses with -108',
    compat: 'containersInMulti',
    after: 'abandon',
    matches: isBelowOwnContainer,
  },
  {
    id: 'ttl-flags',
    kind: 'not sent',
    description: 'createTTL with flags other than 5 and 6 and a negative ttl is answered with -8',
    why: 'the reference logs it, then exits when applying it, and again at each restart',
    after: 'continue',
  },
  {
    id: 'quota-root-limits',
    kind: 'not sent',
    description: 'creating /zookeeper/quota/zookeeper_limits is answered with an error',
    why: 'the reference logs it, then exits when applying it, and again at each restart',
    after: 'continue',
  },
  {
    id: 'pipelined-acl',
    kind: 'not sent',
    description: 'setACL with writes behind it in one packet',
    why: 'the reference checks permissions against what happens to be applied already',
    after: 'continue',
  },
  {
    id: 'pipelined-quota',
    kind: 'not sent',
    description: 'writes below a hard quota in one packet',
    why: 'the reference checks the quota against what happens to be applied already',
    after: 'continue',
  },
]

export function explain(c: Case): Difference | null {
  return DIFFERENCES.find((d) => !(c.compat && d.compat !== undefined) && d.matches?.(c)) ?? null
}
