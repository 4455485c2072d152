/**
 * Principals `service/host@REALM`: what is a valid name, and which id a proven principal gets in ACLs.
 *
 * The id is the short name that the first applying rule of `security.auth_to_local` gives, with `/host` and `@REALM`
 * behind it unless `kerberos.removeHostFromPrincipal` and `kerberos.removeRealmFromPrincipal` say otherwise. Where no
 * rule applies Java takes the id that the client has asked for, whoever it is; here it is the principal itself, which
 * is what honest clients ask for. Pure. Java: KerberosName, SaslServerCallbackHandler, SASLAuthenticationProvider.
 */

/** A rule of `security.auth_to_local`; null stands for DEFAULT. */
export type NameRule = {
  readonly components: number
  /** `$0` is the realm, `$1` the service, `$2` the host. */
  readonly format: string
  /** What the formatted name must match as a whole; null: anything. */
  readonly match: RegExp | null
  /** What is replaced in it; null: nothing. */
  readonly from: RegExp | null
  readonly to: string
} | null

export interface NameOptions {
  readonly rules: readonly NameRule[]
  /** Of krb5.conf; empty where there is none. DEFAULT applies to it only. */
  readonly defaultRealm: string
  readonly removeHost: boolean
  readonly removeRealm: boolean
}

export interface KerberosName {
  readonly service: string
  readonly host: string | null
  readonly realm: string | null
}

/** Null for what has an `@` but not this form. A name without one is all service. */
export function parseKerberosName(name: string): KerberosName | null {
  const found = /^([^/@]*)(?:\/([^/@]*))?@([^/@]*)$/.exec(name)
  if (found !== null) return { service: found[1]!, host: found[2] ?? null, realm: found[3]! }
  return name.includes('@') ? null : { service: name, host: null, realm: null }
}

/** Rules separated by white space. Null when they are malformed. */
export function parseNameRules(text: string): NameRule[] | null {
  const rules: NameRule[] = []
  const rule = /\s*(?:(DEFAULT)|RULE:\[(\d*):([^\]]*)\](?:\(([^)]*)\))?(?:s\/([^/]*)\/([^/]*)\/(g)?)?)/y
  const trimmed = text.trim()
  while (rule.lastIndex < trimmed.length) {
    const found = rule.exec(trimmed)
    if (found === null) return null
    const [, isDefault, components, format, match, from, to, repeat] = found
    if (isDefault !== undefined) {
      rules.push(null)
      continue
    }
    if (components === '') return null
    try {
      rules.push({
        components: Number(components),
        format: format!,
        match: match === undefined ? null : new RegExp(`^(?:${match})$`),
        from: from === undefined ? null : new RegExp(from, repeat === undefined ? '' : 'g'),
        to: to ?? '',
      })
    } catch {
      return null // not a regular expression
    }
  }
  return rules
}

/** The id that a proven principal gets, or null for a malformed one. */
export function idOfPrincipal(principal: string, options: NameOptions): string | null {
  const name = parseKerberosName(principal)
  if (name === null) return null
  const short = shortName(name, options)
  if (short === null) return principal
  const host = options.removeHost || name.host === null ? '' : `/${name.host}`
  const realm = options.removeRealm || name.realm === null ? '' : `@${name.realm}`
  return short + host + realm
}

/** Null when no rule applies, or the one that does leaves something that is not a simple name. */
function shortName({ service, host, realm }: KerberosName, { rules, defaultRealm }: NameOptions): string | null {
  if (realm === null) return service
  const parts = host === null ? [realm, service] : [realm, service, host]
  for (const rule of rules) {
    let result: string | null = null
    if (rule === null) {
      if (realm === defaultRealm) result = service
    } else if (parts.length - 1 === rule.components) {
      const base = formatted(rule.format, parts)
      if (base === null) return null
      if (rule.match === null || rule.match.test(base)) result = rule.from === null ? base : substituted(base, rule)
    }
    if (result !== null) return /[/@]/.test(result) ? null : result
  }
  return null
}

/** `$n` is replaced by a part; null where there is no such part. */
function formatted(format: string, parts: readonly string[]): string | null {
  let valid = true
  const result = format.replace(/\$(\d*)/g, (_, digits: string) => {
    const part = digits === '' ? undefined : parts[Number(digits)]
    if (part === undefined) valid = false
    return part ?? ''
  })
  return valid ? result : null
}

/** As java.util.regex.Matcher replaces: `$1` is a group, a backslash takes the next character as it is. */
function substituted(base: string, rule: NonNullable<NameRule>): string {
  return base.replace(rule.from!, (...found: (string | number)[]) =>
    rule.to.replace(/\\(.)|\$(\d)/g, (_, literal: string | undefined, group: string | undefined) =>
      group === undefined ? literal! : String(found[Number(group)] ?? ''),
    ),
  )
}
