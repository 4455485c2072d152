/** Text that was written as Java writes it comes back as it was, also beyond the basic plane. */

import { expect, it } from 'vitest'
import { decodeStoredText, decodeText, textToBytes } from '../../../src/jute/text.ts'

const stored = (bytes: Uint8Array): string => decodeStoredText(bytes, 0, bytes.length)

it('decodeStoredText is the inverse of encodeText', () => {
  const long = `${'x'.repeat(30)}😀`
  for (const text of ['', '/a', '/é/日本', '/😀', '/\ufffd', '\u0000\u007f\u0080\u07ff\u0800\uffff', 'a\ud83d', long]) {
    expect(stored(textToBytes(text))).toBe(text)
  }
})

it('decodeStoredText reads what was not written so as well, as decodeText does', () => {
  for (const hex of ['f09f9880', 'ff41', 'c3', 'e282', '61ed', 'eda0', 'eda041', '41e28241']) {
    const bytes = Uint8Array.from(Buffer.from(hex, 'hex'))
    expect(stored(bytes), hex).toBe(decodeText(bytes, 0, bytes.length))
  }
})
