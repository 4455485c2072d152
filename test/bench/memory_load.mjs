/** Fills a server with znodes of 100 bytes through the raw protocol, and empties it again; for memory.mjs and startup.mjs. */
import { code, WireClient } from '../durability/wire.mjs'

const DATA = Buffer.alloc(100, 'z')
const NOTHING = Buffer.alloc(0)
const PER_PARENT = 1_000
const UNDER_WAY = 256

/** Makes `count` znodes `/bench/parent-NNNNNN/znode-NNNNNNNNN`, a thousand to a parent. */
export async function fill(port, count) {
  await withClient(port, async (client) => {
    await must(client.create('/bench', NOTHING))
    await inParallel(parents(count), (path) => must(client.create(path, NOTHING)))
    await inParallel(znodes(count), (path) => must(client.create(path, DATA)))
  })
}

export async function empty(port, count) {
  await withClient(port, async (client) => {
    await inParallel(znodes(count), (path) => must(client.delete(path)))
    await inParallel(parents(count), (path) => must(client.delete(path)))
    await must(client.delete('/bench'))
  })
}

/** How many znodes `fill` makes for `count`, parents included. */
export function znodesMade(count) {
  return 1 + Math.ceil(count / PER_PARENT) + count
}

function* parents(count) {
  for (let i = 0; i < count; i += PER_PARENT) yield parentOf(i)
}

function* znodes(count) {
  for (let i = 0; i < count; i++) yield `${parentOf(i)}/znode-${String(i).padStart(9, '0')}`
}

function parentOf(i) {
  return `/bench/parent-${String(Math.floor(i / PER_PARENT)).padStart(6, '0')}`
}

async function withClient(port, work) {
  const client = await WireClient.connect({ port, timeoutMs: 60_000 })
  try {
    await work(client)
  } finally {
    await client.close()
  }
}

async function must(reply) {
  const { err } = await reply
  if (err !== code.ok) throw new Error(`a write was answered with ${err}`)
}

/** Works through `items` with a bounded number under way. */
async function inParallel(items, work) {
  const lane = async () => {
    for (const item of items) await work(item)
  }
  await Promise.all(Array.from({ length: UNDER_WAY }, lane))
}
