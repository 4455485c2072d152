/** What is printed of a node. The expected texts were printed by Apache's client. */

import { describe, expect, test } from 'vitest'
import { parseTrack, trackText } from '../../../../src/cli/zkcli/quotacommands.ts'
import { aclText, dataJson, dataText, hexDump, parseAcl, permText, statText } from '../../../../src/cli/zkcli/texts.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('an ACL', () => {
  test('is printed as an Id with a line end, and its letters', () => {
    expect(aclText({ perms: 31, id: { scheme: 'world', id: 'anyone' } })).toBe("'world,'anyone\n: cdrwa")
    expect(aclText({ perms: 9, id: { scheme: 'digest', id: 'a,b%}:x=' } })).toBe("'digest,'a%2Cb%25%7D:x=\n: dr")
    expect(aclText({ perms: 0, id: { scheme: 'auth', id: '' } })).toBe("'auth,'\n: ")
  })

  test('is read from scheme:id:perms, ids with colons too', () => {
    const read = (text: string) => parseAcl(text, () => {}).map((entry) => aclText(entry))
    expect(read('world:anyone:r,digest:ann:aGFzaA==:cdrwa')).toEqual([
      "'world,'anyone\n: r",
      "'digest,'ann:aGFzaA==\n: cdrwa",
    ])
    expect(read('ip:::1:rw')).toEqual(["'ip,'::1\n: rw"])
    expect(read('auth::cdrwa,')).toEqual(["'auth,'\n: cdrwa"])
  })

  test('what is none is complained about and left out', () => {
    const complaints: string[] = []
    const acl = parseAcl('nonsense,world:anyone,world:anyone:rq', (line) => complaints.push(line))
    expect(acl.map(({ perms }) => permText(perms))).toEqual(['r'])
    expect(complaints).toEqual([
      'nonsense does not have the form scheme:id:perm',
      'world:anyone does not have the form scheme:id:perm',
      'Unknown perm type: q',
    ])
    complaints.length = 0
    expect(parseAcl('', (line) => complaints.push(line))).toEqual([])
    expect(complaints).toEqual([' does not have the form scheme:id:perm'])
  })
})

test('a Stat is eleven lines', () => {
  const stat = {
    czxid: 2,
    mzxid: 0x1_0000_0003,
    ctime: 0,
    mtime: 1000,
    version: 1,
    cversion: 2,
    aversion: 3,
    ephemeralOwnerHi: 0x1000,
    ephemeralOwnerLo: -1,
    dataLength: 4,
    numChildren: 5,
    pzxid: 10,
  }
  expect(statText(stat, (timeMs) => `at ${timeMs}`).split('\n')).toEqual([
    'cZxid = 0x2',
    'ctime = at 0',
    'mZxid = 0x100000003',
    'mtime = at 1000',
    'pZxid = 0xa',
    'cversion = 2',
    'dataVersion = 1',
    'aclVersion = 3',
    'ephemeralOwner = 0x1000ffffffff',
    'dataLength = 4',
    'numChildren = 5',
  ])
})

test('a hex dump has sixteen bytes a line, in a frame', () => {
  expect(hexDump(bytes('0123456789abcdefghij klmn\u0001'))).toBe(
    [
      '         +-------------------------------------------------+',
      '         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |',
      '+--------+-------------------------------------------------+----------------+',
      '|00000000| 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 |0123456789abcdef|',
      '|00000010| 67 68 69 6a 20 6b 6c 6d 6e 01                   |ghij klmn.      |',
      '+--------+-------------------------------------------------+----------------+',
    ].join('\n'),
  )
  expect(hexDump(new Uint8Array(0))).toBe('')
})

test('data is text for people; for programs it is text where it is text, and base64 elsewhere', () => {
  expect(dataText(null)).toBe('null')
  expect(dataText(bytes('ä'))).toBe('ä')
  expect(dataText(new Uint8Array([0xff]))).toBe('\ufffd')
  expect(dataJson(null)).toEqual({ data: null })
  expect(dataJson(bytes('ä'))).toEqual({ data: 'ä' })
  expect(dataJson(new Uint8Array([0xff, 0]))).toEqual({ dataBase64: '/wA=' })
})

describe('quotas', () => {
  test.each([
    ['count=2,bytes=-1', 'count=2,bytes=-1'],
    ['count=1,bytes=5=;byteHardLimit=7;countHardLimit=-1', 'count=1,bytes=5=;byteHardLimit=7;countHardLimit=-1'],
    ['', 'count=-1,bytes=-1'],
    ['bytes=3', 'count=-1,bytes=3'],
  ])('%j is read and written', (text, expected) => {
    expect(trackText(parseTrack(text))).toBe(expected)
  })
})
