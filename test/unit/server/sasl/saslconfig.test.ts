/** The keys of SASL, and what of them refuses a start. */
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../../src/server/config/config.ts'
import { ConfigError } from '../../../../src/server/config/settings.ts'
import type { SaslConfig } from '../../../../src/server/sasl/saslconfig.ts'

const BASE = 'dataDir=/data\nclientPort=2181\n'
const PROVIDER = 'authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n'
const JAAS = `
Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_super="s" user_bob="b\u00fc"; };
Other { org.apache.zookeeper.server.auth.DigestLoginModule required user_ann="a"; };
Foreign { com.example.LoginModule required; };
`
const FILES: Record<string, string> = {
  '/etc/jaas.conf': Buffer.from(JAAS, 'utf8').toString('latin1'),
  '/etc/client.conf': 'Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="u"; };',
  '/etc/broken.conf': 'Server {\n',
  '/etc/krb5.conf': '[logging]\ndefault_realm = NO.NO\n[libdefaults]\n  # x\n  default_realm = EXAMPLE.COM\n',
}

function read(text: string, flags: Record<string, string> = {}): { sasl: SaslConfig; warnings: string[] } {
  const loaded = parseConfig(BASE + text, 'zoo.cfg', new Map(Object.entries(flags)), (path) => FILES[path] ?? null)
  return { sasl: loaded.config.sasl, warnings: loaded.warnings }
}

function refusalOf(text: string, flags: Record<string, string> = {}): string {
  try {
    read(text, flags)
  } catch (err) {
    expect(err).toBeInstanceOf(ConfigError)
    return (err as Error).message
  }
  return 'accepted'
}

const LOGIN = 'java.security.auth.login.config'

describe('the configuration of SASL', () => {
  it('is nothing without a JAAS file', () => {
    const { sasl, warnings } = read('')
    expect(sasl).toMatchObject({ jaas: null, server: null, superUsers: [], allowFailedClients: false, anyUser: null })
    expect(warnings).toEqual([])
  })

  it('takes the section Server of the file that the system property names', () => {
    const { sasl, warnings } = read(PROVIDER, { [LOGIN]: '/etc/jaas.conf' })
    expect(sasl.server![0]!.options.get('user_bob')!.reveal()).toBe('b\u00fc')
    expect([...sasl.jaas!.keys()]).toEqual(['Server', 'Other', 'Foreign'])
    expect(warnings).toEqual([])
  })

  it('takes another section, also of a file named by a URL or with two equals signs', () => {
    const section = { 'zookeeper.sasl.serverconfig': 'Other' }
    for (const name of ['/etc/jaas.conf', '=/etc/jaas.conf', 'file:/etc/jaas.conf', 'file:///etc/jaas.conf']) {
      expect(read('', { ...section, [LOGIN]: name }).sasl.server![0]!.options.has('user_ann')).toBe(true)
    }
    expect(read('sasl.serverconfig=Other\n', { [LOGIN]: '/etc/jaas.conf' }).sasl.server).not.toBe(null)
  })

  it('refuses a file that is not there or broken, a section asked for that is not there, and foreign modules', () => {
    expect(refusalOf('', { [LOGIN]: '/etc/none.conf' })).toBe(`-D${LOGIN}: /etc/none.conf: no such file`)
    expect(refusalOf('', { [LOGIN]: '/etc/broken.conf' })).toMatch(/^broken\.conf:2: expected the class/)
    expect(refusalOf('sasl.serverconfig=None\n', { [LOGIN]: '/etc/jaas.conf' })).toMatch('no section None')
    expect(refusalOf('sasl.serverconfig=Other\n')).toMatch('no section Other')
    expect(refusalOf('sasl.serverconfig=Foreign\n', { [LOGIN]: '/etc/jaas.conf' })).toMatch(
      /^jaas\.conf:4: com\.example\.LoginModule is not one of the login modules/,
    )
  })

  it('warns of a provider without a login: nobody will match its ACLs', () => {
    expect(read(PROVIDER).warnings).toEqual([`zoo.cfg: nobody can authenticate by sasl: -D${LOGIN} is not set`])
    expect(read(PROVIDER, { [LOGIN]: '/etc/client.conf' }).warnings).toEqual([
      `-D${LOGIN}: nobody can authenticate by sasl: /etc/client.conf has no section Server`,
    ])
  })

  it('has super users by superUser and superUser.NAME, and nobody by other keys', () => {
    const text = 'superUser=ann\nsuperUser.1=zk@EXAMPLE.COM\nsuperUserX=eve\nsuperUser.2=\n'
    expect(read(text, { 'zookeeper.superUser.3': 'tom' }).sasl.superUsers).toEqual(['ann', 'zk@EXAMPLE.COM', 'tom'])
  })

  it('has the default realm of krb5.conf, for those who log in', () => {
    expect(read(PROVIDER).sasl.names.defaultRealm).toBe('EXAMPLE.COM')
    expect(read('').sasl.names.defaultRealm).toBe('')
    const other = { 'java.security.krb5.conf': '/etc/none.conf' }
    expect(read(PROVIDER, other).sasl.names.defaultRealm).toBe('')
    expect(read(PROVIDER, { 'java.security.krb5.realm': 'R' }).sasl.names.defaultRealm).toBe('R')
    expect(refusalOf(`${PROVIDER}requireKerberosConfig=true\n`, other)).toMatch('no default_realm in /etc/none.conf')
  })

  it('refuses malformed rules', () => {
    expect(refusalOf('security.auth_to_local=RULE:[x\n')).toMatch(/^zoo\.cfg:3: .* is not a list of rules/)
    expect(read('security.auth_to_local=RULE:[1:$1] DEFAULT\n').sasl.names.rules).toHaveLength(2)
  })
})
