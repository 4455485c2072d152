/** Options as commons-cli 1.5 reads them; the messages are its own (DefaultParser, the exceptions beside it). */

import { describe, expect, test } from 'vitest'
import { exclusiveOptions, options, optionsHelp, parseOptions } from '../../../../src/cli/zkcli/options.ts'

const TABLE = options(['s', 'stats'], ['v:', 'version'], ['file:', 'a file'], ['R', 'recursive'])
const GROUP = exclusiveOptions('one', ['n:', 'soft'], ['b:', 'bytes'])
const MAYBE = exclusiveOptions('atMostOne', ['n', 'soft'], ['b', 'bytes'])

function read(line: string, table = TABLE): string {
  const { words, has, value } = parseOptions(line.split(' '), table)
  const given = table.options.filter(({ name }) => has(name)).map(({ name }) => `${name}=${value(name)}`)
  return `${words.join(' ')} | ${given.join(' ')}`
}

test.each([
  ['set /a x', 'set /a x | '],
  ['set -s /a -v 3 x', 'set /a x | s=null v=3'],
  ['set -v3 /a', 'set /a | v=3'],
  ['set -v=3 /a', 'set /a | v=3'],
  ['set -v -1 /a', 'set /a | v=-1'],
  ['set -v -x /a', 'set /a | v=-x'],
  ['set -sR /a', 'set /a | s=null R=null'],
  ['set -sv 3 /a', 'set /a | s=null v=3'],
  ['set -sv3 /a', 'set /a | s=null v=3'],
  ['set -file x /a', 'set /a | file=x'],
  ['set -v 1 -v 2', 'set | v=1'],
  ['set -- -s -v', 'set -s -v | '],
  ['set - /a', 'set - /a | '],
  ['set -v "3" /a', 'set /a | v=3'],
])('%s', (line, expected) => {
  expect(read(line)).toBe(expected)
})

describe('mistakes', () => {
  test.each([
    ['set -z', 'UnrecognizedOptionException: Unrecognized option: -z'],
    ['set -sz', 'UnrecognizedOptionException: Unrecognized option: -sz'],
    ['set --version 3', 'UnrecognizedOptionException: Unrecognized option: --version'],
    ['set -s=3', 'UnrecognizedOptionException: Unrecognized option: -s=3'],
    ['set -file=x', 'UnrecognizedOptionException: Unrecognized option: -file=x'],
    ['set -1', 'UnrecognizedOptionException: Unrecognized option: -1'],
    ['set -v', 'MissingArgumentException: Missing argument for option: v'],
    ['set -v -s', 'MissingArgumentException: Missing argument for option: v'],
  ])('%s', (line, message) => {
    expect(() => read(line)).toThrow(`org.apache.commons.cli.${message}`)
  })

  test('of those that exclude each other one at most is taken, or one exactly', () => {
    expect(() => read('q /a', GROUP)).toThrow(
      'org.apache.commons.cli.MissingOptionException: Missing required option: [-n soft, -b bytes]',
    )
    const both = "The option 'b' was specified but an option from this group has already been selected: 'n'"
    expect(() => read('q -n 1 -b 2 /a', GROUP)).toThrow(`org.apache.commons.cli.AlreadySelectedException: ${both}`)
    expect(read('q /a', MAYBE)).toBe('q /a | ')
    expect(() => read('q -nb /a', MAYBE)).toThrow(both)
  })
})

test('help has a line for each option, by name', () => {
  expect(optionsHelp(TABLE)).toBe(
    ' -file <arg>   a file\n -R            recursive\n -s            stats\n -v <arg>      version',
  )
})
