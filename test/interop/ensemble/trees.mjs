/**
 * Are the members equal? By the digests that each lists for itself, and by everything a client can read from each.
 */
import { createHash } from 'node:crypto'
import { pipeline } from '../../durability/wire.mjs'
import { until } from './members.mjs'

const WIDTH = 32

/** Reads a member's whole tree through a session of its own; lines sorted by path. */
async function dump(member, passing) {
  const client = await member.connect()
  try {
    const lines = []
    await readBelow(client, '/', lines, passing)
    return lines.sort()
  } finally {
    await client.close()
  }
}

async function readBelow(client, path, lines, passing) {
  const [node, list, acl] = await Promise.all([client.getData(path), client.getChildren(path), client.getACL(path)])
  if (node.err !== 0 || list.err !== 0) return // it went while we looked: the lists will differ if it should not have
  const { stat } = node
  const data = node.data === null ? 'null' : createHash('sha1').update(node.data).digest('hex')
  if (path === '/zookeeper/config') stat.mtime = 0n // each member makes it when it starts, and tells nobody
  const words = Object.values(stat).map(String)
  const rights = (acl.acl ?? []).map((entry) => `${entry.perms}:${entry.scheme}:${entry.id}`)
  if (!passing(path)) lines.push(`${path} ${words.join(' ')} ${data} ${rights.sort().join(',')}`)
  const below = list.children.map((name) => (path === '/' ? `/${name}` : `${path}/${name}`))
  await pipeline(below, WIDTH, (child) => readBelow(client, child, lines, passing))
}

/** zxid -> digest, of the newest transactions that the member keeps count of. */
async function digests(member) {
  const text = await member.ask('hash')
  const rows = text.matchAll(/^(?:0x)?([0-9a-f]+): (\S+)$/gm)
  return new Map([...rows].map((row) => [row[1], row[2]]))
}

/** Waits until all have applied as much, then compares; throws on the first difference. */
export async function expectEqual(members, passing = () => false) {
  await level(members)
  await expectEqualDigests(members)
  const [first, ...others] = await Promise.all(members.map((member) => dump(member, passing)))
  for (const [i, lines] of others.entries()) {
    const at = lines.findIndex((line, n) => line !== first[n])
    if (at < 0 && lines.length === first.length) continue
    const n = at < 0 ? Math.min(lines.length, first.length) : at
    throw new Error(`member ${members[0].name} has <${first[n]}>, member ${members[i + 1].name} has <${lines[n]}>`)
  }
  return first.length
}

async function expectEqualDigests(members) {
  const lists = await Promise.all(members.map(digests))
  for (const [i, list] of lists.entries()) {
    for (const [zxid, digest] of list) {
      const other = lists[0].get(zxid)
      if (other === undefined || other === digest) continue
      throw new Error(`at 0x${zxid} member ${members[0].name} has digest ${other}, member ${members[i].name} ${digest}`)
    }
  }
}

/** Every member stands at the same zxid: that of the end of a session, since an epoch alone is not told to all. */
async function level(members) {
  const client = await members[0].connect()
  await client.close()
  await until(`members ${members.map((m) => m.name).join(', ')} stand at one zxid`, async () => {
    const texts = await Promise.all(members.map((member) => member.ask('srvr')))
    const zxids = texts.map((text) => /^Zxid: (\S+)/m.exec(text)?.[1])
    return zxids[0] !== undefined && zxids.every((zxid) => zxid === zxids[0])
  })
}
