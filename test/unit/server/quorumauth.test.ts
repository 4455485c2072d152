/** The packets of authentication between members, byte for byte, and whom Kerberos lets in. */
import { describe, expect, test } from 'vitest'
import {
  beginsAuth,
  encodeAuthPacket,
  isPrincipalOfServer,
  readAuthHeader,
} from '../../../src/server/member/quorumauth.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const unhex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('packets of authentication between members', () => {
  test('have the magic of Java, a status and a token with its length', () => {
    // -0xA0DBCAFECAFE1234 as Java writes it, recorded between live members.
    expect(hex(encodeAuthPacket('goes on', new Uint8Array(0)))).toBe('5f2435013501edcc0000000000000000')
    expect(hex(encodeAuthPacket('success', unhex('616263')))).toBe('5f2435013501edcc0000000100000003616263')
    expect(hex(encodeAuthPacket('failure', null))).toBe('5f2435013501edccffffffffffffffff')
    expect((-0xa0dbcafecafe1234n & 0xffffffffffffffffn).toString(16)).toBe('5f2435013501edcc')
  })

  test('are told from what a member without authentication sends: a hello, a packet for a leader, a notification', () => {
    expect(beginsAuth(unhex('5f2435013501edcc'))).toBe(true)
    for (const other of ['ffffffffffff0000', '0000000b00000000', '0000005500000000', '5f2435013501edcd', '5f243501']) {
      expect(beginsAuth(unhex(other)), other).toBe(false)
    }
  })

  test('are read back, without a token too', () => {
    expect(readAuthHeader(unhex('5f2435013501edcc 00000001 00000028'))).toEqual({ status: 'success', tokenBytes: 40 })
    expect(readAuthHeader(unhex('5f2435013501edcc ffffffff ffffffff'))).toEqual({ status: 'failure', tokenBytes: -1 })
  })

  test('are refused with another magic, an unknown status, and a token that is too long', () => {
    expect(() => readAuthHeader(unhex('5f2435013501edcd 00000000 00000000'))).toThrow('not a packet')
    expect(() => readAuthHeader(unhex('5f2435013501edcc 00000002 00000000'))).toThrow('status 2')
    expect(() => readAuthHeader(unhex('5f2435013501edcc 00000000 7fffffff'))).toThrow('a token of 2147483647 bytes')
    expect(() => readAuthHeader(unhex('5f2435013501edcc 00000000 fffffffe'))).toThrow('a token of -2 bytes')
  })
})

describe('X2 a Kerberos principal', () => {
  const hosts = ['zk1.example', 'zk2.example']

  test('is a member if it names service, host and realm, and the host is one of the configuration', () => {
    expect(isPrincipalOfServer('zkquorum/zk2.example@EXAMPLE', hosts)).toBe(true)
  })

  test('is nobody without a host, with another host, without a realm, or with parts that are none', () => {
    for (const principal of [
      'zkquorum@EXAMPLE',
      'zkquorum/@EXAMPLE',
      'zkquorum/evil.example@EXAMPLE',
      'zkquorum/zk2.example',
      'zkquorum/zk2.example@',
      '/zk2.example@EXAMPLE',
      'a/zk2.example/b@EXAMPLE',
      'a@zk2.example@EXAMPLE',
      'zkquorum/ZK2.EXAMPLE@EXAMPLE',
      '',
    ]) {
      expect(isPrincipalOfServer(principal, hosts), principal).toBe(false)
    }
  })
})
