/**
 * ASN.1 values as DER and BER write them: tag, length, contents. Reads only what stores, names and revocation lists need.
 * Pure.
 *
 * A value is a window into the bytes it was read from. Lengths of up to four bytes; the indefinite form, which some
 * writers of PKCS12 use, is read by looking for its end. Everything that does not add up throws DerError.
 */

export class DerError extends Error {
  override name = 'DerError'
}

export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

const CONSTRUCTED = 0x20
const DEPTH_MAX = 40

export interface Der {
  readonly tag: number
  /** Borrowed: the whole value, tag and length included. */
  readonly whole: Uint8Array
  /** Borrowed. */
  readonly contents: Uint8Array
}

/** The one value that `bytes` are; bytes behind it are an error. */
export function readDer(bytes: Uint8Array): Der {
  const { value, end } = readAt(bytes, 0, 0)
  if (end !== bytes.length) throw new DerError(`${bytes.length - end} bytes follow the end`)
  return value
}

/** The values inside a constructed one. */
export function children(value: Der): Der[] {
  if ((value.tag & CONSTRUCTED) === 0) throw new DerError(`tag ${hex(value.tag)} has nothing inside`)
  const found: Der[] = []
  let off = 0
  while (off < value.contents.length) {
    const { value: child, end } = readAt(value.contents, off, 0)
    found.push(child)
    off = end
  }
  return found
}

/** The value as one of this tag, or an error that says what it should have been. */
export function expectTag(value: Der | undefined, tag: number, what: string): Der {
  if (value === undefined) throw new DerError(`${what} is missing`)
  if (value.tag !== tag) throw new DerError(`${what} has tag ${hex(value.tag)} instead of ${hex(tag)}`)
  return value
}

export function sequence(value: Der | undefined, what: string): Der[] {
  return children(expectTag(value, Tag.sequence, what))
}

/** The bytes of an octet string, put together where they come in pieces. Context tags count as octet strings too. */
export function octets(value: Der | undefined, what: string): Uint8Array {
  if (value === undefined) throw new DerError(`${what} is missing`)
  const primitive = value.tag & ~CONSTRUCTED
  if (primitive !== Tag.octetString && (primitive & 0xc0) !== 0x80) {
    throw new DerError(`${what} has tag ${hex(value.tag)} instead of an octet string's`)
  }
  if ((value.tag & CONSTRUCTED) === 0) return value.contents
  const pieces = children(value).map((piece) => octets(piece, what))
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let off = 0
  for (const piece of pieces) {
    all.set(piece, off)
    off += piece.length
  }
  return all
}

/** A non-negative integer that fits a number. */
export function smallInteger(value: Der | undefined, what: string): number {
  const { contents } = expectTag(value, Tag.integer, what)
  if (contents.length === 0 || contents.length > 6 || contents[0]! >= 0x80)
    throw new DerError(`${what} is out of range`)
  return contents.reduce((sum, byte) => sum * 256 + byte, 0)
}

/** An object identifier in its dotted form. */
export function oid(value: Der | undefined, what: string): string {
  const { contents } = expectTag(value, Tag.oid, what)
  const arcs: bigint[] = []
  let arc = 0n
  let open = false
  for (const byte of contents) {
    arc = arc * 128n + BigInt(byte & 0x7f)
    open = byte >= 0x80
    if (open) continue
    if (arcs.length === 0) {
      const first = arc < 80n ? arc / 40n : 2n
      arcs.push(first, arc - first * 40n)
    } else arcs.push(arc)
    arc = 0n
  }
  if (open || arcs.length === 0) throw new DerError(`${what} is cut off`)
  return arcs.join('.')
}

function readAt(bytes: Uint8Array, off: number, depth: number): { value: Der; end: number } {
  if (depth > DEPTH_MAX) throw new DerError('nested too deeply')
  if (off + 2 > bytes.length) throw new DerError('cut off')
  const tag = bytes[off]!
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of more than one byte')
  const first = bytes[off + 1]!
  let start = off + 2
  let length = first
  if (first === 0x80) return readIndefinite(bytes, off, depth)
  if (first > 0x80) {
    const count = first & 0x7f
    if (count > 4) throw new DerError('a length of more than four bytes')
    if (start + count > bytes.length) throw new DerError('cut off')
    length = 0
    for (let i = 0; i < count; i++) length = length * 256 + bytes[start + i]!
    start += count
  }
  const end = start + length
  if (end > bytes.length) throw new DerError('cut off')
  return { value: { tag, whole: bytes.subarray(off, end), contents: bytes.subarray(start, end) }, end }
}

function readIndefinite(bytes: Uint8Array, off: number, depth: number): { value: Der; end: number } {
  const tag = bytes[off]!
  if ((tag & CONSTRUCTED) === 0) throw new DerError('an open end where nothing can be inside')
  const start = off + 2
  let at = start
  for (;;) {
    if (at + 2 > bytes.length) throw new DerError('cut off')
    if (bytes[at] === 0 && bytes[at + 1] === 0) break
    at = readAt(bytes, at, depth + 1).end
  }
  const end = at + 2
  return { value: { tag, whole: bytes.subarray(off, end), contents: bytes.subarray(start, at) }, end }
}

function hex(tag: number): string {
  return `0x${tag.toString(16).padStart(2, '0')}`
}
