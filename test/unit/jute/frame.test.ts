/** Frames out of any cutting of the stream. The messages are those of the Java fixture. */

import { expect, test } from 'vitest'
import { FrameReader } from '../../../src/jute/frame.ts'
import { JUTE_MAX_BUFFER } from '../../../src/jute/input.ts'
import { fixture } from '../../conformance/jute/fixture.ts'
import { randomOf } from './random.ts'

const MESSAGES = [
  '',
  ...fixture.records.flatMap((record) => record.cases.map((each) => each.hex)),
  ...fixture.messages.map((message) => message.hex),
]

function frameOf(hex: string): Buffer {
  const frame = Buffer.alloc(4 + hex.length / 2)
  frame.writeInt32BE(hex.length / 2)
  frame.write(hex, 4, 'hex')
  return frame
}

/** A reader that keeps what it is given as hex, and goes on as `going` says. */
function collector(going: () => boolean = () => true): { reader: FrameReader; frames: string[] } {
  const frames: string[] = []
  const reader = new FrameReader(JUTE_MAX_BUFFER, (buf, off, end) => {
    frames.push(Buffer.from(buf.subarray(off, end)).toString('hex'))
    return going()
  })
  return { reader, frames }
}

/** A chunk that is worth nothing after the call it was lent for: a Buffer as sockets give, whose `slice` is no copy. */
function lend<T>(bytes: Uint8Array, call: (chunk: Uint8Array) => T): T {
  const chunk = Buffer.from(bytes)
  const result = call(chunk)
  chunk.fill(0xee)
  return result
}

test('a message comes out whole wherever the stream is cut around and in it', () => {
  for (let i = 0; i < MESSAGES.length; i++) {
    const three = [MESSAGES.at(i - 1)!, MESSAGES[i]!, MESSAGES[(i + 1) % MESSAGES.length]!]
    const stream = Buffer.concat(three.map(frameOf))
    for (let cut = 0; cut <= stream.length; cut++) {
      const { reader, frames } = collector()
      expect(lend(stream.subarray(0, cut), (chunk) => reader.push(chunk))).toBe('ok')
      expect(lend(stream.subarray(cut), (chunk) => reader.push(chunk))).toBe('ok')
      expect(frames.length).toBe(3)
      if (frames.join() !== three.join()) expect(frames, `cut at ${cut}`).toEqual(three)
      expect(reader.bytesHeld).toBe(0)
    }
  }
})

test('a stream cut into pieces of any one size gives the same messages', () => {
  const stream = Buffer.concat(MESSAGES.map(frameOf))
  for (const size of [1, 2, 3, 4, 5, 7, 8, 64, 1000, 65_536]) {
    const { reader, frames } = collector()
    for (let at = 0; at < stream.length; at += size) {
      expect(lend(stream.subarray(at, at + size), (chunk) => reader.push(chunk))).toBe('ok')
    }
    expect(frames).toEqual(MESSAGES)
    expect(reader.bytesHeld).toBe(0)
  }
})

test('a consumer that stops at any time gets every message once, in order, after it resumes', () => {
  const stream = Buffer.concat(MESSAGES.map(frameOf))
  for (let seed = 0; seed < 300; seed++) {
    const random = randomOf(seed)
    const stopEach = 1 + random.below(4)
    const { reader, frames } = collector(() => !random.oneIn(stopEach))
    let at = 0
    while (at < stream.length) {
      const size = random.pick([1, 3, 10, 100, 1000, 10_000])
      let state = lend(stream.subarray(at, at + size), (chunk) => reader.push(chunk))
      at = Math.min(stream.length, at + size)
      expect(reader.stopped).toBe(state === 'stopped')
      // Sometimes more arrives during the stop: it waits, and delivers nothing.
      while (state === 'stopped') {
        const before = frames.length
        if (random.oneIn(3) && at < stream.length) {
          expect(lend(stream.subarray(at, at + 50), (chunk) => reader.push(chunk))).toBe('stopped')
          at = Math.min(stream.length, at + 50)
          expect(frames.length).toBe(before)
        }
        state = reader.resume()
      }
      expect(state).toBe('ok')
      expect(reader.stopped).toBe(false)
    }
    if (frames.join() !== MESSAGES.join()) expect(frames, `seed ${seed}`).toEqual(MESSAGES)
    expect(reader.bytesHeld).toBe(0)
  }
})

test('a stop right behind the last byte is a stop, and resuming it delivers nothing', () => {
  for (const message of ['', '0102']) {
    const { reader, frames } = collector(() => false)
    expect(reader.push(frameOf(message))).toBe('stopped')
    expect(reader.stopped).toBe(true)
    expect(reader.resume()).toBe('ok')
    expect(reader.stopped).toBe(false)
    expect(frames).toEqual([message])
  }
})

test('a frame that lies whole in a chunk is handed out in place', () => {
  const chunk = Uint8Array.from(Buffer.concat([frameOf('0102'), frameOf('030405')]))
  const seen: [boolean, number, number][] = []
  const reader = new FrameReader(16, (buf, off, end) => {
    seen.push([buf === chunk, off, end])
    return true
  })
  reader.push(chunk)
  expect(seen).toEqual([
    [true, 4, 6],
    [true, 10, 13],
  ])
})

test('a length below zero or beyond the limit is refused as soon as it is known, however it is cut', () => {
  for (const length of [-1, -0x8000_0000, JUTE_MAX_BUFFER + 1, 0x7fff_ffff]) {
    const stream = Buffer.concat([frameOf('0a0b'), Buffer.alloc(4)])
    stream.writeInt32BE(length, 6)
    for (let cut = 0; cut < stream.length; cut++) {
      const { reader, frames } = collector()
      expect(reader.push(stream.subarray(0, cut))).toBe('ok')
      expect(reader.push(stream.subarray(cut))).toBe('bad')
      expect(reader.badLength).toBe(length)
      expect(frames).toEqual(['0a0b'])
      expect(reader.bytesHeld).toBe(0)
    }
  }
})

test('a frame of just the limit is accepted', () => {
  const frame = Buffer.alloc(4 + JUTE_MAX_BUFFER, 7)
  frame.writeInt32BE(JUTE_MAX_BUFFER)
  const lengths: number[] = []
  const reader = new FrameReader(JUTE_MAX_BUFFER, (_buf, off, end) => lengths.push(end - off) > 0)
  for (let at = 0; at < frame.length; at += 60_000) expect(reader.push(frame.subarray(at, at + 60_000))).toBe('ok')
  expect(reader.push(frame)).toBe('ok')
  expect(lengths).toEqual([JUTE_MAX_BUFFER, JUTE_MAX_BUFFER])
})

test('a bad length behind a stop is found on resuming', () => {
  const { reader, frames } = collector(() => false)
  expect(reader.push(Buffer.concat([frameOf('01'), Buffer.from('ffffffff', 'hex')]))).toBe('stopped')
  expect(reader.resume()).toBe('bad')
  expect(frames).toEqual(['01'])
})
