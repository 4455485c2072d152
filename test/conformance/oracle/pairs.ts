/**
 * Which codes a standalone ZooKeeper 3.9.5 can answer to which request, read off its source: PrepRequestProcessor (checks of
 * writes), FinalRequestProcessor (reads, and MARSHALLINGERROR for whatever throws), ZooKeeperServer.processPacket (auth,
 * sasl, enforced authentication), Request.isValid (unknown types), DataTree.processTxn (parts of a multi). A run over many
 * seeds must have seen each pair on the reference, and none besides; `--matrix --strict` says so.
 *
 * Keys are those of the matrix: a type, "14/1" for a part of a multi, "unknown" for types that no request has. What comes
 * without a code (connections, events) counts as 0.
 */
import { opPath } from './report.ts'

export type Matrix = Map<string, Map<number, number>>

const CREATE = [0, -5, -6, -8, -101, -102, -108, -110, -114, -125]
/** A flag that makes no mode, and a TTL mode in a create without ttl, spoil the whole multi: neither is a part's answer. */
const CREATE_PART = [0, -2, -8, -101, -102, -108, -110, -114, -125]
const READ = [0, -5, -101, -102]

const POSSIBLE: { readonly [key: string]: readonly number[] } = {
  1: CREATE,
  15: CREATE,
  19: CREATE,
  21: CREATE,
  2: [0, -5, -8, -101, -102, -103, -111],
  5: [0, -5, -8, -101, -102, -103, -125],
  7: [0, -5, -8, -101, -102, -103, -114],
  3: [...READ, -8],
  4: READ,
  6: READ,
  8: READ,
  12: READ,
  104: READ,
  9: [0, -5],
  11: [0],
  101: [0, -5],
  103: [0, -5],
  105: [0, -5],
  106: [0, -5],
  107: [0],
  17: [0, -5, -121],
  18: [0, -5, -121],
  14: [0, -5],
  '14/1': CREATE_PART,
  '14/15': CREATE_PART,
  '14/19': CREATE_PART,
  '14/21': [...CREATE_PART, -6],
  '14/2': [0, -2, -8, -101, -102, -103, -111],
  '14/5': [0, -2, -8, -101, -102, -103, -125],
  '14/13': [0, -2, -8, -101, -102, -103],
  22: [0, -5],
  '22/4': [0, -101, -102],
  '22/8': [0, -101, -102],
  16: [-5, -6, -123],
  20: [0, -5, -8, -101, -103, -111],
  // 0 stands for the second ConnectResponse.
  '-10': [0, -5],
  '-11': [0],
  100: [0, -115],
  102: [0],
  unknown: [-6],
  'connect, timeout 0': [0],
  'connect, timeout > 0': [0],
  'event 1': [0],
  'event 2': [0],
  'event 3': [0],
  'event 4': [0],
}

/** Refused before anything else where authentication is enforced: all but auth and sasl themselves. */
const UNAUTHENTICATED = -124

interface Explanation {
  readonly keys: (key: string) => boolean
  readonly codes: readonly number[]
  readonly why: string
}

const isRequest = (key: string): boolean => /^-?\d+$/.test(key) || key === 'unknown'
const oneOf =
  (...keys: string[]) =>
  (key: string): boolean =>
    keys.includes(key)
const WITHOUT_SESSION_CHECK = oneOf('14', '20', '-10', '-11', '100', '102', 'unknown')
const NEVER_THROTTLED = oneOf('11', '-11', '-10', '100', '102', 'unknown')
const WRITES = oneOf('1', '15', '19', '21', '2', '5', '7', '14', '16')

/** Pairs that the source holds, and that no sequence here brings about for certain. Seeing one is no failure. */
export const EXPLAINED: readonly Explanation[] = [
  {
    keys: (key) => (isRequest(key) && !WITHOUT_SESSION_CHECK(key)) || key.startsWith('14/'),
    codes: [-12, -112],
    why: 'a race: the session must end between touchSession, which drops the requests of an ended one, and the check',
  },
  {
    keys: (key) => isRequest(key) && !NEVER_THROTTLED(key),
    codes: [-127],
    why: 'a matter of time: with throttled_op_wait_time set, a request that the throttler held back for longer',
  },
  {
    keys: oneOf('16'),
    codes: [0, -8, -13, -14, -102, -103],
    why: 'needs an ensemble: a standalone server answers -123 or, with reconfigEnabled, -6 before it looks any further',
  },
  {
    keys: WRITES,
    codes: [-119],
    why: 'needs an ensemble: only a member without a quorum serves read-only',
  },
  {
    keys: oneOf('1', '15', '14', '14/1', '14/15'),
    codes: [-120],
    why: 'needs an ensemble: a standalone server has no local sessions',
  },
  {
    keys: oneOf('102'),
    codes: [-115, -124],
    why: 'needs a JAAS login of the server: without one each token is answered with 0 and no token',
  },
]

/** Every pair that a run must see. */
export function possiblePairs(): Map<string, Set<number>> {
  const out = new Map<string, Set<number>>()
  for (const [key, codes] of Object.entries(POSSIBLE)) out.set(key, new Set(codes))
  for (const [key, codes] of out) if (isRequest(key) && key !== '100' && key !== '102') codes.add(UNAUTHENTICATED)
  return out
}

export function explanation(key: string, code: number): string | null {
  return EXPLAINED.find((e) => e.keys(key) && e.codes.includes(code))?.why ?? null
}

/** The key under which an answer to a request of this type is counted; `op` may be "14/1". */
export function matrixKey(op: string): string {
  return isRequest(op) && POSSIBLE[op] === undefined ? 'unknown' : op
}

export interface Verdict {
  readonly lines: string[]
  readonly seen: number
  /** Pairs to be seen that were not. */
  readonly unseen: string[]
  /** Pairs seen that the lists above lack. */
  readonly unlisted: string[]
}

export function judge(matrix: Matrix): Verdict {
  const possible = possiblePairs()
  const lines: string[] = []
  const unseen: string[] = []
  const unlisted: string[] = []
  let seen = 0
  const keys = [...new Set([...possible.keys(), ...matrix.keys()])]
  for (const key of keys.sort((x, y) => (opPath(x) < opPath(y) ? -1 : 1))) {
    const wanted = possible.get(key) ?? new Set<number>()
    const counts = matrix.get(key) ?? new Map<number, number>()
    const cells: string[] = []
    for (const code of [...new Set([...wanted, ...counts.keys()])].sort((x, y) => y - x)) {
      const n = counts.get(code) ?? 0
      if (n > 0) seen++
      if (n === 0) unseen.push(`${opPath(key)} ${code}`)
      else if (!wanted.has(code) && explanation(key, code) === null) unlisted.push(`${opPath(key)} ${code}`)
      cells.push(n === 0 ? `${code}:UNSEEN` : wanted.has(code) ? `${code}:${n}` : `${code}:${n} (besides)`)
    }
    const other = EXPLAINED.flatMap((e) => (e.keys(key) ? e.codes.filter((c) => !counts.has(c)) : []))
    lines.push(`  ${opPath(key).padEnd(28)} ${cells.join('  ')}${other.length > 0 ? `  [${other.join(' ')}]` : ''}`)
  }
  lines.push('', 'in brackets: not reachable here')
  for (const e of EXPLAINED) lines.push(`  ${e.codes.join(' ').padEnd(28)} ${e.why}`)
  return { lines, seen, unseen, unlisted }
}
