/** A key distribution centre of MIT Kerberos on loopback, with a realm of its own; Debian: krb5-kdc, krb5-admin-server. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { runToEnd, signalGroup, startGroup } from '../process.mjs'
import { choosePort } from '../server.mjs'

export const REALM = 'ZW.TEST'
const START_MS = 20_000
/** Debian keeps what a server runs out of the path of others. */
const PATH = [process.env.PATH, '/usr/sbin', '/sbin'].join(delimiter)

export class Kdc {
  /** Makes the realm in `directory` and starts it. Throws when MIT Kerberos is not installed. */
  static async start(directory) {
    if (!PATH.split(delimiter).some((folder) => existsSync(join(folder, 'krb5kdc')))) {
      throw new Error('krb5kdc is not installed (Debian: krb5-kdc, krb5-admin-server)')
    }
    mkdirSync(directory, { recursive: true })
    const kdc = new Kdc(directory, await choosePort())
    await kdc.begin()
    return kdc
  }

  constructor(directory, port) {
    this.directory = directory
    this.port = port
    this.child = null
    this.env = {
      ...process.env,
      PATH,
      KRB5_CONFIG: this.configFile,
      KRB5_KDC_PROFILE: join(directory, 'kdc.conf'),
    }
  }

  /** For clients and servers of the realm. */
  get configFile() {
    return join(this.directory, 'krb5.conf')
  }

  async begin() {
    const { directory, port } = this
    const libdefaults = [
      `default_realm = ${REALM}`,
      'dns_lookup_kdc = false',
      'dns_lookup_realm = false',
      'dns_canonicalize_hostname = false',
      'rdns = false',
      'udp_preference_limit = 1',
    ]
    writeFileSync(
      this.configFile,
      `[libdefaults]\n${libdefaults.join('\n')}\n[realms]\n${REALM} = {\n  kdc = 127.0.0.1:${port}\n}\n`,
    )
    const realm = [
      `database_name = ${join(directory, 'principals')}`,
      `key_stash_file = ${join(directory, 'stash')}`,
      `kdc_listen = 127.0.0.1:${port}`,
      `kdc_tcp_listen = 127.0.0.1:${port}`,
    ]
    writeFileSync(
      this.env.KRB5_KDC_PROFILE,
      `[realms]\n${REALM} = {\n${realm.join('\n')}\n}\n[logging]\nkdc = FILE:${join(directory, 'kdc.log')}\n`,
    )
    await runToEnd('kdb5_util', ['create', '-s', '-r', REALM, '-P', 'interop'], { env: this.env })
    this.child = startGroup('krb5kdc', ['-n'], { env: this.env, stdio: 'ignore' })
    const deadline = Date.now() + START_MS
    while (!(await accepts(port))) {
      if (Date.now() > deadline || this.child.exitCode !== null)
        throw new Error('the key distribution centre does not start')
      await delay(20)
    }
  }

  /**
   * Makes principals, and a keytab with their keys. `enctypes`: of the keys, as ktadd takes them.
   * @returns its path
   */
  async keytab(name, principals, enctypes) {
    const path = join(this.directory, `${name}.keytab`)
    const kinds = enctypes === undefined ? '' : `-e ${enctypes} `
    for (const principal of principals) {
      await this.admin(`addprinc -randkey ${kinds}${principal}@${REALM}`)
      await this.admin(`ktadd ${kinds}-k ${path} ${principal}@${REALM}`)
    }
    return path
  }

  /**
   * Logs a principal in by its keytab, as its owner would.
   * @returns the path of the ticket cache
   */
  async tickets(principal, keytab) {
    const path = join(this.directory, 'tickets')
    await runToEnd('kinit', ['-k', '-t', keytab, '-c', path, `${principal}@${REALM}`], { env: this.env })
    return path
  }

  /** New keys for a principal, beside the old ones in its keytab. */
  async renew(path, principal) {
    await this.admin(`ktadd -k ${path} ${principal}@${REALM}`)
  }

  admin(query) {
    return runToEnd('kadmin.local', ['-q', query], { env: this.env })
  }

  stop() {
    if (this.child !== null) signalGroup(this.child, 'SIGKILL')
  }
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
