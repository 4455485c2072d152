/**
 * The little of ASN.1 DER that Kerberos 5 messages are made of (RFC 4120 section 5): definite lengths, tags below 31,
 * and every field of a SEQUENCE under a context tag of its own. Lengths are checked before anything is taken. Pure.
 */

import { decodeText } from '../../../jute/text.ts'
import { SaslError } from '../mechanism.ts'

export const Tag = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  generalizedTime: 0x18,
  generalString: 0x1b,
  sequence: 0x30,
} as const

/** A value with its tag; `next` is behind it. Bytes are borrowed. */
interface Tlv {
  readonly tag: number
  readonly value: Uint8Array
  readonly next: number
}

export function readTlv(buf: Uint8Array, off: number): Tlv {
  if (off + 2 > buf.length) throw new SaslError('a truncated Kerberos message')
  const tag = buf[off]!
  if ((tag & 0x1f) === 0x1f) throw new SaslError('a tag that Kerberos does not have')
  let at = off + 1
  let length = buf[at++]!
  if (length >= 0x80) {
    const count = length & 0x7f
    if (count === 0 || count > 4 || at + count > buf.length) throw new SaslError('a length that Kerberos does not have')
    length = 0
    for (let i = 0; i < count; i++) length = length * 256 + buf[at++]!
  }
  if (length > buf.length - at) throw new SaslError('a truncated Kerberos message')
  return { tag, value: buf.subarray(at, at + length), next: at + length }
}

/** The value of the one element that `buf` is. */
export function only(buf: Uint8Array, tag: number): Uint8Array {
  const tlv = readTlv(buf, 0)
  if (tlv.tag !== tag || tlv.next !== buf.length) throw new SaslError('a malformed Kerberos message')
  return tlv.value
}

/** The message of an application tag, which is a SEQUENCE. */
export function readApplication(buf: Uint8Array, number: number): Fields {
  return new Fields(only(buf, 0x60 | number))
}

/** The fields of a SEQUENCE by their context tags. */
export class Fields {
  private readonly byTag: ReadonlyMap<number, Uint8Array>

  constructor(sequence: Uint8Array) {
    const content = only(sequence, Tag.sequence)
    const fields = new Map<number, Uint8Array>()
    for (let off = 0; off < content.length; ) {
      const { tag, value, next } = readTlv(content, off)
      if ((tag & 0xe0) !== 0xa0 || fields.has(tag & 0x1f)) throw new SaslError('a malformed Kerberos message')
      fields.set(tag & 0x1f, value)
      off = next
    }
    this.byTag = fields
  }

  has(number: number): boolean {
    return this.byTag.has(number)
  }

  raw(number: number): Uint8Array {
    const field = this.byTag.get(number)
    if (field === undefined) throw new SaslError('a Kerberos message with a field missing')
    return field
  }

  sequence(number: number): Fields {
    return new Fields(this.raw(number))
  }

  /** Up to 48 bits, signed. */
  int(number: number): number {
    const bytes = only(this.raw(number), Tag.integer)
    if (bytes.length === 0 || bytes.length > 6) throw new SaslError('a number beyond what Kerberos has')
    let value = bytes[0]! >= 0x80 ? -1 : 0
    for (const byte of bytes) value = value * 256 + byte
    return value
  }

  octets(number: number): Uint8Array {
    return only(this.raw(number), Tag.octetString)
  }

  text(number: number): string {
    return textOf(only(this.raw(number), Tag.generalString))
  }

  /** Names of a `SEQUENCE OF GeneralString` in field `number`. */
  texts(number: number): string[] {
    const content = only(this.raw(number), Tag.sequence)
    const texts: string[] = []
    for (let off = 0; off < content.length; ) {
      const { tag, value, next } = readTlv(content, off)
      if (tag !== Tag.generalString) throw new SaslError('a malformed Kerberos message')
      texts.push(textOf(value))
      off = next
    }
    return texts
  }

  /** Is bit `bit` set, counted from the first? */
  flag(number: number, bit: number): boolean {
    const bytes = only(this.raw(number), Tag.bitString)
    const byte = bytes[1 + (bit >> 3)]
    return byte !== undefined && (byte & (0x80 >> (bit & 7))) !== 0
  }

  /** Seconds since 1970. */
  seconds(number: number): number {
    const text = textOf(only(this.raw(number), Tag.generalizedTime))
    const found = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
    if (found === null) throw new SaslError('a malformed time')
    const [year, month, day, hour, minute, second] = found.slice(1).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    return Date.UTC(year, month - 1, day, hour, minute, second) / 1000
  }
}

function textOf(bytes: Uint8Array): string {
  return decodeText(bytes, 0, bytes.length)
}

// ------------------------------------------------------------------ writing

export function tlv(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const header: number[] = [tag]
  if (length < 0x80) {
    header.push(length)
  } else {
    const bytes: number[] = []
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
    header.push(0x80 | bytes.length, ...bytes)
  }
  return concat([Uint8Array.from(header), ...parts])
}

/** Field `number` of a SEQUENCE. */
export function field(number: number, value: Uint8Array): Uint8Array {
  return tlv(0xa0 | number, value)
}

/** A number of at most 47 bits that is not negative. */
export function integer(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  if (bytes.length === 0 || bytes[0]! >= 0x80) bytes.unshift(0)
  return tlv(Tag.integer, Uint8Array.from(bytes))
}

export function sequenceOf(parts: readonly Uint8Array[]): Uint8Array {
  return tlv(Tag.sequence, ...parts)
}

export function octetString(bytes: Uint8Array): Uint8Array {
  return tlv(Tag.octetString, bytes)
}

export function generalString(text: string): Uint8Array {
  return tlv(Tag.generalString, new TextEncoder().encode(text))
}

/** 32 flags, the first of them the highest bit. */
export function flags(bits: number): Uint8Array {
  return tlv(Tag.bitString, Uint8Array.from([0, bits >>> 24, (bits >>> 16) & 255, (bits >>> 8) & 255, bits & 255]))
}

export function time(seconds: number): Uint8Array {
  const text = new Date(seconds * 1000).toISOString().replace(/[-:T]|\.\d+/g, '')
  return tlv(Tag.generalizedTime, new TextEncoder().encode(text))
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
