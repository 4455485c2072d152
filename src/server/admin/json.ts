/**
 * JSON as Jackson indents it, in pieces: `"key" : value`, arrays on one line, two blanks a level. Lists and maps are
 * walked while they are written, so that a long one is never in memory as a whole. Pure.
 */

import { formatDouble } from '../report/metrics.ts'

/** A floating point number by nature: printed with a point, and NaN as a string, as Jackson does. */
export class Double {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

export class List {
  readonly items: Iterable<Json>

  constructor(items: Iterable<Json>) {
    this.items = items
  }
}

export type Fields = Iterable<readonly [key: string, value: Json]>

export class Fieldset {
  readonly fields: Fields

  constructor(fields: Fields) {
    this.fields = fields
  }
}

export type Json = null | boolean | number | bigint | string | Double | List | Fieldset

/** A map of these keys. */
export function fieldset(record: Readonly<Record<string, Json>>): Fieldset {
  return new Fieldset(Object.entries(record))
}

/** The text of `value`, in small pieces. */
export function* jsonPieces(value: Json, indent = ''): Generator<string> {
  if (value instanceof List) yield* listPieces(value.items, indent)
  else if (value instanceof Fieldset) yield* fieldPieces(value.fields, indent)
  else yield scalar(value)
}

function* listPieces(items: Iterable<Json>, indent: string): Generator<string> {
  let before = '[ '
  for (const item of items) {
    yield before
    yield* jsonPieces(item, indent)
    before = ', '
  }
  yield before === '[ ' ? '[ ]' : ' ]'
}

function* fieldPieces(fields: Fields, indent: string): Generator<string> {
  const inner = `${indent}  `
  let before = '{'
  for (const [key, value] of fields) {
    yield `${before}\n${inner}${JSON.stringify(key)} : `
    yield* jsonPieces(value, inner)
    before = ','
  }
  yield before === '{' ? '{ }' : `\n${indent}}`
}

function scalar(value: null | boolean | number | bigint | string | Double): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (!(value instanceof Double)) return String(value)
  return Number.isFinite(value.value) ? formatDouble(value.value) : `"${formatDouble(value.value)}"`
}
