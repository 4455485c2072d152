/**
 * Text as Java's jute reads and writes it.
 *
 * Reading is `new String(bytes, UTF_8)`: malformed input becomes U+FFFD. It differs from the WHATWG decoder in one
 * thing: the three-byte form of a surrogate (CESU-8), or its first two bytes, is one U+FFFD and not one for each byte.
 * Writing is BinaryOutputArchive.stringToByteBuffer: each UTF-16 unit by itself, so a code point from U+10000 leaves as
 * two three-byte surrogates.
 */

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

export function decodeText(buf: Uint8Array, off: number, end: number): string {
  return decode(buf, off, end, false)
}

/** The inverse of `encodeText`, where Java has none: surrogates come back as they went, and so does any other text. */
export function decodeStoredText(buf: Uint8Array, off: number, end: number): string {
  return decode(buf, off, end, true)
}

function decode(buf: Uint8Array, off: number, end: number, keepSurrogates: boolean): string {
  if (end - off < 24) {
    let ascii = ''
    let at = off
    while (at < end && buf[at]! < 0x80) ascii += String.fromCharCode(buf[at++]!)
    if (at === end) return ascii
  }
  // 0xed never continues a sequence, so cutting the text in front of one changes nothing on either side.
  let text = ''
  let from = off
  for (let at = off; at + 1 < end; at++) {
    if (buf[at] !== 0xed || (buf[at + 1]! & 0xe0) !== 0xa0) continue
    if (from < at) text += decoder.decode(buf.subarray(from, at))
    const whole = at + 2 < end && (buf[at + 2]! & 0xc0) === 0x80
    const unit = 0xd000 | ((buf[at + 1]! & 0x3f) << 6) | (buf[at + 2]! & 0x3f)
    text += whole && keepSurrogates ? String.fromCharCode(unit) : '\ufffd'
    at += whole ? 2 : 1
    from = at + 1
  }
  return from < end ? text + decoder.decode(buf.subarray(from, end)) : text
}

/** The number of bytes `encodeText` will write. */
export function textBytes(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) bytes += unit < 0x800 ? 1 : 2
  }
  return bytes
}

/** Writes `text` at `at`; the caller has made room. Returns the position behind it. */
export function encodeText(text: string, into: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) {
      into[at++] = unit
    } else if (unit < 0x800) {
      into[at++] = 0xc0 | (unit >> 6)
      into[at++] = 0x80 | (unit & 0x3f)
    } else {
      into[at++] = 0xe0 | (unit >> 12)
      into[at++] = 0x80 | ((unit >> 6) & 0x3f)
      into[at++] = 0x80 | (unit & 0x3f)
    }
  }
  return at
}

/** `text` as bytes of its own. */
export function textToBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(textBytes(text))
  encodeText(text, bytes, 0)
  return bytes
}

/** How many UTF-16 units well-formed bytes stand for; surrogates written as three bytes each are one unit each. */
export function utf16Length(buf: Uint8Array, off: number, end: number): number {
  let units = 0
  for (let at = off; at < end; at++) {
    const byte = buf[at]!
    if ((byte & 0xc0) !== 0x80) units += byte < 0xf0 ? 1 : 2
  }
  return units
}
