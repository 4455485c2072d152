import { describe, expect, test } from 'vitest'
import { type AclEntry, AclTable, decodeAcl, encodeAcl, OPEN_ACL, OPEN_ACL_ID } from '../../../src/datatree/acl.ts'
import { StorageError } from '../../../src/jute/errors.ts'
import { ProtocolError } from '../../../src/jute/input.ts'
import { Random } from './random.ts'

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const digest = (user: string, perms = 31): AclEntry => ({ perms, scheme: 'digest', id: `${user}:x` })

function intern(acls: AclTable, ...entries: AclEntry[]): number {
  const bytes = encodeAcl(entries)
  return acls.intern(bytes, 0, bytes.length)
}

describe('AclTable', () => {
  test('writes a list as jute does', () => {
    expect(encodeAcl(OPEN_ACL)).toEqual(hex('00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65'))
    expect(decodeAcl(encodeAcl(OPEN_ACL), 0, 27)).toEqual(OPEN_ACL)
  })

  test('numbers lists from 1 on, and equal ones alike, wherever their bytes lie', () => {
    const acls = new AclTable()
    expect(intern(acls, digest('a'))).toBe(1)
    expect(intern(acls, digest('b'))).toBe(2)
    const bytes = encodeAcl([digest('a')])
    const elsewhere = new Uint8Array(bytes.length + 9)
    elsewhere.set(bytes, 4)
    expect(acls.intern(elsewhere, 4, 4 + bytes.length)).toBe(1)
    expect(acls.idOf(elsewhere, 4, 4 + bytes.length)).toBe(1)
    expect(acls.size).toBe(2)
    expect(acls.entries(2)).toEqual([digest('b')])
  })

  test('keeps ids beyond U+FFFF, which Java writes as two surrogates of three bytes each', () => {
    const bytes = hex('00000001 0000001f 00000006 646967657374 00000008 eda0bd edb880 3a78') // digest, U+1F600, ":x"
    const acls = new AclTable()
    expect(acls.entries(acls.intern(bytes, 0, bytes.length))).toEqual([digest('\u{1f600}')])
    acls.load(7, bytes)
    expect(acls.entries(7)).toEqual([digest('\u{1f600}')])
    expect(acls.bytes(7)).toEqual(bytes)
  })

  test('gives the id of the open list to a null list only, as Java does', () => {
    const acls = new AclTable()
    expect(acls.intern(hex('ffffffff'), 0, 4)).toBe(OPEN_ACL_ID)
    expect(intern(acls, ...OPEN_ACL)).toBe(1)
    expect(acls.bytes(OPEN_ACL_ID)).toEqual(encodeAcl(OPEN_ACL))
    expect(acls.entries(OPEN_ACL_ID)).toEqual(OPEN_ACL)
    expect(intern(acls)).toBe(2)
    expect(acls.entries(2)).toEqual([])
  })

  test('tells apart lists by order, permissions and length', () => {
    const acls = new AclTable()
    const ids = [
      intern(acls, digest('a'), digest('b')),
      intern(acls, digest('b'), digest('a')),
      intern(acls, digest('a')),
      intern(acls, digest('a', 1)),
    ]
    expect(ids).toEqual([1, 2, 3, 4])
  })

  test('interns what Java would read, not the bytes that came', () => {
    const acls = new AclTable()
    // one ACL whose id is a byte that is no UTF-8; Java makes it U+FFFD
    const broken = hex('00000001 0000001f 00000002 6970 00000001 ff')
    const id = acls.intern(broken, 0, broken.length)
    expect(acls.entries(id)).toEqual([{ perms: 31, scheme: 'ip', id: '\ufffd' }])
    expect(acls.bytes(id)).toEqual(hex('00000001 0000001f 00000002 6970 00000003 efbfbd'))
    expect(acls.intern(broken, 0, broken.length)).toBe(id)
    expect(intern(acls, { perms: 31, scheme: 'ip', id: '\ufffd' })).toBe(id)
  })

  test('refuses bytes that are no list', () => {
    const acls = new AclTable()
    for (const bytes of [hex(''), hex('0000'), hex('00000001'), hex('00000001 0000001f 00000009 61')]) {
      expect(() => acls.intern(bytes, 0, bytes.length)).toThrow(ProtocolError)
    }
    expect(acls.size).toBe(0)
  })

  test('forgets a list with its last reference, and never uses its id again', () => {
    const acls = new AclTable()
    const a = intern(acls, digest('a'))
    acls.acquire(a)
    acls.acquire(a)
    acls.release(a)
    expect(acls.has(a)).toBe(true)
    acls.release(a)
    expect(acls.has(a)).toBe(false)
    expect(acls.size).toBe(0)
    expect(() => acls.bytes(a)).toThrow('no such ACL id')
    expect(intern(acls, digest('a'))).toBe(2)
  })

  test('keeps lists without references until they are purged', () => {
    const acls = new AclTable()
    const a = intern(acls, digest('a'))
    const b = intern(acls, digest('b'))
    acls.acquire(b)
    acls.purgeUnreferenced()
    expect([acls.has(a), acls.has(b)]).toEqual([false, true])
  })

  test('counts nothing for the open list', () => {
    const acls = new AclTable()
    acls.release(OPEN_ACL_ID)
    acls.acquire(OPEN_ACL_ID)
    expect(acls.has(OPEN_ACL_ID)).toBe(true)
    expect(acls.size).toBe(0)
  })

  test('goes on counting behind the highest id of a snapshot', () => {
    const acls = new AclTable()
    acls.load(7, encodeAcl([digest('a')]))
    acls.load(3, encodeAcl([digest('b')]))
    acls.load(OPEN_ACL_ID, encodeAcl(OPEN_ACL))
    expect(intern(acls, digest('a'))).toBe(7)
    expect(intern(acls, digest('c'))).toBe(8)
    expect(() => acls.load(3, encodeAcl([digest('d')]))).toThrow(StorageError)
    expect(() => acls.load(0, encodeAcl([digest('d')]))).toThrow(StorageError)
    expect(() => acls.load(2 ** 40, encodeAcl([digest('d')]))).toThrow(StorageError)
  })

  test('stands in for a list that a fuzzy snapshot lacks, closed to all and found by nobody', () => {
    const acls = new AclTable()
    acls.loadMissing(9)
    acls.acquire(9)
    expect(acls.entries(9)).toEqual([{ perms: 0, scheme: 'world', id: 'anyone' }])
    expect(intern(acls, { perms: 0, scheme: 'world', id: 'anyone' })).toBe(10)
    acls.release(9)
    expect(acls.has(9)).toBe(false)
    expect(acls.has(10)).toBe(true)
  })

  test('visits lists by ascending id', () => {
    const acls = new AclTable()
    for (const user of ['a', 'b', 'c']) intern(acls, digest(user))
    const seen: [number, AclEntry[]][] = []
    acls.forEach((id, bytes) => {
      seen.push([id, decodeAcl(bytes, 0, bytes.length)])
    })
    expect(seen).toEqual([
      [1, [digest('a')]],
      [2, [digest('b')]],
      [3, [digest('c')]],
    ])
  })

  test.each([1, 2])('agrees with a plain Map under random use, seed %i', (seed) => {
    const random = new Random(seed)
    const acls = new AclTable()
    const references = new Map<string, { id: number; count: number }>()
    for (let step = 0; step < 20_000; step++) {
      const user = `u${random.below(50)}`
      const known = references.get(user)
      if (random.below(2) === 0 || known === undefined) {
        const id = intern(acls, digest(user))
        acls.acquire(id)
        if (known === undefined) references.set(user, { id, count: 1 })
        else {
          expect(id).toBe(known.id)
          known.count++
        }
      } else {
        acls.release(known.id)
        known.count--
        if (known.count === 0) references.delete(user)
      }
      expect(acls.size).toBe(references.size)
    }
    for (const { id, count } of references.values()) expect(acls.references(id)).toBe(count)
  })
})
