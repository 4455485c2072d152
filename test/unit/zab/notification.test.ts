/** The bytes of the election port, spelled out field by field; those of Java itself are in test/conformance/zab. */

import { describe, expect, it } from 'vitest'
import { ProtocolError } from '../../../src/jute/input.ts'
import { Output } from '../../../src/jute/output.ts'
import { makeZxid } from '../../../src/jute/zxid.ts'
import {
  encodeHello,
  NON_VOTER,
  readHello,
  readNotification,
  writeNotification,
} from '../../../src/zab/notification.ts'

function unhex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function ascii(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex')
}

const hello = (bytes: Uint8Array) => readHello(bytes, 0, bytes.length)
const notification = (bytes: Uint8Array) => readNotification(bytes, 0, bytes.length)

describe('a hello', () => {
  const one = `ffffffffffff0000 0000000000000002 0000000a ${ascii('host2:3888')}`
  const two = `ffffffffffff0001 0000000000000002 00000014 ${ascii('a.b:3888|[::1]:38888')}`

  it('says who dials and from where, in one form or the other', () => {
    expect(hex(encodeHello(2, ['host2:3888', 'other:1'], false))).toBe(hex(unhex(one)))
    expect(hex(encodeHello(2, ['a.b:3888', '[::1]:38888'], true))).toBe(hex(unhex(two)))
    expect(hello(unhex(one))).toEqual({ sid: 2, addresses: ['host2:3888'], end: 30 })
    expect(hello(unhex(two))).toEqual({ sid: 2, addresses: ['a.b:3888', '[::1]:38888'], end: 40 })
  })

  it('without an address is the bare sid of very old servers', () => {
    expect(hex(encodeHello(2, [], false))).toBe('0000000000000002')
    expect(hello(unhex('0000000000000002 00'))).toEqual({ sid: 2, addresses: [], end: 8 })
  })

  it('that is not all there is waited for, wherever it is cut (N5)', () => {
    for (const bytes of [unhex(one), unhex(two), unhex('0000000000000002')]) {
      for (let end = 0; end < bytes.length; end++) expect(readHello(bytes, 0, end)).toBeNull()
    }
  })

  it('does not name addresses that are only for listening', () => {
    const addresses = ascii('0.0.0.0:3888|[::]:3888|host:3888|[0:0:0:0:0:0:0:0]:1')
    expect(hello(unhex(`ffffffffffff0001 0000000000000002 00000034 ${addresses}`))?.addresses).toEqual(['host:3888'])
  })

  it.each([
    ['an unknown version', 'fffffffffffe0000 0000000000000002 00000001 61'],
    ['no address at all', 'ffffffffffff0000 0000000000000002 00000000'],
    ['a negative length', 'ffffffffffff0000 0000000000000002 ffffffff'],
    ['2049 bytes of address', 'ffffffffffff0000 0000000000000002 00000801'],
    ['an address without a port', `ffffffffffff0000 0000000000000002 00000005 ${ascii('host2')}`],
    ['a port that is none', `ffffffffffff0000 0000000000000002 00000007 ${ascii('host:xy')}`],
    ['a port beyond all ports', `ffffffffffff0000 0000000000000002 0000000a ${ascii('host:65536')}`],
    ['the sid of observers that have none', `ffffffffffff0000 7fffffffffffffff 00000006 ${ascii('host:1')}`],
  ])('with %s is refused', (_what, bytes) => {
    expect(() => hello(unhex(bytes))).toThrow(ProtocolError)
  })
})

describe('a notification', () => {
  const vote = { leader: 3, zxid: makeZxid(1, 5), electionEpoch: 7, peerEpoch: 2 }
  const fixed = '0000000000000003 0000000100000005 0000000000000007'
  const whole = `00000001 ${fixed} 0000000000000002 00000002 00000003 c3a976`

  it('is a frame of state, vote and configuration in UTF-8', () => {
    const out = new Output(1)
    writeNotification(out, 'following', vote, unhex('c3a976'))
    expect(hex(out.bytes())).toBe(`0000002f${hex(unhex(whole))}`)
    expect(notification(unhex(whole))).toEqual({ state: 'following', vote, version: 2, config: '\u00e9v' })
  })

  it('of a server without a vote has three times the least of all longs', () => {
    const none = { leader: NON_VOTER, zxid: NON_VOTER, electionEpoch: 1, peerEpoch: NON_VOTER }
    const bytes = `00000000 8000000000000000 8000000000000000 0000000000000001 8000000000000000 00000002 00000000`
    const out = new Output()
    writeNotification(out, 'looking', none, new Uint8Array(0))
    expect(hex(out.bytes())).toBe(`0000002c${hex(unhex(bytes))}`)
    expect(notification(unhex(bytes))?.vote).toEqual(none)
  })

  it('of 28 bytes has the epoch of its zxid, of 40 bytes no version that counts', () => {
    const old = { state: 'leading', vote: { ...vote, peerEpoch: 1 }, version: 0, config: null }
    expect(notification(unhex(`00000002 ${fixed}`))).toEqual(old)
    expect(notification(unhex(`00000002 ${fixed} 0000000000000002 00000009`))).toEqual({ ...old, vote })
  })

  it('of version 1 has no configuration, whatever follows', () => {
    const read = notification(unhex(`00000000 ${fixed} 0000000000000002 00000001 ffffffff`))
    expect(read).toEqual({ state: 'looking', vote, version: 1, config: null })
  })

  it('that is cut short, in any of its forms, is none (E7)', () => {
    const bytes = unhex(whole)
    for (let end = 0; end < bytes.length; end++) {
      if (end === 28 || end === 40) continue
      expect(readNotification(bytes, 0, end)).toBeNull()
    }
  })

  it.each([
    ['an unknown state', `00000004 ${fixed} 0000000000000002 00000002 00000000`],
    ['a negative length of configuration', `00000000 ${fixed} 0000000000000002 00000002 ffffffff`],
    ['a configuration longer than itself', `00000000 ${fixed} 0000000000000002 00000002 00000001`],
    ['a huge configuration', `00000000 ${fixed} 0000000000000002 00000002 7fffffff 00`],
    ['a negative round', `00000000 ${fixed.slice(0, 34)} ffffffffffffffff 0000000000000002 00000002 00000000`],
    [
      'a round without a next one',
      `00000000 ${fixed.slice(0, 34)} 7fffffffffffffff 0000000000000002 00000002 00000000`,
    ],
    ['an epoch beyond all zxids', `00000000 ${fixed} 0000000000200000 00000002 00000000`],
    ['a zxid that no number holds', `00000000 0000000000000003 7fffffffffffffff ${fixed.slice(34)} 00000002`],
  ])('with %s is none (E7)', (_what, bytes) => {
    expect(notification(unhex(bytes))).toBeNull()
  })

  it('with text that is no UTF-8 is read with replacements, and its vote counts (E7)', () => {
    const read = notification(unhex(`00000000 ${fixed} 0000000000000002 00000002 00000002 c328`))
    expect(read).toEqual({ state: 'looking', vote, version: 2, config: '\ufffd(' })
  })
})
