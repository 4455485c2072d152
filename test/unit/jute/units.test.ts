/** Text that was written as Java writes it comes back as it was, also beyond the basic plane. */

import { expect, it } from 'vitest'
import { decodeUnits, textToBytes } from '../../../src/jute/text.ts'

it('decodeUnits is the inverse of encodeText', () => {
  for (const text of ['', '/a', '/é/日本', '/😀', '/\ufffd', '\u0000\u007f\u0080\u07ff\u0800\uffff', 'a\ud83d']) {
    expect(decodeUnits(textToBytes(text))).toBe(text)
  }
})
