/**
 * What is needed of a krb5.conf: the default realm, and where the key distribution centres of realms are. Files that it
 * includes are not looked at. Pure.
 *
 *   [libdefaults]
 *     default_realm = EXAMPLE.COM
 *   [realms]
 *     EXAMPLE.COM = {
 *       kdc = kdc1.example.com:88
 *     }
 */

export interface Krb5Conf {
  readonly defaultRealm: string | null
  /** By realm: `host` or `host:port`, in the order they are to be asked. */
  readonly centres: ReadonlyMap<string, readonly string[]>
}

export function parseKrb5Conf(text: string): Krb5Conf {
  let section = ''
  let realm: string | null = null
  let defaultRealm: string | null = null
  const centres = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    if (/^\s*[#;]/.test(line)) continue
    const header = /^\s*\[(\w+)\]/.exec(line)
    if (header !== null) {
      section = header[1]!
      realm = null
      continue
    }
    if (/^\s*\}/.test(line)) realm = null
    const [, key, value] =
      /^\s*([^\s=]+)\s*=\s*(?:"([^"]*)"|(\S+))/.exec(line)?.filter((part) => part !== undefined) ?? []
    if (key === undefined || value === undefined) continue
    if (section === 'libdefaults' && key === 'default_realm') defaultRealm = value
    if (section !== 'realms') continue
    if (value === '{') realm = key
    else if (realm !== null && key === 'kdc' && !/^https?:/i.test(value)) {
      centres.set(realm, [...(centres.get(realm) ?? []), value.replace(/^(tcp|udp)\//, '')])
    }
  }
  return { defaultRealm, centres }
}
