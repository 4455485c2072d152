/**
 * The settings of SASL, and the JAAS file that they name. Part of config.ts.
 *
 * `-Djava.security.auth.login.config` names the file, `sasl.serverconfig` the section that clients log in by. As in
 * Java a file without that section is no mistake, unless the section was asked for by name; that nobody can log in then
 * is worth a warning. The default realm comes from krb5.conf. Java's `~/.java.login.config` is not looked for.
 * Java: ServerCnxnFactory.configureSaslLogin, sun.security.provider.ConfigFile, sun.security.krb5.Config.
 */

import { homedir, tmpdir } from 'node:os'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Secret, Setting, Settings } from '../config/settings.ts'
import { checkModules, type JaasFile, type JaasModule, parseJaas } from './jaas.ts'
import { parseKrb5Conf } from './kerberos/krb5conf.ts'
import { type NameOptions, type NameRule, parseNameRules } from './kerberosname.ts'

export interface SaslConfig {
  /** The JAAS file; null: there is none. */
  readonly jaas: JaasFile | null
  /** The modules by which clients log in; null: they cannot. */
  readonly server: readonly JaasModule[] | null
  /** In place of the password that the JAAS file has for the user `super`. */
  readonly superPassword: Secret | null
  /** Ids that may do everything. */
  readonly superUsers: readonly string[]
  /** Who fails stays connected, without an id. */
  readonly allowFailedClients: boolean
  /** The id in an ACL that stands for whoever has logged in; null: none does. */
  readonly anyUser: string | null
  readonly names: NameOptions
}

export interface KerberosConfig {
  /** Empty: there is none. */
  readonly defaultRealm: string
  /** By realm: `host` or `host:port` of its key distribution centres. */
  readonly centres: ReadonlyMap<string, readonly string[]>
}

const FILE_KEY = 'java.security.auth.login.config'

/** `readFile` gives the text of a file, a character for each byte, or null when there is none. */
export function readSasl(s: Settings, readFile: (path: string) => string | null, hasProvider: boolean): SaslConfig {
  const jaas = readJaas(s, readFile)
  const section = s.find('sasl.serverconfig')
  const server = jaas?.get(section?.value ?? 'Server') ?? null
  if (server === null && section !== null) {
    throw s.refuse(section, `no section ${section.value} in a JAAS file (give it as -D${FILE_KEY}=FILE)`)
  }
  if (server !== null) checkModules(server)
  if (server === null && hasProvider) {
    const file = s.find(FILE_KEY)
    const why = file === null ? `-D${FILE_KEY} is not set` : `${file.value} has no section Server`
    s.warn(file?.where ?? s.fileName, `nobody can authenticate by sasl: ${why}`)
  }
  return {
    jaas,
    server,
    superPassword: s.secret('SASLAuthenticationProvider.superPassword'),
    superUsers: readSuperUsers(s),
    allowFailedClients: s.boolean('allowSaslFailedClients', false),
    anyUser: s.text('letAnySaslUserDoX'),
    names: {
      rules: readRules(s),
      defaultRealm: server === null && !hasProvider ? '' : readKerberos(s, readFile).defaultRealm,
      removeHost: s.boolean('kerberos.removeHostFromPrincipal', false),
      removeRealm: s.boolean('kerberos.removeRealmFromPrincipal', false),
    },
  }
}

/** The file that is named, or null when none is. */
export function readJaas(s: Settings, readFile: (path: string) => string | null): JaasFile | null {
  const setting = s.find(FILE_KEY)
  if (setting === null) return null
  const path = pathOf(setting)
  const text = readFile(path)
  if (text === null) throw s.refuse(setting, `${path}: no such file`)
  const utf8 = Buffer.from(text, 'latin1').toString('utf8')
  return parseJaas(utf8, basename(path), (name) => s.find(name, 'jvm')?.value ?? standardProperty(name))
}

/** A path, or a URL of one; with `==` for `=` it is meant to be the only file there is, which it is. */
function pathOf(setting: Setting): string {
  const value = setting.value.replace(/^=/, '')
  if (!value.startsWith('file:')) return value
  return value.startsWith('file:///') ? fileURLToPath(value) : value.slice('file:'.length)
}

function standardProperty(name: string): string | null {
  if (name === 'user.home') return homedir()
  if (name === 'user.dir') return process.cwd()
  return name === 'java.io.tmpdir' ? tmpdir() : null
}

function readSuperUsers(s: Settings): string[] {
  const users = [...s.family('superUser', 'property')].filter(([key]) => key === 'superUser' || key[9] === '.')
  return users.map(([, { value }]) => value).filter((user) => user !== '')
}

function readRules(s: Settings): NameRule[] {
  const setting = s.find('security.auth_to_local')
  if (setting === null) return [null]
  const rules = parseNameRules(setting.value)
  if (rules === null) throw s.refuse(setting, `security.auth_to_local=${setting.value} is not a list of rules`)
  return rules
}

/** As the file or the properties have it; for those who log in, and for those who are logged in to. */
export function readKerberos(s: Settings, readFile: (path: string) => string | null): KerberosConfig {
  const path = s.find('java.security.krb5.conf', 'jvm')?.value ?? '/etc/krb5.conf'
  const conf = parseKrb5Conf(readFile(path) ?? '')
  const realm = s.find('java.security.krb5.realm', 'jvm')?.value ?? conf.defaultRealm
  const required = s.find('requireKerberosConfig')
  if (realm === null && required?.value === 'true') throw s.refuse(required, `there is no default_realm in ${path}`)
  const stated = s.find('java.security.krb5.kdc', 'jvm')?.value.split(/[:\s]+/)
  const centres = new Map(conf.centres)
  if (stated !== undefined && realm !== null) centres.set(realm, stated)
  return { defaultRealm: realm ?? '', centres }
}
