/** Configurations as members send them to each other, and what zab makes of them. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseConfigText, parseQuorumText } from '../../../src/server/config/members.ts'
import { ConfigError } from '../../../src/server/config/settings.ts'

const java: { texts: Record<string, string>; next: string } = JSON.parse(
  readFileSync(new URL('./fixtures/configfiles.java.json', import.meta.url), 'utf8'),
)
const parse = (text: string) => parseQuorumText(text, false)

describe('the text of a configuration', () => {
  it('makes voters, observers, addresses and version', () => {
    const quorum = parse(java.texts['100000003']!)
    expect(quorum.version).toBe(0x100000003)
    expect(quorum.members).toEqual([1, 2, 3, 4])
    expect(quorum.voters).toEqual([1, 2, 3])
    expect(quorum.quorumAddresses(4)).toEqual(['127.0.0.1:25104'])
    expect(quorum.electionAddresses(4)).toEqual(['127.0.0.1:25114'])
    expect(quorum.quorumAddresses(5)).toEqual([])
    expect(quorum.containsQuorum(new Set([1, 4]))).toBe(false)
    expect(quorum.containsQuorum(new Set([1, 3]))).toBe(true)
  })

  it('is the same configuration in whatever order Java has its lines, in /zookeeper/config and in a file', () => {
    const [shown, filed] = [parse(java.texts['100000007']!), parse(java.next)]
    expect(shown.text).toBe(filed.text)
    expect(shown.text.split('\n').map((line) => line.split('=')[0])).toEqual([
      'server.1',
      'server.2',
      'server.3',
      'server.4',
      'server.10',
      'version',
    ])
    expect(parse(shown.text).text).toBe(shown.text)
  })

  it('has the same members whatever its version', () => {
    const later = java.texts['100000003']!.replace('version=100000003', 'version=200000000')
    expect(parse(later).membersText).toBe(parse(java.texts['100000003']!).membersText)
    expect(parse(later).version).toBe(0x200000000)
  })

  it('keeps groups, weights, several addresses and IPv6', () => {
    const text = [
      'server.1=[::1]:1:2|zoo1:3:4:participant',
      'server.2=zoo2:1:2:participant',
      'server.3=zoo3:1:2:participant',
      'group.1=1',
      'group.2=2:3',
      'weight.1=2',
      'weight.2=1',
      'weight.3=0',
      'version=0',
    ].join('\n')
    const quorum = parseQuorumText(text, true)
    expect(quorum.electionAddresses(1)).toEqual(['[::1]:2', 'zoo1:4'])
    expect(quorum.weight(1)).toBe(2)
    expect(quorum.weight(3)).toBe(0)
    expect(quorum.containsQuorum(new Set([1, 2]))).toBe(true)
    expect(quorum.containsQuorum(new Set([1, 3]))).toBe(false)
    expect(parseQuorumText(quorum.text, true).text).toBe(quorum.text)
  })

  it('is refused with a reason when it is none', () => {
    const server = 'server.1=a:1:2:participant\n'
    for (const [text, reason] of [
      ['', /no participants/],
      ['version=0', /no participants/],
      ['server.1=a:1:2:observer\nversion=0', /no participants/],
      [`${server}tickTime=5\nversion=0`, /tickTime does not belong/],
      [`${server}version=xyz`, /not hexadecimal/],
      [`${server}version=7fffffffffffffff`, /no zxid/],
      ['server.1=a:1\nversion=0', /does not have the form/],
      ['server.1=a:1:2:boss\nversion=0', /not a role/],
      ['server.1=a:1:2|b:1:2\nversion=0', /multiAddress/],
      [`${server}group.1=2\nversion=0`, /in no group/],
      [`${server}\\u00zz=1`, /malformed/],
    ] as const) {
      expect(() => parseConfigText(text, false), text).toThrow(ConfigError)
      expect(() => parseConfigText(text, false), text).toThrow(reason)
    }
  })
})
