/**
 * The packets of the quorum port. Expected bytes are those seen between servers of Apache ZooKeeper 3.9.5 at a first
 * start, or spelled out field by field.
 */

import { describe, expect, it } from 'vitest'
import { ProtocolError } from '../../../src/jute/input.ts'
import { Output } from '../../../src/jute/output.ts'
import { makeZxid } from '../../../src/jute/zxid.ts'
import {
  makePacket,
  Packet,
  type QuorumPacket,
  readAckEpoch,
  readActivate,
  readForwarded,
  readInformProposal,
  readLeaderInfo,
  readLearnerInfo,
  readPacket,
  readRevalidate,
  readRevalidated,
  readTouched,
  writeAckEpoch,
  writeActivate,
  writeForwarded,
  writeInformActivate,
  writeLeaderInfo,
  writeLearnerInfo,
  writePacket,
  writeRevalidate,
  writeRevalidated,
  writeTouched,
} from '../../../src/zab/packets.ts'

const LIMIT = 1000

/** A first start as seen on the wire, follower 1 and leader 2: name, bytes, type, zxid, data. */
const TRACE: readonly [string, string, number, number, string | null][] = [
  [
    'FOLLOWERINFO',
    '0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff',
    Packet.followerInfo,
    0,
    '0000000000000001 00010000 0000000000000000',
  ],
  ['LEADERINFO', '00000011 0000000100000000 00000004 00010000 ffffffff', Packet.leaderInfo, 2 ** 32, '00010000'],
  ['ACKEPOCH', '00000012 0000000000000000 00000004 00000000 ffffffff', Packet.ackEpoch, 0, '00000000'],
  ['DIFF', '0000000d 0000000000000000 ffffffff ffffffff', Packet.diff, 0, null],
  ['ACK', '00000003 0000000100000000 ffffffff ffffffff', Packet.ack, 2 ** 32, null],
  ['UPTODATE', '0000000c ffffffffffffffff ffffffff ffffffff', Packet.upToDate, -1, null],
]

function unhex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

function hex(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('hex')
}

function written(write: (out: Output) => void): string {
  const out = new Output(1)
  write(out)
  return hex(out.bytes())!
}

function read(bytes: Uint8Array, lengthMax = LIMIT): { packet: QuorumPacket; end: number } {
  const packet = makePacket()
  return { packet, end: readPacket(bytes, 0, bytes.length, packet, lengthMax) }
}

describe('a packet', () => {
  it.each(TRACE)('%s has the bytes that Java sends at a first start', (_name, bytes, type, zxid, data) => {
    const wire = unhex(bytes)
    const payload = data === null ? null : unhex(data)
    expect(written((out) => writePacket(out, type, zxid, payload))).toBe(hex(wire))
    const { packet, end } = read(wire)
    expect(end).toBe(wire.length)
    expect({ ...packet, data: hex(packet.data) }).toEqual({ type, zxid, data: hex(payload), authinfo: null })
  })

  it('with authinfo comes back as it went, nulls and emptiness told apart', () => {
    const authinfo = [
      { scheme: 'ip', id: '127.0.0.1' },
      { scheme: 'x509', id: null },
      { scheme: null, id: '' },
      { scheme: 'digest', id: '\u{1f600}' }, // two surrogates of three bytes each
    ]
    const wire = unhex(
      '00000001 ffffffffffffffff 00000000' +
        '00000004 00000002 6970 00000009 3132372e302e302e31 00000004 78353039 ffffffff ffffffff 00000000' +
        '00000006 646967657374 00000006 eda0bd edb880',
    )
    expect(written((out) => writePacket(out, Packet.request, -1, new Uint8Array(0), authinfo))).toBe(hex(wire))
    const { packet, end } = read(wire)
    expect(end).toBe(wire.length)
    expect(packet.authinfo).toEqual(authinfo)
    expect(packet.data).toHaveLength(0)
  })

  it('that is not all there is asked for again, wherever it is cut (N5)', () => {
    const request = unhex(
      '00000001 ffffffffffffffff 00000003 aabbcc 00000002 00000002 6970 00000001 31 00000001 61 00000001 62',
    )
    for (const [, bytes] of TRACE) expectCutsToWait(unhex(bytes))
    expectCutsToWait(request)
  })

  it('is found behind others in one run of bytes (N5)', () => {
    const run = unhex(TRACE.map(([, bytes]) => bytes).join(''))
    const packet = makePacket()
    const types: number[] = []
    for (let off = 0; off < run.length; ) {
      off = readPacket(run, off, run.length, packet, LIMIT)
      types.push(packet.type)
    }
    expect(types).toEqual(TRACE.map(([, , type]) => type))
  })

  it('that announces more than the limit is refused before its bytes have come', () => {
    expect(() => read(unhex('00000002 0000000000000000 000003e9'))).toThrow(ProtocolError)
    expect(read(unhex('00000002 0000000000000000 000003e8')).end).toBe(-1)
    expect(() => read(unhex('00000002 0000000000000000 fffffffe'))).toThrow(ProtocolError)
    expect(() => read(unhex('00000002 0000000000000000 7fffffff'))).toThrow(ProtocolError)
  })

  it('with an authinfo of nonsense lengths is refused before memory is taken for it', () => {
    const head = '00000001 ffffffffffffffff ffffffff'
    expect(() => read(unhex(`${head} 7fffffff`))).toThrow(ProtocolError)
    expect(() => read(unhex(`${head} 00000001 7fffffff`))).toThrow(ProtocolError)
    expect(() => read(unhex(`${head} 00000001 fffffffe`))).toThrow(ProtocolError)
    // Each text within the limit, but not all of them together.
    const text = `000001f4 ${'61'.repeat(500)}`
    expect(() => read(unhex(`${head} 00000002 ${text} ${text} ${text} ${text}`))).toThrow(ProtocolError)
  })

  it('with a negative count of authinfo other than -1 has an empty one, as in Java', () => {
    const { packet, end } = read(unhex('00000001 ffffffffffffffff ffffffff fffffff0'))
    expect(end).toBe(20)
    expect(packet.authinfo).toEqual([])
  })

  it('keeps zxids of late epochs exact', () => {
    const zxid = makeZxid(0x1f_fffe, 0xffff_fffe)
    const bytes = written((out) => writePacket(out, Packet.commit, zxid, null))
    expect(bytes).toBe('00000004001ffffefffffffeffffffffffffffff')
    expect(read(unhex(bytes)).packet.zxid).toBe(zxid)
  })
})

function expectCutsToWait(wire: Uint8Array): void {
  const packet = makePacket()
  for (let end = 0; end < wire.length; end++) expect(readPacket(wire, 0, end, packet, LIMIT)).toBe(-1)
  expect(readPacket(wire, 0, wire.length, packet, LIMIT)).toBe(wire.length)
}

describe('what packets carry', () => {
  it('LearnerInfo: sid, protocol and configuration; what older learners leave out is the least of its kind', () => {
    const data = unhex('0000000000000003 00010000 0000000500000002')
    expect(hex(writeLearnerInfo(3, makeZxid(5, 2)))).toBe(hex(data))
    expect(readLearnerInfo(data)).toEqual({ sid: 3, protocolVersion: 0x10000, configVersion: makeZxid(5, 2) })
    expect(readLearnerInfo(data.subarray(0, 12))).toEqual({ sid: 3, protocolVersion: 0x10000, configVersion: 0 })
    expect(readLearnerInfo(data.subarray(0, 8))).toEqual({ sid: 3, protocolVersion: 1, configVersion: 0 })
    expect(readLearnerInfo(null)).toEqual({ sid: null, protocolVersion: 1, configVersion: 0 })
  })

  it('LEADERINFO and ACKEPOCH: one int, -1 included', () => {
    expect(hex(writeLeaderInfo())).toBe('00010000')
    expect(readLeaderInfo(unhex('00010000'))).toBe(0x10000)
    expect(hex(writeAckEpoch(-1))).toBe('ffffffff')
    expect(readAckEpoch(unhex('ffffffff'))).toBe(-1)
    expect(readAckEpoch(unhex('00000007'))).toBe(7)
  })

  it("REQUEST: session, cxid, type, and the client's bytes behind them", () => {
    const authinfo = [{ scheme: 'ip', id: '127.0.0.1' }]
    const request = { sessionHi: 0x0100_0001, sessionLo: -2, cxid: 7, type: 5, body: unhex('c0ffee'), authinfo }
    const bytes = written((out) => writeForwarded(out, request))
    const payload = '01000001fffffffe 00000007 00000005 c0ffee'.replaceAll(' ', '')
    expect(bytes).toBe(
      `00000001ffffffffffffffff00000013${payload}0000000100000002697000000009${hex(ascii('127.0.0.1'))}`,
    )
    const { packet } = read(unhex(bytes))
    expect(readForwarded(packet.data, packet.authinfo)).toEqual(request)
  })

  it('PING on its way up: sessions and their timeouts, or none', () => {
    const data = '01000001fffffffe00007530 02000000000000010000ea60'.replaceAll(' ', '')
    const out = new Output()
    writeTouched(out, 0x0100_0001, -2, 30_000)
    writeTouched(out, 0x0200_0000, 1, 60_000)
    expect(hex(out.bytes())).toBe(data)
    const seen: number[][] = []
    const note = (...session: number[]) => seen.push(session)
    readTouched(out.bytes(), note)
    readTouched(new Uint8Array(0), note)
    readTouched(null, note)
    expect(seen).toEqual([
      [0x0100_0001, -2, 30_000],
      [0x0200_0000, 1, 60_000],
    ])
  })

  it('REVALIDATE: a session and its timeout up, a session and a word down', () => {
    expect(hex(writeRevalidate(1, -1, 4000))).toBe('00000001ffffffff00000fa0')
    expect(readRevalidate(unhex('00000001ffffffff00000fa0'))).toEqual({ sessionHi: 1, sessionLo: -1, timeoutMs: 4000 })
    expect(hex(writeRevalidated(1, -1, true))).toBe('00000001ffffffff01')
    expect(readRevalidated(unhex('00000001ffffffff00'))).toEqual({ sessionHi: 1, sessionLo: -1, valid: false })
  })

  it('activation: the next leader, and for observers the log entry', () => {
    expect(hex(writeActivate(3))).toBe('0000000000000003')
    expect(hex(writeInformActivate(3, unhex('abcd')))).toBe('0000000000000003abcd')
    expect(readActivate(unhex('0000000000000003abcd'))).toBe(3)
    expect(hex(readInformProposal(unhex('0000000000000003abcd')))).toBe('abcd')
  })

  it('of fewer bytes than it must have is malformed, not zero', () => {
    for (const bytes of [null, unhex(''), unhex('000000')]) {
      expect(() => readAckEpoch(bytes)).toThrow(ProtocolError)
      expect(() => readLeaderInfo(bytes)).toThrow(ProtocolError)
      expect(() => readForwarded(bytes, null)).toThrow(ProtocolError)
      expect(() => readRevalidate(bytes)).toThrow(ProtocolError)
      expect(() => readRevalidated(bytes)).toThrow(ProtocolError)
      expect(() => readActivate(bytes)).toThrow(ProtocolError)
    }
    expect(() => readTouched(unhex('00000001'), () => {})).toThrow(ProtocolError)
  })
})

function ascii(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'))
}
