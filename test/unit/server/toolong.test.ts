/** S7: whatever is longer than jute.maxbuffer leaves a line in the log that says who, what, which limit and how long. */

import { expect, it } from 'vitest'
import { OpCode } from '../../../src/jute/codes.ts'
import { FrameReader } from '../../../src/jute/frame.ts'
import { Output } from '../../../src/jute/output.ts'
import { requestText } from '../../../src/server/requests/requesttext.ts'
import { bool, create, data, Harness, int, path } from './harness.ts'

/** A frame that claims `length` bytes, of which those of the request are there. */
function frame(length: number, type: number, write: (out: Output) => void): Uint8Array {
  const out = new Output()
  out.int(length)
  out.int(1)
  out.int(type)
  write(out)
  return out.copy()
}

const multi = (out: Output): void => {
  out.int(OpCode.create)
  out.bool(false)
  out.int(-1)
  create('/in/a/multi')(out)
}

it.each([
  ['a request', OpCode.setData, path('/a', data('x'.repeat(600)), int(-1)), { operation: 'SETD', path: '/a' }],
  ['a multi, by its first part', OpCode.multi, multi, { operation: 'MULT', path: '/in/a/multi' }],
  ['setWatches', OpCode.setWatches, (out: Output) => out.long(7), { operation: 'SETW' }],
  [
    'a long path, cut',
    OpCode.delete,
    path(`/${'p'.repeat(400)}`),
    { operation: 'DELE', path: `/${'p'.repeat(255)}...` },
  ],
  ['bytes that are no path', OpCode.getData, (out: Output) => out.int(-7), { operation: 'GETD' }],
] as const)('S7 %s that is too long is known by what is here of it', (_what, type, write, text) => {
  const reader = new FrameReader(1000, () => true)
  expect(reader.push(frame(1001, type, write))).toBe('bad')
  expect(reader.badLength).toBe(1001)
  expect(requestText(reader.badStart, 0, reader.badStart.length)).toEqual(text)
})

it('S7 nothing is known of a request whose header is not here', () => {
  const reader = new FrameReader(1000, () => true)
  const bytes = frame(1001, OpCode.delete, path('/a')).subarray(0, 9)
  for (const byte of bytes.subarray(0, 3)) expect(reader.push(Uint8Array.of(byte))).toBe('ok')
  expect(reader.push(bytes.subarray(3))).toBe('bad')
  expect(requestText(reader.badStart, 0, reader.badStart.length)).toBeNull()
})

it('S7 a reply that is too long for clients is sent, and said to be that long, with its path and its session', () => {
  const harness = new Harness()
  const client = harness.client()
  const name = 'n'.repeat(900)
  client.send(OpCode.create, create('/many'))
  for (let i = 0; i < 1200; i++) client.send(OpCode.create, create(`/many/${name}${i}`))
  harness.settle()
  expect(harness.warnings).toEqual([])
  client.send(OpCode.getChildren, path('/many', bool(false)))
  harness.flush()
  expect(client.last.body.length).toBeGreaterThan(0xf_ffff)
  expect(harness.warnings).toEqual([expect.stringContaining('longer than jute.maxbuffer')])
  expect(harness.warningFields[0]).toMatchObject({
    client: '127.0.0.1',
    session: '0x100000000000000',
    operation: 'GETC',
    path: '/many',
    bytes: client.last.body.length + 20,
    juteMaxBufferBytes: 0xf_ffff,
  })
})

it('S7 a multiRead that asks for more than a reply may hold is refused, and its first path said', () => {
  const harness = new Harness()
  const client = harness.client()
  client.send(OpCode.create, create('/big', 0, 'x'.repeat(900_000)))
  harness.settle()
  client.send(OpCode.multiRead, (out) => {
    for (let i = 0; i < 20; i++) {
      out.int(OpCode.getData)
      out.bool(false)
      out.int(-1)
      path('/big', bool(false))(out)
    }
    out.int(-1)
    out.bool(true)
    out.int(-1)
  })
  harness.flush()
  expect(harness.warningFields[0]).toMatchObject({ operation: 'MLTR', path: '/big', limitBytes: 16 * 1024 * 1024 })
})
