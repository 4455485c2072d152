/**
 * Writes records.ts from zookeeper.jute: per record an interface, a reader and a writer.
 *
 * A record of fixed size is read and written in one piece: one bounds check, one reservation, integers at constant
 * offsets. Others go field by field through Input and Output. The text is laid out as the formatter would.
 * Run from the command line (`npm run generate`) it replaces records.ts in the source tree.
 */

import { readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Field, type FieldType, parseSchema, type RecordType, sizeOf, sizeOfRecord } from './schema.ts'

const HEAD = `/**
 * Generated from zookeeper.jute by generate.ts: change the schema and run \`npm run generate\`.
 *
 * Buffers that a reader returns are borrowed from the input. A vector's count is checked against what is left before
 * any memory is taken for it. Malformed bytes are a ProtocolError.
 */

import type { Input } from './input.ts'
import type { Output } from './output.ts'
import { readLong, writeLong, type Zxid } from './zxid.ts'

function readVector<T>(inp: Input, itemBytesMin: number, readItem: (inp: Input) => T): T[] | null {
  const count = inp.count(itemBytesMin)
  if (count < 0) return null
  const items: T[] = []
  for (let i = 0; i < count; i++) items.push(readItem(inp))
  return items
}

function writeVector<T>(out: Output, items: readonly T[] | null, writeItem: (out: Output, item: T) => void): void {
  out.int(items === null ? -1 : items.length)
  if (items !== null) for (const item of items) writeItem(out, item)
}

const readString = (inp: Input): string | null => inp.string()
const writeString = (out: Output, value: string | null): void => out.string(value)
`

/** The text of records.ts for a schema's text. */
export function generate(schema: string): string {
  return HEAD + parseSchema(schema).map(emitRecord).join('')
}

function emitRecord(record: RecordType): string {
  const { bytesMin, fixed } = sizeOfRecord(record)
  const flat = fixed && record.fields.every((field) => field.type.kind === 'scalar')
  const name = record.name
  const bytesName = `${name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toUpperCase()}_BYTES`
  let text = '\n'
  if (flat) text += `export const ${bytesName} = ${bytesMin}\n\n`
  text += docOf(record.doc, '') + `export interface ${name} {\n`
  for (const field of record.fields) {
    text += docOf(field.doc, '  ')
    for (const member of membersOf(field)) text += `  ${member}: ${typeScript(field.type)}\n`
  }
  text += '}\n\n'
  text += `export function read${name}(inp: Input): ${name} {\n`
  text += flat ? readFlat(record, bytesName) : readFields(record)
  text += '}\n\n'
  text += `export function write${name}(out: Output, x: ${name}): void {\n`
  text += flat ? writeFlat(record, bytesName) : writeFields(record)
  return text + '}\n'
}

function docOf(doc: string, indent: string): string {
  if (doc === '') return ''
  const lines = doc.split('\n')
  if (lines.length === 1) return `${indent}/** ${doc} */\n`
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join('')}${indent} */\n`
}

/** The names a field has in memory. */
function membersOf(field: Field): string[] {
  const opaque = field.type.kind === 'scalar' && field.type.name === 'id64'
  return opaque ? [`${field.name}Hi`, `${field.name}Lo`] : [field.name]
}

function typeScript(type: FieldType): string {
  switch (type.kind) {
    case 'scalar':
      return type.name === 'boolean' ? 'boolean' : type.name === 'zxid' ? 'Zxid' : 'number'
    case 'ustring':
      return 'string | null'
    case 'buffer':
      return 'Uint8Array | null'
    case 'record':
      return type.record.name
    case 'vector': {
      const item = typeScript(type.item)
      return item.includes(' ') ? `(${item})[] | null` : `${item}[] | null`
    }
    case 'optional':
      return `${type.name} | null`
  }
}

function readFields(record: RecordType): string {
  let text = '  return {\n'
  for (const field of record.fields) {
    for (const member of membersOf(field)) text += `    ${member}: ${readExpression(field.type)},\n`
  }
  return text + '  }\n'
}

function readExpression(type: FieldType): string {
  switch (type.kind) {
    case 'scalar':
      if (type.name === 'boolean') return 'inp.bool()'
      return type.name === 'int' || type.name === 'id64' ? 'inp.int()' : 'inp.long()'
    case 'ustring':
      return 'inp.string()'
    case 'buffer':
      return 'inp.buffer()'
    case 'record':
      return `read${type.record.name}(inp)`
    case 'vector':
      return `readVector(inp, ${sizeOf(type.item).bytesMin}, ${itemFunction('read', type.item)})`
    case 'optional':
      return 'inp.remaining > 0 ? inp.bool() : null'
  }
}

function itemFunction(verb: 'read' | 'write', item: FieldType): string {
  if (item.kind === 'record') return verb + item.record.name
  if (item.kind === 'ustring') return `${verb}String`
  throw new Error(`no vector of ${item.kind} in this protocol`)
}

function writeFields(record: RecordType): string {
  let text = ''
  for (const field of record.fields) text += `  ${writeStatement(field)}\n`
  return text
}

function writeStatement(field: Field): string {
  const { name, type } = field
  switch (type.kind) {
    case 'scalar':
      if (type.name === 'id64') return `out.words(x.${name}Hi, x.${name}Lo)`
      if (type.name === 'boolean') return `out.bool(x.${name})`
      return `out.${type.name === 'int' ? 'int' : 'long'}(x.${name})`
    case 'ustring':
      return `out.string(x.${name})`
    case 'buffer':
      return `out.buffer(x.${name})`
    case 'record':
      return `write${type.record.name}(out, x.${name})`
    case 'vector':
      return `writeVector(out, x.${name}, ${itemFunction('write', type.item)})`
    case 'optional':
      return `if (x.${name} !== null) out.bool(x.${name})`
  }
}

/** Visits a flat record's members with their offsets; an id64 counts as two ints. */
function flatMembers(record: RecordType): { member: string; type: 'boolean' | 'int' | 'long'; at: string }[] {
  const members: { member: string; type: 'boolean' | 'int' | 'long'; at: string }[] = []
  let bytes = 0
  for (const field of record.fields) {
    if (field.type.kind !== 'scalar') throw new Error(`${record.name} is not flat`)
    const scalar = field.type.name
    const type = scalar === 'boolean' ? 'boolean' : scalar === 'int' || scalar === 'id64' ? 'int' : 'long'
    for (const member of membersOf(field)) {
      members.push({ member, type, at: bytes === 0 ? 'at' : `at + ${bytes}` })
      bytes += type === 'boolean' ? 1 : type === 'int' ? 4 : 8
    }
  }
  return members
}

function readFlat(record: RecordType, bytesName: string): string {
  let text = `  const at = inp.take(${bytesName})\n  const view = inp.view\n  return {\n`
  for (const { member, type, at } of flatMembers(record)) {
    if (type === 'int') text += `    ${member}: view.getInt32(${at}),\n`
    else if (type === 'long') text += `    ${member}: readLong(view, ${at}),\n`
    else text += `    ${member}: view.getInt8(${at}) !== 0,\n`
  }
  return text + '  }\n'
}

function writeFlat(record: RecordType, bytesName: string): string {
  let text = `  out.reserve(${bytesName})\n  const view = out.view\n  const at = out.pos\n`
  for (const { member, type, at } of flatMembers(record)) {
    if (type === 'int') text += `  view.setInt32(${at}, x.${member})\n`
    else if (type === 'long') text += `  writeLong(view, ${at}, x.${member})\n`
    else text += `  view.setInt8(${at}, x.${member} ? 1 : 0)\n`
  }
  return text + `  out.pos = at + ${bytesName}\n`
}

/** The source tree's file, from the source or the built place of this one. */
function sourceFile(name: string): string {
  return fileURLToPath(new URL(`../../src/jute/${name}`, import.meta.url))
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  writeFileSync(sourceFile('records.ts'), generate(readFileSync(sourceFile('zookeeper.jute'), 'utf8')))
}
