/** Text against Java's: fixtures/text.json was written by TextFixtures.java. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Output } from '../../../src/jute/output.ts'
import { decodeText, encodeText, textBytes, textToBytes } from '../../../src/jute/text.ts'

interface Fixture {
  decoded: [string, string][]
  exhaustive: { alphabet: string; length: number; sha256: string }[]
  encoded: [string, string][]
}

const fixture: Fixture = JSON.parse(readFileSync(new URL('fixtures/text.json', import.meta.url), 'utf8'))

function unhex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

function fromUnits(hex: string): string {
  return Buffer.from(hex, 'hex').swap16().toString('utf16le')
}

function units(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16()
}

test('malformed UTF-8 reads as Java reads it', () => {
  expect(fixture.decoded.length).toBeGreaterThan(1500)
  for (const [hex, expected] of fixture.decoded) {
    const bytes = unhex(hex)
    expect(units(decodeText(bytes, 0, bytes.length)).toString('hex'), hex).toBe(expected)
  }
})

test('where the text lies in its buffer, and what stands around it, does not matter', () => {
  const before = 'a text of more than thirty-two characters: '
  for (const [hex, expected] of fixture.decoded) {
    const bytes = Uint8Array.from(
      Buffer.concat([Buffer.from(before), Buffer.from(hex, 'hex'), Buffer.from([0xbf, 0x80])]),
    )
    expect(decodeText(bytes, 0, bytes.length - 2), hex).toBe(before + fromUnits(expected))
    expect(decodeText(bytes, before.length, bytes.length - 2), hex).toBe(fromUnits(expected))
  }
})

test.each(fixture.exhaustive)('every sequence of $length edge bytes reads as Java reads it', (exhaustive) => {
  const alphabet = unhex(exhaustive.alphabet)
  const length = exhaustive.length
  const digits = new Uint8Array(length)
  const bytes = new Uint8Array(length).fill(alphabet[0]!)
  const hash = createHash('sha256')
  for (;;) {
    hash.update(Buffer.concat([units(decodeText(bytes, 0, length)), Buffer.of(10)]))
    let at = length - 1
    while (at >= 0 && digits[at] === alphabet.length - 1) {
      digits[at] = 0
      bytes[at--] = alphabet[0]!
    }
    if (at < 0) break
    bytes[at] = alphabet[++digits[at]!]!
  }
  expect(hash.digest('hex')).toBe(exhaustive.sha256)
})

test('strings leave as Java writes them, UTF-16 unit by UTF-16 unit', () => {
  for (const [hex, expected] of fixture.encoded) {
    const text = fromUnits(hex)
    expect(textBytes(text)).toBe(expected.length / 2)
    expect(Buffer.from(textToBytes(text)).toString('hex')).toBe(expected)
    const into = new Uint8Array(expected.length / 2 + 2).fill(0x55)
    expect(encodeText(text, into, 1)).toBe(into.length - 1)
    expect(Buffer.from(into).toString('hex')).toBe(`55${expected}55`)
    const out = new Output(4)
    out.string(text)
    expect(Buffer.from(out.bytes()).toString('hex')).toBe(
      (expected.length / 2).toString(16).padStart(8, '0') + expected,
    )
  }
})

test('a megabyte of surrogates is read without exhausting the stack', () => {
  const bytes = new Uint8Array(3 * 350_000)
  for (let at = 0; at < bytes.length; at += 3) bytes.set([0xed, 0xa0, 0x80], at)
  expect(decodeText(bytes, 0, bytes.length)).toBe('\ufffd'.repeat(350_000))
})
