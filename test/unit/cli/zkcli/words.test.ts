/** Typed lines and command lines, taken apart as ZooKeeperMain does. */

import { describe, expect, test } from 'vitest'
import { parseLaunch, splitLine } from '../../../../src/cli/zkcli/words.ts'

describe('a typed line', () => {
  // The first ones are those of Java's ClientTest and ZooKeeperTest.
  test.each([
    ['create -s -e /node data', ['create', '-s', '-e', '/node', 'data']],
    ["create -s -e /node 'data with space'", ['create', '-s', '-e', '/node', 'data with space']],
    ['create -s -e /node "data with space"', ['create', '-s', '-e', '/node', 'data with space']],
    ['create /node \'a "b" c\' x', ['create', '/node', 'a "b" c', 'x']],
    ['set /a ""', ['set', '/a', '']],
    ['set /a a"b"c', ['set', '/a', 'a"b"c']],
    ['set /a "open', ['set', '/a', 'open']],
    ["set /a it's", ['set', '/a', "it's"]],
    ['  ls   /\t', ['ls', '/']],
    ['set /a x\\ny', ['set', '/a', 'x\\ny']],
    ['"', []],
    ['', []],
  ])('%s', (line, words) => {
    expect(splitLine(line)).toEqual(words)
  })
})

describe('a command line', () => {
  test('options come before the command, and what is behind it is its own', () => {
    const words = ['-server', 'a:1', '-r', '-timeout', '5', '--json', 'get', '-s', '/x', '-r']
    expect(parseLaunch(words)).toEqual({
      server: 'a:1',
      timeout: '5',
      readOnly: true,
      waitForConnection: false,
      clientConfiguration: null,
      json: true,
      help: false,
      command: ['get', '-s', '/x', '-r'],
      lacking: null,
    })
  })

  test('without any it is localhost:2181, half a minute, and a session', () => {
    expect(parseLaunch([])).toMatchObject({
      server: 'localhost:2181',
      timeout: '30000',
      readOnly: false,
      command: null,
    })
  })

  test('an option that lacks its argument is named; unknown ones are passed over', () => {
    expect(parseLaunch(['-unknown', '-server'])).toMatchObject({ lacking: '-server', server: 'localhost:2181' })
    expect(parseLaunch(['-unknown', '5', 'ls'])).toMatchObject({ command: ['5', 'ls'] })
    expect([['-h'], ['-r', '--help'], ['ls', '-h']].map((words) => parseLaunch(words).help)).toEqual([
      true,
      true,
      false,
    ])
  })
})
