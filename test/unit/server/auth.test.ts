/** Schemes, ACL evaluation and the fix-up of ACLs: checkACL, fixupACL, IPAuthenticationProvider of Java. */

import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { AclTable, encodeAcl } from '../../../src/datatree/acl.ts'
import { Err, Perm } from '../../../src/jute/codes.ts'
import { Output } from '../../../src/jute/output.ts'
import { textToBytes } from '../../../src/jute/text.ts'
import { Auth, type AuthId, addAuthIds } from '../../../src/server/access/auth.ts'
import { hostAddress, isValidIpExpression, matchesIp } from '../../../src/server/access/ip.ts'

const digest = (text: string): string => `${text.split(':')[0]}:${createHash('sha1').update(text).digest('base64')}`

function makeAuth(acls: AclTable, over: Partial<ConstructorParameters<typeof Auth>[1]> = {}): Auth {
  return new Auth(acls, {
    skipACL: false,
    superDigest: null,
    superPassword: null,
    digestAuthEnabled: true,
    digest,
    aclBytesMax: 0xf_ffff,
    ensembleNames: null,
    x509: null,
    sasl: null,
    enforcedSchemes: [],
    ...over,
  })
}

type Raw = readonly [perms: number, scheme: string | null, id: string | null]

function vector(...entries: Raw[]): Uint8Array {
  const out = new Output()
  out.int(entries.length)
  for (const [perms, scheme, id] of entries) {
    out.int(perms)
    out.string(scheme)
    out.string(id)
  }
  return out.copy()
}

const me: AuthId[] = [
  { scheme: 'ip', id: '127.0.0.1' },
  { scheme: 'digest', id: 'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=' },
]

describe('ip expressions', () => {
  it('are IPv4 or IPv6 literals with a prefix length', () => {
    for (const good of [
      '1.2.3.4',
      '1.2.3.4/0',
      '1.2.3.4/32',
      '::1',
      '1:2:3:4:5:6:7:8',
      'fe80::/10',
      '::/128',
      '+1.2.3.4',
    ]) {
      expect(isValidIpExpression(good), good).toBe(true)
    }
    for (const bad of [
      '',
      'a',
      '1.2.3',
      '1.2.3.256',
      '1.2.3.4/33',
      '1.2.3.4/',
      '1.2.3.4/x',
      '1::2::3',
      '::1/129',
      '12345::',
      ':1',
      '1:2:3:4:5:6:7',
    ]) {
      expect(isValidIpExpression(bad), bad).toBe(false)
    }
  })

  it('match by masked prefix within one address family', () => {
    expect(matchesIp('10.1.2.3', '10.0.0.0/8')).toBe(true)
    expect(matchesIp('11.1.2.3', '10.0.0.0/8')).toBe(false)
    expect(matchesIp('10.1.2.3', '10.1.2.2/31')).toBe(true)
    expect(matchesIp('10.1.2.3', '0.0.0.0/0')).toBe(true)
    expect(matchesIp('10.1.2.3', '::/0')).toBe(false)
    expect(matchesIp('fe80:0:0:0:0:0:0:1', 'fe80::/10')).toBe(true)
  })

  it('see remote addresses as Java writes them', () => {
    expect(hostAddress('::ffff:127.0.0.1')).toBe('127.0.0.1')
    expect(hostAddress('::1')).toBe('0:0:0:0:0:0:0:1')
    expect(hostAddress('fe80::1%eth0')).toBe('fe80:0:0:0:0:0:0:1%eth0')
  })
})

describe('authentication', () => {
  it('gives the digest id of 3.9.5', () => {
    const auth = makeAuth(new AclTable())
    expect(auth.authenticate('digest', textToBytes('u:p'), '127.0.0.1')).toEqual([me[1]])
  })

  it('adds the super user only for the configured digest', () => {
    const auth = makeAuth(new AclTable(), { superDigest: digest('super:secret') })
    expect(auth.authenticate('digest', textToBytes('super:secret'), 'x')).toContainEqual({ scheme: 'super', id: '' })
    expect(auth.authenticate('digest', textToBytes('super:other'), 'x')).toHaveLength(1)
    expect(auth.authenticate('super', textToBytes('super:secret'), 'x')).toBe('failed')
  })

  it('fails for schemes that nobody provides', () => {
    const auth = makeAuth(new AclTable(), { digestAuthEnabled: false })
    for (const scheme of ['digest', 'world', 'sasl', 'auth', '', null]) {
      expect(auth.authenticate(scheme, textToBytes('u:p'), 'x')).toBe('failed')
    }
  })

  it('of the ensemble scheme only asks whether this is the right server', () => {
    const auth = makeAuth(new AclTable(), { ensembleNames: ['east', 'west'] })
    expect(auth.authenticate('ensemble', textToBytes('west'), 'x')).toEqual([])
    expect(auth.authenticate('ensemble', new Uint8Array(0), 'x')).toEqual([])
    expect(auth.authenticate('ensemble', textToBytes('north'), 'x')).toBe('wrong ensemble')
    expect(makeAuth(new AclTable()).authenticate('ensemble', textToBytes('west'), 'x')).toBe('failed')
  })

  it('keeps ids as a set and never changes a list that a request holds', () => {
    const more = addAuthIds(me, [me[1]!, { scheme: 'digest', id: 'v:x' }])
    expect(more).toHaveLength(3)
    expect(me).toHaveLength(2)
    expect(addAuthIds(me, [me[0]!])).toBe(me)
  })
})

describe('evaluation', () => {
  it('grants what an entry of the own scheme or world:anyone grants, and nothing else', () => {
    const acls = new AclTable()
    const auth = makeAuth(acls)
    const id = acls.internEntries([
      { perms: Perm.read, scheme: 'world', id: 'anyone' },
      { perms: Perm.write, scheme: 'digest', id: me[1]!.id },
      { perms: Perm.delete, scheme: 'ip', id: '127.0.0.0/8' },
      { perms: Perm.admin, scheme: 'world', id: 'somebody' },
      { perms: Perm.admin, scheme: 'nosuch', id: 'x' },
    ])
    expect(auth.allowed(id, Perm.read, [])).toBe(true)
    expect(auth.allowed(id, Perm.write, [])).toBe(false)
    expect(auth.allowed(id, Perm.write, me)).toBe(true)
    expect(auth.allowed(id, Perm.delete, me)).toBe(true)
    expect(auth.allowed(id, Perm.admin, [...me, { scheme: 'nosuch', id: 'x' }])).toBe(false)
    expect(auth.allowed(id, Perm.admin, [{ scheme: 'super', id: '' }])).toBe(true)
    expect(makeAuth(acls, { skipACL: true }).allowed(id, Perm.admin, [])).toBe(true)
  })

  it('masks digests from readers without ADMIN (X3)', () => {
    const acls = new AclTable()
    const auth = makeAuth(acls)
    const id = acls.internEntries([{ perms: Perm.read, scheme: 'digest', id: 'u:secret:x' }])
    const out = new Output()
    auth.writeVisibleAcl(out, id, [])
    expect(out.copy()).toEqual(encodeAcl([{ perms: Perm.read, scheme: 'digest', id: 'u:x' }]))
    out.clear()
    auth.writeVisibleAcl(out, id, [{ scheme: 'super', id: '' }])
    expect(out.copy()).toEqual(acls.bytes(id))
  })
})

describe('fix-up', () => {
  const fixup = (ids: readonly AuthId[], ...entries: Raw[]): number | readonly object[] => {
    const acls = new AclTable()
    const bytes = vector(...entries)
    const id = makeAuth(acls).fixup(bytes, 0, bytes.length, ids)
    return id < -1 ? id : acls.entries(id)
  }

  it('expands auth to the proved ids, not to the address', () => {
    expect(fixup(me, [31, 'auth', ''])).toEqual([{ perms: 31, scheme: 'digest', id: me[1]!.id }])
    expect(fixup(me.slice(0, 1), [31, 'auth', 'x'])).toBe(Err.invalidACL)
  })

  it('removes duplicates before the expansion and none behind it', () => {
    expect(fixup(me, [1, 'world', 'anyone'], [1, 'world', 'anyone'])).toHaveLength(1)
    expect(fixup(me, [1, 'auth', 'a'], [1, 'auth', 'b'])).toHaveLength(2)
  })

  it('refuses empty lists, unknown schemes and malformed ids', () => {
    expect(fixup(me)).toBe(Err.invalidACL)
    const bad: Raw[] = [
      [31, 'world', 'other'],
      [31, 'super', ''],
      [31, 'nosuch', 'x'],
      [31, null, 'x'],
      [31, 'digest', 'a'],
      [31, 'digest', 'a:'],
      [31, 'digest', 'a:b:c'],
      [31, 'ip', '1.2.3'],
      [31, 'sasl', 'u'],
    ]
    for (const entry of bad) expect(fixup(me, entry), JSON.stringify(entry)).toBe(Err.invalidACL)
    for (const id of ['a:b', ':b', 'a:b:'])
      expect(fixup(me, [31, 'digest', id])).toEqual([{ perms: 31, scheme: 'digest', id }])
  })

  it('answers a null id as Java does, with a marshalling error', () => {
    expect(fixup(me, [31, 'world', null])).toBe(Err.marshallingError)
    expect(fixup(me, [31, 'digest', null])).toBe(Err.marshallingError)
    expect(fixup(me, [31, 'nosuch', null])).toBe(Err.invalidACL)
  })

  it('stays bounded and quick however many entries there are (S9)', () => {
    const many = Array.from({ length: 30_000 }, (_, i): Raw => [i, 'world', 'anyone'])
    expect(fixup(me, ...many)).toHaveLength(30_000)
    const ids = Array.from({ length: 1000 }, (_, i) => ({ scheme: 'digest', id: `u${i}:x` }))
    expect(fixup(ids, ...many.map(([perms]): Raw => [perms, 'auth', '']))).toBe(Err.invalidACL)
  })

  it('keeps permission bits as they came', () => {
    expect(fixup(me, [255, 'world', 'anyone'])).toEqual([{ perms: 255, scheme: 'world', id: 'anyone' }])
  })
})
