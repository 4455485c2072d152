/** What a znode may be called: the rule of Java's PathUtils.validatePath, on bytes. */

import { describe, expect, it } from 'vitest'
import { isSpecialPath, isValidPath, lastSlash, pathKey } from '../../../src/server/requests/paths.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const valid = (path: Uint8Array): boolean => isValidPath(path, 0, path.length)

describe('isValidPath', () => {
  it('accepts and refuses the shapes that Java does', () => {
    const good = [
      '/',
      '/a',
      '/a/b',
      '/...',
      '/a..',
      '/..a',
      '/.a',
      '/a.',
      '/a/.../b',
      '/zookeeper',
      '/a b',
      '/é',
      '/日本',
    ]
    const bad = ['', 'a', 'a/b', '/a/', '//', '//a', '/a//b', '/.', '/..', '/./a', '/a/.', '/a/..', '/a/../b', '/a/./b']
    for (const path of good) expect(valid(bytes(path)), path).toBe(true)
    for (const path of bad) expect(valid(bytes(path)), path).toBe(false)
  })

  it('refuses exactly the code points that Java refuses, over the whole basic plane', () => {
    for (let point = 0; point <= 0xffff; point++) {
      if (point === 0x2f || point === 0x2e) continue
      const refused =
        point <= 0x1f || (point >= 0x7f && point <= 0x9f) || (point >= 0xd800 && point <= 0xf8ff) || point >= 0xfff0
      // Surrogates by themselves do not encode: their three-byte form stands in.
      const encoded =
        point >= 0xd800 && point <= 0xdfff
          ? [0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f)]
          : [...bytes(String.fromCharCode(point))]
      const path = new Uint8Array([0x2f, 0x61, ...encoded, 0x62])
      expect(valid(path), `U+${point.toString(16)}`).toBe(!refused)
    }
  })

  it('refuses malformed UTF-8, which Java reads as U+FFFD, and everything beyond the basic plane (S9)', () => {
    const tails = [[0x80], [0xc3], [0xc0, 0xaf], [0xe0, 0x80, 0xaf], [0xe2, 0x82], [0xff], [0xf0, 0x9f, 0x98, 0x80]]
    for (const tail of tails) expect(valid(new Uint8Array([0x2f, 0x61, ...tail])), tail.join()).toBe(false)
  })

  it('reads no byte outside of its range', () => {
    const path = new Uint8Array([0x2f, 0x61, 0xc3, 0xa9])
    expect(isValidPath(path, 0, 3)).toBe(false)
    expect(isValidPath(path, 0, 4)).toBe(true)
    expect(isValidPath(path, 1, 4)).toBe(false)
  })
})

describe('the parts of a path', () => {
  it('finds the last slash, if any', () => {
    expect(lastSlash(bytes('/a/b'), 0, 4)).toBe(2)
    expect(lastSlash(bytes('a'), 0, 1)).toBe(-1)
    expect(lastSlash(bytes('/a/b'), 1, 2)).toBe(-1)
  })

  it('knows the znodes that nobody deletes', () => {
    for (const path of ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']) {
      expect(isSpecialPath(bytes(path), 0, path.length), path).toBe(true)
    }
    expect(isSpecialPath(bytes('/zookeeper/quota/a'), 0, 18)).toBe(false)
  })

  it('keys long paths apart', () => {
    const long = bytes('/' + 'x'.repeat(10_000))
    const other = long.slice()
    other[9000] = 0x79
    expect(pathKey(long)).not.toBe(pathKey(other))
    expect(pathKey(long).length).toBe(10_001)
  })
})
