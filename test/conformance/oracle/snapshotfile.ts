/**
 * A crafted snapshot for what no client can reach in reasonable time: parents `/m0` ... whose count of created children is
 * next to the greatest int32, so that sequence suffixes overflow. Format of FileSnap, sections 1 to 6 (header, sessions,
 * ACLs, nodes, terminator, seal); the digest sections are optional on reading.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writer } from './wire.ts'

/** Sequences of the crafted profile run under /m<n>, n below this. */
export const CRAFTED_PARENTS = 400

const ZXID = 0x100

export function writeSequenceSnapshot(versionDir: string): void {
  const w = new Writer('')
  w.int(0x5a4b534e).int(2).long(-1) // ZKSN, version, dbid
  w.int(0) // sessions
  w.int(1).long(1).int(1).int(1).text('world').text('anyone') // ACL 1: world READ, for the config node
  node(w, '', -1, 0)
  node(w, '/zookeeper', -1, 0)
  node(w, '/zookeeper/quota', -1, 0)
  node(w, '/zookeeper/config', 1, 0)
  for (let i = 0; i < CRAFTED_PARENTS; i++) node(w, `/m${i}`, -1, 0x7fff_ffff - (i % 5))
  w.text('/')
  const body = w.end()
  writeFileSync(
    join(versionDir, `snapshot.${ZXID.toString(16)}`),
    new Writer('').raw(body).long(adler32(body)).text('/').end(),
  )
}

function node(w: Writer, path: string, aclId: number, cversion: number): void {
  w.text(path).bytes(Buffer.alloc(0)).long(aclId)
  w.long(0).long(0).long(0).long(0) // czxid, mzxid, ctime, mtime
  w.int(0)
    .int(cversion)
    .int(path === '/zookeeper/config' ? -1 : 0)
  w.long(0).long(0) // ephemeralOwner, pzxid
}

function adler32(bytes: Buffer): bigint {
  let a = 1
  let b = 0
  for (const byte of bytes) {
    a = (a + byte) % 65521
    b = (b + a) % 65521
  }
  return (BigInt(b) << 16n) | BigInt(a)
}
