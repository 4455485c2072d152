/**
 * The Kerberos login of a server: principal and keytab of its section in the JAAS file.
 *
 * The keytab is read at the start, which fails without a usable key, and again when the file has changed, so that a
 * new key is taken up without a restart. Java's `useTicketCache` is for clients; a server here always has a keytab.
 */

import { randomInt } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { ConfigError } from '../../config/settings.ts'
import { GssapiServer } from '../gssapi.ts'
import { type JaasModule, KERBEROS_MODULE } from '../jaas.ts'
import type { Authorize, SaslServerLogin } from '../mechanism.ts'
import { CLOCK_SKEW_S } from './acceptor.ts'
import { isSupported } from './etypes.ts'
import { type KeytabEntry, parseKeytab } from './keytab.ts'
import { ReplayCache } from './replay.ts'

export interface KerberosLogin {
  readonly principal: string
  readonly keytab: string
}

export function kerberosServerLogin(
  modules: readonly JaasModule[],
  defaultRealm: string,
  authorize: Authorize,
): SaslServerLogin {
  const { principal, keytab } = kerberosLoginOf(modules, defaultRealm)
  const keys = new KeytabFile(keytab, principal)
  const options = {
    principal,
    keys: () => keys.entries(),
    replays: new ReplayCache(CLOCK_SKEW_S),
    wallMs: () => Date.now(),
    sequence: () => randomInt(2 ** 30),
  }
  return { mechanism: 'GSSAPI', newServer: () => new GssapiServer(options, authorize) }
}

/** Throws ConfigError for a section from which nobody could log in. */
export function kerberosLoginOf(modules: readonly JaasModule[], defaultRealm: string): KerberosLogin {
  const { options, where } = modules.find(({ className }) => className === KERBEROS_MODULE)!
  const keytab = options.get('keyTab')?.reveal()
  const principal = options.get('principal')?.reveal()
  if (keytab === undefined || options.get('useKeyTab')?.reveal() !== 'true') {
    throw new ConfigError(`${where}: Krb5LoginModule needs useKeyTab=true and keyTab="FILE"`)
  }
  if (principal === undefined || !/^[^/@]+(\/[^/@]+)?(@[^/@]+)?$/.test(principal)) {
    throw new ConfigError(`${where}: Krb5LoginModule needs principal="service/host@REALM"`)
  }
  if (principal.includes('@')) return { principal, keytab: pathOf(keytab) }
  if (defaultRealm === '') throw new ConfigError(`${where}: ${principal} has no realm, and krb5.conf no default_realm`)
  return { principal: `${principal}@${defaultRealm}`, keytab: pathOf(keytab) }
}

function pathOf(keytab: string): string {
  return keytab.replace(/^(FILE:|file:(\/\/)?)/, '')
}

/** The keys of a file, read again when it has changed. Throws ConfigError where it has none that can be used. */
export class KeytabFile {
  private readonly path: string
  private read: readonly KeytabEntry[]
  private readOf: string

  constructor(path: string, principal: string) {
    this.path = path
    try {
      this.readOf = this.stamp()
      this.read = parseKeytab(readFileSync(path))
    } catch (err) {
      throw new ConfigError(`keytab ${path}: ${err instanceof Error ? err.message : String(err)}`)
    }
    const usable = this.read.some((entry) => entry.principal === principal && isSupported(entry.etype))
    if (!usable) throw new ConfigError(`keytab ${path}: no AES key of ${principal}`)
  }

  entries(): readonly KeytabEntry[] {
    try {
      const stamp = this.stamp()
      if (stamp !== this.readOf) {
        this.read = parseKeytab(readFileSync(this.path))
        this.readOf = stamp
      }
    } catch {
      // Being replaced at this very moment, or gone: what was read before may still do, and it is looked at again.
    }
    return this.read
  }

  private stamp(): string {
    const { mtimeMs, size, ino } = statSync(this.path)
    return `${mtimeMs} ${size} ${ino}`
  }
}
