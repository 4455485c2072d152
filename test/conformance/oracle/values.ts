/**
 * The vocabulary: paths, data, ACLs, versions and so on, valid ones from a small set so that requests collide, and invalid
 * ones of every kind we know. `$` is the sequence's own prefix.
 */
import type { Random } from './random.ts'
import type { Acl, AclList, Text, ZxidRef } from './steps.ts'

const NAMES = ['a', 'b', 'c'] as const

/** A well-formed path at or below the prefix; the same few again and again. */
export function path(r: Random): string {
  const depth = r.weighted([
    [1, 0],
    [14, 1],
    [5, 2],
    [1, 3],
  ])
  let out = '$'
  for (let i = 0; i < depth; i++) out += `/${r.pick(NAMES)}`
  return out
}

/** Paths outside the prefix that exist on every server; never to be changed. */
export function systemPath(r: Random): string {
  return r.pick(['/', '', '/zookeeper', '/zookeeper/quota', '/zookeeper/config', '/zookeeper/none', '/no'])
}

/** Malformed in some way, or only odd. */
export function oddPath(r: Random): Text {
  const base = path(r)
  return r.weighted<Text>([
    [2, null],
    [1, ''],
    [1, '/'],
    [1, 'a'],
    [1, 'a/b'],
    [1, '//'],
    [2, `${base}/`],
    [2, `${base}//x`],
    [1, `${base}/.`],
    [1, `${base}/..`],
    [1, `${base}/./x`],
    [1, `${base}/../x`],
    [1, `${base}/...`],
    [1, `${base}/.x`],
    [1, `${base}/x.`],
    [1, `${base}/ `],
    [1, `${base}/\u0000`],
    [1, `${base}/x\u0000y`],
    [1, `${base}/x\u0001`],
    [1, `${base}/\u001f`],
    [1, `${base}/\u0020`],
    [1, `${base}/\u007f`],
    [1, `${base}/\u0080`],
    [1, `${base}/\u009f`],
    [1, `${base}/\u00a0`],
    [1, `${base}/é`],
    [1, `${base}/\u2028`],
    [1, `${base}/\ud7ff`],
    [1, `${base}/\ue000`],
    [1, `${base}/\uf8ff`],
    [1, `${base}/\uf900`],
    [1, `${base}/\uffef`],
    [1, `${base}/\ufff0`],
    [1, `${base}/\ufffd`],
    [1, `${base}/\uffff`],
    [1, `${base}/\u{1f600}`],
    [1, { hex: '$2fc3' }],
    [1, { hex: '$2f61ff62' }],
    [1, { hex: '$2fc080' }],
    [1, { hex: '$2feda080' }],
    [1, { hex: '$2fedb0b1' }],
    [1, { hex: '$2fe28c' }],
    [1, { hex: '$2ff0908d' }],
    [1, { hex: '$2f80' }],
    [1, { hex: '$2fefbbbf' }],
    [1, { claim: -2, hex: '' }],
    [1, { claim: -2147483648, hex: '' }],
    [1, { claim: 2147483647, hex: '2f' }],
    [1, { claim: 3, hex: '2f' }],
    [1, { claim: 100000, hex: '2f61' }],
    [1, { fill: '$/d', times: 30 }],
    [1, { fill: 'x', times: 200 }],
    [1, `${base}/${'n'.repeat(300)}`],
    [1, '/zookeeper/../$'],
  ])
}

export function anyPath(r: Random, oddPercent = 4): Text {
  if (r.chance(oddPercent)) return oddPath(r)
  if (r.chance(1)) return systemPath(r)
  return path(r)
}

export function data(r: Random): Text {
  return r.weighted<Text>([
    [6, 'x'],
    [3, 'hello'],
    [2, ''],
    [2, null],
    [1, { hex: '00ff8000' }],
    [1, { fill: 'd', times: r.between(1, 60) }],
  ])
}

export function oddData(r: Random): Text {
  return r.weighted<Text>([
    [3, { claim: -2, hex: '' }],
    [2, { claim: 2000000000, hex: '00' }],
    [2, { claim: 10, hex: '00' }],
    [4, { fill: 'D', times: 5000 }],
    [1, { fill: 'E', times: 70000 }],
  ])
}

/** Frame sizes around the limit: how much data to send so that the whole frame has `limit + delta` bytes is not exact. */
export function hugeData(r: Random, limit: number, overhead: number): Text {
  return { fill: 'z', times: Math.max(0, limit - overhead + r.between(-4, 4)) }
}

const oddVersion = (r: Random): number => r.pick([-2, -2147483648, 2147483647])

export function version(r: Random): number {
  return r.weighted([
    [24, -1],
    [10, 0],
    [4, 1],
    [2, 2],
    [1, 3],
    [1, 99],
    [1, oddVersion(r)],
  ])
}

const DIGESTS = [
  'u1:fpT/y03U+EjItKZOSLGvjnJlyng=',
  'u2:o9NxcCGDPOlcV7JVhmKHOf5ctVE=',
  'nobody:AAAAAAAAAAAAAAAAAAAAAAAAAAA=',
] as const

export function goodAcl(r: Random): Acl {
  const perms = r.weighted([
    [6, 31],
    [3, 1],
    [1, 2],
    [1, 4],
    [1, 8],
    [2, 16],
    [1, 3],
    [1, 15],
    [1, 0],
    [1, 255],
    [1, -1],
  ])
  return {
    perms,
    ...r.weighted<{ scheme: Text; id: Text }>([
      [4, { scheme: 'world', id: 'anyone' }],
      [5, { scheme: 'digest', id: r.pick(DIGESTS) }],
      [3, { scheme: 'auth', id: r.pick(['', 'x']) }],
      [2, { scheme: 'ip', id: r.pick(['127.0.0.1', '127.0.0.0/8', '10.0.0.1', '0.0.0.0/0', '127.0.0.1/32', '::1']) }],
    ]),
  }
}

export function oddAcl(r: Random): Acl {
  return {
    perms: r.pick([31, 0, 1]),
    ...r.weighted<{ scheme: Text; id: Text }>([
      [1, { scheme: 'world', id: 'other' }],
      [1, { scheme: 'world', id: null }],
      [1, { scheme: 'world', id: '' }],
      [1, { scheme: null, id: 'x' }],
      [1, { scheme: null, id: null }],
      [1, { scheme: '', id: '' }],
      [1, { scheme: 'nope', id: 'x' }],
      [1, { scheme: 'super', id: '' }],
      [1, { scheme: 'sasl', id: 'bob' }],
      [1, { scheme: 'x509', id: 'CN=bob' }],
      [1, { scheme: 'auth', id: null }],
      [
        4,
        {
          scheme: 'digest',
          id: r.pick(['a', 'a:', ':b', 'a:b:c', 'a:b:', ':', '', '::', 'a::', 'é:x', '\u{1f600}:y']),
        },
      ],
      [1, { scheme: 'digest', id: null }],
      [1, { scheme: 'digest', id: { hex: '61ff3a62' } }],
      [
        6,
        {
          scheme: 'ip',
          id: r.pick([
            '',
            'x',
            '1.2.3',
            '1.2.3.4.5',
            '256.1.1.1',
            '-1.2.3.4',
            '1.2.3.4/',
            '1.2.3.4/33',
            '1.2.3.4/-1',
            '1.2.3.4/x',
            '1.2.3.4/0',
            '1.2.3.4/8/8',
            ' 1.2.3.4',
            '1.2.3.04',
            '1..2.3',
            '+1.2.3.4',
            '::',
            '::1/128',
            '::1/129',
            'fe80::1',
            '1:2:3:4:5:6:7:8',
            '1:2:3:4:5:6:7',
            '12345::',
            ':::',
            '1::2::3',
            '::ffff:1.2.3.4',
            'g::',
            '/8',
          ]),
        },
      ],
      [1, { scheme: 'ip', id: null }],
      [1, { scheme: { hex: 'ff' }, id: 'x' }],
    ]),
  }
}

export function aclList(r: Random, oddPercent = 6): AclList {
  if (r.chance(oddPercent)) {
    return r.weighted<AclList>([
      [2, []],
      [2, null],
      [1, { count: -2 }],
      [1, { count: 1 }],
      [1, { count: 2147483647 }],
      [6, [oddAcl(r)]],
      [2, [goodAcl(r), oddAcl(r)]],
      [1, [oddAcl(r), goodAcl(r)]],
    ])
  }
  const out: Acl[] = [goodAcl(r)]
  while (r.chance(30)) out.push(r.chance(30) ? out[0]! : goodAcl(r))
  return out
}

export const OPEN_ACL: AclList = [{ perms: 31, scheme: 'world', id: 'anyone' }]

export function flags(r: Random): number {
  return r.weighted([
    [10, 0],
    [4, 1],
    [4, 2],
    [3, 3],
    [1, 4],
    [1, 5],
    [1, 6],
    [1, 7],
    [1, -1],
    [1, r.pick([8, 16, 100, -2147483648, 2147483647])],
  ])
}

export function ttl(r: Random): number {
  return r.weighted([
    [5, 3_600_000],
    [2, 1],
    [2, 0xff_ffff_ffff],
    [1, 0x100_0000_0000],
    [1, 0],
    [1, -1],
    [1, -3_600_000],
    [1, 0xff_ffff_fffe],
    [1, 9_007_199_254_740_991],
  ])
}

export function timeoutMs(r: Random): number {
  return r.weighted([
    [10, 30_000],
    [2, 40_000],
    [1, 0],
    [1, 1],
    [1, -5],
    [1, 5_999],
    [1, 6_000],
    [1, 6_001],
    [1, 12_345],
    [1, 39_999],
    [1, 40_001],
    [1, 1_000_000_000],
    [1, 2147483647],
    [1, -2147483648],
  ])
}

export function zxidRef(r: Random): ZxidRef {
  return r.weighted<ZxidRef>([
    [3, 'zero'],
    [1, 'ahead'],
    [1, 'max'],
    [1, 'minus'],
    [6, { back: r.between(0, 30) }],
  ])
}

export function xid(r: Random): number {
  return r.pick([0, -1, -2, -3, -4, -8, -100, 1, 1, 2147483647, -2147483648])
}

export const AUTHS: readonly { scheme: Text; token: Text }[] = [
  { scheme: 'digest', token: 'u1:p1' },
  { scheme: 'digest', token: 'u1:p1' },
  { scheme: 'digest', token: 'u2:p2' },
  { scheme: 'digest', token: 'u2:p2' },
  { scheme: 'digest', token: 'super:secret' },
  { scheme: 'digest', token: 'super:wrong' },
  { scheme: 'digest', token: 'u1' },
  { scheme: 'digest', token: ':' },
  { scheme: 'digest', token: '' },
  { scheme: 'digest', token: 'ü:ß\u{1f600}' },
  { scheme: 'digest', token: { hex: 'ff3aff' } },
  { scheme: 'digest', token: 'a:b:c' },
  { scheme: 'ip', token: '' },
  { scheme: 'ip', token: '1.2.3.4' },
  { scheme: 'ip', token: null },
]

/** After these the server closes. */
export const FATAL_AUTHS: readonly { scheme: Text; token: Text }[] = [
  { scheme: 'digest', token: null },
  { scheme: 'world', token: 'anyone' },
  { scheme: 'world', token: '' },
  { scheme: 'sasl', token: 'x' },
  { scheme: 'auth', token: 'x' },
  { scheme: 'super', token: '' },
  { scheme: 'nope', token: 'x' },
  { scheme: '', token: '' },
  { scheme: null, token: '' },
  { scheme: 'DIGEST', token: 'u1:p1' },
]
