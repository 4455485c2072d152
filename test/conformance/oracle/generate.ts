/**
 * Seed to sequence. Each sequence has a theme, so that requests of one kind come close enough together to meet: random mixing
 * of everything reaches only shallow states. What would make the reference exit, or answer by chance, is not generated; see
 * differences.ts.
 */
import { multi, multiRead } from './multis.ts'
import { atTheEdge, makeQuota } from './quotas.ts'
import { Random } from './random.ts'
import type { Operation, Part, Request, Sequence, Step, Text } from './steps.ts'
import {
  AUTHS,
  aclList,
  anyPath,
  data,
  FATAL_AUTHS,
  flags,
  hugeData,
  OPEN_ACL,
  oddData,
  oddPath,
  path,
  systemPath,
  timeoutMs,
  ttl,
  version,
  xid,
  zxidRef,
} from './values.ts'
import { WORDS } from './words.ts'

type Maker = (r: Random) => Request
type Makers = readonly (readonly [number, Maker])[]

const create: Maker = (r) => {
  const op = r.weighted([
    [4, 1],
    [5, 15],
    [1, 19],
    [1, 21],
  ])
  return createOf(r, op, r.chance(85) ? OPEN_ACL : aclList(r))
}

function createOf(r: Random, op: number, acl: Request['acl']): Request {
  const out: Request = { op, path: anyPath(r), data: r.chance(2) ? oddData(r) : data(r), acl: acl!, flags: flags(r) }
  if (op === 21) {
    out.flags = r.weighted([
      [5, 5],
      [5, 6],
      [1, flags(r)],
    ])
    out.ttl = ttl(r)
    // Flags without a TTL and a negative ttl make the reference exit.
    if (out.flags !== 5 && out.flags !== 6 && out.ttl < 0) out.ttl = 1
  }
  return out
}

const createAcl: Maker = (r) => createOf(r, r.pick([1, 15, 19, 21]), aclList(r))
const ephemeral: Maker = (r) => ({ op: r.pick([1, 15]), path: anyPath(r, 1), data: data(r), flags: r.pick([1, 1, 3]) })
const sequential: Maker = (r) => ({
  op: r.pick([1, 15, 19]),
  path: `${path(r)}/${r.pick(['', 'n', 's-'])}`,
  flags: r.pick([2, 2, 3]),
})
const remove: Maker = (r) => ({ op: 2, path: anyPath(r), version: version(r) })
const removeSystem: Maker = (r) => ({ op: 2, path: systemPath(r), version: r.pick([-1, 0]) })
const set: Maker = (r) => ({ op: 5, path: anyPath(r), data: r.chance(2) ? oddData(r) : data(r), version: version(r) })
const setSystem: Maker = (r) => ({
  op: 5,
  path: r.pick(['', '/zookeeper/config', '/no', 'x']),
  data: 'x',
  version: version(r),
})
const setAcl: Maker = (r) => ({ op: 7, path: anyPath(r), acl: aclList(r, 10), version: version(r) })
const watching = (r: Random): number =>
  r.weighted([
    [4, 0],
    [5, 1],
    [1, r.pick([2, 255])],
  ])
const read: Maker = (r) => ({ op: r.pick([3, 4, 8, 12]), path: anyPath(r), watch: watching(r) })
const watch: Maker = (r) => ({ op: r.pick([3, 3, 4, 4, 8, 12]), path: anyPath(r, 1), watch: 1 })
const readSystem: Maker = (r) => ({ op: r.pick([3, 4, 6, 8, 12, 104]), path: systemPath(r), watch: 0 })
const getAcl: Maker = (r) => ({ op: 6, path: anyPath(r) })
const count: Maker = (r) => ({ op: 104, path: anyPath(r) })
const ephemerals: Maker = (r) => ({
  op: 103,
  path: r.chance(50)
    ? r.pick<Text>(['', '/', ' ', null, '  / ', '$', '$/', '$/a', '/q', 'x', '\u00a0', '\u2003', '\t'])
    : anyPath(r),
})
const sync: Maker = (r) => ({ op: 9, path: anyPath(r, 20) })
const ping: Maker = (r) => (r.chance(80) ? { op: 11 } : { op: 11, xid: xid(r) })
const whoAmI: Maker = () => ({ op: 107 })
const addWatch: Maker = (r) => ({
  op: 106,
  path: anyPath(r, 3),
  mode: r.chance(92) ? r.pick([0, 1]) : r.pick([2, -1, 3, 99]),
})
const checkWatch: Maker = (r) => ({
  op: r.pick([17, 17, 18]),
  path: anyPath(r, 2),
  type: r.chance(94) ? r.between(1, 5) : r.pick([0, 6, -1]),
})
const reconfig: Maker = (r) => ({
  op: 16,
  joining: r.pick<Text>([null, 'server.1=localhost:1:2;3', 'x', '']),
  leaving: r.pick<Text>([null, '1', 'x']),
  members: r.pick<Text>([null, null, 'server.1=localhost:1:2;3', 'x=y']),
  version: r.pick([-1, 0, 5]),
})
const sasl: Maker = (r) => ({ op: 102, token: r.pick<Text>(['', 'x', null, { hex: '00ff' }]) })
const auth: Maker = (r) => ({ op: 100, ...r.pick(AUTHS), ...(r.chance(90) ? {} : { type: r.pick([1, -1]) }) })
const fatalAuth: Maker = (r) => ({ op: 100, ...r.pick(FATAL_AUTHS) })
const setWatches: Maker = (r) => {
  const list = (): Text[] | null => {
    if (r.chance(3)) return null
    const out: Text[] = []
    for (
      let n = r.weighted([
        [5, 0],
        [4, 1],
        [2, 2],
        [1, 4],
      ]);
      n > 0;
      n--
    )
      out.push(r.chance(2) ? oddPath(r) : path(r))
    return out
  }
  return {
    op: r.pick([101, 105, 105]),
    zxid: zxidRef(r),
    lists: [list(), list(), list(), list(), list()],
    ...(r.chance(70) ? { xid: -8 } : {}),
  }
}
const strange: Maker = (r) => ({
  op: r.pick([0, -1, 10, 13, 23, 99, 108, 1000, -2, -12, 2147483647, -2147483648]),
  path: path(r),
})
/** Every type, with arguments that matter little. */
const anyOp: Maker = (r) => ({
  op: r.pick([
    1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 99, 101, 103, 104, 105, 106, 107, -10,
    -11,
  ]),
  path: '$/a',
})

/** What only a server should ask for: a deliberate difference, sent for the sake of the reference's answers. */
function serverOnly(r: Random): Step[] {
  const send = (one: Request): Step => ({ do: 'send', c: 0, r: one })
  const container: Request = { op: 20, path: '$/k' }
  return r.weighted<() => Step[]>([
    [2, () => [send({ op: -10, ...(r.chance(50) ? { tail: '00007530' } : {}) })]],
    [1, () => [send(container)]],
    [1, () => [send({ ...container, cut: r.pick([1, 4, 100]) })]],
    [1, () => [send({ ...container, path: r.pick(['/', 'k', '/zookeeper', '$/k\u0000']) })]],
    [1, () => [send({ op: 19, path: '$/k' }), send(container)]],
    [1, () => [send({ op: 1, path: '$/k' }), send({ op: 1, path: '$/k/k' }), send(container)]],
    [1, () => [send({ op: 1, path: '$/k', flags: 1 }), send(container)]],
  ])()
}

/** Cuts or lengthens what another maker made. */
const malformed: Maker = (r) => {
  const made = r.pick([
    create,
    remove,
    set,
    setAcl,
    read,
    watch,
    getAcl,
    sync,
    addWatch,
    checkWatch,
    setWatches,
    count,
    multi,
    multiRead,
    whoAmI,
    ephemerals,
    sasl,
    reconfig,
  ])(r)
  if (r.chance(35)) return { ...made, tail: r.pick(['00', 'ffffffff', '0000000100', 'deadbeefdeadbeef']) }
  return {
    ...made,
    cut: r.weighted([
      [3, 1],
      [2, 4],
      [2, r.between(1, 12)],
      [1, 1000],
    ]),
  }
}

const huge: Maker = (r) => ({ op: r.pick([1, 5, 15]), path: '$/a', data: hugeData(r, 1_048_575, 60) })
const smallHuge: Maker = (r) => ({
  op: r.pick([1, 5, 15, 3, 4, 14]),
  path: r.chance(50) ? { fill: '$/a', times: r.between(100, 400) } : '$/a',
  data: { fill: 'z', times: r.between(1380, 1520) },
  subs: [{ op: 5, path: '$/a', data: { fill: 'z', times: r.between(1380, 1520) } }],
})

const THEMES: { [name: string]: readonly (readonly [number, Maker])[] } = {
  mixed: [
    [14, create],
    [6, ephemeral],
    [6, sequential],
    [10, remove],
    [10, set],
    [4, setAcl],
    [14, read],
    [3, getAcl],
    [2, count],
    [2, ephemerals],
    [2, sync],
    [2, ping],
    [1, whoAmI],
    [4, addWatch],
    [4, checkWatch],
    [3, setWatches],
    [6, multi],
    [3, multiRead],
    [3, auth],
    [2, malformed],
  ],
  watches: [
    [14, create],
    [4, ephemeral],
    [2, sequential],
    [14, remove],
    [10, set],
    [1, setAcl],
    [16, watch],
    [8, addWatch],
    [8, checkWatch],
    [5, setWatches],
    [6, multi],
    [1, ping],
  ],
  acl: [
    [8, createAcl],
    [4, create],
    [4, remove],
    [4, set],
    [10, setAcl],
    [8, read],
    [6, getAcl],
    [8, auth],
    [3, watch],
    [2, addWatch],
    [3, multi],
    [2, multiRead],
    [2, whoAmI],
    [1, count],
  ],
  multi: [
    [6, create],
    [3, remove],
    [2, set],
    [1, setAcl],
    [30, multi],
    [6, multiRead],
    [4, watch],
    [2, addWatch],
    [2, read],
    [1, auth],
  ],
  sequence: [
    [6, create],
    [16, sequential],
    [8, ephemeral],
    [8, remove],
    [3, read],
    [3, ephemerals],
    [6, multi],
    [2, count],
  ],
  odd: [
    [8, malformed],
    [6, create],
    [3, remove],
    [3, set],
    [3, setAcl],
    [5, read],
    [3, sync],
    [2, sasl],
    [2, reconfig],
    [2, removeSystem],
    [2, setSystem],
    [4, readSystem],
    [2, ephemerals],
    [3, multi],
    [2, multiRead],
    [2, setWatches],
  ],
}

/** Requests that are safe behind others in one packet; see "not sent" in differences.ts. */
const BURST: readonly (readonly [number, Maker])[] = [
  [10, (r) => ({ op: r.pick([1, 15]), path: anyPath(r), data: data(r), flags: r.pick([0, 0, 1, 2, 3, 7]) })],
  [4, sequential],
  [6, remove],
  [6, set],
  [10, read],
  [2, getAcl],
  [1, count],
  [1, ephemerals],
  [2, sync],
  [2, ping],
  [3, addWatch],
  [2, checkWatch],
  [2, setWatches],
  [4, multi],
  [2, multiRead],
  [1, whoAmI],
]

export function generate(seed: number, profile: string): Sequence {
  const r = new Random(seed)
  const steps: Step[] = []
  const sessions = r.weighted([
    [4, 1],
    [4, 2],
    [2, 3],
    [1, 4],
  ])
  for (let s = 0; s < sessions; s++) steps.push(...open(r, s, s, 'new', profile))
  // Where the reference's answer depends on what is applied already, writes go one by one.
  const limited = profile === 'rich' && r.chance(15)
  const single = limited || profile === 'overflow'
  const limits = limited ? makeQuota(r) : null
  if (limits !== null) steps.push(...limits.steps)
  if (r.chance(85)) steps.push(...ground(r, single))
  const theme = r.pick(Object.keys(THEMES))
  const makers = THEMES[theme]!
  const length = r.between(40, 130)
  for (let i = 0; i < length; i++) {
    if (limits !== null && r.chance(30)) steps.push({ do: 'send', c: r.below(sessions), r: atTheEdge(r, limits.quota) })
    else steps.push(...next(r, sessions, makers, profile, single))
  }
  if (r.chance(1)) steps.push(...serverOnly(r))
  return { seed, profile, steps }
}

/** Some nodes to begin with: on empty ground most requests would only learn that nothing is there. */
function ground(r: Random, single: boolean): Step[] {
  const rs: Request[] = []
  for (const at of ['$/a', '$/b', '$/c', '$/a/a', '$/a/b', '$/b/a']) {
    if (r.chance(60))
      rs.push({
        op: r.weighted([
          [4, 1],
          [1, 19],
        ]),
        path: at,
        data: data(r),
        flags: r.chance(90) ? 0 : 2,
      })
  }
  if (single) return rs.map((one): Step => ({ do: 'send', c: 0, r: one }))
  return [{ do: 'burst', c: 0, rs }]
}

function open(r: Random, c: number, s: number, how: 'new' | 'attach', profile: string): Step[] {
  const steps: Step[] = [
    {
      do: 'connect',
      c,
      s,
      how,
      timeoutMs: timeoutMs(r),
      ...(r.chance(15) ? { readOnly: r.pick(['absent', 'yes'] as const) } : {}),
    },
  ]
  if (profile === 'enforce' && r.chance(95))
    steps.push({ do: 'send', c, r: { op: 100, scheme: 'digest', token: r.pick(['u1:p1', 'u2:p2']) } })
  else if (r.chance(25)) steps.push({ do: 'send', c, r: auth(r) })
  return steps
}

function next(r: Random, sessions: number, makers: Makers, profile: string, single: boolean): Step[] {
  const c = r.below(sessions)
  if (!single && r.chance(6)) {
    const rs: Request[] = []
    for (let n = r.between(2, 12); n > 0; n--) {
      const request = r.weighted(BURST)(r)
      if (profile !== 'small' || small(request)) rs.push(request)
    }
    const split = r.chance(12) ? r.between(1, 9) : 0
    return [{ do: 'burst', c, rs, ...(split > 0 ? { split } : {}) }]
  }
  if (!single && sessions > 1 && profile !== 'small' && profile !== 'enforce' && r.chance(1))
    return together(r, sessions)
  if (r.chance(3)) return lifecycle(r, c, sessions, profile)
  if (r.chance(0.6)) return [{ do: 'word', word: r.pick(WORDS) }]
  if (profile === 'enforce' && r.chance(2))
    return [
      { do: 'connect', c, s: c, how: 'attach', timeoutMs: 30_000 },
      { do: 'send', c, r: anyOp(r) },
      ...open(r, c, c, 'attach', profile),
    ]
  if (profile === 'small' && r.chance(10))
    return [{ do: 'send', c, r: smallHuge(r) }, ...open(r, c, c, 'attach', profile)]
  if (r.chance(0.02)) return [{ do: 'send', c, r: huge(r) }, ...open(r, c, c, 'attach', profile)]
  const request = r.weighted(makers)(r)
  if (request.xid === undefined && r.chance(2)) request.xid = xid(r)
  return [{ do: 'send', c, r: request }]
}

/** All sessions at once, each below a node that only it changes. */
function together(r: Random, sessions: number): Step[] {
  const steps: Step[] = []
  const parts: Part[] = []
  for (let c = 0; c < sessions; c++) {
    for (const path of [`$/t${c}`, `$/t${c}/t`]) steps.push({ do: 'send', c: 0, r: { op: 1, path } })
    const rs: Request[] = []
    for (let n = r.between(2, 16); n > 0; n--) {
      const request = r.weighted(BURST)(r)
      if (confined(request)) rs.push(request)
    }
    parts.push({ c, under: `$/t${c}/t`, rs })
  }
  return [...steps, { do: 'together', parts }]
}

/** Does it name paths below the prefix only, and no zxid? */
function confined(one: Operation): boolean {
  if (one.lists !== undefined) return false
  if (one.path !== undefined && !(typeof one.path === 'string' && one.path.startsWith('$'))) return false
  return one.subs?.every(confined) ?? true
}

/** Surely within a frame limit of 1500: past the limit the connection ends somewhere amid the packet. */
function small(request: Request): boolean {
  const text = JSON.stringify(request)
  return text.length < 700 && !text.includes('"times":')
}

/** Connections and sessions that begin, end, move and are refused. */
function lifecycle(r: Random, c: number, sessions: number, profile: string): Step[] {
  const again = (): Step[] => open(r, c, c, 'attach', profile)
  const spare = sessions + r.below(2)
  return r.weighted<() => Step[]>([
    [6, () => [{ do: 'drop', c }, ...again()]],
    [4, again],
    [
      3,
      () => [
        { do: 'send', c, r: { op: -11 } },
        { do: 'send', c, r: { op: 11 } },
        ...open(r, c, c, r.pick(['new', 'attach'] as const), profile),
      ],
    ],
    [2, () => [{ do: 'burst', c, rs: [{ op: 4 }, { op: -11 }] }, ...open(r, c, c, 'new', profile)]],
    // A second connection of the session: the first is closed.
    [
      3,
      () => [
        { do: 'connect', c: spare, s: c, how: 'attach', timeoutMs: timeoutMs(r) },
        { do: 'send', c, r: { op: 11 } },
        { do: 'send', c: spare, r: watch(r) },
        ...again(),
      ],
    ],
    [
      3,
      () => [
        {
          do: 'connect',
          c: spare,
          s: c,
          how: 'attach',
          timeoutMs: timeoutMs(r),
          password: r.pick(['wrong', 'short', 'null', 'empty'] as const),
        },
        ...again(),
      ],
    ],
    [2, () => [{ do: 'connect', c: spare, s: spare, how: 'unknown', timeoutMs: timeoutMs(r) }]],
    [
      2,
      () => [
        {
          do: 'connect',
          c: spare,
          s: spare,
          how: 'new',
          timeoutMs: timeoutMs(r),
          password: r.pick(['null', 'empty', 'short'] as const),
          protocol: r.pick([0, 7, -1]),
        },
      ],
    ],
    [
      2,
      () => [
        {
          do: 'connect',
          c: spare,
          s: c,
          how: r.pick(['new', 'attach'] as const),
          timeoutMs: timeoutMs(r),
          zxid: r.pick(['ahead', 'max', 'minus'] as const),
        },
        ...again(),
      ],
    ],
    [3, () => [{ do: 'send', c, r: strange(r) }, ...again()]],
    [2, () => [{ do: 'send', c, r: fatalAuth(r) }, ...again()]],
    [2, () => [{ do: 'send', c, r: { op: 100, cut: r.pick([1, 4, 8, 100]) } }, ...again()]],
    [1, () => [{ do: 'send', c, r: { op: 102, cut: r.pick([1, 4]) } }, ...again()]],
    [
      3,
      () => [
        {
          do: 'raw',
          c,
          hex: r.pick([
            '00000000',
            'ffffffff',
            '80000000',
            '7fffffff',
            '00100000',
            '0000000400000001',
            '0000000700000001000000',
            '72756f6b',
          ]),
          close: true,
        },
        ...again(),
      ],
    ],
    [
      1,
      () => [
        { do: 'raw', c, hex: r.pick(['00', '0000002c00000001', '000000200000000500000001']) },
        { do: 'drop', c },
        ...again(),
      ],
    ],
    [1, () => [{ do: 'send', c, r: sasl(r) }]],
  ])()
}

export type { Operation }
