/** Transactions: each sub-operation allowed and not allowed, failing at any position, nested, unterminated. */
import type { Random } from './random.ts'
import type { Operation, Request } from './steps.ts'
import { aclList, anyPath, data, flags, OPEN_ACL, path, ttl, version } from './values.ts'

export function multi(r: Random): Request {
  const subs: Operation[] = []
  const maker = r.chance(50) ? easy : sub
  for (
    let n = r.weighted([
      [1, 0],
      [3, 1],
      [6, 2],
      [5, 3],
      [2, 6],
    ]);
    n > 0;
    n--
  )
    subs.push(maker(r))
  // One sub-operation that belongs elsewhere spoils the whole request.
  if (r.chance(4)) subs.splice(r.below(subs.length + 1), 0, foreign(r))
  return { op: 14, subs, ...(r.chance(1) ? { open: true } : {}) }
}

/** Sub-operations that succeed whenever the few nodes they need are there. */
function easy(r: Random): Operation {
  return r.weighted<Operation>([
    [4, { op: r.pick([1, 15]), path: `${path(r)}/m`, data: data(r), flags: r.pick([2, 3]) }],
    [3, { op: 13, path: '$', version: r.pick([-1, -1, 0]) }],
    [3, { op: 5, path: '$', data: data(r), version: -1 }],
    [4, { op: 5, path: path(r), data: data(r), version: -1 }],
    [2, { op: 19, path: `${path(r)}/k`, flags: r.pick([0, 2]) }],
    [2, { op: 21, path: `${path(r)}/t`, flags: r.pick([6, 6, 0, 2]), ttl: 3_600_000 }],
    [2, { op: 1, path: path(r), data: data(r), flags: r.pick([0, 1, 4]) }],
    [2, { op: 2, path: path(r), version: -1 }],
  ])
}

function sub(r: Random): Operation {
  const op = r.weighted([
    [6, 1],
    [4, 15],
    [5, 2],
    [6, 5],
    [5, 13],
    [1, 19],
    [1, 21],
  ])
  if (op === 2 || op === 13) return { op, path: anyPath(r, 2), version: version(r) }
  if (op === 5) return { op, path: anyPath(r, 2), data: data(r), version: version(r) }
  const out: Operation = {
    op,
    path: anyPath(r, 2),
    data: data(r),
    acl: r.chance(92) ? OPEN_ACL : aclList(r),
    flags: r.chance(95) ? r.pick([0, 0, 0, 1, 2, 3, 4]) : flags(r),
  }
  if (op === 21) {
    out.flags = r.chance(80) ? r.pick([5, 6]) : flags(r)
    out.ttl = ttl(r)
  }
  return out
}

function foreign(r: Random): Operation {
  return r.pick<Operation>([
    { op: 7, path: path(r) },
    { op: 4, path: path(r), watch: 0 },
    { op: 8, path: path(r), watch: 0 },
    { op: 3, path: path(r), watch: 0 },
    { op: 14, subs: [] },
    { op: 14, subs: [{ op: 13, path: path(r) }] },
    { op: 20, path: path(r) },
    { op: -1 },
    { op: 0 },
    { op: -11 },
    { op: 99 },
    { op: 1, path: null },
    { op: 13, path: null },
    { op: 16 },
  ])
}

export function multiRead(r: Random): Request {
  const subs: Operation[] = []
  for (
    let n = r.weighted([
      [1, 0],
      [3, 1],
      [6, 2],
      [3, 4],
    ]);
    n > 0;
    n--
  ) {
    subs.push({ op: r.pick([4, 8]), path: anyPath(r, 2), watch: r.pick([0, 1]) })
  }
  if (r.chance(4))
    subs.splice(
      r.below(subs.length + 1),
      0,
      r.pick<Operation>([
        { op: 3, path: path(r) },
        { op: 12, path: path(r) },
        { op: 5, path: path(r) },
        { op: 13, path: path(r) },
        { op: 6, path: path(r) },
      ]),
    )
  return { op: 22, subs }
}
