/** The cases of `zoowarden bench`, and how each is run. */

import { OpCode } from '../../jute/codes.ts'
import { textToBytes } from '../../jute/text.ts'
import {
  type Address,
  churn,
  closedLoop,
  createAll,
  deleteAll,
  type MakeRequest,
  type Measured,
  type Window,
  watchRounds,
} from './load.ts'
import { sendCreate, sendDelete, sendMultiSet, sendRead, sendSet } from './requests.ts'

/** What a case finds: znodes of 100 bytes below a folder of its own, which is removed afterwards. */
export interface Ground {
  readonly addresses: readonly Address[]
  readonly window: Window
  readonly root: string
  readonly keys: readonly Uint8Array[]
  readonly data: Uint8Array
  /** Paths that the case has made, to be removed. */
  readonly made: Uint8Array[]
}

export interface BenchCase {
  readonly name: string
  readonly title: string
  readonly run: (ground: Ground) => Promise<Measured>
}

const DATA_BYTES = 100
const CHILDREN = 100

const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!

type Make = (ground: Ground) => MakeRequest

const get: Make =
  ({ keys }) =>
  (conn, xid) => {
    sendRead(conn, xid, OpCode.getData, any(keys))
    return true
  }
const exists: Make =
  ({ keys }) =>
  (conn, xid) => {
    sendRead(conn, xid, OpCode.exists, any(keys))
    return true
  }
const set: Make =
  ({ keys, data }) =>
  (conn, xid) => {
    sendSet(conn, xid, any(keys), data)
    return true
  }
const create: Make =
  ({ root, data, made }) =>
  (conn, xid, n) => {
    const path = textToBytes(`${root}/new-${String(n).padStart(9, '0')}`)
    made.push(path)
    sendCreate(conn, xid, path, data)
    return true
  }
const remove: Make =
  ({ made }) =>
  (conn, xid, n) => {
    const path = made[n]
    if (path === undefined) return false
    sendDelete(conn, xid, path)
    return true
  }
const multi: Make =
  ({ keys, data }) =>
  (conn, xid) => {
    sendMultiSet(
      conn,
      xid,
      Array.from({ length: 10 }, () => any(keys)),
      data,
    )
    return true
  }
const mixed =
  (readShare: number): Make =>
  (ground) => {
    const [read, write] = [get(ground), set(ground)]
    return (conn, xid, n) => (Math.random() < readShare ? read : write)(conn, xid, n)
  }

function loop(name: string, title: string, conns: number, depth: number, make: Make): BenchCase {
  const run = (ground: Ground): Promise<Measured> =>
    closedLoop(ground.addresses, conns, depth, ground.window, make(ground))
  return { name, title, run }
}

async function children(ground: Ground): Promise<Measured> {
  const parent = textToBytes(`${ground.root}/parent`)
  const paths = Array.from({ length: CHILDREN }, (_, i) => textToBytes(`${ground.root}/parent/child-${i}`))
  await createAll(ground.addresses[0]!, [parent, ...paths], ground.data)
  ground.made.push(...paths, parent)
  return closedLoop(ground.addresses, 32, 1, ground.window, (conn, xid) => {
    sendRead(conn, xid, OpCode.getChildren2, parent)
    return true
  })
}

/** What is to be deleted is made first: as much as a fast server takes away in the time. */
async function deletes(ground: Ground): Promise<Measured> {
  const count = Math.ceil((ground.window.warmupS + ground.window.seconds) * 30_000)
  const paths = Array.from({ length: count }, (_, i) => textToBytes(`${ground.root}/old-${String(i).padStart(9, '0')}`))
  await createAll(ground.addresses[0]!, paths, ground.data)
  ground.made.push(...paths)
  return closedLoop(ground.addresses, 32, 1, ground.window, remove(ground))
}

export const CASES: readonly BenchCase[] = [
  loop('get-1', 'one synchronous client reads', 1, 1, get),
  loop('get-32', '32 clients read', 32, 1, get),
  loop('get-32x16', '32 clients read, 16 requests outstanding each', 32, 16, get),
  loop('exists-32', '32 clients ask for Stats', 32, 1, exists),
  { name: 'children-100', title: '32 clients list 100 children', run: children },
  loop('set-1', 'one synchronous client writes', 1, 1, set),
  loop('set-32', '32 clients write', 32, 1, set),
  loop('set-32x16', '32 clients write, 16 requests outstanding each', 32, 16, set),
  loop('create-32', '32 clients create', 32, 1, create),
  { name: 'delete-32', title: '32 clients delete', run: deletes },
  loop('mixed-90-32', '32 clients, nine reads to a write', 32, 1, mixed(0.9)),
  loop('mixed-50-32', '32 clients, as many reads as writes', 32, 1, mixed(0.5)),
  loop('multi-10', '8 clients, transactions of ten writes', 8, 1, multi),
  {
    name: 'watch-100',
    title: '100 watchers of one znode, from the write until all are told',
    run: ({ addresses, keys, data, window }) => watchRounds(addresses, 100, keys[0]!, data, window),
  },
  {
    name: 'churn-8',
    title: 'sessions opened and closed, 8 at a time',
    run: ({ addresses, window }) => churn(addresses, 8, window),
  },
]

/** Runs one case on ground of its own, and leaves nothing behind. */
export async function runCase(
  each: BenchCase,
  addresses: readonly Address[],
  window: Window,
  keyCount: number,
): Promise<Measured> {
  const root = `/zoowarden-bench-${process.pid}-${Date.now().toString(36)}`
  const keys = Array.from({ length: keyCount }, (_, i) => textToBytes(`${root}/${String(i).padStart(8, '0')}`))
  const data = new Uint8Array(DATA_BYTES).map(() => Math.floor(Math.random() * 256))
  const top = textToBytes(root)
  const ground: Ground = { addresses, window, root, keys, data, made: [] }
  await createAll(addresses[0]!, [top, ...keys], data)
  try {
    return await each.run(ground)
  } finally {
    await deleteAll(addresses[0]!, [...ground.made, ...keys, top])
  }
}
