/** What is open, what `security=strict` refuses, and how that is said. */

import { describe, expect, it } from 'vitest'
import { type Config, parseConfig } from '../../../../src/server/config/config.ts'
import { openDoors } from '../../../../src/server/config/opendoors.ts'
import { ConfigError } from '../../../../src/server/config/settings.ts'

const BASE = 'dataDir=/d\nclientPort=2181\ninitLimit=10\nsyncLimit=5\n'
const MEMBERS = [1, 2, 3].map((n) => `server.${n}=zk${n}:2888:3888\n`).join('')
const LOCAL = [1, 2, 3].map((n) => `server.${n}=127.0.0.1:${2887 + n}:${3887 + n}\n`).join('')
const KEY = '0123456789abcdef0123456789abcdef'
const FILES: Readonly<Record<string, string>> = { '/d/myid': '1', '/key': `${KEY}\n`, '/short': 'secret' }

function parse(text: string) {
  return parseConfig(BASE + text, 'zoo.cfg', new Map(), (file) => FILES[file] ?? null)
}

function refusal(text: string): string {
  try {
    parse(text)
  } catch (err) {
    if (err instanceof ConfigError) return err.message
    throw err
  }
  return 'none'
}

const words = (config: Config): string[] => openDoors(config).map(({ word }) => word)
const refused = (text: string): string[] =>
  openDoors(parse(text).config)
    .filter((door) => door.refused)
    .map(({ word }) => word)

describe('X1: an ensemble that anyone can join', () => {
  it('starts, as an existing zoo.cfg must, with a warning at each start', () => {
    const { config, warnings } = parse(MEMBERS)
    expect(words(config)).toContain('quorum')
    expect(warnings).toEqual([
      expect.stringMatching(/^zoo\.cfg: members need neither a certificate nor a password .*can join the ensemble/),
    ])
  })

  it('is refused by security=strict, which says what would help', () => {
    expect(refusal(`security=strict\n${MEMBERS}`)).toMatch(
      /^zoo\.cfg:5: security=strict does not start with these doors open:\n {2}members need neither a certificate nor a password .*\(security\.allow=quorum lets it be\)$/,
    )
  })

  it('starts under strict when that was said in so many words, with the warning', () => {
    const { warnings } = parse(`security=strict\nsecurity.allow=quorum\n${MEMBERS}`)
    expect(warnings).toHaveLength(1)
  })

  it('is nothing to speak of while all of it is on one machine', () => {
    expect(refused(LOCAL)).toEqual([])
    expect(refusal(`security=strict\n${LOCAL}`)).toBe('none')
    expect(refused(`${LOCAL}quorumListenOnAllIPs=true\n`)).toEqual(['quorum'])
    expect(refused(LOCAL.replace('127.0.0.1:2890', '127.0.0.1.example:2890'))).toEqual(['quorum'])
  })

  it('is not what a server alone is', () => {
    expect(refused('')).toEqual([])
  })
})

describe('X17: settings that give up safety', () => {
  const CASES = [
    ['skipACL=yes', 'skipACL'],
    ['forceSync=no', 'forceSync'],
    ['compat.serverOps=true', 'serverOps'],
    ['compat.takeover=true', 'takeover'],
    ['letAnySaslUserDoX=anyone', 'anySaslUser'],
  ] as const

  for (const [line, word] of CASES) {
    it(`${line} is named with its place at each start, and needs its word under strict`, () => {
      expect(parse(line).warnings).toEqual([expect.stringContaining(`zoo.cfg:5: ${line.split('=')[0]}`)])
      expect(refusal(`security=strict\n${line}`)).toContain(`(security.allow=${word} lets it be)`)
      expect(parse(`security=strict\nsecurity.allow=${word}\n${line}`).warnings).toHaveLength(1)
    })
  }

  it('each needs its own word, and all that are missing are named at once', () => {
    const text = refusal('security=strict\nsecurity.allow=skipACL\nskipACL=yes\nforceSync=no\ncompat.takeover=true\n')
    expect(text.match(/security\.allow=\w+/g)).toEqual(['security.allow=forceSync', 'security.allow=takeover'])
  })

  it('a word that is none, or that allows what is shut, does not pass unseen', () => {
    expect(refusal('security=strict\nsecurity.allow=skipAcl')).toMatch(
      /^zoo\.cfg:6: security\.allow=skipAcl: there are quorum, skipACL, forceSync, /,
    )
    expect(refusal('security=strict\nsecurity.allow=sessions')).toMatch(/^zoo\.cfg:6: security\.allow=sessions: there/)
    expect(parse('security=strict\nsecurity.allow=skipACL, forceSync\nforceSync=no').warnings[0]).toBe(
      'zoo.cfg:6: security.allow=skipACL has no effect: nothing of that kind is open',
    )
    expect(parse('security.allow=skipACL').warnings).toEqual([
      'zoo.cfg:5: security.allow has no effect without security=strict',
    ])
    expect(refusal('security=Strict')).toBe('zoo.cfg:5: security=Strict: there are normal and strict')
  })
})

describe('X12: the admin server', () => {
  const isOpen = (lines: string): boolean => words(parse(lines).config).includes('admin')

  it('is where Java has it, open to everybody, and the start report says so', () => {
    const { config, warnings } = parse('')
    expect(config.admin).toMatchObject({ enabled: true, host: '0.0.0.0', port: 8080 })
    expect([isOpen(''), warnings]).toEqual([true, []])
    expect(isOpen('admin.enableServer=false')).toBe(false)
    expect(isOpen('admin.serverAddress=127.0.0.1')).toBe(false)
    expect(isOpen('admin.serverAddress=127.example.com')).toBe(true)
  })

  it('is on loopback under strict, unless the file has another address', () => {
    expect(parse('security=strict').config.admin.host).toBe('127.0.0.1')
    expect(refusal('security=strict\nadmin.serverAddress=10.0.0.1')).toContain('(security.allow=admin lets it be)')
  })

  it('may be reached from elsewhere under strict with a token or a client\u2019s certificate', () => {
    const elsewhere = 'security=strict\nadmin.serverAddress=10.0.0.1\n'
    expect(isOpen(`${elsewhere}admin.token=abcdefghijklmnop`)).toBe(false)
    expect(isOpen(`${elsewhere}admin.forceHttps=true\nadmin.needClientAuth=true`)).toBe(false)
    // With both on one port, whoever speaks in the clear shows no certificate.
    const both = `${elsewhere}admin.portUnification=true\nadmin.needClientAuth=true`
    expect(refusal(both)).toContain('(security.allow=admin lets it be)')
  })
})

describe('X16: the start report', () => {
  it('lists what is open of an ordinary server', () => {
    expect(words(parse('').config)).toEqual(['admin', 'plainClients', 'anonymousClients', 'sessions'])
  })

  it('lists four-letter words that show or change what is not the asker\u2019s, and a super user', () => {
    const { config } = parse(
      '4lw.commands.whitelist=ruok, mntr, wchp, cons\nDigestAuthenticationProvider.superDigest=super:x\n',
    )
    const what = openDoors(config).map((door) => door.what)
    expect(what).toContain('four-letter words answer to everybody: cons wchp')
    expect(words(config)).toContain('superUser')
    expect(openDoors(parse('4lw.commands.whitelist=*').config).map((door) => door.what)).toContainEqual(
      expect.stringMatching(/to everybody: cons crst dump srst stat stmk wchc wchp$/),
    )
  })

  it('is short for one that only this machine reaches, with keyed sessions', () => {
    const text =
      'clientPortAddress=127.0.0.1\nadmin.serverAddress=localhost\nsessionPassword=keyed\nsessionPassword.keyFile=/key\n'
    expect(words(parse(text).config)).toEqual([])
    expect(words(parse(text.replace('127.0.0.1', '10.0.0.1')).config)).toEqual(['plainClients', 'anonymousClients'])
  })

  it('never shows a secret', () => {
    const { config } = parse(
      'DigestAuthenticationProvider.superDigest=super:hush\nsessionPassword=keyed\nsessionPassword.keyFile=/key\n',
    )
    const shown = JSON.stringify([openDoors(config), config.security])
    expect(shown).not.toMatch(new RegExp(`hush|${KEY}`))
  })
})

describe('X14: the settings of session passwords', () => {
  it('are Java\u2019s way unless something is said', () => {
    expect(parse('').config.security).toMatchObject({ sessionPassword: 'java', sessionKey: null })
  })

  it('take the key from a file, without its line end', () => {
    const { security } = parse('sessionPassword=migrate\nsessionPassword.keyFile=/key').config
    expect(security.sessionKey?.reveal()).toBe(KEY)
  })

  it('are refused without a key, with one too short to be one, and in other words', () => {
    expect(refusal('sessionPassword=keyed')).toMatch(/^zoo\.cfg:5: .* needs sessionPassword\.keyFile: .*openssl rand/)
    expect(refusal('sessionPassword.keyFile=/none')).toBe(
      'zoo.cfg:5: sessionPassword.keyFile=/none: there is no such file',
    )
    expect(refusal('sessionPassword.keyFile=/short')).toMatch(/a key of 32 characters at least/)
    expect(refusal('sessionPassword=random')).toBe('zoo.cfg:5: sessionPassword=random: there are java, migrate, keyed')
  })
})
