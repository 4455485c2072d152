/** Connect strings and paths, with the words that Java has for what is none. Cases of ConnectStringParserTest and PathUtilsTest. */

import { describe, expect, test } from 'vitest'
import { parseConnectString, serverText } from '../../../src/client/connectstring.ts'
import { InvalidArgument } from '../../../src/client/failures.ts'
import { checkPath, withChroot, withoutChroot } from '../../../src/client/paths.ts'

function parsed(text: string): string {
  const { servers, chroot } = parseConnectString(text)
  return `${servers.map(serverText).join(' ')} ${chroot}`
}

describe('a connect string', () => {
  test.each([
    ['localhost', 'localhost:2181 '],
    ['localhost:', 'localhost:2181 '],
    ['10.10.10.1:112,10.10.10.2', '10.10.10.1:112 10.10.10.2:2181 '],
    ['10.10.10.1,10.10.10.2/', '10.10.10.1:2181 10.10.10.2:2181 '],
    [' a:1 , b:2 /app/x', 'a:1 b:2 /app/x'],
    ['[2001:db8:1::242:ac11:2]:1234/a', '[2001:db8:1::242:ac11:2]:1234 /a'],
    ['[2001:db8::1],[::1]:5', '[2001:db8::1]:2181 [::1]:5 '],
  ])('%s', (text, expected) => {
    expect(parsed(text)).toBe(expected)
  })

  test.each([
    ['', 'A HostProvider may not be empty!'],
    ['/app', 'A HostProvider may not be empty!'],
    ['a/b/', 'Path must not end with / character'],
    ['a:x', 'For input string: "x"'],
    ['a:70000', 'port out of range:70000'],
    ['[::1', "[::1 starts with '[' but has no matching ']'"],
    ['[::1]x', '[::1]x does not have : after ]'],
    ['[::1]:', "[::1]: doesn't have a port after colon."],
  ])('refuses %j', (text, message) => {
    expect(() => parseConnectString(text)).toThrow(new InvalidArgument(message))
  })
})

describe('a path', () => {
  test.each(['/', '/a', '/a/b.c', '/..a', '/a..b', '/...', '/a/.b', '/ä/€', '/a b'])('may be %s', (path) => {
    expect(() => checkPath(path)).not.toThrow()
  })

  test.each([
    ['', 'Path length must be > 0'],
    ['not/rooted', 'Path must start with / character'],
    ['/ends/', 'Path must not end with / character'],
    ['/test\u0000', 'Invalid path string "/test\u0000" caused by null character not allowed @5'],
    ['/double//slash', 'Invalid path string "/double//slash" caused by empty node name specified @8'],
    ['/single/./dot', 'Invalid path string "/single/./dot" caused by relative paths not allowed @8'],
    ['/double/../dot', 'Invalid path string "/double/../dot" caused by relative paths not allowed @9'],
    ['/..', 'Invalid path string "/.." caused by relative paths not allowed @2'],
    ['/.', 'Invalid path string "/." caused by relative paths not allowed @1'],
    ['/a\u001fb', 'Invalid path string "/a\u001fb" caused by invalid character @2'],
    ['/a\u007fb', 'Invalid path string "/a\u007fb" caused by invalid character @2'],
    ['/a\ud835\udc00', 'Invalid path string "/a\ud835\udc00" caused by invalid character @2'],
    ['/a\uf8ff', 'Invalid path string "/a\uf8ff" caused by invalid character @2'],
    ['/a\ufff0', 'Invalid path string "/a\ufff0" caused by invalid character @2'],
  ])('may not be %j', (path, message) => {
    expect(() => checkPath(path)).toThrow(new InvalidArgument(message))
  })

  test('has the chroot in front on the way out, and not on the way back', () => {
    expect(withChroot('/app', '/')).toBe('/app')
    expect(withChroot('/app', '/a')).toBe('/app/a')
    expect(withChroot('', '/a')).toBe('/a')
    expect(withoutChroot('/app', '/app')).toBe('/')
    expect(withoutChroot('/app', '/app/a')).toBe('/a')
    expect(withoutChroot('/app', '/zookeeper/config')).toBe('/zookeeper/config')
  })
})
