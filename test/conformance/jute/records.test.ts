/** Generated readers and writers against bytes that Java's classes wrote. */

import { expect, test } from 'vitest'
import { Input, ProtocolError } from '../../../src/jute/input.ts'
import { Output } from '../../../src/jute/output.ts'
import { readConnectRequest, readConnectResponse, writeConnectRequest } from '../../../src/jute/records.ts'
import { sizeOfRecord } from '../../../src/jute/schema.ts'
import { codecOf, fixture, javaType, schema, unhex, valuesOf } from './fixture.ts'

/** Has no class among Java's generated ones; a message of the fixture covers it. */
const BY_HAND = ['DeleteContainerRequest']

test("the schema has Java's records, and no others", () => {
  const ours = [...schema.keys()].filter((name) => !BY_HAND.includes(name))
  expect(ours.sort()).toEqual(fixture.records.map((record) => record.name).sort())
})

test.each(fixture.records)('$name has the fields of Java in their order', ({ name, fields }) => {
  expect(schema.get(name)!.fields.map((field) => [field.name, javaType(field.type)])).toEqual(fields)
})

test.each(fixture.records)('$name is read from, and written as, the bytes of Java', ({ name, cases }) => {
  const record = schema.get(name)!
  const codec = codecOf(name)
  expect(cases.length).toBe(5)
  for (const { values, hex } of cases) {
    const bytes = unhex(hex)
    const expected = valuesOf(record, values)
    const inp = new Input(bytes)
    expect(codec.read(inp)).toStrictEqual(expected)
    expect(inp.remaining).toBe(0)
    const out = new Output(1) // so that every write has to make room
    codec.write(out, expected)
    expect(Buffer.from(out.bytes()).toString('hex')).toBe(hex)
    expect(bytes.length).toBeGreaterThanOrEqual(sizeOfRecord(record).bytesMin)
  }
})

test.each(fixture.records)(
  '$name reads the same in the middle of a buffer, behind other records',
  ({ name, cases }) => {
    const record = schema.get(name)!
    const codec = codecOf(name)
    for (const { values, hex } of cases) {
      const bytes = Uint8Array.from(
        Buffer.concat([Buffer.from('a5a5a5', 'hex'), Buffer.from(hex, 'hex'), Buffer.alloc(9, 0x5a)]),
      )
      const inp = new Input(bytes.subarray(1), 2, bytes.length - 10) // a view with an offset of its own
      expect(codec.read(inp)).toStrictEqual(valuesOf(record, values))
      expect(inp.off).toBe(2 + hex.length / 2)
      const out = new Output(16)
      out.raw(bytes, 0, 3)
      codec.write(out, valuesOf(record, values))
      expect(Buffer.from(out.bytes()).toString('hex')).toBe(`a5a5a5${hex}`)
    }
  },
)

test.each(fixture.records)('$name cut anywhere is a ProtocolError', ({ name, cases }) => {
  const codec = codecOf(name)
  const optional = schema.get(name)!.fields.at(-1)!.type.kind === 'optional'
  for (const { hex } of cases) {
    const bytes = unhex(hex)
    const ends = bytes.length - (optional ? 1 : 0)
    for (let end = 0; end < ends; end++) {
      // What lies behind the end must not be looked at.
      expect(() => codec.read(new Input(bytes, 0, end)), `${hex} cut at ${end}`).toThrow(ProtocolError)
    }
  }
})

test.each(fixture.messages)('$name consists of the records it should', ({ parts, hex }) => {
  const inp = new Input(unhex(hex))
  const out = new Output()
  for (const { name, values } of parts) {
    const expected = valuesOf(schema.get(name)!, values)
    expect(codecOf(name).read(inp)).toStrictEqual(expected)
    codecOf(name).write(out, expected)
  }
  expect(inp.remaining).toBe(0)
  expect(Buffer.from(out.bytes()).toString('hex')).toBe(hex)
})

test('deleteContainer asks with a path alone', () => {
  const { hex } = fixture.messages.find((message) => message.name === 'deleteContainer request')!
  const out = new Output()
  codecOf('DeleteContainerRequest').write(out, { path: '/c\u540d' })
  expect(Buffer.from(out.bytes()).toString('hex')).toBe(hex)
  expect(codecOf('DeleteContainerRequest').read(new Input(unhex(hex)))).toStrictEqual({ path: '/c\u540d' })
})

test('the read-only byte of a connect message is told apart: false, true, and not there', () => {
  for (const read of [readConnectRequest, readConnectResponse]) {
    const name = read === readConnectRequest ? 'ConnectRequest' : 'ConnectResponse'
    for (const { hex, values } of fixture.records.find((record) => record.name === name)!.cases) {
      const bytes = unhex(hex)
      const whole = read(new Input(bytes))
      expect(whole.readOnly).toBe(values['readOnly'])
      const cut = read(new Input(bytes, 0, bytes.length - 1))
      expect(cut).toStrictEqual({ ...whole, readOnly: null })
      const out = new Output()
      codecOf(name).write(out, cut)
      expect(Buffer.from(out.bytes()).toString('hex')).toBe(hex.slice(0, -2))
    }
  }
  const out = new Output()
  writeConnectRequest(out, {
    protocolVersion: 0,
    lastZxidSeen: 0,
    timeOut: 0,
    sessionIdHi: 0,
    sessionIdLo: 0,
    passwd: null,
    readOnly: null,
  })
  expect(out.pos).toBe(28)
})
