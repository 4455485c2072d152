/**
 * The grammar of zookeeper.jute: text to a list of records whose types are resolved and whose sizes are known.
 *
 * The grammar is told at the head of zookeeper.jute. Errors carry the line; nothing is guessed.
 */

export type Scalar = 'boolean' | 'int' | 'zxid' | 'time' | 'long' | 'id64'

export type FieldType =
  | { kind: 'scalar'; name: Scalar }
  | { kind: 'ustring' }
  | { kind: 'buffer' }
  | { kind: 'record'; record: RecordType }
  | { kind: 'vector'; item: FieldType }
  | { kind: 'optional'; name: 'boolean' }

export interface Field {
  name: string
  type: FieldType
  /** The comment behind the field; '' without one. */
  doc: string
}

export interface RecordType {
  name: string
  fields: readonly Field[]
  /** The comment before the record, its lines joined with '\n'; '' without one. */
  doc: string
}

const SCALAR_BYTES: Readonly<Record<Scalar, number>> = { boolean: 1, int: 4, zxid: 8, time: 8, long: 8, id64: 8 }

function isScalar(name: string): name is Scalar {
  return Object.hasOwn(SCALAR_BYTES, name)
}

/** The fewest bytes a value takes on the wire; `fixed` when every value takes just these. */
export function sizeOf(type: FieldType): { bytesMin: number; fixed: boolean } {
  switch (type.kind) {
    case 'scalar':
      return { bytesMin: SCALAR_BYTES[type.name], fixed: true }
    case 'ustring':
    case 'buffer':
    case 'vector':
      return { bytesMin: 4, fixed: false }
    case 'optional':
      return { bytesMin: 0, fixed: false }
    case 'record':
      return sizeOfRecord(type.record)
  }
}

export function sizeOfRecord(record: RecordType): { bytesMin: number; fixed: boolean } {
  let bytesMin = 0
  let fixed = true
  for (const field of record.fields) {
    const size = sizeOf(field.type)
    bytesMin += size.bytesMin
    fixed &&= size.fixed
  }
  return { bytesMin, fixed }
}

/** Records in the order of the text. Throws SyntaxError with the line number. */
export function parseSchema(text: string): RecordType[] {
  const records = new Map<string, RecordType>()
  let open: { name: string; fields: Field[]; doc: string } | null = null
  let docLines: string[] = []
  let number = 0
  for (const line of text.split('\n')) {
    number++
    const fail = (message: string): never => {
      throw new SyntaxError(`line ${number}: ${message}`)
    }
    const hash = line.indexOf('#')
    const doc = hash < 0 ? '' : line.slice(hash + 1).trim()
    const words = (hash < 0 ? line : line.slice(0, hash)).trim().split(/\s+/)
    if (words[0] === '') {
      if (open !== null) {
        if (hash >= 0) fail('a comment in a record stands behind a field')
      } else if (hash < 0) docLines = []
      else docLines.push(doc)
    } else if (open === null) {
      const [keyword, name, brace] = words
      if (keyword !== 'record' || name === undefined || brace !== '{' || words.length !== 3) {
        fail("'record NAME {' expected")
      } else {
        if (!/^[A-Z][A-Za-z0-9]*$/.test(name)) fail(`bad record name '${name}'`)
        if (records.has(name)) fail(`record ${name} again`)
        open = { name, fields: [], doc: docLines.join('\n') }
        docLines = []
      }
    } else if (words.length === 1 && words[0] === '}') {
      if (open.fields.length === 0) fail(`record ${open.name} has no fields`)
      records.set(open.name, open)
      open = null
    } else {
      const name = words.pop()!
      if (!/^[a-z][A-Za-z0-9]*$/.test(name)) fail(`bad field name '${name}'`)
      if (open.fields.some((field) => field.name === name)) fail(`field ${name} again`)
      if (open.fields.at(-1)?.type.kind === 'optional') fail('nothing may follow an optional field')
      open.fields.push({ name, type: parseType(words.join(' '), records, fail), doc })
    }
  }
  if (open !== null) throw new SyntaxError(`line ${number}: record ${open.name} is not closed`)
  return [...records.values()]
}

function parseType(text: string, records: Map<string, RecordType>, fail: (message: string) => never): FieldType {
  if (isScalar(text)) return { kind: 'scalar', name: text }
  if (text === 'ustring' || text === 'buffer') return { kind: text }
  if (text === 'optional boolean') return { kind: 'optional', name: 'boolean' }
  const vector = /^vector<(.+)>$/.exec(text)
  if (vector !== null) {
    const item = parseType(vector[1]!, records, fail)
    return item.kind === 'optional' ? fail('no vector of optional items') : { kind: 'vector', item }
  }
  const record = records.get(text)
  if (record === undefined) return fail(`unknown type '${text}'`)
  if (record.fields.at(-1)?.type.kind === 'optional') fail(`${text} ends where its frame ends: it cannot be a part`)
  return { kind: 'record', record }
}
