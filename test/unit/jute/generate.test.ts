import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { generate } from '../../../src/jute/generate.ts'
import { parseSchema, sizeOf, sizeOfRecord } from '../../../src/jute/schema.ts'

function source(name: string): string {
  return readFileSync(new URL(`../../../src/jute/${name}`, import.meta.url), 'utf8')
}

test('records.ts is what the schema generates', () => {
  expect(generate(source('zookeeper.jute'))).toBe(source('records.ts'))
})

test('sizes follow from the fields', () => {
  const records = new Map(parseSchema(source('zookeeper.jute')).map((record) => [record.name, record]))
  expect(sizeOfRecord(records.get('Stat')!)).toEqual({ bytesMin: 68, fixed: true })
  expect(sizeOfRecord(records.get('StatPersisted')!)).toEqual({ bytesMin: 60, fixed: true })
  expect(sizeOfRecord(records.get('TxnHeader')!)).toEqual({ bytesMin: 32, fixed: true })
  expect(sizeOfRecord(records.get('MultiHeader')!)).toEqual({ bytesMin: 9, fixed: true })
  expect(sizeOfRecord(records.get('ACL')!)).toEqual({ bytesMin: 12, fixed: false })
  expect(sizeOfRecord(records.get('ConnectRequest')!)).toEqual({ bytesMin: 28, fixed: false })
  expect(sizeOf({ kind: 'vector', item: { kind: 'record', record: records.get('ACL')! } })).toEqual({
    bytesMin: 4,
    fixed: false,
  })
})

test('comments before a record and behind a field are kept, those that stand alone are not', () => {
  const [record] = parseSchema('# alone\n\n# one\n# two\nrecord A {\n  int x # three\n  id64 y\n}\n')
  expect(record!.doc).toBe('one\ntwo')
  expect(record!.fields.map((field) => field.doc)).toEqual(['three', ''])
})

test.each([
  ['record A {\n}', 'line 2: record A has no fields'],
  ['record A {\n  int x', 'line 2: record A is not closed'],
  ['record a {', "line 1: bad record name 'a'"],
  ['class A {', "line 1: 'record NAME {' expected"],
  ['record A {\n  int X\n}', "line 2: bad field name 'X'"],
  ['record A {\n  int x\n  long x\n}', 'line 3: field x again'],
  ['record A {\n  int x\n}\nrecord A {\n', 'line 4: record A again'],
  ['record A {\n  B b\n}', "line 2: unknown type 'B'"],
  ['record A {\n  vector<B> b\n}', "line 2: unknown type 'B'"],
  ['record A {\n  x\n}', "line 2: unknown type ''"],
  ['record A {\n  optional boolean x\n  int y\n}', 'line 3: nothing may follow an optional field'],
  [
    'record A {\n  optional boolean x\n}\nrecord B {\n  A a\n}',
    'line 5: A ends where its frame ends: it cannot be a part',
  ],
  ['record A {\n  vector<optional boolean> x\n}', 'line 2: no vector of optional items'],
  ['record A {\n  # stray\n  int x\n}', 'line 2: a comment in a record stands behind a field'],
])('a schema that is wrong is refused with its line: %j', (text, message) => {
  expect(() => parseSchema(text)).toThrow(new SyntaxError(message))
})
