/** Java's records (fixtures/records.json, written by JuteFixtures.java) in the form of records.ts. */

import { readFileSync } from 'node:fs'
import type { Input } from '../../../src/jute/input.ts'
import type { Output } from '../../../src/jute/output.ts'
import * as records from '../../../src/jute/records.ts'
import { type FieldType, parseSchema, type RecordType } from '../../../src/jute/schema.ts'

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

export interface Fixture {
  records: { name: string; fields: [string, string][]; cases: { values: { [name: string]: Json }; hex: string }[] }[]
  messages: { name: string; parts: { name: string; values: { [name: string]: Json } }[]; hex: string }[]
}

export interface Codec {
  read(inp: Input): unknown
  write(out: Output, value: unknown): void
}

export const fixture: Fixture = JSON.parse(readFileSync(new URL('fixtures/records.json', import.meta.url), 'utf8'))

export const schema: ReadonlyMap<string, RecordType> = new Map(
  parseSchema(readFileSync(new URL('../../../src/jute/zookeeper.jute', import.meta.url), 'utf8')).map((record) => [
    record.name,
    record,
  ]),
)

export function unhex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

/** The generated reader and writer of a record, found by name: the only place that needs to trust a name. */
export function codecOf(name: string): Codec {
  const all = records as unknown as Record<string, never>
  return { read: all[`read${name}`]!, write: all[`write${name}`]! }
}

/** A record's values as its reader returns them. */
export function valuesOf(record: RecordType, json: { [name: string]: Json }): { [name: string]: unknown } {
  const values: { [name: string]: unknown } = {}
  for (const field of record.fields) {
    const value = json[field.name]!
    if (field.type.kind === 'scalar' && field.type.name === 'id64') {
      const bits = BigInt.asUintN(64, BigInt((value as { long: string }).long))
      values[`${field.name}Hi`] = Number(bits >> 32n) | 0
      values[`${field.name}Lo`] = Number(bits & 0xffff_ffffn) | 0
    } else {
      values[field.name] = fieldValue(field.type, value)
    }
  }
  return values
}

function fieldValue(type: FieldType, json: Json): unknown {
  if (json === null) return null
  switch (type.kind) {
    case 'scalar':
      return typeof json === 'object' ? Number((json as { long: string }).long) : json
    case 'buffer':
      return unhex((json as { buffer: string }).buffer)
    case 'vector':
      return (json as Json[]).map((item) => fieldValue(type.item, item))
    case 'record':
      return valuesOf(type.record, json as { [name: string]: Json })
    default:
      return json
  }
}

/** Java's name of a type: its classes have one kind of long, and know no optional fields. */
export function javaType(type: FieldType): string {
  switch (type.kind) {
    case 'scalar':
      return type.name === 'boolean' || type.name === 'int' ? type.name : 'long'
    case 'vector':
      return `vector<${javaType(type.item)}>`
    case 'record':
      return type.record.name
    case 'optional':
      return type.name
    default:
      return type.kind
  }
}
