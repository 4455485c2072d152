/** What the tab key offers at the end of a line. */

import { describe, expect, test } from 'vitest'
import { pathCandidates, wantedAt } from '../../../../src/cli/zkcli/completion.ts'
import { COMMAND_NAMES } from '../../../../src/cli/zkcli/table.ts'

function words(line: string): readonly string[] {
  const wanted = wantedAt(line)
  return wanted.kind === 'words' ? wanted.candidates : []
}

describe('the first word', () => {
  test('is a command, behind which the next word follows', () => {
    expect(words('getA')).toEqual(['getAcl ', 'getAllChildrenNumber '])
    expect(words('')).toHaveLength(COMMAND_NAMES.length)
    expect(words('  del')).toEqual(['delete ', 'deleteall ', 'delquota '])
    expect(words('nothing')).toEqual([])
  })
})

describe('behind it', () => {
  test('a dash stands for the options of the command', () => {
    expect(words('ls -')).toEqual(['-R', '-s', '-w'])
    expect(words('reconfig -me')).toEqual(['-members'])
    expect(words('history -')).toEqual([])
    expect(words('bogus -')).toEqual([])
  })

  test('a slash stands for a path: whose children, beginning with what', () => {
    expect(wantedAt('ls /')).toEqual({ kind: 'path', token: '/', parent: '/', prefix: '' })
    expect(wantedAt('ls -R /app/fo')).toEqual({ kind: 'path', token: '/app/fo', parent: '/app', prefix: 'fo' })
    expect(wantedAt('get "/app/')).toEqual({ kind: 'path', token: '/app/', parent: '/app', prefix: '' })
    expect(pathCandidates('/', 'a', ['b', 'ab', 'aa'])).toEqual(['/aa', '/ab'])
    expect(pathCandidates('/app', '', ['x'])).toEqual(['/app/x'])
  })

  test('other words are their own', () => {
    expect(words('set /a da')).toEqual([])
    expect(words('ls ')).toEqual([])
  })
})
