/** Membership of an ensemble: server lines, groups, weights, the dynamic file, and what makes a server standalone. */

import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../../src/server/config/config.ts'
import { formatMembership, versionFromFileName } from '../../../src/server/config/members.ts'
import { ConfigError } from '../../../src/server/config/settings.ts'

const BASE = 'dataDir=/d\nclientPort=2181\ninitLimit=10\nsyncLimit=5\n'
const THREE = 'server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n'

function parse(
  text: string,
  files: Record<string, string> = { '/d/myid': '1\n' },
  system: Record<string, string> = {},
) {
  const loaded = parseConfig(text, 'zoo.cfg', new Map(Object.entries(system)), (path) => files[path] ?? null)
  // What every ensemble without TLS is told has its own test: opendoors.test.ts.
  return { ...loaded, warnings: loaded.warnings.filter((warning) => !warning.includes('CVE-2018-8012')) }
}

describe('standalone or member', () => {
  test('without server lines, or with a single one, it is standalone', () => {
    expect(parse(BASE).config.quorum.distributed).toBe(false)
    expect(parse(`${BASE}server.1=a:2888:3888`, {}).config.quorum.distributed).toBe(false)
  })

  test('a single voter is a member when standaloneEnabled=false', () => {
    expect(parse(`${BASE}server.1=a:2888:3888\nstandaloneEnabled=false`).config.quorum.distributed).toBe(true)
  })

  test('three voters make a member, which knows its id from the first line of myid', () => {
    const { config, warnings } = parse(BASE + THREE)
    expect(config).toMatchObject({ serverId: 1, quorum: { distributed: true, peerType: 'participant' } })
    expect(config.quorum.membership.members.map((member) => member.id)).toEqual([1, 2, 3])
    expect(warnings).toEqual([])
  })

  test('two or four voters are told what they tolerate', () => {
    expect(parse(`${BASE}server.1=a:1:2\nserver.2=b:1:2`).warnings).toEqual([
      'zoo.cfg: 2 voters: no server failure will be tolerated, at least 3 are needed',
    ])
    expect(parse(`${BASE}${THREE}server.4=d:1:2`).warnings).toEqual([
      'zoo.cfg: 4 voters tolerate no more failures than 3',
    ])
  })

  test('the client port may come from the own server line instead of clientPort', () => {
    const text = 'dataDir=/d\nserver.1=127.0.0.1:2888:3888:participant;127.0.0.1:2191\n'
    expect(parse(text).config.clientAddress).toEqual({ host: '127.0.0.1', port: 2191 })
    expect(parse('dataDir=/d\nserver.1=h:2888:3888;2191\n').config.clientAddress).toEqual({ host: null, port: 2191 })
    expect(parse(text, {}).config.clientAddress).toBe(null)
  })

  test('the server list decides over peerType', () => {
    const { config, warnings } = parse(`${BASE}${THREE}server.4=d:1:2:observer`, { '/d/myid': '4' })
    expect(config.quorum.peerType).toBe('observer')
    expect(warnings).toEqual([
      'zoo.cfg: peerType participant differs from the server list, which says observer and counts',
    ])
  })
})

describe('refusals', () => {
  const refusals: ReadonlyArray<readonly [text: string, message: string]> = [
    [
      `${BASE}server.1=a:2888`,
      "zoo.cfg:5: 'a:2888' does not have the form host:port:port[:role][|...][;[host:]clientPort]",
    ],
    [`${BASE}server.1=a:2888:x`, "zoo.cfg:5: 'x' is not a port"],
    [`${BASE}server.1=a:2888:2888`, 'zoo.cfg:5: server 1 uses port 2888 both for the quorum and for elections'],
    [`${BASE}server.1=a:1:2:voter`, "zoo.cfg:5: 'voter' is not a role: participant or observer"],
    [`${BASE}server.x=a:1:2`, "zoo.cfg:5: 'x' in server.x is not a number"],
    [`${BASE}server.1=[::1:1:2`, "zoo.cfg:5: '[::1:1:2' opens a bracket that it does not close"],
    [`${BASE}server.1=a:1:2|b:1:2`, 'zoo.cfg:5: server 1 has several addresses, which needs multiAddress.enabled=true'],
    [
      `${BASE}multiAddress.enabled=true\nserver.1=a:1:2:observer|b:1:2:participant`,
      'zoo.cfg:6: addresses of server 1 state different roles',
    ],
    [`${BASE}${THREE}group.1=1:2`, 'zoo.cfg:7: server 3 is in no group, although groups are used'],
    [`${BASE}${THREE}group.1=1:2\ngroup.2=2:3`, 'zoo.cfg:9: server 2 is in more than one group'],
    [`${BASE}${THREE}group.1=1:2:3\nweight.1=x`, 'zoo.cfg:9: weight.1=x is not a weight'],
    [`${BASE}server.1=a:1:2:observer`, 'zoo.cfg: observers without a quorum of participants'],
    [`${BASE}server.1=a:1:2\nserver.2=b:1:2:observer`, 'zoo.cfg: observers without a quorum of participants'],
    [`${BASE}standaloneEnabled=false`, 'zoo.cfg:5: standaloneEnabled=false needs at least one participant'],
    [`dataDir=/d\nclientPort=1\nsyncLimit=5\n${THREE}`, 'zoo.cfg: initLimit is not set'],
    [`dataDir=/d\nclientPort=1\ninitLimit=5\n${THREE}`, 'zoo.cfg: syncLimit is not set'],
    [
      `${BASE}server.1=a:1:2:participant;127.0.0.1:2191`,
      'zoo.cfg:2: client address *:2181 differs from 127.0.0.1:2191 of server.1',
    ],
    [
      `${BASE}${THREE}dynamicConfigFile=/d/zoo.cfg.dynamic`,
      'zoo.cfg:5: server.1 must be in the dynamic configuration file /d/zoo.cfg.dynamic',
    ],
    [`${BASE}dynamicConfigFile=/d/none`, 'zoo.cfg:5: dynamicConfigFile /d/none does not exist'],
  ]
  for (const [text, message] of refusals) {
    test(message, () => {
      expect(() => parse(text)).toThrow(new ConfigError(message))
    })
  }

  test('a member needs myid, and a number in it', () => {
    expect(() => parse(BASE + THREE, {})).toThrow('/d/myid is missing')
    expect(() => parse(BASE + THREE, { '/d/myid': 'one\n' })).toThrow("/d/myid:1: 'one' is not a server id")
  })
})

describe('the dynamic file', () => {
  const text = `${BASE}dynamicConfigFile=/d/zoo.cfg.dynamic.10000000b\n`

  test('holds the membership, and has its version in its name', () => {
    const { membership } = parse(text, { '/d/myid': '1', '/d/zoo.cfg.dynamic.10000000b': THREE }).config.quorum
    expect(membership.members).toHaveLength(3)
    expect(membership.version).toBe(0x10000000b)
    expect(versionFromFileName('zoo.cfg.dynamic')).toBe(0)
    expect(versionFromFileName('/etc/zoo.cfg.dynamic.0')).toBe(0)
  })

  test('holds nothing else', () => {
    const file = '/d/zoo.cfg.dynamic.10000000b'
    expect(() => parse(text, { [file]: `${THREE}tickTime=1` })).toThrow(
      'zoo.cfg.dynamic.10000000b:4: tickTime does not belong into a dynamic configuration file',
    )
    expect(() => parse(text, { [file]: `version=1\n${THREE}` })).toThrow(
      'zoo.cfg.dynamic.10000000b:1: a dynamic file has its version in its name, not inside',
    )
    expect(() => parse(text, { [file]: 'server.1=a\\u00' })).toThrow('zoo.cfg.dynamic.10000000b:1: malformed')
  })
})

describe('canonical text', () => {
  function canonical(lines: string, system: Record<string, string> = {}): string {
    return formatMembership(parse(BASE + lines, { '/d/myid': '1' }, system).config.quorum.membership)
  }

  test('is one line per server with its role, then the version without a line end', () => {
    const lines =
      'server.2=127.0.0.1:25112:25122;25102\nserver.1=127.0.0.1:25111:25121:PARTICIPANT;127.0.0.1:2181\n' +
      'server.3=[2001:db8::1]:25113:25123:observer;[::1]:25103\n'
    expect(canonical(lines)).toBe(
      'server.1=127.0.0.1:25111:25121:participant;127.0.0.1:2181\n' +
        'server.2=127.0.0.1:25112:25122:participant;0.0.0.0:25102\n' +
        'server.3=[2001:db8::1]:25113:25123:observer;[::1]:25103\nversion=0',
    )
  })

  test('sorts the addresses of a server by host', () => {
    expect(canonical('server.1=b:1:2|a:3:4\n', { 'zookeeper.multiAddress.enabled': 'true' })).toBe(
      'server.1=a:3:4|b:1:2:participant\nversion=0',
    )
  })

  test('has groups and weights before the version, with 1 for weights not stated', () => {
    expect(canonical(`${THREE}group.1=1:2\ngroup.2=3\nweight.2=5\n`)).toBe(
      'server.1=a:2888:3888:participant\nserver.2=b:2888:3888:participant\nserver.3=c:2888:3888:participant\n' +
        'group.1=1:2\ngroup.2=3\nweight.2=5\nweight.1=1\nweight.3=1\nversion=0',
    )
  })
})
