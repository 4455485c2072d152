/** Properties syntax, against what java.util.Properties.load (Java 17) made of the same bytes. */

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  PropertySyntaxError,
  parseProperties,
  splitWords,
  systemPropertiesOf,
} from '../../../src/server/config/properties.ts'

interface JavaCase {
  readonly text: string
  readonly entries?: Record<string, string>
  readonly error?: boolean
}

const cases: readonly JavaCase[] = JSON.parse(
  readFileSync(new URL('./fixtures/java-properties.json', import.meta.url), 'utf8'),
)

describe('properties syntax', () => {
  test(`${cases.length} texts, most of them noise, read as Java reads them`, () => {
    for (const { text, entries, error } of cases) {
      const label = JSON.stringify(text)
      if (error === true) {
        expect(() => parseProperties(text), label).toThrow(PropertySyntaxError)
      } else {
        expect(Object.fromEntries(parseProperties(text).map((entry) => [entry.key, entry.value])), label).toEqual(
          entries,
        )
      }
    }
  })

  test('an entry knows the line on which it begins, across comments, blank lines and continuations', () => {
    const entries = parseProperties('# one\n\na=1\\\n  2\r\n! five\rb=3\n   c = 4')
    expect(entries).toEqual([
      { key: 'a', value: '12', line: 3 },
      { key: 'b', value: '3', line: 6 },
      { key: 'c', value: '4', line: 7 },
    ])
  })

  test('a malformed escape is refused with its line', () => {
    expect(() => parseProperties('a=1\nb=\\u12x4')).toThrow(expect.objectContaining({ line: 2 }))
  })
})

describe('JVM flags', () => {
  test('words are split at blanks, and quotes and backslashes protect them', () => {
    expect(splitWords(`  -Xmx1g -Da='b c'  -Db="d \\"e\\" $f" -Dc=g\\ h '' `)).toEqual([
      '-Xmx1g',
      '-Da=b c',
      '-Db=d "e" $f',
      '-Dc=g h',
      '',
    ])
  })

  test('of the words only -D settings count, the last one of a name wins, and a bare name is empty', () => {
    const words = ['-Xmx1g', '-Dx=1', '-Dy', '-Dx=2=3', '-D', 'org.apache.Main']
    expect([...systemPropertiesOf(words)]).toEqual([
      ['x', '2=3'],
      ['y', ''],
    ])
  })
})
